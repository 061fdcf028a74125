/* longcat.c: <longcat_tool_call>{"name": .., "arguments": {..}}</longcat_tool_call>
 *
 *   <longcat_tool_call>NAME\n<longcat_arg_key>K</longcat_arg_key>\n<longcat_arg_value>V..
 * LongCat-Flash: the first form is that of Chat and Thinking, the second that of later ones.
 * Source: the chat template of meituan-longcat/LongCat-Flash-Chat, the model cards. */
#include "text/dialects/invoke.h"

static void read_call(call_list *c, strv body)
{
    static const keyed_tags TAGS = {"<longcat_arg_key>", "</longcat_arg_key>",
                                    "<longcat_arg_value>", "</longcat_arg_value>"};
    read_named_keyed(c, body, &TAGS);
}

const struct dialect dialect_longcat = {
    .name = "longcat",
    .priority = 20,
    .sets = {{{"<longcat_tool_call>"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "<longcat_tool_call>",
                .close = "</longcat_tool_call>",
                .end = scan_close,
                .read = read_call},
               {.kind = BLOCK_REASONING,
                .flags = BLOCK_IF_SEEN,
                .open = "<longcat_think>",
                .close = "</longcat_think>",
                .force = "\n</longcat_think>\n"},
               BLOCK_THINK},
};
