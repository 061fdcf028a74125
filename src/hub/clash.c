/* clash.c: paths folded, sorted, neighbours compared; and a look at how the file system folds.
 *
 *   path -> case folded and decomposed -> equal, or one the other's folder?   no: done, no probe
 *   probe: a file is made, and looked for under a name that differs in case, and in form
 *
 * Most listings have no two such names, so most downloads touch no disk for this. The probe is made
 * in the deepest folder of the path that is there: a folder made below it folds as it does.
 *
 * Traps: macOS takes composed and decomposed letters for one another even where case counts. A
 * folder that differs in case only is no clash by itself: "A/x" and "a/y" can lie together. */
#define _XOPEN_SOURCE 700
#include "hub/clash.h"

#include "hub/cache_dir.h"
#include "hub/tree.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <utf8proc.h>

enum { FOLD_CASE = 1, FOLD_FORM = 2 };

typedef struct folded {
    char *text; /* owned */
    strv path;
} folded;

static char *fold(strv path, unsigned how)
{
    utf8proc_uint8_t *out = NULL;
    unsigned options = UTF8PROC_STABLE;
    if (how & FOLD_CASE) options |= UTF8PROC_CASEFOLD;
    if (how & FOLD_FORM) options |= UTF8PROC_DECOMPOSE;
    /* A path that is not UTF-8 was refused long ago; were it not, it would stand for itself. */
    if (utf8proc_map((const utf8proc_uint8_t *)path.p, (utf8proc_ssize_t)path.n, &out,
                     (utf8proc_option_t)options) < 0)
        return strv_dup(path);
    return (char *)out;
}

static int by_text(const void *a, const void *b)
{
    return hub_path_order(strv_of(((const folded *)a)->text), strv_of(((const folded *)b)->text));
}

/* The first two paths that fold to one file, or to a file and its folder. -> 0: there are none */
static int find_clash(const strv *paths, size_t n, unsigned how, strv *a, strv *b, int *no_memory)
{
    folded *list = calloc(n + 1, sizeof *list);
    int found = 0;
    *no_memory = !list;
    for (size_t i = 0; i < n && !*no_memory; i++) {
        list[i] = (folded){fold(paths[i], how), paths[i]};
        *no_memory = !list[i].text;
    }
    if (!*no_memory) qsort(list, n, sizeof *list, by_text);
    for (size_t i = 1; i < n && !*no_memory && !found; i++) {
        size_t bytes = strlen(list[i - 1].text);
        char next = strncmp(list[i].text, list[i - 1].text, bytes) ? 'x' : list[i].text[bytes];
        found = !next || next == '/';
        *a = list[i - 1].path;
        *b = list[i].path;
    }
    for (size_t i = 0; list && i < n; i++)
        free(list[i].text);
    free(list);
    return found;
}

/* ---- the file system ------------------------------------------------------------------------- */

/* 1: a file made under one name is found under the other. */
static int is_found(int dir, const char *made, const char *other)
{
    int fd = openat(dir, made, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return 0; /* who cannot write here will hear so soon enough */
    close(fd);
    int found = !faccessat(dir, other, F_OK, 0);
    unlinkat(dir, made, 0);
    return found;
}

/* The deepest folder of a path that is there, opened. */
static int deepest_open(const char *path)
{
    char *text = strv_dup(strv_of(path));
    int fd = -1;
    for (size_t n = text ? strlen(text) : 0; n && fd < 0;) {
        text[n] = 0;
        fd = open(text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        while (n && text[n - 1] != '/')
            n--;
        while (n > 1 && text[n - 1] == '/')
            n--;
        if (n == 1 && fd < 0 && text[0] == '/') {
            fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            break;
        }
    }
    free(text);
    return fd >= 0 ? fd : open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static unsigned how_folder_folds(const char *folder)
{
    char random[17], made[40], other[40];
    unsigned how = 0;
    int dir = deepest_open(folder);
    if (dir < 0) return 0;
    cache_random_hex(random, 16);
    snprintf(made, sizeof made, ".probe-%s", random);
    snprintf(other, sizeof other, ".PROBE-%s", random);
    if (is_found(dir, made, other)) how |= FOLD_CASE;
    snprintf(made, sizeof made, ".probe-%s-\xC3\xA9", random);
    snprintf(other, sizeof other, ".probe-%s-e\xCC\x81", random);
    if (is_found(dir, made, other)) how |= FOLD_FORM;
    close(dir);
    return how;
}

mlxe_status clash_check(const strv *paths, size_t n, const char *folder, const char *where,
                        mlxe_error *err)
{
    strv a = {0}, b = {0};
    unsigned how = 0;
    int no_memory;
    int found = find_clash(paths, n, FOLD_CASE | FOLD_FORM, &a, &b, &no_memory);
    if (found) how = how_folder_folds(folder);
    if (how) found = find_clash(paths, n, how, &a, &b, &no_memory);
    if (no_memory) return err_memory(err, where, n * sizeof(folded));
    if (!found || !how) return MLXE_OK;
    err_set(err, MLXE_E_CORRUPT,
            "%s: unsafe file names, %.*s and %.*s are the same to the file system of %s", where,
            (int)a.n, a.p, (int)b.n, b.p, folder);
    err_hint(err, "exclude one of them, or put the files elsewhere, with HF_HUB_CACHE");
    return MLXE_E_CORRUPT;
}
