/* cache.c: places in the cache, and reading what lies there.
 *
 *   snapshots/<commit>/<path> --link--> blobs/<etag> [--link--> <cache>/blobs/xx/<xet hash>]
 *
 * Owns: which links are followed. A reader accepts the two shapes above and nothing else:
 * a link that leads anywhere else, at any folder on the way, is UNSAFE and is as good as absent.
 *
 * Source: huggingface_hub file_download.py, _local_folder.py; 2.4 for the shared Xet store.
 * Traps: a ref may end in a newline (hand-made), and content that is no commit counts as no ref.
 * The cache itself, and a repository's folder, may be links that the user made. */
#define _XOPEN_SOURCE 700
#include "hub/cache.h"

#include "base/fs.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { REF_MAX_BYTES = 4096, LINK_MAX_BYTES = 4096 };

/* ---- places ---------------------------------------------------------------------------------- */

void cache_repo_name(buf *out, hub_type type, strv id)
{
    buf_add_str(out, hub_type_plural(type));
    buf_add_str(out, "--");
    for (size_t i = 0; i < id.n; i++) {
        if (id.p[i] == '/')
            buf_add_str(out, "--");
        else
            buf_add_char(out, id.p[i]);
    }
}

int cache_repo_parse(const char *folder_name, hub_type *type, buf *id)
{
    strv name = strv_of(folder_name);
    buf_clear(id);
    for (int t = HUB_MODEL; t <= HUB_SPACE; t++) {
        strv head = strv_of(hub_type_plural((hub_type)t));
        if (!strv_starts(name, head) || !strv_starts(strv_of(folder_name + head.n), STRV("--")))
            continue;
        name = strv_of(folder_name + head.n + 2);
        for (size_t i = 0; i < name.n; i++) {
            if (i + 1 < name.n && name.p[i] == '-' && name.p[i + 1] == '-') {
                buf_add_char(id, '/');
                i++;
            } else {
                buf_add_char(id, name.p[i]);
            }
        }
        *type = (hub_type)t;
        return buf_ok(id) && !hub_id_check(buf_view(id), NULL);
    }
    return 0;
}

const char *cache_repo_path(buf *out, const char *cache, hub_type type, strv id)
{
    buf_clear(out);
    buf_add_str(out, cache);
    buf_add_char(out, '/');
    cache_repo_name(out, type, id);
    return buf_str(out);
}

static const char *place(buf *out, const char *repo, const char *folder, strv a, strv b)
{
    buf_clear(out);
    buf_add_str(out, repo);
    buf_add_str(out, folder);
    buf_add_strv(out, a);
    if (b.n) buf_add_char(out, '/');
    buf_add_strv(out, b);
    return buf_str(out);
}

const char *cache_blob_path(buf *out, const char *repo, strv etag)
{
    return place(out, repo, "/blobs/", etag, (strv){0});
}

const char *cache_ref_path(buf *out, const char *repo, strv revision)
{
    return place(out, repo, "/refs/", revision, (strv){0});
}

const char *cache_snapshot_path(buf *out, const char *repo, strv commit)
{
    return place(out, repo, "/snapshots/", commit, (strv){0});
}

const char *cache_entry_path(buf *out, const char *repo, strv commit, strv path)
{
    return place(out, repo, "/snapshots/", commit, path);
}

const char *cache_no_exist_path(buf *out, const char *repo, strv commit, strv path)
{
    return place(out, repo, "/.no_exist/", commit, path);
}

const char *cache_tree_path(buf *out, const char *repo, strv commit)
{
    place(out, repo, "/trees/", commit, (strv){0});
    buf_add_str(out, ".json");
    return buf_str(out);
}

const char *cache_lock_path(buf *out, const char *cache, const char *repo_name, strv etag)
{
    place(out, cache, "/.locks/", strv_of(repo_name), etag);
    buf_add_str(out, ".lock");
    return buf_str(out);
}

/* ---- reading --------------------------------------------------------------------------------- */

mlxe_status cache_ref_read(const char *repo, strv revision, char commit[HUB_COMMIT_CHARS + 1],
                           mlxe_error *err)
{
    buf path = {0}, text = {0};
    strv value;
    mlxe_status rc;
    commit[0] = 0;
    if (hub_is_commit(revision)) {
        memcpy(commit, revision.p, HUB_COMMIT_CHARS);
        commit[HUB_COMMIT_CHARS] = 0;
        return MLXE_OK;
    }
    rc = fs_read(cache_ref_path(&path, repo, revision), REF_MAX_BYTES, &text, NULL);
    value = buf_view(&text);
    while (value.n && strchr(" \t\r\n", value.p[value.n - 1]))
        value.n--;
    while (value.n && strchr(" \t\r\n", value.p[0]))
        value = strv_from(value.p + 1, value.n - 1);
    if (rc || !hub_is_commit(value)) {
        rc = err_set(err, MLXE_E_NOT_FOUND, "%s: not in the cache, no commit is known for it",
                     buf_str(&path));
    } else {
        memcpy(commit, value.p, HUB_COMMIT_CHARS);
        commit[HUB_COMMIT_CHARS] = 0;
    }
    buf_deinit(&path);
    buf_deinit(&text);
    return rc;
}

