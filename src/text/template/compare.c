/* compare.c: what Python answers about values: truth, length, equality, order, membership.
 *
 * Equality never fails; order fails for types that have none between them (TypeError there).
 * Traps: 1 == 1.0 == True, but 1 is not True. A str is never equal to a number. An undefined value
 *        equals every undefined value and nothing else. Order compares lists element by element and
 *        asks for an order only of the first elements that differ. Numbers of 64 bits are compared
 *        with floats exactly, not after rounding. */
#include "text/template/big.h"
#include "text/template/text.h"

#include <math.h>

const char *jj_type_name(jv v)
{
    switch (v.type) {
    case JJ_MISSING:
    case JJ_UNDEFINED:
        return "Undefined";
    case JJ_NONE:
        return "NoneType";
    case JJ_BOOL:
        return "bool";
    case JJ_INT:
    case JJ_BIG:
        return "int";
    case JJ_FLOAT:
        return "float";
    case JJ_BYTES:
        return "bytes";
    case JJ_STR:
        return v.u.s->markup ? "Markup" : "str";
    case JJ_LIST:
        return "list";
    case JJ_TUPLE:
        return "tuple";
    case JJ_DICT:
        return "dict";
    case JJ_RANGE:
        return "range";
    case JJ_VIEW:
        return v.u.view->kind == JJ_KEYS     ? "dict_keys"
               : v.u.view->kind == JJ_VALUES ? "dict_values"
                                             : "dict_items";
    case JJ_ITER:
        return "generator";
    case JJ_NAMESPACE:
        return "Namespace";
    case JJ_FUNCTION:
        return "function";
    case JJ_METHOD:
        return "method";
    case JJ_MACRO:
        return "Macro";
    case JJ_LOOP:
        return "LoopContext";
    case JJ_CYCLER:
        return "Cycler";
    case JJ_JOINER:
        return "Joiner";
    case JJ_SELF:
        return "TemplateReference";
    case JJ_BLOCK:
        return "BlockReference";
    }
    return "object";
}

int jj_truth(jv v)
{
    switch (v.type) {
    case JJ_MISSING:
    case JJ_UNDEFINED:
    case JJ_NONE:
        return 0;
    case JJ_BOOL:
        return v.u.b;
    case JJ_INT:
        return v.u.i != 0;
    case JJ_FLOAT:
        return v.u.f != 0;
    case JJ_STR:
    case JJ_BYTES:
        return v.u.s->n != 0;
    case JJ_LIST:
    case JJ_TUPLE:
        return v.u.l->n != 0;
    case JJ_DICT:
        return v.u.d->n != 0;
    case JJ_RANGE:
        return v.u.range->n != 0;
    case JJ_VIEW:
        return v.u.view->d->n != 0;
    default:
        return 1;
    }
}

int jj_is_int(jv v) { return v.type == JJ_INT || v.type == JJ_BOOL || v.type == JJ_BIG; }

int jj_is_number(jv v) { return v.type == JJ_INT || v.type == JJ_FLOAT || v.type == JJ_BOOL; }

double jj_as_double(jv v)
{
    return v.type == JJ_FLOAT ? v.u.f : v.type == JJ_BOOL ? (double)v.u.b : (double)v.u.i;
}

int jj_double_of(jj_rt *rt, jv v, double *f)
{
    int fits = 1;
    *f = v.type == JJ_BIG ? jj_big_to_double(v, &fits) : jj_as_double(v);
    if (!fits) jj_fail(rt, "int too large to convert to float");
    return fits;
}

