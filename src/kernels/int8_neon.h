/* int8_neon.h: what integer products need of AArch64 with dot products: 4 weight rows a vector.
 *
 * sdot adds four products of signed bytes to a 32-bit lane. Codes of up to 6 bits are signed bytes
 * as they are; 8-bit codes are kept as code - 128. */
#ifndef KERNELS_INT8_NEON_H
#define KERNELS_INT8_NEON_H

#define Q_TILE       8 /* rows of x in a register tile */
#define Q_TILE_2     0 /* two panels at once: not so */
#define Q_KINDS      1
#define Q_KIND(bits) 0
#define Q_OFFSET     128 /* what 8-bit codes are less */
#define Q_RUN(kind)  16

KN_INLINE vi q_load(const void *p) { return vreinterpretq_s32_u8(load_16(p)); }
KN_INLINE void q_store(void *p, vi a) { vst1q_u8((uint8_t *)p, vreinterpretq_u8_s32(a)); }
KN_INLINE vi q_zero(void) { return vdupq_n_s32(0); }
KN_INLINE vi q_spread(const int8_t *p)
{
    int32_t x;
    memcpy(&x, p, 4);
    return vdupq_n_s32(x);
}
KN_INLINE vi q_add(vi a, vi b) { return vaddq_s32(a, b); }
KN_INLINE vi q_mac(int kind, vi sums, vi w, vi x)
{
    (void)kind;
    return vdotq_s32(sums, vreinterpretq_s8_s32(w), vreinterpretq_s8_s32(x));
}
KN_INLINE vi q_wide(int kind, vi sums)
{
    (void)kind;
    return sums;
}
KN_INLINE vf q_float(vi a) { return vcvtq_f32_s32(a); }

/* 16 bytes, codes in order: in each 8 the even ones come first. */
KN_INLINE uint8x16_t even_first(uint8x16_t a)
{
    static const uint8_t ORDER[] = {0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15};
    return vqtbl1q_u8(a, vld1q_u8(ORDER));
}

KN_INLINE void q_rows(const uint8_t *p, int64_t stride, int64_t far, int ordered, vi q[4])
{
    vi a, b, c, d;
    (void)far; /* there are four rows */
    KN_UNROLL
    for (int j = 0; j < 4; j++) {
        uint8x16_t v = load_16(p + j * stride);
        if (!ordered) v = veorq_u8(even_first(v), vdupq_n_u8(0x80));
        q[j] = vreinterpretq_s32_u8(v);
    }
    a = vtrn1q_s32(q[0], q[1]), b = vtrn1q_s32(q[2], q[3]); /* dwords 0 and 2 of two rows */
    c = vtrn2q_s32(q[0], q[1]), d = vtrn2q_s32(q[2], q[3]);
#define PAIRS(i, x, y)                                                                             \
    vreinterpretq_s32_s64(vtrn##i##q_s64(vreinterpretq_s64_s32(x), vreinterpretq_s64_s32(y)))
    q[0] = PAIRS(1, a, b);
    q[1] = PAIRS(1, c, d);
    q[2] = PAIRS(2, a, b);
    q[3] = PAIRS(2, c, d);
#undef PAIRS
}

/* 16 bytes of 8-bit codes in the order of activations, less 128; others are in it. */
KN_INLINE vi q_byte_codes(int bits, vi a)
{
    uint8x16_t v = vreinterpretq_u8_s32(a);
    return bits == 8 ? vreinterpretq_s32_u8(veorq_u8(even_first(v), vdupq_n_u8(0x80))) : a;
}
/* The sum of each vector's lanes. */
KN_INLINE vi q_sum_4(const vi s[4])
{
    return vpaddq_s32(vpaddq_s32(s[0], s[1]), vpaddq_s32(s[2], s[3]));
}

KN_INLINE vi q_low(vi a)
{
    return vreinterpretq_s32_u8(vandq_u8(vreinterpretq_u8_s32(a), vdupq_n_u8(15)));
}
KN_INLINE vi q_high(vi a) { return vreinterpretq_s32_u8(vshrq_n_u8(vreinterpretq_u8_s32(a), 4)); }

/* Byte i of every lane; bits shifted left (n < 0: right, unsigned). */
KN_INLINE vi q_left(vi a, int n)
{
    return vreinterpretq_s32_u32(vshlq_u32(vreinterpretq_u32_s32(a), vdupq_n_s32(n)));
}
KN_INLINE vi q_byte_of(vi a, int i) { return vandq_s32(q_left(a, -8 * i), vdupq_n_s32(255)); }
/* e2m1 codes as bytes: 12 + 2 * value. */
KN_INLINE vi q_fp4(vi codes)
{
    static const uint8_t TABLE[] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};
    return vreinterpretq_s32_u8(vqtbl1q_u8(vld1q_u8(TABLE), vreinterpretq_u8_s32(codes)));
}

KN_INLINE vf q_half(kn_dtype dtype, vi a, int high)
{
    uint32x4_t u = vreinterpretq_u32_s32(a);
    if (dtype == KN_BF16)
        return vreinterpretq_f32_u32(high ? vandq_u32(u, vdupq_n_u32(0xffff0000u))
                                          : vshlq_n_u32(u, 16));
    return f16_as_float(vreinterpret_u8_u16(high ? vshrn_n_u32(u, 16) : vmovn_u32(u)));
}
KN_INLINE vf q_as_float(vi a) { return vreinterpretq_f32_s32(a); }

KN_INLINE void q_expand(int bits, const uint8_t *p, int n, uint8_t *out)
{
    const code_cut *cut = &CODES_EVEN_FIRST[bits];
    for (int i = 0; i < n; i += 16, p += 2 * bits) {
        uint8x16_t bytes = code_bytes(bits, p);
        vst1q_u8(out + i, vcombine_u8(vmovn_u16(code_words(bits, bytes, cut, 0)),
                                      vmovn_u16(code_words(bits, bytes, cut, 1))));
    }
}

KN_INLINE void q_put16(int8_t *out, const vf x[16 / VL])
{
    int16x8_t lo = vcombine_s16(vqmovn_s32(vcvtq_s32_f32(x[0])), vqmovn_s32(vcvtq_s32_f32(x[1])));
    int16x8_t hi = vcombine_s16(vqmovn_s32(vcvtq_s32_f32(x[2])), vqmovn_s32(vcvtq_s32_f32(x[3])));
    uint8x16_t b = vreinterpretq_u8_s8(vcombine_s8(vqmovn_s16(lo), vqmovn_s16(hi)));
    vst1q_u8((uint8_t *)out, even_first(b));
}

#include "kernels/int8_rows4.h"

#endif
