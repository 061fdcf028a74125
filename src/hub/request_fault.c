/* request_fault.c: status and headers of a refusal -> kind, status code, message, remedy.
 *
 *   X-Error-Code, X-Error-Message, status   in the order in which huggingface_hub looks at them
 *   body                                     {"error"}, {"errors":[{"message"}]} or plain text
 *   RateLimit, Retry-After                   how long the server wants us to wait
 *
 * Source: huggingface_hub utils/_http.py hf_raise_for_status.
 * Traps: a missing and a private repository look alike, 401 without a token, 404 with one. "Gated"
 * is never said to be "not found". RateLimit explains a 429 only when nothing remains. */
#define _XOPEN_SOURCE 700
#include "hub/request_fault.h"

#include "base/thread.h"
#include "hub/hub_json.h"
#include "hub/hub_state.h"

#include <curl/curl.h>
#include <time.h>

enum { SHOWN_BYTES = 300 };

static const char DISABLED[] = "Access to this resource is disabled.";
static const char BAD_TOKEN[] = "Invalid credentials in Authorization header";

/* ---- what the server says -------------------------------------------------------------------- */

static void say(buf *out, strv text)
{
    if (!text.n || out->n > SHOWN_BYTES) return;
    if (out->n) buf_add_str(out, "; ");
    buf_add(out, text.p, text.n < SHOWN_BYTES ? text.n : SHOWN_BYTES);
}

static void say_strings(buf *out, const json *v)
{
    json_iter it;
    const json *item;
    if (json_is(v, JSON_STRING)) say(out, json_str(v));
    if (!json_is(v, JSON_ARRAY)) return;
    it = json_iterate(v);
    while (json_next(&it, NULL, &item)) {
        if (json_is(item, JSON_STRING)) say(out, json_str(item));
        if (json_is(item, JSON_OBJECT)) say_strings(out, json_get(item, "message"));
    }
}

static void server_says(const http_answer *a, buf *out)
{
    strv message = http_header(a, "x-error-message");
    json_doc *doc = NULL;
    const char *body = buf_str(&a->body);
    say(out, message);
    if (!out->n && !hub_json_parse("error", body, a->body.n, &doc, NULL) &&
        json_is(json_root(doc), JSON_OBJECT)) {
        say_strings(out, json_get(json_root(doc), "error"));
        say_strings(out, json_get(json_root(doc), "error_description"));
        say_strings(out, json_get(json_root(doc), "errors"));
    } else if (!out->n && a->body.n && body[strspn(body, " \t\r\n")] != '<') {
        say(out, buf_view(&a->body));
    }
    json_close(doc);
}

/* ---- how long to wait ------------------------------------------------------------------------ */

/* The number after `key` in "\"api\";r=0;t=55". -> 0: absent */
static int parameter(strv text, const char *key, uint64_t *out)
{
    size_t n = strlen(key);
    for (size_t i = 0; i + n < text.n; i++) {
        size_t end = i + n;
        if (memcmp(text.p + i, key, n) != 0 || (i && text.p[i - 1] != ';' && text.p[i - 1] != ' '))
            continue;
        while (end < text.n && text.p[end] >= '0' && text.p[end] <= '9')
            end++;
        if (parse_size(strv_from(text.p + i + n, end - i - n), out)) return 1;
    }
    return 0;
}

static int64_t wait_asked(const http_answer *a)
{
    const int64_t most_s = 1000000;
    strv limit = http_header(a, "ratelimit"), after = http_header(a, "retry-after");
    uint64_t left, s;
    if (a->status == 429 && parameter(limit, "r=", &left) && left == 0 &&
        parameter(limit, "t=", &s))
        return ((int64_t)(s < (uint64_t)most_s ? s : (uint64_t)most_s) + 1) * 1000;
    if (parse_size(after, &s))
        return ((int64_t)(s < (uint64_t)most_s ? s : (uint64_t)most_s) + 1) * 1000;
    if (after.n) {
        time_t when = curl_getdate(after.p, NULL), now = time(NULL);
        if (when > 0) return when > now ? ((int64_t)(when - now) + 1) * 1000 : 1000;
    }
    return -1;
}

/* ---- the taxonomy ---------------------------------------------------------------------------- */

static hub_kind kind_of(const http_answer *a, request_from from)
{
    strv code = http_header(a, "x-error-code"), message = http_header(a, "x-error-message");
    int signed_url = from == FROM_ELSEWHERE || (from == FROM_STORAGE && !code.n);
    if (signed_url && (a->status == 401 || a->status == 403 || a->status == 410))
        return KIND_EXPIRED;
    if (strv_is(code, "RevisionNotFound")) return KIND_REVISION;
    if (strv_is(code, "EntryNotFound")) return KIND_ENTRY;
    if (strv_is(code, "GatedRepo")) return KIND_GATED;
    if (strv_is(message, DISABLED)) return KIND_DISABLED;
    if (strv_is(code, "RepoNotFound")) return KIND_REPO;
    if (a->status == 401) return strv_is(message, BAD_TOKEN) ? KIND_AUTH : KIND_REPO;
    switch (a->status) {
    case 416:
        return KIND_RANGE;
    case 408:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
        return KIND_SERVER;
    default:
        return KIND_HTTP;
    }
}

