/* show.c: values as text: str(), repr(), HTML escaping and json.dumps.
 *
 * Traps: repr prefers ' and takes " only for a text with ' and without ". What is not printable is
 *        escaped by code point. json.dumps writes NaN and Infinity; repr writes nan and inf. With
 *        an indent the default item separator loses its space. Shared parts may be shown many
 *        times, so each value shown counts a step and the text built is held against the memory
 *        limit.
 * Source: CPython 3.11 unicode_repr, json.encoder; markupsafe 3. */
#include "text/template/big.h"
#include "text/template/content.h"
#include "text/template/text.h"
#include "text/template/tree.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

void jj_float_repr(buf *b, double f)
{
    if (isnan(f))
        buf_add_str(b, "nan");
    else if (isinf(f))
        buf_add_str(b, f < 0 ? "-inf" : "inf");
    else
        json_write_float(b, f);
}

static void repr_text(jj_rt *rt, buf *b, strv text)
{
    size_t from = b->n + 1;
    char quote = jj_find(text, STRV("'"), 0) != SIZE_MAX && jj_find(text, STRV("\""), 0) == SIZE_MAX
                     ? '"'
                     : '\'';
    buf_add_char(b, quote);
    for (size_t i = 0, n; i < text.n; i += n) {
        unsigned c = jj_decode(text.p + i, text.p + text.n, &n);
        if (c == (unsigned char)quote || c == '\\') {
            buf_add_char(b, '\\');
            buf_add_char(b, (char)c);
        } else if (c == '\n')
            buf_add_str(b, "\\n");
        else if (c == '\r')
            buf_add_str(b, "\\r");
        else if (c == '\t')
            buf_add_str(b, "\\t");
        else if (jj_isprintable(c))
            buf_add(b, text.p + i, n);
        else if (c < 0x100)
            buf_addf(b, "\\x%02x", c);
        else if (c < 0x10000)
            buf_addf(b, "\\u%04x", c);
        else
            buf_addf(b, "\\U%08x", c);
    }
    jj_trace(rt, b, from, b->n, text);
    buf_add_char(b, quote);
}

static void repr_bytes(jj_rt *rt, buf *b, strv s)
{
    char quote =
        jj_find(s, STRV("'"), 0) != SIZE_MAX && jj_find(s, STRV("\""), 0) == SIZE_MAX ? '"' : '\'';
    size_t from = b->n + 2;
    buf_add_char(b, 'b');
    buf_add_char(b, quote);
    jj_work(rt, s.n);
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == (unsigned char)quote || c == '\\') {
            buf_add_char(b, '\\');
            buf_add_char(b, (char)c);
        } else if (c == '\n' || c == '\r' || c == '\t')
            buf_addf(b, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
        else if (c >= 0x20 && c < 0x7F)
            buf_add_char(b, (char)c);
        else
            buf_addf(b, "\\x%02x", c);
    }
    jj_trace(rt, b, from, b->n, s);
    buf_add_char(b, quote);
}

static void repr_items(jj_rt *rt, buf *b, const jj_list *l)
{
    for (size_t i = 0; i < l->n && jj_ok(rt); i++) {
        if (i) buf_add_str(b, ", ");
        jj_write_repr(rt, b, l->v[i]);
    }
}

static void repr_dict(jj_rt *rt, buf *b, const jj_dict *d)
{
    buf_add_char(b, '{');
    for (size_t i = 0; i < d->n && jj_ok(rt); i++) {
        if (i) buf_add_str(b, ", ");
        jj_write_repr(rt, b, d->e[i].key);
        buf_add_str(b, ": ");
        jj_write_repr(rt, b, d->e[i].value);
    }
    buf_add_char(b, '}');
}

