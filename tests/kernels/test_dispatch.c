/* test_dispatch.c: choosing the instruction set. A process can choose once: children do it. */
#if defined(__linux__)
#define _GNU_SOURCE
#endif
#include "util.h"

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* In a child: -> what kn_init gives, then what the second call gives. */
static void in_child(const char *first, const char *second, int want_first, int want_second,
                     const char *isa)
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        mlxe_error err;
        int ok = kn_init(first, &err) == (mlxe_status)want_first;
        ok = ok && kn_init(second, &err) == (mlxe_status)want_second;
        ok = ok && (!isa || !strcmp(kn_isa(), isa));
        _exit(ok ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (status) fail_msg("kn_init(%s), kn_init(%s)", first ? first : "-", second ? second : "-");
}

static void choices(void **state)
{
    const kn_ops *tables[8];
    int n = kn_tables(tables, 8);
    (void)state;
    assert_in_range(n, 1, 4);
    assert_string_equal(tables[0]->name, "generic");
    in_child(NULL, NULL, MLXE_OK, MLXE_OK, tables[n - 1]->name);
    in_child("nonsense", NULL, MLXE_E_UNSUPPORTED, MLXE_OK, tables[n - 1]->name);
    in_child("", "generic", MLXE_E_UNSUPPORTED, MLXE_OK, "generic");
    for (int i = 0; i < n; i++) {
        in_child(tables[i]->name, tables[i]->name, MLXE_OK, MLXE_OK, tables[i]->name);
        in_child(tables[i]->name, NULL, MLXE_OK, MLXE_OK, tables[i]->name);
        if (i) in_child(tables[i]->name, tables[0]->name, MLXE_OK, MLXE_E_STATE, tables[i]->name);
    }
}

/* Whether Linux grants tile registers (a bit that arch_prctl gives back), once kn_tables asked. */
static int tiles_work(void)
{
#if defined(__x86_64__) && defined(__linux__)
    unsigned long granted = 0;
    return !syscall(SYS_arch_prctl, 0x1022 /* ARCH_GET_XCOMP_PERM */, &granted) &&
           (granted >> 18 & 1);
#else
    return 0;
#endif
}

/* What the CPU has decides, and no more than it has runs. */
static void best(void **state)
{
    const kn_ops *tables[8];
    int n = kn_tables(tables, 8);
    char has[512] = " ";
    const char *want = getenv("MLXE_TEST_ISA");
    (void)state;
    kn_cpu_features(has + 1, sizeof has - 2);
    strcat(has, " ");
    if (want) { /* who emulates a CPU knows what runs on it */
        assert_string_equal(tables[n - 1]->name, want);
        assert_string_equal(kn_isa(), want);
    }
    if (strstr(has, " amx_int8 ") && strstr(has, " avx512vbmi "))
        assert_string_equal(tables[n - 1]->name, tiles_work() ? "amx" : "avx512");
    else if (strstr(has, " avx512vnni ") && strstr(has, " avx512vbmi ") && strstr(has, " gfni "))
        assert_string_equal(tables[n - 1]->name, "avx512");
    else if (strstr(has, " avx2 ") && strstr(has, " fma ") && strstr(has, " f16c "))
        assert_string_equal(tables[n - 1]->name, "avx2");
    else if (strstr(has, " asimddp ") && strstr(has, " i8mm "))
        assert_string_equal(tables[n - 1]->name, "i8mm");
    else
        assert_string_equal(tables[n - 1]->name, strstr(has, " asimddp ") ? "neon" : "generic");
    for (int i = 1; i < n; i++) /* each set has products of bytes of its own */
        assert_true(tables[i]->dot_bytes != tables[i - 1]->dot_bytes);
}

/* CPUID or HWCAP against what the kernel of the operating system says, where it says it. */
static void features(void **state)
{
#if defined(__aarch64__)
    static const char LINE[] = "Features";
    static const char *const NAMES[][2] = {
        {"asimd", " asimd "}, {"asimddp", " asimddp "}, {"i8mm", " i8mm "}, {"bf16", " bf16 "}};
#else
    static const char LINE[] = "flags";
    static const char *const NAMES[][2] = {{"avx2", " avx2 "},
                                           {"fma", " fma "},
                                           {"f16c", " f16c "},
                                           {"avx512f", " avx512f "},
                                           {"avx512vbmi", " avx512vbmi "},
                                           {"avx512vnni", " avx512_vnni "},
                                           {"gfni", " gfni "},
                                           {"amx_int8", " amx_int8 "}};
#endif
    char mine[512] = " ", line[8192] = "", small[8];
    FILE *file = fopen("/proc/cpuinfo", "r");
    (void)state;
    /* Valgrind's CPU has less than the one that the system describes. */
    if (getenv("LD_PRELOAD") && strstr(getenv("LD_PRELOAD"), "vgpreload")) {
        print_message("skipped: Valgrind's CPU is not the one in /proc/cpuinfo\n");
        skip();
    }
    kn_cpu_features(mine + 1, sizeof mine - 2);
    strcat(mine, " ");
    kn_cpu_features(small, sizeof small);
    assert_true(strlen(small) < sizeof small);
    if (!file) skip();
    while (fgets(line, sizeof line, file) && strncmp(line, LINE, sizeof LINE - 1) != 0)
        continue;
    fclose(file);
    line[strcspn(line, "\n")] = ' ';
#if !defined(__x86_64__) /* an emulator shows its host's */
    if (strncmp(line, LINE, sizeof LINE - 1) != 0) skip();
#endif
    assert_int_equal(strncmp(line, LINE, sizeof LINE - 1), 0);
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        char word[32];
        snprintf(word, sizeof word, " %s ", NAMES[i][0]);
        assert_int_equal(strstr(mine, word) != NULL, strstr(line, NAMES[i][1]) != NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(choices), cmocka_unit_test(best),
                                       cmocka_unit_test(features)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
