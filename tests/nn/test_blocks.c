/* test_blocks.c: every block of nn.h against the same maths twice: written out in f64 here, and
 * composed of MLX's own fine ops. Beside it: which kernels a block ran, by their counters, and how
 * many nodes it is in MLX's graph (a decoder layer: at most 8).
 *
 * Cases run on the MLX thread; cmocka's failures longjmp, so they are checked on the test's own. */
#include "../kernels/util.h"

#include "mx/mx.h"
#include "nn/nn.h"

#define PLUGIN MLXE_BUILD_DIR "/lib/libmlxengine-mlx-cpu.so"

enum { E = 64, H = 4, K = 2, D = 16, F = 96, X = 6, USED = 2, V = 50, S = 21, FIRST = 13 };

typedef struct lin {
    matrix m;
    float *bias;
    nn_linear l;
} lin;

static lin lin_new(rng *r, int64_t n, int64_t k, int bits, int with_bias)
{
    lin w = {.m = matrix_new(r, n, k, bits, 32, KN_F32, 0.2f)};
    if (with_bias) {
        w.bias = calloc((size_t)n, sizeof *w.bias);
        assert_non_null(w.bias);
        normals(r, w.bias, (size_t)n, 0.3f);
    }
    w.l = (nn_linear){.w = w.m.m, .bias = w.bias, .precision = KN_PRECISE};
    return w;
}

static void lin_free(lin *w)
{
    matrix_free(&w->m);
    free(w->bias);
}

/* ---- the maths in f64 ------------------------------------------------------------------------ */

static void d_linear(const lin *w, const double *x, int rows, double *y)
{
    int64_t n = w->l.w.n, k = w->l.w.k;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = w->bias ? (double)w->bias[j] : 0;
            for (int64_t c = 0; c < k; c++)
                sum += x[i * k + c] * w->m.value[j * k + c];
            y[i * n + j] = sum;
        }
}

static void d_norm(const nn_norm *n, const double *x, int rows, int e, double *y)
{
    for (int i = 0; i < rows; i++, x += e, y += e) {
        double mean = 0, squares = 0;
        for (int j = 0; j < e && n->kind == KN_NORM_LAYER; j++)
            mean += x[j] / e;
        for (int j = 0; j < e; j++)
            squares += (x[j] - mean) * (x[j] - mean);
        for (int j = 0; j < e; j++) {
            double v = (x[j] - mean) / sqrt(squares / e + (double)n->eps);
            y[j] = v * (double)n->weight[j] + (n->bias ? (double)n->bias[j] : 0);
        }
    }
}

static double d_silu(double v) { return v / (1 + exp(-v)); }

/* Head norm and rope of one head at a position. */
static void d_turn(const nn_attention_block *b, const nn_norm *norm, int position, double *x)
{
    if (norm->weight) d_norm(norm, x, 1, D, x);
    for (int i = 0; i < D / 2; i++) {
        double a = position * (double)b->rope->inv_freq[i], lo = x[i], hi = x[i + D / 2];
        x[i] = lo * cos(a) - hi * sin(a);
        x[i + D / 2] = hi * cos(a) + lo * sin(a);
    }
}

typedef struct attention_weights {
    lin q, k, v, o;
} attention_weights;

