/* tok_normalize.c: normalizers: each rewrites every text piece and keeps its alignment.
 *
 *   {"type": NAME, ..} --read--> steps (Sequence and BertNormalizer laid flat) --run--> a pass each
 *
 * A row of KINDS is a normalizer: how its options are read, whether it would change a given text
 * at all (most text is ASCII, and most passes are skipped), and how it writes the new text.
 *
 * Traps: canonical reordering moves characters but their alignment stays in place, because the
 * package counts changes, not characters. A character that composes gives its length to the first.
 * Unicode is that of the package (tok_unicode.c), 9 for NF*, 8 for BERT's categories.
 *
 * Source: UAX 15; tokenizers, normalizers/ (behaviour). */
#include "text/tok_parts.h"

typedef struct tok_step_kind {
    const char *name;
    mlxe_status (*read)(const tok_reader *r, const json *v, tok_step *s);
    int (*touches)(const tok_step *s, strv text); /* NULL: always */
    mlxe_status (*run)(const tok_step *s, tok_work *w, tok_rewrite *rw, mlxe_error *err);
} tok_step_kind;

/* ---- what they share ------------------------------------------------------------------------- */

static strv rest(const tok_rewrite *rw) { return strv_from(rw->t->p + rw->at, rw->end - rw->at); }

static int has_high_byte(const tok_step *s, strv text)
{
    (void)s;
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] >= 0x80) return 1;
    return 0;
}

typedef int64_t (*map_fn)(const tok_step *s, uint32_t cp); /* -1: the character goes */

/* Drops and maps single characters. */
static mlxe_status filter(const tok_step *s, tok_rewrite *rw, map_fn map)
{
    strv text = rest(rw);
    int64_t last = -1;
    long removed = 0;
    for (size_t i = 0, width; i < text.n; i += width) {
        int64_t cp = map(s, utf8_at(text.p + i, &width));
        if (cp < 0) {
            removed++;
            continue;
        }
        if (last >= 0)
            tt_put(rw, (uint32_t)last, -removed);
        else
            tt_skip(rw, (size_t)removed);
        last = cp;
        removed = 0;
    }
    if (last >= 0) tt_put(rw, (uint32_t)last, -removed);
    return MLXE_OK;
}

/* ---- NFC, NFD, NFKC, NFKD -------------------------------------------------------------------- */

enum { CCC_SHIFT = 21, CP_MASK = 0x1FFFFF }; /* a code point carries its combining class on top */

/* Stable sort of marks by combining class; long runs by counting, so hostile text is linear. */
static int sort_marks(tok_work *w, size_t from, size_t to)
{
    uint32_t *p = w->code_points;
    long *c = w->changes;
    size_t n = to - from;
    if (n < 32) {
        for (size_t i = from + 1; i < to; i++) {
            uint32_t cp = p[i];
            long change = c[i];
            size_t k = i;
            for (; k > from && (p[k - 1] >> CCC_SHIFT) > (cp >> CCC_SHIFT); k--) {
                p[k] = p[k - 1];
                c[k] = c[k - 1];
            }
            p[k] = cp;
            c[k] = change;
        }
        return 1;
    }
    size_t count[257] = {0};
    if (!tok_work_points_room(w, w->n_points + n)) return 0;
    p = w->code_points;
    c = w->changes;
    for (size_t i = from; i < to; i++)
        count[(p[i] >> CCC_SHIFT) + 1]++;
    for (size_t k = 1; k < 257; k++)
        count[k] += count[k - 1];
    for (size_t i = from; i < to; i++) {
        size_t place = w->n_points + count[p[i] >> CCC_SHIFT]++;
        p[place] = p[i];
        c[place] = c[i];
    }
    memcpy(p + from, p + w->n_points, n * sizeof *p);
    memcpy(c + from, c + w->n_points, n * sizeof *c);
    return 1;
}

