/* run.c: `mlxengine run [MODEL] [PROMPT]`: one answer, an interactive chat, or JSON lines.
 *
 * With one argument, is it the MODEL or the PROMPT? A MODEL is a name that is there or can only be
 * one: an existing folder, a path, *.gguf, pocket-*, org/name. Everything else is the PROMPT. */
#include "batch.h"
#include "chat.h"
#include "interrupt.h"
#include "text.h"
#include "tools.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    RUN_LINES = GEN_COUNT,
    RUN_PARALLEL,
    RUN_CONTEXT,
    RUN_THREADS,
    RUN_DEVICE,
    RUN_KV_TYPE,
    RUN_PRECISE,
    RUN_TEMPLATE,
    RUN_TOOLS,
    RUN_TOOL_ROUNDS,
    RUN_TOOL_SECONDS,
    RUN_TOOL_BYTES,
    RUN_COUNT
};

static const cli_option OPTIONS[RUN_COUNT] = {
    GEN_OPTION_LIST(GEN_ROW)[RUN_LINES] = {"lines", 0, CLI_FLAG, 0, 0, NULL,
                                           "answer JSON lines from standard input"},
    [RUN_PARALLEL] = {"parallel", 0, CLI_INT, 1, INTERRUPT_MAX_JOBS, "N",
                      "with --lines: answer N lines at a time, in one batch (default 1)"},
    [RUN_CONTEXT] = GEN_ROW_CONTEXT,
    [RUN_THREADS] = GEN_ROW_THREADS,
    [RUN_DEVICE] = GEN_ROW_DEVICE,
    [RUN_KV_TYPE] = GEN_ROW_KV_TYPE,
    [RUN_PRECISE] = GEN_ROW_PRECISE,
    [RUN_TEMPLATE] = {"chat-template", 0, CLI_TEXT, 0, 0, "NAME",
                      "the chat template: one of the model's by name, its text, or @FILE"},
    [RUN_TOOLS] =
        {"run-tools", 0, CLI_FLAG, 0, 0, NULL,
         "run the tools of --tools that have a \"command\", and answer with their output"},
    [RUN_TOOL_ROUNDS] =
        {"tool-rounds", 0, CLI_INT, 1, 1000, "N",
         "with --run-tools: at most N answers in a row that call tools (default 8)"},
    [RUN_TOOL_SECONDS] = {"tool-seconds", 0, CLI_INT, 1, 86400, "N",
                          "with --run-tools: a call takes at most N seconds (default 30)"},
    [RUN_TOOL_BYTES] = {"tool-bytes", 0, CLI_INT, 1, 1073741824.0, "N",
                        "with --run-tools: of a call's output N bytes are used (default 65536)"},
};

/* org/name or org/name@revision, as the Hub allows them. */
static int is_hub_id(const char *text)
{
    int slashes = 0;
    for (const char *c = text; *c; c++) {
        if (*c == '/')
            slashes++;
        else if (*c == '@' && slashes == 1)
            break;
        else if (!isalnum((unsigned char)*c) && *c != '-' && *c != '_' && *c != '.')
            return 0;
    }
    return slashes == 1 && text[0] != '/' && !strstr(text, "/@") && text[strlen(text) - 1] != '/';
}

static int is_model(const char *text)
{
    struct stat info;
    size_t n = strlen(text);
    if (n == 0 || strcmp(text, "-") == 0 || text[0] == '@') return 0;
    if (stat(text, &info) == 0 && S_ISDIR(info.st_mode)) return 1;
    if (strpbrk(text, " \t\n")) return 0;
    return (n > 5 && strcasecmp(text + n - 5, ".gguf") == 0) || text[0] == '/' ||
           strncmp(text, "./", 2) == 0 || strncmp(text, "../", 3) == 0 ||
           strncmp(text, "pocket-", 7) == 0 || is_hub_id(text);
}

static mlxe_status open_runner(const cli_value *v, tool_runner *out, mlxe_error *err)
{
    tool_limits limits = {.rounds = v[RUN_TOOL_ROUNDS].set ? (int)v[RUN_TOOL_ROUNDS].i : 8,
                          .seconds = v[RUN_TOOL_SECONDS].set ? (int)v[RUN_TOOL_SECONDS].i : 30,
                          .output_bytes =
                              v[RUN_TOOL_BYTES].set ? (size_t)v[RUN_TOOL_BYTES].i : 65536};
    if (!v[RUN_TOOLS].set) return MLXE_OK;
    return tool_runner_open(v[GEN_TOOLS].s, &limits, out, err);
}

