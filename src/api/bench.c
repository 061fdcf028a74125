/* bench.c: mlxe_bench_start: how fast a model loads, prefills and decodes here, against what the
 * machine can do in the same minute.
 *
 *   its own thread: open the model -> on the pipeline's thread (model to itself): first token, then
 *   `repeat` rounds of { read all weights, arithmetic peak, prefill, decode } -> JSON -> job's end
 *
 * The rounds are interleaved because a shared machine is not the same for long; of each kind the
 * best round counts, and all are reported. Prefill is cut into chunks as generation cuts it. Decode
 * goes through the engine's step and the sampler, greedily, end tokens ignored; rows of a ragged
 * batch differ in length. Ids are drawn from the whole vocabulary by a fixed generator.
 *
 * Bytes a step: every stored weight that a token needs, once, and the KV cache of all rows at their
 * mean length. Read bandwidth: the mapped weights themselves, summed by the kernels' threads. */
#include "api/api.h"

#include "base/fs.h"
#include "base/json.h"
#include "base/thread.h"
#include "kernels/kernels.h"
#include "kernels/measure.h"
#include "kernels/pool.h"
#include "pipelines/sampler.h"

#include <math.h>
#include <stdlib.h>

enum { MAX_REPEAT = 100, MAX_ROWS = 256, MAX_SHARDS = 4096 };

static const double PEAK_MS = 40;   /* of a measurement of the arithmetic peak */
static const double CHUNK_MS = 200; /* as the text pipeline's */

typedef struct samples {
    double ms[MAX_REPEAT];
    int n;
} samples;

typedef struct bench {
    mlxe_engine *engine;
    job *job;
    text_sink sink;
    char *name; /* of the model */
    mlxe_model_params model_params;
    mlxe_bench_params p;
    double open_ms, first_ms;
    loaded *m; /* while measuring */
    kn_span *spans;
    int n_spans;
    uint64_t read_bytes;
    double f32_peak, int8_peak; /* operations a second */
    samples read, prefill, decode;
    double mean_context; /* tokens of all rows together, on average over a decode round */
    uint64_t kv_bytes;
    buf report;
    mlxe_error err;
} bench;

/* ---- rounds ---------------------------------------------------------------------------------- */

/* The id at a position: any, the same in every run. */
static int32_t id_at(const bench *b, uint64_t position)
{
    uint64_t x = (position + 1) * 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 31)) * 0xBF58476D1CE4E5B9u;
    return (int32_t)((x >> 20) % (uint64_t)b->m->caps.ids);
}

/* Feeds a row up to `length` tokens as generation does: chunk by chunk, logits of the last token
 * only. */
static mlxe_status fill(bench *b, eng_kv *kv, int32_t length)
{
    const engine_ops *ops = b->m->ops;
    int32_t ids[512], at = ops->kv_length(kv);
    mlxe_status rc = MLXE_OK;
    while (!rc && at < length) {
        eng_row row = {.kv = kv, .ids = ids, .total = length};
        double from;
        row.n = text_chunk_tokens(b->m->text, CHUNK_MS);
        if (row.n > length - at) row.n = length - at;
        if (row.n > 512) row.n = 512;
        for (int32_t i = 0; i < row.n; i++)
            ids[i] = id_at(b, (uint64_t)(at + i));
        at += row.n;
        row.want = at == length ? ENG_WANT_LAST : ENG_WANT_NONE;
        from = clock_ms();
        rc = ops->step(b->m->model, &row, 1, job_cancel_flag(b->job), &b->err);
        if (!rc) text_chunk_measured(b->m->text, row.n, clock_ms() - from);
    }
    return rc;
}

static mlxe_status rewind_to(bench *b, eng_kv *kv, int32_t length)
{
    int32_t kept;
    mlxe_status rc = b->m->ops->kv_truncate(kv, length, &kept, &b->err);
    return rc ? rc : fill(b, kv, length);
}

static mlxe_status first_token(bench *b)
{
    double from = clock_ms();
    eng_kv *kv;
    mlxe_status rc = b->m->ops->kv_open(b->m->model, &kv, &b->err);
    if (!rc) rc = fill(b, kv, 1);
    b->first_ms = clock_ms() - from;
    b->m->ops->kv_close(kv);
    return rc;
}

static void sample_add(samples *s, double ms) { s->ms[s->n++] = ms; }

