/* run.c: executes statements; frames, macros and loops.
 *
 * Owns: what each statement does with its scope. Bodies that make a text of their own (macros, set,
 * filter and call blocks) write into a buffer that stands in for the output meanwhile.
 *
 * Depth: a nested body, a macro's call and a recursive loop each count one level.
 * Traps: break inside a set or filter block leaves the block without its assignment or output. The
 *        else branch of a loop runs also when every round was left by continue or break before its
 *        end. A loop reads one item ahead only when asked for `last`, `nextitem` or `length`. */
#include "text/template/content.h"
#include "text/template/text.h"
#include "text/template/tree.h"

#include <inttypes.h>

/* ---- output ---- */

void jj_emit(jj_rt *rt, strv text)
{
    if (!jj_work(rt, text.n)) return;
    if (text.n > rt->output_left) {
        jj_limit(rt, "the template writes too much");
        return;
    }
    rt->output_left -= text.n;
    jj_put(rt, rt->out, text);
    if (!buf_ok(rt->out)) jj_no_memory(rt, rt->out->n);
}

static void emit_value(jj_rt *rt, jv v, int escaping)
{
    buf b = {0};
    if (!jj_ok(rt)) return;
    if (jj_is_str(v) && (!escaping || v.u.s->markup)) {
        jj_emit(rt, jj_strv(v));
        return;
    }
    if (escaping)
        jj_write_escaped(rt, &b, v);
    else
        jj_write_str(rt, &b, v);
    jj_emit(rt, buf_view(&b));
    if (!buf_ok(&b)) jj_no_memory(rt, b.n);
    if (rt->content) jj_content_drop(rt, &b);
    buf_deinit(&b);
}

/* Filter and call blocks write what they get: it has to be a text. */
static void emit_text(jj_rt *rt, jv v)
{
    if (!jj_ok(rt)) return;
    if (jj_is_str(v))
        jj_emit(rt, jj_strv(v));
    else
        jj_fail(rt, "the block gives a %s, want a text", jj_type_name(v));
}

jv jj_capture(jj_rt *rt, jj_frame *f, const jj_nodes *body, jj_flow *flow)
{
    buf b = {0}, *back = rt->out;
    rt->out = &b;
    *flow = jj_exec(rt, f, body);
    rt->out = back;
    return jj_take(rt, &b);
}

/* ---- frames and scopes ---- */

jj_frame *jj_frame_new(jj_rt *rt, jj_frame *parent, const jj_context *context, const jj_unit *unit)
{
    jj_frame *f = jj_alloc(rt, sizeof *f + unit->slots * sizeof(jv));
    if (!f) return NULL;
    f->parent = parent;
    f->context = context;
    return f;
}

jv jj_resolve_name(const jj_context *c, strv name)
{
    jj_entry *e = jj_dict_find_str(c->exported, name);
    const jj_function *fn;
    if (!e) e = jj_dict_find_str(c->vars, name);
    if (e) return e->value;
    fn = jj_global_find(name);
    return fn ? jj_function_value(fn) : jj_missing();
}

void jj_scope_enter(jj_frame *f, const jj_scope *s)
{
    for (size_t i = 0; i < s->n; i++) {
        const jj_load *l = s->loads + i;
        if (l->how == LOAD_RESOLVE)
            f->slots[l->at] = jj_resolve_name(f->context, l->name);
        else if (l->how == LOAD_ALIAS)
            f->slots[l->at] = *jj_slot_of(f, l->from);
        else if (l->how == LOAD_EMPTY)
            f->slots[l->at] = jj_missing();
    }
}

void jj_scope_leave(jj_frame *f, const jj_scope *s)
{
    for (size_t i = 0; i < s->n; i++)
        f->slots[s->loads[i].at] = jj_missing();
}

