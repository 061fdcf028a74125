/* test_rows.c: RMSNorm, gated activations and rope against f64. */
#include "util.h"

static const char *const ACTS[] = {"silu", "gelu", "gelu_tanh", "relu"};

static double act(kn_act a, double x)
{
    switch (a) {
    case KN_SILU:
        return x / (1 + exp(-x));
    case KN_GELU:
        return 0.5 * x * erfc(-x * 0.70710678118654752440);
    case KN_GELU_TANH: { /* 0.5 x (1 + tanh u), without its cancellation */
        double u = 0.79788456080286535588 * (x + 0.044715 * x * x * x);
        return x / (1 + exp(-2 * u));
    }
    default:
        return x > 0 ? x : 0;
    }
}

/* Relative error of an activation at x; results near the end of the range count absolutely. What
 * the argument of exp loses by rounding grows with it: 1 ulp of a number near 80 is 80 ulp. */
static void check_act(kn_act a, float x, float got)
{
    double want = act(a, (double)x), d = fabs((double)x);
    double exponent = a == KN_SILU ? d : a == KN_GELU ? d * d / 2 : 1.6 * d + 0.0714 * d * d * d;
    double tail = x < 0 && a != KN_RELU ? 8e-7 + 2.4e-7 * exponent : 8e-7;
    if (!(fabs((double)got - want) <= tail * fabs(want) + 2e-38 * 1e-3))
        fail_msg("%s %s(%a = %g): got %a = %g, want %g", kn_isa(), ACTS[a], (double)x, (double)x,
                 (double)got, (double)got, want);
}

static void activations(void **state)
{
    rng r = {21};
    (void)state;
    EACH_TABLE
    for (int a = 0; a < 4; a++) {
        enum { N = 4099 };
        static float x[N], up[N], y[N];
        for (int round = 0; round < 12; round++) {
            for (int i = 0; i < N; i++) {
                double size = round < 4 ? 1 : round < 8 ? 10 : pow(10, rng_unit(&r) * 80 - 40);
                x[i] = (float)((double)rng_normal(&r) * size);
                up[i] = 1;
            }
            assert_int_equal(kn_gated((kn_act)a, x, N, up, N, y, N, 1, N, NULL), MLXE_OK);
            for (int i = 0; i < N; i++)
                if (isfinite(x[i])) check_act((kn_act)a, x[i], y[i]);
        }
        x[0] = NAN, x[1] = INFINITY, x[2] = 0, x[3] = -0.0f, x[4] = 3.4e38f, x[5] = -3.4e38f;
        assert_int_equal(kn_gated((kn_act)a, x, N, up, N, y, N, 1, N, NULL), MLXE_OK);
        assert_true(isnan(y[0]));
        assert_true(y[1] == INFINITY && y[2] == 0 && y[3] == 0 && y[4] == 3.4e38f && y[5] == 0);
    }
}

/* Strides, odd sizes, the output in the gate's place, a NaN in `up`. */
static void gated_shapes(void **state)
{
    rng r = {22};
    (void)state;
    EACH_TABLE
    for (int i = 0; i < 60; i++) {
        kn_act a = (kn_act)rng_int(&r, 0, 3);
        int m = rng_int(&r, 0, 9), f = i % 10 ? rng_int(&r, 0, 70) : rng_int(&r, 4000, 9000);
        int64_t ldg = f + rng_int(&r, 0, 3), ldu = f + rng_int(&r, 0, 3);
        size_t ng = m ? (size_t)((m - 1) * ldg + f) : 0, nu = m ? (size_t)((m - 1) * ldu + f) : 0;
        room g = room_new(ng * 4, 8), u = room_new(nu * 4, 4), keep = room_new(ng * 4, 0);
        float *gp = normals(&r, g.p, ng, 3), *up = normals(&r, u.p, nu, 3), *kp = keep.p;
        memcpy(kp, gp, ng * 4);
        if (nu) up[nu - 1] = NAN;
        assert_int_equal(kn_gated(a, gp, ldg, up, ldu, gp, ldg, m, f, NULL), MLXE_OK);
        for (int j = 0; j < m; j++)
            for (int64_t k = 0; k < ldg && (j < m - 1 || k < f); k++) {
                float got = gp[j * ldg + k], x = kp[j * ldg + k];
                if (k >= f)
                    assert_true(got == x); /* between rows nothing is written */
                else if (isnan(up[j * ldu + k]))
                    assert_true(isnan(got));
                else if (!(fabs((double)got - act(a, (double)x) * (double)up[j * ldu + k]) <=
                           1e-6 * (fabs((double)x) + 0.1) * (fabs((double)up[j * ldu + k]) + 0.1)))
                    fail_msg("%s %s m %d f %d at %d,%d", kn_isa(), ACTS[a], m, f, j, (int)k);
            }
        room_free(g);
        room_free(u);
        room_free(keep);
    }
}

