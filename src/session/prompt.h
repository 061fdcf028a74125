/* prompt.h: from a conversation to the text and the ids of a prompt.
 *
 *   messages, tools, variables -> template -> text, and which bytes of it messages brought -> ids
 *
 * Those bytes cannot become control tokens. And a conversation that goes on keeps its ids: what the
 * model wrote is not written anew by the template and tokenised again, but taken as it was
 * (prompt_memory), wherever the template renders that answer at all. */
#ifndef SESSION_PROMPT_H
#define SESSION_PROMPT_H

#include "session/loaded.h"

/* What to render. Everything is borrowed. */
typedef struct prompt_request {
    const loaded *model;
    strv messages;     /* JSON objects with commas between */
    const char *tools; /* JSON array or NULL */
    const char *vars;  /* JSON object or NULL */
    int generation;    /* 1: the text ends where the answer begins */
    int parse_special; /* 1: control tokens in messages count */
} prompt_request;

/* The template's text of an answered conversation, up to what ends the answer, and its real ids. */
typedef struct prompt_memory {
    buf text;
    int32_t *ids;
    size_t n;
} prompt_memory;
void prompt_forget(prompt_memory *memory);

typedef struct prompt {
    buf text;
    tmpl_spans plain; /* bytes of messages */
    int32_t *ids;
    size_t n;
} prompt;
void prompt_deinit(prompt *p);

/* Renders. Fails NOT_FOUND (no template), INPUT, LIMIT, MEMORY */
mlxe_status prompt_render(const prompt_request *request, prompt *out, mlxe_error *err);
/* Ids of a rendered prompt; a begin that memory knows keeps its ids.
 * Fails  INPUT, LIMIT (context), CORRUPT, MEMORY */
mlxe_status prompt_encode(const loaded *m, prompt *p, const prompt_memory *memory, unsigned flags,
                          mlxe_error *err);

/* Remembers an answer: `own` is the conversation with the answer in it, rendered without a
 * generation prompt; asked the prompt that was answered; raw the answer with its control tokens.
 * Does nothing where the template shows that answer otherwise. */
void prompt_remember(const loaded *m, const prompt *own, const prompt *asked, const int32_t *ids,
                     size_t n_ids, strv raw, prompt_memory *memory);

#endif
