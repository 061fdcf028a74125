/* vocab_txt.c: vocab.txt, BERT's WordPiece vocabulary: a token a line, its number is its id.
 *
 * do_lower_case, strip_accents and tokenize_chinese_chars come from tokenizer_config.json.
 *
 * Source: transformers 5.23, models/{bert,mpnet}; tokenizers, WordPiece::read_file. */
#include "text/tok_files.h"

#define BERT_ROLES                                                                                 \
    {                                                                                              \
        NULL, NULL, "[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"                                   \
    }
enum { CLASS_BERT, CLASS_DPR, CLASS_MPNET, CLASS_LAYOUT, CLASS_FUNNEL, CLASS_SPLINTER, CLASSES };
static const char *const QUESTION[][2] = {{"question_token", "[QUESTION]"}};
static const tok_class ROWS[CLASSES] = {
    [CLASS_BERT] = {.names =
                        "BertTokenizer DistilBertTokenizer ElectraTokenizer MobileBertTokenizer "
                        "ConvBertTokenizer LxmertTokenizer SqueezeBertTokenizer LayoutLMTokenizer",
                    .roles = BERT_ROLES,
                    .own_post = OWN_POST},
    [CLASS_DPR] = {.names =
                       "DPRContextEncoderTokenizer DPRQuestionEncoderTokenizer DPRReaderTokenizer",
                   .roles = BERT_ROLES,
                   .own_post = OWN_POST},
    [CLASS_MPNET] = {.names = "MPNetTokenizer",
                     .roles = {"<s>", "</s>", "[UNK]", "</s>", "<pad>", "<s>", "<mask>"},
                     .mask = "l",
                     .objects = 1,
                     .own_post = OWN_POST},
    [CLASS_LAYOUT] = {.names = "LayoutLMv2Tokenizer",
                      .roles = BERT_ROLES,
                      .own_post = OWN_POST,
                      .beside_only = 1},
    [CLASS_FUNNEL] = {.names = "FunnelTokenizer",
                      .roles = {"<s>", "</s>", "<unk>", "<sep>", "<pad>", "<cls>", "<mask>"},
                      .own_post = OWN_POST,
                      .beside_only = 1},
    [CLASS_SPLINTER] = {.names = "SplinterTokenizer",
                        .roles = BERT_ROLES,
                        .own_post = OWN_POST,
                        .names_of = QUESTION,
                        .n_names = 1,
                        .beside_only = 1},
};

static int takes(tok_files *f) { return tok_files_has(f, "vocab.txt"); }

static mlxe_status write_vocab(tok_files *f, strv in, buf *out, mlxe_error *err)
{
    int32_t id = 0;
    mlxe_status rc = MLXE_OK;
    while (rc == MLXE_OK && in.n > 0) {
        const char *end = memchr(in.p, '\n', in.n);
        strv line = strv_from(in.p, end ? (size_t)(end - in.p) : in.n);
        in = strv_from(in.p + line.n + (end != NULL), in.n - line.n - (end != NULL));
        if (!utf8_valid(line))
            return err_set(err, MLXE_E_CORRUPT, "%s: line %d is no UTF-8", buf_str(&f->path),
                           id + 1);
        for (size_t width; line.n && uni_space(utf8_before(line.p, line.n, &width));)
            line.n -= width;
        if (id) buf_add_char(out, ',');
        json_write_str(out, line);
        buf_addf(out, ":%d", id);
        rc = tok_files_add(f, line, id++, err);
    }
    return rc;
}

static mlxe_status write_normalizer(const tok_files *f, buf *out, mlxe_error *err)
{
    static const char *const words[] = {"false", "true"};
    int lower = 1, han = 1, accents = -1, clean = 1;
    strv prefix = STRV("##");
    int funnel = tok_files_class(f, &ROWS[CLASS_FUNNEL], 1) != NULL;
    int dpr = tok_files_class(f, &ROWS[CLASS_DPR], 1) != NULL; /* it does not ask */
    mlxe_status rc = dpr ? MLXE_OK : tok_files_bool(f, "do_lower_case", &lower, err);
    if (rc == MLXE_OK) rc = tok_files_bool(f, "tokenize_chinese_chars", &han, err);
    if (rc == MLXE_OK) rc = tok_files_bool(f, "strip_accents", &accents, err);
    if (rc == MLXE_OK && funnel) rc = tok_files_bool(f, "clean_text", &clean, err);
    if (rc == MLXE_OK && funnel)
        rc = json_get_str(f->config, "tokenizer_config.json", "wordpieces_prefix", &prefix, err);
    buf_addf(out,
             "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":%s,"
             "\"handle_chinese_chars\":%s,\"strip_accents\":%s,\"lowercase\":%s},"
             "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},\"decoder\":{\"type\":"
             "\"WordPiece\",\"cleanup\":true,\"prefix\":",
             words[clean != 0], words[han != 0], accents < 0 ? "null" : words[accents != 0],
             words[lower != 0]);
    json_write_str(out, prefix);
    buf_add_str(out, "},");
    return rc;
}

