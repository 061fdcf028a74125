/* partial.c: partial files: adopting what a dead process left, beginning, ending by rename.
 *
 *   scan blobs/ for <etag>.*.incomplete -> sidecar fits? -> flock won? -> owner gone? -> new name
 *
 * Order of an adoption, so that a kill between any two steps loses nothing: the sidecars appear
 * under the new name, the file is renamed (who loses that race begins anew), the old sidecars go.
 *
 * Traps: flock on a network file system may be granted to everybody: nothing is adopted there. A
 * pid means something on its own host and boot only. Space is reserved without changing the
 * length. */
#define _GNU_SOURCE
#include "hub/partial.h"

#include "base/fs.h"
#include "hub/cache.h"
#include "hub/cache_dir.h"
#include "hub/hub_json.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { QUIET_S = 60, GARBAGE_S = 24 * 3600, SIDECAR_LIMIT = 64 << 10, MAX_CHUNKS = 1 << 20 };

/* ---- sidecars -------------------------------------------------------------------------------- */

typedef struct sidecar {
    uint64_t size, chunk_bytes;
    int64_t pid;
    char etag[HUB_ETAG_CHARS + 1], http_etag[132], host[256], boot[64];
} sidecar;

static void this_host(char host[256], char boot[64])
{
    buf text = {0};
    host[0] = boot[0] = 0;
    if (gethostname(host, 255)) host[0] = 0;
    host[255] = 0;
    if (!fs_read("/proc/sys/kernel/random/boot_id", 0, &text, NULL))
        snprintf(boot, 64, "%.*s", (int)(text.n > 36 ? 36 : text.n), text.p);
    buf_deinit(&text);
}

static void sidecar_path(buf *out, const char *repo, const char *name, const char *suffix)
{
    buf_clear(out);
    buf_add_str(out, repo);
    buf_add_str(out, "/.partial/");
    buf_add_str(out, name);
    buf_add_str(out, suffix);
}

static void text_get(const json *v, const char *key, char *out, size_t cap)
{
    strv t = json_str(json_get(v, key));
    snprintf(out, cap, "%.*s", (int)(t.n < cap ? t.n : cap - 1), t.p ? t.p : "");
}

/* -> 1: read */
static int sidecar_read(const char *repo, const char *name, sidecar *s)
{
    buf path = {0}, text = {0};
    json_doc *doc = NULL;
    const json *v;
    int good = 0;
    *s = (sidecar){0};
    sidecar_path(&path, repo, name, ".json");
    if (!fs_read(buf_str(&path), SIDECAR_LIMIT, &text, NULL) &&
        !hub_json_parse(name, buf_str(&text), text.n, &doc, NULL)) {
        v = json_root(doc);
        good = !hub_json_size(v, name, "size", &s->size, NULL) &&
               !hub_json_size(v, name, "chunk", &s->chunk_bytes, NULL) && s->chunk_bytes > 0;
        s->pid = json_int(json_get(v, "pid"));
        text_get(v, "etag", s->etag, sizeof s->etag);
        text_get(v, "http_etag", s->http_etag, sizeof s->http_etag);
        text_get(v, "host", s->host, sizeof s->host);
        text_get(v, "boot_id", s->boot, sizeof s->boot);
    }
    json_close(doc);
    buf_deinit(&path);
    buf_deinit(&text);
    return good;
}

static mlxe_status sidecar_write(const partial *p, strv etag, mlxe_error *err)
{
    char host[256], boot[64];
    buf text = {0}, relative = {0};
    mlxe_status rc;
    this_host(host, boot);
    buf_add_str(&text, "{\"etag\":");
    json_write_str(&text, etag);
    buf_addf(&text, ",\"size\":%llu,\"chunk\":%llu,\"pid\":%ld,\"http_etag\":",
             (unsigned long long)p->size, (unsigned long long)p->chunk_bytes, (long)getpid());
    json_write_str(&text, strv_of(p->http_etag));
    buf_add_str(&text, ",\"host\":");
    json_write_str(&text, strv_of(host));
    buf_add_str(&text, ",\"boot_id\":");
    json_write_str(&text, strv_of(boot));
    buf_add_char(&text, '}');
    buf_add_str(&relative, ".partial/");
    buf_add_str(&relative, p->name);
    buf_add_str(&relative, ".json");
    rc = buf_ok(&text) ? cache_file_write(p->repo, buf_view(&relative), text.p, text.n, err)
                       : err_memory(err, "sidecar", text.n);
    buf_deinit(&text);
    buf_deinit(&relative);
    return rc;
}

static void sidecars_remove(const char *repo, const char *name)
{
    static const char *const SUFFIXES[] = {".json", ".map"};
    buf path = {0};
    for (size_t i = 0; i < 2; i++) {
        sidecar_path(&path, repo, name, SUFFIXES[i]);
        unlink(buf_str(&path));
    }
    buf_deinit(&path);
}

