/* test_experts.c: pairs of rows and matrices against f64 arithmetic, in every storage and
 * precision; the same bits as each pair alone, whoever else is routed; rows that are no numbers;
 * the weighted sum of a row's experts. */
#include "util.h"

enum { MOST = 6, MOST_PAIRS = MOST * 130, MOST_N = 130 };

/* kind: dense f32 f16 bf16, mxfp4 mxfp8 nvfp4, then 2 3 4 5 6 8 bits */
static matrix random_matrix(rng *r, int kind, int group, int64_t n, int64_t k)
{
    if (kind < 3) return matrix_new(r, n, k, 0, 0, (kn_dtype)kind, 1);
    if (kind < 6) return matrix_new_fp(r, n, k, (kn_mode)(kind - 2), 1);
    return matrix_new(r, n, k, ALL_BITS[kind - 5], group, (kn_dtype)rng_int(r, 0, 2), 1);
}

typedef struct layer {
    int count, tokens;
    int64_t n, k, pairs, first[MOST + 1];
    int32_t row[MOST_PAIRS];
    matrix own[MOST];
    kn_matrix w[MOST];
    room x;
    float *bias; /* [count,n] */
} layer;

/* Experts of one kind, or of any; some have no pairs, some many. */
static void layer_new(rng *r, int kind, layer *l)
{
    static const int groups[] = {32, 64, 128};
    int mixed = rng_int(r, 0, 3) == 0, group = groups[rng_int(r, 0, 2)];
    memset(l, 0, sizeof *l);
    l->count = rng_int(r, 1, MOST);
    l->tokens = rng_int(r, 1, 40);
    l->n = rng_int(r, 1, MOST_N);
    l->k = (int64_t)rng_int(r, 1, rng_int(r, 0, 3) ? 5 : 10) * 128;
    l->x = room_new((size_t)(l->tokens * l->k) * 4, 8);
    normals(r, l->x.p, (size_t)(l->tokens * l->k), 1);
    l->bias = calloc((size_t)(l->count * l->n), sizeof *l->bias);
    assert_non_null(l->bias);
    normals(r, l->bias, (size_t)(l->count * l->n), 5);
    for (int e = 0; e < l->count; e++) {
        int rows = rng_int(r, 0, 2) ? rng_int(r, 0, 3) : rng_int(r, 0, 130);
        l->own[e] = random_matrix(r, mixed ? rng_int(r, 0, 11) : kind,
                                  mixed ? groups[rng_int(r, 0, 2)] : group, l->n, l->k);
        l->w[e] = l->own[e].m;
        for (int j = 0; j < rows; j++)
            l->row[l->pairs++] = rng_int(r, 0, l->tokens - 1);
        l->first[e + 1] = l->pairs;
    }
}

static void layer_free(layer *l)
{
    for (int e = 0; e < l->count; e++)
        matrix_free(&l->own[e]);
    room_free(l->x);
    free(l->bias);
}

static kn_input input_of(const layer *l, kn_precision precision)
{
    return (kn_input){.x = l->x.p, .ldx = l->k, .m = l->tokens, .precision = precision};
}

static kn_routes routes_of(const layer *l) { return (kn_routes){l->first, l->row, l->count}; }

/* One pair's y against f64 over what the kernels may see of x, some columns of it. */
static void check_pair(const layer *l, int e, const float *x, const kn_input *in,
                       kn_rounding rounding, const float *bias, const float *y)
{
    double *seen = calloc((size_t)l->k, sizeof *seen);
    int whole = in->precision == KN_DEFAULT && kn_whole(&l->w[e]);
    assert_non_null(seen);
    if (whole)
        rounded(x, (int)l->k, kn_unit(&l->w[e]), rounding, seen);
    else
        for (int64_t c = 0; c < l->k; c++)
            seen[c] = (double)x[c];
    for (int64_t j = 0; j < l->n; j += 1 + l->n / 20) {
        double want = bias ? (double)bias[j] : 0, size = 1e-3 + fabs(want);
        for (int64_t c = 0; c < l->k; c++) {
            double v = seen[c] * l->own[e].value[j * l->k + c];
            want += v;
            size += fabs(v);
        }
        if (!(fabs((double)y[j] - want) <= 4e-6 * size))
            fail_msg("%s bits %d mode %d group %d n %d k %d rounding %d: %g, want %g", kn_isa(),
                     l->w[e].bits, (int)l->w[e].mode, l->w[e].group, (int)l->n, (int)l->k,
                     (int)rounding, (double)y[j], want);
    }
    free(seen);
}

