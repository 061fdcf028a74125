/* value.c: the state of a rendering (errors, bounds, memory) and the making of values.
 *
 * Traps: an arena allocation that fails may be the limit or the machine; both end the rendering,
 *        the first with LIMIT. A failed jj_alloc gives NULL: containers accept NULL and stay empty,
 *        so that a caller needs no check of its own after each piece. */
#include "text/template/big.h"
#include "text/template/content.h"
#include "text/template/text.h"
#include "text/template/tree.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- errors and bounds ---- */

static void fail_v(jj_rt *rt, mlxe_status code, const char *fmt, va_list args)
{
    if (rt->failed) return;
    rt->failed = 1;
    rt->code = code;
    vsnprintf(rt->message, sizeof rt->message, fmt, args);
}

jv jj_fail(jj_rt *rt, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fail_v(rt, MLXE_E_INPUT, fmt, args);
    va_end(args);
    return jj_none();
}

jv jj_limit(jj_rt *rt, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fail_v(rt, MLXE_E_LIMIT, fmt, args);
    va_end(args);
    return jj_none();
}

int jj_step(jj_rt *rt, size_t n)
{
    if (rt->failed) return 0;
    if (rt->steps_left < n) {
        jj_limit(rt, "the template runs too long");
        return 0;
    }
    rt->steps_left -= n;
    return 1;
}

int jj_work(jj_rt *rt, size_t bytes) { return jj_step(rt, bytes / 32 + 1); }

int jj_room(jj_rt *rt, size_t n, size_t size)
{
    if (rt->failed) return 0;
    if (size && n > (rt->mem.limit_bytes - rt->mem.used_bytes) / size) {
        jj_limit(rt, "the template needs more than %zu bytes of memory", rt->mem.limit_bytes);
        return 0;
    }
    return 1;
}

int jj_enter(jj_rt *rt)
{
    if (rt->failed) return 0;
    if (rt->depth >= rt->depth_limit) {
        jj_limit(rt, "the template nests its calls more than %zu deep", rt->depth_limit);
        return 0;
    }
    rt->depth++;
    return 1;
}

void jj_no_memory(jj_rt *rt, size_t bytes)
{
    if (rt->failed) return;
    rt->failed = 1;
    rt->code = MLXE_E_MEMORY;
    snprintf(rt->message, sizeof rt->message, "out of memory, wanted %zu bytes", bytes);
}

void *jj_alloc(jj_rt *rt, size_t bytes)
{
    void *p;
    if (!jj_room(rt, bytes, 1)) return NULL;
    p = arena_alloc(&rt->mem, bytes);
    if (!p) jj_no_memory(rt, bytes);
    return p;
}

void *jj_array(jj_rt *rt, size_t n, size_t size)
{
    if (!jj_room(rt, n, size)) return NULL;
    return jj_alloc(rt, n * size);
}

/* ---- text ---- */

jv jj_borrow(jj_rt *rt, strv text)
{
    jj_str *s = jj_alloc(rt, sizeof *s);
    if (!s) return jj_none();
    s->p = text.n ? text.p : "";
    s->n = text.n;
    s->chars = JJ_UNCOUNTED;
    return (jv){JJ_STR, {.s = s}};
}

jv jj_text(jj_rt *rt, strv text)
{
    char *p;
    if (!jj_work(rt, text.n)) return jj_none();
    p = jj_alloc(rt, text.n + 1);
    if (!p) return jj_none();
    if (text.n) memcpy(p, text.p, text.n);
    if (rt->content) jj_content_copy(rt, text, p);
    return jj_borrow(rt, (strv){p, text.n});
}

jv jj_marked(jj_rt *rt, jv text)
{
    jv v;
    if (!jj_is_str(text)) return text;
    v = jj_borrow(rt, jj_strv(text));
    if (jj_ok(rt)) {
        v.u.s->chars = text.u.s->chars;
        v.u.s->markup = 1;
    }
    return v;
}

