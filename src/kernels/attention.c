/* attention.c: causal attention over a ragged batch, streamed over the keys.
 *
 *   unit   one conversation, one kv head (or a part of its query heads), some new rows: at most
 *          KN_QR queries that share every key and value they load
 *   span   KN_SPAN keys at an absolute multiple: a running softmax of its own, block after block of
 *          KN_BS keys; the spans of a query are folded in ascending order
 *
 * A query's chain of operations is set by its position and its keys alone, so prefill, decode and
 * any cut or batch of them give the same bits. With few units (decode) the spans are computed side
 * by side into `parts` and folded afterwards, in the same order: the same bits again.
 *
 *   part of (unit, span): kn_soft [qr] then o [qr, d]
 *
 * Source: FlashAttention-2 (arXiv 2307.08691), Flash-Decoding. */
#include "kernels/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PARTS_BYTES ((size_t)64 << 20) /* more than this is not spent to split spans */

typedef struct attention {
    const kn_ops *ops;
    const kn_attn *a;
    const kn_attn_row *rows;
    int n_rows, group; /* query heads of a kv head */
    int qr;            /* queries of a unit, at most */
    int heads;         /* query heads of a unit, at most */
    int parts_heads;   /* units that share one kv head */
    int t;             /* new rows of a unit, at most */
    int spans;         /* parts of a unit */
    float *parts;
    const atomic_int *cancel;
    atomic_int stopped;
} attention;

typedef struct unit {
    const kn_attn_row *row;
    const float *k, *v;
    int head, heads; /* query heads */
    int i, t;        /* new rows */
    int n;           /* queries: heads * t, query j is new row i + j / heads, head + j % heads */
    int first, last; /* keys that its queries see */
} unit;

typedef struct state { /* of one unit in one span, in scratch */
    kn_soft *soft;     /* [n] */
    float *o;          /* [n, d] */
    float *scores;     /* [n, KN_BS] */
} state;

static int64_t units_of(const attention *at, const kn_attn_row *row)
{
    return (int64_t)at->a->kv_heads * at->parts_heads * ((row->t + at->t - 1) / at->t);
}

static int first_key(const attention *at, int position)
{
    int first = at->a->window > 0 ? position - at->a->window + 1 : 0;
    return first > 0 ? first : 0;
}

static unit find_unit(const attention *at, int64_t index)
{
    const kn_attn_row *row = at->rows;
    unit u;
    int64_t n, tiles;
    int kv, part;
    while (index >= (n = units_of(at, row))) {
        index -= n;
        row++;
    }
    tiles = (row->t + at->t - 1) / at->t;
    u.row = row;
    u.i = (int)(index % tiles) * at->t;
    u.t = row->t - u.i < at->t ? row->t - u.i : at->t;
    part = (int)(index / tiles % at->parts_heads);
    kv = (int)(index / tiles / at->parts_heads);
    u.head = kv * at->group + part * at->heads;
    u.heads = at->group - part * at->heads;
    if (u.heads > at->heads) u.heads = at->heads;
    u.n = u.heads * u.t;
    u.k = row->k + (int64_t)kv * row->capacity * at->a->d;
    u.v = row->v + (int64_t)kv * row->capacity * at->a->d;
    u.first = first_key(at, row->start + u.i);
    u.last = row->start + u.i + u.t - 1;
    return u;
}

static int64_t query_at(const attention *at, const unit *u, int j, int64_t ld)
{
    return (u->i + j / u->heads) * ld + (int64_t)(u->head + j % u->heads) * at->a->d;
}

