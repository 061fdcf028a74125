/* test_goldens.c: every model golden: logits against transformers in float32 (relative RMS 1e-4),
 * greedy ids exactly, and configs that must be refused by name or must change nothing. */
#include "golden.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

static const double TOLERANCE = 1e-4;

static int setup(void **state)
{
    (void)state;
    return runtime_start_with(2);
}

static int32_t best(const float *logits, int32_t n)
{
    int32_t at = 0;
    for (int32_t i = 1; i < n; i++)
        if (logits[i] > logits[at]) at = i;
    return at;
}

/* Greedy continuation with the cache: -> places where it differs */
static int greedy_differs(opened *o, const expected *e, int dynamic)
{
    int32_t all[512], n = e->n_ids;
    eng_kv *kv = NULL;
    int wrong = 0;
    mlxe_error err;
    assert_true(e->n_ids + e->n_greedy <= 512);
    memcpy(all, e->ids, (size_t)n * sizeof *all);
    assert_int_equal(engine_mlx.kv_open(o->model, &kv, &err), MLXE_OK);
    for (int32_t i = 0; i < e->n_greedy; i++, n++) {
        int32_t from = engine_mlx.kv_length(kv);
        eng_row row;
        if (dynamic && from) { /* the reference is a full pass at each length */
            int32_t kept;
            assert_int_equal(engine_mlx.kv_truncate(kv, 0, &kept, &err), MLXE_OK);
            from = kept;
        }
        row = (eng_row){.kv = kv, .ids = all + from, .n = n - from, .want = ENG_WANT_LAST};
        assert_int_equal(engine_mlx.step(o->model, &row, 1, NULL, &err), MLXE_OK);
        all[n] = best(row.logits, o->caps.vocab);
        wrong += all[n] != e->greedy[i];
    }
    engine_mlx.kv_close(kv);
    return wrong;
}

static void models(void **state)
{
    buf index = {0}, folder = {0};
    mlxe_error err;
    double worst = 0;
    int cases = 0, failed = 0;
    char *at, *line;
    uint64_t before = kn_count(KN_COUNT_ATTENTION), affine = kn_count(KN_COUNT_LINEAR_AFFINE);
    (void)state;
    assert_int_equal(fs_read(GOLDEN_DIR "/INDEX.txt", 0, &index, &err), MLXE_OK);
    at = index.p;
    while ((line = next_line(&at))) {
        expected e;
        opened o;
        float *logits;
        double rms;
        int wrong;
        if (!*line || *line == '#') continue;
        expected_open(fs_join(&folder, GOLDEN_DIR, line), &e);
        if (opened_open(buf_str(&folder), &o, &err)) {
            print_error("%s: %s\n", line, err.message);
            failed++;
            expected_close(&e);
            continue;
        }
        assert_int_equal(o.caps.vocab, e.vocab);
        logits = malloc((size_t)e.n_ids * (size_t)e.vocab * sizeof *logits);
        if (forward_chunks(&o, e.ids, e.n_ids, e.n_ids, logits, &err)) {
            print_error("%s: %s\n", line, err.message);
            failed++;
        } else {
            rms = relative_rms(logits, e.logits, (size_t)e.n_ids * (size_t)e.vocab);
            wrong = greedy_differs(&o, &e, strstr(line, "dynamic") != NULL);
            if (!(rms <= TOLERANCE) || wrong) {
                print_error("%s: relative RMS %.3g, want <= %.3g; %d of %d greedy ids differ\n",
                            line, rms, TOLERANCE, wrong, e.n_greedy);
                failed++;
            }
            if (rms > worst) worst = rms;
        }
        cases++;
        free(logits);
        opened_close(&o);
        expected_close(&e);
    }
    print_message("%d cases, worst relative RMS %.3g\n", cases, worst);
    assert_int_equal(failed, 0);
    assert_true(cases >= 70);
    assert_true(kn_count(KN_COUNT_ATTENTION) > before); /* our kernels ran, not MLX's */
    assert_true(kn_count(KN_COUNT_LINEAR_AFFINE) > affine);
    buf_deinit(&index);
    buf_deinit(&folder);
}

/* ---- configs --------------------------------------------------------------------------------- */

static void link_folder(const char *base, const char *config, const char *scratch)
{
    DIR *dir = opendir(base);
    struct dirent *entry;
    buf from = {0}, to = {0};
    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        if (!strstr(entry->d_name, ".safetensors") || !strncmp(entry->d_name, "expected", 8))
            continue;
        fs_join(&from, base, entry->d_name);
        fs_join(&to, scratch, entry->d_name);
        assert_int_equal(symlink(buf_str(&from), buf_str(&to)), 0);
    }
    closedir(dir);
    fs_join(&to, scratch, "config.json");
    assert_int_equal(symlink(config, buf_str(&to)), 0);
    buf_deinit(&from);
    buf_deinit(&to);
}

static void folder_remove(const char *scratch)
{
    DIR *dir = opendir(scratch);
    struct dirent *entry;
    buf path = {0};
    while ((entry = readdir(dir)))
        if (entry->d_name[0] != '.') unlink(fs_join(&path, scratch, entry->d_name));
    closedir(dir);
    rmdir(scratch);
    buf_deinit(&path);
}