static int run_lines(const cli_call *call, mlxe_model *model, const char *tools)
{
    const cli_value *parallel = &call->values[RUN_PARALLEL];
    return batch_run(call, model, call->values, tools, parallel->set ? (size_t)parallel->i : 1);
}

static int run_once(const cli_call *call, mlxe_model *model, const cli_text *prompt,
                    const char *tools, tool_runner *runner)
{
    const cli_value *v = call->values;
    mlxe_session_params params = mlxe_session_params_new();
    mlxe_session *session;
    mlxe_job *job;
    mlxe_error err;
    gen_sink sink = {.json = call->json};
    gen_request request = {.values = v,
                           .tools = tools,
                           .prompt = prompt->data,
                           .prompt_bytes = prompt->bytes,
                           .raw = v[GEN_RAW].set};
    params.system = v[GEN_SYSTEM].s;
    interrupt_hold();
    mlxe_status status = mlxe_session_open(model, &params, &session, &err);
    if (status == MLXE_OK && runner->doc) {
        status = tool_answer(runner, session, &request, &sink, &err);
    } else {
        if (status == MLXE_OK) status = gen_start(session, &request, &job, &err);
        if (status == MLXE_OK) status = gen_stream(job, &sink, &err);
    }
    mlxe_session_close(session);
    if ((sink.have_stats || sink.spoke) && !call->json) out_string("\n");
    out_flush();
    int stopped = sink.have_stats && sink.stats.finish == MLXE_FINISH_CANCELLED;
    if (sink.have_stats && (v[GEN_STATS].set || (stopped && !call->quiet && !out_closed())))
        gen_stats_print(&sink.stats);
    int code = status ? cli_fail(call, &err) : CLI_EXIT_OK;
    if (stopped && interrupt_seen()) code = CLI_EXIT_INTERRUPTED;
    interrupt_clear();
    interrupt_release();
    return code;
}

/* Splits the arguments; -> 0 or an exit status. */
static int split_args(const cli_call *call, const char **model, const char **prompt)
{
    *model = NULL;
    *prompt = NULL;
    if (call->n_args == 2) {
        *model = call->args[0];
        *prompt = call->args[1];
    } else if (call->n_args == 1 && (call->lines || is_model(call->args[0]))) {
        *model = call->args[0];
    } else if (call->n_args == 1) {
        *prompt = call->args[0];
    }
    if (call->lines && *prompt)
        return cli_usage(call, "--lines: takes no PROMPT, the lines hold them");
    if (call->values[RUN_PARALLEL].set && !call->lines)
        return cli_usage(call, "--parallel: works with --lines only");
    if (call->values[RUN_TOOLS].set && (call->lines || !call->values[GEN_TOOLS].set ||
                                        strcmp(call->values[GEN_TOOLS].s, "-") == 0))
        return cli_usage(call, "--run-tools: needs --tools FILE, and works without --lines only");
    for (int i = RUN_TOOL_ROUNDS; i <= RUN_TOOL_BYTES; i++)
        if (call->values[i].set && !call->values[RUN_TOOLS].set)
            return cli_usage(call, "--%s: works with --run-tools only", OPTIONS[i].name);
    if (call->values[GEN_LOGPROBS].set && !call->lines && !call->json)
        return cli_usage(call, "--logprobs: works with --json or --lines only");
    return 0;
}

