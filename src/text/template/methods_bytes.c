/* methods_bytes.c: str.encode, maketrans and translate; the methods of bytes.
 *
 * Encodings: utf-8, ascii, latin-1, utf-16 and utf-32 with and without their byte order. What
 * cannot be encoded goes by `errors`: strict, ignore, replace, backslashreplace, xmlcharrefreplace.
 * Source: CPython 3.11 unicodeobject.c, bytesobject.c, codecs.c. */
#include "text/template/content.h"
#include "text/template/methods.h"
#include "text/template/text.h"

#include <stdio.h>

/* ---- encodings ---- */

typedef struct encoding {
    const char *names; /* with '-' for '_' */
    unsigned limit;    /* the first code point that it cannot hold */
    int unit;          /* bytes */
    int big, mark;     /* byte order; a mark before the text */
} encoding;

static const encoding ENCODINGS[] = {
    {" utf-8 utf8 u8 utf cp65001 ", 0x110000, 0, 0, 0},
    {" ascii us-ascii 646 ansi-x3.4-1968 ", 0x80, 1, 0, 0},
    {" latin-1 latin1 latin iso-8859-1 iso8859-1 8859 cp819 l1 ", 0x100, 1, 0, 0},
    {" utf-16 utf16 u16 ", 0x110000, 2, 0, 1},
    {" utf-16-le utf-16le utf-16-le ", 0x110000, 2, 0, 0},
    {" utf-16-be utf-16be ", 0x110000, 2, 1, 0},
    {" utf-32 utf32 u32 ", 0x110000, 4, 0, 1},
    {" utf-32-le utf-32le ", 0x110000, 4, 0, 0},
    {" utf-32-be utf-32be ", 0x110000, 4, 1, 0},
};

static const encoding *encoding_find(jj_rt *rt, strv name)
{
    char word[32] = " ";
    size_t n = 1;
    for (size_t i = 0; i < name.n && n < sizeof word - 2; i++)
        word[n++] = (char)(name.p[i] == '_' || name.p[i] == ' '   ? '-'
                           : name.p[i] >= 'A' && name.p[i] <= 'Z' ? name.p[i] | 0x20
                                                                  : name.p[i]);
    word[n] = ' ';
    for (size_t i = 0; i < sizeof ENCODINGS / sizeof *ENCODINGS && name.n < sizeof word - 2; i++)
        if (strstr(ENCODINGS[i].names, word)) return ENCODINGS + i;
    jj_fail(rt, "unknown or unsupported encoding: %.*s", (int)(name.n < 80 ? name.n : 80), name.p);
    return NULL;
}

static int is_surrogate(unsigned c) { return c >= 0xD800 && c < 0xE000; }

static void put_unit(buf *b, const encoding *e, unsigned c)
{
    for (int i = 0; i < e->unit; i++)
        buf_add_char(b, (char)(c >> 8 * (e->big ? e->unit - 1 - i : i)));
}

static void put_code(buf *b, const encoding *e, unsigned c)
{
    if (!e->unit)
        buf_add_utf8(b, c);
    else if (e->unit == 2 && c >= 0x10000) {
        put_unit(b, e, 0xD800 + ((c - 0x10000) >> 10));
        put_unit(b, e, 0xDC00 + ((c - 0x10000) & 0x3FF));
    } else
        put_unit(b, e, c);
}

