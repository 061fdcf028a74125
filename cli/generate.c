/* generate.c: from options to a running answer, and its statistics.
 *
 * The command's 0 and the library's 0 differ: on the command line 0 means "off" (or greedy), in the
 * params struct it means "the default". values_to_params is the one place that translates. */
#include "generate.h"

#include "interrupt.h"
#include "lines.h"
#include "text.h"
#include "tools.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { QUICK_PREFILL_MS = 500 };

static void values_to_params(const cli_value *v, mlxe_gen_params *p)
{
    if (v[GEN_MAX_TOKENS].set) p->max_tokens = (uint32_t)v[GEN_MAX_TOKENS].i;
    if (v[GEN_TEMPERATURE].set)
        p->temperature = v[GEN_TEMPERATURE].f > 0 ? (float)v[GEN_TEMPERATURE].f : MLXE_GREEDY;
    if (v[GEN_TOP_P].set) p->top_p = (float)v[GEN_TOP_P].f;
    if (v[GEN_TOP_K].set) p->top_k = v[GEN_TOP_K].i > 0 ? (int32_t)v[GEN_TOP_K].i : MLXE_OFF;
    if (v[GEN_MIN_P].set) p->min_p = v[GEN_MIN_P].f > 0 ? (float)v[GEN_MIN_P].f : (float)MLXE_OFF;
    if (v[GEN_REPETITION_PENALTY].set) p->repetition_penalty = (float)v[GEN_REPETITION_PENALTY].f;
    if (v[GEN_PRESENCE_PENALTY].set) p->presence_penalty = (float)v[GEN_PRESENCE_PENALTY].f;
    if (v[GEN_FREQUENCY_PENALTY].set) p->frequency_penalty = (float)v[GEN_FREQUENCY_PENALTY].f;
    if (v[GEN_PENALTY_WINDOW].set) p->penalty_window = (int32_t)v[GEN_PENALTY_WINDOW].i;
    if (v[GEN_LOGPROBS].set) p->logprobs = (uint32_t)v[GEN_LOGPROBS].i;
    if (v[GEN_DIALECT].set) p->dialect = v[GEN_DIALECT].s;
    if (v[GEN_REASONING_BUDGET].set)
        p->reasoning_budget =
            v[GEN_REASONING_BUDGET].i > 0 ? (int32_t)v[GEN_REASONING_BUDGET].i : MLXE_OFF;
    p->parse_special = v[GEN_PARSE_SPECIAL].set && v[GEN_PARSE_SPECIAL].i;
    if (v[GEN_SEED].set) p->seed = &v[GEN_SEED].u;
    p->logit_bias = v[GEN_LOGIT_BIAS].bias;
    p->n_logit_bias = (uint32_t)v[GEN_LOGIT_BIAS].n;
    p->stop = v[GEN_STOP].list;
    p->n_stop = (uint32_t)v[GEN_STOP].n;
}

/* The object of all K=JSON; *out stays empty without any. Fails INPUT */
static mlxe_status template_vars(const cli_value *value, cli_text *out, mlxe_error *err)
{
    for (size_t i = 0; i < value->n; i++) {
        const char *text = value->list[i], *equals = strchr(text, '=');
        size_t bytes = strlen(text), key_bytes;
        if (!equals || equals == text)
            return cli_error(err, MLXE_E_ARG, NULL, "--template-var: got %.60s, want K=JSON", text);
        yyjson_doc *doc = NULL;
        char *copy = cli_copy(equals + 1, bytes - (size_t)(equals + 1 - text));
        mlxe_status status = json_text_parse("--template-var", copy, strlen(copy), &doc, err);
        yyjson_doc_free(doc);
        free(copy);
        if (status) return status;
        yyjson_mut_doc *name = yyjson_mut_doc_new(NULL);
        yyjson_mut_doc_set_root(name, json_string(name, text, (size_t)(equals - text)));
        char *key = yyjson_mut_write(name, 0, &key_bytes);
        cli_text_add(out, i ? "," : "{", 1);
        cli_text_add(out, key, key_bytes);
        cli_text_add(out, ":", 1);
        cli_text_add(out, equals + 1, strlen(equals + 1));
        free(key);
        yyjson_mut_doc_free(name);
    }
    if (value->n) cli_text_add(out, "}", 1);
    return MLXE_OK;
}

static mlxe_status start(mlxe_session *session, const gen_request *r, mlxe_gen_params params,
                         mlxe_job **out, mlxe_error *err)
{
    if (r->go_on) return mlxe_session_answer(session, &params, out, err);
    if (r->messages)
        return mlxe_session_chat(session, r->messages, r->messages_bytes, &params, out, err);
    if (r->raw)
        return mlxe_session_complete(session, r->prompt, r->prompt_bytes, &params, out, err);
    return mlxe_session_ask(session, r->prompt, r->prompt_bytes, &params, out, err);
}

