/* test_keep.c: list, rm, verify and gc of a cache that is made here by hand.
 *
 * One blob is shown by two revisions, one is shown by none, one revision has a ref; around them lie
 * the things that must be left alone. */
#include "tree_maker.h"

#include "base/json.h"
#include "hub/cache_keep.h"

#include <sys/file.h>
#include <time.h>

#define REPO "models--org--m"

static char *cache;
static char shared[65], only_a[65], only_b[65], stray[65];

static void age(const char *path, long hours)
{
    struct timespec old[2] = {{.tv_sec = time(NULL) - hours * 3600},
                              {.tv_sec = time(NULL) - hours * 3600}};
    assert_int_equal(utimensat(AT_FDCWD, path, old, AT_SYMLINK_NOFOLLOW), 0);
}

static int make_cache(void **state)
{
    (void)state;
    cache = make_scratch();
    put_cached(cache, REPO, COMMIT_A, "model.safetensors", 5000, 1, CACHED_LFS, shared);
    put_cached(cache, REPO, COMMIT_B, "sub/model.safetensors", 5000, 1, CACHED_LFS, shared);
    put_cached(cache, REPO, COMMIT_A, "config.json", 100, 2, CACHED_GIT, only_a);
    put_cached(cache, REPO, COMMIT_B, "config.json", 200, 3, CACHED_GIT, only_b);
    put_cached(cache, REPO, COMMIT_B, "gone", 70, 4, CACHED_GIT, stray);
    assert_int_equal(unlink(in(cache, REPO "/snapshots/" COMMIT_B "/gone")), 0);
    put_text(in(cache, REPO "/refs/main"), COMMIT_B);
    put_text(in(cache, REPO "/refs/refs/pr/1"), COMMIT_A);
    put_text(in(cache, REPO "/trees/" COMMIT_A ".json"), "{}");
    put_text(in(cache, REPO "/.no_exist/" COMMIT_A "/x"), "");
    put_text(in(cache, "CACHEDIR.TAG"), "Signature: 8a477f597d28d172789f06886806bc55");
    return 0;
}

static int drop_cache(void **state)
{
    (void)state;
    remove_all(cache);
    free(cache);
    return 0;
}

static void expect_json(buf *got, const char *want)
{
    assert_true(buf_ok(got));
    assert_string_equal(got->p, want);
    buf_clear(got);
}

static int has_blob(const char *etag) { return there(in(cache, REPO "/blobs/%s", etag)); }

static void list(void **state)
{
    (void)state;
    buf out = {0};
    char want[1000];
    put_text(in(cache, "stray.txt"), "alien");
    put_text(in(cache, "datasets--d/refs/main"), COMMIT_A);
    assert_int_equal(keep_list(cache, &out, NULL), MLXE_OK);
    snprintf(
        want, sizeof want,
        "{\"models\":[{\"id\":\"d\",\"type\":\"dataset\",\"revisions\":[],\"refs\":{\"main\":"
        "\"" COMMIT_A "\"},\"bytes\":0,\"files\":0,\"path\":\"%s/datasets--d\"},{\"id\":\"org/m\","
        "\"type\":\"model\",\"revisions\":[\"" COMMIT_A "\",\"" COMMIT_B "\"],\"refs\":{\"main\":"
        "\"" COMMIT_B "\",\"refs/pr/1\":\"" COMMIT_A "\"},\"bytes\":5370,\"files\":4,\"path\":"
        "\"%s/" REPO "\"}]}",
        cache, cache);
    expect_json(&out, want);
    assert_int_equal(keep_list(in(cache, "absent"), &out, NULL), MLXE_OK);
    expect_json(&out, "{\"models\":[]}");
    buf_deinit(&out);
}