/* What stands for a code point that the encoding cannot hold. */
static void put_instead(jj_rt *rt, buf *b, const encoding *e, unsigned c, strv errors)
{
    char text[16] = "";
    if (strv_is(errors, "replace"))
        strcpy(text, "?");
    else if (strv_is(errors, "backslashreplace"))
        snprintf(text, sizeof text, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
    else if (strv_is(errors, "xmlcharrefreplace"))
        snprintf(text, sizeof text, "&#%u;", c);
    else if (!strv_is(errors, "ignore"))
        jj_fail(rt, "the codec cannot encode character U+%04X", c);
    for (const char *p = text; *p; p++)
        put_code(b, e, (unsigned char)*p);
}

/* Reads encoding= and errors=; -> NULL after a failure. */
static const encoding *codec_of(jj_rt *rt, const char *fn, const jj_args *args, strv *errors)
{
    jv v[2];
    strv name = STRV("utf-8");
    *errors = STRV("strict");
    if (!jj_bind(rt, fn, "encoding,errors", 0, args, v) ||
        !jj_arg_str(rt, "encoding", v[0], &name) || !jj_arg_str(rt, "errors", v[1], errors))
        return NULL;
    if (memchr(name.p, 0, name.n) || memchr(errors->p, 0, errors->n)) {
        jj_fail(rt, "embedded null character");
        return NULL;
    }
    return encoding_find(rt, name);
}

jv jj_bytes(jj_rt *rt, jv text)
{
    if (!jj_ok(rt)) return jj_none();
    text.type = JJ_BYTES;
    return text;
}

jv jj_str_encode(jj_rt *rt, jv self, const jj_args *args)
{
    strv s = jj_strv(self), errors;
    const encoding *e = codec_of(rt, "encode", args, &errors);
    buf b = {0};
    if (!e || !jj_work(rt, s.n * 4)) return jj_none();
    if (e->mark) put_unit(&b, e, 0xFEFF);
    for (size_t i = 0, n; i < s.n && jj_room(rt, b.n, 1); i += n) {
        unsigned c = jj_decode(s.p + i, s.p + s.n, &n);
        if (c >= e->limit || is_surrogate(c))
            put_instead(rt, &b, e, c, errors);
        else
            put_code(&b, e, c);
    }
    jj_trace(rt, &b, 0, b.n, s);
    return jj_bytes(rt, jj_take(rt, &b));
}

/* Bytes of the well-formed UTF-8 sequence at p, or 0; *part: what a broken one is taken for. */
static size_t utf8_length(strv s, size_t *part)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t want = p[0] < 0x80                   ? 1
                  : p[0] >= 0xC2 && p[0] < 0xE0 ? 2
                  : p[0] >= 0xE0 && p[0] < 0xF0 ? 3
                  : p[0] >= 0xF0 && p[0] < 0xF5 ? 4
                                                : 0;
    unsigned low = p[0] == 0xE0 ? 0xA0 : p[0] == 0xF0 ? 0x90 : 0x80;
    unsigned high = p[0] == 0xED ? 0x9F : p[0] == 0xF4 ? 0x8F : 0xBF;
    *part = 1;
    if (!want) return 0;
    for (size_t i = 1; i < want; i++, low = 0x80, high = 0xBF) {
        if (i >= s.n || p[i] < low || p[i] > high) return 0;
        *part = i + 1;
    }
    return want;
}

static unsigned unit_at(const encoding *e, const char *p, int big)
{
    unsigned c = 0;
    for (int i = 0; i < e->unit; i++)
        c |= (unsigned)(unsigned char)p[i] << 8 * (big ? e->unit - 1 - i : i);
    return c;
}

/* Puts what stands for n broken bytes. */
static void put_broken(jj_rt *rt, buf *b, strv broken, strv errors)
{
    if (strv_is(errors, "replace"))
        buf_add_utf8(b, 0xFFFD);
    else if (strv_is(errors, "backslashreplace"))
        for (size_t i = 0; i < broken.n; i++)
            buf_addf(b, "\\x%02x", (unsigned char)broken.p[i]);
    else if (!strv_is(errors, "ignore"))
        jj_fail(rt, "the codec cannot decode byte 0x%02x", (unsigned char)broken.p[0]);
}

