/* gigachat.c: text<|message_sep|>\n\nfunction call<|role_sep|>\n{"name": .., "arguments": {..}}
 *
 *   <｜GCML｜tool_calls>\n<｜GCML｜invoke name="f">\n<｜GCML｜parameter name="k" string="true">v..
 * GigaChat 3: a call is a message of its own behind the text; <|function_call|> stands for its role
 * in some. GigaChat 3.5: the second form. Source: their templates. */
#include "text/dialects/invoke.h"

static void read_block(call_list *c, strv body) { read_invokes(c, body, "｜GCML｜"); }

const struct dialect dialect_gigachat = {
    .name = "gigachat",
    .priority = 15,
    .sets = {{{"function call", "<|role_sep|>"}}, {{"｜GCML｜"}}, {{"<|function_call|>"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "function call<|role_sep|>",
                .close = "<|message_sep|>",
                .end = scan_json,
                .read = read_json_calls},
               {.kind = BLOCK_CALL,
                .open = "<|function_call|>",
                .close = "<|message_sep|>",
                .end = scan_json,
                .read = read_json_calls},
               {.kind = BLOCK_CALL,
                .open = "<｜GCML｜tool_calls>",
                .close = "</｜GCML｜tool_calls>",
                .end = scan_close,
                .read = read_block},
               BLOCK_THINK,
               {.kind = BLOCK_DROP, .open = "<|message_sep|>"}},
};
