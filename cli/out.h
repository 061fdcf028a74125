/* out.h: standard output (results) and standard error (messages).
 *
 * Output is collected and written in whole pieces: out_flush where a reader waits. A reader that
 * went away is no error: out_closed tells, and the command ends quietly with status 0. */
#ifndef CLI_OUT_H
#define CLI_OUT_H

#include "cli.h"

#include <yyjson.h>

void out_init(int quiet);
void out_write(const char *data, size_t bytes);
void out_string(const char *text);
void out_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
void out_flush(void);
/* 1: nothing more can be written to standard output (its reader is gone, its disk is full). */
int out_closed(void);
/* Flushes; -> status, or 1 with a message when standard output could not be written. */
int out_finish(int status);
/* Text of a model on a terminal: control characters become U+FFFD, so that no escape sequence of a
 * model reaches the terminal. Elsewhere the bytes as they are. */
void out_model_text(const char *text, size_t bytes);

/* "mlxengine: ..." on standard error, unless --quiet. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* 1: people watch standard error, and nobody asked for quiet. */
int progress_possible(void);
/* A transient line on standard error, when that is a terminal; NULL clears it. */
void progress_show(const char *line);
/* 1: the terminal knows no escape sequences (TERM). */
int out_plain_terminal(void);
/* The library's log. */
void out_log(void *user, mlxe_log_level level, const char *line);

/* ---- JSON answers --------------------------------------------------------------------------- */

/* "a string", "a number", ...; "nothing" for NULL: for messages. */
const char *json_kind(const yyjson_val *value);
yyjson_mut_doc *json_new(void); /* the root is an object */
/* A string value (copied); broken UTF-8 becomes U+FFFD. */
yyjson_mut_val *json_string(yyjson_mut_doc *doc, const char *text, size_t bytes);
void json_add_string(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key,
                     const char *text);
/* A piece of JSON as it is (borrowed until printed). */
void json_add_raw(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, const char *json,
                  size_t bytes);
yyjson_mut_val *json_ids(yyjson_mut_doc *doc, const int32_t *ids, size_t n);
/* Prints the document on one line and frees it. */
void json_print(yyjson_mut_doc *doc);
/* {"error":{"code","message","hint"}} */
yyjson_mut_doc *json_error(const mlxe_error *err);
void json_print_error(const mlxe_error *err);

#endif
