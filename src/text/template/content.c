/* content.c: which bytes of the output came from messages, and not from the template.
 *
 *   request's strings --ranges of memory--> values --copies--> builders --> output's spans
 *
 * A value that is a piece of another (slices, strip, split) lies in its memory, so where a byte
 * lies says where it came from. What is copied is followed: jj_text and jj_take by themselves, text
 * that goes into a builder by jj_put or jj_trace. A change that keeps the length is followed byte
 * for byte; else, when any byte of what went in is content, all that came out is.
 *
 * Invariants: ranges are sorted and do not overlap. Marks of a builder are dropped when it is taken
 * or begins anew. Without tracking (rt->content NULL) everything here does nothing.
 * Traps: a builder's memory moves, so its marks are offsets. */
#include "text/template/content.h"

#include <stdlib.h>

static int room(jj_rt *rt, void **v, size_t n, size_t *cap, size_t size)
{
    void *grown;
    size_t want = *cap ? *cap * 2 : 64;
    if (n < *cap) return 1;
    grown = realloc(*v, want * size);
    if (!grown) {
        jj_no_memory(rt, want * size);
        return 0;
    }
    *v = grown;
    *cap = want;
    return 1;
}

/* The first range that ends behind p. */
static size_t first_behind(const jj_content *c, const char *p)
{
    size_t low = 0, high = c->n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if ((uintptr_t)c->v[mid].end > (uintptr_t)p)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

void jj_content_add(jj_rt *rt, strv s)
{
    jj_content *c = rt->content;
    size_t at;
    if (!c || !s.n || !room(rt, (void **)&c->v, c->n, &c->cap, sizeof *c->v)) return;
    at = first_behind(c, s.p);
    if (at < c->n && (uintptr_t)c->v[at].begin < (uintptr_t)(s.p + s.n)) return; /* known */
    memmove(c->v + at + 1, c->v + at, (c->n - at) * sizeof *c->v);
    c->v[at] = (jj_memory){s.p, s.p + s.n};
    c->n++;
}

/* The bytes of a text that are content, run by run, in no order. -> 0: no more */
typedef struct runs {
    size_t range, mark; /* where to look next */
    int started;
} runs;

static int next_run(const jj_content *c, strv s, runs *r, size_t *from, size_t *to)
{
    if (!r->started) {
        r->range = first_behind(c, s.p);
        r->started = 1;
    }
    for (; r->range < c->n; r->range++) {
        const jj_memory *m = &c->v[r->range];
        if ((uintptr_t)m->end <= (uintptr_t)s.p) continue;
        if ((uintptr_t)m->begin >= (uintptr_t)(s.p + s.n)) break;
        *from = (uintptr_t)m->begin > (uintptr_t)s.p ? (size_t)(m->begin - s.p) : 0;
        *to = (uintptr_t)m->end < (uintptr_t)(s.p + s.n) ? (size_t)(m->end - s.p) : s.n;
        r->range++;
        return 1;
    }
    r->range = SIZE_MAX;
    while (r->mark < c->n_marks) { /* a text that lies in a builder */
        const jj_mark *m = &c->marks[r->mark++];
        uintptr_t base = (uintptr_t)m->b->p, p = (uintptr_t)s.p;
        if (p < base || p >= base + m->b->n) continue;
        if (p - base >= m->to || p - base + s.n <= m->from) continue;
        *from = p - base < m->from ? m->from - (size_t)(p - base) : 0;
        *to = p - base + s.n > m->to ? m->to - (size_t)(p - base) : s.n;
        return 1;
    }
    return 0;
}

void jj_content_copy(jj_rt *rt, strv from, const char *to)
{
    runs r = {0};
    size_t b, e;
    /* A new range may move those that are looked at: the copy's are added from behind them. */
    while (next_run(rt->content, from, &r, &b, &e)) {
        size_t n = rt->content->n;
        jj_content_add(rt, (strv){to + b, e - b});
        if (rt->content->n > n && (uintptr_t)to < (uintptr_t)from.p && r.range <= n) r.range++;
    }
}

static void mark(jj_rt *rt, const buf *b, size_t from, size_t to)
{
    jj_content *c = rt->content;
    if (b == c->root) {
        byte_range *last = c->n_spans ? &c->spans[c->n_spans - 1] : NULL;
        if (last && last->end == from)
            last->end = to;
        else if (room(rt, (void **)&c->spans, c->n_spans, &c->cap_spans, sizeof *c->spans))
            c->spans[c->n_spans++] = (byte_range){from, to};
        return;
    }
    if (room(rt, (void **)&c->marks, c->n_marks, &c->cap_marks, sizeof *c->marks))
        c->marks[c->n_marks++] = (jj_mark){b, from, to};
}

void jj_content_drop(jj_rt *rt, const buf *b)
{
    jj_content *c = rt->content;
    size_t kept = 0;
    for (size_t i = 0; i < c->n_marks; i++)
        if (c->marks[i].b != b) c->marks[kept++] = c->marks[i];
    c->n_marks = kept;
}

void jj_trace_in(jj_rt *rt, const buf *b, size_t from, size_t to, strv src)
{
    runs r = {0};
    size_t at, end;
    int any = 0;
    if (!src.n || to <= from || rt->failed) return;
    if (!from && b != rt->content->root) jj_content_drop(rt, b);
    while (next_run(rt->content, src, &r, &at, &end)) {
        if (to - from != src.n) {
            any = 1;
            break;
        }
        mark(rt, b, from + at, from + end);
    }
    if (any) mark(rt, b, from, to);
}

void jj_content_deinit(jj_content *c)
{
    free(c->v);
    free(c->marks);
    free(c->spans);
    *c = (jj_content){0};
}
