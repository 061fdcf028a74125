/* vec_generic.h: the vector layer for any CPU: 4 lanes of the compiler's own vectors (gcc, clang),
 * which are SSE2 on x86-64 and NEON on AArch64; 16 codes at a time.
 *
 * v_fma rounds twice here (multiply, then add): fmaf() without hardware costs hundreds of cycles.
 * Little-endian hosts. */
#ifndef KERNELS_VEC_GENERIC_H
#define KERNELS_VEC_GENERIC_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define VL     4
#define UNIT   16
#define UV     4
#define V_NAME "generic"

typedef float vf __attribute__((vector_size(16)));
typedef int32_t vi __attribute__((vector_size(16)));
typedef uint32_t vu __attribute__((vector_size(16)));

KN_INLINE vf v_set(float x) { return (vf){x, x, x, x}; }
KN_INLINE vf v_zero(void) { return v_set(0); }
KN_INLINE vf v_load(const float *p)
{
    vf r;
    memcpy(&r, p, sizeof r);
    return r;
}
KN_INLINE vf v_load_n(const float *p, int n)
{
    float x[VL] = {0};
    memcpy(x, p, (size_t)n * 4);
    return v_load(x);
}
KN_INLINE void v_store(float *p, vf a) { memcpy(p, &a, sizeof a); }
KN_INLINE void v_store_n(float *p, vf a, int n) { memcpy(p, &a, (size_t)n * 4); }
KN_INLINE vf v_add(vf a, vf b) { return a + b; }
KN_INLINE vf v_sub(vf a, vf b) { return a - b; }
KN_INLINE vf v_mul(vf a, vf b) { return a * b; }
KN_INLINE vf v_div(vf a, vf b) { return a / b; }
/* a * b + c, c - a * b */
KN_INLINE vf v_fma(vf a, vf b, vf c) { return c + a * b; }
KN_INLINE vf v_fnma(vf a, vf b, vf c) { return c - a * b; }
KN_INLINE vf pick(vi mask, vf x, vf y) { return (vf)((mask & (vi)x) | (~mask & (vi)y)); }
/* b when one of them is NaN */
KN_INLINE vf v_max(vf a, vf b) { return pick(a > b, a, b); }
KN_INLINE vf v_min(vf a, vf b) { return pick(a < b, a, b); }
KN_INLINE vf v_abs(vf a) { return (vf)((vu)a & 0x7fffffffu); }
/* a < b ? x : y, y when one of them is NaN */
KN_INLINE vf v_if_less(vf a, vf b, vf x, vf y) { return pick(a < b, x, y); }
/* |a| with the sign of s */
KN_INLINE vf v_sign(vf a, vf s) { return (vf)(((vu)a & 0x7fffffffu) | ((vu)s & 0x80000000u)); }
/* Nearest whole number, |a| < 2^22: the sum has no room for a fraction. */
KN_INLINE vf v_round(vf a) { return (a + 12582912.0f) - 12582912.0f; }
/* a * 2^n, n whole, |n| <= 250, or NaN where a is: in two steps within the normal range. The whole
 * number is read out of the low bits of n + 1.5 * 2^23. */
KN_INLINE vf v_ldexp(vf a, vf n)
{
    vi k = (vi)(n + 12582912.0f) - (vi)v_set(12582912.0f);
    vi half = k >> 1;
    vu low = (vu)half + 127, high = (vu)(k - half) + 127;
    return a * (vf)(low << 23) * (vf)(high << 23);
}

KN_INLINE float from_f16(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = h & 0x7fff, u;
    float f;
    if (rest < 0x0400) { /* denormal: rest * 2^-24 is exact */
        f = (float)rest * 0x1p-24f;
        memcpy(&u, &f, 4);
        u |= sign;
    } else if (rest < 0x7c00) {
        u = sign | ((rest << 13) + (112u << 23));
    } else {
        u = sign | 0x7f800000u | rest << 13;
    }
    memcpy(&f, &u, 4);
    return f;
}
KN_INLINE vf v_load_bf16_n(const void *p, int n)
{
    uint16_t h[VL] = {0};
    memcpy(h, p, (size_t)n * 2);
    return (vf)((vu){h[0], h[1], h[2], h[3]} << 16);
}
KN_INLINE vf v_load_f16_n(const void *p, int n)
{
    uint16_t h[VL] = {0};
    memcpy(h, p, (size_t)n * 2);
    return (vf){from_f16(h[0]), from_f16(h[1]), from_f16(h[2]), from_f16(h[3])};
}
KN_INLINE vf v_load_bf16(const void *p) { return v_load_bf16_n(p, VL); }
KN_INLINE vf v_load_f16(const void *p) { return v_load_f16_n(p, VL); }

