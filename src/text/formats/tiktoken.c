/* tiktoken.c: byte ranks as lines of text, "BASE64 RANK": Llama 3's tokenizer.model.
 *
 * The ranks are the ids. The file does not say how a text is cut: as transformers does, Llama 3's
 * pattern is taken. Special tokens come from tokenizer_config.json; gaps of its numbering are
 * filled with "<|reserved_token_N|>".
 *
 * Source: tiktoken, load.py; transformers 5.23, TikTokenConverter. */
#include "text/tok_files.h"

#include "base/fs.h"

#include <stdio.h>

#define PATTERN                                                                                    \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|"                      \
    " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

static const tok_class CLASS = {.names = "", .own_first = 1};

static int takes(tok_files *f)
{
    buf head = {0};
    uint64_t size;
    int is = tok_files_has(f, "tiktoken.model") || tok_files_has(f, "tokenizer.model");
    if (is) is = fs_read_head(buf_str(&f->path), 1, &head, &size, NULL) == 0 && head.n;
    if (is) is = *head.p != 10;
    buf_deinit(&head);
    return is;
}

/* The next line. -> 1 read, 0 at the end */
static int next_line(strv *in, strv *line)
{
    if (in->n == 0) return 0;
    const char *end = memchr(in->p, '\n', in->n);
    size_t n = end ? (size_t)(end - in->p) : in->n;
    *line = strv_from(in->p, n);
    in->p += n + (end != NULL);
    in->n -= n + (end != NULL);
    if (line->n && line->p[line->n - 1] == '\r') line->n--;
    return 1;
}

/* "BASE64 RANK". -> 0, or -1 */
static int read_line(strv line, buf *bytes, int32_t *rank)
{
    const char *space = memchr(line.p, ' ', line.n);
    int64_t v = 0;
    buf_clear(bytes);
    if (!space || space == line.p || space + 1 == line.p + line.n) return -1;
    if (tok_base64(strv_from(line.p, (size_t)(space - line.p)), bytes)) return -1;
    for (const char *p = space + 1; p < line.p + line.n; p++) {
        if (*p < '0' || *p > '9' || v > INT32_MAX / 10 - 1) return -1;
        v = v * 10 + (*p - '0');
    }
    *rank = (int32_t)v;
    return bytes->n ? 0 : -1;
}

static mlxe_status read_vocab(tok_files *f, strv in, mlxe_error *err)
{
    buf bytes = {0}, text = {0};
    strv line;
    size_t number = 0;
    mlxe_status rc = MLXE_OK;
    while (rc == MLXE_OK && next_line(&in, &line)) {
        int32_t rank;
        number++;
        if (line.n == 0) continue;
        if (read_line(line, &bytes, &rank)) {
            rc = err_set(err, MLXE_E_CORRUPT, "%s: line %zu is no \"BASE64 RANK\"",
                         buf_str(&f->path), number);
            break;
        }
        buf_clear(&text);
        tok_byte_chars(buf_view(&bytes), &text);
        rc = tok_files_add(f, buf_view(&text), rank, err);
    }
    buf_deinit(&bytes);
    buf_deinit(&text);
    return rc;
}

/* Tokens between the ranks and the last added one that nothing names. */
static mlxe_status fill_gaps(tok_files *f, tok_own_token **own, size_t *n, mlxe_error *err)
{
    const json *added = json_get(f->config, "added_tokens_decoder"), *key, *value;
    int64_t first = (int64_t)f->vocab.n, last = -1;
    json_iter it = json_iterate(added);
    while (json_next(&it, &key, &value)) {
        int64_t id = tok_files_number(json_str(key));
        if (id > last) last = id;
    }
    *n = 0;
    if (last < first) return MLXE_OK;
    if (last - first > 1 << 20)
        return err_set(err, MLXE_E_CORRUPT, "%s: an added token has the id %lld", f->folder,
                       (long long)last);
    *own = arena_array(&f->mem, (size_t)(last - first + 1), sizeof **own);
    if (!*own) return err_memory(err, "special tokens", (size_t)(last - first));
    it = json_iterate(added);
    while (json_next(&it, &key, &value)) {
        int64_t id = tok_files_number(json_str(key));
        if (id >= first)
            (*own)[id - first] = (tok_own_token){json_str(json_get(value, "content")), 1, 1};
    }
    for (*n = 0; *n <= (size_t)(last - first); ++*n) {
        char name[40];
        if ((*own)[*n].text.n) continue;
        snprintf(name, sizeof name, "<|reserved_token_%d|>", (int)(first + (int64_t)*n));
        const char *copy = arena_copy(&f->mem, strv_of(name));
        if (!copy) return err_memory(err, "special tokens", 0);
        (*own)[*n] = (tok_own_token){strv_of(copy), 1, 1};
    }
    return MLXE_OK;
}

static mlxe_status write(tok_files *f, buf *out, mlxe_error *err)
{
    buf text = {0};
    tok_own_token *own = NULL;
    size_t n = 0, lines = 1;
    tok_reader r = {&f->mem, buf_str(&f->path), err};
    mlxe_status rc = tok_files_read(f, &text, err);
    for (size_t i = 0; i < text.n; i++)
        lines += text.p[i] == '\n';
    if (rc == MLXE_OK) rc = tok_vocab_init(&r, &f->vocab, lines);
    if (rc == MLXE_OK) rc = read_vocab(f, buf_view(&text), err);
    f->vocab_is_models = 1;
    buf_add_str(out,
                "{\"model\":{\"type\":\"BPE\",\"ignore_merges\":true,\"merges_from\":\"ranks\","
                "\"vocab\":{}},");
    if (rc == MLXE_OK) rc = tok_vocab_finish(&r, &f->vocab);
    if (rc == MLXE_OK) rc = fill_gaps(f, &own, &n, err);
    tok_write_byte_level(STRV(PATTERN), 0, out);
    if (rc == MLXE_OK) rc = tok_files_tokens(f, &CLASS, own, n, out, err);
    buf_add_char(out, ',');
    if (rc == MLXE_OK) rc = tok_files_bos_eos(f, 0, 0, out, err);
    buf_add_char(out, '}');
    buf_deinit(&text);
    return rc;
}

const struct tok_format tok_format_tiktoken = {3, takes, write, NULL};
