/* tok_spm_rules.c: classes of transformers that read a SentencePiece unigram model, a row each.
 *
 *   first pieces | the model's from `skip` on | last pieces     ids in this order
 *
 * Traps: the files number their pieces in another way than the class (fairseq's order puts <pad>
 * second), so pieces are left out at the begin and written anew. Pegasus puts its masks and 101
 * unused pieces first, in an order that its settings decide (sentencepiece.c).
 *
 * Barthez and RemBert add no special tokens: transformers 5.23 loses their templates (RemBert's is
 * there beside a tokenizer.json).
 *
 * Source: transformers 5.23, models/NAME/tokenization_NAME.py, convert_slow_tokenizer.py. */
#include "text/tok_spm_rules.h"

#define FAIRSEQ "<s> <pad> </s> <unk>"
#define BART_ROLES                                                                                 \
    {                                                                                              \
        "<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>"                                   \
    }
#define LANGUAGES_25                                                                               \
    "ar_AR cs_CZ de_DE en_XX es_XX et_EE fi_FI fr_XX gu_IN hi_IN it_IT ja_XX kk_KZ ko_KR lt_LT "   \
    "lv_LV my_MM ne_NP nl_XX ro_RO ru_RU si_LK tr_TR vi_VN zh_CN"
#define LANGUAGES_52                                                                               \
    LANGUAGES_25                                                                                   \
    " af_ZA az_AZ bn_IN fa_IR he_IL hr_HR id_ID ka_GE km_KH mk_MK ml_IN mn_MN mr_IN pl_PL ps_AF "  \
    "pt_XX sv_SE sw_KE ta_IN te_IN th_TH tl_XX uk_UA ur_PK xh_ZA gl_ES sl_SI"

static const char *const LUKE_TOKENS[][2] = {
    {"entity_1_token", "\xE2\x96\x81<ent>"}, {"entity_2_token", "\xE2\x96\x81<ent2>"},
    {"entity_unk_token", "[UNK]"},           {"entity_pad_token", "[PAD]"},
    {"entity_mask_token", "[MASK]"},         {"entity_mask2_token", "[MASK2]"}};
