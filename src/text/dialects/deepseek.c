/* deepseek.c: tool calls in a block of their own, in two forms.
 *
 *   <｜tool▁calls▁begin｜>CALLS<｜tool▁calls▁end｜>, a call of which is
 *   <｜tool▁call▁begin｜>function<｜tool▁sep｜>NAME\n```json\n{..}\n```<｜tool▁call▁end｜>
 *   <｜tool▁call▁begin｜>NAME<｜tool▁sep｜>{..}<｜tool▁call▁end｜>
 * The first is that of V2.5, V3 and R1, the second that of V3.1.
 * Source: the templates of deepseek-ai/DeepSeek-V3, -R1, -V3.1.
 * Traps: the bars are U+FF5C, the underscores U+2581. The last marker is often missing. */
#include "text/dialects/parts.h"

static void read_call(call_list *c, strv one)
{
    static const char SEPARATOR[] = "<｜tool▁sep｜>";
    size_t at = text_find(one, SEPARATOR, 0), line;
    strv name, arguments;
    if (at == SIZE_MAX) {
        calls_refuse(c, "a tool call has no %s", SEPARATOR);
        return;
    }
    name = text_trim((strv){one.p, at});
    arguments = (strv){one.p + at + sizeof SEPARATOR - 1, one.n - at - (sizeof SEPARATOR - 1)};
    if (strv_is(name, "function") && text_trim(arguments).n && *text_trim(arguments).p != '{') {
        line = text_find(arguments, "\n", 0);
        if (line == SIZE_MAX) line = arguments.n;
        name = (strv){arguments.p, line};
        arguments = (strv){arguments.p + line, arguments.n - line};
    }
    calls_add_json(c, name, (strv){"", 0}, text_unfence(arguments));
}

static void read_calls(call_list *c, strv body)
{
    size_t at = 0;
    strv one;
    while (!c->failed &&
           text_between(body, "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", &at, &one)) {
        read_call(c, one);
        calls_part(c, body.p + at);
    }
    if (text_trim((strv){body.p + at, body.n - at}).n)
        calls_refuse(c, "a tool call is not complete, it wants <｜tool▁call▁end｜>");
}

const struct dialect dialect_deepseek = {
    .name = "deepseek",
    .priority = 10,
    .sets = {{{"<｜tool▁calls▁begin｜>"}}, {{"<｜Assistant｜>", "@<｜tool▁calls▁begin｜>"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "<｜tool▁calls▁begin｜>",
                .close = "<｜tool▁calls▁end｜>",
                .end = scan_close_or_rest,
                .read = read_calls},
               BLOCK_THINK},
};
