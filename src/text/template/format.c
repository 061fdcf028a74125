/* format.c: Python's two formatting languages: "%s" % x and "{}".format(x), and format(x, spec).
 *
 * Numbers are printed with C's printf for their digits; whatever the locale puts for the point is
 * replaced, so the result never depends on it.
 * Limits: width and precision are at most MAX_WIDTH.
 * Traps: "%d" takes a float and cuts it, "{:d}" refuses it. "%" with a tuple takes its items, with
 *        anything else one value. Too many values are an error for "%", none for format(). A str
 *        method `format` of an escaped text escapes what it puts in. Field names go through the
 *        sandbox's attribute rules. `g` without a type and without precision is repr.
 * Source: CPython 3.11 unicode_format, formatter_unicode.c, string.Formatter; jinja2's
 *         SandboxedFormatter. */
#include "text/template/big.h"
#include "text/template/content.h"
#include "text/template/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum { MAX_WIDTH = 1 << 24, MAX_PRECISION = 1000 };

/* ---- digits of numbers ---- */

/* printf of one double in a locale-free form; inf and nan in the case of the letter. */
static void float_digits(buf *b, double f, int precision, char type, int alternate)
{
    char fmt[8], text[1600];
    int n, upper = type >= 'A' && type <= 'Z';
    if (!isfinite(f)) {
        buf_add_str(b, isnan(f) ? (upper ? "NAN" : "nan") : (upper ? "INF" : "inf"));
        return;
    }
    snprintf(fmt, sizeof fmt, alternate ? "%%#.*%c" : "%%.*%c", type);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    n = snprintf(text, sizeof text, fmt, precision, fabs(f));
#pragma GCC diagnostic pop
    for (int i = 0; i < n && i < (int)sizeof text - 1; i++) {
        char c = text[i];
        if ((c >= '0' && c <= '9') || c == 'e' || c == 'E' || c == '+' || c == '-')
            buf_add_char(b, c);
        else if (b->n == 0 || b->p[b->n - 1] != '.')
            buf_add_char(b, '.');
    }
}

/* ---- layout ---- */

typedef struct layout {
    char align; /* < > ^ = or 0 */
    strv fill;
    char sign;                /* + - space */
    int alternate, zero;      /* zero: '0' before the width */
    int no_minus_zero;        /* z: what is rounded to -0 becomes 0 */
    int64_t width, precision; /* precision -1: none */
    char group;               /* , _ or 0 */
    char type;
} layout;

static void fill_with(jj_rt *rt, buf *b, strv fill, int64_t n)
{
    if (n > 0 && jj_room(rt, (size_t)n, fill.n))
        for (; n > 0; n--)
            jj_put(rt, b, fill);
}

/* sign, prefix ("0x") and digits in the field. */
static void put_number(jj_rt *rt, buf *b, const layout *l, const char *sign, const char *prefix,
                       strv digits)
{
    int64_t gap = l->width - (int64_t)(strlen(sign) + strlen(prefix)) - (int64_t)jj_count(digits);
    char align = l->align ? l->align : '>';
    int64_t left = align == '>' ? gap : align == '^' ? gap / 2 : 0;
    if (gap < 0) gap = left = 0;
    fill_with(rt, b, l->fill, left);
    buf_add_str(b, sign);
    buf_add_str(b, prefix);
    if (align == '=') fill_with(rt, b, l->fill, gap);
    buf_add_strv(b, digits);
    if (align == '<' || align == '^') fill_with(rt, b, l->fill, gap - left);
}

static void put_text(jj_rt *rt, buf *b, const layout *l, strv text)
{
    size_t chars = jj_count(text);
    int64_t gap, left;
    if (l->precision >= 0 && (size_t)l->precision < chars) {
        jj_str cut = {text.p, text.n, chars, 0};
        text.n = jj_offset(&cut, (size_t)l->precision);
        chars = (size_t)l->precision;
    }
    gap = l->width - (int64_t)chars;
    if (gap < 0) gap = 0;
    left = l->align == '>' ? gap : l->align == '^' ? gap / 2 : 0;
    fill_with(rt, b, l->fill, left);
    jj_put(rt, b, text);
    fill_with(rt, b, l->fill, gap - left);
}

