/* unigram.c: the most probable segmentation of a piece (Viterbi).
 *
 *   piece -> from every character: texts that are tokens -> best path -> tokens
 *
 * From a character on, texts grow by one character while some token may begin with them, which a
 * table of two bits for each hash says: it begins one, it is one. It is wrong in one case of ten,
 * never about a token, and built in the time that reading the strings takes; the vocabulary itself
 * then knows. A character that no single-character token covers costs min_score - 10; runs of
 * unknown characters are fused.
 *
 * Traps: of two paths with equal score the one found first stays; scores are read as serde_json
 * reads them, not exactly. A fused unknown run is looked up as a string again: it can be a token
 * after all, else its bytes (all of the run, or none), else the unknown id; each byte token reports
 * the whole run. Without an unknown id an uncovered character is an error, as in the package. Equal
 * strings in the vocabulary: the last counts.
 *
 * Source: Kudo, arXiv 1804.10959; tokenizers, models/unigram (behaviour). */
#include "text/tok_parts.h"

#include <stdlib.h>

#if defined(__GNUC__)
#define PREFETCH(p) __builtin_prefetch(p)
#else
#define PREFETCH(p) ((void)(p))
#endif

typedef struct unigram {
    uint8_t *begins; /* four hashes a byte */
    unsigned shift;  /* of a hash, to its place in them */
    double *scores;
    double unk_score;
    int byte_fallback;
    int32_t byte_ids[256];
} unigram;

/* ---- what tokens begin with ------------------------------------------------------------------ */

enum { IS_BEGIN = 1, IS_TOKEN = 2, PLACES_A_TOKEN = 16, AHEAD = 64 };

/* The hash of a text and one more character of it. */
static uint64_t hash_more(uint64_t hash, const char *p, size_t width)
{
    uint32_t x = (unsigned char)*p;
    for (size_t i = 1; i < width; i++)
        x = x << 8 | (unsigned char)p[i];
    hash = (hash ^ x) * 0x9E3779B97F4A7C15u;
    return hash ^ hash >> 32;
}

static uint64_t place_of(const unigram *u, uint64_t hash)
{
    return hash * 0xC4CEB9FE1A85EC53u >> u->shift;
}

static unsigned begins_of(const unigram *u, uint64_t hash)
{
    uint64_t at = place_of(u, hash);
    return u->begins[at >> 2] >> (at & 3) * 2 & 3;
}

/* Marks of tokens that wait for memory together. */
typedef struct marks {
    uint64_t at[AHEAD];
    uint8_t bits[AHEAD];
    size_t n;
} marks;

static void set_marks(unigram *u, marks *m)
{
    for (size_t i = 0; i < m->n; i++)
        u->begins[m->at[i] >> 2] |= (uint8_t)(m->bits[i] << (m->at[i] & 3) * 2);
    m->n = 0;
}

static void add_begins(unigram *u, strv text, marks *m)
{
    uint64_t hash = 0;
    for (size_t i = 0, width; i < text.n; i += width) {
        width = utf8_width((unsigned char)text.p[i]);
        hash = hash_more(hash, text.p + i, width);
        uint64_t at = place_of(u, hash);
        PREFETCH(&u->begins[at >> 2]);
        m->at[m->n] = at;
        m->bits[m->n++] = i + width < text.n ? IS_BEGIN : IS_BEGIN | IS_TOKEN;
        if (m->n == AHEAD) set_marks(u, m);
    }
}

static mlxe_status begins_init(const tok_reader *r, size_t n, unigram *u)
{
    size_t places = 256;
    for (u->shift = 64 - 8; places < n * PLACES_A_TOKEN; u->shift--)
        places *= 2;
    u->begins = calloc(places / 4, 1);
    return u->begins ? MLXE_OK : tok_no_memory(r);
}

/* ---- opening --------------------------------------------------------------------------------- */

/* A score as serde_json reads it, which the package does: the digits as an integer, then one
 * product or quotient by a power of ten. One in eight is a unit in the last place off, and by such
 * units it is decided which of "a aa" and "aa a" comes first. The digits are the shortest ones of
 * the value: Python and the package write no others. */
enum { EXACT_POWER = 27 };
static const double TENS[EXACT_POWER + 1] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11, 1e12, 1e13,
    1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22, 1e23, 1e24, 1e25, 1e26, 1e27};
