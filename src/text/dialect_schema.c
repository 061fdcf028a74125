/* dialect_schema.c: what the declared tools say of a parameter, and texts as it wants them.
 *
 * A model that writes values as text leaves open whether 5 is a number. The parameter's schema
 * says it: its type (one or several, by their common other names too), its enum and const, and
 * what stands in anyOf, oneOf and allOf. A text stays a text where the schema wants nothing else
 * or says nothing; where it wants something else and the text is JSON, it is that; where both are
 * right, it is JSON only if what it is was asked for.
 *
 * Traps: an optional parameter has anyOf with "null", and no type of its own. A parameter that is
 * an object of a named class is {"$ref": "#/$defs/NAME"}, from the root of the parameters. */
#include "text/dialects/parts.h"

#include <string.h>

enum {
    WANTS_TEXT = 1,
    WANTS_NULL = 2,
    WANTS_BOOL = 4,
    WANTS_INT = 8,
    WANTS_NUMBER = 16,
    WANTS_OBJECT = 32,
    WANTS_ARRAY = 64,
    SCHEMA_LEVELS = 8,
    SCHEMA_STEPS = 1000 /* schemas that refer to themselves would never end */
};

const json *tool_parameters(call_list *c, strv tool)
{
    json_iter it = json_iterate(c->tools);
    const json *item;
    c->parameters = NULL;
    while (json_next(&it, NULL, &item)) {
        const json *f = json_get(item, "function");
        if (!f) f = item;
        if (!strv_eq(json_str(json_get(f, "name")), tool)) continue;
        c->parameters = json_get(f, "parameters");
        break;
    }
    return c->parameters;
}

/* "#/$defs/NAME" from the root of the parameters; NULL: it leads nowhere. */
static const json *referred(const call_list *c, strv path)
{
    const json *at = c->parameters;
    if (!path.n || *path.p != '#') return NULL;
    for (path.p++, path.n--; at && path.n && *path.p == '/';) {
        size_t n = 1;
        while (n < path.n && path.p[n] != '/')
            n++;
        at = json_get_strv(at, (strv){path.p + 1, n - 1});
        path = (strv){path.p + n, path.n - n};
    }
    return path.n ? NULL : at;
}

const json *schema_resolved(const call_list *c, const json *schema)
{
    for (int i = 0; i < SCHEMA_LEVELS; i++) {
        const json *ref = json_get(schema, "$ref");
        if (!json_is(ref, JSON_STRING)) break;
        schema = referred(c, json_str(ref));
    }
    return schema;
}

int tool_declared(const call_list *c, strv tool)
{
    json_iter it = json_iterate(c->tools);
    const json *item;
    while (json_next(&it, NULL, &item)) {
        const json *f = json_get(item, "function");
        if (strv_eq(json_str(json_get(f ? f : item, "name")), tool)) return 1;
    }
    return 0;
}

strv schema_type(const json *schema)
{
    const json *type = json_get(schema, "type");
    if (json_is(type, JSON_ARRAY)) { /* ["string", "null"] */
        json_iter types = json_iterate(type);
        while (json_next(&types, NULL, &type))
            if (!strv_is(json_str(type), "null")) break;
    }
    return json_str(type);
}

static unsigned named_type(strv name)
{
    static const struct {
        const char *name;
        unsigned wants;
    } NAMES[] = {
        {"string", WANTS_TEXT},  {"str", WANTS_TEXT},      {"text", WANTS_TEXT},
        {"varchar", WANTS_TEXT}, {"char", WANTS_TEXT},     {"enum", WANTS_TEXT},
        {"null", WANTS_NULL},    {"boolean", WANTS_BOOL},  {"bool", WANTS_BOOL},
        {"integer", WANTS_INT},  {"int", WANTS_INT},       {"number", WANTS_NUMBER},
        {"float", WANTS_NUMBER}, {"double", WANTS_NUMBER}, {"object", WANTS_OBJECT},
        {"dict", WANTS_OBJECT},  {"map", WANTS_OBJECT},    {"array", WANTS_ARRAY},
        {"list", WANTS_ARRAY},
    };
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (strv_is(name, NAMES[i].name)) return NAMES[i].wants;
    return name.n ? WANTS_NUMBER | WANTS_OBJECT : 0;
}

