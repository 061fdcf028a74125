/* test_fs.c: whole reads, heads, maps, atomic replacement, the errors of each. */
#define _XOPEN_SOURCE 700
#include "base/fs.h"

#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { NOBODY = 65534 };

static mlxe_error err;
static char folder[300];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "%s/fs.XXXXXX", MLXE_BUILD_DIR);
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *place)
{
    (void)info;
    (void)type;
    (void)place;
    return remove(path);
}

static int remove_folder(void **state)
{
    (void)state;
    chmod(folder, 0755);
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Borrowed until the fourth call after it. */
static const char *in_folder(const char *name)
{
    static char paths[4][700];
    static int next;
    next = (next + 1) % 4;
    snprintf(paths[next], sizeof paths[next], "%s/%s", folder, name);
    return paths[next];
}

static int entries(void)
{
    char command[400];
    int n = -1;
    FILE *pipe;
    snprintf(command, sizeof command, "ls -A '%s' | wc -l", folder);
    pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_int_equal(fscanf(pipe, "%d", &n), 1);
    pclose(pipe);
    return n;
}

static void assert_content(const char *path, const char *want, size_t n)
{
    buf got = {0};
    if (fs_read(path, 0, &got, &err)) fail_msg("%s", err.message);
    assert_int_equal(got.n, n);
    assert_memory_equal(buf_str(&got), want, n);
    buf_deinit(&got);
}

/* The message is "PATH: rest". */
static void assert_message(const char *path, const char *rest)
{
    char want[1000];
    snprintf(want, sizeof want, "%s: %s", path, rest);
    assert_string_equal(err.message, want);
}

/* ---- reading -------------------------------------------------------------------------------- */

static void test_read(void **state)
{
    const char *path = in_folder("a");
    buf b = {0};
    (void)state;
    buf_add_str(&b, "head ");
    assert_int_equal(fs_replace(path, "one\0two", 7, &err), MLXE_OK);
    assert_int_equal(fs_read(path, 7, &b, &err), MLXE_OK);
    assert_int_equal(b.n, 12);
    assert_memory_equal(b.p, "head one\0two", 13);
    assert_int_equal(fs_read(path, 6, &b, &err), MLXE_E_LIMIT);
    assert_message(path, "larger than 6 bytes, the limit for such a file");
    assert_int_equal(b.n, 12); /* as it was */
    assert_int_equal(b.p[12], 0);
    assert_int_equal(fs_replace(path, NULL, 0, &err), MLXE_OK);
    assert_int_equal(fs_read(path, 0, &b, &err), MLXE_OK);
    assert_int_equal(b.n, 12);
    assert_int_equal(fs_read(in_folder("none"), 0, &b, &err), MLXE_E_NOT_FOUND);
    assert_message(in_folder("none"), "cannot open, No such file or directory");
    assert_int_equal(fs_read(in_folder("a/b"), 0, &b, &err), MLXE_E_NOT_FOUND);
    assert_int_equal(fs_read(folder, 0, &b, &err), MLXE_E_IO);
    assert_message(folder, "cannot read, Is a directory");
    assert_int_equal(fs_read(folder, 0, &b, NULL), MLXE_E_IO);
    buf_deinit(&b);
}

static void *feed_pipe(void *arg)
{
    int fd = open(arg, O_WRONLY);
    for (int i = 0; i < 50; i++) {
        char piece[4096];
        memset(piece, 'a' + i % 26, sizeof piece);
        if (write(fd, piece, sizeof piece) != sizeof piece) break;
    }
    close(fd);
    return NULL;
}

/* A pipe has no size, and gives its bytes in short reads. */
static void test_read_pipe(void **state)
{
    const char *path = in_folder("pipe");
    pthread_t writer;
    buf b = {0};
    (void)state;
    assert_int_equal(mkfifo(path, 0644), 0);
    assert_int_equal(pthread_create(&writer, NULL, feed_pipe, (void *)(uintptr_t)path), 0);
    assert_int_equal(fs_read(path, 0, &b, &err), MLXE_OK);
    pthread_join(writer, NULL);
    assert_int_equal(b.n, 50 * 4096);
    for (size_t i = 0; i < b.n; i++)
        assert_int_equal(b.p[i], 'a' + i / 4096 % 26);
    buf_deinit(&b);
    /* Maps and heads want regular files and do not wait for a writer. */
    {
        uint64_t bytes;
        fs_map map;
        assert_int_equal(fs_map_open(path, FS_AUTO, UINT64_MAX, &map, &err), MLXE_E_IO);
        assert_message(path, "is not a regular file");
        assert_int_equal(fs_read_head(path, 8, &b, &bytes, &err), MLXE_E_IO);
        assert_int_equal(fs_size(path, &bytes, &err), MLXE_E_IO);
    }
}

static void test_read_head(void **state)
{
    const char *path = in_folder("a");
    uint64_t bytes = 1;
    buf b = {0};
    (void)state;
    assert_int_equal(fs_replace(path, "0123456789", 10, &err), MLXE_OK);
    assert_int_equal(fs_read_head(path, 4, &b, &bytes, &err), MLXE_OK);
    assert_string_equal(buf_str(&b), "0123");
    assert_int_equal(bytes, 10);
    assert_int_equal(fs_read_head(path, SIZE_MAX, &b, &bytes, &err), MLXE_OK);
    assert_string_equal(buf_str(&b), "01230123456789");
    assert_int_equal(fs_read_head(in_folder("none"), 4, &b, &bytes, &err), MLXE_E_NOT_FOUND);
    assert_int_equal(bytes, 0);
    buf_deinit(&b);
}

static void test_access(void **state)
{
    const char *path = in_folder("secret");
    uint64_t bytes;
    buf b = {0};
    fs_map map;
    (void)state;
    /* Root may everything: be nobody for a while. */
    if (geteuid() == 0 && (chown(folder, NOBODY, NOBODY) || seteuid(NOBODY))) skip();
    if (!fs_is_dir(folder)) {
        print_message("needs a build folder that user %d can reach\n", NOBODY);
        if (getuid() == 0) assert_int_equal(seteuid(0), 0);
        skip();
    }
    assert_int_equal(fs_replace(path, "x", 1, &err), MLXE_OK);
    assert_int_equal(chmod(path, 0), 0);
    assert_int_equal(fs_read(path, 0, &b, &err), MLXE_E_ACCESS);
    assert_message(path, "cannot open, Permission denied");
    assert_int_equal(fs_map_open(path, FS_MAP, 1, &map, &err), MLXE_E_ACCESS);
    assert_int_equal(fs_read_head(path, 1, &b, &bytes, &err), MLXE_E_ACCESS);
    assert_int_equal(chmod(folder, 0555), 0);
    assert_int_equal(fs_replace(in_folder("new"), "x", 1, &err), MLXE_E_ACCESS);
    assert_message(in_folder("new"), "cannot write, Permission denied");
    if (getuid() == 0) assert_int_equal(seteuid(0), 0);
}

/* ---- maps ----------------------------------------------------------------------------------- */

static void test_map(void **state)
{
    const char *path = in_folder("a");
    fs_map map;
    (void)state;
    assert_int_equal(fs_replace(path, "content", 7, &err), MLXE_OK);
    for (int mode = FS_AUTO; mode <= FS_READ; mode++) {
        int network = fs_is_network(path);
        assert_int_equal(fs_map_open(path, (fs_mode)mode, 7, &map, &err), MLXE_OK);
        assert_int_equal(map.n, 7);
        assert_memory_equal(map.p, "content", 7);
        assert_int_equal(map.owned, mode == FS_READ || (mode == FS_AUTO && network));
        assert_int_equal((uintptr_t)map.p % 4096, 0);
        fs_map_prefetch(&map, 3, 1000);
        fs_map_prefetch(&map, 7, 1);
        fs_map_close(&map);
        assert_null(map.p);
        fs_map_close(&map);
        assert_int_equal(fs_map_open(path, (fs_mode)mode, 8, &map, &err), MLXE_E_CORRUPT);
        assert_message(path, "has 7 bytes, want 8");
        assert_null(map.p);
        assert_int_equal(fs_map_open(path, (fs_mode)mode, UINT64_MAX, &map, &err), MLXE_OK);
        fs_map_close(&map);
    }
    fs_map_close(NULL);
    assert_int_equal(fs_map_open(folder, FS_MAP, UINT64_MAX, &map, &err), MLXE_E_IO);
    assert_message(folder, "is not a regular file");
    assert_int_equal(fs_map_open(in_folder("none"), FS_MAP, 0, &map, &err), MLXE_E_NOT_FOUND);
    assert_int_equal(fs_replace(path, "", 0, &err), MLXE_OK);
    assert_int_equal(fs_map_open(path, FS_MAP, 0, &map, &err), MLXE_OK);
    assert_null(map.p);
    assert_int_equal(map.n, 0);
    fs_map_close(&map);
}

/* The old bytes stay under a map when the file is replaced: nothing is written in place. */
static void test_map_outlives_replace(void **state)
{
    const char *path = in_folder("a");
    fs_map map;
    (void)state;
    assert_int_equal(fs_replace(path, "old bytes", 9, &err), MLXE_OK);
    assert_int_equal(fs_map_open(path, FS_MAP, 9, &map, &err), MLXE_OK);
    assert_int_equal(fs_replace(path, "new", 3, &err), MLXE_OK);
    assert_memory_equal(map.p, "old bytes", 9);
    assert_content(path, "new", 3);
    fs_map_close(&map);
}

/* Above 2 GiB a single read or write moves only part of what was asked. */
static void test_map_large(void **state)
{
    const char *path = in_folder("large");
    const uint64_t bytes = (UINT64_C(1) << 31) + 4097;
    fs_map map;
    int fd = open(path, O_RDWR | O_CREAT, 0644);
    (void)state;
    assert_true(fd >= 0);
    if (ftruncate(fd, (off_t)bytes) || pwrite(fd, "end", 3, (off_t)bytes - 3) != 3) {
        close(fd);
        print_message("needs a file system with sparse files above 2 GiB\n");
        skip();
    }
    close(fd);
    assert_int_equal(fs_map_open(path, FS_MAP, bytes, &map, &err), MLXE_OK);
    assert_true(map.n == bytes);
    assert_memory_equal(map.p + bytes - 3, "end", 3);
    fs_map_close(&map);
}

static void test_is_network(void **state)
{
    (void)state;
    assert_int_equal(fs_is_network("/proc"), 0);
    assert_int_equal(fs_is_network("/no/such/path"), 0);
}

/* ---- replacing ------------------------------------------------------------------------------ */

static void test_replace(void **state)
{
    const char *path = in_folder("a");
    mode_t before = umask(027);
    struct stat info;
    (void)state;
    assert_int_equal(fs_replace(path, "one", 3, &err), MLXE_OK);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
    umask(before);
    assert_int_equal(fs_replace(path, "second", 6, &err), MLXE_OK);
    assert_content(path, "second", 6);
    assert_int_equal(entries(), 1);
    assert_int_equal(fs_replace(in_folder("no/x"), "a", 1, &err), MLXE_E_NOT_FOUND);
    assert_message(in_folder("no/x"), "cannot write, No such file or directory");
    /* A folder in the way: the rename fails, the temporary file goes. */
    assert_int_equal(mkdir(in_folder("d"), 0755), 0);
    assert_int_equal(fs_replace(in_folder("d"), "a", 1, &err), MLXE_E_IO);
    assert_message(in_folder("d"), "cannot replace, Is a directory");
    assert_int_equal(entries(), 2);
}

/* Without a slash the folder is the current one. */
static void test_replace_relative(void **state)
{
    char old[1000];
    (void)state;
    assert_non_null(getcwd(old, sizeof old));
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(fs_replace("plain", "x", 1, &err), MLXE_OK);
    assert_int_equal(chdir(old), 0);
    assert_content(in_folder("plain"), "x", 1);
}

static void test_replace_link(void **state)
{
    struct stat info;
    (void)state;
    assert_int_equal(fs_replace(in_folder("blob"), "shared", 6, &err), MLXE_OK);
    assert_int_equal(symlink("blob", in_folder("link")), 0);
    assert_int_equal(fs_replace(in_folder("link"), "mine", 4, &err), MLXE_OK);
    assert_content(in_folder("blob"), "shared", 6);
    assert_content(in_folder("link"), "mine", 4);
    assert_int_equal(lstat(in_folder("link"), &info), 0);
    assert_true(S_ISREG(info.st_mode));
}

static void test_writer(void **state)
{
    const char *path = in_folder("a");
    char *big = malloc(300000);
    fs_writer *w;
    buf want = {0};
    (void)state;
    memset(big, 'b', 300000);
    assert_int_equal(fs_replace(path, "old", 3, &err), MLXE_OK);
    assert_int_equal(fs_writer_open(path, &w, &err), MLXE_OK);
    for (int i = 0; i < 2000; i++) {
        size_t n = (size_t)(i * 7 % 300);
        if (i == 1000) n = 300000;
        big[0] = (char)('a' + i % 26);
        assert_int_equal(fs_writer_add(w, big, n, &err), MLXE_OK);
        buf_add(&want, big, n);
    }
    assert_content(path, "old", 3);
    assert_int_equal(fs_writer_commit(w, &err), MLXE_OK);
    assert_content(path, want.p, want.n);
    assert_int_equal(fs_writer_add(w, "x", 1, &err), MLXE_E_STATE);
    assert_int_equal(fs_writer_commit(w, &err), MLXE_E_STATE);
    fs_writer_close(w);
    assert_int_equal(fs_writer_open(path, &w, &err), MLXE_OK);
    assert_int_equal(fs_writer_add(w, "x", 1, &err), MLXE_OK);
    assert_true(entries() <= 2); /* its temporary file, where it needs a name */
    fs_writer_close(w);
    fs_writer_close(NULL);
    assert_int_equal(entries(), 1);
    assert_content(path, want.p, want.n);
    buf_deinit(&want);
    free(big);
}

/* ulimit -f in a child: EFBIG becomes an error, and neither the default of SIGXFSZ (death) nor a
 * pending signal is left behind. */
static void test_file_too_large(void **state)
{
    const char *path = in_folder("a");
    int how;
    pid_t child;
    (void)state;
    assert_int_equal(fs_replace(path, "old", 3, &err), MLXE_OK);
    child = fork();
    assert_true(child >= 0);
    if (!child) {
        struct rlimit limit = {100000, 100000};
        static char data[200000];
        sigset_t pending, mask;
        signal(SIGXFSZ, SIG_DFL);
        if (setrlimit(RLIMIT_FSIZE, &limit)) _exit(2);
        if (fs_replace(path, data, sizeof data, &err) != MLXE_E_IO) _exit(3);
        if (!strstr(err.message, ": cannot write, File too large")) _exit(4);
        if (sigpending(&pending) || sigismember(&pending, SIGXFSZ)) _exit(5);
        if (pthread_sigmask(SIG_BLOCK, NULL, &mask) || sigismember(&mask, SIGXFSZ)) _exit(6);
        if (fs_replace(in_folder("fits"), data, 100000, &err)) _exit(7);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), 0);
    assert_content(path, "old", 3);
    assert_int_equal(entries(), 2);
}

