/* granite.c: <|tool_call|>[{"name": .., "arguments": {..}}], never closed.
 *
 * Granite 3.0, 3.2, 3.3; 3.1 and 4 write the Hermes form. Reasoning: in 3.3 <think>, in 3.2 two
 * sentences.
 * Source: the templates of ibm-granite/granite-3.*-instruct. */
#include "text/dialects/parts.h"

const struct dialect dialect_granite = {
    .name = "granite",
    .priority = 12,
    .sets = {{{"<|tool_call|>", "<|start_of_role|>"}}},
    .blocks =
        {{.kind = BLOCK_CALL, .open = "<|tool_call|>", .end = scan_json, .read = read_json_calls},
         {.kind = BLOCK_CALL, .open = "<tool_call>", .end = scan_json, .read = read_json_calls},
         BLOCK_THINK,
         {.kind = BLOCK_REASONING,
          .flags = BLOCK_IF_SEEN,
          .open = "Here is my thought process:",
          .close = "Here is my response:"}},
};
