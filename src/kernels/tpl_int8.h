/* tpl_int8.h: products of packed weights with 8-bit activations. Included once an instruction set.
 *
 *   quantize  a row of x -> bytes, and for each unit of 32 or 64 of them (scale, scale * sum)
 *   pack      Q_NP weight rows x a block of k -> panel: for each 4 codes one dword a row, side by
 *             side in lanes; scales and biases of each group, one lane a row
 *   dots      panel x bytes -> whole sums, exact, then per unit in ascending k:
 *             c = fma(xs * sum, s, c); c = fma(xs * sum of x, b, c)
 *
 * A lane is an output, so nothing is ever summed across lanes and an output's value is a chain over
 * the units of k: the same for every m, chunk and thread. A weight is code * s + b and x is
 * xs * byte, so a unit's share is s * xs * sum(code * byte) + b * xs * sum(byte).
 *
 * Codes stand in one order everywhere, in each eight the even ones first: that is how 4-bit codes
 * come out of their bytes. */
#ifndef KERNELS_TPL_INT8_H
#define KERNELS_TPL_INT8_H

#define Q_NP (2 * VL)         /* weight rows of a panel */
#define Q_BY (KN_QB / 16 * 2) /* scales and sums of a row's units in a block, at most */

/* ---- activations ----------------------------------------------------------------------------- */

/* Greatest magnitude of a unit as 127. Below Q_TINY a unit counts as zero (its inverse would
 * overflow); a unit with Inf or NaN gets a scale of NaN. */
#define Q_TINY 0x1p-100f

/* Greatest magnitude of a unit; NaN when it holds no number; 0 when it counts as zero. */
KN_INLINE float unit_greatest(const float *x, int unit)
{
    vf most = v_zero(), probe = v_zero();
    float greatest;
    for (int i = 0; i < unit; i += VL) {
        vf v = v_load(x + i);
        most = v_max(v_abs(v), most);
        probe = v_fma(v, v_zero(), probe); /* NaN when v is no number */
    }
    greatest = v_greatest(most);
    if (v_sum(probe) != 0) return NAN;
    return greatest < Q_TINY ? 0 : greatest;
}

static void quantize(const float *x, int64_t k, int unit, int8_t *q, float *by)
{
    for (int64_t u = 0; u < k; u += unit, by += 2) {
        float greatest = unit_greatest(x + u, unit);
        vf sum = v_zero(), times;
        if (!(greatest > 0)) {
            memset(q + u, 0, (size_t)unit);
            by[0] = by[1] = greatest;
            continue;
        }
        times = v_set(127 / greatest);
        for (int i = 0; i < unit; i += 16) {
            vf r[16 / VL];
            KN_UNROLL
            for (int j = 0; j < 16 / VL; j++) {
                r[j] = v_round(v_mul(v_load(x + u + i + j * VL), times));
                sum = v_add(sum, r[j]);
            }
            q_put16(q + u + i, r);
        }
        by[0] = greatest / 127;
        by[1] = by[0] * v_sum(sum);
    }
}

/* A number is 128 * high + low, |high| <= 127, |low| <= 64. */
static void quantize_2(const float *x, int64_t k, int unit, int8_t *q, float *by, int64_t ldq)
{
    for (int64_t u = 0; u < k; u += unit, by += 2) {
        float greatest = unit_greatest(x + u, unit);
        vf sum = v_zero(), times;
        if (!(greatest > 0)) {
            memset(q + u, 0, (size_t)unit);
            memset(q + ldq + u, 0, (size_t)unit);
            by[0] = by[1] = greatest;
            continue;
        }
        times = v_set(16256 / greatest);
        for (int i = 0; i < unit; i += 16) {
            vf high[16 / VL], low[16 / VL];
            KN_UNROLL
            for (int j = 0; j < 16 / VL; j++) {
                vf v = v_round(v_mul(v_load(x + u + i + j * VL), times));
                high[j] = v_round(v_mul(v, v_set(1.0f / 128)));
                low[j] = v_fnma(high[j], v_set(128), v);
                sum = v_add(sum, v);
            }
            q_put16(q + u + i, high);
            q_put16(q + ldq + u + i, low);
        }
        by[0] = greatest / 16256;
        by[1] = by[0] * v_sum(sum);
    }
}

/* ---- weights --------------------------------------------------------------------------------- */

