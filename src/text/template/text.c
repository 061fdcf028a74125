/* text.c: Python's str by code points over UTF-8.
 *
 * Owns: counting, searching, character classes, letter case. Simple case mappings and categories
 * are utf8proc's; what they do not tell (mappings to several characters, numeric type, the derived
 * Lowercase and Uppercase properties) is in case_table.h and numeric_table.h.
 * Source: Unicode 14.0 as CPython 3.11 has it; the rule for a final sigma is the Unicode Standard's
 *         section 3.13.
 * Traps: utf8proc maps U+00DF to U+1E9E or to itself, Python to "SS". Title case is not upper case
 *        (U+01C4). U+0130 is the only character whose lower case has two code points. */
#include "text/template/text.h"

#include "text/template/case_table.h"
#include "text/template/numeric_table.h"

#include <stdlib.h>
#include <utf8proc.h>

unsigned jj_decode(const char *text, const char *end, size_t *n)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t left = (size_t)(end - text);
    if (p[0] < 0x80) {
        *n = 1;
        return p[0];
    }
    if (p[0] < 0xE0 && left >= 2) {
        *n = 2;
        return (unsigned)(p[0] & 0x1F) << 6 | (p[1] & 0x3F);
    }
    if (p[0] < 0xF0 && left >= 3) {
        *n = 3;
        return (unsigned)(p[0] & 0x0F) << 12 | (unsigned)(p[1] & 0x3F) << 6 | (p[2] & 0x3F);
    }
    if (left >= 4) {
        *n = 4;
        return (unsigned)(p[0] & 0x07) << 18 | (unsigned)(p[1] & 0x3F) << 12 |
               (unsigned)(p[2] & 0x3F) << 6 | (p[3] & 0x3F);
    }
    *n = left;
    return 0xFFFD;
}

void jj_add_code(buf *b, unsigned c)
{
    const char surrogate[3] = {(char)0xED, (char)(0x80 | (c >> 6 & 0x3F)),
                               (char)(0x80 | (c & 0x3F))};
    if (c >= 0xD800 && c < 0xE000)
        buf_add(b, surrogate, sizeof surrogate);
    else
        buf_add_utf8(b, c);
}

size_t jj_find_surrogate(strv text)
{
    for (size_t at = 0; at + 2 < text.n; at++) {
        const char *p = memchr(text.p + at, 0xED, text.n - at - 2);
        if (!p) break;
        at = (size_t)(p - text.p);
        if ((unsigned char)p[1] >= 0xA0) return at;
    }
    return SIZE_MAX;
}

size_t jj_last_char(strv text)
{
    size_t n = 1;
    while (n < text.n && n < 4 && ((unsigned char)text.p[text.n - n] & 0xC0) == 0x80)
        n++;
    return n;
}

size_t jj_count(strv text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        n += ((unsigned char)text.p[i] & 0xC0) != 0x80;
    return n;
}

size_t jj_chars(jj_str *s)
{
    if (s->chars == JJ_UNCOUNTED) s->chars = jj_count((strv){s->p, s->n});
    return s->chars;
}

size_t jj_offset(jj_str *s, size_t index)
{
    size_t at = 0;
    if (index >= jj_chars(s)) return s->n;
    if (s->chars == s->n) return index;
    if (index > s->chars / 2) {
        index = s->chars - index;
        for (at = s->n; index; index--)
            at -= jj_last_char((strv){s->p, at});
        return at;
    }
    for (; index; index--) {
        at++;
        while (at < s->n && ((unsigned char)s->p[at] & 0xC0) == 0x80)
            at++;
    }
    return at;
}

int jj_utf8_ok(strv text, size_t *bad)
{
    const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)text.p;
    for (size_t i = 0; i < text.n;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n;
        if (p[i] < 0x80) {
            i++;
            continue;
        }
        n = utf8proc_iterate(p + i, (utf8proc_ssize_t)(text.n - i), &c);
        if (n <= 0) {
            *bad = i;
            return 0;
        }
        i += (size_t)n;
    }
    return 1;
}

