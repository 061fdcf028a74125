/* batch.c: the loop behind `run --lines`.
 *
 *   stdin -> line -> a free slot (session + job) -> events -> answer -> stdout, in line order
 *
 * One thread waits for everything in poll: for events of the running jobs and, while a slot is
 * free, for the next line. So a program that sends a line and waits for its answer gets it, and
 * one that sends everything at once gets `parallel` answers at a time. An event queue is bounded,
 * so every job is drained, not only the one whose answer comes next; finished answers wait in a
 * queue, and when that is long no new line is started.
 * A slot's session stays open: a line that begins like the one before finds its prefix cached.
 * Ctrl-C cancels what runs; those lines get their partial answers, later lines none. */
#include "batch.h"

#include "interrupt.h"
#include "lines.h"
#include "text.h"
#include "tools.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    QUEUE_PER_SLOT = 16,
    NO_FD_WAIT_MS = 5, /* a job without a descriptor is asked this often */
};

typedef struct answer {
    yyjson_mut_doc *doc; /* NULL while it is being made */
} answer;

typedef struct slot {
    mlxe_session *session;
    mlxe_job *job; /* NULL: free */
    answer *answer;
    cli_text logprobs; /* JSON objects, parted by commas */
    cli_text reason;   /* why something is no tool call */
} slot;

typedef struct batch {
    const cli_call *call;
    mlxe_model *model;
    const cli_value *defaults;
    const char *tools;
    slot *slots;
    size_t n_slots, running;
    answer **queue; /* lines in order, first unanswered one first */
    size_t n_queue;
    line_reader reader;
} batch;

/* ---- one line to a job ---------------------------------------------------------------------- */

/* Keys of a line: prompt, messages and the generation options with '_' for '-'. */
enum { KEY_PROMPT = GEN_COUNT, KEY_MESSAGES, KEY_COUNT };

static const line_key KEYS[KEY_COUNT] = {
#define GEN_KEY(id, name, type, low, high, argument, help) [GEN_##id] = {name, NULL},
    GEN_OPTION_LIST(GEN_KEY)
#undef GEN_KEY
        [KEY_PROMPT] = {"prompt", NULL},
    [KEY_MESSAGES] = {"messages", NULL},
};

static const cli_option OPTIONS[GEN_COUNT] = {GEN_OPTION_LIST(GEN_ROW)};

/* What a line asks for, with everything that it owns. */
typedef struct request {
    cli_value own[GEN_COUNT];    /* the line's options */
    cli_value merged[GEN_COUNT]; /* those, else the command line's; borrowed */
    gen_request gen;
    char *messages;
    cli_text tools;
} request;

static void request_deinit(request *r)
{
    for (size_t i = 0; i < GEN_COUNT; i++)
        args_value_deinit(&r->own[i]);
    free(r->messages);
    cli_text_deinit(&r->tools);
}

static mlxe_status line_options(const batch *b, const cli_line *line, line_key *keys, request *r,
                                mlxe_error *err)
{
    for (size_t i = 0; i < GEN_COUNT; i++) {
        mlxe_status status = MLXE_OK;
        if (keys[i].value)
            status = args_value_json(&OPTIONS[i], line->where, keys[i].value, &r->own[i], err);
        if (status) return status;
        r->merged[i] = r->own[i].set ? r->own[i] : b->defaults[i];
    }
    r->gen.values = r->merged;
    r->gen.raw = r->merged[GEN_RAW].set && r->merged[GEN_RAW].i;
    r->gen.tools = b->tools;
    if (r->own[GEN_TOOLS].set) {
        char where[60];
        snprintf(where, sizeof where, "%s: tools", line->where);
        mlxe_status status = tools_check(where, keys[GEN_TOOLS].value, &r->tools, err);
        if (status) return status;
        r->gen.tools = r->tools.data;
    }
    return MLXE_OK;
}

