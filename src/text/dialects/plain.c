/* plain.c: templates without a form for tool calls: everything is text, but for reasoning.
 * Source: DeepSeek R1, QwQ (`<think>`), Magistral ([THINK]), Seed (`<seed:think>`). */
#include "text/dialects/parts.h"

const struct dialect dialect_plain = {
    .name = "plain",
    .blocks =
        {BLOCK_THINK,
         {.kind = BLOCK_REASONING, .flags = BLOCK_IF_SEEN, .open = "[THINK]", .close = "[/THINK]"},
         {.kind = BLOCK_REASONING,
          .flags = BLOCK_IF_SEEN,
          .open = "<seed:think>",
          .close = "</seed:think>"}},
};
