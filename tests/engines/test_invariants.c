/* test_invariants.c: what must not change a bit: caching, chunking, batching, truncating, forking,
 * exporting, the number of threads; and what a failed or cancelled pass must leave behind.
 *
 * The CPU engine says that it is deterministic, so everything here is compared bitwise. Each folder
 * has a KV type of its own, and
 * packed weights meet both precisions. */
#include "golden.h"

#include <sys/wait.h>
#include <unistd.h>

static const char *const FOLDERS[] = {
    "llama/f32",           "llama/q4-g64",   "qwen3/q4-g64-tied", "mistral/window",
    "qwen2/window-layers", "qwen3/tied-f16", "qwen3_moe/f16",     "qwen3_moe/mxfp4-stacked"};
enum { N_FOLDERS = sizeof FOLDERS / sizeof *FOLDERS };

static int setup(void **state)
{
    (void)state;
    return runtime_start_with(2);
}

typedef struct golden {
    opened o;
    expected e;
    float *whole; /* logits of one pass */
    size_t floats;
} golden;

static void golden_open(int i, golden *t)
{
    eng_options options = {.kv_type = (mlxe_kv_type)(MLXE_KV_F32 + i % 4),
                           .precision = i == 1 ? MLXE_PRECISION_F32 : MLXE_PRECISION_INT8};
    buf folder = {0};
    mlxe_error err;
    fs_join(&folder, GOLDEN_DIR, FOLDERS[i]);
    expected_open(buf_str(&folder), &t->e);
    if (opened_open_with(buf_str(&folder), &options, &t->o, &err)) fail_msg("%s", err.message);
    t->floats = (size_t)t->e.n_ids * (size_t)t->e.vocab;
    t->whole = malloc(t->floats * sizeof *t->whole);
    assert_int_equal(forward_chunks(&t->o, t->e.ids, t->e.n_ids, t->e.n_ids, t->whole, &err),
                     MLXE_OK);
    assert_true(t->o.caps.deterministic);
    buf_deinit(&folder);
}

static void golden_close(golden *t)
{
    opened_close(&t->o);
    expected_close(&t->e);
    free(t->whole);
}

static void chunks(void **state)
{
    static const int32_t SIZES[] = {1, 2, 7, 13};
    (void)state;
    for (int i = 0; i < N_FOLDERS; i++) {
        golden t;
        mlxe_error err;
        golden_open(i, &t);
        for (size_t k = 0; k < sizeof SIZES / sizeof *SIZES; k++) {
            float *got = malloc(t.floats * sizeof *got);
            assert_int_equal(forward_chunks(&t.o, t.e.ids, t.e.n_ids, SIZES[k], got, &err),
                             MLXE_OK);
            assert_memory_equal(got, t.whole, t.floats * sizeof *got);
            free(got);
        }
        golden_close(&t);
    }
}

/* Rows of different lengths and phases in one step; each as if it were alone. */
static void batches(void **state)
{
    enum { ROWS = 5 };
    (void)state;
    for (int i = 0; i < N_FOLDERS; i++) {
        golden t;
        eng_kv *kv[ROWS];
        int32_t at[ROWS] = {0}, left = 0;
        mlxe_error err;
        golden_open(i, &t);
        for (int r = 0; r < ROWS; r++)
            assert_int_equal(engine_mlx.kv_open(t.o.model, &kv[r], &err), MLXE_OK);
        do {
            eng_row rows[ROWS];
            int which[ROWS], n = 0;
            for (int r = 0; r < ROWS; r++) {
                int32_t take = r == 0 ? 1 : 2 * r + 1, rest = t.e.n_ids - at[r];
                if (!rest) continue;
                rows[n] = (eng_row){.kv = kv[r],
                                    .ids = t.e.ids + at[r],
                                    .n = take < rest ? take : rest,
                                    .total = t.e.n_ids,
                                    .want = r % 2 ? ENG_WANT_LAST : ENG_WANT_ALL};
                which[n++] = r;
            }
            assert_int_equal(engine_mlx.step(t.o.model, rows, n, NULL, &err), MLXE_OK);
            left = 0;
            for (int k = 0; k < n; k++) {
                int r = which[k];
                int32_t first = rows[k].want == ENG_WANT_ALL ? at[r] : at[r] + rows[k].n - 1;
                size_t count = rows[k].want == ENG_WANT_ALL ? (size_t)rows[k].n : 1;
                assert_memory_equal(rows[k].logits, t.whole + (size_t)first * (size_t)t.e.vocab,
                                    count * (size_t)t.e.vocab * sizeof *t.whole);
                at[r] += rows[k].n;
                assert_int_equal(engine_mlx.kv_length(kv[r]), at[r]);
                left += t.e.n_ids - at[r];
            }
        } while (left);
        for (int r = 0; r < ROWS; r++)
            engine_mlx.kv_close(kv[r]);
        golden_close(&t);
    }
}

static void feed(golden *t, eng_kv *kv, int32_t from, int32_t n, const float *want_last)
{
    eng_row row = {.kv = kv, .ids = t->e.ids + from, .n = n, .want = ENG_WANT_LAST};
    mlxe_error err;
    assert_int_equal(engine_mlx.step(t->o.model, &row, 1, NULL, &err), MLXE_OK);
    if (want_last)
        assert_memory_equal(row.logits, want_last, (size_t)t->e.vocab * sizeof *want_last);
}

