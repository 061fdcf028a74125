/* hub.c: mlxe_hub: settings of the caller over those of the environment, and its jobs.
 *
 *   params + HF_* -> hub          name "org/name@rev" -> request -> job -> one JSON object */
#include "api/hub.h"

#include "api/environment.h"
#include "base/json.h"
#include "base/thread.h"
#include "registry/describe_hub.h"
#include "registry/device.h"

#include <stdlib.h>

/* ---- open ------------------------------------------------------------------------------------ */

static void settings_over(hub_settings *s, const mlxe_hub_params *p)
{
    if (p->endpoint) s->endpoint = p->endpoint;
    if (p->cache_dir) s->cache = p->cache_dir;
    if (p->token) {
        s->token = p->token;
        s->token_from = *p->token ? HUB_TOKEN_GIVEN : HUB_TOKEN_NONE;
    }
    if (p->offline) s->offline = p->offline > 0;
    if (p->timeout_s) s->download_timeout_s = s->etag_timeout_s = (int)p->timeout_s;
    s->allow_insecure_token = p->insecure_token != 0;
    s->workers = (int)p->workers;
}

mlxe_status mlxe_hub_open(const mlxe_hub_params *params, mlxe_hub **out, mlxe_error *err)
{
    mlxe_hub_params p;
    hub_config config = {0};
    hub_settings settings;
    log_sink log;
    mlxe_hub *h = NULL;
    mlxe_status rc;
    *out = NULL;
    err_clear(err);
    if ((rc = api_params("mlxe_hub_params", params, &p, sizeof p, err))) return rc;
    if (p.workers > 64 || p.timeout_s > 100000)
        return err_set(err, MLXE_E_ARG, "hub: workers or timeout_s: want at most 64 and 100000");
    log = (log_sink){p.log, p.log_user, p.log_level ? p.log_level : MLXE_LOG_WARN};
    if ((rc = environment_hub(&log, &config, err))) return rc;
    settings = config_settings(&config);
    settings.log = log;
    settings_over(&settings, &p);
    h = calloc(1, sizeof *h);
    rc = h ? hub_open(&settings, &h->hub, err) : err_memory(err, "hub", sizeof *h);
    config_deinit(&config);
    if (rc) {
        free(h);
        return rc;
    }
    atomic_init(&h->references, 1);
    h->process = process_id();
    *out = h;
    return MLXE_OK;
}

void mlxe_hub_close(mlxe_hub *h)
{
    if (!h || atomic_fetch_sub(&h->references, 1) != 1) return;
    hub_close(h->hub);
    free(h);
}

mlxe_status hub_name_read(const char *name, buf *id, buf *revision, mlxe_error *err)
{
    strv i, r;
    mlxe_status rc;
    hub_name_split(name, &i, &r);
    if ((rc = hub_id_check(i, err))) return rc;
    if (r.p && (rc = hub_revision_check(r, err))) return rc;
    buf_add_strv(id, i);
    buf_add_strv(revision, r);
    return buf_ok(id) && buf_ok(revision) ? MLXE_OK : err_memory(err, "name", 0);
}

/* ---- requests -------------------------------------------------------------------------------- */

typedef struct request {
    buf id, revision;
    char **words; /* include, then exclude; or the filters of a search */
    size_t n_include, n_words;
    int force;
    char *from;
    char *local_dir;
    char *fields[5]; /* of a search: text, author, task, library, sort */
    uint32_t limit;
    uint64_t memory_bytes;
} request;

static void request_drop(void *p)
{
    request *r = p;
    if (!r) return;
    buf_deinit(&r->id);
    buf_deinit(&r->revision);
    for (size_t i = 0; i < r->n_words; i++)
        free(r->words[i]);
    free(r->words);
    free(r->from);
    free(r->local_dir);
    for (size_t i = 0; i < 5; i++)
        free(r->fields[i]);
    free(r);
}

static char *copy(const char *text)
{
    size_t n = strlen(text) + 1;
    char *p = malloc(n);
    if (p) memcpy(p, text, n);
    return p;
}

/* Adds copies. -> 0: no memory */
static int words_add(request *r, const char *const *words, size_t n)
{
    char **grown = n ? realloc(r->words, (r->n_words + n) * sizeof *grown) : r->words;
    if (n && !grown) return 0;
    r->words = grown;
    for (size_t i = 0; i < n; i++) {
        if (!(r->words[r->n_words] = copy(words[i]))) return 0;
        r->n_words++;
    }
    return 1;
}

