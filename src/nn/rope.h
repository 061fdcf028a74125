/* rope.h: rotary position embeddings: frequencies for every scaling rule, made once at load.
 *
 * Source: RoFormer (arXiv 2104.09864); YaRN (arXiv 2309.00071); transformers modeling_rope_utils
 * (5.x): linear, dynamic, llama3, yarn. */
#ifndef NN_ROPE_H
#define NN_ROPE_H

#include "nn/loader.h"

typedef struct nn_rope {
    int rot;               /* R: rotated dims of a head, even */
    const float *inv_freq; /* f32 [R/2] */
    float mscale;          /* multiplies cos and sin */
    /* dynamic: above `limit` tokens the base grows with the length, so keys are cached unrotated */
    int dynamic;
    int64_t limit; /* tokens */
    double base, factor;
    int64_t
        context; /* tokens that the scaling was made for: 0: the config's max_position_embeddings */
} nn_rope;

/* Reads rope_theta, rope_scaling or rope_parameters of ld's config. max_position: the config's.
 * Fails  UNSUPPORTED (rope_type, an option of it), CORRUPT */
mlxe_status nn_rope_load(nn_loader *ld, int head_dim, int64_t max_position, nn_rope *out,
                         mlxe_error *err);
/* Frequencies for a conversation of `tokens` tokens, f32 [R/2] into out (dynamic only). */
void nn_rope_dynamic(const nn_rope *rope, int64_t tokens, float *out);

#endif
