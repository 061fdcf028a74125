/* test_tok.c: what the vectors cannot show: messages of files that are refused, limits, hostile
 * sizes in linear time, streams that hold back what is not certain, use from several threads. */
#include "text/tok_parts.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define BYTES                                                                                      \
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":true}"
#define MODEL                                                                                      \
    "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"aa\":1,\"aaaa\":2,\"aaaaaaaa\":3,\"b\":4,"   \
    "\"\xC4\xA0\":5,\"\xC4\x8A\":6,\"\xC3\xA2\":7,\"\xC4\xA4\":8,\"\xC2\xAC\":9,\"\xC3\x8C\":10,"  \
    "\"\xC4\xA3\":11},"                                                                            \
    "\"merges\":[\"a a\",\"aa aa\",\"aaaa aaaa\"]}"
#define GPT2 "{\"pre_tokenizer\":" BYTES ",\"decoder\":" BYTES "," MODEL "}"

static tok *must_open(const char *text)
{
    mlxe_error err;
    tok *t = NULL;
    if (tok_open("t.json", text, strlen(text), &t, &err)) fail_msg("%s", err.message);
    return t;
}

static void refused(mlxe_status want, const char *message, const char *text)
{
    mlxe_error err = {0};
    tok *t = (tok *)&err;
    mlxe_status rc = tok_open("t.json", text, strlen(text), &t, &err);
    assert_null(t);
    if (!strstr(err.message, message))
        fail_msg("\"%s\" does not hold \"%s\"", err.message, message);
    assert_int_equal(rc, want);
    assert_int_equal(err.code, want);
}

static void refusals(void **unused)
{
    (void)unused;
    refused(MLXE_E_CORRUPT, "t.json", "{");
    refused(MLXE_E_CORRUPT, "t.json: model", "{}");
    refused(MLXE_E_CORRUPT, "no JSON object", "[]");
    refused(MLXE_E_UNSUPPORTED, "version 2.0", "{\"version\":\"2.0\"," MODEL "}");
    refused(MLXE_E_UNSUPPORTED, "model Magic", "{\"model\":{\"type\":\"Magic\"}}");
    refused(MLXE_E_UNSUPPORTED, "normalizer Magic",
            "{\"normalizer\":{\"type\":\"Magic\"}," MODEL "}");
    refused(MLXE_E_UNSUPPORTED, "pre_tokenizer[1]: pre-tokenizer Magic",
            "{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[" BYTES
            ",{\"type\":\"Magic\"}]}," MODEL "}");
    refused(MLXE_E_UNSUPPORTED, "decoder: decoder Magic",
            "{\"decoder\":{\"type\":\"Magic\"}," MODEL "}");
    refused(MLXE_E_UNSUPPORTED, "post-processor Magic",
            "{\"post_processor\":{\"type\":\"Magic\"}," MODEL "}");
    refused(MLXE_E_CORRUPT, "a merge names \"c\"",
            "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a c\"]}}");
    refused(MLXE_E_UNSUPPORTED, "dropout",
            "{\"model\":{\"type\":\"BPE\",\"dropout\":0.1,\"vocab\":{},\"merges\":[]}}");
    refused(MLXE_E_CORRUPT, "no id",
            "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1},\"merges\":[]}}");
    refused(MLXE_E_CORRUPT, "unk_id",
            "{\"model\":{\"type\":\"Unigram\",\"unk_id\":3,\"vocab\":[[\"a\",0]]}}");
    refused(MLXE_E_CORRUPT, "not declared",
            "{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":"
            "{\"id\":\"x\",\"type_id\":0}}],\"pair\":[],\"special_tokens\":{}}," MODEL "}");
}

static void refuse_regex(const char *pattern, const char *message)
{
    char text[2000];
    snprintf(text, sizeof text,
             "{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"%s\"},\"behavior\":"
             "\"Isolated\",\"invert\":false}," MODEL "}",
             pattern);
    refused(MLXE_E_UNSUPPORTED, message, text);
}

