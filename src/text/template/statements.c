/* statements.c: statements and the body of a template: tokens to nodes.
 *
 * Source: jinja2 3.1.6 parser.py, its loopcontrols extension, transformers' generation tag.
 * Traps: after a tag's name a ':' may stand before its end. `break` in a macro or call block inside
 *        of a loop is outside of that loop; in a loop's else branch it belongs to the loop
 *        around. */
#include "text/template/text.h"
#include "text/template/tree.h"

enum { MAX_BLOCKS = 100, MAX_PARAMETERS = 500 };

typedef jj_node *(*statement_fn)(jj_parser *p, uint32_t pos);

static jj_nodes template_body(jj_parser *p, const char *const *ends);

/* ---- assignment targets ---- */

static void mark_target(jj_parser *p, jj_node *n, jj_name_use use)
{
    if (!n || !jj_fine(p->c)) return;
    if (n->kind == N_TUPLE) {
        for (size_t i = 0; i < n->x.n; i++)
            mark_target(p, n->x.p[i], use);
    } else if (n->kind == N_NAME)
        n->op = (uint8_t)use;
    else if (n->kind != N_NSREF)
        jj_syntax(p->c, n->pos, "this cannot be assigned to");
}

static jj_node *target(jj_parser *p, int flags, jj_name_use use)
{
    jj_node *n = jj_parse_tuple(p, TUPLE_SIMPLE | flags);
    mark_target(p, n, use);
    return n;
}

static jj_node *target_name(jj_parser *p, jj_name_use use)
{
    const jj_token *t = jj_expect(p, TK_NAME);
    jj_node *n = jj_node_new(p, N_NAME, t->pos);
    static const char *const WORDS[] = {"true", "false", "none", "True", "False", "None"};
    if (!n) return NULL;
    n->name = t->text;
    n->op = (uint8_t)use;
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        if (strv_is(t->text, WORDS[i]))
            jj_syntax(p->c, t->pos, "'%s' cannot be assigned to", WORDS[i]);
    return jj_node_end(p, n);
}

/* ---- bodies ---- */

/* The body up to one of ends (a NULL-terminated list), whose name is then the current token. */
static jj_nodes body(jj_parser *p, const char *const *ends)
{
    jj_nodes out = {0};
    jj_skip(p, TK_COLON);
    jj_expect(p, TK_BLOCK_END);
    if (p->c->depth++ > MAX_BLOCKS)
        jj_compile_limit(p->c, jj_current(p)->pos, "blocks nest too deep");
    if (jj_fine(p->c)) out = template_body(p, ends);
    p->c->depth--;
    if (jj_fine(p->c) && jj_current(p)->type == TK_EOF)
        jj_syntax(p->c, jj_current(p)->pos, "the template ends, want {%% %s %%}", ends[0]);
    return out;
}

static jj_nodes body_to(jj_parser *p, const char *end)
{
    const char *const ends[] = {end, NULL};
    jj_nodes out = body(p, ends);
    jj_advance(p);
    return out;
}

/* The same for what becomes a unit of its own: loops around it are out of reach. */
static jj_nodes unit_body_to(jj_parser *p, const char *end)
{
    size_t loops = p->loops;
    jj_nodes out;
    p->loops = 0;
    out = body_to(p, end);
    p->loops = loops;
    return out;
}

/* ---- statements: the tag's name has been read ---- */

