/* test_attention.c: kn_attention against f64 softmax, its bitwise invariants, the KV types.
 *
 * The f64 reference takes whole rows of scores: no blocks, no running maximum. It uses the keys and
 * values that the cache gives back (kn_kv_read), which are checked on their own against what was
 * stored. Cache memory beyond the last position is NaN in every type, so that a key too many
 * shows. */
#include "util.h"

static const char *const TYPES[] = {"f32", "f16", "bf16", "int8"};

typedef struct conversation {
    kn_attn a;
    int n;     /* positions */
    room q;    /* [n, heads, d] */
    room k, v; /* as stored: [n, kv_heads, d] */
    void *memory;
    kn_kv kv;
    float sinks[16];
} conversation;

static void store(conversation *c, int at, int n)
{
    int64_t ld = (int64_t)c->a.kv_heads * c->a.d;
    assert_int_equal(
        kn_kv_append(&c->kv, at, n, (float *)c->k.p + at * ld, (float *)c->v.p + at * ld, ld, NULL),
        MLXE_OK);
}

static void conversation_new(rng *r, const kn_attn *a, kn_kv_type type, int n, float size,
                             conversation *c)
{
    size_t q = (size_t)n * (size_t)(a->heads * a->d), bytes;
    size_t kv = (size_t)n * (size_t)(a->kv_heads * a->d);
    int capacity = (n + rng_int(r, 0, 70) + KN_KV_BLOCK - 1) / KN_KV_BLOCK * KN_KV_BLOCK;
    *c = (conversation){.a = *a, .n = n};
    bytes = kn_kv_bytes(type, a->kv_heads, a->d, capacity);
    c->q = room_new(q * 4, 8);
    c->k = room_new(kv * 4, 8);
    c->v = room_new(kv * 4, 4);
    c->memory = malloc(bytes);
    assert_non_null(c->memory);
    memset(c->memory, 0xff, bytes);
    c->kv = kn_kv_over(c->memory, type, a->kv_heads, a->d, capacity);
    normals(r, c->q.p, q, size);
    normals(r, c->k.p, kv, size);
    normals(r, c->v.p, kv, 1);
    for (int at = 0, t; at < n; at += t) { /* any cut */
        t = rng_int(r, 1, n);
        if (t > n - at) t = n - at;
        store(c, at, t);
    }
    kn_kv_read(&c->kv, n, c->k.p, c->v.p);
    if (a->sinks) c->a.sinks = normals(r, c->sinks, 16, 2);
}

static void conversation_free(conversation *c)
{
    room_free(c->q);
    room_free(c->k);
    room_free(c->v);
    free(c->memory);
}

/* New rows start .. start+t-1 of a conversation; out is [n, heads, d] of all positions. */
static kn_attn_row rows_of(const conversation *c, int start, int t, float *out)
{
    int64_t ld = (int64_t)c->a.heads * c->a.d;
    return (kn_attn_row){.q = (const float *)c->q.p + start * ld,
                         .out = out + start * ld,
                         .kv = c->kv,
                         .ldq = ld,
                         .ldo = ld,
                         .t = t,
                         .start = start,
                         .keys = c->n};
}

