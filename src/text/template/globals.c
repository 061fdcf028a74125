/* globals.c: the tests of `is` and the global functions.
 *
 * Source: jinja2 3.1.6 tests.py, sandbox.py (range of at most 100,000 items); transformers' own
 *         globals raise_exception, strftime_now, dict, namespace.
 * Traps: `number` holds for booleans, `integer` does not. An undefined value is a sequence and
 *        callable, as its Python class is. */
#include "text/template/filters.h"
#include "text/template/text.h"

enum { MAX_RANGE = 100000 };

/* ---- tests ---- */

static int one(jj_rt *rt, const char *name, const jj_args *args, jv *v)
{
    return jj_bind(rt, name, "value", 1, args, v);
}

static int two(jj_rt *rt, const char *name, const jj_args *args, jv *v)
{
    return jj_bind(rt, name, "/a,b", 2, args, v);
}

static jv remainder_is(jj_rt *rt, jv value, jv by, int64_t want)
{
    jv rest = jj_binary(rt, JJ_MOD, value, by);
    return jj_bool(jj_equal(rt, rest, jj_int(want)));
}

static jv t_odd(jj_rt *rt, const jj_args *args)
{
    jv v[1];
    return one(rt, "odd", args, v) ? remainder_is(rt, v[0], jj_int(2), 1) : jj_none();
}

static jv t_even(jj_rt *rt, const jj_args *args)
{
    jv v[1];
    return one(rt, "even", args, v) ? remainder_is(rt, v[0], jj_int(2), 0) : jj_none();
}

static jv t_divisibleby(jj_rt *rt, const jj_args *args)
{
    jv v[2];
    return jj_bind(rt, "divisibleby", "value,num", 2, args, v) ? remainder_is(rt, v[0], v[1], 0)
                                                               : jj_none();
}

static jv t_defined(jj_rt *rt, const jj_args *args)
{
    jv v[1];
    return one(rt, "defined", args, v) ? jj_bool(v[0].type != JJ_UNDEFINED) : jj_none();
}

static jv t_undefined(jj_rt *rt, const jj_args *args)
{
    jv v[1];
    return one(rt, "undefined", args, v) ? jj_bool(v[0].type == JJ_UNDEFINED) : jj_none();
}

static jv name_known(jj_rt *rt, jv name, const jj_function *(*find)(strv name))
{
    uint64_t h;
    if (!jj_hash(rt, name, &h)) return jj_fail(rt, "unhashable type: '%s'", jj_type_name(name));
    return jj_bool(jj_is_str(name) && find(jj_strv(name)));
}

static jv t_filter(jj_rt *rt, const jj_args *args)
{
    jv v[1];
    return one(rt, "filter", args, v) ? name_known(rt, v[0], jj_filter_find) : jj_none();
}

static jv t_test(jj_rt *rt, const jj_args *args)
{
    jv v[1];
    return one(rt, "test", args, v) ? name_known(rt, v[0], jj_test_find) : jj_none();
}

static jv t_none(jj_rt *rt, const jj_args *args)
{
    jv v[1];
    return one(rt, "none", args, v) ? jj_bool(v[0].type == JJ_NONE) : jj_none();
}

static jv t_boolean(jj_rt *rt, const jj_args *args)
{
    jv v[1];
    return one(rt, "boolean", args, v) ? jj_bool(v[0].type == JJ_BOOL) : jj_none();
}

static jv t_true(jj_rt *rt, const jj_args *args)
{
    jv v[1];
    return one(rt, "true", args, v) ? jj_bool(v[0].type == JJ_BOOL && v[0].u.b) : jj_none();
}

static jv t_false(jj_rt *rt, const jj_args *args)
{
    jv v[1];
    return one(rt, "false", args, v) ? jj_bool(v[0].type == JJ_BOOL && !v[0].u.b) : jj_none();
}

static jv t_integer(jj_rt *rt, const jj_args *args)
{
    jv v[1];
    return one(rt, "integer", args, v) ? jj_bool(v[0].type == JJ_INT || v[0].type == JJ_BIG)
                                       : jj_none();
}

