/* parse.c: expressions: tokens to nodes, by recursive descent.
 *
 * Source: jinja2 3.1.6 parser.py; the order of precedence, from loose to tight:
 *   a if b else c | or | and | not | == != < > in | + - | ~ | * / // % | ** | unary + - | . [] () |
 *   filters, is
 * Traps: ** is left-associative and binds looser than a sign. A filter after a sign applies to the
 *        negated value. `is` takes one argument without parentheses. Adjacent strings are one. What
 *        is made of constants only, the reference works out when it compiles, and by other rules: a
 *        slice that is an error is undefined there, and a text joined with ~ is not marked. */
#include "text/template/big.h"
#include "text/template/text.h"
#include "text/template/tree.h"

#include <math.h>

enum { MAX_NESTING = 160, MAX_DEPTH = 400, MAX_NAMED = 500, MAX_DIGITS = 20000 };

static const jj_token EOF_TOKEN = {.type = TK_EOF};

const jj_token *jj_current(const jj_parser *p)
{
    if (!jj_fine(p->c)) return &EOF_TOKEN;
    p->c->at_end |= p->c->tokens[p->at].type == TK_EOF;
    return p->c->tokens + p->at;
}

const jj_token *jj_look(const jj_parser *p)
{
    if (!jj_fine(p->c) || p->at + 1 >= p->c->n_tokens) return &EOF_TOKEN;
    return p->c->tokens + p->at + 1;
}

const jj_token *jj_advance(jj_parser *p)
{
    const jj_token *token = jj_current(p);
    if (token->type != TK_EOF) p->at++;
    return token;
}

int jj_at_name(const jj_parser *p, const char *name)
{
    return jj_current(p)->type == TK_NAME && strv_is(jj_current(p)->text, name);
}

int jj_skip(jj_parser *p, jj_token_type type)
{
    if (jj_current(p)->type != type || type == TK_EOF) return 0;
    p->at++;
    return 1;
}

int jj_skip_name(jj_parser *p, const char *name)
{
    if (!jj_at_name(p, name)) return 0;
    p->at++;
    return 1;
}

static const char *const TOKEN_NAMES[] = {
    "end of template",
    "text",
    "{%",
    "%}",
    "{{",
    "}}",
    "a name",
    "a string",
    "an integer",
    "a float",
    "+",
    "-",
    "*",
    "/",
    "//",
    "%",
    "**",
    "~",
    "[",
    "]",
    "(",
    ")",
    "{",
    "}",
    "==",
    "!=",
    ">",
    ">=",
    "<",
    "<=",
    "=",
    ".",
    ":",
    "|",
    ",",
    ";",
};

static void unexpected(jj_parser *p, const char *want)
{
    const jj_token *t = jj_current(p);
    if (t->type == TK_NAME)
        jj_syntax(p->c, t->pos, "got '%.*s', want %s", (int)(t->text.n < 80 ? t->text.n : 80),
                  t->text.p, want);
    else
        jj_syntax(p->c, t->pos, "got %s, want %s", TOKEN_NAMES[t->type], want);
}

const jj_token *jj_expect(jj_parser *p, jj_token_type type)
{
    if (jj_current(p)->type != type) {
        unexpected(p, TOKEN_NAMES[type]);
        return &EOF_TOKEN;
    }
    return jj_advance(p);
}

/* ---- making nodes ---- */

jj_node *jj_node_new(jj_parser *p, jj_kind kind, uint32_t pos)
{
    jj_node *n = jj_keep(p->c, sizeof *n);
    if (!n) return NULL;
    n->kind = kind;
    n->pos = n->end = pos;
    return n;
}

static unsigned depth_of(const jj_node *n) { return n ? n->depth : 0; }

static unsigned deepest(jj_nodes list)
{
    unsigned depth = 0;
    for (size_t i = 0; i < list.n; i++)
        if (depth_of(list.p[i]) > depth) depth = depth_of(list.p[i]);
    return depth;
}

static int is_constant(const jj_node *n) { return !n || n->constant; }

static int all_constant(jj_nodes list)
{
    for (size_t i = 0; i < list.n; i++)
        if (!is_constant(list.p[i])) return 0;
    return 1;
}

