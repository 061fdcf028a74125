/* tok_regex_translate.h: between the files that write Oniguruma's patterns again for PCRE2. */
#ifndef TEXT_TOK_REGEX_TRANSLATE_H
#define TEXT_TOK_REGEX_TRANSLATE_H

#include "text/tok_regex_fold.h"
#include "text/tok_regex_names.h"

enum { REGEX_DEPTH_MAX = 100 };

typedef struct translate {
    const char *p, *end;
    buf *out;
    const char *problem; /* why it is refused; the first reason stays */
    int depth;
    int extended;       /* (?x) */
    int fold;           /* (?i) */
    int behind;         /* inside of a look-behind */
    int opened;         /* capturing groups so far */
    uint32_t last;      /* with (?i): the literal right before, which nothing repeats; 0: none */
    int edge;           /* a parenthesis stands between it and p */
    regex_folds *folds; /* NULL: not asked for yet */
    regex_names names;
} translate;

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

#endif
