/* test_reductions.c: LayerNorm, softmax and top-k against f64 and a plain sort. */
#include "util.h"

/* ---- LayerNorm ------------------------------------------------------------------------------- */

/* -> 1 / sqrt(variance + eps) */
static double layer_row_f64(const float *x, int e, double eps, double *out)
{
    double mean = 0, squares = 0;
    for (int k = 0; k < e; k++)
        mean += (double)x[k] / e;
    for (int k = 0; k < e; k++) {
        out[k] = (double)x[k] - mean;
        squares += out[k] * out[k];
    }
    squares = 1 / sqrt(squares / e + eps);
    for (int k = 0; k < e; k++)
        out[k] *= squares;
    return squares;
}

static void layer_norm(void **state)
{
    static const float SIZES[] = {1, 1, 1e-40f, 1e-30f, 1e-18f, 1e18f, 3e37f};
    static const float MEANS[] = {0, 0, 3, -1000}; /* in sizes */
    rng r = {61};
    (void)state;
    EACH_TABLE
    for (int i = 0; i < rounds(300); i++) {
        int m = rng_int(&r, 0, 9), e = i % 10 ? rng_int(&r, 1, 90) : rng_int(&r, 1000, 5000);
        int64_t ldx = e + rng_int(&r, 0, 3), ldy = e + rng_int(&r, 0, 3);
        int in_place = rng_int(&r, 0, 1), with_weight = rng_int(&r, 0, 1);
        int with_bias = rng_int(&r, 0, 1);
        float size = SIZES[rng_int(&r, 0, 6)], eps = rng_int(&r, 0, 1) ? 1e-12f : 1e-5f;
        float shift = size < 1e30f ? MEANS[rng_int(&r, 0, 3)] * size : 0;
        size_t nx = m ? (size_t)((m - 1) * ldx + e) : 0, ny = m ? (size_t)((m - 1) * ldy + e) : 0;
        room x = room_new(nx * 4, 8), y = room_new(ny * 4, 4);
        room w = room_new((size_t)e * 4, 4), b = room_new((size_t)e * 4, 8);
        float *xp = normals(&r, x.p, nx, size), *wp = normals(&r, w.p, (size_t)e, 1);
        float *bp = normals(&r, b.p, (size_t)e, 1);
        double *want = calloc((size_t)(m * e) + 1, sizeof *want), by[9];
        const float *out = in_place ? xp : y.p;
        int64_t ldo = in_place ? ldx : ldy;
        assert_non_null(want);
        for (size_t j = 0; j < nx; j++)
            xp[j] += shift;
        for (int j = 0; j < m; j++)
            by[j] = layer_row_f64(xp + j * ldx, e, (double)eps, want + j * e);
        assert_int_equal(kn_layer_norm(xp, ldx, with_weight ? wp : NULL, with_bias ? bp : NULL, eps,
                                       in_place ? xp : y.p, ldo, m, e, NULL),
                         MLXE_OK);
        for (int j = 0; j < m * e; j++) {
            double got = (double)out[j / e * ldo + j % e], v = want[j];
            double weight = with_weight ? (double)wp[j % e] : 1;
            double bias = with_bias ? (double)bp[j % e] : 0;
            /* x - mean rounds at the size of itself, or of a denormal; our own sum of the mean
             * at that of the mean in f64 */
            double slack = (4e-45 + 2e-14 * fabs((double)shift)) * by[j / e] * fabs(weight);
            double limit = 5e-7 * (fabs(v * weight) + fabs(bias)) + slack + 1e-44;
            if (!(fabs(got - (v * weight + bias)) <= limit))
                fail_msg("%s m %d e %d size %g shift %g at %d: got %g, want %g", kn_isa(), m, e,
                         (double)size, (double)shift, j, got, v * weight + bias);
        }
        free(want);
        room_free(x);
        room_free(y);
        room_free(w);
        room_free(b);
    }
}

/* A row with NaN or infinity spoils itself; equal values become the bias; no rows, no columns. */
static void layer_norm_ends(void **state)
{
    enum { M = 4, E = 37 };
    float x[M * E], y[M * E], bias[E];
    (void)state;
    EACH_TABLE
    {
        for (int i = 0; i < M * E; i++)
            x[i] = i / E == 3 ? 12345.678f : (float)(i % 7);
        for (int i = 0; i < E; i++)
            bias[i] = (float)i;
        x[E + 30] = NAN;
        x[2 * E + 1] = -INFINITY;
        assert_int_equal(kn_layer_norm(x, E, NULL, bias, 1e-6f, y, E, M, E, NULL), MLXE_OK);
        for (int i = 0; i < M * E; i++)
            assert_int_equal(isnan(y[i]) != 0, i / E == 1 || i / E == 2);
        for (int i = 3 * E; i < M * E; i++)
            assert_true(y[i] == bias[i % E]);
        y[0] = 5;
        assert_int_equal(kn_layer_norm(x, E, NULL, bias, 1e-6f, y, E, 0, E, NULL), MLXE_OK);
        assert_int_equal(kn_layer_norm(x, E, NULL, bias, 1e-6f, y, E, M, 0, NULL), MLXE_OK);
        assert_true(y[0] == 5);
    }
}

