/* tree.c: listings of a commit, from the API's pages and from the cache's trees/<commit>.json.
 *
 *   page  -> entries (folders skipped)  -> check: sorted once, neighbours compared
 *
 * A page is refused whole for one bad name, size or hash, so that nothing is written for a listing
 * that cannot be trusted.
 *
 * Source: huggingface_hub 1.22 and later for the cached form: an xet_hash that is not 64 hex digits
 * makes Python ignore the file, so it is left out then. */
#include "hub/tree.h"

#include "base/fs.h"
#include "hub/hub_json.h"

#include <stdlib.h>

enum { MAX_ENTRIES = 1000000, SHA256_HEX = 64, MAX_FILE_BYTES = 256 << 20 };

static mlxe_status entry_add(hub_tree *tree, const hub_entry *e, mlxe_error *err)
{
    hub_entry *to;
    if (tree->n == MAX_ENTRIES)
        return err_set(err, MLXE_E_CORRUPT, "listing: more than %d entries", MAX_ENTRIES);
    if (tree->n == tree->cap) {
        size_t cap = tree->cap ? tree->cap * 2 : 64;
        hub_entry *grown = realloc(tree->entries, cap * sizeof *grown);
        if (!grown) return err_memory(err, "listing", cap * sizeof *grown);
        tree->entries = grown;
        tree->cap = cap;
    }
    to = &tree->entries[tree->n];
    *to = *e;
    to->path.p = arena_copy(&tree->memory, e->path);
    to->oid.p = arena_copy(&tree->memory, e->oid);
    to->sha256.p = e->sha256.n ? arena_copy(&tree->memory, e->sha256) : NULL;
    to->xet_hash.p = e->xet_hash.n ? arena_copy(&tree->memory, e->xet_hash) : NULL;
    if (!to->path.p || !to->oid.p || (e->sha256.n && !to->sha256.p) ||
        (e->xet_hash.n && !to->xet_hash.p))
        return err_memory(err, "listing", e->path.n);
    tree->n++;
    return MLXE_OK;
}

/* Checks what an entry must have, wherever it came from. */
static mlxe_status entry_check(const hub_entry *e, const char *where, mlxe_error *err)
{
    mlxe_status rc = hub_path_check(e->path, err);
    if (rc) return err_prefix(err, "%s", where), rc;
    if (!hub_etag_usable(e->oid))
        return err_set(err, MLXE_E_CORRUPT, "%s: %.*s: its hash is no hash", where, (int)e->path.n,
                       e->path.p);
    if (e->sha256.n && !hub_is_hex(e->sha256, SHA256_HEX))
        return err_set(err, MLXE_E_CORRUPT, "%s: %.*s: its LFS hash is no sha256", where,
                       (int)e->path.n, e->path.p);
    return MLXE_OK;
}

static mlxe_status page_entry(hub_tree *tree, const json *v, const char *where, mlxe_error *err)
{
    hub_entry e = {0};
    const json *lfs, *xet;
    strv type;
    mlxe_status rc;
    if (!json_is(v, JSON_OBJECT))
        return err_set(err, MLXE_E_CORRUPT, "%s: an entry is %s, want an object", where,
                       json_type_name(json_typeof(v)));
    if ((rc = hub_json_str(v, where, "type", &type, err))) return rc;
    if ((rc = hub_json_str(v, where, "path", &e.path, err))) return rc;
    if (strv_is(type, "directory")) {
        rc = hub_path_check(e.path, err);
        if (rc) err_prefix(err, "%s", where);
        return rc;
    }
    if (!strv_is(type, "file"))
        return err_set(err, MLXE_E_CORRUPT, "%s: an entry is neither file nor directory", where);
    if ((rc = hub_json_size(v, where, "size", &e.size, err))) return rc;
    if ((rc = hub_json_str(v, where, "oid", &e.oid, err))) return rc;
    lfs = json_get(v, "lfs");
    if (lfs && !json_is(lfs, JSON_NULL)) {
        uint64_t size;
        if (!json_is(lfs, JSON_OBJECT))
            return err_set(err, MLXE_E_CORRUPT, "%s: \"lfs\" is %s, want an object", where,
                           json_type_name(json_typeof(lfs)));
        if ((rc = hub_json_str(lfs, where, "oid", &e.sha256, err))) return rc;
        if ((rc = hub_json_size(lfs, where, "size", &size, err))) return rc;
        if (size != e.size)
            return err_set(err, MLXE_E_CORRUPT, "%s: %.*s: two sizes, %llu and %llu", where,
                           (int)e.path.n, e.path.p, (unsigned long long)e.size,
                           (unsigned long long)size);
        if (!e.sha256.n) return err_set(err, MLXE_E_CORRUPT, "%s: an LFS hash is empty", where);
    }
    xet = json_get(v, "xetHash");
    if (json_is(xet, JSON_STRING) && hub_is_hex(json_str(xet), SHA256_HEX))
        e.xet_hash = json_str(xet);
    rc = entry_check(&e, where, err);
    return rc ? rc : entry_add(tree, &e, err);
}

mlxe_status hub_tree_add_page(hub_tree *tree, const char *where, const char *text, size_t bytes,
                              mlxe_error *err)
{
    json_doc *doc;
    const json *value;
    json_iter it;
    mlxe_status rc = hub_json_parse(where, text, bytes, &doc, err);
    if (rc) return rc;
    if (!json_is(json_root(doc), JSON_ARRAY))
        rc = err_set(err, MLXE_E_CORRUPT, "%s: the listing is %s, want an array", where,
                     json_type_name(json_typeof(json_root(doc))));
    it = json_iterate(json_root(doc));
    while (!rc && json_next(&it, NULL, &value))
        rc = page_entry(tree, value, where, err);
    json_close(doc);
    return rc;
}