static void reference(const conversation *c, int p, int head, double *out, double *score)
{
    const kn_attn *a = &c->a;
    int64_t ld = (int64_t)a->kv_heads * a->d,
            kv = (int64_t)(head / (a->heads / a->kv_heads)) * a->d;
    const float *q = (const float *)c->q.p + ((int64_t)p * a->heads + head) * a->d;
    const float *k = (const float *)c->k.p + kv, *v = (const float *)c->v.p + kv;
    int first = a->window ? p - a->window + 1 : 0, last = p;
    double max = a->sinks ? (double)a->sinks[head] : -(double)INFINITY, sum = 0;
    if (first < 0) first = 0;
    if (a->mask == KN_FULL) last = a->window && p + a->window < c->n ? p + a->window - 1 : c->n - 1;
    for (int s = first; s <= last; s++) {
        double dot = 0;
        for (int i = 0; i < a->d; i++)
            dot += (double)q[i] * (double)k[s * ld + i];
        dot *= (double)a->scale;
        if (a->softcap != 0) dot = (double)a->softcap * tanh(dot / (double)a->softcap);
        score[s] = dot;
        if (dot > max) max = dot;
    }
    if (a->sinks) sum = exp((double)a->sinks[head] - max);
    for (int i = 0; i < a->d; i++)
        out[i] = 0;
    for (int s = first; s <= last; s++) {
        double w = exp(score[s] - max);
        sum += w;
        for (int i = 0; i < a->d; i++)
            out[i] += w * (double)v[s * ld + i];
    }
    for (int i = 0; i < a->d; i++)
        out[i] /= sum;
}

static kn_attn random_attn(rng *r)
{
    static const int ds[] = {1, 3, 8, 16, 20, 32, 64, 72, 80, 96, 128, 256, 300};
    static const float sinks;
    kn_attn a = {.kv_heads = rng_int(r, 1, 3), .d = ds[rng_int(r, 0, 12)]};
    a.heads = a.kv_heads * rng_int(r, 1, 5);
    a.window = rng_int(r, 0, 1) ? rng_int(r, 1, 150) : 0;
    a.scale = (float)(1 / sqrt(a.d));
    a.softcap = rng_int(r, 0, 3) ? 0.0f : (float)rng_int(r, 1, 50);
    a.mask = rng_int(r, 0, 3) ? KN_CAUSAL : KN_FULL;
    a.sinks = rng_int(r, 0, 3) ? NULL : &sinks; /* conversation_new draws them */
    return a;
}

/* RMS of the error against f64 over all positions of one prefill. */
static double prefill_error(const conversation *c, const float *out)
{
    size_t n = (size_t)c->n * (size_t)(c->a.heads * c->a.d);
    double *want = calloc(n, sizeof *want), *score = calloc((size_t)c->n, sizeof *score), rms;
    assert_non_null(want);
    assert_non_null(score);
    for (int p = 0; p < c->n; p++)
        for (int h = 0; h < c->a.heads; h++)
            reference(c, p, h, want + ((size_t)p * (size_t)c->a.heads + (size_t)h) * (size_t)c->a.d,
                      score);
    rms = rms_error(out, want, n);
    free(want);
    free(score);
    return rms;
}

static float *new_out(const conversation *c)
{
    float *out = calloc((size_t)c->n * (size_t)(c->a.heads * c->a.d) + 1, sizeof *out);
    assert_non_null(out);
    return out;
}

static void against_f64(void **state)
{
    rng r = {11};
    (void)state;
    EACH_TABLE
    for (int i = 0; i < rounds(60); i++) {
        kn_attn a = random_attn(&r);
        kn_kv_type type = (kn_kv_type)(i % 4);
        conversation c;
        kn_attn_row row;
        double rms;
        float *out;
        if (i % 20 == 5) { /* several spans, many tiles of queries */
            a.d = i % 40 == 5 ? 64 : 40;
            a.heads = a.kv_heads = 1;
            if (a.window) a.window += 500;
        }
        conversation_new(&r, &a, type, i % 20 == 5 ? 1100 : rng_int(&r, 1, i % 10 ? 100 : 300), 1,
                         &c);
        out = new_out(&c);
        row = rows_of(&c, 0, c.n, out);
        assert_int_equal(kn_attention(&c.a, &row, 1, NULL), MLXE_OK);
        rms = prefill_error(&c, out);
        if (!(rms <= 2e-6))
            fail_msg("%s %s heads %d/%d d %d window %d softcap %g mask %d sinks %d n %d: relative "
                     "RMS %g",
                     kn_isa(), TYPES[type], a.heads, a.kv_heads, a.d, a.window, (double)a.softcap,
                     a.mask, a.sinks != NULL, c.n, rms);
        free(out);
        conversation_free(&c);
    }
}

