/* model_files.c: an open model folder: config, records of all shards, their bytes on request.
 *
 *   folder -> config.json -> shards (model_shards.c) -> headers (safetensors.c) -> table by name
 *
 * Owns: the table of records and the maps of the shards. Opening reads 8 + N bytes of each shard,
 * never a weight; a shard is mapped (or read) whole when the first of its tensors is asked for.
 *
 * Invariants
 *   Records do not move after mf_open: an mf_tensor* stays valid until mf_close.
 *   A name is in one shard only.
 *   A shard has the size that its header was checked against, or mf_data fails.
 *
 * Traps: the format lets data begin at any byte. A tensor that does not lie on a multiple of its
 * element's size is copied once to memory that does; files of the last years never need it. */
#include "files/model_files.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/thread.h"
#include "files/model_shards.h"
#include "files/safetensors.h"

enum { CONFIG_LIMIT_BYTES = 64 << 20 };

typedef struct shard_file {
    uint64_t bytes;
    fs_map map;
    int open;
} shard_file;

struct model_files {
    char *folder;
    fs_mode mode;
    json_doc *config, *generation_config;
    arena mem; /* names of tensors */
    mf_tensor *tensors;
    size_t n, cap;
    uint64_t weight_bytes;
    uint32_t *slots; /* open addressing: index + 1, 0 is free; n_slots is a power of two */
    size_t n_slots;
    uint64_t seed;
    shard_list shards;
    shard_file *files; /* one a shard */
    void **copies;     /* one a tensor, NULL: lies well; NULL as a whole: none is needed so far */
};

/* ---- table by name -------------------------------------------------------------------------- */

/* Seeded, because the names come from the network: no chosen names all collide. */
static uint64_t hash(const model_files *f, strv name)
{
    uint64_t h = f->seed ^ name.n * UINT64_C(0x9E3779B97F4A7C15);
    for (size_t i = 0; i < name.n; i++) {
        h = (h ^ (unsigned char)name.p[i]) * UINT64_C(0xD6E8FEB86659FD93);
        h ^= h >> 32;
    }
    return h;
}

/* The slot of a name, or the free one where it would be. */
static uint32_t *slot(const model_files *f, strv name)
{
    size_t i = (size_t)hash(f, name) & (f->n_slots - 1);
    while (f->slots[i] && !strv_eq(f->tensors[f->slots[i] - 1].name, name))
        i = (i + 1) & (f->n_slots - 1);
    return &f->slots[i];
}

static mlxe_status build_table(model_files *f, mlxe_error *err)
{
    f->n_slots = 16;
    while (f->n_slots < f->n * 2)
        f->n_slots *= 2;
    f->seed = (uint64_t)clock_ns() ^ (uint64_t)(uintptr_t)f;
    f->slots = calloc(f->n_slots, sizeof *f->slots);
    if (!f->slots) return err_memory(err, f->folder, f->n_slots * sizeof *f->slots);
    for (size_t i = 0; i < f->n; i++) {
        const mf_tensor *t = &f->tensors[i];
        uint32_t *at = slot(f, t->name);
        if (*at)
            return err_set(err, MLXE_E_CORRUPT, "%s: %.200s is in %s too, want one of them",
                           mf_file_name(f, t->file), t->name.p,
                           mf_file_name(f, f->tensors[*at - 1].file));
        *at = (uint32_t)(i + 1);
        f->weight_bytes += t->bytes;
    }
    return MLXE_OK;
}

/* ---- opening -------------------------------------------------------------------------------- */

static mlxe_status read_json(const char *folder, const char *name, json_doc **out, mlxe_error *err)
{
    buf path = {0}, text = {0};
    mlxe_status status = fs_read(fs_join(&path, folder, name), CONFIG_LIMIT_BYTES, &text, err);
    if (!status) status = json_parse(name, text.p, text.n, out, err);
    if (!status && !json_is(json_root(*out), JSON_OBJECT))
        status = err_set(err, MLXE_E_CORRUPT, "%s: is %s, want an object", name,
                         json_type_name(json_typeof(json_root(*out))));
    if (status == MLXE_E_INPUT || status == MLXE_E_LIMIT) {
        status = MLXE_E_CORRUPT;
        if (err) err->code = status;
    }
    buf_deinit(&path);
    buf_deinit(&text);
    return status;
}

