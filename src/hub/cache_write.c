/* cache_write.c: everything that appears in the cache but blobs themselves, each by rename.
 *
 *   walk(repo, "snapshots/<commit>/a/b")   openat folder by folder, O_NOFOLLOW, mkdir where absent
 *   .partial/t-<16 hex> --renameat--> its place
 *
 * Invariants
 *   No temporary name ever lies where others look. A ref is moved only after its snapshot's folder
 *   exists, and only when its value changes. An existing file is replaced, never written into.
 *
 * Traps: O_NOFOLLOW guards one component, so paths are walked; a planted link on the way is an
 * error that names it. Modes come from the umask: 0666 and 0777 are asked for. */
#define _XOPEN_SOURCE 700
#include "hub/cache.h"

#include "hub/cache_dir.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_TRIES = 100, COPY_BYTES = 1 << 20 };

static const char TAG[] = "Signature: 8a477f597d28d172789f06886806bc55\n"
                          "# This file is a cache directory tag of the Hugging Face Hub cache.\n"
                          "# See https://bford.info/cachedir/\n";

mlxe_status cache_io_error(const char *path, const char *what, int number, mlxe_error *err)
{
    char reason[128] = "";
    if (strerror_r(number, reason, sizeof reason)) reason[0] = 0;
    if (number == ENOSPC || number == EDQUOT || number == EFBIG) {
        err_set(err, MLXE_E_FIT, "%s: cannot %s, %s", path, what,
                number == EFBIG ? "the file would be larger than the limit here" : reason);
        err_hint(err, "free disk space, or put the cache elsewhere with HF_HUB_CACHE");
        return MLXE_E_FIT;
    }
    if (number == ENOMEM) return err_memory(err, path, 0);
    if (number == ELOOP || number == ENOTDIR)
        return err_set(err, MLXE_E_IO, "%s: cannot %s, a link or a file is in the way", path, what);
    return err_set(err, MLXE_E_IO, "%s: cannot %s, %s", path, what, reason);
}

/* ---- folders --------------------------------------------------------------------------------- */

int cache_dir_open(const char *repo, strv relative, cache_dir_mode mode)
{
    int fd = open(repo, O_RDONLY | O_DIRECTORY | O_CLOEXEC), number;
    while (fd >= 0 && relative.n) {
        char name[256];
        const char *slash = memchr(relative.p, '/', relative.n);
        size_t n = slash ? (size_t)(slash - relative.p) : relative.n;
        int next;
        if (n >= sizeof name) {
            close(fd);
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(name, relative.p, n);
        name[n] = 0;
        relative = slash ? strv_from(slash + 1, relative.n - n - 1) : (strv){0};
        next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0 && errno == ENOENT && mode == CACHE_DIR_MAKE) {
            if (!mkdirat(fd, name, 0777) || errno == EEXIST)
                next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        }
        number = errno;
        close(fd);
        errno = number;
        fd = next;
    }
    return fd;
}

/* mkdir -p of a path that the user chose: links in it are his. */
static int make_folders(const char *path)
{
    buf part = {0};
    int rc = 0;
    for (const char *p = path; !rc && *p;) {
        const char *slash = strchr(p + 1, '/');
        size_t n = slash ? (size_t)(slash - path) : strlen(path);
        buf_clear(&part);
        buf_add(&part, path, n);
        if (!buf_ok(&part))
            rc = ENOMEM;
        else if (mkdir(buf_str(&part), 0777) && errno != EEXIST && !fs_is_dir(buf_str(&part)))
            rc = errno;
        p = slash ? slash : "";
    }
    buf_deinit(&part);
    return rc;
}

static void tag_write(const char *cache)
{
    buf path = {0};
    int fd;
    fs_join(&path, cache, "CACHEDIR.TAG");
    fd = buf_ok(&path) ? open(buf_str(&path), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666) : -1;
    if (fd >= 0) {
        ssize_t done = write(fd, TAG, sizeof TAG - 1);
        (void)done; /* a help for backup programs, no more */
        close(fd);
    }
    buf_deinit(&path);
}