static mlxe_status limits_round(bench *b)
{
    const atomic_int *cancel = job_cancel_flag(b->job);
    double peak, from = clock_ms();
    uint64_t sum;
    mlxe_status rc = kn_sum_read(b->spans, b->n_spans, &sum, cancel);
    if (rc) return rc;
    sample_add(&b->read, clock_ms() - from);
    if ((rc = kn_peak_measure(KN_PEAK_F32, PEAK_MS, &peak, cancel))) return rc;
    if (peak > b->f32_peak) b->f32_peak = peak;
    if ((rc = kn_peak_measure(KN_PEAK_INT8, PEAK_MS, &peak, cancel))) return rc;
    if (peak > b->int8_peak) b->int8_peak = peak;
    return MLXE_OK;
}

static mlxe_status prefill_round(bench *b, eng_kv *kv)
{
    int32_t kept;
    mlxe_status rc = b->m->ops->kv_truncate(kv, 0, &kept, &b->err);
    double from = clock_ms();
    if (!rc) rc = fill(b, kv, b->p.prompt_tokens);
    if (!rc) sample_add(&b->prefill, clock_ms() - from);
    return rc;
}

/* Tokens before the decode in row r of the batch: from half the depth to all of it. */
static int32_t row_length(const bench *b, uint32_t r)
{
    int32_t depth = (int32_t)b->p.depth_tokens;
    int32_t length = depth - (int32_t)((int64_t)depth * r / (2 * (int64_t)b->p.rows));
    return length < 1 ? 1 : length;
}

typedef struct decoding {
    eng_kv *kv[MAX_ROWS];
    int32_t next[MAX_ROWS];
    eng_row step[MAX_ROWS];
    sampler_scratch scratch;
} decoding;

static mlxe_status decode_step(bench *b, decoding *d)
{
    eng_sampler greedy = {.top_p = 1, .repetition_penalty = 1};
    sampler_input in = {.params = &greedy};
    int n = (int)b->p.rows;
    mlxe_status rc;
    for (int r = 0; r < n; r++)
        d->step[r] = (eng_row){
            .kv = d->kv[r], .ids = &d->next[r], .n = 1, .want = ENG_WANT_LAST, .sampler = &greedy};
    rc = b->m->ops->step(b->m->model, d->step, n, job_cancel_flag(b->job), &b->err);
    for (int r = 0; r < n && !rc; r++) {
        d->next[r] = d->step[r].token;
        if (d->next[r] < 0)
            rc = sampler_choose(&in, d->step[r].logits, b->m->caps.vocab, &d->scratch, &d->next[r],
                                &b->err);
        if (!rc && d->next[r] >= b->m->caps.ids) d->next[r] = b->m->caps.ids - 1;
    }
    return rc;
}

static mlxe_status decode_round(bench *b, decoding *d)
{
    double from;
    mlxe_status rc = MLXE_OK;
    for (uint32_t r = 0; r < b->p.rows && !rc; r++) {
        d->next[r] = id_at(b, (uint64_t)row_length(b, r));
        rc = rewind_to(b, d->kv[r], row_length(b, r));
    }
    from = clock_ms();
    for (int32_t i = 0; i < b->p.gen_tokens && !rc; i++)
        rc = decode_step(b, d);
    if (!rc) sample_add(&b->decode, clock_ms() - from);
    return rc;
}

static mlxe_status rounds(bench *b, eng_kv *prompt, decoding *d)
{
    mlxe_status rc = MLXE_OK;
    for (uint32_t i = 0; i < b->p.repeat && !rc; i++) {
        rc = limits_round(b);
        if (!rc && b->p.prompt_tokens > 0) rc = prefill_round(b, prompt);
        if (!rc && b->p.gen_tokens > 0) rc = decode_round(b, d);
    }
    for (uint32_t r = 0; r < b->p.rows && d->kv[r]; r++) {
        b->mean_context += row_length(b, r) + b->p.gen_tokens / 2.0;
        b->kv_bytes += b->m->ops->kv_bytes(d->kv[r]);
    }
    if (prompt) b->kv_bytes += b->m->ops->kv_bytes(prompt);
    return rc;
}

/* ---- what the system says -------------------------------------------------------------------- */

