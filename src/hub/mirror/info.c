/* info.c: one repository's description, and the search over all of them.
 *
 *   README.md's front matter -> tags, pipeline_tag, library_name, cardData
 *   config.json              -> config {architectures, model_type}
 *   stored listing           -> siblings (only when complete)
 *
 * A mirror counts nothing: downloads and likes are 0. Filters that it cannot know (inference
 * providers, apps) are an error that names them, never ignored. */
#include "hub/mirror/card.h"
#include "hub/mirror/plain.h"

#include "base/json.h"
#include "hub/hash.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { README_BYTES = 256 << 10, CONFIG_BYTES = 1 << 20, PAGE_REPOS = 1000, MAX_TAGS = 128 };

typedef struct about {
    buf readme, config;
    card card;
    strv tags[MAX_TAGS];
    size_t n_tags;
    arena memory;
} about;

static void add_tag(about *a, const char *head, strv value)
{
    if (!value.n || a->n_tags == MAX_TAGS) return;
    if (*head) {
        buf text = {0};
        buf_add_str(&text, head);
        buf_add_strv(&text, value);
        const char *copy = arena_copy(&a->memory, buf_view(&text));
        buf_deinit(&text);
        if (!copy) return;
        value = strv_of(copy);
    }
    for (size_t i = 0; i < a->n_tags; i++)
        if (strv_eq(a->tags[i], value)) return;
    a->tags[a->n_tags++] = value;
}

static void about_read(const mirror *m, const mirror_repo *repo, const char *commit, about *a)
{
    static const struct {
        const char *key, *head;
    } TAGS[] = {{"library_name", ""},   {"pipeline_tag", ""},          {"tags", ""},
                {"language", ""},       {"base_model", "base_model:"}, {"datasets", "dataset:"},
                {"license", "license:"}};
    memset(a, 0, sizeof *a);
    store_text(m, repo, commit, "README.md", README_BYTES, &a->readme, NULL);
    if (repo->type == HUB_MODEL)
        store_text(m, repo, commit, "config.json", CONFIG_BYTES, &a->config, NULL);
    card_read(buf_view(&a->readme), &a->card);
    for (size_t i = 0; i < sizeof TAGS / sizeof *TAGS; i++)
        for (size_t v = 0; v < a->card.n; v++)
            if (strv_is(a->card.values[v].key, TAGS[i].key))
                add_tag(a, TAGS[i].head, a->card.values[v].value);
}

static void about_deinit(about *a)
{
    buf_deinit(&a->readme);
    buf_deinit(&a->config);
    arena_deinit(&a->memory);
}

/* ---- one description ------------------------------------------------------------------------ */

/* Which members are asked for. With expand= only those named, else what is usual. */
static int wants(const mirror_target *t, const char *name, int usual)
{
    int expands = 0;
    for (size_t i = 0; i < t->n_params; i++) {
        strv key = t->params[i].key;
        if (!strv_is(key, "expand") && !strv_is(key, "expand[]")) continue;
        if (strv_is(t->params[i].value, name)) return 1;
        expands = 1;
    }
    return usual && !expands;
}

static void add_text(buf *b, const char *key, strv value)
{
    if (!value.n) return;
    buf_addf(b, ",\"%s\":", key);
    json_write_str(b, value);
}

/* The card as JSON: a key with list values is a list. */
static void add_card(buf *b, const card *c)
{
    buf_add_str(b, ",\"cardData\":{");
    int any = 0;
    for (size_t i = 0; i < c->n; i++) {
        strv key = c->values[i].key;
        int is_later = 0;
        for (size_t k = 0; k < i; k++)
            is_later |= strv_eq(c->values[k].key, key);
        if (is_later) continue;
        if (any++) buf_add_char(b, ',');
        json_write_str(b, key);
        buf_add_char(b, ':');
        if (!c->values[i].in_list) {
            json_write_str(b, c->values[i].value);
            continue;
        }
        buf_add_char(b, '[');
        for (size_t k = i, n = 0; k < c->n; k++) {
            if (!strv_eq(c->values[k].key, key)) continue;
            if (n++) buf_add_char(b, ',');
            json_write_str(b, c->values[k].value);
        }
        buf_add_char(b, ']');
    }
    buf_add_char(b, '}');
}

