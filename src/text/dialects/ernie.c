/* ernie.c: <tool_call>{"name": .., "arguments": {..}}</tool_call>, answers in <response>.
 *
 * ERNIE 4.5 Thinking: </think>, then <response>\n..\n</response> or calls.
 * Source: the template of baidu/ERNIE-4.5-21B-A3B-Thinking. */
#include "text/dialects/parts.h"

const struct dialect dialect_ernie = {
    .name = "ernie",
    .priority = 14,
    .sets = {{{"<response>", "</response>", "<tool_call>"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "<tool_call>",
                .close = "</tool_call>",
                .end = scan_json,
                .read = read_json_calls},
               BLOCK_THINK,
               {.kind = BLOCK_DROP, .open = "<response>\n"},
               {.kind = BLOCK_DROP, .open = "<response>"},
               {.kind = BLOCK_DROP, .open = "\n</response>"},
               {.kind = BLOCK_DROP, .open = "</response>"}},
};
