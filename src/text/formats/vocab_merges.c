/* vocab_merges.c: vocab.json and merges.txt: byte-level BPE as GPT-2 left it.
 *
 *   vocab.json  {"token": id}          merges.txt  lines "left right", a "#version" line
 *
 * How a text is cut follows from the class: GPT-2's pattern, Qwen2's (with NFC), CLIP's words. A
 * class that is not known is refused: the files do not say.
 *
 * Source: transformers 5.23, models/{gpt2,qwen2,roberta,clip}. */
#include "text/tok_files.h"

#include "base/fs.h"

#include <stdlib.h>

#define QWEN2                                                                                      \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|"                           \
    " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define END "<|endoftext|>"

enum { CLASS_GPT2, CLASS_QWEN2, CLASS_ROBERTA, CLASSES };
static const tok_class ROWS[CLASSES] = {
    [CLASS_GPT2] = {.names = "GPT2Tokenizer CodeGenTokenizer GPTNeoXTokenizer",
                    .roles = {END, END, END}},
    [CLASS_QWEN2] = {.names = "Qwen2Tokenizer", .roles = {NULL, END, END, NULL, END}},
    [CLASS_ROBERTA] =
        {.names = "RobertaTokenizer BartTokenizer LongformerTokenizer LEDTokenizer MvpTokenizer",
         .roles = {"<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>"}},
};

static int takes(tok_files *f)
{
    return tok_files_has(f, "merges.txt") && tok_files_has(f, "vocab.json");
}

static mlxe_status read_vocab(tok_files *f, const json *root, mlxe_error *err)
{
    tok_reader r = {&f->mem, buf_str(&f->path), err};
    const json *key, *value;
    mlxe_status rc = tok_vocab_init(&r, &f->vocab, json_len(root));
    json_iter it = json_iterate(root);
    while (rc == MLXE_OK && json_next(&it, &key, &value)) {
        int64_t id = json_int(value);
        if (!json_is(value, JSON_INT) || id < 0 || id > INT32_MAX - 1)
            rc = tok_corrupt(&r, "a token's id is no id");
        else
            rc = tok_files_add(f, json_str(key), (int32_t)id, err);
    }
    return rc ? rc : tok_vocab_finish(&r, &f->vocab);
}

static mlxe_status write_merges(strv in, buf *out, const char *where, mlxe_error *err)
{
    size_t n = 0, number = 0;
    buf_add_str(out, ",\"merges\":[");
    while (in.n > 0) {
        const char *end = memchr(in.p, '\n', in.n);
        strv line = strv_from(in.p, end ? (size_t)(end - in.p) : in.n);
        in = strv_from(in.p + line.n + (end != NULL), in.n - line.n - (end != NULL));
        number++;
        if (line.n && line.p[line.n - 1] == '\r') line.n--;
        if (strv_starts(line, STRV("#version")) || line.n == 0) continue;
        if (!utf8_valid(line))
            return err_set(err, MLXE_E_CORRUPT, "%s: line %zu is no UTF-8", where, number);
        if (n++) buf_add_char(out, ',');
        json_write_str(out, line);
    }
    buf_add_char(out, ']');
    return MLXE_OK;
}

static mlxe_status write_parts(const tok_files *f, int which, int prefix, buf *out)
{
    static const char *const words[] = {"false", "true"};
    if (which == CLASS_QWEN2) {
        buf_add_str(out, "\"normalizer\":{\"type\":\"NFC\"},");
        tok_write_byte_level(STRV(QWEN2), out);
    } else {
        buf_addf(out,
                 "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":%s,"
                 "\"trim_offsets\":true,\"use_regex\":true},\"decoder\":{\"type\":\"ByteLevel\","
                 "\"add_prefix_space\":true,\"trim_offsets\":true,\"use_regex\":true},",
                 words[prefix != 0]);
    }
    (void)f;
    return MLXE_OK;
}

static mlxe_status write_post(const tok_files *f, int which, int prefix, buf *out, mlxe_error *err)
{
    static const char *const words[] = {"false", "true"};
    int trim = 1;
    if (which != CLASS_ROBERTA) return tok_files_bos_eos(f, 0, 0, out, err);
    mlxe_status rc = tok_files_bool(f, "trim_offsets", &trim, err);
    if (rc) return rc;
    buf_add_str(out, "\"post_processor\":{\"type\":\"RobertaProcessing\",\"sep\":[");
    json_write_str(out, f->roles[ROLE_SEP]);
    buf_addf(out, ",%d],\"cls\":[", f->role_ids[ROLE_SEP]);
    json_write_str(out, f->roles[ROLE_CLS]);
    buf_addf(out, ",%d],\"trim_offsets\":%s,\"add_prefix_space\":%s}", f->role_ids[ROLE_CLS],
             words[trim != 0], words[prefix != 0]);
    return MLXE_OK;
}

static mlxe_status write(tok_files *f, buf *out, mlxe_error *err)
{
    json_doc *doc = NULL;
    buf merges = {0}, path = {0};
    int prefix = 0;
    const tok_class *row = tok_files_class(f, ROWS, CLASSES);
    if (!row) {
        err_set(err, MLXE_E_UNSUPPORTED,
                "%s: vocab.json and merges.txt of %.*s without tokenizer.json are not supported",
                f->folder, f->kind.n ? (int)f->kind.n : 16,
                f->kind.n ? f->kind.p : "an unknown class");
        err_hint(err, "save the tokenizer as tokenizer.json (transformers: save_pretrained)");
        return MLXE_E_UNSUPPORTED;
    }
    int which = (int)(row - ROWS);
    mlxe_status rc = tok_files_read_json(f, &doc, err);
    if (rc == MLXE_OK) rc = read_vocab(f, json_root(doc), err);
    if (rc == MLXE_OK) rc = fs_read(fs_join(&path, f->folder, "merges.txt"), 0, &merges, err);
    if (rc == MLXE_OK) rc = tok_files_bool(f, "add_prefix_space", &prefix, err);
    buf_add_str(out, "{\"model\":{\"type\":\"BPE\",\"vocab\":");
    json_write_value(out, json_root(doc));
    if (rc == MLXE_OK) rc = write_merges(buf_view(&merges), out, buf_str(&path), err);
    buf_add_str(out, "},");
    if (rc == MLXE_OK) rc = write_parts(f, which, prefix, out);
    if (rc == MLXE_OK) rc = tok_files_tokens(f, row, NULL, 0, out, err);
    buf_add_char(out, ',');
    if (rc == MLXE_OK) rc = write_post(f, which, prefix, out, err);
    buf_add_char(out, '}');
    json_close(doc);
    buf_deinit(&merges);
    buf_deinit(&path);
    return rc;
}

const struct tok_format tok_format_vocab_merges = {4, takes, write};