/* A LayerNorm before projections gives the bits of the single steps. */
static void layer_norm_fused(void **state)
{
    enum { M = 5, N = 40, K = 192 };
    rng r = {62};
    float x[M * K], normed[M * K], weight[K], bias[K], want[M * N], y[M * N];
    matrix w = matrix_new(&r, N, K, 4, 64, KN_BF16, 1);
    (void)state;
    normals(&r, x, M * K, 3);
    normals(&r, weight, K, 1);
    normals(&r, bias, K, 1);
    EACH_TABLE
    for (int precise = 0; precise < 2; precise++) {
        kn_input in = {.x = x,
                       .ldx = K,
                       .m = M,
                       .norm = weight,
                       .eps = 1e-5f,
                       .precision = precise ? KN_PRECISE : KN_DEFAULT,
                       .norm_kind = KN_NORM_LAYER,
                       .norm_bias = bias};
        kn_input plain = {.x = normed, .ldx = K, .m = M, .precision = in.precision};
        kn_projection p = {.w = &w.m, .y = y, .ldy = N}, q = {.w = &w.m, .y = want, .ldy = N};
        assert_int_equal(kn_layer_norm(x, K, weight, bias, 1e-5f, normed, K, M, K, NULL), MLXE_OK);
        assert_int_equal(kn_project(&in, &p, 1, NULL), MLXE_OK);
        assert_int_equal(kn_project(&plain, &q, 1, NULL), MLXE_OK);
        assert_memory_equal(y, want, sizeof y);
    }
    matrix_free(&w);
}

/* ---- softmax --------------------------------------------------------------------------------- */

static void softmax(void **state)
{
    static const float SIZES[] = {0, 1e-42f, 1, 1, 5, 30, 3e38f};
    rng r = {63};
    (void)state;
    EACH_TABLE
    for (int i = 0; i < rounds(300); i++) {
        int m = rng_int(&r, 0, 9), n = i % 10 ? rng_int(&r, 1, 90) : rng_int(&r, 1000, 40000);
        int64_t ldx = n + rng_int(&r, 0, 3), ldy = n + rng_int(&r, 0, 3);
        int in_place = rng_int(&r, 0, 1);
        float size = SIZES[rng_int(&r, 0, 6)];
        size_t nx = m ? (size_t)((m - 1) * ldx + n) : 0, ny = m ? (size_t)((m - 1) * ldy + n) : 0;
        room x = room_new(nx * 4, 8), y = room_new(ny * 4, 4), keep = room_new(nx * 4, 0);
        float *xp = x.p, *kp = keep.p, *out = in_place ? xp : y.p;
        int64_t ldo = in_place ? ldx : ldy;
        for (size_t j = 0; j < nx; j++) {
            xp[j] = (float)(rng_unit(&r) * 2 - 1) * size;
            if (n > 1 && !rng_int(&r, 0, 20) && j % (size_t)ldx) xp[j] = -INFINITY;
        }
        memcpy(kp, xp, nx * 4);
        assert_int_equal(kn_softmax(xp, ldx, out, ldo, m, n, NULL), MLXE_OK);
        for (int j = 0; j < m; j++) {
            double max = (double)-INFINITY, sum = 0, all = 0;
            for (int k = 0; k < n; k++)
                if ((double)kp[j * ldx + k] > max) max = (double)kp[j * ldx + k];
            for (int k = 0; k < n; k++)
                sum += exp((double)kp[j * ldx + k] - max);
            for (int k = 0; k < n; k++) {
                double got = (double)out[j * ldo + k], d = (double)kp[j * ldx + k] - max;
                double want = exp(d) / sum;
                all += got;
                if (!(fabs(got - want) <= (8e-7 + 2.4e-7 * fmin(fabs(d), 200)) * want + 2e-45))
                    fail_msg("%s m %d n %d size %g at %d,%d: got %g, want %g", kn_isa(), m, n,
                             (double)size, j, k, got, want);
            }
            assert_true(fabs(all - 1) < 1e-6);
        }
        room_free(x);
        room_free(y);
        room_free(keep);
    }
}

