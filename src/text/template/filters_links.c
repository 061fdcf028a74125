/* filters_links.c: urlize, which makes links of the addresses in a text, and random.
 *
 *   words and the white space between them -> head ( < , middle, tail ) > . , -> <a href=..>
 *
 * Source: jinja2 3.1.6 utils.py urlize and filters.py do_urlize, do_random (behaviour).
 * Traps: the text is escaped first, so brackets are &lt; and &gt;. Case is ignored as Python's
 *        regular expressions do it: U+0130 and U+0131 are an i, U+017F an s, U+212A a k. A word
 *        character is what isalnum says, or _. random takes the same element whenever the same
 *        template meets the same values: a prompt has to be reproducible. */
#include "text/template/content.h"
#include "text/template/filters.h"
#include "text/template/text.h"

#include <stdlib.h>

/* ---- what an address is made of -------------------------------------------------------------- */

static unsigned at_of(strv s, size_t i, size_t *n)
{
    *n = 0;
    return i < s.n ? jj_decode(s.p + i, s.p + s.n, n) : 0;
}

/* A letter of ASCII in lower case, case ignored; 0: none. */
static unsigned letter(unsigned c)
{
    if (c >= 'A' && c <= 'Z') return c + 32;
    if (c >= 'a' && c <= 'z') return c;
    return c == 0x130 || c == 0x131 ? 'i' : c == 0x17F ? 's' : c == 0x212A ? 'k' : 0;
}

static int is_word(unsigned c) { return c && (c == '_' || jj_isalnum(c)); }
static int is_host(unsigned c) { return is_word(c) || c == '%' || c == '-'; }
static int is_hex(unsigned c)
{
    unsigned low = letter(c);
    return (c && jj_isdecimal(c)) || (low >= 'a' && low <= 'f');
}
static int is_digit(unsigned c) { return c && jj_isdecimal(c); }
static int is_letter(unsigned c) { return letter(c) != 0; }
static int is_coded(unsigned c) { return is_word(c) || c == '%'; } /* behind xn-- */

/* How many characters of a kind stand at *i, which moves behind them. */
static size_t run(strv s, size_t *i, int (*kind)(unsigned))
{
    size_t count = 0, n;
    while (kind(at_of(s, *i, &n))) {
        *i += n;
        count++;
    }
    return count;
}

/* Skips a word of ASCII at *i, case ignored. */
static int skip(strv s, size_t *i, const char *word)
{
    size_t at = *i, n;
    for (; *word; word++, at += n) {
        unsigned c = at_of(s, at, &n);
        if (c != (unsigned)*word && letter(c) != (unsigned)*word) return 0;
    }
    *i = at;
    return 1;
}

/* Whether an address that is whole up to i may end so: a port, then a path or nothing. */
static int ends_well(strv s, size_t i)
{
    size_t digits;
    if (i < s.n && s.p[i] == ':') {
        i++;
        digits = run(s, &i, is_digit);
        if (digits < 1 || digits > 5) return 0;
    }
    return i == s.n || s.p[i] == '/' || s.p[i] == '?' || s.p[i] == '#';
}

/* Names with dots, the last of them letters, or xn-- and a code. */
static int is_named_host(strv s, size_t i)
{
    for (size_t end, n;; i = end + 1) {
        end = i;
        n = run(s, &end, is_letter);
        if (n >= 2 && n <= 63 && ends_well(s, end)) return 1;
        end = i;
        if (skip(s, &end, "xn--")) {
            n = run(s, &end, is_coded);
            if (n >= 2 && n <= 59 && ends_well(s, end)) return 1;
        }
        end = i;
        if (!run(s, &end, is_host) || end == s.n || s.p[end] != '.') return 0;
    }
}

/* A name without a scheme: only with one of the old endings. */
static int is_bare_host(strv s)
{
    static const char *const ENDINGS[] = {"com", "net", "int", "edu", "gov", "org", "info", "mil"};
    for (size_t i = 0, end, n;; i = end + 1) {
        for (size_t k = 0; i && k < sizeof ENDINGS / sizeof *ENDINGS; k++) {
            end = i;
            if (skip(s, &end, ENDINGS[k]) && ends_well(s, end)) return 1;
        }
        end = i;
        n = run(s, &end, is_host);
        if (n < 2 || n > 63 || end == s.n || s.p[end] != '.') return 0;
    }
}

