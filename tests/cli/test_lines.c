/* test_lines.c: the line protocols of tokenize, detokenize and template: one answer for each line,
 * in order, whatever the line is. The oracle is the contract, and Python's json for what JSON
 * means. */
#include "cli_test.h"

static void tokens_and_errors_in_step(void **state)
{
    (void)state;
    static const char INPUT[] = "{\"text\":\"Hello\"}\n"
                                "\n"
                                "[1]\n"
                                "{\"text\":\"Hello\"\n"
                                "{\"text\":1}\n"
                                "{}\n"
                                "{\"text\":\"a\",\"what\":1}\n"
                                "{\"text\":\"a\",\"add_special_tokens\":1}\n"
                                "{\"text\":\"\xff\"}\n"
                                "{\"text\":\"a\tb\"}\n"
                                "null\r\n"
                                " {\"text\" : \"Hello\"} \r\n"
                                "{\"text\":\"x\",\"text\":\"Hello\"}\n"
                                "{\"text\":\"Hello\",\"pair\":null}";
    static const int GOOD[] = {1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1};
    result r = FEED(INPUT, "tokenize", POCKET, "--lines");
    assert_int_equal(r.status, 0);
    assert_int_equal(count_lines(&r.out), sizeof GOOD / sizeof *GOOD);
    yyjson_doc *first = line_at(&r.out, 0);
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
        char code[64];
        error_code(&r.out, i, code, sizeof code);
        if ((code[0] == 0) != GOOD[i]) fail_msg("line %zu: error \"%s\"", i + 1, code);
        yyjson_doc *doc = line_at(&r.out, i);
        if (GOOD[i])
            assert_true(yyjson_equals(yyjson_doc_get_root(first), yyjson_doc_get_root(doc)));
        yyjson_doc_free(doc);
    }
    yyjson_doc_free(first);
    result_free(&r);
}

/* text -> ids -> text is the text, for a byte-level tokenizer; NUL, escapes and lone surrogates. */
static void every_string_goes_round(void **state)
{
    (void)state;
    static const char *const TEXTS[][2] = {
        /* as JSON writes it, as it must come back */
        {"\"plain\"", "\"plain\""},
        {"\"\\u0000a\\u0000\"", "\"\\u0000a\\u0000\""},
        {"\"\\ud83d\\ude00\"", "\"\xF0\x9F\x98\x80\""},
        {"\"\\ud83d\"", "\"\xEF\xBF\xBD\""},
        {"\"\\ude00\\ud83d x\"", "\"\xEF\xBF\xBD\xEF\xBF\xBD x\""},
        {"\"\\ud83d\\ud83d\\ude00\"", "\"\xEF\xBF\xBD\xF0\x9F\x98\x80\""},
        {"\"\\\\ud800\"", "\"\\\\ud800\""},
        {"\"\\\"\\/\\b\\f\\n\\r\\t\"", "\"\\\"/\\b\\f\\n\\r\\t\""},
        {"\"\xC3\xA9 \xE4\xBD\xA0\xE5\xA5\xBD\"", "\"\xC3\xA9 \xE4\xBD\xA0\xE5\xA5\xBD\""},
    };
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        char line[400];
        snprintf(line, sizeof line, "{\"text\":%s,\"add_special_tokens\":false}\n", TEXTS[i][0]);
        result ids = FEED(line, "tokenize", POCKET, "--lines");
        yyjson_doc *doc = line_at(&ids.out, 0);
        char *list = yyjson_val_write(yyjson_obj_get(yyjson_doc_get_root(doc), "ids"), 0, NULL);
        if (!list) fail_msg("%s: %s", TEXTS[i][0], ids.out.data);
        snprintf(line, sizeof line, "{\"ids\":%.300s}\n", list);
        result text = FEED(line, "detokenize", POCKET, "--lines");
        snprintf(line, sizeof line, "{\"text\":%s}", TEXTS[i][1]);
        assert_line_json(&text.out, 0, line);
        free(list);
        yyjson_doc_free(doc);
        result_free(&ids);
        result_free(&text);
    }
}

