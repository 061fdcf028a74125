/* products.c: the products of a block, for every way in which weights are stored.
 *
 *   bytes            weight rows become a panel, once for all rows of x (tpl_int8.h); for one or
 *                    two they are used as they lie (tpl_few.h)
 *   f32, a few rows  weights are unpacked in registers and used at once
 *   f32, more rows   weights are unpacked into scratch for each k block and used for all rows of x
 *                    (dense f32 weights are used where they lie)
 *
 * Sums go to scratch, apart from the result, which is written once: bias and what is accumulated
 * are added at the end, so that the order of summation is the same for all shapes. */
#include "kernels/products.h"

#include "kernels/tpl.h"

#include <string.h>

/* Up to so many rows of x, what was unpacked is used a few times only: it stays in the first-level
 * cache (16 KiB). Beyond, x is loaded less often when more weight rows are at hand. */
#define SMALL_BLOCK 24

#define ASKED_SCALES (16 * 1024) /* bytes of scales that a chunk asks for at its start, at most */

/* Bytes of a row's scales. */
static int64_t scale_bytes(const kn_matrix *w)
{
    return w->k / w->group * (w->mode ? 1 : w->dtype == KN_F32 ? 4 : 2);
}

/* ---- rows of x as bytes ---------------------------------------------------------------------- */

int kn_form_of(const kn_matrix *w, kn_rounding rounding)
{
    return (kn_unit(w) >> 5) + (rounding == KN_ROUND_16 ? 3 : 0);
}
static int form_unit(int form) { return 16 << form % 3; }
int kn_form_rows(int form) { return form < 3 ? 1 : 2; }

size_t kn_forms_size(const kn_forms *f, size_t rows, int64_t k)
{
    size_t size = 0;
    for (int i = 0; i < KN_FORMS; i++)
        if (f->want[i])
            size += rows * (size_t)kn_form_rows(i) * (size_t)k +
                    rows * (size_t)(k / form_unit(i) * 2) * sizeof(float);
    return size;
}

void kn_forms_place(kn_forms *f, void *memory, size_t rows, int64_t k)
{
    float *by = memory;
    int8_t *q;
    for (int i = 0; i < KN_FORMS; i++)
        if (f->want[i]) {
            f->bytes[i] = (kn_bytes){
                .by = by, .ldby = k / form_unit(i) * 2, .ldq = k, .twice = kn_form_rows(i) == 2};
            by += rows * (size_t)f->bytes[i].ldby;
        }
    q = (int8_t *)by;
    for (int i = 0; i < KN_FORMS; i++)
        if (f->want[i]) {
            f->bytes[i].q = q;
            q += rows * (size_t)kn_form_rows(i) * (size_t)k;
        }
}

void kn_forms_put(const kn_ops *ops, kn_forms *f, int64_t i, const float *x, int64_t k)
{
    for (int form = 0; form < KN_FORMS; form++) {
        const kn_bytes *b = &f->bytes[form];
        int8_t *q = (int8_t *)(uintptr_t)b->q;
        float *by = (float *)(uintptr_t)b->by;
        if (!q) continue;
        q += i * kn_form_rows(form) * b->ldq;
        by += i * b->ldby;
        if (b->twice)
            ops->quantize_2(x, k, form_unit(form), q, by, b->ldq);
        else
            ops->quantize(x, k, form_unit(form), q, by);
    }
}

void kn_forms_repeat(kn_forms *f, int64_t i)
{
    for (int form = 0; form < KN_FORMS; form++) {
        const kn_bytes *b = &f->bytes[form];
        const int64_t q_row = kn_form_rows(form) * b->ldq;
        int8_t *q = (int8_t *)(uintptr_t)b->q;
        float *by = (float *)(uintptr_t)b->by;
        if (!q) continue;
        q += i * q_row;
        by += i * b->ldby;
        memcpy(q, q - q_row, (size_t)q_row);
        memcpy(by, by - b->ldby, (size_t)b->ldby * sizeof *by);
    }
}

/* ---- sums ------------------------------------------------------------------------------------ */

int kn_work_stopped(kn_work *work)
{
    if (!work->cancel || !atomic_load_explicit(work->cancel, memory_order_relaxed)) return 0;
    atomic_store(&work->stopped, 1);
    return 1;
}

/* One panel, or two; next: how many rows further the next ones are, 0: there are none. c rows all
 * panels apart */
static void sum_panel(kn_work *work, const kn_matrix *w, const kn_forms *f, int form, int64_t at,
                      int m, kn_rows rows, int64_t next, float *c, kn_panel *panel)
{
    const int n = rows.panels * work->ops->panel_rows;
    kn_bytes x = f->bytes[form];
    x.q += at * kn_form_rows(form) * x.ldq;
    x.by += at * x.ldby;
    memset(c, 0, (size_t)(m * n) * sizeof *c);
    for (int64_t k0 = 0; k0 < w->k; k0 += KN_QB) {
        int kn = (int)(w->k - k0 < KN_QB ? w->k - k0 : KN_QB);
        if (m > 1 && kn_work_stopped(work)) break;
        rows.ahead = KN_QB * w->bits / 8; /* the rows' next codes, or the next rows */
        if (k0 + KN_QB >= w->k) rows.ahead = next ? (next * w->k - k0) * w->bits / 8 : 0;
        work->ops->dot_bytes(w, &rows, k0, kn, panel, &x, m, c);
        x.q += kn;
        x.by += kn / kn_unit(w) * 2;
    }
}

