/* mx.c: the process runtime of MLX: the plugin, the MLX thread, and the ops' C faces.
 *
 *   any thread --mx_thread_run--> queue --> MLX thread --> plugin --> libmlx
 *
 * Owns the only mutable globals of this layer: the runtime below. It is started once and never torn
 * down, because MLX's scheduler threads cannot be joined and its streams belong to their thread.
 *
 * Traps: dlclose of the plugin would leave MLX's threads running in unmapped code (RTLD_NODELETE).
 * In a forked child the threads are gone and a wait would hang: every entry compares ids. */
#define _GNU_SOURCE
#include "mx/mx.h"

#include "base/thread.h"
#include "mx/plugin.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct posted {
    struct posted *next;
    void (*fn)(void *);
    void *arg;
    int done;
} posted;

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    posted *first, **last;
    pthread_t thread;
    const mx_plugin *plugin;
    char path[4096];
    atomic_int process; /* that started it; 0: not started */
} runtime = {.lock = PTHREAD_MUTEX_INITIALIZER, .last = &runtime.first};

static int on_mlx_thread(void)
{
    return runtime.process && pthread_equal(pthread_self(), runtime.thread);
}

static void *mlx_thread(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&runtime.lock);
    for (;;) {
        posted *job = runtime.first;
        if (!job) {
            pthread_cond_wait(&runtime.wake, &runtime.lock);
            continue;
        }
        runtime.first = job->next;
        if (!runtime.first) runtime.last = &runtime.first;
        pthread_mutex_unlock(&runtime.lock);
        job->fn(job->arg);
        pthread_mutex_lock(&runtime.lock);
        job->done = 1;
        pthread_cond_broadcast(&runtime.done);
    }
    return NULL;
}

static void post_and_wait(void (*fn)(void *), void *arg)
{
    posted job = {.fn = fn, .arg = arg};
    pthread_mutex_lock(&runtime.lock);
    *runtime.last = &job;
    runtime.last = &job.next;
    pthread_cond_signal(&runtime.wake);
    while (!job.done)
        pthread_cond_wait(&runtime.done, &runtime.lock);
    pthread_mutex_unlock(&runtime.lock);
}

mlxe_status mx_thread_run(void (*fn)(void *), void *arg, mlxe_error *err)
{
    if (!runtime.process) return err_set(err, MLXE_E_STATE, "MLX: not started");
    if (runtime.process != process_id())
        return err_set(err, MLXE_E_STATE,
                       "MLX: called in a forked child, want the process that opened the engine");
    if (on_mlx_thread())
        fn(arg);
    else
        post_and_wait(fn, arg);
    return MLXE_OK;
}

int mx_thread_wanted(void)
{
    pthread_mutex_lock(&runtime.lock);
    int wanted = runtime.first != NULL;
    pthread_mutex_unlock(&runtime.lock);
    return wanted;
}

static mlxe_status plugin_load(const char *path, const mx_plugin **out, mlxe_error *err)
{
    mx_plugin_entry entry;
    const mx_plugin *plugin;
    void *symbol, *image = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!image) return err_set(err, MLXE_E_NOT_FOUND, "MLX plugin: %s", dlerror());
    symbol = dlsym(image, MX_PLUGIN_SYMBOL);
    if (!symbol)
        return err_set(err, MLXE_E_UNSUPPORTED, "%s: is no MLX plugin, has no %s", path,
                       MX_PLUGIN_SYMBOL);
    memcpy(&entry, &symbol, sizeof entry);
    plugin = entry();
    if (!plugin || plugin->abi != MX_PLUGIN_ABI)
        return err_set(err, MLXE_E_UNSUPPORTED, "%s: plugin interface %u, want %u", path,
                       plugin ? plugin->abi : 0u, (unsigned)MX_PLUGIN_ABI);
    if (strcmp(plugin->version(), plugin->built_with) != 0)
        return err_set(err, MLXE_E_UNSUPPORTED, "%s: libmlx is version %s, want %s", path,
                       plugin->version(), plugin->built_with);
    *out = plugin;
    return MLXE_OK;
}

typedef struct start_call {
    const mx_plugin *plugin;
    mlxe_status status;
    mlxe_error *err;
} start_call;

static void plugin_start(void *arg)
{
    start_call *call = arg;
    call->status = call->plugin->start(call->err);
}

