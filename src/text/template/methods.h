/* methods.h: the table of str's methods (methods_text.c), for methods.c. */
#ifndef TEMPLATE_METHODS_H
#define TEMPLATE_METHODS_H

#include "text/template/value.h"

typedef jv (*jj_method_fn)(jj_rt *rt, jv self, const jj_args *args);
typedef struct jj_method_row {
    const char *name;
    jj_method_fn call;
} jj_method_row;

extern const jj_method_row jj_text_methods[]; /* ends with a NULL name */

#endif
