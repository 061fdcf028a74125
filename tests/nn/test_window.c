/* test_window.c: rows of models whose layers have windows give up what no token sees any more: the
 * logits stay those of one pass over everything, bit by bit, memory stops growing, and what was
 * given up is told when a row is cut. */
#include "../engines/golden.h"

enum { N = 3000, VOCAB = 96, LONG = 20000, BACK = 512, BASE_AT = 8 + 3 * 4 + 2 * 4 };

static const struct {
    const char *folder;
    int layers, windowed;
} MODELS[] = {{"mistral/window", 2, 2}, {"qwen2/window-layers", 3, 2}, {"llama/f32", 2, 0}};
enum { MODEL_COUNT = sizeof MODELS / sizeof *MODELS };

static int setup(void **state)
{
    (void)state;
    return runtime_start_with(2);
}

typedef struct long_run {
    opened o;
    int32_t ids[N];
    float *whole; /* [N,VOCAB], of one pass */
} long_run;

static void run_open(int model, int kv_type, long_run *t)
{
    eng_options options = {.kv_type = (mlxe_kv_type)(MLXE_KV_F32 + kv_type)};
    buf folder = {0};
    mlxe_error err;
    uint32_t x = 7;
    fs_join(&folder, GOLDEN_DIR, MODELS[model].folder);
    if (opened_open_with(buf_str(&folder), &options, &t->o, &err)) fail_msg("%s", err.message);
    assert_int_equal(t->o.caps.vocab, VOCAB);
    for (int i = 0; i < N; i++) {
        x = x * 1664525u + 1013904223u;
        t->ids[i] = (int32_t)(x >> 8) % VOCAB;
    }
    t->whole = malloc(sizeof *t->whole * N * VOCAB);
    assert_non_null(t->whole);
    assert_int_equal(forward_chunks(&t->o, t->ids, N, N, t->whole, &err), MLXE_OK);
    buf_deinit(&folder);
}

static void run_close(long_run *t)
{
    opened_close(&t->o);
    free(t->whole);
}

/* Tokens from .. to-1 in chunks, each token's logits compared. */
static void feed(long_run *t, eng_kv *kv, int32_t from, int32_t to, int32_t chunk)
{
    for (int32_t at = from; at < to; at += chunk) {
        eng_row row = {.kv = kv,
                       .ids = t->ids + at,
                       .n = to - at < chunk ? to - at : chunk,
                       .want = ENG_WANT_ALL};
        mlxe_error err;
        assert_int_equal(engine_mlx.step(t->o.model, &row, 1, NULL, &err), MLXE_OK);
        if (memcmp(row.logits, t->whole + (size_t)at * VOCAB,
                   sizeof(float) * (size_t)row.n * VOCAB))
            fail_msg("tokens %d to %d in chunks of %d: other bits", at, at + row.n, chunk);
    }
}

/* Bytes of a row when windowed layers hold so many tokens at most, and the others n. */
static uint64_t bound(const long_run *t, int model, int64_t n, int64_t windowed)
{
    uint64_t layer = t->o.caps.kv_token_bytes / (uint64_t)MODELS[model].layers;
    return layer * (uint64_t)(MODELS[model].windowed * windowed +
                              (MODELS[model].layers - MODELS[model].windowed) * n);
}