mlxe_status mx_runtime_start(const char *path, const log_sink *log, mlxe_error *err)
{
    static pthread_mutex_t starting = PTHREAD_MUTEX_INITIALIZER;
    const mx_plugin *plugin = NULL;
    start_call call;
    mlxe_status rc = MLXE_OK;
    pthread_mutex_lock(&starting);
    if (runtime.process) {
        if (runtime.process != process_id())
            rc = err_set(err, MLXE_E_STATE,
                         "MLX: called in a forked child, want the process that opened the engine");
        else if (strcmp(runtime.path, path) != 0)
            rc = err_set(err, MLXE_E_STATE, "MLX: this process runs the plugin %s, got %s",
                         runtime.path, path);
        goto out;
    }
    if (strlen(path) >= sizeof runtime.path) {
        rc = err_set(err, MLXE_E_ARG, "MLX plugin: path of %zu bytes, want less", strlen(path));
        goto out;
    }
    if ((rc = plugin_load(path, &plugin, err))) goto out;
    if (cond_init(&runtime.wake) || cond_init(&runtime.done)) {
        rc = err_memory(err, "MLX thread", sizeof runtime);
        goto out;
    }
    if ((rc = thread_start(&runtime.thread, "mlxe-mlx", mlx_thread, NULL, err))) goto out;
    runtime.plugin = plugin;
    memcpy(runtime.path, path, strlen(path) + 1);
    runtime.process = process_id();
    call = (start_call){plugin, MLXE_OK, err};
    post_and_wait(plugin_start, &call);
    rc = call.status;
    if (rc) runtime.path[0] = 0; /* no later open may believe that it runs */
    log_line(log, MLXE_LOG_INFO, "MLX %s, plugin %s", plugin->version(), path);
out:
    pthread_mutex_unlock(&starting);
    return rc;
}

const char *mx_version(void) { return runtime.process ? runtime.plugin->version() : ""; }
uint64_t mx_calls_run(void) { return runtime.process ? runtime.plugin->calls_run() : 0; }
mx_memory mx_memory_get(void) { return runtime.plugin->memory(); }
void mx_memory_reset_peak(void) { runtime.plugin->reset_peak(); }

size_t mx_dtype_bytes(mx_dtype dtype)
{
    static const unsigned char BYTES[] = {[MX_F32] = 4, [MX_F16] = 2, [MX_BF16] = 2, [MX_I32] = 4,
                                          [MX_U32] = 4, [MX_U8] = 1,  [MX_BOOL] = 1};
    return BYTES[dtype];
}

/* ---- scopes ---------------------------------------------------------------------------------- */

static mlxe_status wrong_thread(mlxe_error *err, const char *call)
{
    return err_set(err, MLXE_E_STATE, "%s: called from a thread that is not the MLX thread", call);
}

mlxe_status mx_scope_open(const atomic_int *cancel, mx_scope **out, mlxe_error *err)
{
    *out = NULL;
    if (!on_mlx_thread()) return wrong_thread(err, "mx_scope_open");
    return runtime.plugin->scope_open(cancel, out, err);
}

void mx_scope_close(mx_scope *g)
{
    if (!g) return;
    if (on_mlx_thread())
        runtime.plugin->scope_close(g);
    else
        (void)mx_thread_run((void (*)(void *))runtime.plugin->scope_close, g, NULL);
}

mlxe_status mx_scope_status(mx_scope *g, mlxe_error *err)
{
    if (!on_mlx_thread()) return wrong_thread(err, "mx_scope_status");
    return runtime.plugin->status(g, err);
}

mx mx_fail(mx_scope *g, mlxe_status code, const char *fmt, ...)
{
    mlxe_error err;
    va_list args;
    if (!on_mlx_thread()) {
        runtime.plugin->misuse(g);
        return NULL;
    }
    va_start(args, fmt);
    vsnprintf(err.message, sizeof err.message, fmt, args);
    va_end(args);
    runtime.plugin->fail(g, code, err.message);
    return NULL;
}

mlxe_status mx_eval(mx_scope *g, mx *outs, int n, mlxe_error *err)
{
    if (!on_mlx_thread()) return wrong_thread(err, "mx_eval");
    return runtime.plugin->eval(g, outs, n, err);
}

mlxe_status mx_read(mx_scope *g, mx a, void *p, size_t bytes, mlxe_error *err)
{
    if (!on_mlx_thread()) return wrong_thread(err, "mx_read");
    return runtime.plugin->read(g, a, p, bytes, err);
}

int mx_shape(mx a, int32_t shape[MX_MAX_DIMS])
{
    return a && on_mlx_thread() ? runtime.plugin->shape(a, shape) : -1;
}

int mx_nodes(mx a) { return a && on_mlx_thread() ? runtime.plugin->nodes(a) : 0; }

static int dims_bad(mx_scope *g, const char *op, int dims)
{
    if (dims >= 0 && dims <= MX_MAX_DIMS) return 0;
    mx_fail(g, MLXE_E_ARG, "%s: %d dimensions, want 0 to %d", op, dims, MX_MAX_DIMS);
    return 1;
}

mx mx_from(mx_scope *g, const void *p, mx_dtype dtype, const int32_t *shape, int dims)
{
    if (!on_mlx_thread()) return mx_fail(g, MLXE_E_STATE, "mx_from");
    return dims_bad(g, "mx_from", dims) ? NULL : runtime.plugin->from(g, p, dtype, shape, dims);
}

mx mx_wrap(mx_scope *g, const void *p, mx_dtype dtype, const int32_t *shape, int dims)
{
    if (!on_mlx_thread()) return mx_fail(g, MLXE_E_STATE, "mx_wrap");
    return dims_bad(g, "mx_wrap", dims) ? NULL : runtime.plugin->wrap(g, p, dtype, shape, dims);
}