/* Scores that rise from block to block, by much and by little, fall, and rise again: the running
 * softmax is rescaled at some keys, and at others it is not. */
static void scores_that_rise(void **state)
{
    rng r = {17};
    (void)state;
    EACH_TABLE
    for (int i = 0; i < 12; i++) {
        kn_attn a = {.heads = 4, .kv_heads = 2, .d = 32, .scale = 0.5f};
        kn_kv_type type = (kn_kv_type)(i % 4);
        conversation c;
        kn_attn_row row;
        double rms;
        float *out, *k;
        a.softcap = i % 3 == 2 ? 30.0f : 0.0f;
        conversation_new(&r, &a, type, 700, 1, &c);
        k = c.k.p;
        for (int s = 0; s < c.n; s++) /* q's first dim is 1: this is added to the scores */
            for (int h = 0; h < 2; h++)
                k[s * 64 + h * 32] =
                    (float)(i % 2 ? s % 600 : s / 64 * 64) * (i < 4 ? 0.4f : 0.02f);
        for (int j = 0; j < c.n * 4; j++)
            ((float *)c.q.p)[j * 32] = 1;
        store(&c, 0, c.n);
        kn_kv_read(&c.kv, c.n, c.k.p, c.v.p);
        out = new_out(&c);
        row = rows_of(&c, 0, c.n, out);
        assert_int_equal(kn_attention(&c.a, &row, 1, NULL), MLXE_OK);
        rms = prefill_error(&c, out);
        if (!(rms <= 2e-5)) fail_msg("%s %s %d: relative RMS %g", kn_isa(), TYPES[type], i, rms);
        free(out);
        conversation_free(&c);
    }
}

static void same_bits(const conversation *c, const float *got, const float *want, const char *what)
{
    size_t n = (size_t)c->n * (size_t)(c->a.heads * c->a.d);
    for (size_t i = 0; i < n; i++)
        if (memcmp(got + i, want + i, 4))
            fail_msg("%s, %s: heads %d/%d d %d window %d n %d, at %zu: %a, want %a", kn_isa(), what,
                     c->a.heads, c->a.kv_heads, c->a.d, c->a.window, c->n, i, (double)got[i],
                     (double)want[i]);
}

/* Any cut into calls, and any company in a call, gives the bits of one call. Of a long context only
 * the last rows are asked for: its keys are there already. */
static void any_cut_same_bits(void **state)
{
    rng r = {12};
    (void)state;
    EACH_TABLE
    for (int i = 0; i < rounds(24); i++) {
        kn_attn a = random_attn(&r);
        const float own[16] = {0.5f, -1, 2};
        int n = i % 6 ? rng_int(&r, 1, 200) : rng_int(&r, 1100, 2300), at[3] = {0, 0, 0};
        conversation c[3];
        float *whole[3], *cut[3];
        if (n > 1000) a.window = i % 12 ? 0 : 1200;
        if (a.sinks) a.sinks = own; /* the same for all rows of a call */
        for (int j = 0; j < 3; j++) {
            kn_attn_row row;
            conversation_new(&r, &a, (kn_kv_type)((i + j) % 4), j ? rng_int(&r, 1, 90) : n,
                             j == 1 ? 6.0f : 1.0f, &c[j]);
            at[j] = c[j].n > 300 ? c[j].n - rng_int(&r, 1, 150) : 0;
            whole[j] = new_out(&c[j]);
            cut[j] = new_out(&c[j]);
            row = rows_of(&c[j], at[j], c[j].n - at[j], whole[j]);
            assert_int_equal(kn_attention(&a, &row, 1, NULL), MLXE_OK);
        }
        while (at[0] < c[0].n || at[1] < c[1].n || at[2] < c[2].n) {
            kn_attn_row rows[3];
            int used = 0;
            for (int j = 0; j < 3; j++) {
                int most = rng_int(&r, 0, 2) ? 4 : 100, t = rng_int(&r, 0, most);
                if (t > c[j].n - at[j]) t = c[j].n - at[j];
                if (!t && rng_int(&r, 0, 1)) continue; /* an empty row is legal, too */
                rows[used++] = rows_of(&c[j], at[j], t, cut[j]);
                at[j] += t;
            }
            assert_int_equal(kn_attention(&a, rows, used, NULL), MLXE_OK);
        }
        for (int j = 0; j < 3; j++) {
            same_bits(&c[j], cut[j], whole[j], "cut into calls");
            free(whole[j]);
            free(cut[j]);
            conversation_free(&c[j]);
        }
    }
}

