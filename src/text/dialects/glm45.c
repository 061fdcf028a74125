/* glm45.c: <tool_call>NAME <arg_key>K</arg_key> <arg_value>V</arg_value> .. </tool_call>
 *
 * GLM 4.5 and later, Laguna, Ling 3, Spark 2.5. Source: the template of zai-org/GLM-4.5.
 * Traps: a value is text or JSON by its parameter's schema; the text is not escaped. */
#include "text/dialects/invoke.h"

static void read_call(call_list *c, strv body)
{
    static const keyed_tags TAGS = {"<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"};
    read_named_keyed(c, body, &TAGS);
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
