/* template.c: `mlxengine template`: renders a chat template, nothing else.
 *
 * The template is MODEL's, --file's, or each request's own key "template". A request goes to the
 * library as it is: its keys are the template's variables. Only the key "template" is taken out,
 * and only where it is the template. */
#include "lines.h"
#include "out.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

enum { TEMPLATE_FILE, TEMPLATE_NAME, TEMPLATE_LINES, TEMPLATE_COUNT };

static const cli_option OPTIONS[TEMPLATE_COUNT] = {
    [TEMPLATE_FILE] = {"file", 0, CLI_TEXT, 0, 0, "TEMPLATE", "the template, instead of MODEL's"},
    [TEMPLATE_NAME] = {"name", 0, CLI_TEXT, 0, 0, "NAME",
                       "which of MODEL's templates (default: default, with tools tool_use)"},
    [TEMPLATE_LINES] = {"lines", 0, CLI_FLAG, 0, 0, NULL, "JSON lines from standard input"},
};

typedef struct job {
    mlxe_template *fixed;  /* of MODEL or --file; NULL: requests bring theirs */
    mlxe_template *latest; /* compiled from the latest request's source */
    cli_text source;
} job;

/* The template that the request brings; compiled again only when its text changed. */
static mlxe_status own_template(job *j, const cli_line *line, mlxe_error *err)
{
    yyjson_val *key, *value = NULL, *item;
    size_t i, n;
    yyjson_obj_foreach(line->root, i, n, key, item)
    {
        if (yyjson_equals_str(key, "template")) value = item;
    }
    if (!yyjson_is_str(value))
        return cli_error(err, MLXE_E_ARG, NULL,
                         "%s: template: got %s, want a string (or give MODEL or --file)",
                         line->where, json_kind(value));
    size_t bytes = yyjson_get_len(value);
    const char *text = yyjson_get_str(value);
    if (j->latest && j->source.bytes == bytes && memcmp(j->source.data, text, bytes) == 0)
        return MLXE_OK;
    mlxe_template_close(j->latest);
    j->latest = NULL;
    j->source.bytes = 0;
    cli_text_add(&j->source, text, bytes);
    return mlxe_template_open_text("template", text, bytes, &j->latest, err);
}

static mlxe_status render(job *j, const cli_line *line, char **out, size_t *bytes, mlxe_error *err)
{
    if (j->fixed) return mlxe_template_render(j->fixed, line->text, line->bytes, out, bytes, err);
    mlxe_status status = own_template(j, line, err);
    if (status) return status;
    yyjson_mut_doc *doc = yyjson_doc_mut_copy(line->doc, NULL);
    size_t request_bytes = 0;
    yyjson_mut_obj_remove_key(yyjson_mut_doc_get_root(doc), "template");
    char *request = yyjson_mut_write(doc, YYJSON_WRITE_ALLOW_INF_AND_NAN, &request_bytes);
    status = mlxe_template_render(j->latest, request, request_bytes, out, bytes, err);
    free(request);
    yyjson_mut_doc_free(doc);
    return status;
}

static void print_json(const char *text, size_t bytes)
{
    yyjson_mut_doc *doc = json_new();
    yyjson_mut_obj_add_val(doc, yyjson_mut_doc_get_root(doc), "text",
                           json_string(doc, text, bytes));
    json_print(doc);
}

static mlxe_status answer_line(void *user, const cli_line *line, mlxe_error *err)
{
    char *text = NULL;
    size_t bytes = 0;
    mlxe_status status = render(user, line, &text, &bytes, err);
    if (status == MLXE_OK) print_json(text, bytes);
    mlxe_string_free(text);
    return status;
}

