/* sampler.h: from logits to a token, on the host: a chain of stages, then one draw.
 *
 *   logits [V] -> logit_bias -> penalties -> temperature -> top_k -> top_p -> min_p -> draw
 *
 * A stage is one file of samplers/ that defines `const struct sampler_stage sampler_<file>`; the
 * build lists them, `order` sorts them. Engines that choose tokens themselves skip all of this.
 *
 * Thread: a scratch is used by one thread at a time. */
#ifndef PIPELINES_SAMPLER_H
#define PIPELINES_SAMPLER_H

#include "engines/engine.h"

typedef struct candidate {
    float logit;
    int32_t id;
} candidate;

typedef struct candidates {
    candidate *items; /* with all tokens, item i has id i until a stage sorts or cuts */
    int32_t n;
    uint8_t *marks; /* one a token of the vocabulary, all 0; a stage leaves them so */
    int sorted;     /* descending by logit; equal ones by id */
} candidates;

typedef struct sampler_input {
    const eng_sampler *params;
    const int32_t *prompt, *answer; /* tokens so far */
    size_t n_prompt, n_answer;
} sampler_input;

typedef struct sampler_stage {
    const char *name;
    int order;
    int (*wanted)(const eng_sampler *params);
    void (*apply)(const sampler_input *in, candidates *c);
    /* 1: of two tokens the likelier one is so afterwards, or as likely, and none is taken away. */
    int keeps_order;
    /* How many of the likeliest tokens are left, at most; NULL: any number. When only stages that
     * keep the order come before, the other tokens are not looked at. */
    int32_t (*keeps)(const eng_sampler *params);
} sampler_stage;

/* Memory that sampling reuses; zeroed before the first use. */
typedef struct sampler_scratch {
    candidate *items;
    uint8_t *marks;
    size_t cap;
} sampler_scratch;
void sampler_scratch_deinit(sampler_scratch *s);

/* Chooses the token after the answer so far. The same seed and the same logits give the same token.
 * logits  f32 [vocab], not changed
 * Fails   MEMORY, INTERNAL (logits hold no number) */
mlxe_status sampler_choose(const sampler_input *in, const float *logits, int32_t vocab,
                           sampler_scratch *scratch, int32_t *token, mlxe_error *err);

/* The chain alone: what is left of the candidates, in any order. c holds all tokens. */
void sampler_filter(const sampler_input *in, candidates *c);

/* For stages: sorts the first `keep` places (all: n) in descending order. */
void candidates_sort(candidates *c, int32_t keep);

/* ln p = logit - top - log_sum; the sum over the vocabulary is taken once, in f64. */
typedef struct logits_sum {
    double top, log_sum;
} logits_sum;
logits_sum logits_total(const float *logits, int32_t vocab);
/* ln p of a token with this logit */
double logprob_of(float logit, const logits_sum *total);
/* Ids of the n largest logits, descending. n <= vocab, n <= 512 */
void logits_top(const float *logits, int32_t vocab, int32_t *ids, int32_t n);

#endif
