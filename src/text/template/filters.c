/* filters.c: the filters that take a value and give a value; the table of all filters.
 *
 * Source: jinja2 3.1.6 filters.py; tojson is transformers' own (json.dumps, nothing escaped).
 * Traps: `int` and `float` give their default for what is no number, but an undefined value is an
 *        error. `round` gives an int for an int. `title` splits at other places than str.title. */
#include "text/template/filters.h"
#include "text/template/big.h"
#include "text/template/content.h"
#include "text/template/text.h"

#include <math.h>
#include <stdlib.h>

/* ---- text ---- */

static jv cased(jj_rt *rt, const jj_args *args, const char *name, jj_case how)
{
    jv v[1], s;
    buf b = {0};
    if (!jj_bind(rt, name, "s", 1, args, v)) return jj_none();
    s = jj_soft_str(rt, v[0]);
    if (!jj_ok(rt) || !jj_work(rt, s.u.s->n * 4)) return jj_none();
    jj_write_case(&b, jj_strv(s), how);
    jj_trace(rt, &b, 0, b.n, jj_strv(s));
    return s.u.s->markup ? jj_marked(rt, jj_take(rt, &b)) : jj_take(rt, &b);
}

static jv f_upper(jj_rt *rt, const jj_args *args) { return cased(rt, args, "upper", JJ_UPPER); }
static jv f_lower(jj_rt *rt, const jj_args *args) { return cased(rt, args, "lower", JJ_LOWER); }
static jv f_capitalize(jj_rt *rt, const jj_args *args)
{
    return cased(rt, args, "capitalize", JJ_CAPITALIZE);
}

static jv f_title(jj_rt *rt, const jj_args *args)
{
    jv v[1];
    strv s;
    buf b = {0};
    if (!jj_bind(rt, "title", "s", 1, args, v)) return jj_none();
    v[0] = jj_soft_str(rt, v[0]);
    if (!jj_ok(rt) || !jj_work(rt, v[0].u.s->n * 4)) return jj_none();
    s = jj_strv(v[0]);
    for (size_t i = 0, n, end; i < s.n; i = end) {
        unsigned c = jj_decode(s.p + i, s.p + s.n, &n);
        int gap = jj_isspace(c) || (c < 0x80 && c && strchr("-({[<", (int)c));
        for (end = i + n; end < s.n; end += n) {
            c = jj_decode(s.p + end, s.p + s.n, &n);
            if ((jj_isspace(c) || (c < 0x80 && c && strchr("-({[<", (int)c))) != gap) break;
        }
        jj_decode(s.p + i, s.p + s.n, &n);
        jj_write_case(&b, (strv){s.p + i, n}, JJ_UPPER);
        jj_write_case(&b, (strv){s.p + i + n, end - i - n}, JJ_LOWER);
    }
    jj_trace(rt, &b, 0, b.n, s);
    return jj_take(rt, &b);
}

/* Calls a method of the value's text with the arguments behind it. */
static jv text_method(jj_rt *rt, jv value, const char *method, const jv *rest, size_t n)
{
    jv s = jj_soft_str(rt, value);
    jj_args args = {.n = n};
    if (!jj_ok(rt)) return jj_none();
    args.v = jj_array(rt, n + 1, sizeof *args.v);
    if (!args.v) return jj_none();
    if (n) memcpy(args.v, rest, n * sizeof *rest);
    return jj_call_method(rt, s, jj_method_id(s, strv_of(method)), &args);
}

static jv f_trim(jj_rt *rt, const jj_args *args)
{
    jv v[2];
    if (!jj_bind(rt, "trim", "value,chars", 1, args, v)) return jj_none();
    return text_method(rt, v[0], "strip", v + 1, v[1].type != JJ_MISSING);
}

static jv f_center(jj_rt *rt, const jj_args *args)
{
    jv v[2];
    if (!jj_bind(rt, "center", "value,width", 1, args, v)) return jj_none();
    if (v[1].type == JJ_MISSING) v[1] = jj_int(80);
    return text_method(rt, v[0], "center", v + 1, 1);
}

