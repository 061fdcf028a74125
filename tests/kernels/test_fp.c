/* test_fp.c: mxfp4, mxfp8 and nvfp4 against f64: every value, products of any shape, the same bits
 * for any number of rows; and what special codes are. */
#include "util.h"

static const char *const MODES[] = {"", "mxfp4", "mxfp8", "nvfp4"};
static const int GROUP[] = {0, 32, 32, 16};

/* Look-up gives the exact values, rows of any length. */
static void values(void **state)
{
    rng r = {21};
    (void)state;
    EACH_TABLE
    for (int mode = KN_MXFP4; mode <= KN_NVFP4; mode++)
        for (int i = 0; i < rounds(40); i++) {
            int64_t n = rng_int(&r, 1, 9), k = (int64_t)rng_int(&r, 1, 150) * GROUP[mode];
            matrix w = matrix_new_fp(&r, n, k, (kn_mode)mode, 1);
            int32_t ids[3];
            room y = room_new((size_t)(3 * k) * 4, 4);
            const float *got = y.p;
            for (int j = 0; j < 3; j++)
                ids[j] = rng_int(&r, 0, (int)n - 1);
            assert_int_equal(kn_embed(&w.m, ids, 3, y.p, NULL), MLXE_OK);
            for (int64_t j = 0; j < 3 * k; j++) {
                double want = w.value[ids[j / k] * k + j % k];
                if (!((double)got[j] == want))
                    fail_msg("%s %s k %d at %d: %g, want %g", kn_isa(), MODES[mode], (int)k, (int)j,
                             (double)got[j], want);
            }
            room_free(y);
            matrix_free(&w);
        }
}

/* All codes under all scales, NaN and infinity too. */
static void every_code(void **state)
{
    (void)state;
    EACH_TABLE
    for (int mode = KN_MXFP4; mode <= KN_NVFP4; mode++)
        for (unsigned s = 0; s < 256; s++) {
            enum { K = 256 };
            uint8_t codes[K], scales[K / 16];
            float y[K];
            int32_t id = 0;
            int bits = mode == KN_MXFP8 ? 8 : 4;
            kn_matrix w = {codes, scales, NULL, 1, K, KN_F32, bits, GROUP[mode], (kn_mode)mode};
            double scale = mode == KN_NVFP4 ? e4m3_value(s) : e8m0_as_double(s);
            memset(scales, (int)s, sizeof scales);
            memset(codes, 0, sizeof codes);
            for (int i = 0; i < K; i++)
                put_code(codes, i, bits, (unsigned)i & ((1u << bits) - 1));
            assert_int_equal(kn_embed(&w, &id, 1, y, NULL), MLXE_OK);
            for (int i = 0; i < K; i++) {
                double want = (bits == 8 ? e4m3_value((unsigned)i) : e2m1_value(i & 15u)) * scale;
                float rounded = (float)want; /* beyond f32: infinity */
                if (isnan(want) ? !isnan(y[i]) : !(y[i] == rounded))
                    fail_msg("%s %s scale %u code %d: %a, want %a", kn_isa(), MODES[mode], s, i,
                             (double)y[i], want);
            }
        }
}

static void products(void **state)
{
    rng r = {22};
    (void)state;
    EACH_TABLE
    for (int mode = KN_MXFP4; mode <= KN_NVFP4; mode++)
        for (int i = 0; i < rounds(40); i++) {
            int64_t n = rng_int(&r, 1, 150), k = (int64_t)rng_int(&r, 1, 80) * GROUP[mode];
            int64_t m = rng_int(&r, 0, 2) ? rng_int(&r, 1, 3) : rng_int(&r, 1, 130);
            matrix w = matrix_new_fp(&r, n, k, (kn_mode)mode, i % 5 ? 1.0f : 1e6f);
            room x = room_new((size_t)(m * k) * 4, 8), y = room_new((size_t)(m * n) * 4, 8);
            float *xp = normals(&r, x.p, (size_t)(m * k), i % 7 ? 1.0f : 1e-38f), *yp = y.p;
            float *one = malloc((size_t)n * sizeof *one);
            uint64_t before = kn_count(KN_COUNT_LINEAR_FP);
            assert_int_equal(kn_linear(&w.m, NULL, xp, k, yp, n, m, 0, NULL), MLXE_OK);
            assert_true(kn_count(KN_COUNT_LINEAR_FP) == before + 1);
            for (int64_t a = 0; a < m; a++)
                for (int64_t b = 0; b < n; b++) {
                    double want = 0, size = 1e-38;
                    for (int64_t j = 0; j < k; j++) {
                        double p = (double)xp[a * k + j] * w.value[b * k + j];
                        want += p;
                        size += fabs(p);
                    }
                    if (!(fabs((double)yp[a * n + b] - want) <= 2e-6 * size))
                        fail_msg("%s %s m %d n %d k %d: %g, want %g", kn_isa(), MODES[mode], (int)m,
                                 (int)n, (int)k, (double)yp[a * n + b], want);
                }
            for (int64_t a = 0; a < m; a++) { /* a row alone gives the same bits */
                assert_int_equal(kn_linear(&w.m, NULL, xp + a * k, k, one, n, 1, 0, NULL), MLXE_OK);
                assert_memory_equal(one, yp + a * n, (size_t)n * sizeof *one);
            }
            free(one);
            room_free(x);
            room_free(y);
            matrix_free(&w);
        }
}

static mlxe_status project(const kn_matrix *w, const float *x, int64_t m, kn_rounding rounding,
                           float *y)
{
    kn_input in = {.x = x, .ldx = w->k, .m = m};
    kn_projection p = {.w = w, .y = y, .ldy = w->n, .rounding = rounding};
    return kn_project(&in, &p, 1, NULL);
}