/* A slice of a constant, inside of a constant or in an output. */
static void soften(jj_node *n)
{
    if (n && n->constant && n->kind == N_GETITEM) n->flag = 1;
}

static void soften_all(jj_nodes list)
{
    for (size_t i = 0; i < list.n; i++)
        soften(list.p[i]);
}

/* Filters that look at the names of the template, and what they need, are no constants. */
static int looks_at_context(strv name)
{
    static const char *const NAMES[] = {"map",    "select",     "selectattr",
                                        "reject", "rejectattr", "random"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (strv_is(name, NAMES[i])) return 1;
    return 0;
}

static void freeze_all(jj_nodes list);

/* A constant whose parent is none: the reference writes its value into code, item by item, and
 * inf and nan have no name there. A slice that is an error there stays one. */
static void freeze(jj_node *n)
{
    if (!n || !n->constant) return;
    switch (n->kind) {
    case N_CONST:
        n->frozen = n->v.type == JJ_FLOAT && !isfinite(n->v.u.f);
        return;
    case N_KEYWORD:
    case N_OPERAND:
    case N_SLICE:
        freeze(n->a);
        freeze(n->b);
        freeze(n->c);
        return;
    case N_TUPLE:
    case N_LIST:
    case N_DICT:
        freeze_all(n->x);
        freeze_all(n->y);
        return;
    case N_GETITEM:
        n->flag = 0;
        n->frozen = 1;
        return;
    default:
        n->frozen = 1;
    }
}

static void freeze_all(jj_nodes list)
{
    for (size_t i = 0; i < list.n; i++)
        freeze(list.p[i]);
}

static int half_constant(const jj_node *n)
{
    return n->constant || ((n->kind == N_AND || n->kind == N_OR || n->kind == N_COND) && n->a &&
                           half_constant(n->a));
}

/* The reference works an output's `and` and `if` out as far as they go: what decides may be a
 * constant where the rest is none. */
static void soften_decision(jj_node *n)
{
    if (n && (n->kind == N_AND || (n->kind == N_COND && n->c && n->c->constant))) soften(n->a);
}

/* What joins constants with an `and`, `or` or `if` that may be one: which rules hold is open. */
static int unclear(const jj_node *n)
{
    if (n->kind != N_CONCAT) return 0;
    for (size_t i = 0; i < n->x.n; i++)
        if (!n->x.p[i] || !half_constant(n->x.p[i])) return 0;
    return 1;
}

/* What literals, and what is made of them, say as a condition; -1: not known here. */
static int known_truth(const jj_node *n)
{
    int truth;
    switch (n ? n->kind : N_NAME) {
    case N_CONST:
        return jj_truth(n->v);
    case N_TUPLE:
    case N_LIST:
    case N_DICT:
        return n->constant ? n->x.n > 0 : -1;
    case N_NOT:
        truth = known_truth(n->a);
        return truth < 0 ? truth : !truth;
    case N_AND:
    case N_OR:
        truth = known_truth(n->a);
        return truth == (n->kind == N_AND) ? known_truth(n->b) : truth;
    default:
        return -1;
    }
}

/* What of an `and`, `or` or `if` is its value, where literals decide that; NULL: not known here. */
static jj_node *decided(const jj_node *n)
{
    int truth = known_truth(n->a);
    if (truth < 0) return NULL;
    if (n->kind == N_COND) return truth ? n->b : n->c;
    return truth == (n->kind == N_AND) ? n->b : n->a;
}

static void find_constant(jj_node *n);

/* Whether the reference works a node out, and what that means for the constants in it. */
static void settle_constant(jj_node *n)
{
    find_constant(n);
    if (n->constant || n->kind == N_OUTPUT) return;
    if (unclear(n)) n->flag = CONCAT_UNCLEAR;
    freeze(n->a);
    freeze(n->b);
    freeze(n->c);
    freeze_all(n->x);
    freeze_all(n->y);
    freeze_all(n->z);
}

static void find_constant(jj_node *n)
{
    jj_node *value;
    switch (n->kind) {
    case N_CONST:
        n->constant = 1;
        return;
    case N_OUTPUT:
        soften_all(n->x);
        for (size_t i = 0; i < n->x.n; i++)
            soften_decision(n->x.p[i]);
        return;
    case N_FILTER:
    case N_TEST:
        if (!n->a || !n->fn || (n->kind == N_FILTER && looks_at_context(n->name))) return;
        break;
    case N_TUPLE:
    case N_LIST:
    case N_DICT:
    case N_BINARY:
    case N_NEG:
    case N_POS:
    case N_NOT:
    case N_COMPARE:
    case N_OPERAND:
    case N_CONCAT:
    case N_GETATTR:
    case N_GETITEM:
    case N_SLICE:
    case N_KEYWORD:
        break;
    case N_AND:
    case N_OR:
    case N_COND:
        if ((value = decided(n)) != NULL && value->constant && n->a->constant) {
            n->constant = 1;
            soften(n->a);
            soften(value);
            return;
        }
        if (n->kind == N_COND && !n->c) return;
        break;
    default:
        return;
    }
    n->constant = is_constant(n->a) && is_constant(n->b) && is_constant(n->c) &&
                  all_constant(n->x) && all_constant(n->y) && all_constant(n->z);
    if (!n->constant) return;
    if (n->kind == N_CONCAT) n->flag = CONCAT_CONSTANT;
    soften(n->a);
    soften(n->b);
    soften(n->c);
    soften_all(n->x);
    soften_all(n->y);
}

jj_node *jj_node_end(jj_parser *p, jj_node *n)
{
    unsigned depth = 0, each[6];
    if (!n || !jj_fine(p->c)) return NULL;
    if (p->at > 0 && p->c->tokens[p->at - 1].end > n->pos) n->end = p->c->tokens[p->at - 1].end;
    each[0] = depth_of(n->a);
    each[1] = depth_of(n->b);
    each[2] = depth_of(n->c);
    each[3] = deepest(n->x);
    each[4] = deepest(n->y);
    each[5] = deepest(n->z);
    for (int i = 0; i < 6; i++)
        if (each[i] > depth) depth = each[i];
    if (depth >= MAX_DEPTH) jj_compile_limit(p->c, n->pos, "an expression or block nests too deep");
    n->depth = (uint16_t)(depth + 1);
    settle_constant(n);
    return n;
}

void jj_add(jj_parser *p, jj_node_list *l, jj_node *n)
{
    if (!n || !jj_fine(p->c)) return;
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 4;
        jj_node **grown = jj_scratch(p->c, cap, sizeof *grown);
        if (!grown) return;
        if (l->n) memcpy(grown, l->p, l->n * sizeof *grown);
        l->p = grown;
        l->cap = cap;
    }
    l->p[l->n++] = n;
}

