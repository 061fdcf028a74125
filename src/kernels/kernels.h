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

/* A weight matrix [n,k], row-major, read where it lies.
 * Dense: w is dtype [n,k]. Affine (bits > 0): w is MLX's packing, each row one little-endian
 * LSB-first bit stream of k codes of `bits` bits (uint32 [n, k*bits/32]); scales and biases are
 * dtype [n, k/group]; value = code * scale + bias. bits 2,3,4,5,6,8; group 32,64,128;
 * k % group == 0. */
typedef struct kn_matrix {
    const void *w;
    const void *scales, *biases; /* affine only */
    int64_t n, k;
    kn_dtype dtype; /* of w (dense) or of scales and biases (affine) */
    int bits;       /* 0: dense */
    int group;
} kn_matrix;

/* Chooses the instruction set once: MLXE_ISA's value ("generic", "avx2", "avx512"; NULL: the best
 * that this CPU has). A name that is unknown or that the CPU lacks is MLXE_E_UNSUPPORTED. */
mlxe_status kn_init(const char *isa, mlxe_error *err);
const char *kn_isa(void); /* "generic", "avx2", "avx512", "neon" */
void kn_cpu_features(char *out,
                     size_t cap); /* "sse4.2 avx avx2 fma f16c avx512f ..." for reports */

/* How often each kernel ran since the start, for tests that a path was taken. Relaxed counters. */
typedef enum kn_counter {
    KN_COUNT_LINEAR_DENSE,
    KN_COUNT_LINEAR_AFFINE,
    KN_COUNT_ATTENTION,
    KN_COUNT_RMS_NORM,
    KN_COUNT_ROPE,
    KN_COUNT_GATED,
    KN_COUNT_EMBED,
    KN_COUNTERS
} kn_counter;
uint64_t kn_count(kn_counter which);

/* y[m,n] = x[m,k] . w^T (+ bias[n]) (+ y when accumulate). bias is f32 or NULL.
 * x rows are ldx floats apart, y rows ldy. */
mlxe_status kn_linear(const kn_matrix *w, const float *bias, const float *x, int64_t ldx, float *y,
                      int64_t ldy, int64_t m, int accumulate, const atomic_int *cancel);

/* y[m,k] = row ids[i] of w, dequantised. ids are valid. */
mlxe_status kn_embed(const kn_matrix *w, const int32_t *ids, int64_t m, float *y,
                     const atomic_int *cancel);

/* y[m,e] = x / sqrt(mean(x^2) + eps) * weight. weight f32 [e] or NULL. y may be x. */
mlxe_status kn_rms_norm(const float *x, int64_t ldx, const float *weight, float eps, float *y,
                        int64_t ldy, int64_t m, int64_t e, const atomic_int *cancel);

/* Activation of gate, times up: y[m,f] = act(gate) * up. y may be gate. */
typedef enum kn_act { KN_SILU, KN_GELU /* erf */, KN_GELU_TANH, KN_RELU } kn_act;
mlxe_status kn_gated(kn_act act, const float *gate, int64_t ldg, const float *up, int64_t ldu,
                     float *y, int64_t ldy, int64_t m, int64_t f, const atomic_int *cancel);

/* Rotates pairs (i, i + rot/2) of the first rot dims of every head, in place:
 * x [m, heads, d] with rows ldx floats apart; row i is at position pos[i]; the angle of pair j is
 * pos * inv_freq[j] (computed in f32 like transformers: (float)pos * inv_freq[j]), cos and sin are
 * multiplied by mscale. inv_freq f32 [rot/2]. Serial; a row's angles are computed once. */
void kn_rope(float *x, int64_t ldx, int64_t m, int heads, int d, int rot, const int32_t *pos,
             const float *inv_freq, float mscale);

/* One conversation's new rows in an attention call. K and V lie in the cache as f32:
 * key of position s, kv head h, dim i at k[(h * capacity + s) * d + i]; v alike. */
typedef struct kn_attn_row {
    const float *q; /* [t, heads, d], rows ldq floats apart, already rotated */
    float *out;     /* [t, heads, d], rows ldo floats apart */
    const float *k, *v;
    int64_t ldq, ldo, capacity;
    int32_t t;     /* new rows */
    int32_t start; /* position of the first new row; keys 0 .. start + i are seen by row i */
} kn_attn_row;

typedef struct kn_attn {
    int heads, kv_heads, d; /* heads % kv_heads == 0 */
    int window;             /* sliding window: row at p sees keys p - window + 1 .. p; 0: all */
    float scale;
    float softcap; /* 0: none; else cap * tanh(score / cap) */
} kn_attn;

/* Causal attention over a ragged batch: softmax(scale * q.k) . v, streamed over key blocks. */
mlxe_status kn_attention(const kn_attn *a, const kn_attn_row *rows, int n_rows,
                         const atomic_int *cancel);

#endif
