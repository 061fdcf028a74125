/* internal.h: what the kernels' files share: one table of functions an instruction set, scratch.
 *
 *   kernels.h -> linear.c attention.c rows.c (drivers: shapes, chunks, pool; the same for all sets)
 *             -> kn_ops (one table) -> kernels_generic.c kernels_avx2.c kernels_avx512.c
 *                kernels_neon.c, which are one source (tpl_*.h) over one small vector layer each
 *                (vec_*.h)
 *
 * The order of every sum is set here and in the templates, and depends on k (or on absolute key
 * positions) alone: k is summed in blocks of KN_KB, inside a block in VL lanes by fma in ascending
 * order, the lanes by one fixed tree, the blocks in ascending order. */
#ifndef KERNELS_INTERNAL_H
#define KERNELS_INTERNAL_H

#include "kernels/kernels.h"
#include "kernels/pool.h"

#define KN_KB            1024 /* k block; a multiple of every group and unit */
#define KN_NR            4    /* weight rows of a register tile */
#define KN_FEW           2    /* rows of x of dot_rows, at most */
#define KN_NC            96   /* weight rows that are unpacked at a time, at most */
#define KN_MC            96   /* activation rows of a chunk, at most */
#define KN_QB            512  /* k block of a panel; a multiple of every group */
#define KN_QN            32   /* weight rows of a panel, at most */
#define KN_SPAN          1024 /* keys that share one running softmax; spans are combined in order */
#define KN_QR            48   /* query rows of an attention tile, at most; a multiple of 16 */
#define KN_DB            256  /* dims of a head that are read at a time */
#define KN_MAX_THREADS   256
#define KN_SCRATCH_BYTES (512 * 1024)

/* Some weight rows in one k block, laid out for integer products (tpl_int8.h). */
typedef struct kn_panel {
    _Alignas(64) uint8_t codes[KN_QN * KN_QB]; /* [k/4][row][4] */
    float groups[KN_QB / 32 * 2 * KN_QN];      /* [group][scale, bias][row] */
    uint8_t rows[KN_QN * KN_QB];               /* a row's codes as bytes */
    uint8_t copy[KN_QN * KN_QB];               /* rows of a matrix smaller than a panel */
} kn_panel;

/* Rows of activations as bytes; x = scale of its unit * byte. */
typedef struct kn_bytes {
    const int8_t *q; /* rows ldq apart */
    const float *by; /* for each unit its scale and scale * sum of bytes; rows ldby apart */
    int64_t ldq, ldby;
} kn_bytes;

/* Activations that share a scale. */
static inline int kn_unit(const kn_matrix *w) { return w->group == 32 ? 32 : 64; }

/* Running softmax of one query: greatest score, sum of exp(score - max). */
typedef struct kn_soft {
    float max, sum;
} kn_soft;

typedef struct kn_ops {
    const char *name;
    int panel_rows; /* weight rows of a panel */

    /* c[q, i] += row n0 + i of w . x[q], i < n <= KN_NR, q < m <= KN_FEW; c rows KN_NR apart:
     * weights are unpacked in registers, once. */
    void (*dot_rows)(const kn_matrix *w, int64_t n0, int n, const float *x, int64_t ldx, int m,
                     float *c);

    /* out[i] = w[row, k0 + i] as f32, i < kn. k0 is a multiple of KN_KB, kn <= KN_KB. */
    void (*unpack)(const kn_matrix *w, int64_t row, int64_t k0, int kn, float *out);

    /* c[i,j] += x[i] . w[j], i < m, j < n; k <= KN_KB; w rows ldw floats apart. */
    void (*tile)(const float *const *x, int m, const float *w, int64_t ldw, int n, int k, float *c,
                 int64_t ldc);

    /* A row of x (k a multiple of unit) becomes bytes. */
    void (*quantize)(const float *x, int64_t k, int unit, int8_t *q, float *by);
    /* The same to two rows, of high and of low bytes, whose sum is x within 1/128 of a step. */
    void (*quantize_2)(const float *x, int64_t k, int unit, int8_t *q, float *by, int64_t ldq,
                       int64_t ldby);

    /* c[i,j] += x[i] . w[n0 + j] over codes k0 .. k0 + kn - 1, i < m, j < panel_rows; kn <= KN_QB;
     * c rows panel_rows apart; x starts at code k0. A matrix with fewer rows than a panel repeats
     * its last one (n0 is 0 then). ahead: bytes from a row of the block to what is read next */
    void (*dot_bytes)(const kn_matrix *w, int64_t n0, int64_t k0, int kn, int64_t ahead,
                      kn_panel *room, const kn_bytes *x, int m, float *c);

    /* y = c (+ bias) (+ y) */
    void (*put)(float *y, const float *c, const float *bias, int accumulate, int64_t n);

    /* Keys and values as they are stored and read back: tpl_kv.h. */
    void (*kv_pack)(kn_kv_type type, const float *x, int n, void *out, uint16_t *scales);
    void (*kv_keys)(kn_kv_type type, const void *codes, const uint16_t *scales, int d0, int dn,
                    float *out);
    void (*kv_values)(kn_kv_type type, const void *v, const uint16_t *scales, int d, int n, int d0,
                      int dn, float *out);

    /* Scores of n <= KN_QR queries s[n, KN_KV_BLOCK] become probabilities, 0 for keys of the block
     * outside lo[i] .. hi[i]-1 (none: the query is left alone); the running softmax and the
     * query's sum o[i, d] are rescaled. */
    void (*soft_block)(float *s, int n, const int *lo, const int *hi, float scale, float softcap,
                       kn_soft *run, float *o, int d);

    /* o[i,:cols] += sum over j < n, ascending, of p[i][j] * v[j,:cols], i < m; rows of v lie ldv
     * floats apart, those of o ldo. */
    void (*weigh)(const float *const *p, int m, const float *v, int64_t ldv, int n, int cols,
                  float *o, int64_t ldo);

    /* Folds the next span into a query's total. */
    void (*merge)(kn_soft *total, float *o, const kn_soft *span, const float *o_span, int d);

    /* out = o / sum */
    void (*finish)(const kn_soft *total, const float *o, float *out, int d);

    void (*norm_row)(const float *x, const float *weight, float eps, float *y, int64_t e);
    void (*gated)(kn_act act, const float *gate, const float *up, float *y, int64_t n);

    /* lo, hi: the two halves of a head's rotated part, n = rot / 2 each */
    void (*rotate)(float *lo, float *hi, const float *cos, const float *sin, int n);
} kn_ops;

/* The tables that this CPU can run, best last. -> how many */
int kn_tables(const kn_ops **out, int cap);
/* The chosen table; chooses the best when kn_init has not been called. */
const kn_ops *kn_table(void);
/* Replaces the chosen table: for tests that walk all of them. */
void kn_table_set(const kn_ops *ops);

void kn_count_add(kn_counter which);

/* A worker's own scratch, KN_SCRATCH_BYTES, 64-byte aligned; valid inside a task. */
void *kn_scratch(int worker);

/* CPUs by affinity mask and cgroup quota, 1 .. KN_MAX_THREADS. */
int kn_usable_cpus(void);
/* Least CPU quota of the groups named in a file like /proc/self/cgroup; 0: none. */
int kn_cgroup_cpus(const char *proc_cgroup, const char *root);

#endif