jj_nodes jj_nodes_of(jj_parser *p, const jj_node_list *l)
{
    jj_nodes out = {0};
    if (!l->n || !jj_fine(p->c)) return out;
    out.p = jj_keep(p->c, l->n * sizeof *out.p);
    if (!out.p) return out;
    memcpy(out.p, l->p, l->n * sizeof *out.p);
    out.n = l->n;
    return out;
}

static jj_node *unary(jj_parser *p, jj_kind kind, uint32_t pos, jj_node *a)
{
    jj_node *n = jj_node_new(p, kind, pos);
    if (!n || !a) return NULL;
    n->a = a;
    return jj_node_end(p, n);
}

static jj_node *binary(jj_parser *p, jj_kind kind, int op, jj_node *a, jj_node *b)
{
    jj_node *n = a && b ? jj_node_new(p, kind, a->pos) : NULL;
    if (!n) return NULL;
    n->op = (uint8_t)op;
    n->a = a;
    n->b = b;
    return jj_node_end(p, n);
}

static jj_node *constant(jj_parser *p, uint32_t pos, jv v)
{
    jj_node *n = jj_node_new(p, N_CONST, pos);
    if (n) n->v = v;
    return jj_node_end(p, n);
}

static jv kept_text(jj_parser *p, jj_type type, strv text)
{
    jj_str *s = jj_keep(p->c, sizeof *s);
    if (!s) return jj_none();
    s->p = text.n ? text.p : "";
    s->n = text.n;
    s->chars = jj_count(text);
    return (jv){type, {.s = s}};
}

/* ---- literals ---- */

