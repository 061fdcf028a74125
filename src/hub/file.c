/* file.c: one file of a repository: asked for by HEAD, fetched if it is not there.
 *
 *   commit given and there: no packet | HEAD -> commit, etag, size -> there: ref only | fetch, link
 *
 * An answer "no such file" that names the commit is remembered under .no_exist, so that it is known
 * offline too; without a commit nothing is written.
 *
 * Source: huggingface_hub file_download.py, hf_hub_download. */
#include "hub/download.h"
#include "hub/hub_api.h"
#include "hub/hub_state.h"

#include "base/fs.h"

#include <stdio.h>

/* Looks in the cache only; commit must be set. -> 1 and path */
static int there(download *d, strv name, buf *path, hub_got *got)
{
    uint64_t bytes = 0;
    if (!download_present(d, name, NULL, &bytes)) return 0;
    cache_entry_path(path, buf_str(&d->repo_dir), strv_of(d->commit), name);
    got->bytes = bytes;
    got->files = 1;
    memcpy(got->commit, d->commit, sizeof got->commit);
    return 1;
}

/* The file at what the revision was when it was last seen. why: NULL when offline by choice. */
static mlxe_status from_cache(download *d, const char *revision, strv name, const mlxe_error *why,
                              buf *path, hub_got *got, mlxe_error *err)
{
    const char *repo = buf_str(&d->repo_dir);
    buf absent = {0};
    mlxe_status rc = MLXE_OK;
    int known = !cache_ref_read(repo, strv_of(revision), d->commit, NULL);
    got->from_cache = 1;
    if (known && there(d, name, path, got)) {
        if (why) log_line(&d->h->log, MLXE_LOG_WARN, "%s; the cached copy is used", why->message);
        return MLXE_OK;
    }
    if (why) {
        if (err) *err = *why;
        return why->code;
    }
    if (known && fs_exists(cache_no_exist_path(&absent, repo, strv_of(d->commit), name))) {
        rc = err_set(err, MLXE_E_NOT_FOUND, "%s: %s: file not found in the repository (cached)",
                     d->repo->id, name.p);
    } else {
        rc = err_set(err, MLXE_E_OFFLINE, "%s: %s is not in the cache, and nothing is fetched",
                     d->repo->id, name.p);
        err_hint(err, "unset HF_HUB_OFFLINE to fetch it");
    }
    buf_deinit(&absent);
    return rc;
}

/* Remembers that the file does not exist at that commit. */
static void note_absent(download *d, const char *revision, strv name, const char *commit)
{
    const char *repo = buf_str(&d->repo_dir);
    buf relative = {0};
    if (!commit[0] || cache_prepare(buf_str(&d->cache), repo, strv_of(commit), NULL)) return;
    buf_add_str(&relative, ".no_exist/");
    buf_add_str(&relative, commit);
    buf_add_char(&relative, '/');
    buf_add_strv(&relative, name);
    if (buf_ok(&relative) && !cache_file_write(repo, buf_view(&relative), "", 0, NULL))
        cache_ref_write(repo, strv_of(revision), strv_of(commit), NULL);
    buf_deinit(&relative);
}

/* Puts the commit where the GET's URL would still follow a branch. */
static void pin(const download *d, const char *asked_url, strv name, hub_meta *meta)
{
    buf pinned = {0};
    if (strcmp(buf_str(&meta->url), asked_url) != 0) return;
    url_of_file(&pinned, d->h, d->repo, d->commit, name);
    buf_clear(&meta->url);
    buf_add_strv(&meta->url, buf_view(&pinned));
    buf_deinit(&pinned);
}

