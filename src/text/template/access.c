/* access.c: attributes, items, slices and calls, under the sandbox's rules.
 *
 *   a.name     the attribute, else the item "name", else undefined
 *   a["name"]  the item, else the attribute, else undefined
 *
 * Traps: dict methods win over keys of the same name with a dot (`d.items`), keys win with
 *        brackets.
 *        What changes a list or dict is there and unsafe: reading it gives an undefined value, so
 *        that a key named "update" is out of reach with a dot. The same holds for names with
 *        underscores that exist on the Python type. A slice of something that cannot be sliced is
 *        an error; an index of the wrong type is only undefined.
 * Source: jinja2 3.1.6 sandbox.py (ImmutableSandboxedEnvironment). */
#include "text/template/big.h"
#include "text/template/content.h"
#include "text/template/text.h"
#include "text/template/tree.h"

static const char UNSAFE[] = "access to this attribute is unsafe";

static int in_words(const char *words, strv name)
{
    size_t n;
    for (; *words; words += n + (words[n] == ' ')) {
        n = strcspn(words, " ");
        if (strv_eq((strv){words, n}, name)) return 1;
    }
    return 0;
}

/* Whether Python's type has this attribute of two underscores; single ones exist nowhere. */
int jj_has_attribute(jv v, strv name)
{
    static const char OBJECT[] =
        "__class__ __delattr__ __dir__ __doc__ __eq__ __format__ __ge__ __getattribute__ "
        "__getstate__ __gt__ __hash__ __init__ __init_subclass__ __le__ __lt__ __ne__ __new__ "
        "__reduce__ __reduce_ex__ __repr__ __setattr__ __sizeof__ __str__ __subclasshook__";
    static const char NUMBER[] =
        "__abs__ __add__ __bool__ __divmod__ __float__ __floordiv__ __int__ __mod__ __mul__ "
        "__neg__ __pos__ __pow__ __radd__ __rdivmod__ __rfloordiv__ __rmod__ __rmul__ __rpow__ "
        "__rsub__ __rtruediv__ __sub__ __truediv__ __trunc__ __ceil__ __floor__ __round__ "
        "__getnewargs__";
    static const char SEQUENCE[] =
        "__add__ __contains__ __getitem__ __iter__ __len__ __mul__ __rmul__";
    static const char DICT[] = "__class_getitem__ __contains__ __delitem__ __getitem__ __ior__ "
                               "__iter__ __len__ __or__ __reversed__ __ror__ __setitem__";
    static const char INSTANCE[] = "__dict__ __module__ __weakref__";
    static const char UNDEFINED[] =
        "__add__ __radd__ __sub__ __rsub__ __mul__ __rmul__ __div__ __rdiv__ __truediv__ "
        "__rtruediv__ __floordiv__ __rfloordiv__ __mod__ __rmod__ __pos__ __neg__ __call__ "
        "__getitem__ __int__ __float__ __complex__ __pow__ __rpow__ __len__ __iter__ __bool__ "
        "__aiter__ __module__ __getattr__ __slots__ _fail_with_undefined_error "
        "_undefined_message _undefined_hint _undefined_obj _undefined_name _undefined_exception";
    if (v.type == JJ_UNDEFINED && in_words(UNDEFINED, name)) return 1;
    if (!strv_starts(name, STRV("__"))) return 0;
    if (in_words(OBJECT, name)) return 1;
    switch (v.type) {
    case JJ_BOOL:
    case JJ_INT:
    case JJ_BIG:
    case JJ_FLOAT:
        return in_words(NUMBER, name);
    case JJ_NONE:
        return strv_is(name, "__bool__");
    case JJ_BYTES:
        return in_words(SEQUENCE, name) || in_words("__mod__ __rmod__ __getnewargs__", name);
    case JJ_STR:
        return in_words(SEQUENCE, name) || in_words("__mod__ __rmod__ __getnewargs__", name) ||
               (v.u.s->markup && in_words("__html__ __dict__ __module__", name));
    case JJ_LIST:
        return in_words(SEQUENCE, name) ||
               in_words("__class_getitem__ __delitem__ __iadd__ __imul__ __reversed__ __setitem__",
                        name);
    case JJ_TUPLE:
        return in_words(SEQUENCE, name) || in_words("__class_getitem__ __getnewargs__", name);
    case JJ_DICT:
        return in_words(DICT, name);
    case JJ_RANGE:
        return in_words("__bool__ __contains__ __getitem__ __iter__ __len__ __reversed__", name);
    case JJ_VIEW:
        return in_words("__contains__ __iter__ __len__ __reversed__", name);
    case JJ_ITER:
        return in_words("__iter__ __next__ __name__ __qualname__ __del__", name);
    case JJ_FUNCTION:
    case JJ_METHOD:
        return in_words("__call__ __name__ __qualname__ __self__ __module__", name);
    case JJ_UNDEFINED:
        return 0;
    default:
        return in_words(INSTANCE, name) || strv_is(name, "__call__");
    }
}

