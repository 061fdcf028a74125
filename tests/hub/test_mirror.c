/* test_mirror.c: the mirror by the wire: what it answers to right, odd and hostile requests.
 *
 * A root with a cache of huggingface_hub's layout and a folder of plain files, requests as rows of
 * a table, compared with what the protocol says. Python's client is the other half of the evidence:
 * full_python.sh. */
#include "tree_maker.h"

#include "http_raw.h"
#include "mlxengine_mirror.h"

#include <time.h>

#define CACHED "models--org--cached"

static char *root;
static mlxe_mirror *mirror;
static char lfs[65], git[65], bad[65];

static mlxe_mirror_params params(void)
{
    mlxe_mirror_params p = mlxe_mirror_params_new();
    p.root = root;
    return p;
}

static void open_with(const mlxe_mirror_params *p, mlxe_mirror **out)
{
    mlxe_error err = {0};
    assert_int_equal(mlxe_mirror_open(p, out, &err), MLXE_OK);
}

static int make_root(void **state)
{
    (void)state;
    char tree[2000];
    root = make_scratch();
    put_cached(root, CACHED, COMMIT_A, "model.safetensors", 200000, 1, CACHED_LFS, lfs);
    put_cached(root, CACHED, COMMIT_A, "sub/dir/config.json", 50, 2, CACHED_GIT, git);
    put_cached(root, CACHED, COMMIT_A, "damaged.bin", 100000, 3, CACHED_LFS, bad);
    put_bytes(in(root, CACHED "/blobs/%s", bad), 100000, 4);
    put_text(in(root, CACHED "/refs/main"), COMMIT_A);
    put_text(in(root, CACHED "/refs/refs/pr/1"), COMMIT_A);
    put_text(in(root, CACHED "/refs/a/branch"), COMMIT_A);
    put_text(in(root, CACHED "/refs/broken"), "no commit");
    put_text(in(root, CACHED "/blobs/x.incomplete"), "partial");
    assert_int_equal(symlink("/etc/passwd", in(root, CACHED "/snapshots/" COMMIT_A "/absolute")),
                     0);
    assert_int_equal(symlink("../../../models--org--other/blobs/secret",
                             in(root, CACHED "/snapshots/" COMMIT_A "/foreign")),
                     0);
    assert_int_equal(
        symlink("../../blobs/gone", in(root, CACHED "/snapshots/" COMMIT_A "/dangling")), 0);
    assert_int_equal(
        symlink("../../blobs/x.incomplete", in(root, CACHED "/snapshots/" COMMIT_A "/partial")), 0);
    assert_int_equal(mkfifo(in(root, CACHED "/snapshots/" COMMIT_A "/pipe"), 0666), 0);
    put_text(in(root, "models--org--other/blobs/secret"), "secret");
    snprintf(
        tree, sizeof tree,
        "{\"format_version\":1,\"files\":{\"model.safetensors\":{\"size\":200000,\"blob_id\":"
        "\"%.40s\",\"lfs_sha256\":\"%s\",\"lfs_size\":200000},\"sub/dir/config.json\":{\"size\":"
        "50,\"blob_id\":\"%s\"},\"unmirrored.bin\":{\"size\":5,\"blob_id\":\"%s\"}}}",
        lfs, lfs, git, git);
    put_text(in(root, CACHED "/trees/" COMMIT_A ".json"), tree);
    put_text(in(root, "org/plain/config.json"), "{\"model_type\":\"llama\"}\n");
    put_text(in(root, "org/plain/README.md"),
             "---\nlicense: mit\ntags: [mlx, chat]\npipeline_tag: text-generation\n---\n# x\n");
    put_text(in(root, "org/plain/empty"), "");
    put_text(in(root, "org/plain/a b/x%y?.txt"), "odd");
    put_text(in(root, "org/plain/.git/config"), "hidden");
    assert_int_equal(symlink("/etc/passwd", in(root, "org/plain/link")), 0);
    put_text(in(root, "tree/config.json"), "{}");
    put_text(in(root, "resolve/resolve/file"), "ambiguous");
    mlxe_mirror_params p = params();
    open_with(&p, &mirror);
    return 0;
}

static int drop_root(void **state)
{
    (void)state;
    mlxe_mirror_close(mirror);
    remove_all(root);
    free(root);
    return 0;
}

/* ---- rows ----------------------------------------------------------------------------------- */

typedef struct row {
    const char *method, *target, *headers;
    int status;
    const char *name,
        *value; /* a header of the reply; value NULL: absent; "LFS", "GIT": that tag */
    long body;  /* bytes; -1: not said */
} row;

#define MODEL "/org/cached/resolve/main/model.safetensors"
#define PLAIN "/org/plain/resolve/main/"
#define API   "/api/models/org/cached"
#define CODE  "X-Error-Code"

