/* tpl_attention.h: a block of keys and values meets some queries. Included once an instruction set.
 *
 *   score   s[q, key]  = sum over the dims of q . k      q is scaled by scale * log2 e already
 *   soft    p[q, key]  = 2^(s - base)
 *   add     o[q, dim] += sum over the keys of p . v
 *
 * Keys lie transposed (kernels.h), so a score is a chain over the dims and a result a chain over
 * the keys, both ascending, in which no other query and no key beyond a query's own range takes
 * part: how queries are cut into tiles changes no bit, nor does it whether keys and values are
 * widened to f32 for all tiles of a block or in registers for one (few queries: decode).
 *
 * A query's base is near its greatest score, not equal to it: it moves, and what was gathered is
 * rescaled, when a score lies more than SLACK above it. So a block mostly asks for no greatest
 * score of a query, which is a chain of shuffles. Whether base moves is the query's own affair.
 *
 * NaN: a score of NaN makes its probability NaN whatever base is. A base of -inf (nothing but
 * -inf so far) counts as 0, so that 2^(-inf - base) is 0. */
#ifndef KERNELS_TPL_ATTENTION_H
#define KERNELS_TPL_ATTENTION_H

#define SLACK 8.0f /* powers of 2 that a probability may exceed 1 by */
#define NV    4    /* vectors of a tile */

enum { BV = KN_KV_BLOCK / VL }; /* vectors of a block's scores */

/* Queries that read keys and values as they are stored; more unpack them first. */
#define DIRECT_QUERIES (2 * TILE_ROWS)

#if TILE_ROWS >= 6
#define EACH_HEIGHT(X) X(1) X(2) X(3) X(4) X(5) X(6)
#elif TILE_ROWS >= 3
#define EACH_HEIGHT(X) X(1) X(2) X(3)
#else
#define EACH_HEIGHT(X) X(1) X(2)
#endif

/* Height of the next tile of n queries; the last two are nearly equal. */
KN_INLINE int next_height(int n)
{
    return n >= 2 * TILE_ROWS ? TILE_ROWS : n > TILE_ROWS ? (n + 1) / 2 : n;
}

KN_INLINE vf stored(kn_kv_type type, const void *p, int64_t at)
{
    return type == KN_KV_INT8 ? v_load_i8((const int8_t *)p + at) : load_as(dtype_of(type), p, at);
}

/* Asks for `vectors` stored vectors from element `at` on, `ahead` bytes further. */
KN_INLINE void ask(kn_kv_type type, const void *p, int64_t at, int64_t ahead, int vectors)
{
    const int size = type == KN_KV_F32 ? 4 : type == KN_KV_INT8 ? 1 : 2;
    KN_UNROLL
    for (int i = 0; i < vectors * VL * size; i += 64)
        prefetch((const char *)p + at * size + i, ahead);
}

/* ---- scores ---------------------------------------------------------------------------------- */

/* s[r,:] (+)= q[r] . k for mr queries, dn dims, nv vectors of keys; `type` is that of k, rows of k
 * and s are KN_KV_BLOCK apart. direct: k is memory that was not touched before, and what lies
 * `ahead` of it is read next. */
KN_INLINE void score_cols(kn_kv_type type, int direct, int64_t ahead, int mr, int nv,
                          const float *q, int64_t ldq, const void *k, const uint16_t *scales,
                          int64_t at, int dn, int fresh, float *s)
{
    vf acc[TILE_ROWS][NV], scale[NV] = {v_zero(), v_zero(), v_zero(), v_zero()};
    KN_UNROLL
    for (int r = 0; r < mr; r++) {
        KN_UNROLL
        for (int j = 0; j < nv; j++)
            acc[r][j] = fresh ? v_zero() : v_load(s + r * KN_KV_BLOCK + at + j * VL);
    }
    for (int i = 0; i < dn; i++) {
        const int64_t row = (int64_t)i * KN_KV_BLOCK + at;
        vf by[TILE_ROWS];
        if (type == KN_KV_INT8 && i % KN_KV_GROUP == 0) {
            KN_UNROLL
            for (int j = 0; j < nv; j++)
                scale[j] = v_load_bf16(scales + i / KN_KV_GROUP * KN_KV_BLOCK + at + j * VL);
        }
        if (direct) ask(type, k, row, ahead, nv);
        KN_UNROLL
        for (int r = 0; r < mr; r++)
            by[r] = v_set(q[r * ldq + i]);
        KN_UNROLL
        for (int j = 0; j < nv; j++) {
            vf key = stored(type, k, row + j * VL);
            if (type == KN_KV_INT8) key = v_mul(key, scale[j]);
            KN_UNROLL
            for (int r = 0; r < mr; r++)
                acc[r][j] = v_fma(by[r], key, acc[r][j]);
        }
    }
    KN_UNROLL
    for (int r = 0; r < mr; r++) {
        KN_UNROLL
        for (int j = 0; j < nv; j++)
            v_store(s + r * KN_KV_BLOCK + at + j * VL, acc[r][j]);
    }
}

