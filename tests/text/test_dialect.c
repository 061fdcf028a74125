/* test_dialect.c: dialects against their cases, at every byte split; which template has which.
 *
 * tests/golden/dialects/NAME.case (its README.md says how they are written). For each way to cut
 * an answer the same text, reasoning, calls and reasons have to come out, and the raw texts of the
 * events have to be the answer again. */
#include "base/fs.h"
#include "text/dialect.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define CASES MLXE_SOURCE_DIR "/tests/golden/dialects"

typedef struct outcome {
    buf raw, text, reasoning, calls, reasons;
} outcome;

static void outcome_deinit(outcome *o)
{
    buf_deinit(&o->raw);
    buf_deinit(&o->text);
    buf_deinit(&o->reasoning);
    buf_deinit(&o->calls);
    buf_deinit(&o->reasons);
}

static void add_call(buf *b, strv name, strv id, strv arguments)
{
    buf_add_str(b, "call ");
    buf_add_strv(b, name);
    if (id.n) buf_add_char(b, ' ');
    buf_add_strv(b, id);
    buf_add_char(b, '\n');
    buf_add_strv(b, arguments);
    buf_add_char(b, '\n');
}

static void take(void *user, const dialect_event *e)
{
    outcome *o = user;
    buf_add_strv(&o->raw, e->raw);
    if (e->kind == DIALECT_TEXT) buf_add_strv(&o->text, e->raw);
    if (e->kind == DIALECT_REASONING) buf_add_strv(&o->reasoning, e->raw);
    if (e->kind == DIALECT_CALL) add_call(&o->calls, e->name, e->id, e->arguments);
    if (e->reason) buf_add_str(&o->reasons, e->reason);
}

/* ---- cases ----------------------------------------------------------------------------------- */

typedef struct one_case {
    const char *file;
    char title[128];
    strv in;
    buf prompt;
    json_doc *tools;
    strv source;     /* of a template that chooses; p NULL: the file's name does */
    int no_specials; /* not replayed with special tokens as tokens */
    outcome want;
} one_case;

static strv line_take(strv *rest)
{
    const char *end = memchr(rest->p, '\n', rest->n);
    size_t n = end ? (size_t)(end - rest->p) : rest->n;
    strv line = {rest->p, n};
    n += end != NULL;
    rest->p += n;
    rest->n -= n;
    return line;
}

/* The lines of a section: up to the next, without the last line end. */
static strv section_body(strv *rest)
{
    strv body = {rest->p, 0};
    while (rest->n && !strv_starts(*rest, STRV("--- ")) && !strv_starts(*rest, STRV("=== ")))
        line_take(rest);
    body.n = (size_t)(rest->p - body.p);
    if (body.n) body.n--;
    return body;
}

static void take_key(one_case *c, strv line)
{
    mlxe_error err = {0};
    if (strv_starts(line, STRV("prompt: "))) {
        for (size_t i = 8; i < line.n; i++) {
            int newline = line.p[i] == '\\' && i + 1 < line.n && line.p[i + 1] == 'n';
            buf_add_char(&c->prompt, newline ? '\n' : line.p[i]);
            i += (size_t)newline;
        }
    } else if (strv_starts(line, STRV("template: "))) {
        c->source = (strv){line.p + 10, line.n - 10};
    } else if (strv_is(line, "tools: none")) {
        json_close(c->tools);
        c->tools = NULL;
    } else if (strv_is(line, "specials: none")) {
        c->no_specials = 1;
    } else if (strv_starts(line, STRV("tools: "))) {
        json_close(c->tools);
        if (json_parse(c->title, line.p + 7, line.n - 7, &c->tools, &err))
            fail_msg("%s", err.message);
    } else
        fail_msg("%s: %s: unknown line: %.*s", c->file, c->title, (int)line.n, line.p);
}

/* A section `--- call NAME ID` and its body. */
static void take_call(one_case *c, strv head, strv body)
{
    size_t space = 0;
    strv name = {head.p + 5, head.n - 5}, id = {"", 0};
    while (space < name.n && name.p[space] != ' ')
        space++;
    if (space < name.n) id = (strv){name.p + space + 1, name.n - space - 1};
    name.n = space;
    add_call(&c->want.calls, name, id, body);
}