/* Groups of digits: separators into a run of digits, zero-filled to `width` characters. */
static void group_digits(buf *out, strv digits, char group, size_t size, int64_t width)
{
    size_t zeros = 0, total;
    while (width > 0) {
        total = digits.n + zeros;
        if ((int64_t)(total + (total - 1) / size) >= width) break;
        zeros++;
    }
    total = digits.n + zeros;
    for (size_t i = 0; i < total; i++) {
        if (i && (total - i) % size == 0) buf_add_char(out, group);
        buf_add_char(out, i < zeros ? '0' : digits.p[i - zeros]);
    }
}

static const char *sign_text(int negative, char wanted)
{
    return negative ? "-" : wanted == '+' ? "+" : wanted == ' ' ? " " : "";
}

/* ---- format(v, spec) ---- */

/* The decimal digit of any script that s begins with, *n its bytes; -1: none. */
static int first_digit(strv s, size_t *n)
{
    *n = 0;
    return s.n ? jj_decimal_value(jj_decode(s.p, s.p + s.n, n)) : -1;
}

/* A number in digits of any script; -1: it is none, -2: it is too large. */
static int64_t whole_number(strv s)
{
    int64_t i = 0;
    size_t n;
    if (!s.n) return -1;
    for (int digit; s.n; s = (strv){s.p + n, s.n - n}) {
        if ((digit = first_digit(s, &n)) < 0) return -1;
        if (__builtin_mul_overflow(i, 10, &i) || __builtin_add_overflow(i, digit, &i)) return -2;
    }
    return i;
}

static int64_t spec_number(jj_rt *rt, strv *spec, int64_t most)
{
    int64_t n = 0;
    size_t bytes;
    for (int digit; n <= most && (digit = first_digit(*spec, &bytes)) >= 0;) {
        n = n * 10 + digit;
        *spec = (strv){spec->p + bytes, spec->n - bytes};
    }
    if (n > most) jj_limit(rt, "a width or precision of more than %d", (int)most);
    return n;
}

static int next_is(strv *spec, const char *set)
{
    if (!spec->n || !spec->p[0] || !strchr(set, spec->p[0])) return 0;
    spec->p++;
    spec->n--;
    return spec->p[-1];
}

static int parse_spec(jj_rt *rt, strv spec, layout *l)
{
    size_t n = 0;
    int filled = 0;
    *l = (layout){.fill = STRV(" "), .precision = -1};
    if (spec.n) jj_decode(spec.p, spec.p + spec.n, &n);
    if (n && spec.n > n && strchr("<>=^", spec.p[n]) && spec.p[n]) {
        l->fill = (strv){spec.p, n};
        l->align = spec.p[n];
        filled = 1;
        spec = (strv){spec.p + n + 1, spec.n - n - 1};
    } else
        l->align = (char)next_is(&spec, "<>=^");
    l->sign = (char)next_is(&spec, "+- ");
    l->no_minus_zero = next_is(&spec, "z");
    l->alternate = next_is(&spec, "#");
    if (spec.n && spec.p[0] == '0') {
        l->zero = 1;
        if (!filled) l->fill = STRV("0");
        if (!l->align) {
            l->align = '=';
            l->zero = '=';
        }
        spec = (strv){spec.p + 1, spec.n - 1};
    }
    l->width = spec_number(rt, &spec, MAX_WIDTH);
    l->group = (char)next_is(&spec, ",_");
    if (l->group && next_is(&spec, ",_")) return jj_fail(rt, "cannot specify both ',' and '_'"), 0;
    if (next_is(&spec, ".")) {
        if (first_digit(spec, &n) < 0) return jj_fail(rt, "format specifier missing precision"), 0;
        l->precision = spec_number(rt, &spec, MAX_WIDTH);
    }
    if (spec.n == 1)
        l->type = spec.p[0];
    else if (spec.n)
        return jj_fail(rt, "invalid format specifier"), 0;
    if (l->group && l->type && !strchr(l->group == ',' ? "deEfFgG%" : "deEfFgG%boxX", l->type))
        return jj_fail(rt, "cannot specify '%c' with '%c'", l->group, l->type), 0;
    return jj_ok(rt);
}

