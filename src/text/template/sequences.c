/* sequences.c: the filters over sequences: sorting, grouping, mapping, selecting.
 *
 * map, select, reject, selectattr, rejectattr, unique, batch, slice and items are generators: they
 * run when they are read, errors included, and can be read once.
 * Traps: sorting and comparing ignores letter case unless told otherwise; it is stable also in
 *        reverse. `attribute` is a path by items first ("a.0.b"); for sort it may list several. A
 *        value that is false ends map and select without looking at their arguments.
 * Source: jinja2 3.1.6 filters.py. */
#include "text/template/content.h"
#include "text/template/filters.h"
#include "text/template/text.h"

/* ---- attribute paths ---- */

static jv path_part(jj_rt *rt, jv item, strv part, jv fallback)
{
    int digits = part.n > 0, ok;
    for (size_t i = 0; i < part.n && digits; i++)
        digits = part.p[i] >= '0' && part.p[i] <= '9';
    item = jj_getitem(rt, item, digits ? jj_int_from_text(rt, part, 10, &ok) : jj_borrow(rt, part));
    if (item.type == JJ_UNDEFINED && fallback.type != JJ_MISSING && fallback.type != JJ_NONE)
        return fallback;
    return item;
}

jv jj_path(jj_rt *rt, jv item, jv path, jv fallback)
{
    strv rest;
    if (path.type == JJ_NONE || path.type == JJ_MISSING) return item;
    if (!jj_is_str(path)) {
        item = jj_getitem(rt, item, path);
        return item.type == JJ_UNDEFINED && fallback.type != JJ_MISSING && fallback.type != JJ_NONE
                   ? fallback
                   : item;
    }
    rest = jj_strv(path);
    for (;;) {
        size_t n = jj_find(rest, STRV("."), 0);
        item = path_part(rt, item, (strv){rest.p, n == SIZE_MAX ? rest.n : n}, fallback);
        if (n == SIZE_MAX || !jj_ok(rt)) return item;
        rest = (strv){rest.p + n + 1, rest.n - n - 1};
    }
}

static jv ignore_case(jj_rt *rt, jv v, int case_sensitive)
{
    buf b = {0};
    if (case_sensitive || !jj_is_str(v) || !jj_work(rt, v.u.s->n)) return v;
    jj_write_case(&b, jj_strv(v), JJ_LOWER);
    jj_trace(rt, &b, 0, b.n, jj_strv(v));
    return jj_take(rt, &b);
}

/* sort's key: a list with one item for each path of "a,b". */
static jv sort_key(jj_rt *rt, jv item, jv path, int case_sensitive)
{
    jj_list *l = jj_list_new(rt, 1);
    strv rest;
    if (!jj_is_str(path)) {
        jj_push(rt, l, ignore_case(rt, jj_path(rt, item, path, jj_missing()), case_sensitive));
        return jj_list_value(rt, l);
    }
    rest = jj_strv(path);
    for (;;) {
        size_t n = jj_find(rest, STRV(","), 0);
        jv one = jj_borrow(rt, (strv){rest.p, n == SIZE_MAX ? rest.n : n});
        jj_push(rt, l, ignore_case(rt, jj_path(rt, item, one, jj_missing()), case_sensitive));
        if (n == SIZE_MAX || !jj_ok(rt)) return jj_list_value(rt, l);
        rest = (strv){rest.p + n + 1, rest.n - n - 1};
    }
}

/* ---- sorting ---- */

typedef struct keyed {
    jv key, item;
} keyed;

static int goes_first(jj_rt *rt, const keyed *a, const keyed *b, int reverse)
{
    return reverse ? jj_compare(rt, b->key, a->key, "<") <= 0
                   : !(jj_compare(rt, b->key, a->key, "<") < 0);
}

