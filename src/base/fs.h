/* fs.h: files: whole reads, read-only maps, atomic replacement, paths.
 *
 * A map stays valid as long as the file's bytes exist: a file that another process truncates under
 * a map kills with SIGBUS, so callers check the size first, and files on network file systems are
 * read instead (fs_is_network). */
#ifndef BASE_FS_H
#define BASE_FS_H

#include "base/buf.h"

#include <stdint.h>

typedef struct fs_map {
    const char *p; /* NULL when the file is empty */
    size_t n;      /* bytes */
    int owned;     /* 1: p was read into memory, not mapped */
} fs_map;

typedef enum fs_mode {
    FS_AUTO,
    FS_MAP,
    FS_READ
} fs_mode; /* FS_AUTO: map, read on network file systems */

/* Appends the whole file to out. limit: an error above so many bytes (0: none).
 * Fails NOT_FOUND, ACCESS, IO, LIMIT, MEMORY; messages name the path */
mlxe_status fs_read(const char *path, size_t limit, buf *out, mlxe_error *err);

/* Appends the first n bytes of a regular file to out (all of it when it has fewer) and tells its
 * size. Fails NOT_FOUND, ACCESS, IO, MEMORY */
mlxe_status fs_read_head(const char *path, size_t n, buf *out, uint64_t *file_bytes,
                         mlxe_error *err);

/* Maps (or reads) a regular file read-only. want_bytes: the size that it must have, or UINT64_MAX.
 * Fails NOT_FOUND, ACCESS, IO, CORRUPT (size), MEMORY */
mlxe_status fs_map_open(const char *path, fs_mode mode, uint64_t want_bytes, fs_map *out,
                        mlxe_error *err);
void fs_map_close(fs_map *map);
/* The bytes will be needed soon: the system may begin to read them. Never fails. */
void fs_map_prefetch(const fs_map *map, uint64_t offset, uint64_t bytes);

/* Replaces path with the bytes: written to a file beside it, synced, renamed. The new file's mode
 * is 0644 less the umask. A symbolic link at path is replaced, not followed. Without success the
 * old file is untouched and nothing is left. Fails NOT_FOUND (folder), ACCESS, IO, MEMORY */
mlxe_status fs_replace(const char *path, const void *p, size_t n, mlxe_error *err);

/* The same for content that comes in pieces. */
typedef struct fs_writer fs_writer;
mlxe_status fs_writer_open(const char *path, fs_writer **out, mlxe_error *err);
mlxe_status fs_writer_add(fs_writer *w, const void *p, size_t n, mlxe_error *err);
mlxe_status fs_writer_commit(fs_writer *w, mlxe_error *err); /* after it only close is allowed */
void fs_writer_close(fs_writer *w);                          /* without commit: nothing is left */

int fs_exists(const char *path);
int fs_is_dir(const char *path);
/* Size of a regular file; IO for anything else. */
mlxe_status fs_size(const char *path, uint64_t *bytes, mlxe_error *err);
int fs_is_network(const char *path); /* NFS, SMB, FUSE, 9p, ... */
/* Appends "dir/name" (NUL-terminated as always) after clearing out. -> buf_str(out) */
const char *fs_join(buf *out, const char *dir, const char *name);

#endif