/* Rounded to nearest even; NaN stays NaN. */
KN_INLINE uint16_t to_bf16(float x)
{
    uint32_t u;
    memcpy(&u, &x, 4);
    if (x != x) return 0x7fc0;
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}
KN_INLINE uint16_t to_f16(float x)
{
    uint32_t u, sign, rest;
    memcpy(&u, &x, 4);
    sign = u >> 16 & 0x8000;
    rest = u & 0x7fffffff;
    if (rest > 0x7f800000) return 0x7e00;
    if (rest >= 0x477ff000) return (uint16_t)(sign | 0x7c00); /* 65520 and more */
    if (rest < 0x38800000) { /* below 2^-14: 1/2 added leaves the denormal in the low bits */
        float a;
        memcpy(&a, &rest, 4);
        a += 0x1p-1f;
        memcpy(&rest, &a, 4);
        return (uint16_t)(sign | (rest - 0x3f000000));
    }
    rest += 0xfff + (rest >> 13 & 1);
    return (uint16_t)(sign | ((rest - 0x38000000) >> 13));
}
KN_INLINE void v_store_f16(void *p, vf x)
{
    uint16_t h[VL] = {to_f16(x[0]), to_f16(x[1]), to_f16(x[2]), to_f16(x[3])};
    memcpy(p, h, sizeof h);
}
KN_INLINE void v_store_bf16(void *p, vf x)
{
    uint16_t h[VL] = {to_bf16(x[0]), to_bf16(x[1]), to_bf16(x[2]), to_bf16(x[3])};
    memcpy(p, h, sizeof h);
}
/* Signed bytes as f32, and back: rounded to nearest, |x| <= 127. */
KN_INLINE vf v_load_i8(const int8_t *p)
{
    return (vf){(float)p[0], (float)p[1], (float)p[2], (float)p[3]};
}
KN_INLINE void v_store_i8(int8_t *p, vf x)
{
    x = v_round(x);
    for (int i = 0; i < VL; i++)
        p[i] = (int8_t)x[i];
}

/* ---- sums over lanes: lane l + lane l+2, then +1 --------------------------------------------- */

KN_INLINE float v_sum(vf a) { return (a[0] + a[2]) + (a[1] + a[3]); }
/* c[0..3] += the sums of four vectors */
KN_INLINE void v_sum_to(float *c, const vf a[4])
{
    v_store(c, v_load(c) + (vf){v_sum(a[0]), v_sum(a[1]), v_sum(a[2]), v_sum(a[3])});
}
KN_INLINE float v_greatest(vf a)
{
    float x = a[0] > a[1] ? a[0] : a[1], y = a[2] > a[3] ? a[2] : a[3];
    return x > y ? x : y;
}

/* Sums and sums of squares in f64. */
typedef struct vd {
    double x[VL];
} vd;
KN_INLINE vd vd_zero(void) { return (vd){{0, 0, 0, 0}}; }
KN_INLINE vd vd_add(vd s, vf a)
{
    for (int i = 0; i < VL; i++)
        s.x[i] += (double)a[i];
    return s;
}
KN_INLINE vd vd_add_square(vd s, vf a)
{
    for (int i = 0; i < VL; i++)
        s.x[i] += (double)a[i] * (double)a[i];
    return s;
}
KN_INLINE double vd_sum(vd s) { return (s.x[0] + s.x[2]) + (s.x[1] + s.x[3]); }

/* ---- codes ----------------------------------------------------------------------------------- */

/* n bytes, little-endian, in few loads. */
KN_INLINE uint64_t word_of(const uint8_t *p, int n)
{
    uint32_t a = 0;
    uint16_t b = 0;
    uint64_t w = 0;
    if (n == 8) {
        memcpy(&w, p, 8);
        return w;
    }
    if (n & 4) {
        memcpy(&a, p, 4);
        w = a;
    }
    if (n & 2) {
        memcpy(&b, p + (n & 4), 2);
        w |= (uint64_t)b << 8 * (n & 4);
    }
    return n & 1 ? w | (uint64_t)p[n - 1] << 8 * (n - 1) : w;
}

/* q[j], lane i: code 4 j + i of the 16 codes at p; 8 codes are `bits` bytes. */
KN_INLINE void v_codes(int bits, const uint8_t *p, int n, vi q[UV])
{
    const uint32_t mask = (1u << bits) - 1;
    (void)n;
    KN_UNROLL
    for (int j = 0; j < UV; j += 2) {
        uint64_t w = word_of(p + bits * j / 2, bits);
        q[j] = (vi)((vu){(uint32_t)w, (uint32_t)(w >> bits), (uint32_t)(w >> 2 * bits),
                         (uint32_t)(w >> 3 * bits)} &
                    mask);
        w >>= 4 * bits;
        q[j + 1] = (vi)((vu){(uint32_t)w, (uint32_t)(w >> bits), (uint32_t)(w >> 2 * bits),
                             (uint32_t)(w >> 3 * bits)} &
                        mask);
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

/* e2m1 codes in the form of v_codes(4). */
KN_INLINE vf v_fp4_of(float scale) { return v_set(scale); }
KN_INLINE vf v_fp4(vi q, vf group)
{
    static const float VALUE[] = {0,     0.5f,  1,  1.5f,  2,  3,  4,  6,
                                  -0.0f, -0.5f, -1, -1.5f, -2, -3, -4, -6};
    return (vf){VALUE[q[0]], VALUE[q[1]], VALUE[q[2]], VALUE[q[3]]} * group;
}
/* e4m3 bytes, exact; 0x7f and 0xff are NaN. f16 has the same layout with a wider exponent. */
KN_INLINE float from_e4m3(uint8_t b)
{
    if ((b & 0x7f) == 0x7f) return NAN;
    return from_f16((uint16_t)((b & 0x7f) << 7 | (b & 0x80) << 8)) * 256;
}
KN_INLINE vf v_load_e4m3(const uint8_t *p)
{
    return (vf){from_e4m3(p[0]), from_e4m3(p[1]), from_e4m3(p[2]), from_e4m3(p[3])};
}

KN_INLINE vf v_value(int bits, vi q, const v_group *g)
{
    (void)bits;
    return v_fma(__builtin_convertvector(q, vf), g->scale, g->bias);
}

#endif
