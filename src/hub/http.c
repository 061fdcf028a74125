/* http.c: libcurl, driven by its multi interface so that a call can be cancelled and timed by us.
 *
 *   perform -> add handle -> { curl_multi_perform, poll at most 100 ms, look at the clocks }
 *
 * Clocks  connecting, silence (no byte for idle_timeout), slowness (fewer than SLOW_BYTES_S on
 *         average over three idle timeouts: a server that drips holds nobody), and the
 *         caller's deadline.
 *
 * Traps: a 1xx or a proxy's CONNECT answer brings a header block of its own: each status line
 * starts anew. curl decodes gzip only where we ask for it; a resolve with a Content-Encoding
 * nobody asked for must be seen by the caller. Cancelling while a name is looked up must not wait
 * for the resolver's thread (QUICK_EXIT). NOSIGNAL: the host's signals are its own. libcurl's own
 * global state is set up once a process and never torn down: another user of it may be there. */
#define _XOPEN_SOURCE 700
#include "hub/http.h"

#include "hub/url.h"

#include "base/thread.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    POLL_MS = 100,
    BUFFER_BYTES = 256 << 10,
    SLOW_BYTES_S = 64,
    SLOW_WINDOWS = 3, /* of idle_timeout */
    NS_PER_S = 1000000000
};

struct http_client {
    const http_options *options;
    CURLM *multi;
    CURL *easy;
    int used; /* a connection may be kept */
    char message[CURL_ERROR_SIZE];
};

/* What the callbacks of one exchange see. */
typedef struct exchange {
    const http_call *call;
    http_answer *answer;
    mlxe_error *err;
    mlxe_status sink_status;
    int head_done, header_overflow;
    uint64_t bytes; /* of the body */
    int64_t last_byte_ns;
} exchange;

static pthread_once_t curl_ready = PTHREAD_ONCE_INIT;

static void curl_set_up(void) { curl_global_init(CURL_GLOBAL_DEFAULT); }

mlxe_status http_client_open(const http_options *options, http_client **out, mlxe_error *err)
{
    http_client *c;
    *out = NULL;
    pthread_once(&curl_ready, curl_set_up);
    c = calloc(1, sizeof *c);
    if (!c) return err_memory(err, "HTTP client", sizeof *c);
    c->options = options;
    c->multi = curl_multi_init();
    c->easy = curl_easy_init();
    if (!c->multi || !c->easy) {
        http_client_close(c);
        return err_memory(err, "HTTP client", 0);
    }
    *out = c;
    return MLXE_OK;
}

void http_client_close(http_client *c)
{
    if (!c) return;
    if (c->easy) curl_easy_cleanup(c->easy);
    if (c->multi) curl_multi_cleanup(c->multi);
    free(c);
}

void http_client_rest(http_client *c)
{
    CURLM *fresh = c->used ? curl_multi_init() : NULL;
    if (!fresh) return;
    curl_multi_cleanup(c->multi); /* the kept connections are its */
    c->multi = fresh;
    c->used = 0;
}

/* ---- headers --------------------------------------------------------------------------------- */

void http_answer_deinit(http_answer *a)
{
    buf_deinit(&a->headers);
    buf_deinit(&a->body);
    a->status = 0;
}

strv http_header_next(const http_answer *a, const char *name, strv after)
{
    const char *p = a->headers.p, *end = p ? p + a->headers.n : p;
    if (after.p) p = after.p + after.n + 1;
    while (p < end) {
        const char *value = p + strlen(p) + 1;
        if (!strcmp(p, name)) return strv_of(value);
        p = value + strlen(value) + 1;
    }
    return (strv){0};
}

strv http_header(const http_answer *a, const char *name)
{
    return http_header_next(a, name, (strv){0});
}

static int is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

static void header_add(http_answer *a, const char *line, size_t n)
{
    const char *colon = memchr(line, ':', n);
    strv value;
    if (!colon) return;
    for (const char *p = line; p < colon; p++)
        buf_add_char(&a->headers, (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p));
    buf_add_char(&a->headers, 0);
    value = strv_from(colon + 1, n - (size_t)(colon + 1 - line));
    while (value.n && is_blank(value.p[0]))
        value = strv_from(value.p + 1, value.n - 1);
    while (value.n && is_blank(value.p[value.n - 1]))
        value.n--;
    buf_add_strv(&a->headers, value);
    buf_add_char(&a->headers, 0);
}

