/* mlxengine.h: run language models on MLX from one C library.
 *
 *   engine ---- model ---- session ---- job ---- events
 *   (device,    (weights,  (one         (one     (text, progress,
 *    threads)    tokenizer, conversation, answer)  done)
 *                template)  its KV state)
 *
 * Rules that hold everywhere
 *   Status     every fallible call returns mlxe_status: MLXE_OK (0) or a negative code, and fills
 *              the last parameter `mlxe_error *err` (the caller's; NULL is allowed).
 *   Ownership  inputs are borrowed for the call. Outputs come through `**out`, set to NULL first.
 *              Whoever opens closes; every _close accepts NULL. A parent may be closed before its
 *              children: it lives on until the last child is closed.
 *   Params     a params struct starts with its `size`; zero in a field means its default; NULL
 *              instead of a struct means all defaults. Build one with mlxe_..._params_new().
 *   Threads    every call may be made from any thread, but an object is used by one thread at a
 *              time, except mlxe_job_cancel, which any thread may call at any moment.
 *   Process    the library never exits, prints, installs signal handlers or reads the environment,
 *              except MLXE_*, HF_* variables named in the documentation, once, at engine open. In
 *              a forked child every call fails with MLXE_E_STATE.
 *   Text       UTF-8 with a length; a length of MLXE_AUTO takes strlen.
 */
#ifndef MLXENGINE_H
#define MLXENGINE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) && defined(MLXE_BUILDING)
#define MLXE_API __attribute__((visibility("default")))
#else
#define MLXE_API
#endif

#define MLXE_VERSION_MAJOR 0
#define MLXE_VERSION_MINOR 1
#define MLXE_VERSION_PATCH 0

#define MLXE_AUTO ((size_t)-1) /* a text's length: take strlen */

/* ---- status and errors ---------------------------------------------------------------------- */

/* name, code, exit status of the command line, text */
#define MLXE_STATUS_LIST(X)                                                                        \
    X(MLXE_OK, 0, 0, "ok")                                                                         \
    X(MLXE_E_ARG, -1, 2, "invalid argument")                                                       \
    X(MLXE_E_NOT_FOUND, -2, 3, "not found")                                                        \
    X(MLXE_E_ACCESS, -3, 4, "access denied")                                                       \
    X(MLXE_E_OFFLINE, -4, 5, "offline or unreachable")                                             \
    X(MLXE_E_FIT, -5, 6, "does not fit")                                                           \
    X(MLXE_E_CORRUPT, -6, 7, "corrupt or malformed data")                                          \
    X(MLXE_E_UNSUPPORTED, -7, 8, "not supported")                                                  \
    X(MLXE_E_CANCELLED, -8, 130, "cancelled")                                                      \
    X(MLXE_E_MEMORY, -9, 6, "out of memory")                                                       \
    X(MLXE_E_IO, -10, 1, "input or output failed")                                                 \
    X(MLXE_E_STATE, -11, 1, "not allowed in this state")                                           \
    X(MLXE_E_SPACE, -12, 1, "buffer too small")                                                    \
    X(MLXE_E_LIMIT, -13, 1, "limit exceeded")                                                      \
    X(MLXE_E_INPUT, -14, 1, "unusable input")                                                      \
    X(MLXE_E_TIMEOUT, -15, 1, "timed out")                                                         \
    X(MLXE_E_INTERNAL, -16, 1, "internal error")

typedef enum mlxe_status {
#define MLXE_STATUS_ROW(name, code, exit_status, text) name = (code),
    MLXE_STATUS_LIST(MLXE_STATUS_ROW)
#undef MLXE_STATUS_ROW
} mlxe_status;

/* What went wrong. Lives on the caller's stack; valid after a call that returned its code. */
typedef struct mlxe_error {
    mlxe_status code;
    char message[1000]; /* where: what, got, wanted; one line of UTF-8 */
    char hint[500];     /* a remedy, or "" */
} mlxe_error;

