/* test_generate.c: the public API end to end on pocket-llm: streaming, stop strings, seeds, prefix
 * reuse, batching, logprobs, cancelling, errors, forks. Only mlxengine.h of ours is included. */
#define _GNU_SOURCE
#include "mlxengine.h"

#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define POCKET MLXE_SOURCE_DIR "/zoo/pocket-llm"

static mlxe_engine *engine;
static mlxe_model *model;

static void ok(mlxe_status rc, const mlxe_error *err)
{
    if (rc) fail_msg("%s: %s", mlxe_status_name(rc), err->message);
}

static int setup(void **state)
{
    mlxe_engine_params ep = mlxe_engine_params_new();
    mlxe_model_params mp = mlxe_model_params_new();
    mlxe_error err;
    (void)state;
    ep.plugin_dir = MLXE_BUILD_DIR "/lib"; /* this program holds the library's objects itself */
    setenv("HF_HUB_OFFLINE", "1", 1);
    mp.parallel = 4;
    if (mlxe_engine_open(&ep, &engine, &err) ||
        mlxe_model_open(engine, POCKET, &mp, &model, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mlxe_model_close(model);
    mlxe_engine_close(engine);
    return 0;
}

typedef struct answer {
    char streamed[16384], whole[16384];
    int32_t ids[1024];
    size_t n_ids;
    int pieces, logprobs, progress;
    double least_logprob;
    mlxe_stats stats;
} answer;

static void on_event(void *user, const mlxe_event *e)
{
    answer *a = user;
    if (e->type == MLXE_EVENT_TEXT) {
        assert_true(strlen(a->streamed) + e->text_bytes < sizeof a->streamed);
        memcpy(a->streamed + strlen(a->streamed), e->text, e->text_bytes + 1);
        a->pieces++;
    } else if (e->type == MLXE_EVENT_LOGPROBS) {
        const char *p = strstr(e->text, "\"logprob\":");
        double v = atof(p + strlen("\"logprob\":"));
        if (v < a->least_logprob) a->least_logprob = v;
        a->logprobs++;
    } else if (e->type == MLXE_EVENT_PROGRESS) {
        a->progress++;
    } else if (e->type == MLXE_EVENT_DONE) {
        memcpy(a->whole, e->text, e->text_bytes + 1);
        a->n_ids = e->n_ids;
        assert_true(e->n_ids <= 1024);
        if (e->n_ids) memcpy(a->ids, e->ids, e->n_ids * sizeof *a->ids);
        a->stats = *e->stats;
    }
}

static void complete(mlxe_session *s, const char *prompt, const mlxe_gen_params *p, answer *a)
{
    mlxe_job *job;
    mlxe_error err;
    memset(a, 0, sizeof *a);
    ok(mlxe_session_complete(s, prompt, MLXE_AUTO, p, &job, &err), &err);
    ok(mlxe_job_run(job, on_event, a, &err), &err);
    mlxe_job_close(job);
}

static mlxe_session *session(void)
{
    mlxe_session *s;
    mlxe_error err;
    ok(mlxe_session_open(model, NULL, &s, &err), &err);
    return s;
}

static mlxe_gen_params greedy(uint32_t max_tokens)
{
    mlxe_gen_params p = mlxe_gen_params_new();
    p.temperature = MLXE_GREEDY;
    p.max_tokens = max_tokens;
    return p;
}

#define STORY "Once upon a time there was a small grey cat. The cat"

static void streams(void **state)
{
    mlxe_gen_params p = greedy(48);
    mlxe_session *s = session();
    answer a;
    char *text;
    mlxe_error err;
    (void)state;
    complete(s, STORY, &p, &a);
    assert_string_equal(a.streamed, a.whole);
    assert_true(a.pieces > 1 || a.n_ids < 2);
    assert_true(a.n_ids <= 48 && a.stats.generated_tokens == a.n_ids);
    assert_true(a.stats.prompt_tokens > 5 && a.stats.cached_tokens == 0);
    assert_true(a.stats.finish == MLXE_FINISH_STOP || a.n_ids == 48);
    assert_true(a.stats.prefill_ms > 0 &&
                a.stats.time_to_first_token_ms >= a.stats.prefill_ms * 0.9);
    ok(mlxe_detokenize(mlxe_model_tokenizer(model), a.ids, a.n_ids, 1, &text, NULL, &err), &err);
    assert_string_equal(text, a.whole);
    mlxe_string_free(text);
    mlxe_session_close(s);
}

/* A stop string cut out of the middle of the real answer ends it just before. */
static void stops(void **state)
{
    mlxe_gen_params p = greedy(40);
    mlxe_session *s = session();
    answer whole, cut;
    (void)state;
    complete(s, STORY, &p, &whole);
    assert_true(strlen(whole.whole) > 12);
    for (size_t at = 1; at + 6 < strlen(whole.whole); at += 3) {
        char stop[6] = {0}, want[16384];
        const char *list[2] = {"\x01never\x01", stop};
        if (((unsigned char)whole.whole[at] & 0xC0) == 0x80) continue;
        memcpy(stop, whole.whole + at, 5);
        p.stop = list;
        p.n_stop = 2;
        complete(s, STORY, &p, &cut);
        strcpy(want, whole.whole);
        *strstr(want, stop) = 0;
        assert_string_equal(cut.whole, want);
        assert_string_equal(cut.streamed, want);
        assert_int_equal(cut.stats.finish, MLXE_FINISH_STOP);
    }
    mlxe_session_close(s);
}

static void seeds(void **state)
{
    uint64_t one = 1, two = 2;
    mlxe_gen_params p = mlxe_gen_params_new();
    mlxe_session *s = session();
    answer a, b, c;
    (void)state;
    p.temperature = 1.5f;
    p.max_tokens = 32;
    p.seed = &one;
    complete(s, STORY, &p, &a);
    complete(s, STORY, &p, &b);
    p.seed = &two;
    complete(s, STORY, &p, &c);
    assert_int_equal(a.stats.seed, 1);
    assert_string_equal(a.whole, b.whole);
    assert_string_not_equal(a.whole, c.whole);
    p.seed = NULL; /* fresh, and told: it can be asked for again */
    complete(s, STORY, &p, &a);
    p.seed = &a.stats.seed;
    complete(s, STORY, &p, &b);
    assert_string_equal(a.whole, b.whole);
    p.top_k = 1; /* whatever the temperature */
    complete(s, STORY, &p, &b);
    p = greedy(32);
    complete(s, STORY, &p, &c);
    assert_string_equal(b.whole, c.whole);
    mlxe_session_close(s);
}

static void bias_and_penalties(void **state)
{
    mlxe_gen_params p = greedy(12);
    mlxe_session *s = session();
    answer plain, other;
    mlxe_logit_bias bias;
    (void)state;
    complete(s, STORY, &p, &plain);
    bias = (mlxe_logit_bias){plain.ids[0], -INFINITY};
    p.logit_bias = &bias;
    p.n_logit_bias = 1;
    complete(s, STORY, &p, &other);
    for (size_t i = 0; i < other.n_ids; i++)
        assert_int_not_equal(other.ids[i], plain.ids[0]);
    bias.bias = 1000;
    complete(s, STORY, &p, &other);
    assert_int_equal(other.n_ids, 12);
    for (size_t i = 0; i < other.n_ids; i++)
        assert_int_equal(other.ids[i], plain.ids[0]);
    p.frequency_penalty = 2; /* 1000 / 2 repetitions would be needed: still the same token */
    p.presence_penalty = 2;
    complete(s, STORY, &p, &other);
    assert_int_equal(other.ids[11], plain.ids[0]);
    bias.bias = 0.f;
    p.repetition_penalty = 100; /* nothing twice, the prompt's tokens neither */
    p.frequency_penalty = p.presence_penalty = 0;
    complete(s, STORY, &p, &other);
    for (size_t i = 0; i < other.n_ids; i++)
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(other.ids[i], other.ids[k]);
    mlxe_session_close(s);
}

static void logprobs(void **state)
{
    mlxe_gen_params p = greedy(10);
    mlxe_session *s = session();
    answer a;
    (void)state;
    p.logprobs = 3;
    complete(s, STORY, &p, &a);
    assert_true((size_t)a.logprobs >= a.n_ids && a.logprobs <= (int)a.n_ids + 1);
    assert_true(a.least_logprob < 0 && a.least_logprob > -log(4096.0)); /* greedy: above uniform */
    mlxe_session_close(s);
}

/* ---- conversations --------------------------------------------------------------------------- */

static void ask(mlxe_session *s, const char *text, const mlxe_gen_params *p, answer *a)
{
    mlxe_job *job;
    mlxe_error err;
    memset(a, 0, sizeof *a);
    ok(mlxe_session_ask(s, text, MLXE_AUTO, p, &job, &err), &err);
    ok(mlxe_job_run(job, on_event, a, &err), &err);
    mlxe_job_close(job);
}

static void prefix_is_reused(void **state)
{
    mlxe_gen_params p = greedy(16);
    mlxe_session *s = session(), *fresh = session();
    answer first, second, whole;
    char messages[40000];
    mlxe_job *job;
    mlxe_error err;
    (void)state;
    ask(s, "What is 2 + 3?", &p, &first);
    assert_int_equal(first.stats.cached_tokens, 0);
    ask(s, "And 4 + 4?", &p, &second);
    assert_true(second.stats.cached_tokens >= first.stats.prompt_tokens);
    assert_true(second.stats.cached_tokens < second.stats.prompt_tokens);
    /* the same conversation from nothing: the same bits, so the same text */
    if (!strpbrk(first.whole, "\"\\\n")) {
        snprintf(messages, sizeof messages,
                 "[{\"role\":\"user\",\"content\":\"What is 2 + "
                 "3?\"},{\"role\":\"assistant\",\"content\":\"%s\"},"
                 "{\"role\":\"user\",\"content\":\"And 4 + 4?\"}]",
                 first.whole);
        memset(&whole, 0, sizeof whole);
        ok(mlxe_session_chat(fresh, messages, MLXE_AUTO, &p, &job, &err), &err);
        ok(mlxe_job_run(job, on_event, &whole, &err), &err);
        mlxe_job_close(job);
        assert_int_equal(whole.stats.cached_tokens, 0);
        assert_int_equal(whole.stats.prompt_tokens, second.stats.prompt_tokens);
        assert_string_equal(whole.whole, second.whole);
    }
    ok(mlxe_session_reset(s, &err), &err);
    ask(s, "What is 2 + 3?", &p, &whole);
    assert_string_equal(whole.whole, first.whole);
    mlxe_session_close(s);
    mlxe_session_close(fresh);
}

/* Eight jobs on a model of four rows at once: each as if it were alone. */
static void batching(void **state)
{
    enum { N = 8 };
    static const char *const PROMPTS[N] = {
        STORY,   "The",     "What is 3 + 4?", "A dog and a bird went to the",
        "Hello", "1 2 3 4", STORY " sat",     "In the town of"};
    mlxe_session *s[N];
    mlxe_job *job[N];
    answer alone[N], *together = calloc(N, sizeof *together);
    mlxe_gen_params p = greedy(24);
    mlxe_error err;
    (void)state;
    for (int i = 0; i < N; i++) {
        s[i] = session();
        complete(s[i], PROMPTS[i], &p, &alone[i]);
        mlxe_session_close(s[i]);
        s[i] = session();
    }
    for (int i = 0; i < N; i++)
        ok(mlxe_session_complete(s[i], PROMPTS[i], MLXE_AUTO, &p, &job[i], &err), &err);
    for (int i = N; i-- > 0;)
        ok(mlxe_job_run(job[i], on_event, &together[i], &err), &err);
    for (int i = 0; i < N; i++) {
        assert_string_equal(together[i].whole, alone[i].whole);
        assert_int_equal(together[i].n_ids, alone[i].n_ids);
        mlxe_job_close(job[i]);
        mlxe_session_close(s[i]);
    }
    free(together);
}

/* ---- cancelling, waiting, lifetimes ---------------------------------------------------------- */

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void *cancel_soon(void *job)
{
    struct timespec wait = {0, 30000000};
    nanosleep(&wait, NULL);
    mlxe_job_cancel(job);
    return NULL;
}

static void cancels(void **state)
{
    mlxe_logit_bias never = {0, 0};
    mlxe_gen_params p = greedy(1500);
    mlxe_session *s = session();
    mlxe_job *job;
    pthread_t thread;
    answer a = {0};
    mlxe_error err;
    double before;
    (void)state;
    never.bias = 1000; /* token 0 for ever, unless it ends the text */
    never.id = 5;
    p.logit_bias = &never;
    p.n_logit_bias = 1;
    ok(mlxe_session_complete(s, STORY, MLXE_AUTO, &p, &job, &err), &err);
    before = now_ms();
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, job), 0);
    ok(mlxe_job_run(job, on_event, &a, &err), &err);
    assert_int_equal(a.stats.finish, MLXE_FINISH_CANCELLED);
    assert_true(now_ms() - before <
                30 + 3000); /* 300 ms is the promise; a loaded machine is slow */
    assert_string_equal(a.streamed, a.whole);
    pthread_join(thread, NULL);
    mlxe_job_close(job);
    p = greedy(4);
    complete(s, STORY, &p, &a); /* the session goes on */
    assert_true(a.n_ids > 0);
    ok(mlxe_session_complete(s, STORY, MLXE_AUTO, &p, &job, &err), &err);
    mlxe_job_close(job); /* at any time */
    ok(mlxe_session_complete(s, STORY, MLXE_AUTO, &p, &job, &err), &err);
    mlxe_session_close(s); /* its job may outlive it */
    mlxe_job_cancel(job);
    mlxe_job_close(job);
}

