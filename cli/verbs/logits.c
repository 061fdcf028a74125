/* logits.c: `mlxengine logits MODEL --ids 1,2,3 -o F.safetensors`: one forward pass, all logits.
 *
 * Passes are independent; --lines loads the model once. */
#include "generate.h"
#include "lines.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

enum {
    LOGITS_IDS,
    LOGITS_OUTPUT,
    LOGITS_LINES,
    LOGITS_CONTEXT,
    LOGITS_THREADS,
    LOGITS_DEVICE,
    LOGITS_KV_TYPE,
    LOGITS_PRECISE,
    LOGITS_COUNT
};

static const cli_option OPTIONS[LOGITS_COUNT] = {
    [LOGITS_IDS] = {"ids", 0, CLI_TEXT, 0, 0, "1,2,3", "token ids (a list, @FILE or -)"},
    [LOGITS_OUTPUT] = {"output", 'o', CLI_TEXT, 0, 0, "F.safetensors", "the file to write"},
    [LOGITS_LINES] = {"lines", 0, CLI_FLAG, 0, 0, NULL, "JSON lines from standard input"},
    [LOGITS_CONTEXT] = GEN_ROW_CONTEXT,
    [LOGITS_THREADS] = GEN_ROW_THREADS,
    [LOGITS_DEVICE] = GEN_ROW_DEVICE,
    [LOGITS_KV_TYPE] = GEN_ROW_KV_TYPE,
    [LOGITS_PRECISE] = GEN_ROW_PRECISE,
};

static void print_saved(mlxe_model *model, size_t tokens, const char *path)
{
    yyjson_mut_doc *doc = json_new();
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    yyjson_mut_obj_add_bool(doc, root, "ok", true);
    yyjson_mut_obj_add_uint(doc, root, "tokens", tokens);
    yyjson_mut_obj_add_uint(doc, root, "vocab", mlxe_model_vocab(model));
    json_add_string(doc, root, "out", path);
    json_print(doc);
}

static mlxe_status answer_line(void *user, const cli_line *line, mlxe_error *err)
{
    mlxe_model *model = user;
    line_key keys[] = {{"ids", NULL}, {"out", NULL}};
    const char *path = NULL;
    size_t path_bytes = 0, n = 0;
    int32_t *ids = NULL;
    mlxe_status status = cli_line_keys(line, keys, 2, err);
    if (status == MLXE_OK) status = cli_line_text(line, &keys[1], &path, &path_bytes, err);
    if (status == MLXE_OK && (!path || path_bytes == 0 || strlen(path) != path_bytes))
        status = cli_error(err, MLXE_E_ARG, NULL, "%s: out: got %s, want a file's path",
                           line->where, path ? "no path" : "nothing");
    if (status == MLXE_OK) status = cli_line_ids(line, &keys[0], INT32_MAX, &ids, &n, err);
    if (status == MLXE_OK) status = mlxe_model_logits_save(model, ids, n, path, err);
    if (status == MLXE_OK) print_saved(model, n, path);
    free(ids);
    return status;
}

static int save_once(const cli_call *call, mlxe_model *model, const int32_t *ids, size_t n)
{
    mlxe_error err;
    const char *path = call->values[LOGITS_OUTPUT].s;
    if (mlxe_model_logits_save(model, ids, n, path, &err)) return cli_fail(call, &err);
    if (call->json) {
        print_saved(model, n, path);
    } else {
        out_string(path);
        out_printf(": logits f32 [%zu,%u]\n", n, mlxe_model_vocab(model));
    }
    return CLI_EXIT_OK;
}

static int run(cli_call *call)
{
    const cli_value *v = call->values;
    gen_model_options options = {.threads = &v[LOGITS_THREADS],
                                 .device = &v[LOGITS_DEVICE],
                                 .context = &v[LOGITS_CONTEXT],
                                 .kv_type = &v[LOGITS_KV_TYPE],
                                 .precise = &v[LOGITS_PRECISE],
                                 .parallel = 1};
    gen_model m = {0};
    mlxe_error err;
    cli_text text = {0};
    int32_t *ids = NULL;
    size_t n = 0;
    int code;
    mlxe_status status = MLXE_OK;
    if (call->n_args < 1) return cli_usage(call, "MODEL: is missing");
    if (call->lines && (v[LOGITS_IDS].set || v[LOGITS_OUTPUT].set))
        return cli_usage(call, "--lines: takes no --%s, the lines hold it",
                         v[LOGITS_IDS].set ? "ids" : "output");
    if (!call->lines && !v[LOGITS_IDS].set) return cli_usage(call, "--ids: is missing");
    if (!call->lines && (!v[LOGITS_OUTPUT].set || v[LOGITS_OUTPUT].n == 0))
        return cli_usage(call, "--output: -o F.safetensors is missing");
    if (!call->lines) status = text_input("--ids", v[LOGITS_IDS].s, &text, &err);
    if (status == MLXE_OK && !call->lines)
        status = text_ids("--ids", text.data, text.bytes, &ids, &n, &err);
    if (status == MLXE_OK) status = gen_model_open(call->args[0], &options, &m, &err);
    if (status)
        code = cli_fail(call, &err);
    else if (call->lines)
        code = lines_run(call, answer_line, m.model);
    else
        code = save_once(call, m.model, ids, n);
    gen_model_close(&m);
    cli_text_deinit(&text);
    free(ids);
    return code;
}

const struct cli_verb verb_logits = {
    .name = "logits",
    .usage = "MODEL --ids 1,2,3 -o F.safetensors",
    .summary = "all logits of one forward pass, as a file",
    .details = "Writes the tensor `logits`, f32 [tokens, vocabulary], with f32 activations.\n"
               "--json prints {\"ok\":true,\"tokens\":T,\"vocab\":V,\"out\":..}.\n"
               "--lines reads {\"ids\":[..],\"out\":\"F.safetensors\"} and answers each line like "
               "--json;\nthe model is loaded once, the passes are independent.\n",
    .example = "  mlxengine logits pocket-llm --ids 1,2,3 -o logits.safetensors\n",
    .options = OPTIONS,
    .n_options = LOGITS_COUNT,
    .max_args = 1,
    .run = run,
};
