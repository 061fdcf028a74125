/* dialect_parts.c: where bodies end, lists of calls, JSON by its spans.
 *
 * Arguments are handed on as the model wrote them, so JSON is checked by the parser of base/json.h
 * but cut out of the text, not written anew.
 * Traps: `</tool_call>` may stand inside a JSON string, so a body that begins as JSON ends with the
 *        value. Models forget closing tags: what follows the value then is looked at as text. */
#include "text/dialects/parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { PHASE_BEFORE, PHASE_VALUE, PHASE_AFTER, PHASE_CLOSE };

/* ---- pieces of text -------------------------------------------------------------------------- */

int text_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

strv text_trim(strv s)
{
    while (s.n && text_space(s.p[s.n - 1]))
        s.n--;
    while (s.n && text_space(s.p[0])) {
        s.p++;
        s.n--;
    }
    return s;
}

size_t text_find(strv s, const char *what, size_t from)
{
    size_t n = strlen(what);
    const char *p, *end = s.p + s.n;
    if (!n || from > s.n || s.n - from < n) return SIZE_MAX;
    for (p = s.p + from; (size_t)(end - p) >= n; p++) {
        p = memchr(p, what[0], (size_t)(end - p) - n + 1);
        if (!p) return SIZE_MAX;
        if (!memcmp(p, what, n)) return (size_t)(p - s.p);
    }
    return SIZE_MAX;
}

int text_between(strv s, const char *open, const char *close, size_t *at, strv *out)
{
    size_t b = text_find(s, open, *at), e;
    if (b == SIZE_MAX) return 0;
    b += strlen(open);
    e = text_find(s, close, b);
    if (e == SIZE_MAX) return 0;
    *out = (strv){s.p + b, e - b};
    *at = e + strlen(close);
    return 1;
}

strv text_inner(strv s)
{
    if (s.n && *s.p == '\n') s = (strv){s.p + 1, s.n - 1};
    if (s.n && s.p[s.n - 1] == '\n') s.n--;
    return s;
}

strv text_unfence(strv s)
{
    s = text_trim(s);
    if (!strv_starts(s, STRV("```"))) return s;
    for (s.p += 3, s.n -= 3; s.n && *s.p >= 'a' && *s.p <= 'z'; s.n--)
        s.p++;
    s = text_trim(s);
    if (strv_ends(s, STRV("```"))) s.n -= 3;
    return text_trim(s);
}

/* ---- where bodies end ------------------------------------------------------------------------ */

ptrdiff_t scan_close(const dialect_block *b, strv raw, int last, block_scan *s)
{
    size_t n = strlen(b->close), at = text_find(raw, b->close, s->at > n ? s->at - n : 0);
    (void)last;
    s->at = raw.n;
    if (at == SIZE_MAX) return SCAN_MORE;
    s->body = at;
    return (ptrdiff_t)(at + n);
}

ptrdiff_t scan_close_or_rest(const dialect_block *b, strv raw, int last, block_scan *s)
{
    ptrdiff_t end = scan_close(b, raw, last, s);
    return end == SCAN_MORE && last ? scan_rest(b, raw, last, s) : end;
}

ptrdiff_t scan_close_and(const dialect_block *b, strv raw, int last, block_scan *s,
                         const char *const *behind)
{
    strv tail;
    if (s->phase != PHASE_CLOSE) {
        ptrdiff_t end = scan_close(b, raw, last, s);
        if (end < 0) return end;
        s->phase = PHASE_CLOSE;
        s->at = s->value = (size_t)end;
    }
    while (s->at < raw.n && text_space(raw.p[s->at]))
        s->at++;
    tail = (strv){raw.p + s->at, raw.n - s->at};
    for (; *behind; behind++) {
        strv mark = strv_of(*behind);
        if (strv_starts(tail, mark)) return (ptrdiff_t)(s->at + mark.n);
        if (!last && tail.n < mark.n && strv_starts(mark, tail)) return SCAN_MORE;
    }
    return (ptrdiff_t)s->value;
}

ptrdiff_t scan_rest(const dialect_block *b, strv raw, int last, block_scan *s)
{
    (void)b;
    s->body = raw.n;
    return last ? (ptrdiff_t)raw.n : SCAN_MORE;
}

ptrdiff_t scan_value(strv raw, int last, block_scan *s)
{
    for (; s->at < raw.n; s->at++) {
        char c = raw.p[s->at];
        if (s->in_string) {
            if (s->escaped)
                s->escaped = 0;
            else if (c == '\\')
                s->escaped = 1;
            else if (c == '"')
                s->in_string = 0;
            if (s->in_string || s->depth) continue;
        } else if (c == '"') {
            s->in_string = 1;
            continue;
        } else if (c == '{' || c == '[') {
            s->depth++;
            continue;
        } else if (c == '}' || c == ']') {
            if (s->depth > 0) s->depth--;
            if (s->depth) continue;
        } else if (s->depth || !strchr(" \n\r\t,:", c))
            continue;
        else
            return (ptrdiff_t)s->at; /* behind a number or word */
        return (ptrdiff_t)++s->at;
    }
    return last && !s->depth && !s->in_string ? (ptrdiff_t)raw.n : SCAN_MORE;
}