static jv integer_value(jj_parser *p, const jj_token *t)
{
    strv s = t->text;
    unsigned base = 10;
    uint32_t *limbs;
    struct jj_big *big;
    int64_t v = 0;
    if (s.n > 1 && s.p[0] == '0' && (s.p[1] | 0x20) >= 'a') {
        base = (s.p[1] | 0x20) == 'b' ? 2 : (s.p[1] | 0x20) == 'o' ? 8 : 16;
        s.p += 2;
        s.n -= 2;
    }
    for (size_t i = 0; i < s.n; i++) {
        int digit = s.p[i] <= '9' ? s.p[i] - '0' : (s.p[i] | 0x20) - 'a' + 10;
        if (v > (INT64_MAX - digit) / base) {
            if (base == 10 ? s.n > JJ_BIG_DIGITS : s.n > MAX_DIGITS)
                jj_compile_limit(p->c, t->pos, "an integer of too many digits");
            limbs = jj_keep(p->c, jj_big_limbs(s.n, base) * sizeof *limbs);
            big = jj_keep(p->c, sizeof *big);
            if (!jj_fine(p->c) || !limbs || !big) return jj_none();
            *big = (struct jj_big){0, jj_big_read(s, base, limbs), limbs};
            return (jv){JJ_BIG, {.big = big}};
        }
        v = v * (int64_t)base + digit;
    }
    return jj_int(v);
}

static double float_value(jj_parser *p, const jj_token *t)
{
    json_doc *doc = NULL;
    double f = 0;
    buf b = {0};
    size_t zeros = 0;
    /* JSON wants no leading zeros; its reader is the one that no locale changes. */
    while (zeros + 1 < t->text.n && t->text.p[zeros] == '0' && t->text.p[zeros + 1] >= '0' &&
           t->text.p[zeros + 1] <= '9')
        zeros++;
    buf_add(&b, t->text.p + zeros, t->text.n - zeros);
    if (json_parse("number", buf_str(&b), b.n, &doc, NULL) == MLXE_OK)
        f = json_float(json_root(doc));
    else
        jj_compile_limit(p->c, t->pos, "a number beyond the range of floats");
    json_close(doc);
    buf_deinit(&b);
    return f;
}

static jj_node *string_literal(jj_parser *p)
{
    const jj_token *first = jj_advance(p);
    buf joined = {0};
    strv text = first->text;
    char *kept;
    jj_node *n;
    if (jj_current(p)->type == TK_STRING) {
        buf_add_strv(&joined, text);
        while (jj_current(p)->type == TK_STRING)
            buf_add_strv(&joined, jj_advance(p)->text);
        kept = jj_keep(p->c, joined.n + 1);
        if (kept && joined.n) memcpy(kept, joined.p, joined.n);
        text = (strv){kept ? kept : "", kept ? joined.n : 0};
        buf_deinit(&joined);
    }
    n = constant(p, first->pos, kept_text(p, JJ_STR, text));
    return n;
}

static jj_node *list_literal(jj_parser *p)
{
    jj_node_list items = {0};
    jj_node *n = jj_node_new(p, N_LIST, jj_advance(p)->pos);
    while (jj_fine(p->c) && jj_current(p)->type != TK_RBRACKET) {
        if (items.n) jj_expect(p, TK_COMMA);
        if (jj_current(p)->type == TK_RBRACKET) break;
        jj_add(p, &items, jj_parse_expression(p, 1));
    }
    jj_expect(p, TK_RBRACKET);
    if (n) n->x = jj_nodes_of(p, &items);
    return jj_node_end(p, n);
}

static jj_node *dict_literal(jj_parser *p)
{
    jj_node_list keys = {0}, values = {0};
    jj_node *n = jj_node_new(p, N_DICT, jj_advance(p)->pos);
    while (jj_fine(p->c) && jj_current(p)->type != TK_RBRACE) {
        if (keys.n) jj_expect(p, TK_COMMA);
        if (jj_current(p)->type == TK_RBRACE) break;
        jj_add(p, &keys, jj_parse_expression(p, 1));
        jj_expect(p, TK_COLON);
        jj_add(p, &values, jj_parse_expression(p, 1));
    }
    jj_expect(p, TK_RBRACE);
    if (n) {
        n->x = jj_nodes_of(p, &keys);
        n->y = jj_nodes_of(p, &values);
    }
    return jj_node_end(p, n);
}