/* Codes that one 16-byte step of q_rows holds become the panel's dwords from `dword` on. */
KN_INLINE void store_step(int bits, vi q[4], kn_panel *p, int dword, int half)
{
    uint8_t *out = p->codes + ((size_t)dword * 2 + (size_t)half) * VL * 4;
    KN_UNROLL
    for (int d = 0; d < 4; d++) {
        if (bits == 4) {
            q_store(out + (size_t)(2 * d) * Q_NP * 4, q_low(q[d]));
            q_store(out + (size_t)(2 * d + 1) * Q_NP * 4, q_high(q[d]));
        } else {
            q_store(out + (size_t)d * Q_NP * 4, q[d]);
        }
    }
}

/* Where weight rows lie: groups of four, `stride` bytes apart, `far` from group to group. */
typedef struct rows_at {
    const uint8_t *p;
    int64_t stride, far;
} rows_at;

KN_INLINE const uint8_t *row_of(const rows_at *a, int r)
{
    return a->p + (r >> 2) * a->far + (r & 3) * a->stride;
}
/* The second half of a panel starts VL rows on. */
KN_INLINE const uint8_t *half_of(const rows_at *a, int half)
{
    return a->p + half * (VL / 4) * a->far;
}

/* Codes of 2, 3, 5 or 6 bits become bytes in order. */
KN_INLINE void expand_rows(int bits, const rows_at *from, int kn, int64_t ahead, kn_panel *p)
{
    for (int r = 0; r < Q_NP; r++) {
        const uint8_t *row = row_of(from, r);
        for (int at = 0; at < kn * bits / 8 && ahead; at += 64)
            prefetch_near(row + at, ahead);
        q_expand(bits, row, kn, p->rows + r * KN_QB);
    }
}

/* 4 and 8 bits are cut where they lie; the others are made bytes first. */
KN_INLINE void pack_codes(int bits, rows_at codes, int kn, kn_panel *p)
{
    const int here = bits == 4 || bits == 8, step = bits == 4 ? 32 : 16;
    const int line = here ? 64 * 8 / bits : KN_QB; /* codes that are cut in one go: a cache line */
    if (!here) {
        expand_rows(bits, &codes, kn, 0, p);
        codes = (rows_at){p->rows, KN_QB, 4 * KN_QB};
    }
    for (int u0 = 0; u0 < kn; u0 += line) {
        int end = u0 + line < kn ? u0 + line : kn;
        for (int half = 0; half < 2; half++) {
            const uint8_t *at = half_of(&codes, half);
            for (int u = u0; u < end; u += step) {
                vi q[4];
                q_rows(at + (here ? u * bits / 8 : u), codes.stride, codes.far, bits != 8, q);
                store_step(bits, q, p, u / 4, half);
            }
        }
    }
}

/* Scales or biases of g groups; whole steps of 16 bytes. */
KN_INLINE void pack_groups_as(kn_dtype dtype, const rows_at *from, int g, float *out)
{
    for (int i = 0; i < g; i += dtype == KN_F32 ? 4 : 8)
        KN_UNROLL
    for (int half = 0; half < 2; half++) {
        vi q[4];
        q_rows(half_of(from, half) + i * (dtype == KN_F32 ? 4 : 2), from->stride, from->far, 1, q);
        KN_UNROLL
        for (int d = 0; d < 4; d++) {
            if (dtype == KN_F32) {
                v_store(out + (i + d) * 2 * Q_NP + half * VL, q_as_float(q[d]));
                continue;
            }
            v_store(out + (i + 2 * d) * 2 * Q_NP + half * VL, q_half(dtype, q[d], 0));
            v_store(out + (i + 2 * d + 1) * 2 * Q_NP + half * VL, q_half(dtype, q[d], 1));
        }
    }
}

/* Rows that cannot be read where they lie: a matrix may have fewer than a panel (its last one is
 * repeated), or end before the last row's last step. It is read whole: its rest is made 0. */
static rows_at copy_rows(const kn_matrix *w, const rows_at *from, size_t bytes, kn_panel *p,
                         int64_t ld)
{
    for (int r = 0; r < Q_NP; r++) {
        memcpy(p->copy + r * ld, row_of(from, r < w->n ? r : (int)w->n - 1), bytes);
        memset(p->copy + r * ld + bytes, 0, -bytes & 15);
    }
    return (rows_at){p->copy, ld, 4 * ld};
}

/* Rows n0 .. of something that has `stride` bytes a row, from byte `at` of a row on. */
KN_INLINE rows_at rows_from(const void *p, const kn_rows *rows, int64_t stride, int64_t at)
{
    return (rows_at){(const uint8_t *)p + rows->n0 * stride + at, stride, rows->apart * stride};
}

