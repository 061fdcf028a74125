/* prompt.c: rendering a conversation, and the ids of the text.
 *
 * Traps: templates disagree on whether a call's arguments are an object or a text of JSON. Clients
 * send texts. Objects are tried first, then texts. After a template no special tokens are added:
 * the template has written its own (no double BOS).
 *
 * What is remembered of an answer ends before the special token that the template puts behind it
 * (<|im_end|> and the like), so the text that follows is cut off where tokens are cut as well. */
#include "session/prompt.h"

#include "text/dialect.h"

#include <stdlib.h>

void prompt_forget(prompt_memory *memory)
{
    buf_deinit(&memory->text);
    free(memory->ids);
    *memory = (prompt_memory){0};
}

void prompt_deinit(prompt *p)
{
    buf_deinit(&p->text);
    tmpl_spans_deinit(&p->plain);
    free(p->ids);
    *p = (prompt){0};
}

/* ---- text ------------------------------------------------------------------------------------ */

/* A call with its arguments as an object or as a text, whatever they were. */
static void write_function(buf *out, const json *function, int as_text)
{
    json_iter it = json_iterate(function);
    const json *key, *value;
    int first = 1;
    buf_add_char(out, '{');
    while (json_next(&it, &key, &value)) {
        json_doc *doc = NULL;
        strv text = json_str(value);
        int is_arguments = strv_is(json_str(key), "arguments");
        if (!first) buf_add_char(out, ',');
        first = 0;
        json_write_str(out, json_str(key));
        buf_add_char(out, ':');
        if (is_arguments && as_text && json_is(value, JSON_OBJECT)) {
            buf object = {0};
            json_write_value(&object, value);
            json_write_str(out, buf_view(&object));
            buf_deinit(&object);
        } else if (is_arguments && !as_text && json_is(value, JSON_STRING) &&
                   !json_parse("arguments", text.p, text.n, &doc, NULL) &&
                   json_is(json_root(doc), JSON_OBJECT))
            json_write_value(out, json_root(doc));
        else
            json_write_value(out, value);
        json_close(doc);
    }
    buf_add_char(out, '}');
}

static void write_calls(buf *out, const json *calls, int as_text)
{
    json_iter it = json_iterate(calls);
    const json *call, *key, *value;
    buf_add_char(out, '[');
    for (int n = 0; json_next(&it, NULL, &call); n++) {
        json_iter members = json_iterate(call);
        if (n) buf_add_char(out, ',');
        if (!json_is(call, JSON_OBJECT) || !json_is(json_get(call, "function"), JSON_OBJECT)) {
            if (json_is(call, JSON_OBJECT))
                write_function(out, call, as_text);
            else
                json_write_value(out, call);
            continue;
        }
        buf_add_char(out, '{');
        for (int m = 0; json_next(&members, &key, &value); m++) {
            if (m) buf_add_char(out, ',');
            json_write_str(out, json_str(key));
            buf_add_char(out, ':');
            if (strv_is(json_str(key), "function"))
                write_function(out, value, as_text);
            else
                json_write_value(out, value);
        }
        buf_add_char(out, '}');
    }
    buf_add_char(out, ']');
}

static void write_message(buf *out, const json *message, int as_text)
{
    json_iter it = json_iterate(message);
    const json *key, *value;
    buf_add_char(out, '{');
    for (int n = 0; json_next(&it, &key, &value); n++) {
        if (n) buf_add_char(out, ',');
        json_write_str(out, json_str(key));
        buf_add_char(out, ':');
        if (strv_is(json_str(key), "tool_calls") && json_is(value, JSON_ARRAY))
            write_calls(out, value, as_text);
        else
            json_write_value(out, value);
    }
    buf_add_char(out, '}');
}