static const row ROWS[] = {
    {"GET", MODEL, "", 200, "X-Linked-Etag", "LFS", 200000},
    {"HEAD", MODEL, "", 200, "X-Linked-Size", "200000", 0},
    {"HEAD", MODEL, "", 200, "Content-Length", "200000", 0},
    {"GET", MODEL, "", 200, "X-Repo-Commit", COMMIT_A, 200000},
    {"GET", MODEL, "Accept-Encoding: gzip\r\n", 200, "Content-Encoding", NULL, 200000},
    {"GET", MODEL "?download=true", "", 200, "ETag", "LFS", 200000},
    {"GET", "/org/cached/resolve/" COMMIT_A "/sub/dir/config.json", "", 200, "ETag", "GIT", 50},
    {"GET", "/org/cached/resolve/aaaaaaaa/sub/dir/config.json", "", 200, "ETag", "GIT", 50},
    {"GET", "/org/cached/resolve/refs%2Fpr%2F1/sub/dir/config.json", "", 200, NULL, NULL, 50},
    {"GET", "/org/cached/resolve/a%2Fbranch/sub/dir/config.json", "", 200, NULL, NULL, 50},
    /* ranges */
    {"GET", MODEL, "Range: bytes=0-0\r\n", 206, "Content-Range", "bytes 0-0/200000", 1},
    {"GET", MODEL, "Range: bytes=199990-\r\n", 206, "Content-Range", "bytes 199990-199999/200000",
     10},
    {"GET", MODEL, "Range: bytes=-7\r\n", 206, "Content-Range", "bytes 199993-199999/200000", 7},
    {"GET", MODEL, "Range: bytes=-999999\r\n", 206, "Content-Range", "bytes 0-199999/200000",
     200000},
    {"GET", MODEL, "Range: bytes=5-999999\r\n", 206, "Content-Range", "bytes 5-199999/200000",
     199995},
    {"GET", MODEL, "Range: bytes=200000-\r\n", 416, "Content-Range", "bytes */200000", 0},
    {"GET", MODEL, "Range: bytes=-0\r\n", 416, "Content-Range", "bytes */200000", 0},
    {"GET", MODEL, "Range: bytes=0-1,3-4\r\n", 200, "Content-Range", NULL, 200000},
    {"GET", MODEL, "Range: bytes=9-3\r\n", 200, NULL, NULL, 200000},
    {"GET", MODEL, "Range: bytes=x-\r\n", 200, NULL, NULL, 200000},
    {"GET", MODEL, "Range: lines=1-2\r\n", 200, NULL, NULL, 200000},
    {"GET", MODEL, "Range: bytes=99999999999999999999999-\r\n", 200, NULL, NULL, 200000},
    {"GET", PLAIN "empty", "Range: bytes=0-\r\n", 200, "Content-Length", "0", 0},
    {"HEAD", MODEL, "Range: bytes=0-9\r\n", 206, "Content-Length", "10", 0},
    {"GET", MODEL, "Range: bytes=0-9\r\nIf-Range: \"other\"\r\n", 200, NULL, NULL, 200000},
    {"GET", MODEL, "If-None-Match: *\r\n", 304, "ETag", "LFS", 0},
    {"GET", MODEL, "If-None-Match: \"a\", \"b\"\r\n", 200, NULL, NULL, 200000},
    /* what is not there */
    {"GET", "/org/cached/resolve/main/none", "", 404, "X-Repo-Commit", COMMIT_A, -1},
    {"GET", "/org/cached/resolve/main/none", "", 404, CODE, "EntryNotFound", -1},
    {"GET", "/org/cached/resolve/main/unmirrored.bin", "", 404, "X-Repo-Commit", NULL, -1},
    {"GET", "/org/cached/resolve/v9/model.safetensors", "", 404, CODE, "RevisionNotFound", -1},
    {"GET", "/org/cached/resolve/broken/model.safetensors", "", 404, CODE, "RevisionNotFound", -1},
    {"GET", "/org/cached/resolve/aaaaaa/model.safetensors", "", 404, CODE, "RevisionNotFound", -1},
    {"GET", "/org/none/resolve/main/x", "", 404, CODE, "RepoNotFound", -1},
    {"GET", "/api/models/org/none", "", 404, CODE, "RepoNotFound", -1},
    {"GET", "/api/models/a--b", "", 404, CODE, "RepoNotFound", -1},
    {"GET", "/api/agent-harnesses", "", 404, CODE, "NotFound", -1},
    {"GET", "/api/models/org/cached/xet-read-token/main", "", 404, NULL, NULL, -1},
    {"GET", "/", "", 404, CODE, "NotFound", -1},
    {"DELETE", MODEL, "", 405, "Allow", "GET, HEAD", -1},
    {"GET", API "/paths-info/main", "", 405, "Allow", "POST", -1},
    /* hostile */
    {"GET", "/org/cached/resolve/main/absolute", "", 404, CODE, "EntryNotFound", -1},
    {"GET", "/org/cached/resolve/main/foreign", "", 404, CODE, "EntryNotFound", -1},
    {"GET", "/org/cached/resolve/main/dangling", "", 404, CODE, "EntryNotFound", -1},
    {"GET", "/org/cached/resolve/main/partial", "", 404, CODE, "EntryNotFound", -1},
    {"GET", "/org/cached/resolve/main/pipe", "", 404, CODE, "EntryNotFound", -1},
    {"GET", "/org/cached/resolve/main/sub", "", 404, CODE, "EntryNotFound", -1},
    {"GET", "/org/cached/resolve/main/..%2f..%2frefs%2fmain", "", 404, CODE, "EntryNotFound", -1},
    {"GET", "/org/cached/resolve/main/%2e%2e/%2e%2e/refs/main", "", 404, CODE, "EntryNotFound", -1},
    {"GET", "/org/cached/resolve/main/%252e%252e/refs", "", 404, CODE, "EntryNotFound", -1},
    {"GET", "/org/cached/resolve/main/..\\..\\refs", "", 404, CODE, "EntryNotFound", -1},
    {"GET", "/org/cached/resolve/main/model.safetensors%00.txt", "", 404, NULL, NULL, -1},
    {"GET", "/org/cached/resolve/main/a%zz", "", 404, NULL, NULL, -1},
    {"GET", "/org/cached/resolve/..%2f..%2fx/model.safetensors", "", 404, NULL, NULL, -1},
    {"GET", "/org/../org/cached/resolve/main/model.safetensors", "", 404, NULL, NULL, -1},
    {"GET", "/..%2f..%2fetc/resolve/main/passwd", "", 404, CODE, "RepoNotFound", -1},
    {"GET", PLAIN "link", "", 404, CODE, "EntryNotFound", -1},
    {"GET", "/models--org--cached/blobs/resolve/main/x", "", 404, CODE, "RepoNotFound", -1},
    {"GET", API, "Host: evil.example\r\n", 421, NULL, NULL, -1},
    /* plain folders, names */
    {"GET", PLAIN "a%20b/x%25y%3F.txt", "", 200, "Content-Length", "3", 3},
    {"GET", "/tree/resolve/main/config.json", "", 200, NULL, NULL, 2},
    {"GET", "/api/models/tree/tree/main", "", 200, NULL, NULL, -1},
    {"GET", "/api/models/tree", "", 200, NULL, NULL, -1},
    {"GET", "/resolve/resolve/resolve/main/file", "", 200, NULL, NULL, 9},
    /* listings */
    {"GET", API "/revision/main", "", 200, "X-Repo-Commit", COMMIT_A, -1},
    {"GET", API "/revision/v9", "", 404, CODE, "RevisionNotFound", -1},
    {"GET", API "/tree/main/none", "", 404, CODE, "EntryNotFound", -1},
    {"GET", API "/tree/main/sub%2Fdir?recursive=True", "", 200, "Link", NULL, -1},
    {"GET", API "/tree/main?cursor=2.0123456789abcdef", "", 400, NULL, NULL, -1},
    {"GET", "/api/models?cursor=junk", "", 400, CODE, "BadRequest", -1},
    {"GET", "/api/models?apps=ollama", "", 400, NULL, NULL, -1},
    {"GET", "/api/models?sort=beauty", "", 400, NULL, NULL, -1},
    {"GET", "/api/models?limit=0", "", 400, NULL, NULL, -1},
    {"GET", "/api/models?search=nothing-has-this", "", 200, NULL, NULL, 2},
    {"GET", "/api/models/org/other", "", 404, CODE, "RepoNotFound", -1},
    {"GET", "/api/whoami-v2", "", 401, NULL, NULL, -1},
};

