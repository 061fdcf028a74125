/* vec_avx512.h: the vector layer on AVX-512 (F, BW, DQ, VL, VBMI): 16 lanes, 64 codes at a time.
 *
 * Unpacking b-bit codes, b in 2 .. 6, 64 of them from 8 b bytes (never a byte more is read):
 * vector j, lane i is code 16 j + i, and all four vectors come from one register d, in which
 * dword i holds in its byte j the code 16 j + i. Two neighbouring codes 16 j + 2 l, + 1 lie in two
 * neighbouring bytes (checked for every b: 2 b bits at an even code), so a byte permutation
 * (vpermb) gathers the four pairs of qword l, and vpmultishiftqb cuts the eight fields out.
 *
 * Dequantisation: up to 4 bits, a group's 16 values code * scale + bias stand in one register and
 * vpermps looks them up; 5 bits, in two; 6 and 8 bits convert and multiply. The value is the same
 * fma(code, scale, bias) in all cases. */
#ifndef KERNELS_VEC_AVX512_H
#define KERNELS_VEC_AVX512_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define VL     16
#define UNIT   64
#define UV     4 /* vectors of a unit */
#define V_NAME "avx512"

typedef __m512 vf;
typedef __m512i vi;

KN_INLINE __mmask16 first(int n) { return (__mmask16)((1u << n) - 1); }
KN_INLINE vf v_zero(void) { return _mm512_setzero_ps(); }
KN_INLINE vf v_set(float x) { return _mm512_set1_ps(x); }
KN_INLINE vf v_load(const float *p) { return _mm512_loadu_ps(p); }
KN_INLINE vf v_load_n(const float *p, int n) { return _mm512_maskz_loadu_ps(first(n), p); }
KN_INLINE void v_store(float *p, vf x) { _mm512_storeu_ps(p, x); }
KN_INLINE void v_store_n(float *p, vf x, int n) { _mm512_mask_storeu_ps(p, first(n), x); }
KN_INLINE vf v_add(vf a, vf b) { return _mm512_add_ps(a, b); }
KN_INLINE vf v_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
KN_INLINE vf v_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
KN_INLINE vf v_div(vf a, vf b) { return _mm512_div_ps(a, b); }
/* a * b + c, c - a * b */
KN_INLINE vf v_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
KN_INLINE vf v_fnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); }
/* b when one of them is NaN */
KN_INLINE vf v_max(vf a, vf b) { return _mm512_max_ps(a, b); }
KN_INLINE vf v_min(vf a, vf b) { return _mm512_min_ps(a, b); }
KN_INLINE vf v_abs(vf a) { return _mm512_abs_ps(a); }
/* a < b ? x : y, y when one of them is NaN */
KN_INLINE vf v_if_less(vf a, vf b, vf x, vf y)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x);
}
/* |a| with the sign of s */
KN_INLINE vf v_sign(vf a, vf s)
{
    return _mm512_or_ps(_mm512_andnot_ps(v_set(-0.0f), a), _mm512_and_ps(v_set(-0.0f), s));
}
KN_INLINE vf v_round(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | 8); }
/* a * 2^n, n whole, |n| <= 300; rounds once */
KN_INLINE vf v_ldexp(vf a, vf n) { return _mm512_scalef_ps(a, n); }

/* x - floor(x), 0 for infinities; p * 2^floor(x) */
#define V_REDUCE
KN_INLINE vf v_fraction(vf x) { return _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | 8); }
KN_INLINE vf v_times_2(vf p, vf x) { return _mm512_scalef_ps(p, x); }
/* Whether a > b in some lane. */
#define V_ANY_ABOVE
KN_INLINE int v_any_above(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ) != 0; }

KN_INLINE vf v_load_bf16(const void *p)
{
    __m256i h = _mm256_loadu_si256((const __m256i *)p);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}
KN_INLINE vf v_load_bf16_n(const void *p, int n)
{
    __m256i h = _mm256_maskz_loadu_epi16(first(n), p);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}
KN_INLINE vf v_load_f16(const void *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}
KN_INLINE vf v_load_f16_n(const void *p, int n)
{
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first(n), p));
}

/* Signed bytes as f32, and back: rounded to nearest, |x| <= 127. */
KN_INLINE vf v_load_i8(const int8_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}
KN_INLINE void v_store_i8(int8_t *p, vf x)
{
    _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x)));
}
/* Rounded to nearest even; NaN stays NaN. */
KN_INLINE void v_store_f16(void *p, vf x)
{
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | 8));
}
KN_INLINE void v_store_bf16(void *p, vf x)
{
    vi u = _mm512_castps_si512(x),
       odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
    vi r = _mm512_add_epi32(_mm512_add_epi32(u, _mm512_set1_epi32(0x7fff)), odd);
    r = _mm512_mask_blend_epi32(_mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), r,
                                _mm512_set1_epi32(0x7fc00000));
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(_mm512_srli_epi32(r, 16)));
}

