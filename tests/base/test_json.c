/* test_json.c: base/json against Python's json module (json_parse.case, json_float.case, made by
 * tools/goldens/json/make.py), its messages, getters and limits.
 *
 * The whole file runs a second time under a locale with a decimal comma when one is installed. */
#include "base/json.h"

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/fs.h"

static mlxe_error err;

static json_doc *parse(const char *text)
{
    json_doc *d = NULL;
    mlxe_status status = json_parse("t.json", text, strlen(text), &d, &err);
    if (status) fail_msg("%s: %s", text, err.message);
    return d;
}

static void assert_bad(const char *text, const char *message)
{
    json_doc *d = (json_doc *)(void *)&err;
    assert_int_equal(json_parse("t.json", text, strlen(text), &d, &err), MLXE_E_INPUT);
    assert_null(d);
    assert_string_equal(err.message, message);
}

static char *nested(size_t depth)
{
    char *text = malloc(2 * depth + 1);
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    text[2 * depth] = 0;
    return text;
}

/* ---- vectors from Python -------------------------------------------------------------------- */

typedef struct cases {
    buf text;
    char *line; /* the next one */
} cases;

static void cases_open(cases *c, const char *name)
{
    char path[600];
    *c = (cases){0};
    snprintf(path, sizeof path, "%s/tests/base/%s", MLXE_SOURCE_DIR, name);
    if (fs_read(path, 0, &c->text, &err)) fail_msg("%s", err.message);
    c->line = c->text.p;
}

/* Splits the next line at its tab; 0 at the end. */
static int cases_next(cases *c, char **left, char **right)
{
    char *end = strchr(c->line, '\n'), *tab = strchr(c->line, '\t');
    if (!end) return 0;
    assert_true(tab && tab < end);
    *tab = *end = 0;
    *left = c->line;
    *right = tab + 1;
    c->line = end + 1;
    return 1;
}

/* Undoes %XX in place. -> bytes */
static size_t unescape(char *s)
{
    char *to = s, *from = s;
    while (*from) {
        if (*from == '%') {
            char hex[3] = {from[1], from[2], 0};
            *to++ = (char)strtol(hex, NULL, 16);
            from += 3;
        } else {
            *to++ = *from++;
        }
    }
    *to = 0;
    return (size_t)(to - s);
}

static void test_parse_cases(void **state)
{
    cases c;
    char *text, *want;
    int n = 0, refused = 0;
    (void)state;
    cases_open(&c, "json_parse.case");
    while (cases_next(&c, &text, &want)) {
        char *shown = strdup(text);
        size_t bytes = unescape(text);
        json_doc *d = NULL;
        buf got = {0};
        mlxe_status status = json_parse("t", text, bytes, &d, &err);
        n++;
        if (strcmp(want, "ERROR") == 0) {
            refused++;
            if (status != MLXE_E_INPUT) fail_msg("case %d is accepted: %s", n, shown);
        } else {
            if (status) fail_msg("case %d: %s: %s", n, shown, err.message);
            unescape(want);
            json_write_value(&got, json_root(d));
            assert_true(buf_ok(&got));
            if (strcmp(buf_str(&got), want) != 0)
                fail_msg("case %d: %s: got %s, want %s", n, shown, buf_str(&got), want);
        }
        buf_deinit(&got);
        json_close(d);
        free(shown);
    }
    assert_true(n > 2000 && refused > 1000 && n - refused > 400);
    buf_deinit(&c.text);
}

static void test_float_cases(void **state)
{
    cases c;
    char *bits, *want;
    int n = 0;
    (void)state;
    cases_open(&c, "json_float.case");
    while (cases_next(&c, &bits, &want)) {
        uint64_t raw = strtoull(bits, NULL, 16);
        buf got = {0};
        json_doc *d;
        double back, f64;
        if (strlen(bits) == 16) {
            memcpy(&f64, &raw, sizeof f64);
            json_write_float(&got, f64);
        } else {
            uint32_t raw32 = (uint32_t)raw;
            float f32;
            memcpy(&f32, &raw32, sizeof f32);
            json_write_float32(&got, f32);
        }
        if (strcmp(buf_str(&got), want) != 0)
            fail_msg("%s: got %s, want %s", bits, buf_str(&got), want);
        d = parse(want);
        back = json_float(json_root(d));
        if (strlen(bits) == 16 && strcmp(want, "NaN") != 0)
            assert_memory_equal(&back, &raw, sizeof raw);
        if (strlen(bits) == 8 && strcmp(want, "NaN") != 0) {
            float f32 = (float)back;
            uint32_t raw32 = (uint32_t)raw;
            assert_memory_equal(&f32, &raw32, sizeof raw32);
        }
        json_close(d);
        buf_deinit(&got);
        n++;
    }
    assert_true(n > 2500);
    buf_deinit(&c.text);
}

