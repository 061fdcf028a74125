/* test_attention.c: kn_attention against f64 softmax, and its bitwise invariants.
 *
 * The f64 reference takes whole rows of scores: no blocks, no running maximum. Cache rows beyond
 * the last position are NaN, so that a key too many shows. */
#include "util.h"

typedef struct conversation {
    kn_attn a;
    int n;        /* positions */
    int capacity; /* rows of the cache */
    room q, k, v; /* q [n, heads, d]; k, v [kv_heads, capacity, d] */
} conversation;

static conversation conversation_new(rng *r, const kn_attn *a, int n, float size)
{
    conversation c = {.a = *a, .n = n, .capacity = n + rng_int(r, 0, 5)};
    size_t q = (size_t)n * (size_t)(a->heads * a->d);
    size_t kv = (size_t)a->kv_heads * (size_t)c.capacity * (size_t)a->d;
    c.q = room_new(q * 4, 8);
    c.k = room_new(kv * 4, 8);
    c.v = room_new(kv * 4, 4);
    normals(r, c.q.p, q, size);
    for (size_t i = 0; i < kv; i++)
        ((float *)c.k.p)[i] = ((float *)c.v.p)[i] = NAN;
    for (int h = 0; h < a->kv_heads; h++) {
        normals(r, (float *)c.k.p + (size_t)h * (size_t)c.capacity * (size_t)a->d,
                (size_t)n * (size_t)a->d, size);
        normals(r, (float *)c.v.p + (size_t)h * (size_t)c.capacity * (size_t)a->d,
                (size_t)n * (size_t)a->d, 1);
    }
    return c;
}

static void conversation_free(conversation *c)
{
    room_free(c->q);
    room_free(c->k);
    room_free(c->v);
}

/* New rows start .. start+t-1 of a conversation; out is [n, heads, d] of all positions. */
static kn_attn_row rows_of(const conversation *c, int start, int t, float *out)
{
    int64_t ld = (int64_t)c->a.heads * c->a.d;
    return (kn_attn_row){.q = (const float *)c->q.p + start * ld,
                         .out = out + start * ld,
                         .k = c->k.p,
                         .v = c->v.p,
                         .ldq = ld,
                         .ldo = ld,
                         .capacity = c->capacity,
                         .t = t,
                         .start = start};
}

static void reference(const conversation *c, int p, int head, double *out, double *score)
{
    const kn_attn *a = &c->a;
    int kv = head / (a->heads / a->kv_heads), first = a->window ? p - a->window + 1 : 0;
    const float *q = (const float *)c->q.p + ((int64_t)p * a->heads + head) * a->d;
    const float *k = (const float *)c->k.p + (int64_t)kv * c->capacity * a->d;
    const float *v = (const float *)c->v.p + (int64_t)kv * c->capacity * a->d;
    double max = -(double)INFINITY, sum = 0;
    if (first < 0) first = 0;
    for (int s = first; s <= p; s++) {
        double dot = 0;
        for (int i = 0; i < a->d; i++)
            dot += (double)q[i] * (double)k[(int64_t)s * a->d + i];
        dot *= (double)a->scale;
        if (a->softcap != 0) dot = (double)a->softcap * tanh(dot / (double)a->softcap);
        score[s] = dot;
        if (dot > max) max = dot;
    }
    for (int i = 0; i < a->d; i++)
        out[i] = 0;
    for (int s = first; s <= p; s++) {
        double w = exp(score[s] - max);
        sum += w;
        for (int i = 0; i < a->d; i++)
            out[i] += w * (double)v[(int64_t)s * a->d + i];
    }
    for (int i = 0; i < a->d; i++)
        out[i] /= sum;
}