static int decompose(tok_work *w, strv text, int compatible)
{
    uint32_t parts[UNI_DECOMPOSED];
    size_t run = 0; /* where the marks that are not sorted yet begin */
    w->n_points = 0;
    for (size_t i = 0, width; i < text.n; i += width) {
        int n = uni_decompose(utf8_at(text.p + i, &width), compatible, parts);
        for (int k = 0; k < n; k++) {
            uint32_t ccc = (uint32_t)uni_ccc(parts[k]);
            if (ccc == 0) {
                if (w->n_points - run > 1 && !sort_marks(w, run, w->n_points)) return 0;
                run = w->n_points + 1;
            }
            if (!tok_work_point(w, parts[k] | ccc << CCC_SHIFT, k == 0 ? 0 : 1)) return 0;
        }
    }
    return w->n_points <= run + 1 || sort_marks(w, run, w->n_points);
}

/* Composes in place; what composes adds its change, less one, to the character before. */
static void compose(tok_work *w)
{
    uint32_t *p = w->code_points;
    long *c = w->changes;
    size_t n = 0, starter = SIZE_MAX;
    int last_ccc = -1; /* of what lies between the starter and here; -1: nothing */
    for (size_t i = 0; i < w->n_points; i++) {
        uint32_t cp = p[i];
        int ccc = (int)(cp >> CCC_SHIFT);
        uint32_t both = 0;
        if (starter != SIZE_MAX && last_ccc < ccc)
            both = uni_compose(p[starter] & CP_MASK, cp & CP_MASK);
        if (both) {
            p[starter] = both;
            c[starter] += c[i] - 1;
            continue;
        }
        if (ccc == 0) {
            starter = n;
            last_ccc = -1;
        } else if (starter != SIZE_MAX) {
            last_ccc = ccc;
        }
        c[n] = c[i];
        p[n++] = cp;
    }
    w->n_points = n;
}

static mlxe_status run_unicode(tok_work *w, tok_rewrite *rw, int compatible, int composed,
                               mlxe_error *err)
{
    if (!decompose(w, rest(rw), compatible)) return err_memory(err, "normalisation", 0);
    if (composed) compose(w);
    for (size_t i = 0; i < w->n_points; i++)
        tt_put(rw, w->code_points[i] & CP_MASK, w->changes[i]);
    return MLXE_OK;
}

static mlxe_status run_nfc(const tok_step *s, tok_work *w, tok_rewrite *rw, mlxe_error *err)
{
    (void)s;
    return run_unicode(w, rw, 0, 1, err);
}
static mlxe_status run_nfd(const tok_step *s, tok_work *w, tok_rewrite *rw, mlxe_error *err)
{
    (void)s;
    return run_unicode(w, rw, 0, 0, err);
}
static mlxe_status run_nfkc(const tok_step *s, tok_work *w, tok_rewrite *rw, mlxe_error *err)
{
    (void)s;
    return run_unicode(w, rw, 1, 1, err);
}
static mlxe_status run_nfkd(const tok_step *s, tok_work *w, tok_rewrite *rw, mlxe_error *err)
{
    (void)s;
    return run_unicode(w, rw, 1, 0, err);
}

/* ---- letters --------------------------------------------------------------------------------- */

static mlxe_status run_lowercase(const tok_step *s, tok_work *w, tok_rewrite *rw, mlxe_error *err)
{
    (void)s, (void)w, (void)err;
    strv text = rest(rw);
    uint32_t lower[3];
    for (size_t i = 0, width; i < text.n; i += width) {
        int n = uni_lower(utf8_at(text.p + i, &width), lower);
        for (int k = 0; k < n; k++)
            tt_put(rw, lower[k], k > 0);
    }
    return MLXE_OK;
}

static int touches_case(const tok_step *s, strv text)
{
    (void)s;
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c >= 0x80 || (c >= 'A' && c <= 'Z')) return 1;
    }
    return 0;
}

static int64_t map_accent(const tok_step *s, uint32_t cp)
{
    (void)s;
    return uni_combining(cp) ? -1 : (int64_t)cp;
}
static mlxe_status run_strip_accents(const tok_step *s, tok_work *w, tok_rewrite *rw,
                                     mlxe_error *err)
{
    (void)w, (void)err;
    return filter(s, rw, map_accent);
}

static mlxe_status read_strip(const tok_reader *r, const json *v, tok_step *s)
{
    mlxe_status rc = tok_need_bool(r, v, "strip_left", &s->left);
    return rc ? rc : tok_need_bool(r, v, "strip_right", &s->right);
}

