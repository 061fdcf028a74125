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
        for (int i = 0; i < ROUNDS(40); i++) {
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
        for (int i = 0; i < ROUNDS(40); i++) {
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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(values), cmocka_unit_test(every_code),
                                       cmocka_unit_test(products)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
