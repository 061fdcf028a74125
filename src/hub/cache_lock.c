/* cache_lock.c: Python's lock files, taken with flock.
 *
 * The lock only saves bandwidth: two that both believe to hold it still end with one right blob.
 *
 * Source: huggingface_hub utils/_fixes.py (WeakFileLock) on filelock.
 * Traps: it must be flock: Python waits for flock but runs straight through fcntl's locks. filelock
 * removed the file on release for some versions, so after winning, the descriptor must still be the
 * file at the path. Network file systems may grant it to everybody or know none at all (ENOSYS): on
 * such one goes on without. flock that waits cannot be cancelled, so it is tried again and again.
 * */
#define _DEFAULT_SOURCE
#include "hub/cache.h"

#include "base/thread.h"
#include "hub/cache_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LOCK_MODE = 0664, NOTICE_S = 10, MIN_WAIT_MS = 2, MAX_WAIT_MS = 50 };

static void sleep_ms(int ms)
{
    struct timespec wait = {ms / 1000, (long)(ms % 1000) * 1000000L};
    nanosleep(&wait, NULL);
}

/* Makes the folder that path lies in, and the one above it. */
static void folders_make(const char *path)
{
    const char *end = path + strlen(path), *ends[2] = {NULL, NULL};
    buf folder = {0};
    for (int i = 1; i >= 0 && end > path; i--) {
        while (end > path && *end != '/')
            end--;
        ends[i] = end > path ? end-- : NULL;
    }
    for (int i = 0; i < 2; i++) {
        if (!ends[i]) continue;
        buf_clear(&folder);
        buf_add(&folder, path, (size_t)(ends[i] - path));
        mkdir(buf_str(&folder), 0777);
    }
    buf_deinit(&folder);
}

static int lock_file_open(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, LOCK_MODE);
    if (fd < 0 && errno == ENOENT) {
        folders_make(path);
        fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, LOCK_MODE);
    }
    if (fd >= 0) {
        int rc = fchmod(fd, LOCK_MODE); /* whatever the umask; another user's file stays as it is */
        (void)rc;
    }
    return fd;
}

/* 1: fd is still the file at path. */
static int same_file(int fd, const char *path)
{
    struct stat mine, there;
    return !fstat(fd, &mine) && !stat(path, &there) && mine.st_nlink > 0 &&
           mine.st_dev == there.st_dev && mine.st_ino == there.st_ino;
}

/* -> 1 held, 0 somebody else holds it, -1 with errno */
static int try_once(const char *path, cache_lock *out)
{
    for (;;) {
        int fd = lock_file_open(path), number;
        if (fd < 0) return -1;
        if (!flock(fd, LOCK_EX | LOCK_NB)) {
            if (!same_file(fd, path)) {
                close(fd);
                continue;
            }
            out->fd = fd;
            return 1;
        }
        number = errno;
        close(fd);
        if (number == EINTR) continue;
        if (number == EWOULDBLOCK) return 0;
        if (number == ENOSYS || number == ENOTSUP || number == EOPNOTSUPP || number == ENOLCK)
            return 1; /* unlocked: out->fd stays -1 */
        errno = number;
        return -1;
    }
}

mlxe_status cache_lock_take_at(const char *path, const atomic_int *cancel, int64_t deadline_ns,
                               const log_sink *log, cache_lock *out, mlxe_error *err)
{
    int64_t notice = clock_ns() + (int64_t)NOTICE_S * 1000000000;
    int wait_ms = MIN_WAIT_MS, held;
    out->fd = -1;
    while (!(held = try_once(path, out))) {
        int64_t now = clock_ns();
        if (cancel && atomic_load(cancel))
            return err_set(err, MLXE_E_CANCELLED, "%s: cancelled while waiting", path);
        if (deadline_ns && now > deadline_ns)
            return err_set(err, MLXE_E_TIMEOUT, "%s: still held by another process", path);
        if (now > notice) {
            log_line(log, MLXE_LOG_WARN, "waiting for another process to release %s", path);
            notice = now + (int64_t)NOTICE_S * 1000000000;
        }
        sleep_ms(wait_ms);
        if (wait_ms < MAX_WAIT_MS) wait_ms *= 2;
    }
    return held < 0 ? cache_io_error(path, "lock", errno, err) : MLXE_OK;
}

mlxe_status cache_lock_take(const char *cache, const char *repo_name, strv etag,
                            const atomic_int *cancel, int64_t deadline_ns, const log_sink *log,
                            cache_lock *out, mlxe_error *err)
{
    buf path = {0};
    mlxe_status rc;
    out->fd = -1;
    cache_lock_path(&path, cache, repo_name, etag);
    rc = buf_ok(&path) ? cache_lock_take_at(buf_str(&path), cancel, deadline_ns, log, out, err)
                       : err_memory(err, "lock", 0);
    buf_deinit(&path);
    return rc;
}

mlxe_status cache_lock_try(const char *cache, const char *repo_name, strv etag, cache_lock *out,
                           mlxe_error *err)
{
    buf path = {0};
    mlxe_status rc = MLXE_OK;
    int held;
    out->fd = -1;
    cache_lock_path(&path, cache, repo_name, etag);
    held = buf_ok(&path) ? try_once(buf_str(&path), out) : -1;
    if (!held)
        rc = err_set(err, MLXE_E_STATE, "%s: another process holds it", buf_str(&path));
    else if (held < 0)
        rc = cache_io_error(buf_str(&path), "lock", errno, err);
    buf_deinit(&path);
    return rc;
}

void cache_lock_release(cache_lock *lock)
{
    if (lock->fd >= 0) close(lock->fd); /* and with it the lock */
    lock->fd = -1;
}
