/* download.c: one file after another on each of several threads, and their helpers.
 *
 *   worker: next file -> HEAD -> lock -> there now? -> partial, transfer, verify, rename -> link
 *           no file left -> help a large file's chunks -> nothing to help: end
 *
 * A failed file ends nothing but itself: no new file begins, those that run go on, and all failures
 * are told. The blob's lock is held from the last look until the blob has its name.
 *
 * Source: huggingface_hub file_download.py for the order of steps.
 * Traps: a blob under the right name but of the wrong length is no blob. A file of the listing
 * whose HEAD tells another hash or size is refused: one of the two is wrong. */
#define _XOPEN_SOURCE 700
#include "hub/download.h"

#include "base/fs.h"
#include "base/thread.h"
#include "hub/download_pool.h"
#include "hub/hash.h"
#include "hub/hub_api.h"
#include "hub/hub_state.h"
#include "hub/local_dir.h"
#include "hub/request_fault.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { RESERVE_BYTES = 64 << 20, HEAD_TRIES = 7, HEAD_CONNECT_TRIES = 3, LONG_TIMEOUT_S = 60 };
enum { MAX_CHANGES = 3, MAX_STREAMS = 8, TELL_MS = 200 };

mlxe_status download_open(download *d, hub *h, const hub_repo *repo, const hub_want *want,
                          const hub_watch *watch, mlxe_error *err)
{
    *d = (download){.h = h,
                    .repo = repo,
                    .watch = watch,
                    .force = want->force,
                    .from = want->from,
                    .local_dir = want->local_dir};
    if (d->local_dir)
        local_staging_path(&d->cache, d->local_dir);
    else
        buf_add_str(&d->cache, h->cache);
    cache_repo_path(&d->repo_dir, buf_str(&d->cache), repo->type, strv_of(repo->id));
    cache_repo_name(&d->repo_name, repo->type, strv_of(repo->id));
    d->no_links = h->no_links;
    return buf_ok(&d->cache) && buf_ok(&d->repo_dir) && buf_ok(&d->repo_name)
               ? MLXE_OK
               : err_memory(err, "path", 0);
}

void download_close(download *d)
{
    buf_deinit(&d->cache);
    buf_deinit(&d->repo_dir);
    buf_deinit(&d->repo_name);
}

int download_present(const download *d, strv path, const hub_entry *entry, uint64_t *bytes)
{
    buf etag = {0};
    if (d->local_dir) {
        if (!entry) return 0;
        *bytes = entry->size;
        return local_file_look(d->local_dir, entry, d->commit) >= LOCAL_OLDER;
    }
    cache_entry_kind kind = cache_entry_look(buf_str(&d->cache), buf_str(&d->repo_dir),
                                             strv_of(d->commit), path, &etag, bytes);
    int there = kind == CACHE_LINKED || kind == CACHE_PLAIN;
    if (there && entry && *bytes != entry->size) there = 0;
    buf_deinit(&etag);
    return there;
}

mlxe_status download_room(const download *d, uint64_t bytes, mlxe_error *err)
{
    const char *dir = buf_str(&d->repo_dir);
    struct statvfs fs;
    struct rlimit limit;
    uint64_t room;
    if (!bytes) return MLXE_OK;
    if (!getrlimit(RLIMIT_FSIZE, &limit) && limit.rlim_cur != RLIM_INFINITY &&
        limit.rlim_cur < bytes)
        return err_set(err, MLXE_E_FIT, "%s: a file needs %llu bytes, the limit here is %llu", dir,
                       (unsigned long long)bytes, (unsigned long long)limit.rlim_cur);
    if (statvfs(dir, &fs)) return MLXE_OK;
    room = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (room >= bytes + RESERVE_BYTES) return MLXE_OK;
    err_set(err, MLXE_E_FIT, "%s: the download needs %llu bytes and %d MiB to spare, %llu are free",
            dir, (unsigned long long)bytes, RESERVE_BYTES >> 20, (unsigned long long)room);
    err_hint(err, "free disk space, or put the cache elsewhere with HF_HUB_CACHE");
    return MLXE_E_FIT;
}

/* ---- one file -------------------------------------------------------------------------------- */

