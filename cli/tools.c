/* tools.c: tool lists, and the loop that runs the tools that are commands.
 *
 *   answer -> calls -> command (arguments on its standard input) -> output -> message -> answer ..
 *
 * A command is a program and its arguments, never a line for a shell, and nothing of what the model
 * wrote becomes part of it: the model's JSON goes to standard input only. It runs in a process
 * group of its own, which is killed when its time is up, when it writes too much, or on Ctrl-C.
 *
 * Traps: a program may end without reading its input: writing must not kill us (SIGPIPE). It may
 * close its output and go on: then it is waited for, until its time is up. */
#define _GNU_SOURCE
#include "tools.h"

#include "interrupt.h"
#include "lines.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- lists ---------------------------------------------------------------------------------- */

static mlxe_status want(mlxe_error *err, const char *where, size_t i, const char *path,
                        yyjson_val *got, const char *what)
{
    return cli_error(err, MLXE_E_INPUT, NULL, "%s: [%zu]%s: got %s, want %s", where, i, path,
                     json_kind(got), what);
}

static mlxe_status check_function(const char *where, size_t i, const char *prefix, yyjson_val *f,
                                  mlxe_error *err)
{
    static const struct {
        char key[16], what[12];
        int object, needed;
    } MEMBERS[] = {{"name", "a string", 0, 1},
                   {"description", "a string", 0, 0},
                   {"parameters", "an object", 1, 0}};
    char path[128];
    for (size_t m = 0; m < 3; m++) {
        yyjson_val *v = yyjson_obj_get(f, MEMBERS[m].key);
        snprintf(path, sizeof path, "%s.%s", prefix, MEMBERS[m].key);
        if (!v && !MEMBERS[m].needed) continue;
        if (yyjson_is_null(v) && !MEMBERS[m].needed) continue;
        if (MEMBERS[m].object ? !yyjson_is_obj(v) : !yyjson_is_str(v))
            return want(err, where, i, path, v, MEMBERS[m].what);
        if (MEMBERS[m].needed && !yyjson_get_len(v))
            return cli_error(err, MLXE_E_INPUT, NULL, "%s: [%zu]%s: is empty", where, i, path);
    }
    return MLXE_OK;
}

static mlxe_status check_command(const char *where, size_t i, yyjson_val *command, mlxe_error *err)
{
    size_t k, n;
    yyjson_val *word;
    if (!command || yyjson_is_str(command)) return MLXE_OK;
    if (!yyjson_is_arr(command) || !yyjson_arr_size(command))
        return want(err, where, i, ".command", command, "a program, or a list of its words");
    yyjson_arr_foreach(command, k, n, word)
    {
        if (!yyjson_is_str(word)) return want(err, where, i, ".command", word, "strings");
    }
    return MLXE_OK;
}

static yyjson_val *function_of(yyjson_val *tool)
{
    yyjson_val *f = yyjson_obj_get(tool, "function");
    return f ? f : tool;
}

mlxe_status tools_check(const char *where, yyjson_val *list, cli_text *out, mlxe_error *err)
{
    size_t i, n, bytes;
    yyjson_val *tool;
    mlxe_status status = MLXE_OK;
    if (!yyjson_is_arr(list))
        return cli_error(err, MLXE_E_INPUT, NULL, "%s: got %s, want a JSON array", where,
                         json_kind(list));
    yyjson_arr_foreach(list, i, n, tool)
    {
        yyjson_val *f = yyjson_obj_get(tool, "function"), *type = yyjson_obj_get(tool, "type");
        if (!yyjson_is_obj(tool)) return want(err, where, i, "", tool, "an object");
        if (f && !yyjson_is_obj(f)) return want(err, where, i, ".function", f, "an object");
        if (f && type && !yyjson_equals_str(type, "function"))
            return want(err, where, i, ".type", type, "\"function\"");
        status = check_function(where, i, f ? ".function" : "", f ? f : tool, err);
        if (!status) status = check_command(where, i, yyjson_obj_get(tool, "command"), err);
        if (status) return status;
    }
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_val_mut_copy(doc, list), *copy;
    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_arr_foreach(root, i, n, copy) { yyjson_mut_obj_remove_key(copy, "command"); }
    char *text = yyjson_mut_write(doc, YYJSON_WRITE_ALLOW_INF_AND_NAN, &bytes);
    out->bytes = 0;
    if (text) cli_text_add(out, text, bytes);
    free(text);
    yyjson_mut_doc_free(doc);
    return MLXE_OK;
}

/* ---- calls ---------------------------------------------------------------------------------- */

void tool_calls_add(tool_calls *calls, const mlxe_tool_call *call)
{
    calls->v = cli_realloc(calls->v, (calls->n + 1) * sizeof *calls->v);
    calls->v[calls->n++] =
        (tool_call){cli_copy(call->id, strlen(call->id)), cli_copy(call->name, strlen(call->name)),
                    cli_copy(call->arguments, strlen(call->arguments))};
}

