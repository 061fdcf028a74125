/* upstream.c: fetches of what the mirror lacks: each in flight once, whoever asks for it.
 *
 *   ask -> flight of that key? -> join it, or begin one -> wait, at most as long as the caller may
 *
 *   key  "R type id revision"    hub's listing of a revision: commit, tree, ref
 *        "F type id commit path" hub_file
 *
 * A flight that ended is remembered for a while: a revision's answer for FRESH_NS, so that a branch
 * is not looked up for each file of it; a failed file for FAILED_NS. A file that arrived is on the
 * disk and needs no memory.
 *
 * A large file is read by its clients while it arrives, from the partial file, whose length tells
 * how far it is: so files are fetched in one stream here. Those bytes are not verified when they
 * leave; server.c holds the last ones back until its own hash of all that it sent fits.
 *
 * Threads: u->lock guards the list and every flight's state; a flight is freed by whoever finds it
 * ended, old and left by all. */
#define _XOPEN_SOURCE 700
#include "hub/mirror/upstream.h"

#include "hub/cache.h"
#include "hub/download.h"
#include "hub/hub_api.h"

#include "base/fs.h"
#include "base/thread.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAX_RUNNING = 16, MAX_KEPT = 4096, POLL_MS = 20, CONNECT_S = 5 };
#define FRESH_NS  INT64_C(60000000000)
#define FAILED_NS INT64_C(5000000000)

struct flight {
    upstream *u;
    char *key, *id, *revision, *path; /* path: NULL for a revision */
    char etag[HUB_ETAG_CHARS + 1];    /* of a file, as listed */
    hub_type type;
    pthread_t thread;
    int ended, users;
    upstream_says says;
    int64_t ended_ns;
    flight *next;
};

struct upstream {
    const mirror *m;
    hub *hub;
    atomic_int stopping;
    pthread_mutex_t lock; /* of all below, and of flights */
    pthread_cond_t changed;
    flight *flights;
    size_t n, running;
};

/* ---- the work -------------------------------------------------------------------------------- */

static upstream_says says_of(mlxe_status rc, const hub_fault *fault)
{
    if (!rc) return UPSTREAM_HERE;
    switch (fault->kind) {
    case KIND_REPO:
    case KIND_AUTH:
        return UPSTREAM_NO_REPO;
    case KIND_REVISION:
        return UPSTREAM_NO_REVISION;
    case KIND_ENTRY:
        return UPSTREAM_NO_ENTRY;
    case KIND_GATED:
    case KIND_DISABLED:
        return UPSTREAM_GATED;
    default:
        return rc == MLXE_E_CORRUPT ? UPSTREAM_BAD : UPSTREAM_AWAY;
    }
}

static upstream_says fetch(flight *f, mlxe_error *err)
{
    upstream *u = f->u;
    const hub_watch watch = {.cancel = &u->stopping};
    const hub_repo repo = {f->type, f->id, f->revision};
    hub_fault fault = {.kind = KIND_NONE};
    hub_want want = {0};
    hub_got got;
    buf path = {0};
    mlxe_status rc;
    if (!f->path) return says_of(download_listing(u->hub, &repo, &watch, &fault, err), &fault);
    rc = hub_file(u->hub, &repo, f->path, &want, &watch, &path, &got, err);
    buf_deinit(&path);
    if (rc == MLXE_E_NOT_FOUND) return UPSTREAM_NO_ENTRY;
    if (rc == MLXE_E_ACCESS) return UPSTREAM_GATED;
    return says_of(rc, &fault);
}

static void *fly(void *arg)
{
    flight *f = arg;
    upstream *u = f->u;
    mlxe_error err = {0};
    upstream_says says = fetch(f, &err);
    if (says == UPSTREAM_HERE)
        log_line(&u->m->log, MLXE_LOG_INFO, "mirror: upstream: %s@%s %s: fetched", f->id,
                 f->revision, f->path ? f->path : "(listing)");
    else if (!atomic_load(&u->stopping))
        log_line(&u->m->log, MLXE_LOG_WARN, "mirror: upstream: %s", err.message);
    pthread_mutex_lock(&u->lock);
    f->says = says;
    f->ended = 1;
    f->ended_ns = clock_ns();
    u->running--;
    pthread_cond_broadcast(&u->changed);
    pthread_mutex_unlock(&u->lock);
    return NULL;
}