jv jj_take(jj_rt *rt, buf *b)
{
    jv v = jj_none();
    if (!buf_ok(b))
        jj_no_memory(rt, b->n);
    else
        v = jj_text(rt, buf_view(b));
    if (rt->content) jj_content_drop(rt, b);
    buf_deinit(b);
    return v;
}

/* ---- undefined ---- */

static jv undefined(jj_rt *rt, const char *what, const char *owner, strv name)
{
    jj_undef *u = jj_alloc(rt, sizeof *u);
    if (!u) return jj_none();
    u->what = what;
    u->owner = owner;
    u->name = name;
    return (jv){JJ_UNDEFINED, {.undef = u}};
}

jv jj_undefined(jj_rt *rt, const char *what) { return undefined(rt, what, NULL, (strv){0}); }

jv jj_undefined_name(jj_rt *rt, const char *owner, strv name)
{
    return undefined(rt, NULL, owner, name);
}

jv jj_fail_undefined(jj_rt *rt, jv v)
{
    const jj_undef *u = v.u.undef;
    int n = (int)(u->name.n < 200 ? u->name.n : 200);
    if (u->what) return jj_fail(rt, "%s", u->what);
    if (!u->owner) return jj_fail(rt, "'%.*s' is undefined", n, u->name.p);
    return jj_fail(rt, "'%s object' has no attribute '%.*s'", u->owner, n, u->name.p);
}

/* ---- lists ---- */

jj_list *jj_list_new(jj_rt *rt, size_t cap)
{
    jj_list *l = jj_alloc(rt, sizeof *l);
    if (!l) return NULL;
    if (cap) {
        l->v = jj_array(rt, cap, sizeof *l->v);
        if (!l->v) return NULL;
    }
    l->cap = cap;
    return l;
}

void jj_push(jj_rt *rt, jj_list *l, jv v)
{
    if (!l || rt->failed) return;
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 4;
        jv *grown = jj_array(rt, cap, sizeof *grown);
        if (!grown) return;
        if (l->n) memcpy(grown, l->v, l->n * sizeof *grown);
        l->v = grown;
        l->cap = cap;
    }
    l->v[l->n++] = v;
}

jv jj_list_value(jj_rt *rt, jj_list *l)
{
    return l && jj_ok(rt) ? (jv){JJ_LIST, {.l = l}} : jj_none();
}

jv jj_tuple_value(jj_rt *rt, jj_list *l)
{
    return l && jj_ok(rt) ? (jv){JJ_TUPLE, {.l = l}} : jj_none();
}

jv jj_pair(jj_rt *rt, jv a, jv b)
{
    jj_list *l = jj_list_new(rt, 2);
    jj_push(rt, l, a);
    jj_push(rt, l, b);
    return jj_tuple_value(rt, l);
}

/* ---- hashing ---- */

static uint64_t mix(uint64_t h)
{
    h ^= h >> 32;
    h *= 0xD6E8FEB86659FD93u;
    h ^= h >> 32;
    h *= 0xD6E8FEB86659FD93u;
    return h ^ h >> 32;
}

static uint64_t hash_bytes(strv text)
{
    uint64_t h = 0x9E3779B97F4A7C15u ^ text.n, w;
    size_t i = 0;
    for (; i + 8 <= text.n; i += 8) {
        memcpy(&w, text.p + i, 8);
        h = (h ^ w) * 0x9FB21C651E98DF25u;
        h ^= h >> 35;
    }
    for (w = 0; i < text.n; i++)
        w = w << 8 | (unsigned char)text.p[i];
    return mix(h ^ w * 0x9FB21C651E98DF25u);
}

/* Equal numbers hash alike whatever their type, as 1, 1.0 and True are one key. */
static uint64_t hash_float(double f)
{
    uint64_t w;
    if (f >= -9.2e18 && f <= 9.2e18 && f == (double)(int64_t)f) return mix((uint64_t)(int64_t)f);
    memcpy(&w, &f, sizeof w);
    return mix(w ^ 0xF10A7);
}