/* A whole block of 64s, which most matrices have, without loops: 2 % of a decode step. */
KN_INLINE void pack_groups(const kn_matrix *w, const void *values, const kn_rows *rows, int64_t k0,
                           int kn, kn_panel *p, float *out)
{
    const int shift = group_shift(w), g = kn >> shift, size = w->dtype == KN_F32 ? 4 : 2;
    const int64_t stride = (w->k >> shift) * size, at = (k0 >> shift) * size;
    rows_at from = rows_from(values, rows, stride, at);
    /* where the last row's steps of 16 bytes end */
    const int64_t last = rows->n0 + (Q_NP / 4 - 1) * rows->apart + 3;
    const int64_t end = last * stride + at + (g * size + 15) / 16 * 16;
    /* a block's share of what the next panel needs of each four rows */
    const int64_t next = (rows->apart == 4 ? rows->panels * Q_NP : 4) * stride + 3 * at;
    if (!rows->asked)
        for (int r = 0; r < Q_NP; r += 4)
            for (int i = 0; i < 4 * g * size; i += 64)
                prefetch_near(row_of(&from, r), next + i);
    if (w->n < Q_NP || end > w->n * stride)
        from = copy_rows(w, &from, (size_t)(g * size), p, KN_QB / 32 * 4);
    if (w->dtype == KN_F32)
        pack_groups_as(KN_F32, &from, g, out);
    else if (w->dtype == KN_BF16 && g == KN_QB / 64)
        pack_groups_as(KN_BF16, &from, KN_QB / 64, out);
    else if (w->dtype == KN_BF16)
        pack_groups_as(KN_BF16, &from, g, out);
    else if (g == KN_QB / 64)
        pack_groups_as(KN_F16, &from, KN_QB / 64, out);
    else
        pack_groups_as(KN_F16, &from, g, out);
}

static void pack_all_groups(const kn_matrix *w, const kn_rows *rows, int64_t k0, int kn,
                            kn_panel *p)
{
    pack_groups(w, w->scales, rows, k0, kn, p, p->groups);
    pack_groups(w, w->biases, rows, k0, kn, p, p->groups + Q_NP);
    if (Q_OFFSET && w->bits == 8)
        for (int g = 0; g < kn >> group_shift(w); g++)
            for (int i = 0; i < Q_NP; i += VL) {
                float *s = p->groups + g * 2 * Q_NP + i, *b = s + Q_NP;
                v_store(b, v_fma(v_set(Q_OFFSET), v_load(s), v_load(b)));
            }
}

#include "kernels/tpl_fp_int8.h"

static void pack(const kn_matrix *w, const kn_rows *rows, int64_t k0, int kn, kn_panel *p)
{
    rows_at codes = rows_from(w->w, rows, w->k * w->bits / 8, k0 * w->bits / 8);
    if (w->n < Q_NP) codes = copy_rows(w, &codes, (size_t)(kn * w->bits / 8), p, KN_QB);
    if (w->mode) {
        pack_fp4(&codes, kn, p);
        pack_fp_groups(w, rows, k0, kn, p);
        return;
    }
    switch (w->bits) {
    case 2:
        pack_codes(2, codes, kn, p);
        break;
    case 3:
        pack_codes(3, codes, kn, p);
        break;
    case 4:
        pack_codes(4, codes, kn, p);
        break;
    case 5:
        pack_codes(5, codes, kn, p);
        break;
    case 6:
        pack_codes(6, codes, kn, p);
        break;
    default:
        pack_codes(8, codes, kn, p);
    }
    pack_all_groups(w, rows, k0, kn, p);
}

/* ---- products -------------------------------------------------------------------------------- */

/* What is read after this block: its rows are asked for while the products run, unit by unit. In
 * the midst of packing, which waits for memory already, they would only wait longer. They come to
 * the second-level cache: more can be under way, and the first one is full of the panel. */
typedef struct kn_next {
    rows_at rows; /* p NULL: nothing is */
    int n, bytes; /* rows; of a row */
} kn_next;

KN_INLINE void ask_next(const kn_next *next, int unit, int units)
{
    if (!next->rows.p) return;
    for (int r = unit * next->n / units; r < (unit + 1) * next->n / units; r++)
        for (int i = 0; i < next->bytes; i += 64)
            prefetch_l2(row_of(&next->rows, r) + i);
}

/* A register tile: rows of bytes by vectors of weight rows, two a panel. */
typedef vi kn_sums[Q_TILE][2 * KN_PANELS];

/* sums[r][h]: lane sums of one unit, `dwords` dwords of codes from dword `from` of each of the
 * panels on, with mr rows of bytes. */