static void remove_one_revision(void **state)
{
    (void)state;
    buf out = {0};
    assert_int_equal(keep_remove(cache, HUB_MODEL, "org/m", "refs/pr/1", &out, NULL), MLXE_OK);
    assert_non_null(strstr(out.p, "{\"removed\":[\"" REPO "/snapshots/" COMMIT_A "\",\"" REPO
                                  "/refs/refs/pr/1\",\"" REPO "/blobs/"));
    /* the order of the two blobs is that of their names */
    assert_non_null(strstr(out.p, only_a));
    assert_non_null(strstr(out.p, stray));
    assert_non_null(strstr(out.p, "\"bytes\":170}"));
    assert_true(has_blob(shared) && has_blob(only_b) && !has_blob(only_a) && !has_blob(stray));
    assert_true(there(in(cache, REPO "/refs/main")) && !there(in(cache, REPO "/refs/refs/pr/1")));
    assert_false(there(in(cache, REPO "/snapshots/" COMMIT_A)));
    assert_false(there(in(cache, REPO "/trees/" COMMIT_A ".json")));
    assert_false(there(in(cache, REPO "/.no_exist/" COMMIT_A)));
    buf_deinit(&out);
}

static void remove_all_of_it(void **state)
{
    (void)state;
    mlxe_error err;
    buf out = {0};
    assert_int_equal(keep_remove(cache, HUB_MODEL, "org/none", NULL, &out, &err), MLXE_E_NOT_FOUND);
    assert_int_equal(keep_remove(cache, HUB_MODEL, "org/m", "v9", &out, &err), MLXE_E_NOT_FOUND);
    assert_int_equal(keep_remove(cache, HUB_MODEL, "../m", NULL, &out, &err), MLXE_E_ARG);
    assert_int_equal(out.n, 0);
    assert_int_equal(keep_remove(cache, HUB_MODEL, "org/m", NULL, &out, &err), MLXE_OK);
    assert_non_null(strstr(out.p, "\"bytes\":5370}"));
    assert_false(there(in(cache, REPO)));
    assert_true(there(in(cache, "CACHEDIR.TAG")));
    buf_deinit(&out);
}

/* What another process downloads stays, whole and in part. */
static void removing_leaves_what_is_in_use(void **state)
{
    (void)state;
    buf out = {0};
    cache_lock lock;
    assert_int_equal(cache_lock_try(cache, REPO, strv_of(shared), &lock, NULL), MLXE_OK);
    put_text(in(cache, REPO "/blobs/%s.0123abcd.incomplete", shared), "partial");
    assert_int_equal(keep_remove(cache, HUB_MODEL, "org/m", NULL, &out, NULL), MLXE_OK);
    assert_true(has_blob(shared) && !has_blob(only_a));
    assert_true(there(in(cache, REPO "/blobs/%s.0123abcd.incomplete", shared)));
    cache_lock_release(&lock);
    buf_deinit(&out);
}

/* A link planted where a folder belongs: nothing behind it is touched. */
static void removing_follows_no_link(void **state)
{
    (void)state;
    buf out = {0};
    put_text(in(cache, "outside/precious"), "x");
    remove_all(in(cache, REPO "/snapshots/" COMMIT_A));
    assert_int_equal(symlink(in(cache, "outside"), in(cache, REPO "/snapshots/" COMMIT_A)), 0);
    assert_int_equal(symlink(in(cache, "outside"), in(cache, REPO "/snapshots/" COMMIT_B "/dir")),
                     0);
    (void)keep_remove(cache, HUB_MODEL, "org/m", NULL, &out, NULL);
    assert_true(there(in(cache, "outside/precious")));
    buf_deinit(&out);
}