/* Merge sort; equal ones keep their order in both directions. */
static void merge_sort(jj_rt *rt, keyed *v, keyed *spare, size_t n, int reverse)
{
    size_t half = n / 2, i = 0, k = half, at = 0;
    if (n < 2 || !jj_step(rt, n)) return;
    merge_sort(rt, v, spare, half, reverse);
    merge_sort(rt, v + half, spare, n - half, reverse);
    if (!jj_ok(rt)) return;
    while (i < half && k < n && jj_ok(rt))
        spare[at++] = reverse ? (jj_compare(rt, v[i].key, v[k].key, "<") < 0 ? v[k++] : v[i++])
                              : (goes_first(rt, v + i, v + k, 0) ? v[i++] : v[k++]);
    while (i < half)
        spare[at++] = v[i++];
    while (k < n)
        spare[at++] = v[k++];
    memcpy(v, spare, n * sizeof *v);
}

static jj_list *sorted(jj_rt *rt, keyed *v, size_t n, int reverse)
{
    keyed *spare = jj_array(rt, n + 1, sizeof *spare);
    jj_list *l = jj_list_new(rt, n);
    if (!v || !spare || !l) return NULL;
    merge_sort(rt, v, spare, n, reverse);
    for (size_t i = 0; i < n; i++)
        jj_push(rt, l, v[i].item);
    return jj_ok(rt) ? l : NULL;
}

/* `reverse`, which the reference reads as a C int. */
static int arg_flag(jj_rt *rt, jv v, int64_t *out)
{
    if (!jj_arg_int(rt, "reverse", v, out)) return 0;
    if (*out > INT32_MAX || *out < INT32_MIN) jj_fail(rt, "reverse is too large");
    return jj_ok(rt);
}

jv jj_filter_sort(jj_rt *rt, const jj_args *args)
{
    jv v[4];
    int64_t reverse = 0;
    jj_list *items;
    keyed *keys;
    if (!jj_bind(rt, "sort", "value,reverse,case_sensitive,attribute", 1, args, v) ||
        !arg_flag(rt, v[1], &reverse))
        return jj_none();
    items = jj_collect(rt, v[0]);
    keys = items ? jj_array(rt, items->n + 1, sizeof *keys) : NULL;
    for (size_t i = 0; keys && i < items->n && jj_ok(rt); i++)
        keys[i] = (keyed){sort_key(rt, items->v[i], v[3], jj_truth(v[2])), items->v[i]};
    if (!keys || !jj_ok(rt)) return jj_none();
    return jj_list_value(rt, sorted(rt, keys, items->n, reverse != 0));
}

jv jj_filter_dictsort(jj_rt *rt, const jj_args *args)
{
    jv v[4];
    int64_t reverse = 0;
    strv by = STRV("key");
    keyed *keys;
    const jj_dict *d;
    if (!jj_bind(rt, "dictsort", "value,case_sensitive,by,reverse", 1, args, v) ||
        !jj_arg_str(rt, "by", v[2], &by) || !arg_flag(rt, v[3], &reverse))
        return jj_none();
    if (!strv_is(by, "key") && !strv_is(by, "value"))
        return jj_fail(rt, "you can only sort by either \"key\" or \"value\"");
    if (v[0].type == JJ_UNDEFINED) return jj_fail_undefined(rt, v[0]);
    if (v[0].type != JJ_DICT) return jj_fail(rt, "dictsort wants a mapping");
    d = v[0].u.d;
    keys = jj_array(rt, d->n + 1, sizeof *keys);
    for (size_t i = 0; keys && i < d->n; i++)
        keys[i] = (keyed){
            ignore_case(rt, strv_is(by, "key") ? d->e[i].key : d->e[i].value, jj_truth(v[1])),
            jj_pair(rt, d->e[i].key, d->e[i].value)};
    if (!keys || !jj_ok(rt)) return jj_none();
    return jj_list_value(rt, sorted(rt, keys, d->n, reverse != 0));
}

static jv group(jj_rt *rt, jv grouper, jj_list *items)
{
    jv pair = jj_pair(rt, grouper, jj_list_value(rt, items));
    if (jj_ok(rt)) pair.u.l->grouped = 1;
    return pair;
}

