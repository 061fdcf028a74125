/* full_cuts.c: 129: the command pulls from `hub serve` through a proxy that breaks 30 % of the
 * connections; then offline, byte by byte.
 *
 *   command pull -> proxy: each connection closed or reset after some bytes, or let alone -> serve
 *
 * Both ends are the build's command: `make asan LABEL=full` runs this with AddressSanitizer and
 * UBSan in both, and a report, or a leak at the end of the server, is an exit status that fails. */
#define _XOPEN_SOURCE 700
#include "base/buf.h"
#include "base/fs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROUNDS = 4, CUT_OF_100 = 30, MOST_CUT_BYTES = 4 << 20, PULLS = 5 };

static const struct {
    const char *path;
    size_t bytes;
} FILES[] = {{"model.safetensors", 70000000},
             {"other.safetensors", 3000000},
             {"tokenizer.json", 400000},
             {"config.json", 700},
             {"empty.txt", 0},
             {"a/b/c.txt", 9000}};
enum { N_FILES = sizeof FILES / sizeof *FILES };

static char top[64], served_url[80], proxy_url[80];
static uint16_t served_port;
static atomic_uint connections, cuts;
static atomic_int ending;
static atomic_uint state = 12345;

static unsigned random_below(unsigned n)
{
    unsigned x = atomic_fetch_add(&state, 2654435769u);
    x ^= x >> 16;
    x *= 2246822519u;
    x ^= x >> 13;
    x *= 3266489917u;
    return (x ^ x >> 16) % n;
}

/* ---- the proxy ------------------------------------------------------------------------------- */

static int connect_to_server(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(served_port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&address, sizeof address)) {
        close(fd);
        return -1;
    }
    return fd;
}

static int pass(int from, int to, size_t *left)
{
    char room[32768];
    ssize_t n = recv(from, room, sizeof room, 0);
    size_t most = n > 0 && (size_t)n > *left ? *left : n > 0 ? (size_t)n : 0;
    for (size_t done = 0; done < most;) {
        ssize_t sent = send(to, room + done, most - done, MSG_NOSIGNAL);
        if (sent <= 0) return 0;
        done += (size_t)sent;
    }
    *left -= most;
    return n > 0 && *left > 0;
}

static void *relay(void *arg)
{
    int client = (int)(intptr_t)arg, server = connect_to_server();
    int cut = random_below(100) < CUT_OF_100, open = server >= 0;
    size_t left = cut ? random_below(random_below(2) ? 2000 : MOST_CUT_BYTES) + 1 : SIZE_MAX;
    size_t asked = SIZE_MAX;
    struct linger now = {1, 0};
    atomic_fetch_add(&connections, 1);
    while (open && !atomic_load(&ending)) {
        struct pollfd set[2] = {{.fd = client, .events = POLLIN}, {.fd = server, .events = POLLIN}};
        if (poll(set, 2, 200) < 0 && errno != EINTR) break;
        if (set[0].revents) open = pass(client, server, &asked);
        if (open && set[1].revents) open = pass(server, client, &left);
    }
    if (left == 0) atomic_fetch_add(&cuts, 1);
    if (left == 0 && random_below(2)) setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(client);
    if (server >= 0) close(server);
    return NULL;
}

static void *accept_all(void *arg)
{
    int listening = (int)(intptr_t)arg;
    while (!atomic_load(&ending)) {
        struct pollfd set = {.fd = listening, .events = POLLIN};
        pthread_t thread;
        int fd = poll(&set, 1, 100) > 0 ? accept(listening, NULL, NULL) : -1;
        if (fd < 0) continue;
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        if (pthread_create(&thread, NULL, relay, (void *)(intptr_t)fd))
            close(fd);
        else
            pthread_detach(thread);
    }
    close(listening);
    return NULL;
}

static pthread_t proxy_start(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t n = sizeof address;
    pthread_t thread;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &n), 0);
    snprintf(proxy_url, sizeof proxy_url, "http://127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    assert_int_equal(pthread_create(&thread, NULL, accept_all, (void *)(intptr_t)fd), 0);
    return thread;
}

/* ---- the two commands ------------------------------------------------------------------------ */

