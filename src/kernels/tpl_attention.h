/* tpl_attention.h: the inner steps of attention. Included once an instruction set.
 *
 * The scores are tpl_linear.h's tile. A query's result is a chain over its keys in ascending order
 * that no other query and no key beyond its own range takes part in. */
#ifndef KERNELS_TPL_ATTENTION_H
#define KERNELS_TPL_ATTENTION_H

KN_INLINE void scale_row(float *o, int d, float by)
{
    vf b = v_set(by);
    int i = 0;
    for (; i + VL <= d; i += VL)
        v_store(o + i, v_mul(v_load(o + i), b));
    if (i < d) v_store_n(o + i, v_mul(v_load_n(o + i, d - i), b), d - i);
}

KN_INLINE float exp_of(float x)
{
    float lanes[VL];
    v_store(lanes, v_exp(v_set(x)));
    return lanes[0];
}

/* Both NaN-safe: a score of NaN makes its probability NaN whatever the maximum is. A maximum of
 * -inf (nothing but -inf so far) counts as 0, so that exp(-inf - max) is 0 and not NaN. */
KN_INLINE float finite_base(float max) { return max == -INFINITY ? 0 : max; }

static void soft_block(float *s, int lo, int hi, float scale, float softcap, kn_soft *run, float *o,
                       int d)
{
    vf v[KN_BS / VL], top, base, sum;
    float max, by;
    for (int j = 0; j < KN_BS / VL; j++) {
        v[j] = v_mul(v_load(s + j * VL), v_set(scale));
        if (softcap != 0) v[j] = v_mul(v_set(softcap), v_tanh(v_div(v[j], v_set(softcap))));
    }
    if (lo > 0 || hi < KN_BS) {
        for (int j = 0; j < KN_BS / VL; j++)
            v_store(s + j * VL, v[j]);
        for (int i = 0; i < lo; i++)
            s[i] = -INFINITY;
        for (int i = hi; i < KN_BS; i++)
            s[i] = -INFINITY;
        for (int j = 0; j < KN_BS / VL; j++)
            v[j] = v_load(s + j * VL);
    }
    top = v[0];
    for (int j = 1; j < KN_BS / VL; j++)
        top = v_max(top, v[j]);
    max = v_greatest(top);
    max = max > run->max ? max : run->max;
    base = v_set(finite_base(max));
    sum = v_zero();
    for (int j = 0; j < KN_BS / VL; j++) {
        v[j] = v_exp(v_sub(v[j], base));
        v_store(s + j * VL, v[j]);
        sum = v_add(sum, v[j]);
    }
    if (max != run->max) { /* else the factor is 1 */
        by = exp_of(run->max - finite_base(max));
        run->sum *= by;
        scale_row(o, d, by);
        run->max = max;
    }
    run->sum += v_sum(sum);
}

/* o[i,:] += p[i,:] v for mr queries and nv vectors of d */
KN_INLINE void weigh_cols(int mr, int nv, const float *p, int64_t ldp, const float *v, int n, int d,
                          float *o)
{
    vf acc[TILE_ROWS][4];
    KN_UNROLL
    for (int r = 0; r < mr; r++) {
        KN_UNROLL
        for (int j = 0; j < nv; j++)
            acc[r][j] = v_load(o + (int64_t)r * d + j * VL);
    }
    for (int s = 0; s < n; s++, v += d) {
        vf val[4];
        KN_UNROLL
        for (int j = 0; j < nv; j++)
            val[j] = v_load(v + j * VL);
        KN_UNROLL
        for (int r = 0; r < mr; r++) {
            vf by = v_set(p[r * ldp + s]);
            KN_UNROLL
            for (int j = 0; j < nv; j++)
                acc[r][j] = v_fma(by, val[j], acc[r][j]);
        }
    }
    KN_UNROLL
    for (int r = 0; r < mr; r++) {
        KN_UNROLL
        for (int j = 0; j < nv; j++)
            v_store(o + (int64_t)r * d + j * VL, acc[r][j]);
    }
}

/* The last columns, fewer than VL. */
static void weigh_rest(int m, const float *p, int64_t ldp, const float *v, int n, int d, float *o,
                       int cols)
{
    for (int r = 0; r < m; r++) {
        vf acc = v_load_n(o + (int64_t)r * d, cols);
        for (int s = 0; s < n; s++)
            acc = v_fma(v_set(p[r * ldp + s]), v_load_n(v + (int64_t)s * d, cols), acc);
        v_store_n(o + (int64_t)r * d, acc, cols);
    }
}

KN_INLINE void weigh_rows(int mr, const float *p, int64_t ldp, const float *v, int n, int d,
                          float *o)
{
    int i = 0;
    for (; i + 4 * VL <= d; i += 4 * VL)
        weigh_cols(mr, 4, p, ldp, v + i, n, d, o + i);
    for (; i + VL <= d; i += VL)
        weigh_cols(mr, 1, p, ldp, v + i, n, d, o + i);
    if (i < d) weigh_rest(mr, p, ldp, v + i, n, d, o + i, d - i);
}

static void weigh(const float *p, int64_t ldp, int m, const float *v, int n, int d, float *o)
{
    while (m >= TILE_ROWS) {
        weigh_rows(TILE_ROWS, p, ldp, v, n, d, o);
        p += TILE_ROWS * ldp;
        o += (int64_t)TILE_ROWS * d;
        m -= TILE_ROWS;
    }
    for (; m >= 2; m -= 2, p += 2 * ldp, o += 2 * (int64_t)d)
        weigh_rows(2, p, ldp, v, n, d, o);
    if (m) weigh_rows(1, p, ldp, v, n, d, o);
}

static void merge(kn_soft *total, float *o, const kn_soft *span, const float *o_span, int d)
{
    float max, base, old, new;
    vf a, b;
    int i = 0;
    if (span->sum == 0) return; /* no key seen, or scores of -inf alone */
    if (total->sum == 0) {
        *total = *span;
        memcpy(o, o_span, (size_t)d * sizeof *o);
        return;
    }
    max = span->max > total->max ? span->max : total->max;
    base = finite_base(max);
    old = exp_of(total->max - base);
    new = exp_of(span->max - base);
    total->max = max;
    total->sum = total->sum * old + span->sum * new;
    a = v_set(old);
    b = v_set(new);
    for (; i + VL <= d; i += VL)
        v_store(o + i, v_fma(v_load(o_span + i), b, v_mul(v_load(o + i), a)));
    if (i < d) {
        vf x = v_mul(v_load_n(o + i, d - i), a);
        v_store_n(o + i, v_fma(v_load_n(o_span + i, d - i), b, x), d - i);
    }
}

static void finish(const kn_soft *total, const float *o, float *out, int d)
{
    vf by = v_set(total->sum);
    int i = 0;
    for (; i + VL <= d; i += VL)
        v_store(out + i, v_div(v_load(o + i), by));
    if (i < d) v_store_n(out + i, v_div(v_load_n(o + i, d - i), by), d - i);
}

#endif
