/* job.c: the queue between the pipeline's thread and the caller.
 *
 * Invariants: events come out in the order in which they went in; DONE is the last, or the job's
 * error is given instead; after it next gives NULL. The descriptor is readable exactly while an
 * event, or the error, waits. */
#define _GNU_SOURCE
#include "session/job.h"

#include "base/thread.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

typedef struct queued {
    mlxe_event event;
    buf text;
} queued;

struct mlxe_job {
    atomic_int references, cancel;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    queued queue[JOB_QUEUE];
    int first, count;
    queued taken; /* what next gave last; valid until the next call */
    int fd, signalled;
    int ended, told; /* end was called; the end was given to the caller */
    buf answer;
    int32_t *ids;
    size_t n_ids;
    mlxe_stats stats;
    mlxe_status status;
    mlxe_error error;
};

mlxe_status job_open(job **out, mlxe_error *err)
{
    job *j = calloc(1, sizeof *j);
    *out = NULL;
    if (!j) return err_memory(err, "job", sizeof *j);
    atomic_init(&j->references, 1);
    atomic_init(&j->cancel, 0);
    if (pthread_mutex_init(&j->lock, NULL) || cond_init(&j->changed)) {
        free(j);
        return err_memory(err, "job", 0);
    }
    j->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    *out = j;
    return MLXE_OK;
}

job *job_retain(job *j)
{
    atomic_fetch_add(&j->references, 1);
    return j;
}

void job_release(job *j)
{
    if (!j || atomic_fetch_sub(&j->references, 1) != 1) return;
    for (int i = 0; i < JOB_QUEUE; i++)
        buf_deinit(&j->queue[i].text);
    buf_deinit(&j->taken.text);
    buf_deinit(&j->answer);
    if (j->fd >= 0) close(j->fd);
    pthread_mutex_destroy(&j->lock);
    pthread_cond_destroy(&j->changed);
    free(j->ids);
    free(j);
}

const atomic_int *job_cancel_flag(const job *j) { return &j->cancel; }

/* Keeps the descriptor in step with the queue. Lock held. */
static void signal_update(job *j)
{
    int want = j->count > 0 || (j->ended && !j->told);
    uint64_t one = 1;
    if (want == j->signalled || j->fd < 0) return;
    while ((want ? write(j->fd, &one, sizeof one) : read(j->fd, &one, sizeof one)) < 0 &&
           errno == EINTR) {}
    j->signalled = want;
}

/* A place at the queue's end, or NULL when it is full. Lock held. */
static queued *queue_add(job *j, mlxe_event_type type)
{
    queued *q;
    if (j->count == JOB_QUEUE) return NULL;
    q = &j->queue[(j->first + j->count++) % JOB_QUEUE];
    q->event = (mlxe_event){.type = type};
    buf_clear(&q->text);
    return q;
}

static queued *queue_tail(job *j, mlxe_event_type type)
{
    queued *q = j->count ? &j->queue[(j->first + j->count - 1) % JOB_QUEUE] : NULL;
    return q && q->event.type == type ? q : NULL;
}

static void told_changed(job *j)
{
    signal_update(j);
    pthread_cond_broadcast(&j->changed);
    pthread_mutex_unlock(&j->lock);
}

/* ---- the pipeline's side --------------------------------------------------------------------- */

static int sink_ready(void *user)
{
    job *j = user;
    int room;
    pthread_mutex_lock(&j->lock);
    room =
        j->count < JOB_QUEUE - 8 || atomic_load(&j->cancel); /* a turn adds a few events at most */
    pthread_mutex_unlock(&j->lock);
    return room;
}

static void sink_progress(void *user, uint64_t done, uint64_t total)
{
    job *j = user;
    queued *q;
    pthread_mutex_lock(&j->lock);
    q = queue_tail(j, MLXE_EVENT_PROGRESS);
    if (!q && (q = queue_add(j, MLXE_EVENT_PROGRESS))) buf_add_str(&q->text, "prompt tokens");
    if (q) {
        q->event.done = done;
        q->event.total = total;
    }
    told_changed(j);
}

static void sink_text(void *user, const char *p, size_t n)
{
    job *j = user;
    queued *q;
    pthread_mutex_lock(&j->lock);
    buf_add(&j->answer, p, n);
    q = queue_tail(j, MLXE_EVENT_TEXT);
    if (!q) q = queue_add(j, MLXE_EVENT_TEXT);
    if (q) buf_add(&q->text, p, n);
    told_changed(j);
}