int http_answer_line(http_answer *a, const char *line, size_t n)
{
    if (n >= 5 && !memcmp(line, "HTTP/", 5)) {
        buf_clear(&a->headers);
        return 1;
    }
    /* A NUL would end a value early: such a line is no header of ours. */
    if (!n || memchr(line, 0, n)) return 1;
    if (a->headers.n + n > HTTP_HEADER_BYTES) return 0;
    header_add(a, line, n);
    return 1;
}

static size_t on_header(char *line, size_t size, size_t n, void *user)
{
    exchange *x = user;
    x->last_byte_ns = clock_ns();
    if (http_answer_line(x->answer, line, n)) return size * n;
    x->header_overflow = 1;
    return 0;
}

static int head_tell(exchange *x)
{
    if (x->head_done) return 1;
    x->head_done = 1;
    if (x->call->on_head && x->answer->status >= 200 && x->answer->status < 300)
        x->sink_status = x->call->on_head(x->call->user, x->answer, x->err);
    return !x->sink_status;
}

typedef struct body_sink {
    exchange *x;
    CURL *easy;
} body_sink;

static int status_of(CURL *easy)
{
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    return (int)status;
}

static size_t on_body(char *p, size_t size, size_t n, void *user)
{
    body_sink *sink = user;
    exchange *x = sink->x;
    http_answer *a = x->answer;
    x->last_byte_ns = clock_ns();
    x->bytes += n;
    a->status = status_of(sink->easy);
    if (!head_tell(x)) return 0;
    if (a->status < 200 || a->status >= 300) {
        size_t room = a->body.n < HTTP_ERROR_BYTES ? HTTP_ERROR_BYTES - a->body.n : 0;
        buf_add(&a->body, p, n < room ? n : room);
        if (n > room) return 0; /* enough for a message */
    } else if (x->call->on_body) {
        x->sink_status = x->call->on_body(x->call->user, p, n, x->err);
        if (x->sink_status) return 0;
    }
    return size * n;
}

/* ---- one exchange ---------------------------------------------------------------------------- */

static int set_up(http_client *c, exchange *x, body_sink *sink, struct curl_slist **lines)
{
    const http_call *call = x->call;
    CURL *e = c->easy;
    buf line = {0};
    int bad = 0;
    curl_easy_reset(e);
    c->message[0] = 0;
    bad |= curl_easy_setopt(e, CURLOPT_URL, call->url);
#if LIBCURL_VERSION_NUM >= 0x075500
    bad |= curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    bad |= curl_easy_setopt(e, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
    bad |= curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
#endif
    bad |= curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    bad |= curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    bad |= curl_easy_setopt(e, CURLOPT_NOPROGRESS, 1L);
    bad |= curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    bad |= curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    bad |= curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT, (long)c->options->connect_timeout_s);
    bad |= curl_easy_setopt(e, CURLOPT_ERRORBUFFER, c->message);
    bad |= curl_easy_setopt(e, CURLOPT_USERAGENT, c->options->user_agent);
    bad |= curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    bad |= curl_easy_setopt(e, CURLOPT_HEADERDATA, x);
    bad |= curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    bad |= curl_easy_setopt(e, CURLOPT_WRITEDATA, sink);
    /* Refused while a buffer of an exchange that failed early is still there: it has this size. */
    curl_easy_setopt(e, CURLOPT_BUFFERSIZE, (long)BUFFER_BYTES);
    /* Older libcurl without HTTP/2 refuses this; it then speaks 1.1. */
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    if (call->method == HTTP_HEAD) bad |= curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
    if (call->range) bad |= curl_easy_setopt(e, CURLOPT_RANGE, call->range);
    if (c->options->ca_file) bad |= curl_easy_setopt(e, CURLOPT_CAINFO, c->options->ca_file);
    if (c->options->http_proxy && !url_is_https(call->url))
        bad |= curl_easy_setopt(e, CURLOPT_PROXY, c->options->http_proxy);
    if (c->options->ca_dir) bad |= curl_easy_setopt(e, CURLOPT_CAPATH, c->options->ca_dir);
    if (call->identity)
        *lines = curl_slist_append(*lines, "Accept-Encoding: identity");
    else
        bad |= curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "gzip");
    if (call->token) {
        buf_add_str(&line, "Authorization: Bearer ");
        buf_add_str(&line, call->token);
        *lines = curl_slist_append(*lines, buf_str(&line));
        buf_clear(&line);
    }
    if (call->if_range) {
        buf_add_str(&line, "If-Range: ");
        buf_add_str(&line, call->if_range);
        *lines = curl_slist_append(*lines, buf_str(&line));
        buf_clear(&line);
    }
    if (call->trace) {
        buf_add_str(&line, "X-Amzn-Trace-Id: ");
        buf_add_str(&line, call->trace);
        *lines = curl_slist_append(*lines, buf_str(&line));
    }
    bad |= !buf_ok(&line);
    buf_deinit(&line);
    bad |= curl_easy_setopt(e, CURLOPT_HTTPHEADER, *lines);
    return !bad;
}

