/* tpl_few.h: one row of x, or two, as one or two rows of bytes, times packed weights, without a
 * panel. Included by tpl_int8.h.
 *
 *   strip   VL weight rows x Q_STRIP codes. A row's codes are loaded as they lie, side by side, and
 *           multiplied by the activations of these codes; then the rows' lanes are added by a tree
 *           that turns them: one vector a unit comes out, a lane of it a weight row
 *   chain   as in dots(), over the units in ascending k
 *
 * A unit's sum is exact in whatever order its products are added, so the bits are those of a panel.
 * 4 and 8 bits are read where they lie, other widths become bytes in order first. */
#ifndef KERNELS_TPL_FEW_H
#define KERNELS_TPL_FEW_H

/* What a strip's sums become part of: s[group][scale, bias] of its rows, by of its activations. */
typedef struct chain {
    const float *s, *by;
    int64_t ldby;
    int shift;
} chain;

/* sum[r] += the shares of the units of n codes from code u of the block on. ask: where the rows'
 * next codes lie, of which each of the four groups asks for `lines` */
KN_INLINE void strip(int bits, int rows, int unit, const rows_at *w, const int8_t *x, int64_t ldx,
                     int u, int n, const uint8_t *ask, int lines, const chain *a, vf sum[2])
{
    const float *by = a->by + u / unit * 2;
    vi xs[2][Q_STRIP_X], q[Q_STRIP_UNITS][2];
    for (int r = 0; r < (rows == ONE ? 1 : 2); r++)
        q_strip_x(bits, x + r * ldx, xs[r]);
    q_strip(bits, rows, unit, w->p, w->stride, w->far, ask, lines, xs, q);
    for (int i = 0; i < Q_STRIP(bits) / unit; i++) {
        const float *s = a->s + ((u + i * unit) >> a->shift) * 2 * Q_NP;
        if (i * unit >= n) break;
        for (int r = 0; r < (rows == TWO ? 2 : 1); r++) {
            vf t = v_mul(q_float(q[i][r]), v_set(by[r * a->ldby + 2 * i]));
            t = v_fma(t, v_load(s), sum[r]);
            sum[r] = v_fma(v_set(by[r * a->ldby + 2 * i + 1]), v_load(s + Q_NP), t);
        }
    }
}

/* The last codes of the block, fewer than a strip: the others are zeros. */
KN_INLINE void last_strip(int bits, int rows, int unit, const rows_at *w, const int8_t *x,
                          int64_t ldx, int u, int n, const chain *a, uint8_t *room, vf sum[2])
{
    int8_t xs[2][128] = {{0}};
    const rows_at copy = {room, 64, 4 * 64};
    memset(room, 0, VL * 64);
    for (int r = 0; r < VL; r++)
        memcpy(room + r * 64, row_of(w, r), (size_t)(HALF_BYTES(bits) ? n / 2 : n));
    for (int r = 0; r < (rows == ONE ? 1 : 2); r++)
        memcpy(xs[r], x + r * ldx, (size_t)n);
    strip(bits, rows, unit, &copy, xs[0], 128, u, n, room, 0, a, sum);
}

/* A strip asks for its share of the block `ahead`: ASK_LINES of a part of each fourth row, in one
 * run, so that the hardware sees streams that ascend. It does so between the products: a burst of
 * them would stop at the first cache's few places for lines that are on their way. */
#define BLOCK_LINES(bits) (KN_QB * (HALF_BYTES(bits) ? 4 : 8) / 8 / 64) /* of a row */
#define ASK_LINES(bits)   (4 * BLOCK_LINES(bits) / (KN_QB / Q_STRIP(bits)))

KN_INLINE const uint8_t *share_of(int bits, const rows_at *w, int64_t ahead, int strip)
{
    const int at = strip * ASK_LINES(bits), lines = BLOCK_LINES(bits);
    return w->p + at / lines * w->stride + at % lines * 64 + ahead;
}

