/* chat.c: the interactive chat: messages and commands in, streamed answers out.
 *
 *   > message          answered; Ctrl-C stops the answer and keeps what was said
 *   > /command         never reaches the model
 *
 * One session holds the conversation. Its transcript is kept here as well, for /save. */
#include "chat.h"

#include "editor.h"
#include "interrupt.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct message {
    const char *role;
    char *text;
    size_t bytes;
} message;

typedef struct chat {
    const cli_call *call;
    mlxe_model *model;
    const char *tools;
    tool_runner *runner;
    mlxe_session *session;
    editor *editor;
    char *system; /* NULL: none */
    message *messages;
    size_t n_messages;
    int have_stats;
    mlxe_stats stats;
} chat;

/* ---- the conversation ----------------------------------------------------------------------- */

static void transcript_add(chat *c, const char *role, const char *text, size_t bytes)
{
    c->messages = cli_realloc(c->messages, (c->n_messages + 1) * sizeof *c->messages);
    c->messages[c->n_messages++] = (message){role, cli_copy(text, bytes), bytes};
}

static void transcript_clear(chat *c)
{
    for (size_t i = 0; i < c->n_messages; i++)
        free(c->messages[i].text);
    c->n_messages = 0;
}

static mlxe_status start_session(chat *c, mlxe_error *err)
{
    mlxe_session_params params = mlxe_session_params_new();
    mlxe_session *fresh;
    params.system = c->system;
    mlxe_status status = mlxe_session_open(c->model, &params, &fresh, err);
    if (status) return status;
    mlxe_session_close(c->session);
    c->session = fresh;
    transcript_clear(c);
    return MLXE_OK;
}

static void answer(chat *c, const cli_text *text)
{
    const cli_value *v = c->call->values;
    cli_text whole = {0};
    mlxe_job *job;
    mlxe_error err;
    gen_sink sink = {.whole = &whole};
    gen_request request = {
        .values = v, .tools = c->tools, .prompt = text->data, .prompt_bytes = text->bytes};
    cli_text_add(&whole, "", 0);
    interrupt_clear();
    editor_echo_off(c->editor);
    mlxe_status status;
    if (c->runner->doc) {
        status = tool_answer(c->runner, c->session, &request, &sink, &err);
    } else {
        status = gen_start(c->session, &request, &job, &err);
        if (status == MLXE_OK) status = gen_stream(job, &sink, &err);
    }
    editor_echo_on(c->editor);
    if (whole.bytes > 0 && whole.data[whole.bytes - 1] != '\n') out_string("\n");
    out_flush();
    if (sink.have_stats) {
        c->have_stats = 1;
        c->stats = sink.stats;
        transcript_add(c, "user", text->data, text->bytes);
        transcript_add(c, "assistant", whole.data, whole.bytes);
        if (sink.stats.finish == MLXE_FINISH_CANCELLED)
            note("stopped; what was said stays in the conversation");
        if (v[GEN_STATS].set) gen_stats_print(&sink.stats);
    }
    if (status) {
        cli_fail(NULL, &err);
        if (err.code == MLXE_E_LIMIT) note("/reset starts afresh");
    }
    interrupt_clear();
    cli_text_deinit(&whole);
}

/* ---- commands ------------------------------------------------------------------------------- */

/* Each gets what follows its name; -> 1: the chat ends. */
static int do_help(chat *c, const char *rest);

static int do_reset(chat *c, const char *rest)
{
    mlxe_error err;
    (void)rest;
    if (mlxe_session_reset(c->session, &err)) {
        cli_fail(NULL, &err);
        return 0;
    }
    transcript_clear(c);
    note("the conversation is forgotten");
    return 0;
}

static int do_system(chat *c, const char *rest)
{
    mlxe_error err;
    if (!rest[0]) {
        note("system message: %s", c->system ? c->system : "none");
        return 0;
    }
    char *old = c->system;
    c->system = strcmp(rest, "-") == 0 ? NULL : cli_copy(rest, strlen(rest));
    if (start_session(c, &err)) {
        cli_fail(NULL, &err);
        free(c->system);
        c->system = old;
        return 0;
    }
    free(old);
    note("system message set; the conversation starts afresh");
    return 0;
}

static int do_stats(chat *c, const char *rest)
{
    (void)rest;
    if (c->have_stats)
        gen_stats_print(&c->stats);
    else
        note("no answer yet");
    return 0;
}

static char *transcript_json(const chat *c, size_t *bytes)
{
    yyjson_mut_doc *doc = json_new();
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, yyjson_mut_doc_get_root(doc), "messages");
    for (size_t i = 0; i < c->n_messages + (c->system != NULL); i++) {
        size_t at = i - (c->system != NULL);
        int is_system = c->system && i == 0;
        yyjson_mut_val *row = yyjson_mut_arr_add_obj(doc, list);
        const char *text = is_system ? c->system : c->messages[at].text;
        size_t n = is_system ? strlen(c->system) : c->messages[at].bytes;
        json_add_string(doc, row, "role", is_system ? "system" : c->messages[at].role);
        yyjson_mut_obj_add_val(doc, row, "content", json_string(doc, text, n));
    }
    char *text = yyjson_mut_write(doc, YYJSON_WRITE_PRETTY | YYJSON_WRITE_NEWLINE_AT_END, bytes);
    yyjson_mut_doc_free(doc);
    return text;
}

