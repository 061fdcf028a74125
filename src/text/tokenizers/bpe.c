/* bpe.c: byte-pair encoding.
 *
 *   piece -> symbols (characters, bytes, unknown) -> merges, lowest rank first -> tokens
 *
 * Merging: always the pair of the lowest rank, of equal ones the leftmost, until none is left.
 * Short pieces are searched in a row; long ones use a heap of pairs over a linked list, so that
 * one word of a megabyte costs n log n. A heap entry is stale when its symbols changed since.
 *
 * Memory: pairs live in one open-addressing table of 16-byte rows. The id of a merged string is
 * guessed first (most files give merges ascending ids), which saves a look-up in a large table.
 *
 * Files that are no tokenizer.json give no merges but an order of tokens ("merges_from"). By "ids"
 * the merges are derived from it. By "ranks" (tiktoken's files) no table is built: two symbols
 * merge if their text together is a token, whose id is the rank; of equal ones that of the lower
 * left id comes first, as in the table that transformers makes of such files.
 *
 * A cache for the length of one encode keeps the ids of short pieces that were seen before.
 *
 * Traps: continuing_subword_prefix stands before every symbol but the first, and a merge drops it
 * from its right half. By byte fallback the bytes of prefix and suffix count too, as the package
 * does. ignore_merges takes a piece that is a token as it is. Of equal merges the last counts.
 *
 * Source: Sennrich et al., arXiv 1508.07909; tokenizers, models/bpe (behaviour). */
#include "base/pages.h"
#include "text/tok_parts.h"

#include <stdlib.h>

typedef struct pair {
    uint32_t left, right; /* ids; left == FREE: no row */
    uint32_t rank, merged;
} pair;
#define FREE UINT32_MAX
#if defined(__GNUC__)
#define PREFETCH(p) __builtin_prefetch(p)
#else
#define PREFETCH(p) ((void)(p))
#endif

enum {
    NEAR_CHARS = 0x300, /* characters whose ids are kept in a table: Latin and the byte alphabet */
    SHORT_SYMBOLS = 24, /* up to so many are merged without a heap */
    BLOCK = 64,         /* merges that are looked up together */
    CACHE_ROWS = 1 << 14,
    CACHE_BYTES = 32, /* longest piece that is kept */
    CACHE_IDS = 12,
    DERIVE_BYTES = 1024 /* longest token whose merges are derived */
};

typedef struct bpe {
    pair *pairs;
    uint32_t mask;
    strv prefix, suffix;
    int has_unk; /* unk_token is given (its id may be missing) */
    int fuse_unk, byte_fallback, ignore_merges;
    size_t longest; /* merges by ranks: bytes of the longest token; 0: pairs has them */
    int32_t near_ids[NEAR_CHARS];
    int32_t byte_ids[256]; /* <0xHH>, -1: absent */
} bpe;

typedef struct symbol {
    int32_t id;
    uint32_t bytes; /* 0: merged into one before it */
    uint32_t at;    /* in the piece */
    int32_t prev, next;
} symbol;

typedef struct candidate {
    uint32_t rank, at;    /* at: index of the left symbol */
    uint32_t merged, tie; /* tie: of equal ranks the lower comes first */
} candidate;

/* What is merged: a piece, by a model. */
typedef struct merging {
    const bpe *b;
    const tok_vocab *vocab;
    const tok_work *w;
    strv piece;
} merging;

/* ---- pairs ----------------------------------------------------------------------------------- */

static uint32_t pair_hash(uint32_t left, uint32_t right)
{
    uint64_t h = ((uint64_t)left << 32 | right) * 0x9E3779B97F4A7C15u;
    return (uint32_t)(h >> 32 ^ h >> 15);
}

static pair *pair_row(const bpe *b, uint32_t left, uint32_t right)
{
    for (uint32_t i = pair_hash(left, right) & b->mask;; i = (i + 1) & b->mask) {
        pair *p = &b->pairs[i];
        if (p->left == FREE || (p->left == left && p->right == right)) return p;
    }
}

