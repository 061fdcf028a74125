/* test_bench.c: `mlxengine bench`. The oracles are the options that were given, the header of the
 * weight file, and the clock of this test. */
#include "cli_test.h"

#include <math.h>

static yyjson_doc *report(const result *r, size_t n_results)
{
    if (r->status != 0) fail_msg("status %d: %s", r->status, r->err.data);
    assert_int_equal(count_lines(&r->out), 1);
    yyjson_doc *doc = line_at(&r->out, 0);
    yyjson_val *results = yyjson_obj_get(yyjson_doc_get_root(doc), "results");
    assert_int_equal(yyjson_arr_size(results), n_results);
    return doc;
}

static yyjson_val *entry(yyjson_doc *doc, size_t i)
{
    return yyjson_arr_get(yyjson_obj_get(yyjson_doc_get_root(doc), "results"), i);
}

static double num(yyjson_val *o, const char *key)
{
    yyjson_val *v = yyjson_obj_get(o, key);
    if (!yyjson_is_num(v)) fail_msg("%s: no number", key);
    return yyjson_get_num(v);
}

/* tps and median_tps follow from the rounds; -> the sum of the rounds in ms */
static double check_rates(yyjson_val *part, double tokens, size_t rounds)
{
    yyjson_val *ms = yyjson_obj_get(part, "ms"), *v;
    double least = INFINITY, sum = 0;
    size_t i, n;
    assert_int_equal(yyjson_arr_size(ms), rounds);
    yyjson_arr_foreach(ms, i, n, v)
    {
        assert_true(yyjson_get_num(v) > 0);
        least = fmin(least, yyjson_get_num(v));
        sum += yyjson_get_num(v);
    }
    assert_true(fabs(num(part, "tps") * least / 1e3 / tokens - 1) < 1e-3);
    assert_true(num(part, "median_tps") <= num(part, "tps"));
    return sum;
}

/* Bytes of the matrices in the pocket model's file: all tensors but the norms. It is tied, so each
 * is read for a token. */
static double matrix_bytes(void)
{
    FILE *f = fopen(POCKET "/model.safetensors", "rb");
    uint64_t n = 0;
    double sum = 0;
    assert_non_null(f);
    assert_int_equal(fread(&n, sizeof n, 1, f), 1);
    char *text = malloc(n);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, n, f), n);
    fclose(f);
    yyjson_doc *doc = yyjson_read(text, n, 0);
    assert_non_null(doc);
    size_t i, count;
    yyjson_val *key, *value;
    yyjson_obj_foreach(yyjson_doc_get_root(doc), i, count, key, value)
    {
        yyjson_val *range = yyjson_obj_get(value, "data_offsets");
        if (range && !strstr(yyjson_get_str(key), "norm"))
            sum +=
                yyjson_get_num(yyjson_arr_get(range, 1)) - yyjson_get_num(yyjson_arr_get(range, 0));
    }
    yyjson_doc_free(doc);
    free(text);
    return sum;
}

static void each_thread_count_is_measured_as_asked(void **state)
{
    (void)state;
    double from = now_ms(), spent = 0;
    result r = RUN("bench", POCKET, "--prompt", "48", "--gen", "6", "--depth", "20", "--repeat",
                   "2", "--threads", "1,2", "--json");
    from = now_ms() - from;
    yyjson_doc *doc = report(&r, 2);
    for (size_t i = 0; i < 2; i++) {
        yyjson_val *e = entry(doc, i), *prefill = yyjson_obj_get(e, "prefill"),
                   *decode = yyjson_obj_get(e, "decode"), *load = yyjson_obj_get(e, "load"),
                   *limits = yyjson_obj_get(e, "limits"), *memory = yyjson_obj_get(e, "memory");
        assert_int_equal(num(e, "threads"), i + 1);
        assert_int_equal(num(prefill, "tokens"), 48);
        assert_int_equal(num(decode, "tokens"), 6);
        assert_int_equal(num(decode, "depth"), 20);
        assert_int_equal(num(decode, "rows"), 1);
        spent += check_rates(prefill, 48, 2) + check_rates(decode, 6, 2);
        spent += num(load, "total_ms");
        assert_true(fabs(num(load, "engine_ms") + num(load, "open_ms") +
                         num(load, "first_token_ms") - num(load, "total_ms")) < 0.01);
        assert_true(num(limits, "read_bytes") >= matrix_bytes());
        assert_true(num(limits, "read_gbps") > 0.05 && num(limits, "read_gbps") < 1e4);
        assert_true(num(decode, "weight_bytes_per_step") == matrix_bytes());
        double moved = num(decode, "weight_bytes_per_step") + num(decode, "kv_bytes_per_step");
        assert_true(fabs(num(decode, "gbps") * num(decode, "step_ms") * 1e6 / moved - 1) < 0.01);
        assert_true(
            fabs(num(decode, "bandwidth_share") * num(limits, "read_gbps") / num(decode, "gbps") -
                 1) < 0.02);
        assert_true(num(memory, "anonymous_bytes") > 0);
        assert_true(num(memory, "weight_bytes") >= matrix_bytes());
    }
    /* What is told to have passed has passed, and no more. */
    assert_true(spent > 0 && spent < from);
    yyjson_doc_free(doc);
    result_free(&r);
}

