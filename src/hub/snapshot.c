/* snapshot.c: from a repository and a revision to a folder of files, online or from the cache.
 *
 *   revision -> commit (a 40-digit one is itself; else the API; else, unreachable, refs/)
 *            -> listing (trees/<commit>.json, else the API at the commit, then stored)
 *            -> selection -> plan (there, to fetch, room) -> ref -> download_files
 *
 * Into a folder of the user's (want->local_dir) the steps are the same; local_dir.h says what
 * differs.
 *
 * A commit whose selected files are all here needs no packet. When the Hub cannot be reached or
 * does not answer, a complete copy is returned, and that is said.
 *
 * Traps: a listing is stored only whole: who stores part of one makes other clients' copies partial
 * for ever. Every name is checked before anything is written. The snapshot's folder must exist
 * before a ref names its commit. */
#define _XOPEN_SOURCE 700
#include "hub/adopt.h"
#include "hub/clash.h"
#include "hub/download.h"
#include "hub/hub_api.h"
#include "hub/hub_json.h"
#include "hub/hub_state.h"
#include "hub/local_dir.h"

#include "base/fs.h"

#include <stdio.h>
#include <stdlib.h>

enum { NAMED_FILES = 3 };

/* ---- from the cache -------------------------------------------------------------------------- */

/* Counts selected files that are absent; names up to three. */
static size_t missing(const download *d, const hub_tree *tree, const hub_globs *globs, hub_got *got,
                      buf *names)
{
    size_t n = 0;
    for (size_t i = 0; i < tree->n; i++) {
        const hub_entry *e = &tree->entries[i];
        uint64_t bytes;
        if (!globs_want(globs, e->path)) continue;
        got->files++;
        got->bytes += e->size;
        if (download_present(d, e->path, e, &bytes)) continue;
        /* Nothing is hashed here: a file that may have been edited passes. */
        if (d->local_dir && local_file_look(d->local_dir, e, d->commit) == LOCAL_UNSURE) continue;
        if (n++ < NAMED_FILES) {
            if (names->n) buf_add_str(names, ", ");
            buf_add_strv(names, e->path);
        }
    }
    return n;
}

/* Where the commit's listing is kept, after clearing out. */
static const char *tree_path(const download *d, buf *out)
{
    buf state = {0};
    if (d->local_dir)
        cache_tree_path(out, local_state_path(&state, d->local_dir), strv_of(d->commit));
    else
        cache_tree_path(out, buf_str(&d->repo_dir), strv_of(d->commit));
    buf_deinit(&state);
    return buf_str(out);
}

/* The folder that a caller is told, after clearing out. */
static const char *result_path(const download *d, buf *out)
{
    if (!d->local_dir) return cache_snapshot_path(out, buf_str(&d->repo_dir), strv_of(d->commit));
    char *real = realpath(d->local_dir, NULL);
    buf_clear(out);
    buf_add_str(out, real ? real : d->local_dir);
    free(real);
    return buf_str(out);
}

static mlxe_status cached_at(download *d, const hub_globs *globs, buf *path, hub_got *got,
                             mlxe_error *err)
{
    buf file = {0}, names = {0};
    hub_tree tree;
    size_t n;
    mlxe_status rc = MLXE_OK, listed = hub_tree_load(tree_path(d, &file), &tree, NULL);
    memcpy(got->commit, d->commit, sizeof got->commit);
    result_path(d, path);
    /* A folder of the user's is there whatever lies in it: without a listing it tells nothing. */
    if (!fs_is_dir(buf_str(path)) || (d->local_dir && listed)) {
        rc = err_set(err, MLXE_E_NOT_FOUND, "%s: commit %s is not in %s", d->repo->id, d->commit,
                     d->local_dir ? d->local_dir : "the cache");
    } else if (!listed) {
        n = missing(d, &tree, globs, got, &names);
        if (n)
            rc = err_set(err, MLXE_E_OFFLINE, "%s: the cached copy lacks %zu file%s (%s%s)",
                         d->repo->id, n, n == 1 ? "" : "s", buf_str(&names),
                         n > NAMED_FILES ? ", ..." : "");
    }
    if (!listed) hub_tree_deinit(&tree);
    buf_deinit(&file);
    buf_deinit(&names);
    return rc;
}

/* The commit of a revision as it was last seen; of a folder that Python filled, the cache knows. */
static mlxe_status ref_read(download *d, mlxe_error *err)
{
    strv revision = strv_of(repo_revision(d->repo));
    buf repo = {0};
    mlxe_status rc = cache_ref_read(buf_str(&d->repo_dir), revision, d->commit, NULL);
    if (rc && d->local_dir)
        rc =
            cache_ref_read(cache_repo_path(&repo, d->h->cache, d->repo->type, strv_of(d->repo->id)),
                           revision, d->commit, NULL);
    if (rc)
        rc = err_set(err, MLXE_E_NOT_FOUND, "%s@%s: not in %s", d->repo->id, revision.p,
                     d->local_dir ? d->local_dir : "the cache");
    buf_deinit(&repo);
    return rc;
}