/* MLXE_TEST_SHARE=N makes one run of N: of 4 (Valgrind) each model and each chunk comes once. */
static void same_bits_in_less_memory(void **state)
{
    static const int32_t CHUNKS[] = {1, 37, 700};
    const char *text = getenv("MLXE_TEST_SHARE");
    int share = text && atoi(text) > 1 ? atoi(text) : 1;
    (void)state;
    for (int i = 0; i < 3 * MODEL_COUNT; i += share) {
        int model = i % MODEL_COUNT, windowed = MODELS[model].windowed;
        int32_t chunk = CHUNKS[i / MODEL_COUNT], kept;
        static long_run t;
        eng_kv *kv;
        mlxe_error err;
        run_open(model, i % 4, &t);
        assert_int_equal(engine_mlx.kv_open(t.o.model, &kv, &err), MLXE_OK);
        feed(&t, kv, 0, N, chunk);
        assert_int_equal(engine_mlx.kv_length(kv), N);
        /* a window of 12, what can be taken back, less than a span, a chunk; by half, in 256s */
        assert_true(engine_mlx.kv_bytes(kv) <=
                    bound(&t, model, 3 * N / 2 + 256, 3 * (12 + BACK + 512 + chunk) / 2 + 256));
        assert_int_equal(engine_mlx.kv_truncate(kv, N - BACK, &kept, &err), MLXE_OK);
        assert_int_equal(kept, N - BACK);
        feed(&t, kv, kept, N, chunk);
        assert_int_equal(engine_mlx.kv_truncate(kv, 100, &kept, &err), MLXE_OK);
        assert_int_equal(kept, windowed ? 0 : 100); /* what token 100 sees is gone */
        assert_int_equal(engine_mlx.kv_length(kv), kept);
        feed(&t, kv, kept, 400, 400);
        engine_mlx.kv_close(kv);
        run_close(&t);
    }
}

static void fork_and_export(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) { /* each KV type */
        static long_run t;
        eng_kv *kv, *copy, *back;
        buf bytes = {0};
        mlxe_error err;
        int32_t base;
        run_open(i % 2, i, &t);
        assert_int_equal(engine_mlx.kv_open(t.o.model, &kv, &err), MLXE_OK);
        feed(&t, kv, 0, 2500, 100);
        assert_int_equal(engine_mlx.kv_fork(t.o.model, kv, &copy, &err), MLXE_OK);
        assert_int_equal(engine_mlx.kv_export(kv, &bytes, &err), MLXE_OK);
        assert_true(bytes.n < 2500 * t.o.caps.kv_token_bytes);
        feed(&t, kv, 2500, N, 100);
        assert_int_equal(engine_mlx.kv_import(t.o.model, bytes.p, bytes.n, &back, &err), MLXE_OK);
        feed(&t, copy, 2500, N, 9);
        feed(&t, back, 2500, N, 50);
        engine_mlx.kv_close(kv);
        engine_mlx.kv_close(copy);
        engine_mlx.kv_close(back);
        memcpy(&base, bytes.p + BASE_AT, sizeof base);
        assert_true(i % 2 ? base == 0
                          : base > 0 && base % 512 == 0); /* qwen2's first layer: full */
        for (int bad = 0; bad < 4; bad++) {
            static const int32_t BAD[] = {-512, 5, 1 << 20, 2560};
            memcpy(bytes.p + BASE_AT, &BAD[bad], sizeof base);
            assert_int_equal(engine_mlx.kv_import(t.o.model, bytes.p, bytes.n, &back, &err),
                             MLXE_E_CORRUPT);
            assert_null(back);
        }
        buf_deinit(&bytes);
        run_close(&t);
    }
}

static void memory_is_flat(void **state)
{
    static long_run t;
    eng_kv *kv;
    mlxe_error err;
    uint64_t early = 0;
    (void)state;
    run_open(0, 1, &t);
    assert_int_equal(engine_mlx.kv_open(t.o.model, &kv, &err), MLXE_OK);
    for (int32_t at = 0; at < LONG; at += 50) {
        eng_row row = {.kv = kv, .ids = t.ids + at % (N - 50), .n = 50, .want = ENG_WANT_LAST};
        assert_int_equal(engine_mlx.step(t.o.model, &row, 1, NULL, &err), MLXE_OK);
        if (at < 3000) early = engine_mlx.kv_bytes(kv);
        assert_true(at < 3000 || engine_mlx.kv_bytes(kv) == early);
    }
    assert_int_equal(engine_mlx.kv_length(kv), LONG);
    assert_true(early < bound(&t, 0, 0, 2048));
    engine_mlx.kv_close(kv);
    run_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_bits_in_less_memory),
                                       cmocka_unit_test(fork_and_export),
                                       cmocka_unit_test(memory_is_flat)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