/* Keys from .. to-1 of a block, in whole vectors. */
KN_INLINE void score_rows(int mr, const float *q, int64_t ldq, const float *k, int dn, int fresh,
                          int from, int to, float *s)
{
    int at = from / VL * VL;
    while (to - at > (NV - 1) * VL || (at + NV * VL <= KN_KV_BLOCK && to - at > 2 * VL)) {
        score_cols(KN_KV_F32, 0, 0, mr, NV, q, ldq, k, NULL, at, dn, fresh, s);
        at += NV * VL;
    }
    for (; to - at > VL; at += 2 * VL)
        score_cols(KN_KV_F32, 0, 0, mr, 2, q, ldq, k, NULL, at, dn, fresh, s);
    if (at < to) score_cols(KN_KV_F32, 0, 0, mr, 1, q, ldq, k, NULL, at, dn, fresh, s);
}

/* k: f32 */
static void score_tile(int mr, const float *q, int64_t ldq, const float *k, int dn, int fresh,
                       int from, int to, float *s)
{
    switch (mr) {
#define SCORE(h)                                                                                   \
    case h:                                                                                        \
        score_rows(h, q, ldq, k, dn, fresh, from, to, s);                                          \
        break;
        EACH_HEIGHT(SCORE)
#undef SCORE
    }
}

KN_INLINE void score_stored(kn_kv_type type, int mr, const kn_block *b, const float *q, float *s)
{
    switch (mr) {
#define SCORE(h)                                                                                   \
    case h:                                                                                        \
        for (int at = 0; at < KN_KV_BLOCK; at += NV * VL)                                          \
            score_cols(type, 1, b->k_ahead, h, NV, q, b->d, b->k, b->k_scales, at, b->d, 1, s);    \
        break;
        EACH_HEIGHT(SCORE)
#undef SCORE
    }
}

static void scores_direct(const kn_block *b, const kn_queries *u)
{
    for (int i = 0, mr; i < u->n; i += mr) {
        const float *q = u->q + (int64_t)i * b->d;
        float *s = u->scores + i * KN_KV_BLOCK;
        mr = next_height(u->n - i);
        switch (b->type) {
        case KN_KV_F32:
            score_stored(KN_KV_F32, mr, b, q, s);
            break;
        case KN_KV_F16:
            score_stored(KN_KV_F16, mr, b, q, s);
            break;
        case KN_KV_BF16:
            score_stored(KN_KV_BF16, mr, b, q, s);
            break;
        default:
            score_stored(KN_KV_INT8, mr, b, q, s);
        }
    }
}

/* The keys that some of n queries from query i on see: *lo .. *hi-1. */
KN_INLINE void seen_by_any(const kn_queries *u, int i, int n, int *lo, int *hi)
{
    *lo = u->lo ? KN_KV_BLOCK : 0;
    *hi = u->lo ? 0 : KN_KV_BLOCK;
    for (int r = i; u->lo && r < i + n; r++) {
        if (u->lo[r] >= u->hi[r]) continue;
        if (u->lo[r] < *lo) *lo = u->lo[r];
        if (u->hi[r] > *hi) *hi = u->hi[r];
    }
}

static void scores_unpacked(const kn_block *b, const kn_queries *u)
{
    for (int d0 = 0; d0 < b->d; d0 += KN_DB) {
        int dn = b->d - d0 < KN_DB ? b->d - d0 : KN_DB, lo, hi;
        const float *k = u->room;
        if (b->type == KN_KV_F32)
            k = (const float *)b->k + (int64_t)d0 * KN_KV_BLOCK;
        else
            kv_keys(b->type, b->k, b->k_scales, d0, dn, u->room);
        for (int i = 0, mr; i < u->n; i += mr) {
            mr = next_height(u->n - i);
            seen_by_any(u, i, mr, &lo, &hi);
            if (lo < hi)
                score_tile(mr, u->q + (int64_t)i * b->d + d0, b->d, k, dn, d0 == 0, lo, hi,
                           u->scores + i * KN_KV_BLOCK);
        }
    }
}