static void rows(void **state)
{
    (void)state;
    char value[300], want[80];
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        const row *r = &ROWS[i];
        raw_reply reply = raw_ask(mlxe_mirror_url(mirror), r->method, r->target, r->headers);
        const char *said = r->name ? raw_header(&reply, r->name, value, sizeof value) : NULL;
        snprintf(want, sizeof want, "\"%s\"", r->value && !strcmp(r->value, "LFS") ? lfs : git);
        int tag = r->value && (!strcmp(r->value, "LFS") || !strcmp(r->value, "GIT"));
        int good = reply.status == r->status && (r->body < 0 || (long)reply.body_bytes == r->body);
        if (r->name && r->value) good = good && said && !strcmp(said, tag ? want : r->value);
        if (r->name && !r->value) good = good && !said;
        if (!good)
            print_error("%s %s %s: status %d (want %d), %s: %s (want %s), %zu bytes\n", r->method,
                        r->target, r->headers, reply.status, r->status, r->name ? r->name : "",
                        said ? said : "-", r->value ? r->value : "-", reply.body_bytes);
        raw_deinit(&reply);
        assert_true(good);
    }
}

/* ---- bodies --------------------------------------------------------------------------------- */

static void expect_body(const char *target, const char *want)
{
    raw_reply reply = raw_ask(mlxe_mirror_url(mirror), "GET", target, NULL);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.body, want);
    raw_deinit(&reply);
}

