/* text.h: text generation: a continuous batch over one model, and the decode loop of each row.
 *
 *   requests -> rows { prefill chunk | one token } -> engine step -> sampler -> text -> sink
 *
 * One thread a pipeline. Each turn it steps every decoding row by one token and gives the waiting
 * prompts a chunk that takes at most 250 ms at the measured speed; rows join and leave between
 * turns. A sink that is full pauses its row, not the batch. Cancelling is seen between turns, and
 * within one when the row is alone.
 *
 * What a row is given does not depend on its neighbours where the engine is deterministic. */
#ifndef PIPELINES_TEXT_H
#define PIPELINES_TEXT_H

#include "engines/engine.h"
#include "text/tok.h"

typedef struct text_pipeline text_pipeline;

/* Where a row's events go. Called on the pipeline's thread. */
typedef struct text_sink {
    void *user;
    int (*ready)(void *user); /* 0: full, the row waits */
    void (*progress)(void *user, uint64_t done, uint64_t total);
    void (*text)(void *user, const char *p, size_t n);
    void (*logprobs)(void *user, const char *json, size_t n);
    /* The text of a special token, which is no text of the answer; NULL: not wanted. */
    void (*special)(void *user, const char *p, size_t n);
    /* Another token in the place of the one that was chosen, or that one; NULL: never. */
    int32_t (*replace)(void *user, int32_t token);
    /* The last call: ids of the answer (borrowed) and what happened; status is MLXE_OK unless err
     * says otherwise. After it the pipeline no longer knows the request. */
    void (*end)(void *user, const int32_t *ids, size_t n_ids, const mlxe_stats *stats,
                mlxe_status status, const mlxe_error *err);
} text_sink;

/* Borrowed until end is called. */
typedef struct text_request {
    eng_kv *kv;            /* holds the first kv_length tokens of the prompt */
    const int32_t *prompt; /* all of it, at least one token more than the row holds */
    size_t n_prompt;
    eng_sampler sampler;
    uint32_t max_tokens;    /* 0: until the context is full */
    int64_t context_tokens; /* most tokens of the row */
    const int32_t *end_ids; /* end tokens */
    size_t n_end_ids;
    const strv *stop; /* stop strings */
    size_t n_stop;
    uint32_t logprobs; /* 0: none */
    const atomic_int *cancel;
    text_sink sink;
} text_request;

/* parallel: rows in the batch at the same time. Fails MEMORY */
mlxe_status text_open(const engine_ops *ops, eng_model *model, const tok *tokenizer, int parallel,
                      text_pipeline **out, mlxe_error *err);
/* Cancels what runs, ends every request, joins the thread. */
void text_close(text_pipeline *p);
/* Queues a request. Thread any. Fails MEMORY */
mlxe_status text_submit(text_pipeline *p, const text_request *request, mlxe_error *err);

/* Runs fn on the pipeline's thread between turns, with the model to itself, and waits for it: for
 * passes that are no conversation (logits). */
void text_exclusive(text_pipeline *p, void (*fn)(void *), void *arg);

/* Tokens of a chunk that should take `ms`, from what chunks have taken so far. */
int32_t text_chunk_tokens(text_pipeline *p, double ms);
void text_chunk_measured(text_pipeline *p, int32_t tokens, double ms);

#endif