static jv macro_attribute(jj_rt *rt, const jj_macro *m, strv name, int *found)
{
    const jj_node *n = m->node;
    jj_list *l;
    *found = 1;
    if (strv_is(name, "name")) return n->kind == N_MACRO ? jj_borrow(rt, m->name) : jj_none();
    if (strv_is(name, "caller")) return jj_bool(n->tracks & 1);
    if (strv_is(name, "catch_kwargs")) return jj_bool(n->tracks & 2);
    if (strv_is(name, "catch_varargs")) return jj_bool(n->tracks & 4);
    if (strv_is(name, "arguments")) {
        l = jj_list_new(rt, n->y.n);
        for (size_t i = 0; i < n->y.n; i++)
            jj_push(rt, l, jj_borrow(rt, n->y.p[i]->name));
        return jj_tuple_value(rt, l);
    }
    *found = 0;
    return jj_none();
}

static jv object_attribute(jj_rt *rt, jv v, strv name, int *found)
{
    jj_entry *e;
    *found = 1;
    switch (v.type) {
    case JJ_NAMESPACE:
        e = jj_dict_find_str(v.u.d, name);
        if (e) return e->value;
        break;
    case JJ_LOOP:
        return jj_loop_attribute(rt, v.u.loop, name, found);
    case JJ_MACRO:
        return macro_attribute(rt, v.u.macro, name, found);
    case JJ_CYCLER:
        if (strv_is(name, "current")) return v.u.cycler->items->v[v.u.cycler->at];
        if (strv_is(name, "pos")) return jj_int((int64_t)v.u.cycler->at);
        if (strv_is(name, "items")) return jj_tuple_value(rt, v.u.cycler->items);
        break;
    case JJ_SELF:
        v = jj_block_of(rt, v.u.context, name);
        if (v.type != JJ_MISSING) return v;
        break;
    case JJ_BLOCK:
        if (strv_is(name, "name")) return jj_borrow(rt, v.u.block->node->name);
        if (strv_is(name, "super")) return jj_block_super(rt, v.u.block->node->name);
        break;
    case JJ_JOINER:
        if (strv_is(name, "sep")) return v.u.joiner->separator;
        if (strv_is(name, "used")) return jj_bool(v.u.joiner->used);
        break;
    case JJ_RANGE:
        if (strv_is(name, "start")) return jj_int(v.u.range->start);
        if (strv_is(name, "stop")) return jj_int(v.u.range->stop);
        if (strv_is(name, "step")) return jj_int(v.u.range->step);
        break;
    case JJ_BOOL:
    case JJ_INT:
    case JJ_BIG:
        if (strv_is(name, "real") || strv_is(name, "numerator")) return jj_plus(rt, v);
        if (strv_is(name, "imag")) return jj_int(0);
        if (strv_is(name, "denominator")) return jj_int(1);
        break;
    case JJ_FLOAT:
        if (strv_is(name, "real")) return v;
        if (strv_is(name, "imag")) return jj_float(0);
        break;
    case JJ_TUPLE:
        if (!v.u.l->grouped) break;
        if (strv_is(name, "grouper")) return v.u.l->v[0];
        if (strv_is(name, "list")) return v.u.l->v[1];
        break;
    default:
        break;
    }
    *found = 0;
    return jj_none();
}

jv jj_attribute(jj_rt *rt, jv v, strv name, int *found)
{
    static const char CHANGES_LIST[] = "append clear pop reverse insert sort extend remove";
    static const char CHANGES_DICT[] = "clear pop popitem setdefault update";
    jv out;
    int id;
    *found = 1;
    if (v.type == JJ_UNDEFINED)
        return jj_has_attribute(v, name) ? jj_undefined(rt, UNSAFE) : jj_fail_undefined(rt, v);
    out = object_attribute(rt, v, name, found);
    if (*found || !jj_ok(rt)) return out;
    *found = 1;
    if (v.type == JJ_LIST && in_words(CHANGES_LIST, name)) return jj_undefined(rt, UNSAFE);
    if (v.type == JJ_DICT && in_words(CHANGES_DICT, name)) return jj_undefined(rt, UNSAFE);
    if (v.type != JJ_NAMESPACE && jj_has_attribute(v, name)) return jj_undefined(rt, UNSAFE);
    id = jj_method_id(v, name);
    if (id) return jj_method_value(rt, v, id);
    *found = 0;
    return jj_none();
}

