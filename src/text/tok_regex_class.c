/* tok_regex_class.c: sets of characters of an Oniguruma pattern (tok_regex_translate.c), for PCRE2.
 *
 *   \w \p{..} [a-z&&[^aeiou]] --> something that matches exactly one character
 *
 * A class becomes either a PCRE2 class, or, when it holds what such a class cannot (a negated
 * property with exceptions, an intersection), a group of alternatives and look-aheads.
 *
 * With case ignored a class is written with case regarded, and takes in what tok_regex_fold.c finds
 * for its members; then it is negated.
 *
 * Traps: \w alone and \b also take six Latin-1 digits and fractions that [\w] does not. A property
 * outside of a class keeps its members when case is ignored. */
#include "text/tok_regex_translate.h"

/* \s as Oniguruma has it: PCRE2's holds U+180E too. */
#define SPACES                                                                                     \
    "\\t-\\r \\x85\\xa0\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"

/* What \w is beside [\w] when it stands alone: Oniguruma asks a table of Latin-1 there. */
#define WORD_ALONE "\\xb2\\xb3\\xb9\\xbc-\\xbe"

int regex_refuse(translate *t, const char *problem)
{
    if (!t->problem) t->problem = problem;
    return -1;
}

static void put_ranges(buf *out, const uint32_t (*ranges)[2], unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        buf_addf(out, "\\x{%x}-\\x{%x}", (unsigned)ranges[i][0], (unsigned)ranges[i][1]);
}

/* A literal, outside of a class or in one. */
void regex_put_literal(buf *out, uint32_t cp)
{
    if (cp < 0x80 && strchr("\\^$.|?*+()[]{}-&~#/", (int)cp) && cp)
        buf_addf(out, "\\%c", (char)cp);
    else if (cp <= 0x20 || cp == 0x7F)
        buf_addf(out, "\\x{%x}", (unsigned)cp);
    else
        buf_add_utf8(out, cp);
}

const regex_folds *regex_folding(translate *t)
{
    if (!t->folds && !(t->folds = regex_folds_open())) regex_refuse(t, "no memory");
    return t->folds;
}

/* ---- one character of a class, or a set ------------------------------------------------------ */

/* A class while it is read: what a PCRE2 class can hold, and alternatives beside it. */
typedef struct set {
    buf body;  /* inside of [...] */
    buf alts;  /* "|x|y": each matches one character */
    int alone; /* it stands outside of a class */
} set;

static void set_deinit(set *s)
{
    buf_deinit(&s->body);
    buf_deinit(&s->alts);
}

/* Writes the set as something that matches one character. */
static void put_set(buf *out, const set *s, int negate)
{
    if (s->alts.n == 0 && s->body.n > 0) {
        buf_addf(out, "[%s", negate ? "^" : "");
        buf_add_strv(out, buf_view(&s->body));
        buf_add_char(out, ']');
        return;
    }
    buf_add_str(out, negate ? "(?:(?!" : "(?:");
    if (s->body.n > 0) {
        buf_add_char(out, '[');
        buf_add_strv(out, buf_view(&s->body));
        buf_add_char(out, ']');
        buf_add_strv(out, buf_view(&s->alts));
    } else if (s->alts.n > 0) {
        buf_add(out, s->alts.p + 1, s->alts.n - 1);
    } else {
        buf_add_str(out, "(?!)");
    }
    buf_add_str(out, negate ? ")(?s:.))" : ")");
}

static void add_property(set *s, const uni_property *p, int negate)
{
    if (!negate && p->n_drop == 0) {
        buf_add_str(&s->body, p->pcre);
        put_ranges(&s->body, p->add, p->n_add);
        return;
    }
    buf_add_char(&s->alts, '|');
    if (p->n_drop == 0) {
        buf_addf(&s->alts, "[^%s", p->pcre);
        put_ranges(&s->alts, p->add, p->n_add);
        buf_add_char(&s->alts, ']');
        return;
    }
    buf_add_str(&s->alts, negate ? "(?:[" : "(?:(?![");
    put_ranges(&s->alts, p->drop, p->n_drop);
    buf_addf(&s->alts, "]%s[%s%s", negate ? "|" : ")", negate ? "^" : "", p->pcre);
    put_ranges(&s->alts, p->add, p->n_add);
    buf_add_str(&s->alts, "])");
}

