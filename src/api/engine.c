/* engine.c: mlxe_engine: starts the process runtime (kernels, pool, MLX), reports what it is.
 *
 * Reads the environment at open, and nowhere else: MLXE_THREADS, MLXE_DEVICE, MLXE_ISA,
 * MLXE_LOG, and the Hub's variables (environment.h). */
#define _XOPEN_SOURCE 700
#include "api/api.h"
#include "api/environment.h"

#include "base/json.h"
#include "base/thread.h"
#include "kernels/kernels.h"
#include "kernels/pool.h"
#include "mx/mx.h"
#include "registry/features.h"
#include "registry/resolve.h"

#include "base/fs.h"

#include <stdlib.h>

#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)

const char *mlxe_version(void)
{
    return TEXT(MLXE_VERSION_MAJOR) "." TEXT(MLXE_VERSION_MINOR) "." TEXT(MLXE_VERSION_PATCH);
}

void mlxe_string_free(char *text) { free(text); }

mlxe_status api_params(const char *name, const void *params, void *to, size_t known,
                       mlxe_error *err)
{
    uint32_t size;
    memset(to, 0, known);
    if (!params) return MLXE_OK;
    memcpy(&size, params, sizeof size);
    if (size < sizeof size)
        return err_set(err, MLXE_E_ARG, "%s: size is %u, want sizeof the struct (use %s_new)", name,
                       size, name);
    for (size_t i = known; i < size; i++)
        if (((const char *)params)[i])
            return err_set(err, MLXE_E_UNSUPPORTED,
                           "%s: sets a field that this version (%s) does not know", name,
                           mlxe_version());
    memcpy(to, params, size < known ? size : known);
    return MLXE_OK;
}

mlxe_status api_process(int process, mlxe_error *err)
{
    if (process == process_id()) return MLXE_OK;
    return err_set(err, MLXE_E_STATE,
                   "engine: called in a forked child, want the process that opened it");
}

static mlxe_status level_of(const mlxe_engine_params *p, mlxe_log_level *out, mlxe_error *err)
{
    static const char *const NAMES[] = {"error", "warn", "info", "debug"};
    const char *name = environment_get("MLXE_LOG");
    *out = p->log_level ? p->log_level : MLXE_LOG_WARN;
    if (p->log_level || !name || !*name) return MLXE_OK;
    for (int i = 0; i < 4; i++) {
        if (strcmp(name, NAMES[i]) != 0) continue;
        *out = (mlxe_log_level)(i + 1);
        return MLXE_OK;
    }
    return err_set(err, MLXE_E_ARG, "MLXE_LOG: %s, want error, warn, info or debug", name);
}

/* "cpu" and NULL are what this build has. */
static mlxe_status device_check(const char *device, mlxe_error *err)
{
    if (!device || !*device || !strcmp(device, "cpu")) return MLXE_OK;
    if (strcmp(device, "gpu") != 0)
        return err_set(err, MLXE_E_ARG, "device: %s, want cpu or gpu", device);
    err_set(err, MLXE_E_UNSUPPORTED,
            "device gpu: not supported, this build has no CUDA or Metal plugin");
    err_hint(err, "use the device cpu");
    return MLXE_E_UNSUPPORTED;
}

/* What the command line promises but this version does not have is told, not ignored. */
static mlxe_status environment_check(mlxe_error *err)
{
    static const char *const ABSENT[] = {"MLXE_TRACE", "MLXE_DUMP"};
    for (size_t i = 0; i < sizeof ABSENT / sizeof *ABSENT; i++) {
        const char *value = environment_get(ABSENT[i]);
        if (value && *value)
            return err_set(err, MLXE_E_UNSUPPORTED, "%s: not supported by this version, unset it",
                           ABSENT[i]);
    }
    return MLXE_OK;
}

static mlxe_status threads_of(const mlxe_engine_params *p, int *out, mlxe_error *err)
{
    const char *text = environment_get("MLXE_THREADS");
    char *end;
    long n = (long)p->threads;
    if (!n && text && *text) {
        n = strtol(text, &end, 10);
        if (*end || n < 1)
            return err_set(err, MLXE_E_ARG, "MLXE_THREADS: %s, want a number from 1 to 1024", text);
    }
    if (n > 1024) return err_set(err, MLXE_E_ARG, "threads: %ld, want 1 to 1024", n);
    *out = (int)n;
    return MLXE_OK;
}

