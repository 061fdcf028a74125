/* bench.c: `mlxengine bench MODEL`: prefill and decode speed, load time, memory, and what share of
 * the machine's limits that is.
 *
 * A process has one set of compute threads, so each count of --threads LIST is measured in a child
 * of its own, forked before the library has started anything; the child sends one tagged message
 * through a pipe: a report, an error, or nothing when Ctrl-C ended it. */
#include "generate.h"
#include "interrupt.h"
#include "lines.h"
#include "text.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    BENCH_PROMPT,
    BENCH_GEN,
    BENCH_DEPTH,
    BENCH_ROWS,
    BENCH_REPEAT,
    BENCH_THREADS,
    BENCH_DEVICE,
    BENCH_KV_TYPE,
    BENCH_PRECISE,
    BENCH_COUNT
};

enum { MAX_COUNTS = 64, MAX_THREADS = 1024 };

static const cli_option OPTIONS[BENCH_COUNT] = {
    [BENCH_PROMPT] = {"prompt", 0, CLI_INT, 0, 2147483647.0, "N",
                      "tokens of the prefill; 0: none (default 512, less if the context is less)"},
    [BENCH_GEN] = {"gen", 0, CLI_INT, 0, 2147483647.0, "N",
                   "tokens decoded in each row; 0: none (default 64)"},
    [BENCH_DEPTH] = {"depth", 0, CLI_INT, 1, 2147483647.0, "N",
                     "tokens in the KV cache before the decode (default 128)"},
    [BENCH_ROWS] = {"rows", 0, CLI_INT, 1, 256, "N",
                    "rows decoded in one batch, of different lengths (default 1)"},
    [BENCH_REPEAT] = {"repeat", 0, CLI_INT, 1, 100, "N",
                      "rounds of everything, the best counts (default 3)"},
    [BENCH_THREADS] = {"threads", 0, CLI_TEXT, 0, 0, "LIST",
                       "counts of CPU threads: 1,2,4 (default: MLXE_THREADS, else what is free)"},
    [BENCH_DEVICE] = GEN_ROW_DEVICE,
    [BENCH_KV_TYPE] = GEN_ROW_KV_TYPE,
    [BENCH_PRECISE] = GEN_ROW_PRECISE,
};

/* ---- one thread count ------------------------------------------------------------------------ */

static int32_t size_or_off(const cli_value *v)
{
    if (!v->set) return 0;
    return v->i ? (int32_t)v->i : MLXE_OFF;
}

static mlxe_status start(const cli_call *call, mlxe_engine *engine, mlxe_job **job, mlxe_error *err)
{
    const cli_value *v = call->values;
    mlxe_model_params model = mlxe_model_params_new();
    mlxe_bench_params params = mlxe_bench_params_new();
    model.kv_type = gen_kv_type(&v[BENCH_KV_TYPE]);
    model.precision = gen_precision(&v[BENCH_PRECISE]);
    params.prompt_tokens = size_or_off(&v[BENCH_PROMPT]);
    params.gen_tokens = size_or_off(&v[BENCH_GEN]);
    params.depth_tokens = v[BENCH_DEPTH].set ? (uint32_t)v[BENCH_DEPTH].i : 0;
    params.rows = v[BENCH_ROWS].set ? (uint32_t)v[BENCH_ROWS].i : 0;
    params.repeat = v[BENCH_REPEAT].set ? (uint32_t)v[BENCH_REPEAT].i : 0;
    return mlxe_bench_start(engine, call->args[0], &model, &params, job, err);
}

/* threads 0: the default. report stays empty when Ctrl-C ended it. */
static mlxe_status measure(const cli_call *call, uint32_t threads, cli_text *report,
                           mlxe_error *err)
{
    mlxe_engine_params params = mlxe_engine_params_new();
    mlxe_engine *engine = NULL;
    mlxe_job *job = NULL;
    const mlxe_event *e;
    mlxe_status status;
    params.log = out_log;
    params.threads = threads;
    if (call->values[BENCH_DEVICE].set) params.device = call->values[BENCH_DEVICE].s;
    if ((status = mlxe_engine_open(&params, &engine, err))) return status;
    status = start(call, engine, &job, err);
    if (status == MLXE_OK) {
        interrupt_watch(job);
        while ((status = mlxe_job_next(job, -1, &e, err)) == MLXE_OK && e)
            if (e->type == MLXE_EVENT_DONE && e->stats->finish != MLXE_FINISH_CANCELLED)
                cli_text_add(report, e->text, e->text_bytes);
        interrupt_unwatch(job);
        mlxe_job_close(job);
    }
    mlxe_engine_close(engine);
    return status;
}

/* ---- a child for each count ------------------------------------------------------------------ */

static int write_all(int fd, const void *p, size_t n)
{
    const char *at = p;
    while (n > 0) {
        ssize_t done = write(fd, at, n);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return 0;
        at += done;
        n -= (size_t)done;
    }
    return 1;
}

