/* top_k.c: keeps the k likeliest tokens. */
#include "pipelines/sampler.h"

static int wanted(const eng_sampler *p) { return p->top_k > 0 && p->temperature > 0; }

static void apply(const sampler_input *in, candidates *c)
{
    if (in->params->top_k >= c->n) return;
    candidates_sort(c, in->params->top_k);
    c->n = in->params->top_k;
    c->sorted = 1;
}

static int32_t keeps(const eng_sampler *p) { return p->top_k; }

const struct sampler_stage sampler_top_k = {
    .name = "top_k", .order = 40, .wanted = wanted, .apply = apply, .keeps = keeps};
