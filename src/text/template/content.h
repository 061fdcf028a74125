/* content.h: follows the text of messages through a rendering (content.c). */
#ifndef TEMPLATE_CONTENT_H
#define TEMPLATE_CONTENT_H

#include "text/template/value.h"

typedef struct jj_memory {
    const char *begin, *end;
} jj_memory;

typedef struct jj_mark {
    const buf *b;
    size_t from, to;
} jj_mark;

typedef struct jj_content {
    jj_memory *v; /* memory that holds content */
    size_t n, cap;
    jj_mark *marks; /* content in builders */
    size_t n_marks, cap_marks;
    const buf *root;   /* the output */
    byte_range *spans; /* content in the output, ascending but for what a template repeats */
    size_t n_spans, cap_spans;
} jj_content;
void jj_content_deinit(jj_content *c);

/* Declares the memory of a text to be content. */
void jj_content_add(jj_rt *rt, strv s);
/* What `from` held is now at `to` as well. */
void jj_content_copy(jj_rt *rt, strv from, const char *to);
/* Forgets the marks of a builder. */
void jj_content_drop(jj_rt *rt, const buf *b);
void jj_trace_in(jj_rt *rt, const buf *b, size_t from, size_t to, strv src);

/* Bytes [from, to) of a builder were made of src. */
static inline void jj_trace(jj_rt *rt, const buf *b, size_t from, size_t to, strv src)
{
    if (rt->content) jj_trace_in(rt, b, from, to, src);
}

/* Appends a text that may be content. */
static inline void jj_put(jj_rt *rt, buf *b, strv s)
{
    size_t at = b->n;
    buf_add_strv(b, s);
    if (rt->content && buf_ok(b)) jj_trace_in(rt, b, at, b->n, s);
}

#endif
