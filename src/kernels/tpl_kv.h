/* tpl_kv.h: how keys and values are stored and read back. Included once an instruction set.
 *
 * What is stored is what f32 rounds to; what is read back is exact (f16, bf16) or one product
 * (int8: code * scale), so decode and prefill see the same numbers however they read them. */
#ifndef KERNELS_TPL_KV_H
#define KERNELS_TPL_KV_H

#define F16_MAX 65504.0f

/* The least bf16 that is not below x, x >= 0 and not large. */
KN_INLINE uint16_t bf16_above(float x)
{
    uint32_t u;
    memcpy(&u, &x, 4);
    return (uint16_t)((u + 0xffff) >> 16);
}

KN_INLINE float bf16_value(uint16_t h)
{
    uint32_t u = (uint32_t)h << 16;
    float x;
    memcpy(&x, &u, 4);
    return x;
}

KN_INLINE void store_as(kn_kv_type type, void *p, vf x)
{
    if (type == KN_KV_F16)
        v_store_f16(p, v_max(v_set(-F16_MAX), v_min(v_set(F16_MAX), x))); /* NaN stays */
    else
        v_store_bf16(p, x);
}

/* n <= KN_KV_GROUP values as bytes. A group with NaN or infinity gets the scale NaN. */
static void pack_group(const float *x, int n, int8_t *out, uint16_t *scale)
{
    float part[KN_KV_GROUP] = {0}, greatest, by;
    int8_t codes[KN_KV_GROUP];
    vf top = v_zero(), wrong = v_zero();
    memcpy(part, x, (size_t)n * sizeof *part);
    for (int i = 0; i < KN_KV_GROUP; i += VL) {
        vf v = v_load(part + i);
        top = v_max(top, v_abs(v));
        wrong = v_fma(v, v_zero(), wrong);
    }
    greatest = v_greatest(top);
    *scale = bf16_above(greatest / 127);
    if (v_sum(wrong) != 0) *scale = 0x7fc0;
    if (greatest < 1e-30f) *scale = 0;
    by = *scale && *scale != 0x7fc0 ? 1 / bf16_value(*scale) : 0;
    for (int i = 0; i < KN_KV_GROUP; i += VL)
        v_store_i8(codes + i, by != 0 ? v_mul(v_load(part + i), v_set(by)) : v_zero());
    memcpy(out, codes, (size_t)n);
}

/* One row of n values; int8 has a scale for each KN_KV_GROUP of them. */
static void kv_pack(kn_kv_type type, const float *x, int n, void *out, uint16_t *scales)
{
    uint16_t last[VL];
    int i = 0;
    switch (type) {
    case KN_KV_F32:
        memcpy(out, x, (size_t)n * sizeof *x);
        return;
    case KN_KV_INT8:
        for (; i < n; i += KN_KV_GROUP)
            pack_group(x + i, n - i < KN_KV_GROUP ? n - i : KN_KV_GROUP, (int8_t *)out + i,
                       &scales[i / KN_KV_GROUP]);
        return;
    default:
        for (; i + VL <= n; i += VL)
            store_as(type, (uint16_t *)out + i, v_load(x + i));
        if (i == n) return;
        store_as(type, last, v_load_n(x + i, n - i));
        memcpy((uint16_t *)out + i, last, (size_t)(n - i) * sizeof *last);
    }
}

KN_INLINE kn_dtype dtype_of(kn_kv_type type)
{
    return type == KN_KV_F32 ? KN_F32 : type == KN_KV_F16 ? KN_F16 : KN_BF16;
}

/* out[i] = element at + i, i < n; not int8 */
static void kv_widen(kn_kv_type type, const void *p, int64_t at, int n, float *out)
{
    int i = 0;
    switch (type) {
    case KN_KV_F16:
        for (; i + VL <= n; i += VL)
            v_store(out + i, v_load_f16((const uint16_t *)p + at + i));
        if (i < n) v_store_n(out + i, v_load_f16_n((const uint16_t *)p + at + i, n - i), n - i);
        return;
    case KN_KV_BF16:
        for (; i + VL <= n; i += VL)
            v_store(out + i, v_load_bf16((const uint16_t *)p + at + i));
        if (i < n) v_store_n(out + i, v_load_bf16_n((const uint16_t *)p + at + i, n - i), n - i);
        return;
    default:
        memcpy(out, (const float *)p + at, (size_t)n * sizeof *out);
    }
}

/* Keys of a block, dims d0 .. d0+dn-1, as f32 [dn, KN_KV_BLOCK]. codes, scales: of the block. */
static void kv_keys(kn_kv_type type, const void *codes, const uint16_t *scales, int d0, int dn,
                    float *out)
{
    int64_t at = (int64_t)d0 * KN_KV_BLOCK;
    if (type != KN_KV_INT8) {
        kv_widen(type, codes, at, dn * KN_KV_BLOCK, out);
        return;
    }
    for (int i = d0; i < d0 + dn; i++, out += KN_KV_BLOCK) {
        const int8_t *row = (const int8_t *)codes + (int64_t)i * KN_KV_BLOCK;
        const uint16_t *scale = scales + i / KN_KV_GROUP * KN_KV_BLOCK;
        for (int j = 0; j < KN_KV_BLOCK; j += VL)
            v_store(out + j, v_mul(v_load_i8(row + j), v_load_bf16(scale + j)));
    }
}

/* One token's dims d0 .. d0+dn-1 of int8 values. d0 is a multiple of KN_KV_GROUP. */
KN_INLINE void bytes_value(const int8_t *row, const uint16_t *scales, int d0, int dn, float *out)
{
    for (int i = 0; i < dn; i += KN_KV_GROUP) {
        vf scale = v_set(bf16_value(scales[(d0 + i) / KN_KV_GROUP]));
        const int8_t *p = row + d0 + i;
        int n = dn - i < KN_KV_GROUP ? dn - i : KN_KV_GROUP;
        int8_t part[KN_KV_GROUP] = {0};
        if (n == KN_KV_GROUP) {
            KN_UNROLL
            for (int j = 0; j < KN_KV_GROUP; j += VL)
                v_store(out + i + j, v_mul(v_load_i8(p + j), scale));
            continue;
        }
        memcpy(part, p, (size_t)n);
        for (int j = 0; j < n; j += VL)
            v_store_n(out + i + j, v_mul(v_load_i8(part + j), scale), n - j < VL ? n - j : VL);
    }
}

/* Dims d0 .. d0+dn-1 of the values of tokens from .. to-1 (d dims each), as f32 [to, dn]. */
static void kv_values(kn_kv_type type, const void *v, const uint16_t *scales, int d, int from,
                      int to, int d0, int dn, float *out)
{
    int groups = (d + KN_KV_GROUP - 1) / KN_KV_GROUP;
    if (type == KN_KV_INT8) {
        for (int64_t s = from; s < to; s++)
            bytes_value((const int8_t *)v + s * d, scales + s * groups, d0, dn, out + s * dn);
    } else if (dn == d) {
        kv_widen(type, v, (int64_t)from * d, (to - from) * d, out + (int64_t)from * d);
    } else {
        for (int64_t s = from; s < to; s++)
            kv_widen(type, v, s * d + d0, dn, out + s * dn);
    }
}

#endif
