/* stop.c: the stop-string filter: holds back the longest tail that could begin a stop string. */
#include "pipelines/stop.h"

#include <stdlib.h>

/* Place of the first stop string in p[0..n), or n. */
static size_t first_stop(const stop_filter *f, const char *p, size_t n)
{
    for (size_t at = 0; at < n; at++)
        for (size_t i = 0; i < f->n; i++)
            if (f->stops[i].n && strv_starts(strv_from(p + at, n - at), f->stops[i])) return at;
    return n;
}

/* Bytes at the end of p[0..n) that begin a stop string. */
static size_t open_tail(const stop_filter *f, const char *p, size_t n)
{
    size_t longest = 0;
    for (size_t i = 0; i < f->n; i++) {
        size_t len = f->stops[i].n ? f->stops[i].n - 1 : 0;
        if (len > n) len = n;
        while (len > longest && memcmp(p + n - len, f->stops[i].p, len) != 0)
            len--;
        if (len > longest) longest = len;
    }
    return longest;
}

int stop_push(stop_filter *f, strv text, buf *out)
{
    size_t at, tail;
    if (!f->n) {
        buf_add_strv(out, text);
        return 0;
    }
    buf_add_strv(&f->held, text);
    if (!f->held.n) return 0;
    at = first_stop(f, f->held.p, f->held.n);
    if (at < f->held.n) {
        buf_add(out, f->held.p, at);
        buf_clear(&f->held);
        return 1;
    }
    tail = open_tail(f, f->held.p, f->held.n);
    buf_add(out, f->held.p, f->held.n - tail);
    memmove(f->held.p, f->held.p + f->held.n - tail, tail + 1);
    f->held.n = tail;
    return 0;
}

void stop_finish(stop_filter *f, buf *out)
{
    buf_add_strv(out, buf_view(&f->held));
    buf_clear(&f->held);
}

void stop_deinit(stop_filter *f) { buf_deinit(&f->held); }