/* hub_cached, of the cache or of a folder. */
static mlxe_status cached(hub *h, const hub_repo *repo, const hub_want *want, buf *path,
                          hub_got *got, mlxe_error *err)
{
    download d;
    mlxe_status rc = repo_check(repo, err);
    *got = (hub_got){0};
    buf_clear(path);
    if (rc || (rc = download_open(&d, h, repo, want, NULL, err))) return rc;
    rc = ref_read(&d, err);
    if (!rc) rc = cached_at(&d, &want->globs, path, got, err);
    if (rc) buf_clear(path);
    download_close(&d);
    return rc;
}

mlxe_status hub_cached(hub *h, const hub_repo *repo, const hub_globs *globs, buf *path,
                       hub_got *got, mlxe_error *err)
{
    const hub_want want = {.globs = *globs};
    return cached(h, repo, &want, path, got, err);
}

/* Offline, or unreachable with `why`: the cached copy, or the error that fits. */
static mlxe_status from_cache(hub *h, const hub_repo *repo, const hub_want *want, buf *path,
                              hub_got *got, const mlxe_error *why, mlxe_error *err)
{
    mlxe_error local;
    mlxe_status rc = cached(h, repo, want, path, got, &local);
    if (!rc) {
        got->from_cache = 1;
        if (why) log_line(&h->log, MLXE_LOG_WARN, "%s; the cached copy is used", why->message);
        return MLXE_OK;
    }
    if (why) {
        if (err) *err = *why;
        return why->code;
    }
    if (rc == MLXE_E_NOT_FOUND) rc = MLXE_E_OFFLINE;
    err_set(err, rc, "%s, and nothing is fetched offline", local.message);
    err_hint(err, "unset HF_HUB_OFFLINE to fetch it");
    return rc;
}

/* ---- online ---------------------------------------------------------------------------------- */

typedef struct plan {
    hub_tree tree;
    download_file *files;
    size_t n;
    uint64_t bytes, missing_bytes;
    int gated, listed; /* listed: the tree came from the API just now */
} plan;

static void plan_deinit(plan *p)
{
    free(p->files);
    hub_tree_deinit(&p->tree);
}

/* The commit that a branch or tag names now. */
static mlxe_status commit_ask(download *d, requester *r, plan *p, hub_fault *fault, mlxe_error *err)
{
    buf text = {0};
    json_doc *doc = NULL;
    strv sha;
    const json *gated;
    mlxe_status rc = api_info(r, d->repo, &text, fault, err);
    if (rc) goto out;
    fault->kind = KIND_METADATA;
    if ((rc = hub_json_parse(d->repo->id, buf_str(&text), text.n, &doc, err))) goto out;
    if (!json_is(json_root(doc), JSON_OBJECT))
        rc = err_set(err, MLXE_E_CORRUPT, "%s: the answer is %s, want an object", d->repo->id,
                     json_type_name(json_typeof(json_root(doc))));
    if (!rc) rc = hub_json_str(json_root(doc), d->repo->id, "sha", &sha, err);
    if (!rc && !hub_is_commit(sha))
        rc = err_set(err, MLXE_E_CORRUPT, "%s: \"sha\" is no commit", d->repo->id);
    if (rc) goto out;
    memcpy(d->commit, sha.p, sha.n);
    d->commit[sha.n] = 0;
    gated = json_get(json_root(doc), "gated");
    p->gated = json_is(gated, JSON_STRING) || json_bool(gated);
    if (json_bool(json_get(json_root(doc), "disabled"))) {
        fault->kind = KIND_DISABLED;
        rc = err_set(err, MLXE_E_ACCESS, "%s: access to the repository is disabled", d->repo->id);
    }
out:
    if (!rc) fault->kind = KIND_NONE;
    json_close(doc);
    buf_deinit(&text);
    return rc;
}

/* The same, without patience when a complete copy is at hand. */
static mlxe_status commit_of(download *d, requester *r, plan *p, const hub_want *want,
                             hub_fault *fault, mlxe_error *err)
{
    hub_got got;
    buf path = {0};
    mlxe_status rc;
    r->once = !want->force && !cached(d->h, d->repo, want, &path, &got, NULL);
    rc = commit_ask(d, r, p, fault, err);
    r->once = 0;
    buf_deinit(&path);
    return rc;
}

