/* torture.h: random calls of random kernels, each against f64, on a pool with 3 threads.
 *
 * test_torture.c runs 2,000 of them, full_torture.c 10,000. Unlike the tests of single kernels the
 * calls follow one another on the same pool with changing shapes, tables and cancel flags. */
#ifndef TESTS_KERNELS_TORTURE_H
#define TESTS_KERNELS_TORTURE_H

#include "util.h"

static void random_linear(rng *r)
{
    static const int groups[] = {32, 64, 128};
    int bits = ALL_BITS[rng_int(r, 0, 6)], group = groups[rng_int(r, 0, 2)];
    int m = rng_int(r, 1, rng_int(r, 0, 7) ? 9 : 150), n = rng_int(r, 1, 80);
    int k = bits ? group * rng_int(r, 1, 6) : rng_int(r, 1, 500);
    matrix w = !(bits == 4 || bits == 8) || rng_int(r, 0, 1)
                   ? matrix_new(r, n, k, bits, group, (kn_dtype)rng_int(r, 0, 2), 1)
                   : matrix_new_fp(r, n, k,
                                   bits == 8 ? KN_MXFP8
                                   : k % 64  ? KN_MXFP4
                                             : KN_NVFP4,
                                   1);
    room x = room_new((size_t)(m * k) * 4, 8), y = room_new((size_t)(m * n) * 4, 8);
    float *xp = normals(r, x.p, (size_t)(m * k), 1), *yp = y.p;
    atomic_int flag = !rng_int(r, 0, 19);
    mlxe_status rc = kn_linear(&w.m, NULL, xp, k, yp, n, m, 0, &flag);
    assert_int_equal(rc, flag ? MLXE_E_CANCELLED : MLXE_OK);
    for (int s = 0; !rc && s < 40; s++) { /* a sample of the elements */
        int i = rng_int(r, 0, m - 1), j = rng_int(r, 0, n - 1);
        double want = 0, scale = 1e-3;
        for (int at = 0; at < k; at++) {
            double p = (double)xp[i * k + at] * w.value[j * k + at];
            want += p;
            scale += fabs(p);
        }
        if (!(fabs((double)yp[i * n + j] - want) <= 2e-6 * scale))
            fail_msg("%s m %d n %d k %d bits %d: got %g, want %g", kn_isa(), m, n, k, bits,
                     (double)yp[i * n + j], want);
    }
    room_free(x);
    room_free(y);
    matrix_free(&w);
}

/* Any storage; k is a multiple of 128. */
static matrix random_matrix(rng *r, int n, int k)
{
    static const int groups[] = {32, 64, 128};
    int mode = rng_int(r, 0, 5);
    if (mode > KN_AFFINE && mode <= KN_NVFP4) return matrix_new_fp(r, n, k, (kn_mode)mode, 1);
    return matrix_new(r, n, k, ALL_BITS[rng_int(r, 0, 6)], groups[rng_int(r, 0, 2)],
                      (kn_dtype)rng_int(r, 0, 2), 1);
}

/* What f32 may lose of x . w, and what rounding x by half a step may: a step is the greatest value
 * of a unit, here of 128 values, in so many `steps`; 0: no rounding. */
static double product_of(const float *x, const double *w, int k, double steps, double *slack)
{
    double sum = 0;
    *slack = 1e-5;
    for (int u = 0; u < k; u += 128) {
        double greatest = 0, weights = 0;
        for (int i = u; i < u + 128 && i < k; i++) {
            sum += (double)x[i] * w[i];
            *slack += 4e-6 * fabs((double)x[i] * w[i]);
            greatest = fmax(greatest, fabs((double)x[i]));
            weights += fabs(w[i]);
        }
        if (steps > 0) *slack += greatest / steps * 0.51 * weights;
    }
    return sum;
}