static int render_once(const cli_call *call, job *j, const char *argument)
{
    cli_text request = {0};
    cli_line line = {.where = "REQUEST"};
    mlxe_error err;
    char *text = NULL;
    size_t bytes = 0;
    int code = CLI_EXIT_OK;
    mlxe_status status = text_input("REQUEST", argument, &request, &err);
    if (status == MLXE_OK)
        status = json_text_parse("REQUEST", request.data, request.bytes, &line.doc, &err);
    line.text = request.data;
    line.bytes = request.bytes;
    line.root = yyjson_doc_get_root(line.doc);
    if (status == MLXE_OK && !yyjson_is_obj(line.root))
        status = cli_error(&err, MLXE_E_INPUT, NULL, "REQUEST: got %s, want an object",
                           json_kind(line.root));
    if (status == MLXE_OK) status = render(j, &line, &text, &bytes, &err);
    if (status) {
        code = cli_fail(call, &err);
    } else if (call->json) {
        print_json(text, bytes);
    } else {
        out_model_text(text, bytes);
        out_string("\n");
    }
    mlxe_string_free(text);
    cli_line_deinit(&line);
    cli_text_deinit(&request);
    return code;
}

static mlxe_status open_template(const cli_call *call, const char *model, job *j, mlxe_error *err)
{
    const cli_value *file = &call->values[TEMPLATE_FILE];
    mlxe_status status = MLXE_OK;
    if (file->set) {
        cli_text source = {0};
        status = text_file("--file", file->s, &source, err);
        if (status == MLXE_OK)
            status = mlxe_template_open_text(file->s, source.data, source.bytes, &j->fixed, err);
        cli_text_deinit(&source);
    } else if (model) {
        status = cli_model_check(model, err);
        if (status == MLXE_OK)
            status = mlxe_template_open_named(model, call->values[TEMPLATE_NAME].s, &j->fixed, err);
    }
    return status;
}

static int is_request(const char *text)
{
    return text[0] == '{' || text[0] == '@' || strcmp(text, "-") == 0;
}

static int run(cli_call *call)
{
    job j = {0};
    mlxe_error err;
    const char *model = NULL, *request = NULL;
    int code;
    if (call->n_args == 2) {
        model = call->args[0];
        request = call->args[1];
    } else if (call->n_args == 1 && !call->lines &&
               (call->values[TEMPLATE_FILE].set || is_request(call->args[0]))) {
        request = call->args[0];
    } else if (call->n_args == 1) {
        model = call->args[0];
    }
    if (call->lines && request)
        return cli_usage(call, "--lines: takes no REQUEST, the lines are requests");
    if (model && call->values[TEMPLATE_FILE].set)
        return cli_usage(call, "--file: takes the place of MODEL, give one of them");
    if (call->values[TEMPLATE_NAME].set && !model) return cli_usage(call, "--name: needs MODEL");
    if (!call->lines && !request)
        return cli_usage(call, "REQUEST: is missing (a JSON object, @FILE, or -)");
    if (open_template(call, model, &j, &err))
        code = cli_fail(call, &err);
    else
        code = call->lines ? lines_run(call, answer_line, &j) : render_once(call, &j, request);
    mlxe_template_close(j.fixed);
    mlxe_template_close(j.latest);
    cli_text_deinit(&j.source);
    return code;
}

const struct cli_verb verb_template = {
    .name = "template",
    .usage = "[MODEL | --file TEMPLATE] REQUEST",
    .summary = "renders a chat template",
    .details =
        "REQUEST is a JSON object (or @FILE, or -): {\"messages\":[..],\"tools\":[..],\n"
        "\"add_generation_prompt\":true, any variable}; without MODEL and --file its key\n"
        "\"template\" is the template. Prints the text and one newline; --json prints\n"
        "{\"text\":..}. --lines reads one request a line and answers each line like --json.\n"
        "\"continue_final_message\":true ends at the last message's content;\n"
        "\"strftime_now\":\"2031-05-17T10:22:33\" is the time that the template sees.\n",
    .example = "  mlxengine template pocket-llm '{\"messages\":[{\"role\":\"user\",\"content\":"
               "\"Hi\"}],\"add_generation_prompt\":true}'\n",
    .options = OPTIONS,
    .n_options = TEMPLATE_COUNT,
    .max_args = 2,
    .run = run,
};
