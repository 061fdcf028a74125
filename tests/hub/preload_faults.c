/* preload_faults.c: preloaded, makes the system fail where a test wants it. Built by
 * test_injected.sh.
 *
 *   FAULT_FLOCK=always     flock says yes to everybody, as some network file systems do
 *   FAULT_FLOCK=ENOSYS     flock does not exist
 *   FAULT_PWRITE=N:ENOSPC  after N bytes written by pwrite, no room is left
 *   FAULT_PWRITE=N:KILL    after N bytes the process dies by SIGKILL
 *   FAULT_RENAME=K         the K-th renameat fails with EIO; so FAULT_FSYNC, FAULT_SYMLINK
 *   FAULT_RENAME=K:KILL    the process dies by SIGKILL in place of it
 *   FAULT_NAMES=fold       faccessat finds a name in capitals where it stands in small letters, as
 *                          on a file system that does not tell them apart
 *
 * The counters are of the whole process, whose threads may all call. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* 1: this call is the one that the variable names. */
static int is_turn(const char *variable, atomic_int *count)
{
    const char *value = getenv(variable);
    if (!value || atomic_fetch_add(count, 1) + 1 != atoi(value)) return 0;
    if (strstr(value, ":KILL")) kill(getpid(), SIGKILL);
    return 1;
}

int flock(int fd, int how)
{
    const char *fault = getenv("FAULT_FLOCK");
    int (*next)(int, int) = (int (*)(int, int))dlsym(RTLD_NEXT, "flock");
    if (fault && !strcmp(fault, "always")) return 0;
    if (fault && !strcmp(fault, "ENOSYS")) {
        errno = ENOSYS;
        return -1;
    }
    return next(fd, how);
}

/* 1: the write that is wanted fails, with errno. */
static int write_fails(size_t n)
{
    static atomic_llong written;
    const char *fault = getenv("FAULT_PWRITE"), *kind = fault ? strchr(fault, ':') : NULL;
    if (!kind || atomic_fetch_add(&written, (long long)n) + (long long)n <= atoll(fault)) return 0;
    if (!strcmp(kind, ":KILL")) kill(getpid(), SIGKILL);
    errno = ENOSPC;
    return 1;
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    ssize_t (*next)(int, const void *, size_t, off_t) =
        (ssize_t(*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite");
    /* What the map of a partial file takes is no content. */
    return n > 8 && write_fails(n) ? -1 : next(fd, p, n, at);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at) { return pwrite(fd, p, n, at); }

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    static atomic_int count;
    int (*next)(int, const char *, int, const char *) =
        (int (*)(int, const char *, int, const char *))dlsym(RTLD_NEXT, "renameat");
    if (!is_turn("FAULT_RENAME", &count)) return next(from_dir, from, to_dir, to);
    errno = EIO;
    return -1;
}

int symlinkat(const char *target, int dir, const char *name)
{
    static atomic_int count;
    int (*next)(const char *, int, const char *) =
        (int (*)(const char *, int, const char *))dlsym(RTLD_NEXT, "symlinkat");
    if (!is_turn("FAULT_SYMLINK", &count)) return next(target, dir, name);
    errno = EIO;
    return -1;
}

int faccessat(int dir, const char *name, int mode, int flags)
{
    const char *fault = getenv("FAULT_NAMES");
    char small[300];
    size_t n = strlen(name);
    int (*next)(int, const char *, int, int) =
        (int (*)(int, const char *, int, int))dlsym(RTLD_NEXT, "faccessat");
    if (!fault || strcmp(fault, "fold") != 0 || n >= sizeof small)
        return next(dir, name, mode, flags);
    for (size_t i = 0; i <= n; i++)
        small[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
    return next(dir, small, mode, flags);
}

int fsync(int fd)
{
    static atomic_int count;
    int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    if (!is_turn("FAULT_FSYNC", &count)) return next(fd);
    errno = EIO;
    return -1;
}
