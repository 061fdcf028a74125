/* blocks_cpu.c: the blocks on the CPU: each is one task of MLX's graph over our kernels.
 *
 *   embed       ids                                              -> x [T,E]
 *   attention   x -> norm -> q k v -> head norms, rope -> append -> attend -> x + o [T,E]
 *   gated MLP   x -> norm -> act(gate) * up                      -> x + down [T,E]
 *   head        x at the wanted positions -> norm -> output      -> logits [n,V]
 *
 * Activations are f32; where they meet packed weights they become bytes, unless the model was
 * opened as precise (kn_precision). Scratch is taken and given back within a task; tasks of a
 * stream run one after the other. The cancel flag is polled inside the kernels between tiles.
 *
 * Invariants: what a token gets does not depend on the other rows of the batch or on how its prompt
 * was cut (the kernels promise that), so batching and chunking change no bit.
 *
 * Traps: the output of attention and MLP starts as x (mx_call's start_from), so that the residual
 * is an accumulating projection. Keys of a dynamic rope are cached unrotated: the frequencies of
 * all keys change with the length. */
#include "nn/residual.h"

#include <stdlib.h>
#include <string.h>

/* Activations of one task, freed at its end. Not of an arena, which would clear megabytes of a
 * prompt's that are all written before they are read. */
static float *scratch(int64_t rows, int64_t floats)
{
    return malloc((size_t)(rows * floats) * sizeof(float));
}

static mlxe_status no_scratch(mlxe_error *err, const char *name)
{
    return err_set(err, MLXE_E_MEMORY, "%s: out of memory for activations", name);
}

static kn_projection projection(const nn_linear *w, float *y, int64_t ldy)
{
    return (kn_projection){
        .w = &w->w, .bias = w->bias, .y = y, .ldy = ldy, .rounding = w->rounding};
}

/* Rows of x [rows,e] as they enter the projections that start with w; norm NULL: as they are. */
static kn_input input(const nn_linear *w, const nn_norm *norm, const float *x, int64_t rows)
{
    kn_input in = {.x = x, .ldx = w->w.k, .m = rows, .precision = w->precision};
    if (!norm) return in;
    in.norm = norm->weight;
    in.norm_bias = norm->bias;
    in.norm_kind = norm->kind;
    in.eps = norm->eps;
    return in;
}

/* y += w . x */
static mlxe_status add_linear(const nn_linear *w, const float *x, float *y, int64_t rows,
                              const atomic_int *cancel)
{
    kn_input in = input(w, NULL, x, rows);
    kn_projection p = projection(w, y, w->w.n);
    p.accumulate = 1;
    return kn_project(&in, &p, 1, cancel);
}

mx nn_residual(mx_scope *g, const char *name, mx_task task, const void *params, size_t bytes, mx x)
{
    mx_call_spec spec = {.name = name,
                         .task = task,
                         .params = params,
                         .params_bytes = bytes,
                         .dtype = MX_F32,
                         .start_from = 1};
    spec.dims = mx_shape(x, spec.shape);
    if (x && spec.dims != 2)
        return mx_fail(g, MLXE_E_ARG, "%s: %d dimensions, want [T,E]", name, spec.dims);
    if (spec.dims < 0) spec.dims = 0;
    return mx_call(g, &spec, &x, 1);
}

/* ---- embedding ------------------------------------------------------------------------------- */

typedef struct embed_params {
    const nn_linear *table;
    const nn_batch *batch;
} embed_params;

static mlxe_status embed_task(const void *params, const mx_view *in, int n_in, mx_view *out,
                              const atomic_int *cancel, mlxe_error *err)
{
    const embed_params *p = params;
    (void)in, (void)n_in, (void)err;
    return kn_embed(&p->table->w, p->batch->ids, p->batch->tokens, out->data, cancel);
}

mx nn_embed(mx_scope *g, const nn_linear *table, const nn_batch *batch)
{
    embed_params p = {table, batch};
    mx_call_spec spec = {.name = "nn_embed",
                         .task = embed_task,
                         .params = &p,
                         .params_bytes = sizeof p,
                         .dtype = MX_F32,
                         .dims = 2,
                         .shape = {batch->tokens, (int32_t)table->w.k}};
    return mx_call(g, &spec, NULL, 0);
}

/* ---- attention ------------------------------------------------------------------------------- */

typedef struct attention_params {
    const nn_attention_block *block;
    const nn_batch *batch;
} attention_params;