static void child_main(const cli_call *call, uint32_t threads, int fd)
{
    cli_text report = {0};
    mlxe_error err = {0};
    mlxe_status status = measure(call, threads, &report, &err);
    int ok = status ? write_all(fd, "E", 1) && write_all(fd, &err, sizeof err)
                    : !report.bytes ||
                          (write_all(fd, "R", 1) && write_all(fd, report.data, report.bytes));
    _exit(ok ? 0 : 1);
}

/* Until the child has closed its end; Ctrl-C that reached this process alone is handed on. */
static void read_all(int fd, pid_t child, cli_text *out)
{
    char piece[4096];
    struct pollfd fds[2] = {{fd, POLLIN, 0}, {interrupt_fd(), POLLIN, 0}};
    for (;;) {
        ssize_t n;
        if (poll(fds, fds[1].fd < 0 ? 1 : 2, -1) < 0 && errno != EINTR) return;
        if (interrupt_seen() && fds[1].fd >= 0) {
            kill(child, SIGINT);
            fds[1].fd = -1;
        }
        if (!fds[0].revents) continue;
        n = read(fd, piece, sizeof piece);
        if (n > 0)
            cli_text_add(out, piece, (size_t)n);
        else if (n == 0 || errno != EINTR)
            return;
    }
}

static mlxe_status measure_apart(const cli_call *call, uint32_t threads, cli_text *report,
                                 mlxe_error *err)
{
    cli_text message = {0};
    mlxe_status status = MLXE_OK;
    int pipes[2], how = 0;
    pid_t pid;
    if (pipe(pipes)) return cli_error(err, MLXE_E_IO, NULL, "bench: pipe: %s", strerror(errno));
    out_flush();
    pid = fork();
    if (pid == 0) {
        close(pipes[0]);
        child_main(call, threads, pipes[1]);
    }
    close(pipes[1]);
    if (pid > 0) read_all(pipes[0], pid, &message);
    close(pipes[0]);
    if (pid < 0) return cli_error(err, MLXE_E_IO, NULL, "bench: fork: %s", strerror(errno));
    while (waitpid(pid, &how, 0) < 0 && errno == EINTR)
        ;
    if (message.bytes == 1 + sizeof *err && message.data[0] == 'E') {
        memcpy(err, message.data + 1, sizeof *err);
        status = err->code;
    } else if (message.bytes > 1 && message.data[0] == 'R') {
        cli_text_add(report, message.data + 1, message.bytes - 1);
    } else if (!interrupt_seen()) {
        status = cli_error(err, MLXE_E_INTERNAL, NULL,
                           "bench: the child of %u threads ended with wait status %d and no report",
                           threads, how);
    }
    cli_text_deinit(&message);
    return status;
}

/* ---- what is printed ------------------------------------------------------------------------- */

/* Numbers are kept as their text by the command's parser. */
static double real(yyjson_val *o, const char *key)
{
    yyjson_val *v = yyjson_obj_get(o, key);
    double out = 0;
    if (!text_float(yyjson_get_raw(v), yyjson_get_len(v), &out)) return 0;
    return out;
}

static void print_text(yyjson_val *r)
{
    yyjson_val *load = yyjson_obj_get(r, "load"), *limits = yyjson_obj_get(r, "limits"),
               *prefill = yyjson_obj_get(r, "prefill"), *decode = yyjson_obj_get(r, "decode"),
               *memory = yyjson_obj_get(r, "memory");
    out_string(yyjson_get_str(yyjson_obj_get(r, "model")));
    out_printf(", %s, %.0f threads, best of %.0f\n", yyjson_get_str(yyjson_obj_get(r, "kernels")),
               real(r, "threads"), real(r, "repeat"));
    out_printf("  machine  reads %.2f GB/s; %.1f GFLOP/s in f32, %.1f GOP/s in int8\n",
               real(limits, "read_gbps"), real(limits, "f32_gflops"), real(limits, "int8_gops"));
    out_printf("  load     %.1f ms to the first token: engine %.1f, model %.1f, token %.1f\n",
               real(load, "total_ms"), real(load, "engine_ms"), real(load, "open_ms"),
               real(load, "first_token_ms"));
    if (prefill)
        out_printf("  prefill  %.0f tokens: %.2f tokens/s (median %.2f), %.1f GFLOP/s, %.0f %% of "
                   "the f32 peak, %.0f %% of int8's\n",
                   real(prefill, "tokens"), real(prefill, "tps"), real(prefill, "median_tps"),
                   real(prefill, "gflops"), 100 * real(prefill, "f32_peak_share"),
                   100 * real(prefill, "int8_peak_share"));
    if (decode)
        out_printf("  decode   %.0f tokens after %.0f, %.0f row(s): %.2f tokens/s (median %.2f); "
                   "a step %.3f ms, %.1f MB, %.2f GB/s, %.0f %% of reading\n",
                   real(decode, "tokens"), real(decode, "depth"), real(decode, "rows"),
                   real(decode, "tps"), real(decode, "median_tps"), real(decode, "step_ms"),
                   (real(decode, "weight_bytes_per_step") + real(decode, "kv_bytes_per_step")) /
                       1e6,
                   real(decode, "gbps"), 100 * real(decode, "bandwidth_share"));
    out_printf("  memory   %.1f MB anonymous, %.1f MB of files: %.1f MB over the weights' %.1f; KV "
               "cache of %.1f MB\n",
               real(memory, "anonymous_bytes") / 1e6, real(memory, "file_bytes") / 1e6,
               real(memory, "over_weights_bytes") / 1e6, real(memory, "weight_bytes") / 1e6,
               real(memory, "kv_cache_bytes") / 1e6);
    out_flush();
}

