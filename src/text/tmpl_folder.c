/* tmpl_folder.c: the chat template of a model folder, and the variables that come with it.
 *
 * A template that was asked for by name, or brought as text, comes before all of these.
 * Order, as transformers has it: chat_template.jinja ("default") together with the files of
 * additional_chat_templates/ (each by its name); only without any of these the `chat_template` of
 * tokenizer_config.json, a text or a list of {name, template}; last, chat_template.json, which old
 * processors have. Of several, "tool_use" is taken when tools are given, else "default".
 *
 * Variables: bos_token, eos_token, unk_token, sep_token, pad_token, cls_token, mask_token and every
 * other *_token of tokenizer_config.json that is a text or an object with "content", the members of
 * an extra_special_tokens object; without added_tokens_decoder there, special_tokens_map.json wins.
 * Source: transformers 5.23 tokenization_utils_base.py.
 * Traps: what a tokenizer class of transformers has as its default token is not in the files. */
#include "base/fs.h"
#include "text/tmpl_internal.h"

#include <dirent.h>

enum { MAX_CONFIG_BYTES = 64 << 20, MAX_TEMPLATE_BYTES = 4 << 20 };

typedef struct folder {
    const char *path;
    int has_tools;
    strv chosen; /* a name or a text; p NULL: nothing was asked for */
    buf names;   /* of the folder's templates, for messages */
    buf file;    /* path of the file being read */
    buf source;  /* the template */
    buf where;   /* its name for messages */
    json_doc *config;
    mlxe_error *err;
} folder;

static const char *file(folder *f, const char *name) { return fs_join(&f->file, f->path, name); }

static mlxe_status read_json(folder *f, const char *name, json_doc **out)
{
    buf text = {0};
    mlxe_status status = fs_read(file(f, name), MAX_CONFIG_BYTES, &text, f->err);
    if (!status) status = json_parse(buf_str(&f->file), buf_str(&text), text.n, out, f->err);
    if (status == MLXE_E_INPUT)
        status = err_set(f->err, MLXE_E_CORRUPT, "%s", f->err ? f->err->message : "");
    buf_deinit(&text);
    return status;
}

static mlxe_status take_file(folder *f, const char *name)
{
    buf_add_str(&f->where, file(f, name));
    return fs_read(buf_str(&f->file), MAX_TEMPLATE_BYTES, &f->source, f->err);
}

/* Whether additional_chat_templates/ has any template. */
static int has_additional(folder *f)
{
    DIR *dir = opendir(file(f, "additional_chat_templates"));
    struct dirent *entry;
    int any = 0;
    while (dir && !any && (entry = readdir(dir)))
        any = strv_ends(strv_of(entry->d_name), STRV(".jinja"));
    if (dir) closedir(dir);
    return any;
}

static mlxe_status no_default(folder *f)
{
    return err_set(f->err, MLXE_E_NOT_FOUND, "%s: several chat templates and none named 'default'",
                   f->path);
}

/* Adds the names of additional_chat_templates/ to f->names. */
static void list_additional(folder *f)
{
    DIR *dir = opendir(file(f, "additional_chat_templates"));
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        strv name = strv_of(entry->d_name);
        if (!strv_ends(name, STRV(".jinja"))) continue;
        buf_add_str(&f->names, f->names.n ? ", " : "");
        buf_add(&f->names, name.p, name.n - 6);
    }
    if (dir) closedir(dir);
}

/* A file of additional_chat_templates/ by its name. A name with a slash or a dot is none. */
static mlxe_status named_file(folder *f, int *found)
{
    buf name = {0};
    mlxe_status status = MLXE_OK;
    *found = 0;
    if (strv_is(f->chosen, "default") && fs_exists(file(f, "chat_template.jinja"))) {
        *found = 1;
        return take_file(f, "chat_template.jinja");
    }
    if (memchr(f->chosen.p, '/', f->chosen.n) || memchr(f->chosen.p, 0, f->chosen.n)) return status;
    buf_add_str(&name, "additional_chat_templates/");
    buf_add_strv(&name, f->chosen);
    buf_add_str(&name, ".jinja");
    *found = buf_ok(&name) && fs_exists(file(f, buf_str(&name)));
    if (*found) status = take_file(f, buf_str(&name));
    buf_deinit(&name);
    return status;
}

