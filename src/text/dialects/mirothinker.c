/* mirothinker.c: tools of MCP servers, named by server and tool.
 *
 *   <use_mcp_tool>\n<server_name>S</server_name>\n<tool_name>F</tool_name>\n<arguments>\n{..}
 *   </arguments>\n</use_mcp_tool>
 * MiroThinker. Source: its template.
 * Traps: several calls may share one block. The server is not part of a tool's name here: it
 *        follows from the name. Without tools the template writes Hermes' form. */
#include "text/dialects/parts.h"

static void read_block(call_list *c, strv body)
{
    size_t at = 0, behind = 0;
    strv name, arguments;
    while (calls_ok(c) && text_between(body, "<tool_name>", "</tool_name>", &at, &name)) {
        if (!text_between(body, "<arguments>", "</arguments>", &at, &arguments)) {
            calls_refuse(c, "a tool call is not complete, it wants </arguments>");
            return;
        }
        behind = at;
        calls_add_json(c, text_trim(name), (strv){"", 0}, text_unfence(arguments));
    }
    if (calls_ok(c) && (!c->n || text_trim((strv){body.p + behind, body.n - behind}).n))
        calls_refuse(c, "a tool call is not complete, it wants <tool_name> and <arguments>");
}

const struct dialect dialect_mirothinker = {
    .name = "mirothinker",
    .priority = 25,
    .sets = {{{"<use_mcp_tool>"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "<use_mcp_tool>",
                .close = "</use_mcp_tool>",
                .end = scan_close,
                .read = read_block},
               {.kind = BLOCK_CALL,
                .open = "<tool_call>",
                .close = "</tool_call>",
                .end = scan_json,
                .read = read_json_calls},
               BLOCK_THINK},
};