static void listings(void **state)
{
    (void)state;
    char want[600], oid[41];
    size_t pointer;
    assert_int_equal(hub_pointer_sha1(strv_of(lfs), 200000, oid, &pointer, NULL), MLXE_OK);
    snprintf(want, sizeof want,
             "[{\"type\":\"file\",\"path\":\"sub/dir/config.json\",\"size\":50,\"oid\":\"%s\"}]",
             git);
    expect_body(API "/tree/main/sub%2Fdir", want);
    raw_reply reply = raw_ask(mlxe_mirror_url(mirror), "GET", API "/tree/main", NULL);
    assert_non_null(strstr(reply.body, "{\"type\":\"directory\",\"path\":\"sub\",\"size\":0,"));
    assert_null(strstr(reply.body, "sub/dir"));
    assert_null(strstr(reply.body, "xetHash"));
    raw_deinit(&reply);
    expect_body("/api/models/org/cached/refs?include_prs=1",
                "{\"branches\":[{\"name\":\"a/branch\",\"ref\":\"refs/heads/a/branch\","
                "\"targetCommit\":\"" COMMIT_A "\"},{\"name\":\"main\",\"ref\":\"refs/heads/main\","
                "\"targetCommit\":\"" COMMIT_A "\"}],\"converts\":[],\"tags\":[],\"pullRequests\":["
                "{\"name\":\"refs/pr/1\",\"ref\":\"refs/pr/1\",\"targetCommit\":\"" COMMIT_A
                "\"}]}");
    expect_body("/api/models?search=nothing", "[]");
}

static void post(const char *type, const char *body, int status, const char *want)
{
    char headers[200];
    buf text = {0};
    snprintf(headers, sizeof headers, "Content-Type: %s\r\nContent-Length: %zu\r\n", type,
             strlen(body));
    buf_addf(&text,
             "POST " API
             "/paths-info/main HTTP/1.1\r\nHost: localhost\r\n%sConnection: close\r\n\r\n",
             headers);
    buf_add_str(&text, body);
    int fd = raw_connect(mlxe_mirror_url(mirror));
    raw_reply reply;
    raw_send(fd, text.p, text.n);
    raw_read(fd, &reply);
    assert_int_equal(reply.status, status);
    if (want) assert_string_equal(reply.body, want);
    raw_deinit(&reply);
    buf_deinit(&text);
    close(fd);
}

static void paths_info(void **state)
{
    (void)state;
    char want[300];
    buf many = {0};
    snprintf(want, sizeof want,
             "[{\"type\":\"file\",\"path\":\"sub/dir/config.json\",\"size\":50,\"oid\":\"%s\"}]",
             git);
    post("application/x-www-form-urlencoded",
         "paths=sub%2Fdir%2Fconfig.json&paths=none&expand=False", 200, want);
    post("application/json", "{\"paths\":[\"none\",\"sub/dir/config.json\"],\"expand\":false}", 200,
         want);
    post("application/json", "{\"paths\":3}", 400, NULL);
    post("application/json", "{", 400, NULL);
    for (int i = 0; i < 1001; i++)
        buf_add_str(&many, "paths=x&");
    post("application/x-www-form-urlencoded", many.p, 400, NULL);
    buf_deinit(&many);
}

static void pages(void **state)
{
    (void)state;
    char target[600] = "/api/models?limit=1&full=true", link[600];
    int n = 0;
    buf ids = {0};
    while (*target) {
        raw_reply reply = raw_ask(mlxe_mirror_url(mirror), "GET", target, NULL);
        assert_int_equal(reply.status, 200);
        const char *id = strstr(reply.body, "\"id\":\"");
        assert_non_null(id);
        buf_addf(&ids, "%.*s ", (int)strcspn(id + 6, "\""), id + 6);
        *target = 0;
        if (raw_header(&reply, "Link", link, sizeof link)) {
            size_t base = strlen(mlxe_mirror_url(mirror));
            assert_int_equal(strncmp(link + 1, mlxe_mirror_url(mirror), base), 0);
            snprintf(target, sizeof target, "%.*s", (int)strcspn(link + 1 + base, ">"),
                     link + 1 + base);
        }
        raw_deinit(&reply);
        assert_true(++n < 10);
    }
    assert_string_equal(ids.p, "org/cached org/plain resolve/resolve tree ");
    buf_deinit(&ids);
}

/* A blob of the right size with wrong bytes: its end never leaves; then it is refused. */
/* A header as a safetensors file has it, without the tensors. */
static void put_header(const char *path, const char *header)
{
    buf text = {0};
    uint64_t bytes = strlen(header);
    for (int i = 0; i < 8; i++)
        buf_add_char(&text, (char)(bytes >> (8 * i) & 0xff));
    buf_add_str(&text, header);
    put(path, text.p, text.n);
    buf_deinit(&text);
}

