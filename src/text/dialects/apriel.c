/* apriel.c: reasoning, [BEGIN FINAL RESPONSE], then text or <tool_calls>[{..}]</tool_calls>.
 *
 * Apriel 1.5 and 1.6 Thinker; the template opens the reasoning. Source: the models' templates. */
#include "text/dialects/parts.h"

const struct dialect dialect_apriel = {
    .name = "apriel",
    .priority = 25,
    .sets = {{{"[BEGIN FINAL RESPONSE]"}}},
    .blocks = {{.kind = BLOCK_REASONING,
                .open = "Here are my reasoning steps:",
                .close = "[BEGIN FINAL RESPONSE]",
                .force = "\n[BEGIN FINAL RESPONSE]\n"},
               {.kind = BLOCK_DROP, .open = "[END FINAL RESPONSE]"},
               {.kind = BLOCK_CALL,
                .open = "<tool_calls>",
                .close = "</tool_calls>",
                .end = scan_json,
                .read = read_json_calls}},
};
