/* attention.c: attention over a ragged batch, streamed over the keys.
 *
 *   unit   one conversation, one kv head (or a part of its query heads), some new rows: at most
 *          KN_QR queries that share every key and value they load
 *   span   KN_SPAN keys at an absolute multiple: a running softmax of its own, block after block of
 *          KN_KV_BLOCK keys (tpl_attention.h); the spans of a query are folded in ascending order
 *
 * A query's chain of operations is set by its position and its keys alone, so prefill, decode and
 * any cut or batch of them give the same bits. A unit is one chunk of the pool, the largest (those
 * that see most keys) of a row first. Where units are too few or too uneven for the workers, each
 * (unit, span) is a chunk; who finishes the last span of a unit folds them, in the same order: the
 * same bits again.
 *
 *   part of (unit, span): kn_soft [qr], then o [qr, d]
 *
 * A single new key and value are stored by the unit that reads them next: the 64 cache lines of a
 * head's key are then in the right core's cache, and nobody waits for them (SPEED.md).
 *
 * Source: FlashAttention-2 (arXiv 2307.08691), Flash-Decoding. */
#include "kernels/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PARTS_BYTES ((size_t)64 << 20) /* more than this is not spent to split spans */
#define LEAST_TILE  24                 /* queries of a unit are not cut down further to get units */
#define ROOM        (KN_DB * KN_KV_BLOCK)
#define LOG2_E      1.44269504f

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
    atomic_int *left; /* spans of a unit that are not finished */
    const atomic_int *cancel;
    atomic_int stopped;
} attention;

typedef struct unit {
    const kn_attn_row *row;
    int kv;          /* kv head */
    int head, heads; /* query heads */
    int i, t;        /* new rows */
    int n;           /* queries: heads * t, query j is new row i + j / heads, head + j % heads */
    int first, last; /* keys that some of its queries see */
    int all_from, all_to; /* keys that all of them see: all_from .. all_to-1 */
} unit;

/* A worker's scratch while it walks a unit. */
typedef struct state {
    float *room;            /* keys or values of a block as f32 */
    float *q, *scores;      /* [n, d], [n, KN_KV_BLOCK] */
    float *base, *sums, *o; /* of a span: [n], [n, KN_LANES], [n, d] */
    float *o_total;         /* [n, d] */
} state;

static size_t query_floats(const attention *at)
{
    return 3 * (size_t)at->a->d + KN_KV_BLOCK + KN_LANES + 1;
}

static state state_of(const attention *at, int worker)
{
    size_t n = (size_t)at->qr, d = (size_t)at->a->d;
    state s = {.room = kn_scratch(worker)};
    s.scores = s.room + ROOM;
    s.sums = s.scores + n * KN_KV_BLOCK;
    s.q = s.sums + n * KN_LANES;
    s.o = s.q + n * d;
    s.o_total = s.o + n * d;
    s.base = s.o_total + n * d;
    return s;
}

/* ---- units ----------------------------------------------------------------------------------- */

static int tiles_of(const attention *at, const kn_attn_row *row)
{
    return (row->t + at->t - 1) / at->t;
}

static int64_t units_of(const attention *at, const kn_attn_row *row)
{
    return (int64_t)at->a->kv_heads * at->parts_heads * tiles_of(at, row);
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
    int64_t n, tiles;
    unit u;
    int part, position;
    while (index >= (n = units_of(at, row))) {
        index -= n;
        row++;
    }
    tiles = tiles_of(at, row);
    u.row = row;
    u.i = (int)(tiles - 1 - index % tiles) * at->t;
    u.t = row->t - u.i < at->t ? row->t - u.i : at->t;
    part = (int)(index / tiles % at->parts_heads);
    u.kv = (int)(index / tiles / at->parts_heads);
    u.head = u.kv * at->group + part * at->heads;
    u.heads = at->group - part * at->heads;
    if (u.heads > at->heads) u.heads = at->heads;
    u.n = u.heads * u.t;
    position = row->start + u.i;
    u.first = first_key(at, position);
    u.last = last_key(at, row, position + u.t - 1);
    u.all_from = first_key(at, position + u.t - 1);
    u.all_to = last_key(at, row, position) + 1;
    return u;
}

static int64_t query_at(const attention *at, const unit *u, int j, int64_t ld)
{
    return (u->i + j / u->heads) * ld + (int64_t)(u->head + j % u->heads) * at->a->d;
}

