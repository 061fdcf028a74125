/* hunyuan.c: <tool_calls>..</tool_calls> around JSON, or around calls with keys and values.
 *
 *   <think>..</think><answer>..</answer><tool_calls>[{"name": .., "arguments": {..}}]</tool_calls>
 *   <tool_calls:opensource>\n<tool_call:opensource>NAME<tool_sep:opensource>\n
 *   <arg_key:opensource>K</arg_key:opensource>\n<arg_value:opensource>V</arg_value:opensource>..
 * The first form is that of Hunyuan A13B, the second that of Hunyuan 3 (Hy3), with or without the
 * suffix. Source: the templates of tencent/Hunyuan-A13B-Instruct and of Hy3.
 * Traps: behind <tool_sep> a JSON object may stand for the pairs. */
#include "text/dialects/invoke.h"

typedef struct tag_set {
    const char *call, *call_end, *separator;
    keyed_tags pairs;
} tag_set;

static const tag_set SETS[] = {{"<tool_call>",
                                "</tool_call>",
                                "<tool_sep>",
                                {"<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"}},
                               {"<tool_call:opensource>",
                                "</tool_call:opensource>",
                                "<tool_sep:opensource>",
                                {"<arg_key:opensource>", "</arg_key:opensource>",
                                 "<arg_value:opensource>", "</arg_value:opensource>"}}};

/* NAME<tool_sep>, then pairs or an object. */
static void read_one(call_list *c, strv one, const tag_set *t)
{
    size_t at = text_find(one, t->separator, 0);
    strv name, rest;
    if (at == SIZE_MAX) {
        read_named_keyed(c, one, &t->pairs);
        return;
    }
    name = text_trim((strv){one.p, at});
    at += strlen(t->separator);
    rest = text_trim((strv){one.p + at, one.n - at});
    if (!name.n)
        calls_refuse(c, "a tool call has no name");
    else if (rest.n && *rest.p == '{')
        calls_add_json(c, name, (strv){"", 0}, rest);
    else
        read_keyed(c, name, rest, &t->pairs);
}

static void read_calls(call_list *c, strv body, const tag_set *t)
{
    size_t at = 0;
    strv one, s = text_trim(body);
    if (s.n && (*s.p == '[' || *s.p == '{')) {
        read_json_calls(c, body);
        return;
    }
    while (calls_ok(c) && text_between(body, t->call, t->call_end, &at, &one))
        read_one(c, one, t);
    if (calls_ok(c) && (!c->n || text_trim((strv){body.p + at, body.n - at}).n))
        calls_refuse(c, "a tool call is not complete, it wants %s", t->call_end);
}

static void read_plain(call_list *c, strv body) { read_calls(c, body, &SETS[0]); }
static void read_suffixed(call_list *c, strv body) { read_calls(c, body, &SETS[1]); }
static void read_plain_one(call_list *c, strv body) { read_one(c, body, &SETS[0]); }
static void read_suffixed_one(call_list *c, strv body) { read_one(c, body, &SETS[1]); }

const struct dialect dialect_hunyuan = {
    .name = "hunyuan",
    .priority = 24,
    .sets = {{{"<tool_sep>"}}, {{"<tool_sep:opensource>"}}, {{"<tool_calls>", "<answer>"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "<tool_calls>",
                .close = "</tool_calls>",
                .end = scan_close,
                .read = read_plain},
               {.kind = BLOCK_CALL,
                .open = "<tool_calls:opensource>",
                .close = "</tool_calls:opensource>",
                .end = scan_close,
                .read = read_suffixed},
               {.kind = BLOCK_CALL,
                .open = "<tool_call>",
                .close = "</tool_call>",
                .end = scan_close,
                .read = read_plain_one},
               {.kind = BLOCK_CALL,
                .open = "<tool_call:opensource>",
                .close = "</tool_call:opensource>",
                .end = scan_close,
                .read = read_suffixed_one},
               BLOCK_THINK,
               {.kind = BLOCK_REASONING,
                .flags = BLOCK_IF_SEEN,
                .open = "<think:opensource>",
                .close = "</think:opensource>",
                .force = "\n</think:opensource>\n"},
               {.kind = BLOCK_DROP, .open = "<answer>\n"},
               {.kind = BLOCK_DROP, .open = "<answer>"},
               {.kind = BLOCK_DROP, .open = "\n</answer>"},
               {.kind = BLOCK_DROP, .open = "</answer>"}},
};