static void waits_on_a_descriptor(void **state)
{
    mlxe_gen_params p = greedy(8);
    mlxe_session *s = session();
    mlxe_job *job;
    const mlxe_event *e;
    int done = 0, events = 0;
    mlxe_error err;
    (void)state;
    ok(mlxe_session_complete(s, STORY, MLXE_AUTO, &p, &job, &err), &err);
    while (!done) {
        struct pollfd fd = {mlxe_job_fd(job), POLLIN, 0};
        assert_int_equal(poll(&fd, 1, 20000), 1);
        ok(mlxe_job_next(job, 0, &e, &err), &err);
        assert_non_null(e);
        done = e->type == MLXE_EVENT_DONE;
        events++;
    }
    assert_true(events >= 2);
    assert_int_equal(mlxe_job_next(job, 0, &e, &err), MLXE_OK);
    assert_null(e); /* nothing after the end */
    mlxe_job_close(job);
    mlxe_session_close(s);
}

/* A reader that does not read: the row waits, nothing is lost. */
static void slow_reader(void **state)
{
    mlxe_gen_params p = greedy(400);
    mlxe_session *s = session();
    mlxe_logit_bias bias = {300, 1000};
    struct timespec wait = {0, 200000000};
    mlxe_job *job;
    answer a = {0};
    mlxe_error err;
    (void)state;
    p.logit_bias = &bias;
    p.n_logit_bias = 1;
    p.logprobs = 1; /* one event a token: more than the queue holds */
    ok(mlxe_session_complete(s, STORY, MLXE_AUTO, &p, &job, &err), &err);
    nanosleep(&wait, NULL);
    ok(mlxe_job_run(job, on_event, &a, &err), &err);
    assert_int_equal(a.n_ids, 400);
    assert_int_equal(a.logprobs, 400);
    assert_string_equal(a.streamed, a.whole);
    mlxe_job_close(job);
    mlxe_session_close(s);
}

