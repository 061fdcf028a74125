/* test_int8.c: kn_project with 8-bit activations against f64, for every width, group, scale type,
 * instruction set and shape.
 *
 * The oracle rounds x by the rule that kernels.h states, in plain C, and multiplies in f64: what is
 * left is the rounding of the sum, compared with sum |x w|. Against the x before rounding the
 * result is off by what 8 bits cost, which is bounded as well. */
#include "util.h"

typedef struct shape {
    int m, n, k, bits, group;
    kn_dtype dtype;
    int use_bias, accumulate;
    kn_rounding rounding;
} shape;

static int unit_of(int group) { return group == 32 ? 32 : 64; }

static kn_rounding rounding;

static mlxe_status project(const kn_matrix *w, const float *x, int64_t ldx, float *y, int64_t ldy,
                           int64_t m)
{
    kn_input in = {.x = x, .ldx = ldx, .m = m};
    kn_projection p = {.w = w, .y = y, .ldy = ldy, .rounding = rounding};
    return kn_project(&in, &p, 1, NULL);
}

/* -> relative RMS against the unrounded product */
static double run_case(rng *r, const shape *s)
{
    int ldx = s->k + rng_int(r, 0, 3), ldy = s->n + rng_int(r, 0, 3);
    size_t nx = (size_t)((s->m - 1) * ldx + s->k), ny = (size_t)((s->m - 1) * ldy + s->n);
    size_t skew = (size_t)rng_int(r, 0, 3) * 4;
    matrix w = matrix_new(r, s->n, s->k, s->bits, s->group, s->dtype, 1);
    room x = room_new(nx * 4, skew), y = room_new(ny * 4, skew), b = room_new((size_t)s->n * 4, 4);
    float *xp = normals(r, x.p, nx, 1), *yp = normals(r, y.p, ny, 1);
    float *bp = normals(r, b.p, (size_t)s->n, 1);
    double *xq = calloc((size_t)s->k, sizeof *xq), error = 0, size = 0;
    float *before = malloc(ny * 4);
    kn_input in = {.x = xp, .ldx = ldx, .m = s->m};
    kn_projection p = {&w.m, s->use_bias ? bp : NULL, yp, ldy, s->accumulate, s->rounding};
    assert_true(xq && before);
    memcpy(before, yp, ny * 4);
    assert_int_equal(kn_project(&in, &p, 1, NULL), MLXE_OK);
    for (int i = 0; i < s->m; i++) {
        rounded(xp + i * ldx, s->k, unit_of(s->group), s->rounding, xq);
        for (int j = 0; j < s->n; j++) {
            double rest = 0, want = 0, exact = 0, scale = 1, got = (double)yp[i * ldy + j];
            if (s->use_bias) rest += (double)bp[j];
            if (s->accumulate) rest += (double)before[i * ldy + j];
            for (int k = 0; k < s->k; k++) {
                double v = w.value[(int64_t)j * s->k + k];
                want += xq[k] * v;
                exact += (double)xp[i * ldx + k] * v;
                scale += fabs(xq[k] * v);
            }
            if (!(fabs(got - want - rest) <= 4e-6 * scale))
                fail_msg("%s m %d n %d k %d bits %d group %d dtype %d at %d,%d: got %g, want %g",
                         kn_isa(), s->m, s->n, s->k, s->bits, s->group, (int)s->dtype, i, j, got,
                         want + rest);
            error += (got - rest - exact) * (got - rest - exact);
            size += exact * exact;
        }
    }
    room_free(x);
    room_free(y);
    room_free(b);
    matrix_free(&w);
    free(xq);
    free(before);
    return sqrt(error / size);
}

static void every_storage(void **state)
{
    static const int groups[] = {32, 64, 128};
    rng r = {11};
    (void)state;
    EACH_TABLE
    for (int b = 1; b < 7; b++)
        for (int g = 0; g < 3; g++)
            for (int d = 0; d < 3; d++)
                for (int m = 1; m <= 10; m += 3) {
                    shape s = {m,           70, 1408, ALL_BITS[b],         groups[g],
                               (kn_dtype)d, 0,  0,    (kn_rounding)(d & 1)};
                    double rms = run_case(&r, &s);
                    if (!(rms < (s.rounding ? 1e-4 : 0.012))) /* a half of it measured */
                        fail_msg("%s bits %d group %d dtype %d m %d: relative RMS %g", kn_isa(),
                                 s.bits, s.group, d, m, rms);
                }
}

