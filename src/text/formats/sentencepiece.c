/* sentencepiece.c: tokenizer.model, the protobuf file of SentencePiece.
 *
 * Owns: what a class of transformers makes of such a model (tok_spm_model.h reads it): ROWS (BPE,
 * whatever the model is), the rows of tok_spm_rules.c (unigram), TokenizersBackend (as the model
 * is). Any other class is refused by name. Without a class a text is cut as SentencePiece itself
 * does: normalised by the model's own charsmap, spaces kept or joined as its normalizer_spec says,
 * a space before the text when it says so.
 *
 * Traps: SentencePiece's BPE merges follow scores, highest first, equal ones ids; those of the
 * classes follow ids. NLLB puts four pieces first, whatever the model's own order. T5 appends
 * sentinels in falling order.
 *
 * Source: transformers 5.23, convert_slow_tokenizer.py and models/. */
#include "text/tok_spm_model.h"
#include "text/tok_spm_rules.h"

#include "base/fs.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- classes --------------------------------------------------------------------------------- */

enum {
    CLASS_LLAMA,
    CLASS_CODE_LLAMA,
    CLASS_GEMMA,
    CLASS_NLLB,
    CLASS_REFORMER,
    CLASS_SIGLIP2,
    CLASS_TIPSV2,
    CLASS_SEAMLESS,
    CLASS_BACKEND,
    CLASS_FNET, /* TokenizersBackend with more roles, always unigram */
    CLASS_PLAIN,
    CLASS_RULE,
    CLASSES = CLASS_RULE
};
/* What CodeLlama adds: the settings' key, and its default. */
static const char *const CODE_TOKENS[][2] = {{"prefix_token", "\xE2\x96\x81<PRE>"},
                                             {"middle_token", "\xE2\x96\x81<MID>"},
                                             {"suffix_token", "\xE2\x96\x81<SUF>"},
                                             {"eot_token", "\xE2\x96\x81<EOT>"},
                                             {"fill_token", "<FILL_ME>"}};
enum { N_CODE_TOKENS = sizeof CODE_TOKENS / sizeof *CODE_TOKENS };
static const tok_class ROWS[CLASSES] = {
    /* names                                                bos    eos    unk    sep pad cls mask */
    [CLASS_LLAMA] = {.names = "LlamaTokenizer", .roles = {"<s>", "</s>", "<unk>"}},
    [CLASS_CODE_LLAMA] = {.names = "CodeLlamaTokenizer",
                          .roles = {"<s>", "</s>", "<unk>"},
                          .own_post = OWN_POST,
                          .names_of = CODE_TOKENS,
                          .n_names = N_CODE_TOKENS},
    [CLASS_GEMMA] = {.names = "GemmaTokenizer",
                     .roles = {"<bos>", "<eos>", "<unk>", NULL, "<pad>", NULL, "<mask>"}},
    [CLASS_NLLB] = {.names = "NllbTokenizer",
                    .roles = {"<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>"},
                    .mask = "lsn",
                    .null_is_none = 1,
                    .own_post = OWN_POST},
    [CLASS_REFORMER] = {.names = "ReformerTokenizer",
                        .roles = {NULL, "</s>", "<unk>"},
                        .readds = READDS_TOKENS},
    [CLASS_SIGLIP2] = {.names = "Siglip2Tokenizer",
                       .roles = {"<bos>", "<eos>", "<unk>", NULL, "<pad>", NULL, "<mask>"},
                       .beside_only = 1},
    [CLASS_TIPSV2] = {.names = "Tipsv2Tokenizer",
                      .roles = {NULL, NULL, "<unk>", NULL, "<pad>"},
                      .beside_only = 1},
    [CLASS_SEAMLESS] = {.names = "SeamlessM4TTokenizer",
                        .roles = {"<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>"},
                        .own_post = OWN_POST,
                        .beside_only = 1},
    [CLASS_BACKEND] = {.names = "TokenizersBackend PreTrainedTokenizer", .roles = {NULL}},
    [CLASS_FNET] = {.names = "FNetTokenizer",
                    .roles = {"[CLS]", "[SEP]", "<unk>", "[SEP]", "<pad>", "[CLS]", "[MASK]"}},
    [CLASS_PLAIN] = {.names = "", .roles = {NULL}},
};
/* Also byte ranks are kept as tokenizer.model: a protobuf model begins with the tag of a piece. */
static int takes(tok_files *f)
{
    buf head = {0};
    uint64_t size;
    int is = tok_files_has(f, "tokenizer.model");
    if (is) is = fs_read_head(buf_str(&f->path), 1, &head, &size, NULL) || !head.n || *head.p == 10;
    buf_deinit(&head);
    return is || tok_files_has(f, "spiece.model") || tok_files_has(f, "sentencepiece.bpe.model") ||
           tok_files_has(f, "spm.model") || tok_files_has(f, "sentencepiece.model");
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Unigram pieces as they are written; the next one's id. */
typedef struct pieces {
    const char *where;
    mlxe_error *err;
    const spm_rule *rule;
    tok_files *f;
    buf *out;
    int32_t id;
    strv unk;                 /* the unknown token's text */
    int32_t model_unk;        /* its id by the model */
    int32_t unk_at, unk_flat; /* the first piece of this text; the first with score 0. -1: none */
    mlxe_status rc;
} pieces;

/* Looks for the unknown token. */
static void see_piece(pieces *p, strv text, double score, int32_t id)
{
    if (!strv_eq(text, p->unk)) return;
    if (p->unk_at < 0) p->unk_at = id;
    if (p->unk_flat < 0 && score == 0 && id >= p->rule->unk_from) p->unk_flat = id;
}

static void put_piece(pieces *p, strv text, double score)
{
    if (p->rc) return;
    buf_add_str(p->out, p->id ? ",[" : "[");
    json_write_str(p->out, text);
    buf_add_char(p->out, ',');
    json_write_float(p->out, score);
    buf_add_char(p->out, ']');
    see_piece(p, text, score, p->id);
    p->rc = tok_files_add(p->f, text, p->id++, p->err);
}

/* The piece that the settings put for one with a role. */
static strv named_piece(const tok_files *f, strv text)
{
    static const struct {
        const char *text;
        int role;
    } rows[] = {{"<s>", ROLE_BOS},
                {"<pad>", ROLE_PAD},
                {"</s>", ROLE_EOS},
                {"<unk>", ROLE_UNK},
                {"<mask>", ROLE_MASK}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!strv_is(text, rows[i].text)) continue;
        int cls = rows[i].role == ROLE_BOS && strv_is(f->kind, "MBart50Tokenizer");
        return tok_files_role_text(f, cls ? ROLE_CLS : rows[i].role, text);
    }
    return text;
}

