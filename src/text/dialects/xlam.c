/* xlam.c: [{"name": .., "arguments": {..}}, ..] as the whole answer, in a fence, or marked.
 *
 *   [{"name": "f", "arguments": {}}]                       as the whole answer
 *   ```json\n[..]\n```    [TOOL_CALLS][..]    <tool_call>[..]</tool_call>
 *   {"tool_calls": [..]}                                   xLAM 1
 * Source: the cards and templates of Salesforce/xLAM and Llama-xLAM-2, the forms that vLLM
 * documents for them.
 * Traps: a list or a fence of JSON is an answer too: it is a call only if its first object begins
 *        with a key that a call has. */
#include "text/dialects/parts.h"

/* Skips white space; 0: the text ends there. */
static int skip(strv s, size_t *at)
{
    while (*at < s.n && text_space(s.p[*at]))
        ++*at;
    return *at < s.n;
}

/* 1: s begins with one of the keys, 0: with none, -1: it may still. */
static int begins_key(strv s, const char *const *keys)
{
    int possible = 0;
    for (; *keys; keys++) {
        strv key = strv_of(*keys);
        if (strv_starts(s, key)) return 1;
        if (strv_starts(key, s)) possible = -1;
    }
    return possible;
}

/* Whether s (behind its '[' or '{') can be the begin of calls: 1, 0, -1: not known yet. */
static int begins_calls(strv s, char first)
{
    static const char *const CALL[] = {"\"name\"", "\"arguments\"", "\"id\"", "\"type\"", NULL};
    static const char *const LIST[] = {"\"tool_calls\"", NULL};
    size_t at = 0;
    if (!skip(s, &at)) return -1;
    if (first == '{') return begins_key((strv){s.p + at, s.n - at}, LIST);
    if (s.p[at++] != '{') return 0;
    if (!skip(s, &at)) return -1;
    return begins_key((strv){s.p + at, s.n - at}, CALL);
}

/* From the list or object on; the fence's language may stand before it. */
static ptrdiff_t end_calls(const dialect_block *b, strv raw, int last, block_scan *s)
{
    static const char JSON[] = "json";
    size_t at = 0;
    int known;
    if (s->phase == 0) {
        if (b->close && *b->close == '`') {
            strv rest = {raw.p, raw.n};
            if (strv_starts(rest, strv_of(JSON)))
                at = sizeof JSON - 1;
            else if (strv_starts(strv_of(JSON), rest))
                return last ? SCAN_NO_CALL : SCAN_MORE;
        }
        if (!skip(raw, &at)) return last ? SCAN_NO_CALL : SCAN_MORE;
        if (raw.p[at] != '[' && raw.p[at] != '{') return SCAN_NO_CALL;
        known = begins_calls((strv){raw.p + at + 1, raw.n - at - 1}, raw.p[at]);
        if (known < 0) return last ? SCAN_NO_CALL : SCAN_MORE;
        if (!known) return SCAN_NO_CALL;
        s->at = at;
    }
    return scan_json(b, raw, last, s);
}

static void read_calls(call_list *c, strv body)
{
    strv s = text_trim(body), inner;
    size_t at = 0;
    while (at < s.n && s.p[at] != '[' && s.p[at] != '{')
        at++;
    s = (strv){s.p + at, s.n - at};
    inner = s.n && *s.p == '{' ? span_member(s, "tool_calls") : s;
    if (!inner.n || *inner.p != '[')
        calls_refuse(c, "a tool call is no list");
    else if (text_trim((strv){inner.p + 1, inner.n - 1}).n == 1)
        calls_refuse(c, "the list of tool calls is empty");
    else
        read_json_calls(c, inner);
}

const struct dialect dialect_xlam = {
    .name = "xlam",
    .priority = 12,
    .sets = {{{"make calls in a single JSON array"}}, {{"\"tool_call_name\"", "\"arguments\""}}},
    .blocks =
        {{.kind = BLOCK_CALL,
          .open = "<tool_call>",
          .close = "</tool_call>",
          .end = scan_json,
          .read = read_json_calls},
         {.kind = BLOCK_CALL, .open = "[TOOL_CALLS]", .end = scan_json, .read = read_json_calls},
         {.kind = BLOCK_CALL, .open = "```", .close = "```", .end = end_calls, .read = read_calls},
         {.kind = BLOCK_CALL,
          .flags = BLOCK_AT_START,
          .open = "[",
          .end = end_calls,
          .read = read_calls},
         {.kind = BLOCK_CALL,
          .flags = BLOCK_AT_START,
          .open = "{",
          .end = end_calls,
          .read = read_calls},
         BLOCK_THINK},
};
