/* minimax.c: <minimax:tool_call><invoke name="f"><parameter name="k">v</parameter></invoke>..
 *
 *   <tool_calls>\n{"name": .., "arguments": {..}}\n</tool_calls>     MiniMax M1
 * Source: the templates of MiniMaxAI/MiniMax-M1 and -M2. The prompt of M2 opens <think>. */
#include "text/dialects/invoke.h"

static void read_block(call_list *c, strv body) { read_invokes(c, body, ""); }

const struct dialect dialect_minimax = {
    .name = "minimax",
    .priority = 20,
    .sets = {{{"minimax:tool_call"}}, {{"<tool_calls>", "!<tool_call>"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "<minimax:tool_call>",
                .close = "</minimax:tool_call>",
                .end = scan_close_or_rest,
                .read = read_block},
               {.kind = BLOCK_CALL,
                .open = "<tool_calls>",
                .close = "</tool_calls>",
                .end = scan_close_or_rest,
                .read = read_json_calls},
               BLOCK_THINK},
};
