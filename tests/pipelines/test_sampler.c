/* test_sampler.c: the sampling chain against transformers' logits processors, the draw's
 * distribution, and stop strings at every split. */
#include "base/fs.h"
#include "base/json.h"
#include "kernels/kernels.h"
#include "pipelines/sampler.h"
#include "pipelines/stop.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MAX = 64 };

static int32_t numbers(const json *array, double *out)
{
    json_iter it = json_iterate(array);
    const json *key, *value;
    int32_t n = 0;
    while (json_next(&it, &key, &value))
        out[n++] = json_float(value);
    return n;
}

static float param(const json *params, const char *key, double otherwise)
{
    mlxe_error err;
    assert_int_equal(json_get_float(params, "params", key, &otherwise, &err), MLXE_OK);
    return (float)otherwise;
}

static void params_read(const json *p, eng_sampler *out, mlxe_logit_bias *bias)
{
    const json *list = json_get(p, "logit_bias"), *key, *value;
    json_iter it = json_iterate(list);
    *out = (eng_sampler){.temperature = param(p, "temperature", 0),
                         .top_p = param(p, "top_p", 1),
                         .top_k = (int32_t)param(p, "top_k", 0),
                         .min_p = param(p, "min_p", 0),
                         .repetition_penalty = param(p, "repetition_penalty", 1),
                         .presence_penalty = param(p, "presence_penalty", 0),
                         .frequency_penalty = param(p, "frequency_penalty", 0),
                         .penalty_window = (int32_t)param(p, "penalty_window", 0),
                         .logit_bias = bias};
    while (list && json_next(&it, &key, &value))
        bias[out->n_logit_bias++] =
            (mlxe_logit_bias){atoi(json_str(key).p), (float)json_float(value)};
}

static int case_differs(const json *c)
{
    double v[MAX], prompt_v[MAX], answer_v[MAX];
    int32_t prompt[MAX], answer[MAX];
    candidate items[MAX];
    uint8_t marks[MAX] = {0};
    mlxe_logit_bias bias[8];
    eng_sampler params;
    const json *left = json_get(c, "left");
    candidates set = {items, numbers(json_get(c, "logits"), v), marks, 0};
    sampler_input in = {&params, prompt, answer, 0, 0};
    int wrong = 0;
    in.n_prompt = (size_t)numbers(json_get(c, "prompt"), prompt_v);
    in.n_answer = (size_t)numbers(json_get(c, "answer"), answer_v);
    for (size_t i = 0; i < in.n_prompt; i++)
        prompt[i] = (int32_t)prompt_v[i];
    for (size_t i = 0; i < in.n_answer; i++)
        answer[i] = (int32_t)answer_v[i];
    for (int32_t i = 0; i < set.n; i++)
        items[i] = (candidate){(float)v[i], i};
    params_read(json_get(c, "params"), &params, bias);
    sampler_filter(&in, &set);
    wrong += (size_t)set.n != json_len(left);
    for (int32_t i = 0; i < set.n; i++) {
        char id[16];
        const json *want;
        snprintf(id, sizeof id, "%d", items[i].id);
        want = json_get(left, id);
        wrong += !want || fabs(json_float(want) - items[i].logit) > 1e-4;
    }
    for (int i = 0; i < MAX; i++)
        wrong += marks[i] != 0;
    return wrong;
}

static void chain(void **state)
{
    buf text = {0};
    json_doc *doc;
    json_iter it;
    const json *key, *c;
    mlxe_error err;
    int cases = 0, failed = 0;
    (void)state;
    assert_int_equal(fs_read(MLXE_SOURCE_DIR "/tests/golden/samplers/cases.json", 0, &text, &err),
                     MLXE_OK);
    assert_int_equal(json_parse("cases.json", text.p, text.n, &doc, &err), MLXE_OK);
    it = json_iterate(json_root(doc));
    while (json_next(&it, &key, &c)) {
        strv name = json_str(json_get(c, "name"));
        int wrong = case_differs(c);
        if (wrong) print_error("%.*s: %d places differ\n", (int)name.n, name.p, wrong);
        failed += wrong != 0;
        cases++;
    }
    assert_int_equal(failed, 0);
    assert_true(cases >= 50);
    json_close(doc);
    buf_deinit(&text);
}

/* With top_k the few best tokens are drawn from, without a look at the others: the same token as
 * over all of them, which a bias of 0 brings about. Coarse logits have equal ones at the cut. */
