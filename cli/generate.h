/* generate.h: the generation options, in every verb and every JSON line the same. */
#ifndef CLI_GENERATE_H
#define CLI_GENERATE_H

#include "args.h"
#include "out.h"

/* id, name, type, low, high, argument, help */
#define GEN_OPTION_LIST(X)                                                                         \
    X(MAX_TOKENS, "max-tokens", CLI_INT, 1, 4294967295.0, "N",                                     \
      "at most N new tokens (default: until the model ends or the context is full)")               \
    X(TEMPERATURE, "temperature", CLI_NUMBER, 0, 100, "T",                                         \
      "0: always the likeliest token (default: the model's, else 0)")                              \
    X(TOP_P, "top-p", CLI_ABOVE, 0, 1, "P", "sample from the likeliest tokens that sum up to P")   \
    X(TOP_K, "top-k", CLI_INT, 0, 2147483647.0, "K",                                               \
      "sample from the K likeliest tokens; 0: from all")                                           \
    X(MIN_P, "min-p", CLI_NUMBER, 0, 1, "P",                                                       \
      "drop tokens less likely than P times the likeliest; 0: none")                               \
    X(REPETITION_PENALTY, "repetition-penalty", CLI_ABOVE, 0, 100, "R",                            \
      "divide the logits of tokens seen before; 1: off")                                           \
    X(PRESENCE_PENALTY, "presence-penalty", CLI_NUMBER, -2, 2, "X",                                \
      "subtract X from the logits of tokens seen before")                                          \
    X(FREQUENCY_PENALTY, "frequency-penalty", CLI_NUMBER, -2, 2, "X",                              \
      "subtract X for each time a token was seen")                                                 \
    X(PENALTY_WINDOW, "penalty-window", CLI_INT, 0, 2147483647.0, "N",                             \
      "penalties look at the last N tokens; 0: all")                                               \
    X(LOGIT_BIAS, "logit-bias", CLI_BIAS, 0, 0, "ID:BIAS,..",                                      \
      "add BIAS to the logit of token ID; -inf forbids it")                                        \
    X(SEED, "seed", CLI_SEED, 0, 0, "N",                                                           \
      "same seed, same text (default: a new one, in the stats)")                                   \
    X(STOP, "stop", CLI_TEXTS, 0, 0, "STR", "end before STR appears (repeatable)")                 \
    X(SYSTEM, "system", CLI_TEXT, 0, 0, "TEXT", "the system message (TEXT, @FILE or -)")           \
    X(RAW, "raw", CLI_FLAG, 0, 0, NULL, "continue the prompt as it is, without a chat template")   \
    X(TOOLS, "tools", CLI_ARRAY, 0, 0, "F.json", "tools that the model may call: a JSON array")    \
    X(DIALECT, "dialect", CLI_TEXT, 0, 0, "NAME",                                                  \
      "how the model writes tool calls and reasoning (default: the template says)")                \
    X(REASONING_BUDGET, "reasoning-budget", CLI_INT, 0, 2147483647.0, "N",                         \
      "end reasoning after N tokens; 0: none")                                                     \
    X(TEMPLATE_VAR, "template-var", CLI_TEXTS, 0, 0, "K=JSON",                                     \
      "a variable for the chat template (repeatable)")                                             \
    X(PARSE_SPECIAL, "parse-special", CLI_FLAG, 0, 0, NULL,                                        \
      "control tokens written in messages count as such")                                          \
    X(LOGPROBS, "logprobs", CLI_INT, 0, 20, "N",                                                   \
      "with --json or --lines: the N likeliest tokens at each step")                               \
    X(STATS, "stats", CLI_FLAG, 0, 0, NULL, "token counts and times, on standard error")           \
    X(IMAGE, "image", CLI_ABSENT, 0, 0, "F", "image input")                                        \
    X(ADAPTER, "adapter", CLI_ABSENT, 0, 0, "DIR[:SCALE]", "LoRA adapters")                        \
    X(SCHEMA, "schema", CLI_ABSENT, 0, 0, "F.json", "structured output")

