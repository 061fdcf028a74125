/* measure.c: the two limits of a machine: reading memory, and arithmetic on registers.
 *
 *   kn_sum_read      spans -> chunks of CHUNK bytes -> the pool; a chunk is read as STREAMS streams
 *   kn_peak_measure  each thread runs a loop of independent multiply-adds, as many as hide latency
 *
 * The loops follow the instruction set that the kernels were told to use (kn_isa), so that a share
 * of the peak compares like with like. They are compiled by function attribute and not by file:
 * each is ten lines, and none is a kernel that a model runs.
 *
 * Traps: one stream a thread is slower than four, since the hardware prefetcher follows each alone.
 * A loop whose result nobody takes is compiled away: sums and products end in atomics. */
#include "kernels/measure.h"

#include "base/thread.h"
#include "kernels/internal.h"
#include "kernels/tpl.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* All chains of a round: KN_UNROLL stops at eight. */
#if defined(__clang__)
#define KN_UNROLL_ALL _Pragma("unroll")
#else
#define KN_UNROLL_ALL _Pragma("GCC unroll 12")
#endif

enum { STREAMS = 4, CHUNK = 64 << 10, PART = CHUNK / STREAMS, ROUNDS = 50000, CHAINS = 12 };

/* ---- reading --------------------------------------------------------------------------------- */

typedef uint64_t (*sum_fn)(const unsigned char *p);

static uint64_t sum_words(const unsigned char *p, size_t bytes)
{
    uint64_t sum = 0, word;
    for (size_t i = 0; i + sizeof word <= bytes; i += sizeof word) {
        memcpy(&word, p + i, sizeof word);
        sum += word;
    }
    return sum;
}

/* A whole chunk, in compiler's vectors of the base instruction set. */
static uint64_t sum_chunk_generic(const unsigned char *p)
{
    uint64_t sum[8] = {0}, x[8], all = 0;
    for (size_t i = 0; i < PART; i += sizeof x)
        for (size_t s = 0; s < STREAMS; s++) {
            memcpy(x, p + s * PART + i, sizeof x);
            for (int j = 0; j < 8; j++)
                sum[j] += x[j];
        }
    for (int j = 0; j < 8; j++)
        all += sum[j];
    return all;
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static uint64_t sum_chunk_avx2(const unsigned char *p)
{
    __m256i sum[STREAMS];
    uint64_t out[4];
    for (int s = 0; s < STREAMS; s++)
        sum[s] = _mm256_setzero_si256();
    for (size_t i = 0; i < PART; i += 64) {
        KN_UNROLL
        for (size_t s = 0; s < STREAMS; s++) {
            const unsigned char *q = p + s * PART + i;
            __m256i a = _mm256_loadu_si256((const void *)q);
            __m256i b = _mm256_loadu_si256((const void *)(q + 32));
            sum[s] = _mm256_add_epi64(sum[s], _mm256_add_epi64(a, b));
        }
    }
    for (int s = 1; s < STREAMS; s++)
        sum[0] = _mm256_add_epi64(sum[0], sum[s]);
    _mm256_storeu_si256((void *)out, sum[0]);
    return out[0] + out[1] + out[2] + out[3];
}

__attribute__((target("avx512f"))) static uint64_t sum_chunk_avx512(const unsigned char *p)
{
    __m512i sum[STREAMS];
    uint64_t out[8], all = 0;
    for (int s = 0; s < STREAMS; s++)
        sum[s] = _mm512_setzero_si512();
    for (size_t i = 0; i < PART; i += 64) {
        KN_UNROLL
        for (size_t s = 0; s < STREAMS; s++)
            sum[s] = _mm512_add_epi64(sum[s], _mm512_loadu_si512(p + s * PART + i));
    }
    for (int s = 1; s < STREAMS; s++)
        sum[0] = _mm512_add_epi64(sum[0], sum[s]);
    /* Not the reducing intrinsic: its sums are signed, and these wrap. */
    _mm512_storeu_si512(out, sum[0]);
    for (int i = 0; i < 8; i++)
        all += out[i];
    return all;
}

static int lanes_f32(void)
{
    if (!strncmp(kn_isa(), "avx512", 6) || !strncmp(kn_isa(), "amx", 3)) return 16;
    return strncmp(kn_isa(), "avx2", 4) ? 0 : 8;
}
#endif

static sum_fn sum_chunk(void)
{
#if defined(__x86_64__)
    if (lanes_f32() == 16) return sum_chunk_avx512;
    if (lanes_f32() == 8) return sum_chunk_avx2;
#endif
    return sum_chunk_generic;
}

typedef struct reading {
    const unsigned char *p;
    size_t bytes;
    sum_fn chunk;
    atomic_uint_least64_t sum;
} reading;

static void read_task(void *ctx, int chunk, int n_chunks, int worker)
{
    reading *r = ctx;
    size_t at = (size_t)chunk * CHUNK;
    (void)n_chunks;
    (void)worker;
    atomic_fetch_add_explicit(
        &r->sum, r->bytes - at >= CHUNK ? r->chunk(r->p + at) : sum_words(r->p + at, r->bytes - at),
        memory_order_relaxed);
}

mlxe_status kn_sum_read(const kn_span *spans, int n, uint64_t *sum, const atomic_int *cancel)
{
    const size_t most = (size_t)CHUNK << 14; /* chunks of a run are counted in an int */
    *sum = 0;
    for (int i = 0; i < n; i++)
        for (size_t at = 0; at < spans[i].bytes; at += most) {
            size_t left = spans[i].bytes - at;
            reading r = {.p = (const unsigned char *)spans[i].p + at,
                         .bytes = left < most ? left : most,
                         .chunk = sum_chunk()};
            mlxe_status rc = kn_run(read_task, &r, (int)((r.bytes + CHUNK - 1) / CHUNK), cancel);
            if (rc) return rc;
            *sum += atomic_load(&r.sum);
        }
    return MLXE_OK;
}

/* ---- arithmetic ------------------------------------------------------------------------------ */

typedef float (*loop_fn)(void);

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) static float loop_f32_avx2(void)
{
    __m256 a[CHAINS], x = _mm256_set1_ps(0.5f), y = _mm256_set1_ps(1);
    float out[8];
    for (int j = 0; j < CHAINS; j++)
        a[j] = _mm256_set1_ps((float)j);
    for (int i = 0; i < ROUNDS; i++) {
        KN_UNROLL_ALL
        for (int j = 0; j < CHAINS; j++)
            a[j] = _mm256_fmadd_ps(a[j], x, y);
    }
    for (int j = 1; j < CHAINS; j++)
        a[0] = _mm256_add_ps(a[0], a[j]);
    _mm256_storeu_ps(out, a[0]);
    return out[0];
}

