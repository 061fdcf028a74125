/* methods_number.c: the methods of int and float.
 *
 * Source: CPython 3.11 longobject.c, floatobject.c. */
#include "text/template/big.h"
#include "text/template/methods.h"

#include <math.h>

static jv power_of_two(jj_rt *rt, int64_t n) { return jj_binary(rt, JJ_POW, jj_int(2), jj_int(n)); }

jv jj_float_is_integer(jj_rt *rt, jv self, const jj_args *args)
{
    if (!jj_bind(rt, "is_integer", "/", 0, args, NULL)) return jj_none();
    return jj_bool(isfinite(self.u.f) && self.u.f == floor(self.u.f));
}

jv jj_float_ratio(jj_rt *rt, jv self, const jj_args *args)
{
    int exponent;
    double f = self.u.f, part;
    jv whole;
    if (!jj_bind(rt, "as_integer_ratio", "/", 0, args, NULL)) return jj_none();
    if (!isfinite(f))
        return jj_fail(rt, "cannot convert %s to an integer ratio", isnan(f) ? "NaN" : "infinity");
    part = frexp(f, &exponent);
    for (int i = 0; i < 300 && part != floor(part); i++, exponent--)
        part *= 2;
    whole = jj_int((int64_t)part);
    if (exponent >= 0)
        return jj_pair(rt, jj_binary(rt, JJ_MUL, whole, power_of_two(rt, exponent)), jj_int(1));
    return jj_pair(rt, whole, power_of_two(rt, -exponent));
}

jv jj_float_hex(jj_rt *rt, jv self, const jj_args *args)
{
    static const char DIGITS[] = "0123456789abcdef";
    double f = fabs(self.u.f);
    int exponent;
    uint64_t mantissa;
    buf b = {0};
    if (!jj_bind(rt, "hex", "/", 0, args, NULL)) return jj_none();
    if (signbit(self.u.f) && !isnan(f)) buf_add_char(&b, '-');
    if (!isfinite(f))
        buf_add_str(&b, isnan(f) ? "nan" : "inf");
    else if (f == 0)
        buf_add_str(&b, "0x0.0p+0");
    else {
        frexp(f, &exponent);
        exponent = exponent - 1 < -1022 ? -1022 : exponent - 1;
        mantissa = (uint64_t)ldexp(f, 52 - exponent);
        buf_addf(&b, "0x%d.", (int)(mantissa >> 52));
        for (int shift = 48; shift >= 0; shift -= 4)
            buf_add_char(&b, DIGITS[mantissa >> shift & 15]);
        buf_addf(&b, "p%+d", exponent);
    }
    return jj_take(rt, &b);
}

jv jj_number_conjugate(jj_rt *rt, jv self, const jj_args *args)
{
    if (!jj_bind(rt, "conjugate", "/", 0, args, NULL)) return jj_none();
    return jj_plus(rt, self);
}

jv jj_int_ratio(jj_rt *rt, jv self, const jj_args *args)
{
    if (!jj_bind(rt, "as_integer_ratio", "/", 0, args, NULL)) return jj_none();
    return jj_pair(rt, jj_plus(rt, self), jj_int(1));
}

jv jj_int_bit_length(jj_rt *rt, jv self, const jj_args *args)
{
    if (!jj_bind(rt, "bit_length", "/", 0, args, NULL)) return jj_none();
    return jj_int((int64_t)jj_big_bits(self));
}

jv jj_int_bit_count(jj_rt *rt, jv self, const jj_args *args)
{
    if (!jj_bind(rt, "bit_count", "/", 0, args, NULL)) return jj_none();
    return jj_int((int64_t)jj_big_ones(self));
}

/* "big" -> 1, "little" -> 0; else a failure */
static int big_endian(jj_rt *rt, jv order)
{
    strv s = STRV("big");
    if (!jj_arg_str(rt, "byteorder", order, &s)) return 0;
    if (!strv_is(s, "big") && !strv_is(s, "little"))
        jj_fail(rt, "byteorder must be either 'little' or 'big'");
    return strv_is(s, "big");
}