static unsigned kind_of(const json *v)
{
    switch (json_typeof(v)) {
    case JSON_NULL:
        return WANTS_NULL;
    case JSON_BOOL:
        return WANTS_BOOL;
    case JSON_INT:
    case JSON_BIG:
        return WANTS_INT;
    case JSON_FLOAT:
        return WANTS_NUMBER;
    case JSON_STRING:
        return WANTS_TEXT;
    case JSON_ARRAY:
        return WANTS_ARRAY;
    default:
        return WANTS_OBJECT;
    }
}

/* What a schema's values may be; 0: it does not say. */
static unsigned wants_within(const call_list *c, const json *schema, int level, int *steps)
{
    static const char *const CHOICES[] = {"anyOf", "oneOf", "allOf"};
    const json *type, *item;
    unsigned out = 0;
    json_iter it;
    schema = schema_resolved(c, schema);
    type = json_get(schema, "type");
    it = json_iterate(type);
    if (--*steps < 0 || level > SCHEMA_LEVELS || !json_is(schema, JSON_OBJECT)) return 0;
    if (json_is(type, JSON_STRING)) out |= named_type(json_str(type));
    if (json_is(type, JSON_ARRAY))
        while (json_next(&it, NULL, &item))
            out |= named_type(json_str(item));
    if (!type && json_get(schema, "properties")) out |= WANTS_OBJECT;
    if (!type && json_get(schema, "items")) out |= WANTS_ARRAY;
    if ((item = json_get(schema, "const")) != NULL) out |= kind_of(item);
    it = json_iterate(json_get(schema, "enum"));
    if (json_is(json_get(schema, "enum"), JSON_ARRAY))
        while (json_next(&it, NULL, &item))
            out |= kind_of(item);
    for (size_t i = 0; i < sizeof CHOICES / sizeof *CHOICES; i++) {
        const json *list = json_get(schema, CHOICES[i]);
        it = json_iterate(list);
        if (json_is(list, JSON_ARRAY))
            while (json_next(&it, NULL, &item))
                out |= wants_within(c, item, level + 1, steps);
    }
    return out;
}

static unsigned wants(const call_list *c, const json *schema)
{
    int steps = SCHEMA_STEPS;
    return wants_within(c, schema, 0, &steps);
}

int schema_takes_text(const call_list *c, const json *schema)
{
    unsigned asked = wants(c, schema);
    return !asked || (asked & WANTS_TEXT);
}

void schema_add_text(call_list *c, const json *schema, strv text)
{
    unsigned asked = wants(c, schema), kind;
    strv value = text_trim(text);
    json_doc *doc = NULL;
    if (strv_is(value, "True") || strv_is(value, "False") || strv_is(value, "None"))
        value = *value.p == 'T' ? STRV("true") : *value.p == 'F' ? STRV("false") : STRV("null");
    if ((asked & ~(unsigned)WANTS_TEXT) && !json_parse("value", value.p, value.n, &doc, NULL)) {
        kind = kind_of(json_root(doc));
        if (kind == WANTS_INT && (asked & WANTS_NUMBER)) kind = WANTS_NUMBER;
        if (!(asked & WANTS_TEXT) || (kind != WANTS_TEXT && (kind & asked))) {
            buf_add_strv(&c->scratch, value);
            json_close(doc);
            return;
        }
    }
    json_write_str(&c->scratch, text);
    json_close(doc);
}

const json *parameter_schema(call_list *c, strv tool, strv key)
{
    const json *all = schema_resolved(c, tool_parameters(c, tool));
    return json_get_strv(json_get(all, "properties"), key);
}

void object_add_text(call_list *c, strv tool, strv key, strv text)
{
    if (c->scratch.n > 1) buf_add_str(&c->scratch, ", ");
    json_write_str(&c->scratch, key);
    buf_add_str(&c->scratch, ": ");
    schema_add_text(c, parameter_schema(c, tool, key), text);
}
