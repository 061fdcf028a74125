/* buf.c: the growing buffer. Grows by half, so appending n bytes one by one is linear. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

void buf_deinit(buf *b)
{
    free(b->p);
    *b = (buf){0};
}

void buf_clear(buf *b)
{
    b->n = 0;
    b->failed = 0;
    if (b->p) b->p[0] = 0;
}

char *buf_reserve(buf *b, size_t n)
{
    size_t need, cap;
    char *p;
    if (b->failed) return NULL;
    if (n > SIZE_MAX / 4 || b->n > SIZE_MAX / 4) {
        b->failed = 1;
        return NULL;
    }
    need = b->n + n + 1;
    if (need <= b->cap) return b->p + b->n;
    cap = b->cap + b->cap / 2;
    if (cap < need) cap = need;
    if (cap < 64) cap = 64;
    p = realloc(b->p, cap);
    if (!p) {
        b->failed = 1;
        return NULL;
    }
    if (!b->p) p[0] = 0;
    b->p = p;
    b->cap = cap;
    return b->p + b->n;
}

void buf_add(buf *b, const void *p, size_t n)
{
    char *to = buf_reserve(b, n);
    if (!to) return;
    if (n) memcpy(to, p, n);
    b->n += n;
    b->p[b->n] = 0;
}

void buf_add_char(buf *b, char c) { buf_add(b, &c, 1); }
void buf_add_str(buf *b, const char *text) { buf_add(b, text, strlen(text)); }
void buf_add_strv(buf *b, strv text) { buf_add(b, text.p, text.n); }

void buf_add_utf8(buf *b, unsigned c)
{
    char s[4];
    size_t n;
    if (c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) c = 0xFFFD;
    n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    if (n == 1) {
        s[0] = (char)c;
    } else {
        for (size_t i = n - 1; i > 0; i--, c >>= 6)
            s[i] = (char)(0x80 | (c & 0x3F));
        s[0] = (char)((n == 2 ? 0xC0 : n == 3 ? 0xE0 : 0xF0) | c);
    }
    buf_add(b, s, n);
}

void buf_addf(buf *b, const char *fmt, ...)
{
    va_list args;
    int n;
    char *to;
    va_start(args, fmt);
    n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    to = n < 0 ? NULL : buf_reserve(b, (size_t)n);
    if (!to) {
        b->failed = 1;
        return;
    }
    va_start(args, fmt);
    vsnprintf(to, (size_t)n + 1, fmt, args);
    va_end(args);
    b->n += (size_t)n;
}

char *buf_take(buf *b, size_t *bytes)
{
    char *p = NULL;
    size_t n = b->n;
    buf_reserve(b, 0);
    if (buf_ok(b)) {
        p = b->p;
        b->p = NULL;
    }
    if (bytes) *bytes = p ? n : 0;
    buf_deinit(b);
    return p;
}
