/* resolve.c: gives every name its slot, as the reference's compiler gives it a Python variable.
 *
 * Owns: which scope a name belongs to. Two walks over each scope: the first collects what the scope
 * loads and stores, the second assigns slots and goes into the scopes inside.
 *
 * A name that a scope only reads is looked up in the scopes around it, then in the request and the
 * globals when the scope is entered. A name that a scope assigns starts with the value that it has
 * around the scope (or empty), and the assignment ends with the scope. A name that only some
 * branches of an `if` assign starts with what it would be without them.
 *
 * Slots belong to (unit, level, name): scopes side by side share them, as the reference's variables
 * l_1_x do.
 * Source: jinja2 3.1.6 idtracking.py and compiler.py.
 * Traps: a name assigned anywhere at the top level belongs to the template from its start, so a
 *        loop before the assignment reads it as undefined even if the request has it. A filter or
 *        test that does not exist is an error at once, except directly inside of an if or a
 *        conditional expression. The filter of a set block knows only names that are known
 *        around. */
#include "text/template/text.h"
#include "text/template/tree.h"

enum { MAX_NAMED_BLOCKS = 1000 };

/* ---- a map of integers ---- */

typedef struct map {
    uint64_t *keys; /* key + 1; 0: free */
    uint32_t *values;
    size_t n, cap;
} map;

static size_t map_place(const map *m, uint64_t key)
{
    size_t at = (size_t)((key * 0x9E3779B97F4A7C15u) >> 32) & (m->cap - 1);
    while (m->keys[at] && m->keys[at] != key + 1)
        at = (at + 1) & (m->cap - 1);
    return at;
}

static uint32_t *map_find(const map *m, uint64_t key)
{
    size_t at;
    if (!m->cap) return NULL;
    at = map_place(m, key);
    return m->keys[at] ? m->values + at : NULL;
}

static void map_set(jj_compiler *c, map *m, uint64_t key, uint32_t value)
{
    size_t at;
    if (m->n * 2 >= m->cap) {
        map grown = {.cap = m->cap ? m->cap * 2 : 8};
        grown.keys = jj_scratch(c, grown.cap, sizeof *grown.keys);
        grown.values = jj_scratch(c, grown.cap, sizeof *grown.values);
        if (!grown.keys || !grown.values) return;
        for (size_t i = 0; i < m->cap; i++)
            if (m->keys[i]) {
                at = map_place(&grown, m->keys[i] - 1);
                grown.keys[at] = m->keys[i];
                grown.values[at] = m->values[i];
                grown.n++;
            }
        *m = grown;
    }
    at = map_place(m, key);
    if (!m->keys[at]) m->n++;
    m->keys[at] = key + 1;
    m->values[at] = value;
}

/* ---- symbols of a scope ---- */

typedef struct symbols symbols;

typedef struct symbol {
    uint32_t name;
    int known, stored; /* has a slot here; is assigned here */
    jj_load_how how;
    symbols *from; /* LOAD_ALIAS: the scope whose slot it copies */
} symbol;

struct symbols {
    symbols *parent;
    symbols *base; /* a branch of an `if`: what it adds to base */
    jj_unit *unit;
    uint32_t level;
    map index; /* name -> place in list */
    symbol *list;
    size_t n, cap;
};

typedef struct resolver {
    jj_compiler *c;
    map names; /* hash of a name -> first of a chain in name_list */
    strv *name_list;
    uint32_t *name_next;
    size_t n_names, cap_names;
    symbols *at; /* the scope that the first walk collects into */
    size_t fors; /* loops around, whatever the unit */
    jj_escape_mode escape;
    jj_node_list blocks;
} resolver;

/* What the second walk knows about where it is. */
typedef struct place {
    symbols *s;
    jj_unit *unit;
    int soft, toplevel;
} place;