static void norms(void **state)
{
    static const float SIZES[] = {1, 1, 1, 1e-30f, 1e-18f, 1e18f, 3e37f};
    rng r = {23};
    (void)state;
    EACH_TABLE
    for (int i = 0; i < 200; i++) {
        int m = rng_int(&r, 0, 9), e = i % 10 ? rng_int(&r, 1, 90) : rng_int(&r, 1000, 5000);
        int64_t ldx = e + rng_int(&r, 0, 3), ldy = e + rng_int(&r, 0, 3);
        int in_place = rng_int(&r, 0, 1), with_weight = rng_int(&r, 0, 1);
        float size = SIZES[rng_int(&r, 0, 6)], eps = rng_int(&r, 0, 1) ? 1e-6f : 1e-5f;
        size_t nx = m ? (size_t)((m - 1) * ldx + e) : 0, ny = m ? (size_t)((m - 1) * ldy + e) : 0;
        room x = room_new(nx * 4, 8), y = room_new(ny * 4, 4), w = room_new((size_t)e * 4, 4);
        float *xp = normals(&r, x.p, nx, size), *wp = normals(&r, w.p, (size_t)e, 1);
        double *want = calloc((size_t)(m * e) + 1, sizeof *want);
        const float *out = in_place ? xp : y.p;
        int64_t ldo = in_place ? ldx : ldy;
        assert_non_null(want);
        for (int j = 0; j < m; j++) {
            double sum = 0;
            for (int k = 0; k < e; k++)
                sum += (double)xp[j * ldx + k] * (double)xp[j * ldx + k];
            for (int k = 0; k < e; k++)
                want[j * e + k] = (double)xp[j * ldx + k] / sqrt(sum / e + (double)eps) *
                                  (with_weight ? (double)wp[k] : 1);
        }
        assert_int_equal(kn_rms_norm(xp, ldx, with_weight ? wp : NULL, eps, in_place ? xp : y.p,
                                     ldo, m, e, NULL),
                         MLXE_OK);
        for (int j = 0; j < m * e; j++) {
            double got = (double)out[j / e * ldo + j % e];
            if (!(fabs(got - want[j]) <= 4e-7 * fabs(want[j]) + 1e-44))
                fail_msg("%s m %d e %d size %g at %d: got %g, want %g", kn_isa(), m, e,
                         (double)size, j, got, want[j]);
        }
        free(want);
        room_free(x);
        room_free(y);
        room_free(w);
    }
}

static void norm_not_numbers(void **state)
{
    float x[3 * 40], y[3 * 40];
    (void)state;
    EACH_TABLE
    {
        for (int i = 0; i < 120; i++)
            x[i] = 1;
        x[50] = NAN;
        assert_int_equal(kn_rms_norm(x, 40, NULL, 1e-6f, y, 40, 3, 40, NULL), MLXE_OK);
        for (int i = 0; i < 120; i++)
            assert_int_equal(isnan(y[i]) != 0, i / 40 == 1);
    }
}