static void parameters(void **state)
{
    (void)state;
    static const char QUERY[] = "/api/models?search=weighed&expand=safetensors";
    put_header(in(root, "org/weighed/a.safetensors"),
               "{\"__metadata__\":{\"format\":\"pt\"},\"x\":{\"dtype\":\"BF16\",\"shape\":[2,3],"
               "\"data_offsets\":[0,12]},\"s\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":"
               "[12,16]},\"y\":{\"dtype\":\"U32\",\"shape\":[4],\"data_offsets\":[16,32]}}");
    put_header(in(root, "org/weighed/b.safetensors"),
               "{\"z\":{\"dtype\":\"BF16\",\"shape\":[5],\"data_offsets\":[0,10]}}");
    put_header(in(root, "org/weighed/below/c.safetensors"), "{}");
    expect_body(QUERY, "[{\"id\":\"org/weighed\",\"modelId\":\"org/weighed\",\"safetensors\":"
                       "{\"parameters\":{\"BF16\":11,\"U32\":4},\"total\":15}}]");
    /* Half a count is none. */
    static const char *const BAD[] = {
        "{", "[]", "{\"z\":{\"dtype\":\"BF16\",\"shape\":[-1]}}",
        "{\"z\":{\"dtype\":3,\"shape\":[1]}}",
        "{\"z\":{\"dtype\":\"F32\",\"shape\":[99999999999,99999999999]}}"};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        put_header(in(root, "org/weighed/b.safetensors"), BAD[i]);
        expect_body(QUERY, "[{\"id\":\"org/weighed\",\"modelId\":\"org/weighed\"}]");
    }
    put_text(in(root, "org/weighed/b.safetensors"), "\xff\xff\xff\xff\xff\xff\xff\x7f{}");
    expect_body(QUERY, "[{\"id\":\"org/weighed\",\"modelId\":\"org/weighed\"}]");
    remove_all(in(root, "org/weighed"));
}

static void damaged(void **state)
{
    (void)state;
    const char *target = "/org/cached/resolve/main/damaged.bin";
    raw_reply reply = raw_ask(mlxe_mirror_url(mirror), "GET", target, NULL);
    assert_int_equal(reply.status, 200);
    assert_true(reply.body_bytes < 100000);
    raw_deinit(&reply);
    reply = raw_ask(mlxe_mirror_url(mirror), "GET", target, "Range: bytes=1-2\r\n");
    assert_int_equal(reply.status, 500);
    raw_deinit(&reply);
}

static int status_of(mlxe_mirror *m, const char *target, const char *headers, const char *want_code)
{
    char code[60];
    raw_reply reply = raw_ask(mlxe_mirror_url(m), "GET", target, headers);
    const char *said = raw_header(&reply, CODE, code, sizeof code);
    int status = reply.status;
    if (want_code) assert_string_equal(said ? said : "none", want_code);
    raw_deinit(&reply);
    return status;
}

/* What a client began to read it reads to the end, whatever becomes of the blob; and each request
 * is answered of what is on the disk then. */
static void changes_meanwhile(void **state)
{
    (void)state;
    static const char ASK[] = "GET /org/moving/resolve/main/large HTTP/1.1\r\nHost: localhost\r\n"
                              "Connection: close\r\n\r\n";
    enum { BYTES = 30000000 };
    char etag[65], other[65], some[4096], value[100];
    raw_reply reply;
    const char *repo = "models--org--moving";
    put_cached(root, repo, COMMIT_A, "large", BYTES, 5, CACHED_LFS, etag);
    put_text(in(root, "%s/refs/main", repo), COMMIT_A);
    reply = raw_ask(mlxe_mirror_url(mirror), "HEAD", "/org/moving/resolve/main/large", NULL);
    assert_string_equal(raw_header(&reply, "X-Repo-Commit", value, sizeof value), COMMIT_A);
    raw_deinit(&reply);
    int fd = raw_connect(mlxe_mirror_url(mirror));
    raw_send(fd, ASK, sizeof ASK - 1);
    ssize_t n = recv(fd, some, sizeof some, 0);
    assert_true(n > 0);
    /* 119: the blob goes, and another commit comes, while it is sent. */
    assert_int_equal(unlink(in(root, "%s/blobs/%s", repo, etag)), 0);
    put_cached(root, repo, COMMIT_B, "large", 1000, 6, CACHED_LFS, other);
    put_text(in(root, "%s/refs/main", repo), COMMIT_B);
    size_t came = (size_t)n;
    while ((n = recv(fd, some, sizeof some, 0)) > 0)
        came += (size_t)n;
    close(fd);
    assert_true(came > BYTES);
    /* 120: the branch moved between HEAD and GET: the commit asked for is what it was. */
    assert_int_equal(
        status_of(mirror, "/org/moving/resolve/" COMMIT_A "/large", "", "EntryNotFound"), 404);
    reply = raw_ask(mlxe_mirror_url(mirror), "GET", "/org/moving/resolve/main/large", NULL);
    assert_int_equal(reply.body_bytes, 1000);
    assert_string_equal(raw_header(&reply, "X-Repo-Commit", value, sizeof value), COMMIT_B);
    raw_deinit(&reply);
    remove_all(in(root, "%s", repo));
}

