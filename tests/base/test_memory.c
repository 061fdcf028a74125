/* test_memory.c: the growing buffer (base/buf) and the arena (base/arena). */
#include "base/arena.h"
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- buf ------------------------------------------------------------------------------------ */

static void test_append(void **state)
{
    buf b = {0};
    (void)state;
    assert_string_equal(buf_str(&b), "");
    assert_int_equal(buf_view(&b).n, 0);
    buf_add_str(&b, "one");
    buf_add_char(&b, ' ');
    buf_add_strv(&b, STRV("t\0o"));
    buf_add_strv(&b, (strv){NULL, 0});
    buf_add(&b, NULL, 0);
    buf_addf(&b, " %d%s", 42, "!");
    assert_true(buf_ok(&b));
    assert_int_equal(b.n, 11);
    assert_memory_equal(b.p, "one t\0o 42!", 12);
    assert_true(strv_eq(buf_view(&b), STRV("one t\0o 42!")));
    buf_clear(&b);
    assert_int_equal(b.n, 0);
    assert_string_equal(buf_str(&b), "");
    buf_deinit(&b);
    assert_null(b.p);
    buf_deinit(&b);
}

static void test_append_one_by_one(void **state)
{
    enum { N = 1000000 };
    buf b = {0};
    size_t moves = 0;
    const char *before = NULL;
    (void)state;
    for (int i = 0; i < N; i++) {
        size_t cap = b.cap;
        buf_add_char(&b, (char)('a' + i % 26));
        moves += b.cap != cap;
        before = b.p;
    }
    assert_ptr_equal(before, b.p);
    assert_int_equal(b.n, N);
    assert_true(moves < 40); /* log(1e6 / 64) / log(1.5) = 24 */
    for (int i = 0; i < N; i++)
        if (b.p[i] != 'a' + i % 26) fail_msg("byte %d", i);
    assert_int_equal(b.p[N], 0);
    buf_deinit(&b);
}

