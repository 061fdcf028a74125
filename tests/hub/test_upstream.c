/* test_upstream.c: a mirror that fetches what it lacks, between the scripted Hub and raw requests:
 * fetched once, verified, kept, served; and what the upstream does wrong never reaches a client. */
#include "tree_maker.h"

#include "faulty.h"
#include "http_raw.h"
#include "hub/hub.h"
#include "mlxengine_mirror.h"

#include <pthread.h>
#include <time.h>

#define COMMIT        "1111111111111111111111111111111111111111"
#define FILE_OF(path) "/org/name/resolve/main/" path

enum { CLIENTS = 10, LARGE_BYTES = 20000000 };

static faulty *hub_above;
static char *root;
static mlxe_mirror *mirror;

static int begin(void **state)
{
    (void)state;
    return faulty_open(&hub_above);
}

static int end(void **state)
{
    (void)state;
    faulty_close(hub_above);
    return 0;
}

static void script(const char *text)
{
    char message[200] = "";
    if (faulty_script(hub_above, text, message, sizeof message)) fail_msg("%s", message);
}

static mlxe_mirror_params params(void)
{
    mlxe_mirror_params p = mlxe_mirror_params_new();
    p.root = root;
    p.upstream = faulty_url(hub_above, FAULTY_SELF);
    return p;
}

static void open_with(const mlxe_mirror_params *p)
{
    mlxe_error err = {0};
    if (mlxe_mirror_open(p, &mirror, &err)) fail_msg("%s", err.message);
}

static int begin_one(void **state)
{
    (void)state;
    root = make_scratch();
    faulty_forget(hub_above);
    script("repo org/name " COMMIT "\n"
           "file config.json 500\n"
           "file small.bin 300000 lfs seed=2\n"
           "file large.bin 20000000 lfs seed=3\n"
           "text empty \"\"\n");
    mlxe_mirror_params p = params();
    open_with(&p);
    return 0;
}

static int end_one(void **state)
{
    (void)state;
    mlxe_mirror_close(mirror);
    mirror = NULL;
    remove_all(root);
    free(root);
    return 0;
}

static raw_reply get(const char *target)
{
    return raw_ask(mlxe_mirror_url(mirror), "GET", target, NULL);
}

static void is_file(const raw_reply *reply, const char *path)
{
    size_t bytes = 0;
    const unsigned char *want = faulty_file(hub_above, "org/name", path, &bytes);
    assert_non_null(want);
    assert_int_equal(reply->status, 200);
    assert_int_equal(reply->body_bytes, bytes);
    if (bytes) assert_memory_equal(reply->body, want, bytes);
}

static void expect(const char *target, int status, const char *want_code)
{
    char code[60];
    raw_reply reply = get(target);
    const char *said = raw_header(&reply, "X-Error-Code", code, sizeof code);
    if (reply.status != status) print_error("%s: %.*s\n", target, 300, buf_str(&reply.all));
    assert_int_equal(reply.status, status);
    assert_string_equal(said ? said : "none", want_code);
    raw_deinit(&reply);
}

/* ---- what is absent -------------------------------------------------------------------------- */

static void fetched_once_and_kept(void **state)
{
    (void)state;
    static const char *const PATHS[] = {"config.json", "small.bin", "large.bin", "empty"};
    for (size_t i = 0; i < 4; i++) {
        char target[100];
        snprintf(target, sizeof target, FILE_OF("%s"), PATHS[i]);
        for (int round = 0; round < 2; round++) {
            raw_reply reply = get(target);
            is_file(&reply, PATHS[i]);
            raw_deinit(&reply);
        }
        snprintf(target, sizeof target, "*/resolve/*/%s", PATHS[i]);
        assert_int_equal(faulty_count(hub_above, "GET", target), strcmp(PATHS[i], "empty") != 0);
        assert_true(there(in(root, "models--org--name/snapshots/" COMMIT "/%s", PATHS[i])));
    }
    assert_int_equal(faulty_count(hub_above, "GET", "*/tree/*"), 1);
    assert_int_equal(faulty_count(hub_above, "GET", "*/revision/main*"), 1);
    /* and without the upstream */
    faulty_forget(hub_above);
    script("repo org/name " COMMIT "\nfile config.json 500\n");
    raw_reply reply = get("/org/name/resolve/" COMMIT "/config.json");
    is_file(&reply, "config.json");
    raw_deinit(&reply);
    assert_int_equal(faulty_count(hub_above, "*", "*"), 0);
}