/* The mapped bytes of each shard, from its first tensor to its last. */
static mlxe_status spans_find(bench *b)
{
    model_files *f = b->m->files;
    b->spans = calloc(MAX_SHARDS, sizeof *b->spans);
    if (!b->spans) return err_memory(&b->err, "bench", MAX_SHARDS * sizeof *b->spans);
    for (size_t i = 0; i < mf_count(f); i++) {
        const mf_tensor *t = mf_at(f, i);
        kn_span *s = &b->spans[t->file < MAX_SHARDS ? t->file : MAX_SHARDS - 1];
        const void *data;
        uintptr_t low, high;
        mlxe_status rc = mf_data(f, t, &data, &b->err);
        if (rc) return rc;
        low = (uintptr_t)data;
        high = low + t->bytes;
        if (s->bytes && (uintptr_t)s->p < low) low = (uintptr_t)s->p;
        if (s->bytes && (uintptr_t)s->p + s->bytes > high) high = (uintptr_t)s->p + s->bytes;
        *s = (kn_span){(const void *)low, high - low};
        if (t->file >= b->n_spans) b->n_spans = t->file + 1;
    }
    for (int i = 0; i < b->n_spans; i++)
        b->read_bytes += b->spans[i].bytes;
    return MLXE_OK;
}

/* A line "NAME:   123 kB" of /proc/self/status in bytes; 0 where the system has none. */
static uint64_t status_bytes(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    return at ? strtoull(at + strlen(name), NULL, 10) * 1024 : 0;
}

static void report_memory(bench *b)
{
    buf status = {0};
    uint64_t anon, file, shared, weights = b->m->caps.weight_bytes;
    (void)fs_read("/proc/self/status", 0, &status, NULL);
    anon = status_bytes(buf_str(&status), "RssAnon:");
    file = status_bytes(buf_str(&status), "RssFile:");
    shared = status_bytes(buf_str(&status), "RssShmem:");
    buf_addf(&b->report, ",\"memory\":{\"anonymous_bytes\":%llu,\"file_bytes\":%llu,",
             (unsigned long long)(anon + shared), (unsigned long long)file);
    buf_addf(&b->report, "\"peak_bytes\":%llu,\"weight_bytes\":%llu,\"kv_cache_bytes\":%llu,",
             (unsigned long long)status_bytes(buf_str(&status), "VmHWM:"),
             (unsigned long long)weights, (unsigned long long)b->kv_bytes);
    buf_addf(&b->report, "\"over_weights_bytes\":%lld}",
             (long long)(anon + shared + file) - (long long)weights);
    buf_deinit(&status);
}

/* ---- the report ------------------------------------------------------------------------------ */