static mlxe_status listing_get(download *d, requester *r, plan *p, hub_fault *fault,
                               mlxe_error *err)
{
    buf file = {0};
    mlxe_status rc = hub_tree_load(tree_path(d, &file), &p->tree, NULL);
    buf_deinit(&file);
    if (rc) {
        p->listed = 1;
        rc = api_tree(r, d->repo, d->commit, &p->tree, fault, err);
    }
    for (size_t i = 0; d->local_dir && i < p->tree.n && !rc; i++) {
        rc = local_path_check(p->tree.entries[i].path, err);
        if (rc) fault->kind = KIND_METADATA;
    }
    return rc;
}

/* 1: the content is on this machine already, or may be: it needs no room and no packet. */
static int at_hand(const download *d, const hub_entry *e)
{
    uint64_t bytes;
    return (d->local_dir && local_file_look(d->local_dir, e, d->commit) == LOCAL_UNSURE) ||
           cache_blob_size(buf_str(&d->cache), buf_str(&d->repo_dir), hub_entry_etag(e), &bytes);
}

static mlxe_status select_files(download *d, plan *p, const hub_globs *globs, mlxe_error *err)
{
    p->files = calloc(p->tree.n + 1, sizeof *p->files);
    if (!p->files) return err_memory(err, "plan", p->tree.n * sizeof *p->files);
    for (size_t i = 0; i < p->tree.n; i++) {
        const hub_entry *e = &p->tree.entries[i];
        download_file *f = &p->files[p->n];
        uint64_t bytes;
        if (!globs_want(globs, e->path)) continue;
        *f = (download_file){.entry = e, .path = e->path};
        p->n++;
        p->bytes += e->size;
        if (!d->force && download_present(d, e->path, e, &bytes)) {
            f->present = 1;
            meter_found(&d->count, e->size);
        } else if (d->force || !at_hand(d, e)) {
            p->missing_bytes += e->size;
        }
    }
    d->count.total = p->bytes;
    return MLXE_OK;
}

static int all_present(const plan *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (!p->files[i].present) return 0;
    return 1;
}

/* Fails when two of the files would be one here. */
static mlxe_status names_check(const download *d, const plan *p, mlxe_error *err)
{
    strv *paths = calloc(p->n + 1, sizeof *paths);
    mlxe_status rc;
    if (!paths) return err_memory(err, "plan", p->n * sizeof *paths);
    for (size_t i = 0; i < p->n; i++)
        paths[i] = p->files[i].path;
    rc = clash_check(paths, p->n, d->local_dir ? d->local_dir : buf_str(&d->repo_dir), d->repo->id,
                     err);
    free(paths);
    return rc;
}

/* What goes to the cache before the first file: folders, the listing, the ref. */
static mlxe_status record(download *d, plan *p, const char *revision, mlxe_error *err)
{
    const char *repo = buf_str(&d->repo_dir);
    buf text = {0}, relative = {0}, state = {0};
    mlxe_status rc = cache_prepare(buf_str(&d->cache), repo, strv_of(d->commit), err);
    if (!rc && d->local_dir) rc = local_prepare(d->local_dir, err);
    if (!rc && p->listed) {
        hub_tree_write(&p->tree, &text);
        buf_add_str(&relative, "trees/");
        buf_add_str(&relative, d->commit);
        buf_add_str(&relative, ".json");
        if (d->local_dir) repo = local_state_path(&state, d->local_dir);
        rc = buf_ok(&text) ? cache_file_write(repo, buf_view(&relative), text.p, text.n, err)
                           : err_memory(err, "listing", text.n);
    }
    if (!rc)
        rc = cache_ref_write(buf_str(&d->repo_dir), strv_of(revision), strv_of(d->commit), err);
    buf_deinit(&text);
    buf_deinit(&relative);
    buf_deinit(&state);
    return rc;
}

/* Files that are on this machine already become blobs before anything is fetched. */
static void adopt(download *d, plan *p)
{
    if (d->local_dir) return; /* a link would be edited in both places */
    const adopt_from from = {d->from, d->h->home};
    uint64_t bytes;
    for (size_t i = 0; i < p->n && !d->force; i++) {
        const hub_entry *e = p->files[i].entry;
        if (p->files[i].present ||
            cache_blob_size(buf_str(&d->cache), buf_str(&d->repo_dir), hub_entry_etag(e), &bytes))
            continue;
        if (adopt_blob(buf_str(&d->cache), buf_str(&d->repo_dir), buf_str(&d->repo_name),
                       d->repo->id, e, &from, d->watch, &d->h->log))
            p->missing_bytes -= e->size;
    }
}

/* Files of a folder that are as an earlier commit had them belong to this one too. */
static mlxe_status renew(const download *d, const plan *p, mlxe_error *err)
{
    mlxe_status rc = MLXE_OK;
    for (size_t i = 0; d->local_dir && i < p->n && !rc; i++) {
        const hub_entry *e = p->files[i].entry;
        if (p->files[i].present && e && local_file_look(d->local_dir, e, d->commit) == LOCAL_OLDER)
            rc = local_note(d->local_dir, e->path, d->commit, hub_entry_etag(e), err);
    }
    return rc;
}

