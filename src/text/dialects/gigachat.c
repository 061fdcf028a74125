/* gigachat.c: text<|message_sep|>\n\nfunction call<|role_sep|>\n{"name": .., "arguments": {..}}
 *
 * GigaChat 3: a call is a message of its own behind the text. Source: its template. */
#include "text/dialects/parts.h"

const struct dialect dialect_gigachat = {
    .name = "gigachat",
    .priority = 15,
    .sets = {{{"function call", "<|role_sep|>"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "function call<|role_sep|>",
                .close = "<|message_sep|>",
                .end = scan_json,
                .read = read_json_calls},
               {.kind = BLOCK_DROP, .open = "<|message_sep|>"}},
};
