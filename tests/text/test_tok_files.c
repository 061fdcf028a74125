/* test_tok_files.c: tokenizers without tokenizer.json: ids, byte offsets and type ids equal
 * those of the class of transformers (or of sentencepiece) that the folder names, on the folders
 * of tools/goldens/tokenizers/files.py; the same with settings of special tokens beside them, and
 * beside a tokenizer.json (settings_vectors.py); broken files are refused with a message that names
 * them. */
#include "base/fs.h"
#include "base/json.h"
#include "text/tok.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define FOLDER MLXE_SOURCE_DIR "/tests/text/data/tok_files"

static void add_answer(buf *b, const tok_ids *ids)
{
    buf_add_str(b, "{\"ids\":[");
    for (size_t i = 0; i < ids->n; i++)
        buf_addf(b, "%s%d", i ? "," : "", ids->tokens[i].id);
    buf_add_str(b, "],\"offsets\":[");
    for (size_t i = 0; i < ids->n; i++)
        buf_addf(b, "%s[%d,%d]", i ? "," : "", (int)ids->tokens[i].begin, (int)ids->tokens[i].end);
    buf_add_str(b, "],\"type_ids\":[");
    for (size_t i = 0; i < ids->n; i++)
        buf_addf(b, "%s%d", i ? "," : "", ids->tokens[i].type_id);
    buf_add_str(b, "]}");
}

static void compare_ids(const json *want, const tok_ids *ids, const char *name)
{
    const json *item;
    size_t n = 0;
    json_iter it = json_iterate(want);
    while (json_next(&it, NULL, &item)) {
        if (n >= ids->n || json_int(item) != ids->tokens[n].id) fail_msg("%s: id %zu", name, n);
        n++;
    }
    assert_int_equal(n, ids->n);
}

/* A line is [question, answer]; an answer of sentencepiece has ids alone. */
static void check_line(const tok *t, const char *name, const json *question, const json *answer)
{
    mlxe_error err;
    tok_ids ids = {0};
    buf want = {0}, got = {0};
    const json *pair = json_get(question, "pair");
    strv second = {NULL, 0};
    if (pair) second = json_str(pair);
    if (tok_encode(t, json_str(json_get(question, "text")), second,
                   json_bool(json_get(question, "add_special_tokens")) ? TOK_ADD_SPECIAL : 0, &ids,
                   &err))
        fail_msg("%s: %s", name, err.message);
    if (json_get(answer, "offsets")) {
        json_write_value(&want, answer);
        add_answer(&got, &ids);
        if (!strv_eq(buf_view(&got), buf_view(&want)))
            fail_msg("%s: %s\n  is %s\n  want %s", name, json_str(json_get(question, "text")).p,
                     buf_str(&got), buf_str(&want));
    } else {
        compare_ids(json_get(answer, "ids"), &ids, name);
    }
    tok_ids_deinit(&ids);
    buf_deinit(&want);
    buf_deinit(&got);
}

static size_t check_folder(const char *name)
{
    mlxe_error err;
    char path[400];
    buf text = {0};
    tok *t;
    size_t lines = 0;
    snprintf(path, sizeof path, FOLDER "/%s", name);
    if (tok_open_folder(path, &t, &err)) fail_msg("%s", err.message);
    snprintf(path, sizeof path, FOLDER "/%s.jsonl", name);
    assert_int_equal(fs_read(path, 0, &text, &err), MLXE_OK);
    for (char *p = text.p, *end; p < text.p + text.n; p = end + 1, lines++) {
        json_doc *doc;
        const json *question, *answer;
        end = memchr(p, '\n', (size_t)(text.p + text.n - p));
        assert_non_null(end);
        assert_int_equal(json_parse(path, p, (size_t)(end - p), &doc, &err), MLXE_OK);
        json_iter it = json_iterate(json_root(doc));
        assert_true(json_next(&it, NULL, &question) && json_next(&it, NULL, &answer));
        check_line(t, name, question, answer);
        json_close(doc);
    }
    tok_close(t);
    buf_deinit(&text);
    return lines;
}

static void all_folders(void **unused)
{
    (void)unused;
    size_t folders = 0, lines = 0;
    DIR *dir = opendir(FOLDER);
    assert_non_null(dir);
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        if (e->d_name[0] == '.' || strchr(e->d_name, '.')) continue;
        lines += check_folder(e->d_name);
        folders++;
    }
    closedir(dir);
    assert_true(folders >= 14);
    assert_true(lines >= 400);
    print_message("%zu folders, %zu texts\n", folders, lines);
}

