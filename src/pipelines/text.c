/* text.c: the continuous batch.
 *
 *   submit -> waiting list -> rows[parallel]; a turn: gather -> step -> settle each row
 *
 *   row:  PREFILL --last chunk: first token--> DECODE --stop, length, cancel, error--> end
 *
 * Owns the turn: which rows take part, how large a prompt's chunk is, what ends a row. A row's
 * events go to its sink in order; `end` is the last.
 *
 * Invariants: a row's KV holds prompt and answer but the last token, which is fed in the next turn.
 * The text of an answer is what the streaming detokenizer gives for its ids, cut at a stop string.
 *
 * Traps: the first chunk's speed is unknown, so it is small. A chunk never gets so small that its
 * speed says nothing of a larger one: on a loaded machine it would never grow again. Cancelling one
 * row of several does not abort the pass that they share. */
#include "pipelines/text.h"

#include "base/json.h"
#include "base/thread.h"
#include "pipelines/sampler.h"
#include "pipelines/stop.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { LEAST_CHUNK = 8, LARGEST_CHUNK = 512, TOP_LOGPROBS = 20 };
static const double CHUNK_MS = 200;   /* of the 250 that a turn may take */
static const double CHUNK_KEEP = 0.5; /* of the old estimate, when a new one comes */

typedef struct row {
    text_request req;
    tok_stream *stream;
    stop_filter stop;
    int32_t *answer; /* ids so far */
    size_t n_answer, cap_answer;
    int32_t next; /* sampled, not yet in the KV row; -1 while prefilling */
    size_t fed;   /* prompt tokens in the KV row */
    int64_t started_ns, first_ns, last_ns;
    double prefill_ms;
    mlxe_stats stats;
    int step_index; /* in this turn's step, or -1 */
} row;

typedef struct waiting {
    struct waiting *next;
    text_request req;
    int64_t submitted_ns;
} waiting;

typedef struct exclusive {
    struct exclusive *next;
    void (*fn)(void *);
    void *arg;
    int done;
} exclusive;

struct text_pipeline {
    const engine_ops *ops;
    eng_model *model;
    const tok *tokenizer;
    eng_caps caps;
    pthread_t thread;
    pthread_mutex_t lock; /* the four below */
    pthread_cond_t wake, served;
    waiting *first, **last;
    exclusive *calls;
    int closing;
    atomic_int called; /* something new is behind the lock */
    /* one turn at a time: the pipeline's thread, or the engine's while the former waits for it */
    row **rows;
    eng_row *steps;
    int n_rows, parallel;
    int ran;              /* the last turn had something to do */
    int queued;           /* requests wait for a row */
    double tokens_per_ms; /* of chunks; 0: unknown */
    sampler_scratch scratch;
    buf piece, text;
};

/* ---- chunk size ------------------------------------------------------------------------------ */

int32_t text_chunk_tokens(text_pipeline *p, double ms)
{
    double tokens = p->tokens_per_ms * ms;
    if (tokens > LARGEST_CHUNK) tokens = LARGEST_CHUNK;
    return tokens < LEAST_CHUNK ? LEAST_CHUNK : (int32_t)tokens;
}

void text_chunk_measured(text_pipeline *p, int32_t tokens, double ms)
{
    double now = tokens / (ms > 0.001 ? ms : 0.001);
    if (tokens < LEAST_CHUNK / 2) return; /* single tokens are slower each: no measure of a chunk */
    /* Larger chunks run faster, but trust grows by doubling: one lucky chunk proves little. */
    if (p->tokens_per_ms > 0 && now > 2 * p->tokens_per_ms) now = 2 * p->tokens_per_ms;
    p->tokens_per_ms =
        p->tokens_per_ms > 0 ? CHUNK_KEEP * p->tokens_per_ms + (1 - CHUNK_KEEP) * now : now;
}

/* ---- one row --------------------------------------------------------------------------------- */

static uint64_t peak_memory(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (uint64_t)use.ru_maxrss * 1024;
}

static void row_free(row *r)
{
    tok_stream_close(r->stream);
    stop_deinit(&r->stop);
    free(r->answer);
    free(r);
}