static void offsets_cover_whole_characters(void **state)
{
    (void)state;
    result r = FEED("{\"text\":\"h\xC3\xA9 \xF0\x9F\x98\x80!\",\"add_special_tokens\":false}\n",
                    "tokenize", POCKET, "--lines");
    yyjson_doc *doc = line_at(&r.out, 0);
    yyjson_val *offsets = yyjson_obj_get(yyjson_doc_get_root(doc), "offsets"), *pair;
    size_t i, n;
    const char *text = "h\xC3\xA9 \xF0\x9F\x98\x80!";
    uint64_t last = 0;
    assert_true(yyjson_arr_size(offsets) > 0);
    yyjson_arr_foreach(offsets, i, n, pair)
    {
        uint64_t begin = yyjson_get_uint(yyjson_arr_get(pair, 0));
        uint64_t end = yyjson_get_uint(yyjson_arr_get(pair, 1));
        assert_true(begin < end && end <= strlen(text));
        assert_true(((unsigned char)text[begin] & 0xC0) != 0x80);
        assert_true(end == strlen(text) || ((unsigned char)text[end] & 0xC0) != 0x80);
        last = end;
    }
    assert_int_equal(last, strlen(text));
    yyjson_doc_free(doc);
    result_free(&r);
}

static void ids_are_integers(void **state)
{
    (void)state;
    result r =
        FEED("{\"ids\":[]}\n{\"ids\":[1.0]}\n{\"ids\":[1e1]}\n{\"ids\":[-1]}\n{\"ids\":[true]}\n"
             "{\"ids\":\"1\"}\n{}\n{\"ids\":[99999999999999999999]}\n{\"ids\":[1],"
             "\"skip_special_tokens\":true}\n{\"ids\":[1],\"skip-special-tokens\":true}\n{\"ids\":["
             "4294967295]}\n{\"ids\":[4294967296]}\n",
             "detokenize", POCKET, "--lines");
    static const int GOOD[] = {1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0};
    assert_int_equal(r.status, 0);
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++)
        assert_line_error(&r.out, i, GOOD[i] ? "" : "MLXE_E_ARG");
    assert_line_json(&r.out, 0, "{\"text\":\"\"}");
    assert_line_json(&r.out, 10, "{\"text\":\"\"}");
    result_free(&r);
}

static void templates(void **state)
{
    (void)state;
    static const char *const CASES[][2] = {
        {"{\"template\":\"{{ x }}\",\"x\":1}", "1"},
        {"{\"template\":\"{{ x }}\",\"x\":1.0}", "1.0"},
        {"{\"template\":\"{{ x }}\",\"x\":1e2}", "100.0"},
        {"{\"template\":\"{{ x }}\",\"x\":123456789012345678901234567890}",
         "123456789012345678901234567890"},
        {"{\"template\":\"{{ x }}\",\"x\":null}", "None"},
        {"{\"template\":\"{{ x }}|{{ y is defined }}\"}", "|False"},
        {"{\"template\":\"{{ template is defined }}\"}", "False"},
        {"{\"template\":\"{{ x | tojson }}\",\"x\":{\"b\":1,\"a\":[true,\"\\u00e9\"]}}",
         "{\\\"b\\\": 1, \\\"a\\\": [true, \\\"\\u00e9\\\"]}"},
        {"{\"template\":\"a\",\"template\":\"b\"}", "b"},
        {"{\"template\":\"{{ strftime_now('%d %b %Y %H:%M') }}\","
         "\"strftime_now\":\"2031-05-17T10:22:33\"}",
         "17 May 2031 10:22"},
        {"{\"template\":\"{% for m in messages %}{{ m.role }}{% endfor %}{{ tools }}\","
         "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
         "userNone"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char want[400];
        result r = FEED(CASES[i][0], "template", "--lines");
        snprintf(want, sizeof want, "{\"text\":\"%s\"}", CASES[i][1]);
        assert_int_equal(r.status, 0);
        assert_line_json(&r.out, 0, want);
        result_free(&r);
    }
    result r = FEED("{\"template\":\"{{\"}\n{\"x\":1}\n{\"template\":1}\n{\"template\":\"ok\"}\n",
                    "template", "--lines");
    assert_line_error(&r.out, 0, "MLXE_E_INPUT");
    assert_line_error(&r.out, 1, "MLXE_E_ARG");
    assert_line_error(&r.out, 2, "MLXE_E_ARG");
    assert_line_json(&r.out, 3, "{\"text\":\"ok\"}");
    result_free(&r);
}

static void template_of_a_model(void **state)
{
    (void)state;
    static const char REQUEST[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],"
                                  "\"add_generation_prompt\":true}";
    result once = RUN("template", "pocket-llm", REQUEST);
    result lines = FEED(REQUEST, "template", "pocket-llm", "--lines");
    result piped = FEED(REQUEST, "template", "--json", "pocket-llm", "-");
    assert_int_equal(once.status, 0);
    assert_has(once.out.data, "Hi<|im_end|>");
    assert_string_equal(lines.out.data, piped.out.data);
    yyjson_doc *doc = line_at(&lines.out, 0);
    const char *text = yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "text"));
    assert_int_equal(strncmp(once.out.data, text, strlen(text)), 0);
    assert_string_equal(once.out.data + strlen(text), "\n");
    yyjson_doc_free(doc);
    result_free(&once);
    result_free(&lines);
    result_free(&piped);
}

