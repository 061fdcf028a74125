/* linear.c: y = x . w^T over the pool, for every way in which weights are stored.
 *
 *   input    rows of x, normalised and made bytes (both once, for all matrices that share them)
 *   run      the matrices of a set, cut into chunks of weight rows and, for many rows, of x
 *   chunk    block after block of weight rows: products into c, then c is written out, by itself or
 *            as act(gate) * up
 *
 * A block's products come in one of three ways:
 *   bytes            weight rows become a panel, once for all rows of x (tpl_int8.h); for one or
 *                    two they are used as they lie (tpl_few.h), and a chunk's panels are rows that
 *                    lie apart
 *   f32, a few rows  weights are unpacked in registers and used at once
 *   f32, more rows   weights are unpacked into scratch for each k block and used for all rows of x
 *                    (dense f32 weights are used where they lie)
 *
 * Sums are collected in `c`, apart from y, and y is written once: bias and the old y are added at
 * the end, so that the order of summation is the same for all shapes. */
#include "kernels/internal.h"

#include <stdlib.h>
#include <string.h>

/* Up to so many rows of x, what was unpacked is used a few times only: it stays in the first-level
 * cache (16 KiB). Beyond, x is loaded less often when more weight rows are at hand. */
#define SMALL_BLOCK    24
#define BYTE_ROWS      384          /* rows of bytes of a chunk of integer products, at most */
#define FEW_BYTE_ROWS  16           /* rows of x that a chunk's weight rows meet at once, at most */
#define ROW_CHUNK_MACS (256 * 1024) /* a chunk of few rows: some 20 us of reading */
#define BIG_CHUNK_MACS (2 * 1024 * 1024) /* a chunk of many rows: as long */
#define SERIAL_VALUES  (16 * 1024)       /* activations that are prepared without the pool */

/* A worker's scratch: two blocks of sums, then what weights are unpacked into. */
#define C_FLOATS (BYTE_ROWS * KN_QN)
_Static_assert(C_FLOATS >= KN_MC * KN_NC, "sums of a block");
_Static_assert((2 * C_FLOATS + KN_NC * KN_KB) * sizeof(float) <= KN_SCRATCH_BYTES, "scratch");
_Static_assert(2 * C_FLOATS * sizeof(float) + sizeof(kn_panel) <= KN_SCRATCH_BYTES, "scratch");

enum { FORMS = 6 }; /* of a row of x: form_of */

/* A matrix of a set, or a gate with its up. */
typedef struct part {
    const kn_projection *p, *up; /* up: NULL, or what act(p) is multiplied by */
    int64_t unit, units;         /* weight rows are cut at multiples of unit */
    int64_t across, mc;          /* chunks of weight rows; rows of x of a chunk */
    int step;                    /* weight rows of a block */
    int first;                   /* its first chunk */
} part;

typedef struct linear {
    const kn_ops *ops;
    const kn_input *in;
    const float *x; /* after the norm */
    int64_t ldx, m, k;
    kn_bytes bytes[FORMS]; /* q NULL: not wanted */
    kn_act act;
    part parts[KN_SET];
    int n_parts;
    int64_t per_chunk; /* rows of x that are prepared at a time */
    const atomic_int *cancel;
    atomic_int stopped;
} linear;

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

static int as_bytes(const linear *l, const kn_projection *p)
{
    return p && kn_whole(p->w) && l->in->precision == KN_DEFAULT;
}

/* The forms that a row of x may have: units of 16, 32, 64; from 3 on two bytes a value, in two
 * rows, high ones first. */
static int form_of(const kn_projection *p)
{
    return (kn_unit(p->w) >> 5) + (p->rounding == KN_ROUND_16 ? 3 : 0);
}
static int form_unit(int form) { return 16 << form % 3; }
static int form_rows(int form) { return form < 3 ? 1 : 2; }

/* ---- input ----------------------------------------------------------------------------------- */

