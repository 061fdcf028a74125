/* hub_api.h: URLs of the API, and the calls that downloading needs with a requester of its own. */
#ifndef HUB_HUB_API_H
#define HUB_HUB_API_H

#include "hub/request.h"

enum { API_LIMIT_BYTES = 16 << 20, TREE_LIMIT_BYTES = 64 << 20, API_MAX_PAGES = 1000 };

/* Checks id and revision of a repository. Fails ARG */
mlxe_status repo_check(const hub_repo *repo, mlxe_error *err);
static inline const char *repo_revision(const hub_repo *repo)
{
    return repo->revision && *repo->revision ? repo->revision : "main";
}

/* <endpoint>/<prefix><id>/resolve/<revision>/<path>, after clearing out. */
const char *url_of_file(buf *out, const hub *h, const hub_repo *repo, const char *revision,
                        strv path);
/* <endpoint>/api/<plural>/<id>/<tail>, after clearing out; the tail is escaped by the caller. */
const char *url_of_api(buf *out, const hub *h, const hub_repo *repo, const char *tail);

mlxe_status api_info(requester *r, const hub_repo *repo, buf *out, hub_fault *fault,
                     mlxe_error *err);
mlxe_status api_tree(requester *r, const hub_repo *repo, const char *commit, hub_tree *tree,
                     hub_fault *fault, mlxe_error *err);
/* May this token read the files of a gated repository? */
mlxe_status api_auth_check(requester *r, const hub_repo *repo, hub_fault *fault, mlxe_error *err);

/* URLs of one listing that were seen: a listing that comes back to one is endless. */
typedef struct page_guard {
    buf seen;
    size_t pages;
} page_guard;
mlxe_status page_guard_add(page_guard *g, const char *url, mlxe_error *err);
void page_guard_deinit(page_guard *g);

#endif
