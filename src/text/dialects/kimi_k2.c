/* kimi_k2.c: calls in a section, each with its own id.
 *
 *   <|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{..}
 *   <|tool_call_end|><|tool_calls_section_end|>
 * Kimi K2. The id is the whole functions.f:0. Source: moonshotai/Kimi-K2's tool call guide. */
#include "text/dialects/parts.h"

static void read_call(call_list *c, strv one)
{
    static const char ARGUMENTS[] = "<|tool_call_argument_begin|>";
    size_t mark = text_find(one, ARGUMENTS, 0);
    strv id, name;
    if (mark == SIZE_MAX) {
        calls_refuse(c, "a tool call has no %s", ARGUMENTS);
        return;
    }
    id = name = text_trim((strv){one.p, mark});
    if (strv_starts(name, STRV("functions."))) name = (strv){name.p + 10, name.n - 10};
    for (size_t i = name.n; i-- > 1;) {
        if (name.p[i] >= '0' && name.p[i] <= '9') continue;
        if (name.p[i] == ':') name.n = i;
        break;
    }
    mark += sizeof ARGUMENTS - 1;
    calls_add_json(c, name, id, (strv){one.p + mark, one.n - mark});
}

static void read_section(call_list *c, strv body)
{
    size_t at = 0;
    strv one;
    while (!c->failed &&
           text_between(body, "<|tool_call_begin|>", "<|tool_call_end|>", &at, &one)) {
        read_call(c, one);
        calls_part(c, body.p + at);
    }
    if (text_trim((strv){body.p + at, body.n - at}).n)
        calls_refuse(c, "a tool call is not complete, it wants <|tool_call_end|>");
}

const struct dialect dialect_kimi_k2 = {
    .name = "kimi_k2",
    .priority = 15,
    .sets = {{{"<|tool_calls_section_begin|>"}}, {{"@<|tool_calls_section_begin|>"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "<|tool_calls_section_begin|>",
                .close = "<|tool_calls_section_end|>",
                .end = scan_close_or_rest,
                .read = read_section},
               BLOCK_THINK},
};