static void test_disk_full(void **state)
{
    fs_writer *w;
    mlxe_status status = MLXE_OK;
    char piece[5000] = {0};
    (void)state;
    /* Its descriptor is turned into one of /dev/full behind the writer's back. */
    if (access("/dev/full", W_OK)) {
        print_message("needs /dev/full\n");
        skip();
    }
    assert_int_equal(fs_writer_open(in_folder("a"), &w, &err), MLXE_OK);
    {
        /* The writer's descriptor is the newest one of the process. */
        int fd = open("/dev/full", O_WRONLY), newest = fd - 1;
        assert_int_equal(dup2(fd, newest), newest);
        close(fd);
    }
    for (int i = 0; i < 100 && !status; i++)
        status = fs_writer_add(w, piece, sizeof piece, &err);
    assert_int_equal(status, MLXE_E_IO);
    assert_message(in_folder("a"), "cannot write, No space left on device");
    assert_int_equal(fs_writer_add(w, piece, 1, &err), MLXE_E_STATE);
    assert_int_equal(fs_writer_commit(w, &err), MLXE_E_STATE);
    fs_writer_close(w);
    assert_int_equal(entries(), 0);
}

/* Readers see the old or the new content, whole, while it is replaced again and again. */
static void *keep_replacing(void *arg)
{
    char text[5000];
    for (int i = 0; i < 200; i++) {
        memset(text, 'a' + i % 26, sizeof text);
        if (fs_replace(arg, text, (size_t)(4000 + i), NULL)) return arg;
    }
    return NULL;
}

