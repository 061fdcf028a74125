/* test_precision.c: what 8-bit activations, the default, cost against f32 activations on the same
 * weights, and that each precision is what ran.
 *
 *   pocket-llm    mean KL over every position of its own kind of text <= 1e-3 (issue 4's bound)
 *   goldens       relative RMS of all logits; these models are tiny and random, which magnifies:
 *                 a sum of 64 terms averages less rounding away than one of 1,024 */
#include "golden.h"

#include "text/tok.h"

static const char *const POCKET = MLXE_SOURCE_DIR "/zoo/pocket-llm";

static int setup(void **state)
{
    (void)state;
    return runtime_start_with(2);
}

static uint64_t int8_runs(void) { return kn_count(KN_COUNT_LINEAR_INT8); }

static float *logits_of(const char *folder, mlxe_precision precision, const int32_t *ids, int32_t n,
                        int32_t *vocab)
{
    eng_options options = {.precision = precision};
    mlxe_error err;
    opened o;
    float *out;
    if (opened_open_with(folder, &options, &o, &err)) fail_msg("%s", err.message);
    *vocab = o.caps.vocab;
    out = malloc((size_t)n * (size_t)*vocab * sizeof *out);
    assert_non_null(out);
    if (forward_chunks(&o, ids, n, n, out, &err)) fail_msg("%s", err.message);
    opened_close(&o);
    return out;
}

/* Sum p log(p / q) of two rows of logits. */
static double divergence(const float *a, const float *b, int32_t n)
{
    double most_a = (double)a[0], most_b = (double)b[0], sum_a = 0, sum_b = 0, kl = 0;
    for (int32_t i = 1; i < n; i++) {
        if ((double)a[i] > most_a) most_a = (double)a[i];
        if ((double)b[i] > most_b) most_b = (double)b[i];
    }
    for (int32_t i = 0; i < n; i++) {
        sum_a += exp((double)a[i] - most_a);
        sum_b += exp((double)b[i] - most_b);
    }
    for (int32_t i = 0; i < n; i++) {
        double p = (double)a[i] - most_a - log(sum_a), q = (double)b[i] - most_b - log(sum_b);
        kl += exp(p) * (p - q);
    }
    return kl;
}

static void pocket(void **state)
{
    static const char *const TEXTS[] = {
        "<|im_start|>user\nWhat is 17 + 25?<|im_end|>\n<|im_start|>assistant\n42<|im_end|>\n"
        "<|im_start|>user\nAnd 42 - 7?<|im_end|>\n<|im_start|>assistant\n35<|im_end|>\n",
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nThe code of "
        "the red box is 4711. The code of the blue box is 1234. What is the code of the red "
        "box?<|im_end|>\n<|im_start|>assistant\n4711<|im_end|>\n",
        "<|im_start|>user\nGive me a JSON object with the name Anna and the age 31.<|im_end|>\n"
        "<|im_start|>assistant\n{\"name\": \"Anna\", \"age\": 31}<|im_end|>\n",
        "Once upon a time there was a small house at the edge of a forest, and in the house lived "
        "an old man who counted the stars every night and wrote their number into a book.",
    };
    double sum = 0;
    int positions = 0, same = 0;
    tok *t;
    mlxe_error err;
    (void)state;
    if (tok_open_folder(POCKET, &t, &err)) fail_msg("%s", err.message);
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        strv text = {TEXTS[i], strlen(TEXTS[i])}, none = {NULL, 0};
        tok_ids tokens = {0};
        int32_t ids[512], n, vocab;
        float *precise, *fast;
        uint64_t before;
        assert_int_equal(tok_encode(t, text, none, 0, &tokens, &err), MLXE_OK);
        n = (int32_t)tokens.n;
        assert_true(n > 20 && n <= 512);
        for (int32_t j = 0; j < n; j++)
            ids[j] = tokens.tokens[j].id;
        before = int8_runs();
        precise = logits_of(POCKET, MLXE_PRECISION_F32, ids, n, &vocab);
        assert_int_equal(int8_runs(), before);
        fast = logits_of(POCKET, (mlxe_precision)0, ids, n, &vocab);
        assert_int_equal(int8_runs() - before, 8 * 7 + 1); /* seven a layer, and the head */
        for (int32_t j = 0; j < n; j++, positions++) {
            const float *a = precise + (size_t)j * (size_t)vocab,
                        *b = fast + (size_t)j * (size_t)vocab;
            int32_t best_a = 0, best_b = 0;
            sum += divergence(a, b, vocab);
            for (int32_t v = 1; v < vocab; v++) {
                if (a[v] > a[best_a]) best_a = v;
                if (b[v] > b[best_b]) best_b = v;
            }
            same += best_a == best_b;
        }
        free(precise);
        free(fast);
        tok_ids_deinit(&tokens);
    }
    tok_close(t);
    print_message("pocket-llm: mean KL %.3g over %d positions, same best token at %d\n",
                  sum / positions, positions, same);
    assert_true(sum / positions <= 1e-3);
    assert_true(sum > 0); /* it is another arithmetic */
    assert_true(same >= positions * 97 / 100);
}

static void goldens(void **state)
{
    buf index = {0}, folder = {0};
    mlxe_error err;
    double worst = 0, total = 0;
    int cases = 0;
    char *at, *line;
    (void)state;
    assert_int_equal(fs_read(GOLDEN_DIR "/INDEX.txt", 0, &index, &err), MLXE_OK);
    at = index.p;
    while ((line = next_line(&at))) {
        expected e;
        float *fast;
        double rms;
        int32_t vocab;
        uint64_t before = int8_runs();
        if (!strstr(line, "/q")) continue;
        expected_open(fs_join(&folder, GOLDEN_DIR, line), &e);
        fast = logits_of(buf_str(&folder), MLXE_PRECISION_INT8, e.ids, e.n_ids, &vocab);
        rms = relative_rms(fast, e.logits, (size_t)e.n_ids * (size_t)vocab);
        assert_true(int8_runs() > before);
        if (!(rms <= 0.05) || rms < 1e-5) fail_msg("%s: relative RMS %g", line, rms);
        if (rms > worst) worst = rms;
        total += rms;
        cases++;
        free(fast);
        expected_close(&e);
    }
    print_message("%d quantised goldens: relative RMS %.3g at most, %.3g on average\n", cases,
                  worst, total / cases);
    assert_true(cases >= 20);
    buf_deinit(&index);
    buf_deinit(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pocket), cmocka_unit_test(goldens)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