static double serde_score(double score)
{
    uint64_t whole;
    int exponent;
    if (!(score > -1e15 && score < 1e15)) return score; /* no log probability */
    json_float_digits(score, &whole, &exponent);
    if (exponent < -EXACT_POWER || exponent >= 0) return score;
    double value = (double)whole / TENS[-exponent];
    return score < 0 ? -value : value;
}

static mlxe_status read_vocab(const tok_reader *r, const json *v, int exact, tok_model *m,
                              unigram *u)
{
    const json *row, *item, *number;
    size_t n = json_len(v);
    double low = 0;
    marks waiting = {.n = 0};
    int32_t id = 0;
    mlxe_status rc =
        n > INT32_MAX - 1 ? tok_corrupt(r, "vocab is too large") : tok_vocab_init(r, &m->vocab, n);
    if (rc == MLXE_OK) rc = begins_init(r, n, u);
    if (rc) return rc;
    u->scores = arena_array(r->mem, n + 1, sizeof *u->scores);
    if (!u->scores) return tok_no_memory(r);
    json_iter it = json_iterate(v);
    for (; json_next(&it, NULL, &row); id++) {
        int is_float = 0;
        if (!json_two(row, &item, &number) || !json_is(item, JSON_STRING) ||
            (!(is_float = json_is(number, JSON_FLOAT)) && !json_is(number, JSON_INT)))
            return tok_corrupt(r, "a vocab entry is no [string, score]");
        double score = json_float(number);
        if (!exact && is_float) score = serde_score(score);
        if (id == 0 || score < low) low = score;
        u->scores[id] = score;
        m->vocab.entries[id] = (tok_entry){.text = json_str(item), .id = id};
        add_begins(u, m->vocab.entries[id].text, &waiting);
    }
    set_marks(u, &waiting);
    tok_vocab_fill(&m->vocab, n);
    u->unk_score = low - 10.0;
    return tok_vocab_finish(r, &m->vocab);
}

static void unigram_close(tok_model *m)
{
    unigram *u = m->own;
    if (u) free(u->begins);
    m->own = NULL;
}

static mlxe_status unigram_open(const tok_reader *r, const json *v, const json *options,
                                tok_model *m)
{
    static const char digits[] = "0123456789ABCDEF";
    const json *vocab = NULL;
    int64_t unk = -1;
    int exact = 0; /* no JSON that the package reads: made from a SentencePiece model */
    unigram *u = m->own = arena_alloc(r->mem, sizeof *u);
    if (!u) return tok_no_memory(r);
    mlxe_status rc = json_get_array(v, r->where, "vocab", &vocab, r->err);
    if (rc == MLXE_OK && !vocab) rc = tok_corrupt(r, "Unigram without vocab");
    if (rc == MLXE_OK) rc = json_get_int(options, r->where, "unk_id", 0, INT32_MAX, &unk, r->err);
    if (rc == MLXE_OK)
        rc = json_get_bool(options, r->where, "byte_fallback", &u->byte_fallback, r->err);
    if (rc == MLXE_OK) rc = json_get_bool(options, r->where, "exact_scores", &exact, r->err);
    if (rc == MLXE_OK && unk >= (int64_t)json_len(vocab))
        rc = tok_corrupt(r, "unk_id is not in the vocab");
    if (rc == MLXE_OK) rc = read_vocab(r, vocab, exact, m, u);
    if (rc) return rc;
    m->unk = (int32_t)unk;
    for (unsigned i = 0; i < 256; i++) {
        char name[] = {'<', '0', 'x', digits[i >> 4], digits[i & 15], '>'};
        u->byte_ids[i] = tok_vocab_id(&m->vocab, strv_from(name, 6));
    }
    return MLXE_OK;
}

/* ---- the best path --------------------------------------------------------------------------- */

typedef struct best {
    double score;
    int32_t id;    /* FROM_NOWHERE: not reached */
    uint32_t from; /* where its last token begins */
} best;
enum { FROM_NOWHERE = -2 };

static void reach(best *b, double score, int32_t id, size_t from)
{
    if (b->id != FROM_NOWHERE && score <= b->score) return;
    *b = (best){score, id, (uint32_t)from};
}

