/* blocks_cpu.c: the blocks on the CPU: each is one task of MLX's graph over our kernels.
 *
 *   embed       ids                                              -> x [T,E]
 *   attention   x -> norm -> q k v -> head norms, rope -> append -> attend -> x + o [T,E]
 *   gated MLP   x -> norm -> act(gate) * up                      -> x + down [T,E]
 *   head        x at the wanted positions -> norm -> output      -> logits [n,V]
 *
 * Activations are f32 throughout. Scratch is taken and given back within a task; tasks of a stream
 * run one after the other. The cancel flag is polled inside the kernels between tiles.
 *
 * Invariants: what a token gets does not depend on the other rows of the batch or on how its prompt
 * was cut (the kernels promise that), so batching and chunking change no bit.
 *
 * Traps: the output of attention and MLP starts as x (mx_call's start_from), so that the residual
 * is an accumulating projection. Keys of a dynamic rope are cached unrotated: the frequencies of
 * all keys change with the length. */
#include "nn/nn.h"

#include <stdlib.h>
#include <string.h>

/* Scratch of one task, freed at its end. */
static float *scratch(arena *mem, int64_t rows, int64_t floats)
{
    return arena_array(mem, (size_t)(rows * floats), sizeof(float));
}

static mlxe_status no_scratch(mlxe_error *err, const char *name)
{
    return err_set(err, MLXE_E_MEMORY, "%s: out of memory for activations", name);
}