static int case_take(strv *rest, const char *file, one_case *c)
{
    strv line;
    *c = (one_case){.file = file};
    if (!rest->n) return 0;
    line = line_take(rest);
    assert_true(strv_starts(line, STRV("=== ")));
    snprintf(c->title, sizeof c->title, "%.*s", (int)line.n - 4, line.p + 4);
    assert_int_equal(json_parse("tools", "[]", 2, &c->tools, NULL), 0);
    while (rest->n && !strv_starts(*rest, STRV("--- ")))
        take_key(c, line_take(rest));
    while (strv_starts(*rest, STRV("--- "))) {
        strv head = line_take(rest), body;
        head = (strv){head.p + 4, head.n - 4};
        body = section_body(rest);
        if (strv_is(head, "in"))
            c->in = body;
        else if (strv_is(head, "text"))
            buf_add_strv(&c->want.text, body);
        else if (strv_is(head, "reasoning"))
            buf_add_strv(&c->want.reasoning, body);
        else if (strv_is(head, "reason"))
            buf_add_strv(&c->want.reasons, body);
        else if (strv_starts(head, STRV("call ")))
            take_call(c, head, body);
        else
            fail_msg("%s: %s: unknown section %.*s", file, c->title, (int)head.n, head.p);
    }
    return 1;
}

static void case_deinit(one_case *c)
{
    outcome_deinit(&c->want);
    buf_deinit(&c->prompt);
    json_close(c->tools);
}

/* ---- replaying ------------------------------------------------------------------------------- */

typedef struct replay {
    const one_case *c;
    const dialect_choice *choice;
    dialect_parser *parser;
    outcome got;
    unsigned *failures;
} replay;

static void begin(replay *r)
{
    mlxe_error err = {0};
    dialect_setup setup = {.choice = r->choice,
                           .tools = r->c->tools ? json_root(r->c->tools) : NULL,
                           .prompt = buf_view(&r->c->prompt),
                           .fn = take,
                           .user = &r->got};
    r->got = (outcome){0};
    if (dialect_open(&setup, &r->parser, &err)) fail_msg("%s", err.message);
}

static void push(replay *r, size_t from, size_t to, int special)
{
    mlxe_error err = {0};
    strv piece = {r->c->in.p + from, to - from};
    if (dialect_push(r->parser, piece, special, &err)) fail_msg("%s", err.message);
}

static void same(const replay *r, const char *what, const buf *got, strv want, const char *how,
                 size_t at)
{
    if (strv_eq(buf_view(got), want) || (*r->failures)++ > 20) return;
    print_message("%s: %s: %s, cut %s %zu:\n--- got\n%s\n--- want\n%.*s\n", r->c->file, r->c->title,
                  what, how, at, buf_str(got), (int)want.n, want.p);
}

static void end(replay *r, const char *how, size_t at)
{
    mlxe_error err = {0};
    const outcome *want = &r->c->want;
    if (dialect_finish(r->parser, &err)) fail_msg("%s", err.message);
    same(r, "bytes", &r->got.raw, r->c->in, how, at);
    same(r, "text", &r->got.text, buf_view(&want->text), how, at);
    same(r, "reasoning", &r->got.reasoning, buf_view(&want->reasoning), how, at);
    same(r, "calls", &r->got.calls, buf_view(&want->calls), how, at);
    if (!want->reasons.n != !r->got.reasons.n ||
        !strstr(buf_str(&r->got.reasons), buf_str(&want->reasons)))
        same(r, "reasons", &r->got.reasons, buf_view(&want->reasons), how, at);
    dialect_close(r->parser);
    outcome_deinit(&r->got);
}

/* The special token that begins at i, or 0. */
static size_t special_at(strv s, size_t i)
{
    static const char *const FORMS[][2] = {{"<|", "|>"}, {"<｜", "｜>"}, {"[TOOL_CALLS", "]"}};
    for (int k = 0; k < 3; k++) {
        const char *close;
        if (!strv_starts((strv){s.p + i, s.n - i}, strv_of(FORMS[k][0]))) continue;
        close = strstr(s.p + i + 2, FORMS[k][1]);
        if (close && close < s.p + s.n && close < s.p + i + 48)
            return (size_t)(close - s.p) - i + strlen(FORMS[k][1]);
    }
    return 0;
}

