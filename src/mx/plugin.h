/* plugin.h: what an MLX plugin exports: one function that returns this table.
 *
 * Private to src/mx. The plugin is C++ behind it (src/mx/mlx/); no exception crosses, and the
 * plugin uses no symbol of the library: what it needs comes in through the host table. */
#ifndef MX_PLUGIN_H
#define MX_PLUGIN_H

#include "mx/mx.h"

enum { MX_PLUGIN_ABI = 2 };

/* Ops that take inputs, up to 2 * MX_MAX_DIMS integers and one float; the wrappers in mx.c give
 * them names and checked arguments. */
/* clang-format off */
#define MX_OP_LIST(X)                                                                              \
    X(add) X(subtract) X(multiply) X(divide) X(maximum) X(tanh) X(erf) X(sigmoid) X(matmul)        \
    X(softmax) X(argmax) X(take) X(astype) X(reshape) X(transpose) X(slice) X(concatenate)         \
    X(quantized_matmul) X(dequantize) X(rms_norm) X(rope) X(attention)
/* clang-format on */

typedef enum mx_op {
#define MX_OP_ROW(name) MX_OP_##name,
    MX_OP_LIST(MX_OP_ROW)
#undef MX_OP_ROW
        MX_OPS
} mx_op;

typedef struct mx_attr {
    int32_t ints[2 * MX_MAX_DIMS];
    int n_ints;
    float number;
} mx_attr;

typedef struct mx_plugin {
    uint32_t abi;
    const char *kind;             /* "cpu" */
    const char *(*version)(void); /* of the libmlx that is loaded */
    const char *built_with;       /* the version of the headers */
    /* All below: on the MLX thread only, which calls start first. */
    mlxe_status (*start)(mlxe_error *err);
    mx_memory (*memory)(void);
    void (*reset_peak)(void);
    mlxe_status (*scope_open)(const atomic_int *cancel, mx_scope **out, mlxe_error *err);
    void (*scope_close)(mx_scope *g);
    mlxe_status (*status)(mx_scope *g, mlxe_error *err);
    void (*fail)(mx_scope *g, mlxe_status code, const char *message);
    mlxe_status (*eval)(mx_scope *g, mx *outs, int n, mlxe_error *err);
    mlxe_status (*read)(mx_scope *g, mx a, void *p, size_t bytes, mlxe_error *err);
    int (*shape)(mx a, int32_t *shape);
    int (*nodes)(mx a);
    mx (*from)(mx_scope *g, const void *p, mx_dtype dtype, const int32_t *shape, int dims);
    mx (*wrap)(mx_scope *g, const void *p, mx_dtype dtype, const int32_t *shape, int dims);
    mx (*op)(mx_scope *g, mx_op op, const mx *in, int n_in, const mx_attr *attr);
    mx (*call)(mx_scope *g, const mx_call_spec *spec, const mx *in, int n_in);
    uint64_t (*calls_run)(void); /* any thread */
    void (*misuse)(mx_scope *g); /* any thread: marks a call from a wrong thread */
} mx_plugin;

typedef const mx_plugin *(*mx_plugin_entry)(void);
#define MX_PLUGIN_SYMBOL "mlxe_plugin_entry"

#endif
