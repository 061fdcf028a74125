/* filters_text.c: filters for pages and programs that chat templates hardly need: striptags,
 * wordwrap, pprint.
 *
 * Source: jinja2 3.1.6 filters.py and utils.py, markupsafe 3 Markup.striptags, CPython 3.11 textwrap
 *         and pprint (behaviour).
 * Traps: wordwrap wraps each line for itself; words are cut at hyphens between letters too. pprint is
 *        repr but for the order of keys; where repr does not fit 80 columns it breaks lines. Both
 *        is refused here: what comes out is what the reference gives. */
#include "text/template/content.h"
#include "text/template/filters.h"
#include "text/template/text.h"

/* ---- striptags ---- */

typedef struct entity {
    const char *name, *text;
} entity;

/* The references that html.escape and people write; others stay as they are. */
static const entity ENTITIES[] = {
    {"amp;", "&"}, {"lt;", "<"},   {"gt;", ">"},          {"quot;", "\""}, {"apos;", "'"},
    {"#39;", "'"}, {"#34;", "\""}, {"nbsp;", "\xC2\xA0"}, {"#x27;", "'"},
};

/* Without comments and tags, runs of white space as one blank, references resolved. */
jv jj_filter_striptags(jj_rt *rt, const jj_args *args)
{
    jv v[1];
    strv s;
    buf bare = {0}, b = {0};
    if (!jj_bind(rt, "striptags", "value", 1, args, v)) return jj_none();
    v[0] = jj_soft_str(rt, v[0]);
    if (!jj_ok(rt) || !jj_work(rt, v[0].u.s->n * 2)) return jj_none();
    s = jj_strv(v[0]);
    for (size_t i = 0; i < s.n;) { /* comments */
        size_t end = strv_starts((strv){s.p + i, s.n - i}, STRV("<!--"))
                         ? jj_find(s, STRV("-->"), i)
                         : SIZE_MAX;
        if (end == SIZE_MAX)
            buf_add_char(&bare, s.p[i++]);
        else
            i = end + 3;
    }
    s = buf_view(&bare);
    for (size_t i = 0; i < s.n;) { /* tags */
        const char *close = s.p[i] == '<' ? memchr(s.p + i, '>', s.n - i) : NULL;
        if (!close)
            buf_add_char(&b, s.p[i++]);
        else
            i = (size_t)(close - s.p) + 1;
    }
    buf_deinit(&bare);
    s = buf_view(&b);
    for (size_t i = 0, n; i < s.n;) { /* white space and references */
        size_t k = 0;
        if (jj_isspace(jj_decode(s.p + i, s.p + s.n, &n))) {
            while (i < s.n && jj_isspace(jj_decode(s.p + i, s.p + s.n, &n)))
                i += n;
            if (bare.n && i < s.n) buf_add_char(&bare, ' ');
            continue;
        }
        for (k = 0; s.p[i] == '&' && k < sizeof ENTITIES / sizeof *ENTITIES; k++)
            if (strv_starts((strv){s.p + i + 1, s.n - i - 1}, strv_of(ENTITIES[k].name))) break;
        if (s.p[i] == '&' && k < sizeof ENTITIES / sizeof *ENTITIES) {
            buf_add_str(&bare, ENTITIES[k].text);
            i += 1 + strlen(ENTITIES[k].name);
            continue;
        }
        buf_add(&bare, s.p + i, n);
        i += n;
    }
    buf_deinit(&b);
    jj_trace(rt, &bare, 0, bare.n, jj_strv(v[0]));
    return jj_take(rt, &bare);
}

/* ---- wordwrap ---- */

typedef struct wrap {
    jj_rt *rt;
    buf b;
    strv between;
    int64_t width;
    int break_long, break_hyphens;
    int any; /* a line was written */
} wrap;

static void put_line(wrap *w, strv line)
{
    if (w->any) jj_put(w->rt, &w->b, w->between);
    jj_put(w->rt, &w->b, line);
    w->any = 1;
}

static int is_blank(char c) { return c && strchr(" \t\n\v\f\r", c) != NULL; }

static int is_word_char(const char *p, const char *end, int letters)
{
    size_t n;
    unsigned c = p < end ? jj_decode(p, end, &n) : 0;
    if (!c) return 0;
    return letters ? jj_isalpha(c) || c == '_' : c == '_' || jj_isalnum(c);
}

/* The chunk that begins at i: white space, or a word up to behind its first hyphen that may be cut
 * at (two letters before it and two behind). */
static size_t chunk(const wrap *w, strv s, size_t i)
{
    size_t at = i;
    if (is_blank(s.p[i])) {
        while (at < s.n && is_blank(s.p[at]))
            at++;
        return at;
    }
    for (; at < s.n && !is_blank(s.p[at]); at++) {
        const char *end = s.p + s.n;
        if (!w->break_hyphens || s.p[at] != '-' || at < i + 2) continue;
        if (is_word_char(s.p + at - 1, end, 1) && is_word_char(s.p + at - 2, end, 1) &&
            is_word_char(s.p + at + 1, end, 1) && at + 2 < s.n &&
            is_word_char(s.p + at + 2, end, 1))
            return at + 1;
    }
    return at;
}