/* Probabilities of one block and what they weigh. */
static void add_block(const attention *at, const unit *u, const state *s, int block, int from,
                      int to)
{
    const kn_attn *a = at->a;
    int position = u->row->start + u->i;
    /* all new rows see the whole of from .. to-1 */
    int whole = position >= to - 1 && first_key(at, u->last) <= from;
    for (int i = 0; i < u->t; i++) {
        int lo = first_key(at, position + i), hi = position + i + 1;
        int q = i * u->heads;
        if (lo < from) lo = from;
        if (hi > to) hi = to;
        if (lo >= hi) continue;
        for (int h = 0; h < u->heads; h++)
            at->ops->soft_block(s->scores + (q + h) * KN_BS, lo - block, hi - block, a->scale,
                                a->softcap, &s->soft[q + h], s->o + (int64_t)(q + h) * a->d, a->d);
        if (!whole)
            at->ops->weigh(s->scores + q * KN_BS + (lo - block), KN_BS, u->heads,
                           u->v + (int64_t)lo * a->d, hi - lo, a->d, s->o + (int64_t)q * a->d);
    }
    if (whole)
        at->ops->weigh(s->scores + (from - block), KN_BS, u->n, u->v + (int64_t)from * a->d,
                       to - from, a->d, s->o);
}

static void attend_span(attention *at, const unit *u, const state *s, int span)
{
    const int d = at->a->d;
    const float *q[KN_QR];
    int end = (span + 1) * KN_SPAN <= u->last ? (span + 1) * KN_SPAN : u->last + 1;
    int start = span * KN_SPAN < u->first ? u->first / KN_BS * KN_BS : span * KN_SPAN;
    for (int j = 0; j < u->n; j++) {
        q[j] = u->row->q + query_at(at, u, j, u->row->ldq);
        s->soft[j] = (kn_soft){-INFINITY, 0};
    }
    memset(s->o, 0, (size_t)u->n * (size_t)d * sizeof *s->o);
    for (int block = start; block < end; block += KN_BS) {
        int from = block < u->first ? u->first : block;
        int to = block + KN_BS < end ? block + KN_BS : end;
        if (at->cancel && atomic_load_explicit(at->cancel, memory_order_relaxed)) {
            atomic_store(&at->stopped, 1);
            return;
        }
        memset(s->scores, 0, (size_t)u->n * KN_BS * sizeof *s->scores);
        at->ops->tile(q, u->n, u->k + (int64_t)from * d, d, to - from, d,
                      s->scores + (from - block), KN_BS);
        add_block(at, u, s, block, from, to);
    }
}

static void write_out(const attention *at, const unit *u, const kn_soft *soft, const float *o)
{
    for (int j = 0; j < u->n; j++)
        at->ops->finish(&soft[j], o + (int64_t)j * at->a->d,
                        u->row->out + query_at(at, u, j, u->row->ldo), at->a->d);
}

static void fold(const attention *at, const unit *u, kn_soft *total, float *o, const kn_soft *soft,
                 const float *o_span)
{
    for (int j = 0; j < u->n; j++)
        at->ops->merge(&total[j], o + (int64_t)j * at->a->d, &soft[j],
                       o_span + (int64_t)j * at->a->d, at->a->d);
}

/* A unit, all its spans. */
static void whole_unit(void *ctx, int chunk, int n_chunks, int worker)
{
    attention *at = ctx;
    unit u = find_unit(at, chunk);
    kn_soft soft[KN_QR], total[KN_QR];
    float *scratch = kn_scratch(worker), *o;
    state s = {soft, scratch + KN_QR * KN_BS, scratch};
    (void)n_chunks;
    o = s.o + (size_t)at->qr * (size_t)at->a->d;
    for (int j = 0; j < u.n; j++)
        total[j] = (kn_soft){-INFINITY, 0};
    memset(o, 0, (size_t)u.n * (size_t)at->a->d * sizeof *o);
    for (int span = u.first / KN_SPAN; span <= u.last / KN_SPAN; span++) {
        attend_span(at, &u, &s, span);
        if (atomic_load_explicit(&at->stopped, memory_order_relaxed)) return;
        fold(at, &u, total, o, soft, s.o);
    }
    write_out(at, &u, total, o);
}

static size_t part_floats(const attention *at) { return (size_t)at->qr * (size_t)(at->a->d + 2); }

