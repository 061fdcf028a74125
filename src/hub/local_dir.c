/* local_dir.c: the state beside the files, the look at one of them, and putting one in place.
 *
 * Traps: Python reads the third line of the metadata as a float and takes a file for unchanged
 * until a second after it. The lock file is <path>.lock, beside <path>.metadata. Folders are
 * opened one by one without following links, so a link planted in the folder leads no write out of
 * it. */
#define _XOPEN_SOURCE 700
#include "hub/local_dir.h"

#include "hub/cache_dir.h"
#include "hub/hash.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { METADATA_BYTES = 1024 };

static const char STATE[] = ".cache/huggingface";
static const char TAG[] = "Signature: 8a477f597d28d172789f06886806bc55\n"
                          "# This file is a cache directory tag of the Hugging Face Hub cache.\n";

const char *local_state_path(buf *out, const char *dir) { return fs_join(out, dir, STATE); }

const char *local_staging_path(buf *out, const char *dir)
{
    local_state_path(out, dir);
    buf_add_str(out, "/.staging");
    return buf_str(out);
}

mlxe_status local_prepare(const char *dir, mlxe_error *err)
{
    static const struct {
        const char *name, *text;
    } MARKS[] = {{".gitignore", "*"}, {"CACHEDIR.TAG", TAG}};
    buf state = {0}, path = {0};
    mlxe_status rc = MLXE_OK;
    local_state_path(&state, dir);
    for (size_t i = 0; i < sizeof MARKS / sizeof *MARKS && !rc; i++)
        if (!fs_exists(fs_join(&path, buf_str(&state), MARKS[i].name)))
            rc = cache_file_write(buf_str(&state), strv_of(MARKS[i].name), MARKS[i].text,
                                  strlen(MARKS[i].text), err);
    buf_deinit(&state);
    buf_deinit(&path);
    return rc;
}

mlxe_status local_path_check(strv path, mlxe_error *err)
{
    strv head = strv_from(STATE, sizeof STATE - 1);
    if (!strv_starts(path, head) || (path.n > head.n && path.p[head.n] != '/')) return MLXE_OK;
    return err_set(err, MLXE_E_CORRUPT, "%.*s: a file of the repository may not lie there",
                   (int)path.n, path.p);
}

/* ---- metadata -------------------------------------------------------------------------------- */

typedef struct metadata {
    buf text;
    strv commit, etag; /* of text */
    int64_t seconds;   /* cut to whole ones */
} metadata;

static strv line_take(strv *text)
{
    const char *end = text->n ? memchr(text->p, '\n', text->n) : NULL;
    strv line = strv_from(text->p, end ? (size_t)(end - text->p) : text->n);
    *text = end ? strv_from(end + 1, text->n - line.n - 1) : (strv){0};
    if (line.n && line.p[line.n - 1] == '\r') line.n--;
    return line;
}

/* -> 1, or 0: there are none that can be read. deinit m->text in any case */
static int metadata_read(const char *dir, strv path, metadata *m)
{
    buf file = {0};
    *m = (metadata){0};
    local_state_path(&file, dir);
    buf_add_str(&file, "/download/");
    buf_add_strv(&file, path);
    buf_add_str(&file, ".metadata");
    mlxe_status rc =
        buf_ok(&file) ? fs_read(buf_str(&file), METADATA_BYTES, &m->text, NULL) : MLXE_E_MEMORY;
    buf_deinit(&file);
    if (rc) return 0;
    strv rest = buf_view(&m->text), seconds;
    m->commit = line_take(&rest);
    m->etag = line_take(&rest);
    seconds = line_take(&rest);
    size_t digits = 0;
    while (digits < seconds.n && digits < 15 && seconds.p[digits] >= '0' &&
           seconds.p[digits] <= '9')
        m->seconds = m->seconds * 10 + (seconds.p[digits++] - '0');
    return digits && (digits == seconds.n || seconds.p[digits] == '.');
}

mlxe_status local_note(const char *dir, strv path, const char *commit, strv etag, mlxe_error *err)
{
    struct timespec now;
    buf state = {0}, relative = {0}, text = {0};
    mlxe_status rc;
    clock_gettime(CLOCK_REALTIME, &now);
    local_state_path(&state, dir);
    buf_add_str(&relative, "download/");
    buf_add_strv(&relative, path);
    buf_add_str(&relative, ".metadata");
    buf_addf(&text, "%s\n%.*s\n%lld.%06ld\n", commit, (int)etag.n, etag.p, (long long)now.tv_sec,
             now.tv_nsec / 1000);
    rc = buf_ok(&state) && buf_ok(&relative) && buf_ok(&text)
             ? cache_file_write(buf_str(&state), buf_view(&relative), text.p, text.n, err)
             : err_memory(err, "metadata", 0);
    buf_deinit(&state);
    buf_deinit(&relative);
    buf_deinit(&text);
    return rc;
}

