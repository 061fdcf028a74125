/* test_linear.c: kn_linear and kn_embed against f64, for every storage, instruction set and shape.
 *
 * Error bound: rounding of a dot product. For one element the error is compared with
 * sum |x w|, the natural scale of its rounding; over a whole result the relative RMS counts. */
#include "util.h"

typedef struct shape {
    int64_t m, n, k;
    int bits, group;
    kn_dtype dtype;
    int use_bias, accumulate;
    float scale;
} shape;

static shape random_shape(rng *r, int most_k)
{
    static const int groups[] = {32, 64, 128};
    shape s = {.m = rng_int(r, 0, 3) ? rng_int(r, 1, 20) : 1, .n = rng_int(r, 1, 70)};
    s.bits = ALL_BITS[rng_int(r, 0, 6)];
    s.group = groups[rng_int(r, 0, 2)];
    s.dtype = (kn_dtype)rng_int(r, 0, 2);
    s.k = rng_int(r, 1, s.bits ? most_k / s.group : most_k);
    if (s.bits) s.k *= s.group;
    s.use_bias = rng_int(r, 0, 1);
    s.accumulate = rng_int(r, 0, 1);
    s.scale = 1;
    return s;
}

/* Runs one case; -> relative RMS of the result, and checks every element by its own scale. */
static double run_case(rng *r, const shape *s)
{
    int64_t ldx = s->k + rng_int(r, 0, 3), ldy = s->n + rng_int(r, 0, 3);
    size_t nx = (size_t)((s->m - 1) * ldx + s->k), ny = (size_t)((s->m - 1) * ldy + s->n);
    size_t skew = (size_t)rng_int(r, 0, 3) * 4;
    matrix w = matrix_new(r, s->n, s->k, s->bits, s->group, s->dtype, s->scale);
    room x = room_new(nx * 4, skew), y = room_new(ny * 4, skew), b = room_new((size_t)s->n * 4, 4);
    float *got = calloc((size_t)(s->m * s->n), sizeof *got), *yp = y.p, *bp = b.p;
    double *want = calloc((size_t)(s->m * s->n), sizeof *want), rms;
    const float *xp = normals(r, x.p, nx, 1);
    assert_non_null(got);
    assert_non_null(want);
    normals(r, yp, ny, 1);
    normals(r, bp, (size_t)s->n, 1);
    for (int64_t i = 0; i < s->m; i++)
        for (int64_t j = 0; j < s->n; j++) {
            double sum = 0;
            for (int64_t k = 0; k < s->k; k++)
                sum += (double)xp[i * ldx + k] * w.value[j * s->k + k];
            if (s->use_bias) sum += (double)bp[j];
            if (s->accumulate) sum += (double)yp[i * ldy + j];
            want[i * s->n + j] = sum;
        }
    assert_int_equal(
        kn_linear(&w.m, s->use_bias ? bp : NULL, xp, ldx, yp, ldy, s->m, s->accumulate, NULL),
        MLXE_OK);
    for (int64_t i = 0; i < s->m; i++)
        for (int64_t j = 0; j < s->n; j++) {
            double scale = 1;
            for (int64_t k = 0; k < s->k; k++)
                scale += fabs((double)xp[i * ldx + k] * w.value[j * s->k + k]);
            got[i * s->n + j] = yp[i * ldy + j];
            if (!(fabs((double)yp[i * ldy + j] - want[i * s->n + j]) <= 2e-6 * scale))
                fail_msg("%s m %d n %d k %d bits %d group %d dtype %d at %d,%d: got %g, want %g",
                         kn_isa(), (int)s->m, (int)s->n, (int)s->k, s->bits, s->group,
                         (int)s->dtype, (int)i, (int)j, (double)yp[i * ldy + j],
                         want[i * s->n + j]);
        }
    rms = rms_error(got, want, (size_t)(s->m * s->n));
    room_free(x);
    room_free(y);
    room_free(b);
    matrix_free(&w);
    free(got);
    free(want);
    return rms;
}

static void every_storage(void **state)
{
    static const int groups[] = {32, 64, 128};
    rng r = {1};
    (void)state;
    EACH_TABLE
    for (int b = 0; b < 7; b++)
        for (int g = 0; g < (ALL_BITS[b] ? 3 : 1); g++)
            for (int d = 0; d < 3; d++)
                for (int m = 1; m <= 7; m += 3) {
                    shape s = {.m = m,
                               .n = 37,
                               .k = 2048,
                               .bits = ALL_BITS[b],
                               .group = groups[g],
                               .dtype = (kn_dtype)d,
                               .scale = 1};
                    double rms = run_case(&r, &s);
                    if (rms > 1e-6)
                        fail_msg("%s bits %d group %d dtype %d m %d: relative RMS %g", kn_isa(),
                                 s.bits, s.group, d, m, rms);
                }
}

static void random_shapes(void **state)
{
    rng r = {2};
    (void)state;
    EACH_TABLE
    for (int i = 0; i < rounds(700); i++) {
        shape s = random_shape(&r, i % 20 ? 300 : 2500);
        run_case(&r, &s);
    }
}

