/* args.c: options of a verb, from the command line and from JSON lines.
 *
 * A table row says name, type, range and help; nothing about an option is said twice.
 *   --name VALUE   --name=VALUE   -o VALUE   -oVALUE   --   (all that follows are arguments)
 * Options and arguments come in any order. Names are never abbreviated: a script that says
 * --max would break on the day that a second --max-... appears.
 * The first mistake ends parsing with status 2. An option whose feature is not built is told only
 * when the rest is right: it is status 8, and follows --json. */
#include "args.h"

#include "out.h"
#include "text.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COMMON_JSON, COMMON_QUIET, COMMON_HELP, COMMON_COUNT };

const cli_option ARGS_COMMON[] = {
    [COMMON_JSON] = {"json", 0, CLI_FLAG, 0, 0, NULL, "JSON on standard output, errors too"},
    [COMMON_QUIET] = {"quiet", 'q', CLI_FLAG, 0, 0, NULL, "no progress and no notes"},
    [COMMON_HELP] = {"help", 'h', CLI_FLAG, 0, 0, NULL, "this text"},
};
const size_t ARGS_COMMON_COUNT = COMMON_COUNT;

/* ---- values --------------------------------------------------------------------------------- */

void args_wanted(const cli_option *o, char *out, size_t capacity)
{
    switch (o->type) {
    case CLI_FLAG:
        snprintf(out, capacity, "true or false");
        break;
    case CLI_INT:
        snprintf(out, capacity, "an integer from %.0f to %.0f", o->low, o->high);
        break;
    case CLI_SEED:
        snprintf(out, capacity, "an integer from 0 to 18446744073709551615");
        break;
    case CLI_NUMBER:
        snprintf(out, capacity, "a number from %g to %g", o->low, o->high);
        break;
    case CLI_ABOVE:
        snprintf(out, capacity, "a number above %g, at most %g", o->low, o->high);
        break;
    case CLI_TEXT:
        snprintf(out, capacity, "a text");
        break;
    case CLI_TEXTS:
        snprintf(out, capacity, "a text or a list of texts, none empty");
        break;
    case CLI_CHOICE:
        snprintf(out, capacity, "%s", o->argument);
        break;
    case CLI_BIAS:
        snprintf(out, capacity, "ID:BIAS,...");
        break;
    case CLI_ARRAY:
        snprintf(out, capacity, "a JSON array");
        break;
    case CLI_ABSENT:
        snprintf(out, capacity, "nothing");
        break;
    }
}

static mlxe_status bad_value(const cli_option *o, const char *where, const char *got, size_t bytes,
                             mlxe_error *err)
{
    char wanted[120];
    args_wanted(o, wanted, sizeof wanted);
    int shown = (int)text_utf8_cut(got, bytes, 60);
    return cli_error(err, MLXE_E_ARG, NULL, "%s: got %.*s, want %s", where, shown, got, wanted);
}

/* A number that float32 turns into 0 would mean "the default" to the library. */
static int in_range(const cli_option *o, double value)
{
    if (!(value <= o->high)) return 0;
    if (value != 0 && fabs(value) < (double)FLT_MIN) return 0;
    return o->type == CLI_ABOVE ? value > o->low : value >= o->low;
}

static int number_from(const cli_option *o, const char *text, size_t bytes, cli_value *out)
{
    switch (o->type) {
    case CLI_INT:
        return text_int(text, bytes, &out->i) && (double)out->i >= o->low &&
               (double)out->i <= o->high;
    case CLI_SEED:
        return text_uint(text, bytes, &out->u);
    default:
        return text_float(text, bytes, &out->f) && in_range(o, out->f);
    }
}

static void bias_add(cli_value *out, int64_t id, double bias)
{
    out->bias = cli_realloc(out->bias, (out->n + 1) * sizeof *out->bias);
    out->bias[out->n++] = (mlxe_logit_bias){(int32_t)id, (float)bias};
}