/* ---- values --------------------------------------------------------------------------------- */

static void test_values(void **state)
{
    static const char TEXT[] =
        "{\"i\":-5,\"big\":18446744073709551615,\"huge\":-123456789012345678901234567890,"
        "\"inf\":-1e999,\"f\":2.5,\"s\":\"a\\u0000b\",\"t\":true,\"n\":null,\"a\":[1,[],{}],"
        "\"k\\u0000y\":7,\"i\":6,\"lone\":\"\\udc00\"}";
    json_doc *d = parse(TEXT);
    const json *o = json_root(d), *a = json_get(o, "a"), *key, *value;
    json_iter it;
    size_t n = 0;
    (void)state;
    assert_int_equal(json_len(o), 12);
    assert_int_equal(json_int(json_get(o, "i")), 6); /* the last one */
    assert_int_equal(json_typeof(json_get(o, "big")), JSON_BIG);
    assert_true(strv_is(json_big(json_get(o, "big")), "18446744073709551615"));
    assert_true(json_float(json_get(o, "big")) == 18446744073709551615.0);
    assert_int_equal(json_int(json_get(o, "big")), 0);
    assert_true(strv_is(json_big(json_get(o, "huge")), "-123456789012345678901234567890"));
    assert_true(json_float(json_get(o, "huge")) == -123456789012345678901234567890.0);
    assert_int_equal(json_typeof(json_get(o, "inf")), JSON_FLOAT);
    assert_true(json_float(json_get(o, "inf")) == -HUGE_VAL);
    assert_true(json_float(json_get(o, "f")) == 2.5);
    assert_int_equal(json_int(json_get(o, "f")), 0);
    assert_true(strv_eq(json_str(json_get(o, "s")), STRV("a\0b")));
    assert_int_equal(json_int(json_get_strv(o, STRV("k\0y"))), 7);
    assert_null(json_get(o, "k"));
    assert_true(strv_is(json_str(json_get(o, "lone")), "\xEF\xBF\xBD"));
    assert_int_equal(json_bool(json_get(o, "t")), 1);
    assert_true(json_is(json_get(o, "n"), JSON_NULL));
    assert_false(json_is(json_get(o, "absent"), JSON_NULL));
    assert_int_equal(json_typeof(NULL), JSON_NULL);
    assert_int_equal(json_len(a), 3);
    it = json_iterate(a);
    while (json_next(&it, &key, &value)) {
        assert_null(key);
        assert_int_equal(json_typeof(value), n == 0 ? JSON_INT : n == 1 ? JSON_ARRAY : JSON_OBJECT);
        n++;
    }
    assert_int_equal(n, 3);
    it = json_iterate(json_get(o, "s"));
    assert_int_equal(json_next(&it, &key, &value), 0);
    assert_null(json_str(a).p);
    assert_null(json_big(a).p);
    assert_int_equal(json_bool(a), 0);
    assert_true(json_float(json_get(o, "s")) == 0.0);
    json_close(d);
    json_close(NULL);
    assert_null(json_root(NULL));
}

/* The text is copied and every value is immutable. */
static void test_text_may_go(void **state)
{
    char *text = strdup("{\"key\":\"value\",\"n\":1234567890123456789012}");
    json_doc *d = parse(text);
    (void)state;
    memset(text, 'x', strlen(text));
    free(text);
    assert_true(strv_is(json_str(json_get(json_root(d), "key")), "value"));
    assert_true(strv_is(json_big(json_get(json_root(d), "n")), "1234567890123456789012"));
    json_close(d);
}

/* ---- messages ------------------------------------------------------------------------------- */

static void test_positions(void **state)
{
    json_doc *d;
    (void)state;
    assert_bad("", "t.json: line 1, column 1: empty, want a JSON value");
    assert_bad("{\n  \"a\": nan\n}", "t.json: line 2, column 8: unexpected character");
    assert_bad("[-nan]", "t.json: line 1, column 3: a number is expected after '-'");
    assert_bad("[1,\n\n  \"\xC3\xA4\xE2\x82\xAC\", x]",
               "t.json: line 3, column 9: unexpected character, expected a valid JSON value");
    assert_bad("\xEF\xBB\xBF{}",
               "t.json: line 1, column 1: byte order mark (BOM) is not supported");
    assert_bad("[1] x", "t.json: line 1, column 5: unexpected content after document");
    /* The escape before it is replaced in place: the column does not move. */
    assert_bad("[\"\\ud800\",?]",
               "t.json: line 1, column 11: unexpected character, expected a valid JSON value");
    assert_int_equal(json_parse("t.json", NULL, 0, &d, NULL), MLXE_E_INPUT);
}

