/* adopt.c: models that another program fetched are taken over by link.
 *
 *   DIR/<path>                                       pull --from DIR
 *   ~/.lmstudio/models/<id>/<path>                   LM Studio, and its older ~/.cache/lm-studio
 *   ~/.ollama/models/blobs/sha256-<hex>              Ollama, whose blobs are named by their content
 *
 *   link -> .partial/t-<hex> -> hash of the link -> rename -> blobs/<etag>
 *
 * The link is hashed, not the name it was made from, so the bytes that were checked are the bytes
 * that are kept. A file that a program later writes into changes in both places, which `verify`
 * finds; programs that replace files leave ours as it was.
 *
 * Traps: a hard link needs the same file system, and the right to link a file of another user
 * (protected_hardlinks); where it cannot be, the file is fetched as if nothing had been there. */
#define _XOPEN_SOURCE 700
#include "hub/adopt.h"

#include "hub/cache_dir.h"
#include "hub/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct adoption {
    const char *cache, *repo, *repo_name;
    const hub_entry *entry;
    const hub_watch *watch;
    const log_sink *log;
} adoption;

static int same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Hashes the link and gives it the blob's name. -> 1: done */
static int keep(const adoption *a, const char *link, const char *source)
{
    struct stat before, after;
    hub_verdict verdict = HUB_HASH_UNKNOWN;
    uint64_t bytes = 0;
    buf blob = {0};
    strv etag = hub_entry_etag(a->entry);
    int kept = 0;
    if (!lstat(link, &before) && S_ISREG(before.st_mode) &&
        (uint64_t)before.st_size == a->entry->size &&
        !hub_hash_file(link, etag, a->watch ? a->watch->cancel : NULL, &verdict, &bytes, NULL) &&
        !lstat(link, &after) && same_file(&before, &after)) {
        if (verdict == HUB_HASH_GOOD)
            kept = !rename(link, cache_blob_path(&blob, a->repo, etag));
        else
            log_line(a->log, MLXE_LOG_INFO, "%s: has another hash, fetched instead", source);
    }
    buf_deinit(&blob);
    return kept;
}

static int try_source(const adoption *a, const char *source)
{
    struct stat info;
    buf link = {0};
    int kept = 0;
    if (stat(source, &info) || !S_ISREG(info.st_mode) || (uint64_t)info.st_size != a->entry->size)
        return 0;
    cache_temporary(&link, a->repo);
    if (!buf_ok(&link)) return 0;
    if (linkat(AT_FDCWD, source, AT_FDCWD, buf_str(&link), AT_SYMLINK_FOLLOW)) {
        log_line(a->log, MLXE_LOG_INFO, "%s: cannot be linked into the cache (%s), fetched instead",
                 source, errno == EXDEV ? "another file system" : "not allowed");
    } else {
        kept = keep(a, buf_str(&link), source);
        if (!kept) unlink(buf_str(&link));
    }
    buf_deinit(&link);
    if (kept) log_line(a->log, MLXE_LOG_INFO, "%s: taken over by link", source);
    return kept;
}

static int try_places(const adoption *a, const char *id, const adopt_from *from)
{
    static const char *const STUDIOS[] = {".lmstudio/models", ".cache/lm-studio/models"};
    buf path = {0};
    int kept = 0;
    if (from->folder) {
        buf_addf(&path, "%s/%s", from->folder, a->entry->path.p);
        kept = buf_ok(&path) && try_source(a, buf_str(&path));
    }
    for (size_t i = 0; from->home && !kept && i < sizeof STUDIOS / sizeof *STUDIOS; i++) {
        buf_clear(&path);
        buf_addf(&path, "%s/%s/%s/%s", from->home, STUDIOS[i], id, a->entry->path.p);
        kept = buf_ok(&path) && try_source(a, buf_str(&path));
    }
    if (from->home && !kept && a->entry->sha256.n) {
        buf_clear(&path);
        buf_addf(&path, "%s/.ollama/models/blobs/sha256-%s", from->home, a->entry->sha256.p);
        kept = buf_ok(&path) && try_source(a, buf_str(&path));
    }
    buf_deinit(&path);
    return kept;
}

int adopt_blob(const char *cache, const char *repo, const char *repo_name, const char *id,
               const hub_entry *entry, const adopt_from *from, const hub_watch *watch,
               const log_sink *log)
{
    const adoption a = {cache, repo, repo_name, entry, watch, log};
    strv etag = hub_entry_etag(entry);
    cache_lock lock;
    uint64_t bytes;
    int kept;
    if (entry->size == 0 || (!from->folder && !from->home)) return 0;
    if (cache_blob_size(cache, repo, etag, &bytes) && bytes == entry->size) return 1;
    if (cache_lock_try(cache, repo_name, etag, &lock, NULL)) return 0; /* somebody fetches it */
    kept = try_places(&a, id, from);
    cache_lock_release(&lock);
    return kept;
}
