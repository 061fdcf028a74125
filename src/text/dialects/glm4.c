/* glm4.c: NAME, a line end, {arguments}: the whole answer of GLM 4 (9B, 32B).
 *
 * Source: the template of THUDM/glm-4-9b-chat.
 * Traps: nothing marks a call, so only a declared tool's name makes one. */
#include "text/dialects/parts.h"

static int is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
}

enum { PHASE_NAME, PHASE_JSON = 1 };

static ptrdiff_t end_call(const dialect_block *b, strv raw, int last, block_scan *s)
{
    if (s->phase == PHASE_NAME) {
        size_t at = 0;
        while (at < raw.n && is_name(raw.p[at]))
            at++;
        if (at < raw.n && raw.p[at] != '\n') return SCAN_NO_CALL;
        while (at < raw.n && text_space(raw.p[at]))
            at++;
        if (at == raw.n) return last ? SCAN_NO_CALL : SCAN_MORE;
        if (raw.p[at] != '{') return SCAN_NO_CALL;
        s->phase = PHASE_JSON;
        s->at = at;
    }
    return scan_json(b, raw, last, s);
}

static void read_call(call_list *c, strv body)
{
    size_t line = text_find(body, "\n", 0);
    strv name = {body.p, line};
    json_iter it = json_iterate(c->tools);
    const json *item;
    while (json_next(&it, NULL, &item)) {
        const json *f = json_get(item, "function");
        if (strv_eq(json_str(json_get(f ? f : item, "name")), name)) {
            calls_add_json(c, name, (strv){"", 0}, (strv){body.p + line, body.n - line});
            return;
        }
    }
    calls_refuse(c, "%.*s is no declared tool", (int)(name.n < 60 ? name.n : 60), name.p);
}

const struct dialect dialect_glm4 = {
    .name = "glm4",
    .priority = 5,
    .sets = {{{"<|observation|>"}}},
    .blocks = {{.kind = BLOCK_CALL,
                .flags = BLOCK_AT_START,
                .open = "",
                .end = end_call,
                .read = read_call},
               BLOCK_THINK},
};
