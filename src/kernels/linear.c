/* linear.c: y = x . w^T over the pool, for every way in which weights are stored.
 *
 *   input    rows of x, normalised and made bytes (both once, for all matrices that share them)
 *   run      the matrices of a set, cut into chunks of weight rows and, for many rows, of x
 *   chunk    block after block of weight rows: products into c, then c is written out, by itself or
 *            as act(gate) * up
 *
 * products.c makes the sums of a block. A chunk of few rows of x takes its panels from rows that
 * lie apart, which the hardware reads ahead better. */
#include "kernels/products.h"

#include <stdlib.h>
#include <string.h>

#define BYTE_ROWS      384               /* rows of bytes of a chunk of integer products, at most */
#define ROW_CHUNK_MACS (256 * 1024)      /* a chunk of few rows: some 20 us of reading */
#define BIG_CHUNK_MACS (2 * 1024 * 1024) /* a chunk of many rows: as long */
#define SERIAL_VALUES  (16 * 1024)       /* activations that are prepared without the pool */

/* A worker's scratch: two blocks of sums, then what weights are unpacked into. */
#define C_FLOATS (BYTE_ROWS * KN_PANELS * KN_QN)
_Static_assert(C_FLOATS >= KN_MC * KN_NC, "sums of a block");
_Static_assert((2 * C_FLOATS + KN_NC * KN_KB) * sizeof(float) <= KN_SCRATCH_BYTES, "scratch");
_Static_assert(2 * C_FLOATS * sizeof(float) + KN_PANELS * sizeof(kn_panel) <= KN_SCRATCH_BYTES,
               "scratch");

/* A matrix of a set, or a gate with its up. */
typedef struct part {
    const kn_projection *p, *up; /* up: NULL, or what act(p) is multiplied by */
    int64_t unit, units;         /* weight rows are cut at multiples of unit */
    int64_t across, mc;          /* chunks of weight rows; rows of x of a chunk */
    int step;                    /* weight rows of a block */
    int first;                   /* its first chunk */
} part;

typedef struct linear {
    kn_work work;
    const kn_input *in;
    const float *x; /* after the norm */
    int64_t ldx, m, k;
    kn_forms forms;
    kn_act act;
    part parts[KN_SET];
    int n_parts;
    int64_t per_chunk; /* rows of x that are prepared at a time */
} linear;

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

static int as_bytes(const linear *l, const kn_projection *p)
{
    return p && kn_whole(p->w) && l->in->precision == KN_DEFAULT;
}

static int form_of(const kn_projection *p) { return kn_form_of(p->w, p->rounding); }

/* ---- input ----------------------------------------------------------------------------------- */

static void norm(const linear *l, const float *x, float *y)
{
    const kn_input *in = l->in;
    if (in->norm_kind == KN_NORM_LAYER)
        l->work.ops->layer_row(x, in->norm, in->norm_bias, in->eps, y, l->k);
    else
        l->work.ops->norm_row(x, in->norm, in->eps, y, l->k);
}

static void prepare(void *ctx, int chunk, int n_chunks, int worker)
{
    linear *l = ctx;
    int64_t end = (chunk + 1) * l->per_chunk < l->m ? (chunk + 1) * l->per_chunk : l->m;
    (void)n_chunks;
    (void)worker;
    for (int64_t i = chunk * l->per_chunk; i < end; i++) {
        const float *x = l->x + i * l->ldx;
        if (l->in->norm) norm(l, l->in->x + i * l->in->ldx, (float *)(uintptr_t)x);
        kn_forms_put(l->work.ops, &l->forms, i, x, l->k);
    }
}

/* Room for what the rows of x become, and they become it. *room: to be freed after the run. */
static mlxe_status take_input(linear *l, void **room)
{
    const size_t rows = (size_t)l->m, normed = l->in->norm ? rows * (size_t)l->k : 0;
    size_t size = normed * sizeof(float);
    float *at;
    for (int i = 0; i < l->n_parts; i++) {
        const part *p = &l->parts[i];
        if (as_bytes(l, p->p)) l->forms.want[form_of(p->p)] = 1;
        if (as_bytes(l, p->up)) l->forms.want[form_of(p->up)] = 1;
    }
    size += kn_forms_size(&l->forms, rows, l->k);
    *room = NULL;
    if (!size) return MLXE_OK;
    at = *room = malloc(size);
    if (!at) return MLXE_E_MEMORY;
    if (l->in->norm) {
        l->x = at;
        l->ldx = l->k;
    }
    kn_forms_place(&l->forms, at + normed, rows, l->k);
    l->per_chunk = l->m * l->k <= SERIAL_VALUES ? l->m : SERIAL_VALUES / (l->k ? l->k : 1);
    if (l->per_chunk < 1) l->per_chunk = 1;
    return kn_run(prepare, l, (int)ceil_div(l->m, l->per_chunk), l->work.cancel);
}

