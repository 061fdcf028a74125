/* tok_beside.c: what the settings beside a tokenizer.json change.
 *
 *   class takes the file as it is   the settings add tokens (tok_special.c)
 *   class is Python code            refused, if the files that it reads are there
 *   class makes its own parts       vocabulary, merges, added tokens, charsmap are the file's; how
 *                                   a text is normalised, cut, joined and closed is the class's, by
 *                                   the settings (the formats' tok_rebuild)
 *
 * A tokenizer.json alone is as the tokenizers package reads it.
 *
 * Traps: LlamaTokenizer beside a byte-level file takes it as it is. add_bos_token and add_eos_token
 * do not count beside a tokenizer.json. Where a class makes its own parts and there is an
 * added_tokens_decoder, the file's added tokens are forgotten.
 *
 * Source: transformers 5.23, tokenization_utils_tokenizers.py (convert_to_native_format),
 * tokenization_utils_base.py (_from_pretrained), models/auto/tokenization_auto.py. */
#include "text/tok_files.h"

#include <stdlib.h>

extern const struct tok_format *const formats_table[]; /* generated from text/formats */

static void find_class(tok_beside *b, const json *file)
{
    const tok_class *c = NULL;
    b->class = (tok_class){.names = ""};
    int bytes = tok_files_step(json_get(file, "pre_tokenizer"), "pretokenizers", "ByteLevel") ||
                tok_files_step(json_get(file, "decoder"), "decoders", "ByteLevel");
    if (bytes && strv_is(b->f.kind, "LlamaTokenizer")) return;
    for (size_t i = 0; formats_table[i] && !c; i++) {
        if (!formats_table[i]->rebuild) continue;
        c = formats_table[i]->rebuild->class_of(&b->f);
        if (c) b->how = formats_table[i]->rebuild;
    }
    if (c) b->class = *c;
}

/* Classes in Python, which never look at a tokenizer.json. Where the file that they read is not
 * there transformers has no tokenizer at all, and the tokenizer.json is taken. */
static const struct python_class {
    const char *names, *file; /* NULL: none has what they cut Chinese by */
} PYTHON[] = {
    {"RoFormerTokenizer CpmTokenizer", NULL},
    {"BartphoTokenizer PLBartTokenizer", "sentencepiece.bpe.model"},
    {"BertGenerationTokenizer GPTSw3Tokenizer SiglipTokenizer", "spiece.model"},
    {"BertJapaneseTokenizer BertTokenizerLegacy BertweetTokenizer CpmAntTokenizer EsmTokenizer "
     "GPTNeoXJapaneseTokenizer PhobertTokenizer RoCBertTokenizer TapasTokenizer",
     "vocab.txt"},
    {"BioGptTokenizer BlenderbotSmallTokenizer CTRLTokenizer ClvpTokenizer "
     "FastSpeech2ConformerTokenizer FlaubertTokenizer M2M100Tokenizer MgpstrTokenizer "
     "Speech2TextTokenizer VitsTokenizer Wav2Vec2CTCTokenizer Wav2Vec2PhonemeCTCTokenizer "
     "XLMTokenizer",
     "vocab.json"},
    {"FSMTTokenizer", "vocab-src.json"},
    {"MarianTokenizer", "source.spm"},
    {"MyT5Tokenizer", "byte_maps.json"},
    {"ProphetNetTokenizer", "prophetnet.tokenizer"},
    {"SpeechT5Tokenizer", "spm_char.model"},
};

static mlxe_status check_python(tok_beside *b, mlxe_error *err)
{
    tok_files *f = &b->f;
    for (size_t i = 0; i < sizeof PYTHON / sizeof *PYTHON; i++) {
        tok_class row = {.names = PYTHON[i].names};
        if (!tok_files_class(f, &row, 1)) continue;
        if (PYTHON[i].file && !tok_files_has(f, PYTHON[i].file)) continue;
        err_set(err, MLXE_E_UNSUPPORTED,
                "%s: %.*s, which takes no tokenizer.json, is not supported", f->folder,
                (int)f->kind.n, f->kind.p);
        err_hint(err, "give tokenizer_class PreTrainedTokenizerFast to take the file as it is");
        return MLXE_E_UNSUPPORTED;
    }
    return MLXE_OK;
}

/* A class for another kind of model makes no sense of the vocabulary. */
static mlxe_status check_model(const tok_beside *b, const json *file, const json *made,
                               mlxe_error *err)
{
    strv has = json_str(json_get(json_get(file, "model"), "type")),
         wants = json_str(json_get(json_get(made, "model"), "type"));
    if (!has.n || !wants.n || strv_eq(has, wants)) return MLXE_OK;
    err_set(err, MLXE_E_UNSUPPORTED, "%s: tokenizer.json: model %.*s, want %.*s of %.*s",
            b->f.folder, (int)(has.n > 60 ? 60 : has.n), has.p, (int)wants.n, wants.p,
            (int)b->f.kind.n, b->f.kind.p);
    err_hint(err, "give tokenizer_class PreTrainedTokenizerFast to take the file as it is");
    return MLXE_E_UNSUPPORTED;
}

