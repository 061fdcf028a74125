/* tree.h: the compiled template: tokens, syntax tree, resolved names; and running it.
 *
 *   source -> jj_lex -> tokens -> jj_parse -> nodes -> jj_resolve -> nodes with slots -> jj_run
 *
 * The tree lives in the template's arena and is immutable once jj_compile has returned: any number
 * of renderings may read it at once.
 *
 * Names are resolved at compile time as the reference's code generator does it, because what a name
 * means there depends on all of the scope and not on what has run: each *unit* (what would be one
 * Python function: the template, a macro, a call block, a recursive loop, a loop's filter) has a
 * frame of slots, a unit inside another sees the outer frame. A *scope* (loop body, with, set
 * block, ...) says how its slots are filled when it is entered and which are emptied at its end. */
#ifndef TEMPLATE_TREE_H
#define TEMPLATE_TREE_H

#include "text/template/value.h"

/* ---- tokens ---- */

typedef enum jj_token_type {
    TK_EOF,
    TK_DATA,
    TK_BLOCK_BEGIN,
    TK_BLOCK_END,
    TK_VARIABLE_BEGIN,
    TK_VARIABLE_END,
    TK_NAME,
    TK_STRING,
    TK_INTEGER,
    TK_FLOAT,
    TK_ADD,
    TK_SUB,
    TK_MUL,
    TK_DIV,
    TK_FLOORDIV,
    TK_MOD,
    TK_POW,
    TK_TILDE,
    TK_LBRACKET,
    TK_RBRACKET,
    TK_LPAREN,
    TK_RPAREN,
    TK_LBRACE,
    TK_RBRACE,
    TK_EQ,
    TK_NE,
    TK_GT,
    TK_GTEQ,
    TK_LT,
    TK_LTEQ,
    TK_ASSIGN,
    TK_DOT,
    TK_COLON,
    TK_PIPE,
    TK_COMMA,
    TK_SEMICOLON
} jj_token_type;

typedef struct jj_token {
    jj_token_type type;
    uint32_t pos, end; /* bytes of the source */
    strv text;         /* data, name, decoded string, digits */
} jj_token;

/* ---- nodes ---- */

typedef enum jj_kind {
    /* expressions */
    N_CONST,
    N_NAME,
    N_NSREF,
    N_TUPLE,
    N_LIST,
    N_DICT,
    N_COND,
    N_BINARY,
    N_NEG,
    N_POS,
    N_NOT,
    N_AND,
    N_OR,
    N_COMPARE,
    N_OPERAND,
    N_CONCAT,
    N_GETATTR,
    N_GETITEM,
    N_SLICE,
    N_CALL,
    N_FILTER,
    N_TEST,
    N_KEYWORD,
    /* statements */
    N_DATA,
    N_OUTPUT,
    N_IF,
    N_FOR,
    N_SET,
    N_SET_BLOCK,
    N_MACRO,
    N_CALL_BLOCK,
    N_GENERATION,
    N_FILTER_BLOCK,
    N_WITH,
    N_AUTOESCAPE,
    N_BLOCK,
    N_BREAK,
    N_CONTINUE,
    N_UNSUPPORTED /* include, import, extends: fails when it is reached */
} jj_kind;

typedef enum jj_compare_op {
    CMP_EQ,
    CMP_NE,
    CMP_GT,
    CMP_GE,
    CMP_LT,
    CMP_LE,
    CMP_IN,
    CMP_NOT_IN
} jj_compare_op;
typedef enum jj_name_use { USE_LOAD, USE_STORE, USE_PARAM } jj_name_use;
typedef enum jj_escape_mode { ESCAPE_OFF, ESCAPE_ON, ESCAPE_RUNTIME } jj_escape_mode;

typedef struct jj_node jj_node;
typedef struct jj_nodes {
    jj_node **p;
    size_t n;
} jj_nodes;

typedef struct jj_slot {
    uint32_t hops; /* frames outwards */
    uint32_t at;
} jj_slot;

typedef enum jj_concat_rule { CONCAT_PLAIN, CONCAT_CONSTANT, CONCAT_UNCLEAR } jj_concat_rule;
typedef enum jj_load_how { LOAD_PARAM, LOAD_RESOLVE, LOAD_ALIAS, LOAD_EMPTY } jj_load_how;
typedef struct jj_load {
    jj_load_how how;
    uint32_t at;  /* the slot to fill */
    jj_slot from; /* LOAD_ALIAS */
    strv name;    /* LOAD_RESOLVE: a variable of the request or a global */
} jj_load;