static void assign_items(jj_rt *rt, jj_frame *f, const jj_node *target, jv v)
{
    jj_iter *it = jj_iterate(rt, v);
    jj_list *items = jj_list_new(rt, target->x.n);
    jv item;
    while (items && items->n <= target->x.n && jj_next(rt, it, &item))
        jj_push(rt, items, item);
    if (!items || !jj_ok(rt)) return;
    if (items->n != target->x.n) {
        jj_fail(rt,
                items->n > target->x.n ? "too many values to unpack, want %zu"
                                       : "not enough values to unpack, want %zu",
                target->x.n);
        return;
    }
    for (size_t i = 0; i < items->n && jj_ok(rt); i++)
        jj_assign(rt, f, target->x.p[i], items->v[i]);
}

void jj_assign(jj_rt *rt, jj_frame *f, const jj_node *target, jv v)
{
    if (!jj_ok(rt)) return;
    if (target->kind == N_TUPLE) {
        assign_items(rt, f, target, v);
        return;
    }
    if (target->kind == N_NSREF) {
        jv ns = *jj_slot_of(f, target->slot);
        if (ns.type != JJ_NAMESPACE)
            jj_fail(rt, "cannot assign attribute on non-namespace object");
        else if (strv_starts(jj_strv(target->v), STRV("_")))
            jj_fail(rt, "a namespace cannot hold attributes that begin with '_'");
        else
            jj_dict_set(rt, ns.u.d, target->v, v);
        return;
    }
    *jj_slot_of(f, target->slot) = v;
    if (target->flag) jj_dict_set(rt, f->context->exported, jj_borrow(rt, target->name), v);
}

/* Namespace targets are checked before the value is made. */
static int targets_are_namespaces(jj_rt *rt, jj_frame *f, const jj_node *target)
{
    if (target->kind == N_NSREF && jj_slot_of(f, target->slot)->type != JJ_NAMESPACE) {
        jj_fail(rt, "cannot assign attribute on non-namespace object");
        return 0;
    }
    for (size_t i = 0; target->kind == N_TUPLE && i < target->x.n; i++)
        if (!targets_are_namespaces(rt, f, target->x.p[i])) return 0;
    return 1;
}

/* ---- macros ---- */

static jv macro_new(jj_rt *rt, jj_frame *f, const jj_node *n, strv name)
{
    jj_macro *m = jj_alloc(rt, sizeof *m);
    if (!m) return jj_none();
    m->node = n;
    m->frame = f;
    m->name = name;
    return (jv){JJ_MACRO, {.macro = m}};
}

static jv take_named(const jj_args *args, strv name, unsigned char *taken)
{
    for (size_t i = 0; i < args->n_named; i++)
        if (!taken[i] && strv_eq(args->names[i], name)) {
            taken[i] = 1;
            return args->named[i];
        }
    return jj_missing();
}

/* Puts the arguments that no parameter takes into kwargs and varargs, or refuses them. */
static void macro_rest(jj_rt *rt, jj_frame *f, const jj_macro *m, const jj_args *args,
                       unsigned char *taken)
{
    const jj_node *n = m->node;
    jj_dict *named = n->tracks & 2 ? jj_dict_new(rt) : NULL;
    jj_list *rest = n->tracks & 4 ? jj_list_new(rt, 0) : NULL;
    int len = (int)(m->name.n < 80 ? m->name.n : 80);
    for (size_t i = 0; i < args->n_named; i++) {
        if (taken[i]) continue;
        if (!named) {
            jj_fail(rt, "macro '%.*s' takes no keyword argument '%.*s'", len, m->name.p,
                    (int)(args->names[i].n < 80 ? args->names[i].n : 80), args->names[i].p);
            return;
        }
        jj_dict_set(rt, named, jj_borrow(rt, args->names[i]), args->named[i]);
    }
    if (!rest && args->n > n->y.n) {
        jj_fail(rt, "macro '%.*s' takes not more than %zu argument(s)", len, m->name.p, n->y.n);
        return;
    }
    for (size_t i = n->y.n; i < args->n; i++)
        jj_push(rt, rest, args->v[i]);
    if (named) f->slots[n->unit->special[1]] = jj_dict_value(rt, named);
    if (rest) f->slots[n->unit->special[2]] = jj_tuple_value(rt, rest);
}