static void decode_units(jj_rt *rt, buf *b, const encoding *e, strv s, strv errors)
{
    size_t unit = (size_t)e->unit, i = 0;
    int big = e->big;
    if (e->mark && s.n >= unit && unit_at(e, s.p, big) == 0xFEFF)
        i = unit;
    else if (e->mark && s.n >= unit && unit_at(e, s.p, 1) == 0xFEFF) {
        big = 1;
        i = unit;
    }
    while (i < s.n && jj_ok(rt)) {
        unsigned c = i + unit <= s.n ? unit_at(e, s.p + i, big) : 0xD800, next;
        size_t n = i + unit <= s.n ? unit : s.n - i;
        if (unit == 2 && c >= 0xD800 && c < 0xDC00 && i + 4 <= s.n) {
            next = unit_at(e, s.p + i + 2, big);
            if (next >= 0xDC00 && next < 0xE000) {
                c = 0x10000 + ((c - 0xD800) << 10) + (next - 0xDC00);
                n = 4;
            }
        }
        if (c >= e->limit || is_surrogate(c))
            put_broken(rt, b, (strv){s.p + i, n}, errors);
        else
            buf_add_utf8(b, c);
        i += n;
    }
}

static jv bytes_decode(jj_rt *rt, jv self, const jj_args *args)
{
    strv s = jj_strv(self), errors;
    const encoding *e = codec_of(rt, "decode", args, &errors);
    buf b = {0};
    size_t part;
    if (!e || !jj_work(rt, s.n * 4)) return jj_none();
    if (e->unit)
        decode_units(rt, &b, e, s, errors);
    else
        for (size_t i = 0; i < s.n && jj_ok(rt); i += part) {
            strv rest = {s.p + i, s.n - i};
            if (utf8_length(rest, &part))
                buf_add(&b, rest.p, part);
            else
                put_broken(rt, &b, (strv){rest.p, part}, errors);
        }
    jj_trace(rt, &b, 0, b.n, s);
    return jj_take(rt, &b);
}

/* ---- the methods of bytes ---- */

static jv bytes_hex(jj_rt *rt, jv self, const jj_args *args)
{
    jv v[2];
    strv s = jj_strv(self), sep = {0};
    int64_t group = 1;
    buf b = {0};
    if (!jj_bind(rt, "hex", "sep,bytes_per_sep", 0, args, v)) return jj_none();
    if (v[0].type == JJ_BYTES) v[0].type = JJ_STR;
    if (!jj_arg_str(rt, "sep", v[0], &sep) || !jj_arg_c_int(rt, "bytes_per_sep", v[1], &group))
        return jj_none();
    if (v[0].type == JJ_STR && sep.n != 1) return jj_fail(rt, "sep must be length 1.");
    for (size_t i = 0; i < s.n && jj_room(rt, b.n, 1); i++) {
        size_t count = group > 0 ? s.n - i : i, per = (size_t)(group < 0 ? -group : group);
        if (i && sep.n && per && count % per == 0) buf_add_strv(&b, sep);
        buf_addf(&b, "%02x", (unsigned char)s.p[i]);
    }
    jj_trace(rt, &b, 0, b.n, s);
    return jj_take(rt, &b);
}

static jv changed_case(jj_rt *rt, jv self, const jj_args *args, char first, char last)
{
    strv s = jj_strv(self);
    buf b = {0};
    if (!jj_bind(rt, "bytes method", "/", 0, args, NULL) || !jj_work(rt, s.n)) return jj_none();
    for (size_t i = 0; i < s.n; i++)
        buf_add_char(&b, s.p[i] >= first && s.p[i] <= last ? (char)(s.p[i] ^ 0x20) : s.p[i]);
    jj_trace(rt, &b, 0, b.n, s);
    return jj_bytes(rt, jj_take(rt, &b));
}

static jv bytes_upper(jj_rt *rt, jv self, const jj_args *args)
{
    return changed_case(rt, self, args, 'a', 'z');
}

static jv bytes_lower(jj_rt *rt, jv self, const jj_args *args)
{
    return changed_case(rt, self, args, 'A', 'Z');
}

static jv bytes_affix(jj_rt *rt, jv self, const jj_args *args, int tail)
{
    jv v[1];
    if (!jj_bind(rt, "startswith", "/prefix", 1, args, v)) return jj_none();
    if (v[0].type != JJ_BYTES)
        return jj_fail(rt, "first arg must be bytes, not '%s'", jj_type_name(v[0]));
    return jj_bool(tail ? strv_ends(jj_strv(self), jj_strv(v[0]))
                        : strv_starts(jj_strv(self), jj_strv(v[0])));
}