typedef struct jj_scope {
    jj_load *loads;
    size_t n;
} jj_scope;

typedef struct jj_unit jj_unit;

/* What the fields hold, by kind:
 *   a, b, c   operands; FOR: target, iterable, filter; SET: target, value; SET_BLOCK: target,
 *             filter; FILTER, TEST, CALL: operand, *args, **kwargs; CALL_BLOCK: the call in a
 *   scope_else  BLOCK: what a scoped block sees of its surroundings; NULL: it is not scoped
 *   x, y, z   x: items, arguments or body; y: keywords, elifs, parameters or with's targets;
 *             z: else branch, defaults or with's values */
struct jj_node {
    jj_kind kind;
    uint8_t op;       /* jj_op, jj_compare_op, jj_name_use */
    uint8_t escape;   /* jj_escape_mode: OUTPUT, CONCAT, FILTER of a block */
    uint8_t flag;     /* FOR: recursive; NAME stored at top level: exported; BLOCK: required;
                       GETITEM of a slice: by the rules of constants; CONCAT: jj_concat_rule */
    uint8_t tracks;   /* FOR: has a loop variable; MACRO: 1 caller, 2 kwargs, 4 varargs (bits);
                       BLOCK and the root: 1 self, 2 super */
    uint8_t constant; /* the reference works it out when it compiles */
    uint8_t frozen;   /* a constant that the reference writes into code: has to be finite */
    uint16_t depth;
    uint32_t pos, end; /* bytes of the source */
    strv name;
    jj_node *a, *b, *c;
    jj_nodes x, y, z;
    jv v;                  /* CONST */
    const jj_function *fn; /* FILTER, TEST; NULL: fails when reached */
    jj_slot slot;
    jj_scope *scope, *scope_else, *scope_test;
    jj_unit *unit, *unit_test;
};

struct jj_unit {
    jj_unit *parent;
    size_t slots;
    void *names;         /* while resolving */
    uint32_t special[6]; /* slots of caller, kwargs, varargs, loop, self, super */
};

typedef struct jj_template {
    arena mem;
    const char *where; /* name for messages */
    strv source;       /* newlines normalised */
    jj_node *root;     /* x: body */
    jj_nodes blocks;
} jj_template;

/* Compiles; where and source are copied. Fails INPUT, LIMIT, MEMORY */
mlxe_status jj_compile(const char *where, strv source, jj_template **out, mlxe_error *err);
void jj_template_close(jj_template *t);

/* Renders with the variables of rt->vars into rt->out. */
void jj_run(jj_rt *rt);
/* Prepares a rendering; jj_rt_deinit frees all of its values. */
void jj_rt_init(jj_rt *rt, const jj_template *t, const jj_limits *limits, buf *out);
void jj_rt_deinit(jj_rt *rt);
/* The failure of rt as the caller's error: "where: line, column: message, in `expression`". */
mlxe_status jj_rt_error(const jj_rt *rt, mlxe_error *err);
/* Line and column (code points), both from 1. */
void jj_position(strv source, size_t at, size_t *line, size_t *column);

/* ---- between the passes ---- */

typedef struct jj_compiler {
    jj_template *t;
    mlxe_error *err;
    mlxe_status status; /* sticky */
    jj_token *tokens;
    size_t n_tokens, cap_tokens;
    arena scratch; /* freed after compiling */
    size_t depth;
    int at_end; /* the parser has looked at what follows the last token */
} jj_compiler;

/* Records the first error with the position of a byte of the source. */
void jj_syntax(jj_compiler *c, size_t at, const char *fmt, ...) BASE_PRINTF(3, 4);
void jj_compile_limit(jj_compiler *c, size_t at, const char *what);
void *jj_keep(jj_compiler *c, size_t bytes); /* template memory, NULL on failure */
void *jj_scratch(jj_compiler *c, size_t n, size_t size);
static inline int jj_fine(const jj_compiler *c) { return c->status == MLXE_OK; }
void jj_lex(jj_compiler *c);
void jj_parse(jj_compiler *c);
void jj_resolve(jj_compiler *c);

