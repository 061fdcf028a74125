/* rm.c: `mlxengine rm MODEL[@REV]`: takes a model, or one revision of it, out of the cache. */
#include "args.h"
#include "hub_job.h"
#include "lines.h"
#include "out.h"

static int print(const cli_call *call, const cli_text *answer)
{
    mlxe_error err;
    yyjson_doc *doc;
    char bytes[32];
    if (call->json) {
        out_write(answer->data, answer->bytes);
        out_string("\n");
        return CLI_EXIT_OK;
    }
    if (json_text_parse("the library's answer", answer->data, answer->bytes, &doc, &err))
        return cli_fail(call, &err);
    yyjson_val *root = yyjson_doc_get_root(doc), *path;
    size_t i, n;
    yyjson_arr_foreach(yyjson_obj_get(root, "removed"), i, n, path)
    {
        out_printf("%s\n", yyjson_get_str(path));
    }
    note("%s freed",
         hub_job_bytes(yyjson_get_num(yyjson_obj_get(root, "bytes")), bytes, sizeof bytes));
    yyjson_doc_free(doc);
    return CLI_EXIT_OK;
}

static int run(cli_call *call)
{
    mlxe_error err;
    mlxe_hub *hub = NULL;
    mlxe_job *job;
    cli_text answer = {0};
    if (call->n_args < 1) return cli_usage(call, "MODEL: is missing");
    mlxe_status status = hub_job_open(0, &hub, &err);
    if (status == MLXE_OK) status = mlxe_hub_remove(hub, call->args[0], &job, &err);
    if (status == MLXE_OK) status = hub_job_run(call, job, 0, NULL, NULL, &answer, &err);
    int code = status ? cli_fail(call, &err) : print(call, &answer);
    cli_text_deinit(&answer);
    mlxe_hub_close(hub);
    return code;
}

const struct cli_verb verb_rm = {
    .name = "rm",
    .usage = "MODEL[@REV]",
    .summary = "removes a model, or one revision of it, from the cache",
    .details =
        "MODEL is org/name as `mlxengine list` shows it. With @REV only that revision goes, and\n"
        "files that other revisions use stay. What another process is downloading stays too.\n",
    .example = "  mlxengine rm mlx-community/Qwen3-0.6B-4bit\n",
    .max_args = 1,
    .run = run,
};