static void repr_view(jj_rt *rt, buf *b, const jj_view *view)
{
    buf_add_str(b, view->kind == JJ_KEYS     ? "dict_keys(["
                   : view->kind == JJ_VALUES ? "dict_values(["
                                             : "dict_items([");
    for (size_t i = 0; i < view->d->n && jj_ok(rt); i++) {
        const jj_entry *e = view->d->e + i;
        if (i) buf_add_str(b, ", ");
        if (view->kind == JJ_ITEMS) {
            buf_add_char(b, '(');
            jj_write_repr(rt, b, e->key);
            buf_add_str(b, ", ");
            jj_write_repr(rt, b, e->value);
            buf_add_char(b, ')');
        } else
            jj_write_repr(rt, b, view->kind == JJ_KEYS ? e->key : e->value);
    }
    buf_add_str(b, "])");
}

static void repr_container(jj_rt *rt, buf *b, jv v)
{
    if (!jj_enter(rt)) return;
    switch (v.type) {
    case JJ_LIST:
        buf_add_char(b, '[');
        repr_items(rt, b, v.u.l);
        buf_add_char(b, ']');
        break;
    case JJ_TUPLE:
        buf_add_char(b, '(');
        repr_items(rt, b, v.u.l);
        buf_add_str(b, v.u.l->n == 1 ? ",)" : ")");
        break;
    case JJ_DICT:
        repr_dict(rt, b, v.u.d);
        break;
    case JJ_NAMESPACE:
        buf_add_str(b, "<Namespace ");
        repr_dict(rt, b, v.u.d);
        buf_add_char(b, '>');
        break;
    default:
        repr_view(rt, b, v.u.view);
        break;
    }
    jj_leave(rt);
}

void jj_write_repr(jj_rt *rt, buf *b, jv v)
{
    if (!jj_step(rt, 1) || !jj_room(rt, b->n, 1)) return;
    switch (v.type) {
    case JJ_MISSING:
    case JJ_UNDEFINED:
        buf_add_str(b, "Undefined");
        break;
    case JJ_NONE:
        buf_add_str(b, "None");
        break;
    case JJ_BOOL:
        buf_add_str(b, v.u.b ? "True" : "False");
        break;
    case JJ_INT:
        buf_addf(b, "%" PRId64, v.u.i);
        break;
    case JJ_BIG:
        if (jj_is_minus(v)) buf_add_char(b, '-');
        jj_big_write(rt, b, v, 10, 0);
        break;
    case JJ_BYTES:
        repr_bytes(rt, b, jj_strv(v));
        break;
    case JJ_FLOAT:
        jj_float_repr(b, v.u.f);
        break;
    case JJ_STR:
        jj_work(rt, v.u.s->n);
        if (v.u.s->markup) buf_add_str(b, "Markup(");
        repr_text(rt, b, jj_strv(v));
        if (v.u.s->markup) buf_add_char(b, ')');
        break;
    case JJ_RANGE:
        buf_addf(b, "range(%" PRId64 ", %" PRId64, v.u.range->start, v.u.range->stop);
        if (v.u.range->step != 1) buf_addf(b, ", %" PRId64, v.u.range->step);
        buf_add_char(b, ')');
        break;
    case JJ_LIST:
    case JJ_TUPLE:
    case JJ_DICT:
    case JJ_NAMESPACE:
    case JJ_VIEW:
        repr_container(rt, b, v);
        break;
    case JJ_LOOP:
        jj_loop_repr(rt, b, v.u.loop);
        break;
    case JJ_MACRO:
        buf_add_str(b, "<Macro ");
        if (v.u.macro->node->kind == N_MACRO)
            repr_text(rt, b, v.u.macro->name);
        else
            buf_add_str(b, "anonymous");
        buf_add_char(b, '>');
        break;
    case JJ_SELF:
        buf_add_str(b, "<TemplateReference None>");
        break;
    case JJ_FUNCTION:
        if (v.u.fn->shown) {
            buf_addf(b, "<class '%s'>", v.u.fn->shown);
            break;
        }
        /* fall through */
    default:
        jj_fail(rt, "a %s has no text: the reference prints its address in memory",
                jj_type_name(v));
    }
}