/* -> the sums of rows m0 .. with weight rows n0 .., rows *ldc apart. end: of the chunk's rows */
static const float *products(linear *l, const kn_projection *p, int64_t m0, int m, int64_t n0,
                             int n, int64_t end, float *c, float *work, int64_t *ldc)
{
    const float *x[KN_MC];
    kn_panel *panel = (kn_panel *)(void *)work;
    if (as_bytes(l, p) && l->m <= KN_FEW_BYTES && n > l->work.ops->panel_rows) {
        float sums[KN_FEW_BYTES * KN_QN];
        *ldc = n;
        kn_sum_apart(&l->work, p->w, &l->forms, form_of(p), m0, m, n0, n, c, n, sums, panel);
        return c;
    }
    if (as_bytes(l, p)) {
        const int panels = n > l->work.ops->panel_rows ? l->work.ops->panels : 1;
        *ldc = panels * l->work.ops->panel_rows;
        return kn_sum_side(&l->work, p->w, &l->forms, form_of(p), m0, m, panels, n0, end, c, panel);
    }
    *ldc = KN_NC;
    if (l->m <= KN_FEW) {
        kn_sum_few(&l->work, p->w, l->x, l->ldx, m, n0, n, c);
        return c;
    }
    for (int i = 0; i < m; i++)
        x[i] = l->x + (m0 + i) * l->ldx;
    kn_sum_many(&l->work, p->w, x, m, n0, n, c, work);
    return c;
}

/* ---- chunks ---------------------------------------------------------------------------------- */

/* y[n0 .. n0+n-1] of one row of a gate and its up; the sums are changed on the way. */
static void write_gated(const linear *l, const part *p, int64_t i, int64_t n0, int n, float *gate,
                        float *up)
{
    if (p->p->bias) l->work.ops->put(gate, gate, p->p->bias + n0, 0, n);
    if (p->up->bias) l->work.ops->put(up, up, p->up->bias + n0, 0, n);
    l->work.ops->gated(l->act, gate, up, p->p->y + i * p->p->ldy + n0, n);
}

static void chunk_of_set(void *ctx, int chunk, int n_chunks, int worker)
{
    linear *l = ctx;
    const part *p = l->parts;
    float *c = kn_scratch(worker), *c_up = c + C_FLOATS, *work = c_up + C_FLOATS;
    int64_t m0, n0, end, at, ldc, ld_up;
    int m;
    (void)n_chunks;
    while (p + 1 < l->parts + l->n_parts && chunk >= p[1].first)
        p++;
    at = (chunk - p->first) % p->across;
    m0 = (chunk - p->first) / p->across * p->mc;
    n0 = at * p->units / p->across * p->unit;
    end = (at + 1) * p->units / p->across * p->unit;
    if (end > p->p->w->n) end = p->p->w->n;
    m = (int)(l->m - m0 < p->mc ? l->m - m0 : p->mc);
    for (; n0 < end; n0 += p->step) {
        int n = (int)(end - n0 < p->step ? end - n0 : p->step);
        float *sums = (float *)(uintptr_t)products(l, p->p, m0, m, n0, n, end, c, work, &ldc);
        float *ups = NULL;
        if (p->up)
            ups = (float *)(uintptr_t)products(l, p->up, m0, m, n0, n, end, c_up, work, &ld_up);
        if (atomic_load_explicit(&l->work.stopped, memory_order_relaxed)) return;
        for (int i = 0; i < m; i++) {
            if (ups)
                write_gated(l, p, m0 + i, n0, n, sums + i * ldc, ups + i * ld_up);
            else
                l->work.ops->put(p->p->y + (m0 + i) * p->p->ldy + n0, sums + i * ldc,
                                 p->p->bias ? p->p->bias + n0 : NULL, p->p->accumulate, n);
        }
    }
}

/* Chunks of weight rows and of rows of x: whole panels when there are integer products; fewer
 * weight rows when the workers would idle. Few rows of x: as many chunks for each worker, the last
 * one would be waited for. -> chunks of the part */