/* ---- flights --------------------------------------------------------------------------------- */

static void flight_free(flight *f)
{
    free(f->key);
    free(f->id);
    free(f->revision);
    free(f->path);
    free(f);
}

/* 1: nobody needs it any more. Lock held. */
static int is_old(const flight *f, int64_t now, int crowded)
{
    int64_t keep = f->says != UPSTREAM_HERE ? FAILED_NS : f->path ? 0 : FRESH_NS;
    if (!f->path && (f->says == UPSTREAM_NO_REPO || f->says == UPSTREAM_NO_REVISION))
        keep = FRESH_NS;
    return f->ended && !f->users && (crowded || now - f->ended_ns >= keep);
}

/* Takes out what is old. Lock held; a thread that ended is joined at once. */
static void sweep(upstream *u)
{
    int64_t now = clock_ns();
    int crowded = u->n >= MAX_KEPT;
    for (flight **at = &u->flights; *at;) {
        flight *f = *at;
        if (!is_old(f, now, crowded)) {
            at = &f->next;
            continue;
        }
        *at = f->next;
        u->n--;
        pthread_join(f->thread, NULL);
        flight_free(f);
    }
}

static flight *find(const upstream *u, const char *key)
{
    flight *f = u->flights;
    while (f && strcmp(f->key, key) != 0)
        f = f->next;
    return f;
}

/* Begins a flight; NULL: no memory or no thread. Lock held. */
static flight *begin(upstream *u, const char *key, hub_type type, strv id, strv revision, strv path,
                     strv etag)
{
    flight *f = calloc(1, sizeof *f);
    if (!f) return NULL;
    f->u = u;
    f->type = type;
    f->key = strdup(key);
    f->id = strv_dup(id);
    f->revision = strv_dup(revision);
    f->path = path.n ? strv_dup(path) : NULL;
    snprintf(f->etag, sizeof f->etag, "%.*s", (int)etag.n, etag.n ? etag.p : "");
    if (!f->key || !f->id || !f->revision || (path.n && !f->path) ||
        thread_start(&f->thread, "mirror-fetch", fly, f, NULL)) {
        flight_free(f);
        return NULL;
    }
    f->next = u->flights;
    u->flights = f;
    u->n++;
    u->running++;
    return f;
}

/* Joins or begins the flight of key, and waits for its end. */
static upstream_says ask(upstream *u, const char *key, hub_type type, strv id, strv revision,
                         strv path, strv etag, int wait_ms, flight **out)
{
    int64_t deadline = clock_ns() + (int64_t)wait_ms * 1000000;
    upstream_says says = UPSTREAM_BUSY;
    pthread_mutex_lock(&u->lock);
    sweep(u);
    flight *f = find(u, key);
    if (!f && u->running < MAX_RUNNING && !atomic_load(&u->stopping))
        f = begin(u, key, type, id, revision, path, etag);
    if (f) {
        f->users++;
        while (!f->ended && !atomic_load(&u->stopping))
            if (cond_wait_until(&u->changed, &u->lock, deadline)) break;
        if (f->ended) says = f->says;
        if (out && !f->ended && !atomic_load(&u->stopping))
            *out = f;
        else
            f->users--;
    }
    pthread_mutex_unlock(&u->lock);
    return says;
}

