/* verify.c: `mlxengine verify MODEL`: hashes every file of a model in the cache.
 *
 * Bad files are told on standard output and end in status 7; the job itself then did not fail. */
#include "args.h"
#include "hub_job.h"
#include "lines.h"
#include "out.h"

enum { VERIFY_REPAIR, VERIFY_COUNT };

static const cli_option OPTIONS[VERIFY_COUNT] = {
    [VERIFY_REPAIR] = {"repair", 0, CLI_FLAG, 0, 0, NULL, "fetch what is bad anew"},
};

static void print_text(yyjson_val *root)
{
    yyjson_val *item;
    size_t i, n;
    char bytes[32];
    yyjson_arr_foreach(yyjson_obj_get(root, "repaired"), i, n, item)
    {
        out_printf("repaired %s\n", yyjson_get_str(item));
    }
    yyjson_arr_foreach(yyjson_obj_get(root, "bad"), i, n, item)
    {
        out_printf("bad %s %s (%.8s)\n", yyjson_get_str(yyjson_obj_get(item, "path")),
                   yyjson_get_str(yyjson_obj_get(item, "problem")),
                   yyjson_get_str(yyjson_obj_get(item, "revision")));
    }
    note("%llu files, %s hashed, %zu bad, %llu without a known hash",
         (unsigned long long)yyjson_get_uint(yyjson_obj_get(root, "checked")),
         hub_job_bytes(yyjson_get_num(yyjson_obj_get(root, "bytes")), bytes, sizeof bytes),
         yyjson_arr_size(yyjson_obj_get(root, "bad")),
         (unsigned long long)yyjson_get_uint(yyjson_obj_get(root, "unverifiable")));
}

static int print(const cli_call *call, const cli_text *answer)
{
    mlxe_error err;
    yyjson_doc *doc;
    if (call->json) {
        out_write(answer->data, answer->bytes);
        out_string("\n");
    }
    if (json_text_parse("the library's answer", answer->data, answer->bytes, &doc, &err))
        return cli_fail(call, &err);
    yyjson_val *root = yyjson_doc_get_root(doc);
    int ok = yyjson_get_bool(yyjson_obj_get(root, "ok"));
    if (!call->json) print_text(root);
    yyjson_doc_free(doc);
    return ok ? CLI_EXIT_OK : mlxe_status_exit(MLXE_E_CORRUPT);
}

static int run(cli_call *call)
{
    mlxe_error err;
    mlxe_hub *hub = NULL;
    mlxe_job *job;
    cli_text answer = {0};
    int repair = call->values[VERIFY_REPAIR].set;
    if (call->n_args < 1) return cli_usage(call, "MODEL: is missing");
    mlxe_status status = hub_job_open(0, &hub, &err);
    if (status == MLXE_OK) status = mlxe_hub_verify(hub, call->args[0], repair, &job, &err);
    if (status == MLXE_OK) status = hub_job_run(call, job, 0, NULL, NULL, &answer, &err);
    int code = status ? cli_fail(call, &err) : print(call, &answer);
    cli_text_deinit(&answer);
    mlxe_hub_close(hub);
    return code;
}

const struct cli_verb verb_verify = {
    .name = "verify",
    .usage = "MODEL[@REV]",
    .summary = "hashes every file of a model in the cache",
    .details =
        "Each file's content is compared with the hash that the Hub gave for it. Bad files are\n"
        "named, and the exit status is 7; --repair fetches just those anew. Without --repair\n"
        "there is no network. --json prints one object.\n",
    .example = "  mlxengine verify mlx-community/Qwen3-0.6B-4bit --repair\n",
    .options = OPTIONS,
    .n_options = VERIFY_COUNT,
    .max_args = 1,
    .run = run,
};