static void regexes(void **unused)
{
    (void)unused;
    refuse_regex("\\\\p{Klingon}", "a character property that is not built");
    refuse_regex("(?~|abc)", "an absent function with a range");
    refuse_regex("(?~a(?~b))", "an absent function in another");
    refuse_regex("(?:|a){2}", "a bounded repeat of what may be empty");
    refuse_regex("(?:a??b*){3,}", "a bounded repeat of what may be empty");
    refuse_regex("(?:(a?)|b\\\\1){2}", "a bounded repeat of what may be empty");
    refuse_regex("(?i)(?<=\xEA\x9F\x8B)a", "a letter of Unicode 16 that folds, in a look-behind");
    refuse_regex("(?<n>a)(?<n>b)", "two groups of one name");
    refuse_regex("(?<n>a)\\\\1", "a numbered back-reference beside named groups");
    refuse_regex("(a)\\\\k<2>", "a reference to no group");
    refuse_regex("(a)\\\\1\\\\g<1>", "a subexpression call beside back-references");
    refuse_regex("(?y{w})\\\\X", "this group option");
    refuse_regex("(?i)(a)\\\\1", "a back-reference with case ignored");
    refuse_regex("(?i)clas(?:s)", "letters that fold to one character, across a group");
    refuse_regex("(?i)(?<=[\xC3\x9F])a", "letters that fold to several, in a look-behind");
    refuse_regex("(a)?(?(1)b)", "a condition without an else");
    refuse_regex("(?((a))b|c)", "a group that captures in a condition");
    refuse_regex("(?(2)b|c)", "a condition on no group");
    refuse_regex("(a", "a group without its end");
    refuse_regex("a)", "a ) without its (");
    refuse_regex("[a", "a class without its end");
    refuse_regex("*a", "a quantifier without a target");
    refuse_regex("(?<=a+)b", "lookbehind");
}