/* ---- sums over lanes: lane l + lane l+8, then +4, +2, +1 ------------------------------------- */

KN_INLINE __m128 sum4(__m128 a) /* (0+2) + (1+3) in every lane */
{
    a = _mm_add_ps(a, _mm_shuffle_ps(a, a, 0x4e));
    return _mm_add_ps(a, _mm_shuffle_ps(a, a, 0xb1));
}
KN_INLINE float v_sum(vf a)
{
    __m256 h = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    return _mm_cvtss_f32(sum4(_mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1))));
}
/* The sums of four vectors, the same tree in each. */
KN_INLINE __m128 v_sum_4(vf a, vf b, vf c, vf d)
{
    vf ab = v_add(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
    vf cd = v_add(_mm512_shuffle_f32x4(c, d, 0x44), _mm512_shuffle_f32x4(c, d, 0xee));
    vf s = v_add(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xdd));
    s = v_add(s, _mm512_permute_ps(s, 0x4e));
    s = v_add(s, _mm512_permute_ps(s, 0xb1));
    return _mm512_castps512_ps128(_mm512_permutexvar_ps(
        _mm512_setr_epi32(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), s));
}
/* c[0..3] += the sums of four vectors */
KN_INLINE void v_sum_to(float *c, const vf a[4])
{
    _mm_storeu_ps(c, _mm_add_ps(_mm_loadu_ps(c), v_sum_4(a[0], a[1], a[2], a[3])));
}
KN_INLINE float v_greatest(vf a) { return _mm512_reduce_max_ps(a); }

/* Sums and sums of squares in f64. */
typedef struct vd {
    __m512d lo, hi;
} vd;
KN_INLINE vd vd_zero(void) { return (vd){_mm512_setzero_pd(), _mm512_setzero_pd()}; }
KN_INLINE vd vd_add(vd s, vf x)
{
    __m512d lo = _mm512_cvtps_pd(_mm512_castps512_ps256(x));
    __m512d hi = _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1));
    return (vd){_mm512_add_pd(s.lo, lo), _mm512_add_pd(s.hi, hi)};
}
KN_INLINE vd vd_add_square(vd s, vf x)
{
    __m512d lo = _mm512_cvtps_pd(_mm512_castps512_ps256(x));
    __m512d hi = _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1));
    return (vd){_mm512_fmadd_pd(lo, lo, s.lo), _mm512_fmadd_pd(hi, hi, s.hi)};
}
KN_INLINE double vd_sum(vd s)
{
    __m512d a = _mm512_add_pd(s.lo, s.hi);
    __m256d h = _mm256_add_pd(_mm512_castpd512_pd256(a), _mm512_extractf64x4_pd(a, 1));
    __m128d q = _mm_add_pd(_mm256_castpd256_pd128(h), _mm256_extractf128_pd(h, 1));
    return _mm_cvtsd_f64(_mm_add_sd(q, _mm_unpackhi_pd(q, q)));
}

/* ---- codes ----------------------------------------------------------------------------------- */

/* First byte and first bit of the pair j of qword l. */
#define PAIR_BIT(b, l, j) ((16 * (j) + 2 * (l)) * (b))
#define GATHER(b, l, j)   PAIR_BIT(b, l, j) / 8, PAIR_BIT(b, l, j) / 8 + 1
#define GATHER_Q(b, l)    GATHER(b, l, 0), GATHER(b, l, 1), GATHER(b, l, 2), GATHER(b, l, 3)
#define GATHER_ALL(b)                                                                              \
    {                                                                                              \
        GATHER_Q(b, 0), GATHER_Q(b, 1), GATHER_Q(b, 2), GATHER_Q(b, 3), GATHER_Q(b, 4),            \
            GATHER_Q(b, 5), GATHER_Q(b, 6), GATHER_Q(b, 7)                                         \
    }
#define FIELD(b, l, j, odd) (16 * (j) + (PAIR_BIT(b, l, j) & 7) + (odd) * (b))
#define FIELD_Q(b, l)                                                                              \
    FIELD(b, l, 0, 0), FIELD(b, l, 1, 0), FIELD(b, l, 2, 0), FIELD(b, l, 3, 0), FIELD(b, l, 0, 1), \
        FIELD(b, l, 1, 1), FIELD(b, l, 2, 1), FIELD(b, l, 3, 1)