/* x [S,E] + attention of all its rows -> out */
static void d_attention(const nn_attention_block *b, const attention_weights *w, const double *x,
                        double *out)
{
    static double n[S * E], q[S * H * D], k[S * K * D], v[S * K * D], o[S * H * D];
    d_norm(&b->norm, x, S, E, n);
    d_linear(&w->q, n, S, q);
    d_linear(&w->k, n, S, k);
    d_linear(&w->v, n, S, v);
    for (int i = 0; i < S; i++) {
        for (int h = 0; h < H; h++)
            d_turn(b, &b->q_norm, i, q + (i * H + h) * D);
        for (int h = 0; h < K; h++)
            d_turn(b, &b->k_norm, i, k + (i * K + h) * D);
    }
    for (int i = 0; i < S; i++)
        for (int h = 0; h < H; h++) {
            double p[S], sum = b->sinks ? exp((double)b->sinks[h]) : 0, *to = o + (i * H + h) * D;
            int from = b->window && i - b->window + 1 > 0 ? i - b->window + 1 : 0;
            memset(to, 0, D * sizeof *to);
            for (int j = from; j <= i; j++) {
                double s = 0;
                for (int c = 0; c < D; c++)
                    s += q[(i * H + h) * D + c] * k[(j * K + h / (H / K)) * D + c];
                s *= (double)b->scale;
                if (b->softcap > 0) s = (double)b->softcap * tanh(s / (double)b->softcap);
                p[j] = exp(s);
                sum += p[j];
            }
            for (int j = from; j <= i; j++)
                for (int c = 0; c < D; c++)
                    to[c] += p[j] / sum * v[(j * K + h / (H / K)) * D + c];
        }
    d_linear(&w->o, o, S, out);
    for (int i = 0; i < S * E; i++)
        out[i] += x[i];
}

/* ---- the maths in MLX's ops ------------------------------------------------------------------ */

static mx f_linear(mx_scope *g, const lin *w, mx x)
{
    const kn_matrix *m = &w->l.w;
    int32_t n = (int32_t)m->n, k = (int32_t)m->k, groups[] = {n, m->bits ? k / m->group : 1};
    mx y;
    if (m->bits)
        y = mx_quantized_matmul(g, x, mx_from(g, m->w, MX_U32, (int32_t[]){n, k * m->bits / 32}, 2),
                                mx_from(g, m->scales, MX_F32, groups, 2),
                                mx_from(g, m->biases, MX_F32, groups, 2), m->group, m->bits);
    else
        y = mx_matmul(
            g, x,
            mx_transpose(g, mx_from(g, m->w, MX_F32, (int32_t[]){n, k}, 2), (int32_t[]){1, 0}, 2));
    return w->bias ? mx_add(g, y, mx_from(g, w->bias, MX_F32, &n, 1)) : y;
}

static mx f_vector(mx_scope *g, const float *p, int32_t n) { return mx_from(g, p, MX_F32, &n, 1); }

/* A column [n,1] of one value. */
static mx f_column(mx_scope *g, int n, float value)
{
    float p[E > X ? E : X];
    for (int i = 0; i < n; i++)
        p[i] = value;
    return mx_from(g, p, MX_F32, (int32_t[]){n, 1}, 2);
}

/* A layer norm is the RMS norm of what is left without the mean. */
static mx f_norm(mx_scope *g, const nn_norm *n, mx x, int32_t e)
{
    if (n->kind == KN_NORM_LAYER)
        x = mx_subtract(g, x, mx_matmul(g, x, f_column(g, e, 1 / (float)e)));
    x = mx_rms_norm(g, x, f_vector(g, n->weight, e), n->eps);
    return n->bias ? mx_add(g, x, f_vector(g, n->bias, e)) : x;
}

static mx f_heads(mx_scope *g, const nn_norm *norm, const nn_rope *rope, mx x, int32_t heads)
{
    float periods[D / 2];
    x = mx_reshape(g, x, (int32_t[]){1, S, heads, D}, 4);
    if (norm && norm->weight) x = mx_rms_norm(g, x, f_vector(g, norm->weight, D), norm->eps);
    x = mx_transpose(g, x, (int32_t[]){0, 2, 1, 3}, 4);
    for (int i = 0; rope && i < D / 2; i++)
        periods[i] = 1 / rope->inv_freq[i];
    return rope ? mx_rope(g, x, D, 0, f_vector(g, periods, D / 2)) : x;
}

