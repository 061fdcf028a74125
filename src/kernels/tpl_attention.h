/* tpl_attention.h: the inner steps of attention. Included once an instruction set.
 *
 * Scores and results are the same product, weigh: keys lie transposed (kernels.h), so a score is a
 * chain over the dims and a result a chain over the keys, both ascending, in which no other query
 * and no key beyond a query's own range takes part. */
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

enum { BV = KN_KV_BLOCK / VL };

/* Scaled scores of one query, -inf outside lo .. hi-1; -> the greatest. */
KN_INLINE float scale_scores(float *s, int lo, int hi, float scale, float softcap)
{
    static const float COUNT[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    vf v[BV], top;
    KN_UNROLL
    for (int j = 0; j < BV; j++)
        v[j] = v_mul(v_load(s + j * VL), v_set(scale));
    if (softcap != 0)
        for (int j = 0; j < BV; j++)
            v[j] = v_mul(v_set(softcap), v_tanh(v_div(v[j], v_set(softcap))));
    if (lo > 0 || hi < KN_KV_BLOCK)
        for (int j = 0; j < BV; j++) {
            vf at = v_add(v_load(COUNT), v_set((float)(j * VL)));
            v[j] = v_if_less(at, v_set((float)lo), v_set(-INFINITY), v[j]);
            v[j] = v_if_less(at, v_set((float)hi), v[j], v_set(-INFINITY));
        }
    top = v[0];
    for (int j = 1; j < BV; j++)
        top = v_max(top, v[j]);
    KN_UNROLL
    for (int j = 0; j < BV; j++)
        v_store(s + j * VL, v[j]);
    return v_greatest(top);
}

/* In three passes, so that the chains of different queries overlap. */
static void soft_block(float *s, int n, const int *lo, const int *hi, float scale, float softcap,
                       kn_soft *run, float *o, int d)
{
    float max[KN_QR], by[KN_QR] = {0};
    for (int i = 0; i < n; i++) {
        float top = -INFINITY;
        if (lo[i] < hi[i]) top = scale_scores(s + i * KN_KV_BLOCK, lo[i], hi[i], scale, softcap);
        max[i] = top > run[i].max ? top : run[i].max;
        by[i] = run[i].max - finite_base(max[i]);
    }
    for (int i = 0; i < n; i += VL)
        v_store(by + i, v_exp(v_load(by + i)));
    for (int i = 0; i < n; i++) {
        float *p = s + i * KN_KV_BLOCK;
        vf base = v_set(finite_base(max[i])), sum = v_zero();
        if (lo[i] >= hi[i]) continue;
        KN_UNROLL
        for (int j = 0; j < BV; j++) {
            vf v = v_exp(v_sub(v_load(p + j * VL), base));
            v_store(p + j * VL, v);
            sum = v_add(sum, v);
        }
        if (max[i] != run[i].max) { /* else the factor is 1 */
            run[i].sum *= by[i];
            scale_row(o + (int64_t)i * d, d, by[i]);
            run[i].max = max[i];
        }
        run[i].sum += v_sum(sum);
    }
}

/* o[i,:] += p[i,:] v for mr queries and nv vectors of columns */
KN_INLINE void weigh_cols(int mr, int nv, const float *const *p, const float *v, int64_t ldv, int n,
                          float *o, int64_t ldo)
{
    vf acc[TILE_ROWS][4];
    KN_UNROLL
    for (int r = 0; r < mr; r++) {
        KN_UNROLL
        for (int j = 0; j < nv; j++)
            acc[r][j] = v_load(o + r * ldo + j * VL);
    }
    for (int s = 0; s < n; s++, v += ldv) {
        vf by[TILE_ROWS];
        KN_UNROLL
        for (int r = 0; r < mr; r++)
            by[r] = v_set(p[r][s]);
        KN_UNROLL
        for (int j = 0; j < nv; j++) {
            vf val = v_load(v + j * VL);
            KN_UNROLL
            for (int r = 0; r < mr; r++)
                acc[r][j] = v_fma(by[r], val, acc[r][j]);
        }
    }
    KN_UNROLL
    for (int r = 0; r < mr; r++) {
        KN_UNROLL
        for (int j = 0; j < nv; j++)
            v_store(o + r * ldo + j * VL, acc[r][j]);
    }
}

/* The last columns, fewer than VL. */
static void weigh_rest(int m, const float *const *p, const float *v, int64_t ldv, int n, float *o,
                       int64_t ldo, int cols)
{
    for (int r = 0; r < m; r++) {
        vf acc = v_load_n(o + r * ldo, cols);
        for (int s = 0; s < n; s++)
            acc = v_fma(v_set(p[r][s]), v_load_n(v + s * ldv, cols), acc);
        v_store_n(o + r * ldo, acc, cols);
    }
}

KN_INLINE void weigh_rows(int mr, const float *const *p, const float *v, int64_t ldv, int n,
                          int cols, float *o, int64_t ldo)
{
    int i = 0;
    for (; i + 4 * VL <= cols; i += 4 * VL)
        weigh_cols(mr, 4, p, v + i, ldv, n, o + i, ldo);
    for (; i + VL <= cols; i += VL)
        weigh_cols(mr, 1, p, v + i, ldv, n, o + i, ldo);
    if (i < cols) weigh_rest(mr, p, v + i, ldv, n, o + i, ldo, cols - i);
}

static void weigh(const float *const *p, int m, const float *v, int64_t ldv, int n, int cols,
                  float *o, int64_t ldo)
{
    int left = (m + TILE_ROWS - 1) / TILE_ROWS; /* tiles of nearly equal height */
    while (left) {
        int mr = (m + left - 1) / left;
        switch (mr) {
        case 1:
            weigh_rows(1, p, v, ldv, n, cols, o, ldo);
            break;
        case 2:
            weigh_rows(2, p, v, ldv, n, cols, o, ldo);
            break;
#if TILE_ROWS >= 3
        case 3:
            weigh_rows(3, p, v, ldv, n, cols, o, ldo);
            break;
#endif
#if TILE_ROWS >= 6
        case 4:
            weigh_rows(4, p, v, ldv, n, cols, o, ldo);
            break;
        case 5:
            weigh_rows(5, p, v, ldv, n, cols, o, ldo);
            break;
        case 6:
            weigh_rows(6, p, v, ldv, n, cols, o, ldo);
            break;
#endif
        }
        p += mr;
        o += mr * ldo;
        m -= mr;
        left--;
    }
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
