/* wordlevel.c: a piece is one token of the vocabulary, or the unknown token. */
#include "text/tok_parts.h"

static mlxe_status wordlevel_open(const tok_reader *r, const json *v, const json *options,
                                  tok_model *m)
{
    const json *vocab = NULL;
    strv unk;
    mlxe_status rc = json_get_object(v, r->where, "vocab", &vocab, r->err);
    if (rc == MLXE_OK && !vocab) rc = tok_corrupt(r, "WordLevel without vocab");
    if (rc == MLXE_OK) rc = tok_need_str(r, options, "unk_token", &unk);
    if (rc == MLXE_OK) rc = tok_vocab_read(r, vocab, &m->vocab);
    if (rc == MLXE_OK) m->unk = tok_vocab_id(&m->vocab, unk);
    return rc;
}

static void wordlevel_close(tok_model *m) { (void)m; }

static mlxe_status wordlevel_run(const tok_model *m, tok_work *w, strv piece, tok_outs *out,
                                 mlxe_error *err)
{
    int32_t id = tok_vocab_id(&m->vocab, piece);
    if (!tok_may_give(w, id)) id = m->unk;
    if (id < 0) return err_set(err, MLXE_E_CORRUPT, "WordLevel: unk_token is not in the vocab");
    tok_out *o = tok_outs_add(out, 1);
    if (o) *o = (tok_out){.id = id, .e = (uint32_t)piece.n};
    return MLXE_OK;
}

const tok_kind tok_kind_wordlevel = {"WordLevel", wordlevel_open, wordlevel_close, wordlevel_run};
