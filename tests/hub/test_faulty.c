/* test_faulty.c: the faulty server does what its script says: the client's tests rest on that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "faulty.h"
#include "http_raw.h"

#define COMMIT   "0123456789abcdef0123456789abcdef01234567"
#define FILE_URL "/org/m/resolve/main/model.safetensors"

static faulty *server;

static int open_server(void **state)
{
    (void)state;
    return faulty_open(&server);
}

static int close_server(void **state)
{
    (void)state;
    faulty_close(server);
    return 0;
}

static void script(const char *text)
{
    char message[300] = "";
    int failed = faulty_script(server, text, message, sizeof message);
    assert_string_equal(message, "");
    assert_int_equal(failed, 0);
}

static void start(const char *more)
{
    faulty_forget(server);
    script("repo org/m " COMMIT "\n"
           "file model.safetensors 100000 lfs seed=7\n"
           "text config.json \"{}\\n\"\n");
    script(more);
}

static raw_reply ask(const char *method, const char *target, const char *headers)
{
    return raw_ask(faulty_url(server, FAULTY_SELF), method, target, headers);
}

/* Asks and checks status and number of body bytes. */
static void expect(const char *target, const char *headers, int status, size_t bytes)
{
    raw_reply reply = ask("GET", target, headers);
    assert_int_equal(reply.status, status);
    assert_int_equal(reply.body_bytes, bytes);
    raw_deinit(&reply);
}

static void right_without_rules(void **state)
{
    (void)state;
    char value[300];
    size_t n;
    start("");
    raw_reply reply = ask("GET", FILE_URL, NULL);
    const unsigned char *data = faulty_file(server, "org/m", "model.safetensors", &n);
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.body_bytes, n);
    assert_memory_equal(reply.body, data, n);
    assert_string_equal(raw_header(&reply, "X-Repo-Commit", value, sizeof value), COMMIT);
    assert_string_equal(raw_header(&reply, "X-Linked-Size", value, sizeof value), "100000");
    raw_deinit(&reply);
    /* git's own name for the blob of "{}\n" */
    assert_string_equal(faulty_etag(server, "org/m", "config.json"),
                        "0967ef424bce6791893e9a57bb952f80fd536e93");
    expect(FILE_URL, "Range: bytes=99990-\r\n", 206, 10);
    expect(FILE_URL, "Range: bytes=100000-\r\n", 416, 0);
    expect(FILE_URL, "Range: bytes=0-9\r\nIf-Range: \"other\"\r\n", 200, 100000);
    reply = ask("GET", "/org/m/resolve/main/none", NULL);
    assert_int_equal(reply.status, 404);
    assert_string_equal(raw_header(&reply, "X-Error-Code", value, sizeof value), "EntryNotFound");
    raw_deinit(&reply);
    assert_int_equal(faulty_count(server, "GET", "*model.safetensors"), 4);
    assert_int_equal(faulty_sent(server, "GET", "*model.safetensors"), 200010);
}

static void faults(void **state)
{
    (void)state;
    start("on GET *.safetensors times=1 cut=1000\n"
          "on GET *.safetensors times=1 skip=1 status=503\n"
          "on GET *.safetensors times=1 corrupt=5\n"
          "on GET *.safetensors times=1 range=0\n"
          "on GET *.safetensors times=1 range=ignore\n");
    expect(FILE_URL, NULL, 200, 1000);
    expect(FILE_URL, NULL, 200, 100000); /* passed by the second rule, taken by the third */
    expect(FILE_URL, NULL, 503, strlen("{\"error\":\"status 503\"}"));
    expect(FILE_URL, "Range: bytes=10-\r\n", 206, 100000);
    expect(FILE_URL, "Range: bytes=10-\r\n", 200, 100000);
    expect(FILE_URL, "Range: bytes=10-\r\n", 206, 99990);
}

static void corrupt_is_one_byte(void **state)
{
    (void)state;
    start("on GET *.safetensors corrupt=50001\n");
    raw_reply reply = ask("GET", FILE_URL, "Range: bytes=50000-\r\n");
    const unsigned char *data = faulty_file(server, "org/m", "model.safetensors", NULL);
    assert_int_equal(reply.body_bytes, 50000);
    assert_int_equal((unsigned char)reply.body[0], data[50000]);
    assert_int_equal((unsigned char)reply.body[1], data[50001] ^ 0xff);
    assert_memory_equal(reply.body + 2, data + 50002, 49998);
    raw_deinit(&reply);
}

static void signed_links_expire(void **state)
{
    (void)state;
    char link[600];
    start("on HEAD *.safetensors sign=1\n");
    raw_reply reply = ask("HEAD", FILE_URL, NULL);
    assert_int_equal(reply.status, 302);
    assert_non_null(raw_header(&reply, "Location", link, sizeof link));
    raw_deinit(&reply);
    const char *other = faulty_url(server, FAULTY_OTHER);
    assert_int_equal(strncmp(link, other, strlen(other)), 0);
    for (int i = 0; i < 2; i++) {
        reply = raw_ask(other, "GET", link + strlen(other), NULL);
        assert_int_equal(reply.status, i == 0 ? 200 : 403);
        assert_null(raw_header(&reply, "X-Repo-Commit", link + 500, 100));
        raw_deinit(&reply);
    }
}

static void pages_and_variables(void **state)
{
    (void)state;
    char value[600], want[600];
    start("page 1\non GET /go redirect={other}{path}?a={n}\n");
    raw_reply reply = ask("GET", "/api/models/org/m/tree/main?recursive=true", NULL);
    assert_int_equal(reply.status, 200);
    snprintf(want, sizeof want,
             "<%s/api/models/org/m/tree/main?recursive=true&cursor=1>; rel=\"next\"",
             faulty_url(server, FAULTY_SELF));
    assert_string_equal(raw_header(&reply, "Link", value, sizeof value), want);
    raw_deinit(&reply);
    reply = ask("GET", "/go", NULL);
    snprintf(want, sizeof want, "%s/go?a=1", faulty_url(server, FAULTY_OTHER));
    assert_string_equal(raw_header(&reply, "Location", value, sizeof value), want);
    raw_deinit(&reply);
}

static void scripts_are_checked(void **state)
{
    (void)state;
    char message[300];
    faulty_forget(server);
    assert_int_equal(faulty_script(server, "repo a b\nfoo\n", message, sizeof message), -1);
    assert_string_equal(message, "line 2: foo: no such statement");
    assert_int_equal(faulty_script(server, "on GET * cot=1\n", message, sizeof message), -1);
    assert_int_equal(faulty_script(server, "file x 1\n\"a", message, sizeof message), -1);
    assert_true(faulty_glob("*/a*c", "x/y/abbc"));
    assert_false(faulty_glob("*/a*c", "x/y/abbd"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_without_rules), cmocka_unit_test(faults),
        cmocka_unit_test(corrupt_is_one_byte), cmocka_unit_test(signed_links_expire),
        cmocka_unit_test(pages_and_variables), cmocka_unit_test(scripts_are_checked),
    };
    return cmocka_run_group_tests(tests, open_server, close_server);
}