static http_why why_of(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return HTTP_WHY_DNS;
    case CURLE_COULDNT_CONNECT:
        return HTTP_WHY_CONNECT;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_PROXY:
        return HTTP_WHY_PROXY;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        return HTTP_WHY_TLS;
    case CURLE_OPERATION_TIMEDOUT:
        return HTTP_WHY_TIMEOUT;
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return HTTP_WHY_RESET;
    case CURLE_OUT_OF_MEMORY:
        return HTTP_WHY_INTERNAL;
    default:
        return HTTP_WHY_PROTOCOL;
    }
}

/* The clocks. -> HTTP_DONE: go on */
static http_why clocks(const http_client *c, exchange *x, int64_t start, int64_t *window_ns,
                       uint64_t *window_bytes)
{
    int64_t now = clock_ns(),
            idle = (int64_t)(x->call->idle_timeout_s ? x->call->idle_timeout_s
                                                     : c->options->idle_timeout_s) *
                   NS_PER_S;
    int64_t quiet_since = x->last_byte_ns ? x->last_byte_ns : start;
    if (x->call->cancel && atomic_load_explicit(x->call->cancel, memory_order_relaxed))
        return HTTP_WHY_CANCELLED;
    if (x->call->deadline_ns && now > x->call->deadline_ns) return HTTP_WHY_DEADLINE;
    if (now - quiet_since > idle) return HTTP_WHY_TIMEOUT;
    if (now - *window_ns > SLOW_WINDOWS * idle) {
        uint64_t least = (uint64_t)((now - *window_ns) / NS_PER_S) * SLOW_BYTES_S;
        if (x->head_done && x->bytes - *window_bytes < least) return HTTP_WHY_TIMEOUT;
        *window_ns = now;
        *window_bytes = x->bytes;
    }
    return HTTP_DONE;
}

static http_why drive(http_client *c, exchange *x, CURLcode *code)
{
    int64_t start = clock_ns(), window_ns = start;
    uint64_t window_bytes = 0;
    int running = 1;
    *code = CURLE_OK;
    for (;;) {
        http_why why;
        CURLMsg *message;
        int left;
        if (curl_multi_perform(c->multi, &running)) return HTTP_WHY_INTERNAL;
        while ((message = curl_multi_info_read(c->multi, &left)))
            if (message->msg == CURLMSG_DONE) *code = message->data.result;
        if (!running) return HTTP_DONE;
        why = clocks(c, x, start, &window_ns, &window_bytes);
        if (why) return why;
        if (curl_multi_poll(c->multi, NULL, 0, POLL_MS, NULL)) return HTTP_WHY_INTERNAL;
    }
}