/* Writes the files of an object into a folder, and those that lie in another beside them. */
static void fill_folder(const char *folder, const json *files, const char *base)
{
    mlxe_error err;
    const json *key, *content;
    buf path = {0}, text = {0};
    json_iter it = json_iterate(files);
    while (json_next(&it, &key, &content)) {
        buf_clear(&text);
        json_write_value(&text, content);
        assert_int_equal(fs_replace(fs_join(&path, folder, json_str(key).p), text.p, text.n, &err),
                         MLXE_OK);
    }
    DIR *dir = base ? opendir(base) : NULL;
    for (const struct dirent *e; dir && (e = readdir(dir)) != NULL;) {
        if (e->d_name[0] == '.' || json_get(files, e->d_name)) continue;
        buf_clear(&text);
        assert_int_equal(fs_read(fs_join(&path, base, e->d_name), 0, &text, &err), MLXE_OK);
        assert_int_equal(fs_replace(fs_join(&path, folder, e->d_name), text.p, text.n, &err),
                         MLXE_OK);
    }
    if (dir) closedir(dir);
    buf_deinit(&path);
    buf_deinit(&text);
}

static void remove_folder(const char *folder)
{
    buf path = {0};
    DIR *dir = opendir(folder);
    for (const struct dirent *e; (e = readdir(dir)) != NULL;)
        if (e->d_name[0] != '.') unlink(fs_join(&path, folder, e->d_name));
    closedir(dir);
    rmdir(folder);
    buf_deinit(&path);
}

/* A tokenizer.json of the vectors, into a folder. */
static void copy_tokenizer(const char *folder, const char *name)
{
    mlxe_error err;
    char from[400];
    buf path = {0}, text = {0};
    snprintf(from, sizeof from, FOLDER "/../tok/%s.json", name);
    assert_int_equal(fs_read(from, 0, &text, &err), MLXE_OK);
    assert_int_equal(fs_replace(fs_join(&path, folder, "tokenizer.json"), text.p, text.n, &err),
                     MLXE_OK);
    buf_deinit(&path);
    buf_deinit(&text);
}

/* [name of a folder, "@" and that of a tokenizer.json or "", {file: content}, [question, answer],
 * ..]; -> how many answers */
static size_t check_settings(const json *row)
{
    mlxe_error err;
    char folder[] = "/tmp/mlxe-tok-XXXXXX", base[400];
    buf name = {0};
    size_t n = 0;
    const json *what, *files, *line, *question, *answer;
    tok *t;
    json_iter it = json_iterate(row), in;
    assert_true(json_next(&it, NULL, &what) && json_next(&it, NULL, &files));
    snprintf(base, sizeof base, FOLDER "/%s", json_str(what).p);
    buf_addf(&name, "%s ", json_str(what).p);
    json_write_value(&name, files);
    assert_non_null(mkdtemp(folder));
    int given = strv_starts(json_str(what), STRV("@"));
    fill_folder(folder, files, json_str(what).n && !given ? base : NULL);
    if (given) copy_tokenizer(folder, json_str(what).p + 1);
    if (tok_open_folder(folder, &t, &err)) fail_msg("%s: %s", buf_str(&name), err.message);
    for (; json_next(&it, NULL, &line); n++) {
        in = json_iterate(line);
        assert_true(json_next(&in, NULL, &question) && json_next(&in, NULL, &answer));
        check_line(t, buf_str(&name), question, answer);
    }
    tok_close(t);
    remove_folder(folder);
    buf_deinit(&name);
    return n;
}

static void all_settings(void **unused)
{
    (void)unused;
    mlxe_error err;
    buf text = {0};
    size_t folders = 0, lines = 0;
    assert_int_equal(fs_read(MLXE_SOURCE_DIR "/tests/text/data/tok_settings.jsonl", 0, &text, &err),
                     MLXE_OK);
    for (char *p = text.p, *end; p < text.p + text.n; p = end + 1, folders++) {
        json_doc *doc;
        end = memchr(p, '\n', (size_t)(text.p + text.n - p));
        assert_non_null(end);
        assert_int_equal(json_parse("tok_settings.jsonl", p, (size_t)(end - p), &doc, &err),
                         MLXE_OK);
        lines += check_settings(json_root(doc));
        json_close(doc);
    }
    assert_true(folders >= 180);
    assert_true(lines >= 530);
    print_message("%zu folders with settings, %zu texts\n", folders, lines);
    buf_deinit(&text);
}

