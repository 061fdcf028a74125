/* tok_regex_names.c: the groups of an Oniguruma pattern (tok_regex_translate.c writes them).
 *
 *   (?<n>..) (?'n'..)   named groups; with one of them, plain parentheses capture nothing
 *   \k<n> \k<2> \k<-1>  what a group matched      \g<n> \g<1> \g<-1> \g<+1> \g<0>  a group again
 *
 * PCRE2 numbers groups in the same order and is given numbers alone.
 *
 * Traps: numbers are no references where there are names. A name that two groups have means both,
 * in a way that PCRE2 does not have: refused.
 * Source: Oniguruma doc/RE. */
#include "text/tok_regex_names.h"

/* Behind a class that begins at p ('['). */
static const char *skip_class(const char *p, const char *end)
{
    int depth = 0;
    for (; p < end; p++) {
        if (*p == '\\' && p + 1 < end)
            p++;
        else if (*p == '[')
            depth++;
        else if (*p == ']' && --depth == 0)
            return p + 1;
    }
    return end;
}

static const char *add_group(regex_names *out, strv name)
{
    if (out->groups >= REGEX_NAMES) return "so many named groups";
    for (int i = 0; i < out->groups; i++)
        if (strv_eq(out->names[i], name)) return "two groups of one name";
    out->names[out->groups++] = name;
    return NULL;
}

int regex_names_read(const char **p, const char *end, strv *name)
{
    if (*p >= end || (**p != '<' && **p != '\'')) return 0;
    char closing = **p == '<' ? '>' : '\'';
    const char *from = ++*p;
    while (*p < end && **p != closing)
        ++*p;
    *name = strv_from(from, (size_t)(*p - from));
    if (*p >= end) return 0;
    ++*p;
    return name->n > 0;
}

const char *regex_names_scan(strv pattern, regex_names *out)
{
    const char *p = pattern.p, *end = p + pattern.n, *problem;
    int plain = 0;
    *out = (regex_names){0};
    while (p < end) {
        char c = *p;
        if (c == '\\') {
            if (p + 1 < end && (p[1] == 'k' || (p[1] >= '1' && p[1] <= '9'))) out->references = 1;
            p += 2;
        } else if (c == '[') {
            p = skip_class(p, end);
        } else if (c == '(' && end - p > 2 && p[1] == '?' && p[2] == '#') {
            while (p < end && *p != ')')
                p += *p == '\\' ? 2 : 1;
        } else if (c == '(' && end - p > 3 && p[1] == '?' && p[2] == '(') {
            out->references |= p[3] == '<' || p[3] == '\'' || (p[3] >= '+' && p[3] <= '9');
            p += 3;
        } else if (c == '(' && end - p > 3 && p[1] == '?' &&
                   (p[2] == '\'' || (p[2] == '<' && p[3] != '=' && p[3] != '!'))) {
            strv name;
            p += 2;
            if (!regex_names_read(&p, end, &name)) return "a group's name without its end";
            if ((problem = add_group(out, name)) != NULL) return problem;
            out->named = 1;
        } else {
            plain += c == '(' && (p + 1 == end || p[1] != '?');
            p++;
        }
    }
    if (!out->named) out->groups = plain;
    return NULL;
}

int regex_names_group(const regex_names *n, strv name, int opened, int is_call)
{
    int sign = name.p[0] == '-' ? -1 : name.p[0] == '+' ? 1 : 0, v = 0;
    for (int i = 0; i < n->groups && n->named; i++)
        if (strv_eq(n->names[i], name)) return i + 1;
    for (size_t i = sign != 0; i < name.n; i++) {
        if (name.p[i] < '0' || name.p[i] > '9' || v > 9999) return -1;
        v = v * 10 + (name.p[i] - '0');
    }
    if (name.n == (size_t)(sign != 0)) return -1;
    if (is_call && sign == 0 && v == 0) return 0;
    if (n->named || v == 0 || (sign > 0 && !is_call)) return -1;
    if (sign < 0) v = opened + 1 - v;
    if (sign > 0) v = opened + v;
    return v >= 1 && v <= n->groups ? v : -1;
}
