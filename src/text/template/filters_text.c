/* filters_text.c: filters for pages and programs that chat templates hardly need: striptags,
 * wordwrap, pprint.
 *
 * Source: jinja2 3.1.6 filters.py and utils.py, markupsafe 3 Markup.striptags, CPython 3.11
 *         textwrap and pprint (behaviour).
 * Traps: wordwrap wraps each line for itself; words are cut at hyphens between letters too.
 *        pprint is repr but for the order of keys; where repr does not fit 80 columns it breaks
 *        lines. Both is refused here: what comes out is what the reference gives. */
#include "text/template/content.h"
#include "text/template/filters.h"
#include "text/template/text.h"

/* ---- striptags ---- */

typedef struct entity {
    const char *name, *text;
} entity;

/* The references that html.escape and people write. */
static const entity ENTITIES[] = {
    {"amp;", "&"}, {"lt;", "<"},   {"gt;", ">"},          {"quot;", "\""}, {"apos;", "'"},
    {"#39;", "'"}, {"#34;", "\""}, {"nbsp;", "\xC2\xA0"}, {"#x27;", "'"},
};

/* Text without comments and tags. One that is not closed ends the search. */
static void without_tags(strv s, buf *out)
{
    size_t done = 0;
    for (size_t at; (at = jj_find(s, STRV("<"), done)) != SIZE_MAX;) {
        int comment = strv_starts((strv){s.p + at, s.n - at}, STRV("<!--"));
        size_t end = comment ? jj_find(s, STRV("-->"), at + 4) : jj_find(s, STRV(">"), at);
        if (end == SIZE_MAX) break;
        buf_add(out, s.p + done, at - done);
        done = end + (comment ? 3 : 1);
    }
    buf_add(out, s.p + done, s.n - done);
}

/* A reference at s.p[0], an '&': its text and bytes; 0 and a failure where only the whole table of
 * HTML's names could tell. */
static int reference(jj_rt *rt, strv s, const char **text, size_t *n)
{
    *text = "&";
    *n = 1;
    for (size_t k = 0; k < sizeof ENTITIES / sizeof *ENTITIES; k++)
        if (strv_starts((strv){s.p + 1, s.n - 1}, strv_of(ENTITIES[k].name))) {
            *text = ENTITIES[k].text;
            *n = 1 + strlen(ENTITIES[k].name);
            return 1;
        }
    if (s.n > 1 && (s.p[1] == '#' || ((s.p[1] | 0x20) >= 'a' && (s.p[1] | 0x20) <= 'z')))
        jj_fail(rt, "striptags: the reference %.*s is not supported", (int)(s.n < 12 ? s.n : 12),
                s.p);
    return jj_ok(rt);
}

/* Without tags, runs of white space as one blank, references resolved. */
jv jj_filter_striptags(jj_rt *rt, const jj_args *args)
{
    jv v[1];
    strv s;
    buf bare = {0}, b = {0};
    const char *text;
    if (!jj_bind(rt, "striptags", "value", 1, args, v)) return jj_none();
    v[0] = jj_soft_str(rt, v[0]);
    if (!jj_ok(rt) || !jj_work(rt, v[0].u.s->n * 2)) return jj_none();
    without_tags(jj_strv(v[0]), &bare);
    s = buf_view(&bare);
    for (size_t i = 0, n; i < s.n && jj_ok(rt); i += n) {
        if (jj_isspace(jj_decode(s.p + i, s.p + s.n, &n))) {
            while (i + n < s.n) {
                size_t more;
                if (!jj_isspace(jj_decode(s.p + i + n, s.p + s.n, &more))) break;
                n += more;
            }
            if (i && i + n < s.n) buf_add_char(&b, ' ');
        } else if (s.p[i] != '&')
            buf_add(&b, s.p + i, n);
        else if (reference(rt, (strv){s.p + i, s.n - i}, &text, &n))
            buf_add_str(&b, text);
    }
    buf_deinit(&bare);
    jj_trace(rt, &b, 0, b.n, jj_strv(v[0]));
    return jj_take(rt, &b);
}

/* ---- wordwrap ---- */

typedef struct wrap {
    jj_rt *rt;
    buf b;
    strv between;
    size_t width;
    int break_long, break_hyphens;
    int is_float; /* the width: no word can be cut then */
    int any;      /* a line was written */
} wrap;

static void put_line(wrap *w, strv line)
{
    if (w->any) jj_put(w->rt, &w->b, w->between);
    jj_put(w->rt, &w->b, line);
    w->any = 1;
}

static int is_blank(char c) { return c && strchr(" \t\n\v\f\r", c) != NULL; }

static unsigned char_at(strv s, size_t i)
{
    size_t n;
    return i < s.n ? jj_decode(s.p + i, s.p + s.n, &n) : 0;
}

/* The character before s.p[i]; *i moves to it. 0: none */
static unsigned char_before(strv s, size_t *i)
{
    if (!*i) return 0;
    *i -= jj_last_char((strv){s.p, *i});
    return char_at(s, *i);
}

static int is_word(unsigned c) { return c && (c == '_' || jj_isalnum(c)); }
static int is_letter(unsigned c) { return is_word(c) && !jj_isdecimal(c); }
static int is_punctuated(unsigned c)
{
    return is_word(c) || (c && c < 0x80 && strchr("!\"'&.,?", (int)c));
}

/* Two hyphens or more at i, behind a word and before one: their end, or 0. */
static size_t dashes(strv s, size_t i)
{
    size_t before = i, end = i;
    if (!is_punctuated(char_before(s, &before))) return 0;
    while (end < s.n && s.p[end] == '-')
        end++;
    return end >= i + 2 && is_word(char_at(s, end)) ? end : 0;
}

