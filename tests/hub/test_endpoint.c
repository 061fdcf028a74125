/* test_endpoint.c: the client against a Hub that is really there: MLXE_TEST_ENDPOINT=https://...
 * (and MLXE_TEST_MODEL, a small public model). Without the variable it is skipped. */
#define _XOPEN_SOURCE 700
#include "hub/hub.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static int count(void *user, const char *text, size_t bytes)
{
    (void)text;
    *(size_t *)user += bytes > 0;
    return 0;
}

static void a_small_model(void **state)
{
    const char *endpoint = getenv("MLXE_TEST_ENDPOINT"), *model = getenv("MLXE_TEST_MODEL");
    char folder[] = "/tmp/mlxe-endpoint-XXXXXX", command[120];
    hub_settings settings = {.endpoint = endpoint};
    hub_repo repo = {HUB_MODEL, model ? model : "hf-internal-testing/tiny-random-gpt2", NULL},
             none = {HUB_MODEL, "mlxengine/no-such-model-here", NULL};
    hub_query query = {.search = strchr(repo.id, '/') + 1, .limit = 5};
    hub_want want = {0};
    hub_got got;
    mlxe_error err = {0};
    buf path = {0};
    size_t found = 0;
    hub *h;
    (void)state;
    if (!endpoint) {
        print_message("skipped: needs MLXE_TEST_ENDPOINT\n");
        skip();
    }
    assert_non_null(mkdtemp(folder));
    settings.cache = folder;
    assert_int_equal(hub_open(&settings, &h, &err), MLXE_OK);
    if (hub_search(h, &query, NULL, count, &found, &err)) fail_msg("%s", err.message);
    assert_in_range(found, 1, 5);
    if (hub_snapshot(h, &repo, &want, NULL, &path, &got, &err)) fail_msg("%s", err.message);
    assert_true(got.files > 0 && got.downloaded_bytes > 0 && !got.from_cache);
    if (hub_snapshot(h, &repo, &want, NULL, &path, &got, &err)) fail_msg("%s", err.message);
    assert_int_equal(got.downloaded_bytes, 0);
    assert_int_equal(hub_snapshot(h, &none, &want, NULL, &path, &got, &err), MLXE_E_NOT_FOUND);
    hub_close(h);
    settings.offline = 1;
    assert_int_equal(hub_open(&settings, &h, &err), MLXE_OK);
    if (hub_snapshot(h, &repo, &want, NULL, &path, &got, &err)) fail_msg("%s", err.message);
    assert_true(got.from_cache);
    hub_close(h);
    buf_deinit(&path);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_small_model)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
