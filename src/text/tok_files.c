/* tok_files.c: what the formats without tokenizer.json share: settings, added tokens, templates.
 *
 *   tokenizer_config.json            class, roles, added_tokens_decoder, add_bos_token, ...
 *   special_tokens_map.json          roles of older repositories } asked only when there is no
 *   added_tokens.json                {"text": id}                } added_tokens_decoder
 *   config.json                      model_type, where no class is said
 *
 * The tokens that these settings add are tok_special.c's.
 *
 * Source: transformers 5.23, tokenization_utils_base.py, models/auto/tokenization_auto.py. */
#include "text/tok_files.h"

#include "base/fs.h"

#include <stdlib.h>

extern const struct tok_format *const formats_table[]; /* generated from text/formats */

static const char *const ROLE_NAMES[ROLES] = {"bos", "eos", "unk", "sep", "pad", "cls", "mask"};

/* ---- settings -------------------------------------------------------------------------------- */

int tok_files_has(tok_files *f, const char *name)
{
    return fs_exists(fs_join(&f->path, f->folder, name)) && !fs_is_dir(buf_str(&f->path));
}

mlxe_status tok_files_read(const tok_files *f, buf *out, mlxe_error *err)
{
    return fs_read(buf_str(&f->path), 0, out, err);
}

mlxe_status tok_files_read_json(const tok_files *f, json_doc **out, mlxe_error *err)
{
    buf text = {0};
    *out = NULL;
    mlxe_status rc = tok_files_read(f, &text, err);
    if (rc == MLXE_OK) rc = json_parse(buf_str(&f->path), buf_str(&text), text.n, out, err);
    if (rc == MLXE_E_INPUT) {
        rc = MLXE_E_CORRUPT;
        if (err) err->code = rc;
    }
    if (rc == MLXE_OK && !json_is(json_root(*out), JSON_OBJECT))
        rc = err_set(err, MLXE_E_CORRUPT, "%s: is no JSON object", buf_str(&f->path));
    buf_deinit(&text);
    return rc;
}

static mlxe_status read_setting(tok_files *f, const char *name, int slot, const json **out,
                                mlxe_error *err)
{
    *out = NULL;
    if (!tok_files_has(f, name)) return MLXE_OK;
    mlxe_status rc = tok_files_read_json(f, &f->docs[slot], err);
    if (rc == MLXE_OK) *out = json_root(f->docs[slot]);
    return rc;
}

mlxe_status tok_files_open(const char *folder, tok_files *f, mlxe_error *err)
{
    const json *model = NULL;
    *f = (tok_files){.folder = folder};
    mlxe_status rc = read_setting(f, "tokenizer_config.json", 0, &f->config, err);
    if (rc == MLXE_OK && !json_get(f->config, "added_tokens_decoder")) {
        rc = read_setting(f, "special_tokens_map.json", 1, &f->special, err);
        if (rc == MLXE_OK) rc = read_setting(f, "added_tokens.json", 2, &f->added, err);
    }
    if (rc == MLXE_OK) rc = read_setting(f, "config.json", 3, &model, err);
    if (rc) return rc;
    f->has_settings = f->config || f->special || f->added || model;
    f->kind = tok_class_name(f->config, model);
    return MLXE_OK;
}

void tok_files_close(tok_files *f)
{
    for (size_t i = 0; i < sizeof f->docs / sizeof *f->docs; i++)
        json_close(f->docs[i]);
    tok_vocab_deinit(&f->vocab);
    buf_deinit(&f->path);
    arena_deinit(&f->mem);
}

const tok_class *tok_files_class(const tok_files *f, const tok_class *rows, size_t n)
{
    for (size_t i = 0; i < n && f->kind.n; i++)
        for (const char *p = rows[i].names; *p && rows[i].beside_only <= f->beside;) {
            size_t width = strcspn(p, " ");
            if (strv_eq(f->kind, strv_from(p, width))) return &rows[i];
            p += width + strspn(p + width, " ");
        }
    return NULL;
}

mlxe_status tok_files_bool(const tok_files *f, const char *key, int *out, mlxe_error *err)
{
    return json_get_bool(f->config, "tokenizer_config.json", key, out, err);
}