static mlxe_status row_new(text_pipeline *p, const waiting *w, row **out, mlxe_error *err)
{
    row *r = calloc(1, sizeof *r);
    mlxe_status rc;
    *out = NULL;
    if (!r) return err_memory(err, "row", sizeof *r);
    r->req = w->req;
    r->started_ns = w->submitted_ns;
    r->next = -1;
    r->fed = (size_t)p->ops->kv_length(w->req.kv);
    r->stop = (stop_filter){.stops = r->req.stop, .n = r->req.n_stop};
    r->stats.prompt_tokens = (uint32_t)r->req.n_prompt;
    r->stats.cached_tokens = (uint32_t)r->fed;
    r->stats.seed = r->req.sampler.seed;
    r->stats.device = p->caps.device;
    r->stats.kernels = p->caps.kernels;
    if ((rc = tok_stream_open(p->tokenizer, 1, &r->stream, err))) {
        row_free(r);
        return rc;
    }
    *out = r;
    return MLXE_OK;
}

/* Tells the sink the end and forgets the row. finish 0: an error. */
static void row_end(text_pipeline *p, int index, mlxe_finish finish, mlxe_status status,
                    const mlxe_error *err)
{
    row *r = p->rows[index];
    text_sink sink = r->req.sink;
    int64_t now = clock_ns();
    r->stats.finish = finish;
    r->stats.generated_tokens = (uint32_t)r->n_answer;
    r->stats.prefill_ms = r->prefill_ms;
    if (r->first_ns) {
        r->stats.time_to_first_token_ms = (double)(r->first_ns - r->started_ns) * 1e-6;
        r->stats.decode_ms = (double)((r->last_ns ? r->last_ns : now) - r->first_ns) * 1e-6;
    }
    if (r->prefill_ms > 0)
        r->stats.prefill_tps = (double)(r->fed - r->stats.cached_tokens) / r->prefill_ms * 1e3;
    if (r->stats.decode_ms > 0 && r->n_answer > 1)
        r->stats.decode_tps = (double)(r->n_answer - 1) / r->stats.decode_ms * 1e3;
    r->stats.peak_memory_bytes = peak_memory();
    p->rows[index] = p->rows[--p->n_rows];
    sink.end(sink.user, r->answer, r->n_answer, &r->stats, status, err);
    row_free(r);
}

/* Ends a row that is no error: what was held back is text now. */
static void row_finish(text_pipeline *p, int index, mlxe_finish finish, int stopped)
{
    row *r = p->rows[index];
    mlxe_error err = {0};
    mlxe_status rc = MLXE_OK;
    buf_clear(&p->piece);
    buf_clear(&p->text);
    if (!stopped) {
        rc = tok_stream_finish(r->stream, &p->piece, &err);
        if (!stop_push(&r->stop, buf_view(&p->piece), &p->text)) stop_finish(&r->stop, &p->text);
    }
    if (!buf_ok(&p->text) || !buf_ok(&p->piece)) rc = err_memory(&err, "answer", p->text.n);
    if (p->text.n) r->req.sink.text(r->req.sink.user, p->text.p, p->text.n);
    row_end(p, index, finish, rc, &err);
}

static int is_end(const row *r, int32_t token)
{
    for (size_t i = 0; i < r->req.n_end_ids; i++)
        if (r->req.end_ids[i] == token) return 1;
    return 0;
}

static void token_json(text_pipeline *p, buf *out, int32_t id, double logprob)
{
    mlxe_error err;
    buf_clear(&p->piece);
    (void)tok_decode(p->tokenizer, &id, 1, 0, &p->piece, &err);
    buf_add_str(out, "{\"id\":");
    json_write_int(out, id);
    buf_add_str(out, ",\"token\":");
    json_write_str(out, buf_view(&p->piece));
    buf_add_str(out, ",\"logprob\":");
    json_write_float(out, logprob);
}

static void row_logprobs(text_pipeline *p, row *r, const float *logits, int32_t token)
{
    int32_t ids[TOP_LOGPROBS], n = (int32_t)r->req.logprobs;
    logits_sum total = logits_total(logits, p->caps.vocab);
    buf_clear(&p->text);
    if (n > TOP_LOGPROBS) n = TOP_LOGPROBS;
    if (n > p->caps.vocab) n = p->caps.vocab;
    logits_top(logits, p->caps.vocab, ids, n);
    token_json(p, &p->text, token, logprob_of(logits[token], &total));
    buf_add_str(&p->text, ",\"top\":[");
    for (int32_t i = 0; i < n; i++) {
        if (i) buf_add_char(&p->text, ',');
        token_json(p, &p->text, ids[i], logprob_of(logits[ids[i]], &total));
        buf_add_char(&p->text, '}');
    }
    buf_add_str(&p->text, "]}");
    if (buf_ok(&p->text)) r->req.sink.logprobs(r->req.sink.user, p->text.p, p->text.n);
}

