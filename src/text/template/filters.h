/* filters.h: the filters over sequences (sequences.c) pages (filters_text.c, pprint.c) and links
 * (filters_links.c), for the table in filters.c. */
#ifndef TEMPLATE_FILTERS_H
#define TEMPLATE_FILTERS_H

#include "text/template/value.h"

jv jj_filter_batch(jj_rt *rt, const jj_args *args);
jv jj_filter_dictsort(jj_rt *rt, const jj_args *args);
jv jj_filter_first(jj_rt *rt, const jj_args *args);
jv jj_filter_groupby(jj_rt *rt, const jj_args *args);
jv jj_filter_items(jj_rt *rt, const jj_args *args);
jv jj_filter_join(jj_rt *rt, const jj_args *args);
jv jj_filter_last(jj_rt *rt, const jj_args *args);
jv jj_filter_list(jj_rt *rt, const jj_args *args);
jv jj_filter_map(jj_rt *rt, const jj_args *args);
jv jj_filter_max(jj_rt *rt, const jj_args *args);
jv jj_filter_min(jj_rt *rt, const jj_args *args);
jv jj_filter_random(jj_rt *rt, const jj_args *args);
jv jj_filter_reject(jj_rt *rt, const jj_args *args);
jv jj_filter_rejectattr(jj_rt *rt, const jj_args *args);
jv jj_filter_pprint(jj_rt *rt, const jj_args *args);
jv jj_filter_reverse(jj_rt *rt, const jj_args *args);
jv jj_filter_select(jj_rt *rt, const jj_args *args);
jv jj_filter_selectattr(jj_rt *rt, const jj_args *args);
jv jj_filter_slice(jj_rt *rt, const jj_args *args);
jv jj_filter_sort(jj_rt *rt, const jj_args *args);
jv jj_filter_striptags(jj_rt *rt, const jj_args *args);
jv jj_filter_sum(jj_rt *rt, const jj_args *args);
jv jj_filter_unique(jj_rt *rt, const jj_args *args);
jv jj_filter_urlize(jj_rt *rt, const jj_args *args);
jv jj_filter_wordwrap(jj_rt *rt, const jj_args *args);
jv jj_lipsum(jj_rt *rt, const jj_args *args); /* a global function (lipsum.c) */

#endif
