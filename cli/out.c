/* out.c: the command's two streams.
 *
 * Standard output is a buffer of our own and write(2): stdio would lose which bytes were written
 * when Ctrl-C ends the process. While a piece is being written the signal is held, so that a line
 * of JSON is never cut in half.
 * Errors are one line: control characters of a user's argument are escaped.
 * Numbers of JSON answers are yyjson's shortest round-trip form; an infinity or NaN is null. */
#include "out.h"

#include "interrupt.h"
#include "text.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OUT_BUFFER_BYTES = 65536, STUCK_READER_MS = 500 };

static cli_text pending;
static int closed, failed, quiet, progress_shown;

void out_init(int is_quiet) { quiet = is_quiet; }

static void write_all(int fd, const char *data, size_t bytes)
{
    interrupt_hold();
    while (bytes > 0 && !closed && !failed) {
        ssize_t n = write(fd, data, bytes);
        if (n < 0 && errno == EINTR) {
            /* A reader that stands still must not keep Ctrl-C from ending us. */
            struct pollfd ready = {fd, POLLOUT, 0};
            if (interrupt_seen() && poll(&ready, 1, STUCK_READER_MS) == 0)
                _exit(CLI_EXIT_INTERRUPTED);
            continue;
        }
        if (n < 0) {
            if (errno == EPIPE)
                closed = 1;
            else
                failed = errno;
            break;
        }
        data += n;
        bytes -= (size_t)n;
    }
    interrupt_release();
}

void out_flush(void)
{
    if (pending.bytes > 0) write_all(STDOUT_FILENO, pending.data, pending.bytes);
    pending.bytes = 0;
}

void out_write(const char *data, size_t bytes)
{
    cli_text_add(&pending, data, bytes);
    if (pending.bytes >= OUT_BUFFER_BYTES) out_flush();
}

void out_string(const char *text) { out_write(text, strlen(text)); }

