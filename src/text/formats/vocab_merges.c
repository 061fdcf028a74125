/* vocab_merges.c: vocab.json and merges.txt: BPE as GPT-2 left it.
 *
 *   vocab.json  {"token": id}          merges.txt  lines "left right", a "#version" line
 *
 * How a text is cut follows from the class (ROWS). A class that is not known is refused: the files
 * do not say.
 *
 * Traps: CLIP's decoded text is stripped by transformers outside of the decoder: here one space at
 * each end is.
 * Rows with beside_only are known beside a tokenizer.json alone: what they make of these files is
 * not looked at. ESMC has its vocabulary in itself.
 *
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
#define BYTES_FLAT                                                                                 \
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":true}"
#define BYTES_BACK                                                                                 \
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true,\"use_regex\":true}"
#define CLIP_WORDS                                                                                 \
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"<\\\\|startoftext\\\\|>|<\\\\|endoftext\\\\|>|"  \
    "'s|'t|'re|'ve|'m|'ll|'d|[\\\\p{L}]+|[\\\\p{N}]|[^\\\\s\\\\p{L}\\\\p{N}]+\"},"                 \
    "\"behavior\":\"Removed\",\"invert\":true}"
#define WORDS      "{\"type\":\"BertPreTokenizer\"}"
#define WORDS_BACK "{\"type\":\"BPEDecoder\",\"suffix\":\"</w>\"}"

#define SPLIT(text, behavior)                                                                      \
    "{\"type\":\"Split\",\"pattern\":{\"String\":\"" text "\"},\"behavior\":\"" behavior           \
    "\",\"invert\":false}"
/* Nougat's signs: meant as a regular expression, taken as a text. */
#define SIGNS                                                                                      \
    "[\\\\(\\\\)\\\\[\\\\]\\\\{\\\\}]|([!\\\\\\\"#\\\\$%\\\\&'\\\\*\\\\"                           \
    "+,\\\\-\\\\./:;<=>\\\\?\\\\\\\\\\\\^_`\\\\|\\\\~])\\\\1*"

enum {
    POST_BOS_EOS,
    POST_ROBERTA,
    POST_LAYOUT, /* the same without trim_offsets of the settings */
    POST_LUKE,   /* and without add_prefix_space */
    POST_CLIP,
    POST_HERBERT,
    POST_TEMPLATE,
    POST_NOUGAT, /* a template, and limits */
    POST_WHISPER
};

enum { WORDS_NOT, WORDS_UNK /* unk_token counts */, WORDS_END /* and words end with </w> */ };

typedef struct style {
    const char *normalizer, *cut, *back; /* NULL: no normalizer; cut by the pattern */
    const char *pattern;                 /* as tok_write_byte_level */
    int prefix;                          /* add_prefix_space where the settings do not say */
    int words;                           /* WORDS_.. */
    int post;
    const char *one, *two; /* of a template */
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
    CLASS_WHISPER,
    CLASS_LAYOUT,
    CLASS_LUKE,
    CLASS_MARKUP,
    CLASS_NOUGAT,
    CLASS_ESMC,
    CLASSES
};
static const char *const LUKE_TOKENS[][2] = {
    {"entity_1_token", "<ent>"},     {"entity_2_token", "<ent2>"},
    {"entity_unk_token", "[UNK]"},   {"entity_pad_token", "[PAD]"},
    {"entity_mask_token", "[MASK]"}, {"entity_mask2_token", "[MASK2]"}};