static jj_node *parse_for(jj_parser *p, uint32_t pos)
{
    static const char *const ENDS[] = {"endfor", "else", NULL};
    jj_node *n = jj_node_new(p, N_FOR, pos);
    size_t loops = p->loops;
    if (!n) return NULL;
    n->a = target(p, TUPLE_TO_IN, USE_STORE);
    if (!jj_skip_name(p, "in")) jj_syntax(p->c, jj_current(p)->pos, "want 'in' in a for loop");
    n->b = jj_parse_tuple(p, TUPLE_TO_RECURSIVE);
    if (jj_skip_name(p, "if")) n->c = jj_parse_expression(p, 1);
    n->flag = (uint8_t)jj_skip_name(p, "recursive");
    p->loops = n->flag ? 1 : loops + 1;
    n->x = body(p, ENDS);
    p->loops = n->flag ? 0 : loops;
    if (jj_skip_name(p, "else"))
        n->z = body_to(p, "endfor");
    else
        jj_advance(p);
    p->loops = loops;
    return jj_node_end(p, n);
}

static jj_node *parse_if(jj_parser *p, uint32_t pos)
{
    static const char *const ENDS[] = {"elif", "else", "endif", NULL};
    jj_node *first = jj_node_new(p, N_IF, pos), *n = first;
    jj_node_list elifs = {0};
    while (n && jj_fine(p->c)) {
        uint32_t next = 0;
        n->a = jj_parse_tuple(p, 0);
        n->x = body(p, ENDS);
        next = jj_current(p)->pos;
        if (n != first) jj_add(p, &elifs, jj_node_end(p, n));
        if (jj_skip_name(p, "elif")) {
            n = jj_node_new(p, N_IF, next);
            continue;
        }
        if (jj_skip_name(p, "else"))
            first->z = body_to(p, "endif");
        else
            jj_advance(p);
        break;
    }
    if (first) first->y = jj_nodes_of(p, &elifs);
    return jj_node_end(p, first);
}

static jj_node *parse_set(jj_parser *p, uint32_t pos)
{
    jj_node *to = target(p, TUPLE_NAMESPACE, USE_STORE), *n;
    if (jj_skip(p, TK_ASSIGN)) {
        n = jj_node_new(p, N_SET, pos);
        if (!n) return NULL;
        n->a = to;
        n->b = jj_parse_tuple(p, TUPLE_CONDEXPR);
        return jj_node_end(p, n);
    }
    n = jj_node_new(p, N_SET_BLOCK, pos);
    if (!n) return NULL;
    n->a = to;
    n->b = jj_parse_filters(p, NULL, 0);
    n->x = body_to(p, "endset");
    return jj_node_end(p, n);
}

static void signature(jj_parser *p, jj_node *n)
{
    jj_node_list params = {0}, defaults = {0};
    jj_expect(p, TK_LPAREN);
    while (jj_fine(p->c) && jj_current(p)->type != TK_RPAREN) {
        jj_node *param;
        if (params.n) jj_expect(p, TK_COMMA);
        param = target_name(p, USE_PARAM);
        if (params.n >= MAX_PARAMETERS)
            jj_compile_limit(p->c, jj_current(p)->pos, "too many parameters");
        for (size_t i = 0; param && i < params.n; i++)
            if (strv_eq(params.p[i]->name, param->name))
                jj_syntax(p->c, param->pos, "parameter '%.*s' is there twice", (int)param->name.n,
                          param->name.p);
        if (jj_skip(p, TK_ASSIGN))
            jj_add(p, &defaults, jj_parse_expression(p, 1));
        else if (defaults.n)
            jj_syntax(p->c, jj_current(p)->pos, "a parameter without default follows one with");
        jj_add(p, &params, param);
    }
    jj_expect(p, TK_RPAREN);
    n->y = jj_nodes_of(p, &params);
    n->z = jj_nodes_of(p, &defaults);
}

static jj_node *parse_macro(jj_parser *p, uint32_t pos)
{
    jj_node *n = jj_node_new(p, N_MACRO, pos), *name = target_name(p, USE_STORE);
    if (!n || !name) return NULL;
    n->name = name->name;
    signature(p, n);
    n->x = unit_body_to(p, "endmacro");
    return jj_node_end(p, n);
}

