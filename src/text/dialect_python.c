/* dialect_python.c: calls written as Python: [get_weather(city="Oslo", days=3), now()].
 *
 *   calls    = "[" call ("," call)* "]" | call (("," | line end) call)*
 *   call     = name ("." name)* "(" [name "=" value ("," name "=" value)*] ")"
 *   value    = text | number | True | False | None | list | tuple | dict | set
 *
 * Values become JSON: a tuple or a set is a list, a dict's keys are texts. Nothing is evaluated.
 * Source: Llama 3.2 and 4 model cards; Python's own grammar of literals. */
#include "text/dialects/parts.h"

#include <inttypes.h>
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

/* A dict, or a set, which is a list then. */
static void dict(reader *r, buf *out)
{
    size_t begin = out->n;
    int n = 0, set = 0, is_text;
    r->at++;
    buf_add_char(out, '{');
    while (calls_ok(r->c) && !take(r, '}')) {
        if (n++ && !take(r, ',')) {
            refuse(r, "want a comma");
            return;
        }
        if (take(r, '}')) break;
        if (n > 1) buf_add_str(out, ", ");
        is_text = peek(r) == '"' || peek(r) == '\'';
        value(r, out);
        if (set || !calls_ok(r->c)) continue;
        if (!take(r, ':')) {
            set = n == 1;
            if (!set) refuse(r, "want a colon");
            continue;
        }
        if (!is_text) refuse(r, "want a text as key");
        buf_add_str(out, ": ");
        value(r, out);
    }
    if (set && buf_ok(out)) out->p[begin] = '[';
    buf_add_char(out, set ? ']' : '}');
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

/* Python's numbers that JSON writes otherwise: 07 .5 5. +1 1_000 0x1f. 0: it is none */
static int number(strv w, buf *out)
{
    char text[64];
    size_t n = 0, from;
    uint64_t code = 0;
    int base, negative = w.n && *w.p == '-';
    json_doc *doc = NULL;
    if (w.n && (*w.p == '-' || *w.p == '+')) w = (strv){w.p + 1, w.n - 1};
    if (!w.n || w.n > 40 || !(*w.p == '.' || (*w.p >= '0' && *w.p <= '9'))) return 0;
    if (negative) text[n++] = '-';
    base = w.n < 3 || *w.p != '0'   ? 10
           : (w.p[1] | 0x20) == 'x' ? 16
           : (w.p[1] | 0x20) == 'o' ? 8
           : (w.p[1] | 0x20) == 'b' ? 2
                                    : 10;
    if (base != 10) {
        for (size_t i = 2; i < w.n; i++) {
            int digit = digit_of(w.p[i]);
            if (w.p[i] == '_') continue;
            if (digit >= base || code >> 59) return 0;
            code = code * (uint64_t)base + (uint64_t)digit;
        }
        buf_add_strv(out, (strv){text, n});
        buf_addf(out, "%" PRIu64, code);
        return 1;
    }
    for (from = 0; from + 1 < w.n && (w.p[from] == '0' || w.p[from] == '_') &&
                   (w.p[from + 1] == '_' || digit_of(w.p[from + 1]) < 10);)
        from++;
    if (w.p[from] == '.') text[n++] = '0';
    for (size_t i = from; i < w.n; i++) {
        int behind = i + 1 < w.n ? digit_of(w.p[i + 1]) < 10 : 0;
        if (w.p[i] == '_') continue;
        text[n++] = w.p[i];
        if (w.p[i] == '.' && !behind) text[n++] = '0';
    }
    if (json_parse("number", text, n, &doc, NULL)) return 0;
    json_close(doc);
    buf_add_strv(out, (strv){text, n});
    return 1;
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
    else if (!number(w, out)) {
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
    int list = take(&r, '['), open = list;
    while (calls_ok(c) && r.at < r.s.n) {
        if (list && take(&r, ']')) {
            open = 0;
            break;
        }
        call(&r);
        blank(&r);
        if (list && peek(&r) != ',' && peek(&r) != ']') refuse(&r, "want ',' or ']'");
        while (peek(&r) == ',' || peek(&r) == ';')
            take(&r, peek(&r));
    }
    if (calls_ok(c) && r.at < r.s.n) refuse(&r, "something follows the calls");
    if (calls_ok(c) && open) refuse(&r, "want ']'");
    if (!c->n) calls_refuse(c, "a tool call is empty");
}
