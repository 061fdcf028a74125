/* tok.c: opening a tokenizer and encoding with it.
 *
 *   tokenizer.json -> model, normalizer, pre-tokenizer, added tokens, post-processor, decoder
 *   text -> added tokens cut out -> normalizer -> pre-tokenizer -> model -> post-processor -> ids
 *
 * Owns: the order of things. What each part does is in tok_*.c and tokenizers/.
 *
 * Invariants: a tok is immutable after open; an encode writes on its own tok_work. Strings of the
 * vocabulary stay in the JSON document, which lives as long as the tok.
 * Traps: an option that is not known is ignored by the package and by us; a part that is not known
 * is refused at open, by name. Files without model.type exist; the keys tell the kind. */
#include "base/fs.h"
#include "text/tok_files.h"

#include <stdlib.h>

extern const struct tok_kind *const tokenizers_table[]; /* generated from text/tokenizers */

/* ---- reading, what all parts share ----------------------------------------------------------- */

tok_reader tok_reader_at(const tok_reader *r, const char *key)
{
    buf path = {0};
    tok_reader at = *r;
    buf_addf(&path, "%s%s%s", r->where, strchr(r->where, ':') ? "." : ": ", key);
    const char *copy = path.failed ? NULL : arena_copy(r->mem, buf_view(&path));
    if (copy) at.where = copy;
    buf_deinit(&path);
    return at;
}

tok_reader tok_reader_index(const tok_reader *r, size_t index)
{
    buf path = {0};
    tok_reader at = *r;
    buf_addf(&path, "%s[%zu]", r->where, index);
    const char *copy = path.failed ? NULL : arena_copy(r->mem, buf_view(&path));
    if (copy) at.where = copy;
    buf_deinit(&path);
    return at;
}

mlxe_status tok_corrupt(const tok_reader *r, const char *what)
{
    return err_set(r->err, MLXE_E_CORRUPT, "%s: %s", r->where, what);
}

mlxe_status tok_no_memory(const tok_reader *r) { return err_memory(r->err, "tokenizer", 0); }

static mlxe_status need(const tok_reader *r, const json *v, const char *key)
{
    const json *x = json_get(v, key);
    if (x && !json_is(x, JSON_NULL)) return MLXE_OK;
    return err_set(r->err, MLXE_E_CORRUPT, "%s.%s is missing", r->where, key);
}

mlxe_status tok_need_str(const tok_reader *r, const json *v, const char *key, strv *out)
{
    mlxe_status rc = need(r, v, key);
    return rc ? rc : json_get_str(v, r->where, key, out, r->err);
}

mlxe_status tok_need_type(const tok_reader *r, const json *v, const tok_shape *shapes, strv *out)
{
    const json *type = json_get(v, "type");
    for (size_t i = 0; shapes && shapes[i].key && !json_is(type, JSON_STRING); i++) {
        if (!json_get(v, shapes[i].key)) continue;
        *out = strv_of(shapes[i].type);
        return MLXE_OK;
    }
    return tok_need_str(r, v, "type", out);
}

mlxe_status tok_need_bool(const tok_reader *r, const json *v, const char *key, int *out)
{
    mlxe_status rc = need(r, v, key);
    return rc ? rc : json_get_bool(v, r->where, key, out, r->err);
}

mlxe_status tok_need_int(const tok_reader *r, const json *v, const char *key, int64_t low,
                         int64_t high, int64_t *out)
{
    mlxe_status rc = need(r, v, key);
    return rc ? rc : json_get_int(v, r->where, key, low, high, out, r->err);
}

mlxe_status tok_need_char(const tok_reader *r, const json *v, const char *key, uint32_t *out)
{
    strv text = {NULL, 0};
    size_t width = 0;
    mlxe_status rc = tok_need_str(r, v, key, &text);
    if (rc) return rc;
    if (text.n) *out = utf8_at(text.p, &width);
    if (text.n && width == text.n) return MLXE_OK;
    return err_set(r->err, MLXE_E_CORRUPT, "%s.%s is not one character", r->where, key);
}