static const spm_rule RULES[] = {
    {.class = {.names = "T5Tokenizer MT5Tokenizer",
               .own_list = OWN_LIST_OLDER,
               .roles = {NULL, "</s>", "<unk>", NULL, "<pad>"},
               .own_post = OWN_POST},
     .more = SPM_LAST_SENTINELS,
     .unk = 2,
     .normalize = "c",
     .cut = "wm",
     .one = "$A eos",
     .two = "$A eos $B eos"},
    {.class = {.names = "LasrTokenizer",
               .own_list = OWN_LIST_OLDER,
               .roles = {NULL, "</s>", "<unk>", NULL, "<pad>"},
               .own_post = OWN_POST,
               .beside_only = 1},
     .more = SPM_LAST_SENTINELS,
     .unk = 3,
     .normalize = "c",
     .cut = "wm",
     .one = "$A eos",
     .two = "$A eos $B eos"},
    {.class = {.names = "VideoPrismTokenizer",
               .own_list = OWN_LIST_OLDER,
               .roles = {NULL, "</s>", "<unk>", NULL, "<pad>"},
               .beside_only = 1},
     .more = SPM_LAST_SENTINELS,
     .unk = 2,
     .normalize = "c",
     .cut = "wm"},
    {.class = {.names = "UdopTokenizer",
               .roles = {NULL, "</s>", "<unk>", "</s>", "<pad>"},
               .own_post = OWN_POST,
               .beside_only = 1},
     .unk = SPM_UNK_TEXT,
     .unk_else = 2,
     .normalize = "",
     .cut = "wm",
     .one = "$A eos",
     .two = "$A eos $B eos"},
    {.class = {.names = "LayoutXLMTokenizer",
               .roles = BART_ROLES,
               .mask = "l",
               .own_post = OWN_POST,
               .beside_only = 1},
     .unk = 3,
     .asks_prefix = 1,
     .normalize = "ru",
     .cut = "m",
     .one = "cls $A sep",
     .two = "cls $A sep sep $B sep"},
    {.class = {.names = "MLukeTokenizer",
               .roles = BART_ROLES,
               .mask = "l",
               .own_list = OWN_LIST_BEHIND,
               .readds = READDS_TOKENS,
               .own_post = OWN_POST,
               .names_of = LUKE_TOKENS,
               .n_names = sizeof LUKE_TOKENS / sizeof *LUKE_TOKENS,
               .beside_only = 1},
     .unk = 0,
     .normalize = "q",
     .cut = "m",
     .one = "cls $A sep",
     .two = "cls $A sep sep $B:1 sep:1"},
    {.class = {.names = "XLMRobertaTokenizer", .roles = BART_ROLES, .own_post = OWN_POST},
     .first = FAIRSEQ,
     .skip = 3,
     .last = "<mask>",
     .unk = 3,
     .asks_prefix = 1,
     .normalize = "c",
     .cut = "wm",
     .one = "bos $A eos",
     .two = "bos $A eos eos $B eos"},
    {.class =
         {.names = "CamembertTokenizer", .roles = BART_ROLES, .mask = "ls", .own_post = OWN_POST},
     .first = "<s>NOTUSED <pad> </s>NOTUSED <unk> -<unk>NOTUSED",
     .skip = 1,
     .last = "<mask>",
     .unk = SPM_UNK_TEXT,
     .own = "<s>NOTUSED </s>NOTUSED <unk>NOTUSED",
     .asks_prefix = 1,
     .normalize = "c",
     .cut = "wm",
     .one = "bos $A eos",
     .two = "bos $A eos eos $B eos"},
    {.class = {.names = "MBartTokenizer", .roles = BART_ROLES, .mask = "l", .own_post = OWN_POST},
     .first = FAIRSEQ,
     .skip = 3,
     .last = LANGUAGES_25 " <mask>",
     .unk = 3,
     .normalize = "",
     .cut = "wm",
     .one = "$A eos lang",
     .two = "$A $B eos lang",
     .languages = LANGUAGES_25,
     .languages_first = 1,
     .language = "en_XX"},
    {.class = {.names = "MBart50Tokenizer",
               .roles = {NULL, "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>"},
               .mask = "l",
               .own_post = OWN_POST},
     .first = FAIRSEQ,
     .skip = 3,
     .last = LANGUAGES_52 " <mask>",
     .unk = 3,
     .normalize = "cs",
     .cut = "m",
     .one = "lang $A eos",
     .two = "lang $A $B eos",
     .languages = LANGUAGES_52,
     .language = "en_XX"},
    {.class = {.names = "AlbertTokenizer",
               .roles = {"[CLS]", "[SEP]", "<unk>", "[SEP]", "<pad>", "[CLS]", "[MASK]"}},
     .unk = 1,
     .asks_ends = 1,
     .asks_prefix = 1,
     .normalize = "qalc",
     .lower = 1,
     .cut = "wm",
     .one = "cls $A sep",
     .two = "cls $A sep $B:1 sep:1"},
    {.class = {.names = "XLNetTokenizer",
               .roles = {"<s>", "</s>", "<unk>", "<sep>", "<pad>", "<cls>", "<mask>"},
               .mask = "l",
               .own_post = OWN_POST},
     .unk = SPM_UNK_MODEL,
     .own = "<eop> <eod>",
     .normalize = "qAlc",
     .cut = "wm",
     .one = "$A sep cls:2",
     .two = "$A sep $B:1 sep:1 cls:2"},
    {.class = {.names = "DebertaV2Tokenizer",
               .roles = {"[CLS]", "[SEP]", "[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"},
               .own_post = OWN_POST},
     .unk = SPM_UNK_FLAT,
     .unk_else = SPM_UNK_MODEL,
     .asks_prefix = 1,
     .normalize = "lw",
     .cut = "pm",
     .one = "cls $A sep",
     .lost_ends = SPM_LOST_ZERO,
     .two = "cls $A sep $B:1 sep:1"},
    {.class = {.names = "PegasusTokenizer",
               .roles = {NULL, "</s>", "<unk>", NULL, "<pad>", NULL, "<mask_2>"},
               .own_post = OWN_POST},
     .more = SPM_FIRST_PEGASUS,
     .skip = 2,
     .unk = SPM_UNK_FLAT,
     .unk_else = SPM_UNK_REFUSED,
     .unk_from = 1,
     .normalize = "cns",
     .cut = "m",
     .one = "$A eos",
     .lost_ends = SPM_LOST_UNK,
     .two = "$A $B eos"},
    {.class = {.names = "BarthezTokenizer", .roles = BART_ROLES, .mask = "l"},
     .unk = 3,
     .asks_ends = 1,
     .asks_prefix = 1,
     .normalize = "w",
     .cut = "m",
     .one = "$A",
     .two = "$A $B:1"},
    {.class = {.names = "BigBirdTokenizer",
               .roles = {"<s>", "</s>", "<unk>", "[SEP]", "<pad>", "[CLS]", "[MASK]"},
               .mask = "l",
               .objects = 1,
               .own_post = OWN_POST},
     .unk = SPM_UNK_FLAT,
     .unk_else = 100,
     .asks_prefix = 1,
     .normalize = "u",
     .cut = "m",
     .one = "cls $A sep",
     .two = "cls $A sep $B:1 sep:1"},
    {.class = {.names = "RemBertTokenizer",
               .roles = {"[CLS]", "[SEP]", "<unk>", "[SEP]", "<pad>", "[CLS]", "[MASK]"},
               .readds = READDS_TOKENS,
               .own_post = OWN_POST_OF_ANOTHER},
     .unk = 2,
     .asks_ends = 1,
     .asks_prefix = 1,
     .normalize = "qsdlc",
     .cut = "m",
     .one = "$A",
     .two = "$A $B:1",
     .lost_ends = SPM_LOST_UNK,
     .beside_one = "cls $A sep",
     .beside_two = "cls $A sep $B:1 sep:1"},
    {.class = {.names = "XGLMTokenizer",
               .roles = {"<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>"},
               .own_post = OWN_POST},
     .unk = 3,
     .asks_prefix = 1,
     .normalize = "cs",
     .cut = "m",
     .one = "eos $A",
     .two = "eos $A eos eos $B",
     .languages = "<madeupword0> <madeupword1> <madeupword2> <madeupword3> <madeupword4> "
                  "<madeupword5> <madeupword6>"},
};

