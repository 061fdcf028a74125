/* internlm.c: <|action_start|><|plugin|>{"name": .., "parameters": {..}}<|action_end|>
 *
 * InternLM 2 and 2.5. Source: the models' chat format. */
#include "text/dialects/parts.h"

const struct dialect dialect_internlm = {
    .name = "internlm",
    .priority = 12,
    .sets = {{{"@<|action_start|>"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "<|action_start|><|plugin|>",
                .close = "<|action_end|>",
                .end = scan_json,
                .read = read_json_calls},
               BLOCK_THINK},
};