/* Order of two numbers; NaN is told apart by *ordered. */
static int compare_numbers(jv a, jv b, int *ordered)
{
    int64_t x = 0, y = 0;
    *ordered = 1;
    if ((a.type == JJ_FLOAT && isnan(a.u.f)) || (b.type == JJ_FLOAT && isnan(b.u.f))) {
        *ordered = 0;
        return 1;
    }
    if (a.type == JJ_FLOAT && b.type == JJ_FLOAT) return a.u.f < b.u.f ? -1 : a.u.f > b.u.f;
    if (a.type == JJ_FLOAT) return -jj_big_compare_float(b, a.u.f);
    if (b.type == JJ_FLOAT) return jj_big_compare_float(a, b.u.f);
    if (a.type == JJ_BIG || b.type == JJ_BIG) return jj_big_compare(a, b);
    jj_as_int(a, &x);
    jj_as_int(b, &y);
    return x < y ? -1 : x > y;
}

static int numeric(jv v) { return jj_is_number(v) || v.type == JJ_BIG; }

static int compare_text(jv a, jv b)
{
    /* UTF-8 keeps the order of code points. */
    size_t n = a.u.s->n < b.u.s->n ? a.u.s->n : b.u.s->n;
    int order = n ? memcmp(a.u.s->p, b.u.s->p, n) : 0;
    if (order) return order;
    return a.u.s->n < b.u.s->n ? -1 : a.u.s->n > b.u.s->n;
}

int jj_same(jv a, jv b)
{
    if (a.type != b.type) return 0;
    switch (a.type) {
    case JJ_MISSING:
    case JJ_NONE:
        return 1;
    case JJ_BOOL:
        return a.u.b == b.u.b;
    case JJ_INT:
        return a.u.i == b.u.i;
    case JJ_FLOAT:
        return !memcmp(&a.u.f, &b.u.f, sizeof a.u.f);
    case JJ_STR:
        return a.u.s == b.u.s || (a.u.s->p == b.u.s->p && a.u.s->n == b.u.s->n);
    case JJ_FUNCTION:
        return a.u.fn == b.u.fn;
    default:
        return a.u.l == b.u.l;
    }
}

static int equal_lists(jj_rt *rt, const jj_list *a, const jj_list *b)
{
    int same = a->n == b->n;
    for (size_t i = 0; i < a->n && same; i++)
        same = jj_same(a->v[i], b->v[i]) || jj_equal(rt, a->v[i], b->v[i]);
    return same;
}

static int equal_dicts(jj_rt *rt, const jj_dict *a, const jj_dict *b)
{
    int same = a->n == b->n;
    for (size_t i = 0; i < a->n && same; i++) {
        jj_entry *e = jj_dict_find(rt, b, a->e[i].key, NULL);
        same = e && (jj_same(a->e[i].value, e->value) || jj_equal(rt, a->e[i].value, e->value));
    }
    return same;
}

static int equal_ranges(const jj_range *a, const jj_range *b)
{
    if (a->n != b->n) return 0;
    return !a->n || (a->start == b->start && (a->n == 1 || a->step == b->step));
}

static int equal_views(jj_rt *rt, const jj_view *a, const jj_view *b)
{
    if (a == b || (a->kind == b->kind && a->d == b->d)) return 1;
    if (a->kind == JJ_VALUES || b->kind == JJ_VALUES || a->kind != b->kind || a->d->n != b->d->n)
        return 0;
    if (a->kind == JJ_ITEMS) return equal_dicts(rt, a->d, b->d);
    for (size_t i = 0; i < a->d->n; i++)
        if (!jj_dict_find(rt, b->d, a->d->e[i].key, NULL)) return 0;
    return 1;
}

int jj_equal(jj_rt *rt, jv a, jv b)
{
    int ordered, same = 0;
    if (numeric(a) && numeric(b)) return compare_numbers(a, b, &ordered) == 0 && ordered;
    if (a.type != b.type) return 0;
    switch (a.type) {
    case JJ_UNDEFINED:
        return 1;
    case JJ_STR:
    case JJ_BYTES:
        return a.u.s->n == b.u.s->n && jj_work(rt, a.u.s->n) && strv_eq(jj_strv(a), jj_strv(b));
    case JJ_RANGE:
        return equal_ranges(a.u.range, b.u.range);
    case JJ_VIEW:
        return equal_views(rt, a.u.view, b.u.view);
    case JJ_METHOD:
        return jj_same(a, b);
    case JJ_LIST:
    case JJ_TUPLE:
    case JJ_DICT:
        break;
    default:
        return jj_same(a, b);
    }
    if (!jj_step(rt, 1) || !jj_enter(rt)) return 0;
    same = a.type == JJ_DICT ? equal_dicts(rt, a.u.d, b.u.d) : equal_lists(rt, a.u.l, b.u.l);
    jj_leave(rt);
    return same;
}

