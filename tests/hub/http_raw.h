/* http_raw.h: one HTTP request over one connection, byte for byte as the test says, for tests of
 * servers: nothing between the test and the wire that could mend a wrong answer. */
#ifndef TESTS_HUB_HTTP_RAW_H
#define TESTS_HUB_HTTP_RAW_H

#include "base/buf.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

typedef struct raw_reply {
    int status; /* 0: no answer */
    buf all;    /* everything that came */
    const char *headers, *body;
    size_t body_bytes;
} raw_reply;

/* A connection to http://HOST:PORT; -1: refused. Reads give up after ten seconds. */
static inline int raw_connect(const char *url)
{
    unsigned port = 0;
    const char *colon = strrchr(url, ':');
    struct timeval limit = {.tv_sec = 10};
    if (colon) port = (unsigned)strtoul(colon + 1, NULL, 10);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to)) {
        if (fd >= 0) close(fd);
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
}

static inline void raw_send(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent <= 0) return;
        p += sent;
        n -= (size_t)sent;
    }
}

/* Reads until the server closes, then takes the head apart. */
static inline void raw_read(int fd, raw_reply *out)
{
    char piece[65536];
    ssize_t n;
    *out = (raw_reply){0};
    while ((n = recv(fd, piece, sizeof piece, 0)) > 0)
        buf_add(&out->all, piece, (size_t)n);
    const char *end = out->all.n ? strstr(out->all.p, "\r\n\r\n") : NULL;
    if (!end || out->all.n < 12) return;
    out->status = atoi(out->all.p + 9);
    out->headers = strstr(out->all.p, "\r\n") + 2;
    out->body = end + 4;
    out->body_bytes = out->all.n - (size_t)(out->body - out->all.p);
}

/* METHOD TARGET with more header lines ("A: b\r\n"..., a Host first if at all) and Connection:
 * close. */
static inline raw_reply raw_ask(const char *url, const char *method, const char *target,
                                const char *headers)
{
    raw_reply reply = {0};
    buf request = {0};
    int fd = raw_connect(url);
    if (fd < 0) return reply;
    buf_addf(&request, "%s %s HTTP/1.1\r\nConnection: close\r\n", method, target);
    if (!headers || strncmp(headers, "Host:", 5) != 0)
        buf_addf(&request, "Host: %s\r\n", strstr(url, "//") + 2);
    buf_addf(&request, "%s\r\n", headers ? headers : "");
    raw_send(fd, request.p, request.n);
    raw_read(fd, &reply);
    close(fd);
    buf_deinit(&request);
    return reply;
}

/* A header's value in out, or NULL. */
static inline const char *raw_header(const raw_reply *reply, const char *name, char *out,
                                     size_t capacity)
{
    size_t n = strlen(name);
    for (const char *p = reply->headers; p && p < reply->body;) {
        const char *end = strstr(p, "\r\n");
        if (strncasecmp(p, name, n) == 0 && p[n] == ':') {
            snprintf(out, capacity, "%.*s", (int)(end - p - (int)n - 2), p + n + 2);
            return out;
        }
        p = end + 2;
    }
    return NULL;
}

static inline void raw_deinit(raw_reply *reply) { buf_deinit(&reply->all); }

#endif
