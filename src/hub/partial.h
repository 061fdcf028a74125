/* partial.h: a blob in progress, which outlives the process that writes it.
 *
 *   blobs/<etag>.<8hex>.incomplete     the bytes; its owner holds flock on it all along
 *   .partial/<same name>.json          {"etag","size","http_etag","host","boot_id","pid","chunk"}
 *   .partial/<same name>.map           bytes done of each chunk, 8 bytes each, little-endian
 *
 * Only files with our sidecar are ever continued. The map is written after the bytes it tells of,
 * so after kill -9 it tells less than is there, never more; what a power cut leaves is found by
 * the hash. A file of one chunk has no map: its length tells. */
#ifndef HUB_PARTIAL_H
#define HUB_PARTIAL_H

#include "base/buf.h"

#include <stdint.h>

typedef struct partial {
    char *repo;
    char name[192]; /* "<etag>.<8hex>.incomplete" */
    int fd, map_fd; /* map_fd -1: one chunk */
    uint64_t size, chunk_bytes;
    size_t n_chunks;
    uint64_t *done;      /* bytes of each chunk that are here */
    char http_etag[132]; /* for If-Range; "" when not known */
} partial;

/* Continues the best partial file of this etag that nobody works on, or begins one of
 * chunk_bytes a chunk. The etag's lock is held. Fails FIT, IO, MEMORY */
mlxe_status partial_open(const char *repo, strv etag, uint64_t size, uint64_t chunk_bytes,
                         partial **out, mlxe_error *err);
uint64_t partial_bytes(const partial *p);
/* Forgets all bytes; chunk_bytes as from now. */
mlxe_status partial_restart(partial *p, uint64_t chunk_bytes, mlxe_error *err);
/* Notes how much of chunk k is here, after the bytes were written. */
void partial_note(partial *p, size_t k, uint64_t done_bytes);
/* Begins to bring bytes [from, to) to the disk, so that the sync at the end finds little to do. */
void partial_write_back(const partial *p, uint64_t from, uint64_t to);
void partial_http_etag(partial *p, strv http_etag);
/* fsync, then blobs/<etag> is this file. Fails FIT, IO */
mlxe_status partial_commit(partial *p, strv etag, mlxe_error *err);
typedef enum partial_fate { PARTIAL_KEEP, PARTIAL_DROP } partial_fate;
void partial_close(partial *p, partial_fate fate);
/* Removes partial files of this etag that nobody has touched for a day. The lock is held. */
void partial_sweep(const char *repo, strv etag);
/* Removes sidecars of this etag whose partial file is gone, and old temporary names. */
void partial_sweep_sidecars(const char *repo, strv etag);

#endif