static const char *const ESMC_TOKENS[][2] = {{"chain_break_token", "|"}};
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
    [CLASS_WHISPER] = {.names = "WhisperTokenizer",
                       .roles = {END, END, END},
                       .own_post = OWN_POST,
                       .beside_only = 1},
    [CLASS_LAYOUT] = {.names = "LayoutLMv3Tokenizer",
                      .roles = FAIRSEQ_ROLES,
                      .own_post = OWN_POST,
                      .beside_only = 1},
    [CLASS_LUKE] = {.names = "LukeTokenizer",
                    .roles = FAIRSEQ_ROLES,
                    .own_list = OWN_LIST_BEHIND,
                    .own_post = OWN_POST,
                    .names_of = LUKE_TOKENS,
                    .n_names = sizeof LUKE_TOKENS / sizeof *LUKE_TOKENS,
                    .beside_only = 1},
    [CLASS_MARKUP] = {.names = "MarkupLMTokenizer",
                      .roles = FAIRSEQ_ROLES,
                      .mask = "l",
                      .objects = 1,
                      .own_post = OWN_POST,
                      .beside_only = 1},
    [CLASS_NOUGAT] = {.names = "NougatTokenizer",
                      .roles = {"<s>", "</s>", "<unk>", NULL, "<pad>"},
                      .own_post = OWN_POST,
                      .beside_only = 1},
    [CLASS_ESMC] = {.names = "EsmcTokenizer",
                    .roles = {"<cls>", "<eos>", "<unk>", NULL, "<pad>", "<cls>", "<mask>"},
                    .own_post = OWN_POST,
                    .names_of = ESMC_TOKENS,
                    .n_names = 1,
                    .beside_only = 1},
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
    [CLASS_DEBERTA] = {.cut = BYTES,
                       .back = BYTES_BACK,
                       .post = POST_TEMPLATE,
                       .one = "cls $A sep",
                       .two = "cls $A sep sep $B sep"},
    [CLASS_CLIP] = {.normalizer =
                        SEQUENCE("normalizers", NFC "," REPLACE("\"Regex\":\"\\\\s+\"",
                                                                " ") ",{\"type\":\"Lowercase\"}"),
                    .cut = SEQUENCE("pretokenizers", CLIP_WORDS "," BYTES),
                    .back = SEQUENCE(
                        "decoders", BYTES_BACK
                        "," REPLACE("\"String\":\"</w>\"",
                                    " ") ",{\"type\":\"Strip\",\"content\":\" \",\"start\":1,"
                                         "\"stop\":1}"),
                    .words = WORDS_END,
                    .post = POST_CLIP},
    [CLASS_OPENAI] = {.normalizer = BERT("true", "null"),
                      .cut = WORDS,
                      .back = WORDS_BACK,
                      .words = WORDS_END},
    [CLASS_HERBERT] = {.normalizer = BERT("false", "false"),
                       .cut = WORDS,
                       .back = WORDS_BACK,
                       .words = WORDS_END,
                       .post = POST_HERBERT},
    [CLASS_WHISPER] = {.cut = BYTES, .back = BYTES_BACK, .post = POST_WHISPER},
    [CLASS_LAYOUT] = {.cut = BYTES, .back = BYTES_BACK, .prefix = 1, .post = POST_LAYOUT},
    [CLASS_LUKE] = {.cut = BYTES, .back = BYTES_BACK, .post = POST_LUKE},
    [CLASS_MARKUP] = {.cut = BYTES,
                      .back = BYTES_BACK,
                      .post = POST_TEMPLATE,
                      .one = "cls $A sep",
                      .two = "cls $A sep $B sep"},
    [CLASS_NOUGAT] = {.normalizer = "{\"type\":\"NFKC\"}",
                      .cut =
                          SEQUENCE("pretokenizers",
                                   SPLIT("SPL1T-TH1S-Pl3A5E",
                                         "Removed") ",{\"type\":\"Digits\",\"individual_digits\":"
                                                    "true}," SPLIT(SIGNS, "Isolated") "," SPLIT(
                                                        "\\n", "Isolated") "," BYTES_FLAT),
                      .back = BYTES_BACK,
                      .post = POST_NOUGAT,
                      .one = "bos $A eos",
                      .two = "$A $B:1"},
    [CLASS_ESMC] = {.words = WORDS_UNK,
                    .post = POST_TEMPLATE,
                    .one = "cls $A eos",
                    .two = "$A $B:1"},
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
    if (!how->cut) return;
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