static jj_node *parse_call(jj_parser *p, uint32_t pos)
{
    jj_node *n = jj_node_new(p, N_CALL_BLOCK, pos);
    if (!n) return NULL;
    if (jj_current(p)->type == TK_LPAREN) signature(p, n);
    n->a = jj_parse_expression(p, 1);
    if (n->a && n->a->kind != N_CALL) jj_syntax(p->c, n->a->pos, "want a call in {%% call %%}");
    n->x = unit_body_to(p, "endcall");
    return jj_node_end(p, n);
}

static jj_node *parse_generation(jj_parser *p, uint32_t pos)
{
    jj_node *n = jj_node_new(p, N_GENERATION, pos);
    if (n) n->x = unit_body_to(p, "endgeneration");
    return jj_node_end(p, n);
}

static jj_node *parse_filter(jj_parser *p, uint32_t pos)
{
    jj_node *n = jj_node_new(p, N_FILTER_BLOCK, pos);
    if (!n) return NULL;
    n->b = jj_parse_filters(p, NULL, 1);
    n->x = body_to(p, "endfilter");
    return jj_node_end(p, n);
}

static jj_node *parse_with(jj_parser *p, uint32_t pos)
{
    jj_node *n = jj_node_new(p, N_WITH, pos);
    jj_node_list targets = {0}, values = {0};
    while (n && jj_fine(p->c) && jj_current(p)->type != TK_BLOCK_END) {
        if (targets.n) jj_expect(p, TK_COMMA);
        jj_add(p, &targets, target(p, 0, USE_PARAM));
        jj_expect(p, TK_ASSIGN);
        jj_add(p, &values, jj_parse_expression(p, 1));
    }
    if (!n) return NULL;
    n->y = jj_nodes_of(p, &targets);
    n->z = jj_nodes_of(p, &values);
    n->x = body_to(p, "endwith");
    return jj_node_end(p, n);
}

static jj_node *parse_autoescape(jj_parser *p, uint32_t pos)
{
    jj_node *n = jj_node_new(p, N_AUTOESCAPE, pos);
    if (!n) return NULL;
    n->a = jj_parse_expression(p, 1);
    n->x = body_to(p, "endautoescape");
    return jj_node_end(p, n);
}

static jj_node *parse_block(jj_parser *p, uint32_t pos)
{
    jj_node *n = jj_node_new(p, N_BLOCK, pos);
    if (!n) return NULL;
    n->name = jj_expect(p, TK_NAME)->text;
    n->op = (uint8_t)jj_skip_name(p, "scoped");
    n->flag = (uint8_t)jj_skip_name(p, "required");
    n->x = unit_body_to(p, "endblock");
    for (size_t i = 0; i < n->x.n && n->flag; i++)
        if (n->x.p[i]->kind != N_DATA || jj_strip(n->x.p[i]->name, NULL, 1, 1).n)
            jj_syntax(p->c, n->x.p[i]->pos, "a required block holds only comments or white space");
    if (jj_current(p)->type == TK_NAME && strv_eq(jj_current(p)->text, n->name)) jj_advance(p);
    return jj_node_end(p, n);
}

static jj_node *parse_print(jj_parser *p, uint32_t pos)
{
    jj_node *n = jj_node_new(p, N_OUTPUT, pos);
    jj_node_list items = {0};
    while (n && jj_fine(p->c) && jj_current(p)->type != TK_BLOCK_END) {
        if (items.n) jj_expect(p, TK_COMMA);
        jj_add(p, &items, jj_parse_expression(p, 1));
    }
    if (n) n->x = jj_nodes_of(p, &items);
    return jj_node_end(p, n);
}

static jj_node *parse_break(jj_parser *p, uint32_t pos)
{
    if (!p->loops) jj_syntax(p->c, pos, "'break' outside of a loop");
    return jj_node_end(p, jj_node_new(p, N_BREAK, pos));
}