/* The caller's variables but those that are the request's own. */
static mlxe_status write_vars(buf *out, const char *vars, mlxe_error *err)
{
    static const char *const OWN[] = {"messages", "tools", "add_generation_prompt"};
    json_doc *doc = NULL;
    json_iter it;
    const json *key, *value;
    mlxe_status rc = json_parse("template variables", vars, strlen(vars), &doc, err);
    if (!rc && !json_is(json_root(doc), JSON_OBJECT))
        rc = err_set(err, MLXE_E_INPUT, "template variables: are %s, want an object",
                     json_type_name(json_typeof(json_root(doc))));
    it = json_iterate(rc ? NULL : json_root(doc));
    while (!rc && json_next(&it, &key, &value)) {
        for (size_t i = 0; i < sizeof OWN / sizeof *OWN; i++)
            if (strv_is(json_str(key), OWN[i]))
                rc =
                    err_set(err, MLXE_E_ARG, "template variables: %s is not one to be set", OWN[i]);
        buf_add_char(out, ',');
        json_write_str(out, json_str(key));
        buf_add_char(out, ':');
        json_write_value(out, value);
    }
    json_close(doc);
    return rc;
}

/* has_calls: some message has tool calls. */
static mlxe_status request_write(const prompt_request *r, int as_text, buf *out, int *has_calls,
                                 mlxe_error *err)
{
    json_doc *doc = NULL;
    json_iter it;
    const json *message;
    buf list = {0};
    mlxe_status rc;
    *has_calls = 0;
    buf_add_char(&list, '[');
    buf_add_strv(&list, r->messages);
    buf_add_char(&list, ']');
    rc = buf_ok(&list) ? json_parse("conversation", buf_str(&list), list.n, &doc, err)
                       : err_memory(err, "conversation", r->messages.n);
    buf_deinit(&list);
    if (rc) return rc;
    buf_add_str(out, "{\"messages\":[");
    it = json_iterate(json_root(doc));
    for (int n = 0; json_next(&it, NULL, &message); n++) {
        if (n) buf_add_char(out, ',');
        write_message(out, message, as_text);
        *has_calls |= json_get(message, "tool_calls") != NULL;
    }
    json_close(doc);
    buf_add_str(out, r->generation ? "],\"add_generation_prompt\":true"
                                   : "],\"add_generation_prompt\":false");
    if (r->tools) {
        buf_add_str(out, ",\"tools\":");
        buf_add_str(out, r->tools);
    }
    if (r->vars) rc = write_vars(out, r->vars, err);
    buf_add_char(out, '}');
    return rc || buf_ok(out) ? rc : err_memory(err, "conversation", out->n);
}

static mlxe_status render(const prompt_request *r, const tmpl *t, int as_text, prompt *out,
                          int *has_calls, mlxe_error *err)
{
    buf request = {0};
    json_doc *doc = NULL;
    mlxe_status rc = request_write(r, as_text, &request, has_calls, err);
    buf_clear(&out->text);
    tmpl_spans_deinit(&out->plain);
    if (!rc) rc = json_parse("conversation", buf_str(&request), request.n, &doc, err);
    if (!rc)
        rc = tmpl_render_spans(t, json_root(doc), &out->text, r->parse_special ? NULL : &out->plain,
                               err);
    json_close(doc);
    buf_deinit(&request);
    return rc;
}

mlxe_status prompt_render(const prompt_request *r, prompt *out, mlxe_error *err)
{
    const tmpl *t = r->tools ? r->model->chat_tools : r->model->chat;
    mlxe_error second;
    mlxe_status rc;
    int has_calls;
    if (!t) {
        if (err) *err = r->model->chat_error;
        return r->model->chat_error.code;
    }
    rc = render(r, t, 0, out, &has_calls, err);
    if (rc != MLXE_E_INPUT || !has_calls) return rc;
    if (render(r, t, 1, out, &has_calls, &second)) return rc; /* the first error says more */
    err_clear(err);
    return MLXE_OK;
}

/* ---- ids ------------------------------------------------------------------------------------- */

static mlxe_status check_ids(const loaded *m, const prompt *p, mlxe_error *err)
{
    if (!p->n) return err_set(err, MLXE_E_INPUT, "prompt: has no tokens");
    if (p->n >= (size_t)m->context_tokens) {
        err_set(err, MLXE_E_LIMIT, "prompt: %zu tokens, want less than the context of %lld", p->n,
                (long long)m->context_tokens);
        err_hint(err, "shorten the conversation, or give a larger context if the model allows it");
        return MLXE_E_LIMIT;
    }
    for (size_t i = 0; i < p->n; i++)
        if (p->ids[i] >= m->caps.ids)
            return err_set(err, MLXE_E_CORRUPT,
                           "tokenizer.json: gives id %d, but the model has %d embeddings",
                           p->ids[i], m->caps.ids);
    return MLXE_OK;
}

