/* job.h: one running answer: its bounded queue of events, its end, cancelling it.
 *
 *   pipeline's thread --sink--> dialect --> queue --mlxe_job_next--> caller
 *
 * Shared by the caller's handle, the session and the pipeline: counted. Consecutive pieces of text
 * that nobody took yet become one event, so a slow reader costs no memory but its text. With a
 * dialect, what the model wrote is text, reasoning and tool calls; without, all is text. */
#ifndef SESSION_JOB_H
#define SESSION_JOB_H

#include "pipelines/text.h"
#include "text/dialect.h"

enum { JOB_QUEUE = 256 };

typedef struct mlxe_job job;

mlxe_status job_open(job **out, mlxe_error *err);
job *job_retain(job *j);
void job_release(job *j);

/* How the answer is to be read. Everything is copied. */
typedef struct job_reading {
    const dialect_choice *choice;
    json_doc *tools; /* taken over; NULL: none were declared */
    strv prompt;     /* the rendered prompt */
    const tok *tokenizer;
    int32_t budget; /* reasoning tokens; 0: no bound, < 0: none */
    uint64_t seed;  /* of the ids of calls */
} job_reading;
/* Before the sink is made. The tools are closed in every case. Fails MEMORY */
mlxe_status job_read_as(job *j, const job_reading *reading, mlxe_error *err);
/* The sink that feeds the queue; holds a reference until its end is called. */
text_sink job_sink(job *j);
const atomic_int *job_cancel_flag(const job *j);

/* Waits until the pipeline has called end. */
void job_wait(job *j);
int job_ended(job *j);
mlxe_status job_status(const job *j); /* after the end */

/* After the end: what was told, borrowed. */
typedef struct job_answer {
    strv text;    /* everything, special tokens skipped */
    strv content; /* without reasoning and calls */
    strv reasoning;
    const mlxe_tool_call *calls;
    size_t n_calls;
    const int32_t *ids;
    size_t n_ids;
    size_t raw_bytes; /* of the answer's text with special tokens */
} job_answer;
void job_result(const job *j, job_answer *out);

/* Work that is no answer (a download, a search) tells by these instead of a sink.
 * unit: what done and total count; rate: of them a second; left_s < 0: not known */
void job_progress(job *j, const char *unit, uint64_t done, uint64_t total, double rate,
                  double left_s);
/* One RESULT event; waits while many are not taken yet. -> 1: the job was cancelled */
int job_add_result(job *j, strv object);
/* Runs the work on a thread of the job's own, which closing the job joins: nothing of ours runs on
 * once every handle is closed. Fails MEMORY */
mlxe_status job_start(job *j, const char *name, void *(*run)(void *), void *arg, mlxe_error *err);
/* The end: text is what DONE shows. Gives up the reference that the work held. */
void job_finish(job *j, strv text, mlxe_status status, const mlxe_error *err);

#endif