jv jj_filter_groupby(jj_rt *rt, const jj_args *args)
{
    jv v[4];
    jj_list *items, *out = jj_list_new(rt, 0), *same = NULL;
    keyed *keys;
    jv last = jj_missing();
    int sensitive;
    if (!jj_bind(rt, "groupby", "value,attribute,default,case_sensitive", 2, args, v))
        return jj_none();
    sensitive = jj_truth(v[3]);
    items = jj_collect(rt, v[0]);
    keys = items ? jj_array(rt, items->n + 1, sizeof *keys) : NULL;
    for (size_t i = 0; keys && i < items->n && jj_ok(rt); i++)
        keys[i] =
            (keyed){ignore_case(rt, jj_path(rt, items->v[i], v[1], v[2]), sensitive), items->v[i]};
    if (!keys || !jj_ok(rt) || !sorted(rt, keys, items->n, 0)) return jj_none();
    for (size_t i = 0; i < items->n && jj_ok(rt); i++) {
        if (!same || !jj_equal(rt, keys[i].key, last)) {
            same = jj_list_new(rt, 0);
            last = keys[i].key;
            jj_push(rt, out,
                    group(rt, sensitive ? last : jj_path(rt, keys[i].item, v[1], v[2]), same));
        }
        jj_push(rt, same, keys[i].item);
    }
    return jj_list_value(rt, out);
}

static jv extreme(jj_rt *rt, const jj_args *args, const char *name, int largest)
{
    jv v[3], item, best, best_key, key;
    jj_iter *it;
    if (!jj_bind(rt, name, "value,case_sensitive,attribute", 1, args, v)) return jj_none();
    it = jj_iterate(rt, v[0]);
    if (!jj_next(rt, it, &best)) return jj_undefined(rt, "No aggregated item, sequence was empty.");
    best_key = ignore_case(rt, jj_path(rt, best, v[2], jj_missing()), jj_truth(v[1]));
    while (jj_next(rt, it, &item)) {
        key = ignore_case(rt, jj_path(rt, item, v[2], jj_missing()), jj_truth(v[1]));
        if (largest ? jj_compare(rt, key, best_key, ">") > 0
                    : jj_compare(rt, key, best_key, "<") < 0) {
            best = item;
            best_key = key;
        }
    }
    return best;
}

jv jj_filter_min(jj_rt *rt, const jj_args *args) { return extreme(rt, args, "min", 0); }
jv jj_filter_max(jj_rt *rt, const jj_args *args) { return extreme(rt, args, "max", 1); }

/* ---- whole sequences ---- */

jv jj_filter_first(jj_rt *rt, const jj_args *args)
{
    jv v[1], item;
    if (!jj_bind(rt, "first", "seq", 1, args, v)) return jj_none();
    if (jj_next(rt, jj_iterate(rt, v[0]), &item)) return item;
    return jj_undefined(rt, "No first item, sequence was empty.");
}

jv jj_filter_last(jj_rt *rt, const jj_args *args)
{
    jv v[1], item, back;
    int can;
    if (!jj_bind(rt, "last", "seq", 1, args, v)) return jj_none();
    back = jj_reversed(rt, v[0], &can);
    if (!can) return jj_fail(rt, "'%s' object is not reversible", jj_type_name(v[0]));
    if (jj_ok(rt) && jj_next(rt, back.u.iter, &item)) return item;
    return jj_undefined(rt, "No last item, sequence was empty.");
}

jv jj_filter_list(jj_rt *rt, const jj_args *args)
{
    jv v[1];
    if (!jj_bind(rt, "list", "value", 1, args, v)) return jj_none();
    return jj_list_value(rt, jj_collect(rt, v[0]));
}

jv jj_filter_reverse(jj_rt *rt, const jj_args *args)
{
    jv v[1], out;
    jj_list *l;
    int can;
    if (!jj_bind(rt, "reverse", "value", 1, args, v)) return jj_none();
    if (jj_is_str(v[0])) return jj_slice(rt, v[0], jj_none(), jj_none(), jj_int(-1));
    out = jj_reversed(rt, v[0], &can);
    if (can) return out;
    l = jj_collect(rt, v[0]);
    for (size_t i = 0, k = l ? l->n : 0; i + 1 < k; i++) {
        jv swap = l->v[i];
        l->v[i] = l->v[--k];
        l->v[k] = swap;
    }
    return jj_list_value(rt, l);
}

