/* hunyuan.c: <tool_calls>..</tool_calls> around JSON, or around calls with keys and values.
 *
 *   <think>..</think><answer>..</answer><tool_calls>[{"name": .., "arguments": {..}}]</tool_calls>
 *   <tool_calls:S>\n<tool_call:S>NAME<tool_sep:S>\n
 *   <arg_key:S>K</arg_key:S>\n<arg_value:S>V</arg_value:S>..</tool_call:S>\n</tool_calls:S>
 * The first form is that of Hunyuan A13B, the second that of Hunyuan 3 (Hy3), where S is
 * "opensource" or :S is left out, and of Hy4, where S differs by checkpoint and there is no
 * tool_sep. Source: the templates of tencent/Hunyuan-A13B-Instruct and of Hy3, the form that vLLM
 * documents for Hy4.
 * Traps: behind <tool_sep> a JSON object may stand for the pairs. Only the suffixes of reasoning's
 *        markers have to be known. */
#include "text/dialects/invoke.h"

#include <stdio.h>

enum { SUFFIX_BYTES = 40, TAG_BYTES = SUFFIX_BYTES + 16, TAGS = 7 };

/* The tags with a suffix. */
typedef struct tag_set {
    char text[TAGS][TAG_BYTES];
    const char *call, *call_end, *separator;
    keyed_tags pairs;
} tag_set;

static void make_tags(tag_set *t, strv suffix)
{
    static const char *const NAMES[TAGS] = {"<tool_call", "</tool_call", "<tool_sep",  "<arg_key",
                                            "</arg_key",  "<arg_value",  "</arg_value"};
    for (int i = 0; i < TAGS; i++)
        snprintf(t->text[i], TAG_BYTES, "%s%s%.*s>", NAMES[i], suffix.n ? ":" : "", (int)suffix.n,
                 suffix.p);
    t->call = t->text[0];
    t->call_end = t->text[1];
    t->separator = t->text[2];
    t->pairs = (keyed_tags){t->text[3], t->text[4], t->text[5], t->text[6]};
}

/* The suffix that s begins with, up to the '>'. 0: none; -1: it is not all there */
static int suffix_of(strv s, strv *suffix)
{
    size_t n = 0;
    while (n < s.n && n < SUFFIX_BYTES && s.p[n] != '>' && s.p[n] != '<' && !text_space(s.p[n]))
        n++;
    *suffix = (strv){s.p, n};
    if (n == s.n && n < SUFFIX_BYTES) return -1;
    return n && n < SUFFIX_BYTES && s.p[n] == '>';
}

/* A block whose opening ends before the suffix: the body begins with it. */
static ptrdiff_t end_suffixed(const dialect_block *b, strv raw, int last, block_scan *s)
{
    char close[TAG_BYTES + 1];
    strv suffix;
    int found = suffix_of(raw, &suffix);
    size_t from, at;
    if (found <= 0) return found < 0 && !last ? SCAN_MORE : SCAN_NO_CALL;
    snprintf(close, sizeof close, "%s%.*s>", b->close, (int)suffix.n, suffix.p);
    from = s->at > sizeof close ? s->at - sizeof close : 0;
    at = text_find(raw, close, from);
    s->at = raw.n;
    if (at == SIZE_MAX) return SCAN_MORE;
    s->body = at;
    return (ptrdiff_t)(at + strlen(close));
}

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

/* Splits the body of a suffixed block, which begins with the suffix. */
static strv take_suffix(strv body, tag_set *t)
{
    strv suffix;
    if (suffix_of(body, &suffix) <= 0) suffix.n = 0;
    make_tags(t, suffix);
    return (strv){body.p + suffix.n + 1, body.n - suffix.n - 1};
}

static void read_plain(call_list *c, strv body)
{
    tag_set t;
    make_tags(&t, (strv){"", 0});
    read_calls(c, body, &t);
}

static void read_plain_one(call_list *c, strv body)
{
    tag_set t;
    make_tags(&t, (strv){"", 0});
    read_one(c, body, &t);
}

static void read_suffixed(call_list *c, strv body)
{
    tag_set t;
    body = take_suffix(body, &t);
    read_calls(c, body, &t);
}

static void read_suffixed_one(call_list *c, strv body)
{
    tag_set t;
    body = take_suffix(body, &t);
    read_one(c, body, &t);
}

const struct dialect dialect_hunyuan = {
    .name = "hunyuan",
    .priority = 24,
    .sets = {{{"<tool_sep>"}},
             {{"<tool_sep:"}},
             {{"<tool_calls:", "<arg_key:"}},
             {{"@<tool_calls:", "@<arg_key:"}},
             {{"<tool_calls>", "<answer>"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "<tool_calls>",
                .close = "</tool_calls>",
                .end = scan_close,
                .read = read_plain},
               {.kind = BLOCK_CALL,
                .open = "<tool_calls:",
                .close = "</tool_calls:",
                .end = end_suffixed,
                .read = read_suffixed},
               {.kind = BLOCK_CALL,
                .open = "<tool_call>",
                .close = "</tool_call>",
                .end = scan_close,
                .read = read_plain_one},
               {.kind = BLOCK_CALL,
                .open = "<tool_call:",
                .close = "</tool_call:",
                .end = end_suffixed,
                .read = read_suffixed_one},
               BLOCK_THINK,
               {.kind = BLOCK_REASONING,
                .flags = BLOCK_IF_SEEN,
                .open = "<think:opensource>",
                .close = "</think:opensource>",
                .force = "\n</think:opensource>\n"},
               {.kind = BLOCK_REASONING,
                .flags = BLOCK_IF_SEEN,
                .open = "<think:6124c78e>",
                .close = "</think:6124c78e>",
                .force = "\n</think:6124c78e>\n"},
               {.kind = BLOCK_DROP, .open = "<answer>\n"},
               {.kind = BLOCK_DROP, .open = "<answer>"},
               {.kind = BLOCK_DROP, .open = "\n</answer>"},
               {.kind = BLOCK_DROP, .open = "</answer>"}},
};
