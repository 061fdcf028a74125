/* kernels.h: CPU kernels, in C, one file an instruction set, behind one dispatch table.
 *
 * Knows pointers and sizes, no MLX. Pointers may be unaligned (MLX's buffers are 8 mod 16, mapped
 * weights lie anywhere). All accumulation is f32 or wider.
 *
 * Determinism: every result element is the same bits whatever the number of threads, the number of
 * rows in the call (m), and the cut of a sequence into calls, for one instruction set. So a dot
 * product's order of summation depends on k alone, and attention walks the keys in blocks that are
 * aligned to absolute positions, whichever rows are asked for.
 *
 * Every call runs on the pool (pool.h), polls `cancel` between tiles (some ms of work) and returns
 * MLXE_OK or MLXE_E_CANCELLED (results then undefined). Shapes are validated by the caller. */
#ifndef KERNELS_KERNELS_H
#define KERNELS_KERNELS_H

#include "base/error.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

typedef enum kn_dtype { KN_F32, KN_F16, KN_BF16 } kn_dtype;

/* How the codes of a packed matrix become values. */
typedef enum kn_mode { KN_AFFINE, KN_MXFP4, KN_MXFP8, KN_NVFP4 } kn_mode;

/* A weight matrix [n,k], row-major, read where it lies.
 * Dense: w is dtype [n,k]. Affine (bits > 0): w is MLX's packing, each row one little-endian
 * LSB-first bit stream of k codes of `bits` bits (uint32 [n, k*bits/32]); scales and biases are
 * dtype [n, k/group]; value = code * scale + bias. bits 2,3,4,5,6,8; group 32,64,128;
 * k % group == 0.
 * The other modes (bits > 0 too): codes packed like affine's, one byte of scale a group, no biases,
 * value = code * scale, exact in f32.
 *   mode   code               group  scale
 *   mxfp4  e2m1, 4 bits       32     e8m0: 2^(s - 127), 255 is infinity
 *   mxfp8  e4m3, 8 bits       32     e8m0
 *   nvfp4  e2m1, 4 bits       16     e4m3
 * e4m3's 0x7f and 0xff are NaN. Source: OCP Microscaling formats 1.0; MLX 0.32.4 reads them so. */
typedef struct kn_matrix {
    const void *w;
    const void *scales, *biases; /* packed only; biases: affine only */
    int64_t n, k;
    kn_dtype dtype; /* of w (dense) or of scales and biases (affine) */
    int bits;       /* 0: dense */
    int group;
    kn_mode mode;
} kn_matrix;

/* Chooses the instruction set once: MLXE_ISA's value ("generic", "avx2", "avx512", "amx", "neon",
 * "i8mm"; NULL: the best that this CPU has). A name that is unknown or that the CPU lacks is
 * MLXE_E_UNSUPPORTED. */
mlxe_status kn_init(const char *isa, mlxe_error *err);
const char *kn_isa(void); /* "generic", "avx2", "avx512", "amx", "neon", "i8mm" */
void kn_cpu_features(char *out,
                     size_t cap); /* "sse4.2 avx avx2 fma f16c avx512f ..." for reports */

/* How often each kernel ran since the start, for tests that a path was taken. Relaxed counters. */
typedef enum kn_counter {
    KN_COUNT_LINEAR_DENSE,
    KN_COUNT_LINEAR_AFFINE,
    KN_COUNT_LINEAR_FP,   /* mxfp4, mxfp8, nvfp4 */
    KN_COUNT_LINEAR_INT8, /* of these, with 8-bit activations */
    KN_COUNT_ATTENTION,
    KN_COUNT_KV_APPEND,
    KN_COUNT_RMS_NORM,
    KN_COUNT_LAYER_NORM,
    KN_COUNT_SOFTMAX,
    KN_COUNT_TOP_K,
    KN_COUNT_ROPE,
    KN_COUNT_GATED,
    KN_COUNT_EMBED,
    KN_COUNT_EXPERTS,
    KN_COUNTERS
} kn_counter;
uint64_t kn_count(kn_counter which);

