/* muse.c: messages that name whom they are for; a tool's holds calls in atem tags.
 *
 *   to=self<|message|>..<|eom|>                              reasoning
 *   <|start|>assistant to=user<|message|>..<|eot|>           text; to=commentary too
 *   <|start|>assistant to=f<|message|><atem:function_calls>
 *   <atem:invoke name="f"><atem:parameter name="k">v</atem:parameter></atem:invoke>
 *   </atem:function_calls><|eom|>                            calls
 * Muse Spark and Muse Glimmer. The prompt ends in <|start|>assistant, so an answer begins with
 * the rest of a header. Source: the form that vLLM and SGLang document for it.
 * Traps: a message without a recipient is reasoning. Calls in other messages are text. A header
 *        names a tool as SPACE.NAME, the call too, and both may be the same word. */
#include "text/dialects/invoke.h"

enum { START, FIRST, BARE, SELF, CALL };
static const char MESSAGE[] = "<|message|>";

/* to=NAME, white space around it, or nothing; then <|message|>. */
static ptrdiff_t end_header(const dialect_block *b, strv raw, int last, block_scan *s)
{
    strv mark = strv_of(MESSAGE), rest;
    size_t n = 0;
    (void)b;
    while (n < raw.n && n < 256 && raw.p[n] != '<')
        n++;
    rest = (strv){raw.p + n, raw.n - n};
    if (strv_starts(rest, mark)) {
        s->body = n;
        return (ptrdiff_t)(n + mark.n);
    }
    return !last && n < 256 && strv_starts(mark, rest) ? SCAN_MORE : SCAN_NO_CALL;
}

static int enter(call_list *c, strv header)
{
    static const char TO[] = "to=";
    strv to = text_trim(header);
    if (!strv_starts(to, strv_of(TO))) return to.n ? -1 : SELF;
    to = (strv){to.p + sizeof TO - 1, to.n - (sizeof TO - 1)};
    if (strv_is(to, "self")) return SELF;
    if (strv_is(to, "user") || strv_is(to, "commentary") || strv_is(to, "developer")) return -1;
    buf_clear(&c->header);
    buf_add_strv(&c->header, to);
    return CALL;
}

/* Up to the message's end, or to the next message's header where it has none. */
static ptrdiff_t end_call(const dialect_block *b, strv raw, int last, block_scan *s)
{
    static const char *const CLOSES[] = {"<|eom|>", "<|eot|>", "<|start|>"};
    size_t from = s->at > 9 ? s->at - 9 : 0, best = SIZE_MAX, n = 0;
    for (int i = 0; i < 3; i++) {
        size_t at = text_find(raw, CLOSES[i], from);
        if (at >= best) continue;
        best = at;
        n = i < 2 ? strlen(CLOSES[i]) : 0;
    }
    s->at = raw.n;
    if (best == SIZE_MAX) return scan_rest(b, raw, last, s);
    s->body = best;
    return (ptrdiff_t)(best + n);
}

/* A declared tool's name: SPACE.NAME may stand for NAME. */
static strv tool_name(const call_list *c, strv name)
{
    size_t at = name.n;
    strv leaf;
    if (tool_declared(c, name)) return name;
    while (at > 0 && name.p[at - 1] != '.')
        at--;
    leaf = (strv){name.p + at, name.n - at};
    return at && tool_declared(c, leaf) ? leaf : name;
}

static void read_message(call_list *c, strv body)
{
    static const char OPEN[] = "<atem:function_calls>", CLOSE[] = "</atem:function_calls>";
    strv s = text_trim(body);
    if (strv_starts(s, strv_of(OPEN))) {
        s = (strv){s.p + sizeof OPEN - 1, s.n - (sizeof OPEN - 1)};
        if (!strv_ends(s, strv_of(CLOSE))) {
            calls_refuse(c, "a tool call is not complete, it wants %s", CLOSE);
            return;
        }
        s.n -= sizeof CLOSE - 1;
    }
    read_invokes(c, s, "atem:");
    for (size_t i = 0; i < c->n; i++)
        c->rows[i].name = tool_name(c, c->rows[i].name);
}

const struct dialect dialect_muse = {
    .name = "muse",
    .priority = 22,
    .sets = {{{"<atem:", "<|message|>"}}, {{"@<|eom|>", "@<|message|>", "to=self"}}},
    .blocks = {[START] = {.kind = BLOCK_HEADER,
                          .open = "<|start|>assistant",
                          .end = end_header,
                          .enter = enter},
               [FIRST] = {.kind = BLOCK_HEADER,
                          .flags = BLOCK_AT_START,
                          .open = "to=",
                          .end = end_header,
                          .enter = enter},
               [BARE] = {.kind = BLOCK_HEADER,
                         .flags = BLOCK_AT_START,
                         .open = MESSAGE,
                         .end = end_header,
                         .enter = enter},
               [SELF] = {.kind = BLOCK_REASONING,
                         .flags = BLOCK_HIDDEN,
                         .open = "to=self<|message|>",
                         .close = "<|eom|>"},
               [CALL] = {.kind = BLOCK_CALL,
                         .flags = BLOCK_HIDDEN,
                         .end = end_call,
                         .read = read_message},
               {.kind = BLOCK_DROP, .open = "<|eom|>"},
               {.kind = BLOCK_DROP, .open = "<|eot|>"}},
};
