/* json.c: reading JSON with Python's rules, on yyjson (json_write.c writes).
 *
 *   text -> copy -> yyjson, in place -> survey: depth, large integers
 *             \-> scan (Python's rules, in place) -> yyjson, in place -> survey     if that failed
 *
 * Owns: the differences between yyjson and Python's json module. yyjson knows no lone surrogates,
 * takes NaN and Infinity in any case and in short forms, has no limit of depth, and reads integers
 * above INT64_MAX as unsigned. Nearly every text has none of these: it is strict JSON, which both
 * read alike. Else one scan over the text settles it: a lone surrogate escape is overwritten with
 * \uFFFD (the same six bytes), anything that Python refuses is an error, with its place.
 *
 * Invariants
 *   An integer outside of int64_t is a yyjson raw value (its digits); so is a float too large for
 *   a double, which Python reads as infinity. No unsigned value above INT64_MAX is left.
 *   All values of a document lie one after the other (yyjson's layout), so a walk over all of them
 *   is a loop and needs no stack.
 *
 * Traps: yyjson's error position is a byte in the copy; no step moves a byte, so it holds for the
 * text as well. Python refuses integers of more than 4,300 digits, we do not. */
#include "base/json.h"

#include "base/pages.h"

#include <math.h>
#include <stdlib.h>
#include <yyjson.h>

struct json_doc {
    yyjson_doc *doc;
    char *text; /* strings and raw numbers of doc point into it */
    char *big;  /* digits of integers in (INT64_MAX, UINT64_MAX] */
};

enum { BIG_BYTES = 24 }; /* 20 digits of UINT64_MAX, a NUL, rounded up */

/* ---- the scan ------------------------------------------------------------------------------- */

typedef struct scan {
    char *p;
    size_t n, at; /* at: where it stands, and where an error is */
    size_t depth, most_depth;
    int strict;          /* no lone surrogate, no NaN: left as they are, yyjson refuses them */
    const char *problem; /* NULL: none */
} scan;

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* The unit of a \uXXXX escape at p, or -1 when there is none. */
static int escape_unit(const char *p, size_t n)
{
    int unit = 0;
    if (n < 6 || p[0] != '\\' || p[1] != 'u') return -1;
    for (int i = 2; i < 6; i++) {
        int digit = hex_digit(p[i]);
        if (digit < 0) return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

/* Stands on a backslash in a string. Malformed escapes are left for yyjson to report. */
static void scan_escape(scan *s)
{
    int unit = escape_unit(s->p + s->at, s->n - s->at);
    int low;
    if (unit < 0) {
        s->at += s->n - s->at < 2 ? 1 : 2;
        return;
    }
    if (unit >= 0xD800 && unit < 0xE000) {
        low = escape_unit(s->p + s->at + 6, s->n - s->at - 6);
        if (unit < 0xDC00 && low >= 0xDC00 && low < 0xE000)
            s->at += 6;
        else if (!s->strict)
            memcpy(s->p + s->at + 2, "FFFD", 4);
    }
    s->at += 6;
}

static void scan_string(scan *s)
{
    const char *end = s->p + s->n;
    for (const char *p = s->p + s->at + 1;; p = s->p + s->at) {
        while (p < end && *p != '"' && *p != '\\')
            p++;
        s->at = (size_t)(p - s->p);
        if (p >= end || *p == '"') break;
        scan_escape(s);
    }
    s->at++;
}

/* Stands on something that means nothing here: to the next that may. */
static void scan_blank(scan *s)
{
    const char *p = s->p + s->at + 1, *end = s->p + s->n;
    while (p < end && (*p == ' ' || *p == '\n' || *p == ',' || *p == ':')) {
        if (end - p >= 8 && memcmp(p, "        ", 8) == 0) /* half of an indented file is this */
            p += 8;
        else
            p++;
    }
    s->at = (size_t)(p - s->p);
}

static int starts_with(const scan *s, const char *word)
{
    return strv_starts(strv_from(s->p + s->at, s->n - s->at), strv_of(word));
}

/* Where a word may start that yyjson reads and Python does not: nan, inf, -NaN, Inf, ... */
static void scan_word(scan *s)
{
    char c = s->p[s->at];
    if (c == '-') {
        s->at++;
        if (s->at >= s->n) return;
        c = s->p[s->at];
        if (c == 'n' || c == 'N') {
            s->problem = "a number is expected after '-'";
            return;
        }
    }
    if (c == 'I' && starts_with(s, "Infinity"))
        s->at += 8;
    else if ((c == 'N' && starts_with(s, "NaN")) || (c == 'n' && starts_with(s, "null")))
        s->at += 3;
    else if (c == 'i' || c == 'I' || c == 'n' || c == 'N')
        s->problem = "unexpected character";
}

static void scan_text(scan *s)
{
    while (s->at < s->n && !s->problem) {
        switch (s->p[s->at]) {
        case '"':
            scan_string(s);
            break;
        case '[':
        case '{':
            if (++s->depth > s->most_depth)
                s->problem = "nested too deep";
            else
                s->at++;
            break;
        case ']':
        case '}':
            if (s->depth) s->depth--;
            s->at++;
            break;
        case '-':
        case 'i':
        case 'I':
        case 'n':
        case 'N':
            scan_word(s);
            break;
        default:
            scan_blank(s);
        }
    }
}

/* ---- opening -------------------------------------------------------------------------------- */

static mlxe_status syntax_error(mlxe_error *err, const char *where, const char *text, size_t bytes,
                                size_t at, const char *problem)
{
    size_t line = 1, column = 1;
    if (at > bytes) at = bytes;
    for (size_t i = 0; i < at; i++) {
        if (text[i] == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)text[i] & 0xC0) != 0x80) {
            column++;
        }
    }
    return err_set(err, MLXE_E_INPUT, "%s: line %zu, column %zu: %s", where, line, column, problem);
}