static void few_as_all(void **state)
{
    enum { V = 5000 };
    static float logits[V];
    sampler_scratch scratch = {0};
    int fast = 0;
    (void)state;
    for (int i = 0; i < 3000; i++) {
        const mlxe_logit_bias none = {7, 0};
        eng_sampler few = {.temperature = i % 4 ? 0.1f + (float)(i % 17) * 0.11f : 1,
                           .top_p = i % 3 ? 1 : 0.9f,
                           .top_k = 1 + i * 7 % 300,
                           .min_p = i % 5 ? 0 : 0.05f,
                           .repetition_penalty = 1,
                           .seed = (uint64_t)i};
        eng_sampler all = few;
        sampler_input in = {.params = &few}, in_all = {.params = &all};
        int32_t token, want;
        uint64_t before;
        mlxe_error err;
        for (int j = 0; j < V && i % 10 == 0; j++) {
            logits[j] = (float)((j * 2654435761u + (unsigned)i * 40503u) >> 16 & 0xffff) * 2e-4f;
            if (i % 20) logits[j] = (float)(int)(logits[j] * 300) / 300;
            if (i % 50 == 0 && j % 3) logits[j] = j % 2 ? -INFINITY : NAN;
        }
        all.logit_bias = &none;
        all.n_logit_bias = 1;
        before = kn_count(KN_COUNT_TOP_K);
        assert_int_equal(sampler_choose(&in, logits, V, &scratch, &token, &err), MLXE_OK);
        fast += kn_count(KN_COUNT_TOP_K) - before == 2;
        assert_int_equal(sampler_choose(&in_all, logits, V, &scratch, &want, &err), MLXE_OK);
        assert_int_equal(token, want);
    }
    assert_true(fast >= 2500);
    sampler_scratch_deinit(&scratch);
}

/* Frequencies of 20,000 draws against softmax: within 5 standard deviations. */
static void distribution(void **state)
{
    enum { N = 6, DRAWS = 20000 };
    static const float LOGITS[N] = {2, 0.5f, -1, 1.5f, -3, 0};
    eng_sampler params = {.temperature = 1, .top_p = 1, .repetition_penalty = 1};
    sampler_scratch scratch = {0};
    int32_t answer[1] = {0}, token;
    double sum = 0;
    int counts[N] = {0};
    mlxe_error err;
    (void)state;
    for (int i = 0; i < N; i++)
        sum += exp(LOGITS[i]);
    for (int i = 0; i < DRAWS; i++) {
        sampler_input in = {&params, NULL, answer, 0, 1};
        params.seed = (uint64_t)i;
        assert_int_equal(sampler_choose(&in, LOGITS, N, &scratch, &token, &err), MLXE_OK);
        counts[token]++;
    }
    for (int i = 0; i < N; i++) {
        double p = exp(LOGITS[i]) / sum;
        assert_true(fabs(counts[i] - DRAWS * p) < 5 * sqrt(DRAWS * p * (1 - p)));
    }
    sampler_scratch_deinit(&scratch);
}

static void hopeless_logits(void **state)
{
    float nan_row[3] = {NAN, NAN, NAN}, one[3] = {NAN, -2, NAN};
    eng_sampler params = {.temperature = 0.5f, .top_p = 0.5f, .repetition_penalty = 1};
    sampler_input in = {&params, NULL, NULL, 0, 0};
    sampler_scratch scratch = {0};
    int32_t token;
    mlxe_error err;
    (void)state;
    assert_int_equal(sampler_choose(&in, nan_row, 3, &scratch, &token, &err), MLXE_E_INTERNAL);
    assert_int_equal(sampler_choose(&in, one, 3, &scratch, &token, &err), MLXE_OK);
    assert_int_equal(token, 1);
    params.temperature = 0;
    assert_int_equal(sampler_choose(&in, one, 3, &scratch, &token, &err), MLXE_OK);
    assert_int_equal(token, 1);
    sampler_scratch_deinit(&scratch);
}

/* The filtered text is the same however the text is cut into two or three pieces. */
static void stop_splits(void **state)
{
    static const char TEXT[] = "aab aaab END aaaab";
    static const struct {
        const char *stops[3], *want;
    } CASES[] = {{{"aaab"}, "aab "},
                 {{"END", "b aaa"}, "aa"},
                 {{"zzz", "aaaaab"}, TEXT},
                 {{"b E", "EN"}, "aab aaa"},
                 {{"aaaab"}, "aab aaab END "}};
    size_t n = sizeof TEXT - 1;
    (void)state;
    for (size_t k = 0; k < sizeof CASES / sizeof *CASES; k++) {
        for (size_t a = 0; a <= n; a++) {
            for (size_t b = a; b <= n; b++) {
                strv stops[3];
                stop_filter f = {.stops = stops};
                buf out = {0};
                while (f.n < 3 && CASES[k].stops[f.n]) {
                    stops[f.n] = strv_of(CASES[k].stops[f.n]);
                    f.n++;
                }
                if (!stop_push(&f, strv_from(TEXT, a), &out) &&
                    !stop_push(&f, strv_from(TEXT + a, b - a), &out) &&
                    !stop_push(&f, strv_from(TEXT + b, n - b), &out))
                    stop_finish(&f, &out);
                assert_string_equal(buf_str(&out), CASES[k].want);
                stop_deinit(&f);
                buf_deinit(&out);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chain), cmocka_unit_test(few_as_all), cmocka_unit_test(distribution),
        cmocka_unit_test(hopeless_logits), cmocka_unit_test(stop_splits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