static void macro_parameters(jj_rt *rt, jj_frame *f, const jj_macro *m, const jj_args *args)
{
    const jj_node *n = m->node;
    unsigned char *taken = jj_alloc(rt, args->n_named + 1);
    if (!taken || !jj_step(rt, n->y.n * (args->n_named / 8))) return;
    for (size_t i = 0; i < n->y.n; i++)
        f->slots[n->y.p[i]->slot.at] =
            i < args->n ? args->v[i] : take_named(args, n->y.p[i]->name, taken);
    if ((n->tracks & 1) && !n->flag) {
        jv caller = take_named(args, STRV("caller"), taken);
        if (caller.type == JJ_MISSING || caller.type == JJ_NONE)
            caller = jj_undefined(rt, "No caller defined");
        f->slots[n->unit->special[0]] = caller;
    }
    macro_rest(rt, f, m, args, taken);
    if (!jj_ok(rt)) return;
    jj_scope_enter(f, n->scope);
    for (size_t i = 0; i < n->y.n && jj_ok(rt); i++) {
        jv *slot = f->slots + n->y.p[i]->slot.at;
        size_t without = n->y.n - n->z.n;
        if (slot->type != JJ_MISSING) continue;
        *slot = i < without ? jj_undefined(rt, "a parameter was not provided")
                            : jj_eval(rt, f, n->z.p[i - without]);
        if (i < without && jj_ok(rt)) slot->u.undef->name = n->y.p[i]->name;
    }
}

jv jj_macro_call(jj_rt *rt, const jj_macro *m, const jj_args *args)
{
    int escaping = rt->autoescape;
    const jj_node *where = rt->where;
    jj_frame *f;
    jj_flow flow;
    jv text = jj_none();
    if (!jj_enter(rt)) return text;
    f = jj_frame_new(rt, m->frame, m->frame->context, m->node->unit);
    if (f) macro_parameters(rt, f, m, args);
    if (jj_ok(rt)) text = jj_capture(rt, f, &m->node->x, &flow);
    if (jj_ok(rt)) rt->where = where;
    jj_leave(rt);
    return escaping ? jj_marked(rt, text) : text;
}

/* ---- loops ---- */

jj_loop *jj_loop_new(jj_rt *rt, jv source, int64_t depth0)
{
    jj_loop *loop = jj_alloc(rt, sizeof *loop);
    if (!loop) return NULL;
    loop->items = jj_iterate(rt, source);
    loop->source = source;
    loop->index0 = -1;
    loop->depth0 = depth0;
    return jj_ok(rt) ? loop : NULL;
}

int jj_loop_next(jj_rt *rt, jj_loop *loop, jv *out)
{
    jv item;
    if (loop->has_after) {
        item = loop->after;
        loop->has_after = 0;
    } else if (!jj_next(rt, loop->items, &item))
        return 0;
    loop->has_before = loop->index0 >= 0;
    loop->before = loop->current;
    loop->current = item;
    loop->index0++;
    *out = item;
    return 1;
}

static int loop_peek(jj_rt *rt, jj_loop *loop)
{
    if (!loop->has_after) loop->has_after = jj_next(rt, loop->items, &loop->after);
    return loop->has_after;
}

static int64_t loop_length(jj_rt *rt, jj_loop *loop)
{
    jj_list *rest;
    jv item;
    if (loop->has_length) return (int64_t)loop->length;
    if (!jj_len(rt, loop->source, &loop->length)) {
        rest = jj_list_new(rt, 0);
        while (jj_next(rt, loop->items, &item))
            jj_push(rt, rest, item);
        if (!rest || !jj_ok(rt)) return 0;
        loop->items = jj_iter_list(rt, rest);
        loop->length = rest->n + (size_t)(loop->index0 + 1) + (loop->has_after ? 1 : 0);
    }
    loop->has_length = 1;
    return (int64_t)loop->length;
}

