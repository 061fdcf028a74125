/* faulty.c: sockets, threads and the log of the faulty server, and the faults of a transfer.
 *
 *   accept thread -> a thread a connection: read request -> rule, answer (mutex) -> log -> send
 *
 * A connection is kept for the next request as HTTP/1.1 says, unless the fault ends it. Waiting
 * (delay, stall, rate) is done in poll on the connection and on a pipe that faulty_close closes, so
 * closing never waits. What is sent belongs to the script's memory, so faulty_forget ends the
 * connections and waits for answers that are under way. A wait (delay, rate) also ends then. */
#include "faulty_inside.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 16384, MAX_HEAD = 1 << 20 };

int faulty_glob(const char *glob, const char *text)
{
    const char *star = NULL, *again = NULL;
    while (*text) {
        if (*glob == '*') {
            star = ++glob;
            again = text;
        } else if (*glob == *text) {
            glob++;
            text++;
        } else if (star) {
            glob = star;
            text = ++again;
        } else {
            return 0;
        }
    }
    while (*glob == '*')
        glob++;
    return !*glob;
}

static int target_fits(const char *glob, const char *target)
{
    char path[4096];
    size_t n = strcspn(target, "?");
    if (strchr(glob, '?') || n >= sizeof path) return faulty_glob(glob, target);
    memcpy(path, target, n);
    path[n] = 0;
    return faulty_glob(glob, path);
}

static int request_fits(const char *method, const char *glob, const faulty_request *request)
{
    return (strcmp(method, "*") == 0 || strcmp(method, request->method) == 0) &&
           target_fits(glob, request->target);
}

rule *faulty_rule(faulty *f, const char *method, const char *target)
{
    const faulty_request request = {.method = method, .target = target};
    for (rule *r = f->rules; r; r = r->next) {
        if (!request_fits(r->method, r->glob, &request)) continue;
        if (r->seen++ < r->skip || (r->times && r->used >= r->times)) continue;
        r->used++;
        return r;
    }
    return NULL;
}

void faulty_expand(const faulty *f, const faulty_request *request, const rule *fault,
                   const char *text, buf *out)
{
    size_t path = strcspn(request->target, "?");
    for (; *text; text++) {
        if (strncmp(text, "{self}", 6) == 0) {
            buf_add_str(out, f->urls[FAULTY_SELF]);
            text += 5;
        } else if (strncmp(text, "{other}", 7) == 0) {
            buf_add_str(out, f->urls[FAULTY_OTHER]);
            text += 6;
        } else if (strncmp(text, "{tls}", 5) == 0) {
            buf_add_str(out, f->urls[FAULTY_TLS]);
            text += 4;
        } else if (strncmp(text, "{path}", 6) == 0) {
            buf_add(out, request->target, path);
            text += 5;
        } else if (strncmp(text, "{query}", 7) == 0) {
            buf_add_str(out, request->target + path + (request->target[path] != 0));
            text += 6;
        } else if (strncmp(text, "{n}", 3) == 0) {
            buf_addf(out, "%u", fault ? fault->used : 0);
            text += 2;
        } else {
            buf_add_char(out, *text);
        }
    }
}

/* ---- bytes in and out ----------------------------------------------------------------------- */

/* Waits for the connection (events) or for time. -> 1: ready; 0: time is over; -1: closing */
static int wait_for(connection *c, short events, int ms)
{
    struct pollfd set[2] = {{.fd = c->fd, .events = events},
                            {.fd = c->server->wake[0], .events = POLLIN}};
    for (;;) {
        int n = poll(set, 2, ms);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 || set[1].revents) return -1;
        return n > 0;
    }
}

