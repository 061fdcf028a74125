/* tok_regex_translate.c: a pattern of Oniguruma (Ruby syntax) written again for PCRE2.
 *
 *   Oniguruma text --> one pass, recursive over groups and classes --> PCRE2 text
 *
 * Compiled with PCRE2_UTF | UCP | MULTILINE, newline LF. What differs and is settled here:
 *   (?m) is dotall; ^ and $ are always line anchors; \h is a hex digit, \v one character
 *   \s \w \d \b and \p{..} mean Oniguruma's sets, of its Unicode version (tok_unicode_tables.c)
 *   (?i) in the middle of a group holds for all alternatives that follow: (?i:...|...)
 *   {n,m}+ is a repeat of a repeat, not possessive; {n}? is optional, not lazy; {,n} starts at 0
 *   classes nest and intersect: [a-z&&[^aeiou]]
 * Anything else that PCRE2 would read in another way is refused by name.
 *
 * A class becomes either a PCRE2 class, or, when it holds what such a class cannot (a negated
 * property with exceptions, an intersection), a group of alternatives and look-aheads that matches
 * exactly one character.
 *
 * Traps: \w alone and \b also take six Latin-1 digits and fractions that [\w] does not.
 *
 * Source: Oniguruma doc/RE, doc/SYNTAX.md (Ruby syntax). */
#include "text/tok_regex_names.h"

enum { DEPTH_MAX = 100 };

/* \s as Oniguruma has it: PCRE2's holds U+180E too. */
#define SPACES                                                                                     \
    "\\t-\\r \\x85\\xa0\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"

/* What \w is beside [\w] when it stands alone: Oniguruma asks a table of Latin-1 there. */
#define WORD_ALONE "\\xb2\\xb3\\xb9\\xbc-\\xbe"

typedef struct translate {
    const char *p, *end;
    buf *out;
    const char *problem;
    int depth;
    int extended; /* (?x) */
    int alone;    /* a set outside of a class */
    int fold;     /* (?i) */
    int opened;   /* capturing groups so far */
    regex_names names;
} translate;

static int refuse(translate *t, const char *problem)
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
static void put_literal(buf *out, uint32_t cp)
{
    if (cp < 0x80 && strchr("\\^$.|?*+()[]{}-&~#/", (int)cp) && cp)
        buf_addf(out, "\\%c", (char)cp);
    else if (cp <= 0x20 || cp == 0x7F)
        buf_addf(out, "\\x{%x}", (unsigned)cp);
    else
        buf_add_utf8(out, cp);
}

/* ---- one character of a class, or a set ------------------------------------------------------ */