static void test_depth(void **state)
{
    char *fits = nested(JSON_MAX_DEPTH), *deep = nested(JSON_MAX_DEPTH + 1);
    char *deeper = nested(1000000);
    json_doc *d = parse(fits);
    buf again = {0};
    (void)state;
    json_write_value(&again, json_root(d));
    assert_string_equal(buf_str(&again), fits);
    assert_bad(deep, "t.json: line 1, column 1001: nested too deep");
    assert_bad(deeper, "t.json: line 1, column 1001: nested too deep");
    /* Brackets in strings do not count. */
    memset(deep, '[', 2 * JSON_MAX_DEPTH + 2);
    deep[0] = deep[2 * JSON_MAX_DEPTH + 1] = '"';
    json_close(d);
    d = parse(deep);
    assert_int_equal(json_str(json_root(d)).n, 2 * JSON_MAX_DEPTH);
    json_close(d);
    buf_deinit(&again);
    free(fits);
    free(deep);
    free(deeper);
}

static void test_unique(void **state)
{
    static const char *const FINE[] = {"{}",
                                       "[]",
                                       "1",
                                       "{\"a\":1,\"b\":{\"a\":1}}",
                                       "[{\"a\":1},{\"a\":2}]",
                                       "{\"ab\":1,\"a\":1,\"\":2}"};
    static const char *const BAD[] = {"{\"x\":1,\"a\":1,\"b\":2,\"a\":3}",
                                      "[[{\"a\":{},\"a\":{}}]]", "{\"\\u0061\":1,\"a\":2}"};
    static const char *const REFUSED[] = {"{", "NaN", "[-Infinity]", "\"\\ud800\"", "1e999"};
    char *fits = nested(JSON_STRICT_DEPTH), *deep = nested(JSON_STRICT_DEPTH + 1);
    json_doc *d;
    (void)state;
    for (size_t i = 0; i < sizeof FINE / sizeof *FINE; i++) {
        assert_int_equal(json_parse_unique("h", FINE[i], strlen(FINE[i]), &d, &err), MLXE_OK);
        json_close(d);
    }
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        assert_int_equal(json_parse_unique("h", BAD[i], strlen(BAD[i]), &d, &err), MLXE_E_INPUT);
        assert_null(d);
        assert_string_equal(err.message, "h: key \"a\" appears twice in one object");
    }
    for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++) {
        const char *text = REFUSED[i];
        assert_int_equal(json_parse_unique("h", text, strlen(text), &d, &err), MLXE_E_INPUT);
        assert_int_equal(json_parse("h", text, strlen(text), &d, &err),
                         text[0] == '{' ? MLXE_E_INPUT : MLXE_OK);
        json_close(d);
    }
    assert_int_equal(json_parse_unique("h", fits, strlen(fits), &d, &err), MLXE_OK);
    json_close(d);
    assert_int_equal(json_parse_unique("h", deep, strlen(deep), &d, &err), MLXE_E_INPUT);
    assert_string_equal(err.message, "h: line 1, column 128: nested too deep");
    free(fits);
    free(deep);
    assert_int_equal(json_parse_unique("h", "{", 1, &d, &err), MLXE_E_INPUT);
    assert_null(d);
}

/* ---- getters -------------------------------------------------------------------------------- */

