/* hub_json.c: the limits that JSON of a server must keep before it is parsed at all.
 *
 * Owns: the depth limit, checked on the text so that no parser ever sees more. */
#include "hub/hub_json.h"

/* Levels of nesting of text that may be no JSON at all; brackets in strings do not count. */
static int too_deep(const char *text, size_t bytes)
{
    int depth = 0, in_string = 0;
    for (size_t i = 0; i < bytes; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = 0;
        } else if (c == '"') {
            in_string = 1;
        } else if (c == '[' || c == '{') {
            if (++depth > HUB_JSON_DEPTH) return 1;
        } else if (c == ']' || c == '}') {
            depth--;
        }
    }
    return 0;
}

mlxe_status hub_json_parse(const char *where, const char *text, size_t bytes, json_doc **out,
                           mlxe_error *err)
{
    mlxe_status rc;
    *out = NULL;
    if (strv_starts(strv_from(text, bytes), STRV("\xEF\xBB\xBF"))) { /* a byte order mark */
        text += 3;
        bytes -= 3;
    }
    if (bytes && memchr(text, 0, bytes))
        return err_set(err, MLXE_E_CORRUPT, "%s: the answer holds a NUL byte, want JSON", where);
    if (too_deep(text, bytes))
        return err_set(err, MLXE_E_CORRUPT, "%s: the answer nests deeper than %d levels", where,
                       HUB_JSON_DEPTH);
    rc = json_parse_unique(where, text, bytes, out, err);
    if (rc && rc != MLXE_E_MEMORY) {
        rc = MLXE_E_CORRUPT;
        if (err) err->code = rc;
    }
    return rc;
}

static mlxe_status wrong(const json *v, const char *where, const char *key, const char *want,
                         mlxe_error *err)
{
    return err_set(err, MLXE_E_CORRUPT, "%s: \"%s\" is %s, want %s", where, key,
                   v ? json_type_name(json_typeof(v)) : "absent", want);
}

mlxe_status hub_json_str(const json *object, const char *where, const char *key, strv *out,
                         mlxe_error *err)
{
    const json *v = json_get(object, key);
    if (!json_is(v, JSON_STRING)) return wrong(v, where, key, "a string", err);
    *out = json_str(v);
    return MLXE_OK;
}

mlxe_status hub_json_size(const json *object, const char *where, const char *key, uint64_t *out,
                          mlxe_error *err)
{
    const json *v = json_get(object, key);
    if (!json_is(v, JSON_INT)) return wrong(v, where, key, "an integer from 0 to 2^63-1", err);
    if (json_int(v) < 0) return err_set(err, MLXE_E_CORRUPT, "%s: \"%s\" is negative", where, key);
    *out = (uint64_t)json_int(v);
    return MLXE_OK;
}
