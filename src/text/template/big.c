/* big.c: integers beyond 64 bits: arithmetic, order, digits, conversion to and from doubles.
 *
 * An int of a template is a JJ_INT where it fits 64 bits, else a JJ_BIG: a sign and limbs of 32
 * bits, the lowest first. Results are made canonical, so that equal ints have the same form.
 *
 * Bounds    work counts steps (limbs x limbs / 16 for a product), a result has at most MAX_LIMBS.
 * Traps     // and % round towards minus infinity. int / int is rounded once, from the exact
 *           quotient. Python refuses to print or read more than 4300 decimal digits.
 * Source    Knuth, TAOCP 4.3.1 (algorithm D for division); CPython 3.11 longobject.c for the
 *           rules. */
#include "text/template/big.h"

#include <math.h>

enum { MAX_LIMBS = 1 << 15 };

typedef struct big {
    int minus;
    size_t n;
    const uint32_t *d;
} big;

/* The limbs of any int; small holds those of a JJ_INT. */
static big view(jv v, uint32_t small[2])
{
    int64_t i = 0;
    uint64_t u;
    if (v.type == JJ_BIG) return (big){v.u.big->minus, v.u.big->n, v.u.big->d};
    jj_as_int(v, &i);
    u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    small[0] = (uint32_t)u;
    small[1] = (uint32_t)(u >> 32);
    return (big){i < 0, small[1] ? 2u : small[0] ? 1u : 0u, small};
}

static uint32_t *limbs_new(jj_rt *rt, size_t n)
{
    if (n > MAX_LIMBS) {
        jj_limit(rt, "an integer of more than %d bits", MAX_LIMBS * 32);
        return NULL;
    }
    return jj_array(rt, n ? n : 1, sizeof(uint32_t));
}

/* limbs become the value: they are in the rendering's memory. */
static jv make(jj_rt *rt, int minus, uint32_t *limbs, size_t n)
{
    struct jj_big *out;
    uint64_t u;
    if (!limbs || !jj_ok(rt)) return jj_none();
    while (n && !limbs[n - 1])
        n--;
    if (n <= 2) {
        u = (n > 0 ? limbs[0] : 0) | (uint64_t)(n > 1 ? limbs[1] : 0) << 32;
        if (u <= (uint64_t)INT64_MAX + (uint64_t)(minus != 0))
            return jj_int(minus ? (int64_t)(0 - u) : (int64_t)u);
    }
    out = jj_alloc(rt, sizeof *out);
    if (!out) return jj_none();
    *out = (struct jj_big){minus, n, limbs};
    return (jv){JJ_BIG, {.big = out}};
}

/* ---- magnitudes ---- */

static int compare_limbs(big a, big b)
{
    if (a.n != b.n) return a.n < b.n ? -1 : 1;
    for (size_t i = a.n; i-- > 0;)
        if (a.d[i] != b.d[i]) return a.d[i] < b.d[i] ? -1 : 1;
    return 0;
}

static jv add_limbs(jj_rt *rt, int minus, big a, big b)
{
    size_t n = (a.n > b.n ? a.n : b.n) + 1;
    uint32_t *out = limbs_new(rt, n);
    uint64_t carry = 0;
    for (size_t i = 0; out && i < n; i++) {
        carry += (uint64_t)(i < a.n ? a.d[i] : 0) + (i < b.n ? b.d[i] : 0);
        out[i] = (uint32_t)carry;
        carry >>= 32;
    }
    return make(rt, minus, out, n);
}

/* a - b, a the larger */
static jv subtract_limbs(jj_rt *rt, int minus, big a, big b)
{
    uint32_t *out = limbs_new(rt, a.n);
    uint64_t borrow = 0;
    for (size_t i = 0; out && i < a.n; i++) {
        uint64_t d = (uint64_t)a.d[i] - (i < b.n ? b.d[i] : 0) - borrow;
        out[i] = (uint32_t)d;
        borrow = d >> 63;
    }
    return make(rt, minus, out, a.n);
}

