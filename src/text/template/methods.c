/* methods.c: the methods of dict, list, tuple, range, cycler and loop; finding a method.
 *
 * A row is one method of one type; those of str, bytes and numbers have files of their own. What
 * would change a list or dict is refused in access.c; the few that are there in Python and not here
 * are refused when they are called.
 * Source: CPython 3.11, jinja2 3.1.6 runtime.py and utils.py. */
#include "text/template/methods.h"
#include "text/template/text.h"
#include "text/template/tree.h"

/* ---- dict, list, tuple, range ---- */

static jv dict_get(jj_rt *rt, jv self, const jj_args *args)
{
    jv v[2];
    jj_entry *e;
    int hashable;
    if (!jj_bind(rt, "get", "/key,default", 1, args, v)) return jj_none();
    e = jj_dict_find(rt, self.u.d, v[0], &hashable);
    if (!hashable) return jj_fail(rt, "unhashable type: '%s'", jj_type_name(v[0]));
    if (e) return e->value;
    return v[1].type == JJ_MISSING ? jj_none() : v[1];
}

static jv dict_items(jj_rt *rt, jv self, const jj_args *args)
{
    if (!jj_bind(rt, "items", "/", 0, args, NULL)) return jj_none();
    return jj_view_new(rt, JJ_ITEMS, self.u.d);
}

static jv dict_keys(jj_rt *rt, jv self, const jj_args *args)
{
    if (!jj_bind(rt, "keys", "/", 0, args, NULL)) return jj_none();
    return jj_view_new(rt, JJ_KEYS, self.u.d);
}

static jv dict_values(jj_rt *rt, jv self, const jj_args *args)
{
    if (!jj_bind(rt, "values", "/", 0, args, NULL)) return jj_none();
    return jj_view_new(rt, JJ_VALUES, self.u.d);
}

/* Containers never change, so a copy may be the same one. */
static jv copy(jj_rt *rt, jv self, const jj_args *args)
{
    jj_list *l;
    if (!jj_bind(rt, "copy", "/", 0, args, NULL)) return jj_none();
    if (self.type == JJ_DICT) return self;
    l = jj_list_new(rt, self.u.l->n);
    for (size_t i = 0; l && i < self.u.l->n; i++)
        jj_push(rt, l, self.u.l->v[i]);
    return jj_list_value(rt, l);
}

jv jj_dict_fromkeys(jj_rt *rt, const jj_args *args)
{
    jv v[2], key;
    jj_iter *it;
    jj_dict *d = jj_dict_new(rt);
    if (!jj_bind(rt, "fromkeys", "/iterable,value", 1, args, v)) return jj_none();
    it = jj_iterate(rt, v[0]);
    while (jj_next(rt, it, &key))
        jj_dict_set(rt, d, key, v[1].type == JJ_MISSING ? jj_none() : v[1]);
    return jj_dict_value(rt, d);
}

static jv dict_fromkeys(jj_rt *rt, jv self, const jj_args *args)
{
    (void)self;
    return jj_dict_fromkeys(rt, args);
}

static jv items_count(jj_rt *rt, jv self, const jj_args *args)
{
    jv v[1], item;
    int64_t n = 0;
    jj_iter *it;
    if (!jj_bind(rt, "count", "/value", 1, args, v)) return jj_none();
    it = jj_iterate(rt, self);
    while (jj_next(rt, it, &item))
        n += jj_same(item, v[0]) || jj_equal(rt, item, v[0]);
    return jj_int(n);
}

static jv items_index(jj_rt *rt, jv self, const jj_args *args)
{
    jv v[3], item;
    int64_t from = 0, to = INT64_MAX, at = 0, n;
    size_t len = 0;
    jj_iter *it;
    if (!jj_bind(rt, "index", self.type == JJ_RANGE ? "/value" : "/value,start,stop", 1, args, v))
        return jj_none();
    jj_len(rt, self, &len);
    n = (int64_t)len;
    if (self.type != JJ_RANGE &&
        (!jj_arg_place(rt, "start", v[1], &from) || !jj_arg_place(rt, "stop", v[2], &to)))
        return jj_none();
    if (from < 0) from = from < -n ? 0 : from + n;
    if (to < 0) to = to < -n ? 0 : to + n;
    it = jj_iterate(rt, self);
    for (; jj_next(rt, it, &item) && at < to; at++)
        if (at >= from && (jj_same(item, v[0]) || jj_equal(rt, item, v[0]))) return jj_int(at);
    return jj_fail(rt, "the value is not in the %s", jj_type_name(self));
}

/* ---- views, objects ---- */

static jv view_isdisjoint(jj_rt *rt, jv self, const jj_args *args)
{
    jv v[1], item;
    jj_iter *it;
    if (self.u.view->kind == JJ_VALUES)
        return jj_fail(rt, "'dict_values' object has no attribute 'isdisjoint'");
    if (!jj_bind(rt, "isdisjoint", "/other", 1, args, v)) return jj_none();
    it = jj_iterate(rt, v[0]);
    while (jj_next(rt, it, &item))
        if (jj_contains(rt, item, self)) return jj_bool(0);
    return jj_bool(1);
}