static void replay_tokens(replay *r)
{
    begin(r);
    for (size_t i = 0, n; i < r->c->in.n; i += n) {
        n = special_at(r->c->in, i);
        push(r, i, i + (n ? n : 1), n > 0);
        if (!n) n = 1;
    }
    end(r, "at special tokens", 0);
}

static void replay_all(const one_case *c, const dialect_choice *choice, unsigned *seed,
                       unsigned *failures)
{
    dialect_choice own;
    replay r = {.c = c, .choice = choice, .failures = failures};
    if (c->source.p) {
        dialect_choose(c->source, STRV(""), &own);
        assert_ptr_equal(own.dialect, choice->dialect);
        r.choice = &own;
    }
    for (size_t i = 0; i <= c->in.n; i++) {
        begin(&r);
        push(&r, 0, i, 0);
        push(&r, i, c->in.n, 0);
        end(&r, "at", i);
    }
    for (size_t width = 1; width <= 7; width += 2) {
        begin(&r);
        for (size_t i = 0; i < c->in.n; i += width)
            push(&r, i, i + width < c->in.n ? i + width : c->in.n, 0);
        end(&r, "every", width);
    }
    for (int k = 0; k < 20; k++) {
        begin(&r);
        for (size_t i = 0, n; i < c->in.n; i += n) {
            *seed = *seed * 1664525u + 1013904223u;
            n = 1 + (*seed >> 16) % 24;
            if (n > c->in.n - i) n = c->in.n - i;
            push(&r, i, i + n, 0);
        }
        end(&r, "at random", (size_t)k);
    }
    if (!c->no_specials) replay_tokens(&r);
}

static void every_case(void **state)
{
    DIR *dir = opendir(CASES);
    struct dirent *entry;
    unsigned seed = 1, cases = 0, files = 0, failures = 0;
    (void)state;
    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        strv name = strv_of(entry->d_name), rest;
        buf text = {0}, path = {0};
        mlxe_error err = {0};
        dialect_choice choice;
        one_case c;
        if (!strv_ends(name, STRV(".case"))) continue;
        if (fs_read(fs_join(&path, CASES, entry->d_name), 1 << 20, &text, &err) ||
            dialect_choose_named((strv){name.p, name.n - 5}, &choice, &err))
            fail_msg("%s", err.message);
        for (rest = buf_view(&text); case_take(&rest, entry->d_name, &c); cases++) {
            replay_all(&c, &choice, &seed, &failures);
            case_deinit(&c);
        }
        files++;
        buf_deinit(&text);
        buf_deinit(&path);
    }
    closedir(dir);
    print_message("%u cases of %u dialects\n", cases, files);
    assert_int_equal(failures, 0);
    assert_true(cases >= 174 && files >= 39);
}

/* ---- choosing -------------------------------------------------------------------------------- */

