/* tok_regex_translate.h: between the files that write Oniguruma's patterns again for PCRE2. */
#ifndef TEXT_TOK_REGEX_TRANSLATE_H
#define TEXT_TOK_REGEX_TRANSLATE_H

#include "text/tok_regex_fold.h"
#include "text/tok_regex_names.h"

enum { REGEX_DEPTH_MAX = 100 };

/* What is known of a part of a pattern (tok_regex_empty.c); 0: it takes a character at least. */
enum regex_facts {
    REGEX_MAY_BE_EMPTY = 1,
    REGEX_EMPTY_LAST = 2, /* it can be empty everywhere, and is when all other ways have failed */
    REGEX_ONE_WAY = 4,    /* of each place it has one match at most */
    REGEX_EMPTY = 8,      /* it never takes a character */
    REGEX_EFFECTS = 16,   /* it sets what something else asks for */
    REGEX_NOTHING = REGEX_MAY_BE_EMPTY | REGEX_EMPTY_LAST | REGEX_ONE_WAY | REGEX_EMPTY,
    REGEX_ANCHOR = REGEX_MAY_BE_EMPTY | REGEX_ONE_WAY | REGEX_EMPTY
};

typedef struct translate {
    const char *p, *end;
    buf *out;
    const char *problem; /* why it is refused; the first reason stays */
    int depth;
    int extended;       /* (?x) */
    int fold;           /* (?i) */
    int behind;         /* inside of a look-behind */
    int absent;         /* inside of (?~..) */
    int opened;         /* capturing groups so far */
    uint32_t last;      /* with (?i): the literal right before, which nothing repeats; 0: none */
    int edge;           /* a parenthesis stands between it and p */
    regex_folds *folds; /* NULL: not asked for yet */
    unsigned facts;     /* of what was read last: an atom, a branch, alternatives */
    regex_names names;
    unsigned char group_facts[REGEX_NAMES]; /* of the groups that are closed, and REGEX_CLOSED */
} translate;

enum { REGEX_CLOSED = 128 };

/* -> -1 */
int regex_refuse(translate *t, const char *problem);
/* The table of foldings; NULL: no memory, refused */
const regex_folds *regex_folding(translate *t);
/* The character at p, which then stands behind it. */
uint32_t regex_take(translate *t);
/* A literal, outside of a class or in one. */
void regex_put_literal(buf *out, uint32_t cp);
/* \x{..}, \xHH, \uHHHH, \nnn, \cX and the letters, behind "\c". -> 0, -1: it is no literal */
int regex_read_code(translate *t, char c, int in_class, uint32_t *cp);

/* A set that stands alone (\w \s \d \h \p{..} and their negations), behind "\c".
 * -> 0 written, 1 none of them, -1 refused */
int regex_read_set(translate *t, char c);
/* A class, behind its bracket. -> 0, -1 */
int regex_read_class(translate *t);
/* \b and \B */
void regex_put_boundary(buf *out, int negate);

/* A sequence, or two alternatives, of what has these facts. */
unsigned regex_facts_join(unsigned first, unsigned then);
unsigned regex_facts_either(unsigned first, unsigned other);
/* A quantifier. high -1: no end; mode '?' lazy, '+' possessive, else 0 */
unsigned regex_facts_repeat(unsigned facts, int low, int high, char mode);
/* Whether a bounded repeat means the same in both engines. */
int regex_facts_repeatable(unsigned facts, int low, int high);

#endif
