/* eval.c: evaluates expressions.
 *
 * Invariant: rt->where is the node being evaluated, and after a failure the innermost one that
 *            failed, for the message. Evaluation order is the reference's: left to right, arguments
 *            before the call, `and` and `or` give the value that decided.
 * Traps: comparisons chain and evaluate each operand once. A conditional without else gives an
 *        undefined value. A filter's arguments are evaluated after its operand. */
#include "text/template/text.h"
#include "text/template/tree.h"

#include <math.h>

jv *jj_slot_of(jj_frame *f, jj_slot s)
{
    while (s.hops--)
        f = f->parent;
    return f->slots + s.at;
}

static jv eval_name(jj_rt *rt, jj_frame *f, const jj_node *n)
{
    jv v = *jj_slot_of(f, n->slot);
    return v.type == JJ_MISSING ? jj_undefined_name(rt, NULL, n->name) : v;
}

static jj_list *eval_list(jj_rt *rt, jj_frame *f, const jj_nodes *items)
{
    jj_list *l = jj_list_new(rt, items->n);
    for (size_t i = 0; i < items->n && jj_ok(rt); i++)
        jj_push(rt, l, jj_eval(rt, f, items->p[i]));
    return l;
}

static jv eval_dict(jj_rt *rt, jj_frame *f, const jj_node *n)
{
    jj_dict *d = jj_dict_new(rt);
    for (size_t i = 0; i < n->x.n && jj_ok(rt); i++) {
        jv key = jj_eval(rt, f, n->x.p[i]);
        jj_dict_set(rt, d, key, jj_eval(rt, f, n->y.p[i]));
    }
    return jj_dict_value(rt, d);
}

static int compare(jj_rt *rt, int op, jv a, jv b)
{
    switch (op) {
    case CMP_EQ:
        return jj_equal(rt, a, b);
    case CMP_NE:
        return !jj_equal(rt, a, b);
    case CMP_GT:
        return jj_compare(rt, a, b, ">") > 0;
    case CMP_GE:
        return jj_compare(rt, a, b, ">=") >= 0;
    case CMP_LT:
        return jj_compare(rt, a, b, "<") < 0;
    case CMP_LE:
        return jj_compare(rt, a, b, "<=") <= 0;
    case CMP_IN:
        return jj_contains(rt, a, b);
    default:
        return !jj_contains(rt, a, b);
    }
}

static jv eval_compare(jj_rt *rt, jj_frame *f, const jj_node *n)
{
    jv a = jj_eval(rt, f, n->a);
    for (size_t i = 0; i < n->x.n && jj_ok(rt); i++) {
        jv b = jj_eval(rt, f, n->x.p[i]->a);
        if (!jj_ok(rt) || !compare(rt, n->x.p[i]->op, a, b)) return jj_bool(0);
        a = b;
    }
    return jj_bool(1);
}

static jv eval_concat(jj_rt *rt, jj_frame *f, const jj_node *n)
{
    int escaping = n->escape == ESCAPE_ON; /* not where only the rendering knows: a str there */
    jj_list *parts = eval_list(rt, f, &n->x);
    int markup = 0;
    buf b = {0};
    if (!parts || !jj_ok(rt)) return jj_none();
    for (size_t i = 0; escaping && n->flag != CONCAT_CONSTANT && i < parts->n; i++)
        markup |= jj_is_str(parts->v[i]) && parts->v[i].u.s->markup;
    if (markup && n->flag == CONCAT_UNCLEAR)
        return jj_fail(rt, "joining constants with an 'and', 'or' or 'if' of constants is not "
                           "supported under autoescape");
    for (size_t i = 0; i < parts->n; i++) {
        if (markup)
            jj_write_escaped(rt, &b, parts->v[i]);
        else
            jj_write_str(rt, &b, parts->v[i]);
    }
    return markup ? jj_marked(rt, jj_take(rt, &b)) : jj_take(rt, &b);
}

static jv eval_getitem(jj_rt *rt, jj_frame *f, const jj_node *n)
{
    jv v = jj_eval(rt, f, n->a), part[3];
    const jj_node *s = n->b;
    if (s->kind != N_SLICE) return jj_getitem(rt, v, jj_eval(rt, f, s));
    part[0] = s->a ? jj_eval(rt, f, s->a) : jj_none();
    part[1] = s->b ? jj_eval(rt, f, s->b) : jj_none();
    part[2] = s->c ? jj_eval(rt, f, s->c) : jj_none();
    if (n->flag && jj_ok(rt) && !jj_can_slice(v, part))
        return jj_undefined_name(rt, jj_type_name(v), STRV("[...]"));
    return jj_slice(rt, v, part[0], part[1], part[2]);
}

