/* meter.c: progress as the caller sees it. The rate is that of the ring's samples, some six
 * seconds: long enough to be calm, short enough to follow a change. */
#include "hub/meter.h"

#include "base/thread.h"

void meter_tell(meter *m, const hub_watch *watch, const char *text)
{
    int64_t now = clock_ns();
    uint64_t network = atomic_load(&m->network), present = atomic_load(&m->present);
    size_t oldest = m->n < METER_SAMPLES ? 0 : m->n % METER_SAMPLES;
    hub_progress p = {.text = text, .done_bytes = present, .total_bytes = m->total, .left_s = -1};
    if (!watch || !watch->progress) return;
    if (m->n && now > m->at_ns[oldest])
        p.rate_bytes_s =
            (double)(network - m->bytes[oldest]) * 1e9 / (double)(now - m->at_ns[oldest]);
    if (present > m->total) p.done_bytes = m->total;
    if (p.rate_bytes_s > 0) p.left_s = (double)(m->total - p.done_bytes) / p.rate_bytes_s;
    m->at_ns[m->n % METER_SAMPLES] = now;
    m->bytes[m->n % METER_SAMPLES] = network;
    m->n++;
    watch->progress(watch->user, &p);
}
