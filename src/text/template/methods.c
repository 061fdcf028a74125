/* methods.c: the methods of Python's str, dict, list and tuple that templates call.
 *
 * A row of METHODS is one method of one type. What would change a list or dict is refused in
 * access.c; what is there in Python and makes no sense in a template (encode, translate) is refused
 * by name when it is called.
 * Traps: split() without a separator splits at runs of whitespace and gives no empty parts; with one
 *        it gives them. find gives code points, not bytes. strip takes a set of characters.
 *        startswith takes a tuple. Methods of escaped text give escaped text. */
#include "text/template/text.h"
#include "text/template/tree.h"

typedef jv (*method_fn)(jj_rt *rt, jv self, const jj_args *args);

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
            push_part(rt, l, self, jj_strip(s, NULL, 0, 1));
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
            push_part(rt, l, self, jj_strip(s, NULL, 1, 0));
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
        !jj_arg_int(rt, "splitlines()'s keepends", v[0], &keep) || !jj_work(rt, self.u.s->n))
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
        push_part(rt, l, self, part[i]);
    return jj_tuple_value(rt, l);
}

static jv str_partition(jj_rt *rt, jv self, const jj_args *a) { return partition(rt, self, a, 0); }
static jv str_rpartition(jj_rt *rt, jv self, const jj_args *a) { return partition(rt, self, a, 1); }

/* ---- searching ---- */

/* Optional start and end in code points, as byte offsets. 0: the range cannot hold even "". */
static int byte_range(jj_rt *rt, jv self, jv start, jv end, size_t *from, size_t *to)
{
    int64_t n = (int64_t)jj_chars(self.u.s), b = 0, e = n;
    if (start.type != JJ_NONE) jj_arg_int(rt, "start", start, &b);
    if (end.type != JJ_NONE) jj_arg_int(rt, "end", end, &e);
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
    if (byte_range(rt, self, v[1], v[2], &from, &to)) {
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
    if (!byte_range(rt, self, v[1], v[2], &from, &to)) return jj_int(0);
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
    inside = byte_range(rt, self, v[1], v[2], &from, &to);
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
    if (!old.n) {
        /* Between all characters, and at both ends. */
        for (size_t i = 0, n; max != 0 && i <= s.n && jj_room(rt, b.n, 1); i += n) {
            buf_add_strv(&b, with);
            if (max > 0) max--;
            from = i;
            if (i == s.n) break;
            jj_decode(s.p + i, s.p + s.n, &n);
            buf_add(&b, s.p + i, n);
            from = i + n;
        }
    } else
        while (max-- != 0 && (at = jj_find(s, old, from)) != SIZE_MAX && jj_room(rt, b.n, 1)) {
            buf_add(&b, s.p + from, at - from);
            buf_add_strv(&b, with);
            from = at + old.n;
        }
    if (from < s.n) buf_add(&b, s.p + from, s.n - from);
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
        if (!first) buf_add_strv(&b, jj_strv(self));
        if (markup)
            jj_write_escaped(rt, &b, item);
        else
            buf_add_strv(&b, jj_strv(item));
        first = 0;
    }
    return same_kind(rt, self, jj_take(rt, &b));
}

/* n copies of a padding character. */
static int pad(jj_rt *rt, buf *b, strv fill, int64_t n)
{
    if (n > 0 && !jj_room(rt, (size_t)n + b->n, fill.n)) return 0;
    for (; n > 0; n--)
        buf_add_strv(b, fill);
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
    gap = width - (int64_t)jj_chars(self.u.s);
    if (gap <= 0) return self;
    /* Centering puts the odd one to the left when the width is odd too. */
    left = where < 0 ? 0 : where > 0 ? gap : gap / 2 + (gap & width & 1);
    pad(rt, &b, fill, left);
    buf_add_strv(&b, jj_strv(self));
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
    gap = width - (int64_t)jj_chars(self.u.s);
    if (s.n && gap > 0 && (s.p[0] == '-' || s.p[0] == '+')) {
        buf_add_char(&b, s.p[0]);
        s = (strv){s.p + 1, s.n - 1};
    }
    pad(rt, &b, STRV("0"), gap);
    buf_add_strv(&b, s);
    return same_kind(rt, self, jj_take(rt, &b));
}

