/* cwm.c: <tool: NAME>\nwhat to run\n</tool>, once a call.
 *
 * Code World Model. The body is an object of arguments, or a text that becomes {"command": TEXT}.
 * Where the tag says "function" the body's first word is the tool's name.
 * Source: the template of facebook/cwm, the form that vLLM documents for it. */
#include "text/dialects/parts.h"

/* The first word of s, which moves behind it. */
static strv take_word(strv *s)
{
    size_t n = 0;
    strv word;
    *s = text_trim(*s);
    while (n < s->n && !text_space(s->p[n]))
        n++;
    word = (strv){s->p, n};
    *s = text_trim((strv){s->p + n, s->n - n});
    return word;
}

static void read_tool(call_list *c, strv body)
{
    size_t at = text_find(body, ">", 0);
    strv name, rest;
    if (at == SIZE_MAX) {
        calls_refuse(c, "a tool call has no name");
        return;
    }
    name = text_trim((strv){body.p, at});
    rest = text_trim((strv){body.p + at + 1, body.n - at - 1});
    if (strv_is(name, "function")) name = take_word(&rest);
    if (!name.n || text_find(name, "\n", 0) != SIZE_MAX) {
        calls_refuse(c, "a tool call has no name");
        return;
    }
    if (rest.n && *rest.p == '{' && span_value(rest, 0) == rest.n) {
        calls_add_json(c, name, (strv){"", 0}, rest);
        return;
    }
    buf_clear(&c->scratch);
    buf_add_str(&c->scratch, "{\"command\": ");
    json_write_str(&c->scratch, rest);
    buf_add_char(&c->scratch, '}');
    calls_add(c, name, (strv){"", 0}, calls_keep(c));
}

const struct dialect dialect_cwm = {
    .name = "cwm",
    .priority = 12,
    .sets = {{{"<tool:", "</tool>"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "<tool:",
                .close = "</tool>",
                .end = scan_close,
                .read = read_tool},
               BLOCK_THINK},
};
