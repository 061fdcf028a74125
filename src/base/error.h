/* error.h: fills the caller's mlxe_error.
 *
 * Convention: a function that fails calls err_set and returns its code, all in one statement. The
 * first cause is kept as it is: a caller that adds where it happened uses err_prefix. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "mlxengine.h"

#if defined(__GNUC__)
#define BASE_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define BASE_PRINTF(fmt, args)
#endif

/* Sets code and message ("where: what, got X, want Y"), clears the hint. Control characters and
 * broken UTF-8 that came from input are replaced. err may be NULL; no argument may lie in err.
 * -> code. Thread any */
mlxe_status err_set(mlxe_error *err, mlxe_status code, const char *fmt, ...) BASE_PRINTF(3, 4);

/* Sets the remedy of an error that is already set. err may be NULL. */
void err_hint(mlxe_error *err, const char *fmt, ...) BASE_PRINTF(2, 3);

/* Puts "prefix: " before the message. -> the error's code (MLXE_OK when err is NULL) */
mlxe_status err_prefix(mlxe_error *err, const char *fmt, ...) BASE_PRINTF(2, 3);

/* Out of memory, in the one form that it has. */
mlxe_status err_memory(mlxe_error *err, const char *what, size_t bytes);

/* Makes one clean line of UTF-8 in place: a newline or tab becomes a space, any other control
 * character and each broken byte '?', a character that the end cuts goes. Never longer. */
void err_clean(char *text);

/* Sets MLXE_OK, empty texts. err may be NULL. */
void err_clear(mlxe_error *err);

#endif
