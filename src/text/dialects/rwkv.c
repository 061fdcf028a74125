/* rwkv.c: **Tool Call:** and a fence of JSON, once a call.
 *
 *   **Tool Call:**\n```json\n{"name": .., "arguments": {..}}\n```
 * RWKV 7; older ones write <tool_call>{..} on a line. Source: the form that vLLM documents for it.
 * Traps: the words alone, without a fence or an object behind them, are text. */
#include "text/dialects/parts.h"

static const char FENCE[] = "```json";

/* Where the object begins, SIZE_MAX: not known yet, raw.n: there is none. */
static size_t object_begin(strv raw)
{
    size_t at = 0;
    for (int fences = 0;; fences++) {
        strv rest;
        while (at < raw.n && text_space(raw.p[at]))
            at++;
        if (at == raw.n) return SIZE_MAX;
        if (raw.p[at] == '{') return at;
        rest = (strv){raw.p + at, raw.n - at};
        if (fences || rest.p[0] != '`') return raw.n;
        if (rest.n < sizeof FENCE - 1) return strv_starts(strv_of(FENCE), rest) ? SIZE_MAX : raw.n;
        if (!strv_starts(rest, strv_of(FENCE))) return raw.n;
        at += sizeof FENCE - 1;
    }
}

static ptrdiff_t end_call(const dialect_block *b, strv raw, int last, block_scan *s)
{
    dialect_block bare = *b;
    size_t begin;
    if (text_trim(raw).n && *text_trim(raw).p == '{') { /* no fence, so none that ends it */
        bare.close = NULL;
        b = &bare;
    }
    if (s->phase == 0) {
        begin = object_begin(raw);
        if (begin == SIZE_MAX) return last ? SCAN_NO_CALL : SCAN_MORE;
        if (begin == raw.n) return SCAN_NO_CALL;
        s->at = begin;
    }
    return scan_json(b, raw, last, s);
}

static void read_call(call_list *c, strv body)
{
    size_t at = text_find(body, "{", 0);
    if (at == SIZE_MAX)
        calls_refuse(c, "a tool call is no JSON object");
    else
        read_json_calls(c, (strv){body.p + at, body.n - at});
}

const struct dialect dialect_rwkv = {
    .name = "rwkv",
    .priority = 12,
    .sets = {{{"**Tool Call:**"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "**Tool Call:**",
                .close = "```",
                .end = end_call,
                .read = read_call},
               {.kind = BLOCK_CALL,
                .open = "<tool_call>",
                .close = "</tool_call>",
                .end = scan_json,
                .read = read_json_calls},
               BLOCK_THINK},
};
