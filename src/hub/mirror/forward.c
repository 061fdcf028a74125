/* forward.c: the search of a mirror with an upstream: what is here, then what only the upstream
 * has.
 *
 *   page:  entries of ours ... | entries of the upstream that are not among ours ...   in one array
 *   next:  cursor=OFFSET.CHECK while ours last, then cursor=uCHECK.QUERY: the upstream's own next
 *          page
 *
 * Every entry says in "mirrored" whether this mirror holds it, in part at least. Ours come first,
 * so that no page needs to know what others told: an entry of the upstream is left out when our own
 * search lists it. A filter that only the upstream knows is left to it: then all is its list.
 *
 * When the upstream cannot be asked, ours are told with an X-HF-Warning; a later page is an error,
 * since who has begun a list would take its end for the end. */
#include "hub/mirror/upstream.h"

#include "hub/hub_json.h"

#include <inttypes.h>

/* The client's own query with another limit. */
static void query_of(const mirror_target *t, uint64_t limit, buf *out)
{
    buf_addf(out, "limit=%" PRIu64, limit);
    for (size_t i = 0; i < t->n_params; i++) {
        strv key = t->params[i].key;
        if (strv_is(key, "cursor") || strv_is(key, "limit")) continue;
        buf_add_char(out, '&');
        hub_escape_add(out, key, HUB_ESCAPE_ALL);
        buf_add_char(out, '=');
        hub_escape_add(out, t->params[i].value, HUB_ESCAPE_ALL);
    }
}

static int is_here(const mirror *m, hub_type type, strv id)
{
    mirror_repo repo;
    char commit[HUB_COMMIT_CHARS + 1];
    if (store_repo(m, type, id, &repo, NULL)) return 0;
    int here = !store_commit(m, &repo, (strv){0}, commit, NULL);
    store_repo_deinit(&repo);
    return here;
}

/* An entry as the upstream told it, with our word on it. */
static void add_entry(buf *body, const json *entry, int here)
{
    const json *key, *value;
    json_iter it = json_iterate(entry);
    buf_add_char(body, '{');
    while (json_next(&it, &key, &value)) {
        if (strv_is(json_str(key), "mirrored")) continue;
        json_write_str(body, json_str(key));
        buf_add_char(body, ':');
        json_write_value(body, value);
        buf_add_char(body, ',');
    }
    buf_addf(body, "\"mirrored\":%s}", here ? "true" : "false");
}

static mlxe_status add_page(const mirror *m, const mirror_target *t, int ours_told, const buf *page,
                            mirror_reply *out, mlxe_error *err)
{
    json_doc *doc;
    const json *entry;
    mlxe_status rc = hub_json_parse("upstream", buf_str(page), page->n, &doc, err);
    if (rc) return rc;
    if (!json_is(json_root(doc), JSON_ARRAY))
        rc = err_set(err, MLXE_E_CORRUPT, "upstream: its search answers no array");
    json_iter it = json_iterate(json_root(doc));
    while (!rc && json_next(&it, NULL, &entry)) {
        strv id = json_str(json_get(entry, "id"));
        if (hub_id_check(id, NULL) || !store_serves(m, t->type, id)) continue;
        if (ours_told && search_lists(m, t, id)) continue;
        if (out->body.n > 1) buf_add_char(&out->body, ',');
        add_entry(&out->body, entry, is_here(m, t->type, id));
    }
    json_close(doc);
    return rc;
}

void forward_search(const mirror *m, const mirror_call *call, const mirror_target *t,
                    const forward_from *from, mirror_reply *out)
{
    buf query = {0}, page = {0}, next = {0};
    mlxe_error err;
    int status = 502;
    mlxe_status rc = MLXE_OK;
    if (from->query.n)
        buf_add_strv(&query, from->query);
    else
        query_of(t, from->limit ? from->limit : from->page, &query);
    if (!buf_ok(&query)) rc = err_memory(&err, "search", 0);
    if (!rc && !from->limit && !from->query.n) {
        reply_next_upstream(m, call, t, buf_str(&query), out); /* the page is full of ours */
        goto out;
    }
    if (!rc)
        rc = upstream_search(m->upstream, t->type, buf_str(&query), &page, &next, &status, &err);
    if (!rc) rc = add_page(m, t, from->ours_told, &page, out, &err);
    if (!rc && next.n) reply_next_upstream(m, call, t, buf_str(&next), out);
    if (!rc) goto out;
    log_line(&m->log, MLXE_LOG_WARN, "mirror: upstream: search: %s", err.message);
    if (from->query.n || !from->ours_told)
        reply_error(out, status, status == 400 ? "BadRequest" : NULL,
                    status == 400 ? "The upstream of this mirror refuses the query"
                                  : "The upstream of this mirror cannot be searched");
    else
        reply_header(out, "X-HF-Warning",
                     "upstream; this mirror cannot search its upstream now, only what it holds is "
                     "listed");
out:
    buf_deinit(&query);
    buf_deinit(&page);
    buf_deinit(&next);
}
