/* experts.c: rows that are routed to one of many matrices (mixture of experts).
 *
 *   pairs, sorted by expert:  | expert 0 | expert 1 |     | expert 3 | ...     first[] says where
 *   input                     the row of x of each pair becomes bytes, for packed weights
 *   chunk                     one expert, some of its weight rows, all of its pairs
 *
 * Experts without pairs cost nothing and their weights are not touched. All experts of a layer go
 * in one run, a gate with its up, so that a decode step, whose experts have one row each, keeps
 * every worker busy. Sums are those of linear.c in their order, so the bits of a pair do not depend
 * on who else is routed where, and are those of kn_project on the expert's matrix alone.
 *
 * Trap: experts of one layer may be packed with different groups, so that a row is wanted in bytes
 * of more than one unit, or not at all (dense ones). */
#include "kernels/internal.h"

#include <stdlib.h>
#include <string.h>

#define SMALL_BLOCK   24 /* rows of x up to which unpacked weights stay in the first cache */
#define SERIAL_VALUES (16 * 1024) /* activations that are prepared without the pool */

/* A worker's scratch: two blocks of sums, sums of a panel, then what weights are unpacked into. */
#define C_FLOATS   (KN_MC * KN_NC)
#define SUM_FLOATS (2 * KN_MC * KN_QN)
_Static_assert((2 * C_FLOATS + SUM_FLOATS + KN_NC * KN_KB) * sizeof(float) <= KN_SCRATCH_BYTES,
               "scratch");
_Static_assert((2 * C_FLOATS + SUM_FLOATS) * sizeof(float) + sizeof(kn_panel) <= KN_SCRATCH_BYTES,
               "scratch");

enum { UNITS = 3 }; /* of 16, 32 and 64 values */

typedef struct experts {
    const kn_ops *ops;
    const kn_input *in;
    const kn_routes *to;
    const kn_projection *p, *up; /* up: NULL, or what act(p) is multiplied by */
    kn_act act;
    int twice; /* rows of bytes of a pair: 2 when a value is two bytes */
    int64_t k, pairs;
    kn_bytes bytes[UNITS]; /* of each pair; q NULL: not wanted */
    int64_t per_expert;    /* chunks */
    int64_t per_chunk;     /* pairs that are prepared at a time */
    const atomic_int *cancel;
    atomic_int stopped;
} experts;

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

static int as_bytes(const experts *e, const kn_matrix *w)
{
    return kn_whole(w) && e->in->precision == KN_DEFAULT;
}
static int unit_index(const kn_matrix *w) { return kn_unit(w) >> 5; }

static int64_t pairs_of(const experts *e, int expert)
{
    return e->to->first[expert + 1] - e->to->first[expert];
}

static const float *row_of(const experts *e, int64_t pair)
{
    return e->in->x + (e->to->row ? e->to->row[pair] : pair) * e->in->ldx;
}

/* ---- input ----------------------------------------------------------------------------------- */

static void prepare(void *ctx, int chunk, int n_chunks, int worker)
{
    experts *e = ctx;
    int64_t begin = chunk * e->per_chunk, end = begin + e->per_chunk;
    (void)n_chunks;
    (void)worker;
    for (int64_t i = begin; i < end && i < e->pairs; i++) {
        const float *x = row_of(e, i);
        int again = i > begin && row_of(e, i - 1) == x; /* one token's experts */
        for (int u = 0; u < UNITS; u++) {
            const kn_bytes *b = &e->bytes[u];
            int64_t q_row = e->twice * b->ldq, by_row = e->twice * b->ldby;
            int8_t *q = (int8_t *)(uintptr_t)b->q;
            float *by = (float *)(uintptr_t)b->by;
            if (!q) continue;
            q += i * q_row;
            by += i * by_row;
            if (again) {
                memcpy(q, q - q_row, (size_t)q_row);
                memcpy(by, by - by_row, (size_t)by_row * sizeof *by);
            } else if (e->twice == 2) {
                e->ops->quantize_2(x, e->k, 16 << u, q, by, b->ldq, b->ldby);
            } else {
                e->ops->quantize(x, e->k, 16 << u, q, by);
            }
        }
    }
}

