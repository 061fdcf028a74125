/* pythonic.c: [get_weather(city="Oslo"), now()] as the whole answer, or between markers.
 *
 * Llama 3.2 and 4 (<|python_start|> .. <|python_end|>), LFM 2 (<|tool_call_start|> ..), OLMo 3
 * (<function_calls> ..). Source: the models' cards and templates.
 * Traps: a list is an answer too: it is a call only if it begins with a name and a parenthesis. */
#include "text/dialects/parts.h"

static int is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
}

enum { PHASE_NAME, PHASE_CALLS };

/* JSON where it is written: openPangu 2, and LFM 2 when its system prompt asks for it. */
static void read_either(call_list *c, strv body)
{
    strv s = text_trim(body);
    size_t at = 0;
    while (at < s.n && (s.p[at] == '[' || text_space(s.p[at])))
        at++;
    if (at < s.n && s.p[at] == '{')
        read_json_calls(c, s);
    else
        read_python_calls(c, s);
}

/* From '[' to the bracket that ends it; quotes of both kinds hide brackets. */
static ptrdiff_t end_list(const dialect_block *b, strv raw, int last, block_scan *s)
{
    (void)b;
    (void)last;
    if (s->phase == PHASE_NAME) {
        size_t at = 1, from;
        while (at < raw.n && text_space(raw.p[at]))
            at++;
        for (from = at; at < raw.n && is_name(raw.p[at]);)
            at++;
        if (at == raw.n) return SCAN_MORE;
        if (raw.p[at] != '(' || at == from) return SCAN_NO_CALL;
        s->phase = PHASE_CALLS;
    }
    for (; s->at < raw.n; s->at++) {
        char c = raw.p[s->at];
        if (s->escaped)
            s->escaped = 0;
        else if (s->in_string && c == '\\')
            s->escaped = 1;
        else if (s->in_string)
            s->in_string = c == s->in_string ? 0 : s->in_string;
        else if (c == '"' || c == '\'')
            s->in_string = (unsigned char)c;
        else if (strchr("[({", c) && c)
            s->depth++;
        else if (strchr("])}", c) && c && --s->depth <= 0) {
            s->body = ++s->at;
            return (ptrdiff_t)s->body;
        }
    }
    return SCAN_MORE;
}

const struct dialect dialect_pythonic = {
    .name = "pythonic",
    .priority = 8,
    .sets = {{{"func_name1(params"}},
             {{"@<|python_start|>", "<|header_start|>"}},
             {{"<|tool_call_start|>"}},
             {{"<|tool_list_start|>"}},
             {{"<function_calls>", "!DSML"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "<|python_start|>",
                .close = "<|python_end|>",
                .end = scan_close_or_rest,
                .read = read_python_calls},
               {.kind = BLOCK_CALL,
                .open = "<|tool_call_start|>",
                .close = "<|tool_call_end|>",
                .end = scan_close_or_rest,
                .read = read_either},
               {.kind = BLOCK_CALL,
                .open = "<function_calls>",
                .close = "</function_calls>",
                .end = scan_close_or_rest,
                .read = read_python_calls},
               {.kind = BLOCK_CALL,
                .flags = BLOCK_AT_START,
                .open = "[",
                .end = end_list,
                .read = read_python_calls},
               BLOCK_THINK},
};