static uint32_t intern(resolver *r, strv name)
{
    uint64_t h = 14695981039346656037u;
    uint32_t *first, id;
    for (size_t i = 0; i < name.n; i++)
        h = (h ^ (unsigned char)name.p[i]) * 1099511628211u;
    h >>= 1;
    first = map_find(&r->names, h);
    for (id = first ? *first : 0; id; id = r->name_next[id - 1])
        if (strv_eq(r->name_list[id - 1], name)) return id - 1;
    if (r->n_names == r->cap_names) {
        size_t cap = r->cap_names ? r->cap_names * 2 : 64;
        strv *list = jj_scratch(r->c, cap, sizeof *list);
        uint32_t *next = jj_scratch(r->c, cap, sizeof *next);
        if (!list || !next) return 0;
        if (r->n_names) {
            memcpy(list, r->name_list, r->n_names * sizeof *list);
            memcpy(next, r->name_next, r->n_names * sizeof *next);
        }
        r->name_list = list;
        r->name_next = next;
        r->cap_names = cap;
    }
    r->name_list[r->n_names] = name;
    r->name_next[r->n_names] = first ? *first : 0;
    map_set(r->c, &r->names, h, (uint32_t)++r->n_names);
    return (uint32_t)r->n_names - 1;
}

static symbols *symbols_new(resolver *r, symbols *parent, jj_unit *unit)
{
    symbols *s = jj_scratch(r->c, 1, sizeof *s);
    if (!s) return NULL;
    s->parent = parent;
    s->unit = unit;
    s->level = parent ? parent->level + 1 : 0;
    return s;
}

static symbol *own(const symbols *s, uint32_t name)
{
    uint32_t *at = s ? map_find(&s->index, name) : NULL;
    return at ? s->list + *at : NULL;
}

/* The symbol as s sees it: of a branch, or of what the branch adds to. */
static symbol *here(const symbols *s, uint32_t name)
{
    symbol *found = NULL;
    for (; s && !found; s = s->base)
        found = own(s, name);
    return found;
}

/* s's own record of a name, with what its base says copied in. */
static symbol *touch(resolver *r, symbols *s, uint32_t name)
{
    symbol *found = own(s, name), *below;
    if (found || !s) return found;
    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 4;
        symbol *grown = jj_scratch(r->c, cap, sizeof *grown);
        if (!grown) return NULL;
        if (s->list) memcpy(grown, s->list, s->n * sizeof *grown);
        s->list = grown;
        s->cap = cap;
    }
    below = here(s->base, name);
    found = s->list + s->n;
    *found = below ? *below : (symbol){.name = name};
    map_set(r->c, &s->index, name, (uint32_t)s->n++);
    return found;
}

/* The scope, from s outwards, that has a slot for the name. */
static symbols *owner(symbols *s, uint32_t name)
{
    for (; s; s = s->parent) {
        symbol *found = here(s, name);
        if (found && found->known) return s;
    }
    return NULL;
}

static void load(resolver *r, uint32_t name)
{
    symbol *sym;
    if (owner(r->at, name)) return;
    sym = touch(r, r->at, name);
    if (!sym) return;
    sym->known = 1;
    sym->how = LOAD_RESOLVE;
}

static void store(resolver *r, uint32_t name)
{
    symbol *sym = touch(r, r->at, name);
    if (!sym) return;
    sym->stored = 1;
    if (sym->known) return;
    sym->known = 1;
    sym->from = r->at->parent ? owner(r->at->parent, name) : NULL;
    sym->how = sym->from ? LOAD_ALIAS : LOAD_EMPTY;
}

static void declare(resolver *r, symbols *s, uint32_t name)
{
    symbol *sym = touch(r, s, name);
    if (!sym) return;
    sym->stored = sym->known = 1;
    sym->how = LOAD_PARAM;
}

/* ---- first walk ---- */

typedef void (*visit_fn)(resolver *r, jj_node *n, void *state);

static void each(resolver *r, jj_nodes list, visit_fn fn, void *state)
{
    for (size_t i = 0; i < list.n; i++)
        fn(r, list.p[i], state);
}

static void one(resolver *r, jj_node *n, visit_fn fn, void *state)
{
    if (n) fn(r, n, state);
}

/* The children of a node in the order of the reference's fields. */
static void children(resolver *r, jj_node *n, visit_fn fn, void *state)
{
    switch (n->kind) {
    case N_FOR:
        one(r, n->a, fn, state);
        one(r, n->b, fn, state);
        each(r, n->x, fn, state);
        each(r, n->z, fn, state);
        one(r, n->c, fn, state);
        return;
    case N_MACRO:
    case N_CALL_BLOCK:
    case N_GENERATION:
        one(r, n->a, fn, state);
        each(r, n->y, fn, state);
        each(r, n->z, fn, state);
        each(r, n->x, fn, state);
        return;
    case N_FILTER_BLOCK:
        each(r, n->x, fn, state);
        one(r, n->b, fn, state);
        return;
    case N_WITH:
        each(r, n->y, fn, state);
        each(r, n->z, fn, state);
        each(r, n->x, fn, state);
        return;
    case N_CALL:
    case N_FILTER:
    case N_TEST:
        one(r, n->a, fn, state);
        each(r, n->x, fn, state);
        each(r, n->y, fn, state);
        one(r, n->b, fn, state);
        one(r, n->c, fn, state);
        return;
    default:
        one(r, n->a, fn, state);
        one(r, n->b, fn, state);
        one(r, n->c, fn, state);
        each(r, n->x, fn, state);
        each(r, n->y, fn, state);
        each(r, n->z, fn, state);
    }
}