static jj_node *name_or_word(jj_parser *p, int flags)
{
    const jj_token *t = jj_advance(p), *attribute;
    jj_node *n;
    if (strv_is(t->text, "true") || strv_is(t->text, "True"))
        return constant(p, t->pos, jj_bool(1));
    if (strv_is(t->text, "false") || strv_is(t->text, "False"))
        return constant(p, t->pos, jj_bool(0));
    if (strv_is(t->text, "none") || strv_is(t->text, "None")) return constant(p, t->pos, jj_none());
    if ((flags & TUPLE_NAMESPACE) && jj_skip(p, TK_DOT)) {
        attribute = jj_expect(p, TK_NAME);
        n = jj_node_new(p, N_NSREF, t->pos);
        if (n) n->v = kept_text(p, JJ_STR, attribute->text);
    } else
        n = jj_node_new(p, N_NAME, t->pos);
    if (n) n->name = t->text;
    return jj_node_end(p, n);
}

static jj_node *primary(jj_parser *p, int flags)
{
    const jj_token *t = jj_current(p);
    jj_node *n;
    switch (t->type) {
    case TK_NAME:
        return name_or_word(p, flags);
    case TK_STRING:
        return string_literal(p);
    case TK_INTEGER:
        jj_advance(p);
        return constant(p, t->pos, integer_value(p, t));
    case TK_FLOAT:
        jj_advance(p);
        return constant(p, t->pos, jj_float(float_value(p, t)));
    case TK_LPAREN:
        jj_advance(p);
        n = jj_parse_tuple(p, TUPLE_CONDEXPR | TUPLE_PAREN);
        jj_expect(p, TK_RPAREN);
        return n;
    case TK_LBRACKET:
        return list_literal(p);
    case TK_LBRACE:
        return dict_literal(p);
    default:
        unexpected(p, "an expression");
        return NULL;
    }
}

/* ---- calls, subscripts, filters ---- */

static void call_arguments(jj_parser *p, jj_node *n)
{
    const jj_token *open = jj_expect(p, TK_LPAREN);
    jj_node_list args = {0}, named = {0};
    int comma = 0, ok = 1;
    while (jj_fine(p->c) && ok && jj_current(p)->type != TK_RPAREN) {
        if (comma) {
            jj_expect(p, TK_COMMA);
            if (jj_current(p)->type == TK_RPAREN) break;
        }
        if (jj_skip(p, TK_MUL)) {
            ok = !n->b && !n->c;
            n->b = jj_parse_expression(p, 1);
        } else if (jj_skip(p, TK_POW)) {
            ok = !n->c;
            n->c = jj_parse_expression(p, 1);
        } else if (jj_current(p)->type == TK_NAME && jj_look(p)->type == TK_ASSIGN) {
            const jj_token *key = jj_advance(p);
            jj_node *keyword = jj_node_new(p, N_KEYWORD, key->pos);
            jj_advance(p);
            ok = !n->c;
            if (keyword) {
                keyword->name = key->text;
                keyword->a = jj_parse_expression(p, 1);
            }
            if (named.n >= MAX_NAMED) jj_compile_limit(p->c, key->pos, "too many named arguments");
            for (size_t i = 0; keyword && i < named.n; i++)
                if (strv_eq(named.p[i]->name, keyword->name)) ok = 0;
            jj_add(p, &named, jj_node_end(p, keyword));
        } else {
            ok = !n->b && !n->c && !named.n;
            jj_add(p, &args, jj_parse_expression(p, 1));
        }
        comma = 1;
    }
    if (!ok) jj_syntax(p->c, open->pos, "these arguments cannot follow each other");
    jj_expect(p, TK_RPAREN);
    n->x = jj_nodes_of(p, &args);
    n->y = jj_nodes_of(p, &named);
}

static jj_node *call(jj_parser *p, jj_node *fn)
{
    jj_node *n = fn ? jj_node_new(p, N_CALL, fn->pos) : NULL;
    if (!n) return NULL;
    n->a = fn;
    call_arguments(p, n);
    return jj_node_end(p, n);
}

static int at_subscript_end(const jj_parser *p)
{
    return jj_current(p)->type == TK_RBRACKET || jj_current(p)->type == TK_COMMA;
}