static mlxe_status fetch(download *d, const char *revision, strv name, hub_meta *meta,
                         mlxe_error *err)
{
    const char *repo = buf_str(&d->repo_dir);
    download_file file = {.path = name, .meta = meta};
    hub_tree tree;
    buf path = {0};
    mlxe_status rc = cache_prepare(buf_str(&d->cache), repo, strv_of(d->commit), err);
    if (!rc) rc = cache_ref_write(repo, strv_of(revision), strv_of(d->commit), err);
    if (rc) return rc;
    /* A listing that is kept must agree with what the server tells of the file now. */
    if (!hub_tree_load(cache_tree_path(&path, repo, strv_of(d->commit)), &tree, NULL))
        file.entry = hub_tree_find(&tree, name);
    d->no_links = d->h->no_links || !cache_has_links(buf_str(&d->cache));
    d->count.total = meta->size;
    rc = download_files(d, &file, 1, err);
    hub_tree_deinit(&tree);
    buf_deinit(&path);
    return rc;
}

static mlxe_status file_online(download *d, const char *revision, strv name, buf *path,
                               hub_got *got, mlxe_error *err)
{
    requester r;
    hub_meta meta = {0};
    hub_fault fault = {0};
    hub_got local = {0};
    buf url = {0}, old = {0};
    mlxe_error why;
    mlxe_status rc = requester_open(d->h, d->watch, &r, err);
    if (rc) return rc;
    r.once = !d->force &&
             !cache_ref_read(buf_str(&d->repo_dir), strv_of(revision), d->commit, NULL) &&
             there(d, name, &old, &local);
    url_of_file(&url, d->h, d->repo, revision, name);
    rc = download_head(d, &r, buf_str(&url), HUB_SIZE_UNTOLD, &meta, &fault, &why);
    requester_rest(&r);
    if (rc && fault.kind == KIND_ENTRY) note_absent(d, revision, name, meta.commit);
    if (rc && !d->force && fault_allows_cache(&fault)) {
        rc = from_cache(d, revision, name, &why, path, got, err);
        goto out;
    }
    if (!rc) {
        memcpy(d->commit, meta.commit, sizeof d->commit);
        pin(d, buf_str(&url), name, &meta);
        if (!d->force && there(d, name, path, got) && got->bytes == meta.size)
            cache_ref_write(buf_str(&d->repo_dir), strv_of(revision), strv_of(d->commit), NULL);
        else
            rc = fetch(d, revision, name, &meta, &why);
    }
    if (!rc && !there(d, name, path, got))
        rc = err_set(&why, MLXE_E_IO, "%s: %s was fetched but is not in the cache", d->repo->id,
                     name.p);
    if (rc && err) *err = why;
out:
    got->downloaded_bytes = atomic_load(&d->count.network);
    buf_deinit(&url);
    buf_deinit(&old);
    hub_meta_deinit(&meta);
    requester_close(&r);
    return rc;
}

mlxe_status hub_file(hub *h, const hub_repo *repo, const char *name, const hub_want *want,
                     const hub_watch *watch, buf *path, hub_got *got, mlxe_error *err)
{
    const char *revision = repo_revision(repo);
    strv file = strv_of(name);
    download d;
    mlxe_status rc = repo_check(repo, err);
    *got = (hub_got){0};
    buf_clear(path);
    if (!rc) rc = hub_path_check(file, err);
    if (!rc && want->local_dir)
        rc = err_set(err, MLXE_E_ARG, "%s: only a snapshot can be put into a folder", name);
    if (rc || (rc = download_open(&d, h, repo, want, watch, err))) return rc;
    if ((h->offline || want->local_only) && want->force) {
        rc = err_set(err, MLXE_E_ARG, "%s: cannot be fetched again offline", repo->id);
        goto out;
    }
    if (hub_is_commit(strv_of(revision)) && !want->force) {
        memcpy(d.commit, revision, sizeof d.commit);
        if (there(&d, file, path, got)) goto out;
    }
    rc = h->offline || want->local_only ? from_cache(&d, revision, file, NULL, path, got, err)
                                        : file_online(&d, revision, file, path, got, err);
out:
    if (rc) buf_clear(path);
    download_close(&d);
    return rc;
}