static void test_get_int(void **state)
{
    json_doc *d =
        parse("{\"a\":8,\"b\":8.0,\"c\":8.5,\"d\":\"8\",\"e\":null,\"f\":1e30,\"g\":-1,"
              "\"h\":99999999999999999999,\"i\":9223372036854775807,\"j\":NaN,\"k\":true}");
    const json *o = json_root(d);
    static const struct {
        const char *key, *message; /* NULL: fine */
        int64_t want;
    } ROWS[] = {
        {"a", NULL, 8},
        {"b", NULL, 8},
        {"c", "c.json: c is a number, want an integer", 0},
        {"d", "c.json: d is a string, want an integer", 0},
        {"e", NULL, 77},
        {"absent", NULL, 77},
        {"f", "c.json: f is 1e+30, want 0..100", 0},
        {"g", "c.json: g is -1, want 0..100", 0},
        {"h", "c.json: h is 99999999999999999999, want 0..100", 0},
        {"j", "c.json: j is NaN, want 0..100", 0},
        {"k", "c.json: k is a boolean, want an integer", 0},
    };
    int64_t got;
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        got = 77;
        if (ROWS[i].message) {
            assert_int_equal(json_get_int(o, "c.json", ROWS[i].key, 0, 100, &got, &err),
                             MLXE_E_CORRUPT);
            assert_string_equal(err.message, ROWS[i].message);
            assert_int_equal(got, 77);
        } else {
            assert_int_equal(json_get_int(o, "c.json", ROWS[i].key, 0, 100, &got, &err), MLXE_OK);
            assert_int_equal(got, ROWS[i].want);
        }
    }
    assert_int_equal(json_get_int(o, "c", "i", INT64_MIN, INT64_MAX, &got, &err), MLXE_OK);
    assert_true(got == INT64_MAX);
    assert_int_equal(json_get_int(o, "c", "f", INT64_MIN, INT64_MAX, &got, &err), MLXE_E_CORRUPT);
    assert_int_equal(json_get_int(NULL, "c", "f", 0, 1, &got, &err), MLXE_OK);
    json_close(d);
}

static void test_get_others(void **state)
{
    json_doc *d = parse("{\"f\":0.5,\"i\":3,\"s\":\"x\",\"b\":true,\"a\":[],\"o\":{},\"z\":null,"
                        "\"big\":100000000000000000000,\"inf\":Infinity}");
    const json *o = json_root(d), *v = o;
    const char *where = "config.json: rope_scaling";
    double f = 1.0;
    strv s = STRV("old");
    int b = 5;
    (void)state;
    assert_int_equal(json_get_float(o, where, "f", &f, &err), MLXE_OK);
    assert_true(f == 0.5);
    assert_int_equal(json_get_float(o, where, "i", &f, &err), MLXE_OK);
    assert_true(f == 3.0);
    assert_int_equal(json_get_float(o, where, "big", &f, &err), MLXE_OK);
    assert_true(f == 1e20);
    assert_int_equal(json_get_float(o, where, "inf", &f, &err), MLXE_OK);
    assert_true(isinf(f));
    assert_int_equal(json_get_float(o, where, "z", &f, &err), MLXE_OK);
    assert_true(isinf(f));
    assert_int_equal(json_get_float(o, where, "s", &f, &err), MLXE_E_CORRUPT);
    assert_string_equal(err.message, "config.json: rope_scaling.s is a string, want a number");
    assert_int_equal(json_get_bool(o, where, "b", &b, &err), MLXE_OK);
    assert_int_equal(b, 1);
    assert_int_equal(json_get_bool(o, where, "i", &b, &err), MLXE_E_CORRUPT);
    assert_string_equal(err.message, "config.json: rope_scaling.i is an integer, want a boolean");
    assert_int_equal(json_get_str(o, where, "z", &s, &err), MLXE_OK);
    assert_true(strv_is(s, "old"));
    assert_int_equal(json_get_str(o, where, "s", &s, &err), MLXE_OK);
    assert_true(strv_is(s, "x"));
    assert_int_equal(json_get_str(o, where, "a", &s, &err), MLXE_E_CORRUPT);
    assert_string_equal(err.message, "config.json: rope_scaling.a is an array, want a string");
    assert_int_equal(json_get_array(o, where, "o", &v, &err), MLXE_E_CORRUPT);
    assert_string_equal(err.message, "config.json: rope_scaling.o is an object, want an array");
    assert_ptr_equal(v, o);
    assert_int_equal(json_get_array(o, where, "a", &v, &err), MLXE_OK);
    assert_ptr_equal(v, json_get(o, "a"));
    assert_int_equal(json_get_object(o, where, "f", &v, &err), MLXE_E_CORRUPT);
    assert_string_equal(err.message, "config.json: rope_scaling.f is a number, want an object");
    assert_int_equal(json_get_object(o, where, "o", &v, &err), MLXE_OK);
    assert_ptr_equal(v, json_get(o, "o"));
    json_close(d);
}

/* ---- writing -------------------------------------------------------------------------------- */

