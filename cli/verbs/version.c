/* version.c: `mlxengine version`: build, MLX, CPU features, devices.
 *
 * An engine that cannot open here (no plugin, no device) is told, and is no failure of this verb:
 * people ask for the version to report just that. */
#include "describe.h"
#include "lines.h"

#include <string.h>

static int run(cli_call *call)
{
    mlxe_engine_params params = mlxe_engine_params_new();
    mlxe_engine *engine = NULL;
    mlxe_error err;
    yyjson_doc *about = NULL;
    char *json = NULL;
    params.log = out_log;
    mlxe_status status = mlxe_engine_open(&params, &engine, &err);
    if (status == MLXE_OK) status = mlxe_engine_describe(engine, &json, &err);
    if (status == MLXE_OK)
        status = json_text_parse("the library's description", json, strlen(json), &about, &err);
    yyjson_val *root = yyjson_doc_get_root(about);
    if (call->json) {
        yyjson_mut_doc *doc = json_new();
        yyjson_mut_val *out = yyjson_mut_doc_get_root(doc);
        size_t i, n;
        yyjson_val *key, *value;
        yyjson_mut_obj_add_str(doc, out, "version", mlxe_version());
        yyjson_obj_foreach(root, i, n, key, value)
        {
            if (!yyjson_equals_str(key, "version"))
                yyjson_mut_obj_add(out, yyjson_val_mut_copy(doc, key),
                                   yyjson_val_mut_copy(doc, value));
        }
        if (status) json_add_string(doc, out, "engine_error", err.message);
        json_print(doc);
    } else {
        out_printf("%s %s\n", CLI_NAME, mlxe_version());
        if (status)
            note("version: no engine: %s", err.message);
        else
            describe_print(root, "version");
    }
    yyjson_doc_free(about);
    mlxe_string_free(json);
    mlxe_engine_close(engine);
    return CLI_EXIT_OK;
}

const struct cli_verb verb_version = {
    .name = "version",
    .usage = "",
    .summary = "version, MLX, CPU features, devices",
    .details = "--json prints one object.\n",
    .example = "  mlxengine version --json\n",
    .max_args = 0,
    .run = run,
};
