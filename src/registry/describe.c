/* describe.c: the JSON object of `show`.
 *
 *   config.json, tensor headers, README's licence line, file sizes -> one object
 *
 * Everything that is not known is null, never a guess. Parameters count elements of the model, so a
 * packed weight counts its unpacked elements and scales and biases count nothing. */
#include "registry/describe.h"

#include "files/model_files.h"
#include "registry/features.h"
#include "text/dialect.h"
#include "text/tmpl.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

static void key(buf *b, const char *name)
{
    if (b->n && b->p[b->n - 1] != '{') buf_add_char(b, ',');
    json_write_str(b, strv_of(name));
    buf_add_char(b, ':');
}

static void string_or_null(buf *b, const char *name, strv value)
{
    key(b, name);
    if (value.p)
        json_write_str(b, value);
    else
        buf_add_str(b, "null");
}

/* ---- parameters and quantisation ------------------------------------------------------------- */

static const json *quantization_of(const model_files *f)
{
    const json *q = json_get(mf_config(f), "quantization");
    return json_is(q, JSON_OBJECT) ? q : NULL;
}

static int has_suffix(strv name, const char *suffix) { return strv_ends(name, strv_of(suffix)); }

/* The bits of a packed weight: its words hold 32 bits each, its scales one value a group. */
static uint64_t packed_elements(const model_files *f, const mf_tensor *w, const json *q)
{
    buf name = {0};
    const mf_tensor *scales;
    const json *own;
    int64_t group = 64;
    uint64_t elements = 0;
    buf_add(&name, w->name.p, w->name.n - strlen(".weight"));
    own = json_get_strv(q, buf_view(&name));
    if (!json_is(own, JSON_OBJECT)) own = q;
    (void)json_get_int(own, "quantization", "group_size", 1, 1 << 20, &group, NULL);
    buf_add_str(&name, ".scales");
    scales = buf_ok(&name) ? mf_find(f, buf_str(&name)) : NULL;
    if (scales && scales->n_dims >= 1) {
        elements = (uint64_t)group;
        for (int i = 0; i < scales->n_dims; i++)
            elements *= (uint64_t)scales->shape[i];
    }
    buf_deinit(&name);
    return elements;
}

static uint64_t parameters(const model_files *f)
{
    const json *q = quantization_of(f);
    uint64_t total = 0;
    for (size_t i = 0; i < mf_count(f); i++) {
        const mf_tensor *t = mf_at(f, i);
        uint64_t elements = 1;
        if (q && (has_suffix(t->name, ".scales") || has_suffix(t->name, ".biases"))) continue;
        if (t->dtype == MF_U32 && has_suffix(t->name, ".weight")) {
            total += packed_elements(f, t, q);
            continue;
        }
        for (int d = 0; d < t->n_dims; d++)
            elements *= (uint64_t)t->shape[d];
        total += elements;
    }
    return total;
}

static void quantization_write(buf *b, const model_files *f)
{
    const json *q = quantization_of(f), *bits = json_get(q, "bits"),
               *group = json_get(q, "group_size");
    key(b, "quantization");
    if (!q) {
        buf_add_str(b, "null");
        return;
    }
    buf_add_char(b, '{');
    key(b, "bits");
    if (bits)
        json_write_value(b, bits);
    else
        buf_add_str(b, "null");
    key(b, "group_size");
    if (group)
        json_write_value(b, group);
    else
        buf_add_str(b, "null");
    string_or_null(b, "mode", json_get(q, "mode") ? json_str(json_get(q, "mode")) : STRV("affine"));
    buf_add_char(b, '}');
}

/* ---- files, licence -------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names of a folder's files, sorted; the caller frees each and the array. */
static char **file_names(const char *folder, size_t *n)
{
    DIR *dir = opendir(folder);
    char **names = NULL;
    size_t cap = 0;
    struct dirent *entry;
    *n = 0;
    while (dir && (entry = readdir(dir))) {
        if (entry->d_name[0] == '.') continue;
        if (*n == cap) {
            char **grown = realloc(names, (cap = cap ? cap * 2 : 32) * sizeof *grown);
            if (!grown) break;
            names = grown;
        }
        if ((names[*n] = strdup(entry->d_name))) ++*n;
    }
    if (dir) closedir(dir);
    if (*n) qsort(names, *n, sizeof *names, by_name);
    return names;
}

