/* mx.h: MLX's arrays in C.
 *
 *   mx_scope *g;  mx_scope_open(&g, cancel, err);
 *   mx y = mx_add(g, mx_matmul(g, x, w), b);          lazy: builds the graph
 *   mx_eval(g, &y, 1, err);                           runs it; every other handle of g is dropped
 *   mx_read(g, y, buffer, bytes, err);  mx_scope_close(g);
 *
 * Scopes   own each array made in them; nothing is freed by hand. An array of one scope may be an
 *          input in another (weights live in a scope of their own).
 * Errors   the first failure sticks to the scope; later ops return NULL at once, a NULL input gives
 *          NULL, and mx_eval reports it once, with the op's name and the shapes.
 * Eval     drops every handle of the scope but the outputs *before* it runs, so that MLX reuses
 *          their buffers. A dropped handle that is used again is an error, not a crash.
 * Threads  everything here runs on the MLX thread (mx_thread_run). From another thread an op
 *          returns NULL and the scope's next eval fails with MLXE_E_STATE.
 * Ops      are pure; the names and meanings are MLX's. Shapes are checked by MLX when the graph is
 *          built. Tasks (mx_call) are ours: a node that runs a C function.
 * Source   MLX 0.32.4, mlx/ops.h and mlx/fast.h */
#ifndef MX_MX_H
#define MX_MX_H

#include "base/error.h"
#include "base/log.h"

#ifdef __cplusplus /* the plugin: <atomic> came first, and the two exclude one another */
using std::atomic_int;
#else
#include <stdatomic.h>
#endif
#include <stddef.h>
#include <stdint.h>

typedef struct mx_array *mx;
typedef struct mx_scope mx_scope;

enum { MX_MAX_DIMS = 8, MX_MAX_INPUTS = 8 };

typedef enum mx_dtype { MX_F32, MX_F16, MX_BF16, MX_I32, MX_U32, MX_U8, MX_BOOL } mx_dtype;
size_t mx_dtype_bytes(mx_dtype dtype);

/* ---- runtime: one in a process, started once, never torn down -------------------------------- */

/* Opens the MLX plugin and starts the MLX thread. A second call with the same plugin only checks.
 * path   absolute path of libmlxengine-mlx-*.so
 * Fails  NOT_FOUND (no such plugin), UNSUPPORTED (MLX's version), STATE (another plugin, fork) */
mlxe_status mx_runtime_start(const char *path, const log_sink *log, mlxe_error *err);
/* MLX's version string, "" before the start. Any thread. */
const char *mx_version(void);
/* Runs fn(arg) on the MLX thread and waits for it. Any thread (on the MLX thread: at once).
 * Fails  STATE (not started, forked child) */
mlxe_status mx_thread_run(void (*fn)(void *), void *arg, mlxe_error *err);
/* 1 while others wait for the MLX thread: what runs long there gives way. Any thread. */
int mx_thread_wanted(void);

typedef struct mx_memory {
    uint64_t active_bytes, peak_bytes,
        cache_bytes; /* MLX's allocator; wrapped memory not counted */
} mx_memory;
mx_memory mx_memory_get(void); /* MLX thread */
void mx_memory_reset_peak(void);

/* ---- scopes ---------------------------------------------------------------------------------- */

/* cancel  polled by our tasks while they run; may be NULL */
mlxe_status mx_scope_open(const atomic_int *cancel, mx_scope **out, mlxe_error *err);
void mx_scope_close(mx_scope *g);
/* MLXE_OK, or the scope's first failure. */
mlxe_status mx_scope_status(mx_scope *g, mlxe_error *err);
/* Fails a scope from C code that builds graphs. -> NULL, to return from there */
mx mx_fail(mx_scope *g, mlxe_status code, const char *fmt, ...) BASE_PRINTF(3, 4);
/* Evaluates outs (handles of g). After an error the scope holds nothing and stays failed.
 * Fails  what an op or a task failed with; CANCELLED; STATE (thread, dropped handle) */
mlxe_status mx_eval(mx_scope *g, mx *outs, int n, mlxe_error *err);
/* Copies an evaluated array's values, row-major, to p. bytes must be its size. */
mlxe_status mx_read(mx_scope *g, mx a, void *p, size_t bytes, mlxe_error *err);
/* Shape of an array (evaluated or not); -> dims, or -1 */
int mx_shape(mx a, int32_t shape[MX_MAX_DIMS]);
/* Nodes of the graph that evaluating a would run; 0: it is evaluated, or a NULL. */
int mx_nodes(mx a);