static mlxe_status failure(const http_client *c, const exchange *x, http_why why, mlxe_error *err)
{
    const char *where = x->call->shown_url, *detail = c->message[0] ? c->message : "";
    switch (why) {
    case HTTP_WHY_SINK:
        return x->sink_status;
    case HTTP_WHY_CANCELLED:
        return err_set(err, MLXE_E_CANCELLED, "%s: cancelled", where);
    case HTTP_WHY_DEADLINE:
        return err_set(err, MLXE_E_TIMEOUT, "%s: the deadline has passed", where);
    case HTTP_WHY_DNS:
        return err_set(err, MLXE_E_OFFLINE, "%s: the host's name cannot be resolved", where);
    case HTTP_WHY_CONNECT:
        return err_set(err, MLXE_E_OFFLINE, "%s: cannot connect (%s)", where, detail);
    case HTTP_WHY_TLS:
        err_set(err, MLXE_E_OFFLINE, "%s: no secure connection (%s)", where, detail);
        err_hint(err, "SSL_CERT_FILE names the certificates to trust; the check is never skipped");
        return MLXE_E_OFFLINE;
    case HTTP_WHY_PROXY:
        return err_set(err, MLXE_E_OFFLINE, "%s: the proxy refuses (%s)", where, detail);
    case HTTP_WHY_TIMEOUT:
        return err_set(err, MLXE_E_OFFLINE, "%s: timed out after %llu bytes", where,
                       (unsigned long long)x->bytes);
    case HTTP_WHY_RESET:
        return err_set(err, MLXE_E_OFFLINE, "%s: the connection broke after %llu bytes", where,
                       (unsigned long long)x->bytes);
    case HTTP_WHY_PROTOCOL:
        return err_set(err, MLXE_E_CORRUPT, "%s: no valid HTTP answer (%s)", where, detail);
    default:
        return err_set(err, MLXE_E_INTERNAL, "%s: libcurl failed (%s)", where, detail);
    }
}

/* *reused: 1: over a connection that was kept. */
static mlxe_status perform(http_client *c, const http_call *call, http_answer *answer,
                           http_why *why, int *reused, mlxe_error *err)
{
    exchange x = {.call = call, .answer = answer, .err = err};
    body_sink sink = {&x, c->easy};
    struct curl_slist *lines = NULL;
    CURLcode code = CURLE_OK;
    long proxy_status = 0, connects = 1;
    buf_clear(&answer->headers);
    buf_clear(&answer->body);
    answer->status = 0;
    *why = HTTP_WHY_INTERNAL;
    *reused = 0;
    if (!set_up(c, &x, &sink, &lines) || curl_multi_add_handle(c->multi, c->easy)) {
        curl_slist_free_all(lines);
        return failure(c, &x, HTTP_WHY_INTERNAL, err);
    }
    c->used = 1;
    *why = drive(c, &x, &code);
    curl_multi_remove_handle(c->multi, c->easy);
    answer->status = status_of(c->easy);
    curl_easy_getinfo(c->easy, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
    curl_easy_getinfo(c->easy, CURLINFO_NUM_CONNECTS, &connects);
    *reused = connects == 0;
    if (*why == HTTP_DONE && code) {
        *why = why_of(code);
        if (proxy_status >= 400) *why = HTTP_WHY_PROXY;
        if (x.header_overflow) *why = HTTP_WHY_PROTOCOL;
        if (x.sink_status) *why = HTTP_WHY_SINK;
        /* The body of an error may break off, or be longer than anybody wants. */
        if (answer->status >= 300 && !x.header_overflow) *why = HTTP_DONE;
    }
    if (*why == HTTP_DONE && !head_tell(&x)) *why = HTTP_WHY_SINK;
    curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(lines);
    if (*why == HTTP_DONE && (!buf_ok(&answer->headers) || !buf_ok(&answer->body)))
        return *why = HTTP_WHY_INTERNAL, err_memory(err, "HTTP answer", 0);
    return *why == HTTP_DONE ? MLXE_OK : failure(c, &x, *why, err);
}

mlxe_status http_perform(http_client *c, const http_call *call, http_answer *answer, http_why *why,
                         mlxe_error *err)
{
    int reused;
    mlxe_status rc = perform(c, call, answer, why, &reused, err);
    /* What lay in a kept connection was the rest of an earlier answer, as of a server that sends a
     * body after a HEAD. */
    if (*why == HTTP_WHY_PROTOCOL && reused && !answer->status) {
        http_client_rest(c);
        rc = perform(c, call, answer, why, &reused, err);
    }
    return rc;
}
