/* fuzz_json.c: base/json: what is read and written again reads as the same; strict is stricter. */
#include "base/json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Touches every value through the public calls. */
static void walk(const json *v)
{
    json_iter it = json_iterate(v);
    const json *key, *value;
    size_t n = 0;
    (void)json_float(v);
    (void)json_int(v);
    (void)json_bool(v);
    while (json_next(&it, &key, &value)) {
        if (key && !json_get_strv(v, json_str(key))) abort();
        if (n++ < 50) walk(value);
    }
    if (n != json_len(v)) abort();
}

static void getters(const json *v)
{
    mlxe_error err;
    int64_t i = 0;
    double f = 0.0;
    strv s = {NULL, 0};
    int b = 0;
    const json *other = NULL;
    json_get_int(v, "w", "a", -5, 1000, &i, &err);
    json_get_float(v, "w", "a", &f, &err);
    json_get_bool(v, "w", "a", &b, &err);
    json_get_str(v, "w: x", "a", &s, &err);
    json_get_array(v, "w", "a", &other, &err);
    json_get_object(v, "w", "a", &other, NULL);
    if (i < -5 || i > 1000) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    json_doc *d = NULL, *again = NULL;
    buf first = {0}, second = {0};
    mlxe_error err;
    mlxe_status strict = json_parse_unique("f", text, size, &again, &err);
    json_close(again);
    again = NULL;
    if (json_parse("f", text, size, &d, &err)) {
        /* A lone surrogate, NaN and depth are all that the strict form refuses on top. */
        if (!strict || d || !err.message[0]) abort();
        return 0;
    }
    if (size < 20000) walk(json_root(d));
    getters(json_root(d));
    json_write_value(&first, json_root(d));
    if (json_parse("f", first.p, first.n, &again, &err)) abort();
    json_write_value(&second, json_root(again));
    if (first.n != second.n || memcmp(first.p, second.p, first.n) != 0) abort();
    json_close(d);
    json_close(again);
    buf_deinit(&first);
    buf_deinit(&second);
    return 0;
}
