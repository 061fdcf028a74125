/* util.h: what the kernel tests share: random numbers, buffers without slack, our own packer.
 *
 * Buffers: room_new gives floats at an address that is 8 mod 16 (as MLX's are) or odd, ending
 * exactly where the heap block ends, so that a sanitizer or Valgrind sees one byte too many.
 * The packer follows the written description of MLX's affine packing (kernels.h) and is itself
 * checked against vectors that mx.quantize made (test_golden.c). */
#ifndef TESTS_KERNELS_UTIL_H
#define TESTS_KERNELS_UTIL_H

#include "kernels/internal.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct rng {
    uint64_t s;
} rng;

static inline uint64_t rng_next(rng *r)
{
    uint64_t z = (r->s += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}
static inline int rng_int(rng *r, int lo, int hi) /* both included */
{
    return lo + (int)(rng_next(r) % (uint64_t)(hi - lo + 1));
}
static inline double rng_unit(rng *r) { return (double)(rng_next(r) >> 11) * 0x1p-53; }
static inline float rng_normal(rng *r)
{
    double u = rng_unit(r) + 0x1p-60, v = rng_unit(r);
    return (float)(sqrt(-2 * log(u)) * cos(6.283185307179586 * v));
}

/* A block of bytes that ends where the heap block ends, at any alignment. */
typedef struct room {
    void *block, *p;
} room;

static inline room room_new(size_t bytes, size_t skew)
{
    room r;
    r.block = malloc(bytes + skew ? bytes + skew : 1);
    assert_non_null(r.block);
    r.p = (char *)r.block + skew;
    return r;
}
static inline void room_free(room r) { free(r.block); }

static inline float *normals(rng *r, float *p, size_t n, float scale)
{
    for (size_t i = 0; i < n; i++)
        p[i] = rng_normal(r) * scale;
    return p;
}

/* ---- half precision, by definition ----------------------------------------------------------- */

static inline double half_value(uint16_t h, int bf16)
{
    int exponent = bf16 ? h >> 7 & 255 : h >> 10 & 31;
    int fraction = bf16 ? h & 127 : h & 1023;
    int bits = bf16 ? 7 : 10, bias = bf16 ? 127 : 15, top = bf16 ? 255 : 31;
    double v;
    if (exponent == top)
        v = fraction ? (double)NAN : (double)INFINITY;
    else if (exponent)
        v = ldexp(1.0 + ldexp(fraction, -bits), exponent - bias);
    else
        v = ldexp(fraction, 1 - bias - bits);
    return h & 0x8000 ? -v : v;
}

/* A half near x: x's bits cut (bf16) or scaled into range (f16); exactness is not needed. */
static inline uint16_t half_near(float x, int bf16)
{
    uint32_t u;
    int e;
    double f;
    memcpy(&u, &x, 4);
    if (bf16) return (uint16_t)(u >> 16);
    if (x == 0) return (uint16_t)(u >> 16 & 0x8000);
    f = frexp(fabs((double)x), &e);
    if (e + 14 < 1) return (uint16_t)((u >> 16 & 0x8000) | (uint32_t)ldexp(f, e + 24));
    if (e + 14 > 30) e = 16;
    return (uint16_t)((u >> 16 & 0x8000) | (uint32_t)(e + 14) << 10 |
                      ((uint32_t)(f * 2048) & 1023));
}

static inline double load_value(const void *p, int64_t at, kn_dtype dtype)
{
    float f;
    uint16_t h;
    if (dtype == KN_F32) {
        memcpy(&f, (const char *)p + at * 4, 4);
        return (double)f;
    }
    memcpy(&h, (const char *)p + at * 2, 2);
    return half_value(h, dtype == KN_BF16);
}

static inline void store_value(void *p, int64_t at, kn_dtype dtype, float x)
{
    uint16_t h;
    if (dtype == KN_F32) {
        memcpy((char *)p + at * 4, &x, 4);
        return;
    }
    h = half_near(x, dtype == KN_BF16);
    memcpy((char *)p + at * 2, &h, 2);
}

static inline size_t dtype_bytes(kn_dtype d) { return d == KN_F32 ? 4 : 2; }

/* ---- matrices -------------------------------------------------------------------------------- */

typedef struct matrix {
    kn_matrix m;
    room w, scales, biases;
    double *value; /* [n,k] */
} matrix;

static const int ALL_BITS[] = {0, 2, 3, 4, 5, 6, 8};

/* e4m3, e2m1, e8m0 by definition */
static inline double e4m3_value(unsigned b)
{
    int exponent = b >> 3 & 15, fraction = b & 7;
    double v = exponent ? ldexp(1 + fraction / 8.0, exponent - 7) : ldexp(fraction / 8.0, -6);
    if ((b & 127) == 127) return (double)NAN;
    return b & 128 ? -v : v;
}
static inline double e2m1_value(unsigned b)
{
    int exponent = b >> 1 & 3, fraction = b & 1;
    double v = exponent ? ldexp(1 + fraction / 2.0, exponent - 1) : fraction / 2.0;
    return b & 8 ? -v : v;
}
static inline double e8m0_as_double(unsigned b)
{
    return b == 255 ? (double)INFINITY : ldexp(1, (int)b - 127);
}

static inline void put_code(uint8_t *row, int64_t k, int bits, unsigned code)
{
    for (int b = 0; b < bits; b++) {
        int64_t at = k * bits + b;
        row[at / 8] = (uint8_t)(row[at / 8] | ((code >> b & 1) << (at % 8)));
    }
}

/* A random matrix; scale is the size of its values. */
static inline matrix matrix_new(rng *r, int64_t n, int64_t k, int bits, int group, kn_dtype dtype,
                                float scale)
{
    matrix x = {.m = {.n = n, .k = k, .dtype = dtype, .bits = bits, .group = group}};
    size_t row = (size_t)(bits ? k * bits / 8 : k * (int64_t)dtype_bytes(dtype));
    size_t skew = (size_t)rng_int(r, 0, 9);
    x.value = calloc((size_t)(n * k) + 1, sizeof *x.value);
    assert_non_null(x.value);
    x.w = room_new((size_t)n * row, skew);
    x.m.w = x.w.p;
    if (!bits) {
        for (int64_t i = 0; i < n * k; i++) {
            store_value(x.w.p, i, dtype, rng_normal(r) * scale);
            x.value[i] = load_value(x.w.p, i, dtype);
        }
        return x;
    }
    memset(x.w.p, 0, (size_t)n * row);
    x.scales = room_new((size_t)(n * k / group) * dtype_bytes(dtype), skew);
    x.biases = room_new((size_t)(n * k / group) * dtype_bytes(dtype), 0);
    x.m.scales = x.scales.p;
    x.m.biases = x.biases.p;
    for (int64_t i = 0; i < n * k / group; i++) { /* signed scales, as edge anchoring makes them */
        store_value(x.scales.p, i, dtype, rng_normal(r) * scale / (float)(1 << bits));
        store_value(x.biases.p, i, dtype, rng_normal(r) * scale);
    }
    for (int64_t i = 0; i < n * k; i++) {
        unsigned code = (unsigned)rng_int(r, 0, (1 << bits) - 1);
        put_code((uint8_t *)x.w.p + (size_t)(i / k) * row, i % k, bits, code);
        x.value[i] = code * load_value(x.scales.p, i / group, dtype) +
                     load_value(x.biases.p, i / group, dtype);
    }
    return x;
}

/* A random matrix in mxfp4, mxfp8 or nvfp4; values of size about `scale`. */
static inline matrix matrix_new_fp(rng *r, int64_t n, int64_t k, kn_mode mode, float scale)
{
    int bits = mode == KN_MXFP8 ? 8 : 4, group = mode == KN_NVFP4 ? 16 : 32, e;
    matrix x = {.m = {.n = n, .k = k, .bits = bits, .group = group, .mode = mode}};
    size_t row = (size_t)(k * bits / 8), skew = (size_t)rng_int(r, 0, 9);
    uint8_t *scales;
    frexp((double)scale, &e);
    x.value = calloc((size_t)(n * k) + 1, sizeof *x.value);
    assert_non_null(x.value);
    x.w = room_new((size_t)n * row, skew);
    x.m.w = x.w.p;
    memset(x.w.p, 0, (size_t)n * row);
    x.scales = room_new((size_t)(n * k / group), 0);
    x.biases = room_new(0, 0);
    x.m.scales = scales = x.scales.p;
    for (int64_t i = 0; i < n * k / group; i++)
        scales[i] = (uint8_t)(mode == KN_NVFP4 ? rng_int(r, 0, 0x7e) : 127 + e - rng_int(r, 2, 9));
    for (int64_t i = 0; i < n * k; i++) {
        unsigned code = (unsigned)rng_int(r, 0, (1 << bits) - 1), s = scales[i / group];
        if (bits == 8 && (code & 127) == 127) code = 1; /* NaN has a test of its own */
        put_code((uint8_t *)x.w.p + (size_t)(i / k) * row, i % k, bits, code);
        x.value[i] = (bits == 8 ? e4m3_value(code) : e2m1_value(code)) *
                     (mode == KN_NVFP4 ? e4m3_value(s) : e8m0_as_double(s));
    }
    return x;
}

static inline void matrix_free(matrix *x)
{
    room_free(x->w);
    if (x->m.bits) {
        room_free(x->scales);
        room_free(x->biases);
    }
    free(x->value);
}

/* x as the kernels see it, by the rule that kernels.h states. */
static inline void rounded(const float *x, int k, int unit, kn_rounding rounding, double *out)
{
    const float steps = rounding == KN_ROUND_16 ? 16256 : 127;
    for (int u = 0; u < k; u += unit) {
        float most = 0;
        for (int i = 0; i < unit; i++)
            if (!(fabsf(x[u + i]) <= most)) most = fabsf(x[u + i]);
        for (int i = 0; i < unit; i++) {
            if (!isfinite(most))
                out[u + i] = (double)NAN;
            else if (most < 0x1p-100f)
                out[u + i] = 0;
            else
                out[u + i] = (double)rintf(x[u + i] * (steps / most)) * (double)most / steps;
        }
    }
}

/* ---- comparing ------------------------------------------------------------------------------- */

/* sqrt(sum (a - b)^2 / sum b^2) */
static inline double rms_error(const float *a, const double *b, size_t n)
{
    double d = 0, s = 0;
    for (size_t i = 0; i < n; i++) {
        d += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        s += b[i] * b[i];
    }
    return s > 0 ? sqrt(d / s) : sqrt(d);
}

/* Under an emulator (tools/neon.sh) everything takes some 30 times as long: there the best set of
 * the emulated CPU is the one that is walked, and of the random rounds one in MLXE_TEST_SHARE is
 * made. The variable of that name says so at run time (tools/valgrind.sh, .ci/run). */
#if defined(MLXE_TEST_BEST)
#define FIRST_TABLE (n_tables_ - 1)
#else
#define FIRST_TABLE 0
#endif
#if !defined(MLXE_TEST_SHARE)
#define MLXE_TEST_SHARE 1
#endif
static inline int rounds(int n)
{
    const char *text = getenv("MLXE_TEST_SHARE");
    int share = text ? atoi(text) : MLXE_TEST_SHARE;
    return share > 1 ? (n + share - 1) / share : n;
}

/* The statement that follows runs once for each instruction set of this machine. */
#define EACH_TABLE                                                                                 \
    const kn_ops *tables_[8];                                                                      \
    int n_tables_ = kn_tables(tables_, 8);                                                         \
    for (int t_ = FIRST_TABLE; t_ < n_tables_ && (kn_table_set(tables_[t_]), 1); t_++)

#endif
