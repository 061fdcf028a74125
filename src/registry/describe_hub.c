/* describe_hub.c: what a Hub id is: the folder's description, with what only the Hub knows put in.
 *
 *   complete copy in the cache -> describe_folder
 *   else: info + listing + small files -> describe_folder -> files, sizes and parameters of the Hub
 *
 * Parameters of weights that are not here are the Hub's own count of them, else null. */
#include "registry/describe_hub.h"

#include "hub/cache.h"
#include "hub/hub_json.h"
#include "registry/describe.h"

static const char *const SMALL_FILES[] = {"config.json",
                                          "generation_config.json",
                                          "tokenizer_config.json",
                                          "chat_template.jinja",
                                          "chat_template.json",
                                          "model_index.json",
                                          "README.md",
                                          "LICENSE"};

static void files_write(const hub_tree *tree, buf *out)
{
    buf_add_char(out, '[');
    for (size_t i = 0; i < tree->n; i++) {
        if (i) buf_add_char(out, ',');
        buf_add_str(out, "{\"path\":");
        json_write_str(out, tree->entries[i].path);
        buf_add_str(out, ",\"size\":");
        json_write_uint(out, tree->entries[i].size);
        buf_add_char(out, '}');
    }
    buf_add_char(out, ']');
}

static uint64_t weight_bytes(const hub_tree *tree)
{
    uint64_t n = 0;
    for (size_t i = 0; i < tree->n; i++)
        if (strv_ends(tree->entries[i].path, STRV(".safetensors"))) n += tree->entries[i].size;
    return n;
}

/* Writes the members of a folder's description again, some with the Hub's values. info: NULL when
 * it was not asked. */
static mlxe_status merge(const hub_repo *repo, const char *commit, const json *info,
                         const hub_tree *tree, const buf *description, buf *out, mlxe_error *err)
{
    json_doc *doc;
    const json *name, *value;
    const json *total = json_get(json_get(info, "safetensors"), "total");
    const json *licence = json_get(json_get(info, "cardData"), "license");
    json_iter it;
    int first = 1;
    mlxe_status rc = json_parse(repo->id, buf_str(description), description->n, &doc, err);
    if (rc) return rc;
    buf_add_char(out, '{');
    it = json_iterate(json_root(doc));
    while (json_next(&it, &name, &value)) {
        strv k = json_str(name);
        if (!first) buf_add_char(out, ',');
        first = 0;
        json_write_str(out, k);
        buf_add_char(out, ':');
        if (strv_is(k, "id"))
            json_write_str(out, strv_of(repo->id));
        else if (strv_is(k, "revision"))
            json_write_str(out, strv_of(commit));
        else if (strv_is(k, "files") && tree)
            files_write(tree, out);
        else if (strv_is(k, "weight_bytes") && tree)
            json_write_uint(out, weight_bytes(tree));
        else if (strv_is(k, "parameters") && json_is(value, JSON_NULL) && json_is(total, JSON_INT))
            json_write_int(out, json_int(total));
        else if (strv_is(k, "license") && json_is(value, JSON_NULL) &&
                 json_is(licence, JSON_STRING))
            json_write_str(out, json_str(licence));
        else
            json_write_value(out, value);
    }
    buf_add_char(out, '}');
    json_close(doc);
    return buf_ok(out) ? MLXE_OK : err_memory(err, "description", out->n);
}

/* The listing of a commit that the cache keeps; empty when it has none. */
static int cached_tree(const hub *h, const hub_repo *repo, const char *commit, hub_tree *tree)
{
    buf dir = {0}, file = {0};
    mlxe_status rc;
    cache_repo_path(&dir, hub_cache(h), repo->type, strv_of(repo->id));
    cache_tree_path(&file, buf_str(&dir), strv_of(commit));
    rc = hub_tree_load(buf_str(&file), tree, NULL);
    buf_deinit(&dir);
    buf_deinit(&file);
    return !rc;
}

static mlxe_status describe_at(hub *h, const hub_repo *repo, const buf *path, const hub_got *got,
                               const json *info, buf *out, mlxe_error *err)
{
    buf description = {0};
    hub_tree tree = {0};
    int listed = cached_tree(h, repo, got->commit, &tree);
    mlxe_status rc = describe_folder(repo->id, buf_str(path), &description, err);
    if (!rc) rc = merge(repo, got->commit, info, listed ? &tree : NULL, &description, out, err);
    hub_tree_deinit(&tree);
    buf_deinit(&description);
    return rc;
}

mlxe_status describe_hub(hub *h, const hub_repo *repo, const hub_watch *watch, buf *out,
                         mlxe_error *err)
{
    hub_want want = {.globs = {SMALL_FILES, sizeof SMALL_FILES / sizeof *SMALL_FILES, NULL, 0}};
    hub_globs everything = {0};
    hub_got got;
    buf path = {0}, text = {0};
    json_doc *info = NULL;
    mlxe_status rc;
    if (!hub_cached(h, repo, &everything, &path, &got, NULL) ||
        (hub_offline(h) && !hub_cached(h, repo, &want.globs, &path, &got, NULL))) {
        rc = describe_at(h, repo, &path, &got, NULL, out, err);
        goto out;
    }
    if (hub_offline(h)) {
        rc = err_set(err, MLXE_E_NOT_FOUND, "%s: not in the cache, and nothing is fetched offline",
                     repo->id);
        goto out;
    }
    if ((rc = hub_snapshot(h, repo, &want, watch, &path, &got, err))) goto out;
    if (!got.from_cache && !hub_info(h, repo, watch, &text, NULL))
        (void)hub_json_parse(repo->id, buf_str(&text), text.n, &info, NULL);
    rc = describe_at(h, repo, &path, &got, json_root(info), out, err);
out:
    json_close(info);
    buf_deinit(&path);
    buf_deinit(&text);
    return rc;
}

mlxe_status describe_hub_files(hub *h, const hub_repo *repo, const hub_watch *watch, buf *out,
                               mlxe_error *err)
{
    buf text = {0};
    json_doc *doc = NULL;
    hub_tree tree = {0};
    strv sha = {0};
    char commit[HUB_COMMIT_CHARS + 1] = "";
    mlxe_status rc = hub_info(h, repo, watch, &text, err);
    if (!rc) rc = hub_json_parse(repo->id, buf_str(&text), text.n, &doc, err);
    if (!rc) rc = hub_json_str(json_root(doc), repo->id, "sha", &sha, err);
    if (!rc && !hub_is_commit(sha))
        rc = err_set(err, MLXE_E_CORRUPT, "%s: \"sha\" is no commit", repo->id);
    if (!rc) {
        memcpy(commit, sha.p, sha.n);
        rc = hub_list_tree(h, repo, commit, watch, &tree, err);
    }
    if (!rc) {
        buf_addf(out, "{\"revision\":\"%s\",\"files\":", commit);
        files_write(&tree, out);
        buf_add_char(out, '}');
    }
    json_close(doc);
    hub_tree_deinit(&tree);
    buf_deinit(&text);
    return rc;
}
