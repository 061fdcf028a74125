/* hashes.c: the hashes of the files that are served: each computed once, by one thread, remembered.
 *
 *   (dev, ino, size, mtime, ctime) -> sha256, git sha1, or a verdict on an etag
 *   file: "mlxengine-hashes 1" then a line a file: dev ino size mtime ctime sha256|- sha1|-
 *
 * Invariants
 *   A hash is kept for a file that did not change while it was read, and only if its last change
 *   was YOUNG_NS ago when reading began: within one tick of the file system's clock a second change
 *   leaves no trace. ctime cannot be set by anyone, so an old mtime put back does not deceive.
 *   What is kept on the disk is replaced by rename; a file that does not read is as good as none.
 *
 * Threads: any may ask; one worker hashes, in the order asked, so that ten requests for a large
 * file read it once and a request never waits for the disk longer than it says. */
#define _XOPEN_SOURCE 700
#include "hub/mirror/mirror.h"

#include "base/fs.h"
#include "base/thread.h"
#include "hub/hash.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BUCKETS = 1024, FILE_LIMIT_BYTES = 64 << 20 };
#define YOUNG_NS INT64_C(2000000000)
static const char HEAD[] = "mlxengine-hashes 1\n";

typedef struct key {
    uint64_t dev, ino, size;
    int64_t mtime_ns, ctime_ns;
} key;

typedef struct entry {
    key key;
    char sha256[65], git_sha1[41];                          /* "" while unknown */
    char good[HUB_ETAG_CHARS + 1], bad[HUB_ETAG_CHARS + 1]; /* etags that were checked otherwise */
    int young, failed;
    struct entry *next;
} entry;

typedef struct work {
    char *path;
    key key;
    char etag[HUB_ETAG_CHARS + 1]; /* a file's name to check, or "" */
    hash_kind kind;
    struct work *next;
} work;

struct hashes {
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* work came, or was done */
    entry *buckets[BUCKETS];
    work *queue, **last, *current;
    pthread_t worker;
    atomic_int closing;
    int dirty;
    char *file;
    log_sink log;
};

/* ---- the table ------------------------------------------------------------------------------ */

static int64_t ns(struct timespec t) { return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec; }

static key key_of(const struct stat *info)
{
    return (key){(uint64_t)info->st_dev, (uint64_t)info->st_ino, (uint64_t)info->st_size,
                 ns(info->st_mtim), ns(info->st_ctim)};
}

static int same_key(const key *a, const key *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

/* The entry of a file, made when make is not 0; NULL: none. */
static entry *find(hashes *h, const key *k, int make)
{
    entry **at = &h->buckets[(k->ino ^ (k->dev << 7)) % BUCKETS];
    for (entry *e = *at; e; e = e->next)
        if (same_key(&e->key, k)) return e;
    entry *e = make ? calloc(1, sizeof *e) : NULL;
    if (!e) return NULL;
    e->key = *k;
    e->next = *at;
    return *at = e;
}

static int is_young(const key *k)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t last = k->mtime_ns > k->ctime_ns ? k->mtime_ns : k->ctime_ns;
    return ns(now) - last < YOUNG_NS;
}

static hash_state verdict(const entry *e, const char *etag)
{
    strv name = strv_of(etag);
    if (!hub_is_hex(name, 64) && !hub_is_hex(name, 40)) return HASH_GOOD;
    if (!e) return HASH_UNKNOWN;
    if (strcmp(e->good, etag) == 0) return HASH_GOOD;
    if (strcmp(e->bad, etag) == 0) return HASH_BAD;
    if (name.n == 64 && e->sha256[0]) return strcmp(e->sha256, etag) == 0 ? HASH_GOOD : HASH_BAD;
    if (name.n == 40 && strcmp(e->git_sha1, etag) == 0) return HASH_GOOD;
    return HASH_UNKNOWN;
}

static void note_verdict(hashes *h, entry *e, const char *etag, hash_state state)
{
    strv name = strv_of(etag);
    if (state == HASH_GOOD && name.n == 64)
        memcpy(e->sha256, etag, 65);
    else
        snprintf(state == HASH_GOOD ? e->good : e->bad, sizeof e->good, "%s", etag);
    h->dirty = 1;
}

/* ---- the file ------------------------------------------------------------------------------- */

