/* interrupt.h: Ctrl-C and broken pipes.
 *
 * SIGINT cancels the jobs that are watched; the code that runs them sees them end. With no job
 * watched and nothing held the process ends at once with status 130, and so it does at the third
 * Ctrl-C. SIGPIPE is ignored: writing to a closed pipe is an error that out.c sees. */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include <mlxengine.h>

enum { INTERRUPT_MAX_JOBS = 256 };

void interrupt_init(void);
/* The job is cancelled by Ctrl-C until it is unwatched (which must be before it is closed). */
void interrupt_watch(mlxe_job *job);
void interrupt_unwatch(mlxe_job *job);
/* While held, Ctrl-C only sets the mark that interrupt_seen gives. Calls nest; the last release
 * ends the process with status 130 if the mark is set and no job is watched. */
void interrupt_hold(void);
void interrupt_release(void);
int interrupt_seen(void);
/* A descriptor that is readable once Ctrl-C came, until interrupt_clear; for poll. */
int interrupt_fd(void);
void interrupt_clear(void);

#endif
