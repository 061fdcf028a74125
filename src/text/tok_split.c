/* tok_split.c: pre-tokenizers: each cuts the text pieces into smaller ones; some rewrite first.
 *
 *   {"type": NAME, ..} --read--> steps (Sequence laid flat) --run--> pieces, rewritten and cut
 *
 * A row of KINDS is a pre-tokenizer: a rewrite (ByteLevel maps bytes to characters, Metaspace
 * spaces to U+2581), a cut, in the order that the package has.
 *
 * Traps: ByteLevel cuts the plain text and maps the bytes afterwards; Metaspace rewrites first and
 * cuts the new text. UnicodeScripts loses what stands before the first character with a script, as
 * the package does. Metaspace "first" asks where a piece begins in the original text.
 *
 * Source: tokenizers, pre_tokenizers/ (behaviour). */
#include "text/tok_parts.h"

typedef struct tok_step_kind {
    const char *name;
    mlxe_status (*read)(const tok_reader *r, const json *v, tok_step *s);
    int (*needs_before)(const tok_step *s, const tok_text *t, const tok_piece *piece);
    void (*before)(const tok_step *s, tok_rewrite *rw); /* NULL: nothing is rewritten first */
    mlxe_status (*cut)(const tok_step *s, tok_work *w, const tok_piece *piece, mlxe_error *err);
    void (*after)(const tok_step *s, tok_rewrite *rw); /* NULL: nothing is rewritten at the end */
} tok_step_kind;

/* ---- the byte alphabet ----------------------------------------------------------------------- */

