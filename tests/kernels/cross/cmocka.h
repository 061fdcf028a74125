/* cmocka.h: as much of cmocka as the kernel tests use, for processors that this machine only
 * emulates and for which it has no cmocka (tools/neon.sh). A failure ends the test, a test that
 * failed or was skipped is named, the status is the number of failures. */
#ifndef TESTS_KERNELS_CROSS_CMOCKA_H
#define TESTS_KERNELS_CROSS_CMOCKA_H

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void (*CMUnitTestFunction)(void **state);

struct CMUnitTest {
    const char *name;
    CMUnitTestFunction test;
};

enum { TEST_FAILED = 1, TEST_SKIPPED };

static jmp_buf test_end;
static int test_runs;

/* Before the first test (a set-up in main) nothing waits for the jump. */
static inline _Noreturn void test_leave(int why)
{
    if (!test_runs) exit(1);
    longjmp(test_end, why);
}

#define skip()             test_leave(TEST_SKIPPED)
#define print_message(...) ((void)fprintf(stderr, __VA_ARGS__))
#define fail_msg(...)                                                                              \
    do {                                                                                           \
        fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                                            \
        fprintf(stderr, __VA_ARGS__);                                                              \
        fputc('\n', stderr);                                                                       \
        test_leave(TEST_FAILED);                                                                   \
    } while (0)
#define assert_true(what)                                                                          \
    do {                                                                                           \
        if (!(what)) fail_msg("%s", #what);                                                        \
    } while (0)
#define assert_non_null(p) assert_true((p) != NULL)
#define assert_int_equal(a, b)                                                                     \
    do {                                                                                           \
        uintmax_t a_ = (uintmax_t)(a), b_ = (uintmax_t)(b);                                        \
        if (a_ != b_) fail_msg("%s is %jd, %s is %jd", #a, (intmax_t)a_, #b, (intmax_t)b_);        \
    } while (0)
#define assert_in_range(a, lo, hi)                                                                 \
    do {                                                                                           \
        uintmax_t a_ = (uintmax_t)(a);                                                             \
        if (a_ < (uintmax_t)(lo) || a_ > (uintmax_t)(hi))                                          \
            fail_msg("%s is %jd, want %s .. %s", #a, (intmax_t)a_, #lo, #hi);                      \
    } while (0)
#define assert_string_equal(a, b)                                                                  \
    do {                                                                                           \
        if (strcmp(a, b) != 0) fail_msg("%s is \"%s\", want \"%s\"", #a, a, b);                    \
    } while (0)
#define assert_memory_equal(a, b, n)                                                               \
    do {                                                                                           \
        if (memcmp(a, b, n) != 0) fail_msg("%s and %s differ", #a, #b);                            \
    } while (0)

#define cmocka_unit_test(f)                                                                        \
    {                                                                                              \
#f, f                                                                                      \
    }
#define cmocka_run_group_tests(tests, set_up, down) test_all(tests, sizeof(tests) / sizeof *(tests))

static inline int test_all(const struct CMUnitTest *tests, size_t n)
{
    volatile int failed = 0;
    for (volatile size_t i = 0; i < n; i++) {
        void *state = NULL;
        int end = setjmp(test_end);
        test_runs = 1;
        if (!end) tests[i].test(&state);
        if (end)
            fprintf(stderr, "%s %s\n", end == TEST_SKIPPED ? "skipped" : "FAILED", tests[i].name);
        failed += end == TEST_FAILED;
    }
    return failed;
}

#endif