static int is_ipv4(strv s, size_t i)
{
    for (int part = 0;; part++) {
        size_t n = run(s, &i, is_digit);
        if (n < 1 || n > 3) return 0;
        if (part == 3) return ends_well(s, i);
        if (i == s.n || s.p[i++] != '.') return 0;
    }
}

/* Two groups of up to four digits with their colons, then up to six that may do without. */
static int is_ipv6(strv s, size_t i)
{
    size_t groups = 0, n;
    if (i == s.n || s.p[i++] != '[') return 0;
    for (int k = 0; k < 2; k++)
        if (run(s, &i, is_hex) > 4 || i == s.n || s.p[i++] != ':') return 0;
    for (;;) {
        n = run(s, &i, is_hex);
        groups += (n + 3) / 4;
        if (i == s.n || s.p[i] != ':') break;
        groups += n == 0;
        i++;
    }
    return groups <= 6 && i < s.n && s.p[i] == ']' && ends_well(s, i + 1);
}

static int is_url(strv s)
{
    size_t at = 0;
    int scheme = skip(s, &at, "https://") || skip(s, &at, "http://");
    if ((scheme || skip(s, &at, "www.")) && is_named_host(s, at)) return 1;
    return is_bare_host(s) || (scheme && (is_ipv4(s, at) || is_ipv6(s, at)));
}

/* Anything, an @, names with dots; the last of them of word characters alone. */
static int is_mail(strv s)
{
    size_t at = s.n, dot = 0, n;
    while (at > 0 && s.p[at - 1] != '@')
        at--;
    if (at < 2) return 0;
    strv host = {s.p + at, s.n - at};
    if (!is_word(at_of(host, 0, &n))) return 0;
    for (size_t i = 0; i < host.n; i += n) {
        unsigned c = at_of(host, i, &n);
        if (c == '.') dot = i;
        if (!is_word(c) && c != '.' && c != '-') return 0;
    }
    if (!dot) return 0;
    at = dot + 1;
    return run(host, &at, is_word) && at == host.n;
}

/* ---- links ----------------------------------------------------------------------------------- */

typedef struct links {
    jj_rt *rt;
    buf out, attributes; /* ` rel=".." target=".."` */
    int trims;
    jv limit; /* trim_url_limit, when trims */
    jj_list *schemes;
    buf link; /* of one word */
} links;

static int count_of(strv s, const char *what)
{
    int count = 0;
    for (size_t at = 0; (at = jj_find(s, strv_of(what), at)) != SIZE_MAX; at += strlen(what))
        count++;
    return count;
}

static size_t head_of(strv s)
{
    size_t i = 0;
    for (;;) {
        strv rest = {s.p + i, s.n - i};
        if (rest.n && (*rest.p == '(' || *rest.p == '<'))
            i++;
        else if (strv_starts(rest, STRV("&lt;")))
            i += 4;
        else
            return i;
    }
}

/* Where what closes a word begins. */
static size_t tail_of(strv s)
{
    size_t end = s.n;
    for (;;) {
        strv front = {s.p, end};
        if (strv_ends(front, STRV("&gt;")))
            end -= 4;
        else if (end && strchr(")>.,\n", s.p[end - 1]))
            end--;
        else
            return end;
    }
}

/* Brackets that were opened in the middle are closed there. */
static size_t balance(strv word, size_t head, size_t tail)
{
    static const char *const PAIRS[][2] = {{"(", ")"}, {"<", ">"}, {"&lt;", "&gt;"}};
    for (size_t k = 0; k < 3; k++) {
        strv middle = {word.p + head, tail - head}, rest = {word.p + tail, word.n - tail};
        int opened = count_of(middle, PAIRS[k][0]), closing = count_of(rest, PAIRS[k][1]);
        if (opened <= count_of(middle, PAIRS[k][1])) continue;
        for (int left = opened < closing ? opened : closing; left > 0; left--)
            tail = jj_find(word, strv_of(PAIRS[k][1]), tail) + strlen(PAIRS[k][1]);
    }
    return tail;
}