/* Long needles go by a rolling hash, so that no text makes a search quadratic. */
enum { LONG_NEEDLE = 64 };
static const uint64_t BASE = 0x100000001B3u;

static uint64_t power_of(size_t n)
{
    uint64_t out = 1;
    for (uint64_t base = BASE; n; n >>= 1, base *= base)
        if (n & 1) out *= base;
    return out;
}

static uint64_t hash_window(const char *p, size_t n, int backwards)
{
    uint64_t h = 0;
    for (size_t i = 0; i < n; i++)
        h = h * BASE + (unsigned char)p[backwards ? n - 1 - i : i];
    return h;
}

static size_t find_long(strv text, strv needle, size_t from)
{
    size_t n = needle.n;
    uint64_t want = hash_window(needle.p, n, 0), lead = power_of(n - 1);
    uint64_t h = hash_window(text.p + from, n, 0);
    for (size_t i = from;; i++) {
        if (h == want && !memcmp(text.p + i, needle.p, n)) return i;
        if (i + n >= text.n) return SIZE_MAX;
        h = (h - (unsigned char)text.p[i] * lead) * BASE + (unsigned char)text.p[i + n];
    }
}

static size_t rfind_long(strv text, strv needle)
{
    size_t n = needle.n;
    uint64_t want = hash_window(needle.p, n, 1), lead = power_of(n - 1);
    uint64_t h = hash_window(text.p + text.n - n, n, 1);
    for (size_t i = text.n - n;; i--) {
        if (h == want && !memcmp(text.p + i, needle.p, n)) return i;
        if (!i) return SIZE_MAX;
        h = (h - (unsigned char)text.p[i + n - 1] * lead) * BASE + (unsigned char)text.p[i - 1];
    }
}

size_t jj_find(strv text, strv needle, size_t from)
{
    if (from > text.n || needle.n > text.n - from) return SIZE_MAX;
    if (!needle.n) return from;
    if (needle.n > LONG_NEEDLE) return find_long(text, needle, from);
    for (const char *p = text.p + from, *end = text.p + text.n - needle.n + 1; p < end; p++) {
        p = memchr(p, needle.p[0], (size_t)(end - p));
        if (!p) break;
        if (!memcmp(p, needle.p, needle.n)) return (size_t)(p - text.p);
    }
    return SIZE_MAX;
}

size_t jj_rfind(strv text, strv needle)
{
    if (needle.n > text.n) return SIZE_MAX;
    if (!needle.n) return text.n;
    if (needle.n > LONG_NEEDLE) return rfind_long(text, needle);
    for (size_t i = text.n - needle.n + 1; i-- > 0;)
        if (text.p[i] == needle.p[0] && !memcmp(text.p + i, needle.p, needle.n)) return i;
    return SIZE_MAX;
}

/* ---- classes ---- */

#define SPANS(table) table, sizeof table / sizeof *table

static int in_spans(unsigned c, const struct jj_span *spans, size_t n)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (c > spans[mid].last)
            low = mid + 1;
        else
            high = mid;
    }
    return low < n && c >= spans[low].first;
}

static utf8proc_category_t category(unsigned c) { return utf8proc_category((utf8proc_int32_t)c); }

