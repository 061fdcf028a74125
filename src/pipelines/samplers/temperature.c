/* temperature.c: divides logits; below 1 sharpens, above 1 flattens. Greedy (0) is no stage. */
#include "pipelines/sampler.h"

static int wanted(const eng_sampler *p) { return p->temperature > 0 && p->temperature != 1; }

static void apply(const sampler_input *in, candidates *c)
{
    for (int32_t i = 0; i < c->n; i++)
        c->items[i].logit /= in->params->temperature;
}

const struct sampler_stage sampler_temperature = {
    .name = "temperature", .order = 30, .wanted = wanted, .apply = apply, .keeps_order = 1};