static jv add(jj_rt *rt, big a, big b)
{
    if (a.minus == b.minus) return add_limbs(rt, a.minus, a, b);
    return compare_limbs(a, b) >= 0 ? subtract_limbs(rt, a.minus, a, b)
                                    : subtract_limbs(rt, b.minus, b, a);
}

static jv multiply(jj_rt *rt, big a, big b)
{
    uint32_t *out;
    if (!jj_step(rt, a.n * b.n / 16 + 1)) return jj_none();
    out = limbs_new(rt, a.n + b.n);
    for (size_t i = 0; out && i < a.n; i++) {
        uint64_t carry = 0;
        for (size_t k = 0; k < b.n; k++) {
            carry += (uint64_t)a.d[i] * b.d[k] + out[i + k];
            out[i + k] = (uint32_t)carry;
            carry >>= 32;
        }
        out[i + b.n] = (uint32_t)carry;
    }
    return make(rt, a.minus != b.minus, out, a.n + b.n);
}

/* Divides limbs by one small number in place; -> the rest. */
static uint32_t divide_small(uint32_t *d, size_t n, uint32_t by)
{
    uint64_t rest = 0;
    while (n-- > 0) {
        rest = rest << 32 | d[n];
        d[n] = (uint32_t)(rest / by);
        rest %= by;
    }
    return (uint32_t)rest;
}

/* out = a << bits (0..31), one limb longer than a. */
static void shift_into(uint32_t *out, big a, unsigned bits)
{
    uint32_t carry = 0;
    for (size_t i = 0; i < a.n; i++) {
        out[i] = a.d[i] << bits | carry;
        carry = bits ? a.d[i] >> (32 - bits) : 0;
    }
    out[a.n] = carry;
}

/* One digit of the quotient: u (n + 1 limbs) -= q * v, q as large as fits. */
static uint32_t quotient_digit(uint32_t *u, const uint32_t *v, size_t n)
{
    uint64_t top = (uint64_t)u[n] << 32 | u[n - 1], q = top / v[n - 1], r = top % v[n - 1];
    uint64_t borrow = 0, carry = 0;
    while (q >> 32 || (n > 1 && q * v[n - 2] > (r << 32 | u[n - 2]))) {
        q--;
        r += v[n - 1];
        if (r >> 32) break;
    }
    for (size_t i = 0; i < n; i++) {
        uint64_t d;
        carry += q * v[i];
        d = (uint64_t)u[i] - (uint32_t)carry - borrow;
        u[i] = (uint32_t)d;
        borrow = d >> 63;
        carry >>= 32;
    }
    top = (uint64_t)u[n] - carry - borrow;
    u[n] = (uint32_t)top;
    if (!(top >> 63)) return (uint32_t)q;
    for (size_t i = 0, c = 0; i <= n; i++) { /* one too many: add v back */
        uint64_t s = (uint64_t)u[i] + (i < n ? v[i] : 0) + c;
        u[i] = (uint32_t)s;
        c = (size_t)(s >> 32);
    }
    return (uint32_t)(q - 1);
}

/* Magnitudes: |a| = q * |b| + r. b is not 0. Both results are limbs of a.n + 1 and b.n. */
static int divide_limbs(jj_rt *rt, big a, big b, uint32_t **q, uint32_t **r)
{
    unsigned shift = 0;
    uint32_t *u, *v;
    if (!jj_step(rt, a.n * b.n / 16 + 1)) return 0;
    *q = limbs_new(rt, a.n + 1);
    *r = limbs_new(rt, b.n);
    u = limbs_new(rt, a.n + 2);
    v = limbs_new(rt, b.n + 1);
    if (!*q || !*r || !u || !v) return 0;
    if (compare_limbs(a, b) < 0) {
        memcpy(*r, a.d, a.n * sizeof *a.d);
        return 1;
    }
    if (b.n == 1) {
        memcpy(*q, a.d, a.n * sizeof *a.d);
        (*r)[0] = divide_small(*q, a.n, b.d[0]);
        return 1;
    }
    while (!(b.d[b.n - 1] << shift >> 31))
        shift++;
    shift_into(u, a, shift);
    shift_into(v, b, shift);
    for (size_t i = a.n - b.n + 1; i-- > 0;)
        (*q)[i] = quotient_digit(u + i, v, b.n);
    for (size_t i = 0; i < b.n; i++)
        (*r)[i] = u[i] >> shift | (shift ? (uint32_t)((uint64_t)u[i + 1] << (32 - shift)) : 0);
    return 1;
}

