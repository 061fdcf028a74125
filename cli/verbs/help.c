/* help.c: `mlxengine help [VERB]`, and the texts behind --help.
 *
 * Everything comes from the verbs' rows and their option tables. An option whose feature is not
 * built is not shown. --json gives the same as data: the man page and the shell's completions are
 * made from it. */
#include "args.h"
#include "out.h"

#include <stdio.h>
#include <string.h>

enum { HELP_COLUMN = 30 };

static void print_option(const cli_option *o)
{
    char left[80];
    int n = o->letter ? snprintf(left, sizeof left, "  -%c, --%s", o->letter, o->name)
                      : snprintf(left, sizeof left, "  --%s", o->name);
    if (o->argument) n += snprintf(left + n, sizeof left - (size_t)n, " %s", o->argument);
    if (n + 2 > HELP_COLUMN)
        out_printf("%s\n%*s%s\n", left, HELP_COLUMN, "", o->help);
    else
        out_printf("%-*s%s\n", HELP_COLUMN, left, o->help);
}

void cli_help_verb(const struct cli_verb *verb)
{
    out_printf("usage: %s %s %s [OPTIONS]\n\n", CLI_NAME, verb->name, verb->usage);
    out_string(verb->details);
    out_string("\nOptions\n");
    for (size_t i = 0; i < verb->n_options; i++)
        if (verb->options[i].type != CLI_ABSENT) print_option(&verb->options[i]);
    for (size_t i = 0; i < ARGS_COMMON_COUNT; i++)
        print_option(&ARGS_COMMON[i]);
    out_string("\nExample\n");
    out_string(verb->example);
}

void cli_help_all(int to_stderr)
{
    cli_text text = {0};
    char line[200];
    int n = snprintf(line, sizeof line, "usage: %s VERB [ARGS]\n\nVerbs\n", CLI_NAME);
    cli_text_add(&text, line, (size_t)n);
    for (size_t i = 0; cli_verbs_table[i]; i++) {
        const struct cli_verb *verb = cli_verbs_table[i];
        n = snprintf(line, sizeof line, "  %-12s%s\n", verb->name, verb->summary);
        cli_text_add(&text, line, (size_t)n);
    }
    n = snprintf(line, sizeof line, "\n%s help VERB says more, with an example.\n", CLI_NAME);
    cli_text_add(&text, line, (size_t)n);
    static const char statuses[] =
        "Exit status: 0 ok, 1 failed, 2 wrong usage, 3 not found, 4 access denied, 5 offline,\n"
        "6 does not fit, 7 corrupt, 8 not supported, 130 stopped by Ctrl-C.\n";
    cli_text_add(&text, statuses, sizeof statuses - 1);
    if (to_stderr)
        fputs(text.data, stderr);
    else
        out_write(text.data, text.bytes);
    cli_text_deinit(&text);
}

/* ---- as data -------------------------------------------------------------------------------- */

static void add_option(yyjson_mut_doc *doc, yyjson_mut_val *list, const cli_option *o)
{
    yyjson_mut_val *row = yyjson_mut_arr_add_obj(doc, list);
    char letter[2] = {o->letter, 0};
    json_add_string(doc, row, "name", o->name);
    if (o->letter) json_add_string(doc, row, "letter", letter);
    if (o->argument) json_add_string(doc, row, "argument", o->argument);
    if (o->type == CLI_INT || o->type == CLI_NUMBER || o->type == CLI_ABOVE) {
        yyjson_mut_obj_add_real(doc, row, "low", o->low);
        yyjson_mut_obj_add_real(doc, row, "high", o->high);
    }
    json_add_string(doc, row, "help", o->help);
}

static void add_verb(yyjson_mut_doc *doc, yyjson_mut_val *list, const struct cli_verb *verb)
{
    yyjson_mut_val *row = yyjson_mut_arr_add_obj(doc, list);
    json_add_string(doc, row, "name", verb->name);
    json_add_string(doc, row, "usage", verb->usage);
    json_add_string(doc, row, "summary", verb->summary);
    json_add_string(doc, row, "details", verb->details);
    json_add_string(doc, row, "example", verb->example);
    yyjson_mut_val *options = yyjson_mut_obj_add_arr(doc, row, "options");
    for (size_t i = 0; i < verb->n_options; i++)
        if (verb->options[i].type != CLI_ABSENT) add_option(doc, options, &verb->options[i]);
    for (size_t i = 0; i < ARGS_COMMON_COUNT; i++)
        add_option(doc, options, &ARGS_COMMON[i]);
}

static int run(cli_call *call)
{
    const struct cli_verb *verb = NULL;
    if (call->n_args > 0) {
        verb = cli_verb_find(call->args[0]);
        if (!verb) return cli_usage(call, "%.60s: unknown verb", call->args[0]);
    }
    if (call->json) {
        yyjson_mut_doc *doc = json_new();
        yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, yyjson_mut_doc_get_root(doc), "verbs");
        for (size_t i = 0; cli_verbs_table[i]; i++)
            if (!verb || verb == cli_verbs_table[i]) add_verb(doc, list, cli_verbs_table[i]);
        json_print(doc);
    } else if (verb) {
        cli_help_verb(verb);
    } else {
        cli_help_all(0);
    }
    return CLI_EXIT_OK;
}

const struct cli_verb verb_help = {
    .name = "help",
    .usage = "[VERB]",
    .summary = "the verbs, or one verb's options and an example",
    .details = "--json prints {\"verbs\":[{\"name\",\"usage\",\"summary\",\"options\",..}]}.\n",
    .example = "  mlxengine help run\n",
    .max_args = 1,
    .run = run,
};
