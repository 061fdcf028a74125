/* tekken.c: tekken.json, Mistral's byte ranks.
 *
 *   {"config": {"pattern", "default_vocab_size", "default_num_special_tokens"},
 *    "vocab": [{"rank", "token_bytes"}], "special_tokens": [{"rank", "token_str"}]}
 *
 * Ids: the special tokens first, by their ranks, then the ranks of the vocabulary. Older files have
 * no special_tokens: their list is fixed. What is missing up to the count is "<SPECIAL_n>".
 *
 * Traps: the vocabulary holds more ranks than count (150,000 of 131,072 - 1,000). A text begins
 * with <s> when special tokens are added.
 *
 * Source: mistral-common 1.13, tokens/tokenizers/tekken.py (behaviour). */
#include "text/tok_files.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const OLD_SPECIAL[] = {
    "<unk>",
    "<s>",
    "</s>",
    "[INST]",
    "[/INST]",
    "[AVAILABLE_TOOLS]",
    "[/AVAILABLE_TOOLS]",
    "[TOOL_RESULTS]",
    "[/TOOL_RESULTS]",
    "[TOOL_CALLS]",
    "[IMG]",
    "<pad>",
    "[IMG_BREAK]",
    "[IMG_END]",
    "[PREFIX]",
    "[MIDDLE]",
    "[SUFFIX]",
    "[SYSTEM_PROMPT]",
    "[/SYSTEM_PROMPT]",
    "[TOOL_CONTENT]",
};
enum { OLD_SPECIALS = sizeof OLD_SPECIAL / sizeof *OLD_SPECIAL };

static int takes(tok_files *f) { return tok_files_has(f, "tekken.json"); }

typedef struct tekken {
    const char *where;
    const json *vocab, *special;
    strv pattern;
    int64_t n_special, n_ranks;
    tok_own_token *own;
} tekken;

static mlxe_status read_config(tekken *t, const json *root, mlxe_error *err)
{
    const json *config = NULL;
    int64_t size = -1;
    mlxe_status rc = json_get_object(root, t->where, "config", &config, err);
    if (rc == MLXE_OK) rc = json_get_array(root, t->where, "vocab", &t->vocab, err);
    if (rc == MLXE_OK) rc = json_get_array(root, t->where, "special_tokens", &t->special, err);
    if (rc == MLXE_OK) rc = json_get_str(config, t->where, "pattern", &t->pattern, err);
    t->n_special = t->special ? (int64_t)json_len(t->special) : OLD_SPECIALS;
    if (rc == MLXE_OK)
        rc = json_get_int(config, t->where, "default_num_special_tokens", t->n_special, 1 << 20,
                          &t->n_special, err);
    if (rc == MLXE_OK)
        rc =
            json_get_int(config, t->where, "default_vocab_size", t->n_special, 1 << 28, &size, err);
    if (rc) return rc;
    if (!t->pattern.p || !t->vocab)
        return err_set(err, MLXE_E_CORRUPT, "%s: has no config.pattern or no vocab", t->where);
    t->n_ranks = (int64_t)json_len(t->vocab);
    if (size >= 0 && size - t->n_special < t->n_ranks) t->n_ranks = size - t->n_special;
    return MLXE_OK;
}

/* The special tokens by rank. */
static mlxe_status read_special(tekken *t, tok_files *f, mlxe_error *err)
{
    const json *item;
    t->own = arena_array(&f->mem, (size_t)t->n_special + 1, sizeof *t->own);
    if (!t->own) return err_memory(err, "special tokens", (size_t)t->n_special);
    for (int i = 0; i < OLD_SPECIALS && !t->special; i++)
        t->own[i] = (tok_own_token){strv_of(OLD_SPECIAL[i]), 1, 1};
    json_iter it = json_iterate(t->special);
    while (json_next(&it, NULL, &item)) {
        int64_t rank = -1;
        strv text = json_str(json_get(item, "token_str"));
        mlxe_status rc = json_get_int(item, t->where, "rank", 0, t->n_special - 1, &rank, err);
        if (rc) return rc;
        if (rank < 0 || !text.n)
            return err_set(err, MLXE_E_CORRUPT, "%s: a special token without text or rank",
                           t->where);
        t->own[rank] = (tok_own_token){text, 1, 1};
    }
    for (int64_t i = 0; i < t->n_special; i++) {
        char name[40];
        if (t->own[i].text.p) continue;
        snprintf(name, sizeof name, "<SPECIAL_%d>", (int)i);
        const char *copy = arena_copy(&f->mem, strv_of(name));
        if (!copy) return err_memory(err, "special tokens", 0);
        t->own[i] = (tok_own_token){strv_of(copy), 1, 1};
    }
    return MLXE_OK;
}

static mlxe_status read_vocab(const tekken *t, tok_files *f, mlxe_error *err)
{
    const json *item;
    buf bytes = {0}, text = {0};
    int32_t id = 0;
    mlxe_status rc = MLXE_OK;
    json_iter it = json_iterate(t->vocab);
    while (rc == MLXE_OK && id < t->n_ranks && json_next(&it, NULL, &item)) {
        strv given = json_str(json_get(item, "token_bytes"));
        buf_clear(&bytes);
        buf_clear(&text);
        if (!given.n || tok_base64(given, &bytes)) {
            rc = err_set(err, MLXE_E_CORRUPT, "%s: vocab[%d].token_bytes is no base64", t->where,
                         (int)id);
            break;
        }
        tok_byte_chars(buf_view(&bytes), &text);
        rc = tok_files_add(f, buf_view(&text), (int32_t)(id++ + t->n_special), err);
    }
    for (int64_t i = 0; i < t->n_special && rc == MLXE_OK; i++)
        rc = tok_files_add(f, t->own[i].text, (int32_t)i, err);
    buf_deinit(&bytes);
    buf_deinit(&text);
    return rc;
}

static mlxe_status write(tok_files *f, buf *out, mlxe_error *err)
{
    json_doc *doc = NULL;
    tekken t = {.where = buf_str(&f->path)};
    tok_class class = {.names = "", .own_first = 1};
    tok_reader r = {&f->mem, t.where, err};
    mlxe_status rc = tok_files_read_json(f, &doc, err);
    if (rc == MLXE_OK) rc = read_config(&t, json_root(doc), err);
    if (rc == MLXE_OK) rc = read_special(&t, f, err);
    if (rc == MLXE_OK) rc = tok_vocab_init(&r, &f->vocab, (size_t)(t.n_ranks + t.n_special));
    if (rc == MLXE_OK) rc = read_vocab(&t, f, err);
    f->vocab_is_models = 1;
    buf_add_str(out,
                "{\"model\":{\"type\":\"BPE\",\"ignore_merges\":true,\"merges_from\":\"ranks\","
                "\"vocab\":{}},");
    if (rc == MLXE_OK) rc = tok_vocab_finish(&r, &f->vocab);
    if (rc == MLXE_OK && tok_vocab_id(&f->vocab, STRV("<s>")) >= 0) class.roles[ROLE_BOS] = "<s>";
    tok_write_byte_level(t.pattern, 0, out);
    if (rc == MLXE_OK) rc = tok_files_tokens(f, &class, t.own, (size_t)t.n_special, out, err);
    buf_add_char(out, ',');
    tok_files_template(f, "bos $A", "bos $A bos:1 $B:1", out);
    buf_add_char(out, '}');
    json_close(doc);
    return rc;
}

const struct tok_format tok_format_tekken = {1, takes, write, NULL};
