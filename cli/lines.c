/* lines.c: JSONL in, one answer for each line.
 *
 * A line ends at \n and nothing else; the last one needs none. An empty line is a bad line: the
 * answers must stay in step with the lines.
 * JSON is read as Python reads it: NaN and Infinity, numbers of any size (kept as their text), the
 * last of two equal keys wins, a lone surrogate escape is U+FFFD. yyjson refuses the last, so the
 * escapes are rewritten first; both forms are six bytes, so that nothing moves. */
#include "lines.h"

#include "interrupt.h"
#include "out.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- reading -------------------------------------------------------------------------------- */

int line_take(line_reader *r, char **line, size_t *bytes)
{
    size_t left = r->buffer.bytes - r->begin;
    if (!r->buffer.data || left == 0) return 0;
    char *from = r->buffer.data + r->begin;
    char *end = left > r->scanned ? memchr(from + r->scanned, '\n', left - r->scanned) : NULL;
    if (!end && !r->at_end) {
        r->scanned = left;
        return 0;
    }
    *line = from;
    *bytes = end ? (size_t)(end - from) : left;
    r->begin += *bytes + (end != NULL);
    r->scanned = 0;
    r->number++;
    return 1;
}

int line_waits(const line_reader *r)
{
    size_t left = r->buffer.bytes - r->begin;
    if (!r->buffer.data || left == 0) return 0;
    if (r->at_end) return 1;
    const char *from = r->buffer.data + r->begin + r->scanned;
    return memchr(from, '\n', left - r->scanned) != NULL;
}

mlxe_status line_fill(line_reader *r, mlxe_error *err)
{
    char chunk[65536];
    if (r->begin > 0) {
        memmove(r->buffer.data, r->buffer.data + r->begin, r->buffer.bytes - r->begin);
        r->buffer.bytes -= r->begin;
        r->begin = 0;
    }
    ssize_t n = read(STDIN_FILENO, chunk, sizeof chunk);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return MLXE_OK;
    if (n < 0) return cli_error(err, MLXE_E_IO, NULL, "standard input: %s", strerror(errno));
    if (n == 0) r->at_end = 1;
    cli_text_add(&r->buffer, chunk, (size_t)n);
    return MLXE_OK;
}

void line_reader_deinit(line_reader *r)
{
    cli_text_deinit(&r->buffer);
    *r = (line_reader){0};
}

/* ---- parsing -------------------------------------------------------------------------------- */

/* The unit of the escape \uXXXX at text, or -1. */
static int escape_unit(const char *text, size_t bytes)
{
    int unit = 0;
    if (bytes < 6 || text[0] != '\\' || text[1] != 'u') return -1;
    for (int i = 2; i < 6; i++) {
        const char *digits = "0123456789abcdef0123456789ABCDEF";
        const char *at = text[i] ? strchr(digits, text[i]) : NULL;
        if (!at) return -1;
        unit = unit * 16 + (int)((at - digits) % 16);
    }
    return unit;
}

/* A backslash outside of a string is a syntax error anyway, so strings need not be told apart. */
static void replace_lone_surrogates(char *text, size_t bytes)
{
    static const char REPLACED[6] = {'\\', 'u', 'f', 'f', 'f', 'd'};
    size_t i = 0;
    while (i < bytes) {
        char *next = memchr(text + i, '\\', bytes - i);
        if (!next) break;
        i = (size_t)(next - text);
        int unit = escape_unit(text + i, bytes - i);
        if (unit < 0) {
            i += 2;
            continue;
        }
        int high = unit >= 0xD800 && unit < 0xDC00, low = unit >= 0xDC00 && unit < 0xE000;
        int after = high ? escape_unit(text + i + 6, bytes - i - 6) : -1;
        if (high && after >= 0xDC00 && after < 0xE000) {
            i += 12;
            continue;
        }
        if (high || low) memcpy(text + i, REPLACED, sizeof REPLACED);
        i += 6;
    }
}

mlxe_status json_text_parse(const char *where, char *text, size_t bytes, yyjson_doc **out,
                            mlxe_error *err)
{
    yyjson_read_err bad;
    *out = NULL;
    if (bytes == 0)
        return cli_error(err, MLXE_E_INPUT, NULL, "%s: empty, want a JSON value", where);
    replace_lone_surrogates(text, bytes);
    *out = yyjson_read_opts(text, bytes, YYJSON_READ_NUMBER_AS_RAW | YYJSON_READ_ALLOW_INF_AND_NAN,
                            NULL, &bad);
    if (!*out)
        return cli_error(err, MLXE_E_INPUT, NULL, "%s: not JSON: %s at byte %zu", where, bad.msg,
                         bad.pos);
    return MLXE_OK;
}

