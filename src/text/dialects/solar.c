/* solar.c: calls with an id, a name and arguments, each behind its own token.
 *
 *   <|tool_calls|><|tool_call:begin|>ID<|tool_call:name|>NAME<|tool_call:args|>{..}
 *   <|tool_call:end|>
 *   <|tool_call:start|>NAME\n<|tool_arg:start|>K<|tool_arg:value|>V<|tool_arg:end|>\n
 *   <|tool_call:end|>
 * Solar Open, and Solar Open 2 in the second form. Reasoning of the first is a message of its own:
 * <|think|>..<|end|><|begin|>assistant<|content|>.. Source: their templates. */
#include "text/dialects/invoke.h"

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
    strv rest = text_trim((strv){body.p + at, body.n - at});
    if (calls_ok(c) && rest.n && !strv_is(rest, "<|calls|>")) /* that one is an end token */
        calls_refuse(c, "a tool call is not complete, it wants <|tool_call:end|>");
}

/* NAME\n and the arguments. */
static void read_call(call_list *c, strv body)
{
    static const keyed_tags TAGS = {"<|tool_arg:start|>", "<|tool_arg:value|>", NULL,
                                    "<|tool_arg:end|>"};
    size_t at = text_find(body, TAGS.key, 0);
    if (at == SIZE_MAX) at = body.n;
    strv name = text_trim((strv){body.p, at});
    if (!name.n)
        calls_refuse(c, "a tool call has no name");
    else
        read_keyed(c, name, (strv){body.p + at, body.n - at}, &TAGS);
}

const struct dialect dialect_solar = {
    .name = "solar",
    .priority = 15,
    .sets = {{{"<|tool_call:begin|>"}}, {{"<|tool_call:start|>"}}},
    .blocks =
        {{.kind = BLOCK_CALL,
          .open = "<|tool_calls|>",
          .close = "<|end|>",
          .end = scan_close_or_rest,
          .read = read_calls},
         {.kind = BLOCK_CALL,
          .open = "<|tool_call:start|>",
          .close = "<|tool_call:end|>",
          .end = scan_close,
          .read = read_call},
         {.kind = BLOCK_REASONING, .flags = BLOCK_IF_SEEN, .open = "<|think|>", .close = "<|end|>"},
         {.kind = BLOCK_REASONING,
          .flags = BLOCK_IF_SEEN,
          .open = "<|think:start|>",
          .close = "<|think:end|>"},
         {.kind = BLOCK_DROP, .open = "<|begin|>assistant"},
         {.kind = BLOCK_DROP, .open = "<|content|>"},
         {.kind = BLOCK_DROP, .open = "<|end|>"},
         {.kind = BLOCK_DROP, .open = "<|flush|>"},
         {.kind = BLOCK_DROP, .open = "<|calls|>"}},
};