const json *tok_files_step(const json *part, const char *list, const char *type)
{
    const json *item;
    if (strv_is(json_str(json_get(part, "type")), type)) return part;
    json_iter it = json_iterate(json_get(part, list));
    while (json_next(&it, NULL, &item))
        if (strv_is(json_str(json_get(item, "type")), type)) return item;
    return NULL;
}

mlxe_status tok_files_add(tok_files *f, strv text, int32_t id, mlxe_error *err)
{
    const char *copy = arena_copy(&f->mem, text);
    if (!copy) return err_memory(err, "vocabulary", text.n);
    tok_vocab_add(&f->vocab, strv_from(copy, text.n), id);
    return MLXE_OK;
}

/* ---- templates ------------------------------------------------------------------------------- */

static int role_of(strv name)
{
    for (int i = 0; i < ROLES; i++)
        if (strv_is(name, ROLE_NAMES[i])) return i;
    return -1;
}

/* Words of a template that are special tokens. */
enum { LANGUAGE = ROLES, WORDS, NAMED = WORDS + TOK_WORDS };

static int32_t named_id(const tok_files *f, int word)
{
    if (word >= WORDS) return f->word_ids[word - WORDS];
    return word == LANGUAGE ? f->language_id : f->role_ids[word];
}

static strv named_text(const tok_files *f, int word)
{
    if (word >= WORDS) return f->words[word - WORDS];
    return word == LANGUAGE ? f->language : f->roles[word];
}

static unsigned write_items(const tok_files *f, const char *text, buf *out)
{
    unsigned used = 0;
    int first = 1;
    for (const char *p = text; *p; p += strspn(p, " ")) {
        size_t width = strcspn(p, " :");
        strv word = strv_from(p, width);
        int type = p[width] == ':' ? p[width + 1] - '0' : 0,
            role = strv_is(word, "lang") ? LANGUAGE : role_of(word);
        if (*word.p > '0' && *word.p <= '0' + TOK_WORDS) role = WORDS + *word.p - '1';
        p += p[width] == ':' ? width + 2 : width;
        if (role >= 0 && named_id(f, role) < 0) continue;
        if (!first) buf_add_char(out, ',');
        first = 0;
        if (role < 0) {
            buf_addf(out, "{\"Sequence\":{\"id\":\"%c\",\"type_id\":%d}}", word.p[1], type);
            continue;
        }
        used |= 1u << role;
        buf_add_str(out, "{\"SpecialToken\":{\"id\":");
        json_write_str(out, named_text(f, role));
        buf_addf(out, ",\"type_id\":%d}}", type);
    }
    return used;
}

void tok_files_template(const tok_files *f, const char *one, const char *two, buf *out)
{
    buf_add_str(out, "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[");
    unsigned used = write_items(f, one, out);
    buf_add_str(out, "],\"pair\":[");
    used |= write_items(f, two, out);
    buf_add_str(out, "],\"special_tokens\":{");
    for (int i = 0, first = 1; i < NAMED; i++) {
        if (!(used >> i & 1)) continue;
        if (!first) buf_add_char(out, ',');
        first = 0;
        json_write_str(out, named_text(f, i));
        buf_add_str(out, ":{\"id\":");
        json_write_str(out, named_text(f, i));
        buf_addf(out, ",\"ids\":[%d],\"tokens\":[", named_id(f, i));
        json_write_str(out, named_text(f, i));
        buf_add_str(out, "]}");
    }
    buf_add_str(out, "}}");
}

/* ,"name":["token",id] */
static void write_end(const tok_files *f, const char *name, int role, int32_t id, buf *out)
{
    buf_addf(out, ",\"%s\":[", name);
    json_write_str(out, f->roles[role]);
    buf_addf(out, ",%d]", id);
}

void tok_files_two_ends(const tok_files *f, const char *type, int sep, int32_t sep_id, int cls,
                        int32_t cls_id, const char *options, buf *out)
{
    buf_addf(out, "\"post_processor\":{\"type\":\"%s\"", type);
    write_end(f, "sep", sep, sep_id, out);
    write_end(f, "cls", cls, cls_id, out);
    buf_addf(out, "%s}", options);
}

