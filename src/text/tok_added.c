/* tok_added.c: added tokens: found in the text before any model sees it.
 *
 *   text --raw needles--> pieces --normalizer--> --normalized needles--> pieces
 *
 * Two passes: tokens that are not normalized are looked for in the plain text, the others, in their
 * own normalised form, in the normalised text. At each place the longest one wins, leftmost first.
 *
 * Owns: which id an added token gets. The file's "id" is not asked: the model's id of the same
 * string, else the next free one, in the file's order, as the package does.
 *
 * Needles are sorted; a walk from one place narrows a range of them byte by byte, so the cost is
 * the text times the longest common begin, and for most bytes one look into a table of 256.
 *
 * Traps: a match that single_word rejects is skipped whole, not searched again inside. lstrip and
 * rstrip take white space into the token, but never what an earlier token took. A token of which
 * the normalizer leaves nothing is never found (the package panics then). Whether an id is
 * skipped as special in decoding goes by the string that decoding shows.
 *
 * Source: tokenizers, added_vocabulary.rs (behaviour). */
#include "text/tok_parts.h"

#include <stdlib.h>

typedef struct needle {
    strv text;
    uint32_t token; /* index of tok_added.v */
} needle;

struct tok_needles {
    needle *v;
    size_t n;
    uint32_t first[257]; /* needles that begin with byte c: first[c] .. first[c + 1] */
};

static int compare(const void *a, const void *b)
{
    const needle *x = a, *y = b;
    size_t n = x->text.n < y->text.n ? x->text.n : y->text.n;
    int order = n ? memcmp(x->text.p, y->text.p, n) : 0;
    if (order) return order;
    if (x->text.n != y->text.n) return x->text.n < y->text.n ? -1 : 1;
    return x->token < y->token ? -1 : x->token > y->token;
}

static mlxe_status needles_open(const tok_reader *r, const tok_added *a, int normalized,
                                tok_needles **out)
{
    size_t n = 0;
    *out = NULL;
    for (size_t i = 0; i < a->n_by_id; i++) {
        const tok_added_token *t = &a->v[a->by_id[i]];
        n += t->normalized == normalized && (!normalized || t->shown.n > 0);
    }
    if (n == 0) return MLXE_OK;
    tok_needles *s = arena_alloc(r->mem, sizeof *s);
    if (s) s->v = arena_array(r->mem, n, sizeof *s->v);
    if (!s || !s->v) return tok_no_memory(r);
    for (size_t i = 0; i < a->n_by_id; i++) {
        const tok_added_token *t = &a->v[a->by_id[i]];
        if (t->normalized != normalized || (normalized && t->shown.n == 0)) continue;
        s->v[s->n++] = (needle){normalized ? t->shown : t->content, a->by_id[i]};
    }
    qsort(s->v, s->n, sizeof *s->v, compare);
    for (size_t i = 0, c = 0; c <= 256; c++) {
        while (i < s->n && (unsigned char)s->v[i].text.p[0] < c)
            i++;
        s->first[c] = (uint32_t)i;
    }
    *out = s;
    return MLXE_OK;
}

/* The longest needle that begins at p; NULL: none. Of equal ones the last. */
static const needle *longest(const tok_needles *s, const char *p, size_t left)
{
    size_t low = s->first[(unsigned char)p[0]], high = s->first[(unsigned char)p[0] + 1];
    const needle *best = NULL;
    for (size_t depth = 1; low < high; depth++) {
        while (low < high && s->v[low].text.n == depth)
            best = &s->v[low++];
        if (low == high || depth == left) break;
        unsigned char c = (unsigned char)p[depth];
        size_t l = low, h = high;
        while (l < h) {
            size_t mid = (l + h) / 2;
            if ((unsigned char)s->v[mid].text.p[depth] < c)
                l = mid + 1;
            else
                h = mid;
        }
        low = l;
        h = high;
        while (l < h) {
            size_t mid = (l + h) / 2;
            if ((unsigned char)s->v[mid].text.p[depth] <= c)
                l = mid + 1;
            else
                h = mid;
        }
        high = l;
    }
    return best;
}

static int is_single_word(strv text, size_t b, size_t e)
{
    size_t width;
    if (b > 0 && uni_word(utf8_before(text.p, b, &width))) return 0;
    return e == text.n || !uni_word(utf8_at(text.p + e, &width));
}

/* Whether bytes of the text touch content. */
static int in_content(const tok_text *t, const tok_piece *piece, size_t b, size_t e)
{
    size_t low = 0, high = t->n_content;
    tok_span from;
    if (!high) return 0;
    from = tt_origin(t, piece, b, e);
    while (low < high) { /* the first that ends behind the begin */
        size_t mid = (low + high) / 2;
        if (t->content[mid].end > from.b + t->content_base)
            high = mid;
        else
            low = mid + 1;
    }
    return low < t->n_content && t->content[low].begin < from.e + t->content_base;
}

