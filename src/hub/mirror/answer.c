/* answer.c: from a request to a reply, without sockets: who may ask, what is asked, how it fails.
 *
 *   host known? -> target -> token -> repository -> route's answer
 *
 * Errors have the Hub's form: X-Error-Code, X-Error-Message and the same text as JSON. Clients
 * decide by the code, on plain http by nothing else.
 *
 * Traps: a token is compared in a time that does not depend on where it differs. A name in Host may
 * be anybody's who controls a DNS server, so only known names and plain addresses are answered. */
#include "hub/mirror/limiter.h"
#include "hub/mirror/upstream.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

/* ---- replies -------------------------------------------------------------------------------- */

void reply_header(mirror_reply *r, const char *name, const char *value)
{
    for (size_t i = 0; i < r->n_headers; i++) {
        if (strcasecmp(r->headers[i].name, name) != 0) continue;
        free(r->headers[i].value);
        r->headers[i].value = strdup(value);
        return;
    }
    if (r->n_headers == MIRROR_MAX_HEADERS) return;
    r->headers[r->n_headers].name = strdup(name);
    r->headers[r->n_headers++].value = strdup(value);
}

void reply_json(mirror_reply *r)
{
    r->status = 200;
    reply_header(r, "Content-Type", "application/json; charset=utf-8");
}

void reply_error(mirror_reply *r, int status, const char *code, const char *message)
{
    buf_clear(&r->body);
    buf_add_str(&r->body, "{\"error\":");
    json_write_str(&r->body, strv_of(message));
    buf_add_char(&r->body, '}');
    reply_json(r);
    r->status = status;
    if (code) reply_header(r, "X-Error-Code", code);
    reply_header(r, "X-Error-Message", message);
}

void reply_failure(mirror_reply *r, const mlxe_error *err, const char *missing_code,
                   const char *missing_message)
{
    switch (err->code) {
    case MLXE_E_NOT_FOUND:
        reply_error(r, 404, missing_code, missing_message);
        break;
    case MLXE_E_TIMEOUT:
        reply_error(r, 503, NULL, "This mirror is computing hashes, ask again");
        reply_header(r, "Retry-After", "2");
        break;
    case MLXE_E_CORRUPT:
        reply_error(r, 500, NULL, "The copy on this mirror is damaged");
        break;
    case MLXE_E_INPUT:
    case MLXE_E_ARG:
        reply_error(r, 400, "BadRequest", err->message);
        break;
    default:
        reply_error(r, 500, NULL, "This mirror could not read its copy");
    }
}

void reply_deinit(mirror_reply *r)
{
    for (size_t i = 0; i < r->n_headers; i++) {
        free(r->headers[i].name);
        free(r->headers[i].value);
    }
    r->n_headers = 0;
    if (r->fd >= 0) close(r->fd);
    r->fd = -1;
    flight_leave(r->flight);
    r->flight = NULL;
    buf_deinit(&r->body);
}

/* ---- who asks ------------------------------------------------------------------------------- */

/* Host without its port: "[::1]:80" -> "::1". */
static strv host_name(const char *host)
{
    strv name = strv_of(host);
    if (name.n && name.p[0] == '[') {
        const char *close = memchr(name.p, ']', name.n);
        return close ? strv_from(name.p + 1, (size_t)(close - name.p - 1)) : name;
    }
    const char *colon = name.n ? memchr(name.p, ':', name.n) : NULL;
    return colon ? strv_from(name.p, (size_t)(colon - name.p)) : name;
}

static int is_address(strv name)
{
    size_t digits = 0;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (c >= '0' && c <= '9')
            digits++;
        else if (c == ':' && memchr(name.p, ':', name.n))
            return 1;
        else if (c != '.')
            return memchr(name.p, ':', name.n) != NULL;
    }
    return digits > 0;
}

static int host_known(const mirror *m, const char *host)
{
    if (!host) return 1; /* HTTP/1.0 */
    strv name = host_name(host);
    if (is_address(name)) return 1;
    for (size_t i = 0; i < m->n_names; i++)
        if (strlen(m->names[i]) == name.n && strncasecmp(m->names[i], name.p, name.n) == 0)
            return 1;
    return 0;
}

static int same_secret(strv a, strv b)
{
    unsigned difference = a.n != b.n;
    for (size_t i = 0; i < a.n; i++)
        difference |=
            (unsigned)(unsigned char)a.p[i] ^ (unsigned)(unsigned char)(b.n ? b.p[i % b.n] : 1);
    return difference == 0;
}

typedef enum caller { CALLER_NOBODY, CALLER_WRONG, CALLER_KNOWN } caller;