static void random_shapes(void **state)
{
    static const int groups[] = {32, 64, 128};
    rng r = {12};
    (void)state;
    EACH_TABLE
    for (int i = 0; i < rounds(600); i++) {
        int group = groups[rng_int(&r, 0, 2)], large = i % 40 == 0;
        shape s = {.m = large ? rng_int(&r, 180, 400) : rng_int(&r, 1, 20),
                   /* many: panels of rows that lie apart */
                   .n = i % 20 == 7 ? rng_int(&r, 250, 900) : rng_int(&r, 1, 100),
                   .k = group * rng_int(&r, 1,
                                        large    ? 4
                                        : i % 10 ? 8
                                                 : 24),
                   .bits = ALL_BITS[rng_int(&r, 1, 6)],
                   .group = group,
                   .dtype = (kn_dtype)rng_int(&r, 0, 2),
                   .use_bias = rng_int(&r, 0, 1),
                   .accumulate = rng_int(&r, 0, 1),
                   .rounding = (kn_rounding)rng_int(&r, 0, 1)};
        run_case(&r, &s);
    }
}

/* The greatest sums that bytes can make: every code and every |byte| at its end. */
static void extremes(void **state)
{
    (void)state;
    rounding = KN_ROUND_8;
    EACH_TABLE
    for (int b = 1; b < 7; b++)
        for (int sign = 0; sign < 3; sign++)
            for (int m = 1; m <= 5; m += 2) {
                rng r = {13};
                matrix w = matrix_new(&r, 40, 256, ALL_BITS[b], 64, KN_F32, 1);
                float x[5 * 256], y[5 * 40];
                memset(w.w.p, 0xff, (size_t)(40 * 256 * ALL_BITS[b] / 8));
                for (int i = 0; i < 160; i++) {
                    store_value(w.scales.p, i, KN_F32, 1);
                    store_value(w.biases.p, i, KN_F32, 0);
                }
                for (int i = 0; i < 5 * 256; i++)
                    x[i] = sign == 2 ? i & 1 ? -127 : 127 : sign ? -127 : 127;
                assert_int_equal(project(&w.m, x, 256, y, 40, m), MLXE_OK);
                for (int i = 0; i < m * 40; i++) {
                    int code = (1 << ALL_BITS[b]) - 1;
                    float want = sign == 2 ? 0 : (float)(256 * 127 * code * (sign ? -1 : 1));
                    if (y[i] != want)
                        fail_msg("%s bits %d: got %g, want %g", kn_isa(), ALL_BITS[b], (double)y[i],
                                 (double)want);
                }
                matrix_free(&w);
            }
}

/* The bits of an element depend on its row of x and its row of w alone. */
static void any_company_same_bits(void **state)
{
    static const int groups[] = {32, 64, 128};
    rng r = {14};
    (void)state;
    EACH_TABLE
    for (int i = 0; i < rounds(80); i++) {
        int group = groups[rng_int(&r, 0, 2)], k = group * rng_int(&r, 1, 12);
        int n = rng_int(&r, 1, i % 3 ? 120 : 900), m = i % 10 ? rng_int(&r, 1, 30) : 250, at = 0;
        matrix w = matrix_new(&r, n, k, ALL_BITS[1 + i % 6], group, (kn_dtype)(i % 3), 1);
        float *x = calloc((size_t)(m * k), 4), *all = calloc((size_t)(m * n), 4);
        float *part = calloc((size_t)(m * n), 4);
        rounding = (kn_rounding)(i / 6 & 1);
        assert_true(x && all && part);
        normals(&r, x, (size_t)(m * k), 1);
        assert_int_equal(project(&w.m, x, k, all, n, m), MLXE_OK);
        while (at < m) {
            int take = rng_int(&r, 1, rng_int(&r, 0, 1) ? 2 : 13);
            if (take > m - at) take = m - at;
            assert_int_equal(project(&w.m, x + at * k, k, part + at * n, n, take), MLXE_OK);
            at += take;
        }
        if (memcmp(all, part, (size_t)(m * n) * 4))
            fail_msg("%s m %d n %d k %d bits %d: the bits depend on m", kn_isa(), m, n, k,
                     ALL_BITS[1 + i % 6]);
        for (int j = 0; j < 3; j++) { /* a weight row alone */
            int row = rng_int(&r, 0, n - 1);
            size_t skip = (size_t)(row * (k / group)) * dtype_bytes(w.m.dtype);
            kn_matrix one = w.m;
            one.n = 1;
            one.w = (const char *)w.m.w + (size_t)row * (size_t)(k * w.m.bits / 8);
            one.scales = (const char *)w.m.scales + skip;
            one.biases = (const char *)w.m.biases + skip;
            assert_int_equal(project(&one, x, k, part, 1, m), MLXE_OK);
            for (int q = 0; q < m; q++)
                assert_memory_equal(&part[q], &all[q * n + row], 4);
        }
        matrix_free(&w);
        free(x);
        free(all);
        free(part);
    }
}

