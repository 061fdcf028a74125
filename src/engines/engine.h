/* engine.h: the interface that every engine stands behind.
 *
 *   pipelines -> engine -> mlx.c (our models on MLX), llama.c (libllama)  <- one file an engine
 *
 * An engine loads a model, holds KV rows and steps ragged batches. It says what it can do; nothing
 * above asks for its name. Sampling, grammar, dialects, sessions and batching stand above.
 *
 * KV rows are opaque: append-and-attend happens in step; truncate tells what was really kept
 * (windows and recurrent layers cannot always go back: the caller prefills the rest).
 *
 * Threads: a model and its rows are used by one thread at a time, any thread. */
#ifndef ENGINES_ENGINE_H
#define ENGINES_ENGINE_H

#include "base/buf.h"
#include "base/log.h"
#include "files/model_files.h"

#include <stdatomic.h>
#include <stdint.h>

typedef struct eng_model eng_model;
typedef struct eng_kv eng_kv;

/* How a token is chosen; the same on every engine. Values are final: defaults are filled in. */
typedef struct eng_sampler {
    float temperature;                                             /* 0: greedy */
    float top_p;                                                   /* 1: off */
    int32_t top_k;                                                 /* 0: off */
    float min_p;                                                   /* 0: off */
    float repetition_penalty, presence_penalty, frequency_penalty; /* 1, 0, 0: off */
    int32_t penalty_window;                                        /* tokens; 0: all */
    const mlxe_logit_bias *logit_bias;
    uint32_t n_logit_bias;
    uint64_t seed;
} eng_sampler;

typedef enum eng_want { ENG_WANT_NONE, ENG_WANT_LAST, ENG_WANT_ALL } eng_want;

/* One row of a step. */
typedef struct eng_row {
    eng_kv *kv;
    const int32_t *ids; /* new tokens, at least one */
    int32_t n;
    int32_t total; /* tokens of the row when its prompt is through; 0: after this step */
    eng_want want; /* which logits */
    const eng_sampler *sampler; /* not NULL: choose the next token, if the engine can */
    int32_t token;              /* out: the chosen token, or -1: the host samples from logits */
    const float *logits;        /* out: [1 or n, vocab] f32, valid until the next step, or NULL */
} eng_row;

typedef struct eng_caps {
    const char *engine;     /* "mlx" */
    const char *model_type; /* "qwen3" */
    const char *device;     /* "cpu" */
    const char *kernels;    /* "avx2" */
    const char *kv_type;    /* "f16" */
    int32_t vocab;          /* logits a token */
    int32_t ids;            /* valid ids are below */
    int64_t context_tokens; /* what the model was made for */
    uint64_t weight_bytes;
    uint64_t kv_token_bytes; /* KV cache of one token */
    uint64_t token_bytes;    /* weights read for one token and its logits */
    double token_macs;       /* multiply-adds of one token's linears, the head left out */
    int samples;             /* 1: can choose tokens on its device */
    int deterministic;       /* 1: bits depend on no batch, chunk or thread count */
} eng_caps;

/* How a model is opened; 0 in a field is its default. */
typedef struct eng_options {
    mlxe_kv_type kv_type;
    mlxe_precision precision;
} eng_options;

typedef struct engine_ops {
    const char *name;
    /* files is borrowed for the model's life; options NULL: defaults.
     * Fails UNSUPPORTED (names what), CORRUPT, MEMORY */
    mlxe_status (*open)(model_files *files, const eng_options *options, const log_sink *log,
                        eng_model **out, mlxe_error *err);
    void (*close)(eng_model *m);
    void (*capabilities)(const eng_model *m, eng_caps *out);

    mlxe_status (*kv_open)(eng_model *m, eng_kv **out, mlxe_error *err);
    void (*kv_close)(eng_kv *kv);
    int32_t (*kv_length)(const eng_kv *kv);
    uint64_t (*kv_bytes)(const eng_kv *kv);
    mlxe_status (*kv_truncate)(eng_kv *kv, int32_t length, int32_t *kept, mlxe_error *err);
    mlxe_status (*kv_fork)(eng_model *m, const eng_kv *kv, eng_kv **out, mlxe_error *err);
    mlxe_status (*kv_export)(const eng_kv *kv, buf *out, mlxe_error *err);
    mlxe_status (*kv_import)(eng_model *m, const void *p, size_t n, eng_kv **out, mlxe_error *err);

    /* One forward pass over all rows' new tokens. On failure no row has changed.
     * cancel  polled during the pass; may be NULL. Fails CANCELLED, MEMORY, ARG (an id) */
    mlxe_status (*step)(eng_model *m, eng_row *rows, int n, const atomic_int *cancel,
                        mlxe_error *err);
    /* Runs fn(arg) on the engine's own thread, where a step hands nothing over, and waits for it;
     * NULL: there is none. fn returns soon after wanted says 1: others wait for that thread. */
    mlxe_status (*run)(eng_model *m, void (*fn)(void *), void *arg, mlxe_error *err);
    int (*wanted)(const eng_model *m);
} engine_ops;

/* The engine that opens these files. Fails UNSUPPORTED */
mlxe_status engine_find(const model_files *files, const engine_ops **out, mlxe_error *err);

extern const engine_ops engine_mlx;

#endif