static void rope(void **state)
{
    rng r = {24};
    (void)state;
    EACH_TABLE
    for (int i = 0; i < 150; i++) {
        int m = rng_int(&r, 0, 6), heads = rng_int(&r, 1, 5), rot = 2 * rng_int(&r, 1, 90);
        int d = rot + rng_int(&r, 0, 9);
        int64_t ldx = (int64_t)heads * d + rng_int(&r, 0, 5);
        size_t n = m ? (size_t)((m - 1) * ldx + (int64_t)heads * d) : 0;
        float inv[90];
        kn_angles angles = {inv, rng_int(&r, 0, 1) ? 1.0f : 1.3f, d, rot, 0};
        room x = room_new(n * 4, 8), keep = room_new(n * 4, 0);
        float *xp = normals(&r, x.p, n, 1), *kp = keep.p;
        kn_heads set = {.x = xp, .heads = heads};
        memcpy(kp, xp, n * 4);
        angles.start = rng_int(&r, 0, rng_int(&r, 0, 1) ? 100 : 200000);
        for (int j = 0; j < rot / 2; j++)
            inv[j] = (float)pow(10000, -2.0 * j / rot);
        assert_int_equal(kn_rope(&set, 1, &angles, ldx, m, NULL), MLXE_OK);
        for (size_t at = 0; at < n; at++) {
            int64_t row = (int64_t)at / ldx, col = (int64_t)at % ldx;
            int k = (int)(col % d), pair = k % (rot / 2);
            int64_t head = (int64_t)at - k;
            double angle = (double)((float)(angles.start + row) * inv[pair]), a, b, want;
            if (col >= (int64_t)heads * d || k >= rot) { /* gaps and the rest of a head stay */
                assert_memory_equal(&xp[at], &kp[at], 4);
                continue;
            }
            a = (double)kp[head + pair];
            b = (double)kp[head + pair + rot / 2];
            want = k < rot / 2 ? a * cos(angle) - b * sin(angle) : b * cos(angle) + a * sin(angle);
            want *= (double)angles.mscale;
            assert_true(fabs((double)xp[at] - want) <= 3e-7 * (fabs(a) + fabs(b)) + 1e-30);
        }
        room_free(x);
        room_free(keep);
    }
}

/* Two sets at once, with norms, over many chunks: the same bits as norm and rope one after the
 * other, row by row; a fixed set is only normalised. */
static void rope_of_sets(void **state)
{
    enum { M = 100, D = 24, Q = 5, KV = 2, LD = (Q + KV) * D };
    rng r = {25};
    float x[M * LD], want[M * LD], weights[2][D], inv[9]; /* 18 of 24 dims turn */
    (void)state;
    for (int j = 0; j < 9; j++)
        inv[j] = (float)pow(10000, -j / 9.0);
    EACH_TABLE
    for (int fixed = 0; fixed < 2; fixed++) {
        kn_angles all = {inv, 1.2f, D, 18, 70}, one = all;
        kn_heads set[] = {{x, weights[0], 1e-6f, Q, 0}, {x + Q * D, weights[1], 1e-5f, KV, fixed}};
        normals(&r, weights[0], 2 * D, 1);
        memcpy(want, normals(&r, x, M * LD, 2), sizeof want);
        assert_int_equal(kn_rope(set, 2, &all, LD, M, NULL), MLXE_OK);
        for (int i = 0; i < M; i++) {
            float *q = want + i * LD, *k = q + Q * D;
            kn_heads sets[] = {{.x = q, .heads = Q}, {.x = k, .heads = KV}};
            one.start = all.start + i;
            kn_rms_norm(q, D, weights[0], 1e-6f, q, D, Q, D, NULL);
            kn_rms_norm(k, D, weights[1], 1e-5f, k, D, KV, D, NULL);
            for (int s = 0; s < 2 - fixed; s++)
                assert_int_equal(kn_rope(&sets[s], 1, &one, LD, 1, NULL), MLXE_OK);
        }
        assert_memory_equal(x, want, sizeof want);
    }
}

static void counted(void **state)
{
    uint64_t before[3] = {kn_count(KN_COUNT_RMS_NORM), kn_count(KN_COUNT_GATED),
                          kn_count(KN_COUNT_ROPE)};
    float x[8] = {1, 2, 3, 4, 5, 6, 7, 8}, inv[2] = {1, 0.5f};
    kn_angles angles = {inv, 1, 4, 4, 3};
    kn_heads set = {.x = x, .heads = 2};
    (void)state;
    kn_rms_norm(x, 8, NULL, 1e-6f, x, 8, 1, 8, NULL);
    kn_gated(KN_SILU, x, 8, x, 8, x, 8, 1, 8, NULL);
    kn_rope(&set, 1, &angles, 8, 1, NULL);
    assert_int_equal(kn_count(KN_COUNT_RMS_NORM) - before[0], 1);
    assert_int_equal(kn_count(KN_COUNT_GATED) - before[1], 1);
    assert_int_equal(kn_count(KN_COUNT_ROPE) - before[2], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(activations), cmocka_unit_test(gated_shapes),
        cmocka_unit_test(norms),       cmocka_unit_test(norm_not_numbers),
        cmocka_unit_test(rope),        cmocka_unit_test(rope_of_sets),
        cmocka_unit_test(counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
