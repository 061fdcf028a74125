/* tpl_rows.h: norms, softmax, gated activation, rotation of one row. Included once an instruction
 * set. */
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

KN_INLINE vf layer_value(vf x, vf mean, vf rest, vf by, const float *weight, const float *bias,
                         int n)
{
    vf v = v_mul(v_sub(v_sub(x, mean), rest), by);
    if (weight) v = v_mul(v, n == VL ? v_load(weight) : v_load_n(weight, n));
    if (bias) v = v_add(v, n == VL ? v_load(bias) : v_load_n(bias, n));
    return v;
}

/* The mean is rounded to f32 and its rest kept, so that x - mean is as exact as x is. */
static void layer_row(const float *x, const float *weight, const float *bias, float eps, float *y,
                      int64_t e)
{
    vd sum = vd_zero(), squares = vd_zero();
    int64_t i = 0;
    int last;
    double exact, beside;
    float mean;
    vf by, m, rest;
    for (; i + VL <= e; i += VL)
        sum = vd_add(sum, v_load(x + i));
    last = (int)(e - i);
    if (last) sum = vd_add(sum, v_load_n(x + i, last));
    exact = vd_sum(sum) / (double)e;
    mean = (float)exact;
    beside = exact - (double)mean;
    m = v_set(mean);
    for (i = 0; i + VL <= e; i += VL)
        squares = vd_add_square(squares, v_sub(v_load(x + i), m));
    if (last) {
        float d[VL] = {0};
        for (int j = 0; j < last; j++)
            d[j] = x[i + j] - mean;
        squares = vd_add_square(squares, v_load(d));
    }
    by = v_set((float)(1.0 / sqrt(vd_sum(squares) / (double)e - beside * beside + (double)eps)));
    rest = v_set((float)beside);
    for (i = 0; i + VL <= e; i += VL)
        v_store(y + i, layer_value(v_load(x + i), m, rest, by, weight ? weight + i : NULL,
                                   bias ? bias + i : NULL, VL));
    if (last) {
        vf v = layer_value(v_load_n(x + i, last), m, rest, by, weight ? weight + i : NULL,
                           bias ? bias + i : NULL, last);
        v_store_n(y + i, v, last);
    }
}

/* Sums of SOFT_BLOCK in f32, these in f64. */
#define SOFT_BLOCK 1024

static void softmax_row(const float *x, float *y, int64_t n)
{
    vf top = v_set(-INFINITY), max, by;
    float greatest;
    double sum = 0;
    int64_t i = 0;
    for (; i + VL <= n; i += VL)
        top = v_max(v_load(x + i), top); /* NaN is passed over here, and stays below */
    greatest = v_greatest(top);
    for (; i < n; i++)
        if (x[i] > greatest) greatest = x[i];
    max = v_set(greatest);
    for (int64_t block = 0; block < n; block += SOFT_BLOCK) {
        int64_t end = n - block < SOFT_BLOCK ? n : block + SOFT_BLOCK;
        vf part = v_zero();
        for (i = block; i + VL <= end; i += VL) {
            vf v = v_exp(v_sub(v_load(x + i), max));
            v_store(y + i, v);
            part = v_add(part, v);
        }
        if (i < end) {
            vf v = v_exp(v_sub(v_load_n(x + i, (int)(end - i)), max));
            v_store_n(y + i, v, (int)(end - i));
            part = v_add(part, v_load_n(y + i, (int)(end - i)));
        }
        sum += (double)v_sum(part);
    }
    by = v_set((float)(1.0 / sum));
    for (i = 0; i + VL <= n; i += VL)
        v_store(y + i, v_mul(v_load(y + i), by));
    if (i < n) v_store_n(y + i, v_mul(v_load_n(y + i, (int)(n - i)), by), (int)(n - i));
}

/* The first i with x[i] > than, n when there is none. */
static int64_t first_above(const float *x, int64_t n, float than)
{
    int64_t i = 0;
    for (; i + 4 * VL <= n; i += 4 * VL) {
        vf a = v_max(v_load(x + i), v_set(than)), b = v_max(v_load(x + i + VL), v_set(than));
        a = v_max(v_load(x + i + 2 * VL), a); /* NaN is passed over */
        b = v_max(v_load(x + i + 3 * VL), b);
        if (v_greatest(v_max(a, b)) > than) break;
    }
    while (i < n && !(x[i] > than))
        i++;
    return i;
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
