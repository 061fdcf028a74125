/* fs.c: files: whole reads, read-only maps, atomic replacement, paths.
 *
 * Owns: what the operating system does not promise. Every call is repeated after EINTR, a read or
 * write of part of the bytes goes on, and no call asks for more than IO_BYTES, so that files above
 * 2 GiB work everywhere. errno becomes one of NOT_FOUND, ACCESS, MEMORY, IO; the message starts
 * with the path.
 *
 *   replace   open "path.tmp-PID-N" beside it -> write -> fsync -> rename -> fsync the folder
 *
 * Invariants
 *   A reader of path sees the old bytes or the new bytes, never part of them, also after a crash.
 *   A map is private and read-only. Its size was checked against the file that is open, not against
 *   the path.
 *
 * Traps: a write above the limit of the file's size (ulimit -f) raises SIGXFSZ, whose default is to
 * end the process. The library installs no handler: the signal is blocked for the thread during the
 * write and taken from its pending ones, which leaves EFBIG. A named pipe in the place of a file
 * would block in open: maps open with O_NONBLOCK and look at the type. rename replaces a symbolic
 * link itself, not the file that it names (the Hub's cache points with links at shared blobs). */
#include "base/fs.h"

#include "base/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/vfs.h>
#elif defined(__APPLE__)
#include <sys/mount.h>
#include <sys/param.h>
#endif

enum {
    IO_BYTES = 1 << 30,      /* most bytes of one read or write */
    FIRST_BYTES = 1 << 16,   /* first room for a file whose size is not known (pipe, /proc) */
    WRITER_BYTES = 1 << 16,  /* small pieces are gathered */
    MAP_ALIGN_BYTES = 4096,  /* a file that was read is aligned as a mapped one */
    TEMPORARY_NAMES = 10000, /* names that are tried for the file beside */
    NEW_FILE_MODE = 0644
};

/* ---- errors --------------------------------------------------------------------------------- */

static mlxe_status errno_status(int number)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR:
        return MLXE_E_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return MLXE_E_ACCESS;
    case ENOMEM:
        return MLXE_E_MEMORY;
    default:
        return MLXE_E_IO;
    }
}

/* "path: cannot open, No such file or directory" */
static mlxe_status system_error(mlxe_error *err, const char *path, const char *what, int number)
{
    char reason[128] = "";
    if (strerror_r(number, reason, sizeof reason) || !reason[0]) strcpy(reason, "unknown error");
    return err_set(err, errno_status(number), "%s: cannot %s, %s", path, what, reason);
}

/* ---- reading -------------------------------------------------------------------------------- */

