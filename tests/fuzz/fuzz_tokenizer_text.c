/* fuzz_tokenizer_text.c: any text through fixed tokenizers of each model kind. The first byte takes
 * the tokenizer and the flags, a NUL splits text and pair. Offsets stay inside of the text and at
 * characters, ids inside of the vocabulary; byte-level ids decode to the text itself. */
#include "text/tok.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define ADDED(id, text, flags, special)                                                            \
    "{\"id\":" id ",\"content\":\"" text "\"," flags ",\"special\":" special "}"
#define PLAIN  "\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false"
#define STRIPS "\"single_word\":true,\"lstrip\":true,\"rstrip\":true,\"normalized\":true"
#define TOKENS                                                                                     \
    "\"added_tokens\":[" ADDED("90", "<s>", PLAIN, "true") "," ADDED("91", "the", STRIPS,          \
                                                                     "false") "],"

static const char *const JSON[] = {
    /* Llama 3's cut on a few merges */
    "{" TOKENS "\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":\"Sequence\","
    "\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(?i:'s|'t|'re|'ve|'m|'ll|'d)|"
    "[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}{1,3}| "
    "?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|"
    "\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+\"},\"behavior\":\"Isolated\",\"invert\":false},"
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":false}]"
    "},\"post_processor\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true},"
    "\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,"
    "\"c\":2,\"\xC4\xA0\":3,\"aa\":4,\"aaaa\":5,\"ab\":6,\"\xC4\xA0"
    "a\":7,\"\xC3\x83\":8,"
    "\"\xC2\xA9\":9,\"\xC3\x83\xC2\xA9\":10,\"1\":11,\"11\":12},\"merges\":[\"a a\",\"aa aa\","
    "[\"a\",\"b\"],\"\xC4\xA0 a\",\"\xC3\x83 \xC2\xA9\",\"1 1\"]}}",
    /* Llama 2 */
    "{" TOKENS "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\","
    "\"prepend\":\"\xE2\x96\x81\"},{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},"
    "\"content\":\"\xE2\x96\x81\"}]},\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":"
    "\"Replace\",\"pattern\":{\"String\":\"\xE2\x96\x81\"},\"content\":\" \"},{\"type\":"
    "\"ByteFallback\"},{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":\" \",\"start\":1,"
    "\"stop\":0}]},\"model\":{\"type\":\"BPE\",\"unk_token\":\"<unk>\",\"fuse_unk\":true,"
    "\"byte_fallback\":true,\"vocab\":{\"<unk>\":0,\"<0x41>\":1,\"<0xC3>\":2,\"<0xA9>\":3,"
    "\"\xE2\x96\x81\":4,\"a\":5,\"b\":6,\"ab\":7,\"\xE2\x96\x81"
    "ab\":8,\"<0x0A>\":9},\"merges\":["
    "[\"a\",\"b\"],[\"\xE2\x96\x81\",\"ab\"]]}}",
    /* Unigram, every normalisation that moves characters */
    "{" TOKENS
    "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Nmt\"},{\"type\":"
    "\"NFKD\"},{\"type\":\"StripAccents\"},{\"type\":\"Lowercase\"},{\"type\":\"NFC\"},{\"type\":"
    "\"Strip\",\"strip_left\":true,\"strip_right\":true}]},\"pre_tokenizer\":{\"type\":"
    "\"Metaspace\","
    "\"replacement\":\"\xE2\x96\x81\",\"prepend_scheme\":\"first\",\"split\":true},\"decoder\":{"
    "\"type\":\"Metaspace\",\"replacement\":\"\xE2\x96\x81\",\"prepend_scheme\":\"first\"},"
    "\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"byte_fallback\":true,\"vocab\":[[\"<unk>\",0],"
    "[\"\xE2\x96\x81\",-2],[\"a\",-3],[\"b\",-3.5],[\"ab\",-4],[\"aaa\",-5],[\"\xE2\x96\x81"
    "the\",-6],[\"<0x41>\",-9],[\"<0xC3>\",-9],[\"<0xA9>\",-9]]}}",
    /* BERT */
    "{" TOKENS "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,"
    "\"handle_chinese_chars\":true,\"strip_accents\":null,\"lowercase\":true},\"pre_tokenizer\":{"
    "\"type\":\"BertPreTokenizer\"},\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\","
    "\"cleanup\":true},\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\","
    "\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":30,\"vocab\":{\"[UNK]\":0,"
    "\"a\":1,\"##a\":2,\"##b\":3,\"ab\":4,\".\":5,\"##\xC3\xA9\":6}}}",
};
enum { KINDS = sizeof JSON / sizeof *JSON };

static int whole(strv text, uint64_t at)
{
    return at <= text.n && (at == text.n || ((unsigned char)text.p[at] & 0xC0) != 0x80);
}

static void check(const tok *t, strv text, strv pair, unsigned flags)
{
    mlxe_error err;
    tok_ids ids = {0};
    buf whole_text = {0}, streamed = {0};
    tok_stream *s = NULL;
    if (tok_encode(t, text, pair, flags, &ids, &err)) {
        if (err.code != MLXE_E_INPUT) abort();
        return;
    }
    int32_t *list = malloc((ids.n + 1) * sizeof *list);
    for (size_t i = 0; list && i < ids.n; i++) {
        const mlxe_token *k = &ids.tokens[i];
        strv of = k->type_id ? pair : text;
        if (k->begin > k->end || !whole(of, k->begin) || !whole(of, k->end)) abort();
        if (k->id < 0 || k->id >= tok_size(t)) abort();
        list[i] = k->id;
    }
    if (!list || tok_decode(t, list, ids.n, 0, &whole_text, &err)) abort();
    if (tok_stream_open(t, 0, &s, &err)) abort();
    for (size_t i = 0; i < ids.n; i++)
        if (tok_stream_push(s, list[i], &streamed, &err)) abort();
    if (tok_stream_finish(s, &streamed, &err)) abort();
    if (!strv_eq(buf_view(&whole_text), buf_view(&streamed))) abort();
    tok_stream_close(s);
    free(list);
    tok_ids_deinit(&ids);
    buf_deinit(&whole_text);
    buf_deinit(&streamed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static tok *open[KINDS];
    mlxe_error err;
    for (int i = 0; i < KINDS && !open[KINDS - 1]; i++)
        if (tok_open("fixed", JSON[i], strlen(JSON[i]), &open[i], &err)) abort();
    if (n < 1) return 0;
    strv text = strv_from((const char *)data + 1, n - 1), pair = {NULL, 0};
    const char *nul = data[0] & 0x80 ? memchr(text.p, 0, text.n) : NULL;
    if (nul) {
        pair = strv_from(nul + 1, text.n - (size_t)(nul - text.p) - 1);
        text.n = (size_t)(nul - text.p);
    }
    check(open[data[0] % KINDS], text, pair, data[0] >> 2 & 7);
    return 0;
}
