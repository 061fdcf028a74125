/* test_pool.c: the thread pool: each chunk once, uneven workers, cancel, two callers, no runs
 * inside runs, idle, fork, limits of the machine.
 *
 * The pool starts once a process, so the order matters: children with pools of their own are forked
 * first, before this process has used the pool. */
#define _GNU_SOURCE
#include "base/thread.h"
#include "util.h"

#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- results do not depend on the number of threads ------------------------------------------ */

static void add_hash(uint64_t *h, const void *p, size_t n)
{
    const unsigned char *b = p;
    for (size_t i = 0; i < n; i++)
        *h = (*h ^ b[i]) * 0x100000001b3u;
}

/* A fixed list of calls of every kernel; -> a hash of all results. */
static uint64_t all_kernels(void)
{
    uint64_t h = 0xcbf29ce484222325u;
    rng r = {31};
    EACH_TABLE
    for (int i = 0; i < 12; i++) {
        int m = i % 3 ? rng_int(&r, 1, 9) : rng_int(&r, 120, 150), n = rng_int(&r, 60, 200);
        int k = 128 * rng_int(&r, 1, 12), bits = ALL_BITS[rng_int(&r, 0, 6)];
        matrix w = matrix_new(&r, n, k, bits, 128, KN_BF16, 1);
        float *x = calloc((size_t)(m * k), sizeof *x), *y = calloc((size_t)(m * n), sizeof *y);
        kn_attn a = {.heads = 4, .kv_heads = 2, .d = 32, .scale = 0.2f};
        kn_attn_row row = {.q = x, .ldq = 128, .ldo = 128, .t = m, .start = i % 2 ? 2200 : 0};
        kn_kv_type type = (kn_kv_type)(i % 4);
        int tokens = row.start + m;
        int capacity = (tokens + KN_KV_BLOCK - 1) / KN_KV_BLOCK * KN_KV_BLOCK;
        void *memory = calloc(1, kn_kv_bytes(type, 2, 32, capacity));
        float *kv = calloc((size_t)tokens * 64, sizeof *kv);
        assert_true(x && y && memory && kv);
        normals(&r, x, (size_t)(m * k), 1);
        assert_int_equal(kn_linear(&w.m, NULL, x, k, y, n, m, 0, NULL), MLXE_OK);
        add_hash(&h, y, (size_t)(m * n) * 4);
        free(y);
        row.out = y = calloc((size_t)m * 128, sizeof *y);
        row.kv = kn_kv_over(memory, type, 2, 32, capacity);
        assert_non_null(y);
        normals(&r, kv, (size_t)tokens * 64, 1);
        assert_int_equal(kn_kv_append(&row.kv, 0, tokens, kv, kv, 64, NULL), MLXE_OK);
        assert_int_equal(kn_attention(&a, &row, 1, NULL), MLXE_OK);
        add_hash(&h, y, (size_t)m * 128 * 4);
        assert_int_equal(kn_rms_norm(x, k, NULL, 1e-6f, x, k, m, k, NULL), MLXE_OK);
        assert_int_equal(kn_gated(KN_SILU, x, k, x, k, x, k, m, k, NULL), MLXE_OK);
        add_hash(&h, x, (size_t)(m * k) * 4);
        matrix_free(&w);
        free(x);
        free(y);
        free(kv);
        free(memory);
    }
    return h;
}

static uint64_t hash_with_threads(int threads)
{
    int ends[2], status;
    uint64_t h = 0;
    pid_t child;
    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (!child) {
        if (kn_pool_start(threads, NULL) || kn_pool_threads() != threads) _exit(1);
        h = all_kernels();
        _exit(write(ends[1], &h, sizeof h) == (ssize_t)sizeof h ? 0 : 1);
    }
    assert_int_equal(read(ends[0], &h, sizeof h), sizeof h);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(ends[0]);
    close(ends[1]);
    return h;
}

static void threads_same_bits(void **state)
{
    uint64_t one = hash_with_threads(1);
    (void)state;
    assert_int_equal(hash_with_threads(2), one);
    assert_int_equal(hash_with_threads(3), one);
    assert_int_equal(hash_with_threads(7), one);
}

/* ---- runs ------------------------------------------------------------------------------------ */

typedef struct tally {
    atomic_int done[1000], bad;
    atomic_int *cancel;
    int cancel_at, sleep_us;
    unsigned workers; /* bits, of the calling test only */
    pthread_t caller;
} tally;