/* Name of a status ("MLXE_E_ARG"), or "MLXE_E_UNKNOWN". Static. Any thread. */
MLXE_API const char *mlxe_status_name(mlxe_status status);
/* Short text of a status ("invalid argument"). Static. Any thread. */
MLXE_API const char *mlxe_status_text(mlxe_status status);
/* The exit status that the command line gives for it: 0..8 or 130. Any thread. */
MLXE_API int mlxe_status_exit(mlxe_status status);

/* ---- version -------------------------------------------------------------------------------- */

/* "MAJOR.MINOR.PATCH" of the library that is loaded. Static. Any thread. */
MLXE_API const char *mlxe_version(void);

/* Frees a string that a call of this header gave. NULL is legal. */
MLXE_API void mlxe_string_free(char *text);

/* ---- engine: the device and its limits ------------------------------------------------------ */

typedef struct mlxe_engine mlxe_engine;

typedef enum mlxe_log_level {
    MLXE_LOG_ERROR = 1,
    MLXE_LOG_WARN,
    MLXE_LOG_INFO,
    MLXE_LOG_DEBUG
} mlxe_log_level;

/* Receives one line without its newline; called from any thread of the library. */
typedef void (*mlxe_log_fn)(void *user, mlxe_log_level level, const char *line);

typedef struct mlxe_engine_params {
    uint32_t size;
    uint32_t threads;       /* CPU threads; 0: MLXE_THREADS, else what affinity and quota allow */
    const char *device;     /* "cpu" or "gpu"; NULL: MLXE_DEVICE, else the best that is there */
    const char *plugin_dir; /* folder of libmlxengine-mlx-*.so; NULL: beside the library */
    mlxe_log_fn log;        /* NULL: silent */
    void *log_user;
    mlxe_log_level log_level; /* 0: MLXE_LOG, else MLXE_LOG_WARN */
} mlxe_engine_params;

static inline mlxe_engine_params mlxe_engine_params_new(void)
{
    mlxe_engine_params params;
    memset(&params, 0, sizeof params);
    params.size = (uint32_t)sizeof params;
    return params;
}

/* Opens an engine. A process has one runtime (compute threads, MLX thread) that engines share; an
 * engine that asks for a thread count or device other than the running one fails.
 * Fails  ARG, UNSUPPORTED (device), NOT_FOUND (plugin), STATE (conflict, forked child), MEMORY */
MLXE_API mlxe_status mlxe_engine_open(const mlxe_engine_params *params, mlxe_engine **out,
                                      mlxe_error *err);
MLXE_API void mlxe_engine_close(mlxe_engine *engine);

/* Build, MLX, CPU features, kernel set, devices as one JSON object; free with mlxe_string_free. */
MLXE_API mlxe_status mlxe_engine_describe(mlxe_engine *engine, char **out_json, mlxe_error *err);

/* ---- jobs and events ------------------------------------------------------------------------ */

typedef struct mlxe_job mlxe_job;

typedef enum mlxe_event_type {
    MLXE_EVENT_PROGRESS = 1, /* done of total, in the unit that `text` names */
    MLXE_EVENT_TEXT,         /* the next piece of the answer; never half a character */
    MLXE_EVENT_LOGPROBS,     /* one generated token: `text` is a JSON object */
    MLXE_EVENT_DONE,         /* the last one: stats; text is the whole answer, as it was written */
    MLXE_EVENT_REASONING,    /* the next piece of what the model thought; no part of the answer */
    MLXE_EVENT_TOOL_CALL,    /* one call: `call`; text is what the model wrote for it */
    MLXE_EVENT_RESULT = 7    /* one result of a search: `text` is a JSON object */
} mlxe_event_type;

typedef enum mlxe_finish {
    MLXE_FINISH_STOP = 1, /* end token or stop string */
    MLXE_FINISH_LENGTH,   /* max_tokens or the context is full */
    MLXE_FINISH_CANCELLED,
    MLXE_FINISH_TOOL_CALLS /* the model has ended, and wants tools called */
} mlxe_finish;

/* A tool that the model wants called. */
typedef struct mlxe_tool_call {
    const char *id;        /* the model's, else one of nine letters and digits */
    const char *name;      /* not checked against the declared tools */
    const char *arguments; /* a JSON object, as the model wrote it */
} mlxe_tool_call;