/* y[m,n] = x[m,k] . w^T (+ bias[n]) (+ y when accumulate). bias is f32 or NULL.
 * x rows are ldx floats apart, y rows ldy. */
mlxe_status kn_linear(const kn_matrix *w, const float *bias, const float *x, int64_t ldx, float *y,
                      int64_t ldy, int64_t m, int accumulate, const atomic_int *cancel);

/* What rows of x are when they meet packed weights.
 * DEFAULT  bytes: per row, each 64 values (16 or 32 when that is the weights' group) are rounded to
 *          scale * -127 .. 127, and products are summed as integers. A unit that holds Inf or NaN
 *          makes its row's results NaN; one whose values are all below 2^-100 counts as zero.
 * PRECISE  f32. Dense and mxfp8 weights always meet f32. */
typedef enum kn_precision { KN_DEFAULT, KN_PRECISE } kn_precision;

/* RMS: x / sqrt(mean(x^2) + eps). LAYER: (x - mean(x)) / sqrt(mean((x - mean(x))^2) + eps), for
 * encoders (BERT, ViT) and the decoders that centre. */
typedef enum kn_norm { KN_NORM_RMS, KN_NORM_LAYER } kn_norm;

/* The rows of x that a set of projections shares. */
typedef struct kn_input {
    const float *x; /* [m,k], rows ldx floats apart */
    int64_t ldx, m;
    const float *norm; /* weight of a norm before, f32 [k]; NULL: none */
    float eps;         /* of the norm */
    kn_precision precision;
    kn_norm norm_kind;
    const float *norm_bias; /* f32 [k], of KN_NORM_LAYER, or NULL */
} kn_input;

/* Bits of a value of x by default precision: ROUND_16 is two bytes, -16256 .. 16256, and costs
 * twice the products; for the projections whose rounding counts most. */
typedef enum kn_rounding { KN_ROUND_8, KN_ROUND_16 } kn_rounding;

/* y[m,n] = x . w^T (+ bias[n]) (+ y when accumulate); bias f32 or NULL, y rows ldy apart. */
typedef struct kn_projection {
    const kn_matrix *w;
    const float *bias;
    float *y;
    int64_t ldy;
    int accumulate;
    kn_rounding rounding;
} kn_projection;

enum { KN_SET = 4 }; /* projections of a set, at most */

/* All projections of a set, n <= KN_SET, all of the same k, in one run. Also fails MEMORY */
mlxe_status kn_project(const kn_input *in, const kn_projection *set, int n,
                       const atomic_int *cancel);

/* gate->y[m,f] = act(x . gate^T) * (x . up^T): two matrices of one shape, in one run; up->y and
 * both accumulate are not looked at. Also fails MEMORY */
typedef enum kn_act { KN_SILU, KN_GELU /* erf */, KN_GELU_TANH, KN_RELU } kn_act;
mlxe_status kn_project_gated(const kn_input *in, kn_act act, const kn_projection *gate,
                             const kn_projection *up, const atomic_int *cancel);

/* Where pairs (row of x, expert) go, sorted by expert. */
typedef struct kn_routes {
    const int64_t *first; /* [count+1]: expert i has the pairs first[i] .. first[i+1]-1 */
    const int32_t *row;   /* of x, of each pair; NULL: the pair's own number */
    int count;            /* experts */
} kn_routes;

/* Row j of y is that of kn_project for pair j alone: the same bits. Of in, norm and m are not
 * looked at. p->w is an array of count matrices of one shape [n,k], p->bias f32 [count,n] or NULL,
 * accumulate is not looked at. Matrices without pairs are not touched. Also fails MEMORY */
mlxe_status kn_project_experts(const kn_input *in, const kn_routes *to, const kn_projection *p,
                               const atomic_int *cancel);
/* gate->y = act(x . gate^T) * (x . up^T) of each pair, as kn_project_gated; gate's rounding is that
 * of both. */
mlxe_status kn_project_experts_gated(const kn_input *in, const kn_routes *to, kn_act act,
                                     const kn_projection *gate, const kn_projection *up,
                                     const atomic_int *cancel);
