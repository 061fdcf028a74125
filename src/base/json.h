/* json.h: reading and writing JSON as Python's json module does, on yyjson.
 *
 * Reads   everything that Python's json.loads reads: NaN, Infinity, -Infinity, integers of any
 *         size, \u0000 in strings and keys. A lone surrogate escape becomes U+FFFD. Broken UTF-8 in
 *         the text is an error. Nesting is limited (JSON_MAX_DEPTH).
 * Keys    the last of two equal keys wins in json_get; iteration shows both, in order.
 * Values  are borrowed from their document, and immutable: any thread may read them.
 * Numbers never depend on the locale. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"

#include <stdint.h>

enum { JSON_MAX_DEPTH = 1000, JSON_STRICT_DEPTH = 127 };

typedef struct json_doc json_doc;
typedef struct yyjson_val json; /* one value */

typedef enum json_type {
    JSON_NULL,
    JSON_BOOL,
    JSON_INT, /* fits int64_t */
    JSON_BIG, /* an integer that does not: its digits are in json_big */
    JSON_FLOAT,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
} json_type;

/* Parses bytes (copied; the text may go away). where: the file's or request's name, for messages
 * ("config.json: line 3, column 7: ..."). Fails INPUT (syntax, depth), MEMORY */
mlxe_status json_parse(const char *where, const char *text, size_t bytes, json_doc **out,
                       mlxe_error *err);
/* The same with the rules of safetensors headers (RFC 8259, as Rust's serde_json): a repeated key
 * anywhere is an error that names it; so are NaN, Infinity, lone surrogates, numbers too large for
 * a double and more than JSON_STRICT_DEPTH levels. Integers beyond 64 bits become floats. */
mlxe_status json_parse_unique(const char *where, const char *text, size_t bytes, json_doc **out,
                              mlxe_error *err);
void json_close(json_doc *doc);
const json *json_root(const json_doc *doc);

json_type json_typeof(const json *v);       /* of NULL: JSON_NULL */
const char *json_type_name(json_type type); /* "an object", "a string", ... for messages */
int json_is(const json *v, json_type type); /* 0 for NULL */

/* Plain access: a value of another type gives 0, {NULL,0} or NULL. */
int json_bool(const json *v);
int64_t json_int(const json *v);
double json_float(const json *v); /* of any number */
strv json_str(const json *v);     /* may hold NUL bytes */
strv json_big(const json *v);     /* digits of a JSON_BIG */
size_t json_len(const json *v);   /* elements of an array, pairs of an object */

const json *json_get(const json *object, const char *key); /* last duplicate; NULL: absent */
const json *json_get_strv(const json *object, strv key);

/* Iteration, O(1) a step:
 *   json_iter it = json_iterate(v); const json *key, *value;
 *   while (json_next(&it, &key, &value)) ...            key is NULL in an array
 * Who wants no keys passes NULL for &key. */
typedef struct json_iter {
    const json *container, *cursor;
    size_t left;
} json_iter;
json_iter json_iterate(const json *container);
int json_next(json_iter *it, const json **key, const json **value);
/* Both elements of an array of two. -> 0: it is none */
int json_two(const json *v, const json **first, const json **second);

/* Typed getters: absent or null leaves *out as it is and returns MLXE_OK. Another type is an error
 * that names the path: "config.json: rope_scaling.factor is a string, want a number". where is the
 * path so far ("config.json", "config.json: rope_scaling"). An integer may be written as 8 or 8.0.
 * Fails CORRUPT */
mlxe_status json_get_int(const json *object, const char *where, const char *key, int64_t low,
                         int64_t high, int64_t *out, mlxe_error *err);
mlxe_status json_get_float(const json *object, const char *where, const char *key, double *out,
                           mlxe_error *err);
mlxe_status json_get_bool(const json *object, const char *where, const char *key, int *out,
                          mlxe_error *err);
mlxe_status json_get_str(const json *object, const char *where, const char *key, strv *out,
                         mlxe_error *err);
mlxe_status json_get_array(const json *object, const char *where, const char *key, const json **out,
                           mlxe_error *err);
mlxe_status json_get_object(const json *object, const char *where, const char *key,
                            const json **out, mlxe_error *err);

/* Writing: pieces appended to a buffer, whose sticky error is the only one. */
void json_write_str(buf *b, strv text); /* quoted and escaped; broken UTF-8 becomes U+FFFD */
void json_write_int(buf *b, int64_t v);
void json_write_uint(buf *b, uint64_t v);
/* Shortest digits that read back as v, Python's repr form (1.0, 1e-05, 1e+16); NaN, Infinity. */
void json_write_float(buf *b, double v);
/* The same digits of |v| < 1e17, as whole x 10^exponent. */
void json_float_digits(double v, uint64_t *whole, int *exponent);
/* Shortest digits that read back as the same 32-bit float. */
void json_write_float32(buf *b, float v);
/* A whole value again as compact JSON, members in their order. */
void json_write_value(buf *b, const json *v);

#endif