/* The merge of two neighbours; rank FREE: there is none. */
static candidate find_merge(const merging *m, const symbol *left, const symbol *right)
{
    candidate none = {.rank = FREE};
    if (m->b->longest) {
        size_t n = (size_t)left->bytes + right->bytes;
        if (n > m->b->longest || left->at + left->bytes != right->at) return none;
        int32_t id = tok_vocab_id(m->vocab, strv_from(m->piece.p + left->at, n));
        if (!tok_may_give(m->w, id)) return none;
        return (candidate){.rank = (uint32_t)id, .merged = (uint32_t)id, .tie = (uint32_t)left->id};
    }
    const pair *p = pair_row(m->b, (uint32_t)left->id, (uint32_t)right->id);
    if (p->left == FREE || (m->w->banned && m->w->banned[p->merged])) return none;
    return (candidate){.rank = p->rank, .merged = p->merged};
}

static mlxe_status pairs_init(const tok_reader *r, bpe *b, size_t n)
{
    size_t slots = 16;
    if (n > UINT32_MAX / 4) return tok_corrupt(r, "too many merges");
    while (slots < n * 2)
        slots *= 2;
    b->pairs = pages_large(malloc(slots * sizeof *b->pairs), slots * sizeof *b->pairs);
    b->mask = (uint32_t)(slots - 1);
    if (!b->pairs) return tok_no_memory(r);
    for (size_t i = 0; i < slots; i++)
        b->pairs[i].left = FREE;
    return MLXE_OK;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* The two halves of a merge: "a b" or ["a", "b"]. */
static int halves(const json *v, strv *a, strv *b)
{
    if (json_is(v, JSON_STRING)) {
        strv s = json_str(v);
        const char *space = s.n ? memchr(s.p, ' ', s.n) : NULL;
        if (!space) return -1;
        *a = strv_from(s.p, (size_t)(space - s.p));
        *b = strv_from(space + 1, s.n - a->n - 1);
        return memchr(b->p, ' ', b->n) ? -1 : 0;
    }
    const json *left, *right;
    if (!json_two(v, &left, &right) || !json_is(left, JSON_STRING) || !json_is(right, JSON_STRING))
        return -1;
    *a = json_str(left);
    *b = json_str(right);
    return 0;
}

static mlxe_status missing(const tok_reader *r, strv token)
{
    return err_set(r->err, MLXE_E_CORRUPT, "%s: a merge names \"%.*s\", which is not in the vocab",
                   r->where, (int)(token.n > 80 ? 80 : token.n), token.p);
}

static mlxe_status unjoined(const tok_reader *r, strv left, strv right)
{
    return err_set(r->err, MLXE_E_CORRUPT, "%s: merging \"%.*s\" and \"%.*s\" gives no token",
                   r->where, (int)(left.n > 60 ? 60 : left.n), left.p,
                   (int)(right.n > 60 ? 60 : right.n), right.p);
}

/* Merges are read in blocks, so that look-ups wait for memory together. */
typedef struct merges {
    strv halves[2 * BLOCK];
    int32_t ids[2 * BLOCK], merged[BLOCK];
    size_t n;
    uint32_t rank;
    int32_t guess; /* the id that the next merge probably gives */
    buf text;      /* joined strings that are looked up */
} merges;

/* Whether text is left and right (without its prefix) put together. */
static int is_joined(strv text, strv left, strv right)
{
    return text.n == left.n + right.n && strv_starts(text, left) && strv_ends(text, right);
}

/* The ids of the joined strings: the next id is looked at first. */
static void find_joined(const tok_vocab *v, size_t prefix, merges *x)
{
    size_t at = 0, asked = 0;
    strv ask[BLOCK];
    int32_t got[BLOCK];
    buf_clear(&x->text);
    for (size_t i = 0; i < x->n; i++) {
        strv left = x->halves[2 * i], right = x->halves[2 * i + 1];
        right = strv_from(right.p + prefix, right.n - prefix);
        const tok_entry *e = x->guess >= 0 ? tok_vocab_entry(v, x->guess) : NULL;
        x->merged[i] = e && is_joined(e->text, left, right) ? x->guess++ : -1;
        if (x->merged[i] >= 0) continue;
        buf_add_strv(&x->text, left);
        buf_add_strv(&x->text, right);
        ask[asked++].n = left.n + right.n;
    }
    for (size_t i = 0; i < asked; at += ask[i++].n)
        ask[i].p = buf_str(&x->text) + at;
    if (x->text.failed) return;
    tok_vocab_ids(v, ask, asked, got);
    asked = 0;
    for (size_t i = 0; i < x->n; i++) {
        if (x->merged[i] >= 0) continue;
        x->merged[i] = got[asked++];
        x->guess = x->merged[i] + 1;
    }
}

static mlxe_status add_block(const tok_reader *r, const tok_model *m, bpe *b, merges *x)
{
    tok_vocab_ids(&m->vocab, x->halves, 2 * x->n, x->ids);
    for (size_t i = 0; i < 2 * x->n; i++)
        if (x->ids[i] < 0) return missing(r, x->halves[i]);
    for (size_t i = 0; i < x->n; i++) {
        PREFETCH(
            &b->pairs[pair_hash((uint32_t)x->ids[2 * i], (uint32_t)x->ids[2 * i + 1]) & b->mask]);
        if (x->halves[2 * i + 1].n < b->prefix.n)
            return tok_corrupt(r, "a merge is shorter than continuing_subword_prefix");
    }
    find_joined(&m->vocab, b->prefix.n, x);
    if (x->text.failed) return tok_no_memory(r);
    for (size_t i = 0; i < x->n; i++) {
        uint32_t left = (uint32_t)x->ids[2 * i], right = (uint32_t)x->ids[2 * i + 1];
        if (x->merged[i] < 0) return unjoined(r, x->halves[2 * i], x->halves[2 * i + 1]);
        *pair_row(b, left, right) = (pair){left, right, x->rank++, (uint32_t)x->merged[i]};
    }
    x->n = 0;
    return MLXE_OK;
}

static mlxe_status read_merges(const tok_reader *r, const json *v, tok_model *m, bpe *b)
{
    const json *key, *item;
    mlxe_status rc = pairs_init(r, b, json_len(v));
    if (rc) return rc;
    merges *x = malloc(sizeof *x);
    if (!x) return tok_no_memory(r);
    *x = (merges){.guess = -1};
    json_iter it = json_iterate(v);
    while (rc == MLXE_OK && json_next(&it, &key, &item)) {
        if (json_is(item, JSON_STRING) && strv_starts(json_str(item), STRV("#version"))) continue;
        if (halves(item, &x->halves[2 * x->n], &x->halves[2 * x->n + 1]))
            rc = tok_corrupt(r, "a merge is not two strings");
        else if (++x->n == BLOCK)
            rc = add_block(r, m, b, x);
    }
    if (rc == MLXE_OK) rc = add_block(r, m, b, x);
    buf_deinit(&x->text);
    free(x);
    return rc;
}

/* Merges of a vocabulary that comes without: every way to put a token together from two others, in
 * the order of the tokens' ids (or as `order` lists them); ways of one token by the length of their
 * left half. */
typedef struct derived {
    pair *v;
    size_t n, cap;
    /* Ways that are looked up together, so that they wait for memory together. */
    size_t asked;
    const tok_entry *token[DERIVE_BYTES];
    strv half[DERIVE_BYTES];
    int32_t left[DERIVE_BYTES], right[DERIVE_BYTES];
} derived;

/* Keeps those that were asked for whose halves are both tokens. */
static mlxe_status derive_asked(const tok_reader *r, const tok_vocab *v, derived *d)
{
    size_t n = 0;
    tok_vocab_ids(v, d->half, d->asked, d->left);
    for (size_t i = 0; i < d->asked; i++) {
        strv text = d->token[i]->text, left = d->half[i];
        if (d->left[i] < 0) continue;
        d->left[n] = d->left[i];
        d->token[n] = d->token[i];
        d->half[n++] = strv_from(text.p + left.n, text.n - left.n);
    }
    d->asked = 0;
    tok_vocab_ids(v, d->half, n, d->right);
    if (d->n + n > d->cap) {
        size_t cap = d->cap * 2 + DERIVE_BYTES;
        pair *more = realloc(d->v, cap * sizeof *more);
        if (!more) return tok_no_memory(r);
        d->v = more;
        d->cap = cap;
    }
    for (size_t i = 0; i < n; i++)
        if (d->right[i] >= 0)
            d->v[d->n++] =
                (pair){(uint32_t)d->left[i], (uint32_t)d->right[i], 0, (uint32_t)d->token[i]->id};
    return MLXE_OK;
}

static mlxe_status derive_token(const tok_reader *r, const tok_vocab *v, const tok_entry *e,
                                derived *d)
{
    mlxe_status rc = MLXE_OK;
    if (e->text.n > DERIVE_BYTES)
        return err_set(r->err, MLXE_E_LIMIT, "%s: a token of %zu bytes, at most %d", r->where,
                       e->text.n, DERIVE_BYTES);
    if (d->asked + e->text.n > DERIVE_BYTES) rc = derive_asked(r, v, d);
    for (size_t i = 1; i < e->text.n; i++) {
        if (!utf8_is_start(e->text.p[i])) continue;
        d->token[d->asked] = e;
        d->half[d->asked++] = strv_from(e->text.p, i);
    }
    return rc;
}

static mlxe_status derive_all(const tok_reader *r, const json *how, const tok_vocab *v, derived *d)
{
    const json *item;
    mlxe_status rc = MLXE_OK;
    if (json_is(how, JSON_ARRAY)) {
        if (json_len(how) > v->n) return tok_corrupt(r, "merges_from: too many ids");
        json_iter it = json_iterate(how);
        while (rc == MLXE_OK && json_next(&it, NULL, &item)) {
            const tok_entry *e = tok_vocab_entry(v, (int32_t)json_int(item));
            rc = e ? derive_token(r, v, e, d) : tok_corrupt(r, "merges_from: no such id");
        }
    } else if (!strv_is(json_str(how), "ids")) {
        return tok_corrupt(r, "merges_from is unknown");
    } else {
        for (size_t i = 0; i < v->n_ids && rc == MLXE_OK; i++)
            if (v->by_id[i]) rc = derive_token(r, v, &v->entries[v->by_id[i] - 1], d);
    }
    return rc ? rc : derive_asked(r, v, d);
}

static mlxe_status merge_by_ranks(const tok_reader *r, const tok_model *m, bpe *b)
{
    if (b->prefix.n || b->suffix.n)
        return tok_corrupt(r, "merges_from ranks, and a prefix or suffix of subwords");
    b->longest = 1;
    for (size_t i = 0; i < m->vocab.n; i++)
        if (m->vocab.entries[i].text.n > b->longest) b->longest = m->vocab.entries[i].text.n;
    return MLXE_OK;
}

static mlxe_status derive_merges(const tok_reader *r, const json *how, const tok_model *m, bpe *b)
{
    if (strv_is(json_str(how), "ranks")) return merge_by_ranks(r, m, b);
    derived *d = calloc(1, sizeof *d);
    if (!d) return tok_no_memory(r);
    mlxe_status rc = derive_all(r, how, &m->vocab, d);
    if (rc == MLXE_OK) rc = pairs_init(r, b, d->n);
    for (size_t i = 0; i < d->n && rc == MLXE_OK; i++) {
        size_t ahead = i + BLOCK < d->n ? i + BLOCK : i;
        PREFETCH(&b->pairs[pair_hash(d->v[ahead].left, d->v[ahead].right) & b->mask]);
        d->v[i].rank = (uint32_t)i;
        *pair_row(b, d->v[i].left, d->v[i].right) = d->v[i];
    }
    free(d->v);
    free(d);
    return rc;
}

static void byte_name(char out[7], unsigned byte)
{
    static const char digits[] = "0123456789ABCDEF";
    memcpy(out, "<0x00>", 7);
    out[3] = digits[byte >> 4];
    out[4] = digits[byte & 15];
}

static void fill_tables(const tok_model *m, bpe *b)
{
    char text[8];
    for (uint32_t cp = 0; cp < NEAR_CHARS; cp++)
        b->near_ids[cp] = tok_vocab_id(&m->vocab, strv_from(text, utf8_put(text, cp)));
    for (unsigned i = 0; i < 256; i++) {
        byte_name(text, i);
        b->byte_ids[i] = tok_vocab_id(&m->vocab, strv_from(text, 6));
    }
}

static mlxe_status read_dropout(const tok_reader *r, const json *v)
{
    double dropout = 0;
    mlxe_status rc = json_get_float(v, r->where, "dropout", &dropout, r->err);
    if (rc || dropout == 0) return rc;
    return err_set(r->err, MLXE_E_UNSUPPORTED, "%s: dropout is not supported (it is random)",
                   r->where);
}

static void bpe_close(tok_model *m)
{
    bpe *b = m->own;
    if (b) free(b->pairs);
    m->own = NULL;
}

static mlxe_status bpe_open(const tok_reader *r, const json *v, const json *options, tok_model *m)
{
    const json *vocab = NULL, *list = NULL, *from = json_get(v, "merges_from");
    strv unk = {NULL, 0};
    bpe *b = m->own = arena_alloc(r->mem, sizeof *b);
    if (!b) return tok_no_memory(r);
    mlxe_status rc = json_get_object(v, r->where, "vocab", &vocab, r->err);
    if (rc == MLXE_OK) rc = json_get_array(v, r->where, "merges", &list, r->err);
    if (rc == MLXE_OK && (!vocab || (!list && !from)))
        rc = tok_corrupt(r, "BPE without vocab or merges");
    if (rc == MLXE_OK) rc = read_dropout(r, options);
    if (rc == MLXE_OK) rc = json_get_str(options, r->where, "unk_token", &unk, r->err);
    if (rc == MLXE_OK)
        rc = json_get_str(options, r->where, "continuing_subword_prefix", &b->prefix, r->err);
    if (rc == MLXE_OK)
        rc = json_get_str(options, r->where, "end_of_word_suffix", &b->suffix, r->err);
    if (rc == MLXE_OK) rc = json_get_bool(options, r->where, "fuse_unk", &b->fuse_unk, r->err);
    if (rc == MLXE_OK)
        rc = json_get_bool(options, r->where, "byte_fallback", &b->byte_fallback, r->err);
    if (rc == MLXE_OK)
        rc = json_get_bool(options, r->where, "ignore_merges", &b->ignore_merges, r->err);
    if (rc == MLXE_OK) rc = tok_vocab_read(r, vocab, &m->vocab);
    if (rc == MLXE_OK) rc = list ? read_merges(r, list, m, b) : derive_merges(r, from, m, b);
    if (rc) return rc;
    b->has_unk = unk.p != NULL;
    m->unk = unk.p ? tok_vocab_id(&m->vocab, unk) : -1;
    fill_tables(m, b);
    return MLXE_OK;
}

/* ---- symbols --------------------------------------------------------------------------------- */

typedef struct symbols {
    symbol *v;
    size_t n;
} symbols;

static void add_symbol(symbols *s, int32_t id, size_t at, size_t bytes)
{
    s->v[s->n++] = (symbol){.id = id, .bytes = (uint32_t)bytes, .at = (uint32_t)at};
}

/* All bytes of text, which stands at `at`, as <0xHH> tokens; -1 when one is missing. */
static int add_bytes(const bpe *b, strv text, size_t at, symbols *s)
{
    for (size_t i = 0; i < text.n; i++)
        if (b->byte_ids[(unsigned char)text.p[i]] < 0) return -1;
    for (size_t i = 0; i < text.n; i++)
        add_symbol(s, b->byte_ids[(unsigned char)text.p[i]], at + i, 1);
    return 0;
}

static mlxe_status first_symbols(const tok_model *m, tok_work *w, strv piece, symbols *s,
                                 mlxe_error *err)
{
    const bpe *b = m->own;
    size_t unk_bytes = 0; /* of the unknown run that is held back */
    for (size_t i = 0, width; i < piece.n; i += width) {
        uint32_t cp = utf8_at(piece.p + i, &width);
        strv text = strv_from(piece.p + i, width);
        int32_t id;
        if ((i > 0 && b->prefix.n) || (i + width == piece.n && b->suffix.n)) {
            buf_clear(&w->word);
            if (i > 0) buf_add_strv(&w->word, b->prefix);
            buf_add_strv(&w->word, text);
            if (i + width == piece.n) buf_add_strv(&w->word, b->suffix);
            if (w->word.failed) return err_memory(err, "BPE", w->word.n);
            text = buf_view(&w->word);
            id = tok_vocab_id(&m->vocab, text);
        } else {
            id = cp < NEAR_CHARS ? b->near_ids[cp] : tok_vocab_id(&m->vocab, text);
        }
        if (tok_may_give(w, id)) {
            if (unk_bytes) add_symbol(s, m->unk, i - unk_bytes, unk_bytes);
            unk_bytes = 0;
            add_symbol(s, id, i, width);
            continue;
        }
        if (b->byte_fallback && add_bytes(b, text, i, s) == 0) continue;
        if (!b->has_unk) continue;
        if (m->unk < 0) return err_set(err, MLXE_E_CORRUPT, "BPE: unk_token is not in the vocab");
        if (unk_bytes && !b->fuse_unk) {
            add_symbol(s, m->unk, i - unk_bytes, unk_bytes);
            unk_bytes = 0;
        }
        unk_bytes += width;
    }
    if (unk_bytes) add_symbol(s, m->unk, piece.n - unk_bytes, unk_bytes);
    return MLXE_OK;
}

/* ---- merging --------------------------------------------------------------------------------- */

static int before(candidate a, candidate b)
{
    if (a.rank != b.rank) return a.rank < b.rank;
    return a.tie != b.tie ? a.tie < b.tie : a.at < b.at;
}

/* In a row: the best pair is searched again after each merge. */
static void merge_short(const merging *m, symbols *s)
{
    candidate c[SHORT_SYMBOLS]; /* of a symbol and the next */
    size_t n = s->n;
    for (size_t i = 0; i + 1 < n; i++)
        c[i] = find_merge(m, &s->v[i], &s->v[i + 1]);
    for (;;) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (c[i].rank < c[best].rank || (c[i].rank == c[best].rank && c[i].tie < c[best].tie))
                best = i;
        if (n < 2 || c[best].rank == FREE) break;
        s->v[best].id = (int32_t)c[best].merged;
        s->v[best].bytes += s->v[best + 1].bytes;
        n--;
        memmove(s->v + best + 1, s->v + best + 2, (n - best - 1) * sizeof *s->v);
        for (size_t i = best + 1; i + 1 < n; i++)
            c[i] = c[i + 1];
        for (size_t i = best ? best - 1 : 0; i <= best && i + 1 < n; i++)
            c[i] = find_merge(m, &s->v[i], &s->v[i + 1]);
    }
    s->n = n;
}