static void load(hashes *h)
{
    buf text = {0};
    if (!h->file || fs_read(h->file, FILE_LIMIT_BYTES, &text, NULL) ||
        !strv_starts(buf_view(&text), STRV(HEAD)))
        goto out;
    for (const char *p = text.p + sizeof HEAD - 1; *p;) {
        key k;
        char sha256[66] = "", sha1[42] = "";
        if (sscanf(p, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNd64 " %" SCNd64 " %65s %41s",
                   &k.dev, &k.ino, &k.size, &k.mtime_ns, &k.ctime_ns, sha256, sha1) != 7)
            break;
        entry *e = find(h, &k, 1);
        if (e && hub_is_hex(strv_of(sha256), 64)) memcpy(e->sha256, sha256, sizeof e->sha256);
        if (e && hub_is_hex(strv_of(sha1), 40)) memcpy(e->git_sha1, sha1, sizeof e->git_sha1);
        p += strcspn(p, "\n");
        if (*p) p++;
    }
out:
    buf_deinit(&text);
}

static void save(hashes *h)
{
    buf text = {0};
    mlxe_error err;
    if (!h->file || !h->dirty) return;
    buf_add_str(&text, HEAD);
    for (size_t i = 0; i < BUCKETS; i++) {
        for (const entry *e = h->buckets[i]; e; e = e->next) {
            if (e->young || (!e->sha256[0] && !e->git_sha1[0])) continue;
            buf_addf(&text, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64 " %s %s\n",
                     e->key.dev, e->key.ino, e->key.size, e->key.mtime_ns, e->key.ctime_ns,
                     e->sha256[0] ? e->sha256 : "-", e->git_sha1[0] ? e->git_sha1 : "-");
        }
    }
    if (!buf_ok(&text) || fs_replace(h->file, text.p, text.n, &err))
        log_line(&h->log, MLXE_LOG_WARN, "mirror: hashes are not kept: %s",
                 buf_ok(&text) ? err.message : "no memory");
    buf_deinit(&text);
}

/* ---- the worker ----------------------------------------------------------------------------- */

/* Hashes one file; the mutex is not held. -> 1: did so, and the file did not change */
static int hash_one(hashes *h, const work *w, char hex[65], hash_state *state)
{
    struct stat before, after;
    mlxe_error err;
    hub_verdict said = HUB_HASH_UNKNOWN;
    mlxe_status rc = MLXE_OK;
    uint64_t bytes;
    key k;
    hex[0] = 0;
    if (stat(w->path, &before) || (k = key_of(&before), !same_key(&k, &w->key))) return 0;
    if (w->etag[0])
        rc = hub_hash_file(w->path, strv_of(w->etag), &h->closing, &said, &bytes, &err);
    else if (w->kind == HASH_SHA256)
        rc = hub_sha256_file(w->path, &h->closing, hex, &err);
    else
        rc = hub_git_sha1_file(w->path, &h->closing, hex, &err);
    *state = said == HUB_HASH_BAD ? HASH_BAD : HASH_GOOD;
    return !rc && !stat(w->path, &after) && (k = key_of(&after), same_key(&k, &w->key));
}

static void *run(void *arg)
{
    hashes *h = arg;
    pthread_mutex_lock(&h->mutex);
    while (!atomic_load(&h->closing)) {
        work *w = h->queue;
        char hex[65];
        hash_state state = HASH_UNKNOWN;
        if (!w) {
            pthread_cond_wait(&h->changed, &h->mutex);
            continue;
        }
        h->queue = w->next;
        if (!h->queue) h->last = &h->queue;
        h->current = w;
        pthread_mutex_unlock(&h->mutex);
        int young = is_young(&w->key);
        int done = hash_one(h, w, hex, &state);
        pthread_mutex_lock(&h->mutex);
        entry *e = find(h, &w->key, 1);
        if (e) {
            e->failed = !done;
            e->young = young;
            if (done && w->etag[0])
                note_verdict(h, e, w->etag, state);
            else if (done)
                memcpy(w->kind == HASH_SHA256 ? e->sha256 : e->git_sha1, hex,
                       w->kind == HASH_SHA256 ? 65 : 41);
            h->dirty = 1;
        }
        h->current = NULL;
        if (!h->queue) {
            save(h);
            h->dirty = 0;
        }
        pthread_cond_broadcast(&h->changed);
        free(w->path);
        free(w);
    }
    pthread_mutex_unlock(&h->mutex);
    return NULL;
}

static int is_same_work(const work *w, const key *k, const char *etag, hash_kind kind)
{
    return w && same_key(&w->key, k) && strcmp(w->etag, etag) == 0 && w->kind == kind;
}

/* Asks for work, unless it is asked for already. */
static void ask(hashes *h, const char *path, const key *k, const char *etag, hash_kind kind)
{
    if (is_same_work(h->current, k, etag, kind)) return;
    for (const work *w = h->queue; w; w = w->next)
        if (is_same_work(w, k, etag, kind)) return;
    work *w = calloc(1, sizeof *w);
    if (!w || !(w->path = strdup(path))) {
        free(w);
        return;
    }
    w->key = *k;
    w->kind = kind;
    snprintf(w->etag, sizeof w->etag, "%s", etag);
    *h->last = w;
    h->last = &w->next;
    pthread_cond_broadcast(&h->changed);
}

