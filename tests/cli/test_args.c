/* test_args.c: arguments, exit statuses, errors, help. The oracle is the command's contract. */
#include "cli_test.h"

static void expect(result r, int status, const char *in_err)
{
    if (r.status != status) fail_msg("status %d, want %d; %s", r.status, status, r.err.data);
    if (in_err) assert_has(r.err.data, in_err);
    result_free(&r);
}

static void wrong_usage_is_2_and_names_the_option(void **state)
{
    (void)state;
    expect(RUN("run", "--temprature", "1", "hi"), 2, "--temprature");
    expect(RUN("run", "--temprature", "1", "hi"), 2, "did you mean --temperature?");
    expect(RUN("run", "--top-p", "3", "hi"), 2, "--top-p: got 3");
    expect(RUN("run", "--top-p", "nan", "hi"), 2, "--top-p: got nan");
    expect(RUN("run", "--temperature", "0x1p1", "hi"), 2, "--temperature");
    expect(RUN("run", "--temperature", "1,5", "hi"), 2, "--temperature: got 1,5");
    expect(RUN("run", "--max-tokens", "0", "hi"), 2, "--max-tokens");
    expect(RUN("run", "--max-tokens=4294967296", "hi"), 2, "--max-tokens");
    expect(RUN("run", "--max-tokens", "2.0", "hi"), 2, "--max-tokens");
    expect(RUN("run", "--seed", "18446744073709551616", "hi"), 2, "--seed");
    expect(RUN("run", "--logit-bias", "1:x", "hi"), 2, "--logit-bias");
    expect(RUN("run", "--logit-bias", "1:2,", "hi"), 2, "--logit-bias");
    expect(RUN("run", "--stop", "", "hi"), 2, "--stop");
    expect(RUN("run", "--device", "tpu", "hi"), 2, "--device");
    expect(RUN("run", "--max-tokens"), 2, "--max-tokens");
    expect(RUN("run", "--raw=1", "hi"), 2, "--raw");
    expect(RUN("run", "--raw", "--system", "x", "hi"), 2, "--raw");
    expect(RUN("run", "--logprobs", "2", "hi"), 2, "--logprobs");
    expect(RUN("run", "--parallel", "2", "hi"), 2, "--parallel");
    expect(RUN("run", "--lines", POCKET, "hi"), 2, "--lines");
    expect(RUN("run", POCKET, "a", "b"), 2, "b");
    expect(RUN("tokenize"), 2, "MODEL");
    expect(RUN("detokenize", POCKET), 2, "ID");
    expect(RUN("detokenize", POCKET, "1", "x"), 2, "got x");
    expect(RUN("logits", POCKET, "-o", "x"), 2, "--ids");
    expect(RUN("logits", POCKET, "--ids", "1"), 2, "-o");
    expect(RUN("template"), 2, "REQUEST");
    expect(RUN("rnu"), 2, "did you mean run?");
    expect(RUN("serve"), 2, "serve");
    expect(run_with(NULL, "", 0, ARGS("help", "nothing")), 2, "nothing");
    const char *const none[] = {NULL};
    result r = run_with(NULL, "", 0, none);
    assert_int_equal(r.out.n, 0);
    expect(r, 2, "usage: mlxengine VERB");
}

static void a_prompt_is_never_asked_for_without_a_terminal(void **state)
{
    (void)state;
    result r = RUN("run", POCKET);
    assert_int_equal(r.out.n, 0);
    expect(r, 2, "PROMPT");
}

static void what_is_not_built_is_8_and_named(void **state)
{
    (void)state;
    expect(RUN("run", "--image", "x.png", "hi"), 8, "--image");
    expect(RUN("run", "--schema", "x.json", "hi"), 8, "--schema");
    expect(RUN("run", "--adapter", "x", "hi"), 8, "--adapter");
    expect(RUN("run", "--device", "gpu", POCKET, "hi"), 8, "gpu");
    expect(RUN("run", "model.gguf", "hi"), 8, "GGUF");
    expect(RUN("run", "model.GGUF"), 8, "GGUF");
    expect(RUN("tokenize", "model.gguf", "hi"), 8, "GGUF");
    expect(RUN("template", "model.gguf", "{}"), 8, "GGUF");
    expect(RUN("show", "model.gguf"), 8, "GGUF");
    expect(RUN("logits", "model.gguf", "--ids", "1", "-o", "x"), 8, "GGUF");
}