mx mx_scalar(mx_scope *g, float value, mx_dtype dtype)
{
    return mx_astype(g, mx_from(g, &value, MX_F32, NULL, 0), dtype);
}

mx mx_call(mx_scope *g, const mx_call_spec *spec, const mx *in, int n_in)
{
    if (!on_mlx_thread()) return mx_fail(g, MLXE_E_STATE, "%s", spec->name);
    if (dims_bad(g, spec->name, spec->dims)) return NULL;
    if (n_in > MX_MAX_INPUTS) return mx_fail(g, MLXE_E_ARG, "%s: %d inputs", spec->name, n_in);
    return runtime.plugin->call(g, spec, in, n_in);
}

/* ---- ops: names and arguments for the plugin's one entry ------------------------------------- */

static mx op(mx_scope *g, mx_op code, const mx *in, int n_in, const mx_attr *attr)
{
    static const mx_attr NONE = {{0}, 0, 0};
    if (!on_mlx_thread()) return mx_fail(g, MLXE_E_STATE, "op");
    return runtime.plugin->op(g, code, in, n_in, attr ? attr : &NONE);
}

#define UNARY(name)                                                                                \
    mx mx_##name(mx_scope *g, mx a) { return op(g, MX_OP_##name, &a, 1, NULL); }
#define BINARY(name)                                                                               \
    mx mx_##name(mx_scope *g, mx a, mx b) { return op(g, MX_OP_##name, (mx[]){a, b}, 2, NULL); }
UNARY(tanh)
UNARY(erf)
UNARY(sigmoid)
BINARY(add)
BINARY(subtract)
BINARY(multiply)
BINARY(divide)
BINARY(maximum)
BINARY(matmul)

static mx op_int(mx_scope *g, mx_op code, const mx *in, int n_in, int value)
{
    return op(g, code, in, n_in, &(mx_attr){{value}, 1, 0});
}

mx mx_softmax(mx_scope *g, mx a, int axis) { return op_int(g, MX_OP_softmax, &a, 1, axis); }
mx mx_argmax(mx_scope *g, mx a, int axis) { return op_int(g, MX_OP_argmax, &a, 1, axis); }
mx mx_astype(mx_scope *g, mx a, mx_dtype dtype)
{
    return op_int(g, MX_OP_astype, &a, 1, (int)dtype);
}

mx mx_take(mx_scope *g, mx a, mx indices, int axis)
{
    return op_int(g, MX_OP_take, (mx[]){a, indices}, 2, axis);
}

static mx op_ints(mx_scope *g, mx_op code, mx a, const int32_t *first, const int32_t *second,
                  int dims)
{
    mx_attr attr = {{0}, dims, 0};
    if (dims_bad(g, "op", dims)) return NULL;
    for (int i = 0; i < dims; i++) {
        attr.ints[i] = first[i];
        if (second) attr.ints[dims + i] = second[i];
    }
    return op(g, code, &a, 1, &attr);
}

mx mx_reshape(mx_scope *g, mx a, const int32_t *shape, int dims)
{
    return op_ints(g, MX_OP_reshape, a, shape, NULL, dims);
}

mx mx_transpose(mx_scope *g, mx a, const int32_t *axes, int dims)
{
    return op_ints(g, MX_OP_transpose, a, axes, NULL, dims);
}

mx mx_slice(mx_scope *g, mx a, const int32_t *start, const int32_t *stop, int dims)
{
    return op_ints(g, MX_OP_slice, a, start, stop, dims);
}

mx mx_concatenate(mx_scope *g, const mx *arrays, int n, int axis)
{
    return op_int(g, MX_OP_concatenate, arrays, n, axis);
}

mx mx_quantized_matmul(mx_scope *g, mx x, mx w, mx scales, mx biases, int group, int bits)
{
    return op(g, MX_OP_quantized_matmul, (mx[]){x, w, scales, biases}, 4,
              &(mx_attr){{group, bits}, 2, 0});
}

mx mx_dequantize(mx_scope *g, mx w, mx scales, mx biases, int group, int bits)
{
    return op(g, MX_OP_dequantize, (mx[]){w, scales, biases}, 3, &(mx_attr){{group, bits}, 2, 0});
}

mx mx_rms_norm(mx_scope *g, mx x, mx weight, float eps)
{
    return op(g, MX_OP_rms_norm, (mx[]){x, weight}, weight ? 2 : 1, &(mx_attr){{0}, 0, eps});
}

mx mx_rope(mx_scope *g, mx x, int dims, int offset, mx freqs)
{
    return op(g, MX_OP_rope, (mx[]){x, freqs}, 2, &(mx_attr){{dims, offset}, 2, 0});
}

mx mx_attention(mx_scope *g, mx q, mx k, mx v, float scale, mx mask)
{
    return op(g, MX_OP_attention, (mx[]){q, k, v, mask}, mask ? 4 : 3, &(mx_attr){{0}, 0, scale});
}
