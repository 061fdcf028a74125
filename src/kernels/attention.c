/* attention.c: attention over a ragged batch, streamed over the keys.
 *
 *   unit   one conversation, one kv head (or a part of its query heads), some new rows: at most
 *          KN_QR queries that share every key and value they load
 *   span   KN_SPAN keys at an absolute multiple: a running softmax of its own, block after block of
 *          KN_KV_BLOCK keys; the spans of a query are folded in ascending order
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

/* Floats of scratch: scores of a unit, keys or values of a block. */
#define SCORES (KN_QR * KN_KV_BLOCK)
#define BLOCK  (KN_DB * KN_KV_BLOCK)

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
    int groups;        /* scales of a key or value */
    float *parts;
    const atomic_int *cancel;
    atomic_int stopped;
} attention;

typedef struct unit {
    const kn_attn_row *row;
    int kv;          /* kv head */
    int head, heads; /* query heads */
    int i, t;        /* new rows */
    int n;           /* queries: heads * t, query j is new row i + j / heads, head + j % heads */
    int first, last; /* keys that its queries see */
} unit;

typedef struct state { /* of one unit in one span, in scratch */
    kn_soft *soft;     /* [n] */
    float *o;          /* [n, d] */
    float *scores;     /* [n, KN_KV_BLOCK] */
    float *block;      /* keys or values as f32, KN_DB dims */
} state;

static int64_t units_of(const attention *at, const kn_attn_row *row)
{
    return (int64_t)at->a->kv_heads * at->parts_heads * ((row->t + at->t - 1) / at->t);
}

/* Keys that a row at `position` sees: first .. last; none when last < first. */
static int first_key(const attention *at, int position)
{
    int first = at->a->window > 0 ? position - at->a->window + 1 : 0;
    return first > 0 ? first : 0;
}

static int last_key(const attention *at, const kn_attn_row *row, int position)
{
    int64_t last = (int64_t)position + at->a->window - 1;
    if (at->a->mask == KN_CAUSAL) return position;
    return at->a->window > 0 && last < row->keys ? (int)last : row->keys - 1;
}

static unit find_unit(const attention *at, int64_t index)
{
    const kn_attn_row *row = at->rows;
    unit u;
    int64_t n, tiles;
    int part;
    while (index >= (n = units_of(at, row))) {
        index -= n;
        row++;
    }
    tiles = (row->t + at->t - 1) / at->t;
    u.row = row;
    u.i = (int)(index % tiles) * at->t;
    u.t = row->t - u.i < at->t ? row->t - u.i : at->t;
    part = (int)(index / tiles % at->parts_heads);
    u.kv = (int)(index / tiles / at->parts_heads);
    u.head = u.kv * at->group + part * at->heads;
    u.heads = at->group - part * at->heads;
    if (u.heads > at->heads) u.heads = at->heads;
    u.n = u.heads * u.t;
    u.first = first_key(at, row->start + u.i);
    u.last = last_key(at, row, row->start + u.i + u.t - 1);
    return u;
}

static int64_t query_at(const attention *at, const unit *u, int j, int64_t ld)
{
    return (u->i + j / u->heads) * ld + (int64_t)(u->head + j % u->heads) * at->a->d;
}

/* Dims d0 .. d0+dn-1 of the keys of a block, [dn, KN_KV_BLOCK]: where they lie, or unpacked. */
static const float *keys_of(const attention *at, const unit *u, int block, int d0, int dn,
                            float *room)
{
    const kn_kv *kv = &u->row->kv;
    int64_t token = u->kv * kv->capacity + block;
    const char *k = kv->k + (size_t)(token * kv->d) * kn_kv_element(kv->type);
    if (kv->type == KN_KV_F32) return (const float *)(const void *)k + (int64_t)d0 * KN_KV_BLOCK;
    at->ops->kv_keys(kv->type, k, kv->k_scales ? kv->k_scales + token * at->groups : NULL, d0, dn,
                     room);
    return room;
}

/* Dims d0 .. d0+dn-1 of the values of tokens from .. to-1, rows *ld apart. */
static const float *values_of(const attention *at, const unit *u, int from, int to, int d0, int dn,
                              float *room, int64_t *ld)
{
    const kn_kv *kv = &u->row->kv;
    int64_t token = u->kv * kv->capacity + from;
    size_t row = (size_t)kv->d * kn_kv_element(kv->type);
    const char *v = kv->v + (size_t)token * row;
    const uint16_t *scales = kv->v_scales ? kv->v_scales + token * at->groups : NULL;
    *ld = kv->d;
    if (kv->type == KN_KV_F32) return (const float *)(const void *)v + d0;
    *ld = dn;
    at->ops->kv_values(kv->type, v, scales, kv->d, to - from, d0, dn, room);
    return room;
}

/* Scores of all queries with a block's keys. */
static void score_block(const attention *at, const unit *u, const state *s, int block)
{
    const float *q[KN_QR];
    memset(s->scores, 0, (size_t)u->n * KN_KV_BLOCK * sizeof *s->scores);
    for (int d0 = 0; d0 < at->a->d; d0 += KN_DB) {
        int dn = at->a->d - d0 < KN_DB ? at->a->d - d0 : KN_DB;
        const float *keys = keys_of(at, u, block, d0, dn, s->block);
        for (int j = 0; j < u->n; j++)
            q[j] = u->row->q + query_at(at, u, j, u->row->ldq) + d0;
        at->ops->weigh(q, u->n, keys, KN_KV_BLOCK, dn, KN_KV_BLOCK, s->scores, KN_KV_BLOCK);
    }
}

