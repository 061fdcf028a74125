/* tok_unicode.c: what a character is, as the tokenizers package answers it.
 *
 *   code point -> set membership, lower case, decomposition, combining class
 *
 * The package asks five libraries that hold five Unicode versions: Oniguruma (regular expressions),
 * the Rust standard library (white space, digits, lower case), the regex crate (\w), and two old
 * crates (Unicode 8 categories for BERT and punctuation, Unicode 9 for normalisation). The sets are
 * in tok_unicode_tables.c, asked of the package itself. Decomposition is utf8proc's, with the
 * characters that Unicode 9 did not know taken out.
 *
 * Traps: a combining class and a decomposition that came after Unicode 9 must not be seen at all,
 * or marks are reordered that the package leaves alone. */
#include "text/tok_unicode.h"

#include <utf8proc.h>

static int in_ranges(const uint32_t (*ranges)[2], unsigned n, uint32_t cp)
{
    unsigned low = 0, high = n;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        if (cp > ranges[mid][1])
            low = mid + 1;
        else
            high = mid;
    }
    return low < n && cp >= ranges[low][0];
}

int uni_space(uint32_t cp)
{
    if (cp < 0x80) return cp == ' ' || (cp >= 9 && cp <= 13);
    return cp == 0x85 || cp == 0xA0 || cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200A) ||
           cp == 0x2028 || cp == 0x2029 || cp == 0x202F || cp == 0x205F || cp == 0x3000;
}

int uni_numeric(uint32_t cp)
{
    if (cp < 0x80) return cp >= '0' && cp <= '9';
    return in_ranges(uni_numeric_ranges, uni_numeric_ranges_n, cp);
}

int uni_word(uint32_t cp)
{
    if (cp < 0x80)
        return (cp >= 'a' && cp <= 'z') || (cp >= 'A' && cp <= 'Z') || (cp >= '0' && cp <= '9') ||
               cp == '_';
    return in_ranges(uni_word_ranges, uni_word_ranges_n, cp);
}

int uni_punct(uint32_t cp) { return in_ranges(uni_punct_ranges, uni_punct_ranges_n, cp); }
int uni_other(uint32_t cp) { return in_ranges(uni_other_ranges, uni_other_ranges_n, cp); }

int uni_nonspacing(uint32_t cp)
{
    return cp >= 0x300 && in_ranges(uni_nonspacing_ranges, uni_nonspacing_ranges_n, cp);
}

int uni_combining(uint32_t cp)
{
    return cp >= 0x300 && in_ranges(uni_combining_ranges, uni_combining_ranges_n, cp);
}

/* The row that a character is in, or NULL. */
static const uint32_t *row_of(const uint32_t (*rows)[3], unsigned n, uint32_t cp)
{
    unsigned low = 0, high = n;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        if (cp > rows[mid][1])
            low = mid + 1;
        else
            high = mid;
    }
    return low < n && cp >= rows[low][0] ? rows[low] : NULL;
}

int uni_script(uint32_t cp)
{
    const uint32_t *row = row_of(uni_script_ranges, uni_script_ranges_n, cp);
    return row ? (int)row[2] : 0;
}

/* ---- text segments --------------------------------------------------------------------------- */

static unsigned segment_class(uint32_t cp)
{
    const uint32_t *row = row_of(uni_segment_ranges, uni_segment_ranges_n, cp);
    return row ? row[2] : utf8proc_get_property((utf8proc_int32_t)cp)->boundclass;
}

static int is_hangul(unsigned c)
{
    return c >= UTF8PROC_BOUNDCLASS_L && c <= UTF8PROC_BOUNDCLASS_LVT;
}

static int hangul_joins(unsigned a, unsigned b)
{
    switch (a) {
    case UTF8PROC_BOUNDCLASS_L:
        return b != UTF8PROC_BOUNDCLASS_T;
    case UTF8PROC_BOUNDCLASS_LV:
    case UTF8PROC_BOUNDCLASS_V:
        return b == UTF8PROC_BOUNDCLASS_V || b == UTF8PROC_BOUNDCLASS_T;
    default: /* LVT, T */
        return b == UTF8PROC_BOUNDCLASS_T;
    }
}

