/* methods_text.c: the methods of Python's str.
 *
 * Traps: split() without a separator splits at runs of whitespace and gives no empty parts; with
 *        one it gives them; what a maximum leaves over keeps its outer whitespace. find gives code
 *        points, not bytes. strip takes a set of characters. startswith takes a tuple. Methods of
 *        escaped text give escaped text.
 * Source: CPython 3.11 unicodeobject.c. */
#include "text/template/content.h"
#include "text/template/methods.h"
#include "text/template/text.h"

static jv same_kind(jj_rt *rt, jv self, jv text)
{
    return self.u.s->markup ? jj_marked(rt, text) : text;
}

/* An optional separator or set of characters: None and absent give 0. */
static int optional_text(jj_rt *rt, const char *what, jv v, strv *out)
{
    if (v.type == JJ_NONE || v.type == JJ_MISSING) return 0;
    return jj_arg_str(rt, what, v, out);
}

/* ---- letter case and classes ---- */

static jv with_case(jj_rt *rt, jv self, const jj_args *args, jj_case how)
{
    buf b = {0};
    if (!jj_bind(rt, "str method", "/", 0, args, NULL) || !jj_work(rt, self.u.s->n * 4))
        return jj_none();
    jj_write_case(&b, jj_strv(self), how);
    jj_trace(rt, &b, 0, b.n, jj_strv(self));
    return same_kind(rt, self, jj_take(rt, &b));
}

static jv str_upper(jj_rt *rt, jv self, const jj_args *a)
{
    return with_case(rt, self, a, JJ_UPPER);
}
static jv str_lower(jj_rt *rt, jv self, const jj_args *a)
{
    return with_case(rt, self, a, JJ_LOWER);
}
static jv str_title(jj_rt *rt, jv self, const jj_args *a)
{
    return with_case(rt, self, a, JJ_TITLE);
}
static jv str_capitalize(jj_rt *rt, jv self, const jj_args *a)
{
    return with_case(rt, self, a, JJ_CAPITALIZE);
}
static jv str_swapcase(jj_rt *rt, jv self, const jj_args *a)
{
    return with_case(rt, self, a, JJ_SWAP);
}
static jv str_casefold(jj_rt *rt, jv self, const jj_args *a)
{
    return with_case(rt, self, a, JJ_FOLD);
}

static jv all_are(jj_rt *rt, jv self, const jj_args *args, int (*is)(unsigned c))
{
    strv s = jj_strv(self);
    if (!jj_bind(rt, "str method", "/", 0, args, NULL) || !jj_work(rt, s.n)) return jj_none();
    for (size_t i = 0, n; i < s.n; i += n)
        if (!is(jj_decode(s.p + i, s.p + s.n, &n))) return jj_bool(0);
    return jj_bool(s.n > 0);
}

static jv str_isalpha(jj_rt *rt, jv s, const jj_args *a) { return all_are(rt, s, a, jj_isalpha); }
static jv str_isdigit(jj_rt *rt, jv s, const jj_args *a) { return all_are(rt, s, a, jj_isdigit); }
static jv str_isalnum(jj_rt *rt, jv s, const jj_args *a) { return all_are(rt, s, a, jj_isalnum); }
static jv str_isspace(jj_rt *rt, jv s, const jj_args *a) { return all_are(rt, s, a, jj_isspace); }
static jv str_isdecimal(jj_rt *rt, jv s, const jj_args *a)
{
    return all_are(rt, s, a, jj_isdecimal);
}
static jv str_isnumeric(jj_rt *rt, jv s, const jj_args *a)
{
    return all_are(rt, s, a, jj_isnumeric);
}

static jv str_isprintable(jj_rt *rt, jv s, const jj_args *a)
{
    jv v = all_are(rt, s, a, jj_isprintable);
    return s.u.s->n ? v : jj_bool(1);
}

static int is_ascii(unsigned c) { return c < 0x80; }

static jv str_isascii(jj_rt *rt, jv s, const jj_args *a)
{
    jv v = all_are(rt, s, a, is_ascii);
    return s.u.s->n ? v : jj_bool(1);
}

