/* loader.h: from a model folder to weights: config options and named tensors, each checked.
 *
 * A family reads its options through here, so that an option that nobody asked for is found at the
 * end (nn_config_finish) and refused by name. A linear is found with or without quantisation; the
 * model file does not know which. Weights are records of the folder: their bytes stay where they
 * lie, and what is small (norms, biases) is converted to f32 once. */
#ifndef NN_LOADER_H
#define NN_LOADER_H

#include "base/arena.h"
#include "base/log.h"
#include "files/model_files.h"
#include "kernels/kernels.h"

/* y = x . W^T + bias, in any quantisation. Zeroed: absent. */
typedef struct nn_linear {
    kn_matrix w;       /* [n,k] where it lies in the folder */
    const float *bias; /* f32 [n], or NULL */
    kn_precision precision;
    kn_rounding rounding; /* KN_ROUND_8 from the loader; a model may raise it */
} nn_linear;

/* Of kind KN_NORM_LAYER also with a bias, where it is not NULL. */
typedef struct nn_norm {
    const float *weight; /* f32 [e], or NULL: absent */
    float eps;
    kn_norm kind;
    const float *bias;
} nn_norm;

/* How a quantised linear is stored. */
typedef struct nn_packing {
    kn_mode mode;
    int bits, group;
} nn_packing;

typedef struct nn_loader {
    model_files *files;
    const json *config; /* the object that options are read from */
    const char *where;  /* its name in messages: "config.json" */
    arena *mem;         /* everything that the model keeps */
    const log_sink *log;
    const json *quantization; /* config's object, or NULL: dense */
    nn_packing packing;       /* its default */
    kn_precision precision;   /* of every linear */
    strv *known;              /* options asked for so far */
    size_t n_known, known_cap;
    uint64_t linear_bytes; /* of all linears loaded so far, as they are stored */
    uint64_t expert_bytes; /* of all experts, likewise */
} nn_loader;

/* Reads the quantisation defaults. Fails UNSUPPORTED (a method or mode that is not MLX's) */
mlxe_status nn_loader_init(nn_loader *ld, model_files *files, arena *mem, const log_sink *log,
                           mlxe_error *err);
void nn_loader_deinit(nn_loader *ld);

/* Options. Absent or null leaves *out. The key counts as understood. */
mlxe_status nn_config_int(nn_loader *ld, const char *key, int64_t low, int64_t high, int64_t *out,
                          mlxe_error *err);
mlxe_status nn_config_float(nn_loader *ld, const char *key, double *out, mlxe_error *err);
mlxe_status nn_config_bool(nn_loader *ld, const char *key, int *out, mlxe_error *err);
mlxe_status nn_config_str(nn_loader *ld, const char *key, strv *out, mlxe_error *err);
/* The raw value, or NULL. */
const json *nn_config_value(nn_loader *ld, const char *key);
/* Options that change nothing at inference. keys: NULL-terminated. */
void nn_config_ignore(nn_loader *ld, const char *const *keys);
/* Fails UNSUPPORTED when an option is left that nobody asked for (null and false are off). */
mlxe_status nn_config_finish(nn_loader *ld, mlxe_error *err);

typedef enum nn_bias { NN_BIAS_NO, NN_BIAS_YES, NN_BIAS_IF_THERE } nn_bias;

/* The linear `name` (without ".weight"), which must be [n,k]. Quantised when name.scales is there.
 * Fails  CORRUPT (missing, shape), UNSUPPORTED (dtype, bits, group) */
mlxe_status nn_load_linear(nn_loader *ld, const char *name, int64_t n, int64_t k, nn_bias bias,
                           nn_linear *out, mlxe_error *err);
/* Bytes of a linear as it is stored: codes, scales, biases. */
uint64_t nn_linear_bytes(const nn_linear *linear);
/* The matrices [n,k] of `count` experts, in the loader's arena: the tensor `stacked` [count,n,k]
 * where it is there (as mlx-lm writes), else a linear `each`.NUMBER.`part` for each expert (as
 * transformers writes). Fails as nn_load_linear */
mlxe_status nn_load_experts(nn_loader *ld, const char *stacked, const char *each, const char *part,
                            int count, int64_t n, int64_t k, const kn_matrix **out,
                            mlxe_error *err);
/* The vector name.weight, e elements, as f32. */
mlxe_status nn_load_norm(nn_loader *ld, const char *name, int64_t e, float eps, nn_norm *out,
                         mlxe_error *err);
/* 1 when the folder has the tensor. */
int nn_has(const nn_loader *ld, const char *name);

#endif
