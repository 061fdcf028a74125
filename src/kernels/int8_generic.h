/* int8_generic.h: what integer products need of any CPU: 4 weight rows a vector, bytes multiplied
 * as 32-bit numbers. */
#ifndef KERNELS_INT8_GENERIC_H
#define KERNELS_INT8_GENERIC_H

#define Q_TILE       2 /* rows of x in a register tile */
#define Q_TILE_2     0 /* two panels at once: not so */
#define Q_KINDS      1
#define Q_KIND(bits) 0
#define Q_OFFSET     0
#define Q_RUN(kind)  16

KN_INLINE vi q_load(const void *p)
{
    vi r;
    memcpy(&r, p, sizeof r);
    return r;
}
KN_INLINE void q_store(void *p, vi a) { memcpy(p, &a, sizeof a); }
KN_INLINE vi q_zero(void) { return (vi){0, 0, 0, 0}; }
KN_INLINE vi q_spread(const int8_t *p)
{
    int32_t x;
    memcpy(&x, p, 4);
    return (vi){x, x, x, x};
}
KN_INLINE vi q_add(vi a, vi b) { return a + b; }
KN_INLINE vi q_byte(vi a, int i) { return (vi)((vu)a << (24 - 8 * i)) >> 24; } /* signed */
KN_INLINE vi q_mac(int kind, vi sums, vi w, vi x)
{
    (void)kind;
    KN_UNROLL
    for (int i = 0; i < 4; i++)
        sums += (vi)((vu)w >> 8 * i & 255) * q_byte(x, i);
    return sums;
}
KN_INLINE vi q_wide(int kind, vi sums)
{
    (void)kind;
    return sums;
}
KN_INLINE vf q_float(vi a) { return __builtin_convertvector(a, vf); }

/* The place of code i among eight: even ones first. */
KN_INLINE int q_place(int i) { return (i & 1) * 4 + i / 2; }

KN_INLINE void q_rows(const uint8_t *p, int64_t stride, int64_t far, int ordered, vi q[4])
{
    uint8_t b[4][16];
    (void)far; /* there are four rows */
    for (int r = 0; r < VL; r++) {
        memcpy(b[r], p + r * stride, 16);
        if (!ordered)
            for (int i = 0; i < 16; i++)
                b[r][(i & 8) + q_place(i & 7)] = p[r * stride + i];
    }
    for (int d = 0; d < 4; d++) {
        int32_t x[VL];
        for (int r = 0; r < VL; r++)
            memcpy(&x[r], b[r] + 4 * d, 4);
        q[d] = q_load(x);
    }
}

/* 16 bytes of 8-bit codes in the order of activations; others are in it. */
KN_INLINE vi q_byte_codes(int bits, vi a)
{
    uint8_t from[16], to[16];
    if (bits != 8) return a;
    memcpy(from, &a, 16);
    for (int i = 0; i < 16; i++)
        to[(i & 8) + q_place(i & 7)] = from[i];
    return q_load(to);
}

/* The sum of each vector's lanes. */
KN_INLINE vi q_sum_4(const vi s[4])
{
    vi sums;
    for (int j = 0; j < 4; j++)
        sums[j] = s[j][0] + s[j][1] + s[j][2] + s[j][3];
    return sums;
}

KN_INLINE vi q_low(vi a) { return a & 0x0f0f0f0f; }
KN_INLINE vi q_high(vi a) { return (vi)((vu)a >> 4) & 0x0f0f0f0f; }

/* Byte i of every lane; bits shifted left (n < 0: right, unsigned). */
KN_INLINE vi q_byte_of(vi a, int i) { return (vi)((vu)a >> 8 * i & 255); }
KN_INLINE vi q_left(vi a, int n) { return (vi)(n < 0 ? (vu)a >> -n : (vu)a << n); }
/* e2m1 codes as bytes: 12 + 2 * value. */
KN_INLINE vi q_fp4(vi codes)
{
    static const uint8_t TABLE[] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};
    uint8_t b[16];
    q_store(b, codes);
    for (int i = 0; i < 16; i++)
        b[i] = TABLE[b[i]];
    return q_load(b);
}

KN_INLINE vf q_half(kn_dtype dtype, vi a, int high)
{
    vu h = (vu)a >> (high ? 16 : 0) & 0xffff;
    if (dtype == KN_BF16) return (vf)(h << 16);
    return (vf){from_f16((uint16_t)h[0]), from_f16((uint16_t)h[1]), from_f16((uint16_t)h[2]),
                from_f16((uint16_t)h[3])};
}
KN_INLINE vf q_as_float(vi a) { return (vf)a; }

KN_INLINE void q_expand(int bits, const uint8_t *p, int n, uint8_t *out)
{
    const uint64_t mask = (1u << bits) - 1;
    for (int i = 0; i < n; i += 8, p += bits) {
        uint64_t w = word_of(p, bits);
        for (int j = 0; j < 8; j++)
            out[i + q_place(j)] = (uint8_t)(w >> j * bits & mask);
    }
}

KN_INLINE void q_put16(int8_t *out, const vf x[16 / VL])
{
    for (int i = 0; i < 16; i++)
        out[(i & 8) + q_place(i & 7)] = (int8_t)x[i / VL][i % VL];
}

#include "kernels/int8_rows4.h"

#endif
