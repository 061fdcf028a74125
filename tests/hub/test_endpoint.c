/* test_endpoint.c: what the client promises, against a Hub that is really there.
 *
 *   MLXE_TEST_ENDPOINT=https://huggingface.co   the Hub (and MLXE_TEST_MODEL, a small public model)
 *   not set                                     our own mirror, with a model that is made here
 *
 * The same tests in both cases: nothing in them knows more of the model than that it is small, has
 * config.json, weights as *.safetensors, and a part of its name that a search finds. What needs a
 * server that misbehaves is in client.case. */
#include "tree_maker.h"

#include "hub/cache_keep.h"
#include "hub/hub.h"
#include "hub/hub_json.h"
#include "mlxengine_mirror.h"

#include "base/fs.h"
#include <sys/wait.h>

#define DEFAULT_MODEL "hf-internal-testing/tiny-random-gpt2"

static const char *endpoint, *model; /* "org/name" */
static mlxe_mirror *mirror;
static char *top, *cache; /* top/cache; the mirror's root is top/root */
static hub *online;
static const hub_want ALL = {0};

/* ---- a Hub, a cache -------------------------------------------------------------------------- */

static void put_model(const char *root)
{
    static const char HEADER[] =
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[250,300],\"data_offsets\":[0,300000]}}";
    size_t bytes = sizeof HEADER - 1 + 8 + 300000;
    char *file = calloc(1, bytes);
    assert_non_null(file);
    file[0] = (char)(sizeof HEADER - 1);
    memcpy(file + 8, HEADER, sizeof HEADER - 1);
    put(in(root, "org/tiny-model/model.safetensors"), file, bytes);
    free(file);
    put_text(in(root, "org/tiny-model/config.json"), "{\"model_type\":\"llama\"}\n");
    put_text(in(root, "org/tiny-model/README.md"),
             "---\nlibrary_name: transformers\npipeline_tag: text-generation\n---\n# tiny\n");
    put_text(in(root, "org/tiny-model/sub/deeper/notes.txt"), "notes\n");
    put_text(in(root, "org/tiny-model/empty.txt"), "");
}

static hub *open_at(const char *folder, int offline)
{
    mlxe_error err = {0};
    hub *h;
    const hub_settings s = {.endpoint = endpoint, .cache = folder, .offline = offline};
    if (hub_open(&s, &h, &err)) fail_msg("%s", err.message);
    return h;
}

