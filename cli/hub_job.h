/* hub_job.h: what the Hub's verbs share: a hub with the command's log, a job run to its end. */
#ifndef CLI_HUB_JOB_H
#define CLI_HUB_JOB_H

#include "cli.h"
#include "lines.h"

/* insecure_token: 1 where the user allowed it. */
mlxe_status hub_job_open(int insecure_token, mlxe_hub **out, mlxe_error *err);

/* Runs a job: progress on standard error (with --json and lines 1 as lines), RESULT events to fn,
 * DONE's text to *answer (NUL-terminated; free with cli_text_deinit). Closes the job. Ctrl-C makes
 * it fail with CANCELLED. */
typedef void (*hub_result_fn)(void *user, const char *json, size_t bytes);
mlxe_status hub_job_run(const cli_call *call, mlxe_job *job, int lines, hub_result_fn fn,
                        void *user, cli_text *answer, mlxe_error *err);

/* A verb that is one job with one JSON object for an answer: starts it, runs it, prints the object
 * with --json, else hands it to print. -> the exit status; that of CORRUPT where the object's "ok"
 * is false. */
typedef mlxe_status (*hub_start_fn)(const cli_call *call, mlxe_hub *hub, mlxe_job **out,
                                    mlxe_error *err);
typedef void (*hub_print_fn)(const cli_call *call, yyjson_val *answer);
int hub_job_verb(const cli_call *call, hub_start_fn start, hub_print_fn print);

/* Prints what an answer lists as removed; -> its bytes in words, in out. */
const char *hub_job_removed(yyjson_val *answer, char *out, size_t capacity);

/* "1.2 GB" */
const char *hub_job_bytes(double bytes, char *out, size_t capacity);

#endif
