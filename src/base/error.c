/* error.c: the error carrier and the status table.
 *
 * Owns: how a message is cut (at a character), cleaned (one line, no control characters) and
 * prefixed. Messages hold names and strings out of files from the network, so they are cleaned
 * here, once, and not at each of the hundreds of places that make them. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    mlxe_status status;
    int exit_status;
    const char *name, *text;
} STATUS[] = {
#define ROW(name, code, exit_status, text) {name, exit_status, #name, text},
    MLXE_STATUS_LIST(ROW)
#undef ROW
};

static size_t status_row(mlxe_status status)
{
    size_t i = 0;
    while (i < sizeof STATUS / sizeof *STATUS && STATUS[i].status != status)
        i++;
    return i;
}

const char *mlxe_status_name(mlxe_status status)
{
    size_t i = status_row(status);
    return i < sizeof STATUS / sizeof *STATUS ? STATUS[i].name : "MLXE_E_UNKNOWN";
}

const char *mlxe_status_text(mlxe_status status)
{
    size_t i = status_row(status);
    return i < sizeof STATUS / sizeof *STATUS ? STATUS[i].text : "unknown status";
}

int mlxe_status_exit(mlxe_status status)
{
    size_t i = status_row(status);
    return i < sizeof STATUS / sizeof *STATUS ? STATUS[i].exit_status : 1;
}

/* Bytes of the well-formed UTF-8 character at p (n > 0 bytes there), or 0. */
static size_t utf8_length(const unsigned char *p, size_t n)
{
    static const unsigned char LEAST[5] = {0, 0, 0x80, 0xA0, 0x90};
    size_t len = p[0] < 0x80   ? 1
                 : p[0] < 0xC2 ? 0
                 : p[0] < 0xE0 ? 2
                 : p[0] < 0xF0 ? 3
                 : p[0] < 0xF5 ? 4
                               : 0;
    if (!len || len > n) return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xC0) != 0x80) return 0;
    if ((p[0] == 0xE0 && p[1] < LEAST[3]) || (p[0] == 0xF0 && p[1] < LEAST[4])) return 0;
    if ((p[0] == 0xED && p[1] > 0x9F) || (p[0] == 0xF4 && p[1] > 0x8F)) return 0;
    return len;
}

/* Makes one clean line in place: a cut character at the end goes, bad bytes become '?'. */
static void clean(char *text)
{
    unsigned char *p = (unsigned char *)text;
    size_t n = strlen(text);
    for (size_t i = 0; i < n;) {
        size_t len = utf8_length(p + i, n - i);
        if (!len && n - i < 4 && p[i] >= 0xC2) {
            p[i] = 0;
            return;
        }
        if (!len || p[i] < 0x20 || p[i] == 0x7F) p[i] = p[i] == '\n' || p[i] == '\t' ? ' ' : '?';
        i += len ? len : 1;
    }
}

mlxe_status err_set(mlxe_error *err, mlxe_status code, const char *fmt, ...)
{
    va_list args;
    if (!err) return code;
    err->code = code;
    err->hint[0] = 0;
    va_start(args, fmt);
    vsnprintf(err->message, sizeof err->message, fmt, args);
    va_end(args);
    clean(err->message);
    return code;
}

void err_hint(mlxe_error *err, const char *fmt, ...)
{
    va_list args;
    if (!err) return;
    va_start(args, fmt);
    vsnprintf(err->hint, sizeof err->hint, fmt, args);
    va_end(args);
    clean(err->hint);
}

mlxe_status err_prefix(mlxe_error *err, const char *fmt, ...)
{
    char prefix[sizeof err->message], message[sizeof err->message];
    size_t used;
    va_list args;
    if (!err) return MLXE_OK;
    va_start(args, fmt);
    vsnprintf(prefix, sizeof prefix - 3, fmt, args);
    va_end(args);
    used = strlen(prefix);
    memcpy(prefix + used, ": ", 3);
    memcpy(message, err->message, sizeof message);
    snprintf(err->message, sizeof err->message, "%s", prefix);
    used = strlen(err->message);
    snprintf(err->message + used, sizeof err->message - used, "%s", message);
    clean(err->message);
    return err->code;
}

mlxe_status err_memory(mlxe_error *err, const char *what, size_t bytes)
{
    return err_set(err, MLXE_E_MEMORY, "%s: out of memory, wanted %zu bytes", what, bytes);
}

void err_clear(mlxe_error *err)
{
    if (!err) return;
    err->code = MLXE_OK;
    err->message[0] = err->hint[0] = 0;
}