static void collect(resolver *r, jj_node *n, void *state);

static symbols *branch(resolver *r, symbols *base, jj_nodes body)
{
    symbols *s = symbols_new(r, base->parent, base->unit), *back = r->at;
    if (!s) return NULL;
    s->level = base->level;
    s->base = base;
    r->at = s;
    each(r, body, collect, NULL);
    r->at = back;
    return s;
}

/* Takes what the branches of an `if` add into the scope. */
static void merge(resolver *r, symbols *s, symbols *const parts[3])
{
    map newly = {0};
    for (int i = 0; i < 3; i++)
        for (size_t k = 0; parts[i] && k < parts[i]->n; k++) {
            const symbol *sym = parts[i]->list + k;
            symbol *before = here(s, sym->name);
            if (sym->stored && !(before && before->stored)) map_set(r->c, &newly, sym->name, 1);
        }
    for (int i = 0; i < 3; i++)
        for (size_t k = 0; parts[i] && k < parts[i]->n; k++) {
            const symbol sym = parts[i]->list[k];
            symbol *into = touch(r, s, sym.name);
            int stored;
            if (!into) return;
            stored = into->stored || sym.stored;
            *into = sym;
            into->stored = stored;
            if (!map_find(&newly, sym.name)) continue;
            into->from = s->parent ? owner(s->parent, sym.name) : NULL;
            into->how = into->from ? LOAD_ALIAS : LOAD_RESOLVE;
        }
}

static void collect_name(resolver *r, jj_node *n, int as_param)
{
    uint32_t name = intern(r, n->name);
    if (as_param || n->op == USE_PARAM)
        declare(r, r->at, name);
    else if (n->op == USE_STORE)
        store(r, name);
    else
        load(r, name);
}

static void collect(resolver *r, jj_node *n, void *state)
{
    symbols *s = r->at, *parts[3];
    if (!n || !jj_fine(r->c)) return;
    switch (n->kind) {
    case N_NAME:
        collect_name(r, n, 0);
        return;
    case N_NSREF:
        load(r, intern(r, n->name));
        return;
    case N_IF:
        collect(r, n->a, state);
        parts[0] = branch(r, s, n->x);
        parts[1] = branch(r, s, n->y);
        parts[2] = branch(r, s, n->z);
        merge(r, s, parts);
        return;
    case N_MACRO:
        store(r, intern(r, n->name));
        return;
    case N_SET:
        collect(r, n->b, state);
        collect(r, n->a, state);
        return;
    case N_FOR:
    case N_FILTER_BLOCK:
        collect(r, n->b, state);
        return;
    case N_CALL_BLOCK:
    case N_SET_BLOCK:
        collect(r, n->a, state);
        return;
    case N_WITH:
        each(r, n->z, collect, state);
        return;
    case N_GENERATION:
    case N_AUTOESCAPE:
    case N_BLOCK:
    case N_UNSUPPORTED:
        return;
    default:
        children(r, n, collect, state);
    }
}

static void collect_target(resolver *r, jj_node *n)
{
    if (!n) return;
    if (n->kind == N_NAME)
        collect_name(r, n, 1);
    else
        for (size_t i = 0; i < n->x.n; i++)
            collect_target(r, n->x.p[i]);
}

static void collect_into(resolver *r, symbols *s, jj_nodes list)
{
    symbols *back = r->at;
    if (!s) return;
    r->at = s;
    each(r, list, collect, NULL);
    r->at = back;
}

/* ---- which of loop, caller, kwargs, ... a body reads without setting it ---- */

enum {
    WANT_CALLER = 1,
    WANT_KWARGS = 2,
    WANT_VARARGS = 4,
    WANT_LOOP = 8,
    WANT_SELF = 16,
    WANT_SUPER = 32
};