static mx f_attention(mx_scope *g, const nn_attention_block *b, const attention_weights *w, mx x)
{
    mx n = f_norm(g, &b->norm, x, E), q = f_heads(g, &b->q_norm, b->rope, f_linear(g, &w->q, n), H);
    mx k = f_heads(g, &b->k_norm, b->rope, f_linear(g, &w->k, n), K);
    mx v = f_heads(g, NULL, NULL, f_linear(g, &w->v, n), K), s, o;
    float mask[S * S], sinks[H * S];
    int32_t of[H];
    for (int i = 0; i < S * S; i++)
        mask[i] = i % S > i / S || (b->window && i % S <= i / S - b->window) ? -INFINITY : 0;
    for (int i = 0; i < H; i++)
        of[i] = i / (H / K);
    for (int i = 0; i < H * S; i++)
        sinks[i] = b->sinks ? b->sinks[i / S] : 0;
    n = mx_from(g, of, MX_I32, (int32_t[]){H}, 1);
    k = mx_take(g, k, n, 1);
    v = mx_take(g, v, n, 1);
    s = mx_matmul(g, q, mx_transpose(g, k, (int32_t[]){0, 1, 3, 2}, 4));
    s = mx_multiply(g, s, mx_scalar(g, b->scale, MX_F32));
    if (b->softcap > 0) {
        mx cap = mx_scalar(g, b->softcap, MX_F32);
        s = mx_multiply(g, mx_tanh(g, mx_divide(g, s, cap)), cap);
    }
    s = mx_add(g, s, mx_from(g, mask, MX_F32, (int32_t[]){S, S}, 2));
    if (b->sinks) {
        mx both[] = {s, mx_from(g, sinks, MX_F32, (int32_t[]){1, H, S, 1}, 4)};
        s = mx_softmax(g, mx_concatenate(g, both, 2, 3), 3);
        s = mx_slice(g, s, (int32_t[]){0, 0, 0, 0}, (int32_t[]){1, H, S, S}, 4);
    } else {
        s = mx_softmax(g, s, 3);
    }
    o = mx_transpose(g, mx_matmul(g, s, v), (int32_t[]){0, 2, 1, 3}, 4);
    return mx_add(g, x, f_linear(g, &w->o, mx_reshape(g, o, (int32_t[]){S, H * D}, 2)));
}

static mx f_silu(mx_scope *g, mx x) { return mx_multiply(g, x, mx_sigmoid(g, x)); }

/* ---- what the cases share -------------------------------------------------------------------- */

enum { BLOCK, FINE, WAYS };

typedef struct result {
    float y[WAYS][S * (E > V ? E : V)];
    int nodes[WAYS];
    uint64_t ran[KN_COUNTERS]; /* while the block was evaluated */
    int fine_ran;              /* 1: a kernel of ours ran for the fine ops too */
    mlxe_status status;
    mlxe_error err;
} result;

static void counts(uint64_t out[KN_COUNTERS])
{
    for (int i = 0; i < KN_COUNTERS; i++)
        out[i] = kn_count((kn_counter)i);
}

/* Evaluates y, of n values, as one way of a result. On the MLX thread. */
static void take(result *to, int way, mx_scope *g, mx y, size_t n, float *values)
{
    uint64_t before[KN_COUNTERS], after[KN_COUNTERS];
    counts(before);
    to->nodes[way] += mx_nodes(y);
    if (!to->status) to->status = mx_eval(g, &y, 1, &to->err);
    if (!to->status) to->status = mx_read(g, y, values, n * sizeof *values, &to->err);
    counts(after);
    for (int i = 0; i < KN_COUNTERS; i++)
        if (way == BLOCK)
            to->ran[i] += after[i] - before[i];
        else
            to->fine_ran |= after[i] != before[i];
}

static mx_scope *opened(result *to)
{
    mx_scope *g = NULL;
    if (!to->status) to->status = mx_scope_open(NULL, &g, &to->err);
    return g;
}

static void check_result(const char *name, const result *got, const double *want, size_t n)
{
    if (got->status) fail_msg("%s: %s", name, got->err.message);
    for (int way = 0; way < WAYS; way++) {
        double rms = rms_error(got->y[way], want, n);
        if (!(rms < 3e-6)) fail_msg("%s, %s: %g", name, way ? "fine ops" : "block", rms);
    }
    assert_int_equal(got->nodes[BLOCK], 1);
    assert_true(got->nodes[FINE] > 3);
    assert_false(got->fine_ran);
}

static void on_mlx(void (*fn)(void *), void *arg)
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

static void widen(const float *x, size_t n, double *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (double)x[i];
}

