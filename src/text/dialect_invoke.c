/* dialect_invoke.c: reads calls that are written in tags.
 *
 *   <invoke name="f"><parameter name="k" ..>v</parameter>..</invoke>  attributes name them
 *   f <arg_key>k</arg_key><arg_value>v</arg_value> ..                tags for keys and values
 *
 * A value is text or JSON: by string="true|false" where the tag says it, else by the schema. A
 * text where the schema takes none is a mistake of the model's: the schema's type then. */
#include "text/dialects/invoke.h"

#include <stdio.h>

strv invoke_name(strv attributes)
{
    size_t at = text_find(attributes, "name=", 0), end;
    strv s = attributes;
    if (at == SIZE_MAX) return (strv){"", 0};
    s = (strv){s.p + at + 5, s.n - at - 5};
    if (s.n && (*s.p == '"' || *s.p == '\'')) {
        const char *close = memchr(s.p + 1, *s.p, s.n - 1);
        return close ? (strv){s.p + 1, (size_t)(close - s.p) - 1} : (strv){"", 0};
    }
    for (end = 0; end < s.n && !text_space(s.p[end]);)
        end++;
    return (strv){s.p, end};
}

static void add_parameter(call_list *c, strv tool, strv attributes, strv value)
{
    strv key = invoke_name(attributes), kind;
    size_t at = 0;
    json_doc *doc = NULL;
    if (!key.n) {
        calls_refuse(c, "a tool call's parameter has no name");
        return;
    }
    if (!text_between(attributes, "string=\"", "\"", &at, &kind) ||
        (strv_is(kind, "true") && !schema_takes_text(c, parameter_schema(c, tool, key)))) {
        object_add_text(c, tool, key, value);
        return;
    }
    if (c->scratch.n > 1) buf_add_str(&c->scratch, ", ");
    json_write_str(&c->scratch, key);
    buf_add_str(&c->scratch, ": ");
    if (strv_is(kind, "false") && !json_parse("value", value.p, value.n, &doc, NULL))
        buf_add_strv(&c->scratch, value);
    else
        json_write_str(&c->scratch, value);
    json_close(doc);
}

/* Where the value at `at` ends, and its text without <![CDATA[ and ]]>. SIZE_MAX: nowhere */
static size_t end_value(strv s, size_t at, const invoke_tags *t, strv *value)
{
    static const char BEGIN[] = "<![CDATA[", END[] = "]]>";
    size_t from = at, end;
    while (t->cdata && from < s.n && text_space(s.p[from]))
        from++;
    if (t->cdata && strv_starts((strv){s.p + from, s.n - from}, strv_of(BEGIN))) {
        from += sizeof BEGIN - 1;
        if ((end = text_find(s, END, from)) == SIZE_MAX) return SIZE_MAX;
        *value = (strv){s.p + from, end - from};
        return text_find(s, t->parameter_end, end);
    }
    if ((end = text_find(s, t->parameter_end, at)) == SIZE_MAX) return SIZE_MAX;
    *value = text_inner((strv){s.p + at, end - at});
    return end;
}

void read_invoke(call_list *c, strv one, const invoke_tags *t)
{
    size_t at = text_find(one, ">", 0);
    strv name, attributes, value;
    if (at == SIZE_MAX || !(name = invoke_name((strv){one.p, at})).n) {
        calls_refuse(c, "a tool call has no name");
        return;
    }
    buf_clear(&c->scratch);
    buf_add_char(&c->scratch, '{');
    for (at++; calls_ok(c) && text_between(one, t->parameter, ">", &at, &attributes);) {
        at = end_value(one, at, t, &value);
        if (at == SIZE_MAX) {
            calls_refuse(c, "a tool call is not complete, it wants %s", t->parameter_end);
            return;
        }
        at += strlen(t->parameter_end);
        add_parameter(c, name, attributes, value);
    }
    buf_add_char(&c->scratch, '}');
    if (calls_ok(c) && text_trim((strv){one.p + at, one.n - at}).n)
        calls_refuse(c, "a tool call holds something that is no parameter");
    if (calls_ok(c)) calls_add(c, name, (strv){"", 0}, calls_keep(c));
}

void read_invokes(call_list *c, strv body, const char *prefix)
{
    char open[48], close[48], parameter[48], parameter_end[48];
    const invoke_tags t = {.parameter = parameter, .parameter_end = parameter_end};
    size_t at = 0;
    strv one;
    snprintf(open, sizeof open, "<%sinvoke", prefix);
    snprintf(close, sizeof close, "</%sinvoke>", prefix);
    snprintf(parameter, sizeof parameter, "<%sparameter", prefix);
    snprintf(parameter_end, sizeof parameter_end, "</%sparameter>", prefix);
    while (!c->failed && text_between(body, open, close, &at, &one)) {
        read_invoke(c, one, &t);
        calls_part(c, body.p + at);
    }
    if (!c->n || text_trim((strv){body.p + at, body.n - at}).n)
        calls_refuse(c, "a tool call is not complete, it wants %s", close);
}

/* ---- keys with tags of their own ------------------------------------------------------------- */

void read_keyed(call_list *c, strv name, strv pairs, const keyed_tags *t)
{
    size_t at = 0, end;
    strv key, value;
    buf_clear(&c->scratch);
    buf_add_char(&c->scratch, '{');
    while (text_between(pairs, t->key, t->key_end, &at, &key)) {
        if (t->value) {
            end = text_between(pairs, t->value, t->value_end, &at, &value) ? at : SIZE_MAX;
        } else if ((end = text_find(pairs, t->value_end, at)) != SIZE_MAX) {
            value = (strv){pairs.p + at, end - at};
            at = end + strlen(t->value_end);
        }
        if (end == SIZE_MAX) {
            calls_refuse(c, "a tool call's argument has no value");
            return;
        }
        object_add_text(c, name, text_trim(key), value);
    }
    buf_add_char(&c->scratch, '}');
    if (text_trim((strv){pairs.p + at, pairs.n - at}).n)
        calls_refuse(c, "a tool call holds something that is no argument");
    else
        calls_add(c, name, (strv){"", 0}, calls_keep(c));
}

void read_named_keyed(call_list *c, strv body, const keyed_tags *t)
{
    size_t at = text_find(body, t->key, 0);
    strv name;
    if (at == SIZE_MAX) at = body.n;
    name = text_trim((strv){body.p, at});
    if (!name.n || text_find(name, "\n", 0) != SIZE_MAX || *name.p == '{')
        read_json_calls(c, body);
    else
        read_keyed(c, name, (strv){body.p + at, body.n - at}, t);
}
