/* content.c: resolve: the bytes of a file and what the Hub says about them.
 *
 *   200 whole, 206 one range, 304 If-None-Match, 416 with Content-Range: bytes * / size
 *
 * HEAD and GET have the same headers. A range that is not understood, or several, is answered
 * whole, as HTTP allows; a client that resumes checks Content-Range. A blob whose hash is not known
 * yet goes out whole while it is hashed (server.c holds back its end); a range of it waits for the
 * hash.
 *
 * X-Repo-Commit comes with content, and with "no such file" only where the listing is complete:
 * Python writes ".no_exist" and moves its refs when it sees it. */
#include "hub/mirror/upstream.h"

#include "base/buf.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { FOLLOWED_BYTES = 4 << 20, FOLLOW_AFTER_MS = 200 };

typedef enum range_kind { RANGE_NONE, RANGE_PART, RANGE_OUTSIDE } range_kind;

/* Decimal digits, 18 at most. -> the end of them, or NULL when there are none */
static const char *read_number(const char *p, uint64_t *out)
{
    const char *begin = p;
    *out = 0;
    while (*p >= '0' && *p <= '9' && p - begin < 19)
        *out = *out * 10 + (uint64_t)(*p++ - '0');
    return p == begin || (*p >= '0' && *p <= '9') ? NULL : p;
}

/* "bytes=a-b", "bytes=a-", "bytes=-n"; anything else is no range. */
static range_kind parse_range(const char *text, uint64_t size, uint64_t *from, uint64_t *bytes)
{
    uint64_t first = 0, last = UINT64_MAX;
    *from = 0;
    *bytes = size;
    if (!text || strncmp(text, "bytes=", 6) != 0 || size == 0) return RANGE_NONE;
    const char *p = text + 6;
    if (*p == '-') {
        p = read_number(p + 1, &last);
        if (!p || *p) return RANGE_NONE;
        if (last == 0) return RANGE_OUTSIDE;
        first = last < size ? size - last : 0;
        last = size - 1;
    } else {
        p = read_number(p, &first);
        if (!p || *p != '-') return RANGE_NONE;
        if (p[1]) {
            p = read_number(p + 1, &last);
            if (!p || *p || last < first) return RANGE_NONE;
        }
        if (first >= size) return RANGE_OUTSIDE;
        if (last >= size) last = size - 1;
    }
    *from = first;
    *bytes = last - first + 1;
    return RANGE_PART;
}

/* 1: a list of entity tags has this one (weak comparison), or is "*". */
static int tags_have(const char *list, const char *etag)
{
    size_t n = strlen(etag);
    for (const char *p = list; *p;) {
        while (*p == ' ' || *p == ',' || *p == '\t')
            p++;
        if (*p == '*') return 1;
        if (p[0] == 'W' && p[1] == '/') p += 2;
        if (*p != '"') return 0;
        const char *end = strchr(++p, '"');
        if (!end) return 0;
        if ((size_t)(end - p) == n && memcmp(p, etag, n) == 0) return 1;
        p = end + 1;
    }
    return 0;
}

/* If-Range with a strong tag that fits, or none at all. */
static int range_holds(const mirror_call *call, const char *etag)
{
    size_t n = strlen(etag);
    if (!call->if_range) return 1;
    return strlen(call->if_range) == n + 2 && call->if_range[0] == '"' &&
           memcmp(call->if_range + 1, etag, n) == 0 && call->if_range[n + 1] == '"';
}

