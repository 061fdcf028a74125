/* session.c: conversations.
 *
 *   messages (JSON) -> template -> prompt ids -> common prefix with the KV row -> pipeline
 *
 * The caller gives the whole conversation, or a new message; the session finds how much of the
 * rendered prompt its row has been through already and cuts the row there. So editing history,
 * asking again and going on are the same operation, and nothing has to be declared.
 *
 * Owns: the messages (a JSON array without its brackets), the ids that the row holds, the job that
 * runs. An answer joins the messages when the next call finds its job ended.
 *
 * Traps: the last token of a prompt is always computed again, since its logits are what is wanted.
 * The last token of an answer was never fed to the row. After a template no special tokens are
 * added: the template has written its own (no double BOS). */
#define _GNU_SOURCE /* memmem */
#include "session/session.h"

#include "base/thread.h"
#include "session/prompt.h"

#include <math.h>
#include <stdlib.h>
#include <sys/random.h>

struct mlxe_session {
    loaded *model;
    eng_kv *kv;
    buf system;     /* JSON of the system message, or empty */
    buf messages;   /* JSON objects with commas between */
    int own_system; /* 1: the messages begin with their own system message */
    int32_t *held;  /* ids that the row has been through, of which kv_length count */
    size_t n_held;
    prompt asked;         /* of the job */
    job *job;             /* that runs or whose end was not taken in yet */
    int chat_job;         /* its answer joins the messages */
    int reads;            /* the job's answer is read by a dialect */
    buf tools, vars;      /* of the job: JSON, or empty */
    prompt_memory memory; /* the conversation's own ids */
    strv *stops;
    buf stop_text;
    mlxe_logit_bias *bias;
};

static void json_message(buf *out, const char *role, strv content)
{
    buf_add_str(out, "{\"role\":");
    json_write_str(out, strv_of(role));
    buf_add_str(out, ",\"content\":");
    json_write_str(out, content);
    buf_add_char(out, '}');
}

mlxe_status session_open(loaded *m, const mlxe_session_params *params, session **out,
                         mlxe_error *err)
{
    session *s = calloc(1, sizeof *s);
    mlxe_status rc;
    *out = NULL;
    if (!s) return err_memory(err, "session", sizeof *s);
    if (!m->tokenizer) {
        free(s);
        return err_set(err, MLXE_E_NOT_FOUND, "%s: no tokenizer.json, which a session needs",
                       mf_folder(m->files));
    }
    if ((rc = m->ops->kv_open(m->model, &s->kv, err))) {
        free(s);
        return rc;
    }
    s->model = loaded_retain(m);
    if (params->system) json_message(&s->system, "system", strv_of(params->system));
    if (!buf_ok(&s->system)) rc = err_memory(err, "session", 0);
    if (rc)
        session_close(s);
    else
        *out = s;
    return rc;
}

static int joins(const job_answer *a) { return a->content.n || a->n_calls || !a->reasoning.n; }

/* The answer as a message of the conversation. */
static void json_answer(buf *out, const job_answer *a)
{
    buf_add_str(out, "{\"role\":\"assistant\",\"content\":");
    json_write_str(out, a->content);
    if (a->reasoning.n) {
        buf_add_str(out, ",\"reasoning_content\":");
        json_write_str(out, a->reasoning);
    }
    for (size_t i = 0; i < a->n_calls; i++) {
        buf_add_str(out, i ? "," : ",\"tool_calls\":[");
        buf_add_str(out, "{\"id\":");
        json_write_str(out, strv_of(a->calls[i].id));
        buf_add_str(out, ",\"type\":\"function\",\"function\":{\"name\":");
        json_write_str(out, strv_of(a->calls[i].name));
        buf_add_str(out, ",\"arguments\":");
        buf_add_str(out, a->calls[i].arguments);
        buf_add_str(out, "}}");
    }
    if (a->n_calls) buf_add_char(out, ']');
    buf_add_char(out, '}');
}

static void all_messages(const session *s, buf *out)
{
    if (!s->own_system) {
        buf_add_strv(out, buf_view(&s->system));
        if (s->system.n && s->messages.n) buf_add_char(out, ',');
    }
    buf_add_strv(out, buf_view(&s->messages));
}

