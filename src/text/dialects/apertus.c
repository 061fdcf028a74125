/* apertus.c: <|tools_prefix|>[{"NAME": {..}}, ..]<|tools_suffix|>
 *
 * Apertus. Reasoning between <|inner_prefix|> and <|inner_suffix|>. Source: its template.
 * Traps: an object's only key is the tool's name. */
#include "text/dialects/parts.h"

/* The calls of one object, {"f": {..}, "g": {..}}, as it was written. */
static void read_object(call_list *c, strv o)
{
    for (size_t at = 1, end; calls_ok(c); at = end) {
        strv key, name, arguments;
        while (at < o.n && (text_space(o.p[at]) || o.p[at] == ','))
            at++;
        if (at + 1 >= o.n) return; /* the brace */
        end = span_value(o, at);
        key = end == SIZE_MAX ? (strv){NULL, 0} : (strv){o.p + at, end - at};
        name = span_text(c, key);
        while (end < o.n && (text_space(o.p[end]) || o.p[end] == ':'))
            end++;
        at = end;
        end = name.p && at < o.n ? span_value(o, at) : SIZE_MAX;
        if (end == SIZE_MAX || o.p[at] != '{') {
            calls_refuse(c, "a tool call's arguments are no object");
            return;
        }
        arguments = (strv){o.p + at, end - at};
        calls_add_json(c, name, (strv){"", 0}, arguments);
    }
}

static void read_calls(call_list *c, strv body)
{
    strv s = text_trim(body);
    if (!s.n || *s.p != '[' || span_value(s, 0) != s.n) {
        calls_refuse(c, "a tool call is no list");
        return;
    }
    s = (strv){s.p + 1, s.n - 2};
    for (size_t at = 0, end; calls_ok(c); at = end) {
        while (at < s.n && (text_space(s.p[at]) || s.p[at] == ','))
            at++;
        if (at == s.n) break;
        end = span_value(s, at);
        if (s.p[at] != '{' || end == SIZE_MAX)
            calls_refuse(c, "a tool call is no JSON object");
        else
            read_object(c, (strv){s.p + at, end - at});
    }
    if (!c->n) calls_refuse(c, "a tool call is empty");
}

const struct dialect dialect_apertus = {
    .name = "apertus",
    .priority = 15,
    .sets = {{{"<|tools_prefix|>"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "<|tools_prefix|>",
                .close = "<|tools_suffix|>",
                .end = scan_json,
                .read = read_calls},
               {.kind = BLOCK_REASONING,
                .flags = BLOCK_IF_SEEN,
                .open = "<|inner_prefix|>",
                .close = "<|inner_suffix|>"}},
};
