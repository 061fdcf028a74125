/* top_p.c: nucleus sampling: the fewest likeliest tokens whose probability reaches p.
 *
 * Source: arXiv 1904.09751. The token that crosses p is kept. A vocabulary is rarely needed whole:
 * the best 256 are sorted first, more only when their mass does not reach p. */
#include "pipelines/sampler.h"

#include <math.h>

static int wanted(const eng_sampler *p) { return p->top_p < 1 && p->temperature > 0; }

static void apply(const sampler_input *in, candidates *c)
{
    double top = -INFINITY, sum = 0, at = 0;
    int32_t have = c->sorted ? c->n : 0, i = 0;
    for (int32_t k = 0; k < c->n; k++)
        if (c->items[k].logit > top) top = c->items[k].logit;
    for (int32_t k = 0; k < c->n; k++)
        sum += exp(c->items[k].logit - top);
    while (i < c->n) {
        if (i == have) {
            have = have ? (have > c->n / 8 ? c->n : have * 8) : (c->n < 256 ? c->n : 256);
            candidates_sort(c, have);
        }
        at += exp(c->items[i++].logit - top);
        if (at >= in->params->top_p * sum) break;
    }
    c->n = i;
    c->sorted = 1;
}

const struct sampler_stage sampler_top_p = {
    .name = "top_p", .order = 50, .wanted = wanted, .apply = apply};