static jv cycler_next(jj_rt *rt, jv self, const jj_args *args)
{
    jj_cycler *c = self.u.cycler;
    jv v;
    if (!jj_bind(rt, "next", "", 0, args, NULL)) return jj_none();
    v = c->items->v[c->at];
    c->at = (c->at + 1) % c->items->n;
    return v;
}

static jv cycler_reset(jj_rt *rt, jv self, const jj_args *args)
{
    if (!jj_bind(rt, "reset", "", 0, args, NULL)) return jj_none();
    self.u.cycler->at = 0;
    return jj_none();
}

static jv loop_cycle(jj_rt *rt, jv self, const jj_args *args)
{
    if (args->n_named) return jj_fail(rt, "cycle() takes no keyword arguments");
    if (!args->n) return jj_fail(rt, "no items for cycling given");
    return args->v[(size_t)self.u.loop->index0 % args->n];
}

static jv loop_changed(jj_rt *rt, jv self, const jj_args *args)
{
    jj_loop *loop = self.u.loop;
    jj_list *now = jj_list_new(rt, args->n);
    int same = loop->changed_once && loop->changed->n == args->n;
    if (args->n_named) return jj_fail(rt, "changed() takes no keyword arguments");
    for (size_t i = 0; i < args->n; i++) {
        jj_push(rt, now, args->v[i]);
        same = same && (jj_same(args->v[i], loop->changed->v[i]) ||
                        jj_equal(rt, args->v[i], loop->changed->v[i]));
    }
    if (!now || !jj_ok(rt)) return jj_none();
    loop->changed = now;
    loop->changed_once = 1;
    return jj_bool(!same);
}

static jv unsupported(jj_rt *rt, jv self, const jj_args *args)
{
    (void)args;
    return jj_fail(rt, "this method of '%s' is not supported in templates", jj_type_name(self));
}

static const struct {
    jj_type type;
    const char *name;
    jj_method_fn call;
} METHODS[] = {
    {JJ_DICT, "get", dict_get},
    {JJ_DICT, "items", dict_items},
    {JJ_DICT, "keys", dict_keys},
    {JJ_DICT, "values", dict_values},
    {JJ_DICT, "copy", copy},
    {JJ_DICT, "fromkeys", dict_fromkeys},
    {JJ_LIST, "index", items_index},
    {JJ_LIST, "count", items_count},
    {JJ_LIST, "copy", copy},
    {JJ_TUPLE, "index", items_index},
    {JJ_TUPLE, "count", items_count},
    {JJ_RANGE, "index", items_index},
    {JJ_RANGE, "count", items_count},
    {JJ_FLOAT, "is_integer", jj_float_is_integer},
    {JJ_FLOAT, "conjugate", jj_number_conjugate},
    {JJ_FLOAT, "as_integer_ratio", jj_float_ratio},
    {JJ_FLOAT, "hex", jj_float_hex},
    {JJ_FLOAT, "fromhex", unsupported},
    {JJ_INT, "bit_length", jj_int_bit_length},
    {JJ_INT, "conjugate", jj_number_conjugate},
    {JJ_INT, "as_integer_ratio", jj_int_ratio},
    {JJ_INT, "bit_count", jj_int_bit_count},
    {JJ_INT, "to_bytes", jj_int_to_bytes},
    {JJ_INT, "from_bytes", jj_int_from_bytes},
    {JJ_VIEW, "isdisjoint", view_isdisjoint},
    {JJ_VIEW, "mapping", unsupported},
    {JJ_CYCLER, "next", cycler_next},
    {JJ_CYCLER, "reset", cycler_reset},
    {JJ_LOOP, "cycle", loop_cycle},
    {JJ_LOOP, "changed", loop_changed},
};

enum {
    METHOD_COUNT = sizeof METHODS / sizeof *METHODS,
    DICT_FROMKEYS = METHOD_COUNT + 1,
    FIRST_TEXT = DICT_FROMKEYS + 1,
    FIRST_BYTES = FIRST_TEXT + 100
};

int jj_method_id(jv self, strv name)
{
    jj_type type = self.type == JJ_BOOL || self.type == JJ_BIG ? JJ_INT : self.type;
    if (type == JJ_FUNCTION && !strcmp(self.u.fn->name, "dict") && strv_is(name, "fromkeys"))
        return DICT_FROMKEYS;
    for (int i = 0; type == JJ_STR && jj_text_methods[i].name; i++)
        if (strv_is(name, jj_text_methods[i].name)) return FIRST_TEXT + i;
    for (int i = 0; type == JJ_BYTES && jj_bytes_methods[i].name; i++)
        if (strv_is(name, jj_bytes_methods[i].name)) return FIRST_BYTES + i;
    for (int i = 0; i < METHOD_COUNT; i++)
        if (METHODS[i].type == type && strv_is(name, METHODS[i].name)) return i + 1;
    return 0;
}

jv jj_call_method(jj_rt *rt, jv self, int id, const jj_args *args)
{
    if (!jj_ok(rt)) return jj_none();
    if (id >= FIRST_BYTES) return jj_bytes_methods[id - FIRST_BYTES].call(rt, self, args);
    if (id >= FIRST_TEXT) return jj_text_methods[id - FIRST_TEXT].call(rt, self, args);
    if (id == DICT_FROMKEYS) return jj_dict_fromkeys(rt, args);
    return METHODS[id - 1].call(rt, self, args);
}
