/* store.c: what lies in the root: repositories in the cache's layout and folders of plain files.
 *
 *   root/models--ns--name/snapshots/<commit>/<path> -> ../../blobs/<etag>       cache.h
 *   root/ns/name/<path>, root/datasets/ns/name/<path>                           plain.h
 *
 * Nothing is kept between calls: another process may write the cache meanwhile. A listing is given
 * only when it is complete: Python keeps a listing for ever under its commit, so a short one would
 * make its copy partial for ever.
 *
 * Traps: in a cache without links a snapshot holds plain files, whose ETag must be looked up in the
 * stored listing or computed. "blobs" in a root is Python's shared Xet store, not an organisation.
 * */
#define _XOPEN_SOURCE 700
#include "hub/cache.h"
#include "hub/mirror/plain.h"

#include "base/fs.h"
#include "base/json.h"
#include "base/thread.h"
#include "hub/hash.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MIN_SHORT_HASH = 7, MAX_REF_DEPTH = 8 };

/* ---- repositories --------------------------------------------------------------------------- */

static const char *plain_path(buf *out, const mirror *m, hub_type type, strv id)
{
    buf_clear(out);
    buf_addf(out, "%s/%s", m->root, hub_type_url_prefix(type));
    buf_add_strv(out, id);
    return buf_str(out);
}

int store_serves(const mirror *m, hub_type type, strv id)
{
    if (m->only.n_include && !globs_want(&m->only, id)) return 0;
    if (type == HUB_MODEL && (strv_starts(id, STRV("datasets/")) || strv_is(id, "datasets") ||
                              strv_starts(id, STRV("spaces/")) || strv_is(id, "spaces")))
        return 0;
    return !strv_is(id, "blobs") && !strv_starts(id, STRV("blobs/"));
}

mlxe_status store_repo(const mirror *m, hub_type type, strv id, mirror_repo *out, mlxe_error *err)
{
    buf path = {0}, inside = {0};
    *out = (mirror_repo){.type = type};
    if (hub_id_check(id, NULL) || id.n >= sizeof out->id || !store_serves(m, type, id)) goto out;
    cache_repo_path(&path, m->root, type, id);
    if (!fs_is_dir(fs_join(&inside, buf_str(&path), "snapshots"))) {
        out->is_plain = plain_has_files(plain_path(&path, m, type, id));
        if (!out->is_plain) goto out;
    }
    memcpy(out->id, id.p, id.n);
    out->path = buf_take(&path, NULL);
out:
    buf_deinit(&path);
    buf_deinit(&inside);
    if (out->path) return MLXE_OK;
    return err_set(err, MLXE_E_NOT_FOUND, "%.*s: no such repository",
                   (int)(id.n > 200 ? 200 : id.n), id.n ? id.p : "");
}

void store_repo_deinit(mirror_repo *repo)
{
    free(repo->path);
    repo->path = NULL;
}

typedef struct names {
    char **ids;
    size_t n, cap;
    int failed;
} names;

