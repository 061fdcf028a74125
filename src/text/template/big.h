/* big.h: integers beyond 64 bits (big.c), for the arithmetic, order and printing of values. */
#ifndef TEMPLATE_BIG_H
#define TEMPLATE_BIG_H

#include "text/template/value.h"

enum { JJ_BIG_DIGITS = 4300 /* decimal digits that Python reads and prints */ };

/* What a JJ_BIG points to. */
struct jj_big {
    int minus;
    size_t n;          /* limbs, the highest is not 0 */
    const uint32_t *d; /* lowest first */
};

/* Limbs that a text of so many digits needs at most. */
size_t jj_big_limbs(size_t digits, unsigned base);
/* The magnitude of digits (0-9, a-z in either case, each below base) in limbs; -> how many. */
size_t jj_big_read(strv digits, unsigned base, uint32_t *limbs);

/* An int: a JJ_INT where it fits. */
jv jj_big_from_digits(jj_rt *rt, strv digits, unsigned base, int minus);
jv jj_big_from_double(jj_rt *rt, double f); /* finite; cut towards 0 */

/* An operator on two ints (bool, int, big), for results of any size. */
jv jj_big_binary(jj_rt *rt, jj_op op, jv a, jv b);
jv jj_big_negate(jj_rt *rt, jv v);
int jj_big_compare(jv a, jv b); /* of two ints */
/* Order of an int and a finite or infinite float, exactly. */
int jj_big_compare_float(jv a, double f);
/* The nearest double, ties to even; *fits 0: it is too large. */
double jj_big_to_double(jv v, int *fits);
uint64_t jj_big_bits(jv v); /* int.bit_length() */
uint64_t jj_big_ones(jv v); /* int.bit_count() */
/* The digits of an int's magnitude. Fails beyond JJ_BIG_DIGITS in base 10. */
void jj_big_write(jj_rt *rt, buf *b, jv v, unsigned base, int upper);
int jj_is_minus(jv v); /* of an int */

#endif