static void truncate_fork_export(void **state)
{
    (void)state;
    for (int i = 0; i < N_FOLDERS; i++) {
        golden t;
        eng_kv *kv, *copy, *back;
        buf bytes = {0};
        int32_t kept, half;
        const float *last;
        mlxe_error err;
        golden_open(i, &t);
        half = t.e.n_ids / 2;
        last = t.whole + (size_t)(t.e.n_ids - 1) * (size_t)t.e.vocab;
        assert_int_equal(engine_mlx.kv_open(t.o.model, &kv, &err), MLXE_OK);
        feed(&t, kv, 0, half, NULL);
        assert_int_equal(engine_mlx.kv_fork(t.o.model, kv, &copy, &err), MLXE_OK);
        assert_int_equal(engine_mlx.kv_export(kv, &bytes, &err), MLXE_OK);
        feed(&t, kv, 3, 9, NULL); /* another continuation */
        assert_int_equal(engine_mlx.kv_truncate(kv, half, &kept, &err), MLXE_OK);
        feed(&t, kv, kept, t.e.n_ids - kept, last);
        feed(&t, copy, half, t.e.n_ids - half, last); /* untouched by what happened to kv */
        assert_int_equal(engine_mlx.kv_import(t.o.model, bytes.p, bytes.n, &back, &err), MLXE_OK);
        feed(&t, back, half, t.e.n_ids - half, last);
        engine_mlx.kv_close(back);
        for (size_t cut = 0; cut < bytes.n; cut += 1 + cut / 3) { /* a truncated state is refused */
            assert_int_equal(engine_mlx.kv_import(t.o.model, bytes.p, cut, &back, &err),
                             MLXE_E_CORRUPT);
            assert_null(back);
        }
        engine_mlx.kv_close(kv);
        engine_mlx.kv_close(copy);
        buf_deinit(&bytes);
        golden_close(&t);
    }
}

static void failed_pass_changes_nothing(void **state)
{
    golden t;
    eng_kv *kv;
    atomic_int cancel = 1;
    int32_t bad[2] = {0, 1 << 20};
    eng_row row;
    mlxe_error err;
    (void)state;
    golden_open(1, &t);
    assert_int_equal(engine_mlx.kv_open(t.o.model, &kv, &err), MLXE_OK);
    feed(&t, kv, 0, 10, NULL);
    row = (eng_row){.kv = kv, .ids = t.e.ids + 10, .n = 5, .want = ENG_WANT_LAST};
    assert_int_equal(engine_mlx.step(t.o.model, &row, 1, &cancel, &err), MLXE_E_CANCELLED);
    assert_int_equal(engine_mlx.kv_length(kv), 10);
    row = (eng_row){.kv = kv, .ids = bad, .n = 2, .want = ENG_WANT_LAST};
    assert_int_equal(engine_mlx.step(t.o.model, &row, 1, NULL, &err), MLXE_E_ARG);
    assert_non_null(strstr(err.message, "1048576"));
    assert_int_equal(engine_mlx.kv_length(kv), 10);
    feed(&t, kv, 10, t.e.n_ids - 10, t.whole + (size_t)(t.e.n_ids - 1) * (size_t)t.e.vocab);
    engine_mlx.kv_close(kv);
    golden_close(&t);
}

/* The pool's size is one a process: other counts run in processes of their own (argv), which write
 * their logits to a pipe. */
static int child(int threads)
{
    golden t;
    if (runtime_start_with(threads)) return 1;
    for (int i = 0; i < N_FOLDERS; i++) {
        const char *p;
        size_t left;
        golden_open(i, &t);
        p = (const char *)t.whole;
        left = t.floats * sizeof *t.whole;
        while (left) {
            ssize_t n = write(STDOUT_FILENO, p, left);
            if (n <= 0) return 1;
            p += n;
            left -= (size_t)n;
        }
        golden_close(&t);
    }
    return 0;
}

static const char *self;

static void threads(void **state)
{
    static const int COUNTS[] = {1, 3};
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        char command[4096];
        FILE *f;
        snprintf(command, sizeof command, "'%s' --child %d", self, COUNTS[k]);
        f = popen(command, "r");
        assert_non_null(f);
        for (int i = 0; i < N_FOLDERS; i++) {
            golden t;
            float *got;
            golden_open(i, &t);
            got = malloc(t.floats * sizeof *got);
            assert_int_equal(fread(got, sizeof *got, t.floats, f), t.floats);
            assert_memory_equal(got, t.whole, t.floats * sizeof *got);
            free(got);
            golden_close(&t);
        }
        assert_int_equal(pclose(f), 0);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks), cmocka_unit_test(batches), cmocka_unit_test(truncate_fork_export),
        cmocka_unit_test(failed_pass_changes_nothing), cmocka_unit_test(threads)};
    self = argv[0];
    if (argc == 3 && !strcmp(argv[1], "--child")) return child(atoi(argv[2]));
    return cmocka_run_group_tests(tests, setup, NULL);
}
