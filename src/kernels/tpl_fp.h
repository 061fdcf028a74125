/* tpl_fp.h: weights in mxfp4, mxfp8, nvfp4. Included once an instruction set, by tpl_linear.h.
 *
 * A value is code * scale, exact in f32, so the order of summation is all that must agree with the
 * other ways of computing a product: blocks of KN_KB, lanes in ascending order (internal.h). */
#ifndef KERNELS_TPL_FP_H
#define KERNELS_TPL_FP_H

/* Scales of one row and k block; a unit may look beyond the last. */
typedef struct fp_groups {
    float scale[KN_KB / 16 + 4];
} fp_groups;

KN_INLINE int fp_shift(kn_mode mode) { return mode == KN_NVFP4 ? 4 : 5; }

KN_INLINE float e8m0_value(uint8_t s)
{
    uint32_t u = s ? (uint32_t)s << 23 : 0x00400000; /* 2^-127 is no normal number */
    float x;
    memcpy(&x, &u, 4);
    return x;
}

KN_INLINE void fp_scales(kn_mode mode, const kn_matrix *w, int64_t row, int64_t k0, int kn,
                         int64_t ahead, fp_groups *g)
{
    const int shift = fp_shift(mode), n = kn >> shift;
    const uint8_t *s = (const uint8_t *)w->scales + row * (w->k >> shift) + (k0 >> shift);
    int i = 0;
    prefetch(s, ahead);
    if (mode == KN_NVFP4) {
        uint8_t rest[VL] = {0};
        for (; i + VL <= n; i += VL)
            v_store(g->scale + i, v_load_e4m3(s + i));
        memcpy(rest, s + i, (size_t)(n - i));
        v_store_n(g->scale + i, v_load_e4m3(rest), n - i);
    } else {
        for (; i < n; i++)
            g->scale[i] = e8m0_value(s[i]);
    }
    for (i = 0; i < 4; i++)
        g->scale[n + i] = 0;
}

/* The values of the UNIT codes that start at code u of the block. */
KN_INLINE void fp_unit(kn_mode mode, const uint8_t *codes, int u, const float *scale, vf out[UV])
{
    vi q[UV];
    if (mode == KN_MXFP8) {
        KN_UNROLL
        for (int j = 0; j < UV; j++)
            out[j] = v_mul(v_load_e4m3(codes + j * VL), v_set(scale[(u + j * VL) >> 5]));
        return;
    }
    v_codes(4, codes, UNIT, q);
    KN_UNROLL
    for (int j = 0; j < UV; j++)
        out[j] = v_fp4(q[j], v_fp4_of(scale[(u + j * VL) >> fp_shift(mode)]));
}

/* The last unit of a row, fewer than UNIT codes, a multiple of the group. */
KN_INLINE void fp_last(kn_mode mode, const uint8_t *codes, int u, int n, const float *scale,
                       vf out[UV])
{
    uint8_t whole[UNIT] = {0};
    memcpy(whole, codes, (size_t)(mode == KN_MXFP8 ? n : n / 2));
    fp_unit(mode, whole, u, scale, out);
}

KN_INLINE void unpack_fp_as(kn_mode mode, const kn_matrix *w, int64_t row, int64_t k0, int kn,
                            float *out)
{
    const int bits = mode == KN_MXFP8 ? 8 : 4;
    const int64_t row_bytes = w->k * bits / 8, ahead = rows_ahead(row_bytes) * row_bytes;
    const uint8_t *codes = packed_at(bits, w, row, k0);
    fp_groups g;
    vf v[UV];
    int u = 0;
    fp_scales(mode, w, row, k0, kn, 0, &g);
    for (; u + UNIT <= kn; u += UNIT) {
        prefetch(codes + u * bits / 8, ahead);
        fp_unit(mode, codes + u * bits / 8, u, g.scale, v);
        KN_UNROLL
        for (int j = 0; j < UV; j++)
            v_store(out + u + j * VL, v[j]);
    }
    if (u == kn) return;
    fp_last(mode, codes + u * bits / 8, u, kn - u, g.scale, v);
    for (int j = 0; u + j * VL < kn; j++)
        v_store(out + u + j * VL, v[j]);
}

static void unpack_fp(const kn_matrix *w, int64_t row, int64_t k0, int kn, float *out)
{
    switch (w->mode) {
    case KN_MXFP4:
        unpack_fp_as(KN_MXFP4, w, row, k0, kn, out);
        break;
    case KN_MXFP8:
        unpack_fp_as(KN_MXFP8, w, row, k0, kn, out);
        break;
    default:
        unpack_fp_as(KN_NVFP4, w, row, k0, kn, out);
    }
}

/* acc[q] += x[q] . n values, in lanes, q < m */
KN_INLINE void fp_add(int m, int n, const vf v[UV], const float *x, int64_t ldx, vf *acc)
{
    KN_UNROLL
    for (int j = 0; j < UV; j++) {
        if (j * VL >= n) break;
        KN_UNROLL
        for (int q = 0; q < m; q++)
            acc[q] = v_fma(v_load(x + q * ldx + j * VL), v[j], acc[q]);
    }
}

KN_INLINE void dot_fp_as(kn_mode mode, int m, const kn_matrix *w, int64_t n0, int n, const float *x,
                         int64_t ldx, float *c)
{
    const int bits = mode == KN_MXFP8 ? 8 : 4;
    const int64_t row_bytes = w->k * bits / 8, skip = rows_ahead(row_bytes);
    const int64_t ahead = skip * row_bytes, scales_ahead = skip * (w->k >> fp_shift(mode));
    fp_groups g[KN_NR];
    for (int64_t k0 = 0; k0 < w->k; k0 += KN_KB) {
        int kn = (int)(w->k - k0 < KN_KB ? w->k - k0 : KN_KB), u = 0;
        const float *xk = x + k0;
        const uint8_t *row[KN_NR];
        vf acc[KN_NR][KN_FEW], v[UV];
        KN_UNROLL
        for (int r = 0; r < KN_NR; r++) { /* rows beyond n repeat the last one */
            int64_t at = n0 + (r < n ? r : n - 1);
            fp_scales(mode, w, at, k0, kn, scales_ahead, &g[r]);
            row[r] = packed_at(bits, w, at, k0);
            KN_UNROLL
            for (int q = 0; q < m; q++)
                acc[r][q] = v_zero();
        }
        for (; u + UNIT <= kn; u += UNIT) {
            KN_UNROLL
            for (int r = 0; r < KN_NR; r++) {
                prefetch(row[r] + u * bits / 8, ahead);
                fp_unit(mode, row[r] + u * bits / 8, u, g[r].scale, v);
                fp_add(m, UNIT, v, xk + u, ldx, acc[r]);
            }
        }
        for (int r = 0; r < KN_NR && u < kn; r++) {
            fp_last(mode, row[r] + u * bits / 8, u, kn - u, g[r].scale, v);
            fp_add(m, kn - u, v, xk + u, ldx, acc[r]);
        }
        sum_rows(m, c, acc);
    }
}

KN_INLINE void dot_fp(int m, const kn_matrix *w, int64_t n0, int n, const float *x, int64_t ldx,
                      float *c)
{
    switch (w->mode) {
    case KN_MXFP4:
        dot_fp_as(KN_MXFP4, m, w, n0, n, x, ldx, c);
        break;
    case KN_MXFP8:
        dot_fp_as(KN_MXFP8, m, w, n0, n, x, ldx, c);
        break;
    default:
        dot_fp_as(KN_NVFP4, m, w, n0, n, x, ldx, c);
    }
}

#endif