static int rising(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void number(buf *out, const char *key, double value)
{
    buf_addf(out, "\"%s\":", key);
    json_write_float(out, round(value * 1e4) / 1e4);
}

/* "<key>":[ms of each round], then best and median as tokens a second; -> the best in ms */
static double report_rates(bench *b, samples *s, double tokens)
{
    double sorted[MAX_REPEAT];
    memcpy(sorted, s->ms, sizeof sorted);
    qsort(sorted, (size_t)s->n, sizeof *sorted, rising);
    buf_add_str(&b->report, "\"ms\":[");
    for (int i = 0; i < s->n; i++) {
        if (i) buf_add_char(&b->report, ',');
        json_write_float(&b->report, round(s->ms[i] * 1e4) / 1e4);
    }
    buf_add_str(&b->report, "],");
    number(&b->report, "tps", tokens / sorted[0] * 1e3);
    buf_add_char(&b->report, ',');
    number(&b->report, "median_tps", tokens / sorted[s->n / 2] * 1e3);
    return sorted[0];
}

static void report_prefill(bench *b)
{
    double ms, rate;
    if (!b->prefill.n) return;
    buf_addf(&b->report, ",\"prefill\":{\"tokens\":%d,", b->p.prompt_tokens);
    ms = report_rates(b, &b->prefill, b->p.prompt_tokens);
    rate = 2 * b->m->caps.token_macs * b->p.prompt_tokens / ms * 1e3;
    buf_add_char(&b->report, ',');
    number(&b->report, "gflops", rate * 1e-9);
    buf_add_char(&b->report, ',');
    number(&b->report, "f32_peak_share", b->f32_peak > 0 ? rate / b->f32_peak : 0);
    buf_add_char(&b->report, ',');
    number(&b->report, "int8_peak_share", b->int8_peak > 0 ? rate / b->int8_peak : 0);
    buf_add_char(&b->report, '}');
}

static void report_decode(bench *b, double bandwidth)
{
    const eng_caps *caps = &b->m->caps;
    double kv = b->mean_context * (double)caps->kv_token_bytes,
           bytes = (double)caps->token_bytes + kv, ms;
    if (!b->decode.n) return;
    buf_addf(&b->report, ",\"decode\":{\"tokens\":%d,\"rows\":%u,\"depth\":%d,", b->p.gen_tokens,
             b->p.rows, (int)b->p.depth_tokens);
    ms = report_rates(b, &b->decode, (double)b->p.gen_tokens * b->p.rows) / b->p.gen_tokens;
    buf_addf(&b->report, ",\"weight_bytes_per_step\":%llu,\"kv_bytes_per_step\":%llu,",
             (unsigned long long)caps->token_bytes, (unsigned long long)kv);
    number(&b->report, "step_ms", ms);
    buf_add_char(&b->report, ',');
    number(&b->report, "gbps", bytes / ms * 1e-6);
    buf_add_char(&b->report, ',');
    number(&b->report, "bandwidth_share", bandwidth > 0 ? bytes / ms * 1e3 / bandwidth : 0);
    buf_add_char(&b->report, '}');
}

static void report_write(bench *b)
{
    double best = b->read.ms[0], bandwidth;
    for (int i = 1; i < b->read.n; i++)
        if (b->read.ms[i] < best) best = b->read.ms[i];
    bandwidth = best > 0 ? (double)b->read_bytes / best * 1e3 : 0;
    buf_add_str(&b->report, "{\"model\":");
    json_write_str(&b->report, strv_of(b->name));
    buf_add_str(&b->report, ",\"kernels\":");
    json_write_str(&b->report, strv_of(kn_isa()));
    buf_addf(&b->report, ",\"kv_type\":\"%s\",\"threads\":%d,\"repeat\":%u,\"load\":{",
             b->m->caps.kv_type, kn_pool_threads(), b->p.repeat);
    number(&b->report, "engine_ms", b->engine->open_ms);
    buf_add_char(&b->report, ',');
    number(&b->report, "open_ms", b->open_ms);
    buf_add_char(&b->report, ',');
    number(&b->report, "first_token_ms", b->first_ms);
    buf_add_char(&b->report, ',');
    number(&b->report, "total_ms", b->engine->open_ms + b->open_ms + b->first_ms);
    buf_addf(&b->report, "},\"limits\":{\"read_bytes\":%llu,", (unsigned long long)b->read_bytes);
    number(&b->report, "read_gbps", bandwidth * 1e-9);
    buf_add_char(&b->report, ',');
    number(&b->report, "f32_gflops", b->f32_peak * 1e-9);
    buf_add_char(&b->report, ',');
    number(&b->report, "int8_gops", b->int8_peak * 1e-9);
    buf_add_char(&b->report, '}');
    report_prefill(b);
    report_decode(b, bandwidth);
    report_memory(b);
    buf_add_char(&b->report, '}');
}

/* ---- the job --------------------------------------------------------------------------------- */

typedef struct measuring {
    bench *b;
    mlxe_status status;
} measuring;

static void measure(void *arg)
{
    measuring *call = arg;
    bench *b = call->b;
    const engine_ops *ops = b->m->ops;
    decoding *d = calloc(1, sizeof *d);
    eng_kv *prompt = NULL;
    mlxe_status rc = d ? first_token(b) : err_memory(&b->err, "bench", sizeof *d);
    if (!rc) rc = spans_find(b);
    if (!rc && b->p.prompt_tokens > 0) rc = ops->kv_open(b->m->model, &prompt, &b->err);
    for (uint32_t r = 0; r < b->p.rows && !rc && b->p.gen_tokens > 0; r++)
        rc = ops->kv_open(b->m->model, &d->kv[r], &b->err);
    if (!rc) rc = rounds(b, prompt, d);
    if (!rc) report_write(b);
    ops->kv_close(prompt);
    for (uint32_t r = 0; r < b->p.rows && d; r++)
        ops->kv_close(d->kv[r]);
    if (d) sampler_scratch_deinit(&d->scratch);
    free(d);
    call->status = rc;
}

/* What was left open becomes a number that the model can do; what was asked for must fit. */
static mlxe_status settle_sizes(bench *b)
{
    mlxe_bench_params *p = &b->p;
    int64_t context = b->m->context_tokens, gen = p->gen_tokens > 0 ? p->gen_tokens : 0;
    if (!p->prompt_tokens) p->prompt_tokens = (int32_t)(context < 512 ? context : 512);
    if (!p->gen_tokens) gen = p->gen_tokens = (int32_t)(context < 128 ? (context + 1) / 2 : 64);
    if (!p->depth_tokens)
        p->depth_tokens = (uint32_t)(context - gen < 1     ? 1
                                     : context - gen < 128 ? context - gen
                                                           : 128);
    if (p->prompt_tokens > context)
        return err_set(&b->err, MLXE_E_LIMIT, "prompt: %d tokens, want at most the context of %lld",
                       p->prompt_tokens, (long long)context);
    if (gen && p->depth_tokens + gen > context)
        return err_set(&b->err, MLXE_E_LIMIT,
                       "depth and gen: %lld tokens, want at most the context of %lld",
                       (long long)(p->depth_tokens + gen), (long long)context);
    return MLXE_OK;
}

static void bench_free(bench *b)
{
    mlxe_engine_close(b->engine);
    buf_deinit(&b->report);
    free(b->spans);
    free(b->name);
    free(b);
}

static void *bench_run(void *arg)
{
    bench *b = arg;
    measuring call = {b, MLXE_OK};
    mlxe_model *model;
    mlxe_stats stats = {.finish = MLXE_FINISH_STOP, .device = "cpu", .kernels = kn_isa()};
    text_sink sink = b->sink;
    mlxe_error err;
    double from = clock_ms();
    mlxe_status rc = mlxe_model_open(b->engine, b->name, &b->model_params, &model, &b->err);
    b->open_ms = clock_ms() - from;
    if (!rc) {
        b->m = model->loaded;
        rc = settle_sizes(b);
        if (!rc) text_exclusive(b->m->text, measure, &call);
        if (!rc) rc = call.status;
        mlxe_model_close(model);
    }
    if (!rc && !buf_ok(&b->report)) rc = err_memory(&b->err, "report", b->report.n);
    if (rc == MLXE_E_CANCELLED) {
        stats.finish = MLXE_FINISH_CANCELLED;
        rc = MLXE_OK;
    } else if (!rc) {
        sink.text(sink.user, buf_str(&b->report), b->report.n);
    }
    err = b->err;
    bench_free(b);
    sink.end(sink.user, NULL, 0, &stats, rc, &err);
    return NULL;
}

static mlxe_status params_check(mlxe_bench_params *p, mlxe_error *err)
{
    if (p->prompt_tokens < MLXE_OFF || p->gen_tokens < MLXE_OFF)
        return err_set(err, MLXE_E_ARG, "prompt_tokens, gen_tokens: %d, %d, want MLXE_OFF or more",
                       p->prompt_tokens, p->gen_tokens);
    if (p->rows > MAX_ROWS)
        return err_set(err, MLXE_E_ARG, "rows: %u, want at most %d", p->rows, MAX_ROWS);
    if (p->repeat > MAX_REPEAT)
        return err_set(err, MLXE_E_ARG, "repeat: %u, want at most %d", p->repeat, MAX_REPEAT);
    if (p->depth_tokens > INT32_MAX)
        return err_set(err, MLXE_E_ARG, "depth_tokens: %u, want at most %d", p->depth_tokens,
                       INT32_MAX);
    if (!p->rows) p->rows = 1;
    if (!p->repeat) p->repeat = 3;
    return MLXE_OK;
}

mlxe_status mlxe_bench_start(mlxe_engine *engine, const char *model,
                             const mlxe_model_params *model_params, const mlxe_bench_params *params,
                             mlxe_job **out, mlxe_error *err)
{
    mlxe_status rc;
    bench *b;
    job *j = NULL;
    *out = NULL;
    err_clear(err);
    if ((rc = api_process(engine->process, err))) return rc;
    b = calloc(1, sizeof *b);
    if (!b) return err_memory(err, "bench", sizeof *b);
    engine_retain(engine);
    b->engine = engine;
    b->name = strdup(model);
    if (!b->name) rc = err_memory(err, "bench", 0);
    if (!rc)
        rc = api_params("mlxe_model_params", model_params, &b->model_params, sizeof b->model_params,
                        err);
    b->model_params.size = (uint32_t)sizeof b->model_params;
    if (!rc) rc = api_params("mlxe_bench_params", params, &b->p, sizeof b->p, err);
    if (!rc) rc = params_check(&b->p, err);
    if (!rc) rc = job_open(&j, err);
    if (rc) {
        bench_free(b);
        return rc;
    }
    b->job = j;
    b->sink = job_sink(j);
    *out = j;
    if (!(rc = job_start(j, "mlxe-bench", bench_run, b, err))) return MLXE_OK;
    *out = NULL;
    job_release(j); /* the sink's reference, and the caller's */
    job_release(j);
    bench_free(b);
    return rc;
}
