/* k2_horizon.c: calls in a section of ifm tags, as JSON or as keys and values.
 *
 *   <ifm|tool_calls><ifm|tool_call>{"name": .., "arguments": {..}}</ifm|tool_call></ifm|tool_calls>
 *   <ifm|tool_call>NAME<ifm|arg_key>K</ifm|arg_key><ifm|arg_type>T</ifm|arg_type>
 *   <ifm|arg_value>V</ifm|arg_value></ifm|tool_call>       the type may be left out
 * K2 Horizon. Reasoning between <ifm|think> and </ifm|think>, _fast and _faster too.
 * Source: the form that vLLM documents for it.
 * Traps: a value of type string is text; else it is text or JSON by its parameter's schema. */
#include "text/dialects/parts.h"

static void add_argument(call_list *c, strv name, strv key, strv type, strv value)
{
    if (!strv_is(type, "string")) {
        object_add_text(c, name, key, value);
        return;
    }
    if (c->scratch.n > 1) buf_add_str(&c->scratch, ", ");
    json_write_str(&c->scratch, key);
    buf_add_str(&c->scratch, ": ");
    json_write_str(&c->scratch, value);
}

static void read_pairs(call_list *c, strv name, strv pairs)
{
    size_t at = 0;
    strv key, type, value;
    buf_clear(&c->scratch);
    buf_add_char(&c->scratch, '{');
    while (text_between(pairs, "<ifm|arg_key>", "</ifm|arg_key>", &at, &key)) {
        size_t typed = at;
        size_t next = text_find(pairs, "<ifm|arg_value>", at);
        type = (strv){"", 0};
        if (text_between(pairs, "<ifm|arg_type>", "</ifm|arg_type>", &typed, &value) &&
            next != SIZE_MAX && typed <= next) {
            type = text_trim(value);
            at = typed;
        }
        if (!text_between(pairs, "<ifm|arg_value>", "</ifm|arg_value>", &at, &value)) {
            calls_refuse(c, "a tool call's argument has no value");
            return;
        }
        add_argument(c, name, text_trim(key), type, value);
    }
    buf_add_char(&c->scratch, '}');
    if (text_trim((strv){pairs.p + at, pairs.n - at}).n)
        calls_refuse(c, "a tool call holds something that is no argument");
    else
        calls_add(c, name, (strv){"", 0}, calls_keep(c));
}

static void read_call(call_list *c, strv one)
{
    size_t at = text_find(one, "<ifm|arg_key>", 0);
    strv name;
    if (at == SIZE_MAX) at = one.n;
    name = text_trim((strv){one.p, at});
    if (!name.n || *name.p == '{')
        read_json_calls(c, one);
    else
        read_pairs(c, name, (strv){one.p + at, one.n - at});
}

static void read_calls(call_list *c, strv body)
{
    size_t at = 0;
    strv one;
    while (calls_ok(c) && text_between(body, "<ifm|tool_call>", "</ifm|tool_call>", &at, &one))
        read_call(c, one);
    if (calls_ok(c) && (!c->n || text_trim((strv){body.p + at, body.n - at}).n))
        calls_refuse(c, "a tool call is not complete, it wants </ifm|tool_call>");
}

const struct dialect dialect_k2_horizon = {
    .name = "k2_horizon",
    .priority = 15,
    .sets = {{{"<ifm|tool_call"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "<ifm|tool_calls>",
                .close = "</ifm|tool_calls>",
                .end = scan_close_or_rest,
                .read = read_calls},
               {.kind = BLOCK_REASONING,
                .flags = BLOCK_IF_SEEN,
                .open = "<ifm|think>",
                .close = "</ifm|think>"},
               {.kind = BLOCK_REASONING,
                .flags = BLOCK_IF_SEEN | BLOCK_ALSO,
                .open = "<ifm|think_fast>",
                .close = "</ifm|think_fast>"},
               {.kind = BLOCK_REASONING,
                .flags = BLOCK_IF_SEEN | BLOCK_ALSO,
                .open = "<ifm|think_faster>",
                .close = "</ifm|think_faster>"}},
};
