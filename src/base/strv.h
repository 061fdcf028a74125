/* strv.h: a borrowed run of bytes, and the few questions asked of one. */
#ifndef BASE_STRV_H
#define BASE_STRV_H

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct strv {
    const char *p; /* not NUL-terminated; may be NULL when n is 0 */
    size_t n;      /* bytes */
} strv;

/* A half-open run of bytes of a text. */
typedef struct byte_range {
    size_t begin, end;
} byte_range;

/* A string literal as a view. */
#define STRV(literal) ((strv){(literal), sizeof(literal) - 1})

static inline strv strv_of(const char *text) { return (strv){text, text ? strlen(text) : 0}; }
static inline strv strv_from(const char *p, size_t n) { return (strv){p, n}; }

static inline int strv_eq(strv a, strv b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline int strv_is(strv a, const char *text) { return strv_eq(a, strv_of(text)); }
static inline int strv_starts(strv a, strv head)
{
    return a.n >= head.n && (head.n == 0 || memcmp(a.p, head.p, head.n) == 0);
}
static inline int strv_ends(strv a, strv tail)
{
    return a.n >= tail.n && (tail.n == 0 || memcmp(a.p + a.n - tail.n, tail.p, tail.n) == 0);
}

/* Without the blanks, tabs and line ends around it. */
static inline strv strv_trim(strv a)
{
    while (a.n && memchr(" \t\r\n", a.p[0], 4))
        a = strv_from(a.p + 1, a.n - 1);
    while (a.n && memchr(" \t\r\n", a.p[a.n - 1], 4))
        a.n--;
    return a;
}

/* -> a NUL-terminated copy, the caller's to free; NULL: no memory. Not strndup, which may look for
 * a NUL where none has to be. */
static inline char *strv_dup(strv a)
{
    char *copy = malloc(a.n + 1);
    if (!copy) return NULL;
    if (a.n) memcpy(copy, a.p, a.n);
    copy[a.n] = 0;
    return copy;
}

#endif
