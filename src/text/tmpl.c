/* tmpl.c: chat templates as the rest of the library sees them: open, render, close.
 *
 * Owns: what a request means before the template sees it, as transformers prepares it:
 *   - with `messages`: tools and documents are None when absent, add_generation_prompt is false;
 *     messages are objects; reasoning_content, thinking and reasoning fill one another;
 *   - continue_final_message (true: "content", or a field's name): a tag is put behind the last
 *     message's text, and the result ends where the tag comes out;
 *   - strftime_now is the local time that the function of that name sees;
 *   - everything else is a variable. A null is None, an absent key is undefined.
 * Source: transformers 5.23 chat_template_utils.render_jinja_template.
 * Traps: the tag ends in a space, so that a template which strips the text is noticed: then the
 *        space before the tag is stripped too. `thinking` goes first into a message, so a message's
 *        own keys win; `reasoning_content` goes last. */
#include "text/tmpl.h"

#include "text/template/content.h"
#include "text/template/text.h"
#include "text/tmpl_internal.h"

#include <stdlib.h>
#include <time.h>

const jj_limits TMPL_LIMITS = {
    .steps = 50000000,
    .memory_bytes = (size_t)1 << 30,
    .output_bytes = (size_t)256 << 20,
    .depth = 1200,
};

static const char CONTINUE_TAG[] = "CONTINUE_FINAL_MESSAGE_TAG ";
enum { CONTINUE_TAG_BYTES = sizeof CONTINUE_TAG - 1, REASONING_FIELDS = 3 };
static const char *const REASONING[REASONING_FIELDS] = {"reasoning_content", "thinking",
                                                        "reasoning"};

mlxe_status tmpl_open(const char *where, strv source, tmpl **out, mlxe_error *err)
{
    mlxe_status status;
    tmpl *t;
    *out = NULL;
    t = calloc(1, sizeof *t);
    if (!t) return err_memory(err, where, sizeof *t);
    status = jj_compile(where, source, &t->t, err);
    if (status)
        free(t);
    else
        *out = t;
    return status;
}

void tmpl_close(tmpl *t)
{
    if (!t) return;
    jj_template_close(t->t);
    json_close(t->variables);
    buf_deinit(&t->tokens);
    free(t);
}

/* ---- the request ---- */

