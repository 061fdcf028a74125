/* value.h: values of the template language and the state of one rendering.
 *
 * Values are Python's, as the reference engine has them: undefined, None, bool, int (64 bits, or
 * limbs where that is too little: big.h), float, str, bytes, list, tuple, dict, range, views and
 * iterators of these, and the objects that templates make (namespace, cycler, joiner, macro, loop,
 * the blocks of `self`). A value is 16 bytes and copied; what it points to lives in the rendering's
 * arena until the rendering ends, so nothing is freed by hand.
 *
 * Errors    stick: the first failure is kept in jj_rt, later calls do nothing and give None, and
 *           loops end because jj_next and jj_step give 0. Callers check jj_ok where it saves work.
 * Bounds    every evaluated node and every 32 bytes of text worked on count a step; memory is the
 *           arena's limit; output bytes are counted over all buffers; depth is counted in calls.
 * Sandbox   lists and dicts are immutable for templates: only namespace, cycler, joiner and loop
 *           have state.
 * Source    the behaviour of jinja2 3.1.6 and of CPython 3.11's types. */
#ifndef TEMPLATE_VALUE_H
#define TEMPLATE_VALUE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"

#include <stdint.h>

typedef enum jj_type {
    JJ_MISSING, /* a variable or argument without a value; never leaves the engine */
    JJ_UNDEFINED,
    JJ_NONE,
    JJ_BOOL,
    JJ_INT,
    JJ_BIG, /* an integer beyond 64 bits (big.h) */
    JJ_FLOAT,
    JJ_STR,
    JJ_BYTES, /* what str.encode gives */
    JJ_LIST,
    JJ_TUPLE,
    JJ_DICT,
    JJ_RANGE,
    JJ_VIEW, /* dict.keys(), .values(), .items() */
    JJ_ITER, /* an iterator or generator: lazy, used up by reading */
    JJ_NAMESPACE,
    JJ_FUNCTION, /* a global function */
    JJ_METHOD,   /* a method bound to its value */
    JJ_MACRO,
    JJ_LOOP,
    JJ_CYCLER,
    JJ_JOINER,
    JJ_SELF, /* `self`: the blocks of the template */
    JJ_BLOCK /* one of them, to be called */
} jj_type;

typedef struct jj_str {
    const char *p; /* UTF-8, where a lone surrogate may stand as if it were a character */
    size_t n;      /* bytes */
    size_t chars;  /* code points, or JJ_UNCOUNTED */
    int markup;    /* 1: already escaped HTML (`escape`, `safe`, autoescape) */
} jj_str;
#define JJ_UNCOUNTED SIZE_MAX

typedef struct jj_list jj_list;
typedef struct jj_dict jj_dict;
typedef struct jj_iter jj_iter;
typedef struct jj_loop jj_loop;
typedef struct jj_macro jj_macro;
typedef struct jj_undef jj_undef;
typedef struct jj_range jj_range;
typedef struct jj_view jj_view;
typedef struct jj_method jj_method;
typedef struct jj_cycler jj_cycler;
typedef struct jj_joiner jj_joiner;
typedef struct jj_function jj_function;
typedef struct jj_context jj_context;
typedef struct jj_block jj_block;

typedef struct jv {
    jj_type type;
    union {
        int b;
        int64_t i;
        double f;
        jj_str *s; /* JJ_STR, JJ_BYTES */
        const struct jj_big *big;
        jj_list *l;
        jj_dict *d; /* JJ_DICT, JJ_NAMESPACE */
        jj_undef *undef;
        jj_range *range;
        jj_view *view;
        jj_iter *iter;
        jj_method *method;
        jj_macro *macro;
        jj_loop *loop;
        jj_cycler *cycler;
        jj_joiner *joiner;
        const jj_context *context; /* JJ_SELF */
        const jj_block *block;
        const jj_function *fn;
    } u;
} jv;

struct jj_list {
    jv *v;
    size_t n, cap;
    int grouped; /* a tuple of `groupby`: has .grouper and .list */
};

typedef struct jj_entry {
    jv key, value;
    uint64_t hash;
} jj_entry;

struct jj_dict {
    jj_entry *e; /* in order of insertion */
    size_t n, cap;
    uint32_t *index; /* open addressing over e, entry + 1; NULL while small */
    size_t index_cap;
};

struct jj_undef {
    const char *what; /* whole message, or NULL: made from owner and name */
    const char *owner;
    strv name;
};