/* 1: the real path of `path` is `want_head` + `want_tail`, and the folder of the first is real. */
static int really_is(const char *path, const char *want_head, const char *want_tail)
{
    char *real = realpath(path, NULL), *head = realpath(want_head, NULL);
    size_t n = head ? strlen(head) : 0;
    int same = real && head && !strncmp(real, head, n) && !strcmp(real + n, want_tail);
    free(real);
    free(head);
    return same;
}

int cache_blob_size(const char *cache, const char *repo, strv etag, uint64_t *bytes)
{
    buf path = {0}, store = {0};
    char *real = NULL, *root = NULL;
    struct stat info;
    int there = 0;
    cache_blob_path(&path, repo, etag);
    if (!buf_ok(&path) || lstat(buf_str(&path), &info)) goto out;
    if (S_ISLNK(info.st_mode)) {
        buf_add_str(&store, cache);
        buf_add_str(&store, "/blobs");
        real = realpath(buf_str(&path), NULL);
        root = realpath(buf_str(&store), NULL);
        if (!real || !root || strncmp(real, root, strlen(root)) || real[strlen(root)] != '/' ||
            stat(real, &info))
            goto out;
    }
    if (!S_ISREG(info.st_mode)) goto out;
    if (bytes) *bytes = (uint64_t)info.st_size;
    there = 1;
out:
    free(real);
    free(root);
    buf_deinit(&path);
    buf_deinit(&store);
    return there;
}

/* The name of the blob that the link `entry` shows: its target must be <repo>/blobs/NAME. */
static int link_target(const char *repo, const char *entry, buf *name)
{
    char target[LINK_MAX_BYTES];
    const char *slash;
    buf folder = {0};
    int good = 0;
    ssize_t n = readlink(entry, target, sizeof target - 1);
    if (n <= 0 || (size_t)n >= sizeof target - 1) return 0;
    target[n] = 0;
    slash = strrchr(target, '/');
    if (slash && hub_etag_usable(strv_of(slash + 1))) {
        if (target[0] != '/') {
            buf_add(&folder, entry, (size_t)(strrchr(entry, '/') - entry) + 1);
        }
        buf_add(&folder, target, (size_t)(slash - target));
        buf_clear(name);
        buf_add_str(name, slash + 1);
        good = buf_ok(&folder) && buf_ok(name) && really_is(buf_str(&folder), repo, "/blobs");
    }
    buf_deinit(&folder);
    return good;
}

cache_entry_kind cache_entry_look(const char *cache, const char *repo, strv commit, strv path,
                                  buf *etag, uint64_t *bytes)
{
    buf entry = {0}, folder = {0}, tail = {0}, name = {0};
    cache_entry_kind kind = CACHE_ABSENT;
    const char *slash;
    struct stat info;
    cache_entry_path(&entry, repo, commit, path);
    if (etag) buf_clear(etag);
    if (!buf_ok(&entry) || lstat(buf_str(&entry), &info)) goto out;
    slash = strrchr(buf_str(&entry), '/');
    buf_add(&folder, buf_str(&entry), (size_t)(slash - buf_str(&entry)));
    buf_add(&tail, folder.p + strlen(repo), folder.n - strlen(repo));
    kind = CACHE_UNSAFE;
    if (!buf_ok(&folder) || !buf_ok(&tail) || !really_is(buf_str(&folder), repo, buf_str(&tail)))
        goto out;
    if (S_ISREG(info.st_mode)) {
        if (bytes) *bytes = (uint64_t)info.st_size;
        kind = CACHE_PLAIN;
    } else if (S_ISLNK(info.st_mode) && link_target(repo, buf_str(&entry), &name)) {
        kind = cache_blob_size(cache, repo, buf_view(&name), bytes) ? CACHE_LINKED : CACHE_ABSENT;
        if (etag) buf_add_strv(etag, buf_view(&name));
    } else if (S_ISLNK(info.st_mode) && access(buf_str(&entry), F_OK)) {
        kind = CACHE_ABSENT;
    }
out:
    buf_deinit(&entry);
    buf_deinit(&folder);
    buf_deinit(&tail);
    buf_deinit(&name);
    return kind;
}