typedef struct wanted {
    unsigned open, found;
} wanted;

static void undeclared(resolver *r, jj_node *n, void *state)
{
    static const char *const NAMES[] = {"caller", "kwargs", "varargs", "loop", "self", "super"};
    wanted *w = state;
    if (!n || !w->open) return;
    if (n->kind == N_BLOCK) return;
    if (n->kind != N_NAME) {
        children(r, n, undeclared, state);
        return;
    }
    for (unsigned i = 0; i < 6; i++) {
        if (!(w->open & 1u << i) || !strv_is(n->name, NAMES[i])) continue;
        if (n->op == USE_LOAD)
            w->found |= 1u << i;
        else
            w->open &= ~(1u << i);
    }
}

static unsigned find_undeclared(resolver *r, jj_nodes body, unsigned names)
{
    wanted w = {names, 0};
    each(r, body, undeclared, &w);
    return w.found;
}

static void find_scoped(resolver *r, jj_node *n, void *state)
{
    int *found = state;
    if (n->kind == N_BLOCK && n->op)
        *found = 1;
    else if (!*found)
        children(r, n, find_scoped, state);
}

/* Whether a loop needs its loop variable. */
static int wants_loop(resolver *r, jj_node *n)
{
    int scoped = 0;
    if (n->flag || find_undeclared(r, n->x, WANT_LOOP)) return 1;
    children(r, n, find_scoped, &scoped);
    return scoped;
}

/* ---- second walk: slots ---- */

static void assign(resolver *r, jj_node *n, const place *at);

static void assign_all(resolver *r, jj_nodes list, const place *at)
{
    for (size_t i = 0; i < list.n && jj_fine(r->c); i++)
        assign(r, list.p[i], at);
}

static jj_unit *unit_new(resolver *r, jj_unit *parent)
{
    jj_unit *u = jj_keep(r->c, sizeof *u);
    if (!u) return NULL;
    u->parent = parent;
    u->names = jj_scratch(r->c, 1, sizeof(map));
    return u->names ? u : NULL;
}

static uint32_t slot_at(resolver *r, jj_unit *unit, uint32_t level, uint32_t name)
{
    uint64_t key = (uint64_t)level << 32 | name;
    uint32_t *found;
    if (!unit) return 0;
    found = map_find(unit->names, key);
    if (found) return *found;
    map_set(r->c, unit->names, key, (uint32_t)unit->slots);
    return (uint32_t)unit->slots++;
}

static jj_slot slot_from(resolver *r, const jj_unit *unit, const symbols *s, uint32_t name)
{
    jj_slot slot = {0};
    for (; unit && unit != s->unit; unit = unit->parent)
        slot.hops++;
    slot.at = slot_at(r, s->unit, s->level, name);
    return slot;
}

static jj_slot slot_of(resolver *r, const jj_node *n, strv text, const place *at)
{
    uint32_t name = intern(r, text);
    symbols *s = owner(at->s, name);
    if (!s) {
        jj_syntax(r->c, n->pos, "the name '%.*s' is not known here",
                  (int)(text.n < 80 ? text.n : 80), text.p);
        return (jj_slot){0};
    }
    return slot_from(r, at->unit, s, name);
}

static jj_scope *scope_of(resolver *r, const symbols *s)
{
    jj_scope *scope = jj_keep(r->c, sizeof *scope);
    if (!scope || !s) return NULL;
    scope->loads = s->n ? jj_keep(r->c, s->n * sizeof *scope->loads) : NULL;
    if (s->n && !scope->loads) return NULL;
    for (size_t i = 0; i < s->n; i++) {
        const symbol *sym = s->list + i;
        jj_load *l = scope->loads + scope->n;
        if (!sym->known) continue;
        scope->n++;
        l->how = sym->how;
        l->at = slot_at(r, s->unit, s->level, sym->name);
        if (sym->how == LOAD_RESOLVE) l->name = r->name_list[sym->name];
        if (sym->how == LOAD_ALIAS) l->from = slot_from(r, s->unit, sym->from, sym->name);
    }
    return scope;
}

static uint32_t special_slot(resolver *r, const symbols *s, const char *name)
{
    return slot_at(r, s->unit, s->level, intern(r, strv_of(name)));
}

