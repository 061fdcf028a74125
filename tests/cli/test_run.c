/* test_run.c: `run` and `logits` on the pocket model: streaming, statistics, JSON lines, Ctrl-C. */
#include "cli_test.h"

#include <locale.h>

#define QUESTION "What is 12 + 30?"

/* "4089:-inf,4087:-inf": forbids what ends an answer, so that it runs to its limit. */
static void no_end(char *out, size_t capacity)
{
    yyjson_doc *doc = yyjson_read_file(POCKET "/generation_config.json", 0, NULL, NULL);
    yyjson_val *ids = yyjson_obj_get(yyjson_doc_get_root(doc), "eos_token_id"), *id;
    size_t i, n, at = 0;
    assert_non_null(ids);
    if (yyjson_is_int(ids)) at = (size_t)snprintf(out, capacity, "%d:-inf", yyjson_get_int(ids));
    yyjson_arr_foreach(ids, i, n, id)
    {
        at += (size_t)snprintf(out + at, capacity - at, "%s%d:-inf", i ? "," : "",
                               yyjson_get_int(id));
    }
    assert_true(at > 0 && at < capacity);
    yyjson_doc_free(doc);
}

static const char *const STATS[] = {"prompt_tokens", "cached_tokens", "generated_tokens",
                                    "prefill_ms",    "decode_ms",     "time_to_first_token_ms",
                                    "prefill_tps",   "decode_tps",    "peak_memory_bytes",
                                    "finish_reason", "seed",          "device",
                                    "kernels"};

static void check_stats(yyjson_val *stats, const char *finish)
{
    for (size_t i = 0; i < sizeof STATS / sizeof *STATS; i++)
        if (!yyjson_obj_get(stats, STATS[i])) fail_msg("stats without %s", STATS[i]);
    assert_true(yyjson_get_uint(yyjson_obj_get(stats, "prompt_tokens")) > 0);
    assert_true(yyjson_get_uint(yyjson_obj_get(stats, "peak_memory_bytes")) > 1000000);
    assert_string_equal(yyjson_get_str(yyjson_obj_get(stats, "finish_reason")), finish);
    assert_string_equal(yyjson_get_str(yyjson_obj_get(stats, "device")), "cpu");
}

/* The text of `run --json`: text events, then one done event with statistics. How the text is cut
 * into events depends on the machine's load. */
static void events_text(const bytes *out, bytes *whole)
{
    size_t n = count_lines(out);
    bytes_text(whole, "");
    assert_true(n > 0);
    for (size_t i = 0; i < n; i++) {
        yyjson_doc *doc = line_at(out, i);
        yyjson_val *root = yyjson_doc_get_root(doc), *piece = yyjson_obj_get(root, "text");
        const char *event = yyjson_get_str(yyjson_obj_get(root, "event"));
        assert_string_equal(event, i + 1 < n ? "text" : "done");
        if (piece) bytes_add(whole, yyjson_get_str(piece), yyjson_get_len(piece));
        if (i + 1 == n) check_stats(yyjson_obj_get(root, "stats"), "stop");
        yyjson_doc_free(doc);
    }
}

/* The same answer as text, as events and as a line. */
static void three_forms_of_one_answer(void **state)
{
    (void)state;
    result text = RUN("run", "pocket-llm", QUESTION, "--temperature", "0", "--stats");
    result events = RUN("run", POCKET, QUESTION, "--temperature", "0", "--json");
    result line =
        FEED("{\"prompt\":\"" QUESTION "\",\"temperature\":0}\n", "run", POCKET, "--lines");
    bytes whole = {0};
    assert_int_equal(text.status | events.status | line.status, 0);
    assert_has(text.err.data, "tokens/s");
    events_text(&events.out, &whole);
    yyjson_doc *doc = line_at(&line.out, 0);
    yyjson_val *root = yyjson_doc_get_root(doc);
    assert_string_equal(yyjson_get_str(yyjson_obj_get(root, "text")), whole.data);
    assert_true(yyjson_arr_size(yyjson_obj_get(root, "ids")) > 0);
    check_stats(yyjson_obj_get(root, "stats"), "stop");
    yyjson_doc_free(doc);
    bytes_add(&whole, "\n", 1);
    assert_string_equal(text.out.data, whole.data);
    assert_has(whole.data, "42");
    free(whole.data);
    result_free(&text);
    result_free(&events);
    result_free(&line);
}