mlxe_status tok_keep(const tok_reader *r, strv *text)
{
    const char *copy = arena_copy(r->mem, *text);
    if (!copy) return tok_no_memory(r);
    text->p = copy;
    return MLXE_OK;
}

tok_step *tok_steps_add(const tok_reader *r, tok_steps *steps)
{
    if (steps->n == steps->cap) {
        size_t cap = steps->cap * 2 + 4;
        tok_step *more = arena_array(r->mem, cap, sizeof *more);
        if (!more) {
            tok_no_memory(r);
            return NULL;
        }
        if (steps->n) memcpy(more, steps->v, steps->n * sizeof *more);
        steps->v = more;
        steps->cap = cap;
    }
    return &steps->v[steps->n++];
}

mlxe_status tok_pattern_read(const tok_reader *r, const json *v, tok_regex **out)
{
    const json *string = json_get(v, "String"), *regex = json_get(v, "Regex");
    const json *pattern = string ? string : regex;
    if (!json_is(v, JSON_OBJECT) || !json_is(pattern, JSON_STRING) || (string && regex))
        return tok_corrupt(r, "pattern is neither String nor Regex");
    return tok_regex_open(r, json_str(pattern), string ? REGEX_LITERAL : REGEX_ANY, out);
}

/* ---- opening --------------------------------------------------------------------------------- */

/* The kind of a model without a type, as old files have it. */
static const tok_kind *guess_kind(const json *v)
{
    if (json_is(json_get(v, "vocab"), JSON_ARRAY)) return &tok_kind_unigram;
    if (json_get(v, "merges")) return &tok_kind_bpe;
    if (json_get(v, "continuing_subword_prefix")) return &tok_kind_wordpiece;
    return &tok_kind_wordlevel;
}

/* options: what counts instead of the file's; NULL: the file's do. */
static mlxe_status open_model(const tok_reader *root, const json *v, const json *options,
                              tok_model *m)
{
    tok_reader r = tok_reader_at(root, "model");
    strv type = {NULL, 0};
    if (!json_is(v, JSON_OBJECT)) return tok_corrupt(&r, "is missing or no object");
    mlxe_status rc = json_get_str(v, r.where, "type", &type, r.err);
    if (rc) return rc;
    if (!type.p && json_get(v, "type")) return tok_corrupt(&r, "type is no string");
    if (!type.p) m->kind = guess_kind(v);
    for (size_t i = 0; tokenizers_table[i] && type.p; i++)
        if (strv_is(type, tokenizers_table[i]->name)) m->kind = tokenizers_table[i];
    if (!m->kind)
        return err_set(r.err, MLXE_E_UNSUPPORTED, "%s: model %.*s is not supported", r.where,
                       (int)(type.n > 60 ? 60 : type.n), type.p);
    return m->kind->open(&r, v, options ? options : v, m);
}

/* A part of the tokenizer: the file's, or what the settings beside it put there. */
static const json *part(const tok *t, const char *key)
{
    const json *v = json_get(json_root(t->over), key);
    return v ? v : json_get(json_root(t->doc), key);
}

/* The post-processor that counts instead of the file's, if one does. */
static mlxe_status open_post(tok *t, tok_beside *beside, mlxe_error *err)
{
    buf text = {0};
    mlxe_status rc = tok_beside_post(beside, t, json_root(t->doc), &text, err);
    if (rc == MLXE_OK && text.n)
        rc = json_parse(beside->f.folder, buf_str(&text), text.n, &t->over_post, err);
    buf_deinit(&text);
    return rc;
}