/* Sets of projections with a norm before, biases, old values, in both precisions. */
static void random_project(rng *r)
{
    int m = rng_int(r, 1, rng_int(r, 0, 7) ? 9 : 150), k = 128 * rng_int(r, 1, 5);
    int n = rng_int(r, 1, KN_SET), with_norm = rng_int(r, 0, 2);
    room x = room_new((size_t)(m * k) * 4, 8), normed = room_new((size_t)(m * k) * 4, 0);
    float *xp = normals(r, x.p, (size_t)(m * k), 2), weight[640], bias[80];
    kn_input in = {.x = xp,
                   .ldx = k,
                   .m = m,
                   .norm = with_norm ? weight : NULL,
                   .eps = 1e-5f,
                   .precision = (kn_precision)rng_int(r, 0, 1),
                   .norm_kind = with_norm == 2 ? KN_NORM_LAYER : KN_NORM_RMS};
    matrix w[KN_SET];
    kn_projection set[KN_SET];
    atomic_int flag = !rng_int(r, 0, 19);
    mlxe_status rc;
    normals(r, weight, 640, 1);
    normals(r, bias, 80, 1);
    memcpy(normed.p, xp, (size_t)(m * k) * 4);
    if (with_norm == 1) kn_rms_norm(xp, k, weight, in.eps, normed.p, k, m, k, NULL);
    if (with_norm == 2) kn_layer_norm(xp, k, weight, NULL, in.eps, normed.p, k, m, k, NULL);
    for (int j = 0; j < n; j++) {
        w[j] = random_matrix(r, rng_int(r, 1, 80), k);
        set[j] = (kn_projection){.w = &w[j].m,
                                 .bias = rng_int(r, 0, 1) ? bias : NULL,
                                 .y = malloc((size_t)m * (size_t)w[j].m.n * sizeof(float)),
                                 .ldy = w[j].m.n,
                                 .accumulate = rng_int(r, 0, 1),
                                 .rounding = (kn_rounding)rng_int(r, 0, 1)};
        assert_non_null(set[j].y);
        for (int64_t i = 0; i < m * w[j].m.n; i++)
            set[j].y[i] = (float)(i % 7);
    }
    rc = kn_project(&in, set, n, &flag);
    assert_int_equal(rc, flag ? MLXE_E_CANCELLED : MLXE_OK);
    for (int s = 0; !rc && s < 40; s++) {
        int j = s % n, i = rng_int(r, 0, m - 1), col = rng_int(r, 0, (int)w[j].m.n - 1);
        int64_t at = i * w[j].m.n + col;
        double slack, steps = set[j].rounding == KN_ROUND_16 ? 16256 : 127, want;
        if (in.precision == KN_PRECISE || !w[j].m.bits) steps = 0;
        want = product_of((float *)normed.p + i * k, w[j].value + col * k, k, steps, &slack);
        if (set[j].bias) want += (double)bias[col];
        if (set[j].accumulate) want += (double)(at % 7);
        if (!(fabs((double)set[j].y[at] - want) <= slack))
            fail_msg("%s project m %d k %d bits %d mode %d norm %d: got %g, want %g +- %g",
                     kn_isa(), m, k, w[j].m.bits, w[j].m.mode, with_norm, (double)set[j].y[at],
                     want, slack);
    }
    for (int j = 0; j < n; j++) {
        free(set[j].y);
        matrix_free(&w[j]);
    }
    room_free(x);
    room_free(normed);
}