static jv bytes_startswith(jj_rt *rt, jv self, const jj_args *args)
{
    return bytes_affix(rt, self, args, 0);
}

static jv bytes_endswith(jj_rt *rt, jv self, const jj_args *args)
{
    return bytes_affix(rt, self, args, 1);
}

/* The other methods are those of str: bytes beyond ASCII stand there as private characters, which
 * are no letters, digits or spaces either. */
enum { PRIVATE = 0xF000 };

static jv to_text(jj_rt *rt, jv v)
{
    strv s = jj_strv(v);
    buf b = {0};
    if (!jj_work(rt, s.n * 3)) return jj_none();
    for (size_t i = 0; i < s.n; i++)
        buf_add_utf8(&b, (unsigned char)s.p[i] + ((unsigned char)s.p[i] < 0x80 ? 0u : PRIVATE));
    if (b.n == s.n) jj_trace(rt, &b, 0, b.n, s);
    return jj_take(rt, &b);
}

static jv to_bytes(jj_rt *rt, jv v)
{
    buf b = {0};
    jj_list *l;
    if (!jj_ok(rt)) return v;
    if (v.type == JJ_LIST || v.type == JJ_TUPLE) {
        l = jj_list_new(rt, v.u.l->n);
        for (size_t i = 0; i < v.u.l->n && jj_ok(rt); i++)
            jj_push(rt, l, to_bytes(rt, v.u.l->v[i]));
        return v.type == JJ_LIST ? jj_list_value(rt, l) : jj_tuple_value(rt, l);
    }
    if (!jj_is_str(v)) return v;
    for (size_t i = 0, n; i < v.u.s->n; i += n)
        buf_add_char(&b, (char)jj_decode(v.u.s->p + i, v.u.s->p + v.u.s->n, &n));
    if (b.n == v.u.s->n) jj_trace(rt, &b, 0, b.n, jj_strv(v));
    return jj_bytes(rt, jj_take(rt, &b));
}

static jv as_text(jj_rt *rt, jv self, const jj_args *args, const char *method)
{
    jj_args texts = *args;
    jv text = to_text(rt, self);
    texts.v = jj_array(rt, args->n + 1, sizeof *texts.v);
    if (!jj_ok(rt)) return jj_none();
    for (size_t i = 0; i < args->n && jj_ok(rt); i++) {
        if (jj_is_str(args->v[i])) return jj_fail(rt, "a bytes-like object is required, not 'str'");
        texts.v[i] = args->v[i].type == JJ_BYTES ? to_text(rt, args->v[i]) : args->v[i];
    }
    return to_bytes(rt, jj_call_method(rt, text, jj_method_id(text, strv_of(method)), &texts));
}

#define BY_TEXT(name)                                                                              \
    static jv bytes_##name(jj_rt *rt, jv self, const jj_args *args)                                \
    {                                                                                              \
        return as_text(rt, self, args, #name);                                                     \
    }
BY_TEXT(capitalize)
BY_TEXT(center)
BY_TEXT(count)
BY_TEXT(expandtabs)
BY_TEXT(find)
BY_TEXT(index)
BY_TEXT(isalnum)
BY_TEXT(isalpha)
BY_TEXT(isascii)
BY_TEXT(isdigit)
BY_TEXT(islower)
BY_TEXT(isspace)
BY_TEXT(istitle)
BY_TEXT(isupper)
BY_TEXT(ljust)
BY_TEXT(lstrip)
BY_TEXT(partition)
BY_TEXT(removeprefix)
BY_TEXT(removesuffix)
BY_TEXT(replace)
BY_TEXT(rfind)
BY_TEXT(rindex)
BY_TEXT(rjust)
BY_TEXT(rpartition)
BY_TEXT(rsplit)
BY_TEXT(rstrip)
BY_TEXT(split)
BY_TEXT(strip)
BY_TEXT(swapcase)
BY_TEXT(title)
BY_TEXT(zfill)

static jv bytes_splitlines(jj_rt *rt, jv self, const jj_args *args)
{
    jj_list *l = jj_list_new(rt, 0);
    jv v[1];
    strv s = jj_strv(self);
    size_t from = 0, keep;
    if (!jj_bind(rt, "splitlines", "keepends", 0, args, v)) return jj_none();
    for (size_t i = 0, n; i < s.n && jj_step(rt, 1); i += n) {
        n = s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] == '\n' ? 2 : 1;
        if (s.p[i] != '\r' && s.p[i] != '\n') continue;
        keep = jj_truth(v[0]) ? i + n : i;
        jj_push(rt, l, jj_bytes(rt, jj_borrow(rt, (strv){s.p + from, keep - from})));
        from = i + n;
    }
    if (from < s.n) jj_push(rt, l, jj_bytes(rt, jj_borrow(rt, (strv){s.p + from, s.n - from})));
    return jj_list_value(rt, l);
}