static mlxe_status run_strip(const tok_step *s, tok_work *w, tok_rewrite *rw, mlxe_error *err)
{
    (void)w, (void)err;
    strv text = rest(rw);
    size_t b = 0, e = text.n, width;
    while (s->left && b < e && uni_space(utf8_at(text.p + b, &width)))
        b += width;
    while (s->right && e > b && uni_space(utf8_before(text.p, e, &width)))
        e -= width;
    tt_skip(rw, utf8_count(strv_from(text.p, b)));
    tt_copy(rw, e - b);
    return MLXE_OK;
}

/* ---- replacing ------------------------------------------------------------------------------- */

static mlxe_status read_replace(const tok_reader *r, const json *v, tok_step *s)
{
    mlxe_status rc = tok_need_str(r, v, "content", &s->text);
    if (rc == MLXE_OK) rc = tok_keep(r, &s->text);
    return rc ? rc : tok_pattern_read(r, json_get(v, "pattern"), &s->regex);
}

static mlxe_status run_replace(const tok_step *s, tok_work *w, tok_rewrite *rw, mlxe_error *err)
{
    strv text = rest(rw);
    mlxe_status rc = tok_regex_find(s->regex, text, &w->match, &w->matches, err);
    for (size_t i = 0; i < w->matches.n && rc == MLXE_OK; i++) {
        tok_match m = w->matches.m[i];
        if (!m.hit) {
            tt_copy(rw, m.e - m.b);
            continue;
        }
        tt_skip(rw, utf8_count(strv_from(text.p + m.b, m.e - m.b)));
        tt_put_str(rw, s->text, 1);
    }
    return rc;
}

static mlxe_status read_prepend(const tok_reader *r, const json *v, tok_step *s)
{
    mlxe_status rc = tok_need_str(r, v, "prepend", &s->text);
    return rc ? rc : tok_keep(r, &s->text);
}

static mlxe_status run_prepend(const tok_step *s, tok_work *w, tok_rewrite *rw, mlxe_error *err)
{
    (void)w, (void)err;
    size_t width;
    uint32_t first = utf8_at(rw->t->p + rw->at, &width);
    tt_put_str(rw, s->text, 0);
    tt_put(rw, first, 1);
    if (s->text.n == 0) tt_skip(rw, 1);
    tt_copy(rw, rw->end - rw->at);
    return MLXE_OK;
}

static mlxe_status run_byte_level(const tok_step *s, tok_work *w, tok_rewrite *rw, mlxe_error *err)
{
    (void)s, (void)w, (void)err;
    strv text = rest(rw);
    for (size_t i = 0; i < text.n; i++)
        tt_put(rw, tok_byte_char((unsigned char)text.p[i]), !utf8_is_start(text.p[i]));
    return MLXE_OK;
}

/* ---- BERT and NMT ---------------------------------------------------------------------------- */

static int64_t map_clean(const tok_step *s, uint32_t cp)
{
    (void)s;
    if (cp == '\t' || cp == '\n' || cp == '\r') return ' ';
    if (cp == 0 || cp == 0xFFFD || uni_other(cp)) return -1;
    return uni_space(cp) ? ' ' : (int64_t)cp;
}
static mlxe_status run_clean(const tok_step *s, tok_work *w, tok_rewrite *rw, mlxe_error *err)
{
    (void)w, (void)err;
    return filter(s, rw, map_clean);
}

static int64_t map_nonspacing(const tok_step *s, uint32_t cp)
{
    (void)s;
    return uni_nonspacing(cp) ? -1 : (int64_t)cp;
}
static mlxe_status run_nonspacing(const tok_step *s, tok_work *w, tok_rewrite *rw, mlxe_error *err)
{
    (void)w, (void)err;
    return filter(s, rw, map_nonspacing);
}

