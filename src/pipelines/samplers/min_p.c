/* min_p.c: drops tokens less likely than min_p times the likeliest.
 *
 * Source: arXiv 2407.01082. In logits: logit < top + ln(min_p). */
#include "pipelines/sampler.h"

#include <math.h>

static int wanted(const eng_sampler *p) { return p->min_p > 0 && p->temperature > 0; }

static void apply(const sampler_input *in, candidates *c)
{
    double top = -INFINITY, floor_logit;
    int32_t n = 0;
    for (int32_t i = 0; i < c->n; i++)
        if (c->items[i].logit > top) top = c->items[i].logit;
    floor_logit = top + log(in->params->min_p);
    for (int32_t i = 0; i < c->n; i++)
        if (c->items[i].logit >= floor_logit) c->items[n++] = c->items[i];
    c->n = n;
}

const struct sampler_stage sampler_min_p = {
    .name = "min_p", .order = 60, .wanted = wanted, .apply = apply};
