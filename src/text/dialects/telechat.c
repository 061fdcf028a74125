/* telechat.c: <tool_call>NAME<param_key>K</param_key><param_value>V</param_value> .. </tool_call>
 *
 * TeleChat 3 and 4; also NAME{..} and JSON calls between the same tags. Source: their template, the
 * form that vLLM documents for them.
 * Traps: a value is text or JSON by its parameter's schema. */
#include "text/dialects/invoke.h"

static void read_call(call_list *c, strv body)
{
    static const keyed_tags TAGS = {"<param_key>", "</param_key>", "<param_value>",
                                    "</param_value>"};
    strv s = text_trim(body);
    size_t brace = text_find(s, "{", 0);
    if (brace && brace != SIZE_MAX && text_find(s, TAGS.key, 0) == SIZE_MAX)
        calls_add_json(c, text_trim((strv){s.p, brace}), (strv){"", 0},
                       (strv){s.p + brace, s.n - brace});
    else
        read_named_keyed(c, body, &TAGS);
}

const struct dialect dialect_telechat = {
    .name = "telechat",
    .priority = 20,
    .sets = {{{"<param_key>"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "<tool_call>",
                .close = "</tool_call>",
                .end = scan_close,
                .read = read_call},
               BLOCK_THINK},
};