static size_t chars(strv s) { return jj_count(s); }

/* One line of the text, wrapped. White space is kept but at the ends of lines. */
static void wrap_line(wrap *w, strv s)
{
    size_t begin = 0, at = 0, width = (size_t)w->width;
    int first = 1;
    while (at < s.n && jj_step(w->rt, 1)) {
        size_t end = chunk(w, s, at);
        strv piece = {s.p + at, end - at}, line = {s.p + begin, end - begin};
        if (!first && begin == at && is_blank(*piece.p)) { /* no line but the first begins so */
            begin = at = end;
            continue;
        }
        if (chars(line) <= width) {
            at = end;
            continue;
        }
        if (w->break_long && chars(piece) > width) { /* cut within the word */
            jj_str text = {line.p, line.n, JJ_UNCOUNTED, 0};
            at = begin + jj_offset(&text, width);
            if (at <= begin) return;
        } else if (begin == at)
            at = end; /* a line of its own */
        for (end = at; end > begin && is_blank(s.p[end - 1]);)
            end--;
        if (end > begin) put_line(w, (strv){s.p + begin, end - begin});
        begin = at;
        first = 0;
    }
    for (at = s.n; at > begin && is_blank(s.p[at - 1]);)
        at--;
    if (at > begin || (first && !s.n)) put_line(w, (strv){s.p + begin, at - begin});
}

jv jj_filter_wordwrap(jj_rt *rt, const jj_args *args)
{
    jv v[5];
    wrap w = {.rt = rt, .between = STRV("\n"), .width = 79};
    jj_list *lines;
    if (!jj_bind(rt, "wordwrap", "s,width,break_long_words,wrapstring,break_on_hyphens", 1, args,
                 v) ||
        !jj_arg_int(rt, "width", v[1], &w.width))
        return jj_none();
    w.break_long = v[2].type == JJ_MISSING || jj_truth(v[2]);
    w.break_hyphens = v[4].type == JJ_MISSING || jj_truth(v[4]);
    if (v[3].type != JJ_NONE && v[3].type != JJ_MISSING &&
        !jj_arg_str(rt, "wrapstring", v[3], &w.between))
        return jj_none();
    if (w.width <= 0) return jj_fail(rt, "invalid width %lld (must be > 0)", (long long)w.width);
    v[0] = jj_soft_str(rt, v[0]);
    if (!jj_ok(rt) || !jj_work(rt, v[0].u.s->n * 8)) return jj_none();
    lines = jj_splitlines(rt, v[0], 0);
    for (size_t i = 0; lines && i < lines->n && jj_ok(rt); i++) {
        size_t before = w.b.n;
        int any = w.any;
        wrap_line(&w, jj_strv(lines->v[i]));
        /* A line without words is an empty line. */
        if (w.b.n == before && w.any == any) put_line(&w, (strv){"", 0});
    }
    return jj_take(rt, &w.b);
}

/* ---- pprint ---- */

enum { PPRINT_COLUMNS = 80 };

/* Whether every dict in v has its keys in order. */
static int in_order(jj_rt *rt, jv v)
{
    int ok = jj_step(rt, 1) && jj_enter(rt);
    if (!ok) return 0;
    if (v.type == JJ_LIST || v.type == JJ_TUPLE)
        for (size_t i = 0; i < v.u.l->n && ok; i++)
            ok = in_order(rt, v.u.l->v[i]);
    if (v.type == JJ_DICT)
        for (size_t i = 0; i < v.u.d->n && ok; i++) {
            const jj_entry *e = v.u.d->e + i;
            ok = jj_is_str(e->key) && in_order(rt, e->value) &&
                 (!i || jj_compare(rt, e[-1].key, e->key, "<") < 0);
        }
    jj_leave(rt);
    return ok;
}

jv jj_filter_pprint(jj_rt *rt, const jj_args *args)
{
    jv v[1], out;
    buf b = {0};
    if (!jj_bind(rt, "pprint", "value", 1, args, v)) return jj_none();
    jj_write_repr(rt, &b, v[0]);
    out = jj_take(rt, &b);
    if (jj_ok(rt) && jj_chars(out.u.s) > PPRINT_COLUMNS && v[0].type != JJ_INT &&
        v[0].type != JJ_BIG)
        return jj_fail(rt, "pprint of more than %d characters is not supported", PPRINT_COLUMNS);
    if (jj_ok(rt) && !in_order(rt, v[0]))
        return jj_fail(rt, "pprint of a dict whose keys are not in order is not supported");
    return out;
}