static void random_experts(rng *r)
{
    enum { COUNT = 5 };
    int n = rng_int(r, 1, 150), k = 128 * rng_int(r, 1, 4), tokens = rng_int(r, 1, 20);
    int squared = rng_int(r, 0, 1); /* relu(p) * p */
    int kind = rng_int(r, 0, 1), pairs = 0;
    int64_t first[COUNT + 1] = {0};
    int32_t row[COUNT * 110];
    matrix w[COUNT];
    kn_matrix m[COUNT];
    room x = room_new((size_t)(tokens * k) * 4, 8);
    float *xp = normals(r, x.p, (size_t)(tokens * k), 1), *y;
    kn_rounding rounding = (kn_rounding)rng_int(r, 0, 1);
    kn_input in = {.x = xp, .ldx = k, .precision = (kn_precision)rng_int(r, 0, 1)};
    kn_routes to = {first, row, COUNT};
    double steps = rounding == KN_ROUND_16 ? 16256 : 127;
    w[0] = random_matrix(r, n, k);
    for (int e = 0; e < COUNT; e++) {
        const kn_matrix *a = &w[0].m;
        int rows = rng_int(r, 0, 3) ? rng_int(r, 0, 3) : rng_int(r, 0, 110);
        if (e && a->mode) w[e] = matrix_new_fp(r, n, k, a->mode, 1);
        if (e && !a->mode) w[e] = matrix_new(r, n, k, a->bits, a->group, a->dtype, 1);
        m[e] = w[e].m;
        for (int j = 0; j < rows; j++)
            row[pairs] = kind ? rng_int(r, 0, tokens - 1) : pairs % tokens, pairs++;
        first[e + 1] = pairs;
    }
    y = malloc((size_t)(pairs * n + 1) * sizeof *y);
    assert_non_null(y);
    kn_projection all = {.w = m, .y = y, .ldy = n, .rounding = rounding};
    if (in.precision == KN_PRECISE || !w[0].m.bits) steps = 0;
    if (squared)
        assert_int_equal(kn_project_experts_gated(&in, &to, KN_RELU, &all, &all, NULL), MLXE_OK);
    else
        assert_int_equal(kn_project_experts(&in, &to, &all, NULL), MLXE_OK);
    for (int s = 0; pairs && s < 40; s++) {
        int p = rng_int(r, 0, pairs - 1), col = rng_int(r, 0, n - 1), e = 0;
        double slack, want;
        while (p >= first[e + 1])
            e++;
        want = product_of(xp + row[p] * k, w[e].value + col * k, k, steps, &slack);
        if (squared) {
            slack *= 2 * fabs(want) + slack;
            want = want > 0 ? want * want : 0;
        }
        if (!(fabs((double)y[p * n + col] - want) <= slack))
            fail_msg("%s experts n %d k %d bits %d mode %d: got %g, want %g", kn_isa(), n, k,
                     m[e].bits, m[e].mode, (double)y[p * n + col], want);
    }
    for (int e = 0; e < COUNT; e++)
        matrix_free(&w[e]);
    free(y);
    room_free(x);
}

static void random_attention(rng *r)
{
    kn_attn a = {.kv_heads = rng_int(r, 1, 3), .d = rng_int(r, 1, 80), .scale = 0.3f};
    int t = rng_int(r, 1, rng_int(r, 0, 3) ? 3 : 40), start = rng_int(r, 0, 200), ld, kv_ld;
    int n = start + t, capacity = (n + KN_KV_BLOCK - 1) / KN_KV_BLOCK * KN_KV_BLOCK;
    kn_kv_type type = (kn_kv_type)rng_int(r, 0, 3);
    size_t kv;
    void *memory;
    room q, k, v, o;
    kn_attn_row row;
    int i = rng_int(r, 0, t - 1), head, at, first = 0, p = start + i;
    double w[256], sum = 0;
    float sinks[12];
    a.heads = a.kv_heads * rng_int(r, 1, 4);
    a.window = rng_int(r, 0, 2) ? 0 : rng_int(r, 1, 90);
    a.softcap = rng_int(r, 0, 2) ? 0 : (float)rng_int(r, 1, 4);
    a.sinks = rng_int(r, 0, 2) ? NULL : normals(r, sinks, 12, 2);
    ld = a.heads * a.d;
    kv_ld = a.kv_heads * a.d;
    head = rng_int(r, 0, a.heads - 1);
    at = head / (a.heads / a.kv_heads) * a.d;
    kv = (size_t)(kv_ld * n);
    memory = malloc(kn_kv_bytes(type, a.kv_heads, a.d, capacity));
    assert_non_null(memory);
    q = room_new((size_t)(t * ld) * 4, 8);
    o = room_new((size_t)(t * ld) * 4, 8);
    k = room_new(kv * 4, 8);
    v = room_new(kv * 4, 8);
    row = (kn_attn_row){.q = normals(r, q.p, (size_t)(t * ld), 1),
                        .out = o.p,
                        .kv = kn_kv_over(memory, type, a.kv_heads, a.d, capacity),
                        .ldq = ld,
                        .ldo = ld,
                        .t = t,
                        .start = start};
    normals(r, k.p, kv, 1);
    normals(r, v.p, kv, 1);
    assert_int_equal(kn_kv_append(&row.kv, 0, n, k.p, v.p, kv_ld, NULL), MLXE_OK);
    kn_kv_read(&row.kv, n, k.p, v.p);
    assert_int_equal(kn_attention(&a, &row, 1, NULL), MLXE_OK);
    if (a.window && p - a.window + 1 > 0) first = p - a.window + 1;
    for (int s = first; s <= p; s++) {
        w[s] = 0;
        for (int j = 0; j < a.d; j++)
            w[s] +=
                (double)row.q[i * ld + head * a.d + j] * (double)((float *)k.p)[s * kv_ld + at + j];
        w[s] *= (double)a.scale;
        if (a.softcap > 0) w[s] = (double)a.softcap * tanh(w[s] / (double)a.softcap);
        w[s] = exp(w[s]);
        sum += w[s];
    }
    if (a.sinks) sum += exp((double)a.sinks[head]);
    for (int j = 0; j < a.d; j++) {
        double want = 0;
        for (int s = first; s <= p; s++)
            want += w[s] / sum * (double)((float *)v.p)[s * kv_ld + at + j];
        if (!(fabs((double)row.out[i * ld + head * a.d + j] - want) <= 1e-5))
            fail_msg("%s attention heads %d/%d d %d start %d t %d type %d", kn_isa(), a.heads,
                     a.kv_heads, a.d, start, t, type);
    }
    free(memory);
    room_free(q);
    room_free(k);
    room_free(v);
    room_free(o);
}

