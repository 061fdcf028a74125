/* command_r7b.c: a list of calls between <|START_ACTION|> and <|END_ACTION|>.
 *
 *   <|START_ACTION|>[{"tool_call_id": .., "tool_name": .., "parameters": {..}}]<|END_ACTION|>
 * Command R7B, A and later; the answer stands in <|START_RESPONSE|> .. <|END_RESPONSE|>.
 * Source: the templates of CohereForAI/c4ai-command-r7b-12-2024 and command-a. */
#include "text/dialects/parts.h"

const struct dialect dialect_command_r7b = {
    .name = "command_r7b",
    .priority = 12,
    .sets = {{{"<|START_ACTION|>"}},
             {{"@<|START_ACTION|>", "<|START_OF_TURN_TOKEN|>", "!Action:"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "<|START_ACTION|>",
                .close = "<|END_ACTION|>",
                .end = scan_json,
                .read = read_json_calls},
               {.kind = BLOCK_REASONING, .open = "<|START_THINKING|>", .close = "<|END_THINKING|>"},
               {.kind = BLOCK_DROP, .open = "<|START_RESPONSE|>"},
               {.kind = BLOCK_DROP, .open = "<|END_RESPONSE|>"},
               {.kind = BLOCK_DROP, .open = "<|START_TEXT|>"},
               {.kind = BLOCK_DROP, .open = "<|END_TEXT|>"}},
};
