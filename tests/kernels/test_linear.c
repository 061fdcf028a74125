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
    for (int i = 0; i < 700; i++) {
        shape s = random_shape(&r, i % 20 ? 300 : 2500);
        run_case(&r, &s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_storage),
        cmocka_unit_test(random_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
