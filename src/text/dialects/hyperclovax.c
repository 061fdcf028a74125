/* hyperclovax.c: a call is a message of its own, its role says so.
 *
 *   /think\n..<|im_end|>\n<|im_start|>assistant -> tool/function_call\n[{"name": ..}, ..]
 * HyperCLOVA X SEED Think: the prompt ends in <|im_start|>assistant. Source: the model's card. */
#include "text/dialects/parts.h"

const struct dialect dialect_hyperclovax = {
    .name = "hyperclovax",
    .priority = 15,
    .sets = {{{"tool/function_call"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "-> tool/function_call\n",
                .close = "<|im_end|>",
                .end = scan_json,
                .read = read_json_calls},
               {.kind = BLOCK_REASONING,
                .flags = BLOCK_AT_START,
                .open = "/think\n",
                .close = "<|im_end|>\n<|im_start|>assistant"},
               {.kind = BLOCK_DROP, .open = "<|im_end|>\n<|im_start|>assistant"}},
};