static const int32_t ROWS_OF_X[] = {S, E};

/* ---- attention ------------------------------------------------------------------------------- */

typedef struct attention_case {
    const char *name;
    int bits, head_norms, window, with_sinks;
    float softcap;
    kn_norm norm;
} attention_case;

typedef struct attention_run {
    nn_attention_block block;
    attention_weights w;
    float x[S * E];
    result got;
} attention_run;

/* The block over two passes, the second after the first's keys; the fine ops over all rows. */
static void run_attention(void *arg)
{
    attention_run *a = arg;
    nn_kv_layer_spec layer = {K, D, 0};
    nn_kv_spec spec = {&layer, 1, KN_KV_F32};
    nn_kv *kv = NULL;
    mx_scope *g;
    a->got.status = nn_kv_open(&spec, &kv, &a->got.err);
    for (int pass = 0, at = 0; pass < 2; pass++) {
        int n = pass ? S - FIRST : FIRST;
        nn_row row = {.kv = kv, .count = n, .start = at};
        nn_batch batch = {.tokens = n, .rows = &row, .n_rows = 1};
        if (!a->got.status) a->got.status = nn_kv_reserve(kv, at + n, &a->got.err);
        a->got.nodes[BLOCK] = 0; /* those of one pass */
        if (!(g = opened(&a->got))) break;
        take(&a->got, BLOCK, g,
             nn_attention(g, &a->block, mx_from(g, a->x + at * E, MX_F32, (int32_t[]){n, E}, 2),
                          &batch),
             (size_t)n * E, a->got.y[BLOCK] + at * E);
        mx_scope_close(g);
        nn_kv_commit(kv, at += n);
    }
    if ((g = opened(&a->got))) {
        take(&a->got, FINE, g,
             f_attention(g, &a->block, &a->w, mx_from(g, a->x, MX_F32, ROWS_OF_X, 2)), S * E,
             a->got.y[FINE]);
        mx_scope_close(g);
    }
    nn_kv_close(kv);
}

static void attention(void **state)
{
    static const attention_case CASES[] = {
        {"plain", 0, 0, 0, 0, 0, KN_NORM_RMS},
        {"4 bits, head norms", 4, 1, 0, 0, 0, KN_NORM_RMS},
        {"window", 4, 0, 6, 0, 0, KN_NORM_RMS},
        {"softcap", 4, 0, 0, 0, 2, KN_NORM_RMS},
        {"sinks", 0, 0, 0, 1, 0, KN_NORM_RMS},
        {"layer norm", 4, 0, 0, 0, 0, KN_NORM_LAYER},
        {"all", 4, 1, 5, 1, 1.5f, KN_NORM_LAYER},
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        const attention_case *c = &CASES[i];
        static attention_run a;
        rng r = {100 + i};
        float norm[E], bias[E], head_norm[2 * D], freqs[D / 2], sinks[H];
        double x[S * E], want[S * E];
        nn_rope rope = {.rot = D, .inv_freq = freqs, .mscale = 1};
        memset(&a, 0, sizeof a);
        for (int j = 0; j < D / 2; j++)
            freqs[j] = (float)pow(10000, -2.0 * j / D);
        a.w = (attention_weights){
            lin_new(&r, H * D, E, c->bits, 1), lin_new(&r, K * D, E, c->bits, 1),
            lin_new(&r, K * D, E, c->bits, 0), lin_new(&r, E, H * D, c->bits, 1)};
        a.block = (nn_attention_block){.norm = {normals(&r, norm, E, 1), 1e-5f, c->norm, NULL},
                                       .q = a.w.q.l,
                                       .k = a.w.k.l,
                                       .v = a.w.v.l,
                                       .o = a.w.o.l,
                                       .rope = &rope,
                                       .heads = H,
                                       .kv_heads = K,
                                       .d = D,
                                       .window = c->window,
                                       .scale = 0.25f,
                                       .softcap = c->softcap};
        if (c->norm == KN_NORM_LAYER) a.block.norm.bias = normals(&r, bias, E, 1);
        normals(&r, head_norm, 2 * D, 1);
        normals(&r, sinks, H, 2);
        if (c->head_norms) {
            a.block.q_norm = (nn_norm){.weight = head_norm, .eps = 1e-6f};
            a.block.k_norm = (nn_norm){.weight = head_norm + D, .eps = 1e-6f};
        }
        if (c->with_sinks) a.block.sinks = sinks;
        normals(&r, a.x, S * E, 1);
        on_mlx(run_attention, &a);
        widen(a.x, S * E, x);
        d_attention(&a.block, &a.w, x, want);
        check_result(c->name, &a.got, want, S * E);
        assert_int_equal(a.got.ran[KN_COUNT_ATTENTION], 2); /* two passes */
        assert_int_equal(a.got.ran[KN_COUNT_ROPE], 2);
        assert_int_equal(a.got.ran[KN_COUNT_KV_APPEND], 2);
        assert_int_equal(a.got.ran[c->bits ? KN_COUNT_LINEAR_AFFINE : KN_COUNT_LINEAR_DENSE], 8);
        lin_free(&a.w.q);
        lin_free(&a.w.k);
        lin_free(&a.w.v);
        lin_free(&a.w.o);
    }
}

