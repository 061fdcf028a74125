/* fuzz_dialect.c: any answer through any dialect, cut anywhere.
 *
 * The first line names the dialect (where it names none, its first byte picks one and the line is
 * part of what follows). Then byte 0 says whether tools are declared, byte 1 how the answer is
 * cut, the rest is the answer. What must hold: no crash, no leak, no hang; the raw texts of the
 * events are the answer again; however it is cut, text, reasoning and calls are the same;
 * arguments are JSON objects. */
#include "text/dialect.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

typedef struct outcome {
    buf raw, told;
    dialect_kind last;
} outcome;

/* Pieces of one kind are one: how an answer is cut decides only how many there are. */
static void take(void *user, const dialect_event *e)
{
    outcome *o = user;
    json_doc *doc = NULL;
    buf_add_strv(&o->raw, e->raw);
    if (e->kind == DIALECT_MARKUP) return;
    if (e->kind != o->last || e->kind == DIALECT_CALL || e->reason)
        buf_addf(&o->told, "\n%d:", e->kind);
    o->last = e->reason ? 0 : e->kind;
    if (e->kind != DIALECT_CALL) {
        buf_add_strv(&o->told, e->raw);
        return;
    }
    if (!e->name.n || json_parse("arguments", e->arguments.p, e->arguments.n, &doc, NULL) ||
        !json_is(json_root(doc), JSON_OBJECT))
        abort();
    json_close(doc);
    buf_add_strv(&o->told, e->name);
    buf_add_char(&o->told, ' ');
    buf_add_strv(&o->told, e->arguments);
}

/* width 0: whole */
static void read_answer(const dialect_choice *choice, const json *tools, strv answer, size_t width,
                        outcome *o)
{
    dialect_parser *p;
    dialect_setup setup = {.choice = choice, .tools = tools, .fn = take, .user = o};
    mlxe_error err;
    if (dialect_open(&setup, &p, &err)) abort();
    for (size_t i = 0, part; i < answer.n; i += part) {
        part = width && width < answer.n - i ? width : answer.n - i;
        if (dialect_push(p, (strv){answer.p + i, part}, 0, &err)) abort();
    }
    if (dialect_finish(p, &err)) abort();
    dialect_close(p);
    if (!strv_eq(buf_view(&o->raw), answer)) abort();
}

/* The one that the first line names, which is then taken off; else the byte'th of all. */
static void choose(strv *in, dialect_choice *choice)
{
    const char *end = memchr(in->p, '\n', in->n);
    strv name = {in->p, end ? (size_t)(end - in->p) : 0};
    buf names = {0};
    size_t which = 0, commas = 0;
    if (end && !dialect_choose_named(name, choice, NULL)) {
        *in = (strv){end + 1, in->n - name.n - 1};
        return;
    }
    dialect_names(&names);
    for (size_t i = 0; i < names.n; i++)
        commas += names.p[i] == ',';
    which = (unsigned char)in->p[0] % (commas + 1);
    name = buf_view(&names);
    for (; which; which--) {
        const char *comma = strchr(name.p, ',');
        name.n -= (size_t)(comma + 2 - name.p);
        name.p = comma + 2;
    }
    if (memchr(name.p, ',', name.n)) name.n = (size_t)(strchr(name.p, ',') - name.p);
    if (dialect_choose_named(name, choice, NULL)) abort();
    buf_deinit(&names);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char TOOLS[] =
        "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{"
        "\"properties\":{\"n\":{\"type\":\"integer\"},\"m\":{\"anyOf\":[{\"type\":\"array\"},"
        "{\"type\":\"null\"}]}}}}}]";
    dialect_choice choice;
    json_doc *tools;
    strv in = {(const char *)data, n}, answer;
    outcome whole = {0}, parts = {0};
    const json *declared;
    if (n < 1) return 0;
    choose(&in, &choice);
    if (in.n < 2) return 0;
    answer = (strv){in.p + 2, in.n - 2};
    if (json_parse("tools", TOOLS, sizeof TOOLS - 1, &tools, NULL)) abort();
    declared = in.p[0] & 1 ? NULL : json_root(tools);
    read_answer(&choice, declared, answer, 0, &whole);
    read_answer(&choice, declared, answer, 1 + (unsigned char)in.p[1] % 32, &parts);
    if (!strv_eq(buf_view(&whole.told), buf_view(&parts.told))) abort();
    json_close(tools);
    buf_deinit(&whole.raw);
    buf_deinit(&whole.told);
    buf_deinit(&parts.raw);
    buf_deinit(&parts.told);
    return 0;
}