static jv f_replace(jj_rt *rt, const jj_args *args)
{
    jv v[4];
    int64_t max = -1;
    if (!jj_bind(rt, "replace", "s,old,new,count", 3, args, v)) return jj_none();
    if (v[3].type != JJ_NONE && !jj_arg_int(rt, "count", v[3], &max)) return jj_none();
    for (int i = 0; i < 3; i++)
        v[i] = rt->autoescape ? jj_soft_str(rt, v[i]) : jj_str_of(rt, v[i]);
    if (!jj_ok(rt)) return jj_none();
    if (rt->autoescape && (v[0].u.s->markup || v[1].u.s->markup || v[2].u.s->markup)) {
        v[0] = jj_escape(rt, v[0]);
        v[2] = jj_escape(rt, v[2]);
        if (!jj_ok(rt)) return jj_none();
        return jj_marked(rt, jj_replace(rt, jj_strv(v[0]), jj_strv(v[1]), jj_strv(v[2]), max));
    }
    return jj_replace(rt, jj_strv(v[0]), jj_strv(v[1]), jj_strv(v[2]), max);
}

static jv f_indent(jj_rt *rt, const jj_args *args)
{
    jv v[4], s;
    int64_t width = 4;
    strv by = {0};
    buf margin = {0}, b = {0};
    jj_list *lines;
    if (!jj_bind(rt, "indent", "s,width,first,blank", 1, args, v)) return jj_none();
    if (v[0].type == JJ_UNDEFINED) return jj_fail_undefined(rt, v[0]);
    if (!jj_is_str(v[0])) return jj_fail(rt, "indent wants a text, got '%s'", jj_type_name(v[0]));
    if (jj_is_str(v[1]))
        by = jj_strv(v[1]);
    else {
        if (!jj_arg_int(rt, "width", v[1], &width) ||
            !jj_room(rt, width > 0 ? (size_t)width : 0, 1))
            return jj_none();
        for (; width > 0; width--)
            buf_add_char(&margin, ' ');
        by = buf_view(&margin);
    }
    s = jj_binary(rt, JJ_ADD, v[0], jj_borrow(rt, STRV("\n")));
    lines = jj_ok(rt) ? jj_splitlines(rt, s, 0) : NULL;
    if (lines && jj_truth(v[2])) jj_put(rt, &b, by);
    for (size_t i = 0; lines && i < lines->n && jj_room(rt, b.n, 1); i++) {
        if (i) buf_add_char(&b, '\n');
        if (i && (jj_truth(v[3]) || lines->v[i].u.s->n)) jj_put(rt, &b, by);
        jj_put(rt, &b, jj_strv(lines->v[i]));
    }
    buf_deinit(&margin);
    s = jj_take(rt, &b);
    return v[0].u.s->markup ? jj_marked(rt, s) : s;
}

/* truncate: whether the text is short enough, for numbers and an end of any type. */
static int fits_length(jj_rt *rt, const jv v[5], int64_t leeway)
{
    jv length = v[1].type == JJ_MISSING ? jj_int(255) : v[1];
    jv more = v[4].type == JJ_MISSING || v[4].type == JJ_NONE ? jj_int(leeway) : v[4];
    size_t n = 0, end = 3;
    if (!jj_is_number(length) || !jj_is_number(more) || jj_as_double(more) < 0) return 0;
    if (v[3].type != JJ_MISSING && !jj_len(rt, v[3], &end)) return 0;
    return jj_len(rt, v[0], &n) && jj_as_double(length) >= (double)end &&
           (double)n <= jj_as_double(length) + jj_as_double(more);
}