static void sink_logprobs(void *user, const char *p, size_t n)
{
    job *j = user;
    queued *q;
    pthread_mutex_lock(&j->lock);
    q = queue_add(j, MLXE_EVENT_LOGPROBS);
    if (q) buf_add(&q->text, p, n);
    told_changed(j);
}

static void sink_end(void *user, const int32_t *ids, size_t n, const mlxe_stats *stats,
                     mlxe_status status, const mlxe_error *err)
{
    job *j = user;
    pthread_mutex_lock(&j->lock);
    j->status = status;
    j->stats = *stats;
    if (status && err) j->error = *err;
    j->ids = n ? malloc(n * sizeof *j->ids) : NULL;
    if (j->ids) memcpy(j->ids, ids, n * sizeof *ids);
    j->n_ids = j->ids ? n : 0;
    buf_add(&j->answer, "", 0);
    if (!status && (!buf_ok(&j->answer) || (n && !j->ids)))
        j->status = err_memory(&j->error, "answer", n);
    j->ended = 1;
    told_changed(j);
    job_release(j);
}

text_sink job_sink(job *j)
{
    return (text_sink){job_retain(j), sink_ready,    sink_progress,
                       sink_text,     sink_logprobs, sink_end};
}

/* ---- the caller's side ----------------------------------------------------------------------- */

void job_wait(job *j)
{
    pthread_mutex_lock(&j->lock);
    while (!j->ended)
        pthread_cond_wait(&j->changed, &j->lock);
    pthread_mutex_unlock(&j->lock);
}

int job_ended(job *j)
{
    int ended;
    pthread_mutex_lock(&j->lock);
    ended = j->ended;
    pthread_mutex_unlock(&j->lock);
    return ended;
}

strv job_text(const job *j) { return buf_view(&j->answer); }

void job_ids(const job *j, const int32_t **ids, size_t *n)
{
    *ids = j->ids;
    *n = j->n_ids;
}

/* Takes the head of the queue into j->taken. Lock held, count > 0. */
static const mlxe_event *take(job *j)
{
    queued *q = &j->queue[j->first], old = j->taken;
    j->taken = *q;
    q->text = old.text; /* its memory is used again */
    j->first = (j->first + 1) % JOB_QUEUE;
    j->count--;
    j->taken.event.text = buf_str(&j->taken.text);
    j->taken.event.text_bytes = j->taken.text.n;
    return &j->taken.event;
}

static mlxe_status take_end(job *j, const mlxe_event **event, mlxe_error *err)
{
    int first = !j->told;
    j->told = 1;
    if (j->status) {
        if (first && err) *err = j->error;
        return first ? j->status : MLXE_OK;
    }
    if (!first) return MLXE_OK;
    j->taken.event = (mlxe_event){.type = MLXE_EVENT_DONE,
                                  .text = buf_str(&j->answer),
                                  .text_bytes = j->answer.n,
                                  .ids = j->ids,
                                  .n_ids = j->n_ids,
                                  .stats = &j->stats};
    *event = &j->taken.event;
    return MLXE_OK;
}

mlxe_status mlxe_job_next(mlxe_job *j, int timeout_ms, const mlxe_event **event, mlxe_error *err)
{
    int64_t deadline = clock_ns() + (int64_t)timeout_ms * 1000000;
    mlxe_status rc = MLXE_OK;
    *event = NULL;
    err_clear(err);
    pthread_mutex_lock(&j->lock);
    while (!j->count && !j->ended) {
        if (timeout_ms < 0)
            pthread_cond_wait(&j->changed, &j->lock);
        else if (!timeout_ms || cond_wait_until(&j->changed, &j->lock, deadline) == ETIMEDOUT)
            break;
    }
    if (j->count)
        *event = take(j);
    else if (j->ended)
        rc = take_end(j, event, err);
    else
        rc = err_set(err, MLXE_E_TIMEOUT, "job: no event within %d ms", timeout_ms);
    signal_update(j);
    pthread_mutex_unlock(&j->lock);
    return rc;
}

mlxe_status mlxe_job_run(mlxe_job *j, mlxe_event_fn fn, void *user, mlxe_error *err)
{
    const mlxe_event *event;
    mlxe_status rc;
    for (;;) {
        rc = mlxe_job_next(j, -1, &event, err);
        if (rc || !event) return rc;
        if (fn) fn(user, event);
    }
}

int mlxe_job_fd(mlxe_job *j) { return j->fd; }
void mlxe_job_cancel(mlxe_job *j) { atomic_store(&j->cancel, 1); }

void mlxe_job_close(mlxe_job *j)
{
    if (!j) return;
    mlxe_job_cancel(j);
    job_wait(j);
    job_release(j);
}
