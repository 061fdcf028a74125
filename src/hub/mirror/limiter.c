/* limiter.c: how many requests a client may make in a window of time, as the Hub tells it.
 *
 *   address, bucket ("api" or "resolvers") -> left, seconds until the window ends
 *   RateLimit: "api";r=499;t=300          RateLimit-Policy: "fixed window";"api";q=500;w=300
 *
 * Windows are fixed and begin with a client's first request. The table has a fixed size; a place
 * is taken over from the client whose window is the oldest among its neighbours, so a flood of
 * addresses costs nobody memory and at worst gives some a new window. Thread any. */
#include "hub/mirror/limiter.h"

#include "base/thread.h"

#include <stdlib.h>

enum { PLACES = 8192, NEIGHBOURS = 8, ADDRESS_BYTES = 48 };

typedef struct place {
    char address[ADDRESS_BYTES];
    limit_bucket bucket;
    int64_t begin_ns; /* 0: free */
    uint32_t used;
} place;

struct limiter {
    pthread_mutex_t lock;
    uint32_t quota, window_s;
    place places[PLACES];
};

mlxe_status limiter_open(uint32_t quota, uint32_t window_s, limiter **out, mlxe_error *err)
{
    limiter *l = calloc(1, sizeof *l);
    *out = NULL;
    if (!l || pthread_mutex_init(&l->lock, NULL)) {
        free(l);
        return err_memory(err, "limiter", sizeof *l);
    }
    l->quota = quota;
    l->window_s = window_s;
    *out = l;
    return MLXE_OK;
}

void limiter_close(limiter *l)
{
    if (!l) return;
    pthread_mutex_destroy(&l->lock);
    free(l);
}

/* The place of a client, with a window that runs. Lock held. */
static place *place_of(limiter *l, const char *address, limit_bucket bucket, int64_t now)
{
    uint64_t hash = 14695981039346656037u + (uint64_t)bucket; /* FNV-1a */
    place *oldest = NULL;
    for (const char *p = address; *p; p++)
        hash = (hash ^ (unsigned char)*p) * 1099511628211u;
    for (size_t i = 0; i < NEIGHBOURS; i++) {
        place *p = &l->places[(hash + i) % PLACES];
        if (p->begin_ns && p->bucket == bucket && !strcmp(p->address, address)) {
            if (now - p->begin_ns < (int64_t)l->window_s * 1000000000) return p;
            oldest = p;
            break;
        }
        if (!oldest || p->begin_ns < oldest->begin_ns) oldest = p;
    }
    *oldest = (place){.bucket = bucket, .begin_ns = now};
    strncpy(oldest->address, address, ADDRESS_BYTES - 1);
    return oldest;
}

int limiter_take(limiter *l, const char *address, limit_bucket bucket, limit_state *out)
{
    int64_t now = clock_ns();
    int allowed;
    pthread_mutex_lock(&l->lock);
    place *p = place_of(l, address, bucket, now);
    allowed = p->used < l->quota;
    p->used += (uint32_t)allowed;
    out->left = l->quota - p->used;
    out->seconds =
        (uint32_t)(((int64_t)l->window_s * 1000000000 - (now - p->begin_ns)) / 1000000000);
    pthread_mutex_unlock(&l->lock);
    out->quota = l->quota;
    out->window_s = l->window_s;
    return allowed;
}
