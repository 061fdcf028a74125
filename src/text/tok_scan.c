/* tok_scan.c: the regular expressions that most models cut text with, written by hand.
 *
 *   pattern text --ROWS--> scanner: one look at a table of classes a character, no backtracking
 *
 * A scanner is chosen by the pattern's exact text and gives what the regex gives, match for match
 * (tests/text/full_tok_scan.c compares them on random text); any other pattern goes to PCRE2.
 *
 * The families and how they match, at each place the first alternative that fits:
 *   GPT-2        'll ..| ?L+| ?N+| ?other+|spaces
 *   Llama 3      (?i)'ll ..|[^\r\n L N]?L+|N{1,3}| ?other+[\r\n]*|\s*[\r\n]+|spaces
 *                Qwen 2: single digits; Qwen 3.5: marks are letters
 *   o200k        [^\r\n L N]?(upper* lower+|upper+ lower*)(?i:'ll ..)?|N{1,3}| ?other+[\r\n/]*|..
 *                tekken: no contractions, single digits; marks count as upper and lower
 *   DeepSeek 3   punctuation letters+|[^\r\n L P S]?[LM]+| ?[PS]+[\r\n]*|..; the rest stays between
 *   spaces are   \s*[\r\n]+ where the family has it, \s+(?!\S), \s+
 *
 * Invariants: an alternative is tried only where its first character can stand, and each run is
 * walked once, so a text is scanned in linear time.
 * Traps: \s+(?!\S) gives its last character back unless the text ends. upper* gives characters back
 * until lower+ has one: modifiers, letters without case and marks are both. Without case, s is also
 * U+017F.
 *
 * Source: the patterns as tokenizer.json files of these models have them. */
#include "text/tok_scan.h"

#include <stdlib.h>

enum { NEAR = 0x20000 }; /* characters whose class is one look away */

/* Sets of classes. */
#define SET(c) (1u << (c))
#define L                                                                                          \
    (SET(SCAN_UPPER) | SET(SCAN_LOWER) | SET(SCAN_TITLE) | SET(SCAN_MODIFIER) | SET(SCAN_LETTER))
#define M          SET(SCAN_MARK)
#define N          SET(SCAN_NUMBER)
#define PS         (SET(SCAN_PUNCT) | SET(SCAN_SYMBOL))
#define NEWLINE    SET(SCAN_NEWLINE)
#define SPACE      (SET(SCAN_SPACE) | NEWLINE)
#define BOTH_CASES (SET(SCAN_MODIFIER) | SET(SCAN_LETTER) | M)
#define UPPER      (SET(SCAN_UPPER) | SET(SCAN_TITLE) | BOTH_CASES)
#define LOWER      (SET(SCAN_LOWER) | BOTH_CASES)
#define ALL        (SET(SCAN_CLASSES) - 1u)

typedef struct family {
    const char *pattern;
    size_t (*match)(const tok_scanner *s, strv text, size_t at); /* the end of a match at `at`, or
                                                                    `at` */
    unsigned letters;                                            /* what a word is made of */
    unsigned lead;    /* what may stand before a word, once */
    unsigned other;   /* what is neither word, number nor space */
    int digits;       /* longest run of numbers */
    int contractions; /* after a word (o200k) */
    int slash;        /* "/" may follow other characters as newlines do */
} family;

struct tok_scanner {
    const family *f;
    uint8_t near_class[NEAR];
};

static unsigned class_beyond(uint32_t cp)
{
    size_t low = 0, high = scan_class_starts_n;
    while (high - low > 1) {
        size_t mid = (low + high) / 2;
        if (scan_class_starts[mid][0] <= cp)
            low = mid;
        else
            high = mid;
    }
    return scan_class_starts[low][1];
}

/* The set with the class of the character at i, and its bytes; 0 at the end. */
static unsigned set_at(const tok_scanner *s, strv text, size_t i, size_t *width)
{
    *width = 0;
    if (i >= text.n) return 0;
    unsigned char c = (unsigned char)text.p[i];
    if (c < 0x80) {
        *width = 1;
        return 1u << s->near_class[c];
    }
    uint32_t cp = utf8_at(text.p + i, width);
    return 1u << (cp < NEAR ? s->near_class[cp] : class_beyond(cp));
}

/* The end of the run of characters of the set from i on. */
static size_t run(const tok_scanner *s, strv text, size_t i, unsigned set)
{
    for (size_t width; set_at(s, text, i, &width) & set;)
        i += width;
    return i;
}