static int64_t cut(const linear *l, part *p, int64_t all_rows)
{
    const kn_matrix *w = p->p->w;
    const int threads = kn_pool_threads();
    int few = l->m <= KN_FEW, panel = l->work.ops->panel_rows;
    int bytes = as_bytes(l, p->p) || as_bytes(l, p->up);
    int all_bytes = as_bytes(l, p->p) && (!p->up || as_bytes(l, p->up));
    int twice = kn_form_rows(form_of(p->p)) == 2 || (p->up && kn_form_rows(form_of(p->up)) == 2);
    int64_t most = all_bytes ? BYTE_ROWS >> twice : KN_MC;
    int64_t blocks = ceil_div(l->m, most), want = 4 * threads;
    int64_t macs = l->m <= KN_FEW_BYTES ? ROW_CHUNK_MACS * l->m : BIG_CHUNK_MACS, rows;
    if (all_bytes) panel *= kn_panels(&l->work, l->m, w->n);
    p->unit = bytes ? panel : few ? KN_NR : 24;
    p->units = ceil_div(w->n, p->unit);
    p->mc = blocks ? ceil_div(l->m, blocks) : 1;
    if (!p->units) return 0;
    rows = macs / (w->k * p->mc > 0 ? w->k * p->mc : 1);
    if (!bytes && !few) rows = KN_NC;
    if (rows > all_rows * blocks / want) rows = all_rows * blocks / want;
    rows = rows < p->unit ? 1 : rows / p->unit; /* units from here on */
    p->across = ceil_div(p->units, rows);
    if (l->m <= KN_FEW_BYTES && p->across > threads)
        p->across = ceil_div(p->across, threads) * threads;
    if (p->across > p->units) p->across = p->units;
    rows = ceil_div(p->units, p->across) * p->unit;
    p->step = bytes ? panel : few ? KN_NC : (int)rows;
    if (all_bytes && l->m <= KN_FEW_BYTES && w->n >= panel && rows * l->m <= C_FLOATS)
        p->step = (int)rows;
    return (blocks ? blocks : 1) * p->across;
}

static kn_counter counter_of(const kn_matrix *w)
{
    if (w->mode) return KN_COUNT_LINEAR_FP;
    return w->bits ? KN_COUNT_LINEAR_AFFINE : KN_COUNT_LINEAR_DENSE;
}

static mlxe_status run_set(linear *l)
{
    void *room = NULL;
    mlxe_status rc = MLXE_OK;
    int64_t chunks = 0, rows = 0;
    l->work.ops = kn_table();
    l->x = l->in->x;
    l->ldx = l->in->ldx;
    l->m = l->in->m;
    l->k = l->n_parts ? l->parts[0].p->w->k : 0;
    for (int i = 0; i < l->n_parts; i++) {
        const part *p = &l->parts[i];
        kn_count_add(counter_of(p->p->w));
        if (p->up) kn_count_add(counter_of(p->up->w));
        if (as_bytes(l, p->p)) kn_count_add(KN_COUNT_LINEAR_INT8);
        if (as_bytes(l, p->up)) kn_count_add(KN_COUNT_LINEAR_INT8);
        rows += p->p->w->n * (p->up ? 2 : 1);
    }
    if (l->m <= 0) return MLXE_OK;
    rc = take_input(l, &room);
    for (int i = 0; i < l->n_parts; i++) {
        l->parts[i].first = (int)chunks;
        chunks += cut(l, &l->parts[i], rows);
    }
    if (!rc) rc = kn_run(chunk_of_set, l, (int)chunks, l->work.cancel);
    free(room);
    return rc ? rc : atomic_load(&l->work.stopped) ? MLXE_E_CANCELLED : MLXE_OK;
}

mlxe_status kn_project(const kn_input *in, const kn_projection *set, int n,
                       const atomic_int *cancel)
{
    linear l = {.work = {.cancel = cancel}, .in = in, .n_parts = n};
    for (int i = 0; i < n; i++)
        l.parts[i].p = &set[i];
    return run_set(&l);
}

mlxe_status kn_project_gated(const kn_input *in, kn_act act, const kn_projection *gate,
                             const kn_projection *up, const atomic_int *cancel)
{
    linear l = {.work = {.cancel = cancel}, .in = in, .act = act, .n_parts = 1};
    l.parts[0].p = gate;
    l.parts[0].up = up;
    kn_count_add(KN_COUNT_GATED);
    return run_set(&l);
}

mlxe_status kn_linear(const kn_matrix *w, const float *bias, const float *x, int64_t ldx, float *y,
                      int64_t ldy, int64_t m, int accumulate, const atomic_int *cancel)
{
    kn_input in = {.x = x, .ldx = ldx, .m = m, .precision = KN_PRECISE};
    kn_projection p = {.w = w, .bias = bias, .y = y, .ldy = ldy, .accumulate = accumulate};
    return kn_project(&in, &p, 1, cancel);
}
