/* bench_kernels.c: how fast the kernels are, against what this machine can do, in one run.
 *
 *   bench_kernels [threads [seconds-a-row [isa [filter [m]]]]]
 *
 * First the two limits, measured by the same pool: reading a buffer far larger than the caches, and
 * fused multiply-adds on registers. Then kn_linear over all the matrices of some decoder layers of
 * a model's shape (enough of them that weights come from memory), the experts of a layer (8 of 64
 * for each token), and attention. Every row is the best of as many passes as fit in its time: other
 * work on the machine only makes a pass longer.
 * With one thread the clock is the thread's CPU time, which other work disturbs less.
 * GB/s counts the bytes of weights (or keys and values) once a pass, GFLOP/s two a product. */
#include "base/thread.h"
#include "kernels/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define SET_BYTES ((size_t)192 << 20) /* weights of a row of the table, at least */

static double seconds_a_row = 1.0;
static double bandwidth, peak;
static const char *filter = "";
static int only_m; /* rows of x; 0: all */

static int cpu_clock;

static double now(void)
{
    struct timespec t;
    if (!cpu_clock) return (double)clock_ns() * 1e-9;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- limits ---------------------------------------------------------------------------------- */

typedef struct big {
    const unsigned char *p;
    size_t bytes, chunk;
    atomic_uint_least64_t sum;
} big;

static void read_chunk(void *ctx, int chunk, int n_chunks, int worker)
{
    big *b = ctx;
    const unsigned char *p = b->p + (size_t)chunk * b->chunk;
    size_t quarter = b->chunk / 4;
    uint64_t sum[8] = {0};
    (void)n_chunks;
    (void)worker;
    for (size_t i = 0; i < quarter; i += 64) /* four streams are faster than one */
        for (int q = 0; q < 4; q++) {
            uint64_t x[8];
            memcpy(x, p + (size_t)q * quarter + i, 64);
            for (int j = 0; j < 8; j++)
                sum[j] ^= x[j];
        }
    for (int j = 1; j < 8; j++)
        sum[0] ^= sum[j];
    atomic_fetch_add(&b->sum, sum[0]);
}

static void measure_bandwidth(void)
{
    big b = {.bytes = (size_t)256 << 20, .chunk = (size_t)16 << 10};
    unsigned char *p = malloc(b.bytes);
    double end = now() + 2 * seconds_a_row;
    if (!p) abort();
    memset(p, 1, b.bytes);
    b.p = p;
    while (now() < end) {
        double t = now();
        kn_run(read_chunk, &b, (int)(b.bytes / b.chunk), NULL);
        t = (double)b.bytes / (now() - t);
        if (t > bandwidth) bandwidth = t;
    }
    free(p);
}

#define FMA_ROUNDS 100000
#if defined(__x86_64__)
__attribute__((target("avx512f"))) static float fma_512(void)
{
    __m512 a[12], x = _mm512_set1_ps(0.5f), y = _mm512_set1_ps(1);
    for (int j = 0; j < 12; j++)
        a[j] = _mm512_set1_ps((float)j);
    for (int i = 0; i < FMA_ROUNDS; i++) {
#pragma GCC unroll 12
        for (int j = 0; j < 12; j++)
            a[j] = _mm512_fmadd_ps(a[j], x, y);
    }
    for (int j = 1; j < 12; j++)
        a[0] = _mm512_add_ps(a[0], a[j]);
    return _mm512_reduce_add_ps(a[0]);
}
__attribute__((target("avx2,fma"))) static float fma_256(void)
{
    __m256 a[12], x = _mm256_set1_ps(0.5f), y = _mm256_set1_ps(1);
    float out[8];
    for (int j = 0; j < 12; j++)
        a[j] = _mm256_set1_ps((float)j);
    for (int i = 0; i < FMA_ROUNDS; i++) {
#pragma GCC unroll 12
        for (int j = 0; j < 12; j++)
            a[j] = _mm256_fmadd_ps(a[j], x, y);
    }
    for (int j = 1; j < 12; j++)
        a[0] = _mm256_add_ps(a[0], a[j]);
    _mm256_storeu_ps(out, a[0]);
    return out[0];
}
#endif

static _Atomic float sink;

static void fma_chunk(void *ctx, int chunk, int n_chunks, int worker)
{
    (void)chunk;
    (void)n_chunks;
    (void)worker;
#if defined(__x86_64__)
    if (*(int *)ctx == 16) atomic_store(&sink, fma_512());
    if (*(int *)ctx == 8) atomic_store(&sink, fma_256());
#else
    (void)ctx;
#endif
}

static void measure_peak(void)
{
    int wide = !strcmp(kn_isa(), "avx512") || !strcmp(kn_isa(), "amx");
    int lanes = wide ? 16 : !strcmp(kn_isa(), "avx2") ? 8 : 0;
    int chunks = 4 * kn_pool_threads();
    double end = now() + seconds_a_row;
    if (!lanes) return;
    while (now() < end) {
        double t = now();
        kn_run(fma_chunk, &lanes, chunks, NULL);
        t = 2.0 * 12 * FMA_ROUNDS * lanes * chunks / (now() - t);
        if (t > peak) peak = t;
    }
}

/* ---- linear ---------------------------------------------------------------------------------- */

typedef struct model {
    const char *name;
    int e, kv, f, layers; /* hidden, kv heads x head_dim, ffn */
} model;

static const model MODELS[] = {{"0.35B", 1024, 512, 2816, 24}, {"1.2B", 2048, 512, 8192, 16}};

typedef struct store {
    const char *name;
    int bits;
    kn_dtype dtype;
    kn_mode mode;
} store;

static const store STORES[] = {
    {"4-bit g64", 4, KN_BF16, KN_AFFINE}, {"8-bit g64", 8, KN_BF16, KN_AFFINE},
    {"bf16", 0, KN_BF16, KN_AFFINE},      {"f32", 0, KN_F32, KN_AFFINE},
    {"2-bit g64", 2, KN_BF16, KN_AFFINE}, {"3-bit g64", 3, KN_BF16, KN_AFFINE},
    {"5-bit g64", 5, KN_BF16, KN_AFFINE}, {"6-bit g64", 6, KN_BF16, KN_AFFINE},
    {"mxfp4", 4, KN_F32, KN_MXFP4},       {"mxfp8", 8, KN_F32, KN_MXFP8},
    {"nvfp4", 4, KN_F32, KN_NVFP4}};

static uint32_t rng_state = 1;
static uint32_t rng(void) { return rng_state = rng_state * 1664525u + 1013904223u; }

static size_t matrix_bytes(const kn_matrix *w)
{
    size_t elements = (size_t)w->n * (size_t)w->k;
    if (!w->bits) return elements * (w->dtype == KN_F32 ? 4 : 2);
    if (w->mode) return elements * (size_t)w->bits / 8 + elements / (size_t)w->group;
    return elements * (size_t)w->bits / 8 + elements / 64 * 4;
}

static void *new_weights(size_t bytes, int pattern)
{
    unsigned char *p = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!p) abort();
    for (size_t i = 0; i + 4 <= bytes; i += 4) {
        uint32_t x = rng() >> 8;
        if (pattern == KN_BF16) x = (x & 0x803f803f) | 0x3c003c00; /* two small bf16 */
        if (pattern == KN_F32) x = (x & 0x803fffff) | 0x3c000000;
        memcpy(p + i, &x, 4);
    }
    return p;
}