/* '#' keeps a point in "1e-05". */
static void add_point(buf *digits)
{
    buf with = {0};
    size_t whole = strspn(buf_str(digits), "0123456789");
    if (digits->p[whole] != 'e') return;
    buf_add(&with, digits->p, whole);
    buf_add_char(&with, '.');
    buf_add(&with, digits->p + whole, digits->n - whole);
    buf_clear(digits);
    buf_add_strv(digits, buf_view(&with));
    buf_deinit(&with);
}

/* "1.00e+02" -> "1e+02" */
static void strip_zeros(buf *digits)
{
    size_t e = strcspn(buf_str(digits), "e"), keep = e;
    if (!memchr(digits->p, '.', e)) return;
    while (digits->p[keep - 1] == '0')
        keep--;
    if (digits->p[keep - 1] == '.') keep--;
    memmove(digits->p + keep, digits->p + e, digits->n - e + 1);
    digits->n -= e - keep;
}

/* Without a type there is always a digit after the point, or an exponent. */
static void point_or_exponent(buf *digits, double f, int precision, int alternate)
{
    size_t whole = strspn(buf_str(digits), "0123456789");
    if (memchr(digits->p, 'e', digits->n)) return;
    if ((int)whole >= precision && (digits->p[0] != '0' || f == 0)) {
        buf_clear(digits);
        float_digits(digits, f, precision - 1, 'e', alternate);
        if (!alternate) strip_zeros(digits);
    } else if (whole == digits->n)
        buf_add_str(digits, ".0");
}

static void format_float(jj_rt *rt, buf *b, double f, layout *l)
{
    buf digits = {0}, grouped = {0};
    char type = l->type;
    int64_t precision = l->precision;
    size_t whole = 0;
    int percent = type == '%', negative = signbit(f) && !isnan(f);
    strv text;
    if (type && !strchr("eEfFgGn%", type)) {
        jj_fail(rt, "unknown format code '%c' for a float", type);
        return;
    }
    if (precision > MAX_PRECISION) {
        jj_limit(rt, "a precision of more than %d", MAX_PRECISION);
        return;
    }
    if (type == 'n') type = 'g';
    if (percent) f *= 100;
    if (!type && precision < 0) {
        jj_float_repr(&digits, fabs(f));
        if (l->alternate) add_point(&digits);
    } else {
        if (precision < 0) precision = 6;
        if (!type || type == 'g' || type == 'G') {
            if (precision == 0) precision = 1;
            float_digits(&digits, f, (int)precision, type ? type : 'g', l->alternate);
            if (!type && isfinite(f)) point_or_exponent(&digits, f, (int)precision, l->alternate);
        } else
            float_digits(&digits, f, (int)precision, percent ? 'f' : type, l->alternate);
    }
    if (percent) buf_add_char(&digits, '%');
    text = buf_view(&digits);
    if (l->group && isfinite(f)) {
        int64_t rest;
        while (whole < text.n && text.p[whole] >= '0' && text.p[whole] <= '9')
            whole++;
        rest = (int64_t)(text.n - whole) + (negative || l->sign == '+' || l->sign == ' ');
        group_digits(&grouped, (strv){text.p, whole}, l->group, 3,
                     l->align == '=' && strv_is(l->fill, "0") ? l->width - rest : 0);
        buf_add(&grouped, text.p + whole, text.n - whole);
        text = buf_view(&grouped);
    }
    if (l->no_minus_zero && negative && !strpbrk(buf_str(&digits), "123456789in")) negative = 0;
    put_number(rt, b, l, sign_text(negative, l->sign), "", text);
    buf_deinit(&digits);
    buf_deinit(&grouped);
}