KN_INLINE void unit_sums(int kind, int mr, int panels, int dwords, const kn_panel *p, int from,
                         const int8_t *x, int64_t ldx, kn_sums sums)
{
    const int run = Q_RUN(kind) < dwords ? Q_RUN(kind) : dwords;
    const uint8_t *w = p->codes + (size_t)from * Q_NP * 4;
    KN_UNROLL
    for (int r = 0; r < mr; r++)
        KN_UNROLL
    for (int h = 0; h < 2 * panels; h++)
        sums[r][h] = q_zero();
    for (int d = 0; d < dwords; d += run) {
        kn_sums part;
        KN_UNROLL
        for (int r = 0; r < mr; r++)
            KN_UNROLL
        for (int h = 0; h < 2 * panels; h++)
            part[r][h] = q_zero();
        for (int e = 0; e < run; e++, w += Q_NP * 4, x += 4) {
            vi a[2 * KN_PANELS];
            KN_UNROLL
            for (int h = 0; h < 2 * panels; h++)
                a[h] = q_load(w + (size_t)(h / 2) * sizeof *p + (size_t)(h % 2) * VL * 4);
            KN_UNROLL
            for (int r = 0; r < mr; r++) {
                vi v = q_spread(x + r * ldx);
                KN_UNROLL
                for (int h = 0; h < 2 * panels; h++)
                    part[r][h] = q_mac(kind, part[r][h], a[h], v);
            }
        }
        KN_UNROLL
        for (int r = 0; r < mr; r++)
            KN_UNROLL
        for (int h = 0; h < 2 * panels; h++)
            sums[r][h] = q_add(sums[r][h], q_wide(kind, part[r][h]));
    }
}

/* A number's sum from those of its high and its low bytes. */
KN_INLINE vi q_pair(vi high, vi low) { return q_add(q_left(high, 7), low); }

/* c[r, all rows of the panels] += the block's share of mr rows, each `bytes` rows of bytes */
KN_INLINE void dots(int kind, int mr, int bytes, int panels, int unit, int shift, const kn_panel *p,
                    int kn, const kn_bytes *x, const kn_next *next, float *c)
{
    const int8_t *q = x->q;
    float room[Q_TILE * Q_BY], *by = room; /* side by side: rows far apart need an address each */
    for (int r = 0; r < mr; r++)
        memcpy(room + r * Q_BY, x->by + r * x->ldby, (size_t)(kn / unit * 2) * sizeof *room);
    for (int u = 0; u < kn; u += unit, by += 2) {
        kn_sums sums;
        ask_next(next, u / unit, kn / unit);
        unit_sums(kind, mr * bytes, panels, unit / 4, p, u / 4, q + u, x->ldq, sums);
        KN_UNROLL
        for (int h = 0; h < 2 * panels; h++) {
            const float *groups = p[h / 2].groups + (u >> shift) * 2 * Q_NP + h % 2 * VL;
            const vf s = v_load(groups), b = v_load(groups + Q_NP);
            KN_UNROLL
            for (int r = 0; r < mr; r++) {
                float *to = c + r * panels * Q_NP + h * VL;
                vi sum = bytes == 2 ? q_pair(sums[2 * r][h], sums[2 * r + 1][h]) : sums[r][h];
                vf t = v_mul(q_float(sum), v_set(by[r * Q_BY]));
                t = v_fma(t, s, v_load(to));
                v_store(to, v_fma(v_set(by[r * Q_BY + 1]), b, t));
            }
        }
    }
}

KN_INLINE void dots_unit(int kind, int mr, int bytes, int panels, int unit, int shift,
                         const kn_panel *p, int kn, const kn_bytes *x, const kn_next *next,
                         float *c)
{
    if (unit == 16)
        dots(kind, mr, bytes, panels, 16, 4, p, kn, x, next, c);
    else if (unit == 32)
        dots(kind, mr, bytes, panels, 32, shift, p, kn, x, next, c);
    else
        dots(kind, mr, bytes, panels, 64, shift, p, kn, x, next, c);
}

#define DOTS_CASE(kind, mr, bytes, panels)                                                         \
    case (mr)*2 + (bytes)-1:                                                                       \
        dots_unit(kind, mr, bytes, panels, unit, shift, p, kn, x, next, c);                        \
        break;

KN_INLINE void dots_rows(int kind, int mr, int unit, int shift, const kn_panel *p, int kn,
                         const kn_bytes *x, const kn_next *next, float *c)
{
    switch (mr * 2 + x->twice) {
        DOTS_CASE(kind, 1, 1, 1)
        DOTS_CASE(kind, 2, 1, 1)
        DOTS_CASE(kind, 1, 2, 1)
#if Q_TILE >= 4
        DOTS_CASE(kind, 3, 1, 1)
        DOTS_CASE(kind, 4, 1, 1)
        DOTS_CASE(kind, 2, 2, 1)
#endif
#if Q_TILE >= 8
        DOTS_CASE(kind, 5, 1, 1)
        DOTS_CASE(kind, 6, 1, 1)
        DOTS_CASE(kind, 7, 1, 1)
        DOTS_CASE(kind, 8, 1, 1)
        DOTS_CASE(kind, 3, 2, 1)
        DOTS_CASE(kind, 4, 2, 1)
#endif
    }
}