int jj_orderable(jj_rt *rt, jv a, jv b)
{
    if (a.type == JJ_UNDEFINED || b.type == JJ_UNDEFINED || (numeric(a) && numeric(b))) return 1;
    if (a.type != b.type || !jj_step(rt, 1)) return 0;
    if (a.type == JJ_STR || a.type == JJ_BYTES) return 1;
    if (a.type != JJ_LIST && a.type != JJ_TUPLE) return 0;
    for (size_t i = 0; i < a.u.l->n && i < b.u.l->n; i++)
        if (!jj_same(a.u.l->v[i], b.u.l->v[i]) && !jj_equal(rt, a.u.l->v[i], b.u.l->v[i]))
            return jj_orderable(rt, a.u.l->v[i], b.u.l->v[i]);
    return 1;
}

static int is_within(jj_rt *rt, jv a, jv b)
{
    jj_iter *it = jj_iterate(rt, a);
    int within = a.u.view->d->n <= b.u.view->d->n;
    jv item;
    while (within && jj_next(rt, it, &item))
        within = jj_contains(rt, item, b);
    return within;
}

int jj_compare(jj_rt *rt, jv a, jv b, const char *op)
{
    int ordered, order = 0;
    if (!jj_step(rt, 1)) return 0;
    if (a.type == JJ_UNDEFINED || b.type == JJ_UNDEFINED) {
        jj_fail_undefined(rt, a.type == JJ_UNDEFINED ? a : b);
        return 0;
    }
    if (numeric(a) && numeric(b)) {
        order = compare_numbers(a, b, &ordered);
        /* Not ordered: every question about order is answered no. */
        return ordered ? order : op[0] == '<' ? 1 : -1;
    }
    if (a.type == b.type && (a.type == JJ_STR || a.type == JJ_BYTES)) {
        jj_work(rt, a.u.s->n < b.u.s->n ? a.u.s->n : b.u.s->n);
        return compare_text(a, b);
    }
    if (a.type == b.type && (a.type == JJ_LIST || a.type == JJ_TUPLE)) {
        const jj_list *x = a.u.l, *y = b.u.l;
        size_t n = x->n < y->n ? x->n : y->n, i = 0;
        if (!jj_enter(rt)) return 0;
        while (i < n && (jj_same(x->v[i], y->v[i]) || jj_equal(rt, x->v[i], y->v[i])))
            i++;
        if (i < n)
            order = jj_compare(rt, x->v[i], y->v[i], op);
        else
            order = x->n < y->n ? -1 : x->n > y->n;
        jj_leave(rt);
        return order;
    }
    if (a.type == JJ_VIEW && b.type == JJ_VIEW && a.u.view->kind != JJ_VALUES &&
        b.u.view->kind != JJ_VALUES) {
        int within = is_within(rt, a, b), around = is_within(rt, b, a);
        if (within != around) return within ? -1 : 1;
        return within ? 0 : op[0] == '<' ? 1 : -1;
    }
    jj_fail(rt, "'%s' not supported between instances of '%s' and '%s'", op, jj_type_name(a),
            jj_type_name(b));
    return 0;
}

