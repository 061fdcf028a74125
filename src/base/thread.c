/* thread.c: starting threads as a well-behaved guest, monotonic waits.
 *
 * Trap: the signals of a fault (SIGSEGV and its like) stay open. They are for the thread that made
 * the fault; blocked, the kernel would end the process without the host's crash handler or a
 * sanitizer's report, and POSIX leaves the outcome undefined. */
#define _GNU_SOURCE
#include "base/thread.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

mlxe_status thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg,
                         mlxe_error *err)
{
    static const int FAULTS[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    sigset_t all, before;
    int rc;
    sigfillset(&all);
    for (size_t i = 0; i < sizeof FAULTS / sizeof *FAULTS; i++)
        sigdelset(&all, FAULTS[i]);
    /* The new thread inherits the mask: blocking here leaves no moment in which it is open. */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(thread, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc) return err_set(err, MLXE_E_MEMORY, "%s: cannot start a thread, error %d", name, rc);
#if defined(__linux__)
    {
        char shown[16]; /* a longer name would be refused, not cut */
        snprintf(shown, sizeof shown, "%.15s", name);
        pthread_setname_np(*thread, shown);
    }
#endif
    return MLXE_OK;
}

int cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    int rc = pthread_condattr_init(&attr);
    if (rc) return rc;
    rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (!rc) rc = pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
    return rc;
}

int cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t deadline_ns)
{
    struct timespec at;
    if (deadline_ns < 0) deadline_ns = 0;
    at = (struct timespec){(time_t)(deadline_ns / 1000000000), (long)(deadline_ns % 1000000000)};
    return pthread_cond_timedwait(cond, mutex, &at);
}

int64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int process_id(void) { return (int)getpid(); }
