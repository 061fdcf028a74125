/* logit_bias.c: adds the caller's bias to single tokens; -infinity forbids one. */
#include "pipelines/sampler.h"

static int wanted(const eng_sampler *p) { return p->n_logit_bias > 0; }

static void apply(const sampler_input *in, candidates *c)
{
    for (uint32_t i = 0; i < in->params->n_logit_bias; i++) {
        const mlxe_logit_bias *b = &in->params->logit_bias[i];
        if (b->id >= 0 && b->id < c->n) c->items[b->id].logit += b->bias;
    }
}

const struct sampler_stage sampler_logit_bias = {
    .name = "logit_bias", .order = 10, .wanted = wanted, .apply = apply};