static kn_angles angles_of(const nn_attention_block *b, const float *freqs, int32_t start)
{
    return (kn_angles){freqs, b->rope->mscale, b->d, b->rope->rot, start};
}

/* Dynamic rope: a cache of its own with all keys of the row rotated, as f32. */
static mlxe_status rotated_keys(const nn_attention_block *b, const nn_row *row, const float *freqs,
                                arena *mem, kn_kv *kv, const atomic_int *cancel)
{
    int64_t seen = (int64_t)row->start + row->count, ld = (int64_t)b->kv_heads * b->d;
    int64_t capacity = (seen + KN_KV_BLOCK - 1) / KN_KV_BLOCK * KN_KV_BLOCK;
    float *k = arena_array(mem, (size_t)(seen * ld), sizeof *k);
    float *v = arena_array(mem, (size_t)(seen * ld), sizeof *v);
    void *room = arena_array(mem, kn_kv_bytes(KN_KV_F32, b->kv_heads, b->d, capacity), 1);
    kn_angles angles = angles_of(b, freqs, 0);
    kn_heads keys = {.x = k, .heads = b->kv_heads};
    mlxe_status rc;
    if (!k || !v || !room) return MLXE_E_MEMORY;
    kn_kv_read(kv, seen, k, v);
    if ((rc = kn_rope(&keys, 1, &angles, ld, seen, cancel))) return rc;
    *kv = kn_kv_over(room, KN_KV_F32, b->kv_heads, b->d, capacity);
    return kn_kv_append(kv, 0, seen, k, v, ld, cancel);
}

/* Head norms, rope, append and the attention kernel over all rows; attended [T, H*D] replaces q's
 * values. */
static mlxe_status attend(const nn_attention_block *b, const nn_batch *batch, float *q, float *k,
                          const float *v, int64_t ld, float *attended, arena *mem,
                          const atomic_int *cancel)
{
    kn_attn_row *rows = arena_array(mem, (size_t)batch->n_rows + 1, sizeof *rows);
    kn_attn a = {.heads = b->heads,
                 .kv_heads = b->kv_heads,
                 .d = b->d,
                 .window = b->window,
                 .scale = b->scale,
                 .softcap = b->softcap,
                 .sinks = b->sinks};
    mlxe_status rc;
    if (!rows) return MLXE_E_MEMORY;
    for (int r = 0; r < batch->n_rows; r++) {
        const nn_row *row = &batch->rows[r];
        const float *freqs = b->rope->inv_freq;
        float *row_q = q + row->first * ld, *row_k = k + row->first * ld;
        int32_t base; /* of the keys' places; whole spans, so that it changes no bit */
        kn_kv kv = *nn_kv_layer(row->kv, b->layer, &base);
        kn_heads set[] = {{row_q, b->q_norm.weight, b->q_norm.eps, b->heads, 0},
                          {row_k, b->k_norm.weight, b->k_norm.eps, b->kv_heads, b->rope->dynamic}};
        kn_angles angles;
        if (b->rope->dynamic) {
            float *own = arena_array(mem, (size_t)b->rope->rot / 2, sizeof *own);
            int64_t end = (int64_t)row->start + row->count;
            if (!own) return MLXE_E_MEMORY;
            nn_rope_dynamic(b->rope, row->total > end ? row->total : end, own);
            freqs = own;
        }
        angles = angles_of(b, freqs, row->start);
        if ((rc = kn_rope(set, 2, &angles, ld, row->count, cancel))) return rc;
        rows[r] = (kn_attn_row){.q = row_q,
                                .out = attended + (int64_t)row->first * b->heads * b->d,
                                .k = row_k,
                                .v = v + row->first * ld,
                                .kv = kv,
                                .ldq = ld,
                                .ldo = (int64_t)b->heads * b->d,
                                .ldkv = ld,
                                .t = row->count,
                                .start = row->start - base};
        if (!b->rope->dynamic) continue;
        rc = kn_kv_append(&kv, rows[r].start, row->count, row_k, rows[r].v, ld, cancel);
        if (!rc) rc = rotated_keys(b, row, freqs, mem, &rows[r].kv, cancel);
        if (rc) return rc;
        rows[r].k = NULL;
    }
    return kn_attention(&a, rows, batch->n_rows, cancel);
}