mlxe_status cli_line_parse(const line_reader *r, char *text, size_t bytes, cli_line *out,
                           mlxe_error *err)
{
    *out = (cli_line){.text = text, .bytes = bytes};
    snprintf(out->where, sizeof out->where, "line %llu", (unsigned long long)r->number);
    mlxe_status status = json_text_parse(out->where, text, bytes, &out->doc, err);
    if (status) return status;
    out->root = yyjson_doc_get_root(out->doc);
    if (!yyjson_is_obj(out->root))
        return cli_error(err, MLXE_E_INPUT, NULL, "%s: got %s, want an object", out->where,
                         json_kind(out->root));
    return MLXE_OK;
}

void cli_line_deinit(cli_line *line)
{
    yyjson_doc_free(line->doc);
    *line = (cli_line){0};
}

static line_key *key_find(line_key *keys, size_t n, const char *name, size_t bytes)
{
    for (size_t i = 0; i < n; i++)
        if (strlen(keys[i].name) == bytes && memcmp(keys[i].name, name, bytes) == 0)
            return &keys[i];
    return NULL;
}

mlxe_status cli_line_keys(const cli_line *line, line_key *keys, size_t n, mlxe_error *err)
{
    size_t i, members;
    yyjson_val *name, *value;
    yyjson_obj_foreach(line->root, i, members, name, value)
    {
        const char *text = yyjson_get_str(name);
        size_t bytes = yyjson_get_len(name);
        line_key *key = key_find(keys, n, text, bytes);
        if (!key)
            return cli_error(err, MLXE_E_ARG, NULL, "%s: %.*s: unknown key", line->where,
                             (int)text_utf8_cut(text, bytes, 60), text);
        key->value = yyjson_is_null(value) ? NULL : value;
    }
    return MLXE_OK;
}

static mlxe_status key_type(const cli_line *line, const line_key *key, const char *want,
                            mlxe_error *err)
{
    return cli_error(err, MLXE_E_ARG, NULL, "%s: %s: got %s, want %s", line->where, key->name,
                     json_kind(key->value), want);
}

mlxe_status cli_line_text(const cli_line *line, const line_key *key, const char **text,
                          size_t *bytes, mlxe_error *err)
{
    if (!key->value) return MLXE_OK;
    if (!yyjson_is_str(key->value)) return key_type(line, key, "a string", err);
    *text = yyjson_get_str(key->value);
    *bytes = yyjson_get_len(key->value);
    return MLXE_OK;
}

mlxe_status cli_line_flag(const cli_line *line, const line_key *key, int *out, mlxe_error *err)
{
    if (!key->value) return MLXE_OK;
    if (!yyjson_is_bool(key->value)) return key_type(line, key, "true or false", err);
    *out = yyjson_is_true(key->value);
    return MLXE_OK;
}

mlxe_status cli_line_ids(const cli_line *line, const line_key *key, uint32_t highest, int32_t **ids,
                         size_t *n, mlxe_error *err)
{
    size_t i, count;
    yyjson_val *item;
    *ids = NULL;
    *n = 0;
    if (!yyjson_is_arr(key->value)) return key_type(line, key, "an array of ids", err);
    int32_t *list = cli_alloc((yyjson_arr_size(key->value) + 1) * sizeof *list);
    yyjson_arr_foreach(key->value, i, count, item)
    {
        int64_t id = -1;
        /* 1.0 and 1e3 are floats, and no ids. */
        if (!yyjson_is_raw(item) || !text_int(yyjson_get_raw(item), yyjson_get_len(item), &id) ||
            id < 0 || id > highest) {
            free(list);
            size_t bytes = 0;
            char *got = yyjson_val_write(item, 0, &bytes);
            int shown = got ? (int)text_utf8_cut(got, bytes, 60) : 1;
            cli_error(err, MLXE_E_ARG, NULL, "%s: %s[%zu]: got %.*s, want an id from 0 to %u",
                      line->where, key->name, i, shown, got ? got : "?", highest);
            free(got);
            return MLXE_E_ARG;
        }
        list[i] = id < INT32_MAX ? (int32_t)id : INT32_MAX;
    }
    *ids = list;
    *n = count;
    return MLXE_OK;
}

/* ---- the loop ------------------------------------------------------------------------------- */

int lines_run(const cli_call *call, line_fn fn, void *user)
{
    line_reader reader = {0};
    mlxe_error err;
    int status = CLI_EXIT_OK;
    for (;;) {
        char *text;
        size_t bytes;
        if (out_closed()) break;
        if (line_take(&reader, &text, &bytes)) {
            cli_line line;
            if (cli_line_parse(&reader, text, bytes, &line, &err) || fn(user, &line, &err))
                json_print_error(&err);
            cli_line_deinit(&line);
            continue;
        }
        if (reader.at_end) break;
        out_flush(); /* whoever asked may wait for the answer before the next line */
        if (line_fill(&reader, &err)) {
            status = cli_fail(call, &err);
            break;
        }
    }
    line_reader_deinit(&reader);
    return status;
}
