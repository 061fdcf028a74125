/* hermes.c: <tool_call>{"name": .., "arguments": {..}}</tool_call>, once a call.
 *
 * Hermes 2 and 3, Qwen 2.5 and 3, Granite 4, Granite 3.1 (a list in one block, never closed),
 * SmolLM 3, pocket-llm. Source: NousResearch/Hermes-Function-Calling, the models' templates. */
#include "text/dialects/parts.h"

const struct dialect dialect_hermes = {
    .name = "hermes",
    .priority = 10,
    .sets = {{{"<tool_call>"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "<tool_call>",
                .close = "</tool_call>",
                .end = scan_json,
                .read = read_json_calls},
               BLOCK_THINK},
};