/* The bits of an element depend on its row of x and its row of w alone. */
static void any_company_same_bits(void **state)
{
    rng r = {3};
    (void)state;
    EACH_TABLE
    for (int i = 0; i < rounds(60); i++) {
        shape s = random_shape(&r, i % 10 ? 400 : 3000);
        int64_t m = i % 15 ? s.m : 140 + s.m, at = 0; /* 128 rows are a chunk */
        matrix w = matrix_new(&r, s.n, s.k, s.bits, s.group, s.dtype, 1);
        float *x = calloc((size_t)(m * s.k), sizeof *x),
              *all = calloc((size_t)(m * s.n), sizeof *x);
        float *part = calloc((size_t)(m * s.n), sizeof *x);
        assert_true(x && all && part);
        normals(&r, x, (size_t)(m * s.k), 1);
        assert_int_equal(kn_linear(&w.m, NULL, x, s.k, all, s.n, m, 0, NULL), MLXE_OK);
        while (at < m) {
            int64_t take = rng_int(&r, 1, rng_int(&r, 0, 1) ? 1 : 9);
            if (take > m - at) take = m - at;
            assert_int_equal(
                kn_linear(&w.m, NULL, x + at * s.k, s.k, part + at * s.n, s.n, take, 0, NULL),
                MLXE_OK);
            at += take;
        }
        if (memcmp(all, part, (size_t)(m * s.n) * 4))
            fail_msg("%s m %d n %d k %d bits %d: the bits depend on m", kn_isa(), (int)m, (int)s.n,
                     (int)s.k, s.bits);
        /* a weight row alone, at another place of a tile */
        for (int j = 0; j < 3; j++) {
            int64_t row = rng_int(&r, 0, (int)s.n - 1), groups = s.bits ? s.k / s.group : 0;
            size_t bytes =
                (size_t)(s.bits ? s.k * s.bits / 8 : s.k * (int64_t)dtype_bytes(s.dtype));
            kn_matrix one = w.m;
            one.n = 1;
            one.w = (const char *)w.m.w + (size_t)row * bytes;
            if (s.bits) {
                size_t skip = (size_t)(row * groups) * dtype_bytes(s.dtype);
                one.scales = (const char *)w.m.scales + skip;
                one.biases = (const char *)w.m.biases + skip;
            }
            assert_int_equal(kn_linear(&one, NULL, x, s.k, part, 1, m, 0, NULL), MLXE_OK);
            for (int64_t q = 0; q < m; q++)
                assert_memory_equal(&part[q], &all[q * s.n + row], 4);
        }
        matrix_free(&w);
        free(x);
        free(all);
        free(part);
    }
}

static void empty_shapes(void **state)
{
    rng r = {4};
    matrix w = matrix_new(&r, 3, 64, 4, 32, KN_F16, 1);
    float x[64] = {0}, y[6] = {1, 2, 3, 4, 5, 6}, bias[3] = {10, 20, 30};
    kn_matrix e = w.m;
    (void)state;
    EACH_TABLE
    for (int m = 1; m <= 2; m++) {
        float z[6];
        memcpy(z, y, sizeof z);
        assert_int_equal(kn_linear(&w.m, NULL, x, 64, z, 3, 0, 0, NULL), MLXE_OK);
        e.n = 0;
        assert_int_equal(kn_linear(&e, NULL, x, 64, z, 3, m, 0, NULL), MLXE_OK);
        assert_memory_equal(z, y, sizeof z);
        e.n = 3;
        e.k = 0; /* an empty sum is 0 */
        assert_int_equal(kn_linear(&e, bias, x, 0, z, 3, m, 1, NULL), MLXE_OK);
        for (int i = 0; i < 6; i++)
            assert_true(z[i] == (i < 3 * m ? y[i] + bias[i % 3] : y[i]));
        e.bits = 0;
        assert_int_equal(kn_linear(&e, NULL, x, 0, z, 3, m, 0, NULL), MLXE_OK);
        for (int i = 0; i < 3 * m; i++)
            assert_true(z[i] == 0);
        e.bits = 4;
        e.k = 64;
    }
    matrix_free(&w);
}

/* Inf and NaN go where plain arithmetic sends them; sizes near the ends of the range stay exact. */
static void not_numbers(void **state)
{
    (void)state;
    EACH_TABLE
    for (int b = 0; b < 7; b++)
        for (int m = 1; m <= 2; m++) {
            rng r = {5};
            matrix w = matrix_new(&r, 9, 256, ALL_BITS[b], 64, KN_F32, 1);
            float x[512], y[18];
            for (int bad = 0; bad < 3; bad++) {
                normals(&r, x, 512, 1);
                x[200] = bad ? bad == 1 ? INFINITY : -INFINITY : NAN;
                assert_int_equal(kn_linear(&w.m, NULL, x, 256, y, 9, m, 0, NULL), MLXE_OK);
                for (int j = 0; j < 9 * m; j++) {
                    double want = j < 9 ? (double)x[200] * w.value[j * 256 + 200] : 0;
                    assert_int_equal(isnan(want) != 0, isnan(y[j]) != 0);
                    if (j < 9 && !isnan(want)) assert_true((double)y[j] == want);
                    if (j >= 9) assert_true(isfinite(y[j]));
                }
            }
            if (ALL_BITS[b]) { /* a NaN scale spoils its row and no other */
                normals(&r, x, 512, 1);
                store_value(w.scales.p, 4 * 4 + 1, KN_F32, NAN);
                assert_int_equal(kn_linear(&w.m, NULL, x, 256, y, 9, m, 0, NULL), MLXE_OK);
                for (int j = 0; j < 9 * m; j++)
                    assert_int_equal(isnan(y[j]) != 0, j % 9 == 4);
            }
            matrix_free(&w);
        }
}

