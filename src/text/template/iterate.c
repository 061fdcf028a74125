/* iterate.c: iterators: lazy, used up by reading, as Python's iter(), reversed() and generators.
 *
 * A generator runs only when it is read, so that what a template sees of side effects (a namespace
 * that the loop's body changes, read by the loop's filter) is as in the reference. */
#include "text/template/text.h"
#include "text/template/tree.h"

typedef enum iter_kind {
    ITER_LIST,
    ITER_LIST_BACK,
    ITER_TEXT,
    ITER_DICT,
    ITER_DICT_BACK,
    ITER_RANGE,
    ITER_RANGE_BACK,
    ITER_TEXT_BACK,
    ITER_BYTES,
    ITER_BYTES_BACK,
    ITER_GENERATOR,
    ITER_LOOP,
    ITER_ENDED
} iter_kind;

struct jj_iter {
    iter_kind kind;
    jv source;
    jj_view_kind view;
    size_t at;
    jj_generate generate;
    void *state;
};

static jj_iter *iter_new(jj_rt *rt, iter_kind kind, jv source)
{
    jj_iter *it = jj_alloc(rt, sizeof *it);
    if (!it) return NULL;
    it->kind = kind;
    it->source = source;
    return it;
}

int jj_iterable(jv v)
{
    switch (v.type) {
    case JJ_UNDEFINED:
    case JJ_STR:
    case JJ_BYTES:
    case JJ_LIST:
    case JJ_TUPLE:
    case JJ_DICT:
    case JJ_RANGE:
    case JJ_VIEW:
    case JJ_ITER:
    case JJ_LOOP:
        return 1;
    default:
        return 0;
    }
}

jj_iter *jj_iter_list(jj_rt *rt, jj_list *l)
{
    return l ? iter_new(rt, ITER_LIST, (jv){JJ_LIST, {.l = l}}) : NULL;
}

jj_iter *jj_iterate(jj_rt *rt, jv v)
{
    jj_iter *it;
    if (rt->failed) return NULL;
    switch (v.type) {
    case JJ_UNDEFINED:
        return iter_new(rt, ITER_ENDED, v);
    case JJ_STR:
        return iter_new(rt, ITER_TEXT, v);
    case JJ_BYTES:
        return iter_new(rt, ITER_BYTES, v);
    case JJ_LIST:
    case JJ_TUPLE:
        return iter_new(rt, ITER_LIST, v);
    case JJ_DICT:
        return iter_new(rt, ITER_DICT, v);
    case JJ_RANGE:
        return iter_new(rt, ITER_RANGE, v);
    case JJ_VIEW:
        it = iter_new(rt, ITER_DICT, (jv){JJ_DICT, {.d = v.u.view->d}});
        if (it) it->view = v.u.view->kind;
        return it;
    case JJ_ITER:
        return v.u.iter;
    case JJ_LOOP:
        return iter_new(rt, ITER_LOOP, v);
    default:
        jj_fail(rt, "'%s' object is not iterable", jj_type_name(v));
        return NULL;
    }
}

jv jj_generator(jj_rt *rt, jj_generate next, void *state)
{
    jj_iter *it = state ? iter_new(rt, ITER_GENERATOR, jj_none()) : NULL;
    if (!it) return jj_none();
    it->generate = next;
    it->state = state;
    return (jv){JJ_ITER, {.iter = it}};
}

static jv entry_value(jj_rt *rt, const jj_entry *e, jj_view_kind kind)
{
    if (kind == JJ_ITEMS) return jj_pair(rt, e->key, e->value);
    return kind == JJ_KEYS ? e->key : e->value;
}

