/* wordpiece.c: the longest token that the rest of a word begins with, again and again.
 *
 * A word that cannot be covered, or that has too many characters, is one unknown token. Pieces but
 * the first are looked up with the prefix ("##").
 * Linear in the text for a given vocabulary: no look-up is longer than its longest token.
 * Source: tokenizers, models/wordpiece (behaviour). */
#include "text/tok_parts.h"

typedef struct wordpiece {
    strv prefix;
    int64_t max_chars;
    size_t longest; /* bytes of the longest token */
} wordpiece;

static mlxe_status wordpiece_open(const tok_reader *r, const json *v, const json *options,
                                  tok_model *m)
{
    const json *vocab = NULL;
    strv unk;
    wordpiece *p = m->own = arena_alloc(r->mem, sizeof *p);
    if (!p) return tok_no_memory(r);
    mlxe_status rc = json_get_object(v, r->where, "vocab", &vocab, r->err);
    if (rc == MLXE_OK && !vocab) rc = tok_corrupt(r, "WordPiece without vocab");
    if (rc == MLXE_OK) rc = tok_need_str(r, options, "unk_token", &unk);
    if (rc == MLXE_OK) rc = tok_need_str(r, options, "continuing_subword_prefix", &p->prefix);
    if (rc == MLXE_OK)
        rc = tok_need_int(r, options, "max_input_chars_per_word", 0, INT64_MAX, &p->max_chars);
    if (rc == MLXE_OK) rc = tok_vocab_read(r, vocab, &m->vocab);
    if (rc) return rc;
    m->unk = tok_vocab_id(&m->vocab, unk);
    for (size_t i = 0; i < m->vocab.n; i++)
        if (m->vocab.entries[i].text.n > p->longest) p->longest = m->vocab.entries[i].text.n;
    return MLXE_OK;
}

static void wordpiece_close(tok_model *m) { m->own = NULL; }

/* The longest token at from. -> its id and end, or -1 */
static int32_t longest_at(const tok_model *m, tok_work *w, strv piece, size_t from, size_t *end)
{
    const wordpiece *p = m->own;
    size_t e = piece.n, skip = 0;
    if (e - from > p->longest) e = from + p->longest;
    while (e < piece.n && e > from && !utf8_is_start(piece.p[e]))
        e--;
    strv text = strv_from(piece.p + from, e - from);
    if (from > 0) {
        buf_clear(&w->word);
        buf_add_strv(&w->word, p->prefix);
        buf_add_strv(&w->word, text);
        if (w->word.failed) return -1;
        text = buf_view(&w->word);
        skip = p->prefix.n;
    }
    while (text.n > skip) {
        int32_t id = tok_vocab_id(&m->vocab, text);
        if (tok_may_give(w, id)) {
            *end = from + text.n - skip;
            return id;
        }
        while (--text.n > skip && !utf8_is_start(text.p[text.n])) {}
    }
    return -1;
}

static mlxe_status wordpiece_run(const tok_model *m, tok_work *w, strv piece, tok_outs *out,
                                 mlxe_error *err)
{
    const wordpiece *p = m->own;
    size_t kept = out->n, end = 0;
    tok_out *o;
    int bad = utf8_count(piece) > (uint64_t)p->max_chars;
    for (size_t at = 0; at < piece.n && !bad; at = end) {
        int32_t id = longest_at(m, w, piece, at, &end);
        if (w->word.failed) return err_memory(err, "WordPiece", w->word.n);
        bad = id < 0;
        if (!bad && (o = tok_outs_add(out, 1)) != NULL)
            *o = (tok_out){.id = id, .b = (uint32_t)at, .e = (uint32_t)end};
        if (out->failed) return MLXE_OK;
    }
    if (!bad) return MLXE_OK;
    if (m->unk < 0) return err_set(err, MLXE_E_CORRUPT, "WordPiece: unk_token is not in the vocab");
    out->n = kept;
    if ((o = tok_outs_add(out, 1)) != NULL) *o = (tok_out){.id = m->unk, .e = (uint32_t)piece.n};
    return MLXE_OK;
}

const tok_kind tok_kind_wordpiece = {"WordPiece", wordpiece_open, wordpiece_close, wordpiece_run};
