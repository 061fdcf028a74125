/* vec_neon.h: the vector layer on AArch64 Advanced SIMD: 4 lanes, 16 codes at a time.
 *
 * Vector j of a unit has the codes 4 j .. 4 j + 3. The 16 codes are 2 * bits bytes; each 16-bit
 * lane gets the two bytes that its code lies in (tbl), is shifted right by the bit in which the
 * code starts, and masked. The value is fma(code, scale, bias).
 *
 * Bytes are what is loaded and stored, whatever they mean: such pointers may have any alignment. */
#ifndef KERNELS_VEC_NEON_H
#define KERNELS_VEC_NEON_H

#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

#define VL     4
#define UNIT   16
#define UV     4
#define V_NAME "neon"

typedef float32x4_t vf;
typedef int32x4_t vi;

KN_INLINE uint8x16_t load_16(const void *p) { return vld1q_u8((const uint8_t *)p); }
KN_INLINE uint8x8_t load_8(const void *p) { return vld1_u8((const uint8_t *)p); }
/* 4 bytes, then zeros */
KN_INLINE uint8x8_t load_4(const void *p)
{
    uint32_t x;
    memcpy(&x, p, 4);
    return vcreate_u8(x);
}
KN_INLINE vf v_zero(void) { return vdupq_n_f32(0); }
KN_INLINE vf v_set(float x) { return vdupq_n_f32(x); }
KN_INLINE vf v_load(const float *p) { return vreinterpretq_f32_u8(load_16(p)); }
KN_INLINE void v_store(float *p, vf x) { vst1q_u8((uint8_t *)p, vreinterpretq_u8_f32(x)); }
KN_INLINE vf v_load_n(const float *p, int n)
{
    uint64_t lo = 0, hi = 0;
    if (n >= VL) return v_load(p);
    if (n & 2) memcpy(&lo, p, 8);
    if (n & 1) memcpy(n & 2 ? &hi : &lo, p + (n & 2), 4);
    return vreinterpretq_f32_u64(vcombine_u64(vcreate_u64(lo), vcreate_u64(hi)));
}
KN_INLINE void v_store_n(float *p, vf x, int n)
{
    uint64x2_t u = vreinterpretq_u64_f32(x);
    uint64_t lo = vgetq_lane_u64(u, 0), hi = vgetq_lane_u64(u, 1);
    if (n >= VL) {
        v_store(p, x);
        return;
    }
    if (n & 2) memcpy(p, &lo, 8);
    if (n & 1) memcpy(p + (n & 2), n & 2 ? &hi : &lo, 4);
}
KN_INLINE vf v_add(vf a, vf b) { return vaddq_f32(a, b); }
KN_INLINE vf v_sub(vf a, vf b) { return vsubq_f32(a, b); }
KN_INLINE vf v_mul(vf a, vf b) { return vmulq_f32(a, b); }
KN_INLINE vf v_div(vf a, vf b) { return vdivq_f32(a, b); }
/* a * b + c, c - a * b */
KN_INLINE vf v_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
KN_INLINE vf v_fnma(vf a, vf b, vf c) { return vfmsq_f32(c, a, b); }
/* b when one of them is NaN (fmax would give NaN, fmaxnm the other one) */
KN_INLINE vf v_max(vf a, vf b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
KN_INLINE vf v_min(vf a, vf b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
KN_INLINE vf v_abs(vf a) { return vabsq_f32(a); }
/* a < b ? x : y, y when one of them is NaN */
KN_INLINE vf v_if_less(vf a, vf b, vf x, vf y) { return vbslq_f32(vcltq_f32(a, b), x, y); }
/* |a| with the sign of s */
KN_INLINE vf v_sign(vf a, vf s) { return vbslq_f32(vdupq_n_u32(0x80000000u), s, a); }
KN_INLINE vf v_round(vf a) { return vrndnq_f32(a); }
/* a * 2^n, n whole, |n| <= 250: in two steps, so that neither factor leaves the normal range. NaN
 * converts to 0. */
KN_INLINE vf v_ldexp(vf a, vf n)
{
    const vi bias = vdupq_n_s32(127);
    vi k = vcvtq_s32_f32(n);
    vi half = vshrq_n_s32(k, 1);
    vi rest = vsubq_s32(k, half);
    a = v_mul(a, vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(half, bias), 23)));
    return v_mul(a, vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(rest, bias), 23)));
}