static void a_line_of_any_length(void **state)
{
    (void)state;
    enum { LETTERS = 3000000 };
    bytes line = {0};
    bytes_text(&line, "{\"x\":\"");
    for (int i = 0; i < LETTERS; i += 10)
        bytes_text(&line, "abcdefghij");
    bytes_text(&line, "\",\"template\":\"{{ x | length }}\"}\n{\"template\":\"next\"}\n");
    result r = run_with(NULL, line.data, line.n, ARGS("template", "--lines"));
    assert_line_json(&r.out, 0, "{\"text\":\"3000000\"}");
    assert_line_json(&r.out, 1, "{\"text\":\"next\"}");
    free(line.data);
    result_free(&r);
}

/* A raw NUL, deep nesting: bad lines, and the run goes on. */
static void hostile_lines(void **state)
{
    (void)state;
    enum { DEEP = 200000 };
    bytes in = {0};
    bytes_add(&in, "{\"template\":\"a\0b\"}\n", 19);
    for (int i = 0; i < DEEP; i++)
        bytes_text(&in, "[");
    bytes_text(&in, "\n{\"template\":\"x\",\"y\":");
    for (int i = 0; i < DEEP; i++)
        bytes_text(&in, "[");
    for (int i = 0; i < DEEP; i++)
        bytes_text(&in, "]");
    bytes_text(&in, "}\n{\"template\":\"end\"}\n");
    result r = run_with(NULL, in.data, in.n, ARGS("template", "--lines"));
    assert_int_equal(r.status, 0);
    assert_int_equal(count_lines(&r.out), 4);
    for (size_t i = 0; i < 3; i++)
        assert_line_error(&r.out, i, "MLXE_E_INPUT");
    assert_line_json(&r.out, 3, "{\"text\":\"end\"}");
    free(in.data);
    result_free(&r);
}

/* An answer comes before the next line is sent. */
static void a_line_is_answered_at_once(void **state)
{
    (void)state;
    child c = child_start(ARGS("template", "--lines"), NULL);
    for (int i = 0; i < 3; i++) {
        char answer[64];
        struct pollfd wait = {c.out, POLLIN, 0};
        assert_int_equal(write(c.in, "{\"template\":\"ok\"}\n", 18), 18);
        assert_int_equal(poll(&wait, 1, 20000), 1);
        ssize_t n = read(c.out, answer, sizeof answer);
        assert_int_equal(n, 14);
        assert_memory_equal(answer, "{\"text\":\"ok\"}\n", 14);
    }
    result r = child_finish(&c, "", 0);
    assert_int_equal(r.status, 0);
    result_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_and_errors_in_step),
        cmocka_unit_test(every_string_goes_round),
        cmocka_unit_test(offsets_cover_whole_characters),
        cmocka_unit_test(ids_are_integers),
        cmocka_unit_test(templates),
        cmocka_unit_test(template_of_a_model),
        cmocka_unit_test(a_line_of_any_length),
        cmocka_unit_test(hostile_lines),
        cmocka_unit_test(a_line_is_answered_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