void jj_write_str(jj_rt *rt, buf *b, jv v)
{
    if (v.type == JJ_STR) {
        if (jj_work(rt, v.u.s->n)) jj_put(rt, b, jj_strv(v));
    } else if (v.type != JJ_UNDEFINED)
        jj_write_repr(rt, b, v);
}

jv jj_soft_str(jj_rt *rt, jv v)
{
    buf b = {0};
    if (jj_is_str(v) || rt->failed) return v;
    jj_write_str(rt, &b, v);
    return jj_take(rt, &b);
}

jv jj_str_of(jj_rt *rt, jv v)
{
    if (jj_is_str(v) && v.u.s->markup) {
        jv plain = jj_borrow(rt, jj_strv(v));
        if (jj_ok(rt)) plain.u.s->chars = v.u.s->chars;
        return plain;
    }
    return jj_soft_str(rt, v);
}

/* ---- HTML ---- */

static void escape_text(buf *b, strv text)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '&')
            buf_add_str(b, "&amp;");
        else if (c == '<')
            buf_add_str(b, "&lt;");
        else if (c == '>')
            buf_add_str(b, "&gt;");
        else if (c == '\'')
            buf_add_str(b, "&#39;");
        else if (c == '"')
            buf_add_str(b, "&#34;");
        else
            buf_add_char(b, c);
    }
}

void jj_write_escaped(jj_rt *rt, buf *b, jv v)
{
    jv text = jj_soft_str(rt, v);
    size_t from;
    if (!jj_is_str(text) || !jj_work(rt, text.u.s->n)) return;
    from = b->n;
    if (text.u.s->markup)
        buf_add_strv(b, jj_strv(text));
    else
        escape_text(b, jj_strv(text));
    jj_trace(rt, b, from, b->n, jj_strv(text));
}

jv jj_escape(jj_rt *rt, jv v)
{
    buf b = {0};
    if (jj_is_str(v) && v.u.s->markup) return v;
    jj_write_escaped(rt, &b, v);
    return jj_marked(rt, jj_take(rt, &b));
}

/* ---- JSON ---- */

static void json_text(jj_rt *rt, buf *b, strv text, int ensure_ascii)
{
    size_t from = b->n + 1;
    buf_add_char(b, '"');
    for (size_t i = 0, n; i < text.n; i += n) {
        unsigned c = jj_decode(text.p + i, text.p + text.n, &n);
        if (c == '"' || c == '\\') {
            buf_add_char(b, '\\');
            buf_add_char(b, (char)c);
        } else if (c == '\n')
            buf_add_str(b, "\\n");
        else if (c == '\r')
            buf_add_str(b, "\\r");
        else if (c == '\t')
            buf_add_str(b, "\\t");
        else if (c == '\b')
            buf_add_str(b, "\\b");
        else if (c == '\f')
            buf_add_str(b, "\\f");
        else if (c < 0x20 || (ensure_ascii && c >= 0x7F && c < 0x10000))
            buf_addf(b, "\\u%04x", c);
        else if (ensure_ascii && c >= 0x10000)
            buf_addf(b, "\\u%04x\\u%04x", 0xD800 + ((c - 0x10000) >> 10),
                     0xDC00 + ((c - 0x10000) & 0x3FF));
        else
            buf_add(b, text.p + i, n);
    }
    jj_trace(rt, b, from, b->n, text);
    buf_add_char(b, '"');
}

static void json_value(jj_rt *rt, buf *b, jv v, const jj_json_style *style, size_t level);

static void json_break(buf *b, const jj_json_style *style, size_t level)
{
    if (!style->has_indent) return;
    buf_add_char(b, '\n');
    while (level--)
        buf_add_strv(b, style->indent);
}

