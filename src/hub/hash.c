/* hash.c: sha256 and git's blob sha1 on OpenSSL's libcrypto, which uses the processor's own.
 *
 * Traps: git's hash begins with the size, so it must be known first. A 40-digit etag is git's on
 * the Hub, but plain on some mirrors: both run, since such files are small. */
#include "hub/hash.h"

#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_BYTES = 1 << 20, SHA256_HEX = 64, SHA1_HEX = 40 };

struct hub_hash {
    EVP_MD_CTX *main, *plain; /* plain NULL: the etag is no sha1; main NULL: unknown */
    uint64_t size;
    char want[SHA256_HEX + 1];
    int broken; /* libcrypto said no */
};

static void begin_git(EVP_MD_CTX *ctx, uint64_t size, int *broken)
{
    char head[40];
    int n = snprintf(head, sizeof head, "blob %llu", (unsigned long long)size);
    *broken |= !EVP_DigestUpdate(ctx, head, (size_t)n + 1);
}

void hub_hash_restart(hub_hash *h)
{
    h->broken = 0;
    if (h->plain) {
        h->broken |= !EVP_DigestInit_ex(h->plain, EVP_sha1(), NULL);
        h->broken |= !EVP_DigestInit_ex(h->main, EVP_sha1(), NULL);
        begin_git(h->main, h->size, &h->broken);
    } else if (h->main) {
        h->broken |= !EVP_DigestInit_ex(h->main, EVP_sha256(), NULL);
    }
}

mlxe_status hub_hash_open(strv etag, uint64_t size, hub_hash **out, mlxe_error *err)
{
    hub_hash *h = calloc(1, sizeof *h);
    int sha1 = hub_is_hex(etag, SHA1_HEX), sha256 = hub_is_hex(etag, SHA256_HEX);
    *out = NULL;
    if (!h) return err_memory(err, "hash", sizeof *h);
    h->size = size;
    if (sha1 || sha256) {
        memcpy(h->want, etag.p, etag.n);
        h->main = EVP_MD_CTX_new();
        if (sha1) h->plain = EVP_MD_CTX_new();
        if (!h->main || (sha1 && !h->plain)) {
            hub_hash_close(h);
            return err_memory(err, "hash", 0);
        }
    }
    hub_hash_restart(h);
    *out = h;
    return MLXE_OK;
}

void hub_hash_add(hub_hash *h, const void *p, size_t n)
{
    if (h->main) h->broken |= !EVP_DigestUpdate(h->main, p, n);
    if (h->plain) h->broken |= !EVP_DigestUpdate(h->plain, p, n);
}

static void digest_hex(EVP_MD_CTX *ctx, char *out, int *broken)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    *broken |= !EVP_DigestFinal_ex(ctx, digest, &n);
    for (unsigned i = 0; i < n && i < SHA256_HEX / 2; i++)
        snprintf(out + (size_t)2 * i, 3, "%02x", digest[i]);
}

hub_verdict hub_hash_verdict(hub_hash *h)
{
    char got[SHA256_HEX + 1] = "";
    if (!h->main) return HUB_HASH_UNKNOWN;
    digest_hex(h->main, got, &h->broken);
    if (h->broken) return HUB_HASH_BAD;
    if (!strcmp(got, h->want)) return HUB_HASH_GOOD;
    if (!h->plain) return HUB_HASH_BAD;
    digest_hex(h->plain, got, &h->broken);
    return !h->broken && !strcmp(got, h->want) ? HUB_HASH_PLAIN_SHA1 : HUB_HASH_BAD;
}

void hub_hash_close(hub_hash *h)
{
    if (!h) return;
    EVP_MD_CTX_free(h->main);
    EVP_MD_CTX_free(h->plain);
    free(h);
}

/* ---- whole files ----------------------------------------------------------------------------- */

static mlxe_status file_error(const char *path, const char *what, mlxe_error *err)
{
    int number = errno;
    mlxe_status code = number == ENOENT || number == ENOTDIR || number == ELOOP ? MLXE_E_NOT_FOUND
                       : number == EACCES || number == EPERM                    ? MLXE_E_ACCESS
                                                                                : MLXE_E_IO;
    return err_set(err, code, "%s: cannot %s, error %d", path, what, number);
}

