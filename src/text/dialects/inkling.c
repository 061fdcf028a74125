/* inkling.c: messages of one kind of content each, the kind said by a token.
 *
 *   <|message_model|><|content_thinking|>..<|end_message|>
 *   <|message_model|><|content_text|>..<|end_message|>
 *   <|message_model|>NAME<|content_invoke_tool_json|>{"name": .., "args": {..}}<|end_message|>
 * Inkling. The prompt ends in <|message_model|>, so an answer begins behind it.
 * Source: the models' wire format as public parsers describe it.
 * Traps: the NAME before a call says again what the object says, and may be missing. */
#include "text/dialects/parts.h"

enum { MESSAGE, FIRST, THINKING, CALL };

/* A header: NAME, then the token that says the kind. */
static ptrdiff_t end_header(const dialect_block *b, strv raw, int last, block_scan *s)
{
    static const char *const KINDS[] = {"<|content_invoke_tool_json|>", "<|content_thinking|>",
                                        "<|content_text|>"};
    size_t n = 0;
    (void)b;
    while (n < raw.n && raw.p[n] != '<' && !text_space(raw.p[n]) && n < 128)
        n++;
    strv rest = {raw.p + n, raw.n - n};
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        strv kind = strv_of(KINDS[i]);
        if (strv_starts(rest, kind)) {
            s->body = n + kind.n;
            return (ptrdiff_t)s->body;
        }
        if (!last && rest.n < kind.n && strv_starts(kind, rest)) return SCAN_MORE;
    }
    return SCAN_NO_CALL;
}

static int enter(call_list *c, strv header)
{
    (void)c;
    if (text_find(header, "invoke_tool", 0) != SIZE_MAX) return CALL;
    return text_find(header, "thinking", 0) != SIZE_MAX ? THINKING : -1;
}

static void read_call(call_list *c, strv body)
{
    strv s = text_trim(body), name, arguments;
    if (!s.n || *s.p != '{' || span_value(s, 0) != s.n) {
        calls_refuse(c, "a tool call is no JSON object");
        return;
    }
    name = span_text(c, span_member(s, "name"));
    arguments = span_member(s, "args");
    if (!arguments.p) arguments = span_member(s, "arguments");
    if (!name.p)
        calls_refuse(c, "a tool call has no name");
    else
        calls_add_json(c, name, (strv){"", 0}, arguments);
}

const struct dialect dialect_inkling = {
    .name = "inkling",
    .priority = 20,
    .sets = {{{"<|content_invoke_tool_json|>"}}, {{"@<|content_invoke_tool_json|>"}}},
    .blocks = {[MESSAGE] = {.kind = BLOCK_HEADER,
                            .open = "<|message_model|>",
                            .end = end_header,
                            .enter = enter},
               [FIRST] = {.kind = BLOCK_HEADER,
                          .flags = BLOCK_AT_START,
                          .open = "",
                          .end = end_header,
                          .enter = enter},
               [THINKING] = {.kind = BLOCK_REASONING,
                             .open = "<|content_thinking|>",
                             .close = "<|end_message|>"},
               [CALL] = {.kind = BLOCK_CALL,
                         .open = "<|content_invoke_tool_json|>",
                         .close = "<|end_message|>",
                         .end = scan_json,
                         .read = read_call},
               {.kind = BLOCK_DROP, .open = "<|content_text|>"},
               {.kind = BLOCK_DROP, .open = "<|end_message|>"},
               {.kind = BLOCK_DROP, .open = "<|content_model_end_sampling|>"}},
};
