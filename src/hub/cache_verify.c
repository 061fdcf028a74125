/* cache_verify.c: does every file of the cache hold what its name says.
 *
 *   snapshots/<commit>/<path> -> blobs/<etag> -> hash == etag ?      each blob read once
 *   a plain file (no links)   -> its hash in trees/<commit>.json ?
 *
 * Nothing is changed but by a repair, which fetches a file anew beside the bad one and puts it in
 * place by rename, as every download does. A file whose name is no hash, or that no listing knows,
 * is counted as unverifiable and is not bad.
 *
 * Traps: one blob may be shown by many revisions: each path is told, the bytes are read once. */
#define _XOPEN_SOURCE 700
#include "hub/cache_keep.h"

#include "base/fs.h"
#include "base/json.h"
#include "base/thread.h"
#include "hub/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct bad_file {
    char commit[HUB_COMMIT_CHARS + 1];
    char *path;
    const char *problem;
} bad_file;

typedef struct verifying {
    const char *cache, *repo;
    const char *only; /* a commit, or NULL: all */
    const char *commit;
    const hub_watch *watch;
    hub_tree tree; /* of the commit at hand; empty when none is stored */
    name_set good, bad, counted;
    bad_file *list;
    size_t n_bad, cap;
    uint64_t checked, unverifiable, bytes, total_bytes;
} verifying;

static mlxe_status add_bad(verifying *v, const char *path, const char *problem, mlxe_error *err)
{
    if (v->n_bad == v->cap) {
        size_t cap = v->cap ? v->cap * 2 : 16;
        bad_file *grown = realloc(v->list, cap * sizeof *grown);
        if (!grown) return err_memory(err, "verify", cap * sizeof *grown);
        v->list = grown;
        v->cap = cap;
    }
    bad_file *b = &v->list[v->n_bad];
    *b = (bad_file){.path = strdup(path), .problem = problem};
    snprintf(b->commit, sizeof b->commit, "%s", v->commit);
    if (!b->path) return err_memory(err, "verify", strlen(path));
    v->n_bad++;
    return MLXE_OK;
}

/* ---- one file -------------------------------------------------------------------------------- */

static void show(const verifying *v, const char *path)
{
    hub_progress p = {
        .text = path, .done_bytes = v->bytes, .total_bytes = v->total_bytes, .left_s = -1};
    if (v->watch && v->watch->progress) v->watch->progress(v->watch->user, &p);
}

/* What is wrong with a file's content, or NULL. */
static mlxe_status look(verifying *v, const char *file, strv etag, const hub_entry *entry,
                        const char **problem, mlxe_error *err)
{
    hub_verdict verdict = HUB_HASH_UNKNOWN;
    uint64_t bytes = 0;
    mlxe_status rc =
        hub_hash_file(file, etag, v->watch ? v->watch->cancel : NULL, &verdict, &bytes, err);
    *problem = NULL;
    if (rc == MLXE_E_CANCELLED || rc == MLXE_E_MEMORY) return rc;
    if (rc)
        *problem = "cannot be read";
    else if (entry && entry->size != bytes)
        *problem = bytes < entry->size ? "is shorter than listed" : "is longer than listed";
    else if (verdict == HUB_HASH_BAD)
        *problem = "has another hash";
    else if (verdict == HUB_HASH_UNKNOWN)
        v->unverifiable++;
    v->bytes += bytes;
    return MLXE_OK;
}

static mlxe_status linked(verifying *v, const kept_file *file, mlxe_error *err)
{
    buf path = {0};
    const char *problem = NULL;
    mlxe_status rc = MLXE_OK;
    if (name_set_has(&v->bad, file->etag)) return add_bad(v, file->path.p, "has another hash", err);
    if (name_set_has(&v->good, file->etag)) return MLXE_OK;
    rc = look(v, cache_blob_path(&path, v->repo, file->etag), file->etag,
              hub_tree_find(&v->tree, file->path), &problem, err);
    buf_deinit(&path);
    if (!rc && name_set_add(problem ? &v->bad : &v->good, file->etag) < 0)
        rc = err_memory(err, "verify", 0);
    if (!rc && problem) rc = add_bad(v, file->path.p, problem, err);
    return rc;
}

static mlxe_status plain(verifying *v, const kept_file *file, mlxe_error *err)
{
    const hub_entry *entry = hub_tree_find(&v->tree, file->path);
    const char *problem = NULL;
    buf path = {0};
    mlxe_status rc;
    if (!entry) {
        v->unverifiable++;
        return MLXE_OK;
    }
    rc = look(v, cache_entry_path(&path, v->repo, strv_of(v->commit), file->path),
              hub_entry_etag(entry), entry, &problem, err);
    buf_deinit(&path);
    return !rc && problem ? add_bad(v, file->path.p, problem, err) : rc;
}

static mlxe_status one_file(void *user, const kept_file *file, mlxe_error *err)
{
    verifying *v = user;
    if (v->watch && v->watch->cancel && atomic_load(v->watch->cancel))
        return err_set(err, MLXE_E_CANCELLED, "verify: cancelled");
    if (v->watch && v->watch->deadline_ns && clock_ns() > v->watch->deadline_ns)
        return err_set(err, MLXE_E_TIMEOUT, "verify: the time is over");
    v->checked++;
    show(v, file->path.p);
    switch (file->kind) {
    case CACHE_LINKED:
        return linked(v, file, err);
    case CACHE_PLAIN:
        return plain(v, file, err);
    case CACHE_ABSENT:
        return add_bad(v, file->path.p, "is missing: its link leads nowhere", err);
    default:
        return add_bad(v, file->path.p, "is a link out of the repository", err);
    }
}

