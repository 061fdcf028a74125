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
#include "kernels/products.h"

#include <stdlib.h>
#include <string.h>

#define SERIAL_VALUES (16 * 1024) /* activations that are prepared without the pool */

/* A worker's scratch: two blocks of sums, sums of panels, then what weights are unpacked into. */
#define C_FLOATS   (KN_MC * KN_NC)
#define SUM_FLOATS (KN_MC * KN_PANELS * KN_QN)
_Static_assert((2 * C_FLOATS + SUM_FLOATS + KN_NC * KN_KB) * sizeof(float) <= KN_SCRATCH_BYTES,
               "scratch");
_Static_assert((2 * C_FLOATS + SUM_FLOATS) * sizeof(float) + KN_PANELS * sizeof(kn_panel) <=
                   KN_SCRATCH_BYTES,
               "scratch");

typedef struct experts {
    kn_work work;
    const kn_input *in;
    const kn_routes *to;
    const kn_projection *p, *up; /* up: NULL, or what act(p) is multiplied by */
    kn_act act;
    int64_t k, pairs;
    kn_forms forms;     /* of each pair */
    int64_t per_expert; /* chunks */
    int64_t per_chunk;  /* pairs that are prepared at a time */
} experts;

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

static int as_bytes(const experts *e, const kn_matrix *w)
{
    return kn_whole(w) && e->in->precision == KN_DEFAULT;
}
static int form_of(const experts *e, const kn_matrix *w) { return kn_form_of(w, e->p->rounding); }

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
        if (i > begin && row_of(e, i - 1) == x) /* one token's experts */
            kn_forms_repeat(&e->forms, i);
        else
            kn_forms_put(e->work.ops, &e->forms, i, x, e->k);
    }
}

/* Room for the bytes of the pairs, and they are made. *room: to be freed after the run. */
static mlxe_status take_input(experts *e, void **room)
{
    const size_t rows = (size_t)e->pairs;
    size_t size;
    for (int i = 0; i < e->to->count; i++) {
        if (!pairs_of(e, i)) continue;
        if (as_bytes(e, &e->p->w[i])) e->forms.want[form_of(e, &e->p->w[i])] = 1;
        if (e->up && as_bytes(e, &e->up->w[i])) e->forms.want[form_of(e, &e->up->w[i])] = 1;
    }
    size = kn_forms_size(&e->forms, rows, e->k);
    *room = NULL;
    if (!size) return MLXE_OK;
    *room = malloc(size);
    if (!*room) return MLXE_E_MEMORY;
    kn_forms_place(&e->forms, *room, rows, e->k);
    e->per_chunk = e->pairs * e->k <= SERIAL_VALUES ? e->pairs : SERIAL_VALUES / e->k;
    if (e->per_chunk < 1) e->per_chunk = 1;
    return kn_run(prepare, e, (int)ceil_div(e->pairs, e->per_chunk), e->work.cancel);
}

/* c[i,j] = x[at + i] . w[n0 + j], rows of c KN_NC apart */
static void products(experts *e, const kn_matrix *w, int64_t at, int m, int64_t n0, int n, float *c,
                     float *work)
{
    const float *x[KN_MC];
    if (as_bytes(e, w)) {
        kn_sum_apart(&e->work, w, &e->forms, form_of(e, w), at, m, n0, n, c, KN_NC, work,
                     (kn_panel *)(void *)(work + SUM_FLOATS));
        return;
    }
    if (m <= KN_FEW) {
        const float *first = row_of(e, at);
        kn_sum_few(&e->work, w, first, m > 1 ? row_of(e, at + 1) - first : 0, m, n0, n, c);
        return;
    }
    for (int i = 0; i < m; i++)
        x[i] = row_of(e, at + i);
    kn_sum_many(&e->work, w, x, m, n0, n, c, work + SUM_FLOATS);
}

/* ---- chunks ---------------------------------------------------------------------------------- */

static void write_pair(const experts *e, int expert, int64_t pair, int64_t n0, int n, float *c,
                       float *c_up)
{
    const float *bias = e->p->bias ? e->p->bias + expert * e->p->w->n + n0 : NULL;
    float *y = e->p->y + pair * e->p->ldy + n0;
    if (!e->up) {
        e->work.ops->put(y, c, bias, 0, n);
        return;
    }
    if (bias) e->work.ops->put(c, c, bias, 0, n);
    if (e->up->bias) e->work.ops->put(c_up, c_up, e->up->bias + expert * e->p->w->n + n0, 0, n);
    e->work.ops->gated(e->act, c, c_up, y, n);
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
        if (atomic_load_explicit(&e->work.stopped, memory_order_relaxed)) return;
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
    e->work.ops = kn_table();
    e->k = e->p->w->k;
    e->pairs = e->to->first[e->to->count];
    e->per_expert = ceil_div(e->p->w->n, KN_NC);
    rc = take_input(e, &room);
    if (!rc) rc = kn_run(chunk_of_experts, e, (int)(active * e->per_expert), e->work.cancel);
    free(room);
    return rc ? rc : atomic_load(&e->work.stopped) ? MLXE_E_CANCELLED : MLXE_OK;
}

mlxe_status kn_project_experts(const kn_input *in, const kn_routes *to, const kn_projection *p,
                               const atomic_int *cancel)
{
    experts e = {.work = {.cancel = cancel}, .in = in, .to = to, .p = p};
    return run_experts(&e);
}

mlxe_status kn_project_experts_gated(const kn_input *in, const kn_routes *to, kn_act act,
                                     const kn_projection *gate, const kn_projection *up,
                                     const atomic_int *cancel)
{
    experts e = {.work = {.cancel = cancel}, .in = in, .to = to, .p = gate, .up = up, .act = act};
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