static void dots_0(int mr, int unit, int shift, const kn_panel *p, int kn, const kn_bytes *x,
                   const kn_next *next, float *c)
{
    dots_rows(0, mr, unit, shift, p, kn, x, next, c);
}
#if Q_KINDS > 1
static void dots_1(int mr, int unit, int shift, const kn_panel *p, int kn, const kn_bytes *x,
                   const kn_next *next, float *c)
{
    dots_rows(1, mr, unit, shift, p, kn, x, next, c);
}
static void dots_2(int mr, int unit, int shift, const kn_panel *p, int kn, const kn_bytes *x,
                   const kn_next *next, float *c)
{
    dots_rows(2, mr, unit, shift, p, kn, x, next, c);
}
#else
#define dots_1 dots_0
#define dots_2 dots_0
#endif

#if Q_TILE_2
static void dots_of_two(int mr, int unit, int shift, const kn_panel *p, int kn, const kn_bytes *x,
                        const kn_next *next, float *c)
{
    switch (mr * 2 + x->twice) {
        DOTS_CASE(0, 1, 1, 2)
        DOTS_CASE(0, 2, 1, 2)
        DOTS_CASE(0, 3, 1, 2)
        DOTS_CASE(0, 4, 1, 2)
        DOTS_CASE(0, 5, 1, 2)
        DOTS_CASE(0, 6, 1, 2)
        DOTS_CASE(0, 1, 2, 2)
        DOTS_CASE(0, 2, 2, 2)
        DOTS_CASE(0, 3, 2, 2)
    }
}
_Static_assert(Q_KINDS == 1 && Q_TILE_2 == 6, "the cases");
#else
#define dots_of_two dots_0
#endif

static void tile_bytes(const kn_matrix *w, const kn_panel *p, int panels, int kn, const kn_bytes *x,
                       int m, kn_next next, float *c)
{
    const int most = (panels == 2 ? Q_TILE_2 : Q_TILE) >> x->twice;
    int left = (m + most - 1) / most; /* tiles of nearly equal height */
    kn_bytes at = *x;
    while (left) {
        int mr = (m + left - 1) / left, unit = kn_unit(w), shift = group_shift(w);
        int kind = w->mode ? FP4_KIND : Q_KIND(w->bits);
        if (panels == 2)
            dots_of_two(mr, unit, shift, p, kn, &at, &next, c);
        else if (kind == 0)
            dots_0(mr, unit, shift, p, kn, &at, &next, c);
        else if (kind == 1)
            dots_1(mr, unit, shift, p, kn, &at, &next, c);
        else
            dots_2(mr, unit, shift, p, kn, &at, &next, c);
        next.rows.p = NULL;
        at.q += (mr << x->twice) * at.ldq;
        at.by += mr * at.ldby;
        c += mr * panels * Q_NP;
        m -= mr;
        left--;
    }
}

#include "kernels/tpl_few.h"

KN_INLINE kn_next next_of(const kn_matrix *w, const kn_rows *rows, int64_t k0, int kn)
{
    rows_at at = rows_from(w->w, rows, w->k * w->bits / 8, k0 * w->bits / 8);
    at.p = rows->ahead && w->n >= Q_NP ? at.p + rows->ahead : NULL;
    return (kn_next){at, rows->panels * Q_NP, kn * w->bits / 8};
}

static void pack_panels(const kn_matrix *w, const kn_rows *rows, int64_t k0, int kn, kn_panel *p)
{
    kn_rows at = *rows;
    for (int i = 0; i < rows->panels; i++, at.n0 += Q_NP / 4 * at.apart)
        pack(w, &at, k0, kn, p + i);
}

static void dot_bytes(const kn_matrix *w, const kn_rows *rows, int64_t k0, int kn, kn_panel *p,
                      const kn_bytes *x, int m, float *c)
{
    if (m << x->twice <= 2 && w->n >= Q_NP && w->mode != KN_NVFP4) {
        few_bytes(w, rows, k0, kn, p, x, m, c);
    } else {
        pack_panels(w, rows, k0, kn, p);
        tile_bytes(w, p, rows->panels, kn, x, m, next_of(w, rows, k0, kn), c);
    }
}

#endif
