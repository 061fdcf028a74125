/* json_write.c: writing JSON in the form of Python's json.dumps(ensure_ascii=False), compact.
 *
 * Owns: the form of numbers and strings. The shortest digits of a float come from yyjson; Python's
 * repr decides where the point goes: an exponent when the value is below 1e-4 or at least 1e16,
 * two digits of exponent at least, ".0" where there would be no point. The locale plays no part.
 * Source: CPython Objects/floatobject.c (float_repr: format 'r'), Python/pystrtod.c. */
#include "base/json.h"

#include <math.h>
#include <yyjson.h>

/* ---- numbers -------------------------------------------------------------------------------- */

void json_write_uint(buf *b, uint64_t v)
{
    char digits[20];
    size_t n = sizeof digits;
    do
        digits[--n] = (char)('0' + v % 10);
    while (v /= 10);
    buf_add(b, digits + n, sizeof digits - n);
}

void json_write_int(buf *b, int64_t v)
{
    if (v < 0) buf_add_char(b, '-');
    json_write_uint(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

/* 0.digits x 10^point, no zero at either end (except the value 0: one digit '0', point 1). */
typedef struct decimal {
    char digits[40];
    int n, point;
} decimal;

/* Reads what yyjson wrote for a finite number without its sign: "12.5", "1e-7", "0.001". */
static void take_apart(const char *text, size_t bytes, decimal *d)
{
    int exponent = 0, negative = 0, seen_point = 0;
    size_t i;
    *d = (decimal){.point = 0};
    for (i = 0; i < bytes && text[i] != 'e' && text[i] != 'E'; i++) {
        if (text[i] == '.') {
            seen_point = 1;
        } else if (text[i] != '0' || d->n) {
            d->digits[d->n++] = text[i];
            if (!seen_point) d->point++;
        } else if (seen_point) {
            d->point--;
        }
    }
    for (i++; i < bytes; i++) {
        if (text[i] == '-')
            negative = 1;
        else if (text[i] != '+')
            exponent = exponent * 10 + (text[i] - '0');
    }
    d->point += negative ? -exponent : exponent;
    while (d->n && d->digits[d->n - 1] == '0')
        d->n--;
    if (!d->n) {
        d->digits[d->n++] = '0';
        d->point = 1;
    }
}

static void add_zeros(buf *b, int n)
{
    while (n-- > 0)
        buf_add_char(b, '0');
}

static void write_decimal(buf *b, const decimal *d)
{
    if (d->point > 16 || d->point <= -4) {
        int exponent = d->point - 1;
        buf_add_char(b, d->digits[0]);
        if (d->n > 1) buf_add_char(b, '.');
        buf_add(b, d->digits + 1, (size_t)d->n - 1);
        buf_add_str(b, exponent < 0 ? "e-" : "e+");
        if (exponent < 0) exponent = -exponent;
        if (exponent < 10) buf_add_char(b, '0');
        json_write_uint(b, (uint64_t)exponent);
    } else if (d->point <= 0) {
        buf_add_str(b, "0.");
        add_zeros(b, -d->point);
        buf_add(b, d->digits, (size_t)d->n);
    } else if (d->n <= d->point) {
        buf_add(b, d->digits, (size_t)d->n);
        add_zeros(b, d->point - d->n);
        buf_add_str(b, ".0");
    } else {
        buf_add(b, d->digits, (size_t)d->point);
        buf_add_char(b, '.');
        buf_add(b, d->digits + d->point, (size_t)(d->n - d->point));
    }
}

/* yyjson writes one number with at most 64 bytes of it. */
typedef union number_memory {
    char bytes[512];
    max_align_t align;
} number_memory;

/* The shortest digits of a finite |v|, in memory. */
static const char *shortest(double v, yyjson_write_flag flags, number_memory *memory, size_t *bytes)
{
    yyjson_alc alc;
    yyjson_val number;
    yyjson_alc_pool_init(&alc, memory->bytes, sizeof memory->bytes);
    number.tag = YYJSON_TYPE_NUM | YYJSON_SUBTYPE_REAL;
    number.uni.f64 = fabs(v);
    return yyjson_val_write_opts(&number, flags, &alc, bytes, NULL);
}

static void write_float(buf *b, double v, yyjson_write_flag flags)
{
    number_memory memory;
    decimal d;
    size_t bytes = 0;
    if (isnan(v)) {
        buf_add_str(b, "NaN");
        return;
    }
    if (signbit(v)) buf_add_char(b, '-');
    if (isinf(v)) {
        buf_add_str(b, "Infinity");
        return;
    }
    const char *text = shortest(v, flags, &memory, &bytes);
    if (!text) {
        b->failed = 1;
        return;
    }
    take_apart(text, bytes, &d);
    write_decimal(b, &d);
}

void json_write_float(buf *b, double v) { write_float(b, v, YYJSON_WRITE_NOFLAG); }

void json_float_digits(double v, uint64_t *whole, int *exponent)
{
    number_memory memory;
    size_t bytes = 0, i = 0;
    int e = 0, point = 0;
    uint64_t x = 0;
    *exponent = 0;
    const char *text = shortest(v, YYJSON_WRITE_NOFLAG, &memory, &bytes);
    for (; i < bytes && text[i] != 'e'; i++) {
        if (text[i] == '.') {
            point = 1;
            continue;
        }
        x = x * 10 + (uint64_t)(text[i] - '0');
        *exponent -= point;
    }
    int negative = i + 1 < bytes && text[i + 1] == '-';
    for (i += 1 + (size_t)negative; i < bytes; i++)
        e = e * 10 + (text[i] - '0');
    *exponent += negative ? -e : e;
    *whole = x;
}

void json_write_float32(buf *b, float v) { write_float(b, (double)v, YYJSON_WRITE_FP_TO_FLOAT); }

/* ---- strings -------------------------------------------------------------------------------- */

/* Bytes of the well-formed character at p, or minus the bytes of its longest well-formed beginning
 * (at least 1): each such piece becomes one U+FFFD, as in Python and in Unicode's chapter 3. */
static int character(const unsigned char *p, size_t n)
{
    unsigned char low = 0x80, high = 0xBF;
    int bytes = p[0] < 0x80 ? 1 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    if (bytes == 1) return 1;
    if (p[0] < 0xC2 || p[0] > 0xF4) return -1;
    if (p[0] == 0xE0) low = 0xA0;
    if (p[0] == 0xED) high = 0x9F;
    if (p[0] == 0xF0) low = 0x90;
    if (p[0] == 0xF4) high = 0x8F;
    for (int i = 1; i < bytes; i++) {
        if ((size_t)i >= n || p[i] < low || p[i] > high) return -i;
        low = 0x80;
        high = 0xBF;
    }
    return bytes;
}

static void write_control(buf *b, unsigned char c)
{
    static const char HEX[] = "0123456789abcdef";
    char escape[6] = {'\\', 'u', '0', '0', HEX[c >> 4], HEX[c & 15]};
    switch (c) {
    case '\b':
        buf_add_str(b, "\\b");
        break;
    case '\f':
        buf_add_str(b, "\\f");
        break;
    case '\n':
        buf_add_str(b, "\\n");
        break;
    case '\r':
        buf_add_str(b, "\\r");
        break;
    case '\t':
        buf_add_str(b, "\\t");
        break;
    default:
        buf_add(b, escape, sizeof escape);
    }
}

void json_write_str(buf *b, strv text)
{
    const unsigned char *p = (const unsigned char *)text.p;
    size_t from = 0, i = 0; /* [from, i) is written as it is */
    buf_add_char(b, '"');
    while (i < text.n) {
        int n = p[i] < 0x80 ? 1 : character(p + i, text.n - i);
        if (n > 0 && p[i] >= 0x20 && p[i] != '"' && p[i] != '\\') {
            i += (size_t)n;
            continue;
        }
        buf_add(b, p + from, i - from);
        if (n < 0) {
            buf_add_utf8(b, 0xFFFD);
        } else if (p[i] < 0x20) {
            write_control(b, p[i]);
        } else {
            buf_add_char(b, '\\');
            buf_add_char(b, (char)p[i]);
        }
        i += (size_t)(n < 0 ? -n : n);
        from = i;
    }
    if (text.n) buf_add(b, p + from, i - from);
    buf_add_char(b, '"');
}

/* ---- whole values --------------------------------------------------------------------------- */

static void write_scalar(buf *b, const json *v)
{
    switch (json_typeof(v)) {
    case JSON_NULL:
        buf_add_str(b, "null");
        break;
    case JSON_BOOL:
        buf_add_str(b, json_bool(v) ? "true" : "false");
        break;
    case JSON_INT:
        json_write_int(b, json_int(v));
        break;
    case JSON_BIG:
        buf_add_strv(b, json_big(v));
        break;
    case JSON_FLOAT:
        json_write_float(b, json_float(v));
        break;
    default:
        json_write_str(b, json_str(v));
    }
}

/* Recursion is bounded: json_parse refuses more than JSON_MAX_DEPTH levels. */
void json_write_value(buf *b, const json *v)
{
    int is_object = json_is(v, JSON_OBJECT);
    const json *key, *value;
    json_iter it;
    size_t i = 0;
    if (!is_object && !json_is(v, JSON_ARRAY)) {
        write_scalar(b, v);
        return;
    }
    buf_add_char(b, is_object ? '{' : '[');
    for (it = json_iterate(v); json_next(&it, &key, &value); i++) {
        if (i) buf_add_char(b, ',');
        if (is_object) {
            json_write_str(b, json_str(key));
            buf_add_char(b, ':');
        }
        json_write_value(b, value);
    }
    buf_add_char(b, is_object ? '}' : ']');
}