static void names_add(names *list, const char *id)
{
    if (list->n == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 64;
        char **grown = realloc(list->ids, cap * sizeof *grown);
        if (!grown) {
            list->failed = 1;
            return;
        }
        list->ids = grown;
        list->cap = cap;
    }
    if (!(list->ids[list->n] = strdup(id)))
        list->failed = 1;
    else
        list->n++;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names of the folders that may be repositories below folder; those of the cache's layout too at
 * the top. head: "" or "ns/". */
static void collect(hub_type type, const char *folder, const char *head, int take_plain,
                    names *list)
{
    buf id = {0}, path = {0};
    const struct dirent *item;
    DIR *dir = opendir(folder);
    while (dir && (item = readdir(dir))) {
        hub_type found;
        if (item->d_name[0] == '.') continue;
        if (!head[0] && cache_repo_parse(item->d_name, &found, &id)) {
            if (found == type) names_add(list, buf_str(&id));
            continue;
        }
        if (!take_plain) continue;
        buf_clear(&id);
        buf_addf(&id, "%s%s", head, item->d_name);
        if (hub_id_check(buf_view(&id), NULL) || !fs_is_dir(fs_join(&path, folder, item->d_name)))
            continue;
        names_add(list, buf_str(&id));
        buf_add_char(&id, '/');
        if (!head[0]) collect(type, buf_str(&path), buf_str(&id), 1, list);
    }
    if (dir) closedir(dir);
    buf_deinit(&id);
    buf_deinit(&path);
}

mlxe_status store_each(const mirror *m, hub_type type, store_repo_fn fn, void *user,
                       mlxe_error *err)
{
    names list = {0};
    buf folder = {0};
    int ended = 0;
    collect(type, m->root, "", type == HUB_MODEL, &list);
    fs_join(&folder, m->root, hub_type_plural(type));
    if (type != HUB_MODEL) collect(type, buf_str(&folder), "", 1, &list);
    buf_deinit(&folder);
    if (list.n) qsort(list.ids, list.n, sizeof *list.ids, by_name);
    for (size_t i = 0; i < list.n; i++) {
        mirror_repo repo;
        int again = i > 0 && strcmp(list.ids[i], list.ids[i - 1]) == 0;
        if (!ended && !again && !store_repo(m, type, strv_of(list.ids[i]), &repo, NULL)) {
            ended = fn(user, &repo);
            store_repo_deinit(&repo);
        }
    }
    for (size_t i = 0; i < list.n; i++)
        free(list.ids[i]);
    free(list.ids);
    return list.failed ? err_memory(err, "list of repositories", 0) : MLXE_OK;
}

int64_t store_time(const mirror_repo *repo)
{
    struct stat info;
    buf path = {0};
    int64_t seconds = 0;
    if (!stat(fs_join(&path, repo->path, repo->is_plain ? "." : "refs/main"), &info) ||
        !stat(repo->path, &info))
        seconds = (int64_t)info.st_mtim.tv_sec;
    buf_deinit(&path);
    return seconds;
}

/* ---- revisions ------------------------------------------------------------------------------ */

static int has_snapshot(const mirror_repo *repo, const char *commit)
{
    buf path = {0};
    int has = fs_is_dir(cache_snapshot_path(&path, repo->path, strv_of(commit)));
    buf_deinit(&path);
    return has;
}

/* The only snapshot whose name begins with prefix. -> 1: there is just one */
static int unique_snapshot(const mirror_repo *repo, strv prefix, char commit[HUB_COMMIT_CHARS + 1])
{
    buf path = {0};
    int found = 0;
    const struct dirent *item;
    DIR *dir = opendir(fs_join(&path, repo->path, "snapshots"));
    while (dir && (item = readdir(dir))) {
        strv name = strv_of(item->d_name);
        if (!hub_is_commit(name) || !strv_starts(name, prefix)) continue;
        memcpy(commit, item->d_name, HUB_COMMIT_CHARS + 1);
        found++;
    }
    if (dir) closedir(dir);
    buf_deinit(&path);
    return found == 1;
}

static int is_short_hash(strv revision)
{
    return revision.n >= MIN_SHORT_HASH && revision.n < HUB_COMMIT_CHARS &&
           hub_is_hex(revision, revision.n);
}

mlxe_status store_commit(const mirror *m, const mirror_repo *repo, strv revision,
                         char commit[HUB_COMMIT_CHARS + 1], mlxe_error *err)
{
    (void)m;
    mlxe_status rc = MLXE_OK;
    int found = 0;
    commit[0] = 0;
    if (!revision.n) revision = STRV("main");
    if (hub_revision_check(revision, NULL)) {
        found = 0;
    } else if (repo->is_plain) {
        plain_files files;
        rc = plain_list(repo->path, &files, err);
        if (!rc) rc = plain_commit(&files, commit, err);
        plain_deinit(&files);
        if (rc) return rc;
        found = strv_is(revision, "main") || strv_is(revision, commit) ||
                (is_short_hash(revision) && strv_starts(strv_of(commit), revision));
    } else if (!cache_ref_read(repo->path, revision, commit, NULL)) {
        found = has_snapshot(repo, commit);
    } else if (is_short_hash(revision)) {
        found = unique_snapshot(repo, revision, commit);
    }
    if (found) return MLXE_OK;
    return err_set(err, MLXE_E_NOT_FOUND, "%s: no such revision", repo->id);
}

static void collect_refs(const char *folder, const char *head, int depth, names *list)
{
    buf path = {0}, name = {0};
    const struct dirent *item;
    DIR *dir = opendir(folder);
    while (dir && (item = readdir(dir))) {
        if (item->d_name[0] == '.') continue;
        buf_clear(&name);
        buf_addf(&name, "%s%s", head, item->d_name);
        if (!fs_is_dir(fs_join(&path, folder, item->d_name))) {
            names_add(list, buf_str(&name));
        } else if (depth < MAX_REF_DEPTH) {
            buf_add_char(&name, '/');
            collect_refs(buf_str(&path), buf_str(&name), depth + 1, list);
        }
    }
    if (dir) closedir(dir);
    buf_deinit(&path);
    buf_deinit(&name);
}

mlxe_status store_refs(const mirror *m, const mirror_repo *repo, store_ref_fn fn, void *user,
                       mlxe_error *err)
{
    names list = {0};
    buf folder = {0};
    int ended = 0;
    if (repo->is_plain)
        names_add(&list, "main");
    else
        collect_refs(fs_join(&folder, repo->path, "refs"), "", 0, &list);
    if (list.n) qsort(list.ids, list.n, sizeof *list.ids, by_name);
    for (size_t i = 0; i < list.n; i++) {
        char commit[HUB_COMMIT_CHARS + 1];
        if (!ended && !store_commit(m, repo, strv_of(list.ids[i]), commit, NULL))
            ended = fn(user, list.ids[i], commit);
        free(list.ids[i]);
    }
    free(list.ids);
    buf_deinit(&folder);
    return list.failed ? err_memory(err, "list of refs", 0) : MLXE_OK;
}

/* ---- files ---------------------------------------------------------------------------------- */

/* The ETag of a plain file: sha256 when LFS would hold it, else git's sha1. */
static mlxe_status compute_etag(const mirror *m, const char *folder, const char *path,
                                const char *attributes, const struct stat *info, int wait_ms,
                                char etag[65], int *is_lfs, mlxe_error *err)
{
    buf whole = {0};
    *is_lfs = plain_is_lfs(attributes, path, (uint64_t)info->st_size);
    mlxe_status rc = hashes_get(m->hashes, fs_join(&whole, folder, path), info,
                                *is_lfs ? HASH_SHA256 : HASH_GIT_SHA1, wait_ms, etag, err);
    buf_deinit(&whole);
    return rc;
}

void store_file_deinit(store_file *file)
{
    if (file->fd >= 0) close(file->fd);
    file->fd = -1;
    buf_deinit(&file->path);
}

static mlxe_status open_plain(const mirror *m, const char *folder, const char *path,
                              store_file *out, mlxe_error *err)
{
    buf attributes = {0};
    int is_lfs;
    out->fd = plain_open(folder, path, &out->info);
    if (out->fd < 0) return err_set(err, MLXE_E_NOT_FOUND, "%s: no such file", path);
    plain_attributes(folder, &attributes);
    mlxe_status rc = compute_etag(m, folder, path, buf_str(&attributes), &out->info,
                                  m->hash_wait_ms, out->etag, &is_lfs, err);
    out->checked = 1;
    buf_deinit(&attributes);
    return rc;
}

/* A blob that an entry links to. */
static mlxe_status open_blob(const mirror *m, const mirror_repo *repo, strv etag, store_file *out,
                             mlxe_error *err)
{
    const char *path = cache_blob_path(&out->path, repo->path, etag);
    mlxe_status rc = MLXE_OK;
    snprintf(out->etag, sizeof out->etag, "%.*s", (int)etag.n, etag.p);
    out->fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (out->fd < 0 || fstat(out->fd, &out->info) || !S_ISREG(out->info.st_mode)) {
        rc = err_set(err, MLXE_E_NOT_FOUND, "%s: no such file", out->etag);
    } else {
        hash_state state = hashes_check(m->hashes, path, &out->info, out->etag, 0);
        out->checked = state == HASH_GOOD;
        if (state == HASH_BAD)
            rc = err_set(err, MLXE_E_CORRUPT, "%s: the content is not what its name says", path);
    }
    return rc;
}

/* A plain file in a snapshot of the cache: the listing knows its name. */
static mlxe_status open_unlinked(const mirror *m, const mirror_repo *repo, const char *commit,
                                 strv path, store_file *out, mlxe_error *err)
{
    buf folder = {0}, file = {0};
    hub_tree tree;
    mlxe_status rc;
    cache_snapshot_path(&folder, repo->path, strv_of(commit));
    rc = hub_tree_load(cache_tree_path(&file, repo->path, strv_of(commit)), &tree, NULL);
    const hub_entry *entry = rc ? NULL : hub_tree_find(&tree, path);
    if (entry) {
        strv etag = hub_entry_etag(entry);
        out->fd = plain_open(buf_str(&folder), path.p, &out->info);
        snprintf(out->etag, sizeof out->etag, "%.*s", (int)etag.n, etag.p);
        fs_join(&out->path, buf_str(&folder), path.p);
        rc = out->fd < 0 ? err_set(err, MLXE_E_NOT_FOUND, "%s: no such file", path.p) : MLXE_OK;
        hash_state state =
            rc ? HASH_UNKNOWN
               : hashes_check(m->hashes, buf_str(&out->path), &out->info, out->etag, 0);
        out->checked = state == HASH_GOOD;
        if (state == HASH_BAD)
            rc = err_set(err, MLXE_E_CORRUPT, "%s: the content is not what the listing says",
                         buf_str(&out->path));
    } else {
        rc = open_plain(m, buf_str(&folder), path.p, out, err);
    }
    hub_tree_deinit(&tree);
    buf_deinit(&folder);
    buf_deinit(&file);
    return rc;
}

mlxe_status store_open(const mirror *m, const mirror_repo *repo, const char *commit, strv path,
                       store_file *out, mlxe_error *err)
{
    buf etag = {0};
    mlxe_status rc;
    *out = (store_file){.fd = -1};
    if (hub_path_check(path, NULL)) {
        rc = err_set(err, MLXE_E_NOT_FOUND, "no such file");
    } else if (repo->is_plain) {
        rc = open_plain(m, repo->path, path.p, out, err);
    } else {
        switch (cache_entry_look(m->root, repo->path, strv_of(commit), path, &etag, NULL)) {
        case CACHE_LINKED:
            rc = open_blob(m, repo, buf_view(&etag), out, err);
            break;
        case CACHE_PLAIN:
            rc = open_unlinked(m, repo, commit, path, out, err);
            break;
        default:
            rc = err_set(err, MLXE_E_NOT_FOUND, "%s: no such file", path.p);
        }
    }
    if (rc) store_file_deinit(out);
    buf_deinit(&etag);
    return rc;
}

mlxe_status store_text(const mirror *m, const mirror_repo *repo, const char *commit,
                       const char *path, size_t limit, buf *out, mlxe_error *err)
{
    buf file = {0};
    struct stat info;
    int fd = -1;
    if (repo->is_plain) {
        fd = plain_open(repo->path, path, &info);
    } else {
        cache_entry_kind kind =
            cache_entry_look(m->root, repo->path, strv_of(commit), strv_of(path), NULL, NULL);
        if (kind == CACHE_LINKED || kind == CACHE_PLAIN)
            fd = open(cache_entry_path(&file, repo->path, strv_of(commit), strv_of(path)),
                      O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    }
    buf_deinit(&file);
    if (fd < 0) return err_set(err, MLXE_E_NOT_FOUND, "%s: no such file", path);
    while (limit > 0) {
        char *room = buf_reserve(out, limit);
        ssize_t n = room ? read(fd, room, limit) : 0;
        if (n <= 0) break;
        out->n += (size_t)n;
        room[n] = 0;
        limit -= (size_t)n;
    }
    close(fd);
    return buf_ok(out) ? MLXE_OK : err_memory(err, path, limit);
}

/* ---- listings ------------------------------------------------------------------------------- */

/* One file as the API's page tells it. */
static void add_entry(buf *page, const char *path, uint64_t bytes, const char *etag, int is_lfs)
{
    char oid[41] = "";
    size_t pointer;
    if (is_lfs) hub_pointer_sha1(strv_of(etag), bytes, oid, &pointer, NULL);
    buf_add_str(page,
                page->n > 1 ? ",{\"type\":\"file\",\"path\":" : "{\"type\":\"file\",\"path\":");
    json_write_str(page, strv_of(path));
    buf_add_str(page, ",\"size\":");
    json_write_uint(page, bytes);
    buf_addf(page, ",\"oid\":\"%s\"", is_lfs ? oid : etag);
    if (is_lfs) {
        buf_addf(page, ",\"lfs\":{\"oid\":\"%s\",\"size\":", etag);
        json_write_uint(page, bytes);
        buf_add_char(page, '}');
    }
    buf_add_char(page, '}');
}

static mlxe_status tree_of_folder(const mirror *m, const char *folder, hub_tree *out,
                                  mlxe_error *err)
{
    plain_files files;
    buf page = {0}, attributes = {0};
    int64_t end = clock_ns() + (int64_t)m->hash_wait_ms * 1000000;
    mlxe_status rc = plain_list(folder, &files, err);
    plain_attributes(folder, &attributes);
    buf_add_char(&page, '[');
    for (size_t i = 0; i < files.n && !rc; i++) {
        const plain_file *f = &files.files[i];
        char etag[65];
        int is_lfs = 0;
        int64_t left_ms = (end - clock_ns()) / 1000000;
        rc = compute_etag(m, folder, f->path, buf_str(&attributes), &f->info,
                          left_ms > 1 ? (int)left_ms : 1, etag, &is_lfs, err);
        if (!rc) add_entry(&page, f->path, (uint64_t)f->info.st_size, etag, is_lfs);
    }
    buf_add_char(&page, ']');
    if (!rc && !buf_ok(&page)) rc = err_memory(err, "listing", page.n);
    if (!rc) rc = hub_tree_add_page(out, folder, page.p, page.n, err);
    plain_deinit(&files);
    buf_deinit(&page);
    buf_deinit(&attributes);
    return rc;
}

/* Paths of everything below a snapshot's folder that may be a file. */
static void collect_paths(const char *folder, const char *head, int depth, names *list)
{
    buf path = {0}, name = {0};
    const struct dirent *item;
    DIR *dir = opendir(folder);
    while (dir && (item = readdir(dir))) {
        struct stat info;
        if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0) continue;
        buf_clear(&name);
        buf_addf(&name, "%s%s", head, item->d_name);
        if (lstat(fs_join(&path, folder, item->d_name), &info)) continue;
        if (S_ISDIR(info.st_mode) && depth < MAX_REF_DEPTH) {
            buf_add_char(&name, '/');
            collect_paths(buf_str(&path), buf_str(&name), depth + 1, list);
        } else {
            names_add(list, buf_str(&name));
        }
    }
    if (dir) closedir(dir);
    buf_deinit(&path);
    buf_deinit(&name);
}

/* A snapshot of links that is said to be whole: the blobs' names are the hashes. */
static mlxe_status tree_of_snapshot(const mirror *m, const mirror_repo *repo, const char *commit,
                                    hub_tree *out, mlxe_error *err)
{
    names list = {0};
    buf folder = {0}, page = {0};
    mlxe_status rc = MLXE_OK;
    collect_paths(cache_snapshot_path(&folder, repo->path, strv_of(commit)), "", 0, &list);
    if (list.n) qsort(list.ids, list.n, sizeof *list.ids, by_name);
    buf_add_char(&page, '[');
    for (size_t i = 0; i < list.n; i++) {
        store_file file;
        if (!rc && !store_open(m, repo, commit, strv_of(list.ids[i]), &file, NULL)) {
            add_entry(&page, list.ids[i], (uint64_t)file.info.st_size, file.etag,
                      strlen(file.etag) == 64);
            store_file_deinit(&file);
        }
        free(list.ids[i]);
    }
    free(list.ids);
    buf_add_char(&page, ']');
    if (list.failed || !buf_ok(&page)) rc = err_memory(err, "listing", page.n);
    if (!rc) rc = hub_tree_add_page(out, buf_str(&folder), page.p, page.n, err);
    buf_deinit(&folder);
    buf_deinit(&page);
    return rc;
}

mlxe_status store_tree(const mirror *m, const mirror_repo *repo, const char *commit, hub_tree *out,
                       mlxe_error *err)
{
    buf file = {0};
    mlxe_status rc;
    *out = (hub_tree){0};
    if (repo->is_plain) {
        rc = tree_of_folder(m, repo->path, out, err);
    } else {
        rc = hub_tree_load(cache_tree_path(&file, repo->path, strv_of(commit)), out, err);
        if (rc == MLXE_E_NOT_FOUND && m->assume_complete)
            rc = tree_of_snapshot(m, repo, commit, out, err);
    }
    if (rc) hub_tree_deinit(out);
    buf_deinit(&file);
    return rc;
}
