/* server.c: the mirror's connections, on libmicrohttpd, and its opening and closing.
 *
 *   socket -> request (raw target, headers, body) -> mirror_answer -> reply -> socket
 *
 * One thread a connection, so that a reply may wait for a hash or a slow disk without holding up
 * others. A verified file goes out by sendfile from the descriptor that the reply opened; a blob
 * that nobody has hashed is read, hashed and sent, and its last HELD_BYTES leave only when the hash
 * fits: a client that counts bytes then sees the cut, which Python's would not see in the content.
 *
 * Limits: connections, memory a request, silence. A target is taken before libmicrohttpd decodes
 * it.
 * Traps: libmicrohttpd calls the handler once before the body, once for each piece of it, and once
 * after; a reply before the last ends the connection. */
#define _XOPEN_SOURCE 700
#include "hub/mirror/limiter.h"
#include "hub/mirror/upstream.h"

#include "base/fs.h"
#include "hub/hash.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    MAX_CONNECTIONS = 250,
    IDLE_SECONDS = 30,
    REQUEST_BYTES = 48 << 10, /* request line and headers */
    THREAD_STACK_BYTES = 512 << 10,
    HELD_BYTES = 64 << 10,
    BLOCK_BYTES = 64 << 10,
    HASH_WAIT_MS = 8000, /* below the ten seconds that clients wait */
    MAX_TOKENS = 10000,
    TOKEN_FILE_BYTES = 1 << 20
};

struct mlxe_mirror {
    mirror m;
    struct MHD_Daemon *daemon;
    char url[300];
};

typedef struct request {
    char *target;
    buf body;
    int begun, too_large;
} request;

/* ---- unverified files ----------------------------------------------------------------------- */

typedef struct checked_file {
    const mirror *m;
    hub_hash *hash;
    int fd;
    flight *flight; /* the file arrives just now; NULL: it is here */
    uint64_t at, size;
    struct stat info;
    char etag[HUB_ETAG_CHARS + 1];
    char held[HELD_BYTES]; /* the file's last bytes, read and hashed ahead */
    size_t n_held, given;
    hash_state state;
} checked_file;

/* Reads n bytes at the place where the hash stands. */
static int read_hashed(checked_file *f, char *to, size_t n)
{
    while (n > 0) {
        ssize_t got = f->flight ? flight_read(f->flight, &f->fd, f->at, to, n)
                                : pread(f->fd, to, n, (off_t)f->at);
        if (got < 0 && errno == EINTR && !f->flight) continue;
        if (got <= 0) return -1;
        hub_hash_add(f->hash, to, (size_t)got);
        f->at += (uint64_t)got;
        to += got;
        n -= (size_t)got;
    }
    return 0;
}

static ssize_t give_checked(void *cls, uint64_t position, char *to, size_t max)
{
    checked_file *f = cls;
    (void)position; /* the library asks in order */
    uint64_t free_bytes = f->size - f->n_held, left = free_bytes > f->at ? free_bytes - f->at : 0;
    if (f->state == HASH_UNKNOWN && left > 0) {
        size_t n = left < max ? (size_t)left : max;
        if (f->flight) { /* what is there: the client shall see that it goes on */
            ssize_t got = flight_read(f->flight, &f->fd, f->at, to, n);
            if (got <= 0) return MHD_CONTENT_READER_END_WITH_ERROR;
            hub_hash_add(f->hash, to, (size_t)got);
            f->at += (uint64_t)got;
            return got;
        }
        return read_hashed(f, to, n) ? MHD_CONTENT_READER_END_WITH_ERROR : (ssize_t)n;
    }
    if (f->state == HASH_UNKNOWN) {
        if (read_hashed(f, f->held, f->n_held)) return MHD_CONTENT_READER_END_WITH_ERROR;
        f->state = hub_hash_verdict(f->hash) == HUB_HASH_BAD ? HASH_BAD : HASH_GOOD;
        if (!f->flight) hashes_put(f->m->hashes, &f->info, f->etag, f->state);
        if (f->state == HASH_BAD)
            log_line(&f->m->log, MLXE_LOG_WARN,
                     "mirror: blob %s: the content is not what its name says", f->etag);
    }
    if (f->state == HASH_BAD) return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t n = f->n_held - f->given < max ? f->n_held - f->given : max;
    if (n == 0) return MHD_CONTENT_READER_END_OF_STREAM;
    memcpy(to, f->held + f->given, n);
    f->given += n;
    return (ssize_t)n;
}