/* 1: some letters with case, all of them lower (upper) case. */
int jj_all_case(strv s, int upper)
{
    int some = 0;
    for (size_t i = 0, n; i < s.n; i += n) {
        unsigned c = jj_decode(s.p + i, s.p + s.n, &n);
        if (jj_istitle(c) || (upper ? jj_islower(c) : jj_isupper(c))) return 0;
        some |= upper ? jj_isupper(c) : jj_islower(c);
    }
    return some;
}

static jv str_islower(jj_rt *rt, jv self, const jj_args *args)
{
    if (!jj_bind(rt, "islower", "/", 0, args, NULL)) return jj_none();
    return jj_bool(jj_all_case(jj_strv(self), 0));
}

static jv str_isupper(jj_rt *rt, jv self, const jj_args *args)
{
    if (!jj_bind(rt, "isupper", "/", 0, args, NULL)) return jj_none();
    return jj_bool(jj_all_case(jj_strv(self), 1));
}

static jv str_istitle(jj_rt *rt, jv self, const jj_args *args)
{
    strv s = jj_strv(self);
    int some = 0, inside = 0;
    if (!jj_bind(rt, "istitle", "/", 0, args, NULL)) return jj_none();
    for (size_t i = 0, n; i < s.n; i += n) {
        unsigned c = jj_decode(s.p + i, s.p + s.n, &n);
        int upper = jj_isupper(c) || jj_istitle(c), lower = jj_islower(c);
        if ((upper && inside) || (lower && !inside)) return jj_bool(0);
        inside = upper || lower;
        some |= inside;
    }
    return jj_bool(some);
}

static jv str_isidentifier(jj_rt *rt, jv self, const jj_args *args)
{
    if (!jj_bind(rt, "isidentifier", "/", 0, args, NULL)) return jj_none();
    return jj_bool(jj_is_identifier(jj_strv(self)));
}

/* ---- stripping ---- */

static jv stripped(jj_rt *rt, jv self, const jj_args *args, int left, int right)
{
    jv v[1];
    strv chars = {0};
    int has;
    if (!jj_bind(rt, "strip", "/chars", 0, args, v)) return jj_none();
    has = optional_text(rt, "strip()'s argument", v[0], &chars);
    if (!jj_work(rt, self.u.s->n) || !jj_ok(rt)) return jj_none();
    /* Each character is looked up in the set. */
    if (chars.n > 64 && !jj_step(rt, (self.u.s->n / 64 + 1) * (chars.n / 64))) return jj_none();
    return same_kind(rt, self,
                     jj_borrow(rt, jj_strip(jj_strv(self), has ? &chars : NULL, left, right)));
}

static jv str_strip(jj_rt *rt, jv self, const jj_args *a) { return stripped(rt, self, a, 1, 1); }
static jv str_lstrip(jj_rt *rt, jv self, const jj_args *a) { return stripped(rt, self, a, 1, 0); }
static jv str_rstrip(jj_rt *rt, jv self, const jj_args *a) { return stripped(rt, self, a, 0, 1); }

static jv str_removeprefix(jj_rt *rt, jv self, const jj_args *args)
{
    jv v[1];
    strv s = jj_strv(self), head = {0};
    if (!jj_bind(rt, "removeprefix", "/prefix", 1, args, v) ||
        !jj_arg_str(rt, "removeprefix()'s argument", v[0], &head))
        return jj_none();
    if (strv_starts(s, head)) s = (strv){s.p + head.n, s.n - head.n};
    return same_kind(rt, self, jj_borrow(rt, s));
}

static jv str_removesuffix(jj_rt *rt, jv self, const jj_args *args)
{
    jv v[1];
    strv s = jj_strv(self), tail = {0};
    if (!jj_bind(rt, "removesuffix", "/suffix", 1, args, v) ||
        !jj_arg_str(rt, "removesuffix()'s argument", v[0], &tail))
        return jj_none();
    if (tail.n && strv_ends(s, tail)) s.n -= tail.n;
    return same_kind(rt, self, jj_borrow(rt, s));
}