/* ---- arrays from outside --------------------------------------------------------------------- */

/* A copy of row-major values. */
mx mx_from(mx_scope *g, const void *p, mx_dtype dtype, const int32_t *shape, int dims);
/* The memory itself, read-only, never copied or written; it must outlive every graph that uses it.
 * CPU only. p is at least 8 bytes into its mapping (MLX's buffer header lies before the data). */
mx mx_wrap(mx_scope *g, const void *p, mx_dtype dtype, const int32_t *shape, int dims);
mx mx_scalar(mx_scope *g, float value, mx_dtype dtype);

/* ---- ops ------------------------------------------------------------------------------------- */

mx mx_add(mx_scope *g, mx a, mx b);
mx mx_subtract(mx_scope *g, mx a, mx b);
mx mx_multiply(mx_scope *g, mx a, mx b);
mx mx_divide(mx_scope *g, mx a, mx b);
mx mx_maximum(mx_scope *g, mx a, mx b);
mx mx_tanh(mx_scope *g, mx a);
mx mx_erf(mx_scope *g, mx a);
mx mx_sigmoid(mx_scope *g, mx a);
mx mx_matmul(mx_scope *g, mx a, mx b);
mx mx_softmax(mx_scope *g, mx a, int axis); /* in f32 whatever a is */
mx mx_argmax(mx_scope *g, mx a, int axis);  /* u32, axis gone */
mx mx_take(mx_scope *g, mx a, mx indices, int axis);
mx mx_astype(mx_scope *g, mx a, mx_dtype dtype);
mx mx_reshape(mx_scope *g, mx a, const int32_t *shape, int dims);
mx mx_transpose(mx_scope *g, mx a, const int32_t *axes, int dims);
mx mx_slice(mx_scope *g, mx a, const int32_t *start, const int32_t *stop, int dims);
mx mx_concatenate(mx_scope *g, const mx *arrays, int n, int axis);

/* x[..,K] . dequantised(w)^T: w u32 [N,K*bits/32], scales and biases [N,K/group] -> [..,N] */
mx mx_quantized_matmul(mx_scope *g, mx x, mx w, mx scales, mx biases, int group, int bits);
mx mx_dequantize(mx_scope *g, mx w, mx scales, mx biases, int group, int bits);
/* x / sqrt(mean(x^2, last) + eps) * weight; weight may be NULL */
mx mx_rms_norm(mx_scope *g, mx x, mx weight, float eps);
/* x [B,H,T,D]: rotates pairs (i, i+dims/2); freqs f32 [dims/2] are periods (1 / inv_freq) */
mx mx_rope(mx_scope *g, mx x, int dims, int offset, mx freqs);
/* q [B,H,T,D], k and v [B,K,S,D]; mask [T,S] added to the scores, or NULL -> [B,H,T,D] */
mx mx_attention(mx_scope *g, mx q, mx k, mx v, float scale, mx mask);

/* ---- tasks: a C function as a node of the graph ---------------------------------------------- */

/* What a task sees of an array: row-major values; unaligned. */
typedef struct mx_view {
    void *data;
    int64_t size; /* elements */
    int dims;
    int32_t shape[MX_MAX_DIMS];
    mx_dtype dtype;
} mx_view;

/* Runs on MLX's stream thread, which may drive the kernel pool. Writes all of out. */
typedef mlxe_status (*mx_task)(const void *params, const mx_view *in, int n_in, mx_view *out,
                               const atomic_int *cancel, mlxe_error *err);

typedef struct mx_call_spec {
    const char *name; /* static; in messages and traces */
    mx_task task;
    const void *params; /* copied */
    size_t params_bytes;
    mx_dtype dtype; /* of the output */
    int dims;
    int32_t shape[MX_MAX_DIMS];
    int start_from; /* 1 + the input whose values out starts with (its buffer where MLX can give it
                       up, else a copy; same dtype and size); 0: out starts undefined */
} mx_call_spec;

/* One output, so that its input can be donated. Inputs are made row-major first. */
mx mx_call(mx_scope *g, const mx_call_spec *spec, const mx *in, int n_in);

/* Tasks that have run since the start (tests assert that a path was taken). Any thread. */
uint64_t mx_calls_run(void);

#endif
