/* search.c: `mlxengine search [QUERY]`: models of the Hub. */
#include "args.h"
#include "hub_job.h"
#include "lines.h"
#include "out.h"

#include <stdio.h>
#include <string.h>

enum {
    SEARCH_TASK,
    SEARCH_LIBRARY,
    SEARCH_AUTHOR,
    SEARCH_FILTER,
    SEARCH_SORT,
    SEARCH_LIMIT,
    SEARCH_FITS,
    SEARCH_MEMORY,
    SEARCH_INSECURE,
    SEARCH_COUNT
};

static const cli_option OPTIONS[SEARCH_COUNT] = {
    [SEARCH_TASK] = {"task", 0, CLI_TEXT, 0, 0, "TASK", "the Hub's task, as text-generation"},
    [SEARCH_LIBRARY] = {"library", 0, CLI_TEXT, 0, 0, "NAME", "made for that library, as mlx"},
    [SEARCH_AUTHOR] = {"author", 0, CLI_TEXT, 0, 0, "NAME", "of that person or organisation"},
    [SEARCH_FILTER] = {"filter", 0, CLI_TEXTS, 0, 0, "TAG", "with that tag; repeatable"},
    [SEARCH_SORT] = {"sort", 0, CLI_CHOICE, 0, 0,
                     "downloads|likes|lastModified|createdAt|trendingScore",
                     "descending (default downloads)"},
    [SEARCH_LIMIT] = {"limit", 0, CLI_INT, 1, 100000, "N", "at most so many (default 20)"},
    [SEARCH_FITS] = {"fits", 0, CLI_FLAG, 0, 0, NULL,
                     "only models that fit into this machine's memory"},
    [SEARCH_MEMORY] = {"memory", 0, CLI_NUMBER, 0.001, 1e6, "GB",
                       "with --fits: the memory of another machine"},
    [SEARCH_INSECURE] = {"insecure-token", 0, CLI_FLAG, 0, 0, NULL,
                         "send the token over plain http too"},
};

static void print_row(const char *json, size_t bytes)
{
    yyjson_doc *doc = yyjson_read(json, bytes, 0);
    yyjson_val *root = yyjson_doc_get_root(doc);
    const char *id = yyjson_get_str(yyjson_obj_get(root, "id")),
               *task = yyjson_get_str(yyjson_obj_get(root, "task"));
    yyjson_val *gated = yyjson_obj_get(root, "gated"), *need = yyjson_obj_get(root, "need_bytes"),
               *mirrored = yyjson_obj_get(root, "mirrored");
    char line[400], size[32] = "";
    if (need) hub_job_bytes(yyjson_get_num(need), size, sizeof size);
    snprintf(line, sizeof line, "%-60s %12lld  %s%s%s%s%s", id ? id : "",
             (long long)yyjson_get_sint(yyjson_obj_get(root, "downloads")), task ? task : "",
             need ? "  needs " : "", size,
             yyjson_is_str(gated) || yyjson_get_bool(gated) ? "  (gated)" : "",
             mirrored && !yyjson_get_bool(mirrored) ? "  (upstream)" : "");
    out_model_text(line, strlen(line));
    out_string("\n");
    yyjson_doc_free(doc);
}

static void on_result(void *user, const char *json, size_t bytes)
{
    const cli_call *call = user;
    if (call->json) {
        out_write(json, bytes);
        out_string("\n");
    } else {
        print_row(json, bytes);
    }
}

static mlxe_status start(const cli_call *call, mlxe_hub *hub, mlxe_job **job, mlxe_error *err)
{
    const cli_value *v = call->values;
    mlxe_search_params params = mlxe_search_params_new();
    if (call->n_args) params.text = call->args[0];
    if (v[SEARCH_TASK].set) params.task = v[SEARCH_TASK].s;
    if (v[SEARCH_LIBRARY].set) params.library = v[SEARCH_LIBRARY].s;
    if (v[SEARCH_AUTHOR].set) params.author = v[SEARCH_AUTHOR].s;
    if (v[SEARCH_SORT].set) params.sort = v[SEARCH_SORT].s;
    if (v[SEARCH_LIMIT].set) params.limit = (uint32_t)v[SEARCH_LIMIT].i;
    params.fits = v[SEARCH_FITS].set;
    if (v[SEARCH_MEMORY].set) params.memory_bytes = (uint64_t)(v[SEARCH_MEMORY].f * 1e9);
    params.filters = v[SEARCH_FILTER].list;
    params.n_filters = (uint32_t)v[SEARCH_FILTER].n;
    return mlxe_hub_search(hub, &params, job, err);
}

static int run(cli_call *call)
{
    mlxe_error err;
    mlxe_hub *hub = NULL;
    mlxe_job *job;
    cli_text answer = {0};
    mlxe_status status;
    if (call->values[SEARCH_MEMORY].set && !call->values[SEARCH_FITS].set)
        return cli_usage(call, "--memory: is for --fits");
    status = hub_job_open(call->values[SEARCH_INSECURE].set, &hub, &err);
    if (status == MLXE_OK) status = start(call, hub, &job, &err);
    if (status == MLXE_OK) status = hub_job_run(call, job, 0, on_result, call, &answer, &err);
    cli_text_deinit(&answer);
    mlxe_hub_close(hub);
    return status ? cli_fail(call, &err) : CLI_EXIT_OK;
}

const struct cli_verb verb_search = {
    .name = "search",
    .usage = "[QUERY]",
    .summary = "finds models on the Hub",
    .details =
        "QUERY is part of the id. --json prints a line for each model: id, downloads, likes,\n"
        "task, library, gated. No match is no error.\n"
        "--fits lists what needs no more than the machine's memory (or less, where a control\n"
        "group limits it): need = weights + weights / 8 + 1 GiB. The weights are the parameters\n"
        "of each dtype, as the Hub counts them, times its bytes; where it does not count them,\n"
        "the sizes of the weight files. The rest is for the KV cache and working memory. Each\n"
        "line then has weight_bytes, need_bytes and counted. A model of unknown size is left\n"
        "out, and standard error says how many.\n"
        "A mirror with an upstream tells in `mirrored` whether it holds the model already.\n",
    .example = "  mlxengine search qwen3 --library mlx --limit 5\n"
               "  mlxengine search --task text-generation --fits\n",
    .options = OPTIONS,
    .n_options = SEARCH_COUNT,
    .max_args = 1,
    .run = run,
};
