/* request.c: hops, credentials and retries.
 *
 *   url --hop--> 2xx: done | 3xx: the next hop | else: answer_fault (request_fault.c)
 *
 * Invariants
 *   The token goes to the endpoint's origin only, and once a chain has left it, never again in that
 *   chain. A chain has at most MAX_HOPS hops, never goes from https to http, and only to URLs that
 *   url_resolve takes. With a hub that is offline no exchange begins.
 *
 * Traps: the Hub answers a HEAD of a large file with 302 to a signed URL: that answer is the
 * metadata, the storage behind it knows neither commit nor etag of ours. Small and renamed files
 * are 307 within the origin: followed, query kept. */
#define _XOPEN_SOURCE 700
#include "hub/request.h"

#include "hub/cache_dir.h"
#include "hub/hub_state.h"
#include "hub/link.h"
#include "hub/request_fault.h"
#include "hub/url.h"

#include "base/thread.h"

#include <time.h>

enum { MAX_HOPS = 10, LONG_TIMEOUT_S = 60, TRIES = 7, CONNECT_TRIES = 3, MAX_WAIT_S = 330 };

mlxe_status requester_open(hub *h, const hub_watch *watch, requester *out, mlxe_error *err)
{
    *out = (requester){h, NULL, watch, 0};
    return http_client_open(&h->http, &out->client, err);
}

void requester_close(requester *r)
{
    http_client_close(r->client);
    r->client = NULL;
}

void requester_rest(requester *r) { http_client_rest(r->client); }

int parse_size(strv text, uint64_t *out)
{
    uint64_t v = 0;
    if (!text.n || text.n > 19) return 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9') return 0;
        v = v * 10 + (uint64_t)(text.p[i] - '0');
    }
    if (v > INT64_MAX) return 0;
    *out = v;
    return 1;
}

/* ---- trying again ---------------------------------------------------------------------------- */

int fault_retryable(const hub_fault *f) { return f->kind == KIND_NET || f->kind == KIND_SERVER; }

int fault_allows_cache(const hub_fault *f)
{
    switch (f->kind) {
    case KIND_NONE:
    case KIND_REVISION:
    case KIND_ENTRY:
    case KIND_SINK:
    case KIND_STOP:
        return 0;
    case KIND_NET_FINAL:
        return f->why != HTTP_WHY_PROXY;
    default:
        return 1;
    }
}

static int stopped(const requester *r)
{
    const hub_watch *w = r->watch;
    return w && ((w->cancel && atomic_load(w->cancel)) ||
                 (w->deadline_ns && clock_ns() > w->deadline_ns));
}

int fault_wait(const requester *r, hub_fault *f, int attempt)
{
    static const int UNITS[] = {1, 2, 4, 8, 8};
    const int64_t unit_ms = r->h->retry_unit_ms;
    int64_t ms = UNITS[attempt < 5 ? attempt - 1 : 4] * unit_ms, end;
    char random[3];
    cache_random_hex(random, 2);
    ms += ms * ((random[0] + random[1]) % 41 - 20) / 100;
    if (f->wait_ms >= 0) ms = f->wait_ms * unit_ms / 1000;
    if (f->wait_ms > MAX_WAIT_S * 1000) return 0;
    end = clock_ns() + ms * 1000000;
    if (r->watch && r->watch->deadline_ns && end > r->watch->deadline_ns) return 0;
    while (clock_ns() < end) {
        struct timespec nap = {0, 20 * 1000000L};
        if (stopped(r)) return 0;
        nanosleep(&nap, NULL);
    }
    return !stopped(r);
}

/* ---- one hop --------------------------------------------------------------------------------- */

typedef struct chain {
    requester *r;
    http_call call;
    buf url, shown;
    int hops, left_origin;
    int of_file, stored; /* a GET of bytes; stored: as request_sink's */
    char trace[37];
} chain;

static void chain_init(chain *c, requester *r, const char *url)
{
    char hex[33];
    *c = (chain){.r = r};
    buf_add_str(&c->url, url);
    cache_random_hex(hex, 32);
    for (size_t i = 0, k = 0; i < 32; i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20) c->trace[k++] = '-';
        c->trace[k++] = i == 12 ? '4' : hex[i];
    }
    c->trace[36] = 0;
    c->call.trace = c->trace;
    c->call.cancel = r->watch ? r->watch->cancel : NULL;
    c->call.deadline_ns = r->watch ? r->watch->deadline_ns : 0;
}

static void chain_deinit(chain *c)
{
    buf_deinit(&c->url);
    buf_deinit(&c->shown);
}

