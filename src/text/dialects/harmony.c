/* harmony.c: messages in channels: <|start|>assistant<|channel|>NAME<|message|>..<|end|>
 *
 *   analysis                                 reasoning
 *   commentary to=functions.f ..json         a call's arguments, up to <|call|>
 *   commentary, final                        text
 * gpt-oss. The prompt ends in <|start|>assistant, so an answer begins with <|channel|>, or with
 * to=NAME<|channel|>; the last marker (<|return|>, <|call|>) is the end token, not in the answer.
 * Beam writes the arguments as <rfl:parameter name="k">\nv\n</rfl:parameter>.
 * Source: openai/harmony's description of the format; for Beam the form that vLLM documents. */
#include "text/dialects/invoke.h"

enum { CHANNEL, START, FIRST, ANALYSIS, CALL };

/* A header that begins with its recipient: to=NAME<|channel|>..<|message|>. */
static ptrdiff_t end_first(const dialect_block *b, strv raw, int last, block_scan *s)
{
    static const char CHANNEL_MARK[] = "<|channel|>";
    strv mark = strv_of(CHANNEL_MARK), rest;
    size_t n = strlen("to=");
    while (n < raw.n && n < 256 && raw.p[n] != '<' && !text_space(raw.p[n]))
        n++;
    rest = (strv){raw.p + n, raw.n - n};
    if (strv_starts(rest, mark)) return scan_close(b, raw, last, s);
    return !last && n < 256 && strv_starts(mark, rest) ? SCAN_MORE : SCAN_NO_CALL;
}

static int enter(call_list *c, strv header)
{
    size_t at = text_find(header, "to=", 0), end;
    strv to = {"", 0};
    if (at != SIZE_MAX) {
        for (end = at += 3; end < header.n && !text_space(header.p[end]) && header.p[end] != '<';)
            end++;
        to = (strv){header.p + at, end - at};
    }
    if (to.n && !strv_is(to, "assistant") && !strv_is(to, "all")) {
        static const char SPACE[] = "functions.";
        buf_clear(&c->header);
        if (strv_starts(to, strv_of(SPACE)))
            to = (strv){to.p + sizeof SPACE - 1, to.n - (sizeof SPACE - 1)};
        buf_add_strv(&c->header, to);
        return CALL;
    }
    return text_find(header, "analysis", 0) != SIZE_MAX ? ANALYSIS : -1;
}

/* Up to <|call|> or <|end|>, whichever comes first, or the end of the answer. */
static ptrdiff_t end_call(const dialect_block *b, strv raw, int last, block_scan *s)
{
    static const char *const CLOSES[] = {"<|call|>", "<|end|>"};
    size_t from = s->at > 8 ? s->at - 8 : 0, best = SIZE_MAX, n = 0;
    for (int i = 0; i < 2; i++) {
        size_t at = text_find(raw, CLOSES[i], from);
        if (at >= best) continue;
        best = at;
        n = strlen(CLOSES[i]);
    }
    s->at = raw.n;
    if (best == SIZE_MAX) return scan_rest(b, raw, last, s);
    s->body = best;
    return (ptrdiff_t)(best + n);
}

/* Arguments in tags. A parameter whose closing tag is missing ends where the next one begins. */
static void read_tagged(call_list *c, strv name, strv s)
{
    static const char OPEN[] = "<rfl:parameter", CLOSE[] = "</rfl:parameter>";
    size_t at = 0, end, next;
    strv attributes, value;
    buf_clear(&c->scratch);
    buf_add_char(&c->scratch, '{');
    while (text_between(s, OPEN, ">", &at, &attributes)) {
        end = text_find(s, CLOSE, at);
        next = text_find(s, OPEN, at);
        value = (strv){s.p + at, (end < next ? end : next) - at};
        if (end == SIZE_MAX && next == SIZE_MAX) {
            calls_refuse(c, "a tool call is not complete, it wants %s", CLOSE);
            return;
        }
        at = end < next ? end + sizeof CLOSE - 1 : next;
        object_add_text(c, name, invoke_name(attributes), text_inner(value));
    }
    buf_add_char(&c->scratch, '}');
    if (text_trim((strv){s.p + at, s.n - at}).n)
        calls_refuse(c, "a tool call holds something that is no parameter");
    else
        calls_add(c, name, (strv){"", 0}, calls_keep(c));
}

static void read_call(call_list *c, strv body)
{
    strv s = text_trim(body), name = buf_view(&c->header);
    if (strv_starts(s, STRV("<rfl:parameter"))) {
        read_tagged(c, name, s);
        return;
    }
    if (!strv_is(name, "python") || (s.n && *s.p == '{' && span_value(s, 0) == s.n)) {
        calls_add_json(c, name, (strv){"", 0}, s);
        return;
    }
    buf_clear(&c->scratch); /* the built-in interpreter gets plain code */
    buf_add_str(&c->scratch, "{\"code\": ");
    json_write_str(&c->scratch, body);
    buf_add_char(&c->scratch, '}');
    calls_add(c, name, (strv){"", 0}, calls_keep(c));
}

const struct dialect dialect_harmony = {
    .name = "harmony",
    .priority = 15,
    .sets = {{{"<|channel|>", "<|message|>"}}},
    .blocks =
        {[CHANNEL] = {.kind = BLOCK_HEADER,
                      .open = "<|channel|>",
                      .close = "<|message|>",
                      .end = scan_close,
                      .enter = enter},
         [START] = {.kind = BLOCK_HEADER,
                    .open = "<|start|>",
                    .close = "<|message|>",
                    .end = scan_close,
                    .enter = enter},
         [FIRST] = {.kind = BLOCK_HEADER,
                    .flags = BLOCK_AT_START,
                    .open = "to=",
                    .close = "<|message|>",
                    .end = end_first,
                    .enter = enter},
         [ANALYSIS] = {.kind = BLOCK_REASONING,
                       .flags = BLOCK_HIDDEN,
                       .open = "<|channel|>analysis<|message|>",
                       .close = "<|end|>"},
         [CALL] = {.kind = BLOCK_CALL, .flags = BLOCK_HIDDEN, .end = end_call, .read = read_call},
         {.kind = BLOCK_DROP, .open = "<|end|>"},
         {.kind = BLOCK_DROP, .open = "<|return|>"},
         {.kind = BLOCK_DROP, .open = "<|call|>"}},
};