/* 127: a cache without links: etags are computed from the content, and the same each time. */
static void without_links(void **state)
{
    (void)state;
    char first[100], again[100], target[200];
    const char *repo = "models--org--unlinked";
    mlxe_mirror_params p = params();
    mlxe_mirror *m;
    put_text(in(root, "%s/snapshots/" COMMIT_A "/config.json", repo),
             "{\"model_type\":\"llama\"}\n");
    put_text(in(root, "%s/snapshots/" COMMIT_A "/.gitattributes", repo),
             "*.bin filter=lfs diff=lfs merge=lfs -text\n");
    put_text(in(root, "%s/snapshots/" COMMIT_A "/w.bin", repo), "hello");
    put_text(in(root, "%s/refs/main", repo), COMMIT_A);
    static const char *const WANT[][2] = {
        {"config.json", "\"479e18224e7827e7909c8a78f287e3306c1de8bb\""},
        {"w.bin", "\"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\""}};
    open_with(&p, &m);
    for (size_t i = 0; i < 2; i++) {
        snprintf(target, sizeof target, "/org/unlinked/resolve/main/%s", WANT[i][0]);
        raw_reply reply = raw_ask(mlxe_mirror_url(mirror), "HEAD", target, NULL);
        assert_non_null(raw_header(&reply, "ETag", first, sizeof first));
        raw_deinit(&reply);
        reply = raw_ask(mlxe_mirror_url(m), "GET", target, NULL);
        assert_non_null(raw_header(&reply, "ETag", again, sizeof again));
        raw_deinit(&reply);
        assert_string_equal(first, again);
        assert_string_equal(first, WANT[i][1]);
    }
    mlxe_mirror_close(m);
    remove_all(in(root, "%s", repo));
}

/* 123: links begin with what the client called the host, or with what the operator says. */
static void links_behind_a_prefix(void **state)
{
    (void)state;
    char link[400];
    mlxe_mirror_params p = params();
    mlxe_mirror *m;
    p.base_url = "https://models.example/hub";
    open_with(&p, &m);
    raw_reply reply = raw_ask(mlxe_mirror_url(m), "GET", "/api/models?limit=1", NULL);
    assert_non_null(raw_header(&reply, "Link", link, sizeof link));
    assert_int_equal(strncmp(link, "<https://models.example/hub/api/models?limit=1&cursor=", 53),
                     0);
    raw_deinit(&reply);
    reply =
        raw_ask(mlxe_mirror_url(mirror), "GET", "/api/models?limit=1", "Host: localhost:99\r\n");
    assert_non_null(raw_header(&reply, "Link", link, sizeof link));
    assert_int_equal(strncmp(link, "<http://localhost:99/api/models?", 32), 0);
    raw_deinit(&reply);
    mlxe_mirror_close(m);
}

static void same_after_restart(void **state)
{
    (void)state;
    char before[2][100], after[2][100];
    mlxe_mirror_params p = params();
    mlxe_mirror *again;
    raw_reply reply = raw_ask(mlxe_mirror_url(mirror), "HEAD", PLAIN "config.json", NULL);
    assert_non_null(raw_header(&reply, "ETag", before[0], sizeof before[0]));
    assert_non_null(raw_header(&reply, "Last-Modified", before[1], sizeof before[1]));
    raw_deinit(&reply);
    open_with(&p, &again);
    reply = raw_ask(mlxe_mirror_url(again), "HEAD", PLAIN "config.json", NULL);
    assert_non_null(raw_header(&reply, "ETag", after[0], sizeof after[0]));
    assert_non_null(raw_header(&reply, "Last-Modified", after[1], sizeof after[1]));
    raw_deinit(&reply);
    mlxe_mirror_close(again);
    assert_string_equal(before[0], after[0]);
    assert_string_equal(before[1], after[1]);
    assert_string_equal(before[0],
                        "\"479e18224e7827e7909c8a78f287e3306c1de8bb\""); /* git hash-object */
}

/* ---- access --------------------------------------------------------------------------------- */

static void tokens(void **state)
{
    (void)state;
    static const char *const GATED[] = {"org/c*"};
    const char *file = in(root, "tokens.txt");
    mlxe_mirror_params p = params();
    mlxe_mirror *m;
    put_text(file, "good\n\n# words\nother-good\r\n");
    p.token_file = file;
    open_with(&p, &m);
    assert_int_equal(status_of(m, API, "", "RepoNotFound"), 401);
    assert_int_equal(status_of(m, "/api/models", "", "RepoNotFound"), 401);
    assert_int_equal(status_of(m, MODEL, "Authorization: Bearer goo\r\n", "none"), 401);
    assert_int_equal(status_of(m, MODEL, "Authorization: Bearer goodx\r\n", "none"), 401);
    assert_int_equal(status_of(m, MODEL, "Authorization: Basic good\r\n", "none"), 401);
    assert_int_equal(status_of(m, MODEL, "Authorization: Bearer good\r\n", NULL), 200);
    assert_int_equal(status_of(m, API, "Authorization: bearer other-good\r\n", NULL), 200);
    assert_int_equal(status_of(m, "/api/whoami-v2", "Authorization: Bearer good\r\n", NULL), 200);
    mlxe_mirror_close(m);
    p.gated = GATED;
    p.n_gated = 1;
    open_with(&p, &m);
    assert_int_equal(status_of(m, MODEL, "", "GatedRepo"), 401);
    assert_int_equal(status_of(m, API "/auth-check", "", "GatedRepo"), 401);
    assert_int_equal(status_of(m, API, "", NULL), 200);
    assert_int_equal(status_of(m, PLAIN "config.json", "", NULL), 200);
    assert_int_equal(status_of(m, PLAIN "config.json", "Authorization: Bearer bad\r\n", NULL), 401);
    assert_int_equal(status_of(m, MODEL, "Authorization: Bearer good\r\n", NULL), 200);
    mlxe_mirror_close(m);
}

