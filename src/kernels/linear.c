/* linear.c: y = x . w^T over the pool, for every way in which weights are stored.
 *
 *   a few rows      chunks of weight rows, which are unpacked in registers and used at once
 *   more rows       chunks of up to KN_MC rows of x by KN_NC weight rows; for each k block the
 *                   weight rows are unpacked once into scratch and used for all rows of x
 *                   (dense f32 weights are used where they lie)
 *
 * Sums are collected in `c`, apart from y, and y is written once: bias and the old y are added at
 * the end, so that the order of summation is the same for all shapes. */
#include "kernels/internal.h"

#include <string.h>

/* Up to so many rows of x, what was unpacked is used a few times only: it stays in the first-level
 * cache (16 KiB). Beyond, x is loaded less often when more weight rows are at hand. */
#define SMALL_BLOCK    24
#define ROW_CHUNK_MACS (256 * 1024) /* a chunk of few rows: some 20 us of reading */

typedef struct linear {
    const kn_ops *ops;
    const kn_matrix *w;
    const float *bias, *x;
    float *y;
    int64_t ldx, ldy, m, rows; /* rows: weight rows of a chunk */
    int64_t mc;                /* rows of x of a chunk */
    int accumulate;
    const atomic_int *cancel;
    atomic_int stopped;
} linear;

/* y[i, n0 .. n0+n-1] of one row */
static void write_row(const linear *l, int64_t i, int64_t n0, int n, const float *c)
{
    float *y = l->y + i * l->ldy + n0;
    for (int j = 0; j < n; j++) {
        float sum = c[j];
        if (l->bias) sum += l->bias[n0 + j];
        if (l->accumulate) sum += y[j];
        y[j] = sum;
    }
}

static void few_rows(void *ctx, int chunk, int n_chunks, int worker)
{
    linear *l = ctx;
    int64_t n0 = chunk * l->rows, end = n0 + l->rows < l->w->n ? n0 + l->rows : l->w->n;
    (void)n_chunks;
    (void)worker;
    for (; n0 < end; n0 += KN_NR) {
        int n = end - n0 < KN_NR ? (int)(end - n0) : KN_NR;
        float c[KN_FEW * KN_NR] = {0};
        l->ops->dot_rows(l->w, n0, n, l->x, l->ldx, (int)l->m, c);
        for (int64_t i = 0; i < l->m; i++)
            write_row(l, i, n0, n, c + i * KN_NR);
    }
}

static void many_rows(void *ctx, int chunk, int n_chunks, int worker)
{
    linear *l = ctx;
    const kn_matrix *w = l->w;
    int64_t n_blocks = (w->n + l->rows - 1) / l->rows;
    int64_t m0 = chunk / n_blocks * l->mc, n0 = chunk % n_blocks * l->rows;
    int m = (int)(l->m - m0 < l->mc ? l->m - m0 : l->mc);
    int n = (int)(w->n - n0 < l->rows ? w->n - n0 : l->rows);
    int step = m <= SMALL_BLOCK ? KN_NR : KN_NC;
    int in_place = !w->bits && w->dtype == KN_F32;
    float *unpacked = kn_scratch(worker), *c = unpacked + KN_NC * KN_KB;
    const float *x[KN_MC];
    (void)n_chunks;
    memset(c, 0, (size_t)(m * KN_NC) * sizeof *c);
    for (int64_t k0 = 0; k0 < w->k; k0 += KN_KB) {
        int kn = (int)(w->k - k0 < KN_KB ? w->k - k0 : KN_KB);
        if (l->cancel && atomic_load_explicit(l->cancel, memory_order_relaxed)) {
            atomic_store(&l->stopped, 1);
            return;
        }
        for (int i = 0; i < m; i++)
            x[i] = l->x + (m0 + i) * l->ldx + k0;
        if (in_place) {
            l->ops->tile(x, m, (const float *)w->w + n0 * w->k + k0, w->k, n, kn, c, KN_NC);
            continue;
        }
        for (int j0 = 0; j0 < n; j0 += step) {
            int rows = n - j0 < step ? n - j0 : step;
            for (int j = 0; j < rows; j++)
                l->ops->unpack(w, n0 + j0 + j, k0, kn, unpacked + j * KN_KB);
            l->ops->tile(x, m, unpacked, KN_KB, rows, kn, c + j0, KN_NC);
        }
    }
    for (int i = 0; i < m; i++)
        write_row(l, m0 + i, n0, n, c + i * KN_NC);
}

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* Chunks of weight rows. -> how many */
static int64_t cut_few_rows(linear *l)
{
    const kn_matrix *w = l->w;
    l->rows = w->k ? ROW_CHUNK_MACS / w->k / KN_NR * KN_NR : w->n;
    if (l->rows < KN_NR) l->rows = KN_NR;
    return ceil_div(w->n, l->rows);
}

/* Chunks of both: rows of x in equal blocks, fewer weight rows when the workers would idle. */
static int64_t cut_many_rows(linear *l)
{
    int64_t blocks = ceil_div(l->m, KN_MC), want = 4 * kn_pool_threads();
    l->mc = blocks ? ceil_div(l->m, blocks) : 1;
    l->rows = KN_NC;
    while (l->rows > 24 && blocks * ceil_div(l->w->n, l->rows) < want)
        l->rows -= 24;
    return blocks * ceil_div(l->w->n, l->rows);
}

mlxe_status kn_linear(const kn_matrix *w, const float *bias, const float *x, int64_t ldx, float *y,
                      int64_t ldy, int64_t m, int accumulate, const atomic_int *cancel)
{
    linear l = {.ops = kn_table(),
                .w = w,
                .bias = bias,
                .x = x,
                .y = y,
                .ldx = ldx,
                .ldy = ldy,
                .m = m,
                .accumulate = accumulate,
                .cancel = cancel};
    mlxe_status rc;
    int64_t chunks;
    int few;
    kn_count_add(w->bits ? KN_COUNT_LINEAR_AFFINE : KN_COUNT_LINEAR_DENSE);
    few = m > 0 && m <= KN_FEW;
    chunks = few ? cut_few_rows(&l) : cut_many_rows(&l);
    rc = kn_run(few ? few_rows : many_rows, &l, (int)chunks, cancel);
    return rc ? rc : atomic_load(&l.stopped) ? MLXE_E_CANCELLED : MLXE_OK;
}