static void sizes(void **state)
{
    static const float SCALES[] = {1e-42f, 1e-38f, 1e-20f, 1e20f, 1e36f};
    (void)state;
    EACH_TABLE
    for (int i = 0; i < 5; i++)
        for (int b = 0; b < 7; b++)
            for (int m = 1; m <= 3; m += 2) {
                rng r = {6};
                matrix w =
                    matrix_new(&r, 11, 192, ALL_BITS[b], 32, i % 2 ? KN_F32 : KN_BF16, SCALES[i]);
                float x[3 * 192], y[33];
                normals(&r, x, 3 * 192, 1);
                assert_int_equal(kn_linear(&w.m, NULL, x, 192, y, 11, m, 0, NULL), MLXE_OK);
                for (int j = 0; j < 11 * m; j++) {
                    double want = 0, scale = 0;
                    for (int k = 0; k < 192; k++) {
                        double p = (double)x[j / 11 * 192 + k] * w.value[j % 11 * 192 + k];
                        want += p;
                        scale += fabs(p);
                    }
                    /* each of the 192 products and values may lose half a denormal */
                    if (!(fabs((double)y[j] - want) <= 2e-6 * scale + 400 * 1.4e-45))
                        fail_msg("%s bits %d size %g: got %g, want %g", kn_isa(), ALL_BITS[b],
                                 (double)SCALES[i], (double)y[j], want);
                }
                matrix_free(&w);
            }
}

static void embedding(void **state)
{
    rng r = {7};
    (void)state;
    EACH_TABLE
    for (int i = 0; i < rounds(120); i++) {
        shape s = random_shape(&r, i % 10 ? 300 : 3000);
        matrix w = matrix_new(&r, s.n, s.k, s.bits, s.group, s.dtype, 1);
        int m = rng_int(&r, 0, 30);
        int32_t ids[30];
        room y = room_new((size_t)(m * s.k) * 4, 4);
        for (int j = 0; j < m; j++)
            ids[j] = rng_int(&r, 0, (int)s.n - 1);
        assert_int_equal(kn_embed(&w.m, ids, m, y.p, NULL), MLXE_OK);
        for (int64_t j = 0; j < m * s.k; j++) {
            double want = w.value[ids[j / s.k] * s.k + j % s.k], got = (double)((float *)y.p)[j];
            double scale = s.bits ? fabs(want) + 4 : 0; /* of code * scale and of the bias */
            if (!(fabs(got - want) <= 1e-7 * scale))
                fail_msg("%s bits %d group %d dtype %d: got %a, want %a", kn_isa(), s.bits, s.group,
                         (int)s.dtype, got, want);
        }
        room_free(y);
        matrix_free(&w);
    }
}

static void counted(void **state)
{
    rng r = {8};
    matrix q = matrix_new(&r, 3, 64, 4, 32, KN_F16, 1), d = matrix_new(&r, 3, 64, 0, 0, KN_F16, 1);
    uint64_t affine = kn_count(KN_COUNT_LINEAR_AFFINE), dense = kn_count(KN_COUNT_LINEAR_DENSE);
    uint64_t embeds = kn_count(KN_COUNT_EMBED);
    float x[64] = {0}, y[64];
    int32_t id = 0;
    (void)state;
    kn_linear(&q.m, NULL, x, 64, y, 3, 1, 0, NULL);
    kn_linear(&d.m, NULL, x, 64, y, 3, 1, 0, NULL);
    kn_linear(&d.m, NULL, x, 64, y, 3, 1, 0, NULL);
    kn_embed(&q.m, &id, 1, y, NULL);
    assert_int_equal(kn_count(KN_COUNT_LINEAR_AFFINE) - affine, 1);
    assert_int_equal(kn_count(KN_COUNT_LINEAR_DENSE) - dense, 2);
    assert_int_equal(kn_count(KN_COUNT_EMBED) - embeds, 1);
    matrix_free(&q);
    matrix_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_storage),
        cmocka_unit_test(random_shapes),
        cmocka_unit_test(any_company_same_bits),
        cmocka_unit_test(empty_shapes),
        cmocka_unit_test(not_numbers),
        cmocka_unit_test(sizes),
        cmocka_unit_test(embedding),
        cmocka_unit_test(counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
