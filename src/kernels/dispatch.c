/* dispatch.c: which instruction set runs: CPUID or HWCAP once, one table.
 *
 * A set counts only when the CPU has all of its extensions and the operating system saves its
 * registers (XCR0; on Arm HWCAP says both). avx512 asks for F, BW, DQ, VL, VBMI, VNNI and GFNI:
 * Ice Lake and later; older AVX-512 machines run the avx2 table. amx is avx512 and int8 tiles,
 * which the process must also be granted. neon asks for dot products (asimddp): most cores since
 * 2018. i8mm is neon and products of small matrices of bytes: Armv8.6, many of 8.2 and later.
 * Mutable state: the chosen table and the counters, both atomic. */
#if defined(__linux__)
#define _GNU_SOURCE
#endif
#include "kernels/internal.h"

#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

extern const kn_ops kn_ops_generic, kn_ops_avx2, kn_ops_avx512, kn_ops_amx, kn_ops_neon,
    kn_ops_i8mm;

static _Atomic(const kn_ops *) chosen;
static atomic_int initialised;
static atomic_uint_least64_t counters[KN_COUNTERS];

uint64_t kn_count(kn_counter which)
{
    return atomic_load_explicit(&counters[which], memory_order_relaxed);
}

void kn_count_add(kn_counter which)
{
    atomic_fetch_add_explicit(&counters[which], 1, memory_order_relaxed);
}

/* Features by name (as /proc/cpuinfo has it, or nearly); the order is that of a report. */
#if defined(__x86_64__)
typedef enum feature {
    SSE42,
    AVX,
    AVX2,
    FMA,
    F16C,
    BMI2,
    AVX512F,
    AVX512BW,
    AVX512DQ,
    AVX512VL,
    AVX512VBMI,
    AVX512VNNI,
    AVX512BF16,
    GFNI,
    AVXVNNI,
    AMXBF16,
    AMXINT8,
    FEATURES
} feature;

static const char *const NAMES[FEATURES] = {
    "sse4.2",     "avx",      "avx2",     "fma",      "f16c",       "bmi2",
    "avx512f",    "avx512bw", "avx512dq", "avx512vl", "avx512vbmi", "avx512vnni",
    "avx512bf16", "gfni",     "avxvnni",  "amx_bf16", "amx_int8"};

/* Registers that the operating system saves. */
static unsigned long long saved_state(void)
{
    unsigned lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (unsigned long long)hi << 32 | lo;
}

static unsigned bit(unsigned word, int at) { return word >> at & 1; }

static void read_features(unsigned has[FEATURES])
{
    unsigned a, b, c, d, a1, b1, c1, d1, ymm, zmm, tile;
    unsigned long long saved = 0;
    memset(has, 0, FEATURES * sizeof *has);
    if (!__get_cpuid(1, &a, &b, &c, &d)) return;
    has[SSE42] = bit(c, 20);
    if (bit(c, 27)) saved = saved_state();
    ymm = (saved & 6) == 6;
    zmm = (saved & 0xe6) == 0xe6;
    tile = (saved & 0x60000) == 0x60000;
    has[AVX] = ymm & bit(c, 28);
    has[FMA] = ymm & bit(c, 12);
    has[F16C] = ymm & bit(c, 29);
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return;
    has[AVX2] = ymm & bit(b, 5);
    has[BMI2] = bit(b, 8);
    has[AVX512F] = zmm & bit(b, 16);
    has[AVX512DQ] = zmm & bit(b, 17);
    has[AVX512BW] = zmm & bit(b, 30);
    has[AVX512VL] = zmm & bit(b, 31);
    has[AVX512VBMI] = zmm & bit(c, 1);
    has[AVX512VNNI] = zmm & bit(c, 11);
    has[GFNI] = bit(c, 8);
    has[AMXBF16] = tile & bit(d, 22);
    has[AMXINT8] = tile & bit(d, 25);
    if (a < 1 || !__get_cpuid_count(7, 1, &a1, &b1, &c1, &d1)) return;
    has[AVXVNNI] = ymm & bit(a1, 4);
    has[AVX512BF16] = zmm & bit(a1, 5);
}

/* Linux keeps tile registers for a process that has asked for them; it refuses where an alternate
 * signal stack is too small for them. Asking again is harmless. */
static int tiles_granted(void)
{
#if defined(__linux__)
    enum { ASK = 0x1023, TILE_DATA = 18 }; /* ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA */
    return syscall(SYS_arch_prctl, ASK, TILE_DATA) == 0;
#else
    return 0;
#endif
}