static jj_node *subscribed(jj_parser *p)
{
    uint32_t pos = jj_current(p)->pos;
    jj_node *first = NULL, *n;
    if (!jj_skip(p, TK_COLON)) {
        first = jj_parse_expression(p, 1);
        if (!jj_skip(p, TK_COLON)) return first;
    }
    n = jj_node_new(p, N_SLICE, pos);
    if (!n) return NULL;
    n->a = first;
    if (jj_current(p)->type != TK_COLON && !at_subscript_end(p)) n->b = jj_parse_expression(p, 1);
    if (jj_skip(p, TK_COLON) && !at_subscript_end(p)) n->c = jj_parse_expression(p, 1);
    return jj_node_end(p, n);
}

static jj_node *subscript(jj_parser *p, jj_node *n)
{
    const jj_token *t = jj_advance(p), *attribute;
    jj_node_list items = {0};
    jj_node *key, *tuple;
    if (t->type == TK_DOT) {
        attribute = jj_advance(p);
        if (attribute->type == TK_NAME) {
            n = unary(p, N_GETATTR, n ? n->pos : 0, n);
            if (n) n->v = kept_text(p, JJ_STR, attribute->text);
            return n;
        }
        if (attribute->type != TK_INTEGER) {
            jj_syntax(p->c, attribute->type == TK_EOF ? t->pos : attribute->pos,
                      "want a name or number after '.'");
            return NULL;
        }
        return binary(p, N_GETITEM, 0, n, constant(p, attribute->pos, integer_value(p, attribute)));
    }
    while (jj_fine(p->c) && jj_current(p)->type != TK_RBRACKET) {
        if (items.n) jj_expect(p, TK_COMMA);
        jj_add(p, &items, subscribed(p));
    }
    jj_expect(p, TK_RBRACKET);
    if (!jj_fine(p->c)) return NULL;
    key = items.n == 1 ? items.p[0] : NULL;
    if (!key) {
        tuple = jj_node_new(p, N_TUPLE, t->pos);
        if (!tuple) return NULL;
        tuple->x = jj_nodes_of(p, &items);
        for (size_t i = 0; i < items.n; i++)
            if (items.p[i]->kind == N_SLICE)
                jj_syntax(p->c, t->pos, "a slice cannot be part of a tuple");
        key = jj_node_end(p, tuple);
    }
    return binary(p, N_GETITEM, 0, n, key);
}

static jj_node *postfix(jj_parser *p, jj_node *n)
{
    while (n && jj_fine(p->c)) {
        jj_token_type type = jj_current(p)->type;
        if (type == TK_DOT || type == TK_LBRACKET)
            n = subscript(p, n);
        else if (type == TK_LPAREN)
            n = call(p, n);
        else
            break;
    }
    return n;
}

static strv dotted_name(jj_parser *p)
{
    const jj_token *t = jj_expect(p, TK_NAME);
    buf b = {0};
    strv name = t->text;
    char *kept;
    if (jj_current(p)->type != TK_DOT) return name;
    buf_add_strv(&b, name);
    while (jj_skip(p, TK_DOT)) {
        buf_add_char(&b, '.');
        buf_add_strv(&b, jj_expect(p, TK_NAME)->text);
    }
    kept = jj_keep(p->c, b.n + 1);
    if (kept) memcpy(kept, b.p, b.n);
    name = (strv){kept ? kept : "", kept ? b.n : 0};
    buf_deinit(&b);
    return name;
}

jj_node *jj_parse_filters(jj_parser *p, jj_node *n, int inline_first)
{
    while (jj_fine(p->c) && (inline_first || jj_current(p)->type == TK_PIPE)) {
        jj_node *filter;
        uint32_t pos = jj_current(p)->pos;
        if (!inline_first) jj_advance(p);
        inline_first = 0;
        filter = jj_node_new(p, N_FILTER, n ? n->pos : pos);
        if (!filter) return NULL;
        filter->a = n;
        filter->name = dotted_name(p);
        filter->fn = jj_filter_find(filter->name);
        if (jj_current(p)->type == TK_LPAREN) call_arguments(p, filter);
        n = jj_node_end(p, filter);
    }
    return n;
}