/* A bias is finite in float32 or minus infinity, which forbids the token. */
static int bias_pair(const char *id_text, size_t id_bytes, const char *text, size_t bytes,
                     cli_value *out)
{
    int64_t id;
    double bias;
    if (!text_int(id_text, id_bytes, &id) || id < 0 || id > INT32_MAX ||
        !text_float(text, bytes, &bias) || bias > (double)FLT_MAX)
        return 0;
    if (bias < -(double)FLT_MAX && !isinf(bias)) return 0;
    bias_add(out, id, bias);
    return 1;
}

static int bias_list(const char *text, size_t bytes, cli_value *out)
{
    size_t i = 0;
    out->n = 0;
    while (i < bytes) {
        size_t end = i, colon;
        while (end < bytes && text[end] != ',')
            end++;
        for (colon = i; colon < end && text[colon] != ':';)
            colon++;
        if (colon == end || !bias_pair(text + i, colon - i, text + colon + 1, end - colon - 1, out))
            return 0;
        if (end + 1 == bytes) return 0;
        i = end + 1;
    }
    return out->n > 0;
}

static void list_add(cli_value *out, const char *text)
{
    out->list = cli_realloc(out->list, (out->n + 1) * sizeof *out->list);
    out->list[out->n++] = text;
}

static int is_choice(const char *words, const char *text, size_t bytes)
{
    const char *word = words;
    while (bytes > 0) {
        size_t n = strcspn(word, "|");
        if (n == bytes && memcmp(word, text, n) == 0) return 1;
        if (!word[n]) break;
        word += n + 1;
    }
    return 0;
}

mlxe_status args_value_text(const cli_option *o, const char *text, cli_value *out, mlxe_error *err)
{
    char where[64];
    size_t bytes = strlen(text);
    int ok = 1;
    snprintf(where, sizeof where, "--%s", o->name);
    switch (o->type) {
    case CLI_FLAG:
        out->i = 1;
        break;
    case CLI_INT:
    case CLI_SEED:
    case CLI_NUMBER:
    case CLI_ABOVE:
        ok = number_from(o, text, bytes, out);
        break;
    case CLI_TEXTS:
        ok = bytes > 0 && text_utf8_bad(text, bytes) == bytes;
        list_add(out, text);
        break;
    case CLI_BIAS:
        ok = bias_list(text, bytes, out);
        break;
    case CLI_CHOICE:
        ok = is_choice(o->argument, text, bytes); /* fall through */
    case CLI_TEXT:
    case CLI_ARRAY:
    case CLI_ABSENT:
        out->s = text;
        out->n = bytes;
        break;
    }
    if (!ok) return bad_value(o, where, text, bytes, err);
    out->set = 1;
    return MLXE_OK;
}

static int texts_from_json(yyjson_val *value, cli_value *out)
{
    size_t i, n;
    yyjson_val *item;
    out->n = 0;
    if (yyjson_is_str(value)) {
        list_add(out, yyjson_get_str(value));
        return yyjson_get_len(value) > 0 && strlen(out->list[0]) == yyjson_get_len(value);
    }
    if (!yyjson_is_arr(value)) return 0;
    yyjson_arr_foreach(value, i, n, item)
    {
        /* The library takes stop strings that end at a NUL. */
        if (!yyjson_is_str(item) || yyjson_get_len(item) == 0 ||
            strlen(yyjson_get_str(item)) != yyjson_get_len(item))
            return 0;
        list_add(out, yyjson_get_str(item));
    }
    return 1;
}

static int bias_from_json(yyjson_val *value, cli_value *out)
{
    size_t i, n;
    yyjson_val *key, *item;
    out->n = 0;
    if (yyjson_is_str(value)) return bias_list(yyjson_get_str(value), yyjson_get_len(value), out);
    if (!yyjson_is_obj(value)) return 0;
    yyjson_obj_foreach(value, i, n, key, item)
    {
        if (!yyjson_is_raw(item) || !bias_pair(yyjson_get_str(key), yyjson_get_len(key),
                                               yyjson_get_raw(item), yyjson_get_len(item), out))
            return 0;
    }
    return 1;
}