mlxe_status download_head(download *d, requester *r, const char *url, uint64_t listed_bytes,
                          hub_meta *meta, hub_fault *fault, mlxe_error *err)
{
    for (int attempt = 1;; attempt++) {
        mlxe_status rc = request_head(r, url, attempt > 1 ? LONG_TIMEOUT_S : 0, meta, fault, err);
        int tries = fault->why == HTTP_WHY_CONNECT || fault->why == HTTP_WHY_DNS
                        ? HEAD_CONNECT_TRIES
                        : HEAD_TRIES;
        if (!rc && meta->size == HUB_SIZE_UNTOLD) meta->size = listed_bytes;
        if (!rc && meta->size == HUB_SIZE_UNTOLD) {
            fault->kind = KIND_METADATA;
            rc = err_set(err, MLXE_E_CORRUPT, "%s: the answer tells no size", url);
        }
        if (!rc || !fault_retryable(fault) || attempt == tries || r->once) return rc;
        log_line(&d->h->log, MLXE_LOG_INFO, "trying again: %s", err->message);
        if (!fault_wait(r, fault, attempt)) return stop_error(r, fault, rc, err);
    }
}

static mlxe_status meta_agrees(const download *d, const hub_entry *e, const hub_meta *m,
                               const char *url, mlxe_error *err)
{
    if (strcmp(m->commit, d->commit) != 0)
        return err_set(err, MLXE_E_CORRUPT, "%s: the server answers for commit %s, want %s", url,
                       m->commit, d->commit);
    if (!e) return MLXE_OK;
    if (m->size != e->size)
        return err_set(err, MLXE_E_CORRUPT, "%s: the server tells %llu bytes, the listing %llu",
                       url, (unsigned long long)m->size, (unsigned long long)e->size);
    if (hub_is_hex(strv_of(m->etag), 40) || hub_is_hex(strv_of(m->etag), 64)) {
        if (!strv_is(hub_entry_etag(e), m->etag))
            return err_set(err, MLXE_E_CORRUPT, "%s: the server tells hash %s, the listing %.*s",
                           url, m->etag, (int)hub_entry_etag(e).n, hub_entry_etag(e).p);
    }
    return MLXE_OK;
}

/* Fetches into a partial file until it is good; it then has the blob's name. */
static mlxe_status fetch_blob(download *d, requester *r, hub_meta *meta, const char *url,
                              download_pool *pool, mlxe_error *err)
{
    const char *repo = buf_str(&d->repo_dir);
    strv etag = strv_of(meta->etag);
    int ranged = meta->size >= RANGED_FROM_BYTES && !d->h->one_stream;
    uint64_t chunk = ranged ? RANGE_BYTES : meta->size, here;
    partial *part = NULL;
    transfer t;
    transfer_end end = TRANSFER_FAILED;
    hub_verdict verdict = HUB_HASH_UNKNOWN;
    hub_fault fault;
    int changes = 0, bad = 0;
    mlxe_status rc = partial_open(repo, etag, meta->size, chunk, &part, err);
    if (rc) return rc;
    if (d->h->one_stream && part->n_chunks > 1 && (rc = partial_restart(part, meta->size, err))) {
        partial_close(part, PARTIAL_KEEP);
        return rc;
    }
    here = partial_bytes(part);
    meter_found(&d->count, here);
    for (;;) {
        if ((rc = transfer_open(&t, d->h, &d->count, meta, url, part, err))) break;
        pool_publish(pool, &t);
        end = transfer_run(&t, r, &verdict, err);
        pool_withdraw(pool, &t);
        transfer_close(&t);
        if (end == TRANSFER_GOOD) break;
        rc = err->code;
        if (end == TRANSFER_FAILED || (end == TRANSFER_BAD_HASH && bad++) ||
            (end == TRANSFER_CHANGED && ++changes == MAX_CHANGES))
            break;
        log_line(&d->h->log, MLXE_LOG_WARN, "%s; fetched anew", err->message);
        meter_lost(&d->count, partial_bytes(part));
        if ((rc = partial_restart(part, end == TRANSFER_NO_RANGES ? meta->size : part->chunk_bytes,
                                  err)))
            break;
        if (end == TRANSFER_CHANGED) {
            hub_meta fresh = {0};
            rc = download_head(d, r, url, meta->size, &fresh, &fault, err);
            if (!rc && (strcmp(fresh.etag, meta->etag) != 0 || fresh.size != meta->size))
                rc = err_set(err, MLXE_E_CORRUPT, "%s: the file keeps changing", url);
            if (!rc) {
                buf_clear(&meta->url);
                buf_add_strv(&meta->url, buf_view(&fresh.url));
                meta->stored = fresh.stored;
            }
            hub_meta_deinit(&fresh);
            if (rc) break;
        }
    }
    if (!rc && verdict == HUB_HASH_PLAIN_SHA1)
        log_line(&d->h->log, MLXE_LOG_INFO, "%s: its ETag is a plain sha1", url);
    if (!rc && verdict == HUB_HASH_UNKNOWN && meta->size)
        log_line(&d->h->log, MLXE_LOG_WARN, "%s: its ETag is no hash, the bytes are unverified",
                 url);
    if (!rc) {
        rc = partial_commit(part, etag, err);
        partial_sweep_sidecars(repo, etag);
        partial_close(part, rc ? PARTIAL_DROP : PARTIAL_KEEP);
        return rc;
    }
    here = partial_bytes(part);
    meter_lost(&d->count, here);
    partial_close(part, end == TRANSFER_BAD_HASH || end == TRANSFER_CHANGED || !here ||
                                (rc == MLXE_E_FIT && here <= RESERVE_BYTES) || rc == MLXE_E_CORRUPT
                            ? PARTIAL_DROP
                            : PARTIAL_KEEP);
    return rc;
}