/* The unit's queries side by side, ready for scores in powers of 2. */
static void gather_queries(const attention *at, const unit *u, float *q)
{
    for (int j = 0; j < u->n; j++)
        at->ops->scale_row(u->row->q + query_at(at, u, j, u->row->ldq), at->a->scale * LOG2_E,
                           q + (int64_t)j * at->a->d, at->a->d);
}

/* ---- one span -------------------------------------------------------------------------------- */

static kn_block block_at(const attention *at, const unit *u, int token)
{
    const kn_kv *kv = &u->row->kv;
    int64_t i = u->kv * kv->capacity + token;
    size_t bytes = (size_t)(i * kv->d) * kn_kv_element(kv->type);
    kn_block b = {.type = kv->type, .d = kv->d, .k = kv->k + bytes, .v = kv->v + bytes};
    if (kv->k_scales) {
        b.k_scales = kv->k_scales + i * at->groups;
        b.v_scales = kv->v_scales + i * at->groups;
    }
    return b;
}

/* Which keys of the block each query sees. */
static void ranges(const attention *at, const unit *u, int block, int *lo, int *hi)
{
    for (int i = 0; i < u->t; i++) {
        int position = u->row->start + u->i + i;
        int from = first_key(at, position) - block;
        int to = last_key(at, u->row, position) + 1 - block;
        if (from < 0) from = 0;
        if (to > KN_KV_BLOCK) to = KN_KV_BLOCK;
        for (int q = i * u->heads; q < (i + 1) * u->heads; q++) {
            lo[q] = from;
            hi[q] = to;
        }
    }
}

/* Whether a row's new key and value are left to its units: one a head, and one span sees them. */
static int appended_by_unit(const attention *at, const kn_attn_row *row)
{
    return row->k && row->t == 1 && at->a->mask == KN_CAUSAL && at->parts_heads == 1;
}

static void append_own(const attention *at, const unit *u)
{
    const kn_attn_row *row = u->row;
    if (appended_by_unit(at, row))
        kn_kv_append_head(&row->kv, u->kv, row->start, 1, row->k, row->v, row->ldkv);
}

/* What a worker reads after a span. */
typedef struct follow {
    const void *k, *v; /* of a block, or NULL: nobody knows */
} follow;

static int64_t distance(const void *from, const void *to)
{
    return to ? (int64_t)((uintptr_t)to - (uintptr_t)from) : 0;
}

/* What the unit's queries gather in a span: base, sums and o of s. */
static void attend_span(attention *at, const unit *u, const state *s, int span, follow next)
{
    int lo[KN_QR], hi[KN_QR];
    int end = (span + 1) * KN_SPAN <= u->last ? (span + 1) * KN_SPAN : u->last + 1;
    int start = span * KN_SPAN < u->first ? u->first / KN_KV_BLOCK * KN_KV_BLOCK : span * KN_SPAN;
    kn_queries q = {u->n,    s->q,    NULL, NULL,      at->a->softcap,
                    s->base, s->sums, s->o, s->scores, s->room};
    for (int j = 0; j < u->n; j++)
        s->base[j] = -INFINITY;
    memset(s->sums, 0, (size_t)u->n * KN_LANES * sizeof *s->sums);
    memset(s->o, 0, (size_t)u->n * (size_t)at->a->d * sizeof *s->o);
    for (int block = start; block < end; block += KN_KV_BLOCK) {
        kn_block b = block_at(at, u, block);
        int whole = block >= u->all_from && block + KN_KV_BLOCK <= u->all_to;
        if (at->cancel && atomic_load_explicit(at->cancel, memory_order_relaxed)) {
            atomic_store(&at->stopped, 1);
            return;
        }
        if (block + KN_KV_BLOCK < end) {
            b.k_ahead = b.v_ahead =
                (int64_t)KN_KV_BLOCK * at->a->d * (int64_t)kn_kv_element(b.type);
        } else {
            b.k_ahead = distance(b.k, next.k);
            b.v_ahead = distance(b.v, next.v);
        }
        if (!whole) ranges(at, u, block, lo, hi);
        q.lo = whole ? NULL : lo;
        q.hi = whole ? NULL : hi;
        at->ops->attend(&b, &q);
    }
}

static void close_span(const attention *at, const unit *u, const state *s, kn_soft *soft)
{
    for (int j = 0; j < u->n; j++)
        soft[j] = (kn_soft){s->base[j], at->ops->sum_lanes(s->sums + j * KN_LANES)};
}

