/* search.c: finding repositories: the query as the Hub reads it, page after page up to a limit.
 *
 *   query -> /api/models?search=..&filter=..&sort=.. -> objects -> one line of JSON each
 *   with memory_bytes: -> need.h, of the entry or else of its files -> those that need no more
 *
 * The Hub cannot be asked for what fits, so then as many entries are looked at as it takes, at most
 * LOOKED_ENTRIES and, for those that tell no parameters, ASKED_FILES descriptions; what that
 * leaves out is said in the log.
 *
 * Traps: `limit` is the page's size to the server and a total here. The order is always descending;
 * older servers want direction=-1 said. `gated` is false or a string. expand= gives the members
 * that are named and no others. */
#include "hub/hub_api.h"
#include "hub/hub_json.h"
#include "hub/hub_state.h"
#include "hub/need.h"

enum { DEFAULT_LIMIT = 20, PAGE_ENTRIES = 100, LOOKED_ENTRIES = 2000, ASKED_FILES = 100 };

typedef struct searching {
    hub *h;
    const hub_query *query;
    requester r;
    hub_found_fn found;
    void *user;
    uint32_t left;                   /* results that are still wanted */
    unsigned looked, asked, unknown; /* entries; their files asked for; of no known size */
} searching;

static const char *const SORTS[] = {"downloads", "likes", "lastModified", "createdAt",
                                    "trendingScore"};

static const char *const EXPANDED[] = {"downloads", "likes",       "pipeline_tag", "library_name",
                                       "gated",     "safetensors", "config"};

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
    if (q->memory_bytes) limit = PAGE_ENTRIES;
    buf_addf(url, "/api/models?limit=%u", limit < PAGE_ENTRIES ? limit : PAGE_ENTRIES);
    add(url, "search", q->search);
    add(url, "author", q->author);
    add(url, "pipeline_tag", q->task);
    add(url, "filter", q->library);
    for (size_t i = 0; i < q->n_filters; i++)
        add(url, "filter", q->filters[i]);
    add(url, "sort", sort);
    add(url, "direction", "-1");
    for (size_t i = 0; q->memory_bytes && i < sizeof EXPANDED / sizeof *EXPANDED; i++)
        add(url, "expand", EXPANDED[i]);
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

/* need: NULL: not asked for. */
static mlxe_status model_line(const json *model, strv id, const hub_need *need, buf *line,
                              mlxe_error *err)
{
    const json *gated = json_get(model, "gated"), *mirrored = json_get(model, "mirrored");
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
    if (json_is(mirrored, JSON_BOOL))
        buf_addf(line, ",\"mirrored\":%s", json_bool(mirrored) ? "true" : "false");
    if (need)
        buf_addf(line, ",\"weight_bytes\":%llu,\"need_bytes\":%llu,\"counted\":\"%s\"",
                 (unsigned long long)need->weight_bytes, (unsigned long long)need->need_bytes,
                 need->counted);
    buf_add_char(line, '}');
    return buf_ok(line) ? MLXE_OK : err_memory(err, "search", 0);
}

/* The sizes of a model's weight files. *known: 0: nobody tells, or the model is not for us. */
static mlxe_status ask_files(searching *s, strv id, hub_need *need, int *known, mlxe_error *err)
{
    buf name = {0}, url = {0}, text = {0};
    json_doc *doc = NULL;
    hub_fault fault;
    mlxe_status rc = MLXE_OK;
    *known = 0;
    if (s->asked == ASKED_FILES || hub_id_check(id, NULL)) return MLXE_OK;
    s->asked++;
    buf_add_strv(&name, id);
    if (buf_ok(&name)) {
        const hub_repo repo = {HUB_MODEL, buf_str(&name), NULL};
        url_of_api(&url, s->h, &repo, "?blobs=true");
    }
    if (!buf_ok(&name) || !buf_ok(&url)) rc = err_memory(err, "search", 0);
    if (!rc) rc = request_api(&s->r, buf_str(&url), API_LIMIT_BYTES, &text, NULL, &fault, err);
    if (!rc) rc = hub_json_parse(buf_str(&name), buf_str(&text), text.n, &doc, err);
    if (!rc) *known = hub_need_of_files(json_root(doc), need);
    /* One that is gone, or closed to us, ends no search. */
    if (rc == MLXE_E_NOT_FOUND || rc == MLXE_E_ACCESS) rc = MLXE_OK;
    json_close(doc);
    buf_deinit(&name);
    buf_deinit(&url);
    buf_deinit(&text);
    return rc;
}