/* A special token is told to sinks that want it; text before it that was held back goes first. */
static mlxe_status row_special(text_pipeline *p, row *r, int32_t token, mlxe_error *err)
{
    mlxe_status rc;
    if (!r->req.sink.special || !tok_is_special(p->tokenizer, token)) return MLXE_OK;
    buf_clear(&p->text);
    stop_finish(&r->stop, &p->text);
    if (p->text.n) r->req.sink.text(r->req.sink.user, p->text.p, p->text.n);
    buf_clear(&p->piece);
    rc = tok_decode(p->tokenizer, &token, 1, 0, &p->piece, err);
    if (!rc) r->req.sink.special(r->req.sink.user, buf_str(&p->piece), p->piece.n);
    return rc;
}

static int answer_add(row *r, int32_t token)
{
    if (r->n_answer == r->cap_answer) {
        size_t cap = r->cap_answer ? r->cap_answer * 2 : 64;
        int32_t *grown = realloc(r->answer, cap * sizeof *grown);
        if (!grown) return 0;
        r->answer = grown;
        r->cap_answer = cap;
    }
    r->answer[r->n_answer++] = token;
    return 1;
}

/* Takes the row's logits: samples, emits text, ends the row where it is over. -> 1: the row is
 * gone */
static int row_token(text_pipeline *p, int index, const eng_row *step)
{
    row *r = p->rows[index];
    sampler_input in = {&r->req.sampler, r->req.prompt, r->answer, r->req.n_prompt, r->n_answer};
    mlxe_error err = {0};
    mlxe_status rc = MLXE_OK;
    int32_t token = step->token;
    int stopped;
    if (token < 0) rc = sampler_choose(&in, step->logits, p->caps.vocab, &p->scratch, &token, &err);
    r->last_ns = clock_ns();
    if (!r->first_ns) r->first_ns = r->last_ns;
    if (!rc && r->req.sink.replace) token = r->req.sink.replace(r->req.sink.user, token);
    if (!rc && r->req.logprobs && step->logits) row_logprobs(p, r, step->logits, token);
    if (!rc && is_end(r, token)) {
        row_finish(p, index, MLXE_FINISH_STOP, 0);
        return 1;
    }
    if (!rc && !answer_add(r, token))
        rc = err_memory(&err, "answer", r->n_answer * sizeof *r->answer);
    if (!rc) rc = row_special(p, r, token, &err);
    buf_clear(&p->piece);
    buf_clear(&p->text);
    if (!rc) rc = tok_stream_push(r->stream, token, &p->piece, &err);
    if (rc) {
        row_end(p, index, 0, rc, &err);
        return 1;
    }
    stopped = stop_push(&r->stop, buf_view(&p->piece), &p->text);
    if (p->text.n) r->req.sink.text(r->req.sink.user, p->text.p, p->text.n);
    if (stopped) {
        row_finish(p, index, MLXE_FINISH_STOP, 1);
        return 1;
    }
    if ((r->req.max_tokens && r->n_answer >= r->req.max_tokens) ||
        (int64_t)(r->req.n_prompt + r->n_answer) >= r->req.context_tokens) {
        row_finish(p, index, MLXE_FINISH_LENGTH, 0);
        return 1;
    }
    r->next = token;
    return 0;
}

/* ---- a turn ---------------------------------------------------------------------------------- */