static jj_node *parse_continue(jj_parser *p, uint32_t pos)
{
    if (!p->loops) jj_syntax(p->c, pos, "'continue' outside of a loop");
    return jj_node_end(p, jj_node_new(p, N_CONTINUE, pos));
}

/* include, import, from, extends: legal to write, there is no loader to honour them. */
static jj_node *parse_unsupported(jj_parser *p, uint32_t pos)
{
    jj_node *n = jj_node_new(p, N_UNSUPPORTED, pos);
    while (jj_fine(p->c) && jj_current(p)->type != TK_BLOCK_END && jj_current(p)->type != TK_EOF)
        jj_advance(p);
    return jj_node_end(p, n);
}

static const struct {
    const char *name;
    statement_fn parse;
} STATEMENTS[] = {
    {"for", parse_for},
    {"if", parse_if},
    {"set", parse_set},
    {"macro", parse_macro},
    {"call", parse_call},
    {"generation", parse_generation},
    {"filter", parse_filter},
    {"with", parse_with},
    {"autoescape", parse_autoescape},
    {"block", parse_block},
    {"print", parse_print},
    {"break", parse_break},
    {"continue", parse_continue},
    {"include", parse_unsupported},
    {"import", parse_unsupported},
    {"from", parse_unsupported},
    {"extends", parse_unsupported},
};

static jj_node *statement(jj_parser *p, const char *const *ends)
{
    const jj_token *t = jj_expect(p, TK_NAME);
    for (size_t i = 0; i < sizeof STATEMENTS / sizeof *STATEMENTS; i++)
        if (strv_is(t->text, STATEMENTS[i].name)) return STATEMENTS[i].parse(p, t->pos);
    if (ends)
        jj_syntax(p->c, t->pos, "unknown tag '%.*s', want %s or another statement",
                  (int)(t->text.n < 80 ? t->text.n : 80), t->text.p, ends[0]);
    else
        jj_syntax(p->c, t->pos, "unknown tag '%.*s'", (int)(t->text.n < 80 ? t->text.n : 80),
                  t->text.p);
    return NULL;
}

static int at_end(const jj_parser *p, const char *const *ends)
{
    for (; ends && *ends; ends++)
        if (jj_at_name(p, *ends)) return 1;
    return 0;
}

static jj_node *data(jj_parser *p)
{
    const jj_token *t = jj_advance(p);
    jj_node *n = jj_node_new(p, N_DATA, t->pos);
    if (n) n->name = t->text;
    return jj_node_end(p, n);
}

static jj_node *output(jj_parser *p)
{
    jj_node *n = jj_node_new(p, N_OUTPUT, jj_advance(p)->pos);
    jj_node_list items = {0};
    jj_add(p, &items, jj_parse_tuple(p, TUPLE_CONDEXPR));
    jj_expect(p, TK_VARIABLE_END);
    if (n) n->x = jj_nodes_of(p, &items);
    return jj_node_end(p, n);
}

static jj_nodes template_body(jj_parser *p, const char *const *ends)
{
    jj_node_list list = {0};
    while (jj_fine(p->c) && jj_current(p)->type != TK_EOF) {
        jj_token_type type = jj_current(p)->type;
        if (type == TK_DATA)
            jj_add(p, &list, data(p));
        else if (type == TK_VARIABLE_BEGIN)
            jj_add(p, &list, output(p));
        else {
            jj_expect(p, TK_BLOCK_BEGIN);
            if (at_end(p, ends)) break;
            jj_add(p, &list, statement(p, ends));
            jj_expect(p, TK_BLOCK_END);
        }
    }
    return jj_nodes_of(p, &list);
}

jj_nodes jj_parse_template(jj_parser *p) { return template_body(p, NULL); }

void jj_parse(jj_compiler *c)
{
    jj_parser p = {.c = c};
    jj_node *root = jj_node_new(&p, N_OUTPUT, 0);
    if (!root) return;
    root->x = jj_parse_template(&p);
    c->t->root = root;
}