static pid_t start(char *const args[], const char *endpoint, const char *offline, const char *out)
{
    char home[100], place[140], file[140];
    const char *options = getenv("ASAN_OPTIONS");
    char sanitizer[400] = "ASAN_OPTIONS=";
    char *env[] = {home, place, (char *)offline, sanitizer, NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid = -1;
    snprintf(home, sizeof home, "HOME=%s", top);
    snprintf(place, sizeof place, "HF_ENDPOINT=%s", endpoint);
    snprintf(file, sizeof file, "%s/%s", top, out);
    if (options) snprintf(sanitizer + 13, sizeof sanitizer - 13, "%s", options);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, file, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    assert_int_equal(posix_spawn(&pid, MLXE_BUILD_DIR "/bin/mlxengine", &actions, NULL, args, env),
                     0);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

static int status_of(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static pid_t serve_start(void)
{
    char root[100];
    char *args[] = {"mlxengine", "hub", "serve", "--root", root, "--port", "0", NULL};
    buf text = {0}, path = {0};
    snprintf(root, sizeof root, "%s/root", top);
    pid_t pid = start(args, "http://127.0.0.1:9", "HF_HUB_OFFLINE=0", "listening");
    for (int i = 0; i < 300 && !strchr(buf_str(&text), '\n'); i++) {
        poll(NULL, 0, 100);
        buf_clear(&text);
        fs_read(fs_join(&path, top, "listening"), 0, &text, NULL);
    }
    assert_int_equal(sscanf(buf_str(&text), "listening %79s", served_url), 1);
    served_port = (uint16_t)atoi(strrchr(served_url, ':') + 1);
    buf_deinit(&text);
    buf_deinit(&path);
    return pid;
}

static int pull(const char *endpoint, const char *offline)
{
    char *args[] = {"mlxengine", "pull", "org/name", "--quiet", NULL};
    return status_of(start(args, endpoint, offline, "snapshot"));
}

/* ---- files ----------------------------------------------------------------------------------- */

static void content(size_t k, buf *out)
{
    buf_clear(out);
    char *room = buf_reserve(out, FILES[k].bytes + 1);
    assert_non_null(room);
    uint32_t x = 77 + (uint32_t)k;
    for (size_t i = 0; i < FILES[k].bytes; i++) {
        x = x * 1664525u + 1013904223u;
        room[i] = (char)(x >> 24);
    }
    out->n += FILES[k].bytes;
}

static void make_files(void)
{
    static const char *const FOLDERS[] = {"root", "root/org", "root/org/name", "root/org/name/a",
                                          "root/org/name/a/b"};
    buf path = {0}, bytes = {0};
    for (size_t i = 0; i < sizeof FOLDERS / sizeof *FOLDERS; i++)
        assert_int_equal(mkdir(fs_join(&path, top, FOLDERS[i]), 0777), 0);
    for (size_t k = 0; k < N_FILES; k++) {
        char name[100];
        snprintf(name, sizeof name, "root/org/name/%s", FILES[k].path);
        content(k, &bytes);
        FILE *f = fopen(fs_join(&path, top, name), "wb");
        assert_non_null(f);
        assert_int_equal(fwrite(buf_str(&bytes), 1, bytes.n, f), bytes.n);
        assert_int_equal(fclose(f), 0);
    }
    buf_deinit(&path);
    buf_deinit(&bytes);
}

static void compare(void)
{
    buf folder = {0}, path = {0}, want = {0}, got = {0};
    assert_int_equal(fs_read(fs_join(&path, top, "snapshot"), 0, &folder, NULL), MLXE_OK);
    *strchr(folder.p, '\n') = 0;
    for (size_t k = 0; k < N_FILES; k++) {
        content(k, &want);
        buf_clear(&got);
        assert_int_equal(fs_read(fs_join(&path, folder.p, FILES[k].path), 0, &got, NULL), MLXE_OK);
        assert_int_equal(got.n, want.n);
        assert_memory_equal(buf_str(&got), buf_str(&want), want.n);
    }
    buf_deinit(&folder);
    buf_deinit(&path);
    buf_deinit(&want);
    buf_deinit(&got);
}

static void through_cuts(void **unused)
{
    (void)unused;
    char command[200];
    strcpy(top, "/tmp/hub-cuts-XXXXXX");
    assert_non_null(mkdtemp(top));
    make_files();
    pid_t server = serve_start();
    pthread_t proxy = proxy_start();
    for (int round = 0; round < ROUNDS; round++) {
        int status = -1, pulls = 0;
        /* Five cuts in a row without a byte end a pull, which says so; the next goes on. */
        for (; pulls < PULLS && status != 0; pulls++) {
            status = pull(proxy_url, "HF_HUB_OFFLINE=0");
            assert_true(status == 0 || status == 5);
        }
        assert_int_equal(status, 0);
        assert_int_equal(pull("http://127.0.0.1:9", "HF_HUB_OFFLINE=1"), 0);
        compare();
        snprintf(command, sizeof command, "rm -rf %s/.cache/huggingface", top);
        assert_int_equal(system(command), 0);
    }
    print_message("%u of %u connections cut\n", atomic_load(&cuts), atomic_load(&connections));
    assert_true(atomic_load(&cuts) >= ROUNDS);
    atomic_store(&ending, 1);
    pthread_join(proxy, NULL);
    poll(NULL, 0, 500); /* the relays end */
    kill(server, SIGTERM);
    assert_int_equal(status_of(server), 0);
    snprintf(command, sizeof command, "rm -rf %s", top);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(through_cuts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
