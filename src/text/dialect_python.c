/* dialect_python.c: calls written as Python: [get_weather(city="Oslo", days=3), now()].
 *
 *   calls    = "[" call ("," call)* "]" | call (("," | line end) call)*
 *   call     = name ("." name)* "(" [name "=" value ("," name "=" value)*] ")"
 *   value    = text | number | True | False | None | list | tuple | dict
 *
 * Values become JSON: a tuple is a list, a dict's keys are texts. Nothing is evaluated.
 * Source: Llama 3.2 and 4 model cards; Python's own grammar of literals. */
#include "text/dialects/parts.h"

#include <stdio.h>

enum { MAX_DEPTH = 64 };

typedef struct reader {
    call_list *c;
    strv s;
    size_t at;
    int depth;
} reader;

static char peek(const reader *r) { return r->at < r->s.n ? r->s.p[r->at] : 0; }

static void blank(reader *r)
{
    while (r->at < r->s.n && text_space(r->s.p[r->at]))
        r->at++;
}

/* Takes c, white space around it skipped. */
static int take(reader *r, char c)
{
    blank(r);
    if (peek(r) != c) return 0;
    r->at++;
    blank(r);
    return 1;
}

static int is_name(char c, int first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) ||
           (!first && ((c >= '0' && c <= '9') || c == '.' || c == '-'));
}

static strv name(reader *r)
{
    size_t from = r->at;
    while (r->at < r->s.n && is_name(r->s.p[r->at], r->at == from))
        r->at++;
    return (strv){r->s.p + from, r->at - from};
}

static void refuse(reader *r, const char *what)
{
    calls_refuse(r->c, "a tool call is malformed at byte %zu: %s", r->at, what);
}

/* \xhh, \uhhhh, \Uhhhhhhhh; 0: no such number */
static int escaped_code(reader *r, int digits, unsigned *code)
{
    *code = 0;
    for (int i = 0; i < digits; i++, r->at++) {
        char c = peek(r);
        unsigned v = c >= '0' && c <= '9'                     ? (unsigned)(c - '0')
                     : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (unsigned)((c | 0x20) - 'a' + 10)
                                                              : 16;
        if (v == 16) return 0;
        *code = *code << 4 | v;
    }
    return 1;
}

/* An escape behind its backslash, as Python reads it. */
static void escape(reader *r, buf *text)
{
    static const char FROM[] = "ntrabfv0", TO[] = "\n\t\r\a\b\f\v";
    char c = peek(r);
    const char *known = c ? strchr(FROM, c) : NULL;
    unsigned code;
    r->at++;
    if (known)
        buf_add_char(text, TO[known - FROM]);
    else if (c == 'x' || c == 'u' || c == 'U') {
        if (!escaped_code(r, c == 'x' ? 2 : c == 'u' ? 4 : 8, &code)) refuse(r, "a broken escape");
        buf_add_utf8(text, code);
    } else if (c != '\n') { /* an escaped line end is none */
        if (c != '\\' && c != '\'' && c != '"') buf_add_char(text, '\\');
        buf_add_char(text, c);
    }
}

/* A text in quotes, into `text`. */
static void quoted(reader *r, buf *text)
{
    char q = peek(r);
    int triple = r->at + 2 < r->s.n && r->s.p[r->at + 1] == q && r->s.p[r->at + 2] == q;
    r->at += triple ? 3 : 1;
    while (calls_ok(r->c)) {
        if (r->at >= r->s.n) {
            refuse(r, "a text without its end");
            return;
        }
        if (peek(r) == '\\') {
            r->at++;
            escape(r, text);
        } else if (peek(r) == q && (!triple || (r->at + 2 < r->s.n && r->s.p[r->at + 1] == q &&
                                                r->s.p[r->at + 2] == q))) {
            r->at += triple ? 3 : 1;
            return;
        } else
            buf_add_char(text, r->s.p[r->at++]);
    }
}

static void text_value(reader *r, buf *out)
{
    buf text = {0};
    do { /* texts side by side are one */
        quoted(r, &text);
        blank(r);
    } while (calls_ok(r->c) && (peek(r) == '"' || peek(r) == '\''));
    json_write_str(out, buf_view(&text));
    if (!buf_ok(&text)) r->c->failed = 1;
    buf_deinit(&text);
}

static void value(reader *r, buf *out);

