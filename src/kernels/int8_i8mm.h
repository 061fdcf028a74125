/* int8_i8mm.h: a panel times three or more rows of bytes by AArch64's products of 2 x 8 by 8 x 2
 * bytes (smmla), twice the products of sdot in an instruction. Included by kernels_neon.c, whose
 * kernels the table "i8mm" shares but for this one.
 *
 *   weights   dwords d and d + 1 of a panel's rows, zipped: 8 codes of two rows side by side
 *   x         8 bytes of two rows; of an odd number the last one twice
 *   sums      x 0 w 0, x 0 w 1, x 1 w 0, x 1 w 1; whole and exact, scaled as in dots(): the bits
 *             are those of the other sets, for every number of rows
 *
 * Codes are signed bytes here (int8_neon.h), so that smmla serves every width. The instruction
 * stands by its name: the file is compiled for processors that lack it. */
#ifndef KERNELS_INT8_I8MM_H
#define KERNELS_INT8_I8MM_H

#define MM_FROM  3 /* rows of bytes from which on it is used; fewer meet weights as they lie */
#define MM_PAIRS 4 /* of rows of x in a register tile */

KN_INLINE vi mm_mac(vi sums, vi x, vi w)
{
    __asm__(".arch_extension i8mm\n\tsmmla %0.4s, %1.16b, %2.16b" : "+w"(sums) : "w"(x), "w"(w));
    return sums;
}

/* sums[p][j]: rows 2p and 2p + 1 of x by weight rows 2j and 2j + 1 of the panel, over one unit */
KN_INLINE void mm_unit(int pairs, int rows, int unit, const uint8_t *w, const int8_t *x,
                       int64_t ldx, vi sums[MM_PAIRS][4])
{
    KN_UNROLL
    for (int p = 0; p < pairs; p++)
        sums[p][0] = sums[p][1] = sums[p][2] = sums[p][3] = q_zero();
    for (int k = 0; k < unit; k += 8, w += 2 * Q_NP * 4, x += 8) {
        vi a = q_load(w), b = q_load(w + VL * 4);
        vi c = q_load(w + Q_NP * 4), d = q_load(w + Q_NP * 4 + VL * 4);
        vi two[4] = {vzip1q_s32(a, c), vzip2q_s32(a, c), vzip1q_s32(b, d), vzip2q_s32(b, d)};
        KN_UNROLL
        for (int p = 0; p < pairs; p++) {
            const int8_t *first = x + 2 * p * ldx;
            const int8_t *second = 2 * p + 1 < rows ? first + ldx : first;
            vi v = vreinterpretq_s32_s8(vcombine_s8(vld1_s8(first), vld1_s8(second)));
            KN_UNROLL
            for (int j = 0; j < 4; j++)
                sums[p][j] = mm_mac(sums[p][j], v, two[j]);
        }
    }
}

/* Half a panel's sums of a pair's first or second row of bytes. */
KN_INLINE vi mm_row(const vi sums[4], int second, int half)
{
    int64x2_t low = vreinterpretq_s64_s32(sums[2 * half]);
    int64x2_t high = vreinterpretq_s64_s32(sums[2 * half + 1]);
    return vreinterpretq_s32_s64(second ? vzip2q_s64(low, high) : vzip1q_s64(low, high));
}

/* As dots(), rows of bytes = 2 * pairs or one less. */
KN_INLINE void mm_dots(int pairs, int twice, int rows, int unit, int shift, const kn_panel *p,
                       int kn, const kn_bytes *x, float *c)
{
    const float *by = x->by;
    const int most = 2 * pairs >> twice;
    for (int u = 0; u < kn; u += unit, by += 2) {
        const float *s = p->groups + (u >> shift) * 2 * Q_NP, *b = s + Q_NP;
        vi sums[MM_PAIRS][4];
        mm_unit(pairs, rows, unit, p->codes + (size_t)u * Q_NP, x->q + u, x->ldq, sums);
        KN_UNROLL
        for (int r = 0; r < most; r++) {
            if (r == rows >> twice) break;
            vf scale = v_set(by[r * x->ldby]), sum = v_set(by[r * x->ldby + 1]);
            KN_UNROLL
            for (int h = 0; h < 2; h++) {
                float *to = c + r * Q_NP + h * VL;
                vi row = twice ? q_pair(mm_row(sums[r], 0, h), mm_row(sums[r], 1, h))
                               : mm_row(sums[r / 2], r & 1, h);
                vf t = v_fma(v_mul(q_float(row), scale), v_load(s + h * VL), v_load(to));
                v_store(to, v_fma(sum, v_load(b + h * VL), t));
            }
        }
    }
}

#define MM_CASE(pairs)                                                                             \
    case pairs:                                                                                    \
        if (x->twice)                                                                              \
            mm_dots(pairs, 1, rows, unit, shift, p, kn, x, c);                                     \
        else                                                                                       \
            mm_dots(pairs, 0, rows, unit, shift, p, kn, x, c);                                     \
        break;

static void mm_tile(int rows, int unit, int shift, const kn_panel *p, int kn, const kn_bytes *x,
                    float *c)
{
    switch ((rows + 1) / 2) {
        MM_CASE(1)
        MM_CASE(2)
        MM_CASE(3)
        MM_CASE(4)
    }
}
_Static_assert(MM_PAIRS == 4, "the cases of mm_tile");

static void dot_bytes_i8mm(const kn_matrix *w, const kn_rows *rows, int64_t k0, int kn, kn_panel *p,
                           const kn_bytes *x, int m, float *c)
{
    const kn_next next = next_of(w, rows, k0, kn);
    kn_bytes at = *x;
    if (m << x->twice < MM_FROM) {
        dot_bytes(w, rows, k0, kn, p, x, m, c);
        return;
    }
    pack(w, rows, k0, kn, p);
    ask_next(&next, 0, 1);
    m <<= x->twice; /* rows of bytes */
    for (int left = (m + 2 * MM_PAIRS - 1) / (2 * MM_PAIRS); left; left--) {
        int n = ((m + left - 1) / left + 1) / 2 * 2; /* tiles of nearly equal, even height */
        if (n > m) n = m;
        mm_tile(n, kn_unit(w), group_shift(w), p, kn, &at, c);
        at.q += n * at.ldq;
        at.by += (n >> x->twice) * at.ldby;
        c += (n >> x->twice) * Q_NP;
        m -= n;
    }
}

#endif
