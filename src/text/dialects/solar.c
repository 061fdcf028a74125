/* solar.c: calls with an id, a name and arguments, each behind its own token.
 *
 *   <|tool_calls|><|tool_call:begin|>ID<|tool_call:name|>NAME<|tool_call:args|>{..}
 *   <|tool_call:end|>
 * Solar Open. Reasoning is a message of its own: <|think|>..<|end|><|begin|>assistant<|content|>..
 * Source: its template. */
#include "text/dialects/parts.h"

static ptrdiff_t end_calls(const dialect_block *b, strv raw, int last, block_scan *s)
{
    ptrdiff_t end = scan_close(b, raw, last, s);
    return end == SCAN_MORE && last ? scan_rest(b, raw, last, s) : end;
}

static void read_calls(call_list *c, strv body)
{
    size_t at = 0, inner;
    strv one, id, name;
    while (calls_ok(c) &&
           text_between(body, "<|tool_call:begin|>", "<|tool_call:end|>", &at, &one)) {
        size_t arguments = text_find(one, "<|tool_call:args|>", 0);
        inner = text_find(one, "<|tool_call:name|>", 0);
        if (inner == SIZE_MAX || arguments == SIZE_MAX || arguments < inner) {
            calls_refuse(c, "a tool call has no name or no arguments");
            return;
        }
        id = text_trim((strv){one.p, inner});
        inner += strlen("<|tool_call:name|>");
        name = text_trim((strv){one.p + inner, arguments - inner});
        arguments += strlen("<|tool_call:args|>");
        calls_add_json(c, name, id, (strv){one.p + arguments, one.n - arguments});
    }
    if (calls_ok(c) && text_trim((strv){body.p + at, body.n - at}).n)
        calls_refuse(c, "a tool call is not complete, it wants <|tool_call:end|>");
}

const struct dialect dialect_solar = {
    .name = "solar",
    .priority = 15,
    .sets = {{{"<|tool_call:begin|>"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "<|tool_calls|>",
                .close = "<|end|>",
                .end = end_calls,
                .read = read_calls},
               {.kind = BLOCK_REASONING, .open = "<|think|>", .close = "<|end|>"},
               {.kind = BLOCK_DROP, .open = "<|begin|>assistant"},
               {.kind = BLOCK_DROP, .open = "<|content|>"},
               {.kind = BLOCK_DROP, .open = "<|end|>"}},
};
