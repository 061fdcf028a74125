/* buf.h: a growing byte buffer with a sticky error.
 *
 * Ten appends need one check: after the first that finds no memory, every later one does nothing,
 * and buf_ok tells. The bytes are always followed by one NUL that does not count. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/error.h"
#include "base/strv.h"

typedef struct buf {
    char *p;  /* NULL until the first append */
    size_t n; /* bytes in use, the closing NUL not counted */
    size_t cap;
    int failed;
} buf;

void buf_deinit(buf *b); /* frees; the buffer can be used again */
void buf_clear(buf *b);  /* n = 0, keeps the memory and drops the error */

/* Room for n more bytes: the place to write them to, or NULL. Does not change n. */
char *buf_reserve(buf *b, size_t n);
void buf_add(buf *b, const void *p, size_t n); /* p not inside b */
void buf_add_char(buf *b, char c);
void buf_add_str(buf *b, const char *text);
void buf_add_strv(buf *b, strv text);
/* Appends a code point as UTF-8; a surrogate or a value over 0x10FFFF becomes U+FFFD. */
void buf_add_utf8(buf *b, unsigned code_point);
/* printf into the buffer. For integers and strings: numbers with a point go through
 * json_write_float, because printf follows the locale. */
void buf_addf(buf *b, const char *fmt, ...) BASE_PRINTF(2, 3);

static inline int buf_ok(const buf *b) { return !b->failed; }
/* "" when empty. Borrowed until the next append. */
static inline const char *buf_str(const buf *b) { return b->p ? b->p : ""; }
static inline strv buf_view(const buf *b) { return (strv){buf_str(b), b->n}; }
/* Ownership leaves: a malloc'ed, NUL-terminated string (of an empty buffer too), or NULL when it
 * failed. The buffer is empty afterwards. */
char *buf_take(buf *b, size_t *bytes);

#endif
