/* weights.c: the parameters of a repository by dtype, from the headers of its safetensors files, as
 * the Hub counts them.
 *
 *   8 bytes, little-endian: length of the header | header: JSON {name: {"dtype","shape",..}, ..}
 *
 * Told only when every file right in the repository is here and reads well: half a count would be a
 * wrong one. Headers are read anew for each question; nothing is kept.
 * Source: huggingface.js parse-safetensors-metadata (scalars are not counted). */
#include "hub/mirror/plain.h"

#include "base/json.h"

#include <inttypes.h>

enum { MAX_HEADER_BYTES = 25000000, MAX_DTYPES = 24 };
#define MAX_PARAMETERS ((uint64_t)1 << 56)

typedef struct counts {
    char dtypes[MAX_DTYPES][12];
    uint64_t n[MAX_DTYPES], total;
    size_t n_dtypes, files;
} counts;

/* -> 1, or 0: more dtypes or parameters than any model has */
static int count_add(counts *c, strv dtype, uint64_t n)
{
    size_t i = 0;
    while (i < c->n_dtypes && !strv_is(dtype, c->dtypes[i]))
        i++;
    if (i == c->n_dtypes) {
        if (i == MAX_DTYPES || !dtype.n || dtype.n >= sizeof c->dtypes[0]) return 0;
        memcpy(c->dtypes[i], dtype.p, dtype.n);
        c->n_dtypes++;
    }
    c->n[i] += n;
    c->total += n;
    return c->total <= MAX_PARAMETERS;
}

static int count_tensor(counts *c, const json *tensor)
{
    const json *shape = json_get(tensor, "shape"), *size;
    uint64_t n = 1;
    json_iter it = json_iterate(shape);
    if (!json_is(shape, JSON_ARRAY)) return 0;
    if (json_len(shape) == 0) return 1;
    while (json_next(&it, NULL, &size)) {
        int64_t d = json_int(size);
        if (!json_is(size, JSON_INT) || d < 0) return 0;
        if (d && n > MAX_PARAMETERS / (uint64_t)d) return 0;
        n *= (uint64_t)d;
    }
    return count_add(c, json_str(json_get(tensor, "dtype")), n);
}

static int count_file(const mirror *m, const mirror_repo *repo, const char *commit,
                      const char *path, counts *c)
{
    buf text = {0};
    json_doc *doc = NULL;
    const json *name, *tensor;
    uint64_t bytes = 0;
    int good = !store_text(m, repo, commit, path, 8, &text, NULL) && text.n == 8;
    for (size_t i = 8; good && i-- > 0;)
        bytes = bytes << 8 | (unsigned char)text.p[i];
    buf_clear(&text);
    good = good && bytes > 0 && bytes <= MAX_HEADER_BYTES &&
           !store_text(m, repo, commit, path, (size_t)bytes + 8, &text, NULL) &&
           text.n == bytes + 8 && !json_parse(path, text.p + 8, (size_t)bytes, &doc, NULL) &&
           json_is(json_root(doc), JSON_OBJECT);
    json_iter it = json_iterate(json_root(doc));
    while (good && json_next(&it, &name, &tensor))
        if (!strv_is(json_str(name), "__metadata__")) good = count_tensor(c, tensor);
    c->files++;
    json_close(doc);
    buf_deinit(&text);
    return good;
}

static int is_weights(strv path)
{
    return strv_ends(path, STRV(".safetensors")) && !memchr(path.p, '/', path.n);
}

static int count_plain(const mirror *m, const mirror_repo *repo, const char *commit, counts *c)
{
    plain_files files;
    int good = !plain_list(repo->path, &files, NULL);
    if (!good) return 0;
    for (size_t i = 0; i < files.n && good; i++)
        if (is_weights(strv_of(files.files[i].path)))
            good = count_file(m, repo, commit, files.files[i].path, c);
    plain_deinit(&files);
    return good;
}

static int count_cached(const mirror *m, const mirror_repo *repo, const char *commit, counts *c)
{
    hub_tree tree;
    int good = !store_tree(m, repo, commit, &tree, NULL);
    if (!good) return 0;
    for (size_t i = 0; i < tree.n && good; i++)
        if (is_weights(tree.entries[i].path))
            good = count_file(m, repo, commit, tree.entries[i].path.p, c);
    hub_tree_deinit(&tree);
    return good;
}

void weights_add(buf *b, const mirror *m, const mirror_repo *repo, const char *commit)
{
    counts c = {0};
    int good =
        repo->is_plain ? count_plain(m, repo, commit, &c) : count_cached(m, repo, commit, &c);
    if (!good || !c.files) return;
    buf_add_str(b, ",\"safetensors\":{\"parameters\":{");
    for (size_t i = 0; i < c.n_dtypes; i++) {
        if (i) buf_add_char(b, ',');
        json_write_str(b, strv_of(c.dtypes[i]));
        buf_addf(b, ":%" PRIu64, c.n[i]);
    }
    buf_addf(b, "},\"total\":%" PRIu64 "}", c.total);
}
