/* unigram.c: the most probable segmentation of a piece (Viterbi).
 *
 *   piece -> trie walks from every character -> best path -> tokens; unknown runs are fused
 *
 * The trie is an array of nodes in breadth-first order: the children of a node lie side by side,
 * sorted by byte. A character that no single-character token covers costs min_score - 10.
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

typedef struct node {
    uint32_t first; /* index of the first child */
    int32_t id;     /* -1: no token ends here */
    uint16_t n;     /* children */
    uint8_t byte;
} node;

typedef struct unigram {
    node *nodes;
    size_t n_nodes;
    double *scores;
    strv *texts; /* by id */
    double unk_score;
    int byte_fallback;
    int32_t byte_ids[256];
} unigram;

/* ---- the trie -------------------------------------------------------------------------------- */

/* A string of the vocabulary and its first eight bytes, the first one on top, 0 past its end. */
typedef struct sorted_text {
    uint64_t head;
    uint32_t n; /* bytes */
    int32_t id;
    const char *p;
} sorted_text;

static int by_text(const void *a, const void *b)
{
    const sorted_text *x = a, *y = b;
    size_t n = x->n < y->n ? x->n : y->n;
    int order = n ? memcmp(x->p, y->p, n) : 0;
    if (order) return order;
    if (x->n != y->n) return x->n < y->n ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id; /* the last of equal ones stays */
}

static uint64_t head_of(strv text)
{
    uint64_t head = 0;
    for (size_t i = 0; i < 8; i++)
        head = head << 8 | (i < text.n ? (unsigned char)text.p[i] : 0);
    return head;
}

/* By heads, byte after byte from the last one on (a string's bytes are far away, its head is at
 * hand); strings of one head then as strings. room: n elements. -> list or room, which is sorted */
static sorted_text *sort_texts(sorted_text *list, sorted_text *room, size_t n)
{
    for (int shift = 0; shift < 64; shift += 8) {
        size_t at[257] = {0};
        sorted_text *from = list;
        for (size_t i = 0; i < n; i++)
            at[(list[i].head >> shift & 255) + 1]++;
        for (int b = 0; b < 256; b++)
            at[b + 1] += at[b];
        for (size_t i = 0; i < n; i++)
            room[at[list[i].head >> shift & 255]++] = list[i];
        list = room;
        room = from;
    }
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && list[end].head == list[i].head;)
            end++;
        if (end - i > 1) qsort(list + i, end - i, sizeof *list, by_text);
    }
    return list;
}

static unsigned char byte_at(const sorted_text *t, size_t depth)
{
    return depth < 8 ? (unsigned char)(t->head >> (56 - 8 * depth)) : (unsigned char)t->p[depth];
}

typedef struct range { /* sorted texts [low, high): those of one node */
    uint32_t low, high;
} range;

/* Nodes of one depth after the other: those of the next one are put behind. */
static void grow_trie(unigram *u, const sorted_text *sorted, size_t n, range *ranges)
{
    size_t depth = 0, level_end = 1;
    ranges[0] = (range){0, (uint32_t)n};
    u->nodes[0] = (node){.id = -1};
    u->n_nodes = 1;
    for (size_t k = 0; k < u->n_nodes; k++) {
        range at = ranges[k];
        uint32_t i = at.low;
        if (k == level_end) {
            depth++;
            level_end = u->n_nodes;
        }
        u->nodes[k].first = (uint32_t)u->n_nodes;
        while (i < at.high && sorted[i].n == depth)
            u->nodes[k].id = sorted[i++].id;
        while (i < at.high) {
            unsigned char byte = byte_at(&sorted[i], depth);
            uint32_t from = i;
            while (i < at.high && byte_at(&sorted[i], depth) == byte)
                i++;
            ranges[u->n_nodes] = (range){from, i};
            u->nodes[u->n_nodes++] = (node){.id = -1, .byte = byte};
            u->nodes[k].n++;
        }
    }
}

static mlxe_status build_trie(const tok_reader *r, const tok_model *m, unigram *u)
{
    size_t n = m->vocab.n, most = 1;
    for (size_t i = 0; i < n; i++)
        most += m->vocab.entries[i].text.n;
    if (most > UINT32_MAX / 2) return tok_corrupt(r, "vocab is too large");
    sorted_text *list = malloc((n + 1) * sizeof *list), *room = malloc((n + 1) * sizeof *room);
    range *ranges = malloc(most * sizeof *ranges);
    u->nodes = malloc(most * sizeof *u->nodes);
    mlxe_status rc = list && room && ranges && u->nodes ? MLXE_OK : tok_no_memory(r);
    if (list && room && ranges && u->nodes) {
        for (size_t i = 0; i < n; i++) {
            const tok_entry *e = &m->vocab.entries[i];
            list[i] = (sorted_text){head_of(e->text), (uint32_t)e->text.n, e->id, e->text.p};
        }
        grow_trie(u, sort_texts(list, room, n), n, ranges);
    }
    free(list);
    free(room);
    free(ranges);
    return rc;
}

static const node *child(const unigram *u, const node *at, unsigned char byte)
{
    const node *p = u->nodes + at->first;
    size_t low = 0, high = at->n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (p[mid].byte < byte)
            low = mid + 1;
        else
            high = mid;
    }
    return low < at->n && p[low].byte == byte ? p + low : NULL;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* A score as serde_json reads it, which the package does: the digits as an integer, then one
 * product or quotient by a power of ten. One in eight is a unit in the last place off, and by such
 * units it is decided which of "a aa" and "aa a" comes first. The digits are the shortest ones of
 * the value: Python and the package write no others. */