/* out[i,:e] += sum over j < used, ascending, of weight[i,j] * y[at[i,j],:e], i < m */
mlxe_status kn_combine_experts(const float *y, int64_t ldy, const int32_t *at, const float *weight,
                               int used, float *out, int64_t ldo, int64_t m, int64_t e,
                               const atomic_int *cancel);

/* y[m,k] = row ids[i] of w, dequantised. ids are valid. */
mlxe_status kn_embed(const kn_matrix *w, const int32_t *ids, int64_t m, float *y,
                     const atomic_int *cancel);

/* y[m,e] = x / sqrt(mean(x^2) + eps) * weight. weight f32 [e] or NULL. y may be x. */
mlxe_status kn_rms_norm(const float *x, int64_t ldx, const float *weight, float eps, float *y,
                        int64_t ldy, int64_t m, int64_t e, const atomic_int *cancel);

/* y[m,e] = (x - mean) / sqrt(variance + eps) * weight + bias; the variance is that of the row, over
 * e. weight, bias f32 [e] or NULL. y may be x. A row with NaN or infinity becomes NaN. */
mlxe_status kn_layer_norm(const float *x, int64_t ldx, const float *weight, const float *bias,
                          float eps, float *y, int64_t ldy, int64_t m, int64_t e,
                          const atomic_int *cancel);

/* y[i,:n] = softmax(x[i,:n]), i < m: exp(x - max) / sum. y may be x. A row with NaN or +infinity,
 * or with -infinity alone, becomes NaN; next to numbers -infinity gives 0. */
mlxe_status kn_softmax(const float *x, int64_t ldx, float *y, int64_t ldy, int64_t m, int64_t n,
                       const atomic_int *cancel);

/* Ids of the k greatest of x[n], descending, of equal ones the lower id first; NaN is never among
 * them. Runs on the caller's thread: 128k values take some 20 us.
 * ids  room for k, k <= KN_TOP_K
 * ->   how many: k, or as many numbers as there are */
#define KN_TOP_K 512
int kn_top_k(const float *x, int64_t n, int k, int32_t *ids);

/* Activation of gate, times up: y[m,f] = act(gate) * up. y may be gate. */
mlxe_status kn_gated(kn_act act, const float *gate, int64_t ldg, const float *up, int64_t ldu,
                     float *y, int64_t ldy, int64_t m, int64_t f, const atomic_int *cancel);

/* Heads of q or k, [m, heads, d], side by side in rows of activations. */
typedef struct kn_heads {
    float *x;
    const float *norm; /* f32 [d]: each head is normalised first; NULL: not */
    float eps;
    int heads;
    int fixed; /* 1: not rotated */
} kn_heads;

/* Pair (i, i + rot/2) of the first rot dims turns by position * inv_freq[i], a product of f32 as in
 * transformers; cos and sin are multiplied by mscale. */
typedef struct kn_angles {
    const float *inv_freq; /* f32 [rot/2] */
    float mscale;
    int d, rot;
    int32_t start; /* row i is at position start + i */
} kn_angles;

/* Head norms and rope of n <= KN_SET sets, in place, rows ldx floats apart; a row's angles are
 * computed once for all sets. */
mlxe_status kn_rope(const kn_heads *set, int n, const kn_angles *angles, int64_t ldx, int64_t m,
                    const atomic_int *cancel);

/* ---- attention ------------------------------------------------------------------------------- */

#define KN_KV_BLOCK 64 /* keys that lie together, transposed */
/* Keys, from a multiple of it on, that share one running softmax; spans are combined in order. So
 * attention gives the same bits when a row's keys, start and keys all move by whole spans. */
#define KN_SPAN     512
#define KN_KV_GROUP 32 /* values of a head that share a scale in int8 */

/* How keys and values are stored. f16 and bf16 round to nearest (f16: beyond 65504 clamped). int8:
 * code * scale, a bf16 scale for each token, head and KN_KV_GROUP dims, |code| <= 127; a group that
 * holds NaN or infinity reads as NaN, one below 1e-30 as 0. */
