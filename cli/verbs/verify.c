/* verify.c: `mlxengine verify MODEL`: hashes every file of a model in the cache.
 *
 * Bad files are told on standard output and end in status 7; the job itself then did not fail. */
#include "args.h"
#include "hub_job.h"
#include "out.h"

enum { VERIFY_REPAIR, VERIFY_COUNT };

static const cli_option OPTIONS[VERIFY_COUNT] = {
    [VERIFY_REPAIR] = {"repair", 0, CLI_FLAG, 0, 0, NULL, "fetch what is bad anew"},
};

static mlxe_status start(const cli_call *call, mlxe_hub *hub, mlxe_job **out, mlxe_error *err)
{
    return mlxe_hub_verify(hub, call->args[0], call->values[VERIFY_REPAIR].set, out, err);
}

static void print(const cli_call *call, yyjson_val *root)
{
    yyjson_val *item;
    size_t i, n;
    char bytes[32];
    (void)call;
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

static int run(cli_call *call)
{
    if (call->n_args < 1) return cli_usage(call, "MODEL: is missing");
    return hub_job_verb(call, start, print);
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