/* Remembers the ids of an answer that joined the messages, where the text that was told is all that
 * the ids say (a stop string cuts it) and the template shows the reasoning. */
static void answer_remember(session *s, const job_answer *a)
{
    const loaded *m = s->model;
    buf messages = {0}, raw = {0};
    prompt own = {0};
    prompt_request request = {.model = m,
                              .tools = s->tools.n ? buf_str(&s->tools) : NULL,
                              .vars = s->vars.n ? buf_str(&s->vars) : NULL};
    prompt_forget(&s->memory);
    if (tok_decode(m->tokenizer, a->ids, a->n_ids, !s->reads, &raw, NULL) || raw.n != a->raw_bytes)
        goto out;
    all_messages(s, &messages);
    request.messages = buf_view(&messages);
    if (!buf_ok(&messages) || prompt_render(&request, &own, NULL)) goto out;
    if (a->reasoning.n) {
        size_t n = a->reasoning.n < 64 ? a->reasoning.n : 64, from = s->asked.text.n;
        if (own.text.n < from || !memmem(own.text.p + from, own.text.n - from, a->reasoning.p, n))
            goto out;
    }
    prompt_remember(m, &own, &s->asked, a->ids, a->n_ids, buf_view(&raw), &s->memory);
out:
    buf_deinit(&messages);
    buf_deinit(&raw);
    prompt_deinit(&own);
}

/* Takes in what an ended job leaves: the row's ids, the answer as a message. */
static void job_settle(session *s)
{
    job_answer a;
    size_t room;
    int32_t *held;
    if (!s->job) return;
    job_result(s->job, &a);
    room = s->asked.n + a.n_ids;
    held = malloc((room + 1) * sizeof *held);
    s->n_held = 0;
    if (held) {
        memcpy(held, s->asked.ids, s->asked.n * sizeof *held);
        if (a.n_ids) memcpy(held + s->asked.n, a.ids, a.n_ids * sizeof *held);
        s->n_held = (size_t)s->model->ops->kv_length(s->kv);
        if (s->n_held > room) s->n_held = room;
    }
    free(s->held);
    s->held = held;
    if (s->chat_job && joins(&a)) {
        if (s->messages.n) buf_add_char(&s->messages, ',');
        json_answer(&s->messages, &a);
        if (!job_status(s->job)) answer_remember(s, &a);
    }
    job_release(s->job);
    s->job = NULL;
}

void session_close(session *s)
{
    if (!s) return;
    if (s->job) {
        mlxe_job_cancel(s->job);
        job_wait(s->job);
        job_release(s->job);
    }
    s->model->ops->kv_close(s->kv);
    loaded_release(s->model);
    buf_deinit(&s->system);
    buf_deinit(&s->messages);
    buf_deinit(&s->stop_text);
    free(s->stops);
    free(s->bias);
    free(s->held);
    prompt_deinit(&s->asked);
    prompt_forget(&s->memory);
    buf_deinit(&s->tools);
    buf_deinit(&s->vars);
    free(s);
}

static mlxe_status idle(session *s, mlxe_error *err)
{
    if (s->job && !job_ended(s->job))
        return err_set(err, MLXE_E_STATE,
                       "session: its last job still runs, want it ended or closed");
    job_settle(s);
    return MLXE_OK;
}

mlxe_status session_reset(session *s, mlxe_error *err)
{
    mlxe_status rc = idle(s, err);
    if (rc) return rc;
    buf_clear(&s->messages);
    prompt_forget(&s->memory);
    s->own_system = 0;
    return MLXE_OK;
}

/* ---- parameters ------------------------------------------------------------------------------ */

static mlxe_status range(mlxe_error *err, const char *name, double value, double low, double high)
{
    if (value >= low && value <= high) return MLXE_OK;
    return err_set(err, MLXE_E_ARG, "%s: out of range, want %g to %g", name, low, high);
}

static uint64_t fresh_seed(void)
{
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed) seed = (uint64_t)clock_ns();
    return seed >> 11; /* fits a JSON number exactly */
}

