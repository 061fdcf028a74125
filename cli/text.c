/* text.c: numbers, UTF-8 and inputs of the command.
 *
 * Numbers are checked against their grammar first and only then given to strtod: it would also take
 * hexadecimal, "nan" and leading blanks. The process never sets LC_NUMERIC (cli.h).
 * UTF-8 is Unicode's table 3-7: no surrogates, no overlong forms, nothing above U+10FFFF. */
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- numbers -------------------------------------------------------------------------------- */

static int is_digit(char c) { return c >= '0' && c <= '9'; }

int text_uint(const char *text, size_t bytes, uint64_t *out)
{
    uint64_t value = 0;
    if (bytes > 0 && text[0] == '+') text++, bytes--;
    if (bytes == 0) return 0;
    for (size_t i = 0; i < bytes; i++) {
        if (!is_digit(text[i])) return 0;
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (value > (UINT64_MAX - digit) / 10) return 0;
        value = value * 10 + digit;
    }
    *out = value;
    return 1;
}

int text_int(const char *text, size_t bytes, int64_t *out)
{
    uint64_t value;
    int negative = bytes > 1 && text[0] == '-' && is_digit(text[1]);
    if (!text_uint(text + negative, bytes - (size_t)negative, &value)) return 0;
    if (value > (uint64_t)INT64_MAX) return 0;
    *out = negative ? -(int64_t)value : (int64_t)value;
    return 1;
}

/* Length of the decimal number at text, 0 when there is none. */
static size_t number_span(const char *text, size_t bytes)
{
    size_t i = 0, digits = 0;
    while (i < bytes && is_digit(text[i]))
        i++, digits++;
    if (i < bytes && text[i] == '.') {
        i++;
        while (i < bytes && is_digit(text[i]))
            i++, digits++;
    }
    if (digits == 0) return 0;
    if (i < bytes && (text[i] == 'e' || text[i] == 'E')) {
        size_t exponent = i + 1;
        if (exponent < bytes && (text[exponent] == '+' || text[exponent] == '-')) exponent++;
        if (exponent == bytes || !is_digit(text[exponent])) return 0;
        for (i = exponent; i < bytes && is_digit(text[i]);)
            i++;
    }
    return i;
}

int text_float(const char *text, size_t bytes, double *out)
{
    size_t sign = bytes > 0 && (text[0] == '-' || text[0] == '+');
    const char *body = text + sign;
    size_t n = bytes - sign;
    if ((n == 3 && memcmp(body, "inf", 3) == 0) || (n == 8 && memcmp(body, "Infinity", 8) == 0)) {
        *out = text[0] == '-' ? -(double)INFINITY : (double)INFINITY;
        return 1;
    }
    if (n == 0 || number_span(body, n) != n) return 0;
    char *copy = cli_copy(text, bytes);
    *out = strtod(copy, NULL);
    free(copy);
    return 1;
}

/* ---- UTF-8 ---------------------------------------------------------------------------------- */

/* Bytes of the well-formed character at s, 0 when it is broken. */
static size_t character(const unsigned char *s, size_t n)
{
    unsigned char c = s[0];
    if (c < 0x80) return 1;
    size_t length = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
    if (c < 0xC2 || c > 0xF4 || n < length) return 0;
    unsigned char low = 0x80, high = 0xBF;
    if (c == 0xE0)
        low = 0xA0;
    else if (c == 0xED)
        high = 0x9F;
    else if (c == 0xF0)
        low = 0x90;
    else if (c == 0xF4)
        high = 0x8F;
    if (s[1] < low || s[1] > high) return 0;
    for (size_t i = 2; i < length; i++)
        if ((s[i] & 0xC0) != 0x80) return 0;
    return length;
}

size_t text_utf8_bad(const char *text, size_t bytes)
{
    size_t i = 0;
    while (i < bytes) {
        size_t step = character((const unsigned char *)text + i, bytes - i);
        if (step == 0) return i;
        i += step;
    }
    return bytes;
}