/* The texts of one kind of event of `run --json`, together. */
static void texts_of(const bytes *out, const char *event, bytes *whole)
{
    bytes_text(whole, "");
    for (size_t i = 0; i < count_lines(out); i++) {
        yyjson_doc *doc = line_at(out, i);
        yyjson_val *root = yyjson_doc_get_root(doc), *piece = yyjson_obj_get(root, "text");
        if (yyjson_equals_str(yyjson_obj_get(root, "event"), event))
            bytes_add(whole, yyjson_get_str(piece), yyjson_get_len(piece));
        yyjson_doc_free(doc);
    }
}

/* The model thinks when its template is told to: apart from the answer in events and lines, not on
 * standard output, and no longer than the budget. */
static void thoughts_and_their_budget(void **state)
{
    static const char THINK[] = "enable_thinking=true", SUM[] = "What is (3 + 4) x 2?",
                      LINE[] = "{\"prompt\":\"What is (3 + 4) x 2?\",\"temperature\":0,"
                               "\"template_var\":[\"enable_thinking=true\"]}\n";
    static const char *const BUDGETS[] = {"200", "3", "0"};
    bytes thoughts[3] = {{0}}, answers[3] = {{0}};
    (void)state;
    for (int i = 0; i < 3; i++) {
        result r = RUN("run", POCKET, SUM, "--temperature", "0", "--json", "--template-var", THINK,
                       "--reasoning-budget", BUDGETS[i]);
        assert_int_equal(r.status, 0);
        texts_of(&r.out, "reasoning", &thoughts[i]);
        texts_of(&r.out, "text", &answers[i]);
        assert_true(answers[i].n > 0);
        result_free(&r);
    }
    assert_has(thoughts[0].data, "3 + 4 = 7");
    assert_has(answers[0].data, "14");
    assert_true(thoughts[1].n > 0 && thoughts[1].n < thoughts[0].n);
    assert_memory_equal(thoughts[1].data, thoughts[0].data, thoughts[1].n);
    assert_int_equal(thoughts[2].n, 0);
    result line = FEED(LINE, "run", POCKET, "--lines");
    yyjson_doc *doc = line_at(&line.out, 0);
    yyjson_val *root = yyjson_doc_get_root(doc);
    assert_string_equal(yyjson_get_str(yyjson_obj_get(root, "reasoning")), thoughts[0].data);
    assert_string_equal(yyjson_get_str(yyjson_obj_get(root, "content")), answers[0].data);
    yyjson_doc_free(doc);
    result text = RUN("run", POCKET, SUM, "--temperature", "0", "--template-var", THINK);
    bytes_add(&answers[0], "\n", 1);
    assert_string_equal(text.out.data, answers[0].data);
    result_free(&line);
    result_free(&text);
    for (int i = 0; i < 3; i++) {
        free(thoughts[i].data);
        free(answers[i].data);
    }
}

static void the_pocket_model_is_said(void **state)
{
    (void)state;
    result r = RUN("run", QUESTION, "--temperature", "0");
    assert_int_equal(r.status, 0);
    assert_has(r.err.data, "pocket-llm");
    assert_has(r.out.data, "42");
    result quiet = RUN("run", QUESTION, "--temperature", "0", "--quiet");
    assert_string_equal(quiet.out.data, r.out.data);
    assert_int_equal(quiet.err.n, 0);
    result piped = FEED(QUESTION, "run", "-", "-q", "--temperature", "0");
    assert_string_equal(piped.out.data, r.out.data);
    result_free(&r);
    result_free(&quiet);
    result_free(&piped);
}