int jj_len(jj_rt *rt, jv v, size_t *n)
{
    (void)rt;
    switch (v.type) {
    case JJ_UNDEFINED:
        *n = 0;
        return 1;
    case JJ_STR:
        *n = jj_chars(v.u.s);
        return 1;
    case JJ_BYTES:
        *n = v.u.s->n;
        return 1;
    case JJ_LIST:
    case JJ_TUPLE:
        *n = v.u.l->n;
        return 1;
    case JJ_DICT:
        *n = v.u.d->n;
        return 1;
    case JJ_RANGE:
        *n = v.u.range->n;
        return 1;
    case JJ_VIEW:
        *n = v.u.view->d->n;
        return 1;
    default:
        return 0;
    }
}

static int in_range(jv item, const jj_range *r)
{
    int64_t i;
    if (item.type == JJ_FLOAT) {
        if (item.u.f != floor(item.u.f) || fabs(item.u.f) > 9e15) return 0;
        i = (int64_t)item.u.f;
    } else if (!jj_as_int(item, &i))
        return 0;
    for (size_t k = 0; k < r->n; k++)
        if (jj_range_at(r, k) == i) return 1;
    return 0;
}

static int in_view(jj_rt *rt, jv item, const jj_view *view)
{
    int hashable = 1;
    jj_entry *e;
    if (view->kind == JJ_VALUES) {
        for (size_t i = 0; i < view->d->n; i++)
            if (jj_step(rt, 1) && jj_equal(rt, item, view->d->e[i].value)) return 1;
        return 0;
    }
    if (view->kind == JJ_ITEMS) {
        if (item.type != JJ_TUPLE || item.u.l->n != 2) return 0;
        e = jj_dict_find(rt, view->d, item.u.l->v[0], &hashable);
        if (hashable) return e && jj_equal(rt, e->value, item.u.l->v[1]);
    } else {
        e = jj_dict_find(rt, view->d, item, &hashable);
        if (hashable) return e != NULL;
    }
    jj_fail(rt, "unhashable type: '%s'", jj_type_name(item));
    return 0;
}

int jj_contains(jj_rt *rt, jv item, jv container)
{
    int hashable = 1, found = 0;
    jj_iter *it;
    jv each;
    switch (container.type) {
    case JJ_STR:
        if (!jj_is_str(item)) {
            jj_fail(rt, "'in <string>' requires string as left operand, not %s",
                    jj_type_name(item));
            return 0;
        }
        jj_work(rt, container.u.s->n);
        return jj_find(jj_strv(container), jj_strv(item), 0) != SIZE_MAX;
    case JJ_BYTES: {
        int64_t byte;
        if (item.type == JJ_BYTES) return jj_find(jj_strv(container), jj_strv(item), 0) != SIZE_MAX;
        if (!jj_as_int(item, &byte) || byte < 0 || byte > 255) {
            jj_fail(rt, "a bytes-like object or a byte is required, not '%s'", jj_type_name(item));
            return 0;
        }
        return container.u.s->n && memchr(container.u.s->p, (int)byte, container.u.s->n);
    }
    case JJ_DICT: {
        jj_entry *e = jj_dict_find(rt, container.u.d, item, &hashable);
        if (!hashable) jj_fail(rt, "unhashable type: '%s'", jj_type_name(item));
        return e != NULL;
    }
    case JJ_LIST:
    case JJ_TUPLE:
        for (size_t i = 0; i < container.u.l->n && !found && jj_step(rt, 1); i++)
            found = jj_same(item, container.u.l->v[i]) || jj_equal(rt, item, container.u.l->v[i]);
        return found;
    case JJ_RANGE:
        return jj_step(rt, container.u.range->n / 8) && in_range(item, container.u.range);
    case JJ_VIEW:
        return in_view(rt, item, container.u.view);
    default:
        if (!jj_iterable(container)) {
            jj_fail(rt, "argument of type '%s' is not iterable", jj_type_name(container));
            return 0;
        }
        it = jj_iterate(rt, container);
        while (!found && jj_next(rt, it, &each))
            found = jj_same(item, each) || jj_equal(rt, item, each);
        return found;
    }
}