int kn_tables(const kn_ops **out, int cap)
{
    unsigned has[FEATURES];
    int n = 0;
    read_features(has);
    if (n < cap) out[n++] = &kn_ops_generic;
    if (!(has[AVX2] && has[FMA] && has[F16C] && has[BMI2])) return n;
    if (n < cap) out[n++] = &kn_ops_avx2;
    if (!(has[AVX512F] && has[AVX512BW] && has[AVX512DQ] && has[AVX512VL] && has[AVX512VBMI] &&
          has[AVX512VNNI] && has[GFNI]))
        return n;
    if (n < cap) out[n++] = &kn_ops_avx512;
    if (has[AMXINT8] && n < cap && tiles_granted()) out[n++] = &kn_ops_amx;
    return n;
}
#elif defined(__aarch64__) && defined(__linux__)
typedef enum feature { ASIMD, ASIMDHP, ASIMDDP, I8MM, BF16, SVE, SVE2, FEATURES } feature;

static const char *const NAMES[FEATURES] = {"asimd", "asimdhp", "asimddp", "i8mm",
                                            "bf16",  "sve",     "sve2"};

static void read_features(unsigned has[FEATURES])
{
    unsigned long first = getauxval(AT_HWCAP), second = getauxval(AT_HWCAP2);
    has[ASIMD] = (first & HWCAP_ASIMD) != 0;
    has[ASIMDHP] = (first & HWCAP_ASIMDHP) != 0;
    has[ASIMDDP] = (first & HWCAP_ASIMDDP) != 0;
    has[SVE] = (first & HWCAP_SVE) != 0;
    has[I8MM] = (second & HWCAP2_I8MM) != 0;
    has[BF16] = (second & HWCAP2_BF16) != 0;
    has[SVE2] = (second & HWCAP2_SVE2) != 0;
}

int kn_tables(const kn_ops **out, int cap)
{
    unsigned has[FEATURES];
    int n = 0;
    read_features(has);
    if (n < cap) out[n++] = &kn_ops_generic;
    if (has[ASIMDDP] && n < cap) out[n++] = &kn_ops_neon;
    if (has[ASIMDDP] && has[I8MM] && n < cap) out[n++] = &kn_ops_i8mm;
    return n;
}
#else
enum { FEATURES };
static const char *const NAMES[] = {""};

static void read_features(unsigned *has) { (void)has; }

int kn_tables(const kn_ops **out, int cap)
{
    if (cap > 0) out[0] = &kn_ops_generic;
    return cap > 0;
}
#endif

void kn_cpu_features(char *out, size_t cap)
{
    unsigned has[FEATURES + 1];
    size_t used = 0;
    if (!cap) return;
    out[0] = 0;
    read_features(has);
    for (int i = 0; i < FEATURES; i++) {
        size_t n = strlen(NAMES[i]);
        if (!has[i] || used + n + 2 > cap) continue;
        if (used) out[used++] = ' ';
        memcpy(out + used, NAMES[i], n + 1);
        used += n;
    }
}

static const kn_ops *best(void)
{
    const kn_ops *tables[8];
    return tables[kn_tables(tables, 8) - 1];
}

const kn_ops *kn_table(void)
{
    const kn_ops *ops = atomic_load_explicit(&chosen, memory_order_acquire);
    const kn_ops *none = NULL;
    if (ops) return ops;
    ops = best();
    return atomic_compare_exchange_strong(&chosen, &none, ops) ? ops : none;
}

void kn_table_set(const kn_ops *ops) { atomic_store(&chosen, ops); }

mlxe_status kn_init(const char *isa, mlxe_error *err)
{
    const kn_ops *tables[8], *want = NULL;
    char have[64] = "";
    size_t used = 0;
    int n = kn_tables(tables, 8);
    for (int i = 0; i < n; i++) {
        if (isa && !strcmp(isa, tables[i]->name)) want = tables[i];
        used += (size_t)snprintf(have + used, sizeof have - used, " %s", tables[i]->name);
    }
    if (isa && !want)
        return err_set(err, MLXE_E_UNSUPPORTED,
                       "MLXE_ISA: got \"%s\", this CPU and this build run%s", isa, have);
    if (atomic_exchange(&initialised, 1)) {
        if (!want || want == kn_table()) return MLXE_OK;
        return err_set(err, MLXE_E_STATE, "MLXE_ISA: got \"%s\", but the process runs %s already",
                       isa, kn_table()->name);
    }
    kn_table_set(want ? want : tables[n - 1]);
    return MLXE_OK;
}

const char *kn_isa(void) { return kn_table()->name; }