/* Decoding the last rows of a long context, where spans are computed side by side. */
static void long_decode_same_bits(void **state)
{
    rng r = {13};
    (void)state;
    assert_int_equal(kn_pool_start(2, NULL), MLXE_OK);
    EACH_TABLE
    for (int window = 0; window <= 1500; window += 1500) {
        kn_attn a = {.heads = 4, .kv_heads = 1, .d = 64, .window = window, .scale = 0.125f};
        conversation c;
        float *whole, *cut;
        kn_attn_row row;
        conversation_new(&r, &a, (kn_kv_type)(t_ % 4), 3100, 2, &c);
        whole = new_out(&c), cut = new_out(&c);
        /* 120 rows are more units than two threads ask for: one chain of spans a unit */
        row = rows_of(&c, c.n - 120, 120, whole);
        assert_int_equal(kn_attention(&a, &row, 1, NULL), MLXE_OK);
        row = rows_of(&c, c.n - 120, 110, cut);
        assert_int_equal(kn_attention(&a, &row, 1, NULL), MLXE_OK);
        for (int p = c.n - 10; p < c.n; p++) {
            row = rows_of(&c, p, 1, cut);
            assert_int_equal(kn_attention(&a, &row, 1, NULL), MLXE_OK);
        }
        same_bits(&c, cut, whole, "long decode");
        free(whole);
        free(cut);
        conversation_free(&c);
    }
}

/* One long row and short ones decode together: the long one is cut into spans, which gives every
 * row the bits that it has alone. */
static void uneven_batch_same_bits(void **state)
{
    enum { ROWS = 6 };
    rng r = {18};
    (void)state;
    assert_int_equal(kn_pool_start(2, NULL), MLXE_OK);
    EACH_TABLE
    for (int i = 0; i < 3; i++) {
        kn_attn a = {.heads = 6, .kv_heads = 2, .d = 48, .window = i == 2 ? 900 : 0, .scale = 0.2f};
        conversation c[ROWS];
        kn_attn_row rows[ROWS];
        float *alone[ROWS], *together[ROWS];
        for (int j = 0; j < ROWS; j++) {
            int n = j == i ? 2600 : rng_int(&r, 1, 90), t = i ? 1 : rng_int(&r, 1, n < 60 ? n : 60);
            kn_attn_row row;
            conversation_new(&r, &a, (kn_kv_type)((i + j) % 4), n, 2, &c[j]);
            alone[j] = new_out(&c[j]);
            together[j] = new_out(&c[j]);
            row = rows_of(&c[j], n - t, t, alone[j]);
            rows[j] = rows_of(&c[j], n - t, t, together[j]);
            assert_int_equal(kn_attention(&a, &row, 1, NULL), MLXE_OK);
        }
        assert_int_equal(kn_attention(&a, rows, ROWS, NULL), MLXE_OK);
        for (int j = 0; j < ROWS; j++) {
            same_bits(&c[j], together[j], alone[j], "uneven batch");
            free(alone[j]);
            free(together[j]);
            conversation_free(&c[j]);
        }
    }
}