static size_t digits(const tok_scanner *s, strv text, size_t i)
{
    size_t width;
    for (int k = 0; k < s->f->digits && (set_at(s, text, i, &width) & N); k++)
        i += width;
    return i;
}

/* 's 't 're 've 'm 'll 'd at i. -> its bytes, or 0 */
static size_t contraction(strv text, size_t i, int fold)
{
    if (i + 1 >= text.n || text.p[i] != '\'') return 0;
    char a = text.p[i + 1], b = i + 2 < text.n ? text.p[i + 2] : 0;
    if (fold && a == '\xC5' && b == '\xBF') return 3; /* U+017F */
    if (fold) {
        if (a >= 'A' && a <= 'Z') a = (char)(a | 32);
        if (b >= 'A' && b <= 'Z') b = (char)(b | 32);
    }
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
    if ((a == 'r' || a == 'v') && b == 'e') return 3;
    return a == 'l' && b == 'l' ? 3 : 0;
}

/* \s+(?!\S)|\s+, where a space stands at i; newlines: \s*[\r\n]+ before them. */
static size_t spaces(const tok_scanner *s, strv text, size_t i, int newlines)
{
    size_t from = i, before = i, line = i, width;
    for (unsigned set; (set = set_at(s, text, i, &width)) & SPACE;) {
        before = i;
        i += width;
        if (set & NEWLINE) line = i;
    }
    if (newlines && line > from) return line;
    return i < text.n && before > from ? before : i;
}

static size_t match_gpt2(const tok_scanner *s, strv text, size_t at)
{
    size_t width, next;
    unsigned set = set_at(s, text, at, &width);
    size_t n = contraction(text, at, 0);
    if (n) return at + n;
    if (text.p[at] == ' ') {
        unsigned behind = set_at(s, text, at + 1, &next);
        if (behind && !(behind & SPACE)) {
            set = behind;
            at++;
        }
    }
    if (set & L) return run(s, text, at, L);
    if (set & N) return run(s, text, at, N);
    return set & SPACE ? spaces(s, text, at, 0) : run(s, text, at, ALL & ~(L | N | SPACE));
}

/* ` ?other+[\r\n]*` and what follows it in all families. */
static size_t match_rest(const tok_scanner *s, strv text, size_t at, unsigned set)
{
    size_t width, from = at;
    if (text.p[at] == ' ') {
        unsigned behind = set_at(s, text, at + 1, &width);
        if (behind & s->f->other) {
            set = behind;
            from = at + 1;
        }
    }
    if (set & s->f->other) {
        from = run(s, text, from, s->f->other);
        while (from < text.n && (text.p[from] == '\r' || text.p[from] == '\n' ||
                                 (s->f->slash && text.p[from] == '/')))
            from++;
        return from;
    }
    return set & SPACE ? spaces(s, text, at, 1) : at;
}

static size_t match_llama(const tok_scanner *s, strv text, size_t at)
{
    size_t width, next;
    unsigned set = set_at(s, text, at, &width);
    size_t n = contraction(text, at, 1);
    if (n) return at + n;
    if (set & s->f->lead && set_at(s, text, at + width, &next) & s->f->letters)
        return run(s, text, at + width + next, s->f->letters);
    if (set & s->f->letters) return run(s, text, at, s->f->letters);
    if (set & N) return digits(s, text, at);
    return match_rest(s, text, at, set);
}

/* upper* lower+ from i on. -> its end, or i */
static size_t cased(const tok_scanner *s, strv text, size_t i)
{
    size_t from = i, back = i, width;
    unsigned set;
    while ((set = set_at(s, text, i, &width)) & UPPER) {
        i += width;
        if (set & LOWER) back = i; /* behind the last that is both */
    }
    if (set & LOWER) return run(s, text, i, LOWER);
    return back > from ? back : from;
}

static size_t match_o200k(const tok_scanner *s, strv text, size_t at)
{
    size_t width, end = 0;
    unsigned set = set_at(s, text, at, &width);
    size_t word = at + width; /* where it begins, when a lead stands before it */
    if (set & s->f->lead && (end = cased(s, text, word)) == word) end = 0;
    if (!end && set & (UPPER | LOWER) && (end = cased(s, text, at)) == at) end = 0;
    if (!end && set & s->f->lead && (end = run(s, text, word, UPPER)) == word) end = 0;
    if (!end && set & UPPER) end = run(s, text, at, UPPER);
    if (end) return end + (s->f->contractions ? contraction(text, end, 1) : 0);
    if (set & N) return digits(s, text, at);
    return match_rest(s, text, at, set);
}

static int is_ascii_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