static jj_node *test(jj_parser *p, jj_node *n)
{
    const jj_token *is = jj_advance(p);
    int negated = jj_skip_name(p, "not");
    jj_node *out = n ? jj_node_new(p, N_TEST, n->pos) : NULL;
    jj_node_list args = {0};
    if (!out) return NULL;
    out->a = n;
    out->name = dotted_name(p);
    out->fn = jj_test_find(out->name);
    switch (jj_current(p)->type) {
    case TK_LPAREN:
        call_arguments(p, out);
        break;
    case TK_NAME:
    case TK_STRING:
    case TK_INTEGER:
    case TK_FLOAT:
    case TK_LBRACKET:
    case TK_LBRACE:
        if (jj_at_name(p, "else") || jj_at_name(p, "or") || jj_at_name(p, "and")) break;
        if (jj_at_name(p, "is")) jj_syntax(p->c, is->pos, "tests with 'is' cannot be chained");
        jj_add(p, &args, postfix(p, primary(p, 0)));
        out->x = jj_nodes_of(p, &args);
        break;
    default:
        break;
    }
    out = jj_node_end(p, out);
    return negated ? unary(p, N_NOT, out ? out->pos : 0, out) : out;
}

static jj_node *filters_and_tests(jj_parser *p, jj_node *n)
{
    while (n && jj_fine(p->c)) {
        if (jj_current(p)->type == TK_PIPE)
            n = jj_parse_filters(p, n, 0);
        else if (jj_at_name(p, "is"))
            n = test(p, n);
        else if (jj_current(p)->type == TK_LPAREN)
            n = call(p, n);
        else
            break;
    }
    return n;
}

/* ---- operators ---- */

static jj_node *signed_primary(jj_parser *p, int filters)
{
    const jj_token *t = jj_current(p);
    jj_node *n;
    if (p->c->depth++ > MAX_NESTING) jj_compile_limit(p->c, t->pos, "an expression nests too deep");
    if (jj_skip(p, TK_SUB))
        n = unary(p, N_NEG, t->pos, signed_primary(p, 0));
    else if (jj_skip(p, TK_ADD))
        n = unary(p, N_POS, t->pos, signed_primary(p, 0));
    else
        n = primary(p, 0);
    n = postfix(p, n);
    if (filters) n = filters_and_tests(p, n);
    p->c->depth--;
    return n;
}

static jj_node *power(jj_parser *p)
{
    jj_node *n = signed_primary(p, 1);
    while (n && jj_skip(p, TK_POW))
        n = binary(p, N_BINARY, JJ_POW, n, signed_primary(p, 1));
    return n;
}

static jj_node *product(jj_parser *p)
{
    jj_node *n = power(p);
    for (;;) {
        int op = jj_skip(p, TK_MUL)        ? JJ_MUL
                 : jj_skip(p, TK_DIV)      ? JJ_DIV
                 : jj_skip(p, TK_FLOORDIV) ? JJ_FLOORDIV
                 : jj_skip(p, TK_MOD)      ? JJ_MOD
                                           : -1;
        if (op < 0 || !n) return n;
        n = binary(p, N_BINARY, op, n, power(p));
    }
}

static jj_node *concatenation(jj_parser *p)
{
    jj_node_list items = {0};
    jj_node *n = product(p);
    if (!n || jj_current(p)->type != TK_TILDE) return n;
    jj_add(p, &items, n);
    while (jj_skip(p, TK_TILDE))
        jj_add(p, &items, product(p));
    n = jj_node_new(p, N_CONCAT, n->pos);
    if (n) n->x = jj_nodes_of(p, &items);
    return jj_node_end(p, n);
}

static jj_node *sum(jj_parser *p)
{
    jj_node *n = concatenation(p);
    for (;;) {
        int op = jj_skip(p, TK_ADD) ? JJ_ADD : jj_skip(p, TK_SUB) ? JJ_SUB : -1;
        if (op < 0 || !n) return n;
        n = binary(p, N_BINARY, op, n, concatenation(p));
    }
}

static int comparison_operator(jj_parser *p)
{
    static const struct {
        jj_token_type type;
        int op;
    } OPS[] = {{TK_EQ, CMP_EQ},   {TK_NE, CMP_NE}, {TK_GT, CMP_GT},
               {TK_GTEQ, CMP_GE}, {TK_LT, CMP_LT}, {TK_LTEQ, CMP_LE}};
    for (size_t i = 0; i < sizeof OPS / sizeof *OPS; i++)
        if (jj_skip(p, OPS[i].type)) return OPS[i].op;
    if (jj_skip_name(p, "in")) return CMP_IN;
    if (jj_at_name(p, "not") && jj_look(p)->type == TK_NAME && strv_is(jj_look(p)->text, "in")) {
        jj_advance(p);
        jj_advance(p);
        return CMP_NOT_IN;
    }
    return -1;
}