/* c[r, 0 .. Q_NP-1] += the block's share; codes of 4 bits or of a byte. */
KN_INLINE void few(int bits, int rows, int unit, int shift, rows_at w, int kn, int64_t ahead,
                   kn_panel *p, const kn_bytes *x, float *c)
{
    const int step = Q_STRIP(bits), bytes = HALF_BYTES(bits) ? step / 2 : step;
    for (int h = 0; h < 2; h++, w.p = half_of(&w, 1), c += VL) {
        const chain a = {p->groups + h * VL, x->by, x->ldby, shift};
        vf sum[2] = {v_load(c), v_load(c + (rows == TWO) * Q_NP)};
        rows_at at = w;
        int i = 0;
        for (; (i + 1) * step <= kn; i++, at.p += bytes) {
            const uint8_t *ask = share_of(bits, &w, ahead, i);
            strip(bits, rows, unit, &at, x->q + i * step, x->ldq, i * step, step, ask,
                  ASK_LINES(bits), &a, sum);
        }
        if (i * step < kn)
            last_strip(bits, rows, unit, &at, x->q + i * step, x->ldq, i * step, kn - i * step, &a,
                       p->copy, sum);
        for (; i < KN_QB / step && ahead; i++)
            for (int g = 0; g < VL / 4; g++)
                for (int j = 0; j < ASK_LINES(bits); j++)
                    prefetch_near(share_of(bits, &w, ahead, i) + g * w.far, j * 64);
        for (int r = 0; r < (rows == TWO ? 2 : 1); r++)
            v_store(c + r * Q_NP, sum[r]);
    }
}

typedef void few_form(int shift, rows_at w, int kn, int64_t ahead, kn_panel *p, const kn_bytes *x,
                      float *c);

/* One function a form: all in one have too many constants for the registers. */
#define FEW_FORM(bits, rows, unit)                                                                 \
    static void few_##bits##_##rows##_##unit(int shift, rows_at w, int kn, int64_t ahead,          \
                                             kn_panel *p, const kn_bytes *x, float *c)             \
    {                                                                                              \
        few(bits, rows, unit, shift, w, kn, ahead, p, x, c);                                       \
    }
#define FEW_FORMS(bits)                                                                            \
    FEW_FORM(bits, ONE, 32)                                                                        \
    FEW_FORM(bits, ONE, 64)                                                                        \
    FEW_FORM(bits, TWO, 32)                                                                        \
    FEW_FORM(bits, TWO, 64)                                                                        \
    FEW_FORM(bits, TWICE, 32)                                                                      \
    FEW_FORM(bits, TWICE, 64)
#define FEW_ROW(bits)                                                                              \
    {                                                                                              \
        {few_##bits##_ONE_32, few_##bits##_ONE_64}, {few_##bits##_TWO_32, few_##bits##_TWO_64},    \
        {                                                                                          \
            few_##bits##_TWICE_32, few_##bits##_TWICE_64                                           \
        }                                                                                          \
    }

FEW_FORMS(3)
FEW_FORMS(4)
FEW_FORMS(5)
FEW_FORMS(6)
FEW_FORMS(7)
FEW_FORMS(8)
/* [bits][ONE, TWO, TWICE][units of 64]; bytes of 2 bits are as small as those of 3 */
static few_form *const FEW[9][FEW_KINDS][2] = {
    [2] = FEW_ROW(3), [3] = FEW_ROW(3),      [4] = FEW_ROW(4), [5] = FEW_ROW(5),
    [6] = FEW_ROW(6), [Q_E2M1] = FEW_ROW(7), [8] = FEW_ROW(8)};

KN_INLINE rows_at expanded(int bits, const rows_at *codes, int kn, int64_t ahead, kn_panel *p)
{
    expand_rows(bits, codes, kn, ahead, p);
    return (rows_at){p->rows, KN_QB, 4 * KN_QB};
}

/* m: 1, or 2 without `twice` */
static void few_bytes(const kn_matrix *w, const kn_rows *rows, int64_t k0, int kn, kn_panel *p,
                      const kn_bytes *x, int m, float *c)
{
    rows_at codes = rows_from(w->w, rows, w->k * w->bits / 8, k0 * w->bits / 8);
    int64_t ahead = rows->ahead;
    if (w->mode)
        pack_fp_groups(w, rows, k0, kn, p);
    else
        pack_all_groups(w, rows, k0, kn, p);
    if (w->bits != 4 && w->bits != 8) {
        switch (w->bits) {
        case 2:
            codes = expanded(2, &codes, kn, ahead, p);
            break;
        case 3:
            codes = expanded(3, &codes, kn, ahead, p);
            break;
        case 5:
            codes = expanded(5, &codes, kn, ahead, p);
            break;
        default:
            codes = expanded(6, &codes, kn, ahead, p);
        }
        ahead = 0;
    }
    FEW[w->mode ? Q_E2M1 : w->bits][x->twice ? TWICE : m - 1][kn_unit(w) == 64](
        group_shift(w), codes, kn, ahead, p, x, c);
}

#endif