static int begins_with_system(const yyjson_val *messages)
{
    const char *role =
        yyjson_get_str(yyjson_obj_get(yyjson_arr_get_first((yyjson_val *)messages), "role"));
    return role && strcmp(role, "system") == 0;
}

static void add_message(yyjson_mut_doc *doc, yyjson_mut_val *array, const char *role,
                        const char *text, size_t bytes)
{
    yyjson_mut_val *message = yyjson_mut_arr_add_obj(doc, array);
    yyjson_mut_obj_add_str(doc, message, "role", role);
    yyjson_mut_obj_add_val(doc, message, "content", json_string(doc, text, bytes));
}

/* The conversation as JSON: the system message, then the line's messages or its prompt. */
static void conversation(const request *r, yyjson_val *messages, char **out, size_t *bytes)
{
    const cli_value *system = &r->merged[GEN_SYSTEM];
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *array = yyjson_mut_arr(doc);
    size_t i, n;
    yyjson_val *message;
    yyjson_mut_doc_set_root(doc, array);
    if (system->set && !begins_with_system(messages))
        add_message(doc, array, "system", system->s, system->n);
    if (!messages) add_message(doc, array, "user", r->gen.prompt, r->gen.prompt_bytes);
    yyjson_arr_foreach(messages, i, n, message)
    {
        yyjson_mut_arr_append(array, yyjson_val_mut_copy(doc, message));
    }
    *out = yyjson_mut_write(doc, 0, bytes);
    yyjson_mut_doc_free(doc);
}

static mlxe_status line_conversation(const cli_line *line, line_key *keys, request *r,
                                     mlxe_error *err)
{
    yyjson_val *messages = keys[KEY_MESSAGES].value;
    mlxe_status status =
        cli_line_text(line, &keys[KEY_PROMPT], &r->gen.prompt, &r->gen.prompt_bytes, err);
    if (status) return status;
    if (messages && !yyjson_is_arr(messages))
        return cli_error(err, MLXE_E_ARG, NULL, "%s: messages: got %s, want an array", line->where,
                         json_kind(messages));
    if (!r->gen.prompt == !messages)
        return cli_error(err, MLXE_E_ARG, NULL, "%s: got %s, want prompt or messages", line->where,
                         messages ? "both" : "neither");
    if (r->gen.raw && (messages || r->merged[GEN_SYSTEM].set || r->gen.tools))
        return cli_error(err, MLXE_E_ARG, NULL, "%s: raw: %s need%s the chat template", line->where,
                         messages                    ? "messages"
                         : r->merged[GEN_SYSTEM].set ? "system"
                                                     : "tools",
                         messages ? "" : "s");
    if (messages && r->own[GEN_SYSTEM].set && begins_with_system(messages))
        return cli_error(err, MLXE_E_ARG, NULL, "%s: system: messages begin with one already",
                         line->where);
    if (!r->gen.raw) conversation(r, messages, &r->messages, &r->gen.messages_bytes);
    r->gen.messages = r->messages;
    return MLXE_OK;
}

static mlxe_status line_start(batch *b, slot *s, char *text, size_t bytes, mlxe_error *err)
{
    cli_line line;
    line_key keys[KEY_COUNT];
    char names[GEN_COUNT][32];
    request *r = cli_alloc(sizeof *r);
    memset(r, 0, sizeof *r);
    memcpy(keys, KEYS, sizeof keys);
    for (size_t i = 0; i < GEN_COUNT; i++) {
        size_t n = strlen(KEYS[i].name);
        for (size_t j = 0; j <= n; j++)
            names[i][j] = KEYS[i].name[j] == '-' ? '_' : KEYS[i].name[j];
        keys[i].name = names[i];
    }
    mlxe_status status = cli_line_parse(&b->reader, text, bytes, &line, err);
    if (status == MLXE_OK) status = cli_line_keys(&line, keys, KEY_COUNT, err);
    if (status == MLXE_OK) status = line_options(b, &line, keys, r, err);
    if (status == MLXE_OK) status = line_conversation(&line, keys, r, err);
    if (status == MLXE_OK && !s->session)
        status = mlxe_session_open(b->model, NULL, &s->session, err);
    if (status == MLXE_OK) status = gen_start(s->session, &r->gen, &s->job, err);
    request_deinit(r);
    free(r);
    cli_line_deinit(&line);
    return status;
}