struct jj_range {
    int64_t start, stop, step;
    size_t n;
};

typedef enum jj_view_kind { JJ_KEYS, JJ_VALUES, JJ_ITEMS } jj_view_kind;
struct jj_view {
    jj_view_kind kind;
    jj_dict *d;
};

struct jj_cycler {
    jj_list *items;
    size_t at;
};

/* What names mean where no scope says so. */
struct jj_context {
    jj_dict *vars;     /* of the request; for a scoped block also what is around it */
    jj_dict *exported; /* assigned at the top level: seen by blocks */
};

struct jj_joiner {
    jv separator;
    int used;
};

typedef struct jj_limits {
    size_t steps, memory_bytes, output_bytes, depth;
} jj_limits;

struct jj_frame;
struct jj_node;
struct jj_template;

/* Local time for strftime_now. */
typedef struct jj_time {
    int year, month, day, hour, minute, second, microsecond;
} jj_time;

/* One rendering. */
typedef struct jj_rt {
    arena mem;
    const struct jj_template *t;
    jj_dict *vars; /* what the caller gave */
    buf *out;
    size_t steps_left, output_left, depth, depth_limit;
    int failed;
    mlxe_status code;
    char message[900];
    const struct jj_node *where; /* what is being evaluated; after a failure: what failed */
    struct jj_content *content;  /* NULL: nobody asks what came from messages */
    int autoescape;
    int has_time;
    jj_time time;
} jj_rt;

/* Arguments of a call. */
typedef struct jj_args {
    jv *v;
    size_t n;
    strv *names; /* keyword arguments */
    jv *named;
    size_t n_named;
} jj_args;

typedef jv (*jj_fn)(jj_rt *rt, const jj_args *args);
struct jj_function {
    const char *name;
    jj_fn call;
    const char *shown; /* a class: how Python names it; NULL: a function */
};

/* ---- errors and bounds ---- */

static inline int jj_ok(const jj_rt *rt) { return !rt->failed; }
/* Records the first failure. -> None, so that it can be returned. */
jv jj_fail(jj_rt *rt, const char *fmt, ...) BASE_PRINTF(2, 3);
jv jj_limit(jj_rt *rt, const char *fmt, ...) BASE_PRINTF(2, 3);
void jj_no_memory(jj_rt *rt, size_t bytes);
/* Counts work; 0 when the rendering has failed or is out of steps. */
int jj_step(jj_rt *rt, size_t n);
int jj_work(jj_rt *rt, size_t bytes); /* steps for text of so many bytes */
/* 1 when so many more bytes fit in the memory limit. */
int jj_room(jj_rt *rt, size_t n, size_t size);
/* Enters a level of calls; 0: too deep. */
int jj_enter(jj_rt *rt);
static inline void jj_leave(jj_rt *rt) { rt->depth--; }

/* Zeroed arena memory, or NULL with the failure recorded. */
void *jj_alloc(jj_rt *rt, size_t bytes);
void *jj_array(jj_rt *rt, size_t n, size_t size);

/* ---- making values ---- */

static inline jv jj_missing(void) { return (jv){JJ_MISSING, {0}}; }
static inline jv jj_none(void) { return (jv){JJ_NONE, {0}}; }
static inline jv jj_bool(int b) { return (jv){JJ_BOOL, {.b = b != 0}}; }
static inline jv jj_int(int64_t i) { return (jv){JJ_INT, {.i = i}}; }
static inline jv jj_float(double f) { return (jv){JJ_FLOAT, {.f = f}}; }
static inline jv jj_function_value(const jj_function *fn) { return (jv){JJ_FUNCTION, {.fn = fn}}; }
jv jj_text(jj_rt *rt, strv text);             /* a copy */
jv jj_borrow(jj_rt *rt, strv text);           /* text outlives the rendering */
jv jj_marked(jj_rt *rt, jv text);             /* the same text as markup */
jv jj_take(jj_rt *rt, buf *b);                /* copies a builder's text and frees it */
jv jj_undefined(jj_rt *rt, const char *what); /* what: a literal */
jv jj_undefined_name(jj_rt *rt, const char *owner, strv name); /* owner NULL: a variable */
jj_list *jj_list_new(jj_rt *rt, size_t cap);
void jj_push(jj_rt *rt, jj_list *l, jv v); /* l may be NULL */
jv jj_list_value(jj_rt *rt, jj_list *l);
jv jj_tuple_value(jj_rt *rt, jj_list *l);
jv jj_pair(jj_rt *rt, jv a, jv b);
jv jj_from_json(jj_rt *rt, const json *v);