/* Whether the joiner that ends at `at` stands behind a pictograph and its extensions. */
static int joins_pictographs(strv text, size_t at)
{
    size_t width;
    for (at -= 3; at > 0; at -= width) { /* U+200D takes three bytes */
        unsigned c = segment_class(utf8_before(text.p, at, &width));
        if (c == UTF8PROC_BOUNDCLASS_EXTENDED_PICTOGRAPHIC) return 1;
        if (c != UTF8PROC_BOUNDCLASS_EXTEND) return 0;
    }
    return 0;
}

static int is_odd_indicator(strv text, size_t at)
{
    size_t width, n = 0;
    for (; at > 0; at -= width, n++)
        if (segment_class(utf8_before(text.p, at, &width)) !=
            UTF8PROC_BOUNDCLASS_REGIONAL_INDICATOR)
            break;
    return n & 1;
}

static int is_control(unsigned c)
{
    return c >= UTF8PROC_BOUNDCLASS_CR && c <= UTF8PROC_BOUNDCLASS_CONTROL;
}

int uni_segment_break(strv text, size_t at)
{
    size_t width;
    if (at == 0 || at >= text.n) return 1;
    unsigned a = segment_class(utf8_before(text.p, at, &width));
    unsigned b = segment_class(utf8_at(text.p + at, &width));
    if (is_control(a) || is_control(b))
        return a != UTF8PROC_BOUNDCLASS_CR || b != UTF8PROC_BOUNDCLASS_LF;
    if (is_hangul(a) && is_hangul(b)) return !hangul_joins(a, b);
    if (b == UTF8PROC_BOUNDCLASS_EXTEND || b == UTF8PROC_BOUNDCLASS_ZWJ ||
        b == UTF8PROC_BOUNDCLASS_SPACINGMARK || a == UTF8PROC_BOUNDCLASS_PREPEND)
        return 0;
    if (a == UTF8PROC_BOUNDCLASS_ZWJ && b == UTF8PROC_BOUNDCLASS_EXTENDED_PICTOGRAPHIC)
        return !joins_pictographs(text, at);
    if (a == UTF8PROC_BOUNDCLASS_REGIONAL_INDICATOR && b == UTF8PROC_BOUNDCLASS_REGIONAL_INDICATOR)
        return !is_odd_indicator(text, at);
    return 1;
}

/* ---- lower case and normalisation ------------------------------------------------------------ */

int uni_lower(uint32_t cp, uint32_t out[3])
{
    if (cp < 0x80) {
        out[0] = cp >= 'A' && cp <= 'Z' ? cp + 32 : cp;
        return 1;
    }
    unsigned low = 0, high = uni_lower_rows_n;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        if (cp > uni_lower_rows[mid][0])
            low = mid + 1;
        else
            high = mid;
    }
    if (low < uni_lower_rows_n && uni_lower_rows[low][0] == cp) {
        out[0] = uni_lower_rows[low][1];
        out[1] = uni_lower_rows[low][2];
        return out[1] ? 2 : 1;
    }
    out[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)cp);
    return 1;
}

static int unknown(uint32_t cp) { return in_ranges(uni_unknown_ranges, uni_unknown_ranges_n, cp); }

int uni_ccc(uint32_t cp)
{
    if (cp < 0x300) return 0;
    int ccc = utf8proc_get_property((utf8proc_int32_t)cp)->combining_class;
    return ccc && !unknown(cp) ? ccc : 0;
}

int uni_decompose(uint32_t cp, int compatible, uint32_t out[UNI_DECOMPOSED])
{
    utf8proc_int32_t parts[UNI_DECOMPOSED];
    out[0] = cp;
    if (cp < 0x80) return 1;
    int options = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : 0);
    utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)cp, parts, UNI_DECOMPOSED,
                                                 (utf8proc_option_t)options, NULL);
    if (n < 1 || n > UNI_DECOMPOSED || ((n > 1 || parts[0] != (utf8proc_int32_t)cp) && unknown(cp)))
        return 1;
    for (utf8proc_ssize_t i = 0; i < n; i++)
        out[i] = (uint32_t)parts[i];
    return (int)n;
}