void tool_calls_clear(tool_calls *calls)
{
    for (size_t i = 0; i < calls->n; i++) {
        free(calls->v[i].id);
        free(calls->v[i].name);
        free(calls->v[i].arguments);
    }
    free(calls->v);
    *calls = (tool_calls){0};
}

yyjson_mut_val *tool_calls_json(yyjson_mut_doc *doc, const mlxe_tool_call *calls, size_t n)
{
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    for (size_t i = 0; i < n; i++) {
        yyjson_mut_val *row = yyjson_mut_arr_add_obj(doc, list), *f;
        json_add_string(doc, row, "id", calls[i].id);
        yyjson_mut_obj_add_str(doc, row, "type", "function");
        f = yyjson_mut_obj_add_obj(doc, row, "function");
        json_add_string(doc, f, "name", calls[i].name);
        json_add_string(doc, f, "arguments", calls[i].arguments);
    }
    return list;
}

/* ---- running one ---------------------------------------------------------------------------- */

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Starts argv with its input and output on *in and *out (sockets, so that writing cannot raise
 * SIGPIPE). -> its process, or -1 */
static pid_t start(char **argv, int *in, int *out)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, pipe_signal;
    int input[2], output[2];
    pid_t pid = -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, input)) return -1;
    if (pipe2(output, O_CLOEXEC)) {
        close(input[0]);
        close(input[1]);
        return -1;
    }
    sigemptyset(&none);
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    sigaddset(&pipe_signal, SIGINT);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, input[1], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, output[1], STDOUT_FILENO);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &pipe_signal);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                        POSIX_SPAWN_SETSIGDEF);
    errno = posix_spawnp(&pid, argv[0], &files, &attr, argv, environ);
    if (errno) pid = -1;
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    close(input[1]);
    close(output[1]);
    *in = input[0];
    *out = output[0];
    if (pid < 0) {
        int code = errno;
        close(*in);
        close(*out);
        errno = code;
    }
    return pid;
}

typedef struct exchange {
    int in, out; /* -1: closed */
    const char *arguments;
    size_t written, bytes;
    cli_text *output;
    const tool_limits *limits;
    double deadline;
} exchange;

static void feed(exchange *x)
{
    ssize_t n =
        send(x->in, x->arguments + x->written, x->bytes - x->written, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) x->written += (size_t)n;
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (n > 0 && x->written < x->bytes) return;
    close(x->in);
    x->in = -1;
}

static void fetch(exchange *x)
{
    char piece[4096];
    ssize_t n = read(x->out, piece, sizeof piece);
    if (n > 0) cli_text_add(x->output, piece, (size_t)n);
    if (n > 0 || (n < 0 && errno == EINTR)) return;
    close(x->out);
    x->out = -1;
}

/* Feeds and reads until the output ends. -> NULL, or why it was stopped */
static const char *talk(exchange *x)
{
    while (x->out >= 0) {
        struct pollfd fds[3] = {{x->out, POLLIN, 0},
                                {x->in, POLLOUT, 0},
                                {interrupt_seen() ? -1 : interrupt_fd(), POLLIN, 0}};
        double left = x->deadline - now_s();
        if (interrupt_seen()) return "interrupted";
        if (left <= 0) return "its time is up";
        if (poll(fds, 3, (int)(left * 1000) + 1) < 0 && errno != EINTR) return "poll failed";
        if (fds[1].revents) feed(x);
        if (fds[0].revents) fetch(x);
        if (x->output->bytes > x->limits->output_bytes) return "it wrote too much";
    }
    return NULL;
}

/* Waits for the process, for as long as its time lasts. -> 1: it has ended */
static int wait_for(pid_t pid, double deadline, int *status)
{
    for (;;) {
        pid_t got = waitpid(pid, status, WNOHANG);
        struct timespec pause = {0, 5000000};
        if (got == pid || (got < 0 && errno != EINTR)) return 1;
        if (now_s() > deadline || interrupt_seen()) return 0;
        nanosleep(&pause, NULL);
    }
}