/* The caller's value, else the model's, else the neutral one. */
static mlxe_status sampler_of(const loaded *m, const mlxe_gen_params *p, eng_sampler *out,
                              mlxe_error *err)
{
    const gen_defaults *d = &m->defaults;
    mlxe_status rc;
    if (p->temperature != MLXE_GREEDY && (rc = range(err, "temperature", p->temperature, 0, 100)))
        return rc;
    if ((rc = range(err, "top_p", p->top_p, 0, 1))) return rc;
    if ((rc = range(err, "top_k", p->top_k, -1, INT32_MAX))) return rc;
    if (p->min_p != MLXE_OFF && (rc = range(err, "min_p", p->min_p, 0, 1))) return rc;
    if ((rc = range(err, "repetition_penalty", p->repetition_penalty, 0, 100))) return rc;
    if ((rc = range(err, "presence_penalty", p->presence_penalty, -2, 2))) return rc;
    if ((rc = range(err, "frequency_penalty", p->frequency_penalty, -2, 2))) return rc;
    if ((rc = range(err, "penalty_window", p->penalty_window, -1, INT32_MAX))) return rc;
    if ((rc = range(err, "logprobs", p->logprobs, 0, 20))) return rc;
    *out = (eng_sampler){.top_p = 1,
                         .repetition_penalty = 1,
                         .presence_penalty = p->presence_penalty,
                         .frequency_penalty = p->frequency_penalty,
                         .penalty_window = p->penalty_window > 0 ? p->penalty_window : 0};
    if (p->temperature > 0)
        out->temperature = p->temperature;
    else if (p->temperature == 0 && d->do_sample)
        out->temperature = d->temperature > 0 ? (float)d->temperature : 1;
    if (p->top_p > 0)
        out->top_p = p->top_p;
    else if (d->top_p > 0 && d->top_p <= 1)
        out->top_p = (float)d->top_p;
    out->top_k = p->top_k ? p->top_k : (int32_t)d->top_k;
    if (out->top_k < 0) out->top_k = 0;
    out->min_p = p->min_p != 0 ? p->min_p : (float)d->min_p;
    if (out->min_p < 0) out->min_p = 0;
    if (p->repetition_penalty > 0)
        out->repetition_penalty = p->repetition_penalty;
    else if (d->repetition_penalty > 0)
        out->repetition_penalty = (float)d->repetition_penalty;
    out->seed = p->seed ? *p->seed : fresh_seed();
    return MLXE_OK;
}

/* Copies what the request borrows: stop strings and biases outlive the caller's. */
static mlxe_status request_copies(session *s, const mlxe_gen_params *p, text_request *req,
                                  mlxe_error *err)
{
    size_t at = 0;
    free(s->stops);
    free(s->bias);
    s->stops = calloc((size_t)p->n_stop + 1, sizeof *s->stops);
    s->bias = calloc((size_t)p->n_logit_bias + 1, sizeof *s->bias);
    buf_clear(&s->stop_text);
    if (!s->stops || !s->bias) return err_memory(err, "request", 0);
    for (uint32_t i = 0; i < p->n_stop; i++) {
        if (!p->stop[i][0]) return err_set(err, MLXE_E_ARG, "stop[%u]: is empty", i);
        buf_add(&s->stop_text, p->stop[i], strlen(p->stop[i]) + 1);
    }
    if (!buf_ok(&s->stop_text)) return err_memory(err, "request", 0);
    for (uint32_t i = 0; i < p->n_stop; i++) {
        s->stops[i] = strv_of(s->stop_text.p + at);
        at += s->stops[i].n + 1;
    }
    for (uint32_t i = 0; i < p->n_logit_bias; i++) {
        s->bias[i] = p->logit_bias[i];
        if (s->bias[i].id < 0 || s->bias[i].id >= s->model->caps.vocab)
            return err_set(err, MLXE_E_ARG, "logit_bias: id %d, want 0 to %d", s->bias[i].id,
                           s->model->caps.vocab - 1);
        if (isnan(s->bias[i].bias))
            return err_set(err, MLXE_E_ARG, "logit_bias: of id %d is no number", s->bias[i].id);
    }
    req->stop = s->stops;
    req->n_stop = p->n_stop;
    req->sampler.logit_bias = s->bias;
    req->sampler.n_logit_bias = p->n_logit_bias;
    return MLXE_OK;
}