static void print_json(const cli_call *call, const cli_text *reports, size_t n)
{
    yyjson_mut_doc *doc = json_new();
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc), *results = yyjson_mut_arr(doc);
    json_add_string(doc, root, "model", call->args[0]);
    for (size_t i = 0; i < n; i++)
        if (reports[i].bytes)
            yyjson_mut_arr_append(results, yyjson_mut_rawn(doc, reports[i].data, reports[i].bytes));
    yyjson_mut_obj_add_val(doc, root, "results", results);
    json_print(doc);
}

/* ---- the verb -------------------------------------------------------------------------------- */

/* "1,2,4" -> counts. */
static mlxe_status counts_read(const cli_value *list, uint32_t *counts, size_t *n, mlxe_error *err)
{
    int32_t *ids = NULL;
    size_t found = 0;
    mlxe_status status = MLXE_OK;
    counts[0] = 0;
    *n = 1;
    if (!list->set) return MLXE_OK;
    if (text_ids("--threads", list->s, list->n, &ids, &found, err) || !found || found > MAX_COUNTS)
        status =
            cli_error(err, MLXE_E_ARG, NULL, "--threads: got %s, want a list like 1,2,4", list->s);
    for (size_t i = 0; i < found && !status; i++) {
        counts[i] = (uint32_t)ids[i];
        if (ids[i] < 1 || ids[i] > MAX_THREADS)
            status = cli_error(err, MLXE_E_ARG, NULL, "--threads: got %d, want 1 to %d", ids[i],
                               MAX_THREADS);
    }
    if (!status) *n = found;
    free(ids);
    return status;
}

static int print_report(const cli_text *report, mlxe_error *err)
{
    yyjson_doc *doc;
    mlxe_status status =
        json_text_parse("the library's report", report->data, report->bytes, &doc, err);
    if (status) return status;
    print_text(yyjson_doc_get_root(doc));
    yyjson_doc_free(doc);
    return MLXE_OK;
}

static int run(cli_call *call)
{
    uint32_t counts[MAX_COUNTS];
    cli_text reports[MAX_COUNTS] = {{0}};
    mlxe_error err;
    size_t n = 0, done = 0;
    mlxe_status status;
    if (call->n_args < 1) return cli_usage(call, "MODEL: is missing");
    status = counts_read(&call->values[BENCH_THREADS], counts, &n, &err);
    if (!status) status = cli_model_check(call->args[0], &err);
    interrupt_hold();
    for (; done < n && !status && !interrupt_seen(); done++) {
        status = n == 1 ? measure(call, counts[done], &reports[done], &err)
                        : measure_apart(call, counts[done], &reports[done], &err);
        if (!status && reports[done].bytes && !call->json)
            status = print_report(&reports[done], &err);
    }
    if (!status && call->json) print_json(call, reports, done);
    out_flush();
    for (size_t i = 0; i < n; i++)
        cli_text_deinit(&reports[i]);
    interrupt_release();
    return status ? cli_fail(call, &err) : CLI_EXIT_OK;
}

const struct cli_verb verb_bench = {
    .name = "bench",
    .usage = "MODEL",
    .summary = "prefill and decode speed, memory, bandwidth share",
    .details =
        "Measures, in interleaved rounds, the time from nothing to the first token, prefill and\n"
        "decode tokens/s, and what the machine can do in the same run with the same threads:\n"
        "summing the mapped weights, and multiply-adds on registers. --threads 1,2 measures each\n"
        "count in a process of its own. --json prints {\"model\":..,\"results\":[..]}, a result "
        "for\n"
        "each count. Other work on the machine only makes figures worse: take them when it is "
        "idle.\n",
    .example = "  mlxengine bench pocket-llm --prompt 128 --gen 32 --threads 1,2\n",
    .options = OPTIONS,
    .n_options = BENCH_COUNT,
    .max_args = 1,
    .run = run,
};