/* Without tokens what is gated is nobody's. */
static void gated_for_all(void **state)
{
    (void)state;
    static const char *const GATED[] = {"org/c*"};
    mlxe_mirror_params p = params();
    mlxe_mirror *m;
    p.gated = GATED;
    p.n_gated = 1;
    open_with(&p, &m);
    assert_int_equal(status_of(m, MODEL, "", "GatedRepo"), 401);
    assert_int_equal(status_of(m, MODEL, "Authorization: Bearer any\r\n", "GatedRepo"), 401);
    assert_int_equal(status_of(m, API, "", NULL), 200);
    assert_int_equal(status_of(m, PLAIN "config.json", "Authorization: Bearer any\r\n", NULL), 200);
    mlxe_mirror_close(m);
}

static void refusals(void **state)
{
    (void)state;
    mlxe_mirror_params p = params();
    mlxe_error err;
    mlxe_mirror *m = mirror;
    p.host = "0.0.0.0";
    assert_int_equal(mlxe_mirror_open(&p, &m, &err), MLXE_E_ARG);
    assert_null(m);
    assert_non_null(strstr(err.hint, "--anonymous"));
    p.anonymous = 1;
    open_with(&p, &m);
    mlxe_mirror_close(m);
    p = params();
    p.host = "example.org";
    assert_int_equal(mlxe_mirror_open(&p, &m, &err), MLXE_E_ARG);
    p = params();
    p.root = in(root, "nowhere");
    assert_int_equal(mlxe_mirror_open(&p, &m, &err), MLXE_E_NOT_FOUND);
    p = params();
    p.token_file = in(root, "empty-tokens");
    put_text(p.token_file, "\n");
    assert_int_equal(mlxe_mirror_open(&p, &m, &err), MLXE_E_CORRUPT);
    p = params();
    p.port = (uint32_t)strtoul(strrchr(mlxe_mirror_url(mirror), ':') + 1, NULL, 10);
    assert_int_equal(mlxe_mirror_open(&p, &m, &err), MLXE_E_IO);
}

/* ---- connections ---------------------------------------------------------------------------- */

/* Bytes as they are; the reply's status, 0: closed without one. */
static int ask_bytes(const char *text, size_t n)
{
    raw_reply reply;
    int fd = raw_connect(mlxe_mirror_url(mirror));
    raw_send(fd, text, n);
    shutdown(fd, SHUT_WR);
    raw_read(fd, &reply);
    int status = reply.status;
    raw_deinit(&reply);
    close(fd);
    return status;
}

/* Two requests in one packet: two answers, in order. */
static void pipelined(void)
{
    static const char BOTH[] =
        "GET /org/cached/resolve/main/none HTTP/1.1\r\nHost: localhost\r\n\r\n"
        "GET " PLAIN "config.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    raw_reply reply;
    int fd = raw_connect(mlxe_mirror_url(mirror));
    raw_send(fd, BOTH, sizeof BOTH - 1);
    raw_read(fd, &reply);
    assert_int_equal(reply.status, 404);
    const char *second = strstr(reply.body, "HTTP/1.1 200 ");
    assert_non_null(second);
    assert_non_null(strstr(second, "{\"model_type\":\"llama\"}\n"));
    raw_deinit(&reply);
    close(fd);
}