/* ---- answers -------------------------------------------------------------------------------- */

static yyjson_mut_doc *done_answer(slot *s, const mlxe_event *e)
{
    yyjson_mut_doc *doc = json_new();
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    yyjson_mut_obj_add_val(doc, root, "text", json_string(doc, e->text, e->text_bytes));
    yyjson_mut_obj_add_val(doc, root, "ids", json_ids(doc, e->ids, e->n_ids));
    if (s->logprobs.bytes > 0) {
        cli_text_add(&s->logprobs, "]", 1);
        yyjson_mut_val *list = yyjson_mut_rawncpy(doc, s->logprobs.data, s->logprobs.bytes);
        yyjson_mut_obj_add_val(doc, root, "logprobs", list);
    }
    if (e->n_calls || e->reasoning_bytes || s->reason.bytes)
        yyjson_mut_obj_add_val(doc, root, "content",
                               json_string(doc, e->content, e->content_bytes));
    if (e->reasoning_bytes)
        yyjson_mut_obj_add_val(doc, root, "reasoning",
                               json_string(doc, e->reasoning, e->reasoning_bytes));
    if (e->n_calls)
        yyjson_mut_obj_add_val(doc, root, "tool_calls", tool_calls_json(doc, e->calls, e->n_calls));
    if (s->reason.bytes) json_add_string(doc, root, "reason", s->reason.data);
    yyjson_mut_obj_add_val(doc, root, "stats", gen_stats_json(doc, e->stats));
    return doc;
}

static void slot_free(batch *b, slot *s)
{
    interrupt_unwatch(s->job);
    mlxe_job_close(s->job);
    s->job = NULL;
    s->logprobs.bytes = 0;
    s->reason.bytes = 0;
    b->running--;
}

/* Takes what the job has ready. */
static void slot_drain(batch *b, slot *s)
{
    const mlxe_event *e;
    mlxe_error err;
    for (;;) {
        mlxe_status status = mlxe_job_next(s->job, 0, &e, &err);
        if (status == MLXE_E_TIMEOUT) return;
        if (status || !e) {
            if (!s->answer->doc) {
                if (status == MLXE_OK)
                    cli_error(&err, MLXE_E_INTERNAL, NULL, "the answer ended without statistics");
                s->answer->doc = json_error(&err);
            }
            slot_free(b, s);
            return;
        }
        if (e->type == MLXE_EVENT_LOGPROBS) {
            cli_text_add(&s->logprobs, s->logprobs.bytes ? "," : "[", 1);
            cli_text_add(&s->logprobs, e->text, e->text_bytes);
        } else if (e->type == MLXE_EVENT_TEXT && e->reason) {
            s->reason.bytes = 0;
            cli_text_add(&s->reason, e->reason, strlen(e->reason));
        } else if (e->type == MLXE_EVENT_DONE) {
            s->answer->doc = done_answer(s, e);
        }
    }
}

static void print_ready(batch *b)
{
    size_t ready = 0;
    while (ready < b->n_queue && b->queue[ready]->doc) {
        json_print(b->queue[ready]->doc);
        free(b->queue[ready++]);
    }
    b->n_queue -= ready;
    if (ready > 0 && b->n_queue > 0)
        memmove(b->queue, b->queue + ready, b->n_queue * sizeof *b->queue);
}

/* ---- the loop ------------------------------------------------------------------------------- */

static slot *free_slot(batch *b)
{
    if (b->n_queue >= b->n_slots * QUEUE_PER_SLOT) return NULL;
    for (size_t i = 0; i < b->n_slots; i++)
        if (!b->slots[i].job) return &b->slots[i];
    return NULL;
}