static void pause_us(int us)
{
    struct timespec t = {0, us * 1000};
    if (us) nanosleep(&t, NULL);
}

static void count_chunk(void *ctx, int chunk, int n_chunks, int worker)
{
    tally *t = ctx;
    sigset_t mask;
    if (chunk < 0 || chunk >= n_chunks || worker < 0 || worker >= kn_pool_threads())
        atomic_fetch_add(&t->bad, 1);
    if (!worker != !!pthread_equal(pthread_self(), t->caller)) atomic_fetch_add(&t->bad, 1);
    pthread_sigmask(SIG_BLOCK, NULL, &mask); /* the host's handlers never run on a worker */
    if (worker && !sigismember(&mask, SIGINT)) atomic_fetch_add(&t->bad, 1);
    memset(kn_scratch(worker), chunk, KN_SCRATCH_BYTES);
    pause_us(t->sleep_us);
    if (((unsigned char *)kn_scratch(worker))[KN_SCRATCH_BYTES - 1] != (unsigned char)chunk)
        atomic_fetch_add(&t->bad, 1);
    atomic_fetch_add(&t->done[chunk], 1);
    if (t->cancel && chunk == t->cancel_at) atomic_store(t->cancel, 1);
}

static void start(void **state)
{
    mlxe_error err;
    (void)state;
    assert_int_equal(kn_pool_threads(), 1);
    assert_int_equal(kn_pool_start(-1, &err), MLXE_E_ARG);
    assert_int_equal(kn_pool_start(100000, &err), MLXE_E_ARG);
    assert_int_equal(kn_pool_start(3, &err), MLXE_OK);
    assert_int_equal(kn_pool_threads(), 3);
    assert_int_equal(kn_pool_start(3, &err), MLXE_OK);
    assert_int_equal(kn_pool_start(0, &err), MLXE_OK);
    assert_int_equal(kn_pool_start(2, &err), MLXE_E_STATE);
    assert_non_null(strstr(err.message, "3"));
}

static void each_chunk_once(void **state)
{
    static tally t;
    (void)state;
    for (int round = 0; round < 300; round++) {
        int n = round % 7 ? round % 40 : 1000;
        if (round % 50 == 49) pause_us(3000); /* the workers sleep meanwhile */
        memset(&t, 0, sizeof t);
        t.caller = pthread_self();
        if (n == 1000) n = 200;
        assert_int_equal(kn_run(count_chunk, &t, n, NULL), MLXE_OK);
        assert_int_equal(t.bad, 0);
        for (int i = 0; i < 1000; i++)
            assert_int_equal(t.done[i], i < n);
    }
}

static void cancel(void **state)
{
    static tally t;
    atomic_int flag = 1;
    int done = 0;
    (void)state;
    t.caller = pthread_self();
    t.cancel = &flag;
    assert_int_equal(kn_run(count_chunk, &t, 1000, &flag), MLXE_E_CANCELLED);
    assert_int_equal(kn_run(count_chunk, &t, 0, &flag), MLXE_E_CANCELLED);
    assert_int_equal(kn_run(count_chunk, &t, 1, &flag), MLXE_E_CANCELLED);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(t.done[i], 0);
    flag = 0;
    t.cancel_at = 10;
    t.sleep_us = 200;
    assert_int_equal(kn_run(count_chunk, &t, 1000, &flag), MLXE_E_CANCELLED);
    for (int i = 0; i < 1000; i++)
        done += t.done[i];
    assert_in_range(done, 11, 30); /* those before it, and what the others held */
    flag = 0;
    t.cancel_at = 0;
    assert_int_equal(kn_run(count_chunk, &t, 1, &flag), MLXE_OK); /* nothing was left to drop */
}

typedef struct canceller {
    atomic_int *flag;
    int64_t at;
} canceller;

static void *cancel_later(void *arg)
{
    canceller *c = arg;
    pause_us(20000);
    c->at = clock_ns();
    atomic_store(c->flag, 1);
    return NULL;
}