int hub_path_order(strv x, strv y)
{
    for (size_t i = 0;; i++) {
        int cx, cy;
        if (i == x.n || i == y.n) return x.n < y.n ? -1 : x.n > y.n;
        cx = x.p[i] == '/' ? -1 : (unsigned char)x.p[i];
        cy = y.p[i] == '/' ? -1 : (unsigned char)y.p[i];
        if (cx != cy) return cx < cy ? -1 : 1;
    }
}

static int by_path(const void *a, const void *b)
{
    return hub_path_order((*(const hub_entry *const *)a)->path,
                          (*(const hub_entry *const *)b)->path);
}

mlxe_status hub_tree_check(hub_tree *tree, const char *where, mlxe_error *err)
{
    mlxe_status rc = MLXE_OK;
    const hub_entry **sorted = malloc((tree->n + 1) * sizeof *sorted);
    if (!sorted) return err_memory(err, "listing", tree->n * sizeof *sorted);
    for (size_t i = 0; i < tree->n; i++)
        sorted[i] = &tree->entries[i];
    qsort(sorted, tree->n, sizeof *sorted, by_path);
    for (size_t i = 1; i < tree->n && !rc; i++) {
        strv a = sorted[i - 1]->path, b = sorted[i]->path;
        if (strv_eq(a, b))
            rc = err_set(err, MLXE_E_CORRUPT, "%s: %s is listed twice", where, a.p);
        else if (strv_starts(b, a) && b.p[a.n] == '/')
            rc = err_set(err, MLXE_E_CORRUPT, "%s: %s is both a file and a folder", where, a.p);
    }
    free(sorted);
    return rc;
}

const hub_entry *hub_tree_find(const hub_tree *tree, strv path)
{
    for (size_t i = 0; i < tree->n; i++)
        if (strv_eq(tree->entries[i].path, path)) return &tree->entries[i];
    return NULL;
}

void hub_tree_deinit(hub_tree *tree)
{
    arena_deinit(&tree->memory);
    free(tree->entries);
    *tree = (hub_tree){0};
}

/* ---- the cached form ------------------------------------------------------------------------- */

static strv optional_str(const json *object, const char *key)
{
    const json *v = json_get(object, key);
    return json_is(v, JSON_STRING) ? json_str(v) : (strv){0};
}

static mlxe_status cached_entry(hub_tree *tree, strv path, const json *v, const char *file,
                                mlxe_error *err)
{
    hub_entry e = {.path = path};
    mlxe_status rc;
    if ((rc = hub_json_size(v, file, "size", &e.size, err))) return rc;
    if ((rc = hub_json_str(v, file, "blob_id", &e.oid, err))) return rc;
    e.sha256 = optional_str(v, "lfs_sha256");
    e.xet_hash = optional_str(v, "xet_hash");
    if (json_is(json_get(v, "lfs_size"), JSON_INT))
        e.size = (uint64_t)json_int(json_get(v, "lfs_size"));
    rc = entry_check(&e, file, err);
    return rc ? rc : entry_add(tree, &e, err);
}

mlxe_status hub_tree_load(const char *file, hub_tree *tree, mlxe_error *err)
{
    buf text = {0};
    json_doc *doc = NULL;
    const json *key, *value, *files;
    json_iter it;
    mlxe_error why;
    mlxe_status rc = fs_read(file, MAX_FILE_BYTES, &text, &why);
    *tree = (hub_tree){0};
    if (!rc) rc = hub_json_parse(file, buf_str(&text), text.n, &doc, &why);
    if (!rc) {
        files = json_get(json_root(doc), "files");
        if (json_int(json_get(json_root(doc), "format_version")) != 1 ||
            !json_is(files, JSON_OBJECT))
            rc = err_set(&why, MLXE_E_CORRUPT, "%s: another version of the listing", file);
        it = json_iterate(rc ? NULL : files);
        while (!rc && json_next(&it, &key, &value))
            rc = cached_entry(tree, json_str(key), value, file, &why);
        if (!rc) rc = hub_tree_check(tree, file, &why);
    }
    json_close(doc);
    buf_deinit(&text);
    if (!rc) return MLXE_OK;
    hub_tree_deinit(tree);
    return rc == MLXE_E_MEMORY ? err_set(err, rc, "%s", why.message)
                               : err_set(err, MLXE_E_NOT_FOUND, "%s", why.message);
}

static void member(buf *out, const char *key, strv value)
{
    if (!value.n) return;
    buf_add_str(out, key);
    json_write_str(out, value);
}

void hub_tree_write(const hub_tree *tree, buf *out)
{
    buf_add_str(out, "{\"format_version\": 1, \"files\": {");
    for (size_t i = 0; i < tree->n; i++) {
        const hub_entry *e = &tree->entries[i];
        if (i) buf_add_str(out, ", ");
        json_write_str(out, e->path);
        buf_add_str(out, ": {\"size\": ");
        json_write_uint(out, e->size);
        member(out, ", \"blob_id\": ", e->oid);
        if (e->sha256.n) {
            member(out, ", \"lfs_sha256\": ", e->sha256);
            buf_add_str(out, ", \"lfs_size\": ");
            json_write_uint(out, e->size);
        }
        member(out, ", \"xet_hash\": ", e->xet_hash);
        buf_add_char(out, '}');
    }
    buf_add_str(out, "}}");
}