static void what_is_not_there_is_3(void **state)
{
    (void)state;
    expect(RUN("run", "/nowhere/model", "hi"), 3, "/nowhere/model");
    expect(RUN("run", "/nowhere/model"), 2, "PROMPT");
    setenv("HF_HUB_OFFLINE", "1", 1);
    expect(RUN("run", "no-org/no-model", "hi"), 5, "no-org/no-model");
    unsetenv("HF_HUB_OFFLINE");
    expect(RUN("run", "pocket-none", "hi"), 3, "pocket-none");
    expect(RUN("show", "/nowhere/model"), 3, "/nowhere/model");
    expect(RUN("tokenize", "/nowhere/model", "hi"), 3, "/nowhere/model");
    expect(RUN("tokenize", POCKET, "@/nowhere/text"), 3, "/nowhere/text");
    expect(RUN("template", "--file", "/nowhere/t", "{}"), 3, "/nowhere/t");
    /* A line protocol that cannot start ends before a line is read. */
    expect(FEED("{\"text\":\"x\"}\n", "tokenize", "/nowhere/model", "--lines"), 3, "/nowhere");
    expect(FEED("{}\n", "run", "x.gguf", "--lines"), 8, "GGUF");
}

static void errors_are_json_when_asked(void **state)
{
    (void)state;
    result r = RUN("show", "/nowhere/model", "--json");
    assert_int_equal(r.status, 3);
    assert_int_equal(count_lines(&r.out), 1);
    assert_line_error(&r.out, 0, "MLXE_E_NOT_FOUND");
    result_free(&r);
    r = RUN("run", "--json", "--schema", "x", "hi");
    assert_int_equal(r.status, 8);
    assert_line_error(&r.out, 0, "MLXE_E_UNSUPPORTED");
    result_free(&r);
    r = RUN("run", "--json", POCKET);
    assert_int_equal(r.status, 2);
    assert_line_error(&r.out, 0, "MLXE_E_ARG");
    result_free(&r);
    /* A message is one line of UTF-8, whatever the argument was. */
    r = RUN("show", "/no\nwhere\xff\x1b[31m", "--json");
    assert_line_error(&r.out, 0, "MLXE_E_NOT_FOUND");
    assert_null(strchr(r.err.data, '\x1b'));
    assert_int_equal(count_lines(&r.out), 1);
    result_free(&r);
}

static void help_says_every_verb_with_an_example(void **state)
{
    (void)state;
    result all = RUN("help", "--json");
    assert_int_equal(all.status, 0);
    yyjson_doc *doc = line_at(&all.out, 0);
    yyjson_val *verbs = yyjson_obj_get(yyjson_doc_get_root(doc), "verbs"), *verb;
    size_t i, n;
    assert_true(yyjson_arr_size(verbs) >= 8);
    result text = RUN("help");
    yyjson_arr_foreach(verbs, i, n, verb)
    {
        const char *name = yyjson_get_str(yyjson_obj_get(verb, "name"));
        result one = RUN("help", name), same = RUN(name, "--help");
        assert_has(text.out.data, name);
        assert_int_equal(one.status, 0);
        assert_int_equal(same.status, 0);
        assert_string_equal(one.out.data, same.out.data);
        assert_has(one.out.data, "Example\n  ");
        assert_has(one.out.data, "--json");
        result_free(&one);
        result_free(&same);
    }
    assert_null(strstr(all.out.data, "\"image\""));
    yyjson_doc_free(doc);
    result_free(&text);
    result_free(&all);
}

static void version_and_show(void **state)
{
    (void)state;
    result r = RUN("version", "--json");
    assert_int_equal(r.status, 0);
    assert_int_equal(count_lines(&r.out), 1);
    yyjson_doc *doc = line_at(&r.out, 0);
    assert_true(yyjson_is_str(yyjson_obj_get(yyjson_doc_get_root(doc), "version")));
    assert_true(yyjson_is_str(yyjson_obj_get(yyjson_doc_get_root(doc), "mlx")));
    yyjson_doc_free(doc);
    result_free(&r);
    static const char *const KEYS[] = {"id",         "revision",     "kind",    "architecture",
                                       "parameters", "quantization", "context", "template",
                                       "license",    "files",        "features"};
    r = RUN("show", "pocket-llm", "--json");
    assert_int_equal(r.status, 0);
    doc = line_at(&r.out, 0);
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++)
        if (!yyjson_obj_get(yyjson_doc_get_root(doc), KEYS[i]))
            fail_msg("show --json has no %s: %s", KEYS[i], r.out.data);
    yyjson_val *dialect = yyjson_obj_get(yyjson_doc_get_root(doc), "dialect");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(dialect, "name")), "hermes");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(dialect, "reasoning")), "<think>");
    yyjson_doc_free(doc);
    result_free(&r);
    r = RUN("show", "pocket-llm");
    assert_int_equal(r.status, 0);
    assert_has(r.out.data, "architecture:");
    assert_has(r.out.data, "model.safetensors");
    result_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_usage_is_2_and_names_the_option),
        cmocka_unit_test(a_prompt_is_never_asked_for_without_a_terminal),
        cmocka_unit_test(what_is_not_built_is_8_and_named),
        cmocka_unit_test(what_is_not_there_is_3),
        cmocka_unit_test(errors_are_json_when_asked),
        cmocka_unit_test(help_says_every_verb_with_an_example),
        cmocka_unit_test(version_and_show),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