/* The blob is here: it gets its place under the file's name. without_links: how, where there are
 * none. */
static mlxe_status show_blob(const download *d, strv path, strv etag, cache_link_how without_links,
                             mlxe_error *err)
{
    const char *repo = buf_str(&d->repo_dir);
    if (d->local_dir) return local_place(d->local_dir, repo, path, d->commit, etag, err);
    return cache_link(repo, strv_of(d->commit), path, etag,
                      d->no_links ? without_links : CACHE_LINK, err);
}

/* Makes the blob of meta present and linked. resolve_url: pinned to the commit. */
static mlxe_status download_blob(download *d, requester *r, const download_file *f, hub_meta *meta,
                                 const char *resolve_url, download_pool *pool, mlxe_error *err)
{
    const char *repo = buf_str(&d->repo_dir);
    strv etag = strv_of(meta->etag);
    const hub_watch *w = d->watch;
    cache_lock lock;
    uint64_t bytes = 0;
    int there;
    mlxe_status rc =
        cache_lock_take(buf_str(&d->cache), buf_str(&d->repo_name), etag, w ? w->cancel : NULL,
                        w ? w->deadline_ns : 0, &d->h->log, &lock, err);
    if (rc) return rc;
    if (!d->force && download_present(d, f->path, f->entry, &bytes) && bytes == meta->size) {
        meter_found(&d->count, meta->size);
        goto out;
    }
    there =
        !d->force && cache_blob_size(buf_str(&d->cache), repo, etag, &bytes) && bytes == meta->size;
    if (there) {
        partial_sweep_sidecars(repo, etag);
        meter_found(&d->count, meta->size);
    } else {
        partial_sweep(repo, etag);
        rc = download_room(d, meta->size, err);
        if (!rc) rc = fetch_blob(d, r, meta, resolve_url, pool, err);
    }
    if (!rc) rc = show_blob(d, f->path, etag, there ? CACHE_SHARE : CACHE_MOVE, err);
out:
    cache_lock_release(&lock);
    return rc;
}

/* Links a listed file whose blob is here already, by another revision or by adoption: the server
 * need not be asked. -> 1: *rc is the outcome; 0: it is not here */
static int link_present(download *d, const download_file *f, mlxe_status *rc, mlxe_error *err)
{
    const char *repo = buf_str(&d->repo_dir);
    const hub_watch *w = d->watch;
    cache_lock lock;
    uint64_t bytes = 0;
    int there;
    if (!f->entry || f->meta || d->force) return 0;
    strv etag = hub_entry_etag(f->entry);
    if (!cache_blob_size(buf_str(&d->cache), repo, etag, &bytes) || bytes != f->entry->size)
        return 0;
    *rc = cache_lock_take(buf_str(&d->cache), buf_str(&d->repo_name), etag, w ? w->cancel : NULL,
                          w ? w->deadline_ns : 0, &d->h->log, &lock, err);
    if (*rc) return 1;
    there = cache_blob_size(buf_str(&d->cache), repo, etag, &bytes) && bytes == f->entry->size;
    if (there) {
        partial_sweep_sidecars(repo, etag);
        meter_found(&d->count, bytes);
        *rc = show_blob(d, f->path, etag, CACHE_SHARE, err);
    }
    cache_lock_release(&lock);
    return there;
}