/* After the value: white space and the close. */
static ptrdiff_t after_value(const dialect_block *b, strv raw, int last, block_scan *s)
{
    strv tail, close = strv_of(b->close);
    while (s->at < raw.n && text_space(raw.p[s->at]))
        s->at++;
    tail = (strv){raw.p + s->at, raw.n - s->at};
    if (strv_starts(tail, close)) return (ptrdiff_t)(s->at + close.n);
    if (!last && (!tail.n || (tail.n < close.n && strv_starts(close, tail)))) return SCAN_MORE;
    if (!tail.n || *tail.p == '<' || *tail.p == '[') return (ptrdiff_t)s->body;
    s->phase = PHASE_CLOSE; /* something else stands there: not a call that we know */
    return scan_close(b, raw, last, s);
}

ptrdiff_t scan_json(const dialect_block *b, strv raw, int last, block_scan *s)
{
    ptrdiff_t end;
    if (s->phase == PHASE_BEFORE) {
        while (s->at < raw.n && text_space(raw.p[s->at]))
            s->at++;
        if (s->at == raw.n) return SCAN_MORE;
        s->phase = raw.p[s->at] == '{' || raw.p[s->at] == '[' ? PHASE_VALUE : PHASE_CLOSE;
        if (s->phase == PHASE_CLOSE && !b->close) return SCAN_NO_CALL;
        s->value = s->at;
    }
    if (s->phase == PHASE_VALUE) {
        end = scan_value(raw, last, s);
        if (end < 0) return end;
        s->body = (size_t)end;
        if (!b->close) return end;
        s->phase = PHASE_AFTER;
    }
    return s->phase == PHASE_AFTER ? after_value(b, raw, last, s) : scan_close(b, raw, last, s);
}

ptrdiff_t scan_later_json(const dialect_block *b, strv raw, int last, block_scan *s)
{
    if (s->phase == PHASE_BEFORE) {
        while (s->at < raw.n && raw.p[s->at] != '{')
            s->at++;
        if (s->at == raw.n) return SCAN_MORE;
        s->value = s->at;
        s->phase = PHASE_VALUE;
    }
    return scan_json(b, raw, last, s);
}

/* ---- lists of calls -------------------------------------------------------------------------- */

void calls_clear(call_list *c)
{
    for (size_t i = 0; i < c->n_kept; i++)
        free(c->kept[i]);
    c->n_kept = c->n = c->n_parted = 0;
    c->reason[0] = 0;
    buf_clear(&c->scratch);
}

void calls_deinit(call_list *c)
{
    calls_clear(c);
    free(c->rows);
    free(c->kept);
    buf_deinit(&c->scratch);
    buf_deinit(&c->header);
}

static call_row *row_add(call_list *c)
{
    if (c->n == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 8;
        call_row *grown = realloc(c->rows, cap * sizeof *grown);
        if (!grown) {
            c->failed = 1;
            return NULL;
        }
        c->rows = grown;
        c->cap = cap;
    }
    return &c->rows[c->n++];
}

void calls_add(call_list *c, strv name, strv id, strv arguments)
{
    call_row *row;
    if (!text_trim(name).n)
        calls_refuse(c, "a tool call has no name");
    else if ((row = row_add(c)) != NULL)
        *row = (call_row){.name = name, .id = id, .arguments = arguments};
}

void calls_refuse(call_list *c, const char *fmt, ...)
{
    va_list args;
    if (c->reason[0]) return;
    va_start(args, fmt);
    vsnprintf(c->reason, sizeof c->reason, fmt, args);
    va_end(args);
    err_clean(c->reason);
    c->n = c->n_parted;
}

void calls_part(call_list *c, const char *end)
{
    if (c->reason[0]) {
        call_row *row = row_add(c);
        buf_clear(&c->scratch);
        buf_add_str(&c->scratch, c->reason);
        if (row) *row = (call_row){.name = {"", 0}, .reason = calls_keep(c).p};
        c->reason[0] = 0;
    }
    for (; c->n_parted < c->n; c->n_parted++)
        c->rows[c->n_parted].end = end;
}

strv calls_keep(call_list *c)
{
    size_t n;
    char **grown = realloc(c->kept, (c->n_kept + 1) * sizeof *grown), *text;
    if (grown) c->kept = grown;
    text = grown && buf_ok(&c->scratch) ? buf_take(&c->scratch, &n) : NULL;
    if (!text) {
        c->failed = 1;
        return (strv){"", 0};
    }
    c->kept[c->n_kept++] = text;
    return (strv){text, n};
}

/* ---- JSON ------------------------------------------------------------------------------------ */

