/* thread.h: threads of a guest in somebody's process, and the monotonic clock.
 *
 * Mutexes and condition variables are pthread's own. What is ours: a thread starts with every
 * signal blocked but those of its own faults, so that the host's handlers never run on it for
 * anything else, and waits are against the monotonic clock. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include "base/error.h"

#include <pthread.h>
#include <stdint.h>

/* Starts a thread with all signals blocked but those of faults (SIGSEGV and its like). name: for
 * debuggers, its first 15 bytes count. Fails MEMORY */
mlxe_status thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg,
                         mlxe_error *err);

/* A condition variable whose timed waits use the monotonic clock. -> 0 or an errno */
int cond_init(pthread_cond_t *cond);
/* Waits at most until the monotonic time deadline_ns. -> 0 or ETIMEDOUT */
int cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t deadline_ns);

/* Monotonic time. */
int64_t clock_ns(void);
static inline double clock_ms(void) { return (double)clock_ns() * 1e-6; }

/* The process that runs, compared with the one that started the runtime: a fork is noticed. */
int process_id(void);

#endif