enum { EXACT_POWER = 27 }; /* of ten, in a long double */
static double serde_score(double score, buf *digits)
{
    uint64_t whole = 0;
    int point = 0, exponent = 0, e = 0;
    long double power = 1;
    const char *p;
    buf_clear(digits);
    json_write_float(digits, score < 0 ? -score : score);
    for (p = buf_str(digits); *p == '.' || (*p >= '0' && *p <= '9'); p++) {
        if (*p == '.') {
            point = 1;
        } else {
            whole = whole * 10 + (uint64_t)(*p - '0');
            exponent -= point;
        }
    }
    if (*p == 'e') {
        for (const char *d = p + 2; *d; d++)
            e = e * 10 + (*d - '0');
        exponent += p[1] == '-' ? -e : e;
    } else if (*p) {
        return score; /* Infinity, NaN */
    }
    if (exponent < -EXACT_POWER || exponent > EXACT_POWER) return score; /* no log probability */
    for (int i = 0; i < (exponent < 0 ? -exponent : exponent); i++)
        power *= 10;
    double value = (double)whole;
    value = exponent < 0 ? value / (double)power : value * (double)power;
    return score < 0 ? -value : value;
}

static mlxe_status read_vocab(const tok_reader *r, const json *v, int exact, tok_model *m,
                              unigram *u)
{
    const json *key, *row, *item[2] = {NULL, NULL};
    size_t n = json_len(v);
    double low = 0;
    buf digits = {0};
    int32_t id = 0;
    mlxe_status rc =
        n > INT32_MAX - 1 ? tok_corrupt(r, "vocab is too large") : tok_vocab_init(r, &m->vocab, n);
    if (rc) return rc;
    u->scores = arena_array(r->mem, n + 1, sizeof *u->scores);
    u->texts = arena_array(r->mem, n + 1, sizeof *u->texts);
    if (!u->scores || !u->texts) return tok_no_memory(r);
    json_iter it = json_iterate(v);
    for (; json_next(&it, &key, &row); id++) {
        json_iter pair = json_iterate(row);
        if (!json_is(row, JSON_ARRAY) || json_len(row) != 2 || !json_next(&pair, &key, &item[0]) ||
            !json_next(&pair, &key, &item[1]) || !json_is(item[0], JSON_STRING) ||
            (!json_is(item[1], JSON_FLOAT) && !json_is(item[1], JSON_INT)))
            rc = tok_corrupt(r, "a vocab entry is no [string, score]");
        if (rc) break;
        u->texts[id] = json_str(item[0]);
        u->scores[id] = json_float(item[1]);
        if (!exact && json_is(item[1], JSON_FLOAT))
            u->scores[id] = serde_score(u->scores[id], &digits);
        if (id == 0 || u->scores[id] < low) low = u->scores[id];
        tok_vocab_add_again(&m->vocab, u->texts[id], id);
    }
    u->unk_score = low - 10.0;
    if (rc == MLXE_OK && digits.failed) rc = tok_no_memory(r);
    buf_deinit(&digits);
    return rc ? rc : tok_vocab_finish(r, &m->vocab);
}

static void unigram_close(tok_model *m)
{
    unigram *u = m->own;
    if (u) free(u->nodes);
    m->own = NULL;
}

static mlxe_status unigram_open(const tok_reader *r, const json *v, tok_model *m)
{
    static const char digits[] = "0123456789ABCDEF";
    const json *vocab = NULL;
    int64_t unk = -1;
    int exact = 0; /* no JSON that the package reads: made from a SentencePiece model */
    unigram *u = m->own = arena_alloc(r->mem, sizeof *u);
    if (!u) return tok_no_memory(r);
    mlxe_status rc = json_get_array(v, r->where, "vocab", &vocab, r->err);
    if (rc == MLXE_OK && !vocab) rc = tok_corrupt(r, "Unigram without vocab");
    if (rc == MLXE_OK) rc = json_get_int(v, r->where, "unk_id", 0, INT32_MAX, &unk, r->err);
    if (rc == MLXE_OK) rc = json_get_bool(v, r->where, "byte_fallback", &u->byte_fallback, r->err);
    if (rc == MLXE_OK) rc = json_get_bool(v, r->where, "exact_scores", &exact, r->err);
    if (rc == MLXE_OK && unk >= (int64_t)json_len(vocab))
        rc = tok_corrupt(r, "unk_id is not in the vocab");
    if (rc == MLXE_OK) rc = read_vocab(r, vocab, exact, m, u);
    if (rc == MLXE_OK) rc = build_trie(r, m, u);
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
        const node *n = u->nodes;
        double here = b[at].score;
        int single = 0;
        width = utf8_width((unsigned char)piece.p[at]);
        for (size_t i = at; i < piece.n; i++) {
            n = child(u, n, (unsigned char)piece.p[i]);
            if (!n) break;
            if (!tok_may_give(w, n->id)) continue;
            reach(&b[i + 1], u->scores[n->id] + here, n->id, at);
            if (i + 1 - at == width) single = 1;
        }
        if (single) continue;
        double score = u->unk_score + here;
        best *end = &b[at + width];
        if (end->id != FROM_NOWHERE && score <= end->score) continue;
        if (m->unk < 0)
            return err_set(err, MLXE_E_CORRUPT, "Unigram: an unknown token, and unk_id is missing");
        *end = (best){score, m->unk, (uint32_t)at};
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