const spm_rule *spm_rule_find(const tok_files *f)
{
    for (size_t i = 0; i < sizeof RULES / sizeof *RULES; i++)
        if (tok_files_class(f, &RULES[i].class, 1)) return &RULES[i];
    return NULL;
}

/* ---- writing --------------------------------------------------------------------------------- */

typedef struct options {
    int lower, keep_accents /* -1: not said */, by_punct, prefix;
} options;

static void add_item(buf *list, const char *item)
{
    if (list->n) buf_add_char(list, ',');
    buf_add_str(list, item);
}

#define REPLACE(kind, pattern, content)                                                            \
    "{\"type\":\"Replace\",\"pattern\":{\"" kind "\":\"" pattern "\"},\"content\":\"" content "\"" \
    "}"
#define ACCENTS "{\"type\":\"NFKD\"},{\"type\":\"StripAccents\"}"

static void write_normalizer(const spm_rule *rule, const options *o, strv charsmap, buf *out)
{
    buf list = {0};
    for (const char *p = rule->normalize; *p; p++) {
        if (*p == 'q')
            add_item(&list, REPLACE("String", "``", "\\\"") "," REPLACE("String", "''", "\\\""));
        if (*p == 'A' || (*p == 'a' && o->keep_accents != 1) || (*p == 'd' && !o->keep_accents))
            add_item(&list, ACCENTS);
        if (*p == 'l' && o->lower) add_item(&list, "{\"type\":\"Lowercase\"}");
        if (*p == 'n' && !charsmap.n) add_item(&list, REPLACE("Regex", "\\n", " "));
        if (*p == 'r')
            add_item(&list, "{\"type\":\"Strip\",\"strip_left\":false,\"strip_right\":true}");
        if (*p == 'u') add_item(&list, REPLACE("Regex", " {2,}", "\xE2\x96\x81"));
        if (*p == 's') add_item(&list, REPLACE("Regex", " {2,}", " "));
        if (*p == 'w')
            add_item(&list, REPLACE("Regex", "\\\\s{2,}|[\\\\n\\\\r\\\\t]",
                                    " ") ",{\"type\":\"NFC\"},{\"type\":\"Strip\",\"strip_left\":"
                                         "false,\"strip_right\":true}");
        if (*p == 'c' && charsmap.n) {
            add_item(&list, "");
            buf_add_strv(&list, charsmap);
        }
    }
    if (list.n) {
        buf_add_str(out, "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[");
        buf_add_strv(out, buf_view(&list));
        buf_add_str(out, "]},");
    }
    if (list.failed) out->failed = 1;
    buf_deinit(&list);
}