/* One exchange at c->url. A failure of the network becomes a fault here. */
static mlxe_status hop(chain *c, http_answer *a, hub_fault *fault, mlxe_error *err)
{
    hub *h = c->r->h;
    http_why why;
    mlxe_status rc;
    *fault = (hub_fault){.wait_ms = -1};
    if (h->offline) {
        fault->kind = KIND_OFFLINE;
        err_set(err, MLXE_E_OFFLINE, "%s: offline mode, nothing is fetched", h->endpoint);
        err_hint(err, "unset HF_HUB_OFFLINE to fetch it");
        return MLXE_E_OFFLINE;
    }
    if (!buf_ok(&c->url)) {
        fault->kind = KIND_STOP;
        return err_memory(err, "URL", 0);
    }
    if (!url_same_origin(buf_str(&c->url), h->endpoint)) c->left_origin = 1;
    c->call.url = buf_str(&c->url);
    c->call.shown_url = url_shown(c->call.url, &c->shown);
    c->call.token = c->left_origin || !h->token_usable ? NULL : h->token;
    log_line(&h->log, MLXE_LOG_DEBUG, "%s %s%s%s%s", c->call.method == HTTP_HEAD ? "HEAD" : "GET",
             c->call.shown_url, c->call.range ? " bytes=" : "", c->call.range ? c->call.range : "",
             c->call.token ? " (with token)" : "");
    rc = http_perform(c->r->client, &c->call, a, &why, err);
    fault->status = a->status;
    fault->why = why;
    if (!rc) warnings_show(h, a);
    if (!rc) return MLXE_OK;
    switch (why) {
    case HTTP_WHY_DNS:
    case HTTP_WHY_CONNECT:
    case HTTP_WHY_TIMEOUT:
    case HTTP_WHY_RESET:
        fault->kind = KIND_NET;
        break;
    case HTTP_WHY_TLS:
    case HTTP_WHY_PROXY:
        fault->kind = KIND_NET_FINAL;
        break;
    case HTTP_WHY_SINK:
        fault->kind = KIND_SINK;
        break;
    case HTTP_WHY_PROTOCOL:
        fault->kind = KIND_METADATA;
        break;
    default:
        fault->kind = KIND_STOP;
    }
    return rc;
}

static int is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Where a redirect leads, after clearing target. */
static mlxe_status redirect_target(chain *c, const http_answer *a, buf *target, hub_fault *fault,
                                   mlxe_error *err)
{
    mlxe_status rc = url_resolve(buf_str(&c->url), http_header(a, "location"), target, err);
    fault->kind = KIND_REDIRECT;
    if (rc == MLXE_E_MEMORY) return rc;
    if (rc) {
        mlxe_error why = {0};
        if (err) why = *err;
        return err_set(err, MLXE_E_IO, "%s: status %d, a redirect that is refused: %s",
                       c->call.shown_url, a->status, why.message);
    }
    if (url_is_https(buf_str(&c->url)) && !url_is_https(buf_str(target)))
        return err_set(err, MLXE_E_IO, "%s: a redirect from https to http is refused",
                       c->call.shown_url);
    fault->kind = KIND_NONE;
    return MLXE_OK;
}

static mlxe_status follow(chain *c, buf *target, hub_fault *fault, mlxe_error *err)
{
    buf old = c->url;
    if (++c->hops > MAX_HOPS) {
        fault->kind = KIND_REDIRECT;
        return err_set(err, MLXE_E_IO, "%s: more than %d redirects, a loop", c->call.shown_url,
                       MAX_HOPS);
    }
    c->url = *target;
    *target = old;
    return MLXE_OK;
}

static request_from chain_from(const chain *c)
{
    if (c->left_origin) return FROM_ELSEWHERE;
    return c->of_file && (c->hops || c->stored) ? FROM_STORAGE : FROM_ENDPOINT;
}

/* A GET with its redirects: ends with a success, whose body went to the call's sink, or a fault. */
static mlxe_status get(chain *c, http_answer *a, hub_fault *fault, mlxe_error *err)
{
    buf target = {0};
    mlxe_status rc;
    c->call.method = HTTP_GET;
    while (!(rc = hop(c, a, fault, err)) && (a->status < 200 || a->status >= 300)) {
        if (is_redirect(a->status))
            rc = redirect_target(c, a, &target, fault, err);
        else
            rc = answer_fault(c->r->h, a, chain_from(c), c->call.shown_url, fault, err);
        if (!rc) rc = follow(c, &target, fault, err);
        if (rc) break;
    }
    buf_deinit(&target);
    return rc;
}

/* ---- the API --------------------------------------------------------------------------------- */

typedef struct api_body {
    buf *out;
    size_t limit;
    const char *where;
} api_body;

static mlxe_status api_add(void *user, const char *p, size_t n, mlxe_error *err)
{
    api_body *b = user;
    if (b->out->n + n > b->limit)
        return err_set(err, MLXE_E_CORRUPT, "%s: the answer is larger than %zu bytes", b->where,
                       b->limit);
    buf_add(b->out, p, n);
    return buf_ok(b->out) ? MLXE_OK : err_memory(err, b->where, n);
}

