/* tpl_fp_int8.h: mxfp4 and nvfp4 weights in panels for integer products. Included once an
 * instruction set, by tpl_int8.h.
 *
 * Twice a value of e2m1 is a whole number, -12 .. 12; with 12 added it is a code like any other:
 * value * scale = code * (scale / 2) - 6 * scale. So a panel holds these codes, and scale / 2 and
 * -6 * scale in place of an affine group's scale and bias: both are exact, unless a scale is near
 * the end of f32. An infinite scale makes its row's results NaN. */
#ifndef KERNELS_TPL_FP_INT8_H
#define KERNELS_TPL_FP_INT8_H

#define FP4_KIND Q_KIND(5) /* codes up to 24 */

/* As pack_codes, 4 bits. */
static void pack_fp4(const rows_at *codes, int kn, kn_panel *p)
{
    for (int u0 = 0; u0 < kn; u0 += 128) {
        int end = u0 + 128 < kn ? u0 + 128 : kn;
        for (int half = 0; half < 2; half++) {
            const uint8_t *at = half_of(codes, half);
            for (int u = u0; u < end; u += 32) {
                uint8_t *out = p->codes + ((size_t)u / 2 + (size_t)half) * VL * 4;
                vi q[4];
                q_rows(at + u / 2, codes->stride, codes->far, 1, q);
                KN_UNROLL
                for (int d = 0; d < 4; d++) {
                    q_store(out + (size_t)(2 * d) * Q_NP * 4, q_fp4(q_low(q[d])));
                    q_store(out + (size_t)(2 * d + 1) * Q_NP * 4, q_fp4(q_high(q[d])));
                }
            }
        }
    }
}

/* Byte i of every lane is a scale. */
KN_INLINE vf fp_scale(kn_mode mode, vi a, int i)
{
    vi b = q_byte_of(a, i);
    vf v;
    if (mode == KN_MXFP4) return v_max(q_as_float(q_left(b, 23)), v_set(0x1p-127f));
    v = v_mul(q_as_float(q_left(q_left(b, 25), -5)), v_set(0x1p120f)); /* 7 bits, at f32's place */
    v = v_if_less(v_set(479), v, v_set(NAN), v);                       /* the codes above 448 */
    return v_sign(v, q_as_float(q_left(b, 24)));
}

/* As pack_groups. */
KN_INLINE void pack_fp_groups_as(kn_mode mode, const kn_matrix *w, const kn_rows *rows, int64_t k0,
                                 int kn, kn_panel *p)
{
    const int shift = fp_shift(mode), g = kn >> shift;
    const int64_t stride = w->k >> shift, at = k0 >> shift;
    rows_at from = rows_from(w->scales, rows, stride, at);
    const int64_t last = rows->n0 + (Q_NP / 4 - 1) * rows->apart + 3;
    const int64_t next = (rows->apart == 4 ? Q_NP : 4) * stride + 3 * at;
    for (int r = 0; r < Q_NP && !rows->asked; r += 4)
        for (int i = 0; i < 4 * g; i += 64)
            prefetch_near(row_of(&from, r), next + i);
    if (w->n < Q_NP || last * stride + at + (g + 15) / 16 * 16 > w->n * stride)
        from = copy_rows(w, &from, (size_t)g, p, KN_QB / 16); /* steps would leave the matrix */
    for (int i = 0; i < g; i += 16)
        for (int half = 0; half < 2; half++) {
            vi q[4];
            q_rows(half_of(&from, half) + i, from.stride, from.far, 1, q);
            for (int d = 0; d < 4; d++) {
                KN_UNROLL
                for (int j = 0; j < 4; j++) {
                    float *out = p->groups + (i + 4 * d + j) * 2 * Q_NP + half * VL;
                    vf s = fp_scale(mode, q[d], j);
                    v_store(out, v_mul(s, v_set(0.5f)));
                    v_store(out + Q_NP, v_mul(s, v_set(-6)));
                }
            }
        }
}

static void pack_fp_groups(const kn_matrix *w, const kn_rows *rows, int64_t k0, int kn, kn_panel *p)
{
    if (w->mode == KN_MXFP4)
        pack_fp_groups_as(KN_MXFP4, w, rows, k0, kn, p);
    else
        pack_fp_groups_as(KN_NVFP4, w, rows, k0, kn, p);
}

#endif
