/* safetensors.h: the safetensors format: reading a header, writing a file.
 *
 *   u64 little-endian header length N | N bytes of JSON | data
 *   {"name":{"dtype":"F32","shape":[2,3],"data_offsets":[begin,end]}, ..., "__metadata__":{..}} */
#ifndef FILES_SAFETENSORS_H
#define FILES_SAFETENSORS_H

#include "base/arena.h"
#include "files/model_files.h"

enum { ST_HEADER_LIMIT_BYTES = 100000000 }; /* N, the reference's limit */

/* Parses the header at the start of a file of file_bytes bytes (head: its first head_bytes bytes,
 * at least 8 + N or the whole file). Records go into the arena, in file order; file is left 0.
 * Offsets are from the start of the file.
 * Fails CORRUPT (named reason), UNSUPPORTED (dtype, more than MF_MAX_DIMS dims), MEMORY */
mlxe_status st_parse(const char *where, const void *head, size_t head_bytes, uint64_t file_bytes,
                     arena *mem, mf_tensor **tensors, size_t *n, mlxe_error *err);

/* Streams one file with known tensors: give all of them at open, then their bytes in order. Data is
 * not aligned between tensors: put wide types first. Fails ARG (entries), as fs_writer */
typedef struct st_writer st_writer;
typedef struct st_entry {
    const char *name;
    mf_dtype dtype;
    int n_dims;
    int64_t shape[MF_MAX_DIMS];
} st_entry;
mlxe_status st_writer_open(const char *path, const st_entry *entries, size_t n, st_writer **out,
                           mlxe_error *err);
mlxe_status st_writer_add(st_writer *w, const void *p, size_t n, mlxe_error *err);
/* Fails STATE when not all bytes were given. Written atomically. */
mlxe_status st_writer_commit(st_writer *w, mlxe_error *err);
void st_writer_close(st_writer *w);

#endif