/* chat_template.jinja and its company; *found 0: there is none. */
static mlxe_status from_files(folder *f, int *found)
{
    static const char TOOL_USE[] = "additional_chat_templates/tool_use.jinja";
    static const char DEFAULT[] = "additional_chat_templates/default.jinja";
    int single = fs_exists(file(f, "chat_template.jinja")), several = has_additional(f);
    *found = single || several;
    if (!*found) return MLXE_OK;
    if (several && f->has_tools && fs_exists(file(f, TOOL_USE))) return take_file(f, TOOL_USE);
    if (several && fs_exists(file(f, DEFAULT))) return take_file(f, DEFAULT);
    return single ? take_file(f, "chat_template.jinja") : no_default(f);
}

static const json *named(const json *list, strv name)
{
    json_iter it = json_iterate(list);
    const json *key, *item, *found = NULL;
    while (json_next(&it, &key, &item))
        if (strv_eq(json_str(json_get(item, "name")), name)) found = json_get(item, "template");
    return found;
}

static mlxe_status from_config(folder *f, const json *config, const char *name, int *found)
{
    const json *v = json_get(config, "chat_template");
    *found = v && !json_is(v, JSON_NULL);
    if (!*found) return MLXE_OK;
    if (json_is(v, JSON_ARRAY)) {
        const json *list = v;
        v = f->has_tools ? named(list, STRV("tool_use")) : NULL;
        if (!v) v = named(list, STRV("default"));
        if (!v) return no_default(f);
    }
    if (!json_is(v, JSON_STRING))
        return err_set(f->err, MLXE_E_CORRUPT, "%s: chat_template is %s, want a string",
                       file(f, name), json_type_name(json_typeof(v)));
    buf_add_str(&f->where, file(f, name));
    buf_add_str(&f->where, ": chat_template");
    buf_add_strv(&f->source, json_str(v));
    return MLXE_OK;
}

/* What was asked for: one of the folder's templates, or the text itself. */
static mlxe_status chosen_template(folder *f)
{
    const json *list = f->config ? json_get(json_root(f->config), "chat_template") : NULL, *item;
    json_iter it = json_iterate(list);
    int found;
    mlxe_status status = named_file(f, &found);
    if (status || found) return status;
    if (json_is(list, JSON_ARRAY) && (item = named(list, f->chosen)) &&
        json_is(item, JSON_STRING)) {
        buf_add_str(&f->where, file(f, "tokenizer_config.json"));
        buf_add_str(&f->where, ": chat_template");
        buf_add_strv(&f->source, json_str(item));
        return MLXE_OK;
    }
    if (memchr(f->chosen.p, '{', f->chosen.n)) {
        buf_add_str(&f->where, "chat template");
        buf_add_strv(&f->source, f->chosen);
        return MLXE_OK;
    }
    if (fs_exists(file(f, "chat_template.jinja"))) buf_add_str(&f->names, "default");
    list_additional(f);
    if (json_is(list, JSON_ARRAY))
        while (json_next(&it, NULL, &item)) {
            buf_add_str(&f->names, f->names.n ? ", " : "");
            buf_add_strv(&f->names, json_str(json_get(item, "name")));
        }
    return err_set(f->err, MLXE_E_NOT_FOUND, "chat template: %.*s is no text and no name, want %s",
                   (int)(f->chosen.n < 60 ? f->chosen.n : 60), f->chosen.p,
                   f->names.n ? buf_str(&f->names) : "a template's text");
}

