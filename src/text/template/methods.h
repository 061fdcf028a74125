/* methods.h: the tables of the methods of str (methods_text.c) and bytes (methods_bytes.c), and
 * those of numbers (methods_number.c), for methods.c. */
#ifndef TEMPLATE_METHODS_H
#define TEMPLATE_METHODS_H

#include "text/template/value.h"

typedef jv (*jj_method_fn)(jj_rt *rt, jv self, const jj_args *args);
typedef struct jj_method_row {
    const char *name;
    jj_method_fn call;
} jj_method_row;

/* Both end with a NULL name. */
extern const jj_method_row jj_text_methods[];
extern const jj_method_row jj_bytes_methods[];

jv jj_str_encode(jj_rt *rt, jv self, const jj_args *args);
jv jj_str_maketrans(jj_rt *rt, jv self, const jj_args *args);
jv jj_str_translate(jj_rt *rt, jv self, const jj_args *args);
jv jj_bytes(jj_rt *rt, jv text); /* a text's bytes as bytes */

jv jj_float_hex(jj_rt *rt, jv self, const jj_args *args);
jv jj_float_is_integer(jj_rt *rt, jv self, const jj_args *args);
jv jj_float_ratio(jj_rt *rt, jv self, const jj_args *args);
jv jj_int_bit_count(jj_rt *rt, jv self, const jj_args *args);
jv jj_int_bit_length(jj_rt *rt, jv self, const jj_args *args);
jv jj_int_from_bytes(jj_rt *rt, jv self, const jj_args *args);
jv jj_int_ratio(jj_rt *rt, jv self, const jj_args *args);
jv jj_int_to_bytes(jj_rt *rt, jv self, const jj_args *args);
jv jj_number_conjugate(jj_rt *rt, jv self, const jj_args *args);

#endif
