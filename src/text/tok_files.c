/* tok_files.c: what the formats without tokenizer.json share: settings, added tokens, templates.
 *
 *   tokenizer_config.json            class, roles, added_tokens_decoder, add_bos_token, ...
 *   special_tokens_map.json          roles of older repositories } asked only when there is no
 *   added_tokens.json                {"text": id}                } added_tokens_decoder
 *   config.json                      model_type, where no class is said
 *
 * Added tokens are written in the order in which transformers adds them, because the ids of those
 * that the vocabulary lacks follow from it: added_tokens_decoder by id, roles, then the rest. Of
 * equal texts that of added_tokens_decoder counts, else the last.
 *
 * Source: transformers 5.23, tokenization_utils_base.py, tokenization_utils_tokenizers.py. */
#include "text/tok_files.h"

#include "base/fs.h"

#include <stdlib.h>

extern const struct tok_format *const formats_table[]; /* generated from text/formats */

static const char *const ROLE_KEYS[ROLES] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                             "pad_token", "cls_token", "mask_token"};
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

/* Classes by config.json's model_type, for folders that do not say one. */
static strv class_of_model(strv type)
{
    static const char *const rows[][2] = {
        {"bert", "BertTokenizer"},
        {"distilbert", "BertTokenizer"},
        {"gemma", "GemmaTokenizer"},
        {"gemma2", "GemmaTokenizer"},
        {"gemma3_text", "GemmaTokenizer"},
        {"gemma3", "GemmaTokenizer"},
        {"gpt2", "GPT2Tokenizer"},
        {"llama", "LlamaTokenizer"},
        {"mistral", "LlamaTokenizer"},
        {"mixtral", "LlamaTokenizer"},
        {"qwen2", "Qwen2Tokenizer"},
        {"qwen2_moe", "Qwen2Tokenizer"},
        {"qwen3", "Qwen2Tokenizer"},
        {"qwen3_moe", "Qwen2Tokenizer"},
        {"roberta", "RobertaTokenizer"},
        {"t5", "T5Tokenizer"},
        {"xlm-roberta", "XLMRobertaTokenizer"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strv_is(type, rows[i][0])) return strv_of(rows[i][1]);
    return strv_from(NULL, 0);
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
    f->kind = json_str(json_get(f->config, "tokenizer_class"));
    if (!f->kind.n) f->kind = json_str(json_get(model, "tokenizer_class"));
    if (!f->kind.n) f->kind = class_of_model(json_str(json_get(model, "model_type")));
    if (strv_ends(f->kind, STRV("Fast"))) f->kind.n -= 4;
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
        for (const char *p = rows[i].names; *p;) {
            size_t width = strcspn(p, " ");
            if (strv_eq(f->kind, strv_from(p, width))) return &rows[i];
            p += width + strspn(p + width, " ");
        }
    return NULL;
}

static const json *role_value(const tok_files *f, int role)
{
    const json *v = json_get(f->special, ROLE_KEYS[role]);
    if (!v || json_is(v, JSON_NULL)) v = json_get(f->config, ROLE_KEYS[role]);
    return v;
}

static const json *setting(const tok_files *f, const char *name)
{
    const json *v = json_get(f->special, name);
    return v ? v : json_get(f->config, name);
}

/* Special tokens without a role: the old name's, then the new one's. Where the new one has any,
 * transformers does not look at the old one. */
static const json *extra_list(const tok_files *f, int which)
{
    const json *extra = setting(f, "extra_special_tokens");
    if (which) return extra;
    return json_len(extra) ? NULL : setting(f, "additional_special_tokens");
}

strv tok_files_role(const tok_files *f, int role)
{
    const json *v = role_value(f, role);
    return json_is(v, JSON_OBJECT) ? json_str(json_get(v, "content")) : json_str(v);
}

int tok_files_lists_tokens(const tok_files *f) { return extra_list(f, 0) || extra_list(f, 1); }

mlxe_status tok_files_bool(const tok_files *f, const char *key, int *out, mlxe_error *err)
{
    return json_get_bool(f->config, "tokenizer_config.json", key, out, err);
}

mlxe_status tok_files_add(tok_files *f, strv text, int32_t id, mlxe_error *err)
{
    const char *copy = arena_copy(&f->mem, text);
    if (!copy) return err_memory(err, "vocabulary", text.n);
    tok_vocab_add(&f->vocab, strv_from(copy, text.n), id);
    return MLXE_OK;
}

/* ---- added tokens ---------------------------------------------------------------------------- */

typedef struct added_list {
    tok_added_token *v;
    size_t n, cap;
    size_t fixed;   /* so many are added_tokens_decoder's */
    tok_vocab seen; /* texts of v */
    int32_t next;   /* the id of the next that the vocabulary lacks */
} added_list;

static int32_t find_token(const tok_files *f, const added_list *l, strv text)
{
    int32_t id = tok_vocab_id(&l->seen, text);
    return id >= 0 ? id : tok_vocab_id(&f->vocab, text);
}

static void add_token(const tok_files *f, added_list *l, tok_added_token t)
{
    if (t.content.n == 0 || l->n == l->cap) return;
    if (tok_vocab_id(&l->seen, t.content) >= 0) {
        size_t i = l->n;
        while (i-- > l->fixed)
            if (strv_eq(l->v[i].content, t.content)) {
                t.id = l->v[i].id;
                l->v[i] = t;
                break;
            }
        return;
    }
    t.id = tok_vocab_id(&f->vocab, t.content);
    if (t.id < 0) t.id = l->next++;
    tok_vocab_add(&l->seen, t.content, t.id);
    l->v[l->n++] = t;
}

/* A token as a text, or as an object that transformers saved; special ones are not normalized. */
static mlxe_status read_token(const json *v, int special, tok_added_token *out, mlxe_error *err)
{
    static const char where[] = "added token";
    *out = (tok_added_token){.content = json_str(v), .special = special, .normalized = !special};
    if (!json_is(v, JSON_OBJECT)) return MLXE_OK;
    mlxe_status rc = json_get_str(v, where, "content", &out->content, err);
    if (rc == MLXE_OK) rc = json_get_bool(v, where, "special", &out->special, err);
    out->normalized = !out->special;
    if (rc == MLXE_OK) rc = json_get_bool(v, where, "single_word", &out->single_word, err);
    if (rc == MLXE_OK) rc = json_get_bool(v, where, "lstrip", &out->lstrip, err);
    if (rc == MLXE_OK) rc = json_get_bool(v, where, "rstrip", &out->rstrip, err);
    if (rc == MLXE_OK) rc = json_get_bool(v, where, "normalized", &out->normalized, err);
    if (special) out->special = 1;
    return rc;
}

static int is_role(const tok_files *f, strv text)
{
    for (int i = 0; i < ROLES; i++)
        if (f->roles[i].p && strv_eq(f->roles[i], text)) return 1;
    return 0;
}

typedef struct numbered {
    int64_t id;
    strv key;
    const json *value;
} numbered;

static int by_number(const void *a, const void *b)
{
    const numbered *x = a, *y = b;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return x->key.p < y->key.p ? -1 : x->key.p > y->key.p;
}

int64_t tok_files_number(strv digits)
{
    int64_t v = 0;
    for (size_t i = 0; i < digits.n; i++) {
        if (digits.p[i] < '0' || digits.p[i] > '9' || v > INT32_MAX) return -1;
        v = v * 10 + (digits.p[i] - '0');
    }
    return digits.n ? v : -1;
}

/* added_tokens_decoder {"5": {..}} or added_tokens.json {"text": 5}, by their ids. */
static mlxe_status add_numbered(const tok_files *f, added_list *l, mlxe_error *err)
{
    const json *list = json_get(f->config, "added_tokens_decoder"), *key, *value;
    int texts = !json_is(list, JSON_OBJECT);
    if (texts) list = f->added;
    size_t n = 0, most = json_len(list);
    numbered *rows = calloc(most + 1, sizeof *rows);
    mlxe_status rc = rows ? MLXE_OK : err_memory(err, "added tokens", most * sizeof *rows);
    json_iter it = json_iterate(list);
    while (rc == MLXE_OK && n < most && json_next(&it, &key, &value)) {
        strv name = json_str(key);
        rows[n] = (numbered){texts ? json_int(value) : tok_files_number(name), name, value};
        if (rows[n++].id < 0)
            rc = err_set(err, MLXE_E_CORRUPT, "%s: added token \"%.*s\" has no id", f->folder,
                         (int)(name.n > 60 ? 60 : name.n), name.p);
    }
    if (rc == MLXE_OK) qsort(rows, n, sizeof *rows, by_number);
    for (size_t i = 0; i < n && rc == MLXE_OK; i++) {
        tok_added_token t = {.content = rows[i].key};
        if (texts)
            t.normalized = !(t.special = is_role(f, t.content));
        else
            rc = read_token(rows[i].value, 0, &t, err);
        if (!texts && is_role(f, t.content)) t.special = 1;
        if (rc == MLXE_OK) add_token(f, l, t);
    }
    free(rows);
    return rc;
}

static mlxe_status add_list(const tok_files *f, added_list *l, const json *list, mlxe_error *err)
{
    const json *key, *value;
    mlxe_status rc = MLXE_OK;
    json_iter it = json_iterate(list);
    while (rc == MLXE_OK && json_next(&it, &key, &value)) {
        tok_added_token t;
        rc = read_token(value, 1, &t, err);
        if (rc == MLXE_OK) add_token(f, l, t);
    }
    return rc;
}

static void write_token(buf *out, const tok_added_token *t, int first)
{
    static const char *const words[] = {"false", "true"};
    buf_addf(out, "%s{\"id\":%d,\"content\":", first ? "" : ",", t->id);
    json_write_str(out, t->content);
    buf_addf(out,
             ",\"single_word\":%s,\"lstrip\":%s,\"rstrip\":%s,\"normalized\":%s,\"special\":%s}",
             words[t->single_word != 0], words[t->lstrip != 0], words[t->rstrip != 0],
             words[t->normalized != 0], words[t->special != 0]);
}

/* Classes give the mask token properties, if the settings give its text alone. */
static void set_mask(const tok_files *f, const tok_class *c, tok_added_token *t)
{
    if (!c->mask || json_is(role_value(f, ROLE_MASK), JSON_OBJECT)) return;
    t->lstrip = strchr(c->mask, 'l') != NULL;
    t->normalized = strchr(c->mask, 'n') != NULL;
}

/* A class that adds its roles again takes back what added_tokens_decoder says of them. */
static mlxe_status check_readded(const tok_files *f, mlxe_error *err)
{
    static const char *const flags[] = {"lstrip", "rstrip", "single_word", "normalized"};
    const json *key, *value;
    json_iter it = json_iterate(json_get(f->config, "added_tokens_decoder"));
    while (json_next(&it, &key, &value)) {
        strv text = json_str(json_get(value, "content")), id = json_str(key);
        for (size_t i = 0; i < sizeof flags / sizeof *flags && is_role(f, text); i++)
            if (json_bool(json_get(value, flags[i])))
                return err_set(err, MLXE_E_UNSUPPORTED,
                               "%s: tokenizer_config.json: added_tokens_decoder %.*s: %s of "
                               "\"%.*s\", a token with a role, is not supported for %.*s",
                               f->folder, (int)id.n, id.p, flags[i],
                               (int)(text.n > 60 ? 60 : text.n), text.p, (int)f->kind.n, f->kind.p);
    }
    return MLXE_OK;
}

static void add_own(const tok_files *f, added_list *l, const tok_own_token *own, size_t n)
{
    for (size_t i = 0; i < n; i++)
        add_token(f, l,
                  (tok_added_token){.content = own[i].text,
                                    .special = own[i].special || is_role(f, own[i].text)});
}

mlxe_status tok_files_tokens(tok_files *f, const tok_class *c, const tok_own_token *own,
                             size_t n_own, buf *out, mlxe_error *err)
{
    tok_reader r = {&f->mem, buf_str(&f->path), err};
    added_list l = {.next = f->vocab.max_id + 1, .cap = n_own + ROLES};
    l.cap += json_len(json_get(f->config, "added_tokens_decoder")) + json_len(f->added);
    l.cap += json_len(extra_list(f, 0)) + json_len(extra_list(f, 1));
    mlxe_status rc = tok_vocab_init(&r, &l.seen, l.cap);
    l.v = calloc(l.cap, sizeof *l.v);
    if (rc == MLXE_OK && !l.v) rc = err_memory(err, "added tokens", l.cap * sizeof *l.v);
    for (int i = 0; i < ROLES; i++) {
        tok_added_token t = {0};
        rc = rc ? rc : read_token(role_value(f, i), 1, &t, err);
        f->roles[i] = t.content;
        if (!role_value(f, i) && c->roles[i]) f->roles[i] = strv_of(c->roles[i]);
    }
    if (rc == MLXE_OK && c->readds) rc = check_readded(f, err);
    if (c->own_first) add_own(f, &l, own, n_own);
    for (int i = 0; i < 2 && rc == MLXE_OK && c->own_first; i++)
        rc = add_list(f, &l, extra_list(f, i), err);
    if (rc == MLXE_OK) rc = add_numbered(f, &l, err);
    l.fixed = l.n;
    for (int i = 0; i < ROLES && rc == MLXE_OK; i++) {
        tok_added_token t = {.content = f->roles[i], .special = 1};
        if (role_value(f, i)) rc = read_token(role_value(f, i), 1, &t, err);
        if (i == ROLE_MASK) set_mask(f, c, &t);
        if (rc == MLXE_OK) add_token(f, &l, t);
    }
    if (rc == MLXE_OK && !c->own_first) add_own(f, &l, own, n_own);
    for (int i = 0; i < 2 && rc == MLXE_OK; i++)
        rc = add_list(f, &l, extra_list(f, i), err);
    buf_add_str(out, "\"added_tokens\":[");
    for (size_t i = 0; i < l.n && rc == MLXE_OK; i++)
        write_token(out, &l.v[i], i == 0);
    buf_add_str(out, "]");
    for (int i = 0; i < ROLES; i++)
        f->role_ids[i] = f->roles[i].n ? find_token(f, &l, f->roles[i]) : -1;
    f->language_id = f->language.n ? find_token(f, &l, f->language) : -1;
    if (f->language_id < 0) f->language_id = f->role_ids[ROLE_UNK];
    tok_vocab_deinit(&l.seen);
    free(l.v);
    return rc;
}

/* ---- templates ------------------------------------------------------------------------------- */

static int role_of(strv name)
{
    for (int i = 0; i < ROLES; i++)
        if (strv_is(name, ROLE_NAMES[i])) return i;
    return -1;
}

enum { LANGUAGE = ROLES, NAMED }; /* words of a template that are special tokens */

static int32_t named_id(const tok_files *f, int word)
{
    return word == LANGUAGE ? f->language_id : f->role_ids[word];
}

static strv named_text(const tok_files *f, int word)
{
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

mlxe_status tok_files_bos_eos(const tok_files *f, int bos, int eos, buf *out, mlxe_error *err)
{
    static const char *const rows[4][2] = {
        {"$A", "$A $B:1"},
        {"bos $A", "bos $A bos:1 $B:1"},
        {"$A eos", "$A eos $B:1 eos:1"},
        {"bos $A eos", "bos $A eos bos:1 $B:1 eos:1"},
    };
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

void tok_write_byte_level(strv pattern, buf *out)
{
    buf_add_str(out,
                "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\","
                "\"pattern\":{\"Regex\":");
    json_write_str(out, pattern);
    buf_add_str(out, "},\"behavior\":\"Isolated\",\"invert\":false},{\"type\":\"ByteLevel\","
                     "\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":false}]},"
                     "\"decoder\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true,"
                     "\"trim_offsets\":true,\"use_regex\":true},");
}