static void busy_session(void **state)
{
    mlxe_gen_params p = greedy(200);
    mlxe_session *s = session();
    mlxe_job *job, *second;
    mlxe_error err;
    (void)state;
    ok(mlxe_session_complete(s, STORY, MLXE_AUTO, &p, &job, &err), &err);
    assert_int_equal(mlxe_session_complete(s, STORY, MLXE_AUTO, &p, &second, &err), MLXE_E_STATE);
    assert_null(second);
    mlxe_job_close(job);
    mlxe_session_close(s);
}

static void bad_arguments(void **state)
{
    mlxe_gen_params p = greedy(4);
    mlxe_session *s = session();
    mlxe_job *job;
    mlxe_error err;
    mlxe_logit_bias bias = {1 << 20, 1};
    int32_t ids[2] = {1, 4096};
    char *text;
    size_t n = 40000;
    (void)state;
    p.top_p = 1.5f;
    assert_int_equal(mlxe_session_complete(s, "x", 1, &p, &job, &err), MLXE_E_ARG);
    assert_non_null(strstr(err.message, "top_p"));
    p = greedy(4);
    p.logit_bias = &bias;
    p.n_logit_bias = 1;
    assert_int_equal(mlxe_session_complete(s, "x", 1, &p, &job, &err), MLXE_E_ARG);
    assert_non_null(strstr(err.message, "1048576"));
    assert_int_equal(mlxe_session_complete(s, "\xff\xfe", 2, NULL, &job, &err), MLXE_E_INPUT);
    assert_int_equal(mlxe_session_complete(s, "", 0, NULL, &job, &err), MLXE_E_INPUT);
    assert_int_equal(mlxe_session_chat(s, "{}", 2, NULL, &job, &err), MLXE_E_INPUT);
    assert_int_equal(mlxe_session_chat(s, "[1]", 3, NULL, &job, &err), MLXE_E_INPUT);
    assert_int_equal(mlxe_session_chat(s, "[", 1, NULL, &job, &err), MLXE_E_INPUT);
    text = malloc(n + 1);
    for (size_t i = 0; i < n; i++)
        text[i] = i % 2 ? ' ' : (char)('a' + i % 26);
    assert_int_equal(mlxe_session_complete(s, text, n, NULL, &job, &err), MLXE_E_LIMIT);
    free(text);
    assert_int_equal(mlxe_model_logits(model, ids, 2, NULL, NULL, &err), MLXE_E_ARG);
    assert_non_null(strstr(err.message, "4096"));
    p.size = (uint32_t)sizeof p; /* a field that this version does not know */
    {
        struct {
            mlxe_gen_params known;
            uint64_t newer;
        } future = {p, 1};
        future.known.size = (uint32_t)sizeof future;
        assert_int_equal(mlxe_session_complete(s, "x", 1, &future.known, &job, &err),
                         MLXE_E_UNSUPPORTED);
    }
    mlxe_session_close(s);
}

