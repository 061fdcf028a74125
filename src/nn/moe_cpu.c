/* moe_cpu.c: the mixture-of-experts block on the CPU, one task of MLX's graph.
 *
 *   x [T,E] -> norm -> router [T,X] -> softmax -> the `used` likeliest experts of each token
 *     -> pairs (token, expert), sorted by expert
 *     -> gate, up [P,F] -> act(gate) * up -> down [P,E] -> x + sum of weight * down
 *
 * Owns the routing. The sum over a token's experts goes from its likeliest to its least likely one,
 * so a token's bits do not depend on the other tokens of the pass.
 *
 * Traps: the softmax is over all experts, and the chosen ones' weights are divided by their sum
 * only with `normalise` (qwen3_moe: norm_topk_prob; mixtral: always). Of equal experts the lower
 * number wins. A router that gives NaN chooses the first experts with weights of NaN. */
#include "nn/residual.h"

#include "base/arena.h"

#include <stdlib.h>

typedef struct routing {
    int64_t *first;  /* [X+1]: pairs of an expert */
    int32_t *row;    /* [P]: token of a pair */
    int32_t *at;     /* [T,used]: pair of a token's j-th expert */
    float *weight;   /* [T,used] */
    int32_t *expert; /* [T,used] */
} routing;

/* The likeliest experts of one token and their weights. */
static void choose(const float *p, int experts, int used, int normalise, int32_t *expert,
                   float *weight)
{
    float kept = 0;
    for (int j = 0; j < used; j++) {
        int best = -1;
        for (int i = 0; i < experts; i++) {
            int taken = 0;
            for (int k = 0; k < j; k++)
                taken |= expert[k] == i;
            if (!taken && (best < 0 || p[i] > p[best])) best = i;
        }
        expert[j] = best;
        weight[j] = p[best];
        kept += weight[j];
    }
    for (int j = 0; normalise && j < used; j++)
        weight[j] /= kept;
}

/* Pairs in the order of their experts, those of an expert in the order of tokens. */
static void sort_pairs(int64_t tokens, int experts, int used, routing *r)
{
    for (int64_t i = 0; i < tokens * used; i++)
        r->first[r->expert[i] + 1]++;
    for (int i = 0; i < experts; i++)
        r->first[i + 1] += r->first[i];
    for (int64_t i = 0; i < tokens * used; i++) { /* first[e] runs to the end of e's pairs */
        int64_t pair = r->first[r->expert[i]]++;
        r->row[pair] = (int32_t)(i / used);
        r->at[i] = (int32_t)pair;
    }
    for (int i = experts; i > 0; i--)
        r->first[i] = r->first[i - 1];
    r->first[0] = 0;
}

static mlxe_status route(const nn_moe_block *b, const float *normed, int64_t tokens, arena *mem,
                         routing *r, const atomic_int *cancel)
{
    int64_t pairs = tokens * b->used;
    float *logits = arena_array(mem, (size_t)(tokens * b->experts), sizeof *logits);
    mlxe_status rc;
    r->first = arena_array(mem, (size_t)b->experts + 1, sizeof *r->first);
    r->row = arena_array(mem, (size_t)pairs, sizeof *r->row);
    r->at = arena_array(mem, (size_t)pairs, sizeof *r->at);
    r->weight = arena_array(mem, (size_t)pairs, sizeof *r->weight);
    r->expert = arena_array(mem, (size_t)pairs, sizeof *r->expert);
    if (!logits || !r->first || !r->row || !r->at || !r->weight || !r->expert) return MLXE_E_MEMORY;
    rc = kn_linear(&b->router.w, b->router.bias, normed, b->router.w.k, logits, b->experts, tokens,
                   0, cancel);
    if (!rc) rc = kn_softmax(logits, b->experts, logits, b->experts, tokens, b->experts, cancel);
    if (rc) return rc;
    for (int i = 0; i <= b->experts; i++)
        r->first[i] = 0;
    for (int64_t t = 0; t < tokens; t++)
        choose(logits + t * b->experts, b->experts, b->used, b->normalise, r->expert + t * b->used,
               r->weight + t * b->used);
    sort_pairs(tokens, b->experts, b->used, r);
    return MLXE_OK;
}

static mlxe_status norm_rows(const nn_norm *n, const float *x, float *y, int64_t rows, int64_t e,
                             const atomic_int *cancel)
{
    if (n->kind == KN_NORM_LAYER)
        return kn_layer_norm(x, e, n->weight, n->bias, n->eps, y, e, rows, e, cancel);
    return kn_rms_norm(x, e, n->weight, n->eps, y, e, rows, e, cancel);
}

static mlxe_status moe_task(const void *params, const mx_view *in, int n_in, mx_view *out,
                            const atomic_int *cancel, mlxe_error *err)
{
    const nn_moe_block *b = *(const nn_moe_block *const *)params;
    int64_t t = out->shape[0], e = b->router.w.k, f = b->gate[0].n, pairs = t * b->used;
    arena mem = {0};
    routing r;
    float *x = out->data; /* starts as the input */
    float *normed = malloc((size_t)(t * e + pairs * (f + e)) * sizeof *x);
    kn_input rows = {.x = normed, .ldx = e, .precision = b->router.precision};
    kn_input activated = {.ldx = f, .precision = b->router.precision};
    kn_projection gate = {.w = b->gate, .ldy = f, .rounding = b->rounding};
    kn_projection up = {.w = b->up};
    kn_projection last = {.w = b->down, .ldy = e, .rounding = b->down_rounding};
    kn_routes to = {.count = b->experts};
    mlxe_status rc = MLXE_E_MEMORY;
    (void)in, (void)n_in;
    if (!normed) goto out;
    activated.x = gate.y = normed + t * e;
    last.y = gate.y + pairs * f;
    if ((rc = norm_rows(&b->norm, x, normed, t, e, cancel))) goto out;
    if ((rc = route(b, normed, t, &mem, &r, cancel))) goto out;
    to.first = r.first;
    to.row = r.row;
    if ((rc = kn_project_experts_gated(&rows, &to, b->act, &gate, &up, cancel))) goto out;
    to.row = NULL;
    if ((rc = kn_project_experts(&activated, &to, &last, cancel))) goto out;
    rc = kn_combine_experts(last.y, e, r.at, r.weight, b->used, x, e, t, e, cancel);
out:
    free(normed);
    arena_deinit(&mem);
    if (rc == MLXE_E_MEMORY)
        return err_set(err, MLXE_E_MEMORY, "nn_moe: out of memory for activations");
    return rc;
}

mx nn_moe(mx_scope *g, const nn_moe_block *block, mx x)
{
    return nn_residual(g, "nn_moe", moe_task, &block, sizeof block, x);
}
