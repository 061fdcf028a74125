/* pangu.c: [unused11][{"name": .., "arguments": {..}}, ..][unused12]
 *
 * openPangu: tokens of the vocabulary that had no other use. Reasoning between [unused16] and
 * [unused17]. Source: the templates of openPangu-Embedded. Version 2 writes <|tool_call_start|>,
 * which pythonic.c reads. */
#include "text/dialects/parts.h"

const struct dialect dialect_pangu = {
    .name = "pangu",
    .priority = 20,
    .sets = {{{"[unused11]", "[unused12]"}}, {{"[unused16]", "[unused17]"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "[unused11]",
                .close = "[unused12]",
                .end = scan_json,
                .read = read_json_calls},
               {.kind = BLOCK_REASONING, .open = "[unused16]", .close = "[unused17]"}},
};
