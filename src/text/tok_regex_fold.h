/* tok_regex_fold.h: what case-insensitive matching adds to letters and sets. */
#ifndef TEXT_TOK_REGEX_FOLD_H
#define TEXT_TOK_REGEX_FOLD_H

#include "text/tok_parts.h"

typedef struct regex_folds regex_folds;

/* The table of foldings; NULL: no memory. */
regex_folds *regex_folds_open(void);
void regex_folds_close(regex_folds *f);

/* Literals that stand at one place of a pattern, of which the first ones fold to several characters
 * or are what one character folds to: appends alternatives "a|b|c" that match both.
 * -> how many literals they stand for, 0: none, PCRE2's own folding is enough */
int regex_folds_letters(const regex_folds *f, const uint32_t *cp, int n, buf *out);

/* Whether cp has, in Unicode 16, a fellow that PCRE2 may not know. */
int regex_folds_recent(const regex_folds *f, uint32_t cp);

/* What a set takes in beside its members. `body`: PCRE2 text that matches one of them. Appends
 * ranges as a class holds them to `more`, and "|ss|st" to `several`, longer texts last.
 * -> 0, -1: no memory, or PCRE2 does not take the body */
int regex_folds_set(const regex_folds *f, strv body, buf *more, buf *several);

#endif
