/* hash.h: the Hub's two content hashes, streamed: sha256 of LFS files, git's blob sha1 of others.
 *
 * Which one follows from the etag: 64 hex digits are sha256(content), 40 are
 * sha1("blob " + size + NUL + content), or a plain sha1 on mirrors that know no git. Any other etag
 * cannot be checked. On OpenSSL's libcrypto. One object is used by one thread at a time. */
#ifndef HUB_HASH_H
#define HUB_HASH_H

#include "base/error.h"
#include "hub/names.h"

#include <stdatomic.h>
#include <stdint.h>

typedef struct hub_hash hub_hash;

typedef enum hub_verdict {
    HUB_HASH_GOOD,
    HUB_HASH_PLAIN_SHA1, /* good, but a plain sha1 instead of git's */
    HUB_HASH_BAD,
    HUB_HASH_UNKNOWN /* the etag is no hash that is known */
} hub_verdict;

/* size: bytes of the whole content, which git's hash begins with. Fails MEMORY */
mlxe_status hub_hash_open(strv etag, uint64_t size, hub_hash **out, mlxe_error *err);
void hub_hash_add(hub_hash *h, const void *p, size_t n);
void hub_hash_restart(hub_hash *h);
/* Ends it; only restart and close may follow. */
hub_verdict hub_hash_verdict(hub_hash *h);
void hub_hash_close(hub_hash *h);

/* Hashes a whole file as etag wants it. cancel may be NULL.
 * Fails  NOT_FOUND, ACCESS, IO, CANCELLED */
mlxe_status hub_hash_file(const char *path, strv etag, const atomic_int *cancel,
                          hub_verdict *verdict, uint64_t *bytes, mlxe_error *err);

/* Hex digests into out (64 + 1 and 40 + 1 bytes), for those who serve or adopt files. */
mlxe_status hub_sha256_file(const char *path, const atomic_int *cancel, char out[65],
                            mlxe_error *err);
mlxe_status hub_git_sha1_file(const char *path, const atomic_int *cancel, char out[41],
                              mlxe_error *err);
/* git's sha1 of the LFS pointer of a file: the tree's oid of an LFS file. */
mlxe_status hub_pointer_sha1(strv sha256_hex, uint64_t size, char out[41], size_t *pointer_bytes,
                             mlxe_error *err);

#endif
