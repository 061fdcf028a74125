/* hub_job.c: a hub's work on a thread of its own, seen as a job.
 *
 *   caller: hub_job_start -> thread -> work(watch) -> progress -> job's queue -> mlxe_job_next
 *
 * The thread holds a reference to the hub and to the job and ends by job_finish, which lets both
 * go; closing the job joins it. */
#include "api/hub.h"

#include "base/thread.h"

#include <stdlib.h>

typedef struct hub_task {
    mlxe_hub *hub;
    job *job;
    hub_work work;
    void *request;
    void (*drop)(void *);
    hub_watch watch;
} hub_task;

static void on_progress(void *user, const hub_progress *p)
{
    hub_task *t = user;
    job_progress(t->job, "bytes", p->done_bytes, p->total_bytes, p->rate_bytes_s, p->left_s);
}

static void *task_run(void *arg)
{
    hub_task *t = arg;
    mlxe_error err = {0};
    buf answer = {0};
    mlxe_status rc = t->work(t->hub, t->request, &t->watch, t->job, &answer, &err);
    if (!rc && !buf_ok(&answer)) rc = err_memory(&err, "answer", answer.n);
    job *j = t->job;
    if (t->drop) t->drop(t->request);
    mlxe_hub_close(t->hub);
    free(t);
    job_finish(j, buf_view(&answer), rc, &err);
    buf_deinit(&answer);
    return NULL;
}

mlxe_status hub_job_start(mlxe_hub *h, hub_work work, void *request, void (*drop)(void *),
                          uint32_t deadline_ms, mlxe_job **out, mlxe_error *err)
{
    hub_task *t = NULL;
    job *j = NULL;
    mlxe_status rc = api_process(h->process, err);
    *out = NULL;
    if (!rc) rc = job_open(&j, err);
    if (!rc && !(t = calloc(1, sizeof *t))) rc = err_memory(err, "job", sizeof *t);
    if (!rc) {
        *t = (hub_task){h, job_retain(j), work, request, drop, {0}};
        t->watch = (hub_watch){.cancel = job_cancel_flag(j), .progress = on_progress, .user = t};
        if (deadline_ms) t->watch.deadline_ns = clock_ns() + (int64_t)deadline_ms * 1000000;
        atomic_fetch_add(&h->references, 1);
        rc = job_start(j, "mlxe-hub-job", task_run, t, err);
        if (rc) {
            atomic_fetch_sub(&h->references, 1);
            job_release(j); /* the thread's */
        }
    }
    if (rc) {
        if (drop) drop(request);
        job_release(j);
        free(t);
        return rc;
    }
    *out = j;
    /* cppcheck-suppress memleak ; the thread frees t */
    return MLXE_OK;
}
