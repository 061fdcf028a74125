/* mlx.c: the engine that runs src/models on MLX.
 *
 *   step: rows' ids -> one flat batch -> family's forward -> mx_eval -> commit rows -> logits
 *
 * Owns the order of a pass: ids are checked and rooms reserved before anything runs, the graph is
 * built and evaluated on the MLX thread, and only then do the rows' new tokens count. A pass that
 * fails or is cancelled leaves every row as it was. */
#include "engines/engine.h"

#include "base/arena.h"
#include "kernels/kernels.h"
#include "models/model.h"
#include "mx/mx.h"

#include <stdlib.h>
#include <string.h>

struct eng_model {
    model_files *files;
    const model_family *family;
    model *model;
    model_info info;
    arena mem;
    float *logits; /* of the last step */
    size_t logits_cap;
};

struct eng_kv {
    nn_kv *rows;
};

extern const struct model_family *const models_table[]; /* generated from src/models */

static const model_family *family_find(strv model_type)
{
    for (size_t i = 0; models_table[i]; i++)
        for (const char *const *name = models_table[i]->model_types; *name; name++)
            if (strv_is(model_type, *name)) return models_table[i];
    return NULL;
}

static mlxe_status unknown_type(strv model_type, mlxe_error *err)
{
    buf names = {0};
    for (size_t i = 0; models_table[i]; i++)
        for (const char *const *name = models_table[i]->model_types; *name; name++)
            buf_addf(&names, "%s%s", names.n ? ", " : "", *name);
    err_set(err, MLXE_E_UNSUPPORTED, "config.json: model_type: %.*s, want one of %s",
            (int)model_type.n, model_type.p, buf_str(&names));
    buf_deinit(&names);
    return MLXE_E_UNSUPPORTED;
}

static void model_close(eng_model *m)
{
    if (!m) return;
    arena_deinit(&m->mem);
    free(m->logits);
    free(m);
}

static kn_kv_type kv_type_of(const eng_options *options)
{
    if (options && options->kv_type) return (kn_kv_type)(options->kv_type - MLXE_KV_F32);
    return options && options->precision == MLXE_PRECISION_F32 ? KN_KV_F32 : KN_KV_F16;
}

static mlxe_status model_open(model_files *files, const eng_options *options, const log_sink *log,
                              eng_model **out, mlxe_error *err)
{
    eng_model *m = calloc(1, sizeof *m);
    nn_loader ld = {0};
    strv type = {NULL, 0};
    mlxe_status rc;
    *out = NULL;
    if (!m) return err_memory(err, "model", sizeof *m);
    m->files = files;
    if ((rc = json_get_str(mf_config(files), "config.json", "model_type", &type, err))) goto out;
    if (!type.p) {
        rc = err_set(err, MLXE_E_CORRUPT, "config.json: model_type is missing");
        goto out;
    }
    m->family = family_find(type);
    if (!m->family) {
        rc = unknown_type(type, err);
        goto out;
    }
    if ((rc = nn_loader_init(&ld, files, &m->mem, log, err))) goto out;
    ld.precision = options && options->precision == MLXE_PRECISION_F32 ? KN_PRECISE : KN_DEFAULT;
    rc = m->family->load(&ld, type, &m->model, &m->info, err);
    m->info.kv.type = kv_type_of(options);
out:
    nn_loader_deinit(&ld);
    if (rc) {
        if (err && err->code == rc && err->message[0]) err_prefix(err, "%s", mf_folder(files));
        model_close(m);
    } else {
        *out = m;
    }
    return rc;
}

static void capabilities(const eng_model *m, eng_caps *out)
{
    *out = (eng_caps){.engine = "mlx",
                      .model_type = m->info.model_type,
                      .device = "cpu",
                      .kernels = kn_isa(),
                      .kv_type = nn_kv_type_name(m->info.kv.type),
                      .vocab = m->info.vocab,
                      .ids = m->info.embeddings,
                      .context_tokens = m->info.context,
                      .weight_bytes = mf_weight_bytes(m->files),
                      .kv_token_bytes = nn_kv_token_bytes(&m->info.kv),
                      .token_bytes = m->info.token_bytes,
                      .token_macs = m->info.weights_per_token,
                      .deterministic = 1};
}

/* ---- rows ------------------------------------------------------------------------------------ */

static mlxe_status kv_wrap(nn_kv *rows, eng_kv **out, mlxe_error *err)
{
    *out = malloc(sizeof **out);
    if (!*out) {
        nn_kv_close(rows);
        return err_memory(err, "KV row", sizeof **out);
    }
    (*out)->rows = rows;
    return MLXE_OK;
}

static mlxe_status kv_open(eng_model *m, eng_kv **out, mlxe_error *err)
{
    nn_kv *rows;
    mlxe_status rc = nn_kv_open(&m->info.kv, &rows, err);
    *out = NULL;
    return rc ? rc : kv_wrap(rows, out, err);
}

static void kv_close(eng_kv *kv)
{
    if (!kv) return;
    nn_kv_close(kv->rows);
    free(kv);
}

static int32_t kv_length(const eng_kv *kv) { return nn_kv_length(kv->rows); }
static uint64_t kv_bytes(const eng_kv *kv) { return nn_kv_bytes(kv->rows); }

static mlxe_status kv_truncate(eng_kv *kv, int32_t length, int32_t *kept, mlxe_error *err)
{
    return nn_kv_truncate(kv->rows, length, kept, err);
}

static mlxe_status kv_fork(eng_model *m, const eng_kv *kv, eng_kv **out, mlxe_error *err)
{
    nn_kv *rows;
    mlxe_status rc = nn_kv_fork(kv->rows, &rows, err);
    (void)m;
    *out = NULL;
    return rc ? rc : kv_wrap(rows, out, err);
}

