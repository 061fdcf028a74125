/* number.c: Python's arithmetic and the other meanings of its operators; numbers from text.
 *
 * Integers of 64 bits are computed with here; where a result is larger, big.c does it.
 * Traps: // and % round towards minus infinity and a remainder has the divisor's sign. / gives a
 *        float. % on a text formats. 0 ** -1 and x / 0 are errors, also for floats.
 * Source: CPython 3.11 longobject.c, floatobject.c. */
#include "text/template/big.h"
#include "text/template/content.h"
#include "text/template/text.h"

#include <math.h>

static int64_t floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return a % b != 0 && (a % b < 0) != (b < 0) ? q - 1 : q;
}

static jv float_power(jj_rt *rt, double a, double b)
{
    double out;
    if (a == 0 && b < 0) return jj_fail(rt, "0.0 cannot be raised to a negative power");
    if (a < 0 && isfinite(a) && isfinite(b) && b != floor(b))
        return jj_fail(rt, "a negative number to a fractional power is a complex number");
    out = pow(a, b);
    if (isinf(out) && isfinite(a) && isfinite(b)) return jj_fail(rt, "the result is too large");
    return jj_float(out);
}

/* Whether a double holds it exactly. */
static int exact(int64_t i) { return i >= -(1LL << 53) && i <= 1LL << 53; }

static jv int_binary(jj_rt *rt, jj_op op, jv left, jv right)
{
    int64_t a = 0, b = 0, out = 0;
    double x, y;
    int big = !jj_as_int(left, &a) || !jj_as_int(right, &b);
    if (op == JJ_POW && jj_is_minus(right)) {
        if (!jj_double_of(rt, left, &x) || !jj_double_of(rt, right, &y)) return jj_none();
        return float_power(rt, x, y);
    }
    if (big) return jj_big_binary(rt, op, left, right);
    switch (op) {
    case JJ_ADD:
        big = __builtin_add_overflow(a, b, &out);
        break;
    case JJ_SUB:
        big = __builtin_sub_overflow(a, b, &out);
        break;
    case JJ_MUL:
        big = __builtin_mul_overflow(a, b, &out);
        break;
    case JJ_POW:
        big = 1;
        break;
    case JJ_DIV:
        if (b && exact(a) && exact(b)) return jj_float((double)a / (double)b);
        big = 1;
        break;
    default:
        if (b == 0) return jj_fail(rt, "division by zero");
        big = b == -1;
        if (big) break;
        out = op == JJ_MOD ? a % b : floor_div(a, b);
        if (op == JJ_MOD && out && (out < 0) != (b < 0)) out += b; /* Python's has b's sign */
    }
    return big ? jj_big_binary(rt, op, left, right) : jj_int(out);
}

static jv float_binary(jj_rt *rt, jj_op op, double a, double b)
{
    double mod, div;
    switch (op) {
    case JJ_ADD:
        return jj_float(a + b);
    case JJ_SUB:
        return jj_float(a - b);
    case JJ_MUL:
        return jj_float(a * b);
    case JJ_POW:
        return float_power(rt, a, b);
    default:
        break;
    }
    if (b == 0) return jj_fail(rt, "float division by zero");
    if (op == JJ_DIV) return jj_float(a / b);
    mod = fmod(a, b);
    div = (a - mod) / b;
    if (mod != 0) {
        if ((b < 0) != (mod < 0)) {
            mod += b;
            div -= 1;
        }
    } else
        mod = copysign(0.0, b);
    if (op == JJ_MOD) return jj_float(mod);
    if (div == 0) return jj_float(copysign(0.0, a / b));
    return jj_float(div - floor(div) > 0.5 ? floor(div) + 1 : floor(div));
}

static jv some_bytes(jj_rt *rt, jv v)
{
    if (jj_ok(rt)) v.type = JJ_BYTES;
    return v;
}

