/* rows.c: the kernels that go row by row: embedding look-up, norms, softmax, gated activation,
 * rope. */
#include "kernels/internal.h"

#include <math.h>

#define CHUNK_ELEMENTS 16384
#define SEGMENT        4096 /* elements of a row that one chunk of kn_gated takes */
#define ROPE_PAIRS     64   /* pairs whose angles are computed at a time */
#define ROPE_ROWS      16   /* rows of a chunk: some 20 us of angles */

typedef struct rows {
    const kn_ops *ops;
    const kn_matrix *w;
    const int32_t *ids;
    kn_act act;
    kn_norm kind;
    float eps;
    const float *x, *up, *weight, *bias;
    float *y;
    int64_t ldx, ldu, ldy, m, n, per_chunk;
} rows;

/* Rows of a chunk for rows of n elements. */
static int64_t rows_per_chunk(int64_t n)
{
    return n >= CHUNK_ELEMENTS ? 1 : CHUNK_ELEMENTS / (n ? n : 1);
}

static mlxe_status run_rows(kn_task task, rows *r, int64_t items, const atomic_int *cancel)
{
    return kn_run(task, r, (int)((items + r->per_chunk - 1) / r->per_chunk), cancel);
}

static int64_t chunk_end(const rows *r, int chunk, int64_t items)
{
    int64_t end = (chunk + 1) * r->per_chunk;
    return end < items ? end : items;
}

static void embed(void *ctx, int chunk, int n_chunks, int worker)
{
    const rows *r = ctx;
    int64_t end = chunk_end(r, chunk, r->m);
    (void)n_chunks;
    (void)worker;
    for (int64_t i = chunk * r->per_chunk; i < end; i++)
        for (int64_t k0 = 0; k0 < r->n; k0 += KN_KB) {
            int kn = (int)(r->n - k0 < KN_KB ? r->n - k0 : KN_KB);
            r->ops->unpack(r->w, r->ids[i], k0, kn, r->y + i * r->n + k0);
        }
}

mlxe_status kn_embed(const kn_matrix *w, const int32_t *ids, int64_t m, float *y,
                     const atomic_int *cancel)
{
    rows r = {.ops = kn_table(),
              .w = w,
              .ids = ids,
              .y = y,
              .m = m,
              .n = w->k,
              .per_chunk = rows_per_chunk(w->k)};
    kn_count_add(KN_COUNT_EMBED);
    return run_rows(embed, &r, m, cancel);
}

static void norm(void *ctx, int chunk, int n_chunks, int worker)
{
    const rows *r = ctx;
    int64_t end = chunk_end(r, chunk, r->m);
    (void)n_chunks;
    (void)worker;
    for (int64_t i = chunk * r->per_chunk; i < end; i++) {
        const float *x = r->x + i * r->ldx;
        if (r->kind == KN_NORM_LAYER)
            r->ops->layer_row(x, r->weight, r->bias, r->eps, r->y + i * r->ldy, r->n);
        else
            r->ops->norm_row(x, r->weight, r->eps, r->y + i * r->ldy, r->n);
    }
}

/* What is set in r are its kind, eps, weights and what x and y are. */
static mlxe_status run_norm(rows *r, const atomic_int *cancel)
{
    r->ops = kn_table();
    r->per_chunk = rows_per_chunk(r->n);
    kn_count_add(r->kind == KN_NORM_LAYER ? KN_COUNT_LAYER_NORM : KN_COUNT_RMS_NORM);
    return run_rows(norm, r, r->m, cancel);
}

mlxe_status kn_rms_norm(const float *x, int64_t ldx, const float *weight, float eps, float *y,
                        int64_t ldy, int64_t m, int64_t e, const atomic_int *cancel)
{
    rows r = {.x = x, .weight = weight, .eps = eps, .y = y, .ldx = ldx, .ldy = ldy, .m = m, .n = e};
    return run_norm(&r, cancel);
}

mlxe_status kn_layer_norm(const float *x, int64_t ldx, const float *weight, const float *bias,
                          float eps, float *y, int64_t ldy, int64_t m, int64_t e,
                          const atomic_int *cancel)
{
    rows r = {.x = x, .weight = weight, .eps = eps, .y = y, .ldx = ldx, .ldy = ldy, .m = m, .n = e};
    r.kind = KN_NORM_LAYER;
    r.bias = bias;
    return run_norm(&r, cancel);
}

