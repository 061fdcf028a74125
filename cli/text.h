/* text.h: numbers, UTF-8 and inputs. */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include "cli.h"

/* Decimal integer, all of text, optional sign; 0 when it is none or does not fit. */
int text_int(const char *text, size_t bytes, int64_t *out);
int text_uint(const char *text, size_t bytes, uint64_t *out);
/* Decimal number as JSON writes it (a leading '+', '.5' and '5.' are accepted too), inf, -inf,
 * Infinity, -Infinity; never NaN, never hexadecimal, whatever the locale. */
int text_float(const char *text, size_t bytes, double *out);

/* Offset of the first byte that is not UTF-8; bytes when all is well. */
size_t text_utf8_bad(const char *text, size_t bytes);
/* The text with broken UTF-8 replaced by U+FFFD, appended to out. */
void text_utf8_repair(cli_text *out, const char *text, size_t bytes);
/* Bytes of the longest prefix of at most `limit` bytes that cuts no character. */
size_t text_utf8_cut(const char *text, size_t bytes, size_t limit);

/* Edits that turn a into b, at most 99; for "did you mean". */
int text_distance(const char *a, const char *b);

/* Reads an input: "@FILE" is the file's bytes, "-" standard input's, anything else itself.
 * where  names it in messages ("PROMPT")
 * Fails  NOT_FOUND, ACCESS, IO, INPUT (not UTF-8) */
mlxe_status text_input(const char *where, const char *argument, cli_text *out, mlxe_error *err);
/* Reads a file whole. Fails NOT_FOUND, ACCESS, IO, INPUT (not UTF-8) */
mlxe_status text_file(const char *where, const char *path, cli_text *out, mlxe_error *err);

/* Ids separated by white space or commas, appended to *ids; -> INPUT error names the word. */
mlxe_status text_ids(const char *where, const char *text, size_t bytes, int32_t **ids, size_t *n,
                     mlxe_error *err);

#endif