static void cut_piece(const tok_added *a, const tok_needles *needles, int plain_special,
                      tok_text *t, const tok_piece *piece)
{
    strv text = tt_str(t, piece);
    size_t done = 0, width;
    for (size_t i = 0; i < text.n;) {
        unsigned char c = (unsigned char)text.p[i];
        const needle *hit = NULL;
        if (needles->first[c] < needles->first[c + 1])
            hit = longest(needles, text.p + i, text.n - i);
        if (!hit) {
            i++;
            continue;
        }
        const tok_added_token *token = &a->v[hit->token];
        size_t b = i, e = i + hit->text.n;
        i = e;
        if (a->split_special && tok_added_is_special(a, token->content)) continue;
        if (token->control && (plain_special || in_content(t, piece, b, e))) continue;
        if (token->single_word && !is_single_word(text, b, e)) continue;
        while (token->lstrip && b > done && uni_space(utf8_before(text.p, b, &width)))
            b -= width;
        if (token->lstrip && b < done) b = done;
        while (token->rstrip && e < text.n && uni_space(utf8_at(text.p + e, &width)))
            e += width;
        if (done < b) tt_cut(t, piece->b + done, piece->b + b);
        tt_cut_token(t, piece, piece->b + b, piece->b + e, token->id);
        done = e;
    }
    if (done < text.n) tt_cut(t, piece->b + done, piece->e);
}

void tok_added_cut(const tok_added *a, const tok_needles *needles, int plain_special, tok_text *t)
{
    if (!needles) { /* the package slices all the same: a piece begins where its first byte did */
        for (size_t i = 0; i < t->n_pieces; i++)
            if (t->pieces[i].id < 0) t->pieces[i].from = tt_at(t, t->pieces[i].b);
        return;
    }
    tt_split_begin(t);
    for (size_t i = 0; i < t->n_pieces; i++) {
        if (t->pieces[i].id >= 0)
            tt_keep(t, &t->pieces[i]);
        else
            cut_piece(a, needles, plain_special, t, &t->pieces[i]);
    }
    tt_split_end(t);
}

/* ---- reading --------------------------------------------------------------------------------- */

static mlxe_status read_token(const tok_reader *r, const json *v, tok_added_token *out)
{
    mlxe_status rc = tok_need_str(r, v, "content", &out->content);
    if (rc == MLXE_OK) rc = tok_need_bool(r, v, "single_word", &out->single_word);
    if (rc == MLXE_OK) rc = tok_need_bool(r, v, "lstrip", &out->lstrip);
    if (rc == MLXE_OK) rc = tok_need_bool(r, v, "rstrip", &out->rstrip);
    if (rc == MLXE_OK) rc = tok_need_bool(r, v, "normalized", &out->normalized);
    if (rc == MLXE_OK) rc = tok_need_bool(r, v, "special", &out->special);
    out->shown = out->content;
    return rc;
}

/* What the normalizer makes of content. */
static mlxe_status normalize(const tok_reader *r, const tok_steps *steps, strv content, strv *out)
{
    tok_work w = {0};
    buf text = {0};
    tt_init(&w.text, content);
    mlxe_status rc = w.text.failed ? tok_no_memory(r) : tok_normalize(steps, &w, r->err);
    if (rc == MLXE_OK) {
        for (size_t i = 0; i < w.text.n_pieces; i++)
            buf_add_strv(&text, tt_str(&w.text, &w.text.pieces[i]));
        const char *copy = text.failed ? NULL : arena_copy(r->mem, buf_view(&text));
        *out = strv_from(copy, text.n);
        if (!copy) rc = tok_no_memory(r);
    }
    buf_deinit(&text);
    tok_work_deinit(&w);
    return rc;
}

typedef struct id_key {
    int32_t id;
    uint32_t index;
} id_key;

