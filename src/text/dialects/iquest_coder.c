/* iquest_coder.c: <iquestcoder_tool_call>NAME<arg_key>K</arg_key><arg_value>V</arg_value> ..
 *
 * iQuest Coder V2, and iQuest Q1 with <iquest_tool_call>; V1 writes Qwen3-Coder's form.
 * Source: the forms that vLLM and SGLang document for them. */
#include "text/dialects/invoke.h"

static void read_call(call_list *c, strv body)
{
    static const keyed_tags TAGS = {"<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"};
    read_named_keyed(c, body, &TAGS);
}

const struct dialect dialect_iquest_coder = {
    .name = "iquest_coder",
    .priority = 21,
    .sets = {{{"<iquestcoder_tool_call>"}}, {{"<iquest_tool_call>"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "<iquestcoder_tool_call>",
                .close = "</iquestcoder_tool_call>",
                .end = scan_close,
                .read = read_call},
               {.kind = BLOCK_CALL,
                .open = "<iquest_tool_call>",
                .close = "</iquest_tool_call>",
                .end = scan_close,
                .read = read_call},
               BLOCK_THINK},
};