static mlxe_status kv_export(const eng_kv *kv, buf *out, mlxe_error *err)
{
    return nn_kv_export(kv->rows, out, err);
}

static mlxe_status kv_import(eng_model *m, const void *p, size_t n, eng_kv **out, mlxe_error *err)
{
    nn_kv *rows;
    mlxe_status rc = nn_kv_import(&m->info.kv, p, n, &rows, err);
    *out = NULL;
    return rc ? rc : kv_wrap(rows, out, err);
}

/* ---- step ------------------------------------------------------------------------------------ */

typedef struct pass {
    eng_model *m;
    nn_batch batch;
    const atomic_int *cancel;
    mlxe_status status;
    mlxe_error *err;
} pass;

static void pass_run(void *arg)
{
    pass *p = arg;
    mx_scope *g;
    mx logits, last, out;
    size_t bytes = (size_t)p->batch.n_wanted * (size_t)p->m->info.vocab * sizeof(float);
    if ((p->status = mx_scope_open(p->cancel, &g, p->err))) return;
    logits = p->m->family->forward(g, p->m->model, &p->batch, &last);
    out = p->batch.n_wanted ? logits : last;
    p->status = mx_eval(g, &out, 1, p->err);
    if (!p->status && p->batch.n_wanted) p->status = mx_read(g, out, p->m->logits, bytes, p->err);
    mx_scope_close(g);
}

/* Lays rows out flat and reserves room; nothing that a failure must undo. */
static mlxe_status pass_prepare(eng_model *m, eng_row *rows, int n, arena *mem, nn_batch *b,
                                mlxe_error *err)
{
    int64_t tokens = 0, wanted = 0;
    int32_t *ids, *want;
    nn_row *out;
    for (int r = 0; r < n; r++) {
        tokens += rows[r].n;
        wanted += rows[r].want == ENG_WANT_ALL ? rows[r].n : rows[r].want == ENG_WANT_LAST;
    }
    ids = arena_array(mem, (size_t)tokens + 1, sizeof *ids);
    want = arena_array(mem, (size_t)wanted + 1, sizeof *want);
    out = arena_array(mem, (size_t)n + 1, sizeof *out);
    if (!ids || !want || !out) return err_memory(err, "step", (size_t)tokens * sizeof *ids);
    *b = (nn_batch){.ids = ids, .rows = out, .n_rows = n, .wanted = want};
    for (int r = 0; r < n; r++) {
        const eng_row *row = &rows[r];
        nn_kv *kv = row->kv->rows;
        int32_t start = nn_kv_length(kv);
        mlxe_status rc;
        if (row->n < 1) return err_set(err, MLXE_E_ARG, "step: row %d has no tokens", r);
        if (row->n > INT32_MAX - start)
            return err_set(err, MLXE_E_LIMIT, "step: row %d is too long", r);
        for (int32_t i = 0; i < row->n; i++)
            if (row->ids[i] < 0 || row->ids[i] >= m->info.embeddings)
                return err_set(err, MLXE_E_ARG, "token %d: id %d, want 0 to %d", i, row->ids[i],
                               m->info.embeddings - 1);
        if ((rc = nn_kv_reserve(kv, start + row->n, err))) return rc;
        out[r] = (nn_row){kv, b->tokens, row->n, start, row->total};
        for (int32_t i = 0; i < row->n; i++) {
            if (row->want == ENG_WANT_ALL || (row->want == ENG_WANT_LAST && i == row->n - 1))
                want[b->n_wanted++] = b->tokens;
            ids[b->tokens++] = row->ids[i];
        }
    }
    return MLXE_OK;
}

static mlxe_status step(eng_model *m, eng_row *rows, int n, const atomic_int *cancel,
                        mlxe_error *err)
{
    arena mem = {0};
    pass p = {.m = m, .cancel = cancel, .err = err};
    size_t floats, at = 0;
    mlxe_status rc = pass_prepare(m, rows, n, &mem, &p.batch, err);
    if (rc) goto out;
    floats = (size_t)p.batch.n_wanted * (size_t)m->info.vocab;
    if (floats > m->logits_cap) {
        free(m->logits);
        m->logits = malloc(floats * sizeof *m->logits);
        m->logits_cap = m->logits ? floats : 0;
        if (!m->logits) {
            rc = err_memory(err, "logits", floats * sizeof *m->logits);
            goto out;
        }
    }
    if ((rc = mx_thread_run(pass_run, &p, err))) goto out;
    if ((rc = p.status)) goto out;
    for (int r = 0; r < n; r++) {
        size_t own =
            rows[r].want == ENG_WANT_ALL ? (size_t)rows[r].n : rows[r].want == ENG_WANT_LAST;
        rows[r].token = -1;
        rows[r].logits = own ? m->logits + at * (size_t)m->info.vocab : NULL;
        at += own;
        nn_kv_commit(rows[r].kv->rows, p.batch.rows[r].start + rows[r].n);
    }
out:
    arena_deinit(&mem);
    return rc;
}

static mlxe_status run(eng_model *m, void (*fn)(void *), void *arg, mlxe_error *err)
{
    (void)m;
    return mx_thread_run(fn, arg, err);
}

static int wanted(const eng_model *m)
{
    (void)m;
    return mx_thread_wanted();
}

const engine_ops engine_mlx = {
    .name = "mlx",
    .open = model_open,
    .close = model_close,
    .capabilities = capabilities,
    .kv_open = kv_open,
    .kv_close = kv_close,
    .kv_length = kv_length,
    .kv_bytes = kv_bytes,
    .kv_truncate = kv_truncate,
    .kv_fork = kv_fork,
    .kv_export = kv_export,
    .kv_import = kv_import,
    .step = step,
    .run = run,
    .wanted = wanted,
};
