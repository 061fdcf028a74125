/* vec_avx2.h: the vector layer on AVX2 + FMA + F16C: 8 lanes, 32 codes at a time.
 *
 * Vector j of a unit has the codes 8 j .. 8 j + 7, which are the bits bytes from bits * j. Each
 * dword lane gets the two bytes that its code lies in (vpshufb on a register that holds the same
 * 16 bytes in both halves), is shifted right by the bit in which the code starts, and masked.
 * The loads of 5 and 6 bits overlap and those of 3 bits are 8 bytes wide, so that no byte after
 * the unit's last one is read. The value is fma(code, scale, bias). */
#ifndef KERNELS_VEC_AVX2_H
#define KERNELS_VEC_AVX2_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define VL     8
#define UNIT   32
#define UV     4
#define V_NAME "avx2"

typedef __m256 vf;
typedef __m256i vi;

KN_INLINE vf v_zero(void) { return _mm256_setzero_ps(); }
KN_INLINE vf v_set(float x) { return _mm256_set1_ps(x); }
KN_INLINE vf v_load(const float *p) { return _mm256_loadu_ps(p); }
KN_INLINE void v_store(float *p, vf x) { _mm256_storeu_ps(p, x); }
KN_INLINE vi first(int n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
KN_INLINE vf v_load_n(const float *p, int n) { return _mm256_maskload_ps(p, first(n)); }
KN_INLINE void v_store_n(float *p, vf x, int n) { _mm256_maskstore_ps(p, first(n), x); }
KN_INLINE vf v_add(vf a, vf b) { return _mm256_add_ps(a, b); }
KN_INLINE vf v_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
KN_INLINE vf v_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
KN_INLINE vf v_div(vf a, vf b) { return _mm256_div_ps(a, b); }
/* a * b + c, c - a * b */
KN_INLINE vf v_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
KN_INLINE vf v_fnma(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a, b, c); }
/* b when one of them is NaN */
KN_INLINE vf v_max(vf a, vf b) { return _mm256_max_ps(a, b); }
KN_INLINE vf v_min(vf a, vf b) { return _mm256_min_ps(a, b); }
KN_INLINE vf v_abs(vf a) { return _mm256_andnot_ps(v_set(-0.0f), a); }
/* a < b ? x : y, y when one of them is NaN */
KN_INLINE vf v_if_less(vf a, vf b, vf x, vf y)
{
    return _mm256_blendv_ps(y, x, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}
/* |a| with the sign of s */
KN_INLINE vf v_sign(vf a, vf s) { return _mm256_or_ps(v_abs(a), _mm256_and_ps(v_set(-0.0f), s)); }
KN_INLINE vf v_round(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | 8); }
/* a * 2^n, n whole, |n| <= 250: in two steps, so that neither factor leaves the normal range */
KN_INLINE vf v_ldexp(vf a, vf n)
{
    vi k = _mm256_cvtps_epi32(n);
    vi half = _mm256_srai_epi32(k, 1);
    vi rest = _mm256_sub_epi32(k, half);
    const vi bias = _mm256_set1_epi32(127);
    a = v_mul(a, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23)));
    return v_mul(a, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23)));
}

/* 2^n, n whole, -127 .. 127; 0 for -127 */
#define V_POW2
KN_INLINE vf v_pow2(vf n)
{
    vi k = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(k, 23));
}
/* Whether a > b in some lane. */
#define V_ANY_ABOVE
KN_INLINE int v_any_above(vf a, vf b)
{
    return _mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ)) != 0;
}

KN_INLINE vf v_load_bf16(const void *p)
{
    vi h = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(h, 16));
}
KN_INLINE vf v_load_f16(const void *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}
KN_INLINE vf v_load_bf16_n(const void *p, int n)
{
    uint16_t h[8] = {0};
    memcpy(h, p, (size_t)n * 2);
    return v_load_bf16(h);
}
KN_INLINE vf v_load_f16_n(const void *p, int n)
{
    uint16_t h[8] = {0};
    memcpy(h, p, (size_t)n * 2);
    return v_load_f16(h);
}

