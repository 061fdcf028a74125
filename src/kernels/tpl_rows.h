/* tpl_rows.h: RMSNorm, gated activation, rotation of one row. Included once an instruction set. */
#ifndef KERNELS_TPL_ROWS_H
#define KERNELS_TPL_ROWS_H

/* The squares are summed in f64: no overflow, and no error that grows with e. */
static void norm_row(const float *x, const float *weight, float eps, float *y, int64_t e)
{
    vd sum = vd_zero();
    int64_t i = 0;
    vf by;
    for (; i + VL <= e; i += VL)
        sum = vd_add_square(sum, v_load(x + i));
    if (i < e) sum = vd_add_square(sum, v_load_n(x + i, (int)(e - i)));
    by = v_set((float)(1.0 / sqrt(vd_sum(sum) / (double)e + (double)eps)));
    for (i = 0; i + VL <= e; i += VL) {
        vf v = v_mul(v_load(x + i), by);
        v_store(y + i, weight ? v_mul(v, v_load(weight + i)) : v);
    }
    if (i < e) {
        int n = (int)(e - i);
        vf v = v_mul(v_load_n(x + i, n), by);
        v_store_n(y + i, weight ? v_mul(v, v_load_n(weight + i, n)) : v, n);
    }
}

/* y = c (+ bias) (+ y), in this order */
static void put(float *y, const float *c, const float *bias, int accumulate, int64_t n)
{
    int64_t i = 0;
    for (; i + VL <= n; i += VL) {
        vf v = v_load(c + i);
        if (bias) v = v_add(v, v_load(bias + i));
        if (accumulate) v = v_add(v, v_load(y + i));
        v_store(y + i, v);
    }
    for (; i < n; i++) {
        float v = c[i];
        if (bias) v += bias[i];
        y[i] = accumulate ? v + y[i] : v;
    }
}

KN_INLINE void gated_as(kn_act act, const float *gate, const float *up, float *y, int64_t n)
{
    int64_t i = 0;
    for (; i + VL <= n; i += VL)
        v_store(y + i, v_mul(v_act(act, v_load(gate + i)), v_load(up + i)));
    if (i < n) {
        int rest = (int)(n - i);
        vf v = v_mul(v_act(act, v_load_n(gate + i, rest)), v_load_n(up + i, rest));
        v_store_n(y + i, v, rest);
    }
}

static void gated(kn_act act, const float *gate, const float *up, float *y, int64_t n)
{
    switch (act) {
    case KN_SILU:
        gated_as(KN_SILU, gate, up, y, n);
        break;
    case KN_GELU:
        gated_as(KN_GELU, gate, up, y, n);
        break;
    case KN_GELU_TANH:
        gated_as(KN_GELU_TANH, gate, up, y, n);
        break;
    case KN_RELU:
        gated_as(KN_RELU, gate, up, y, n);
        break;
    }
}

KN_INLINE void rotate_pair(vf a, vf b, vf c, vf s, vf *lo, vf *hi)
{
    *lo = v_fnma(b, s, v_mul(a, c));
    *hi = v_fma(a, s, v_mul(b, c));
}

static void rotate(float *lo, float *hi, const float *cos, const float *sin, int n)
{
    int i = 0;
    vf a, b;
    for (; i + VL <= n; i += VL) {
        rotate_pair(v_load(lo + i), v_load(hi + i), v_load(cos + i), v_load(sin + i), &a, &b);
        v_store(lo + i, a);
        v_store(hi + i, b);
    }
    if (i < n) {
        int r = n - i;
        rotate_pair(v_load_n(lo + i, r), v_load_n(hi + i, r), v_load_n(cos + i, r),
                    v_load_n(sin + i, r), &a, &b);
        v_store_n(lo + i, a, r);
        v_store_n(hi + i, b, r);
    }
}

#endif
