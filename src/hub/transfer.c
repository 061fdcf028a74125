/* transfer.c: chunks of a file, each in as many requests as it takes.
 *
 *   chunk:  from = what is here -> GET bytes=from-to -> 206, right place? -> pwrite, note, hash
 *
 * A small file is one chunk without a Range header, hashed as it comes. A large file's chunks come
 * in any order; a thread of its own follows the first gap and hashes what lies before it, from the
 * page cache. So the hash costs no time after the last byte, and memory stays small whatever the
 * size.
 *
 * Invariants
 *   Bytes go where Content-Range says only if that is what was asked for; a 200 where a range was
 *   asked for starts the file anew. Not one byte beyond a chunk's end is written.
 *   Progress forgives: the tries count from the last byte that came.
 *
 * Traps: a 206 from another place gave corrupt files of the right size elsewhere: Content-Range is
 * required. A storage host's own ETag is of use for If-Range and for nothing else. */
#define _XOPEN_SOURCE 700
#include "hub/transfer.h"

#include "base/thread.h"
#include "hub/cache_dir.h"
#include "hub/hub_state.h"
#include "hub/request_fault.h"
#include "hub/url.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    TRIES = 5,
    MAX_REFRESHES = 3,
    HASH_BYTES = 1 << 20,
    NOTE_BYTES = 1 << 20,
    DRIP_BYTES = 64 << 10
};

mlxe_status transfer_open(transfer *t, hub *h, meter *count, const hub_meta *meta,
                          const char *resolve_url, partial *part, mlxe_error *err)
{
    *t = (transfer){.h = h,
                    .count = count,
                    .meta = meta,
                    .resolve_url = resolve_url,
                    .part = part,
                    .stored = meta->stored};
    t->taken = calloc(part->n_chunks, 1);
    buf_add_strv(&t->url, buf_view(&meta->url));
    if (!t->taken || !buf_ok(&t->url) || pthread_mutex_init(&t->lock, NULL)) {
        free(t->taken);
        buf_deinit(&t->url);
        return err_memory(err, "transfer", part->n_chunks);
    }
    if (cond_init(&t->changed)) {
        pthread_mutex_destroy(&t->lock);
        free(t->taken);
        buf_deinit(&t->url);
        return err_memory(err, "transfer", 0);
    }
    return MLXE_OK;
}

void transfer_close(transfer *t)
{
    hub_hash_close(t->hash);
    pthread_mutex_destroy(&t->lock);
    pthread_cond_destroy(&t->changed);
    free(t->taken);
    buf_deinit(&t->url);
}

static uint64_t chunk_start(const partial *p, size_t k) { return (uint64_t)k * p->chunk_bytes; }

static uint64_t chunk_end(const partial *p, size_t k)
{
    uint64_t end = chunk_start(p, k) + p->chunk_bytes;
    return end < p->size ? end : p->size;
}