static void sequence(reader *r, char close, buf *out)
{
    int n = 0;
    r->at++;
    buf_add_char(out, '[');
    while (calls_ok(r->c) && !take(r, close)) {
        if (n++ && !take(r, ',')) {
            refuse(r, "want a comma");
            return;
        }
        if (take(r, close)) break;
        if (n > 1) buf_add_str(out, ", ");
        value(r, out);
    }
    buf_add_char(out, ']');
}

static void dict(reader *r, buf *out)
{
    int n = 0;
    r->at++;
    buf_add_char(out, '{');
    while (calls_ok(r->c) && !take(r, '}')) {
        if (n++ && !take(r, ',')) {
            refuse(r, "want a comma");
            return;
        }
        if (take(r, '}')) break;
        if (n > 1) buf_add_str(out, ", ");
        if (peek(r) != '"' && peek(r) != '\'') {
            refuse(r, "want a text as key");
            return;
        }
        text_value(r, out);
        if (!take(r, ':')) refuse(r, "want a colon");
        buf_add_str(out, ": ");
        value(r, out);
    }
    buf_add_char(out, '}');
}

/* A number or one of Python's and JSON's words. */
static void word(reader *r, buf *out)
{
    static const char *const WORDS[][2] = {{"True", "true"}, {"False", "false"}, {"None", "null"},
                                           {"true", "true"}, {"false", "false"}, {"null", "null"}};
    size_t from = r->at;
    strv w;
    json_doc *doc = NULL;
    while (r->at < r->s.n && !text_space(r->s.p[r->at]) && !strchr(",)]}:", r->s.p[r->at]))
        r->at++;
    w = (strv){r->s.p + from, r->at - from};
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        if (strv_is(w, WORDS[i][0])) {
            buf_add_str(out, WORDS[i][1]);
            return;
        }
    if (!json_parse("number", w.p, w.n, &doc, NULL) && !json_is(json_root(doc), JSON_OBJECT))
        buf_add_strv(out, w);
    else {
        r->at = from;
        refuse(r, "want a value");
    }
    json_close(doc);
}

static void value(reader *r, buf *out)
{
    char c;
    blank(r);
    c = peek(r);
    if (++r->depth > MAX_DEPTH)
        refuse(r, "nested too deep");
    else if (c == '"' || c == '\'')
        text_value(r, out);
    else if (c == '[' || c == '(')
        sequence(r, c == '[' ? ']' : ')', out);
    else if (c == '{')
        dict(r, out);
    else
        word(r, out);
    r->depth--;
}

static void call(reader *r)
{
    strv fn = name(r), key, arguments;
    buf out = {0};
    int n = 0;
    if (!fn.n || !take(r, '(')) {
        refuse(r, "want a name and '('");
        return;
    }
    buf_add_char(&out, '{');
    while (calls_ok(r->c) && !take(r, ')')) {
        if (n++ && !take(r, ',')) refuse(r, "want a comma");
        if (take(r, ')')) break;
        key = name(r);
        if (!key.n || !take(r, '=')) refuse(r, "want an argument as name=value");
        if (!calls_ok(r->c)) break;
        if (n > 1) buf_add_str(&out, ", ");
        json_write_str(&out, key);
        buf_add_str(&out, ": ");
        value(r, &out);
    }
    buf_add_char(&out, '}');
    buf_clear(&r->c->scratch);
    buf_add_strv(&r->c->scratch, buf_view(&out));
    if (!buf_ok(&out)) r->c->failed = 1;
    buf_deinit(&out);
    if (!calls_ok(r->c)) return;
    arguments = calls_keep(r->c);
    calls_add(r->c, fn, (strv){"", 0}, arguments);
}

void read_python_calls(call_list *c, strv body)
{
    reader r = {.c = c, .s = text_trim(body)};
    int list = take(&r, '[');
    while (calls_ok(c) && r.at < r.s.n) {
        if (list && take(&r, ']')) break;
        call(&r);
        blank(&r);
        if (list && peek(&r) != ',' && peek(&r) != ']') refuse(&r, "want ',' or ']'");
        while (peek(&r) == ',' || peek(&r) == ';')
            take(&r, peek(&r));
    }
    if (calls_ok(c) && r.at < r.s.n) refuse(&r, "something follows the calls");
    if (!c->n) calls_refuse(c, "a tool call is empty");
}
