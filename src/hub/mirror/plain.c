/* plain.c: a folder of plain files served as a repository with one commit.
 *
 * The commit is made of names, sizes and times, so that asking for it reads no content; the ETags
 * are the content's hashes, as on the Hub, so a client fetches nothing twice when only a time
 * changed.
 *
 * Traps: a link below the folder is never followed, whatever it leads to; a named pipe must not be
 * opened for reading, it would block. */
#define _XOPEN_SOURCE 700
#include "hub/mirror/plain.h"

#include "hub/cache_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAX_FILES = 100000, MAX_DEPTH = 16, ATTRIBUTES_BYTES = 1 << 20, LFS_BYTES = 10 << 20 };

static int is_hidden(const char *name)
{
    return name[0] == '.' && strcmp(name, ".gitattributes") != 0;
}

static mlxe_status add(plain_files *out, const char *path, const struct stat *info, mlxe_error *err)
{
    if (out->n == MAX_FILES)
        return err_set(err, MLXE_E_LIMIT, "%s: more than %d files", path, MAX_FILES);
    if (out->n == out->cap) {
        size_t cap = out->cap ? out->cap * 2 : 64;
        plain_file *grown = realloc(out->files, cap * sizeof *grown);
        if (!grown) return err_memory(err, path, cap * sizeof *grown);
        out->files = grown;
        out->cap = cap;
    }
    char *copy = strdup(path);
    if (!copy) return err_memory(err, path, strlen(path));
    out->files[out->n++] = (plain_file){copy, *info};
    return MLXE_OK;
}

/* Takes the descriptor of a folder; relative names it ("" at the top, else it ends in "/"). */
static mlxe_status walk(int fd, const char *relative, int depth, plain_files *out, mlxe_error *err)
{
    buf path = {0};
    mlxe_status rc = MLXE_OK;
    DIR *dir = fdopendir(fd);
    const struct dirent *item;
    if (!dir) {
        close(fd);
        return err_memory(err, relative, 0);
    }
    while (!rc && (item = readdir(dir))) {
        struct stat info;
        if (is_hidden(item->d_name) ||
            fstatat(dirfd(dir), item->d_name, &info, AT_SYMLINK_NOFOLLOW))
            continue;
        buf_clear(&path);
        buf_add_str(&path, relative);
        buf_add_str(&path, item->d_name);
        if (!buf_ok(&path)) {
            rc = err_memory(err, relative, 0);
        } else if (hub_path_check(buf_view(&path), NULL)) {
            continue;
        } else if (S_ISREG(info.st_mode)) {
            rc = add(out, buf_str(&path), &info, err);
        } else if (S_ISDIR(info.st_mode) && depth < MAX_DEPTH) {
            int sub =
                openat(dirfd(dir), item->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            buf_add_char(&path, '/');
            if (sub >= 0) rc = walk(sub, buf_str(&path), depth + 1, out, err);
        }
    }
    closedir(dir);
    buf_deinit(&path);
    return rc;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const plain_file *)a)->path, ((const plain_file *)b)->path);
}

mlxe_status plain_list(const char *folder, plain_files *out, mlxe_error *err)
{
    *out = (plain_files){0};
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return err_set(err, MLXE_E_NOT_FOUND, "%s: no such folder", folder);
    mlxe_status rc = walk(fd, "", 0, out, err);
    if (rc)
        plain_deinit(out);
    else if (out->n)
        qsort(out->files, out->n, sizeof *out->files, by_path);
    return rc;
}

void plain_deinit(plain_files *files)
{
    for (size_t i = 0; i < files->n; i++)
        free(files->files[i].path);
    free(files->files);
    *files = (plain_files){0};
}

mlxe_status plain_commit(const plain_files *files, char commit[HUB_COMMIT_CHARS + 1],
                         mlxe_error *err)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    buf line = {0};
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    int ok = md && EVP_DigestInit_ex(md, EVP_sha1(), NULL);
    for (size_t i = 0; ok && i < files->n; i++) {
        const plain_file *f = &files->files[i];
        buf_clear(&line);
        buf_addf(&line, "%s %lld %lld.%09ld\n", f->path, (long long)f->info.st_size,
                 (long long)f->info.st_mtim.tv_sec, f->info.st_mtim.tv_nsec);
        ok = buf_ok(&line) && EVP_DigestUpdate(md, line.p, line.n);
    }
    ok = ok && EVP_DigestFinal_ex(md, digest, NULL);
    for (size_t i = 0; ok && i < HUB_COMMIT_CHARS / 2; i++)
        snprintf(commit + 2 * i, 3, "%02x", digest[i]);
    EVP_MD_CTX_free(md);
    buf_deinit(&line);
    return ok ? MLXE_OK : err_memory(err, "commit", 0);
}