/* Room for the bytes of the pairs, and they are made. *room: to be freed after the run. */
static mlxe_status take_input(experts *e, void **room)
{
    int want[UNITS] = {0};
    size_t rows = (size_t)(e->pairs * e->twice), k = (size_t)e->k, bytes = 0;
    float *at;
    int8_t *q;
    for (int i = 0; i < e->to->count; i++) {
        if (!pairs_of(e, i)) continue;
        if (as_bytes(e, &e->p->w[i])) want[unit_index(&e->p->w[i])] = 1;
        if (e->up && as_bytes(e, &e->up->w[i])) want[unit_index(&e->up->w[i])] = 1;
    }
    for (int u = 0; u < UNITS; u++)
        if (want[u]) bytes += rows * (k + k / (16u << u) * 2 * sizeof(float));
    *room = NULL;
    if (!bytes) return MLXE_OK;
    at = *room = malloc(bytes);
    if (!at) return MLXE_E_MEMORY;
    for (int u = 0; u < UNITS; u++)
        if (want[u]) {
            e->bytes[u] = (kn_bytes){.by = at, .ldq = e->k, .ldby = e->k / (16 << u) * 2};
            at += rows * (size_t)e->bytes[u].ldby;
        }
    q = (int8_t *)at;
    for (int u = 0; u < UNITS; u++)
        if (want[u]) {
            e->bytes[u].q = q;
            q += rows * k;
        }
    e->per_chunk = e->pairs * e->k <= SERIAL_VALUES ? e->pairs : SERIAL_VALUES / e->k;
    if (e->per_chunk < 1) e->per_chunk = 1;
    return kn_run(prepare, e, (int)ceil_div(e->pairs, e->per_chunk), e->cancel);
}

/* ---- products of a block: c[i,j] = x[at + i] . w[n0 + j], rows of c KN_NC apart -------------- */

static int cancelled(experts *e)
{
    if (!e->cancel || !atomic_load_explicit(e->cancel, memory_order_relaxed)) return 0;
    atomic_store(&e->stopped, 1);
    return 1;
}

/* One panel; next: how many rows further the next one is, 0: there is none. c rows a panel apart */
static void panel_bytes(experts *e, const kn_matrix *w, int64_t at, int m, kn_rows rows,
                        int64_t next, float *c, kn_panel *room)
{
    const int n = e->ops->panel_rows;
    kn_bytes x = e->bytes[unit_index(w)];
    m *= e->twice;
    x.q += at * e->twice * x.ldq;
    x.by += at * e->twice * x.ldby;
    memset(c, 0, (size_t)(m * n) * sizeof *c);
    for (int64_t k0 = 0; k0 < w->k; k0 += KN_QB) {
        int kn = (int)(w->k - k0 < KN_QB ? w->k - k0 : KN_QB);
        if (m > 2 && cancelled(e)) break;
        rows.ahead = KN_QB * w->bits / 8; /* the rows' next codes, or the next rows */
        if (k0 + KN_QB >= w->k) rows.ahead = next ? (next * w->k - k0) * w->bits / 8 : 0;
        e->ops->dot_bytes(w, &rows, k0, kn, room, &x, m, c);
        x.q += kn;
        x.by += kn / kn_unit(w) * 2;
    }
    for (int i = 0; i < m && e->twice == 2; i += 2) /* high and low bytes of one row */
        e->ops->put(c + i / 2 * n, c + i * n, c + (i + 1) * n, 0, n);
}

/* Whole panels of rows that lie apart (kn_rows), then one that ends with the block or, where the
 * matrix ends first, with the matrix. */
static void by_bytes(experts *e, const kn_matrix *w, int64_t at, int m, int64_t n0, int n, float *c,
                     float *sums, kn_panel *room)
{
    const int most = e->ops->panel_rows, whole = n / most * most, apart = whole / most * 4;
    int64_t last = n0 + whole;
    for (int j = 0; j < apart; j += 4) {
        panel_bytes(e, w, at, m, (kn_rows){n0 + j, apart, 0}, j + 4 < apart ? 4 : 0, sums, room);
        for (int i = 0; i < m; i++)
            for (int g = 0; g < most / 4; g++)
                memcpy(c + i * KN_NC + g * apart + j, sums + i * most + 4 * g, 4 * sizeof *c);
    }
    if (whole == n) return;
    if (last + most > w->n) last = w->n > most ? w->n - most : 0;
    panel_bytes(e, w, at, m, (kn_rows){last, 4, 0}, 0, sums, room);
    for (int i = 0; i < m; i++)
        memcpy(c + i * KN_NC + whole, sums + i * most + (n0 + whole - last),
               (size_t)(n - whole) * sizeof *c);
}

static void few_f32(const experts *e, const kn_matrix *w, int64_t at, int m, int64_t n0, int n,
                    float *c)
{
    const float *x = row_of(e, at);
    int64_t ldx = m > 1 ? row_of(e, at + 1) - x : 0;
    for (int j = 0; j < n; j += KN_NR) {
        int rows = n - j < KN_NR ? n - j : KN_NR;
        float sums[KN_FEW * KN_NR] = {0};
        e->ops->dot_rows(w, n0 + j, 1, rows, x, ldx, m, sums);
        for (int i = 0; i < m; i++)
            memcpy(c + i * KN_NC + j, sums + i * KN_NR, (size_t)rows * sizeof *sums);
    }
}

