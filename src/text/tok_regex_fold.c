/* tok_regex_fold.c: Oniguruma's case folding where PCRE2's is another.
 *
 *   utf8proc's full folding --open--> rows (character, what it folds to), equal foldings adjacent
 *
 * PCRE2 knows single characters: k, K and the Kelvin sign are one. In Oniguruma "ss" is U+00DF as
 * well, in both directions, and a class takes in the variants of all its members, those of its
 * properties too, before it is negated.
 *
 * Traps: a class tries single characters first, then texts of two, then of three. Of literals the
 * longest text that one character stands for counts alone: (?i)ffi is U+FB03, and never U+FB00 i.
 *
 * Source: Oniguruma 6.9, regcomp.c and unicode.c, as the tokenizers package answers. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/tok_regex_fold.h"

#include <pcre2.h>
#include <stdlib.h>
#include <utf8proc.h>

enum { FOLD_LAST = 0x1FFFF, FOLD_MAX = 3 };

typedef struct fold_row {
    uint32_t cp, to[FOLD_MAX];
    int n; /* of to */
} fold_row;

struct regex_folds {
    fold_row *rows; /* by n, then to, then cp; those that a character folds to are rows too */
    size_t n, cap;
};

static int compare_to(const fold_row *x, const fold_row *y)
{
    if (x->n != y->n) return x->n < y->n ? -1 : 1;
    for (int i = 0; i < x->n; i++)
        if (x->to[i] != y->to[i]) return x->to[i] < y->to[i] ? -1 : 1;
    return 0;
}

static int compare_rows(const void *a, const void *b)
{
    const fold_row *x = a, *y = b;
    int c = compare_to(x, y);
    return c ? c : x->cp < y->cp ? -1 : x->cp > y->cp;
}