/* A walk over all values. -> 0: nested deeper than `most`; large: integers above INT64_MAX */
static int survey(yyjson_doc *doc, size_t most, size_t *large)
{
    const yyjson_val *ends[JSON_MAX_DEPTH]; /* of the containers that are open */
    yyjson_val *v = yyjson_doc_get_root(doc);
    size_t depth = 0, left = yyjson_doc_get_val_count(doc);
    *large = 0;
    for (; left; left--, v++) {
        while (depth && v >= ends[depth - 1])
            depth--;
        if (unsafe_yyjson_is_ctn(v)) {
            if (depth == most) return 0;
            ends[depth++] = unsafe_yyjson_get_next(v);
        } else if (unsafe_yyjson_is_uint(v) && unsafe_yyjson_get_uint(v) > INT64_MAX) {
            ++*large;
        }
    }
    return 1;
}

/* Makes unsigned values above INT64_MAX raw values, whose digits go to a block of their own. */
static mlxe_status keep_large(json_doc *d, size_t large, const char *where, mlxe_error *err)
{
    yyjson_val *v = yyjson_doc_get_root(d->doc);
    size_t left = yyjson_doc_get_val_count(d->doc);
    char *digits;
    if (!large) return MLXE_OK;
    d->big = digits = calloc(large, BIG_BYTES);
    if (!digits) return err_memory(err, where, large * BIG_BYTES);
    for (; left; left--, v++) {
        uint64_t value;
        size_t n = 0;
        if (!yyjson_is_uint(v) || yyjson_get_uint(v) <= INT64_MAX) continue;
        for (value = yyjson_get_uint(v); value; value /= 10)
            n++;
        value = yyjson_get_uint(v);
        for (size_t i = n; i > 0; value /= 10)
            digits[--i] = (char)('0' + value % 10);
        yyjson_set_raw(v, digits, n);
        digits += BIG_BYTES;
    }
    return MLXE_OK;
}

static void *take_block(void *unused, size_t bytes)
{
    (void)unused;
    return pages_large(malloc(bytes), bytes);
}

static void *resize_block(void *unused, void *p, size_t old, size_t bytes)
{
    (void)unused;
    (void)old;
    return realloc(p, bytes);
}

static void give_block(void *unused, void *p)
{
    (void)unused;
    free(p);
}

static const yyjson_alc BLOCKS = {take_block, resize_block, give_block, NULL};

static void fill_text(json_doc *d, const char *text, size_t bytes)
{
    memcpy(d->text, text, bytes);
    memset(d->text + bytes, 0, YYJSON_PADDING_SIZE);
}

