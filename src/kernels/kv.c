/* kv.c: keys and values in memory: where a token's numbers lie, storing, reading back.
 *
 *   k   block of 64 tokens   dim 0: token 0 .. 63, dim 1: token 0 .. 63, ...
 *   v   token after token    dim 0 .. d-1
 *
 * Storing a key scatters its dims 64 elements apart. A block of a head is a few KiB, so a prompt's
 * tokens find it in the first-level cache. */
#include "kernels/internal.h"

#include <string.h>

#define SERIAL_FLOATS 8192 /* fewer are not worth waking the pool */

static int groups_of(int d) { return (d + KN_KV_GROUP - 1) / KN_KV_GROUP; }

size_t kn_kv_element(kn_kv_type type) { return type == KN_KV_F32 ? 4 : type == KN_KV_INT8 ? 1 : 2; }

static size_t part_bytes(kn_kv_type type, int kv_heads, int d, int64_t capacity)
{
    size_t bytes = (size_t)kv_heads * (size_t)d * (size_t)capacity * kn_kv_element(type);
    return (bytes + 63) / 64 * 64;
}

static size_t scale_bytes(kn_kv_type type, int kv_heads, int d, int64_t capacity)
{
    if (type != KN_KV_INT8) return 0;
    return (size_t)kv_heads * (size_t)groups_of(d) * (size_t)capacity * sizeof(uint16_t);
}

size_t kn_kv_bytes(kn_kv_type type, int kv_heads, int d, int64_t capacity)
{
    return 2 * (part_bytes(type, kv_heads, d, capacity) + scale_bytes(type, kv_heads, d, capacity));
}

kn_kv kn_kv_over(void *memory, kn_kv_type type, int kv_heads, int d, int64_t capacity)
{
    size_t part = part_bytes(type, kv_heads, d, capacity);
    kn_kv kv = {.type = type, .kv_heads = kv_heads, .d = d, .capacity = capacity, .k = memory};
    kv.v = kv.k + part;
    if (type == KN_KV_INT8) {
        kv.k_scales = (uint16_t *)(void *)(kv.v + part);
        kv.v_scales = kv.k_scales + scale_bytes(type, kv_heads, d, capacity) / sizeof(uint16_t);
    }
    return kv;
}

/* First element of a token's key (its dims lie KN_KV_BLOCK apart), of its value. */
static int64_t key_at(const kn_kv *kv, int head, int64_t token)
{
    return (head * kv->capacity + token / KN_KV_BLOCK * KN_KV_BLOCK) * kv->d + token % KN_KV_BLOCK;
}
static int64_t value_at(const kn_kv *kv, int head, int64_t token)
{
    return (head * kv->capacity + token) * kv->d;
}
static uint16_t *key_scales(const kn_kv *kv, int head, int64_t token)
{
    if (!kv->k_scales) return NULL;
    return kv->k_scales +
           (head * kv->capacity + token / KN_KV_BLOCK * KN_KV_BLOCK) * groups_of(kv->d) +
           token % KN_KV_BLOCK;
}
static uint16_t *value_scales(const kn_kv *kv, int head, int64_t token)
{
    if (!kv->v_scales) return NULL;
    return kv->v_scales + (head * kv->capacity + token) * groups_of(kv->d);
}

/* n elements to places KN_KV_BLOCK apart. */
static void scatter(size_t element, const void *from, int n, void *to, int64_t at)
{
    const char *p = from;
    char *q = (char *)to + (size_t)at * element;
    switch (element) { /* sizes that the compiler sees are single moves */
    case 1:
        for (int i = 0; i < n; i++)
            memcpy(q + i * KN_KV_BLOCK, p + i, 1);
        break;
    case 2:
        for (int i = 0; i < n; i++)
            memcpy(q + i * KN_KV_BLOCK * 2, p + i * 2, 2);
        break;
    default:
        for (int i = 0; i < n; i++)
            memcpy(q + i * KN_KV_BLOCK * 4, p + i * 4, 4);
    }
}

/* ---- append ---------------------------------------------------------------------------------- */

typedef struct append {
    const kn_ops *ops;
    const kn_kv *kv;
    int64_t at, n, ld;
    const float *k, *v;
} append;

static void append_key(const append *a, int head, int64_t token, const float *k)
{
    size_t element = kn_kv_element(a->kv->type);
    int64_t at = key_at(a->kv, head, token);
    uint16_t *to_scales = key_scales(a->kv, head, token);
    for (int i = 0; i < a->kv->d; i += KN_DB) {
        int n = a->kv->d - i < KN_DB ? a->kv->d - i : KN_DB;
        uint32_t codes[KN_DB];
        uint16_t scales[KN_DB / KN_KV_GROUP];
        a->ops->kv_pack(a->kv->type, k + i, n, codes, scales);
        scatter(element, codes, n, a->kv->k, at + (int64_t)i * KN_KV_BLOCK);
        if (to_scales) scatter(2, scales, groups_of(n), to_scales, i / KN_KV_GROUP * KN_KV_BLOCK);
    }
}

static void append_tokens(const append *a, int head)
{
    const kn_kv *kv = a->kv;
    size_t element = kn_kv_element(kv->type);
    for (int64_t i = 0; i < a->n; i++) {
        int64_t token = a->at + i, from = i * a->ld + (int64_t)head * kv->d;
        append_key(a, head, token, a->k + from);
        a->ops->kv_pack(kv->type, a->v + from, kv->d,
                        kv->v + (size_t)value_at(kv, head, token) * element,
                        value_scales(kv, head, token));
    }
}

static void append_head(void *ctx, int chunk, int n_chunks, int worker)
{
    (void)n_chunks;
    (void)worker;
    append_tokens(ctx, chunk);
}