typedef struct heap {
    candidate *v;
    size_t n;
} heap;

static void heap_down(heap *h, size_t i)
{
    candidate x = h->v[i];
    for (;;) {
        size_t first = 4 * i + 1, best = first;
        if (first >= h->n) break;
        for (size_t k = first + 1; k < first + 4 && k < h->n; k++)
            if (before(h->v[k], h->v[best])) best = k;
        if (!before(h->v[best], x)) break;
        h->v[i] = h->v[best];
        i = best;
    }
    h->v[i] = x;
}

static void heap_push(heap *h, candidate x)
{
    size_t i = h->n++;
    while (i > 0 && before(x, h->v[(i - 1) / 4])) {
        h->v[i] = h->v[(i - 1) / 4];
        i = (i - 1) / 4;
    }
    h->v[i] = x;
}

static candidate heap_pop(heap *h)
{
    candidate top = h->v[0];
    h->v[0] = h->v[--h->n];
    if (h->n) heap_down(h, 0);
    return top;
}

static void push_pair(const merging *m, const symbols *s, heap *h, int32_t left)
{
    int32_t right = left < 0 ? -1 : s->v[left].next;
    if (right < 0) return;
    candidate c = find_merge(m, &s->v[left], &s->v[right]);
    c.at = (uint32_t)left;
    if (c.rank != FREE) heap_push(h, c);
}

