/* hub_state.h: what a hub holds: its settings, copied and checked. Immutable but for `warned`. */
#ifndef HUB_HUB_STATE_H
#define HUB_HUB_STATE_H

#include "hub/http.h"
#include "hub/hub.h"

#include <pthread.h>

struct hub {
    char *endpoint; /* without a slash at its end */
    char *cache, *token, *token_path, *user_agent, *ca_file, *ca_dir, *home, *http_proxy;
    int token_usable; /* 1: may be sent to the endpoint */
    int offline, no_links, one_stream, workers, etag_timeout_s, retry_unit_ms;
    http_options http;
    log_sink log;
    pthread_mutex_t lock; /* of warned */
    buf warned;           /* topics of X-HF-Warning already shown, each ended by a newline */
};

#endif