/* Ends the transfer; the first reason stays. */
static void end_with(transfer *t, transfer_end end, mlxe_status status, const mlxe_error *err)
{
    pthread_mutex_lock(&t->lock);
    if (!t->stop) {
        t->stop = 1;
        t->end = end;
        t->status = status;
        if (err) t->error = *err;
    }
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

static int stopped(transfer *t)
{
    int stop;
    pthread_mutex_lock(&t->lock);
    stop = t->stop;
    pthread_mutex_unlock(&t->lock);
    return stop;
}

/* ---- one request of a chunk ------------------------------------------------------------------ */

typedef enum piece_problem {
    PIECE_NONE,
    PIECE_CHANGED,   /* other content than the HEAD told of */
    PIECE_RANGE,     /* a 206 from another place */
    PIECE_NO_RANGES, /* 200 where a range of a large file was asked for */
    PIECE_FATAL      /* the error in err is the transfer's */
} piece_problem;

typedef struct piece {
    transfer *t;
    size_t k;
    uint64_t at, noted; /* next offset; how far the map knows */
    uint64_t limit;     /* where the answer that comes now ends */
    int ranged, inline_hash;
    uint64_t came;
    piece_problem problem;
} piece;

/* Takes a number and the character after it off *text. -> 0: there is none */
static int take_number(strv *text, char stop, uint64_t *out)
{
    size_t n = 0;
    while (n < text->n && text->p[n] != stop)
        n++;
    if (!parse_size(strv_from(text->p, n), out)) return 0;
    n += n < text->n;
    *text = strv_from(text->p + n, text->n - n);
    return 1;
}

/* The end of "bytes 10-99/100", 100, when it begins at `from`, ends at `end` or before it, and is
 * of total; else 0. A server may send less than it was asked for. */
static uint64_t range_end(strv value, uint64_t from, uint64_t end, uint64_t total)
{
    uint64_t first, last, size;
    if (!strv_starts(value, STRV("bytes "))) return 0;
    value = strv_from(value.p + 6, value.n - 6);
    if (!take_number(&value, '-', &first) || !take_number(&value, '/', &last) ||
        !parse_size(value, &size))
        return 0;
    return first == from && last >= first && last < end && size == total ? last + 1 : 0;
}

static mlxe_status refuse(piece *p, piece_problem problem, mlxe_status code, mlxe_error *err,
                          const char *text)
{
    p->problem = problem;
    return err_set(err, code, "%s: %s", p->t->resolve_url, text);
}

/* A one-stream file starts anew: the server sends it from its first byte. */
static mlxe_status start_over(piece *p, mlxe_error *err)
{
    partial *part = p->t->part;
    mlxe_status rc;
    if (p->at == 0) return MLXE_OK;
    meter_lost(p->t->count, p->at);
    rc = partial_restart(part, part->size, err);
    if (rc) p->problem = PIECE_FATAL;
    hub_hash_restart(p->t->hash);
    p->at = p->noted = 0;
    return rc;
}

/* A storage has an ETag of its own, unless it says of which commit it speaks. */
static int same_as_promised(const piece *p, const http_answer *a, request_from from)
{
    const hub_meta *m = p->t->meta;
    strv commit = http_header(a, "x-repo-commit"), etag = http_header(a, "x-linked-etag");
    if (!etag.p && (from == FROM_ENDPOINT || commit.p)) etag = http_header(a, "etag");
    if (commit.p && !strv_is(commit, m->commit)) return 0;
    return !etag.p || strv_is(hub_etag_plain(etag), m->etag);
}

static mlxe_status on_head(void *user, const http_answer *a, request_from from, mlxe_error *err)
{
    piece *p = user;
    partial *part = p->t->part;
    strv encoding = http_header(a, "content-encoding"), length = http_header(a, "content-length");
    uint64_t end = chunk_end(part, p->k), promised;
    mlxe_status rc;
    if (encoding.n && !strv_is(encoding, "identity"))
        return refuse(p, PIECE_FATAL, MLXE_E_CORRUPT, err,
                      "the server sends the file compressed, which nobody asked for");
    if (from != FROM_ELSEWHERE && !same_as_promised(p, a, from))
        return refuse(p, PIECE_CHANGED, MLXE_E_CORRUPT, err,
                      "the file changed while it was fetched");
    if (a->status == 206) {
        p->limit =
            p->ranged ? range_end(http_header(a, "content-range"), p->at, end, part->size) : 0;
        if (!p->limit)
            return refuse(p, PIECE_RANGE, MLXE_E_CORRUPT, err,
                          "the server sends another range than was asked for");
        promised = p->limit - p->at;
    } else if (part->n_chunks > 1) {
        return refuse(p, PIECE_NO_RANGES, MLXE_E_CORRUPT, err, "the server ignores ranges");
    } else {
        if ((rc = start_over(p, err))) return rc;
        p->limit = promised = part->size;
    }
    if (length.p) {
        uint64_t told;
        if (!parse_size(length, &told) || told != promised) {
            p->problem = PIECE_FATAL;
            return err_set(err, MLXE_E_CORRUPT, "%s: the server sends %.*s bytes, want %llu",
                           p->t->resolve_url, (int)length.n, length.p,
                           (unsigned long long)promised);
        }
    }
    pthread_mutex_lock(&p->t->lock);
    partial_http_etag(part, http_header(a, "etag"));
    p->t->proven = 1;
    pthread_cond_broadcast(&p->t->changed);
    pthread_mutex_unlock(&p->t->lock);
    return MLXE_OK;
}

static mlxe_status on_body(void *user, const char *bytes, size_t n, mlxe_error *err)
{
    piece *p = user;
    transfer *t = p->t;
    partial *part = t->part;
    if (n > p->limit - p->at)
        return refuse(p, PIECE_FATAL, MLXE_E_CORRUPT, err,
                      "the server sends more bytes than the file has");
    for (size_t done = 0; done < n;) {
        ssize_t w = pwrite(part->fd, bytes + done, n - done, (off_t)(p->at + done));
        if (w < 0 && errno == EINTR) continue;
        if (w <= 0) {
            p->problem = PIECE_FATAL;
            return cache_io_error(part->repo, "write a file in blobs", w ? errno : EIO, err);
        }
        done += (size_t)w;
    }
    if (p->inline_hash) hub_hash_add(t->hash, bytes, n);
    p->at += n;
    p->came += n;
    meter_add(t->count, n);
    int noting = p->at - p->noted >= NOTE_BYTES || p->at == chunk_end(part, p->k);
    pthread_mutex_lock(&t->lock);
    part->done[p->k] = p->at - chunk_start(part, p->k);
    if (noting) {
        partial_note(part, p->k, part->done[p->k]);
        pthread_cond_broadcast(&t->changed); /* the hash's thread wants no less at a time */
    }
    n = (size_t)t->stop;
    pthread_mutex_unlock(&t->lock);
    if (noting) {
        partial_write_back(part, p->noted, p->at);
        p->noted = p->at;
    }
    if (!n) return MLXE_OK;
    p->problem = PIECE_FATAL;
    return err_set(err, MLXE_E_CANCELLED, "%s: given up", t->resolve_url);
}

/* One GET for what chunk k still lacks. */
static mlxe_status piece_get(piece *p, requester *r, hub_fault *fault, int *turn, mlxe_error *err)
{
    transfer *t = p->t;
    partial *part = t->part;
    request_sink sink = {on_head, on_body, p, 0};
    char range[64], if_range[132];
    buf url = {0};
    mlxe_status rc;
    pthread_mutex_lock(&t->lock);
    buf_add_strv(&url, buf_view(&t->url));
    *turn = t->url_turn;
    sink.stored = t->stored;
    memcpy(if_range, part->http_etag, sizeof if_range);
    pthread_mutex_unlock(&t->lock);
    p->ranged = part->n_chunks > 1 || p->at > 0;
    p->problem = PIECE_NONE;
    p->came = 0;
    snprintf(range, sizeof range, "%llu-%llu", (unsigned long long)p->at,
             (unsigned long long)(chunk_end(part, p->k) - 1));
    if (part->n_chunks == 1) *(strchr(range, '-') + 1) = 0;
    if (!buf_ok(&url)) {
        p->problem = PIECE_FATAL;
        rc = err_memory(err, "URL", 0);
    } else {
        rc = request_get(r, buf_str(&url), p->ranged ? range : NULL,
                         p->ranged && if_range[0] ? if_range : NULL, &sink, fault, err);
    }
    buf_deinit(&url);
    return rc;
}

/* ---- a signed URL that ran out --------------------------------------------------------------- */

/* Gets a fresh URL, unless another thread did since `turn`. */
static mlxe_status refresh(transfer *t, requester *r, int turn, hub_fault *fault, mlxe_error *err)
{
    hub_meta fresh = {0};
    mlxe_status rc = MLXE_OK;
    int mine;
    pthread_mutex_lock(&t->lock);
    mine = t->url_turn == turn && t->refreshes < MAX_REFRESHES;
    if (mine) t->refreshes++;
    pthread_mutex_unlock(&t->lock);
    if (!mine && t->url_turn != turn) return MLXE_OK;
    if (!mine) return MLXE_E_ACCESS; /* err says what the storage host said */
    rc = request_head(r, t->resolve_url, 0, &fresh, fault, err);
    if (!rc && (strcmp(fresh.etag, t->meta->etag) != 0 ||
                (fresh.size != t->meta->size && fresh.size != HUB_SIZE_UNTOLD))) {
        fault->kind = KIND_METADATA;
        rc = err_set(err, MLXE_E_CORRUPT, "%s: the file changed while it was fetched",
                     t->resolve_url);
    }
    if (!rc) {
        pthread_mutex_lock(&t->lock);
        buf_clear(&t->url);
        buf_add_strv(&t->url, buf_view(&fresh.url));
        t->stored = fresh.stored;
        t->url_turn++;
        pthread_mutex_unlock(&t->lock);
    }
    hub_meta_deinit(&fresh);
    return rc;
}

/* ---- a chunk --------------------------------------------------------------------------------- */

/* Fetches the rest of chunk k, trying again as long as that helps. Failing ends the transfer. */
static void chunk_fetch(transfer *t, requester *r, size_t k, int inline_hash)
{
    partial *part = t->part;
    piece p = {.t = t, .k = k, .inline_hash = inline_hash};
    hub_fault fault;
    mlxe_error err = {0};
    mlxe_status rc;
    int tries = 0, turn = 0;
    p.at = p.noted = chunk_start(part, k) + part->done[k];
    while (p.at < chunk_end(part, k) && !stopped(t)) {
        rc = piece_get(&p, r, &fault, &turn, &err);
        if (!rc && p.at == chunk_end(part, k)) return;
        partial_note(part, k, p.at - chunk_start(part, k));
        if (!rc && p.came && p.at == p.limit) continue; /* the server's pieces are smaller */
        if (!rc) {                                      /* a clean end before the last byte */
            fault = (hub_fault){KIND_NET, 0, HTTP_WHY_RESET, -1};
            rc = err_set(&err, MLXE_E_CORRUPT, "%s: the server sends %llu bytes, want %llu",
                         t->resolve_url, (unsigned long long)p.at,
                         (unsigned long long)chunk_end(part, k));
        }
        if (p.problem == PIECE_FATAL || fault.kind == KIND_STOP) {
            end_with(t, TRANSFER_FAILED, rc, &err);
        } else if (p.problem == PIECE_CHANGED) {
            end_with(t, TRANSFER_CHANGED, rc, &err);
        } else if (p.problem == PIECE_NO_RANGES) {
            end_with(t, TRANSFER_NO_RANGES, rc, &err);
        } else if (fault.kind == KIND_EXPIRED) {
            rc = refresh(t, r, turn, &fault, &err);
            if (rc && fault.kind == KIND_METADATA)
                end_with(t, TRANSFER_CHANGED, rc, &err);
            else if (rc)
                end_with(t, TRANSFER_FAILED, rc, &err);
        } else {
            int restart = p.problem == PIECE_RANGE || fault.kind == KIND_RANGE;
            /* A server that drips must not hold us for ever: few bytes, then silence, are none. */
            int moved = p.came > (fault.why == HTTP_WHY_TIMEOUT ? DRIP_BYTES : 0);
            if (moved) tries = 0;
            if (restart && part->n_chunks == 1 && start_over(&p, &err)) {
                end_with(t, TRANSFER_FAILED, err.code, &err);
                return;
            }
            if ((!restart && !fault_retryable(&fault)) || ++tries >= TRIES) {
                end_with(t, TRANSFER_FAILED, rc, &err);
            } else if (!moved && !fault_wait(r, &fault, tries)) {
                rc = stop_error(r, &fault, rc, &err);
                end_with(t, TRANSFER_FAILED, rc, &err);
            } else {
                log_line(&t->h->log, MLXE_LOG_INFO, "trying again: %s", err.message);
            }
        }
    }
}

/* A chunk that nobody works on and that lacks bytes; n_chunks: none. Lock held. */
static size_t chunk_take(transfer *t)
{
    partial *part = t->part;
    for (size_t k = 0; k < part->n_chunks && !t->stop; k++) {
        if (t->taken[k]) continue;
        if (chunk_start(part, k) + part->done[k] == chunk_end(part, k)) {
            t->taken[k] = 1;
            t->n_taken++;
            continue;
        }
        t->taken[k] = 1;
        t->n_taken++;
        return k;
    }
    return part->n_chunks;
}

static void chunks_fetch(transfer *t, requester *r)
{
    for (;;) {
        size_t k;
        pthread_mutex_lock(&t->lock);
        k = chunk_take(t);
        pthread_mutex_unlock(&t->lock);
        if (k == t->part->n_chunks) return;
        chunk_fetch(t, r, k, 0);
    }
}

int transfer_join(transfer *t)
{
    int may;
    pthread_mutex_lock(&t->lock);
    may = t->proven && !t->stop && t->part->n_chunks > 1 && t->n_taken < t->part->n_chunks &&
          t->users + 1 < RANGE_THREADS;
    if (may) t->users++;
    pthread_mutex_unlock(&t->lock);
    return may;
}

void transfer_help(transfer *t, requester *r)
{
    chunks_fetch(t, r);
    pthread_mutex_lock(&t->lock);
    t->users--;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

/* ---- hashing --------------------------------------------------------------------------------- */

/* Hashes bytes [from, to) of the partial file. */
static int hash_span(transfer *t, char *room, uint64_t from, uint64_t to)
{
    while (from < to) {
        size_t want = to - from < HASH_BYTES ? (size_t)(to - from) : HASH_BYTES;
        ssize_t n = pread(t->part->fd, room, want, (off_t)from);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return 0;
        hub_hash_add(t->hash, room, (size_t)n);
        from += (uint64_t)n;
    }
    return 1;
}

/* End of the run of bytes from the file's start without a gap. Lock held. */
static uint64_t contiguous(const transfer *t, size_t *k)
{
    const partial *p = t->part;
    while (*k < p->n_chunks && chunk_start(p, *k) + p->done[*k] == chunk_end(p, *k))
        ++*k;
    return *k == p->n_chunks ? p->size : chunk_start(p, *k) + p->done[*k];
}

static void *hash_follow(void *arg)
{
    transfer *t = arg;
    char *room = malloc(HASH_BYTES);
    uint64_t hashed = 0, to = 0;
    size_t k = 0;
    int good = room != NULL;
    while (good && hashed < t->part->size) {
        pthread_mutex_lock(&t->lock);
        while (!t->stop && (to = contiguous(t, &k)) < t->part->size && to - hashed < HASH_BYTES)
            pthread_cond_wait(&t->changed, &t->lock);
        good = !t->stop;
        pthread_mutex_unlock(&t->lock);
        good = good && hash_span(t, room, hashed, to);
        hashed = to;
    }
    free(room);
    pthread_mutex_lock(&t->lock);
    t->hash_done = 1;
    t->hash_failed = !good;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

/* ---- the owner ------------------------------------------------------------------------------- */

static void run_stream(transfer *t, requester *r)
{
    char *room = malloc(HASH_BYTES);
    mlxe_error err;
    if (!room)
        end_with(t, TRANSFER_FAILED, err_memory(&err, "hash", HASH_BYTES), &err);
    else if (!hash_span(t, room, 0, t->part->done[0]))
        end_with(t, TRANSFER_FAILED,
                 cache_io_error(t->part->repo, "read a partial file", errno, &err), &err);
    free(room);
    if (!stopped(t)) chunk_fetch(t, r, 0, 1);
}

static void run_ranged(transfer *t, requester *r)
{
    pthread_t follower;
    mlxe_error err;
    mlxe_status rc = thread_start(&follower, "mlxe-hub-hash", hash_follow, t, &err);
    if (rc) {
        end_with(t, TRANSFER_FAILED, rc, &err);
    } else {
        chunks_fetch(t, r);
        pthread_mutex_lock(&t->lock);
        while (t->users || (!t->stop && !t->hash_done))
            pthread_cond_wait(&t->changed, &t->lock);
        pthread_mutex_unlock(&t->lock);
        pthread_join(follower, NULL);
    }
    pthread_mutex_lock(&t->lock);
    t->proven = 0; /* nobody joins any more */
    while (t->users)
        pthread_cond_wait(&t->changed, &t->lock);
    pthread_mutex_unlock(&t->lock);
    if (t->hash_failed && !t->stop)
        end_with(t, TRANSFER_FAILED,
                 cache_io_error(t->part->repo, "read a partial file", EIO, &err), &err);
}

transfer_end transfer_run(transfer *t, requester *r, hub_verdict *verdict, mlxe_error *err)
{
    mlxe_error why;
    mlxe_status rc = hub_hash_open(strv_of(t->meta->etag), t->part->size, &t->hash, &why);
    *verdict = HUB_HASH_BAD;
    if (rc)
        end_with(t, TRANSFER_FAILED, rc, &why);
    else if (t->part->n_chunks > 1)
        run_ranged(t, r);
    else
        run_stream(t, r);
    if (!t->stop) {
        *verdict = hub_hash_verdict(t->hash);
        t->end = TRANSFER_GOOD;
        if (*verdict == HUB_HASH_BAD) {
            err_set(&why, MLXE_E_CORRUPT, "%s: the content's hash is wrong, want %s",
                    t->resolve_url, t->meta->etag);
            end_with(t, TRANSFER_BAD_HASH, MLXE_E_CORRUPT, &why);
        }
    }
    if (t->end != TRANSFER_GOOD && err) *err = t->error;
    return t->end;
}