static jv f_truncate(jj_rt *rt, const jj_args *args)
{
    jv v[5];
    int64_t length = 255, leeway = 5;
    strv end = STRV("..."), s;
    size_t n = 0, at;
    buf b = {0};
    if (!jj_bind(rt, "truncate", "s,length,killwords,end,leeway", 1, args, v)) return jj_none();
    /* The arguments only have to be numbers and to have a length as long as nothing is cut. */
    if (fits_length(rt, v, leeway)) return v[0];
    if (v[3].type == JJ_UNDEFINED) return jj_fail_undefined(rt, v[3]);
    if (!jj_arg_str(rt, "end", v[3], &end) || !jj_arg_int(rt, "length", v[1], &length))
        return jj_none();
    if (v[4].type != JJ_NONE && !jj_arg_int(rt, "leeway", v[4], &leeway)) return jj_none();
    if (length < (int64_t)jj_count(end) || leeway < 0)
        return jj_fail(rt, "truncate wants a length of at least %zu and no negative leeway",
                       jj_count(end));
    if (!jj_len(rt, v[0], &n)) return jj_fail(rt, "'%s' has no length", jj_type_name(v[0]));
    if ((int64_t)n - leeway <= length) return v[0];
    if (!jj_is_str(v[0])) return jj_fail(rt, "truncate wants a text");
    s = jj_strv(v[0]);
    s.n = jj_offset(v[0].u.s, (size_t)length - jj_count(end));
    at = jj_truth(v[2]) ? SIZE_MAX : jj_rfind(s, STRV(" "));
    if (at != SIZE_MAX) s.n = at;
    jj_put(rt, &b, s);
    jj_put(rt, &b, end);
    return jj_take(rt, &b);
}

static jv f_wordcount(jj_rt *rt, const jj_args *args)
{
    jv v[1];
    strv s;
    int64_t words = 0;
    int inside = 0;
    if (!jj_bind(rt, "wordcount", "s", 1, args, v)) return jj_none();
    v[0] = jj_soft_str(rt, v[0]);
    if (!jj_ok(rt)) return jj_none();
    s = jj_strv(v[0]);
    for (size_t i = 0, n; i < s.n; i += n) {
        unsigned c = jj_decode(s.p + i, s.p + s.n, &n);
        int is = c == '_' || jj_isalnum(c);
        words += is && !inside;
        inside = is;
    }
    return jj_int(words);
}

static jv f_string(jj_rt *rt, const jj_args *args)
{
    jv v[1];
    return jj_bind(rt, "string", "/s", 1, args, v) ? jj_soft_str(rt, v[0]) : jj_none();
}

static jv f_escape(jj_rt *rt, const jj_args *args)
{
    jv v[1];
    return jj_bind(rt, "escape", "/s", 1, args, v) ? jj_escape(rt, v[0]) : jj_none();
}

static jv f_forceescape(jj_rt *rt, const jj_args *args)
{
    jv v[1];
    if (!jj_bind(rt, "forceescape", "value", 1, args, v)) return jj_none();
    return jj_escape(rt, jj_str_of(rt, v[0]));
}

static jv f_safe(jj_rt *rt, const jj_args *args)
{
    jv v[1];
    return jj_bind(rt, "safe", "value", 1, args, v) ? jj_marked(rt, jj_soft_str(rt, v[0]))
                                                    : jj_none();
}

static jv f_format(jj_rt *rt, const jj_args *args)
{
    jv s;
    jj_list *l;
    jj_dict *d;
    if (!args->n) return jj_fail(rt, "format() is missing its text");
    s = jj_soft_str(rt, args->v[0]);
    if (args->n > 1 && args->n_named)
        return jj_fail(rt, "can't handle positional and keyword arguments at the same time");
    if (!jj_ok(rt)) return jj_none();
    if (args->n_named) {
        d = jj_dict_new(rt);
        for (size_t i = 0; i < args->n_named; i++)
            jj_dict_set(rt, d, jj_borrow(rt, args->names[i]), args->named[i]);
        return jj_percent(rt, s, jj_dict_value(rt, d));
    }
    l = jj_list_new(rt, args->n);
    for (size_t i = 1; i < args->n; i++)
        jj_push(rt, l, args->v[i]);
    return jj_percent(rt, s, jj_tuple_value(rt, l));
}

static void quote(buf *b, strv s, int query)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z' && c < 0x80) ||
            (c && strchr("_.-~", c)) || (c == '/' && !query))
            buf_add_char(b, (char)c);
        else if (c == ' ' && query)
            buf_add_char(b, '+');
        else
            buf_addf(b, "%%%02X", c);
    }
}