static void lines_keep_step_and_order(void **state)
{
    (void)state;
    char bias[200], input[4000];
    no_end(bias, sizeof bias);
    snprintf(input, sizeof input,
             "{\"prompt\":\"" QUESTION "\"}\n"
             "\n"
             "{\"messages\":[{\"role\":\"user\",\"content\":\"" QUESTION "\"}]}\n"
             "{\"prompt\":\"a\",\"messages\":[]}\n"
             "{\"prompt\":\"a\",\"colour\":1}\n"
             "{\"prompt\":\"Once\",\"raw\":true,\"max_tokens\":5,\"logit_bias\":\"%s\"}\n"
             "{\"prompt\":\"a\",\"image\":\"x\"}\n"
             "{\"prompt\":\"a\",\"top_p\":0}\n"
             "{\"prompt\":\"a\",\"context\":5}\n"
             "{\"prompt\":\"" QUESTION "\",\"stop\":[\"4\"]}\n"
             "{\"prompt\":\"" QUESTION "\",\"max_tokens\":3,\"logprobs\":2}\n"
             "{\"prompt\":\"" QUESTION "\",\"logit_bias\":{\"999999\":1}}",
             bias);
    static const char *const ERRORS[] = {
        "",           "MLXE_E_INPUT", "", "MLXE_E_ARG", "MLXE_E_ARG", "", "MLXE_E_UNSUPPORTED",
        "MLXE_E_ARG", "MLXE_E_ARG",   "", "",           "MLXE_E_ARG"};
    enum { N = sizeof ERRORS / sizeof *ERRORS };
    result r = FEED(input, "run", POCKET, "--lines", "--temperature", "0");
    assert_int_equal(r.status, 0);
    assert_int_equal(count_lines(&r.out), N);
    for (size_t i = 0; i < N; i++)
        assert_line_error(&r.out, i, ERRORS[i]);
    yyjson_doc *a = line_at(&r.out, 0), *b = line_at(&r.out, 2), *raw = line_at(&r.out, 5),
               *stopped = line_at(&r.out, 9), *probs = line_at(&r.out, 10);
    assert_true(yyjson_equals(yyjson_obj_get(yyjson_doc_get_root(a), "ids"),
                              yyjson_obj_get(yyjson_doc_get_root(b), "ids")));
    yyjson_val *root = yyjson_doc_get_root(raw);
    check_stats(yyjson_obj_get(root, "stats"), "length");
    assert_int_equal(yyjson_arr_size(yyjson_obj_get(root, "ids")), 5);
    root = yyjson_doc_get_root(stopped);
    check_stats(yyjson_obj_get(root, "stats"), "stop");
    assert_null(strchr(yyjson_get_str(yyjson_obj_get(root, "text")), '4'));
    root = yyjson_doc_get_root(probs);
    assert_int_equal(
        yyjson_arr_size(yyjson_obj_get(root, "logprobs")),
        yyjson_get_uint(yyjson_obj_get(yyjson_obj_get(root, "stats"), "generated_tokens")));
    yyjson_doc_free(a);
    yyjson_doc_free(b);
    yyjson_doc_free(raw);
    yyjson_doc_free(stopped);
    yyjson_doc_free(probs);
    result_free(&r);
}

/* N at a time give the texts, and the order, of one at a time. */
static void parallel_is_sequential(void **state)
{
    (void)state;
    bytes input = {0};
    for (int i = 0; i < 24; i++) {
        char line[200];
        int n = snprintf(line, sizeof line,
                         "{\"prompt\":\"What is %d + %d?\",\"max_tokens\":%d,\"seed\":%d,"
                         "\"temperature\":%s}\n",
                         i * 3 % 50, i * 7 % 40, 2 + i * 5 % 17, i, i % 2 ? "0.8" : "0");
        bytes_add(&input, i % 6 == 5 ? "bad\n" : line, i % 6 == 5 ? 4 : (size_t)n);
    }
    result one = run_with(NULL, input.data, input.n, ARGS("run", POCKET, "--lines"));
    result many =
        run_with(NULL, input.data, input.n, ARGS("run", POCKET, "--lines", "--parallel", "6"));
    assert_int_equal(one.status | many.status, 0);
    assert_int_equal(count_lines(&one.out), 24);
    assert_int_equal(count_lines(&many.out), 24);
    for (size_t i = 0; i < 24; i++) {
        yyjson_doc *a = line_at(&one.out, i), *b = line_at(&many.out, i);
        static const char *const KEYS[] = {"text", "ids", "error"};
        for (int k = 0; k < 3; k++) {
            yyjson_val *x = yyjson_obj_get(yyjson_doc_get_root(a), KEYS[k]);
            yyjson_val *y = yyjson_obj_get(yyjson_doc_get_root(b), KEYS[k]);
            if (!x != !y || (x && !yyjson_equals(x, y))) fail_msg("line %zu: %s", i + 1, KEYS[k]);
        }
        yyjson_doc_free(a);
        yyjson_doc_free(b);
    }
    free(input.data);
    result_free(&one);
    result_free(&many);
}

/* Starts an answer without an end, waits for its first bytes and interrupts it. */
static result interrupt_run(const char *form, double *ended_ms)
{
    char bias[200];
    struct pollfd wait = {0};
    no_end(bias, sizeof bias);
    child c =
        child_start(ARGS("run", POCKET, "Tell me a story.", "--logit-bias", bias, form), NULL);
    wait = (struct pollfd){c.out, POLLIN, 0};
    assert_int_equal(poll(&wait, 1, 60000), 1);
    double sent = now_ms();
    assert_int_equal(kill(c.pid, SIGINT), 0);
    result r = child_finish(&c, "", 0);
    *ended_ms = now_ms() - sent;
    return r;
}