jv jj_filter_join(jj_rt *rt, const jj_args *args)
{
    jv v[3], item, d;
    buf b = {0};
    jj_list *items;
    int markup = 0;
    if (!jj_bind(rt, "join", "value,d,attribute", 1, args, v)) return jj_none();
    d = v[1].type == JJ_MISSING ? jj_borrow(rt, (strv){0}) : jj_soft_str(rt, v[1]);
    items = jj_collect(rt, v[0]);
    for (size_t i = 0; items && i < items->n && v[2].type != JJ_MISSING && jj_ok(rt); i++)
        items->v[i] = jj_path(rt, items->v[i], v[2], jj_missing());
    if (!items || !jj_ok(rt)) return jj_none();
    if (rt->autoescape) {
        markup = d.u.s->markup;
        for (size_t i = 0; i < items->n; i++)
            markup |= jj_is_str(items->v[i]) && items->v[i].u.s->markup;
    }
    for (size_t i = 0; i < items->n && jj_room(rt, b.n, 1); i++) {
        item = items->v[i];
        if (i && markup)
            jj_write_escaped(rt, &b, d);
        else if (i)
            jj_put(rt, &b, jj_strv(d));
        if (markup)
            jj_write_escaped(rt, &b, item);
        else
            jj_write_str(rt, &b, item);
    }
    return markup ? jj_marked(rt, jj_take(rt, &b)) : jj_take(rt, &b);
}

jv jj_filter_sum(jj_rt *rt, const jj_args *args)
{
    jv v[3], item, total;
    jj_iter *it;
    if (!jj_bind(rt, "sum", "iterable,attribute,start", 1, args, v)) return jj_none();
    total = v[2].type == JJ_MISSING ? jj_int(0) : v[2];
    if (jj_is_str(total)) return jj_fail(rt, "sum() can't sum strings");
    it = jj_iterate(rt, v[0]);
    while (jj_next(rt, it, &item))
        total = jj_binary(rt, JJ_ADD, total, jj_path(rt, item, v[1], jj_missing()));
    return total;
}

/* ---- generators ---- */

typedef struct pipe {
    jv source;
    jv args[4];
    jj_args rest; /* map, select: the arguments as they came */
    jj_iter *items;
    jj_dict *seen;
    jj_list *list;
    size_t at, offset;
    int begun, ended, reject, by_attribute;
} pipe;

static pipe *pipe_new(jj_rt *rt, jv source)
{
    pipe *p = jj_alloc(rt, sizeof *p);
    if (p) p->source = source;
    return p;
}

/* The arguments from the nth on, with the named ones. */
static jj_args args_from(const jj_args *args, size_t n)
{
    jj_args rest = *args;
    if (n > rest.n) n = rest.n;
    rest.v += n;
    rest.n -= n;
    return rest;
}

static jv with_source(jj_rt *rt, const jj_args *args, jj_generate next, int reject, int attribute)
{
    pipe *p;
    if (!args->n) return jj_fail(rt, "the filter is missing its value");
    p = pipe_new(rt, args->v[0]);
    if (!p) return jj_none();
    p->rest = args_from(args, 1);
    p->reject = reject;
    p->by_attribute = attribute;
    return jj_generator(rt, next, p);
}

jv jj_call_filter(jj_rt *rt, jv name, jv value, const jj_args *rest)
{
    const jj_function *fn = jj_is_str(name) ? jj_filter_find(jj_strv(name)) : NULL;
    jj_args args = *rest;
    if (!fn) return jj_fail(rt, "there is no such filter");
    args.n++;
    args.v = jj_array(rt, args.n, sizeof *args.v);
    if (!args.v) return jj_none();
    args.v[0] = value;
    if (rest->n) memcpy(args.v + 1, rest->v, rest->n * sizeof *args.v);
    return fn->call(rt, &args);
}

int jj_call_test(jj_rt *rt, jv name, jv value, const jj_args *rest)
{
    const jj_function *fn = jj_is_str(name) ? jj_test_find(jj_strv(name)) : NULL;
    jj_args args = *rest;
    if (!fn) {
        jj_fail(rt, "there is no such test");
        return 0;
    }
    args.n++;
    args.v = jj_array(rt, args.n, sizeof *args.v);
    if (!args.v) return 0;
    args.v[0] = value;
    if (rest->n) memcpy(args.v + 1, rest->v, rest->n * sizeof *args.v);
    return jj_truth(fn->call(rt, &args)) && jj_ok(rt);
}