static void add_config(buf *b, const about *a)
{
    static const char *const KEYS[] = {"architectures", "model_type"};
    json_doc *doc = NULL;
    buf_add_str(b, ",\"config\":{");
    if (a->config.n && !json_parse("config.json", a->config.p, a->config.n, &doc, NULL)) {
        int any = 0;
        for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++) {
            const json *v = json_get(json_root(doc), KEYS[i]);
            if (!v) continue;
            buf_addf(b, "%s\"%s\":", any++ ? "," : "", KEYS[i]);
            json_write_value(b, v);
        }
    }
    json_close(doc);
    buf_add_char(b, '}');
}

static void add_siblings(buf *b, const hub_tree *tree, int with_blobs)
{
    buf_add_str(b, ",\"siblings\":[");
    for (size_t i = 0; i < tree->n; i++) {
        const hub_entry *e = &tree->entries[i];
        buf_add_str(b, i ? ",{\"rfilename\":" : "{\"rfilename\":");
        json_write_str(b, e->path);
        if (with_blobs) {
            buf_addf(b, ",\"size\":%" PRIu64 ",\"blobId\":", e->size);
            json_write_str(b, e->oid);
        }
        if (with_blobs && e->sha256.n) {
            char oid[41];
            size_t pointer = 0;
            hub_pointer_sha1(e->sha256, e->size, oid, &pointer, NULL);
            buf_add_str(b, ",\"lfs\":{\"sha256\":");
            json_write_str(b, e->sha256);
            buf_addf(b, ",\"size\":%" PRIu64 ",\"pointerSize\":%zu}", e->size, pointer);
        }
        buf_add_char(b, '}');
    }
    buf_add_char(b, ']');
}

/* siblings of a folder of plain files, for which no hash is needed. */
static void add_names(buf *b, const mirror_repo *repo)
{
    plain_files files;
    if (plain_list(repo->path, &files, NULL)) return;
    buf_add_str(b, ",\"siblings\":[");
    for (size_t i = 0; i < files.n; i++) {
        buf_add_str(b, i ? ",{\"rfilename\":" : "{\"rfilename\":");
        json_write_str(b, strv_of(files.files[i].path));
        buf_add_char(b, '}');
    }
    buf_add_char(b, ']');
    plain_deinit(&files);
}

/* is_item: of a search, which has fewer members unless they are asked for. */
static void add_repo(buf *b, const mirror *m, const mirror_repo *repo, const char *commit,
                     const about *a, const mirror_target *t, int is_item)
{
    int full = !is_item || target_flag(t, "full");
    const char *slash = strchr(repo->id, '/');
    buf_addf(b, "{\"id\":\"%s\"", repo->id);
    if (repo->type == HUB_MODEL) buf_addf(b, ",\"modelId\":\"%s\"", repo->id);
    if (wants(t, "sha", full)) buf_addf(b, ",\"sha\":\"%s\"", commit);
    if (wants(t, "author", full) && slash)
        add_text(b, "author", strv_from(repo->id, (size_t)(slash - repo->id)));
    if (wants(t, "private", 1)) buf_add_str(b, ",\"private\":false");
    if (wants(t, "disabled", full)) buf_add_str(b, ",\"disabled\":false");
    if (wants(t, "gated", 1)) {
        int gated = m->gated.n_include > 0 && globs_want(&m->gated, strv_of(repo->id));
        buf_addf(b, ",\"gated\":%s", gated ? "\"manual\"" : "false");
    }
    if (wants(t, "downloads", 1)) buf_add_str(b, ",\"downloads\":0");
    if (wants(t, "likes", 1)) buf_add_str(b, ",\"likes\":0");
    if (wants(t, "lastModified", full)) {
        buf_add_str(b, ",\"lastModified\":");
        add_time(b, store_time(repo));
    }
    if (wants(t, "createdAt", 1)) {
        buf_add_str(b, ",\"createdAt\":");
        add_time(b, store_time(repo));
    }
    if (wants(t, "tags", 1)) {
        buf_add_str(b, ",\"tags\":[");
        for (size_t i = 0; i < a->n_tags; i++) {
            if (i) buf_add_char(b, ',');
            json_write_str(b, a->tags[i]);
        }
        buf_add_char(b, ']');
    }
    if (wants(t, "pipeline_tag", 1))
        add_text(b, "pipeline_tag", card_get(&a->card, "pipeline_tag"));
    if (wants(t, "library_name", 1))
        add_text(b, "library_name", card_get(&a->card, "library_name"));
    if (wants(t, "cardData", !is_item || target_flag(t, "cardData"))) add_card(b, &a->card);
    if (repo->type == HUB_MODEL && wants(t, "config", !is_item || target_flag(t, "config")))
        add_config(b, a);
    if (repo->type == HUB_MODEL && wants(t, "safetensors", !is_item))
        weights_add(b, m, repo, commit);
    if (is_item && m->upstream) buf_add_str(b, ",\"mirrored\":true");
    if (wants(t, "siblings", full)) {
        hub_tree tree;
        if (repo->is_plain && !target_flag(t, "blobs"))
            add_names(b, repo);
        else if (!store_tree(m, repo, commit, &tree, NULL)) {
            add_siblings(b, &tree, target_flag(t, "blobs"));
            hub_tree_deinit(&tree);
        }
    }
    buf_add_char(b, '}');
}