/* What really happened. Counts are the model's tokens. */
typedef struct mlxe_stats {
    uint32_t prompt_tokens;    /* all of the prompt, cached ones too */
    uint32_t cached_tokens;    /* of these, found in the KV cache */
    uint32_t generated_tokens; /* of the answer, the end token not counted: DONE's n_ids */
    double prefill_ms;
    double decode_ms;
    double time_to_first_token_ms;
    double prefill_tps; /* tokens/s over the tokens that were not cached */
    double decode_tps;
    uint64_t peak_memory_bytes; /* the process's peak resident memory, by the OS */
    mlxe_finish finish;
    uint64_t seed;       /* the seed that was used */
    const char *device;  /* "cpu" */
    const char *kernels; /* "avx2", "avx512", ... */
} mlxe_stats;

typedef struct mlxe_event {
    mlxe_event_type type;
    const char *text; /* NUL-terminated as well */
    size_t text_bytes;
    uint64_t done, total;    /* PROGRESS */
    const int32_t *ids;      /* DONE: generated tokens without the end token */
    size_t n_ids;            /* DONE */
    const mlxe_stats *stats; /* DONE */
    const char *reason;      /* TEXT: why it is no tool call, where it looked like one, or NULL */
    const mlxe_tool_call *call;  /* TOOL_CALL */
    const mlxe_tool_call *calls; /* DONE: all of them */
    size_t n_calls;              /* DONE */
    const char *content;         /* DONE: the TEXT events together, NUL-terminated */
    const char *reasoning;       /* DONE: the REASONING events together, NUL-terminated */
    size_t content_bytes, reasoning_bytes;
    double rate, left_s; /* PROGRESS of a download: done a second; seconds left, < 0: unknown */
} mlxe_event;

typedef void (*mlxe_event_fn)(void *user, const mlxe_event *event);

/* Waits for the next event of a job.
 *
 * timeout_ms  < 0: for ever; 0: not at all
 * event       NULL when the time ran out (MLXE_E_TIMEOUT) or no event is left (MLXE_OK);
 *             valid until the next call on this job
 * Fails       TIMEOUT; the job's own error, once every event before it was taken; cancelling is
 *             no error: the job ends with a DONE event of finish MLXE_FINISH_CANCELLED */
MLXE_API mlxe_status mlxe_job_next(mlxe_job *job, int timeout_ms, const mlxe_event **event,
                                   mlxe_error *err);
/* Takes every event, calling fn (NULL: drops them), until the job has ended. */
MLXE_API mlxe_status mlxe_job_run(mlxe_job *job, mlxe_event_fn fn, void *user, mlxe_error *err);
/* A descriptor that is readable while an event waits; poll only, never read it. -1: none. */
MLXE_API int mlxe_job_fd(mlxe_job *job);
/* Asks the job to end soon (300 ms). Any thread, any time, any number of times;
 * async-signal-safe. */
MLXE_API void mlxe_job_cancel(mlxe_job *job);
/* Cancels if it runs, waits until it has ended, frees it. */
MLXE_API void mlxe_job_close(mlxe_job *job);

/* ---- tokenizer ------------------------------------------------------------------------------ */

typedef struct mlxe_tokenizer mlxe_tokenizer;

typedef struct mlxe_token {
    int32_t id;
    int32_t type_id; /* 0: of the text, 1: of the pair */
    uint64_t begin,
        end;      /* half-open bytes of the text it came from, whole characters; 0,0: added */
    int32_t side; /* 0: from the text, 1: from the pair, -1: added (special tokens, padding) */
} mlxe_token;

typedef struct mlxe_tokens {
    mlxe_token *tokens;
    size_t n;
    int truncated; /* 1: the file's own truncation cut tokens off */
} mlxe_tokens;

/* Opens the tokenizer of a model folder; tokenizer.json alone is enough. Needs no engine.
 * Fails  NOT_FOUND, CORRUPT, UNSUPPORTED (names what), MEMORY */
MLXE_API mlxe_status mlxe_tokenizer_open(const char *model, mlxe_tokenizer **out, mlxe_error *err);
MLXE_API void mlxe_tokenizer_close(mlxe_tokenizer *tokenizer);