static jv t_float(jj_rt *rt, const jj_args *args)
{
    jv v[1];
    return one(rt, "float", args, v) ? jj_bool(v[0].type == JJ_FLOAT) : jj_none();
}

static jv t_number(jj_rt *rt, const jj_args *args)
{
    jv v[1];
    return one(rt, "number", args, v) ? jj_bool(jj_is_number(v[0]) || v[0].type == JJ_BIG)
                                      : jj_none();
}

static jv t_string(jj_rt *rt, const jj_args *args)
{
    jv v[1];
    return one(rt, "string", args, v) ? jj_bool(jj_is_str(v[0])) : jj_none();
}

static jv t_mapping(jj_rt *rt, const jj_args *args)
{
    jv v[1];
    return one(rt, "mapping", args, v) ? jj_bool(v[0].type == JJ_DICT) : jj_none();
}

static jv t_sequence(jj_rt *rt, const jj_args *args)
{
    jv v[1];
    if (!one(rt, "sequence", args, v)) return jj_none();
    switch (v[0].type) {
    case JJ_UNDEFINED:
    case JJ_STR:
    case JJ_LIST:
    case JJ_TUPLE:
    case JJ_DICT:
    case JJ_RANGE:
        return jj_bool(1);
    default:
        return jj_bool(0);
    }
}

static jv t_iterable(jj_rt *rt, const jj_args *args)
{
    jv v[1];
    return one(rt, "iterable", args, v) ? jj_bool(jj_iterable(v[0]) || v[0].type == JJ_SELF)
                                        : jj_none();
}

static jv t_callable(jj_rt *rt, const jj_args *args)
{
    jv v[1];
    return jj_bind(rt, "callable", "/obj", 1, args, v) ? jj_bool(jj_callable(v[0])) : jj_none();
}

static jv t_escaped(jj_rt *rt, const jj_args *args)
{
    jv v[1];
    if (!one(rt, "escaped", args, v)) return jj_none();
    if (v[0].type == JJ_UNDEFINED) return jj_bool(0);
    return jj_bool(jj_is_str(v[0]) && v[0].u.s->markup);
}

static jv letter_case(jj_rt *rt, const char *name, const jj_args *args, int upper)
{
    jv v[1], s;
    if (!one(rt, name, args, v)) return jj_none();
    s = jj_str_of(rt, v[0]);
    return jj_ok(rt) ? jj_bool(jj_all_case(jj_strv(s), upper)) : jj_none();
}

static jv t_lower(jj_rt *rt, const jj_args *args) { return letter_case(rt, "lower", args, 0); }
static jv t_upper(jj_rt *rt, const jj_args *args) { return letter_case(rt, "upper", args, 1); }

static jv t_sameas(jj_rt *rt, const jj_args *args)
{
    jv v[2];
    return jj_bind(rt, "sameas", "value,other", 2, args, v) ? jj_bool(jj_same(v[0], v[1]))
                                                            : jj_none();
}

static jv t_in(jj_rt *rt, const jj_args *args)
{
    jv v[2];
    return jj_bind(rt, "in", "value,seq", 2, args, v) ? jj_bool(jj_contains(rt, v[0], v[1]))
                                                      : jj_none();
}

static jv t_eq(jj_rt *rt, const jj_args *args)
{
    jv v[2];
    return two(rt, "eq", args, v) ? jj_bool(jj_equal(rt, v[0], v[1])) : jj_none();
}

static jv t_ne(jj_rt *rt, const jj_args *args)
{
    jv v[2];
    return two(rt, "ne", args, v) ? jj_bool(!jj_equal(rt, v[0], v[1])) : jj_none();
}

static jv t_gt(jj_rt *rt, const jj_args *args)
{
    jv v[2];
    return two(rt, "gt", args, v) ? jj_bool(jj_compare(rt, v[0], v[1], ">") > 0) : jj_none();
}

static jv t_ge(jj_rt *rt, const jj_args *args)
{
    jv v[2];
    return two(rt, "ge", args, v) ? jj_bool(jj_compare(rt, v[0], v[1], ">=") >= 0) : jj_none();
}