static int is_sequence(jv v)
{
    return v.type == JJ_STR || v.type == JJ_LIST || v.type == JJ_TUPLE || v.type == JJ_RANGE ||
           v.type == JJ_BYTES;
}

/* v[key] without attributes; *found 0: TypeError or LookupError. */
static jv item_of(jj_rt *rt, jv v, jv key, int *found)
{
    int64_t i = 0;
    jj_entry *e;
    size_t n = 0, at;
    *found = 0;
    if (v.type == JJ_DICT) {
        e = jj_dict_find(rt, v.u.d, key, NULL);
        *found = e != NULL;
        return e ? e->value : jj_none();
    }
    if (v.type == JJ_SELF && jj_is_str(key)) {
        key = jj_block_of(rt, v.u.context, jj_strv(key));
        *found = key.type != JJ_MISSING;
        return key;
    }
    if (!is_sequence(v)) return jj_none();
    if (!jj_as_int(key, &i) || !jj_len(rt, v, &n)) return jj_none();
    if (i < 0) i += (int64_t)n;
    if (i < 0 || (uint64_t)i >= n) return jj_none();
    *found = 1;
    if (v.type == JJ_RANGE) return jj_int(jj_range_at(v.u.range, (size_t)i));
    if (v.type == JJ_BYTES) return jj_int((unsigned char)v.u.s->p[i]);
    if (v.type != JJ_STR) return v.u.l->v[i];
    if (v.u.s->chars != v.u.s->n) jj_work(rt, v.u.s->n);
    at = jj_offset(v.u.s, (size_t)i);
    jj_decode(v.u.s->p + at, v.u.s->p + v.u.s->n, &n);
    key = jj_borrow(rt, (strv){v.u.s->p + at, n});
    return v.u.s->markup ? jj_marked(rt, key) : key;
}

jv jj_getattr(jj_rt *rt, jv v, strv name)
{
    int found;
    jj_entry *e;
    jv out;
    if (!jj_ok(rt)) return jj_none();
    out = jj_attribute(rt, v, name, &found);
    if (found || !jj_ok(rt)) return out;
    e = v.type == JJ_DICT ? jj_dict_find_str(v.u.d, name) : NULL;
    return e ? e->value : jj_undefined_name(rt, jj_type_name(v), name);
}

jv jj_getitem(jj_rt *rt, jv v, jv key)
{
    int found;
    jv out;
    if (!jj_ok(rt)) return jj_none();
    if (v.type == JJ_UNDEFINED) return jj_fail_undefined(rt, v);
    out = item_of(rt, v, key, &found);
    if (found || !jj_ok(rt)) return out;
    if (jj_is_str(key)) {
        out = jj_attribute(rt, v, jj_strv(key), &found);
        if (found || !jj_ok(rt)) return out;
    }
    return jj_undefined_name(rt, jj_type_name(v), jj_is_str(key) ? jj_strv(key) : STRV("[...]"));
}

/* ---- slices ---- */

static int slice_part(jj_rt *rt, jv v, int64_t *out)
{
    if (v.type == JJ_NONE || !jj_ok(rt)) return 0;
    if (v.type == JJ_BIG) {
        *out = jj_is_minus(v) ? INT64_MIN : INT64_MAX;
        return 1;
    }
    if (!jj_as_int(v, out)) jj_fail(rt, "slice indices must be integers or None");
    return jj_ok(rt);
}

static int64_t clamp_index(int64_t i, int64_t n, int64_t low, int64_t high)
{
    if (i < 0) i = i < -n ? -1 : i + n;
    return i < low ? low : i > high ? high : i;
}

