/* link.c: <target>; name=value; name="a value", <target>; ...
 *
 * A relation is one word of the value of the first "rel", in any case; the value may stand in
 * quotes of either kind or in none. A comma or a semicolon inside quotes separates nothing.
 * Source: RFC 8288, 3. Traps: rel="last next" is a next page too, title="rel=next" is none. */
#include "hub/link.h"

static int is_space(char c) { return c == ' ' || c == '\t'; }

static char lower(char c) { return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c); }

/* 1: a and the lower-case word are the same but for case. */
static int same_word(strv a, const char *word)
{
    size_t i = 0;
    while (i < a.n && word[i] && lower(a.p[i]) == word[i])
        i++;
    return i == a.n && !word[i];
}

static int holds_word(strv list, const char *word)
{
    for (size_t from = 0, i = 0; i <= list.n; i++) {
        if (i < list.n && !is_space(list.p[i])) continue;
        if (same_word(strv_from(list.p + from, i - from), word)) return 1;
        from = i + 1;
    }
    return 0;
}

static void skip_spaces(strv *text)
{
    while (text->n && is_space(text->p[0]))
        *text = strv_from(text->p + 1, text->n - 1);
}

/* Takes what stands before any of the characters in `ends` off *text. */
static strv take_until(strv *text, const char *ends)
{
    size_t n = 0;
    while (n < text->n && !(text->p[n] && strchr(ends, text->p[n])))
        n++;
    strv taken = strv_from(text->p, n);
    *text = strv_from(text->p + n, text->n - n);
    return strv_trim(taken);
}

/* Takes the value of a parameter: quoted, or up to the next separator. */
static strv take_value(strv *text)
{
    skip_spaces(text);
    if (text->n && (text->p[0] == '"' || text->p[0] == '\'')) {
        const char quote[2] = {text->p[0], 0};
        *text = strv_from(text->p + 1, text->n - 1);
        strv value = take_until(text, quote);
        take_until(text, ";,");
        return value;
    }
    return take_until(text, ";,");
}

/* 1: the parameters that follow a target say that it is the next page. */
static int says_next(strv *text)
{
    int seen = 0, is_next = 0;
    skip_spaces(text);
    while (text->n && text->p[0] == ';') {
        strv value = STRV("");
        *text = strv_from(text->p + 1, text->n - 1);
        strv name = take_until(text, "=;,");
        if (text->n && text->p[0] == '=') {
            *text = strv_from(text->p + 1, text->n - 1);
            value = take_value(text);
        }
        if (!same_word(name, "rel") || seen++) continue;
        is_next = holds_word(value, "next");
    }
    return is_next;
}

strv link_next(strv header)
{
    while (header.n) {
        take_until(&header, "<");
        if (!header.n) break;
        header = strv_from(header.p + 1, header.n - 1);
        strv target = take_until(&header, ">");
        if (!header.n) break;
        header = strv_from(header.p + 1, header.n - 1);
        if (says_next(&header)) return target;
    }
    return (strv){0};
}
