/* mirror.h: what the files of the mirror share.
 *
 *   server.c    connections (libmicrohttpd) -> call -> reply -> connection
 *   answer.c    call -> route, access -> reply            no sockets: the fuzz target calls it
 *   target.c    "/api/models/ns/name/tree/main?..." -> route, id, revision, path, query
 *   content.c   resolve: ranges, conditions, whole and verified bytes
 *   listing.c   tree, paths-info, refs, commits           info.c   one repository, and search
 *   weights.c   parameters by dtype                       forward.c   search in the upstream too
 *   store.c     root: repositories, revisions, files      hashes.c  hashes, computed once
 *   upstream.c  what is not in the root, fetched          limiter.c requests of a client
 *
 * Everything is read from the disk for each call, so a cache that others write to is served as it
 * is; only hashes are remembered. Threads: one a connection; `mirror` is constant after open but
 * for its hashes, which have a mutex. */
#ifndef HUB_MIRROR_MIRROR_H
#define HUB_MIRROR_MIRROR_H

#include "base/buf.h"
#include "base/log.h"
#include "hub/glob.h"
#include "hub/mirror/mlxengine_mirror.h"
#include "hub/names.h"
#include "hub/tree.h"

#include <stdint.h>
#include <sys/stat.h>

enum { MIRROR_MAX_PARAMS = 1100, MIRROR_MAX_HEADERS = 20, MIRROR_MAX_POST_BYTES = 1 << 20 };

/* ---- a request ------------------------------------------------------------------------------ */

/* One request, as the connection gives it; absent headers are NULL. */
typedef struct mirror_call {
    const char *method, *target; /* target: raw, path?query */
    const char *host, *authorization, *range, *if_range, *if_none_match, *content_type;
    const char *address; /* of the client; NULL: not known, then it is not limited */
    strv body;           /* of a POST */
} mirror_call;

typedef enum mirror_route {
    ROUTE_NONE, /* no such place */
    ROUTE_RESOLVE,
    ROUTE_SEARCH,
    ROUTE_INFO,
    ROUTE_TREE,
    ROUTE_PATHS,
    ROUTE_REFS,
    ROUTE_COMMITS,
    ROUTE_AUTH_CHECK,
    ROUTE_WHOAMI
} mirror_route;

typedef struct mirror_param {
    strv key, value; /* decoded; NUL-terminated */
} mirror_param;

/* A target taken apart. Texts are decoded, checked for nothing but NUL, and NUL-terminated. */
typedef struct mirror_target {
    mirror_route route;
    hub_type type;
    strv id, revision, path; /* revision: {NULL,0} when not said */
    mirror_param *params;
    size_t n_params, params_cap;
    int has_other; /* 1: it reads in another way too: reading 1 */
    arena memory;
} mirror_target;

/* Reads a target; reading 0 or 1 where two fit. ns/name comes first.
 * Fails  INPUT (broken escapes, NUL, too many parameters), MEMORY. deinit in any case */
mlxe_status target_parse(const char *target, int reading, mirror_target *out, mlxe_error *err);
/* Adds the parameters of a query or of a form. */
mlxe_status target_params(mirror_target *t, const char *query, size_t bytes, mlxe_error *err);
void target_deinit(mirror_target *t);
/* The value of a parameter, or {NULL,0}. */
strv target_param(const mirror_target *t, const char *key);
/* true, True, 1; anything else is no. */
int target_flag(const mirror_target *t, const char *key);

/* ---- a reply -------------------------------------------------------------------------------- */

struct hub_hash;

typedef struct mirror_reply {
    int status;
    struct {
        char *name, *value;
    } headers[MIRROR_MAX_HEADERS];
    size_t n_headers;
    buf body;
    int fd; /* -1: body; else bytes [from, from + bytes) of a file, owned */
    uint64_t from, bytes;
    uint64_t absent_bytes; /* the Content-Length of a HEAD whose file is not here yet */
    int check; /* 1: hash the file while it goes out whole, hold its end until it fits */
    struct flight *flight; /* fd -1: the file arrives just now, from upstream; owned */
    char etag[HUB_ETAG_CHARS + 1];
    struct stat info; /* of fd */
} mirror_reply;