/* Tokenises text, or a pair of texts (pair NULL: none). Free with mlxe_tokens_deinit.
 * add_special_tokens  nonzero: what the post-processor adds (BOS, EOS, ...) */
MLXE_API mlxe_status mlxe_tokenize(mlxe_tokenizer *tokenizer, const char *text, size_t text_bytes,
                                   const char *pair, size_t pair_bytes, int add_special_tokens,
                                   mlxe_tokens *out, mlxe_error *err);
MLXE_API void mlxe_tokens_deinit(mlxe_tokens *tokens);

/* Text of ids. Broken UTF-8 becomes U+FFFD. Free with mlxe_string_free; *bytes may be NULL. */
MLXE_API mlxe_status mlxe_detokenize(mlxe_tokenizer *tokenizer, const int32_t *ids, size_t n_ids,
                                     int skip_special_tokens, char **out, size_t *bytes,
                                     mlxe_error *err);

/* ---- chat template -------------------------------------------------------------------------- */

typedef struct mlxe_template mlxe_template;

/* Compiles the chat template of a model folder. Fails NOT_FOUND (none there), INPUT (syntax). */
MLXE_API mlxe_status mlxe_template_open(const char *model, mlxe_template **out, mlxe_error *err);
/* The same for one of several: by its name ("tool_use", "rag"), or a text that takes the place of
 * the folder's. Fails NOT_FOUND too where it is neither (lists the names). */
MLXE_API mlxe_status mlxe_template_open_named(const char *model, const char *name,
                                              mlxe_template **out, mlxe_error *err);
/* Compiles a template from its source; name is used in messages. */
MLXE_API mlxe_status mlxe_template_open_text(const char *name, const char *source, size_t bytes,
                                             mlxe_template **out, mlxe_error *err);
MLXE_API void mlxe_template_close(mlxe_template *tmpl);
/* Renders. request_json: one object, {"messages":[..],"tools":[..],"add_generation_prompt":true,
 * any variable}. Free *out with mlxe_string_free. Fails INPUT (line, column, expression), LIMIT */
MLXE_API mlxe_status mlxe_template_render(mlxe_template *tmpl, const char *request_json,
                                          size_t request_bytes, char **out, size_t *bytes,
                                          mlxe_error *err);

/* ---- model ---------------------------------------------------------------------------------- */

typedef struct mlxe_model mlxe_model;

typedef enum mlxe_load { MLXE_LOAD_MAP = 1, MLXE_LOAD_READ } mlxe_load;

/* How the keys and values of a conversation are stored: bytes of one number 4, 2, 2 and 1 (int8:
 * and a scale for 32 of them). f16 holds numbers up to 65504 (larger ones are clamped). */
typedef enum mlxe_kv_type { MLXE_KV_F32 = 1, MLXE_KV_F16, MLXE_KV_BF16, MLXE_KV_INT8 } mlxe_kv_type;

/* What activations are when they meet packed (quantised) weights. INT8: 8 bits a value and a scale
 * for 64 of them, integer products: the fast way, relative error of logits up to 2 %. F32: as they
 * are. Weights that are not packed always meet f32. */
typedef enum mlxe_precision { MLXE_PRECISION_INT8 = 1, MLXE_PRECISION_F32 } mlxe_precision;

typedef struct mlxe_model_params {
    uint32_t size;
    uint32_t context_tokens;   /* KV rows hold at most this many; 0: the model's own limit */
    uint32_t parallel;         /* conversations decoded in one batch; 0: 1 */
    mlxe_load load;            /* 0: map local files, read those on network file systems */
    mlxe_kv_type kv_type;      /* 0: f16; with MLXE_PRECISION_F32 f32 */
    const char *chat_template; /* name of one of the model's, or a template's text; NULL: its own */
    mlxe_precision precision;  /* 0: INT8 */
} mlxe_model_params;

static inline mlxe_model_params mlxe_model_params_new(void)
{
    mlxe_model_params params;
    memset(&params, 0, sizeof params);
    params.size = (uint32_t)sizeof params;
    return params;
}

