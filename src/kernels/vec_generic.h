/* vec_generic.h: the vector layer in portable C: 8 lanes in an array, 32 codes at a time.
 *
 * The compiler turns the loops over lanes into whatever the baseline has. v_fma rounds twice here
 * (multiply, then add): fmaf() without hardware costs hundreds of cycles. Little-endian hosts. */
#ifndef KERNELS_VEC_GENERIC_H
#define KERNELS_VEC_GENERIC_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define VL     8
#define UNIT   32
#define UV     4
#define V_NAME "generic"

typedef struct vf {
    float x[VL];
} vf;
typedef struct vi {
    int32_t x[VL];
} vi;

#define EACH for (int i = 0; i < VL; i++)

KN_INLINE vf v_set(float x)
{
    vf r;
    EACH r.x[i] = x;
    return r;
}
KN_INLINE vf v_zero(void) { return v_set(0); }
KN_INLINE vf v_load(const float *p)
{
    vf r;
    memcpy(&r, p, sizeof r);
    return r;
}
KN_INLINE vf v_load_n(const float *p, int n)
{
    vf r = v_zero();
    memcpy(&r, p, (size_t)n * 4);
    return r;
}
KN_INLINE void v_store(float *p, vf a) { memcpy(p, &a, sizeof a); }
KN_INLINE void v_store_n(float *p, vf a, int n) { memcpy(p, &a, (size_t)n * 4); }
KN_INLINE vf v_add(vf a, vf b)
{
    EACH a.x[i] += b.x[i];
    return a;
}
KN_INLINE vf v_sub(vf a, vf b)
{
    EACH a.x[i] -= b.x[i];
    return a;
}
KN_INLINE vf v_mul(vf a, vf b)
{
    EACH a.x[i] *= b.x[i];
    return a;
}
KN_INLINE vf v_div(vf a, vf b)
{
    EACH a.x[i] /= b.x[i];
    return a;
}
/* a * b + c, c - a * b */
KN_INLINE vf v_fma(vf a, vf b, vf c)
{
    EACH c.x[i] += a.x[i] * b.x[i];
    return c;
}
KN_INLINE vf v_fnma(vf a, vf b, vf c)
{
    EACH c.x[i] -= a.x[i] * b.x[i];
    return c;
}
/* b when one of them is NaN */
KN_INLINE vf v_max(vf a, vf b)
{
    EACH b.x[i] = a.x[i] > b.x[i] ? a.x[i] : b.x[i];
    return b;
}
KN_INLINE vf v_min(vf a, vf b)
{
    EACH b.x[i] = a.x[i] < b.x[i] ? a.x[i] : b.x[i];
    return b;
}
KN_INLINE vf v_abs(vf a)
{
    EACH a.x[i] = fabsf(a.x[i]);
    return a;
}
/* a < b ? x : y, y when one of them is NaN */
KN_INLINE vf v_if_less(vf a, vf b, vf x, vf y)
{
    EACH y.x[i] = a.x[i] < b.x[i] ? x.x[i] : y.x[i];
    return y;
}
/* |a| with the sign of s */
KN_INLINE vf v_sign(vf a, vf s)
{
    EACH a.x[i] = copysignf(a.x[i], s.x[i]);
    return a;
}
/* Nearest whole number, |a| < 2^22: the sum has no room for a fraction. */
KN_INLINE vf v_round(vf a)
{
    EACH a.x[i] = (a.x[i] + 12582912.0f) - 12582912.0f;
    return a;
}
KN_INLINE float pow2(int n) /* -126 .. 127; anything for anything else */
{
    uint32_t u = (uint32_t)(n + 127) << 23;
    float f;
    memcpy(&f, &u, 4);
    return f;
}
/* a * 2^n, n whole, |n| <= 250, or NaN where a is: in two steps within the normal range */
KN_INLINE vf v_ldexp(vf a, vf n)
{
    EACH
    {
        int k = n.x[i] == n.x[i] ? (int)n.x[i] : 0;
        int half = k / 2;
        a.x[i] = a.x[i] * pow2(half) * pow2(k - half);
    }
    return a;
}

KN_INLINE float from_bf16(uint16_t h)
{
    uint32_t u = (uint32_t)h << 16;
    float f;
    memcpy(&f, &u, 4);
    return f;
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
    vf r;
    memcpy(h, p, (size_t)n * 2);
    EACH r.x[i] = from_bf16(h[i]);
    return r;
}
KN_INLINE vf v_load_f16_n(const void *p, int n)
{
    uint16_t h[VL] = {0};
    vf r;
    memcpy(h, p, (size_t)n * 2);
    EACH r.x[i] = from_f16(h[i]);
    return r;
}
KN_INLINE vf v_load_bf16(const void *p) { return v_load_bf16_n(p, VL); }
KN_INLINE vf v_load_f16(const void *p) { return v_load_f16_n(p, VL); }

/* ---- sums over lanes: lane l + lane l+4, then +2, +1 --------------------------------------------- */

KN_INLINE float v_sum(vf a)
{
    float s[4];
    for (int i = 0; i < 4; i++)
        s[i] = a.x[i] + a.x[i + 4];
    return (s[0] + s[2]) + (s[1] + s[3]);
}
/* c[0..3] += the sums of four vectors */
KN_INLINE void v_sum_to(float *c, const vf a[4])
{
    for (int i = 0; i < 4; i++)
        c[i] += v_sum(a[i]);
}
KN_INLINE float v_greatest(vf a)
{
    float m = a.x[0];
    for (int i = 1; i < VL; i++)
        m = a.x[i] > m ? a.x[i] : m;
    return m;
}

/* Sum of squares in f64. */
typedef struct vd {
    double x[VL];
} vd;
KN_INLINE vd vd_zero(void)
{
    vd s;
    EACH s.x[i] = 0;
    return s;
}
KN_INLINE vd vd_add_square(vd s, vf a)
{
    EACH s.x[i] += (double)a.x[i] * (double)a.x[i];
    return s;
}
KN_INLINE double vd_sum(vd s)
{
    double t[4];
    for (int i = 0; i < 4; i++)
        t[i] = s.x[i] + s.x[i + 4];
    return (t[0] + t[2]) + (t[1] + t[3]);
}

/* ---- codes --------------------------------------------------------------------------------------- */

/* q[j], lane i: code 8 j + i of the 32 codes at p; 8 codes are `bits` bytes. */
KN_INLINE void v_codes(int bits, const uint8_t *p, int n, vi q[UV])
{
    (void)n;
    for (int j = 0; j < UV; j++) {
        uint64_t word = 0;
        memcpy(&word, p + bits * j, (size_t)bits);
        EACH q[j].x[i] = (int32_t)(word >> (i * bits)) & ((1 << bits) - 1);
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

KN_INLINE vf v_value(int bits, vi q, const v_group *g)
{
    vf c;
    (void)bits;
    EACH c.x[i] = (float)q.x[i];
    return v_fma(c, g->scale, g->bias);
}

#undef EACH

#endif