static void files_write(buf *b, const char *folder)
{
    size_t n, written = 0;
    char **names = file_names(folder, &n);
    buf path = {0};
    key(b, "files");
    buf_add_char(b, '[');
    for (size_t i = 0; i < n; i++) {
        uint64_t bytes;
        fs_join(&path, folder, names[i]);
        if (buf_ok(&path) && !fs_is_dir(buf_str(&path)) && !fs_size(buf_str(&path), &bytes, NULL)) {
            buf_add_str(b, written++ ? ",{" : "{");
            string_or_null(b, "path", strv_of(names[i]));
            key(b, "size");
            json_write_uint(b, bytes);
            buf_add_char(b, '}');
        }
        free(names[i]);
    }
    buf_add_char(b, ']');
    free(names);
    buf_deinit(&path);
}

/* "license: x" of the YAML head of README.md: between its first two lines of "---". */
static void licence_write(buf *b, const char *folder)
{
    buf path = {0}, text = {0};
    strv value = {NULL, 0};
    fs_join(&path, folder, "README.md");
    if (buf_ok(&path) && !fs_read(buf_str(&path), 1 << 22, &text, NULL) &&
        strv_starts(buf_view(&text), STRV("---"))) {
        const char *p = buf_str(&text), *end = strstr(p + 3, "\n---"),
                   *at = strstr(p, "\nlicense:");
        if (end && at && at < end) {
            at += strlen("\nlicense:");
            while (*at == ' ' || *at == '"')
                at++;
            value = (strv){at, strcspn(at, "\r\n\"")};
        }
    }
    string_or_null(b, "license", value.n ? value : (strv){NULL, 0});
    buf_deinit(&path);
    buf_deinit(&text);
}

/* How the model writes tool calls and reasoning, and what in its template says so. */
static void dialect_write(buf *b, const tmpl *t)
{
    dialect_choice choice;
    key(b, "dialect");
    if (!t) {
        buf_add_str(b, "null");
        return;
    }
    dialect_choose(tmpl_source(t), tmpl_tokens(t), &choice);
    buf_add_char(b, '{');
    string_or_null(b, "name", strv_of(dialect_name(choice.dialect)));
    string_or_null(b, "reasoning", strv_of(choice.begin));
    string_or_null(b, "why", strv_of(choice.why));
    buf_add_char(b, '}');
}

/* Where the chat template comes from; one that cannot be compiled is told by its error. */
static void template_write(buf *b, const char *folder)
{
    tmpl *t;
    buf path = {0};
    mlxe_error err = {0};
    mlxe_status rc = tmpl_open_folder(folder, 0, &t, &err);
    int own_file = fs_exists(fs_join(&path, folder, "chat_template.jinja"));
    key(b, "template");
    if (rc == MLXE_E_NOT_FOUND)
        buf_add_str(b, "null");
    else if (rc)
        json_write_str(b, strv_of(err.message));
    else
        json_write_str(b, strv_of(own_file ? "chat_template.jinja" : "tokenizer_config.json"));
    dialect_write(b, t);
    tmpl_close(t);
    buf_deinit(&path);
}

mlxe_status describe_folder(const char *id, const char *folder, buf *out, mlxe_error *err)
{
    model_files *f = NULL;
    const json *config, *context, *architectures, *first = NULL;
    json_iter it;
    int have_weights = 1;
    mlxe_status rc = mf_open(folder, FS_AUTO, &f, err);
    if (rc == MLXE_E_NOT_FOUND) {
        have_weights = 0;
        rc = mf_open_config(folder, &f, err);
    }
    if (rc) return rc;
    config = mf_config(f);
    context = json_get(config, "max_position_embeddings");
    architectures = json_get(config, "architectures");
    it = json_iterate(architectures);
    if (json_is(architectures, JSON_ARRAY)) json_next(&it, NULL, &first);
    buf_add_char(out, '{');
    string_or_null(out, "id", strv_of(id));
    string_or_null(out, "revision", (strv){NULL, 0});
    string_or_null(out, "kind", STRV("llm"));
    string_or_null(out, "architecture",
                   json_get(config, "model_type") ? json_str(json_get(config, "model_type"))
                                                  : json_str(first));
    key(out, "parameters");
    if (have_weights)
        json_write_uint(out, parameters(f));
    else
        buf_add_str(out, "null");
    quantization_write(out, f);
    key(out, "context");
    if (json_is(context, JSON_INT))
        json_write_int(out, json_int(context));
    else
        buf_add_str(out, "null");
    template_write(out, folder);
    licence_write(out, folder);
    files_write(out, folder);
    key(out, "weight_bytes");
    json_write_uint(out, mf_weight_bytes(f));
    key(out, "features");
    features_write(out);
    mf_close(f);
    buf_add_char(out, '}');
    return buf_ok(out) ? MLXE_OK : err_memory(err, "description", out->n);
}