/* Describes a model folder without loading weights: what `mlxengine show --json` prints.
 * Needs no engine; free with mlxe_string_free. Fails NOT_FOUND, CORRUPT, MEMORY */
MLXE_API mlxe_status mlxe_model_describe(const char *model, char **out_json, mlxe_error *err);

/* Loads a model: a folder, or the name of a pocket model.
 * Fails  NOT_FOUND, CORRUPT, UNSUPPORTED (names the config option or tensor), FIT, MEMORY */
MLXE_API mlxe_status mlxe_model_open(mlxe_engine *engine, const char *model,
                                     const mlxe_model_params *params, mlxe_model **out,
                                     mlxe_error *err);
MLXE_API void mlxe_model_close(mlxe_model *model);

/* The model's tokenizer, borrowed: valid while the model is open. */
MLXE_API mlxe_tokenizer *mlxe_model_tokenizer(mlxe_model *model);
/* Rows of the output head: logits a token. */
MLXE_API uint32_t mlxe_model_vocab(const mlxe_model *model);

/* Receives logits of positions [first, first + n): f32 [n, vocab]; nonzero return cancels. */
typedef int (*mlxe_logits_fn)(void *user, size_t first, size_t n, uint32_t vocab,
                              const float *logits);

/* One forward pass over ids, independent of every session; all logits, in order, through fn.
 * Fails  ARG (no ids, an id outside the vocabulary), LIMIT (longer than the context), CANCELLED */
MLXE_API mlxe_status mlxe_model_logits(mlxe_model *model, const int32_t *ids, size_t n_ids,
                                       mlxe_logits_fn fn, void *user, mlxe_error *err);
/* The same into a safetensors file, tensor `logits` f32 [T,V]; written atomically. */
MLXE_API mlxe_status mlxe_model_logits_save(mlxe_model *model, const int32_t *ids, size_t n_ids,
                                            const char *path, mlxe_error *err);

/* ---- session: one conversation -------------------------------------------------------------- */

typedef struct mlxe_session mlxe_session;

typedef struct mlxe_session_params {
    uint32_t size;
    const char *system; /* system message; NULL: none */
} mlxe_session_params;

static inline mlxe_session_params mlxe_session_params_new(void)
{
    mlxe_session_params params;
    memset(&params, 0, sizeof params);
    params.size = (uint32_t)sizeof params;
    return params;
}

typedef struct mlxe_logit_bias {
    int32_t id;
    float bias; /* added to the logit; -INFINITY forbids the token */
} mlxe_logit_bias;

#define MLXE_GREEDY (-1.0f) /* temperature: always the likeliest token */
#define MLXE_OFF    (-1)    /* top_k, min_p, penalty_window: not applied, whatever the model says */

/* How to generate. "The model's" means generation_config.json. */
typedef struct mlxe_gen_params {
    uint32_t size;
    uint32_t max_tokens;      /* 0: until the end token or the context is full */
    float temperature;        /* 0: the model's, else greedy; MLXE_GREEDY */
    float top_p;              /* (0,1]; 0: the model's, else 1 (off) */
    int32_t top_k;            /* 0: the model's, else off; MLXE_OFF */
    float min_p;              /* (0,1]; 0: the model's, else off; MLXE_OFF */
    float repetition_penalty; /* > 0; 0: the model's, else 1 (off); prompt and answer */
    float presence_penalty;   /* [-2,2]; of the answer's tokens */
    float frequency_penalty;  /* [-2,2]; of the answer's tokens */
    int32_t penalty_window;   /* last tokens that the penalties see; 0: all */
    uint32_t n_logit_bias;
    const mlxe_logit_bias *logit_bias;
    const uint64_t *seed; /* NULL: a fresh one, told in the stats */
    const char *const *stop;
    uint32_t n_stop;        /* stop strings; the answer ends before the first that appears */
    uint32_t logprobs;      /* n > 0: a LOGPROBS event a token, with the n likeliest (at most 20) */
    const char *tools_json; /* JSON array for the template's `tools`; NULL: none */
    const char *dialect;    /* form of tool calls and reasoning; NULL: what the template says */
    int32_t reasoning_budget; /* tokens; then reasoning is ended. 0: no bound; MLXE_OFF: none */
    uint32_t parse_special;   /* 1: control tokens written in messages count as such */
    const char *template_vars_json; /* JSON object: variables for the template; NULL: none */
} mlxe_gen_params;