static ssize_t give_nothing(void *cls, uint64_t position, char *to, size_t max)
{
    (void)cls;
    (void)position;
    (void)to;
    (void)max;
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

static void free_checked(void *cls)
{
    checked_file *f = cls;
    hub_hash_close(f->hash);
    flight_leave(f->flight);
    if (f->fd >= 0) close(f->fd);
    free(f);
}

/* Takes the reply's descriptor. */
static struct MHD_Response *checked_response(const mirror *m, mirror_reply *r)
{
    checked_file *f = calloc(1, sizeof *f);
    if (!f) return NULL;
    f->m = m;
    f->size = r->bytes;
    f->n_held = r->bytes < HELD_BYTES ? (size_t)r->bytes : HELD_BYTES;
    f->info = r->info;
    memcpy(f->etag, r->etag, sizeof f->etag);
    if (hub_hash_open(strv_of(r->etag), r->bytes, &f->hash, NULL)) {
        free(f);
        return NULL;
    }
    f->fd = r->fd;
    r->fd = -1;
    f->flight = r->flight;
    r->flight = NULL;
    struct MHD_Response *response =
        MHD_create_response_from_callback(r->bytes, BLOCK_BYTES, give_checked, f, free_checked);
    if (!response) free_checked(f);
    return response;
}

/* ---- replies -------------------------------------------------------------------------------- */

static struct MHD_Response *make_response(const mirror *m, mirror_reply *r)
{
    struct MHD_Response *response;
    if ((r->fd >= 0 || r->flight) && r->check && r->bytes > 0) return checked_response(m, r);
    if (r->absent_bytes) /* never read: the client asked for the head only */
        return MHD_create_response_from_callback(r->absent_bytes, BLOCK_BYTES, give_nothing, NULL,
                                                 NULL);
    if (r->fd >= 0 && r->bytes > 0) {
        response = MHD_create_response_from_fd_at_offset64(r->bytes, r->fd, r->from);
        if (response) r->fd = -1; /* the response closes it */
        return response;
    }
    return MHD_create_response_from_buffer(r->fd >= 0 ? 0 : r->body.n,
                                           r->fd >= 0 || !r->body.n ? "" : r->body.p,
                                           MHD_RESPMEM_MUST_COPY);
}

static enum MHD_Result queue(const mirror *m, struct MHD_Connection *connection, mirror_reply *r)
{
    struct MHD_Response *response = make_response(m, r);
    enum MHD_Result result = MHD_NO;
    if (!response) return MHD_NO;
    for (size_t i = 0; i < r->n_headers; i++)
        if (r->headers[i].name && r->headers[i].value)
            MHD_add_response_header(response, r->headers[i].name, r->headers[i].value);
    result = MHD_queue_response(connection, (unsigned)r->status, response);
    MHD_destroy_response(response);
    return result;
}

static const char *header(struct MHD_Connection *c, const char *name)
{
    return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
}

/* The client's address in out, or NULL. */
static const char *client_address(struct MHD_Connection *c, char *out, size_t capacity)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (!info || !info->client_addr) return NULL;
    const struct sockaddr *from = info->client_addr;
    const void *number = from->sa_family == AF_INET6
                             ? (const void *)&((const struct sockaddr_in6 *)from)->sin6_addr
                             : (const void *)&((const struct sockaddr_in *)from)->sin_addr;
    return inet_ntop(from->sa_family, number, out, (socklen_t)capacity);
}

static enum MHD_Result count_length(void *cls, enum MHD_ValueKind kind, const char *key,
                                    const char *value)
{
    (void)kind;
    (void)value;
    *(int *)cls += !strcasecmp(key, "Content-Length") || !strcasecmp(key, "Transfer-Encoding");
    return MHD_YES;
}

/* How often a request says how long its body is: more than once, and what stands before this server
 * may see another body than it does. */
static int lengths_of(struct MHD_Connection *c)
{
    int n = 0;
    MHD_get_connection_values(c, MHD_HEADER_KIND, count_length, &n);
    return n;
}

