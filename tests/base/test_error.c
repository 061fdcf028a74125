/* test_error.c: the status table, messages: set, prefixed, cut at a character, cleaned. */
#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"

static void test_status_table(void **state)
{
    (void)state;
    assert_string_equal(mlxe_status_name(MLXE_OK), "MLXE_OK");
    assert_string_equal(mlxe_status_text(MLXE_OK), "ok");
    assert_int_equal(mlxe_status_exit(MLXE_OK), 0);
    assert_string_equal(mlxe_status_name(MLXE_E_CORRUPT), "MLXE_E_CORRUPT");
    assert_string_equal(mlxe_status_text(MLXE_E_CORRUPT), "corrupt or malformed data");
    assert_int_equal(mlxe_status_exit(MLXE_E_CORRUPT), 7);
    assert_int_equal(mlxe_status_exit(MLXE_E_CANCELLED), 130);
    assert_string_equal(mlxe_status_name((mlxe_status)-999), "MLXE_E_UNKNOWN");
    assert_string_equal(mlxe_status_text((mlxe_status)7), "unknown status");
    assert_int_equal(mlxe_status_exit((mlxe_status)7), 1);
#define ROW(name, code, exit_status, text)                                                         \
    assert_true((code) == 0 ? (exit_status) == 0 : (code) < 0 && (exit_status) > 0);
    MLXE_STATUS_LIST(ROW)
#undef ROW
}

static void test_set(void **state)
{
    mlxe_error err;
    (void)state;
    memset(&err, 'x', sizeof err);
    assert_int_equal(err_set(&err, MLXE_E_ARG, "%s: got %d", "rope", 3), MLXE_E_ARG);
    assert_int_equal(err.code, MLXE_E_ARG);
    assert_string_equal(err.message, "rope: got 3");
    assert_string_equal(err.hint, "");
    err_hint(&err, "try %d", 4);
    assert_string_equal(err.hint, "try 4");
    assert_int_equal(err_prefix(&err, "layer %d", 7), MLXE_E_ARG);
    assert_string_equal(err.message, "layer 7: rope: got 3");
    assert_string_equal(err.hint, "try 4");
    assert_int_equal(err_memory(&err, "weights", 12), MLXE_E_MEMORY);
    assert_string_equal(err.message, "weights: out of memory, wanted 12 bytes");
    assert_string_equal(err.hint, "");
    err_clear(&err);
    assert_int_equal(err.code, MLXE_OK);
    assert_string_equal(err.message, "");
}

static void test_no_error_wanted(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, MLXE_E_IO, "%d", 1), MLXE_E_IO);
    assert_int_equal(err_memory(NULL, "x", 1), MLXE_E_MEMORY);
    assert_int_equal(err_prefix(NULL, "x"), MLXE_OK);
    err_hint(NULL, "x");
    err_clear(NULL);
}

/* A message too long ends at a whole character. */
static void test_cut(void **state)
{
    mlxe_error err;
    char text[2001];
    (void)state;
    for (size_t shift = 0; shift < 3; shift++) {
        memset(text, 'a', shift);
        for (size_t i = shift; i + 3 <= sizeof text - 1; i += 3)
            memcpy(text + i, "\xE2\x82\xAC", 4);
        err_set(&err, MLXE_E_IO, "%s", text);
        assert_int_equal(strlen(err.message), shift + (999 - shift) / 3 * 3);
        assert_memory_equal(err.message, text, strlen(err.message));
        err_hint(&err, "%s", text);
        assert_int_equal(strlen(err.hint), shift + (499 - shift) / 3 * 3);
    }
    memset(text, 'b', sizeof text - 1);
    text[sizeof text - 1] = 0;
    err_set(&err, MLXE_E_IO, "end");
    err_prefix(&err, "%s", text);
    assert_int_equal(strlen(err.message), 999);
    assert_memory_equal(err.message + 990, "bbbbbb: e", 9);
}

static void test_clean(void **state)
{
    static const struct {
        const char *in, *out;
    } ROWS[] = {
        {"plain \xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80",
         "plain \xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80"},
        {"a\nb\tc\rd\x1B[31m\x7F", "a b c?d?[31m?"},
        {"\xC2\x9B"
         "31m",
         "??31m"}, /* C1 control sequence introducer */
        {"\xC2\xA0", "\xC2\xA0"},
        {"x\xE2\x80\xA8y\xE2\x80\xAEz\xE2\x81\xA6", "x???y???z???"},
        {"\xE2\x80\x94\xE2\x80\xA6", "\xE2\x80\x94\xE2\x80\xA6"},
        {"a\x80z", "a?z"},
        {"\xC0\x80z", "??z"},
        {"\xED\xA0\x80z", "???z"},
        {"\xF4\x90\x80\x80z", "????z"},
        {"\xF0\x8F\xBF\xBFz", "????z"},
        {"\xE0\x9F\xBFz", "???z"},
        {"\xFF", "?"},
        {"\xC3\x28", "?("},
        {"\xC3"
         "ab",
         "?ab"},
        {"ab\xF0\x9F\x98", "ab"},
        {"ab\xE2\x82", "ab"},
        {"", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        mlxe_error err;
        err_set(&err, MLXE_E_INPUT, "%s", ROWS[i].in);
        assert_string_equal(err.message, ROWS[i].out);
        err_hint(&err, "%s", ROWS[i].in);
        assert_string_equal(err.hint, ROWS[i].out);
    }
}

/* ---- log ------------------------------------------------------------------------------------ */

typedef struct seen {
    int lines;
    mlxe_log_level level;
    char line[2000];
} seen;

static void on_line(void *user, mlxe_log_level level, const char *line)
{
    seen *s = user;
    s->lines++;
    s->level = level;
    snprintf(s->line, sizeof s->line, "%s", line);
}

static void test_log(void **state)
{
    seen s = {0};
    log_sink sink = {on_line, &s, MLXE_LOG_WARN};
    char text[1500];
    (void)state;
    log_line(&sink, MLXE_LOG_ERROR, "%s %d", "one\ntwo", 3);
    assert_int_equal(s.lines, 1);
    assert_int_equal(s.level, MLXE_LOG_ERROR);
    assert_string_equal(s.line, "one two 3");
    log_line(&sink, MLXE_LOG_INFO, "not asked for");
    assert_int_equal(s.lines, 1);
    log_line(&sink, MLXE_LOG_WARN, "warn");
    assert_int_equal(s.lines, 2);
    for (size_t i = 0; i + 2 < sizeof text; i += 2)
        memcpy(text + i, "\xC3\xA4", 3);
    log_line(&sink, MLXE_LOG_WARN, "%s", text);
    assert_int_equal(strlen(s.line), 1022); /* whole characters of 1023 bytes */
    log_line(NULL, MLXE_LOG_ERROR, "x");
    sink.fn = NULL;
    log_line(&sink, MLXE_LOG_ERROR, "x");
    assert_int_equal(s.lines, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_table),    cmocka_unit_test(test_set),
        cmocka_unit_test(test_no_error_wanted), cmocka_unit_test(test_cut),
        cmocka_unit_test(test_clean),           cmocka_unit_test(test_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
