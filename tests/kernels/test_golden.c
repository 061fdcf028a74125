/* test_golden.c: MLX's affine packing, against vectors that mx.quantize made (golden/affine.txt).
 *
 * Each case goes through kn_embed (the values) and kn_linear (one and two rows of x), and our own
 * packer of util.h must make the same bytes of the codes: the other tests stand on it. */
#include "util.h"

#define MOST 8192

static size_t hex(FILE *file, const char *label, uint8_t *out)
{
    char word[16];
    size_t n = 0;
    unsigned byte;
    assert_int_equal(fscanf(file, "%15s ", word), 1);
    assert_string_equal(word, label);
    while (n < MOST && fscanf(file, "%2x", &byte) == 1) {
        int c = fgetc(file);
        out[n++] = (uint8_t)byte;
        if (c == '\n') break;
        ungetc(c, file);
    }
    return n;
}

static kn_dtype dtype_of(const char *name)
{
    return !strcmp(name, "f32") ? KN_F32 : !strcmp(name, "f16") ? KN_F16 : KN_BF16;
}

/* The codes that the values and scales imply, packed again. */
static void check_packer(const kn_matrix *w, const float *value)
{
    size_t row = (size_t)(w->k * w->bits / 8);
    uint8_t *packed = calloc((size_t)w->n, row);
    assert_non_null(packed);
    for (int64_t i = 0; i < w->n * w->k; i++) {
        double scale = load_value(w->scales, i / w->group, w->dtype);
        double bias = load_value(w->biases, i / w->group, w->dtype);
        put_code(packed + (size_t)(i / w->k) * row, i % w->k, w->bits,
                 (unsigned)lround(((double)value[i] - bias) / scale));
    }
    assert_memory_equal(packed, w->w, (size_t)w->n * row);
    free(packed);
}

static void check_case(const kn_matrix *w, const float *value)
{
    int n = (int)w->n, k = (int)w->k;
    static const int32_t ids[2] = {0, 1};
    static float got[MOST], x[2 * 256], y[4];
    rng r = {41};
    check_packer(w, value);
    normals(&r, x, (size_t)(2 * k), 1);
    EACH_TABLE
    {
        assert_int_equal(kn_embed(w, ids, n, got, NULL), MLXE_OK);
        for (int i = 0; i < n * k; i++) /* MLX rounds after the product and after the sum */
            if (!(fabs((double)got[i] - (double)value[i]) <= 3e-7))
                fail_msg("%s %d bits group %d at %d: got %a, want %a", kn_isa(), w->bits, w->group,
                         i, (double)got[i], (double)value[i]);
        for (int m = 1; m <= 2; m++) {
            assert_int_equal(kn_linear(w, NULL, x, k, y, n, m, 0, NULL), MLXE_OK);
            for (int i = 0; i < m * n; i++) {
                double want = 0;
                for (int j = 0; j < k; j++)
                    want += (double)x[i / n * k + j] * (double)value[i % n * k + j];
                assert_true(fabs((double)y[i] - want) < 3e-5);
            }
        }
    }
}

static void packed_by_mlx(void **state)
{
    static uint8_t w[MOST], scales[MOST], biases[MOST], value[MOST];
    static float f[MOST / 4];
    char line[256], dtype[8];
    int n, k, cases = 0;
    FILE *file = fopen(MLXE_SOURCE_DIR "/tests/kernels/golden/affine.txt", "r");
    kn_matrix m = {.w = w, .scales = scales, .biases = biases};
    (void)state;
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    while (fscanf(file, " case %d %d %7s %d %d", &m.bits, &m.group, dtype, &n, &k) == 5) {
        m.dtype = dtype_of(dtype);
        m.n = n;
        m.k = k;
        assert_int_equal(hex(file, "w", w), n * k * m.bits / 8);
        assert_int_equal(hex(file, "scales", scales),
                         (size_t)(n * k / m.group) * dtype_bytes(m.dtype));
        assert_int_equal(hex(file, "biases", biases),
                         (size_t)(n * k / m.group) * dtype_bytes(m.dtype));
        assert_int_equal(hex(file, "value", value), n * k * 4);
        memcpy(f, value, (size_t)(n * k) * 4);
        check_case(&m, f);
        cases++;
    }
    fclose(file);
    assert_int_equal(cases, 18);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(packed_by_mlx)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