void out_printf(const char *format, ...)
{
    char line[2048];
    va_list list;
    va_start(list, format);
    int n = vsnprintf(line, sizeof line, format, list);
    va_end(list);
    if (n > 0) out_write(line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

int out_closed(void) { return closed || failed; }

int out_finish(int status)
{
    out_flush();
    cli_text_deinit(&pending);
    if (closed) return CLI_EXIT_OK;
    if (failed) {
        fprintf(stderr, "%s: standard output: %s\n", CLI_NAME, strerror(failed));
        return 1;
    }
    return status;
}

void out_model_text(const char *text, size_t bytes)
{
    if (!isatty(STDOUT_FILENO)) {
        out_write(text, bytes);
        return;
    }
    size_t from = 0;
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        /* C2 80 .. C2 9F are the C1 controls; terminals take some of them as escapes. */
        int c1 = c == 0xC2 && i + 1 < bytes && (unsigned char)text[i + 1] < 0xA0;
        if (!c1 && ((c >= 0x20 && c != 0x7F) || c == '\n' || c == '\t')) continue;
        out_write(text + from, i - from);
        out_write("\xEF\xBF\xBD", 3);
        i += (size_t)c1;
        from = i + 1;
    }
    out_write(text + from, bytes - from);
}

/* ---- standard error ------------------------------------------------------------------------- */

/* One line: control characters are escaped, broken UTF-8 replaced. */
static void print_line(const char *prefix, const char *text)
{
    cli_text whole = {0}, line = {0};
    text_utf8_repair(&whole, text, strlen(text));
    cli_text_add(&line, prefix, strlen(prefix));
    for (size_t i = 0; i < whole.bytes; i++) {
        unsigned char c = (unsigned char)whole.data[i];
        char escape[8];
        if (c >= 0x20 && c != 0x7F) {
            cli_text_add(&line, whole.data + i, 1);
            continue;
        }
        int n = snprintf(escape, sizeof escape, c == '\n' ? "\\n" : "\\x%02x", c);
        cli_text_add(&line, escape, (size_t)n);
    }
    cli_text_add(&line, "\n", 1);
    progress_show(NULL);
    fwrite(line.data, 1, line.bytes, stderr);
    cli_text_deinit(&line);
    cli_text_deinit(&whole);
}

void note(const char *format, ...)
{
    char line[1200];
    va_list list;
    if (quiet) return;
    va_start(list, format);
    vsnprintf(line, sizeof line, format, list);
    va_end(list);
    print_line(CLI_NAME ": ", line);
}

int out_plain_terminal(void)
{
    const char *term = getenv("TERM");
    return !term || !term[0] || strcmp(term, "dumb") == 0;
}

int progress_possible(void) { return !quiet && isatty(STDERR_FILENO); }

void progress_show(const char *line)
{
    if (!line && !progress_shown) return;
    if (quiet || !isatty(STDERR_FILENO) || out_plain_terminal()) return;
    fprintf(stderr, "\r\033[K%s", line ? line : "");
    progress_shown = line != NULL;
}

void out_log(void *user, mlxe_log_level level, const char *line)
{
    static const char *const NAMES[] = {"", "error: ", "warning: ", "", "debug: "};
    (void)user;
    if (quiet && level > MLXE_LOG_ERROR) return;
    if ((int)level < 0 || (size_t)level >= sizeof NAMES / sizeof *NAMES) level = MLXE_LOG_INFO;
    /* One call a line: it comes from any thread. */
    fprintf(stderr, "%s: %s%s\n", CLI_NAME, NAMES[level], line);
}

int cli_fail(const cli_call *call, const mlxe_error *err)
{
    if (call && (call->json || call->lines)) json_print_error(err);
    out_flush();
    if (closed) return CLI_EXIT_OK;
    print_line(CLI_NAME ": ", err->message);
    if (err->hint[0]) print_line(CLI_NAME ": hint: ", err->hint);
    return mlxe_status_exit(err->code);
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static void *check(void *made)
{
    if (!made) cli_alloc(SIZE_MAX); /* out of memory: ends the process */
    return made;
}

const char *json_kind(const yyjson_val *value)
{
    switch (yyjson_get_type((yyjson_val *)value)) {
    case YYJSON_TYPE_NULL:
        return "null";
    case YYJSON_TYPE_BOOL:
        return "a boolean";
    case YYJSON_TYPE_RAW: /* numbers are kept as they are written */
    case YYJSON_TYPE_NUM:
        return "a number";
    case YYJSON_TYPE_STR:
        return "a string";
    case YYJSON_TYPE_ARR:
        return "an array";
    case YYJSON_TYPE_OBJ:
        return "an object";
    default:
        return "nothing";
    }
}

yyjson_mut_doc *json_new(void)
{
    yyjson_mut_doc *doc = check(yyjson_mut_doc_new(NULL));
    yyjson_mut_doc_set_root(doc, check(yyjson_mut_obj(doc)));
    return doc;
}

yyjson_mut_val *json_string(yyjson_mut_doc *doc, const char *text, size_t bytes)
{
    if (text_utf8_bad(text, bytes) == bytes) return check(yyjson_mut_strncpy(doc, text, bytes));
    cli_text good = {0};
    text_utf8_repair(&good, text, bytes);
    yyjson_mut_val *value = check(yyjson_mut_strncpy(doc, good.data, good.bytes));
    cli_text_deinit(&good);
    return value;
}

void json_add_string(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, const char *text)
{
    yyjson_mut_obj_add_val(doc, object, key, json_string(doc, text, strlen(text)));
}

void json_add_raw(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, const char *json,
                  size_t bytes)
{
    yyjson_mut_obj_add_val(doc, object, key, check(yyjson_mut_rawn(doc, json, bytes)));
}

yyjson_mut_val *json_ids(yyjson_mut_doc *doc, const int32_t *ids, size_t n)
{
    yyjson_mut_val *array = n ? yyjson_mut_arr_with_sint32(doc, ids, n) : yyjson_mut_arr(doc);
    return check(array);
}

void json_print(yyjson_mut_doc *doc)
{
    size_t bytes = 0;
    char *text = check(yyjson_mut_write(doc, YYJSON_WRITE_INF_AND_NAN_AS_NULL, &bytes));
    out_write(text, bytes);
    out_write("\n", 1);
    free(text);
    yyjson_mut_doc_free(doc);
}

yyjson_mut_doc *json_error(const mlxe_error *err)
{
    yyjson_mut_doc *doc = json_new();
    yyjson_mut_val *error = check(yyjson_mut_obj(doc));
    yyjson_mut_obj_add_val(doc, yyjson_mut_doc_get_root(doc), "error", error);
    json_add_string(doc, error, "code", mlxe_status_name(err->code));
    json_add_string(doc, error, "message", err->message);
    json_add_string(doc, error, "hint", err->hint);
    return doc;
}

void json_print_error(const mlxe_error *err) { json_print(json_error(err)); }
