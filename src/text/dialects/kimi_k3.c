/* kimi_k3.c: elements whose tags are tokens.
 *
 *   <|open|>think<|sep|>..<|close|>think<|sep|>        reasoning; the prompt opens it
 *   <|open|>response<|sep|>..<|close|>response<|sep|>  text
 *   <|open|>tools<|sep|>CALLS<|close|>tools<|sep|>, a call of which is
 *     <|open|>call tool="f" index="1"<|sep|>ARGUMENTS<|close|>call<|sep|>
 *     <|open|>argument key="k" type="string"<|sep|>v<|close|>argument<|sep|>
 *     <|open|>json type="object"<|sep|>{..}<|close|>json<|sep|>      all of them at once
 * Kimi K3. Source: its template.
 * Traps: values of another type than string are JSON; attributes have &amp; and &quot;. */
#include "text/dialects/parts.h"

#include <stdio.h>

/* The value of an attribute of a tag's text, {NULL,0}: it has none. */
static strv attribute(call_list *c, strv tag, const char *name)
{
    char head[24];
    size_t at, end;
    snprintf(head, sizeof head, " %s=\"", name);
    at = text_find(tag, head, 0);
    if (at == SIZE_MAX) return (strv){NULL, 0};
    at += strlen(head);
    end = text_find(tag, "\"", at);
    if (end == SIZE_MAX) return (strv){NULL, 0};
    buf_clear(&c->scratch);
    for (strv s = {tag.p + at, end - at}; s.n;) {
        size_t n = strv_starts(s, STRV("&amp;")) ? 5 : strv_starts(s, STRV("&quot;")) ? 6 : 1;
        buf_add_char(&c->scratch, n == 6 ? '"' : *s.p);
        s = (strv){s.p + n, s.n - n};
    }
    return calls_keep(c);
}

/* The arguments of a call as an object; its members are added to `out`. */
static void read_arguments(call_list *c, strv body, buf *out)
{
    size_t at = 0;
    strv tag, value;
    buf_add_char(out, '{');
    while (text_between(body, "<|open|>argument", "<|sep|>", &at, &tag)) {
        size_t end = text_find(body, "<|close|>argument<|sep|>", at);
        strv key = attribute(c, tag, "key"), type = attribute(c, tag, "type");
        if (end == SIZE_MAX || !key.p) {
            calls_refuse(c, "an argument of a tool call has no key or no end");
            return;
        }
        value = (strv){body.p + at, end - at};
        at = end;
        if (out->n > 1) buf_add_str(out, ", ");
        json_write_str(out, key);
        buf_add_str(out, ": ");
        if (strv_is(type, "string"))
            json_write_str(out, value);
        else if (span_value(value, 0) ==
                 text_trim(value).n + (size_t)(text_trim(value).p - value.p))
            buf_add_strv(out, text_trim(value));
        else
            calls_refuse(c, "an argument of a tool call is no JSON");
    }
    buf_add_char(out, '}');
}

static void read_call(call_list *c, strv tag, strv body)
{
    strv name = attribute(c, tag, "tool"), all, type;
    size_t at = 0;
    buf arguments = {0};
    if (!name.n) {
        calls_refuse(c, "a tool call has no name");
        return;
    }
    if (text_between(body, "<|open|>json", "<|sep|>", &at, &type) &&
        text_find(body, "<|close|>json", at) != SIZE_MAX) {
        all = (strv){body.p + at, text_find(body, "<|close|>json", at) - at};
        calls_add_json(c, name, (strv){"", 0}, all);
        return;
    }
    read_arguments(c, body, &arguments);
    if (calls_ok(c)) {
        buf_clear(&c->scratch);
        buf_add_strv(&c->scratch, buf_view(&arguments));
        if (arguments.failed) c->failed = 1;
        calls_add_json(c, name, (strv){"", 0}, calls_keep(c));
    }
    buf_deinit(&arguments);
}

static void read_calls(call_list *c, strv body)
{
    static const char CLOSE[] = "<|close|>call<|sep|>";
    size_t at = 0, end;
    strv tag;
    while (calls_ok(c) && text_between(body, "<|open|>call", "<|sep|>", &at, &tag)) {
        end = text_find(body, CLOSE, at);
        if (end == SIZE_MAX) {
            calls_refuse(c, "a tool call is not complete, it wants %s", CLOSE);
            return;
        }
        read_call(c, tag, (strv){body.p + at, end - at});
        at = end + sizeof CLOSE - 1;
    }
    if (calls_ok(c) && text_trim((strv){body.p + at, body.n - at}).n)
        calls_refuse(c, "a block of tool calls holds something else");
}

const struct dialect dialect_kimi_k3 = {
    .name = "kimi_k3",
    .priority = 16,
    .sets = {{{"<|open|>", "<|sep|>", "<|close|>"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "<|open|>tools<|sep|>",
                .close = "<|close|>tools<|sep|>",
                .end = scan_close,
                .read = read_calls},
               {.kind = BLOCK_REASONING,
                .open = "<|open|>think<|sep|>",
                .close = "<|close|>think<|sep|>"},
               {.kind = BLOCK_DROP, .open = "<|open|>response<|sep|>"},
               {.kind = BLOCK_DROP, .open = "<|close|>response<|sep|>"},
               {.kind = BLOCK_DROP, .open = "<|close|>message<|sep|>"}},
};