static void http_date(time_t t, char out[40])
{
    static const char DAYS[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char MONTHS[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm tm;
    out[0] = 0;
    if (gmtime_r(&t, &tm))
        snprintf(out, 40, "%s, %02d %s %04d %02d:%02d:%02d GMT", DAYS[tm.tm_wday % 7], tm.tm_mday,
                 MONTHS[tm.tm_mon % 12], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static void describe(const store_file *file, const char *commit, mirror_reply *out)
{
    char text[160];
    snprintf(text, sizeof text, "\"%s\"", file->etag);
    reply_header(out, "ETag", text);
    reply_header(out, "X-Linked-Etag", text);
    snprintf(text, sizeof text, "%" PRIu64, (uint64_t)file->info.st_size);
    reply_header(out, "X-Linked-Size", text);
    reply_header(out, "X-Repo-Commit", commit);
    reply_header(out, "Accept-Ranges", "bytes");
    http_date(file->info.st_mtime, text);
    reply_header(out, "Last-Modified", text);
    reply_header(out, "Content-Type", "application/octet-stream");
    reply_header(out, "X-Content-Type-Options", "nosniff");
    reply_header(out, "Content-Security-Policy", "sandbox");
    reply_header(out, "Cache-Control", "no-transform");
}

/* What a missing file means depends on whether all files of the commit are known. */
static void missing(const mirror *m, const mirror_repo *repo, const char *commit, strv path,
                    mirror_reply *out)
{
    hub_tree tree;
    mlxe_error err;
    int absent = repo->is_plain; /* such a folder is all there is */
    if (!absent && !store_tree(m, repo, commit, &tree, &err)) {
        absent = !hub_tree_find(&tree, path);
        hub_tree_deinit(&tree);
    }
    if (absent) reply_header(out, "X-Repo-Commit", commit);
    reply_error(out, 404, "EntryNotFound",
                absent ? "Entry not found" : "This file is not on this mirror");
}

/* Gives the file's bytes to the reply, which owns its descriptor from here. */
static void give(const mirror *m, const mirror_call *call, const mirror_repo *repo,
                 const char *commit, store_file *file, mirror_reply *out)
{
    uint64_t size = (uint64_t)file->info.st_size;
    char text[80];
    range_kind kind = RANGE_NONE;
    out->fd = file->fd;
    file->fd = -1;
    out->bytes = size;
    out->info = file->info;
    snprintf(out->etag, sizeof out->etag, "%s", file->etag);
    describe(file, commit, out);
    out->status = 200;
    if (call->if_none_match && tags_have(call->if_none_match, file->etag)) {
        out->status = 304;
        out->bytes = 0;
        return;
    }
    if (range_holds(call, file->etag))
        kind = parse_range(call->range, size, &out->from, &out->bytes);
    if (kind == RANGE_OUTSIDE) {
        snprintf(text, sizeof text, "bytes */%" PRIu64, size);
        reply_header(out, "Content-Range", text);
        out->status = 416;
        out->bytes = 0;
    } else if (kind == RANGE_PART) {
        snprintf(text, sizeof text, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, out->from,
                 out->from + out->bytes - 1, size);
        reply_header(out, "Content-Range", text);
        out->status = 206;
    }
    if (file->checked || strcmp(call->method, "HEAD") == 0 || out->bytes == 0) return;
    out->check = kind == RANGE_NONE;
    if (out->check) return;
    /* A part of a blob that nobody has hashed yet. */
    hash_state state =
        hashes_check(m->hashes, buf_str(&file->path), &file->info, file->etag, m->hash_wait_ms);
    if (state == HASH_GOOD) return;
    mlxe_error err;
    err_set(&err, state == HASH_BAD ? MLXE_E_CORRUPT : MLXE_E_TIMEOUT, "%s", repo->id);
    reply_deinit(out);
    reply_failure(out, &err, NULL, "");
}

/* ---- from upstream --------------------------------------------------------------------------- */

/* The listing's entry of a file, copied as far as it is needed; 0: it lists none. */
static int listed(const mirror *m, const mirror_repo *repo, const char *commit, strv path,
                  store_file *out)
{
    hub_tree tree;
    mlxe_error err;
    *out = (store_file){.fd = -1};
    if (store_tree(m, repo, commit, &tree, &err)) return 0;
    const hub_entry *e = hub_tree_find(&tree, path);
    if (e) {
        strv etag = hub_entry_etag(e);
        snprintf(out->etag, sizeof out->etag, "%.*s", (int)etag.n, etag.p);
        out->info.st_size = (off_t)e->size;
        out->info.st_mtime = (time_t)store_time(repo);
    }
    hub_tree_deinit(&tree);
    return e != NULL;
}

/* A file that the listing has and the root has not. HEAD is answered by the listing; a small file
 * is waited for, a large one goes out while it arrives. -> 1: look again, it is here now; 0:
 * replied */
static int from_upstream(const mirror *m, const mirror_call *call, const mirror_repo *repo,
                         const char *commit, strv path, mirror_reply *out)
{
    store_file file;
    flight *arriving = NULL;
    uint64_t from, bytes;
    if (!listed(m, repo, commit, path, &file)) {
        missing(m, repo, commit, path, out);
        return 0;
    }
    uint64_t size = (uint64_t)file.info.st_size;
    range_kind kind =
        range_holds(call, file.etag) ? parse_range(call->range, size, &from, &bytes) : RANGE_NONE;
    /* Nobody asks for the bytes of an empty file: its HEAD is all that ever comes. */
    if (strcmp(call->method, "HEAD") == 0 && size > 0) {
        describe(&file, commit, out);
        out->status = 200;
        out->absent_bytes = size;
        return 0;
    }
    /* A range from the start may be answered whole; another must wait until all was checked. */
    int follows = size > FOLLOWED_BYTES && (kind == RANGE_NONE || (kind == RANGE_PART && !from));
    upstream_says says =
        upstream_file(m->upstream, repo, commit, path, strv_of(file.etag),
                      follows ? FOLLOW_AFTER_MS : m->hash_wait_ms, follows ? &arriving : NULL);
    if (says == UPSTREAM_HERE) return 1;
    if (!arriving) {
        reply_upstream(out, says);
        return 0;
    }
    describe(&file, commit, out);
    out->status = 200;
    out->flight = arriving;
    out->bytes = size;
    out->check = 1;
    snprintf(out->etag, sizeof out->etag, "%s", file.etag);
    return 0;
}

void content_answer(const mirror *m, const mirror_call *call, const mirror_repo *repo,
                    const mirror_target *t, mirror_reply *out)
{
    char commit[HUB_COMMIT_CHARS + 1];
    store_file file;
    mlxe_error err;
    if (!t->path.n) {
        reply_error(out, 404, "EntryNotFound", "Entry not found");
        return;
    }
    if (store_commit(m, repo, t->revision, commit, &err)) {
        reply_error(out, 404, "RevisionNotFound", "Invalid rev id");
        return;
    }
    mlxe_status rc = store_open(m, repo, commit, t->path, &file, &err);
    if (rc == MLXE_E_NOT_FOUND && m->upstream && !repo->is_plain) {
        if (!from_upstream(m, call, repo, commit, t->path, out)) return;
        rc = store_open(m, repo, commit, t->path, &file, &err);
    }
    if (!rc) {
        give(m, call, repo, commit, &file, out);
    } else if (rc == MLXE_E_NOT_FOUND) {
        missing(m, repo, commit, t->path, out);
    } else {
        log_line(&m->log, MLXE_LOG_WARN, "mirror: %s: %s", repo->id, err.message);
        reply_failure(out, &err, "EntryNotFound", "Entry not found");
    }
    store_file_deinit(&file);
}