static mlxe_status entry_tell(searching *s, const json *model, buf *line, mlxe_error *err)
{
    uint64_t memory_bytes = s->query->memory_bytes;
    hub_need need = {0};
    strv id = {0};
    int known = 1;
    mlxe_status rc = json_is(model, JSON_OBJECT)
                         ? hub_json_str(model, "search", "id", &id, err)
                         : err_set(err, MLXE_E_CORRUPT, "search: an entry is no object");
    if (rc) return rc;
    s->looked++;
    if (memory_bytes && !hub_need_of_counts(model, &need))
        rc = ask_files(s, id, &need, &known, err);
    if (rc) return rc;
    s->unknown += !known;
    if (memory_bytes && (!known || need.need_bytes > memory_bytes)) return MLXE_OK;
    rc = model_line(model, id, memory_bytes ? &need : NULL, line, err);
    if (rc) return rc;
    s->left--;
    if (s->found(s->user, buf_str(line), line->n)) s->left = 0;
    return MLXE_OK;
}

/* 1: as many entries were looked at as is reasonable. */
static int looked_enough(const searching *s)
{
    return s->query->memory_bytes && s->looked >= LOOKED_ENTRIES;
}

/* Tells the entries of one page. */
static mlxe_status page_tell(searching *s, const buf *page, mlxe_error *err)
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
    while (!rc && s->left && !looked_enough(s) && json_next(&it, NULL, &model))
        rc = entry_tell(s, model, &line, err);
    buf_deinit(&line);
    json_close(doc);
    return rc;
}

/* What a search for what fits left out. */
static void say_left_out(const searching *s)
{
    if (s->unknown)
        log_line(&s->h->log, MLXE_LOG_WARN,
                 "%u models whose size the Hub does not tell are left out", s->unknown);
    if (s->left && looked_enough(s))
        log_line(&s->h->log, MLXE_LOG_WARN,
                 "%u models were looked at and no more: a narrower search finds others", s->looked);
}

mlxe_status hub_search(hub *h, const hub_query *query, const hub_watch *watch, hub_found_fn found,
                       void *user, mlxe_error *err)
{
    searching s = {.h = h,
                   .query = query,
                   .found = found,
                   .user = user,
                   .left = query->limit ? query->limit : DEFAULT_LIMIT};
    buf url = {0}, next = {0}, page = {0};
    page_guard guard = {0};
    hub_fault fault;
    mlxe_status rc = query_url(h, query, s.left, &url, err);
    if (!rc) rc = requester_open(h, watch, &s.r, err);
    if (rc) goto out;
    do {
        if ((rc = page_guard_add(&guard, buf_str(&url), err))) break;
        rc = request_api(&s.r, buf_str(&url), API_LIMIT_BYTES, &page, &next, &fault, err);
        if (!rc) rc = page_tell(&s, &page, err);
        buf_clear(&url);
        buf_add_strv(&url, buf_view(&next));
    } while (!rc && s.left && !looked_enough(&s) && next.n);
    if (!rc) say_left_out(&s);
    requester_close(&s.r);
out:
    page_guard_deinit(&guard);
    buf_deinit(&url);
    buf_deinit(&next);
    buf_deinit(&page);
    return rc;
}