/* ---- gated MLP and experts ------------------------------------------------------------------- */

typedef struct mlp_weights {
    lin gate, up, down;
} mlp_weights;

static mlp_weights mlp_new(rng *r, int bits)
{
    return (mlp_weights){lin_new(r, F, E, bits, 0), lin_new(r, F, E, bits, 0),
                         lin_new(r, E, F, bits, 0)};
}

static void mlp_free(mlp_weights *w)
{
    lin_free(&w->gate);
    lin_free(&w->up);
    lin_free(&w->down);
}

/* down(silu(gate(n)) * up(n)) */
static void d_mlp(const mlp_weights *w, const double *n, double *out)
{
    static double gate[S * F], up[S * F];
    d_linear(&w->gate, n, S, gate);
    d_linear(&w->up, n, S, up);
    for (int i = 0; i < S * F; i++)
        gate[i] = d_silu(gate[i]) * up[i];
    d_linear(&w->down, gate, S, out);
}

static mx f_mlp(mx_scope *g, const mlp_weights *w, mx n)
{
    mx gate = f_silu(g, f_linear(g, &w->gate, n));
    return f_linear(g, &w->down, mx_multiply(g, gate, f_linear(g, &w->up, n)));
}

typedef struct mlp_run {
    nn_mlp_block block;
    mlp_weights w;
    nn_moe_block moe;
    mlp_weights experts[X];
    lin router;
    float x[S * E], chosen[S * X]; /* weights of a token's experts, 0: not chosen */
    result got;
} mlp_run;

static void run_mlp(void *arg)
{
    mlp_run *m = arg;
    mx_scope *g = opened(&m->got);
    if (!g) return;
    take(&m->got, BLOCK, g, nn_gated_mlp(g, &m->block, mx_from(g, m->x, MX_F32, ROWS_OF_X, 2)),
         S * E, m->got.y[BLOCK]);
    mx_scope_close(g);
    if (!(g = opened(&m->got))) return;
    mx x = mx_from(g, m->x, MX_F32, ROWS_OF_X, 2);
    take(&m->got, FINE, g, mx_add(g, x, f_mlp(g, &m->w, f_norm(g, &m->block.norm, x, E))), S * E,
         m->got.y[FINE]);
    mx_scope_close(g);
}

static void gated_mlp(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        static mlp_run m;
        rng r = {200 + (uint64_t)i};
        int bits = i & 1 ? 4 : 0;
        float norm[E], bias[E];
        double x[S * E], n[S * E], want[S * E];
        memset(&m, 0, sizeof m);
        m.w = mlp_new(&r, bits);
        m.block = (nn_mlp_block){.norm = {normals(&r, norm, E, 1), 1e-5f, (kn_norm)(i / 2), NULL},
                                 .gate = m.w.gate.l,
                                 .up = m.w.up.l,
                                 .down = m.w.down.l,
                                 .act = KN_SILU};
        if (i / 2) m.block.norm.bias = normals(&r, bias, E, 1);
        on_mlx(run_mlp, (normals(&r, m.x, S * E, 1), &m));
        widen(m.x, S * E, x);
        d_norm(&m.block.norm, x, S, E, n);
        d_mlp(&m.w, n, want);
        for (int j = 0; j < S * E; j++)
            want[j] += x[j];
        check_result("gated MLP", &m.got, want, S * E);
        assert_int_equal(m.got.ran[KN_COUNT_GATED], 1);
        assert_int_equal(m.got.ran[bits ? KN_COUNT_LINEAR_AFFINE : KN_COUNT_LINEAR_DENSE], 3);
        mlp_free(&m.w);
    }
}