/* The text under Python's rules, or what is wrong with it. */
static mlxe_status read_scanned(json_doc *d, const scan *rules, const char *where, const char *text,
                                size_t bytes, mlxe_error *err)
{
    const yyjson_read_flag flags =
        rules->strict
            ? YYJSON_READ_INSITU
            : YYJSON_READ_INSITU | YYJSON_READ_ALLOW_INF_AND_NAN | YYJSON_READ_BIGNUM_AS_RAW;
    yyjson_read_err bad = {0};
    scan s = *rules;
    fill_text(d, text, bytes);
    s.p = d->text;
    s.n = bytes;
    scan_text(&s);
    if (s.problem) return syntax_error(err, where, text, bytes, s.at, s.problem);
    d->doc = yyjson_read_opts(d->text, bytes, flags, &BLOCKS, &bad);
    if (d->doc) return MLXE_OK;
    if (bad.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION) return err_memory(err, where, bytes);
    return syntax_error(err, where, text, bytes, bad.pos, bad.msg);
}

static mlxe_status parse(const scan *rules, const char *where, const char *text, size_t bytes,
                         json_doc **out, mlxe_error *err)
{
    const yyjson_read_flag strict = rules->strict ? 0 : YYJSON_READ_BIGNUM_AS_RAW;
    mlxe_status status = MLXE_OK;
    size_t large = 0;
    json_doc *d;
    *out = NULL;
    if (!bytes) return syntax_error(err, where, "", 0, 0, "empty, want a JSON value");
    d = calloc(1, sizeof *d);
    if (d && bytes <= SIZE_MAX / 2) d->text = take_block(NULL, bytes + YYJSON_PADDING_SIZE);
    if (!d || !d->text) {
        status = err_memory(err, where, bytes);
        goto out;
    }
    fill_text(d, text, bytes);
    d->doc = yyjson_read_opts(d->text, bytes, YYJSON_READ_INSITU | strict, &BLOCKS, NULL);
    if (!d->doc || !survey(d->doc, rules->most_depth, &large)) {
        yyjson_doc_free(d->doc);
        d->doc = NULL;
        status = read_scanned(d, rules, where, text, bytes, err);
        if (!status) survey(d->doc, rules->most_depth, &large);
    }
    if (!status) status = keep_large(d, large, where, err);
out:
    if (status) {
        json_close(d);
        return status;
    }
    *out = d;
    return MLXE_OK;
}

mlxe_status json_parse(const char *where, const char *text, size_t bytes, json_doc **out,
                       mlxe_error *err)
{
    const scan rules = {.most_depth = JSON_MAX_DEPTH};
    return parse(&rules, where, text, bytes, out, err);
}

void json_close(json_doc *doc)
{
    if (!doc) return;
    yyjson_doc_free(doc->doc);
    free(doc->text);
    free(doc->big);
    free(doc);
}

const json *json_root(const json_doc *doc) { return doc ? yyjson_doc_get_root(doc->doc) : NULL; }

/* ---- repeated keys -------------------------------------------------------------------------- */

static int compare_keys(const void *a, const void *b)
{
    strv x = json_str(*(const json *const *)a), y = json_str(*(const json *const *)b);
    int order = memcmp(x.p, y.p, x.n < y.n ? x.n : y.n);
    if (order) return order;
    return (x.n > y.n) - (x.n < y.n);
}

/* Sorted, not hashed: no chosen keys can make it slow. keys: room for the largest object. */
static const json *repeated_key(const json *object, const json **keys)
{
    json_iter it = json_iterate(object);
    const json *key, *value;
    size_t n = 0;
    while (json_next(&it, &key, &value))
        keys[n++] = key;
    qsort(keys, n, sizeof *keys, compare_keys);
    for (size_t i = 1; i < n; i++)
        if (compare_keys(&keys[i - 1], &keys[i]) == 0) return keys[i];
    return NULL;
}

mlxe_status json_parse_unique(const char *where, const char *text, size_t bytes, json_doc **out,
                              mlxe_error *err)
{
    const scan rules = {.most_depth = JSON_STRICT_DEPTH, .strict = 1};
    mlxe_status status = parse(&rules, where, text, bytes, out, err);
    const json **keys = NULL;
    size_t n, most = 0;
    const json *v;
    if (!*out) return status;
    n = yyjson_doc_get_val_count((*out)->doc);
    v = json_root(*out);
    for (size_t i = 0; i < n; i++)
        if (json_is(v + i, JSON_OBJECT) && json_len(v + i) > most) most = json_len(v + i);
    if (most < 2) return MLXE_OK;
    keys = malloc(most * sizeof *keys);
    if (!keys) {
        status = err_memory(err, where, most * sizeof *keys);
        goto out;
    }
    for (size_t i = 0; i < n && !status; i++) {
        const json *key = NULL;
        if (json_is(v + i, JSON_OBJECT) && json_len(v + i) > 1) key = repeated_key(v + i, keys);
        if (key)
            status = err_set(err, MLXE_E_INPUT, "%s: key \"%.200s\" appears twice in one object",
                             where, json_str(key).p);
    }
out:
    free(keys);
    if (status) {
        json_close(*out);
        *out = NULL;
    }
    return status;
}

