/* pocket_hub.h: the pocket models as a person gets a model: by Hub id, from a mirror of this source
 * tree on loopback, into a fresh cache. The ids are zoo/NAME@main.
 *
 * Open it before the engine: HF_ENDPOINT and HF_HOME are read there. With MLXE_TEST_ENDPOINT set,
 * it is the endpoint instead, and must serve those ids. */
#ifndef TESTS_POCKET_HUB_H
#define TESTS_POCKET_HUB_H

#include "hub/mirror/mlxengine_mirror.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POCKET_LLM_ID "zoo/pocket-llm@main"

typedef struct pocket_hub {
    mlxe_mirror *mirror;
    char home[64];
} pocket_hub;

static inline int pocket_hub_open(pocket_hub *h)
{
    static const char *const ONLY[] = {"zoo/pocket-*"};
    const char *endpoint = getenv("MLXE_TEST_ENDPOINT");
    mlxe_mirror_params params = mlxe_mirror_params_new();
    mlxe_error err;
    *h = (pocket_hub){.home = "/tmp/mlxe-pocket-XXXXXX"};
    if (!mkdtemp(h->home)) return -1;
    params.root = MLXE_SOURCE_DIR;
    params.only = ONLY;
    params.n_only = 1;
    if (!endpoint && mlxe_mirror_open(&params, &h->mirror, &err)) {
        fprintf(stderr, "mirror: %s\n", err.message);
        return -1;
    }
    setenv("HF_ENDPOINT", endpoint ? endpoint : mlxe_mirror_url(h->mirror), 1);
    setenv("HF_HOME", h->home, 1);
    unsetenv("HF_HUB_CACHE");
    unsetenv("HF_HUB_OFFLINE");
    return 0;
}

/* 1: the model lies in the cache, from the Hub. */
static inline int pocket_hub_has(const pocket_hub *h, const char *name)
{
    char path[300];
    snprintf(path, sizeof path, "%s/hub/models--zoo--%s/refs/main", h->home, name);
    return access(path, R_OK) == 0;
}

static inline void pocket_hub_close(pocket_hub *h)
{
    char command[120];
    mlxe_mirror_close(h->mirror);
    snprintf(command, sizeof command, "rm -rf '%s'", h->home);
    if (system(command)) fprintf(stderr, "%s: not removed\n", h->home);
}

#endif