static kn_matrix new_matrix(const store *s, int64_t n, int64_t k)
{
    kn_matrix w = {
        .n = n, .k = k, .dtype = s->dtype, .bits = s->bits, .group = 64, .mode = s->mode};
    size_t elements = (size_t)n * (size_t)k;
    if (s->mode) { /* scales of one size: denormals would be slow */
        w.group = s->mode == KN_NVFP4 ? 16 : 32;
        w.w = new_weights(elements * (size_t)s->bits / 8, -1);
        w.scales =
            memset(new_weights(elements / (size_t)w.group, -1), 0x75, elements / (size_t)w.group);
    } else if (s->bits) {
        w.w = new_weights(elements * (size_t)s->bits / 8, -1);
        w.scales = new_weights(elements / 64 * 2, KN_BF16);
        w.biases = new_weights(elements / 64 * 2, KN_BF16);
    } else {
        w.w = new_weights(matrix_bytes(&w), (int)s->dtype);
    }
    return w;
}

static void print_rate(double bytes, double flops, double t)
{
    printf("%9.3f ms %7.1f GB/s (%3.0f %%) %8.1f GFLOP/s (%3.0f %%)\n", t * 1e3, bytes / t * 1e-9,
           bandwidth > 0 ? 100 * bytes / t / bandwidth : 0, flops / t * 1e-9,
           peak > 0 ? 100 * flops / t / peak : 0);
    fflush(stdout);
}

