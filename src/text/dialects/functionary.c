/* functionary.c: recipients. >>>all\nTEXT, >>>NAME\n{..}, >>>python\nCODE
 *
 * Functionary 3.2; the prompt ends in >>>, so an answer begins with the first recipient.
 * Source: meetkai/functionary, prompt template v3.
 * Traps: >>> is what Python's prompt looks like too: it counts with a name, a line end, and an
 *        object behind it. */
#include "text/dialects/parts.h"

enum { MESSAGE, FIRST, CALL };

static int is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
}

/* "NAME\n", with what follows looked at. */
static ptrdiff_t end_recipient(const dialect_block *b, strv raw, int last, block_scan *s)
{
    size_t n = 0;
    strv name;
    (void)b;
    while (n < raw.n && is_name(raw.p[n]))
        n++;
    if (n == raw.n) return last ? SCAN_NO_CALL : SCAN_MORE;
    name = (strv){raw.p, n};
    if (!n || raw.p[n] != '\n') return SCAN_NO_CALL;
    s->body = n;
    if (strv_is(name, "all") || strv_is(name, "python")) return (ptrdiff_t)n + 1;
    if (n + 1 == raw.n) return last ? SCAN_NO_CALL : SCAN_MORE;
    return raw.p[n + 1] == '{' ? (ptrdiff_t)n + 1 : SCAN_NO_CALL;
}

static int enter(call_list *c, strv name)
{
    buf_clear(&c->header);
    buf_add_strv(&c->header, name);
    return strv_is(name, "all") ? -1 : CALL;
}

/* An object, or code up to the next recipient. */
static ptrdiff_t end_call(const dialect_block *b, strv raw, int last, block_scan *s)
{
    size_t at;
    if (raw.n && *raw.p == '{') return scan_json(b, raw, last, s);
    at = text_find(raw, ">>>", s->at > 2 ? s->at - 2 : 0);
    s->at = raw.n;
    if (at == SIZE_MAX) return scan_rest(b, raw, last, s);
    s->body = at;
    return (ptrdiff_t)at;
}

static void read_call(call_list *c, strv body)
{
    strv name = buf_view(&c->header);
    if (text_trim(body).n && *text_trim(body).p == '{') {
        calls_add_json(c, name, (strv){"", 0}, body);
        return;
    }
    buf_clear(&c->scratch);
    buf_add_str(&c->scratch, "{\"code\": ");
    json_write_str(&c->scratch, text_trim(body));
    buf_add_char(&c->scratch, '}');
    calls_add(c, name, (strv){"", 0}, calls_keep(c));
}

const struct dialect dialect_functionary = {
    .name = "functionary",
    .priority = 15,
    .sets = {{{">>>all"}}, {{">>>${recipient}"}}},
    .blocks =
        {[MESSAGE] = {.kind = BLOCK_HEADER, .open = ">>>", .end = end_recipient, .enter = enter},
         [FIRST] = {.kind = BLOCK_HEADER,
                    .flags = BLOCK_AT_START,
                    .open = "",
                    .end = end_recipient,
                    .enter = enter},
         [CALL] = {.kind = BLOCK_CALL, .flags = BLOCK_HIDDEN, .end = end_call, .read = read_call}},
};