const float *kn_sum_side(kn_work *work, const kn_matrix *w, const kn_forms *f, int form, int64_t at,
                         int m, int panels, int64_t n0, int64_t end, float *c, kn_panel *panel)
{
    const int64_t most = panels * work->ops->panel_rows, all = w->n;
    kn_rows rows = {n0 + most <= all ? n0 : all > most ? all - most : 0, 4, panels, 0, 0};
    sum_panel(work, w, f, form, at, m, rows, rows.n0 + most < end ? most : 0, c, panel);
    return c + (n0 - rows.n0);
}

/* A chunk's first block, and all its scales and biases when there are few rows of x: panels of rows
 * that lie apart begin at many places at once, and what the hardware reads ahead comes too late.
 * Scales and biases in turn: one after the other they are one stream, and slower than not asked for
 * (SPEED.md). */
static void ask_chunk(const kn_matrix *w, int64_t n0, int64_t n, int64_t apart)
{
    const int64_t row = w->k * w->bits / 8, block = KN_QB * w->bits / 8;
    const int64_t begin = n0 * scale_bytes(w), end = (n0 + n) * scale_bytes(w);
    for (int64_t g = n0; g < n0 + n; g += apart)
        for (int r = 0; r < 4; r++)
            for (int64_t i = 0; i < row && i < block; i += 64)
                prefetch_near((const uint8_t *)w->w + (g + r) * row, i);
    for (int64_t i = begin; i < end; i += 64) {
        prefetch_near(w->scales, i);
        if (w->biases) prefetch_near(w->biases, i);
    }
}

int kn_panels(const kn_work *work, int64_t m, int64_t n)
{
    return m <= KN_FEW_BYTES || n < KN_PANELS * work->ops->panel_rows ? 1 : work->ops->panels;
}

void kn_sum_apart(kn_work *work, const kn_matrix *w, const kn_forms *f, int form, int64_t at, int m,
                  int64_t n0, int64_t n, float *c, int64_t ldc, float *sums, kn_panel *panel)
{
    const int panels = kn_panels(work, m, n);
    const int most = panels * work->ops->panel_rows;
    const int64_t whole = n / most * most, apart = whole / most * 4;
    const int asked = apart > 4 && m <= KN_FEW && whole * scale_bytes(w) <= ASKED_SCALES;
    if (asked) ask_chunk(w, n0, whole, apart);
    for (int64_t j = 0; j < apart; j += 4) {
        const kn_rows rows = {n0 + j, apart, panels, 0, asked};
        sum_panel(work, w, f, form, at, m, rows, j + 4 < apart ? 4 : 0, sums, panel);
        for (int i = 0; i < m; i++)
            for (int g = 0; g < most / 4; g++)
                memcpy(c + i * ldc + g * apart + j, sums + i * most + 4 * g, 4 * sizeof *c);
    }
    for (int64_t j = whole; j < n; j += work->ops->panel_rows) {
        const int64_t end = j + work->ops->panel_rows < n ? j + work->ops->panel_rows : n;
        const float *rest = kn_sum_side(work, w, f, form, at, m, 1, n0 + j, n0 + n, sums, panel);
        for (int i = 0; i < m; i++)
            memcpy(c + i * ldc + j, rest + i * work->ops->panel_rows,
                   (size_t)(end - j) * sizeof *c);
    }
}

/* Four rows at a time: dense ones as four streams (kn_rows). */
void kn_sum_few(const kn_work *work, const kn_matrix *w, const float *x, int64_t ldx, int m,
                int64_t n0, int n, float *c)
{
    const int apart = w->bits || n < KN_NR ? 1 : n / KN_NR, whole = w->bits ? 0 : n / KN_NR * KN_NR;
    float sums[KN_FEW * KN_NR];
    for (int j = 0; j < n;) {
        int side = j >= whole, rows = !side || n - j >= KN_NR ? KN_NR : n - j;
        int first = side ? j : j / KN_NR, step = side ? 1 : apart;
        memset(sums, 0, sizeof sums);
        work->ops->dot_rows(w, n0 + first, step, rows, x, ldx, m, sums);
        for (int i = 0; i < m; i++)
            for (int r = 0; r < rows; r++)
                c[i * KN_NC + first + r * step] = sums[i * KN_NR + r];
        j += rows;
    }
}

void kn_sum_many(kn_work *work, const kn_matrix *w, const float *const *x, int m, int64_t n0, int n,
                 float *c, float *unpacked)
{
    int step = m <= SMALL_BLOCK ? KN_NR : KN_NC;
    int in_place = !w->bits && w->dtype == KN_F32;
    const float *from[KN_MC];
    memset(c, 0, (size_t)(m * KN_NC) * sizeof *c);
    for (int64_t k0 = 0; k0 < w->k; k0 += KN_KB) {
        int kn = (int)(w->k - k0 < KN_KB ? w->k - k0 : KN_KB);
        if (kn_work_stopped(work)) return;
        for (int i = 0; i < m; i++)
            from[i] = x[i] + k0;
        if (in_place) {
            const float *rows = (const float *)w->w + n0 * w->k + k0;
            work->ops->tile(from, m, rows, w->k, n, kn, c, KN_NC);
            continue;
        }
        for (int j0 = 0; j0 < n; j0 += step) {
            int rows = n - j0 < step ? n - j0 : step;
            for (int j = 0; j < rows; j++)
                work->ops->unpack(w, n0 + j0 + j, k0, kn, unpacked + j * KN_KB);
            work->ops->tile(from, m, unpacked, KN_KB, rows, kn, c + j0, KN_NC);
        }
    }
}
