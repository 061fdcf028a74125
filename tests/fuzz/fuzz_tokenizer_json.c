/* fuzz_tokenizer_json.c: any bytes as tokenizer.json: opened or refused with a message; what opens
 * encodes and decodes without harm, and a stream says what decoding at once says. */
#include "text/tok.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char *const TEXTS[] = {
    "",
    "a",
    " Hello, world! 123",
    "<s>the</s> <mask>  x",
    "e\xCC\x81\xCC\xA3 \xEA\xB0\x80\xC3\x9F",
    "\xE4\xBD\xA0\xE5\xA5\xBD\r\n\n\t\xF0\x9F\x91\x8D\xF0\x9F\x8F\xBD \xE2\x80\x8D\xEF\xBF\xBD"};

static void drive(const tok *t, strv text, strv pair, unsigned flags)
{
    mlxe_error err;
    tok_ids ids = {0};
    buf whole = {0}, streamed = {0};
    tok_stream *s = NULL;
    if (tok_encode(t, text, pair, flags, &ids, &err) != MLXE_OK) {
        if (err.message[0] == 0) abort();
        goto out;
    }
    int32_t *list = malloc((ids.n + 1) * sizeof *list);
    for (size_t i = 0; list && i < ids.n; i++) {
        const mlxe_token *k = &ids.tokens[i];
        if (k->begin > k->end || (k->end > text.n && k->end > pair.n)) abort();
        list[i] = k->id;
    }
    if (list && tok_decode(t, list, ids.n, flags & 1, &whole, &err) == MLXE_OK &&
        tok_stream_open(t, flags & 1, &s, &err) == MLXE_OK) {
        for (size_t i = 0; i < ids.n; i++)
            if (tok_stream_push(s, list[i], &streamed, &err)) abort();
        if (tok_stream_finish(s, &streamed, &err)) abort();
        if (!strv_eq(buf_view(&whole), buf_view(&streamed))) abort();
    }
    free(list);
out:
    tok_stream_close(s);
    tok_ids_deinit(&ids);
    buf_deinit(&whole);
    buf_deinit(&streamed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    mlxe_error err;
    tok *t;
    if (tok_open("tokenizer.json", (const char *)data, n, &t, &err)) {
        if (t || err.message[0] == 0) abort();
        return 0;
    }
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        strv text = strv_of(TEXTS[i]), pair = strv_of(TEXTS[(i + 2) % 6]);
        drive(t, text, i % 2 ? pair : strv_from(NULL, 0), (unsigned)i % 8);
    }
    tok_close(t);
    return 0;
}