static int send_all(connection *c, const void *data, size_t n)
{
    const char *p = data;
    while (n > 0) {
        ssize_t sent;
        if (c->tls) {
            int did = SSL_write(c->tls, p, n > PIECE ? PIECE : (int)n);
            sent = did > 0 ? did : -1;
        } else {
            if (wait_for(c, POLLOUT, -1) < 0) return -1;
            sent = send(c->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (sent < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        }
        if (sent <= 0) return -1;
        p += sent;
        n -= (size_t)sent;
    }
    return 0;
}

static int read_more(connection *c)
{
    if (c->in_n + PIECE > c->in_cap) {
        c->in_cap = c->in_n + 2 * PIECE;
        c->in = realloc(c->in, c->in_cap);
    }
    if (!(c->tls && SSL_pending(c->tls)) && wait_for(c, POLLIN, -1) < 0) return -1;
    ssize_t n = c->tls ? SSL_read(c->tls, c->in + c->in_n, PIECE - 1)
                       : recv(c->fd, c->in + c->in_n, PIECE - 1, 0);
    if (n <= 0) return -1;
    c->in_n += (size_t)n;
    c->in[c->in_n] = 0;
    return 0;
}

static void use(connection *c, size_t n)
{
    memmove(c->in, c->in + n, c->in_n - n + 1);
    c->in_n -= n;
}

/* Silence until the client goes away or the server closes. */
static void wait_silently(connection *c)
{
    char byte;
    while (wait_for(c, POLLIN, -1) > 0)
        if (recv(c->fd, &byte, 1, 0) <= 0) return;
}

static void reset(connection *c)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

/* ---- requests ------------------------------------------------------------------------------- */

const char *faulty_header(const faulty_request *request, const char *name, char *out,
                          size_t capacity)
{
    size_t n = strlen(name);
    for (const char *p = request->headers; p && *p;) {
        const char *end = strstr(p, "\r\n");
        if (!end) end = p + strlen(p);
        if (strncasecmp(p, name, n) == 0 && p[n] == ':') {
            const char *value = p + n + 1;
            while (*value == ' ')
                value++;
            size_t bytes = (size_t)(end - value);
            if (bytes >= capacity) bytes = capacity - 1;
            memcpy(out, value, bytes);
            out[bytes] = 0;
            return out;
        }
        p = *end ? end + 2 : end;
    }
    return NULL;
}

static void log_free(log_entry *entry)
{
    if (!entry) return;
    free((char *)entry->seen.method);
    free((char *)entry->seen.target);
    free((char *)entry->seen.headers);
    free((char *)entry->seen.body);
    free(entry);
}

/* The next request as an entry of the log, not linked yet; NULL: the connection is over. */
static log_entry *read_request(connection *c)
{
    char *end = NULL, length[32];
    while (c->in_n == 0 || !(end = strstr(c->in, "\r\n\r\n")))
        if (c->in_n > MAX_HEAD || read_more(c) < 0) return NULL;
    char *line_end = strstr(c->in, "\r\n");
    char *space = memchr(c->in, ' ', (size_t)(line_end - c->in));
    char *stop = space ? memchr(space + 1, ' ', (size_t)(line_end - space - 1)) : NULL;
    if (!stop) return NULL;
    log_entry *entry = calloc(1, sizeof *entry);
    entry->seen.method = strv_dup(strv_from(c->in, (size_t)(space - c->in)));
    entry->seen.target = strv_dup(strv_from(space + 1, (size_t)(stop - space - 1)));
    entry->seen.headers = strv_dup(strv_from(line_end + 2, (size_t)(end - line_end)));
    entry->seen.origin = c->origin;
    entry->seen.connection = c->number;
    use(c, (size_t)(end + 4 - c->in));
    if (faulty_header(&entry->seen, "Content-Length", length, sizeof length)) {
        size_t n = (size_t)strtoull(length, NULL, 10);
        while (n <= MAX_HEAD && c->in_n < n)
            if (read_more(c) < 0) break;
        if (n > MAX_HEAD || c->in_n < n) {
            log_free(entry);
            return NULL;
        }
        entry->seen.body = strv_dup(strv_from(c->in, n));
        entry->seen.body_bytes = n;
        if (n > 0) use(c, n);
    }
    return entry;
}

/* ---- answers -------------------------------------------------------------------------------- */

/* The faults that concern status, headers and body text. */
static void apply(const faulty *f, const faulty_request *request, const rule *r, answer *a)
{
    buf text = {0};
    if (r->redirect) {
        faulty_expand(f, request, r, r->redirect, &text);
        a->status = 302;
        a->data = NULL;
        answer_header(a, "Location", buf_str(&text));
        answer_drop(a, "ETag");
        answer_drop(a, "Content-Range");
        answer_drop(a, "Accept-Ranges");
        if (r->bare) {
            answer_drop(a, "X-Repo-Commit");
            answer_drop(a, "X-Linked-Etag");
            answer_drop(a, "X-Linked-Size");
        }
        buf_clear(&a->text);
        buf_add_str(&a->text, "Found. Redirecting");
    }
    if (r->status) {
        a->status = r->status;
        if (r->status >= 400 && !r->has_body) {
            a->data = NULL;
            buf_clear(&a->text);
            buf_addf(&a->text, "{\"error\":\"status %d\"}", r->status);
            answer_header(a, "Content-Type", "application/json");
        }
    }
    if (r->has_body || r->zeros || r->nested) {
        a->data = NULL;
        buf_clear(&a->text);
        if (r->body && strlen(r->body) == r->body_bytes)
            faulty_expand(f, request, r, r->body, &a->text);
        else if (r->has_body)
            buf_add(&a->text, r->body, r->body_bytes);
        char *zeros = r->zeros ? buf_reserve(&a->text, r->zeros) : NULL;
        if (zeros) {
            memset(zeros, 0, r->zeros + 1);
            a->text.n += r->zeros;
        }
        for (uint64_t i = 0; i < 2 * r->nested; i++)
            buf_add_char(&a->text, i < r->nested ? '[' : ']');
    }
    if (!a->data) a->n = a->text.n;
    if (r->type) answer_header(a, "Content-Type", r->type);
    if (r->gzip) answer_header(a, "Content-Encoding", "gzip");
    for (size_t i = 0; i < r->n_drops; i++)
        answer_drop(a, r->drops[i]);
    for (size_t i = 0; i < r->n_headers; i++) {
        char name[100];
        const char *colon = strchr(r->headers[i], ':');
        if (!colon || (size_t)(colon - r->headers[i]) >= sizeof name) continue;
        snprintf(name, sizeof name, "%.*s", (int)(colon - r->headers[i]), r->headers[i]);
        buf_clear(&text);
        faulty_expand(f, request, r, colon + 1 + strspn(colon + 1, " "), &text);
        answer_header(a, name, buf_str(&text));
    }
    buf_deinit(&text);
}

static void write_head(const answer *a, const rule *r, const char *method, buf *out)
{
    int chunked = r && (r->chunked || r->endless);
    buf_addf(out, "HTTP/1.1 %d %s\r\n", a->status, a->status < 400 ? "Fine" : "Refused");
    for (size_t i = 0; i < a->n_headers; i++)
        buf_addf(out, "%s: %s\r\n", a->headers[i].name, a->headers[i].value);
    if (chunked)
        buf_add_str(out, "Transfer-Encoding: chunked\r\n");
    else if (r && r->length >= 0)
        buf_addf(out, "Content-Length: %lld\r\n", (long long)r->length);
    else if (!(r && r->length_none) && a->status != 204 && a->status != 304 &&
             !answer_get(a, "Content-Length"))
        buf_addf(out, "Content-Length: %zu\r\n", a->n);
    if (r && r->length_none && strcmp(method, "HEAD") != 0)
        buf_add_str(out, "Connection: close\r\n");
    buf_add_str(out, "\r\n");
}

static int send_piece(connection *c, const void *data, size_t n, int chunked)
{
    char size[24];
    int digits = snprintf(size, sizeof size, "%zx\r\n", n);
    if (!chunked) return send_all(c, data, n);
    return send_all(c, size, (size_t)digits) || send_all(c, data, n) || send_all(c, "\r\n", 2);
}

static int send_endless(connection *c, const rule *r, const char *text, uint64_t *sent)
{
    buf piece = {0};
    int failed = 0;
    while (*text && piece.n < PIECE)
        buf_add_str(&piece, text);
    while (!failed && piece.n > 0 && (!r->limit || *sent < r->limit)) {
        failed = send_piece(c, piece.p, piece.n, 1);
        *sent += failed ? 0 : piece.n;
    }
    if (!failed) failed = send_all(c, "0\r\n\r\n", 5);
    buf_deinit(&piece);
    return failed;
}

/* Sends the body with what goes wrong in it. -> 0: the connection may go on */
static int send_body(connection *c, const rule *r, const answer *a, uint64_t *sent)
{
    const unsigned char *data = a->data ? a->data : (const unsigned char *)buf_str(&a->text);
    size_t n = a->n, end = n;
    int chunked = r && r->chunked, broken = 0;
    if (r && r->cut >= 0 && (uint64_t)r->cut < end) end = (size_t)r->cut, broken = 1;
    if (r && r->reset >= 0 && (uint64_t)r->reset < end) end = (size_t)r->reset, broken = 1;
    if (r && r->stall >= 0 && (uint64_t)r->stall < end) end = (size_t)r->stall, broken = 1;
    size_t step = PIECE;
    if (r && r->rate) step = r->rate >= 100 ? (size_t)(r->rate / 20) : 1;
    for (size_t at = 0; at < end;) {
        unsigned char piece[PIECE];
        size_t m = end - at < step ? end - at : step;
        if (m > PIECE) m = PIECE;
        memcpy(piece, data + at, m);
        if (r && a->data && r->corrupt >= 0) {
            uint64_t flip = (uint64_t)r->corrupt;
            if (flip >= a->file_from + at && flip < a->file_from + at + m)
                piece[flip - a->file_from - at] ^= 0xff;
        }
        if (send_piece(c, piece, m, chunked)) return -1;
        at += m;
        *sent += m;
        if (r && r->rate && wait_for(c, 0, (int)(m * 1000 / r->rate)) != 0) return -1;
    }
    if (broken) {
        if (r->stall >= 0) wait_silently(c);
        if (r->reset >= 0) reset(c);
        return -1;
    }
    if (chunked && send_all(c, "0\r\n\r\n", 5)) return -1;
    if (r && r->length >= 0 && (uint64_t)r->length != n) return -1;
    return r && r->length_none ? -1 : 0;
}

/* Answers one request. -> 0: the connection may go on. The rule's faults are used after the mutex
 * is released: rules live until faulty_forget. */
static int answer_request(connection *c, log_entry *entry)
{
    faulty *f = c->server;
    answer a;
    buf head = {0}, endless = {0};
    uint64_t sent = 0;
    pthread_mutex_lock(&f->mutex);
    const rule *live = faulty_rule(f, entry->seen.method, entry->seen.target);
    rule copy = live ? *live : (rule){0};
    const rule *r = live ? &copy : NULL;
    faulty_answer(f, &entry->seen, r, &a);
    if (r) apply(f, &entry->seen, r, &a);
    write_head(&a, r, entry->seen.method, &head);
    if (r && r->endless) faulty_expand(f, &entry->seen, r, r->endless, &endless);
    entry->seen.status = r && r->close ? 0 : a.status;
    f->under_way++;
    *f->last_log = entry;
    f->last_log = &entry->next;
    pthread_mutex_unlock(&f->mutex);

    int over = 0;
    if (r && r->delay_ms > 0 && wait_for(c, 0, (int)r->delay_ms) != 0) over = -1;
    if (r && r->close) {
        if (r->reset >= 0) reset(c);
        over = -1;
    }
    if (!over) over = send_all(c, head.p, head.n);
    int is_head = strcmp(entry->seen.method, "HEAD") == 0;
    int has_body = (!is_head || (r && r->head_body)) && a.status != 204 && a.status != 304;
    if (!over && has_body)
        over = r && r->endless ? send_endless(c, r, buf_str(&endless), &sent)
                               : send_body(c, r, &a, &sent);
    pthread_mutex_lock(&f->mutex);
    entry->seen.sent_bytes = sent;
    entry->done = 1;
    answer_deinit(&a);
    f->under_way--;
    pthread_cond_broadcast(&f->idle);
    pthread_mutex_unlock(&f->mutex);
    buf_deinit(&head);
    buf_deinit(&endless);
    return over;
}

/* ---- connections ---------------------------------------------------------------------------- */

static void *serve(void *arg)
{
    connection *c = arg;
    sigset_t pipe_only;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE); /* SSL_write on a connection that the client left */
    pthread_sigmask(SIG_BLOCK, &pipe_only, NULL);
    pthread_mutex_lock(&c->server->mutex);
    int alone = c->server->alone;
    pthread_mutex_unlock(&c->server->mutex);
    if (alone) pthread_mutex_lock(&c->server->turn);
    if (c->origin == FAULTY_TLS) {
        c->tls = SSL_new(c->server->tls);
        SSL_set_fd(c->tls, c->fd);
        if (SSL_accept(c->tls) != 1) goto out;
    }
    for (int over = 0; !over;) {
        log_entry *entry = read_request(c);
        char wish[40];
        if (!entry) break;
        int closes = faulty_header(&entry->seen, "Connection", wish, sizeof wish) &&
                     strcasecmp(wish, "close") == 0;
        over = answer_request(c, entry) || closes;
    }
out:
    if (alone) pthread_mutex_unlock(&c->server->turn);
    shutdown(c->fd, SHUT_WR); /* TLS ends without its notice, as a broken peer does */
    pthread_mutex_lock(&c->server->mutex);
    SSL_free(c->tls);
    close(c->fd);
    free(c->in);
    c->ended = 1;
    pthread_mutex_unlock(&c->server->mutex);
    return NULL;
}

/* Joins and frees those that ended. */
static void reap(faulty *f)
{
    connection *done = NULL;
    pthread_mutex_lock(&f->mutex);
    for (connection **at = &f->connections; *at;) {
        connection *c = *at;
        if (!c->ended) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        c->next = done;
        done = c;
    }
    pthread_mutex_unlock(&f->mutex);
    while (done) {
        connection *c = done;
        done = c->next;
        pthread_join(c->thread, NULL);
        free(c);
    }
}

static void accept_one(faulty *f, faulty_origin origin)
{
    int one = 1, fd = accept(f->listening[origin], NULL, NULL);
    if (fd < 0) return;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    connection *c = calloc(1, sizeof *c);
    c->server = f;
    c->fd = fd;
    c->origin = origin;
    pthread_mutex_lock(&f->mutex);
    c->number = ++f->n_connections;
    if (pthread_create(&c->thread, NULL, serve, c) == 0) {
        c->next = f->connections;
        f->connections = c;
    } else {
        close(fd);
        free(c);
    }
    pthread_mutex_unlock(&f->mutex);
}

static void *accept_all(void *arg)
{
    faulty *f = arg;
    for (;;) {
        struct pollfd set[FAULTY_ORIGINS + 1] = {{.fd = f->wake[0], .events = POLLIN}};
        for (int i = 0; i < FAULTY_ORIGINS; i++)
            set[i + 1] = (struct pollfd){.fd = f->listening[i], .events = POLLIN};
        if (poll(set, FAULTY_ORIGINS + 1, -1) < 0 && errno != EINTR) break;
        if (set[0].revents) break;
        for (int i = 0; i < FAULTY_ORIGINS; i++)
            if (set[i + 1].revents & POLLIN) accept_one(f, (faulty_origin)i);
        reap(f);
    }
    return NULL;
}

/* ---- open and close ------------------------------------------------------------------------- */

static int listen_on(faulty *f, faulty_origin origin, const char *host, unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t n = sizeof address;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    f->listening[origin] = fd;
    if (fd < 0 || inet_pton(AF_INET, host, &address.sin_addr) != 1) return -1;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, n) || listen(fd, 128) ||
        getsockname(fd, (struct sockaddr *)&address, &n))
        return -1;
    snprintf(f->urls[origin], sizeof f->urls[origin], "%s://%s:%u",
             origin == FAULTY_TLS ? "https" : "http", host, (unsigned)ntohs(address.sin_port));
    return 0;
}

