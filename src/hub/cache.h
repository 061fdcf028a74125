/* cache.h: the cache of huggingface_hub: where things lie, how they are locked and linked.
 *
 *   <cache>/CACHEDIR.TAG
 *   <cache>/.locks/<repo>/<etag>.lock            empty, 0664, never removed
 *   <cache>/<repo>/                              models--ns--name
 *      blobs/<etag>                              content (or a link to <cache>/blobs/xx/<xet>)
 *      blobs/<etag>.<8hex>.incomplete            in progress
 *      refs/<revision>                           40 hex digits, no newline
 *      snapshots/<commit>/<path>                 relative link to ../../blobs/<etag>
 *      .no_exist/<commit>/<path>                 empty: known to be absent
 *      trees/<commit>.json                       tree.h
 *      .partial/                                 ours: sidecars of partial files, temporary names
 *
 * Two users of one cache are two processes, often one of them Python: everything that others see
 * appears by rename, temporary names live in .partial/ only (a stray file under refs/ makes Python
 * drop the whole repository), and locks are flock on Python's own lock files (it does not see
 * fcntl's). Python and we may both hold nothing: correctness rests on unique names and rename.
 *
 * Folders we write in are opened one by one without following links, so that a planted link cannot
 * lead a write out of the cache. Thread any: no state but the disk.
 * Source: huggingface_hub 1.29 file_download.py, 2.4 for the shared Xet store. */
#ifndef HUB_CACHE_H
#define HUB_CACHE_H

#include "base/buf.h"
#include "base/log.h"
#include "hub/names.h"

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- places ---------------------------------------------------------------------------------- */

/* "models--ns--name", appended. */
void cache_repo_name(buf *out, hub_type type, strv id);
/* The reverse: 1 and type, id (cleared first), or 0 when it is no such name. */
int cache_repo_parse(const char *folder_name, hub_type *type, buf *id);
/* "<cache>/models--ns--name", after clearing out. -> buf_str(out) */
const char *cache_repo_path(buf *out, const char *cache, hub_type type, strv id);

/* "<repo>/blobs/<etag>" and its like, after clearing out. repo: a path from cache_repo_path. */
const char *cache_blob_path(buf *out, const char *repo, strv etag);
const char *cache_ref_path(buf *out, const char *repo, strv revision);
const char *cache_snapshot_path(buf *out, const char *repo, strv commit);
const char *cache_entry_path(buf *out, const char *repo, strv commit, strv path);
const char *cache_no_exist_path(buf *out, const char *repo, strv commit, strv path);
const char *cache_tree_path(buf *out, const char *repo, strv commit);
const char *cache_lock_path(buf *out, const char *cache, const char *repo_name, strv etag);

/* ---- reading --------------------------------------------------------------------------------- */

/* The commit that a revision names: itself, or what refs/<revision> holds (trimmed).
 * Fails  NOT_FOUND (no ref, or its content is no commit) */
mlxe_status cache_ref_read(const char *repo, strv revision, char commit[HUB_COMMIT_CHARS + 1],
                           mlxe_error *err);

typedef enum cache_entry_kind {
    CACHE_ABSENT, /* nothing, or a link that leads nowhere */
    CACHE_LINKED, /* a link to <repo>/blobs/<etag> */
    CACHE_PLAIN,  /* a regular file: a file system without links */
    CACHE_UNSAFE  /* a link that leaves the repository (and the Xet store): never followed */
} cache_entry_kind;

/* What lies at snapshots/<commit>/<path>. etag (cleared first) gets the blob's name when it is
 * LINKED, bytes the content's size when it is LINKED or PLAIN. Either may be NULL. */
cache_entry_kind cache_entry_look(const char *cache, const char *repo, strv commit, strv path,
                                  buf *etag, uint64_t *bytes);
/* Size of blobs/<etag>, seen through a link into the Xet store: 1, or 0 when it is not there. */
int cache_blob_size(const char *cache, const char *repo, strv etag, uint64_t *bytes);

/* ---- writing --------------------------------------------------------------------------------- */

/* Creates <cache> with its tag, and the repository's blobs, snapshots/<commit> and .partial.
 * commit may be {NULL,0}. Fails ACCESS, IO naming the path */
mlxe_status cache_prepare(const char *cache, const char *repo, strv commit, mlxe_error *err);
/* Moves a ref, only when its value changes. The snapshot's folder must be there. */
mlxe_status cache_ref_write(const char *repo, strv revision, strv commit, mlxe_error *err);
/* Writes a file of ours (trees/<commit>.json) or an empty one (.no_exist) below repo by rename.
 * relative: checked by the caller with hub_path_check. */
mlxe_status cache_file_write(const char *repo, strv relative, const char *p, size_t n,
                             mlxe_error *err);
/* Makes snapshots/<commit>/<path> show blobs/<etag>: a relative link, put in place by rename.
 * Without symbolic links: MOVE puts the blob itself there, SHARE a hard link of it, or a copy where
 * there are no hard links either. */
typedef enum cache_link_how { CACHE_LINK, CACHE_MOVE, CACHE_SHARE } cache_link_how;
mlxe_status cache_link(const char *repo, strv commit, strv path, strv etag, cache_link_how how,
                       mlxe_error *err);
/* Copies a file to a new name, and syncs it. -> 0 or an errno; a part may be left then */
int cache_copy(const char *from, const char *to);
/* 1: this cache's file system has links (tried once with a real one, in .locks). */
int cache_has_links(const char *cache);
/* A name in <repo>/.partial/ that nobody else has, after clearing out. */
const char *cache_temporary(buf *out, const char *repo);
/* fsync of a folder; best effort. */
void cache_sync_folder(const char *folder);

/* ---- locks ----------------------------------------------------------------------------------- */

typedef struct cache_lock {
    int fd; /* -1: not held */
} cache_lock;

/* Takes <cache>/.locks/<repo_name>/<etag>.lock, waiting for others (a line to log each 10 s) until
 * cancel is set or deadline_ns (0: none) has passed. A file system without flock gives an
 * unlocked lock: that is no error. Fails CANCELLED, TIMEOUT, ACCESS, IO */
mlxe_status cache_lock_take(const char *cache, const char *repo_name, strv etag,
                            const atomic_int *cancel, int64_t deadline_ns, const log_sink *log,
                            cache_lock *out, mlxe_error *err);
/* The same of a lock file anywhere; its folder and the one above it are made. */
mlxe_status cache_lock_take_at(const char *path, const atomic_int *cancel, int64_t deadline_ns,
                               const log_sink *log, cache_lock *out, mlxe_error *err);
/* cache_lock_take without waiting: STATE when somebody holds it. */
mlxe_status cache_lock_try(const char *cache, const char *repo_name, strv etag, cache_lock *out,
                           mlxe_error *err);
void cache_lock_release(cache_lock *lock);

#endif