static mlxe_status fetch_or_link(download *d, requester *r, download_file *f, download_pool *pool,
                                 mlxe_error *err)
{
    hub_meta asked = {0}, *meta = f->meta ? f->meta : &asked;
    hub_fault fault;
    buf url = {0};
    mlxe_status rc = MLXE_OK;
    if (link_present(d, f, &rc, err)) return rc;
    url_of_file(&url, d->h, d->repo, d->commit, f->path);
    if (!buf_ok(&url)) rc = err_memory(err, "URL", 0);
    if (!rc && !f->meta)
        rc = download_head(d, r, buf_str(&url), f->entry ? f->entry->size : HUB_SIZE_UNTOLD, meta,
                           &fault, err);
    if (!rc) rc = meta_agrees(d, f->entry, meta, buf_str(&url), err);
    if (!rc) rc = download_blob(d, r, f, meta, buf_str(&url), pool, err);
    hub_meta_deinit(&asked);
    buf_deinit(&url);
    return rc;
}

/* A file of local_dir that is what the listing says, whoever put it there. -> 1: *rc is the
 * outcome; 0: it is to be fetched, and may replace another, which is said. */
static int local_present(download *d, const download_file *f, mlxe_status *rc, mlxe_error *err)
{
    strv etag = hub_entry_etag(f->entry);
    local_look look = local_file_look(d->local_dir, f->entry, d->commit);
    buf path = {0};
    hub_verdict verdict = HUB_HASH_BAD;
    uint64_t bytes = 0;
    *rc = MLXE_OK;
    if (look == LOCAL_UNSURE)
        *rc = hub_hash_file(fs_join(&path, d->local_dir, f->path.p), etag,
                            d->watch ? d->watch->cancel : NULL, &verdict, &bytes, err);
    if (!*rc && verdict == HUB_HASH_GOOD) look = LOCAL_OLDER;
    if (!*rc && (look == LOCAL_UNSURE || look == LOCAL_CHANGED))
        log_line(&d->h->log, MLXE_LOG_WARN, "%s/%s: is not what the Hub has, it is replaced",
                 d->local_dir, f->path.p);
    buf_deinit(&path);
    if (*rc) return 1;
    if (look < LOCAL_OLDER) return 0;
    meter_found(&d->count, f->entry->size);
    *rc = look == LOCAL_THERE ? MLXE_OK : local_note(d->local_dir, f->path, d->commit, etag, err);
    return 1;
}

/* Into the folder: what is there is hashed, what the cache has is copied, the rest is fetched. */
static mlxe_status local_fetch(download *d, requester *r, download_file *f, download_pool *pool,
                               mlxe_error *err)
{
    const hub_watch *w = d->watch;
    const atomic_int *cancel = w ? w->cancel : NULL;
    buf repo = {0};
    cache_lock lock;
    mlxe_status rc = local_lock_take(d->local_dir, f->path, cancel, w ? w->deadline_ns : 0,
                                     &d->h->log, &lock, err);
    if (rc) return rc;
    if (d->force || !local_present(d, f, &rc, err)) {
        cache_repo_path(&repo, d->h->cache, d->repo->type, strv_of(d->repo->id));
        if (!d->force)
            local_copy(buf_str(&d->repo_dir), d->h->cache, buf_str(&repo), f->entry, cancel);
        rc = fetch_or_link(d, r, f, pool, err);
    }
    cache_lock_release(&lock);
    buf_deinit(&repo);
    return rc;
}

static mlxe_status file_fetch(download *d, requester *r, download_file *f, download_pool *pool,
                              mlxe_error *err)
{
    return d->local_dir ? local_fetch(d, r, f, pool, err) : fetch_or_link(d, r, f, pool, err);
}

/* ---- the pool -------------------------------------------------------------------------------- */

struct download_pool {
    download *d;
    download_file *files;
    size_t n, next, running, failed;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    transfer *streams[MAX_STREAMS]; /* large files that helpers may join */
    int workers;                    /* alive */
};

void pool_publish(download_pool *pool, transfer *t)
{
    if (!pool || t->part->n_chunks < 2) return;
    pthread_mutex_lock(&pool->lock);
    for (size_t i = 0; i < MAX_STREAMS; i++) {
        if (pool->streams[i]) continue;
        pool->streams[i] = t;
        break;
    }
    pthread_mutex_unlock(&pool->lock);
}