static void norm(const linear *l, const float *x, float *y)
{
    const kn_input *in = l->in;
    if (in->norm_kind == KN_NORM_LAYER)
        l->ops->layer_row(x, in->norm, in->norm_bias, in->eps, y, l->k);
    else
        l->ops->norm_row(x, in->norm, in->eps, y, l->k);
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
        for (int f = 0; f < FORMS; f++) {
            const kn_bytes *b = &l->bytes[f];
            int8_t *q = (int8_t *)(uintptr_t)b->q + i * form_rows(f) * b->ldq;
            float *by = (float *)(uintptr_t)b->by + i * form_rows(f) * b->ldby;
            if (!b->q) continue;
            if (form_rows(f) == 2)
                l->ops->quantize_2(x, l->k, form_unit(f), q, by, b->ldq, b->ldby);
            else
                l->ops->quantize(x, l->k, form_unit(f), q, by);
        }
    }
}

/* Room for what the rows of x become, and they become it. *room: to be freed after the run. */
static mlxe_status take_input(linear *l, void **room)
{
    int want[FORMS] = {0};
    size_t rows = (size_t)l->m, k = (size_t)l->k, normed = l->in->norm ? rows * k : 0;
    size_t bytes = normed * sizeof(float);
    float *at;
    int8_t *q;
    for (int i = 0; i < l->n_parts; i++) {
        const part *p = &l->parts[i];
        if (as_bytes(l, p->p)) want[form_of(p->p)] = 1;
        if (as_bytes(l, p->up)) want[form_of(p->up)] = 1;
    }
    for (int f = 0; f < FORMS; f++)
        if (want[f])
            bytes +=
                rows * (size_t)form_rows(f) * (k + k / (size_t)form_unit(f) * 2 * sizeof(float));
    *room = NULL;
    if (!bytes) return MLXE_OK;
    at = *room = malloc(bytes);
    if (!at) return MLXE_E_MEMORY;
    if (l->in->norm) {
        l->x = at;
        l->ldx = l->k;
        at += normed;
    }
    for (int f = 0; f < FORMS; f++)
        if (want[f]) {
            l->bytes[f] = (kn_bytes){.by = at, .ldby = l->k / form_unit(f) * 2, .ldq = l->k};
            at += rows * (size_t)form_rows(f) * (size_t)l->bytes[f].ldby;
        }
    q = (int8_t *)at;
    for (int f = 0; f < FORMS; f++)
        if (want[f]) {
            l->bytes[f].q = q;
            q += rows * (size_t)form_rows(f) * k;
        }
    l->per_chunk = l->m * l->k <= SERIAL_VALUES ? l->m : SERIAL_VALUES / (l->k ? l->k : 1);
    if (l->per_chunk < 1) l->per_chunk = 1;
    return kn_run(prepare, l, (int)ceil_div(l->m, l->per_chunk), l->cancel);
}

/* ---- products of a block: c[i,j] += x[m0 + i] . w[n0 + j] ------------------------------------ */

static int cancelled(linear *l)
{
    if (!l->cancel || !atomic_load_explicit(l->cancel, memory_order_relaxed)) return 0;
    atomic_store(&l->stopped, 1);
    return 1;
}

/* One panel; next: how many rows further the next one is, 0: there is none. c rows a panel apart */
static void panel_bytes(linear *l, const kn_projection *p, int64_t m0, int m, kn_rows rows,
                        int64_t next, float *c, kn_panel *panel)
{
    const kn_matrix *w = p->w;
    const int n = l->ops->panel_rows, twice = form_rows(form_of(p));
    kn_bytes x = l->bytes[form_of(p)];
    m *= twice;
    x.q += m0 * twice * x.ldq;
    x.by += m0 * twice * x.ldby;
    memset(c, 0, (size_t)(m * n) * sizeof *c);
    for (int64_t k0 = 0; k0 < w->k; k0 += KN_QB) {
        int kn = (int)(w->k - k0 < KN_QB ? w->k - k0 : KN_QB);
        if (m > 1 && cancelled(l)) break;
        rows.ahead = KN_QB * w->bits / 8; /* the rows' next codes, or the next rows */
        if (k0 + KN_QB >= w->k) rows.ahead = next ? (next * w->k - k0) * w->bits / 8 : 0;
        l->ops->dot_bytes(w, &rows, k0, kn, panel, &x, m, c);
        x.q += kn;
        x.by += kn / kn_unit(w) * 2;
    }
    for (int i = 0; i < m && twice == 2; i += 2) /* high and low bytes of one row */
        l->ops->put(c + i / 2 * n, c + i * n, c + (i + 1) * n, 0, n);
}