static kn_precision precision;

static void product(const kn_matrix *w, const float *x, float *y, int m)
{
    kn_input in = {.x = x, .ldx = w->k, .m = m, .precision = precision};
    kn_projection p = {.w = w, .y = y, .ldy = w->n};
    if (kn_project(&in, &p, 1, NULL)) abort();
}

/* All linear layers of a model's decoder layers, as many as make SET_BYTES. */
static void bench_linear(const model *mo, const store *s, const char *name)
{
    static const int MS[] = {1, 2, 4, 8, 16, 32, 128, 512};
    const int64_t shape[7][2] = {{mo->e, mo->e}, {mo->kv, mo->e}, {mo->kv, mo->e}, {mo->e, mo->e},
                                 {mo->f, mo->e}, {mo->f, mo->e},  {mo->e, mo->f}};
    kn_matrix w[7 * 64];
    double bytes = 0, macs = 0;
    float *x, *y;
    int n = 0, widest = mo->f > mo->e ? mo->f : mo->e;
    while (n + 7 <= 7 * 64 && bytes < (double)SET_BYTES) {
        for (int i = 0; i < 7; i++, n++) {
            w[n] = new_matrix(s, shape[i][0], shape[i][1]);
            bytes += (double)matrix_bytes(&w[n]);
            macs += (double)w[n].n * (double)w[n].k;
        }
    }
    x = new_weights((size_t)512 * (size_t)widest * 4, KN_F32);
    y = new_weights((size_t)512 * (size_t)widest * 4, KN_F32);
    for (int j = 0; j < 8; j++) {
        int m = MS[j], used = m >= 128 ? 14 : m >= 8 ? 28 : n;
        double best = 1e9, end = now() + seconds_a_row, part = (double)used / n;
        if (used > n) used = n, part = 1;
        if (only_m && m != only_m) continue;
        do {
            double t = now();
            for (int i = 0; i < used; i++)
                product(&w[i], x, y, m);
            t = now() - t;
            if (t < best) best = t;
        } while (now() < end);
        printf("%-27s m %3d  ", name, m);
        print_rate(bytes * part, 2 * macs * part * m, best);
    }
    for (int i = 0; i < n; i++) {
        free((void *)w[i].w);
        free((void *)w[i].scales);
        free((void *)w[i].biases);
    }
    free(x);
    free(y);
}

/* ---- experts --------------------------------------------------------------------------------- */

enum { EXPERTS = 64, USED = 8, MOST_TOKENS = 512, ROUTINGS = 8 };

/* Each token goes to USED experts, by chance; pairs in the order of experts. */
static void new_routes(int tokens, int64_t first[EXPERTS + 1], int32_t *row)
{
    static unsigned char to[MOST_TOKENS][EXPERTS];
    int64_t pairs = 0;
    memset(to, 0, sizeof to);
    for (int t = 0; t < tokens; t++)
        for (int left = USED; left;) {
            uint32_t e = (rng() >> 8) % EXPERTS;
            left -= !to[t][e];
            to[t][e] = 1;
        }
    for (int e = 0; e < EXPERTS; e++) {
        first[e] = pairs;
        for (int t = 0; t < tokens; t++)
            if (to[t][e]) row[pairs++] = t;
    }
    first[EXPERTS] = pairs;
}