static int by_id(const void *a, const void *b)
{
    const id_key *x = a, *y = b;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* Of tokens with one id the last counts; a normalised form that one of them had is kept. */
static mlxe_status index_ids(const tok_reader *r, tok_added *a)
{
    a->by_id = arena_array(r->mem, a->n + 1, sizeof *a->by_id);
    id_key *keys = malloc((a->n + 1) * sizeof *keys);
    if (!a->by_id || !keys) {
        free(keys);
        return tok_no_memory(r);
    }
    for (size_t i = 0; i < a->n; i++)
        keys[i] = (id_key){a->v[i].id, (uint32_t)i};
    qsort(keys, a->n, sizeof *keys, by_id);
    strv shown = {NULL, 0};
    for (size_t i = 0; i < a->n; i++) {
        tok_added_token *t = &a->v[keys[i].index];
        if (i && keys[i - 1].id == keys[i].id)
            a->n_by_id--;
        else
            shown = strv_from(NULL, 0);
        if (t->normalized && !strv_eq(t->shown, t->content)) shown = t->shown;
        if (shown.p) t->shown = shown;
        a->by_id[a->n_by_id++] = keys[i].index;
    }
    free(keys);
    return MLXE_OK;
}

/* Files exist whose turn markers are not marked special. */
static int is_control(const tok_added *a, const tok_added_token *t)
{
    strv s = t->content;
    return tok_added_is_special(a, s) || (strv_starts(s, STRV("<|")) && strv_ends(s, STRV("|>"))) ||
           (strv_starts(s, STRV("<\xEF\xBD\x9C")) && strv_ends(s, STRV("\xEF\xBD\x9C>")));
}

/* The control tokens that the model's own vocabulary holds too. */
static mlxe_status list_banned(const tok_reader *r, const tok_model *model, tok_added *a)
{
    for (size_t i = 0; i < a->n; i++) {
        int32_t id = tok_vocab_id(&model->vocab, a->v[i].content);
        if (!a->v[i].control || id < 0 || id == model->unk) continue;
        if (!a->banned) a->banned = arena_alloc(r->mem, (size_t)model->vocab.max_id + 1);
        if (!a->banned) return tok_no_memory(r);
        a->banned[id] = 1;
    }
    return MLXE_OK;
}

/* The first id that a list of tokens may take. */
static int64_t first_id(const tok_model *model, const tok_added *a)
{
    int64_t next = (int64_t)model->vocab.n;
    for (size_t i = 0; i < a->n; i++)
        if (a->v[i].id >= next) next = (int64_t)a->v[i].id + 1;
    return next;
}

static mlxe_status add_list(const tok_reader *r, const json *list, const tok_model *model,
                            const tok_steps *normalizer, tok_added *out)
{
    const json *key, *item;
    int64_t next = first_id(model, out);
    mlxe_status rc = MLXE_OK;
    json_iter it = json_iterate(list);
    for (size_t i = 0; rc == MLXE_OK && json_next(&it, &key, &item); i++) {
        tok_reader at = tok_reader_index(r, i);
        tok_added_token t = {0};
        if (!json_is(item, JSON_OBJECT)) return tok_corrupt(&at, "is no object");
        if ((rc = read_token(&at, item, &t)) != MLXE_OK) return rc;
        if (t.content.n == 0) continue;
        t.id = tok_vocab_id(&out->by_content, t.content);
        if (t.id < 0) t.id = tok_vocab_id(&model->vocab, t.content);
        if (t.id < 0) {
            if (next > INT32_MAX - 1) return tok_corrupt(&at, "has no id left");
            t.id = (int32_t)next++;
        }
        if (t.normalized) rc = normalize(&at, normalizer, t.content, &t.shown);
        tok_vocab_add(&out->by_content, t.content, t.id);
        if (t.special) tok_vocab_add(&out->special, t.content, t.id);
        out->v[out->n++] = t;
    }
    return rc;
}

mlxe_status tok_added_read(const tok_reader *r, const json *v, const json *more,
                           const tok_model *model, const tok_steps *normalizer, tok_added *out)
{
    size_t n = json_len(v) + json_len(more);
    mlxe_status rc = tok_vocab_init(r, &out->by_content, n);
    if (rc == MLXE_OK) rc = tok_vocab_init(r, &out->special, n);
    out->v = arena_array(r->mem, n + 1, sizeof *out->v);
    if (!out->v) return rc ? rc : tok_no_memory(r);
    if (rc == MLXE_OK) rc = add_list(r, v, model, normalizer, out);
    if (rc == MLXE_OK) rc = add_list(r, more, model, normalizer, out);
    if (rc) return rc;
    for (size_t i = 0; i < out->n; i++)
        out->v[i].control = is_control(out, &out->v[i]);
    rc = tok_vocab_finish(r, &out->by_content);
    if (rc == MLXE_OK) rc = list_banned(r, model, out);
    if (rc == MLXE_OK) rc = index_ids(r, out);
    if (rc == MLXE_OK) rc = needles_open(r, out, 0, &out->raw);
    if (rc == MLXE_OK) rc = needles_open(r, out, 1, &out->normalized);
    return rc;
}

void tok_added_close(tok_added *a)
{
    tok_vocab_deinit(&a->by_content);
    tok_vocab_deinit(&a->special);
}

const tok_added_token *tok_added_find(const tok_added *a, int32_t id)
{
    size_t low = 0, high = a->n_by_id;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (a->v[a->by_id[mid]].id < id)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == a->n_by_id || a->v[a->by_id[low]].id != id) return NULL;
    return &a->v[a->by_id[low]];
}

int tok_added_is_special(const tok_added *a, strv text)
{
    return tok_vocab_id(&a->special, text) >= 0;
}