static mlxe_status find_template(folder *f)
{
    json_doc *legacy = NULL;
    int found = 0;
    if (f->chosen.p) return chosen_template(f);
    mlxe_status status = from_files(f, &found);
    if (status || found) return status;
    if (f->config) status = from_config(f, json_root(f->config), "tokenizer_config.json", &found);
    if (status || found) return status;
    if (fs_exists(file(f, "chat_template.json"))) {
        status = read_json(f, "chat_template.json", &legacy);
        if (!status) status = from_config(f, json_root(legacy), "chat_template.json", &found);
        json_close(legacy);
        if (status || found) return status;
    }
    return err_set(f->err, MLXE_E_NOT_FOUND, "%s: no chat template", f->path);
}

/* ---- variables ---- */

static void write_token(buf *b, strv name, const json *v)
{
    if (json_is(v, JSON_OBJECT)) v = json_get(v, "content");
    if (!json_is(v, JSON_STRING)) return;
    if (b->n > 1) buf_add_char(b, ',');
    json_write_str(b, name);
    buf_add_char(b, ':');
    json_write_str(b, json_str(v));
}

static void write_tokens(buf *b, const json *config)
{
    json_iter it = json_iterate(config);
    const json *key, *value;
    while (json_next(&it, &key, &value)) {
        strv name = json_str(key);
        if (strv_ends(name, STRV("_token"))) write_token(b, name, value);
        if (strv_is(name, "extra_special_tokens") && json_is(value, JSON_OBJECT)) {
            json_iter more = json_iterate(value);
            const json *extra, *token;
            while (json_next(&more, &extra, &token))
                write_token(b, json_str(extra), token);
        }
    }
}

static mlxe_status read_variables(folder *f, json_doc **out)
{
    const json *config = json_root(f->config);
    json_doc *map = NULL;
    mlxe_status status = MLXE_OK;
    buf b = {0};
    buf_add_char(&b, '{');
    if (f->config) write_tokens(&b, config);
    if (!(f->config && json_get(config, "added_tokens_decoder")) &&
        fs_exists(file(f, "special_tokens_map.json"))) {
        status = read_json(f, "special_tokens_map.json", &map);
        if (!status) write_tokens(&b, json_root(map));
        json_close(map);
    }
    buf_add_char(&b, '}');
    if (!status && !buf_ok(&b)) status = err_memory(f->err, f->path, b.n);
    if (!status) status = json_parse(f->path, buf_str(&b), b.n, out, f->err);
    buf_deinit(&b);
    return status;
}

/* Texts of the added tokens that tokenizer_config.json lists. */
static void list_tokens(const json *config, buf *out)
{
    json_iter it = json_iterate(json_get(config, "added_tokens_decoder"));
    const json *key, *token;
    if (!json_is(json_get(config, "added_tokens_decoder"), JSON_OBJECT)) return;
    while (json_next(&it, &key, &token)) {
        buf_add_strv(out, json_str(json_get(token, "content")));
        buf_add_char(out, '\n');
    }
}

mlxe_status tmpl_open_chosen(const char *path, int has_tools, strv chosen, tmpl **out,
                             mlxe_error *err)
{
    folder f = {.path = path, .has_tools = has_tools, .chosen = chosen, .err = err};
    mlxe_status status = MLXE_OK;
    *out = NULL;
    if (fs_exists(file(&f, "tokenizer_config.json")))
        status = read_json(&f, "tokenizer_config.json", &f.config);
    if (!status) status = find_template(&f);
    if (!status && (!buf_ok(&f.source) || !buf_ok(&f.where)))
        status = err_memory(err, path, f.source.n);
    if (!status) status = tmpl_open(buf_str(&f.where), buf_view(&f.source), out, err);
    if (!status) status = read_variables(&f, &(*out)->variables);
    if (!status && f.config) list_tokens(json_root(f.config), &(*out)->tokens);
    if (status) {
        tmpl_close(*out);
        *out = NULL;
    }
    json_close(f.config);
    buf_deinit(&f.file);
    buf_deinit(&f.source);
    buf_deinit(&f.where);
    buf_deinit(&f.names);
    return status;
}

mlxe_status tmpl_open_folder(const char *path, int has_tools, tmpl **out, mlxe_error *err)
{
    return tmpl_open_chosen(path, has_tools, (strv){NULL, 0}, out, err);
}
