/* test_experts.c: rows routed to matrices against f64, in every storage; the same bits whoever else
 * is routed; the weighted sum of a row's experts. */
#include "util.h"

enum { MOST = 6 };

static matrix random_matrix(rng *r, int kind, int64_t n, int64_t k)
{
    if (kind < 3) return matrix_new(r, n, k, 0, 0, (kn_dtype)kind, 1);
    if (kind < 6) return matrix_new_fp(r, n, k, (kn_mode)(kind - 2), 1);
    return matrix_new(r, n, k, ALL_BITS[kind - 5], 64, KN_BF16, 1);
}

static void routed(void **state)
{
    rng r = {31};
    (void)state;
    EACH_TABLE
    for (int i = 0; i < ROUNDS(60); i++) {
        int kind = i % 12, count = rng_int(&r, 1, MOST), tokens = rng_int(&r, 1, 40);
        int64_t n = rng_int(&r, 1, 200), k = (int64_t)rng_int(&r, 1, 20) * 64;
        matrix w[MOST];
        kn_matrix m[MOST];
        int64_t first[MOST + 1] = {0}, pairs = 0;
        int32_t row[MOST * 130];
        room x = room_new((size_t)(tokens * k) * 4, 8);
        float *xp = normals(&r, x.p, (size_t)(tokens * k), 1), *y, one[200];
        for (int e = 0; e < count; e++) {
            int rows = rng_int(&r, 0, 2) ? rng_int(&r, 0, 3) : rng_int(&r, 0, 130);
            w[e] = random_matrix(&r, kind, n, k);
            m[e] = w[e].m;
            for (int j = 0; j < rows; j++)
                row[pairs++] = rng_int(&r, 0, tokens - 1);
            first[e + 1] = pairs;
        }
        y = malloc((size_t)(pairs * n + 1) * sizeof *y);
        assert_int_equal(kn_linear_experts(m, count, first, xp, k, row, y, n, NULL), MLXE_OK);
        for (int e = 0; e < count; e++)
            for (int64_t p = first[e]; p < first[e + 1]; p++) {
                const float *in = xp + row[p] * k;
                for (int64_t j = 0; j < n; j += 1 + n / 20) {
                    double want = 0, size = 1e-3;
                    for (int64_t c = 0; c < k; c++) {
                        double v = (double)in[c] * w[e].value[j * k + c];
                        want += v;
                        size += fabs(v);
                    }
                    if (!(fabs((double)y[p * n + j] - want) <= 2e-6 * size))
                        fail_msg("%s kind %d n %d k %d: %g, want %g", kn_isa(), kind, (int)n,
                                 (int)k, (double)y[p * n + j], want);
                }
                assert_int_equal(kn_linear(&m[e], NULL, in, k, one, n, 1, 0, NULL), MLXE_OK);
                assert_memory_equal(one, y + p * n, (size_t)n * sizeof *one);
            }
        for (int e = 0; e < count; e++)
            matrix_free(&w[e]);
        free(y);
        room_free(x);
    }
}

static void combined(void **state)
{
    enum { M = 5, USED = 3, E = 67 };
    rng r = {32};
    float y[M * USED * E], weight[M * USED], out[M * E];
    double want[M * E];
    int32_t at[M * USED];
    atomic_int flag = 1;
    kn_matrix none = {.n = 3, .k = 4};
    int64_t first[2] = {0, 0};
    (void)state;
    normals(&r, y, M * USED * E, 1);
    normals(&r, weight, M * USED, 1);
    normals(&r, out, M * E, 1);
    for (int i = 0; i < M * USED; i++)
        at[i] = (i * 7) % (M * USED);
    for (int i = 0; i < M * E; i++) {
        want[i] = (double)out[i];
        for (int j = 0; j < USED; j++)
            want[i] +=
                (double)weight[i / E * USED + j] * (double)y[at[i / E * USED + j] * E + i % E];
    }
    assert_int_equal(kn_combine_experts(y, E, at, weight, USED, out, E, M, E, NULL), MLXE_OK);
    assert_true(rms_error(out, want, M * E) < 3e-7);
    assert_int_equal(kn_combine_experts(y, E, at, weight, USED, out, E, M, E, &flag),
                     MLXE_E_CANCELLED);
    /* nobody is routed anywhere */
    assert_int_equal(kn_linear_experts(&none, 1, first, y, 4, NULL, out, 3, NULL), MLXE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(routed), cmocka_unit_test(combined)};
    assert_int_equal(kn_pool_start(2, NULL), MLXE_OK);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
