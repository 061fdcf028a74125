/* model.c: mlxe_model: open, describe, and passes over plain ids (logits). */
#include "api/api.h"
#include "api/hub.h"

#include "files/safetensors.h"
#include "registry/describe.h"

#include "base/thread.h"

#include <stdlib.h>

mlxe_status mlxe_model_describe(const char *model, char **out_json, mlxe_error *err)
{
    buf folder = {0}, text = {0};
    mlxe_status rc = api_resolve(NULL, NULL, model, &folder, err);
    *out_json = NULL;
    if (!rc) rc = describe_folder(model, buf_str(&folder), &text, err);
    if (!rc && !(*out_json = buf_take(&text, NULL))) rc = err_memory(err, "description", 0);
    buf_deinit(&folder);
    buf_deinit(&text);
    return rc;
}

mlxe_status mlxe_model_open(mlxe_engine *engine, const char *model, const mlxe_model_params *params,
                            mlxe_model **out, mlxe_error *err)
{
    mlxe_model_params p;
    mlxe_model *m = NULL;
    buf folder = {0};
    mlxe_status rc;
    *out = NULL;
    err_clear(err);
    if ((rc = api_process(engine->process, err))) return rc;
    if ((rc = api_params("mlxe_model_params", params, &p, sizeof p, err))) return rc;
    if (p.parallel > 256)
        return err_set(err, MLXE_E_ARG, "parallel: %u, want at most 256", p.parallel);
    if (p.context_tokens > INT32_MAX)
        return err_set(err, MLXE_E_ARG, "context_tokens: %u, want at most %d", p.context_tokens,
                       INT32_MAX);
    if ((unsigned)p.kv_type > MLXE_KV_INT8)
        return err_set(err, MLXE_E_ARG, "kv_type: %d, want 0 or MLXE_KV_F32, F16, BF16 or INT8",
                       (int)p.kv_type);
    if ((unsigned)p.precision > MLXE_PRECISION_F32)
        return err_set(err, MLXE_E_ARG,
                       "precision: %d, want 0, MLXE_PRECISION_INT8 or MLXE_PRECISION_F32",
                       (int)p.precision);
    m = calloc(1, sizeof *m);
    if (!m) return err_memory(err, "model", sizeof *m);
    if ((rc = api_resolve(engine->hub, &engine->log, model, &folder, err))) goto out;
    if ((rc = loaded_open(buf_str(&folder), &p, &engine->log, &m->loaded, err))) goto out;
    m->tokenizer.tok = m->loaded->tokenizer;
    m->engine = engine;
    engine_retain(engine);
out:
    buf_deinit(&folder);
    if (rc)
        free(m);
    else
        *out = m;
    return rc;
}

void mlxe_model_close(mlxe_model *m)
{
    if (!m) return;
    loaded_release(m->loaded);
    mlxe_engine_close(m->engine);
    free(m);
}

mlxe_tokenizer *mlxe_model_tokenizer(mlxe_model *m)
{
    return m->loaded->tokenizer ? &m->tokenizer : NULL;
}
uint32_t mlxe_model_vocab(const mlxe_model *m) { return (uint32_t)m->loaded->caps.vocab; }

/* ---- logits ---------------------------------------------------------------------------------- */

typedef struct logits_call {
    loaded *m;
    const int32_t *ids;
    size_t n;
    mlxe_logits_fn fn;
    void *user;
    atomic_int cancel;
    mlxe_status status;
    mlxe_error *err;
} logits_call;

enum { LOGITS_FLOATS = 16 << 20 }; /* of a chunk at most: 64 MiB */

/* Runs on the pipeline's thread, in chunks: logits of a long text need not exist all at once. */
static void logits_run(void *arg)
{
    logits_call *c = arg;
    const engine_ops *ops = c->m->ops;
    eng_kv *kv;
    size_t at = 0;
    c->status = ops->kv_open(c->m->model, &kv, c->err);
    while (!c->status && at < c->n) {
        size_t n = (size_t)text_chunk_tokens(c->m->text, 200),
               most = LOGITS_FLOATS / (size_t)c->m->caps.vocab;
        eng_row row = {.kv = kv, .ids = c->ids + at, .total = (int32_t)c->n, .want = ENG_WANT_ALL};
        double before = clock_ms();
        if (n > most) n = most ? most : 1;
        if (n > c->n - at) n = c->n - at;
        row.n = (int32_t)n;
        c->status = ops->step(c->m->model, &row, 1, &c->cancel, c->err);
        if (c->status) break;
        text_chunk_measured(c->m->text, row.n, clock_ms() - before);
        if (c->fn(c->user, at, n, (uint32_t)c->m->caps.vocab, row.logits))
            c->status = err_set(c->err, MLXE_E_CANCELLED, "logits: cancelled");
        at += n;
    }
    ops->kv_close(kv);
}

mlxe_status mlxe_model_logits(mlxe_model *model, const int32_t *ids, size_t n_ids,
                              mlxe_logits_fn fn, void *user, mlxe_error *err)
{
    loaded *m = model->loaded;
    logits_call call = {.m = m, .ids = ids, .n = n_ids, .fn = fn, .user = user, .err = err};
    mlxe_status rc;
    err_clear(err);
    if ((rc = api_process(model->engine->process, err))) return rc;
    if (!n_ids) return err_set(err, MLXE_E_ARG, "ids: none, want at least one");
    if (n_ids > INT32_MAX || (m->context_given && (int64_t)n_ids > m->context_tokens))
        return err_set(err, MLXE_E_LIMIT, "ids: %zu, want at most the context of %lld", n_ids,
                       (long long)m->context_tokens);
    for (size_t i = 0; i < n_ids; i++)
        if (ids[i] < 0 || ids[i] >= m->caps.ids)
            return err_set(err, MLXE_E_ARG, "ids[%zu]: %d is outside the vocabulary, want 0 to %d",
                           i, ids[i], m->caps.ids - 1);
    if ((int64_t)n_ids > m->context_tokens)
        log_line(&m->log, MLXE_LOG_WARN, "logits of %zu tokens: the model was made for %lld", n_ids,
                 (long long)m->context_tokens);
    text_exclusive(m->text, logits_run, &call);
    return call.status;
}

typedef struct logits_file {
    st_writer *writer;
    mlxe_error *err;
    mlxe_status status;
} logits_file;

static int logits_write(void *user, size_t first, size_t n, uint32_t vocab, const float *logits)
{
    logits_file *f = user;
    (void)first;
    f->status = st_writer_add(f->writer, logits, n * vocab * sizeof *logits, f->err);
    return f->status != MLXE_OK;
}

mlxe_status mlxe_model_logits_save(mlxe_model *model, const int32_t *ids, size_t n_ids,
                                   const char *path, mlxe_error *err)
{
    st_entry entry = {.name = "logits",
                      .dtype = MF_F32,
                      .n_dims = 2,
                      .shape = {(int64_t)n_ids, model->loaded->caps.vocab}};
    mlxe_error write_err;
    logits_file f = {.err = &write_err};
    mlxe_status rc = st_writer_open(path, &entry, 1, &f.writer, err);
    if (rc) return rc;
    rc = mlxe_model_logits(model, ids, n_ids, logits_write, &f, err);
    if (f.status) {
        rc = f.status;
        if (err) *err = write_err;
    }
    if (!rc) rc = st_writer_commit(f.writer, err);
    st_writer_close(f.writer);
    return rc;
}