static int is_plain_byte(unsigned b)
{
    return (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || (b >= 0xAE && b <= 0xFF);
}

/* The bytes that are no letters get 256, 257, ... in their order. */
uint32_t tok_byte_char(unsigned char byte)
{
    unsigned b = byte;
    if (is_plain_byte(b)) return b;
    if (b <= 0x20) return 256 + b;
    if (b <= 0xA0) return 256 + 33 + (b - 0x7F);
    return 256 + 33 + 34; /* 0xAD */
}

int tok_char_byte(uint32_t cp)
{
    if (cp < 256) return is_plain_byte(cp) ? (int)cp : -1;
    if (cp < 256 + 33) return (int)(cp - 256);
    if (cp < 256 + 33 + 34) return (int)(cp - 256 - 33 + 0x7F);
    return cp == 256 + 33 + 34 ? 0xAD : -1;
}

/* ---- cuts ------------------------------------------------------------------------------------ */

static mlxe_status cut_regex(const tok_step *s, tok_work *w, const tok_piece *piece,
                             mlxe_error *err)
{
    mlxe_status rc = tok_regex_find(s->regex, tt_str(&w->text, piece), &w->match, &w->matches, err);
    if (rc) return rc;
    for (size_t i = 0; i < w->matches.n && s->invert; i++)
        w->matches.m[i].hit = !w->matches.m[i].hit;
    tt_cut_matches(&w->text, piece, &w->matches, (tok_behavior)s->behavior);
    return MLXE_OK;
}

typedef int (*is_fn)(const tok_step *s, uint32_t cp);

/* Cuts at single characters. */
static mlxe_status cut_characters(const tok_step *s, tok_work *w, const tok_piece *piece, is_fn is,
                                  tok_behavior behavior)
{
    strv text = tt_str(&w->text, piece);
    size_t last = 0;
    w->matches.n = 0;
    for (size_t i = 0, width; i < text.n; i += width) {
        if (!is(s, utf8_at(text.p + i, &width))) continue;
        if (last < i) tok_matches_add(&w->matches, last, i, 0);
        tok_matches_add(&w->matches, i, i + width, 1);
        last = i + width;
    }
    if (last < text.n) tok_matches_add(&w->matches, last, text.n, 0);
    tt_cut_matches(&w->text, piece, &w->matches, behavior);
    return MLXE_OK;
}

static int is_space(const tok_step *s, uint32_t cp) { return (void)s, uni_space(cp); }
static int is_digit(const tok_step *s, uint32_t cp) { return (void)s, uni_numeric(cp); }
static int is_punct(const tok_step *s, uint32_t cp) { return (void)s, uni_punct(cp); }
static int is_given(const tok_step *s, uint32_t cp) { return cp == s->cp; }
static int is_space_or_punct(const tok_step *s, uint32_t cp)
{
    return (void)s, uni_space(cp) || uni_punct(cp);
}

static mlxe_status cut_spaces(const tok_step *s, tok_work *w, const tok_piece *piece,
                              mlxe_error *err)
{
    (void)err;
    return cut_characters(s, w, piece, is_space, SPLIT_REMOVED);
}
static mlxe_status cut_digits(const tok_step *s, tok_work *w, const tok_piece *piece,
                              mlxe_error *err)
{
    (void)err;
    return cut_characters(s, w, piece, is_digit, (tok_behavior)s->behavior);
}
static mlxe_status cut_punctuation(const tok_step *s, tok_work *w, const tok_piece *piece,
                                   mlxe_error *err)
{
    (void)err;
    return cut_characters(s, w, piece, is_punct, (tok_behavior)s->behavior);
}
static mlxe_status cut_delimiter(const tok_step *s, tok_work *w, const tok_piece *piece,
                                 mlxe_error *err)
{
    (void)err;
    return cut_characters(s, w, piece, is_given, SPLIT_REMOVED);
}

/* Spaces vanish, punctuation stands alone. */
static mlxe_status cut_bert(const tok_step *s, tok_work *w, const tok_piece *piece, mlxe_error *err)
{
    (void)err;
    strv text = tt_str(&w->text, piece);
    size_t last = 0;
    w->matches.n = 0;
    for (size_t i = 0, width; i < text.n; i += width) {
        uint32_t cp = utf8_at(text.p + i, &width);
        if (!is_space_or_punct(s, cp)) continue;
        if (last < i) tok_matches_add(&w->matches, last, i, 0);
        tok_matches_add(&w->matches, i, i + width, uni_space(cp));
        last = i + width;
    }
    if (last < text.n) tok_matches_add(&w->matches, last, text.n, 0);
    tt_cut_matches(&w->text, piece, &w->matches, SPLIT_REMOVED);
    return MLXE_OK;
}

/* \w+ and [^\w\s]+; what lies between vanishes. */
static mlxe_status cut_words(const tok_step *s, tok_work *w, const tok_piece *piece,
                             mlxe_error *err)
{
    (void)s, (void)err;
    strv text = tt_str(&w->text, piece);
    size_t from = 0;
    int kind = 0; /* of the run: 0 space, 1 word, 2 other */
    for (size_t i = 0, width; i <= text.n; i += width) {
        int k = 0;
        width = 1;
        if (i < text.n) {
            uint32_t cp = utf8_at(text.p + i, &width);
            k = uni_word(cp) ? 1 : uni_space(cp) ? 0 : 2;
        }
        if (i < text.n && k == kind) continue;
        if (kind) tt_cut(&w->text, piece->b + from, piece->b + i);
        from = i;
        kind = k;
    }
    return MLXE_OK;
}

static int script_of(uint32_t cp)
{
    static const uint32_t han = 0x4E00, hiragana = 0x3042, katakana = 0x30A2;
    if (cp == ' ') return 0;
    int script = uni_script(cp);
    if (cp == 0x30FC || script == uni_script(hiragana) || script == uni_script(katakana))
        return uni_script(han);
    return script;
}

static mlxe_status cut_scripts(const tok_step *s, tok_work *w, const tok_piece *piece,
                               mlxe_error *err)
{
    (void)s, (void)err;
    strv text = tt_str(&w->text, piece);
    size_t from = SIZE_MAX;
    int last = 0;
    for (size_t i = 0, width; i < text.n; i += width) {
        int script = script_of(utf8_at(text.p + i, &width));
        if (!script || script == last) continue;
        if (from != SIZE_MAX) tt_cut(&w->text, piece->b + from, piece->b + i);
        from = i;
        last = script;
    }
    if (from != SIZE_MAX) tt_cut(&w->text, piece->b + from, piece->e);
    return MLXE_OK;
}

static mlxe_status cut_length(const tok_step *s, tok_work *w, const tok_piece *piece,
                              mlxe_error *err)
{
    (void)err;
    strv text = tt_str(&w->text, piece);
    size_t from = 0;
    int64_t count = 0;
    for (size_t i = 0; i < text.n; i += utf8_width((unsigned char)text.p[i])) {
        if (count++ < s->length) continue;
        tt_cut(&w->text, piece->b + from, piece->b + i);
        from = i;
        count = 1;
    }
    tt_cut(&w->text, piece->b + from, piece->e);
    return MLXE_OK;
}

/* ---- rewriting ------------------------------------------------------------------------------- */

static int needs_space(const tok_step *s, const tok_text *t, const tok_piece *piece)
{
    return s->prefix && t->p[piece->b] != ' ';
}

/* A character before the text: it stands for the first, which then is new. */
static void prepend(tok_rewrite *rw, uint32_t cp)
{
    size_t width;
    uint32_t first = utf8_at(rw->t->p + rw->at, &width);
    tt_put(rw, cp, 0);
    tt_put(rw, first, 1);
    tt_copy(rw, rw->end - rw->at);
}

static void put_space(const tok_step *s, tok_rewrite *rw)
{
    (void)s;
    prepend(rw, ' ');
}

/* A piece that stands for nothing of the original (what a normalizer put in front of all) keeps its
 * old text behind the new: the package rewrites the range of its original, which is empty. */
static void map_bytes(const tok_step *s, tok_rewrite *rw)
{
    (void)s;
    const char *p = rw->t->p;
    size_t from = rw->at, end = rw->end;
    int nothing = from < end && tt_at(rw->t, from).b == tt_at(rw->t, end - 1).e;
    for (size_t i = from; i < end; i++)
        tt_put(rw, tok_byte_char((unsigned char)p[i]), !utf8_is_start(p[i]));
    if (nothing) tt_put_str(rw, strv_from(p + from, end - from), 1);
}

enum { PREPEND_NEVER, PREPEND_ALWAYS, PREPEND_FIRST };

/* Whether a text begins with the piece: by where it came from, or, SentencePiece's own way, by
 * where it is now. */
static int is_first(const tok_step *s, const tok_piece *piece)
{
    return s->left ? piece->b == 0 : piece->from.b == 0;
}

static int needs_meta(const tok_step *s, const tok_text *t, const tok_piece *piece)
{
    strv text = tt_str(t, piece);
    if (memchr(text.p, ' ', text.n)) return 1;
    if (s->prefix == PREPEND_NEVER || (s->prefix == PREPEND_FIRST && !is_first(s, piece))) return 0;
    size_t width;
    return s->left || utf8_at(text.p, &width) != s->cp;
}

static void put_meta(const tok_step *s, tok_rewrite *rw)
{
    size_t width;
    const char *p = rw->t->p;
    uint32_t first = utf8_at(p + rw->at, &width);
    if (first == ' ') first = s->cp;
    int scheme =
        s->prefix == PREPEND_ALWAYS || (s->prefix == PREPEND_FIRST && is_first(s, rw->piece));
    if (scheme && (s->left || first != s->cp)) {
        tt_put(rw, s->cp, 0);
        tt_put(rw, first, 1);
    }
    while (rw->at < rw->end) {
        if (p[rw->at] == ' ') {
            tt_skip(rw, 1);
            tt_put(rw, s->cp, 1);
            continue;
        }
        size_t n = 0;
        while (rw->at + n < rw->end && p[rw->at + n] != ' ')
            n++;
        tt_copy(rw, n);
    }
}

/* ---- options --------------------------------------------------------------------------------- */

static mlxe_status read_behavior(const tok_reader *r, const json *v, int *out)
{
    static const char *const names[] = {"Removed", "Isolated", "MergedWithPrevious",
                                        "MergedWithNext", "Contiguous"};
    strv name;
    mlxe_status rc = tok_need_str(r, v, "behavior", &name);
    if (rc) return rc;
    for (int i = 0; i < 5; i++)
        if (strv_is(name, names[i])) {
            *out = i;
            return MLXE_OK;
        }
    return tok_corrupt(r, "has a behavior that does not exist");
}

static mlxe_status read_split(const tok_reader *r, const json *v, tok_step *s)
{
    mlxe_status rc = read_behavior(r, v, &s->behavior);
    if (rc == MLXE_OK) rc = tok_need_bool(r, v, "invert", &s->invert);
    return rc ? rc : tok_pattern_read(r, json_get(v, "pattern"), &s->regex);
}

static mlxe_status read_byte_level(const tok_reader *r, const json *v, tok_step *s)
{
    int regex = 1, trim;
    mlxe_status rc = tok_need_bool(r, v, "add_prefix_space", &s->prefix);
    if (rc == MLXE_OK) rc = tok_need_bool(r, v, "trim_offsets", &trim);
    if (rc == MLXE_OK) rc = json_get_bool(v, r->where, "use_regex", &regex, r->err);
    if (rc || !regex) return rc;
    s->behavior = SPLIT_ISOLATED;
    return tok_regex_open(r,
                          STRV("'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+"
                               "|\\s+(?!\\S)|\\s+"),
                          REGEX_ANY, &s->regex);
}

static mlxe_status read_meta(const tok_reader *r, const json *v, tok_step *s)
{
    strv scheme = STRV("always");
    int old = 1, split = 1;
    mlxe_status rc = tok_need_char(r, v, "replacement", &s->cp);
    if (rc == MLXE_OK) rc = json_get_str(v, r->where, "prepend_scheme", &scheme, r->err);
    if (rc == MLXE_OK) rc = json_get_bool(v, r->where, "add_prefix_space", &old, r->err);
    if (rc == MLXE_OK) rc = json_get_bool(v, r->where, "split", &split, r->err);
    /* SentencePiece's own way, which no tokenizer.json has: before a space too */
    if (rc == MLXE_OK) rc = json_get_bool(v, r->where, "prepend_to_space", &s->left, r->err);
    if (rc) return rc;
    if (strv_is(scheme, "always"))
        s->prefix = PREPEND_ALWAYS;
    else if (strv_is(scheme, "first"))
        s->prefix = PREPEND_FIRST;
    else if (!strv_is(scheme, "never"))
        return tok_corrupt(r, "has a prepend_scheme that does not exist");
    if (!old && s->prefix != PREPEND_NEVER)
        return tok_corrupt(r, "has an add_prefix_space that contradicts its prepend_scheme");
    s->invert = !split; /* 1: not cut */
    return MLXE_OK;
}

static mlxe_status cut_meta(const tok_step *s, tok_work *w, const tok_piece *piece, mlxe_error *err)
{
    (void)err;
    if (!s->invert) return cut_characters(s, w, piece, is_given, SPLIT_NEXT);
    tt_keep(&w->text, piece);
    return MLXE_OK;
}

static mlxe_status cut_if_regex(const tok_step *s, tok_work *w, const tok_piece *piece,
                                mlxe_error *err)
{
    if (s->regex) return cut_regex(s, w, piece, err);
    tt_keep(&w->text, piece);
    return MLXE_OK;
}

static mlxe_status read_digits(const tok_reader *r, const json *v, tok_step *s)
{
    int single;
    mlxe_status rc = tok_need_bool(r, v, "individual_digits", &single);
    if (rc == MLXE_OK) s->behavior = single ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS;
    return rc;
}

static mlxe_status read_punctuation(const tok_reader *r, const json *v, tok_step *s)
{
    s->behavior = SPLIT_ISOLATED;
    return json_get(v, "behavior") ? read_behavior(r, v, &s->behavior) : MLXE_OK;
}

static mlxe_status read_delimiter(const tok_reader *r, const json *v, tok_step *s)
{
    return tok_need_char(r, v, "delimiter", &s->cp);
}

static mlxe_status read_length(const tok_reader *r, const json *v, tok_step *s)
{
    s->length = 5;
    return json_get_int(v, r->where, "length", 1, INT32_MAX, &s->length, r->err);
}

/* ---- the table ------------------------------------------------------------------------------- */

static const tok_step_kind KINDS[] = {
    /* type        options          rewrites first        cuts            rewrites last */
    {"ByteLevel", read_byte_level, needs_space, put_space, cut_if_regex, map_bytes},
    {"Split", read_split, NULL, NULL, cut_regex, NULL},
    {"Digits", read_digits, NULL, NULL, cut_digits, NULL},
    {"Punctuation", read_punctuation, NULL, NULL, cut_punctuation, NULL},
    {"Whitespace", NULL, NULL, NULL, cut_words, NULL},
    {"WhitespaceSplit", NULL, NULL, NULL, cut_spaces, NULL},
    {"BertPreTokenizer", NULL, NULL, NULL, cut_bert, NULL},
    {"Metaspace", read_meta, needs_meta, put_meta, cut_meta, NULL},
    {"CharDelimiterSplit", read_delimiter, NULL, NULL, cut_delimiter, NULL},
    {"Delimiter", read_delimiter, NULL, NULL, cut_delimiter, NULL},
    {"UnicodeScripts", NULL, NULL, NULL, cut_scripts, NULL},
    {"FixedLength", read_length, NULL, NULL, cut_length, NULL},
};

static mlxe_status read_at(const tok_reader *r, const json *v, tok_steps *out, int depth)
{
    strv type;
    if (!v || json_is(v, JSON_NULL)) return MLXE_OK;
    if (depth > 20) return tok_corrupt(r, "nested too deeply");
    if (!json_is(v, JSON_OBJECT)) return tok_corrupt(r, "is no object");
    mlxe_status rc = tok_need_str(r, v, "type", &type);
    if (rc) return rc;
    if (strv_is(type, "Sequence")) {
        const json *items = json_get(v, "pretokenizers"), *key, *item;
        if (!json_is(items, JSON_ARRAY)) return tok_corrupt(r, "a Sequence without pretokenizers");
        json_iter it = json_iterate(items);
        for (size_t i = 0; json_next(&it, &key, &item) && rc == MLXE_OK; i++) {
            tok_reader at = tok_reader_index(r, i);
            rc = read_at(&at, item, out, depth + 1);
        }
        return rc;
    }
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        if (!strv_is(type, KINDS[i].name)) continue;
        tok_step *s = tok_steps_add(r, out);
        if (!s) return MLXE_E_MEMORY;
        s->kind = &KINDS[i];
        return s->kind->read ? s->kind->read(r, v, s) : MLXE_OK;
    }
    return err_set(r->err, MLXE_E_UNSUPPORTED, "%s: pre-tokenizer %.*s is not supported", r->where,
                   (int)(type.n > 60 ? 60 : type.n), type.p);
}