/* A macro, call block or generation block: its unit, parameters and body. */
static void assign_macro(resolver *r, jj_node *n, const place *at)
{
    static const char *const SPECIAL[] = {"caller", "kwargs", "varargs"};
    jj_unit *unit = unit_new(r, at->unit);
    symbols *s = symbols_new(r, at->s, unit);
    place inside = {s, unit, 0, 0};
    unsigned own_names = 0, found;
    if (!unit || !s) return;
    for (int pass = 0; pass < 2; pass++) {
        collect_into(r, s, n->y);
        collect_into(r, s, n->z);
        collect_into(r, s, n->x);
        if (pass) break;
        for (size_t i = 0; i < n->y.n; i++)
            for (unsigned k = 0; k < 3; k++)
                if (strv_is(n->y.p[i]->name, SPECIAL[k])) {
                    own_names |= 1u << k;
                    if (!k && n->y.n - i > n->z.n) own_names |= 0x100;
                }
        found = find_undeclared(r, n->x, WANT_CALLER | WANT_KWARGS | WANT_VARARGS);
        if ((found & WANT_CALLER) && (own_names & 0x100))
            jj_syntax(r->c, n->pos, "the parameter 'caller' needs a default");
        n->tracks = (uint8_t)found;
        /* An explicit parameter of that name is an ordinary one. */
        n->flag = (uint8_t)(own_names & WANT_CALLER);
        n->tracks &= (uint8_t) ~(own_names & (WANT_KWARGS | WANT_VARARGS));
        for (unsigned k = 0; k < 3; k++)
            if ((n->tracks & 1u << k) && !(own_names & 1u << k))
                declare(r, s, intern(r, strv_of(SPECIAL[k])));
    }
    for (unsigned k = 0; k < 3; k++)
        if (n->tracks & 1u << k) unit->special[k] = special_slot(r, s, SPECIAL[k]);
    assign_all(r, n->y, &inside);
    assign_all(r, n->z, &inside);
    assign_all(r, n->x, &inside);
    n->unit = unit;
    n->scope = scope_of(r, s);
}

static jj_node *clone_target(resolver *r, const jj_node *n)
{
    jj_node *copy = n ? jj_keep(r->c, sizeof *copy) : NULL;
    if (!copy) return NULL;
    *copy = *n;
    if (n->x.n) {
        copy->x.p = jj_keep(r->c, n->x.n * sizeof *copy->x.p);
        for (size_t i = 0; copy->x.p && i < n->x.n; i++)
            copy->x.p[i] = clone_target(r, n->x.p[i]);
        if (!copy->x.p) return NULL;
    }
    return copy;
}

static void assign_for_filter(resolver *r, jj_node *n, const place *at)
{
    jj_unit *unit = unit_new(r, at->unit);
    symbols *s = symbols_new(r, at->s, unit), *back = r->at;
    place inside = {s, unit, 0, 0};
    jj_node *target = clone_target(r, n->a);
    if (!unit || !s || !target) return;
    r->at = s;
    collect_target(r, target);
    collect(r, n->c, NULL);
    r->at = back;
    assign(r, target, &inside);
    assign(r, n->c, &inside);
    n->y.p = jj_keep(r->c, sizeof *n->y.p);
    if (!n->y.p) return;
    n->y.p[0] = target;
    n->y.n = 1;
    n->unit_test = unit;
    n->scope_test = scope_of(r, s);
}

static void assign_for(resolver *r, jj_node *n, const place *at)
{
    jj_unit *unit = n->flag ? unit_new(r, at->unit) : at->unit;
    symbols *s = symbols_new(r, at->s, unit), *rest = symbols_new(r, at->s, unit), *back = r->at;
    place inside = {s, unit, 0, 0}, otherwise = {rest, unit, 0, 0};
    if (!unit || !s || !rest) return;
    n->tracks = (uint8_t)wants_loop(r, n);
    if (n->tracks) declare(r, s, intern(r, STRV("loop")));
    r->at = s;
    collect_target(r, n->a);
    r->at = back;
    collect_into(r, s, n->x);
    collect_into(r, rest, n->z);
    r->fors++;
    if (n->c) assign_for_filter(r, n, at);
    assign(r, n->a, &inside);
    assign(r, n->b, at);
    assign_all(r, n->x, &inside);
    assign_all(r, n->z, &otherwise);
    r->fors--;
    if (n->tracks) n->slot = (jj_slot){0, special_slot(r, s, "loop")};
    n->unit = n->flag ? unit : NULL;
    n->scope = scope_of(r, s);
    if (n->z.n) n->scope_else = scope_of(r, rest);
}

