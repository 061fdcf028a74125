/* request.h: requests to the Hub: redirects, credentials, what an answer means, trying again.
 *
 *   request_api   GET of the API into memory, tried again as the policy says
 *   request_head  HEAD of a resolve URL -> commit, etag, size, where to GET
 *   request_get   one GET of bytes into a function, redirects followed, not tried again
 *
 * Every failure has a kind, by which callers decide what to do next; the text is in err. */
#ifndef HUB_REQUEST_H
#define HUB_REQUEST_H

#include "hub/http.h"
#include "hub/hub.h"

typedef enum hub_kind {
    KIND_NONE,
    KIND_NET,       /* connect, timeout, reset, broken off: worth another try */
    KIND_NET_FINAL, /* TLS, proxy */
    KIND_OFFLINE,   /* no socket may be opened */
    KIND_SERVER,    /* 408, 429, 500, 502, 503, 504: worth another try */
    KIND_RATE,      /* 429 that asks for more time than anybody waits */
    KIND_REVISION,
    KIND_ENTRY,
    KIND_GATED,
    KIND_DISABLED,
    KIND_REPO,
    KIND_AUTH,     /* 401 that names no repository */
    KIND_EXPIRED,  /* 401, 403, 410 of another origin: a signed URL that ran out */
    KIND_RANGE,    /* 416 */
    KIND_HTTP,     /* any other status */
    KIND_REDIRECT, /* loop, forbidden target */
    KIND_METADATA, /* an answer lacks or contradicts what it must have */
    KIND_SINK,     /* the receiving function's own error */
    KIND_STOP      /* cancelled, deadline, memory */
} hub_kind;

typedef struct hub_fault {
    hub_kind kind;
    int status;      /* HTTP, when there was one */
    http_why why;    /* of KIND_NET */
    int64_t wait_ms; /* what the server asked for; -1: nothing */
} hub_fault;

/* One thread's means to ask. */
typedef struct requester {
    hub *h;
    http_client *client;
    const hub_watch *watch; /* NULL: nobody */
    int once;               /* 1: a cached copy is at hand, so nothing is tried again */
} requester;

mlxe_status requester_open(hub *h, const hub_watch *watch, requester *out, mlxe_error *err);
void requester_close(requester *r);
/* Ends connections that are kept for a next request: there is none for a while. */
void requester_rest(requester *r);

/* 1: another try may help. */
int fault_retryable(const hub_fault *f);
/* 1: a complete cached copy may stand in for the answer. */
int fault_allows_cache(const hub_fault *f);
/* Waits before try `attempt` (1: the second); as the server asked, else 1, 2, 4, 8, 8 units with
 * jitter. 0: do not try again (cancelled, deadline, or more time than anybody waits). */
int fault_wait(const requester *r, hub_fault *f, int attempt);

/* GET url (of the endpoint) into out (cleared), at most limit bytes. next gets the URL of the next
 * page, or becomes empty; NULL: not wanted. */
mlxe_status request_api(requester *r, const char *url, size_t limit, buf *out, buf *next,
                        hub_fault *fault, mlxe_error *err);

/* What resolve says about a file. */
typedef struct hub_meta {
    char commit[HUB_COMMIT_CHARS + 1];
    char etag[HUB_ETAG_CHARS + 1];
    uint64_t size; /* HUB_SIZE_UNTOLD: the answer tells none */
    buf url;       /* where to GET */
    int stored;    /* 1: a redirect led there: its headers tell of a storage, not of the file */
} hub_meta;

#define HUB_SIZE_UNTOLD UINT64_MAX

void hub_meta_deinit(hub_meta *m);
/* One HEAD, same-origin redirects followed. Of a KIND_ENTRY, meta->commit is set when the answer
 * named it. timeout_s: 0: the hub's. */
mlxe_status request_head(requester *r, const char *url, int timeout_s, hub_meta *meta,
                         hub_fault *fault, mlxe_error *err);

/* Who answers a GET. */
typedef enum request_from {
    FROM_ENDPOINT, /* the endpoint, at the URL that was asked */
    FROM_STORAGE,  /* the endpoint's host, where a redirect led */
    FROM_ELSEWHERE /* another origin */
} request_from;

typedef struct request_sink {
    mlxe_status (*head)(void *user, const http_answer *a, request_from from, mlxe_error *err);
    mlxe_status (*body)(void *user, const char *p, size_t n, mlxe_error *err);
    void *user;
    int stored; /* 1: the URL is where a redirect led, as hub_meta's */
} request_sink;

mlxe_status request_get(requester *r, const char *url, const char *range, const char *if_range,
                        const request_sink *sink, hub_fault *fault, mlxe_error *err);

/* Decimal digits only. -> 1 and *out, or 0 */
int parse_size(strv text, uint64_t *out);

#endif
