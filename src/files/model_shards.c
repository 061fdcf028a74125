/* model_shards.c: which weight files a model folder consists of.
 *
 * Owns: the order in which weights are looked for, the checks of model.safetensors.index.json, and
 * the words for a folder whose weights we cannot read.
 *
 *   model.safetensors                    as transformers, first; an index beside it is not read
 *   model.safetensors.index.json         its shards, in the order of their names
 *   model*.safetensors                   as mlx-lm
 *
 * Every tensor of a listed shard counts, also one that the index leaves out; a tensor that the
 * index lists must be where it says. The names of shards come from the network: only plain names
 * pass.
 *
 * Traps: other *.safetensors files are not weights of this model: consolidated.safetensors repeats
 * them under other names, adapters.safetensors belongs to a LoRA.
 * Source: transformers modeling_utils (_get_resolved_checkpoint_files), mlx-lm utils. */
#include "files/model_shards.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

static const char INDEX[] = "model.safetensors.index.json";

enum { INDEX_LIMIT_BYTES = 256 << 20 };

static mlxe_status add_name(shard_list *s, strv name, mlxe_error *err)
{
    char *copy;
    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 16;
        const char **more = realloc(s->names, cap * sizeof *more);
        if (!more) return err_memory(err, INDEX, cap * sizeof *more);
        s->names = more;
        s->cap = cap;
    }
    copy = arena_copy(&s->mem, name);
    if (!copy) return err_memory(err, INDEX, name.n);
    s->names[s->n++] = copy;
    return MLXE_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void sort_names(shard_list *s)
{
    size_t kept = 0;
    if (s->n) qsort(s->names, s->n, sizeof *s->names, compare_names);
    for (size_t i = 0; i < s->n; i++)
        if (!kept || strcmp(s->names[kept - 1], s->names[i]) != 0) s->names[kept++] = s->names[i];
    s->n = kept;
}

/* ---- the index ------------------------------------------------------------------------------ */

static int plain_name(strv name)
{
    return name.n > 0 && name.n < 256 && !memchr(name.p, '/', name.n) &&
           !memchr(name.p, '\\', name.n) && !memchr(name.p, 0, name.n) && !strv_is(name, ".") &&
           !strv_is(name, "..");
}

static mlxe_status add_shard(shard_list *s, const json *tensor, const json *file, mlxe_error *err)
{
    strv name = json_str(file);
    if (!json_is(file, JSON_STRING))
        return err_set(err, MLXE_E_CORRUPT, "%s: weight_map.%.200s is %s, want a string", INDEX,
                       json_str(tensor).p, json_type_name(json_typeof(file)));
    if (!plain_name(name))
        return err_set(err, MLXE_E_CORRUPT,
                       "%s: weight_map.%.200s is \"%.200s\", want the plain name of a file", INDEX,
                       json_str(tensor).p, name.p);
    /* Maps list the tensors of a shard mostly together. */
    for (size_t i = s->n; i > 0 && i + 8 > s->n; i--)
        if (strv_is(name, s->names[i - 1])) return MLXE_OK;
    return add_name(s, name, err);
}

static mlxe_status missing_shard(const char *name, const json *map, mlxe_error *err)
{
    json_iter it = json_iterate(map);
    const json *tensor, *file;
    strv first = {NULL, 0};
    size_t n = 0;
    mlxe_status status;
    while (json_next(&it, &tensor, &file)) {
        if (!strv_is(json_str(file), name)) continue;
        if (!n++) first = json_str(tensor);
    }
    status = err_set(err, MLXE_E_CORRUPT, "%s: shard %s is missing, it holds %zu tensors (%.200s)",
                     INDEX, name, n, first.p);
    err_hint(err, "the download is incomplete: fetch %s", name);
    return status;
}

static mlxe_status read_index(const char *folder, const char *path, shard_list *s, mlxe_error *err)
{
    const json *map = NULL, *tensor, *file;
    buf text = {0}, shard = {0};
    json_iter it;
    mlxe_status status = fs_read(path, INDEX_LIMIT_BYTES, &text, err);
    if (!status) status = json_parse(INDEX, text.p, text.n, &s->index, err);
    if (!status && !json_is(json_root(s->index), JSON_OBJECT))
        status = err_set(err, MLXE_E_CORRUPT, "%s: is %s, want an object", INDEX,
                         json_type_name(json_typeof(json_root(s->index))));
    if (!status) status = json_get_object(json_root(s->index), INDEX, "weight_map", &map, err);
    if (!status && !json_len(map))
        status = err_set(err, MLXE_E_CORRUPT, "%s: weight_map is %s, want an object of file names",
                         INDEX, map ? "empty" : "missing");
    if (status) goto out;
    it = json_iterate(map);
    while (!status && json_next(&it, &tensor, &file))
        status = add_shard(s, tensor, file, err);
    if (status) goto out;
    sort_names(s);
    for (size_t i = 0; i < s->n && !status; i++)
        if (!fs_exists(fs_join(&shard, folder, s->names[i])))
            status = missing_shard(s->names[i], map, err);
out:
    if (status == MLXE_E_INPUT || status == MLXE_E_LIMIT) {
        status = MLXE_E_CORRUPT;
        if (err) err->code = status;
    }
    buf_deinit(&text);
    buf_deinit(&shard);
    return status;
}