static int is_han(uint32_t cp)
{
    return (cp >= 0x4E00 && cp <= 0x9FFF) || (cp >= 0x3400 && cp <= 0x4DBF) ||
           (cp >= 0x20000 && cp <= 0x2A6DF) || (cp >= 0x2A700 && cp <= 0x2B81F) ||
           (cp >= 0x2B920 && cp <= 0x2CEAF) || (cp >= 0xF900 && cp <= 0xFAFF) ||
           (cp >= 0x2F800 && cp <= 0x2FA1F);
}
static mlxe_status run_han(const tok_step *s, tok_work *w, tok_rewrite *rw, mlxe_error *err)
{
    (void)s, (void)w, (void)err;
    strv text = rest(rw);
    for (size_t i = 0, width; i < text.n; i += width) {
        uint32_t cp = utf8_at(text.p + i, &width);
        if (is_han(cp)) tt_put(rw, ' ', 0);
        tt_put(rw, cp, is_han(cp));
        if (is_han(cp)) tt_put(rw, ' ', 1);
    }
    return MLXE_OK;
}

static int64_t map_nmt(const tok_step *s, uint32_t cp)
{
    (void)s;
    if ((cp >= 1 && cp <= 8) || cp == 0xB || (cp >= 0xE && cp <= 0x1F) || cp == 0x7F ||
        cp == 0x8F || cp == 0x9F)
        return -1;
    if (cp == 9 || cp == 10 || cp == 12 || cp == 13 || cp == 0x1680 ||
        (cp >= 0x200B && cp <= 0x200F) || cp == 0x2028 || cp == 0x2029 || cp == 0x2581 ||
        cp == 0xFEFF || cp == 0xFFFD)
        return ' ';
    return cp;
}
static mlxe_status run_nmt(const tok_step *s, tok_work *w, tok_rewrite *rw, mlxe_error *err)
{
    (void)w, (void)err;
    return filter(s, rw, map_nmt);
}

static mlxe_status read_precompiled(const tok_reader *r, const json *v, tok_step *s)
{
    return tok_charsmap_read(r, v, &s->map);
}
static mlxe_status run_precompiled(const tok_step *s, tok_work *w, tok_rewrite *rw, mlxe_error *err)
{
    (void)err;
    tok_charsmap_run(s->map, w, rw);
    return MLXE_OK;
}

/* ---- the table ------------------------------------------------------------------------------- */

static const tok_step_kind KINDS[] = {
    /* type          options          changes a text?  writes */
    {"NFC", NULL, has_high_byte, run_nfc},
    {"NFD", NULL, has_high_byte, run_nfd},
    {"NFKC", NULL, has_high_byte, run_nfkc},
    {"NFKD", NULL, has_high_byte, run_nfkd},
    {"Lowercase", NULL, touches_case, run_lowercase},
    {"StripAccents", NULL, has_high_byte, run_strip_accents},
    {"Strip", read_strip, NULL, run_strip},
    {"Replace", read_replace, NULL, run_replace},
    {"Prepend", read_prepend, NULL, run_prepend},
    {"ByteLevel", NULL, NULL, run_byte_level},
    {"Nmt", NULL, NULL, run_nmt},
    {"Precompiled", read_precompiled, NULL, run_precompiled},
};
/* The parts of BertNormalizer, in its order. */
static const tok_step_kind BERT_CLEAN = {"clean_text", NULL, NULL, run_clean};
static const tok_step_kind BERT_HAN = {"handle_chinese_chars", NULL, has_high_byte, run_han};
static const tok_step_kind BERT_NFD = {"strip_accents", NULL, has_high_byte, run_nfd};
static const tok_step_kind BERT_MARKS = {"strip_accents", NULL, has_high_byte, run_nonspacing};
static const tok_step_kind BERT_LOWER = {"lowercase", NULL, touches_case, run_lowercase};

static mlxe_status add_step(const tok_reader *r, tok_steps *steps, const tok_step_kind *kind)
{
    tok_step *s = tok_steps_add(r, steps);
    if (!s) return MLXE_E_MEMORY;
    s->kind = kind;
    return MLXE_OK;
}

