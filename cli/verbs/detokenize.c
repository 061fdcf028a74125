/* detokenize.c: `mlxengine detokenize MODEL ID...`: the text of token ids. */
#include "lines.h"
#include "out.h"
#include "text.h"

#include <stdlib.h>

enum { DETOKENIZE_LINES, DETOKENIZE_SKIP_SPECIAL, DETOKENIZE_COUNT };

static const cli_option OPTIONS[DETOKENIZE_COUNT] = {
    [DETOKENIZE_LINES] = {"lines", 0, CLI_FLAG, 0, 0, NULL, "JSON lines from standard input"},
    [DETOKENIZE_SKIP_SPECIAL] = {"skip-special", 0, CLI_FLAG, 0, 0, NULL,
                                 "leave special tokens out"},
};

typedef struct job {
    mlxe_tokenizer *tokenizer;
    int skip_special; /* where a line does not say */
} job;

static void print_json(const char *text, size_t bytes)
{
    yyjson_mut_doc *doc = json_new();
    yyjson_mut_obj_add_val(doc, yyjson_mut_doc_get_root(doc), "text",
                           json_string(doc, text, bytes));
    json_print(doc);
}

static mlxe_status answer_line(void *user, const cli_line *line, mlxe_error *err)
{
    const job *j = user;
    line_key keys[] = {{"ids", NULL}, {"skip_special_tokens", NULL}};
    int skip_special = j->skip_special;
    int32_t *ids = NULL;
    char *text = NULL;
    size_t n = 0, bytes = 0;
    mlxe_status status = cli_line_keys(line, keys, 2, err);
    if (status == MLXE_OK) status = cli_line_flag(line, &keys[1], &skip_special, err);
    /* Like the tokenizers package: a 32-bit id that no token has is left out. */
    if (status == MLXE_OK) status = cli_line_ids(line, &keys[0], UINT32_MAX, &ids, &n, err);
    if (status == MLXE_OK)
        status = mlxe_detokenize(j->tokenizer, ids, n, skip_special, &text, &bytes, err);
    if (status == MLXE_OK) print_json(text, bytes);
    mlxe_string_free(text);
    free(ids);
    return status;
}

/* The ids of every argument after MODEL. */
static mlxe_status read_ids(const cli_call *call, int32_t **ids, size_t *n, mlxe_error *err)
{
    mlxe_status status = MLXE_OK;
    for (size_t i = 1; i < call->n_args && status == MLXE_OK; i++) {
        cli_text text = {0};
        status = text_input("ID", call->args[i], &text, err);
        if (status == MLXE_OK) status = text_ids("ID", text.data, text.bytes, ids, n, err);
        cli_text_deinit(&text);
    }
    return status;
}

static int detokenize_once(const cli_call *call, const job *j)
{
    mlxe_error err;
    int32_t *ids = NULL;
    char *text = NULL;
    size_t n = 0, bytes = 0;
    int code = CLI_EXIT_OK;
    mlxe_status status = read_ids(call, &ids, &n, &err);
    if (status == MLXE_OK)
        status = mlxe_detokenize(j->tokenizer, ids, n, j->skip_special, &text, &bytes, &err);
    if (status) {
        code = cli_fail(call, &err);
    } else if (call->json) {
        print_json(text, bytes);
    } else {
        out_model_text(text, bytes);
        out_string("\n");
    }
    mlxe_string_free(text);
    free(ids);
    return code;
}

static int run(cli_call *call)
{
    job j = {.skip_special = call->values[DETOKENIZE_SKIP_SPECIAL].set};
    mlxe_error err;
    int code;
    if (call->n_args < 1) return cli_usage(call, "MODEL: is missing");
    if (call->lines && call->n_args > 1)
        return cli_usage(call, "--lines: takes no ID, the lines hold them");
    if (!call->lines && call->n_args < 2)
        return cli_usage(call, "ID: is missing (numbers, @FILE, or - for standard input)");
    mlxe_status status = cli_model_check(call->args[0], &err);
    if (status == MLXE_OK) status = mlxe_tokenizer_open(call->args[0], &j.tokenizer, &err);
    if (status)
        code = cli_fail(call, &err);
    else
        code = call->lines ? lines_run(call, answer_line, &j) : detokenize_once(call, &j);
    mlxe_tokenizer_close(j.tokenizer);
    return code;
}

const struct cli_verb verb_detokenize = {
    .name = "detokenize",
    .usage = "MODEL ID...",
    .summary = "token ids to text",
    .details =
        "Prints the text of the ids (numbers parted by blanks or commas, @FILE or -) and one\n"
        "newline. Bytes that are no UTF-8 become U+FFFD.\n"
        "--json prints {\"text\":..}.\n"
        "--lines reads {\"ids\":[..],\"skip_special_tokens\":false} and answers each line "
        "like --json.\n",
    .example = "  mlxengine tokenize pocket-llm \"Hello, world\" | mlxengine detokenize pocket-llm "
               "-\n",
    .options = OPTIONS,
    .n_options = DETOKENIZE_COUNT,
    .max_args = SIZE_MAX,
    .run = run,
};