/* NaN in one key or value reaches exactly the queries that see it; scores of -inf weigh nothing. */
static void not_numbers(void **state)
{
    rng r = {14};
    (void)state;
    EACH_TABLE
    for (int value = 0; value < 2; value++) {
        kn_attn a = {.heads = 2, .kv_heads = 1, .d = 32, .scale = 0.2f};
        conversation c;
        float *out, *k, *v;
        kn_attn_row row;
        conversation_new(&r, &a, KN_KV_F32, 100, 1, &c);
        k = c.k.p, v = c.v.p, out = new_out(&c);
        row = rows_of(&c, 0, c.n, out);
        (value ? v : k)[70 * 32 + 5] = NAN;
        store(&c, 0, 100);
        assert_int_equal(kn_attention(&a, &row, 1, NULL), MLXE_OK);
        for (int p = 0; p < 100; p++)
            for (int i = 0; i < 64; i++)
                if (!value || i % 32 == 5) assert_int_equal(isnan(out[p * 64 + i]) != 0, p >= 70);
        for (int i = 0; i < 32; i++) /* every score with the first 66 keys is -inf */
            for (int s = 0; s < 66; s++)
                k[s * 32 + i] = i ? 0.0f : -INFINITY;
        (value ? v : k)[70 * 32 + 5] = 0;
        store(&c, 0, 100);
        for (int i = 0; i < 100 * 64; i += 32)
            ((float *)c.q.p)[i] = 1;
        assert_int_equal(kn_attention(&a, &row, 1, NULL), MLXE_OK);
        for (int i = 0; i < 64; i++) {
            assert_true(isnan(out[65 * 64 + i]));
            assert_true(fabsf(out[66 * 64 + i] - v[66 * 32 + i % 32]) < 1e-6f);
        }
        free(out);
        conversation_free(&c);
    }
}

/* What comes back is what was stored, to the type's precision and its stated rules. */
static void kv_types(void **state)
{
    enum { N = 130, H = 2, D = 72, ALL = N * H * D };
    rng r = {16};
    (void)state;
    EACH_TABLE
    for (int type = 0; type < 4; type++) {
        size_t bytes = kn_kv_bytes((kn_kv_type)type, H, D, 192);
        char *memory = malloc(bytes), *other = malloc(bytes), record[4 * D * 4];
        kn_kv kv = kn_kv_over(memory, (kn_kv_type)type, H, D, 192);
        kn_kv to = kn_kv_over(other, (kn_kv_type)type, H, D, 192);
        float *in = normals(&r, malloc(2 * ALL * 4), 2 * ALL, 3), *out = malloc(2 * ALL * 4);
        assert_true(kn_kv_token_bytes(&kv) <= sizeof record);
        for (int i = 0; i < 2 * ALL; i += 97)
            in[i] *= i % 2 ? 1e4f : 1e-5f;
        in[5] = 1e9f, in[ALL + 7] = -1e9f;
        in[3 * D] = NAN, in[ALL + 3 * D] = INFINITY;
        in[6 * D] = 0.0f, in[7 * D] = -0.0f;
        for (int i = 0; i < D; i++) /* groups that nothing else is in */
            in[20 * D + i] = i % 3 ? 1e-40f : 0.0f;
        assert_int_equal(kn_kv_append(&kv, 0, N, in, in + ALL, H * D, NULL), MLXE_OK);
        kn_kv_read(&kv, N, out, out + ALL);
        for (int i = 0; i < 2 * ALL; i++) {
            double x = (double)in[i], got = (double)out[i], most = 0;
            int first = i / D * D + i % D / 32 * 32, wrong = 0;
            for (int j = first; j < first + 32 && j < i / D * D + D; j++) {
                if (fabs((double)in[j]) > most) most = fabs((double)in[j]);
                if (!isfinite(in[j])) wrong = 1;
            }
            if (type == KN_KV_F16 && fabs(x) > 65504) x = copysign(65504, x);
            if (isnan(x) || (type == KN_KV_INT8 && wrong)) {
                assert_true(isnan(out[i]));
                continue;
            }
            if (type == KN_KV_F32 || isinf(x))
                assert_true(got == x);
            else if (type == KN_KV_F16)
                assert_true(fabs(got - x) <= fabs(x) * 0x1p-11 + 0x1p-25);
            else if (type == KN_KV_BF16)
                assert_true(fabs(got - x) <= fabs(x) * 0x1p-8 + 0x1p-133);
            else /* half a step, whose scale is rounded up by 2^-7 at most */
                assert_true(fabs(got - x) <= most / 127 * (1 + 0x1p-7) * 0.501 + 1e-30);
        }
        kn_kv_copy(&to, &kv, 0, 100);
        for (int h = 0; h < H; h++)
            for (int t = 100; t < N; t++) {
                kn_kv_save(&kv, h, t, record);
                kn_kv_restore(&to, h, t, record);
            }
        in[0] = out[0];
        kn_kv_read(&to, N, in, in + ALL);
        assert_memory_equal(in, out, 2 * ALL * 4);
        free(memory), free(other), free(in), free(out);
    }
}