/* room: for 3 candidates a symbol (each merge removes one and adds at most two). */
static void merge_long(const merging *m, symbols *s, candidate *room)
{
    heap h = {room, 0};
    for (size_t i = 0; i < s->n; i++) {
        s->v[i].prev = (int32_t)i - 1;
        s->v[i].next = i + 1 < s->n ? (int32_t)i + 1 : -1;
    }
    for (size_t i = 0; i + 1 < s->n; i++) {
        candidate c = find_merge(m, &s->v[i], &s->v[i + 1]);
        c.at = (uint32_t)i;
        if (c.rank != FREE) h.v[h.n++] = c;
    }
    for (size_t i = h.n / 4 + 1; i-- > 0;)
        if (i < h.n) heap_down(&h, i);
    while (h.n > 0) {
        candidate top = heap_pop(&h);
        symbol *left = &s->v[top.at];
        if (left->bytes == 0 || left->next < 0) continue;
        symbol *right = &s->v[left->next];
        candidate now = find_merge(m, left, right);
        if (now.rank != top.rank || now.tie != top.tie) continue; /* stale */
        left->id = (int32_t)top.merged;
        left->bytes += right->bytes;
        left->next = right->next;
        right->bytes = 0;
        if (left->next >= 0) s->v[left->next].prev = (int32_t)top.at;
        push_pair(m, s, &h, left->prev);
        push_pair(m, s, &h, (int32_t)top.at);
    }
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        if (s->v[i].bytes) s->v[n++] = s->v[i];
    s->n = n;
}