mlxe_status args_value_json(const cli_option *o, const char *line, yyjson_val *value,
                            cli_value *out, mlxe_error *err)
{
    char where[120];
    int ok = 0;
    snprintf(where, sizeof where, "%s: %s", line, o->name);
    for (char *c = where + strlen(line); *c; c++)
        if (*c == '-') *c = '_';
    switch (o->type) {
    case CLI_FLAG:
        ok = yyjson_is_bool(value);
        out->i = yyjson_is_true(value);
        break;
    case CLI_INT:
    case CLI_SEED:
    case CLI_NUMBER:
    case CLI_ABOVE:
        ok = yyjson_is_raw(value) &&
             number_from(o, yyjson_get_raw(value), yyjson_get_len(value), out);
        break;
    case CLI_TEXTS:
        ok = texts_from_json(value, out);
        break;
    case CLI_BIAS:
        ok = bias_from_json(value, out);
        break;
    case CLI_TEXT:
        ok = yyjson_is_str(value);
        out->s = yyjson_get_str(value);
        out->n = yyjson_get_len(value);
        break;
    case CLI_CHOICE:
        ok = yyjson_is_str(value) &&
             is_choice(o->argument, yyjson_get_str(value), yyjson_get_len(value));
        out->s = yyjson_get_str(value);
        break;
    case CLI_ARRAY:
        ok = yyjson_is_arr(value);
        break; /* its text is the caller's to write */
    case CLI_ABSENT:
        return cli_error(err, MLXE_E_UNSUPPORTED, NULL, "%s: this build has no %s", where, o->help);
    }
    if (!ok) {
        size_t bytes = 0;
        char *got = yyjson_val_write(value, 0, &bytes);
        bad_value(o, where, got ? got : "?", got ? bytes : 1, err);
        free(got);
        return MLXE_E_ARG;
    }
    out->set = 1;
    return MLXE_OK;
}

void args_value_deinit(cli_value *value)
{
    free(value->list);
    free(value->bias);
    *value = (cli_value){0};
}

/* ---- the command line ----------------------------------------------------------------------- */

typedef struct parse {
    cli_call *call;
    cli_value common[COMMON_COUNT];
    const cli_option *absent; /* the first option given whose feature is not built */
} parse;

static const cli_option *find(parse *p, const char *name, size_t bytes, char letter,
                              cli_value **value)
{
    const struct cli_verb *verb = p->call->verb;
    for (size_t i = 0; i < verb->n_options + COMMON_COUNT; i++) {
        int own = i < verb->n_options;
        const cli_option *o = own ? &verb->options[i] : &ARGS_COMMON[i - verb->n_options];
        int same = name ? strlen(o->name) == bytes && memcmp(o->name, name, bytes) == 0
                        : letter && o->letter == letter;
        if (same) {
            *value = own ? &p->call->values[i] : &p->common[i - verb->n_options];
            return o;
        }
    }
    return NULL;
}

static int usage_error(parse *p, const char *text)
{
    mlxe_error err;
    cli_call plain = {0}; /* errors of parsing are never JSON */
    char hint[120];
    snprintf(hint, sizeof hint, "%s help %s", CLI_NAME, p->call->verb->name);
    cli_error(&err, MLXE_E_ARG, hint, "%s: %s", p->call->verb->name, text);
    return cli_fail(&plain, &err);
}