static caller who(const mirror *m, const mirror_call *call)
{
    strv said = strv_of(call->authorization);
    int known = 0;
    if (!said.n) return CALLER_NOBODY;
    if (m->n_tokens == 0) return CALLER_NOBODY; /* no token means anything here */
    if (said.n <= 7 || strncasecmp(said.p, "Bearer ", 7) != 0) return CALLER_WRONG;
    said = strv_from(said.p + 7, said.n - 7);
    for (size_t i = 0; i < m->n_tokens; i++)
        known |= same_secret(said, strv_of(m->tokens[i]));
    return known ? CALLER_KNOWN : CALLER_WRONG;
}

static int is_gated(const mirror *m, const char *id)
{
    return m->gated.n_include > 0 && globs_want(&m->gated, strv_of(id));
}

/* 1: the caller may not have this; the reply says why. repo: NULL where none is asked for. */
static int refused(const mirror *m, caller c, const mirror_target *t, const mirror_repo *repo,
                   mirror_reply *out)
{
    if (c == CALLER_WRONG) {
        reply_error(out, 401, NULL, "Invalid credentials in Authorization header");
        return 1;
    }
    if (c == CALLER_KNOWN || (m->n_tokens == 0 && m->gated.n_include == 0)) {
        return 0;
    } else if (m->gated.n_include == 0) {
        reply_error(out, 401, "RepoNotFound", "Repository not found: this mirror asks for a token");
        return 1;
    } else if (repo && is_gated(m, repo->id) &&
               (t->route == ROUTE_RESOLVE || t->route == ROUTE_AUTH_CHECK)) {
        reply_error(out, 401, "GatedRepo",
                    "Access to this repository is restricted, this mirror asks for a token");
        return 1;
    }
    return 0;
}

/* ---- what is asked -------------------------------------------------------------------------- */

static void whoami(caller c, mirror_reply *out)
{
    if (c != CALLER_KNOWN) {
        reply_error(out, 401, NULL, "Invalid credentials in Authorization header");
        return;
    }
    buf_add_str(&out->body,
                "{\"type\":\"user\",\"id\":\"mirror\",\"name\":\"mirror\",\"fullname\":"
                "\"User of this mirror\",\"orgs\":[],\"auth\":{\"type\":\"access_token\","
                "\"accessToken\":{\"displayName\":\"mirror\",\"role\":\"read\"}}}");
    reply_json(out);
}

static void answer_repo(const mirror *m, const mirror_call *call, const mirror_repo *repo,
                        mirror_target *t, mirror_reply *out)
{
    switch (t->route) {
    case ROUTE_RESOLVE:
        content_answer(m, call, repo, t, out);
        break;
    case ROUTE_TREE:
        tree_answer(m, call, repo, t, out);
        break;
    case ROUTE_PATHS:
        paths_answer(m, call, repo, t, out);
        break;
    case ROUTE_REFS:
        refs_answer(m, repo, t, out);
        break;
    case ROUTE_COMMITS:
        commits_answer(m, repo, t, out);
        break;
    case ROUTE_AUTH_CHECK:
        buf_add_str(&out->body, "{}");
        reply_json(out);
        break;
    default:
        info_answer(m, repo, t, out);
    }
}

/* The repository of a target; where it reads in two ways, of the way that has one. */
static mlxe_status find_repo(const mirror *m, const char *target, mirror_target *t,
                             mirror_repo *repo, mlxe_error *err)
{
    mlxe_status rc = store_repo(m, t->type, t->id, repo, err);
    if (rc && t->has_other) {
        mirror_target other;
        rc = target_parse(target, 1, &other, err);
        if (!rc) rc = store_repo(m, other.type, other.id, repo, err);
        if (!rc) {
            target_deinit(t);
            *t = other;
        } else {
            target_deinit(&other);
        }
    }
    return rc;
}

static int method_fits(const mirror_call *call, const mirror_target *t, mirror_reply *out)
{
    int posts = t->route == ROUTE_PATHS;
    int fits = posts ? strcmp(call->method, "POST") == 0
                     : strcmp(call->method, "GET") == 0 || strcmp(call->method, "HEAD") == 0;
    if (fits) return 1;
    reply_error(out, 405, "MethodNotAllowed", "Method not allowed");
    reply_header(out, "Allow", posts ? "POST" : "GET, HEAD");
    return 0;
}

/* Asks the upstream for what the target names. -> 1: the reply is its refusal; what is in the root
 * is served whatever the upstream says of it. */