/* ---- splitting ---- */

static void push_part(jj_rt *rt, jj_list *l, jv self, strv part)
{
    jj_push(rt, l, same_kind(rt, self, jj_borrow(rt, part)));
}

static void split_space(jj_rt *rt, jj_list *l, jv self, int64_t max)
{
    strv s = jj_strip(jj_strv(self), NULL, 1, 0);
    while (s.n && jj_step(rt, 1)) {
        size_t i = 0, n = 0;
        if (max-- == 0) {
            push_part(rt, l, self, s);
            return;
        }
        for (; i < s.n && !jj_isspace(jj_decode(s.p + i, s.p + s.n, &n)); i += n)
            ;
        push_part(rt, l, self, (strv){s.p, i});
        s = jj_strip((strv){s.p + i, s.n - i}, NULL, 1, 0);
    }
}

static void rsplit_space(jj_rt *rt, jj_list *l, jv self, int64_t max)
{
    strv s = jj_strip(jj_strv(self), NULL, 0, 1);
    while (s.n && jj_step(rt, 1)) {
        size_t i = s.n, n;
        if (max-- == 0) {
            push_part(rt, l, self, s);
            return;
        }
        for (; i > 0; i -= n) {
            size_t width;
            n = jj_last_char((strv){s.p, i});
            if (jj_isspace(jj_decode(s.p + i - n, s.p + s.n, &width))) break;
        }
        push_part(rt, l, self, (strv){s.p + i, s.n - i});
        s = jj_strip((strv){s.p, i}, NULL, 0, 1);
    }
}

static void split_at(jj_rt *rt, jj_list *l, jv self, strv separator, int64_t max)
{
    strv s = jj_strv(self);
    size_t from = 0, at;
    while (max-- != 0 && jj_step(rt, 1) && (at = jj_find(s, separator, from)) != SIZE_MAX) {
        push_part(rt, l, self, (strv){s.p + from, at - from});
        from = at + separator.n;
    }
    push_part(rt, l, self, (strv){s.p + from, s.n - from});
}

static void rsplit_at(jj_rt *rt, jj_list *l, jv self, strv separator, int64_t max)
{
    strv s = jj_strv(self);
    size_t at;
    while (max-- != 0 && jj_step(rt, 1) && (at = jj_rfind(s, separator)) != SIZE_MAX) {
        push_part(rt, l, self, (strv){s.p + at + separator.n, s.n - at - separator.n});
        s.n = at;
    }
    push_part(rt, l, self, s);
}

static jv split(jj_rt *rt, jv self, const jj_args *args, int right)
{
    jv v[2];
    strv separator = {0};
    int64_t max = -1;
    jj_list *l = jj_list_new(rt, 0);
    int has;
    if (!jj_bind(rt, "split", "sep,maxsplit", 0, args, v)) return jj_none();
    has = optional_text(rt, "split()'s separator", v[0], &separator);
    if (!jj_arg_int(rt, "split()'s maxsplit", v[1], &max) || !jj_work(rt, self.u.s->n))
        return jj_none();
    if (max < 0) max = -1;
    if (has && !separator.n) return jj_fail(rt, "empty separator");
    if (!has && right)
        rsplit_space(rt, l, self, max);
    else if (!has)
        split_space(rt, l, self, max);
    else if (right)
        rsplit_at(rt, l, self, separator, max);
    else
        split_at(rt, l, self, separator, max);
    if (right && l)
        for (size_t i = 0, k = l->n; i + 1 < k; i++) {
            jv swap = l->v[i];
            l->v[i] = l->v[--k];
            l->v[k] = swap;
        }
    return jj_list_value(rt, l);
}

static jv str_split(jj_rt *rt, jv self, const jj_args *a) { return split(rt, self, a, 0); }
static jv str_rsplit(jj_rt *rt, jv self, const jj_args *a) { return split(rt, self, a, 1); }

