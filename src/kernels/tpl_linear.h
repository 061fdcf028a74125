/* tpl_linear.h: dot products with dense and packed weights. Included once an instruction set.
 *
 * One order of summation serves all three ways in which a product is computed (a few weight rows
 * against a few rows of x, unpacked in registers; a tile of rows against unpacked weights; any tile
 * height): see internal.h. A weight is dequantised to f32, once rounded, in all of them. */
#ifndef KERNELS_TPL_LINEAR_H
#define KERNELS_TPL_LINEAR_H

/* ---- loading weights ------------------------------------------------------------------------- */

KN_INLINE vf load_as(kn_dtype dtype, const void *p, int64_t at)
{
    if (dtype == KN_F32) return v_load((const float *)p + at);
    if (dtype == KN_BF16) return v_load_bf16((const uint16_t *)p + at);
    return v_load_f16((const uint16_t *)p + at);
}

KN_INLINE vf load_as_n(kn_dtype dtype, const void *p, int64_t at, int n)
{
    if (dtype == KN_F32) return v_load_n((const float *)p + at, n);
    if (dtype == KN_BF16) return v_load_bf16_n((const uint16_t *)p + at, n);
    return v_load_f16_n((const uint16_t *)p + at, n);
}

/* n values as f32 */
static void widen(kn_dtype dtype, const void *p, int64_t at, int n, float *out)
{
    int i = 0;
    for (; i + VL <= n; i += VL)
        v_store(out + i, load_as(dtype, p, at + i));
    if (i < n) v_store_n(out + i, load_as_n(dtype, p, at + i, n - i), n - i);
}

KN_INLINE int group_shift(const kn_matrix *w)
{
    return w->group == 16 ? 4 : w->group == 32 ? 5 : w->group == 64 ? 6 : 7;
}

/* How far ahead of its use a weight is asked for: whole blocks of KN_NR rows, PREFETCH_BYTES at
 * least, so that the rows that are read side by side ask for the same side-by-side rows. The
 * hardware alone follows four short streams at half the speed of memory. */
#define PREFETCH_BYTES 4096

KN_INLINE int64_t rows_ahead(int64_t row_bytes)
{
    int64_t block = KN_NR * (row_bytes ? row_bytes : 1);
    return KN_NR * ((PREFETCH_BYTES + block - 1) / block);
}

/* Scales and biases of the groups of one row and k block; one group more may be looked at. */
typedef struct row_groups {
    float scale[KN_KB / 32 + 2], bias[KN_KB / 32 + 2];
} row_groups;

static void load_groups(const kn_matrix *w, int64_t row, int64_t k0, int kn, int64_t ahead,
                        row_groups *g)
{
    const int shift = group_shift(w);
    int n = kn >> shift;
    int64_t at = row * (w->k >> shift) + (k0 >> shift);
    const int64_t bytes = at * (w->dtype == KN_F32 ? 4 : 2);
    prefetch((const char *)w->scales + bytes, ahead);
    prefetch((const char *)w->biases + bytes, ahead);
    widen(w->dtype, w->scales, at, n, g->scale);
    widen(w->dtype, w->biases, at, n, g->bias);
    g->scale[n] = g->bias[n] = 0;
}

KN_INLINE const uint8_t *packed_at(int bits, const kn_matrix *w, int64_t row, int64_t k0)
{
    return (const uint8_t *)w->w + (row * w->k + k0) * bits / 8;
}

/* The values of one unit that starts at code u of the block; n: 32 or 64 codes. */
KN_INLINE void unit_values(int bits, const uint8_t *codes, int u, int n, int shift,
                           const row_groups *g, vf out[UV])
{
    vi q[UV];
    int at = u >> shift;
    v_group first_half = v_group_of(bits, g->scale[at], g->bias[at]);
    v_codes(bits, codes + u * bits / 8, n, q);
    KN_UNROLL
    for (int j = 0; j < UV / 2; j++)
        out[j] = v_value(bits, q[j], &first_half);
    if (UNIT > 32 && shift == 5) first_half = v_group_of(bits, g->scale[at + 1], g->bias[at + 1]);
    KN_UNROLL
    for (int j = UV / 2; j < UV; j++)
        out[j] = v_value(bits, q[j], &first_half);
}

