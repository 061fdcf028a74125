/* tree_maker.h: folders and caches for tests, made in a scratch folder that is removed again. */
#ifndef TESTS_HUB_TREE_MAKER_H
#define TESTS_HUB_TREE_MAKER_H

#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700 /* nftw, mkdtemp */
#endif
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hub/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COMMIT_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define COMMIT_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static inline int remove_one(const char *path, const struct stat *info, int kind, struct FTW *ftw)
{
    (void)info;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static inline void remove_all(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* A new folder; the result is a buffer of its own. */
static inline char *make_scratch(void)
{
    const char *base = getenv("TMPDIR");
    char *path = malloc(300);
    snprintf(path, 300, "%s/hub-test-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(path));
    return path;
}

static inline void make_parents(const char *path)
{
    char part[2000];
    for (const char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
        snprintf(part, sizeof part, "%.*s", (int)(p - path), path);
        if (mkdir(part, 0777)) assert_int_equal(errno, EEXIST);
    }
}

/* root/format...: the path in a buffer that the next call but seven uses again. */
static inline const char *in(const char *root, const char *format, ...)
{
    static char ring[8][2000];
    static int at;
    char *room = ring[at++ % 8];
    int n = snprintf(room, sizeof ring[0], "%s/", root);
    va_list list;
    va_start(list, format);
    vsnprintf(room + n, sizeof ring[0] - (size_t)n, format, list);
    va_end(list);
    return room;
}

static inline void put(const char *path, const void *p, size_t n)
{
    make_parents(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, p, n), (ssize_t)n);
    close(fd);
}

static inline void put_text(const char *path, const char *text) { put(path, text, strlen(text)); }

/* Bytes that differ at every place. */
static inline void put_bytes(const char *path, size_t n, unsigned seed)
{
    unsigned char *p = malloc(n + 1);
    uint32_t state = seed * 2654435761u + 1;
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        p[i] = (unsigned char)(state >> 24);
    }
    put(path, p, n);
    free(p);
}

typedef enum cached_kind { CACHED_GIT, CACHED_LFS } cached_kind;

/* Puts a file into a cache: its blob under the right name, a link in the snapshot. etag may be
 * NULL. */
static inline void put_cached(const char *cache, const char *repo, const char *commit,
                              const char *path, size_t bytes, unsigned seed, cached_kind kind,
                              char etag[65])
{
    char name[65], target[300] = "../../";
    const char *fresh = in(cache, "%s/blobs/new", repo);
    put_bytes(fresh, bytes, seed);
    if (kind == CACHED_LFS)
        assert_int_equal(hub_sha256_file(fresh, NULL, name, NULL), MLXE_OK);
    else
        assert_int_equal(hub_git_sha1_file(fresh, NULL, name, NULL), MLXE_OK);
    assert_int_equal(rename(fresh, in(cache, "%s/blobs/%s", repo, name)), 0);
    for (const char *p = path; *p; p++)
        if (*p == '/') strcat(target, "../");
    strcat(target, "blobs/");
    strcat(target, name);
    const char *link = in(cache, "%s/snapshots/%s/%s", repo, commit, path);
    make_parents(link);
    assert_int_equal(symlink(target, link), 0);
    if (etag) strcpy(etag, name);
}

static inline int there(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

#endif