upstream_says upstream_revision(upstream *u, hub_type type, strv id, strv revision, int wait_ms)
{
    buf key = {0};
    upstream_says says = UPSTREAM_BUSY;
    if (!revision.n) revision = STRV("main");
    if (hub_id_check(id, NULL)) return UPSTREAM_NO_REPO;
    if (hub_revision_check(revision, NULL)) return UPSTREAM_NO_REVISION;
    buf_addf(&key, "R %d %.*s %.*s", (int)type, (int)id.n, id.p, (int)revision.n, revision.p);
    if (buf_ok(&key)) says = ask(u, key.p, type, id, revision, (strv){0}, (strv){0}, wait_ms, NULL);
    buf_deinit(&key);
    return says;
}

upstream_says upstream_file(upstream *u, const mirror_repo *repo, const char *commit, strv path,
                            strv etag, int wait_ms, flight **out)
{
    buf key = {0};
    upstream_says says = UPSTREAM_BUSY;
    if (out) *out = NULL;
    buf_addf(&key, "F %d %s %s ", (int)repo->type, repo->id, commit);
    buf_add_strv(&key, path);
    if (buf_ok(&key))
        says =
            ask(u, key.p, repo->type, strv_of(repo->id), strv_of(commit), path, etag, wait_ms, out);
    buf_deinit(&key);
    return says;
}

void flight_leave(flight *f)
{
    if (!f) return;
    pthread_mutex_lock(&f->u->lock);
    f->users--;
    pthread_mutex_unlock(&f->u->lock);
}

mlxe_status upstream_search(upstream *u, hub_type type, const char *query, buf *page, buf *next,
                            int *status, mlxe_error *err)
{
    const hub_watch watch = {.cancel = &u->stopping};
    buf url = {0}, link = {0};
    size_t head;
    hub_fault fault = {.kind = KIND_NONE};
    requester r;
    mlxe_status rc = requester_open(u->hub, &watch, &r, err);
    *status = 502;
    if (rc) return rc;
    r.once = 1;
    buf_addf(&url, "%s/api/%s?", hub_endpoint(u->hub), hub_type_plural(type));
    head = url.n;
    buf_add_str(&url, query);
    rc = buf_ok(&url) ? request_api(&r, buf_str(&url), API_LIMIT_BYTES, page, &link, &fault, err)
                      : err_memory(err, "URL", 0);
    if (rc && fault.status == 400) *status = 400;
    /* A next page anywhere else is none that may be asked for by a query. */
    if (!rc && link.n > head && !memcmp(link.p, url.p, head)) {
        buf_add_str(next, link.p + head);
        if (!buf_ok(next)) rc = err_memory(err, "URL", link.n);
    }
    buf_deinit(&url);
    buf_deinit(&link);
    requester_close(&r);
    return rc;
}

/* ---- reading what arrives -------------------------------------------------------------------- */