KN_INLINE vf bf16_as_float(uint8x8_t h)
{
    return vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(h), 16));
}
KN_INLINE vf f16_as_float(uint8x8_t h) { return vcvt_f32_f16(vreinterpret_f16_u8(h)); }
/* n halves, then zeros */
KN_INLINE uint8x8_t halves(const void *p, int n)
{
    uint64_t x = 0;
    memcpy(&x, p, (size_t)n * 2);
    return vcreate_u8(x);
}
KN_INLINE vf v_load_bf16(const void *p) { return bf16_as_float(load_8(p)); }
KN_INLINE vf v_load_f16(const void *p) { return f16_as_float(load_8(p)); }
KN_INLINE vf v_load_bf16_n(const void *p, int n) { return bf16_as_float(halves(p, n)); }
KN_INLINE vf v_load_f16_n(const void *p, int n) { return f16_as_float(halves(p, n)); }

/* Signed bytes as f32, and back: rounded to nearest, |x| <= 127. */
KN_INLINE vf v_load_i8(const int8_t *p)
{
    int16x8_t w = vmovl_s8(vreinterpret_s8_u8(load_4(p)));
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(w)));
}
KN_INLINE void v_store_i8(int8_t *p, vf x)
{
    int16x4_t w = vqmovn_s32(vcvtnq_s32_f32(x));
    int8x8_t b = vqmovn_s16(vcombine_s16(w, w));
    uint32_t u = vget_lane_u32(vreinterpret_u32_s8(b), 0);
    memcpy(p, &u, 4);
}
/* Rounded to nearest even; NaN stays NaN. */
KN_INLINE void v_store_f16(void *p, vf x)
{
    vst1_u8((uint8_t *)p, vreinterpret_u8_f16(vcvt_f16_f32(x)));
}
KN_INLINE void v_store_bf16(void *p, vf x)
{
    uint32x4_t u = vreinterpretq_u32_f32(x);
    uint32x4_t odd = vandq_u32(vshrq_n_u32(u, 16), vdupq_n_u32(1));
    uint32x4_t r = vaddq_u32(vaddq_u32(u, vdupq_n_u32(0x7fff)), odd);
    r = vbslq_u32(vceqq_f32(x, x), r, vdupq_n_u32(0x7fc00000));
    vst1_u8((uint8_t *)p, vreinterpret_u8_u16(vshrn_n_u32(r, 16)));
}

/* ---- sums over lanes: neighbours, then the two sums ------------------------------------------ */

KN_INLINE float v_sum(vf a)
{
    a = vpaddq_f32(a, a);
    return vgetq_lane_f32(vpaddq_f32(a, a), 0);
}
/* c[0..3] += the sums of four vectors, the same tree in each */
KN_INLINE void v_sum_to(float *c, const vf a[4])
{
    vf s = vpaddq_f32(vpaddq_f32(a[0], a[1]), vpaddq_f32(a[2], a[3]));
    v_store(c, v_add(v_load(c), s));
}
KN_INLINE float v_greatest(vf a) { return vmaxnmvq_f32(a); }