jv jj_loop_attribute(jj_rt *rt, jj_loop *loop, strv name, int *found)
{
    *found = 1;
    if (strv_is(name, "index")) return jj_int(loop->index0 + 1);
    if (strv_is(name, "index0")) return jj_int(loop->index0);
    if (strv_is(name, "first")) return jj_bool(loop->index0 == 0);
    if (strv_is(name, "last")) return jj_bool(!loop_peek(rt, loop));
    if (strv_is(name, "length")) return jj_int(loop_length(rt, loop));
    if (strv_is(name, "revindex")) return jj_int(loop_length(rt, loop) - loop->index0);
    if (strv_is(name, "revindex0")) return jj_int(loop_length(rt, loop) - loop->index0 - 1);
    if (strv_is(name, "depth")) return jj_int(loop->depth0 + 1);
    if (strv_is(name, "depth0")) return jj_int(loop->depth0);
    if (strv_is(name, "previtem"))
        return loop->has_before ? loop->before : jj_undefined(rt, "there is no previous item");
    if (strv_is(name, "nextitem"))
        return loop_peek(rt, loop) ? loop->after : jj_undefined(rt, "there is no next item");
    *found = 0;
    return jj_none();
}

void jj_loop_repr(jj_rt *rt, buf *b, jj_loop *loop)
{
    buf_addf(b, "<LoopContext %" PRId64 "/%" PRId64 ">", loop->index0 + 1, loop_length(rt, loop));
}

/* Each round of a loop: item, scope, body. */
static jj_flow loop_rounds(jj_rt *rt, jj_frame *f, const jj_node *n, jv items, int64_t depth0)
{
    jj_loop *loop = n->tracks ? jj_loop_new(rt, items, depth0) : NULL;
    jj_iter *it = n->tracks ? NULL : jj_iterate(rt, items);
    jj_flow flow = FLOW_NEXT;
    int empty = 1;
    jv item;
    if (n->tracks && !loop) return FLOW_NEXT;
    if (loop && n->flag) {
        loop->recursive = n;
        loop->frame = f->parent;
    }
    while (loop ? jj_loop_next(rt, loop, &item) : jj_next(rt, it, &item)) {
        jj_assign(rt, f, n->a, item);
        if (loop) f->slots[n->slot.at] = (jv){JJ_LOOP, {.loop = loop}};
        jj_scope_enter(f, n->scope);
        flow = jj_exec(rt, f, &n->x);
        if (flow == FLOW_BREAK || !jj_ok(rt)) break;
        if (flow == FLOW_NEXT) empty = 0;
    }
    if (!jj_ok(rt)) return FLOW_NEXT;
    jj_scope_leave(f, n->scope);
    flow = FLOW_NEXT;
    if (n->z.n && empty) {
        jj_scope_enter(f, n->scope_else);
        flow = jj_exec(rt, f, &n->z);
        if (flow == FLOW_NEXT) jj_scope_leave(f, n->scope_else);
    }
    return flow;
}

/* `for x in items if test`: a generator with a frame of its own. */
typedef struct loop_filter {
    const jj_node *n;
    jj_frame *frame;
    jj_iter *items;
    jv source;
    int begun;
} loop_filter;

/* What a target holds, as the generator gives it on: names of an unpacked item are a new tuple. */
static jv target_value(jj_rt *rt, jj_frame *f, const jj_node *target)
{
    jj_list *items;
    if (target->kind != N_TUPLE) return *jj_slot_of(f, target->slot);
    items = jj_list_new(rt, target->x.n);
    for (size_t i = 0; items && i < target->x.n; i++)
        jj_push(rt, items, target_value(rt, f, target->x.p[i]));
    return jj_tuple_value(rt, items);
}

static int filter_next(jj_rt *rt, void *state, jv *out)
{
    loop_filter *s = state;
    if (!s->begun) {
        s->begun = 1;
        jj_scope_enter(s->frame, s->n->scope_test);
        s->items = jj_iterate(rt, s->source);
    }
    while (jj_next(rt, s->items, out)) {
        jj_assign(rt, s->frame, s->n->y.p[0], *out);
        if (!jj_truth(jj_eval(rt, s->frame, s->n->c)) || !jj_ok(rt)) continue;
        *out = target_value(rt, s->frame, s->n->y.p[0]);
        return jj_ok(rt);
    }
    return 0;
}