/* A call that would take seconds ends soon after the flag. */
static void cancel_kernels(void **state)
{
    enum { N = 4096, M = 2048 };
    float *x = calloc((size_t)N * M, sizeof *x), *y = calloc((size_t)N * M, sizeof *y);
    uint16_t *w = calloc((size_t)N * N, sizeof *w);
    kn_matrix m = {.w = w, .n = N, .k = N, .dtype = KN_BF16};
    kn_attn a = {.heads = 32, .kv_heads = 8, .d = 128, .scale = 0.1f};
    kn_attn_row row = {.q = x, .out = y, .ldq = N, .ldo = N, .t = M};
    (void)state;
    assert_true(x && y && w);
    row.kv = kn_kv_over(x, KN_KV_F32, 8, 128, M); /* zeros, as x is */
    EACH_TABLE
    for (int kind = 0; kind < 2; kind++) {
        atomic_int flag = 0;
        canceller c = {&flag, 0};
        pthread_t thread;
        mlxe_status rc = MLXE_OK;
        double ms;
        assert_int_equal(pthread_create(&thread, NULL, cancel_later, &c), 0);
        while (!rc) /* one call may be over before the flag is set */
            rc = kind ? kn_attention(&a, &row, 1, &flag)
                      : kn_linear(&m, NULL, x, N, y, N, M, 0, &flag);
        ms = (double)clock_ns() * 1e-6;
        pthread_join(thread, NULL);
        ms -= (double)c.at * 1e-6;
        assert_int_equal(rc, MLXE_E_CANCELLED);
        if (ms > 250) fail_msg("%s: cancelled after %.0f ms", kn_isa(), ms);
    }
    free(x);
    free(y);
    free(w);
}

static void *second_caller(void *arg)
{
    tally *t = arg;
    t->caller = pthread_self();
    for (int i = 0; i < 200; i++)
        if (kn_run(count_chunk, t, 50, NULL)) atomic_fetch_add(&t->bad, 1);
    return NULL;
}

static void callers_take_turns(void **state)
{
    static tally t[2];
    pthread_t thread;
    (void)state;
    memset(t, 0, sizeof t);
    assert_int_equal(pthread_create(&thread, NULL, second_caller, &t[0]), 0);
    second_caller(&t[1]);
    pthread_join(thread, NULL);
    for (int j = 0; j < 2; j++) {
        assert_int_equal(t[j].bad, 0);
        for (int i = 0; i < 50; i++)
            assert_int_equal(t[j].done[i], 200);
    }
}

/* ---- uneven workers, nesting, idle ----------------------------------------------------------- */

typedef struct uneven {
    atomic_int done, late;
} uneven;

/* Chunk 0 ends when all others have: they must not wait for the worker that holds it. */
static void uneven_chunk(void *ctx, int chunk, int n_chunks, int worker)
{
    uneven *u = ctx;
    int64_t until = clock_ns() + 20000000000;
    (void)worker;
    while (!chunk && atomic_load(&u->done) < n_chunks - 1) {
        pause_us(100);
        if (clock_ns() < until) continue;
        atomic_store(&u->late, 1);
        return;
    }
    atomic_fetch_add(&u->done, 1);
}

static void slow_worker_holds_one_chunk(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        uneven u = {0, 0};
        assert_int_equal(kn_run(uneven_chunk, &u, 300, NULL), MLXE_OK);
        assert_int_equal(u.late, 0);
        assert_int_equal(u.done, 300);
    }
}

static void nested_chunk(void *ctx, int chunk, int n_chunks, int worker)
{
    atomic_int *refused = ctx;
    float x[4] = {1, 2, 3, 4};
    (void)chunk, (void)n_chunks, (void)worker;
    if (kn_rms_norm(x, 4, NULL, 1e-6f, x, 4, 1, 4, NULL) == MLXE_E_STATE && x[0] == 1)
        atomic_fetch_add(refused, 1);
}

static void no_run_in_a_run(void **state)
{
    atomic_int refused = 0;
    float x[4] = {1, 2, 3, 4};
    (void)state;
    assert_int_equal(kn_run(nested_chunk, &refused, 50, NULL), MLXE_OK);
    assert_int_equal(refused, 50);
    assert_int_equal(kn_rms_norm(x, 4, NULL, 1e-6f, x, 4, 1, 4, NULL), MLXE_OK);
}

static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* After a run workers look for the next one for a moment, then a second costs nothing. */
static void idle_costs_nothing(void **state)
{
    static tally t;
    double before, ms;
    (void)state;
    t.caller = pthread_self();
    assert_int_equal(kn_run(count_chunk, &t, 50, NULL), MLXE_OK);
    pause_us(50000);
    before = cpu_ms();
    for (int i = 0; i < 10; i++)
        pause_us(100000);
    ms = cpu_ms() - before;
    if (ms > 20) fail_msg("%g ms of CPU time in a second of idling", ms);
    before = cpu_ms(); /* the spin: 10 runs that are 20 ms apart, some ms in all and no more */
    for (int i = 0; i < 10; i++) {
        assert_int_equal(kn_run(uneven_chunk, &(uneven){0, 0}, 2, NULL), MLXE_OK);
        pause_us(20000);
    }
    ms = cpu_ms() - before;
    if (ms > 40) fail_msg("%g ms of CPU time for 10 short runs", ms);
}