/* A row of x alone and a weight row alone give the same bits as all of them. */
static void check_alone(rng *r, const kn_matrix *w, const float *x, int64_t m, kn_rounding rounding,
                        const float *y)
{
    const int64_t row = rng_int(r, 0, (int)w->n - 1), at = rng_int(r, 0, (int)m - 1);
    float *alone = malloc((size_t)(w->n > m ? w->n : m) * sizeof *alone);
    kn_matrix one = *w;
    assert_non_null(alone);
    assert_int_equal(project(w, x + at * w->k, 1, rounding, alone), MLXE_OK);
    assert_memory_equal(alone, y + at * w->n, (size_t)w->n * sizeof *alone);
    one.n = 1;
    one.w = (const char *)w->w + row * (w->k / 2);
    one.scales = (const char *)w->scales + row * (w->k / w->group);
    assert_int_equal(project(&one, x, m, rounding, alone), MLXE_OK);
    for (int64_t i = 0; i < m; i++)
        assert_memory_equal(alone + i, y + i * w->n + row, sizeof *alone);
    free(alone);
}

/* mxfp4 and nvfp4 with bytes of x, against f64 with x rounded by the rule. Rows of nvfp4 that are
 * no multiple of 32 meet f32. */
static void products_of_bytes(void **state)
{
    rng r = {23};
    (void)state;
    EACH_TABLE
    for (int i = 0; i < rounds(120); i++) {
        kn_mode mode = i % 2 ? KN_NVFP4 : KN_MXFP4;
        int64_t n = rng_int(&r, 1, 150), k = (int64_t)rng_int(&r, 1, 60) * GROUP[mode];
        int64_t m = rng_int(&r, 0, 3) ? rng_int(&r, 1, 9) : rng_int(&r, 1, 130);
        int whole = k % 32 == 0;
        kn_rounding rounding = (kn_rounding)(i / 2 % 2);
        matrix w = matrix_new_fp(&r, n, k, mode, i % 5 ? 1.0f : 1e6f);
        room x = room_new((size_t)(m * k) * 4, 8), y = room_new((size_t)(m * n) * 4, 8);
        float *xp = normals(&r, x.p, (size_t)(m * k), 1), *yp = y.p;
        double *xq = calloc((size_t)k, sizeof *xq), error = 0, all = 0;
        uint64_t before = kn_count(KN_COUNT_LINEAR_INT8);
        assert_non_null(xq);
        assert_int_equal(project(&w.m, xp, m, rounding, yp), MLXE_OK);
        assert_int_equal(kn_count(KN_COUNT_LINEAR_INT8) - before, whole);
        for (int64_t a = 0; a < m; a++) {
            rounded(xp + a * k, (int)k, GROUP[mode], rounding, xq);
            for (int64_t b = 0; b < n; b++) {
                double want = 0, size = 1e-38, exact = 0, got = (double)yp[a * n + b];
                for (int64_t j = 0; j < k; j++) {
                    double v = w.value[b * k + j], in = (double)xp[a * k + j];
                    want += (whole ? xq[j] : in) * v;
                    size += fabs(in * v);
                    exact += in * v;
                }
                if (!(fabs(got - want) <= 4e-6 * size))
                    fail_msg("%s %s m %d n %d k %d: %g, want %g", kn_isa(), MODES[mode], (int)m,
                             (int)n, (int)k, got, want);
                error += (got - exact) * (got - exact);
                all += exact * exact;
            }
        }
        if (n * m > 100) assert_true(sqrt(error / all) < (rounding ? 1e-4 : 0.01));
        check_alone(&r, &w.m, xp, m, rounding, yp);
        free(xq);
        room_free(x);
        room_free(y);
        matrix_free(&w);
    }
}

/* Every code of e2m1 at every place, times one; NaN in x or in a scale spoils its row and no other;
 * mxfp8 meets f32. */
static void bytes_exactly(void **state)
{
    enum { N = 16, K = 512 };
    (void)state;
    EACH_TABLE
    for (int m = 1; m <= 3; m += 2) {
        static uint8_t codes[N * K / 2], scales[N * K / 16];
        static float x[3 * K];
        float y[3 * N];
        kn_matrix w = {codes, scales, NULL, N, K, KN_F32, 4, 32, KN_MXFP4};
        uint64_t before = kn_count(KN_COUNT_LINEAR_INT8);
        for (int i = 0; i < N * K / 2; i++) /* row n holds code n alone */
            codes[i] = (uint8_t)(i / (K / 2) * 17);
        memset(scales, 127, sizeof scales);
        for (int i = 0; i < 3 * K; i++)
            x[i] = i % 2 ? 1 : 127;
        assert_int_equal(project(&w, x, m, KN_ROUND_8, y), MLXE_OK);
        for (int i = 0; i < m * N; i++)
            assert_true((double)y[i] == e2m1_value((unsigned)i % N) * 128 * K / 2);
        scales[5 * K / 32 + 3] = 255;
        x[2 * K + 7] = NAN;
        assert_int_equal(project(&w, x, m, KN_ROUND_8, y), MLXE_OK);
        for (int i = 0; i < m * N; i++)
            assert_int_equal(isnan(y[i]) != 0, i % N == 5 || i / N == 2);
        assert_int_equal(kn_count(KN_COUNT_LINEAR_INT8) - before, 2);
        w.mode = KN_MXFP8, w.bits = 8, w.n = N / 2;
        assert_int_equal(project(&w, x, 1, KN_ROUND_8, y), MLXE_OK);
        assert_int_equal(kn_count(KN_COUNT_LINEAR_INT8) - before, 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values), cmocka_unit_test(every_code), cmocka_unit_test(products),
        cmocka_unit_test(products_of_bytes), cmocka_unit_test(bytes_exactly)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