static jv repeat(jj_rt *rt, jv v, int64_t times)
{
    buf b = {0};
    int text = v.type == JJ_STR || v.type == JJ_BYTES;
    size_t n = text ? v.u.s->n : v.u.l->n;
    jj_list *l;
    if (times < 0) times = 0;
    if (n && !jj_room(rt, (size_t)times, n * (text ? 1 : sizeof(jv)))) return jj_none();
    if (text) {
        for (int64_t i = 0; i < times && n; i++)
            jj_put(rt, &b, jj_strv(v));
        if (v.type == JJ_BYTES) return some_bytes(rt, jj_take(rt, &b));
        return v.u.s->markup ? jj_marked(rt, jj_take(rt, &b)) : jj_take(rt, &b);
    }
    l = jj_list_new(rt, n * (size_t)times);
    for (int64_t i = 0; i < times && n; i++)
        for (size_t k = 0; k < n && jj_step(rt, 1); k++)
            jj_push(rt, l, v.u.l->v[k]);
    return v.type == JJ_LIST ? jj_list_value(rt, l) : jj_tuple_value(rt, l);
}

static jv join_text(jj_rt *rt, jv a, jv b)
{
    buf out = {0};
    int markup = a.u.s->markup || b.u.s->markup;
    if (markup) {
        jj_write_escaped(rt, &out, a);
        jj_write_escaped(rt, &out, b);
        return jj_marked(rt, jj_take(rt, &out));
    }
    jj_put(rt, &out, jj_strv(a));
    jj_put(rt, &out, jj_strv(b));
    return jj_take(rt, &out);
}

static jv join_lists(jj_rt *rt, jv a, jv b)
{
    jj_list *l;
    if (!jj_room(rt, a.u.l->n + b.u.l->n, sizeof(jv))) return jj_none();
    l = jj_list_new(rt, a.u.l->n + b.u.l->n);
    for (size_t i = 0; i < a.u.l->n && jj_step(rt, 1); i++)
        jj_push(rt, l, a.u.l->v[i]);
    for (size_t i = 0; i < b.u.l->n && jj_step(rt, 1); i++)
        jj_push(rt, l, b.u.l->v[i]);
    return a.type == JJ_LIST ? jj_list_value(rt, l) : jj_tuple_value(rt, l);
}

static int repeats(jv v)
{
    return v.type == JJ_STR || v.type == JJ_BYTES || v.type == JJ_LIST || v.type == JJ_TUPLE;
}

jv jj_binary(jj_rt *rt, jj_op op, jv a, jv b)
{
    static const char *const SIGNS[] = {"+", "-", "*", "/", "//", "%", "**"};
    int64_t x, y;
    double f, g;
    if (!jj_ok(rt)) return jj_none();
    if (jj_is_int(a) && jj_is_int(b)) return int_binary(rt, op, a, b);
    if ((a.type == JJ_FLOAT && (b.type == JJ_FLOAT || jj_is_int(b))) ||
        (b.type == JJ_FLOAT && jj_is_int(a))) {
        if (!jj_double_of(rt, a, &f) || !jj_double_of(rt, b, &g)) return jj_none();
        return float_binary(rt, op, f, g);
    }
    if (op == JJ_MOD && jj_is_str(a)) return jj_percent(rt, a, b);
    if (op == JJ_MOD && a.type == JJ_BYTES)
        return jj_fail(rt, "formatting of 'bytes' is not supported in templates");
    if (a.type == JJ_UNDEFINED || b.type == JJ_UNDEFINED)
        return jj_fail_undefined(rt, a.type == JJ_UNDEFINED ? a : b);
    if (op == JJ_ADD && jj_is_str(a) && jj_is_str(b)) return join_text(rt, a, b);
    if (op == JJ_ADD && a.type == JJ_BYTES && b.type == JJ_BYTES)
        return some_bytes(rt, join_text(rt, a, b));
    if (op == JJ_ADD && a.type == b.type && (a.type == JJ_LIST || a.type == JJ_TUPLE))
        return join_lists(rt, a, b);
    if (op == JJ_MUL && repeats(a) && jj_as_int(b, &y)) return repeat(rt, a, y);
    if (op == JJ_MUL && repeats(b) && jj_as_int(a, &x)) return repeat(rt, b, x);
    return jj_fail(rt, "unsupported operand types for %s: '%s' and '%s'", SIGNS[op],
                   jj_type_name(a), jj_type_name(b));
}