static enum MHD_Result reply_to(const mirror *m, struct MHD_Connection *c, const char *method,
                                const request *q)
{
    mirror_reply r = {.fd = -1};
    char id[64], address[INET6_ADDRSTRLEN];
    const mirror_call call = {.method = method,
                              .target = q->target,
                              .host = header(c, "Host"),
                              .authorization = header(c, "Authorization"),
                              .range = header(c, "Range"),
                              .if_range = header(c, "If-Range"),
                              .if_none_match = header(c, "If-None-Match"),
                              .content_type = header(c, "Content-Type"),
                              .address = client_address(c, address, sizeof address),
                              .body = buf_view(&q->body)};
    const char *asked = header(c, "X-Request-Id");
    if (!asked) asked = header(c, "X-Amzn-Trace-Id");
    if (q->too_large)
        reply_error(&r, 413, "PayloadTooLarge", "The body is too large");
    else if (lengths_of(c) > 1)
        reply_error(&r, 400, "BadRequest", "Two lengths");
    else
        mirror_answer(m, &call, &r);
    if (asked && strlen(asked) < sizeof id && !strpbrk(asked, "\r\n")) {
        snprintf(id, sizeof id, "%s", asked);
        reply_header(&r, "X-Request-Id", id);
    }
    log_line(&m->log, MLXE_LOG_INFO, "mirror: %s %.*s %d", method,
             (int)(strcspn(q->target, "?") < 400 ? strcspn(q->target, "?") : 400), q->target,
             r.status);
    enum MHD_Result result = queue(m, c, &r);
    reply_deinit(&r);
    return result;
}

/* ---- requests ------------------------------------------------------------------------------- */

/* Before anything is decoded. */
static void *begin_request(void *cls, const char *uri, struct MHD_Connection *c)
{
    request *q = calloc(1, sizeof *q);
    (void)cls;
    (void)c;
    if (q && !(q->target = strdup(uri))) {
        free(q);
        q = NULL;
    }
    return q;
}

static void end_request(void *cls, struct MHD_Connection *c, void **context,
                        enum MHD_RequestTerminationCode code)
{
    request *q = *context;
    (void)cls;
    (void)c;
    (void)code;
    *context = NULL;
    if (!q) return;
    free(q->target);
    buf_deinit(&q->body);
    free(q);
}

static size_t keep_raw(void *cls, struct MHD_Connection *c, char *text)
{
    (void)cls;
    (void)c;
    return strlen(text);
}

static enum MHD_Result handle(void *cls, struct MHD_Connection *c, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *bytes, void **context)
{
    const mirror *m = cls;
    request *q = *context;
    (void)url;
    (void)version;
    if (!q) return MHD_NO;
    /* The first call of a request comes before its body; a reply there would end the connection. */
    if (!q->begun) {
        q->begun = 1;
        return MHD_YES;
    }
    if (*bytes > 0) {
        if (q->body.n + *bytes > MIRROR_MAX_POST_BYTES)
            q->too_large = 1;
        else
            buf_add(&q->body, data, *bytes);
        *bytes = 0;
        return MHD_YES;
    }
    return reply_to(m, c, method, q);
}

/* ---- opening -------------------------------------------------------------------------------- */

static mlxe_status copy_list(const char *const *from, size_t n, hub_globs *out, mlxe_error *err)
{
    char **copy = n ? calloc(n, sizeof *copy) : NULL;
    if (!n) return MLXE_OK;
    if (!copy) return err_memory(err, "mirror", n);
    out->include = (const char *const *)copy;
    for (size_t i = 0; i < n; i++) {
        if (!(copy[i] = strdup(from[i]))) return err_memory(err, "mirror", n);
        out->n_include++;
    }
    return globs_check(out, err);
}

static void free_list(hub_globs *list)
{
    char **items = (char **)list->include;
    for (size_t i = 0; i < list->n_include; i++)
        free(items[i]);
    free(items);
    *list = (hub_globs){0};
}