static jv slice_text(jj_rt *rt, jv v, int64_t start, int64_t step, size_t count)
{
    jj_str *s = v.u.s;
    buf b = {0};
    size_t n;
    if (step == 1) {
        size_t from = jj_offset(s, (size_t)start), to = jj_offset(s, (size_t)start + count);
        jv out = jj_borrow(rt, count ? (strv){s->p + from, to - from} : (strv){0});
        if (jj_ok(rt)) out.u.s->chars = count;
        return out;
    }
    if (s->chars == s->n) {
        for (size_t i = 0; i < count; i++, start += step)
            jj_put(rt, &b, (strv){s->p + start, 1});
        return jj_take(rt, &b);
    }
    if (step > 0) {
        size_t at = jj_offset(s, (size_t)start);
        for (size_t i = 0; i < count; i++) {
            jj_decode(s->p + at, s->p + s->n, &n);
            jj_put(rt, &b, (strv){s->p + at, n});
            for (int64_t k = 0; k < step && at < s->n; k++) {
                jj_decode(s->p + at, s->p + s->n, &n);
                at += n;
            }
        }
        return jj_take(rt, &b);
    }
    if (count) {
        size_t end = jj_offset(s, (size_t)start + 1);
        for (size_t i = 0; i < count; i++) {
            n = jj_last_char((strv){s->p, end});
            jj_put(rt, &b, (strv){s->p + end - n, n});
            for (int64_t k = 0; k > step && end > 0; k--)
                end -= jj_last_char((strv){s->p, end});
        }
    }
    return jj_take(rt, &b);
}

int jj_can_slice(jv v, const jv part[3])
{
    if (v.type == JJ_UNDEFINED) return 1;
    if (is_sequence(v) && part[2].type == JJ_INT && !part[2].u.i) return 1; /* a ValueError */
    for (int i = 0; i < 3; i++)
        if (part[i].type != JJ_NONE && !jj_is_int(part[i])) return 0;
    return is_sequence(v);
}

/* Item i of a range, i being its length or -1 too. 0: beyond 64 bits */
static int range_edge(const jj_range *r, int64_t i, int64_t *out)
{
    int64_t way;
    return !__builtin_mul_overflow(i, r->step, &way) && !__builtin_add_overflow(r->start, way, out);
}

static jv slice_range(jj_rt *rt, const jj_range *r, int64_t from, int64_t to, int64_t by)
{
    int64_t start, stop, step;
    if (by == INT64_MAX || by == -INT64_MAX || !range_edge(r, from, &start) ||
        !range_edge(r, to, &stop) || __builtin_mul_overflow(by, r->step, &step))
        return jj_limit(rt, "a part of a range with a bound or step beyond 64 bits");
    return jj_range_new(rt, start, stop, step);
}

jv jj_slice(jj_rt *rt, jv v, jv start, jv stop, jv step)
{
    int64_t from, to, by = 1, n;
    size_t len = 0, count = 0;
    jj_list *l;
    if (!jj_ok(rt)) return jj_none();
    if (v.type == JJ_UNDEFINED) return jj_fail_undefined(rt, v);
    if (!is_sequence(v)) return jj_fail(rt, "'%s' object cannot be sliced", jj_type_name(v));
    if (v.type == JJ_STR || v.type == JJ_BYTES) jj_work(rt, v.u.s->n);
    jj_len(rt, v, &len);
    n = (int64_t)len;
    slice_part(rt, step, &by);
    if (by == 0) return jj_fail(rt, "slice step cannot be zero");
    if (by == INT64_MIN) by = -INT64_MAX;
    from = by > 0 ? 0 : n - 1;
    to = by > 0 ? n : -1;
    if (slice_part(rt, start, &from))
        from = by > 0 ? clamp_index(from, n, 0, n) : clamp_index(from, n, -1, n - 1);
    if (slice_part(rt, stop, &to))
        to = by > 0 ? clamp_index(to, n, 0, n) : clamp_index(to, n, -1, n - 1);
    if (!jj_ok(rt)) return jj_none();
    if (by > 0 && from < to) count = (size_t)((to - from - 1) / by + 1);
    if (by < 0 && from > to) count = (size_t)((from - to - 1) / -by + 1);
    if (v.type == JJ_RANGE) return slice_range(rt, v.u.range, from, to, by);
    if (by > n) by = n + 1;
    if (by < -n) by = -n - 1;
    if (v.type == JJ_BYTES) {
        buf b = {0};
        for (size_t i = 0; i < count; i++, from += by)
            jj_put(rt, &b, (strv){v.u.s->p + from, 1});
        v = jj_take(rt, &b);
        if (jj_ok(rt)) v.type = JJ_BYTES;
        return v;
    }
    if (v.type == JJ_STR) {
        jv out = slice_text(rt, v, count ? from : 0, by, count);
        return v.u.s->markup ? jj_marked(rt, out) : out;
    }
    l = jj_list_new(rt, count);
    for (size_t i = 0; i < count && jj_step(rt, 1); i++, from += by)
        jj_push(rt, l, v.u.l->v[from]);
    return v.type == JJ_LIST ? jj_list_value(rt, l) : jj_tuple_value(rt, l);
}

/* ---- calls ---- */