static mlxe_status fetch(download *d, requester *r, plan *p, const char *revision, hub_fault *fault,
                         mlxe_error *err)
{
    char text[160];
    mlxe_status rc = MLXE_OK;
    if (all_present(p)) {
        /* The cache may be read-only: moving the ref is worth a try, no more. */
        if (!record(d, p, revision, NULL)) renew(d, p, NULL);
        meter_tell(&d->count, d->watch, "all files are there");
        return MLXE_OK;
    }
    if ((rc = names_check(d, p, err))) return rc;
    if (p->gated && p->missing_bytes) rc = api_auth_check(r, d->repo, fault, err);
    /* A server that has no such question answers 404: then the files themselves will tell. */
    if (rc && fault->kind != KIND_GATED && fault->kind != KIND_DISABLED) rc = MLXE_OK;
    if (!rc) rc = record(d, p, revision, err);
    if (!rc) rc = renew(d, p, err);
    if (!rc) adopt(d, p);
    if (!rc) rc = download_room(d, p->missing_bytes, err);
    if (rc) return rc;
    requester_rest(r);
    d->no_links = d->h->no_links || !cache_has_links(buf_str(&d->cache));
    snprintf(text, sizeof text, "%zu files, %llu bytes, %llu to fetch", p->n,
             (unsigned long long)p->bytes, (unsigned long long)p->missing_bytes);
    meter_tell(&d->count, d->watch, text);
    return download_files(d, p->files, p->n, err);
}

mlxe_status download_listing(hub *h, const hub_repo *repo, const hub_watch *watch, hub_fault *fault,
                             mlxe_error *err)
{
    const hub_want want = {0};
    const char *revision = repo_revision(repo);
    download d;
    plan p = {0};
    requester r;
    mlxe_status rc = repo_check(repo, err);
    *fault = (hub_fault){.kind = KIND_NONE};
    if (rc || (rc = download_open(&d, h, repo, &want, watch, err))) return rc;
    if (!(rc = requester_open(h, watch, &r, err))) {
        if (hub_is_commit(strv_of(revision)))
            snprintf(d.commit, sizeof d.commit, "%s", revision);
        else
            rc = commit_ask(&d, &r, &p, fault, err);
        if (!rc) rc = listing_get(&d, &r, &p, fault, err);
        if (!rc) rc = record(&d, &p, revision, err);
        requester_close(&r);
    }
    plan_deinit(&p);
    download_close(&d);
    return rc;
}

mlxe_status hub_snapshot(hub *h, const hub_repo *repo, const hub_want *want, const hub_watch *watch,
                         buf *path, hub_got *got, mlxe_error *err)
{
    const char *revision = repo_revision(repo);
    download d = {0};
    plan p = {0};
    requester r = {0};
    hub_fault fault = {0};
    mlxe_error why;
    mlxe_status rc = repo_check(repo, err);
    *got = (hub_got){0};
    buf_clear(path);
    if (rc || (rc = globs_check(&want->globs, err))) return rc;
    if (want->from && want->local_dir)
        return err_set(err, MLXE_E_ARG,
                       "%s: files of %s would be links, which are no place to edit",
                       want->local_dir, want->from);
    if (h->offline || want->local_only) {
        if (want->force)
            return err_set(err, MLXE_E_ARG, "%s: cannot be fetched again offline", repo->id);
        return from_cache(h, repo, want, path, got, NULL, err);
    }
    if ((rc = download_open(&d, h, repo, want, watch, &why))) goto out;
    if ((rc = requester_open(h, watch, &r, &why))) goto out;
    if (hub_is_commit(strv_of(revision)))
        snprintf(d.commit, sizeof d.commit, "%s", revision);
    else if ((rc = commit_of(&d, &r, &p, want, &fault, &why)))
        goto out;
    if ((rc = listing_get(&d, &r, &p, &fault, &why))) goto out;
    if ((rc = select_files(&d, &p, &want->globs, &why))) goto out;
    fault.kind = KIND_STOP;
    rc = fetch(&d, &r, &p, revision, &fault, &why);
    got->downloaded_bytes = atomic_load(&d.count.network);
    got->bytes = p.bytes;
    got->files = p.n;
    memcpy(got->commit, d.commit, sizeof got->commit);
    result_path(&d, path);
out:
    if (rc && err) *err = why;
    if (rc) buf_clear(path);
    if (rc && !want->force && fault.kind != KIND_NONE && fault_allows_cache(&fault))
        rc = from_cache(h, repo, want, path, got, &why, err);
    plan_deinit(&p);
    requester_close(&r);
    download_close(&d);
    return rc;
}