static jv loop_items(jj_rt *rt, jj_frame *f, const jj_node *n, jv items)
{
    loop_filter *s;
    if (!n->c || !jj_ok(rt)) return items;
    s = jj_alloc(rt, sizeof *s);
    if (!s) return jj_none();
    s->n = n;
    s->frame = jj_frame_new(rt, f, f->context, n->unit_test);
    s->source = items;
    return s->frame ? jj_generator(rt, filter_next, s) : jj_none();
}

static jv recursive_loop(jj_rt *rt, jj_frame *around, const jj_node *n, jv items, int64_t depth0)
{
    buf b = {0}, *back = rt->out;
    jj_frame *f;
    if (!jj_enter(rt)) return jj_none();
    f = jj_frame_new(rt, around, around->context, n->unit);
    items = loop_items(rt, around, n, items);
    rt->out = &b;
    if (f && jj_ok(rt)) loop_rounds(rt, f, n, items, depth0);
    rt->out = back;
    jj_leave(rt);
    return jj_take(rt, &b);
}

jv jj_loop_call(jj_rt *rt, jj_loop *loop, const jj_args *args)
{
    jv items, text;
    if (!loop->recursive)
        return jj_fail(rt, "the loop must have the 'recursive' marker to be called recursively");
    if (!jj_bind(rt, "loop", "iterable", 1, args, &items)) return jj_none();
    text = recursive_loop(rt, loop->frame, loop->recursive, items, loop->depth0 + 1);
    return rt->autoescape ? jj_marked(rt, text) : text;
}

static jj_flow exec_for(jj_rt *rt, jj_frame *f, const jj_node *n)
{
    jv items = jj_eval(rt, f, n->b);
    if (!jj_ok(rt)) return FLOW_NEXT;
    if (!n->flag) return loop_rounds(rt, f, n, loop_items(rt, f, n, items), 0);
    items = recursive_loop(rt, f, n, items, 0);
    if (jj_ok(rt)) jj_emit(rt, jj_strv(items));
    return FLOW_NEXT;
}

/* ---- other statements ---- */

static int escaping_now(const jj_rt *rt, const jj_node *n)
{
    return n->escape == ESCAPE_ON || (n->escape == ESCAPE_RUNTIME && rt->autoescape);
}

static jj_flow exec_if(jj_rt *rt, jj_frame *f, const jj_node *n)
{
    jv v = jj_eval(rt, f, n->a);
    if (!jj_ok(rt)) return FLOW_NEXT;
    if (jj_truth(v)) return jj_exec(rt, f, &n->x);
    for (size_t i = 0; i < n->y.n; i++) {
        v = jj_eval(rt, f, n->y.p[i]->a);
        if (!jj_ok(rt)) return FLOW_NEXT;
        if (jj_truth(v)) return jj_exec(rt, f, &n->y.p[i]->x);
    }
    return jj_exec(rt, f, &n->z);
}

/* set and filter blocks: the body's text, filtered. */
static jj_flow exec_text_block(jj_rt *rt, jj_frame *f, const jj_node *n)
{
    const jj_node *inner = n->b;
    jj_flow flow;
    jv text;
    jj_scope_enter(f, n->scope);
    text = jj_capture(rt, f, &n->x, &flow);
    if (flow != FLOW_NEXT || !jj_ok(rt)) return flow;
    while (inner && inner->a)
        inner = inner->a;
    if (inner) {
        if (escaping_now(rt, inner)) text = jj_marked(rt, text);
        text = jj_eval_filter_on(rt, f, n->b, text);
    }
    if (n->kind == N_SET_BLOCK) {
        if (rt->autoescape && jj_ok(rt)) text = jj_marked(rt, jj_soft_str(rt, text));
        jj_assign(rt, f, n->a, text);
    } else
        emit_text(rt, text);
    jj_scope_leave(f, n->scope);
    return FLOW_NEXT;
}