jv jj_negate(jj_rt *rt, jv v)
{
    int64_t i;
    if (!jj_ok(rt)) return v;
    if (v.type == JJ_FLOAT) return jj_float(-v.u.f);
    if (jj_as_int(v, &i) && i != INT64_MIN) return jj_int(-i);
    if (jj_is_int(v)) return jj_big_negate(rt, v);
    if (v.type == JJ_UNDEFINED) return jj_fail_undefined(rt, v);
    return jj_fail(rt, "bad operand type for unary -: '%s'", jj_type_name(v));
}

jv jj_plus(jj_rt *rt, jv v)
{
    int64_t i;
    if (!jj_ok(rt) || v.type == JJ_FLOAT || v.type == JJ_BIG) return v;
    if (jj_as_int(v, &i)) return jj_int(i);
    if (v.type == JJ_UNDEFINED) return jj_fail_undefined(rt, v);
    return jj_fail(rt, "bad operand type for unary +: '%s'", jj_type_name(v));
}

/* ---- numbers from text ---- */

/* The text in ASCII: decimal digits of other scripts become 0..9; single underscores between
 * digits go. 0: it cannot be a number. */
static int plain_digits(strv text, buf *out)
{
    int after_digit = 0;
    text = jj_strip(text, NULL, 1, 1);
    for (size_t i = 0, n; i < text.n; i += n) {
        unsigned c = jj_decode(text.p + i, text.p + text.n, &n);
        int digit = jj_decimal_value(c);
        if (c == '_') {
            if (!after_digit || i + 1 >= text.n || !jj_isalnum((unsigned char)text.p[i + 1]))
                return 0;
            after_digit = 0;
            continue;
        }
        if (digit >= 0) c = '0' + (unsigned)digit;
        if (c >= 0x80) return 0;
        buf_add_char(out, (char)c);
        after_digit = digit >= 0 || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
    }
    return out->n > 0;
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'z' ? c - 'a' + 10 : 99;
}

jv jj_int_from_text(jj_rt *rt, strv text, int base, int *ok)
{
    buf b = {0};
    size_t i = 0;
    int minus = 0, prefix;
    jv out = jj_int(0);
    *ok = 0;
    if ((base != 0 && (base < 2 || base > 36)) || !plain_digits(text, &b)) goto out;
    if (b.p[0] == '-' || b.p[0] == '+') minus = b.p[i++] == '-';
    prefix = i + 1 < b.n && b.p[i] == '0' ? b.p[i + 1] | 0x20 : 0;
    prefix = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 0;
    if (prefix && (base == 0 || base == prefix)) {
        base = prefix;
        i += 2;
    } else if (base == 0) {
        base = 10;
        if (b.p[i] == '0')
            for (size_t k = i; k < b.n; k++)
                if (b.p[k] != '0') goto out;
    }
    if (i >= b.n) goto out;
    for (size_t k = i; k < b.n; k++)
        if (digit_value(b.p[k]) >= base) goto out;
    if (b.n - i > JJ_BIG_DIGITS && (base & (base - 1))) goto out; /* a ValueError there */
    *ok = 1;
    out = jj_big_from_digits(rt, (strv){b.p + i, b.n - i}, (unsigned)base, minus);
out:
    buf_deinit(&b);
    return out;
}