static void choosing(void **state)
{
    static const struct {
        const char *source, *tokens, *name, *end;
    } ROWS[] = {
        {"{{ messages }}", "", "plain", NULL},
        {"<tool_call>{{ x | tojson }}</tool_call>", "", "hermes", NULL},
        {"<tool_call>{{ x | tojson }}</tool_call>", "<think>\n</think>\n", "hermes", NULL},
        {"<tool_call>{% if x %}<think></think>{% endif %}", "", "hermes", "</think>"},
        {"<tool_call><function={{ n }}>", "", "xml_function", NULL},
        {"<tool_call>{{ n }}<arg_key>{{ k }}</arg_key><think>", "", "glm45", "</think>"},
        {"<|start_header_id|>", "<|python_tag|>", "plain", NULL},
        {"<|start_header_id|>{\"name\": f, \"parameters\": p}", "", "llama3_json", NULL},
        {"[INST]{{ x }}[/INST]", "[TOOL_CALLS]", "mistral", NULL},
        {"[INST][TOOL_CALLS][THINK]", "", "mistral", "[/THINK]"},
        {"<｜tool▁calls▁begin｜>", "", "deepseek", NULL},
        {"<|tool_list_start|>", "", "pythonic", NULL},
        {"<|channel|>x<|message|>", "", "harmony", "<|end|>"},
        {"<|start_of_role|><|tool_call|>", "", "granite", NULL},
        {"<|tool|>x<|/tool|>", "<|tool_call|>\n<|/tool_call|>", "phi", NULL},
        {"<|tool_calls_section_begin|>", "", "kimi_k2", NULL},
        {"<minimax:tool_call><invoke name=", "", "minimax", NULL},
        {"<|START_ACTION|>[", "", "command_r7b", "<|END_THINKING|>"},
        {"Action: ```json \"tool_name\" directly_answer", "", "command_r", NULL},
        {"<|observation|>", "", "glm4", NULL},
        {"{{ '<think>\\n' }}", "", "plain", "</think>"},
        {"'<TOOLCALL>[' <think>", "", "nemotron", "</think>"},
        {"[BEGIN FINAL RESPONSE] <tool_calls>[", "", "apriel", "[BEGIN FINAL RESPONSE]"},
        {"<|tools_prefix|> <|inner_prefix|>", "", "apertus", "<|inner_suffix|>"},
        {"functools[{", "", "firefunction", NULL},
        {"<|im_start|>", "<|action_start|>\n<|plugin|>", "internlm", NULL},
        {"'function call' <|role_sep|>", "", "gigachat", NULL},
        {"<|tool_call:begin|> <|think|>", "", "solar", "<|end|>"},
        {"'<|open|>' + tag '<|close|>' '<|sep|>'", "", "kimi_k3", "<|close|>think<|sep|>"},
        {">>>all\\n", "", "functionary", NULL},
        {"<|tool_call:start|> <|think:start|>", "", "solar", "<|think:end|>"},
        {"<longcat_tool_call> <longcat_think>", "", "longcat", "</longcat_think>"},
        {"<use_mcp_tool> <tool_call> <think>", "", "mirothinker", "</think>"},
        {"<｜tool_calls_begin｜><steptml:invoke", "", "step3", NULL},
        {"<think> <answer> <tool_calls>", "", "hunyuan", "</think>"},
        {"<tool_call:opensource>f<tool_sep:opensource> <think:opensource>", "", "hunyuan",
         "</think:opensource>"},
        {"]<]minimax[>[<tool_call> <mm:think>", "", "minimax_m3", "</mm:think>"},
        {"<function name=\"f\"><param name=", "", "minicpm5", NULL},
        {"<|message_model|>", "<|content_invoke_tool_json|>", "inkling", "<|end_message|>"},
        {"<function_call> {", "", "function_call", NULL},
        {"<dots_function_call>", "", "dots", NULL},
        {"[unused11] [unused12]", "", "pangu", "[unused17]"},
        {"assistant -> tool/function_call", "", "hyperclovax", "<|im_end|>\n<|im_start|>assistant"},
        {"<tool_call> </think> <response> </response>", "", "ernie", "</think>"},
        {"<｜GCML｜tool_calls>", "", "gigachat", NULL},
        {"<tool: bash>..</tool> <think>", "", "cwm", "</think>"},
        {"<|plamo:begin_tool_requests:plamo|>", "", "plamo3", NULL},
        {"**Tool Call:**", "", "rwkv", NULL},
        {"<tool_call>f<param_key>", "", "telechat", NULL},
        {"make calls in a single JSON array", "", "xlam", NULL},
        {"<iquestcoder_tool_call>f<arg_key>", "", "iquest_coder", NULL},
        {"<ifm|tool_calls> <ifm|think>", "", "k2_horizon", "</ifm|think>"},
        {"<atem:function_calls> to=self<|message|>", "", "muse", "<|eom|>"},
        {"'<tool_calls:' + x + '><arg_key:' <think:6124c78e>", "", "hunyuan", "</think:6124c78e>"},
        {"<iquest_tool_call>f<arg_key>", "", "iquest_coder", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        dialect_choice choice;
        dialect_choose(strv_of(ROWS[i].source), strv_of(ROWS[i].tokens), &choice);
        if (strcmp(dialect_name(choice.dialect), ROWS[i].name) != 0)
            fail_msg("%s: got %s (%s), want %s", ROWS[i].source, dialect_name(choice.dialect),
                     choice.why, ROWS[i].name);
        if (ROWS[i].end)
            assert_string_equal(choice.end, ROWS[i].end);
        else
            assert_null(choice.end);
        assert_true(choice.why[0]);
    }
}

static void unknown_name(void **state)
{
    mlxe_error err = {0};
    dialect_choice choice;
    (void)state;
    assert_int_equal(dialect_choose_named(STRV("hermit"), &choice, &err), MLXE_E_ARG);
    assert_non_null(strstr(err.message, "hermit"));
    assert_non_null(strstr(err.message, "command_r, "));
}

/* A special token that no marker knows is not text; a marker's is. */
static void special_tokens(void **state)
{
    mlxe_error err = {0};
    dialect_choice choice;
    outcome got = {0};
    dialect_setup setup = {.choice = &choice, .fn = take, .user = &got};
    dialect_parser *p;
    json_doc *tools;
    (void)state;
    assert_int_equal(json_parse("tools", "[]", 2, &tools, &err), 0);
    setup.tools = json_root(tools);
    assert_int_equal(dialect_choose_named(STRV("llama3_json"), &choice, &err), 0);
    assert_int_equal(dialect_open(&setup, &p, &err), 0);
    assert_int_equal(dialect_push(p, STRV("Hi <"), 0, &err), 0);
    assert_int_equal(dialect_push(p, STRV("<|reserved|>"), 1, &err), 0);
    assert_int_equal(dialect_push(p, STRV(" you "), 0, &err), 0);
    assert_int_equal(dialect_push(p, STRV("<|python_tag|>"), 1, &err), 0);
    assert_int_equal(dialect_push(p, STRV("f.call(x=1)"), 0, &err), 0);
    assert_int_equal(dialect_finish(p, &err), 0);
    assert_int_equal(dialect_calls(p), 1);
    assert_string_equal(buf_str(&got.text), "Hi < you");
    assert_string_equal(buf_str(&got.calls), "call f\n{\"x\": 1}\n");
    assert_string_equal(buf_str(&got.raw), "Hi <<|reserved|> you <|python_tag|>f.call(x=1)");
    dialect_close(p);
    outcome_deinit(&got);
    json_close(tools);
}

/* Long bodies and long white space cost what their length says. */
static void linear(void **state)
{
    mlxe_error err = {0};
    dialect_choice choice;
    outcome got = {0};
    dialect_setup setup = {.choice = &choice, .fn = take, .user = &got};
    dialect_parser *p;
    json_doc *tools;
    enum { N = 1 << 20 };
    (void)state;
    assert_int_equal(json_parse("tools", "[]", 2, &tools, &err), 0);
    setup.tools = json_root(tools);
    assert_int_equal(dialect_choose_named(STRV("hermes"), &choice, &err), 0);
    assert_int_equal(dialect_open(&setup, &p, &err), 0);
    for (int i = 0; i < N; i++)
        assert_int_equal(dialect_push(p, STRV(" "), 0, &err), 0);
    assert_int_equal(
        dialect_push(p, STRV("<tool_call>{\"name\":\"a\",\"arguments\":{\"x\":\""), 0, &err), 0);
    for (int i = 0; i < N; i++)
        assert_int_equal(dialect_push(p, STRV("<"), 0, &err), 0);
    assert_int_equal(dialect_push(p, STRV("\"}}</tool_call>"), 0, &err), 0);
    assert_int_equal(dialect_finish(p, &err), 0);
    assert_int_equal(dialect_calls(p), 1);
    assert_int_equal(got.text.n, N - 64); /* the rest was held back, and is markup */
    dialect_close(p);
    outcome_deinit(&got);
    json_close(tools);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case),   cmocka_unit_test(choosing),
        cmocka_unit_test(unknown_name), cmocka_unit_test(special_tokens),
        cmocka_unit_test(linear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
