/* penalties.c: repetition, presence and frequency penalties over the last tokens.
 *
 * repetition (> 1 discourages) sees prompt and answer and divides positive logits, multiplies
 * negative ones, once a distinct token. presence (once) and frequency (a time each) are subtracted
 * after that and see the answer only, as the OpenAI API has them.
 *
 * Source: CTRL (arXiv 1909.05858) as transformers' RepetitionPenaltyLogitsProcessor reads it. */
#include "pipelines/sampler.h"

static int wanted(const eng_sampler *p)
{
    return p->repetition_penalty != 1 || p->presence_penalty != 0 || p->frequency_penalty != 0;
}

/* First place of a run of n tokens that a window of `left` tokens still sees. */
static size_t window_start(size_t n, size_t left) { return n > left ? n - left : 0; }

static void repeat(candidate *c, float penalty)
{
    c->logit = c->logit < 0 ? c->logit * penalty : c->logit / penalty;
}

static void apply(const sampler_input *in, candidates *c)
{
    const eng_sampler *p = in->params;
    size_t left = p->penalty_window > 0 ? (size_t)p->penalty_window : (size_t)-1;
    size_t a0 = window_start(in->n_answer, left);
    size_t p0 = window_start(in->n_prompt, left == (size_t)-1 ? left : left - (in->n_answer - a0));
    for (size_t i = a0; i < in->n_answer; i++) {
        int32_t id = in->answer[i];
        if (!c->marks[id] && p->repetition_penalty != 1)
            repeat(&c->items[id], p->repetition_penalty);
        if (!c->marks[id]) c->items[id].logit -= p->presence_penalty;
        c->items[id].logit -= p->frequency_penalty;
        c->marks[id] = 1;
    }
    for (size_t i = p0; i < in->n_prompt && p->repetition_penalty != 1; i++) {
        int32_t id = in->prompt[i];
        if (id >= c->n || c->marks[id]) continue;
        repeat(&c->items[id], p->repetition_penalty);
        c->marks[id] = 1;
    }
    for (size_t i = a0; i < in->n_answer; i++)
        c->marks[in->answer[i]] = 0;
    for (size_t i = p0; i < in->n_prompt; i++)
        if (in->prompt[i] < c->n) c->marks[in->prompt[i]] = 0;
}

const struct sampler_stage sampler_penalties = {
    .name = "penalties", .order = 20, .wanted = wanted, .apply = apply};
