/* lines.h: JSONL on standard input, one answer for each line, in order. */
#ifndef CLI_LINES_H
#define CLI_LINES_H

#include "args.h"

/* Lines of a descriptor, of any length. Zero-initialise; number counts the lines taken. */
typedef struct line_reader {
    cli_text buffer;
    size_t begin, scanned;
    int at_end;
    uint64_t number;
} line_reader;

/* 1: a line is taken, without its newline (borrowed until line_fill; may be written to). 0: none is
 * complete yet, or (with at_end) none is left. */
int line_take(line_reader *r, char **line, size_t *bytes);
/* 1: line_take would take one. */
int line_waits(const line_reader *r);
/* Reads once from standard input, waiting for it. Fails IO; MLXE_OK also when a signal came. */
mlxe_status line_fill(line_reader *r, mlxe_error *err);
void line_reader_deinit(line_reader *r);

/* One parsed line. Numbers are kept as they are written (yyjson raw values). */
typedef struct cli_line {
    char where[40]; /* "line 3" */
    const char *text;
    size_t bytes;
    yyjson_doc *doc;
    yyjson_val *root; /* an object */
} cli_line;

/* Parses. Lone surrogate escapes become \ufffd in text, in place. Fails INPUT */
mlxe_status cli_line_parse(const line_reader *r, char *text, size_t bytes, cli_line *out,
                           mlxe_error *err);
void cli_line_deinit(cli_line *line);
/* The same for any JSON text; where is the input's name. Root may be any value. */
mlxe_status json_text_parse(const char *where, char *text, size_t bytes, yyjson_doc **out,
                            mlxe_error *err);

typedef struct line_key {
    const char *name;
    yyjson_val *value; /* of the last such member; NULL: absent or null */
} line_key;

/* Finds keys; any other key is an error that names it. Fails ARG */
mlxe_status cli_line_keys(const cli_line *line, line_key *keys, size_t n, mlxe_error *err);
/* Typed values of keys; absent leaves *out. Fails INPUT (missing where wanted), ARG */
mlxe_status cli_line_text(const cli_line *line, const line_key *key, const char **text,
                          size_t *bytes, mlxe_error *err);
mlxe_status cli_line_flag(const cli_line *line, const line_key *key, int *out, mlxe_error *err);
/* Malloced; ids must be there. One above INT32_MAX becomes that: no vocabulary reaches it. */
mlxe_status cli_line_ids(const cli_line *line, const line_key *key, uint32_t highest, int32_t **ids,
                         size_t *n, mlxe_error *err);

/* Answers every line with fn, which prints one JSON line or fails. -> exit status */
typedef mlxe_status (*line_fn)(void *user, const cli_line *line, mlxe_error *err);
int lines_run(const cli_call *call, line_fn fn, void *user);

#endif