/* What is remembered of a file that was young when it was hashed does not count any more. */
static void forget_young(entry *e)
{
    if (!e || !e->young || is_young(&e->key)) return;
    e->sha256[0] = e->git_sha1[0] = e->good[0] = e->bad[0] = 0;
    e->young = 0;
}

/* ---- questions ------------------------------------------------------------------------------ */

mlxe_status hashes_get(hashes *h, const char *path, const struct stat *info, hash_kind kind,
                       int wait_ms, char out[65], mlxe_error *err)
{
    key k = key_of(info);
    int64_t deadline = clock_ns() + (int64_t)wait_ms * 1000000;
    mlxe_status rc = MLXE_OK;
    out[0] = 0;
    pthread_mutex_lock(&h->mutex);
    entry *e = find(h, &k, 1);
    forget_young(e);
    if (e) e->failed = 0;
    while (!rc && !out[0]) {
        if (!e) {
            rc = err_memory(err, path, sizeof *e);
        } else if ((kind == HASH_SHA256 ? e->sha256 : e->git_sha1)[0]) {
            strcpy(out, kind == HASH_SHA256 ? e->sha256 : e->git_sha1);
        } else if (e->failed || atomic_load(&h->closing)) {
            rc = err_set(err, MLXE_E_IO, "%s: cannot be read, or changes while it is read", path);
        } else {
            ask(h, path, &k, "", kind);
            if (cond_wait_until(&h->changed, &h->mutex, deadline))
                rc = err_set(err, MLXE_E_TIMEOUT, "%s: its hash is being computed", path);
        }
    }
    pthread_mutex_unlock(&h->mutex);
    return rc;
}

hash_state hashes_check(hashes *h, const char *path, const struct stat *info, const char *etag,
                        int wait_ms)
{
    key k = key_of(info);
    int64_t deadline = clock_ns() + (int64_t)wait_ms * 1000000;
    pthread_mutex_lock(&h->mutex);
    entry *e = find(h, &k, wait_ms > 0);
    forget_young(e);
    if (e) e->failed = 0;
    hash_state state = verdict(e, etag);
    while (state == HASH_UNKNOWN && wait_ms > 0 && e && !e->failed && !atomic_load(&h->closing)) {
        ask(h, path, &k, etag, HASH_SHA256);
        int late = cond_wait_until(&h->changed, &h->mutex, deadline);
        state = verdict(e, etag);
        if (late) break;
    }
    pthread_mutex_unlock(&h->mutex);
    return state;
}

void hashes_put(hashes *h, const struct stat *info, const char *etag, hash_state state)
{
    key k = key_of(info);
    if (is_young(&k)) return;
    pthread_mutex_lock(&h->mutex);
    entry *e = find(h, &k, 1);
    if (e) note_verdict(h, e, etag, state);
    pthread_mutex_unlock(&h->mutex);
}

/* ---- open and close ------------------------------------------------------------------------- */

mlxe_status hashes_open(const char *file, const log_sink *log, hashes **out, mlxe_error *err)
{
    *out = NULL;
    hashes *h = calloc(1, sizeof *h);
    if (!h || (file && !(h->file = strdup(file)))) {
        free(h);
        return err_memory(err, "hashes", sizeof *h);
    }
    h->log = *log;
    h->last = &h->queue;
    if (pthread_mutex_init(&h->mutex, NULL)) goto no_memory;
    if (cond_init(&h->changed)) {
        pthread_mutex_destroy(&h->mutex);
        goto no_memory;
    }
    load(h);
    mlxe_status rc = thread_start(&h->worker, "mirror-hash", run, h, err);
    if (!rc) {
        *out = h;
        return MLXE_OK;
    }
    pthread_cond_destroy(&h->changed);
    pthread_mutex_destroy(&h->mutex);
no_memory:
    free(h->file);
    free(h);
    return err_memory(err, "hashes", sizeof *h);
}

void hashes_close(hashes *h)
{
    if (!h) return;
    pthread_mutex_lock(&h->mutex);
    atomic_store(&h->closing, 1);
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->mutex);
    pthread_join(h->worker, NULL);
    save(h);
    while (h->queue) {
        work *w = h->queue;
        h->queue = w->next;
        free(w->path);
        free(w);
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        while (h->buckets[i]) {
            entry *e = h->buckets[i];
            h->buckets[i] = e->next;
            free(e);
        }
    }
    pthread_cond_destroy(&h->changed);
    pthread_mutex_destroy(&h->mutex);
    free(h->file);
    free(h);
}
