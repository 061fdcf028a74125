/* test_tok_vectors.c: ids, byte offsets, type ids and decoded text equal those of the tokenizers
 * package on the committed vectors (tools/goldens/tokenizers/make_vectors.py says what they hold),
 * and a stream gives what decoding at once gives, whole characters only. */
#include "base/fs.h"
#include "base/json.h"
#include "text/tok.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define FOLDER MLXE_SOURCE_DIR "/tests/text/data/tok/"

static json_doc *read_json(const char *name, buf *text)
{
    mlxe_error err;
    json_doc *doc = NULL;
    char path[400];
    snprintf(path, sizeof path, FOLDER "%s", name);
    buf_clear(text);
    if (fs_read(path, 0, text, &err) || json_parse(path, buf_str(text), text->n, &doc, &err))
        fail_msg("%s", err.message);
    return doc;
}

/* The strings, as an array that can be indexed. */
static strv *read_strings(json_doc **doc, size_t *n)
{
    buf text = {0};
    const json *key, *item;
    *doc = read_json("strings.json", &text);
    strv *out = calloc(json_len(json_root(*doc)), sizeof *out);
    json_iter it = json_iterate(json_root(*doc));
    for (*n = 0; json_next(&it, &key, &item);)
        out[(*n)++] = json_str(item);
    buf_deinit(&text);
    return out;
}

static uint64_t fnv(uint64_t h, const void *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        h = (h ^ ((const unsigned char *)p)[i]) * 0x100000001B3u;
    return h;
}

/* All ids at once, and one by one: the same text, in pieces that are whole characters. */
static void decode(const tok *t, const tok_ids *ids, int skip, buf *out)
{
    mlxe_error err;
    tok_stream *s;
    buf joined = {0}, piece = {0};
    int32_t *list = calloc(ids->n + 1, sizeof *list);
    for (size_t i = 0; i < ids->n; i++)
        list[i] = ids->tokens[i].id;
    buf_clear(out);
    assert_int_equal(tok_decode(t, list, ids->n, skip, out, &err), MLXE_OK);
    assert_int_equal(tok_stream_open(t, skip, &s, &err), MLXE_OK);
    for (size_t i = 0; i <= ids->n; i++) {
        buf_clear(&piece);
        assert_int_equal(i < ids->n ? tok_stream_push(s, list[i], &piece, &err)
                                    : tok_stream_finish(s, &piece, &err),
                         MLXE_OK);
        if (piece.n) {
            assert_true(((unsigned char)piece.p[0] & 0xC0) != 0x80);
            buf_add_strv(&joined, buf_view(&piece));
        }
    }
    assert_true(strv_eq(buf_view(&joined), buf_view(out)));
    tok_stream_close(s);
    buf_deinit(&joined);
    buf_deinit(&piece);
    free(list);
}

static void check_full(const json *row, const tok_ids *ids, strv plain, const char *name)
{
    const json *key, *part[5] = {0}, *x;
    json_iter it = json_iterate(row);
    for (int i = 0; i < 5; i++)
        assert_true(json_next(&it, &key, &part[i]));
    int number = (int)json_int(part[0]);
    if (json_len(part[1]) != ids->n)
        fail_msg("%s, string %d: %zu ids, want %zu", name, number, ids->n, json_len(part[1]));
    it = json_iterate(part[1]);
    for (size_t i = 0; json_next(&it, &key, &x); i++)
        if (json_int(x) != ids->tokens[i].id)
            fail_msg("%s, string %d: id %zu is %d, want %d", name, number, i, ids->tokens[i].id,
                     (int)json_int(x));
    it = json_iterate(part[2]);
    for (size_t i = 0; json_next(&it, &key, &x); i++) {
        const mlxe_token *t = &ids->tokens[i / 2];
        int got = (int)(i % 2 ? t->end : t->begin);
        if (json_int(x) != got)
            fail_msg("%s, string %d: token %zu %s at %d, want %d", name, number, i / 2,
                     i % 2 ? "ends" : "begins", got, (int)json_int(x));
    }
    it = json_iterate(part[3]);
    for (size_t i = 0; json_next(&it, &key, &x); i++)
        assert_int_equal(json_int(x), ids->tokens[i].type_id);
    if (!strv_eq(plain, json_str(part[4])))
        fail_msg("%s, string %d: decodes to \"%.*s\"", name, number, (int)plain.n, plain.p);
}

