/* pull.c: `mlxengine pull MODEL`: fetches a model of the Hub into the cache. */
#include "args.h"
#include "hub_job.h"
#include "lines.h"
#include "out.h"

#include <stdio.h>
#include <string.h>

enum {
    PULL_REVISION,
    PULL_INCLUDE,
    PULL_EXCLUDE,
    PULL_FORCE,
    PULL_FROM,
    PULL_LOCAL_DIR,
    PULL_INSECURE,
    PULL_COUNT
};

static const cli_option OPTIONS[PULL_COUNT] = {
    [PULL_REVISION] = {"revision", 0, CLI_TEXT, 0, 0, "REV",
                       "branch, tag or commit (default main)"},
    [PULL_INCLUDE] = {"include", 0, CLI_TEXTS, 0, 0, "GLOB",
                      "only files whose path fits; repeatable; * matches / too"},
    [PULL_EXCLUDE] = {"exclude", 0, CLI_TEXTS, 0, 0, "GLOB", "no file whose path fits; repeatable"},
    [PULL_FORCE] = {"force", 0, CLI_FLAG, 0, 0, NULL, "fetch again what is there"},
    [PULL_FROM] = {"from", 0, CLI_TEXT, 0, 0, "DIR",
                   "link files of DIR that have the right hash instead of fetching them"},
    [PULL_LOCAL_DIR] = {"local-dir", 0, CLI_TEXT, 0, 0, "DIR",
                        "put the files into DIR under their own names, not into the cache"},
    [PULL_INSECURE] = {"insecure-token", 0, CLI_FLAG, 0, 0, NULL,
                       "send the token over plain http too"},
};

/* The done line: the library's object with "event" before it. */
static int finish(const cli_call *call, const cli_text *answer)
{
    yyjson_doc *doc;
    yyjson_val *root;
    const char *path;
    char bytes[32], came[32];
    if (call->json) {
        out_string("{\"event\":\"done\",");
        out_write(answer->data + 1, answer->bytes - 1);
        out_string("\n");
        return CLI_EXIT_OK;
    }
    doc = yyjson_read(answer->data, answer->bytes, 0);
    root = yyjson_doc_get_root(doc);
    note("%s in %llu files, %s fetched%s",
         hub_job_bytes(yyjson_get_num(yyjson_obj_get(root, "bytes")), bytes, sizeof bytes),
         (unsigned long long)yyjson_get_uint(yyjson_obj_get(root, "files")),
         hub_job_bytes(yyjson_get_num(yyjson_obj_get(root, "downloaded_bytes")), came, sizeof came),
         yyjson_get_bool(yyjson_obj_get(root, "from_cache")) ? " (from the cache)" : "");
    path = yyjson_get_str(yyjson_obj_get(root, "path"));
    out_printf("%s\n", path ? path : "");
    yyjson_doc_free(doc);
    return CLI_EXIT_OK;
}

static mlxe_status start(const cli_call *call, mlxe_hub *hub, mlxe_job **job, mlxe_error *err)
{
    const cli_value *v = call->values;
    mlxe_pull_params params = mlxe_pull_params_new();
    cli_text name = {0};
    mlxe_status status;
    params.force = v[PULL_FORCE].set;
    if (v[PULL_FROM].set) params.from = v[PULL_FROM].s;
    if (v[PULL_LOCAL_DIR].set) params.local_dir = v[PULL_LOCAL_DIR].s;
    params.include = v[PULL_INCLUDE].list;
    params.n_include = (uint32_t)v[PULL_INCLUDE].n;
    params.exclude = v[PULL_EXCLUDE].list;
    params.n_exclude = (uint32_t)v[PULL_EXCLUDE].n;
    cli_text_add(&name, call->args[0], strlen(call->args[0]));
    if (v[PULL_REVISION].set) {
        cli_text_add(&name, "@", 1);
        cli_text_add(&name, v[PULL_REVISION].s, strlen(v[PULL_REVISION].s));
    }
    status = mlxe_hub_pull(hub, name.data, &params, job, err);
    cli_text_deinit(&name);
    return status;
}

static int run(cli_call *call)
{
    mlxe_error err;
    mlxe_hub *hub = NULL;
    mlxe_job *job;
    cli_text answer = {0};
    mlxe_status status;
    int code;
    if (call->n_args < 1) return cli_usage(call, "MODEL: is missing");
    if (call->values[PULL_REVISION].set && strchr(call->args[0], '@'))
        return cli_usage(call, "--revision: MODEL names one already");
    status = hub_job_open(call->values[PULL_INSECURE].set, &hub, &err);
    if (status == MLXE_OK) status = start(call, hub, &job, &err);
    if (status == MLXE_OK) status = hub_job_run(call, job, 1, NULL, NULL, &answer, &err);
    code = status ? cli_fail(call, &err) : finish(call, &answer);
    cli_text_deinit(&answer);
    mlxe_hub_close(hub);
    return code;
}

const struct cli_verb verb_pull = {
    .name = "pull",
    .usage = "MODEL",
    .summary = "fetches a model of the Hub, verified, resuming what was begun",
    .details =
        "MODEL is org/name[@revision]. The files go to the cache that Python's huggingface_hub\n"
        "uses too; each is checked against the Hub's hash. Standard output gets the folder's\n"
        "path, or with --json lines of progress and a last {\"event\":\"done\",..}.\n"
        "Files that LM Studio, Ollama or --from DIR have already are linked, not fetched.\n"
        "--local-dir DIR is huggingface_hub's local_dir: plain files that one may edit, with\n"
        "what both programs know of them in DIR/.cache/huggingface. A later pull brings DIR up\n"
        "to date; a file that was edited is hashed, and replaced unless it is what the Hub has.\n",
    .example = "  mlxengine pull mlx-community/Qwen3-0.6B-4bit --exclude '*.md'\n",
    .options = OPTIONS,
    .n_options = PULL_COUNT,
    .max_args = 1,
    .run = run,
};
