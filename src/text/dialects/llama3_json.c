/* llama3_json.c: {"name": .., "parameters": {..}} as the whole answer, or behind <|python_tag|>.
 *
 *   {"name": "f", "parameters": {}}; {"name": "g", ..}
 *   <|python_tag|>brave_search.call(query="..")          built-in tools
 *   <|python_tag|>print(1)                               code: no call, text with a reason
 * Source: Llama 3.1 and 3.2 model cards and templates.
 * Traps: a model may be asked for JSON while it has tools: an object is a call only if its first
 *        key can begin one and it has arguments. */
#include "text/dialects/parts.h"

/* An object that does not begin like a call is none as soon as its first key is known. */
static ptrdiff_t end_object(const dialect_block *b, strv raw, int last, block_scan *s)
{
    static const char *const KEYS[] = {"\"name\"",       "\"type\"",      "\"function\"", "\"id\"",
                                       "\"parameters\"", "\"arguments\"", "\"tool_name\""};
    size_t at = 1;
    int possible = 0;
    if (!s->at) {
        while (at < raw.n && text_space(raw.p[at]))
            at++;
        for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++) {
            strv key = strv_of(KEYS[i]), tail = {raw.p + at, raw.n - at};
            if (strv_starts(tail, key))
                possible = 2;
            else if (tail.n < key.n && !memcmp(tail.p, key.p, tail.n) && !possible)
                possible = 1;
        }
        if (!possible) return SCAN_NO_CALL;
        if (possible == 1) return last ? SCAN_NO_CALL : SCAN_MORE;
    }
    return scan_json(b, raw, last, s);
}

static void read_object(call_list *c, strv body)
{
    strv o = text_trim(body), function = span_member(o, "function");
    if (function.n && *function.p == '{') o = function;
    if (!span_member(o, "parameters").p && !span_member(o, "arguments").p)
        calls_refuse(c, "an object has no arguments, so it is no tool call");
    else
        read_json_calls(c, body);
}

static ptrdiff_t end_tagged(const dialect_block *b, strv raw, int last, block_scan *s)
{
    strv body = text_trim(raw);
    if (!body.n) return last ? SCAN_NO_CALL : SCAN_MORE;
    return *body.p == '{' ? scan_json(b, raw, last, s) : scan_rest(b, raw, last, s);
}

static void read_tagged(call_list *c, strv body)
{
    static const char CALL[] = ".call";
    if (*text_trim(body).p == '{') {
        read_json_calls(c, body);
        return;
    }
    read_python_calls(c, body);
    if (!calls_ok(c)) {
        c->reason[0] = 0;
        calls_refuse(c, "code, and not the call of a tool");
    }
    for (size_t i = 0; i < c->n; i++)
        if (strv_ends(c->rows[i].name, strv_of(CALL))) c->rows[i].name.n -= sizeof CALL - 1;
}

const struct dialect dialect_llama3_json = {
    .name = "llama3_json",
    .priority = 5,
    .between = ";",
    .sets = {{{"<|python_tag|>"}}, {{"<|start_header_id|>", "\"parameters\""}}},
    .blocks =
        {{.kind = BLOCK_CALL, .open = "<|python_tag|>", .end = end_tagged, .read = read_tagged},
         {.kind = BLOCK_CALL,
          .flags = BLOCK_AT_START,
          .open = "{",
          .end = end_object,
          .read = read_object},
         BLOCK_THINK},
};
