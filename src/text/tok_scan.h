/* tok_scan.h: hand-written scanners for the regular expressions that most models cut text with. */
#ifndef TEXT_TOK_SCAN_H
#define TEXT_TOK_SCAN_H

#include "text/tok_parts.h"

/* Classes of characters; tok_classes.c says where they change. */
enum scan_class {
    SCAN_OTHER,
    SCAN_UPPER,
    SCAN_LOWER,
    SCAN_TITLE,
    SCAN_MODIFIER,
    SCAN_LETTER,
    SCAN_MARK,
    SCAN_NUMBER,
    SCAN_PUNCT,
    SCAN_SYMBOL,
    SCAN_SPACE,
    SCAN_NEWLINE, /* \r and \n, which are spaces too */
    SCAN_CLASSES
};
extern const uint32_t scan_class_starts[][2]; /* first code point, class */
extern const unsigned scan_class_starts_n;

/* A pattern and its scanner, with the table of classes. Immutable. */
typedef struct tok_scanner tok_scanner;
/* The scanner of exactly this pattern; *out NULL: there is none. Fails MEMORY */
mlxe_status tok_scanner_open(const tok_reader *r, strv pattern, tok_scanner **out);
/* The patterns that have one, by number; NULL behind the last. */
const char *tok_scanner_pattern(size_t i);
void tok_scanner_close(tok_scanner *s);
/* Adds all matches in text and what lies between them, as tok_regex_find does. */
void tok_scanner_find(const tok_scanner *s, strv text, tok_matches *out);

#endif
