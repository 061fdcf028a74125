/* glm45.c: <tool_call>NAME <arg_key>K</arg_key> <arg_value>V</arg_value> .. </tool_call>
 *
 * GLM 4.5 and later. Source: the template of zai-org/GLM-4.5.
 * Traps: a value is text or JSON by its parameter's schema; the text is not escaped. */
#include "text/dialects/parts.h"

static void read_call(call_list *c, strv body)
{
    size_t at = text_find(body, "<arg_key>", 0);
    strv name = text_trim((strv){body.p, at == SIZE_MAX ? body.n : at}), key, value;
    if (at == SIZE_MAX) at = body.n;
    if (!name.n || text_find(name, "\n", 0) != SIZE_MAX || *name.p == '{') {
        read_json_calls(c, body);
        return;
    }
    buf_clear(&c->scratch);
    buf_add_char(&c->scratch, '{');
    while (text_between(body, "<arg_key>", "</arg_key>", &at, &key)) {
        if (!text_between(body, "<arg_value>", "</arg_value>", &at, &value)) {
            calls_refuse(c, "a tool call's argument has no value");
            return;
        }
        object_add_text(c, name, text_trim(key), value);
    }
    buf_add_char(&c->scratch, '}');
    if (text_trim((strv){body.p + at, body.n - at}).n)
        calls_refuse(c, "a tool call holds something that is no argument");
    else
        calls_add(c, name, (strv){"", 0}, calls_keep(c));
}

const struct dialect dialect_glm45 = {
    .name = "glm45",
    .priority = 20,
    .sets = {{{"<arg_key>"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "<tool_call>",
                .close = "</tool_call>",
                .end = scan_close,
                .read = read_call},
               BLOCK_THINK},
};