static jv bytes_join(jj_rt *rt, jv self, const jj_args *args)
{
    jv v[1], item;
    buf b = {0};
    jj_iter *it;
    int first = 1;
    if (!jj_bind(rt, "join", "/iterable", 1, args, v)) return jj_none();
    it = jj_iterate(rt, v[0]);
    for (; jj_next(rt, it, &item) && jj_room(rt, b.n, 1); first = 0) {
        if (item.type != JJ_BYTES) {
            jj_fail(rt, "join() wants bytes, got '%s'", jj_type_name(item));
            break;
        }
        if (!first) jj_put(rt, &b, jj_strv(self));
        jj_put(rt, &b, jj_strv(item));
    }
    return jj_bytes(rt, jj_take(rt, &b));
}

static jv bytes_unsupported(jj_rt *rt, jv self, const jj_args *args)
{
    (void)self;
    (void)args;
    return jj_fail(rt, "this method of 'bytes' is not supported in templates");
}

const jj_method_row jj_bytes_methods[] = {
    {"capitalize", bytes_capitalize},
    {"center", bytes_center},
    {"count", bytes_count},
    {"decode", bytes_decode},
    {"endswith", bytes_endswith},
    {"expandtabs", bytes_expandtabs},
    {"find", bytes_find},
    {"fromhex", bytes_unsupported},
    {"hex", bytes_hex},
    {"index", bytes_index},
    {"isalnum", bytes_isalnum},
    {"isalpha", bytes_isalpha},
    {"isascii", bytes_isascii},
    {"isdigit", bytes_isdigit},
    {"islower", bytes_islower},
    {"isspace", bytes_isspace},
    {"istitle", bytes_istitle},
    {"isupper", bytes_isupper},
    {"join", bytes_join},
    {"ljust", bytes_ljust},
    {"lower", bytes_lower},
    {"lstrip", bytes_lstrip},
    {"maketrans", bytes_unsupported},
    {"partition", bytes_partition},
    {"removeprefix", bytes_removeprefix},
    {"removesuffix", bytes_removesuffix},
    {"replace", bytes_replace},
    {"rfind", bytes_rfind},
    {"rindex", bytes_rindex},
    {"rjust", bytes_rjust},
    {"rpartition", bytes_rpartition},
    {"rsplit", bytes_rsplit},
    {"rstrip", bytes_rstrip},
    {"split", bytes_split},
    {"splitlines", bytes_splitlines},
    {"startswith", bytes_startswith},
    {"strip", bytes_strip},
    {"swapcase", bytes_swapcase},
    {"title", bytes_title},
    {"translate", bytes_unsupported},
    {"upper", bytes_upper},
    {"zfill", bytes_zfill},
    {NULL, NULL},
};

/* ---- maketrans, translate ---- */

/* The code point of a text of one character; else a failure. */
static unsigned one_char(jj_rt *rt, jv v)
{
    size_t n;
    if (jj_is_str(v) && jj_chars(v.u.s) == 1) return jj_decode(v.u.s->p, v.u.s->p + v.u.s->n, &n);
    jj_fail(rt, "string keys in translate table must be of length 1");
    return 0;
}