int faulty_open_at(const char *host, unsigned port, faulty **out)
{
    faulty *f = calloc(1, sizeof *f);
    *out = NULL;
    if (!f) return -1;
    pthread_mutex_init(&f->mutex, NULL);
    pthread_mutex_init(&f->turn, NULL);
    pthread_cond_init(&f->idle, NULL);
    f->last_log = &f->log;
    f->wake[0] = f->wake[1] = -1;
    faulty_drop_script(f);
    for (int i = 0; i < FAULTY_ORIGINS; i++)
        f->listening[i] = -1;
    int failed = pipe(f->wake);
    for (int i = 0; i < FAULTY_ORIGINS && !failed; i++)
        failed = listen_on(f, (faulty_origin)i, host, i == 0 ? port : 0);
    if (!failed) failed = faulty_tls_open(f);
    if (!failed) failed = pthread_create(&f->acceptor, NULL, accept_all, f) ? -1 : 0;
    if (failed) {
        f->closing = 1; /* no thread to join */
        faulty_close(f);
        return -1;
    }
    *out = f;
    return 0;
}

int faulty_open(faulty **out) { return faulty_open_at("127.0.0.1", 0, out); }

static void drop_log(faulty *f)
{
    while (f->log) {
        log_entry *entry = f->log;
        f->log = entry->next;
        log_free(entry);
    }
    f->last_log = &f->log;
}