static void run_moe(void *arg)
{
    mlp_run *m = arg;
    mx_scope *g = opened(&m->got);
    mx x, n, p, sum;
    if (!g) return;
    take(&m->got, BLOCK, g, nn_moe(g, &m->moe, mx_from(g, m->x, MX_F32, ROWS_OF_X, 2)), S * E,
         m->got.y[BLOCK]);
    mx_scope_close(g);
    if (!(g = opened(&m->got))) return;
    x = sum = mx_from(g, m->x, MX_F32, ROWS_OF_X, 2);
    n = f_norm(g, &m->moe.norm, x, E);
    p = mx_multiply(g, mx_softmax(g, f_linear(g, &m->router, n), 1),
                    mx_from(g, m->chosen, MX_F32, (int32_t[]){S, X}, 2));
    if (m->moe.normalise) p = mx_divide(g, p, mx_matmul(g, p, f_column(g, X, 1)));
    for (int e = 0; e < X; e++) {
        mx by = mx_slice(g, p, (int32_t[]){0, e}, (int32_t[]){S, e + 1}, 2);
        sum = mx_add(g, sum, mx_multiply(g, f_mlp(g, &m->experts[e], n), by));
    }
    take(&m->got, FINE, g, sum, S * E, m->got.y[FINE]);
    mx_scope_close(g);
}

/* Probabilities of a token's experts -> which are the likeliest, and their weights. */
static void d_choose(const double *logits, int normalise, float *chosen, double *weight)
{
    double p[X], all = 0, kept = 0;
    for (int e = 0; e < X; e++)
        all += p[e] = exp(logits[e]);
    for (int e = 0; e < X; e++) {
        int above = 0;
        for (int o = 0; o < X; o++)
            above += p[o] > p[e];
        chosen[e] = above < USED;
        weight[e] = above < USED ? p[e] / all : 0;
        kept += weight[e];
    }
    for (int e = 0; e < X && normalise; e++)
        weight[e] /= kept;
}

static void experts(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        static mlp_run m;
        static double y[S * E], logits[S * X], weight[S * X];
        rng r = {300 + (uint64_t)i};
        float norm[E];
        double x[S * E], n[S * E], want[S * E];
        kn_matrix gate[X], up[X], down[X];
        memset(&m, 0, sizeof m);
        m.router = lin_new(&r, X, E, 0, 0);
        for (int e = 0; e < X; e++) {
            m.experts[e] = mlp_new(&r, i & 1 ? 4 : 0);
            gate[e] = m.experts[e].gate.l.w;
            up[e] = m.experts[e].up.l.w;
            down[e] = m.experts[e].down.l.w;
        }
        m.moe = (nn_moe_block){.norm = {.weight = normals(&r, norm, E, 1), .eps = 1e-5f},
                               .router = m.router.l,
                               .gate = gate,
                               .up = up,
                               .down = down,
                               .experts = X,
                               .used = USED,
                               .normalise = i / 2,
                               .act = KN_SILU};
        normals(&r, m.x, S * E, 1);
        widen(m.x, S * E, x);
        d_norm(&m.moe.norm, x, S, E, n);
        d_linear(&m.router, n, S, logits);
        for (int t = 0; t < S; t++)
            d_choose(logits + t * X, i / 2, m.chosen + t * X, weight + t * X);
        on_mlx(run_moe, &m);
        memcpy(want, x, sizeof want);
        for (int e = 0; e < X; e++) {
            d_mlp(&m.experts[e], n, y);
            for (int j = 0; j < S * E; j++)
                want[j] += weight[j / E * X + e] * y[j];
            mlp_free(&m.experts[e]);
        }
        check_result("experts", &m.got, want, S * E);
        assert_int_equal(m.got.ran[KN_COUNT_EXPERTS], 2);
        assert_int_equal(m.got.ran[KN_COUNT_SOFTMAX], 1);
        lin_free(&m.router);
    }
}

