/* xml_function.c: <function=NAME>, then parameters as tags, or JSON.
 *
 *   <tool_call>\n<function=f>\n<parameter=k>\nv\n</parameter>\n</function>\n</tool_call>
 *   <seed:tool_call><function=f>..</function></seed:tool_call>
 *   <function=f>{"k": "v"}</function>
 * Qwen3-Coder, Seed-OSS, Llama 3.1 and others.
 * Source: the templates of Qwen/Qwen3-Coder and ByteDance-Seed/Seed-OSS, the card of Llama 3.1.
 * Traps: a value is text or JSON by its parameter's schema; one line end each belongs to the
 *        tags. */
#include "text/dialects/parts.h"

/* NAME>... without the tag's beginning and the closing tag. */
static void read_function(call_list *c, strv one)
{
    size_t at = text_find(one, ">", 0), end;
    strv name, rest, key, value;
    if (at == SIZE_MAX || !(name = text_trim((strv){one.p, at})).n) {
        calls_refuse(c, "a tool call has no name");
        return;
    }
    rest = text_trim((strv){one.p + at + 1, one.n - at - 1});
    if (rest.n && *rest.p == '{') {
        calls_add_json(c, name, (strv){"", 0}, rest);
        return;
    }
    buf_clear(&c->scratch);
    buf_add_char(&c->scratch, '{');
    at = 0;
    while (text_between(rest, "<parameter=", ">", &at, &key)) {
        end = text_find(rest, "</parameter>", at);
        if (end == SIZE_MAX) {
            calls_refuse(c, "a tool call is not complete, it wants </parameter>");
            return;
        }
        value = (strv){rest.p + at, end - at};
        at = end + strlen("</parameter>");
        object_add_text(c, name, text_trim(key), text_inner(value));
    }
    buf_add_char(&c->scratch, '}');
    if (text_trim((strv){rest.p + at, rest.n - at}).n)
        calls_refuse(c, "a tool call holds something that is no parameter");
    else
        calls_add(c, name, (strv){"", 0}, calls_keep(c));
}

static void read_wrapped(call_list *c, strv body)
{
    size_t at = 0;
    strv one;
    if (text_trim(body).n && *text_trim(body).p == '{') {
        read_json_calls(c, body);
        return;
    }
    while (calls_ok(c) && text_between(body, "<function=", "</function>", &at, &one))
        read_function(c, one);
    if (calls_ok(c) && (!c->n || text_trim((strv){body.p + at, body.n - at}).n))
        calls_refuse(c, "a tool call is not complete, it wants </function>");
}

const struct dialect dialect_xml_function = {
    .name = "xml_function",
    .priority = 18,
    .sets = {{{"<function="}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "<tool_call>",
                .close = "</tool_call>",
                .end = scan_close,
                .read = read_wrapped},
               {.kind = BLOCK_CALL,
                .open = "<seed:tool_call>",
                .close = "</seed:tool_call>",
                .end = scan_close,
                .read = read_wrapped},
               {.kind = BLOCK_CALL,
                .open = "<function=",
                .close = "</function>",
                .end = scan_close,
                .read = read_function},
               BLOCK_THINK,
               {.kind = BLOCK_REASONING,
                .flags = BLOCK_IF_SEEN,
                .open = "<seed:think>",
                .close = "</seed:think>"}},
};