void info_answer(const mirror *m, const mirror_repo *repo, const mirror_target *t,
                 mirror_reply *out)
{
    char commit[HUB_COMMIT_CHARS + 1];
    mlxe_error err;
    about a;
    if (store_commit(m, repo, t->revision, commit, &err)) {
        reply_failure(out, &err, t->revision.n ? "RevisionNotFound" : "RepoNotFound",
                      t->revision.n ? "Invalid rev id" : "Repository not found");
        return;
    }
    about_read(m, repo, commit, &a);
    add_repo(&out->body, m, repo, commit, &a, t, 0);
    reply_header(out, "X-Repo-Commit", commit);
    reply_json(out);
    about_deinit(&a);
}

/* ---- search --------------------------------------------------------------------------------- */

typedef struct found {
    char *json, *id;
    int64_t when;
} found;

typedef struct searching {
    const mirror *m;
    const mirror_target *t;
    found *list;
    size_t n, cap;
    int failed;
} searching;

static int has_part(const char *text, strv part)
{
    size_t n = strlen(text);
    for (size_t i = 0; i + part.n <= n; i++)
        if (strncasecmp(text + i, part.p, part.n) == 0) return 1;
    return part.n == 0;
}

/* Every word of a search must be part of the id. */
static int has_words(const char *id, strv words)
{
    size_t from = 0;
    for (size_t i = 0; i <= words.n; i++) {
        if (i < words.n && words.p[i] != ' ') continue;
        if (!has_part(id, strv_from(words.p + from, i - from))) return 0;
        from = i + 1;
    }
    return 1;
}

static int has_tag(const about *a, strv tag)
{
    for (size_t i = 0; i < a->n_tags; i++)
        if (strv_eq(a->tags[i], tag)) return 1;
    return 0;
}

static int fits(const mirror *m, const mirror_repo *repo, const about *a, const mirror_target *t)
{
    const char *slash = strchr(repo->id, '/');
    strv author = strv_from(repo->id, slash ? (size_t)(slash - repo->id) : 0);
    int gated = m->gated.n_include > 0 && globs_want(&m->gated, strv_of(repo->id));
    for (size_t i = 0; i < t->n_params; i++) {
        strv key = t->params[i].key, value = t->params[i].value;
        if (strv_is(key, "search") && !has_words(repo->id, value)) return 0;
        if (strv_is(key, "author") && !strv_eq(author, value)) return 0;
        if (strv_is(key, "filter") && !has_tag(a, value)) return 0;
        if (strv_is(key, "pipeline_tag") && !strv_eq(card_get(&a->card, "pipeline_tag"), value))
            return 0;
        if (strv_is(key, "gated") && gated != target_flag(t, "gated")) return 0;
    }
    return 1;
}

int search_lists(const mirror *m, const mirror_target *t, strv id)
{
    mirror_repo repo;
    char commit[HUB_COMMIT_CHARS + 1];
    about a;
    int lists = 0;
    if (store_repo(m, t->type, id, &repo, NULL)) return 0;
    if (!store_commit(m, &repo, (strv){0}, commit, NULL)) {
        about_read(m, &repo, commit, &a);
        lists = fits(m, &repo, &a, t);
        about_deinit(&a);
    }
    store_repo_deinit(&repo);
    return lists;
}