static void random_row(rng *r)
{
    int m = rng_int(r, 1, 12), n = rng_int(r, 1, 3000), at = rng_int(r, 0, m * n - 1);
    room x = room_new((size_t)(m * n) * 4, 8), y = room_new((size_t)(m * n) * 4, 4);
    float *xp = normals(r, x.p, (size_t)(m * n), 2), *yp = y.p, *row = xp + at / n * n;
    double v = (double)xp[at], want = 0, sum = 0, mean = 0;
    mlxe_status rc = MLXE_OK;
    switch (rng_int(r, 0, 3)) {
    case 0:
        rc = kn_gated(KN_SILU, xp, n, xp, n, yp, n, m, n, NULL);
        want = v * v / (1 + exp(-v));
        break;
    case 1:
        rc = kn_rms_norm(xp, n, NULL, 1e-5f, yp, n, m, n, NULL);
        for (int i = 0; i < n; i++)
            sum += (double)row[i] * (double)row[i];
        want = v / sqrt(sum / n + 1e-5);
        break;
    case 2:
        rc = kn_layer_norm(xp, n, NULL, NULL, 1e-5f, yp, n, m, n, NULL);
        for (int i = 0; i < n; i++)
            mean += (double)row[i] / n;
        for (int i = 0; i < n; i++)
            sum += ((double)row[i] - mean) * ((double)row[i] - mean);
        want = (v - mean) / sqrt(sum / n + 1e-5);
        break;
    default:
        rc = kn_softmax(xp, n, yp, n, m, n, NULL);
        for (int i = 0; i < n; i++)
            sum += exp((double)row[i]);
        want = exp(v) / sum;
    }
    assert_int_equal(rc, MLXE_OK);
    if (!(fabs((double)yp[at] - want) <= 1e-6 * fabs(want) + 1e-6))
        fail_msg("%s row of %d: got %g, want %g", kn_isa(), n, (double)yp[at], want);
    room_free(x);
    room_free(y);
}

/* The first of the greatest. */
static void random_top(rng *r)
{
    int n = rng_int(r, 1, 5000), k = rng_int(r, 1, 40), got, above = 0;
    room x = room_new((size_t)n * 4, 8);
    float *p = normals(r, x.p, (size_t)n, 1);
    int32_t ids[40];
    got = kn_top_k(p, n, k, ids);
    assert_int_equal(got, k < n ? k : n);
    for (int i = 1; i < got; i++)
        assert_true(p[ids[i - 1]] >= p[ids[i]]);
    for (int i = 0; i < n; i++)
        above += p[i] > p[ids[got - 1]];
    assert_true(above < got);
    room_free(x);
}

static void torture(uint64_t seed, int calls)
{
    const kn_ops *tables[8];
    int n = kn_tables(tables, 8);
    rng r = {seed};
    assert_int_equal(kn_pool_start(3, NULL), MLXE_OK);
    for (int i = 0; i < calls; i++) {
        int kind = rng_int(&r, 0, 14);
        kn_table_set(tables[rng_int(&r, 0, n - 1)]);
        if (kind < 5)
            random_linear(&r);
        else if (kind < 8)
            random_attention(&r);
        else if (kind < 10)
            random_project(&r);
        else if (kind < 12)
            random_experts(&r);
        else if (kind < 14)
            random_row(&r);
        else
            random_top(&r);
    }
}

#endif