static void ctrl_c_ends_with_130_and_keeps_the_text(void **state)
{
    (void)state;
    double ended_ms;
    result r = interrupt_run("--stats", &ended_ms);
    assert_int_equal(r.status, 130);
    assert_true(r.out.n > 1);
    assert_int_equal(r.out.data[r.out.n - 1], '\n');
    assert_has(r.err.data, "cancelled");
    assert_true(ended_ms < 5000);
    result_free(&r);
    r = interrupt_run("--json", &ended_ms);
    assert_int_equal(r.status, 130);
    size_t n = count_lines(&r.out);
    assert_true(n >= 2);
    yyjson_doc *doc = line_at(&r.out, n - 1);
    assert_string_equal(yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "event")), "done");
    check_stats(yyjson_obj_get(yyjson_doc_get_root(doc), "stats"), "cancelled");
    yyjson_doc_free(doc);
    result_free(&r);
}

/* While it waits for a line, while it answers one. */
static void ctrl_c_in_lines(void **state)
{
    (void)state;
    char bias[200], line[400], answer[4000];
    no_end(bias, sizeof bias);
    child c = child_start(ARGS("run", POCKET, "--lines", "--parallel", "2"), NULL);
    struct pollfd wait = {c.out, POLLIN, 0};
    int n = snprintf(line, sizeof line, "{\"prompt\":\"" QUESTION "\",\"max_tokens\":4}\n");
    assert_int_equal(write(c.in, line, (size_t)n), n);
    assert_int_equal(poll(&wait, 1, 60000), 1);
    assert_true(read(c.out, answer, sizeof answer) > 0);
    n = snprintf(line, sizeof line, "{\"prompt\":\"a\",\"raw\":true,\"logit_bias\":\"%s\"}\n",
                 bias);
    assert_int_equal(write(c.in, line, (size_t)n), n);
    usleep_ms(150);
    kill(c.pid, SIGINT);
    result r = child_finish(&c, "", 0);
    assert_int_equal(r.status, 130);
    assert_int_equal(count_lines(&r.out), 1);
    yyjson_doc *doc = line_at(&r.out, 0);
    check_stats(yyjson_obj_get(yyjson_doc_get_root(doc), "stats"), "cancelled");
    yyjson_doc_free(doc);
    result_free(&r);

    /* Several times: the signal may come before the loop looks, after its look, in its wait. */
    for (int i = 0; i < 5; i++) {
        c = child_start(ARGS("run", POCKET, "--lines"), NULL);
        n = snprintf(line, sizeof line, "{\"prompt\":\"" QUESTION "\",\"max_tokens\":4}\n");
        assert_int_equal(write(c.in, line, (size_t)n), n);
        wait = (struct pollfd){c.out, POLLIN, 0};
        assert_int_equal(poll(&wait, 1, 60000), 1);
        kill(c.pid, SIGINT); /* it waits for a line; its input is not closed */
        int in = c.in;
        c.in = dup(in);
        r = child_finish(&c, "", 0);
        close(in);
        assert_int_equal(r.status, 130);
        result_free(&r);
    }
}

static void a_closed_pipe_ends_quietly(void **state)
{
    (void)state;
    char bias[200], byte;
    no_end(bias, sizeof bias);
    child c = child_start(ARGS("run", POCKET, "Tell me a story.", "--logit-bias", bias), NULL);
    assert_int_equal(read(c.out, &byte, 1), 1);
    close(c.out);
    c.out = -1;
    double closed = now_ms();
    result r = child_finish(&c, "", 0);
    assert_int_equal(r.status, 0);
    assert_int_equal(r.err.n, 0);
    assert_true(now_ms() - closed < 5000);
    result_free(&r);
}

static void numbers_ignore_the_locale(void **state)
{
    (void)state;
    if (!setlocale(LC_ALL, "de_DE.UTF-8")) print_message("de_DE.UTF-8 is not installed here\n");
    setlocale(LC_ALL, "C");
    const char *const *args = ARGS("run", POCKET, QUESTION, "--json", "--temperature", "0.5",
                                   "--seed", "7", "--logit-bias", "5:-1.5");
    result c = run_with("LC_ALL=C", "", 0, args);
    result de = run_with("LC_ALL=de_DE.UTF-8", "", 0, args);
    assert_int_equal(c.status | de.status, 0);
    bytes c_text = {0}, de_text = {0};
    events_text(&c.out, &c_text);
    events_text(&de.out, &de_text);
    assert_string_equal(c_text.data, de_text.data);
    free(c_text.data);
    free(de_text.data);
    result_free(&c);
    result_free(&de);
}