static void depth_and_rows_count(void **state)
{
    (void)state;
    result one = RUN("bench", POCKET, "--prompt", "0", "--gen", "2", "--depth", "9", "--repeat",
                     "1", "--threads", "1", "--json");
    result deep = RUN("bench", POCKET, "--prompt", "0", "--gen", "2", "--depth", "99", "--repeat",
                      "1", "--threads", "1", "--json");
    result many = RUN("bench", POCKET, "--prompt", "0", "--gen", "2", "--depth", "9", "--rows", "3",
                      "--repeat", "1", "--threads", "1", "--json");
    yyjson_doc *docs[] = {report(&one, 1), report(&deep, 1), report(&many, 1)};
    yyjson_val *d[3];
    for (int i = 0; i < 3; i++) {
        assert_null(yyjson_obj_get(entry(docs[i], 0), "prefill"));
        d[i] = yyjson_obj_get(entry(docs[i], 0), "decode");
    }
    /* Ten tokens on average against a hundred; rows of 9, 8 and 6 before two each. */
    assert_int_equal(num(d[1], "kv_bytes_per_step"), 10 * num(d[0], "kv_bytes_per_step"));
    assert_int_equal(10 * num(d[2], "kv_bytes_per_step"), 26 * num(d[0], "kv_bytes_per_step"));
    check_rates(d[2], 6, 1);
    assert_true(num(d[2], "weight_bytes_per_step") == num(d[0], "weight_bytes_per_step"));
    for (int i = 0; i < 3; i++)
        yyjson_doc_free(docs[i]);
    result_free(&one);
    result_free(&deep);
    result_free(&many);
}

static void text_names_the_figures(void **state)
{
    (void)state;
    result r =
        RUN("bench", POCKET, "--prompt", "16", "--gen", "2", "--repeat", "1", "--threads", "1");
    assert_int_equal(r.status, 0);
    assert_has(r.out.data, "1 threads, best of 1");
    assert_has(r.out.data, "prefill  16 tokens: ");
    assert_has(r.out.data, "decode   2 tokens after 128, 1 row(s): ");
    assert_has(r.out.data, "to the first token");
    result_free(&r);
}

static void what_cannot_be_done_is_an_error(void **state)
{
    (void)state;
    const struct {
        const char *option, *value, *in_err;
        int status;
    } cases[] = {
        {"--prompt", "2049", "want at most the context of 2048", 1},
        {"--depth", "2048", "want at most the context of 2048", 1},
        {"--threads", "0", "--threads: got 0", 2},
        {"--threads", "1,x", "--threads: got 1,x", 2},
        {"--threads", "", "--threads: got", 2},
        {"--rows", "257", "--rows", 2},
        {"--repeat", "0", "--repeat", 2},
        {"--device", "gpu", "gpu", 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        result r = RUN("bench", POCKET, cases[i].option, cases[i].value);
        if (r.status != cases[i].status) fail_msg("%s: status %d", cases[i].option, r.status);
        assert_has(r.err.data, cases[i].in_err);
        result_free(&r);
    }
    /* From a child of its own the same. */
    result r = RUN("bench", "/nowhere/model", "--threads", "1,2", "--json");
    assert_int_equal(r.status, 3);
    assert_line_error(&r.out, 0, "MLXE_E_NOT_FOUND");
    result_free(&r);
}

static void interrupted_it_ends_soon_and_cleanly(void **state)
{
    (void)state;
    for (int list = 0; list < 2; list++) {
        child c = child_start(ARGS("bench", POCKET, "--prompt", "0", "--gen", "1900", "--repeat",
                                   "100", "--threads", list ? "1,2" : "1", "--json"),
                              NULL);
        usleep_ms(1500);
        double from = now_ms();
        kill(c.pid, SIGINT);
        result r = child_finish(&c, "", 0);
        assert_int_equal(r.status, 130);
        assert_true(now_ms() - from < 20000);
        yyjson_doc_free(report(&(result){0, r.out, r.err}, 0));
        result_free(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_thread_count_is_measured_as_asked),
        cmocka_unit_test(depth_and_rows_count),
        cmocka_unit_test(text_names_the_figures),
        cmocka_unit_test(what_cannot_be_done_is_an_error),
        cmocka_unit_test(interrupted_it_ends_soon_and_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
