/* vocab_merges.c: vocab.json and merges.txt: BPE as GPT-2 left it.
 *
 *   vocab.json  {"token": id}          merges.txt  lines "left right", a "#version" line
 *
 * How a text is cut follows from the class (ROWS). A class that is not known is refused: the files
 * do not say.
 *
 * Traps: CLIP's decoded text is stripped by transformers outside of the decoder: here one space at
 * each end is.
 * Source: transformers 5.23, models/NAME/tokenization_NAME.py. */
#include "text/tok_files.h"

#include "base/fs.h"

#include <stdio.h>
#include <stdlib.h>

#define QWEN2                                                                                      \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|"                           \
    " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define QWEN35                                                                                     \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}|"                   \
    " ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define END "<|endoftext|>"
#define FAIRSEQ_ROLES                                                                              \
    {                                                                                              \
        "<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>"                                   \
    }

#define NFC                 "{\"type\":\"NFC\"}"
#define REPLACE(a, b)       "{\"type\":\"Replace\",\"pattern\":{" a "},\"content\":\"" b "\"}"
#define SEQUENCE(of, items) "{\"type\":\"Sequence\",\"" of "\":[" items "]}"
#define BERT(lower, accents)                                                                       \
    "{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,"              \
    "\"strip_accents\":" accents ",\"lowercase\":" lower "}"
/* A minus stands where add_prefix_space does. */
#define BYTES                                                                                      \
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":-,\"trim_offsets\":true,\"use_regex\":true}"
#define BYTES_BACK                                                                                 \
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true,\"use_regex\":true}"
#define CLIP_WORDS                                                                                 \
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"<\\\\|startoftext\\\\|>|<\\\\|endoftext\\\\|>|"  \
    "'s|'t|'re|'ve|'m|'ll|'d|[\\\\p{L}]+|[\\\\p{N}]|[^\\\\s\\\\p{L}\\\\p{N}]+\"},"                 \
    "\"behavior\":\"Removed\",\"invert\":true}"
#define WORDS      "{\"type\":\"BertPreTokenizer\"}"
#define WORDS_BACK "{\"type\":\"BPEDecoder\",\"suffix\":\"</w>\"}"

enum { POST_BOS_EOS, POST_ROBERTA, POST_CLIP, POST_HERBERT, POST_TEMPLATE };

typedef struct style {
    const char *normalizer, *cut, *back; /* NULL: no normalizer; cut by the pattern */
    const char *pattern;                 /* as tok_write_byte_level */
    int prefix;                          /* add_prefix_space where the settings do not say */
    int words; /* tokens that end a word end with </w>; unk_token counts */
    int post;
} style;

