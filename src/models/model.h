/* model.h: what a family file (models/<name>.c) offers: config -> weights -> forward.
 *
 * A family is one file that defines `const struct model_family model_<file>`; the build lists the
 * folder. Its forward pass is written in nn's blocks and knows nothing of devices, sampling,
 * conversations or files. */
#ifndef MODELS_MODEL_H
#define MODELS_MODEL_H

#include "nn/nn.h"

typedef struct model model; /* each family has its own layout behind it */

/* What everybody else may know of a loaded model. */
typedef struct model_info {
    const char *model_type;
    int32_t vocab;            /* rows of the output head */
    int32_t embeddings;       /* rows of the embedding: valid ids are below */
    int64_t context;          /* tokens that it was made for */
    nn_kv_spec kv;            /* of its rows */
    double weights_per_token; /* multiply-adds of the linears for one token, head left out */
    uint64_t token_bytes;     /* of weights read for one token and its logits */
} model_info;

typedef struct model_family {
    const char *const *model_types; /* config.json's model_type values, NULL-terminated */
    /* Reads config and weights through ld; everything kept lives in ld->mem. */
    mlxe_status (*load)(nn_loader *ld, strv model_type, model **out, model_info *info,
                        mlxe_error *err);
    /* Logits of the wanted positions, [n_wanted, vocab] f32; NULL when none are wanted: then *last
     * is the array to evaluate so that the KV rows are filled. */
    mx (*forward)(mx_scope *g, const model *m, const nn_batch *batch, mx *last);
} model_family;

#endif