mlxe_status cache_prepare(const char *cache, const char *repo, strv commit, mlxe_error *err)
{
    static const char *const FOLDERS[] = {"blobs", "refs", ".partial"};
    buf snapshot = {0};
    mlxe_status rc = MLXE_OK;
    int fd, number = make_folders(cache);
    if (number) return cache_io_error(cache, "make the cache's folder", number, err);
    tag_write(cache);
    if ((number = make_folders(repo))) return cache_io_error(repo, "make the folder", number, err);
    buf_add_str(&snapshot, "snapshots");
    if (commit.n) buf_add_char(&snapshot, '/');
    buf_add_strv(&snapshot, commit);
    for (size_t i = 0; i <= sizeof FOLDERS / sizeof *FOLDERS && !rc; i++) {
        strv folder = i ? strv_of(FOLDERS[i - 1]) : buf_view(&snapshot);
        fd = cache_dir_open(repo, folder, CACHE_DIR_MAKE);
        if (fd < 0) {
            number = errno;
            rc = cache_io_error(repo, folder.p, number, err);
        } else {
            close(fd);
        }
    }
    buf_deinit(&snapshot);
    return rc;
}

void cache_sync_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    fsync(fd);
    close(fd);
}

/* ---- names ----------------------------------------------------------------------------------- */

void cache_random_hex(char *out, size_t digits)
{
    unsigned char random[16];
    if (RAND_bytes(random, sizeof random) != 1) memset(random, 0, sizeof random);
    for (size_t i = 0; i + 1 < digits + 1 && i / 2 < sizeof random; i += 2)
        snprintf(out + i, 3, "%02x", random[i / 2]);
    out[digits] = 0;
}

const char *cache_temporary(buf *out, const char *repo)
{
    char random[17];
    cache_random_hex(random, 16);
    buf_clear(out);
    buf_add_str(out, repo);
    buf_add_str(out, "/.partial/t-");
    buf_add_str(out, random);
    return buf_str(out);
}

/* Splits "a/b/c" into the folder, opened and made, and the last name (borrowed). */
static int parent_open(const char *repo, strv relative, const char **name)
{
    size_t n = relative.n;
    while (n && relative.p[n - 1] != '/')
        n--;
    *name = relative.p + n;
    return cache_dir_open(repo, strv_from(relative.p, n ? n - 1 : 0), CACHE_DIR_MAKE);
}

/* ---- small files ----------------------------------------------------------------------------- */

static int write_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t done = write(fd, p, n);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return done ? errno : EIO;
        p += done;
        n -= (size_t)done;
    }
    return 0;
}