static void test_write_str(void **state)
{
    /* Right: what Python gives for json.dumps(bytes.decode("utf-8", "replace"), ensure_ascii=0) */
    static const struct {
        strv in;
        const char *out;
    } ROWS[] = {
        {{"", 0}, "\"\""},
        {{NULL, 0}, "\"\""},
        {{"a\"\\/\b\f\n\r\t", 9}, "\"a\\\"\\\\/\\b\\f\\n\\r\\t\""},
        {{"\0\x01\x1f\x7f", 4}, "\"\\u0000\\u0001\\u001f\x7f\""},
        {{"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80", 9}, "\"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\""},
        {{"\x80", 1}, "\"\xEF\xBF\xBD\""},
        {{"a\xC3", 2}, "\"a\xEF\xBF\xBD\""},
        {{"\xE2\x82z", 3}, "\"\xEF\xBF\xBDz\""},
        {{"\xF0\x9F\x98z", 4}, "\"\xEF\xBF\xBDz\""},
        {{"\xED\xA0\x80", 3}, "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},
        {{"\xC0\x80", 2}, "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
        {{"\xF4\x90\x80\x80", 4}, "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},
        {{"\xE0\x80\xE2\x82\xAC", 5}, "\"\xEF\xBF\xBD\xEF\xBF\xBD\xE2\x82\xAC\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        buf b = {0};
        json_write_str(&b, ROWS[i].in);
        assert_string_equal(buf_str(&b), ROWS[i].out);
        buf_deinit(&b);
    }
}

static void test_write_int(void **state)
{
    buf b = {0};
    (void)state;
    json_write_int(&b, INT64_MIN);
    buf_add_char(&b, ' ');
    json_write_int(&b, INT64_MAX);
    buf_add_char(&b, ' ');
    json_write_int(&b, 0);
    buf_add_char(&b, ' ');
    json_write_uint(&b, UINT64_MAX);
    assert_string_equal(buf_str(&b),
                        "-9223372036854775808 9223372036854775807 0 18446744073709551615");
    buf_deinit(&b);
}

#define TESTS                                                                                      \
    cmocka_unit_test(test_parse_cases), cmocka_unit_test(test_float_cases),                        \
        cmocka_unit_test(test_digits_and_pairs), cmocka_unit_test(test_values),                    \
        cmocka_unit_test(test_text_may_go), cmocka_unit_test(test_positions),                      \
        cmocka_unit_test(test_depth), cmocka_unit_test(test_unique),                               \
        cmocka_unit_test(test_get_int), cmocka_unit_test(test_get_others),                         \
        cmocka_unit_test(test_write_str), cmocka_unit_test(test_write_int)

static void test_digits_and_pairs(void **state)
{
    static const struct {
        double v;
        uint64_t whole;
        int exponent;
    } rows[] = {{12.5, 125, -1},    {-0.001, 1, -3},
                {1e-7, 1, -7},      {3, 30, -1},
                {1.5e-10, 15, -11}, {-11.730839729309082, 11730839729309082u, -15},
                {5e-324, 5, -324}};
    static const struct {
        const char *text;
        int two;
    } arrays[] = {{"[1,[2,3]]", 1}, {"[[1,2],3]", 1}, {"[1]", 0},
                  {"[1,2,3]", 0},   {"{\"a\":1}", 0}, {"2", 0}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t whole;
        int exponent;
        json_float_digits(rows[i].v, &whole, &exponent);
        assert_int_equal(whole, rows[i].whole);
        assert_int_equal(exponent, rows[i].exponent);
    }
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        json_doc *d = parse(arrays[i].text);
        const json *first, *second;
        assert_int_equal(json_two(json_root(d), &first, &second), arrays[i].two);
        if (i == 0) assert_int_equal(json_int(first), 1);
        if (i == 1) assert_int_equal(json_int(second), 3);
        json_close(d);
    }
}

/* printf shows whether the decimal point is a comma now. */
static void test_comma_locale(void **state)
{
    char shown[16];
    (void)state;
    if (!setlocale(LC_ALL, "de_DE.UTF-8") && !setlocale(LC_ALL, "de_DE.utf8")) {
        print_message("needs the locale de_DE.UTF-8\n");
        skip();
    }
    snprintf(shown, sizeof shown, "%.1f", 1.5);
    assert_string_equal(shown, "1,5");
    test_parse_cases(state);
    test_float_cases(state);
    test_values(state);
    test_get_int(state);
    test_get_others(state);
    setlocale(LC_ALL, "C");
}

int main(void)
{
    const struct CMUnitTest tests[] = {TESTS, cmocka_unit_test(test_comma_locale)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
