/* config.h: the Hub's settings from environment variables, in the documented order.
 *
 *   HF_HOME (XDG_CACHE_HOME, HOME)     HF_HUB_CACHE > HUGGINGFACE_HUB_CACHE > $HF_HOME/hub
 *   HF_TOKEN > HUGGING_FACE_HUB_TOKEN > file HF_TOKEN_PATH > $HF_HOME/token
 *   HF_OIDC_RESOURCE: a token of an identity provider, which is not supported: hub_open says so
 *
 * The variables come through a function: who reads the environment is the caller's business. */
#ifndef HUB_CONFIG_H
#define HUB_CONFIG_H

#include "base/buf.h"
#include "hub/hub.h"

/* A variable's value or NULL. */
typedef const char *(*hub_env_fn)(void *user, const char *name);

/* Texts of the settings; borrow them with config_settings. */
typedef struct hub_config {
    buf endpoint, cache, token, token_path, ca_file, ca_dir, home, http_proxy;
    hub_token_from token_from;
    int offline, no_links, etag_timeout_s, download_timeout_s;
    int oidc; /* 1: HF_OIDC_RESOURCE names where an implicit token has to come from */
} hub_config;

/* log: for values that are ignored. Fails ARG (a token no header can carry, no home), MEMORY */
mlxe_status config_read(hub_env_fn get, void *user, const log_sink *log, hub_config *out,
                        mlxe_error *err);
hub_settings config_settings(const hub_config *c);
void config_deinit(hub_config *c);

#endif