static jv f_urlencode(jj_rt *rt, const jj_args *args)
{
    jv v[1], item;
    buf b = {0};
    size_t from;
    jj_iter *it;
    int first = 1;
    if (!jj_bind(rt, "urlencode", "value", 1, args, v)) return jj_none();
    if (jj_is_str(v[0]) || !jj_iterable(v[0])) {
        v[0] = jj_str_of(rt, v[0]);
        if (jj_ok(rt)) quote(&b, jj_strv(v[0]), 0);
        if (jj_ok(rt)) jj_trace(rt, &b, 0, b.n, jj_strv(v[0]));
        return jj_take(rt, &b);
    }
    if (v[0].type == JJ_DICT) v[0] = jj_view_new(rt, JJ_ITEMS, v[0].u.d);
    it = jj_iterate(rt, v[0]);
    while (jj_next(rt, it, &item)) {
        jj_list *pair = jj_collect(rt, item);
        if (pair && pair->n != 2) jj_fail(rt, "urlencode wants pairs");
        for (size_t i = 0; i < 2 && jj_ok(rt); i++) {
            jv part = jj_str_of(rt, pair->v[i]);
            if (!first || i) buf_add_char(&b, i ? '=' : '&');
            from = b.n;
            if (jj_ok(rt)) quote(&b, jj_strv(part), 1);
            if (jj_ok(rt)) jj_trace(rt, &b, from, b.n, jj_strv(part));
        }
        first = 0;
    }
    return jj_take(rt, &b);
}

static jv f_xmlattr(jj_rt *rt, const jj_args *args)
{
    jv v[2], out;
    buf b = {0};
    int space;
    if (!jj_bind(rt, "xmlattr", "d,autospace", 1, args, v)) return jj_none();
    if (v[0].type != JJ_DICT) return jj_fail(rt, "xmlattr wants a mapping");
    space = v[1].type == JJ_MISSING || jj_truth(v[1]);
    for (size_t i = 0; i < v[0].u.d->n && jj_ok(rt); i++) {
        const jj_entry *e = v[0].u.d->e + i;
        if (e->value.type == JJ_NONE || e->value.type == JJ_UNDEFINED) continue;
        if (!jj_is_str(e->key) || strcspn(e->key.u.s->p, " \t\n\r\f\v/>=") < e->key.u.s->n) {
            jj_fail(rt, "invalid character in attribute name");
            break;
        }
        if (space || b.n) buf_add_char(&b, ' ');
        jj_write_escaped(rt, &b, e->key);
        buf_add_str(&b, "=\"");
        jj_write_escaped(rt, &b, e->value);
        buf_add_char(&b, '"');
    }
    out = jj_take(rt, &b);
    return rt->autoescape ? jj_marked(rt, out) : out;
}