/* The experts of one layer: gate with up, then down. GB/s counts those that have rows once. */
static void bench_experts(const store *s, int64_t e, int64_t f, const char *name)
{
    static const int TOKENS[] = {1, 2, 8, 32, 128, 512};
    static int64_t first[ROUTINGS][EXPERTS + 1];
    static int32_t row[ROUTINGS][MOST_TOKENS * USED];
    kn_matrix w[3][EXPERTS];
    float *x = new_weights((size_t)MOST_TOKENS * (size_t)e * 4, KN_F32);
    float *hidden = new_weights((size_t)MOST_TOKENS * USED * (size_t)f * 4, KN_F32);
    float *y = new_weights((size_t)MOST_TOKENS * USED * (size_t)e * 4, KN_F32);
    for (int i = 0; i < 3 * EXPERTS; i++)
        w[i / EXPERTS][i % EXPERTS] =
            new_matrix(s, i < 2 * EXPERTS ? f : e, i < 2 * EXPERTS ? e : f);
    for (size_t j = 0; j < sizeof TOKENS / sizeof *TOKENS; j++) {
        int active = 0, rounds = TOKENS[j] <= 8 ? ROUTINGS : 1;
        double best = 1e9, end = now() + seconds_a_row, pairs = TOKENS[j] * USED;
        for (int i = 0; i < rounds; i++) {
            new_routes(TOKENS[j], first[i], row[i]);
            for (int k = 0; k < EXPERTS; k++)
                active += first[i][k + 1] > first[i][k];
        }
        do {
            double t = now();
            for (int i = 0; i < rounds; i++) {
                kn_input in = {.x = x, .ldx = e, .precision = precision}, mid = in;
                kn_routes to = {first[i], row[i], EXPERTS};
                kn_projection gate = {.w = w[0], .y = hidden, .ldy = f, .rounding = KN_ROUND_16};
                kn_projection up = {.w = w[1]}, down = gate;
                if (kn_project_experts_gated(&in, &to, KN_SILU, &gate, &up, NULL)) abort();
                mid.x = hidden, mid.ldx = f, to.row = NULL;
                down.w = w[2], down.y = y, down.ldy = e;
                if (kn_project_experts(&mid, &to, &down, NULL)) abort();
            }
            t = (now() - t) / rounds;
            if (t < best) best = t;
        } while (now() < end);
        printf("%-27s m %3d  ", name, TOKENS[j]);
        print_rate(3 * (double)matrix_bytes(&w[0][0]) * active / rounds,
                   6 * pairs * (double)(e * f), best);
    }
    for (int i = 0; i < 3 * EXPERTS; i++) {
        kn_matrix *own = &w[i / EXPERTS][i % EXPERTS];
        free((void *)own->w);
        free((void *)own->scales);
        free((void *)own->biases);
    }
    free(x);
    free(hidden);
    free(y);
}

/* ---- attention ------------------------------------------------------------------------------- */

