/* experts.c: rows that are routed to one of many matrices (mixture of experts).
 *
 *   rows, sorted by expert:  | expert 0 | expert 1 |     | expert 3 | ...     first[] says where
 *   chunk                    one expert, some of its weight rows, all of its rows of x
 *
 * Experts without rows cost nothing and their weights are not touched. All experts of a layer go in
 * one run, so that a decode step, whose experts have one row each, keeps every worker busy. Weights
 * meet f32 in the order of sums of linear.c: the bits do not depend on who else is routed where. */
#include "kernels/internal.h"

#include <string.h>

#define SMALL_BLOCK 24 /* rows of x up to which unpacked weights stay in the first-level cache */

typedef struct experts {
    const kn_ops *ops;
    const kn_matrix *w;
    const int64_t *first;
    int count;
    const float *x;
    float *y;
    const int32_t *row;
    int64_t ldx, ldy, per_expert; /* chunks of an expert */
    const atomic_int *cancel;
    atomic_int stopped;
} experts;

static const float *row_of(const experts *e, int64_t i)
{
    return e->x + (e->row ? e->row[i] : i) * e->ldx;
}

static void few(const experts *e, const kn_matrix *w, int64_t at, int m, int64_t n0, int n)
{
    const float *x = row_of(e, at);
    int64_t ldx = m > 1 ? row_of(e, at + 1) - x : 0;
    for (int j = 0; j < n; j += KN_NR) {
        int rows = n - j < KN_NR ? n - j : KN_NR;
        float sums[KN_FEW * KN_NR] = {0};
        e->ops->dot_rows(w, n0 + j, 1, rows, x, ldx, m, sums);
        for (int i = 0; i < m; i++)
            memcpy(e->y + (at + i) * e->ldy + n0 + j, sums + i * KN_NR,
                   (size_t)rows * sizeof *sums);
    }
}

static void many(experts *e, const kn_matrix *w, int64_t at, int m, int64_t n0, int n, float *c,
                 float *unpacked)
{
    int step = m <= SMALL_BLOCK ? KN_NR : KN_NC;
    const float *x[KN_MC];
    memset(c, 0, (size_t)(m * KN_NC) * sizeof *c);
    for (int64_t k0 = 0; k0 < w->k; k0 += KN_KB) {
        int kn = (int)(w->k - k0 < KN_KB ? w->k - k0 : KN_KB);
        if (e->cancel && atomic_load_explicit(e->cancel, memory_order_relaxed)) {
            atomic_store(&e->stopped, 1);
            return;
        }
        for (int i = 0; i < m; i++)
            x[i] = row_of(e, at + i) + k0;
        for (int j0 = 0; j0 < n; j0 += step) {
            int rows = n - j0 < step ? n - j0 : step;
            for (int j = 0; j < rows; j++)
                e->ops->unpack(w, n0 + j0 + j, k0, kn, unpacked + j * KN_KB);
            e->ops->tile(x, m, unpacked, KN_KB, rows, kn, c + j0, KN_NC);
        }
    }
    for (int i = 0; i < m; i++)
        memcpy(e->y + (at + i) * e->ldy + n0, c + i * KN_NC, (size_t)n * sizeof *c);
}

static void chunk_of_experts(void *ctx, int chunk, int n_chunks, int worker)
{
    experts *e = ctx;
    int64_t left = chunk / e->per_expert, n0 = chunk % e->per_expert * KN_NC;
    float *c = kn_scratch(worker), *unpacked = c + KN_MC * KN_NC;
    const kn_matrix *w;
    int expert = 0, n;
    (void)n_chunks;
    for (;; expert++) /* the left-th expert that has rows */
        if (e->first[expert + 1] > e->first[expert] && !left--) break;
    w = &e->w[expert];
    n = (int)(w->n - n0 < KN_NC ? w->n - n0 : KN_NC);
    for (int64_t at = e->first[expert]; at < e->first[expert + 1];) {
        int64_t rest = e->first[expert + 1] - at;
        int m = (int)(rest < KN_MC ? rest : KN_MC);
        if (m <= KN_FEW)
            few(e, w, at, m, n0, n);
        else
            many(e, w, at, m, n0, n, c, unpacked);
        if (atomic_load_explicit(&e->stopped, memory_order_relaxed)) return;
        at += m;
    }
}

mlxe_status kn_linear_experts(const kn_matrix *w, int count, const int64_t *first, const float *x,
                              int64_t ldx, const int32_t *row, float *y, int64_t ldy,
                              const atomic_int *cancel)
{
    experts e = {.ops = kn_table(),
                 .w = w,
                 .first = first,
                 .count = count,
                 .x = x,
                 .y = y,
                 .row = row,
                 .ldx = ldx,
                 .ldy = ldy,
                 .cancel = cancel};
    int64_t active = 0;
    mlxe_status rc;
    kn_count_add(KN_COUNT_EXPERTS);
    for (int i = 0; i < count; i++)
        active += first[i + 1] > first[i];
    if (!active) return MLXE_OK;
    e.per_expert = (w->n + KN_NC - 1) / KN_NC;
    rc = kn_run(chunk_of_experts, &e, (int)(active * e.per_expert), cancel);
    return rc ? rc : atomic_load(&e.stopped) ? MLXE_E_CANCELLED : MLXE_OK;
}

/* ---- the routed results of a row, together --------------------------------------------------- */

typedef struct combine {
    const float *y, *weight;
    const int32_t *at;
    float *out;
    int64_t ldy, ldo, e;
    int used;
} combine;

static void combine_row(void *ctx, int chunk, int n_chunks, int worker)
{
    const combine *c = ctx;
    float *out = c->out + chunk * c->ldo;
    (void)n_chunks;
    (void)worker;
    for (int j = 0; j < c->used; j++) {
        const float *y = c->y + c->at[(int64_t)chunk * c->used + j] * c->ldy;
        float by = c->weight[(int64_t)chunk * c->used + j];
        for (int64_t i = 0; i < c->e; i++)
            out[i] += by * y[i];
    }
}

mlxe_status kn_combine_experts(const float *y, int64_t ldy, const int32_t *at, const float *weight,
                               int used, float *out, int64_t ldo, int64_t m, int64_t e,
                               const atomic_int *cancel)
{
    combine c = {y, weight, at, out, ldy, ldo, e, used};
    return kn_run(combine_row, &c, (int)m, cancel);
}