static mlxe_status read_bert(const tok_reader *r, const json *v, tok_steps *out)
{
    int clean, han, lower, accents = -1;
    mlxe_status rc = tok_need_bool(r, v, "clean_text", &clean);
    if (rc == MLXE_OK) rc = tok_need_bool(r, v, "handle_chinese_chars", &han);
    if (rc == MLXE_OK) rc = tok_need_bool(r, v, "lowercase", &lower);
    if (rc == MLXE_OK) rc = json_get_bool(v, r->where, "strip_accents", &accents, r->err);
    if (rc) return rc;
    if (accents < 0) accents = lower;
    if (clean) rc = add_step(r, out, &BERT_CLEAN);
    if (han && rc == MLXE_OK) rc = add_step(r, out, &BERT_HAN);
    if (accents && rc == MLXE_OK) rc = add_step(r, out, &BERT_NFD);
    if (accents && rc == MLXE_OK) rc = add_step(r, out, &BERT_MARKS);
    if (lower && rc == MLXE_OK) rc = add_step(r, out, &BERT_LOWER);
    return rc;
}

/* Kinds that old files tell by their options alone. */
static const tok_shape SHAPES[] = {{"clean_text", "BertNormalizer"}, {"strip_left", "Strip"},
                                   {"normalizers", "Sequence"},      {"prepend", "Prepend"},
                                   {"pattern", "Replace"},           {NULL, NULL}};

static mlxe_status read_at(const tok_reader *r, const json *v, tok_steps *out, int depth)
{
    strv type;
    if (!v || json_is(v, JSON_NULL)) return MLXE_OK;
    if (depth > 20) return tok_corrupt(r, "nested too deeply");
    if (!json_is(v, JSON_OBJECT)) return tok_corrupt(r, "is no object");
    mlxe_status rc = tok_need_type(r, v, SHAPES, &type);
    if (rc) return rc;
    if (strv_is(type, "Sequence")) {
        const json *items = json_get(v, "normalizers"), *key, *item;
        if (!json_is(items, JSON_ARRAY)) return tok_corrupt(r, "a Sequence without normalizers");
        json_iter it = json_iterate(items);
        for (size_t i = 0; json_next(&it, &key, &item) && rc == MLXE_OK; i++) {
            tok_reader at = tok_reader_index(r, i);
            rc = read_at(&at, item, out, depth + 1);
        }
        return rc;
    }
    if (strv_is(type, "BertNormalizer") || strv_is(type, "Bert")) return read_bert(r, v, out);
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        if (!strv_is(type, KINDS[i].name)) continue;
        tok_step *s = tok_steps_add(r, out);
        if (!s) return MLXE_E_MEMORY;
        s->kind = &KINDS[i];
        return s->kind->read ? s->kind->read(r, v, s) : MLXE_OK;
    }
    return err_set(r->err, MLXE_E_UNSUPPORTED, "%s: normalizer %.*s is not supported", r->where,
                   (int)(type.n > 60 ? 60 : type.n), type.p);
}

mlxe_status tok_normalizer_read(const tok_reader *r, const json *v, tok_steps *out)
{
    return read_at(r, v, out, 0);
}

void tok_normalizer_close(tok_steps *steps)
{
    for (size_t i = 0; i < steps->n; i++)
        tok_regex_close(steps->v[i].regex);
    steps->n = 0;
}

mlxe_status tok_normalize(const tok_steps *steps, tok_work *w, mlxe_error *err)
{
    tok_text *t = &w->text;
    mlxe_status rc = MLXE_OK;
    for (size_t k = 0; k < steps->n; k++) {
        const tok_step *s = &steps->v[k];
        int needed = !s->kind->touches;
        for (size_t i = 0; i < t->n_pieces && !needed; i++)
            needed = t->pieces[i].id < 0 && s->kind->touches(s, tt_str(t, &t->pieces[i]));
        if (!needed) continue;
        tt_pass_begin(t);
        for (size_t i = 0; i < t->n_pieces && rc == MLXE_OK; i++) {
            if (t->pieces[i].id >= 0) continue;
            tok_rewrite rw = tt_open(t, &t->pieces[i]);
            if (!s->kind->touches || s->kind->touches(s, tt_str(t, &t->pieces[i])))
                rc = s->kind->run(s, w, &rw, err);
            else
                tt_copy(&rw, rw.end - rw.at);
            tt_close(&rw);
        }
        if (rc) return rc;
        tt_pass_end(t);
        if (t->failed) return err_memory(err, "normalised text", t->n);
    }
    return MLXE_OK;
}
