/* tmpl.h: chat templates: compiles the Jinja dialect that models ship, renders a conversation.
 *
 * A compiled template is immutable: any number of threads may render with it. A render is bounded
 * in steps, depth, output bytes and memory, so that a hostile template ends with an error. */
#ifndef TEXT_TMPL_H
#define TEXT_TMPL_H

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"

typedef struct tmpl tmpl;

/* Compiles. where: a name for messages. Fails INPUT ("where: line 3, column 7: ..."), MEMORY */
mlxe_status tmpl_open(const char *where, strv source, tmpl **out, mlxe_error *err);

/* Finds and compiles the chat template of a model folder: chat_template.jinja, else
 * tokenizer_config.json's chat_template (string, or list of named ones: "default"; has_tools picks
 * "tool_use" where there is one). bos_token, eos_token and the other special tokens of
 * tokenizer_config.json become variables. Fails NOT_FOUND (none), CORRUPT, INPUT */
mlxe_status tmpl_open_folder(const char *folder, int has_tools, tmpl **out, mlxe_error *err);
/* The same with a template chosen: the name of one of the folder's ("tool_use", "rag"), else a
 * template's text, which takes the place of the folder's; p NULL: as above. Without the folder's
 * own template a text is enough. Fails NOT_FOUND too where it is neither (lists the names) */
mlxe_status tmpl_open_chosen(const char *folder, int has_tools, strv chosen, tmpl **out,
                             mlxe_error *err);
void tmpl_close(tmpl *t);

/* Renders; request: an object: messages, tools, documents, add_generation_prompt,
 * continue_final_message, strftime_now and any variable (cli.md, line protocols). Appends to out.
 * Fails INPUT (line, column, expression; raise_exception's message), LIMIT, MEMORY */
mlxe_status tmpl_render(const tmpl *t, const json *request, buf *out, mlxe_error *err);

/* The bytes of a rendered text that messages brought, ascending. */
typedef struct tmpl_spans {
    byte_range *v;
    size_t n;
} tmpl_spans;
void tmpl_spans_deinit(tmpl_spans *spans);

/* The same, and tells which bytes of out come from the text of users, tools and documents, and from
 * the arguments of tool calls: whatever they say, it is no control token. spans: NULL: not asked */
mlxe_status tmpl_render_spans(const tmpl *t, const json *request, buf *out, tmpl_spans *spans,
                              mlxe_error *err);

/* The template's source, and the texts of the added tokens that tokenizer_config.json names, one a
 * line: what a dialect is chosen by. */
strv tmpl_source(const tmpl *t);
strv tmpl_tokens(const tmpl *t);

#endif
