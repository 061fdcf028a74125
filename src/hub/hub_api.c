/* hub_api.c: what the API is asked about one repository: info, tree, refs; whoami, and logins.
 *
 *   tree   page -> next -> page ... at most API_MAX_PAGES, no URL twice */
#include "hub/hub_api.h"

#include "hub/hub_json.h"
#include "hub/hub_state.h"
#include "hub/login.h"
#include "hub/url.h"

mlxe_status repo_check(const hub_repo *repo, mlxe_error *err)
{
    mlxe_status rc = hub_id_check(strv_of(repo->id), err);
    return rc ? rc : hub_revision_check(strv_of(repo_revision(repo)), err);
}

const char *url_of_file(buf *out, const hub *h, const hub_repo *repo, const char *revision,
                        strv path)
{
    buf_clear(out);
    buf_add_str(out, h->endpoint);
    buf_add_char(out, '/');
    buf_add_str(out, hub_type_url_prefix(repo->type));
    buf_add_str(out, repo->id);
    buf_add_str(out, "/resolve/");
    hub_escape_add(out, strv_of(revision), HUB_ESCAPE_ALL);
    buf_add_char(out, '/');
    hub_escape_add(out, path, HUB_ESCAPE_KEEP_SLASH);
    return buf_str(out);
}

const char *url_of_api(buf *out, const hub *h, const hub_repo *repo, const char *tail)
{
    buf_clear(out);
    buf_add_str(out, h->endpoint);
    buf_add_str(out, "/api/");
    buf_add_str(out, hub_type_plural(repo->type));
    buf_add_char(out, '/');
    buf_add_str(out, repo->id);
    buf_add_str(out, tail);
    return buf_str(out);
}

mlxe_status page_guard_add(page_guard *g, const char *url, mlxe_error *err)
{
    buf shown = {0};
    mlxe_status rc = MLXE_OK;
    const char *p = buf_str(&g->seen), *end = p + g->seen.n;
    while (p < end && strcmp(p, url) != 0)
        p += strlen(p) + 1;
    if (p < end)
        rc = err_set(err, MLXE_E_CORRUPT, "%s: the listing's pages come back to one seen before",
                     url_shown(url, &shown));
    else if (++g->pages > API_MAX_PAGES)
        rc = err_set(err, MLXE_E_CORRUPT, "%s: the listing has more than %d pages",
                     url_shown(url, &shown), API_MAX_PAGES);
    buf_add(&g->seen, url, strlen(url) + 1);
    if (!rc && !buf_ok(&g->seen)) rc = err_memory(err, "listing", 0);
    buf_deinit(&shown);
    return rc;
}

void page_guard_deinit(page_guard *g) { buf_deinit(&g->seen); }

mlxe_status api_info(requester *r, const hub_repo *repo, buf *out, hub_fault *fault,
                     mlxe_error *err)
{
    buf tail = {0}, url = {0};
    mlxe_status rc;
    buf_add_str(&tail, "/revision/");
    hub_escape_add(&tail, strv_of(repo_revision(repo)), HUB_ESCAPE_ALL);
    url_of_api(&url, r->h, repo, buf_str(&tail));
    rc = request_api(r, buf_str(&url), API_LIMIT_BYTES, out, NULL, fault, err);
    buf_deinit(&tail);
    buf_deinit(&url);
    return rc;
}

mlxe_status api_tree(requester *r, const hub_repo *repo, const char *commit, hub_tree *tree,
                     hub_fault *fault, mlxe_error *err)
{
    buf url = {0}, next = {0}, page = {0}, tail = {0}, shown = {0};
    page_guard guard = {0};
    mlxe_status rc;
    buf_add_str(&tail, "/tree/");
    buf_add_str(&tail, commit);
    buf_add_str(&tail, "?recursive=true&expand=false");
    url_of_api(&url, r->h, repo, buf_str(&tail));
    do {
        const char *where = url_shown(buf_str(&url), &shown);
        *fault = (hub_fault){KIND_METADATA, 0, HTTP_DONE, -1};
        if ((rc = page_guard_add(&guard, buf_str(&url), err))) break;
        rc = request_api(r, buf_str(&url), TREE_LIMIT_BYTES, &page, &next, fault, err);
        if (rc) break;
        fault->kind = KIND_METADATA;
        if ((rc = hub_tree_add_page(tree, where, buf_str(&page), page.n, err))) break;
        buf_clear(&url);
        buf_add_strv(&url, buf_view(&next));
    } while (next.n);
    if (!rc) rc = hub_tree_check(tree, repo->id, err);
    if (!rc) fault->kind = KIND_NONE;
    page_guard_deinit(&guard);
    buf_deinit(&url);
    buf_deinit(&next);
    buf_deinit(&page);
    buf_deinit(&tail);
    buf_deinit(&shown);
    return rc;
}

mlxe_status api_auth_check(requester *r, const hub_repo *repo, hub_fault *fault, mlxe_error *err)
{
    buf url = {0}, out = {0};
    mlxe_status rc;
    url_of_api(&url, r->h, repo, "/auth-check");
    rc = request_api(r, buf_str(&url), API_LIMIT_BYTES, &out, NULL, fault, err);
    buf_deinit(&url);
    buf_deinit(&out);
    return rc;
}