/* ---- dicts ---- */

jj_dict *jj_dict_new(jj_rt *rt);
jv jj_dict_value(jj_rt *rt, jj_dict *d);
/* 1 and *h, or 0: not hashable. */
int jj_hash(jj_rt *rt, jv v, uint64_t *h);
/* -> the entry, or NULL: absent. *hashable may be NULL. */
jj_entry *jj_dict_find(jj_rt *rt, const jj_dict *d, jv key, int *hashable);
jj_entry *jj_dict_find_str(const jj_dict *d, strv key);
void jj_dict_set(jj_rt *rt, jj_dict *d, jv key, jv value); /* fails on unhashable keys */

/* ---- asking ---- */

int jj_truth(jv v);
const char *jj_type_name(jv v); /* as Python names the type */
static inline strv jj_strv(jv v) { return (strv){v.u.s->p, v.u.s->n}; }
static inline int jj_is_str(jv v) { return v.type == JJ_STR; }
/* int or bool -> 1 and its value. */
static inline int jj_as_int(jv v, int64_t *out)
{
    if (v.type == JJ_INT)
        *out = v.u.i;
    else if (v.type == JJ_BOOL)
        *out = v.u.b;
    else
        return 0;
    return 1;
}
int jj_is_number(jv v);                       /* bool, int, float (not BIG) */
int jj_is_int(jv v);                          /* bool, int, BIG */
int jj_double_of(jj_rt *rt, jv v, double *f); /* of any number; 0 after a failure: too large */
double jj_as_double(jv v);                    /* of a number */
int jj_len(jj_rt *rt, jv v, size_t *n);       /* 0: has no len() */
int jj_equal(jj_rt *rt, jv a, jv b);
/* Order of a and b as <0, 0, >0; fails TypeError. op: for the message */
int jj_compare(jj_rt *rt, jv a, jv b, const char *op);
int jj_orderable(jj_rt *rt, jv a, jv b); /* 0: an order is a TypeError */
int jj_same(jv a, jv b);                 /* Python's `is` */
int jj_contains(jj_rt *rt, jv item, jv container);
jv jj_fail_undefined(jj_rt *rt, jv v);

/* ---- text of values ---- */

void jj_write_str(jj_rt *rt, buf *b, jv v);  /* str(v) */
void jj_write_repr(jj_rt *rt, buf *b, jv v); /* repr(v) */
jv jj_str_of(jj_rt *rt, jv v);               /* str(v); a str as it is, without markup */
jv jj_soft_str(jj_rt *rt, jv v);             /* str(v); a str as it is */
void jj_write_escaped(jj_rt *rt, buf *b, jv v);
jv jj_escape(jj_rt *rt, jv v);
typedef struct jj_json_style {
    int ensure_ascii, sort_keys, has_indent;
    strv indent, item, colon;
} jj_json_style;
jv jj_json(jj_rt *rt, jv v, const jj_json_style *style);

/* The entries of d in order of their keys, equal ones in d's order: a stable insertion into a
 * sorted run, by halves. before: whether key a comes before b. NULL: rt failed. */
jj_entry *jj_sorted(jj_rt *rt, const jj_dict *d, int (*before)(jj_rt *rt, jv a, jv b));
void jj_float_repr(buf *b, double f);

/* ---- iterating ---- */

typedef struct jj_native_iter jj_native_iter;
/* An iterator over v; NULL and a failure when v is not iterable. */
jj_iter *jj_iterate(jj_rt *rt, jv v);
int jj_iterable(jv v);
/* 1 and the next item, or 0 at the end and after a failure. */
int jj_next(jj_rt *rt, jj_iter *it, jv *out);
jj_list *jj_collect(jj_rt *rt, jv v); /* list(v); NULL on failure */
jj_iter *jj_iter_list(jj_rt *rt, jj_list *l);
jv jj_reversed(jj_rt *rt, jv v, int *can); /* reversed(v); *can 0: TypeError, nothing recorded */
/* A generator: next() gives 1 and an item, or 0. It runs only when it is read. */
typedef int (*jj_generate)(jj_rt *rt, void *state, jv *out);
jv jj_generator(jj_rt *rt, jj_generate next, void *state);
/* Items of a view or dict as pairs, keys, values. */
jv jj_view_new(jj_rt *rt, jj_view_kind kind, jj_dict *d);
jv jj_range_new(jj_rt *rt, int64_t start, int64_t stop, int64_t step);
static inline int64_t jj_range_at(const jj_range *r, size_t i)
{
    return (int64_t)((uint64_t)r->start + (uint64_t)i * (uint64_t)r->step);
}