/* Groups by name and number; the places are the tokenizers package's. */
static void regex_groups(void **unused)
{
    (void)unused;
    static const struct {
        const char *pattern, *text;
        size_t hits[8]; /* begin, end, ..; 99 ends */
    } rows[] = {{"(?<a>\\w)\\k<a>", "aab bb", {0, 2, 4, 6, 99}},
                {"(?'q'['\"]).*?\\k'q'", "x'a\"b'y\"", {1, 6, 99}},
                {"(?<a>a|b)(c)\\k<a>", "acabcbacb", {0, 3, 3, 6, 99}},
                {"(\\w)(\\d)\\k<-1>", "a11a12", {0, 3, 99}},
                {"\\((?:[^()]|\\g<0>)*\\)", "(a(b)c)((", {0, 7, 99}},
                {"(?<p>\\((?:[^()]|\\g<p>)*\\))", "x(())", {1, 5, 99}},
                {"(?<n>a)(b)", "ab", {0, 2, 99}},
                {"(a)?(?(1)b|c)", "ab c b", {0, 2, 3, 4, 99}},
                {"(?<n>a)?(?(<n>)b|c|d)", "abdb", {0, 2, 2, 3, 99}},
                {"(?(a+)b|c)", "aabcac", {0, 3, 3, 4, 5, 6, 99}},
                {"a*(?:b\\w)?+[a-z]", "xa1", {0, 1, 1, 2, 99}},
                /* text segments: flags, a joiner that joins pictographs only */
                {"\\X", "a\u0301\U0001F1E6\U0001F1E7\U0001F1E8", {0, 3, 3, 11, 11, 15, 99}},
                {"x\\X", "x\u200d\u263a\u200d\u263ax", {0, 4, 99}},
                {"a+\\y", "aa\u0301", {0, 1, 99}},
                {"\\y\\w\\Y", "ea\u0301", {1, 2, 99}},
                /* case ignored: sets, and one letter that is several */
                {"(?i)\u00df", "s\u017fS\u1e9e s", {0, 3, 4, 7, 99}},
                {"(?i)sst", "\ufb06\u00dftSST", {3, 6, 6, 9, 99}},
                {"(?i)[\\p{Lu}]", "a\u00dfB1", {0, 1, 1, 3, 3, 4, 99}},
                {"(?i)[^\\p{Lu}]", "aA1", {2, 3, 99}},
                {"(?i)\\p{Lu}", "aA1", {1, 2, 99}},
                {"(?i)[\ufb00-\ufb06]$", "ffi", {0, 3, 99}},
                /* the bracket has symbols, the property has not */
                {"[[:punct:]]", "a>,|b", {1, 2, 2, 3, 3, 4, 99}},
                {"[^a[:^punct:]]", "a>,|b", {1, 2, 2, 3, 3, 4, 99}},
                {"\\p{Punct}", "a>,|b", {2, 3, 99}},
                /* what an absent function takes; repeats of what may be empty */
                {"(?~ab)b", "xxabxxab", {3, 4, 7, 8, 99}},
                {"/\\*(?~\\*/)\\*/", "a /* b */ c */", {2, 9, 99}},
                {"(?y{g})\\X", "a\u0301b", {0, 3, 3, 4, 99}},
                {"(?:x|){2}(?<=a)", "xxaxax", {3, 3, 5, 5, 99}},
                {"(?:a?b?){2,3}c", "ababcabababc", {0, 5, 5, 12, 99}},
                {"(?:(?>a?)){3}b", "aaaab", {1, 5, 99}},
                {"(?:\\b|(.)*+|x)b|\\k<1>", "- a", {99}},
                {"(?i)\u1c89[^\ua7cb]", "\u1c8a\u0264\u1c8aa", {5, 9, 99}}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mlxe_error err;
        arena mem = {0};
        tok_reader r = {&mem, "pattern", &err};
        tok_regex *re;
        tok_match_state *state = NULL;
        tok_matches out = {0};
        size_t n = 0;
        if (tok_regex_open(&r, strv_of(rows[i].pattern), REGEX_ANY, &re))
            fail_msg("%s", err.message);
        assert_int_equal(tok_regex_find(re, strv_of(rows[i].text), &state, &out, &err), MLXE_OK);
        for (size_t k = 0; k < out.n; k++) {
            if (!out.m[k].hit) continue;
            assert_int_equal(out.m[k].b, rows[i].hits[n]);
            assert_int_equal(out.m[k].e, rows[i].hits[n + 1]);
            n += 2;
        }
        assert_int_equal(rows[i].hits[n], 99);
        tok_regex_close(re);
        tok_match_state_close(state);
        free(out.m);
        arena_deinit(&mem);
    }
}

/* A pattern that needs more steps than the limit allows is an error, never a wrong cut. */
static void regex_limit(void **unused)
{
    (void)unused;
    mlxe_error err;
    tok_ids ids = {0};
    tok *t =
        must_open("{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(a|aa)+$\"},"
                  "\"behavior\":\"Isolated\",\"invert\":false}," MODEL "}");
    char text[200];
    memset(text, 'a', sizeof text);
    text[199] = 'b';
    assert_int_equal(tok_encode(t, strv_from(text, 200), strv_from(NULL, 0), 0, &ids, &err),
                     MLXE_E_LIMIT);
    assert_non_null(strstr(err.message, "(a|aa)+$"));
    assert_int_equal(ids.n, 0);
    tok_ids_deinit(&ids);
    tok_close(t);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double time_of(const tok *t, strv unit, size_t bytes, size_t want_tokens)
{
    mlxe_error err;
    tok_ids ids = {0};
    buf text = {0};
    while (text.n + unit.n <= bytes)
        buf_add_strv(&text, unit);
    double from = seconds();
    assert_int_equal(tok_encode(t, buf_view(&text), strv_from(NULL, 0), 0, &ids, &err), MLXE_OK);
    double spent = seconds() - from;
    if (want_tokens) assert_int_equal(ids.n, want_tokens);
    tok_ids_deinit(&ids);
    buf_deinit(&text);
    return spent;
}

/* 8 times the text takes about 8 times as long: a quadratic loop would take 64 times. */
static void linear(void **unused)
{
    (void)unused;
    static const strv units[] = {
        {"a", 1},  {" ", 1}, {"\n", 1}, {"\xCC\x81", 2}, {"\xE2\x82\xAC", 3},
        {"ab", 2}, {".", 1}, {"7", 1}};
    tok *t = must_open(GPT2);
    tok *nfc =
        must_open("{\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":" BYTES "," MODEL "}");
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        const tok *which = i == 3 ? nfc : t;
        size_t n = 1 << 20;
        double small = time_of(which, units[i], n / 8, i == 0 ? n / 64 : 0);
        double large = time_of(which, units[i], n, i == 0 ? n / 8 : 0);
        if (large > 24 * small + 0.2) fail_msg("unit %zu: %f s, then %f s", i, small, large);
    }
    tok_close(t);
    tok_close(nfc);
}

