/* cache_remove.c: taking things out of the cache: a repository, a revision, blobs that nothing
 * shows.
 *
 *   snapshots, then refs, then blobs       a reader never finds a link to nothing of ours for long,
 *                                          and a crash in between leaves only what gc collects
 *
 * A blob goes only while its lock is ours and after a look, under the lock, that no snapshot shows
 * it: who downloads holds the lock until its link is made. A blob whose lock somebody holds stays.
 * Lock files stay: removing one while another waits for it would give two owners.
 *
 * Source: the order of deletion of huggingface_hub's scan_cache_dir. */
#define _XOPEN_SOURCE 700
#include "hub/cache_keep.h"

#include "base/fs.h"
#include "base/json.h"
#include "hub/cache_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { GARBAGE_S = 24 * 3600, MAX_DEPTH = 64, BATCH = 128 };

static int ends_in(const char *name, const char *tail)
{
    return strv_ends(strv_of(name), strv_of(tail));
}

/* ---- files and folders ----------------------------------------------------------------------- */

/* Empties and removes the folder name below fd. */
static void remove_below(int fd, const char *name, int depth)
{
    const struct dirent *e;
    int below = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int copy = below >= 0 ? fcntl(below, F_DUPFD_CLOEXEC, 0) : -1;
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    while (dir && (e = readdir(dir))) {
        struct stat info;
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        if (fstatat(below, e->d_name, &info, AT_SYMLINK_NOFOLLOW)) continue;
        if (S_ISDIR(info.st_mode) && depth < MAX_DEPTH)
            remove_below(below, e->d_name, depth + 1);
        else
            unlinkat(below, e->d_name, 0);
    }
    if (dir)
        closedir(dir);
    else if (copy >= 0)
        close(copy);
    if (below >= 0) close(below);
    unlinkat(fd, name, AT_REMOVEDIR);
}

void keep_remove_tree(const char *cache, const char *relative)
{
    const char *slash = strrchr(relative, '/');
    int fd = cache_dir_open(cache, strv_from(relative, slash ? (size_t)(slash - relative) : 0),
                            CACHE_DIR_OPEN);
    if (fd < 0) return;
    remove_below(fd, slash ? slash + 1 : relative, 0);
    close(fd);
}

/* ---- what is removed, told ------------------------------------------------------------------- */

/* A blob that no snapshot showed when the walk began; its lock is ours. */
typedef struct candidate {
    char *name;
    struct stat info;
    cache_lock lock;
} candidate;

typedef struct removal {
    const char *cache;
    kept_repo repo;
    const char *commit; /* the one that goes; NULL: all */
    int dry_run;
    buf *out;
    uint64_t bytes;
    size_t n;
    name_set used;   /* blobs that stay */
    name_set stores; /* files of the shared Xet store that some blob is a link to */
    const char *store_folder;
    int others; /* revisions that stay */
    candidate batch[BATCH];
    size_t n_batch;
} removal;

static void told(removal *r, const char *folder, const char *name, uint64_t bytes)
{
    buf path = {0};
    buf_addf(&path, "%s%s%s%s%s", r->repo.name ? r->repo.name : "", r->repo.name ? "/" : "", folder,
             *name && *folder ? "/" : "", name);
    if (r->n++) buf_add_char(r->out, ',');
    json_write_str(r->out, buf_view(&path));
    r->bytes += bytes;
    buf_deinit(&path);
}

static mlxe_status note_file(void *user, const kept_file *file, mlxe_error *err)
{
    removal *r = user;
    if (file->etag.n && name_set_add(&r->used, file->etag) < 0)
        return err_memory(err, "list of blobs", file->etag.n);
    return MLXE_OK;
}

/* Blobs of every revision but the one that goes. */
static mlxe_status note_commit(void *user, const char *commit, mlxe_error *err)
{
    removal *r = user;
    if (r->commit && strcmp(commit, r->commit) == 0) return MLXE_OK;
    r->others = 1;
    return walk_files(r->cache, r->repo.path, commit, note_file, r, err);
}

/* The etag of "<etag>.<8hex>.incomplete" and "<etag>.incomplete", or of a blob. */
static strv lock_name(const char *name)
{
    strv n = strv_of(name);
    if (!ends_in(name, ".incomplete")) return n;
    n.n -= strlen(".incomplete");
    if (n.n > 9 && n.p[n.n - 9] == '.' && hub_is_hex(strv_from(n.p + n.n - 8, 8), 8)) n.n -= 9;
    return n;
}

