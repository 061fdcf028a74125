/* nn.h: the blocks that models are written in. Shapes: SHAPES in this folder.
 *
 * Here, and only here, it is decided how a block runs: on the CPU each is one task over our
 * kernels, so a decoder layer is two nodes of MLX's graph. A model file never sees that.
 *
 * Threads: everything on the MLX thread; tasks run on MLX's stream thread, one at a time. */
#ifndef NN_NN_H
#define NN_NN_H

#include "mx/mx.h"
#include "nn/kv.h"
#include "nn/loader.h"
#include "nn/rope.h"

/* One row's part of a ragged batch. */
typedef struct nn_row {
    nn_kv *kv;
    int32_t first; /* index of its first new token on the T axis */
    int32_t count; /* new tokens */
    int32_t start; /* position of the first new token: tokens in the row before this pass */
    int32_t total; /* tokens that the row will have when its prompt is through (dynamic rope) */
} nn_row;

typedef struct nn_batch {
    const int32_t *ids; /* [T], valid ids */
    int32_t tokens;     /* T */
    const nn_row *rows;
    int n_rows;
    const int32_t *wanted; /* indices on the T axis whose logits are wanted, ascending */
    int32_t n_wanted;
} nn_batch;

/* norm, q k v projections, head norms, rope, append to the KV row, attend, output projection */
typedef struct nn_attention_block {
    nn_norm norm;
    nn_linear q, k, v, o;
    nn_norm q_norm, k_norm; /* per head, before rope; weight NULL: absent */
    const nn_rope *rope;
    int layer; /* of the KV row */
    int heads, kv_heads, d;
    int window;         /* sliding window in tokens; 0: all */
    float scale;        /* of the scores */
    float softcap;      /* cap * tanh(score / cap) instead of a score; 0: none */
    const float *sinks; /* f32 [H]: a score that takes part in a head's softmax and weighs nothing,
                           or NULL */
} nn_attention_block;

typedef struct nn_mlp_block {
    nn_norm norm;
    nn_linear gate, up, down;
    kn_act act;
} nn_mlp_block;

/* Mixture of experts: each token goes through `used` of them. */
typedef struct nn_moe_block {
    nn_norm norm;
    nn_linear router;                  /* [X,E] */
    const kn_matrix *gate, *up, *down; /* [X] of [F,E], [F,E], [E,F] */
    int experts, used;
    int normalise; /* 1: the weights of a token's experts are made to sum to 1 */
    kn_act act;
    kn_rounding rounding, down_rounding; /* of gate and up, of down; the router meets f32 */
} nn_moe_block;

/* Rows of the embedding. -> [T,E] f32 */
mx nn_embed(mx_scope *g, const nn_linear *table, const nn_batch *batch);
/* x + attention(norm(x)). x [T,E] f32 -> [T,E]. The blocks and the batch must outlive the eval. */
mx nn_attention(mx_scope *g, const nn_attention_block *block, mx x, const nn_batch *batch);
/* x + down(act(gate(n)) * up(n)), n = norm(x). x [T,E] f32 -> [T,E] */
mx nn_gated_mlp(mx_scope *g, const nn_mlp_block *block, mx x);
/* x + sum over a token's experts of weight * down(act(gate(n)) * up(n)). x [T,E] f32 -> [T,E] */
mx nn_moe(mx_scope *g, const nn_moe_block *block, mx x);
/* norm, output projection, at the wanted positions only. x [T,E] -> [n_wanted,V] f32 */
mx nn_head(mx_scope *g, const nn_norm *norm, const nn_linear *head, mx x, const nn_batch *batch);

#endif