static void add_metaspace(buf *list, const char *scheme)
{
    add_item(list, "");
    buf_addf(list,
             "{\"type\":\"Metaspace\",\"replacement\":\"\xE2\x96\x81\",\"prepend_scheme\":"
             "\"%s\",\"split\":true}",
             scheme);
}

static void write_cut(const spm_rule *rule, const options *o, buf *out)
{
    const char *scheme = o->prefix ? "always" : strchr(rule->cut, 'p') ? "first" : "never";
    buf list = {0};
    for (const char *p = rule->cut; *p; p++) {
        if (*p == 'w') add_item(&list, "{\"type\":\"WhitespaceSplit\"}");
        if (*p == 'p' && o->by_punct)
            add_item(&list, "{\"type\":\"Punctuation\",\"behavior\":\"Isolated\"}");
        if (*p == 'm') add_metaspace(&list, scheme);
    }
    buf_add_str(out, "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[");
    buf_add_strv(out, buf_view(&list));
    buf_add_str(out, "]},\"decoder\":");
    buf_clear(&list);
    add_metaspace(&list, scheme);
    buf_add_strv(out, buf_view(&list));
    buf_add_char(out, ',');
    if (list.failed) out->failed = 1;
    buf_deinit(&list);
}

/* null is false here: the classes hand it on to Python's if. */
static mlxe_status read_flag(const tok_files *f, const char *key, int *out, mlxe_error *err)
{
    if (json_is(json_get(f->config, key), JSON_NULL)) *out = 0;
    return tok_files_bool(f, key, out, err);
}

mlxe_status spm_rule_write(const spm_rule *rule, const tok_files *f, strv charsmap, buf *out,
                           mlxe_error *err)
{
    options o = {.lower = rule->lower, .keep_accents = -1, .prefix = 1};
    mlxe_status rc = read_flag(f, "do_lower_case", &o.lower, err);
    if (rc == MLXE_OK) rc = read_flag(f, "keep_accents", &o.keep_accents, err);
    if (rc == MLXE_OK) rc = read_flag(f, "split_by_punct", &o.by_punct, err);
    if (rc == MLXE_OK && rule->asks_prefix) rc = read_flag(f, "add_prefix_space", &o.prefix, err);
    if (rc) return rc;
    write_normalizer(rule, &o, charsmap, out);
    write_cut(rule, &o, out);
    return MLXE_OK;
}