static int unknown_option(parse *p, const char *word)
{
    const struct cli_verb *verb = p->call->verb;
    const char *best = NULL;
    char name[64], text[300];
    int least = 4;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word + (word[1] == '-' ? 2 : 1), "="),
             word + (word[1] == '-' ? 2 : 1));
    for (size_t i = 0; i < verb->n_options + COMMON_COUNT; i++) {
        const cli_option *o =
            i < verb->n_options ? &verb->options[i] : &ARGS_COMMON[i - verb->n_options];
        int distance = text_distance(name, o->name);
        if (o->type != CLI_ABSENT && distance < least && distance < (int)strlen(o->name)) {
            least = distance;
            best = o->name;
        }
    }
    int shown = (int)text_utf8_cut(word, strlen(word), 100);
    if (best)
        snprintf(text, sizeof text, "%.*s: unknown option, did you mean --%s?", shown, word, best);
    else
        snprintf(text, sizeof text, "%.*s: unknown option", shown, word);
    return usage_error(p, text);
}

/* Takes the option at argv[*at] (and its value). -> 0 or an exit status */
static int take_option(parse *p, int argc, char **argv, int *at)
{
    const char *word = argv[*at], *attached = NULL;
    const cli_option *o;
    cli_value *value = NULL;
    mlxe_error err;
    char text[200];
    if (word[1] == '-') {
        size_t bytes = strcspn(word + 2, "=");
        o = find(p, word + 2, bytes, 0, &value);
        if (word[2 + bytes] == '=') attached = word + 3 + bytes;
    } else {
        o = find(p, NULL, 0, word[1], &value);
        if (word[2]) attached = word + 2;
    }
    if (!o) return unknown_option(p, word);
    int takes_value = o->type != CLI_FLAG;
    if (!takes_value && attached) {
        snprintf(text, sizeof text, "--%s: takes no value", o->name);
        return usage_error(p, text);
    }
    if (takes_value && !attached) {
        if (*at + 1 >= argc) {
            snprintf(text, sizeof text, "--%s: %s is missing", o->name, o->argument);
            return usage_error(p, text);
        }
        attached = argv[++*at];
    }
    if (o->type == CLI_ABSENT && !p->absent) p->absent = o;
    if (args_value_text(o, attached ? attached : "", value, &err))
        return usage_error(p, err.message);
    return 0;
}

int args_parse(cli_call *call, int argc, char **argv)
{
    const struct cli_verb *verb = call->verb;
    parse p = {.call = call};
    int status = 0, only_args = 0;
    call->values = cli_alloc((verb->n_options + 1) * sizeof *call->values);
    memset(call->values, 0, (verb->n_options + 1) * sizeof *call->values);
    call->args = cli_alloc(((size_t)argc + 1) * sizeof *call->args);
    for (int i = 1; i < argc && status == 0; i++) {
        if (!only_args && strcmp(argv[i], "--") == 0)
            only_args = 1;
        else if (!only_args && argv[i][0] == '-' && argv[i][1])
            status = take_option(&p, argc, argv, &i);
        else
            call->args[call->n_args++] = argv[i];
    }
    if (status == 0 && p.common[COMMON_HELP].set) return ARGS_HELP;
    if (status == 0 && call->n_args > verb->max_args) {
        char text[200];
        const char *extra = call->args[verb->max_args];
        snprintf(text, sizeof text, "%.*s: one argument too many, want %s",
                 (int)text_utf8_cut(extra, strlen(extra), 60), extra, verb->usage);
        status = usage_error(&p, text);
    }
    call->json = p.common[COMMON_JSON].set;
    call->quiet = p.common[COMMON_QUIET].set;
    for (size_t i = 0; i < verb->n_options; i++)
        if (call->values[i].set && strcmp(verb->options[i].name, "lines") == 0) call->lines = 1;
    if (status == 0 && p.absent) {
        mlxe_error err;
        cli_error(&err, MLXE_E_UNSUPPORTED, NULL, "%s: --%s: not supported, this build has no %s",
                  verb->name, p.absent->name, p.absent->help);
        status = cli_fail(call, &err);
    }
    return status;
}

void args_deinit(cli_call *call)
{
    for (size_t i = 0; call->values && i < call->verb->n_options; i++)
        args_value_deinit(&call->values[i]);
    free(call->values);
    free(call->args);
}