static int hash_big(jj_rt *rt, jv v, uint64_t *h)
{
    int fits;
    double f = jj_big_to_double(v, &fits);
    if (!jj_work(rt, v.u.big->n * 4)) return 0;
    if (fits && !jj_big_compare_float(v, f))
        *h = hash_float(f);
    else
        *h = hash_bytes((strv){(const char *)v.u.big->d, v.u.big->n * sizeof *v.u.big->d});
    return 1;
}

static uint64_t hash_pointer(const void *p) { return mix((uint64_t)(uintptr_t)p); }

int jj_hash(jj_rt *rt, jv v, uint64_t *h)
{
    uint64_t each;
    int ok = 1;
    switch (v.type) {
    case JJ_MISSING:
    case JJ_UNDEFINED:
    case JJ_NONE:
        *h = mix((uint64_t)v.type + 77);
        return 1;
    case JJ_BOOL:
        *h = mix((uint64_t)v.u.b);
        return 1;
    case JJ_INT:
        *h = mix((uint64_t)v.u.i);
        return 1;
    case JJ_FLOAT:
        *h = hash_float(v.u.f);
        return 1;
    case JJ_BIG:
        return hash_big(rt, v, h);
    case JJ_STR:
    case JJ_BYTES:
        if (!jj_work(rt, v.u.s->n)) return 0;
        *h = hash_bytes(jj_strv(v));
        return 1;
    case JJ_TUPLE:
        if (!jj_enter(rt)) return 0;
        *h = mix(v.u.l->n + 3);
        for (size_t i = 0; i < v.u.l->n && ok; i++) {
            ok = jj_step(rt, 1) && jj_hash(rt, v.u.l->v[i], &each);
            if (ok) *h = mix(*h * 31 + each);
        }
        jj_leave(rt);
        return ok;
    case JJ_RANGE:
        *h = mix(v.u.range->n ^ (uint64_t)(v.u.range->n ? v.u.range->start : 0) << 20);
        return 1;
    case JJ_VIEW:
        *h = hash_pointer(v.u.view);
        return v.u.view->kind == JJ_VALUES;
    case JJ_LIST:
    case JJ_DICT:
        return 0;
    case JJ_FUNCTION:
        *h = hash_pointer(v.u.fn);
        return 1;
    default:
        *h = hash_pointer(v.u.l);
        return 1;
    }
}

/* ---- dicts ---- */

enum { LINEAR_DICT = 8 };

jj_dict *jj_dict_new(jj_rt *rt) { return jj_alloc(rt, sizeof(jj_dict)); }

jv jj_dict_value(jj_rt *rt, jj_dict *d)
{
    return d && jj_ok(rt) ? (jv){JJ_DICT, {.d = d}} : jj_none();
}

static void reindex(jj_rt *rt, jj_dict *d)
{
    size_t cap = d->index_cap ? d->index_cap * 2 : 32;
    uint32_t *index = jj_array(rt, cap, sizeof *index);
    if (!index) return;
    for (size_t i = 0; i < d->n; i++) {
        size_t at = (size_t)d->e[i].hash & (cap - 1);
        while (index[at])
            at = (at + 1) & (cap - 1);
        index[at] = (uint32_t)i + 1;
    }
    d->index = index;
    d->index_cap = cap;
}

static jj_entry *find_hashed(jj_rt *rt, const jj_dict *d, jv key, uint64_t h)
{
    if (!d->index) {
        for (size_t i = 0; i < d->n; i++)
            if (d->e[i].hash == h && jj_equal(rt, d->e[i].key, key)) return d->e + i;
        return NULL;
    }
    for (size_t at = (size_t)h & (d->index_cap - 1), n = 0; d->index[at];
         at = (at + 1) & (d->index_cap - 1), n++) {
        jj_entry *e = d->e + d->index[at] - 1;
        if (e->hash == h && jj_equal(rt, e->key, key)) return e;
        /* Keys made to collide pay for it. */
        if (n >= 8 && !jj_step(rt, 1)) return NULL;
    }
    return NULL;
}