void reply_header(mirror_reply *r, const char *name, const char *value);
/* An error of the Hub's form. code: X-Error-Code, or NULL. -> 0 */
void reply_error(mirror_reply *r, int status, const char *code, const char *message);
void reply_json(mirror_reply *r); /* Content-Type of what is in body */
void reply_deinit(mirror_reply *r);

/* ---- hashes --------------------------------------------------------------------------------- */

typedef struct hashes hashes;

typedef enum hash_state { HASH_UNKNOWN, HASH_GOOD, HASH_BAD } hash_state;
typedef enum hash_kind { HASH_SHA256, HASH_GIT_SHA1 } hash_kind;

/* file: where they are kept, or NULL. A file that does not read is as good as none. */
mlxe_status hashes_open(const char *file, const log_sink *log, hashes **out, mlxe_error *err);
void hashes_close(hashes *h); /* ends work that is under way, writes the file */
/* A file's hash in hex, remembered or computed. wait_ms: how long to wait for a computation, which
 * goes on in any case. Fails TIMEOUT, IO (cannot be read, or changes), MEMORY */
mlxe_status hashes_get(hashes *h, const char *path, const struct stat *info, hash_kind kind,
                       int wait_ms, char out[65], mlxe_error *err);
/* Whether a file's content is what its name etag says. An etag that is no hash is GOOD.
 * wait_ms 0: only what is known. */
hash_state hashes_check(hashes *h, const char *path, const struct stat *info, const char *etag,
                        int wait_ms);
/* Keeps what a transfer found out. */
void hashes_put(hashes *h, const struct stat *info, const char *etag, hash_state state);

/* ---- the root ------------------------------------------------------------------------------- */

typedef struct upstream upstream;
typedef struct limiter limiter;

typedef struct mirror {
    char *root;
    char **tokens;
    size_t n_tokens;
    hub_globs gated, only; /* include lists */
    char **names;          /* hosts that clients may ask for */
    size_t n_names;
    char *base_url;
    int assume_complete, hash_wait_ms;
    hashes *hashes;
    upstream *upstream; /* NULL: none */
    limiter *limiter;   /* NULL: none */
    log_sink log;
} mirror;

typedef struct mirror_repo {
    hub_type type;
    char id[200];
    int is_plain; /* an org/name folder of files, not the cache's layout */
    char *path;   /* its folder */
} mirror_repo;

/* 1: this mirror gives away repositories of that name. */
int store_serves(const mirror *m, hub_type type, strv id);
/* Fails  NOT_FOUND */
mlxe_status store_repo(const mirror *m, hub_type type, strv id, mirror_repo *out, mlxe_error *err);
void store_repo_deinit(mirror_repo *repo);
/* Calls fn with each repository of a type, by id; nonzero ends it. */
typedef int (*store_repo_fn)(void *user, const mirror_repo *repo);
mlxe_status store_each(const mirror *m, hub_type type, store_repo_fn fn, void *user,
                       mlxe_error *err);

/* The commit that a revision names here (ref, commit, unique prefix of at least seven digits; main
 * for {NULL,0}); its snapshot is there. Fails NOT_FOUND */
mlxe_status store_commit(const mirror *m, const mirror_repo *repo, strv revision,
                         char commit[HUB_COMMIT_CHARS + 1], mlxe_error *err);
/* Names of refs with their commits, in order; nonzero ends it. */
typedef int (*store_ref_fn)(void *user, const char *name, const char *commit);
mlxe_status store_refs(const mirror *m, const mirror_repo *repo, store_ref_fn fn, void *user,
                       mlxe_error *err);

typedef struct store_file {
    int fd;
    struct stat info;
    char etag[HUB_ETAG_CHARS + 1];
    int checked; /* 1: the etag was computed from the content, or its hash was found right */
    buf path;    /* where it lies */
} store_file;

