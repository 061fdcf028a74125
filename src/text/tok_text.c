/* tok_text.c: a text on its way through the pipeline, and the way back to its own bytes.
 *
 *   original --pass--> p, at[]  (at: a byte of p -> the character of the original it stands for)
 *   pieces: runs of p that are still text, and tokens that were cut out already
 *
 * Owns: the bookkeeping that the tokenizers package does in NormalizedString, for all pieces of a
 * text at once. A pass rewrites every text piece into the other buffer; a split only replaces the
 * list of pieces. Both are linear in the text.
 *
 * Invariants
 *   at == NULL means that p is the original: no byte was changed yet.
 *   All bytes of one character of p have the same span.
 *   A text piece is never empty; from.b is where its original begins.
 *
 * Traps: a token of no width reports its own relative place, and one that reaches over its piece
 * (bytes of a prefix, by byte fallback) reports unshifted numbers: the package does so, and the
 * result is then taken to whole characters as its conversion does.
 *
 * Source: tokenizers, tokenizer/normalizer.rs and pre_tokenizer.rs (behaviour). */
#include "text/tok_parts.h"

#include <stdlib.h>

/* Grows *p to hold n items of size; 0 when there is no memory. */
static int grow(void **p, size_t *cap, size_t n, size_t size)
{
    if (n <= *cap) return 1;
    size_t want = *cap + *cap / 2 + 16;
    if (want < n) want = n;
    if (want > SIZE_MAX / size) return 0;
    void *q = realloc(*p, want * size);
    if (!q) return 0;
    *p = q;
    *cap = want;
    return 1;
}

void tt_init(tok_text *t, strv original)
{
    t->original = original;
    t->p = original.p;
    t->n = original.n;
    t->at = NULL;
    t->n_pieces = t->n_next = 0;
    t->failed = 0;
    if (original.n == 0) return;
    if (!grow((void **)&t->pieces, &t->cap_pieces, 1, sizeof *t->pieces)) {
        t->failed = 1;
        return;
    }
    t->pieces[0] = (tok_piece){.e = original.n, .id = -1};
    t->n_pieces = 1;
}

void tt_deinit(tok_text *t)
{
    for (int i = 0; i < 2; i++) {
        free(t->own[i]);
        free(t->own_at[i]);
    }
    free(t->pieces);
    free(t->next);
    *t = (tok_text){0};
}

/* The character of the original that holds byte i. */
static tok_span character(strv text, size_t i)
{
    size_t b = i;
    while (b > 0 && !utf8_is_start(text.p[b]))
        b--;
    size_t e = b + utf8_width((unsigned char)text.p[b]);
    return (tok_span){(uint32_t)b, (uint32_t)(e > text.n ? text.n : e)};
}

tok_span tt_at(const tok_text *t, size_t i) { return t->at ? t->at[i] : character(t->original, i); }

/* The end of the second character from the one at b on, or of the text. */
static uint32_t two_characters(strv text, size_t b)
{
    uint32_t e = character(text, b).e;
    return e < text.n ? character(text, e).e : e;
}

/* The package converts bytes to characters by a table of all bytes: a place inside a character
 * becomes the character's begin, an end behind the text two characters. */
static tok_span whole_characters(strv text, size_t b, size_t e)
{
    tok_span out;
    if (text.n == 0) return (tok_span){0, 0};
    if (b >= text.n) return (tok_span){(uint32_t)text.n, (uint32_t)text.n};
    out.b = character(text, b).b;
    if (e < text.n)
        out.e = character(text, e).b;
    else
        out.e = e > text.n ? two_characters(text, b) : (uint32_t)text.n;
    return out;
}

tok_span tt_origin(const tok_text *t, const tok_piece *piece, size_t b, size_t e)
{
    size_t n = piece->e - piece->b;
    if (b < e && e <= n) {
        tok_span first = tt_at(t, piece->b + b), last = tt_at(t, piece->b + e - 1);
        return (tok_span){first.b, last.e};
    }
    if (b == e) return whole_characters(t->original, piece->from.b + b, piece->from.b + e);
    return whole_characters(t->original, b, e);
}

/* ---- rewriting ------------------------------------------------------------------------------- */

void tt_pass_begin(tok_text *t)
{
    t->writing = t->p == t->own[0] && t->own[0] ? 1 : 0;
    t->n_new = 0;
}

void tt_pass_end(tok_text *t)
{
    if (t->failed) return;
    t->p = t->own[t->writing];
    t->at = t->own_at[t->writing];
    t->n = t->n_new;
    size_t kept = 0; /* pieces that became empty vanish */
    for (size_t i = 0; i < t->n_pieces; i++)
        if (t->pieces[i].id >= 0 || t->pieces[i].b < t->pieces[i].e)
            t->pieces[kept++] = t->pieces[i];
    t->n_pieces = kept;
}