static void head_fetches_nothing(void **state)
{
    (void)state;
    char value[100], want[100];
    raw_reply reply = raw_ask(mlxe_mirror_url(mirror), "HEAD", FILE_OF("large.bin"), NULL);
    assert_int_equal(reply.status, 200);
    snprintf(want, sizeof want, "\"%s\"", faulty_etag(hub_above, "org/name", "large.bin"));
    assert_string_equal(raw_header(&reply, "ETag", value, sizeof value), want);
    assert_string_equal(raw_header(&reply, "X-Linked-Size", value, sizeof value), "20000000");
    assert_string_equal(raw_header(&reply, "Content-Length", value, sizeof value), "20000000");
    assert_string_equal(raw_header(&reply, "X-Repo-Commit", value, sizeof value), COMMIT);
    raw_deinit(&reply);
    assert_int_equal(faulty_count(hub_above, "*", "*/resolve/*"), 0);
    reply = get("/api/models/org/name/tree/main");
    assert_int_equal(reply.status, 200);
    assert_non_null(strstr(reply.body, "large.bin"));
    raw_deinit(&reply);
}

static void *one_client(void *arg)
{
    raw_reply *reply = arg;
    *reply = get(FILE_OF("large.bin"));
    return NULL;
}

static void ten_clients_one_fetch(void **state)
{
    (void)state;
    pthread_t threads[CLIENTS];
    raw_reply replies[CLIENTS];
    script("on GET */large.bin rate=20000000\n");
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, one_client, &replies[i]), 0);
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(threads[i], NULL);
        is_file(&replies[i], "large.bin");
        raw_deinit(&replies[i]);
    }
    assert_int_equal(faulty_count(hub_above, "GET", "*/large.bin"), 1);
    assert_int_equal(faulty_count(hub_above, "HEAD", "*/large.bin"), 1);
}