/* Rows n0 .. n0+n-1, at most a panel, side by side. end: of the chunk's rows. -> c at column n0 */
static const float *by_bytes(linear *l, const kn_projection *p, int64_t m0, int m, int64_t n0,
                             int64_t end, float *c, kn_panel *panel)
{
    const int64_t most = l->ops->panel_rows, all = p->w->n;
    kn_rows rows = {n0 + most <= all ? n0 : all > most ? all - most : 0, 4, 0};
    panel_bytes(l, p, m0, m, rows, rows.n0 + most < end ? most : 0, c, panel);
    return c + (n0 - rows.n0);
}

/* All n rows of a chunk of few rows of x: c rows ldc apart. */
static void by_bytes_apart(linear *l, const kn_projection *p, int m, int64_t n0, int64_t n,
                           float *c, int64_t ldc, kn_panel *panel)
{
    const int most = l->ops->panel_rows;
    const int64_t whole = n / most * most, apart = whole / most * 4;
    float sums[2 * FEW_BYTE_ROWS * KN_QN];
    for (int64_t at = 0; at < apart; at += 4) {
        panel_bytes(l, p, 0, m, (kn_rows){n0 + at, apart, 0}, at + 4 < apart ? 4 : 0, sums, panel);
        for (int i = 0; i < m; i++)
            for (int g = 0; g < most / 4; g++)
                memcpy(c + i * ldc + g * apart + at, sums + i * most + 4 * g, 4 * sizeof *c);
    }
    if (whole == n) return;
    const float *rest = by_bytes(l, p, 0, m, n0 + whole, n0 + n, sums, panel);
    for (int i = 0; i < m; i++)
        memcpy(c + i * ldc + whole, rest + i * most, (size_t)(n - whole) * sizeof *c);
}

/* Four rows at a time: dense ones as four streams (kn_rows). */
static void few_f32(const linear *l, const kn_matrix *w, int m, int64_t n0, int n, float *c)
{
    const int apart = w->bits || n < KN_NR ? 1 : n / KN_NR, whole = w->bits ? 0 : n / KN_NR * KN_NR;
    float sums[KN_FEW * KN_NR];
    for (int j = 0; j < n;) {
        int side = j >= whole, rows = !side || n - j >= KN_NR ? KN_NR : n - j;
        int first = side ? j : j / KN_NR, step = side ? 1 : apart;
        memset(sums, 0, sizeof sums);
        l->ops->dot_rows(w, n0 + first, step, rows, l->x, l->ldx, m, sums);
        for (int i = 0; i < m; i++)
            for (int r = 0; r < rows; r++)
                c[i * KN_NC + first + r * step] = sums[i * KN_NR + r];
        j += rows;
    }
}

static void many_f32(linear *l, const kn_matrix *w, int64_t m0, int m, int64_t n0, int n, float *c,
                     float *unpacked)
{
    int step = m <= SMALL_BLOCK ? KN_NR : KN_NC;
    int in_place = !w->bits && w->dtype == KN_F32;
    const float *x[KN_MC];
    memset(c, 0, (size_t)(m * KN_NC) * sizeof *c);
    for (int64_t k0 = 0; k0 < w->k; k0 += KN_KB) {
        int kn = (int)(w->k - k0 < KN_KB ? w->k - k0 : KN_KB);
        if (cancelled(l)) return;
        for (int i = 0; i < m; i++)
            x[i] = l->x + (m0 + i) * l->ldx + k0;
        if (in_place) {
            l->ops->tile(x, m, (const float *)w->w + n0 * w->k + k0, w->k, n, kn, c, KN_NC);
            continue;
        }
        for (int j0 = 0; j0 < n; j0 += step) {
            int rows = n - j0 < step ? n - j0 : step;
            for (int j = 0; j < rows; j++)
                l->ops->unpack(w, n0 + j0 + j, k0, kn, unpacked + j * KN_KB);
            l->ops->tile(x, m, unpacked, KN_KB, rows, kn, c + j0, KN_NC);
        }
    }
}