static inline mlxe_gen_params mlxe_gen_params_new(void)
{
    mlxe_gen_params params;
    memset(&params, 0, sizeof params);
    params.size = (uint32_t)sizeof params;
    return params;
}

MLXE_API mlxe_status mlxe_session_open(mlxe_model *model, const mlxe_session_params *params,
                                       mlxe_session **out, mlxe_error *err);
MLXE_API void mlxe_session_close(mlxe_session *session);

/* Adds text as the user's message and answers it through the chat template. The answer joins the
 * conversation when the job is done (what was said so far, if it was cancelled).
 * Fails  STATE (a job of this session still runs), NOT_FOUND (no chat template), INPUT, LIMIT */
MLXE_API mlxe_status mlxe_session_ask(mlxe_session *session, const char *text, size_t text_bytes,
                                      const mlxe_gen_params *params, mlxe_job **out,
                                      mlxe_error *err);
/* Answers a whole conversation, replacing the session's: messages_json is a JSON array of
 * {"role":..,"content":..}. The common prefix with what the session holds is not computed again. */
MLXE_API mlxe_status mlxe_session_chat(mlxe_session *session, const char *messages_json,
                                       size_t bytes, const mlxe_gen_params *params, mlxe_job **out,
                                       mlxe_error *err);
/* Continues a raw prompt: no template, tokenised with the tokenizer's special tokens. */
MLXE_API mlxe_status mlxe_session_complete(mlxe_session *session, const char *prompt, size_t bytes,
                                           const mlxe_gen_params *params, mlxe_job **out,
                                           mlxe_error *err);
/* Adds one message without answering: a JSON object, as in mlxe_session_chat. So a tool's result:
 * {"role":"tool","tool_call_id":"..","name":"..","content":".."}.
 * Fails  STATE (a job of this session still runs), INPUT */
MLXE_API mlxe_status mlxe_session_add(mlxe_session *session, const char *message_json, size_t bytes,
                                      mlxe_error *err);
/* Answers the conversation as it is, after mlxe_session_add. Fails like mlxe_session_ask. */
MLXE_API mlxe_status mlxe_session_answer(mlxe_session *session, const mlxe_gen_params *params,
                                         mlxe_job **out, mlxe_error *err);
/* Forgets the conversation; the system message of the params stays. */
MLXE_API mlxe_status mlxe_session_reset(mlxe_session *session, mlxe_error *err);

/* ---- bench: how fast a model runs here ------------------------------------------------------ */

typedef struct mlxe_bench_params {
    uint32_t size;
    int32_t prompt_tokens; /* of a prefill; 0: 512, less if the context is less; MLXE_OFF: none */
    int32_t gen_tokens;    /* decoded in each row; 0: 64; MLXE_OFF: none */
    uint32_t depth_tokens; /* in the KV cache before the decode; 0: 128 */
    uint32_t rows;         /* decoded in one batch, of different lengths; 0: 1 */
    uint32_t repeat;       /* rounds of everything, the best counts; 0: 3 */
} mlxe_bench_params;

static inline mlxe_bench_params mlxe_bench_params_new(void)
{
    mlxe_bench_params params;
    memset(&params, 0, sizeof params);
    params.size = (uint32_t)sizeof params;
    return params;
}

/* Loads a model and measures it with the engine's threads: load to first token, prefill, decode,
 * memory, each beside what the machine can do in the same run. The text of the job's DONE event is
 * one JSON object, the one that `mlxengine bench --json` prints for a thread count.
 * Fails  ARG; the job: as mlxe_model_open, LIMIT (more tokens than the context) */
MLXE_API mlxe_status mlxe_bench_start(mlxe_engine *engine, const char *model,
                                      const mlxe_model_params *model_params,
                                      const mlxe_bench_params *params, mlxe_job **out,
                                      mlxe_error *err);

/* ---- Hub: find, fetch and keep models ------------------------------------------------------- */