enum {
    CLASS_GPT2,
    CLASS_NEOX,
    CLASS_QWEN2,
    CLASS_QWEN35,
    CLASS_COHERE,
    CLASS_ROBERTA,
    CLASS_BLENDERBOT,
    CLASS_DEBERTA,
    CLASS_CLIP,
    CLASS_OPENAI,
    CLASS_HERBERT,
    CLASSES
};
static const tok_class ROWS[CLASSES] = {
    [CLASS_GPT2] = {.names = "GPT2Tokenizer CodeGenTokenizer", .roles = {END, END, END}},
    [CLASS_NEOX] = {.names = "GPTNeoXTokenizer",
                    .roles = {END, END, END, NULL, "<|padding|>"},
                    .own_post = OWN_POST},
    [CLASS_QWEN2] = {.names = "Qwen2Tokenizer",
                     .roles = {NULL, END, END, NULL, END},
                     .readds = READDS_TEXTS},
    [CLASS_QWEN35] = {.names = "Qwen3_5Tokenizer", .roles = {NULL, END, END, NULL, END}},
    [CLASS_COHERE] = {.names = "CohereTokenizer",
                      .roles = {"<BOS_TOKEN>", "<|END_OF_TURN_TOKEN|>", "<UNK>", "<SEP>", "<PAD>",
                                "<CLS>", "<MASK_TOKEN>"},
                      .readds = READDS_TOKENS},
    [CLASS_ROBERTA] =
        {.names = "RobertaTokenizer BartTokenizer LongformerTokenizer LEDTokenizer MvpTokenizer",
         .roles = FAIRSEQ_ROLES,
         .own_post = OWN_POST},
    [CLASS_BLENDERBOT] = {.names = "BlenderbotTokenizer", .roles = FAIRSEQ_ROLES, .mask = "lr"},
    [CLASS_DEBERTA] = {.names = "DebertaTokenizer",
                       .roles = {"[CLS]", "[SEP]", "[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"},
                       .own_post = OWN_POST},
    [CLASS_CLIP] = {.names = "CLIPTokenizer",
                    .roles = {"<|startoftext|>", END, END, NULL, END},
                    .own_post = OWN_POST},
    [CLASS_OPENAI] = {.names = "OpenAIGPTTokenizer", .roles = {NULL, NULL, "<unk>"}},
    [CLASS_HERBERT] = {.names = "HerbertTokenizer",
                       .roles = {NULL, NULL, "<unk>", "</s>", "<pad>", "<s>", "<mask>"},
                       .own_post = OWN_POST},
};
static const style STYLES[CLASSES] = {
    [CLASS_GPT2] = {.cut = BYTES, .back = BYTES_BACK},
    [CLASS_NEOX] = {.normalizer = NFC, .cut = BYTES, .back = BYTES_BACK},
    [CLASS_QWEN2] = {.normalizer = NFC, .pattern = QWEN2},
    [CLASS_QWEN35] = {.normalizer = NFC, .pattern = QWEN35},
    [CLASS_COHERE] = {.normalizer = NFC,
                      .cut = SEQUENCE("pretokenizers",
                                      "{\"type\":\"Digits\",\"individual_digits\":true}," BYTES),
                      .back = BYTES_BACK},
    [CLASS_ROBERTA] = {.cut = BYTES, .back = BYTES_BACK, .post = POST_ROBERTA},
    [CLASS_BLENDERBOT] = {.cut = BYTES, .back = BYTES_BACK, .prefix = 1},
    [CLASS_DEBERTA] = {.cut = BYTES, .back = BYTES_BACK, .post = POST_TEMPLATE},
    [CLASS_CLIP] = {.normalizer =
                        SEQUENCE("normalizers", NFC "," REPLACE("\"Regex\":\"\\\\s+\"",
                                                                " ") ",{\"type\":\"Lowercase\"}"),
                    .cut = SEQUENCE("pretokenizers", CLIP_WORDS "," BYTES),
                    .back = SEQUENCE(
                        "decoders", BYTES_BACK
                        "," REPLACE("\"String\":\"</w>\"",
                                    " ") ",{\"type\":\"Strip\",\"content\":\" \",\"start\":1,"
                                         "\"stop\":1}"),
                    .words = 1,
                    .post = POST_CLIP},
    [CLASS_OPENAI] = {.normalizer = BERT("true", "null"),
                      .cut = WORDS,
                      .back = WORDS_BACK,
                      .words = 1},
    [CLASS_HERBERT] = {.normalizer = BERT("false", "false"),
                       .cut = WORDS,
                       .back = WORDS_BACK,
                       .words = 1,
                       .post = POST_HERBERT},
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

static void write_parts(const style *how, int prefix, buf *out)
{
    if (how->normalizer) buf_addf(out, "\"normalizer\":%s,", how->normalizer);
    if (how->pattern) {
        tok_write_byte_level(strv_of(how->pattern), prefix, out);
        return;
    }
    buf_add_str(out, "\"pre_tokenizer\":");
    for (const char *p = how->cut; *p; p++) {
        if (p[0] == ':' && p[1] == '-') {
            buf_add_str(out, prefix ? ":true" : ":false");
            p++;
        } else {
            buf_add_char(out, *p);
        }
    }
    buf_addf(out, ",\"decoder\":%s,", how->back);
}

static mlxe_status write_post(const tok_files *f, const style *how, int prefix, buf *out,
                              mlxe_error *err)
{
    static const char *const words[] = {"false", "true"};
    char options[80];
    int trim = 1, sep = ROLE_SEP, cls = ROLE_CLS;
    mlxe_status rc = MLXE_OK;
    switch (how->post) {
    case POST_BOS_EOS:
        return tok_files_bos_eos(f, 0, 0, out, err);
    case POST_TEMPLATE:
        tok_files_template(f, "cls $A sep", "cls $A sep sep $B sep", out);
        return MLXE_OK;
    case POST_HERBERT: /* numbers, whatever the vocabulary says */
        tok_files_two_ends(f, "BertProcessing", ROLE_SEP, 2, ROLE_CLS, 0, "", out);
        return MLXE_OK;
    case POST_CLIP:
        sep = ROLE_EOS;
        cls = ROLE_BOS;
        trim = prefix = 0;
        break;
    default:
        rc = tok_files_bool(f, "trim_offsets", &trim, err);
        break;
    }
    snprintf(options, sizeof options, ",\"trim_offsets\":%s,\"add_prefix_space\":%s",
             words[trim != 0], words[prefix != 0]);
    tok_files_two_ends(f, "RobertaProcessing", sep, f->role_ids[sep], cls, f->role_ids[cls],
                       options, out);
    return rc;
}

/* With </w> at the end of words; the unknown token is one that the settings or the class name. */
static void write_words(const tok_files *f, const tok_class *class, buf *out)
{
    buf_add_str(out, ",\"end_of_word_suffix\":\"</w>\",\"unk_token\":");
    json_write_str(out, tok_files_role_text(f, ROLE_UNK, strv_of(class->roles[ROLE_UNK])));
}

static mlxe_status read_prefix(const tok_files *f, const style *how, int *out, mlxe_error *err)
{
    *out = how->prefix;
    return how->post == POST_CLIP ? MLXE_OK : tok_files_bool(f, "add_prefix_space", out, err);
}

static mlxe_status write(tok_files *f, buf *out, mlxe_error *err)
{
    json_doc *doc = NULL;
    buf merges = {0}, path = {0}, added = {0};
    const tok_class *row = tok_files_class(f, ROWS, CLASSES);
    if (!row) {
        err_set(err, MLXE_E_UNSUPPORTED,
                "%s: vocab.json and merges.txt of %.*s without tokenizer.json are not supported",
                f->folder, f->kind.n ? (int)f->kind.n : 16,
                f->kind.n ? f->kind.p : "an unknown class");
        err_hint(err, "save the tokenizer as tokenizer.json (transformers: save_pretrained)");
        return MLXE_E_UNSUPPORTED;
    }
    const style *how = &STYLES[row - ROWS];
    int prefix = 0;
    mlxe_status rc = tok_files_read_json(f, &doc, err);
    if (rc == MLXE_OK) rc = read_vocab(f, json_root(doc), err);
    if (rc == MLXE_OK) rc = fs_read(fs_join(&path, f->folder, "merges.txt"), 0, &merges, err);
    if (rc == MLXE_OK) rc = read_prefix(f, how, &prefix, err);
    if (rc == MLXE_OK) rc = tok_files_tokens(f, row, NULL, 0, &added, err);
    buf_add_str(out, "{\"model\":{\"type\":\"BPE\",\"vocab\":");
    json_write_value(out, json_root(doc));
    if (rc == MLXE_OK) rc = write_merges(buf_view(&merges), out, buf_str(&path), err);
    if (how->words) write_words(f, row, out);
    buf_add_str(out, "},");
    write_parts(how, prefix, out);
    buf_add_strv(out, buf_view(&added));
    if (rc == MLXE_OK && added.failed) rc = err_memory(err, "tokenizer", added.n);
    buf_add_char(out, ',');
    if (rc == MLXE_OK) rc = write_post(f, how, prefix, out, err);
    buf_add_char(out, '}');
    json_close(doc);
    buf_deinit(&merges);
    buf_deinit(&added);
    buf_deinit(&path);
    return rc;
}

/* ---- beside a tokenizer.json ----------------------------------------------------------------- */

static const tok_class *class_of(const tok_files *f) { return tok_files_class(f, ROWS, CLASSES); }

static mlxe_status rebuild_parts(tok_files *f, const json *file, buf *out, mlxe_error *err)
{
    const tok_class *row = class_of(f);
    const style *how = &STYLES[row - ROWS];
    int prefix = 0;
    mlxe_status rc = read_prefix(f, how, &prefix, err);
    (void)file;
    buf_add_str(out, "\"model\":{\"type\":\"BPE\"");
    if (how->words) write_words(f, row, out);
    buf_add_str(out, "},");
    write_parts(how, prefix, out);
    return rc;
}

static mlxe_status rebuild_post(tok_files *f, buf *out, mlxe_error *err)
{
    const style *how = &STYLES[class_of(f) - ROWS];
    int prefix = 0;
    mlxe_status rc = read_prefix(f, how, &prefix, err);
    if (how->post != POST_BOS_EOS) return rc ? rc : write_post(f, how, prefix, out, err);
    tok_files_template(f, "$A", "$A $B:1", out); /* add_bos_token does not count here */
    return rc;
}

static const tok_rebuild REBUILD = {class_of, rebuild_parts, NULL, rebuild_post};

const struct tok_format tok_format_vocab_merges = {4, takes, write, &REBUILD};