static void test_readers_see_whole_files(void **state)
{
    const char *path = in_folder("a");
    pthread_t writer;
    void *failed;
    (void)state;
    assert_int_equal(fs_replace(path, "zz", 2, &err), MLXE_OK);
    assert_int_equal(pthread_create(&writer, NULL, keep_replacing, (void *)(uintptr_t)path), 0);
    for (int i = 0; i < 500; i++) {
        buf b = {0};
        assert_int_equal(fs_read(path, 0, &b, &err), MLXE_OK);
        assert_true(b.n == 2 || b.n >= 4000);
        for (size_t k = 1; k < b.n; k++)
            assert_int_equal(b.p[k], b.p[0]);
        buf_deinit(&b);
    }
    pthread_join(writer, &failed);
    assert_null(failed);
    assert_int_equal(entries(), 1);
}

/* ---- questions ------------------------------------------------------------------------------ */

static void test_questions(void **state)
{
    const char *path = in_folder("a");
    uint64_t bytes = 9;
    (void)state;
    assert_int_equal(fs_exists(path), 0);
    assert_int_equal(fs_size(path, &bytes, &err), MLXE_E_NOT_FOUND);
    assert_int_equal(bytes, 0);
    assert_int_equal(fs_replace(path, "12345", 5, &err), MLXE_OK);
    assert_int_equal(fs_exists(path), 1);
    assert_int_equal(fs_is_dir(path), 0);
    assert_int_equal(fs_is_dir(folder), 1);
    assert_int_equal(fs_size(path, &bytes, &err), MLXE_OK);
    assert_int_equal(bytes, 5);
    assert_int_equal(fs_size(folder, &bytes, &err), MLXE_E_IO);
}

static void test_join(void **state)
{
    buf b = {0};
    (void)state;
    assert_string_equal(fs_join(&b, "dir", "name"), "dir/name");
    assert_string_equal(fs_join(&b, "dir/", "name"), "dir/name");
    assert_string_equal(fs_join(&b, "/", "name"), "/name");
    assert_string_equal(fs_join(&b, "", "name"), "name");
    assert_int_equal(b.n, 4);
    buf_deinit(&b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_read),
        TEST(test_read_pipe),
        TEST(test_read_head),
        TEST(test_access),
        TEST(test_map),
        TEST(test_map_outlives_replace),
        TEST(test_map_large),
        TEST(test_is_network),
        TEST(test_replace),
        TEST(test_replace_relative),
        TEST(test_replace_link),
        TEST(test_writer),
        TEST(test_file_too_large),
        TEST(test_disk_full),
        TEST(test_readers_see_whole_files),
        TEST(test_questions),
        TEST(test_join),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