KN_INLINE void unpack_affine(int bits, const kn_matrix *w, int64_t row, int64_t k0, int kn,
                             float *out)
{
    const uint8_t *codes = packed_at(bits, w, row, k0);
    const int shift = group_shift(w);
    const int64_t row_bytes = w->k * bits / 8, ahead = rows_ahead(row_bytes) * row_bytes;
    row_groups g;
    vf v[UV];
    int u = 0;
    load_groups(w, row, k0, kn, 0, &g);
    for (; u + UNIT <= kn; u += UNIT) {
        prefetch(codes + u * bits / 8, ahead);
        unit_values(bits, codes, u, UNIT, shift, &g, v);
        KN_UNROLL
        for (int j = 0; j < UV; j++)
            v_store(out + u + j * VL, v[j]);
    }
    if (UNIT > 32 && u < kn) { /* half a unit */
        unit_values(bits, codes, u, UNIT / 2, shift, &g, v);
        KN_UNROLL
        for (int j = 0; j < UV / 2; j++)
            v_store(out + u + j * VL, v[j]);
    }
}

/* c[q, 0..3] += the sums of acc[0..3][q] */
KN_INLINE void sum_rows(int m, float *c, vf acc[KN_NR][KN_FEW])
{
    KN_UNROLL
    for (int q = 0; q < m; q++) {
        vf a[KN_NR] = {acc[0][q], acc[1][q], acc[2][q], acc[3][q]};
        v_sum_to(c + q * KN_NR, a);
    }
}

#include "kernels/tpl_fp.h"

static void unpack(const kn_matrix *w, int64_t row, int64_t k0, int kn, float *out)
{
    if (w->mode) {
        unpack_fp(w, row, k0, kn, out);
        return;
    }
    switch (w->bits) {
    case 0:
        widen(w->dtype, w->w, row * w->k + k0, kn, out);
        break;
    case 2:
        unpack_affine(2, w, row, k0, kn, out);
        break;
    case 3:
        unpack_affine(3, w, row, k0, kn, out);
        break;
    case 4:
        unpack_affine(4, w, row, k0, kn, out);
        break;
    case 5:
        unpack_affine(5, w, row, k0, kn, out);
        break;
    case 6:
        unpack_affine(6, w, row, k0, kn, out);
        break;
    default:
        unpack_affine(8, w, row, k0, kn, out);
    }
}

/* ---- a few rows of x against a few weight rows ----------------------------------------------- */

/* acc[q] += x[q] . one unit of a weight row, in lanes, q < m */
KN_INLINE void unit_dot(int bits, int m, const uint8_t *codes, int u, int n, int shift,
                        const row_groups *g, const float *x, int64_t ldx, int64_t ahead, vf *acc)
{
    vf v[UV];
    prefetch(codes + u * bits / 8, ahead);
    unit_values(bits, codes, u, n, shift, g, v);
    KN_UNROLL
    for (int j = 0; j < n / VL; j++) {
        KN_UNROLL
        for (int q = 0; q < m; q++)
            acc[q] = v_fma(v_load(x + q * ldx + u + j * VL), v[j], acc[q]);
    }
}

KN_INLINE void dot_affine(int bits, int m, const kn_matrix *w, int64_t n0, int n, const float *x,
                          int64_t ldx, float *c)
{
    const int shift = group_shift(w);
    const int64_t row_bytes = w->k * bits / 8, skip = rows_ahead(row_bytes);
    const int64_t ahead = skip * row_bytes;
    const int64_t groups_ahead = skip * (w->k >> shift) * (w->dtype == KN_F32 ? 4 : 2);
    row_groups g[KN_NR];
    for (int64_t k0 = 0; k0 < w->k; k0 += KN_KB) {
        int kn = (int)(w->k - k0 < KN_KB ? w->k - k0 : KN_KB), u = 0;
        const float *xk = x + k0;
        const uint8_t *row[KN_NR];
        vf acc[KN_NR][KN_FEW];
        KN_UNROLL
        for (int r = 0; r < KN_NR; r++) { /* rows beyond n repeat the last one */
            int64_t at = n0 + (r < n ? r : n - 1);
            load_groups(w, at, k0, kn, groups_ahead, &g[r]);
            row[r] = packed_at(bits, w, at, k0);
            KN_UNROLL
            for (int q = 0; q < m; q++)
                acc[r][q] = v_zero();
        }
        for (; u + UNIT <= kn; u += UNIT) {
            KN_UNROLL
            for (int r = 0; r < KN_NR; r++)
                unit_dot(bits, m, row[r], u, UNIT, shift, &g[r], xk, ldx, ahead, acc[r]);
        }
        if (UNIT > 32 && u < kn) { /* half a unit */
            KN_UNROLL
            for (int r = 0; r < KN_NR; r++)
                unit_dot(bits, m, row[r], u, UNIT / 2, shift, &g[r], xk, ldx, ahead, acc[r]);
        }
        sum_rows(m, c, acc);
    }
}