mlxe_status gen_start(mlxe_session *session, const gen_request *r, mlxe_job **out, mlxe_error *err)
{
    mlxe_gen_params params = mlxe_gen_params_new();
    cli_text vars = {0};
    mlxe_status status = template_vars(&r->values[GEN_TEMPLATE_VAR], &vars, err);
    values_to_params(r->values, &params);
    params.tools_json = r->tools;
    params.template_vars_json = vars.bytes ? vars.data : NULL;
    if (status == MLXE_OK) status = start(session, r, params, out, err);
    cli_text_deinit(&vars);
    return status;
}

/* ---- the answer ----------------------------------------------------------------------------- */

static void print_event(const char *name, const mlxe_event *e)
{
    yyjson_mut_doc *doc = json_new();
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    yyjson_mut_obj_add_str(doc, root, "event", name);
    if (e->type == MLXE_EVENT_TOOL_CALL) {
        json_add_string(doc, root, "id", e->call->id);
        json_add_string(doc, root, "name", e->call->name);
        json_add_raw(doc, root, "arguments", e->call->arguments, strlen(e->call->arguments));
    }
    if (e->type != MLXE_EVENT_LOGPROBS && e->type != MLXE_EVENT_DONE)
        yyjson_mut_obj_add_val(doc, root, "text", json_string(doc, e->text, e->text_bytes));
    if (e->type == MLXE_EVENT_TEXT && e->reason) json_add_string(doc, root, "reason", e->reason);
    if (e->type == MLXE_EVENT_LOGPROBS) json_add_raw(doc, root, "token", e->text, e->text_bytes);
    if (e->type == MLXE_EVENT_DONE)
        yyjson_mut_obj_add_val(doc, root, "stats", gen_stats_json(doc, e->stats));
    json_print(doc);
}

static double clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Quick prefills show nothing: a line that flashes is noise. */
static void show_progress(const mlxe_event *e, double started_ms)
{
    char line[160];
    if (e->total == 0 || e->done >= e->total) {
        progress_show(NULL);
        return;
    }
    if (clock_ms() - started_ms < QUICK_PREFILL_MS) return;
    snprintf(line, sizeof line, "reading the prompt: %llu of %llu %.*s",
             (unsigned long long)e->done, (unsigned long long)e->total,
             (int)text_utf8_cut(e->text, e->text_bytes, 40), e->text);
    progress_show(line);
}

static const char *event_name(mlxe_event_type type)
{
    static const char *const NAMES[] = {[MLXE_EVENT_TEXT] = "text",
                                        [MLXE_EVENT_LOGPROBS] = "logprobs",
                                        [MLXE_EVENT_DONE] = "done",
                                        [MLXE_EVENT_REASONING] = "reasoning",
                                        [MLXE_EVENT_TOOL_CALL] = "tool_call"};
    return NAMES[type];
}

/* Reasoning is no result: people see it beside the answer, programs ask for --json. */
static void show_reasoning(const mlxe_event *e)
{
    cli_text text = {0};
    if (!progress_possible()) return;
    out_flush();
    text_utf8_repair(&text, e->text, e->text_bytes);
    for (size_t i = 0; i < text.bytes; i++)
        if ((unsigned char)text.data[i] < 0x20 && text.data[i] != '\n') text.data[i] = ' ';
    fwrite(text.data, 1, text.bytes, stderr);
    cli_text_deinit(&text);
}

static void take_event(const mlxe_event *e, double started_ms, gen_sink *sink)
{
    int shown = e->type == MLXE_EVENT_TEXT || e->type == MLXE_EVENT_TOOL_CALL;
    if (e->type == MLXE_EVENT_PROGRESS) {
        show_progress(e, started_ms);
        return;
    }
    progress_show(NULL);
    if (e->type == MLXE_EVENT_DONE) {
        sink->stats = *e->stats;
        sink->have_stats = 1;
    }
    if (sink->json)
        print_event(event_name(e->type), e);
    else if (shown)
        out_model_text(e->text, e->text_bytes);
    else if (e->type == MLXE_EVENT_REASONING)
        show_reasoning(e);
    if (shown) sink->spoke = 1;
    if (e->type == MLXE_EVENT_TOOL_CALL && sink->calls) tool_calls_add(sink->calls, e->call);
    if (sink->whole && shown) cli_text_add(sink->whole, e->text, e->text_bytes);
    out_flush();
}

mlxe_status gen_stream(mlxe_job *job, gen_sink *sink, mlxe_error *err)
{
    mlxe_status status;
    const mlxe_event *e;
    double started_ms = clock_ms();
    interrupt_watch(job);
    while ((status = mlxe_job_next(job, -1, &e, err)) == MLXE_OK && e) {
        take_event(e, started_ms, sink);
        if (out_closed()) mlxe_job_cancel(job);
    }
    progress_show(NULL);
    interrupt_unwatch(job);
    mlxe_job_close(job);
    return status;
}

/* ---- statistics ----------------------------------------------------------------------------- */

static const char *finish_name(mlxe_finish finish)
{
    switch (finish) {
    case MLXE_FINISH_STOP:
        return "stop";
    case MLXE_FINISH_LENGTH:
        return "length";
    case MLXE_FINISH_CANCELLED:
        return "cancelled";
    case MLXE_FINISH_TOOL_CALLS:
        return "tool_calls";
    }
    return "stop";
}