/* ---- values --------------------------------------------------------------------------------- */

/* yyjson's readers take pointers without const; they write nothing. */
static yyjson_val *plain(const json *v) { return (yyjson_val *)(uintptr_t)v; }

/* A raw value is an integer beyond int64_t or a float beyond double, which has one of these. */
static int raw_is_float(const json *v)
{
    const char *p = unsafe_yyjson_get_raw(plain(v));
    return strpbrk(p, ".eE") != NULL;
}

json_type json_typeof(const json *v)
{
    switch (yyjson_get_type(plain(v))) {
    case YYJSON_TYPE_BOOL:
        return JSON_BOOL;
    case YYJSON_TYPE_NUM:
        return yyjson_is_real(plain(v)) ? JSON_FLOAT : JSON_INT;
    case YYJSON_TYPE_RAW:
        return raw_is_float(v) ? JSON_FLOAT : JSON_BIG;
    case YYJSON_TYPE_STR:
        return JSON_STRING;
    case YYJSON_TYPE_ARR:
        return JSON_ARRAY;
    case YYJSON_TYPE_OBJ:
        return JSON_OBJECT;
    default:
        return JSON_NULL;
    }
}

const char *json_type_name(json_type type)
{
    static const char *const NAMES[] = {
        [JSON_NULL] = "null",      [JSON_BOOL] = "a boolean",   [JSON_INT] = "an integer",
        [JSON_BIG] = "an integer", [JSON_FLOAT] = "a number",   [JSON_STRING] = "a string",
        [JSON_ARRAY] = "an array", [JSON_OBJECT] = "an object",
    };
    return NAMES[type];
}

int json_is(const json *v, json_type type) { return v && json_typeof(v) == type; }

int json_bool(const json *v) { return yyjson_get_bool(plain(v)); }

int64_t json_int(const json *v) { return yyjson_is_int(plain(v)) ? yyjson_get_sint(plain(v)) : 0; }

double json_float(const json *v)
{
    yyjson_val number;
    if (yyjson_is_num(plain(v))) return yyjson_get_num(plain(v));
    if (!yyjson_is_raw(plain(v))) return 0.0;
    if (!yyjson_read_number(unsafe_yyjson_get_raw(plain(v)), &number, YYJSON_READ_ALLOW_INF_AND_NAN,
                            NULL, NULL))
        return 0.0;
    return yyjson_get_num(&number);
}

strv json_str(const json *v)
{
    if (!yyjson_is_str(plain(v))) return (strv){NULL, 0};
    return strv_from(unsafe_yyjson_get_str(plain(v)), unsafe_yyjson_get_len(plain(v)));
}

strv json_big(const json *v)
{
    if (!json_is(v, JSON_BIG)) return (strv){NULL, 0};
    return strv_from(unsafe_yyjson_get_raw(plain(v)), unsafe_yyjson_get_len(plain(v)));
}

size_t json_len(const json *v)
{
    return yyjson_is_ctn(plain(v)) ? unsafe_yyjson_get_len(plain(v)) : 0;
}

const json *json_get_strv(const json *object, strv key)
{
    const json *found = NULL, *name, *value;
    json_iter it;
    if (!json_is(object, JSON_OBJECT)) return NULL;
    it = json_iterate(object);
    while (json_next(&it, &name, &value))
        if (strv_eq(json_str(name), key)) found = value;
    return found;
}

const json *json_get(const json *object, const char *key)
{
    return json_get_strv(object, strv_of(key));
}

json_iter json_iterate(const json *container)
{
    json_iter it = {container, NULL, json_len(container)};
    if (it.left) it.cursor = container + 1;
    return it;
}

/* The value behind v: containers know where they end. */
static const json *after(const json *v) { return unsafe_yyjson_get_next(plain(v)); }