static int upstream_refuses(const mirror *m, const mirror_target *t, mirror_reply *out)
{
    mirror_repo repo;
    char commit[HUB_COMMIT_CHARS + 1];
    hub_tree tree;
    int known = 0, listed = 0;
    if (!m->upstream || !store_serves(m, t->type, t->id)) return 0;
    if (!store_repo(m, t->type, t->id, &repo, NULL)) {
        known = repo.is_plain || !store_commit(m, &repo, t->revision, commit, NULL);
        listed = repo.is_plain || (known && strv_is(t->revision, commit) &&
                                   !store_tree(m, &repo, commit, &tree, NULL));
        if (listed && !repo.is_plain) hub_tree_deinit(&tree);
        store_repo_deinit(&repo);
    }
    if (listed) return 0; /* a commit never changes */
    upstream_says says =
        upstream_revision(m->upstream, t->type, t->id, t->revision, m->hash_wait_ms);
    if (says == UPSTREAM_HERE || known) return 0;
    reply_upstream(out, says);
    return 1;
}

static void answer_target(const mirror *m, const mirror_call *call, mirror_target *t,
                          mirror_reply *out)
{
    mirror_repo repo = {0};
    mlxe_error err;
    caller c = who(m, call);
    if (t->route == ROUTE_NONE) {
        reply_error(out, 404, "NotFound", "Not found");
    } else if (!method_fits(call, t, out)) {
        return;
    } else if (t->route == ROUTE_WHOAMI) {
        whoami(c, out);
    } else if (t->route == ROUTE_SEARCH) {
        if (!refused(m, c, t, NULL, out)) search_answer(m, call, t, out);
    } else {
        mlxe_status rc = find_repo(m, call->target, t, &repo, &err);
        mirror_repo asked = {.type = t->type};
        if (rc && t->id.n < sizeof asked.id) memcpy(asked.id, t->id.p, t->id.n);
        if (m->upstream && !refused(m, c, t, rc ? &asked : &repo, out)) {
            store_repo_deinit(&repo);
            if (upstream_refuses(m, t, out)) return;
            rc = find_repo(m, call->target, t, &repo, &err);
        }
        if (out->status) {
            /* said */
        } else if (refused(m, c, t, rc ? NULL : &repo, out)) {
            /* said */
        } else if (rc) {
            reply_failure(out, &err, "RepoNotFound", "Repository not found");
        } else {
            answer_repo(m, call, &repo, t, out);
        }
        store_repo_deinit(&repo);
    }
}

/* Counts the request, and tells how many are left. -> 0: it is one too many, and said so */
static int limit_allows(const mirror *m, const mirror_call *call, mirror_reply *out)
{
    static const char *const BUCKETS[] = {"api", "resolvers"};
    char text[100];
    limit_state s;
    limit_bucket bucket = strncmp(call->target, "/api/", 5) ? LIMIT_RESOLVERS : LIMIT_API;
    if (!m->limiter || !call->address) return 1;
    int allowed = limiter_take(m->limiter, call->address, bucket, &s);
    if (!allowed) {
        reply_error(out, 429, "RateLimited", "Too many requests");
        snprintf(text, sizeof text, "%u", s.seconds);
        reply_header(out, "Retry-After", text);
    }
    snprintf(text, sizeof text, "\"%s\";r=%u;t=%u", BUCKETS[bucket], s.left, s.seconds);
    reply_header(out, "RateLimit", text);
    snprintf(text, sizeof text, "\"fixed window\";\"%s\";q=%u;w=%u", BUCKETS[bucket], s.quota,
             s.window_s);
    reply_header(out, "RateLimit-Policy", text);
    return allowed;
}

/* What a target asks for here: one that names this server too, as a proxy is asked, without it. */
static const char *origin_form(const char *target)
{
    const char *slash;
    if (strncasecmp(target, "http://", 7) != 0 && strncasecmp(target, "https://", 8) != 0)
        return target;
    slash = strchr(strstr(target, "//") + 2, '/');
    return slash ? slash : target;
}

void mirror_answer(const mirror *m, const mirror_call *asked, mirror_reply *out)
{
    mirror_call own = *asked;
    const mirror_call *call = &own;
    mirror_target t = {0};
    mlxe_error err;
    own.target = origin_form(asked->target);
    if (!limit_allows(m, call, out)) {
        /* said */
    } else if (!host_known(m, call->host)) {
        reply_error(out, 421, "MisdirectedRequest", "This mirror has another name");
    } else if (target_parse(call->target, 0, &t, &err)) {
        /* What no client of the Hub sends (a NUL, a broken escape) names no file. */
        reply_error(out, err.code == MLXE_E_INPUT ? 404 : 500, "EntryNotFound", "Entry not found");
    } else {
        answer_target(m, call, &t, out);
    }
    target_deinit(&t);
    if (!buf_ok(&out->body)) {
        buf_deinit(&out->body);
        out->status = 500;
    }
}
