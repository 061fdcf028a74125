/* stop.h: stop strings found in text that arrives in pieces, cut anywhere. */
#ifndef PIPELINES_STOP_H
#define PIPELINES_STOP_H

#include "base/buf.h"

typedef struct stop_filter {
    const strv *stops;
    size_t n;
    buf held; /* text that may be the start of a stop string */
} stop_filter;

/* Adds text; appends to out what is certain to come before any stop string.
 * -> 1 when a stop string was found: text from it on is dropped */
int stop_push(stop_filter *f, strv text, buf *out);
/* The end of the text: what was held back is text after all. */
void stop_finish(stop_filter *f, buf *out);
void stop_deinit(stop_filter *f);

#endif