static void assign_with(resolver *r, jj_node *n, const place *at)
{
    symbols *s = symbols_new(r, at->s, at->unit);
    place inside = {s, at->unit, 0, 0};
    collect_into(r, s, n->y);
    collect_into(r, s, n->x);
    assign_all(r, n->y, &inside);
    assign_all(r, n->z, at);
    assign_all(r, n->x, &inside);
    n->scope = scope_of(r, s);
}

static void assign_filter_block(resolver *r, jj_node *n, const place *at)
{
    jj_node *inner = n->b;
    symbols *s = symbols_new(r, at->s, at->unit), *back = r->at;
    place inside = {s, at->unit, 0, 0};
    if (!s) return;
    collect_into(r, s, n->x);
    if (n->kind == N_FILTER_BLOCK) {
        r->at = s;
        collect(r, n->b, NULL);
        r->at = back;
    }
    assign_all(r, n->x, &inside);
    if (n->b) assign(r, n->b, &inside);
    for (; inner; inner = inner->a)
        inner->escape = (uint8_t)r->escape;
    if (n->kind == N_SET_BLOCK) assign(r, n->a, at);
    n->scope = scope_of(r, s);
}

static void assign_autoescape(resolver *r, jj_node *n, const place *at)
{
    jj_escape_mode back = r->escape;
    symbols *s = symbols_new(r, at->s, at->unit), *outer = r->at;
    place inside = {s, at->unit, 0, 0};
    if (!s) return;
    r->at = s;
    collect(r, n->a, NULL);
    r->at = outer;
    collect_into(r, s, n->x);
    assign(r, n->a, &inside);
    r->escape = n->a->kind != N_CONST ? ESCAPE_RUNTIME : jj_truth(n->a->v) ? ESCAPE_ON : ESCAPE_OFF;
    assign_all(r, n->x, &inside);
    r->escape = back;
    n->scope = scope_of(r, s);
}

/* `self` and `super` of a block or of the template become names of its scope. */
static void declare_self(resolver *r, jj_node *n, symbols *s, unsigned which)
{
    unsigned found = find_undeclared(r, n->x, which);
    n->tracks = (uint8_t)(found / WANT_SELF);
    if (found & WANT_SELF) {
        declare(r, s, intern(r, STRV("self")));
        s->unit->special[4] = special_slot(r, s, "self");
    }
    if (found & WANT_SUPER) {
        declare(r, s, intern(r, STRV("super")));
        s->unit->special[5] = special_slot(r, s, "super");
    }
}

/* What a scoped block sees: the nearest of each name that is assigned here or around. */
static jj_scope *seen_from(resolver *r, const place *at)
{
    jj_scope *scope = jj_keep(r->c, sizeof *scope);
    map names = {0};
    size_t n = 0;
    for (const symbols *s = at->s; s; s = s->parent)
        n += s->n;
    if (!scope) return NULL;
    scope->loads = jj_keep(r->c, (n + 1) * sizeof *scope->loads);
    for (const symbols *s = at->s; s && scope->loads; s = s->parent)
        for (size_t i = 0; i < s->n; i++) {
            const symbol *sym = s->list + i;
            symbols *from;
            if (!sym->stored || map_find(&names, sym->name)) continue;
            map_set(r->c, &names, sym->name, 1);
            from = owner(at->s, sym->name);
            if (!from) continue;
            scope->loads[scope->n].name = r->name_list[sym->name];
            scope->loads[scope->n++].from = slot_from(r, at->unit, from, sym->name);
        }
    return scope->loads ? scope : NULL;
}

static void assign_block(resolver *r, jj_node *n, const place *at)
{
    jj_unit *unit = unit_new(r, NULL);
    symbols *s = symbols_new(r, NULL, unit);
    place inside = {s, unit, 0, 0};
    jj_escape_mode back = r->escape;
    if (!unit || !s) return;
    if (n->op) n->scope_else = seen_from(r, at);
    declare_self(r, n, s, WANT_SELF | WANT_SUPER);
    /* A block is compiled by itself: what is around it does not count. */
    r->escape = ESCAPE_OFF;
    collect_into(r, s, n->x);
    assign_all(r, n->x, &inside);
    r->escape = back;
    n->unit = unit;
    n->scope = scope_of(r, s);
}

