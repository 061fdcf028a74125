/* search.c: finding repositories: the query as the Hub reads it, page after page up to a limit.
 *
 *   query -> /api/models?search=..&filter=..&sort=.. -> objects -> one line of JSON each
 *
 * Traps: `limit` is the page's size to the server and a total here. The order is always descending;
 * older servers want direction=-1 said. `gated` is false or a string. */
#include "hub/hub_api.h"
#include "hub/hub_json.h"
#include "hub/hub_state.h"

enum { DEFAULT_LIMIT = 20, PAGE_ENTRIES = 100 };

static const char *const SORTS[] = {"downloads", "likes", "lastModified", "createdAt",
                                    "trendingScore"};

static void add(buf *url, const char *key, const char *value)
{
    if (!value || !*value) return;
    buf_add_char(url, '&');
    buf_add_str(url, key);
    buf_add_char(url, '=');
    hub_escape_add(url, strv_of(value), HUB_ESCAPE_ALL);
}

static mlxe_status query_url(const hub *h, const hub_query *q, uint32_t limit, buf *url,
                             mlxe_error *err)
{
    const char *sort = q->sort && *q->sort ? q->sort : "downloads";
    int known = 0;
    for (size_t i = 0; i < sizeof SORTS / sizeof *SORTS; i++)
        known |= !strcmp(sort, SORTS[i]);
    if (!known)
        return err_set(err, MLXE_E_ARG,
                       "sort: %.40s, want downloads, likes, lastModified, createdAt or "
                       "trendingScore",
                       sort);
    buf_clear(url);
    buf_add_str(url, h->endpoint);
    buf_addf(url, "/api/models?limit=%u", limit < PAGE_ENTRIES ? limit : PAGE_ENTRIES);
    add(url, "search", q->search);
    add(url, "author", q->author);
    add(url, "pipeline_tag", q->task);
    add(url, "filter", q->library);
    for (size_t i = 0; i < q->n_filters; i++)
        add(url, "filter", q->filters[i]);
    add(url, "sort", sort);
    add(url, "direction", "-1");
    return buf_ok(url) ? MLXE_OK : err_memory(err, "query", 0);
}

static void write_count(buf *line, const json *model, const char *key)
{
    const json *v = json_get(model, key);
    buf_addf(line, ",\"%s\":", key);
    json_write_int(line, json_is(v, JSON_INT) ? json_int(v) : 0);
}

static void write_text(buf *line, const char *name, const json *v)
{
    buf_addf(line, ",\"%s\":", name);
    if (json_is(v, JSON_STRING))
        json_write_str(line, json_str(v));
    else
        buf_add_str(line, "null");
}

static mlxe_status model_line(const json *model, buf *line, mlxe_error *err)
{
    strv id;
    const json *gated = json_get(model, "gated");
    mlxe_status rc = json_is(model, JSON_OBJECT)
                         ? hub_json_str(model, "search", "id", &id, err)
                         : err_set(err, MLXE_E_CORRUPT, "search: an entry is no object");
    if (rc) return rc;
    buf_clear(line);
    buf_add_str(line, "{\"id\":");
    json_write_str(line, id);
    write_count(line, model, "downloads");
    write_count(line, model, "likes");
    write_text(line, "task", json_get(model, "pipeline_tag"));
    write_text(line, "library", json_get(model, "library_name"));
    buf_add_str(line, ",\"gated\":");
    if (json_is(gated, JSON_STRING))
        json_write_str(line, json_str(gated));
    else
        buf_add_str(line, json_bool(gated) ? "true" : "false");
    buf_add_char(line, '}');
    return buf_ok(line) ? MLXE_OK : err_memory(err, "search", 0);
}

/* Tells the entries of one page. *left: how many more are wanted. */
static mlxe_status page_tell(const buf *page, uint32_t *left, hub_found_fn found, void *user,
                             mlxe_error *err)
{
    json_doc *doc;
    const json *model;
    buf line = {0};
    json_iter it;
    mlxe_status rc = hub_json_parse("search", buf_str(page), page->n, &doc, err);
    if (rc) return rc;
    if (!json_is(json_root(doc), JSON_ARRAY))
        rc = err_set(err, MLXE_E_CORRUPT, "search: the answer is %s, want an array",
                     json_type_name(json_typeof(json_root(doc))));
    it = json_iterate(json_root(doc));
    while (!rc && *left && json_next(&it, NULL, &model)) {
        if ((rc = model_line(model, &line, err))) break;
        *left -= 1;
        if (found(user, buf_str(&line), line.n)) *left = 0;
    }
    buf_deinit(&line);
    json_close(doc);
    return rc;
}

mlxe_status hub_search(hub *h, const hub_query *query, const hub_watch *watch, hub_found_fn found,
                       void *user, mlxe_error *err)
{
    uint32_t left = query->limit ? query->limit : DEFAULT_LIMIT;
    buf url = {0}, next = {0}, page = {0};
    page_guard guard = {0};
    hub_fault fault;
    requester r;
    mlxe_status rc = query_url(h, query, left, &url, err);
    if (!rc) rc = requester_open(h, watch, &r, err);
    if (rc) goto out;
    do {
        if ((rc = page_guard_add(&guard, buf_str(&url), err))) break;
        rc = request_api(&r, buf_str(&url), API_LIMIT_BYTES, &page, &next, &fault, err);
        if (!rc) rc = page_tell(&page, &left, found, user, err);
        buf_clear(&url);
        buf_add_strv(&url, buf_view(&next));
    } while (!rc && left && next.n);
    requester_close(&r);
out:
    page_guard_deinit(&guard);
    buf_deinit(&url);
    buf_deinit(&next);
    buf_deinit(&page);
    return rc;
}