static jv t_lt(jj_rt *rt, const jj_args *args)
{
    jv v[2];
    return two(rt, "lt", args, v) ? jj_bool(jj_compare(rt, v[0], v[1], "<") < 0) : jj_none();
}

static jv t_le(jj_rt *rt, const jj_args *args)
{
    jv v[2];
    return two(rt, "le", args, v) ? jj_bool(jj_compare(rt, v[0], v[1], "<=") <= 0) : jj_none();
}

static const jj_function TESTS[] = {
    {"odd", t_odd, NULL},
    {"even", t_even, NULL},
    {"divisibleby", t_divisibleby, NULL},
    {"defined", t_defined, NULL},
    {"undefined", t_undefined, NULL},
    {"filter", t_filter, NULL},
    {"test", t_test, NULL},
    {"none", t_none, NULL},
    {"boolean", t_boolean, NULL},
    {"false", t_false, NULL},
    {"true", t_true, NULL},
    {"integer", t_integer, NULL},
    {"float", t_float, NULL},
    {"lower", t_lower, NULL},
    {"upper", t_upper, NULL},
    {"string", t_string, NULL},
    {"mapping", t_mapping, NULL},
    {"number", t_number, NULL},
    {"sequence", t_sequence, NULL},
    {"iterable", t_iterable, NULL},
    {"callable", t_callable, NULL},
    {"sameas", t_sameas, NULL},
    {"escaped", t_escaped, NULL},
    {"in", t_in, NULL},
    {"==", t_eq, NULL},
    {"eq", t_eq, NULL},
    {"equalto", t_eq, NULL},
    {"!=", t_ne, NULL},
    {"ne", t_ne, NULL},
    {">", t_gt, NULL},
    {"gt", t_gt, NULL},
    {"greaterthan", t_gt, NULL},
    {">=", t_ge, NULL},
    {"ge", t_ge, NULL},
    {"<", t_lt, NULL},
    {"lt", t_lt, NULL},
    {"lessthan", t_lt, NULL},
    {"<=", t_le, NULL},
    {"le", t_le, NULL},
};

const jj_function *jj_test_find(strv name)
{
    for (size_t i = 0; i < sizeof TESTS / sizeof *TESTS; i++)
        if (strv_is(name, TESTS[i].name)) return TESTS + i;
    return NULL;
}

/* ---- functions ---- */

static jv g_range(jj_rt *rt, const jj_args *args)
{
    jv v[3], out;
    int64_t a = 0, b = 0, step = 1;
    if (!jj_bind(rt, "range", "/start,stop,step", 1, args, v) ||
        !jj_arg_int(rt, "range()'s start", v[0], &a) ||
        !jj_arg_int(rt, "range()'s stop", v[1], &b) ||
        !jj_arg_int(rt, "range()'s step", v[2], &step))
        return jj_none();
    if (v[1].type == JJ_MISSING) {
        b = a;
        a = 0;
    }
    if (!step) return jj_fail(rt, "range() arg 3 must not be zero");
    out = jj_range_new(rt, a, b, step);
    if (jj_ok(rt) && out.u.range->n > MAX_RANGE)
        return jj_fail(rt, "range too big, want at most %d items", MAX_RANGE);
    return out;
}

/* dict(mapping or pairs, name=value, ...) */
static jj_dict *dict_of(jj_rt *rt, const char *fn, const jj_args *args)
{
    jj_dict *d = jj_dict_new(rt);
    jv item;
    if (args->n > 1) jj_fail(rt, "%s() takes at most one argument, got %zu", fn, args->n);
    if (args->n == 1 && args->v[0].type == JJ_UNDEFINED) jj_fail_undefined(rt, args->v[0]);
    if (args->n == 1 && args->v[0].type == JJ_DICT) {
        const jj_dict *from = args->v[0].u.d;
        for (size_t i = 0; i < from->n && jj_ok(rt); i++)
            jj_dict_set(rt, d, from->e[i].key, from->e[i].value);
    } else if (args->n == 1 && jj_ok(rt)) {
        jj_iter *it = jj_iterate(rt, args->v[0]);
        while (jj_next(rt, it, &item)) {
            jj_list *pair = jj_collect(rt, item);
            if (pair && pair->n != 2) jj_fail(rt, "%s() wants pairs", fn);
            if (pair && jj_ok(rt)) jj_dict_set(rt, d, pair->v[0], pair->v[1]);
        }
    }
    for (size_t i = 0; i < args->n_named && jj_ok(rt); i++)
        jj_dict_set(rt, d, jj_borrow(rt, args->names[i]), args->named[i]);
    return jj_ok(rt) ? d : NULL;
}

