/* cache_walk.c: what is in the cache, in an order that does not depend on the disk.
 *
 * Names are collected and sorted before the first is given, so whoever walks may remove what he is
 * given. Folders are opened below their parent without following links; what has no name of ours
 * (.DS_Store, a stray file) is left out.
 *
 * Traps: a repository's folder may itself be a link that the user made; below it none is followed
 * but the two shapes that cache.h knows. */
#define _XOPEN_SOURCE 700
#include "hub/cache_keep.h"

#include "base/fs.h"
#include "hub/cache_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_DEPTH = 64 };

/* ---- sorted names ---------------------------------------------------------------------------- */

typedef struct list {
    char **items;
    size_t n, cap;
} list;

static mlxe_status list_add(list *l, const char *text, mlxe_error *err)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 64;
        char **grown = realloc(l->items, cap * sizeof *grown);
        if (!grown) return err_memory(err, "list of names", cap * sizeof *grown);
        l->items = grown;
        l->cap = cap;
    }
    if (!(l->items[l->n] = strdup(text))) return err_memory(err, "list of names", strlen(text));
    l->n++;
    return MLXE_OK;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list_sort(list *l)
{
    if (l->n) qsort(l->items, l->n, sizeof *l->items, by_text);
}

static void list_deinit(list *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->items[i]);
    free(l->items);
}

static int is_dots(const char *name) { return !strcmp(name, ".") || !strcmp(name, ".."); }

/* Takes fd. */
static mlxe_status list_folder(int fd, list *out, mlxe_error *err)
{
    mlxe_status rc = MLXE_OK;
    const struct dirent *e;
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return err_memory(err, "folder", 0);
    }
    while (!rc && (e = readdir(dir)))
        if (!is_dots(e->d_name)) rc = list_add(out, e->d_name, err);
    closedir(dir);
    list_sort(out);
    return rc;
}

/* ---- walks ----------------------------------------------------------------------------------- */

mlxe_status walk_repos(const char *cache, walk_repo_fn fn, void *user, mlxe_error *err)
{
    list names = {0};
    buf id = {0}, path = {0};
    mlxe_status rc;
    int fd = open(cache, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? MLXE_OK : cache_io_error(cache, "open the cache", errno, err);
    rc = list_folder(fd, &names, err);
    for (size_t i = 0; i < names.n && !rc; i++) {
        kept_repo repo = {.name = names.items[i]};
        if (!cache_repo_parse(names.items[i], &repo.type, &id) ||
            !fs_is_dir(fs_join(&path, cache, names.items[i])))
            continue;
        repo.id = buf_str(&id);
        repo.path = buf_str(&path);
        rc = fn(user, &repo, err);
    }
    list_deinit(&names);
    buf_deinit(&id);
    buf_deinit(&path);
    return rc;
}

mlxe_status walk_names(const char *repo, const char *folder, walk_name_fn fn, void *user,
                       mlxe_error *err)
{
    list names = {0};
    mlxe_status rc;
    int fd = cache_dir_open(repo, strv_of(folder), CACHE_DIR_OPEN);
    if (fd < 0) {
        if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) return MLXE_OK;
        return cache_io_error(repo, folder, errno, err);
    }
    rc = list_folder(fd, &names, err);
    for (size_t i = 0; i < names.n && !rc; i++)
        rc = fn(user, names.items[i], err);
    list_deinit(&names);
    return rc;
}

typedef struct commits {
    walk_commit_fn fn;
    void *user;
} commits;

static mlxe_status one_commit(void *user, const char *name, mlxe_error *err)
{
    const commits *c = user;
    return hub_is_commit(strv_of(name)) ? c->fn(c->user, name, err) : MLXE_OK;
}

mlxe_status walk_commits(const char *repo, walk_commit_fn fn, void *user, mlxe_error *err)
{
    commits c = {fn, user};
    return walk_names(repo, "snapshots", one_commit, &c, err);
}