static void many_f32(experts *e, const kn_matrix *w, int64_t at, int m, int64_t n0, int n, float *c,
                     float *unpacked)
{
    int step = m <= SMALL_BLOCK ? KN_NR : KN_NC;
    const float *x[KN_MC];
    memset(c, 0, (size_t)(m * KN_NC) * sizeof *c);
    for (int64_t k0 = 0; k0 < w->k; k0 += KN_KB) {
        int kn = (int)(w->k - k0 < KN_KB ? w->k - k0 : KN_KB);
        if (cancelled(e)) return;
        for (int i = 0; i < m; i++)
            x[i] = row_of(e, at + i) + k0;
        for (int j0 = 0; j0 < n; j0 += step) {
            int rows = n - j0 < step ? n - j0 : step;
            for (int j = 0; j < rows; j++)
                e->ops->unpack(w, n0 + j0 + j, k0, kn, unpacked + j * KN_KB);
            e->ops->tile(x, m, unpacked, KN_KB, rows, kn, c + j0, KN_NC);
        }
    }
}

static void products(experts *e, const kn_matrix *w, int64_t at, int m, int64_t n0, int n, float *c,
                     float *work)
{
    if (as_bytes(e, w))
        by_bytes(e, w, at, m, n0, n, c, work, (kn_panel *)(void *)(work + SUM_FLOATS));
    else if (m <= KN_FEW)
        few_f32(e, w, at, m, n0, n, c);
    else
        many_f32(e, w, at, m, n0, n, c, work + SUM_FLOATS);
}

/* ---- chunks ---------------------------------------------------------------------------------- */

static void write_pair(const experts *e, int expert, int64_t pair, int64_t n0, int n, float *c,
                       float *c_up)
{
    const float *bias = e->p->bias ? e->p->bias + expert * e->p->w->n + n0 : NULL;
    float *y = e->p->y + pair * e->p->ldy + n0;
    if (!e->up) {
        e->ops->put(y, c, bias, 0, n);
        return;
    }
    if (bias) e->ops->put(c, c, bias, 0, n);
    if (e->up->bias) e->ops->put(c_up, c_up, e->up->bias + expert * e->p->w->n + n0, 0, n);
    e->ops->gated(e->act, c, c_up, y, n);
}

static void chunk_of_experts(void *ctx, int chunk, int n_chunks, int worker)
{
    experts *e = ctx;
    int64_t left = chunk / e->per_expert, n0 = chunk % e->per_expert * KN_NC, at, end;
    float *c = kn_scratch(worker), *c_up = c + C_FLOATS, *work = c_up + C_FLOATS;
    int expert = 0, n;
    (void)n_chunks;
    for (;; expert++) /* the left-th expert that has pairs */
        if (pairs_of(e, expert) && !left--) break;
    n = (int)(e->p->w->n - n0 < KN_NC ? e->p->w->n - n0 : KN_NC);
    at = e->to->first[expert], end = e->to->first[expert + 1];
    while (at < end) {
        int m = (int)(end - at < KN_MC ? end - at : KN_MC);
        products(e, &e->p->w[expert], at, m, n0, n, c, work);
        if (e->up) products(e, &e->up->w[expert], at, m, n0, n, c_up, work);
        if (atomic_load_explicit(&e->stopped, memory_order_relaxed)) return;
        for (int i = 0; i < m; i++)
            write_pair(e, expert, at + i, n0, n, c + i * KN_NC, c_up + i * KN_NC);
        at += m;
    }
}

static mlxe_status run_experts(experts *e)
{
    void *room = NULL;
    int64_t active = 0;
    int bytes = 0, up_bytes = 0;
    mlxe_status rc;
    kn_count_add(KN_COUNT_EXPERTS);
    for (int i = 0; i < e->to->count; i++) {
        if (!pairs_of(e, i)) continue;
        active++;
        bytes |= as_bytes(e, &e->p->w[i]);
        up_bytes |= e->up && as_bytes(e, &e->up->w[i]);
    }
    if (bytes) kn_count_add(KN_COUNT_LINEAR_INT8);
    if (up_bytes) kn_count_add(KN_COUNT_LINEAR_INT8);
    if (!active) return MLXE_OK;
    e->ops = kn_table();
    e->k = e->p->w->k;
    e->pairs = e->to->first[e->to->count];
    e->twice = e->p->rounding == KN_ROUND_16 ? 2 : 1;
    e->per_expert = ceil_div(e->p->w->n, KN_NC);
    rc = take_input(e, &room);
    if (!rc) rc = kn_run(chunk_of_experts, e, (int)(active * e->per_expert), e->cancel);
    free(room);
    return rc ? rc : atomic_load(&e->stopped) ? MLXE_E_CANCELLED : MLXE_OK;
}

mlxe_status kn_project_experts(const kn_input *in, const kn_routes *to, const kn_projection *p,
                               const atomic_int *cancel)
{
    experts e = {.in = in, .to = to, .p = p, .cancel = cancel};
    return run_experts(&e);
}

mlxe_status kn_project_experts_gated(const kn_input *in, const kn_routes *to, kn_act act,
                                     const kn_projection *gate, const kn_projection *up,
                                     const atomic_int *cancel)
{
    experts e = {.in = in, .to = to, .p = gate, .up = up, .act = act, .cancel = cancel};
    return run_experts(&e);
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