static void other_models(void **state)
{
    mlxe_model *m;
    mlxe_error err;
    (void)state;
    assert_int_equal(mlxe_model_open(engine, "/nowhere/at/all", NULL, &m, &err), MLXE_E_NOT_FOUND);
    assert_null(m);
    assert_int_equal(mlxe_model_open(engine, "x.gguf", NULL, &m, &err), MLXE_E_UNSUPPORTED);
    assert_int_equal(mlxe_model_open(engine, "org/name", NULL, &m, &err), MLXE_E_OFFLINE);
    assert_int_equal(mlxe_model_open(engine, MLXE_SOURCE_DIR "/docs", NULL, &m, &err),
                     MLXE_E_NOT_FOUND);
}

static void second_engine(void **state)
{
    mlxe_engine_params p = mlxe_engine_params_new();
    mlxe_engine *e;
    mlxe_error err;
    (void)state;
    p.plugin_dir = MLXE_BUILD_DIR "/lib";
    ok(mlxe_engine_open(&p, &e, &err), &err); /* shares the runtime */
    mlxe_engine_close(e);
    p.threads = 77;
    assert_int_equal(mlxe_engine_open(&p, &e, &err), MLXE_E_STATE);
    p.threads = 0;
    p.device = "gpu";
    assert_int_equal(mlxe_engine_open(&p, &e, &err), MLXE_E_UNSUPPORTED);
}

