/* meter.h: bytes of a download counted by many threads, and the rate over the last seconds. */
#ifndef HUB_METER_H
#define HUB_METER_H

#include "hub/hub.h"

enum { METER_SAMPLES = 32 };

typedef struct meter {
    _Atomic uint64_t present, /* bytes of the selected files that are here */
        network;              /* bytes that came over the network, thrown away ones too */
    uint64_t total;
    /* Of the one thread that tells: samples of network in a ring, for the rate. */
    int64_t at_ns[METER_SAMPLES];
    uint64_t bytes[METER_SAMPLES];
    size_t n;
} meter;

static inline void meter_add(meter *m, uint64_t bytes)
{
    atomic_fetch_add_explicit(&m->present, bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&m->network, bytes, memory_order_relaxed);
}
static inline void meter_found(meter *m, uint64_t bytes) { atomic_fetch_add(&m->present, bytes); }
static inline void meter_lost(meter *m, uint64_t bytes) { atomic_fetch_sub(&m->present, bytes); }

/* Tells watch how far it is; text NULL: only numbers. One thread at a time. */
void meter_tell(meter *m, const hub_watch *watch, const char *text);

#endif
