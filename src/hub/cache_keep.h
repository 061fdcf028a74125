/* cache_keep.h: upkeep of the cache: what is in it, whether it is whole, what may go.
 *
 *   walk    repositories, revisions, files, blobs (cache_walk.c)
 *   keep    list, remove, verify, gc: each gives one JSON object
 *
 * Nothing here needs the network but a repair. What another process works on is left alone: a blob
 * goes only while its lock is ours, and Python takes the same locks. Links are never followed while
 * removing. Thread any: no state but the disk. */
#ifndef HUB_CACHE_KEEP_H
#define HUB_CACHE_KEEP_H

#include "hub/cache.h"
#include "hub/hub.h"

/* ---- walking --------------------------------------------------------------------------------- */

typedef struct kept_repo {
    hub_type type;
    const char *id;   /* "ns/name" */
    const char *name; /* "models--ns--name" */
    const char *path;
} kept_repo;

/* Each repository of the cache, by name; an error of fn ends it and is given back. */
typedef mlxe_status (*walk_repo_fn)(void *user, const kept_repo *repo, mlxe_error *err);
mlxe_status walk_repos(const char *cache, walk_repo_fn fn, void *user, mlxe_error *err);

/* Each snapshot of a repository, by commit. */
typedef mlxe_status (*walk_commit_fn)(void *user, const char *commit, mlxe_error *err);
mlxe_status walk_commits(const char *repo, walk_commit_fn fn, void *user, mlxe_error *err);

/* A file of a snapshot. */
typedef struct kept_file {
    strv path; /* in the repository; NUL-terminated */
    cache_entry_kind kind;
    strv etag;      /* of a linked one; also of a link whose blob is gone */
    uint64_t bytes; /* of a linked or plain one */
} kept_file;

typedef mlxe_status (*walk_file_fn)(void *user, const kept_file *file, mlxe_error *err);
mlxe_status walk_files(const char *cache, const char *repo, const char *commit, walk_file_fn fn,
                       void *user, mlxe_error *err);

/* Names in a folder below repo ("blobs"), by name; none when there is no such folder. */
typedef mlxe_status (*walk_name_fn)(void *user, const char *name, mlxe_error *err);
mlxe_status walk_names(const char *repo, const char *folder, walk_name_fn fn, void *user,
                       mlxe_error *err);

/* Each ref with its commit: "main", "refs/pr/1". */
typedef mlxe_status (*walk_ref_fn)(void *user, const char *name, const char *commit,
                                   mlxe_error *err);
mlxe_status walk_refs(const char *repo, walk_ref_fn fn, void *user, mlxe_error *err);

/* A set of texts, for counting blobs once. Zero-initialise. */
typedef struct name_set {
    char **slots; /* NULL: free */
    size_t n, cap;
} name_set;
/* 1: was added; 0: was there; -1: no memory */
int name_set_add(name_set *set, strv text);
int name_set_has(const name_set *set, strv text);
void name_set_deinit(name_set *set);

/* ---- keeping --------------------------------------------------------------------------------- */

/* {"models":[{"id","type","bytes","revisions":[..],"refs":{..},"files":N,"path"}]}, appended.
 * bytes: of the blobs, each once. Fails IO, MEMORY; an absent cache is an empty one */
mlxe_status keep_list(const char *cache, buf *out, mlxe_error *err);

/* Removes a repository, or one revision (a ref's name or a commit) of it:
 * {"removed":[..],"bytes":N} with paths relative to the cache; blobs that other revisions show
 * stay. Fails NOT_FOUND, ACCESS, IO, MEMORY */
mlxe_status keep_remove(const char *cache, hub_type type, const char *id, const char *revision,
                        buf *out, mlxe_error *err);

/* Hashes every file of a repository, or of one revision (NULL: all):
 * {"ok","checked","bytes","unverifiable","bad":[{"path","revision","problem"}],"repaired":[..]}.
 * h: fetches what is bad anew; NULL: nothing is fetched. A verdict is no failure: *good tells.
 * Fails NOT_FOUND, IO, CANCELLED, MEMORY; with h as hub_file */
mlxe_status keep_verify(const char *cache, hub_type type, const char *id, const char *revision,
                        hub *h, const hub_watch *watch, int *good, buf *out, mlxe_error *err);

typedef enum keep_gc_how { KEEP_GC_REMOVE, KEEP_GC_DRY_RUN } keep_gc_how;
/* Removes blobs that no snapshot shows, partial files that nobody touched for a day, and what
 * crashes left: {"removed":[..],"bytes":N,"dry_run":bool}. Fails IO, MEMORY */
mlxe_status keep_gc(const char *cache, keep_gc_how how, buf *out, mlxe_error *err);

/* Removes a folder below the cache with all in it, following no link; best effort. */
void keep_remove_tree(const char *cache, const char *relative);

#endif