/* A set, a norm before it and a gate with its up give the bits of the single steps. */
static void sets_are_single_steps(void **state)
{
    rng r = {15};
    (void)state;
    EACH_TABLE
    for (int i = 0; i < rounds(60); i++) {
        static const int groups[] = {32, 64, 128};
        int m = rng_int(&r, 1, 9), k = 128 * rng_int(&r, 1, 9), n[3];
        float *x = calloc((size_t)(m * k), 4), *normed = calloc((size_t)(m * k), 4), *weight, *y[3];
        float *want = calloc((size_t)(m * 600), 4), bias[600];
        matrix w[3], up;
        kn_projection set[3];
        kn_input in = {.m = m, .eps = 1e-5f, .precision = i & 1 ? KN_PRECISE : KN_DEFAULT};
        kn_input plain;
        weight = calloc((size_t)k, 4);
        assert_true(x && normed && weight && want);
        normals(&r, x, (size_t)(m * k), 3);
        normals(&r, weight, (size_t)k, 1);
        normals(&r, bias, 600, 1);
        in.x = x;
        in.ldx = k;
        in.norm = weight;
        assert_int_equal(kn_rms_norm(x, k, weight, 1e-5f, normed, k, m, k, NULL), MLXE_OK);
        plain = (kn_input){.x = normed, .ldx = k, .m = m, .precision = in.precision};
        for (int j = 0; j < 3; j++) {
            n[j] = rng_int(&r, 1, 600);
            w[j] = matrix_new(&r, n[j], k, ALL_BITS[rng_int(&r, 0, 6)], groups[rng_int(&r, 0, 2)],
                              (kn_dtype)rng_int(&r, 0, 2), 1);
            y[j] = calloc((size_t)(m * n[j]), 4);
            assert_non_null(y[j]);
            set[j] =
                (kn_projection){&w[j].m, j == 1 ? bias : NULL, y[j], n[j], 0, (kn_rounding)(j / 2)};
        }
        assert_int_equal(kn_project(&in, set, 3, NULL), MLXE_OK);
        for (int j = 0; j < 3; j++) {
            kn_projection one = set[j];
            one.y = want;
            assert_int_equal(kn_project(&plain, &one, 1, NULL), MLXE_OK);
            assert_memory_equal(want, y[j], (size_t)(m * n[j]) * 4);
        }
        up = matrix_new(&r, n[0], k, ALL_BITS[rng_int(&r, 0, 6)], groups[rng_int(&r, 0, 2)],
                        KN_BF16, 1);
        { /* gate and up */
            kn_projection g = {&w[0].m, i & 2 ? bias : NULL, want, n[0], 0, KN_ROUND_8};
            kn_projection u = {&up.m, i & 4 ? bias : NULL, NULL, n[0], 0, (kn_rounding)(i & 1)};
            float *gates = calloc((size_t)(m * n[0]), 4), *ups = calloc((size_t)(m * n[0]), 4);
            assert_true(gates && ups);
            assert_int_equal(kn_project_gated(&in, KN_SILU, &g, &u, NULL), MLXE_OK);
            g.y = gates;
            u.y = ups;
            assert_int_equal(kn_project(&plain, &g, 1, NULL), MLXE_OK);
            assert_int_equal(kn_project(&plain, &u, 1, NULL), MLXE_OK);
            for (int q = 0; q < m * n[0]; q++) {
                double v = (double)gates[q], act = v / (1 + exp(-v)) * (double)ups[q];
                if (!(fabs((double)want[q] - act) <= 1e-6 * fabs(act) + 1e-30))
                    fail_msg("%s gated: got %g, want %g", kn_isa(), (double)want[q], act);
            }
            free(gates);
            free(ups);
        }
        for (int j = 0; j < 3; j++) {
            matrix_free(&w[j]);
            free(y[j]);
        }
        matrix_free(&up);
        free(x);
        free(normed);
        free(weight);
        free(want);
    }
}