static int logits_copy(void *user, size_t first, size_t n, uint32_t vocab, const float *logits)
{
    float *to = user;
    memcpy(to + first * vocab, logits, n * vocab * sizeof *logits);
    return 0;
}

/* Weights read into memory instead of mapped: the same bits. */
static void read_weights(void **state)
{
    enum { N = 6, VOCAB = 4096 };
    static const int32_t IDS[N] = {5, 900, 31, 4000, 77, 12};
    mlxe_model_params p = mlxe_model_params_new();
    float *mapped = malloc(N * VOCAB * sizeof *mapped),
          *copied = malloc(N * VOCAB * sizeof *copied);
    mlxe_model *m;
    mlxe_error err;
    (void)state;
    p.load = MLXE_LOAD_READ;
    ok(mlxe_model_open(engine, POCKET, &p, &m, &err), &err);
    ok(mlxe_model_logits(m, IDS, N, logits_copy, copied, &err), &err);
    ok(mlxe_model_logits(model, IDS, N, logits_copy, mapped, &err), &err);
    assert_memory_equal(copied, mapped, N * VOCAB * sizeof *mapped);
    mlxe_model_close(m);
    free(mapped);
    free(copied);
}

static void environment(void **state)
{
    static const struct {
        const char *name, *value;
        mlxe_status want;
    } CASES[] = {
        {"MLXE_DUMP", "/tmp", MLXE_E_UNSUPPORTED},  {"MLXE_TRACE", "x.json", MLXE_E_UNSUPPORTED},
        {"MLXE_LOG", "loud", MLXE_E_ARG},           {"MLXE_THREADS", "two", MLXE_E_ARG},
        {"MLXE_DEVICE", "gpu", MLXE_E_UNSUPPORTED}, {"MLXE_DEVICE", "tpu", MLXE_E_ARG},
        {"MLXE_ISA", "mmx", MLXE_E_UNSUPPORTED}};
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        mlxe_engine_params p = mlxe_engine_params_new();
        mlxe_engine *e;
        mlxe_error err;
        char *before = getenv(CASES[i].name) ? strdup(getenv(CASES[i].name)) : NULL;
        p.plugin_dir = MLXE_BUILD_DIR "/lib";
        setenv(CASES[i].name, CASES[i].value, 1);
        assert_int_equal(mlxe_engine_open(&p, &e, &err), CASES[i].want);
        assert_null(e);
        if (strcmp(CASES[i].name, "MLXE_ISA") != 0)
            assert_non_null(strcasestr(err.message, CASES[i].name + 5));
        if (before)
            setenv(CASES[i].name, before, 1);
        else
            unsetenv(CASES[i].name);
        free(before);
    }
}