/* The address as it is shown: x[:limit] and dots when it is longer. */
static void put_shown(links *l, strv s)
{
    jj_str text = {s.p, s.n, JJ_UNCOUNTED, 0};
    int64_t chars = (int64_t)jj_chars(&text), keep = 0;
    if (l->trims && !jj_arg_int(l->rt, "trim_url_limit", l->limit, &keep)) return;
    if (!l->trims || chars <= keep) {
        jj_put(l->rt, &l->link, s);
        return;
    }
    if (keep < 0) keep = chars + keep < 0 ? 0 : chars + keep;
    jj_put(l->rt, &l->link, (strv){s.p, jj_offset(&text, (size_t)keep)});
    buf_add_str(&l->link, "...");
}

static void put_link(links *l, const char *scheme, strv address, int attributes, strv shown,
                     int trims)
{
    buf_add_str(&l->link, "<a href=\"");
    buf_add_str(&l->link, scheme);
    jj_put(l->rt, &l->link, address);
    buf_add_char(&l->link, '"');
    if (attributes) buf_add_strv(&l->link, buf_view(&l->attributes));
    buf_add_char(&l->link, '>');
    if (trims)
        put_shown(l, shown);
    else
        jj_put(l->rt, &l->link, shown);
    buf_add_str(&l->link, "</a>");
}

/* A scheme of the caller's: each that fits wraps what the one before it made. */
static void try_schemes(links *l, strv middle)
{
    buf now = {0};
    jj_put(l->rt, &now, middle);
    for (size_t i = 0; l->schemes && i < l->schemes->n && jj_step(l->rt, 1); i++) {
        strv scheme = jj_strv(l->schemes->v[i]), text = buf_view(&now);
        if (strv_eq(text, scheme) || !strv_starts(text, scheme)) continue;
        buf_clear(&l->link);
        put_link(l, "", text, 1, text, 0);
        buf_clear(&now);
        jj_put(l->rt, &now, buf_view(&l->link));
    }
    buf_clear(&l->link);
    jj_put(l->rt, &l->link, buf_view(&now));
    buf_deinit(&now);
}

static void put_word(links *l, strv word)
{
    size_t head = head_of(word);
    size_t tail = head + tail_of((strv){word.p + head, word.n - head});
    tail = balance(word, head, tail);
    strv middle = {word.p + head, tail - head};
    int named = strv_starts(middle, STRV("mailto:"));
    strv mail = {middle.p + (named ? 7 : 0), middle.n - (named ? 7 : 0)};
    buf_clear(&l->link);
    if (is_url(middle)) {
        int whole = strv_starts(middle, STRV("https://")) || strv_starts(middle, STRV("http://"));
        put_link(l, whole ? "" : "https://", middle, 1, middle, 1);
    } else if (named && is_mail(mail)) {
        put_link(l, "", middle, 0, mail, 0);
    } else if (jj_find(middle, STRV("@"), 0) != SIZE_MAX && !strv_starts(middle, STRV("www.")) &&
               *middle.p != '@' && jj_find(middle, STRV(":"), 0) == SIZE_MAX && is_mail(middle)) {
        put_link(l, "mailto:", middle, 0, middle, 0);
    } else {
        try_schemes(l, middle);
    }
    jj_put(l->rt, &l->out, (strv){word.p, head});
    jj_put(l->rt, &l->out, buf_view(&l->link));
    jj_put(l->rt, &l->out, (strv){word.p + tail, word.n - tail});
}

/* ---- the filters ----------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
    const strv *x = a, *y = b;
    int order = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);
    return order ? order : (x->n > y->n) - (x->n < y->n);
}

/* The words of rel and those that are always there, each once, in order. */
static void add_rel(links *l, strv given, int nofollow)
{
    enum { WORDS = 64 };
    strv words[WORDS], last = {NULL, 0};
    size_t n = 0, from;
    buf rel = {0};
    jv text;
    words[n++] = STRV("noopener");
    if (nofollow) words[n++] = STRV("nofollow");
    for (size_t i = 0, width; i < given.n;) {
        for (from = i; i < given.n && !jj_isspace(at_of(given, i, &width));)
            i += width;
        if (i > from && n < WORDS) words[n++] = (strv){given.p + from, i - from};
        if (i < given.n) i += width;
    }
    if (n == WORDS) jj_fail(l->rt, "urlize: rel has too many words");
    qsort(words, n, sizeof *words, by_text);
    for (size_t i = 0; i < n; last = words[i++]) {
        if (last.p && strv_eq(last, words[i])) continue;
        if (rel.n) buf_add_char(&rel, ' ');
        buf_add_strv(&rel, words[i]);
    }
    text = jj_escape(l->rt, jj_take(l->rt, &rel));
    if (!jj_ok(l->rt)) return;
    buf_add_str(&l->attributes, " rel=\"");
    buf_add_strv(&l->attributes, jj_strv(text));
    buf_add_char(&l->attributes, '"');
}

