/* job.h: one running answer: its bounded queue of events, its end, cancelling it.
 *
 *   pipeline's thread --sink--> queue (at most JOB_QUEUE events) --mlxe_job_next--> caller
 *
 * Shared by the caller's handle, the session and the pipeline: counted. Consecutive pieces of text
 * that nobody took yet become one event, so a slow reader costs no memory but its text. */
#ifndef SESSION_JOB_H
#define SESSION_JOB_H

#include "pipelines/text.h"

enum { JOB_QUEUE = 256 };

typedef struct mlxe_job job;

mlxe_status job_open(job **out, mlxe_error *err);
job *job_retain(job *j);
void job_release(job *j);
/* The sink that feeds the queue; holds a reference until its end is called. */
text_sink job_sink(job *j);
const atomic_int *job_cancel_flag(const job *j);

/* Waits until the pipeline has called end. */
void job_wait(job *j);
int job_ended(job *j);
/* After the end: the whole answer (borrowed). */
strv job_text(const job *j);
void job_ids(const job *j, const int32_t **ids, size_t *n);

#endif