mlxe_status tok_splitter_read(const tok_reader *r, const json *v, tok_steps *out)
{
    return read_at(r, v, out, 0);
}

void tok_splitter_close(tok_steps *steps)
{
    for (size_t i = 0; i < steps->n; i++)
        tok_regex_close(steps->v[i].regex);
    steps->n = 0;
}

/* One pass over all text pieces; those that do not need it are copied. */
static void rewrite(const tok_step *s, tok_text *t,
                    int (*needs)(const tok_step *, const tok_text *, const tok_piece *),
                    void (*run)(const tok_step *, tok_rewrite *))
{
    int any = !needs;
    for (size_t i = 0; i < t->n_pieces && !any; i++)
        any = t->pieces[i].id < 0 && needs(s, t, &t->pieces[i]);
    if (!any) return;
    tt_pass_begin(t);
    for (size_t i = 0; i < t->n_pieces; i++) {
        if (t->pieces[i].id >= 0) continue;
        int need = !needs || needs(s, t, &t->pieces[i]);
        tok_rewrite rw = tt_open(t, &t->pieces[i]);
        if (need)
            run(s, &rw);
        else
            tt_copy(&rw, rw.end - rw.at);
        tt_close(&rw);
    }
    tt_pass_end(t);
}

mlxe_status tok_split(const tok_steps *steps, tok_work *w, mlxe_error *err)
{
    tok_text *t = &w->text;
    for (size_t k = 0; k < steps->n; k++) {
        const tok_step *s = &steps->v[k];
        mlxe_status rc = MLXE_OK;
        if (s->kind->before) rewrite(s, t, s->kind->needs_before, s->kind->before);
        tt_split_begin(t);
        for (size_t i = 0; i < t->n_pieces && rc == MLXE_OK; i++) {
            if (t->pieces[i].id >= 0)
                tt_keep(t, &t->pieces[i]);
            else
                rc = s->kind->cut(s, w, &t->pieces[i], err);
        }
        if (rc) return rc;
        tt_split_end(t);
        if (s->kind->after) rewrite(s, t, NULL, s->kind->after);
        if (t->failed) return err_memory(err, "text pieces", t->n);
    }
    return MLXE_OK;
}