static void softmax(void *ctx, int chunk, int n_chunks, int worker)
{
    const rows *r = ctx;
    int64_t end = chunk_end(r, chunk, r->m);
    (void)n_chunks;
    (void)worker;
    for (int64_t i = chunk * r->per_chunk; i < end; i++)
        r->ops->softmax_row(r->x + i * r->ldx, r->y + i * r->ldy, r->n);
}

mlxe_status kn_softmax(const float *x, int64_t ldx, float *y, int64_t ldy, int64_t m, int64_t n,
                       const atomic_int *cancel)
{
    rows r = {.ops = kn_table(),
              .x = x,
              .y = y,
              .ldx = ldx,
              .ldy = ldy,
              .m = m,
              .n = n,
              .per_chunk = rows_per_chunk(n)};
    kn_count_add(KN_COUNT_SOFTMAX);
    return run_rows(softmax, &r, m, cancel);
}

static void gate(void *ctx, int chunk, int n_chunks, int worker)
{
    const rows *r = ctx;
    int64_t segments = (r->n + SEGMENT - 1) / SEGMENT, end = chunk_end(r, chunk, r->m * segments);
    (void)n_chunks;
    (void)worker;
    for (int64_t item = chunk * r->per_chunk; item < end; item++) {
        int64_t i = item / segments, at = item % segments * SEGMENT;
        int64_t n = r->n - at < SEGMENT ? r->n - at : SEGMENT;
        r->ops->gated(r->act, r->x + i * r->ldx + at, r->up + i * r->ldu + at,
                      r->y + i * r->ldy + at, n);
    }
}

mlxe_status kn_gated(kn_act act, const float *gate_x, int64_t ldg, const float *up, int64_t ldu,
                     float *y, int64_t ldy, int64_t m, int64_t f, const atomic_int *cancel)
{
    rows r = {.ops = kn_table(),
              .act = act,
              .x = gate_x,
              .up = up,
              .y = y,
              .ldx = ldg,
              .ldu = ldu,
              .ldy = ldy,
              .m = m,
              .n = f,
              .per_chunk = rows_per_chunk(f < SEGMENT ? f : SEGMENT)};
    kn_count_add(KN_COUNT_GATED);
    return run_rows(gate, &r, m * ((f + SEGMENT - 1) / SEGMENT), cancel);
}

/* ---- rope ------------------------------------------------------------------------------------ */

typedef struct turns {
    const kn_ops *ops;
    const kn_heads *set;
    const kn_angles *angles;
    int64_t ldx, m;
    int n;
} turns;

static void norm_heads(const turns *t, const kn_heads *h, float *x)
{
    const int d = t->angles->d;
    for (int i = 0; i < h->heads && h->norm; i++, x += d)
        t->ops->norm_row(x, h->norm, h->eps, x, d);
}

/* One row of all sets. */
static void turn_row(const turns *t, int64_t row)
{
    const kn_angles *a = t->angles;
    const int pairs = a->rot / 2;
    const float position = (float)(a->start + (int32_t)row);
    float cosines[ROPE_PAIRS], sines[ROPE_PAIRS];
    for (int s = 0; s < t->n; s++)
        norm_heads(t, &t->set[s], t->set[s].x + row * t->ldx);
    for (int j = 0; j < pairs; j += ROPE_PAIRS) {
        int n = pairs - j < ROPE_PAIRS ? pairs - j : ROPE_PAIRS;
        for (int p = 0; p < n; p++) {
            float angle = position * a->inv_freq[j + p];
            cosines[p] = cosf(angle) * a->mscale;
            sines[p] = sinf(angle) * a->mscale;
        }
        for (int s = 0; s < t->n; s++) {
            float *head = t->set[s].x + row * t->ldx + j;
            for (int h = 0; h < t->set[s].heads && !t->set[s].fixed; h++, head += a->d)
                t->ops->rotate(head, head + pairs, cosines, sines, n);
        }
    }
}

static void turn(void *ctx, int chunk, int n_chunks, int worker)
{
    const turns *t = ctx;
    int64_t first = (int64_t)chunk * ROPE_ROWS;
    int64_t end = first + ROPE_ROWS < t->m ? first + ROPE_ROWS : t->m;
    (void)n_chunks;
    (void)worker;
    for (int64_t i = first; i < end; i++)
        turn_row(t, i);
}

mlxe_status kn_rope(const kn_heads *set, int n, const kn_angles *angles, int64_t ldx, int64_t m,
                    const atomic_int *cancel)
{
    turns t = {kn_table(), set, angles, ldx, m, n};
    kn_count_add(KN_COUNT_ROPE);
    return kn_run(turn, &t, (int)((m + ROPE_ROWS - 1) / ROPE_ROWS), cancel);
}