/* Byte sequences from Python's chr(c).encode("utf-8"). */
static void test_utf8(void **state)
{
    static const struct {
        unsigned c;
        const char *bytes;
    } ROWS[] = {
        {0x41, "A"},
        {0x7F, "\x7F"},
        {0x80, "\xC2\x80"},
        {0x7FF, "\xDF\xBF"},
        {0x800, "\xE0\xA0\x80"},
        {0xD7FF, "\xED\x9F\xBF"},
        {0xD800, "\xEF\xBF\xBD"},
        {0xDFFF, "\xEF\xBF\xBD"},
        {0xE000, "\xEE\x80\x80"},
        {0xFFFF, "\xEF\xBF\xBF"},
        {0x10000, "\xF0\x90\x80\x80"},
        {0x1F600, "\xF0\x9F\x98\x80"},
        {0x10FFFF, "\xF4\x8F\xBF\xBF"},
        {0x110000, "\xEF\xBF\xBD"},
        {UINT32_MAX, "\xEF\xBF\xBD"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        buf b = {0};
        buf_add_utf8(&b, ROWS[i].c);
        assert_string_equal(buf_str(&b), ROWS[i].bytes);
        buf_deinit(&b);
    }
    {
        buf b = {0};
        buf_add_utf8(&b, 0);
        assert_int_equal(b.n, 1);
        assert_int_equal(b.p[0], 0);
        buf_deinit(&b);
    }
}

static void test_sticky_error(void **state)
{
    buf b = {0};
    size_t bytes = 9;
    (void)state;
    buf_add_str(&b, "kept");
    assert_null(buf_reserve(&b, SIZE_MAX - 2));
    assert_false(buf_ok(&b));
    buf_add_str(&b, "lost");
    buf_add_char(&b, 'x');
    buf_addf(&b, "%d", 1);
    buf_add_utf8(&b, 0x20AC);
    assert_null(buf_reserve(&b, 1));
    assert_string_equal(buf_str(&b), "kept");
    assert_null(buf_take(&b, &bytes));
    assert_int_equal(bytes, 0);
    assert_true(buf_ok(&b)); /* empty and usable again */
    buf_add_str(&b, "new");
    assert_string_equal(buf_str(&b), "new");
    assert_null(buf_reserve(&b, SIZE_MAX / 2));
    buf_clear(&b);
    assert_true(buf_ok(&b));
    buf_deinit(&b);
}

static void test_reserve(void **state)
{
    buf b = {0};
    char *p = buf_reserve(&b, 1000);
    (void)state;
    assert_non_null(p);
    assert_int_equal(b.n, 0);
    assert_string_equal(buf_str(&b), "");
    memset(p, 'x', 1000);
    b.n = 600;
    b.p[600] = 0;
    assert_ptr_equal(buf_reserve(&b, 400), b.p + 600);
    assert_int_equal(strlen(buf_str(&b)), 600);
    buf_deinit(&b);
}

static void test_take(void **state)
{
    buf b = {0};
    size_t bytes = 9;
    char *text = buf_take(&b, &bytes);
    (void)state;
    assert_string_equal(text, "");
    assert_int_equal(bytes, 0);
    free(text);
    buf_add(&b, "a\0b", 3);
    text = buf_take(&b, &bytes);
    assert_int_equal(bytes, 3);
    assert_memory_equal(text, "a\0b", 4);
    assert_null(b.p);
    assert_int_equal(b.n, 0);
    free(text);
    free(buf_take(&b, NULL));
}

static void test_strv(void **state)
{
    (void)state;
    assert_true(strv_eq(strv_of(NULL), STRV("")));
    assert_true(strv_is(STRV("abc"), "abc"));
    assert_false(strv_is(STRV("a\0c"), "a"));
    assert_true(strv_starts(STRV("abc"), STRV("ab")));
    assert_false(strv_starts(STRV("ab"), STRV("abc")));
    assert_true(strv_ends(STRV("abc"), STRV("bc")));
    assert_false(strv_ends(STRV("bc"), STRV("abc")));
    assert_true(strv_ends(STRV("abc"), (strv){NULL, 0}));
}

/* ---- arena ---------------------------------------------------------------------------------- */

static void test_arena(void **state)
{
    arena a = {0};
    unsigned char *pieces[2000];
    size_t sizes[2000];
    (void)state;
    for (size_t i = 0; i < 2000; i++) {
        sizes[i] = i % 100 == 50 ? 300000 + i : i * 37 % 700;
        pieces[i] = arena_alloc(&a, sizes[i]);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
        for (size_t k = 0; k < sizes[i]; k++)
            if (pieces[i][k]) fail_msg("piece %zu is not zeroed at %zu", i, k);
        memset(pieces[i], (int)(i % 255) + 1, sizes[i]);
    }
    for (size_t i = 0; i < 2000; i++)
        for (size_t k = 0; k < sizes[i]; k++)
            if (pieces[i][k] != i % 255 + 1) fail_msg("piece %zu overlaps another", i);
    arena_deinit(&a);
    assert_int_equal(a.used_bytes, 0);
    assert_string_equal(arena_copy(&a, STRV("again")), "again");
    arena_deinit(&a);
    arena_deinit(&a);
}

static void test_arena_small(void **state)
{
    arena a = {0};
    char *p, *q;
    (void)state;
    p = arena_alloc(&a, 0);
    q = arena_alloc(&a, 0);
    assert_non_null(p);
    assert_ptr_not_equal(p, q);
    assert_string_equal(arena_copy(&a, (strv){NULL, 0}), "");
    assert_memory_equal(arena_copy(&a, STRV("a\0b")), "a\0b", 4);
    arena_deinit(&a);
}

/* Large and small requests in turn: the small ones go on filling one block. */
static void test_arena_large_beside_small(void **state)
{
    arena a = {0};
    char *last, *next;
    (void)state;
    last = arena_alloc(&a, 16);
    for (int i = 0; i < 100; i++) {
        assert_non_null(arena_alloc(&a, 1 << 20));
        next = arena_alloc(&a, 16);
        assert_ptr_equal(next, last + 16);
        last = next;
    }
    arena_deinit(&a);
}

static void test_arena_limits(void **state)
{
    arena a = {.limit_bytes = 10000};
    (void)state;
    assert_non_null(arena_alloc(&a, 9000));
    assert_null(arena_alloc(&a, 2000));
    assert_non_null(arena_alloc(&a, 900));
    assert_true(a.used_bytes <= 10000);
    assert_null(arena_alloc(&a, SIZE_MAX));
    arena_deinit(&a);
    assert_int_equal(a.limit_bytes, 10000);
    a.limit_bytes = 0;
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_alloc(&a, SIZE_MAX / 2 + 1));
    assert_null(arena_array(&a, SIZE_MAX / 8, 16));
    assert_null(arena_array(&a, SIZE_MAX, SIZE_MAX));
    assert_non_null(arena_array(&a, 10, 16));
    assert_non_null(arena_array(&a, 0, 16));
    assert_non_null(arena_array(&a, 16, 0));
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append),       cmocka_unit_test(test_append_one_by_one),
        cmocka_unit_test(test_utf8),         cmocka_unit_test(test_sticky_error),
        cmocka_unit_test(test_reserve),      cmocka_unit_test(test_take),
        cmocka_unit_test(test_strv),         cmocka_unit_test(test_arena),
        cmocka_unit_test(test_arena_small),  cmocka_unit_test(test_arena_large_beside_small),
        cmocka_unit_test(test_arena_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