/* Adds the paths of all that is no folder below fd, which is taken. */
static mlxe_status collect(int fd, const char *head, int depth, list *out, mlxe_error *err)
{
    list names = {0};
    buf path = {0};
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    mlxe_status rc = copy < 0 ? cache_io_error(head, "open", errno, err) : MLXE_OK;
    if (!rc) rc = list_folder(copy, &names, err);
    for (size_t i = 0; i < names.n && !rc; i++) {
        struct stat info;
        int below = -1;
        if (fstatat(fd, names.items[i], &info, AT_SYMLINK_NOFOLLOW)) continue;
        buf_clear(&path);
        buf_addf(&path, "%s%s", head, names.items[i]);
        if (!S_ISDIR(info.st_mode)) {
            rc = list_add(out, buf_str(&path), err);
        } else if (depth < MAX_DEPTH) {
            below = openat(fd, names.items[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            buf_add_char(&path, '/');
            if (below >= 0) rc = collect(below, buf_str(&path), depth + 1, out, err);
        }
        if (!rc && !buf_ok(&path)) rc = err_memory(err, "path", path.n);
    }
    close(fd);
    list_deinit(&names);
    buf_deinit(&path);
    return rc;
}

static mlxe_status collect_below(const char *repo, const char *folder, list *out, mlxe_error *err)
{
    int fd = cache_dir_open(repo, strv_of(folder), CACHE_DIR_OPEN);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == ELOOP
                   ? MLXE_OK
                   : cache_io_error(repo, folder, errno, err);
    return collect(fd, "", 0, out, err);
}

mlxe_status walk_files(const char *cache, const char *repo, const char *commit, walk_file_fn fn,
                       void *user, mlxe_error *err)
{
    list paths = {0};
    buf folder = {0}, etag = {0};
    mlxe_status rc;
    buf_addf(&folder, "snapshots/%s", commit);
    rc = collect_below(repo, buf_str(&folder), &paths, err);
    for (size_t i = 0; i < paths.n && !rc; i++) {
        kept_file file = {.path = strv_of(paths.items[i])};
        file.kind =
            hub_path_check(file.path, NULL)
                ? CACHE_UNSAFE
                : cache_entry_look(cache, repo, strv_of(commit), file.path, &etag, &file.bytes);
        if (file.kind == CACHE_LINKED || file.kind == CACHE_ABSENT) file.etag = buf_view(&etag);
        rc = fn(user, &file, err);
    }
    list_deinit(&paths);
    buf_deinit(&folder);
    buf_deinit(&etag);
    return rc;
}

mlxe_status walk_refs(const char *repo, walk_ref_fn fn, void *user, mlxe_error *err)
{
    list names = {0};
    mlxe_status rc = collect_below(repo, "refs", &names, err);
    for (size_t i = 0; i < names.n && !rc; i++) {
        char commit[HUB_COMMIT_CHARS + 1];
        strv name = strv_of(names.items[i]);
        if (!hub_revision_check(name, NULL) && !hub_is_commit(name) &&
            !cache_ref_read(repo, name, commit, NULL))
            rc = fn(user, names.items[i], commit, err);
    }
    list_deinit(&names);
    return rc;
}

/* ---- sets ------------------------------------------------------------------------------------ */

static size_t slot_of(const name_set *set, strv text)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < text.n; i++)
        hash = (hash ^ (unsigned char)text.p[i]) * 1099511628211u;
    size_t at = (size_t)hash & (set->cap - 1);
    while (set->slots[at] && !strv_is(text, set->slots[at]))
        at = (at + 1) & (set->cap - 1);
    return at;
}

static int grow(name_set *set)
{
    name_set larger = {.cap = set->cap ? set->cap * 2 : 64};
    larger.slots = calloc(larger.cap, sizeof *larger.slots);
    if (!larger.slots) return -1;
    for (size_t i = 0; i < set->cap; i++)
        if (set->slots[i]) larger.slots[slot_of(&larger, strv_of(set->slots[i]))] = set->slots[i];
    larger.n = set->n;
    free(set->slots);
    *set = larger;
    return 0;
}

int name_set_add(name_set *set, strv text)
{
    if (2 * (set->n + 1) > set->cap && grow(set)) return -1;
    size_t at = slot_of(set, text);
    if (set->slots[at]) return 0;
    if (!(set->slots[at] = strv_dup(text))) return -1;
    set->n++;
    return 1;
}

int name_set_has(const name_set *set, strv text)
{
    return set->cap && set->slots[slot_of(set, text)] != NULL;
}

void name_set_deinit(name_set *set)
{
    for (size_t i = 0; i < set->cap; i++)
        free(set->slots[i]);
    free(set->slots);
    *set = (name_set){0};
}