/* Fills p->steps. -> rows that take part; *chunk: prompt tokens among them */
static int turn_gather(text_pipeline *p, int32_t *chunk)
{
    int32_t room = text_chunk_tokens(p, CHUNK_MS);
    int n = 0;
    *chunk = 0;
    for (int i = 0; i < p->n_rows; i++) {
        row *r = p->rows[i];
        eng_row *s = &p->steps[n];
        r->step_index = -1;
        if (r->next >= 0 && !r->req.sink.ready(r->req.sink.user)) continue;
        *s = (eng_row){.kv = r->req.kv, .sampler = p->caps.samples ? &r->req.sampler : NULL};
        if (r->next >= 0) {
            s->ids = &r->next;
            s->n = 1;
            s->want = ENG_WANT_LAST;
        } else {
            size_t left = r->req.n_prompt - r->fed;
            if (room < 1) continue;
            s->ids = r->req.prompt + r->fed;
            s->n = left < (size_t)room ? (int32_t)left : room;
            s->total = (int32_t)r->req.n_prompt;
            s->want = (size_t)s->n == left ? ENG_WANT_LAST : ENG_WANT_NONE;
            room -= s->n;
            *chunk += s->n;
        }
        r->step_index = n++;
    }
    return n;
}

static void turn_settle(text_pipeline *p, double ms)
{
    for (int i = p->n_rows; i-- > 0;) {
        row *r = p->rows[i];
        const eng_row *s;
        if (r->step_index < 0) continue;
        s = &p->steps[r->step_index];
        if (r->next < 0) {
            r->fed += (size_t)s->n;
            r->prefill_ms += ms;
            r->req.sink.progress(r->req.sink.user, r->fed, r->req.n_prompt);
            if (r->fed < r->req.n_prompt) continue;
        }
        row_token(p, i, s);
    }
}

/* Rows whose caller gave up. Also when the pipeline closes. */
static void turn_cancelled(text_pipeline *p, int all)
{
    for (int i = p->n_rows; i-- > 0;)
        if (all || atomic_load(p->rows[i]->req.cancel)) row_finish(p, i, MLXE_FINISH_CANCELLED, 0);
}

static void turn_failed(text_pipeline *p, mlxe_status rc, const mlxe_error *err)
{
    if (rc == MLXE_E_CANCELLED) return; /* the next look at the flags ends the row */
    for (int i = p->n_rows; i-- > 0;)
        if (p->rows[i]->step_index >= 0) row_end(p, i, 0, rc, err);
}

/* -> 0 when there was nothing that could run */
static int turn(text_pipeline *p)
{
    mlxe_error err = {0};
    int32_t chunk;
    int n = turn_gather(p, &chunk);
    const atomic_int *cancel = n == 1 && p->n_rows == 1 ? p->rows[0]->req.cancel : NULL;
    double before = clock_ms(), ms;
    mlxe_status rc;
    if (!n) return 0;
    rc = p->ops->step(p->model, p->steps, n, cancel, &err);
    ms = clock_ms() - before;
    if (rc) {
        turn_failed(p, rc, &err);
        return 1;
    }
    if (chunk) text_chunk_measured(p, chunk, ms);
    turn_settle(p, ms);
    return 1;
}

/* ---- the thread ------------------------------------------------------------------------------ */

/* A request that never became a row ends here. */
static void waiting_end(waiting *w, mlxe_finish finish, mlxe_status rc, const mlxe_error *err)
{
    mlxe_stats none = {
        .finish = finish, .prompt_tokens = (uint32_t)w->req.n_prompt, .seed = w->req.sampler.seed};
    w->req.sink.end(w->req.sink.user, NULL, 0, &none, rc, err);
    free(w);
}

/* Moves requests into free rows, ends those whose caller gave up. Called with the lock held. */
static void admit(text_pipeline *p)
{
    for (waiting **at = &p->first, *w; (w = *at);) {
        row *r = NULL;
        mlxe_error err = {0};
        int cancelled = atomic_load(w->req.cancel);
        if (!cancelled && p->n_rows == p->parallel) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        if (cancelled) {
            waiting_end(w, MLXE_FINISH_CANCELLED, MLXE_OK, &err);
        } else if (row_new(p, w, &r, &err)) {
            waiting_end(w, 0, err.code, &err);
        } else {
            p->rows[p->n_rows++] = r;
            free(w);
        }
    }
    p->last = &p->first;
    while (*p->last)
        p->last = &(*p->last)->next;
}

static void serve_calls(text_pipeline *p)
{
    while (p->calls) {
        exclusive *call = p->calls;
        p->calls = call->next;
        pthread_mutex_unlock(&p->lock);
        call->fn(call->arg);
        pthread_mutex_lock(&p->lock);
        call->done = 1;
        pthread_cond_broadcast(&p->served);
    }
}

