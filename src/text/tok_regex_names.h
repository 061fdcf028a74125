/* tok_regex_names.h: the groups of an Oniguruma pattern: numbers, names, and references to them. */
#ifndef TEXT_TOK_REGEX_NAMES_H
#define TEXT_TOK_REGEX_NAMES_H

#include "text/tok_parts.h"

enum { REGEX_NAMES = 32 };
typedef struct regex_names {
    strv names[REGEX_NAMES]; /* of group 1, 2, ..., when `named` */
    int named;               /* some group has a name: plain groups then capture nothing */
    int groups;              /* that capture */
    int references;          /* \1 or \k stands somewhere */
} regex_names;

/* Finds the groups. -> NULL, or why the pattern is refused */
const char *regex_names_scan(strv pattern, regex_names *out);
/* The name of "<name>" or "'name'" at *p, which then stands behind it. -> 0: malformed */
int regex_names_read(const char **p, const char *end, strv *name);
/* The group that a reference means: a name, a number, or one counted back (and, for calls, on) from
 * the groups opened so far. -> its number, -1: none */
int regex_names_group(const regex_names *n, strv name, int opened, int is_call);

#endif