static jv f_filesizeformat(jj_rt *rt, const jj_args *args)
{
    static const char *const UNITS[2][8] = {
        {"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"},
        {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"}};
    static const double POWERS[] = {1e6, 1e9, 1e12, 1e15, 1e18, 1e21, 1e24, 1e27};
    jv v[2], number;
    buf b = {0};
    int ok, binary, i = 0;
    double bytes, base, unit;
    if (!jj_bind(rt, "filesizeformat", "value,binary", 1, args, v)) return jj_none();
    number = jj_to_float(rt, v[0], &ok);
    if (!ok || !jj_ok(rt)) return jj_fail(rt, "filesizeformat wants a number");
    bytes = number.u.f;
    binary = jj_truth(v[1]);
    base = binary ? 1024 : 1000;
    if (bytes == 1) return jj_borrow(rt, STRV("1 Byte"));
    if (bytes < base) {
        number = jj_to_int(rt, number, &ok);
        if (!ok) return jj_fail(rt, "filesizeformat wants a finite number");
        jj_write_repr(rt, &b, number);
        buf_add_str(&b, " Bytes");
        return jj_take(rt, &b);
    }
    for (;; i++) {
        unit = binary ? ldexp(1, 10 * (i + 2)) : POWERS[i];
        /* the double 1e24 is below the whole number that Python compares with */
        if (i == 7 || bytes < unit || (unit == 1e24 && bytes == unit)) break;
    }
    jj_format_spec(rt, &b, jj_float(base * bytes / unit), STRV(".1f"));
    buf_add_char(&b, ' ');
    buf_add_str(&b, UNITS[binary][i]);
    return jj_take(rt, &b);
}

/* ---- numbers ---- */

static jv f_abs(jj_rt *rt, const jj_args *args)
{
    jv v[1];
    int64_t i;
    if (!jj_bind(rt, "abs", "/x", 1, args, v)) return jj_none();
    if (v[0].type == JJ_FLOAT) return jj_float(fabs(v[0].u.f));
    if (jj_as_int(v[0], &i) && i >= 0) return jj_int(i);
    if (jj_is_int(v[0])) return jj_is_minus(v[0]) ? jj_negate(rt, v[0]) : v[0];
    if (v[0].type == JJ_UNDEFINED) return jj_fail_undefined(rt, v[0]);
    return jj_fail(rt, "bad operand type for abs(): '%s'", jj_type_name(v[0]));
}

static jv f_int(jj_rt *rt, const jj_args *args)
{
    jv v[3], out, fallback;
    int64_t base = 10;
    int ok;
    if (!jj_bind(rt, "int", "value,default,base", 1, args, v)) return jj_none();
    fallback = v[1].type == JJ_MISSING ? jj_int(0) : v[1];
    if (jj_is_str(v[0])) {
        ok = v[2].type == JJ_MISSING || jj_as_int(v[2], &base);
        if (base < 0 || base > 36) ok = 0;
        if (ok)
            out = jj_int_from_text(rt, jj_strv(v[0]), (int)base, &ok);
        else
            out = jj_none();
    } else {
        if (v[0].type == JJ_FLOAT && isinf(v[0].u.f))
            return jj_fail(rt, "cannot convert float infinity to integer");
        out = jj_to_int(rt, v[0], &ok);
    }
    if (ok || !jj_ok(rt)) return out;
    out = jj_to_float(rt, v[0], &ok);
    if (ok && jj_ok(rt)) out = jj_to_int(rt, out, &ok);
    return ok ? out : fallback;
}

static jv f_float(jj_rt *rt, const jj_args *args)
{
    jv v[2], out;
    int ok;
    if (!jj_bind(rt, "float", "value,default", 1, args, v)) return jj_none();
    out = jj_to_float(rt, v[0], &ok);
    if (ok || !jj_ok(rt)) return out;
    return v[1].type == JJ_MISSING ? jj_float(0) : v[1];
}

/* To a multiple of a power of ten, halves to even multiples. */
static jv round_int(jj_rt *rt, jv v, int64_t precision)
{
    jv unit, down, rest;
    int order;
    if (precision >= 0) return jj_plus(rt, v);
    if (precision < -JJ_BIG_DIGITS) return jj_int(0);
    unit = jj_binary(rt, JJ_POW, jj_int(10), jj_int(-precision));
    rest = jj_binary(rt, JJ_MOD, v, unit);
    down = jj_binary(rt, JJ_SUB, v, rest);
    if (!jj_ok(rt)) return jj_none();
    order = jj_big_compare(jj_binary(rt, JJ_MUL, rest, jj_int(2)), unit);
    if (!order) {
        jv odd = jj_binary(rt, JJ_MOD, jj_binary(rt, JJ_FLOORDIV, down, unit), jj_int(2));
        order = jj_ok(rt) && odd.u.i ? 1 : -1;
    }
    return order > 0 ? jj_binary(rt, JJ_ADD, down, unit) : down;
}

/* round(f, n) as Python: to the nearest decimal of the exact value, halves to even. */
static jv round_float(jj_rt *rt, double f, int64_t precision)
{
    buf b = {0};
    jv text, out;
    char spec[24] = ".";
    int ok;
    size_t n = 1;
    if (!isfinite(f) || precision > 300) return jj_float(f);
    if (precision < 0) {
        double unit = precision < -308 ? INFINITY : pow(10, (double)-precision);
        return jj_float(isinf(unit) ? copysign(0, f) : rint(f / unit) * unit);
    }
    if (precision >= 100) spec[n++] = (char)('0' + precision / 100);
    if (precision >= 10) spec[n++] = (char)('0' + precision / 10 % 10);
    spec[n++] = (char)('0' + precision % 10);
    spec[n++] = 'f';
    jj_format_spec(rt, &b, jj_float(f), (strv){spec, n});
    text = jj_take(rt, &b);
    out = jj_to_float(rt, text, &ok);
    return out;
}

static jv f_round(jj_rt *rt, const jj_args *args)
{
    jv v[3], scale, value;
    int64_t precision = 0;
    strv method = STRV("common");
    double f;
    if (!jj_bind(rt, "round", "value,precision,method", 1, args, v) ||
        !jj_arg_str(rt, "method", v[2], &method))
        return jj_none();
    if (!strv_is(method, "common") && !strv_is(method, "ceil") && !strv_is(method, "floor"))
        return jj_fail(rt, "method must be common, ceil or floor");
    if (strv_is(method, "common")) {
        if (v[1].type != JJ_NONE && !jj_arg_int(rt, "precision", v[1], &precision))
            return jj_none();
        if (v[1].type == JJ_NONE && v[0].type == JJ_FLOAT)
            return jj_to_int(rt, jj_float(rint(v[0].u.f)), &(int){0});
        if (jj_is_int(v[0])) return round_int(rt, v[0], precision);
        if (v[0].type == JJ_FLOAT) return round_float(rt, v[0].u.f, precision);
        return jj_fail(rt, "'%s' cannot be rounded", jj_type_name(v[0]));
    }
    scale = jj_binary(rt, JJ_POW, jj_int(10), v[1].type == JJ_MISSING ? jj_int(0) : v[1]);
    value = jj_binary(rt, JJ_MUL, v[0], scale);
    if (jj_ok(rt) && !jj_is_int(value) && value.type != JJ_FLOAT)
        return jj_fail(rt, "'%s' cannot be rounded", jj_type_name(v[0]));
    if (!jj_ok(rt)) return jj_none();
    if (value.type == JJ_FLOAT) {
        f = strv_is(method, "ceil") ? ceil(value.u.f) : floor(value.u.f);
        if (!isfinite(f)) return jj_fail(rt, "a number that is not finite cannot be rounded");
        value = jj_float(f + 0.0);
    }
    return jj_binary(rt, JJ_DIV, value, scale);
}

/* ---- any value ---- */

static jv f_default(jj_rt *rt, const jj_args *args)
{
    jv v[3];
    if (!jj_bind(rt, "default", "value,default_value,boolean", 1, args, v)) return jj_none();
    if (v[0].type != JJ_UNDEFINED && !(jj_truth(v[2]) && !jj_truth(v[0]))) return v[0];
    return v[1].type == JJ_MISSING ? jj_borrow(rt, (strv){0}) : v[1];
}

static jv f_attr(jj_rt *rt, const jj_args *args)
{
    jv v[2], out;
    strv name = {0};
    int found;
    if (!jj_bind(rt, "attr", "obj,name", 2, args, v) || !jj_arg_str(rt, "name", v[1], &name))
        return jj_none();
    if (v[0].type == JJ_UNDEFINED && strv_starts(name, STRV("__")) && !jj_has_attribute(v[0], name))
        return jj_undefined_name(rt, jj_type_name(v[0]), name);
    out = jj_attribute(rt, v[0], name, &found);
    return found || !jj_ok(rt) ? out : jj_undefined_name(rt, jj_type_name(v[0]), name);
}

static jv f_length(jj_rt *rt, const jj_args *args)
{
    jv v[1];
    size_t n = 0;
    if (!jj_bind(rt, "length", "/obj", 1, args, v)) return jj_none();
    if (v[0].type == JJ_LOOP) return jj_getattr(rt, v[0], STRV("length"));
    if (!jj_len(rt, v[0], &n)) return jj_fail(rt, "'%s' has no length", jj_type_name(v[0]));
    return jj_int((int64_t)n);
}

/* tojson's indent: a text, or a number of spaces. */
static int json_indent(jj_rt *rt, jv v, jj_json_style *style)
{
    int64_t n = 0;
    buf b = {0};
    jv text;
    if (v.type == JJ_NONE || v.type == JJ_MISSING) return 1;
    style->has_indent = 1;
    if (jj_is_str(v)) {
        style->indent = jj_strv(v);
        return 1;
    }
    if (!jj_arg_int(rt, "indent", v, &n) || !jj_room(rt, n > 0 ? (size_t)n : 0, 1)) return 0;
    for (; n > 0; n--)
        buf_add_char(&b, ' ');
    text = jj_take(rt, &b);
    if (jj_ok(rt)) style->indent = jj_strv(text);
    return jj_ok(rt);
}

/* 1: json.dumps never looks at the separators. */
static int separates_nothing(jv v, const jj_json_style *style)
{
    if (jj_is_str(v)) return 1;
    if (!style->has_indent) return 0;
    if (v.type == JJ_DICT) return !v.u.d->n;
    return v.type != JJ_LIST && v.type != JJ_TUPLE ? 1 : !v.u.l->n;
}

static jv f_tojson(jj_rt *rt, const jj_args *args)
{
    jv v[5];
    jj_json_style style = {.item = STRV(", "), .colon = STRV(": ")};
    if (!jj_bind(rt, "tojson", "x,ensure_ascii,indent,separators,sort_keys", 1, args, v) ||
        (!jj_is_str(v[0]) && !json_indent(rt, v[2], &style)))
        return jj_none();
    style.ensure_ascii = jj_truth(v[1]);
    style.sort_keys = jj_truth(v[4]);
    if (style.has_indent) style.item = STRV(",");
    if (v[3].type != JJ_NONE && v[3].type != JJ_MISSING) {
        jj_list *pair = jj_collect(rt, v[3]);
        if (pair && pair->n != 2) jj_fail(rt, "separators must be two texts");
        if (!pair || !jj_ok(rt)) return jj_none();
        if (separates_nothing(v[0], &style)) return jj_json(rt, v[0], &style);
        if (!jj_is_str(pair->v[0]) || !jj_is_str(pair->v[1]))
            return jj_fail(rt, "separators must be two texts");
        style.item = jj_strv(pair->v[0]);
        style.colon = jj_strv(pair->v[1]);
    }
    return jj_json(rt, v[0], &style);
}

/* ---- the table ---- */

static const jj_function FILTERS[] = {
    {"abs", f_abs, NULL},
    {"attr", f_attr, NULL},
    {"batch", jj_filter_batch, NULL},
    {"capitalize", f_capitalize, NULL},
    {"center", f_center, NULL},
    {"count", f_length, NULL},
    {"d", f_default, NULL},
    {"default", f_default, NULL},
    {"dictsort", jj_filter_dictsort, NULL},
    {"e", f_escape, NULL},
    {"escape", f_escape, NULL},
    {"filesizeformat", f_filesizeformat, NULL},
    {"first", jj_filter_first, NULL},
    {"float", f_float, NULL},
    {"forceescape", f_forceescape, NULL},
    {"format", f_format, NULL},
    {"groupby", jj_filter_groupby, NULL},
    {"indent", f_indent, NULL},
    {"int", f_int, NULL},
    {"items", jj_filter_items, NULL},
    {"join", jj_filter_join, NULL},
    {"last", jj_filter_last, NULL},
    {"length", f_length, NULL},
    {"list", jj_filter_list, NULL},
    {"lower", f_lower, NULL},
    {"map", jj_filter_map, NULL},
    {"max", jj_filter_max, NULL},
    {"min", jj_filter_min, NULL},
    {"pprint", jj_filter_pprint, NULL},
    {"random", jj_filter_random, NULL},
    {"reject", jj_filter_reject, NULL},
    {"rejectattr", jj_filter_rejectattr, NULL},
    {"replace", f_replace, NULL},
    {"reverse", jj_filter_reverse, NULL},
    {"round", f_round, NULL},
    {"safe", f_safe, NULL},
    {"select", jj_filter_select, NULL},
    {"selectattr", jj_filter_selectattr, NULL},
    {"slice", jj_filter_slice, NULL},
    {"sort", jj_filter_sort, NULL},
    {"string", f_string, NULL},
    {"striptags", jj_filter_striptags, NULL},
    {"sum", jj_filter_sum, NULL},
    {"title", f_title, NULL},
    {"tojson", f_tojson, NULL},
    {"trim", f_trim, NULL},
    {"truncate", f_truncate, NULL},
    {"unique", jj_filter_unique, NULL},
    {"upper", f_upper, NULL},
    {"urlencode", f_urlencode, NULL},
    {"urlize", jj_filter_urlize, NULL},
    {"wordcount", f_wordcount, NULL},
    {"wordwrap", jj_filter_wordwrap, NULL},
    {"xmlattr", f_xmlattr, NULL},
};

const jj_function *jj_filter_find(strv name)
{
    for (size_t i = 0; i < sizeof FILTERS / sizeof *FILTERS; i++)
        if (strv_is(name, FILTERS[i].name)) return FILTERS + i;
    return NULL;
}