static void add_named(jj_rt *rt, jj_args *args, size_t cap, strv name, jv v)
{
    if (!jj_step(rt, args->n_named / 8)) return;
    for (size_t i = 0; i < args->n_named; i++)
        if (strv_eq(args->names[i], name)) {
            jj_fail(rt, "got two values for the argument '%.*s'", (int)name.n, name.p);
            return;
        }
    if (args->n_named >= cap) return;
    args->names[args->n_named] = name;
    args->named[args->n_named++] = v;
}

/* Arguments of a call node. caller: a call block's, which goes before **; NULL: none. */
static int eval_args(jj_rt *rt, jj_frame *f, const jj_node *n, const jv *caller, jj_args *args)
{
    jj_list *list = jj_list_new(rt, n->x.n);
    jj_dict *more = NULL;
    size_t cap;
    for (size_t i = 0; i < n->x.n && jj_ok(rt); i++)
        jj_push(rt, list, jj_eval(rt, f, n->x.p[i]));
    if (n->b && jj_ok(rt)) {
        jv item;
        jj_iter *it = jj_iterate(rt, jj_eval(rt, f, n->b));
        while (jj_next(rt, it, &item))
            jj_push(rt, list, item);
    }
    *args = (jj_args){0};
    cap = n->y.n + (caller != NULL);
    if (cap || n->c) {
        jv *values = jj_array(rt, cap ? cap : 1, sizeof *values);
        strv *names = jj_array(rt, cap ? cap : 1, sizeof *names);
        if (!values || !names) return 0;
        args->named = values;
        args->names = names;
        for (size_t i = 0; i < n->y.n && jj_ok(rt); i++)
            add_named(rt, args, cap, n->y.p[i]->name, jj_eval(rt, f, n->y.p[i]->a));
        if (caller) add_named(rt, args, cap, STRV("caller"), *caller);
    }
    if (n->c && jj_ok(rt)) {
        jv v = jj_eval(rt, f, n->c);
        if (v.type != JJ_DICT && jj_ok(rt))
            jj_fail(rt, "argument after ** must be a mapping, not %s", jj_type_name(v));
        if (!jj_ok(rt)) return 0;
        more = v.u.d;
        if (more->n) {
            jv *values = jj_array(rt, cap + more->n, sizeof *values);
            strv *names = jj_array(rt, cap + more->n, sizeof *names);
            if (!values || !names) return 0;
            if (args->n_named) {
                memcpy(values, args->named, args->n_named * sizeof *values);
                memcpy(names, args->names, args->n_named * sizeof *names);
            }
            args->named = values;
            args->names = names;
            cap += more->n;
        }
        for (size_t i = 0; i < more->n && jj_ok(rt); i++) {
            if (!jj_is_str(more->e[i].key))
                jj_fail(rt, "keywords must be strings");
            else
                add_named(rt, args, cap, jj_strv(more->e[i].key), more->e[i].value);
        }
    }
    if (!list || !jj_ok(rt)) return 0;
    args->v = list->v;
    args->n = list->n;
    return 1;
}

static jv eval_call(jj_rt *rt, jj_frame *f, const jj_node *n)
{
    jv fn = jj_eval(rt, f, n->a);
    jj_args args;
    if (!jj_ok(rt) || !eval_args(rt, f, n, NULL, &args)) return jj_none();
    return jj_call(rt, fn, &args);
}

jv jj_eval_call_with(jj_rt *rt, jj_frame *f, const jj_node *n, jv caller)
{
    jv fn = jj_eval(rt, f, n->a);
    jj_args args;
    if (!jj_ok(rt) || !eval_args(rt, f, n, &caller, &args)) return jj_none();
    return jj_call(rt, fn, &args);
}

/* A filter or test: its operand goes before the other arguments. */
static jv apply(jj_rt *rt, jj_frame *f, const jj_node *n, jv operand)
{
    jj_args args;
    jv *v;
    if (!n->fn)
        return jj_fail(rt, "there is no %s '%.*s'", n->kind == N_FILTER ? "filter" : "test",
                       (int)(n->name.n < 80 ? n->name.n : 80), n->name.p);
    if (!jj_ok(rt) || !eval_args(rt, f, n, NULL, &args)) return jj_none();
    v = jj_array(rt, args.n + 1, sizeof *v);
    if (!v) return jj_none();
    v[0] = operand;
    if (args.n) memcpy(v + 1, args.v, args.n * sizeof *v);
    args.v = v;
    args.n++;
    return n->fn->call(rt, &args);
}

