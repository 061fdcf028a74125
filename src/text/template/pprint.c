/* pprint.c: the `pprint` filter: Python's pprint.pformat with its defaults (80 columns, indent 1).
 *
 * What fits its line is written as repr, with the items of dicts in order of their keys; what does
 * not is a container with one item a line, a text or bytes in pieces, or as it is.
 * Traps: keys without an order between them are ordered by the names of their types. `allowance`
 *        is what closes behind a value on its last line. A text alone is put in parentheses.
 * Source: CPython 3.11 pprint.py. */
#include "text/template/content.h"
#include "text/template/filters.h"
#include "text/template/text.h"

enum { COLUMNS = 80 };

typedef struct printer {
    jj_rt *rt;
    buf out;
} printer;

/* ---- dicts in order ---- */

/* a < b, or by the names of the types where there is no order. */
static int before(jj_rt *rt, jv a, jv b)
{
    int order, known = jj_orderable(rt, a, b);
    if (known) return jj_compare(rt, a, b, "<") < 0;
    order = strcmp(jj_type_name(a), jj_type_name(b));
    return order < 0;
}

/* ---- on one line ---- */

static int is_list(jv v) { return v.type == JJ_LIST || (v.type == JJ_TUPLE && !v.u.l->grouped); }

static void one_line(jj_rt *rt, buf *b, jv v)
{
    if (!is_list(v) && v.type != JJ_DICT) {
        jj_write_repr(rt, b, v);
        return;
    }
    if (!jj_step(rt, 1) || !jj_room(rt, b->n, 1) || !jj_enter(rt)) return;
    if (v.type == JJ_DICT) {
        const jj_entry *e = jj_sorted(rt, v.u.d, before);
        buf_add_char(b, '{');
        for (size_t i = 0; e && i < v.u.d->n && jj_ok(rt); i++) {
            if (i) buf_add_str(b, ", ");
            one_line(rt, b, e[i].key);
            buf_add_str(b, ": ");
            one_line(rt, b, e[i].value);
        }
        buf_add_char(b, '}');
    } else {
        buf_add_char(b, v.type == JJ_LIST ? '[' : '(');
        for (size_t i = 0; i < v.u.l->n && jj_ok(rt); i++) {
            if (i) buf_add_str(b, ", ");
            one_line(rt, b, v.u.l->v[i]);
        }
        buf_add_str(b, v.type == JJ_LIST ? "]" : v.u.l->n == 1 ? ",)" : ")");
    }
    jj_leave(rt);
}

static void drop(printer *p, buf *b)
{
    if (p->rt->content) jj_content_drop(p->rt, b);
    buf_deinit(b);
}

/* -> its length in code points */
static int64_t line_of(printer *p, jv v, buf *line)
{
    if (p->rt->content) jj_content_drop(p->rt, line);
    buf_clear(line);
    one_line(p->rt, line, v);
    return (int64_t)jj_count(buf_view(line));
}

static void new_line(printer *p, int64_t indent)
{
    buf_add_char(&p->out, '\n');
    for (int64_t i = 0; i < indent; i++)
        buf_add_char(&p->out, ' ');
}

/* ---- texts in pieces ---- */

/* Pieces become lines: the first as it stands, the others below it. */
typedef struct pieces {
    buf text; /* all but the last */
    buf last;
    size_t n;
} pieces;

static void piece(printer *p, pieces *to, jv v, int64_t indent)
{
    if (to->n++) {
        jj_put(p->rt, &to->text, buf_view(&to->last));
        buf_add_char(&to->text, '\n');
        for (int64_t i = 0; i < indent; i++)
            buf_add_char(&to->text, ' ');
    }
    line_of(p, v, &to->last);
}

static void put_pieces(printer *p, pieces *from, int parentheses)
{
    if (parentheses) buf_add_char(&p->out, '(');
    jj_put(p->rt, &p->out, buf_view(&from->text));
    jj_put(p->rt, &p->out, buf_view(&from->last));
    if (parentheses) buf_add_char(&p->out, ')');
    drop(p, &from->text);
    drop(p, &from->last);
}

/* Behind the next word and the white space after it. */
static size_t word_end(strv s, size_t at)
{
    size_t n = 0;
    while (at < s.n && !jj_isspace(jj_decode(s.p + at, s.p + s.n, &n)))
        at += n;
    while (at < s.n && jj_isspace(jj_decode(s.p + at, s.p + s.n, &n)))
        at += n;
    return at;
}

/* A line too long for its place, cut between words. */
static void cut_line(printer *p, pieces *to, strv line, int64_t width, int64_t allowance, int last,
                     int64_t indent)
{
    size_t from = 0, at = 0;
    buf text = {0};
    while (at < line.n && jj_ok(p->rt)) {
        size_t end = word_end(line, at);
        strv candidate = {line.p + from, end - from};
        if (end == line.n && last) width -= allowance;
        if (line_of(p, jj_borrow(p->rt, candidate), &text) > width) {
            if (at > from) piece(p, to, jj_borrow(p->rt, (strv){line.p + from, at - from}), indent);
            from = at;
        }
        at = end;
    }
    if (at > from) piece(p, to, jj_borrow(p->rt, (strv){line.p + from, at - from}), indent);
    drop(p, &text);
}

