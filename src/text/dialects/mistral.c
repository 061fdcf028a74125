/* mistral.c: [TOOL_CALLS], in three ages.
 *
 *   [TOOL_CALLS] [{"name": "f", "arguments": {..}, "id": "123456789"}]          v2 .. v7
 *   [TOOL_CALLS]f[ARGS]{..}[TOOL_CALLS]g[CALL_ID]123456789[ARGS]{..}            v11 and later
 *   [TOOL_CALLS]f{..}
 * Reasoning: [THINK] .. [/THINK], in older Magistral <think>.
 * Source: mistral-common's instruct tokenizers v2 to v13 (behaviour), the models' templates. */
#include "text/dialects/parts.h"

enum { PHASE_BETWEEN = 100 }; /* behind an object, up to s->at; s->depth: with a comma */

/* Objects with commas between. */
static ptrdiff_t end_objects(const dialect_block *b, strv raw, int last, block_scan *s)
{
    for (;;) {
        ptrdiff_t end = s->phase == PHASE_BETWEEN ? 0 : scan_json(b, raw, last, s);
        if (end < 0) return end;
        if (s->phase != PHASE_BETWEEN) s->depth = 0;
        s->phase = PHASE_BETWEEN;
        for (; s->at < raw.n && (text_space(raw.p[s->at]) || raw.p[s->at] == ','); s->at++)
            s->depth |= raw.p[s->at] == ',';
        if (s->at == raw.n && !last) return SCAN_MORE;
        if (s->at == raw.n || raw.p[s->at] != '{' || !s->depth) return (ptrdiff_t)s->body;
        *s = (block_scan){.at = s->at, .body = s->body};
    }
}

static ptrdiff_t end_calls(const dialect_block *b, strv raw, int last, block_scan *s)
{
    size_t at = 0;
    while (at < raw.n && text_space(raw.p[at]))
        at++;
    if (at == raw.n) return last ? SCAN_NO_CALL : SCAN_MORE;
    if (raw.p[at] == '[') return scan_json(b, raw, last, s);
    if (raw.p[at] == '{') return end_objects(b, raw, last, s);
    return scan_later_json(b, raw, last, s);
}

static void read_calls(call_list *c, strv body)
{
    static const char ID[] = "[CALL_ID]";
    strv s = text_trim(body), name = s, id = {"", 0}, arguments;
    size_t mark, at;
    if (s.n && (*s.p == '[' || *s.p == '{')) {
        read_json_calls(c, s);
        return;
    }
    for (name.n = 0; name.n < s.n && s.p[name.n] != '[' && s.p[name.n] != '{';)
        name.n++;
    mark = text_find(s, ID, 0);
    at = name.n;
    if (mark == name.n) {
        for (at = mark += sizeof ID - 1; at < s.n && s.p[at] != '[' && s.p[at] != '{';)
            at++;
        id = text_trim((strv){s.p + mark, at - mark});
    }
    arguments = (strv){s.p + at, s.n - at};
    if (strv_starts(arguments, STRV("[ARGS]")))
        arguments = (strv){arguments.p + 6, arguments.n - 6};
    if (!text_trim(arguments).n || *text_trim(arguments).p != '{')
        calls_refuse(c, "a tool call has no arguments");
    else
        calls_add_json(c, name, id, arguments);
}

const struct dialect dialect_mistral = {
    .name = "mistral",
    .priority = 10,
    .sets = {{{"[TOOL_CALLS]"}}, {{"[INST]", "@[TOOL_CALLS]"}}},
    .blocks =
        {{.kind = BLOCK_CALL, .open = "[TOOL_CALLS]", .end = end_calls, .read = read_calls},
         {.kind = BLOCK_REASONING, .flags = BLOCK_IF_SEEN, .open = "[THINK]", .close = "[/THINK]"},
         BLOCK_THINK},
};