/* Pieces parted by spaces; '-' before one: it is never to be used. */
static void put_list(pieces *p, const char *list)
{
    for (; list && *list; list += strspn(list, " ")) {
        int never = *list == '-';
        size_t n = strcspn(list, " ");
        strv text = strv_from(list + never, n - (size_t)never);
        put_piece(p, named_piece(p->f, text), never ? -100 : 0);
        list += n;
    }
}

/* name_from, name_from+step, .. : count pieces. */
static void put_numbered(pieces *p, const char *name, int from, int step, int count, double score)
{
    for (int i = 0; i < count; i++, from += step) {
        char text[40];
        int n = snprintf(text, sizeof text, "<%s_%d>", name, from);
        put_piece(p, strv_from(text, (size_t)n), score);
    }
}

/* Pegasus' mask for sentences, "None" of null. */
static strv sentence_mask(const tok_files *f, const char *usual)
{
    const json *v = json_get(f->special, "mask_token_sent");
    if (!v) v = json_get(f->config, "mask_token_sent");
    if (json_is(v, JSON_NULL)) return STRV("None");
    if (json_is(v, JSON_OBJECT)) return json_str(json_get(v, "content"));
    return v ? json_str(v) : strv_of(usual);
}

/* Pegasus: both masks as the settings name them, then pieces that no text has. */
static void put_pegasus(pieces *p)
{
    strv mask = tok_files_role_text(p->f, ROLE_MASK, STRV("<mask_1>")),
         sentence = sentence_mask(p->f, "<mask_2>");
    put_list(p, "<pad> </s>");
    if (!strv_is(mask, "None")) put_piece(p, mask, 0);
    if (!strv_is(sentence, "None") && !strv_eq(mask, sentence)) put_piece(p, sentence, 0);
    put_numbered(p, "unk", 2, 1, 101, -100);
}

/* The id of the unknown piece, and where a class does not find it. */
static int32_t find_unk(pieces *p)
{
    switch (p->rule->unk) {
    case SPM_UNK_MODEL:
        return p->model_unk;
    case SPM_UNK_TEXT:
        return p->unk_at < 0 ? p->rule->unk_else : p->unk_at;
    case SPM_UNK_FLAT:
        if (p->unk_flat < 0 && p->rule->unk_else == SPM_UNK_REFUSED && !p->rc)
            p->rc = err_set(p->err, MLXE_E_UNSUPPORTED,
                            "%s: no piece \"%.*s\" with score 0, the unk_token of %.*s", p->where,
                            (int)(p->unk.n > 60 ? 60 : p->unk.n), p->unk.p, (int)p->f->kind.n,
                            p->f->kind.p);
        if (p->unk_flat >= 0) return p->unk_flat;
        return p->rule->unk_else == SPM_UNK_MODEL ? p->model_unk : p->rule->unk_else;
    default:
        return p->rule->unk;
    }
}

/* rule: NULL for a model as it is. */
static mlxe_status write_unigram(const spm *s, const spm_rule *rule, tok_files *f, buf *out)
{
    static const spm_rule plain = {.unk = SPM_UNK_MODEL};
    pieces p = {.where = s->where,
                .err = s->err,
                .f = f,
                .out = out,
                .model_unk = s->unk_id,
                .unk_at = -1,
                .unk_flat = -1};
    int64_t extra = 100, offset = 103;
    int fallback = !rule && s->byte_fallback; /* a class by a rule never has it */
    if (!rule) rule = &plain;
    p.rule = rule;
    p.unk = tok_files_role_text(f, ROLE_UNK, strv_of(rule->class.roles[ROLE_UNK]));
    if (rule->more == SPM_LAST_SENTINELS)
        p.rc =
            json_get_int(f->config, "tokenizer_config.json", "extra_ids", 0, 10000, &extra, s->err);
    if (rule->more == SPM_FIRST_PEGASUS)
        p.rc =
            json_get_int(f->config, "tokenizer_config.json", "offset", 0, 10000, &offset, s->err);
    if (p.rc == MLXE_OK && offset != 103)
        p.rc = err_set(s->err, MLXE_E_UNSUPPORTED, "%s: offset %lld is not supported, want 103",
                       s->where, (long long)offset);
    buf_addf(
        out,
        "\"model\":{\"type\":\"Unigram\",\"byte_fallback\":%s,\"exact_scores\":true,\"vocab\":[",
        fallback ? "true" : "false");
    put_list(&p, rule->first);
    if (rule->more == SPM_FIRST_PEGASUS) put_pegasus(&p);
    for (size_t i = (size_t)rule->skip; i < s->n; i++)
        put_piece(&p, s->v[i].text, (double)s->v[i].score);
    put_list(&p, rule->last);
    if (rule->more == SPM_LAST_SENTINELS)
        put_numbered(&p, "extra_id", (int)extra - 1, -1, (int)extra, 0);
    buf_addf(out, "],\"unk_id\":%d},", find_unk(&p));
    f->size = p.id;
    return p.rc;
}