/* MPNet's is RoBERTa's, which leaves out the space that its mask takes. */
static void write_post(tok_files *f, int mpnet, buf *out)
{
    tok_files_lost_role(f, ROLE_CLS, mpnet ? 0 : 2);
    tok_files_lost_role(f, ROLE_SEP, mpnet ? 2 : 3);
    if (mpnet)
        tok_files_two_ends(f, "RobertaProcessing", ROLE_SEP, f->role_ids[ROLE_SEP], ROLE_CLS,
                           f->role_ids[ROLE_CLS],
                           ",\"trim_offsets\":true,\"add_prefix_space\":false", out);
    else
        tok_files_template(f, "cls $A sep", "cls $A sep $B:1 sep:1", out);
}

static mlxe_status write(tok_files *f, buf *out, mlxe_error *err)
{
    buf text = {0};
    size_t lines = 1;
    tok_reader r = {&f->mem, buf_str(&f->path), err};
    const tok_class *row = tok_files_class(f, ROWS, CLASSES);
    if (!row && f->kind.n) {
        err_set(err, MLXE_E_UNSUPPORTED,
                "%s: vocab.txt of %.*s without tokenizer.json is not supported", f->folder,
                (int)f->kind.n, f->kind.p);
        err_hint(err, "save the tokenizer as tokenizer.json (transformers: save_pretrained)");
        return MLXE_E_UNSUPPORTED;
    }
    if (!row) row = &ROWS[CLASS_BERT];
    mlxe_status rc = tok_files_read(f, &text, err);
    for (size_t i = 0; i < text.n; i++)
        lines += text.p[i] == '\n';
    if (rc == MLXE_OK) rc = tok_vocab_init(&r, &f->vocab, lines);
    buf_add_str(out, "{\"model\":{\"type\":\"WordPiece\",\"continuing_subword_prefix\":\"##\","
                     "\"max_input_chars_per_word\":100,\"vocab\":{");
    if (rc == MLXE_OK) rc = write_vocab(f, buf_view(&text), out, err);
    buf_add_str(out, "},\"unk_token\":");
    if (rc == MLXE_OK) rc = tok_vocab_finish(&r, &f->vocab);
    buf added = {0};
    if (rc == MLXE_OK) rc = tok_files_tokens(f, row, NULL, 0, &added, err);
    json_write_str(out, f->roles[ROLE_UNK].p ? f->roles[ROLE_UNK] : STRV("None"));
    buf_add_str(out, "},");
    buf_add_strv(out, buf_view(&added));
    if (added.failed) rc = err_memory(err, "tokenizer", added.n);
    buf_add_char(out, ',');
    if (rc == MLXE_OK) rc = write_normalizer(f, out, err);
    write_post(f, row == &ROWS[CLASS_MPNET], out);
    buf_add_char(out, '}');
    buf_deinit(&added);
    buf_deinit(&text);
    return rc;
}

/* ---- beside a tokenizer.json ----------------------------------------------------------------- */

static const tok_class *class_of(const tok_files *f) { return tok_files_class(f, ROWS, CLASSES); }

static mlxe_status rebuild_parts(tok_files *f, const json *file, buf *out, mlxe_error *err)
{
    const json *question = tok_files_own_name(f, QUESTION[0][0]);
    (void)file;
    f->words[0] = question ? json_str(json_get(question, "content")) : strv_of(QUESTION[0][1]);
    f->words[1] = STRV(".");
    buf_add_str(out, "\"model\":{\"type\":\"WordPiece\",\"continuing_subword_prefix\":\"##\","
                     "\"max_input_chars_per_word\":100,\"unk_token\":");
    json_write_str(out, tok_files_role_text(f, ROLE_UNK, strv_of(class_of(f)->roles[ROLE_UNK])));
    buf_add_str(out, "},");
    return write_normalizer(f, out, err);
}

static mlxe_status rebuild_post(tok_files *f, buf *out, mlxe_error *err)
{
    const tok_class *row = class_of(f);
    int left = strv_is(f->pad_side, "left") || strv_is(f->pad_side, "Left");
    (void)err;
    if (row == &ROWS[CLASS_SPLINTER] && (!f->roles[ROLE_CLS].p || !f->roles[ROLE_SEP].p))
        return MLXE_OK; /* it leaves the file's */
    if (row == &ROWS[CLASS_SPLINTER])
        tok_files_template(f, "cls $A sep",
                           left ? "cls $A sep $B:1 1 2 sep:1" : "cls $A 1 2 sep $B:1 sep:1", out);
    else if (row == &ROWS[CLASS_FUNNEL])
        tok_files_template(f, "cls:2 $A sep", "cls:2 $A sep $B:1 sep:1", out);
    else
        write_post(f, row == &ROWS[CLASS_MPNET], out);
    return MLXE_OK;
}

static const tok_rebuild REBUILD = {class_of, rebuild_parts, NULL, rebuild_post};

const struct tok_format tok_format_vocab_txt = {5, takes, write, &REBUILD};