jj_entry *jj_dict_find(jj_rt *rt, const jj_dict *d, jv key, int *hashable)
{
    uint64_t h;
    int ok = jj_hash(rt, key, &h);
    if (hashable) *hashable = ok;
    return ok ? find_hashed(rt, d, key, h) : NULL;
}

jj_entry *jj_dict_find_str(const jj_dict *d, strv key)
{
    uint64_t h = hash_bytes(key);
    if (!d->index) {
        for (size_t i = 0; i < d->n; i++)
            if (d->e[i].hash == h && jj_is_str(d->e[i].key) && strv_eq(jj_strv(d->e[i].key), key))
                return d->e + i;
        return NULL;
    }
    for (size_t at = (size_t)h & (d->index_cap - 1); d->index[at];
         at = (at + 1) & (d->index_cap - 1)) {
        jj_entry *e = d->e + d->index[at] - 1;
        if (e->hash == h && jj_is_str(e->key) && strv_eq(jj_strv(e->key), key)) return e;
    }
    return NULL;
}

void jj_dict_set(jj_rt *rt, jj_dict *d, jv key, jv value)
{
    uint64_t h;
    jj_entry *e;
    if (!d || rt->failed) return;
    if (!jj_hash(rt, key, &h)) {
        jj_fail(rt, "unhashable type: '%s'", jj_type_name(key));
        return;
    }
    e = find_hashed(rt, d, key, h);
    if (rt->failed) return;
    if (e) {
        e->value = value;
        return;
    }
    if (d->n == d->cap) {
        size_t cap = d->cap ? d->cap * 2 : 4;
        jj_entry *grown = jj_array(rt, cap, sizeof *grown);
        if (!grown) return;
        if (d->n) memcpy(grown, d->e, d->n * sizeof *grown);
        d->e = grown;
        d->cap = cap;
    }
    d->e[d->n++] = (jj_entry){key, value, h};
    if (!d->index ? d->n > LINEAR_DICT : d->n * 2 > d->index_cap)
        reindex(rt, d);
    else if (d->index) {
        size_t at = (size_t)h & (d->index_cap - 1);
        while (d->index[at])
            at = (at + 1) & (d->index_cap - 1);
        d->index[at] = (uint32_t)d->n;
    }
}

/* ---- from JSON ---- */

jv jj_from_json(jj_rt *rt, const json *v)
{
    json_iter it;
    const json *key, *item;
    jv out = jj_none();
    strv digits;
    if (!jj_step(rt, 1)) return out;
    switch (json_typeof(v)) {
    case JSON_NULL:
        return out;
    case JSON_BOOL:
        return jj_bool(json_bool(v));
    case JSON_INT:
        return jj_int(json_int(v));
    case JSON_FLOAT:
        return jj_float(json_float(v));
    case JSON_STRING:
        return jj_borrow(rt, json_str(v));
    case JSON_BIG:
        digits = json_big(v);
        if (digits.p[0] == '-')
            return jj_big_from_digits(rt, (strv){digits.p + 1, digits.n - 1}, 10, 1);
        return jj_big_from_digits(rt, digits, 10, 0);
    case JSON_ARRAY: {
        jj_list *l = jj_list_new(rt, json_len(v));
        for (it = json_iterate(v); jj_ok(rt) && json_next(&it, &key, &item);)
            jj_push(rt, l, jj_from_json(rt, item));
        return jj_list_value(rt, l);
    }
    case JSON_OBJECT: {
        jj_dict *d = jj_dict_new(rt);
        for (it = json_iterate(v); jj_ok(rt) && json_next(&it, &key, &item);)
            jj_dict_set(rt, d, jj_borrow(rt, json_str(key)), jj_from_json(rt, item));
        return jj_dict_value(rt, d);
    }
    }
    return out;
}
