/* cache_list.c: what is in the cache, as one JSON object.
 *
 * A repository's bytes are those of its blobs, each counted once however many revisions show it,
 * and of plain files where there are no links; partial files count too: they are on the disk. */
#define _XOPEN_SOURCE 700
#include "hub/cache_keep.h"

#include "base/fs.h"
#include "base/json.h"

#include <inttypes.h>
#include <sys/stat.h>

typedef struct listing {
    const char *cache;
    buf *out;
    /* of the repository at hand */
    const char *repo;
    uint64_t bytes, files;
    size_t n;
} listing;

static mlxe_status add_blob(void *user, const char *name, mlxe_error *err)
{
    listing *l = user;
    buf path = {0};
    struct stat info;
    (void)err;
    if (!stat(cache_blob_path(&path, l->repo, strv_of(name)), &info) && S_ISREG(info.st_mode))
        l->bytes += (uint64_t)info.st_size;
    buf_deinit(&path);
    return MLXE_OK;
}

static mlxe_status add_file(void *user, const kept_file *file, mlxe_error *err)
{
    listing *l = user;
    (void)err;
    if (file->kind == CACHE_PLAIN) l->bytes += file->bytes;
    if (file->kind == CACHE_PLAIN || file->kind == CACHE_LINKED) l->files++;
    return MLXE_OK;
}

static mlxe_status add_commit(void *user, const char *commit, mlxe_error *err)
{
    listing *l = user;
    if (l->n++) buf_add_char(l->out, ',');
    buf_addf(l->out, "\"%s\"", commit);
    return walk_files(l->cache, l->repo, commit, add_file, l, err);
}

static mlxe_status add_ref(void *user, const char *name, const char *commit, mlxe_error *err)
{
    listing *l = user;
    (void)err;
    if (l->n++) buf_add_char(l->out, ',');
    json_write_str(l->out, strv_of(name));
    buf_addf(l->out, ":\"%s\"", commit);
    return MLXE_OK;
}

static mlxe_status add_repo(void *user, const kept_repo *repo, mlxe_error *err)
{
    static const char *const TYPES[] = {"model", "dataset", "space"};
    listing *l = user;
    mlxe_status rc;
    l->repo = repo->path;
    l->bytes = l->files = 0;
    if (l->out->p[l->out->n - 1] != '[') buf_add_char(l->out, ',');
    buf_addf(l->out, "{\"id\":\"%s\",\"type\":\"%s\",\"revisions\":[", repo->id, TYPES[repo->type]);
    l->n = 0;
    if ((rc = walk_commits(repo->path, add_commit, l, err))) return rc;
    buf_add_str(l->out, "],\"refs\":{");
    l->n = 0;
    if ((rc = walk_refs(repo->path, add_ref, l, err))) return rc;
    if ((rc = walk_names(repo->path, "blobs", add_blob, l, err))) return rc;
    buf_addf(l->out, "},\"bytes\":%" PRIu64 ",\"files\":%" PRIu64 ",\"path\":", l->bytes, l->files);
    json_write_str(l->out, strv_of(repo->path));
    buf_add_char(l->out, '}');
    return buf_ok(l->out) ? MLXE_OK : err_memory(err, "list", l->out->n);
}

mlxe_status keep_list(const char *cache, buf *out, mlxe_error *err)
{
    listing l = {.cache = cache, .out = out};
    buf_add_str(out, "{\"models\":[");
    if (!buf_ok(out)) return err_memory(err, "list", 0);
    mlxe_status rc = walk_repos(cache, add_repo, &l, err);
    buf_add_str(out, "]}");
    if (!rc && !buf_ok(out)) rc = err_memory(err, "list", out->n);
    return rc;
}