static void gc(void **state)
{
    (void)state;
    buf out = {0};
    char want[300];
    char path[300];
    put_text(in(cache, REPO "/blobs/%s.00000001.incomplete", stray), "fresh");
    snprintf(path, sizeof path, "%s/" REPO "/blobs/%s.00000002.incomplete", cache, stray);
    put_text(path, "old one");
    age(path, 30);
    put_text(in(cache, REPO "/.partial/t-1"), "temporary");
    age(in(cache, REPO "/.partial/t-1"), 30);
    snprintf(want, sizeof want,
             "{\"removed\":[\"" REPO "/blobs/%s\",\"" REPO "/blobs/%s.00000002.incomplete\",\"" REPO
             "/.partial/t-1\"],\"bytes\":86,\"dry_run\":true}",
             stray, stray);
    assert_int_equal(keep_gc(cache, KEEP_GC_DRY_RUN, &out, NULL), MLXE_OK);
    expect_json(&out, want);
    assert_true(has_blob(stray) && there(path));
    strcpy(strstr(want, "true}"), "false}");
    assert_int_equal(keep_gc(cache, KEEP_GC_REMOVE, &out, NULL), MLXE_OK);
    expect_json(&out, want);
    assert_false(has_blob(stray) || there(path));
    assert_true(has_blob(shared) && has_blob(only_a) && has_blob(only_b));
    assert_true(there(in(cache, REPO "/blobs/%s.00000001.incomplete", stray)));
    assert_int_equal(keep_gc(cache, KEEP_GC_REMOVE, &out, NULL), MLXE_OK);
    expect_json(&out, "{\"removed\":[],\"bytes\":0,\"dry_run\":false}");
    buf_deinit(&out);
}

/* More stray blobs than are looked at in one go, some with a partial file beside. */
static void gc_of_many(void **state)
{
    (void)state;
    enum { STRAYS = 300 };
    buf out = {0};
    size_t left = 0;
    for (int i = 0; i < STRAYS; i++) {
        put_text(in(cache, REPO "/blobs/%040d", i), "stray");
        if (i % 50 == 0) put_text(in(cache, REPO "/blobs/%040d.01234567.incomplete", i), "new");
    }
    assert_int_equal(keep_gc(cache, KEEP_GC_REMOVE, &out, NULL), MLXE_OK);
    for (int i = 0; i < STRAYS; i++) {
        left += (size_t)there(in(cache, REPO "/blobs/%040d", i));
        if (i % 50 == 0) assert_true(there(in(cache, REPO "/blobs/%040d.01234567.incomplete", i)));
    }
    assert_int_equal(left, 0);
    assert_true(has_blob(shared) && has_blob(only_a) && has_blob(only_b));
    buf_deinit(&out);
}

static void gc_leaves_what_is_locked(void **state)
{
    (void)state;
    buf out = {0};
    char path[300];
    snprintf(path, sizeof path, "%s/" REPO "/blobs/%s.00000002.incomplete", cache, only_a);
    put_text(path, "somebody writes this");
    age(path, 30);
    int fd = open(path, O_RDWR);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(keep_gc(cache, KEEP_GC_REMOVE, &out, NULL), MLXE_OK);
    assert_true(there(path));
    close(fd);
    buf_deinit(&out);
}

/* Python's shared Xet store: what a blob is a link to stays. */
static void gc_of_the_shared_store(void **state)
{
    (void)state;
    buf out = {0};
    char used[65], unused[65];
    memset(used, 'c', 64);
    memset(unused, 'd', 64);
    used[64] = unused[64] = 0;
    put_text(in(cache, "blobs/cc/%s", used), "used");
    put_text(in(cache, "blobs/dd/%s", unused), "unused");
    age(in(cache, "blobs/cc/%s", used), 30);
    age(in(cache, "blobs/dd/%s", unused), 30);
    assert_int_equal(unlink(in(cache, REPO "/blobs/%s", shared)), 0);
    char target[300];
    snprintf(target, sizeof target, "../../blobs/cc/%s", used);
    assert_int_equal(symlink(target, in(cache, REPO "/blobs/%s", shared)), 0);
    assert_int_equal(keep_gc(cache, KEEP_GC_REMOVE, &out, NULL), MLXE_OK);
    assert_true(there(in(cache, "blobs/cc/%s", used)));
    assert_false(there(in(cache, "blobs/dd/%s", unused)));
    assert_true(has_blob(shared));
    buf_deinit(&out);
}