jj_list *jj_splitlines(jj_rt *rt, jv self, int keep)
{
    strv s = jj_strv(self);
    jj_list *l = jj_list_new(rt, 0);
    size_t from = 0;
    for (size_t i = 0, n; i < s.n; i += n) {
        unsigned c = jj_decode(s.p + i, s.p + s.n, &n);
        if (!((c >= 10 && c <= 13) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
              c == 0x2029))
            continue;
        if (c == '\r' && i + 1 < s.n && s.p[i + 1] == '\n') n = 2;
        if (!jj_step(rt, 1)) break;
        push_part(rt, l, self, (strv){s.p + from, keep ? i + n - from : i - from});
        from = i + n;
    }
    if (from < s.n) push_part(rt, l, self, (strv){s.p + from, s.n - from});
    return l;
}

static jv str_splitlines(jj_rt *rt, jv self, const jj_args *args)
{
    jv v[1];
    int64_t keep = 0;
    if (!jj_bind(rt, "splitlines", "keepends", 0, args, v) ||
        !jj_arg_c_int(rt, "splitlines()'s keepends", v[0], &keep) || !jj_work(rt, self.u.s->n))
        return jj_none();
    return jj_list_value(rt, jj_splitlines(rt, self, keep != 0));
}

static jv partition(jj_rt *rt, jv self, const jj_args *args, int right)
{
    jv v[1];
    strv s = jj_strv(self), separator = {0}, part[3] = {{0}};
    jj_list *l = jj_list_new(rt, 3);
    size_t at;
    if (!jj_bind(rt, "partition", "/sep", 1, args, v) ||
        !jj_arg_str(rt, "partition()'s argument", v[0], &separator) || !jj_work(rt, s.n))
        return jj_none();
    if (!separator.n) return jj_fail(rt, "empty separator");
    at = right ? jj_rfind(s, separator) : jj_find(s, separator, 0);
    if (at == SIZE_MAX)
        part[right ? 2 : 0] = s;
    else {
        part[0] = (strv){s.p, at};
        part[1] = separator;
        part[2] = (strv){s.p + at + separator.n, s.n - at - separator.n};
    }
    for (int i = 0; i < 3; i++)
        if (i == 1 && at != SIZE_MAX && !self.u.s->markup)
            jj_push(rt, l, v[0]);
        else
            push_part(rt, l, self, part[i]);
    return jj_tuple_value(rt, l);
}

static jv str_partition(jj_rt *rt, jv self, const jj_args *a) { return partition(rt, self, a, 0); }
static jv str_rpartition(jj_rt *rt, jv self, const jj_args *a) { return partition(rt, self, a, 1); }

/* ---- searching ---- */

/* Optional start and end in code points, as byte offsets. 0: the range cannot hold even "". */
static int byte_bounds(jj_rt *rt, jv self, jv start, jv end, size_t *from, size_t *to)
{
    int64_t n = (int64_t)jj_chars(self.u.s), b = 0, e = n;
    if (start.type != JJ_NONE) jj_arg_place(rt, "start", start, &b);
    if (end.type != JJ_NONE) jj_arg_place(rt, "end", end, &e);
    if (!jj_work(rt, self.u.s->n)) return 0;
    if (b < 0) b = b < -n ? 0 : b + n;
    if (e < 0) e = e < -n ? 0 : e + n;
    if (e > n) e = n;
    if (b > e) return 0;
    *from = jj_offset(self.u.s, (size_t)b);
    *to = jj_offset(self.u.s, (size_t)e);
    return 1;
}

static jv find(jj_rt *rt, jv self, const jj_args *args, int right, int strict)
{
    jv v[3];
    strv needle = {0}, s;
    size_t from = 0, to = 0, at = SIZE_MAX;
    if (!jj_bind(rt, "find", "/sub,start,end", 1, args, v) ||
        !jj_arg_str(rt, "find()'s argument", v[0], &needle))
        return jj_none();
    if (byte_bounds(rt, self, v[1], v[2], &from, &to)) {
        s = (strv){self.u.s->p + from, to - from};
        at = right ? jj_rfind(s, needle) : jj_find(s, needle, 0);
    }
    if (!jj_ok(rt)) return jj_none();
    if (at != SIZE_MAX) return jj_int((int64_t)jj_count((strv){self.u.s->p, from + at}));
    return strict ? jj_fail(rt, "substring not found") : jj_int(-1);
}