/* Signed bytes as f32, and back: rounded to nearest, |x| <= 127. */
KN_INLINE vf v_load_i8(const int8_t *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}
KN_INLINE __m128i narrow(vi a) /* dwords that fit into signed words */
{
    return _mm_packs_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
}
KN_INLINE void v_store_i8(int8_t *p, vf x)
{
    __m128i w = narrow(_mm256_cvtps_epi32(x));
    _mm_storel_epi64((__m128i *)p, _mm_packs_epi16(w, w));
}
/* Rounded to nearest even; NaN stays NaN. */
KN_INLINE void v_store_f16(void *p, vf x)
{
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | 8));
}
KN_INLINE void v_store_bf16(void *p, vf x)
{
    vi u = _mm256_castps_si256(x),
       odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
    vi r = _mm256_add_epi32(_mm256_add_epi32(u, _mm256_set1_epi32(0x7fff)), odd);
    vf nan = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fc00000));
    vf v = _mm256_blendv_ps(_mm256_castsi256_ps(r), nan, _mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    _mm_storeu_si128((__m128i *)p, narrow(_mm256_srai_epi32(_mm256_castps_si256(v), 16)));
}

/* ---- sums over lanes: lane l + lane l+4, then +2, +1 ----------------------------------------- */

KN_INLINE __m128 half_sum(vf a)
{
    return _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
}
KN_INLINE float v_sum(vf a)
{
    __m128 s = half_sum(a);
    s = _mm_add_ps(s, _mm_shuffle_ps(s, s, 0x4e));
    return _mm_cvtss_f32(_mm_add_ps(s, _mm_shuffle_ps(s, s, 0xb1)));
}
/* c[0..3] += the sums of four vectors, the same tree in each */
KN_INLINE void v_sum_to(float *c, const vf a[4])
{
    vf ab =
        v_add(_mm256_permute2f128_ps(a[0], a[1], 0x20), _mm256_permute2f128_ps(a[0], a[1], 0x31));
    vf cd =
        v_add(_mm256_permute2f128_ps(a[2], a[3], 0x20), _mm256_permute2f128_ps(a[2], a[3], 0x31));
    /* [a0+a2 c0+c2 a1+a3 c1+c3 | b.. d.. ] */
    vf s = v_add(_mm256_unpacklo_ps(ab, cd), _mm256_unpackhi_ps(ab, cd));
    s = v_add(s, _mm256_permute_ps(s, 0x4e)); /* [a c . . | b d . .] */
    _mm_storeu_ps(c, _mm_add_ps(_mm_loadu_ps(c), _mm_unpacklo_ps(_mm256_castps256_ps128(s),
                                                                 _mm256_extractf128_ps(s, 1))));
}
KN_INLINE float v_greatest(vf a)
{
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    m = _mm_max_ps(m, _mm_shuffle_ps(m, m, 0x4e));
    return _mm_cvtss_f32(_mm_max_ps(m, _mm_shuffle_ps(m, m, 0xb1)));
}

/* Sums and sums of squares in f64. */
typedef struct vd {
    __m256d lo, hi;
} vd;
KN_INLINE vd vd_zero(void) { return (vd){_mm256_setzero_pd(), _mm256_setzero_pd()}; }
KN_INLINE vd vd_add(vd s, vf x)
{
    __m256d lo = _mm256_cvtps_pd(_mm256_castps256_ps128(x));
    __m256d hi = _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1));
    return (vd){_mm256_add_pd(s.lo, lo), _mm256_add_pd(s.hi, hi)};
}
KN_INLINE vd vd_add_square(vd s, vf x)
{
    __m256d lo = _mm256_cvtps_pd(_mm256_castps256_ps128(x));
    __m256d hi = _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1));
    return (vd){_mm256_fmadd_pd(lo, lo, s.lo), _mm256_fmadd_pd(hi, hi, s.hi)};
}
KN_INLINE double vd_sum(vd s)
{
    __m256d a = _mm256_add_pd(s.lo, s.hi);
    __m128d q = _mm_add_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));
    return _mm_cvtsd_f64(_mm_add_sd(q, _mm_unpackhi_pd(q, q)));
}

/* ---- codes ----------------------------------------------------------------------------------- */

/* The two bytes of code i when the vector's first byte is at `at`; bytes after the code's own may
 * be any (the mask removes them), bit 7 of an index clears a byte. */
#define CODE_BYTES(b, at, i)                                                                       \
    (char)(((at) + (i) * (b) / 8) & 15), (char)(((at) + (i) * (b) / 8 + 1) & 15), -128, -128
#define CODE_PICK(b, at)                                                                           \
    _mm256_setr_epi8(CODE_BYTES(b, at, 0), CODE_BYTES(b, at, 1), CODE_BYTES(b, at, 2),             \
                     CODE_BYTES(b, at, 3), CODE_BYTES(b, at, 4), CODE_BYTES(b, at, 5),             \
                     CODE_BYTES(b, at, 6), CODE_BYTES(b, at, 7))