/* Without a prompt: a chat, if it can be one. -> 0 or an exit status */
static int check_chat(const cli_call *call, const char *prompt)
{
    if (call->lines || prompt) return 0;
    if (call->json || !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return cli_usage(call, "PROMPT: is missing (a text, @FILE, or - for standard input)");
    if (call->values[GEN_RAW].set)
        return cli_usage(call, "--raw: needs a PROMPT, a chat has a template");
    return 0;
}

static mlxe_status read_system(cli_call *call, cli_text *system, mlxe_error *err)
{
    cli_value *value = &call->values[GEN_SYSTEM];
    if (!value->set) return MLXE_OK;
    mlxe_status status = text_input("--system", value->s, system, err);
    if (status == MLXE_OK && strlen(system->data) != system->bytes)
        status = cli_error(err, MLXE_E_INPUT, NULL, "--system: holds a NUL byte");
    value->s = system->data;
    value->n = system->bytes;
    return status;
}

static int run(cli_call *call)
{
    const char *name, *argument;
    cli_text prompt = {0}, tools = {0}, system = {0}, chat_template = {0};
    gen_model m = {0};
    tool_runner runner = {0};
    gen_model_options options;
    mlxe_error err;
    cli_value *v = call->values;
    int code = split_args(call, &name, &argument);
    if (code) return code;
    if (name && cli_model_check(name, &err)) return cli_fail(call, &err);
    code = check_chat(call, argument);
    if (code) return code;
    if (v[GEN_RAW].set && !call->lines && (v[GEN_SYSTEM].set || v[GEN_TOOLS].set))
        return cli_usage(call, "--raw: --%s needs the chat template",
                         v[GEN_SYSTEM].set ? "system" : "tools");
    if (!name) {
        name = CLI_POCKET_MODEL;
        note("no MODEL given, using %s", name);
    }
    mlxe_status status = MLXE_OK;
    if (argument) status = text_input("PROMPT", argument, &prompt, &err);
    if (status == MLXE_OK) status = read_system(call, &system, &err);
    if (status == MLXE_OK) status = gen_tools(&v[GEN_TOOLS], &tools, &err);
    if (status == MLXE_OK && v[RUN_TEMPLATE].set)
        status = text_input("--chat-template", v[RUN_TEMPLATE].s, &chat_template, &err);
    if (status == MLXE_OK) status = open_runner(v, &runner, &err);
    options =
        (gen_model_options){.threads = &v[RUN_THREADS],
                            .device = &v[RUN_DEVICE],
                            .context = &v[RUN_CONTEXT],
                            .kv_type = &v[RUN_KV_TYPE],
                            .chat_template = chat_template.data,
                            .precise = &v[RUN_PRECISE],
                            .parallel = v[RUN_PARALLEL].set ? (uint32_t)v[RUN_PARALLEL].i : 1};
    if (status == MLXE_OK) status = gen_model_open(name, &options, &m, &err);
    if (status)
        code = cli_fail(call, &err);
    else if (call->lines)
        code = run_lines(call, m.model, tools.data);
    else if (argument)
        code = run_once(call, m.model, &prompt, tools.data, &runner);
    else
        code = chat_run(call, m.model, name, tools.data, &runner);
    gen_model_close(&m);
    tool_runner_close(&runner);
    cli_text_deinit(&prompt);
    cli_text_deinit(&tools);
    cli_text_deinit(&system);
    cli_text_deinit(&chat_template);
    return code;
}

const struct cli_verb verb_run = {
    .name = "run",
    .usage = "[MODEL] [PROMPT]",
    .summary = "answers PROMPT, or chats on a terminal",
    .details =
        "Streams the answer of MODEL to PROMPT, through the model's chat template. Without a\n"
        "PROMPT and on a terminal it is an interactive chat (/help lists its commands).\n"
        "\n"
        "MODEL is a folder with config.json and safetensors files, or a pocket model; left out,\n"
        "it is pocket-llm. With one argument, that is the MODEL if it is an existing folder, a\n"
        "path, org/name, *.gguf or pocket-*, else the PROMPT; give both to be sure.\n"
        "PROMPT is a text, @FILE or - (standard input). The answer ends with one newline.\n"
        "\n"
        "--json prints lines: {\"event\":\"text\",\"text\":..}, with reasoning and tool_call as "
        "further\n"
        "events, and last {\"event\":\"done\",\"stats\":{..}}.\n"
        "--lines reads JSON lines from standard input, {\"prompt\":..} or {\"messages\":[..]} "
        "with\n"
        "any option below up to --stats (_ for -), and answers each, in order, with\n"
        "{\"text\":..,\"ids\":[..],\"stats\":{..}} or {\"error\":{..}}; where the model reasoned "
        "or called\n"
        "tools there are content, reasoning and tool_calls as well.\n"
        "--tools is a list as OpenAI's API has it. With --run-tools, a tool with a member\n"
        "\"command\":[\"PROGRAM\",..] is run when it is called: the arguments are its input.\n"
        "Ctrl-C stops the answer; what was said stays, and the exit status is 130.\n",
    .example = "  mlxengine run pocket-llm \"What is 12 + 30?\" --temperature 0 --stats\n"
               "  echo '{\"prompt\":\"What is 12 + 30?\",\"max_tokens\":20}' | "
               "mlxengine run --lines\n",
    .options = OPTIONS,
    .n_options = RUN_COUNT,
    .max_args = 2,
    .run = run,
};
