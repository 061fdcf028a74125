/* job.c: the queue between the pipeline's thread and the caller.
 *
 * Invariants: events come out in the order in which they went in; DONE is the last, or the job's
 * error is given instead; after it next gives NULL. The descriptor is readable exactly while an
 * event, or the error, waits. */
#define _GNU_SOURCE
#include "session/job.h"

#include "base/thread.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

typedef struct queued {
    mlxe_event event;
    buf text;
    char reason[200];
    mlxe_tool_call call; /* its texts are the job's */
} queued;

/* What becomes of the answer's text where a dialect reads it. */
typedef struct reading {
    dialect_parser *parser;
    dialect_choice choice;
    json_doc *tools;
    const tok *tokenizer;
    int32_t budget, thought; /* reasoning tokens allowed (< 0: no bound) and seen */
    tok_ids forced;          /* ids that end the reasoning */
    size_t n_forced;         /* of these, given */
    uint64_t seed;
    mlxe_error error; /* the parser's: out of memory */
} reading;

struct mlxe_job {
    atomic_int references, cancel;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    queued *queue; /* a ring; grows only when one piece of text makes many events */
    int cap, first, count;
    queued taken; /* what next gave last; valid until the next call */
    int fd, signalled;
    int ended, told; /* end was called; the end was given to the caller */
    buf answer, content, reasoning;
    mlxe_tool_call *calls;
    size_t n_calls, raw_bytes;
    reading read;
    int32_t *ids;
    size_t n_ids;
    mlxe_stats stats;
    mlxe_status status;
    mlxe_error error;
    pthread_t thread;
    int has_thread;
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
    j->cap = JOB_QUEUE;
    j->queue = calloc((size_t)j->cap, sizeof *j->queue);
    if (!j->queue) {
        pthread_mutex_destroy(&j->lock);
        pthread_cond_destroy(&j->changed);
        free(j);
        return err_memory(err, "job", JOB_QUEUE * sizeof *j->queue);
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
    for (int i = 0; i < j->cap; i++)
        buf_deinit(&j->queue[i].text);
    free(j->queue);
    buf_deinit(&j->taken.text);
    buf_deinit(&j->answer);
    buf_deinit(&j->content);
    buf_deinit(&j->reasoning);
    for (size_t i = 0; i < j->n_calls; i++) {
        free((char *)j->calls[i].id);
        free((char *)j->calls[i].name);
        free((char *)j->calls[i].arguments);
    }
    free(j->calls);
    dialect_close(j->read.parser);
    json_close(j->read.tools);
    tok_ids_deinit(&j->read.forced);
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

/* Twice the places. The ring begins anew at 0. */
static int queue_grow(job *j)
{
    queued *grown = calloc((size_t)j->cap * 2, sizeof *grown);
    if (!grown) return 0;
    for (int i = 0; i < j->cap; i++)
        grown[i] = j->queue[(j->first + i) % j->cap];
    free(j->queue);
    j->queue = grown;
    j->first = 0;
    j->cap *= 2;
    return 1;
}

/* A place at the queue's end, or NULL when there is no memory. Lock held. */
static queued *queue_add(job *j, mlxe_event_type type)
{
    queued *q;
    if (j->count == j->cap && !queue_grow(j)) {
        err_memory(&j->read.error, "job", 0);
        return NULL;
    }
    q = &j->queue[(j->first + j->count++) % j->cap];
    q->event = (mlxe_event){.type = type};
    buf_clear(&q->text);
    return q;
}

static queued *queue_tail(job *j, mlxe_event_type type)
{
    queued *q = j->count ? &j->queue[(j->first + j->count - 1) % j->cap] : NULL;
    return q && q->event.type == type && !q->event.reason ? q : NULL;
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
    room = j->count < JOB_QUEUE || atomic_load(&j->cancel);
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

/* A piece of text or reasoning. Lock held. */
static void add_piece(job *j, mlxe_event_type type, strv piece, const char *reason)
{
    queued *q = reason ? NULL : queue_tail(j, type);
    buf_add_strv(type == MLXE_EVENT_TEXT ? &j->content : &j->reasoning, piece);
    if (!q) q = queue_add(j, type);
    if (!q) return;
    buf_add_strv(&q->text, piece);
    if (!reason) return;
    snprintf(q->reason, sizeof q->reason, "%s", reason);
    q->event.reason = q->reason;
}

/* Nine letters and digits, as some templates want it: the same seed gives the same ids. */
static char *call_id(const job *j)
{
    static const char DIGITS[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    uint64_t x = j->read.seed + (j->n_calls + 1) * 0x9E3779B97F4A7C15u;
    char id[10] = {0};
    for (int i = 0; i < 9; i++) { /* splitmix64 */
        uint64_t z = x += 0x9E3779B97F4A7C15u;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
        z = (z ^ z >> 27) * 0x94D049BB133111EBu;
        id[i] = DIGITS[(z ^ z >> 31) % (sizeof DIGITS - 1)];
    }
    return strdup(id);
}

/* Lock held. */
static void add_call(job *j, const dialect_event *e)
{
    mlxe_tool_call *grown = realloc(j->calls, (j->n_calls + 1) * sizeof *grown), *call;
    queued *q = queue_add(j, MLXE_EVENT_TOOL_CALL);
    if (grown) j->calls = grown;
    if (!grown || !q) {
        err_memory(&j->read.error, "tool call", 0);
        return;
    }
    call = &j->calls[j->n_calls];
    call->id = e->id.n ? strv_dup(e->id) : call_id(j);
    call->name = strv_dup(e->name);
    call->arguments = strv_dup(e->arguments);
    if (!call->id || !call->name || !call->arguments) err_memory(&j->read.error, "tool call", 0);
    j->n_calls++;
    buf_add_strv(&q->text, e->raw);
    q->call = *call;
}

/* The dialect's events. Lock held. */
static void take_read(void *user, const dialect_event *e)
{
    job *j = user;
    j->raw_bytes += e->raw.n;
    if (e->kind == DIALECT_TEXT)
        add_piece(j, MLXE_EVENT_TEXT, e->raw, e->reason);
    else if (e->kind == DIALECT_REASONING)
        add_piece(j, MLXE_EVENT_REASONING, e->raw, NULL);
    else if (e->kind == DIALECT_CALL)
        add_call(j, e);
}

static void sink_text(void *user, const char *p, size_t n)
{
    job *j = user;
    pthread_mutex_lock(&j->lock);
    buf_add(&j->answer, p, n);
    if (j->read.parser) {
        (void)dialect_push(j->read.parser, (strv){p, n}, 0, &j->read.error);
    } else {
        j->raw_bytes += n;
        add_piece(j, MLXE_EVENT_TEXT, (strv){p, n}, NULL);
    }
    told_changed(j);
}

static void sink_special(void *user, const char *p, size_t n)
{
    job *j = user;
    pthread_mutex_lock(&j->lock);
    if (j->read.parser)
        (void)dialect_push(j->read.parser, (strv){p, n}, 1, &j->read.error);
    else
        j->raw_bytes += n;
    told_changed(j);
}

/* Ends reasoning whose budget is used up: the next tokens are those of its end. */
static int32_t sink_replace(void *user, int32_t token)
{
    job *j = user;
    reading *r = &j->read;
    const char *end;
    if (r->n_forced < r->forced.n) return r->forced.tokens[r->n_forced++].id;
    if (!r->parser || r->budget < 0 || r->forced.n) return token;
    end = dialect_reasoning_end(r->parser);
    if (!end || r->thought++ < r->budget) return token;
    if (tok_encode(r->tokenizer, strv_of(end), (strv){NULL, 0}, TOK_NO_TRUNCATION, &r->forced,
                   &r->error) ||
        !r->forced.n)
        return token;
    return r->forced.tokens[r->n_forced++].id;
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
    if (j->read.parser) (void)dialect_finish(j->read.parser, &j->read.error);
    j->status = status;
    j->stats = *stats;
    if (status && err) j->error = *err;
    if (!status && j->read.error.code) {
        j->error = j->read.error;
        j->status = j->error.code;
    }
    if (j->n_calls && j->stats.finish == MLXE_FINISH_STOP) j->stats.finish = MLXE_FINISH_TOOL_CALLS;
    j->ids = n ? malloc(n * sizeof *j->ids) : NULL;
    if (j->ids) memcpy(j->ids, ids, n * sizeof *ids);
    j->n_ids = j->ids ? n : 0;
    buf_add(&j->answer, "", 0);
    if (!j->status &&
        (!buf_ok(&j->answer) || !buf_ok(&j->content) || !buf_ok(&j->reasoning) || (n && !j->ids)))
        j->status = err_memory(&j->error, "answer", n);
    j->ended = 1;
    told_changed(j);
    job_release(j);
}

text_sink job_sink(job *j)
{
    return (text_sink){.user = job_retain(j),
                       .ready = sink_ready,
                       .progress = sink_progress,
                       .text = sink_text,
                       .logprobs = sink_logprobs,
                       .special = sink_special,
                       .replace = j->read.parser && j->read.budget >= 0 ? sink_replace : NULL,
                       .end = sink_end};
}

mlxe_status job_read_as(job *j, const job_reading *how, mlxe_error *err)
{
    reading *r = &j->read;
    dialect_setup setup = {.choice = &r->choice, .prompt = how->prompt, .fn = take_read, .user = j};
    r->choice = *how->choice;
    r->tools = how->tools;
    r->tokenizer = how->tokenizer;
    r->seed = how->seed;
    r->budget = how->budget > 0 ? how->budget : how->budget < 0 ? 0 : -1;
    setup.tools = r->tools ? json_root(r->tools) : NULL;
    return dialect_open(&setup, &r->parser, err);
}

/* ---- work that is no answer: a download, a search -------------------------------------------- */

void job_progress(job *j, const char *unit, uint64_t done, uint64_t total, double rate,
                  double left_s)
{
    queued *q;
    pthread_mutex_lock(&j->lock);
    q = queue_tail(j, MLXE_EVENT_PROGRESS);
    if (q && strcmp(buf_str(&q->text), unit) != 0) q = NULL;
    if (!q && (q = queue_add(j, MLXE_EVENT_PROGRESS))) buf_add_str(&q->text, unit);
    if (q) {
        q->event.done = done;
        q->event.total = total;
        q->event.rate = rate;
        q->event.left_s = left_s;
    }
    told_changed(j);
}

int job_add_result(job *j, strv object)
{
    queued *q = NULL;
    int cancelled;
    pthread_mutex_lock(&j->lock);
    while (j->count > JOB_QUEUE / 2 && !atomic_load(&j->cancel))
        cond_wait_until(&j->changed, &j->lock, clock_ns() + 20 * 1000000LL);
    cancelled = atomic_load(&j->cancel);
    if (!cancelled && (q = queue_add(j, MLXE_EVENT_RESULT))) buf_add_strv(&q->text, object);
    told_changed(j);
    return cancelled;
}

void job_finish(job *j, strv text, mlxe_status status, const mlxe_error *err)
{
    mlxe_stats stats = {.finish = MLXE_FINISH_STOP, .device = "", .kernels = ""};
    if (status == MLXE_E_CANCELLED && atomic_load(&j->cancel)) {
        status = MLXE_OK;
        stats.finish = MLXE_FINISH_CANCELLED;
        text = (strv){0};
    }
    pthread_mutex_lock(&j->lock);
    buf_add_strv(&j->answer, text);
    pthread_mutex_unlock(&j->lock);
    sink_end(j, NULL, 0, &stats, status, err);
}

mlxe_status job_start(job *j, const char *name, void *(*run)(void *), void *arg, mlxe_error *err)
{
    mlxe_status rc = thread_start(&j->thread, name, run, arg, err);
    j->has_thread = !rc;
    return rc;
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

mlxe_status job_status(const job *j) { return j->status; }

void job_result(const job *j, job_answer *out)
{
    *out = (job_answer){.text = buf_view(&j->answer),
                        .content = buf_view(&j->content),
                        .reasoning = buf_view(&j->reasoning),
                        .calls = j->calls,
                        .n_calls = j->n_calls,
                        .ids = j->ids,
                        .n_ids = j->n_ids,
                        .raw_bytes = j->raw_bytes};
}

/* Takes the head of the queue into j->taken. Lock held, count > 0. */
static const mlxe_event *take(job *j)
{
    queued *q = &j->queue[j->first], old = j->taken;
    j->taken = *q;
    q->text = old.text; /* its memory is used again */
    j->first = (j->first + 1) % j->cap;
    j->count--;
    j->taken.event.text = buf_str(&j->taken.text);
    j->taken.event.text_bytes = j->taken.text.n;
    if (j->taken.event.type == MLXE_EVENT_TOOL_CALL) j->taken.event.call = &j->taken.call;
    if (j->taken.event.reason) j->taken.event.reason = j->taken.reason;
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
                                  .stats = &j->stats,
                                  .calls = j->calls,
                                  .n_calls = j->n_calls,
                                  .content = buf_str(&j->content),
                                  .content_bytes = j->content.n,
                                  .reasoning = buf_str(&j->reasoning),
                                  .reasoning_bytes = j->reasoning.n};
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
    if (j->has_thread) pthread_join(j->thread, NULL);
    job_release(j);
}
