/* full_lifecycle.c: what takes longer than a fast test may: 200 loads and unloads with flat memory,
 * and cancelling a long prompt on a model of 1.2B parameters within 300 ms. */
#include "mlxengine.h"

#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define POCKET MLXE_SOURCE_DIR "/zoo/pocket-llm"

static mlxe_engine *engine;

static void ok(mlxe_status rc, const mlxe_error *err)
{
    if (rc) fail_msg("%s: %s", mlxe_status_name(rc), err->message);
}

static int setup(void **state)
{
    mlxe_engine_params p = mlxe_engine_params_new();
    mlxe_error err;
    (void)state;
    p.plugin_dir = MLXE_BUILD_DIR "/lib";
    if (mlxe_engine_open(&p, &engine, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mlxe_engine_close(engine);
    return 0;
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* Anonymous resident memory in KiB: mapped weights come and go with the page cache. */
static long anonymous_kib(void)
{
    char line[256];
    long kib = -1;
    FILE *f = fopen("/proc/self/status", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "RssAnon: %ld", &kib) == 1) break;
    fclose(f);
    return kib;
}

static int count_entries(const char *path)
{
    DIR *dir = opendir(path);
    int n = 0;
    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static void load_use_unload(int i)
{
    mlxe_gen_params p = mlxe_gen_params_new();
    mlxe_model *model;
    mlxe_session *s;
    mlxe_job *job;
    mlxe_error err;
    p.temperature = MLXE_GREEDY;
    p.max_tokens = 4;
    ok(mlxe_model_open(engine, POCKET, NULL, &model, &err), &err);
    ok(mlxe_session_open(model, NULL, &s, &err), &err);
    ok(mlxe_session_ask(s, "Hello, how are you today?", MLXE_AUTO, &p, &job, &err), &err);
    if (i % 3) ok(mlxe_job_run(job, NULL, NULL, &err), &err);
    if (i % 2) mlxe_model_close(model); /* any order is legal */
    mlxe_job_close(job);
    mlxe_session_close(s);
    if (!(i % 2)) mlxe_model_close(model);
}

static void cycles(void **state)
{
    long before, after;
    int threads, files;
    (void)state;
    for (int i = 0; i < 20; i++)
        load_use_unload(i);
    before = anonymous_kib();
    threads = count_entries("/proc/self/task");
    files = count_entries("/proc/self/fd");
    for (int i = 0; i < 200; i++)
        load_use_unload(i);
    after = anonymous_kib();
    print_message("200 cycles: anonymous memory %ld -> %ld KiB\n", before, after);
    assert_true(after - before < 2048); /* 10 KiB a cycle would show */
    assert_int_equal(count_entries("/proc/self/task"), threads);
    assert_int_equal(count_entries("/proc/self/fd"), files);
}

/* ---- a random model of 1.2B parameters ------------------------------------------------------- */

enum { HIDDEN = 2048, LAYERS = 16, HEADS = 32, KV_HEADS = 8, FFN = 8192, VOCAB = 4096 };

static uint64_t noise = 88172645463325252u;

static void write_noise(FILE *f, size_t bytes, int as_scales)
{
    static uint64_t block[8192];
    while (bytes) {
        size_t n = bytes < sizeof block ? bytes : sizeof block;
        for (size_t i = 0; i < sizeof block / 8; i++) {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            /* bf16 values near 0.002, either sign */
            block[i] = as_scales ? (noise & 0x800F800F800F800Fu) | 0x3B003B003B003B00u : noise;
        }
        assert_int_equal(fwrite(block, 1, n, f), n);
        bytes -= n;
    }
}

typedef struct header {
    char *text;
    size_t n, cap;
    uint64_t at;
} header;

static void header_add(header *h, const char *name, const char *dtype, int64_t n, int64_t k,
                       uint64_t bytes)
{
    if (h->cap - h->n < 512)
        assert_non_null(h->text = realloc(h->text, h->cap = h->cap * 2 + 4096));
    h->n += (size_t)snprintf(h->text + h->n, h->cap - h->n,
                             "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%lld", h->n > 1 ? "," : "",
                             name, dtype, (long long)n);
    if (k) h->n += (size_t)snprintf(h->text + h->n, h->cap - h->n, ",%lld", (long long)k);
    h->n += (size_t)snprintf(h->text + h->n, h->cap - h->n, "],\"data_offsets\":[%llu,%llu]}",
                             (unsigned long long)h->at, (unsigned long long)(h->at + bytes));
    h->at += bytes;
}

/* A 4-bit linear [n,k], group 64; f NULL: only the header. */
static void linear(header *h, FILE *f, const char *name, int64_t n, int64_t k)
{
    char full[160];
    uint64_t weight = (uint64_t)(n * k / 2), scale = (uint64_t)(n * k / 64 * 2);
    if (f) {
        write_noise(f, weight, 0);
        write_noise(f, scale, 1);
        write_noise(f, scale, 1);
        return;
    }
    snprintf(full, sizeof full, "%s.weight", name);
    header_add(h, full, "U32", n, k / 8, weight);
    snprintf(full, sizeof full, "%s.scales", name);
    header_add(h, full, "BF16", n, k / 64, scale);
    snprintf(full, sizeof full, "%s.biases", name);
    header_add(h, full, "BF16", n, k / 64, scale);
}

static void norm(header *h, FILE *f, const char *name)
{
    if (f)
        write_noise(f, HIDDEN * 2, 1);
    else
        header_add(h, name, "BF16", HIDDEN, 0, HIDDEN * 2);
}

static void tensors(header *h, FILE *f)
{
    static const struct {
        const char *name;
        int64_t n, k;
    } LINEARS[] = {{"self_attn.q_proj", HIDDEN, HIDDEN},
                   {"self_attn.k_proj", KV_HEADS * 64, HIDDEN},
                   {"self_attn.v_proj", KV_HEADS * 64, HIDDEN},
                   {"self_attn.o_proj", HIDDEN, HIDDEN},
                   {"mlp.gate_proj", FFN, HIDDEN},
                   {"mlp.up_proj", FFN, HIDDEN},
                   {"mlp.down_proj", HIDDEN, FFN}};
    char name[128];
    linear(h, f, "model.embed_tokens", VOCAB, HIDDEN);
    for (int i = 0; i < LAYERS; i++) {
        snprintf(name, sizeof name, "model.layers.%d.input_layernorm.weight", i);
        norm(h, f, name);
        snprintf(name, sizeof name, "model.layers.%d.post_attention_layernorm.weight", i);
        norm(h, f, name);
        for (size_t k = 0; k < sizeof LINEARS / sizeof *LINEARS; k++) {
            snprintf(name, sizeof name, "model.layers.%d.%s", i, LINEARS[k].name);
            linear(h, f, name, LINEARS[k].n, LINEARS[k].k);
        }
    }
    norm(h, f, "model.norm.weight");
}

static void model_write(const char *folder)
{
    header h = {.n = 1, .cap = 4096};
    char path[512];
    uint64_t length;
    FILE *f;
    h.text = malloc(h.cap);
    h.text[0] = '{';
    tensors(&h, NULL);
    h.text[h.n++] = '}';
    while (h.n % 8)
        h.text[h.n++] = ' ';
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    f = fopen(path, "wb");
    assert_non_null(f);
    length = h.n;
    assert_int_equal(fwrite(&length, 8, 1, f), 1);
    assert_int_equal(fwrite(h.text, 1, h.n, f), h.n);
    tensors(&h, f);
    assert_int_equal(fclose(f), 0);
    free(h.text);
    snprintf(path, sizeof path, "%s/config.json", folder);
    f = fopen(path, "w");
    fprintf(f,
            "{\"model_type\":\"llama\",\"hidden_size\":%d,\"num_hidden_layers\":%d,\"num_attention_"
            "heads\":%d,"
            "\"num_key_value_heads\":%d,\"intermediate_size\":%d,\"vocab_size\":%d,\"tie_word_"
            "embeddings\":true,"
            "\"max_position_embeddings\":8192,\"quantization\":{\"group_size\":64,\"bits\":4}}",
            HIDDEN, LAYERS, HEADS, KV_HEADS, FFN, VOCAB);
    assert_int_equal(fclose(f), 0);
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    assert_int_equal(symlink(POCKET "/tokenizer.json", path), 0);
}

static void folder_remove(const char *folder)
{
    static const char *const FILES[] = {"model.safetensors", "config.json", "tokenizer.json"};
    char path[512];
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, FILES[i]);
        unlink(path);
    }
    rmdir(folder);
}

typedef struct cancelling {
    mlxe_job *job;
    long wait_ms;
    double asked_ms;
} cancelling;

static void *cancel_later(void *arg)
{
    cancelling *c = arg;
    struct timespec wait = {c->wait_ms / 1000, c->wait_ms % 1000 * 1000000};
    nanosleep(&wait, NULL);
    c->asked_ms = now_ms();
    mlxe_job_cancel(c->job);
    return NULL;
}

static void cancel_large(void **state)
{
    static const long WAITS[] = {5, 60, 300, 900, 2000};
    const char *scratch = getenv("TMPDIR");
    char folder[256], *prompt = malloc(20000);
    mlxe_model *model;
    mlxe_session *s;
    mlxe_error err;
    double worst = 0;
    (void)state;
    snprintf(folder, sizeof folder, "%s/mlxe-large-XXXXXX", scratch ? scratch : "/tmp");
    assert_non_null(mkdtemp(folder));
    model_write(folder);
    for (int i = 0; i < 6000; i++)
        prompt[i] = "the cat sat on a mat. "[i % 22];
    prompt[6000] = 0;
    ok(mlxe_model_open(engine, folder, NULL, &model, &err), &err);
    ok(mlxe_session_open(model, NULL, &s, &err), &err);
    for (size_t i = 0; i < sizeof WAITS / sizeof *WAITS; i++) {
        cancelling c = {.wait_ms = WAITS[i]};
        pthread_t thread;
        double took;
        ok(mlxe_session_complete(s, prompt, MLXE_AUTO, NULL, &c.job, &err), &err);
        assert_int_equal(pthread_create(&thread, NULL, cancel_later, &c), 0);
        ok(mlxe_job_run(c.job, NULL, NULL, &err), &err);
        took = now_ms();
        pthread_join(thread, NULL);
        took -= c.asked_ms;
        if (took > worst) worst = took;
        mlxe_job_close(c.job);
    }
    print_message("cancelling a prompt on a model of 1.2B: %.0f ms at worst\n", worst);
    mlxe_session_close(s);
    mlxe_model_close(model);
    folder_remove(folder);
    free(prompt);
    assert_true(worst <= 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(cycles), cmocka_unit_test(cancel_large)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
