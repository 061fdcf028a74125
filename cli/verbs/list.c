/* list.c: `mlxengine list`: what the Hub's cache holds. */
#include "args.h"
#include "hub_job.h"
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

static mlxe_status start(const cli_call *call, mlxe_hub *hub, mlxe_job **out, mlxe_error *err)
{
    (void)call;
    return mlxe_hub_list(hub, out, err);
}

static void print(const cli_call *call, yyjson_val *answer)
{
    yyjson_val *models = yyjson_obj_get(answer, "models"), *model;
    size_t i, n;
    (void)call;
    yyjson_arr_foreach(models, i, n, model) { print_model(model); }
    if (yyjson_arr_size(models) == 0) note("the cache is empty");
}

static int run(cli_call *call) { return hub_job_verb(call, start, print); }

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
