/* plamo3.c: calls in a section, name and arguments between markers of their own.
 *
 *   <|plamo:begin_tool_requests:plamo|><|plamo:begin_tool_request:plamo|>
 *   <|plamo:begin_tool_name:plamo|>NAME<|plamo:end_tool_name:plamo|>
 *   <|plamo:begin_tool_arguments:plamo|><|plamo:constrain|>json<|plamo:msg|>{..}
 *   <|plamo:end_tool_arguments:plamo|><|plamo:end_tool_request:plamo|>
 *   <|plamo:end_tool_requests:plamo|>
 * PLaMo 3, without the line ends. Source: the template of pfnet/plamo-3, the form that vLLM
 * documents for it. */
#include "text/dialects/parts.h"

static void read_requests(call_list *c, strv body)
{
    static const char MESSAGE[] = "<|plamo:msg|>";
    size_t at = 0;
    strv one;
    while (calls_ok(c) && text_between(body, "<|plamo:begin_tool_request:plamo|>",
                                       "<|plamo:end_tool_request:plamo|>", &at, &one)) {
        size_t in = 0, from;
        strv name, arguments;
        if (!text_between(one, "<|plamo:begin_tool_name:plamo|>", "<|plamo:end_tool_name:plamo|>",
                          &in, &name) ||
            !text_between(one, "<|plamo:begin_tool_arguments:plamo|>",
                          "<|plamo:end_tool_arguments:plamo|>", &in, &arguments)) {
            calls_refuse(c, "a tool call has no name or no arguments");
            return;
        }
        from = text_find(arguments, MESSAGE, 0);
        if (from != SIZE_MAX && *text_trim(arguments).p != '{') {
            from += sizeof MESSAGE - 1;
            arguments = (strv){arguments.p + from, arguments.n - from};
        }
        calls_add_json(c, text_trim(name), (strv){"", 0}, arguments);
    }
    if (calls_ok(c) && (!c->n || text_trim((strv){body.p + at, body.n - at}).n))
        calls_refuse(c, "a tool call is not complete, it wants <|plamo:end_tool_request:plamo|>");
}

const struct dialect dialect_plamo3 = {
    .name = "plamo3",
    .priority = 15,
    .sets = {{{"<|plamo:begin_tool_requests:plamo|>"}}, {{"plamo:begin_tool_request"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "<|plamo:begin_tool_requests:plamo|>",
                .close = "<|plamo:end_tool_requests:plamo|>",
                .end = scan_close_or_rest,
                .read = read_requests},
               {.kind = BLOCK_REASONING,
                .flags = BLOCK_IF_SEEN,
                .open = "<|plamo:begin_think:plamo|>",
                .close = "<|plamo:end_think:plamo|>"}},
};