int json_next(json_iter *it, const json **key, const json **value)
{
    if (!it->left) return 0;
    it->left--;
    if (key) *key = NULL;
    if (json_is(it->container, JSON_OBJECT)) {
        if (key) *key = it->cursor;
        it->cursor++;
    }
    *value = it->cursor;
    it->cursor = after(it->cursor);
    return 1;
}

int json_two(const json *v, const json **first, const json **second)
{
    if (!json_is(v, JSON_ARRAY) || unsafe_yyjson_get_len(plain(v)) != 2) return 0;
    *first = v + 1;
    *second = after(*first);
    return 1;
}

/* ---- typed getters -------------------------------------------------------------------------- */

/* Between a path and a key: the path's first part is a file's name. */
static const char *joint(const char *where) { return strstr(where, ": ") ? "." : ": "; }

static mlxe_status wrong_type(mlxe_error *err, const char *where, const char *key, const json *v,
                              const char *want)
{
    return err_set(err, MLXE_E_CORRUPT, "%s%s%s is %s, want %s", where, joint(where), key,
                   json_type_name(json_typeof(v)), want);
}

/* The member, or NULL when it is absent or null. */
static const json *member(const json *object, const char *key)
{
    const json *v = json_get(object, key);
    return json_is(v, JSON_NULL) ? NULL : v;
}

mlxe_status json_get_int(const json *object, const char *where, const char *key, int64_t low,
                         int64_t high, int64_t *out, mlxe_error *err)
{
    const json *v = member(object, key);
    int64_t value = 0;
    int known = 0;
    buf text = {0};
    mlxe_status status;
    if (!v) return MLXE_OK;
    switch (json_typeof(v)) {
    case JSON_INT:
        value = json_int(v);
        known = 1;
        break;
    case JSON_FLOAT: {
        double f = json_float(v);
        if (isfinite(f) && f != floor(f)) return wrong_type(err, where, key, v, "an integer");
        /* The bounds are exact doubles; INT64_MAX is not. */
        known = f >= -9223372036854775808.0 && f < 9223372036854775808.0;
        if (known) value = (int64_t)f;
        break;
    }
    case JSON_BIG:
        break;
    default:
        return wrong_type(err, where, key, v, "an integer");
    }
    if (known && value >= low && value <= high) {
        *out = value;
        return MLXE_OK;
    }
    json_write_value(&text, v);
    status = err_set(err, MLXE_E_CORRUPT, "%s%s%s is %.40s, want %lld..%lld", where, joint(where),
                     key, buf_str(&text), (long long)low, (long long)high);
    buf_deinit(&text);
    return status;
}

mlxe_status json_get_float(const json *object, const char *where, const char *key, double *out,
                           mlxe_error *err)
{
    const json *v = member(object, key);
    if (!v) return MLXE_OK;
    switch (json_typeof(v)) {
    case JSON_INT:
    case JSON_BIG:
    case JSON_FLOAT:
        *out = json_float(v);
        return MLXE_OK;
    default:
        return wrong_type(err, where, key, v, "a number");
    }
}

mlxe_status json_get_bool(const json *object, const char *where, const char *key, int *out,
                          mlxe_error *err)
{
    const json *v = member(object, key);
    if (!v) return MLXE_OK;
    if (!json_is(v, JSON_BOOL)) return wrong_type(err, where, key, v, "a boolean");
    *out = json_bool(v);
    return MLXE_OK;
}

mlxe_status json_get_str(const json *object, const char *where, const char *key, strv *out,
                         mlxe_error *err)
{
    const json *v = member(object, key);
    if (!v) return MLXE_OK;
    if (!json_is(v, JSON_STRING)) return wrong_type(err, where, key, v, "a string");
    *out = json_str(v);
    return MLXE_OK;
}

mlxe_status json_get_array(const json *object, const char *where, const char *key, const json **out,
                           mlxe_error *err)
{
    const json *v = member(object, key);
    if (!v) return MLXE_OK;
    if (!json_is(v, JSON_ARRAY)) return wrong_type(err, where, key, v, "an array");
    *out = v;
    return MLXE_OK;
}

mlxe_status json_get_object(const json *object, const char *where, const char *key,
                            const json **out, mlxe_error *err)
{
    const json *v = member(object, key);
    if (!v) return MLXE_OK;
    if (!json_is(v, JSON_OBJECT)) return wrong_type(err, where, key, v, "an object");
    *out = v;
    return MLXE_OK;
}