/* ---- starting an answer ---------------------------------------------------------------------- */

/* Cuts the row to what it shares with the new prompt. */
static mlxe_status prefix_keep(session *s, mlxe_error *err)
{
    size_t same = 0;
    int32_t kept;
    while (same < s->n_held && same + 1 < s->asked.n && s->held[same] == s->asked.ids[same])
        same++;
    return s->model->ops->kv_truncate(s->kv, (int32_t)same, &kept, err);
}

/* How the answer will be read: by the dialect that was asked for, else by the template's. */
static mlxe_status reading_start(session *s, const mlxe_gen_params *p, uint64_t seed, job *j,
                                 mlxe_error *err)
{
    dialect_choice choice = p->tools_json ? s->model->dialect_tools : s->model->dialect;
    job_reading reading = {.choice = &choice,
                           .prompt = buf_view(&s->asked.text),
                           .tokenizer = s->model->tokenizer,
                           .budget = p->reasoning_budget,
                           .seed = seed};
    mlxe_status rc = MLXE_OK;
    s->reads = 0;
    if (p->dialect) rc = dialect_choose_named(strv_of(p->dialect), &choice, err);
    if (rc || !dialect_needed(&choice, p->tools_json != NULL)) return rc;
    if (p->tools_json)
        rc = json_parse("tools", p->tools_json, strlen(p->tools_json), &reading.tools, err);
    if (!rc) rc = job_read_as(j, &reading, err);
    s->reads = !rc;
    return rc;
}

/* Answers s->asked, whose text is there. */
static mlxe_status start(session *s, unsigned flags, int chat, const mlxe_gen_params *p, job **out,
                         mlxe_error *err)
{
    text_request req = {0};
    job *j = NULL;
    mlxe_status rc;
    if ((rc = sampler_of(s->model, p, &req.sampler, err))) return rc;
    if ((rc = request_copies(s, p, &req, err))) return rc;
    if ((rc = prompt_encode(s->model, &s->asked, chat ? &s->memory : NULL, flags, err))) return rc;
    if ((rc = prefix_keep(s, err))) return rc;
    if ((rc = job_open(&j, err))) return rc;
    if (chat && (rc = reading_start(s, p, req.sampler.seed, j, err))) {
        job_release(j);
        return rc;
    }
    req.kv = s->kv;
    req.prompt = s->asked.ids;
    req.n_prompt = s->asked.n;
    req.max_tokens = p->max_tokens;
    req.context_tokens = s->model->context_tokens;
    req.end_ids = s->model->end_ids;
    req.n_end_ids = s->model->n_end_ids;
    req.logprobs = p->logprobs;
    req.cancel = job_cancel_flag(j);
    req.sink = job_sink(j);
    if ((rc = text_submit(s->model->text, &req, err))) {
        job_release(j); /* the sink's reference */
        job_release(j);
        return rc;
    }
    s->job = job_retain(j);
    s->chat_job = chat;
    *out = j;
    return MLXE_OK;
}

/* Renders the conversation and starts. */
static mlxe_status answer(session *s, const mlxe_gen_params *p, job **out, mlxe_error *err)
{
    buf messages = {0};
    prompt_request request = {.model = s->model,
                              .tools = p->tools_json,
                              .vars = p->template_vars_json,
                              .generation = 1,
                              .parse_special = p->parse_special != 0};
    mlxe_status rc;
    all_messages(s, &messages);
    request.messages = buf_view(&messages);
    buf_clear(&s->tools);
    buf_clear(&s->vars);
    buf_add_str(&s->tools, p->tools_json ? p->tools_json : "");
    buf_add_str(&s->vars, p->template_vars_json ? p->template_vars_json : "");
    rc = buf_ok(&messages) && buf_ok(&s->tools) && buf_ok(&s->vars)
             ? prompt_render(&request, &s->asked, err)
             : err_memory(err, "conversation", messages.n);
    if (!rc) rc = start(s, 0, 1, p, out, err);
    buf_deinit(&messages);
    return rc;
}