static int open_retry(const char *path, int flags, mode_t mode)
{
    int fd;
    do
        fd = open(path, flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    return fd;
}

/* Reads n bytes, or fewer at the end of the file. -> bytes, or -1 with errno */
static ssize_t read_retry(int fd, char *p, size_t n)
{
    size_t done = 0;
    while (done < n) {
        size_t want = n - done < IO_BYTES ? n - done : IO_BYTES;
        ssize_t got = read(fd, p + done, want);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -1;
        if (got == 0) break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

static mlxe_status too_large(mlxe_error *err, const char *path, size_t limit)
{
    return err_set(err, MLXE_E_LIMIT, "%s: larger than %zu bytes, the limit for such a file", path,
                   limit);
}

mlxe_status fs_read(const char *path, size_t limit, buf *out, mlxe_error *err)
{
    mlxe_status status = MLXE_OK;
    size_t start = out->n, room = FIRST_BYTES;
    struct stat info;
    int fd = open_retry(path, O_RDONLY, 0);
    if (fd < 0) return system_error(err, path, "open", errno);
    if (fstat(fd, &info)) {
        status = system_error(err, path, "open", errno);
        goto out;
    }
    if (S_ISREG(info.st_mode) && info.st_size > 0) {
        if (limit && (uint64_t)info.st_size > limit) {
            status = too_large(err, path, limit);
            goto out;
        }
        room = (size_t)info.st_size + 1; /* one more: the end shows without another round */
    }
    for (;;) {
        char *to = buf_reserve(out, room);
        ssize_t got;
        if (!to) {
            status = err_memory(err, path, room);
            goto out;
        }
        pages_large(to, room);
        got = read_retry(fd, to, room);
        if (got < 0) {
            status = system_error(err, path, "read", errno);
            goto out;
        }
        out->n += (size_t)got;
        out->p[out->n] = 0;
        if (limit && out->n - start > limit) {
            status = too_large(err, path, limit);
            goto out;
        }
        if ((size_t)got < room) break;
        room = out->n - start > FIRST_BYTES ? out->n - start : FIRST_BYTES;
    }
out:
    close(fd);
    if (status && out->p) {
        out->n = start;
        out->p[start] = 0;
    }
    return status;
}

/* Opens a regular file and tells its size. A named pipe does not block. */
static mlxe_status open_regular(const char *path, int *fd, uint64_t *bytes, mlxe_error *err)
{
    mlxe_status status = MLXE_OK;
    struct stat info;
    *fd = open_retry(path, O_RDONLY | O_NONBLOCK, 0);
    if (*fd < 0) return system_error(err, path, "open", errno);
    if (fstat(*fd, &info))
        status = system_error(err, path, "open", errno);
    else if (!S_ISREG(info.st_mode))
        status = err_set(err, MLXE_E_IO, "%s: is not a regular file", path);
    if (status)
        close(*fd);
    else
        *bytes = (uint64_t)info.st_size;
    return status;
}

mlxe_status fs_read_head(const char *path, size_t n, buf *out, uint64_t *file_bytes,
                         mlxe_error *err)
{
    mlxe_status status;
    ssize_t got = -1;
    char *to;
    int fd;
    *file_bytes = 0;
    status = open_regular(path, &fd, file_bytes, err);
    if (status) return status;
    if (n > *file_bytes) n = (size_t)*file_bytes;
    to = buf_reserve(out, n);
    if (!to)
        status = err_memory(err, path, n);
    else if ((got = read_retry(fd, to, n)) < 0)
        status = system_error(err, path, "read", errno);
    close(fd);
    if (status) return status;
    out->n += (size_t)got;
    out->p[out->n] = 0;
    return MLXE_OK;
}

/* ---- maps ----------------------------------------------------------------------------------- */

static mlxe_status wrong_size(mlxe_error *err, const char *path, uint64_t got, uint64_t want)
{
    return err_set(err, MLXE_E_CORRUPT, "%s: has %llu bytes, want %llu", path,
                   (unsigned long long)got, (unsigned long long)want);
}

static mlxe_status read_whole(int fd, const char *path, size_t bytes, fs_map *out, mlxe_error *err)
{
    void *p = NULL;
    ssize_t got;
    if (posix_memalign(&p, MAP_ALIGN_BYTES, bytes)) return err_memory(err, path, bytes);
    got = read_retry(fd, p, bytes);
    if (got < 0 || (size_t)got < bytes) {
        mlxe_status status = got < 0 ? system_error(err, path, "read", errno)
                                     : wrong_size(err, path, (uint64_t)got, bytes);
        free(p);
        return status;
    }
    *out = (fs_map){p, bytes, 1};
    return MLXE_OK;
}

mlxe_status fs_map_open(const char *path, fs_mode mode, uint64_t want_bytes, fs_map *out,
                        mlxe_error *err)
{
    mlxe_status status;
    uint64_t size = 0;
    size_t bytes;
    void *p;
    int fd;
    *out = (fs_map){0};
    status = open_regular(path, &fd, &size, err);
    if (status) return status;
    bytes = (size_t)size;
    if (want_bytes != UINT64_MAX && size != want_bytes) {
        status = wrong_size(err, path, size, want_bytes);
        goto out;
    }
    if (!bytes) goto out;
    if (mode == FS_READ || (mode == FS_AUTO && fs_is_network(path))) {
        status = read_whole(fd, path, bytes, out, err);
        goto out;
    }
    p = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        status = system_error(err, path, "map", errno);
    else
        *out = (fs_map){p, bytes, 0};
out:
    close(fd);
    return status;
}

void fs_map_close(fs_map *map)
{
    if (!map) return;
    if (map->owned)
        free((void *)(uintptr_t)map->p);
    else if (map->p)
        munmap((void *)(uintptr_t)map->p, map->n);
    *map = (fs_map){0};
}

void fs_map_prefetch(const fs_map *map, uint64_t offset, uint64_t bytes)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    if (map->owned || !bytes || offset >= map->n) return;
    if (bytes > map->n - offset) bytes = map->n - offset;
    bytes += offset % page;
    offset -= offset % page;
    posix_madvise((void *)(uintptr_t)(map->p + offset), (size_t)bytes, POSIX_MADV_WILLNEED);
}

/* ---- writing -------------------------------------------------------------------------------- */

struct fs_writer {
    char *path, *temporary; /* temporary NULL: the file has no name yet, or none of ours is left */
    int fd;                 /* -1: closed */
    int failed;             /* a write failed or it was committed: only close is left */
    size_t n;               /* bytes gathered */
    char gathered[WRITER_BYTES];
};

/* One write, in which a file too large is EFBIG and no signal. */
static ssize_t write_quiet(int fd, const char *p, size_t n)
{
    sigset_t too_big, before, pending;
    int was_pending, number, signal_number;
    ssize_t done;
    sigemptyset(&too_big);
    sigaddset(&too_big, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &too_big, &before);
    sigpending(&pending);
    was_pending = sigismember(&pending, SIGXFSZ);
    do
        done = write(fd, p, n);
    while (done < 0 && errno == EINTR);
    number = errno;
    if (done < 0 && number == EFBIG && !was_pending) {
        sigpending(&pending);
        if (sigismember(&pending, SIGXFSZ)) sigwait(&too_big, &signal_number);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = number;
    return done;
}

static mlxe_status write_all(fs_writer *w, const char *p, size_t n, mlxe_error *err)
{
    while (n) {
        ssize_t done = write_quiet(w->fd, p, n < IO_BYTES ? n : IO_BYTES);
        if (done <= 0) {
            w->failed = 1;
            return system_error(err, w->path, "write", done ? errno : EIO);
        }
        p += done;
        n -= (size_t)done;
    }
    return MLXE_OK;
}

static mlxe_status flush(fs_writer *w, mlxe_error *err)
{
    size_t n = w->n;
    w->n = 0;
    return write_all(w, w->gathered, n, err);
}

/* A name beside path that nobody has; place makes it: 0, or an errno. */
static int name_temporary(fs_writer *w, int (*place)(fs_writer *w, const char *name))
{
    int number = EEXIST;
    for (int i = 0; number == EEXIST && i < TEMPORARY_NAMES; i++) {
        struct timespec now = {0};
        buf name = {0};
        clock_gettime(CLOCK_MONOTONIC, &now);
        buf_addf(&name, "%s.tmp-%ld-%lx", w->path, (long)getpid(), (unsigned long)now.tv_nsec);
        w->temporary = buf_take(&name, NULL);
        number = w->temporary ? place(w, w->temporary) : ENOMEM;
        if (!number) return 0;
        free(w->temporary);
        w->temporary = NULL;
    }
    return number;
}

/* Not mkstemp: the mode of open follows the umask, which only setting it would tell. */
static int place_new(fs_writer *w, const char *name)
{
    w->fd = open_retry(name, O_WRONLY | O_CREAT | O_EXCL, NEW_FILE_MODE);
    return w->fd < 0 ? errno : 0;
}

/* Gives the file without a name one. */
static int place_link(fs_writer *w, const char *name)
{
    char own[64];
    snprintf(own, sizeof own, "/proc/self/fd/%d", w->fd);
    return linkat(AT_FDCWD, own, AT_FDCWD, name, AT_SYMLINK_FOLLOW) ? errno : 0;
}

/* A file without a name in the folder of path: whatever kills the process, nothing is left behind.
 * -> -1 where the file system has no such thing */
static int open_unnamed(const char *path)
{
#ifdef __O_TMPFILE /* O_TMPFILE without _GNU_SOURCE, which would change strerror_r */
    const char *slash = strrchr(path, '/');
    buf folder = {0};
    int fd = -1;
    if (access("/proc/self/fd", X_OK)) return -1; /* it could get no name later */
    if (!slash)
        buf_add_char(&folder, '.');
    else
        buf_add(&folder, path, slash == path ? 1 : (size_t)(slash - path));
    if (buf_ok(&folder)) fd = open_retry(buf_str(&folder), O_WRONLY | __O_TMPFILE, NEW_FILE_MODE);
    buf_deinit(&folder);
    return fd;
#else
    (void)path;
    return -1;
#endif
}

mlxe_status fs_writer_open(const char *path, fs_writer **out, mlxe_error *err)
{
    mlxe_status status = MLXE_OK;
    fs_writer *w = calloc(1, sizeof *w);
    buf name = {0};
    int number = 0;
    *out = NULL;
    if (!w) return err_memory(err, path, sizeof *w);
    buf_add_str(&name, path);
    w->path = buf_take(&name, NULL);
    w->fd = w->path ? open_unnamed(path) : -1;
    if (w->path && w->fd < 0) number = name_temporary(w, place_new);
    if (!w->path || number == ENOMEM)
        status = err_memory(err, path, strlen(path) + 64);
    else if (number)
        status = system_error(err, path, "write", number);
    if (status)
        fs_writer_close(w);
    else
        *out = w;
    return status;
}

mlxe_status fs_writer_add(fs_writer *w, const void *p, size_t n, mlxe_error *err)
{
    mlxe_status status;
    if (w->failed) return err_set(err, MLXE_E_STATE, "%s: cannot be written any more", w->path);
    if (n > WRITER_BYTES - w->n) {
        status = flush(w, err);
        if (status) return status;
        if (n >= WRITER_BYTES) return write_all(w, p, n, err);
    }
    if (n) memcpy(w->gathered + w->n, p, n);
    w->n += n;
    return MLXE_OK;
}

static int sync_retry(int fd)
{
    int rc;
    do
        rc = fsync(fd);
    while (rc && errno == EINTR);
    return rc;
}

/* Makes the new name last. No error where folders cannot be synced: the bytes are safe already. */
static void sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    buf folder = {0};
    int fd;
    if (!slash)
        buf_add_char(&folder, '.');
    else
        buf_add(&folder, path, slash == path ? 1 : (size_t)(slash - path));
    fd = buf_ok(&folder) ? open_retry(buf_str(&folder), O_RDONLY | O_DIRECTORY, 0) : -1;
    if (fd >= 0) {
        sync_retry(fd);
        close(fd);
    }
    buf_deinit(&folder);
}

mlxe_status fs_writer_commit(fs_writer *w, mlxe_error *err)
{
    mlxe_status status;
    int rc;
    if (w->failed) return err_set(err, MLXE_E_STATE, "%s: cannot be written any more", w->path);
    status = flush(w, err);
    if (status) return status;
    w->failed = 1;
    if (sync_retry(w->fd)) return system_error(err, w->path, "sync", errno);
    if (!w->temporary) {
        int number = name_temporary(w, place_link);
        if (number) return system_error(err, w->path, "write", number);
    }
    rc = close(w->fd);
    w->fd = -1;
    /* After close gave EINTR the descriptor is gone and, after fsync, the bytes are safe. */
    if (rc && errno != EINTR) return system_error(err, w->path, "write", errno);
    if (rename(w->temporary, w->path)) return system_error(err, w->path, "replace", errno);
    free(w->temporary);
    w->temporary = NULL;
    sync_folder(w->path);
    return MLXE_OK;
}

void fs_writer_close(fs_writer *w)
{
    if (!w) return;
    if (w->fd >= 0) close(w->fd);
    if (w->temporary) unlink(w->temporary);
    free(w->temporary);
    free(w->path);
    free(w);
}

mlxe_status fs_replace(const char *path, const void *p, size_t n, mlxe_error *err)
{
    fs_writer *w = NULL;
    mlxe_status status = fs_writer_open(path, &w, err);
    if (!w) return status;
    status = fs_writer_add(w, p, n, err);
    if (!status) status = fs_writer_commit(w, err);
    fs_writer_close(w);
    return status;
}

/* ---- questions ------------------------------------------------------------------------------ */

int fs_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

int fs_is_dir(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

mlxe_status fs_size(const char *path, uint64_t *bytes, mlxe_error *err)
{
    struct stat info;
    *bytes = 0;
    if (stat(path, &info)) return system_error(err, path, "open", errno);
    if (!S_ISREG(info.st_mode)) return err_set(err, MLXE_E_IO, "%s: is not a regular file", path);
    *bytes = (uint64_t)info.st_size;
    return MLXE_OK;
}

int fs_is_network(const char *path)
{
#if defined(__linux__)
    /* Numbers of statfs(2) and the kernel's magic.h; not all are in the header of each libc. */
    static const uint32_t MAGIC[] = {
        0x6969,     /* NFS */
        0x517B,     /* SMB */
        0xFE534D42, /* SMB2 */
        0xFF534D42, /* CIFS */
        0x65735546, /* FUSE: sshfs, s3fs, gcsfuse, ... */
        0x01021997, /* 9p */
        0x5346414F, /* AFS (OpenAFS and kernel) */
        0x6B414653, /* AFS (kernel, older) */
        0x73757245, /* Coda */
        0x00C36400, /* Ceph */
        0x0BD00BD0, /* Lustre */
        0x01161970, /* GFS2 */
        0x7461636F, /* OCFS2 */
        0x47504653, /* GPFS */
        0x19830326, /* BeeGFS */
        0x20030528, /* OrangeFS */
        0x564C,     /* NCP */
        0x786F4256, /* VirtualBox shared folders */
        0xBACBACBC, /* VMware shared folders */
    };
    struct statfs info;
    if (statfs(path, &info)) return 0;
    for (size_t i = 0; i < sizeof MAGIC / sizeof *MAGIC; i++)
        if ((uint32_t)info.f_type == MAGIC[i]) return 1;
    return 0;
#elif defined(__APPLE__)
    struct statfs info;
    return statfs(path, &info) == 0 && !(info.f_flags & MNT_LOCAL);
#else
    (void)path;
    return 0;
#endif
}

const char *fs_join(buf *out, const char *dir, const char *name)
{
    size_t n = strlen(dir);
    buf_clear(out);
    buf_add(out, dir, n);
    if (n && dir[n - 1] != '/') buf_add_char(out, '/');
    buf_add_str(out, name);
    return buf_str(out);
}