static int next_of(jj_rt *rt, jj_iter *it, jv *out)
{
    const jv *s = &it->source;
    size_t n = 0;
    switch (it->kind) {
    case ITER_LIST:
        if (it->at >= s->u.l->n) return 0;
        *out = s->u.l->v[it->at++];
        return 1;
    case ITER_LIST_BACK:
        if (it->at >= s->u.l->n) return 0;
        *out = s->u.l->v[s->u.l->n - ++it->at];
        return 1;
    case ITER_TEXT:
        if (it->at >= s->u.s->n) return 0;
        jj_decode(s->u.s->p + it->at, s->u.s->p + s->u.s->n, &n);
        *out = jj_borrow(rt, (strv){s->u.s->p + it->at, n});
        it->at += n;
        return 1;
    case ITER_TEXT_BACK:
        if (it->at >= s->u.s->n) return 0;
        n = jj_last_char((strv){s->u.s->p, s->u.s->n - it->at});
        it->at += n;
        *out = jj_borrow(rt, (strv){s->u.s->p + s->u.s->n - it->at, n});
        return 1;
    case ITER_BYTES:
    case ITER_BYTES_BACK:
        if (it->at >= s->u.s->n) return 0;
        n = it->kind == ITER_BYTES ? it->at : s->u.s->n - 1 - it->at;
        it->at++;
        *out = jj_int((unsigned char)s->u.s->p[n]);
        return 1;
    case ITER_DICT:
        if (it->at >= s->u.d->n) return 0;
        *out = entry_value(rt, s->u.d->e + it->at++, it->view);
        return 1;
    case ITER_DICT_BACK:
        if (it->at >= s->u.d->n) return 0;
        it->at++;
        *out = entry_value(rt, s->u.d->e + (s->u.d->n - it->at), it->view);
        return 1;
    case ITER_RANGE:
        if (it->at >= s->u.range->n) return 0;
        *out = jj_int(jj_range_at(s->u.range, it->at++));
        return 1;
    case ITER_RANGE_BACK:
        if (it->at >= s->u.range->n) return 0;
        *out = jj_int(jj_range_at(s->u.range, s->u.range->n - ++it->at));
        return 1;
    case ITER_GENERATOR:
        return it->generate(rt, it->state, out);
    case ITER_LOOP:
        if (!jj_loop_next(rt, s->u.loop, out)) return 0;
        *out = jj_pair(rt, *out, *s);
        return 1;
    case ITER_ENDED:
        break;
    }
    return 0;
}

int jj_next(jj_rt *rt, jj_iter *it, jv *out)
{
    if (!it || !jj_step(rt, 1)) return 0;
    if (next_of(rt, it, out) && jj_ok(rt)) return 1;
    it->kind = ITER_ENDED;
    return 0;
}

jj_list *jj_collect(jj_rt *rt, jv v)
{
    jj_iter *it = jj_iterate(rt, v);
    jj_list *l = it ? jj_list_new(rt, 0) : NULL;
    jv item;
    while (l && jj_next(rt, it, &item))
        jj_push(rt, l, item);
    return jj_ok(rt) ? l : NULL;
}

jv jj_reversed(jj_rt *rt, jv v, int *can)
{
    jj_iter *it = NULL;
    *can = 1;
    switch (v.type) {
    case JJ_UNDEFINED: /* has a length and items as far as reversed() can see */
        it = iter_new(rt, ITER_ENDED, v);
        break;
    case JJ_LIST:
    case JJ_TUPLE:
        it = iter_new(rt, ITER_LIST_BACK, v);
        break;
    case JJ_STR:
        it = iter_new(rt, ITER_TEXT_BACK, v);
        break;
    case JJ_BYTES:
        it = iter_new(rt, ITER_BYTES_BACK, v);
        break;
    case JJ_DICT:
        it = iter_new(rt, ITER_DICT_BACK, v);
        break;
    case JJ_RANGE:
        it = iter_new(rt, ITER_RANGE_BACK, v);
        break;
    case JJ_VIEW:
        it = iter_new(rt, ITER_DICT_BACK, (jv){JJ_DICT, {.d = v.u.view->d}});
        if (it) it->view = v.u.view->kind;
        break;
    default:
        *can = 0;
    }
    return it ? (jv){JJ_ITER, {.iter = it}} : jj_none();
}

jv jj_view_new(jj_rt *rt, jj_view_kind kind, jj_dict *d)
{
    jj_view *view = jj_alloc(rt, sizeof *view);
    if (!view) return jj_none();
    view->kind = kind;
    view->d = d;
    return (jv){JJ_VIEW, {.view = view}};
}

jv jj_range_new(jj_rt *rt, int64_t start, int64_t stop, int64_t step)
{
    jj_range *r = jj_alloc(rt, sizeof *r);
    uint64_t span, stride;
    if (!r) return jj_none();
    r->start = start;
    r->stop = stop;
    r->step = step;
    if (step > 0 ? start < stop : start > stop) {
        span = step > 0 ? (uint64_t)stop - (uint64_t)start : (uint64_t)start - (uint64_t)stop;
        stride = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
        r->n = (size_t)((span - 1) / stride + 1);
    }
    return (jv){JJ_RANGE, {.range = r}};
}