static void format_int(jj_rt *rt, buf *b, jv v, layout *l)
{
    buf digits = {0}, grouped = {0};
    strv text;
    const char *prefix = "", *sign = sign_text(jj_is_minus(v), l->sign);
    unsigned base = 10;
    int64_t i = -1;
    if (l->type && strchr("eEfFgG%", l->type)) {
        double f;
        if (jj_double_of(rt, v, &f)) format_float(rt, b, f, l);
        return;
    }
    if (l->no_minus_zero) {
        jj_fail(rt, "negative zero coercion (z) not allowed in an integer format specifier");
        return;
    }
    if (l->precision >= 0) {
        jj_fail(rt, "precision not allowed in integer format specifier");
        return;
    }
    switch (l->type) {
    case 0:
    case 'd':
    case 'n':
        break;
    case 'b':
        base = 2;
        prefix = "0b";
        break;
    case 'o':
        base = 8;
        prefix = "0o";
        break;
    case 'x':
    case 'X':
        base = 16;
        prefix = l->type == 'x' ? "0x" : "0X";
        break;
    case 'c':
        if (!jj_as_int(v, &i) || i < 0 || i > 0x10FFFF || l->sign || l->alternate) {
            jj_fail(rt, "%%c arg not in range(0x110000)");
            return;
        }
        buf_add_utf8(&digits, (unsigned)i);
        put_number(rt, b, l, "", "", buf_view(&digits));
        buf_deinit(&digits);
        return;
    default:
        jj_fail(rt, "unknown format code '%c' for an int", l->type);
        return;
    }
    jj_big_write(rt, &digits, v, base, l->type == 'X');
    text = buf_view(&digits);
    if (!l->alternate) prefix = "";
    if (l->group) {
        int64_t before = (int64_t)(strlen(sign) + strlen(prefix));
        group_digits(&grouped, text, l->group, base == 10 ? 3 : 4,
                     l->align == '=' && strv_is(l->fill, "0") ? l->width - before : 0);
        text = buf_view(&grouped);
    }
    put_number(rt, b, l, sign, prefix, text);
    buf_deinit(&digits);
    buf_deinit(&grouped);
}

static void format_text(jj_rt *rt, buf *b, strv text, layout *l)
{
    if (l->type && l->type != 's')
        jj_fail(rt, "unknown format code '%c' for a text", l->type);
    else if (l->sign || l->alternate || l->group || l->no_minus_zero ||
             (l->align == '=' && l->zero != '='))
        jj_fail(rt, "this format specifier is not allowed for a text");
    else {
        if (l->align == '=') l->align = '<';
        put_text(rt, b, l, text);
    }
}

void jj_format_spec(jj_rt *rt, buf *b, jv v, strv spec)
{
    layout l;
    if (!jj_ok(rt)) return;
    if (!spec.n) {
        jj_write_str(rt, b, v);
        return;
    }
    if (!jj_is_str(v) && !jj_is_int(v) && v.type != JJ_FLOAT) {
        jj_fail(rt, "unsupported format string passed to %s", jj_type_name(v));
        return;
    }
    if (!parse_spec(rt, spec, &l)) return;
    if (jj_is_str(v))
        format_text(rt, b, jj_strv(v), &l);
    else if (v.type == JJ_FLOAT)
        format_float(rt, b, v.u.f, &l);
    else
        format_int(rt, b, v, &l);
}

/* ---- "%" ---- */

typedef struct percent {
    jj_rt *rt;
    const jj_list *values; /* a tuple's items */
    jv single;             /* what is no tuple */
    jv mapping;            /* a dict for %(name)s */
    size_t at;
    int mapped, used;
    int markup;
} percent;

static jv percent_value(percent *p)
{
    if (p->mapped) {
        p->mapped = 0;
        p->used = 1;
        return p->single;
    }
    if (p->values) {
        if (p->at < p->values->n) return p->values->v[p->at++];
    } else if (!p->used) {
        p->used = 1;
        return p->single;
    }
    return jj_fail(p->rt, "not enough arguments for format string");
}

