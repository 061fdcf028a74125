/* test_adopt.c: files of other programs become blobs by link, and only with the right content. */
#include "tree_maker.h"

#include "hub/adopt.h"

#define REPO "models--org--m"

static char *top;

static int make_top(void **state)
{
    (void)state;
    top = make_scratch();
    assert_int_equal(cache_prepare(in(top, "cache"), in(top, "cache/" REPO), STRV(COMMIT_A), NULL),
                     MLXE_OK);
    return 0;
}

static int drop_top(void **state)
{
    (void)state;
    remove_all(top);
    free(top);
    return 0;
}

static int adopts(const hub_entry *entry, const char *folder, const char *home)
{
    const adopt_from from = {folder, home};
    return adopt_blob(in(top, "cache"), in(top, "cache/" REPO), REPO, "org/m", entry, &from, NULL,
                      NULL);
}

/* The entry of a file as it should be. */
static hub_entry entry_of(const char *file, const char *path, char sha256[65])
{
    struct stat info;
    assert_int_equal(stat(file, &info), 0);
    assert_int_equal(hub_sha256_file(file, NULL, sha256, NULL), MLXE_OK);
    return (hub_entry){.path = strv_of(path),
                       .size = (uint64_t)info.st_size,
                       .oid = STRV("0123456789012345678901234567890123456789"),
                       .sha256 = strv_of(sha256)};
}

static void is_linked(const char *source, const char *sha256)
{
    struct stat a, b;
    assert_int_equal(stat(source, &a), 0);
    assert_int_equal(stat(in(top, "cache/" REPO "/blobs/%s", sha256), &b), 0);
    assert_true(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
}

static void from_a_folder(void **state)
{
    (void)state;
    char sha256[65];
    const char *source = in(top, "dir/sub/model.safetensors");
    put_bytes(source, 5000, 1);
    hub_entry e = entry_of(source, "sub/model.safetensors", sha256);
    assert_false(adopts(&e, NULL, NULL));
    assert_false(adopts(&e, in(top, "nowhere"), NULL));
    assert_true(adopts(&e, in(top, "dir"), NULL));
    is_linked(in(top, "dir/sub/model.safetensors"), sha256);
    assert_true(adopts(&e, in(top, "nowhere"), NULL)); /* it is there now */
}

static void wrong_content_is_not_taken(void **state)
{
    (void)state;
    char sha256[65];
    const char *source = in(top, "dir/model.safetensors");
    put_bytes(source, 5000, 1);
    hub_entry e = entry_of(source, "model.safetensors", sha256);
    put_bytes(source, 5000, 2);
    assert_false(adopts(&e, in(top, "dir"), NULL));
    put_bytes(source, 4999, 1);
    assert_false(adopts(&e, in(top, "dir"), NULL));
    assert_false(there(in(top, "cache/" REPO "/blobs/%s", sha256)));
    /* nothing is left behind */
    assert_int_equal(rmdir(in(top, "cache/" REPO "/.partial")), 0);
}

static void from_other_programs(void **state)
{
    (void)state;
    char studio[65], ollama[65];
    const char *source = in(top, "home/.lmstudio/models/org/m/a.gguf");
    put_bytes(source, 100, 3);
    hub_entry e = entry_of(source, "a.gguf", studio);
    assert_true(adopts(&e, NULL, in(top, "home")));
    is_linked(in(top, "home/.lmstudio/models/org/m/a.gguf"), studio);
    put_bytes(in(top, "other"), 200, 4);
    e = entry_of(in(top, "other"), "b.gguf", ollama);
    source = in(top, "home/.ollama/models/blobs/sha256-%s", ollama);
    make_parents(source);
    assert_int_equal(rename(in(top, "other"), source), 0);
    assert_true(adopts(&e, NULL, in(top, "home")));
    is_linked(in(top, "home/.ollama/models/blobs/sha256-%s", ollama), ollama);
}

/* While another process fetches the blob, it is left to that one. */
static void locked_is_left_alone(void **state)
{
    (void)state;
    char sha256[65];
    cache_lock lock;
    put_bytes(in(top, "dir/x"), 10, 1);
    hub_entry e = entry_of(in(top, "dir/x"), "x", sha256);
    assert_int_equal(cache_lock_try(in(top, "cache"), REPO, strv_of(sha256), &lock, NULL), MLXE_OK);
    assert_false(adopts(&e, in(top, "dir"), NULL));
    cache_lock_release(&lock);
    assert_true(adopts(&e, in(top, "dir"), NULL));
}

#define AT_TOP(f) cmocka_unit_test_setup_teardown(f, make_top, drop_top)

int main(void)
{
    const struct CMUnitTest tests[] = {AT_TOP(from_a_folder), AT_TOP(wrong_content_is_not_taken),
                                       AT_TOP(from_other_programs), AT_TOP(locked_is_left_alone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