/* A folder with the given file, and what opening it says. */
static void refused(mlxe_status want, const char *message, const char *file, const void *bytes,
                    size_t n, const char *config)
{
    mlxe_error err = {0};
    char folder[] = "/tmp/mlxe-tok-XXXXXX";
    buf path = {0};
    tok *t = (tok *)&err;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(fs_replace(fs_join(&path, folder, file), bytes, n, &err), MLXE_OK);
    if (config)
        assert_int_equal(fs_replace(fs_join(&path, folder, "tokenizer_config.json"), config,
                                    strlen(config), &err),
                         MLXE_OK);
    mlxe_status rc = tok_open_folder(folder, &t, &err);
    unlink(fs_join(&path, folder, file));
    unlink(fs_join(&path, folder, "tokenizer_config.json"));
    rmdir(folder);
    buf_deinit(&path);
    assert_null(t);
    if (!strstr(err.message, message))
        fail_msg("\"%s\" does not hold \"%s\"", err.message, message);
    assert_int_equal(rc, want);
}

static void refusals(void **unused)
{
    (void)unused;
    static const char cut[] = "\n\x10\n\x01", huge[] = "\n\xFF\xFF\xFF\xFF\x0F", group[] = "\x0B";
    static const char wrong[] = "\n\x05\n\x03\xFF\xFE\xFD";
    static const char word[] = "\n\x08\n\x01x\x15\0\0\0\0\x12\x02\x18\x03";
    refused(MLXE_E_CORRUPT, "tokenizer.model: is no SentencePiece model", "tokenizer.model", cut,
            sizeof cut - 1, NULL);
    refused(MLXE_E_CORRUPT, "tokenizer.model: is no SentencePiece model", "tokenizer.model", huge,
            sizeof huge - 1, NULL);
    refused(MLXE_E_CORRUPT, "spiece.model: is no SentencePiece model", "spiece.model", group,
            sizeof group - 1, "{}");
    refused(MLXE_E_CORRUPT, "a piece", "spiece.model", wrong, sizeof wrong - 1, NULL);
    refused(MLXE_E_UNSUPPORTED, "model type 3", "spiece.model", word, sizeof word - 1, NULL);
    refused(MLXE_E_UNSUPPORTED, "UdopTokenizer without tokenizer.json", "spiece.model", word,
            sizeof word - 1, "{\"tokenizer_class\":\"UdopTokenizerFast\"}");
    refused(MLXE_E_CORRUPT, "line 1 is no \"BASE64 RANK\"", "tokenizer.model", "hello\n", 6, NULL);
    refused(MLXE_E_CORRUPT, "tekken.json", "tekken.json", "{", 1, NULL);
    refused(MLXE_E_CORRUPT, "no config.pattern or no vocab", "tekken.json", "{}", 2, NULL);
    refused(MLXE_E_CORRUPT, "vocab[0].token_bytes is no base64", "tekken.json",
            "{\"config\":{\"pattern\":\"a\"},\"vocab\":[{\"token_bytes\":\"?\"}]}", 56, NULL);
    refused(MLXE_E_UNSUPPORTED, "vocab.txt of SomeTokenizer", "vocab.txt", "[UNK]\na\n", 8,
            "{\"tokenizer_class\":\"SomeTokenizer\"}");
    refused(MLXE_E_CORRUPT, "tokenizer_config.json", "vocab.txt", "[UNK]\na\n", 8, "[]");
    refused(MLXE_E_NOT_FOUND, "no other tokenizer file", "readme.txt", "x", 1, NULL);
}

/* A SentencePiece model: the pieces parted by spaces, the first three control or unknown. */
static void add_model(buf *out, int bpe, const char *pieces)
{
    for (int i = 0; *pieces; i++) {
        size_t n = strcspn(pieces, " ");
        buf_addf(out, "\n%c\n%c%.*s\x15%c%c%c%c\x18%c", (int)n + 9, (int)n, (int)n, pieces, 0, 0, 0,
                 0,
                 i == 0  ? 2
                 : i < 3 ? 3
                         : 1);
        pieces += n + strspn(pieces + n, " ");
    }
    buf_addf(out, "\x12\x02\x18%c", bpe ? 2 : 1);
}