static mlxe_status attention_task(const void *params, const mx_view *in, int n_in, mx_view *out,
                                  const atomic_int *cancel, mlxe_error *err)
{
    const attention_params *p = params;
    const nn_attention_block *b = p->block;
    int64_t t = p->batch->tokens, nq = (int64_t)b->heads * b->d, nk = (int64_t)b->kv_heads * b->d,
            ld = nq + 2 * nk;
    arena mem = {0};
    float *x = out->data; /* starts as the input */
    float *qkv = scratch(t, ld + nq), *attended;
    mlxe_status rc;
    (void)in, (void)n_in;
    if (!qkv) return no_scratch(err, "nn_attention");
    attended = qkv + t * ld;
    kn_input rows = input(&b->q, &b->norm, x, t);
    kn_projection set[] = {projection(&b->q, qkv, ld), projection(&b->k, qkv + nq, ld),
                           projection(&b->v, qkv + nq + nk, ld)};
    if ((rc = kn_project(&rows, set, 3, cancel))) goto out;
    rc = attend(b, p->batch, qkv, qkv + nq, qkv + nq + nk, ld, attended, &mem, cancel);
    if (!rc) rc = add_linear(&b->o, attended, x, t, cancel);
out:
    free(qkv);
    arena_deinit(&mem);
    return rc == MLXE_E_MEMORY ? no_scratch(err, "nn_attention") : rc;
}

mx nn_attention(mx_scope *g, const nn_attention_block *block, mx x, const nn_batch *batch)
{
    attention_params p = {block, batch};
    return nn_residual(g, "nn_attention", attention_task, &p, sizeof p, x);
}

/* ---- gated MLP ------------------------------------------------------------------------------- */

static mlxe_status mlp_task(const void *params, const mx_view *in, int n_in, mx_view *out,
                            const atomic_int *cancel, mlxe_error *err)
{
    const nn_mlp_block *b = *(const nn_mlp_block *const *)params;
    int64_t t = out->shape[0], f = b->gate.w.n;
    float *x = out->data; /* starts as the input */
    float *hidden = scratch(t, f);
    kn_input rows = input(&b->gate, &b->norm, x, t);
    kn_projection gate = projection(&b->gate, hidden, f), up = projection(&b->up, NULL, f);
    mlxe_status rc = hidden ? MLXE_OK : MLXE_E_MEMORY;
    (void)in, (void)n_in;
    if (!rc) rc = kn_project_gated(&rows, b->act, &gate, &up, cancel);
    if (!rc) rc = add_linear(&b->down, hidden, x, t, cancel);
    free(hidden);
    return rc == MLXE_E_MEMORY ? no_scratch(err, "nn_gated_mlp") : rc;
}

mx nn_gated_mlp(mx_scope *g, const nn_mlp_block *block, mx x)
{
    return nn_residual(g, "nn_gated_mlp", mlp_task, &block, sizeof block, x);
}

/* ---- head ------------------------------------------------------------------------------------ */

typedef struct head_params {
    const nn_norm *norm;
    const nn_linear *head;
    const nn_batch *batch;
} head_params;

static mlxe_status head_task(const void *params, const mx_view *in, int n_in, mx_view *out,
                             const atomic_int *cancel, mlxe_error *err)
{
    const head_params *p = params;
    int64_t e = p->head->w.k, n = p->batch->n_wanted;
    const int32_t *wanted = p->batch->wanted;
    const float *x = in[0].data;
    kn_projection head = projection(p->head, out->data, p->head->w.n);
    float *own = NULL;
    kn_input rows;
    mlxe_status rc = MLXE_OK;
    (void)n_in;
    if (!n) return MLXE_OK;
    if (wanted[n - 1] - wanted[0] == n - 1) { /* one run of rows */
        x += wanted[0] * e;
    } else {
        own = scratch(n, e);
        for (int64_t i = 0; i < n && own; i++)
            memcpy(own + i * e, x + wanted[i] * e, (size_t)e * sizeof *own);
        x = own;
        if (!own) rc = MLXE_E_MEMORY;
    }
    rows = input(p->head, p->norm, x, n);
    if (!rc) rc = kn_project(&rows, &head, 1, cancel);
    free(own);
    return rc == MLXE_E_MEMORY ? no_scratch(err, "nn_head") : rc;
}

mx nn_head(mx_scope *g, const nn_norm *norm, const nn_linear *head, mx x, const nn_batch *batch)
{
    head_params p = {norm, head, batch};
    mx_call_spec spec = {.name = "nn_head",
                         .task = head_task,
                         .params = &p,
                         .params_bytes = sizeof p,
                         .dtype = MX_F32,
                         .dims = 2,
                         .shape = {batch->n_wanted, (int32_t)head->w.n}};
    return mx_call(g, &spec, &x, 1);
}