void faulty_close(faulty *f)
{
    if (!f) return;
    if (f->wake[1] >= 0) close(f->wake[1]);
    if (!f->closing) pthread_join(f->acceptor, NULL);
    pthread_mutex_lock(&f->mutex);
    for (connection *c = f->connections; c; c = c->next)
        if (!c->ended) shutdown(c->fd, SHUT_RDWR);
    pthread_mutex_unlock(&f->mutex);
    while (f->connections) {
        connection *c = f->connections;
        pthread_join(c->thread, NULL);
        f->connections = c->next;
        free(c);
    }
    for (int i = 0; i < FAULTY_ORIGINS; i++)
        if (f->listening[i] >= 0) close(f->listening[i]);
    if (f->wake[0] >= 0) close(f->wake[0]);
    drop_log(f);
    faulty_drop_script(f);
    SSL_CTX_free(f->tls);
    free(f->ca);
    pthread_cond_destroy(&f->idle);
    pthread_mutex_destroy(&f->mutex);
    pthread_mutex_destroy(&f->turn);
    free(f);
}

/* ---- questions ------------------------------------------------------------------------------ */

const char *faulty_url(const faulty *f, faulty_origin origin) { return f->urls[origin]; }

const char *faulty_ca(const faulty *f) { return f->ca; }