void store_file_deinit(store_file *file); /* closes fd unless it is -1 */
/* Opens a file of a commit. Fails NOT_FOUND, CORRUPT (its hash is known to be wrong), TIMEOUT (its
 * hash is being computed) */
mlxe_status store_open(const mirror *m, const mirror_repo *repo, const char *commit, strv path,
                       store_file *out, mlxe_error *err);

/* The complete listing of a commit. Fails NOT_FOUND (none is known), TIMEOUT (hashing) */
mlxe_status store_tree(const mirror *m, const mirror_repo *repo, const char *commit, hub_tree *out,
                       mlxe_error *err);
/* A small file of a commit as text, appended; at most limit bytes. Fails NOT_FOUND */
mlxe_status store_text(const mirror *m, const mirror_repo *repo, const char *commit,
                       const char *path, size_t limit, buf *out, mlxe_error *err);
/* When a repository last changed, in seconds. */
int64_t store_time(const mirror_repo *repo);

/* ---- answers -------------------------------------------------------------------------------- */

/* Any request's reply; never fails. out is zeroed by the caller but for fd = -1. */
void mirror_answer(const mirror *m, const mirror_call *call, mirror_reply *out);

void content_answer(const mirror *m, const mirror_call *call, const mirror_repo *repo,
                    const mirror_target *t, mirror_reply *out);
void tree_answer(const mirror *m, const mirror_call *call, const mirror_repo *repo,
                 const mirror_target *t, mirror_reply *out);
void paths_answer(const mirror *m, const mirror_call *call, const mirror_repo *repo,
                  mirror_target *t, mirror_reply *out);
void refs_answer(const mirror *m, const mirror_repo *repo, const mirror_target *t,
                 mirror_reply *out);
void commits_answer(const mirror *m, const mirror_repo *repo, const mirror_target *t,
                    mirror_reply *out);
void info_answer(const mirror *m, const mirror_repo *repo, const mirror_target *t,
                 mirror_reply *out);
void search_answer(const mirror *m, const mirror_call *call, const mirror_target *t,
                   mirror_reply *out);
/* 1: the mirror's own search by t lists that repository. */
int search_lists(const mirror *m, const mirror_target *t, strv id);
/* ,"safetensors":{..} of a commit, appended when all of its weights are here. */
void weights_add(buf *b, const mirror *m, const mirror_repo *repo, const char *commit);

/* Where a search goes on in the upstream. */
typedef struct forward_from {
    strv query;           /* its next page, or {NULL,0}: its first */
    uint64_t limit, page; /* entries that the reply has room for; entries of a page */
    int ours_told;        /* 1: what search_lists is told by the mirror's own part */
} forward_from;
/* Adds the upstream's entries to the array that out->body begins, and tells the next page. */
void forward_search(const mirror *m, const mirror_call *call, const mirror_target *t,
                    const forward_from *from, mirror_reply *out);

/* Answers a failure of the store: missing says what a NOT_FOUND means. */
void reply_failure(mirror_reply *r, const mlxe_error *err, const char *missing_code,
                   const char *missing_message);
/* Tells the next page: the same parameters with a cursor for offset. */
void reply_next(const mirror *m, const mirror_call *call, const mirror_target *t, uint64_t offset,
                mirror_reply *r);
/* The same with a cursor for the upstream's page that query asks for. */
void reply_next_upstream(const mirror *m, const mirror_call *call, const mirror_target *t,
                         const char *query, mirror_reply *r);
/* The query that such a cursor holds, {NULL,0} without one. Fails INPUT when it is not one of
 * ours. */
mlxe_status target_upstream_cursor(const mirror_target *t, strv *query, mlxe_error *err);
/* The offset that the cursor says, 0 without one. Fails INPUT when it is not one of ours. */
mlxe_status target_cursor(const mirror_target *t, uint64_t *offset, mlxe_error *err);
/* "2026-01-02T03:04:05.000Z" in quotes, appended. */
void add_time(buf *b, int64_t seconds);

#endif
