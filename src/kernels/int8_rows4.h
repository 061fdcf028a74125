/* int8_rows4.h: strips (tpl_few.h) of instruction sets whose vectors have four lanes: 64 codes, in
 * two halves that are a unit each, or one together. The file that includes it gives q_sum_4, and
 * q_byte_codes: 16 codes that are bytes, in the order of activations and less Q_OFFSET. */
#ifndef KERNELS_INT8_ROWS4_H
#define KERNELS_INT8_ROWS4_H

#define Q_STRIP(bits) 64
#define Q_STRIP_UNITS 2
#define Q_STRIP_X     4

/* Activations as a row's codes lie: x[2 i] and x[2 i + 1] meet half i. 4 bits: those of low and of
 * high halves of bytes. */
KN_INLINE void q_strip_x(int bits, const int8_t *q, vi x[Q_STRIP_X])
{
    KN_UNROLL
    for (int i = 0; i < 2; i++, q += 32) {
        if (HALF_BYTES(bits)) {
            int32_t d[8];
            memcpy(d, q, 32);
            x[2 * i] = (vi){d[0], d[2], d[4], d[6]};
            x[2 * i + 1] = (vi){d[1], d[3], d[5], d[7]};
        } else {
            x[2 * i] = q_load(q);
            x[2 * i + 1] = q_load(q + 16);
        }
    }
}

/* out[i][r], lane l: sum of unit i of weight row l, with row r of x. rows, ask, lines: as for
 * strip(). */
KN_INLINE void q_strip(int bits, int rows, int unit, const uint8_t *w, int64_t stride, int64_t far,
                       const uint8_t *ask, int lines, vi x[2][Q_STRIP_X], vi out[Q_STRIP_UNITS][2])
{
    (void)far; /* there are four rows */
    for (int r = 0; r < (rows == TWO ? 2 : 1); r++) {
        vi s[2][4];
        KN_UNROLL
        for (int j = 0; j < 4; j++) {
            const uint8_t *at = w + j * stride;
            if (!r && j < lines) prefetch_near(ask, j * 64);
            KN_UNROLL
            for (int i = 0; i < 2; i++) {
                vi v = q_load(at + i * (HALF_BYTES(bits) ? 16 : 32)), low, high;
                if (HALF_BYTES(bits))
                    low = q_low(v), high = q_high(v);
                else
                    low = q_byte_codes(bits, v),
                    high = q_byte_codes(bits, q_load(at + 32 * i + 16));
                if (bits == Q_E2M1) low = q_fp4(low), high = q_fp4(high);
                s[i][j] = q_mac(0, q_mac(0, q_zero(), low, x[r][2 * i]), high, x[r][2 * i + 1]);
                if (rows != TWICE) continue;
                s[i][j] = q_mac(0, q_left(s[i][j], 7), low, x[1][2 * i]);
                s[i][j] = q_mac(0, s[i][j], high, x[1][2 * i + 1]);
            }
            if (unit == 64) s[0][j] = q_add(s[0][j], s[1][j]);
        }
        for (int i = 0; i < 64 / unit; i++)
            out[i][r] = q_sum_4(s[i]);
    }
}

#endif