/* The URL of the next page, resolved, in next; next is empty when there is none. */
static mlxe_status next_page(chain *c, const http_answer *a, buf *next, mlxe_error *err)
{
    strv link = {0}, target = {0};
    mlxe_status rc;
    buf_clear(next);
    while (!target.p && (link = http_header_next(a, "link", link)).p)
        target = link_next(link);
    if (!target.p) return MLXE_OK;
    rc = url_resolve(buf_str(&c->url), target, next, err);
    if (!rc && !url_same_origin(buf_str(next), c->r->h->endpoint))
        rc = err_set(err, MLXE_E_CORRUPT, "%s: the next page is on another host, that is refused",
                     c->call.shown_url);
    return rc;
}

static mlxe_status api_once(requester *r, const char *url, int timeout_s, api_body *body, buf *next,
                            hub_fault *fault, mlxe_error *err)
{
    http_answer a = {0};
    chain c;
    mlxe_status rc;
    chain_init(&c, r, url);
    c.call.idle_timeout_s = timeout_s;
    c.call.on_body = api_add;
    c.call.user = body;
    buf_clear(body->out);
    rc = get(&c, &a, fault, err);
    if (!rc && next && (rc = next_page(&c, &a, next, err))) fault->kind = KIND_METADATA;
    chain_deinit(&c);
    http_answer_deinit(&a);
    return rc;
}

mlxe_status request_api(requester *r, const char *url, size_t limit, buf *out, buf *next,
                        hub_fault *fault, mlxe_error *err)
{
    api_body body = {out, limit, "the Hub's answer"};
    for (int attempt = 1;; attempt++) {
        mlxe_status rc =
            api_once(r, url, attempt > 1 ? LONG_TIMEOUT_S : 0, &body, next, fault, err);
        int tries =
            fault->why == HTTP_WHY_CONNECT || fault->why == HTTP_WHY_DNS ? CONNECT_TRIES : TRIES;
        if (!rc || !fault_retryable(fault) || attempt == tries || r->once) return rc;
        log_line(&r->h->log, MLXE_LOG_INFO, "trying again: %s", err ? err->message : "a request");
        if (!fault_wait(r, fault, attempt)) return stop_error(r, fault, rc, err);
    }
}

/* ---- HEAD ------------------------------------------------------------------------------------ */

void hub_meta_deinit(hub_meta *m) { buf_deinit(&m->url); }

/* 1: the answer names a commit or an etag: it is resolve's own. */
static int has_metadata(const http_answer *a)
{
    return http_header(a, "x-repo-commit").p || http_header(a, "x-linked-etag").p;
}

static mlxe_status meta_read(const http_answer *a, const char *where, hub_meta *m, mlxe_error *err)
{
    strv commit = http_header(a, "x-repo-commit"), etag = http_header(a, "x-linked-etag"),
         size = http_header(a, "x-linked-size");
    if (!etag.p) etag = http_header(a, "etag");
    if (!size.p && a->status < 300) size = http_header(a, "content-length");
    etag = hub_etag_plain(etag);
    if (!commit.p)
        return err_set(err, MLXE_E_CORRUPT, "%s: the answer has no X-Repo-Commit", where);
    if (!hub_is_commit(commit))
        return err_set(err, MLXE_E_CORRUPT, "%s: X-Repo-Commit is no commit", where);
    if (!hub_etag_usable(etag))
        return err_set(err, MLXE_E_CORRUPT, "%s: the answer has no usable ETag", where);
    m->size = HUB_SIZE_UNTOLD;
    if (size.p && !parse_size(size, &m->size))
        return err_set(err, MLXE_E_CORRUPT, "%s: the answer tells no size", where);
    memcpy(m->commit, commit.p, commit.n);
    m->commit[commit.n] = 0;
    memcpy(m->etag, etag.p, etag.n);
    m->etag[etag.n] = 0;
    return MLXE_OK;
}

/* A redirect of the endpoint to its own storage may tell all there is to know of the file: what it
 * leads to need not, and need not answer a HEAD. */
static void note_stored(const chain *c, const http_answer *a, const buf *target, hub_meta *meta)
{
    hub_meta told = {0};
    if (meta_read(a, c->call.shown_url, &told, NULL) || told.size == HUB_SIZE_UNTOLD) return;
    memcpy(meta->commit, told.commit, sizeof meta->commit);
    memcpy(meta->etag, told.etag, sizeof meta->etag);
    meta->size = told.size;
    meta->stored = 1;
    buf_clear(&meta->url);
    buf_add_strv(&meta->url, buf_view(target));
}

