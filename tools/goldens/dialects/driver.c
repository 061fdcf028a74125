/* driver.c: reads answers through dialects line by line, for fresh.py.
 *
 * A line of standard input is {"dialect":NAME,"prompt":TEXT,"tools":[..] or null,"answer":TEXT,
 * "cuts":[bytes, ascending]}; the answer is {"events":[..],"lossless":true}, an event being
 * ["text",TEXT,REASON or null], ["reasoning",TEXT] or ["call",NAME,ID,{arguments}]. What stands
 * side by side and is of one kind is one event. Built from src/text/dialect*.c, src/text/dialects,
 * src/base and yyjson with -Isrc -Iinclude and the generated table of dialects. */
#include "text/dialect.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct outcome {
    buf raw, events, open;
    dialect_kind kind;
    int n;
} outcome;

static void end_open(outcome *o)
{
    if (!o->open.n) return;
    if (o->n++) buf_add_char(&o->events, ',');
    buf_add_str(&o->events, o->kind == DIALECT_TEXT ? "[\"text\"," : "[\"reasoning\",");
    json_write_str(&o->events, buf_view(&o->open));
    buf_add_str(&o->events, o->kind == DIALECT_TEXT ? ",null]" : "]");
    buf_clear(&o->open);
}

static void take(void *user, const dialect_event *e)
{
    outcome *o = user;
    buf_add_strv(&o->raw, e->raw);
    if (e->kind == DIALECT_MARKUP) return;
    if (e->kind != o->kind || e->kind == DIALECT_CALL || e->reason) end_open(o);
    o->kind = e->kind;
    if (e->kind != DIALECT_CALL && !e->reason) {
        buf_add_strv(&o->open, e->raw);
        return;
    }
    if (o->n++) buf_add_char(&o->events, ',');
    buf_add_str(&o->events, e->reason ? "[\"text\"," : "[\"call\",");
    json_write_str(&o->events, e->reason ? e->raw : e->name);
    buf_add_char(&o->events, ',');
    json_write_str(&o->events, e->reason ? strv_of(e->reason) : e->id);
    if (!e->reason) {
        json_doc *doc = NULL;
        buf_add_char(&o->events, ',');
        if (json_parse("arguments", e->arguments.p, e->arguments.n, &doc, NULL))
            buf_add_str(&o->events, "null");
        else
            json_write_value(&o->events, json_root(doc));
        json_close(doc);
    }
    buf_add_char(&o->events, ']');
}

static mlxe_status read_answer(const json *line, outcome *o, mlxe_error *err)
{
    const json *tools = json_get(line, "tools"), *cut;
    strv answer = json_str(json_get(line, "answer"));
    json_iter it = json_iterate(json_get(line, "cuts"));
    dialect_choice choice;
    dialect_parser *p = NULL;
    dialect_setup setup = {.choice = &choice,
                           .tools = json_is(tools, JSON_ARRAY) ? tools : NULL,
                           .prompt = json_str(json_get(line, "prompt")),
                           .fn = take,
                           .user = o};
    size_t at = 0;
    mlxe_status status = dialect_choose_named(json_str(json_get(line, "dialect")), &choice, err);
    if (!status) status = dialect_open(&setup, &p, err);
    while (!status && json_next(&it, NULL, &cut)) {
        size_t to = (size_t)json_int(cut);
        if (to < at || to > answer.n) continue;
        status = dialect_push(p, (strv){answer.p + at, to - at}, 0, err);
        at = to;
    }
    if (!status) status = dialect_push(p, (strv){answer.p + at, answer.n - at}, 0, err);
    if (!status) status = dialect_finish(p, err);
    dialect_close(p);
    end_open(o);
    return status;
}

int main(void)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    while ((n = getline(&line, &cap, stdin)) > 0) {
        mlxe_error err = {0};
        json_doc *doc = NULL;
        outcome o = {0};
        mlxe_status status = json_parse("line", line, (size_t)n, &doc, &err);
        if (!status) status = read_answer(json_root(doc), &o, &err);
        if (status)
            printf("{\"error\":\"%s\"}\n", mlxe_status_name(status));
        else
            printf("{\"events\":[%s],\"lossless\":%s}\n", buf_str(&o.events),
                   strv_eq(buf_view(&o.raw), json_str(json_get(json_root(doc), "answer")))
                       ? "true"
                       : "false");
        fflush(stdout);
        json_close(doc);
        buf_deinit(&o.raw);
        buf_deinit(&o.events);
        buf_deinit(&o.open);
    }
    free(line);
    return 0;
}