static void unlink_blob(removal *r, const char *name, const struct stat *info)
{
    int blobs = cache_dir_open(r->repo.path, STRV("blobs"), CACHE_DIR_OPEN);
    int gone = blobs >= 0 && (r->dry_run || !unlinkat(blobs, name, 0));
    /* A link into the shared store frees nothing by itself. */
    if (gone) told(r, "blobs", name, S_ISREG(info->st_mode) ? (uint64_t)info->st_size : 0);
    if (blobs >= 0) close(blobs);
}

/* A partial file that somebody writes to is locked itself. */
static int partial_is_idle(const char *path)
{
    int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    int idle = fd >= 0 && (!flock(fd, LOCK_EX | LOCK_NB) || errno != EWOULDBLOCK);
    if (fd >= 0) close(fd);
    return idle;
}

/* Looks once more, under the locks of all candidates, and removes those that still nothing shows:
 * somebody may have shown one between the walk and its lock. One walk for BATCH blobs. */
static mlxe_status batch_end(removal *r, mlxe_status rc, mlxe_error *err)
{
    if (!rc && r->n_batch) rc = walk_commits(r->repo.path, note_commit, r, err);
    for (size_t i = 0; i < r->n_batch; i++) {
        candidate *c = &r->batch[i];
        if (!rc && !name_set_has(&r->used, strv_of(c->name))) unlink_blob(r, c->name, &c->info);
        cache_lock_release(&c->lock);
        free(c->name);
    }
    r->n_batch = 0;
    return rc;
}

static mlxe_status maybe_blob(void *user, const char *name, mlxe_error *err)
{
    removal *r = user;
    buf path = {0};
    struct stat info;
    cache_lock lock;
    strv etag = lock_name(name);
    int partial = ends_in(name, ".incomplete");
    mlxe_status rc = MLXE_OK;
    if ((!partial && name_set_has(&r->used, etag)) || !hub_etag_usable(etag)) return MLXE_OK;
    cache_blob_path(&path, r->repo.path, strv_of(name));
    if (!buf_ok(&path)) return err_memory(err, name, 0);
    if (lstat(buf_str(&path), &info) || S_ISDIR(info.st_mode)) goto out;
    if (partial && r->others && time(NULL) - info.st_mtime < GARBAGE_S) goto out;
    if (r->dry_run) {
        if (!partial || partial_is_idle(buf_str(&path))) unlink_blob(r, name, &info);
        goto out;
    }
    /* A partial file follows its blob in the walk, whose lock may be ours then. */
    if (partial && r->n_batch && (rc = batch_end(r, MLXE_OK, err))) goto out;
    if (cache_lock_try(r->cache, r->repo.name, etag, &lock, NULL)) goto out; /* in use: it stays */
    if (partial) {
        if (partial_is_idle(buf_str(&path))) unlink_blob(r, name, &info);
        cache_lock_release(&lock);
    } else {
        candidate *c = &r->batch[r->n_batch];
        *c = (candidate){strdup(name), info, lock};
        if (c->name) {
            r->n_batch++;
        } else {
            cache_lock_release(&lock);
            rc = err_memory(err, name, 0);
        }
        if (!rc && r->n_batch == BATCH) rc = batch_end(r, MLXE_OK, err);
    }
out:
    buf_deinit(&path);
    return rc;
}

static mlxe_status blobs_remove(removal *r, mlxe_error *err)
{
    return batch_end(r, walk_names(r->repo.path, "blobs", maybe_blob, r, err), err);
}

/* Sidecars and temporary names that a crash left. */
static mlxe_status maybe_temporary(void *user, const char *name, mlxe_error *err)
{
    removal *r = user;
    buf path = {0}, blob = {0};
    struct stat info;
    const char *dot = strrchr(name, '.');
    (void)err;
    buf_addf(&path, "%s/.partial/%s", r->repo.path, name);
    if (dot && ends_in(name, ".incomplete.json")) buf_add(&blob, name, (size_t)(dot - name));
    if (dot && ends_in(name, ".incomplete.map")) buf_add(&blob, name, (size_t)(dot - name));
    int orphan = 1;
    if (blob.n) {
        buf full = {0};
        cache_blob_path(&full, r->repo.path, buf_view(&blob));
        orphan = !fs_exists(buf_str(&full));
        buf_deinit(&full);
    }
    if (buf_ok(&path) && !lstat(buf_str(&path), &info) && S_ISREG(info.st_mode) && orphan &&
        time(NULL) - info.st_mtime > GARBAGE_S && (r->dry_run || !unlink(buf_str(&path))))
        told(r, ".partial", name, (uint64_t)info.st_size);
    buf_deinit(&path);
    buf_deinit(&blob);
    return MLXE_OK;
}