mlxe_status prompt_encode(const loaded *m, prompt *p, const prompt_memory *memory, unsigned flags,
                          mlxe_error *err)
{
    strv text = buf_view(&p->text);
    size_t known =
        memory && memory->n && strv_starts(text, buf_view(&memory->text)) ? memory->n : 0;
    size_t skip = known ? memory->text.n : 0;
    tok_ids ids = {0};
    tmpl_spans rest = p->plain;
    mlxe_status rc;
    while (rest.n && rest.v[0].end <= skip) { /* spans lie wholly before or after the cut */
        rest.v++;
        rest.n--;
    }
    rc = tok_encode_content(m->tokenizer, (strv){text.p + skip, text.n - skip}, rest.v, rest.n,
                            skip, flags | TOK_NO_TRUNCATION, &ids, err);
    if (rc) goto out;
    free(p->ids);
    p->n = 0;
    p->ids = malloc((known + ids.n + 1) * sizeof *p->ids);
    if (!p->ids) {
        rc = err_memory(err, "prompt", (known + ids.n) * sizeof *p->ids);
        goto out;
    }
    if (known) memcpy(p->ids, memory->ids, known * sizeof *p->ids);
    for (size_t i = 0; i < ids.n; i++)
        p->ids[known + i] = ids.tokens[i].id;
    p->n = known + ids.n;
    rc = check_ids(m, p, err);
out:
    tok_ids_deinit(&ids);
    return rc;
}

/* ---- what was answered ----------------------------------------------------------------------- */

static int is_end(const loaded *m, int32_t id)
{
    for (size_t i = 0; i < m->n_end_ids; i++)
        if (m->end_ids[i] == id) return 1;
    return 0;
}

static int is_blank(strv s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != ' ' && s.p[i] != '\n') return 0;
    return 1;
}

/* Where, in what the template wrote for the answer, the token begins that ends it; SIZE_MAX: there
 * is none, or it may be the answer's own. */
static size_t answer_end(const loaded *m, strv tail, strv raw)
{
    tok_ids ids = {0};
    size_t at = SIZE_MAX;
    if (tok_encode(m->tokenizer, tail, (strv){NULL, 0}, TOK_NO_TRUNCATION, &ids, NULL)) return at;
    for (size_t i = ids.n; i-- > 0 && at == SIZE_MAX;) {
        const mlxe_token *t = &ids.tokens[i];
        strv token = {tail.p + t->begin, (size_t)(t->end - t->begin)};
        if (!is_end(m, t->id) && !tok_is_special(m->tokenizer, t->id)) {
            if (!is_blank(token)) break;
            continue;
        }
        if (is_end(m, t->id) || !strv_ends(raw, token)) at = (size_t)t->begin;
        break;
    }
    tok_ids_deinit(&ids);
    return at;
}

void prompt_remember(const loaded *m, const prompt *own, const prompt *asked, const int32_t *ids,
                     size_t n_ids, strv raw, prompt_memory *memory)
{
    strv all = buf_view(&own->text), tail;
    size_t end;
    prompt_forget(memory);
    if (!strv_starts(all, buf_view(&asked->text))) return;
    tail = (strv){all.p + asked->text.n, all.n - asked->text.n};
    end = answer_end(m, tail, raw);
    if (end == SIZE_MAX) return;
    memory->ids = malloc((asked->n + n_ids + 1) * sizeof *memory->ids);
    buf_add(&memory->text, all.p, asked->text.n + end);
    if (!memory->ids || !buf_ok(&memory->text)) {
        prompt_forget(memory);
        return;
    }
    memcpy(memory->ids, asked->ids, asked->n * sizeof *ids);
    if (n_ids) memcpy(memory->ids + asked->n, ids, n_ids * sizeof *ids);
    memory->n = asked->n + n_ids;
}