static int take(void *user, const mirror_repo *repo)
{
    searching *s = user;
    char commit[HUB_COMMIT_CHARS + 1];
    about a;
    if (store_commit(s->m, repo, (strv){0}, commit, NULL)) return 0;
    about_read(s->m, repo, commit, &a);
    if (fits(s->m, repo, &a, s->t)) {
        if (s->n == s->cap) {
            size_t cap = s->cap ? s->cap * 2 : 64;
            found *grown = realloc(s->list, cap * sizeof *grown);
            if (!grown) {
                s->failed = 1;
                about_deinit(&a);
                return 1;
            }
            s->list = grown;
            s->cap = cap;
        }
        buf text = {0};
        add_repo(&text, s->m, repo, commit, &a, s->t, 1);
        found f = {buf_take(&text, NULL), strdup(repo->id), store_time(repo)};
        s->failed |= !f.json || !f.id;
        s->list[s->n++] = f;
    }
    about_deinit(&a);
    return s->failed;
}

static int latest_first(const void *a, const void *b)
{
    const found *x = a, *y = b;
    if (x->when != y->when) return x->when < y->when ? 1 : -1;
    return strcmp(x->id, y->id);
}

/* What would be ignored is an error. *foreign: 1: a filter that only an upstream may know. */
static mlxe_status check_query(const mirror_target *t, int *foreign, mlxe_error *err)
{
    static const char *const KNOWN[] = {
        "search", "author",   "filter", "pipeline_tag", "sort",  "direction", "limit", "full",
        "config", "cardData", "expand", "expand[]",     "gated", "cursor",    "blobs"};
    static const char *const SORTS[] = {"createdAt",     "downloads",     "lastModified",
                                        "likes",         "trendingScore", "trending_score",
                                        "last_modified", "created_at"};
    for (size_t i = 0; i < t->n_params; i++) {
        strv key = t->params[i].key;
        int known = 0;
        for (size_t k = 0; k < sizeof KNOWN / sizeof *KNOWN; k++)
            known |= strv_is(key, KNOWN[k]);
        if (!known) {
            *foreign = 1;
            err_set(err, MLXE_E_INPUT, "search: this mirror cannot filter by %.40s", key.p);
        }
        if (!strv_is(key, "sort")) continue;
        known = 0;
        for (size_t k = 0; k < sizeof SORTS / sizeof *SORTS; k++)
            known |= strv_is(t->params[i].value, SORTS[k]);
        if (!known)
            return err_set(err, MLXE_E_INPUT, "search: cannot sort by %.40s", t->params[i].value.p);
    }
    return *foreign ? MLXE_E_INPUT : MLXE_OK;
}

void search_answer(const mirror *m, const mirror_call *call, const mirror_target *t,
                   mirror_reply *out)
{
    searching s = {.m = m, .t = t};
    mlxe_error err;
    uint64_t first = 0, told = 0, page = PAGE_REPOS;
    int foreign = 0;
    strv limit = target_param(t, "limit"), sort = target_param(t, "sort"), above = {0};
    mlxe_status rc = check_query(t, &foreign, &err);
    if (rc && foreign && m->upstream) rc = MLXE_OK;
    if (!rc && m->upstream) rc = target_upstream_cursor(t, &above, &err);
    if (!rc && !above.n) rc = target_cursor(t, &first, &err);
    if (!rc && limit.n) page = strtoull(limit.p, NULL, 10);
    if (!rc && (page < 1 || (limit.n && !isdigit((unsigned char)limit.p[0]))))
        rc = err_set(&err, MLXE_E_INPUT, "search: limit is no number from 1");
    if (page > PAGE_REPOS) page = PAGE_REPOS;
    if (!rc && !above.n && !foreign) rc = store_each(m, t->type, take, &s, &err);
    if (!rc && s.failed) rc = err_memory(&err, "search", 0);
    if (rc) {
        reply_failure(out, &err, NULL, "");
        goto out;
    }
    if (s.n && (strv_is(sort, "lastModified") || strv_is(sort, "createdAt") ||
                strv_is(sort, "last_modified") || strv_is(sort, "created_at")))
        qsort(s.list, s.n, sizeof *s.list, latest_first);
    buf_add_char(&out->body, '[');
    for (uint64_t i = first; i < s.n && i < first + page; i++) {
        if (i > first) buf_add_char(&out->body, ',');
        buf_add_str(&out->body, s.list[i].json);
        told++;
    }
    reply_json(out);
    if (first + page < s.n)
        reply_next(m, call, t, first + page, out);
    else if (m->upstream)
        forward_search(m, call, t, &(forward_from){above, page - told, page, !foreign}, out);
    if (out->status == 200) buf_add_char(&out->body, ']');
out:
    for (size_t i = 0; i < s.n; i++) {
        free(s.list[i].json);
        free(s.list[i].id);
    }
    free(s.list);
}
