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
#define KN_PANELS        2    /* panels that rows of x meet at once, at most */
#define KN_QR            96   /* queries that share unpacked keys and values, at most */
#define KN_DB            256  /* dims of a head that are unpacked at a time */
#define KN_LANES         16   /* floats of the widest vector */
#define KN_MAX_THREADS   256
#define KN_SCRATCH_BYTES (640 * 1024)

/* Some weight rows in one k block, laid out for integer products (tpl_int8.h). */
typedef struct kn_panel {
    _Alignas(64) uint8_t codes[KN_QN * KN_QB]; /* [k/4][row][4] */
    float groups[KN_QB / 16 * 2 * KN_QN];      /* [group][scale, bias][row] */
    uint8_t rows[KN_QN * KN_QB];               /* a row's codes as bytes */
    uint8_t copy[KN_QN * KN_QB];               /* rows of a matrix smaller than a panel */
} kn_panel;

/* Rows of activations as whole numbers; x = scale of its unit * number. */
typedef struct kn_bytes {
    const int8_t *q; /* rows ldq apart */
    const float *by; /* for each unit its scale and scale * sum of numbers; rows ldby apart */
    int64_t ldq, ldby;
    int twice; /* 1: a row of x is two rows of q, a number 128 * the first one's + the second's */
} kn_bytes;

/* Weight rows of one or two panels: groups of four, `apart` rows from group to group (4: all side
 * by side). Apart they are as many streams, which the hardware reads ahead better than one
 * (SPEED.md). */
typedef struct kn_rows {
    int64_t n0, apart;
    int panels;    /* the second one has the groups after the first one's */
    int64_t ahead; /* bytes from a row of the block to what is read next; 0: nothing is */
    int asked;     /* scales and biases have been asked for already */
} kn_rows;

/* Activations that share a scale. */
static inline int kn_unit(const kn_matrix *w) { return w->group <= 32 ? w->group : 64; }

/* Whether codes are whole numbers of a byte (twice an e2m1 is), so that bytes of x can meet them.
 * Rows of nvfp4 that end within 16 bytes of codes meet f32. */
static inline int kn_whole(const kn_matrix *w)
{
    return w->bits && w->mode != KN_MXFP8 && w->k % 32 == 0;
}

/* Running softmax of one query: a base near its greatest score (tpl_attention.h), sum of
 * 2^(score - base). Scores are in powers of 2: times log2 e. */
typedef struct kn_soft {
    float base, sum;
} kn_soft;

/* KN_KV_BLOCK keys and values of one kv head, as stored. */
typedef struct kn_block {
    kn_kv_type type;
    int d;
    const void *k, *v;
    const uint16_t *k_scales, *v_scales; /* int8 only */
    int64_t k_ahead, v_ahead;            /* bytes from them to what is read next; 0: nothing is */
} kn_block;

/* Queries that meet a block, and what they have gathered in its span. */
typedef struct kn_queries {
    int n;
    const float *q; /* [n, d], times scale * log2 e */
    const int *lo,
        *hi;       /* [n]: keys of the block that a query sees, lo .. hi-1, if any; NULL: all */
    float softcap; /* 0: none */
    float *base;   /* [n] */
    float *sums;   /* [n, KN_LANES]: sums of probabilities, lane by lane */
    float *o;      /* [n, d] */
    float *scores; /* [n, KN_KV_BLOCK], room */
    float *room;   /* [KN_DB * KN_KV_BLOCK] */
} kn_queries;

typedef struct kn_ops {
    const char *name;
    int panel_rows; /* weight rows of a panel */
    int panels;     /* that are best met at once by three rows of bytes and more */

    /* c[q, i] += row n0 + i * apart of w . x[q], i < n <= KN_NR, q < m <= KN_FEW; c rows KN_NR
     * apart: weights are unpacked in registers, once. apart is 1 when weights are packed. */
    void (*dot_rows)(const kn_matrix *w, int64_t n0, int64_t apart, int n, const float *x,
                     int64_t ldx, int m, float *c);

    /* out[i] = w[row, k0 + i] as f32, i < kn. k0 is a multiple of KN_KB, kn <= KN_KB. */
    void (*unpack)(const kn_matrix *w, int64_t row, int64_t k0, int kn, float *out);

    /* c[i,j] += x[i] . w[j], i < m, j < n; k <= KN_KB; w rows ldw floats apart. */
    void (*tile)(const float *const *x, int m, const float *w, int64_t ldw, int n, int k, float *c,
                 int64_t ldc);

    /* A row of x (k a multiple of unit) becomes bytes. */
    void (*quantize)(const float *x, int64_t k, int unit, int8_t *q, float *by);
    /* The same to two rows of bytes, ldq apart (kn_bytes.twice). */
    void (*quantize_2)(const float *x, int64_t k, int unit, int8_t *q, float *by, int64_t ldq);

    /* c[i,j] += x[i] . j-th of the rows over codes k0 .. k0 + kn - 1, i < m, j < all rows of the
     * panels; kn <= KN_QB; c rows so many apart; x starts at code k0; room: as many panels. One or
     * two rows of bytes meet one panel. A matrix with fewer rows than a panel repeats its last one
     * (n0 is 0, apart 4 and panels 1 then). */
    void (*dot_bytes)(const kn_matrix *w, const kn_rows *rows, int64_t k0, int kn, kn_panel *room,
                      const kn_bytes *x, int m, float *c);

    /* y = c (+ bias) (+ y) */
    void (*put)(float *y, const float *c, const float *bias, int accumulate, int64_t n);

    /* Keys and values as they are stored and read back: tpl_kv.h. */
    void (*kv_pack)(kn_kv_type type, const float *x, int n, void *out, uint16_t *scales);
    void (*kv_keys)(kn_kv_type type, const void *codes, const uint16_t *scales, int d0, int dn,
                    float *out);
    void (*kv_values)(kn_kv_type type, const void *v, const uint16_t *scales, int d, int from,
                      int to, int d0, int dn, float *out);

    /* Queries meet a block. What a query gathers does not depend on the others. */
    void (*attend)(const kn_block *b, const kn_queries *u);

    /* Sum over the lanes of one query's sums. */
    float (*sum_lanes)(const float *sums);

    /* Folds the next span into a query's total. */
    void (*merge)(kn_soft *total, float *o, const kn_soft *span, const float *o_span, int d);

    /* y[i] = x[i] * by, i < d; y may be x */
    void (*scale_row)(const float *x, float by, float *y, int d);

    void (*norm_row)(const float *x, const float *weight, float eps, float *y, int64_t e);
    void (*layer_row)(const float *x, const float *weight, const float *bias, float eps, float *y,
                      int64_t e);
    void (*softmax_row)(const float *x, float *y, int64_t n);
    /* The first i with x[i] > than, n when there is none. */
    int64_t (*first_above)(const float *x, int64_t n, float than);
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

/* kn_kv_append of one head. */
void kn_kv_append_head(const kn_kv *kv, int head, int64_t at, int64_t n, const float *k,
                       const float *v, int64_t ld);

/* A worker's own scratch, KN_SCRATCH_BYTES, 64-byte aligned; valid inside a task. */
void *kn_scratch(int worker);

/* CPUs by affinity mask and cgroup quota, 1 .. KN_MAX_THREADS. */
int kn_usable_cpus(void);
/* Least CPU quota of the groups named in a file like /proc/self/cgroup; 0: none. */
int kn_cgroup_cpus(const char *proc_cgroup, const char *root);

#endif