/* ---- operators ---- */

typedef enum jj_op { JJ_ADD, JJ_SUB, JJ_MUL, JJ_DIV, JJ_FLOORDIV, JJ_MOD, JJ_POW } jj_op;
jv jj_binary(jj_rt *rt, jj_op op, jv a, jv b);
jv jj_negate(jj_rt *rt, jv v);
jv jj_plus(jj_rt *rt, jv v);
jv jj_to_int(jj_rt *rt, jv v, int *ok);   /* int(v); *ok 0: TypeError or ValueError */
jv jj_to_float(jj_rt *rt, jv v, int *ok); /* float(v) */
jv jj_int_from_text(jj_rt *rt, strv text, int base, int *ok); /* int("0x1f", 16) */

/* ---- attributes, items, calls ---- */

jv jj_getattr(jj_rt *rt, jv v, strv name);
jv jj_getitem(jj_rt *rt, jv v, jv key);
/* Only what `attr` sees: attributes, no items. *found 0: there is none */
jv jj_attribute(jj_rt *rt, jv v, strv name, int *found);
int jj_has_attribute(jv v, strv name); /* with two underscores, which the sandbox hides */
jv jj_slice(jj_rt *rt, jv v, jv start, jv stop, jv step);
int jj_can_slice(jv v, const jv part[3]); /* 0: it is a TypeError */
jv jj_call(jj_rt *rt, jv fn, const jj_args *args);
int jj_callable(jv v);
jv jj_call_method(jj_rt *rt, jv self, int id, const jj_args *args);
int jj_method_id(jv self, strv name); /* 0: none */
jv jj_method_value(jj_rt *rt, jv self, int id);
/* Shared by methods and filters. */
jj_list *jj_splitlines(jj_rt *rt, jv text, int keep_ends);
jv jj_replace(jj_rt *rt, strv text, strv old, strv with, int64_t max); /* max < 0: all */
int jj_all_case(strv text, int upper); /* str.isupper, str.islower */
jv jj_dict_fromkeys(jj_rt *rt, const jj_args *args);

/* Puts arguments on parameters. params: "name,name,..." ('/' first: by position only), the first
 * `required` of them must be given; absent ones are JJ_MISSING. -> 0 after a failure */
int jj_bind(jj_rt *rt, const char *fn, const char *params, size_t required, const jj_args *args,
            jv *out);
/* Typed reading of a bound argument; 0 after a failure. A missing one leaves *out. */
int jj_arg_int(jj_rt *rt, const char *what, jv v, int64_t *out);
/* The same where Python's own code wants a C int. */
int jj_arg_c_int(jj_rt *rt, const char *what, jv v, int64_t *out);
/* The same for a place in a sequence: one beyond 64 bits is the first or last there is. */
int jj_arg_place(jj_rt *rt, const char *what, jv v, int64_t *out);
int jj_arg_str(jj_rt *rt, const char *what, jv v, strv *out);

/* ---- filters, tests, globals, formatting ---- */

const jj_function *jj_filter_find(strv name);
const jj_function *jj_test_find(strv name);
const jj_function *jj_global_find(strv name);
jv jj_call_filter(jj_rt *rt, jv name, jv value, const jj_args *rest);
int jj_call_test(jj_rt *rt, jv name, jv value, const jj_args *rest);
/* A value's path by `attribute=`: "a.0.b"; fallback JJ_MISSING: none. */
jv jj_path(jj_rt *rt, jv item, jv path, jv fallback);

jv jj_percent(jj_rt *rt, jv format, jv args);                   /* "%s" % args */
jv jj_format_method(jj_rt *rt, jv format, const jj_args *args); /* "{}".format(args) */
void jj_format_spec(jj_rt *rt, buf *b, jv v, strv spec);        /* format(v, spec) */
void jj_strftime(jj_rt *rt, buf *b, const jj_time *t, strv format);

#endif