uint32_t uni_compose(uint32_t a, uint32_t b)
{
    if (b < 0x300) return 0;
    utf8proc_int32_t pair[2] = {(utf8proc_int32_t)a, (utf8proc_int32_t)b};
    utf8proc_ssize_t n =
        utf8proc_normalize_utf32(pair, 2, (utf8proc_option_t)(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    if (n != 1 || unknown((uint32_t)pair[0])) return 0;
    return (uint32_t)pair[0];
}

const uni_property *uni_property_find(strv name)
{
    char key[64];
    size_t n = 0;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (c == ' ' || c == '-' || c == '_') continue;
        if (n + 1 >= sizeof key) return NULL;
        key[n++] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
    key[n] = 0;
    for (unsigned i = 0; i < uni_properties_n; i++)
        if (strcmp(uni_properties[i].name, key) == 0) return &uni_properties[i];
    return NULL;
}

/* ---- UTF-8 ----------------------------------------------------------------------------------- */

uint32_t utf8_at(const char *p, size_t *width)
{
    const unsigned char *s = (const unsigned char *)p;
    *width = utf8_width(s[0]);
    switch (*width) {
    case 1:
        return s[0];
    case 2:
        return (uint32_t)(s[0] & 0x1F) << 6 | (s[1] & 0x3F);
    case 3:
        return (uint32_t)(s[0] & 0x0F) << 12 | (uint32_t)(s[1] & 0x3F) << 6 | (s[2] & 0x3F);
    default:
        return (uint32_t)(s[0] & 0x07) << 18 | (uint32_t)(s[1] & 0x3F) << 12 |
               (uint32_t)(s[2] & 0x3F) << 6 | (s[3] & 0x3F);
    }
}

uint32_t utf8_before(const char *p, size_t end, size_t *width)
{
    size_t b = end - 1;
    while (b > 0 && !utf8_is_start(p[b]))
        b--;
    return utf8_at(p + b, width);
}

size_t utf8_put(char *p, uint32_t cp)
{
    if (cp < 0x80) {
        p[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        p[0] = (char)(0xC0 | cp >> 6);
        p[1] = (char)(0x80 | (cp & 0x3F));
        return 2;
    }
    if (cp < 0x10000) {
        p[0] = (char)(0xE0 | cp >> 12);
        p[1] = (char)(0x80 | (cp >> 6 & 0x3F));
        p[2] = (char)(0x80 | (cp & 0x3F));
        return 3;
    }
    p[0] = (char)(0xF0 | cp >> 18);
    p[1] = (char)(0x80 | (cp >> 12 & 0x3F));
    p[2] = (char)(0x80 | (cp >> 6 & 0x3F));
    p[3] = (char)(0x80 | (cp & 0x3F));
    return 4;
}

size_t utf8_count(strv text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        n += (size_t)utf8_is_start(text.p[i]);
    return n;
}

int utf8_valid(strv text)
{
    const unsigned char *s = (const unsigned char *)text.p;
    size_t i = 0, n = text.n;
    while (i < n) {
        if (s[i] < 0x80) {
            i++;
            continue;
        }
        size_t w = s[i] < 0xC2 ? 0 : s[i] < 0xE0 ? 2 : s[i] < 0xF0 ? 3 : s[i] < 0xF5 ? 4 : 0;
        if (w == 0 || i + w > n) return 0;
        for (size_t k = 1; k < w; k++)
            if ((s[i + k] & 0xC0) != 0x80) return 0;
        if ((s[i] == 0xE0 && s[i + 1] < 0xA0) || (s[i] == 0xED && s[i + 1] > 0x9F) ||
            (s[i] == 0xF0 && s[i + 1] < 0x90) || (s[i] == 0xF4 && s[i + 1] > 0x8F))
            return 0;
        i += w;
    }
    return 1;
}