/* ---- operators ---- */

static jv floor_divide(jj_rt *rt, jj_op op, big a, big b)
{
    uint32_t *q, *r, small[2];
    jv quotient, rest;
    if (!b.n) return jj_fail(rt, "division by zero");
    if (!divide_limbs(rt, a, b, &q, &r)) return jj_none();
    quotient = make(rt, a.minus != b.minus, q, a.n + 1);
    rest = make(rt, a.minus, r, b.n);
    if (!jj_ok(rt)) return jj_none();
    if (a.minus != b.minus && (rest.type == JJ_BIG || rest.u.i)) {
        if (op == JJ_MOD) return add(rt, view(rest, small), b);
        return jj_big_binary(rt, JJ_SUB, quotient, jj_int(1));
    }
    return op == JJ_MOD ? rest : quotient;
}

static uint64_t bits_of(big a)
{
    uint64_t n = a.n ? (a.n - 1) * 32 : 0;
    for (uint32_t top = a.n ? a.d[a.n - 1] : 0; top; top >>= 1)
        n++;
    return n;
}

static jv power(jj_rt *rt, jv base, jv exponent)
{
    uint32_t small[2];
    uint64_t bits = bits_of(view(base, small));
    int64_t n = 0;
    jv out = jj_int(1);
    if (!jj_as_int(exponent, &n)) {
        if (bits < 2 && base.type != JJ_BIG) { /* 0, 1 and -1 to a huge power */
            jj_as_int(base, &n);
            return n < 0 && exponent.u.big->d[0] % 2 == 0 ? jj_int(1) : jj_int(n);
        }
        n = INT64_MAX;
    }
    if (bits > 1 && (uint64_t)n > (uint64_t)MAX_LIMBS * 32 / (bits - 1))
        return jj_limit(rt, "an integer of more than %d bits", MAX_LIMBS * 32);
    for (; n && jj_ok(rt); n >>= 1) {
        if (n & 1) out = jj_big_binary(rt, JJ_MUL, out, base);
        if (n > 1) base = jj_big_binary(rt, JJ_MUL, base, base);
    }
    return jj_ok(rt) ? out : jj_none();
}

/* magnitude * 2^scale, rounded to the nearest double; rest: there is more below. */
static double round_scaled(big a, int64_t scale, int rest)
{
    uint64_t bits = bits_of(a), top = 0, half;
    int64_t below = (int64_t)bits - 64;
    for (size_t i = 0; i < a.n; i++) {
        int64_t at = (int64_t)i * 32 - below;
        if (at <= -32)
            rest |= a.d[i] != 0;
        else if (at < 0) {
            top |= a.d[i] >> -at;
            rest |= (a.d[i] << (32 + at)) != 0;
        } else
            top |= (uint64_t)a.d[i] << at;
    }
    half = top & 0x7FF;
    top >>= 11;
    if (half > 0x400 || (half == 0x400 && (rest || (top & 1)))) top++;
    scale += below + 11;
    return ldexp((double)top, scale > 5000 ? 5000 : scale < -5000 ? -5000 : (int)scale);
}

