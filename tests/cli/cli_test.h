/* cli_test.h: runs the built command as another program would: pipes, signals, a terminal.
 *
 * Every child runs with a time limit of its own, so that a hang is a failed test. */
#ifndef TESTS_CLI_TEST_H
#define TESTS_CLI_TEST_H

#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700 /* posix_openpt */
#endif

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <yyjson.h>

#define MLXENGINE MLXE_BUILD_DIR "/bin/mlxengine"
#define POCKET    MLXE_SOURCE_DIR "/zoo/pocket-llm"

enum { LIMIT_SECONDS = 100, MAX_ARGS = 40 };

typedef struct bytes {
    char *data;
    size_t n;
    size_t room;
} bytes;

static inline void bytes_add(bytes *b, const char *data, size_t n)
{
    if (b->n + n + 1 > b->room) {
        b->room = 2 * (b->n + n + 1);
        b->data = realloc(b->data, b->room);
        assert_non_null(b->data);
    }
    memcpy(b->data + b->n, data, n);
    b->n += n;
    b->data[b->n] = 0;
}

static inline void bytes_text(bytes *b, const char *text) { bytes_add(b, text, strlen(text)); }

static inline double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static inline void usleep_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

/* ---- pipes ---------------------------------------------------------------------------------- */

typedef struct child {
    pid_t pid;
    int in, out, err; /* -1: closed */
} child;

static inline void child_exec(const char *const *args)
{
    const char *argv[MAX_ARGS + 2] = {MLXENGINE};
    for (int i = 0; i <= MAX_ARGS && (argv[i + 1] = args[i]); i++)
        ;
    alarm(LIMIT_SECONDS);
    execv(MLXENGINE, (char *const *)argv);
    _exit(127);
}

/* env: "NAME=value" or NULL. */
static inline child child_start(const char *const *args, const char *env)
{
    int in[2], out[2], err[2];
    assert_int_equal(pipe(in) | pipe(out) | pipe(err), 0);
    child c = {fork(), in[1], out[0], err[0]};
    assert_true(c.pid >= 0);
    if (c.pid == 0) {
        if (env) putenv((char *)env);
        signal(SIGPIPE, SIG_DFL);
        dup2(in[0], 0);
        dup2(out[1], 1);
        dup2(err[1], 2);
        for (int fd = 3; fd < 64; fd++)
            close(fd);
        child_exec(args);
    }
    close(in[0]);
    close(out[1]);
    close(err[1]);
    return c;
}

/* -> exit status, or 1000 + the signal that ended it */
static inline int child_wait(child *c)
{
    int status;
    while (waitpid(c->pid, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

typedef struct result {
    int status;
    bytes out, err;
} result;

static inline void result_free(result *r)
{
    free(r->out.data);
    free(r->err.data);
    *r = (result){0};
}

/* Feeds and drains a child until it has ended. */
static inline result child_finish(child *c, const char *input, size_t n_input)
{
    result r = {0};
    bytes_add(&r.out, "", 0);
    bytes_add(&r.err, "", 0);
    if (n_input == 0) {
        close(c->in);
        c->in = -1;
    } else {
        fcntl(c->in, F_SETFL, O_NONBLOCK);
    }
    while (c->out >= 0 || c->err >= 0) {
        struct pollfd fds[3] = {{c->in, POLLOUT, 0}, {c->out, POLLIN, 0}, {c->err, POLLIN, 0}};
        char chunk[4096];
        poll(fds, 3, -1);
        if (c->in >= 0 && fds[0].revents) {
            ssize_t n = write(c->in, input, n_input);
            size_t step = n > 0 ? (size_t)n : 0;
            input += step;
            n_input -= step;
            if (n_input == 0 || (n < 0 && errno != EAGAIN)) {
                close(c->in);
                c->in = -1;
            }
        }
        for (int i = 1; i < 3; i++) {
            int *fd = i == 1 ? &c->out : &c->err;
            if (*fd < 0 || !fds[i].revents) continue;
            ssize_t n = read(*fd, chunk, sizeof chunk);
            if (n <= 0) {
                close(*fd);
                *fd = -1;
            } else {
                bytes_add(i == 1 ? &r.out : &r.err, chunk, (size_t)n);
            }
        }
    }
    if (c->in >= 0) close(c->in);
    r.status = child_wait(c);
    return r;
}

/* Runs `mlxengine args...` with input on standard input. */
static inline result run_with(const char *env, const char *input, size_t n_input,
                              const char *const *args)
{
    signal(SIGPIPE, SIG_IGN);
    child c = child_start(args, env);
    return child_finish(&c, input, n_input);
}

#define ARGS(...)     ((const char *const[]){__VA_ARGS__, NULL})
#define RUN(...)      run_with(NULL, "", 0, ARGS(__VA_ARGS__))
#define FEED(in, ...) run_with(NULL, in, strlen(in), ARGS(__VA_ARGS__))

/* ---- answers -------------------------------------------------------------------------------- */

#define assert_has(text, part)                                                                     \
    do {                                                                                           \
        if (!strstr(text, part)) fail_msg("want \"%s\" in: %s", part, text);                       \
    } while (0)

/* Line number i (from 0) of JSONL; the document is the caller's. */
static inline yyjson_doc *line_at(const bytes *b, size_t i)
{
    const char *from = b->data, *end;
    for (; i > 0; i--) {
        from = strchr(from, '\n');
        assert_non_null(from);
        from++;
    }
    end = strchr(from, '\n');
    assert_non_null(end);
    yyjson_doc *doc = yyjson_read(from, (size_t)(end - from), 0);
    if (!doc) fail_msg("not JSON: %.*s", (int)(end - from), from);
    return doc;
}

static inline size_t count_lines(const bytes *b)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++)
        n += b->data[i] == '\n';
    return n;
}

/* The line's error code, "" when it is none. */
static inline void error_code(const bytes *b, size_t i, char *out, size_t capacity)
{
    yyjson_doc *doc = line_at(b, i);
    yyjson_val *error = yyjson_obj_get(yyjson_doc_get_root(doc), "error");
    const char *code = yyjson_get_str(yyjson_obj_get(error, "code"));
    snprintf(out, capacity, "%s", code ? code : "");
    if (code) {
        assert_true(yyjson_get_len(yyjson_obj_get(error, "message")) > 0);
        assert_true(yyjson_is_str(yyjson_obj_get(error, "hint")));
    }
    yyjson_doc_free(doc);
}

static inline void assert_line_error(const bytes *b, size_t i, const char *code)
{
    char got[64];
    error_code(b, i, got, sizeof got);
    if (strcmp(got, code) != 0)
        fail_msg("line %zu: error \"%s\", want \"%s\", in: %s", i, got, code, b->data);
}

/* Compares a line with JSON text, member by member. */
static inline void assert_line_json(const bytes *b, size_t i, const char *json)
{
    yyjson_doc *got = line_at(b, i), *want = yyjson_read(json, strlen(json), 0);
    assert_non_null(want);
    if (!yyjson_equals(yyjson_doc_get_root(got), yyjson_doc_get_root(want))) {
        char *text = yyjson_write(got, 0, NULL);
        fail_msg("line %zu: %s, want %s", i, text, json);
    }
    yyjson_doc_free(got);
    yyjson_doc_free(want);
}

#endif