size_t span_value(strv s, size_t at)
{
    block_scan scan = {0};
    ptrdiff_t end;
    while (at < s.n && text_space(s.p[at]))
        at++;
    if (at == s.n) return SIZE_MAX;
    end = scan_value((strv){s.p + at, s.n - at}, 1, &scan);
    return end < 0 ? SIZE_MAX : at + (size_t)end;
}

/* The next member of an object from *at on (behind '{' or a value). */
static int next_member(strv o, size_t *at, strv *key, strv *value)
{
    size_t b = *at, e;
    while (b < o.n && (text_space(o.p[b]) || o.p[b] == ','))
        b++;
    if (b >= o.n || o.p[b] != '"' || (e = span_value(o, b)) == SIZE_MAX) return 0;
    *key = (strv){o.p + b, e - b};
    while (e < o.n && (text_space(o.p[e]) || o.p[e] == ':'))
        e++;
    b = e;
    if ((e = span_value(o, b)) == SIZE_MAX) return 0;
    if (e > b && o.p[b] != '{' && o.p[b] != '[' && o.p[b] != '"') /* a word before the brace */
        while (e > b && (o.p[e - 1] == '}' || o.p[e - 1] == ']'))
            e--;
    *value = (strv){o.p + b, e - b};
    *at = e;
    return 1;
}

strv span_member(strv object, const char *name)
{
    strv found = {NULL, 0}, key, value;
    size_t at = 1, n = strlen(name);
    object = text_trim(object);
    if (!object.n || *object.p != '{') return found;
    while (next_member(object, &at, &key, &value))
        if (key.n == n + 2 && !memcmp(key.p + 1, name, n)) found = value;
    return found;
}

strv span_text(call_list *c, strv value)
{
    json_doc *doc = NULL;
    strv out = {NULL, 0};
    if (!value.n || *value.p != '"') return out;
    if (json_parse("text", value.p, value.n, &doc, NULL)) return out;
    buf_clear(&c->scratch);
    buf_add_strv(&c->scratch, json_str(json_root(doc)));
    out = calls_keep(c);
    json_close(doc);
    return out;
}

/* 1 when s is a JSON value; else why not is the list's reason. */
static int check_json(call_list *c, strv s, const char *what)
{
    json_doc *doc = NULL;
    mlxe_error err = {0};
    mlxe_status rc = json_parse(what, s.p, s.n, &doc, &err);
    json_close(doc);
    if (rc) calls_refuse(c, "%s", err.message);
    return !rc;
}

void calls_add_json(call_list *c, strv name, strv id, strv arguments)
{
    arguments = text_trim(arguments);
    if (arguments.n && *arguments.p == '"') { /* JSON within a JSON string */
        strv inner = span_text(c, arguments);
        if (!inner.p) {
            calls_refuse(c, "a tool call's arguments are no JSON");
            return;
        }
        arguments = text_trim(inner);
    }
    if (!arguments.n || strv_is(arguments, "null")) arguments = STRV("{}");
    if (!check_json(c, arguments, "a tool call's arguments")) return;
    if (*arguments.p != '{') {
        calls_refuse(c, "a tool call's arguments are no JSON object");
        return;
    }
    calls_add(c, text_trim(name), id, arguments);
}

static strv member_of(strv object, const char *const *names)
{
    strv found = {NULL, 0};
    for (; *names && !found.p; names++)
        found = span_member(object, *names);
    return found;
}

static void read_json_call(call_list *c, strv object)
{
    static const char *const NAMES[] = {"name", "tool_name", "function", NULL};
    static const char *const IDS[] = {"id", "tool_call_id", NULL};
    static const char *const ARGUMENTS[] = {"arguments", "parameters", NULL};
    strv name = member_of(object, NAMES), id = member_of(object, IDS);
    strv arguments = member_of(object, ARGUMENTS);
    if (name.n && *name.p == '{') { /* {"function": {"name": .., "arguments": ..}} */
        arguments = member_of(name, ARGUMENTS);
        name = span_member(name, "name");
    }
    name = span_text(c, name);
    if (!name.p) {
        calls_refuse(c, "a tool call has no name");
        return;
    }
    calls_add_json(c, name, id.n && *id.p == '"' ? span_text(c, id) : id, arguments);
}

void read_json_calls(call_list *c, strv body)
{
    strv s = text_unfence(body);
    if (s.n && *s.p == '[' && span_value(s, 0) == s.n) {
        if (!check_json(c, s, "a tool call")) return;
        s = (strv){s.p + 1, s.n - 2};
    }
    for (size_t at = 0, end; calls_ok(c); at = end) {
        while (at < s.n && (text_space(s.p[at]) || s.p[at] == ',' || s.p[at] == ';'))
            at++;
        if (at == s.n) break;
        end = span_value(s, at);
        if (s.p[at] != '{' || end == SIZE_MAX) {
            calls_refuse(c, "a tool call is no JSON object");
            return;
        }
        if (check_json(c, (strv){s.p + at, end - at}, "a tool call"))
            read_json_call(c, (strv){s.p + at, end - at});
    }
    if (!c->n) calls_refuse(c, "a tool call is empty");
}