static mlxe_status request_open(const char *name, request **out, mlxe_error *err)
{
    request *r = calloc(1, sizeof *r);
    mlxe_status rc = r ? MLXE_OK : err_memory(err, "request", sizeof *r);
    if (!rc && name) rc = hub_name_read(name, &r->id, &r->revision, err);
    if (rc) {
        request_drop(r);
        r = NULL;
    }
    *out = r;
    return rc;
}

static hub_repo repo_of(const request *r)
{
    return (hub_repo){HUB_MODEL, buf_str(&r->id), r->revision.n ? buf_str(&r->revision) : NULL};
}

/* A job whose request is a name only. */
static mlxe_status start_named(mlxe_hub *h, const char *name, hub_work work, mlxe_job **out,
                               mlxe_error *err)
{
    request *r;
    mlxe_status rc = request_open(name, &r, err);
    *out = NULL;
    return rc ? rc : hub_job_start(h, work, r, request_drop, 0, out, err);
}

/* ---- pull ------------------------------------------------------------------------------------ */

static mlxe_status pull_work(mlxe_hub *h, void *request_, const hub_watch *watch, job *j,
                             buf *answer, mlxe_error *err)
{
    request *r = request_;
    hub_repo repo = repo_of(r);
    hub_want want = {.force = r->force, .from = r->from, .local_dir = r->local_dir};
    hub_got got;
    buf path = {0};
    mlxe_status rc;
    (void)j;
    want.globs =
        (hub_globs){(const char *const *)r->words, r->n_include,
                    (const char *const *)r->words + r->n_include, r->n_words - r->n_include};
    rc = hub_snapshot(h->hub, &repo, &want, watch, &path, &got, err);
    if (!rc) {
        buf_add_str(answer, "{\"path\":");
        json_write_str(answer, buf_view(&path));
        buf_addf(answer,
                 ",\"bytes\":%llu,\"revision\":\"%s\",\"downloaded_bytes\":%llu,\"files\":%zu,"
                 "\"from_cache\":%s}",
                 (unsigned long long)got.bytes, got.commit,
                 (unsigned long long)got.downloaded_bytes, got.files,
                 got.from_cache ? "true" : "false");
    }
    buf_deinit(&path);
    return rc;
}

mlxe_status mlxe_hub_pull(mlxe_hub *h, const char *name, const mlxe_pull_params *params,
                          mlxe_job **out, mlxe_error *err)
{
    mlxe_pull_params p;
    request *r;
    mlxe_status rc;
    *out = NULL;
    err_clear(err);
    if ((rc = api_params("mlxe_pull_params", params, &p, sizeof p, err))) return rc;
    if ((rc = request_open(name, &r, err))) return rc;
    r->force = p.force != 0;
    r->n_include = p.n_include;
    if (!words_add(r, p.include, p.n_include) || !words_add(r, p.exclude, p.n_exclude) ||
        (p.from && !(r->from = copy(p.from))) ||
        (p.local_dir && !(r->local_dir = copy(p.local_dir)))) {
        request_drop(r);
        return err_memory(err, "patterns", 0);
    }
    return hub_job_start(h, pull_work, r, request_drop, p.deadline_ms, out, err);
}

/* ---- search ---------------------------------------------------------------------------------- */

typedef struct counted {
    job *job;
    size_t n;
} counted;

static int on_found(void *user, const char *text, size_t bytes)
{
    counted *c = user;
    c->n++;
    return job_add_result(c->job, strv_from(text, bytes));
}

static mlxe_status search_work(mlxe_hub *h, void *request_, const hub_watch *watch, job *j,
                               buf *answer, mlxe_error *err)
{
    request *r = request_;
    counted c = {j, 0};
    hub_query q = {.search = r->fields[0],
                   .author = r->fields[1],
                   .task = r->fields[2],
                   .library = r->fields[3],
                   .sort = r->fields[4],
                   .filters = (const char *const *)r->words,
                   .n_filters = r->n_words,
                   .limit = r->limit,
                   .memory_bytes = r->memory_bytes};
    mlxe_status rc = hub_search(h->hub, &q, watch, on_found, &c, err);
    if (!rc && atomic_load(watch->cancel)) rc = err_set(err, MLXE_E_CANCELLED, "search: cancelled");
    buf_addf(answer, "{\"count\":%zu", c.n);
    if (r->memory_bytes)
        buf_addf(answer, ",\"memory_bytes\":%llu", (unsigned long long)r->memory_bytes);
    buf_add_char(answer, '}');
    return rc;
}