/* Files by hand (tools/goldens/tokenizers/odd.py drew their like); the ids are the package's. */
static void by_hand(void **unused)
{
    (void)unused;
    static const struct {
        const char *file, *text;
        int32_t ids[8]; /* -1 ends */
        const char *decoded;
    } rows[] = {
        /* Sums of equal scores: which path comes first hangs on how a score was read. */
        {"{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"<unk>\",0.0],"
         "[\"_\",-7.5372506496666904],[\"aa\",-1.5836786446575513],[\"a\",-9.780858449280021]]}}",
         "_aaaaa",
         {1, 3, 2, 2, -1},
         "_ a aa aa"},
        {"{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"<unk>\",0.0],"
         "[\"_\",-7.5372506496666904],[\"aa\",-1.5836786446575513],[\"a\",-9.780858449280021]]}}",
         "__aaaaa",
         {1, 1, 2, 2, 3, -1},
         "_ _ aa aa a"},
        /* One string, two ids: the last is given, both are shown. */
        {"{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,"
         "\"vocab\":[[\"a\",-1.0],[\"b\",-1.0],[\"a\",-2.0]]}}",
         "ab",
         {2, 1, -1},
         "a b"},
        /* Parts without a type. */
        {"{\"normalizer\":{\"normalizers\":[{\"prepend\":\"_\"},{\"pattern\":{\"String\":\"x\"},"
         "\"content\":\"y\"}]},\"decoder\":{\"prefix\":\"##\",\"cleanup\":false},"
         "\"post_processor\":{\"sep\":[\"b\",1],\"cls\":[\"c\",2]},"
         "\"model\":{\"vocab\":{\"u\":0,\"_y\":1,\"##y\":2},\"unk_token\":\"u\"}}",
         "x",
         {2, 1, 1, -1},
         "##y _y _y"},
        /* A text whose begin the normalizer took away begins elsewhere. */
        {"{\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\"x\"},\"content\":\"\"},"
         "\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":"
         "\"first\",\"split\":false},\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"u\":0,"
         "\"_a\":1,\"a\":2},\"unk_token\":\"u\"}}",
         "xa",
         {2, -1},
         "a"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mlxe_error err;
        tok_ids ids = {0};
        buf out = {0};
        int32_t flat[8];
        tok *t = must_open(rows[i].file);
        assert_int_equal(
            tok_encode(t, strv_of(rows[i].text), strv_from(NULL, 0), TOK_ADD_SPECIAL, &ids, &err),
            MLXE_OK);
        for (size_t k = 0; k < ids.n; k++)
            assert_int_equal(flat[k] = ids.tokens[k].id, rows[i].ids[k]);
        assert_int_equal(rows[i].ids[ids.n], -1);
        assert_int_equal(tok_decode(t, flat, ids.n, 0, &out, &err), MLXE_OK);
        assert_string_equal(buf_str(&out), rows[i].decoded);
        tok_ids_deinit(&ids);
        buf_deinit(&out);
        tok_close(t);
    }
}

static void stream(void **unused)
{
    (void)unused;
    mlxe_error err;
    tok_stream *s;
    buf out = {0};
    tok *t = must_open(GPT2);
    assert_int_equal(tok_stream_open(t, 0, &s, &err), MLXE_OK);
    assert_int_equal(tok_stream_push(s, 0, &out, &err), MLXE_OK);
    assert_string_equal(buf_str(&out), "a");
    static const int32_t euro[] = {7, 8, 9}; /* E2 82 AC */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(tok_stream_push(s, euro[i], &out, &err), MLXE_OK);
        assert_string_equal(buf_str(&out), "a");
    }
    assert_int_equal(tok_stream_push(s, euro[2], &out, &err), MLXE_OK);
    assert_string_equal(buf_str(&out), "a\xE2\x82\xAC");
    assert_int_equal(tok_stream_push(s, 7, &out, &err), MLXE_OK);
    assert_int_equal(tok_stream_push(s, 12345, &out, &err), MLXE_OK); /* unknown: skipped */
    assert_int_equal(tok_stream_push(s, 4, &out, &err), MLXE_OK);     /* b breaks the character */
    assert_string_equal(buf_str(&out), "a\xE2\x82\xAC\xEF\xBF\xBD"
                                       "b");
    assert_int_equal(tok_stream_push(s, 7, &out, &err), MLXE_OK);
    assert_int_equal(tok_stream_finish(s, &out, &err), MLXE_OK);
    assert_string_equal(buf_str(&out), "a\xE2\x82\xAC\xEF\xBF\xBD"
                                       "b\xEF\xBF\xBD");
    tok_stream_close(s);
    tok_close(t);
    buf_deinit(&out);
}