static int begin(void **state)
{
    mlxe_error err;
    mlxe_mirror_params params = mlxe_mirror_params_new();
    (void)state;
    endpoint = getenv("MLXE_TEST_ENDPOINT");
    model = endpoint ? getenv("MLXE_TEST_MODEL") : "org/tiny-model";
    if (!model) model = DEFAULT_MODEL;
    if (!strchr(model, '/')) fail_msg("MLXE_TEST_MODEL=%s: want owner/name", model);
    top = make_scratch();
    cache = strdup(in(top, "cache"));
    if (!endpoint) {
        put_model(in(top, "root"));
        params.root = in(top, "root");
        assert_int_equal(mlxe_mirror_open(&params, &mirror, &err), MLXE_OK);
        endpoint = mlxe_mirror_url(mirror);
    }
    print_message("endpoint %s, model %s\n", endpoint, model);
    online = open_at(cache, 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    hub_close(online);
    mlxe_mirror_close(mirror);
    remove_all(top);
    free(top);
    free(cache);
    return 0;
}

/* Every test begins with an empty cache. */
static int fresh(void **state)
{
    (void)state;
    if (there(cache)) remove_all(cache);
    return 0;
}

static hub_repo repo(const char *revision) { return (hub_repo){HUB_MODEL, model, revision}; }

static hub_got pull(hub *h, const char *revision, const hub_want *want, buf *path)
{
    mlxe_error err = {0};
    hub_repo r = repo(revision);
    hub_got got;
    if (hub_snapshot(h, &r, want, NULL, path, &got, &err)) fail_msg("%s", err.message);
    return got;
}

static mlxe_status pull_status(hub *h, const hub_repo *r, const hub_want *want)
{
    mlxe_error err = {0};
    buf path = {0};
    hub_got got;
    mlxe_status rc = hub_snapshot(h, r, want, NULL, &path, &got, &err);
    buf_deinit(&path);
    return rc;
}

static hub_tree listing(const char *commit)
{
    mlxe_error err = {0};
    hub_repo r = repo(NULL);
    hub_tree tree;
    if (hub_list_tree(online, &r, commit, NULL, &tree, &err)) fail_msg("%s", err.message);
    return tree;
}

static void verify_is(int want_good, hub *repairs, const char *want_in_answer)
{
    buf out = {0};
    int good = -1;
    mlxe_error err = {0};
    if (keep_verify(cache, HUB_MODEL, model, NULL, repairs, NULL, &good, &out, &err))
        fail_msg("%s", err.message);
    assert_int_equal(good, want_good);
    assert_non_null(strstr(out.p, want_in_answer));
    buf_deinit(&out);
}

/* ---- asking ---------------------------------------------------------------------------------- */

typedef struct found {
    size_t n, ours, broken;
} found;

static int on_found(void *user, const char *text, size_t bytes)
{
    found *f = user;
    json_doc *doc = NULL;
    f->n++;
    if (hub_json_parse("line", text, bytes, &doc, NULL))
        f->broken++;
    else
        f->ours += strv_is(json_str(json_get(json_root(doc), "id")), model);
    json_close(doc);
    return 0;
}

static found search(const hub_query *query)
{
    mlxe_error err = {0};
    found f = {0};
    if (hub_search(online, query, NULL, on_found, &f, &err)) fail_msg("%s", err.message);
    assert_int_equal(f.broken, 0);
    return f;
}

static void searches(void **state)
{
    (void)state;
    const char *name = strchr(model, '/') + 1;
    char author[100];
    mlxe_error err;
    found f = {0};
    snprintf(author, sizeof author, "%.*s", (int)strcspn(model, "/"), model);
    assert_int_equal(search(&(hub_query){.search = name, .author = author, .limit = 200}).ours, 1);
    f = search(&(hub_query){.search = name, .limit = 1});
    assert_int_equal(f.n, 1);
    assert_int_equal(search(&(hub_query){.search = "no-such-model-9x7k2q"}).n, 0);
    f = search(
        &(hub_query){.search = name, .author = author, .limit = 5, .memory_bytes = 8ull << 30});
    assert_int_equal(f.ours, 1);
    f = search(&(hub_query){.search = name, .author = author, .limit = 5, .memory_bytes = 1000});
    assert_int_equal(f.n, 0);
    assert_int_equal(hub_search(online, &(hub_query){.sort = "beauty"}, NULL, on_found, &f, &err),
                     MLXE_E_ARG);
}

static void descriptions(void **state)
{
    (void)state;
    mlxe_error err = {0};
    buf text = {0};
    json_doc *doc;
    hub_repo r = repo(NULL);
    if (hub_info(online, &r, NULL, &text, &err)) fail_msg("%s", err.message);
    assert_int_equal(hub_json_parse("info", text.p, text.n, &doc, &err), MLXE_OK);
    strv sha = json_str(json_get(json_root(doc), "sha"));
    assert_true(strv_is(json_str(json_get(json_root(doc), "id")), model));
    assert_true(hub_is_commit(sha));
    char commit[HUB_COMMIT_CHARS + 1] = "";
    memcpy(commit, sha.p, sha.n);
    json_close(doc);
    hub_tree tree = listing(commit);
    const hub_entry *config = hub_tree_find(&tree, STRV("config.json"));
    size_t weights = 0;
    assert_non_null(config);
    assert_true(config->size > 0 && hub_is_hex(config->oid, 40));
    for (size_t i = 0; i < tree.n; i++)
        if (strv_ends(tree.entries[i].path, STRV(".safetensors")))
            weights += hub_is_hex(hub_entry_etag(&tree.entries[i]), 64);
    assert_true(weights > 0);
    hub_tree_deinit(&tree);
    buf_clear(&text);
    if (hub_refs(online, &r, NULL, &text, &err)) fail_msg("%s", err.message);
    assert_non_null(strstr(text.p, "\"name\":\"main\""));
    buf_deinit(&text);
}

static void what_does_not_exist(void **state)
{
    (void)state;
    mlxe_error err;
    hub_got got;
    buf path = {0};
    hub_repo none = {HUB_MODEL, "mlxengine/no-such-model-here", NULL},
             other = repo("no-such-branch"), odd = {HUB_MODEL, "a/b/c", NULL}, r = repo(NULL);
    assert_int_equal(pull_status(online, &none, &ALL), MLXE_E_NOT_FOUND);
    assert_int_equal(pull_status(online, &other, &ALL), MLXE_E_NOT_FOUND);
    assert_int_equal(pull_status(online, &odd, &ALL), MLXE_E_ARG);
    assert_int_equal(hub_file(online, &r, "no-such-file", &ALL, NULL, &path, &got, &err),
                     MLXE_E_NOT_FOUND);
    /* Remembered, so that it is known without network. */
    hub *h = open_at(cache, 1);
    assert_int_equal(hub_file(h, &r, "no-such-file", &ALL, NULL, &path, &got, &err),
                     MLXE_E_NOT_FOUND);
    hub_close(h);
    buf_deinit(&path);
}

static void tokens(void **state)
{
    (void)state;
    mlxe_error err = {0};
    buf text = {0};
    hub *h;
    const hub_settings s = {.endpoint = endpoint,
                            .cache = cache,
                            .token = "hf_wrongwrongwrongwrongwrongwrongwrong",
                            .token_from = HUB_TOKEN_GIVEN};
    assert_int_equal(hub_whoami(online, NULL, &text, &err), MLXE_E_ACCESS);
    assert_int_equal(hub_open(&s, &h, &err), MLXE_OK);
    assert_int_equal(hub_whoami(h, NULL, &text, &err), MLXE_E_ACCESS);
    assert_null(strstr(err.message, "hf_wrong"));
    assert_null(strstr(err.hint, "hf_wrong"));
    hub_close(h);
    buf_deinit(&text);
}

/* ---- fetching -------------------------------------------------------------------------------- */

static void a_snapshot(void **state)
{
    (void)state;
    buf path = {0}, text = {0};
    hub_got got = pull(online, NULL, &ALL, &path), again;
    hub_tree tree = listing(got.commit);
    assert_true(got.files == tree.n && got.downloaded_bytes >= got.bytes && !got.from_cache);
    for (size_t i = 0; i < tree.n; i++) {
        struct stat info;
        const char *file = in(path.p, "%s", tree.entries[i].path.p);
        assert_int_equal(lstat(file, &info), 0);
        assert_true(S_ISLNK(info.st_mode));
        assert_int_equal(stat(file, &info), 0);
        assert_int_equal(info.st_size, tree.entries[i].size);
    }
    hub_tree_deinit(&tree);
    verify_is(1, NULL, "\"unverifiable\":0");
    again = pull(online, NULL, &ALL, &path);
    assert_int_equal(again.downloaded_bytes, 0);
    again = pull(online, got.commit, &ALL, &path);
    assert_string_equal(again.commit, got.commit);
    buf_clear(&text);
    cache_repo_path(&path, cache, HUB_MODEL, strv_of(model));
    assert_int_equal(fs_read(in(path.p, "refs/main"), 0, &text, NULL), MLXE_OK);
    assert_string_equal(text.p, got.commit); /* no newline: Python reads it */
    buf_deinit(&path);
    buf_deinit(&text);
}

static void some_of_it(void **state)
{
    (void)state;
    const char *const include[] = {"*.json"}, *const exclude[] = {"config.json"};
    const hub_want want = {.globs = {include, 1, NULL, 0}},
                   less = {.globs = {include, 1, exclude, 1}};
    buf path = {0};
    hub_got got = pull(online, NULL, &want, &path), all;
    assert_true(there(in(path.p, "config.json")) && !there(in(path.p, "model.safetensors")));
    all = pull(online, NULL, &ALL, &path);
    assert_true(all.files > got.files);
    assert_true(all.downloaded_bytes > 0 && all.downloaded_bytes < all.bytes + got.bytes);
    assert_true(pull(online, NULL, &less, &path).files == got.files - 1);
    buf_deinit(&path);
}

static void one_file(void **state)
{
    (void)state;
    hub_repo r = repo(NULL);
    hub_got got;
    mlxe_error err = {0};
    buf path = {0};
    if (hub_file(online, &r, "config.json", &ALL, NULL, &path, &got, &err))
        fail_msg("%s", err.message);
    assert_true(got.files == 1 && got.downloaded_bytes == got.bytes && got.bytes > 0);
    char commit[HUB_COMMIT_CHARS + 1];
    memcpy(commit, got.commit, sizeof commit);
    hub_repo pinned = repo(commit);
    hub *h = open_at(cache, 1);
    if (hub_file(h, &pinned, "config.json", &ALL, NULL, &path, &got, &err))
        fail_msg("%s", err.message);
    assert_int_equal(hub_file(h, &r, "README.md", &ALL, NULL, &path, &got, &err), MLXE_E_OFFLINE);
    hub_close(h);
    buf_deinit(&path);
}

static void offline(void **state)
{
    (void)state;
    const char *const include[] = {"*.json"};
    const hub_want want = {.globs = {include, 1, NULL, 0}};
    buf path = {0};
    hub_repo r = repo(NULL);
    hub *h = open_at(cache, 1);
    assert_int_equal(pull_status(h, &r, &ALL), MLXE_E_OFFLINE);
    pull(online, NULL, &want, &path);
    assert_true(pull(h, NULL, &want, &path).from_cache);
    assert_int_equal(pull_status(h, &r, &ALL), MLXE_E_OFFLINE);
    pull(online, NULL, &ALL, &path);
    assert_int_equal(pull(h, NULL, &ALL, &path).downloaded_bytes, 0);
    hub_close(h);
    buf_deinit(&path);
}

static void damage_and_repair(void **state)
{
    (void)state;
    buf path = {0};
    char flipped = 0;
    pull(online, NULL, &ALL, &path);
    const char *file = in(path.p, "config.json");
    int fd = open(file, O_RDWR);
    assert_true(fd >= 0 && pread(fd, &flipped, 1, 0) == 1);
    flipped ^= 1;
    assert_int_equal(pwrite(fd, &flipped, 1, 0), 1);
    close(fd);
    verify_is(0, NULL, "\"path\":\"config.json\"");
    verify_is(1, online, "\"repaired\":[\"config.json\"]");
    verify_is(1, NULL, "\"bad\":[]");
    buf_deinit(&path);
}

static void a_folder_of_ones_own(void **state)
{
    (void)state;
    const hub_want want = {.local_dir = in(top, "cache/folder")};
    buf path = {0};
    hub_got got = pull(online, NULL, &want, &path);
    assert_true(got.files > 0 && got.downloaded_bytes >= got.bytes);
    assert_true(there(in(want.local_dir, "config.json")));
    assert_int_equal(pull(online, NULL, &want, &path).downloaded_bytes, 0);
    put_text(in(want.local_dir, "config.json"), "edited\n");
    const struct timespec later[2] = {{.tv_sec = 4000000000}, {.tv_sec = 4000000000}};
    assert_int_equal(utimensat(AT_FDCWD, in(want.local_dir, "config.json"), later, 0), 0);
    got = pull(online, NULL, &want, &path);
    assert_true(got.downloaded_bytes > 0 && got.downloaded_bytes < got.bytes);
    buf_deinit(&path);
}

/* Several processes, one empty cache: what comes over the network, comes once. */
static void at_the_same_time(void **state)
{
    (void)state;
    enum { PROCESSES = 4 };
    pid_t children[PROCESSES];
    int ends[2], status;
    uint64_t sum = 0, bytes = 0, told[2];
#ifdef __SANITIZE_THREAD__
    print_message("skipped: ThreadSanitizer starts no thread after a fork\n");
    skip();
#endif
    assert_int_equal(pipe(ends), 0);
    for (int i = 0; i < PROCESSES; i++) {
        if (!(children[i] = fork())) {
            buf path = {0};
            hub_got got;
            mlxe_error err;
            hub_repo r = repo(NULL);
            hub *h = open_at(cache, 0);
            mlxe_status rc = hub_snapshot(h, &r, &ALL, NULL, &path, &got, &err);
            told[0] = got.downloaded_bytes;
            told[1] = got.bytes;
            _exit(rc || write(ends[1], told, sizeof told) != sizeof told);
        }
    }
    for (int i = 0; i < PROCESSES; i++) {
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
        assert_int_equal(read(ends[0], told, sizeof told), sizeof told);
        sum += told[0];
        bytes = told[1];
    }
    assert_int_equal(sum, bytes);
    verify_is(1, NULL, "\"bad\":[]");
    close(ends[0]);
    close(ends[1]);
}

#define FRESH(f) cmocka_unit_test_setup(f, fresh)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRESH(searches),
        FRESH(descriptions),
        FRESH(what_does_not_exist),
        FRESH(tokens),
        FRESH(a_snapshot),
        FRESH(some_of_it),
        FRESH(one_file),
        FRESH(offline),
        FRESH(damage_and_repair),
        FRESH(a_folder_of_ones_own),
        FRESH(at_the_same_time),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
