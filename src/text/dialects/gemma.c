/* gemma.c: call:NAME{key:value,..} between markers, texts between quotes of their own.
 *
 *   <start_function_call>call:f{city:<escape>Oslo<escape>,days:3}<end_function_call>
 *   <|tool_call>call:f{city:<|"|>Oslo<|"|>,days:3}<tool_call|>
 *   ```tool_code\nf(city="Oslo")\n```
 * FunctionGemma, Gemma 4, and what the cards of Gemma 3 say.
 * Source: the models' cards and templates. */
#include "text/dialects/parts.h"

enum { MAX_DEPTH = 64 };

typedef struct reader {
    call_list *c;
    strv s;
    size_t at;
    int depth;
} reader;

static strv tail(const reader *r) { return (strv){r->s.p + r->at, r->s.n - r->at}; }

static char peek(reader *r)
{
    while (r->at < r->s.n && text_space(r->s.p[r->at]))
        r->at++;
    return r->at < r->s.n ? r->s.p[r->at] : 0;
}

static int take(reader *r, char c)
{
    if (peek(r) != c) return 0;
    r->at++;
    return 1;
}

static void refuse(reader *r, const char *what)
{
    calls_refuse(r->c, "a tool call is malformed at byte %zu: %s", r->at, what);
}

/* A text between two quotes of either kind. 0: none begins here */
static int quoted(reader *r, strv *out)
{
    static const char *const QUOTES[] = {"<escape>", "<|\"|>", "\""};
    for (int i = 0; i < 3; i++) {
        strv q = strv_of(QUOTES[i]);
        size_t end;
        if (!strv_starts(tail(r), q)) continue;
        r->at += q.n;
        end = text_find(r->s, QUOTES[i], r->at);
        if (end == SIZE_MAX) {
            refuse(r, "a text without its end");
            return 0;
        }
        *out = (strv){r->s.p + r->at, end - r->at};
        r->at = end + q.n;
        return 1;
    }
    return 0;
}

/* Bytes up to one of `stops`. */
static strv word(reader *r, const char *stops)
{
    size_t from = r->at;
    while (r->at < r->s.n && r->s.p[r->at] && !strchr(stops, r->s.p[r->at]))
        r->at++;
    return text_trim((strv){r->s.p + from, r->at - from});
}

static void value(reader *r);

/* {key:value,..} or [value,..], from behind the opening. */
static void members(reader *r, char close)
{
    buf *out = &r->c->scratch;
    buf_add_char(out, close == '}' ? '{' : '[');
    for (int n = 0; calls_ok(r->c) && !take(r, close); n++) {
        strv key;
        if (n && !take(r, ',')) {
            refuse(r, "want a comma");
            return;
        }
        if (n) buf_add_str(out, ", ");
        if (close == '}') {
            peek(r);
            if (!quoted(r, &key)) key = word(r, ":,}");
            if (!key.n || !take(r, ':')) refuse(r, "want key:value");
            json_write_str(out, key);
            buf_add_str(out, ": ");
        }
        value(r);
    }
    buf_add_char(out, close);
}

static void value(reader *r)
{
    strv text;
    json_doc *doc = NULL;
    peek(r);
    if (++r->depth > MAX_DEPTH)
        refuse(r, "nested too deep");
    else if (quoted(r, &text))
        json_write_str(&r->c->scratch, text);
    else if (take(r, '{'))
        members(r, '}');
    else if (take(r, '['))
        members(r, ']');
    else {
        text = word(r, ",}]");
        if (text.n && !json_parse("value", text.p, text.n, &doc, NULL))
            buf_add_strv(&r->c->scratch, text);
        else if (text.n)
            json_write_str(&r->c->scratch, text);
        else
            refuse(r, "want a value");
        json_close(doc);
    }
    r->depth--;
}

static void read_call(call_list *c, strv body)
{
    reader r = {.c = c, .s = text_trim(body)};
    strv name;
    if (strv_starts(r.s, STRV("call"))) r.at = 4;
    if (!take(&r, ':')) r.at = 0; /* `call` is forgotten at times, the colon is not */
    name = word(&r, "{");
    if (!name.n || !take(&r, '{')) {
        refuse(&r, "want call:NAME{..}");
        return;
    }
    buf_clear(&c->scratch);
    members(&r, '}');
    if (calls_ok(c) && peek(&r)) refuse(&r, "something follows the call");
    if (calls_ok(c)) calls_add(c, name, (strv){"", 0}, calls_keep(c));
}

const struct dialect dialect_gemma = {
    .name = "gemma",
    .priority = 10,
    .sets = {{{"<start_function_call>"}},
             {{"<|tool_call>"}},
             {{"<start_of_turn>", "@<start_of_turn>"}},
             {{"<|turn>", "@<|tool_call>"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "<start_function_call>",
                .close = "<end_function_call>",
                .end = scan_close_or_rest,
                .read = read_call},
               {.kind = BLOCK_CALL,
                .open = "<|tool_call>",
                .close = "<tool_call|>",
                .end = scan_close_or_rest,
                .read = read_call},
               {.kind = BLOCK_CALL,
                .open = "```tool_code",
                .close = "```",
                .end = scan_close_or_rest,
                .read = read_python_calls},
               {.kind = BLOCK_REASONING,
                .flags = BLOCK_IF_SEEN,
                .open = "<|channel>thought",
                .close = "<channel|>"}},
};
