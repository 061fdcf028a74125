/* test_mx.c: the array interface against f64 arithmetic written out here, its failures, its
 * memory. */
#include "mx/mx.h"

#include "kernels/kernels.h"
#include "kernels/pool.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PLUGIN MLXE_BUILD_DIR "/lib/libmlxengine-mlx-cpu.so"

static uint64_t random_state = 12345;

static float random_float(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (float)((double)(random_state >> 33) / 2147483648.0 * 2 - 1);
}

static float *random_floats(size_t n)
{
    float *p = malloc(n * sizeof *p);
    assert_non_null(p);
    for (size_t i = 0; i < n; i++)
        p[i] = random_float();
    return p;
}

static double relative_rms(const float *got, const double *want, size_t n)
{
    double e = 0, s = 0;
    for (size_t i = 0; i < n; i++) {
        e += (got[i] - want[i]) * (got[i] - want[i]);
        s += want[i] * want[i];
    }
    return sqrt(e / (s > 0 ? s : 1));
}

/* Cases run on the MLX thread; cmocka's failures longjmp, so they are checked on the test's own. */

static void run(void (*fn)(void *), void *arg)
{
    mlxe_error err;
    assert_int_equal(mx_thread_run(fn, arg, &err), MLXE_OK);
}

static int setup(void **state)
{
    mlxe_error err;
    (void)state;
    if (kn_init(NULL, &err) || kn_pool_start(2, &err) || mx_runtime_start(PLUGIN, NULL, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    return 0;
}

/* ---- ops ------------------------------------------------------------------------------------- */

typedef struct binary_case {
    mx (*op)(mx_scope *, mx, mx);
    double (*f)(double, double);
    float got[6];
    mlxe_status status;
} binary_case;

static double f_add(double a, double b) { return a + b; }
static double f_sub(double a, double b) { return a - b; }
static double f_mul(double a, double b) { return a * b; }
static double f_div(double a, double b) { return a / b; }
static double f_max(double a, double b) { return a > b ? a : b; }

static const float A6[6] = {0.5f, -1.25f, 3, 0.001f, -7.5f, 2}, B3[3] = {2, -0.5f, 0.25f};

static void binary_run(void *arg)
{
    binary_case *c = arg;
    mx_scope *g;
    mx y;
    if ((c->status = mx_scope_open(NULL, &g, NULL))) return;
    y = c->op(g, mx_from(g, A6, MX_F32, (int32_t[]){2, 3}, 2),
              mx_from(g, B3, MX_F32, (int32_t[]){3}, 1));
    c->status = mx_eval(g, &y, 1, NULL);
    if (!c->status) c->status = mx_read(g, y, c->got, sizeof c->got, NULL);
    mx_scope_close(g);
}

static void elementwise(void **state)
{
    binary_case cases[] = {{.op = mx_add, .f = f_add},
                           {.op = mx_subtract, .f = f_sub},
                           {.op = mx_multiply, .f = f_mul},
                           {.op = mx_divide, .f = f_div},
                           {.op = mx_maximum, .f = f_max}};
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        run(binary_run, &cases[k]);
        assert_int_equal(cases[k].status, MLXE_OK);
        for (int i = 0; i < 6; i++)
            assert_true(fabs(cases[k].got[i] - cases[k].f(A6[i], B3[i % 3])) < 1e-6);
    }
}

typedef struct ops_case {
    mlxe_status status;
    mlxe_error err;
    double worst[16];
    int n;
} ops_case;

static void check(ops_case *c, mx_scope *g, mx y, const double *want, size_t n)
{
    float *got = calloc(n, sizeof *got);
    mlxe_status rc = mx_eval(g, &y, 1, &c->err);
    if (!rc) rc = mx_read(g, y, got, n * sizeof *got, &c->err);
    if (rc) c->status = rc;
    c->worst[c->n++] = rc ? 1 : relative_rms(got, want, n);
    free(got);
}

enum { T = 5, K = 64, N = 7 };

static void matrix_ops(void *arg)
{
    ops_case *c = arg;
    float *x = random_floats(T * K), *w = random_floats(N * K), *weight = random_floats(K);
    double want[T * K];
    mx_scope *g;
    for (int which = 0; which < 6; which++) {
        mx a, b;
        if ((c->status = mx_scope_open(NULL, &g, &c->err))) return;
        a = mx_from(g, x, MX_F32, (int32_t[]){T, K}, 2);
        b = mx_from(g, w, MX_F32, (int32_t[]){N, K}, 2);
        if (which == 0) { /* x . w^T through a transpose */
            for (int t = 0; t < T; t++)
                for (int n = 0; n < N; n++) {
                    want[t * N + n] = 0;
                    for (int k = 0; k < K; k++)
                        want[t * N + n] += (double)x[t * K + k] * w[n * K + k];
                }
            check(c, g, mx_matmul(g, a, mx_transpose(g, b, (int32_t[]){1, 0}, 2)), want, T * N);
        } else if (which == 1) { /* rms norm */
            for (int t = 0; t < T; t++) {
                double s = 0;
                for (int k = 0; k < K; k++)
                    s += (double)x[t * K + k] * x[t * K + k];
                for (int k = 0; k < K; k++)
                    want[t * K + k] = x[t * K + k] / sqrt(s / K + 1e-5) * weight[k];
            }
            check(c, g, mx_rms_norm(g, a, mx_from(g, weight, MX_F32, (int32_t[]){K}, 1), 1e-5f),
                  want, T * K);
        } else if (which == 2) { /* softmax */
            for (int t = 0; t < T; t++) {
                double s = 0;
                for (int k = 0; k < K; k++)
                    s += exp(x[t * K + k]);
                for (int k = 0; k < K; k++)
                    want[t * K + k] = exp(x[t * K + k]) / s;
            }
            check(c, g, mx_softmax(g, a, -1), want, T * K);
        } else if (which == 3) { /* slice, reshape, concatenate */
            mx half = mx_slice(g, a, (int32_t[]){1, 0}, (int32_t[]){3, K}, 2);
            mx both[2] = {half, half};
            for (int i = 0; i < 4 * K; i++)
                want[i] = x[K + i % (2 * K)];
            check(c, g, mx_reshape(g, mx_concatenate(g, both, 2, 0), (int32_t[]){2, 2 * K}, 2),
                  want, 4 * K);
        } else if (which == 4) { /* take, sigmoid, tanh, erf */
            int32_t ids[3] = {4, 0, 4};
            mx y = mx_take(g, a, mx_from(g, ids, MX_I32, (int32_t[]){3}, 1), 0);
            for (int i = 0; i < 3 * K; i++) {
                double v = x[ids[i / K] * K + i % K];
                want[i] = erf(tanh(1 / (1 + exp(-v))));
            }
            check(c, g, mx_erf(g, mx_tanh(g, mx_sigmoid(g, y))), want, 3 * K);
        } else { /* rope at offset 3, pairs (i, i + R/2) */
            float periods[K / 2];
            for (int i = 0; i < K / 2; i++)
                periods[i] = (float)pow(10000, 2.0 * i / K);
            for (int t = 0; t < T; t++)
                for (int i = 0; i < K / 2; i++) {
                    double angle = (t + 3) / (double)periods[i], p = x[t * K + i],
                           q = x[t * K + i + K / 2];
                    want[t * K + i] = p * cos(angle) - q * sin(angle);
                    want[t * K + i + K / 2] = q * cos(angle) + p * sin(angle);
                }
            a = mx_reshape(g, a, (int32_t[]){1, 1, T, K}, 4);
            check(c, g, mx_rope(g, a, K, 3, mx_from(g, periods, MX_F32, (int32_t[]){K / 2}, 1)),
                  want, T * K);
        }
        mx_scope_close(g);
    }
    free(x);
    free(w);
    free(weight);
}

static void matrices(void **state)
{
    ops_case c = {0};
    (void)state;
    run(matrix_ops, &c);
    if (c.status) print_message("%s\n", c.err.message);
    assert_int_equal(c.status, MLXE_OK);
    assert_int_equal(c.n, 6);
    for (int i = 0; i < c.n; i++)
        assert_true(c.worst[i] < 2e-6);
}

/* 4-bit codes packed as the format says: element k is bits [4k, 4k+4) of the row. */
static void quantized_run(void *arg)
{
    ops_case *c = arg;
    float *x = random_floats(T * K), scales[N], biases[N];
    uint32_t packed[N * K / 8] = {0};
    double want[N * K], product[T * N];
    mx_scope *g;
    for (int n = 0; n < N; n++) {
        scales[n] = random_float();
        biases[n] = random_float();
        for (int k = 0; k < K; k++) {
            uint32_t code = (uint32_t)(n * 5 + k * 3) % 16;
            packed[(n * K + k) / 8] |= code << (4 * (k % 8));
            want[n * K + k] = (double)code * scales[n] + biases[n];
        }
    }
    for (int t = 0; t < T; t++)
        for (int n = 0; n < N; n++) {
            product[t * N + n] = 0;
            for (int k = 0; k < K; k++)
                product[t * N + n] += x[t * K + k] * want[n * K + k];
        }
    for (int which = 0; which < 2; which++) {
        mx w, s, b;
        if ((c->status = mx_scope_open(NULL, &g, &c->err))) return;
        w = mx_wrap(g, packed + 0, MX_U32, (int32_t[]){N, K / 8}, 2);
        s = mx_from(g, scales, MX_F32, (int32_t[]){N, 1}, 2);
        b = mx_from(g, biases, MX_F32, (int32_t[]){N, 1}, 2);
        if (which)
            check(c, g, mx_dequantize(g, w, s, b, 64, 4), want, N * K);
        else
            check(
                c, g,
                mx_quantized_matmul(g, mx_from(g, x, MX_F32, (int32_t[]){T, K}, 2), w, s, b, 64, 4),
                product, T * N);
        mx_scope_close(g);
    }
    free(x);
}

static void quantized(void **state)
{
    ops_case c = {0};
    (void)state;
    run(quantized_run, &c);
    assert_int_equal(c.status, MLXE_OK);
    assert_true(c.worst[0] < 2e-6 && c.worst[1] < 2e-6);
}

/* Two query heads on one key head, a mask that hides the future. */
static void attention_run(void *arg)
{
    enum { H = 2, D = 8 };
    ops_case *c = arg;
    float *q = random_floats(H * T * D), *k = random_floats(T * D), *v = random_floats(T * D),
          mask[T * T];
    double want[H * T * D];
    mx_scope *g;
    for (int i = 0; i < T; i++)
        for (int s = 0; s < T; s++)
            mask[i * T + s] = s <= i ? 0 : -INFINITY;
    for (int h = 0; h < H; h++)
        for (int i = 0; i < T; i++) {
            double p[T], sum = 0;
            for (int s = 0; s <= i; s++) {
                double dot = 0;
                for (int d = 0; d < D; d++)
                    dot += (double)q[(h * T + i) * D + d] * k[s * D + d];
                sum += p[s] = exp(dot * 0.35);
            }
            for (int d = 0; d < D; d++) {
                want[(h * T + i) * D + d] = 0;
                for (int s = 0; s <= i; s++)
                    want[(h * T + i) * D + d] += p[s] / sum * v[s * D + d];
            }
        }
    if ((c->status = mx_scope_open(NULL, &g, &c->err))) return;
    check(c, g,
          mx_attention(g, mx_from(g, q, MX_F32, (int32_t[]){1, H, T, D}, 4),
                       mx_from(g, k, MX_F32, (int32_t[]){1, 1, T, D}, 4),
                       mx_from(g, v, MX_F32, (int32_t[]){1, 1, T, D}, 4), 0.35f,
                       mx_from(g, mask, MX_F32, (int32_t[]){T, T}, 2)),
          want, H * T * D);
    mx_scope_close(g);
    free(q);
    free(k);
    free(v);
}

static void attention(void **state)
{
    ops_case c = {0};
    (void)state;
    run(attention_run, &c);
    if (c.status) print_message("%s\n", c.err.message);
    assert_int_equal(c.status, MLXE_OK);
    assert_true(c.worst[0] < 2e-6);
}

static void dtypes_run(void *arg)
{
    ops_case *c = arg;
    static const mx_dtype HALF[] = {MX_F16, MX_BF16};
    double want[6];
    mx_scope *g;
    for (int i = 0; i < 6; i++)
        want[i] = A6[i];
    for (int k = 0; k < 2; k++) {
        if ((c->status = mx_scope_open(NULL, &g, &c->err))) return;
        check(
            c, g,
            mx_astype(g, mx_astype(g, mx_from(g, A6, MX_F32, (int32_t[]){6}, 1), HALF[k]), MX_F32),
            want, 6);
        mx_scope_close(g);
    }
    if ((c->status = mx_scope_open(NULL, &g, &c->err))) return;
    uint32_t best = 99;
    mx y = mx_argmax(g, mx_from(g, A6, MX_F32, (int32_t[]){6}, 1), 0);
    c->status = mx_eval(g, &y, 1, &c->err);
    if (!c->status) c->status = mx_read(g, y, &best, sizeof best, &c->err);
    c->worst[c->n++] = best == 2 ? 0 : 1;
    mx_scope_close(g);
}

static void dtypes(void **state)
{
    ops_case c = {0};
    (void)state;
    run(dtypes_run, &c);
    assert_int_equal(c.status, MLXE_OK);
    assert_true(c.worst[0] < 1e-3 && c.worst[1] < 5e-3 && c.worst[2] == 0);
}

/* ---- tasks, failures ------------------------------------------------------------------------- */

static mlxe_status double_task(const void *params, const mx_view *in, int n_in, mx_view *out,
                               const atomic_int *cancel, mlxe_error *err)
{
    const float *x = n_in ? in[0].data : NULL;
    float *y = out->data, factor = *(const float *)params;
    (void)cancel;
    if (factor < 0) return err_set(err, MLXE_E_LIMIT, "factor is %d", (int)factor);
    for (int64_t i = 0; i < out->size; i++)
        y[i] = (x ? x[i] : y[i]) * factor;
    return MLXE_OK;
}

typedef struct task_case {
    float factor, got[6];
    mlxe_status status, later;
    mlxe_error err, later_err;
    uint64_t ran;
} task_case;

static mx call_double(mx_scope *g, float factor, mx x)
{
    mx_call_spec spec = {.name = "double_task",
                         .task = double_task,
                         .params = &factor,
                         .params_bytes = sizeof factor,
                         .dtype = MX_F32,
                         .dims = 2,
                         .shape = {3, 2}};
    return mx_call(g, &spec, &x, 1);
}

static void task_run(void *arg)
{
    task_case *c = arg;
    uint64_t before = mx_calls_run();
    mx_scope *g;
    mx x, y;
    if ((c->status = mx_scope_open(NULL, &g, NULL))) return;
    x = mx_from(g, A6, MX_F32, (int32_t[]){2, 3}, 2);
    /* a transposed input: the task must see it row-major */
    y = mx_add(g, call_double(g, c->factor, mx_transpose(g, x, (int32_t[]){1, 0}, 2)),
               mx_scalar(g, 1, MX_F32));
    c->status = mx_eval(g, &y, 1, &c->err);
    if (!c->status) c->status = mx_read(g, y, c->got, sizeof c->got, &c->err);
    c->ran = mx_calls_run() - before;
    if (c->status) { /* the scope stays failed; nothing of it can be used */
        y = mx_add(g, x, x);
        c->later = y ? MLXE_OK : mx_scope_status(g, &c->later_err);
    }
    mx_scope_close(g);
}

static void tasks(void **state)
{
    task_case good = {.factor = 2}, bad = {.factor = -1}, again = {.factor = 3};
    (void)state;
    run(task_run, &good);
    assert_int_equal(good.status, MLXE_OK);
    assert_int_equal(good.ran, 1);
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 2; k++)
            assert_true(fabsf(good.got[i * 2 + k] - (2 * A6[k * 3 + i] + 1)) < 1e-6f);
    run(task_run, &bad);
    assert_int_equal(bad.status, MLXE_E_LIMIT);
    assert_string_equal(bad.err.message, "double_task: factor is -1");
    assert_int_equal(bad.later, MLXE_E_LIMIT);
    run(task_run, &again); /* the stream is clean after a failure */
    assert_int_equal(again.status, MLXE_OK);
}

