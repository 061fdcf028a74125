/* list.c: `mlxengine list`: what the Hub's cache holds. */
#include "args.h"
#include "hub_job.h"
#include "lines.h"
#include "out.h"

#include <stdio.h>
#include <string.h>

static void print_model(yyjson_val *model)
{
    char bytes[32], revision[48] = "";
    yyjson_val *refs = yyjson_obj_get(model, "refs"), *key, *commit;
    size_t i, n;
    const char *type = yyjson_get_str(yyjson_obj_get(model, "type"));
    yyjson_obj_foreach(refs, i, n, key, commit)
    {
        if (i == 0) snprintf(revision, sizeof revision, "%.40s", yyjson_get_str(key));
    }
    size_t revisions = yyjson_arr_size(yyjson_obj_get(model, "revisions"));
    out_printf("%-10s %-6s %2zu revision%s  %s%s%s\n",
               hub_job_bytes(yyjson_get_num(yyjson_obj_get(model, "bytes")), bytes, sizeof bytes),
               revision, revisions, revisions == 1 ? " " : "s",
               yyjson_get_str(yyjson_obj_get(model, "id")),
               type && strcmp(type, "model") != 0 ? "  " : "",
               type && strcmp(type, "model") != 0 ? type : "");
}

static int print(const cli_call *call, const cli_text *answer)
{
    mlxe_error err;
    yyjson_doc *doc;
    yyjson_val *model;
    size_t i, n;
    if (call->json) {
        out_write(answer->data, answer->bytes);
        out_string("\n");
        return CLI_EXIT_OK;
    }
    if (json_text_parse("the library's answer", answer->data, answer->bytes, &doc, &err))
        return cli_fail(call, &err);
    yyjson_val *models = yyjson_obj_get(yyjson_doc_get_root(doc), "models");
    yyjson_arr_foreach(models, i, n, model) { print_model(model); }
    if (yyjson_arr_size(models) == 0) note("the cache is empty");
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
    if (status == MLXE_OK) status = mlxe_hub_list(hub, &job, &err);
    if (status == MLXE_OK) status = hub_job_run(call, job, 0, NULL, NULL, &answer, &err);
    int code = status ? cli_fail(call, &err) : print(call, &answer);
    cli_text_deinit(&answer);
    mlxe_hub_close(hub);
    return code;
}

const struct cli_verb verb_list = {
    .name = "list",
    .usage = "",
    .summary = "the models in the cache, with their sizes",
    .details = "The cache is the one that Python's huggingface_hub uses: HF_HUB_CACHE, else\n"
               "$HF_HOME/hub. --json prints one object.\n",
    .example = "  mlxengine list --json\n",
    .max_args = 0,
    .run = run,
};