static void softmax_not_numbers(void **state)
{
    enum { M = 5, N = 40 };
    float x[M * N], y[M * N];
    (void)state;
    EACH_TABLE
    for (int at = 0; at < N; at++) {
        for (int i = 0; i < M * N; i++)
            x[i] = i / N == 3 ? -INFINITY : (float)(i % 5);
        x[N + at] = NAN;
        x[2 * N + at] = INFINITY;
        x[4 * N + at] = -INFINITY;
        assert_int_equal(kn_softmax(x, N, y, N, M, N, NULL), MLXE_OK);
        for (int i = 0; i < M * N; i++)
            assert_int_equal(isnan(y[i]) != 0, i / N == 1 || i / N == 2 || i / N == 3);
        assert_true(y[4 * N + at] == 0);
    }
}

/* ---- top-k ----------------------------------------------------------------------------------- */

static const float *sorted_by;

static int greater_first(const void *a, const void *b)
{
    int32_t i = *(const int32_t *)a, j = *(const int32_t *)b;
    if (sorted_by[i] != sorted_by[j]) return sorted_by[i] > sorted_by[j] ? -1 : 1;
    return i < j ? -1 : 1;
}

static void top_k(void **state)
{
    rng r = {64};
    (void)state;
    EACH_TABLE
    for (int i = 0; i < rounds(400); i++) {
        int n = i % 20 ? rng_int(&r, 0, 300) : rng_int(&r, 1000, 60000);
        int k = i % 3 ? rng_int(&r, 0, 40) : rng_int(&r, 0, KN_TOP_K), kind = i % 5, numbers = 0;
        room x = room_new((size_t)n * 4, 8);
        int32_t *order = malloc((size_t)n * sizeof *order + 1), ids[KN_TOP_K], got;
        float *xp = normals(&r, x.p, (size_t)n, 1);
        assert_non_null(order);
        for (int j = 0; j < n; j++) {
            if (kind == 1) xp[j] = (float)rng_int(&r, -3, 3); /* many equal ones */
            if (kind == 2) xp[j] = (float)(j % 2 ? j : -j);   /* ever greater */
            if (kind == 3 && !rng_int(&r, 0, 3)) xp[j] = NAN;
            if (kind == 4 && rng_int(&r, 0, 3)) xp[j] = j % 2 ? -INFINITY : INFINITY;
            if (xp[j] == xp[j]) order[numbers++] = j;
        }
        sorted_by = xp;
        qsort(order, (size_t)numbers, sizeof *order, greater_first);
        got = kn_top_k(xp, n, k, ids);
        assert_int_equal(got, k < numbers ? k : numbers);
        for (int j = 0; j < got; j++)
            if (ids[j] != order[j])
                fail_msg("%s n %d k %d kind %d at %d: %d (%g), want %d (%g)", kn_isa(), n, k, kind,
                         j, ids[j], (double)xp[ids[j]], order[j], (double)xp[order[j]]);
        free(order);
        room_free(x);
    }
}

static void counted(void **state)
{
    uint64_t norms = kn_count(KN_COUNT_LAYER_NORM), softs = kn_count(KN_COUNT_SOFTMAX);
    uint64_t tops = kn_count(KN_COUNT_TOP_K);
    float x[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    int32_t id;
    atomic_int flag = 1;
    (void)state;
    kn_layer_norm(x, 8, NULL, NULL, 1e-6f, x, 8, 1, 8, NULL);
    kn_softmax(x, 8, x, 8, 1, 8, NULL);
    assert_int_equal(kn_top_k(x, 8, 1, &id), 1);
    assert_int_equal(id, 7);
    assert_int_equal(kn_count(KN_COUNT_LAYER_NORM) - norms, 1);
    assert_int_equal(kn_count(KN_COUNT_SOFTMAX) - softs, 1);
    assert_int_equal(kn_count(KN_COUNT_TOP_K) - tops, 1);
    assert_int_equal(kn_softmax(x, 8, x, 8, 1, 8, &flag), MLXE_E_CANCELLED);
    assert_int_equal(kn_layer_norm(x, 8, NULL, NULL, 1, x, 8, 1, 8, &flag), MLXE_E_CANCELLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layer_norm),
        cmocka_unit_test(layer_norm_ends),
        cmocka_unit_test(layer_norm_fused),
        cmocka_unit_test(softmax),
        cmocka_unit_test(softmax_not_numbers),
        cmocka_unit_test(top_k),
        cmocka_unit_test(counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
