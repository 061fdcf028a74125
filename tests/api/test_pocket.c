/* test_pocket.c: pocket-llm on held-out items through the public API, eight at a time in one batch:
 * the targets of its model card, with answers judged as zoo/training/pocket-llm/check.py does.
 *
 *   arithmetic >= 95 %, recall and recall over 1,500 tokens >= 95 %, JSON valid >= 98 %, tool call
 *   exact >= 95 %; judged on what they mean, so that a last-bit difference between
 *   machines fails nothing that a person would not call wrong.
 *
 * The model is opened by its Hub id: a mirror on loopback serves it. */
#define _XOPEN_SOURCE 700
#include "base/fs.h"
#include "base/json.h"
#include "held_out.h"
#include "mlxengine.h"
#include "pocket_hub.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifndef POCKET_ITEMS /* full_pocket.c takes all 100 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define POCKET_ITEMS 2 /* ten times slower there, and what the model knows is not the question */
#else
#define POCKET_ITEMS 25
#endif
#endif
enum { ROWS = 8, ITEMS = POCKET_ITEMS, KINDS = 5 };

static const struct {
    const char *category;
    int least; /* percent */
} TARGETS[KINDS] = {
    {"arithmetic", 95}, {"recall", 95}, {"recall_long", 95}, {"json", 98}, {"tool", 95}};

static mlxe_engine *engine;
static mlxe_model *model;
static pocket_hub hub;

static void ok(mlxe_status rc, const mlxe_error *err)
{
    if (rc) fail_msg("%s: %s", mlxe_status_name(rc), err->message);
}

