/* sampler.c: the chain of stages and the draw.
 *
 * The draw's random number is a function of (seed, position in the answer) alone, so a row gives
 * the same text whatever else is in the batch. Probabilities are summed in double over candidates
 * in descending order, so that the tail is not lost.
 *
 * Source: softmax with temperature; splitmix64 (Steele, Lea, Flood 2014) as the counter's mixer. */
#include "pipelines/sampler.h"

#include "kernels/kernels.h"

#include <math.h>
#include <stdlib.h>

extern const struct sampler_stage *const samplers_table[]; /* generated from samplers/ */

void sampler_scratch_deinit(sampler_scratch *s)
{
    free(s->items);
    free(s->marks);
    *s = (sampler_scratch){0};
}

static int before(const candidate *a, const candidate *b)
{
    return a->logit > b->logit || (a->logit == b->logit && a->id < b->id);
}

static void sift_down(candidate *heap, int32_t n, int32_t i)
{
    for (int32_t child; (child = 2 * i + 1) < n; i = child) {
        candidate swap;
        if (child + 1 < n && before(&heap[child], &heap[child + 1])) child++;
        if (!before(&heap[i], &heap[child])) return;
        swap = heap[i];
        heap[i] = heap[child];
        heap[child] = swap;
    }
}

static int by_logit(const void *a, const void *b) { return before(a, b) ? -1 : before(b, a); }

/* Keeps the best `keep` in a heap whose top is the worst of them, then sorts those. */
void candidates_sort(candidates *c, int32_t keep)
{
    if (keep > c->n) keep = c->n;
    if (c->sorted || keep <= 0) return;
    if (keep < c->n) {
        for (int32_t i = keep / 2; i-- > 0;)
            sift_down(c->items, keep, i);
        for (int32_t i = keep; i < c->n; i++) {
            candidate swap = c->items[i];
            if (!before(&swap, &c->items[0])) continue;
            c->items[i] = c->items[0];
            c->items[0] = swap;
            sift_down(c->items, keep, 0);
        }
    }
    qsort(c->items, (size_t)keep, sizeof *c->items, by_logit);
    if (keep == c->n) c->sorted = 1;
}

/* -1: there is no number */
static int32_t argmax(const float *logits, int32_t vocab)
{
    int32_t best;
    return kn_top_k(logits, vocab, 1, &best) ? best : -1;
}