static mlxe_status linear(const nn_linear *w, const float *x, float *y, int64_t ldy, int64_t rows,
                          int accumulate, const atomic_int *cancel)
{
    return kn_linear(&w->w, w->bias, x, w->w.k, y, ldy, rows, accumulate, cancel);
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

/* Rotates q of one row in place, and k too unless the rope is dynamic. */
static mlxe_status rotate(const nn_attention_block *b, const nn_row *row, float *q, float *k,
                          int64_t ld, const float *freqs, arena *mem)
{
    int32_t *pos = arena_array(mem, (size_t)row->count + 1, sizeof *pos);
    if (!pos) return MLXE_E_MEMORY;
    for (int32_t i = 0; i < row->count; i++)
        pos[i] = row->start + i;
    kn_rope(q, ld, row->count, b->heads, b->d, b->rope->rot, pos, freqs, b->rope->mscale);
    if (!b->rope->dynamic)
        kn_rope(k, ld, row->count, b->kv_heads, b->d, b->rope->rot, pos, freqs, b->rope->mscale);
    return MLXE_OK;
}

/* Dynamic rope: a cache of its own with all keys of the row rotated, as f32. */
static mlxe_status rotated_keys(const nn_attention_block *b, const nn_row *row, const float *freqs,
                                arena *mem, kn_kv *kv, const atomic_int *cancel)
{
    int64_t seen = (int64_t)row->start + row->count, ld = (int64_t)b->kv_heads * b->d;
    int64_t capacity = (seen + KN_KV_BLOCK - 1) / KN_KV_BLOCK * KN_KV_BLOCK;
    float *k = scratch(mem, seen, ld), *v = scratch(mem, seen, ld);
    int32_t *pos = arena_array(mem, (size_t)seen + 1, sizeof *pos);
    void *room = arena_array(mem, kn_kv_bytes(KN_KV_F32, b->kv_heads, b->d, capacity), 1);
    if (!k || !v || !pos || !room) return MLXE_E_MEMORY;
    for (int64_t s = 0; s < seen; s++)
        pos[s] = (int32_t)s;
    kn_kv_read(kv, seen, k, v);
    kn_rope(k, ld, seen, b->kv_heads, b->d, b->rope->rot, pos, freqs, b->rope->mscale);
    *kv = kn_kv_over(room, KN_KV_F32, b->kv_heads, b->d, capacity);
    return kn_kv_append(kv, 0, seen, k, v, ld, cancel);
}

/* Rope, append and the attention kernel over all rows; attended [T, H*D] replaces q's values. */
static mlxe_status attend(const nn_attention_block *b, const nn_batch *batch, float *q, float *k,
                          const float *v, int64_t ld, float *attended, arena *mem,
                          const atomic_int *cancel)
{
    kn_attn_row *rows = arena_array(mem, (size_t)batch->n_rows + 1, sizeof *rows);
    kn_attn a = {.heads = b->heads,
                 .kv_heads = b->kv_heads,
                 .d = b->d,
                 .window = b->window,
                 .scale = b->scale};
    mlxe_status rc;
    if (!rows) return MLXE_E_MEMORY;
    for (int r = 0; r < batch->n_rows; r++) {
        const nn_row *row = &batch->rows[r];
        const float *freqs = b->rope->inv_freq;
        float *row_q = q + row->first * ld, *row_k = k + row->first * ld;
        kn_kv kv = *nn_kv_layer(row->kv, b->layer);
        if (b->rope->dynamic) {
            float *own = scratch(mem, 1, b->rope->rot / 2);
            int64_t end = (int64_t)row->start + row->count;
            if (!own) return MLXE_E_MEMORY;
            nn_rope_dynamic(b->rope, row->total > end ? row->total : end, own);
            freqs = own;
        }
        if ((rc = rotate(b, row, row_q, row_k, ld, freqs, mem))) return rc;
        rc = kn_kv_append(&kv, row->start, row->count, row_k, v + row->first * ld, ld, cancel);
        if (!rc && b->rope->dynamic) rc = rotated_keys(b, row, freqs, mem, &kv, cancel);
        if (rc) return rc;
        rows[r] = (kn_attn_row){.q = row_q,
                                .out = attended + (int64_t)row->first * b->heads * b->d,
                                .kv = kv,
                                .ldq = ld,
                                .ldo = (int64_t)b->heads * b->d,
                                .t = row->count,
                                .start = row->start};
    }
    return kn_attention(&a, rows, batch->n_rows, cancel);
}

/* Per-head norms of q or k, in place: every head of every token is one row of D. */
static mlxe_status head_norm(const nn_norm *norm, float *x, int64_t ld, int64_t tokens, int heads,
                             int d, const atomic_int *cancel)
{
    mlxe_status rc = MLXE_OK;
    if (!norm->weight) return MLXE_OK;
    for (int64_t t = 0; t < tokens && !rc; t++)
        rc = kn_rms_norm(x + t * ld, d, norm->weight, norm->eps, x + t * ld, d, heads, d, cancel);
    return rc;
}

static mlxe_status attention_task(const void *params, const mx_view *in, int n_in, mx_view *out,
                                  const atomic_int *cancel, mlxe_error *err)
{
    const attention_params *p = params;
    const nn_attention_block *b = p->block;
    int64_t t = p->batch->tokens, e = b->q.w.k, nq = (int64_t)b->heads * b->d,
            nk = (int64_t)b->kv_heads * b->d, ld = nq + 2 * nk;
    arena mem = {0};
    float *x = out->data; /* starts as the input */
    float *normed = scratch(&mem, t, e), *qkv = scratch(&mem, t, ld),
          *attended = scratch(&mem, t, nq);
    mlxe_status rc = MLXE_E_MEMORY;
    (void)in, (void)n_in;
    if (!normed || !qkv || !attended) goto out;
    if ((rc = kn_rms_norm(x, e, b->norm.weight, b->norm.eps, normed, e, t, e, cancel))) goto out;
    if ((rc = linear(&b->q, normed, qkv, ld, t, 0, cancel))) goto out;
    if ((rc = linear(&b->k, normed, qkv + nq, ld, t, 0, cancel))) goto out;
    if ((rc = linear(&b->v, normed, qkv + nq + nk, ld, t, 0, cancel))) goto out;
    if ((rc = head_norm(&b->q_norm, qkv, ld, t, b->heads, b->d, cancel))) goto out;
    if ((rc = head_norm(&b->k_norm, qkv + nq, ld, t, b->kv_heads, b->d, cancel))) goto out;
    rc = attend(b, p->batch, qkv, qkv + nq, qkv + nq + nk, ld, attended, &mem, cancel);
    if (!rc) rc = linear(&b->o, attended, x, e, t, 1, cancel);
out:
    arena_deinit(&mem);
    return rc == MLXE_E_MEMORY ? no_scratch(err, "nn_attention") : rc;
}

mx nn_attention(mx_scope *g, const nn_attention_block *block, mx x, const nn_batch *batch)
{
    attention_params p = {block, batch};
    mx_call_spec spec = {.name = "nn_attention",
                         .task = attention_task,
                         .params = &p,
                         .params_bytes = sizeof p,
                         .dtype = MX_F32,
                         .dims = 2,
                         .shape = {batch->tokens, (int32_t)block->q.w.k},
                         .start_from = 1};
    return mx_call(g, &spec, &x, 1);
}

/* ---- gated MLP ------------------------------------------------------------------------------- */

static mlxe_status mlp_task(const void *params, const mx_view *in, int n_in, mx_view *out,
                            const atomic_int *cancel, mlxe_error *err)
{
    const nn_mlp_block *b = *(const nn_mlp_block *const *)params;
    int64_t t = out->shape[0], e = b->gate.w.k, f = b->gate.w.n;
    arena mem = {0};
    float *x = out->data; /* starts as the input */
    float *normed = scratch(&mem, t, e), *gate = scratch(&mem, t, f), *up = scratch(&mem, t, f);
    mlxe_status rc = MLXE_E_MEMORY;
    (void)in, (void)n_in;
    if (!normed || !gate || !up) goto out;
    if ((rc = kn_rms_norm(x, e, b->norm.weight, b->norm.eps, normed, e, t, e, cancel))) goto out;
    if ((rc = linear(&b->gate, normed, gate, f, t, 0, cancel))) goto out;
    if ((rc = linear(&b->up, normed, up, f, t, 0, cancel))) goto out;
    if ((rc = kn_gated(b->act, gate, f, up, f, gate, f, t, f, cancel))) goto out;
    rc = linear(&b->down, gate, x, e, t, 1, cancel);
out:
    arena_deinit(&mem);
    return rc == MLXE_E_MEMORY ? no_scratch(err, "nn_gated_mlp") : rc;
}

mx nn_gated_mlp(mx_scope *g, const nn_mlp_block *block, mx x)
{
    mx_call_spec spec = {.name = "nn_gated_mlp",
                         .task = mlp_task,
                         .params = &block,
                         .params_bytes = sizeof block,
                         .dtype = MX_F32,
                         .start_from = 1};
    spec.dims = mx_shape(x, spec.shape);
    if (x && spec.dims != 2)
        return mx_fail(g, MLXE_E_ARG, "nn_gated_mlp: %d dimensions, want [T,E]", spec.dims);
    if (spec.dims < 0) spec.dims = 0;
    return mx_call(g, &spec, &x, 1);
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
    const float *x = in[0].data;
    arena mem = {0};
    float *normed = scratch(&mem, n, e);
    mlxe_status rc = normed ? MLXE_OK : MLXE_E_MEMORY;
    (void)n_in;
    for (int64_t i = 0; i < n && !rc; i++)
        rc = kn_rms_norm(x + p->batch->wanted[i] * e, e, p->norm->weight, p->norm->eps,
                         normed + i * e, e, 1, e, cancel);
    if (!rc) rc = linear(p->head, normed, out->data, p->head->w.n, n, 0, cancel);
    arena_deinit(&mem);
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