/* parse.c for statements.c */
typedef struct jj_parser {
    jj_compiler *c;
    size_t at;
    size_t loops; /* `for` bodies of this unit around here: break and continue are legal */
} jj_parser;
typedef struct jj_node_list {
    jj_node **p;
    size_t n, cap;
} jj_node_list;
const jj_token *jj_current(const jj_parser *p);
const jj_token *jj_look(const jj_parser *p);
const jj_token *jj_advance(jj_parser *p); /* -> the token that was current */
int jj_at_name(const jj_parser *p, const char *name);
int jj_skip(jj_parser *p, jj_token_type type);
int jj_skip_name(jj_parser *p, const char *name);
const jj_token *jj_expect(jj_parser *p, jj_token_type type);
jj_node *jj_node_new(jj_parser *p, jj_kind kind, uint32_t pos);
jj_node *jj_node_end(jj_parser *p, jj_node *n); /* sets end and depth */
void jj_add(jj_parser *p, jj_node_list *l, jj_node *n);
jj_nodes jj_nodes_of(jj_parser *p, const jj_node_list *l);
enum {
    TUPLE_CONDEXPR = 1,
    TUPLE_SIMPLE = 2,
    TUPLE_PAREN = 4,
    TUPLE_NAMESPACE = 8,
    TUPLE_TO_IN = 16,
    TUPLE_TO_RECURSIVE = 32
};
jj_node *jj_parse_tuple(jj_parser *p, int flags);
jj_node *jj_parse_expression(jj_parser *p, int condexpr);
jj_node *jj_parse_filters(jj_parser *p, jj_node *n, int inline_first);
jj_nodes jj_parse_template(jj_parser *p);

/* ---- running (eval.c, run.c) ---- */

typedef struct jj_frame {
    struct jj_frame *parent;
    const jj_context *context;
    jv slots[];
} jj_frame;

typedef enum jj_flow { FLOW_NEXT, FLOW_BREAK, FLOW_CONTINUE } jj_flow;

jv jj_eval(jj_rt *rt, jj_frame *f, const jj_node *n);
jj_flow jj_exec(jj_rt *rt, jj_frame *f, const jj_nodes *body);
jj_frame *jj_frame_new(jj_rt *rt, jj_frame *parent, const jj_context *context, const jj_unit *unit);
void jj_scope_enter(jj_frame *f, const jj_scope *s);
void jj_scope_leave(jj_frame *f, const jj_scope *s);
jv *jj_slot_of(jj_frame *f, jj_slot s);
jv jj_resolve_name(const jj_context *c, strv name); /* JJ_MISSING: there is none */
void jj_assign(jj_rt *rt, jj_frame *f, const jj_node *target, jv v);
/* A call block's call: `caller` is one more argument. */
jv jj_eval_call_with(jj_rt *rt, jj_frame *f, const jj_node *n, jv caller);
jv jj_eval_filter_on(jj_rt *rt, jj_frame *f, const jj_node *n, jv value);
/* Runs a body into a text of its own; *flow tells whether it was left early. */
jv jj_capture(jj_rt *rt, jj_frame *f, const jj_nodes *body, jj_flow *flow);
void jj_emit(jj_rt *rt, strv text);

struct jj_macro {
    const jj_node *node;
    jj_frame *frame; /* where it was defined */
    strv name;
};
jv jj_macro_call(jj_rt *rt, const jj_macro *m, const jj_args *args);

/* A block of `self`: calling it runs it again. */
struct jj_block {
    const jj_context *context;
    const jj_node *node;
};
jv jj_block_of(jj_rt *rt, const jj_context *c, strv name); /* JJ_MISSING: there is none */
jv jj_block_call(jj_rt *rt, const jj_block *block, const jj_args *args);
jv jj_block_super(jj_rt *rt, strv name);

struct jj_loop {
    jj_iter *items;
    jv source;
    int64_t index0; /* -1 before the first item */
    size_t length;
    int has_length, has_after, has_before, changed_once;
    jv current, before, after;
    jj_list *changed;
    const jj_node *recursive; /* the loop, when it may be called */
    jj_frame *frame;          /* of the recursive loop's surroundings */
    int64_t depth0;
};
jj_loop *jj_loop_new(jj_rt *rt, jv source, int64_t depth0);
int jj_loop_next(jj_rt *rt, jj_loop *loop, jv *out);
jv jj_loop_attribute(jj_rt *rt, jj_loop *loop, strv name, int *found);
void jj_loop_repr(jj_rt *rt, buf *b, jj_loop *loop);
jv jj_loop_call(jj_rt *rt, jj_loop *loop, const jj_args *args);

#endif