static int by_score(const void *a, const void *b)
{
    const spm_piece *x = *(const spm_piece *const *)a, *y = *(const spm_piece *const *)b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* Merges come in the order of scores; ids have it in nearly every file, and a class takes them. */
static mlxe_status write_order(const spm *s, int which, buf *out)
{
    int sorted = 1, plain = which == CLASS_PLAIN;
    float last = 0;
    for (size_t i = 0, any = 0; i < s->n && sorted && plain; i++) {
        if (s->v[i].type != SPM_TYPE_NORMAL) continue;
        sorted = !any || s->v[i].score <= last;
        last = s->v[i].score;
        any = 1;
    }
    if (sorted) {
        buf_add_str(out, ",\"merges_from\":\"ids\"");
        return MLXE_OK;
    }
    const spm_piece **order = malloc(s->n * sizeof *order);
    if (!order) return err_memory(s->err, "merges", s->n * sizeof *order);
    for (size_t i = 0; i < s->n; i++)
        order[i] = &s->v[i];
    qsort(order, s->n, sizeof *order, by_score);
    for (size_t i = 0; i < s->n; i++)
        buf_addf(out, "%s%d", i ? "," : ",\"merges_from\":[", (int)order[i]->id);
    buf_add_char(out, ']');
    free(order);
    return MLXE_OK;
}

/* NLLB's order: its own four pieces, then the model's others. */
static const char *const NLLB_FIRST[] = {"<s>", "<pad>", "</s>", "<unk>"};

static int nllb_first(const tok_files *f, strv text)
{
    for (int i = 0; i < 4; i++)
        if (strv_eq(text, named_piece(f, strv_of(NLLB_FIRST[i])))) return i;
    return -1;
}

static mlxe_status write_bpe(spm *s, int which, tok_files *f, buf *out)
{
    int nllb = which == CLASS_NLLB;
    int fallback = which >= CLASS_BACKEND ? s->byte_fallback : !nllb && which != CLASS_REFORMER;
    mlxe_status rc = MLXE_OK;
    int32_t id = 0;
    for (; nllb && id < 4 && rc == MLXE_OK; id++)
        rc = tok_files_add(f, named_piece(f, strv_of(NLLB_FIRST[id])), id, s->err);
    for (size_t i = 0; i < s->n && rc == MLXE_OK; i++) {
        s->v[i].id = nllb ? nllb_first(f, s->v[i].text) : -1;
        if (s->v[i].id >= 0) continue;
        s->v[i].id = id;
        rc = tok_files_add(f, s->v[i].text, id++, s->err);
    }
    f->vocab_is_models = 1;
    buf_addf(out, "\"model\":{\"type\":\"BPE\",\"fuse_unk\":true,\"byte_fallback\":%s,\"vocab\":{}",
             fallback ? "true" : "false");
    if (rc == MLXE_OK) rc = write_order(s, which, out);
    strv unk = strv_from(NULL, 0);
    if (which < CLASS_BACKEND)
        unk = tok_files_role_text(f, ROLE_UNK, strv_of(ROWS[which].roles[ROLE_UNK]));
    else if (which != CLASS_PLAIN)
        unk = s->names[ROLE_UNK].n ? s->names[ROLE_UNK] : STRV("<unk>");
    else if (s->unk_id >= 0 && (size_t)s->unk_id < s->n)
        unk = s->v[s->unk_id].text;
    if (which != CLASS_LLAMA && unk.n) {
        buf_add_str(out, ",\"unk_token\":");
        json_write_str(out, unk);
    }
    buf_add_str(out, "},");
    return rc;
}

static void write_charsmap(const spm *s, const char *option, buf *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)s->charsmap.p;
    buf_add_str(out, "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"");
    for (size_t i = 0; i < s->charsmap.n; i += 3) {
        size_t left = s->charsmap.n - i;
        uint32_t bits = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
                        (left > 2 ? p[i + 2] : 0);
        buf_add_char(out, digits[bits >> 18]);
        buf_add_char(out, digits[bits >> 12 & 63]);
        buf_add_char(out, left > 1 ? digits[bits >> 6 & 63] : '=');
        buf_add_char(out, left > 2 ? digits[bits & 63] : '=');
    }
    buf_addf(out, "\"%s}", option);
}

#define META(scheme, split)                                                                        \
    "{\"type\":\"Metaspace\",\"replacement\":\"\xE2\x96\x81\",\"prepend_scheme\":\"" scheme        \
    "\",\"split\":" split "}"
#define SPACE_BACK                                                                                 \
    "{\"type\":\"Replace\",\"pattern\":{\"String\":\"\xE2\x96\x81\"},\"content\":\" \"}"
#define BYTES_BACK  SPACE_BACK ",{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"}"
#define STRIP_FIRST ",{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}"

static void write_plain_parts(const spm *s, buf *out)
{
    buf_add_str(out, "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[");
    if (s->charsmap.n) write_charsmap(s, ",\"longest_match\":true", out);
    if (s->joins_spaces)
        buf_addf(
            out,
            "%s{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"\\\\A +|[ \xE2\x96\x81]+\\\\z\"},"
            "\"content\":\"\"},{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" {2,}\"},"
            "\"content\":\" \"}",
            s->charsmap.n ? "," : "");
    buf_add_str(out, "]},\"pre_tokenizer\":");
    buf_add_str(out, s->dummy_prefix ? META("first", "false,\"prepend_to_space\":true")
                                     : META("never", "false"));
    buf_add_str(out, ",\"decoder\":{\"type\":\"Sequence\",\"decoders\":[" BYTES_BACK);
    buf_add_str(out, s->dummy_prefix ? STRIP_FIRST "]}," : "]},");
}

static mlxe_status write_llama_parts(const tok_files *f, int which, buf *out, mlxe_error *err)
{
    int prefix = 1, legacy = 0;
    mlxe_status rc = tok_files_bool(f, "add_prefix_space", &prefix, err);
    if (rc == MLXE_OK && which == CLASS_LLAMA) rc = tok_files_bool(f, "legacy", &legacy, err);
    buf_add_str(out, "\"pre_tokenizer\":");
    buf_add_str(out, !prefix  ? META("never", "false")
                     : legacy ? META("always", "false")
                              : META("first", "false"));
    buf_add_str(out, ",\"decoder\":{\"type\":\"Sequence\",\"decoders\":[" BYTES_BACK);
    buf_add_str(out, prefix || which == CLASS_CODE_LLAMA ? STRIP_FIRST "]}," : "]},");
    return rc;
}

/* TokenizersBackend: spaces are written, and nothing is cut. */
static void write_backend_parts(const spm *s, buf *out)
{
    buf_add_str(out, "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[");
    if (s->charsmap.n) write_charsmap(s, "", out);
    buf_addf(out,
             "%s{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":"
             "\"\xE2\x96\x81\"}]},\"decoder\":{\"type\":\"Sequence\",\"decoders\":[%s]},",
             s->charsmap.n ? "," : "", s->byte_fallback ? BYTES_BACK : SPACE_BACK);
}

static void write_nllb_parts(strv charsmap, buf *out)
{
    if (charsmap.n) {
        buf_add_str(out, "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[");
        buf_add_strv(out, charsmap);
        buf_add_str(out, ",{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" {2,}\"},\"content\":"
                         "\" \"}]},");
    }
    buf_add_str(out, "\"pre_tokenizer\":" META("always", "true") ",\"decoder\":" META("always",
                                                                                      "true") ",");
}

#define LOWER "{\"type\":\"Lowercase\"}"
#define REPLACE(kind, pattern, content)                                                            \
    "{\"type\":\"Replace\",\"pattern\":{\"" kind "\":\"" pattern "\"},\"content\":\"" content "\"" \
    "}"
#define MARK "\xE2\x96\x81"
#define SEAMLESS_PARTS                                                                             \
    "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[" REPLACE(                             \
        "Regex", "[\\n\\r\\t]",                                                                    \
        " ") ",{\"type\":\"NFKC\"},"                                                               \
             "{\"type\":\"Strip\",\"strip_left\":false,\"strip_right\":true}," REPLACE(            \
                 "Regex", " +" MARK,                                                               \
                 MARK) "," REPLACE("Regex", "^" MARK "+$",                                         \
                                   "") "," REPLACE("Regex", " {2,}",                               \
                                                   MARK) "]},"                                     \
                                                         "\"pre_tokenizer\":" META(                \
                                                             "first", "true") ",\"decoder\""       \
                                                                              ":" META("first",    \
                                                                                       "true") ","

/* before: normalizers before that of spaces, each with its comma. */
static void write_gemma_parts(const char *before, buf *out)
{
    buf_addf(
        out,
        "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[%s" REPLACE(
            "String", " ",
            MARK) "]},\"pre_tokenizer\":{\"type\":\"Split\","
                  "\"pattern\":{\"String\":\" \"},\"behavior\":\"MergedWithPrevious\","
                  "\"invert\":false},\"decoder\":{\"type\":\"Sequence\",\"decoders\":[" BYTES_BACK
                  "]},",
        before);
}

static mlxe_status write_tips_parts(const tok_files *f, strv charsmap, buf *out, mlxe_error *err)
{
    int lower = 1;
    if (json_is(json_get(f->config, "do_lower_case"), JSON_NULL)) lower = 0; /* as Python's if */
    mlxe_status rc = tok_files_bool(f, "do_lower_case", &lower, err);
    buf_addf(out, "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[%s%s", lower ? LOWER : "",
             lower && charsmap.n ? "," : "");
    buf_add_strv(out, charsmap);
    buf_add_str(out, "]},\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":"
                     "\"WhitespaceSplit\"}," META(
                         "always", "true") "]},\"decoder\":{\"type\":"
                                           "\"Sequence\",\"decoders\":[" META(
                                               "always",
                                               "true") ",{\"type\":"
                                                       "\"ByteFallback\"},{\"type\":\"Fuse\"}]},");
    return rc;
}

/* The parts that a class makes itself; charsmap: the model's normalizer as JSON, empty: none. */
static mlxe_status write_class_parts(const tok_files *f, int which, const spm_rule *rule,
                                     strv charsmap, buf *out, mlxe_error *err)
{
    if (rule) return spm_rule_write(rule, f, charsmap, out, err);
    if (which == CLASS_LLAMA || which == CLASS_CODE_LLAMA)
        return write_llama_parts(f, which, out, err);
    if (which == CLASS_TIPSV2) return write_tips_parts(f, charsmap, out, err);
    if (which == CLASS_GEMMA || which == CLASS_SIGLIP2)
        write_gemma_parts(which == CLASS_SIGLIP2 ? LOWER "," : "", out);
    else if (which == CLASS_SEAMLESS)
        buf_add_str(out, SEAMLESS_PARTS);
    else
        write_nllb_parts(charsmap, out); /* and Reformer's */
    return MLXE_OK;
}

static mlxe_status write_parts(const spm *s, int which, const spm_rule *rule, const tok_files *f,
                               buf *out)
{
    buf charsmap = {0};
    if (which == CLASS_BACKEND || which == CLASS_FNET) {
        write_backend_parts(s, out);
        return MLXE_OK;
    }
    if (which == CLASS_PLAIN) {
        write_plain_parts(s, out);
        return MLXE_OK;
    }
    if (s->charsmap.n) write_charsmap(s, "", &charsmap);
    mlxe_status rc = write_class_parts(f, which, rule, buf_view(&charsmap), out, s->err);
    if (charsmap.failed) out->failed = 1;
    buf_deinit(&charsmap);
    return rc;
}

/* The text of a piece with a role; NULL: none. */
static const char *role_piece(const spm *s, tok_files *f, int id)
{
    return id >= 0 && (size_t)id < s->n ? arena_copy(&f->mem, s->v[id].text) : NULL;
}

/* The list of special tokens that a class makes: the model's, and its own, in its order. */
typedef struct own_list {
    tok_own_token *v;
    size_t n;
} own_list;

static void add_own(own_list *l, strv text)
{
    if (text.p) l->v[l->n++] = (tok_own_token){.text = text, .special = 1};
}

static void add_words(own_list *l, const char *words)
{
    for (const char *p = words ? words : ""; *p; p += strspn(p, " ")) {
        size_t width = strcspn(p, " ");
        add_own(l, strv_from(p, width));
        p += width;
    }
}

static int holds(strv text, const char *part)
{
    size_t n = strlen(part);
    for (size_t k = 0; k + n <= text.n; k++)
        if (!memcmp(text.p + k, part, n)) return 1;
    return 0;
}

/* T5: its sentinels, if none is listed. */
static mlxe_status add_sentinels(tok_files *f, own_list *l, mlxe_error *err)
{
    static const char mark[] = "<extra_id_";
    int64_t extra = 100, has = 0;
    const json *item;
    mlxe_status rc =
        json_get_int(f->config, "tokenizer_config.json", "extra_ids", 0, 10000, &extra, err);
    if (rc) return rc;
    for (size_t i = 0; i < l->n; i++)
        has += holds(l->v[i].text, mark);
    json_iter it = json_iterate(f->beside ? tok_files_older_list(f) : NULL);
    while (json_next(&it, NULL, &item))
        has +=
            holds(json_is(item, JSON_OBJECT) ? json_str(json_get(item, "content")) : json_str(item),
                  mark);
    if (has && extra && has != extra)
        return err_set(err, MLXE_E_UNSUPPORTED,
                       "%s: %lld sentinels are listed, extra_ids says %lld", f->folder,
                       (long long)has, (long long)extra);
    for (int64_t i = 0; i < extra && !has; i++) {
        char text[40];
        snprintf(text, sizeof text, "%s%d>", mark, (int)i);
        const char *copy = arena_copy(&f->mem, strv_of(text));
        if (!copy) return err_memory(err, "added tokens", 0);
        add_own(l, strv_of(copy));
    }
    return MLXE_OK;
}

/* Pegasus forgets the model's. */
static mlxe_status add_pegasus(tok_files *f, own_list *l, mlxe_error *err)
{
    strv sentence = sentence_mask(f, "<mask_1>");
    l->n = 0;
    if (!strv_is(sentence, "None")) add_own(l, sentence);
    for (int i = 2; i < 103; i++) {
        char text[40];
        snprintf(text, sizeof text, "<unk_%d>", i);
        const char *copy = arena_copy(&f->mem, strv_of(text));
        if (!copy) return err_memory(err, "added tokens", 0);
        add_own(l, strv_of(copy));
    }
    return MLXE_OK;
}

/* s: NULL without a model: then its own defaults are all there is. */
static mlxe_status make_own_list(const spm *s, int which, const spm_rule *rule, tok_files *f,
                                 own_list *l, mlxe_error *err)
{
    int first = rule && rule->languages_first;
    if (first) add_words(l, rule->languages);
    for (size_t i = 0; s && i < s->n; i++)
        if (s->v[i].type == SPM_TYPE_CONTROL || s->v[i].type == SPM_TYPE_USER)
            l->v[l->n++] = (tok_own_token){s->v[i].text, s->v[i].type == SPM_TYPE_CONTROL, 1};
    if (!s && rule) add_words(l, rule->own);
    if (rule && !first) add_words(l, rule->languages);
    for (size_t i = 0; i < N_CODE_TOKENS && which == CLASS_CODE_LLAMA; i++) {
        const json *given = tok_files_own_name(f, CODE_TOKENS[i][0]);
        add_own(l, given ? json_str(given) : strv_of(CODE_TOKENS[i][1]));
    }
    if (rule && rule->more == SPM_LAST_SENTINELS) return add_sentinels(f, l, err);
    return rule && rule->more == SPM_FIRST_PEGASUS ? add_pegasus(f, l, err) : MLXE_OK;
}

/* Seamless' language to speak, between marks. */
static mlxe_status set_marked(tok_files *f, mlxe_error *err)
{
    buf marked = {0};
    strv to = STRV("fra");
    int has = 0;
    mlxe_status rc = json_get_str(f->config, "tokenizer_config.json", "tgt_lang", &to, err);
    for (size_t i = 0; i + 1 < to.n; i++)
        has |= to.p[i] == '_' && to.p[i + 1] == '_';
    if (!has) buf_add_str(&marked, "__");
    buf_add_strv(&marked, to);
    if (!has) buf_add_str(&marked, "__");
    const char *copy = marked.failed ? NULL : arena_copy(&f->mem, buf_view(&marked));
    buf_deinit(&marked);
    if (rc == MLXE_OK && !copy) rc = err_memory(err, "tgt_lang", to.n);
    if (copy) f->language = strv_of(copy);
    return rc;
}

static mlxe_status set_language(const spm_rule *rule, int which, tok_files *f, mlxe_error *err)
{
    if (which == CLASS_SEAMLESS) return set_marked(f, err);
    const char *usual = which == CLASS_NLLB ? "eng_Latn" : rule ? rule->language : NULL;
    strv given = json_str(json_get(f->config, "src_lang"));
    if (usual) f->language = given.n ? given : strv_of(usual);
    return MLXE_OK;
}

/* bos, eos and unk as the model names them. */
static void set_model_roles(const spm *s, int which, tok_files *f, tok_class *class)
{
    static const char *const usual[] = {"<s>", "</s>", "<unk>"};
    const int ids[] = {s->bos_id, s->eos_id, s->unk_id};
    for (int i = 0; i < 3; i++) {
        if (which == CLASS_PLAIN)
            class->roles[i] = role_piece(s, f, ids[i]);
        else if (ids[i] >= 0)
            class->roles[i] = s->names[i].n ? arena_copy(&f->mem, s->names[i]) : usual[i];
    }
}

/* The template that a class makes; rule: NULL for NLLB's. */
static mlxe_status write_template(tok_files *f, const spm_rule *rule, buf *out, mlxe_error *err)
{
    int legacy = 0;
    mlxe_status rc = MLXE_OK;
    if (!rule) {
        rc = tok_files_bool(f, "legacy_behaviour", &legacy, err);
        tok_files_template(f, legacy ? "$A eos lang" : "lang $A eos",
                           legacy ? "$A $B eos lang" : "lang $A $B eos", out);
        return rc;
    }
    int32_t lost = rule->lost_ends == SPM_LOST_UNK ? tok_vocab_id(&f->vocab, STRV("None")) : 0;
    if (lost < 0) lost = f->role_ids[ROLE_UNK];
    for (int i = 0; i < ROLES && rule->lost_ends; i++)
        tok_files_lost_role(f, i, lost);
    tok_files_template(f, rule->one, rule->two, out);
    return rc;
}

static mlxe_status write_tokens(const spm *s, int which, const spm_rule *rule, tok_files *f,
                                buf *out)
{
    tok_reader r = {&f->mem, s->where, s->err};
    tok_class class = rule ? rule->class : ROWS[which];
    own_list own = {.v = calloc(s->n + TOK_OWN_MAX, sizeof *own.v)};
    if (!own.v) return err_memory(s->err, "added tokens", s->n * sizeof *own.v);
    class.own_list = 1;
    mlxe_status rc = set_language(rule, which, f, s->err);
    if (rc == MLXE_OK) rc = tok_vocab_finish(&r, &f->vocab);
    if (!rule && which >= CLASS_BACKEND) set_model_roles(s, which, f, &class);
    if (rc == MLXE_OK) rc = make_own_list(s, which, rule, f, &own, s->err);
    if (rc == MLXE_OK) rc = tok_files_tokens(f, &class, own.v, own.n, out, s->err);
    free(own.v);
    buf_add_char(out, ',');
    if (rc) return rc;
    if (rule && rule->asks_ends &&
        (json_get(f->config, "add_bos_token") || json_get(f->config, "add_eos_token")))
        rc = tok_files_bos_eos(f, 0, 0, out, s->err);
    else if (rule || which == CLASS_NLLB)
        rc = write_template(f, rule, out, s->err);
    else
        rc = tok_files_bos_eos(f, which == CLASS_CODE_LLAMA, 0, out, s->err);
    return rc;
}

/* TokenizersBackend gives pieces other texts, but not what merges to them. */
static mlxe_status check_renamed(const spm *s, const tok_files *f)
{
    const json *list = json_get(f->config, "added_tokens_decoder"), *key, *value;
    int old = !json_is(list, JSON_OBJECT);
    json_iter it = json_iterate(old ? f->added : list);
    while (json_next(&it, &key, &value)) {
        int64_t id = old ? json_int(value) : tok_files_number(json_str(key));
        strv text = old ? json_str(key) : json_str(json_get(value, "content"));
        if (id < 0 || (size_t)id >= s->n || strv_eq(s->v[id].text, text)) continue;
        return err_set(s->err, MLXE_E_UNSUPPORTED,
                       "%s: piece %d is \"%.*s\", and the added tokens give it another text",
                       s->where, (int)id, (int)(s->v[id].text.n > 60 ? 60 : s->v[id].text.n),
                       s->v[id].text.p);
    }
    return MLXE_OK;
}

/* NLLB's first pieces of one text: transformers leaves an id of the vocabulary without a piece. */
static mlxe_status check_nllb(const spm *s, const tok_files *f)
{
    for (int i = 0; i < 4; i++) {
        strv text = named_piece(f, strv_of(NLLB_FIRST[i]));
        int own = strv_is(text, NLLB_FIRST[i]);
        for (size_t k = 0; k < s->n && !own; k++)
            own = strv_eq(s->v[k].text, text);
        if (!own)
            return err_set(s->err, MLXE_E_UNSUPPORTED,
                           "%s: tokenizer_config.json: \"%.*s\", which the model lacks, as %.*s of "
                           "%.*s is not supported",
                           f->folder, (int)(text.n > 60 ? 60 : text.n), text.p,
                           (int)(strlen(NLLB_FIRST[i]) - 2), NLLB_FIRST[i] + 1, (int)f->kind.n,
                           f->kind.p);
        if (nllb_first(f, text) == i) continue;
        return err_set(s->err, MLXE_E_UNSUPPORTED,
                       "%s: tokenizer_config.json: \"%.*s\" as two of bos_token, pad_token, "
                       "eos_token and unk_token is not supported for %.*s",
                       f->folder, (int)(text.n > 60 ? 60 : text.n), text.p, (int)f->kind.n,
                       f->kind.p);
    }
    return MLXE_OK;
}

/* XGLM of transformers looks for tokenizer.model alone, and is empty without it. */
static mlxe_status check_xglm(const tok_files *f, mlxe_error *err)
{
    if (!strv_is(f->kind, "XGLMTokenizer") ||
        strv_ends(strv_of(buf_str(&f->path)), STRV("tokenizer.model")))
        return MLXE_OK;
    err_set(err, MLXE_E_UNSUPPORTED,
            "%s: tokenizer_config.json: tokenizer_class XGLMTokenizer is not supported with this "
            "file, want tokenizer.model or tokenizer.json",
            buf_str(&f->path));
    err_hint(err, "save the tokenizer as tokenizer.json (transformers: save_pretrained)");
    return MLXE_E_UNSUPPORTED;
}

static mlxe_status write(tok_files *f, buf *out, mlxe_error *err)
{
    buf text = {0};
    spm s = {.where = buf_str(&f->path), .err = err, .model = SPM_MODEL_UNIGRAM};
    s.dummy_prefix = s.joins_spaces = s.bos_id = 1;
    s.eos_id = 2;
    const tok_class *row = tok_files_class(f, ROWS, CLASSES);
    const spm_rule *rule = spm_rule_find(f);
    int which = rule ? CLASS_RULE : row ? (int)(row - ROWS) : CLASS_PLAIN;
    mlxe_status rc = MLXE_OK;
    if (f->kind.n && which == CLASS_PLAIN) {
        rc = err_set(err, MLXE_E_UNSUPPORTED, "%s: %.*s without tokenizer.json is not supported",
                     s.where, (int)f->kind.n, f->kind.p);
        err_hint(err, "save the tokenizer as tokenizer.json (transformers: save_pretrained)");
        return rc;
    }
    tok_reader r = {&f->mem, s.where, err};
    rc = tok_files_read(f, &text, err);
    if (rc == MLXE_OK) rc = spm_read(&s, buf_view(&text));
    int bpe = which == CLASS_PLAIN || which == CLASS_BACKEND ? s.model == SPM_MODEL_BPE
                                                             : which < CLASS_BACKEND;
    if (rc == MLXE_OK && which == CLASS_BACKEND) rc = check_renamed(&s, f);
    if (rc == MLXE_OK && which == CLASS_NLLB) rc = check_nllb(&s, f);
    if (rc == MLXE_OK) rc = check_xglm(f, err);
    if (rc == MLXE_OK) rc = tok_vocab_init(&r, &f->vocab, s.n + 10110);
    buf_add_char(out, '{');
    if (rc == MLXE_OK) rc = bpe ? write_bpe(&s, which, f, out) : write_unigram(&s, rule, f, out);
    if (rc == MLXE_OK) rc = write_parts(&s, which, rule, f, out);
    if (rc == MLXE_OK) rc = write_tokens(&s, which, rule, f, out);
    buf_add_char(out, '}');
    free(s.v);
    buf_deinit(&text);
    return rc;
}

/* ---- beside a tokenizer.json ----------------------------------------------------------------- */

static const tok_class *class_of(const tok_files *f)
{
    const spm_rule *rule = spm_rule_find(f);
    return rule ? &rule->class : tok_files_class(f, ROWS, CLASS_PLAIN);
}

static int row_of(const tok_files *f)
{
    const tok_class *row = tok_files_class(f, ROWS, CLASS_PLAIN);
    return row ? (int)(row - ROWS) : CLASS_RULE;
}

/* The id that the class takes for the unknown piece of a file's vocabulary. */
static mlxe_status unk_of_file(tok_files *f, const spm_rule *rule, const json *file, int32_t *out,
                               mlxe_error *err)
{
    pieces p = {.where = f->folder, .err = err, .f = f, .rule = rule, .unk_at = -1, .unk_flat = -1};
    const json *item, *text, *score;
    int64_t said = rule->unk_else == SPM_UNK_MODEL;
    p.rc = json_get_int(f->config, "tokenizer_config.json", "unk_id", 0, INT32_MAX, &said, err);
    p.unk = tok_files_role_text(f, ROLE_UNK, strv_of(rule->class.roles[ROLE_UNK]));
    p.model_unk = (int32_t)said;
    json_iter it = json_iterate(json_get(json_get(file, "model"), "vocab"));
    while (json_next(&it, NULL, &item)) {
        json_iter in = json_iterate(item);
        if (json_next(&in, NULL, &text) && json_next(&in, NULL, &score))
            see_piece(&p, json_str(text), json_float(score), p.id);
        p.id++;
    }
    *out = find_unk(&p);
    return p.rc;
}

static void file_charsmap(const json *file, buf *out)
{
    const json *step = tok_files_step(json_get(file, "normalizer"), "normalizers", "Precompiled");
    if (step) json_write_value(out, step);
}

static mlxe_status rebuild_parts(tok_files *f, const json *file, buf *out, mlxe_error *err)
{
    const spm_rule *rule = spm_rule_find(f);
    int which = row_of(f);
    int32_t unk = 0;
    buf charsmap = {0};
    mlxe_status rc = MLXE_OK;
    if (which == CLASS_BACKEND || which == CLASS_FNET) return MLXE_OK;
    if (rule) {
        rc = unk_of_file(f, rule, file, &unk, err);
        buf_addf(out, "\"model\":{\"type\":\"Unigram\",\"unk_id\":%d},", unk);
    } else {
        buf_addf(out, "\"model\":{\"type\":\"BPE\",\"fuse_unk\":true,\"byte_fallback\":%s",
                 which == CLASS_NLLB || which == CLASS_REFORMER || which == CLASS_SEAMLESS
                     ? "false"
                     : "true");
        if (which != CLASS_LLAMA && which != CLASS_TIPSV2) {
            buf_add_str(out, ",\"unk_token\":");
            json_write_str(out,
                           tok_files_role_text(f, ROLE_UNK, strv_of(ROWS[which].roles[ROLE_UNK])));
        }
        buf_add_str(out, "},");
    }
    file_charsmap(file, &charsmap);
    if (rc == MLXE_OK) rc = write_class_parts(f, which, rule, buf_view(&charsmap), out, err);
    if (charsmap.failed) out->failed = 1;
    buf_deinit(&charsmap);
    return rc;
}

/* MLuke's marks, and all its entities. */
static mlxe_status add_entities(const tok_files *f, tok_own_token *own, size_t *n, mlxe_error *err)
{
    static const char *const texts[] = {"[UNK]", "[PAD]", "[MASK]", "[MASK2]"};
    mlxe_status rc = tok_files_entities(f, MARK "<ent>", MARK "<ent2>", own, n, err);
    for (int i = 0; i < 4 && rc == MLXE_OK; i++)
        own[(*n)++] = (tok_own_token){.text = strv_of(texts[i]), .special = 1, .is_object = 1};
    return rc;
}

static mlxe_status rebuild_tokens(tok_files *f, tok_own_token *own, size_t *n, mlxe_error *err)
{
    own_list l = {.v = own};
    const spm_rule *rule = spm_rule_find(f);
    if (rule && rule->class.own_list == OWN_LIST_BEHIND) return add_entities(f, own, n, err);
    mlxe_status rc = set_language(rule, row_of(f), f, err);
    if (rc == MLXE_OK) rc = make_own_list(NULL, row_of(f), rule, f, &l, err);
    *n = l.n;
    return rc;
}

static mlxe_status rebuild_post(tok_files *f, buf *out, mlxe_error *err)
{
    const spm_rule *found = spm_rule_find(f);
    if (!found && row_of(f) == CLASS_CODE_LLAMA) { /* add_bos_token does not count here */
        tok_files_template(f, "bos $A", "bos $A bos:1 $B:1", out);
        return MLXE_OK;
    }
    if (!found && row_of(f) == CLASS_SEAMLESS) {
        tok_files_template(f, "eos lang $A eos", "eos lang $A $B eos", out);
        return MLXE_OK;
    }
    if (!found) return write_template(f, NULL, out, err);
    spm_rule rule = *found;
    if (rule.beside_one) {
        rule.one = rule.beside_one;
        rule.two = rule.beside_two;
    }
    return write_template(f, &rule, out, err);
}

static const tok_rebuild REBUILD = {class_of, rebuild_parts, rebuild_tokens, rebuild_post};

const struct tok_format tok_format_sentencepiece = {2, takes, write, &REBUILD};