/* Ends every connection, so that no answer uses what is dropped next. Mutex held. */
static void end_answers(faulty *f)
{
    for (connection *c = f->connections; c; c = c->next)
        if (!c->ended) shutdown(c->fd, SHUT_RDWR);
    while (f->under_way > 0)
        pthread_cond_wait(&f->idle, &f->mutex);
}

void faulty_forget(faulty *f)
{
    pthread_mutex_lock(&f->mutex);
    end_answers(f);
    drop_log(f);
    faulty_drop_script(f);
    pthread_mutex_unlock(&f->mutex);
}

void faulty_forget_log(faulty *f)
{
    pthread_mutex_lock(&f->mutex);
    end_answers(f);
    drop_log(f);
    pthread_mutex_unlock(&f->mutex);
}

const faulty_request *faulty_at(faulty *f, const char *method, const char *glob, size_t n)
{
    const faulty_request *found = NULL;
    pthread_mutex_lock(&f->mutex);
    for (log_entry *entry = f->log; entry && !found; entry = entry->next)
        if (request_fits(method, glob, &entry->seen) && n-- == 0) found = &entry->seen;
    pthread_mutex_unlock(&f->mutex);
    return found;
}

size_t faulty_count(faulty *f, const char *method, const char *glob)
{
    size_t n = 0;
    pthread_mutex_lock(&f->mutex);
    for (log_entry *entry = f->log; entry; entry = entry->next)
        n += (size_t)request_fits(method, glob, &entry->seen);
    pthread_mutex_unlock(&f->mutex);
    return n;
}

/* A client has the last byte a moment before the server has counted it, so this waits a little for
 * answers that are under way. */
uint64_t faulty_sent(faulty *f, const char *method, const char *glob)
{
    const struct timespec moment = {.tv_nsec = 2000000};
    uint64_t n = 0;
    int under_way = 1;
    for (int tries = 0; tries < 250 && under_way; tries++) {
        if (tries > 0) nanosleep(&moment, NULL);
        n = 0;
        under_way = 0;
        pthread_mutex_lock(&f->mutex);
        for (log_entry *entry = f->log; entry; entry = entry->next) {
            if (!request_fits(method, glob, &entry->seen)) continue;
            n += entry->seen.sent_bytes;
            under_way |= !entry->done;
        }
        pthread_mutex_unlock(&f->mutex);
    }
    return n;
}

unsigned faulty_connections(faulty *f)
{
    pthread_mutex_lock(&f->mutex);
    unsigned n = f->n_connections;
    pthread_mutex_unlock(&f->mutex);
    return n;
}
