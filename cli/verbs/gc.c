/* gc.c: `mlxengine gc`: removes from the cache what no revision shows. */
#include "args.h"
#include "hub_job.h"
#include "out.h"

enum { GC_DRY_RUN, GC_COUNT };

static const cli_option OPTIONS[GC_COUNT] = {
    [GC_DRY_RUN] = {"dry-run", 0, CLI_FLAG, 0, 0, NULL, "only tell what would go"},
};

static mlxe_status start(const cli_call *call, mlxe_hub *hub, mlxe_job **out, mlxe_error *err)
{
    return mlxe_hub_collect(hub, call->values[GC_DRY_RUN].set, out, err);
}

static void print(const cli_call *call, yyjson_val *answer)
{
    char bytes[32];
    note("%s %s", hub_job_removed(answer, bytes, sizeof bytes),
         call->values[GC_DRY_RUN].set ? "could be freed" : "freed");
}

static int run(cli_call *call) { return hub_job_verb(call, start, print); }

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