/* ---- rm -------------------------------------------------------------------------------------- */

static mlxe_status remove_ref(void *user, const char *name, const char *commit, mlxe_error *err)
{
    removal *r = user;
    buf relative = {0};
    (void)err;
    if (r->commit && strcmp(commit, r->commit) != 0) return MLXE_OK;
    buf_addf(&relative, "refs/%s", name);
    const char *slash = strrchr(buf_str(&relative), '/');
    int fd = cache_dir_open(r->repo.path,
                            strv_from(buf_str(&relative), (size_t)(slash - buf_str(&relative))),
                            CACHE_DIR_OPEN);
    if (fd >= 0 && !unlinkat(fd, slash + 1, 0)) told(r, "refs", name, 0);
    if (fd >= 0) close(fd);
    buf_deinit(&relative);
    return MLXE_OK;
}

static mlxe_status count_plain(void *user, const kept_file *file, mlxe_error *err)
{
    uint64_t *bytes = user;
    (void)err;
    if (file->kind == CACHE_PLAIN) *bytes += file->bytes;
    return MLXE_OK;
}

static mlxe_status remove_commit(void *user, const char *commit, mlxe_error *err)
{
    removal *r = user;
    buf relative = {0};
    uint64_t bytes = 0;
    if (r->commit && strcmp(commit, r->commit) != 0) return MLXE_OK;
    mlxe_status rc = walk_files(r->cache, r->repo.path, commit, count_plain, &bytes, err);
    buf_addf(&relative, "snapshots/%s", commit);
    if (!rc) {
        keep_remove_tree(r->repo.path, buf_str(&relative));
        buf path = {0};
        if (fs_exists(cache_snapshot_path(&path, r->repo.path, strv_of(commit))))
            rc = cache_io_error(buf_str(&path), "remove", EACCES, err);
        buf_deinit(&path);
    }
    if (!rc) told(r, "snapshots", commit, bytes);
    buf_clear(&relative);
    buf_addf(&relative, ".no_exist/%s", commit);
    if (!rc) keep_remove_tree(r->repo.path, buf_str(&relative));
    buf_clear(&relative);
    buf_addf(&relative, "%s/trees/%s.json", r->repo.path, commit);
    if (!rc) unlink(buf_str(&relative));
    buf_deinit(&relative);
    return rc;
}

/* The commit that goes, or "" for all. */
static mlxe_status find_commit(const char *repo, const char *id, const char *revision,
                               char commit[HUB_COMMIT_CHARS + 1], mlxe_error *err)
{
    buf path = {0};
    mlxe_status rc = MLXE_OK;
    commit[0] = 0;
    if (!revision) return MLXE_OK;
    rc = hub_revision_check(strv_of(revision), err);
    if (!rc) rc = cache_ref_read(repo, strv_of(revision), commit, NULL);
    if (rc == MLXE_E_NOT_FOUND ||
        (!rc && !fs_is_dir(cache_snapshot_path(&path, repo, strv_of(commit)))))
        rc = err_set(err, MLXE_E_NOT_FOUND, "%s@%s: not in the cache", id, revision);
    buf_deinit(&path);
    return rc;
}

static void finish(removal *r, const char *more)
{
    buf_addf(r->out, "],\"bytes\":%" PRIu64 "%s}", r->bytes, more);
}