/* What the model is told: the output, and behind it what went wrong. */
static void run_command(char **argv, const char *arguments, const tool_limits *limits,
                        cli_text *output)
{
    exchange x = {.in = -1,
                  .out = -1,
                  .arguments = arguments,
                  .bytes = strlen(arguments),
                  .output = output,
                  .limits = limits,
                  .deadline = now_s() + limits->seconds};
    char said[200] = "";
    const char *stopped;
    int status = 0;
    pid_t pid = start(argv, &x.in, &x.out);
    cli_text_add(output, "", 0);
    if (pid < 0) {
        snprintf(said, sizeof said, "error: %.100s: %s", argv[0], strerror(errno));
        cli_text_add(output, said, strlen(said));
        return;
    }
    stopped = talk(&x);
    if (!stopped && !wait_for(pid, x.deadline, &status)) stopped = "its time is up";
    if (stopped) {
        kill(-pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    }
    if (x.in >= 0) close(x.in);
    if (x.out >= 0) close(x.out);
    if (output->bytes > limits->output_bytes)
        output->bytes = text_utf8_cut(output->data, output->bytes, limits->output_bytes);
    if (stopped)
        snprintf(said, sizeof said, "\n[stopped: %s]", stopped);
    else if (WIFSIGNALED(status))
        snprintf(said, sizeof said, "\n[ended by signal %d]", WTERMSIG(status));
    else if (WEXITSTATUS(status))
        snprintf(said, sizeof said, "\n[exit status %d]", WEXITSTATUS(status));
    cli_text_add(output, said, strlen(said));
}

/* ---- the loop ------------------------------------------------------------------------------- */

mlxe_status tool_runner_open(const char *path, const tool_limits *limits, tool_runner *out,
                             mlxe_error *err)
{
    cli_text text = {0};
    size_t i, n, commands = 0;
    yyjson_val *tool;
    *out = (tool_runner){.limits = *limits};
    mlxe_status status = text_file("--tools", path[0] == '@' ? path + 1 : path, &text, err);
    if (status == MLXE_OK)
        status = json_text_parse("--tools", text.data, text.bytes, &out->doc, err);
    yyjson_arr_foreach(status ? NULL : yyjson_doc_get_root(out->doc), i, n, tool)
    {
        commands += yyjson_obj_get(tool, "command") != NULL;
    }
    if (status == MLXE_OK && !commands)
        status = cli_error(err, MLXE_E_INPUT, "give tools a member \"command\": [\"PROGRAM\", ..]",
                           "--run-tools: %s: no tool has a command", path);
    cli_text_deinit(&text);
    return status;
}

void tool_runner_close(tool_runner *runner) { yyjson_doc_free(runner->doc); }

static yyjson_val *command_of(const tool_runner *runner, const char *name)
{
    size_t i, n;
    yyjson_val *tool;
    yyjson_arr_foreach(yyjson_doc_get_root(runner->doc), i, n, tool)
    {
        if (yyjson_equals_str(yyjson_obj_get(function_of(tool), "name"), name))
            return yyjson_obj_get(tool, "command");
    }
    return NULL;
}

static int all_commands(const tool_runner *runner, const tool_calls *calls)
{
    for (size_t i = 0; i < calls->n; i++)
        if (!command_of(runner, calls->v[i].name)) return 0;
    return calls->n > 0;
}

/* Runs a call and tells the session what came out. */
static mlxe_status answer_call(tool_runner *runner, mlxe_session *session, const tool_call *call,
                               mlxe_error *err)
{
    yyjson_val *command = command_of(runner, call->name), *word;
    size_t i, n, words = yyjson_is_arr(command) ? yyjson_arr_size(command) : 1, bytes;
    char **argv = cli_alloc((words + 1) * sizeof *argv);
    cli_text output = {0};
    argv[0] = (char *)yyjson_get_str(command);
    argv[words] = NULL;
    yyjson_arr_foreach(command, i, n, word) { argv[i] = (char *)yyjson_get_str(word); }
    run_command(argv, call->arguments, &runner->limits, &output);
    note("%s %s: %zu bytes", call->name, call->arguments, output.bytes);
    yyjson_mut_doc *doc = json_new();
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    yyjson_mut_obj_add_str(doc, root, "role", "tool");
    json_add_string(doc, root, "tool_call_id", call->id);
    json_add_string(doc, root, "name", call->name);
    yyjson_mut_obj_add_val(doc, root, "content", json_string(doc, output.data, output.bytes));
    char *message = yyjson_mut_write(doc, 0, &bytes);
    mlxe_status status = mlxe_session_add(session, message, bytes, err);
    free(message);
    yyjson_mut_doc_free(doc);
    cli_text_deinit(&output);
    free(argv);
    return status;
}

mlxe_status tool_answer(tool_runner *runner, mlxe_session *session, const gen_request *request,
                        gen_sink *sink, mlxe_error *err)
{
    gen_request next = *request;
    tool_calls calls = {0};
    mlxe_status status = MLXE_OK;
    sink->calls = &calls;
    for (int round = 0; status == MLXE_OK; round++) {
        mlxe_job *job;
        tool_calls_clear(&calls);
        sink->have_stats = 0;
        status = gen_start(session, &next, &job, err);
        if (status == MLXE_OK) status = gen_stream(job, sink, err);
        if (status || sink->stats.finish != MLXE_FINISH_TOOL_CALLS) break;
        if (interrupt_seen() || out_closed() || !all_commands(runner, &calls)) break;
        if (round + 1 > runner->limits.rounds) {
            note("tools were called in %d answers; --tool-rounds allows more",
                 runner->limits.rounds);
            break;
        }
        if (!sink->json) out_string("\n");
        out_flush();
        for (size_t i = 0; i < calls.n && status == MLXE_OK; i++)
            status = answer_call(runner, session, &calls.v[i], err);
        next.go_on = 1;
        next.prompt = NULL;
    }
    tool_calls_clear(&calls);
    sink->calls = NULL;
    return status;
}