/* ---- opening --------------------------------------------------------------------------------- */

mlxe_status tok_files_tokenizer(const char *folder, tok **out, mlxe_error *err)
{
    const tok_format *best = NULL;
    tok_files f;
    buf text = {0};
    *out = NULL;
    mlxe_status rc = tok_files_open(folder, &f, err);
    for (size_t i = 0; formats_table[i] && rc == MLXE_OK; i++)
        if ((!best || formats_table[i]->order < best->order) && formats_table[i]->takes(&f))
            best = formats_table[i];
    if (rc == MLXE_OK && !best)
        rc = err_set(err, MLXE_E_NOT_FOUND, "%s: no tokenizer.json, and no other tokenizer file",
                     folder);
    if (rc) goto out;
    best->takes(&f); /* path again: another format may have looked after it */
    rc = best->write(&f, &text, err);
    if (rc == MLXE_OK && text.failed) rc = err_memory(err, "tokenizer", text.n);
    if (rc == MLXE_OK && f.vocab_is_models)
        rc = tok_open_made(buf_str(&f.path), buf_view(&text), &f.vocab, &f.mem, out, err);
    else if (rc == MLXE_OK)
        rc = tok_open(buf_str(&f.path), buf_str(&text), text.n, out, err);
out:
    buf_deinit(&text);
    tok_files_close(&f);
    return rc;
}
