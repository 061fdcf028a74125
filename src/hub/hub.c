/* hub.c: opening a hub: settings copied and checked, the token's place decided once. */
#include "hub/hub.h"

#include "hub/hub_state.h"
#include "hub/url.h"

#include <stdlib.h>

#define DEFAULT_ENDPOINT "https://huggingface.co"
#define USER_AGENT       "mlxengine/0.1; hf_hub/2.4.0-compatible"

enum { DEFAULT_TIMEOUT_S = 10, DEFAULT_WORKERS = 8, MAX_WORKERS = 64, RETRY_UNIT_MS = 1000 };

static char *copy(const char *text)
{
    size_t n = text ? strlen(text) + 1 : 0;
    char *p = text ? malloc(n) : NULL;
    if (p) memcpy(p, text, n);
    return p;
}

/* scheme://host[:port][/prefix] without a slash at its end. */
static mlxe_status endpoint_set(hub *h, const char *given, mlxe_error *err)
{
    buf url = {0};
    mlxe_status rc = MLXE_OK;
    size_t n;
    const char *text = given && *given ? given : DEFAULT_ENDPOINT;
    rc = url_resolve(NULL, strv_of(text), &url, err);
    if (rc || strpbrk(text, "?#"))
        rc = err_set(err, MLXE_E_ARG, "HF_ENDPOINT: %.200s: want http(s)://host[:port]", text);
    for (n = url.n; !rc && n && url.p[n - 1] == '/';)
        url.p[--n] = 0;
    if (!rc && !(h->endpoint = copy(buf_str(&url)))) rc = err_memory(err, "endpoint", url.n);
    buf_deinit(&url);
    return rc;
}

static mlxe_status token_set(hub *h, const hub_settings *s, mlxe_error *err)
{
    /* A caller who wants no token at all gives an empty one. */
    if (s->oidc && s->token_from != HUB_TOKEN_GIVEN && !(s->token && !*s->token)) {
        err_set(err, MLXE_E_ARG,
                "HF_OIDC_RESOURCE: tokens of identity providers are not supported");
        err_hint(err, "unset HF_OIDC_RESOURCE and set HF_TOKEN");
        return MLXE_E_ARG;
    }
    if (s->token_from == HUB_TOKEN_NONE || !s->token || !*s->token) return MLXE_OK;
    for (const char *p = s->token; *p; p++)
        if (*p < 0x21 || *p > 0x7e)
            return err_set(err, MLXE_E_ARG, "token: holds a character that no token has");
    if (!(h->token = copy(s->token))) return err_memory(err, "token", 0);
    h->token_usable =
        s->allow_insecure_token || url_is_https(h->endpoint) || url_is_loopback(h->endpoint);
    if (!h->token_usable)
        log_line(&h->log, MLXE_LOG_WARN, "%s: the token is not sent over plain http", h->endpoint);
    return MLXE_OK;
}

mlxe_status hub_open(const hub_settings *s, hub **out, mlxe_error *err)
{
    mlxe_status rc;
    hub *h = calloc(1, sizeof *h);
    *out = NULL;
    if (!h) return err_memory(err, "hub", sizeof *h);
    if (pthread_mutex_init(&h->lock, NULL)) {
        free(h);
        return err_memory(err, "hub", 0);
    }
    h->log = s->log;
    h->offline = s->offline;
    h->no_links = s->no_links;
    h->one_stream = s->one_stream;
    h->workers = s->workers > 0 ? s->workers : DEFAULT_WORKERS;
    if (h->workers > MAX_WORKERS) h->workers = MAX_WORKERS;
    h->etag_timeout_s = s->etag_timeout_s > 0 ? s->etag_timeout_s : DEFAULT_TIMEOUT_S;
    h->retry_unit_ms = s->retry_unit_ms > 0 ? s->retry_unit_ms : RETRY_UNIT_MS;
    h->cache = copy(s->cache && *s->cache ? s->cache : ".");
    h->home = s->home ? copy(s->home) : NULL;
    h->user_agent = copy(s->user_agent && *s->user_agent ? s->user_agent : USER_AGENT);
    h->ca_file = copy(s->ca_file);
    h->ca_dir = copy(s->ca_dir);
    h->token_path = copy(s->token_path);
    h->http_proxy = copy(s->http_proxy);
    rc = !h->cache || !h->user_agent || (s->home && !h->home) || (s->ca_file && !h->ca_file) ||
                 (s->ca_dir && !h->ca_dir) || (s->token_path && !h->token_path) ||
                 (s->http_proxy && !h->http_proxy)
             ? err_memory(err, "hub", 0)
             : MLXE_OK;
    for (size_t n = h->cache ? strlen(h->cache) : 0; n > 1 && h->cache[n - 1] == '/';)
        h->cache[--n] = 0;
    if (!rc) rc = endpoint_set(h, s->endpoint, err);
    if (!rc) rc = token_set(h, s, err);
    h->http.user_agent = h->user_agent;
    h->http.ca_file = h->ca_file;
    h->http.ca_dir = h->ca_dir;
    h->http.http_proxy = h->http_proxy;
    h->http.connect_timeout_s = h->http.idle_timeout_s =
        s->download_timeout_s > 0 ? s->download_timeout_s : DEFAULT_TIMEOUT_S;
    if (rc)
        hub_close(h);
    else
        *out = h;
    return rc;
}

void hub_close(hub *h)
{
    if (!h) return;
    buf_deinit(&h->warned);
    pthread_mutex_destroy(&h->lock);
    free(h->endpoint);
    free(h->cache);
    free(h->token);
    free(h->user_agent);
    free(h->home);
    free(h->ca_file);
    free(h->ca_dir);
    free(h->token_path);
    free(h->http_proxy);
    free(h);
}

const char *hub_cache(const hub *h) { return h->cache; }
const char *hub_endpoint(const hub *h) { return h->endpoint; }
int hub_offline(const hub *h) { return h->offline; }
