/* gc.c: `mlxengine gc`: removes from the cache what no revision shows. */
#include "args.h"
#include "hub_job.h"
#include "lines.h"
#include "out.h"

enum { GC_DRY_RUN, GC_COUNT };

static const cli_option OPTIONS[GC_COUNT] = {
    [GC_DRY_RUN] = {"dry-run", 0, CLI_FLAG, 0, 0, NULL, "only tell what would go"},
};

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
    note("%s %s", hub_job_bytes(yyjson_get_num(yyjson_obj_get(root, "bytes")), bytes, sizeof bytes),
         call->values[GC_DRY_RUN].set ? "could be freed" : "freed");
    yyjson_doc_free(doc);
    return CLI_EXIT_OK;
}

static int run(cli_call *call)
{
    mlxe_error err;
    mlxe_hub *hub = NULL;
    mlxe_job *job;
    cli_text answer = {0};
    mlxe_status status = hub_job_open(0, &hub, &err);
    if (status == MLXE_OK) status = mlxe_hub_collect(hub, call->values[GC_DRY_RUN].set, &job, &err);
    if (status == MLXE_OK) status = hub_job_run(call, job, 0, NULL, NULL, &answer, &err);
    int code = status ? cli_fail(call, &err) : print(call, &answer);
    cli_text_deinit(&answer);
    mlxe_hub_close(hub);
    return code;
}

const struct cli_verb verb_gc = {
    .name = "gc",
    .usage = "",
    .summary = "removes unreferenced files from the cache",
    .details =
        "What goes: blobs that no revision shows, and partial downloads that nobody touched for\n"
        "a day. What another process works on stays. --json prints one object.\n",
    .example = "  mlxengine gc --dry-run\n",
    .options = OPTIONS,
    .n_options = GC_COUNT,
    .max_args = 0,
    .run = run,
};