static int word_float(strv s, double *out)
{
    static const struct {
        const char *word;
        double value;
    } WORDS[] = {{"inf", INFINITY}, {"infinity", INFINITY}, {"nan", NAN}};
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        size_t n = strlen(WORDS[i].word), k = 0;
        while (k < n && k < s.n && (s.p[k] | 0x20) == WORDS[i].word[k])
            k++;
        if (k != n || s.n != n) continue;
        *out = WORDS[i].value;
        return 1;
    }
    return 0;
}

/* [digits][.digits][e[+-]digits] -> the form that JSON has, or 0. */
static int json_number(strv s, buf *out)
{
    size_t i = 0, whole, part = 0, e;
    while (i + 1 < s.n && s.p[i] == '0' && s.p[i + 1] >= '0' && s.p[i + 1] <= '9')
        i++;
    whole = i;
    while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9')
        i++;
    if (i == whole) buf_add_char(out, '0');
    buf_add(out, s.p + whole, i - whole);
    whole = i - whole;
    if (i < s.n && s.p[i] == '.') {
        size_t from = ++i;
        while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9')
            i++;
        part = i - from;
        if (part) {
            buf_add_char(out, '.');
            buf_add(out, s.p + from, part);
        }
    }
    if (!whole && !part) return 0;
    if (i < s.n && (s.p[i] | 0x20) == 'e') {
        e = i++;
        if (i < s.n && (s.p[i] == '+' || s.p[i] == '-')) i++;
        if (i >= s.n) return 0;
        while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9')
            i++;
        if (s.p[i - 1] < '0' || s.p[i - 1] > '9') return 0;
        buf_add(out, s.p + e, i - e);
    } else if (!part)
        buf_add_str(out, ".0");
    return i == s.n;
}

static double text_to_float(strv text, int *ok)
{
    buf plain = {0}, number = {0};
    json_doc *doc = NULL;
    double f = 0;
    int minus = 0;
    strv s;
    *ok = 0;
    if (!plain_digits(text, &plain)) goto out;
    s = buf_view(&plain);
    if (s.p[0] == '-' || s.p[0] == '+') {
        minus = s.p[0] == '-';
        s.p++;
        s.n--;
    }
    if (word_float(s, &f))
        *ok = 1;
    else if (json_number(s, &number)) {
        *ok = 1;
        if (json_parse("number", buf_str(&number), number.n, &doc, NULL) == MLXE_OK)
            f = json_float(json_root(doc));
        else
            f = INFINITY;
    }
out:
    json_close(doc);
    buf_deinit(&plain);
    buf_deinit(&number);
    return minus ? -f : f;
}

jv jj_to_float(jj_rt *rt, jv v, int *ok)
{
    *ok = 1;
    if (!jj_ok(rt)) return jj_none();
    if (v.type == JJ_BIG) {
        double f;
        return jj_double_of(rt, v, &f) ? jj_float(f) : jj_none();
    }
    if (jj_is_number(v)) return jj_float(jj_as_double(v));
    if (v.type == JJ_UNDEFINED) return jj_fail_undefined(rt, v);
    if ((v.type == JJ_STR || v.type == JJ_BYTES) && jj_work(rt, v.u.s->n))
        return jj_float(text_to_float(jj_strv(v), ok));
    *ok = 0;
    return jj_none();
}

jv jj_to_int(jj_rt *rt, jv v, int *ok)
{
    int64_t i;
    *ok = 1;
    if (!jj_ok(rt)) return jj_none();
    if (jj_as_int(v, &i)) return jj_int(i);
    if (v.type == JJ_BIG) return v;
    if (v.type == JJ_UNDEFINED) return jj_fail_undefined(rt, v);
    if ((v.type == JJ_STR || v.type == JJ_BYTES) && jj_work(rt, v.u.s->n))
        return jj_int_from_text(rt, jj_strv(v), 10, ok);
    if (v.type == JJ_FLOAT && isfinite(v.u.f)) {
        if (fabs(v.u.f) >= 9223372036854775808.0) return jj_big_from_double(rt, v.u.f);
        return jj_int((int64_t)v.u.f);
    }
    *ok = 0;
    return jj_none();
}