/* ---- the cache ------------------------------------------------------------------------------- */

typedef struct cached {
    uint8_t bytes, n; /* bytes 0: free */
    char text[CACHE_BYTES];
    int32_t ids[CACHE_IDS];
    uint8_t ends[CACHE_IDS];
} cached;

static cached *cache_row(tok_work *w, strv piece)
{
    if (piece.n > CACHE_BYTES) return NULL;
    if (!w->cache) {
        w->cache = calloc(CACHE_ROWS, sizeof(cached));
        w->cache_free = free;
        if (!w->cache) return NULL;
    }
    uint64_t h = piece.n, x;
    for (size_t i = 0; i < piece.n; i += 8) {
        x = 0;
        memcpy(&x, piece.p + i, piece.n - i < 8 ? piece.n - i : 8);
        h = (h ^ x) * 0x9E3779B97F4A7C15u;
        h ^= h >> 29;
    }
    return (cached *)w->cache + (h >> 40 & (CACHE_ROWS - 1));
}

static int from_cache(const cached *c, strv piece, tok_outs *out)
{
    if (c->bytes != piece.n || memcmp(c->text, piece.p, piece.n) != 0) return 0;
    tok_out *o = tok_outs_add(out, c->n);
    for (size_t i = 0; o && i < c->n; i++)
        o[i] = (tok_out){.id = c->ids[i], .b = i ? c->ends[i - 1] : 0, .e = c->ends[i]};
    return 1;
}