static void odd_requests(void **state)
{
    (void)state;
    buf text = {0};
    buf_add_str(&text, "GET /");
    for (int i = 0; i < 1 << 18; i++)
        buf_add_str(&text, "aaaa");
    buf_add_str(&text, " HTTP/1.1\r\nHost: localhost\r\n\r\n");
    int status = ask_bytes(text.p, text.n);
    assert_true(status == 0 || status >= 400);
    buf_deinit(&text);
    static const char TWO[] = "POST " API "/paths-info/main HTTP/1.1\r\nHost: localhost\r\n"
                              "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    status = ask_bytes(TWO, sizeof TWO - 1);
    assert_true(status == 0 || status >= 400);
    assert_true(ask_bytes("\0\0\0\r\n\r\n", 7) != 200);
    static const struct {
        const char *text;
        int status; /* 0: refused in any way, but not answered as asked */
    } ODD[] = {
        {"POST " API "/paths-info/main HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n"
         "Content-Length: 5\r\n\r\na=b",
         0}, /* two lengths */
        {"POST " API "/paths-info/main HTTP/1.1\r\nHost: localhost\r\nContent-Length: -3\r\n\r\n",
         0},
        {"GET " API " HTTP/1.0\r\n\r\n", 200}, /* no Host in 1.0 */
        {"GET " API " HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nConnection: close"
         "\r\n\r\n",
         100},
        {"GET " API " HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n\tfolded: c\r\nConnection: close"
         "\r\n\r\n",
         -1}, /* any answer */
        {"GET " API " HTTP/9.9\r\nHost: localhost\r\n\r\n", -1},
        {"GET http://localhost" API " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
         200}, /* as a proxy is asked */
        {"GET http://localhost HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404},
        {"gEt " API " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 0},
    };
    for (size_t i = 0; i < sizeof ODD / sizeof *ODD; i++) {
        status = ask_bytes(ODD[i].text, strlen(ODD[i].text));
        int good = ODD[i].status > 0    ? status == ODD[i].status
                   : ODD[i].status == 0 ? status == 0 || status >= 400
                                        : 1;
        if (!good) print_error("%s: status %d\n", ODD[i].text, status);
        assert_true(good);
    }
    buf_add_str(&text, "GET " API " HTTP/1.1\r\nHost: localhost\r\nX-Large: ");
    for (int i = 0; i < 1 << 16; i++)
        buf_add_char(&text, 'a');
    buf_add_str(&text, "\r\n\r\n");
    status = ask_bytes(text.p, text.n);
    assert_true(status == 0 || status >= 400);
    buf_deinit(&text);
    pipelined();
    /* and it lives */
    assert_int_equal(status_of(mirror, API, "", NULL), 200);
}

static size_t open_files(void)
{
    size_t n = 0;
    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* 300 clients that leave in the middle leave nothing behind. */
static void clients_that_leave(void **state)
{
    (void)state;
    static const char ASK[] = "GET " MODEL " HTTP/1.1\r\nHost: localhost\r\n\r\n";
    size_t before = open_files();
    for (int i = 0; i < 300; i++) {
        char some[100];
        int fd = raw_connect(mlxe_mirror_url(mirror));
        assert_true(fd >= 0);
        raw_send(fd, ASK, i % 3 ? sizeof ASK - 1 : 20);
        if (i % 3) (void)!recv(fd, some, sizeof some, 0);
        close(fd);
    }
    for (int tries = 0; tries < 100 && open_files() > before; tries++)
        nanosleep(&(const struct timespec){.tv_nsec = 20000000}, NULL);
    assert_true(open_files() <= before);
    assert_int_equal(status_of(mirror, API, "", NULL), 200);
}

/* Resident bytes of this process, the mirror's threads among them; 0: not known. */
static size_t resident_bytes(void)
{
    unsigned long all = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%lu %lu", &all, &resident) != 2) resident = 0;
    if (f) fclose(f);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* 100 that never end their headers and 100 that do not read: others are served meanwhile, and when
 * they leave nothing of them stays. */
static void many_slow_clients(void **state)
{
    (void)state;
    enum { CLIENTS = 200, ROUNDS = 3 };
    static const char ASK[] = "GET " MODEL " HTTP/1.1\r\nHost: localhost\r\n\r\n";
    int fds[CLIENTS];
    size_t files = open_files(), memory = 0;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < CLIENTS; i++) {
            fds[i] = raw_connect(mlxe_mirror_url(mirror));
            assert_true(fds[i] >= 0);
            raw_send(fds[i], ASK, i % 2 ? sizeof ASK - 1 : 30);
        }
        assert_int_equal(status_of(mirror, API, "", NULL), 200);
        for (int i = 0; i < CLIENTS; i++)
            close(fds[i]);
        for (int tries = 0; tries < 200 && open_files() > files; tries++)
            nanosleep(&(const struct timespec){.tv_nsec = 20000000}, NULL);
        assert_true(open_files() <= files);
        if (round == 0) memory = resident_bytes(); /* stacks and arenas that are kept */
    }
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* they keep what is freed */
    if (memory) assert_true(resident_bytes() < memory + (8 << 20));
#endif
    (void)memory;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows),
        cmocka_unit_test(listings),
        cmocka_unit_test(paths_info),
        cmocka_unit_test(pages),
        cmocka_unit_test(parameters),
        cmocka_unit_test(damaged),
        cmocka_unit_test(same_after_restart),
        cmocka_unit_test(changes_meanwhile),
        cmocka_unit_test(without_links),
        cmocka_unit_test(links_behind_a_prefix),
        cmocka_unit_test(tokens),
        cmocka_unit_test(gated_for_all),
        cmocka_unit_test(refusals),
        cmocka_unit_test(odd_requests),
        cmocka_unit_test(clients_that_leave),
        cmocka_unit_test(many_slow_clients),
    };
    return cmocka_run_group_tests(tests, make_root, drop_root);
}