static jj_node *comparison(jj_parser *p)
{
    jj_node *first = sum(p), *n;
    jj_node_list operands = {0};
    int op;
    while (first && (op = comparison_operator(p)) >= 0) {
        jj_node *operand = jj_node_new(p, N_OPERAND, jj_current(p)->pos);
        if (!operand) return NULL;
        operand->op = (uint8_t)op;
        operand->a = sum(p);
        jj_add(p, &operands, jj_node_end(p, operand));
    }
    if (!operands.n || !first) return first;
    n = jj_node_new(p, N_COMPARE, first->pos);
    if (!n) return NULL;
    n->a = first;
    n->x = jj_nodes_of(p, &operands);
    return jj_node_end(p, n);
}

static jj_node *negation(jj_parser *p)
{
    uint32_t pos = jj_current(p)->pos;
    jj_node *n;
    if (!jj_skip_name(p, "not")) return comparison(p);
    if (p->c->depth++ > MAX_NESTING) jj_compile_limit(p->c, pos, "an expression nests too deep");
    n = unary(p, N_NOT, pos, negation(p));
    p->c->depth--;
    return n;
}

static jj_node *conjunction(jj_parser *p)
{
    jj_node *n = negation(p);
    while (n && jj_skip_name(p, "and"))
        n = binary(p, N_AND, 0, n, negation(p));
    return n;
}

static jj_node *disjunction(jj_parser *p)
{
    jj_node *n = conjunction(p);
    while (n && jj_skip_name(p, "or"))
        n = binary(p, N_OR, 0, n, conjunction(p));
    return n;
}

static jj_node *conditional(jj_parser *p)
{
    jj_node *n = disjunction(p);
    while (n && jj_skip_name(p, "if")) {
        jj_node *cond = jj_node_new(p, N_COND, n->pos);
        if (!cond) return NULL;
        cond->b = n;
        cond->a = disjunction(p);
        if (jj_skip_name(p, "else")) cond->c = jj_parse_expression(p, 1);
        n = jj_node_end(p, cond);
    }
    return n;
}

jj_node *jj_parse_expression(jj_parser *p, int condexpr)
{
    jj_node *n;
    if (p->c->depth++ > MAX_NESTING)
        jj_compile_limit(p->c, jj_current(p)->pos, "an expression nests too deep");
    n = !jj_fine(p->c) ? NULL : condexpr ? conditional(p) : disjunction(p);
    p->c->depth--;
    return jj_fine(p->c) ? n : NULL;
}

static int at_tuple_end(const jj_parser *p, int flags)
{
    switch (jj_current(p)->type) {
    case TK_VARIABLE_END:
    case TK_BLOCK_END:
    case TK_RPAREN:
        return 1;
    default:
        return ((flags & TUPLE_TO_IN) && jj_at_name(p, "in")) ||
               ((flags & TUPLE_TO_RECURSIVE) && jj_at_name(p, "recursive"));
    }
}

jj_node *jj_parse_tuple(jj_parser *p, int flags)
{
    jj_node_list items = {0};
    uint32_t pos = jj_current(p)->pos;
    jj_node *n;
    int tuple = 0;
    while (jj_fine(p->c)) {
        if (items.n) jj_expect(p, TK_COMMA);
        if (at_tuple_end(p, flags)) break;
        jj_add(p, &items,
               flags & TUPLE_SIMPLE ? primary(p, flags)
                                    : jj_parse_expression(p, flags & TUPLE_CONDEXPR));
        if (jj_current(p)->type != TK_COMMA) break;
        tuple = 1;
    }
    if (!jj_fine(p->c)) return NULL;
    if (!tuple && items.n) return items.p[0];
    if (!tuple && !(flags & TUPLE_PAREN)) {
        unexpected(p, "an expression");
        return NULL;
    }
    n = jj_node_new(p, N_TUPLE, pos);
    if (n) n->x = jj_nodes_of(p, &items);
    return jj_node_end(p, n);
}