/* 1: a failure at the end of redirects that says nothing of the file itself. */
static int is_of_storage(const http_answer *a, const hub_fault *fault)
{
    return !http_header(a, "x-error-code").p &&
           (fault->kind == KIND_METADATA || fault->kind == KIND_HTTP || fault->kind == KIND_REPO);
}

/* Decides on one answer of a HEAD chain. -> 1: it ended, with *rc */
static int head_answer(chain *c, const http_answer *a, buf *target, hub_meta *meta,
                       hub_fault *fault, mlxe_status *rc, mlxe_error *err)
{
    *rc = MLXE_OK;
    if (a->status >= 200 && a->status < 300) {
        if (meta->stored && !has_metadata(a)) return 1;
        *rc = meta_read(a, c->call.shown_url, meta, err);
        if (*rc) fault->kind = KIND_METADATA;
        meta->stored = 0;
        buf_clear(&meta->url);
        buf_add_strv(&meta->url, buf_view(&c->url));
        return 1;
    }
    if (!is_redirect(a->status)) {
        *rc = answer_fault(c->r->h, a, FROM_ENDPOINT, c->call.shown_url, fault, err);
        if (meta->stored && is_of_storage(a, fault)) {
            *rc = MLXE_OK;
            fault->kind = KIND_NONE;
            return 1;
        }
        if (fault->kind == KIND_ENTRY && hub_is_commit(http_header(a, "x-repo-commit"))) {
            memcpy(meta->commit, http_header(a, "x-repo-commit").p, HUB_COMMIT_CHARS);
            meta->commit[HUB_COMMIT_CHARS] = 0;
        }
        return 1;
    }
    if ((*rc = redirect_target(c, a, target, fault, err))) return 1;
    if (url_same_origin(buf_str(target), c->r->h->endpoint)) {
        note_stored(c, a, target, meta);
        *rc = follow(c, target, fault, err);
        return *rc != MLXE_OK;
    }
    if (!has_metadata(a) && !meta->stored) {
        buf shown = {0};
        *rc = err_set(err, MLXE_E_CORRUPT, "%s: the endpoint redirects to %s without metadata",
                      c->call.shown_url, url_shown(buf_str(target), &shown));
        err_hint(err, "set HF_ENDPOINT to a host that serves the files' metadata itself");
        buf_deinit(&shown);
    } else if (has_metadata(a)) {
        *rc = meta_read(a, c->call.shown_url, meta, err);
    }
    if (*rc) fault->kind = KIND_METADATA;
    meta->stored = 1;
    buf_clear(&meta->url);
    buf_add_strv(&meta->url, buf_view(target));
    return 1;
}

mlxe_status request_head(requester *r, const char *url, int timeout_s, hub_meta *meta,
                         hub_fault *fault, mlxe_error *err)
{
    http_answer a = {0};
    buf target = {0};
    chain c;
    mlxe_status rc;
    chain_init(&c, r, url);
    c.call.method = HTTP_HEAD;
    c.call.identity = 1;
    c.call.idle_timeout_s = timeout_s ? timeout_s : r->h->etag_timeout_s;
    meta->commit[0] = meta->etag[0] = 0;
    meta->stored = 0;
    do
        rc = hop(&c, &a, fault, err);
    while (!rc && !head_answer(&c, &a, &target, meta, fault, &rc, err));
    if (!rc && !buf_ok(&meta->url)) rc = err_memory(err, "URL", 0);
    chain_deinit(&c);
    http_answer_deinit(&a);
    buf_deinit(&target);
    return rc;
}

/* ---- GET ------------------------------------------------------------------------------------- */

typedef struct get_state {
    const request_sink *sink;
    chain *c;
} get_state;

static mlxe_status get_head(void *user, const http_answer *a, mlxe_error *err)
{
    get_state *g = user;
    return g->sink->head(g->sink->user, a, chain_from(g->c), err);
}

static mlxe_status get_body(void *user, const char *p, size_t n, mlxe_error *err)
{
    get_state *g = user;
    return g->sink->body(g->sink->user, p, n, err);
}

mlxe_status request_get(requester *r, const char *url, const char *range, const char *if_range,
                        const request_sink *sink, hub_fault *fault, mlxe_error *err)
{
    http_answer a = {0};
    chain c;
    get_state g = {sink, &c};
    mlxe_status rc;
    chain_init(&c, r, url);
    c.of_file = 1;
    c.stored = sink->stored;
    c.call.identity = 1;
    c.call.range = range;
    c.call.if_range = if_range;
    c.call.on_head = get_head;
    c.call.on_body = get_body;
    c.call.user = &g;
    rc = get(&c, &a, fault, err);
    chain_deinit(&c);
    http_answer_deinit(&a);
    return rc;
}