static size_t match_deepseek(const tok_scanner *s, strv text, size_t at)
{
    size_t width, next, i = at + 1;
    unsigned set = set_at(s, text, at, &width);
    if (width == 1 && set & PS && i < text.n && is_ascii_letter(text.p[i])) {
        while (i < text.n && is_ascii_letter(text.p[i]))
            i++;
        return i;
    }
    if (set & s->f->lead && set_at(s, text, at + width, &next) & s->f->letters)
        return run(s, text, at + width + next, s->f->letters);
    if (set & s->f->letters) return run(s, text, at, s->f->letters);
    return match_rest(s, text, at, set);
}

static size_t match_digits(const tok_scanner *s, strv text, size_t at)
{
    return digits(s, text, at);
}

/* ---- the table ------------------------------------------------------------------------------- */

#define ENDS         "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define U200         "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define L200         "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define WORD         "[^\\r\\n\\p{L}\\p{N}]?"
#define OTHER        " ?[^\\s\\p{L}\\p{N}]+"

static const family ROWS[] = {
    {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
     match_gpt2, 0, 0, 0, 0, 0, 0},
    {CONTRACTIONS "|" WORD "\\p{L}+|\\p{N}{1,3}|" OTHER "[\\r\\n]*|" ENDS, match_llama, L,
     ALL & ~(NEWLINE | L | N), ALL & ~(SPACE | L | N), 3, 0, 0},
    {CONTRACTIONS "|" WORD "\\p{L}+|\\p{N}|" OTHER "[\\r\\n]*|" ENDS, match_llama, L,
     ALL & ~(NEWLINE | L | N), ALL & ~(SPACE | L | N), 1, 0, 0},
    {CONTRACTIONS "|" WORD "[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" ENDS,
     match_llama, L | M, ALL & ~(NEWLINE | L | N), ALL & ~(SPACE | L | M | N), 1, 0, 0},
    {WORD U200 "*" L200 "+" CONTRACTIONS "?|" WORD U200 "+" L200 "*" CONTRACTIONS
               "?|\\p{N}{1,3}|" OTHER "[\\r\\n/]*|" ENDS,
     match_o200k, 0, ALL & ~(NEWLINE | L | N), ALL & ~(SPACE | L | N), 3, 1, 1},
    {WORD U200 "*" L200 "+|" WORD U200 "+" L200 "*|\\p{N}|" OTHER "[\\r\\n/]*|" ENDS, match_o200k,
     0, ALL & ~(NEWLINE | L | N), ALL & ~(SPACE | L | N), 1, 0, 1},
    {"[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?"
     "[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|" ENDS,
     match_deepseek, L | M, ALL & ~(NEWLINE | L | PS), PS, 0, 0, 0},
    {"\\p{N}{1,3}", match_digits, 0, 0, 0, 3, 0, 0},
    {"\\p{N}", match_digits, 0, 0, 0, 1, 0, 0},
};

mlxe_status tok_scanner_open(const tok_reader *r, strv pattern, tok_scanner **out)
{
    const family *f = NULL;
    *out = NULL;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        if (strv_is(pattern, ROWS[i].pattern)) f = &ROWS[i];
    if (!f) return MLXE_OK;
    tok_scanner *s = malloc(sizeof *s);
    if (!s) return tok_no_memory(r);
    s->f = f;
    for (size_t i = 0; i < scan_class_starts_n; i++) {
        uint32_t from = scan_class_starts[i][0];
        uint32_t to = i + 1 < scan_class_starts_n ? scan_class_starts[i + 1][0] : NEAR;
        if (from >= NEAR) break;
        memset(s->near_class + from, (int)scan_class_starts[i][1], (to < NEAR ? to : NEAR) - from);
    }
    s->near_class['\r'] = s->near_class['\n'] = SCAN_NEWLINE;
    *out = s;
    return MLXE_OK;
}

const char *tok_scanner_pattern(size_t i)
{
    return i < sizeof ROWS / sizeof *ROWS ? ROWS[i].pattern : NULL;
}

void tok_scanner_close(tok_scanner *s) { free(s); }

void tok_scanner_find(const tok_scanner *s, strv text, tok_matches *out)
{
    size_t done = 0;
    for (size_t at = 0, end; at < text.n; at = end) {
        end = s->f->match(s, text, at);
        if (end == at) {
            end += utf8_width((unsigned char)text.p[at]);
            continue;
        }
        if (done < at) tok_matches_add(out, done, at, 0);
        tok_matches_add(out, at, end, 1);
        done = end;
    }
    if (done < text.n) tok_matches_add(out, done, text.n, 0);
}