/* -> 1 when the case is right */
static int config_case(const char *kind, const char *file, const char *base, char *words)
{
    char scratch[] = "/tmp/mlxe-config-XXXXXX";
    buf config = {0}, folder = {0};
    int bad = !strcmp(kind, "bad-config"), ok = 1;
    mlxe_error err = {0};
    opened o;
    mlxe_status rc;
    assert_non_null(mkdtemp(scratch));
    buf_addf(&config, "%s/%s/%s", GOLDEN_DIR, kind, file);
    buf_addf(&folder, "%s/%s", GOLDEN_DIR, base);
    link_folder(buf_str(&folder), buf_str(&config), scratch);
    rc = opened_open(scratch, &o, &err);
    if (bad) {
        ok = rc == MLXE_E_CORRUPT || rc == MLXE_E_UNSUPPORTED || rc == MLXE_E_INPUT;
        for (char *word = strtok(words, ","); word && ok; word = strtok(NULL, ","))
            ok = strstr(err.message, word) != NULL;
    } else if (rc) {
        ok = 0;
    } else {
        expected e;
        float *logits;
        expected_open(buf_str(&folder), &e);
        logits = malloc((size_t)e.n_ids * (size_t)e.vocab * sizeof *logits);
        ok = !forward_chunks(&o, e.ids, e.n_ids, e.n_ids, logits, &err) &&
             relative_rms(logits, e.logits, (size_t)e.n_ids * (size_t)e.vocab) <= TOLERANCE;
        free(logits);
        expected_close(&e);
    }
    if (!ok)
        print_error("%s/%s: status %d, %s\n", kind, file, (int)rc, rc ? err.message : "opened");
    if (!rc) opened_close(&o);
    folder_remove(scratch);
    buf_deinit(&config);
    buf_deinit(&folder);
    return ok;
}

static void configs_of(const char *kind, int least)
{
    buf list = {0}, path = {0};
    mlxe_error err;
    int cases = 0, failed = 0;
    char *at, *line;
    buf_addf(&path, "%s/%s/CASES.txt", GOLDEN_DIR, kind);
    assert_int_equal(fs_read(buf_str(&path), 0, &list, &err), MLXE_OK);
    at = list.p;
    while ((line = next_line(&at))) {
        char *base = strchr(line, '\t'), *words;
        if (!base) continue;
        *base++ = 0;
        words = strchr(base, '\t');
        if (words) *words++ = 0;
        failed += !config_case(kind, line, base, words);
        cases++;
    }
    print_message("%s: %d cases\n", kind, cases);
    assert_int_equal(failed, 0);
    assert_true(cases >= least);
    buf_deinit(&list);
    buf_deinit(&path);
}

/* What a smaller KV type costs: logits against the golden. Measured at most: f16 9e-4, bf16
 * 7e-3, int8 2.2e-2 (these small random models magnify); each is told, and each differs from f32,
 * so it has run. */
static void kv_types(void **state)
{
    static const char *const FOLDERS[] = {"llama/f32", "qwen3/f32", "mistral/window",
                                          "qwen2/q4-g64", "llama/rope-dynamic-above"};
    static const char *const NAMES[] = {"f32", "f16", "bf16", "int8"};
    static const double MOST[] = {1e-4, 1.5e-3, 1.2e-2, 4e-2};
    uint64_t bytes = 0;
    (void)state;
    for (int precise = 0; precise < 2; precise++) { /* the defaults */
        eng_options options = {.precision = precise ? MLXE_PRECISION_F32 : MLXE_PRECISION_INT8};
        opened o;
        mlxe_error err;
        assert_int_equal(opened_open_with(GOLDEN_DIR "/llama/f32", &options, &o, &err), MLXE_OK);
        assert_string_equal(o.caps.kv_type, precise ? "f32" : "f16");
        opened_close(&o);
    }
    for (size_t f = 0; f < sizeof FOLDERS / sizeof *FOLDERS; f++)
        for (int type = 0; type < 4; type++) {
            eng_options options = {.kv_type = (mlxe_kv_type)(MLXE_KV_F32 + type),
                                   .precision = MLXE_PRECISION_F32};
            buf folder = {0};
            opened o;
            expected e;
            float *got;
            double rms;
            mlxe_error err;
            fs_join(&folder, GOLDEN_DIR, FOLDERS[f]);
            expected_open(buf_str(&folder), &e);
            if (opened_open_with(buf_str(&folder), &options, &o, &err)) fail_msg("%s", err.message);
            assert_string_equal(o.caps.kv_type, NAMES[type]);
            if (type) assert_true(o.caps.kv_token_bytes < bytes || type == 2);
            bytes = o.caps.kv_token_bytes;
            got = malloc((size_t)e.n_ids * (size_t)e.vocab * sizeof *got);
            assert_int_equal(forward_chunks(&o, e.ids, e.n_ids, 5, got, &err), MLXE_OK);
            rms = relative_rms(got, e.logits, (size_t)e.n_ids * (size_t)e.vocab);
            printf("%s %s: %.2g\n", FOLDERS[f], NAMES[type], rms);
            if (!(rms <= MOST[type]) || (type && rms < 1e-6))
                fail_msg("%s with KV as %s: relative RMS %g", FOLDERS[f], NAMES[type], rms);
            free(got);
            opened_close(&o);
            expected_close(&e);
            buf_deinit(&folder);
        }
}

static void refused_configs(void **state)
{
    (void)state;
    configs_of("bad-config", 60);
}

static void accepted_configs(void **state)
{
    (void)state;
    configs_of("good-config", 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(models), cmocka_unit_test(kv_types),
                                       cmocka_unit_test(refused_configs),
                                       cmocka_unit_test(accepted_configs)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