static kn_attn random_attn(rng *r)
{
    static const int ds[] = {1, 3, 8, 16, 20, 32, 64, 72, 80, 96, 128, 256};
    kn_attn a = {.kv_heads = rng_int(r, 1, 3), .d = ds[rng_int(r, 0, 11)]};
    a.heads = a.kv_heads * rng_int(r, 1, 5);
    a.window = rng_int(r, 0, 1) ? rng_int(r, 1, 150) : 0;
    a.scale = (float)(1 / sqrt(a.d));
    a.softcap = rng_int(r, 0, 3) ? 0.0f : (float)rng_int(r, 1, 50);
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
    for (int i = 0; i < 60; i++) {
        kn_attn a = random_attn(&r);
        conversation c = conversation_new(&r, &a, rng_int(&r, 1, i % 10 ? 100 : 300), 1);
        float *out = new_out(&c);
        kn_attn_row row = rows_of(&c, 0, c.n, out);
        double rms;
        assert_int_equal(kn_attention(&a, &row, 1, NULL), MLXE_OK);
        rms = prefill_error(&c, out);
        if (!(rms <= 2e-6))
            fail_msg("%s heads %d/%d d %d window %d softcap %g n %d: relative RMS %g", kn_isa(),
                     a.heads, a.kv_heads, a.d, a.window, (double)a.softcap, c.n, rms);
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
    for (int i = 0; i < 24; i++) {
        kn_attn a = random_attn(&r);
        int n = i % 6 ? rng_int(&r, 1, 200) : rng_int(&r, 1100, 2300), at[3] = {0, 0, 0};
        conversation c[3];
        float *whole[3], *cut[3];
        if (n > 1000) a.window = i % 12 ? 0 : 1200;
        for (int j = 0; j < 3; j++) {
            kn_attn_row row;
            c[j] = conversation_new(&r, &a, j ? rng_int(&r, 1, 90) : n, j == 1 ? 6.0f : 1.0f);
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
        conversation c = conversation_new(&r, &a, 3100, 2);
        float *whole = new_out(&c), *cut = new_out(&c);
        /* 120 rows are more units than two threads ask for: one chain of spans a unit */
        kn_attn_row row = rows_of(&c, c.n - 120, 120, whole);
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

/* NaN in one key reaches exactly the queries that see it; scores of -inf weigh nothing. */
static void not_numbers(void **state)
{
    rng r = {14};
    (void)state;
    EACH_TABLE
    {
        kn_attn a = {.heads = 2, .kv_heads = 1, .d = 32, .scale = 0.2f};
        conversation c = conversation_new(&r, &a, 100, 1);
        float *out = new_out(&c);
        kn_attn_row row = rows_of(&c, 0, c.n, out);
        ((float *)c.k.p)[70 * 32 + 5] = NAN;
        assert_int_equal(kn_attention(&a, &row, 1, NULL), MLXE_OK);
        for (int p = 0; p < 100; p++)
            for (int i = 0; i < 64; i++)
                assert_int_equal(isnan(out[p * 64 + i]) != 0, p >= 70);
        for (int i = 0; i < 32; i++) /* every score with the first 66 keys is -inf */
            for (int s = 0; s < 66; s++)
                ((float *)c.k.p)[s * 32 + i] = i ? 0.0f : -INFINITY;
        ((float *)c.k.p)[70 * 32 + 5] = 0;
        for (int i = 0; i < 100 * 64; i += 32)
            ((float *)c.q.p)[i] = 1;
        assert_int_equal(kn_attention(&a, &row, 1, NULL), MLXE_OK);
        for (int i = 0; i < 64; i++) {
            assert_true(isnan(out[65 * 64 + i]));
            assert_true(fabsf(out[66 * 64 + i] - ((float *)c.v.p)[66 * 32 + i % 32]) < 1e-6f);
        }
        free(out);
        conversation_free(&c);
    }
}

static void cancelled(void **state)
{
    rng r = {15};
    atomic_int flag = 1;
    kn_attn a = {.heads = 2, .kv_heads = 1, .d = 32, .scale = 0.2f};
    conversation c = conversation_new(&r, &a, 10, 1);
    float *out = new_out(&c);
    kn_attn_row row = rows_of(&c, 0, c.n, out);
    (void)state;
    assert_int_equal(kn_attention(&a, &row, 1, &flag), MLXE_E_CANCELLED);
    assert_int_equal(kn_attention(&a, NULL, 0, NULL), MLXE_OK);
    free(out);
    conversation_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_f64),
        cmocka_unit_test(any_cut_same_bits),
        cmocka_unit_test(long_decode_same_bits),
        cmocka_unit_test(not_numbers),
        cmocka_unit_test(cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