/* Sums and sums of squares in f64. */
typedef struct vd {
    float64x2_t lo, hi;
} vd;
KN_INLINE vd vd_zero(void) { return (vd){vdupq_n_f64(0), vdupq_n_f64(0)}; }
KN_INLINE vd vd_add(vd s, vf x)
{
    return (vd){vaddq_f64(s.lo, vcvt_f64_f32(vget_low_f32(x))),
                vaddq_f64(s.hi, vcvt_high_f64_f32(x))};
}
KN_INLINE vd vd_add_square(vd s, vf x)
{
    float64x2_t lo = vcvt_f64_f32(vget_low_f32(x)), hi = vcvt_high_f64_f32(x);
    return (vd){vfmaq_f64(s.lo, lo, lo), vfmaq_f64(s.hi, hi, hi)};
}
KN_INLINE double vd_sum(vd s) { return vaddvq_f64(vaddq_f64(s.lo, s.hi)); }

/* ---- codes ----------------------------------------------------------------------------------- */

/* For each of the 16-bit lanes: the code that it gets (in order, or in each eight the even ones
 * first), the two bytes that this code lies in, minus the bit in which it starts. */
#define IN_ORDER(i)      (i)
#define EVEN_FIRST(i)    ((i) % 8 < 4 ? (i) / 8 * 8 + (i) % 4 * 2 : (i) / 8 * 8 + (i) % 4 * 2 + 1)
#define CODE_BYTES(b, c) (c) * (b) / 8, (c) * (b) / 8 + 1
#define CODE_SHIFT(b, c) (-((c) * (b) % 8))
#define FOUR_BYTES(o, b, i)                                                                        \
    CODE_BYTES(b, o(i)), CODE_BYTES(b, o(i + 1)), CODE_BYTES(b, o(i + 2)), CODE_BYTES(b, o(i + 3))
#define FOUR_SHIFTS(o, b, i)                                                                       \
    CODE_SHIFT(b, o(i)), CODE_SHIFT(b, o(i + 1)), CODE_SHIFT(b, o(i + 2)), CODE_SHIFT(b, o(i + 3))
#define CODE_CUT(o, b)                                                                             \
    {                                                                                              \
        {FOUR_BYTES(o, b, 0), FOUR_BYTES(o, b, 4), FOUR_BYTES(o, b, 8), FOUR_BYTES(o, b, 12)},     \
        {                                                                                          \
            FOUR_SHIFTS(o, b, 0), FOUR_SHIFTS(o, b, 4), FOUR_SHIFTS(o, b, 8),                      \
                FOUR_SHIFTS(o, b, 12)                                                              \
        }                                                                                          \
    }
typedef struct code_cut {
    uint8_t pick[32];
    int16_t shift[16];
} code_cut;
#define CODE_CUTS(o)                                                                               \
    {                                                                                              \
        [2] = CODE_CUT(o, 2), [3] = CODE_CUT(o, 3), [5] = CODE_CUT(o, 5), [6] = CODE_CUT(o, 6)     \
    }
static const code_cut CODES_IN_ORDER[7] = CODE_CUTS(IN_ORDER);
static const code_cut CODES_EVEN_FIRST[7] = CODE_CUTS(EVEN_FIRST);

/* The 2 * bits bytes of 16 codes and no more, then zeros. */
KN_INLINE uint8x16_t code_bytes(int bits, const uint8_t *p)
{
    uint64_t lo = 0, hi = 0;
    memcpy(&lo, p, bits < 4 ? 4 : 8);
    if (bits == 3) {
        uint16_t rest;
        memcpy(&rest, p + 4, 2);
        lo |= (uint64_t)rest << 32;
    }
    if (bits > 4) memcpy(&hi, p + 8, bits == 5 ? 2 : 4);
    return vcombine_u8(vcreate_u8(lo), vcreate_u8(hi));
}
/* Half of 16 codes of 2, 3, 5 or 6 bits, one a 16-bit lane. */
KN_INLINE uint16x8_t code_words(int bits, uint8x16_t bytes, const code_cut *cut, int half)
{
    uint16x8_t w = vreinterpretq_u16_u8(vqtbl1q_u8(bytes, vld1q_u8(cut->pick + 16 * half)));
    w = vshlq_u16(w, vld1q_s16(cut->shift + 8 * half));
    return vandq_u16(w, vdupq_n_u16((uint16_t)((1 << bits) - 1)));
}