/* beside: the settings of the folder; NULL: the file alone counts. */
static mlxe_status open_parts(tok *t, tok_beside *beside, mlxe_error *err)
{
    const json *root = json_root(t->doc), *over = json_root(t->over), *tokens = NULL;
    tok_reader r = {&t->mem, t->where, err}, at;
    strv version = STRV("1.0");
    if (!json_is(root, JSON_OBJECT)) return tok_corrupt(&r, "is no JSON object");
    mlxe_status rc = json_get_str(root, r.where, "version", &version, err);
    if (rc == MLXE_OK && !strv_is(version, "1.0"))
        rc = err_set(err, MLXE_E_UNSUPPORTED, "%s: tokenizer version %.*s is not supported",
                     t->where, (int)(version.n > 60 ? 60 : version.n), version.p);
    if (rc == MLXE_OK)
        rc = open_model(&r, json_get(root, "model"), json_get(over, "model"), &t->model);
    at = tok_reader_at(&r, "normalizer");
    if (rc == MLXE_OK) rc = tok_normalizer_read(&at, part(t, "normalizer"), &t->normalizer);
    at = tok_reader_at(&r, "pre_tokenizer");
    if (rc == MLXE_OK) rc = tok_splitter_read(&at, part(t, "pre_tokenizer"), &t->splitter);
    if (rc == MLXE_OK)
        rc = json_get_array(json_get(over, "added_tokens") ? over : root, r.where, "added_tokens",
                            &tokens, err);
    at = tok_reader_at(&r, "added_tokens");
    if (rc == MLXE_OK)
        rc = tok_added_read(&at, tokens, json_get(over, "more_tokens"), &t->model, &t->normalizer,
                            &t->added);
    if (rc == MLXE_OK && beside) rc = open_post(t, beside, err);
    at = tok_reader_at(&r, "post_processor");
    if (rc == MLXE_OK) {
        const json *post = json_get(json_root(t->over_post), "post_processor");
        rc = tok_post_read(&at, post ? post : json_get(root, "post_processor"), &t->post);
    }
    at = tok_reader_at(&r, "decoder");
    if (rc == MLXE_OK) rc = tok_decoder_read(&at, part(t, "decoder"), &t->decoder);
    const json *limits = json_root(t->over_post);
    if (!json_get(limits, "truncation")) limits = root;
    return rc ? rc : tok_limits_read(&r, limits, &t->limits);
}

/* The settings of the folder beside a tokenizer.json. */
static mlxe_status open_settings(tok *t, const char *folder, tok_beside *beside, mlxe_error *err)
{
    buf over = {0};
    mlxe_status rc = tok_beside_open(folder, json_root(t->doc), beside, &over, err);
    if (rc == MLXE_OK) rc = json_parse(folder, buf_str(&over), over.n, &t->over, err);
    if (rc == MLXE_OK)
        rc = tok_files_bool(&beside->f, "split_special_tokens", &t->added.split_special, err);
    buf_deinit(&over);
    return rc;
}

/* Reads the text into t, which is closed on failure. folder: whose settings count, or NULL. */
static mlxe_status open_text(tok *t, const char *where, strv text, const char *folder, tok **out,
                             mlxe_error *err)
{
    tok_beside beside = {0};
    t->where = arena_copy(&t->mem, strv_of(where));
    mlxe_status rc = t->where ? json_parse(where, text.p, text.n, &t->doc, err)
                              : err_memory(err, "tokenizer", 0);
    if (rc == MLXE_E_INPUT) { /* a file of ours to read, not a request */
        rc = MLXE_E_CORRUPT;
        if (err) err->code = rc;
    }
    if (rc == MLXE_OK && folder) rc = open_settings(t, folder, &beside, err);
    if (rc == MLXE_OK) rc = open_parts(t, folder ? &beside : NULL, err);
    tok_beside_close(&beside);
    if (rc) {
        tok_close(t);
        return rc;
    }
    *out = t;
    return MLXE_OK;
}

static mlxe_status open_new(const char *where, strv text, const char *folder, tok **out,
                            mlxe_error *err)
{
    *out = NULL;
    tok *t = calloc(1, sizeof *t);
    if (!t) return err_memory(err, "tokenizer", sizeof *t);
    return open_text(t, where, text, folder, out, err);
}

mlxe_status tok_open(const char *where, const char *text, size_t bytes, tok **out, mlxe_error *err)
{
    return open_new(where, strv_from(text, bytes), NULL, out, err);
}

