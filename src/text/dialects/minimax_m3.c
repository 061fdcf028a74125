/* minimax_m3.c: tags behind a mark of their own, values as trees.
 *
 *   ]<]minimax[>[<tool_call>\n]<]minimax[>[<invoke name="f">]<]minimax[>[<k>v]<]minimax[>[</k>
 *   ]<]minimax[>[</invoke>\n]<]minimax[>[</tool_call>
 * MiniMax M3: a parameter's tag is its name; an object's members and an array's <item>s are tags
 * again. Reasoning between <mm:think> and </mm:think>. Source: the template of MiniMax M3.
 * Traps: white space may stand between mark and tag. A value of several tags of the same name
 *        inside of one another needs counting. A leaf is text or JSON by its schema. */
#include "text/dialects/invoke.h"

enum { LEVELS = 32 };
static const char MARK[] = "]<]minimax[>[";

/* A marked tag. */
typedef struct marked {
    size_t begin, end; /* of the mark, behind the '>' */
    strv name;         /* what stands in the tag */
} marked;

static int next_tag(strv s, size_t at, marked *out)
{
    while ((out->begin = text_find(s, MARK, at)) != SIZE_MAX) {
        const char *close;
        for (at = out->begin + sizeof MARK - 1; at < s.n && text_space(s.p[at]);)
            at++;
        if (at == s.n || s.p[at] != '<') continue;
        close = memchr(s.p + at, '>', s.n - at);
        if (!close) return 0;
        out->end = (size_t)(close - s.p) + 1;
        out->name = text_trim((strv){s.p + at + 1, (size_t)(close - s.p) - at - 1});
        return 1;
    }
    return 0;
}

static strv first_word(strv s)
{
    size_t n = 0;
    while (n < s.n && !text_space(s.p[n]))
        n++;
    return (strv){s.p, n};
}

/* The next element at or behind *at, which then stands behind it. -> 0: none is there whole */
static int next_element(strv s, size_t *at, strv *name, strv *inside)
{
    marked open, t;
    size_t depth = 1;
    if (!next_tag(s, *at, &open) || !open.name.n || *open.name.p == '/') return 0;
    if (text_trim((strv){s.p + *at, open.begin - *at}).n) return 0;
    strv word = first_word(open.name);
    for (t = open; next_tag(s, t.end, &t);) {
        if (strv_eq(first_word(t.name), word)) depth++;
        if (t.name.n != word.n + 1 || *t.name.p != '/' ||
            memcmp(t.name.p + 1, word.p, word.n) != 0 || --depth > 0)
            continue;
        *name = open.name;
        *inside = (strv){s.p + open.end, t.begin - open.end};
        *at = t.end;
        return 1;
    }
    return 0;
}

static void add_leaf(call_list *c, const json *schema, strv text)
{
    strv type = schema_type(schema_resolved(c, schema));
    if (!text_trim(text).n && (strv_is(type, "array") || strv_is(type, "object")))
        buf_add_str(&c->scratch, strv_is(type, "array") ? "[]" : "{}");
    else
        schema_add_text(c, schema, text);
}

/* The elements of s, as an object's members or an array's items. */
static void add_elements(call_list *c, const json *schema, strv s, int is_array, int level)
{
    const json *children = json_get(schema, is_array ? "items" : "properties");
    size_t at = 0, n = 0;
    strv name, inside;
    marked t;
    buf_add_char(&c->scratch, is_array ? '[' : '{');
    while (calls_ok(c) && next_element(s, &at, &name, &inside)) {
        const json *child = schema_resolved(c, is_array ? children : json_get_strv(children, name));
        if (n++) buf_add_str(&c->scratch, ", ");
        if (!is_array) {
            json_write_str(&c->scratch, name);
            buf_add_str(&c->scratch, ": ");
        }
        strv word = text_trim(inside), first, deeper;
        size_t from = 0;
        if (!strv_starts(word, strv_of(MARK)) || !next_tag(word, 0, &t)) {
            add_leaf(c, child, inside);
        } else if (level >= LEVELS || !next_element(word, &from, &first, &deeper)) {
            calls_refuse(c, "a tool call's value is not complete");
        } else {
            strv type = schema_type(child);
            int items = type.n ? strv_is(type, "array") : strv_is(first, "item");
            add_elements(c, child, word, items, level + 1);
        }
    }
    if (calls_ok(c) && text_trim((strv){s.p + at, s.n - at}).n)
        calls_refuse(c, "a tool call holds something that is no parameter");
    buf_add_char(&c->scratch, is_array ? ']' : '}');
}

static void read_calls(call_list *c, strv body)
{
    size_t at = 0;
    strv tag, inside, name;
    while (calls_ok(c) && next_element(body, &at, &tag, &inside)) {
        name = invoke_name(tag);
        if (!strv_is(first_word(tag), "invoke") || !name.n) {
            calls_refuse(c, "a tool call has no name");
            return;
        }
        buf_clear(&c->scratch);
        add_elements(c, tool_parameters(c, name), inside, 0, 0);
        if (calls_ok(c)) calls_add(c, name, (strv){"", 0}, calls_keep(c));
    }
    if (calls_ok(c) && (!c->n || text_trim((strv){body.p + at, body.n - at}).n))
        calls_refuse(c, "a tool call is not complete, it wants %s</invoke>", MARK);
}

const struct dialect dialect_minimax_m3 = {
    .name = "minimax_m3",
    .priority = 26,
    .sets = {{{"]<]minimax[>["}}},
    .blocks = {{.kind = BLOCK_CALL,
                .open = "]<]minimax[>[<tool_call>",
                .close = "]<]minimax[>[</tool_call>",
                .end = scan_close,
                .read = read_calls},
               {.kind = BLOCK_REASONING,
                .flags = BLOCK_IF_SEEN,
                .open = "<mm:think>",
                .close = "</mm:think>",
                .force = "\n</mm:think>\n"},
               BLOCK_THINK},
};