void kn_kv_append_head(const kn_kv *kv, int head, int64_t at, int64_t n, const float *k,
                       const float *v, int64_t ld)
{
    append a = {kn_table(), kv, at, n, ld, k, v};
    append_tokens(&a, head);
}

mlxe_status kn_kv_append(const kn_kv *kv, int64_t at, int64_t n, const float *k, const float *v,
                         int64_t ld, const atomic_int *cancel)
{
    append a = {kn_table(), kv, at, n, ld, k, v};
    kn_count_add(KN_COUNT_KV_APPEND);
    if (n * kv->kv_heads * kv->d >= SERIAL_FLOATS)
        return kn_run(append_head, &a, kv->kv_heads, cancel);
    for (int h = 0; h < kv->kv_heads; h++)
        append_tokens(&a, h);
    return MLXE_OK;
}

/* ---- reading back, copying ------------------------------------------------------------------- */

/* Tokens of one block, n of them, of one head. */
static void read_block(const kn_ops *ops, const kn_kv *kv, int head, int64_t first, int64_t n,
                       float *k, float *v)
{
    float part[KN_KV_GROUP * KN_KV_BLOCK];
    int64_t ld = (int64_t)kv->kv_heads * kv->d;
    const char *keys = kv->k + (size_t)key_at(kv, head, first) * kn_kv_element(kv->type);
    for (int d0 = 0; d0 < kv->d; d0 += KN_KV_GROUP) {
        int dn = kv->d - d0 < KN_KV_GROUP ? kv->d - d0 : KN_KV_GROUP;
        ops->kv_keys(kv->type, keys, key_scales(kv, head, first), d0, dn, part);
        for (int64_t s = 0; s < n; s++)
            for (int i = 0; i < dn; i++)
                k[s * ld + d0 + i] = part[i * KN_KV_BLOCK + s];
    }
    for (int64_t s = 0; s < n; s++)
        ops->kv_values(kv->type,
                       kv->v + (size_t)value_at(kv, head, first + s) * kn_kv_element(kv->type),
                       value_scales(kv, head, first + s), kv->d, 0, 1, 0, kv->d, v + s * ld);
}

void kn_kv_read(const kn_kv *kv, int64_t n, float *k, float *v)
{
    const kn_ops *ops = kn_table();
    int64_t ld = (int64_t)kv->kv_heads * kv->d;
    for (int h = 0; h < kv->kv_heads; h++)
        for (int64_t s = 0; s < n; s += KN_KV_BLOCK) {
            int64_t at = s * ld + (int64_t)h * kv->d;
            read_block(ops, kv, h, s, n - s < KN_KV_BLOCK ? n - s : KN_KV_BLOCK, k + at, v + at);
        }
}

void kn_kv_copy(const kn_kv *to, const kn_kv *from, int64_t first, int64_t n)
{
    size_t element = kn_kv_element(from->type), d = (size_t)from->d;
    size_t scales = (size_t)groups_of(from->d) * sizeof(uint16_t);
    size_t tokens = (size_t)((n + KN_KV_BLOCK - 1) / KN_KV_BLOCK * KN_KV_BLOCK);
    if (!n) return;
    for (int h = 0; h < from->kv_heads; h++) { /* within one cache a head moves down in its place */
        memmove(to->k + (size_t)key_at(to, h, 0) * element,
                from->k + (size_t)key_at(from, h, first) * element, tokens * d * element);
        memmove(to->v + (size_t)value_at(to, h, 0) * element,
                from->v + (size_t)value_at(from, h, first) * element, (size_t)n * d * element);
        if (!from->k_scales) continue;
        memmove(key_scales(to, h, 0), key_scales(from, h, first), tokens * scales);
        memmove(value_scales(to, h, 0), value_scales(from, h, first), (size_t)n * scales);
    }
}

size_t kn_kv_token_bytes(const kn_kv *kv)
{
    return 2 * ((size_t)kv->d * kn_kv_element(kv->type) +
                (kv->k_scales ? (size_t)groups_of(kv->d) * sizeof(uint16_t) : 0));
}

/* n elements from places KN_KV_BLOCK apart. */
static void gather(size_t element, const void *from, int n, char *to)
{
    for (int i = 0; i < n; i++)
        memcpy(to + (size_t)i * element, (const char *)from + (size_t)i * KN_KV_BLOCK * element,
               element);
}

void kn_kv_save(const kn_kv *kv, int head, int64_t token, char *out)
{
    size_t element = kn_kv_element(kv->type), row = (size_t)kv->d * element;
    int groups = groups_of(kv->d);
    gather(element, kv->k + (size_t)key_at(kv, head, token) * element, kv->d, out);
    memcpy(out + row, kv->v + (size_t)value_at(kv, head, token) * element, row);
    if (!kv->k_scales) return;
    gather(2, key_scales(kv, head, token), groups, out + 2 * row);
    memcpy(out + 2 * row + 2 * groups, value_scales(kv, head, token), 2 * (size_t)groups);
}

void kn_kv_restore(const kn_kv *kv, int head, int64_t token, const char *in)
{
    size_t element = kn_kv_element(kv->type), row = (size_t)kv->d * element;
    int groups = groups_of(kv->d);
    scatter(element, in, kv->d, kv->k, key_at(kv, head, token));
    memcpy(kv->v + (size_t)value_at(kv, head, token) * element, in + row, row);
    if (!kv->k_scales) return;
    scatter(2, in + 2 * row, groups, key_scales(kv, head, token), 0);
    memcpy(value_scales(kv, head, token), in + 2 * row + 2 * groups, 2 * (size_t)groups);
}
