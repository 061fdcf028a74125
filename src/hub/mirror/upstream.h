/* upstream.h: what this mirror lacks is fetched from another Hub, verified, kept, then served.
 *
 *   upstream_revision   a revision's commit and listing      asked again after a minute
 *   upstream_file       one file of a commit                 fetched once, however many ask
 *
 * Off unless the mirror is opened with an upstream. Fetching is the client's (hub.h): what arrives
 * in the root has the right hash. Any thread may ask; a fetch has a thread of its own, so a client
 * that leaves ends none. */
#ifndef HUB_MIRROR_UPSTREAM_H
#define HUB_MIRROR_UPSTREAM_H

#include "hub/mirror/mirror.h"

#include <sys/types.h>

typedef enum upstream_says {
    UPSTREAM_HERE, /* it is in the root now */
    UPSTREAM_BUSY, /* still under way, or too much is */
    UPSTREAM_NO_REPO,
    UPSTREAM_NO_REVISION,
    UPSTREAM_NO_ENTRY,
    UPSTREAM_GATED,
    UPSTREAM_BAD, /* it sends what it does not promise */
    UPSTREAM_AWAY /* cannot be reached, or fails; also no room here */
} upstream_says;

typedef struct flight flight;

/* token: NULL or "": none is sent. Fails ARG (url), MEMORY */
mlxe_status upstream_open(const mirror *m, const char *url, const char *token, upstream **out,
                          mlxe_error *err);
void upstream_stop(upstream *u);  /* ends what is under way; what waits for it returns */
void upstream_close(upstream *u); /* no call may run */

/* One page of the upstream's search: query -> the array's text, and the query of the next page
 * (empty: there is none). Not tried again. *status: what a client is to be told of a failure, 400
 * or 502. Fails as hub_search */
mlxe_status upstream_search(upstream *u, hub_type type, const char *query, buf *page, buf *next,
                            int *status, mlxe_error *err);

upstream_says upstream_revision(upstream *u, hub_type type, strv id, strv revision, int wait_ms);
/* out (NULL: not wanted) gets the fetch when the answer is BUSY and it is under way, else NULL. */
upstream_says upstream_file(upstream *u, const mirror_repo *repo, const char *commit, strv path,
                            strv etag, int wait_ms, flight **out);

/* Bytes of a file at offset `at` while it is fetched, waiting for them. *fd: -1 at first, the
 * caller closes it. -> how many; -1: the fetch failed. They are not verified yet. */
ssize_t flight_read(flight *f, int *fd, uint64_t at, char *to, size_t n);
void flight_leave(flight *f);

/* The reply that a refusal of the upstream means. */
void reply_upstream(mirror_reply *r, upstream_says says);

#endif