mlxe_status session_ask(session *s, strv text, const mlxe_gen_params *params, job **out,
                        mlxe_error *err)
{
    size_t before;
    mlxe_status rc = idle(s, err);
    if (rc) return rc;
    before = s->messages.n;
    if (before) buf_add_char(&s->messages, ',');
    json_message(&s->messages, "user", text);
    rc = buf_ok(&s->messages) ? answer(s, params, out, err)
                              : err_memory(err, "conversation", text.n);
    if (rc && s->messages.p) { /* the question that was not asked is not part of the conversation */
        s->messages.n = before;
        s->messages.p[before] = 0;
    }
    return rc;
}

static int begins_with_system(const json *messages)
{
    json_iter it = json_iterate(messages);
    const json *first;
    return json_next(&it, NULL, &first) && strv_is(json_str(json_get(first, "role")), "system");
}

mlxe_status session_chat(session *s, strv messages, const mlxe_gen_params *params, job **out,
                         mlxe_error *err)
{
    json_doc *doc = NULL;
    const json *item;
    json_iter it;
    buf old = {0};
    int old_system = s->own_system;
    mlxe_status rc = idle(s, err);
    if (rc) return rc;
    if ((rc = json_parse("messages", messages.p, messages.n, &doc, err))) return rc;
    if (!json_is(json_root(doc), JSON_ARRAY) || !json_len(json_root(doc))) {
        rc = err_set(err, MLXE_E_INPUT, "messages: %s, want an array with at least one message",
                     json_type_name(json_typeof(json_root(doc))));
        goto out;
    }
    old = s->messages;
    s->messages = (buf){0};
    it = json_iterate(json_root(doc));
    s->own_system = begins_with_system(json_root(doc));
    while (!rc && json_next(&it, NULL, &item)) {
        if (!json_is(item, JSON_OBJECT))
            rc = err_set(err, MLXE_E_INPUT, "messages: holds %s, want objects",
                         json_type_name(json_typeof(item)));
        if (s->messages.n) buf_add_char(&s->messages, ',');
        json_write_value(&s->messages, item);
    }
    if (!rc)
        rc = buf_ok(&s->messages) ? answer(s, params, out, err)
                                  : err_memory(err, "messages", messages.n);
    if (rc) {
        buf_deinit(&s->messages);
        s->messages = old;
        s->own_system = old_system;
        old = (buf){0};
    }
out:
    buf_deinit(&old);
    json_close(doc);
    return rc;
}

mlxe_status session_complete(session *s, strv text, const mlxe_gen_params *params, job **out,
                             mlxe_error *err)
{
    mlxe_status rc = idle(s, err);
    if (rc) return rc;
    prompt_deinit(&s->asked);
    buf_add_strv(&s->asked.text, text);
    if (!buf_ok(&s->asked.text)) return err_memory(err, "prompt", text.n);
    return start(s, TOK_ADD_SPECIAL, 0, params, out, err);
}

mlxe_status session_add(session *s, strv message_json, mlxe_error *err)
{
    json_doc *doc = NULL;
    const json *role;
    mlxe_status rc = idle(s, err);
    if (!rc) rc = json_parse("message", message_json.p, message_json.n, &doc, err);
    if (rc) return rc;
    role = json_get(json_root(doc), "role");
    if (!json_is(json_root(doc), JSON_OBJECT) || !json_is(role, JSON_STRING)) {
        rc = err_set(err, MLXE_E_INPUT, "message: role is %s, want an object with a role",
                     json_type_name(json_typeof(role)));
    } else {
        if (!s->messages.n) s->own_system = strv_is(json_str(role), "system");
        if (s->messages.n) buf_add_char(&s->messages, ',');
        json_write_value(&s->messages, json_root(doc));
        if (!buf_ok(&s->messages)) rc = err_memory(err, "conversation", message_json.n);
    }
    json_close(doc);
    return rc;
}

mlxe_status session_answer(session *s, const mlxe_gen_params *params, job **out, mlxe_error *err)
{
    mlxe_status rc = idle(s, err);
    if (!rc && !s->messages.n)
        rc = err_set(err, MLXE_E_STATE, "session: no message to answer, want one added first");
    return rc ? rc : answer(s, params, out, err);
}
