/* full_linear.c: hostile texts cost what their length says.
 *
 *   time(n) ~ n^slope: the slope of a line through (log n, log time), by least squares
 *
 * Every tokenizer of the vectors (but those drawn at random) encodes every hostile text at 64 KB,
 * 256 KB and 1 MB, and decodes the ids of the first of them; templates render texts and histories
 * at the same ratio of sizes. The table that is printed holds the slopes and the time at the
 * largest size; a slope of SLOPE_MOST fails, where 1 is linear, 1.1 to 1.4 is n log n that leaves
 * the caches of a busy machine, and 2 is quadratic. Times are CPU time of this thread, the least of
 * several; a slope that is too steep is measured three times.
 *
 * Where a text is refused by a limit the error has to come as fast: it counts as a time. */
#include "base/fs.h"
#include "base/json.h"
#include "text/tmpl.h"
#include "text/tok.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define FOLDER     MLXE_SOURCE_DIR "/tests/text/data/tok/"
#define SLOPE_MOST 1.5
enum { SIZES = 3, FIRST = 1 << 16, RATIO = 4 };

static const struct {
    const char *name, *unit;
} TEXTS[] = {
    {"letter", "a"},
    {"marks", "\xCC\x81"},
    {"spaces", " "},
    {"newlines", "\n"},
    {"digits", "7"},
    {"dots", "."},
    {"han", "\xE4\xB8\xAD"},
    {"emoji", "\xF0\x9F\x91\x8D"},
    {"marks_unsorted", "\xCD\x85\xCC\x81\xCC\x96"}, /* classes 240, 230, 220: sorting swaps them */
    {"jamo", "\xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB"},
    {"pairs", "ab"},
    {"words", "the cat "},
    {"token_begins", "<|im_start<|endoftext<mas[MAS"},
    {"tokens", "<|endoftext|><mask>[MASK]</s>"},
    {"tokens_spaced", " \n <mask> \n "},
    {"unassigned", "\xF3\xB0\x80\x80"},
    {"control", "\x01"},
    {"quotes", "'s"},
};
enum { N_TEXTS = sizeof TEXTS / sizeof *TEXTS, N_DECODED = 6 };

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* What is measured: does the work for a size once. -> seconds */
typedef double (*work)(const void *what, size_t n);

/* The slope over the sizes. last: seconds at the largest */
static double slope_of(work run, const void *what, double *last)
{
    double best[SIZES], slope = 0;
    for (int i = 0; i < SIZES; i++)
        best[i] = HUGE_VAL;
    for (int turn = 0; turn < 3; turn++) {
        double mx = 0, my = 0, xx = 0, xy = 0;
        size_t n = FIRST;
        for (int i = 0; i < SIZES; i++, n *= RATIO) {
            for (int pass = 0; pass < (i == 0 ? 3 : 1); pass++)
                best[i] = fmin(best[i], run(what, n));
            mx += i / (double)SIZES;
            my += log(best[i] + 1e-6) / SIZES; /* the clock's own step */
        }
        for (int i = 0; i < SIZES; i++) {
            xx += (i - mx) * (i - mx);
            xy += (i - mx) * (log(best[i] + 1e-6) - my);
        }
        slope = xy / xx / log(RATIO);
        if (slope < SLOPE_MOST) break;
    }
    *last = best[SIZES - 1];
    return slope;
}

typedef struct one_text {
    const tok *t;
    const char *unit;
} one_text;

static void fill(buf *text, const char *unit, size_t bytes)
{
    while (text->n + strlen(unit) <= bytes)
        buf_add_str(text, unit);
}

static double encode(const void *what, size_t n)
{
    const one_text *x = what;
    mlxe_error err;
    tok_ids ids = {0};
    buf text = {0};
    fill(&text, x->unit, n);
    double from = seconds();
    mlxe_status rc = tok_encode(x->t, buf_view(&text), (strv){NULL, 0}, 0, &ids, &err);
    double spent = seconds() - from;
    if (rc && rc != MLXE_E_LIMIT && rc != MLXE_E_CORRUPT) fail_msg("%s", err.message);
    tok_ids_deinit(&ids);
    buf_deinit(&text);
    return spent;
}

static double decode(const void *what, size_t n)
{
    const one_text *x = what;
    mlxe_error err;
    tok_ids ids = {0};
    buf text = {0}, out = {0};
    fill(&text, x->unit, n);
    mlxe_status rc = tok_encode(x->t, buf_view(&text), (strv){NULL, 0}, 0, &ids, &err);
    int32_t *flat = malloc((ids.n + 1) * sizeof *flat);
    assert_non_null(flat);
    for (size_t i = 0; i < ids.n; i++)
        flat[i] = ids.tokens[i].id;
    double from = seconds();
    if (!rc) assert_int_equal(tok_decode(x->t, flat, ids.n, 0, &out, &err), MLXE_OK);
    double spent = seconds() - from;
    free(flat);
    tok_ids_deinit(&ids);
    buf_deinit(&text);
    buf_deinit(&out);
    return spent;
}

/* One row of the table. -> how many slopes are too steep */
static int measure(const char *name, const tok *t)
{
    double steepest[2] = {0, 0}, slowest[2] = {0, 0};
    const char *which[2] = {"", ""};
    int bad = 0;
    for (size_t i = 0; i < N_TEXTS; i++) {
        one_text x = {t, TEXTS[i].unit};
        for (int k = 0; k < (i < N_DECODED ? 2 : 1); k++) {
            double last, slope = slope_of(k ? decode : encode, &x, &last);
            slowest[k] = fmax(slowest[k], last);
            if (slope > steepest[k]) {
                steepest[k] = slope;
                which[k] = TEXTS[i].name;
            }
            if (slope < SLOPE_MOST) continue;
            bad++;
            printf("%s: %s %s: slope %.2f, %.3f s\n", name, k ? "decode" : "encode", TEXTS[i].name,
                   slope, last);
        }
    }
    printf("%-16s encode %.2f (%s), at most %.0f ms; decode %.2f (%s), at most %.0f ms\n", name,
           steepest[0], which[0], slowest[0] * 1e3, steepest[1], which[1], slowest[1] * 1e3);
    fflush(stdout);
    return bad;
}