static jv true_divide(jj_rt *rt, big a, big b)
{
    int64_t shift = (int64_t)bits_of(b) - (int64_t)bits_of(a) + 66;
    size_t limbs = (size_t)((shift < 0 ? -shift : shift) / 32);
    unsigned bits = (unsigned)((shift < 0 ? -shift : shift) % 32);
    big *wide = shift >= 0 ? &a : &b, quotient = {0};
    uint32_t *d, *q, *r;
    double out;
    int rest = 0, minus = a.minus != b.minus;
    if (!b.n) return jj_fail(rt, "division by zero");
    if (!a.n) return jj_float(minus ? -0.0 : 0.0);
    d = limbs_new(rt, wide->n + limbs + 1);
    if (!d) return jj_none();
    shift_into(d + limbs, *wide, bits);
    wide->n += limbs + 1;
    wide->d = d;
    while (!d[wide->n - 1])
        wide->n--;
    if (!divide_limbs(rt, a, b, &q, &r)) return jj_none();
    for (size_t i = 0; i < b.n; i++)
        rest |= r[i] != 0;
    quotient.d = q;
    for (quotient.n = a.n + 1; quotient.n && !q[quotient.n - 1];)
        quotient.n--;
    out = round_scaled(quotient, -shift, rest);
    if (isinf(out)) return jj_fail(rt, "integer division result too large for a float");
    return jj_float(minus ? -out : out);
}

jv jj_big_binary(jj_rt *rt, jj_op op, jv a, jv b)
{
    uint32_t small[2][2];
    big x = view(a, small[0]), y = view(b, small[1]);
    if (!jj_step(rt, (x.n + y.n) / 8 + 1)) return jj_none();
    switch (op) {
    case JJ_SUB:
        y.minus = !y.minus;
        return add(rt, x, y);
    case JJ_ADD:
        return add(rt, x, y);
    case JJ_MUL:
        return multiply(rt, x, y);
    case JJ_DIV:
        return true_divide(rt, x, y);
    case JJ_POW:
        return power(rt, a, b);
    default:
        return floor_divide(rt, op, x, y);
    }
}

jv jj_big_negate(jj_rt *rt, jv v) { return jj_big_binary(rt, JJ_SUB, jj_int(0), v); }

/* ---- order ---- */

int jj_is_minus(jv v)
{
    uint32_t small[2];
    return view(v, small).minus;
}

int jj_big_compare(jv a, jv b)
{
    uint32_t small[2][2];
    big x = view(a, small[0]), y = view(b, small[1]);
    int order;
    if (x.minus != y.minus) return x.minus ? -1 : 1;
    order = compare_limbs(x, y);
    return x.minus ? -order : order;
}

/* The whole part of a double's magnitude; -> how many limbs. */
static size_t double_limbs(double f, uint32_t limbs[34])
{
    int exponent;
    uint64_t top = (uint64_t)ldexp(frexp(fabs(f), &exponent), 53);
    size_t at;
    memset(limbs, 0, 34 * sizeof *limbs);
    exponent -= 53;
    if (exponent < 0) {
        top = exponent <= -64 ? 0 : top >> -exponent;
        exponent = 0;
    }
    at = (size_t)exponent / 32;
    exponent %= 32;
    limbs[at] = (uint32_t)(top << exponent);
    limbs[at + 1] = (uint32_t)(top >> (32 - exponent));
    if (exponent) limbs[at + 2] = (uint32_t)(top >> 32 >> (32 - exponent));
    for (at = 34; at && !limbs[at - 1];)
        at--;
    return at;
}

int jj_big_compare_float(jv a, double f)
{
    uint32_t small[2], limbs[34];
    big x = view(a, small), y = {f < 0, 0, limbs};
    int order;
    if (isinf(f)) return f > 0 ? -1 : 1;
    if (x.n && x.minus != (f < 0)) return x.minus ? -1 : 1;
    y.n = double_limbs(f, limbs);
    order = compare_limbs(x, y);
    if (!order && f != trunc(f)) order = -1; /* the magnitude's fraction */
    return f < 0 ? -order : order;
}