mlxe_status mlxe_hub_search(mlxe_hub *h, const mlxe_search_params *params, mlxe_job **out,
                            mlxe_error *err)
{
    mlxe_search_params p;
    const char *fields[5];
    request *r;
    int good = 1;
    mlxe_status rc;
    *out = NULL;
    err_clear(err);
    if ((rc = api_params("mlxe_search_params", params, &p, sizeof p, err))) return rc;
    if (p.fits && !p.memory_bytes && !(p.memory_bytes = device_memory_bytes()))
        return err_set(err, MLXE_E_UNSUPPORTED, "search: this system does not tell its memory");
    if ((rc = request_open(NULL, &r, err))) return rc;
    fields[0] = p.text;
    fields[1] = p.author;
    fields[2] = p.task;
    fields[3] = p.library;
    fields[4] = p.sort;
    r->limit = p.limit;
    r->memory_bytes = p.fits ? p.memory_bytes : 0;
    for (size_t i = 0; i < 5; i++)
        if (fields[i] && !(r->fields[i] = copy(fields[i]))) good = 0;
    if (!good || !words_add(r, p.filters, p.n_filters)) {
        request_drop(r);
        return err_memory(err, "search", 0);
    }
    return hub_job_start(h, search_work, r, request_drop, 0, out, err);
}

/* ---- one repository -------------------------------------------------------------------------- */

static mlxe_status describe_work(mlxe_hub *h, void *request_, const hub_watch *watch, job *j,
                                 buf *answer, mlxe_error *err)
{
    hub_repo repo = repo_of(request_);
    (void)j;
    return describe_hub(h->hub, &repo, watch, answer, err);
}

static mlxe_status info_work(mlxe_hub *h, void *request_, const hub_watch *watch, job *j,
                             buf *answer, mlxe_error *err)
{
    hub_repo repo = repo_of(request_);
    (void)j;
    return hub_info(h->hub, &repo, watch, answer, err);
}

static mlxe_status files_work(mlxe_hub *h, void *request_, const hub_watch *watch, job *j,
                              buf *answer, mlxe_error *err)
{
    hub_repo repo = repo_of(request_);
    (void)j;
    return describe_hub_files(h->hub, &repo, watch, answer, err);
}

static mlxe_status refs_work(mlxe_hub *h, void *request_, const hub_watch *watch, job *j,
                             buf *answer, mlxe_error *err)
{
    hub_repo repo = repo_of(request_);
    (void)j;
    return hub_refs(h->hub, &repo, watch, answer, err);
}

static mlxe_status whoami_work(mlxe_hub *h, void *request_, const hub_watch *watch, job *j,
                               buf *answer, mlxe_error *err)
{
    (void)request_;
    (void)j;
    return hub_whoami(h->hub, watch, answer, err);
}

static mlxe_status login_work(mlxe_hub *h, void *request_, const hub_watch *watch, job *j,
                              buf *answer, mlxe_error *err)
{
    (void)request_;
    (void)j;
    return hub_login(h->hub, watch, answer, err);
}

static mlxe_status logout_work(mlxe_hub *h, void *request_, const hub_watch *watch, job *j,
                               buf *answer, mlxe_error *err)
{
    (void)request_;
    (void)watch;
    (void)j;
    return hub_logout(h->hub, answer, err);
}

mlxe_status mlxe_hub_describe(mlxe_hub *h, const char *name, mlxe_job **out, mlxe_error *err)
{
    err_clear(err);
    return start_named(h, name, describe_work, out, err);
}

mlxe_status mlxe_hub_info(mlxe_hub *h, const char *name, mlxe_job **out, mlxe_error *err)
{
    err_clear(err);
    return start_named(h, name, info_work, out, err);
}

mlxe_status mlxe_hub_files(mlxe_hub *h, const char *name, mlxe_job **out, mlxe_error *err)
{
    err_clear(err);
    return start_named(h, name, files_work, out, err);
}

mlxe_status mlxe_hub_refs(mlxe_hub *h, const char *name, mlxe_job **out, mlxe_error *err)
{
    err_clear(err);
    return start_named(h, name, refs_work, out, err);
}

mlxe_status mlxe_hub_whoami(mlxe_hub *h, mlxe_job **out, mlxe_error *err)
{
    err_clear(err);
    *out = NULL;
    return hub_job_start(h, whoami_work, NULL, NULL, 0, out, err);
}

mlxe_status mlxe_hub_login(mlxe_hub *h, mlxe_job **out, mlxe_error *err)
{
    err_clear(err);
    *out = NULL;
    return hub_job_start(h, login_work, NULL, NULL, 0, out, err);
}

mlxe_status mlxe_hub_logout(mlxe_hub *h, mlxe_job **out, mlxe_error *err)
{
    err_clear(err);
    *out = NULL;
    return hub_job_start(h, logout_work, NULL, NULL, 0, out, err);
}