yyjson_mut_val *gen_stats_json(yyjson_mut_doc *doc, const mlxe_stats *s)
{
    yyjson_mut_val *o = yyjson_mut_obj(doc);
    yyjson_mut_obj_add_uint(doc, o, "prompt_tokens", s->prompt_tokens);
    yyjson_mut_obj_add_uint(doc, o, "cached_tokens", s->cached_tokens);
    yyjson_mut_obj_add_uint(doc, o, "generated_tokens", s->generated_tokens);
    yyjson_mut_obj_add_real(doc, o, "prefill_ms", s->prefill_ms);
    yyjson_mut_obj_add_real(doc, o, "decode_ms", s->decode_ms);
    yyjson_mut_obj_add_real(doc, o, "time_to_first_token_ms", s->time_to_first_token_ms);
    yyjson_mut_obj_add_real(doc, o, "prefill_tps", s->prefill_tps);
    yyjson_mut_obj_add_real(doc, o, "decode_tps", s->decode_tps);
    yyjson_mut_obj_add_uint(doc, o, "peak_memory_bytes", s->peak_memory_bytes);
    yyjson_mut_obj_add_str(doc, o, "finish_reason", finish_name(s->finish));
    yyjson_mut_obj_add_uint(doc, o, "seed", s->seed);
    json_add_string(doc, o, "device", s->device ? s->device : "");
    json_add_string(doc, o, "kernels", s->kernels ? s->kernels : "");
    return o;
}

void gen_stats_print(const mlxe_stats *s)
{
    progress_show(NULL);
    fprintf(stderr,
            "prompt %u tokens (%u cached), %.1f ms, %.1f tokens/s | generated %u tokens, %.1f ms, "
            "%.1f tokens/s | first token %.1f ms | peak memory %.1f MiB | %s | seed %llu | %s %s\n",
            s->prompt_tokens, s->cached_tokens, s->prefill_ms, s->prefill_tps, s->generated_tokens,
            s->decode_ms, s->decode_tps, s->time_to_first_token_ms,
            (double)s->peak_memory_bytes / (1024.0 * 1024.0), finish_name(s->finish),
            (unsigned long long)s->seed, s->device ? s->device : "", s->kernels ? s->kernels : "");
}

/* ---- files and models ----------------------------------------------------------------------- */

mlxe_status gen_tools(const cli_value *value, cli_text *out, mlxe_error *err)
{
    yyjson_doc *doc = NULL;
    cli_text text = {0};
    char where[300];
    mlxe_status status;
    if (!value->set) return MLXE_OK;
    const char *path = value->s[0] == '@' ? value->s + 1 : value->s;
    snprintf(where, sizeof where, "--tools: %.*s", (int)text_utf8_cut(path, strlen(path), 250),
             path);
    status = strcmp(path, "-") == 0 ? text_input("--tools", "-", &text, err)
                                    : text_file("--tools", path, &text, err);
    if (status == MLXE_OK) status = json_text_parse("--tools", text.data, text.bytes, &doc, err);
    if (status == MLXE_OK) status = tools_check(where, yyjson_doc_get_root(doc), out, err);
    yyjson_doc_free(doc);
    cli_text_deinit(&text);
    return status;
}

mlxe_kv_type gen_kv_type(const cli_value *value)
{
    static const char *const NAMES[] = {"f32", "f16", "bf16", "int8"};
    for (int i = 0; value && value->set && i < 4; i++)
        if (!strcmp(value->s, NAMES[i])) return (mlxe_kv_type)(MLXE_KV_F32 + i);
    return (mlxe_kv_type)0;
}

mlxe_precision gen_precision(const cli_value *value)
{
    return value && value->set ? MLXE_PRECISION_F32 : MLXE_PRECISION_INT8;
}

mlxe_status gen_model_open(const char *name, const gen_model_options *o, gen_model *out,
                           mlxe_error *err)
{
    mlxe_engine_params engine = mlxe_engine_params_new();
    mlxe_model_params model = mlxe_model_params_new();
    *out = (gen_model){0};
    mlxe_status status = cli_model_check(name, err);
    if (status) return status;
    engine.log = out_log;
    if (o->threads && o->threads->set) engine.threads = (uint32_t)o->threads->i;
    if (o->device && o->device->set) engine.device = o->device->s;
    if (o->context && o->context->set) model.context_tokens = (uint32_t)o->context->i;
    model.kv_type = gen_kv_type(o->kv_type);
    model.chat_template = o->chat_template;
    model.precision = gen_precision(o->precise);
    model.parallel = o->parallel;
    status = mlxe_engine_open(&engine, &out->engine, err);
    if (status == MLXE_OK) status = mlxe_model_open(out->engine, name, &model, &out->model, err);
    if (status) gen_model_close(out);
    return status;
}

void gen_model_close(gen_model *m)
{
    mlxe_model_close(m->model);
    mlxe_engine_close(m->engine);
    *m = (gen_model){0};
}
