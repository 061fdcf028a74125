/* fuzz_tokenizer_files.c: any bytes as the file of a tokenizer without tokenizer.json: opened or
 * refused with a message; what opens encodes and decodes without harm. The first byte picks the
 * file and the settings beside it; from 192 on there is a tokenizer.json, or it is the file. */
#include "base/fs.h"
#include "text/tok.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char *const FILES[] = {
    "tokenizer.model",  "tekken.json",           "vocab.txt",      "merges.txt",
    "vocab.json",       "tokenizer_config.json", "tokenizer.json", "special_tokens_map.json",
    "added_tokens.json"};
static const char *const CONFIGS[] = {
    "{}",
    "{\"tokenizer_class\":\"LlamaTokenizer\",\"add_bos_token\":true,\"legacy\":true}",
    "{\"tokenizer_class\":\"GemmaTokenizer\",\"additional_special_tokens\":[\"<x>\"]}",
    "{\"tokenizer_class\":\"T5Tokenizer\",\"extra_ids\":3}",
    "{\"tokenizer_class\":\"XLMRobertaTokenizer\"}",
    "{\"tokenizer_class\":\"RobertaTokenizer\"}",
    "{\"tokenizer_class\":\"Qwen2Tokenizer\",\"added_tokens_decoder\":{\"9\":{\"content\":\"y\"}}}",
    "{\"tokenizer_class\":\"MPNetTokenizer\",\"do_lower_case\":false}"};

enum { FIRST_BESIDE = 5 }; /* of FILES: those that may lie beside a tokenizer.json, or are it */
static const char SMALL[] =
    "{\"added_tokens\":[{\"id\":3,\"content\":\"<x>\",\"special\":true,\"single_word\":false,"
    "\"lstrip\":true,\"rstrip\":false,\"normalized\":false}],\"post_processor\":{\"type\":"
    "\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true},\"model\":{\"type\":\"BPE\","
    "\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]}}";

static void put(const char *folder, const char *name, const void *bytes, size_t n)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, n, f) != n) abort();
    fclose(f);
}

static void drive(const tok *t)
{
    static const char text[] = " Hello,  world\xE2\x96\x81 \xE4\xBD\xA0\n<x>a<s> \xF0\x9F\x91\x8D";
    mlxe_error err;
    tok_ids ids = {0};
    buf out = {0};
    if (tok_encode(t, STRV(text), strv_of("b"), TOK_ADD_SPECIAL, &ids, &err) && !err.message[0])
        abort();
    for (size_t i = 0; i < ids.n; i++)
        if (tok_decode(t, &ids.tokens[i].id, 1, 0, &out, &err) && !err.message[0]) abort();
    tok_ids_deinit(&ids);
    buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static char folder[] = "/tmp/mlxe-fuzz-XXXXXX";
    static int made;
    mlxe_error err;
    char path[200];
    tok *t;
    if (n == 0) return 0;
    if (!made && !mkdtemp(folder)) abort();
    made = 1;
    int beside = data[0] >= 192, which = beside ? FIRST_BESIDE + data[0] % 4 : data[0] % 6;
    const char *config = CONFIGS[data[0] / 8 % 8];
    put(folder, "tokenizer_config.json", config, strlen(config));
    if (beside) put(folder, "tokenizer.json", SMALL, sizeof SMALL - 1);
    if (which == 3) put(folder, "vocab.json", "{\"a\":0,\"b\":1,\"ab\":2}", 21);
    if (which == 4) put(folder, "merges.txt", "#version: 0.2\na b\n", 18);
    if (which == 5 && !beside) put(folder, "vocab.txt", "[UNK]\na\nb\n##b\n", 14);
    put(folder, FILES[which], data + 1, n - 1);
    if (tok_open_folder(folder, &t, &err)) {
        if (t || err.message[0] == 0) abort();
    } else {
        drive(t);
        tok_close(t);
    }
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, FILES[i]);
        remove(path);
    }
    snprintf(path, sizeof path, "%s/vocab.txt", folder);
    remove(path);
    return 0;
}
