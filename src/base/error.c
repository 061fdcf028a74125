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

/* Bytes that a character takes which begins with this byte; 0: none begins so. */
static size_t promised_length(unsigned char first)
{
    if (first < 0x80) return 1;
    if (first < 0xC2) return 0;
    if (first < 0xE0) return 2;
    if (first < 0xF0) return 3;
    return first < 0xF5 ? 4 : 0;
}

/* Bytes of the well-formed UTF-8 character at p (n > 0 bytes there), or 0. */
static size_t utf8_length(const unsigned char *p, size_t n)
{
    size_t len = promised_length(p[0]);
    if (!len || len > n) return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xC0) != 0x80) return 0;
    if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xF0 && p[1] < 0x90)) return 0;
    if ((p[0] == 0xED && p[1] > 0x9F) || (p[0] == 0xF4 && p[1] > 0x8F)) return 0;
    return len;
}

/* Whether all that is left is the beginning of one character: the buffer's end cut it. */
static int is_cut(const unsigned char *p, size_t n)
{
    if (n >= promised_length(p[0])) return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xC0) != 0x80) return 0;
    return 1;
}

/* What moves a terminal's cursor or ends a line: C0, DEL, C1, line and paragraph separator, and
 * the overrides of direction, which can show a name other than the one that is there. */
static int is_control(const unsigned char *p, size_t len)
{
    if (len == 1) return p[0] < 0x20 || p[0] == 0x7F;
    if (len == 2) return p[0] == 0xC2 && p[1] < 0xA0;
    if (len != 3 || p[0] != 0xE2) return 0;
    return (p[1] == 0x80 && p[2] >= 0xA8 && p[2] <= 0xAE) ||
           (p[1] == 0x81 && p[2] >= 0xA6 && p[2] <= 0xA9);
}

void err_clean(char *text)
{
    unsigned char *p = (unsigned char *)text;
    size_t n = strlen(text);
    for (size_t i = 0; i < n;) {
        size_t len = utf8_length(p + i, n - i);
        if (!len && is_cut(p + i, n - i)) {
            p[i] = 0;
            return;
        }
        if (!len || is_control(p + i, len)) {
            int space = p[i] == '\n' || p[i] == '\t';
            if (!len) len = 1;
            memset(p + i, space ? ' ' : '?', len);
        }
        i += len;
    }
}

mlxe_status err_set(mlxe_error *err, mlxe_status code, const char *fmt, ...)
{
    va_list args;
    if (!err) return code;
    err->code = code;
    err->message[0] = err->hint[0] = 0;
    va_start(args, fmt);
    vsnprintf(err->message, sizeof err->message, fmt, args);
    va_end(args);
    err_clean(err->message);
    return code;
}

void err_hint(mlxe_error *err, const char *fmt, ...)
{
    va_list args;
    if (!err) return;
    err->hint[0] = 0;
    va_start(args, fmt);
    vsnprintf(err->hint, sizeof err->hint, fmt, args);
    va_end(args);
    err_clean(err->hint);
}

mlxe_status err_prefix(mlxe_error *err, const char *fmt, ...)
{
    char prefix[sizeof err->message], message[sizeof err->message];
    size_t used;
    va_list args;
    if (!err) return MLXE_OK;
    prefix[0] = 0;
    va_start(args, fmt);
    vsnprintf(prefix, sizeof prefix - 3, fmt, args);
    va_end(args);
    used = strlen(prefix);
    memcpy(prefix + used, ": ", 3);
    memcpy(message, err->message, sizeof message);
    snprintf(err->message, sizeof err->message, "%s", prefix);
    used = strlen(err->message);
    snprintf(err->message + used, sizeof err->message - used, "%s", message);
    err_clean(err->message);
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