static mlxe_status plugin_path(const char *dir, buf *out, mlxe_error *err)
{
    static const char *const PLACES[] = {"/libmlxengine-mlx-cpu.so",
                                         "/mlxengine/libmlxengine-mlx-cpu.so"};
    buf base = {0};
    mlxe_status rc = MLXE_OK;
    if (dir)
        buf_add_str(&base, dir);
    else
        rc = resolve_library_folder(&base, err);
    for (size_t i = 0; i < 2 && !rc; i++) {
        char *real;
        buf_clear(out);
        buf_add_strv(out, buf_view(&base));
        buf_add_str(out, PLACES[i]);
        real = buf_ok(out) ? realpath(buf_str(out), NULL) : NULL;
        if (!real) continue;
        buf_clear(out);
        buf_add_str(out, real);
        free(real);
        break;
    }
    if (!rc && (!buf_ok(out) || !fs_exists(buf_str(out)))) {
        rc = err_set(err, MLXE_E_NOT_FOUND, "MLX plugin: no libmlxengine-mlx-cpu.so in %s",
                     buf_str(&base));
        err_hint(err, "it is installed beside the library; plugin_dir names another folder");
    }
    buf_deinit(&base);
    return rc;
}

static mlxe_status runtime_start(const mlxe_engine_params *p, const log_sink *log, mlxe_error *err)
{
    buf path = {0};
    int threads = 0;
    mlxe_status rc = device_check(p->device ? p->device : environment_get("MLXE_DEVICE"), err);
    if (!rc) rc = environment_check(err);
    if (!rc) rc = threads_of(p, &threads, err);
    if (!rc) rc = plugin_path(p->plugin_dir, &path, err);
    if (!rc) rc = kn_init(environment_get("MLXE_ISA"), err);
    if (!rc) rc = kn_pool_start(threads, err);
    if (!rc) rc = mx_runtime_start(buf_str(&path), log, err);
    buf_deinit(&path);
    return rc;
}

/* A Hub that cannot be opened (no home, a broken token) matters only to who names a Hub id. */
static void open_hub(mlxe_engine *e)
{
    hub_config config;
    hub_settings settings;
    mlxe_error why;
    mlxe_status rc = environment_hub(&e->log, &config, &why);
    if (!rc) {
        settings = config_settings(&config);
        settings.log = e->log;
        rc = hub_open(&settings, &e->hub, &why);
        config_deinit(&config);
    }
    if (rc) log_line(&e->log, MLXE_LOG_INFO, "%s", why.message);
}

mlxe_status mlxe_engine_open(const mlxe_engine_params *params, mlxe_engine **out, mlxe_error *err)
{
    mlxe_engine_params p;
    mlxe_engine *e;
    mlxe_status rc;
    double from = clock_ms();
    *out = NULL;
    err_clear(err);
    if ((rc = api_params("mlxe_engine_params", params, &p, sizeof p, err))) return rc;
    e = calloc(1, sizeof *e);
    if (!e) return err_memory(err, "engine", sizeof *e);
    atomic_init(&e->references, 1);
    e->process = process_id();
    e->log = (log_sink){p.log, p.log_user, MLXE_LOG_WARN};
    rc = level_of(&p, &e->log.level, err);
    if (!rc) rc = runtime_start(&p, &e->log, err);
    if (!rc) open_hub(e);
    e->open_ms = clock_ms() - from;
    if (rc)
        free(e);
    else
        *out = e;
    return rc;
}

void engine_retain(mlxe_engine *e) { atomic_fetch_add(&e->references, 1); }

void mlxe_engine_close(mlxe_engine *e)
{
    if (!e || atomic_fetch_sub(&e->references, 1) != 1) return;
    hub_close(e->hub);
    free(e);
}

mlxe_status mlxe_engine_describe(mlxe_engine *engine, char **out_json, mlxe_error *err)
{
    char cpu[512];
    buf b = {0};
    mlxe_status rc;
    *out_json = NULL;
    if ((rc = api_process(engine->process, err))) return rc;
    kn_cpu_features(cpu, sizeof cpu);
    buf_add_str(&b, "{\"version\":");
    json_write_str(&b, strv_of(mlxe_version()));
    buf_add_str(&b, ",\"mlx\":");
    json_write_str(&b, strv_of(mx_version()));
    buf_add_str(&b, ",\"cpu_features\":");
    json_write_str(&b, strv_of(cpu));
    buf_add_str(&b, ",\"kernels\":");
    json_write_str(&b, strv_of(kn_isa()));
    buf_addf(&b, ",\"threads\":%d,\"devices\":[\"cpu\"],\"backends\":[\"mlx-cpu\"],\"features\":",
             kn_pool_threads());
    features_write(&b);
    buf_add_char(&b, '}');
    *out_json = buf_take(&b, NULL);
    return *out_json ? MLXE_OK : err_memory(err, "description", 0);
}