mlxe_status keep_remove(const char *cache, hub_type type, const char *id, const char *revision,
                        buf *out, mlxe_error *err)
{
    char commit[HUB_COMMIT_CHARS + 1] = "";
    buf path = {0}, name = {0};
    removal r = {.cache = cache, .out = out};
    mlxe_status rc = hub_id_check(strv_of(id), err);
    if (rc) return rc;
    cache_repo_name(&name, type, strv_of(id));
    r.repo =
        (kept_repo){type, id, buf_str(&name), cache_repo_path(&path, cache, type, strv_of(id))};
    if (!fs_is_dir(r.repo.path))
        rc = err_set(err, MLXE_E_NOT_FOUND, "%s: not in the cache", id);
    else
        rc = find_commit(r.repo.path, id, revision, commit, err);
    if (rc) goto out;
    if (*commit) r.commit = commit;
    buf_add_str(out, "{\"removed\":[");
    rc = walk_commits(r.repo.path, remove_commit, &r, err);
    if (!rc) rc = walk_refs(r.repo.path, remove_ref, &r, err);
    r.commit = NULL; /* what is there now stays */
    r.others = 0;
    if (!rc) rc = walk_commits(r.repo.path, note_commit, &r, err);
    if (!rc) rc = blobs_remove(&r, err);
    if (!rc && !r.others) {
        /* Nothing is left but empty folders, unless somebody downloads: then blobs/ is not empty.
         * */
        static const char *const FOLDERS[] = {"refs", "snapshots", ".no_exist", "trees"};
        for (size_t i = 0; i < sizeof FOLDERS / sizeof *FOLDERS; i++)
            keep_remove_tree(r.repo.path, FOLDERS[i]);
        buf blobs = {0};
        if (!rmdir(fs_join(&blobs, r.repo.path, "blobs"))) {
            keep_remove_tree(r.repo.path, ".partial");
            rmdir(r.repo.path);
        }
        buf_deinit(&blobs);
    }
    finish(&r, "");
    if (!rc && !buf_ok(out)) rc = err_memory(err, "removed", out->n);
out:
    name_set_deinit(&r.used);
    buf_deinit(&path);
    buf_deinit(&name);
    return rc;
}

/* ---- gc -------------------------------------------------------------------------------------- */

/* Which files of the shared store a repository's blobs are links to. */
static mlxe_status note_store(void *user, const char *name, mlxe_error *err)
{
    removal *r = user;
    char target[4096];
    buf path = {0};
    ssize_t n =
        readlink(cache_blob_path(&path, r->repo.path, strv_of(name)), target, sizeof target - 1);
    buf_deinit(&path);
    if (n <= 0) return MLXE_OK;
    target[n] = 0;
    const char *slash = strrchr(target, '/');
    if (slash && name_set_add(&r->stores, strv_of(slash + 1)) < 0)
        return err_memory(err, "list of blobs", 0);
    return MLXE_OK;
}

static mlxe_status gc_repo(void *user, const kept_repo *repo, mlxe_error *err)
{
    removal *r = user;
    mlxe_status rc;
    r->repo = *repo;
    r->others = 0;
    name_set_deinit(&r->used);
    rc = walk_commits(repo->path, note_commit, r, err);
    r->others = 1; /* partial files keep their day, also where no revision is complete */
    if (!rc) rc = blobs_remove(r, err);
    if (!rc) rc = walk_names(repo->path, ".partial", maybe_temporary, r, err);
    if (!rc) rc = walk_names(repo->path, "blobs", note_store, r, err);
    return rc;
}

static mlxe_status maybe_store_file(void *user, const char *name, mlxe_error *err)
{
    removal *r = user;
    buf path = {0};
    struct stat info;
    (void)err;
    buf_addf(&path, "%s/%s/%s", r->cache, r->store_folder, name);
    if (buf_ok(&path) && !name_set_has(&r->stores, strv_of(name)) &&
        !lstat(buf_str(&path), &info) && S_ISREG(info.st_mode) &&
        time(NULL) - info.st_mtime > GARBAGE_S && (r->dry_run || !unlink(buf_str(&path))))
        told(r, r->store_folder, name, (uint64_t)info.st_size);
    buf_deinit(&path);
    return MLXE_OK;
}

/* Python's shared Xet store: <cache>/blobs/<2 hex>/<hash>. */
static mlxe_status gc_store(void *user, const char *name, mlxe_error *err)
{
    removal *r = user;
    char folder[16];
    if (!hub_is_hex(strv_of(name), 2)) return MLXE_OK;
    snprintf(folder, sizeof folder, "blobs/%s", name);
    r->store_folder = folder;
    return walk_names(r->cache, folder, maybe_store_file, r, err);
}

mlxe_status keep_gc(const char *cache, keep_gc_how how, buf *out, mlxe_error *err)
{
    removal r = {.cache = cache, .out = out, .dry_run = how == KEEP_GC_DRY_RUN};
    buf_add_str(out, "{\"removed\":[");
    mlxe_status rc = walk_repos(cache, gc_repo, &r, err);
    r.repo = (kept_repo){0};
    if (!rc && fs_is_dir(cache)) rc = walk_names(cache, "blobs", gc_store, &r, err);
    finish(&r, r.dry_run ? ",\"dry_run\":true" : ",\"dry_run\":false");
    if (!rc && !buf_ok(out)) rc = err_memory(err, "removed", out->n);
    name_set_deinit(&r.used);
    name_set_deinit(&r.stores);
    return rc;
}