__attribute__((target("avx512f"))) static float loop_f32_avx512(void)
{
    __m512 a[CHAINS], x = _mm512_set1_ps(0.5f), y = _mm512_set1_ps(1);
    for (int j = 0; j < CHAINS; j++)
        a[j] = _mm512_set1_ps((float)j);
    for (int i = 0; i < ROUNDS; i++) {
        KN_UNROLL_ALL
        for (int j = 0; j < CHAINS; j++)
            a[j] = _mm512_fmadd_ps(a[j], x, y);
    }
    for (int j = 1; j < CHAINS; j++)
        a[0] = _mm512_add_ps(a[0], a[j]);
    return _mm512_reduce_add_ps(a[0]);
}

/* Without VNNI: bytes to pairs, pairs to 32 bits, sum: three instructions for 32 products. The
 * empty statement keeps the compiler from seeing that all rounds multiply the same. */
__attribute__((target("avx2"))) static float loop_int8_avx2(void)
{
    __m256i a[CHAINS], x = _mm256_set1_epi8(3), y = _mm256_set1_epi8(1),
                       ones = _mm256_set1_epi16(1);
    int out[8];
    for (int j = 0; j < CHAINS; j++)
        a[j] = _mm256_set1_epi32(j);
    for (int i = 0; i < ROUNDS; i++) {
        KN_UNROLL_ALL
        for (int j = 0; j < CHAINS; j++) {
            __asm__ volatile("" : "+x"(x));
            a[j] = _mm256_add_epi32(a[j], _mm256_madd_epi16(_mm256_maddubs_epi16(x, y), ones));
        }
    }
    for (int j = 1; j < CHAINS; j++)
        a[0] = _mm256_add_epi32(a[0], a[j]);
    _mm256_storeu_si256((void *)out, a[0]);
    return (float)out[0];
}

__attribute__((target("avx512f,avx512vnni"))) static float loop_int8_vnni(void)
{
    __m512i a[CHAINS], x = _mm512_set1_epi32(0x03030303), y = _mm512_set1_epi32(0x01010101);
    for (int j = 0; j < CHAINS; j++)
        a[j] = _mm512_set1_epi32(j);
    for (int i = 0; i < ROUNDS; i++) {
        KN_UNROLL_ALL
        for (int j = 0; j < CHAINS; j++) {
            __m512i sum = a[j]; /* not the intrinsic: gcc 12 copies its sums forth and back */
            __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(y));
            a[j] = sum;
        }
    }
    for (int j = 1; j < CHAINS; j++)
        a[0] = _mm512_add_epi32(a[0], a[j]);
    return _mm512_reduce_add_ps(_mm512_cvtepi32_ps(a[0]));
}
#endif

/* The loop for the chosen set, and the products that a round of one chain makes; NULL: none. */
static loop_fn loop_for(kn_peak kind, int *products)
{
#if defined(__x86_64__)
    char features[512];
    int lanes = lanes_f32();
    kn_cpu_features(features, sizeof features);
    *products = kind == KN_PEAK_F32 ? lanes : lanes * 4;
    if (kind == KN_PEAK_F32) return lanes == 16 ? loop_f32_avx512 : lanes ? loop_f32_avx2 : NULL;
    if (lanes == 16 && strstr(features, "avx512vnni")) return loop_int8_vnni;
    *products = 32;
    return lanes ? loop_int8_avx2 : NULL;
#else
    (void)kind;
    *products = 0;
    return NULL;
#endif
}

typedef struct peak_run {
    loop_fn loop;
    _Atomic float sink;
} peak_run;

static void peak_task(void *ctx, int chunk, int n_chunks, int worker)
{
    peak_run *r = ctx;
    (void)chunk;
    (void)n_chunks;
    (void)worker;
    atomic_store_explicit(&r->sink, r->loop(), memory_order_relaxed);
}

mlxe_status kn_peak_measure(kn_peak kind, double ms, double *per_second, const atomic_int *cancel)
{
    int products, chunks = 4 * kn_pool_threads();
    peak_run r = {.loop = loop_for(kind, &products)};
    double end = clock_ms() + ms;
    *per_second = 0;
    if (!r.loop) return MLXE_OK;
    do {
        double took = clock_ms(), rate;
        mlxe_status rc = kn_run(peak_task, &r, chunks, cancel);
        if (rc) return rc;
        took = clock_ms() - took;
        rate = 2e3 * products * CHAINS * ROUNDS * chunks / took;
        if (rate > *per_second) *per_second = rate;
    } while (clock_ms() < end);
    return MLXE_OK;
}
