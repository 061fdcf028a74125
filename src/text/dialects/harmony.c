/* harmony.c: messages in channels: <|start|>assistant<|channel|>NAME<|message|>..<|end|>
 *
 *   analysis                                 reasoning
 *   commentary to=functions.f ..json         a call's arguments, up to <|call|>
 *   commentary, final                        text
 * gpt-oss. The prompt ends in <|start|>assistant, so an answer begins with <|channel|>; the last
 * marker (<|return|>, <|call|>) is the end token and not in the answer.
 * Source: openai/harmony's description of the format. */
#include "text/dialects/parts.h"

enum { CHANNEL, START, ANALYSIS, CALL };

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

static void read_call(call_list *c, strv body)
{
    strv s = text_trim(body), name = buf_view(&c->header);
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
         [ANALYSIS] = {.kind = BLOCK_REASONING,
                       .flags = BLOCK_HIDDEN,
                       .open = "<|channel|>analysis<|message|>",
                       .close = "<|end|>"},
         [CALL] = {.kind = BLOCK_CALL, .flags = BLOCK_HIDDEN, .end = end_call, .read = read_call},
         {.kind = BLOCK_DROP, .open = "<|end|>"},
         {.kind = BLOCK_DROP, .open = "<|return|>"},
         {.kind = BLOCK_DROP, .open = "<|call|>"}},
};