/* Foldings of Unicode 16, which utf8proc and PCRE2 may not have yet. -> what cp folds to, or 0 */
static uint32_t fold_recent(uint32_t cp)
{
    static const uint32_t rows[][3] = {/* first, last, what the first folds to */
                                       {0x1C89, 0x1C89, 0x1C8A}, {0xA7CB, 0xA7CB, 0x264},
                                       {0xA7CC, 0xA7CC, 0xA7CD}, {0xA7DA, 0xA7DA, 0xA7DB},
                                       {0xA7DC, 0xA7DC, 0x19B},  {0x10D50, 0x10D65, 0x10D70}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (cp >= rows[i][0] && cp <= rows[i][1]) return rows[i][2] + (cp - rows[i][0]);
    return 0;
}

/* What a character folds to. */
static fold_row fold(uint32_t cp)
{
    fold_row row = {.cp = cp, .to = {cp}, .n = 1};
    utf8proc_int32_t parts[FOLD_MAX];
    uint32_t recent = fold_recent(cp);
    if (recent) {
        row.to[0] = recent;
        return row;
    }
    if (utf8proc_get_property((utf8proc_int32_t)cp)->casefold_seqindex == UINT16_MAX) return row;
    utf8proc_ssize_t n =
        utf8proc_decompose_char((utf8proc_int32_t)cp, parts, FOLD_MAX, UTF8PROC_CASEFOLD, NULL);
    if (n < 1 || n > FOLD_MAX) return row;
    row.n = (int)n;
    for (utf8proc_ssize_t i = 0; i < n; i++)
        row.to[i] = (uint32_t)parts[i];
    return row;
}

static int add_row(regex_folds *f, fold_row row)
{
    if (f->n == f->cap) {
        size_t cap = f->cap * 2 + 1024;
        fold_row *more = realloc(f->rows, cap * sizeof *more);
        if (!more) return -1;
        f->rows = more;
        f->cap = cap;
    }
    f->rows[f->n++] = row;
    return 0;
}

void regex_folds_close(regex_folds *f)
{
    if (!f) return;
    free(f->rows);
    free(f);
}

regex_folds *regex_folds_open(void)
{
    regex_folds *f = calloc(1, sizeof *f);
    if (!f) return NULL;
    for (uint32_t cp = 'A'; cp <= FOLD_LAST; cp++) {
        fold_row row = fold(cp);
        if (row.n == 1 && row.to[0] == cp) continue;
        fold_row self = {.cp = row.to[0], .to = {row.to[0]}, .n = 1};
        if (add_row(f, row) || (row.n == 1 && add_row(f, self))) {
            regex_folds_close(f);
            return NULL;
        }
    }
    qsort(f->rows, f->n, sizeof *f->rows, compare_rows);
    return f;
}

/* The first row that folds to the same. -> f->n: none */
static size_t find(const regex_folds *f, const fold_row *to)
{
    size_t low = 0, high = f->n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (compare_to(&f->rows[mid], to) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low < f->n && !compare_to(&f->rows[low], to) ? low : f->n;
}

int regex_folds_recent(const regex_folds *f, uint32_t cp)
{
    fold_row to = fold(cp);
    for (size_t at = find(f, &to); at < f->n && !compare_to(&f->rows[at], &to); at++)
        if (fold_recent(f->rows[at].cp)) return 1;
    return 0;
}

static void put_text(buf *out, const fold_row *row)
{
    for (int i = 0; i < row->n; i++)
        buf_addf(out, "\\x{%x}", (unsigned)row->to[i]);
}

int regex_folds_letters(const regex_folds *f, const uint32_t *cp, int n, buf *out)
{
    fold_row want = fold(cp[0]);
    int used = 1;
    size_t at;
    if (want.n == 1) {
        for (used = n < FOLD_MAX ? n : FOLD_MAX; used > 1; used--) {
            int single = 1;
            for (int i = 0; i < used; i++) {
                fold_row one = fold(cp[i]);
                single &= one.n == 1;
                want.to[i] = one.to[0];
            }
            want.n = used;
            if (single && find(f, &want) < f->n) break;
        }
        if (used < 2) {
            if (!regex_folds_recent(f, cp[0])) return 0;
            want = fold(cp[0]);
            used = 1;
        }
    }
    at = find(f, &want);
    put_text(out, &want);
    for (; at < f->n && !compare_to(&f->rows[at], &want); at++)
        buf_addf(out, "|\\x{%x}", (unsigned)f->rows[at].cp);
    return used;
}

/* Whether a character is one of the set. -> 1, 0, or -1 */
static int is_member(const pcre2_code *code, pcre2_match_data *data, uint32_t cp)
{
    char text[4];
    size_t n = utf8_put(text, cp);
    int rc =
        pcre2_match(code, (PCRE2_SPTR)text, n, 0, PCRE2_ANCHORED | PCRE2_NO_UTF_CHECK, data, NULL);
    return rc >= 0 ? 1 : rc == PCRE2_ERROR_NOMATCH ? 0 : -1;
}

/* Rows from..to fold alike: what the set takes in when it has one of them. */
static int add_variants(const regex_folds *f, size_t from, size_t to, const pcre2_code *code,
                        pcre2_match_data *data, buf *more, buf *several)
{
    int any = 0, missing = 0;
    for (size_t i = from; i < to; i++) {
        int is = is_member(code, data, f->rows[i].cp);
        if (is < 0) return -1;
        any |= is;
        missing |= !is;
    }
    if (!any) return 0;
    for (size_t i = from; i < to && missing; i++)
        if (i == from || f->rows[i].cp != f->rows[i - 1].cp)
            buf_addf(more, "\\x{%x}", (unsigned)f->rows[i].cp);
    if (f->rows[from].n > 1) {
        buf_add_char(several, '|');
        put_text(several, &f->rows[from]);
    }
    return 0;
}

int regex_folds_set(const regex_folds *f, strv body, buf *more, buf *several)
{
    int problem, rc = -1;
    PCRE2_SIZE offset;
    pcre2_match_data *data = NULL;
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)body.p, body.n, PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C,
                      &problem, &offset, NULL);
    if (code) data = pcre2_match_data_create(1, NULL);
    if (!data) goto out;
    for (size_t from = 0, to; from < f->n; from = to) {
        for (to = from + 1; to < f->n && !compare_to(&f->rows[from], &f->rows[to]);)
            to++;
        if (add_variants(f, from, to, code, data, more, several)) goto out;
    }
    rc = more->failed || several->failed ? -1 : 0;
out:
    pcre2_match_data_free(data);
    pcre2_code_free(code);
    return rc;
}