/* Opens a regular file; a named pipe in its place does not block. */
static mlxe_status file_open(const char *path, int *fd, uint64_t *bytes, mlxe_error *err)
{
    struct stat info;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0) return file_error(path, "open", err);
    if (fstat(*fd, &info) || !S_ISREG(info.st_mode)) {
        close(*fd);
        return err_set(err, MLXE_E_IO, "%s: is not a regular file", path);
    }
    *bytes = (uint64_t)info.st_size;
    return MLXE_OK;
}

typedef void (*bytes_fn)(void *to, const void *p, size_t n);

static mlxe_status file_feed(int fd, const char *path, const atomic_int *cancel, bytes_fn add,
                             void *to, mlxe_error *err)
{
    mlxe_status rc = MLXE_OK;
    char *room = malloc(READ_BYTES);
    if (!room) return err_memory(err, "hash", READ_BYTES);
    for (;;) {
        ssize_t n = read(fd, room, READ_BYTES);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) rc = file_error(path, "read", err);
        if (n <= 0) break;
        add(to, room, (size_t)n);
        if (cancel && atomic_load_explicit(cancel, memory_order_relaxed)) {
            rc = err_set(err, MLXE_E_CANCELLED, "%s: hashing was cancelled", path);
            break;
        }
    }
    free(room);
    return rc;
}

static void hash_feed(void *to, const void *p, size_t n) { hub_hash_add(to, p, n); }

mlxe_status hub_hash_file(const char *path, strv etag, const atomic_int *cancel,
                          hub_verdict *verdict, uint64_t *bytes, mlxe_error *err)
{
    hub_hash *h = NULL;
    int fd;
    mlxe_status rc = file_open(path, &fd, bytes, err);
    *verdict = HUB_HASH_BAD;
    if (rc) return rc;
    rc = hub_hash_open(etag, *bytes, &h, err);
    if (!rc && h->main) rc = file_feed(fd, path, cancel, hash_feed, h, err);
    if (!rc) *verdict = hub_hash_verdict(h);
    hub_hash_close(h);
    close(fd);
    return rc;
}

static void digest_feed(void *to, const void *p, size_t n) { EVP_DigestUpdate(to, p, n); }

static mlxe_status digest_file(const char *path, const EVP_MD *kind, int git,
                               const atomic_int *cancel, char *out, mlxe_error *err)
{
    uint64_t bytes;
    int fd, broken = 0;
    EVP_MD_CTX *ctx;
    mlxe_status rc = file_open(path, &fd, &bytes, err);
    out[0] = 0;
    if (rc) return rc;
    ctx = EVP_MD_CTX_new();
    if (!ctx || !EVP_DigestInit_ex(ctx, kind, NULL)) rc = err_memory(err, "hash", 0);
    if (!rc && git) begin_git(ctx, bytes, &broken);
    if (!rc) rc = file_feed(fd, path, cancel, digest_feed, ctx, err);
    if (!rc) digest_hex(ctx, out, &broken);
    if (!rc && broken) rc = err_set(err, MLXE_E_INTERNAL, "%s: libcrypto cannot hash it", path);
    EVP_MD_CTX_free(ctx);
    close(fd);
    return rc;
}

mlxe_status hub_sha256_file(const char *path, const atomic_int *cancel, char out[65],
                            mlxe_error *err)
{
    return digest_file(path, EVP_sha256(), 0, cancel, out, err);
}

mlxe_status hub_git_sha1_file(const char *path, const atomic_int *cancel, char out[41],
                              mlxe_error *err)
{
    return digest_file(path, EVP_sha1(), 1, cancel, out, err);
}

mlxe_status hub_pointer_sha1(strv sha256_hex, uint64_t size, char out[41], size_t *pointer_bytes,
                             mlxe_error *err)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int broken = 0;
    buf text = {0};
    out[0] = 0;
    buf_addf(&text, "version https://git-lfs.github.com/spec/v1\noid sha256:%.*s\nsize %llu\n",
             (int)sha256_hex.n, sha256_hex.p, (unsigned long long)size);
    *pointer_bytes = text.n;
    if (ctx && buf_ok(&text)) {
        broken = !EVP_DigestInit_ex(ctx, EVP_sha1(), NULL);
        begin_git(ctx, text.n, &broken);
        broken |= !EVP_DigestUpdate(ctx, text.p, text.n);
        digest_hex(ctx, out, &broken);
    }
    broken |= !ctx || !buf_ok(&text);
    EVP_MD_CTX_free(ctx);
    buf_deinit(&text);
    return broken ? err_memory(err, "hash", 0) : MLXE_OK;
}
