/* test_thread.c: what a thread of ours inherits, waits against the monotonic clock. */
#define _DEFAULT_SOURCE
#include "base/thread.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static mlxe_error err;

typedef struct report {
    sigset_t mask;
    char name[32];
} report;

static void *look_around(void *arg)
{
    report *r = arg;
    FILE *file = NULL;
    pthread_sigmask(SIG_BLOCK, NULL, &r->mask);
    /* The name is set by the thread that starts this one: wait for it a while. */
    for (int i = 0; i < 1000 && strcmp(r->name, "a-name-of-more-\n") != 0; i++) {
        usleep(1000);
        file = fopen("/proc/thread-self/comm", "r");
        if (!file) break;
        if (!fgets(r->name, sizeof r->name, file)) r->name[0] = 0;
        fclose(file);
    }
    return arg;
}

static void test_start(void **state)
{
    static const int OPEN[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    static const int CLOSED[] = {SIGINT,  SIGTERM, SIGHUP,  SIGPIPE, SIGALRM, SIGCHLD,
                                 SIGUSR1, SIGUSR2, SIGQUIT, SIGTSTP, SIGPROF, SIGXFSZ};
    report r = {0};
    sigset_t before, after;
    pthread_t thread;
    void *result;
    (void)state;
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    assert_int_equal(thread_start(&thread, "a-name-of-more-than-15", look_around, &r, &err), 0);
    pthread_join(thread, &result);
    assert_ptr_equal(result, &r);
    for (size_t i = 0; i < sizeof OPEN / sizeof *OPEN; i++)
        assert_false(sigismember(&r.mask, OPEN[i]));
    for (size_t i = 0; i < sizeof CLOSED / sizeof *CLOSED; i++)
        assert_true(sigismember(&r.mask, CLOSED[i]));
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    for (int s = 1; s < 32; s++)
        assert_int_equal(sigismember(&before, s), sigismember(&after, s));
    if (access("/proc/thread-self/comm", R_OK) == 0)
        assert_string_equal(r.name, "a-name-of-more-\n");
}

typedef struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    int open;
} gate;

static void *open_gate(void *arg)
{
    gate *g = arg;
    usleep(20000);
    pthread_mutex_lock(&g->mutex);
    g->open = 1;
    pthread_cond_signal(&g->cond);
    pthread_mutex_unlock(&g->mutex);
    return NULL;
}

static void test_wait(void **state)
{
    gate g = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    int64_t begin, waited;
    pthread_t thread;
    int rc = 0;
    (void)state;
    assert_int_equal(cond_init(&g.cond), 0);
    pthread_mutex_lock(&g.mutex);
    begin = clock_ns();
    do
        rc = cond_wait_until(&g.cond, &g.mutex, begin + 50000000);
    while (!rc);
    waited = clock_ns() - begin;
    assert_int_equal(rc, ETIMEDOUT);
    assert_true(waited >= 50000000 && waited < INT64_C(20000000000));
    assert_int_equal(cond_wait_until(&g.cond, &g.mutex, 0), ETIMEDOUT);
    assert_int_equal(cond_wait_until(&g.cond, &g.mutex, -5), ETIMEDOUT);
    assert_int_equal(thread_start(&thread, "gate", open_gate, &g, &err), 0);
    rc = 0;
    while (!g.open && !rc)
        rc = cond_wait_until(&g.cond, &g.mutex, clock_ns() + INT64_C(60000000000));
    assert_int_equal(rc, 0);
    assert_int_equal(g.open, 1);
    pthread_mutex_unlock(&g.mutex);
    pthread_join(thread, NULL);
    pthread_cond_destroy(&g.cond);
}

static void test_clock(void **state)
{
    int64_t last = clock_ns();
    double ms = clock_ms();
    (void)state;
    for (int i = 0; i < 100000; i++) {
        int64_t now = clock_ns();
        assert_true(now >= last);
        last = now;
    }
    usleep(2000);
    assert_true(clock_ms() - ms >= 2.0);
    assert_int_equal(process_id(), getpid());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start),
        cmocka_unit_test(test_wait),
        cmocka_unit_test(test_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