void pool_withdraw(download_pool *pool, transfer *t)
{
    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    for (size_t i = 0; i < MAX_STREAMS; i++)
        if (pool->streams[i] == t) pool->streams[i] = NULL;
    pthread_mutex_unlock(&pool->lock);
    /* A helper that joined while the owner ended is counted in and leaves at once. */
    pthread_mutex_lock(&t->lock);
    while (t->users)
        pthread_cond_wait(&t->changed, &t->lock);
    pthread_mutex_unlock(&t->lock);
}

/* The next file, or NULL: none is left, or one failed. */
static download_file *file_take(download_pool *p)
{
    download_file *f = NULL;
    pthread_mutex_lock(&p->lock);
    while (p->next < p->n && p->files[p->next].present)
        p->next++;
    if (p->next < p->n && !p->failed) {
        f = &p->files[p->next++];
        p->running++;
    }
    pthread_mutex_unlock(&p->lock);
    return f;
}

static void file_done(download_pool *p, download_file *f, mlxe_status rc)
{
    pthread_mutex_lock(&p->lock);
    f->status = rc;
    p->running--;
    if (rc) p->failed++;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

/* Helps one large file. -> 0: no file runs any more */
static int help_one(download_pool *p, requester *r)
{
    transfer *t = NULL;
    int running;
    pthread_mutex_lock(&p->lock);
    running = p->running > 0;
    for (size_t i = 0; i < MAX_STREAMS && !t; i++)
        if (p->streams[i] && transfer_join(p->streams[i])) t = p->streams[i];
    if (!t && running) requester_rest(r);
    if (!t && running) cond_wait_until(&p->changed, &p->lock, clock_ns() + 20 * 1000000LL);
    pthread_mutex_unlock(&p->lock);
    if (t) transfer_help(t, r);
    return running;
}

static void *worker_main(void *arg)
{
    download_pool *p = arg;
    requester r;
    download_file *f;
    mlxe_error err = {0};
    mlxe_status opened = requester_open(p->d->h, p->d->watch, &r, &err);
    while ((f = file_take(p))) {
        if (opened) f->error = err;
        file_done(p, f, opened ? opened : file_fetch(p->d, &r, f, p, &f->error));
    }
    while (!opened && help_one(p, &r)) {}
    requester_close(&r);
    pthread_mutex_lock(&p->lock);
    p->workers--;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static mlxe_status failures(const download_file *files, size_t n, size_t failed, mlxe_error *err)
{
    const download_file *first = NULL;
    for (size_t i = 0; i < n; i++) {
        /* What was cancelled says less than why. */
        if (files[i].status && (!first || first->status == MLXE_E_CANCELLED)) first = &files[i];
    }
    if (!first) return MLXE_OK;
    if (err) *err = first->error;
    if (failed > 1) err_prefix(err, "%zu files failed, the first", failed);
    return first->status;
}

static uint64_t file_bytes(const download_file *f)
{
    return f->meta ? f->meta->size : f->entry ? f->entry->size : 0;
}

mlxe_status download_files(download *d, download_file *files, size_t n, mlxe_error *err)
{
    download_pool p = {.d = d, .files = files, .n = n};
    pthread_t threads[64];
    size_t wanted = 0;
    uint64_t largest = 0;
    int started = 0, most = d->h->workers;
    mlxe_status rc = MLXE_OK;
    for (size_t i = 0; i < n; i++) {
        wanted += !files[i].present;
        if (!files[i].present && file_bytes(&files[i]) > largest) largest = file_bytes(&files[i]);
    }
    if (!wanted) return MLXE_OK;
    if (largest < RANGED_FROM_BYTES && wanted < (size_t)most) most = (int)wanted;
    if (pthread_mutex_init(&p.lock, NULL)) return err_memory(err, "download", 0);
    if (cond_init(&p.changed)) {
        pthread_mutex_destroy(&p.lock);
        return err_memory(err, "download", 0);
    }
    pthread_mutex_lock(&p.lock);
    for (; started < most && !rc; started += !rc) {
        rc = thread_start(&threads[started], "mlxe-hub", worker_main, &p, err);
        if (!rc) p.workers++;
    }
    if (started) rc = MLXE_OK; /* fewer are enough */
    while (p.workers) {
        cond_wait_until(&p.changed, &p.lock, clock_ns() + TELL_MS * 1000000LL);
        pthread_mutex_unlock(&p.lock);
        meter_tell(&d->count, d->watch, NULL);
        pthread_mutex_lock(&p.lock);
    }
    pthread_mutex_unlock(&p.lock);
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    pthread_cond_destroy(&p.changed);
    pthread_mutex_destroy(&p.lock);
    return rc ? rc : failures(files, n, p.failed, err);
}