/* Whether a word may be cut behind the hyphen at i. */
static int is_hyphen(strv s, size_t i)
{
    size_t at = i, n;
    unsigned one = char_before(s, &at), two = char_before(s, &at), three = char_before(s, &at);
    if (!(is_letter(one) && is_letter(two)) &&
        !(is_punctuated(one) && two == '-' && is_letter(three)))
        return 0;
    at = i + 1;
    if (!is_letter(char_at(s, at))) return 0;
    jj_decode(s.p + at, s.p + s.n, &n);
    at += n;
    return is_letter(char_at(s, at)) || (char_at(s, at) == '-' && is_letter(char_at(s, at + 1)));
}

/* The end of the chunk that begins at i: white space, dashes, a word up to where it may be cut. */
static size_t chunk_end(const wrap *w, strv s, size_t i)
{
    size_t at = i, n;
    if (is_blank(s.p[i])) {
        while (at < s.n && is_blank(s.p[at]))
            at++;
        return at;
    }
    if (w->break_hyphens && s.p[i] == '-' && (at = dashes(s, i))) return at;
    for (at = i; at < s.n && !is_blank(s.p[at]); at += n) {
        jj_decode(s.p + at, s.p + s.n, &n);
        if (at == i || !w->break_hyphens || s.p[at] != '-') continue;
        if (is_hyphen(s, at)) return at + 1;
        if (dashes(s, at)) return at;
    }
    return at;
}

static int is_space(strv s) { return jj_strip(s, NULL, 1, 1).n == 0; }

/* How much of a word too long for a line goes on a line with room for `room` characters. */
static size_t cut_word(const wrap *w, strv word, size_t room)
{
    jj_str text = {word.p, word.n, JJ_UNCOUNTED, 0};
    size_t n = jj_offset(&text, room), k = n;
    if (!w->break_hyphens || jj_count(word) <= room) return n;
    while (k > 0 && word.p[k - 1] != '-')
        k--;
    if (k < 2) return n; /* a hyphen at the begin is none */
    for (size_t i = 0; i + 1 < k; i++)
        if (word.p[i] != '-') return k;
    return n;
}

/* One line of the text, wrapped: greedily, chunk by chunk. What is dropped is one chunk of white
 * space at the begin of a line that is not the first, and one at the end of every line. */
static void wrap_line(wrap *w, strv s)
{
    size_t at = 0, end, rest = 0; /* rest: where the chunk ends of which a part was written */
    int first = 1;
    while (at < s.n && jj_step(w->rt, 1)) {
        size_t begin, last, room = w->width, chars = 0;
        end = at < rest ? rest : chunk_end(w, s, at);
        if (!first && is_space((strv){s.p + at, end - at})) at = end;
        begin = last = at;
        while (at < s.n && jj_step(w->rt, 1)) {
            end = at < rest ? rest : chunk_end(w, s, at);
            chars = jj_count((strv){s.p + at, end - at});
            if (chars > room) break;
            room -= chars;
            last = at;
            at = end;
        }
        if (at < s.n && chars > w->width && (w->break_long || at == begin)) {
            if (w->break_long && w->is_float) {
                jj_fail(w->rt, "slice indices must be integers or None");
                return;
            }
            last = at;
            rest = end;
            at = w->break_long ? at + cut_word(w, (strv){s.p + at, end - at}, room) : end;
        }
        end = at;
        if (end > begin && is_space((strv){s.p + last, end - last})) end = last;
        if (end > begin) {
            put_line(w, (strv){s.p + begin, end - begin});
            first = 0;
        }
    }
}

jv jj_filter_wordwrap(jj_rt *rt, const jj_args *args)
{
    jv v[5];
    wrap w = {.rt = rt, .between = STRV("\n")};
    int64_t width = 79;
    jj_list *lines;
    if (!jj_bind(rt, "wordwrap", "s,width,break_long_words,wrapstring,break_on_hyphens", 1, args,
                 v))
        return jj_none();
    /* Without a line nothing else is asked. */
    if (jj_is_str(v[0]) && !v[0].u.s->n &&
        (jj_is_str(v[3]) || v[3].type == JJ_NONE || v[3].type == JJ_MISSING))
        return v[0];
    w.is_float = v[1].type == JJ_FLOAT;
    if (w.is_float && !(v[1].u.f >= 1)) /* below 1 the reference goes on for ever, or nearly so */
        return jj_fail(rt, "invalid width (must be > 0; a float at least 1)");
    if (w.is_float)
        width = v[1].u.f < 1e15 ? (int64_t)v[1].u.f : (int64_t)1e15;
    else if (!jj_arg_int(rt, "width", v[1], &width))
        return jj_none();
    w.break_long = v[2].type == JJ_MISSING || jj_truth(v[2]);
    w.break_hyphens = v[4].type == JJ_MISSING || jj_truth(v[4]);
    if (v[3].type != JJ_NONE && v[3].type != JJ_MISSING &&
        !jj_arg_str(rt, "wrapstring", v[3], &w.between))
        return jj_none();
    if (width <= 0) return jj_fail(rt, "invalid width %lld (must be > 0)", (long long)width);
    w.width = (size_t)width;
    if (v[0].type == JJ_UNDEFINED) return jj_fail_undefined(rt, v[0]);
    if (!jj_is_str(v[0])) return jj_fail(rt, "wordwrap wants a text, got '%s'", jj_type_name(v[0]));
    if (!jj_work(rt, v[0].u.s->n * 8)) return jj_none();
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