/* Turn after turn on the engine's thread: a turn that is handed over to it costs two wake-ups of
 * sleeping threads a token. */
static void turns(void *arg)
{
    text_pipeline *p = arg;
    const int rows = p->n_rows;
    do {
        p->ran = turn(p);
        turn_cancelled(p, 0);
    } while (p->ran && p->n_rows == rows && !p->queued && !atomic_load(&p->called) &&
             !p->ops->wanted(p->model));
}

static void run_turns(text_pipeline *p)
{
    mlxe_error err;
    p->ran = 0;
    if (!p->ops->run)
        p->ran = turn(p);
    else if (p->ops->run(p->model, turns, p, &err))
        while (p->n_rows)
            row_end(p, p->n_rows - 1, 0, err.code, &err);
}

static void *run(void *arg)
{
    text_pipeline *p = arg;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        int closing;
        atomic_store(&p->called, 0);
        serve_calls(p);
        admit(p);
        closing = p->closing;
        p->queued = p->first != NULL;
        if (!p->n_rows && closing) break;
        if (!p->n_rows) {
            pthread_cond_wait(&p->wake, &p->lock);
            continue;
        }
        pthread_mutex_unlock(&p->lock);
        turn_cancelled(p, closing);
        if (p->n_rows) run_turns(p);
        pthread_mutex_lock(&p->lock);
        /* Every row waits for its sink: look again soon, a reader makes no call to us. */
        if (!p->ran && p->n_rows) cond_wait_until(&p->wake, &p->lock, clock_ns() + 5000000);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

mlxe_status text_open(const engine_ops *ops, eng_model *model, const tok *tokenizer, int parallel,
                      text_pipeline **out, mlxe_error *err)
{
    text_pipeline *p = calloc(1, sizeof *p);
    mlxe_status rc;
    *out = NULL;
    if (!p) return err_memory(err, "text pipeline", sizeof *p);
    p->ops = ops;
    p->model = model;
    p->tokenizer = tokenizer;
    p->parallel = parallel;
    p->last = &p->first;
    ops->capabilities(model, &p->caps);
    p->rows = calloc((size_t)parallel, sizeof *p->rows);
    p->steps = calloc((size_t)parallel, sizeof *p->steps);
    rc = p->rows && p->steps
             ? MLXE_OK
             : err_memory(err, "text pipeline", (size_t)parallel * sizeof *p->steps);
    if (!rc && (pthread_mutex_init(&p->lock, NULL) || cond_init(&p->wake) || cond_init(&p->served)))
        rc = err_memory(err, "text pipeline", 0);
    if (!rc) rc = thread_start(&p->thread, "mlxe-text", run, p, err);
    if (rc) {
        free(p->rows);
        free(p->steps);
        free(p);
        return rc;
    }
    *out = p;
    return MLXE_OK;
}

void text_close(text_pipeline *p)
{
    if (!p) return;
    pthread_mutex_lock(&p->lock);
    p->closing = 1;
    atomic_store(&p->called, 1);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->wake);
    pthread_cond_destroy(&p->served);
    sampler_scratch_deinit(&p->scratch);
    buf_deinit(&p->piece);
    buf_deinit(&p->text);
    free(p->rows);
    free(p->steps);
    free(p);
}

mlxe_status text_submit(text_pipeline *p, const text_request *request, mlxe_error *err)
{
    waiting *w = calloc(1, sizeof *w);
    if (!w) return err_memory(err, "request", sizeof *w);
    w->req = *request;
    w->submitted_ns = clock_ns();
    pthread_mutex_lock(&p->lock);
    *p->last = w;
    p->last = &w->next;
    atomic_store(&p->called, 1);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    return MLXE_OK;
}

void text_exclusive(text_pipeline *p, void (*fn)(void *), void *arg)
{
    exclusive call = {.fn = fn, .arg = arg};
    pthread_mutex_lock(&p->lock);
    call.next = p->calls;
    p->calls = &call;
    atomic_store(&p->called, 1);
    pthread_cond_broadcast(&p->wake);
    while (!call.done)
        pthread_cond_wait(&p->served, &p->lock);
    pthread_mutex_unlock(&p->lock);
}