static strv etag_of_name(const char *name)
{
    return strv_from(name, strlen(name) - strlen(".xxxxxxxx.incomplete"));
}

/* ---- the map --------------------------------------------------------------------------------- */

static uint64_t chunk_length(const partial *p, size_t k)
{
    uint64_t start = (uint64_t)k * p->chunk_bytes;
    return p->size - start < p->chunk_bytes ? p->size - start : p->chunk_bytes;
}

static mlxe_status chunks_set(partial *p, uint64_t chunk_bytes, mlxe_error *err)
{
    uint64_t n;
    if (!chunk_bytes || chunk_bytes > p->size) chunk_bytes = p->size ? p->size : 1;
    n = p->size ? (p->size + chunk_bytes - 1) / chunk_bytes : 1;
    if (n > MAX_CHUNKS) {
        chunk_bytes = p->size / MAX_CHUNKS + 1;
        n = (p->size + chunk_bytes - 1) / chunk_bytes;
    }
    free(p->done);
    p->chunk_bytes = chunk_bytes;
    p->n_chunks = (size_t)n;
    p->done = calloc(p->n_chunks, sizeof *p->done);
    return p->done ? MLXE_OK : err_memory(err, "chunks", p->n_chunks * sizeof *p->done);
}

static void map_open(partial *p)
{
    buf path = {0};
    if (p->map_fd >= 0) close(p->map_fd);
    p->map_fd = -1;
    sidecar_path(&path, p->repo, p->name, ".map");
    if (p->n_chunks > 1)
        p->map_fd = open(buf_str(&path), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
    else
        unlink(buf_str(&path));
    buf_deinit(&path);
}

static void put_u64(unsigned char *to, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        to[i] = (unsigned char)(v >> (8 * i));
}

static void map_read(partial *p)
{
    struct stat info;
    unsigned char word[8];
    if (p->n_chunks == 1) {
        if (!fstat(p->fd, &info))
            p->done[0] = (uint64_t)info.st_size <= p->size ? (uint64_t)info.st_size : 0;
        return;
    }
    for (size_t k = 0; k < p->n_chunks; k++) {
        uint64_t v = 0;
        if (pread(p->map_fd, word, 8, (off_t)(8 * k)) != 8) break;
        for (int i = 0; i < 8; i++)
            v |= (uint64_t)word[i] << (8 * i);
        p->done[k] = v <= chunk_length(p, k) ? v : 0;
    }
}

void partial_note(partial *p, size_t k, uint64_t done_bytes)
{
    unsigned char word[8];
    if (p->map_fd < 0) return;
    put_u64(word, done_bytes);
    /* Without the note those bytes are fetched again after a kill: no more is lost. */
    if (pwrite(p->map_fd, word, 8, (off_t)(8 * k)) != 8) return;
}

void partial_write_back(const partial *p, uint64_t from, uint64_t to)
{
#ifdef __linux__
    /* A hint: a file system without it syncs everything at the end. */
    if (sync_file_range(p->fd, (off64_t)from, (off64_t)(to - from), SYNC_FILE_RANGE_WRITE)) return;
#endif
    (void)p;
    (void)from;
    (void)to;
}

uint64_t partial_bytes(const partial *p)
{
    uint64_t n = 0;
    for (size_t k = 0; k < p->n_chunks; k++)
        n += p->done[k];
    return n;
}

/* ---- adopting -------------------------------------------------------------------------------- */

static int owner_gone(const sidecar *s, const struct stat *info)
{
    char host[256], boot[64];
    this_host(host, boot);
    if (!strcmp(host, s->host) && !strcmp(boot, s->boot) && s->pid > 0 &&
        (s->pid == (int64_t)getpid() || (kill((pid_t)s->pid, 0) && errno == ESRCH)))
        return 1;
    return time(NULL) - info->st_mtime > QUIET_S;
}

static int name_matches(const char *name, strv etag)
{
    strv n = strv_of(name);
    return n.n == etag.n + strlen(".xxxxxxxx.incomplete") && strv_starts(n, etag) &&
           n.p[etag.n] == '.' && hub_is_hex(strv_from(n.p + etag.n + 1, 8), 8) &&
           strv_ends(n, STRV(".incomplete"));
}

static void fresh_name(partial *p, strv etag)
{
    char random[9];
    cache_random_hex(random, 8);
    snprintf(p->name, sizeof p->name, "%.*s.%s.incomplete", (int)etag.n, etag.p, random);
}

/* Takes over the file `name` whose lock is won. -> 1, or 0: somebody else did */
static int take_over(partial *p, int blobs, const char *name, const sidecar *s, strv etag)
{
    buf old_map = {0}, new_map = {0};
    int won = 0;
    fresh_name(p, etag);
    memcpy(p->http_etag, s->http_etag, sizeof p->http_etag);
    if (chunks_set(p, s->chunk_bytes, NULL)) return 0;
    sidecar_path(&old_map, p->repo, name, ".map");
    sidecar_path(&new_map, p->repo, p->name, ".map");
    if (p->n_chunks > 1 && link(buf_str(&old_map), buf_str(&new_map))) goto out;
    if (sidecar_write(p, etag, NULL)) goto out;
    if (renameat(blobs, name, blobs, p->name)) {
        sidecars_remove(p->repo, p->name);
        goto out;
    }
    sidecars_remove(p->repo, name);
    map_open(p);
    won = p->n_chunks == 1 || p->map_fd >= 0;
    if (won) map_read(p);
out:
    buf_deinit(&old_map);
    buf_deinit(&new_map);
    return won;
}

/* Tries one candidate. -> 1 adopted */
static int try_adopt(partial *p, int blobs, const char *name, strv etag)
{
    sidecar s;
    struct stat mine, there;
    int fd;
    if (!sidecar_read(p->repo, name, &s) || s.size != p->size || !strv_is(etag, s.etag)) return 0;
    fd = openat(blobs, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return 0;
    if (!flock(fd, LOCK_EX | LOCK_NB) && !fstat(fd, &mine) &&
        !fstatat(blobs, name, &there, AT_SYMLINK_NOFOLLOW) && mine.st_ino == there.st_ino &&
        owner_gone(&s, &mine)) {
        p->fd = fd;
        if (take_over(p, blobs, name, &s, etag)) return 1;
        p->fd = -1;
    }
    close(fd);
    return 0;
}

static int adopt(partial *p, int blobs, strv etag)
{
    int copy = dup(blobs), adopted = 0;
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    struct dirent *e;
    if (!dir) {
        if (copy >= 0) close(copy);
        return 0;
    }
    rewinddir(dir);
    while (!adopted && (e = readdir(dir)))
        adopted = name_matches(e->d_name, etag) && try_adopt(p, blobs, e->d_name, etag);
    closedir(dir);
    return adopted;
}

/* ---- life ------------------------------------------------------------------------------------ */

static mlxe_status begin(partial *p, int blobs, strv etag, uint64_t chunk_bytes, mlxe_error *err)
{
    mlxe_status rc = chunks_set(p, chunk_bytes, err);
    if (rc) return rc;
    fresh_name(p, etag);
    if ((rc = sidecar_write(p, etag, err))) return rc;
    map_open(p);
    p->fd = openat(blobs, p->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (p->fd < 0) return cache_io_error(p->repo, "create a partial file in blobs", errno, err);
    flock(p->fd, LOCK_EX | LOCK_NB);
    return MLXE_OK;
}

static mlxe_status reserve(partial *p, mlxe_error *err)
{
#ifdef __linux__
    if (p->size && fallocate(p->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)p->size) &&
        (errno == ENOSPC || errno == EDQUOT || errno == EFBIG))
        return cache_io_error(p->repo, "reserve the file's space", errno, err);
#endif
    (void)p;
    (void)err;
    return MLXE_OK;
}

mlxe_status partial_open(const char *repo, strv etag, uint64_t size, uint64_t chunk_bytes,
                         partial **out, mlxe_error *err)
{
    partial *p = calloc(1, sizeof *p);
    int blobs = -1;
    mlxe_status rc = MLXE_OK;
    *out = NULL;
    if (!p) return err_memory(err, "partial file", sizeof *p);
    p->fd = p->map_fd = -1;
    p->size = size;
    p->repo = malloc(strlen(repo) + 1);
    if (p->repo) memcpy(p->repo, repo, strlen(repo) + 1);
    if (!p->repo) {
        rc = err_memory(err, "partial file", 0);
    } else if ((blobs = cache_dir_open(repo, STRV("blobs"), CACHE_DIR_MAKE)) < 0) {
        rc = cache_io_error(repo, "open the folder blobs", errno, err);
    } else if (fs_is_network(repo) || !adopt(p, blobs, etag)) {
        rc = begin(p, blobs, etag, chunk_bytes, err);
    }
    if (!rc) rc = reserve(p, err);
    if (blobs >= 0) close(blobs);
    if (rc)
        partial_close(p, PARTIAL_DROP);
    else
        *out = p;
    return rc;
}

mlxe_status partial_restart(partial *p, uint64_t chunk_bytes, mlxe_error *err)
{
    mlxe_status rc;
    if (ftruncate(p->fd, 0)) return cache_io_error(p->repo, "empty a partial file", errno, err);
    if (p->map_fd >= 0 && ftruncate(p->map_fd, 0))
        return cache_io_error(p->repo, "empty a partial file's map", errno, err);
    p->http_etag[0] = 0;
    if ((rc = chunks_set(p, chunk_bytes, err))) return rc;
    map_open(p);
    if ((rc = sidecar_write(p, etag_of_name(p->name), err))) return rc;
    return reserve(p, err);
}

void partial_http_etag(partial *p, strv http_etag)
{
    if (p->http_etag[0] || http_etag.n < 2 || http_etag.n >= sizeof p->http_etag ||
        http_etag.p[0] != '"')
        return; /* a weak one is no use for If-Range */
    memcpy(p->http_etag, http_etag.p, http_etag.n);
    p->http_etag[http_etag.n] = 0;
    sidecar_write(p, etag_of_name(p->name), NULL);
}

mlxe_status partial_commit(partial *p, strv etag, mlxe_error *err)
{
    buf name = {0}, folder = {0};
    int blobs = -1;
    mlxe_status rc = MLXE_OK;
    buf_add_strv(&name, etag);
    buf_add_str(&folder, p->repo);
    buf_add_str(&folder, "/blobs");
    if (!buf_ok(&name) || !buf_ok(&folder))
        rc = err_memory(err, "name", etag.n);
    else if (fsync(p->fd))
        rc = cache_io_error(buf_str(&folder), "sync a file", errno, err);
    else if ((blobs = cache_dir_open(p->repo, STRV("blobs"), CACHE_DIR_OPEN)) < 0 ||
             renameat(blobs, p->name, blobs, buf_str(&name)))
        rc = cache_io_error(buf_str(&folder), "rename a finished file", errno, err);
    if (!rc) {
        sidecars_remove(p->repo, p->name);
        fsync(blobs);
    }
    if (blobs >= 0) close(blobs);
    buf_deinit(&name);
    buf_deinit(&folder);
    return rc;
}

void partial_close(partial *p, partial_fate fate)
{
    if (!p) return;
    if (fate == PARTIAL_DROP && p->name[0]) {
        int blobs = cache_dir_open(p->repo, STRV("blobs"), CACHE_DIR_OPEN);
        if (blobs >= 0) {
            unlinkat(blobs, p->name, 0);
            close(blobs);
        }
        sidecars_remove(p->repo, p->name);
    }
    if (p->map_fd >= 0) close(p->map_fd);
    if (p->fd >= 0) close(p->fd);
    free(p->done);
    free(p->repo);
    free(p);
}

/* Opens a folder below repo for reading its names; NULL when it is not there. */
static DIR *names_open(const char *repo, const char *folder)
{
    int fd = cache_dir_open(repo, strv_of(folder), CACHE_DIR_OPEN);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir && fd >= 0) close(fd);
    return dir;
}

void partial_sweep_sidecars(const char *repo, strv etag)
{
    DIR *dir = names_open(repo, ".partial");
    int blobs = cache_dir_open(repo, STRV("blobs"), CACHE_DIR_OPEN);
    struct dirent *e;
    while (dir && blobs >= 0 && (e = readdir(dir))) {
        char name[192];
        size_t n = strlen(e->d_name);
        struct stat info;
        int temporary = !strncmp(e->d_name, "t-", 2);
        if (n >= sizeof name || (!temporary && !strv_starts(strv_of(e->d_name), etag))) continue;
        if (temporary) {
            if (!fstatat(dirfd(dir), e->d_name, &info, AT_SYMLINK_NOFOLLOW) &&
                time(NULL) - info.st_mtime > GARBAGE_S)
                unlinkat(dirfd(dir), e->d_name, 0);
            continue;
        }
        memcpy(name, e->d_name, n + 1);
        *strrchr(name, '.') = 0; /* ".json", ".map" */
        if (name_matches(name, etag) && faccessat(blobs, name, F_OK, 0))
            unlinkat(dirfd(dir), e->d_name, 0);
    }
    if (dir) closedir(dir);
    if (blobs >= 0) close(blobs);
}

void partial_sweep(const char *repo, strv etag)
{
    DIR *dir = names_open(repo, "blobs");
    struct dirent *e;
    while (dir && (e = readdir(dir))) {
        struct stat info;
        int fd;
        if (!name_matches(e->d_name, etag)) continue;
        fd = openat(dirfd(dir), e->d_name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0) continue;
        if (!flock(fd, LOCK_EX | LOCK_NB) && !fstat(fd, &info) &&
            time(NULL) - info.st_mtime > GARBAGE_S) {
            unlinkat(dirfd(dir), e->d_name, 0);
            sidecars_remove(repo, e->d_name);
        }
        close(fd);
    }
    if (dir) closedir(dir);
    partial_sweep_sidecars(repo, etag);
}