/* The parts that a class makes itself; those that it leaves out are none. */
static mlxe_status write_parts(tok_beside *b, const json *file, buf *out, mlxe_error *err)
{
    static const char *const keys[] = {"normalizer", "pre_tokenizer", "decoder"};
    buf parts = {0};
    json_doc *doc = NULL;
    buf_add_char(&parts, '{');
    mlxe_status rc = b->how->parts(&b->f, file, &parts, err);
    if (rc == MLXE_OK && !parts.failed && parts.n > 1) {
        b->rebuilt = 1;
        parts.p[parts.n - 1] = '}'; /* its last comma */
        rc = json_parse(b->f.folder, buf_str(&parts), parts.n, &doc, err);
        if (rc == MLXE_OK) rc = check_model(b, file, json_root(doc), err);
        buf_add_strv(out, strv_from(parts.p + 1, parts.n - 2));
        for (int i = 0; i < 3 && rc == MLXE_OK; i++)
            if (!json_get(json_root(doc), keys[i])) buf_addf(out, ",\"%s\":null", keys[i]);
        buf_add_char(out, ',');
    }
    if (parts.failed) out->failed = 1;
    json_close(doc);
    buf_deinit(&parts);
    return rc;
}

static mlxe_status write_tokens(tok_beside *b, const json *file, buf *out, mlxe_error *err)
{
    size_t n = 0;
    mlxe_status rc = MLXE_OK;
    tok_own_token *own = NULL;
    if (b->how && b->how->tokens) {
        own = calloc(TOK_OWN_MAX, sizeof *own);
        rc = own ? b->how->tokens(&b->f, own, &n, err)
                 : err_memory(err, "added tokens", TOK_OWN_MAX * sizeof *own);
    }
    if (n && !b->class.own_list) b->class.own_list = OWN_LIST;
    b->f.pad = json_str(json_get(json_get(file, "padding"), "pad_token"));
    b->f.pad_side = json_str(json_get(b->f.config, "padding_side"));
    if (!b->f.pad_side.n)
        b->f.pad_side = json_str(json_get(json_get(file, "padding"), "direction"));
    buf_add_str(out, b->rebuilt ? "\"added_tokens\":" : "\"more_tokens\":");
    size_t before = out->n;
    if (rc == MLXE_OK)
        rc = tok_files_more(&b->f, &b->class, own, n, json_get(file, "added_tokens"), b->rebuilt,
                            out, err);
    if (out->n == before) buf_add_str(out, "[]");
    free(own);
    return rc;
}

mlxe_status tok_beside_open(const char *folder, const json *file, tok_beside *b, buf *out,
                            mlxe_error *err)
{
    *b = (tok_beside){0};
    mlxe_status rc = tok_files_open(folder, &b->f, err);
    buf_add_char(out, '{');
    b->f.beside = 1;
    if (rc == MLXE_OK && json_is(file, JSON_OBJECT) && b->f.has_settings) {
        rc = check_python(b, err);
        find_class(b, file);
        if (rc == MLXE_OK && b->how) rc = write_parts(b, file, out, err);
        if (rc == MLXE_OK) rc = write_tokens(b, file, out, err);
    }
    buf_add_char(out, '}');
    if (rc == MLXE_OK && out->failed) rc = err_memory(err, "tokenizer", out->n);
    if (rc) tok_beside_close(b);
    return rc;
}

mlxe_status tok_beside_post(tok_beside *b, const tok *t, const json *file, buf *out,
                            mlxe_error *err)
{
    const json *post = json_get(file, "post_processor");
    int none = !post || json_is(post, JSON_NULL);
    if (!b->class.own_post || (none && b->class.own_post == OWN_POST_OF_ANOTHER)) return MLXE_OK;
    for (int i = 0; i < ROLES; i++)
        b->f.role_ids[i] = b->f.roles[i].n ? tok_id(t, b->f.roles[i]) : -1;
    b->f.language_id = b->f.language.n ? tok_id(t, b->f.language) : -1;
    if (b->f.language_id < 0) b->f.language_id = b->f.role_ids[ROLE_UNK];
    for (int i = 0; i < TOK_WORDS; i++) {
        b->f.word_ids[i] = b->f.words[i].n ? tok_id(t, b->f.words[i]) : -1;
        if (b->f.word_ids[i] < 0) b->f.word_ids[i] = b->f.role_ids[ROLE_UNK];
    }
    buf_add_char(out, '{');
    mlxe_status rc = b->how->post(&b->f, out, err);
    buf_add_char(out, '}');
    if (rc == MLXE_OK && out->failed) rc = err_memory(err, "tokenizer", out->n);
    return rc;
}

void tok_beside_close(tok_beside *b)
{
    tok_files_close(&b->f);
    *b = (tok_beside){0};
}