static void tokenizers(void **unused)
{
    (void)unused;
    mlxe_error err;
    buf text = {0};
    json_doc *doc = NULL;
    const json *key, *row;
    int bad = 0, rows = 0;
    if (fs_read(FOLDER "index.json", 0, &text, &err) ||
        json_parse("index.json", buf_str(&text), text.n, &doc, &err))
        fail_msg("%s", err.message);
    printf("steepest slope of %d texts, 64 KB to 1 MB, and the slowest MB\n", N_TEXTS);
    json_iter it = json_iterate(json_get(json_root(doc), "files"));
    while (json_next(&it, &key, &row)) {
        strv name = json_str(json_get(row, "name"));
        char path[400], shown[40];
        tok *t = NULL;
        if (strv_starts(name, STRV("drawn_")))
            continue; /* options at random: the kinds are above */
        snprintf(path, sizeof path, FOLDER "%.*s.json", (int)name.n, name.p);
        snprintf(shown, sizeof shown, "%.*s", (int)name.n, name.p);
        buf_clear(&text);
        if (fs_read(path, 0, &text, &err) || tok_open(path, buf_str(&text), text.n, &t, &err))
            fail_msg("%s", err.message);
        bad += measure(shown, t);
        rows++;
        tok_close(t);
    }
    json_close(doc);
    buf_deinit(&text);
    assert_true(rows >= 30);
    assert_int_equal(bad, 0);
}

/* ---- templates ------------------------------------------------------------------------------- */

typedef struct one_template {
    const char *name, *source;
    const char *unit; /* of the one message's content; NULL: n / 1024 messages */
} one_template;

static double render(const void *what, size_t n)
{
    const one_template *x = what;
    mlxe_error err;
    buf request = {0}, content = {0}, out = {0};
    json_doc *doc = NULL;
    tmpl *t = NULL;
    buf_add_str(&request, "{\"add_generation_prompt\":true,\"messages\":[");
    for (size_t i = 0; i < (x->unit ? 1 : n / 1024); i++) {
        if (i) buf_add_str(&request, ",");
        buf_addf(&request, "{\"role\":\"%s\",\"content\":", i % 2 ? "assistant" : "user");
        fill(&content, x->unit ? x->unit : "some words ", x->unit ? n : 60);
        json_write_str(&request, buf_view(&content));
        buf_add_str(&request, "}");
    }
    buf_add_str(&request, "]}");
    assert_int_equal(json_parse("request", buf_str(&request), request.n, &doc, &err), MLXE_OK);
    if (tmpl_open("template", strv_of(x->source), &t, &err)) fail_msg("%s", err.message);
    double from = seconds();
    mlxe_status rc = tmpl_render(t, json_root(doc), &out, &err);
    double spent = seconds() - from;
    if (rc) fail_msg("%s: %s", x->name, err.message);
    tmpl_close(t);
    json_close(doc);
    buf_deinit(&request);
    buf_deinit(&content);
    buf_deinit(&out);
    return spent;
}

#define EACH(body) "{% for m in messages %}" body "{% endfor %}"
static const one_template TEMPLATES[] = {
    {"history", EACH("<|im_start|>{{ m.role }}\n{{ m.content | trim }}<|im_end|>\n"), NULL},
    {"history, joined",
     "{% set ns = namespace(t='') %}" EACH(
         "{% set ns.t = m.role %}") "{{ ns.t }}"
                                    "{{ messages | map(attribute='content') | join('|') }}",
     NULL},
    {"trim", EACH("{{ m.content | trim }}{{ m.content.strip() }}"), " "},
    {"tojson", EACH("{{ m.content | tojson }}"), "\x01<\""},
    {"replace", EACH("{{ m.content | replace('a', 'bc') }}"), "a"},
    {"split", EACH("{{ m.content.split('</think>')[-1] }}{{ m.content.split('a') | length }}"),
     "a"},
    {"find", EACH("{{ 'aaab' in m.content }}{{ m.content.find('aaab') }}"), "aaa"},
    {"escape", EACH("{{ m.content | e }}{{ m.content | striptags }}"), "<b>"},
    {"cut", EACH("{{ m.content[5:-5] }}{{ m.content[::-1] | length }}{{ m.content | length }}"),
     "\xC3\xA9"},
    {"upper", EACH("{{ m.content | upper }}{{ m.content | title }}"), "\xCC\x81g "},
    {"indent", EACH("{{ m.content | indent(2) }}{{ m.content.splitlines() | length }}"), "\n"},
    {"wordwrap", EACH("{{ m.content | wordwrap(10) | length }}"), "ab c "},
};

static void templates(void **unused)
{
    (void)unused;
    int bad = 0;
    for (size_t i = 0; i < sizeof TEMPLATES / sizeof *TEMPLATES; i++) {
        double last, slope = slope_of(render, &TEMPLATES[i], &last);
        printf("template %-16s %.2f, %.1f ms\n", TEMPLATES[i].name, slope, last * 1e3);
        bad += slope >= SLOPE_MOST;
    }
    assert_int_equal(bad, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tokenizers), cmocka_unit_test(templates)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
