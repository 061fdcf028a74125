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
void tmpl_close(tmpl *t);

/* Renders; request: an object: messages, tools, documents, add_generation_prompt,
 * continue_final_message, strftime_now and any variable (cli.md, line protocols). Appends to out.
 * Fails INPUT (line, column, expression; raise_exception's message), LIMIT, MEMORY */
mlxe_status tmpl_render(const tmpl *t, const json *request, buf *out, mlxe_error *err);

#endif
