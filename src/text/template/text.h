/* text.h: Python's str by code points over UTF-8: counting, searching, cutting, letter case.
 *
 * Text is well-formed UTF-8: sources and requests are checked when they come in. Only an escape
 * in a template ("\ud800") makes a lone surrogate, which may be asked about and written as JSON's
 * escape; an output that holds one is an error. */
#ifndef TEMPLATE_TEXT_H
#define TEMPLATE_TEXT_H

#include "text/template/value.h"

/* The code point at p (p < end); *n: its bytes. */
unsigned jj_decode(const char *p, const char *end, size_t *n);
/* Bytes of the character that ends at p[n]. */
size_t jj_last_char(strv text);
void jj_add_code(buf *b, unsigned c); /* a surrogate too: three bytes, as if it were a character */
/* Where the first surrogate of a text stands, or SIZE_MAX. */
size_t jj_find_surrogate(strv text);
size_t jj_count(strv text); /* code points */
size_t jj_chars(jj_str *s);
/* Byte offset of a code point, of the text's end for an index beyond it. */
size_t jj_offset(jj_str *s, size_t index);
int jj_utf8_ok(strv text, size_t *bad);
/* First byte offset >= from where needle lies, or SIZE_MAX. */
size_t jj_find(strv text, strv needle, size_t from);
size_t jj_rfind(strv text, strv needle);

int jj_isspace(unsigned c);
int jj_isalpha(unsigned c);
int jj_isdecimal(unsigned c);
int jj_isdigit(unsigned c);
int jj_isnumeric(unsigned c);
int jj_isalnum(unsigned c);
int jj_islower(unsigned c);
int jj_isupper(unsigned c);
int jj_istitle(unsigned c);
int jj_isprintable(unsigned c);
int jj_is_identifier(strv text);
int jj_is_identifier_char(unsigned c, int first);
int jj_is_nfkc(strv text);        /* 1: it is its own compatibility composition */
int jj_decimal_value(unsigned c); /* 0..9, or -1 */

strv jj_strip(strv text, const strv *chars, int left, int right); /* chars NULL: whitespace */
typedef enum jj_case {
    JJ_UPPER,
    JJ_LOWER,
    JJ_TITLE,      /* "hello wORLD" -> "Hello World" */
    JJ_CAPITALIZE, /* -> "Hello world" */
    JJ_SWAP,
    JJ_FOLD
} jj_case;
void jj_write_case(buf *b, strv text, jj_case how);

#endif