int jj_isspace(unsigned c)
{
    if (c < 0x80) return (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x20);
    return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
           c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

int jj_isalpha(unsigned c)
{
    utf8proc_category_t k;
    if (c < 0x80) return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
    k = category(c);
    return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO;
}

int jj_isdecimal(unsigned c)
{
    if (c < 0x80) return c >= '0' && c <= '9';
    return category(c) == UTF8PROC_CATEGORY_ND;
}

int jj_decimal_value(unsigned c)
{
    unsigned zero = c;
    if (!jj_isdecimal(c)) return -1;
    if (c < 0x80) return (int)(c - '0');
    /* Decimal digits come in runs of ten that start at a multiple of the run's first digit; the
     * mathematical digits are five runs side by side. */
    if (c >= 0x1D7CE && c <= 0x1D7FF) return (int)((c - 0x1D7CE) % 10);
    while (zero > 0 && c - zero < 9 && jj_isdecimal(zero - 1))
        zero--;
    return (int)(c - zero);
}

int jj_isdigit(unsigned c) { return jj_isdecimal(c) || in_spans(c, SPANS(DIGITS)); }

int jj_isnumeric(unsigned c)
{
    utf8proc_category_t k;
    if (c < 0x80) return c >= '0' && c <= '9';
    k = category(c);
    return k == UTF8PROC_CATEGORY_ND || k == UTF8PROC_CATEGORY_NL || k == UTF8PROC_CATEGORY_NO ||
           in_spans(c, SPANS(NUMERALS));
}

int jj_isalnum(unsigned c) { return jj_isalpha(c) || jj_isnumeric(c); }

int jj_islower(unsigned c)
{
    if (c < 0x80) return c >= 'a' && c <= 'z';
    return category(c) == UTF8PROC_CATEGORY_LL || in_spans(c, SPANS(OTHER_LOWER));
}

int jj_isupper(unsigned c)
{
    if (c < 0x80) return c >= 'A' && c <= 'Z';
    return category(c) == UTF8PROC_CATEGORY_LU || in_spans(c, SPANS(OTHER_UPPER));
}

int jj_istitle(unsigned c) { return c >= 0x80 && category(c) == UTF8PROC_CATEGORY_LT; }

int jj_isprintable(unsigned c)
{
    if (c < 0x7F) return c >= 0x20;
    switch (category(c)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return 0;
    default:
        return 1;
    }
}

int jj_is_identifier_char(unsigned c, int first)
{
    utf8proc_category_t k;
    if (c == '_' || jj_isalpha(c)) return 1;
    if (c < 0x80) return !first && c >= '0' && c <= '9';
    k = category(c);
    if (k == UTF8PROC_CATEGORY_NL) return 1;
    return !first && (k == UTF8PROC_CATEGORY_MN || k == UTF8PROC_CATEGORY_MC ||
                      k == UTF8PROC_CATEGORY_ND || k == UTF8PROC_CATEGORY_PC || c == 0xB7);
}

int jj_is_identifier(strv text)
{
    for (size_t i = 0, n; i < text.n; i += n)
        if (!jj_is_identifier_char(jj_decode(text.p + i, text.p + text.n, &n), i == 0)) return 0;
    return text.n > 0;
}

/* ---- stripping ---- */

static int strips(strv c, const strv *chars)
{
    size_t n;
    if (!chars) return jj_isspace(jj_decode(c.p, c.p + c.n, &n));
    return jj_find(*chars, c, 0) != SIZE_MAX;
}

strv jj_strip(strv text, const strv *chars, int left, int right)
{
    size_t n;
    while (left && text.n) {
        jj_decode(text.p, text.p + text.n, &n);
        if (!strips((strv){text.p, n}, chars)) break;
        text.p += n;
        text.n -= n;
    }
    while (right && text.n) {
        n = jj_last_char(text);
        if (!strips((strv){text.p + text.n - n, n}, chars)) break;
        text.n -= n;
    }
    return text;
}

/* ---- letter case ---- */

static int has_case(unsigned c) { return jj_islower(c) || jj_isupper(c) || jj_istitle(c); }

static int case_ignorable(unsigned c)
{
    if (c == '\'' || c == '.' || c == ':' || c == '^' || c == '`') return 1;
    if (c < 0x80) return 0;
    if (c == 0xB7 || c == 0x387 || c == 0x55F || c == 0x5F4 || c == 0x2018 || c == 0x2019 ||
        c == 0x2024 || c == 0x2027 || c == 0xFE13 || c == 0xFE52 || c == 0xFE55 || c == 0xFF07 ||
        c == 0xFF0E || c == 0xFF1A)
        return 1;
    switch (category(c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
        return 1;
    default:
        return 0;
    }
}

/* Whether the sigma at byte i ends a word: a cased letter before it, none after it. */
static int final_sigma(strv text, size_t i)
{
    size_t n, at = i;
    unsigned c = 0;
    while (at > 0) {
        n = jj_last_char((strv){text.p, at});
        at -= n;
        c = jj_decode(text.p + at, text.p + text.n, &n);
        if (!case_ignorable(c)) break;
        c = 0;
    }
    if (!c || !has_case(c)) return 0;
    for (at = i + 2; at < text.n; at += n) {
        c = jj_decode(text.p + at, text.p + text.n, &n);
        if (!case_ignorable(c)) return !has_case(c);
    }
    return 1;
}

static void write_special(buf *b, const uint16_t to[3])
{
    for (int i = 0; i < 3 && to[i]; i++)
        buf_add_utf8(b, to[i]);
}

static void write_upper(buf *b, unsigned c, int title)
{
    size_t low = 0, high = sizeof SPECIAL_CASE / sizeof *SPECIAL_CASE;
    while (c >= 0xDF && low < high) {
        size_t mid = (low + high) / 2;
        if (SPECIAL_CASE[mid].c == c) {
            write_special(b, title ? SPECIAL_CASE[mid].title : SPECIAL_CASE[mid].upper);
            return;
        }
        if (SPECIAL_CASE[mid].c < c)
            low = mid + 1;
        else
            high = mid;
    }
    buf_add_utf8(b, (unsigned)(title ? utf8proc_totitle((utf8proc_int32_t)c)
                                     : utf8proc_toupper((utf8proc_int32_t)c)));
}

static void write_lower(buf *b, unsigned c, strv text, size_t i)
{
    if (c == 0x130)
        buf_add_str(b, "i\xCC\x87");
    else if (c == 0x3A3)
        buf_add_utf8(b, final_sigma(text, i) ? 0x3C2 : 0x3C3);
    else
        buf_add_utf8(b, (unsigned)utf8proc_tolower((utf8proc_int32_t)c));
}

static void write_folded(buf *b, unsigned c)
{
    utf8proc_int32_t to[8];
    int boundary = 0;
    utf8proc_ssize_t n =
        utf8proc_decompose_char((utf8proc_int32_t)c, to, 8, UTF8PROC_CASEFOLD, &boundary);
    for (utf8proc_ssize_t i = 0; i < n && i < 8; i++)
        buf_add_utf8(b, (unsigned)to[i]);
}

void jj_write_case(buf *b, strv text, jj_case how)
{
    int inside = 0; /* a cased letter came before: the rest of a word for JJ_TITLE */
    for (size_t i = 0, n; i < text.n; i += n) {
        unsigned c = jj_decode(text.p + i, text.p + text.n, &n);
        if (c < 0x80 && how != JJ_TITLE && how != JJ_CAPITALIZE) {
            int lower = c >= 'a' && c <= 'z', upper = c >= 'A' && c <= 'Z';
            if ((lower && (how == JJ_UPPER || how == JJ_SWAP)) || (upper && how != JJ_UPPER))
                c ^= 0x20;
            buf_add_char(b, (char)c);
        } else if (how == JJ_UPPER || (how == JJ_SWAP && jj_islower(c)))
            write_upper(b, c, 0);
        else if (how == JJ_LOWER || (how == JJ_SWAP && jj_isupper(c)))
            write_lower(b, c, text, i);
        else if (how == JJ_SWAP)
            buf_add_utf8(b, c);
        else if (how == JJ_FOLD)
            write_folded(b, c);
        else if (inside)
            write_lower(b, c, text, i);
        else
            write_upper(b, c, 1);
        inside = how == JJ_CAPITALIZE || has_case(c);
    }
}

int jj_is_nfkc(strv text)
{
    utf8proc_uint8_t *form = NULL;
    utf8proc_ssize_t n;
    size_t ascii = 0;
    int same;
    while (ascii < text.n && (unsigned char)text.p[ascii] < 0x80)
        ascii++;
    if (ascii == text.n) return 1;
    n = utf8proc_map((const utf8proc_uint8_t *)text.p, (utf8proc_ssize_t)text.n, &form,
                     UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT);
    same = n == (utf8proc_ssize_t)text.n && !memcmp(form, text.p, text.n);
    free(form);
    return same;
}