static void seeds_repeat(void **state)
{
    (void)state;
    const char *const *args = ARGS("run", POCKET, "Tell me a story.", "--temperature", "1.2",
                                   "--seed", "18446744073709551615", "--max-tokens", "30");
    result a = run_with(NULL, "", 0, args), b = run_with(NULL, "", 0, args);
    assert_int_equal(a.status, 0);
    assert_string_equal(a.out.data, b.out.data);
    result_free(&a);
    result_free(&b);
}

/* A system message and tools from files and pipes reach the template. */
static void options_that_are_inputs(void **state)
{
    (void)state;
    char path[] = "/tmp/mlxengine-system-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "Be brief.", 9), 9);
    close(fd);
    char at[60];
    snprintf(at, sizeof at, "@%s", path);
    const char *form[] = {"Be brief.", at};
    uint64_t tokens[3];
    for (int i = 0; i < 3; i++) {
        result r =
            i < 2 ? RUN("run", POCKET, "hi", "--json", "--temperature", "0", "--system", form[i])
                  : RUN("run", POCKET, "hi", "--json", "--temperature", "0");
        assert_int_equal(r.status, 0);
        yyjson_doc *doc = line_at(&r.out, count_lines(&r.out) - 1);
        yyjson_val *stats = yyjson_obj_get(yyjson_doc_get_root(doc), "stats");
        tokens[i] = yyjson_get_uint(yyjson_obj_get(stats, "prompt_tokens"));
        yyjson_doc_free(doc);
        result_free(&r);
    }
    assert_int_equal(tokens[0], tokens[1]);
    assert_true(tokens[0] > tokens[2]);
    result r = FEED("[{\"type\":\"function\",\"function\":{\"name\":\"add\"}}]", "run", POCKET,
                    "hi", "--tools", "-", "--temperature", "0");
    assert_int_equal(r.status, 0);
    result_free(&r);
    r = FEED("{}", "run", POCKET, "hi", "--tools", "-");
    assert_int_equal(r.status, 1);
    assert_has(r.err.data, "--tools");
    result_free(&r);
    unlink(path);
}

static void logits_to_a_file(void **state)
{
    (void)state;
    char path[] = "/tmp/mlxengine-logits-XXXXXX", input[400];
    int fd = mkstemp(path);
    struct stat info;
    assert_true(fd >= 0);
    close(fd);
    result r = RUN("logits", POCKET, "--ids", "1,2,3", "-o", path, "--json");
    assert_int_equal(r.status, 0);
    yyjson_doc *doc = line_at(&r.out, 0);
    yyjson_val *root = yyjson_doc_get_root(doc);
    uint64_t vocab = yyjson_get_uint(yyjson_obj_get(root, "vocab"));
    assert_true(yyjson_is_true(yyjson_obj_get(root, "ok")));
    assert_int_equal(yyjson_get_uint(yyjson_obj_get(root, "tokens")), 3);
    assert_int_equal(stat(path, &info), 0);
    assert_true((uint64_t)info.st_size > 3 * vocab * 4);
    assert_true((uint64_t)info.st_size < 3 * vocab * 4 + 400);
    yyjson_doc_free(doc);
    result_free(&r);
    snprintf(input, sizeof input,
             "{\"ids\":[5],\"out\":\"%s\"}\n{\"ids\":[],\"out\":\"%s\"}\n{\"ids\":[%llu],\"out\":"
             "\"%s\"}\n{\"ids\":[1]}\n{\"ids\":[1],\"out\":\"/nowhere/f\"}\n",
             path, path, (unsigned long long)vocab, path);
    r = FEED(input, "logits", POCKET, "--lines");
    assert_int_equal(r.status, 0);
    assert_line_error(&r.out, 0, "");
    assert_line_error(&r.out, 1, "MLXE_E_ARG");
    assert_line_error(&r.out, 2, "MLXE_E_ARG");
    assert_line_error(&r.out, 3, "MLXE_E_ARG");
    assert_int_equal(count_lines(&r.out), 5);
    result_free(&r);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_forms_of_one_answer),
        cmocka_unit_test(thoughts_and_their_budget),
        cmocka_unit_test(the_pocket_model_is_said),
        cmocka_unit_test(lines_keep_step_and_order),
        cmocka_unit_test(parallel_is_sequential),
        cmocka_unit_test(ctrl_c_ends_with_130_and_keeps_the_text),
        cmocka_unit_test(ctrl_c_in_lines),
        cmocka_unit_test(a_closed_pipe_ends_quietly),
        cmocka_unit_test(numbers_ignore_the_locale),
        cmocka_unit_test(seeds_repeat),
        cmocka_unit_test(options_that_are_inputs),
        cmocka_unit_test(logits_to_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
