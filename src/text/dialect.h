/* dialect.h: the forms in which models write tool calls and reasoning, read while they stream.
 *
 *   answer in pieces -> dialect_parser -> text | reasoning | call | (nothing: markup)
 *
 * A dialect is a file of src/text/dialects/: what it looks for in a template (dialect_marker), and
 * its blocks: how one opens, where it ends, how its body becomes calls. Nothing of an answer is
 * lost: what the sink is told, markup included, put together again is the answer, byte for byte,
 * however it was cut into pieces. A call that cannot be read is text, with a reason. */
#ifndef TEXT_DIALECT_H
#define TEXT_DIALECT_H

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"

/* ---- what a parser tells --------------------------------------------------------------------- */

typedef enum dialect_kind {
    DIALECT_TEXT,      /* of the answer; reason says why it is no call, where it looked like one */
    DIALECT_REASONING, /* what the model thought */
    DIALECT_CALL,      /* one tool call; raw may be with the first of those that stand together */
    DIALECT_MARKUP     /* what stands around these and belongs to none */
} dialect_kind;

typedef struct dialect_event {
    dialect_kind kind;
    strv raw;           /* the bytes of the answer that it was made of */
    const char *reason; /* TEXT: NULL, or why it is no call */
    strv name, id;      /* CALL; id is empty where the form has none */
    strv arguments;     /* CALL: a JSON object, as the model wrote it where it wrote JSON */
} dialect_event;

typedef void (*dialect_fn)(void *user, const dialect_event *event);

/* ---- choosing -------------------------------------------------------------------------------- */

typedef struct dialect dialect;

/* By name; NULL: unknown. */
const dialect *dialect_find(strv name);
/* "command_r, deepseek, ..." */
void dialect_names(buf *out);
const char *dialect_name(const dialect *d);

/* What a template and the names of a tokenizer's tokens say. */
typedef struct dialect_choice {
    const dialect *dialect;
    const char *begin, *end; /* reasoning markers; NULL: the model writes none */
    char why[200];
} dialect_choice;

/* Chooses from a template's source and the added tokens' texts (one a line). Never fails: without
 * any marker it is "plain", which passes everything as text. */
void dialect_choose(strv source, strv tokens, dialect_choice *out);
/* The same with a name given; every reasoning block of it counts. Fails ARG (unknown, lists all) */
mlxe_status dialect_choose_named(strv name, dialect_choice *out, mlxe_error *err);

/* ---- reading --------------------------------------------------------------------------------- */

typedef struct dialect_parser dialect_parser;

typedef struct dialect_setup {
    const dialect_choice *choice;
    const json *tools; /* borrowed: the declared tools; NULL: none, calls are text then */
    strv prompt;       /* the rendered prompt: it may end inside reasoning or a header */
    dialect_fn fn;
    void *user;
} dialect_setup;

/* 0: the dialect has nothing to do: every answer is text. */
int dialect_needed(const dialect_choice *choice, int has_tools);
mlxe_status dialect_open(const dialect_setup *setup, dialect_parser **out, mlxe_error *err);
/* The next piece. special: it is the text of one special token, which is markup (and no text) if
 * the dialect has no use for it. Fails MEMORY, sticky */
mlxe_status dialect_push(dialect_parser *p, strv piece, int special, mlxe_error *err);
/* The end of the answer. What was held back is told. */
mlxe_status dialect_finish(dialect_parser *p, mlxe_error *err);
void dialect_close(dialect_parser *p);

/* 1 while the parser is inside reasoning. */
int dialect_reasoning(const dialect_parser *p);
/* The text that ends reasoning, to be put into an answer whose budget is used up; NULL: none. */
const char *dialect_reasoning_end(const dialect_parser *p);
size_t dialect_calls(const dialect_parser *p); /* told so far */

#endif