/* -> the sums, rows *ldc apart. end: of the chunk's weight rows */
static const float *products(linear *l, const kn_projection *p, int64_t m0, int m, int64_t n0,
                             int n, int64_t end, float *c, float *work, int64_t *ldc)
{
    if (as_bytes(l, p) && n > l->ops->panel_rows) {
        *ldc = n;
        by_bytes_apart(l, p, m, n0, n, c, n, (kn_panel *)(void *)work);
        return c;
    }
    if (as_bytes(l, p)) {
        *ldc = l->ops->panel_rows;
        return by_bytes(l, p, m0, m, n0, end, c, (kn_panel *)(void *)work);
    }
    *ldc = KN_NC;
    if (l->m <= KN_FEW)
        few_f32(l, p->w, m, n0, n, c);
    else
        many_f32(l, p->w, m0, m, n0, n, c, work);
    return c;
}

/* ---- chunks ---------------------------------------------------------------------------------- */

/* y[n0 .. n0+n-1] of one row of a gate and its up; the sums are changed on the way. */
static void write_gated(const linear *l, const part *p, int64_t i, int64_t n0, int n, float *gate,
                        float *up)
{
    if (p->p->bias) l->ops->put(gate, gate, p->p->bias + n0, 0, n);
    if (p->up->bias) l->ops->put(up, up, p->up->bias + n0, 0, n);
    l->ops->gated(l->act, gate, up, p->p->y + i * p->p->ldy + n0, n);
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
        if (atomic_load_explicit(&l->stopped, memory_order_relaxed)) return;
        for (int i = 0; i < m; i++) {
            if (ups)
                write_gated(l, p, m0 + i, n0, n, sums + i * ldc, ups + i * ld_up);
            else
                l->ops->put(p->p->y + (m0 + i) * p->p->ldy + n0, sums + i * ldc,
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
    int few = l->m <= KN_FEW, panel = l->ops->panel_rows;
    int bytes = as_bytes(l, p->p) || as_bytes(l, p->up);
    int all_bytes = as_bytes(l, p->p) && (!p->up || as_bytes(l, p->up));
    int twice = form_rows(form_of(p->p)) == 2 || (p->up && form_rows(form_of(p->up)) == 2);
    int64_t most = all_bytes ? BYTE_ROWS >> twice : KN_MC;
    int64_t blocks = ceil_div(l->m, most), want = 4 * threads;
    int64_t macs = l->m <= FEW_BYTE_ROWS ? ROW_CHUNK_MACS * l->m : BIG_CHUNK_MACS, rows;
    p->unit = bytes ? panel : few ? KN_NR : 24;
    p->units = ceil_div(w->n, p->unit);
    p->mc = blocks ? ceil_div(l->m, blocks) : 1;
    if (!p->units) return 0;
    rows = macs / (w->k * p->mc > 0 ? w->k * p->mc : 1);
    if (!bytes && !few) rows = KN_NC;
    if (rows > all_rows * blocks / want) rows = all_rows * blocks / want;
    rows = rows < p->unit ? 1 : rows / p->unit; /* units from here on */
    p->across = ceil_div(p->units, rows);
    if (l->m <= FEW_BYTE_ROWS && p->across > threads)
        p->across = ceil_div(p->across, threads) * threads;
    if (p->across > p->units) p->across = p->units;
    rows = ceil_div(p->units, p->across) * p->unit;
    p->step = bytes ? panel : few ? KN_NC : (int)rows;
    if (all_bytes && l->m <= FEW_BYTE_ROWS && w->n >= panel && rows * l->m <= C_FLOATS)
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
    l->ops = kn_table();
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
    if (!rc) rc = kn_run(chunk_of_set, l, (int)chunks, l->cancel);
    free(room);
    return rc ? rc : atomic_load(&l->stopped) ? MLXE_E_CANCELLED : MLXE_OK;
}

mlxe_status kn_project(const kn_input *in, const kn_projection *set, int n,
                       const atomic_int *cancel)
{
    linear l = {.in = in, .n_parts = n, .cancel = cancel};
    for (int i = 0; i < n; i++)
        l.parts[i].p = &set[i];
    return run_set(&l);
}

mlxe_status kn_project_gated(const kn_input *in, kn_act act, const kn_projection *gate,
                             const kn_projection *up, const atomic_int *cancel)
{
    linear l = {.in = in, .act = act, .n_parts = 1, .cancel = cancel};
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