/* Uniform in [0,1), from seed and position. */
static double uniform(uint64_t seed, uint64_t position)
{
    uint64_t z = seed + (position + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return (double)(z >> 11) * 0x1p-53;
}

static int32_t draw(const candidates *c, double u)
{
    double sum = 0, at = 0, top = c->items[0].logit;
    for (int32_t i = 1; i < c->n; i++)
        if (c->items[i].logit > top) top = c->items[i].logit;
    for (int32_t i = 0; i < c->n; i++)
        sum += exp(c->items[i].logit - top);
    for (int32_t i = 0; i < c->n; i++) {
        at += exp(c->items[i].logit - top);
        if (at > u * sum) return c->items[i].id;
    }
    return c->items[0].id;
}

static int chain_wanted(const eng_sampler *params)
{
    for (size_t i = 0; samplers_table[i]; i++)
        if (samplers_table[i]->wanted(params)) return 1;
    return 0;
}

/* The first wanted stage after `done`; NULL: none. A handful of stages: it is found by looking. */
static const sampler_stage *stage_after(const eng_sampler *params, int done)
{
    const sampler_stage *next = NULL;
    for (size_t i = 0; samplers_table[i]; i++) {
        const sampler_stage *s = samplers_table[i];
        if (s->order > done && (!next || s->order < next->order) && s->wanted(params)) next = s;
    }
    return next;
}

static void filter_after(const sampler_input *in, candidates *c, int done)
{
    for (const sampler_stage *s; (s = stage_after(in->params, done)); done = s->order)
        s->apply(in, c);
}

void sampler_filter(const sampler_input *in, candidates *c) { filter_after(in, c, -1); }

/* The first stage that keeps so many and no more, with only stages before it that keep the order;
 * NULL: none */
static const sampler_stage *stage_that_cuts(const eng_sampler *params)
{
    const sampler_stage *s = stage_after(params, -1);
    while (s && s->keeps_order)
        s = stage_after(params, s->order);
    return s && s->keeps ? s : NULL;
}

#define BESIDE 32 /* tokens beyond those that a stage keeps */

/* The chain over the few tokens that a cutting stage can leave: the same as over all, and faster.
 * A stage that keeps the order may make two tokens equally likely, of which the lower id counts;
 * so some more are taken, and the last of them must be less likely than the last one kept.
 * -> 0: not done, c->items hold nothing */
static int filter_few(const sampler_input *in, const float *logits, int32_t vocab, candidates *c)
{
    const sampler_stage *cut = stage_that_cuts(in->params);
    int32_t ids[KN_TOP_K], n = cut ? cut->keeps(in->params) : 0, all = n + BESIDE;
    if (n <= 0 || n > KN_TOP_K - BESIDE || all >= vocab) return 0;
    if (kn_top_k(logits, vocab, all, ids) < all) return 0;
    for (int32_t i = 0; i < all; i++)
        c->items[i] = (candidate){logits[ids[i]], ids[i]};
    c->n = all;
    for (const sampler_stage *s = stage_after(in->params, -1); s != cut;
         s = stage_after(in->params, s->order))
        s->apply(in, c);
    if (!(c->items[all - 1].logit < c->items[n - 1].logit)) return 0;
    filter_after(in, c, cut->order - 1);
    return 1;
}

mlxe_status sampler_choose(const sampler_input *in, const float *logits, int32_t vocab,
                           sampler_scratch *scratch, int32_t *token, mlxe_error *err)
{
    int32_t best = argmax(logits, vocab);
    candidates c = {0};
    *token = best;
    if (best < 0) return err_set(err, MLXE_E_INTERNAL, "logits: all %d are NaN", vocab);
    if (in->params->temperature == 0 && !chain_wanted(in->params)) return MLXE_OK;
    if ((size_t)vocab > scratch->cap) {
        sampler_scratch_deinit(scratch);
        scratch->items = calloc((size_t)vocab, sizeof *scratch->items);
        scratch->marks = calloc((size_t)vocab, 1);
        if (!scratch->items || !scratch->marks)
            return err_memory(err, "sampler", (size_t)vocab * sizeof *scratch->items);
        scratch->cap = (size_t)vocab;
    }
    c.items = scratch->items;
    c.marks = scratch->marks;
    if (!filter_few(in, logits, vocab, &c)) {
        c.n = vocab;
        for (int32_t i = 0; i < vocab; i++)
            c.items[i] = (candidate){logits[i] == logits[i] ? logits[i] : -INFINITY, i};
        sampler_filter(in, &c);
    }
    if (in->params->temperature == 0) {
        candidates_sort(&c, 1);
        *token = c.items[0].id;
    } else {
        if (!c.sorted && c.n <= 4096) candidates_sort(&c, c.n);
        *token = draw(&c, uniform(in->params->seed, in->n_answer));
    }
    return MLXE_OK;
}

logits_sum logits_total(const float *logits, int32_t vocab)
{
    logits_sum total = {.top = -INFINITY};
    double sum = 0;
    for (int32_t i = 0; i < vocab; i++)
        if (logits[i] > total.top) total.top = logits[i];
    for (int32_t i = 0; i < vocab; i++)
        sum += exp(logits[i] - total.top);
    total.log_sum = log(sum);
    return total;
}

double logprob_of(float logit, const logits_sum *total)
{
    return logit - total->top - total->log_sum;
}

void logits_top(const float *logits, int32_t vocab, int32_t *ids, int32_t n)
{
    int32_t have = kn_top_k(logits, vocab, n, ids);
    for (int32_t i = 0; i < vocab && have < n; i++) /* what is no number comes last */
        if (logits[i] != logits[i]) ids[have++] = i;
}