enum {
#define GEN_ID(id, name, type, low, high, argument, help) GEN_##id,
    GEN_OPTION_LIST(GEN_ID)
#undef GEN_ID
        GEN_COUNT
};
/* Rows for a verb's own table, at the indices above. */
#define GEN_ROW(id, name, type, low, high, argument, help)                                         \
    [GEN_##id] = {name, 0, type, low, high, argument, help},

/* What to answer. Everything is borrowed. */
typedef struct gen_request {
    const cli_value *values; /* GEN_COUNT */
    const char *tools;       /* JSON text or NULL */
    const char *prompt;      /* the text, or NULL when messages says it all */
    size_t prompt_bytes;
    const char *messages; /* JSON array */
    size_t messages_bytes;
    int raw;
    int go_on; /* answers the conversation as it is */
} gen_request;

/* Starts the answer in a session. Fails as the library does */
mlxe_status gen_start(mlxe_session *session, const gen_request *request, mlxe_job **out,
                      mlxe_error *err);

/* Takes a job's events until it has ended, printing them, and closes it. Ctrl-C and a reader that
 * went away cancel it.
 *
 * json   events as JSON lines, else the text alone (tool calls as the model wrote them)
 * calls  NULL, or the tool calls are added to them
 * whole  NULL, or the answer is added to it
 * stats  what happened; have_stats 0 when the job failed before
 * spoke  1: some text came
 * Fails  the job's own error */
struct tool_calls;
typedef struct gen_sink {
    int json;
    struct tool_calls *calls;
    cli_text *whole;
    int have_stats, spoke;
    mlxe_stats stats;
} gen_sink;
mlxe_status gen_stream(mlxe_job *job, gen_sink *sink, mlxe_error *err);

yyjson_mut_val *gen_stats_json(yyjson_mut_doc *doc, const mlxe_stats *stats);
/* One line for people, on standard error. */
void gen_stats_print(const mlxe_stats *stats);

/* Reads and checks the file of --tools; *out, as the template gets it, stays empty without that
 * option. Fails like text_file, INPUT */
mlxe_status gen_tools(const cli_value *value, cli_text *out, mlxe_error *err);

/* An engine and a model, opened with the options of a verb (NULL: not one of its options). */
typedef struct gen_model {
    mlxe_engine *engine;
    mlxe_model *model;
} gen_model;
typedef struct gen_model_options {
    const cli_value *threads, *device, *context, *kv_type, *precise;
    const char *chat_template; /* a name or a text; NULL: the model's */
    uint32_t parallel;
} gen_model_options;
mlxe_status gen_model_open(const char *name, const gen_model_options *options, gen_model *out,
                           mlxe_error *err);
/* The value of --kv-type; 0: not given. */
mlxe_kv_type gen_kv_type(const cli_value *value);
/* What --precise asks for. */
mlxe_precision gen_precision(const cli_value *value);
void gen_model_close(gen_model *model);

/* Rows of the options that say where and how large the model runs. */
#define GEN_ROW_CONTEXT                                                                            \
    {                                                                                              \
        "context", 0, CLI_INT, 1, 4294967295.0, "N",                                               \
            "KV cache for N tokens (default: the model's)"                                         \
    }
#define GEN_ROW_THREADS                                                                            \
    {                                                                                              \
        "threads", 0, CLI_INT, 1, 4096, "N",                                                       \
            "CPU threads (default: MLXE_THREADS, else what is free)"                               \
    }
#define GEN_ROW_DEVICE                                                                             \
    {                                                                                              \
        "device", 0, CLI_CHOICE, 0, 0, "cpu|gpu",                                                  \
            "where to run (default: MLXE_DEVICE, else the best)"                                   \
    }
#define GEN_ROW_KV_TYPE                                                                            \
    {                                                                                              \
        "kv-type", 0, CLI_CHOICE, 0, 0, "f32|f16|bf16|int8",                                       \
            "how the KV cache stores numbers (default: f16, with --precise f32)"                   \
    }
#define GEN_ROW_PRECISE                                                                            \
    {                                                                                              \
        "precise", 0, CLI_FLAG, 0, 0, NULL,                                                        \
            "f32 activations (default: 8 bits where weights are quantised)"                        \
    }

#endif