int plain_has_files(const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *item;
    int found = 0;
    while (dir && !found && (item = readdir(dir))) {
        struct stat info;
        found = !is_hidden(item->d_name) &&
                !fstatat(dirfd(dir), item->d_name, &info, AT_SYMLINK_NOFOLLOW) &&
                S_ISREG(info.st_mode);
    }
    if (dir) closedir(dir);
    return found;
}

/* ---- LFS ------------------------------------------------------------------------------------ */

/* The Hub's own .gitattributes for a new repository, and its limit for other files. */
static int is_lfs_by_default(const char *path, uint64_t bytes)
{
    static const char *const ENDS[] = {
        ".7z",          ".arrow",   ".bin",     ".bz2",    ".ckpt",    ".ftz", ".gguf", ".gz",
        ".h5",          ".joblib",  ".mlmodel", ".model",  ".msgpack", ".npy", ".npz",  ".onnx",
        ".ot",          ".parquet", ".pb",      ".pickle", ".pkl",     ".pt",  ".pth",  ".rar",
        ".safetensors", ".tar",     ".tflite",  ".tgz",    ".wasm",    ".xz",  ".zip",  ".zst"};
    strv name = strv_of(path);
    for (size_t i = 0; i < sizeof ENDS / sizeof *ENDS; i++)
        if (strv_ends(name, strv_of(ENDS[i]))) return 1;
    return bytes >= LFS_BYTES;
}

/* One line: "PATTERN ATTRIBUTE...". 1: it says filter=lfs for the path; 0: it says otherwise; -1:
 * it is not about it. */
static int line_says(strv line, const char *path)
{
    const char *base = strrchr(path, '/');
    size_t n = 0;
    while (n < line.n && line.p[n] != ' ' && line.p[n] != '\t')
        n++;
    strv pattern = strv_from(line.p, n), rest = strv_from(line.p + n, line.n - n);
    if (n == 0 || line.p[0] == '#') return -1;
    const char *subject = base && !memchr(pattern.p, '/', pattern.n) ? base + 1 : path;
    if (pattern.p[0] == '/') pattern = strv_from(pattern.p + 1, pattern.n - 1);
    if (!glob_match(pattern, strv_of(subject))) return -1;
    for (size_t i = 0; i + 1 < rest.n; i++) {
        strv tail = strv_from(rest.p + i + 1, rest.n - i - 1);
        if (rest.p[i] != ' ' && rest.p[i] != '\t') continue;
        if (strv_starts(tail, STRV("filter=lfs"))) return 1;
        if (strv_starts(tail, STRV("-filter")) || strv_starts(tail, STRV("!filter"))) return 0;
    }
    return -1;
}

int plain_is_lfs(const char *attributes, const char *path, uint64_t bytes)
{
    int is = 0;
    if (!attributes[0]) return is_lfs_by_default(path, bytes);
    for (const char *p = attributes; *p;) {
        size_t n = strcspn(p, "\r\n");
        int says = line_says(strv_from(p, n), path);
        if (says >= 0) is = says; /* the last line wins */
        p += n + (p[n] != 0);
    }
    return is;
}

void plain_attributes(const char *folder, buf *out)
{
    struct stat info;
    int fd = plain_open(folder, ".gitattributes", &info);
    if (fd < 0) return;
    size_t want = info.st_size > ATTRIBUTES_BYTES ? ATTRIBUTES_BYTES : (size_t)info.st_size;
    char *room = buf_reserve(out, want + 1);
    ssize_t n = room ? read(fd, room, want) : -1;
    if (n > 0) {
        out->n += (size_t)n;
        room[n] = 0;
    }
    close(fd);
}

int plain_open(const char *folder, const char *path, struct stat *info)
{
    const char *slash = strrchr(path, '/');
    strv parent = strv_from(path, slash ? (size_t)(slash - path) : 0);
    int dir = cache_dir_open(folder, parent, CACHE_DIR_OPEN), fd = -1;
    if (dir < 0) return -1;
    fd = openat(dir, slash ? slash + 1 : path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    close(dir);
    if (fd >= 0 && (fstat(fd, info) || !S_ISREG(info->st_mode))) {
        close(fd);
        fd = -1;
    }
    return fd;
}