static jv str_expandtabs(jj_rt *rt, jv self, const jj_args *args)
{
    jv v[1];
    strv s = jj_strv(self);
    int64_t width = 8, column = 0;
    buf b = {0};
    if (!jj_bind(rt, "expandtabs", "tabsize", 0, args, v) ||
        !jj_arg_int(rt, "tabsize", v[0], &width))
        return jj_none();
    for (size_t i = 0, n; i < s.n && jj_ok(rt); i += n) {
        unsigned c = jj_decode(s.p + i, s.p + s.n, &n);
        if (c == '\t') {
            int64_t gap = width > 0 ? width - column % width : 0;
            if (!pad(rt, &b, STRV(" "), gap)) break;
            column += gap;
            continue;
        }
        buf_add(&b, s.p + i, n);
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
    if (v[0].type != JJ_DICT) return jj_fail(rt, "format_map() wants a mapping");
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

/* ---- dict, list, tuple, range ---- */

static jv dict_get(jj_rt *rt, jv self, const jj_args *args)
{
    jv v[2];
    jj_entry *e;
    int hashable;
    if (!jj_bind(rt, "get", "/key,default", 1, args, v)) return jj_none();
    e = jj_dict_find(rt, self.u.d, v[0], &hashable);
    if (!hashable) return jj_fail(rt, "unhashable type: '%s'", jj_type_name(v[0]));
    if (e) return e->value;
    return v[1].type == JJ_MISSING ? jj_none() : v[1];
}

static jv dict_items(jj_rt *rt, jv self, const jj_args *args)
{
    if (!jj_bind(rt, "items", "/", 0, args, NULL)) return jj_none();
    return jj_view_new(rt, JJ_ITEMS, self.u.d);
}

static jv dict_keys(jj_rt *rt, jv self, const jj_args *args)
{
    if (!jj_bind(rt, "keys", "/", 0, args, NULL)) return jj_none();
    return jj_view_new(rt, JJ_KEYS, self.u.d);
}

static jv dict_values(jj_rt *rt, jv self, const jj_args *args)
{
    if (!jj_bind(rt, "values", "/", 0, args, NULL)) return jj_none();
    return jj_view_new(rt, JJ_VALUES, self.u.d);
}

/* Containers never change, so a copy may be the same one. */
static jv copy(jj_rt *rt, jv self, const jj_args *args)
{
    jj_list *l;
    if (!jj_bind(rt, "copy", "/", 0, args, NULL)) return jj_none();
    if (self.type == JJ_DICT) return self;
    l = jj_list_new(rt, self.u.l->n);
    for (size_t i = 0; l && i < self.u.l->n; i++)
        jj_push(rt, l, self.u.l->v[i]);
    return jj_list_value(rt, l);
}

jv jj_dict_fromkeys(jj_rt *rt, const jj_args *args)
{
    jv v[2], key;
    jj_iter *it;
    jj_dict *d = jj_dict_new(rt);
    if (!jj_bind(rt, "fromkeys", "/iterable,value", 1, args, v)) return jj_none();
    it = jj_iterate(rt, v[0]);
    while (jj_next(rt, it, &key))
        jj_dict_set(rt, d, key, v[1].type == JJ_MISSING ? jj_none() : v[1]);
    return jj_dict_value(rt, d);
}

static jv dict_fromkeys(jj_rt *rt, jv self, const jj_args *args)
{
    (void)self;
    return jj_dict_fromkeys(rt, args);
}

static jv items_count(jj_rt *rt, jv self, const jj_args *args)
{
    jv v[1], item;
    int64_t n = 0;
    jj_iter *it;
    if (!jj_bind(rt, "count", "/value", 1, args, v)) return jj_none();
    it = jj_iterate(rt, self);
    while (jj_next(rt, it, &item))
        n += jj_same(item, v[0]) || jj_equal(rt, item, v[0]);
    return jj_int(n);
}

static jv items_index(jj_rt *rt, jv self, const jj_args *args)
{
    jv v[3], item;
    int64_t from = 0, to = INT64_MAX, at = 0, n;
    size_t len = 0;
    jj_iter *it;
    if (!jj_bind(rt, "index", self.type == JJ_RANGE ? "/value" : "/value,start,stop", 1, args, v))
        return jj_none();
    jj_len(rt, self, &len);
    n = (int64_t)len;
    if (self.type != JJ_RANGE &&
        (!jj_arg_int(rt, "start", v[1], &from) || !jj_arg_int(rt, "stop", v[2], &to)))
        return jj_none();
    if (from < 0) from = from < -n ? 0 : from + n;
    if (to < 0) to = to < -n ? 0 : to + n;
    it = jj_iterate(rt, self);
    for (; jj_next(rt, it, &item) && at < to; at++)
        if (at >= from && (jj_same(item, v[0]) || jj_equal(rt, item, v[0]))) return jj_int(at);
    return jj_fail(rt, "the value is not in the %s", jj_type_name(self));
}

/* ---- numbers, objects ---- */

static jv float_is_integer(jj_rt *rt, jv self, const jj_args *args)
{
    int64_t i;
    if (!jj_bind(rt, "is_integer", "/", 0, args, NULL)) return jj_none();
    if (!(self.u.f >= -9e15 && self.u.f <= 9e15))
        return jj_bool(self.u.f - self.u.f == 0); /* large ones are whole; infinity and NaN not */
    i = (int64_t)self.u.f;
    return jj_bool((double)i == self.u.f);
}

static jv int_bit_length(jj_rt *rt, jv self, const jj_args *args)
{
    int64_t i = 0, n = 0;
    uint64_t u;
    if (!jj_bind(rt, "bit_length", "/", 0, args, NULL)) return jj_none();
    jj_as_int(self, &i);
    for (u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i; u; u >>= 1)
        n++;
    return jj_int(n);
}

static jv number_conjugate(jj_rt *rt, jv self, const jj_args *args)
{
    if (!jj_bind(rt, "conjugate", "/", 0, args, NULL)) return jj_none();
    return jj_plus(rt, self);
}

static jv cycler_next(jj_rt *rt, jv self, const jj_args *args)
{
    jj_cycler *c = self.u.cycler;
    jv v;
    if (!jj_bind(rt, "next", "", 0, args, NULL)) return jj_none();
    v = c->items->v[c->at];
    c->at = (c->at + 1) % c->items->n;
    return v;
}

static jv cycler_reset(jj_rt *rt, jv self, const jj_args *args)
{
    if (!jj_bind(rt, "reset", "", 0, args, NULL)) return jj_none();
    self.u.cycler->at = 0;
    return jj_none();
}

static jv loop_cycle(jj_rt *rt, jv self, const jj_args *args)
{
    if (args->n_named) return jj_fail(rt, "cycle() takes no keyword arguments");
    if (!args->n) return jj_fail(rt, "no items for cycling given");
    return args->v[(size_t)self.u.loop->index0 % args->n];
}

static jv loop_changed(jj_rt *rt, jv self, const jj_args *args)
{
    jj_loop *loop = self.u.loop;
    jj_list *now = jj_list_new(rt, args->n);
    int same = loop->changed_once && loop->changed->n == args->n;
    if (args->n_named) return jj_fail(rt, "changed() takes no keyword arguments");
    for (size_t i = 0; i < args->n; i++) {
        jj_push(rt, now, args->v[i]);
        same = same && (jj_same(args->v[i], loop->changed->v[i]) ||
                        jj_equal(rt, args->v[i], loop->changed->v[i]));
    }
    if (!now || !jj_ok(rt)) return jj_none();
    loop->changed = now;
    loop->changed_once = 1;
    return jj_bool(!same);
}

static jv unsupported(jj_rt *rt, jv self, const jj_args *args)
{
    (void)args;
    return jj_fail(rt, "this method of '%s' is not supported in templates", jj_type_name(self));
}

static const struct {
    jj_type type;
    const char *name;
    method_fn call;
} METHODS[] = {
    {JJ_STR, "strip", str_strip},
    {JJ_STR, "lstrip", str_lstrip},
    {JJ_STR, "rstrip", str_rstrip},
    {JJ_STR, "split", str_split},
    {JJ_STR, "rsplit", str_rsplit},
    {JJ_STR, "splitlines", str_splitlines},
    {JJ_STR, "startswith", str_startswith},
    {JJ_STR, "endswith", str_endswith},
    {JJ_STR, "replace", str_replace},
    {JJ_STR, "upper", str_upper},
    {JJ_STR, "lower", str_lower},
    {JJ_STR, "title", str_title},
    {JJ_STR, "capitalize", str_capitalize},
    {JJ_STR, "swapcase", str_swapcase},
    {JJ_STR, "casefold", str_casefold},
    {JJ_STR, "find", str_find},
    {JJ_STR, "rfind", str_rfind},
    {JJ_STR, "index", str_index},
    {JJ_STR, "rindex", str_rindex},
    {JJ_STR, "count", str_count},
    {JJ_STR, "join", str_join},
    {JJ_STR, "format", str_format},
    {JJ_STR, "format_map", str_format_map},
    {JJ_STR, "partition", str_partition},
    {JJ_STR, "rpartition", str_rpartition},
    {JJ_STR, "removeprefix", str_removeprefix},
    {JJ_STR, "removesuffix", str_removesuffix},
    {JJ_STR, "center", str_center},
    {JJ_STR, "ljust", str_ljust},
    {JJ_STR, "rjust", str_rjust},
    {JJ_STR, "zfill", str_zfill},
    {JJ_STR, "expandtabs", str_expandtabs},
    {JJ_STR, "isalpha", str_isalpha},
    {JJ_STR, "isdigit", str_isdigit},
    {JJ_STR, "isdecimal", str_isdecimal},
    {JJ_STR, "isnumeric", str_isnumeric},
    {JJ_STR, "isalnum", str_isalnum},
    {JJ_STR, "isspace", str_isspace},
    {JJ_STR, "islower", str_islower},
    {JJ_STR, "isupper", str_isupper},
    {JJ_STR, "istitle", str_istitle},
    {JJ_STR, "isascii", str_isascii},
    {JJ_STR, "isprintable", str_isprintable},
    {JJ_STR, "isidentifier", str_isidentifier},
    {JJ_STR, "encode", unsupported},
    {JJ_STR, "translate", unsupported},
    {JJ_STR, "maketrans", unsupported},
    {JJ_DICT, "get", dict_get},
    {JJ_DICT, "items", dict_items},
    {JJ_DICT, "keys", dict_keys},
    {JJ_DICT, "values", dict_values},
    {JJ_DICT, "copy", copy},
    {JJ_DICT, "fromkeys", dict_fromkeys},
    {JJ_LIST, "index", items_index},
    {JJ_LIST, "count", items_count},
    {JJ_LIST, "copy", copy},
    {JJ_TUPLE, "index", items_index},
    {JJ_TUPLE, "count", items_count},
    {JJ_RANGE, "index", items_index},
    {JJ_RANGE, "count", items_count},
    {JJ_FLOAT, "is_integer", float_is_integer},
    {JJ_FLOAT, "conjugate", number_conjugate},
    {JJ_FLOAT, "as_integer_ratio", unsupported},
    {JJ_FLOAT, "hex", unsupported},
    {JJ_FLOAT, "fromhex", unsupported},
    {JJ_INT, "bit_length", int_bit_length},
    {JJ_INT, "conjugate", number_conjugate},
    {JJ_INT, "as_integer_ratio", unsupported},
    {JJ_INT, "bit_count", unsupported},
    {JJ_INT, "to_bytes", unsupported},
    {JJ_INT, "from_bytes", unsupported},
    {JJ_VIEW, "isdisjoint", unsupported},
    {JJ_VIEW, "mapping", unsupported},
    {JJ_CYCLER, "next", cycler_next},
    {JJ_CYCLER, "reset", cycler_reset},
    {JJ_LOOP, "cycle", loop_cycle},
    {JJ_LOOP, "changed", loop_changed},
};

enum { METHOD_COUNT = sizeof METHODS / sizeof *METHODS, DICT_FROMKEYS = METHOD_COUNT + 1 };

int jj_method_id(jv self, strv name)
{
    jj_type type = self.type == JJ_BOOL ? JJ_INT : self.type;
    if (type == JJ_FUNCTION && !strcmp(self.u.fn->name, "dict") && strv_is(name, "fromkeys"))
        return DICT_FROMKEYS;
    for (int i = 0; i < METHOD_COUNT; i++)
        if (METHODS[i].type == type && strv_is(name, METHODS[i].name)) return i + 1;
    return 0;
}

jv jj_call_method(jj_rt *rt, jv self, int id, const jj_args *args)
{
    if (!jj_ok(rt)) return jj_none();
    if (id == DICT_FROMKEYS) return jj_dict_fromkeys(rt, args);
    return METHODS[id - 1].call(rt, self, args);
}