KN_INLINE void widen_words(uint16x8_t w, vi q[2])
{
    q[0] = vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(w)));
    q[1] = vreinterpretq_s32_u32(vmovl_high_u16(w));
}

/* q[j], lane i: code 4 j + i of the 16 codes at p. */
KN_INLINE void v_codes(int bits, const uint8_t *p, int n, vi q[UV])
{
    uint8x16_t bytes;
    (void)n;
    if (bits == 4 || bits == 8) {
        if (bits == 8) {
            bytes = load_16(p);
        } else {
            uint8x8_t pairs = load_8(p);
            uint8x8_t low = vand_u8(pairs, vdup_n_u8(15)), high = vshr_n_u8(pairs, 4);
            bytes = vcombine_u8(vzip1_u8(low, high), vzip2_u8(low, high));
        }
        widen_words(vmovl_u8(vget_low_u8(bytes)), q);
        widen_words(vmovl_high_u8(bytes), q + 2);
        return;
    }
    bytes = code_bytes(bits, p);
    widen_words(code_words(bits, bytes, &CODES_IN_ORDER[bits], 0), q);
    widen_words(code_words(bits, bytes, &CODES_IN_ORDER[bits], 1), q + 2);
}

typedef struct v_group {
    vf scale, bias;
} v_group;

KN_INLINE v_group v_group_of(int bits, float scale, float bias)
{
    (void)bits;
    return (v_group){v_set(scale), v_set(bias)};
}

KN_INLINE vf v_value(int bits, vi q, const v_group *g)
{
    (void)bits;
    return v_fma(vcvtq_f32_s32(q), g->scale, g->bias);
}

/* e2m1 codes in the form of v_codes(4): their values end after two bytes, which are looked up. */
KN_INLINE vf v_fp4_of(float scale) { return v_set(scale); }
KN_INLINE vf v_fp4(vi q, vf group)
{
    static const uint8_t TOP[] = {0,    0x3f, 0x3f, 0x3f, 0x40, 0x40, 0x40, 0x40,
                                  0x80, 0xbf, 0xbf, 0xbf, 0xc0, 0xc0, 0xc0, 0xc0};
    static const uint8_t NEXT[] = {0, 0, 0x80, 0xc0, 0, 0x40, 0x80, 0xc0,
                                   0, 0, 0x80, 0xc0, 0, 0x40, 0x80, 0xc0};
    uint8x16_t at = vreinterpretq_u8_s32(q);
    uint32x4_t top = vreinterpretq_u32_u8(vqtbl1q_u8(vld1q_u8(TOP), at));
    uint32x4_t next = vreinterpretq_u32_u8(vqtbl1q_u8(vld1q_u8(NEXT), at));
    uint32x4_t value = vorrq_u32(vshlq_n_u32(top, 24), vshlq_n_u32(next, 16));
    return v_mul(vreinterpretq_f32_u32(value), group);
}
/* e4m3 bytes, exact; 0x7f and 0xff are NaN. f16 has the same layout with a wider exponent. */
KN_INLINE vf v_load_e4m3(const uint8_t *p)
{
    uint16x4_t b = vget_low_u16(vmovl_u8(load_4(p)));
    uint16x4_t rest = vshl_n_u16(vand_u16(b, vdup_n_u16(0x7f)), 7);
    uint16x4_t nan = vceq_u16(rest, vdup_n_u16(0x3f80));
    uint16x4_t sign = vshl_n_u16(vand_u16(b, vdup_n_u16(0x80)), 8);
    vf v = v_mul(vcvt_f32_f16(vreinterpret_f16_u16(vorr_u16(rest, sign))), v_set(256));
    uint32x4_t wide = vreinterpretq_u32_s32(vmovl_s16(vreinterpret_s16_u16(nan)));
    return vbslq_f32(wide, v_set(NAN), v);
}

#endif