static jv table_of_dict(jj_rt *rt, jv from)
{
    jj_dict *d = jj_dict_new(rt);
    if (from.type != JJ_DICT)
        return jj_fail(rt, "if you give only one argument to maketrans it must be a dict");
    for (size_t i = 0; i < from.u.d->n && jj_ok(rt); i++) {
        jv key = from.u.d->e[i].key;
        if (jj_is_str(key))
            key = jj_int(one_char(rt, key));
        else if (key.type != JJ_INT && key.type != JJ_BOOL)
            jj_fail(rt, "keys in translate table must be strings or integers");
        jj_dict_set(rt, d, key, from.u.d->e[i].value);
    }
    return jj_dict_value(rt, d);
}

jv jj_str_maketrans(jj_rt *rt, jv self, const jj_args *args)
{
    jv v[3];
    strv from = {0}, to = {0}, gone = {0};
    jj_dict *d = jj_dict_new(rt);
    (void)self;
    if (!jj_bind(rt, "maketrans", "/x,y,z", 1, args, v)) return jj_none();
    if (v[1].type == JJ_MISSING) return table_of_dict(rt, v[0]);
    if (!jj_arg_str(rt, "maketrans()'s first argument", v[0], &from) ||
        !jj_arg_str(rt, "maketrans()'s second argument", v[1], &to) ||
        !jj_arg_str(rt, "maketrans()'s third argument", v[2], &gone))
        return jj_none();
    if (jj_count(from) != jj_count(to))
        return jj_fail(rt, "the first two maketrans arguments must have equal length");
    for (size_t i = 0, k = 0, n, m; i < from.n && jj_step(rt, 1); i += n, k += m) {
        unsigned a = jj_decode(from.p + i, from.p + from.n, &n);
        jj_dict_set(rt, d, jj_int(a), jj_int(jj_decode(to.p + k, to.p + to.n, &m)));
    }
    for (size_t i = 0, n; i < gone.n && jj_step(rt, 1); i += n)
        jj_dict_set(rt, d, jj_int(jj_decode(gone.p + i, gone.p + gone.n, &n)), jj_none());
    return jj_dict_value(rt, d);
}

/* table[c]; JJ_MISSING: the character stays. */
static jv table_lookup(jj_rt *rt, jv table, unsigned c)
{
    jj_entry *e;
    size_t n = 0;
    switch (table.type) {
    case JJ_DICT:
        e = jj_dict_find(rt, table.u.d, jj_int(c), NULL);
        return e ? e->value : jj_missing();
    case JJ_STR:
    case JJ_BYTES:
    case JJ_LIST:
    case JJ_TUPLE:
    case JJ_RANGE:
        return jj_len(rt, table, &n) && c < n ? jj_getitem(rt, table, jj_int(c)) : jj_missing();
    case JJ_UNDEFINED:
        return jj_fail_undefined(rt, table);
    default:
        return jj_fail(rt, "'%s' object is not subscriptable", jj_type_name(table));
    }
}

jv jj_str_translate(jj_rt *rt, jv self, const jj_args *args)
{
    jv v[1];
    strv s = jj_strv(self);
    buf b = {0};
    int64_t code = 0;
    if (!jj_bind(rt, "translate", "/table", 1, args, v)) return jj_none();
    for (size_t i = 0, n; i < s.n && jj_step(rt, 1) && jj_room(rt, b.n, 1); i += n) {
        jv to = table_lookup(rt, v[0], jj_decode(s.p + i, s.p + s.n, &n));
        if (to.type == JJ_MISSING)
            jj_put(rt, &b, (strv){s.p + i, n});
        else if (jj_is_str(to))
            jj_put(rt, &b, jj_strv(to));
        else if (jj_as_int(to, &code)) {
            if (code < 0 || code > 0x10FFFF)
                jj_fail(rt, "character mapping must be in range(0x110000)");
            else
                jj_add_code(&b, (unsigned)code);
        } else if (to.type != JJ_NONE)
            jj_fail(rt, "character mapping must return integer, None or str");
    }
    return self.u.s->markup ? jj_marked(rt, jj_take(rt, &b)) : jj_take(rt, &b);
}