mlxe_status tok_open_made(const char *where, strv text, tok_vocab *vocab, arena *strings, tok **out,
                          mlxe_error *err)
{
    *out = NULL;
    tok *t = calloc(1, sizeof *t);
    if (t) {
        t->model.vocab = *vocab;
        t->strings = *strings;
    } else {
        tok_vocab_deinit(vocab);
        arena_deinit(strings);
    }
    *vocab = (tok_vocab){.max_id = -1};
    *strings = (arena){0};
    return t ? open_text(t, where, text, NULL, out, err) : err_memory(err, "tokenizer", sizeof *t);
}

mlxe_status tok_open_folder(const char *folder, tok **out, mlxe_error *err)
{
    buf path = {0}, text = {0};
    *out = NULL;
    fs_join(&path, folder, "tokenizer.json");
    mlxe_status rc = fs_read(buf_str(&path), 0, &text, err);
    if (rc == MLXE_OK)
        rc = open_new(buf_str(&path), buf_view(&text), folder, out, err);
    else if (rc == MLXE_E_NOT_FOUND)
        rc = tok_files_tokenizer(folder, out, err);
    buf_deinit(&path);
    buf_deinit(&text);
    return rc;
}

void tok_close(tok *t)
{
    if (!t) return;
    if (t->model.kind) t->model.kind->close(&t->model);
    tok_vocab_deinit(&t->model.vocab);
    tok_normalizer_close(&t->normalizer);
    tok_splitter_close(&t->splitter);
    tok_added_close(&t->added);
    tok_decoder_close(t->decoder);
    json_close(t->doc);
    json_close(t->over);
    json_close(t->over_post);
    arena_deinit(&t->strings);
    arena_deinit(&t->mem);
    free(t);
}

/* ---- questions ------------------------------------------------------------------------------- */

int32_t tok_size(const tok *t)
{
    int32_t most = t->model.vocab.max_id, added = t->added.by_content.max_id;
    return (most > added ? most : added) + 1;
}

int32_t tok_id(const tok *t, strv token)
{
    int32_t id = tok_vocab_id(&t->added.by_content, token);
    return id >= 0 ? id : tok_vocab_id(&t->model.vocab, token);
}

int tok_is_special(const tok *t, int32_t id)
{
    const tok_added_token *token = tok_added_find(&t->added, id);
    return token && token->special;
}

strv tok_string(const tok *t, int32_t id)
{
    const tok_added_token *token = tok_added_find(&t->added, id);
    const tok_entry *e = token ? NULL : tok_vocab_entry(&t->model.vocab, id);
    if (token) return token->shown;
    return e ? e->text : strv_from(NULL, 0);
}

void tok_ids_deinit(tok_ids *ids)
{
    free(ids->tokens);
    *ids = (tok_ids){0};
}

/* ---- encoding -------------------------------------------------------------------------------- */

/* Whether one of the tokens that a piece of text became is a control token. */
static int gave_control(const tok *t, const tok_outs *out, size_t first)
{
    if (!t->added.banned || out->failed) return 0;
    for (size_t i = first; i < out->n; i++)
        if (t->added.banned[out->v[i].id]) return 1;
    return 0;
}

static mlxe_status run_piece(const tok *t, tok_work *w, size_t i, int plain, tok_outs *out,
                             mlxe_error *err)
{
    const tok_piece *piece = &w->text.pieces[i];
    if (piece->id >= 0) {
        tok_out *o = tok_outs_add(out, 1);
        if (o)
            *o = (tok_out){.id = piece->id,
                           .b = piece->from.b,
                           .e = piece->from.e,
                           .lead = piece->lead,
                           .trail = piece->trail,
                           .own = 1};
        return MLXE_OK;
    }
    size_t first = out->n;
    strv text = tt_str(&w->text, piece);
    mlxe_status rc = t->model.kind->run(&t->model, w, text, out, err);
    if (plain && rc == MLXE_OK && gave_control(t, out, first)) {
        out->n = first;
        w->banned = t->added.banned;
        rc = t->model.kind->run(&t->model, w, text, out, err);
        w->banned = NULL;
    }
    for (size_t k = first; k < out->n && rc == MLXE_OK && !out->failed; k++) {
        tok_span from = tt_origin(&w->text, piece, out->v[k].b, out->v[k].e);
        out->v[k].b = from.b;
        out->v[k].e = from.e;
    }
    return rc;
}