/* The keys of from .. to-1 that new row i of a unit sees: *lo .. *hi-1. -> 0: none */
static int seen_by(const attention *at, const unit *u, int i, int from, int to, int *lo, int *hi)
{
    int position = u->row->start + u->i + i;
    *lo = first_key(at, position);
    *hi = last_key(at, u->row, position) + 1;
    if (*lo < from) *lo = from;
    if (*hi > to) *hi = to;
    return *lo < *hi;
}

/* What a block's values add to the sums, dims d0 .. d0+dn-1, which lie at v: keys that all of the
 * unit's rows see at once, the others (the diagonal, the window's edge) row by row; in both a
 * query meets its keys in ascending order. */
static void weigh_block(const attention *at, const unit *u, const state *s, int block, int from,
                        int to, int d0, int dn, const float *v, int64_t ld)
{
    const int d = at->a->d;
    const float *p[KN_QR];
    int common_lo = from, common_hi = to, lo, hi;
    for (int i = 0; i < u->t; i++) {
        if (!seen_by(at, u, i, from, to, &lo, &hi)) lo = hi = to;
        if (lo > common_lo) common_lo = lo;
        if (hi < common_hi) common_hi = hi;
    }
    if (common_lo >= common_hi) common_lo = common_hi = to;
    for (int part = 0; part < 3; part++) {
        for (int i = 0; i < (part == 1 ? 1 : u->t); i++) {
            int q = i * u->heads, n = part == 1 ? u->n : u->heads;
            if (part == 1)
                lo = common_lo, hi = common_hi;
            else if (!seen_by(at, u, i, from, to, &lo, &hi))
                continue;
            if (part == 0 && hi > common_lo) hi = common_lo;
            if (part == 2 && lo < common_hi) lo = common_hi;
            if (lo >= hi) continue;
            for (int j = 0; j < n; j++)
                p[j] = s->scores + (q + j) * KN_KV_BLOCK + (lo - block);
            at->ops->weigh(p, n, v + (lo - from) * ld, ld, hi - lo, dn, s->o + (int64_t)q * d + d0,
                           d);
        }
    }
}

/* Probabilities of one block and what they weigh. */
static void add_block(const attention *at, const unit *u, const state *s, int block, int from,
                      int to)
{
    const kn_attn *a = at->a;
    int lo[KN_QR], hi[KN_QR];
    for (int i = 0; i < u->t; i++) {
        int first, end, none = !seen_by(at, u, i, from, to, &first, &end);
        for (int q = i * u->heads; q < (i + 1) * u->heads; q++) {
            lo[q] = none ? 0 : first - block;
            hi[q] = none ? 0 : end - block;
        }
    }
    at->ops->soft_block(s->scores, u->n, lo, hi, a->scale, a->softcap, s->soft, s->o, a->d);
    for (int d0 = 0; d0 < a->d; d0 += KN_DB) {
        int dn = a->d - d0 < KN_DB ? a->d - d0 : KN_DB;
        int64_t ld;
        const float *v = values_of(at, u, from, to, d0, dn, s->block, &ld);
        weigh_block(at, u, s, block, from, to, d0, dn, v, ld);
    }
}

static void attend_span(attention *at, const unit *u, const state *s, int span)
{
    int end = (span + 1) * KN_SPAN <= u->last ? (span + 1) * KN_SPAN : u->last + 1;
    int start = span * KN_SPAN < u->first ? u->first / KN_KV_BLOCK * KN_KV_BLOCK : span * KN_SPAN;
    for (int j = 0; j < u->n; j++)
        s->soft[j] = (kn_soft){-INFINITY, 0};
    memset(s->o, 0, (size_t)u->n * (size_t)at->a->d * sizeof *s->o);
    for (int block = start; block < end; block += KN_KV_BLOCK) {
        int from = block < u->first ? u->first : block;
        int to = block + KN_KV_BLOCK < end ? block + KN_KV_BLOCK : end;
        if (at->cancel && atomic_load_explicit(at->cancel, memory_order_relaxed)) {
            atomic_store(&at->stopped, 1);
            return;
        }
        score_block(at, u, s, block);
        add_block(at, u, s, block, from, to);
    }
}

/* Totals before the first span: nothing, or the sinks. */
static void start_total(const attention *at, const unit *u, kn_soft *total, float *o)
{
    const float *sinks = at->a->sinks;
    for (int j = 0; j < u->n; j++)
        total[j] = sinks ? (kn_soft){sinks[u->head + j % u->heads], 1} : (kn_soft){-INFINITY, 0};
    memset(o, 0, (size_t)u->n * (size_t)at->a->d * sizeof *o);
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
    state s = {soft, scratch + SCORES + BLOCK, scratch, scratch + SCORES};
    (void)n_chunks;
    o = s.o + (size_t)at->qr * (size_t)at->a->d;
    start_total(at, &u, total, o);
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
    return (state){(kn_soft *)(void *)part, part + 2 * at->qr, NULL, NULL};
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
    s.block = s.scores + SCORES;
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
    start_total(at, &u, total, o);
    for (int span = 0; span <= u.last / KN_SPAN - u.first / KN_SPAN; span++) {
        state s = part_of(at, chunk, span);
        fold(at, &u, total, o, s.soft, s.o);
    }
    write_out(at, &u, total, o);
}

/* Sizes of a unit. */
static void plan(attention *at)
{
    size_t fixed = (SCORES + BLOCK) * sizeof(float), each = 2 * sizeof(float) * (size_t)at->a->d;
    size_t most = (KN_SCRATCH_BYTES - fixed) / (each ? each : 1);
    at->groups = (at->a->d + KN_KV_GROUP - 1) / KN_KV_GROUP;
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
        int end = last_key(at, row, row->start + row->t - 1) + 1;
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
