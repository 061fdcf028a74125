/* phi.c: <|tool_call|>[{"name": .., "arguments": {..}}]<|/tool_call|> or functools[..]
 *
 * Phi 4 mini. Source: the template and card of microsoft/Phi-4-mini-instruct. */
#include "text/dialects/parts.h"

const struct dialect dialect_phi = {
    .name = "phi",
    .priority = 11,
    .sets = {{{"<|tool|>", "<|/tool|>"}}, {{"@<|/tool_call|>"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "<|tool_call|>",
                .close = "<|/tool_call|>",
                .end = scan_json,
                .read = read_json_calls},
               {.kind = BLOCK_CALL, .open = "functools", .end = scan_json, .read = read_json_calls},
               BLOCK_THINK},
};
