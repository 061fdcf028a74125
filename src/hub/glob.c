/* glob.c: Python's fnmatchcase, written out.
 *
 * A pattern is a row of single-character matchers and stars, so that backing up to the last star
 * only is enough: O(pattern x path), whatever the pattern.
 *
 * Source: CPython Lib/fnmatch.py translate(), 3.9 to 3.13: what its regular expressions match.
 * Traps: inside [...] a "-" joins the characters beside it only at the places where translate cuts;
 * a range whose ends are reversed takes both ends out of the set, and the set may become empty:
 * then [..] matches nothing and [!..] everything. */
#include "hub/glob.h"

#include <stdint.h>

typedef struct text32 {
    uint32_t c[GLOB_MAX_CHARS + 1];
    size_t n;
} text32;

/* The next character; a byte that is no UTF-8 stands for itself above Unicode. */
static uint32_t next_char(strv text, size_t *at)
{
    const unsigned char *p = (const unsigned char *)text.p + *at;
    size_t left = text.n - *at, n = p[0] < 0xC0   ? 1
                                    : p[0] < 0xE0 ? 2
                                    : p[0] < 0xF0 ? 3
                                    : p[0] < 0xF8 ? 4
                                                  : 1;
    uint32_t c;
    *at += 1;
    if (p[0] < 0x80) return p[0];
    if (n == 1 || n > left) return 0x110000u + p[0];
    c = p[0] & (0xFFu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80) return 0x110000u + p[0];
        c = c << 6 | (p[i] & 0x3Fu);
    }
    *at += n - 1;
    return c;
}

/* Characters of [...] as pieces that "-" joins: piece k is c[start[k]] .. c[start[k + 1] - 1]. */
typedef struct pieces {
    uint32_t c[GLOB_MAX_CHARS];
    size_t start[GLOB_MAX_CHARS];
    size_t n, n_chars;
} pieces;

static void piece_add(pieces *s, const uint32_t *from, size_t n)
{
    s->start[s->n++] = s->n_chars;
    memcpy(s->c + s->n_chars, from, n * sizeof *from);
    s->n_chars += n;
    s->start[s->n] = s->n_chars;
}

/* Takes one character out, and moves the starts behind it. */
static void char_drop(pieces *s, size_t at)
{
    memmove(s->c + at, s->c + at + 1, (s->n_chars - at - 1) * sizeof *s->c);
    s->n_chars--;
    for (size_t k = 0; k <= s->n; k++)
        if (s->start[k] > at) s->start[k]--;
}

static void pieces_cut(pieces *s, const uint32_t *p, size_t n)
{
    size_t from = 0, k = n && p[0] == '!' ? 2 : 1;
    s->n = s->n_chars = 0;
    for (;;) {
        while (k < n && p[k] != '-')
            k++;
        if (k >= n) break;
        piece_add(s, p + from, k - from);
        from = k + 1;
        k += 3;
    }
    if (from < n || !s->n) {
        piece_add(s, p + from, n - from);
    } else { /* a "-" at the end is itself */
        s->c[s->n_chars++] = '-';
        s->start[s->n] = s->n_chars;
    }
    for (size_t i = s->n - 1; i > 0; i--) {
        size_t edge = s->start[i];
        if (s->c[edge - 1] <= s->c[edge]) continue;
        char_drop(s, edge);
        char_drop(s, edge - 1);
        memmove(s->start + i, s->start + i + 1, (s->n - i) * sizeof *s->start);
        s->n--;
    }
}

/* Whether c is in the set between the brackets, p[0..n). */
static int set_has(const uint32_t *p, size_t n, uint32_t c)
{
    pieces s;
    size_t first = 0;
    int negated, in = 0;
    pieces_cut(&s, p, n);
    if (!s.n_chars) return 0;
    negated = s.c[0] == '!';
    if (negated) first = 1;
    for (size_t i = first; i < s.n_chars; i++)
        in |= s.c[i] == c;
    for (size_t k = 1; k < s.n; k++)
        in |= s.start[k] > first && s.c[s.start[k] - 1] <= c && c <= s.c[s.start[k]];
    return in != negated;
}

/* Matches c against the matcher at *at, and moves *at behind it. */
static int one_matches(const text32 *pattern, size_t *at, uint32_t c)
{
    size_t i = *at, end;
    uint32_t p = pattern->c[i];
    *at = i + 1;
    if (p == '?') return 1;
    if (p != '[') return p == c;
    end = i + 1;
    if (end < pattern->n && pattern->c[end] == '!') end++;
    if (end < pattern->n && pattern->c[end] == ']') end++;
    while (end < pattern->n && pattern->c[end] != ']')
        end++;
    if (end >= pattern->n) return c == '[';
    *at = end + 1;
    return set_has(pattern->c + i + 1, end - i - 1, c);
}

static uint32_t path_char(strv path, size_t *at, int as_slash)
{
    uint32_t c = next_char(path, at);
    return as_slash && c == '\\' ? '/' : c;
}

static int matches(const text32 *pattern, strv path, int as_slash)
{
    size_t p = 0, t = 0, star = SIZE_MAX, star_t = 0;
    while (t < path.n) {
        size_t next_t = t, next_p = p;
        uint32_t c = path_char(path, &next_t, as_slash);
        if (p < pattern->n && pattern->c[p] == '*') {
            star = ++p;
            star_t = t;
        } else if (p < pattern->n && one_matches(pattern, &next_p, c)) {
            p = next_p;
            t = next_t;
        } else if (star != SIZE_MAX) {
            p = star;
            path_char(path, &star_t, as_slash);
            t = star_t;
        } else {
            return 0;
        }
    }
    while (p < pattern->n && pattern->c[p] == '*')
        p++;
    return p == pattern->n;
}

/* -> 0 when the pattern is too long */
static int pattern_read(strv text, int as_slash, text32 *out)
{
    out->n = 0;
    for (size_t at = 0; at < text.n;) {
        if (out->n == GLOB_MAX_CHARS) return 0;
        out->c[out->n++] = path_char(text, &at, as_slash);
    }
    if (as_slash && out->n && out->c[out->n - 1] == '/') out->c[out->n++] = '*';
    return 1;
}

int glob_match(strv pattern, strv path)
{
    text32 p;
    return pattern_read(pattern, 0, &p) && matches(&p, path, 0);
}

static int any_matches(const char *const *patterns, size_t n, strv path)
{
    text32 p;
    for (size_t i = 0; i < n; i++)
        if (pattern_read(strv_of(patterns[i]), 1, &p) && matches(&p, path, 1)) return 1;
    return 0;
}

mlxe_status globs_check(const hub_globs *globs, mlxe_error *err)
{
    text32 p;
    for (size_t i = 0; i < globs->n_include + globs->n_exclude; i++) {
        const char *text =
            i < globs->n_include ? globs->include[i] : globs->exclude[i - globs->n_include];
        if (!pattern_read(strv_of(text), 1, &p))
            return err_set(err, MLXE_E_ARG, "pattern %.40s...: is longer than %d characters", text,
                           GLOB_MAX_CHARS);
    }
    return MLXE_OK;
}

int globs_want(const hub_globs *globs, strv path)
{
    if (globs->n_include && !any_matches(globs->include, globs->n_include, path)) return 0;
    return !any_matches(globs->exclude, globs->n_exclude, path);
}