mlxe_status cache_file_write(const char *repo, strv relative, const char *p, size_t n,
                             mlxe_error *err)
{
    char random[17], temporary[32];
    buf name = {0};
    const char *last;
    int partial = -1, parent = -1, fd = -1, number = 0;
    mlxe_status rc = MLXE_OK;
    buf_add_strv(&name, relative); /* NUL-terminated */
    if (!buf_ok(&name)) return err_memory(err, "name", relative.n);
    cache_random_hex(random, 16);
    snprintf(temporary, sizeof temporary, "t-%s", random);
    partial = cache_dir_open(repo, STRV(".partial"), CACHE_DIR_MAKE);
    if (partial >= 0) parent = parent_open(repo, buf_view(&name), &last);
    if (parent >= 0) fd = openat(partial, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        number = errno;
    else if (!(number = write_all(fd, p, n)) && fsync(fd))
        number = errno;
    if (fd >= 0 && close(fd) && !number) number = errno;
    if (fd >= 0 && !number && renameat(partial, temporary, parent, last)) number = errno;
    if (fd >= 0 && number) unlinkat(partial, temporary, 0);
    if (number) {
        buf path = {0};
        fs_join(&path, repo, buf_str(&name));
        rc = cache_io_error(buf_str(&path), "write", number, err);
        buf_deinit(&path);
    }
    if (parent >= 0) close(parent);
    if (partial >= 0) close(partial);
    buf_deinit(&name);
    return rc;
}

mlxe_status cache_ref_write(const char *repo, strv revision, strv commit, mlxe_error *err)
{
    char now[HUB_COMMIT_CHARS + 1];
    buf relative = {0}, path = {0}, text = {0};
    mlxe_status rc = MLXE_OK;
    if (hub_is_commit(revision)) return MLXE_OK;
    /* Compared byte for byte: a value with a newline reads the same here but breaks Python. */
    if (!cache_ref_read(repo, revision, now, NULL) && strv_is(commit, now) &&
        !fs_read(cache_ref_path(&path, repo, revision), 0, &text, NULL) &&
        strv_eq(buf_view(&text), commit))
        goto out;
    buf_add_str(&relative, "refs/");
    buf_add_strv(&relative, revision);
    rc = cache_file_write(repo, buf_view(&relative), commit.p, commit.n, err);
out:
    buf_deinit(&relative);
    buf_deinit(&path);
    buf_deinit(&text);
    return rc;
}

/* ---- links ----------------------------------------------------------------------------------- */

int cache_has_links(const char *cache)
{
    char random[17];
    buf path = {0};
    int fd, has;
    cache_random_hex(random, 16);
    fs_join(&path, cache, ".locks");
    if (mkdir(buf_str(&path), 0777) && errno != EEXIST) {
        buf_deinit(&path);
        return 1;
    }
    fd = open(buf_str(&path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    buf_deinit(&path);
    if (fd < 0) return 1;
    has = !symlinkat("nowhere", fd, random) || errno == EROFS || errno == EACCES;
    unlinkat(fd, random, 0);
    close(fd);
    return has;
}

static int copy_bytes(int from, int to)
{
    char room[1 << 16];
    for (;;) {
        ssize_t n = read(from, room, sizeof room);
        int number;
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno;
        if (n == 0) return fsync(to) ? errno : 0;
        if ((number = write_all(to, room, (size_t)n))) return number;
    }
}

static int copy_at(int from_dir, const char *from_name, int to_dir, const char *to_name)
{
    int from = openat(from_dir, from_name, O_RDONLY | O_CLOEXEC), to, number;
    if (from < 0) return errno;
    to = openat(to_dir, to_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    number = to < 0 ? errno : copy_bytes(from, to);
    close(from);
    if (to >= 0) close(to);
    return number;
}

int cache_copy(const char *from, const char *to) { return copy_at(AT_FDCWD, from, AT_FDCWD, to); }

/* Makes `temporary` in partial hold what the entry shall show. -> 0 or an errno */
static int entry_make(int blobs, int partial, const char *etag, const char *target,
                      const char *temporary, cache_link_how how)
{
    if (how == CACHE_LINK) return symlinkat(target, partial, temporary) ? errno : 0;
    if (how == CACHE_MOVE) return renameat(blobs, etag, partial, temporary) ? errno : 0;
    /* One file under two names where the file system can: what was taken over from another program
     * by link stays a link. */
    if (!linkat(blobs, etag, partial, temporary, 0)) return 0;
    return copy_at(blobs, etag, partial, temporary);
}

mlxe_status cache_link(const char *repo, strv commit, strv path, strv etag, cache_link_how how,
                       mlxe_error *err)
{
    char random[17], temporary[32];
    buf relative = {0}, target = {0}, blob = {0};
    const char *last = NULL;
    int partial = -1, parent = -1, blobs = -1, number = 0;
    mlxe_status rc = MLXE_OK;
    buf_add_str(&relative, "snapshots/");
    buf_add_strv(&relative, commit);
    buf_add_char(&relative, '/');
    buf_add_strv(&relative, path);
    buf_add_str(&target, "../../");
    for (size_t i = 0; i < path.n; i++)
        if (path.p[i] == '/') buf_add_str(&target, "../");
    buf_add_str(&target, "blobs/");
    buf_add_strv(&target, etag);
    buf_add_strv(&blob, etag);
    cache_random_hex(random, 16);
    snprintf(temporary, sizeof temporary, "t-%s", random);
    if (!buf_ok(&relative) || !buf_ok(&target) || !buf_ok(&blob)) number = ENOMEM;
    if (!number && (partial = cache_dir_open(repo, STRV(".partial"), CACHE_DIR_MAKE)) < 0)
        number = errno;
    if (!number && (blobs = cache_dir_open(repo, STRV("blobs"), CACHE_DIR_MAKE)) < 0)
        number = errno;
    if (!number && (parent = parent_open(repo, buf_view(&relative), &last)) < 0) number = errno;
    if (!number)
        number = entry_make(blobs, partial, buf_str(&blob), buf_str(&target), temporary, how);
    if (!number && renameat(partial, temporary, parent, last)) {
        number = errno;
        if (how == CACHE_MOVE) renameat(partial, temporary, blobs, buf_str(&blob));
        unlinkat(partial, temporary, 0);
    }
    if (number) {
        fs_join(&target, repo, buf_str(&relative));
        rc = cache_io_error(buf_str(&target), "put the file in place", number, err);
    }
    if (parent >= 0) close(parent);
    if (partial >= 0) close(partial);
    if (blobs >= 0) close(blobs);
    buf_deinit(&relative);
    buf_deinit(&target);
    buf_deinit(&blob);
    return rc;
}