/* ---- spans become results -------------------------------------------------------------------- */

/* Totals before the first span: nothing, or the sinks. */
static void start_total(const attention *at, const unit *u, kn_soft *total, float *o)
{
    const float *sinks = at->a->sinks;
    for (int j = 0; j < u->n; j++)
        total[j] =
            sinks ? (kn_soft){sinks[u->head + j % u->heads] * LOG2_E, 1} : (kn_soft){-INFINITY, 0};
    memset(o, 0, (size_t)u->n * (size_t)at->a->d * sizeof *o);
}

static void write_out(const attention *at, const unit *u, const kn_soft *soft, const float *o)
{
    for (int j = 0; j < u->n; j++)
        at->ops->scale_row(o + (int64_t)j * at->a->d, 1 / soft[j].sum,
                           u->row->out + query_at(at, u, j, u->row->ldo), at->a->d);
}

static void fold(const attention *at, const unit *u, kn_soft *total, float *o, const kn_soft *soft,
                 const float *o_span)
{
    for (int j = 0; j < u->n; j++)
        at->ops->merge(&total[j], o + (int64_t)j * at->a->d, &soft[j],
                       o_span + (int64_t)j * at->a->d, at->a->d);
}

/* The first block of a span of a unit. */
static follow block_of(const attention *at, const unit *u, int span)
{
    const int start = u->first / KN_KV_BLOCK * KN_KV_BLOCK;
    kn_block b = block_at(at, u, span * KN_SPAN < start ? start : span * KN_SPAN);
    return (follow){b.k, b.v};
}

/* What a worker reads after `chunk`, when all workers are as fast: the first span of a unit, or any
 * one. spans: of a unit, as chunks */
static follow after(const attention *at, int chunk, int n_chunks, int spans)
{
    const int next = chunk + kn_pool_threads();
    unit u;
    if (next >= n_chunks) return (follow){NULL, NULL};
    u = find_unit(at, next / spans);
    if (u.first / KN_SPAN + next % spans > u.last / KN_SPAN) return (follow){NULL, NULL};
    return block_of(at, &u, u.first / KN_SPAN + next % spans);
}

/* A unit, all its spans. */
static void whole_unit(void *ctx, int chunk, int n_chunks, int worker)
{
    attention *at = ctx;
    unit u = find_unit(at, chunk);
    kn_soft soft[KN_QR], total[KN_QR];
    state s = state_of(at, worker);
    append_own(at, &u);
    gather_queries(at, &u, s.q);
    start_total(at, &u, total, s.o_total);
    for (int span = u.first / KN_SPAN; span <= u.last / KN_SPAN; span++) {
        const int more = span < u.last / KN_SPAN;
        attend_span(at, &u, &s, span,
                    more ? block_of(at, &u, span + 1) : after(at, chunk, n_chunks, 1));
        if (atomic_load_explicit(&at->stopped, memory_order_relaxed)) return;
        close_span(at, &u, &s, soft);
        fold(at, &u, total, s.o_total, soft, s.o);
    }
    write_out(at, &u, total, s.o_total);
}

static size_t part_floats(const attention *at) { return (size_t)at->qr * (size_t)(at->a->d + 2); }

static kn_soft *part_of(const attention *at, int64_t index, int span, float **o)
{
    float *part = at->parts + ((size_t)index * (size_t)at->spans + (size_t)span) * part_floats(at);
    *o = part + 2 * at->qr;
    return (kn_soft *)(void *)part;
}

static void fold_parts(const attention *at, const unit *u, int64_t index, float *o)
{
    kn_soft total[KN_QR];
    start_total(at, u, total, o);
    for (int span = 0; span <= u->last / KN_SPAN - u->first / KN_SPAN; span++) {
        float *o_span;
        const kn_soft *soft = part_of(at, index, span, &o_span);
        fold(at, u, total, o, soft, o_span);
    }
    write_out(at, u, total, o);
}

/* A unit, one of its spans. */
static void one_span(void *ctx, int chunk, int n_chunks, int worker)
{
    attention *at = ctx;
    int index = chunk / at->spans, span = chunk % at->spans;
    unit u = find_unit(at, index);
    state s = state_of(at, worker);
    if (span <= u.last / KN_SPAN - u.first / KN_SPAN) {
        kn_soft *soft = part_of(at, index, span, &s.o);
        if (span == u.last / KN_SPAN - u.first / KN_SPAN) append_own(at, &u);
        gather_queries(at, &u, s.q);
        attend_span(at, &u, &s, span + u.first / KN_SPAN, after(at, chunk, n_chunks, at->spans));
        if (atomic_load_explicit(&at->stopped, memory_order_relaxed)) return;
        close_span(at, &u, &s, soft);
    }
    if (atomic_fetch_sub(&at->left[index], 1) == 1) fold_parts(at, &u, index, s.o_total);
}

