/* mlxengine_mirror.h: a Hub on the local network: serves a folder of models by the Hub's protocol.
 *
 * A library of its own that only the command links, so that a program that runs models brings no
 * HTTP server. Whoever opens closes. Every call may be made from any thread. */
#ifndef MLXENGINE_MIRROR_H
#define MLXENGINE_MIRROR_H

#include <mlxengine.h>

typedef struct mlxe_mirror mlxe_mirror;

typedef struct mlxe_mirror_params {
    uint32_t size;
    const char *root; /* layout of HF_HUB_CACHE, or org/name folders of plain files; both may mix */
    const char *host; /* address to listen on; NULL: 127.0.0.1 */
    uint32_t port;    /* 0: a free one */
    const char *token_file;   /* a token a line; NULL: none is asked for */
    const char *const *gated; /* globs of repository ids whose content needs a token; none: all of
                                 every repository does, when there is a token_file. Without one
                                 nobody gets what is gated */
    size_t n_gated;
    const char *const *only; /* globs of repository ids that are served; none: all */
    size_t n_only;
    const char *const *names; /* names that clients may call this host by, beside its addresses,
                                 its host name and localhost */
    size_t n_names;
    const char *base_url;  /* begins the links of listings; NULL: what the client asked */
    const char *hash_file; /* remembers hashes over restarts; NULL: they are computed again */
    int anonymous;         /* nonzero: may listen beyond loopback without a token_file */
    int assume_complete;   /* nonzero: a snapshot without a stored listing counts as whole */
    mlxe_log_fn log;       /* NULL: silent */
    void *log_user;
    mlxe_log_level log_level; /* 0: MLXE_LOG_WARN; MLXE_LOG_INFO: a line a request */
    /* A Hub that is asked for what root lacks, and for where branches lead. What it sends is
     * verified, kept in root in the cache's layout, and served; NULL: none. Without `only` it
     * learns every name that clients ask for. */
    const char *upstream;
    const char *upstream_token; /* sent to it; whoever may use this mirror sees what it opens */
    uint32_t rate_limit;        /* requests of one client in a window; 0: any number */
    uint32_t rate_window_s;     /* 0: 300 */
} mlxe_mirror_params;

static inline mlxe_mirror_params mlxe_mirror_params_new(void)
{
    mlxe_mirror_params params;
    memset(&params, 0, sizeof params);
    params.size = (uint32_t)sizeof params;
    return params;
}

/* Listens and serves, on threads of its own, until closed.
 * Fails  ARG (host, globs; beyond loopback without tokens), NOT_FOUND (root), ACCESS, IO (the port
 *        is taken), CORRUPT (token file), MEMORY */
mlxe_status mlxe_mirror_open(const mlxe_mirror_params *params, mlxe_mirror **out, mlxe_error *err);
/* "http://127.0.0.1:8080". Borrowed. */
const char *mlxe_mirror_url(const mlxe_mirror *mirror);
/* Ends transfers that are under way. */
void mlxe_mirror_close(mlxe_mirror *mirror);

#endif