static mlxe_status not_there(const char *tensor, const char *file, mlxe_error *err)
{
    return err_set(err, MLXE_E_CORRUPT, "%.200s: %.200s is not in it, but %s says so", file, tensor,
                   INDEX);
}

mlxe_status shards_check(const shard_list *s, const model_files *f, mlxe_error *err)
{
    const json *map = json_get(json_root(s->index), "weight_map"), *tensor, *file;
    json_iter it = json_iterate(map);
    mlxe_status status = MLXE_OK;
    /* Collected first: of a repeated member the last one counts, as in Python. */
    strv *says;
    if (!map) return MLXE_OK;
    says = calloc(mf_count(f) + 1, sizeof *says);
    if (!says) return err_memory(err, INDEX, mf_count(f) * sizeof *says);
    while (!status && json_next(&it, &tensor, &file)) {
        strv name = json_str(tensor);
        const mf_tensor *t = memchr(name.p, 0, name.n) ? NULL : mf_find(f, name.p);
        if (t)
            says[t - mf_at(f, 0)] = json_str(file);
        else
            status = not_there(name.p, json_str(file).p, err);
    }
    for (size_t i = 0; i < mf_count(f) && !status; i++) {
        const mf_tensor *t = mf_at(f, i);
        if (says[i].p && !strv_is(says[i], mf_file_name(f, t->file)))
            status = not_there(t->name.p, says[i].p, err);
    }
    free(says);
    return status;
}

/* ---- the folder ----------------------------------------------------------------------------- */

/* Whose weights these are when there are none of ours: the first suffix found is named. */
static const struct {
    const char *suffix, *format, *hint;
} OTHERS[] = {
    {".gguf", "gguf", "use a folder with safetensors weights of the same model"},
    {".bin", "PyTorch pickle", "use a revision of the model that has model.safetensors"},
    {".pt", "PyTorch pickle", "use a revision of the model that has model.safetensors"},
    {".pth", "PyTorch pickle", "use a revision of the model that has model.safetensors"},
    {".npz", "NumPy", "convert the model again with a current mlx-lm"},
    {".h5", "TensorFlow", "use a revision of the model that has model.safetensors"},
    {".msgpack", "Flax", "use a revision of the model that has model.safetensors"},
    {".onnx", "ONNX", "use a revision of the model that has model.safetensors"},
    {".safetensors", "other", "weights are named model.safetensors or model-*.safetensors"},
};

enum { N_OTHERS = sizeof OTHERS / sizeof *OTHERS };

static mlxe_status no_weights(const char *folder, const shard_list *all, mlxe_error *err)
{
    for (size_t o = 0; o < N_OTHERS; o++) {
        for (size_t i = 0; i < all->n; i++) {
            mlxe_status status;
            if (!strv_ends(strv_of(all->names[i]), strv_of(OTHERS[o].suffix))) continue;
            if (strv_starts(strv_of(all->names[i]), STRV("training_args"))) continue;
            status = err_set(err, MLXE_E_UNSUPPORTED,
                             "%s: no model.safetensors; %s (%s weights) is not supported", folder,
                             all->names[i], OTHERS[o].format);
            err_hint(err, "%s", OTHERS[o].hint);
            return status;
        }
    }
    return err_set(err, MLXE_E_NOT_FOUND, "%s: no weights, want model.safetensors", folder);
}

static mlxe_status list_folder(const char *folder, shard_list *all, mlxe_error *err)
{
    mlxe_status status = MLXE_OK;
    struct dirent *entry;
    DIR *dir = opendir(folder);
    if (!dir)
        return err_set(err, errno == EACCES ? MLXE_E_ACCESS : MLXE_E_IO,
                       "%s: cannot list the folder", folder);
    while (!status && (entry = readdir(dir)))
        status = add_name(all, strv_of(entry->d_name), err);
    closedir(dir);
    sort_names(all);
    return status;
}

static mlxe_status find_by_name(const char *folder, shard_list *out, mlxe_error *err)
{
    shard_list all = {0};
    mlxe_status status = list_folder(folder, &all, err);
    for (size_t i = 0; i < all.n && !status; i++) {
        strv name = strv_of(all.names[i]);
        if (strv_starts(name, STRV("model")) && strv_ends(name, STRV(".safetensors")))
            status = add_name(out, name, err);
    }
    if (!status && !out->n) status = no_weights(folder, &all, err);
    shards_deinit(&all);
    return status;
}

mlxe_status shards_find(const char *folder, shard_list *out, mlxe_error *err)
{
    mlxe_status status;
    buf path = {0};
    if (fs_exists(fs_join(&path, folder, "model.safetensors")))
        status = add_name(out, STRV("model.safetensors"), err);
    else if (fs_exists(fs_join(&path, folder, INDEX)))
        status = read_index(folder, buf_str(&path), out, err);
    else
        status = find_by_name(folder, out, err);
    buf_deinit(&path);
    return status;
}

void shards_deinit(shard_list *s)
{
    arena_deinit(&s->mem);
    free(s->names);
    json_close(s->index);
    *s = (shard_list){0};
}