/* map's arguments: attribute= (and default=), or a filter's name. */
static void map_begin(jj_rt *rt, pipe *p)
{
    p->args[0] = p->args[1] = jj_missing();
    p->by_attribute = 0;
    for (size_t i = 0; !p->rest.n && i < p->rest.n_named; i++)
        if (strv_is(p->rest.names[i], "attribute")) p->by_attribute = 1;
    for (size_t i = 0; p->by_attribute && i < p->rest.n_named; i++) {
        if (strv_is(p->rest.names[i], "attribute"))
            p->args[0] = p->rest.named[i];
        else if (strv_is(p->rest.names[i], "default"))
            p->args[1] = p->rest.named[i];
        else
            jj_fail(rt, "unexpected keyword argument of map");
    }
    if (!p->by_attribute && !p->rest.n) jj_fail(rt, "map requires a filter argument");
}

static int begin(jj_rt *rt, pipe *p)
{
    if (p->begun) return jj_ok(rt) && !p->ended;
    p->begun = 1;
    if (!jj_truth(p->source)) {
        p->ended = 1;
        return 0;
    }
    return 1;
}

static int map_next(jj_rt *rt, void *state, jv *out)
{
    pipe *p = state;
    int first = !p->begun;
    jj_args rest;
    if (!begin(rt, p)) return 0;
    if (first) {
        map_begin(rt, p);
        p->items = jj_iterate(rt, p->source);
    }
    if (!jj_next(rt, p->items, out)) return 0;
    if (p->by_attribute) {
        *out = jj_path(rt, *out, p->args[0], p->args[1]);
        return 1;
    }
    rest = args_from(&p->rest, 1);
    *out = jj_call_filter(rt, p->rest.v[0], *out, &rest);
    return 1;
}

jv jj_filter_map(jj_rt *rt, const jj_args *args) { return with_source(rt, args, map_next, 0, 0); }

static int select_next(jj_rt *rt, void *state, jv *out)
{
    pipe *p = state;
    int first = !p->begun, is;
    size_t skip = p->by_attribute ? 1 : 0;
    jj_args rest;
    jv asked;
    if (!begin(rt, p)) return 0;
    if (first) {
        if (p->by_attribute && !p->rest.n) jj_fail(rt, "missing parameter for attribute name");
        p->items = jj_iterate(rt, p->source);
    }
    while (jj_next(rt, p->items, out)) {
        asked = p->by_attribute ? jj_path(rt, *out, p->rest.v[0], jj_missing()) : *out;
        if (!jj_ok(rt)) return 0;
        if (p->rest.n > skip) {
            rest = args_from(&p->rest, skip + 1);
            is = jj_call_test(rt, p->rest.v[skip], asked, &rest);
        } else
            is = jj_truth(asked);
        if (is != p->reject) return jj_ok(rt);
    }
    return 0;
}

jv jj_filter_select(jj_rt *rt, const jj_args *a) { return with_source(rt, a, select_next, 0, 0); }
jv jj_filter_reject(jj_rt *rt, const jj_args *a) { return with_source(rt, a, select_next, 1, 0); }
jv jj_filter_selectattr(jj_rt *rt, const jj_args *a)
{
    return with_source(rt, a, select_next, 0, 1);
}
jv jj_filter_rejectattr(jj_rt *rt, const jj_args *a)
{
    return with_source(rt, a, select_next, 1, 1);
}

static int unique_next(jj_rt *rt, void *state, jv *out)
{
    pipe *p = state;
    if (!p->items) p->items = jj_iterate(rt, p->source);
    while (jj_next(rt, p->items, out)) {
        jv key = ignore_case(rt, jj_path(rt, *out, p->args[1], jj_missing()), jj_truth(p->args[0]));
        size_t before = p->seen->n;
        jj_dict_set(rt, p->seen, key, jj_none());
        if (p->seen->n > before) return 1;
    }
    return 0;
}

jv jj_filter_unique(jj_rt *rt, const jj_args *args)
{
    jv v[3];
    pipe *p;
    if (!jj_bind(rt, "unique", "value,case_sensitive,attribute", 1, args, v)) return jj_none();
    p = pipe_new(rt, v[0]);
    if (!p) return jj_none();
    p->args[0] = v[1];
    p->args[1] = v[2];
    p->seen = jj_dict_new(rt);
    return jj_generator(rt, unique_next, p);
}