/* How far ahead of its use a dense weight is asked for, in its row and the rows after it. */
#define DENSE_AHEAD 2048

KN_INLINE void dot_dense(kn_dtype dtype, int m, const kn_matrix *w, int64_t n0, int64_t apart,
                         int n, const float *x, int64_t ldx, float *c)
{
    const int size = dtype == KN_F32 ? 4 : 2, line = 64 / size > VL ? 64 / size : VL;
    int64_t at[KN_NR];
    for (int r = 0; r < KN_NR; r++)
        at[r] = (n0 + (r < n ? r : n - 1) * apart) * w->k;
    for (int64_t k0 = 0; k0 < w->k; k0 += KN_KB) {
        int64_t i = k0, end = w->k - k0 < KN_KB ? w->k : k0 + KN_KB;
        vf acc[KN_NR][KN_FEW];
        KN_UNROLL
        for (int q = 0; q < m; q++)
            acc[0][q] = acc[1][q] = acc[2][q] = acc[3][q] = v_zero();
        for (; i + line <= end; i += line) {
            KN_UNROLL
            for (int r = 0; r < KN_NR; r++) {
                prefetch_near((const uint8_t *)w->w + (at[r] + i) * size, DENSE_AHEAD);
                KN_UNROLL
                for (int j = 0; j < line; j += VL) {
                    vf wv = load_as(dtype, w->w, at[r] + i + j);
                    KN_UNROLL
                    for (int q = 0; q < m; q++)
                        acc[r][q] = v_fma(v_load(x + q * ldx + i + j), wv, acc[r][q]);
                }
            }
        }
        for (; i + VL <= end; i += VL) {
            KN_UNROLL
            for (int r = 0; r < KN_NR; r++) {
                vf wv = load_as(dtype, w->w, at[r] + i);
                KN_UNROLL
                for (int q = 0; q < m; q++)
                    acc[r][q] = v_fma(v_load(x + q * ldx + i), wv, acc[r][q]);
            }
        }
        if (i < end) {
            int rest = (int)(end - i);
            KN_UNROLL
            for (int r = 0; r < KN_NR; r++) {
                vf wv = load_as_n(dtype, w->w, at[r] + i, rest);
                KN_UNROLL
                for (int q = 0; q < m; q++)
                    acc[r][q] = v_fma(v_load_n(x + q * ldx + i, rest), wv, acc[r][q]);
            }
        }
        sum_rows(m, c, acc);
    }
}

KN_INLINE void dot_few(int m, const kn_matrix *w, int64_t n0, int64_t apart, int n, const float *x,
                       int64_t ldx, float *c)
{
    if (w->mode) {
        dot_fp(m, w, n0, n, x, ldx, c);
        return;
    }
    switch (w->bits) {
    case 0:
        if (w->dtype == KN_F32)
            dot_dense(KN_F32, m, w, n0, apart, n, x, ldx, c);
        else if (w->dtype == KN_BF16)
            dot_dense(KN_BF16, m, w, n0, apart, n, x, ldx, c);
        else
            dot_dense(KN_F16, m, w, n0, apart, n, x, ldx, c);
        break;
    case 2:
        dot_affine(2, m, w, n0, n, x, ldx, c);
        break;
    case 3:
        dot_affine(3, m, w, n0, n, x, ldx, c);
        break;
    case 4:
        dot_affine(4, m, w, n0, n, x, ldx, c);
        break;
    case 5:
        dot_affine(5, m, w, n0, n, x, ldx, c);
        break;
    case 6:
        dot_affine(6, m, w, n0, n, x, ldx, c);
        break;
    default:
        dot_affine(8, m, w, n0, n, x, ldx, c);
    }
}

