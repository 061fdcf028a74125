/* command_r.c: Action: ```json [{"tool_name": .., "parameters": {..}}] ```
 *
 * Command R and R+. The tool `directly_answer` is the model's way to call none: markup.
 * Source: the tool_use template of CohereForAI/c4ai-command-r-plus. */
#include "text/dialects/parts.h"

enum { PHASE_FENCE, PHASE_JSON = 1 };

static ptrdiff_t end_action(const dialect_block *b, strv raw, int last, block_scan *s)
{
    if (s->phase == PHASE_FENCE) {
        while (s->at < raw.n && strchr(" \t\r\n`json", raw.p[s->at]) && raw.p[s->at])
            s->at++;
        if (s->at == raw.n) return last ? SCAN_NO_CALL : SCAN_MORE;
        if (raw.p[s->at] != '[' && raw.p[s->at] != '{') return SCAN_NO_CALL;
        s->phase = PHASE_JSON;
    }
    return scan_json(b, raw, last, s);
}

static void read_actions(call_list *c, strv body)
{
    size_t kept = 0;
    read_json_calls(c, body);
    for (size_t i = 0; i < c->n; i++)
        if (!strv_is(c->rows[i].name, "directly_answer") &&
            !strv_is(c->rows[i].name, "directly-answer"))
            c->rows[kept++] = c->rows[i];
    c->n = kept;
}

const struct dialect dialect_command_r = {
    .name = "command_r",
    .priority = 10,
    .sets = {{{"Action:", "directly"}}, {{"Action:", "tool_name"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "Action:",
                .close = "```",
                .end = end_action,
                .read = read_actions}},
};