/* Inf and NaN spoil their row and no other; tiny units count as zero, great ones stay exact. */
static void not_numbers_and_sizes(void **state)
{
    static const float SIZES[] = {0, 1e-42f, 1e-35f, 1e-20f, 1e20f, 1e30f};
    (void)state;
    EACH_TABLE
    for (int b = 1; b < 7; b++) {
        rng r = {16};
        matrix w = matrix_new(&r, 35, 256, ALL_BITS[b], 64, KN_F32, 1);
        rounding = (kn_rounding)(b & 1);
        for (int bad = 0; bad < 3; bad++)
            for (int m = 1; m <= 12; m += 11) {
                float x[12 * 256], y[12 * 35];
                normals(&r, x, 12 * 256, 1);
                x[200] = bad ? bad == 1 ? INFINITY : -INFINITY : NAN;
                assert_int_equal(project(&w.m, x, 256, y, 35, m), MLXE_OK);
                for (int j = 0; j < 35 * m; j++)
                    assert_int_equal(isnan(y[j]) != 0, j < 35);
            }
        for (int i = 0; i < 6; i++) {
            float x[256], y[35];
            double xq[256];
            normals(&r, x, 256, SIZES[i]);
            rounded(x, 256, 64, rounding, xq);
            assert_int_equal(project(&w.m, x, 256, y, 35, 1), MLXE_OK);
            for (int j = 0; j < 35; j++) {
                double want = 0, scale = 0;
                for (int k = 0; k < 256; k++) {
                    want += xq[k] * w.value[j * 256 + k];
                    scale += fabs(xq[k] * w.value[j * 256 + k]);
                }
                assert_true(fabs((double)y[j] - want) <= 4e-6 * scale);
            }
        }
        store_value(w.scales.p, 4 * 4 + 1, KN_F32, NAN); /* spoils weight row 4 */
        {
            float x[256], y[35];
            normals(&r, x, 256, 1);
            assert_int_equal(project(&w.m, x, 256, y, 35, 1), MLXE_OK);
            for (int j = 0; j < 35; j++)
                assert_int_equal(isnan(y[j]) != 0, j == 4);
        }
        matrix_free(&w);
    }
}

static void empty_and_cancelled(void **state)
{
    rng r = {17};
    matrix w = matrix_new(&r, 3, 64, 4, 32, KN_F16, 1);
    float x[64] = {0}, y[3] = {1, 2, 3}, bias[3] = {10, 20, 30};
    kn_matrix e = w.m;
    kn_input in = {.x = x, .ldx = 64};
    kn_projection p = {&e, bias, y, 3, 1, KN_ROUND_8};
    atomic_int cancel = 1;
    (void)state;
    EACH_TABLE
    {
        uint64_t before = kn_count(KN_COUNT_LINEAR_INT8);
        in.m = 0;
        assert_int_equal(kn_project(&in, &p, 1, NULL), MLXE_OK);
        e.n = 0;
        in.m = 1;
        assert_int_equal(kn_project(&in, &p, 1, NULL), MLXE_OK);
        assert_true(y[0] == 1 && y[1] == 2 && y[2] == 3);
        e.n = 3;
        e.k = 0;
        assert_int_equal(kn_project(&in, &p, 1, NULL), MLXE_OK);
        assert_true(y[0] == 11 && y[1] == 22 && y[2] == 33);
        e.k = 64;
        y[0] = 1, y[1] = 2, y[2] = 3;
        assert_int_equal(kn_project(&in, &p, 1, &cancel), MLXE_E_CANCELLED);
        assert_int_equal(kn_count(KN_COUNT_LINEAR_INT8) - before, 4);
    }
    matrix_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_storage),
        cmocka_unit_test(random_shapes),
        cmocka_unit_test(extremes),
        cmocka_unit_test(any_company_same_bits),
        cmocka_unit_test(sets_are_single_steps),
        cmocka_unit_test(not_numbers_and_sizes),
        cmocka_unit_test(empty_and_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