static void ascii_repr(buf *b, strv text)
{
    for (size_t i = 0, n; i < text.n; i += n) {
        unsigned c = jj_decode(text.p + i, text.p + text.n, &n);
        if (c < 0x80)
            buf_add_char(b, (char)c);
        else
            buf_addf(b, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
    }
}

static void text_drop(jj_rt *rt, buf *b)
{
    if (rt->content) jj_content_drop(rt, b);
    buf_deinit(b);
}

static void percent_text(percent *p, buf *b, jv v, const layout *l)
{
    buf text = {0}, plain = {0};
    if (l->type == 's' && p->markup)
        jj_write_escaped(p->rt, &text, v);
    else if (l->type == 's')
        jj_write_str(p->rt, &text, v);
    else
        jj_write_repr(p->rt, &text, v);
    if (l->type == 'a') {
        ascii_repr(&plain, buf_view(&text));
        jj_trace(p->rt, &plain, 0, plain.n, buf_view(&text));
        put_text(p->rt, b, l, buf_view(&plain));
    } else
        put_text(p->rt, b, l, buf_view(&text));
    text_drop(p->rt, &text);
    text_drop(p->rt, &plain);
}

static void percent_char(percent *p, buf *b, jv v, layout *l)
{
    buf text = {0};
    int64_t i;
    if (jj_as_int(v, &i)) {
        if (i < 0 || i > 0x10FFFF) jj_fail(p->rt, "%%c arg not in range(0x110000)");
        buf_add_utf8(&text, (unsigned)i);
    } else if (jj_is_str(v) && jj_chars(v.u.s) == 1)
        jj_put(p->rt, &text, jj_strv(v));
    else
        jj_fail(p->rt, "%%c requires int or char");
    l->precision = -1;
    put_text(p->rt, b, l, buf_view(&text));
    text_drop(p->rt, &text);
}

static void percent_int(percent *p, buf *b, jv v, layout *l)
{
    buf digits = {0}, padded = {0};
    unsigned base = l->type == 'o' ? 8 : (l->type | 0x20) == 'x' ? 16 : 10;
    int ok = 1;
    const char *prefix = !l->alternate || base == 10 ? "" : base == 8 ? "0o" : "0x";
    if (v.type == JJ_FLOAT && base == 10) v = jj_to_int(p->rt, v, &ok);
    if (!ok || !jj_is_int(v)) {
        jj_fail(p->rt, "%%%c format: a number is required, not %s", l->type, jj_type_name(v));
        return;
    }
    jj_big_write(p->rt, &digits, v, base, l->type == 'X');
    fill_with(p->rt, &padded, STRV("0"), l->precision - (int64_t)digits.n);
    buf_add_strv(&padded, buf_view(&digits));
    put_number(p->rt, b, l, sign_text(jj_is_minus(v), l->sign),
               l->type == 'X' && *prefix ? "0X" : prefix, buf_view(&padded));
    buf_deinit(&digits);
    buf_deinit(&padded);
}

static void percent_float(percent *p, buf *b, jv v, layout *l)
{
    buf digits = {0};
    double f;
    int ok = 1;
    if (v.type == JJ_UNDEFINED) {
        jj_fail_undefined(p->rt, v);
        return;
    }
    if (!jj_is_int(v) && v.type != JJ_FLOAT) ok = 0;
    if (!ok || l->precision > MAX_PRECISION) {
        jj_fail(p->rt, "must be a real number with a sane precision, not %s", jj_type_name(v));
        return;
    }
    if (!jj_double_of(p->rt, v, &f)) return;
    if (l->precision < 0) l->precision = 6;
    if (!l->precision && (l->type | 0x20) == 'g') l->precision = 1;
    float_digits(&digits, f, (int)l->precision, l->type, l->alternate);
    put_number(p->rt, b, l, sign_text(signbit(f) && !isnan(f), l->sign), "", buf_view(&digits));
    buf_deinit(&digits);
}

/* %(name): the value becomes the next one to be formatted. */
static size_t percent_key(percent *p, strv s, size_t i)
{
    size_t begin = ++i, open = 1;
    jv key;
    for (; i < s.n && open; i++)
        open += s.p[i] == '(' ? 1 : s.p[i] == ')' ? (size_t)-1 : 0;
    if (open) {
        jj_fail(p->rt, "incomplete format key");
        return s.n;
    }
    if (p->mapping.type == JJ_MISSING) {
        jj_fail(p->rt, "format requires a mapping");
        return s.n;
    }
    key = jj_borrow(p->rt, (strv){s.p + begin, i - 1 - begin});
    if (jj_ok(p->rt)) {
        jj_entry *e = jj_dict_find(p->rt, p->mapping.u.d, key, NULL);
        if (!e)
            jj_fail(p->rt, "no key '%.*s'", (int)(i - 1 - begin), s.p + begin);
        else
            p->single = e->value;
        p->mapped = 1;
    }
    return i;
}

static int64_t percent_star(percent *p)
{
    jv v = percent_value(p);
    int64_t n = 0;
    if (jj_ok(p->rt) && v.type != JJ_INT && v.type != JJ_BOOL) jj_fail(p->rt, "* wants int");
    jj_as_int(v, &n);
    if (n > MAX_WIDTH || n < -MAX_WIDTH) jj_limit(p->rt, "a width of more than %d", MAX_WIDTH);
    return n;
}

/* A width or precision: here other digits than ASCII's are none. */
static int64_t percent_number(percent *p, strv *rest)
{
    size_t n = 0;
    strv digits;
    int64_t out;
    while (n < rest->n && rest->p[n] >= '0' && rest->p[n] <= '9')
        n++;
    digits = (strv){rest->p, n};
    out = spec_number(p->rt, &digits, MAX_WIDTH);
    *rest = (strv){rest->p + n, rest->n - n};
    return out;
}

/* One conversion, s.p[i] is behind the '%'. -> behind the conversion */
static size_t percent_one(percent *p, buf *b, strv s, size_t i)
{
    layout l = {.fill = STRV(" "), .precision = -1};
    strv rest;
    jv v;
    if (i < s.n && s.p[i] == '%') {
        buf_add_char(b, '%');
        return i + 1;
    }
    if (i < s.n && s.p[i] == '(') i = percent_key(p, s, i);
    for (; i < s.n && s.p[i] && strchr("-+ #0", s.p[i]); i++) {
        if (s.p[i] == '-')
            l.align = '<';
        else if (s.p[i] == '#')
            l.alternate = 1;
        else if (s.p[i] == '0')
            l.zero = 1;
        else if (s.p[i] == '+' || !l.sign)
            l.sign = s.p[i];
    }
    rest = (strv){s.p + i, s.n - i};
    if (next_is(&rest, "*")) {
        l.width = percent_star(p);
        if (l.width < 0) {
            l.align = '<';
            l.width = -l.width;
        }
    } else
        l.width = percent_number(p, &rest);
    if (next_is(&rest, ".")) {
        l.precision = next_is(&rest, "*") ? percent_star(p) : percent_number(p, &rest);
        if (l.precision < 0) l.precision = 0;
    }
    next_is(&rest, "hlL");
    if (!rest.n) {
        jj_fail(p->rt, "incomplete format");
        return s.n;
    }
    l.type = rest.p[0];
    i = s.n - rest.n + 1;
    if (!strchr("sraciduoxXeEfFgG", l.type) || !l.type) {
        jj_fail(p->rt, "unsupported format character '%c'", l.type > 0x20 ? l.type : '?');
        return s.n;
    }
    v = percent_value(p);
    if (!jj_ok(p->rt)) return s.n;
    if (strchr("srac", l.type)) {
        if (!l.align) l.align = '>';
        if (l.type == 'c')
            percent_char(p, b, v, &l);
        else
            percent_text(p, b, v, &l);
        return i;
    }
    if (l.zero && l.align != '<') {
        l.align = '=';
        l.fill = STRV("0");
    }
    if (strchr("eEfFgG", l.type))
        percent_float(p, b, v, &l);
    else
        percent_int(p, b, v, &l);
    return i;
}

jv jj_percent(jj_rt *rt, jv format, jv args)
{
    percent p = {.rt = rt, .single = args, .mapping = jj_missing(), .markup = format.u.s->markup};
    strv s = jj_strv(format);
    buf b = {0};
    if (!jj_work(rt, s.n)) return jj_none();
    if (args.type == JJ_TUPLE) p.values = args.u.l;
    if (args.type == JJ_DICT) p.mapping = args;
    for (size_t i = 0; i < s.n && jj_ok(rt) && jj_room(rt, b.n, 1);) {
        if (s.p[i] != '%') {
            jj_put(rt, &b, (strv){s.p + i, 1});
            i++;
        } else
            i = percent_one(&p, &b, s, i + 1);
    }
    /* Values may be left over only from what can be asked by key or index. */
    if (p.values
            ? p.at < p.values->n
            : !p.used && (jj_is_str(args) || (args.type != JJ_DICT && args.type != JJ_LIST &&
                                              args.type != JJ_RANGE && args.type != JJ_UNDEFINED)))
        jj_fail(rt, "not all arguments converted during string formatting");
    if (!jj_ok(rt)) {
        buf_deinit(&b);
        return jj_none();
    }
    return p.markup ? jj_marked(rt, jj_take(rt, &b)) : jj_take(rt, &b);
}

/* ---- str.format ---- */

typedef struct formatter {
    jj_rt *rt;
    const jj_args *args;
    int64_t automatic; /* next index; -1: indexes are written out */
    int numbered;
    int markup;
} formatter;

static void format_run(formatter *f, buf *b, strv s, int depth);

static jv field_first(formatter *f, strv name)
{
    int64_t i = whole_number(name);
    if (i == -2) return jj_fail(f->rt, "too many decimal digits in a format string");
    if (i >= 0) {
        if ((size_t)i < f->args->n) return f->args->v[i];
        return jj_fail(f->rt, "replacement index %" PRId64 " out of range", i);
    }
    if (!jj_step(f->rt, f->args->n_named / 8)) return jj_none();
    for (size_t k = 0; k < f->args->n_named; k++)
        if (strv_eq(f->args->names[k], name)) return f->args->named[k];
    return jj_fail(f->rt, "no argument '%.*s'", (int)(name.n < 80 ? name.n : 80), name.p);
}

/* "a.b[c]" -> its value. An empty name or a number counts as a position. */
static jv field_value(formatter *f, strv field)
{
    char text[24];
    size_t i = 0;
    int64_t number;
    strv first;
    jv v;
    while (i < field.n && field.p[i] != '.' && field.p[i] != '[')
        i++;
    first = (strv){field.p, i};
    if (!field.n) {
        if (f->numbered) return jj_fail(f->rt, "cannot switch from manual to automatic numbering");
        snprintf(text, sizeof text, "%" PRId64, f->automatic++);
        first = strv_of(text);
    } else if (whole_number(first) >= 0) {
        if (f->automatic > 0 && field.n == first.n)
            return jj_fail(f->rt, "cannot switch from automatic to manual numbering");
        if (field.n == first.n) f->numbered = 1;
    }
    v = field_first(f, first);
    while (i < field.n && jj_ok(f->rt)) {
        size_t begin = i + 1;
        if (field.p[i] == '.') {
            for (i = begin; i < field.n && field.p[i] != '.' && field.p[i] != '['; i++)
                ;
            if (i == begin) return jj_fail(f->rt, "empty attribute in format string");
            v = jj_getattr(f->rt, v, (strv){field.p + begin, i - begin});
            continue;
        }
        for (i = begin; i < field.n && field.p[i] != ']'; i++)
            ;
        if (i >= field.n || i == begin) return jj_fail(f->rt, "bad '[' in format string");
        first = (strv){field.p + begin, i - begin};
        i++;
        if (i < field.n && field.p[i] != '.' && field.p[i] != '[')
            return jj_fail(f->rt, "only '.' or '[' may follow ']' in format field specifier");
        number = whole_number(first);
        if (number == -2) return jj_fail(f->rt, "too many decimal digits in a format string");
        if (number >= 0)
            v = jj_getitem(f->rt, v, jj_int(number));
        else
            v = jj_getitem(f->rt, v, jj_borrow(f->rt, first));
    }
    return v;
}

static void format_field(formatter *f, buf *b, strv field, char conversion, strv spec, int depth)
{
    buf nested = {0}, text = {0}, shown = {0};
    jv v = field_value(f, field);
    if (spec.n) format_run(f, &nested, spec, depth + 1);
    if (conversion && jj_ok(f->rt)) {
        if (conversion == 's')
            jj_write_str(f->rt, &shown, v);
        else if (conversion == 'r' || conversion == 'a')
            jj_write_repr(f->rt, &shown, v);
        else
            jj_fail(f->rt, "unknown conversion specifier '%c'", conversion);
        v = jj_take(f->rt, &shown);
        if (conversion == 'a' && jj_ok(f->rt)) {
            ascii_repr(&text, jj_strv(v));
            jj_trace(f->rt, &text, 0, text.n, jj_strv(v));
            v = jj_take(f->rt, &text);
        }
    }
    if (f->markup && jj_ok(f->rt)) {
        if (!(jj_is_str(v) && v.u.s->markup)) {
            jj_format_spec(f->rt, &text, v, buf_view(&nested));
            v = jj_escape(f->rt, jj_take(f->rt, &text));
        } else if (nested.n)
            jj_fail(f->rt, "format specifier given for escaped text");
        if (jj_ok(f->rt)) jj_put(f->rt, b, jj_strv(v));
    } else
        jj_format_spec(f->rt, b, v, buf_view(&nested));
    text_drop(f->rt, &nested);
}

/* One field, s.p[i] is behind the '{'. -> behind its '}' */
static size_t format_one(formatter *f, buf *b, strv s, size_t i, int depth)
{
    size_t begin = i, open = 1, end, bracket = 0;
    strv field, spec = {0};
    char conversion = 0;
    for (end = i; end < s.n; end++) {
        char c = s.p[end];
        if (c == '[' && !bracket)
            bracket = 1;
        else if (c == ']')
            bracket = 0;
        else if (bracket)
            continue;
        else if (c == '{')
            return jj_fail(f->rt, "unexpected '{' in field name"), s.n;
        else if (c == '}' || c == ':' || c == '!')
            break;
    }
    if (end >= s.n) return jj_fail(f->rt, "expected '}' before end of string"), s.n;
    field = (strv){s.p + begin, end - begin};
    i = end;
    if (s.p[i] == '!') {
        if (i + 2 >= s.n) return jj_fail(f->rt, "end of string while looking for conversion"), s.n;
        conversion = s.p[i + 1];
        i += 2;
        if (s.p[i] != ':' && s.p[i] != '}')
            return jj_fail(f->rt, "expected ':' after conversion specifier"), s.n;
    }
    if (s.p[i] == ':') {
        begin = ++i;
        for (; i < s.n && open; i++)
            open += s.p[i] == '{' ? 1 : s.p[i] == '}' ? (size_t)-1 : 0;
        if (open) return jj_fail(f->rt, "expected '}' before end of string"), s.n;
        spec = (strv){s.p + begin, i - 1 - begin};
    } else
        i++;
    format_field(f, b, field, conversion, spec, depth);
    return i;
}

static void format_run(formatter *f, buf *b, strv s, int depth)
{
    if (depth > 1) {
        jj_fail(f->rt, "max string recursion exceeded");
        return;
    }
    for (size_t i = 0; i < s.n && jj_ok(f->rt) && jj_room(f->rt, b->n, 1);) {
        char c = s.p[i];
        if ((c == '{' || c == '}') && i + 1 < s.n && s.p[i + 1] == c) {
            buf_add_char(b, c);
            i += 2;
        } else if (c == '}') {
            jj_fail(f->rt, "single '}' encountered in format string");
        } else if (c == '{')
            i = i + 1 < s.n ? format_one(f, b, s, i + 1, depth)
                            : (jj_fail(f->rt, "single '{' encountered in format string"), s.n);
        else {
            jj_put(f->rt, b, (strv){s.p + i, 1});
            i++;
        }
    }
}

jv jj_format_method(jj_rt *rt, jv format, const jj_args *args)
{
    formatter f = {.rt = rt, .args = args, .markup = format.u.s->markup};
    buf b = {0};
    if (!jj_work(rt, format.u.s->n)) return jj_none();
    format_run(&f, &b, jj_strv(format), 0);
    return f.markup ? jj_marked(rt, jj_take(rt, &b)) : jj_take(rt, &b);
}
