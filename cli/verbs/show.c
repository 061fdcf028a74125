/* show.c: `mlxengine show MODEL`: what a model folder holds, without loading weights. */
#include "describe.h"
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

static int run(cli_call *call)
{
    mlxe_error err;
    char *json = NULL;
    int code = CLI_EXIT_OK;
    if (call->n_args < 1) return cli_usage(call, "MODEL: is missing");
    mlxe_status status = cli_model_check(call->args[0], &err);
    if (status == MLXE_OK) status = mlxe_model_describe(call->args[0], &json, &err);
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
        "Reads the folder's configuration and file headers; loads no weights. --json prints\n"
        "one object.\n",
    .example = "  mlxengine show pocket-llm\n",
    .max_args = 1,
    .run = run,
};