static jj_flow exec_with(jj_rt *rt, jj_frame *f, const jj_node *n)
{
    jj_flow flow;
    jj_scope_enter(f, n->scope);
    for (size_t i = 0; i < n->y.n && jj_ok(rt); i++)
        jj_assign(rt, f, n->y.p[i], jj_eval(rt, f, n->z.p[i]));
    flow = jj_exec(rt, f, &n->x);
    if (flow == FLOW_NEXT) jj_scope_leave(f, n->scope);
    return flow;
}

static jj_flow exec_autoescape(jj_rt *rt, jj_frame *f, const jj_node *n)
{
    int back = rt->autoescape;
    jj_flow flow;
    jj_scope_enter(f, n->scope);
    rt->autoescape = jj_truth(jj_eval(rt, f, n->a));
    flow = jj_exec(rt, f, &n->x);
    /* Left early, the reference's setting stays as it is. */
    if (flow != FLOW_NEXT) return flow;
    rt->autoescape = back;
    jj_scope_leave(f, n->scope);
    return flow;
}

static void exec_call_block(jj_rt *rt, jj_frame *f, const jj_node *n)
{
    static const jj_args NONE = {0};
    jv caller = macro_new(rt, f, n, STRV("caller")), text;
    if (!jj_ok(rt)) return;
    text = n->kind == N_GENERATION ? jj_macro_call(rt, caller.u.macro, &NONE)
                                   : jj_eval_call_with(rt, f, n->a, caller);
    emit_text(rt, text);
}

/* ---- blocks ---- */

/* What a scoped block sees: all that is known here, as variables. */
static const jj_context *derived_context(jj_rt *rt, jj_frame *f, const jj_scope *seen)
{
    jj_context *c = jj_alloc(rt, sizeof *c);
    const jj_dict *from[2] = {f->context->vars, f->context->exported};
    jj_dict *vars = jj_dict_new(rt);
    if (!c) return f->context;
    for (int i = 0; i < 2; i++)
        for (size_t k = 0; k < from[i]->n && jj_step(rt, 1); k++)
            jj_dict_set(rt, vars, from[i]->e[k].key, from[i]->e[k].value);
    for (size_t i = 0; i < seen->n && jj_step(rt, 1); i++) {
        jv v = *jj_slot_of(f, seen->loads[i].from);
        if (v.type != JJ_MISSING) jj_dict_set(rt, vars, jj_borrow(rt, seen->loads[i].name), v);
    }
    c->vars = vars;
    c->exported = jj_dict_new(rt);
    return jj_ok(rt) ? c : f->context;
}

/* `self` and `super` of a block or of the template. */
static void give_self(jj_rt *rt, jj_frame *f, const jj_node *n)
{
    if (n->tracks & 1) f->slots[n->unit->special[4]] = (jv){JJ_SELF, {.context = f->context}};
    if (n->tracks & 2) f->slots[n->unit->special[5]] = jj_block_super(rt, n->name);
}

static void run_block(jj_rt *rt, const jj_context *context, const jj_node *n)
{
    jj_frame *f = jj_frame_new(rt, NULL, context, n->unit);
    int back = rt->autoescape;
    if (!f) return;
    give_self(rt, f, n);
    jj_scope_enter(f, n->scope);
    jj_exec(rt, f, &n->x);
    rt->autoescape = back;
}

static void exec_block(jj_rt *rt, jj_frame *f, const jj_node *n)
{
    const jj_context *context = n->scope_else ? derived_context(rt, f, n->scope_else) : f->context;
    if (n->flag)
        jj_fail(rt, "required block '%.*s' not found", (int)(n->name.n < 80 ? n->name.n : 80),
                n->name.p);
    else if (jj_ok(rt))
        run_block(rt, context, n);
}

jv jj_block_super(jj_rt *rt, strv name)
{
    buf b = {0};
    jv text, out;
    buf_addf(&b, "there is no parent block called '%.*s'", (int)(name.n < 80 ? name.n : 80),
             name.p);
    buf_add_char(&b, 0);
    text = jj_take(rt, &b);
    if (!jj_ok(rt)) return jj_none();
    out = jj_undefined(rt, text.u.s->p);
    return out;
}