/* Room for n more bytes of the new text. */
static int room(tok_text *t, size_t n)
{
    int k = t->writing;
    if (t->failed) return 0;
    if (t->n_new + n <= t->own_cap[k]) return 1;
    size_t want = t->own_cap[k] + t->own_cap[k] / 2 + n + 64;
    char *p = realloc(t->own[k], want);
    if (p) t->own[k] = p;
    tok_span *at = p ? realloc(t->own_at[k], want * sizeof *at) : NULL;
    if (at) t->own_at[k] = at;
    if (!p || !at) {
        t->failed = 1;
        return 0;
    }
    t->own_cap[k] = want;
    return 1;
}

tok_rewrite tt_open(tok_text *t, tok_piece *piece)
{
    room(t, piece->e - piece->b + 8);
    return (tok_rewrite){t, piece, piece->b, piece->b, piece->e, t->n_new};
}

void tt_close(tok_rewrite *w)
{
    w->piece->b = w->start;
    w->piece->e = w->t->n_new;
}

void tt_skip(tok_rewrite *w, size_t characters)
{
    while (characters-- > 0 && w->at < w->end)
        w->at += utf8_width((unsigned char)w->t->p[w->at]);
}

/* The span of a character that is new (shares with what lies before) or stands for the next. */
static tok_span span_for(const tok_rewrite *w, long change)
{
    uint32_t from = w->piece->from.b;
    if (change > 0) return w->at > w->base ? tt_at(w->t, w->at - 1) : (tok_span){from, from};
    if (w->at < w->end) return tt_at(w->t, w->at);
    return w->end > w->base ? tt_at(w->t, w->end - 1) : (tok_span){from, from};
}

void tt_put(tok_rewrite *w, uint32_t cp, long change)
{
    tok_text *t = w->t;
    if (!room(t, 4)) return;
    tok_span span = span_for(w, change);
    size_t n = utf8_put(t->own[t->writing] + t->n_new, cp);
    for (size_t i = 0; i < n; i++)
        t->own_at[t->writing][t->n_new + i] = span;
    t->n_new += n;
    if (change <= 0) tt_skip(w, 1 + (size_t)-change);
}

void tt_put_str(tok_rewrite *w, strv text, long first_change)
{
    for (size_t i = 0, width; i < text.n; i += width)
        tt_put(w, utf8_at(text.p + i, &width), i == 0 ? first_change : 1);
}

void tt_copy(tok_rewrite *w, size_t bytes)
{
    tok_text *t = w->t;
    if (bytes == 0 || !room(t, bytes)) return;
    tok_span *at = t->own_at[t->writing] + t->n_new;
    memcpy(t->own[t->writing] + t->n_new, t->p + w->at, bytes);
    if (t->at)
        memcpy(at, t->at + w->at, bytes * sizeof *at);
    else
        for (size_t i = 0; i < bytes;) {
            size_t b = w->at + i, width = utf8_width((unsigned char)t->p[b]);
            for (size_t k = 0; k < width && i < bytes; k++, i++)
                at[i] = (tok_span){(uint32_t)b, (uint32_t)(b + width)};
        }
    t->n_new += bytes;
    w->at += bytes;
}

/* ---- splitting ------------------------------------------------------------------------------- */

void tt_split_begin(tok_text *t) { t->n_next = 0; }

static tok_piece *add_piece(tok_text *t)
{
    if (t->failed || !grow((void **)&t->next, &t->cap_next, t->n_next + 1, sizeof *t->next)) {
        t->failed = 1;
        return NULL;
    }
    return &t->next[t->n_next++];
}

void tt_keep(tok_text *t, const tok_piece *piece)
{
    tok_piece *p = add_piece(t);
    if (p) *p = *piece;
}

void tt_cut(tok_text *t, size_t b, size_t e)
{
    if (b >= e) return;
    tok_piece *p = add_piece(t);
    if (!p) return;
    *p = (tok_piece){.b = b, .e = e, .id = -1};
    p->from = tt_at(t, b);
}

void tt_cut_token(tok_text *t, const tok_piece *from, size_t b, size_t e, int32_t id)
{
    if (b >= e) return;
    tok_piece *p = add_piece(t);
    if (!p) return;
    *p = (tok_piece){.b = b, .e = e, .id = id};
    p->from = tt_origin(t, from, b - from->b, e - from->b);
    tok_trim_counts(strv_from(t->p + b, e - b), &p->lead, &p->trail);
}