jv jj_eval_filter_on(jj_rt *rt, jj_frame *f, const jj_node *n, jv value)
{
    const jj_node *back = rt->where;
    if (n->a) value = jj_eval_filter_on(rt, f, n->a, value);
    if (!jj_ok(rt)) return jj_none();
    rt->where = n;
    value = apply(rt, f, n, value);
    if (jj_ok(rt)) rt->where = back;
    return value;
}

static jv eval_logic(jj_rt *rt, jj_frame *f, const jj_node *n)
{
    jv v = jj_eval(rt, f, n->a);
    if (!jj_ok(rt)) return v;
    if (n->kind == N_COND) {
        if (jj_truth(v)) return jj_eval(rt, f, n->b);
        if (n->c) return jj_eval(rt, f, n->c);
        return jj_undefined(rt, "the inline if-expression evaluated to false and no else section "
                                "was defined");
    }
    return jj_truth(v) == (n->kind == N_AND) ? jj_eval(rt, f, n->b) : v;
}

static jv eval_node(jj_rt *rt, jj_frame *f, const jj_node *n)
{
    jv a, b;
    switch (n->kind) {
    case N_CONST:
        return n->v;
    case N_NAME:
        return eval_name(rt, f, n);
    case N_TUPLE:
        return jj_tuple_value(rt, eval_list(rt, f, &n->x));
    case N_LIST:
        return jj_list_value(rt, eval_list(rt, f, &n->x));
    case N_DICT:
        return eval_dict(rt, f, n);
    case N_COND:
    case N_AND:
    case N_OR:
        return eval_logic(rt, f, n);
    case N_BINARY:
        a = jj_eval(rt, f, n->a);
        b = jj_eval(rt, f, n->b);
        return jj_binary(rt, (jj_op)n->op, a, b);
    case N_NEG:
        return jj_negate(rt, jj_eval(rt, f, n->a));
    case N_POS:
        return jj_plus(rt, jj_eval(rt, f, n->a));
    case N_NOT:
        return jj_bool(!jj_truth(jj_eval(rt, f, n->a)));
    case N_COMPARE:
        return eval_compare(rt, f, n);
    case N_CONCAT:
        return eval_concat(rt, f, n);
    case N_GETATTR:
        return jj_getattr(rt, jj_eval(rt, f, n->a), jj_strv(n->v));
    case N_GETITEM:
        return eval_getitem(rt, f, n);
    case N_CALL:
        return eval_call(rt, f, n);
    case N_FILTER:
    case N_TEST:
        a = jj_eval(rt, f, n->a);
        return apply(rt, f, n, a);
    default:
        return jj_fail(rt, "this is no expression");
    }
}

/* 0: v is or holds an inf or nan. */
static int all_finite(jj_rt *rt, jv v)
{
    if (v.type == JJ_FLOAT) return isfinite(v.u.f);
    if (v.type == JJ_LIST || v.type == JJ_TUPLE) {
        if (!jj_step(rt, v.u.l->n / 8)) return 0;
        for (size_t i = 0; i < v.u.l->n; i++)
            if (!all_finite(rt, v.u.l->v[i])) return 0;
    } else if (v.type == JJ_DICT) {
        if (!jj_step(rt, v.u.d->n / 8)) return 0;
        for (size_t i = 0; i < v.u.d->n; i++)
            if (!all_finite(rt, v.u.d->e[i].key) || !all_finite(rt, v.u.d->e[i].value)) return 0;
    }
    return 1;
}

jv jj_eval(jj_rt *rt, jj_frame *f, const jj_node *n)
{
    const jj_node *back = rt->where;
    jv v;
    if (!jj_step(rt, 1)) return jj_none();
    if (n->kind == N_CONST && !n->frozen) return n->v;
    if (n->kind == N_NAME) return eval_name(rt, f, n);
    if (!jj_enter(rt)) return jj_none();
    rt->where = n;
    v = eval_node(rt, f, n);
    jj_leave(rt);
    if (n->frozen && jj_ok(rt) && !all_finite(rt, v) && jj_ok(rt))
        jj_fail(rt, "a constant is too large for a float: inf and nan have no name in templates");
    if (!jj_ok(rt)) return jj_none();
    rt->where = back;
    return v;
}