/* [\w.+-]{2,}:/{0,2} */
static int is_scheme(strv s)
{
    size_t i = 0, n, count = 0;
    for (unsigned c; (c = at_of(s, i, &n)) != 0; i += n, count++)
        if (!is_word(c) && c != '.' && c != '+' && c != '-') break;
    if (count < 2 || i == s.n || s.p[i++] != ':') return 0;
    for (int k = 0; k < 2 && i < s.n && s.p[i] == '/'; k++)
        i++;
    return i == s.n;
}

static int read_options(links *l, jv *v)
{
    jj_rt *rt = l->rt;
    strv rel = {"", 0};
    if (v[1].type != JJ_MISSING && v[1].type != JJ_NONE) {
        l->trims = 1;
        l->limit = v[1]; /* read where the first link is */
    }
    if (v[4].type != JJ_MISSING && jj_truth(v[4]) && !jj_arg_str(rt, "rel", v[4], &rel)) return 0;
    add_rel(l, rel, v[2].type != JJ_MISSING && jj_truth(v[2]));
    if (v[3].type != JJ_MISSING && jj_truth(v[3])) {
        jv target = jj_escape(rt, v[3]);
        if (!jj_ok(rt)) return 0;
        buf_add_str(&l->attributes, " target=\"");
        buf_add_strv(&l->attributes, jj_strv(target));
        buf_add_char(&l->attributes, '"');
    }
    if (v[5].type == JJ_MISSING || v[5].type == JJ_NONE) return jj_ok(rt);
    l->schemes = jj_collect(rt, v[5]);
    for (size_t i = 0; l->schemes && i < l->schemes->n && jj_ok(rt); i++)
        if (!jj_is_str(l->schemes->v[i]) || !is_scheme(jj_strv(l->schemes->v[i])))
            jj_fail(rt, "urlize: extra_schemes holds something that is no scheme");
    return jj_ok(rt);
}

jv jj_filter_urlize(jj_rt *rt, const jj_args *args)
{
    jv v[6], text;
    links l = {.rt = rt};
    if (!jj_bind(rt, "urlize", "value,trim_url_limit,nofollow,target,rel,extra_schemes", 1, args,
                 v))
        return jj_none();
    text = jj_escape(rt, v[0]);
    if (jj_ok(rt) && jj_work(rt, text.u.s->n * 8) && read_options(&l, v)) {
        strv s = jj_strv(text);
        for (size_t i = 0, end, n; i < s.n && jj_step(rt, 1); i = end) {
            int space = jj_isspace(at_of(s, i, &n));
            for (end = i; end < s.n && jj_isspace(at_of(s, end, &n)) == space;)
                end += n;
            strv part = {s.p + i, end - i};
            if (space)
                jj_put(rt, &l.out, part);
            else
                put_word(&l, part);
        }
    }
    if (l.link.failed || l.attributes.failed) l.out.failed = 1;
    buf_deinit(&l.link);
    buf_deinit(&l.attributes);
    text = jj_take(rt, &l.out);
    return rt->autoescape ? jj_marked(rt, text) : text;
}

/* seq[n], for the n that the count of steps so far gives. */
jv jj_filter_random(jj_rt *rt, const jj_args *args)
{
    jv v[1];
    size_t n = 0;
    if (!jj_bind(rt, "random", "seq", 1, args, v)) return jj_none();
    if (v[0].type == JJ_UNDEFINED || !jj_len(rt, v[0], &n))
        return jj_fail(rt, "random wants a sequence, got '%s'", jj_type_name(v[0]));
    if (!n) return jj_undefined(rt, "No random item, sequence was empty.");
    uint64_t mixed = (uint64_t)rt->steps_left * 0x9E3779B97F4A7C15u;
    return jj_getitem(rt, v[0], jj_int((int64_t)((mixed >> 33) % n)));
}
