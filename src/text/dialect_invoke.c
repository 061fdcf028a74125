/* dialect_invoke.c: reads <invoke name="f"><parameter name="k" ..>v</parameter>..</invoke>.
 *
 * A value is text or JSON: by string="true|false" where the tag says it, else by the schema. */
#include "text/dialects/invoke.h"

#include <stdio.h>

typedef struct tags {
    char invoke[48], invoke_end[48], parameter[48], parameter_end[48];
} tags;

/* The name="..." within a tag's attributes, with or without quotes. */
static strv name_of(strv attributes)
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

/* Text as the model means it: without the line ends behind and before the tags. */
static strv inner(strv s)
{
    if (s.n && *s.p == '\n') s = (strv){s.p + 1, s.n - 1};
    if (s.n && s.p[s.n - 1] == '\n') s.n--;
    return s;
}

static void add_parameter(call_list *c, strv tool, strv attributes, strv value)
{
    strv key = name_of(attributes), kind;
    size_t at = 0;
    json_doc *doc = NULL;
    if (!key.n) {
        calls_refuse(c, "a tool call's parameter has no name");
        return;
    }
    if (!text_between(attributes, "string=\"", "\"", &at, &kind)) {
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

static void read_invoke(call_list *c, strv one, const tags *t)
{
    size_t at = text_find(one, ">", 0), behind;
    strv name, attributes, value;
    if (at == SIZE_MAX || !(name = name_of((strv){one.p, at})).n) {
        calls_refuse(c, "a tool call has no name");
        return;
    }
    buf_clear(&c->scratch);
    buf_add_char(&c->scratch, '{');
    for (at++; calls_ok(c) && text_between(one, t->parameter, ">", &at, &attributes);) {
        behind = at;
        at = text_find(one, t->parameter_end, behind);
        if (at == SIZE_MAX) {
            calls_refuse(c, "a tool call is not complete, it wants %s", t->parameter_end);
            return;
        }
        value = (strv){one.p + behind, at - behind};
        at += strlen(t->parameter_end);
        add_parameter(c, name, attributes, inner(value));
    }
    buf_add_char(&c->scratch, '}');
    if (calls_ok(c) && text_trim((strv){one.p + at, one.n - at}).n)
        calls_refuse(c, "a tool call holds something that is no parameter");
    if (calls_ok(c)) calls_add(c, name, (strv){"", 0}, calls_keep(c));
}

void read_invokes(call_list *c, strv body, const char *prefix)
{
    tags t;
    size_t at = 0;
    strv one;
    snprintf(t.invoke, sizeof t.invoke, "<%sinvoke", prefix);
    snprintf(t.invoke_end, sizeof t.invoke_end, "</%sinvoke>", prefix);
    snprintf(t.parameter, sizeof t.parameter, "<%sparameter", prefix);
    snprintf(t.parameter_end, sizeof t.parameter_end, "</%sparameter>", prefix);
    while (calls_ok(c) && text_between(body, t.invoke, t.invoke_end, &at, &one))
        read_invoke(c, one, &t);
    if (calls_ok(c) && (!c->n || text_trim((strv){body.p + at, body.n - at}).n))
        calls_refuse(c, "a tool call is not complete, it wants %s", t.invoke_end);
}