/* Offsets of the bytes of one character are that character's; broken UTF-8 is refused. */
static void offsets(void **unused)
{
    (void)unused;
    mlxe_error err;
    tok_ids ids = {0};
    tok *t = must_open(GPT2);
    assert_int_equal(tok_encode(t, strv_of("a\xE2\x82\xAC"), strv_from(NULL, 0), 0, &ids, &err), 0);
    assert_int_equal(ids.n, 4);
    for (int i = 1; i < 4; i++) {
        assert_int_equal(ids.tokens[i].begin, 1);
        assert_int_equal(ids.tokens[i].end, 4);
    }
    assert_int_equal(tok_encode(t, strv_of("a\xE2\x82"), strv_from(NULL, 0), 0, &ids, &err),
                     MLXE_E_INPUT);
    assert_int_equal(ids.n, 4); /* as it was */
    tok_ids_deinit(&ids);
    tok_close(t);
}

static void special_tokens(void **unused)
{
    (void)unused;
    mlxe_error err;
    tok_ids ids = {0};
    tok *t = must_open("{\"added_tokens\":[{\"id\":12,\"content\":\"<b>\",\"single_word\":false,"
                       "\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true}],"
                       "\"pre_tokenizer\":" BYTES ",\"decoder\":" BYTES "," MODEL "}");
    assert_int_equal(tok_size(t), 13);
    assert_int_equal(tok_id(t, STRV("<b>")), 12);
    assert_int_equal(tok_id(t, STRV("aaaa")), 2);
    assert_int_equal(tok_id(t, STRV("zz")), -1);
    assert_true(tok_is_special(t, 12));
    assert_false(tok_is_special(t, 4));
    assert_int_equal(tok_encode(t, STRV("a<b>b"), strv_from(NULL, 0), 0, &ids, &err), MLXE_OK);
    assert_int_equal(ids.n, 3);
    assert_int_equal(ids.tokens[1].id, 12);
    tok_ids_deinit(&ids);
    assert_int_equal(
        tok_encode(t, STRV("a<b>b"), strv_from(NULL, 0), TOK_PLAIN_SPECIAL, &ids, &err), MLXE_OK);
    assert_int_equal(ids.n, 3); /* a b b: the model has no < and > */
    assert_int_equal(ids.tokens[1].id, 4);
    tok_ids_deinit(&ids);
    tok_close(t);
}