/* What a class of transformers makes nothing of, or nothing that could be asked for. */
static void class_refusals(void **unused)
{
    (void)unused;
    static const struct {
        const char *message, *file, *config;
        int bpe;
    } rows[] = {
        {"\"a\" as two of bos_token", "tokenizer.model",
         "{\"tokenizer_class\":\"NllbTokenizer\",\"bos_token\":\"a\",\"pad_token\":\"a\"}", 1},
        {"\"<new>\", which the model lacks", "sentencepiece.bpe.model",
         "{\"tokenizer_class\":\"NllbTokenizer\",\"eos_token\":\"<new>\"}", 1},
        {"XGLMTokenizer is not supported with this file", "sentencepiece.bpe.model",
         "{\"tokenizer_class\":\"XGLMTokenizer\"}", 0},
        {"piece 3 is \"a\", and the added tokens give it another", "tokenizer.model",
         "{\"tokenizer_class\":\"TokenizersBackend\",\"added_tokens_decoder\":{\"3\":{\"content\":"
         "\"x\"}}}",
         1},
        {"no piece \"<y>\" with score 0", "spiece.model",
         "{\"tokenizer_class\":\"PegasusTokenizer\",\"unk_token\":\"<y>\"}", 0},
        {"MLukeTokenizer without tokenizer.json", "sentencepiece.bpe.model",
         "{\"tokenizer_class\":\"MLukeTokenizer\"}", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        buf model = {0};
        add_model(&model, rows[i].bpe, "<unk> <s> </s> a b ab");
        refused(MLXE_E_UNSUPPORTED, rows[i].message, rows[i].file, model.p, model.n,
                rows[i].config);
        buf_deinit(&model);
    }
    static const char file[] = "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}";
    refused(MLXE_E_UNSUPPORTED, "model BPE, want WordPiece of BertTokenizer", "tokenizer.json",
            file, sizeof file - 1, "{\"tokenizer_class\":\"BertTokenizerFast\"}");
    refused(MLXE_E_UNSUPPORTED, "RoFormerTokenizer, which takes no tokenizer.json",
            "tokenizer.json", file, sizeof file - 1, "{\"tokenizer_class\":\"RoFormerTokenizer\"}");
    refused(MLXE_E_UNSUPPORTED, "its vocabulary is not that of EsmcTokenizer", "tokenizer.json",
            file, sizeof file - 1, "{\"tokenizer_class\":\"EsmcTokenizer\"}");
    refused(MLXE_E_UNSUPPORTED, "language \"Klingon\" is none of WhisperTokenizer",
            "tokenizer.json", file, sizeof file - 1,
            "{\"tokenizer_class\":\"WhisperTokenizer\",\"language\":\"Klingon\"}");
    refused(MLXE_E_UNSUPPORTED, "task \"sing\" is none of WhisperTokenizer", "tokenizer.json", file,
            sizeof file - 1, "{\"tokenizer_class\":\"WhisperTokenizer\",\"task\":\"sing\"}");
    refused(MLXE_E_UNSUPPORTED, "entity_token_1 is not supported for LukeTokenizer",
            "tokenizer.json", file, sizeof file - 1,
            "{\"tokenizer_class\":\"LukeTokenizer\",\"entity_token_1\":\"<e>\"}");
    refused(MLXE_E_CORRUPT, "a special token is an integer", "tokenizer.json", file,
            sizeof file - 1, "{\"bos_token\":3}");
    refused(MLXE_E_CORRUPT, "added token \"x\" has no id", "tokenizer.json", file, sizeof file - 1,
            "{\"added_tokens_decoder\":{\"x\":{\"content\":\"b\"}}}");
}

/* A class in Python reads its own file, if that is there, whatever the tokenizer.json says. */
static void python_classes(void **unused)
{
    (void)unused;
    static const char *const rows[] = {"{\"spiece.model\":{}}", "{\"vocab.txt\":{}}"};
    static const char files[] =
        "{\"tokenizer_config.json\":{\"tokenizer_class\":\"SiglipTokenizer\"},"
        "\"tokenizer.json\":{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}}";
    for (int i = 0; i < 2; i++) {
        mlxe_error err = {0};
        char folder[] = "/tmp/mlxe-tok-XXXXXX";
        json_doc *common, *more;
        tok *t;
        assert_int_equal(json_parse("files", files, sizeof files - 1, &common, &err), MLXE_OK);
        assert_int_equal(json_parse("more", rows[i], strlen(rows[i]), &more, &err), MLXE_OK);
        assert_non_null(mkdtemp(folder));
        fill_folder(folder, json_root(common), NULL);
        fill_folder(folder, json_root(more), NULL);
        mlxe_status rc = tok_open_folder(folder, &t, &err);
        remove_folder(folder);
        assert_int_equal(rc, i ? MLXE_OK : MLXE_E_UNSUPPORTED);
        if (rc) assert_non_null(strstr(err.message, "SiglipTokenizer, which takes no tokenizer"));
        tok_close(t);
        json_close(common);
        json_close(more);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_folders), cmocka_unit_test(all_settings), cmocka_unit_test(refusals),
        cmocka_unit_test(class_refusals), cmocka_unit_test(python_classes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
