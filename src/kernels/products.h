/* products.h: products of a block of weight rows with some rows of x (products.c), for linear.c and
 * experts.c, which cut their work into blocks. */
#ifndef KERNELS_PRODUCTS_H
#define KERNELS_PRODUCTS_H

#include "kernels/internal.h"

/* What the chunks of a run share. */
typedef struct kn_work {
    const kn_ops *ops;
    const atomic_int *cancel; /* or NULL */
    atomic_int stopped;       /* a chunk has seen that it is set: sums are not whole */
} kn_work;

/* ---- rows of x as bytes -----------------------------------------------------------------------
 * A matrix meets bytes in one of six forms: of units of 16, 32, 64 values, and the same with two
 * bytes a value, in two rows (kn_bytes.twice). */

enum { KN_FORMS = 6 };

typedef struct kn_forms {
    int want[KN_FORMS];
    kn_bytes bytes[KN_FORMS]; /* q NULL: not wanted */
} kn_forms;

int kn_form_of(const kn_matrix *w, kn_rounding rounding);
/* Rows of bytes of a row of x: 1 or 2. */
int kn_form_rows(int form);

/* Bytes of memory that the wanted forms of rows of k values take. */
size_t kn_forms_size(const kn_forms *f, size_t rows, int64_t k);
/* The wanted forms lie from `memory` on, 16-byte aligned. */
void kn_forms_place(kn_forms *f, void *memory, size_t rows, int64_t k);
/* Row i of x in all wanted forms; the row before it once more. */
void kn_forms_put(const kn_ops *ops, kn_forms *f, int64_t i, const float *x, int64_t k);
void kn_forms_repeat(kn_forms *f, int64_t i);

/* ---- sums of a block --------------------------------------------------------------------------
 * c[i, j] = x[i] . row n0 + j of w, i < m. None of them depends on m or n. */

/* Whether the run was cancelled; from then on all its chunks stop. */
int kn_work_stopped(kn_work *work);

/* Rows of x up to which one panel at a time is faster, of rows that lie apart. */
#define KN_FEW_BYTES 16
/* Panels that m rows of x meet at once in n rows of a matrix. */
int kn_panels(const kn_work *work, int64_t m, int64_t n);

/* Bytes, at most the rows of the panels, side by side, from row `at` of the forms on. end: of the
 * rows that are summed next. panel: room for as many. -> the sums in c, rows all panels' rows apart
 * (panels may begin before n0; two only where the matrix has rows for them) */
const float *kn_sum_side(kn_work *work, const kn_matrix *w, const kn_forms *f, int form, int64_t at,
                         int m, int panels, int64_t n0, int64_t end, float *c, kn_panel *panel);

/* Bytes, n rows: whole panels of rows that lie apart (kn_rows), then what is left side by side. c
 * rows ldc apart; sums: room for m rows of KN_PANELS panels, and panel for these. */
void kn_sum_apart(kn_work *work, const kn_matrix *w, const kn_forms *f, int form, int64_t at, int m,
                  int64_t n0, int64_t n, float *c, int64_t ldc, float *sums, kn_panel *panel);

/* f32, m <= KN_FEW rows of x, ldx apart; c rows KN_NC apart. */
void kn_sum_few(const kn_work *work, const kn_matrix *w, const float *x, int64_t ldx, int m,
                int64_t n0, int n, float *c);

/* f32, m <= KN_MC rows, n <= KN_NC; c rows KN_NC apart; unpacked: KN_NC * KN_KB floats. */
void kn_sum_many(kn_work *work, const kn_matrix *w, const float *const *x, int m, int64_t n0, int n,
                 float *c, float *unpacked);

#endif
