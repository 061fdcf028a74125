/* cpuclock.c: LD_PRELOAD for one-threaded programs on a busy machine: their clocks run on the
 * process's own CPU time, so that time lost to other processes is not counted. It says nothing of a
 * program whose threads work at the same time. */
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *t)
{
    if (clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC) clock = CLOCK_PROCESS_CPUTIME_ID;
    return (int)syscall(SYS_clock_gettime, clock, t);
}