static void json_list(jj_rt *rt, buf *b, const jj_list *l, const jj_json_style *style, size_t level)
{
    if (!l->n) {
        buf_add_str(b, "[]");
        return;
    }
    buf_add_char(b, '[');
    for (size_t i = 0; i < l->n && jj_ok(rt); i++) {
        if (i) buf_add_strv(b, style->item);
        json_break(b, style, level + 1);
        json_value(rt, b, l->v[i], style, level + 1);
    }
    json_break(b, style, level);
    buf_add_char(b, ']');
}

static void json_key(jj_rt *rt, buf *b, jv key, const jj_json_style *style)
{
    buf text = {0};
    if (jj_is_str(key)) {
        json_text(rt, b, jj_strv(key), style->ensure_ascii);
        return;
    }
    if (key.type != JJ_NONE && !jj_is_int(key) && key.type != JJ_FLOAT) {
        jj_fail(rt, "keys must be str, int, float, bool or None, not %s", jj_type_name(key));
        return;
    }
    json_value(rt, &text, key, style, 0);
    json_text(rt, b, buf_view(&text), style->ensure_ascii);
    buf_deinit(&text);
}

static int by_key(jj_rt *rt, jv a, jv b) { return jj_compare(rt, a, b, "<") < 0; }

jj_entry *jj_sorted(jj_rt *rt, const jj_dict *d, int (*before)(jj_rt *rt, jv a, jv b))
{
    jj_entry *e = jj_array(rt, d->n ? d->n : 1, sizeof *e);
    for (size_t i = 0; e && i < d->n && jj_ok(rt); i++) {
        size_t low = 0, high = i;
        while (low < high) {
            size_t mid = (low + high) / 2;
            if (before(rt, d->e[i].key, e[mid].key))
                high = mid;
            else
                low = mid + 1;
        }
        if (!jj_work(rt, (i - low) * sizeof *e)) break;
        memmove(e + low + 1, e + low, (i - low) * sizeof *e);
        e[low] = d->e[i];
    }
    return jj_ok(rt) ? e : NULL;
}

static void json_dict(jj_rt *rt, buf *b, const jj_dict *d, const jj_json_style *style, size_t level)
{
    const jj_entry *e = style->sort_keys ? jj_sorted(rt, d, by_key) : d->e;
    if (!d->n) {
        buf_add_str(b, "{}");
        return;
    }
    buf_add_char(b, '{');
    for (size_t i = 0; i < d->n && jj_ok(rt); i++) {
        if (i) buf_add_strv(b, style->item);
        json_break(b, style, level + 1);
        json_key(rt, b, e[i].key, style);
        buf_add_strv(b, style->colon);
        json_value(rt, b, e[i].value, style, level + 1);
    }
    json_break(b, style, level);
    buf_add_char(b, '}');
}

static void json_value(jj_rt *rt, buf *b, jv v, const jj_json_style *style, size_t level)
{
    if (!jj_step(rt, 1) || !jj_room(rt, b->n, 1)) return;
    switch (v.type) {
    case JJ_NONE:
        buf_add_str(b, "null");
        break;
    case JJ_BOOL:
        buf_add_str(b, v.u.b ? "true" : "false");
        break;
    case JJ_INT:
    case JJ_BIG:
        jj_write_repr(rt, b, v);
        break;
    case JJ_FLOAT:
        json_write_float(b, v.u.f);
        break;
    case JJ_STR:
        jj_work(rt, v.u.s->n);
        json_text(rt, b, jj_strv(v), style->ensure_ascii);
        break;
    case JJ_LIST:
    case JJ_TUPLE:
    case JJ_DICT:
        if (!jj_enter(rt)) return;
        if (v.type == JJ_DICT)
            json_dict(rt, b, v.u.d, style, level);
        else
            json_list(rt, b, v.u.l, style, level);
        jj_leave(rt);
        break;
    default:
        jj_fail(rt, "Object of type %s is not JSON serializable", jj_type_name(v));
    }
}

jv jj_json(jj_rt *rt, jv v, const jj_json_style *style)
{
    buf b = {0};
    json_value(rt, &b, v, style, 0);
    return jj_take(rt, &b);
}