static void forked_child(void **state)
{
    int status;
    pid_t pid;
    (void)state;
    fflush(NULL);
    pid = fork();
    if (!pid) {
        mlxe_session *s;
        mlxe_engine *e;
        mlxe_error err;
        mlxe_engine_params p = mlxe_engine_params_new();
        p.plugin_dir = MLXE_BUILD_DIR "/lib";
        _exit(mlxe_session_open(model, NULL, &s, &err) == MLXE_E_STATE &&
                      mlxe_engine_open(&p, &e, &err) == MLXE_E_STATE
                  ? 0
                  : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams),
        cmocka_unit_test(stops),
        cmocka_unit_test(seeds),
        cmocka_unit_test(bias_and_penalties),
        cmocka_unit_test(logprobs),
        cmocka_unit_test(prefix_is_reused),
        cmocka_unit_test(batching),
        cmocka_unit_test(cancels),
        cmocka_unit_test(waits_on_a_descriptor),
        cmocka_unit_test(slow_reader),
        cmocka_unit_test(busy_session),
        cmocka_unit_test(bad_arguments),
        cmocka_unit_test(other_models),
        cmocka_unit_test(second_engine),
        cmocka_unit_test(read_weights),
        cmocka_unit_test(environment),
        cmocka_unit_test(forked_child),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
