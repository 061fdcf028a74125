/* tok_unicode.h: the generated tables (tok_unicode_tables.c,
 * tok_unicode_properties.c), read by tok_unicode.c alone. */
#ifndef TEXT_TOK_UNICODE_H
#define TEXT_TOK_UNICODE_H

#include "text/tok_parts.h"

extern const uint32_t uni_numeric_ranges[][2], uni_word_ranges[][2], uni_punct_ranges[][2],
    uni_other_ranges[][2], uni_nonspacing_ranges[][2], uni_combining_ranges[][2],
    uni_unknown_ranges[][2];
extern const unsigned uni_numeric_ranges_n, uni_word_ranges_n, uni_punct_ranges_n,
    uni_other_ranges_n, uni_nonspacing_ranges_n, uni_combining_ranges_n, uni_unknown_ranges_n;
extern const uint32_t uni_script_ranges[][3]; /* first, last, script */
extern const unsigned uni_script_ranges_n;
extern const uint32_t uni_segment_ranges[][3]; /* first, last, class: where it is not utf8proc's */
extern const unsigned uni_segment_ranges_n;
extern const uint32_t uni_lower_rows[][3]; /* code point, one or two of its lower case */
extern const unsigned uni_lower_rows_n;
extern const uni_property uni_properties[];
extern const unsigned uni_properties_n;

#endif
