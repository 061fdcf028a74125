/* bench_tokenizer.c: the tokenizer's own speed: opening, encoding, decoding, hostile texts.
 *
 *   bench_tokenizer FOLDER [TEXT]   FOLDER: a tokenizer; TEXT: documents, parted by U+0000
 *
 * Times are CPU seconds of this thread, the least of several passes. Without TEXT only opening and
 * hostile texts are timed. bench/text/compare.py calls it in turn with the tokenizers package. */
#include "base/fs.h"
#include "text/tok.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int fail(const mlxe_error *err)
{
    fprintf(stderr, "bench_tokenizer: %s\n", err->message);
    return 1;
}

static int time_open(const char *folder, tok **out)
{
    mlxe_error err;
    double best = 1e9;
    *out = NULL;
    for (int pass = 0; pass < 7; pass++) {
        double from = now();
        tok_close(*out);
        double closed = now();
        if (tok_open_folder(folder, out, &err)) return fail(&err);
        double spent = now() - closed;
        if (spent < best) best = spent;
        (void)from;
    }
    printf("open %.1f ms\n", best * 1e3);
    return 0;
}

/* All documents once. -> seconds; ids: appended */
static int encode_all(const tok *t, strv text, tok_ids *ids, double *seconds)
{
    mlxe_error err;
    double from = now();
    ids->n = 0;
    while (text.n > 0) {
        const char *end = memchr(text.p, 0, text.n);
        size_t n = end ? (size_t)(end - text.p) : text.n;
        if (tok_encode(t, strv_from(text.p, n), strv_from(NULL, 0), TOK_NO_TRUNCATION, ids, &err))
            return fail(&err);
        text.p += n + (end != NULL);
        text.n -= n + (end != NULL);
    }
    *seconds = now() - from;
    return 0;
}

static int time_text(const tok *t, strv text)
{
    mlxe_error err;
    tok_ids ids = {0};
    double best = 1e9, spent = 0;
    buf out = {0};
    for (int pass = 0; pass < 3; pass++) {
        if (encode_all(t, text, &ids, &spent)) return 1;
        if (spent < best) best = spent;
    }
    printf("encode %.4f s %.2f MB/s %zu tokens\n", best, (double)text.n * 1e-6 / best, ids.n);
    tok_stream *s;
    if (tok_stream_open(t, 0, &s, &err)) return fail(&err);
    double from = now();
    for (size_t i = 0; i < ids.n; i++) {
        buf_clear(&out);
        if (tok_stream_push(s, ids.tokens[i].id, &out, &err)) return fail(&err);
    }
    printf("detokenize %.3f us/token\n", (now() - from) * 1e6 / (double)(ids.n ? ids.n : 1));
    tok_stream_close(s);
    tok_ids_deinit(&ids);
    buf_deinit(&out);
    return 0;
}

/* Texts that make a careless tokenizer quadratic: seconds at doubling sizes, up to 1 MB. */
static int time_hostile(const tok *t)
{
    static const struct {
        const char *name, *unit;
    } rows[] = {
        {"letters", "a"}, {"spaces", " "}, {"newlines", "\n"},      {"marks", "\xCC\x81"},
        {"digits", "7"},  {"dots", "."},   {"han", "\xE4\xB8\xAD"}, {"emoji", "\xF0\x9F\x91\x8D"}};
    mlxe_error err;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        strv unit = strv_of(rows[i].unit);
        buf text = {0};
        printf("hostile %-9s", rows[i].name);
        for (size_t bytes = 1 << 17; bytes <= 1 << 20; bytes *= 2) {
            tok_ids ids = {0};
            while (text.n + unit.n <= bytes)
                buf_add_strv(&text, unit);
            double from = now();
            if (tok_encode(t, buf_view(&text), strv_from(NULL, 0), 0, &ids, &err))
                printf(" (%s)", err.message);
            printf(" %.1f", (now() - from) * 1e3);
            tok_ids_deinit(&ids);
        }
        printf(" ms at 128 KB to 1 MB\n");
        buf_deinit(&text);
    }
    return 0;
}

int main(int argc, char **argv)
{
    mlxe_error err;
    tok *t;
    buf text = {0};
    if (argc < 2) return fprintf(stderr, "usage: bench_tokenizer FOLDER [TEXT]\n"), 2;
    int rc = time_open(argv[1], &t);
    if (!rc && argc > 2) {
        if (fs_read(argv[2], 0, &text, &err)) return fail(&err);
        rc = time_text(t, buf_view(&text));
    }
    if (!rc && argc < 3) rc = time_hostile(t);
    tok_close(t);
    buf_deinit(&text);
    return rc;
}
