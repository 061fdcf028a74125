/* listing.c: what a commit holds: tree (in pages), paths-info, refs, commits.
 *
 *   hub_tree (files only) -> files and the folders they imply, sorted -> JSON
 *
 * Pages: Link: <the same URL with cursor=OFFSET.CHECK>; rel="next". The check is a hash of the
 * offset and the other parameters, so that a cursor which is no longer one of these is refused and
 * never answered with another place. Links are absolute: Python's client knows no others.
 *
 * Without a complete listing a tree is 404: a short one would be kept by clients for ever.
 * Traps: no xetHash, ever: clients would ask for a storage that is not here. A folder's oid is made
 * up from its path: nothing but its presence is read. */
#include "hub/mirror/mirror.h"

#include "base/json.h"
#include "hub/hash.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { PAGE_ENTRIES = 1000, PAGE_EXPANDED = 50, CHECK_CHARS = 16, MAX_PATHS = 1000 };

/* ---- pages ---------------------------------------------------------------------------------- */

static void hex_sha1(const void *p, size_t n, char out[41])
{
    unsigned char digest[EVP_MAX_MD_SIZE] = {0};
    EVP_Digest(p, n, digest, NULL, EVP_sha1(), NULL);
    for (size_t i = 0; i < 20; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

/* Every parameter but the cursor, as the next page repeats it. */
static void add_query(buf *out, const mirror_target *t)
{
    for (size_t i = 0; i < t->n_params; i++) {
        if (strv_is(t->params[i].key, "cursor")) continue;
        hub_escape_add(out, t->params[i].key, HUB_ESCAPE_ALL);
        buf_add_char(out, '=');
        hub_escape_add(out, t->params[i].value, HUB_ESCAPE_ALL);
        buf_add_char(out, '&');
    }
}

/* What binds a cursor to the other parameters: the first CHECK_CHARS of out. */
static void cursor_check(const mirror_target *t, strv place, char out[41])
{
    buf text = {0};
    add_query(&text, t);
    buf_add_strv(&text, place);
    buf_add_char(&text, ' ');
    buf_add_strv(&text, t->id);
    hex_sha1(buf_str(&text), text.n, out);
    buf_deinit(&text);
}

static void cursor_text(const mirror_target *t, uint64_t offset, char *out, size_t capacity)
{
    char hex[41];
    int n = snprintf(out, capacity, "%" PRIu64, offset);
    cursor_check(t, strv_from(out, (size_t)n), hex);
    snprintf(out + n, capacity - (size_t)n, ".%.*s", CHECK_CHARS, hex);
}

mlxe_status target_cursor(const mirror_target *t, uint64_t *offset, mlxe_error *err)
{
    char want[64];
    strv said = target_param(t, "cursor");
    *offset = 0;
    if (!said.n) return MLXE_OK;
    for (size_t i = 0; i < said.n && i < 15 && said.p[i] >= '0' && said.p[i] <= '9'; i++)
        *offset = *offset * 10 + (uint64_t)(said.p[i] - '0');
    cursor_text(t, *offset, want, sizeof want);
    if (strv_is(said, want)) return MLXE_OK;
    return err_set(err, MLXE_E_INPUT, "cursor: not one of this mirror's");
}

mlxe_status target_upstream_cursor(const mirror_target *t, strv *query, mlxe_error *err)
{
    char hex[41];
    strv said = target_param(t, "cursor");
    *query = (strv){0};
    if (!said.n || said.p[0] != 'u') return MLXE_OK;
    if (said.n > CHECK_CHARS + 2 && said.p[CHECK_CHARS + 1] == '.') {
        *query = strv_from(said.p + CHECK_CHARS + 2, said.n - CHECK_CHARS - 2);
        cursor_check(t, *query, hex);
        if (!memcmp(said.p + 1, hex, CHECK_CHARS)) return MLXE_OK;
    }
    *query = (strv){0};
    return err_set(err, MLXE_E_INPUT, "cursor: not one of this mirror's");
}

static void next_link(const mirror *m, const mirror_call *call, const mirror_target *t,
                      const char *cursor, mirror_reply *r)
{
    buf link = {0};
    size_t path = strcspn(call->target, "?");
    buf_add_char(&link, '<');
    if (m->base_url)
        buf_add_str(&link, m->base_url);
    else
        buf_addf(&link, "http://%s", call->host ? call->host : "localhost");
    buf_add(&link, call->target, path);
    buf_add_char(&link, '?');
    add_query(&link, t);
    buf_add_str(&link, "cursor=");
    hub_escape_add(&link, strv_of(cursor), HUB_ESCAPE_ALL);
    buf_add_str(&link, ">; rel=\"next\"");
    if (buf_ok(&link)) reply_header(r, "Link", buf_str(&link));
    buf_deinit(&link);
}

void reply_next(const mirror *m, const mirror_call *call, const mirror_target *t, uint64_t offset,
                mirror_reply *r)
{
    char cursor[64];
    cursor_text(t, offset, cursor, sizeof cursor);
    next_link(m, call, t, cursor, r);
}

void reply_next_upstream(const mirror *m, const mirror_call *call, const mirror_target *t,
                         const char *query, mirror_reply *r)
{
    buf cursor = {0};
    char hex[41];
    cursor_check(t, strv_of(query), hex);
    buf_addf(&cursor, "u%.*s.%s", CHECK_CHARS, hex, query);
    if (buf_ok(&cursor)) next_link(m, call, t, buf_str(&cursor), r);
    buf_deinit(&cursor);
}

void add_time(buf *b, int64_t seconds)
{
    struct tm tm;
    time_t t = (time_t)seconds;
    if (!gmtime_r(&t, &tm)) memset(&tm, 0, sizeof tm);
    buf_addf(b, "\"%04d-%02d-%02dT%02d:%02d:%02d.000Z\"", tm.tm_year + 1900, tm.tm_mon + 1,
             tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* ---- entries -------------------------------------------------------------------------------- */

typedef struct item {
    strv path;
    const hub_entry *file; /* NULL: a folder */
} item;

typedef struct items {
    item *items;
    size_t n, cap;
    int failed;
} items;

static void add_item(items *list, strv path, const hub_entry *file)
{
    if (list->n == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 64;
        item *grown = realloc(list->items, cap * sizeof *grown);
        if (!grown) {
            list->failed = 1;
            return;
        }
        list->items = grown;
        list->cap = cap;
    }
    list->items[list->n++] = (item){path, file};
}

static int by_path(const void *a, const void *b)
{
    strv x = ((const item *)a)->path, y = ((const item *)b)->path;
    size_t n = x.n < y.n ? x.n : y.n;
    int order = n ? memcmp(x.p, y.p, n) : 0;
    return order ? order : (x.n > y.n) - (x.n < y.n);
}

/* What lies in folder ("" at the top): files and folders, of all depths when recursive. */
static void list_folder(const hub_tree *tree, strv folder, int recursive, items *out)
{
    for (size_t i = 0; i < tree->n; i++) {
        strv path = tree->entries[i].path;
        size_t from = folder.n ? folder.n + 1 : 0, n = from;
        if (folder.n &&
            (!strv_starts(path, folder) || path.n <= folder.n || path.p[folder.n] != '/'))
            continue;
        for (; n < path.n; n++) {
            if (path.p[n] != '/') continue;
            add_item(out, strv_from(path.p, n), NULL);
            if (!recursive) break;
        }
        if (n == path.n) add_item(out, path, &tree->entries[i]);
    }
    if (out->n) qsort(out->items, out->n, sizeof *out->items, by_path);
    size_t kept = 0;
    for (size_t i = 0; i < out->n; i++)
        if (kept == 0 || !strv_eq(out->items[kept - 1].path, out->items[i].path))
            out->items[kept++] = out->items[i];
    out->n = kept;
}

static void add_lfs(buf *b, const hub_entry *e)
{
    char oid[41];
    size_t pointer = 0;
    hub_pointer_sha1(e->sha256, e->size, oid, &pointer, NULL);
    buf_add_str(b, ",\"lfs\":{\"oid\":");
    json_write_str(b, e->sha256);
    buf_addf(b, ",\"size\":%" PRIu64 ",\"pointerSize\":%zu}", e->size, pointer);
}

/* when: of the last commit, told when expanded; < 0: not. */
static void write_item(buf *b, const item *it, const char *commit, int64_t when)
{
    char oid[41];
    buf_addf(b, "{\"type\":\"%s\",\"path\":", it->file ? "file" : "directory");
    json_write_str(b, it->path);
    if (it->file) {
        buf_addf(b, ",\"size\":%" PRIu64 ",\"oid\":", it->file->size);
        json_write_str(b, it->file->oid);
        if (it->file->sha256.n) add_lfs(b, it->file);
    } else {
        hex_sha1(it->path.p, it->path.n, oid);
        buf_addf(b, ",\"size\":0,\"oid\":\"%s\"", oid);
    }
    if (when >= 0) {
        buf_addf(b, ",\"lastCommit\":{\"id\":\"%s\",\"title\":\"mirrored\",\"date\":", commit);
        add_time(b, when);
        buf_add_char(b, '}');
    }
    buf_add_char(b, '}');
}

/* Revision and listing of a target; 0: the reply says why not. */
static int load(const mirror *m, const mirror_repo *repo, const mirror_target *t,
                char commit[HUB_COMMIT_CHARS + 1], hub_tree *tree, mirror_reply *out)
{
    mlxe_error err;
    if (store_commit(m, repo, t->revision, commit, &err)) {
        reply_failure(out, &err, "RevisionNotFound", "Invalid rev id");
    } else if (store_tree(m, repo, commit, tree, &err)) {
        reply_failure(out, &err, "RevisionNotFound", "Listing incomplete on this mirror");
    } else {
        reply_header(out, "X-Repo-Commit", commit);
        return 1;
    }
    return 0;
}

void tree_answer(const mirror *m, const mirror_call *call, const mirror_repo *repo,
                 const mirror_target *t, mirror_reply *out)
{
    char commit[HUB_COMMIT_CHARS + 1];
    hub_tree tree;
    items list = {0};
    mlxe_error err;
    uint64_t first, page = PAGE_ENTRIES;
    int expand = target_flag(t, "expand");
    if (target_cursor(t, &first, &err)) {
        reply_failure(out, &err, NULL, "");
        return;
    }
    if (!load(m, repo, t, commit, &tree, out)) return;
    list_folder(&tree, t->path, target_flag(t, "recursive"), &list);
    if (expand) page = PAGE_EXPANDED;
    strv limit = target_param(t, "limit");
    uint64_t asked = 0;
    for (size_t i = 0; i < limit.n && i < 9 && limit.p[i] >= '0' && limit.p[i] <= '9'; i++)
        asked = asked * 10 + (uint64_t)(limit.p[i] - '0');
    if (asked > 0 && asked < page) page = asked;
    if (list.n == 0 && t->path.n) {
        reply_error(out, 404, "EntryNotFound", "No such folder");
    } else if (list.failed) {
        reply_error(out, 500, NULL, "No memory");
    } else {
        buf_add_char(&out->body, '[');
        for (uint64_t i = first; i < list.n && i < first + page; i++) {
            if (i > first) buf_add_char(&out->body, ',');
            write_item(&out->body, &list.items[i], commit, expand ? store_time(repo) : -1);
        }
        buf_add_char(&out->body, ']');
        reply_json(out);
        if (first + page < list.n) reply_next(m, call, t, first + page, out);
    }
    free(list.items);
    hub_tree_deinit(&tree);
}

/* ---- paths-info ----------------------------------------------------------------------------- */

/* Adds the files or folders that path names. */
static void add_path(const hub_tree *tree, strv path, items *out)
{
    const hub_entry *file = hub_tree_find(tree, path);
    if (file) {
        add_item(out, path, file);
        return;
    }
    for (size_t i = 0; i < tree->n; i++) {
        strv other = tree->entries[i].path;
        if (!strv_starts(other, path) || other.n <= path.n || other.p[path.n] != '/') continue;
        add_item(out, path, NULL);
        return;
    }
}

static mlxe_status json_paths(const mirror_call *call, const hub_tree *tree, json_doc **doc,
                              items *list, int *expand, mlxe_error *err)
{
    const json *paths = NULL, *path;
    mlxe_status rc = json_parse("paths-info", call->body.p, call->body.n, doc, err);
    if (rc) return rc;
    const json *root = json_root(*doc);
    if (json_is(json_get(root, "paths"), JSON_ARRAY)) paths = json_get(root, "paths");
    *expand = json_bool(json_get(root, "expand"));
    if (!paths || json_len(paths) > MAX_PATHS)
        return err_set(err, MLXE_E_INPUT, "paths-info: want \"paths\", at most %d", MAX_PATHS);
    json_iter it = json_iterate(paths);
    while (json_next(&it, NULL, &path))
        if (json_is(path, JSON_STRING)) add_path(tree, json_str(path), list);
    return MLXE_OK;
}

static mlxe_status form_paths(const mirror_call *call, mirror_target *t, const hub_tree *tree,
                              items *list, int *expand, mlxe_error *err)
{
    size_t n = 0, first = t->n_params;
    mlxe_status rc = target_params(t, call->body.p, call->body.n, err);
    for (size_t i = first; i < t->n_params && !rc; i++) {
        if (!strv_is(t->params[i].key, "paths")) continue;
        if (++n > MAX_PATHS)
            rc = err_set(err, MLXE_E_INPUT, "paths-info: more than %d paths", MAX_PATHS);
        else
            add_path(tree, t->params[i].value, list);
    }
    *expand = target_flag(t, "expand");
    return rc;
}

void paths_answer(const mirror *m, const mirror_call *call, const mirror_repo *repo,
                  mirror_target *t, mirror_reply *out)
{
    char commit[HUB_COMMIT_CHARS + 1];
    hub_tree tree;
    items list = {0};
    json_doc *doc = NULL;
    mlxe_error err;
    int expand = 0;
    if (!load(m, repo, t, commit, &tree, out)) return;
    strv type = strv_of(call->content_type);
    mlxe_status rc = strv_starts(type, STRV("application/json"))
                         ? json_paths(call, &tree, &doc, &list, &expand, &err)
                         : form_paths(call, t, &tree, &list, &expand, &err);
    if (rc) {
        reply_failure(out, &err, NULL, "");
    } else {
        buf_add_char(&out->body, '[');
        for (size_t i = 0; i < list.n; i++) {
            if (i > 0) buf_add_char(&out->body, ',');
            write_item(&out->body, &list.items[i], commit, expand ? store_time(repo) : -1);
        }
        buf_add_char(&out->body, ']');
        reply_json(out);
    }
    json_close(doc);
    free(list.items);
    hub_tree_deinit(&tree);
}

/* ---- refs and commits ----------------------------------------------------------------------- */

typedef struct ref_lists {
    buf branches, converts, pulls;
} ref_lists;

static int add_ref(void *user, const char *name, const char *commit)
{
    ref_lists *lists = user;
    buf *b = &lists->branches;
    const char *shown = name, *head = "refs/heads/";
    if (strncmp(name, "refs/pr/", 8) == 0) {
        b = &lists->pulls;
        head = "";
    } else if (strncmp(name, "refs/convert/", 13) == 0) {
        b = &lists->converts;
        shown = name + 13;
        head = "";
    }
    if (b->n) buf_add_char(b, ',');
    buf_add_str(b, "{\"name\":");
    json_write_str(b, strv_of(shown));
    buf full = {0};
    buf_addf(&full, "%s%s", head, name);
    buf_add_str(b, ",\"ref\":");
    json_write_str(b, buf_view(&full));
    buf_addf(b, ",\"targetCommit\":\"%s\"}", commit);
    buf_deinit(&full);
    return 0;
}

void refs_answer(const mirror *m, const mirror_repo *repo, const mirror_target *t,
                 mirror_reply *out)
{
    ref_lists lists = {0};
    mlxe_error err;
    if (store_refs(m, repo, add_ref, &lists, &err)) {
        reply_failure(out, &err, NULL, "");
    } else {
        buf_addf(&out->body, "{\"branches\":[%s],\"converts\":[%s],\"tags\":[]",
                 buf_str(&lists.branches), buf_str(&lists.converts));
        if (target_flag(t, "include_prs"))
            buf_addf(&out->body, ",\"pullRequests\":[%s]", buf_str(&lists.pulls));
        buf_add_char(&out->body, '}');
        reply_json(out);
    }
    buf_deinit(&lists.branches);
    buf_deinit(&lists.converts);
    buf_deinit(&lists.pulls);
}

void commits_answer(const mirror *m, const mirror_repo *repo, const mirror_target *t,
                    mirror_reply *out)
{
    char commit[HUB_COMMIT_CHARS + 1];
    mlxe_error err;
    if (store_commit(m, repo, t->revision, commit, &err)) {
        reply_failure(out, &err, "RevisionNotFound", "Invalid rev id");
        return;
    }
    buf_addf(
        &out->body,
        "[{\"id\":\"%s\",\"authors\":[],\"title\":\"mirrored\",\"message\":\"\",\"date\":", commit);
    add_time(&out->body, store_time(repo));
    buf_add_str(&out->body, "}]");
    reply_json(out);
}
