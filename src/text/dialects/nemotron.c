/* nemotron.c: <TOOLCALL>[{"name": .., "arguments": {..}}]</TOOLCALL>
 *
 * Nemotron Nano v2, Llama Nemotron Super 1.5. Source: the models' templates. */
#include "text/dialects/parts.h"

const struct dialect dialect_nemotron = {
    .name = "nemotron",
    .priority = 15,
    .sets = {{{"<TOOLCALL>"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "<TOOLCALL>",
                .close = "</TOOLCALL>",
                .end = scan_json,
                .read = read_json_calls},
               BLOCK_THINK},
};