void tt_split_end(tok_text *t)
{
    if (t->failed) return;
    tok_piece *p = t->pieces;
    size_t cap = t->cap_pieces;
    t->pieces = t->next;
    t->cap_pieces = t->cap_next;
    t->n_pieces = t->n_next;
    t->next = p;
    t->cap_next = cap;
    t->n_next = 0;
}

void tok_trim_counts(strv text, uint32_t *lead, uint32_t *trail)
{
    size_t width, i = 0, e = text.n;
    *lead = *trail = 0;
    for (; i < text.n; i += width, ++*lead) {
        uint32_t cp = utf8_at(text.p + i, &width);
        if (cp != 0x120 && !uni_space(cp)) break;
    }
    for (; e > 0; e -= width, ++*trail) {
        uint32_t cp = utf8_before(text.p, e, &width);
        if (cp != 0x120 && !uni_space(cp)) break;
    }
}

/* ---- splits by matches ----------------------------------------------------------------------- */

void tok_matches_add(tok_matches *m, size_t b, size_t e, int hit)
{
    if (m->failed || !grow((void **)&m->m, &m->cap, m->n + 1, sizeof *m->m)) {
        m->failed = 1;
        return;
    }
    m->m[m->n++] = (tok_match){b, e, hit};
}

/* Merges every hit that follows no hit into the piece before it. Walks backwards for SPLIT_NEXT,
 * where "before" is the piece behind. */
static void merge_hits(tok_matches *m, tok_behavior behavior)
{
    size_t n = 0;
    int previous = 0;
    if (behavior == SPLIT_NEXT) {
        for (size_t i = m->n, k = m->n; i-- > 0;) {
            tok_match x = m->m[i];
            if (x.hit && !previous && k < m->n)
                m->m[k].b = x.b;
            else
                m->m[--k] = (tok_match){x.b, x.e, 0};
            previous = x.hit;
            n = m->n - k;
        }
        memmove(m->m, m->m + (m->n - n), n * sizeof *m->m);
        m->n = n;
        return;
    }
    for (size_t i = 0; i < m->n; i++) {
        tok_match x = m->m[i];
        int merge = behavior == SPLIT_CONTIGUOUS ? x.hit == previous : x.hit && !previous;
        if (merge && n > 0)
            m->m[n - 1].e = x.e;
        else
            m->m[n++] = (tok_match){x.b, x.e, 0};
        previous = x.hit;
    }
    m->n = n;
}

void tt_cut_matches(tok_text *t, const tok_piece *from, tok_matches *m, tok_behavior behavior)
{
    if (m->failed) t->failed = 1;
    if (behavior == SPLIT_PREVIOUS || behavior == SPLIT_NEXT || behavior == SPLIT_CONTIGUOUS)
        merge_hits(m, behavior);
    for (size_t i = 0; i < m->n && !t->failed; i++)
        if (behavior != SPLIT_REMOVED || !m->m[i].hit)
            tt_cut(t, from->b + m->m[i].b, from->b + m->m[i].e);
}

/* ---- what an encode writes on ---------------------------------------------------------------- */

tok_out *tok_outs_add(tok_outs *o, size_t n)
{
    if (o->failed || !grow((void **)&o->v, &o->cap, o->n + n + 1, sizeof *o->v)) {
        o->failed = 1;
        return NULL;
    }
    o->n += n;
    return o->v + o->n - n;
}

void tok_outs_deinit(tok_outs *o)
{
    free(o->v);
    *o = (tok_outs){0};
}

void *tok_work_scratch(tok_work *w, size_t bytes)
{
    return grow(&w->scratch, &w->scratch_bytes, bytes, 1) ? w->scratch : NULL;
}

int tok_work_points_room(tok_work *w, size_t n)
{
    size_t cap = w->cap_points;
    if (n <= cap) return 1;
    if (!grow((void **)&w->code_points, &cap, n, sizeof *w->code_points)) return 0;
    long *changes = realloc(w->changes, cap * sizeof *changes);
    if (!changes) return 0;
    w->changes = changes;
    w->cap_points = cap;
    return 1;
}

int tok_work_point(tok_work *w, uint32_t cp, long change)
{
    if (w->n_points == w->cap_points && !tok_work_points_room(w, w->n_points + 1)) return 0;
    w->code_points[w->n_points] = cp;
    w->changes[w->n_points++] = change;
    return 1;
}

void tok_work_deinit(tok_work *w)
{
    tt_deinit(&w->text);
    free(w->matches.m);
    tok_match_state_close(w->match);
    free(w->code_points);
    free(w->changes);
    free(w->scratch);
    if (w->cache_free) w->cache_free(w->cache);
    buf_deinit(&w->word);
    *w = (tok_work){0};
}
