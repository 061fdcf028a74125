/* xml_function.c: <function=NAME>, then parameters as tags, or JSON.
 *
 *   <tool_call>\n<function=f>\n<parameter=k>\nv\n</parameter>\n</function>\n</tool_call>
 *   <seed:tool_call><function=f>..</function></seed:tool_call>
 *   <function=f>{"k": "v"}</function>
 * Qwen3-Coder, Seed-OSS, Llama 3.1 and others.
 * Source: the templates of Qwen/Qwen3-Coder and ByteDance-Seed/Seed-OSS, the card of Llama 3.1.
 * Traps: a value is text or JSON by its parameter's schema; one line end each belongs to the
 *        tags. Models forget </parameter>: a value then ends where a parameter that the tool has
 *        begins, or with the function. They forget <tool_call> too, and close it all the same. */
#include "text/dialects/parts.h"

/* Where the value at `from` ends, and where the text goes on. close: of the next closing tag, if it
 * was found before. */
static size_t end_value(call_list *c, strv tool, strv s, size_t from, size_t *close, size_t *next)
{
    static const char OPEN[] = "<parameter=", CLOSE[] = "</parameter>";
    size_t end, at = from, begin;
    strv key;
    if (*close < from) *close = text_find(s, CLOSE, from);
    *next = *close == SIZE_MAX ? s.n : *close + sizeof CLOSE - 1;
    end = *close == SIZE_MAX ? s.n : *close;
    while ((begin = text_find((strv){s.p, end}, OPEN, at)) != SIZE_MAX) {
        if (!text_between(s, OPEN, ">", &at, &key)) break;
        if (!parameter_schema(c, tool, text_trim(key))) continue;
        *next = begin;
        return begin;
    }
    return end;
}

/* NAME>... without the tag's beginning and the closing tag. */
static void read_function(call_list *c, strv one)
{
    size_t at = text_find(one, ">", 0), end, close = 0, next;
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
        end = end_value(c, name, rest, at, &close, &next);
        value = (strv){rest.p + at, end - at};
        at = next;
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
    static const char OPEN[] = "<function=";
    size_t at = 0;
    strv one;
    if (text_trim(body).n && *text_trim(body).p == '{') {
        read_json_calls(c, body);
        return;
    }
    if (text_find(text_trim(body), OPEN, 0) != 0) {
        calls_refuse(c, "a tool call does not begin with %s", OPEN);
        return;
    }
    while (!c->failed && text_between(body, OPEN, "</function>", &at, &one)) {
        read_function(c, one);
        calls_part(c, body.p + at);
    }
    if (!c->n || text_trim((strv){body.p + at, body.n - at}).n)
        calls_refuse(c, "a tool call is not complete, it wants </function>");
}

static ptrdiff_t end_bare(const dialect_block *b, strv raw, int last, block_scan *s)
{
    static const char *const BEHIND[] = {"</tool_call>", NULL};
    return scan_close_and(b, raw, last, s, BEHIND);
}

const struct dialect dialect_xml_function = {
    .name = "xml_function",
    .priority = 18,
    .sets = {{{"<function="}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "<tool_call>",
                .close = "</tool_call>",
                .end = scan_close_or_rest,
                .read = read_wrapped},
               {.kind = BLOCK_CALL,
                .open = "<seed:tool_call>",
                .close = "</seed:tool_call>",
                .end = scan_close_or_rest,
                .read = read_wrapped},
               {.kind = BLOCK_CALL,
                .open = "<function=",
                .close = "</function>",
                .end = end_bare,
                .read = read_function},
               BLOCK_THINK,
               {.kind = BLOCK_REASONING,
                .flags = BLOCK_IF_SEEN,
                .open = "<seed:think>",
                .close = "</seed:think>"}},
};