static void put_text(printer *p, jv v, int64_t indent, int64_t allowance, int top)
{
    jj_list *lines = jj_splitlines(p->rt, v, 1);
    pieces cut = {0};
    buf text = {0};
    indent += top;
    allowance += top;
    for (size_t i = 0; lines && i < lines->n && jj_ok(p->rt); i++) {
        int last = i + 1 == lines->n;
        int64_t width = COLUMNS - indent;
        if (line_of(p, lines->v[i], &text) <= width - (last ? allowance : 0))
            piece(p, &cut, lines->v[i], indent);
        else
            cut_line(p, &cut, jj_strv(lines->v[i]), width, allowance, last, indent);
    }
    drop(p, &text);
    put_pieces(p, &cut, top && cut.n != 1);
}

static jv some_bytes(printer *p, strv s)
{
    jv v = jj_borrow(p->rt, s);
    if (jj_ok(p->rt)) v.type = JJ_BYTES;
    return v;
}

static void put_bytes(printer *p, jv v, int64_t indent, int64_t allowance, int top)
{
    strv s = jj_strv(v);
    pieces cut = {0};
    buf text = {0};
    size_t from = 0;
    int64_t width;
    indent += top;
    allowance += top;
    width = COLUMNS - indent;
    for (size_t at = 0; at < s.n && jj_ok(p->rt); at += 4) {
        size_t end = at + 4 < s.n ? at + 4 : s.n;
        if (at == s.n / 4 * 4) width -= allowance;
        if (line_of(p, some_bytes(p, (strv){s.p + from, end - from}), &text) > width) {
            if (at > from) piece(p, &cut, some_bytes(p, (strv){s.p + from, at - from}), indent);
            from = at;
        }
    }
    if (s.n > from) piece(p, &cut, some_bytes(p, (strv){s.p + from, s.n - from}), indent);
    drop(p, &text);
    put_pieces(p, &cut, top);
}

/* ---- any value ---- */

static void put(printer *p, jv v, int64_t indent, int64_t allowance, int top);

static void put_dict(printer *p, const jj_dict *d, int64_t indent, int64_t allowance)
{
    const jj_entry *e = jj_sorted(p->rt, d, before);
    buf key = {0};
    buf_add_char(&p->out, '{');
    for (size_t i = 0; e && i < d->n && jj_ok(p->rt); i++) {
        int64_t width = line_of(p, e[i].key, &key);
        if (i) {
            buf_add_char(&p->out, ',');
            new_line(p, indent + 1);
        }
        jj_put(p->rt, &p->out, buf_view(&key));
        buf_add_str(&p->out, ": ");
        put(p, e[i].value, indent + width + 3, i + 1 == d->n ? allowance + 1 : 1, 0);
    }
    buf_add_char(&p->out, '}');
    drop(p, &key);
}

static void put_list(printer *p, jv v, int64_t indent, int64_t allowance)
{
    const jj_list *l = v.u.l;
    const char *end = v.type == JJ_LIST ? "]" : l->n == 1 ? ",)" : ")";
    buf_add_char(&p->out, v.type == JJ_LIST ? '[' : '(');
    for (size_t i = 0; i < l->n && jj_ok(p->rt); i++) {
        if (i) {
            buf_add_char(&p->out, ',');
            new_line(p, indent + 1);
        }
        put(p, l->v[i], indent + 1, i + 1 == l->n ? allowance + (int64_t)strlen(end) : 1, 0);
    }
    buf_add_str(&p->out, end);
}

static void put(printer *p, jv v, int64_t indent, int64_t allowance, int top)
{
    buf line = {0};
    int fits;
    if (!jj_enter(p->rt)) return;
    fits = line_of(p, v, &line) <= COLUMNS - indent - allowance;
    jj_room(p->rt, p->out.n, 1);
    if (fits || !jj_ok(p->rt))
        jj_put(p->rt, &p->out, buf_view(&line));
    else if (v.type == JJ_DICT)
        put_dict(p, v.u.d, indent, allowance);
    else if (is_list(v))
        put_list(p, v, indent, allowance);
    else if (jj_is_str(v) && !v.u.s->markup)
        put_text(p, v, indent, allowance, top);
    else if (v.type == JJ_BYTES && v.u.s->n > 4)
        put_bytes(p, v, indent, allowance, top);
    else
        jj_put(p->rt, &p->out, buf_view(&line));
    drop(p, &line);
    jj_leave(p->rt);
}

jv jj_filter_pprint(jj_rt *rt, const jj_args *args)
{
    jv v[1];
    printer p = {.rt = rt};
    if (!jj_bind(rt, "pprint", "value", 1, args, v)) return jj_none();
    put(&p, v[0], 0, 0, 1);
    return jj_take(rt, &p.out);
}
