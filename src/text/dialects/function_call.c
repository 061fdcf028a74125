/* function_call.c: <function_call> {"name": .., "arguments": {..}}, once a call, often not closed.
 *
 * Granite 20B function calling, and models that were taught its form. Source: the card and template
 * of ibm-granite/granite-20b-functioncalling. */
#include "text/dialects/parts.h"

const struct dialect dialect_function_call = {
    .name = "function_call",
    .priority = 9,
    .sets = {{{"<function_call>"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "<function_call>",
                .close = "</function_call>",
                .end = scan_json,
                .read = read_json_calls},
               BLOCK_THINK},
};