local_look local_file_look(const char *dir, const hub_entry *entry, const char *commit)
{
    struct stat info;
    buf file = {0};
    metadata m = {0};
    local_look look = LOCAL_ABSENT;
    fs_join(&file, dir, entry->path.p);
    if (buf_ok(&file) && !stat(buf_str(&file), &info)) {
        int same_size = S_ISREG(info.st_mode) && (uint64_t)info.st_size == entry->size;
        int known =
            metadata_read(dir, entry->path, &m) && (int64_t)info.st_mtim.tv_sec - 1 <= m.seconds;
        if (known && !strv_eq(m.etag, hub_entry_etag(entry)))
            look = LOCAL_STALE;
        else if (!same_size)
            look = LOCAL_CHANGED;
        else if (!known)
            look = LOCAL_UNSURE;
        else
            look = strv_is(m.commit, commit) ? LOCAL_THERE : LOCAL_OLDER;
    }
    buf_deinit(&m.text);
    buf_deinit(&file);
    return look;
}

/* ---- files ----------------------------------------------------------------------------------- */

/* Opens the folder that path lies in, made if it is absent. *name: its last part */
static int parent_open(const char *dir, strv path, const char **name)
{
    size_t n = path.n;
    while (n && path.p[n - 1] != '/')
        n--;
    *name = path.p + n;
    return cache_dir_open(dir, strv_from(path.p, n ? n - 1 : 0), CACHE_DIR_MAKE);
}

mlxe_status local_place(const char *dir, const char *staging_repo, strv path, const char *commit,
                        strv etag, mlxe_error *err)
{
    buf blob = {0}, shown = {0};
    const char *name;
    int number = 0, parent = -1;
    mlxe_status rc = MLXE_OK;
    cache_blob_path(&blob, staging_repo, etag);
    if (!buf_ok(&blob))
        number = ENOMEM;
    else if ((parent = parent_open(dir, path, &name)) < 0 ||
             renameat(AT_FDCWD, buf_str(&blob), parent, name))
        number = errno;
    if (parent >= 0) close(parent);
    if (number)
        rc = cache_io_error(fs_join(&shown, dir, path.p), "put the file in place", number, err);
    else
        rc = local_note(dir, path, commit, etag, err);
    buf_deinit(&blob);
    buf_deinit(&shown);
    return rc;
}

int local_copy(const char *staging_repo, const char *cache, const char *repo,
               const hub_entry *entry, const atomic_int *cancel)
{
    strv etag = hub_entry_etag(entry);
    buf from = {0}, temporary = {0}, to = {0};
    hub_verdict verdict = HUB_HASH_UNKNOWN;
    uint64_t bytes = 0;
    int copied = 0;
    if (cache_blob_size(cache, repo, etag, &bytes) && bytes == entry->size && bytes) {
        cache_blob_path(&from, repo, etag);
        cache_temporary(&temporary, staging_repo);
        cache_blob_path(&to, staging_repo, etag);
        copied = buf_ok(&from) && buf_ok(&temporary) && buf_ok(&to) &&
                 !cache_copy(buf_str(&from), buf_str(&temporary)) &&
                 !hub_hash_file(buf_str(&temporary), etag, cancel, &verdict, &bytes, NULL) &&
                 verdict == HUB_HASH_GOOD && !rename(buf_str(&temporary), buf_str(&to));
        if (!copied) unlink(buf_str(&temporary));
    }
    buf_deinit(&from);
    buf_deinit(&temporary);
    buf_deinit(&to);
    return copied;
}

mlxe_status local_lock_take(const char *dir, strv path, const atomic_int *cancel,
                            int64_t deadline_ns, const log_sink *log, cache_lock *out,
                            mlxe_error *err)
{
    buf state = {0}, lock = {0};
    const char *name;
    mlxe_status rc = MLXE_OK;
    int parent;
    out->fd = -1;
    local_state_path(&state, dir);
    buf_add_str(&lock, "download/");
    buf_add_strv(&lock, path);
    buf_add_str(&lock, ".lock");
    parent =
        buf_ok(&state) && buf_ok(&lock) ? parent_open(buf_str(&state), buf_view(&lock), &name) : -1;
    if (parent < 0) {
        rc =
            cache_io_error(buf_str(&state), "make the folder", buf_ok(&lock) ? errno : ENOMEM, err);
    } else {
        close(parent);
        buf_add_char(&state, '/');
        buf_add_strv(&state, buf_view(&lock));
        rc = buf_ok(&state)
                 ? cache_lock_take_at(buf_str(&state), cancel, deadline_ns, log, out, err)
                 : err_memory(err, "lock", 0);
    }
    buf_deinit(&state);
    buf_deinit(&lock);
    return rc;
}