static jv str_find(jj_rt *rt, jv self, const jj_args *a) { return find(rt, self, a, 0, 0); }
static jv str_rfind(jj_rt *rt, jv self, const jj_args *a) { return find(rt, self, a, 1, 0); }
static jv str_index(jj_rt *rt, jv self, const jj_args *a) { return find(rt, self, a, 0, 1); }
static jv str_rindex(jj_rt *rt, jv self, const jj_args *a) { return find(rt, self, a, 1, 1); }

static jv str_count(jj_rt *rt, jv self, const jj_args *args)
{
    jv v[3];
    strv needle = {0}, s;
    size_t from = 0, to = 0, at = 0;
    int64_t n = 0;
    if (!jj_bind(rt, "count", "/sub,start,end", 1, args, v) ||
        !jj_arg_str(rt, "count()'s argument", v[0], &needle))
        return jj_none();
    if (!byte_bounds(rt, self, v[1], v[2], &from, &to)) return jj_int(0);
    s = (strv){self.u.s->p + from, to - from};
    if (!needle.n) return jj_int((int64_t)jj_count(s) + 1);
    while ((at = jj_find(s, needle, at)) != SIZE_MAX) {
        n++;
        at += needle.n;
    }
    return jj_int(n);
}

static int affix_is(strv s, strv affix, int tail)
{
    return tail ? strv_ends(s, affix) : strv_starts(s, affix);
}

static jv affix(jj_rt *rt, jv self, const jj_args *args, int tail)
{
    jv v[3];
    strv s;
    size_t from = 0, to = 0;
    int inside, found = 0;
    if (!jj_bind(rt, tail ? "endswith" : "startswith", "/prefix,start,end", 1, args, v))
        return jj_none();
    inside = byte_bounds(rt, self, v[1], v[2], &from, &to);
    s = inside ? (strv){self.u.s->p + from, to - from} : (strv){0};
    if (v[0].type == JJ_TUPLE) {
        for (size_t i = 0; i < v[0].u.l->n && !found && jj_step(rt, 1); i++) {
            if (!jj_is_str(v[0].u.l->v[i]))
                return jj_fail(rt, "a tuple of texts holds '%s'", jj_type_name(v[0].u.l->v[i]));
            found = inside && affix_is(s, jj_strv(v[0].u.l->v[i]), tail);
        }
        return jj_bool(found);
    }
    if (!jj_is_str(v[0]))
        return jj_fail(rt, "startswith and endswith want a text or a tuple of texts, got '%s'",
                       jj_type_name(v[0]));
    return jj_bool(inside && affix_is(s, jj_strv(v[0]), tail));
}

static jv str_startswith(jj_rt *rt, jv self, const jj_args *a) { return affix(rt, self, a, 0); }
static jv str_endswith(jj_rt *rt, jv self, const jj_args *a) { return affix(rt, self, a, 1); }

/* ---- building ---- */

jv jj_replace(jj_rt *rt, strv s, strv old, strv with, int64_t max)
{
    buf b = {0};
    size_t from = 0, at;
    if (!jj_work(rt, s.n)) return jj_none();
    if (max < 0) max = -1;
    if (!old.n) {
        /* Between all characters, and at both ends. */
        for (size_t i = 0, n; max != 0 && i <= s.n && jj_room(rt, b.n, 1); i += n) {
            jj_put(rt, &b, with);
            if (max > 0) max--;
            from = i;
            if (i == s.n) break;
            jj_decode(s.p + i, s.p + s.n, &n);
            jj_put(rt, &b, (strv){s.p + i, n});
            from = i + n;
        }
    } else
        while (max-- != 0 && (at = jj_find(s, old, from)) != SIZE_MAX && jj_room(rt, b.n, 1)) {
            jj_put(rt, &b, (strv){s.p + from, at - from});
            jj_put(rt, &b, with);
            from = at + old.n;
        }
    if (from < s.n) jj_put(rt, &b, (strv){s.p + from, s.n - from});
    return jj_take(rt, &b);
}