/* Nougat pads and cuts to 4096 tokens, whatever its file says. */
static void write_limits(const tok_files *f, buf *out)
{
    buf_addf(out,
             ",\"truncation\":{\"direction\":\"Right\",\"max_length\":4096,\"strategy\":"
             "\"LongestFirst\",\"stride\":0},\"padding\":{\"strategy\":{\"Fixed\":4096},"
             "\"direction\":\"Right\",\"pad_to_multiple_of\":null,\"pad_id\":%d,\"pad_type_id\":0,"
             "\"pad_token\":",
             f->role_ids[ROLE_PAD] < 0 ? 0 : f->role_ids[ROLE_PAD]);
    json_write_str(out, f->roles[ROLE_PAD].p ? f->roles[ROLE_PAD] : STRV("None"));
    buf_add_char(out, '}');
}

static mlxe_status write_post(tok_files *f, const style *how, int prefix, buf *out, mlxe_error *err)
{
    static const char *const words[] = {"false", "true"};
    char options[80];
    int trim = 1, sep = ROLE_SEP, cls = ROLE_CLS;
    mlxe_status rc = MLXE_OK;
    switch (how->post) {
    case POST_BOS_EOS:
        return tok_files_bos_eos(f, 0, 0, out, err);
    case POST_TEMPLATE:
        tok_files_template(f, how->one, how->two, out);
        return MLXE_OK;
    case POST_NOUGAT:
        tok_files_template(f, how->one, how->two, out);
        write_limits(f, out);
        return MLXE_OK;
    case POST_WHISPER:
        return tok_whisper_template(f, out, err);
    case POST_LUKE:
        prefix = 1;
        break;
    case POST_LAYOUT:
        break;
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

/* The unknown token is one that the settings or the class name. */
static void write_words(const tok_files *f, const tok_class *class, int words, buf *out)
{
    if (words == WORDS_NOT) return;
    if (words == WORDS_END) buf_add_str(out, ",\"end_of_word_suffix\":\"</w>\"");
    buf_add_str(out, ",\"unk_token\":");
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
    write_words(f, row, how->words, out);
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

/* ESMC has a vocabulary of its own: what another file says is lost. */
static mlxe_status check_esmc(const tok_files *f, const json *file, mlxe_error *err)
{
    static const char own[] = "<cls> <pad> <eos> <unk> L A G V S E R T I D P K Q N F Y M H W C X B "
                              "U Z O . - | <mask>";
    const json *model = json_get(file, "model"), *vocab = json_get(model, "vocab");
    int id = 0, same = json_len(json_get(model, "merges")) == 0;
    for (const char *p = own; *p && same; p += strspn(p, " "), id++) {
        const json *v = json_get_strv(vocab, strv_from(p, strcspn(p, " ")));
        same = json_is(v, JSON_INT) && json_int(v) == id;
        p += strcspn(p, " ");
    }
    if (same && json_len(vocab) == (size_t)id) return MLXE_OK;
    err_set(err, MLXE_E_UNSUPPORTED, "%s: tokenizer.json: its vocabulary is not that of %.*s",
            f->folder, (int)f->kind.n, f->kind.p);
    err_hint(err, "give tokenizer_class PreTrainedTokenizerFast to take the file as it is");
    return MLXE_E_UNSUPPORTED;
}

static mlxe_status rebuild_parts(tok_files *f, const json *file, buf *out, mlxe_error *err)
{
    const tok_class *row = class_of(f);
    const style *how = &STYLES[row - ROWS];
    int prefix = 0;
    mlxe_status rc = read_prefix(f, how, &prefix, err);
    if (rc == MLXE_OK && row == &ROWS[CLASS_ESMC]) rc = check_esmc(f, file, err);
    if (rc == MLXE_OK && how->post == POST_WHISPER) rc = tok_whisper_words(f, err);
    buf_add_str(out, "\"model\":{\"type\":\"BPE\"");
    write_words(f, row, how->words, out);
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

/* Luke's entities. */
static mlxe_status rebuild_tokens(tok_files *f, tok_own_token *own, size_t *n, mlxe_error *err)
{
    if (class_of(f) != &ROWS[CLASS_LUKE]) return MLXE_OK;
    return tok_files_entities(f, "<ent>", "<ent2>", own, n, err);
}

static const tok_rebuild REBUILD = {class_of, rebuild_parts, rebuild_tokens, rebuild_post};

const struct tok_format tok_format_vocab_merges = {4, takes, write, &REBUILD};