/* ---- the public calls ------------------------------------------------------------------------ */

mlxe_status hub_info(hub *h, const hub_repo *repo, const hub_watch *watch, buf *out,
                     mlxe_error *err)
{
    requester r;
    hub_fault fault;
    json_doc *doc = NULL;
    mlxe_status rc = repo_check(repo, err);
    if (rc || (rc = requester_open(h, watch, &r, err))) return rc;
    rc = api_info(&r, repo, out, &fault, err);
    if (!rc) rc = hub_json_parse(repo->id, buf_str(out), out->n, &doc, err);
    if (!rc && !json_is(json_root(doc), JSON_OBJECT))
        rc = err_set(err, MLXE_E_CORRUPT, "%s: the answer is %s, want an object", repo->id,
                     json_type_name(json_typeof(json_root(doc))));
    json_close(doc);
    requester_close(&r);
    return rc;
}

mlxe_status hub_list_tree(hub *h, const hub_repo *repo, const char *commit, const hub_watch *watch,
                          hub_tree *tree, mlxe_error *err)
{
    requester r;
    hub_fault fault;
    mlxe_status rc = repo_check(repo, err);
    *tree = (hub_tree){0};
    if (rc || (rc = requester_open(h, watch, &r, err))) return rc;
    rc = api_tree(&r, repo, commit, tree, &fault, err);
    if (rc) hub_tree_deinit(tree);
    requester_close(&r);
    return rc;
}

static mlxe_status get_object(hub *h, const char *url, const hub_watch *watch, buf *out,
                              mlxe_error *err)
{
    requester r;
    hub_fault fault;
    json_doc *doc = NULL;
    mlxe_status rc = requester_open(h, watch, &r, err);
    if (rc) return rc;
    rc = request_api(&r, url, API_LIMIT_BYTES, out, NULL, &fault, err);
    if (!rc) rc = hub_json_parse(url, buf_str(out), out->n, &doc, err);
    json_close(doc);
    requester_close(&r);
    return rc;
}

mlxe_status hub_refs(hub *h, const hub_repo *repo, const hub_watch *watch, buf *out,
                     mlxe_error *err)
{
    buf url = {0};
    mlxe_status rc = repo_check(repo, err);
    if (!rc) rc = get_object(h, url_of_api(&url, h, repo, "/refs"), watch, out, err);
    buf_deinit(&url);
    return rc;
}

mlxe_status hub_whoami(hub *h, const hub_watch *watch, buf *out, mlxe_error *err)
{
    buf url = {0};
    mlxe_status rc;
    buf_add_str(&url, h->endpoint);
    buf_add_str(&url, "/api/whoami-v2");
    rc = get_object(h, buf_str(&url), watch, out, err);
    buf_deinit(&url);
    return rc;
}

/* ---- logins ---------------------------------------------------------------------------------- */

static mlxe_status token_place(const hub *h, mlxe_error *err)
{
    if (h->token_path) return MLXE_OK;
    return err_set(err, MLXE_E_STATE, "login: neither HF_TOKEN_PATH, HF_HOME nor HOME is set");
}

mlxe_status hub_login(hub *h, const hub_watch *watch, buf *out, mlxe_error *err)
{
    buf text = {0};
    json_doc *doc = NULL;
    strv person = {0}, name;
    mlxe_status rc = token_place(h, err);
    if (!rc && !h->token) rc = err_set(err, MLXE_E_STATE, "login: no token was given");
    if (!rc) rc = hub_whoami(h, watch, &text, err);
    if (!rc) rc = hub_json_parse("whoami", buf_str(&text), text.n, &doc, err);
    if (!rc) rc = hub_json_str(json_root(doc), "whoami", "name", &person, err);
    if (!rc) {
        name = json_str(
            json_get(json_get(json_get(json_root(doc), "auth"), "accessToken"), "displayName"));
        if (!name.n) name = person;
        rc = login_save(h->token_path, name, strv_of(h->token), err);
        buf_add_str(out, "{\"name\":");
        json_write_str(out, person);
        buf_add_str(out, ",\"token\":");
        json_write_str(out, name);
        buf_add_str(out, ",\"path\":");
        json_write_str(out, strv_of(h->token_path));
        buf_add_char(out, '}');
    }
    json_close(doc);
    buf_deinit(&text);
    return rc;
}

mlxe_status hub_logout(hub *h, buf *out, mlxe_error *err)
{
    buf name = {0};
    mlxe_status rc = token_place(h, err);
    if (!rc) rc = login_remove(h->token_path, &name, err);
    if (!rc) {
        buf_add_str(out, "{\"token\":");
        json_write_str(out, buf_view(&name));
        buf_add_str(out, ",\"path\":");
        json_write_str(out, strv_of(h->token_path));
        buf_add_char(out, '}');
    }
    buf_deinit(&name);
    return rc;
}