static jv str_replace(jj_rt *rt, jv self, const jj_args *args)
{
    jv v[3];
    strv old = {0}, with = {0};
    int64_t max = -1;
    if (!jj_bind(rt, "replace", "/old,new,count", 2, args, v) ||
        !jj_arg_str(rt, "replace()'s old", v[0], &old) ||
        !jj_arg_str(rt, "replace()'s new", v[1], &with) ||
        !jj_arg_int(rt, "replace()'s count", v[2], &max))
        return jj_none();
    if (self.u.s->markup) {
        v[1] = jj_escape(rt, v[1]);
        if (!jj_ok(rt)) return jj_none();
        with = jj_strv(v[1]);
    }
    return same_kind(rt, self, jj_replace(rt, jj_strv(self), old, with, max));
}

static jv str_join(jj_rt *rt, jv self, const jj_args *args)
{
    jv v[1], item;
    buf b = {0};
    jj_iter *it;
    int first = 1, markup = self.u.s->markup;
    if (!jj_bind(rt, "join", "/iterable", 1, args, v)) return jj_none();
    it = jj_iterate(rt, v[0]);
    while (jj_next(rt, it, &item) && jj_room(rt, b.n, 1)) {
        if (!jj_is_str(item) && !markup) {
            jj_fail(rt, "join() wants texts, got '%s'", jj_type_name(item));
            break;
        }
        if (!first) jj_put(rt, &b, jj_strv(self));
        if (markup)
            jj_write_escaped(rt, &b, item);
        else
            jj_put(rt, &b, jj_strv(item));
        first = 0;
    }
    return same_kind(rt, self, jj_take(rt, &b));
}

/* n copies of a padding character. */
static int pad(jj_rt *rt, buf *b, strv fill, int64_t n)
{
    if (n > 0 && !jj_room(rt, (size_t)n + b->n, fill.n)) return 0;
    for (; n > 0; n--)
        jj_put(rt, b, fill);
    return 1;
}

static jv justify(jj_rt *rt, jv self, const jj_args *args, int where)
{
    jv v[2];
    strv fill = STRV(" ");
    int64_t width = 0, gap, left;
    buf b = {0};
    if (!jj_bind(rt, "center", "/width,fillchar", 1, args, v) ||
        !jj_arg_int(rt, "width", v[0], &width) || !jj_arg_str(rt, "fillchar", v[1], &fill))
        return jj_none();
    if (jj_count(fill) != 1) return jj_fail(rt, "the fill character must be one character");
    if (width < 0) width = 0;
    gap = width - (int64_t)jj_chars(self.u.s);
    if (gap <= 0) return self;
    /* Centering puts the odd one to the left when the width is odd too. */
    left = where < 0 ? 0 : where > 0 ? gap : gap / 2 + (gap & width & 1);
    pad(rt, &b, fill, left);
    jj_put(rt, &b, jj_strv(self));
    pad(rt, &b, fill, gap - left);
    return same_kind(rt, self, jj_take(rt, &b));
}

static jv str_center(jj_rt *rt, jv self, const jj_args *a) { return justify(rt, self, a, 0); }
static jv str_ljust(jj_rt *rt, jv self, const jj_args *a) { return justify(rt, self, a, -1); }
static jv str_rjust(jj_rt *rt, jv self, const jj_args *a) { return justify(rt, self, a, 1); }

static jv str_zfill(jj_rt *rt, jv self, const jj_args *args)
{
    jv v[1];
    strv s = jj_strv(self);
    int64_t width = 0, gap;
    buf b = {0};
    if (!jj_bind(rt, "zfill", "/width", 1, args, v) || !jj_arg_int(rt, "width", v[0], &width))
        return jj_none();
    if (width < 0) width = 0;
    gap = width - (int64_t)jj_chars(self.u.s);
    if (s.n && gap > 0 && (s.p[0] == '-' || s.p[0] == '+')) {
        jj_put(rt, &b, (strv){s.p, 1});
        s = (strv){s.p + 1, s.n - 1};
    }
    pad(rt, &b, STRV("0"), gap);
    jj_put(rt, &b, s);
    return same_kind(rt, self, jj_take(rt, &b));
}