static int setup(void **state)
{
    mlxe_engine_params ep = mlxe_engine_params_new();
    mlxe_model_params mp = mlxe_model_params_new();
    mlxe_error err;
    (void)state;
    ep.plugin_dir = MLXE_BUILD_DIR "/lib";
    mp.parallel = ROWS;
    if (pocket_hub_open(&hub)) return 1;
    if (mlxe_engine_open(&ep, &engine, &err) ||
        mlxe_model_open(engine, POCKET_LLM_ID, &mp, &model, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    return !pocket_hub_has(&hub, "pocket-llm");
}

static int teardown(void **state)
{
    (void)state;
    mlxe_model_close(model);
    mlxe_engine_close(engine);
    pocket_hub_close(&hub);
    return 0;
}

/* ---- judging --------------------------------------------------------------------------------- */

/* Values equal as JSON: written again, compact, in order. */
static int same_json(const json *a, const json *b)
{
    buf x = {0}, y = {0};
    int same;
    json_write_value(&x, a);
    json_write_value(&y, b);
    same = strv_eq(buf_view(&x), buf_view(&y));
    buf_deinit(&x);
    buf_deinit(&y);
    return same;
}

static int last_number(const char *text, long want)
{
    long found = -1;
    int any = 0;
    for (const char *p = text; *p;) {
        char *end;
        int minus =
            p[0] == '-' && p[1] >= '0' && p[1] <= '9' && (p == text || p[-1] != ' ' || p[1] == ' ');
        if (!minus && (*p < '0' || *p > '9')) {
            p++;
            continue;
        }
        found = strtol(p, &end, 10);
        any = 1;
        p = end;
    }
    return any && found == want;
}

static int contains_all(const json *list, const char *text)
{
    json_iter it = json_iterate(list);
    const json *key, *value;
    while (json_next(&it, &key, &value)) {
        buf word = {0};
        int found;
        buf_add_strv(&word, json_str(value));
        found = strstr(text, buf_str(&word)) != NULL;
        buf_deinit(&word);
        if (!found) return 0;
    }
    return 1;
}

static int type_right(strv type, const json *v)
{
    if (strv_is(type, "integer")) return json_is(v, JSON_INT);
    if (strv_is(type, "number")) return json_is(v, JSON_INT) || json_is(v, JSON_FLOAT);
    if (strv_is(type, "string")) return json_is(v, JSON_STRING);
    if (strv_is(type, "boolean")) return json_is(v, JSON_BOOL);
    if (strv_is(type, "array")) return json_is(v, JSON_ARRAY);
    return strv_is(type, "object") && json_is(v, JSON_OBJECT);
}

/* The part of JSON Schema that the items use. */
static int follows(const json *schema, const json *v)
{
    const json *properties = json_get(schema, "properties"), *choices = json_get(schema, "enum"),
               *key, *value;
    json_iter it;
    if (!type_right(json_str(json_get(schema, "type")), v)) return 0;
    if (choices) {
        int found = 0;
        it = json_iterate(choices);
        while (json_next(&it, &key, &value))
            found |= same_json(value, v);
        if (!found) return 0;
    }
    if (json_is(v, JSON_ARRAY)) {
        it = json_iterate(v);
        while (json_next(&it, &key, &value))
            if (!follows(json_get(schema, "items"), value)) return 0;
    }
    if (!json_is(v, JSON_OBJECT)) return 1;
    it = json_iterate(json_get(schema, "required"));
    while (json_next(&it, &key, &value))
        if (!json_get_strv(v, json_str(value))) return 0;
    it = json_iterate(v);
    while (json_next(&it, &key, &value)) {
        const json *part = json_get_strv(properties, json_str(key));
        if (!part || !follows(part, value)) return 0;
    }
    return 1;
}

static int json_right(const json *check, const char *text)
{
    json_doc *doc = NULL;
    mlxe_error err;
    int right = !json_parse("answer", text, strlen(text), &doc, &err) &&
                follows(json_get(check, "schema"), json_root(doc));
    json_close(doc);
    return right;
}

static int calls_right(const json *check, const char *text)
{
    static const char OPEN[] = "<tool_call>", CLOSE[] = "</tool_call>";
    json_iter it = json_iterate(json_get(check, "calls"));
    const json *key, *want;
    while (json_next(&it, &key, &want)) {
        const char *from = strstr(text, OPEN), *to = from ? strstr(from, CLOSE) : NULL;
        json_doc *doc = NULL;
        mlxe_error err;
        int right;
        if (!to) return 0;
        from += strlen(OPEN);
        right = !json_parse("call", from, (size_t)(to - from), &doc, &err) &&
                same_json(json_get(json_root(doc), "name"), json_get(want, "name")) &&
                same_json(json_get(json_root(doc), "arguments"), json_get(want, "arguments"));
        json_close(doc);
        if (!right) return 0;
        text = to + strlen(CLOSE);
    }
    return !strstr(text, OPEN);
}

static int right(const json *check, const char *text)
{
    strv type = json_str(json_get(check, "type"));
    if (strv_is(type, "number")) return last_number(text, (long)json_int(json_get(check, "value")));
    if (strv_is(type, "contains")) return contains_all(json_get(check, "all"), text);
    if (strv_is(type, "json")) return json_right(check, text);
    if (strv_is(type, "tool")) return calls_right(check, text);
    fail_msg("a check of unknown type %.*s", (int)type.n, type.p);
    return 0;
}

/* ---- running --------------------------------------------------------------------------------- */

typedef struct item {
    json_doc *doc;
    mlxe_session *session;
    mlxe_job *job;
    buf messages, tools;
    char *answer;
} item;

static void on_event(void *user, const mlxe_event *event)
{
    item *it = user;
    if (event->type == MLXE_EVENT_DONE) it->answer = strdup(event->text);
}

static void item_start(item *it)
{
    mlxe_gen_params p = mlxe_gen_params_new();
    const json *tools = json_get(json_root(it->doc), "tools");
    mlxe_error err;
    p.temperature = MLXE_GREEDY;
    p.max_tokens = 200;
    json_write_value(&it->messages, json_get(json_root(it->doc), "messages"));
    if (json_is(tools, JSON_ARRAY)) {
        json_write_value(&it->tools, tools);
        p.tools_json = buf_str(&it->tools);
    }
    ok(mlxe_session_open(model, NULL, &it->session, &err), &err);
    ok(mlxe_session_chat(it->session, buf_str(&it->messages), it->messages.n, &p, &it->job, &err),
       &err);
}

static int item_finish(item *it)
{
    mlxe_error err;
    int yes;
    ok(mlxe_job_run(it->job, on_event, it, &err), &err);
    yes = right(json_get(json_root(it->doc), "check"), it->answer);
    mlxe_job_close(it->job);
    mlxe_session_close(it->session);
    buf_deinit(&it->messages);
    buf_deinit(&it->tools);
    json_close(it->doc);
    free(it->answer);
    *it = (item){0};
    return yes;
}

static void held_out(void **state)
{
    buf file = {0};
    item items[KINDS * ITEMS] = {{0}};
    const int each = items_wanted(ITEMS);
    int kinds[KINDS * ITEMS], n = 0, seen[KINDS] = {0}, good[KINDS] = {0}, failed = 0;
    mlxe_error err;
    (void)state;
    ok(fs_read(MLXE_SOURCE_DIR "/zoo/training/pocket-llm/heldout.jsonl", 0, &file, &err), &err);
    for (char *line = file.p, *end; *line && n < KINDS * each; line = end + 1) {
        json_doc *doc;
        int kind = 0;
        end = strchr(line, '\n');
        assert_non_null(end);
        ok(json_parse("heldout.jsonl", line, (size_t)(end - line), &doc, &err), &err);
        while (kind < KINDS &&
               !strv_is(json_str(json_get(json_root(doc), "category")), TARGETS[kind].category))
            kind++;
        if (kind == KINDS || seen[kind] == each) {
            json_close(doc);
            continue;
        }
        seen[kind]++;
        kinds[n] = kind;
        items[n++].doc = doc;
    }
    for (int i = 0; i < n + ROWS; i++) {
        if (i >= ROWS && i - ROWS < n) good[kinds[i - ROWS]] += item_finish(&items[i - ROWS]);
        if (i < n) item_start(&items[i]);
    }
    for (int k = 0; k < KINDS; k++) {
        print_message("%-12s %d of %d\n", TARGETS[k].category, good[k], seen[k]);
        assert_int_equal(seen[k], each);
        failed += good[k] * 100 < TARGETS[k].least * seen[k];
    }
    assert_int_equal(failed, 0);
    buf_deinit(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(held_out)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