static mlxe_status open_config(model_files *f, mlxe_error *err)
{
    buf path = {0};
    mlxe_status status = read_json(f->folder, "config.json", &f->config, err);
    if (!status && fs_exists(fs_join(&path, f->folder, "generation_config.json")))
        status = read_json(f->folder, "generation_config.json", &f->generation_config, err);
    buf_deinit(&path);
    return status;
}

static mlxe_status add_tensors(model_files *f, int file, const mf_tensor *t, size_t n,
                               mlxe_error *err)
{
    if (n > UINT32_MAX - 1 - f->n)
        return err_set(err, MLXE_E_CORRUPT, "%s: more than %u tensors", f->folder, UINT32_MAX - 1);
    if (f->n + n > f->cap) {
        size_t cap = f->n + n > 2 * f->cap ? f->n + n : 2 * f->cap;
        mf_tensor *more = realloc(f->tensors, cap * sizeof *more);
        if (!more) return err_memory(err, f->folder, cap * sizeof *more);
        f->tensors = more;
        f->cap = cap;
    }
    for (size_t i = 0; i < n; i++) {
        f->tensors[f->n] = t[i];
        f->tensors[f->n++].file = file;
    }
    return MLXE_OK;
}

/* Reads 8 bytes, then 8 + N: the size of the file comes with both, st_parse judges N. */
static mlxe_status read_header(model_files *f, int file, mlxe_error *err)
{
    const char *name = mf_file_name(f, file);
    buf path = {0}, head = {0};
    mf_tensor *t;
    size_t n;
    uint64_t length = 0;
    mlxe_status status;
    fs_join(&path, f->folder, name);
    status = fs_read_head(buf_str(&path), 8, &head, &f->files[file].bytes, err);
    if (status) goto out;
    for (size_t i = head.n; i > 0; i--)
        length = length << 8 | (unsigned char)head.p[i - 1];
    if (head.n == 8 && length <= ST_HEADER_LIMIT_BYTES) {
        buf_clear(&head);
        status =
            fs_read_head(buf_str(&path), 8 + (size_t)length, &head, &f->files[file].bytes, err);
        if (status) goto out;
    }
    status = st_parse(name, head.p, head.n, f->files[file].bytes, &f->mem, &t, &n, err);
    if (!status) status = add_tensors(f, file, t, n, err);
out:
    buf_deinit(&head);
    buf_deinit(&path);
    return status;
}

static mlxe_status open_weights(model_files *f, mlxe_error *err)
{
    mlxe_status status = shards_find(f->folder, &f->shards, err);
    if (status) return status;
    f->files = calloc(f->shards.n, sizeof *f->files);
    if (!f->files) return err_memory(err, f->folder, f->shards.n * sizeof *f->files);
    for (size_t i = 0; i < f->shards.n && !status; i++)
        status = read_header(f, (int)i, err);
    if (!status) status = build_table(f, err);
    if (!status) status = shards_check(&f->shards, f, err);
    return status;
}

/* A path that cannot be a model folder, in words that say what it is. */
static mlxe_status check_folder(const char *folder, mlxe_error *err)
{
    mlxe_status status;
    if (!folder[0]) return err_set(err, MLXE_E_ARG, "model folder: the path is empty");
    if (strv_ends(strv_of(folder), STRV(".gguf"))) {
        status = err_set(err, MLXE_E_UNSUPPORTED, "%s: gguf files are not supported", folder);
        err_hint(err, "use a folder with config.json and safetensors files");
        return status;
    }
    if (!fs_exists(folder)) return err_set(err, MLXE_E_NOT_FOUND, "%s: no such folder", folder);
    if (!fs_is_dir(folder))
        return err_set(err, MLXE_E_UNSUPPORTED, "%s: is a file, want a model folder", folder);
    return MLXE_OK;
}

