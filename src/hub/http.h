/* http.h: one HTTP exchange at a time on libcurl's multi interface: no redirect is followed here.
 *
 *   http_client (one thread's: kept connections)  --http_perform-->  http_answer + why it failed
 *
 * Owns: limits (headers, time, silence, slowness), cancelling, TLS, and telling kinds of failure
 * apart. What an answer means is request.h's. A body goes to the caller's function only when the
 * status is 2xx; of others at most HTTP_ERROR_BYTES are kept for the message. */
#ifndef HUB_HTTP_H
#define HUB_HTTP_H

#include "base/buf.h"

#include <stdatomic.h>
#include <stdint.h>

enum { HTTP_ERROR_BYTES = 64 << 10, HTTP_HEADER_BYTES = 128 << 10 };

typedef struct http_client http_client;

typedef struct http_options {
    const char *user_agent;
    const char *ca_file, *ca_dir; /* NULL: the system's */
    const char *http_proxy;       /* of plain http; NULL: as libcurl finds it */
    int connect_timeout_s, idle_timeout_s;
} http_options;

/* options are borrowed: they outlive the client. Fails MEMORY, INTERNAL */
mlxe_status http_client_open(const http_options *options, http_client **out, mlxe_error *err);
void http_client_close(http_client *c);
/* Ends connections that are kept for a next call. */
void http_client_rest(http_client *c);

typedef enum http_method { HTTP_GET, HTTP_HEAD } http_method;

typedef struct http_answer {
    int status;
    buf headers; /* "name\0value\0" of the last block, names in lower case */
    buf body;    /* of an answer that is not 2xx */
} http_answer;

/* Takes one line of a header block, as it came; a status line begins anew. -> 0: too many bytes */
int http_answer_line(http_answer *a, const char *line, size_t n);
void http_answer_deinit(http_answer *a);
/* The first value of a header, trimmed; {NULL,0} when absent. */
strv http_header(const http_answer *a, const char *name);
/* The next value after `after` of a header that may repeat; start with {NULL,0}. */
strv http_header_next(const http_answer *a, const char *name, strv after);

typedef enum http_why {
    HTTP_DONE, /* an answer came, whatever its status */
    HTTP_WHY_DNS,
    HTTP_WHY_CONNECT,
    HTTP_WHY_TLS,
    HTTP_WHY_PROXY,
    HTTP_WHY_TIMEOUT, /* connecting, silence, or too slow for too long */
    HTTP_WHY_RESET,   /* broken off before its end */
    HTTP_WHY_PROTOCOL,
    HTTP_WHY_SINK, /* the caller's function said no; its error is in err */
    HTTP_WHY_CANCELLED,
    HTTP_WHY_DEADLINE,
    HTTP_WHY_INTERNAL
} http_why;

typedef struct http_call {
    http_method method;
    const char *url;
    const char *shown_url; /* for messages: without secrets */
    const char *token;     /* NULL: no Authorization */
    int identity;          /* 1: Accept-Encoding: identity and no decoding; 0: gzip is welcome */
    const char *range;     /* "0-99", NULL: none */
    const char *if_range;
    const char *trace;  /* X-Amzn-Trace-Id, by which the Hub finds a request in its log; or NULL */
    int idle_timeout_s; /* 0: the client's */
    const atomic_int *cancel;
    int64_t deadline_ns;
    /* After the headers of a 2xx answer, before its body; NULL: none. */
    mlxe_status (*on_head)(void *user, const http_answer *a, mlxe_error *err);
    mlxe_status (*on_body)(void *user, const char *p, size_t n, mlxe_error *err);
    void *user;
} http_call;

/* -> OK with *why HTTP_DONE when an answer came whole; else the failure, err filled. answer is
 * cleared first and holds what came. */
mlxe_status http_perform(http_client *c, const http_call *call, http_answer *answer, http_why *why,
                         mlxe_error *err);

#endif
