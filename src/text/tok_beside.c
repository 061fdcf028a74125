/* tok_beside.c: what the settings beside a tokenizer.json change.
 *
 * The file says how a text is cut; the settings add tokens to it (tok_special.c), by the defaults
 * of the class too. Most classes of transformers build their own normalizer, pre-tokenizer and
 * template, whatever the file says, from the settings: where the two do not agree the folder is
 * refused, because either reading would be silent about the other.
 *
 * Trap: LlamaTokenizer beside a byte-level file is no class (transformers takes TokenizersBackend).
 *
 * Source: transformers 5.23, tokenization_utils_tokenizers.py (convert_to_native_format),
 * models/auto/tokenization_auto.py. */
#include "text/tok_files.h"

extern const struct tok_format *const formats_table[]; /* generated from text/formats */

typedef struct beside {
    const tok_files *f;
    const tok_class *class;
    const json *file; /* tokenizer.json */
    mlxe_error *err;
} beside;

/* The step of that type in a part, which may be a Sequence; NULL: none. */
static const json *find_step(const json *part, const char *list, const char *type)
{
    const json *item;
    if (strv_is(json_str(json_get(part, "type")), type)) return part;
    json_iter it = json_iterate(json_get(part, list));
    while (json_next(&it, NULL, &item))
        if (strv_is(json_str(json_get(item, "type")), type)) return item;
    return NULL;
}

static const tok_class *class_of(const tok_files *f, const json *file)
{
    static const tok_class none = {.names = ""};
    const tok_class *c = NULL;
    const json *pre = json_get(file, "pre_tokenizer");
    int bytes = find_step(pre, "pretokenizers", "ByteLevel") ||
                find_step(json_get(file, "decoder"), "decoders", "ByteLevel");
    if (bytes && strv_is(f->kind, "LlamaTokenizer")) return &none;
    for (size_t i = 0; formats_table[i] && !c; i++)
        if (formats_table[i]->class_of) c = formats_table[i]->class_of(f);
    return c ? c : &none;
}

static mlxe_status disagree(const beside *b, const char *key, const char *part)
{
    err_set(
        b->err, MLXE_E_UNSUPPORTED,
        "%s: tokenizer_config.json: %s, as %.*s has it, does not agree with tokenizer.json's %s",
        b->f->folder, key, (int)b->f->kind.n, b->f->kind.p, part);
    err_hint(b->err, "let both say the same, or give tokenizer_class PreTrainedTokenizerFast");
    return MLXE_E_UNSUPPORTED;
}

/* Whether a text stands anywhere in a value. */
static int says(const json *v, strv text, int depth)
{
    const json *key, *item;
    if (json_is(v, JSON_STRING)) return strv_eq(json_str(v), text);
    if (depth > 20) return 0;
    json_iter it = json_iterate(v);
    while (json_next(&it, &key, &item))
        if ((key && strv_eq(json_str(key), text)) || says(item, text, depth + 1)) return 1;
    return 0;
}

/* The tokens of the class's own template. */
static mlxe_status check_ends(const beside *b)
{
    static const struct {
        const char *word, *key;
        int role;
    } rows[] = {{"bos", "bos_token", ROLE_BOS},
                {"eos", "eos_token", ROLE_EOS},
                {"sep", "sep_token", ROLE_SEP},
                {"cls", "cls_token", ROLE_CLS}};
    const json *post = json_get(b->file, "post_processor");
    const char *ends = b->class->ends ? b->class->ends : "";
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!strstr(ends, rows[i].word)) continue;
        strv text = tok_files_role_text(b->f, rows[i].role, strv_of(b->class->roles[rows[i].role]));
        if (!says(post, text, 0)) return disagree(b, rows[i].key, "post_processor");
    }
    strv language = json_str(json_get(b->f->config, "src_lang"));
    if (strstr(ends, "lang") && language.n && !says(post, language, 0))
        return disagree(b, "src_lang", "post_processor");
    return MLXE_OK;
}

static mlxe_status check_flag(const beside *b, const char *key, int usual, const json *v,
                              const char *part)
{
    int given = usual;
    mlxe_status rc = tok_files_bool(b->f, key, &given, b->err);
    if (rc || !json_is(v, JSON_BOOL) || given < 0) return rc;
    return !given == !json_bool(v) ? MLXE_OK : disagree(b, key, part);
}

static mlxe_status check_metaspace(const beside *b, const json *meta)
{
    int prefix = 1, legacy = 0, llama = strchr(b->class->asks, 'L') != NULL;
    strv scheme = json_str(json_get(meta, "prepend_scheme"));
    mlxe_status rc = tok_files_bool(b->f, "add_prefix_space", &prefix, b->err);
    if (rc == MLXE_OK && llama) rc = tok_files_bool(b->f, "legacy", &legacy, b->err);
    if (rc || !scheme.n) return rc;
    if ((prefix == 0) != strv_is(scheme, "never"))
        return disagree(b, "add_prefix_space", "pre_tokenizer");
    if (llama && prefix && (legacy != 0) != strv_is(scheme, "always"))
        return disagree(b, "legacy", "pre_tokenizer");
    return MLXE_OK;
}

static mlxe_status check_flags(const beside *b)
{
    const char *asks = b->class->asks ? b->class->asks : "";
    const json *pre = json_get(b->file, "pre_tokenizer"),
               *bytes = find_step(pre, "pretokenizers", "ByteLevel"),
               *meta = find_step(pre, "pretokenizers", "Metaspace"),
               *bert = find_step(json_get(b->file, "normalizer"), "normalizers", "BertNormalizer");
    mlxe_status rc = MLXE_OK;
    if (strchr(asks, 'p') || strchr(asks, 'P'))
        rc = check_flag(b, "add_prefix_space", strchr(asks, 'P') != NULL,
                        json_get(bytes, "add_prefix_space"), "pre_tokenizer");
    if (rc == MLXE_OK && meta && strpbrk(asks, "ML")) rc = check_metaspace(b, meta);
    if (!strchr(asks, 'b')) return rc;
    if (rc == MLXE_OK)
        rc = check_flag(b, "do_lower_case", 1, json_get(bert, "lowercase"), "normalizer");
    if (rc == MLXE_OK)
        rc = check_flag(b, "strip_accents", -1, json_get(bert, "strip_accents"), "normalizer");
    if (rc == MLXE_OK)
        rc = check_flag(b, "tokenize_chinese_chars", 1, json_get(bert, "handle_chinese_chars"),
                        "normalizer");
    return rc;
}

mlxe_status tok_files_over(const char *folder, const json *file, buf *out, int *split,
                           mlxe_error *err)
{
    tok_files f;
    mlxe_status rc = tok_files_open(folder, &f, err);
    if (rc == MLXE_OK) rc = tok_files_bool(&f, "split_special_tokens", split, err);
    if (rc == MLXE_OK && (f.config || f.special || f.added) && json_is(file, JSON_OBJECT)) {
        beside b = {&f, class_of(&f, file), file, err};
        f.pad = json_str(json_get(json_get(file, "padding"), "pad_token"));
        rc = check_ends(&b);
        if (rc == MLXE_OK) rc = check_flags(&b);
        if (rc == MLXE_OK)
            rc = tok_files_more(&f, b.class, json_get(file, "added_tokens"), out, err);
    }
    if (rc == MLXE_OK && out->failed) rc = err_memory(err, "added tokens", out->n);
    tok_files_close(&f);
    return rc;
}