static void bench_attention(kn_kv_type type, int heads, int kv_heads, int d, int start, int t)
{
    static const char *const TYPES[] = {"f32", "f16", "bf16", "int8"};
    int n = start + t, layers = 0, capacity = (n + KN_KV_BLOCK - 1) / KN_KV_BLOCK * KN_KV_BLOCK;
    size_t kv = (size_t)kv_heads * (size_t)n * (size_t)d;
    kn_attn a = {.heads = heads, .kv_heads = kv_heads, .d = d, .scale = 0.1f};
    kn_attn_row row[64] = {{0}};
    double best = 1e9, end, pairs, bytes;
    float *x = new_weights(kv * 4, KN_F32);
    int many = t == 1 ? 24 : 1;
    for (; layers < many; layers++) {
        void *memory = malloc(kn_kv_bytes(type, kv_heads, d, capacity));
        if (!memory) abort();
        row[layers] = (kn_attn_row){.q = new_weights((size_t)t * (size_t)(heads * d) * 4, KN_F32),
                                    .out = new_weights((size_t)t * (size_t)(heads * d) * 4, KN_F32),
                                    .kv = kn_kv_over(memory, type, kv_heads, d, capacity),
                                    .ldq = heads * d,
                                    .ldo = heads * d,
                                    .t = t,
                                    .start = start};
        kn_kv_append(&row[layers].kv, 0, n, x, x, (int64_t)kv_heads * d, NULL);
    }
    end = now() + seconds_a_row;
    do {
        double from = now();
        for (int l = 0; l < layers; l++)
            kn_attention(&a, &row[l], 1, NULL);
        from = (now() - from) / layers;
        if (from < best) best = from;
    } while (now() < end);
    pairs = (double)t * start + (double)t * (t + 1) / 2;
    bytes = (double)n * kv_heads * (double)kn_kv_token_bytes(&row[0].kv);
    printf("attention %-4s %d/%d heads d %d, %d new rows after %-5d  ", TYPES[type], heads,
           kv_heads, d, t, start);
    print_rate(bytes, pairs * heads * d * 4, best);
    for (int l = 0; l < layers; l++) {
        free((void *)row[l].q);
        free(row[l].out);
        free(row[l].kv.k);
    }
    free(x);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static void bench_rows(void)
{
    int m = 128, f = 8192;
    size_t bytes = (size_t)m * (size_t)f * 4;
    float *x = new_weights(bytes, KN_F32), *y = new_weights(bytes, KN_F32);
    for (int kind = 0; kind < 5; kind++) {
        static const char *const NAMES[] = {"silu * up", "gelu * up", "gelu_tanh * up", "relu * up",
                                            "rms_norm"};
        double best = 1e9, end = now() + seconds_a_row;
        do {
            double t = now();
            if (kind < 4)
                kn_gated((kn_act)kind, x, f, x, f, y, f, m, f, NULL);
            else
                kn_rms_norm(x, f, NULL, 1e-6f, y, f, m, f, NULL);
            t = now() - t;
            if (t < best) best = t;
        } while (now() < end);
        printf("%-16s [128,8192]  %8.3f ms  %6.2f ns an element and thread\n", NAMES[kind],
               best * 1e3, best * 1e9 / m / f * kn_pool_threads());
    }
    free(x);
    free(y);
}

int main(int argc, char **argv)
{
    mlxe_error err;
    char features[256];
    int threads = argc > 1 ? atoi(argv[1]) : 0;
    if (argc > 2) seconds_a_row = atof(argv[2]);
    if (argc > 4) filter = argv[4];
    if (argc > 5) only_m = atoi(argv[5]);
    if (kn_init(argc > 3 && argv[3][0] ? argv[3] : NULL, &err) || kn_pool_start(threads, &err)) {
        fprintf(stderr, "bench_kernels: %s\n", err.message);
        return 1;
    }
    cpu_clock = kn_pool_threads() == 1;
    kn_cpu_features(features, sizeof features);
    printf("%s, %d threads, CPU: %s\n", kn_isa(), kn_pool_threads(), features);
    measure_bandwidth();
    measure_peak();
    printf("read %.1f GB/s, fma %.1f GFLOP/s\n", bandwidth * 1e-9, peak * 1e-9);
    for (size_t i = 0; i < sizeof MODELS / sizeof *MODELS; i++)
        for (size_t s = 0; s < sizeof STORES / sizeof *STORES; s++) {
            char name[64];
            for (int f32 = !STORES[s].bits; f32 < 2; f32++) {
                precision = f32 ? KN_PRECISE : KN_DEFAULT;
                snprintf(name, sizeof name, "linear %s %s %s", MODELS[i].name, STORES[s].name,
                         f32 ? "f32" : "int8");
                if (strstr(name, filter)) bench_linear(&MODELS[i], &STORES[s], name);
                snprintf(name, sizeof name, "experts %s %s", STORES[s].name,
                         f32 ? "f32" : "16-bit");
                if (!i && strstr(name, filter)) bench_experts(&STORES[s], 1024, 768, name);
            }
        }
    if (strstr("attention", filter)) {
        for (int type = 0; type < 4; type++) {
            kn_kv_type kv = (kn_kv_type)type;
            bench_attention(kv, 16, 8, 64, 127, 1);
            bench_attention(kv, 16, 8, 64, 4095, 1);
            bench_attention(kv, 32, 8, 64, 4095, 1);
            bench_attention(kv, 16, 8, 128, 4095, 1);
            bench_attention(kv, 32, 1, 64, 4095, 1);
            bench_attention(kv, 16, 8, 64, 0, 512);
            bench_attention(kv, 32, 8, 64, 0, 2048);
            bench_attention(kv, 16, 8, 128, 1536, 512);
        }
    }
    if (strstr("rows", filter)) bench_rows();
    return 0;
}