static void routed(void **state)
{
    rng r = {31};
    (void)state;
    EACH_TABLE
    for (int i = 0; i < rounds(72); i++) {
        static layer l;
        kn_precision precision = i / 12 % 3 == 2 ? KN_PRECISE : KN_DEFAULT;
        kn_rounding rounding = (kn_rounding)(i / 12 % 2);
        kn_input in;
        kn_routes to;
        kn_projection p;
        float *y, one[MOST_N];
        uint64_t before = kn_count(KN_COUNT_LINEAR_INT8), whole = 0;
        layer_new(&r, i % 12, &l);
        in = input_of(&l, precision);
        to = routes_of(&l);
        y = malloc((size_t)(l.pairs * l.n + 1) * sizeof *y);
        assert_non_null(y);
        p = (kn_projection){l.w, i & 1 ? l.bias : NULL, y, l.n, 0, rounding};
        for (int e = 0; e < l.count; e++)
            whole |= l.first[e + 1] > l.first[e] && kn_whole(&l.w[e]) && precision == KN_DEFAULT;
        assert_int_equal(kn_project_experts(&in, &to, &p, NULL), MLXE_OK);
        assert_int_equal(kn_count(KN_COUNT_LINEAR_INT8) - before, whole);
        for (int e = 0; e < l.count; e++)
            for (int64_t q = l.first[e]; q < l.first[e + 1]; q++) {
                const float *x = in.x + l.row[q] * l.k, *bias = p.bias ? p.bias + e * l.n : NULL;
                kn_input alone = {.x = x, .ldx = l.k, .m = 1, .precision = precision};
                kn_projection single = {&l.w[e], bias, one, l.n, 0, rounding};
                if (q - l.first[e] > 3 && q % 5) continue;
                if (q % 3 == 0) check_pair(&l, e, x, &in, rounding, bias, y + q * l.n);
                assert_int_equal(kn_project(&alone, &single, 1, NULL), MLXE_OK);
                assert_memory_equal(one, y + q * l.n, (size_t)l.n * sizeof *one);
            }
        layer_free(&l);
        free(y);
    }
}

/* A gate with its up: the bits of kn_project_gated for each pair. */
static void gated(void **state)
{
    rng r = {33};
    (void)state;
    EACH_TABLE
    for (int i = 0; i < rounds(36); i++) {
        static layer l;
        matrix ups[MOST];
        kn_matrix up[MOST];
        kn_precision precision = i % 5 ? KN_DEFAULT : KN_PRECISE;
        kn_rounding rounding = (kn_rounding)(i & 1);
        kn_act act = (kn_act)(i % 4);
        uint64_t before = kn_count(KN_COUNT_EXPERTS);
        kn_input in;
        kn_routes to;
        kn_projection g, u;
        float *y, one[MOST_N];
        layer_new(&r, i % 12, &l);
        for (int e = 0; e < l.count; e++) {
            ups[e] =
                random_matrix(&r, rng_int(&r, 0, 1) ? i % 12 : rng_int(&r, 0, 11), 64, l.n, l.k);
            up[e] = ups[e].m;
        }
        in = input_of(&l, precision);
        to = routes_of(&l);
        y = malloc((size_t)(l.pairs * l.n + 1) * sizeof *y);
        assert_non_null(y);
        g = (kn_projection){l.w, i % 3 ? l.bias : NULL, y, l.n, 0, rounding};
        u = (kn_projection){.w = up, .bias = i % 3 == 1 ? l.bias : NULL};
        assert_int_equal(kn_project_experts_gated(&in, &to, act, &g, &u, NULL), MLXE_OK);
        assert_int_equal(kn_count(KN_COUNT_EXPERTS) - before, 1);
        for (int e = 0; e < l.count; e++)
            for (int64_t q = l.first[e]; q < l.first[e + 1]; q++) {
                kn_input alone = {
                    .x = in.x + l.row[q] * l.k, .ldx = l.k, .m = 1, .precision = precision};
                kn_projection gate = {&l.w[e], NULL, one, l.n, 0, rounding};
                kn_projection other = {&up[e], NULL, NULL, l.n, 0, rounding};
                if (q - l.first[e] > 3 && q % 5) continue;
                if (g.bias) gate.bias = g.bias + e * l.n;
                if (u.bias) other.bias = u.bias + e * l.n;
                assert_int_equal(kn_project_gated(&alone, act, &gate, &other, NULL), MLXE_OK);
                assert_memory_equal(one, y + q * l.n, (size_t)l.n * sizeof *one);
            }
        for (int e = 0; e < l.count; e++)
            matrix_free(&ups[e]);
        layer_free(&l);
        free(y);
    }
}