#define ADDED(id, text, special)                                                                   \
    "{\"id\":" id ",\"content\":\"" text "\",\"single_word\":false,\"lstrip\":false,"              \
    "\"rstrip\":false,\"normalized\":false,\"special\":" special "}"
#define TOKENS                                                                                     \
    "{\"added_tokens\":[" ADDED("3", "<b>", "true") "," ADDED("8", "<|u|>", "false") "," ADDED(    \
        "9", "<t>", "false") "],\"model\":"

/* Content cannot become a control token, even where the model's own vocabulary holds it. */
static void plain_special(void **unused)
{
    (void)unused;
    static const struct {
        const char *json;
        int32_t want[8];
    } rows[] = {
        {TOKENS "{\"type\":\"BPE\",\"vocab\":{\"<\":0,\"b\":1,\">\":2,\"<b>\":3,\"b>\":4},"
                "\"merges\":[\"b >\",\"< b>\"]}}",
         {0, 4, -1}},
        {TOKENS "{\"type\":\"BPE\",\"ignore_merges\":true,\"vocab\":{\"<\":0,\"b\":1,\">\":2,"
                "\"<b>\":3},\"merges\":[]}}",
         {0, 1, 2, -1}},
        {TOKENS
         "{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"<unk>\",0],[\"<\",-9],[\"b>\",-9],"
         "[\"<b>\",0]]}}",
         {1, 2, -1}},
        {TOKENS "{\"type\":\"WordLevel\",\"unk_token\":\"x\",\"vocab\":{\"x\":0,\"<b>\":3}}}",
         {0, -1}},
        {TOKENS
         "{\"type\":\"WordPiece\",\"unk_token\":\"x\",\"continuing_subword_prefix\":\"#\","
         "\"max_input_chars_per_word\":100,\"vocab\":{\"x\":0,\"<\":1,\"#b>\":2,\"<b>\":3}}}",
         {1, 2, -1}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mlxe_error err;
        tok_ids ids = {0};
        size_t n = 0;
        tok *t = must_open(rows[i].json);
        int32_t first = tok_id(t, STRV("<|u|>"));
        assert_int_equal(tok_encode(t, STRV("<b><|u|>"), strv_from(NULL, 0), 0, &ids, &err), 0);
        assert_int_equal(ids.n, 2);
        assert_int_equal(ids.tokens[0].id, 3);
        assert_int_equal(ids.tokens[1].id, first);
        tok_ids_deinit(&ids);
        assert_int_equal(
            tok_encode(t, STRV("<b>"), strv_from(NULL, 0), TOK_PLAIN_SPECIAL, &ids, &err), 0);
        while (rows[i].want[n] >= 0)
            n++;
        assert_int_equal(ids.n, n);
        for (size_t k = 0; k < n; k++)
            assert_int_equal(ids.tokens[k].id, rows[i].want[k]);
        tok_ids_deinit(&ids);
        assert_int_equal(
            tok_encode(t, STRV("<|u|><t>"), strv_from(NULL, 0), TOK_PLAIN_SPECIAL, &ids, &err), 0);
        assert_true(ids.n > 0);
        assert_int_equal(ids.tokens[ids.n - 1].id, tok_id(t, STRV("<t>")));
        for (size_t k = 0; k < ids.n; k++)
            assert_int_not_equal(ids.tokens[k].id, first);
        tok_ids_deinit(&ids);
        tok_close(t);
    }
}

/* A template behind one that left no part: what it adds is all there is. */
static void empty_template(void **unused)
{
    (void)unused;
    static const char text[] =
        "{\"post_processor\":{\"type\":\"Sequence\",\"processors\":["
        "{\"type\":\"TemplateProcessing\",\"single\":[],\"pair\":[],\"special_tokens\":{}},"
        "{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},"
        "{\"SpecialToken\":{\"id\":\"b\",\"type_id\":1}}],\"pair\":[{\"Sequence\":{\"id\":\"A\","
        "\"type_id\":0}},{\"Sequence\":{\"id\":\"B\",\"type_id\":0}}],\"special_tokens\":{\"b\":"
        "{\"id\":\"b\",\"ids\":[4],\"tokens\":[\"b\"]}}}]},"
        "\"pre_tokenizer\":" BYTES "," MODEL "}";
    mlxe_error err;
    tok *t = must_open(text);
    for (int pair = 0; pair < 2; pair++) {
        tok_ids ids = {0};
        strv second = {NULL, 0};
        if (pair) second = STRV("ba");
        assert_int_equal(tok_encode(t, STRV("aab"), second, TOK_ADD_SPECIAL, &ids, &err), MLXE_OK);
        assert_int_equal(ids.n, 1);
        assert_int_equal(ids.tokens[0].id, 4);
        tok_ids_deinit(&ids);
    }
    tok_close(t);
}

static void truncation(void **unused)
{
    (void)unused;
    mlxe_error err;
    tok_ids ids = {0};
    tok *t =
        must_open("{\"truncation\":{\"direction\":\"Left\",\"max_length\":2,\"strategy\":"
                  "\"LongestFirst\",\"stride\":0},\"padding\":{\"strategy\":{\"Fixed\":4},"
                  "\"direction\":\"Right\",\"pad_id\":4,\"pad_type_id\":7,\"pad_token\":\"b\"},"
                  "\"pre_tokenizer\":" BYTES "," MODEL "}");
    strv text = STRV("b a\na");
    assert_int_equal(tok_encode(t, text, strv_from(NULL, 0), 0, &ids, &err), MLXE_OK);
    assert_true(ids.truncated);
    assert_int_equal(ids.n, 4);
    assert_int_equal(ids.tokens[1].id, 0);
    assert_int_equal(ids.tokens[1].end, 5);
    assert_int_equal(ids.tokens[3].id, 4);
    assert_int_equal(ids.tokens[3].type_id, 7);
    tok_ids_deinit(&ids);
    assert_int_equal(tok_encode(t, text, strv_from(NULL, 0), TOK_NO_TRUNCATION, &ids, &err), 0);
    assert_false(ids.truncated);
    assert_int_equal(ids.n, 5);
    tok_ids_deinit(&ids);
    tok_close(t);
}

/* One tokenizer, several threads: the same ids as alone. */
static void *encode_often(void *arg)
{
    const tok *t = arg;
    mlxe_error err;
    size_t sum = 0;
    for (int i = 0; i < 200; i++) {
        tok_ids ids = {0};
        if (tok_encode(t, STRV("aaaaaaab aaa b\n\nab aaaaaaaaaaaaaaaaaab"), strv_from(NULL, 0), 0,
                       &ids, &err))
            return NULL;
        for (size_t k = 0; k < ids.n; k++)
            sum = sum * 31 + (size_t)ids.tokens[k].id;
        tok_ids_deinit(&ids);
    }
    return (void *)sum;
}

static void threads(void **unused)
{
    (void)unused;
    tok *t = must_open(GPT2);
    pthread_t id[4];
    void *alone = encode_often(t), *got;
    assert_non_null(alone);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&id[i], NULL, encode_often, t), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(id[i], &got);
        assert_ptr_equal(got, alone);
    }
    tok_close(t);
}

static void folders(void **unused)
{
    (void)unused;
    mlxe_error err;
    tok *t;
    assert_int_equal(tok_open_folder(MLXE_SOURCE_DIR "/tests/no-such-folder", &t, &err),
                     MLXE_E_NOT_FOUND);
    assert_null(t);
    tok_close(NULL);
    tok_stream_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals),     cmocka_unit_test(regexes),
        cmocka_unit_test(regex_limit),  cmocka_unit_test(linear),
        cmocka_unit_test(by_hand),      cmocka_unit_test(stream),
        cmocka_unit_test(offsets),      cmocka_unit_test(special_tokens),
        cmocka_unit_test(truncation),   cmocka_unit_test(threads),
        cmocka_unit_test(folders),      cmocka_unit_test(plain_special),
        cmocka_unit_test(regex_groups), cmocka_unit_test(empty_template),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