jv jj_block_of(jj_rt *rt, const jj_context *c, strv name)
{
    for (size_t i = 0; i < rt->t->blocks.n; i++)
        if (strv_eq(rt->t->blocks.p[i]->name, name)) {
            jj_block *block = jj_alloc(rt, sizeof *block);
            if (!block) return jj_missing();
            *block = (jj_block){c, rt->t->blocks.p[i]};
            return (jv){JJ_BLOCK, {.block = block}};
        }
    return jj_missing();
}

jv jj_block_call(jj_rt *rt, const jj_block *block, const jj_args *args)
{
    const jj_node *where = rt->where;
    buf b = {0}, *back = rt->out;
    jv text;
    if (!jj_bind(rt, "block", "", 0, args, NULL) || !jj_enter(rt)) return jj_none();
    rt->out = &b;
    run_block(rt, block->context, block->node);
    rt->out = back;
    if (jj_ok(rt)) rt->where = where;
    jj_leave(rt);
    text = jj_take(rt, &b);
    return rt->autoescape ? jj_marked(rt, text) : text;
}

static void exec_output(jj_rt *rt, jj_frame *f, const jj_node *n)
{
    int escaping = escaping_now(rt, n);
    for (size_t i = 0; i < n->x.n && jj_ok(rt); i++)
        emit_value(rt, jj_eval(rt, f, n->x.p[i]), escaping);
}

static jj_flow exec_statement(jj_rt *rt, jj_frame *f, const jj_node *n)
{
    jv v;
    switch (n->kind) {
    case N_DATA:
        jj_emit(rt, n->name);
        return FLOW_NEXT;
    case N_OUTPUT:
        exec_output(rt, f, n);
        return FLOW_NEXT;
    case N_IF:
        return exec_if(rt, f, n);
    case N_FOR:
        return exec_for(rt, f, n);
    case N_SET:
        if (!targets_are_namespaces(rt, f, n->a)) return FLOW_NEXT;
        v = jj_eval(rt, f, n->b);
        jj_assign(rt, f, n->a, v);
        return FLOW_NEXT;
    case N_SET_BLOCK:
    case N_FILTER_BLOCK:
        return exec_text_block(rt, f, n);
    case N_MACRO:
        v = macro_new(rt, f, n, n->name);
        *jj_slot_of(f, n->slot) = v;
        if (n->op) jj_dict_set(rt, f->context->exported, jj_borrow(rt, n->name), v);
        return FLOW_NEXT;
    case N_CALL_BLOCK:
    case N_GENERATION:
        exec_call_block(rt, f, n);
        return FLOW_NEXT;
    case N_WITH:
        return exec_with(rt, f, n);
    case N_AUTOESCAPE:
        return exec_autoescape(rt, f, n);
    case N_BLOCK:
        exec_block(rt, f, n);
        return FLOW_NEXT;
    case N_BREAK:
        return FLOW_BREAK;
    case N_CONTINUE:
        return FLOW_CONTINUE;
    default:
        jj_fail(rt, "include, import and extends are not available in chat templates");
        return FLOW_NEXT;
    }
}

jj_flow jj_exec(jj_rt *rt, jj_frame *f, const jj_nodes *body)
{
    jj_flow flow = FLOW_NEXT;
    if (!body->n || !jj_enter(rt)) return flow;
    for (size_t i = 0; i < body->n && flow == FLOW_NEXT && jj_step(rt, 1); i++) {
        rt->where = body->p[i];
        flow = exec_statement(rt, f, body->p[i]);
    }
    jj_leave(rt);
    return flow;
}

void jj_run(jj_rt *rt)
{
    const jj_node *root = rt->t->root;
    jj_context *context = jj_alloc(rt, sizeof *context);
    jj_frame *f;
    if (!context) return;
    context->vars = rt->vars;
    context->exported = jj_dict_new(rt);
    f = jj_frame_new(rt, NULL, context, root->unit);
    if (!f || !context->exported) return;
    give_self(rt, f, root);
    jj_scope_enter(f, root->scope);
    jj_exec(rt, f, &root->x);
}