static mlxe_status code_of(hub_kind kind, int status)
{
    switch (kind) {
    case KIND_REVISION:
    case KIND_ENTRY:
    case KIND_REPO:
        return MLXE_E_NOT_FOUND;
    case KIND_GATED:
    case KIND_DISABLED:
    case KIND_AUTH:
    case KIND_EXPIRED:
        return MLXE_E_ACCESS;
    case KIND_SERVER:
        return MLXE_E_OFFLINE;
    default:
        if (status == 401 || status == 403) return MLXE_E_ACCESS;
        if (status == 404) return MLXE_E_NOT_FOUND;
        return status >= 500 ? MLXE_E_OFFLINE : MLXE_E_IO;
    }
}

static const char *text_of(hub_kind kind)
{
    switch (kind) {
    case KIND_REVISION:
        return "revision not found";
    case KIND_ENTRY:
        return "file not found in the repository";
    case KIND_GATED:
        return "the repository is gated";
    case KIND_DISABLED:
        return "access to the repository is disabled";
    case KIND_REPO:
        return "repository not found, or private";
    case KIND_AUTH:
        return "the token is not valid";
    case KIND_EXPIRED:
        return "the signed URL is refused";
    case KIND_RANGE:
        return "no such range of bytes";
    case KIND_SERVER:
        return "the server cannot answer now";
    default:
        return "the request is refused";
    }
}

static void remedy(const hub *h, hub_kind kind, int status, mlxe_error *err)
{
    const char *withheld = h->token && !h->token_usable
                               ? "the token is not sent over plain http; use https, or allow it"
                               : NULL;
    if (kind == KIND_GATED && status == 401)
        err_hint(err, "%s", withheld ? withheld : "log in: set HF_TOKEN to a token of yours");
    else if (kind == KIND_GATED)
        err_hint(err, "open the repository's page at %s, accept its terms, then try again",
                 h->endpoint);
    else if (kind == KIND_REPO)
        err_hint(err, "%s",
                 withheld   ? withheld
                 : h->token ? "check the id, and that the token may read it"
                            : "check the id; a private repository needs HF_TOKEN");
    else if (kind == KIND_AUTH)
        err_hint(err, "HF_TOKEN, or the token file, holds a token that has expired or is wrong");
}

mlxe_status answer_fault(hub *h, const http_answer *a, request_from from, const char *where,
                         hub_fault *fault, mlxe_error *err)
{
    static const char *const IDS[] = {"x-request-id", "x-amzn-trace-id", "x-amz-cf-id"};
    buf text = {0};
    strv id = {0};
    mlxe_status code;
    *fault = (hub_fault){kind_of(a, from), a->status, HTTP_DONE, wait_asked(a)};
    code = code_of(fault->kind, a->status);
    server_says(a, &text);
    for (size_t i = 0; i < 3 && !id.n; i++)
        id = http_header(a, IDS[i]);
    if (id.n > 100) id.n = 100;
    err_set(err, code, "%s: %s (status %d%s%s%s%s%.*s)", where, text_of(fault->kind), a->status,
            text.n ? ", \"" : "", buf_str(&text), text.n ? "\"" : "", id.n ? ", request " : "",
            (int)id.n, id.p ? id.p : "");
    remedy(h, fault->kind, a->status, err);
    buf_deinit(&text);
    return code;
}

mlxe_status stop_error(const requester *r, hub_fault *fault, mlxe_status last, mlxe_error *err)
{
    const hub_watch *w = r->watch;
    if (w && w->cancel && atomic_load(w->cancel)) {
        fault->kind = KIND_STOP;
        return err_set(err, MLXE_E_CANCELLED, "%s: cancelled", r->h->endpoint);
    }
    if (w && w->deadline_ns) {
        fault->kind = KIND_STOP;
        err_prefix(err, "the deadline leaves no time for another try");
        return last;
    }
    fault->kind = KIND_RATE;
    err_hint(err, "the server asks to wait for %lld s",
             (long long)(fault->wait_ms > 0 ? fault->wait_ms / 1000 : 0));
    return last;
}

void warnings_show(hub *h, const http_answer *a)
{
    strv v = {0};
    while ((v = http_header_next(a, "x-hf-warning", v)).p) {
        const char *semicolon = memchr(v.p, ';', v.n);
        strv topic = strv_from(v.p, semicolon ? (size_t)(semicolon - v.p) : 0);
        int seen = 0;
        pthread_mutex_lock(&h->lock);
        for (const char *p = buf_str(&h->warned), *end; *p; p = end + 1) {
            end = strchr(p, '\n');
            seen |= strv_eq(strv_from(p, (size_t)(end - p)), topic);
        }
        if (!seen) {
            buf_add_strv(&h->warned, topic);
            buf_add_char(&h->warned, '\n');
        }
        pthread_mutex_unlock(&h->lock);
        if (!seen) log_line(&h->log, MLXE_LOG_WARN, "%.*s", (int)(v.n < 500 ? v.n : 500), v.p);
    }
}