static mlxe_status encode_side(const tok *t, tok_work *w, strv text, unsigned flags, tok_side *out,
                               mlxe_error *err)
{
    int plain = (flags & TOK_PLAIN_SPECIAL) != 0;
    if (text.n > TOK_TEXT_MAX)
        return err_set(err, MLXE_E_LIMIT, "tokenizer: a text of %zu bytes, at most %d", text.n,
                       TOK_TEXT_MAX);
    if (!utf8_valid(text)) return err_set(err, MLXE_E_INPUT, "tokenizer: the text is no UTF-8");
    out->text = text;
    tt_init(&w->text, text);
    w->text.content = out->content;
    w->text.n_content = out->n_content;
    w->text.content_base = out->content_base;
    tok_added_cut(&t->added, t->added.raw, plain, &w->text);
    mlxe_status rc = tok_normalize(&t->normalizer, w, err);
    if (rc) return rc;
    tok_added_cut(&t->added, t->added.normalized, plain, &w->text);
    rc = tok_split(&t->splitter, w, err);
    if (rc) return rc;
    if (w->text.failed) return err_memory(err, "text pieces", text.n);
    for (size_t i = 0; i < w->text.n_pieces && rc == MLXE_OK; i++)
        rc = run_piece(t, w, i, plain || out->n_content, &out->tokens, err);
    if (rc == MLXE_OK && out->tokens.failed) rc = err_memory(err, "tokens", out->tokens.n);
    return rc;
}

static mlxe_status give(const tok_outs *from, tok_ids *out, mlxe_error *err)
{
    size_t want = out->n + from->n;
    if (want > out->cap) {
        mlxe_token *more = realloc(out->tokens, want * sizeof *more);
        if (!more) return err_memory(err, "tokens", want * sizeof *more);
        out->tokens = more;
        out->cap = want;
    }
    for (size_t i = 0; i < from->n; i++) {
        const tok_out *o = &from->v[i];
        out->tokens[out->n++] =
            (mlxe_token){o->id, o->type_id, o->b, o->e, o->added ? -1 : o->side};
    }
    return MLXE_OK;
}

static mlxe_status encode(const tok *t, tok_side *sides, strv text, strv pair, unsigned flags,
                          tok_ids *out, mlxe_error *err)
{
    tok_work w = {0};
    tok_outs all = {0};
    int n = pair.p ? 2 : 1, truncated = 0;
    mlxe_status rc = MLXE_OK;
    for (int i = 0; i < n && rc == MLXE_OK; i++)
        rc = encode_side(t, &w, i ? pair : text, flags, &sides[i], err);
    if (rc == MLXE_OK) rc = tok_post_run(t, sides, n, flags, &all, &truncated, err);
    if (rc == MLXE_OK) rc = give(&all, out, err);
    if (rc == MLXE_OK && truncated) out->truncated = 1;
    tok_outs_deinit(&sides[0].tokens);
    tok_outs_deinit(&sides[1].tokens);
    tok_outs_deinit(&all);
    tok_work_deinit(&w);
    return rc;
}

mlxe_status tok_encode(const tok *t, strv text, strv pair, unsigned flags, tok_ids *out,
                       mlxe_error *err)
{
    tok_side sides[2] = {0};
    return encode(t, sides, text, pair, flags, out, err);
}

mlxe_status tok_encode_content(const tok *t, strv text, const byte_range *content, size_t n_content,
                               size_t base, unsigned flags, tok_ids *out, mlxe_error *err)
{
    tok_side sides[2] = {{.content = content, .n_content = n_content, .content_base = base}};
    return encode(t, sides, text, (strv){NULL, 0}, flags, out, err);
}