static int add_named(translate *t, set *s, strv name, int negate)
{
    if (name.n > 0 && name.p[0] == '^') {
        negate = !negate;
        name = strv_from(name.p + 1, name.n - 1);
    }
    const uni_property *p = uni_property_find(name);
    if (!p) return regex_refuse(t, "a character property that is not built");
    if (!s->alone || strcmp(p->name, "word") != 0) {
        add_property(s, p, negate);
        return 0;
    }
    set word = {0};
    add_property(&word, p, 0);
    buf_add_str(&word.body, WORD_ALONE);
    buf_add_char(&s->alts, '|');
    put_set(&s->alts, &word, negate);
    if (word.body.failed) s->alts.failed = 1;
    set_deinit(&word);
    return 0;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static uint32_t read_number(translate *t, int base, int most)
{
    uint32_t v = 0;
    while (most-- > 0 && t->p < t->end && hex(*t->p) >= 0 && hex(*t->p) < base)
        v = v * (uint32_t)base + (uint32_t)hex(*t->p++);
    return v;
}

/* \x{..}, \xHH, \uHHHH, \nnn, \cX and the letters. Behind "\c". -> -1: no literal */
int regex_read_code(translate *t, char c, int in_class, uint32_t *cp)
{
    static const char letters[] = "tvnrfae", values[] = "\t\v\n\r\f\a\x1b";
    const char *hit = strchr(letters, c);
    if (c && hit) {
        *cp = (uint32_t)values[hit - letters];
        return 0;
    }
    if (c == 'b' && in_class) {
        *cp = 8;
        return 0;
    }
    if (c == 'x' && t->p < t->end && *t->p == '{') {
        t->p++;
        *cp = read_number(t, 16, 8);
        if (t->p >= t->end || *t->p++ != '}') return regex_refuse(t, "\\x{ without }");
    } else if (c == 'x') {
        *cp = read_number(t, 16, 2);
        if (*cp >= 0x80) return regex_refuse(t, "\\xHH over 7F (a raw byte)");
    } else if (c == 'u') {
        const char *from = t->p;
        *cp = read_number(t, 16, 4);
        if (t->p - from != 4) return regex_refuse(t, "\\u without four digits");
    } else if (c == '0' || (in_class && c >= '1' && c <= '7')) {
        t->p--;
        *cp = read_number(t, 8, 3);
        if (*cp >= 0x80) return regex_refuse(t, "an octal byte over 177");
    } else if (c == 'c' && t->p < t->end && (unsigned char)*t->p < 0x80) {
        *cp = (uint32_t)*t->p++ & 0x1F;
    } else {
        return -1;
    }
    return *cp > 0x10FFFF || (*cp >= 0xD800 && *cp < 0xE000) ? regex_refuse(t, "no code point") : 0;
}

/* \w \s \d \h \p{..} and their negations, behind "\c". -> 0 added, 1 none of them */
static int add_escape_set(translate *t, set *s, char c)
{
    int negate = c >= 'A' && c <= 'Z';
    switch (c) {
    case 'w':
    case 'W':
        return add_named(t, s, STRV("word"), negate);
    case 'd':
    case 'D':
        return add_named(t, s, STRV("digit"), negate);
    case 'h':
    case 'H':
        return add_named(t, s, STRV("xdigit"), negate);
    case 's':
        buf_add_str(&s->body, SPACES);
        return 0;
    case 'S':
        buf_add_str(&s->alts, "|[^" SPACES "]");
        return 0;
    case 'p':
    case 'P': {
        if (t->p >= t->end || *t->p != '{') return 1;
        const char *from = t->p + 1, *to = memchr(from, '}', (size_t)(t->end - from));
        if (!to) return 1;
        t->p = to + 1;
        return add_named(t, s, strv_from(from, (size_t)(to - from)), negate);
    }
    default:
        return 1;
    }
}

/* ---- classes --------------------------------------------------------------------------------- */

static int read_class(translate *t, buf *out);

uint32_t regex_take(translate *t)
{
    size_t width;
    uint32_t cp = utf8_at(t->p, &width);
    t->p += width;
    return cp;
}

/* [:punct:] has symbols too, \p{punct} has not. */
static void add_punct(set *s, int negate)
{
    set both = {0};
    add_property(&both, uni_property_find(STRV("punctuation")), 0);
    add_property(&both, uni_property_find(STRV("symbol")), 0);
    buf_add_char(&s->alts, '|');
    put_set(&s->alts, &both, negate);
    if (both.body.failed) s->alts.failed = 1;
    set_deinit(&both);
}

/* [:name:] at p (behind the bracket). -> 1 read, 0 is none */
static int read_posix(translate *t, set *s)
{
    const char *from = t->p + 1, *to = from;
    if (t->p >= t->end || *t->p != ':') return 0;
    while (to < t->end && (hex(*to) >= 0 || (*to >= 'a' && *to <= 'z') || *to == '^'))
        to++;
    if (to + 1 >= t->end || to[0] != ':' || to[1] != ']') return 0;
    t->p = to + 2;
    strv name = strv_from(from, (size_t)(to - from));
    if (!strv_is(name, "punct") && !strv_is(name, "^punct"))
        return add_named(t, s, name, 0) ? -1 : 1;
    add_punct(s, name.p[0] == '^');
    return 1;
}

/* One literal of a class: -> 1 read, 0 it was a set and is added, -1 refused. */
static int class_item(translate *t, set *s, uint32_t *cp)
{
    if (*t->p == '[') {
        t->p++;
        int posix = read_posix(t, s);
        if (posix) return posix < 0 ? -1 : 0;
        buf_add_char(&s->alts, '|');
        return read_class(t, &s->alts) ? -1 : 0;
    }
    if (*t->p != '\\') {
        *cp = regex_take(t);
        return 1;
    }
    if (++t->p >= t->end) return regex_refuse(t, "a backslash at the end");
    char c = *t->p;
    if ((unsigned char)c >= 0x80) {
        *cp = regex_take(t);
        return 1;
    }
    t->p++;
    int rc = add_escape_set(t, s, c);
    if (rc <= 0) return rc;
    if (c == 'R' || c == 'X' || c == 'M' || c == 'C' || c == 'N' || c == 'O')
        return regex_refuse(t, "this escape in a class");
    if (regex_read_code(t, c, 1, cp) == 0) return 1;
    if (t->problem) return -1;
    *cp = (uint32_t)c;
    return 1;
}

/* Items up to ']' or "&&". */
static int class_items(translate *t, set *s, int first)
{
    while (t->p < t->end && (*t->p != ']' || first)) {
        uint32_t low = 0, high = 0;
        if (t->end - t->p >= 2 && t->p[0] == '&' && t->p[1] == '&') return 0;
        if (first && *t->p == ']' && !memchr(t->p + 1, ']', (size_t)(t->end - t->p) - 1))
            return regex_refuse(t, "an empty class");
        first = 0;
        int rc = class_item(t, s, &low);
        if (rc < 0) return -1;
        if (rc == 0) continue;
        regex_put_literal(&s->body, low);
        if (t->end - t->p < 2 || t->p[0] != '-' || t->p[1] == ']') continue;
        if (t->p[1] == '&' && t->end - t->p > 2 && t->p[2] == '&') continue;
        t->p++;
        set other = {0};
        rc = class_item(t, &other, &high);
        if (rc < 0 || (rc > 0 && high < low)) {
            set_deinit(&other);
            return rc < 0 ? -1 : regex_refuse(t, "an empty range in a class");
        }
        if (rc == 0) { /* [a-\d]: the minus is itself */
            buf_add_str(&s->body, "\\-");
            buf_add_strv(&s->body, buf_view(&other.body));
            buf_add_strv(&s->alts, buf_view(&other.alts));
        } else {
            buf_add_char(&s->body, '-');
            regex_put_literal(&s->body, high);
        }
        set_deinit(&other);
    }
    return 0;
}

/* The bracket is read; appends what matches one character of the class. negate: it began with ^. */
static int read_items(translate *t, buf *out, int negate)
{
    buf both = {0}; /* "(?=a)(?=b)" of an intersection */
    set s = {0};
    int first = 1, rc = -1;
    if (++t->depth > REGEX_DEPTH_MAX) {
        regex_refuse(t, "nested too deeply");
        goto out;
    }
    for (;;) {
        if (class_items(t, &s, first)) goto out;
        if (t->p >= t->end) {
            regex_refuse(t, "a class without its end");
            goto out;
        }
        first = 0;
        if (*t->p == ']') break;
        t->p += 2; /* && */
        buf_add_str(&both, "(?=");
        put_set(&both, &s, 0);
        buf_add_char(&both, ')');
        set_deinit(&s);
    }
    t->p++;
    if (both.n == 0) {
        put_set(out, &s, negate);
    } else {
        buf_add_str(out, negate ? "(?:(?!" : "(?:");
        buf_add_strv(out, buf_view(&both));
        put_set(out, &s, 0);
        buf_add_str(out, negate ? ")(?s:.))" : ")");
    }
    rc = both.failed || s.body.failed || s.alts.failed ? regex_refuse(t, "no memory") : 0;
out:
    t->depth--;
    set_deinit(&s);
    buf_deinit(&both);
    return rc;
}

static int is_negated(translate *t)
{
    if (t->p >= t->end || *t->p != '^') return 0;
    t->p++;
    return 1;
}

static int read_class(translate *t, buf *out) { return read_items(t, out, is_negated(t)); }

/* [..] with more in it, where it is a plain class. */
static void put_widened(buf *out, strv body, strv more)
{
    int plain = body.n > 2 && body.p[0] == '[' && body.p[1] != '^' && body.p[body.n - 1] == ']';
    buf_add_str(out, "(?-i:");
    if (plain && more.n) body.n--;
    buf_add_strv(out, body);
    if (more.n) {
        buf_add_str(out, plain ? "" : "|[");
        buf_add_strv(out, more);
        buf_add_char(out, ']');
    }
    buf_add_char(out, ')');
}

/* A class with case ignored. */
static int read_folded(translate *t)
{
    buf body = {0}, more = {0}, several = {0};
    int negate = is_negated(t), rc = -1;
    const regex_folds *folds = regex_folding(t);
    if (!folds || read_items(t, &body, 0)) goto out;
    if (body.failed || regex_folds_set(folds, buf_view(&body), &more, &several)) {
        regex_refuse(t, "no memory");
        goto out;
    }
    if (several.n && t->behind && !negate) {
        regex_refuse(t, "letters that fold to several, in a look-behind");
        goto out;
    }
    buf_add_str(t->out, negate ? "(?:(?!" : "(?:");
    put_widened(t->out, buf_view(&body), buf_view(&more));
    if (!negate) buf_add_strv(t->out, buf_view(&several));
    buf_add_str(t->out, negate ? ")(?s:.))" : ")");
    rc = 0;
out:
    buf_deinit(&body);
    buf_deinit(&more);
    buf_deinit(&several);
    return rc;
}

int regex_read_class(translate *t) { return t->fold ? read_folded(t) : read_class(t, t->out); }

int regex_read_set(translate *t, char c)
{
    set s = {.alone = 1};
    int rc = add_escape_set(t, &s, c);
    if (rc == 0) {
        buf_add_str(t->out, t->fold ? "(?-i:" : "");
        put_set(t->out, &s, 0);
        buf_add_str(t->out, t->fold ? ")" : "");
    }
    if (s.body.failed || s.alts.failed) rc = regex_refuse(t, "no memory");
    set_deinit(&s);
    return rc;
}

void regex_put_boundary(buf *out, int negate)
{
    buf word = {0};
    set s = {0};
    add_property(&s, uni_property_find(STRV("word")), 0);
    buf_add_str(&s.body, WORD_ALONE);
    put_set(&word, &s, 0);
    const char *w = buf_str(&word);
    buf_addf(out, negate ? "(?:(?<=%s)(?=%s)|(?<!%s)(?!%s))" : "(?:(?<=%s)(?!%s)|(?<!%s)(?=%s))", w,
             w, w, w);
    if (word.failed) out->failed = 1;
    set_deinit(&s);
    buf_deinit(&word);
}