/* Starts lines that are read already. */
static void start_lines(batch *b)
{
    slot *s;
    char *text;
    size_t bytes;
    while ((s = free_slot(b)) && line_take(&b->reader, &text, &bytes)) {
        mlxe_error err;
        answer *a = cli_alloc(sizeof *a);
        *a = (answer){0};
        b->queue = cli_realloc(b->queue, (b->n_queue + 1) * sizeof *b->queue);
        b->queue[b->n_queue++] = a;
        if (line_start(b, s, text, bytes, &err)) {
            a->doc = json_error(&err);
            continue;
        }
        s->answer = a;
        b->running++;
        interrupt_watch(s->job);
    }
}

/* Waits for events, when want_line for input, and for Ctrl-C unless the loop has seen it: one that
 * comes after its look must end the wait. -> 1: input is there */
static int wait_for_something(batch *b, struct pollfd *fds, int want_line, int stopping)
{
    nfds_t n = 0;
    int timeout = -1;
    fds[n++] = (struct pollfd){want_line ? STDIN_FILENO : -1, POLLIN, 0};
    fds[n++] = (struct pollfd){stopping ? -1 : interrupt_fd(), POLLIN, 0};
    for (size_t i = 0; i < b->n_slots; i++) {
        if (!b->slots[i].job) continue;
        int fd = mlxe_job_fd(b->slots[i].job);
        if (fd < 0)
            timeout = NO_FD_WAIT_MS;
        else
            fds[n++] = (struct pollfd){fd, POLLIN, 0};
    }
    if (poll(fds, n, timeout) < 0) return 0;
    return fds[0].revents != 0;
}

static int batch_loop(batch *b, struct pollfd *fds)
{
    mlxe_error err;
    for (;;) {
        int stopping = interrupt_seen();
        if (!stopping) start_lines(b);
        print_ready(b);
        if (out_closed()) return CLI_EXIT_OK;
        int can_start = !stopping && free_slot(b) != NULL;
        if (can_start && line_waits(&b->reader)) continue; /* the printed answers made room */
        if (b->running == 0 && (stopping || b->reader.at_end))
            return stopping ? CLI_EXIT_INTERRUPTED : CLI_EXIT_OK;
        int want_line = can_start && !b->reader.at_end;
        out_flush();
        if (wait_for_something(b, fds, want_line, stopping) && line_fill(&b->reader, &err))
            return cli_fail(b->call, &err);
        for (size_t i = 0; i < b->n_slots; i++)
            if (b->slots[i].job) slot_drain(b, &b->slots[i]);
    }
}

int batch_run(const cli_call *call, mlxe_model *model, const cli_value *defaults, const char *tools,
              size_t parallel)
{
    batch b = {.call = call, .model = model, .defaults = defaults, .tools = tools};
    struct pollfd *fds = cli_alloc((parallel + 2) * sizeof *fds);
    b.n_slots = parallel;
    b.slots = cli_alloc(parallel * sizeof *b.slots);
    memset(b.slots, 0, parallel * sizeof *b.slots);
    interrupt_hold();
    int status = batch_loop(&b, fds);
    for (size_t i = 0; i < b.n_slots; i++) {
        if (b.slots[i].job) slot_free(&b, &b.slots[i]);
        mlxe_session_close(b.slots[i].session);
        cli_text_deinit(&b.slots[i].logprobs);
        cli_text_deinit(&b.slots[i].reason);
    }
    for (size_t i = 0; i < b.n_queue; i++) {
        yyjson_mut_doc_free(b.queue[i]->doc);
        free(b.queue[i]);
    }
    out_flush();
    free(b.queue);
    free(b.slots);
    free(fds);
    line_reader_deinit(&b.reader);
    interrupt_clear();
    interrupt_release();
    return status;
}