static void assign_call(resolver *r, jj_node *n, const place *at)
{
    place soft = *at;
    if (n->kind != N_CALL && !n->fn && !at->soft)
        jj_syntax(r->c, n->pos, "there is no %s '%.*s'", n->kind == N_FILTER ? "filter" : "test",
                  (int)(n->name.n < 80 ? n->name.n : 80), n->name.p);
    n->escape = (uint8_t)r->escape;
    if (n->a) assign(r, n->a, &soft);
    assign_all(r, n->x, &soft);
    for (size_t i = 0; i < n->y.n; i++)
        assign(r, n->y.p[i]->a, &soft);
    if (n->b) assign(r, n->b, &soft);
    if (n->c) assign(r, n->c, &soft);
}

/* Where only the rendering knows whether to escape, the reference works out no constants, except
 * for a whole output, which it then never escapes. */
static void assign_volatile(resolver *r, jj_node *n)
{
    if (n->kind == N_CONCAT || n->kind == N_GETITEM) n->flag = 0;
    for (size_t i = 0; n->kind == N_OUTPUT && i < n->x.n; i++)
        if (n->x.p[i]->constant)
            jj_syntax(
                r->c, n->x.p[i]->pos,
                "printing a constant is not supported where autoescape depends on a variable");
}

static void assign(resolver *r, jj_node *n, const place *at)
{
    place soft;
    if (!n || !jj_fine(r->c)) return;
    switch (n->kind) {
    case N_NAME:
        if (n->op == USE_STORE && r->fors && strv_is(n->name, "loop"))
            jj_syntax(r->c, n->pos, "the loop variable 'loop' cannot be assigned to");
        n->slot = slot_of(r, n, n->name, at);
        n->flag = n->op == USE_STORE && at->toplevel;
        return;
    case N_NSREF:
        n->slot = slot_of(r, n, n->name, at);
        return;
    case N_MACRO:
        n->slot = slot_of(r, n, n->name, at);
        n->op = (uint8_t)at->toplevel;
        assign_macro(r, n, at);
        return;
    case N_CALL_BLOCK:
        assign_macro(r, n, at);
        assign(r, n->a, at);
        return;
    case N_GENERATION:
        assign_macro(r, n, at);
        return;
    case N_FOR:
        assign_for(r, n, at);
        return;
    case N_WITH:
        assign_with(r, n, at);
        return;
    case N_FILTER_BLOCK:
    case N_SET_BLOCK:
        assign_filter_block(r, n, at);
        return;
    case N_AUTOESCAPE:
        assign_autoescape(r, n, at);
        return;
    case N_BLOCK:
        if (r->blocks.n >= MAX_NAMED_BLOCKS)
            jj_compile_limit(r->c, n->pos, "too many {% block %} statements");
        for (size_t i = 0; i < r->blocks.n; i++)
            if (strv_eq(r->blocks.p[i]->name, n->name))
                jj_syntax(r->c, n->pos, "block '%.*s' is there twice", (int)n->name.n, n->name.p);
        jj_add(&(jj_parser){.c = r->c}, &r->blocks, n);
        assign_block(r, n, at);
        return;
    case N_CALL:
    case N_FILTER:
    case N_TEST:
        assign_call(r, n, at);
        return;
    case N_IF:
    case N_COND:
        soft = *at;
        soft.soft = 1;
        at = &soft;
        break;
    default:
        break;
    }
    n->escape = (uint8_t)r->escape;
    if (r->escape == ESCAPE_RUNTIME) assign_volatile(r, n);
    if (n->a) assign(r, n->a, at);
    if (n->b) assign(r, n->b, at);
    if (n->c) assign(r, n->c, at);
    assign_all(r, n->x, at);
    assign_all(r, n->y, at);
    assign_all(r, n->z, at);
}

void jj_resolve(jj_compiler *c)
{
    resolver r = {.c = c};
    jj_unit *unit = unit_new(&r, NULL);
    symbols *s = symbols_new(&r, NULL, unit);
    place top = {s, unit, 0, 1};
    jj_node *root = c->t->root;
    if (!unit || !s) return;
    declare_self(&r, root, s, WANT_SELF);
    collect_into(&r, s, root->x);
    assign_all(&r, root->x, &top);
    root->unit = unit;
    root->scope = scope_of(&r, s);
    c->t->blocks = jj_nodes_of(&(jj_parser){.c = c}, &r.blocks);
}
