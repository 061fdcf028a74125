/* show.c: `mlxengine show MODEL`: what a folder or a Hub id holds, without loading weights. */
#include "describe.h"
#include "hub_job.h"
#include "lines.h"

#include <string.h>

static int print_description(const cli_call *call, char *json)
{
    mlxe_error err;
    yyjson_doc *doc;
    if (json_text_parse("the library's description", json, strlen(json), &doc, &err))
        return cli_fail(call, &err);
    describe_print(yyjson_doc_get_root(doc), NULL);
    yyjson_doc_free(doc);
    return CLI_EXIT_OK;
}

/* A Hub id: what the cache or the Hub knows of it. Anything else is described from its folder. */
static mlxe_status describe(const cli_call *call, char **out, mlxe_error *err)
{
    const char *name = call->args[0];
    mlxe_hub *hub = NULL;
    mlxe_job *job;
    cli_text answer = {0};
    mlxe_status status;
    if (!mlxe_is_hub_id(name)) return mlxe_model_describe(name, out, err);
    status = hub_job_open(0, &hub, err);
    if (status == MLXE_OK) status = mlxe_hub_describe(hub, name, &job, err);
    if (status == MLXE_OK) status = hub_job_run(call, job, 0, NULL, NULL, &answer, err);
    mlxe_hub_close(hub);
    if (status)
        cli_text_deinit(&answer);
    else
        *out = answer.data;
    return status;
}

static int run(cli_call *call)
{
    mlxe_error err;
    char *json = NULL;
    int code = CLI_EXIT_OK;
    if (call->n_args < 1) return cli_usage(call, "MODEL: is missing");
    mlxe_status status = cli_model_check(call->args[0], &err);
    if (status == MLXE_OK) status = describe(call, &json, &err);
    if (status) {
        code = cli_fail(call, &err);
    } else if (call->json) {
        out_string(json);
        out_string("\n");
    } else {
        code = print_description(call, json);
    }
    mlxe_string_free(json);
    return code;
}

const struct cli_verb verb_show = {
    .name = "show",
    .usage = "MODEL",
    .summary = "what a model is: kind, size, quantisation, files",
    .details =
        "Reads the folder's configuration and file headers; loads no weights. A Hub id is\n"
        "described from the cache, else from the Hub without fetching weights. --json prints\n"
        "one object.\n",
    .example = "  mlxengine show pocket-llm\n",
    .max_args = 1,
    .run = run,
};