/* ---- plan ------------------------------------------------------------------------------------ */

static void cut(attention *at, int queries)
{
    at->qr = queries;
    at->heads = at->group < at->qr ? at->group : at->qr;
    at->parts_heads = (at->group + at->heads - 1) / at->heads;
    at->t = at->qr / at->heads;
}

static int64_t all_units(const attention *at)
{
    int64_t units = 0;
    for (int r = 0; r < at->n_rows; r++)
        units += units_of(at, &at->rows[r]);
    return units;
}

/* Sizes of a unit: as many queries as scratch holds, fewer when the workers would idle. -> units */
static int64_t plan(attention *at)
{
    size_t most = (KN_SCRATCH_BYTES / sizeof(float) - ROOM) / query_floats(at);
    int queries = most < KN_QR ? (int)most : KN_QR;
    at->groups = (at->a->d + KN_KV_GROUP - 1) / KN_KV_GROUP;
    at->group = at->a->heads / at->a->kv_heads;
    cut(at, queries);
    while (all_units(at) < 2 * kn_pool_threads() && queries / 2 >= LEAST_TILE)
        cut(at, queries /= 2);
    return all_units(at);
}

/* Spans side by side, when units alone cannot occupy the workers evenly. -> 0: not worth it */
static int split(attention *at, int64_t units)
{
    int threads = kn_pool_threads(), most_t = 1;
    double total = 0, largest = 0;
    size_t counts = ((size_t)units * sizeof(atomic_int) + 63) / 64 * 64, bytes;
    at->spans = 0;
    for (int r = 0; r < at->n_rows; r++) {
        const kn_attn_row *row = &at->rows[r];
        int first = first_key(at, row->start);
        int last = last_key(at, row, row->start + row->t - 1);
        int spans = last / KN_SPAN - first / KN_SPAN + 1;
        double keys = last - first + 1, t = row->t < at->t ? row->t : at->t;
        if (row->t <= 0 || last < first) continue;
        if (spans > at->spans) at->spans = spans;
        if (row->t > most_t) most_t = row->t;
        if (t * at->heads * keys > largest) largest = t * at->heads * keys;
        if (at->a->mask == KN_CAUSAL) keys -= 0.5 * row->t; /* on average */
        total += (double)row->t * at->a->heads * keys;
    }
    if (threads < 2 || at->spans < 2 || largest * 8 * threads <= total) return 0;
    if (most_t < at->t) at->t = most_t;
    at->qr = at->t * at->heads;
    bytes = counts + (size_t)units * (size_t)at->spans * part_floats(at) * sizeof(float);
    if (bytes > PARTS_BYTES) return 0;
    at->left = malloc(bytes); /* without it the spans run one after the other */
    if (!at->left) return 0;
    at->parts = (float *)(void *)((char *)at->left + counts);
    for (int64_t i = 0; i < units; i++)
        atomic_init(&at->left[i], at->spans);
    return 1;
}

mlxe_status kn_attention(const kn_attn *a, const kn_attn_row *rows, int n_rows,
                         const atomic_int *cancel)
{
    attention at = {.ops = kn_table(), .a = a, .rows = rows, .n_rows = n_rows, .cancel = cancel};
    int64_t units = plan(&at);
    mlxe_status rc = MLXE_OK;
    kn_count_add(KN_COUNT_ATTENTION);
    for (int r = 0; r < n_rows && !rc; r++) {
        const kn_attn_row *row = &rows[r];
        if (appended_by_unit(&at, row))
            kn_count_add(KN_COUNT_KV_APPEND);
        else if (row->k)
            rc = kn_kv_append(&row->kv, row->start, row->t, row->k, row->v, row->ldkv, cancel);
    }
    if (rc) return rc;
    if (split(&at, units)) {
        rc = kn_run(one_span, &at, (int)units * at.spans, cancel);
        free(at.left);
    } else {
        rc = kn_run(whole_unit, &at, (int)units, cancel);
    }
    return rc ? rc : atomic_load(&at.stopped) ? MLXE_E_CANCELLED : MLXE_OK;
}