/* A Hub (its endpoint, token and cache). Needs no engine. Every call below starts a job with a
 * thread of its own; DONE's text is one JSON object. Jobs may outlive their hub's handle.
 * All jobs fail  ARG, NOT_FOUND, ACCESS (gated, token), OFFLINE, FIT (disk), CORRUPT, IO, TIMEOUT;
 * a hint names the remedy. */
typedef struct mlxe_hub mlxe_hub;

typedef struct mlxe_hub_params {
    uint32_t size;
    uint32_t workers;        /* transfers at a time; 0: 8 */
    const char *endpoint;    /* NULL: HF_ENDPOINT, else https://huggingface.co */
    const char *cache_dir;   /* NULL: HF_HUB_CACHE, else $HF_HOME/hub */
    const char *token;       /* NULL: HF_TOKEN, else its file; "": none */
    int32_t offline;         /* 1: no socket is opened; MLXE_OFF: online; 0: HF_HUB_OFFLINE */
    uint32_t insecure_token; /* 1: the token is sent over plain http to other hosts too */
    uint32_t timeout_s;      /* to connect, and of silence; 0: HF_HUB_DOWNLOAD_TIMEOUT, else 10 */
    mlxe_log_fn log;         /* NULL: silent */
    void *log_user;
    mlxe_log_level log_level; /* 0: MLXE_LOG_WARN */
} mlxe_hub_params;

static inline mlxe_hub_params mlxe_hub_params_new(void)
{
    mlxe_hub_params params;
    memset(&params, 0, sizeof params);
    params.size = (uint32_t)sizeof params;
    return params;
}

/* Reads the HF_* variables once, here. Fails ARG (endpoint, token), MEMORY */
MLXE_API mlxe_status mlxe_hub_open(const mlxe_hub_params *params, mlxe_hub **out, mlxe_error *err);
MLXE_API void mlxe_hub_close(mlxe_hub *hub);

/* 1: MODEL reads as org/name[@revision] and there is no such folder or file. */
MLXE_API int mlxe_is_hub_id(const char *model);

typedef struct mlxe_pull_params {
    uint32_t size;
    uint32_t force;             /* 1: fetches again what is there */
    const char *const *include; /* patterns of paths (Python's fnmatch, * matches /); none: all */
    const char *const *exclude;
    uint32_t n_include, n_exclude;
    uint32_t deadline_ms; /* 0: none */
    /* A folder that has files of the repository: those with the right hash are linked, not fetched.
     * LM Studio's and Ollama's folders are looked at too. */
    const char *from;
    /* The files go to this folder, under their own names, and not into the cache: huggingface_hub's
     * local_dir, which both keep up to date. A file that was edited and is not what the Hub has is
     * replaced. NULL: the cache. */
    const char *local_dir;
} mlxe_pull_params;

static inline mlxe_pull_params mlxe_pull_params_new(void)
{
    mlxe_pull_params params;
    memset(&params, 0, sizeof params);
    params.size = (uint32_t)sizeof params;
    return params;
}

/* Fetches "org/name[@revision]" into the cache, verified, resuming what was begun. Events: PROGRESS
 * in bytes, with rate and left_s. DONE: {"path","bytes","revision","downloaded_bytes","files",
 * "from_cache"}; from_cache: the Hub was not reached, a complete copy was there. */
MLXE_API mlxe_status mlxe_hub_pull(mlxe_hub *hub, const char *name, const mlxe_pull_params *params,
                                   mlxe_job **out, mlxe_error *err);

typedef struct mlxe_search_params {
    uint32_t size;
    uint32_t limit;      /* results over all pages; 0: 20 */
    const char *text;    /* part of the id; NULL: any */
    const char *author;  /* NULL: any */
    const char *task;    /* "text-generation", ...; NULL: any */
    const char *library; /* "mlx", ...; NULL: any */
    const char *sort;    /* downloads (NULL), likes, lastModified, createdAt, trendingScore */
    const char *const *filters; /* further tags, all of which must fit */
    uint32_t n_filters;
    uint32_t fits;         /* 1: only models that fit into memory_bytes, see mlxe_hub_search */
    uint64_t memory_bytes; /* 0: this machine's memory, or less where a control group limits it */
} mlxe_search_params;