/* A token a line; blank lines and those with # are none. */
static mlxe_status read_tokens(const char *file, mirror *m, mlxe_error *err)
{
    buf text = {0};
    mlxe_status rc = fs_read(file, TOKEN_FILE_BYTES, &text, err);
    for (const char *p = buf_str(&text); !rc && *p;) {
        size_t n = strcspn(p, "\r\n");
        const char *line = p;
        p += n + (p[n] != 0);
        if (n == 0 || line[0] == '#') continue;
        for (size_t i = 0; i < n && !rc; i++)
            if (line[i] < 0x21 || line[i] > 0x7e)
                rc = err_set(err, MLXE_E_CORRUPT, "%s: a token has a blank or no ASCII", file);
        if (!rc && m->n_tokens == MAX_TOKENS)
            rc = err_set(err, MLXE_E_CORRUPT, "%s: more than %d tokens", file, MAX_TOKENS);
        if (rc) break;
        char **grown = realloc(m->tokens, (m->n_tokens + 1) * sizeof *grown);
        char *copy = strv_dup(strv_from(line, n));
        if (grown) m->tokens = grown;
        if (!grown || !copy) {
            free(copy);
            rc = err_memory(err, file, n);
        } else {
            m->tokens[m->n_tokens++] = copy;
        }
    }
    if (!rc && m->n_tokens == 0) rc = err_set(err, MLXE_E_CORRUPT, "%s: holds no token", file);
    buf_deinit(&text);
    return rc;
}

static void add_name(mirror *m, const char *name)
{
    char **grown = realloc(m->names, (m->n_names + 1) * sizeof *grown);
    if (!grown) return;
    m->names = grown;
    if ((m->names[m->n_names] = strdup(name))) m->n_names++;
}

static void add_names(mirror *m, const mlxe_mirror_params *p)
{
    char name[300];
    add_name(m, "localhost");
    if (gethostname(name, sizeof name - 8) == 0) {
        name[sizeof name - 8] = 0;
        add_name(m, name);
        strcat(name, ".local");
        add_name(m, name);
    }
    for (size_t i = 0; i < p->n_names; i++)
        add_name(m, p->names[i]);
}

static mlxe_status fill(mirror *m, const mlxe_mirror_params *p, mlxe_error *err)
{
    mlxe_status rc;
    char *real = realpath(p->root, NULL);
    if (!real || !fs_is_dir(real)) {
        free(real);
        return err_set(err, MLXE_E_NOT_FOUND, "%s: no such folder", p->root);
    }
    m->root = real;
    m->hash_wait_ms = HASH_WAIT_MS;
    m->assume_complete = p->assume_complete;
    m->log = (log_sink){p->log, p->log_user, p->log_level ? p->log_level : MLXE_LOG_WARN};
    if (p->base_url && !(m->base_url = strdup(p->base_url))) return err_memory(err, "mirror", 0);
    if (m->base_url && *m->base_url && m->base_url[strlen(m->base_url) - 1] == '/')
        m->base_url[strlen(m->base_url) - 1] = 0;
    if ((rc = copy_list(p->gated, p->n_gated, &m->gated, err))) return rc;
    if ((rc = copy_list(p->only, p->n_only, &m->only, err))) return rc;
    if (p->token_file && (rc = read_tokens(p->token_file, m, err))) return rc;
    add_names(m, p);
    if ((rc = hashes_open(p->hash_file, &m->log, &m->hashes, err))) return rc;
    if (p->rate_limit &&
        (rc = limiter_open(p->rate_limit, p->rate_window_s ? p->rate_window_s : 300, &m->limiter,
                           err)))
        return rc;
    return p->upstream ? upstream_open(m, p->upstream, p->upstream_token, &m->upstream, err)
                       : MLXE_OK;
}

typedef union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_storage room;
} address;

static mlxe_status find_address(const mlxe_mirror_params *p, address *out, mlxe_error *err)
{
    const char *host = p->host ? p->host : "127.0.0.1";
    *out = (address){0};
    if (p->port > 65535) return err_set(err, MLXE_E_ARG, "port: is %u, want 0..65535", p->port);
    if (strcmp(host, "localhost") == 0) host = "127.0.0.1";
    if (inet_pton(AF_INET, host, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons((uint16_t)p->port);
    } else if (inet_pton(AF_INET6, host, &out->v6.sin6_addr) == 1) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons((uint16_t)p->port);
    } else {
        return err_set(err, MLXE_E_ARG, "host: %s is no address, want one as 127.0.0.1 or ::1",
                       host);
    }
    int loopback = out->any.sa_family == AF_INET ? (ntohl(out->v4.sin_addr.s_addr) >> 24) == 127
                                                 : IN6_IS_ADDR_LOOPBACK(&out->v6.sin6_addr);
    if (loopback || p->token_file || p->anonymous) return MLXE_OK;
    err_set(err, MLXE_E_ARG, "host: %s is open to others and no token is asked for", host);
    err_hint(err, "give --token-file, or --anonymous if everybody may fetch everything");
    return MLXE_E_ARG;
}