/* ---- conversion ---- */

double jj_big_to_double(jv v, int *fits)
{
    uint32_t small[2];
    big x = view(v, small);
    double out = x.n ? round_scaled(x, 0, 0) : 0;
    *fits = !isinf(out);
    return x.minus ? -out : out;
}

jv jj_big_from_double(jj_rt *rt, double f)
{
    uint32_t limbs[34], *kept;
    size_t n = double_limbs(f, limbs);
    kept = limbs_new(rt, n);
    if (kept) memcpy(kept, limbs, n * sizeof *kept);
    return make(rt, f < 0, kept, n);
}

uint64_t jj_big_bits(jv v)
{
    uint32_t small[2];
    return bits_of(view(v, small));
}

uint64_t jj_big_ones(jv v)
{
    uint32_t small[2];
    big x = view(v, small);
    uint64_t n = 0;
    for (size_t i = 0; i < x.n; i++)
        for (uint32_t d = x.d[i]; d; d &= d - 1)
            n++;
    return n;
}

/* ---- digits ---- */

static unsigned digit_value(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);
}

size_t jj_big_limbs(size_t digits, unsigned base)
{
    size_t bits = 1;
    while (1u << bits < base)
        bits++;
    return digits * bits / 32 + 2;
}

size_t jj_big_read(strv digits, unsigned base, uint32_t *limbs)
{
    size_t n = 0;
    for (size_t i = 0; i < digits.n;) {
        uint64_t scale = 1, carry = 0;
        for (; i < digits.n && scale <= UINT32_MAX / base; i++) {
            scale *= base;
            carry = carry * base + digit_value(digits.p[i]);
        }
        for (size_t k = 0; k < n; k++) {
            carry += limbs[k] * scale;
            limbs[k] = (uint32_t)carry;
            carry >>= 32;
        }
        if (carry) limbs[n++] = (uint32_t)carry;
    }
    return n;
}

jv jj_big_from_digits(jj_rt *rt, strv digits, unsigned base, int minus)
{
    size_t n = jj_big_limbs(digits.n, base);
    uint32_t *limbs = limbs_new(rt, n);
    if (!limbs || !jj_step(rt, n / 8 * (digits.n / 16 + 1))) return jj_none();
    return make(rt, minus, limbs, jj_big_read(digits, base, limbs));
}

void jj_big_write(jj_rt *rt, buf *b, jv v, unsigned base, int upper)
{
    const char *letters = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    uint32_t small[2], *rest, chunk = base, per = 1;
    big x = view(v, small);
    size_t from = b->n;
    if (base == 10 && x.n > JJ_BIG_DIGITS / 9) { /* 2^32 has more than 9 digits */
        jj_fail(rt, "an integer of more than %d digits cannot be made text", JJ_BIG_DIGITS);
        return;
    }
    while (chunk <= UINT32_MAX / base) {
        chunk *= base;
        per++;
    }
    rest = limbs_new(rt, x.n);
    if (!rest || !jj_step(rt, x.n * x.n / 8 + 1)) return;
    memcpy(rest, x.d, x.n * sizeof *rest);
    while (x.n) {
        uint32_t digits = divide_small(rest, x.n, chunk);
        while (x.n && !rest[x.n - 1])
            x.n--;
        for (uint32_t i = 0; i < per && (x.n || digits); i++, digits /= base)
            buf_add_char(b, letters[digits % base]);
    }
    if (b->n == from) buf_add_char(b, '0');
    for (size_t i = from, k = b->n; buf_ok(b) && i + 1 < k; i++) {
        char swap = b->p[i];
        b->p[i] = b->p[--k];
        b->p[k] = swap;
    }
    if (base == 10 && b->n - from > JJ_BIG_DIGITS)
        jj_fail(rt, "an integer of more than %d digits cannot be made text", JJ_BIG_DIGITS);
}