static inline mlxe_search_params mlxe_search_params_new(void)
{
    mlxe_search_params params;
    memset(&params, 0, sizeof params);
    params.size = (uint32_t)sizeof params;
    return params;
}

/* RESULT events {"id","downloads","likes","task","library","gated"}, descending; DONE {"count"}.
 * "mirrored" tells, where a mirror with an upstream answers, whether it holds the model.
 * With fits a model counts when weights + weights / 8 + 1 GiB <= memory_bytes: the weights are the
 * Hub's counts of parameters x the bytes of their dtypes, else the sizes of the weight files; the
 * rest is for the KV cache and working memory. RESULT then has {"weight_bytes","need_bytes",
 * "counted":"parameters"|"files"} too, DONE {"memory_bytes"}; models of unknown size are left out,
 * which is logged. */
MLXE_API mlxe_status mlxe_hub_search(mlxe_hub *hub, const mlxe_search_params *params,
                                     mlxe_job **out, mlxe_error *err);
/* What `mlxengine show --json` prints of a Hub id, from the cache where it is complete, else from
 * the Hub, without weights. */
MLXE_API mlxe_status mlxe_hub_describe(mlxe_hub *hub, const char *name, mlxe_job **out,
                                       mlxe_error *err);
/* The API's own object about a repository. */
MLXE_API mlxe_status mlxe_hub_info(mlxe_hub *hub, const char *name, mlxe_job **out,
                                   mlxe_error *err);
/* {"revision","files":[{"path","size"}]} of a revision. */
MLXE_API mlxe_status mlxe_hub_files(mlxe_hub *hub, const char *name, mlxe_job **out,
                                    mlxe_error *err);
/* {"branches":[..],"tags":[..],"converts":[..]} */
MLXE_API mlxe_status mlxe_hub_refs(mlxe_hub *hub, const char *name, mlxe_job **out,
                                   mlxe_error *err);
/* Who the token belongs to. */
MLXE_API mlxe_status mlxe_hub_whoami(mlxe_hub *hub, mlxe_job **out, mlxe_error *err);
/* Asks who the hub's token belongs to and keeps it where huggingface_hub does (HF_TOKEN_PATH, else
 * $HF_HOME/token, and stored_tokens beside it, mode 0600), so that it is found without HF_TOKEN
 * from then on: {"name","token","path"}. logout forgets it: {"token","path"}; NOT_FOUND: there was
 * none.
 */
MLXE_API mlxe_status mlxe_hub_login(mlxe_hub *hub, mlxe_job **out, mlxe_error *err);
MLXE_API mlxe_status mlxe_hub_logout(mlxe_hub *hub, mlxe_job **out, mlxe_error *err);

/* What the cache holds: {"models":[{"id","type","bytes","revisions":[..],"refs":{..},"files",
 * "path"}]}. No network, as with the three below but for a repair. */
MLXE_API mlxe_status mlxe_hub_list(mlxe_hub *hub, mlxe_job **out, mlxe_error *err);
/* Removes "org/name", or one revision of it with "@revision": {"removed":[..],"bytes"}, paths
 * relative to the cache. What another process works on, or another revision shows, stays. */
MLXE_API mlxe_status mlxe_hub_remove(mlxe_hub *hub, const char *name, mlxe_job **out,
                                     mlxe_error *err);
/* Hashes every file of "org/name[@revision]": {"ok","checked","bytes","unverifiable",
 * "bad":[{"path","revision","problem"}],"repaired":[..]}. Bad files are no failure of the job.
 * repair: nonzero fetches what is bad anew. */
MLXE_API mlxe_status mlxe_hub_verify(mlxe_hub *hub, const char *name, int repair, mlxe_job **out,
                                     mlxe_error *err);
/* Removes blobs that no revision shows and what broken downloads left a day ago:
 * {"removed":[..],"bytes","dry_run"}. dry_run: nonzero only tells. */
MLXE_API mlxe_status mlxe_hub_collect(mlxe_hub *hub, int dry_run, mlxe_job **out, mlxe_error *err);

#ifdef __cplusplus
}
#endif
#endif