static int items_next(jj_rt *rt, void *state, jv *out)
{
    pipe *p = state;
    if (p->source.type == JJ_UNDEFINED) return 0;
    if (p->source.type != JJ_DICT) {
        jj_fail(rt, "can only get item pairs from a mapping");
        return 0;
    }
    if (p->at >= p->source.u.d->n) return 0;
    *out = jj_pair(rt, p->source.u.d->e[p->at].key, p->source.u.d->e[p->at].value);
    p->at++;
    return 1;
}

jv jj_filter_items(jj_rt *rt, const jj_args *args)
{
    jv v[1];
    if (!jj_bind(rt, "items", "value", 1, args, v)) return jj_none();
    return jj_generator(rt, items_next, pipe_new(rt, v[0]));
}

static int batch_next(jj_rt *rt, void *state, jv *out)
{
    pipe *p = state;
    jv item;
    int64_t size = 0;
    jj_list *l = p->list ? p->list : jj_list_new(rt, 0);
    if (p->ended) return 0;
    if (!p->items) p->items = jj_iterate(rt, p->source);
    p->list = NULL;
    while (jj_next(rt, p->items, &item)) {
        if (jj_equal(rt, jj_int((int64_t)l->n), p->args[0])) {
            p->list = jj_list_new(rt, 0);
            jj_push(rt, p->list, item);
            *out = jj_list_value(rt, l);
            return 1;
        }
        jj_push(rt, l, item);
    }
    p->ended = 1;
    if (!jj_ok(rt) || !l || !l->n) return 0;
    if (p->args[1].type != JJ_NONE && p->args[1].type != JJ_MISSING &&
        jj_compare(rt, jj_int((int64_t)l->n), p->args[0], "<") < 0) {
        if (!jj_arg_int(rt, "linecount", p->args[0], &size)) return 0;
        while ((int64_t)l->n < size && jj_step(rt, 1))
            jj_push(rt, l, p->args[1]);
    }
    *out = jj_list_value(rt, l);
    return 1;
}

jv jj_filter_batch(jj_rt *rt, const jj_args *args)
{
    jv v[3];
    pipe *p;
    if (!jj_bind(rt, "batch", "value,linecount,fill_with", 2, args, v)) return jj_none();
    p = pipe_new(rt, v[0]);
    if (!p) return jj_none();
    p->args[0] = v[1];
    p->args[1] = v[2];
    return jj_generator(rt, batch_next, p);
}

static int slice_next(jj_rt *rt, void *state, jv *out)
{
    pipe *p = state;
    int64_t slices = 0;
    size_t each, extra, start, end;
    jj_list *l;
    if (!p->list) p->list = jj_collect(rt, p->source);
    if (!p->list || !jj_arg_int(rt, "slices", p->args[0], &slices)) return 0;
    if (!slices) jj_fail(rt, "division by zero");
    if (slices <= 0 || (int64_t)p->at >= slices) return 0;
    each = p->list->n / (size_t)slices;
    extra = p->list->n % (size_t)slices;
    start = p->offset + p->at * each;
    if (p->at < extra) p->offset++;
    end = p->offset + (p->at + 1) * each;
    l = jj_list_new(rt, end - start + 1);
    for (size_t i = start; i < end && jj_step(rt, 1); i++)
        jj_push(rt, l, p->list->v[i]);
    if (p->args[1].type != JJ_NONE && p->args[1].type != JJ_MISSING && p->at >= extra)
        jj_push(rt, l, p->args[1]);
    p->at++;
    *out = jj_list_value(rt, l);
    return 1;
}

jv jj_filter_slice(jj_rt *rt, const jj_args *args)
{
    jv v[3];
    pipe *p;
    if (!jj_bind(rt, "slice", "value,slices,fill_with", 2, args, v)) return jj_none();
    p = pipe_new(rt, v[0]);
    if (!p) return jj_none();
    p->args[0] = v[1];
    p->args[1] = v[2];
    return jj_generator(rt, slice_next, p);
}
