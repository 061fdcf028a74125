/* limiter.h: requests of one client in a window of time. */
#ifndef HUB_MIRROR_LIMITER_H
#define HUB_MIRROR_LIMITER_H

#include "base/error.h"

#include <stdint.h>

typedef struct limiter limiter;

typedef enum limit_bucket { LIMIT_API, LIMIT_RESOLVERS } limit_bucket;

typedef struct limit_state {
    uint32_t left, seconds, quota, window_s; /* requests; until the window ends */
} limit_state;

/* quota: requests a window, at least 1. Fails MEMORY */
mlxe_status limiter_open(uint32_t quota, uint32_t window_s, limiter **out, mlxe_error *err);
void limiter_close(limiter *l);
/* Counts a request. -> 1: it is allowed */
int limiter_take(limiter *l, const char *address, limit_bucket bucket, limit_state *out);

#endif