#define FIELD_ALL(b)                                                                               \
    {                                                                                              \
        FIELD_Q(b, 0), FIELD_Q(b, 1), FIELD_Q(b, 2), FIELD_Q(b, 3), FIELD_Q(b, 4), FIELD_Q(b, 5),  \
            FIELD_Q(b, 6), FIELD_Q(b, 7)                                                           \
    }

static const uint8_t GATHER_TABLE[5][64] = {GATHER_ALL(2), GATHER_ALL(3), GATHER_ALL(4),
                                            GATHER_ALL(5), GATHER_ALL(6)};
static const uint8_t FIELD_TABLE[5][64] = {FIELD_ALL(2), FIELD_ALL(3), FIELD_ALL(4), FIELD_ALL(5),
                                           FIELD_ALL(6)};

/* q[j], lane i: code 16 j + i of the n codes (32 or 64) at p, in the form that v_value wants. */
KN_INLINE void v_codes(int bits, const uint8_t *p, int n, vi q[UV])
{
    vi d;
    if (bits == 8) {
        KN_UNROLL
        for (int j = 0; j < UV; j++)
            q[j] = n > 16 * j ? _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(p + 16 * j)))
                              : _mm512_setzero_si512();
        return;
    }
    d = _mm512_maskz_loadu_epi8(~0ull >> (64 - n * bits / 8), p);
    d = _mm512_permutexvar_epi8(_mm512_loadu_si512(GATHER_TABLE[bits - 2]), d);
    d = _mm512_multishift_epi64_epi8(_mm512_loadu_si512(FIELD_TABLE[bits - 2]), d);
    if (bits != 4 && bits != 5) d = _mm512_and_si512(d, _mm512_set1_epi8((char)((1 << bits) - 1)));
    q[0] = d;
    q[1] = _mm512_srli_epi32(d, 8);
    q[2] = _mm512_srli_epi32(d, 16);
    q[3] = _mm512_srli_epi32(d, 24);
    if (bits == 6) KN_UNROLL
    for (int j = 0; j < 3; j++)
        q[j] = _mm512_and_si512(q[j], _mm512_set1_epi32(0xff));
}

/* What a group's codes become. */
typedef struct v_group {
    vf a, b; /* up to 5 bits: the values of codes 0 .. 15, 16 .. 31; else scale, bias */
} v_group;

KN_INLINE v_group v_group_of(int bits, float scale, float bias)
{
    const vf iota = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    v_group g = {v_set(scale), v_set(bias)};
    if (bits == 5) {
        vf low = v_fma(iota, g.a, g.b);
        g.b = v_fma(v_add(iota, v_set(16)), g.a, g.b);
        g.a = low;
    } else if (bits < 5) {
        g.a = v_fma(iota, g.a, g.b);
    }
    return g;
}

/* e2m1 codes in the form of v_codes(4): a group's 16 values are looked up, as above. */
KN_INLINE vf v_fp4_of(float scale)
{
    const vf values =
        _mm512_setr_ps(0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0.0f, -0.5f, -1, -1.5f, -2, -3, -4, -6);
    return v_mul(values, v_set(scale));
}
KN_INLINE vf v_fp4(vi q, vf group) { return _mm512_permutexvar_ps(q, group); }
/* e4m3 bytes, exact; 0x7f and 0xff are NaN. f16 has the same layout with a wider exponent. */
KN_INLINE vf v_load_e4m3(const uint8_t *p)
{
    __m256i b = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)p));
    __m256i rest = _mm256_slli_epi16(_mm256_and_si256(b, _mm256_set1_epi16(0x7f)), 7);
    __mmask16 nan = _mm256_cmpeq_epi16_mask(rest, _mm256_set1_epi16(0x3f80));
    __m256i sign = _mm256_slli_epi16(_mm256_and_si256(b, _mm256_set1_epi16(0x80)), 8);
    vf v = v_mul(_mm512_cvtph_ps(_mm256_or_si256(rest, sign)), v_set(256));
    return _mm512_mask_mov_ps(v, nan, v_set(NAN));
}

KN_INLINE vf v_value(int bits, vi q, const v_group *g)
{
    if (bits == 5) return _mm512_permutex2var_ps(g->a, q, g->b);
    if (bits < 5) return _mm512_permutexvar_ps(q, g->a);
    return v_fma(_mm512_cvtepi32_ps(q), g->a, g->b);
}

#endif