/* ---- softmax --------------------------------------------------------------------------------- */

KN_INLINE float finite_base(float base) { return base == -INFINITY ? 0 : base; }

static float exp2_of(float x)
{
    float lanes[VL];
    v_store(lanes, v_exp2(v_set(x)));
    return lanes[0];
}

static void scale_row(const float *x, float by, float *y, int d)
{
    vf b = v_set(by);
    int i = 0;
    for (; i + VL <= d; i += VL)
        v_store(y + i, v_mul(v_load(x + i), b));
    if (i < d) v_store_n(y + i, v_mul(v_load_n(x + i, d - i), b), d - i);
}

/* base becomes top. */
static void rebase(float top, float *base, float *sums, float *o, int d)
{
    float by = exp2_of(*base - finite_base(top));
    int first = *base == -INFINITY;
    *base = top;
    if (first) return; /* nothing was gathered */
    v_store(sums, v_mul(v_load(sums), v_set(by)));
    scale_row(o, by, o, d);
}

/* v, whose first lane is key `at`; -inf for keys outside lo .. hi-1. */
KN_INLINE vf only(vf v, int at, int lo, int hi)
{
    static const float COUNT[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    vf lane = v_add(v_load(COUNT), v_set((float)at));
    v = v_if_less(lane, v_set((float)lo), v_set(-INFINITY), v);
    return v_if_less(lane, v_set((float)hi), v, v_set(-INFINITY));
}

/* Scores of query i become probabilities, 0 for keys outside its own. cap: softcap * log2 e, or
 * 0 */
KN_INLINE void soft_row(const kn_queries *u, int i, int d, int whole, float cap)
{
    float *s = u->scores + i * KN_KV_BLOCK, *sums = u->sums + i * KN_LANES;
    vf v[BV], top, sum, base;
    KN_UNROLL
    for (int j = 0; j < BV; j++)
        v[j] = v_load(s + j * VL);
    if (cap != 0)
        for (int j = 0; j < BV; j++)
            v[j] = v_mul(v_set(cap), v_tanh(v_div(v[j], v_set(cap))));
    if (!whole) { /* what was not computed goes, too */
        KN_UNROLL
        for (int j = 0; j < BV; j++)
            v[j] = only(v[j], j * VL, u->lo[i], u->hi[i]);
    }
    top = v[0];
    KN_UNROLL
    for (int j = 1; j < BV; j++)
        top = v_max(top, v[j]);
    if (v_any_above(top, v_set(u->base[i] + SLACK)))
        rebase(v_greatest(top), &u->base[i], sums, u->o + (int64_t)i * d, d);
    base = v_set(finite_base(u->base[i]));
    sum = v_load(sums);
    KN_UNROLL
    for (int j = 0; j < BV; j++) {
        v[j] = v_exp2(v_sub(v[j], base));
        v_store(s + j * VL, v[j]);
        sum = v_add(sum, v[j]);
    }
    v_store(sums, sum);
}

static void soft(const kn_queries *u, int d)
{
    const float cap = u->softcap * LOG2_E;
    for (int i = 0; i < u->n; i++)
        if (!u->lo && cap == 0)
            soft_row(u, i, d, 1, 0);
        else if (cap == 0 && u->lo[i] < u->hi[i])
            soft_row(u, i, d, 0, 0);
        else if (!u->lo || u->lo[i] < u->hi[i])
            soft_row(u, i, d, !u->lo, cap);
}

/* ---- values ---------------------------------------------------------------------------------- */

/* o[r,:] += p[r,lo..hi-1] v for mr queries and nv vectors of columns from column `at` on. */
KN_INLINE void add_cols(kn_kv_type type, int direct, int64_t ahead, int mr, int nv, const float *p,
                        int lo, int hi, const void *v, const uint16_t *scales, int64_t ldv,
                        int64_t at, float *o, int64_t ldo)
{
    vf acc[TILE_ROWS][NV];
    const int64_t groups = (ldv + KN_KV_GROUP - 1) / KN_KV_GROUP;
    KN_UNROLL
    for (int r = 0; r < mr; r++) {
        KN_UNROLL
        for (int j = 0; j < nv; j++)
            acc[r][j] = v_load(o + r * ldo + j * VL);
    }
    for (int s = lo; s < hi; s++) {
        const int64_t row = s * ldv + at;
        vf by[TILE_ROWS];
        if (direct) ask(type, v, row, ahead, nv);
        KN_UNROLL
        for (int r = 0; r < mr; r++)
            by[r] = v_set(p[r * KN_KV_BLOCK + s]);
        KN_UNROLL
        for (int j = 0; j < nv; j++) {
            vf value = stored(type, v, row + j * VL);
            if (type == KN_KV_INT8)
                value = v_mul(value,
                              v_set(bf16_value(scales[s * groups + (at + j * VL) / KN_KV_GROUP])));
            KN_UNROLL
            for (int r = 0; r < mr; r++)
                acc[r][j] = v_fma(by[r], value, acc[r][j]);
        }
    }
    KN_UNROLL
    for (int r = 0; r < mr; r++) {
        KN_UNROLL
        for (int j = 0; j < nv; j++)
            v_store(o + r * ldo + j * VL, acc[r][j]);
    }
}

/* The last columns, fewer than VL. */
static void add_rest(int m, const float *p, int lo, int hi, const float *v, int64_t ldv, float *o,
                     int64_t ldo, int cols)
{
    for (int r = 0; r < m; r++) {
        vf acc = v_load_n(o + r * ldo, cols);
        for (int s = lo; s < hi; s++)
            acc = v_fma(v_set(p[r * KN_KV_BLOCK + s]), v_load_n(v + s * ldv, cols), acc);
        v_store_n(o + r * ldo, acc, cols);
    }
}

KN_INLINE void add_rows(int mr, const float *p, int lo, int hi, const float *v, int64_t ldv,
                        int cols, float *o, int64_t ldo)
{
    int i = 0;
    for (; i + NV * VL <= cols; i += NV * VL)
        add_cols(KN_KV_F32, 0, 0, mr, NV, p, lo, hi, v, NULL, ldv, i, o + i, ldo);
    for (; i + VL <= cols; i += VL)
        add_cols(KN_KV_F32, 0, 0, mr, 1, p, lo, hi, v, NULL, ldv, i, o + i, ldo);
    if (i < cols) add_rest(mr, p, lo, hi, v + i, ldv, o + i, ldo, cols - i);
}

/* v: f32 */
static void add_tile(int mr, const float *p, int lo, int hi, const float *v, int64_t ldv, int cols,
                     float *o, int64_t ldo)
{
    switch (mr) {
#define ADD(h)                                                                                     \
    case h:                                                                                        \
        add_rows(h, p, lo, hi, v, ldv, cols, o, ldo);                                              \
        break;
        EACH_HEIGHT(ADD)
#undef ADD
    }
}

KN_INLINE void add_stored(kn_kv_type type, int mr, const kn_block *b, const float *p, int lo,
                          int hi, float *o)
{
    int i = 0;
    for (; i + NV * VL <= b->d; i += NV * VL)
        switch (mr) {
#define ADD(h)                                                                                     \
    case h:                                                                                        \
        add_cols(type, 1, b->v_ahead, h, NV, p, lo, hi, b->v, b->v_scales, b->d, i, o + i, b->d);  \
        break;
            EACH_HEIGHT(ADD)
#undef ADD
        }
    for (; i < b->d; i += VL)
        for (int r = 0; r < mr; r++)
            add_cols(type, 1, b->v_ahead, 1, 1, p + r * KN_KV_BLOCK, lo, hi, b->v, b->v_scales,
                     b->d, i, o + r * b->d + i, b->d);
}

static void add_direct(const kn_block *b, const float *p, int mr, int lo, int hi, float *o)
{
    switch (b->type) {
    case KN_KV_F32:
        add_stored(KN_KV_F32, mr, b, p, lo, hi, o);
        break;
    case KN_KV_F16:
        add_stored(KN_KV_F16, mr, b, p, lo, hi, o);
        break;
    case KN_KV_BF16:
        add_stored(KN_KV_BF16, mr, b, p, lo, hi, o);
        break;
    default:
        add_stored(KN_KV_INT8, mr, b, p, lo, hi, o);
    }
}

/* Dims d0 .. d0+cols-1 of the values, f32 [KN_KV_BLOCK, cols], rows ldv apart; NULL: as stored. */
typedef struct values {
    const float *v;
    int64_t ldv;
    int d0, cols;
} values;

KN_INLINE void add_range(const kn_block *b, const kn_queries *u, const values *w, int i, int mr,
                         int lo, int hi)
{
    const float *p = u->scores + i * KN_KV_BLOCK;
    float *o = u->o + (int64_t)i * b->d + w->d0;
    if (lo >= hi) return;
    if (w->v)
        add_tile(mr, p, lo, hi, w->v, w->ldv, w->cols, o, b->d);
    else
        add_direct(b, p, mr, lo, hi, o);
}

/* Keys that all mr queries see at once, the others (the diagonal, the window's edge) query by
 * query; in both a query meets its keys in ascending order. */
static void add_values(const kn_block *b, const kn_queries *u, const values *w, int i, int mr)
{
    int lo = 0, hi = KN_KV_BLOCK;
    if (!u->lo) {
        add_range(b, u, w, i, mr, 0, KN_KV_BLOCK);
        return;
    }
    for (int r = i; r < i + mr; r++) {
        if (u->lo[r] > lo) lo = u->lo[r];
        if (u->hi[r] < hi) hi = u->hi[r];
    }
    if (lo >= hi) lo = hi = KN_KV_BLOCK;
    for (int r = i; r < i + mr; r++)
        add_range(b, u, w, r, 1, u->lo[r], u->hi[r] < lo ? u->hi[r] : lo);
    add_range(b, u, w, i, mr, lo, hi);
    for (int r = i; r < i + mr; r++)
        add_range(b, u, w, r, 1, hi, u->hi[r]);
}

static void add_unpacked(const kn_block *b, const kn_queries *u)
{
    int lo, hi;
    seen_by_any(u, 0, u->n, &lo, &hi);
    for (int d0 = 0; d0 < b->d && lo < hi; d0 += KN_DB) {
        int dn = b->d - d0 < KN_DB ? b->d - d0 : KN_DB;
        values w = {u->room, dn, d0, dn};
        if (b->type == KN_KV_F32) {
            w.v = (const float *)b->v + d0;
            w.ldv = b->d;
        } else {
            kv_values(b->type, b->v, b->v_scales, b->d, lo, hi, d0, dn, u->room);
        }
        for (int i = 0, mr; i < u->n; i += mr) {
            mr = next_height(u->n - i);
            add_values(b, u, &w, i, mr);
        }
    }
}

static void attend(const kn_block *b, const kn_queries *u)
{
    const values direct = {NULL, 0, 0, b->d};
    if (u->n > DIRECT_QUERIES || b->d % VL) {
        scores_unpacked(b, u);
        soft(u, b->d);
        add_unpacked(b, u);
        return;
    }
    scores_direct(b, u);
    soft(u, b->d);
    for (int i = 0, mr; i < u->n; i += mr) {
        mr = next_height(u->n - i);
        add_values(b, u, &direct, i, mr);
    }
}

/* ---- spans ----------------------------------------------------------------------------------- */

static float sum_lanes(const float *sums) { return v_sum(v_load(sums)); }

static void merge(kn_soft *total, float *o, const kn_soft *span, const float *o_span, int d)
{
    float base, old, new;
    vf a, b;
    int i = 0;
    if (span->sum == 0) return; /* no key seen, or scores of -inf alone */
    if (total->sum == 0) {
        *total = *span;
        memcpy(o, o_span, (size_t)d * sizeof *o);
        return;
    }
    base = span->base > total->base ? span->base : total->base;
    old = exp2_of(total->base - finite_base(base));
    new = exp2_of(span->base - finite_base(base));
    total->base = base;
    total->sum = total->sum * old + span->sum * new;
    a = v_set(old);
    b = v_set(new);
    for (; i + VL <= d; i += VL)
        v_store(o + i, v_fma(v_load(o_span + i), b, v_mul(v_load(o + i), a)));
    if (i < d) {
        vf x = v_mul(v_load_n(o + i, d - i), a);
        v_store_n(o + i, v_fma(v_load_n(o_span + i, d - i), b, x), d - i);
    }
}

#endif
