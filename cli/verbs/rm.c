/* rm.c: `mlxengine rm MODEL[@REV]`: takes a model, or one revision of it, out of the cache. */
#include "args.h"
#include "hub_job.h"
#include "out.h"

static mlxe_status start(const cli_call *call, mlxe_hub *hub, mlxe_job **out, mlxe_error *err)
{
    return mlxe_hub_remove(hub, call->args[0], out, err);
}

static void print(const cli_call *call, yyjson_val *answer)
{
    char bytes[32];
    (void)call;
    note("%s freed", hub_job_removed(answer, bytes, sizeof bytes));
}

static int run(cli_call *call)
{
    if (call->n_args < 1) return cli_usage(call, "MODEL: is missing");
    return hub_job_verb(call, start, print);
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
