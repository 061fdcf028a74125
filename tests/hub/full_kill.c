/* full_kill.c: `pull` is killed (SIGKILL) at 200 random moments; the next one goes on.
 *
 *   round: empty cache -> { pull, killed after 5..400 ms } until one pull ends by itself
 *          -> right bytes, nothing left over, little fetched twice
 *
 * What a kill may cost: of each connection the bytes under way and those not noted yet. */
#define _XOPEN_SOURCE 700
#include "base/buf.h"
#include "base/thread.h"
#include "faulty.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { KILLS = 200, COST_OF_A_KILL = 24 << 20 };

static const char SCRIPT[] = "repo org/name 1111111111111111111111111111111111111111\n"
                             "file model-1.safetensors 70000000 lfs\n"
                             "file model-2.safetensors 65000000 lfs\n"
                             "file model-3.safetensors 9000000 lfs\n"
                             "file config.json 700\n"
                             "file tokenizer.json 300000\n"
                             "file vocab.txt 40000\n"
                             "on GET */resolve/* rate=90000000\n";
enum { TOTAL_BYTES = 70000000 + 65000000 + 9000000 + 700 + 300000 + 40000 };

static pid_t start_pull(const char *command, const char *home, const char *endpoint)
{
    char home_text[200], endpoint_text[200];
    char *args[] = {(char *)command, "pull", "org/name", "--quiet", NULL};
    char *env[] = {home_text, endpoint_text, NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid = -1;
    snprintf(home_text, sizeof home_text, "HF_HOME=%s", home);
    snprintf(endpoint_text, sizeof endpoint_text, "HF_ENDPOINT=%s", endpoint);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    assert_int_equal(posix_spawn(&pid, command, &actions, NULL, args, env), 0);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

/* -> 1: killed, 0: it ended by itself, rightly */
static int pull_killed(const char *command, const char *home, const char *endpoint, int after_ms)
{
    pid_t pid = start_pull(command, home, endpoint), ended = 0;
    int status = 0;
    int64_t end = clock_ns() + after_ms * 1000000LL;
    while (clock_ns() < end && !(ended = waitpid(pid, &status, WNOHANG))) {
        struct timespec nap = {0, 1000000};
        nanosleep(&nap, NULL);
    }
    if (!ended) {
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (WIFSIGNALED(status)) return 1;
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    return 0;
}

static int shell(const char *home, const char *command)
{
    buf text = {0};
    int rc;
    buf_addf(&text, "cd '%s/hub/models--org--name' && %s", home, command);
    rc = system(buf_str(&text));
    buf_deinit(&text);
    return WIFEXITED(rc) ? WEXITSTATUS(rc) : 1;
}

static void same_bytes(faulty *server, const char *home, const char *name)
{
    char path[400];
    size_t n = 0;
    const unsigned char *want = faulty_file(server, "org/name", name, &n);
    unsigned char *got = malloc(n + 1);
    FILE *f;
    snprintf(path, sizeof path,
             "%s/hub/models--org--name/snapshots/1111111111111111111111111111111111111111/%s", home,
             name);
    f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fread(got, 1, n + 1, f), n);
    assert_memory_equal(got, want, n);
    fclose(f);
    free(got);
}

static void killed_and_continued(void **state)
{
    char home[] = "/tmp/mlxe-kill-XXXXXX", message[200];
    const char *command = MLXE_BUILD_DIR "/bin/mlxengine", *seed = getenv("MLXE_TEST_SEED");
    static const char *const FILES[] = {"model-1.safetensors", "model-2.safetensors",
                                        "model-3.safetensors", "config.json",
                                        "tokenizer.json",      "vocab.txt"};
    faulty *server;
    unsigned random = seed ? (unsigned)atoi(seed) : (unsigned)time(NULL);
    int kills = 0, rounds = 0;
    uint64_t twice = 0;
    (void)state;
    fprintf(stderr, "MLXE_TEST_SEED=%u\n", random);
    srand(random);
    assert_non_null(mkdtemp(home));
    assert_int_equal(faulty_open(&server), 0);
    while (kills < KILLS) {
        int mine = 0;
        uint64_t sent;
        faulty_forget(server);
        assert_int_equal(faulty_script(server, SCRIPT, message, sizeof message), 0);
        while (pull_killed(command, home, faulty_url(server, FAULTY_SELF),
                           kills + mine < KILLS ? 5 + rand() % 400 : 100000))
            mine++;
        sent = faulty_sent(server, "GET", "*/resolve/*");
        for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++)
            same_bytes(server, home, FILES[i]);
        assert_int_equal(shell(home, "test $(ls blobs | wc -l) = 6"), 0);
        assert_int_equal(shell(home, "test -z \"$(ls .partial | grep -v '^t-')\""), 0);
        assert_int_equal(shell(home, "test \"$(ls refs)\" = main"), 0);
        assert_int_equal(shell(home, "for l in ../.locks/*/*.lock; do flock -n $l true || exit 1; "
                                     "done"),
                         0);
        assert_in_range(sent, TOTAL_BYTES, TOTAL_BYTES + (uint64_t)mine * COST_OF_A_KILL);
        twice += sent - TOTAL_BYTES;
        kills += mine;
        rounds++;
        assert_int_equal(shell(home, "rm -rf ../../hub"), 0);
    }
    fprintf(stderr, "%d kills in %d rounds, %.1f MB fetched twice a kill\n", kills, rounds,
            (double)twice / 1e6 / (kills ? kills : 1));
    faulty_close(server);
    rmdir(home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(killed_and_continued)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