void tok_files_lost_role(tok_files *f, int role, int32_t id)
{
    if (f->roles[role].p) return;
    f->roles[role] = STRV("None");
    f->role_ids[role] = id;
}

mlxe_status tok_files_bos_eos(const tok_files *f, int bos, int eos, buf *out, mlxe_error *err)
{
    static const char *const rows[4][2] = {
        {"$A", "$A $B:1"},
        {"bos $A", "bos $A bos:1 $B:1"},
        {"$A eos", "$A eos $B:1 eos:1"},
        {"bos $A eos", "bos $A eos bos:1 $B:1 eos:1"},
    };
    if (json_is(json_get(f->config, "add_bos_token"), JSON_NULL)) bos = 0; /* as Python's if */
    mlxe_status rc = tok_files_bool(f, "add_bos_token", &bos, err);
    if (rc == MLXE_OK) rc = tok_files_bool(f, "add_eos_token", &eos, err);
    if (rc) return rc;
    const char *const *row = rows[(bos != 0) + 2 * (eos != 0)];
    tok_files_template(f, row[0], row[1], out);
    return MLXE_OK;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int tok_base64(strv in, buf *out)
{
    uint32_t bits = 0;
    int have = 0;
    while (in.n > 0 && in.p[in.n - 1] == '=')
        in.n--;
    char *to = buf_reserve(out, in.n);
    for (size_t i = 0; i < in.n && to; i++) {
        int v = base64_value(in.p[i]);
        if (v < 0) return -1;
        bits = bits << 6 | (uint32_t)v;
        if ((have += 6) >= 8) *to++ = (char)(bits >> (have -= 8));
    }
    if (to) out->n = (size_t)(to - out->p);
    return 0;
}

void tok_byte_chars(strv bytes, buf *out)
{
    for (size_t i = 0; i < bytes.n; i++)
        buf_add_utf8(out, tok_byte_char((unsigned char)bytes.p[i]));
}

void tok_write_byte_level(strv pattern, int prefix, buf *out)
{
    buf_add_str(out,
                "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\","
                "\"pattern\":{\"Regex\":");
    json_write_str(out, pattern);
    buf_add_str(out, "},\"behavior\":\"Isolated\",\"invert\":false},{\"type\":\"ByteLevel\","
                     "\"add_prefix_space\":");
    buf_add_str(out, prefix ? "true" : "false");
    buf_add_str(out, ",\"trim_offsets\":true,\"use_regex\":false}]},"
                     "\"decoder\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true,"
                     "\"trim_offsets\":true,\"use_regex\":true},");
}

/* ---- opening --------------------------------------------------------------------------------- */

mlxe_status tok_files_tokenizer(const char *folder, tok **out, mlxe_error *err)
{
    const tok_format *best = NULL;
    tok_files f;
    buf text = {0};
    int split = 0;
    *out = NULL;
    mlxe_status rc = tok_files_open(folder, &f, err);
    for (size_t i = 0; formats_table[i] && rc == MLXE_OK; i++)
        if ((!best || formats_table[i]->order < best->order) && formats_table[i]->takes(&f))
            best = formats_table[i];
    if (rc == MLXE_OK && !best)
        rc = err_set(err, MLXE_E_NOT_FOUND, "%s: no tokenizer.json, and no other tokenizer file",
                     folder);
    if (rc) goto out;
    rc = tok_files_bool(&f, "split_special_tokens", &split, err);
    if (rc) goto out;
    best->takes(&f); /* path again: another format may have looked after it */
    rc = best->write(&f, &text, err);
    if (rc == MLXE_OK && text.failed) rc = err_memory(err, "tokenizer", text.n);
    if (rc == MLXE_OK && f.vocab_is_models)
        rc = tok_open_made(buf_str(&f.path), buf_view(&text), &f.vocab, &f.mem, out, err);
    else if (rc == MLXE_OK)
        rc = tok_open(buf_str(&f.path), buf_str(&text), text.n, out, err);
    if (rc == MLXE_OK) (*out)->added.split_special = split;
out:
    buf_deinit(&text);
    tok_files_close(&f);
    return rc;
}