static void turn(char *p, size_t n)
{
    for (size_t i = 0; i + 1 < n; i++) {
        char swap = p[i];
        p[i] = p[--n];
        p[n] = swap;
    }
}

jv jj_int_to_bytes(jj_rt *rt, jv self, const jj_args *args)
{
    jv v[3], out;
    int64_t length = 1;
    int big, minus = jj_is_minus(self);
    uint64_t bits;
    buf digits = {0};
    char *p;
    if (!jj_bind(rt, "to_bytes", "length,byteorder,signed", 0, args, v) ||
        !jj_arg_int(rt, "length", v[0], &length))
        return jj_none();
    big = big_endian(rt, v[1]);
    if (length < 0) return jj_fail(rt, "length argument must be non-negative");
    if (minus && !jj_truth(v[2])) return jj_fail(rt, "can't convert negative int to unsigned");
    if (!jj_room(rt, (size_t)length, 4)) return jj_none();
    if (minus) self = jj_binary(rt, JJ_ADD, self, power_of_two(rt, length * 8));
    if (!jj_ok(rt)) return jj_none();
    bits = jj_big_bits(self);
    if (jj_is_minus(self) || bits > (uint64_t)length * 8 ||
        (jj_truth(v[2]) && minus != (bits == (uint64_t)length * 8 && bits > 0)))
        return jj_fail(rt, "int too big to convert");
    jj_big_write(rt, &digits, self, 16, 0);
    p = jj_alloc(rt, (size_t)length + 1);
    for (size_t i = 0; p && jj_ok(rt) && i < digits.n && i / 2 < (size_t)length; i++) {
        char c = digits.p[digits.n - 1 - i];
        int digit = c <= '9' ? c - '0' : c - 'a' + 10;
        p[i / 2] = (char)((unsigned char)p[i / 2] | digit << (i % 2 * 4));
    }
    buf_deinit(&digits);
    if (!jj_ok(rt)) return jj_none();
    if (big) turn(p, (size_t)length);
    out = jj_borrow(rt, (strv){p, (size_t)length});
    return jj_bytes(rt, out);
}

jv jj_int_from_bytes(jj_rt *rt, jv self, const jj_args *args)
{
    jv v[3], out, each;
    jj_iter *it;
    buf bytes = {0}, digits = {0};
    int64_t byte = 0;
    int big;
    if (!jj_bind(rt, "from_bytes", "bytes,byteorder,signed", 1, args, v)) return jj_none();
    big = big_endian(rt, v[1]);
    if (jj_is_str(v[0])) return jj_fail(rt, "cannot convert 'str' object to bytes");
    it = jj_iterate(rt, v[0]);
    while (jj_next(rt, it, &each)) {
        if (!jj_arg_int(rt, "a byte", each, &byte)) break;
        if (byte < 0 || byte > 255) jj_fail(rt, "bytes must be in range(0, 256)");
        buf_add_char(&bytes, (char)byte);
    }
    if (!big) turn(bytes.p, bytes.n);
    for (size_t i = 0; i < bytes.n; i++)
        buf_addf(&digits, "%02x", (unsigned char)bytes.p[i]);
    out = jj_ok(rt) ? jj_big_from_digits(rt, buf_view(&digits), 16, 0) : jj_none();
    if (jj_ok(rt) && jj_truth(v[2]) && bytes.n && (bytes.p[0] & 0x80))
        out = jj_binary(rt, JJ_SUB, out, power_of_two(rt, (int64_t)bytes.n * 8));
    buf_deinit(&bytes);
    buf_deinit(&digits);
    return self.type == JJ_BOOL && jj_ok(rt) ? jj_bool(jj_truth(out)) : out;
}
