/* transfer.h: the bytes of one blob: fetched in one stream or in ranges by several threads, hashed
 * on the way, into a partial file.
 *
 *   owner   transfer_run    fetches chunks until none is left, waits for helpers and the hash
 *   helper  transfer_help   fetches chunks of a large file while the owner does */
#ifndef HUB_TRANSFER_H
#define HUB_TRANSFER_H

#include "hub/hash.h"
#include "hub/meter.h"
#include "hub/partial.h"
#include "hub/request.h"

#include <pthread.h>

enum { RANGE_BYTES = 32 << 20, RANGED_FROM_BYTES = 64 << 20, RANGE_THREADS = 4 };

typedef enum transfer_end {
    TRANSFER_GOOD,      /* whole and verified */
    TRANSFER_CHANGED,   /* the server has other content now: ask again from the HEAD on */
    TRANSFER_NO_RANGES, /* the server ignores ranges: one stream from the start */
    TRANSFER_BAD_HASH,  /* whole, but other bytes than promised */
    TRANSFER_FAILED
} transfer_end;

typedef struct transfer {
    hub *h;
    meter *count;
    const hub_meta *meta;
    const char *resolve_url; /* pinned to the commit: for a fresh URL when a signed one expires */
    partial *part;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t changed;
    buf url;
    int url_turn, refreshes, stored; /* stored: as hub_meta's, of url */
    unsigned char *taken;            /* of each chunk */
    size_t n_taken;
    int users;  /* helpers at work */
    int stop;   /* nothing more is to be fetched */
    int proven; /* ranged: a 206 came, helpers may begin */
    transfer_end end;
    mlxe_status status;
    mlxe_error error;
    hub_hash *hash;
    int hash_done, hash_failed;
} transfer;

/* Everything is borrowed for the transfer's life. Fails MEMORY */
mlxe_status transfer_open(transfer *t, hub *h, meter *count, const hub_meta *meta,
                          const char *resolve_url, partial *part, mlxe_error *err);
transfer_end transfer_run(transfer *t, requester *r, hub_verdict *verdict, mlxe_error *err);
/* 1: a helper may find work; it is counted in until transfer_help returns. */
int transfer_join(transfer *t);
void transfer_help(transfer *t, requester *r);
void transfer_close(transfer *t); /* no helper is at work */

#endif