/* c has room for KN_NR values a row whatever n is. */
static void dot_rows(const kn_matrix *w, int64_t n0, int64_t apart, int n, const float *x,
                     int64_t ldx, int m, float *c)
{
    switch (m) {
    case 1:
        dot_few(1, w, n0, apart, n, x, ldx, c);
        break;
    case 2:
        dot_few(2, w, n0, apart, n, x, ldx, c);
        break;
    }
}

/* ---- a tile of rows against f32 weight rows -------------------------------------------------- */

/* c[i,j] += x[i] . w[j], i < mr, j < KN_NR, or j < n when n < KN_NR */
KN_INLINE void micro(int mr, const float *const *x, const float *w, int64_t ldw, int n, int k,
                     float *c, int64_t ldc)
{
    const float *w0 = w, *w1 = w + (n > 1 ? ldw : 0), *w2 = w + (n > 2 ? 2 * ldw : 0),
                *w3 = w + (n > 3 ? 3 * ldw : 0);
    vf acc[TILE_ROWS][KN_NR];
    int i = 0;
    KN_UNROLL
    for (int r = 0; r < mr; r++)
        acc[r][0] = acc[r][1] = acc[r][2] = acc[r][3] = v_zero();
    for (; i + VL <= k; i += VL) {
        vf a = v_load(w0 + i), b = v_load(w1 + i), d = v_load(w2 + i), e = v_load(w3 + i);
        KN_UNROLL
        for (int r = 0; r < mr; r++) {
            vf xv = v_load(x[r] + i);
            acc[r][0] = v_fma(xv, a, acc[r][0]);
            acc[r][1] = v_fma(xv, b, acc[r][1]);
            acc[r][2] = v_fma(xv, d, acc[r][2]);
            acc[r][3] = v_fma(xv, e, acc[r][3]);
        }
    }
    if (i < k) {
        vf a = v_load_n(w0 + i, k - i), b = v_load_n(w1 + i, k - i), d = v_load_n(w2 + i, k - i),
           e = v_load_n(w3 + i, k - i);
        KN_UNROLL
        for (int r = 0; r < mr; r++) {
            vf xv = v_load_n(x[r] + i, k - i);
            acc[r][0] = v_fma(xv, a, acc[r][0]);
            acc[r][1] = v_fma(xv, b, acc[r][1]);
            acc[r][2] = v_fma(xv, d, acc[r][2]);
            acc[r][3] = v_fma(xv, e, acc[r][3]);
        }
    }
    KN_UNROLL
    for (int r = 0; r < mr; r++) {
        if (n >= KN_NR) {
            v_sum_to(c + r * ldc, acc[r]);
        } else {
            float part[KN_NR] = {0};
            memcpy(part, c + r * ldc, (size_t)n * sizeof *part);
            v_sum_to(part, acc[r]);
            memcpy(c + r * ldc, part, (size_t)n * sizeof *part);
        }
    }
}

static void micro_rows(int mr, const float *const *x, const float *w, int64_t ldw, int n, int k,
                       float *c, int64_t ldc)
{
    switch (mr) {
    case 1:
        micro(1, x, w, ldw, n, k, c, ldc);
        break;
    case 2:
        micro(2, x, w, ldw, n, k, c, ldc);
        break;
#if TILE_ROWS >= 3
    case 3:
        micro(3, x, w, ldw, n, k, c, ldc);
        break;
#endif
#if TILE_ROWS >= 6
    case 4:
        micro(4, x, w, ldw, n, k, c, ldc);
        break;
    case 5:
        micro(5, x, w, ldw, n, k, c, ldc);
        break;
    case 6:
        micro(6, x, w, ldw, n, k, c, ldc);
        break;
#endif
    }
}

static void tile(const float *const *x, int m, const float *w, int64_t ldw, int n, int k, float *c,
                 int64_t ldc)
{
    int left = (m + TILE_ROWS - 1) / TILE_ROWS; /* tiles of nearly equal height */
    while (left) {
        int mr = (m + left - 1) / left;
        for (int j = 0; j < n; j += KN_NR)
            micro_rows(mr, x, w + j * ldw, ldw, n - j, k, c + j, ldc);
        x += mr;
        c += mr * ldc;
        m -= mr;
        left--;
    }
}

#endif