static state part_of(const attention *at, int64_t index, int span)
{
    float *part = at->parts + ((size_t)index * (size_t)at->spans + (size_t)span) * part_floats(at);
    return (state){(kn_soft *)(void *)part, part + 2 * at->qr, NULL};
}

/* A unit, one of its spans. */
static void one_span(void *ctx, int chunk, int n_chunks, int worker)
{
    attention *at = ctx;
    int index = chunk / at->spans, span = chunk % at->spans;
    unit u = find_unit(at, index);
    state s = part_of(at, index, span);
    (void)n_chunks;
    s.scores = kn_scratch(worker);
    span += u.first / KN_SPAN;
    if (span <= u.last / KN_SPAN) attend_span(at, &u, &s, span);
}

static void fold_unit(void *ctx, int chunk, int n_chunks, int worker)
{
    const attention *at = ctx;
    unit u = find_unit(at, chunk);
    kn_soft total[KN_QR];
    float *o = kn_scratch(worker);
    (void)n_chunks;
    for (int j = 0; j < u.n; j++)
        total[j] = (kn_soft){-INFINITY, 0};
    memset(o, 0, (size_t)u.n * (size_t)at->a->d * sizeof *o);
    for (int span = 0; span <= u.last / KN_SPAN - u.first / KN_SPAN; span++) {
        state s = part_of(at, chunk, span);
        fold(at, &u, total, o, s.soft, s.o);
    }
    write_out(at, &u, total, o);
}

/* Sizes of a unit. */
static void plan(attention *at)
{
    size_t fixed = KN_QR * KN_BS * sizeof(float), each = 2 * sizeof(float) * (size_t)at->a->d;
    size_t most = (KN_SCRATCH_BYTES - fixed) / (each ? each : 1);
    at->qr = most < KN_QR ? (int)most : KN_QR;
    at->group = at->a->heads / at->a->kv_heads;
    at->heads = at->group < at->qr ? at->group : at->qr;
    at->parts_heads = (at->group + at->heads - 1) / at->heads;
    at->t = at->qr / at->heads;
}

/* Spans side by side, when units alone cannot occupy the workers. -> 0: not worth it */
static int split(attention *at, int64_t units)
{
    int threads = kn_pool_threads(), most_t = 1;
    size_t bytes;
    at->spans = 0;
    if (threads < 2 || units >= 4 * threads) return 0;
    for (int r = 0; r < at->n_rows; r++) {
        const kn_attn_row *row = &at->rows[r];
        int end = row->start + row->t;
        int spans = (end + KN_SPAN - 1) / KN_SPAN - first_key(at, row->start) / KN_SPAN;
        if (row->t > 0 && spans > at->spans) at->spans = spans;
        if (row->t > most_t) most_t = row->t;
    }
    if (at->spans < 2) return 0;
    if (most_t < at->t) at->t = most_t;
    at->qr = at->t * at->heads;
    bytes = (size_t)units * (size_t)at->spans * part_floats(at) * sizeof(float);
    if (bytes > PARTS_BYTES) return 0;
    at->parts = malloc(bytes); /* without it the spans run one after the other */
    return at->parts != NULL;
}

mlxe_status kn_attention(const kn_attn *a, const kn_attn_row *rows, int n_rows,
                         const atomic_int *cancel)
{
    attention at = {.ops = kn_table(), .a = a, .rows = rows, .n_rows = n_rows, .cancel = cancel};
    int64_t units = 0;
    mlxe_status rc;
    kn_count_add(KN_COUNT_ATTENTION);
    plan(&at);
    for (int r = 0; r < n_rows; r++)
        units += units_of(&at, &rows[r]);
    if (split(&at, units)) {
        rc = kn_run(one_span, &at, (int)units * at.spans, cancel);
        if (!rc && !atomic_load(&at.stopped)) rc = kn_run(fold_unit, &at, (int)units, cancel);
        free(at.parts);
    } else {
        rc = kn_run(whole_unit, &at, (int)units, cancel);
    }
    return rc ? rc : atomic_load(&at.stopped) ? MLXE_E_CANCELLED : MLXE_OK;
}