static void shapes_run(void *arg)
{
    task_case *c = arg;
    mx_scope *g;
    mx y, kept;
    if ((c->status = mx_scope_open(NULL, &g, NULL))) return;
    y = mx_matmul(g, mx_from(g, A6, MX_F32, (int32_t[]){2, 3}, 2),
                  mx_from(g, A6, MX_F32, (int32_t[]){2, 3}, 2));
    c->ran = y != NULL;
    y = mx_add(g, y, y); /* NULL goes through */
    c->status = mx_eval(g, &y, 1, &c->err);
    mx_scope_close(g);
    if (mx_scope_open(NULL, &g, NULL)) return;
    kept = mx_from(g, A6, MX_F32, (int32_t[]){6}, 1);
    y = mx_add(g, kept, kept);
    (void)mx_eval(g, &y, 1, NULL); /* drops kept */
    y = mx_add(g, y, kept);
    c->later = mx_eval(g, &y, 1, &c->later_err);
    mx_scope_close(g);
}

static void failures(void **state)
{
    task_case c = {0};
    (void)state;
    run(shapes_run, &c);
    assert_int_equal(c.ran, 0);
    assert_int_equal(c.status, MLXE_E_ARG);
    assert_non_null(strstr(c.err.message, "mx_matmul of [2,3] [2,3]"));
    assert_int_equal(c.later, MLXE_E_STATE);
    assert_non_null(strstr(c.later_err.message, "dropped by an eval"));
}