#define CODE_SHIFT(b, i) ((i) * (b) % 8)
#define CODE_SHIFTS(b)                                                                             \
    _mm256_setr_epi32(CODE_SHIFT(b, 0), CODE_SHIFT(b, 1), CODE_SHIFT(b, 2), CODE_SHIFT(b, 3),      \
                      CODE_SHIFT(b, 4), CODE_SHIFT(b, 5), CODE_SHIFT(b, 6), CODE_SHIFT(b, 7))
#define CODES_AT(b, src, at)                                                                       \
    _mm256_and_si256(                                                                              \
        _mm256_srlv_epi32(_mm256_shuffle_epi8(src, CODE_PICK(b, at)), CODE_SHIFTS(b)),             \
        _mm256_set1_epi32((1 << (b)) - 1))

KN_INLINE vi load8(const uint8_t *p) /* the same 8 bytes everywhere */
{
    long long x;
    memcpy(&x, p, 8);
    return _mm256_set1_epi64x(x);
}
KN_INLINE vi load16(const uint8_t *p)
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)p));
}

/* q[j], lane i: code 8 j + i of the 32 codes at p. */
KN_INLINE void v_codes(int bits, const uint8_t *p, int n, vi q[UV])
{
    vi a, b;
    (void)n;
    switch (bits) {
    case 2:
        a = load8(p);
        q[0] = CODES_AT(2, a, 0), q[1] = CODES_AT(2, a, 2);
        q[2] = CODES_AT(2, a, 4), q[3] = CODES_AT(2, a, 6);
        break;
    case 3:
        a = load8(p), b = load8(p + 4);
        q[0] = CODES_AT(3, a, 0), q[1] = CODES_AT(3, a, 3);
        q[2] = CODES_AT(3, b, 2), q[3] = CODES_AT(3, b, 5);
        break;
    case 4:
        KN_UNROLL
        for (int j = 0; j < UV; j++) {
            int x;
            memcpy(&x, p + 4 * j, 4);
            q[j] = _mm256_srlv_epi32(_mm256_set1_epi32(x),
                                     _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28));
            q[j] = _mm256_and_si256(q[j], _mm256_set1_epi32(15));
        }
        break;
    case 5:
        a = load16(p), b = load16(p + 4);
        q[0] = CODES_AT(5, a, 0), q[1] = CODES_AT(5, a, 5);
        q[2] = CODES_AT(5, a, 10), q[3] = CODES_AT(5, b, 11);
        break;
    case 6:
        a = load16(p), b = load16(p + 8);
        q[0] = CODES_AT(6, a, 0), q[1] = CODES_AT(6, a, 6);
        q[2] = CODES_AT(6, b, 4), q[3] = CODES_AT(6, b, 10);
        break;
    default:
        KN_UNROLL
        for (int j = 0; j < UV; j++)
            q[j] = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(p + 8 * j)));
    }
}

typedef struct v_group {
    vf scale, bias;
} v_group;

KN_INLINE v_group v_group_of(int bits, float scale, float bias)
{
    (void)bits;
    return (v_group){v_set(scale), v_set(bias)};
}

/* e2m1 codes in the form of v_codes(4): magnitude by its three low bits, sign by the fourth. */
KN_INLINE vf v_fp4_of(float scale)
{
    return v_mul(_mm256_setr_ps(0, 0.5f, 1, 1.5f, 2, 3, 4, 6), v_set(scale));
}
KN_INLINE vf v_fp4(vi q, vf group)
{
    vi sign = _mm256_slli_epi32(_mm256_srli_epi32(q, 3), 31);
    return _mm256_xor_ps(_mm256_permutevar8x32_ps(group, q), _mm256_castsi256_ps(sign));
}
/* e4m3 bytes, exact; 0x7f and 0xff are NaN. f16 has the same layout with a wider exponent. */
KN_INLINE vf v_load_e4m3(const uint8_t *p)
{
    __m128i b = _mm_cvtepu8_epi16(_mm_loadl_epi64((const __m128i *)p));
    __m128i rest = _mm_slli_epi16(_mm_and_si128(b, _mm_set1_epi16(0x7f)), 7);
    __m128i nan = _mm_cmpeq_epi16(rest, _mm_set1_epi16(0x3f80));
    __m128i sign = _mm_slli_epi16(_mm_and_si128(b, _mm_set1_epi16(0x80)), 8);
    vf v = v_mul(_mm256_cvtph_ps(_mm_or_si128(rest, sign)), v_set(256));
    return _mm256_blendv_ps(v, v_set(NAN), _mm256_castsi256_ps(_mm256_cvtepi16_epi32(nan)));
}

KN_INLINE vf v_value(int bits, vi q, const v_group *g)
{
    (void)bits;
    return v_fma(_mm256_cvtepi32_ps(q), g->scale, g->bias);
}

#endif
