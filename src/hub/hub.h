/* hub.h: the client of the Hub's protocol: find, describe, fetch, from one endpoint into one cache.
 *
 *   hub_search --pages--> lines of JSON            hub_info, hub_refs, hub_whoami --> JSON
 *   hub_snapshot  revision -> commit -> tree -> plan -> files in parallel -> snapshots/<commit>
 *   hub_file      one file of it
 *
 * Everything is explicit in hub_settings: nothing here reads the environment. A hub is immutable
 * after open but for the warnings it has shown, so any thread may use it; each call brings its own
 * connections and blocks. Calls end within 300 ms of their watch's cancel flag.
 *
 * The token goes to the endpoint's origin (scheme, host, port) only, never to another after a
 * redirect, never over plain http to a host that is not loopback unless allowed; it and the query
 * of foreign URLs are in no message and no log line. */
#ifndef HUB_HUB_H
#define HUB_HUB_H

#include "base/buf.h"
#include "base/log.h"
#include "hub/glob.h"
#include "hub/names.h"
#include "hub/tree.h"

#include <stdatomic.h>
#include <stdint.h>

typedef struct hub hub;

typedef enum hub_token_from {
    HUB_TOKEN_NONE,
    HUB_TOKEN_GIVEN,   /* by the caller: an argument */
    HUB_TOKEN_IMPLICIT /* found: HF_TOKEN or its file */
} hub_token_from;

typedef struct hub_settings {
    const char *endpoint; /* NULL: https://huggingface.co; a path prefix is allowed */
    const char *cache;    /* folder of HF_HUB_CACHE; need not exist */
    const char *token;
    hub_token_from token_from;
    int oidc; /* 1: an implicit token would have to come from an identity provider: an error */
    int allow_insecure_token; /* 1: also over plain http to other hosts */
    int offline;              /* 1: no socket is opened */
    int no_links;             /* 1: as HF_HUB_DISABLE_SYMLINKS */
    int etag_timeout_s;       /* 0: 10 */
    int download_timeout_s;   /* 0: 10; of connecting, and of silence */
    int workers;              /* transfers at a time; 0: 8 */
    int one_stream;           /* 1: no file in ranges, so that who reads along finds no gap in it */
    const char *ca_file, *ca_dir; /* NULL: the system's */
    const char *http_proxy;       /* of plain http; NULL: as libcurl finds it */
    const char *user_agent;       /* NULL: mlxengine/<version> */
    const char
        *home; /* below it lie other programs' models, taken over by link; NULL: they are not */
    const char *token_path; /* where a login is kept, see login.h; NULL: nowhere */
    int retry_unit_ms;      /* of the waits between tries; 0: 1000 */
    log_sink log;
} hub_settings;

/* Copies the settings. Fails ARG (endpoint, token with bytes outside 0x21..0x7e, oidc and no token
 * of the caller's), MEMORY */
mlxe_status hub_open(const hub_settings *settings, hub **out, mlxe_error *err);
void hub_close(hub *h); /* no call may run */
const char *hub_cache(const hub *h);
const char *hub_endpoint(const hub *h);
int hub_offline(const hub *h);

/* Progress of a download: bytes of all selected files. */
typedef struct hub_progress {
    const char *text; /* what begins or is done now, or NULL: only the numbers changed */
    uint64_t done_bytes, total_bytes;
    double rate_bytes_s, left_s; /* of the last seconds; left_s < 0: not known */
} hub_progress;

/* How a call is watched; NULL where nobody does. The function may come from several threads, never
 * at the same time. */
typedef struct hub_watch {
    const atomic_int *cancel;
    int64_t deadline_ns; /* monotonic; 0: none */
    void (*progress)(void *user, const hub_progress *p);
    void *user;
} hub_watch;

/* ---- asking ---------------------------------------------------------------------------------- */

typedef struct hub_repo {
    hub_type type;
    const char *id;       /* "ns/name" */
    const char *revision; /* NULL: main */
} hub_repo;

