/* fuzz_template.c: hostile template sources against one fixed request.
 *
 * What must hold: no crash, no leak, no hang; every failure is INPUT or LIMIT and leaves the output
 * as it was; what is written is well-formed UTF-8; rendering twice gives the same. */
#include "text/template/text.h"
#include "text/tmpl_internal.h"

#include <stdint.h>
#include <stdlib.h>

static const char REQUEST[] =
    "{\"messages\":[{\"role\":\"system\",\"content\":\"Be \\u00e9.\"},"
    "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hi <b>\"}]},"
    "{\"role\":\"assistant\",\"content\":null,\"reasoning\":\"r\",\"tool_calls\":[{\"id\":\"1\","
    "\"function\":{\"name\":\"f\",\"arguments\":{\"a\":[1,2.5,true,null,1e300]}}}]}],"
    "\"tools\":[{\"function\":{\"name\":\"f\",\"parameters\":{}}}],\"add_generation_prompt\":true,"
    "\"bos_token\":\"<s>\",\"s\":\"Hello wOrld\",\"n\":-7,\"x\":2.5,\"l\":[3,1,2],"
    "\"d\":{\"k\":1,\"items\":2},\"big\":123456789012345678901234567890,"
    "\"strftime_now\":\"2031-05-17T10:22:33\"}";

static const jj_limits SMALL = {200000, 16 << 20, 1 << 20, 300};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static json_doc *request;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    tmpl *t = NULL;
    buf out[2] = {{0}, {0}};
    mlxe_error err = {0};
    mlxe_status status[2];
    size_t bad;
    if (!request && json_parse("request", REQUEST, sizeof REQUEST - 1, &request, &err)) abort();
    status[0] = tmpl_open("t", (strv){(const char *)data, n}, &t, &err);
    if (status[0]) {
        if (t || (status[0] != MLXE_E_INPUT && status[0] != MLXE_E_LIMIT)) abort();
        return 0;
    }
    for (int i = 0; i < 2; i++) {
        status[i] = tmpl_render_limited(t, json_root(request), &SMALL, out + i, NULL, &err);
        if (status[i] && status[i] != MLXE_E_INPUT && status[i] != MLXE_E_LIMIT) abort();
        if (status[i] && out[i].n) abort();
    }
    if (status[0] != status[1] || !strv_eq(buf_view(out), buf_view(out + 1))) abort();
    if (!jj_utf8_ok(buf_view(out), &bad)) abort();
    buf_deinit(out);
    buf_deinit(out + 1);
    tmpl_close(t);
    return 0;
}