/* NaN and infinity spoil the pairs of their row and no other; tiny rows give zeros, great ones stay
 * exact. x ends where its memory ends and is not aligned. */
static void not_numbers_and_sizes(void **state)
{
    enum { N = 35, K = 256, COUNT = 3, PAIRS = 12 };
    static const float SIZES[] = {0, 1e-42f, 1e-35f, 1e-20f, 1e20f, 1e30f};
    (void)state;
    EACH_TABLE
    for (int kind = 6; kind < 12; kind++) {
        rng r = {34};
        layer l = {.count = COUNT, .n = N, .k = K, .pairs = PAIRS, .first = {0, 1, 1, PAIRS}};
        kn_rounding rounding = (kn_rounding)(kind & 1);
        kn_input in = {.ldx = K, .precision = KN_DEFAULT};
        kn_routes to = routes_of(&l);
        float y[PAIRS * N];
        kn_projection p = {l.w, NULL, y, N, 0, rounding};
        room x = room_new(PAIRS * K * 4, 4);
        in.x = x.p;
        for (int e = 0; e < COUNT; e++) {
            l.own[e] = random_matrix(&r, kind, 64, N, K);
            l.w[e] = l.own[e].m;
        }
        for (int i = 0; i < PAIRS; i++)
            l.row[i] = i % 6; /* of six rows, each in two pairs */
        for (int bad = 0; bad < 3; bad++) {
            float *v = normals(&r, x.p, PAIRS * K, 1);
            v[4 * K + 200] = bad ? bad == 1 ? INFINITY : -INFINITY : NAN;
            assert_int_equal(kn_project_experts(&in, &to, &p, NULL), MLXE_OK);
            for (int i = 0; i < PAIRS * N; i++)
                assert_int_equal(isnan(y[i]) != 0, l.row[i / N] == 4);
        }
        for (int i = 0; i < 6; i++)
            normals(&r, (float *)x.p + i * K, K, SIZES[i]);
        assert_int_equal(kn_project_experts(&in, &to, &p, NULL), MLXE_OK);
        for (int q = 0; q < PAIRS; q++) {
            double seen[K];
            rounded(in.x + l.row[q] * K, K, 64, rounding, seen);
            for (int j = 0; j < N; j++) {
                double want = 0, size = 0;
                for (int c = 0; c < K; c++) {
                    want += seen[c] * l.own[q ? 2 : 0].value[j * K + c];
                    size += fabs(seen[c] * l.own[q ? 2 : 0].value[j * K + c]);
                }
                assert_true(fabs((double)y[q * N + j] - want) <= 4e-6 * size);
            }
        }
        for (int e = 0; e < COUNT; e++)
            matrix_free(&l.own[e]);
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
    kn_input in = {.x = y, .ldx = 4};
    kn_routes nobody = {first, NULL, 1};
    kn_projection p = {.w = &none, .y = out, .ldy = 3};
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
    assert_int_equal(kn_project_experts(&in, &nobody, &p, NULL), MLXE_OK);
    assert_int_equal(kn_project_experts_gated(&in, &nobody, KN_SILU, &p, &p, NULL), MLXE_OK);
}

/* The flag ends a run, whatever way the weights are used. */
static void cancelled(void **state)
{
    rng r = {35};
    (void)state;
    EACH_TABLE
    for (int kind = 0; kind < 12; kind++) {
        static layer l;
        atomic_int flag = 1;
        kn_input in;
        kn_routes to;
        kn_projection p;
        layer_new(&r, kind, &l);
        in = input_of(&l, KN_DEFAULT);
        to = routes_of(&l);
        p = (kn_projection){.w = l.w, .ldy = l.n};
        p.y = malloc((size_t)(l.pairs * l.n + 1) * sizeof *p.y);
        assert_non_null(p.y);
        assert_int_equal(kn_project_experts(&in, &to, &p, &flag),
                         l.pairs ? MLXE_E_CANCELLED : MLXE_OK);
        free(p.y);
        layer_free(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(routed), cmocka_unit_test(gated),
                                       cmocka_unit_test(not_numbers_and_sizes),
                                       cmocka_unit_test(combined), cmocka_unit_test(cancelled)};
    assert_int_equal(kn_pool_start(2, NULL), MLXE_OK);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