/* The first bytes come long before the last has arrived here. */
static void served_while_it_arrives(void **state)
{
    (void)state;
    char some[4096];
    struct timespec from, to;
    static const char ASK[] = "GET " FILE_OF("large.bin") " HTTP/1.1\r\nHost: localhost\r\n\r\n";
    script("on GET */large.bin rate=4000000\n");
    clock_gettime(CLOCK_MONOTONIC, &from);
    int fd = raw_connect(mlxe_mirror_url(mirror));
    raw_send(fd, ASK, sizeof ASK - 1);
    for (size_t came = 0; came < 100000;) {
        ssize_t n = recv(fd, some, sizeof some, 0);
        assert_true(n > 0);
        came += (size_t)n;
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    assert_true(to.tv_sec - from.tv_sec < 4); /* of at least five */
    close(fd);                                /* the client leaves; the fetch goes on */
    raw_reply reply = get(FILE_OF("large.bin"));
    is_file(&reply, "large.bin");
    raw_deinit(&reply);
    assert_int_equal(faulty_count(hub_above, "GET", "*/large.bin"), 1);
}

/* ---- an upstream that does wrong ------------------------------------------------------------- */

static void wrong_bytes_are_never_served(void **state)
{
    (void)state;
    script("on GET */small.bin corrupt=5\non GET */large.bin corrupt=19999999\n");
    expect(FILE_OF("small.bin"), 502, "none");
    raw_reply reply = get(FILE_OF("large.bin"));
    assert_true(reply.body_bytes < LARGE_BYTES); /* the end was held back, the connection cut */
    raw_deinit(&reply);
    reply = get("/org/name/resolve/main/large.bin");
    assert_true(reply.status != 200 || reply.body_bytes < LARGE_BYTES);
    raw_deinit(&reply);
    assert_false(there(in(root, "models--org--name/snapshots/" COMMIT "/small.bin")));
    assert_false(there(
        in(root, "models--org--name/blobs/%s", faulty_etag(hub_above, "org/name", "large.bin"))));
}

/* Wrong at first, right when fetched again: what a client got of the wrong ones is not continued
 * with right ones. */
static void wrong_then_right(void **state)
{
    (void)state;
    script("on GET */large.bin corrupt=5 times=1\n");
    raw_reply reply = get(FILE_OF("large.bin"));
    if (reply.body_bytes == LARGE_BYTES) is_file(&reply, "large.bin");
    raw_deinit(&reply);
    for (int tries = 0; tries < 50; tries++) {
        reply = get(FILE_OF("large.bin"));
        int whole = reply.status == 200 && reply.body_bytes == LARGE_BYTES;
        if (whole) is_file(&reply, "large.bin");
        raw_deinit(&reply);
        if (whole) return;
        nanosleep(&(const struct timespec){.tv_nsec = 200000000}, NULL);
    }
    fail_msg("never whole");
}

static void listing_and_head_disagree(void **state)
{
    (void)state;
    script("on HEAD */small.bin header=\"X-Linked-Size: 300001\"\n");
    expect(FILE_OF("small.bin"), 502, "none");
    assert_int_equal(faulty_count(hub_above, "GET", "*/small.bin"), 0);
}

static void refusals(void **state)
{
    (void)state;
    script("repo org/locked 2222222222222222222222222222222222222222 gated=manual token=hf_x\n"
           "file a 10\n"
           "repo org/hidden 3333333333333333333333333333333333333333 private token=hf_x\n"
           "file a 10\n");
    for (int i = 0; i < 3; i++)
        expect("/org/none/resolve/main/x", 404, "RepoNotFound");
    assert_int_equal(faulty_count(hub_above, "*", "*org/none*"), 1);
    expect("/api/models/org/none/revision/main", 404, "RepoNotFound");
    expect("/org/name/resolve/v9/config.json", 404, "RevisionNotFound");
    expect(FILE_OF("nothing"), 404, "EntryNotFound");
    assert_int_equal(faulty_count(hub_above, "*", "*/nothing"), 0); /* the listing knows */
    expect("/org/hidden/resolve/main/a", 404, "RepoNotFound");
    expect("/org/locked/resolve/main/a", 403, "GatedRepo");
    expect("/a--b/resolve/main/a", 404, "RepoNotFound");
}

/* ---- who may ask, and what is told ----------------------------------------------------------- */

static void off_by_default(void **state)
{
    (void)state;
    mlxe_mirror_params p = params();
    p.upstream = NULL;
    mlxe_mirror_close(mirror);
    open_with(&p);
    faulty_forget_log(hub_above);
    expect(FILE_OF("config.json"), 404, "RepoNotFound");
    assert_int_equal(faulty_count(hub_above, "*", "*"), 0);
}

static void names_that_are_not_served_are_not_asked_for(void **state)
{
    (void)state;
    static const char *const ONLY[] = {"org/n*"};
    mlxe_mirror_params p = params();
    const char *file = in(root, "tokens");
    put_text(file, "good\n");
    p.only = ONLY;
    p.n_only = 1;
    p.token_file = file;
    mlxe_mirror_close(mirror);
    open_with(&p);
    faulty_forget_log(hub_above);
    expect(FILE_OF("config.json"), 401, "RepoNotFound");
    assert_int_equal(faulty_count(hub_above, "*", "*"), 0);
    static const char AUTH[] = "Authorization: Bearer good\r\n";
    raw_reply reply = raw_ask(mlxe_mirror_url(mirror), "GET", "/org/other/resolve/main/x", AUTH);
    assert_int_equal(reply.status, 404);
    raw_deinit(&reply);
    assert_int_equal(faulty_count(hub_above, "*", "*"), 0);
    reply = raw_ask(mlxe_mirror_url(mirror), "GET", FILE_OF("config.json"), AUTH);
    is_file(&reply, "config.json");
    raw_deinit(&reply);
    /* A client's token is this mirror's business. */
    for (size_t i = 0; i < faulty_count(hub_above, "*", "*"); i++) {
        char value[100];
        const faulty_request *q = faulty_at(hub_above, "*", "*", i);
        assert_null(faulty_header(q, "Authorization", value, sizeof value));
    }
}

static void token_for_the_upstream(void **state)
{
    (void)state;
    mlxe_mirror_params p = params();
    script("repo org/hidden 3333333333333333333333333333333333333333 private token=hf_x\n"
           "file a 10\n");
    p.upstream_token = "hf_x";
    mlxe_mirror_close(mirror);
    open_with(&p);
    expect("/org/hidden/resolve/main/a", 200, "none");
}

static void upstream_away(void **state)
{
    (void)state;
    mlxe_mirror_params p = params();
    expect(FILE_OF("config.json"), 200, "none");
    mlxe_mirror_close(mirror);
    p.upstream = "http://127.0.0.1:1";
    open_with(&p);
    expect(FILE_OF("config.json"), 200, "none"); /* what is here is served */
    expect("/api/models/org/name/tree/main", 200, "none");
    expect(FILE_OF("small.bin"), 502, "none");
}

/* A branch that moves above moves here; its old commit stays. */
static void branch_moves(void **state)
{
    (void)state;
    mlxe_mirror_params p = params();
    expect(FILE_OF("config.json"), 200, "none");
    mlxe_mirror_close(mirror); /* a new one has no memory of what main was */
    faulty_forget(hub_above);
    script("repo org/name 2222222222222222222222222222222222222222\nfile config.json 700 seed=9\n");
    open_with(&p);
    raw_reply reply = get(FILE_OF("config.json"));
    is_file(&reply, "config.json");
    raw_deinit(&reply);
    expect("/org/name/resolve/" COMMIT "/config.json", 200, "none");
}

static void our_client_through_the_mirror(void **state)
{
    (void)state;
    hub *h;
    hub_got got;
    buf path = {0};
    mlxe_error err = {0};
    char *cache = make_scratch();
    const hub_settings settings = {.endpoint = mlxe_mirror_url(mirror), .cache = cache};
    const hub_repo repo = {HUB_MODEL, "org/name", NULL};
    const hub_want want = {0};
    script("file huge.bin 70000000 lfs seed=5\n");
    assert_int_equal(hub_open(&settings, &h, &err), MLXE_OK);
    if (hub_snapshot(h, &repo, &want, NULL, &path, &got, &err)) fail_msg("%s", err.message);
    assert_int_equal(got.files, 5);
    assert_int_equal(faulty_count(hub_above, "GET", "*/huge.bin"), 1);
    hub_close(h);
    buf_deinit(&path);
    remove_all(cache);
    free(cache);
}

/* ---- search ---------------------------------------------------------------------------------- */

/* The ids that a search gives over all its pages, each with + (held here) or - (upstream only). */
static void search_ids(const char *query, buf *ids)
{
    char target[2000], link[2000];
    size_t base = strlen(mlxe_mirror_url(mirror));
    int pages_left = 20;
    buf_clear(ids);
    snprintf(target, sizeof target, "/api/models?%s", query);
    while (*target && pages_left-- > 0) {
        raw_reply reply = get(target);
        assert_int_equal(reply.status, 200);
        for (const char *at = reply.body; (at = strstr(at, "{\"id\":\""));) {
            const char *held = strstr(at, "\"mirrored\":");
            assert_non_null(held);
            buf_addf(ids, "%.*s%c ", (int)strcspn(at + 7, "\""), at + 7,
                     held[11] == 't' ? '+' : '-');
            at = held;
        }
        *target = 0;
        if (raw_header(&reply, "Link", link, sizeof link)) {
            assert_int_equal(strncmp(link + 1, mlxe_mirror_url(mirror), base), 0);
            snprintf(target, sizeof target, "%.*s", (int)strcspn(link + 1 + base, ">"),
                     link + 1 + base);
        }
        raw_deinit(&reply);
    }
    assert_true(pages_left > 0);
}

static void search_asks_the_upstream(void **state)
{
    (void)state;
    buf ids = {0};
    script("repo org/second 2222222222222222222222222222222222222222\n"
           "repo other/third 3333333333333333333333333333333333333333\n");
    put_text(in(root, "org/mine/config.json"), "{}");
    search_ids("search=org", &ids);
    assert_string_equal(ids.p, "org/mine+ org/name- org/second- ");
    expect("/api/models/org/name/revision/main", 200, "none");
    for (int limit = 1; limit < 5; limit++) {
        char query[60];
        snprintf(query, sizeof query, "search=org&limit=%d", limit);
        search_ids(query, &ids);
        assert_string_equal(ids.p, "org/mine+ org/name+ org/second- ");
    }
    search_ids("search=nobody", &ids);
    assert_string_equal(buf_str(&ids), "");
    /* What this mirror cannot filter by is left to the upstream; then all of the list is its. */
    search_ids("search=org&apps=some", &ids);
    assert_string_equal(ids.p, "org/name+ org/second- ");
    assert_int_equal(faulty_count(hub_above, "GET", "/api/models?*apps=some*"), 1);
    buf_deinit(&ids);
}

static int add_line(void *user, const char *text, size_t bytes)
{
    buf_add(user, text, bytes);
    return 0;
}

static void search_through_our_client(void **state)
{
    (void)state;
    hub *h;
    buf lines = {0};
    mlxe_error err = {0};
    const hub_settings settings = {.endpoint = mlxe_mirror_url(mirror), .cache = root};
    const hub_query query = {.search = "name"};
    assert_int_equal(hub_open(&settings, &h, &err), MLXE_OK);
    if (hub_search(h, &query, NULL, add_line, &lines, &err)) fail_msg("%s", err.message);
    assert_string_equal(lines.p, "{\"id\":\"org/name\",\"downloads\":0,\"likes\":0,\"task\":"
                                 "\"text-generation\",\"library\":\"mlx\",\"gated\":false,"
                                 "\"mirrored\":false}");
    hub_close(h);
    buf_deinit(&lines);
}

static void search_without_the_upstream(void **state)
{
    (void)state;
    char value[200], target[1200], link[1200];
    put_text(in(root, "org/mine/config.json"), "{}");
    script("on GET /api/models?* status=503");
    raw_reply reply = get("/api/models?search=org");
    assert_int_equal(reply.status, 200);
    assert_non_null(strstr(reply.body, "\"id\":\"org/mine\""));
    assert_non_null(raw_header(&reply, "X-HF-Warning", value, sizeof value));
    raw_deinit(&reply);
    expect("/api/models?apps=some", 502, "none");
    faulty_forget(hub_above);
    script("on GET /api/models?* status=400");
    expect("/api/models?apps=some", 400, "BadRequest");
    faulty_forget(hub_above);
    /* A page that follows: its end is not the list's. */
    reply = get("/api/models?limit=1");
    assert_non_null(raw_header(&reply, "Link", link, sizeof link));
    raw_deinit(&reply);
    snprintf(target, sizeof target, "%.*s", (int)strcspn(strstr(link, "/api/"), ">"),
             strstr(link, "/api/"));
    script("on GET /api/models?* status=503 times=1");
    expect(target, 502, "none");
    expect(target, 200, "none");
    strstr(target, "cursor=u")[10] ^= 1;
    expect(target, 400, "BadRequest");
    script("on GET /api/models?* body=\"{}\" type=application/json");
    reply = get("/api/models?search=org");
    assert_non_null(raw_header(&reply, "X-HF-Warning", value, sizeof value));
    assert_int_equal(reply.body[reply.body_bytes - 1], ']');
    raw_deinit(&reply);
}

static void nonsense_as_upstream(void **state)
{
    (void)state;
    mlxe_mirror_params p = params();
    mlxe_mirror *m = mirror;
    mlxe_error err;
    p.upstream = "ftp://example.org";
    assert_int_equal(mlxe_mirror_open(&p, &m, &err), MLXE_E_ARG);
    assert_null(m);
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void rate_limit(void **state)
{
    (void)state;
    char value[100];
    mlxe_mirror_params p = params();
    p.rate_limit = 3;
    p.rate_window_s = 3;
    mlxe_mirror_close(mirror);
    open_with(&p);
    for (int i = 0; i < 3; i++) {
        raw_reply reply = get("/api/models/org/name");
        assert_int_equal(reply.status, 200);
        assert_string_equal(raw_header(&reply, "RateLimit-Policy", value, sizeof value),
                            "\"fixed window\";\"api\";q=3;w=3");
        assert_non_null(raw_header(&reply, "RateLimit", value, sizeof value));
        assert_int_equal(strncmp(value,
                                 i == 0   ? "\"api\";r=2"
                                 : i == 1 ? "\"api\";r=1"
                                          : "\"api\";r=0",
                                 9),
                         0);
        raw_deinit(&reply);
    }
    raw_reply reply = get("/api/models/org/name");
    assert_int_equal(reply.status, 429);
    assert_non_null(raw_header(&reply, "Retry-After", value, sizeof value));
    raw_deinit(&reply);
    expect(FILE_OF("config.json"), 200, "none"); /* another bucket */
    nanosleep(&(const struct timespec){.tv_sec = 3, .tv_nsec = 50000000}, NULL);
    expect("/api/models/org/name", 200, "none");
}

#define ONE(f) cmocka_unit_test_setup_teardown(f, begin_one, end_one)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(fetched_once_and_kept),
        ONE(head_fetches_nothing),
        ONE(ten_clients_one_fetch),
        ONE(served_while_it_arrives),
        ONE(wrong_bytes_are_never_served),
        ONE(wrong_then_right),
        ONE(listing_and_head_disagree),
        ONE(refusals),
        ONE(off_by_default),
        ONE(names_that_are_not_served_are_not_asked_for),
        ONE(token_for_the_upstream),
        ONE(upstream_away),
        ONE(branch_moves),
        ONE(our_client_through_the_mirror),
        ONE(search_asks_the_upstream),
        ONE(search_through_our_client),
        ONE(search_without_the_upstream),
        ONE(nonsense_as_upstream),
        ONE(rate_limit),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