static void forked_child(void **state)
{
    int status;
    pid_t child = fork();
    (void)state;
    assert_true(child >= 0);
    if (!child) {
        float x[4] = {1, 2, 3, 4};
        mlxe_error err;
        int ok = kn_rms_norm(x, 4, NULL, 1e-6f, x, 4, 1, 4, NULL) == MLXE_E_STATE;
        ok = ok && kn_pool_start(0, &err) == MLXE_E_STATE;
        _exit(ok ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* ---- CPUs ------------------------------------------------------------------------------------ */

static char folder[64];

static void put(const char *path, const char *text)
{
    char full[256];
    FILE *file;
    for (const char *p = path; (p = strchr(p, '/')); p++) {
        snprintf(full, sizeof full, "%s/%.*s", folder, (int)(p - path), path);
        mkdir(full, 0700);
    }
    snprintf(full, sizeof full, "%s/%s", folder, path);
    file = fopen(full, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int quota(const char *cgroup, const char *root)
{
    char file[256], dir[256];
    put("self", cgroup);
    snprintf(file, sizeof file, "%s/self", folder);
    snprintf(dir, sizeof dir, "%s/%s", folder, root);
    return kn_cgroup_cpus(file, dir);
}

static void cgroups(void **state)
{
    char command[128];
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/mlxe-cpus-XXXXXX");
    assert_non_null(mkdtemp(folder));
    put("two/cpu.max", "max 100000\n");
    put("two/a/cpu.max", "250000 100000\n");
    put("two/a/b/cpu.max", "800000 100000\n");
    assert_int_equal(quota("0::/a/b\n", "two"), 3); /* 2.5, of the group above */
    assert_int_equal(quota("0::/a/b/gone\n", "two"), 3);
    assert_int_equal(quota("0::/\n", "two"), 0);
    assert_int_equal(quota("0::/elsewhere\n", "two"), 0);
    put("one/cpu/cpu.cfs_quota_us", "-1\n");
    put("one/cpu/cpu.cfs_period_us", "100000\n");
    put("one/cpu/x/cpu.cfs_quota_us", "50000\n");
    put("one/cpu/x/cpu.cfs_period_us", "100000\n");
    assert_int_equal(quota("5:memory:/x\n4:cpuacct,cpu:/x\n", "one"), 1);
    assert_int_equal(quota("5:memory:/x\n4:cpuset:/x\n", "one"), 0);
    assert_int_equal(quota("4:cpu:/\n", "one"), 0);
    assert_int_equal(quota("garbage\n\n:::\n", "one"), 0);
    put("odd/cpu.max", "what\n");
    assert_int_equal(quota("0::/\n", "odd"), 0);
    put("odd/cpu.max", "-5 0\n");
    assert_int_equal(quota("0::/\n", "odd"), 0);
    assert_int_equal(kn_cgroup_cpus("/nonexistent", folder), 0);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
    assert_in_range(kn_usable_cpus(), 1, sysconf(_SC_NPROCESSORS_ONLN));
}

/* A process that may run on one CPU has one, and its pool is as large. */
static void affinity(void **state)
{
    cpu_set_t all, one;
    int status, first = 0;
    pid_t child;
    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    while (!CPU_ISSET(first, &all))
        first++;
    child = fork();
    assert_true(child >= 0);
    if (!child) {
        CPU_ZERO(&one);
        CPU_SET(first, &one);
        if (sched_setaffinity(0, sizeof one, &one)) _exit(1);
        if (kn_usable_cpus() != 1) _exit(2);
        if (kn_pool_start(0, NULL) || kn_pool_threads() != 1) _exit(3);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_same_bits),
        cmocka_unit_test(affinity),
        cmocka_unit_test(start),
        cmocka_unit_test(each_chunk_once),
        cmocka_unit_test(slow_worker_holds_one_chunk),
        cmocka_unit_test(cancel),
        cmocka_unit_test(cancel_kernels),
        cmocka_unit_test(callers_take_turns),
        cmocka_unit_test(no_run_in_a_run),
        cmocka_unit_test(idle_costs_nothing),
        cmocka_unit_test(forked_child),
        cmocka_unit_test(cgroups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
