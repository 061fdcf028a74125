/* model_name.c: from MODEL to a folder, the Hub included: what is not here is fetched, and said.
 *
 *   folder, pocket model -> registry | org/name[@rev] -> complete copy in the cache -> else pull
 *
 * Only the files that a model needs count and are fetched: weights in safetensors, JSON, tokenizer
 * and template files. Other formats of the same weights, which many repositories hold, are not. */
#include "api/hub.h"

#include "api/environment.h"
#include "base/fs.h"
#include "base/thread.h"
#include "registry/resolve.h"

#include <stdio.h>

static const char *const NEEDED[] = {"*.json", "*.safetensors", "*.model", "*.tiktoken",
                                     "*.txt",  "*.jinja",       "*.jsonl", "*.md"};
static const char *const UNNEEDED[] = {"original/*", "*/original/*", "consolidated*.safetensors",
                                       "onnx/*", "*.onnx.json"};

enum { TELL_MS = 5000 };

/* Tells a pull to the log, where nobody watches it otherwise. */
typedef struct teller {
    const char *name;
    const log_sink *log;
    int64_t next_ns;
    int began;
} teller;

static void tell(void *user, const hub_progress *p)
{
    teller *t = user;
    int64_t now = clock_ns();
    if (!t->began && p->text) {
        t->began = 1;
        t->next_ns = now + TELL_MS * 1000000LL;
        log_line(t->log, MLXE_LOG_WARN, "%s: fetching from the Hub: %s", t->name, p->text);
    } else if (t->began && now > t->next_ns && p->total_bytes) {
        t->next_ns = now + TELL_MS * 1000000LL;
        log_line(t->log, MLXE_LOG_WARN, "%s: %llu of %llu MB, %.0f MB/s", t->name,
                 (unsigned long long)(p->done_bytes / 1000000),
                 (unsigned long long)(p->total_bytes / 1000000), p->rate_bytes_s / 1e6);
    }
}

static mlxe_status from_hub(hub *h, const char *name, const log_sink *log, buf *folder,
                            mlxe_error *err)
{
    hub_want want = {.globs = {NEEDED, sizeof NEEDED / sizeof *NEEDED, UNNEEDED,
                               sizeof UNNEEDED / sizeof *UNNEEDED}};
    teller t = {name, log, 0, 0};
    hub_watch watch = {.progress = tell, .user = &t};
    hub_got got;
    buf id = {0}, revision = {0};
    hub_repo repo;
    mlxe_status rc = hub_name_read(name, &id, &revision, err);
    repo = (hub_repo){HUB_MODEL, buf_str(&id), revision.n ? buf_str(&revision) : NULL};
    if (!rc && hub_cached(h, &repo, &want.globs, folder, &got, NULL))
        rc = hub_snapshot(h, &repo, &want, &watch, folder, &got, err);
    buf_deinit(&id);
    buf_deinit(&revision);
    return rc;
}

mlxe_status api_resolve(hub *h, const log_sink *log, const char *name, buf *folder, mlxe_error *err)
{
    hub_config config;
    hub_settings settings;
    hub *own = NULL;
    mlxe_status rc = resolve_model(name, folder, err);
    if (rc != MLXE_E_NOT_FOUND || !resolve_is_hub_id(name)) return rc;
    if (!h) {
        if ((rc = environment_hub(log, &config, err))) return rc;
        settings = config_settings(&config);
        if (log) settings.log = *log;
        rc = hub_open(&settings, &own, err);
        config_deinit(&config);
        if (rc) return rc;
        h = own;
    }
    rc = from_hub(h, name, log, folder, err);
    hub_close(own);
    return rc;
}

int mlxe_is_hub_id(const char *model) { return !fs_exists(model) && resolve_is_hub_id(model); }
