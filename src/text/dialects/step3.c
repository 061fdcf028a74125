/* step3.c: calls in a block of their own, their arguments in tags.
 *
 *   <｜tool_calls_begin｜><｜tool_call_begin｜>function<｜tool_sep｜><steptml:invoke name="f">
 *   <steptml:parameter name="k">v</steptml:parameter></steptml:invoke><｜tool_call_end｜>
 *   <｜tool_calls_end｜>
 * Step 3. Source: the template of stepfun-ai/step3. Step 3.5 writes Qwen3-Coder's form.
 * Traps: the bars are U+FF5C, the underscores plain. */
#include "text/dialects/invoke.h"

static void read_calls(call_list *c, strv body)
{
    static const char SEPARATOR[] = "<｜tool_sep｜>";
    size_t at = 0, from;
    strv one;
    while (!c->failed &&
           text_between(body, "<｜tool_call_begin｜>", "<｜tool_call_end｜>", &at, &one)) {
        from = text_find(one, SEPARATOR, 0);
        from = from == SIZE_MAX ? 0 : from + sizeof SEPARATOR - 1;
        read_invokes(c, (strv){one.p + from, one.n - from}, "steptml:");
        calls_part(c, body.p + at);
    }
    if (!c->n || text_trim((strv){body.p + at, body.n - at}).n)
        calls_refuse(c, "a tool call is not complete, it wants <｜tool_call_end｜>");
}

const struct dialect dialect_step3 = {
    .name = "step3",
    .priority = 15,
    .sets = {{{"<｜tool_calls_begin｜>"}}, {{"steptml:"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "<｜tool_calls_begin｜>",
                .close = "<｜tool_calls_end｜>",
                .end = scan_close_or_rest,
                .read = read_calls},
               BLOCK_THINK},
};