static void cancelled(void **state)
{
    rng r = {15};
    atomic_int flag = 1;
    kn_attn a = {.heads = 2, .kv_heads = 1, .d = 32, .scale = 0.2f};
    conversation c;
    kn_attn_row row;
    float *out;
    (void)state;
    conversation_new(&r, &a, KN_KV_F32, 10, 1, &c);
    out = new_out(&c);
    row = rows_of(&c, 0, c.n, out);
    assert_int_equal(kn_attention(&a, &row, 1, &flag), MLXE_E_CANCELLED);
    assert_int_equal(kn_attention(&a, NULL, 0, NULL), MLXE_OK);
    free(out);
    conversation_free(&c);
}

/* Keys and values that come with the rows: the bits of stored ones. */
static void stored_on_the_way(void **state)
{
    rng r = {19};
    (void)state;
    EACH_TABLE
    for (int i = 0; i < rounds(24); i++) {
        kn_attn a = random_attn(&r);
        const int64_t heads = (int64_t)a.heads * a.d, ld = (int64_t)a.kv_heads * a.d;
        const int n = i % 4 ? rng_int(&r, 1, 200) : 1100, most = n < 5 ? n : 5;
        const int t = i % 3 ? 1 : rng_int(&r, 1, most);
        conversation c;
        kn_attn_row row;
        float *stored, *out, *other = calloc((size_t)(t * ld), sizeof *other);
        assert_non_null(other);
        conversation_new(&r, &a, (kn_kv_type)(i % 3), n, 1, &c); /* not int8: it rounds again */
        stored = new_out(&c);
        out = new_out(&c);
        row = rows_of(&c, n - t, t, stored);
        assert_int_equal(kn_attention(&c.a, &row, 1, NULL), MLXE_OK);
        assert_int_equal(kn_kv_append(&c.kv, n - t, t, other, other, ld, NULL), MLXE_OK);
        row = rows_of(&c, n - t, t, out);
        row.k = (const float *)c.k.p + (n - t) * ld;
        row.v = (const float *)c.v.p + (n - t) * ld;
        row.ldkv = ld;
        assert_int_equal(kn_attention(&c.a, &row, 1, NULL), MLXE_OK);
        assert_memory_equal(out + (n - t) * heads, stored + (n - t) * heads,
                            (size_t)(t * heads) * sizeof *out);
        free(other);
        free(stored);
        free(out);
        conversation_free(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_f64),
        cmocka_unit_test(scores_that_rise),
        cmocka_unit_test(any_cut_same_bits),
        cmocka_unit_test(long_decode_same_bits),
        cmocka_unit_test(uneven_batch_same_bits),
        cmocka_unit_test(not_numbers),
        cmocka_unit_test(kv_types),
        cmocka_unit_test(stored_on_the_way),
        cmocka_unit_test(cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