/* The file where it is: complete, or the partial one. -1: there is none yet. */
static int open_arriving(const flight *f, int ended)
{
    buf repo = {0}, path = {0};
    const struct dirent *item;
    DIR *dir;
    int fd = -1;
    cache_repo_path(&repo, f->u->m->root, f->type, strv_of(f->id));
    if (ended) {
        fd = open(cache_entry_path(&path, buf_str(&repo), strv_of(f->revision), strv_of(f->path)),
                  O_RDONLY | O_CLOEXEC);
        goto out;
    }
    dir = opendir(fs_join(&path, buf_str(&repo), "blobs"));
    while (dir && fd < 0 && (item = readdir(dir))) {
        strv name = strv_of(item->d_name);
        if (strv_starts(name, strv_of(f->etag)) && strv_ends(name, STRV(".incomplete")))
            fd = openat(dirfd(dir), item->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    }
    if (dir) closedir(dir);
out:
    buf_deinit(&repo);
    buf_deinit(&path);
    return fd;
}

/* Bytes at `at` that are there now; 0: not yet; -1: cannot be read. */
static ssize_t read_now(const flight *f, int *fd, int ended, uint64_t at, char *to, size_t n)
{
    struct stat info;
    ssize_t got;
    if (*fd >= 0 && (fstat(*fd, &info) || info.st_nlink == 0)) {
        close(*fd); /* it was begun anew under another name */
        *fd = -1;
    }
    if (*fd < 0) *fd = open_arriving(f, ended);
    if (*fd < 0) return ended ? -1 : 0;
    do
        got = pread(*fd, to, n, (off_t)at);
    while (got < 0 && errno == EINTR);
    return got == 0 && ended ? -1 : got;
}

ssize_t flight_read(flight *f, int *fd, uint64_t at, char *to, size_t n)
{
    upstream *u = f->u;
    ssize_t got = 0;
    while (!got && !atomic_load(&u->stopping)) {
        pthread_mutex_lock(&u->lock);
        int ended = f->ended;
        int failed = ended && f->says != UPSTREAM_HERE;
        pthread_mutex_unlock(&u->lock);
        if (failed) return -1;
        got = read_now(f, fd, ended, at, to, n);
        if (got) break;
        pthread_mutex_lock(&u->lock);
        if (!f->ended)
            cond_wait_until(&u->changed, &u->lock, clock_ns() + POLL_MS * INT64_C(1000000));
        pthread_mutex_unlock(&u->lock);
    }
    return got ? got : -1;
}

/* ---- replies --------------------------------------------------------------------------------- */

void reply_upstream(mirror_reply *r, upstream_says says)
{
    switch (says) {
    case UPSTREAM_NO_REPO:
        reply_error(r, 404, "RepoNotFound", "Repository not found");
        break;
    case UPSTREAM_NO_REVISION:
        reply_error(r, 404, "RevisionNotFound", "Invalid rev id");
        break;
    case UPSTREAM_NO_ENTRY:
        reply_error(r, 404, "EntryNotFound", "Entry not found");
        break;
    case UPSTREAM_GATED:
        reply_error(r, 403, "GatedRepo", "The upstream of this mirror gives it no access");
        break;
    case UPSTREAM_BAD:
        reply_error(r, 502, NULL, "The upstream of this mirror sends wrong content");
        break;
    case UPSTREAM_AWAY:
        reply_error(r, 502, NULL, "The upstream of this mirror cannot be reached");
        break;
    default:
        /* 429 and not 503: Python waits for the one and gives up at the other. */
        reply_error(r, 429, NULL, "This mirror is fetching it, ask again");
        reply_header(r, "Retry-After", "2");
    }
}

/* ---- open and close -------------------------------------------------------------------------- */

mlxe_status upstream_open(const mirror *m, const char *url, const char *token, upstream **out,
                          mlxe_error *err)
{
    const hub_settings settings = {.endpoint = url,
                                   .cache = m->root,
                                   .token = token,
                                   .token_from = token && *token ? HUB_TOKEN_GIVEN : HUB_TOKEN_NONE,
                                   .etag_timeout_s = CONNECT_S,
                                   .one_stream = 1,
                                   .log = m->log};
    upstream *u = calloc(1, sizeof *u);
    *out = NULL;
    if (!u) return err_memory(err, "upstream", sizeof *u);
    u->m = m;
    if (pthread_mutex_init(&u->lock, NULL)) {
        free(u);
        return err_memory(err, "upstream", 0);
    }
    if (cond_init(&u->changed)) {
        pthread_mutex_destroy(&u->lock);
        free(u);
        return err_memory(err, "upstream", 0);
    }
    mlxe_status rc = hub_open(&settings, &u->hub, err);
    if (rc)
        upstream_close(u);
    else
        *out = u;
    return rc;
}

void upstream_stop(upstream *u)
{
    if (!u) return;
    atomic_store(&u->stopping, 1);
    pthread_mutex_lock(&u->lock);
    pthread_cond_broadcast(&u->changed);
    pthread_mutex_unlock(&u->lock);
}

void upstream_close(upstream *u)
{
    if (!u) return;
    upstream_stop(u);
    while (u->flights) {
        flight *f = u->flights;
        u->flights = f->next;
        pthread_join(f->thread, NULL);
        flight_free(f);
    }
    hub_close(u->hub);
    pthread_cond_destroy(&u->changed);
    pthread_mutex_destroy(&u->lock);
    free(u);
}