/* A class while it is read: what a PCRE2 class can hold, and alternatives beside it. */
typedef struct set {
    buf body; /* inside of [...] */
    buf alts; /* "|x|y": each matches one character */
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

/* With case ignored Oniguruma takes every case variant of a set's members; these sets hold them
 * already. Of a letter's variants one is a mark: U+0345. */
static int add_folded(translate *t, set *s, const uni_property *p, int negate)
{
    static const char *const closed[] = {
        "word", "digit", "space", "xdigit", "alnum",  "alpha",    "alphabetic", "n",      "number",
        "nd",   "p",     "s",     "z",      "zs",     "punct",    "han",        "hangul", "arabic",
        "thai", "c",     "cntrl", "any",    "hebrew", "hiragana", "katakana"};
    for (size_t i = 0; i < sizeof closed / sizeof *closed; i++)
        if (strcmp(p->name, closed[i]) == 0) {
            add_property(s, p, negate);
            return 0;
        }
    if (negate || (strcmp(p->name, "l") != 0 && strcmp(p->name, "letter") != 0))
        return refuse(t, "this character property with case ignored");
    add_property(s, p, 0);
    buf_add_str(&s->body, "\\x{345}");
    return 0;
}

static int add_named(translate *t, set *s, strv name, int negate)
{
    if (name.n > 0 && name.p[0] == '^') {
        negate = !negate;
        name = strv_from(name.p + 1, name.n - 1);
    }
    const uni_property *p = uni_property_find(name);
    if (!p) return refuse(t, "a character property that is not built");
    if (t->alone && strcmp(p->name, "word") == 0) {
        set word = {0};
        add_property(&word, p, 0);
        buf_add_str(&word.body, WORD_ALONE);
        buf_add_char(&s->alts, '|');
        put_set(&s->alts, &word, negate);
        if (word.body.failed) s->alts.failed = 1;
        set_deinit(&word);
        return 0;
    }
    if (t->fold) return add_folded(t, s, p, negate);
    add_property(s, p, negate);
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
static int read_code(translate *t, char c, int in_class, uint32_t *cp)
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
        if (t->p >= t->end || *t->p++ != '}') return refuse(t, "\\x{ without }");
    } else if (c == 'x') {
        *cp = read_number(t, 16, 2);
        if (*cp >= 0x80) return refuse(t, "\\xHH over 7F (a raw byte)");
    } else if (c == 'u') {
        const char *from = t->p;
        *cp = read_number(t, 16, 4);
        if (t->p - from != 4) return refuse(t, "\\u without four digits");
    } else if (c == '0' || (in_class && c >= '1' && c <= '7')) {
        t->p--;
        *cp = read_number(t, 8, 3);
        if (*cp >= 0x80) return refuse(t, "an octal byte over 177");
    } else if (c == 'c' && t->p < t->end && (unsigned char)*t->p < 0x80) {
        *cp = (uint32_t)*t->p++ & 0x1F;
    } else {
        return -1;
    }
    return *cp > 0x10FFFF || (*cp >= 0xD800 && *cp < 0xE000) ? refuse(t, "no code point") : 0;
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

static uint32_t take(translate *t)
{
    size_t width;
    uint32_t cp = utf8_at(t->p, &width);
    t->p += width;
    return cp;
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
    return add_named(t, s, strv_from(from, (size_t)(to - from)), 0) ? -1 : 1;
}

/* One literal of a class: -> 1 read, 0 it was a set and is added, -1 refused. */
static int class_item(translate *t, set *s, uint32_t *cp)
{
    if (*t->p == '[') {
        t->p++;
        int posix = read_posix(t, s);
        if (posix) return posix < 0 ? -1 : 0;
        if (t->fold && t->p < t->end && *t->p == '^')
            return refuse(t, "a negated class in a class with case ignored");
        buf_add_char(&s->alts, '|');
        return read_class(t, &s->alts) ? -1 : 0;
    }
    if (*t->p != '\\') {
        *cp = take(t);
        return 1;
    }
    if (++t->p >= t->end) return refuse(t, "a backslash at the end");
    char c = *t->p;
    if ((unsigned char)c >= 0x80) {
        *cp = take(t);
        return 1;
    }
    t->p++;
    int rc = add_escape_set(t, s, c);
    if (rc <= 0) return rc;
    if (c == 'R' || c == 'X' || c == 'M' || c == 'C' || c == 'N' || c == 'O')
        return refuse(t, "this escape in a class");
    if (read_code(t, c, 1, cp) == 0) return 1;
    if (t->problem) return -1;
    *cp = (uint32_t)c;
    return 1;
}

/* Items up to ']' or "&&". */
static int class_items(translate *t, set *s, int first)
{
    while (t->p < t->end && (*t->p != ']' || first)) {
        uint32_t low, high;
        if (t->end - t->p >= 2 && t->p[0] == '&' && t->p[1] == '&') return 0;
        if (first && *t->p == ']' && !memchr(t->p + 1, ']', (size_t)(t->end - t->p) - 1))
            return refuse(t, "an empty class");
        first = 0;
        int rc = class_item(t, s, &low);
        if (rc < 0) return -1;
        if (rc == 0) continue;
        put_literal(&s->body, low);
        if (t->end - t->p < 2 || t->p[0] != '-' || t->p[1] == ']') continue;
        if (t->p[1] == '&' && t->end - t->p > 2 && t->p[2] == '&') continue;
        t->p++;
        set other = {0};
        rc = class_item(t, &other, &high);
        if (rc < 0 || (rc > 0 && high < low)) {
            set_deinit(&other);
            return rc < 0 ? -1 : refuse(t, "an empty range in a class");
        }
        if (rc == 0) { /* [a-\d]: the minus is itself */
            buf_add_str(&s->body, "\\-");
            buf_add_strv(&s->body, buf_view(&other.body));
            buf_add_strv(&s->alts, buf_view(&other.alts));
        } else {
            buf_add_char(&s->body, '-');
            put_literal(&s->body, high);
        }
        set_deinit(&other);
    }
    return 0;
}

/* The bracket is read; appends what matches one character of the class. */
static int read_class(translate *t, buf *out)
{
    buf both = {0}; /* "(?=a)(?=b)" of an intersection */
    set s = {0};
    int negate = 0, first = 1, rc = -1;
    if (++t->depth > DEPTH_MAX) {
        refuse(t, "nested too deeply");
        goto out;
    }
    if (t->p < t->end && *t->p == '^') {
        negate = 1;
        t->p++;
    }
    for (;;) {
        if (class_items(t, &s, first)) goto out;
        if (t->p >= t->end) {
            refuse(t, "a class without its end");
            goto out;
        }
        first = 0;
        if (*t->p == ']') break;
        if (t->fold) {
            refuse(t, "an intersection with case ignored");
            goto out;
        }
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
    rc = both.failed || s.body.failed || s.alts.failed ? refuse(t, "no memory") : 0;
out:
    t->depth--;
    set_deinit(&s);
    buf_deinit(&both);
    return rc;
}

/* ---- atoms ----------------------------------------------------------------------------------- */

static int read_alternatives(translate *t);

static void put_boundary(buf *out, int negate)
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

/* \k<..> and \g<..>, behind the letter. */
static int read_reference(translate *t, int is_call)
{
    strv name;
    if (!regex_names_read(&t->p, t->end, &name)) return refuse(t, "a reference without its name");
    int group = regex_names_group(&t->names, name, t->opened, is_call);
    if (group < 0) return refuse(t, "a reference to no group");
    if (is_call && t->names.references) /* what a call matched is seen from outside, there alone */
        return refuse(t, "a subexpression call beside back-references");
    buf_addf(t->out, is_call ? "(?%d)" : "\\g{%d}", group);
    return 0;
}

/* Behind a backslash, outside of a class. */
static int read_escape(translate *t)
{
    set s = {0};
    uint32_t cp;
    if (t->p >= t->end) return refuse(t, "a backslash at the end");
    char c = *t->p;
    if ((unsigned char)c >= 0x80) {
        put_literal(t->out, take(t));
        return 0;
    }
    t->p++;
    t->alone = 1;
    int rc = add_escape_set(t, &s, c);
    t->alone = 0;
    if (rc == 0) put_set(t->out, &s, 0);
    if (s.body.failed || s.alts.failed) rc = refuse(t, "no memory");
    set_deinit(&s);
    if (rc <= 0) return rc;
    switch (c) {
    case 'A':
    case 'Z':
    case 'z':
    case 'G':
    case 'K':
        buf_addf(t->out, "\\%c", c);
        return 0;
    case 'b':
    case 'B':
        put_boundary(t->out, c == 'B');
        return 0;
    case 'N':
        buf_add_str(t->out, "[^\\n]");
        return 0;
    case 'O':
        buf_add_str(t->out, "(?s:.)");
        return 0;
    case 'R':
        buf_add_str(t->out, "(?>\\r\\n|[\\n-\\r\\x85\\x{2028}\\x{2029}])");
        return 0;
    case 'X': /* Oniguruma looks behind it, PCRE2 does not, and joins emoji otherwise */
    case 'y':
    case 'Y':
        return refuse(t, "text segments (\\X, \\y)");
    case 'M':
    case 'C':
        return refuse(t, "\\M and \\C escapes");
    case 'g':
    case 'k':
        return read_reference(t, c == 'g');
    default:
        break;
    }
    if (c >= '1' && c <= '9') {
        if (t->p < t->end && *t->p >= '0' && *t->p <= '9')
            return refuse(t, "a back-reference of two digits");
        if (t->names.named) return refuse(t, "a numbered back-reference beside named groups");
        if (c - '0' > t->names.groups) return refuse(t, "a back-reference to no group");
        buf_addf(t->out, "\\g{%c}", c);
        return 0;
    }
    if (read_code(t, c, 0, &cp) == 0) {
        put_literal(t->out, cp);
        return 0;
    }
    if (t->problem) return -1;
    put_literal(t->out, (uint32_t)c);
    return 0;
}

/* Options up to ':' or ')': -> the character that ended them, or 0 (refused). */
static char read_options(translate *t, buf *text, int *fold, int *extended)
{
    int off = 0, on_s = -1;
    *fold = t->fold;
    *extended = t->extended;
    while (t->p < t->end) {
        char c = *t->p++;
        switch (c) {
        case '-':
            off = 1;
            break;
        case 'i':
            *fold = !off;
            break;
        case 'm':
            on_s = !off;
            break;
        case 'x':
            *extended = !off;
            break;
        case ':':
        case ')':
            if (on_s >= 0) buf_add_str(text, on_s ? "s" : "");
            if (*fold && !t->fold) buf_add_char(text, 'i');
            if (on_s == 0 || (!*fold && t->fold)) {
                buf_add_char(text, '-');
                if (on_s == 0) buf_add_char(text, 's');
                if (!*fold && t->fold) buf_add_char(text, 'i');
            }
            return c;
        default:
            refuse(t, "this group option");
            return 0;
        }
    }
    refuse(t, "a group without its end");
    return 0;
}

static int close_group(translate *t)
{
    if (t->p >= t->end || *t->p != ')') return refuse(t, "a group without its end");
    t->p++;
    buf_add_char(t->out, ')');
    return 0;
}

/* (?imx-imx) and (?imx-imx:...) */
static int read_option_group(translate *t)
{
    buf text = {0};
    int fold, extended, old_fold = t->fold, old_extended = t->extended, rc = -1;
    char c = read_options(t, &text, &fold, &extended);
    if (!c) goto out;
    buf_addf(t->out, "(?%s:", buf_str(&text));
    t->fold = fold;
    t->extended = extended;
    if (read_alternatives(t)) goto out;
    if (c == ':') {
        rc = close_group(t);
    } else { /* holds to the end of the enclosing group, alternatives included */
        buf_add_char(t->out, ')');
        rc = 0;
    }
out:
    t->fold = old_fold;
    t->extended = old_extended;
    buf_deinit(&text);
    return rc;
}

/* (?<name>..): names.c knows the name, PCRE2 the number. */
static int read_named_group(translate *t)
{
    strv name;
    if (!regex_names_read(&t->p, t->end, &name)) return refuse(t, "a group's name without its end");
    if ((name.p[0] >= '0' && name.p[0] <= '9') || name.p[0] == '-' || name.p[0] == '+')
        return refuse(t, "a group's name that begins with a digit or a sign");
    t->opened++;
    buf_add_char(t->out, '(');
    return read_alternatives(t) ? -1 : close_group(t);
}

/* The parenthesis is read. isolated: 1 when it was (?i), which takes no quantifier. */
static int read_group(translate *t, int *isolated)
{
    static const char *const heads[] = {"?:", "?=", "?!", "?>", "?<=", "?<!"};
    size_t left = (size_t)(t->end - t->p);
    *isolated = 0;
    if (left && *t->p == '*') return refuse(t, "a callout");
    if (left && *t->p != '?') {
        buf_add_str(t->out, t->names.named ? "(?:" : "(");
        t->opened += !t->names.named;
        return read_alternatives(t) ? -1 : close_group(t);
    }
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        size_t n = strlen(heads[i]);
        if (left < n || memcmp(t->p, heads[i], n)) continue;
        t->p += n;
        buf_addf(t->out, "(%s", heads[i]);
        return read_alternatives(t) ? -1 : close_group(t);
    }
    t->p++;
    if (t->p >= t->end) return refuse(t, "a group without its end");
    switch (*t->p) {
    case '#':
        while (t->p < t->end && *t->p != ')')
            t->p += *t->p == '\\' && t->p + 1 < t->end ? 2 : 1;
        if (t->p >= t->end) return refuse(t, "a comment without its end");
        t->p++;
        *isolated = 1;
        return 0;
    case '<':
    case '\'':
        return read_named_group(t);
    case '~':
        return refuse(t, "an absent function");
    case '{':
        return refuse(t, "a callout");
    case '(':
        return refuse(t, "a condition");
    default:
        break;
    }
    const char *c = t->p;
    while (c < t->end && *c != ':' && *c != ')')
        c++;
    *isolated = c < t->end && *c == ')';
    return read_option_group(t);
}

/* ---- quantifiers ----------------------------------------------------------------------------- */

/* {n}, {n,}, {,m}, {n,m} at p. -> 1 read, 0 none (the brace is itself), -1 refused */
static int read_interval(translate *t, int *low, int *high)
{
    const char *p = t->p + 1;
    int has_low = 0, has_high = 0, v[2] = {0, -1};
    for (; p < t->end && *p >= '0' && *p <= '9'; p++, has_low = 1)
        if ((v[0] = v[0] * 10 + (*p - '0')) > 65535) return refuse(t, "a repeat over 65535");
    if (p < t->end && *p == ',') {
        p++;
        for (; p < t->end && *p >= '0' && *p <= '9'; p++, has_high = 1) {
            v[1] = (v[1] < 0 ? 0 : v[1]) * 10 + (*p - '0');
            if (v[1] > 65535) return refuse(t, "a repeat over 65535");
        }
        if (!has_low && !has_high) return 0;
    } else {
        if (!has_low) return 0;
        v[1] = v[0];
    }
    if (p >= t->end || *p != '}') return 0;
    if (v[1] >= 0 && v[1] < v[0]) return refuse(t, "{n,m} with n > m");
    t->p = p + 1;
    *low = v[0];
    *high = v[1];
    return 1;
}

/* Puts "(?:" before what was written from start on, and ")" behind it. */
static void wrap(buf *out, size_t start)
{
    if (!buf_reserve(out, 4)) return;
    memmove(out->p + start + 3, out->p + start, out->n - start);
    memcpy(out->p + start, "(?:", 3);
    out->n += 3;
    buf_add_char(out, ')');
}

/* A plain + at p, neither lazy nor possessive. */
static int is_repeat(const translate *t)
{
    if (t->p >= t->end || *t->p != '+') return 0;
    return t->p + 1 == t->end || (t->p[1] != '?' && t->p[1] != '+' && t->p[1] != '*');
}

/* Quantifiers of the atom that was written from start on. */
static int read_quantifiers(translate *t, size_t start)
{
    for (int count = 0; t->p < t->end; count++) {
        int low = 0, high = 0, interval = 0;
        char c = *t->p;
        if (c == '{') {
            interval = read_interval(t, &low, &high);
            if (interval <= 0) return interval;
        } else if (c == '?' || c == '*' || c == '+') {
            t->p++;
        } else {
            return 0;
        }
        if (interval && low <= 1 && high != 0 &&
            is_repeat(t)) { /* {1,3}+ is +, without its many ways */
            t->p++;
            interval = 0;
            c = low ? '+' : '*';
        }
        if (count > 0) wrap(t->out, start);
        if (count > 50) return refuse(t, "too many quantifiers");
        if (!interval)
            buf_add_char(t->out, c);
        else if (high < 0)
            buf_addf(t->out, "{%d,}", low);
        else
            buf_addf(t->out, "{%d,%d}", low, high);
        if (t->p >= t->end) return 0;
        if (*t->p == '?' && (!interval || low != high)) {
            t->p++;
            buf_add_char(t->out, '?');
        } else if (*t->p == '+' && !interval) {
            t->p++;
            buf_add_char(t->out, '+');
        }
    }
    return 0;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int read_atom(translate *t)
{
    size_t start = t->out->n;
    int isolated = 0, rc = 0;
    uint32_t cp;
    switch (*t->p) {
    case '\\':
        t->p++;
        rc = read_escape(t);
        break;
    case '[':
        t->p++;
        rc = read_class(t, t->out);
        break;
    case '(':
        t->p++;
        rc = read_group(t, &isolated);
        break;
    case '.':
    case '^':
    case '$':
        buf_add_char(t->out, *t->p++);
        break;
    case '?':
    case '*':
    case '+':
        return refuse(t, "a quantifier without a target");
    default:
        cp = take(t);
        put_literal(t->out, cp);
        break;
    }
    if (rc || isolated) return rc;
    return read_quantifiers(t, start);
}

/* White space and comments of an extended pattern. */
static void skip_extended(translate *t)
{
    while (t->extended && t->p < t->end) {
        if (*t->p == '#')
            while (t->p < t->end && *t->p != '\n')
                t->p++;
        else if (strchr(" \t\n\r\f\v", *t->p) && *t->p)
            t->p++;
        else
            return;
    }
}

/* Letters that one character stands for when case is ignored ("ss" is also U+00DF): PCRE2 folds
 * single characters only. */
static int folds_many(const translate *t, const char *from)
{
    static const char *const pairs[] = {"ss", "ff", "fi", "fl", "st"};
    if (!t->fold || t->end - from < 2) return 0;
    char a = (char)(from[0] | 32), b = (char)(from[1] | 32);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (a == pairs[i][0] && b == pairs[i][1]) return 1;
    return 0;
}

static int read_alternatives(translate *t)
{
    if (++t->depth > DEPTH_MAX) return refuse(t, "nested too deeply");
    for (;;) {
        skip_extended(t);
        if (t->p >= t->end || *t->p == ')') break;
        if (*t->p == '|') {
            buf_add_char(t->out, '|');
            t->p++;
            continue;
        }
        if (folds_many(t, t->p)) return refuse(t, "letters that fold to one character");
        if (read_atom(t)) return -1;
    }
    t->depth--;
    return 0;
}

int tok_regex_translate(strv pattern, buf *out, const char **problem)
{
    translate t = {.p = pattern.p, .end = pattern.p + pattern.n, .out = out};
    int rc = 0;
    t.problem = regex_names_scan(pattern, &t.names);
    rc = t.problem ? -1 : read_alternatives(&t);
    if (rc == 0 && t.p < t.end) rc = refuse(&t, "a ) without its (");
    *problem = t.problem ? t.problem : "";
    return rc;
}