int jj_callable(jv v)
{
    switch (v.type) {
    case JJ_UNDEFINED:
    case JJ_FUNCTION:
    case JJ_METHOD:
    case JJ_MACRO:
    case JJ_LOOP:
    case JJ_JOINER:
    case JJ_BLOCK:
        return 1;
    default:
        return 0;
    }
}

struct jj_method {
    jv self;
    int id;
};

jv jj_method_value(jj_rt *rt, jv self, int id)
{
    jj_method *m = jj_alloc(rt, sizeof *m);
    if (!m) return jj_none();
    m->self = self;
    m->id = id;
    return (jv){JJ_METHOD, {.method = m}};
}

jv jj_call(jj_rt *rt, jv fn, const jj_args *args)
{
    jv first;
    if (!jj_step(rt, 1)) return jj_none();
    switch (fn.type) {
    case JJ_UNDEFINED:
        return jj_fail_undefined(rt, fn);
    case JJ_FUNCTION:
        return fn.u.fn->call(rt, args);
    case JJ_METHOD:
        return jj_call_method(rt, fn.u.method->self, fn.u.method->id, args);
    case JJ_MACRO:
        return jj_macro_call(rt, fn.u.macro, args);
    case JJ_BLOCK:
        return jj_block_call(rt, fn.u.block, args);
    case JJ_LOOP:
        return jj_loop_call(rt, fn.u.loop, args);
    case JJ_JOINER:
        if (!jj_bind(rt, "joiner", "", 0, args, &first)) return jj_none();
        if (fn.u.joiner->used) return fn.u.joiner->separator;
        fn.u.joiner->used = 1;
        return jj_borrow(rt, (strv){0});
    default:
        return jj_fail(rt, "'%s' object is not callable", jj_type_name(fn));
    }
}

/* ---- arguments ---- */

int jj_bind(jj_rt *rt, const char *fn, const char *params, size_t required, const jj_args *args,
            jv *out)
{
    int by_position = params[0] == '/';
    size_t n = 0, len;
    const char *at = by_position ? params + 1 : params;
    unsigned char taken[8] = {0};
    for (; *at; at += len + (at[len] == ','), n++) {
        strv name = {at, len = strcspn(at, ",")};
        out[n] = n < args->n ? args->v[n] : jj_missing();
        for (size_t i = 0; i < args->n_named && !by_position; i++) {
            if (!strv_eq(args->names[i], name)) continue;
            if (n < args->n)
                jj_fail(rt, "%s() got multiple values for argument '%.*s'", fn, (int)len, at);
            out[n] = args->named[i];
            if (i < sizeof taken) taken[i] = 1;
        }
        if (out[n].type == JJ_MISSING && n < required)
            jj_fail(rt, "%s() is missing the argument '%.*s'", fn, (int)len, at);
    }
    if (args->n > n) jj_fail(rt, "%s() takes %zu arguments, got %zu", fn, n, args->n);
    for (size_t i = 0; i < args->n_named; i++)
        if (i >= sizeof taken || !taken[i])
            jj_fail(rt, "%s() got an unexpected keyword argument '%.*s'", fn,
                    (int)(args->names[i].n < 80 ? args->names[i].n : 80), args->names[i].p);
    return jj_ok(rt);
}

int jj_arg_int(jj_rt *rt, const char *what, jv v, int64_t *out)
{
    if (v.type == JJ_MISSING) return jj_ok(rt);
    if (v.type == JJ_BIG)
        jj_limit(rt, "%s is an integer beyond 64 bits", what);
    else if (!jj_as_int(v, out))
        jj_fail(rt, "%s is '%s', want an integer", what, jj_type_name(v));
    return jj_ok(rt);
}

int jj_arg_c_int(jj_rt *rt, const char *what, jv v, int64_t *out)
{
    if (!jj_arg_int(rt, what, v, out)) return 0;
    if (v.type != JJ_MISSING && (*out < INT32_MIN || *out > INT32_MAX))
        jj_fail(rt, "%s is an integer beyond 32 bits", what);
    return jj_ok(rt);
}

int jj_arg_place(jj_rt *rt, const char *what, jv v, int64_t *out)
{
    if (v.type != JJ_BIG) return jj_arg_int(rt, what, v, out);
    *out = jj_is_minus(v) ? INT64_MIN : INT64_MAX;
    return jj_ok(rt);
}

int jj_arg_str(jj_rt *rt, const char *what, jv v, strv *out)
{
    if (v.type == JJ_MISSING) return jj_ok(rt);
    if (!jj_is_str(v))
        jj_fail(rt, "%s is '%s', want a text", what, jj_type_name(v));
    else
        *out = jj_strv(v);
    return jj_ok(rt);
}