static mlxe_status viterbi(const tok_model *m, const tok_work *w, strv piece, best *b,
                           mlxe_error *err)
{
    const unigram *u = m->own;
    for (size_t i = 0; i <= piece.n; i++)
        b[i] = (best){.id = FROM_NOWHERE};
    b[0].score = 0;
    for (size_t at = 0, width; at < piece.n; at += width) {
        uint64_t hash = 0;
        double here = b[at].score;
        int single = 0;
        width = utf8_width((unsigned char)piece.p[at]);
        for (size_t end = at, more; end < piece.n;) {
            more = utf8_width((unsigned char)piece.p[end]);
            hash = hash_more(hash, piece.p + end, more);
            end += more;
            unsigned bits = begins_of(u, hash);
            if (!bits) break;
            if (!(bits & IS_TOKEN)) continue;
            int32_t id = tok_vocab_id(&m->vocab, strv_from(piece.p + at, end - at));
            if (!tok_may_give(w, id)) continue;
            reach(&b[end], u->scores[id] + here, id, at);
            if (end - at == width) single = 1;
        }
        if (single) continue;
        double score = u->unk_score + here;
        best *behind = &b[at + width];
        if (behind->id != FROM_NOWHERE && score <= behind->score) continue;
        if (m->unk < 0)
            return err_set(err, MLXE_E_CORRUPT, "Unigram: an unknown token, and unk_id is missing");
        *behind = (best){score, m->unk, (uint32_t)at};
    }
    return MLXE_OK;
}

/* A run of unknown characters [b, e) of the piece. */
static void add_unknown(const tok_model *m, const tok_work *w, strv piece, size_t b, size_t e,
                        tok_outs *out)
{
    const unigram *u = m->own;
    strv text = strv_from(piece.p + b, e - b);
    int32_t id = tok_vocab_id(&m->vocab, text);
    if (!tok_may_give(w, id)) id = -1;
    int bytes = id < 0 && u->byte_fallback;
    for (size_t i = 0; i < text.n && bytes; i++)
        bytes = u->byte_ids[(unsigned char)text.p[i]] >= 0;
    tok_out *o = tok_outs_add(out, bytes ? text.n : 1);
    if (!o) return;
    for (size_t i = 0; i < text.n && bytes; i++)
        o[i] = (tok_out){
            .id = u->byte_ids[(unsigned char)text.p[i]], .b = (uint32_t)b, .e = (uint32_t)e};
    if (bytes) return;
    *o = (tok_out){.id = id < 0 ? m->unk : id, .b = (uint32_t)b, .e = (uint32_t)e, .own = 1};
    tok_trim_counts(text, &o->lead, &o->trail);
}

static mlxe_status unigram_run(const tok_model *m, tok_work *w, strv piece, tok_outs *out,
                               mlxe_error *err)
{
    best *b = tok_work_scratch(w, (piece.n + 1) * sizeof *b);
    if (!b) return err_memory(err, "Unigram", (piece.n + 1) * sizeof *b);
    mlxe_status rc = viterbi(m, w, piece, b, err);
    if (rc) return rc;
    /* Turn the path around: next[i] of its places, written over the scores' unused ids. */
    size_t end = piece.n, next = piece.n;
    while (end > 0) {
        size_t from = b[end].from;
        int32_t id = b[end].id;
        b[end].from = (uint32_t)next; /* where the token behind this one ends */
        next = end;
        end = from;
        b[from].score = id; /* the token that begins here, and where it ends */
        if (from == 0) break;
    }
    for (size_t at = 0; at < piece.n;) {
        size_t to = next;
        int32_t id = (int32_t)b[at].score;
        next = b[to].from;
        if (id == m->unk) { /* fuse with the unknown ones behind */
            size_t from = at;
            while (to < piece.n && (int32_t)b[to].score == m->unk) {
                size_t behind = next;
                next = b[behind].from;
                to = behind;
            }
            add_unknown(m, w, piece, from, to, out);
        } else {
            tok_out *o = tok_outs_add(out, 1);
            if (o) *o = (tok_out){.id = id, .b = (uint32_t)at, .e = (uint32_t)to};
        }
        if (out->failed) return MLXE_OK;
        at = to;
    }
    return MLXE_OK;
}

const tok_kind tok_kind_unigram = {"Unigram", unigram_open, unigram_close, unigram_run};