static void to_cache(cached *c, strv piece, const tok_out *o, size_t n)
{
    if (n > CACHE_IDS || (n > 0 && o[n - 1].e > 255)) return;
    c->bytes = (uint8_t)piece.n;
    c->n = (uint8_t)n;
    memcpy(c->text, piece.p, piece.n);
    for (size_t i = 0; i < n; i++) {
        c->ids[i] = o[i].id;
        c->ends[i] = (uint8_t)o[i].e;
    }
}

static mlxe_status bpe_run(const tok_model *m, tok_work *w, strv piece, tok_outs *out,
                           mlxe_error *err)
{
    const bpe *b = m->own;
    tok_out *o;
    if (b->ignore_merges) {
        int32_t id = tok_vocab_id(&m->vocab, piece);
        if (tok_may_give(w, id)) {
            if ((o = tok_outs_add(out, 1)) != NULL)
                *o = (tok_out){.id = id, .e = (uint32_t)piece.n};
            return MLXE_OK;
        }
    }
    cached *row = w->banned ? NULL : cache_row(w, piece);
    if (row && from_cache(row, piece, out)) return MLXE_OK;
    size_t most = piece.n + (b->byte_fallback ? utf8_count(piece) * b->prefix.n + b->suffix.n : 0);
    size_t heap_at = most * sizeof(symbol);
    char *room =
        tok_work_scratch(w, heap_at + (most > SHORT_SYMBOLS ? most * 3 * sizeof(candidate) : 0));
    if (!room) return err_memory(err, "BPE", most * sizeof(symbol));
    symbols s = {(symbol *)(void *)room, 0};
    const merging how = {b, &m->vocab, w, piece};
    mlxe_status rc = first_symbols(m, w, piece, &s, err);
    if (rc) return rc;
    if (s.n <= SHORT_SYMBOLS)
        merge_short(&how, &s);
    else
        merge_long(&how, &s, (candidate *)(void *)(room + heap_at));
    o = tok_outs_add(out, s.n);
    uint32_t at = 0;
    for (size_t i = 0; o && i < s.n; at += s.v[i].bytes, i++)
        o[i] = (tok_out){.id = s.v[i].id, .b = at, .e = at + s.v[i].bytes};
    if (row && o) to_cache(row, piece, o, s.n);
    return MLXE_OK;
}

const tok_kind tok_kind_bpe = {"BPE", bpe_open, bpe_close, bpe_run};