void text_utf8_repair(cli_text *out, const char *text, size_t bytes)
{
    size_t from = 0;
    while (from < bytes) {
        size_t good = text_utf8_bad(text + from, bytes - from);
        cli_text_add(out, text + from, good);
        from += good;
        if (from < bytes) {
            cli_text_add(out, "\xEF\xBF\xBD", 3);
            from++;
        }
    }
}

size_t text_utf8_cut(const char *text, size_t bytes, size_t limit)
{
    if (bytes <= limit) return bytes;
    while (limit > 0 && ((unsigned char)text[limit] & 0xC0) == 0x80)
        limit--;
    return limit;
}

/* ---- "did you mean" ------------------------------------------------------------------------- */

int text_distance(const char *a, const char *b)
{
    enum { MOST = 63 };
    size_t n = strlen(a), m = strlen(b);
    int rows[3][MOST + 1]; /* of i - 2, i - 1 and i, in turn */
    if (n > MOST || m > MOST) return 99;
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        int *row = rows[i % 3], *above = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        row[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            int best = above[j - 1] + (a[i - 1] != b[j - 1]);
            if (above[j] + 1 < best) best = above[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            row[j] = best;
        }
    }
    return rows[n % 3][m];
}

/* ---- inputs --------------------------------------------------------------------------------- */

static mlxe_status system_error(const char *where, const char *path, int number, mlxe_error *err)
{
    mlxe_status code = MLXE_E_IO;
    if (number == ENOENT || number == ENOTDIR)
        code = MLXE_E_NOT_FOUND;
    else if (number == EACCES || number == EPERM)
        code = MLXE_E_ACCESS;
    return cli_error(err, code, NULL, "%s: %s: %s", where, path, strerror(number));
}

static mlxe_status read_all(const char *where, const char *path, int fd, cli_text *out,
                            mlxe_error *err)
{
    char chunk[65536];
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return system_error(where, path, errno, err);
        if (n == 0) break;
        cli_text_add(out, chunk, (size_t)n);
    }
    cli_text_add(out, "", 0);
    size_t bad = text_utf8_bad(out->data, out->bytes);
    if (bad < out->bytes)
        return cli_error(err, MLXE_E_INPUT, NULL, "%s: %s: byte %zu is not UTF-8", where, path,
                         bad);
    return MLXE_OK;
}

mlxe_status text_file(const char *where, const char *path, cli_text *out, mlxe_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return system_error(where, path, errno, err);
    mlxe_status status = read_all(where, path, fd, out, err);
    close(fd);
    return status;
}

mlxe_status text_input(const char *where, const char *argument, cli_text *out, mlxe_error *err)
{
    if (strcmp(argument, "-") == 0)
        return read_all(where, "standard input", STDIN_FILENO, out, err);
    if (argument[0] == '@') return text_file(where, argument + 1, out, err);
    size_t bytes = strlen(argument), bad = text_utf8_bad(argument, bytes);
    if (bad < bytes)
        return cli_error(err, MLXE_E_INPUT, NULL, "%s: byte %zu is not UTF-8", where, bad);
    cli_text_add(out, argument, bytes);
    return MLXE_OK;
}

static int is_separator(char c)
{
    return c == ' ' || c == ',' || c == '\n' || c == '\t' || c == '\r';
}

mlxe_status text_ids(const char *where, const char *text, size_t bytes, int32_t **ids, size_t *n,
                     mlxe_error *err)
{
    size_t i = 0;
    while (i < bytes) {
        if (is_separator(text[i])) {
            i++;
            continue;
        }
        size_t end = i;
        while (end < bytes && !is_separator(text[end]))
            end++;
        int64_t id;
        if (!text_int(text + i, end - i, &id) || id < 0 || id > INT32_MAX) {
            int shown = (int)text_utf8_cut(text + i, end - i, 40);
            return cli_error(err, MLXE_E_ARG, NULL, "%s: got %.*s, want ids from 0 to %d", where,
                             shown, text + i, INT32_MAX);
        }
        *ids = cli_realloc(*ids, (*n + 1) * sizeof **ids);
        (*ids)[(*n)++] = (int32_t)id;
        i = end;
    }
    return MLXE_OK;
}