static mx_scope *shared_scope;

static void open_shared(void *arg)
{
    (void)arg;
    (void)mx_scope_open(NULL, &shared_scope, NULL);
}

static void misuse_result(void *arg)
{
    task_case *c = arg;
    mx y = mx_from(shared_scope, A6, MX_F32, (int32_t[]){6}, 1);
    c->status = mx_eval(shared_scope, &y, 1, &c->err);
}

static void wrong_thread(void **state)
{
    task_case c = {0};
    mlxe_error err;
    mx_scope *g = NULL;
    (void)state;
    assert_int_equal(mx_scope_open(NULL, &g, &err), MLXE_E_STATE);
    assert_null(g);
    run(open_shared, NULL);
    assert_null(mx_from(shared_scope, A6, MX_F32, (int32_t[]){6}, 1));
    assert_null(mx_add(shared_scope, NULL, NULL));
    run(misuse_result, &c);
    assert_int_equal(c.status, MLXE_E_STATE);
    mx_scope_close(shared_scope);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static mlxe_status grow_task(const void *params, const mx_view *in, int n_in, mx_view *out,
                             const atomic_int *cancel, mlxe_error *err)
{
    float *y = out->data;
    (void)params, (void)in, (void)n_in, (void)cancel, (void)err;
    for (int64_t i = 0; i < out->size; i++)
        y[i] += 1;
    return MLXE_OK;
}

typedef struct memory_case {
    uint64_t before, peak, after;
    mlxe_status status;
    float got;
} memory_case;

enum { MIB = 1 << 20, FLOATS = MIB / 4, LAYERS = 24 };

/* A forward pass's form: 24 layers of two tasks, each starting from x, 4 MiB of activations. */
static void layers_run(void *arg)
{
    memory_case *c = arg;
    mx_scope *g;
    float *x = calloc(4 * FLOATS, sizeof *x), *y = calloc(4 * FLOATS, sizeof *y);
    mx a;
    mx_call_spec spec = {.name = "grow",
                         .task = grow_task,
                         .dtype = MX_F32,
                         .dims = 2,
                         .shape = {4, FLOATS},
                         .start_from = 1};
    c->before = mx_memory_get().active_bytes;
    mx_memory_reset_peak();
    if ((c->status = mx_scope_open(NULL, &g, NULL))) return;
    a = mx_from(g, x, MX_F32, (int32_t[]){4, FLOATS}, 2);
    for (int i = 0; i < 2 * LAYERS; i++)
        a = mx_call(g, &spec, &a, 1);
    c->status = mx_eval(g, &a, 1, NULL);
    if (!c->status) c->status = mx_read(g, a, y, 4 * MIB, NULL);
    c->got = y[FLOATS];
    c->peak = mx_memory_get().peak_bytes - c->before;
    mx_scope_close(g);
    c->after = mx_memory_get().active_bytes;
    free(x);
    free(y);
}

static void donation(void **state)
{
    memory_case c = {0};
    (void)state;
    run(layers_run, &c);
    assert_int_equal(c.status, MLXE_OK);
    assert_true(c.got == 2 * LAYERS);
    print_message("peak of a %d-layer pass over 4 MiB: %.1f MiB\n", LAYERS, (double)c.peak / MIB);
    /* All 49 activations alive at once would be 196 MiB. */
    assert_true(c.peak <= 64u * MIB);
    assert_int_equal(c.after, c.before);
}

static void many_scopes(void *arg)
{
    memory_case *c = arg;
    c->before = mx_memory_get().active_bytes;
    for (int i = 0; i < 1000 && !c->status; i++) {
        task_case t = {.factor = i % 10 == 9 ? -1.f : 2.f};
        task_run(&t);
        if (t.status != (i % 10 == 9 ? MLXE_E_LIMIT : MLXE_OK)) c->status = MLXE_E_INTERNAL;
    }
    c->after = mx_memory_get().active_bytes;
}

static void no_leak(void **state)
{
    memory_case c = {0};
    (void)state;
    run(many_scopes, &c);
    assert_int_equal(c.status, MLXE_OK);
    assert_int_equal(c.after, c.before);
}

/* Memory of ours is read where it lies and never written, even when it is the donated input. */
static void wrap_run(void *arg)
{
    memory_case *c = arg;
    static float ours[6 + 2] = {0, 0, 1, 2, 3, 4, 5, 6};
    float got[6];
    mx_scope *g;
    mx a;
    mx_call_spec spec = {.name = "grow",
                         .task = grow_task,
                         .dtype = MX_F32,
                         .dims = 1,
                         .shape = {6},
                         .start_from = 1};
    if ((c->status = mx_scope_open(NULL, &g, NULL))) return;
    a = mx_wrap(g, ours + 2, MX_F32, (int32_t[]){6}, 1);
    a = mx_call(g, &spec, &a, 1);
    c->status = mx_eval(g, &a, 1, NULL);
    if (!c->status) c->status = mx_read(g, a, got, sizeof got, NULL);
    c->got = got[5];
    if (ours[7] != 6) c->status = MLXE_E_INTERNAL;
    mx_scope_close(g);
}

static void wrapped(void **state)
{
    memory_case c = {0};
    (void)state;
    run(wrap_run, &c);
    assert_int_equal(c.status, MLXE_OK);
    assert_true(c.got == 7);
}

static void second_plugin(void **state)
{
    mlxe_error err;
    (void)state;
    assert_int_equal(mx_runtime_start(PLUGIN, NULL, &err), MLXE_OK);
    assert_int_equal(mx_runtime_start("/elsewhere/libmlxengine-mlx-cuda.so", NULL, &err),
                     MLXE_E_STATE);
    assert_string_equal(mx_version(), "0.32.4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elementwise), cmocka_unit_test(matrices),
        cmocka_unit_test(quantized),   cmocka_unit_test(attention),
        cmocka_unit_test(dtypes),      cmocka_unit_test(tasks),
        cmocka_unit_test(failures),    cmocka_unit_test(wrong_thread),
        cmocka_unit_test(donation),    cmocka_unit_test(no_leak),
        cmocka_unit_test(wrapped),     cmocka_unit_test(second_plugin),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
