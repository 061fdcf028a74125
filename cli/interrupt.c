/* interrupt.c: the handler of Ctrl-C.
 *
 * It runs on the main thread (the library's threads block every signal), so it never races with
 * watch and unwatch, it only comes between two of their steps: a slot is one pointer store. It
 * calls nothing but mlxe_job_cancel, write and _exit, which are async-signal-safe.
 * The handler is installed even where SIGINT was inherited as ignored, as shells do for a job in
 * the background: whoever sends that signal to this process by name means it. */
#include "interrupt.h"

#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

enum { PATIENCE = 3 }; /* the third Ctrl-C waits for nothing */

static mlxe_job *volatile watched[INTERRUPT_MAX_JOBS];
static volatile sig_atomic_t held, seen; /* seen: how often, since the last clear */
static int wake[2] = {-1, -1}; /* a pipe: poll must not miss a signal that comes just before it */

static void on_interrupt(int number)
{
    (void)number;
    int jobs = 0;
    if (seen < PATIENCE) seen = seen + 1;
    for (int i = 0; i < INTERRUPT_MAX_JOBS; i++) {
        mlxe_job *job = watched[i];
        if (job) {
            mlxe_job_cancel(job);
            jobs++;
        }
    }
    if ((jobs == 0 && held == 0) || seen == PATIENCE) _exit(CLI_EXIT_INTERRUPTED);
    int saved = errno;
    ssize_t written = write(wake[1], "", 1);
    (void)written; /* a full pipe is readable as well */
    errno = saved;
}

void interrupt_init(void)
{
    if (pipe(wake) == 0) {
        for (int i = 0; i < 2; i++) {
            fcntl(wake[i], F_SETFD, FD_CLOEXEC);
            fcntl(wake[i], F_SETFL, O_NONBLOCK);
        }
    }
    struct sigaction action = {0};
    sigset_t set;
    action.sa_handler = on_interrupt;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static int any_watched(void)
{
    for (int i = 0; i < INTERRUPT_MAX_JOBS; i++)
        if (watched[i]) return 1;
    return 0;
}

void interrupt_watch(mlxe_job *job)
{
    for (int i = 0; i < INTERRUPT_MAX_JOBS; i++) {
        if (!watched[i]) {
            watched[i] = job;
            break;
        }
    }
    /* The signal may have come between the job's start and this store. */
    if (seen) mlxe_job_cancel(job);
}

void interrupt_unwatch(mlxe_job *job)
{
    for (int i = 0; i < INTERRUPT_MAX_JOBS; i++)
        if (watched[i] == job) watched[i] = NULL;
}

void interrupt_hold(void) { held = held + 1; }

void interrupt_release(void)
{
    held = held - 1;
    if (held == 0 && seen && !any_watched()) _exit(CLI_EXIT_INTERRUPTED);
}

int interrupt_seen(void) { return seen; }
int interrupt_fd(void) { return wake[0]; }

void interrupt_clear(void)
{
    char bytes[64];
    seen = 0;
    while (read(wake[0], bytes, sizeof bytes) > 0)
        ;
}