/* "2031-05-17T10:22:33", also with a space for the T and a fraction of a second. */
static int parse_time(strv s, jj_time *t)
{
    static const char FORM[] = "dddd-dd-ddTdd:dd:dd";
    static const unsigned char DAYS[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int part[6] = {0}, at = 0, scale = 100000;
    size_t i = 0;
    if (s.n < sizeof FORM - 1) return 0;
    for (; i < sizeof FORM - 1; i++) {
        if (FORM[i] == 'd') {
            if (s.p[i] < '0' || s.p[i] > '9') return 0;
            part[at] = part[at] * 10 + (s.p[i] - '0');
        } else if (s.p[i] != FORM[i] && !(FORM[i] == 'T' && s.p[i] == ' '))
            return 0;
        else
            at++;
    }
    *t = (jj_time){part[0], part[1], part[2], part[3], part[4], part[5], 0};
    if (i < s.n && s.p[i++] != '.') return 0;
    for (; i < s.n; i++, scale /= 10) {
        if (s.p[i] < '0' || s.p[i] > '9') return 0;
        t->microsecond += (s.p[i] - '0') * scale;
    }
    return t->year >= 1 && t->month >= 1 && t->month <= 12 && t->day >= 1 &&
           t->day <= DAYS[t->month - 1] && t->hour < 24 && t->minute < 60 && t->second < 60 &&
           !(t->month == 2 && t->day == 29 &&
             (t->year % 4 || (t->year % 100 == 0 && t->year % 400)));
}

static void clock_time(jj_time *t)
{
    struct timespec now;
    struct tm local;
    *t = (jj_time){.year = 1970, .month = 1, .day = 1};
    if (clock_gettime(CLOCK_REALTIME, &now) || !localtime_r(&now.tv_sec, &local)) return;
    *t = (jj_time){local.tm_year + 1900,
                   local.tm_mon + 1,
                   local.tm_mday,
                   local.tm_hour,
                   local.tm_min,
                   local.tm_sec > 59 ? 59 : local.tm_sec,
                   (int)(now.tv_nsec / 1000)};
}

static jv *variable(jj_rt *rt, const char *name)
{
    jj_entry *e = jj_dict_find_str(rt->vars, strv_of(name));
    return e ? &e->value : NULL;
}

static void set_default(jj_rt *rt, const char *name, jv v)
{
    if (!variable(rt, name)) jj_dict_set(rt, rt->vars, jj_borrow(rt, strv_of(name)), v);
}

/* A list of objects, or None. */
static int check_objects(jj_rt *rt, const char *name, int none)
{
    const jv *v = variable(rt, name);
    if (none && v->type == JJ_NONE) return 1;
    if (v->type != JJ_LIST) {
        jj_fail(rt, "%s is '%s', want a list of objects", name, jj_type_name(*v));
        return 0;
    }
    for (size_t i = 0; i < v->u.l->n; i++)
        if (v->u.l->v[i].type != JJ_DICT) {
            jj_fail(rt, "%s[%zu] is '%s', want an object", name, i, jj_type_name(v->u.l->v[i]));
            return 0;
        }
    return 1;
}

/* A message with its reasoning under all names that templates read. */
static jv with_reasoning(jj_rt *rt, jv message)
{
    jj_dict *from = message.u.d, *d;
    jv reasoning = jj_none();
    for (int i = 0; i < REASONING_FIELDS && reasoning.type == JJ_NONE; i++) {
        jj_entry *e = jj_dict_find_str(from, strv_of(REASONING[i]));
        if (e) reasoning = e->value;
    }
    if (reasoning.type == JJ_NONE) return message;
    d = jj_dict_new(rt);
    jj_dict_set(rt, d, jj_borrow(rt, STRV("thinking")), reasoning);
    for (size_t i = 0; i < from->n; i++)
        jj_dict_set(rt, d, from->e[i].key, from->e[i].value);
    jj_dict_set(rt, d, jj_borrow(rt, STRV("reasoning_content")), reasoning);
    return jj_dict_value(rt, d);
}

/* ---- continue_final_message ---- */

static jv tagged(jj_rt *rt, jv text)
{
    if (!jj_is_str(text) && jj_ok(rt))
        return jj_fail(rt, "continue_final_message wants a text to continue, got '%s'",
                       jj_type_name(text));
    return jj_binary(rt, JJ_ADD, text, jj_borrow(rt, STRV(CONTINUE_TAG)));
}

static int in_source(const jj_rt *rt, const char *word)
{
    return jj_find(rt->t->source, strv_of(word), 0) != SIZE_MAX;
}

/* Puts the tag behind the last text block of a list of blocks. -> that block's text */
static jv tag_blocks(jj_rt *rt, const jj_list *blocks)
{
    for (size_t i = blocks->n; i-- > 0;) {
        jv block = blocks->v[i], text;
        jj_entry *e;
        if (block.type != JJ_DICT)
            return jj_fail(rt, "a content block is '%s', want an object", jj_type_name(block));
        e = jj_dict_find_str(block.u.d, STRV("text"));
        if (!e) continue;
        text = e->value;
        e->value = tagged(rt, text);
        return text;
    }
    return jj_fail(rt, "continue_final_message is set but the final message holds no text");
}

static jv tag_fields(jj_rt *rt, jj_dict *message, const char *const *fields, size_t n, jv final)
{
    for (size_t i = 0; i < n && jj_ok(rt); i++) {
        jj_entry *e = jj_dict_find_str(message, strv_of(fields[i]));
        if (e) e->value = tagged(rt, e->value);
    }
    return final;
}

/* Marks the end of the final message. -> its text, as it has to come out */
static jv tag_final(jj_rt *rt, const jv *how, jj_list *messages)
{
    const char *fields[REASONING_FIELDS];
    size_t n = 0;
    char name[64] = "content";
    jj_dict *message;
    jj_entry *e;
    int known = 0;
    if (!messages->n)
        return jj_fail(rt, "continue_final_message is set but the conversation is empty");
    if (jj_is_str(*how)) {
        if (how->u.s->n >= sizeof name) return jj_fail(rt, "continue_final_message is no field");
        memcpy(name, how->u.s->p, how->u.s->n);
        name[how->u.s->n] = 0;
    }
    message = messages->v[messages->n - 1].u.d;
    e = jj_dict_find_str(message, strv_of(name));
    if (!e || e->value.type == JJ_NONE)
        return jj_fail(rt, "continue_final_message is set but the final message has no \"%s\"",
                       name);
    for (int i = 0; i < REASONING_FIELDS; i++) {
        jj_entry *other = jj_dict_find_str(message, strv_of(REASONING[i]));
        known |= !strcmp(name, REASONING[i]);
        if (other && jj_equal(rt, other->value, e->value)) fields[n++] = REASONING[i];
    }
    if (!known) {
        fields[0] = name;
        n = 1;
    }
    for (size_t i = 0;; i++) {
        if (i == n)
            return jj_fail(rt, "continue_final_message: the template does not use \"%s\"", name);
        if (in_source(rt, fields[i])) break;
    }
    if (e->value.type == JJ_LIST) return tag_blocks(rt, e->value.u.l);
    return tag_fields(rt, message, fields, n, e->value);
}

/* Cuts the rendered text where the tag came out. */
static void cut_at_tag(jj_rt *rt, buf *out, size_t from, jv final)
{
    strv text = {out->p + from, out->n - from};
    strv wanted = jj_strip(jj_strv(final), NULL, 1, 1);
    size_t at = jj_rfind(text, (strv){CONTINUE_TAG, CONTINUE_TAG_BYTES - 1});
    if (at == SIZE_MAX || jj_find(text, wanted, 0) == SIZE_MAX) {
        jj_fail(rt, "continue_final_message is set but the final message does not appear in the "
                    "rendered text");
        return;
    }
    if (text.n - at < CONTINUE_TAG_BYTES || text.p[at + CONTINUE_TAG_BYTES - 1] != ' ')
        at = jj_strip((strv){text.p, at}, NULL, 0, 1).n;
    out->n = from + at;
    out->p[out->n] = 0;
}

/* ---- rendering ---- */

static void take_variables(jj_rt *rt, const json *object)
{
    static const char *const OWN[] = {"continue_final_message", "strftime_now", "template"};
    json_iter it = json_iterate(object);
    const json *key, *value;
    while (jj_ok(rt) && json_next(&it, &key, &value)) {
        strv name = json_str(key);
        int own = 0;
        for (size_t i = 0; i < sizeof OWN / sizeof *OWN; i++)
            own |= strv_is(name, OWN[i]);
        if (!own) jj_dict_set(rt, rt->vars, jj_borrow(rt, name), jj_from_json(rt, value));
    }
}

static void prepare_time(jj_rt *rt, const json *request)
{
    const json *now = json_get(request, "strftime_now");
    if (!now || json_is(now, JSON_NULL))
        clock_time(&rt->time);
    else if (!json_is(now, JSON_STRING) || !parse_time(json_str(now), &rt->time))
        jj_fail(rt, "strftime_now is no time, want \"2031-05-17T10:22:33\"");
}

/* What transformers does with messages. -> the final message's text if it is continued */
static jv prepare_messages(jj_rt *rt, const json *request)
{
    jv how = jj_from_json(rt, json_get(request, "continue_final_message"));
    jj_list *messages;
    if (!variable(rt, "messages"))
        return jj_truth(how) ? jj_fail(rt, "continue_final_message is set without messages")
                             : jj_none();
    set_default(rt, "tools", jj_none());
    set_default(rt, "documents", jj_none());
    set_default(rt, "add_generation_prompt", jj_bool(0));
    if (!jj_ok(rt) || !check_objects(rt, "messages", 0) || !check_objects(rt, "tools", 1) ||
        !check_objects(rt, "documents", 1))
        return jj_none();
    messages = variable(rt, "messages")->u.l;
    for (size_t i = 0; i < messages->n; i++)
        messages->v[i] = with_reasoning(rt, messages->v[i]);
    if (!jj_ok(rt) || !jj_truth(how)) return jj_none();
    if (jj_truth(*variable(rt, "add_generation_prompt")))
        return jj_fail(rt, "continue_final_message and add_generation_prompt exclude each other");
    return tag_final(rt, &how, messages);
}

/* ---- what messages brought ---- */

/* All texts of a value, keys of objects too. */
static void declare_texts(jj_rt *rt, const json *v)
{
    json_iter it = json_iterate(v);
    const json *key, *item;
    if (json_is(v, JSON_STRING)) jj_content_add(rt, json_str(v));
    if (!json_is(v, JSON_ARRAY) && !json_is(v, JSON_OBJECT)) return;
    while (json_next(&it, &key, &item)) {
        if (key) jj_content_add(rt, json_str(key));
        declare_texts(rt, item);
    }
}

/* Of the model's own messages only the calls' arguments: the rest is what the model wrote. */
static void declare_message(jj_rt *rt, const json *message)
{
    strv role = json_str(json_get(message, "role"));
    json_iter it = json_iterate(message);
    const json *key, *value, *call;
    if (!json_is(message, JSON_OBJECT) || strv_is(role, "system") || strv_is(role, "developer"))
        return;
    if (strv_is(role, "assistant") || strv_is(role, "model")) {
        it = json_iterate(json_get(message, "tool_calls"));
        while (json_next(&it, NULL, &call)) {
            const json *f = json_get(call, "function");
            declare_texts(rt, json_get(f ? f : call, "arguments"));
        }
        return;
    }
    while (json_next(&it, &key, &value))
        if (!strv_is(json_str(key), "role")) declare_texts(rt, value);
}

static void declare_content(jj_rt *rt, const json *request)
{
    json_iter it = json_iterate(json_get(request, "messages"));
    const json *message;
    if (json_is(json_get(request, "messages"), JSON_ARRAY))
        while (json_next(&it, NULL, &message))
            declare_message(rt, message);
    declare_texts(rt, json_get(request, "documents"));
}

/* Hands the spans out; what was cut off the text goes. */
static void take_spans(jj_content *c, size_t end, tmpl_spans *spans)
{
    while (c->n_spans && c->spans[c->n_spans - 1].begin >= end)
        c->n_spans--;
    if (c->n_spans && c->spans[c->n_spans - 1].end > end) c->spans[c->n_spans - 1].end = end;
    *spans = (tmpl_spans){c->spans, c->n_spans};
    c->spans = NULL;
}

void tmpl_spans_deinit(tmpl_spans *spans)
{
    free(spans->v);
    *spans = (tmpl_spans){0};
}

strv tmpl_source(const tmpl *t) { return t->t->source; }
strv tmpl_tokens(const tmpl *t) { return buf_view(&t->tokens); }

mlxe_status tmpl_render_limited(const tmpl *t, const json *request, const jj_limits *limits,
                                buf *out, tmpl_spans *spans, mlxe_error *err)
{
    size_t from = out->n;
    mlxe_status status;
    jv final = jj_none();
    jj_content content = {.root = out};
    jj_rt rt;
    if (spans) *spans = (tmpl_spans){0};
    if (!json_is(request, JSON_OBJECT))
        return err_set(err, MLXE_E_INPUT, "%s: the request is %s, want an object", t->t->where,
                       json_type_name(json_typeof(request)));
    jj_rt_init(&rt, t->t, limits, out);
    if (spans) rt.content = &content;
    if (spans) declare_content(&rt, request);
    if (t->variables) take_variables(&rt, json_root(t->variables));
    take_variables(&rt, request);
    prepare_time(&rt, request);
    if (jj_ok(&rt)) final = prepare_messages(&rt, request);
    if (jj_ok(&rt)) jj_run(&rt);
    if (jj_ok(&rt) && jj_is_str(final)) cut_at_tag(&rt, out, from, final);
    if (jj_ok(&rt) && out->n > from &&
        jj_find_surrogate((strv){out->p + from, out->n - from}) != SIZE_MAX)
        jj_fail(&rt, "the text holds a lone surrogate, which UTF-8 has no form for");
    status = jj_rt_error(&rt, err);
    if (spans && !status) take_spans(&content, out->n, spans);
    jj_content_deinit(&content);
    jj_rt_deinit(&rt);
    if (!buf_ok(out) && !status) status = err_memory(err, t->t->where, out->n);
    if (status && out->p) {
        out->n = from;
        out->p[from] = 0;
    }
    return status;
}

mlxe_status tmpl_render(const tmpl *t, const json *request, buf *out, mlxe_error *err)
{
    return tmpl_render_limited(t, request, &TMPL_LIMITS, out, NULL, err);
}

mlxe_status tmpl_render_spans(const tmpl *t, const json *request, buf *out, tmpl_spans *spans,
                              mlxe_error *err)
{
    return tmpl_render_limited(t, request, &TMPL_LIMITS, out, spans, err);
}