typedef enum kn_kv_type { KN_KV_F32, KN_KV_F16, KN_KV_BF16, KN_KV_INT8 } kn_kv_type;

/* Keys and values of one layer of one conversation, over memory of the caller.
 *   k         [kv_heads, capacity / 64, d, 64]   blocks of 64 tokens, each transposed, so that
 *                                                scores come out side by side
 *   v         [kv_heads, capacity, d]
 *   k_scales  [kv_heads, capacity / 64, groups, 64] bf16, groups = ceil(d / 32); int8 only
 *   v_scales  [kv_heads, capacity, groups] */
typedef struct kn_kv {
    kn_kv_type type;
    int kv_heads, d;
    int64_t capacity; /* tokens, a multiple of KN_KV_BLOCK */
    char *k, *v;
    uint16_t *k_scales, *v_scales;
} kn_kv;

/* Bytes of one element, scales not counted. */
size_t kn_kv_element(kn_kv_type type);
/* Bytes of a kn_kv of these sizes. */
size_t kn_kv_bytes(kn_kv_type type, int kv_heads, int d, int64_t capacity);
/* Over memory of kn_kv_bytes, 8-byte aligned. What was in it stays. */
kn_kv kn_kv_over(void *memory, kn_kv_type type, int kv_heads, int d, int64_t capacity);
/* Stores tokens at .. at+n-1: k and v [n, kv_heads, d], rows ld floats apart. */
mlxe_status kn_kv_append(const kn_kv *kv, int64_t at, int64_t n, const float *k, const float *v,
                         int64_t ld, const atomic_int *cancel);
/* Reads tokens 0 .. n-1 back: k and v f32 [n, kv_heads, d]. */
void kn_kv_read(const kn_kv *kv, int64_t n, float *k, float *v);
/* Copies tokens first .. first+n-1, as they are stored, to the places 0 .. n-1 of a cache of the
 * same type, heads and dims, which may be the same cache. first: a multiple of KN_KV_BLOCK */
void kn_kv_copy(const kn_kv *to, const kn_kv *from, int64_t first, int64_t n);

/* One token of one head as plain bytes: key, value, scales of both. For saving. */
size_t kn_kv_token_bytes(const kn_kv *kv);
void kn_kv_save(const kn_kv *kv, int head, int64_t token, char *out);
void kn_kv_restore(const kn_kv *kv, int head, int64_t token, const char *in);

/* One conversation's new rows in an attention call. */
typedef struct kn_attn_row {
    const float *q;     /* [t, heads, d], rows ldq floats apart, already rotated */
    float *out;         /* [t, heads, d], rows ldo floats apart */
    const float *k, *v; /* [t, kv_heads, d], rows ldkv floats apart, k rotated: stored first, from
                           `start` on; NULL: they are stored already */
    kn_kv kv;
    int64_t ldq, ldo, ldkv;
    int32_t t;     /* new rows */
    int32_t start; /* position of the first new row */
    int32_t keys;  /* KN_FULL: all rows see keys 0 .. keys-1. Causal: row i sees 0 .. start + i */
} kn_attn_row;

typedef enum kn_mask { KN_CAUSAL, KN_FULL } kn_mask;

typedef struct kn_attn {
    int heads, kv_heads, d; /* heads % kv_heads == 0 */
    int window;             /* sliding window: row at p sees keys from p - window + 1 on, with
                               KN_FULL up to p + window - 1; 0: all */
    float scale;
    float softcap; /* 0: none; else cap * tanh(score / cap) */
    kn_mask mask;
    const float *sinks; /* [heads]: a score that takes part in the softmax and weighs nothing
                           (after scale and cap), or NULL */
} kn_attn;

/* Attention over a ragged batch: softmax(scale * q.k) . v, streamed over key blocks; only keys
 * within the window are visited. A row that sees no key gives 0 with sinks, NaN without. When it is
 * cancelled, any part of the new keys and values may be stored. */
mlxe_status kn_attention(const kn_attn *a, const kn_attn_row *rows, int n_rows,
                         const atomic_int *cancel);

#endif