static mlxe_status open_folder(const char *folder, fs_mode mode,
                               mlxe_status (*more)(model_files *, mlxe_error *), model_files **out,
                               mlxe_error *err)
{
    model_files *f = NULL;
    buf name = {0};
    mlxe_status status;
    *out = NULL;
    status = check_folder(folder, err);
    if (status) return status;
    f = calloc(1, sizeof *f);
    buf_add_str(&name, folder);
    if (f) f->folder = buf_take(&name, NULL);
    if (!f || !f->folder) {
        status = err_memory(err, folder, sizeof *f);
        goto out;
    }
    f->mode = mode;
    status = open_config(f, err);
    if (!status && more) status = more(f, err);
out:
    buf_deinit(&name);
    if (status) {
        mf_close(f);
        return status;
    }
    *out = f;
    return MLXE_OK;
}

mlxe_status mf_open(const char *folder, fs_mode mode, model_files **out, mlxe_error *err)
{
    return open_folder(folder, mode, open_weights, out, err);
}

mlxe_status mf_open_config(const char *folder, model_files **out, mlxe_error *err)
{
    return open_folder(folder, FS_AUTO, NULL, out, err);
}

void mf_close(model_files *f)
{
    if (!f) return;
    for (size_t i = 0; f->files && i < f->shards.n; i++)
        fs_map_close(&f->files[i].map);
    for (size_t i = 0; f->copies && i < f->n; i++)
        free(f->copies[i]);
    free(f->copies);
    free(f->files);
    shards_deinit(&f->shards);
    free(f->slots);
    free(f->tensors);
    arena_deinit(&f->mem);
    json_close(f->config);
    json_close(f->generation_config);
    free(f->folder);
    free(f);
}

/* ---- asking --------------------------------------------------------------------------------- */

const char *mf_folder(const model_files *f) { return f->folder; }
const json *mf_config(const model_files *f) { return json_root(f->config); }
const json *mf_generation_config(const model_files *f) { return json_root(f->generation_config); }
size_t mf_count(const model_files *f) { return f->n; }
uint64_t mf_weight_bytes(const model_files *f) { return f->weight_bytes; }

const mf_tensor *mf_at(const model_files *f, size_t i) { return i < f->n ? &f->tensors[i] : NULL; }

const mf_tensor *mf_find(const model_files *f, const char *name)
{
    uint32_t *at;
    if (!f->n) return NULL;
    at = slot(f, strv_of(name));
    return *at ? &f->tensors[*at - 1] : NULL;
}

const char *mf_file_name(const model_files *f, int file)
{
    return file >= 0 && (size_t)file < f->shards.n ? f->shards.names[file] : NULL;
}

/* ---- bytes ---------------------------------------------------------------------------------- */

static mlxe_status aligned_copy(model_files *f, const mf_tensor *t, const void **p, mlxe_error *err)
{
    size_t i = (size_t)(t - f->tensors);
    if (!f->copies) f->copies = calloc(f->n, sizeof *f->copies);
    if (!f->copies) return err_memory(err, f->folder, f->n * sizeof *f->copies);
    if (!f->copies[i]) {
        f->copies[i] = malloc((size_t)t->bytes);
        if (!f->copies[i]) return err_memory(err, t->name.p, (size_t)t->bytes);
        memcpy(f->copies[i], *p, (size_t)t->bytes);
    }
    *p = f->copies[i];
    return MLXE_OK;
}

mlxe_status mf_data(model_files *f, const mf_tensor *t, const void **out, mlxe_error *err)
{
    shard_file *file = &f->files[t->file];
    mlxe_status status = MLXE_OK;
    const void *p;
    *out = NULL;
    if (!file->open) {
        buf path = {0};
        fs_join(&path, f->folder, mf_file_name(f, t->file));
        status = fs_map_open(buf_str(&path), f->mode, file->bytes, &file->map, err);
        buf_deinit(&path);
        if (status) return status;
        file->open = 1;
    }
    fs_map_prefetch(&file->map, t->offset, t->bytes);
    p = file->map.p + t->offset;
    if (t->bytes && t->offset % ((uint64_t)mf_dtype_bits(t->dtype) / 8))
        status = aligned_copy(f, t, &p, err);
    if (!status) *out = p;
    return status;
}