/* ---- embedding and head ---------------------------------------------------------------------- */

typedef struct ends_run {
    lin table;
    nn_norm norm;
    float x[S * E];
    int32_t ids[S];
    int embed; /* 1: embedding, 0: head */
    result got;
} ends_run;

static void run_ends(void *arg)
{
    ends_run *a = arg;
    static const int32_t WANTED[] = {0, 3, S - 1};
    nn_batch batch = {.ids = a->ids, .tokens = S, .wanted = WANTED, .n_wanted = 3};
    mx_scope *g = opened(&a->got);
    mx x, at;
    if (!g) return;
    x = mx_from(g, a->x, MX_F32, ROWS_OF_X, 2);
    take(&a->got, BLOCK, g,
         a->embed ? nn_embed(g, &a->table.l, &batch) : nn_head(g, &a->norm, &a->table.l, x, &batch),
         a->embed ? S * E : 3 * V, a->got.y[BLOCK]);
    mx_scope_close(g);
    if (!(g = opened(&a->got))) return;
    x = mx_from(g, a->x, MX_F32, ROWS_OF_X, 2);
    if (a->embed) {
        const kn_matrix *m = &a->table.l.w;
        at = mx_from(g, a->ids, MX_I32, (int32_t[]){S}, 1);
        x = mx_dequantize(
            g, mx_take(g, mx_from(g, m->w, MX_U32, (int32_t[]){V, E / 8}, 2), at, 0),
            mx_take(g, mx_from(g, m->scales, MX_F32, (int32_t[]){V, E / 32}, 2), at, 0),
            mx_take(g, mx_from(g, m->biases, MX_F32, (int32_t[]){V, E / 32}, 2), at, 0), 32, 4);
    } else {
        x = mx_take(g, x, mx_from(g, WANTED, MX_I32, (int32_t[]){3}, 1), 0);
        x = f_linear(g, &a->table, f_norm(g, &a->norm, x, E));
    }
    take(&a->got, FINE, g, x, a->embed ? S * E : 3 * V, a->got.y[FINE]);
    mx_scope_close(g);
}

static void ends(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) { /* embedding; head after either norm */
        static ends_run a;
        static const int WANTED[] = {0, 3, S - 1};
        rng r = {400 + (uint64_t)i};
        float norm[E], bias[E];
        double x[S * E], n[S * E], want[S * E];
        memset(&a, 0, sizeof a);
        a.embed = !i;
        a.table = lin_new(&r, V, E, 4, 0);
        a.norm = (nn_norm){normals(&r, norm, E, 1), 1e-5f, (kn_norm)(i == 2), NULL};
        if (i == 2) a.norm.bias = normals(&r, bias, E, 1);
        normals(&r, a.x, S * E, 1);
        for (int j = 0; j < S; j++)
            a.ids[j] = rng_int(&r, 0, V - 1);
        on_mlx(run_ends, &a);
        widen(a.x, S * E, x);
        d_norm(&a.norm, x, S, E, n);
        for (int j = 0; j < 3 && !a.embed; j++)
            d_linear(&a.table, n + WANTED[j] * E, 1, want + j * V);
        for (int j = 0; j < S * E && a.embed; j++)
            want[j] = a.table.m.value[a.ids[j / E] * E + j % E];
        check_result(a.embed ? "embedding" : "head", &a.got, want, a.embed ? S * E : 3 * V);
        assert_int_equal(a.got.ran[a.embed ? KN_COUNT_EMBED : KN_COUNT_LINEAR_AFFINE], 1);
        lin_free(&a.table);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(attention), cmocka_unit_test(gated_mlp),
                                       cmocka_unit_test(experts), cmocka_unit_test(ends)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