static jv str_expandtabs(jj_rt *rt, jv self, const jj_args *args)
{
    jv v[1];
    strv s = jj_strv(self);
    int64_t width = 8, column = 0;
    buf b = {0};
    if (!jj_bind(rt, "expandtabs", "tabsize", 0, args, v) ||
        !jj_arg_c_int(rt, "tabsize", v[0], &width))
        return jj_none();
    for (size_t i = 0, n; i < s.n && jj_ok(rt); i += n) {
        unsigned c = jj_decode(s.p + i, s.p + s.n, &n);
        if (c == '\t') {
            int64_t gap = width > 0 ? width - column % width : 0;
            if (!pad(rt, &b, STRV(" "), gap)) break;
            column += gap;
            continue;
        }
        jj_put(rt, &b, (strv){s.p + i, n});
        column = c == '\n' || c == '\r' ? 0 : column + 1;
    }
    return same_kind(rt, self, jj_take(rt, &b));
}

static jv str_format(jj_rt *rt, jv self, const jj_args *args)
{
    return jj_format_method(rt, self, args);
}

static jv str_format_map(jj_rt *rt, jv self, const jj_args *args)
{
    jv v[1];
    jj_args named = {0};
    if (!jj_bind(rt, "format_map", "/mapping", 1, args, v)) return jj_none();
    if (v[0].type != JJ_DICT) /* an error only where a field asks it */
        return jj_format_method(rt, self, &named);
    named.n_named = v[0].u.d->n;
    named.names = jj_array(rt, named.n_named + 1, sizeof *named.names);
    named.named = jj_array(rt, named.n_named + 1, sizeof *named.named);
    if (!named.names || !named.named) return jj_none();
    for (size_t i = 0; i < named.n_named; i++) {
        jv key = v[0].u.d->e[i].key;
        named.names[i] = jj_is_str(key) ? jj_strv(key) : STRV("\xff");
        named.named[i] = v[0].u.d->e[i].value;
    }
    return jj_format_method(rt, self, &named);
}

const jj_method_row jj_text_methods[] = {
    {"encode", jj_str_encode},
    {"maketrans", jj_str_maketrans},
    {"translate", jj_str_translate},
    {"strip", str_strip},
    {"lstrip", str_lstrip},
    {"rstrip", str_rstrip},
    {"split", str_split},
    {"rsplit", str_rsplit},
    {"splitlines", str_splitlines},
    {"startswith", str_startswith},
    {"endswith", str_endswith},
    {"replace", str_replace},
    {"upper", str_upper},
    {"lower", str_lower},
    {"title", str_title},
    {"capitalize", str_capitalize},
    {"swapcase", str_swapcase},
    {"casefold", str_casefold},
    {"find", str_find},
    {"rfind", str_rfind},
    {"index", str_index},
    {"rindex", str_rindex},
    {"count", str_count},
    {"join", str_join},
    {"format", str_format},
    {"format_map", str_format_map},
    {"partition", str_partition},
    {"rpartition", str_rpartition},
    {"removeprefix", str_removeprefix},
    {"removesuffix", str_removesuffix},
    {"center", str_center},
    {"ljust", str_ljust},
    {"rjust", str_rjust},
    {"zfill", str_zfill},
    {"expandtabs", str_expandtabs},
    {"isalpha", str_isalpha},
    {"isdigit", str_isdigit},
    {"isdecimal", str_isdecimal},
    {"isnumeric", str_isnumeric},
    {"isalnum", str_isalnum},
    {"isspace", str_isspace},
    {"islower", str_islower},
    {"isupper", str_isupper},
    {"istitle", str_istitle},
    {"isascii", str_isascii},
    {"isprintable", str_isprintable},
    {"isidentifier", str_isidentifier},
    {NULL, NULL},
};