static mlxe_status start(mlxe_mirror *x, const address *at, mlxe_error *err)
{
    int is_v6 = at->any.sa_family == AF_INET6;
    unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
                     MHD_USE_POLL | (is_v6 ? MHD_USE_IPv6 : 0);
    address bound;
    socklen_t n = sizeof bound;
    char host[INET6_ADDRSTRLEN] = "";
    x->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, handle, &x->m, MHD_OPTION_SOCK_ADDR, &at->any,
        MHD_OPTION_URI_LOG_CALLBACK, begin_request, NULL, MHD_OPTION_UNESCAPE_CALLBACK, keep_raw,
        NULL, MHD_OPTION_NOTIFY_COMPLETED, end_request, NULL, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)MAX_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_BYTES, MHD_OPTION_THREAD_STACK_SIZE,
        (size_t)THREAD_STACK_BYTES, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    if (!x->daemon)
        return err_set(err, MLXE_E_IO, "port %u: cannot listen, it is taken or not allowed",
                       (unsigned)ntohs(is_v6 ? at->v6.sin6_port : at->v4.sin_port));
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(x->daemon, MHD_DAEMON_INFO_LISTEN_FD);
    if (!info || getsockname(info->listen_fd, &bound.any, &n))
        return err_set(err, MLXE_E_IO, "mirror: the listening socket is gone");
    if (is_v6)
        inet_ntop(AF_INET6, &bound.v6.sin6_addr, host, sizeof host);
    else
        inet_ntop(AF_INET, &bound.v4.sin_addr, host, sizeof host);
    snprintf(x->url, sizeof x->url, is_v6 ? "http://[%s]:%u" : "http://%s:%u", host,
             (unsigned)ntohs(is_v6 ? bound.v6.sin6_port : bound.v4.sin_port));
    return MLXE_OK;
}

mlxe_status mlxe_mirror_open(const mlxe_mirror_params *params, mlxe_mirror **out, mlxe_error *err)
{
    mlxe_mirror_params p = mlxe_mirror_params_new();
    address at;
    *out = NULL;
    if (!params || params->size > sizeof p || params->size < sizeof params->size)
        return err_set(err, MLXE_E_ARG, "mirror: params of an unknown size");
    memcpy(&p, params, params->size);
    if (!p.root || !*p.root) return err_set(err, MLXE_E_ARG, "root: is missing");
    mlxe_mirror *x = calloc(1, sizeof *x);
    if (!x) return err_memory(err, "mirror", sizeof *x);
    mlxe_status rc = find_address(&p, &at, err);
    if (!rc) rc = fill(&x->m, &p, err);
    if (!rc) rc = start(x, &at, err);
    if (rc)
        mlxe_mirror_close(x);
    else
        *out = x;
    return rc;
}

const char *mlxe_mirror_url(const mlxe_mirror *x) { return x->url; }

void mlxe_mirror_close(mlxe_mirror *x)
{
    if (!x) return;
    upstream_stop(x->m.upstream); /* connections that wait for it end */
    if (x->daemon) MHD_stop_daemon(x->daemon);
    upstream_close(x->m.upstream);
    limiter_close(x->m.limiter);
    hashes_close(x->m.hashes);
    for (size_t i = 0; i < x->m.n_tokens; i++)
        free(x->m.tokens[i]);
    for (size_t i = 0; i < x->m.n_names; i++)
        free(x->m.names[i]);
    free(x->m.tokens);
    free(x->m.names);
    free(x->m.root);
    free(x->m.base_url);
    free_list(&x->m.gated);
    free_list(&x->m.only);
    free(x);
}