/* ---- verify --------------------------------------------------------------------------------- */

static void verify_is(const char *revision, int want_good, const char *want)
{
    buf out = {0};
    int good = -1;
    mlxe_error err = {0};
    assert_int_equal(
        keep_verify(cache, HUB_MODEL, "org/m", revision, NULL, NULL, &good, &out, &err), MLXE_OK);
    assert_int_equal(good, want_good);
    expect_json(&out, want);
    buf_deinit(&out);
}

static void verify(void **state)
{
    (void)state;
    mlxe_error err;
    buf out = {0};
    int good;
    verify_is(NULL, 1,
              "{\"ok\":true,\"checked\":4,\"bytes\":5300,\"unverifiable\":0,\"bad\":[],"
              "\"repaired\":[]}");
    verify_is("main", 1,
              "{\"ok\":true,\"checked\":2,\"bytes\":5200,\"unverifiable\":0,\"bad\":[],"
              "\"repaired\":[]}");
    put_bytes(in(cache, REPO "/blobs/%s", shared), 5000, 9);
    verify_is(NULL, 0,
              "{\"ok\":false,\"checked\":4,\"bytes\":5300,\"unverifiable\":0,\"bad\":[{\"path\":"
              "\"model.safetensors\",\"revision\":\"" COMMIT_A
              "\",\"problem\":\"has another hash\"},"
              "{\"path\":\"sub/model.safetensors\",\"revision\":\"" COMMIT_B "\",\"problem\":\"has "
              "another hash\"}],\"repaired\":[]}");
    assert_int_equal(unlink(in(cache, REPO "/blobs/%s", only_a)), 0);
    assert_int_equal(symlink("/etc/passwd", in(cache, REPO "/snapshots/" COMMIT_A "/planted")), 0);
    verify_is(
        COMMIT_A, 0,
        "{\"ok\":false,\"checked\":3,\"bytes\":5000,\"unverifiable\":0,\"bad\":[{\"path\":"
        "\"config.json\",\"revision\":\"" COMMIT_A "\",\"problem\":\"is missing: its link leads "
        "nowhere\"},{\"path\":\"model.safetensors\",\"revision\":\"" COMMIT_A "\",\"problem\":"
        "\"has another hash\"},{\"path\":\"planted\",\"revision\":\"" COMMIT_A "\",\"problem\":"
        "\"is a link out of the repository\"}],\"repaired\":[]}");
    assert_int_equal(keep_verify(cache, HUB_MODEL, "org/m", "v9", NULL, NULL, &good, &out, &err),
                     MLXE_E_NOT_FOUND);
    buf_deinit(&out);
}

static void verify_is_cancelled(void **state)
{
    (void)state;
    atomic_int cancel = 1;
    hub_watch watch = {.cancel = &cancel};
    mlxe_error err;
    buf out = {0};
    int good;
    assert_int_equal(keep_verify(cache, HUB_MODEL, "org/m", NULL, NULL, &watch, &good, &out, &err),
                     MLXE_E_CANCELLED);
    buf_deinit(&out);
}

#define ON_A_CACHE(f) cmocka_unit_test_setup_teardown(f, make_cache, drop_cache)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_A_CACHE(list),
        ON_A_CACHE(remove_one_revision),
        ON_A_CACHE(remove_all_of_it),
        ON_A_CACHE(removing_leaves_what_is_in_use),
        ON_A_CACHE(removing_follows_no_link),
        ON_A_CACHE(gc),
        ON_A_CACHE(gc_of_many),
        ON_A_CACHE(gc_leaves_what_is_locked),
        ON_A_CACHE(gc_of_the_shared_store),
        ON_A_CACHE(verify),
        ON_A_CACHE(verify_is_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
