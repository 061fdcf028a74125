/* hub_job.c: jobs of the Hub as the command shows them.
 *
 *   PROGRESS -> a transient line on a terminal, or {"event":"progress",..} with --json
 *   RESULT   -> the verb        DONE -> the verb's answer */
#include "hub_job.h"

#include "interrupt.h"
#include "out.h"

#include <stdio.h>
#include <string.h>

mlxe_status hub_job_open(int insecure_token, mlxe_hub **out, mlxe_error *err)
{
    mlxe_hub_params params = mlxe_hub_params_new();
    params.log = out_log;
    params.insecure_token = insecure_token != 0;
    return mlxe_hub_open(&params, out, err);
}

const char *hub_job_bytes(double bytes, char *out, size_t capacity)
{
    static const char *const UNITS[] = {"B", "kB", "MB", "GB", "TB"};
    size_t unit = 0;
    while (bytes >= 1000 && unit < 4) {
        bytes /= 1000;
        unit++;
    }
    snprintf(out, capacity, unit && bytes < 100 ? "%.1f %s" : "%.0f %s", bytes, UNITS[unit]);
    return out;
}

static void show_line(const mlxe_event *e)
{
    char line[160], done[32], total[32], rate[32], left[40] = "";
    int percent = e->total ? (int)(e->done * 100 / e->total) : 100;
    if (e->left_s >= 0 && e->done < e->total && e->left_s < 360000)
        snprintf(left, sizeof left, ", %d:%02d left", (int)e->left_s / 60, (int)e->left_s % 60);
    snprintf(line, sizeof line, "%3d %%  %s of %s, %s/s%s", percent,
             hub_job_bytes((double)e->done, done, sizeof done),
             hub_job_bytes((double)e->total, total, sizeof total),
             hub_job_bytes(e->rate, rate, sizeof rate), left);
    progress_show(line);
}

static void print_progress(const mlxe_event *e)
{
    yyjson_mut_doc *doc = json_new();
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    yyjson_mut_obj_add_str(doc, root, "event", "progress");
    yyjson_mut_obj_add_uint(doc, root, "done_bytes", e->done);
    yyjson_mut_obj_add_uint(doc, root, "total_bytes", e->total);
    yyjson_mut_obj_add_real(doc, root, "bytes_per_second", e->rate);
    if (e->left_s >= 0)
        yyjson_mut_obj_add_real(doc, root, "seconds_left", e->left_s);
    else
        yyjson_mut_obj_add_null(doc, root, "seconds_left");
    json_print(doc);
    out_flush();
}

mlxe_status hub_job_run(const cli_call *call, mlxe_job *job, int lines, hub_result_fn fn,
                        void *user, cli_text *answer, mlxe_error *err)
{
    const mlxe_event *e;
    mlxe_status status;
    int cancelled = 0;
    interrupt_watch(job);
    while ((status = mlxe_job_next(job, -1, &e, err)) == MLXE_OK && e) {
        if (e->type == MLXE_EVENT_PROGRESS && call->json && lines)
            print_progress(e);
        else if (e->type == MLXE_EVENT_PROGRESS && !call->json)
            show_line(e);
        else if (e->type == MLXE_EVENT_RESULT && fn)
            fn(user, e->text, e->text_bytes);
        else if (e->type == MLXE_EVENT_DONE && e->stats->finish == MLXE_FINISH_CANCELLED)
            cancelled = 1;
        else if (e->type == MLXE_EVENT_DONE)
            cli_text_add(answer, e->text, e->text_bytes);
        if (out_closed()) mlxe_job_cancel(job);
    }
    progress_show(NULL);
    interrupt_unwatch(job);
    mlxe_job_close(job);
    if (cancelled) status = cli_error(err, MLXE_E_CANCELLED, NULL, "cancelled");
    return status;
}

static int show_answer(const cli_call *call, const cli_text *answer, hub_print_fn print)
{
    mlxe_error err;
    yyjson_doc *doc;
    if (call->json) {
        out_write(answer->data, answer->bytes);
        out_string("\n");
    }
    if (json_text_parse("the library's answer", answer->data, answer->bytes, &doc, &err))
        return cli_fail(call, &err);
    yyjson_val *root = yyjson_doc_get_root(doc), *ok = yyjson_obj_get(root, "ok");
    int code = ok && !yyjson_get_bool(ok) ? mlxe_status_exit(MLXE_E_CORRUPT) : CLI_EXIT_OK;
    if (!call->json) print(call, root);
    yyjson_doc_free(doc);
    return code;
}

int hub_job_verb(const cli_call *call, hub_start_fn start, hub_print_fn print)
{
    mlxe_error err;
    mlxe_hub *hub = NULL;
    mlxe_job *job;
    cli_text answer = {0};
    mlxe_status status = hub_job_open(0, &hub, &err);
    if (status == MLXE_OK) status = start(call, hub, &job, &err);
    if (status == MLXE_OK) status = hub_job_run(call, job, 0, NULL, NULL, &answer, &err);
    int code = status ? cli_fail(call, &err) : show_answer(call, &answer, print);
    cli_text_deinit(&answer);
    mlxe_hub_close(hub);
    return code;
}

const char *hub_job_removed(yyjson_val *answer, char *out, size_t capacity)
{
    yyjson_val *path;
    size_t i, n;
    yyjson_arr_foreach(yyjson_obj_get(answer, "removed"), i, n, path)
    {
        out_printf("%s\n", yyjson_get_str(path));
    }
    return hub_job_bytes(yyjson_get_num(yyjson_obj_get(answer, "bytes")), out, capacity);
}
