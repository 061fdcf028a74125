/* local_dir.h: files of a revision in a folder of the user's: huggingface_hub's local_dir.
 *
 *   <dir>/<path>                          the file itself, no link: it may be edited
 *   <dir>/.cache/huggingface/
 *      .gitignore CACHEDIR.TAG
 *      trees/<commit>.json                tree.h, Python's too
 *      download/<path>.metadata           commit, etag, seconds since 1970; Python's too
 *      download/<path>.lock               Python's lock, held while the file is fetched
 *      .partial/ .staging/                ours: temporary names; a cache in which blobs are fetched
 *
 * What the metadata says holds as long as the file is not younger than they are (by a second).
 * After that the file is hashed; it stays when the hash is the Hub's, and is replaced when it is
 * not.
 *
 * A download into a folder is a download into the cache of .staging whose blobs are moved to their
 * place instead of linked. Thread any: no state but the disk.
 * Source: huggingface_hub 2.4 _local_folder.py; file_download.py, _hf_hub_download_to_local_dir. */
#ifndef HUB_LOCAL_DIR_H
#define HUB_LOCAL_DIR_H

#include "hub/cache.h"
#include "hub/tree.h"

/* "<dir>/.cache/huggingface", and "/.staging" below it, after clearing out. -> buf_str(out) */
const char *local_state_path(buf *out, const char *dir);
const char *local_staging_path(buf *out, const char *dir);

/* Makes the folders and what marks them as no content. Fails ACCESS, IO naming the path */
mlxe_status local_prepare(const char *dir, mlxe_error *err);
/* Fails CORRUPT: a path that lies where the state is kept. */
mlxe_status local_path_check(strv path, mlxe_error *err);

typedef enum local_look {
    LOCAL_ABSENT,  /* no file */
    LOCAL_STALE,   /* what another commit has under that name */
    LOCAL_CHANGED, /* of another size, and nobody fetched it like this */
    LOCAL_UNSURE,  /* of the right size, and nothing known of its content: to be hashed */
    LOCAL_OLDER,   /* the right one, as an earlier commit had it too: local_note */
    LOCAL_THERE
} local_look;
local_look local_file_look(const char *dir, const hub_entry *entry, const char *commit);

/* Notes that <dir>/<path> is the file that etag names, now. */
mlxe_status local_note(const char *dir, strv path, const char *commit, strv etag, mlxe_error *err);
/* Moves blobs/<etag> of the staging repository to <dir>/<path>, and notes it. */
mlxe_status local_place(const char *dir, const char *staging_repo, strv path, const char *commit,
                        strv etag, mlxe_error *err);
/* Copies a blob of the cache into the staging repository, if it is there and its hash is right.
 * -> 1: done */
int local_copy(const char *staging_repo, const char *cache, const char *repo,
               const hub_entry *entry, const atomic_int *cancel);
/* Waits for the lock of one file. Fails as cache_lock_take */
mlxe_status local_lock_take(const char *dir, strv path, const atomic_int *cancel,
                            int64_t deadline_ns, const log_sink *log, cache_lock *out,
                            mlxe_error *err);

#endif