static int do_save(chat *c, const char *rest)
{
    size_t bytes = 0;
    if (!rest[0]) {
        note("/save FILE: writes the conversation as JSON");
        return 0;
    }
    /* A chat holds private things, and a slip of the finger must not cost a file. */
    int fd = open(rest, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        note("%s: %s", rest, strerror(errno));
        return 0;
    }
    char *text = transcript_json(c, &bytes);
    ssize_t written = text ? write(fd, text, bytes) : -1;
    if (close(fd) || written != (ssize_t)bytes) {
        note("%s: %s", rest, strerror(errno));
        unlink(rest);
    } else {
        note("%s: %zu messages", rest, c->n_messages);
    }
    free(text);
    return 0;
}

static int do_exit(chat *c, const char *rest)
{
    (void)c;
    (void)rest;
    return 1;
}

static const struct command {
    const char *name, *argument, *help;
    int (*run)(chat *c, const char *rest);
} COMMANDS[] = {
    {"help", "", "this list", do_help},
    {"reset", "", "forgets the conversation", do_reset},
    {"system", " TEXT", "sets the system message and starts afresh (-: none)", do_system},
    {"stats", "", "token counts and times of the last answer", do_stats},
    {"save", " FILE", "writes the conversation as JSON", do_save},
    {"exit", "", "leaves, as Ctrl-D does", do_exit},
};
enum { N_COMMANDS = sizeof COMMANDS / sizeof *COMMANDS };

static int do_help(chat *c, const char *rest)
{
    (void)c;
    (void)rest;
    for (size_t i = 0; i < N_COMMANDS; i++) {
        char left[40];
        snprintf(left, sizeof left, "/%s%s", COMMANDS[i].name, COMMANDS[i].argument);
        out_printf("  %-16s%s\n", left, COMMANDS[i].help);
    }
    out_string("  Esc Enter       a line break in a message; pasted ones are kept\n"
               "  Ctrl-C          stops an answer; Ctrl-D leaves\n"
               "  A message that begins with a slash: put a blank before it.\n");
    out_flush();
    return 0;
}

/* Runs "/name rest"; -> 1: the chat ends. */
static int command(chat *c, const char *text)
{
    size_t name = strcspn(text + 1, " \t\n");
    const char *rest = text + 1 + name;
    rest += strspn(rest, " \t\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strlen(COMMANDS[i].name) == name && memcmp(COMMANDS[i].name, text + 1, name) == 0)
            return COMMANDS[i].run(c, rest);
    note("%.*s: unknown command, /help lists them", (int)text_utf8_cut(text, name + 1, 60), text);
    return 0;
}

/* ---- the loop ------------------------------------------------------------------------------- */

static void chat_loop(chat *c)
{
    cli_text text = {0};
    for (;;) {
        int typed, leave = 0;
        editor_result got = editor_read(c->editor, &text, &typed);
        if (got == EDITOR_END) {
            out_string("\n");
            break;
        }
        if (got == EDITOR_INTERRUPTED) {
            out_string("\n");
            out_flush();
            if (!typed) note("Ctrl-D or /exit leaves");
            continue;
        }
        if (strspn(text.data, " \t\n") == text.bytes) continue;
        if (text.data[0] == '/')
            leave = command(c, text.data);
        else
            answer(c, &text);
        if (leave || out_closed()) break;
    }
    cli_text_deinit(&text);
}

int chat_run(const cli_call *call, mlxe_model *model, const char *name, const char *tools,
             tool_runner *runner)
{
    chat c = {.call = call, .model = model, .tools = tools, .runner = runner};
    mlxe_error err;
    int code = CLI_EXIT_OK;
    const cli_value *system = &call->values[GEN_SYSTEM];
    if (system->set) c.system = cli_copy(system->s, system->n);
    interrupt_hold();
    c.editor = editor_open();
    if (!c.editor) {
        cli_error(&err, MLXE_E_IO, "give a PROMPT", "run: the terminal cannot be used for a chat");
        code = cli_fail(call, &err);
    } else if (start_session(&c, &err)) {
        code = cli_fail(call, &err);
    } else {
        note("chat with %s; /help lists the commands, Ctrl-D leaves", name);
        chat_loop(&c);
    }
    editor_close(c.editor);
    mlxe_session_close(c.session);
    transcript_clear(&c);
    free(c.messages);
    free(c.system);
    interrupt_clear();
    interrupt_release();
    return code;
}