/* What the API says about a repository at a revision: one JSON object, appended to out.
 * Fails  ARG, NOT_FOUND, ACCESS, OFFLINE, CORRUPT, CANCELLED, TIMEOUT, as all calls here */
mlxe_status hub_info(hub *h, const hub_repo *repo, const hub_watch *watch, buf *out,
                     mlxe_error *err);
/* All files of a commit, every page. */
mlxe_status hub_list_tree(hub *h, const hub_repo *repo, const char *commit, const hub_watch *watch,
                          hub_tree *tree, mlxe_error *err);
mlxe_status hub_refs(hub *h, const hub_repo *repo, const hub_watch *watch, buf *out,
                     mlxe_error *err);
mlxe_status hub_whoami(hub *h, const hub_watch *watch, buf *out, mlxe_error *err);

/* Asks who the hub's token belongs to and keeps it as the active login: {"name","token","path"}: of
 * the person, of the token, of its file. Fails also  STATE (no token, no place for one) */
mlxe_status hub_login(hub *h, const hub_watch *watch, buf *out, mlxe_error *err);
/* Forgets the active login, without network: {"token","path"}. Fails NOT_FOUND, IO */
mlxe_status hub_logout(hub *h, buf *out, mlxe_error *err);

typedef struct hub_query {
    const char *search;  /* part of the id; NULL: all */
    const char *author;  /* NULL: any */
    const char *task;    /* pipeline_tag */
    const char *library; /* a tag, as "mlx" */
    const char *const *filters;
    size_t n_filters;
    const char *sort;      /* downloads (NULL), likes, lastModified, createdAt, trendingScore */
    uint32_t limit;        /* total over all pages; 0: 20 */
    uint64_t memory_bytes; /* only models that need no more (need.h); 0: of any size */
} hub_query;

/* One found repository as compact JSON: {"id","downloads","likes","task","library","gated"}; from a
 * mirror with an upstream also "mirrored"; with memory_bytes also {"weight_bytes","need_bytes",
 * "counted"}. Nonzero ends the search. */
typedef int (*hub_found_fn)(void *user, const char *json, size_t bytes);
mlxe_status hub_search(hub *h, const hub_query *query, const hub_watch *watch, hub_found_fn found,
                       void *user, mlxe_error *err);

/* ---- fetching -------------------------------------------------------------------------------- */

typedef struct hub_want {
    hub_globs globs;
    int force;      /* 1: fetch again what is there */
    int local_only; /* 1: as offline, for this call */
    const char
        *from; /* a folder with the repository's files: those with the right hash are linked */
    const char *local_dir; /* hub_snapshot: the files go here, see local_dir.h; NULL: the cache */
} hub_want;

typedef struct hub_got {
    char commit[HUB_COMMIT_CHARS + 1];
    uint64_t bytes;            /* of all selected files */
    uint64_t downloaded_bytes; /* what came over the network */
    size_t files;
    int from_cache; /* 1: the Hub could not be reached, a complete copy was there */
} hub_got;

/* Makes every selected file of a revision present; path gets the snapshot's folder (cleared first).
 * Fails also  FIT (disk), IO */
mlxe_status hub_snapshot(hub *h, const hub_repo *repo, const hub_want *want, const hub_watch *watch,
                         buf *path, hub_got *got, mlxe_error *err);
/* One file; path gets where it lies. want->globs is not looked at. */
mlxe_status hub_file(hub *h, const hub_repo *repo, const char *name, const hub_want *want,
                     const hub_watch *watch, buf *path, hub_got *got, mlxe_error *err);

/* A repository at a revision as the cache has it, without network: the snapshot's folder.
 * Fails  NOT_FOUND (not in the cache), OFFLINE (selected files are missing: names three) */
mlxe_status hub_cached(hub *h, const hub_repo *repo, const hub_globs *globs, buf *path,
                       hub_got *got, mlxe_error *err);

#endif