static jv g_dict(jj_rt *rt, const jj_args *args)
{
    return jj_dict_value(rt, dict_of(rt, "dict", args));
}

static jv g_namespace(jj_rt *rt, const jj_args *args)
{
    jj_dict *d = dict_of(rt, "namespace", args);
    for (size_t i = 0; d && i < d->n; i++)
        if (jj_is_str(d->e[i].key) && strv_starts(jj_strv(d->e[i].key), STRV("_")))
            return jj_fail(rt, "a namespace cannot hold attributes that begin with '_'");
    return d ? (jv){JJ_NAMESPACE, {.d = d}} : jj_none();
}

static jv g_cycler(jj_rt *rt, const jj_args *args)
{
    jj_cycler *c = jj_alloc(rt, sizeof *c);
    if (args->n_named) return jj_fail(rt, "cycler() takes no keyword arguments");
    if (!args->n) return jj_fail(rt, "at least one item has to be provided");
    if (!c) return jj_none();
    c->items = jj_list_new(rt, args->n);
    for (size_t i = 0; i < args->n; i++)
        jj_push(rt, c->items, args->v[i]);
    return jj_ok(rt) ? (jv){JJ_CYCLER, {.cycler = c}} : jj_none();
}

static jv g_joiner(jj_rt *rt, const jj_args *args)
{
    jv v[1];
    jj_joiner *j;
    if (!jj_bind(rt, "joiner", "sep", 0, args, v)) return jj_none();
    j = jj_alloc(rt, sizeof *j);
    if (!j) return jj_none();
    j->separator = v[0].type == JJ_MISSING ? jj_borrow(rt, STRV(", ")) : v[0];
    return (jv){JJ_JOINER, {.joiner = j}};
}

static jv g_raise_exception(jj_rt *rt, const jj_args *args)
{
    jv v[1], s;
    if (!jj_bind(rt, "raise_exception", "message", 1, args, v)) return jj_none();
    s = jj_str_of(rt, v[0]);
    if (!jj_ok(rt)) return s;
    return jj_fail(rt, "%.*s", (int)(s.u.s->n < 800 ? s.u.s->n : 800), s.u.s->p);
}

static jv g_strftime_now(jj_rt *rt, const jj_args *args)
{
    jv v[1];
    strv format = {0};
    buf b = {0};
    if (!jj_bind(rt, "strftime_now", "format", 1, args, v) ||
        !jj_arg_str(rt, "strftime_now()'s format", v[0], &format))
        return jj_none();
    jj_strftime(rt, &b, &rt->time, format);
    return jj_take(rt, &b);
}

static const jj_function GLOBALS[] = {
    {"range", g_range, NULL},
    {"dict", g_dict, NULL},
    {"namespace", g_namespace,
     "transformers.utils.chat_template_utils._cached_compile_jinja_template.<locals>."
     "TemplateNamespace"},
    {"cycler", g_cycler, "jinja2.utils.Cycler"},
    {"joiner", g_joiner, "jinja2.utils.Joiner"},
    {"lipsum", jj_lipsum, NULL},
    {"raise_exception", g_raise_exception, NULL},
    {"strftime_now", g_strftime_now, NULL},
};

const jj_function *jj_global_find(strv name)
{
    for (size_t i = 0; i < sizeof GLOBALS / sizeof *GLOBALS; i++)
        if (strv_is(name, GLOBALS[i].name)) return GLOBALS + i;
    return NULL;
}