/* ---- all files ------------------------------------------------------------------------------- */

static mlxe_status count_file(void *user, const kept_file *file, mlxe_error *err)
{
    verifying *v = user;
    int added = file->kind == CACHE_LINKED ? name_set_add(&v->counted, file->etag) : 1;
    if (added < 0) return err_memory(err, "verify", 0);
    if (added && (file->kind == CACHE_LINKED || file->kind == CACHE_PLAIN))
        v->total_bytes += file->bytes;
    return MLXE_OK;
}

static mlxe_status count_commit(void *user, const char *commit, mlxe_error *err)
{
    verifying *v = user;
    if (v->only && strcmp(v->only, commit) != 0) return MLXE_OK;
    return walk_files(v->cache, v->repo, commit, count_file, v, err);
}

static mlxe_status one_commit(void *user, const char *commit, mlxe_error *err)
{
    verifying *v = user;
    buf file = {0};
    if (v->only && strcmp(v->only, commit) != 0) return MLXE_OK;
    v->commit = commit;
    if (hub_tree_load(cache_tree_path(&file, v->repo, strv_of(commit)), &v->tree, NULL))
        v->tree = (hub_tree){0};
    mlxe_status rc = walk_files(v->cache, v->repo, commit, one_file, v, err);
    hub_tree_deinit(&v->tree);
    buf_deinit(&file);
    return rc;
}

static mlxe_status verify_all(verifying *v, mlxe_error *err)
{
    mlxe_status rc = walk_commits(v->repo, count_commit, v, err);
    return rc ? rc : walk_commits(v->repo, one_commit, v, err);
}

static void verifying_deinit(verifying *v)
{
    for (size_t i = 0; i < v->n_bad; i++)
        free(v->list[i].path);
    free(v->list);
    name_set_deinit(&v->good);
    name_set_deinit(&v->bad);
    name_set_deinit(&v->counted);
}

/* ---- repair ---------------------------------------------------------------------------------- */

static mlxe_status repair(hub *h, hub_type type, const char *id, const verifying *v,
                          mlxe_error *err)
{
    name_set done = {0};
    mlxe_status rc = MLXE_OK;
    for (size_t i = 0; i < v->n_bad && !rc; i++) {
        const bad_file *b = &v->list[i];
        hub_repo repo = {type, id, b->commit};
        hub_want want = {.force = 1};
        hub_got got;
        buf path = {0}, etag = {0};
        /* The blob that another path showed is whole again already. */
        cache_entry_look(v->cache, v->repo, strv_of(b->commit), strv_of(b->path), &etag, NULL);
        if (!etag.n || !name_set_has(&done, buf_view(&etag)))
            rc = hub_file(h, &repo, b->path, &want, v->watch, &path, &got, err);
        if (!rc && etag.n && name_set_add(&done, buf_view(&etag)) < 0)
            rc = err_memory(err, "repair", 0);
        buf_deinit(&path);
        buf_deinit(&etag);
    }
    name_set_deinit(&done);
    return rc;
}

/* ---- verify ---------------------------------------------------------------------------------- */

static void write_result(const verifying *v, const verifying *before, buf *out)
{
    buf_addf(out,
             "{\"ok\":%s,\"checked\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"unverifiable\":%" PRIu64
             ",\"bad\":[",
             v->n_bad ? "false" : "true", v->checked, v->bytes, v->unverifiable);
    for (size_t i = 0; i < v->n_bad; i++) {
        if (i) buf_add_char(out, ',');
        buf_add_str(out, "{\"path\":");
        json_write_str(out, strv_of(v->list[i].path));
        buf_addf(out, ",\"revision\":\"%s\",\"problem\":\"%s\"}", v->list[i].commit,
                 v->list[i].problem);
    }
    buf_add_str(out, "],\"repaired\":[");
    for (size_t i = 0; before && i < before->n_bad; i++) {
        if (i) buf_add_char(out, ',');
        json_write_str(out, strv_of(before->list[i].path));
    }
    buf_add_str(out, "]}");
}

mlxe_status keep_verify(const char *cache, hub_type type, const char *id, const char *revision,
                        hub *h, const hub_watch *watch, int *good, buf *out, mlxe_error *err)
{
    char commit[HUB_COMMIT_CHARS + 1] = "";
    buf path = {0}, snapshot = {0};
    verifying first = {.cache = cache, .watch = watch}, second = first;
    mlxe_status rc = hub_id_check(strv_of(id), err);
    *good = 0;
    if (rc) return rc;
    first.repo = second.repo = cache_repo_path(&path, cache, type, strv_of(id));
    if (!rc && revision) rc = hub_revision_check(strv_of(revision), err);
    if (!rc && revision && !cache_ref_read(first.repo, strv_of(revision), commit, NULL))
        first.only = second.only = commit;
    if (!rc &&
        (!fs_is_dir(first.repo) || (revision && !*commit) ||
         (*commit && !fs_is_dir(cache_snapshot_path(&snapshot, first.repo, strv_of(commit))))))
        rc = err_set(err, MLXE_E_NOT_FOUND, "%s%s%s: not in the cache", id, revision ? "@" : "",
                     revision ? revision : "");
    if (!rc) rc = verify_all(&first, err);
    if (!rc && h && first.n_bad) {
        rc = repair(h, type, id, &first, err);
        if (!rc) rc = verify_all(&second, err);
        if (!rc) {
            *good = second.n_bad == 0;
            write_result(&second, &first, out);
        }
    } else if (!rc) {
        *good = first.n_bad == 0;
        write_result(&first, NULL, out);
    }
    verifying_deinit(&first);
    verifying_deinit(&second);
    buf_deinit(&path);
    buf_deinit(&snapshot);
    return rc;
}