static void check_tokenizer(const char *name, const strv *strings, size_t n)
{
    mlxe_error err;
    char file[300];
    buf text = {0}, plain = {0}, shorter = {0}, rows = {0};
    const json *key, *hash, *row;
    tok *t;
    snprintf(file, sizeof file, FOLDER "%s.json", name);
    assert_int_equal(fs_read(file, 0, &text, &err), MLXE_OK);
    if (tok_open(file, buf_str(&text), text.n, &t, &err)) fail_msg("%s", err.message);
    snprintf(file, sizeof file, "%s.vec", name);
    json_doc *doc = read_json(file, &text);
    json_iter hashes = json_iterate(json_get(json_root(doc), "hashes"));
    json_iter full = json_iterate(json_get(json_root(doc), "full"));
    int has_row = json_next(&full, &key, &row);
    size_t compared = 0;
    for (size_t i = 0; json_next(&hashes, &key, &hash); i++) {
        if (strv_is(json_str(hash), "-")) continue;
        tok_ids ids = {0};
        strv pair = i % 8 == 5 ? strings[(7 * i + 3) % n] : strv_from(NULL, 0);
        if (tok_encode(t, strings[i], pair, i % 3 == 1 ? 0 : TOK_ADD_SPECIAL, &ids, &err))
            fail_msg("%s, string %zu: %s", name, i, err.message);
        decode(t, &ids, 0, &plain);
        decode(t, &ids, 1, &shorter);
        json_iter first = json_iterate(row);
        const json *number = NULL;
        if (has_row && json_next(&first, &key, &number) && json_int(number) == (int64_t)i) {
            check_full(row, &ids, buf_view(&plain), name);
            has_row = json_next(&full, &key, &row);
        }
        buf_clear(&rows);
        for (size_t k = 0; k < ids.n; k++)
            buf_addf(&rows, "%d,%d,%d,%d;", ids.tokens[k].id, (int)ids.tokens[k].begin,
                     (int)ids.tokens[k].end, ids.tokens[k].type_id);
        uint64_t h = fnv(0xCBF29CE484222325u, rows.p, rows.n);
        h = fnv(h, plain.p, plain.n);
        h = fnv(h, "", 1);
        h = fnv(h, shorter.p, shorter.n);
        char hex[20];
        snprintf(hex, sizeof hex, "%llx", (unsigned long long)h);
        if (!strv_is(json_str(hash), hex))
            fail_msg("%s, string %zu differs: %s, decodes to \"%s\"", name, i, buf_str(&rows),
                     buf_str(&plain));
        compared++;
        tok_ids_deinit(&ids);
    }
    assert_true(compared >= 500);
    assert_false(has_row);
    json_close(doc);
    tok_close(t);
    buf_deinit(&text);
    buf_deinit(&plain);
    buf_deinit(&shorter);
    buf_deinit(&rows);
}

static void all_vectors(void **unused)
{
    (void)unused;
    buf text = {0};
    json_doc *strings_doc, *index = read_json("index.json", &text);
    size_t n, tokenizers = 0;
    strv *strings = read_strings(&strings_doc, &n);
    const json *key, *item;
    json_iter it = json_iterate(json_get(json_root(index), "files"));
    while (json_next(&it, &key, &item)) {
        char name[200];
        strv v = json_str(json_get(item, "name"));
        snprintf(name, sizeof name, "%.*s", (int)v.n, v.p);
        check_tokenizer(name, strings, n);
        tokenizers++;
    }
    assert_true(n >= 500);
    assert_true(tokenizers >= 60);
    print_message("%zu tokenizers, %zu strings\n", tokenizers, n);
    free(strings);
    json_close(strings_doc);
    json_close(index);
    buf_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_vectors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
