/* tokenize.c: `mlxengine tokenize MODEL [TEXT]`: token ids, and the bytes that each came from. */
#include "lines.h"
#include "out.h"
#include "text.h"

#include <stdlib.h>
#include <unistd.h>

enum { TOKENIZE_LINES, TOKENIZE_NO_SPECIAL, TOKENIZE_COUNT };

static const cli_option OPTIONS[TOKENIZE_COUNT] = {
    [TOKENIZE_LINES] = {"lines", 0, CLI_FLAG, 0, 0, NULL, "JSON lines from standard input"},
    [TOKENIZE_NO_SPECIAL] = {"no-special", 0, CLI_FLAG, 0, 0, NULL,
                             "do not add the special tokens that the tokenizer adds"},
};

typedef struct job {
    mlxe_tokenizer *tokenizer;
    int add_special; /* where a line does not say */
} job;

/* What a line asks for beside ids, offsets and type ids. */
typedef struct extras {
    int mask, characters;
    const char *text[2]; /* of each side */
} extras;

/* Characters before byte `at`; cursor: {byte, characters} of the question before. */
static size_t characters_before(const char *text, size_t at, size_t cursor[2])
{
    if (at < cursor[0]) cursor[0] = cursor[1] = 0;
    for (; cursor[0] < at; cursor[0]++)
        cursor[1] += ((unsigned char)text[cursor[0]] & 0xC0) != 0x80;
    return cursor[1];
}

static void add_extras(yyjson_mut_doc *doc, const mlxe_tokens *t, const extras *x)
{
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc), *mask = yyjson_mut_arr(doc),
                   *places = yyjson_mut_arr(doc);
    size_t begins[2][2] = {{0}}, ends[2][2] = {{0}};
    for (size_t i = 0; i < t->n; i++) {
        const mlxe_token *token = &t->tokens[i];
        int side = token->side > 0;
        yyjson_mut_arr_add_int(doc, mask, token->side < 0);
        if (!x->characters) continue;
        yyjson_mut_val *pair = yyjson_mut_arr_add_arr(doc, places);
        size_t b = characters_before(x->text[side], token->begin, begins[side]);
        yyjson_mut_arr_add_uint(doc, pair, b);
        b = characters_before(x->text[side], token->end, ends[side]);
        yyjson_mut_arr_add_uint(doc, pair, b);
    }
    if (x->mask) yyjson_mut_obj_add_val(doc, root, "special_tokens_mask", mask);
    if (x->characters) yyjson_mut_obj_add_val(doc, root, "char_offsets", places);
}

static void print_json(const mlxe_tokens *t, const extras *x)
{
    yyjson_mut_doc *doc = json_new();
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc), *ids = yyjson_mut_arr(doc),
                   *offsets = yyjson_mut_arr(doc), *types = yyjson_mut_arr(doc);
    for (size_t i = 0; i < t->n; i++) {
        const mlxe_token *token = &t->tokens[i];
        yyjson_mut_arr_add_int(doc, ids, token->id);
        yyjson_mut_val *pair = yyjson_mut_arr_add_arr(doc, offsets);
        yyjson_mut_arr_add_uint(doc, pair, token->begin);
        yyjson_mut_arr_add_uint(doc, pair, token->end);
        yyjson_mut_arr_add_int(doc, types, token->type_id);
    }
    yyjson_mut_obj_add_val(doc, root, "ids", ids);
    yyjson_mut_obj_add_val(doc, root, "offsets", offsets);
    yyjson_mut_obj_add_val(doc, root, "type_ids", types);
    if (x && (x->mask || x->characters)) add_extras(doc, t, x);
    if (t->truncated) yyjson_mut_obj_add_bool(doc, root, "truncated", true);
    json_print(doc);
}

enum { KEY_TEXT, KEY_PAIR, KEY_ADD_SPECIAL, KEY_MASK, KEY_CHARACTERS, KEYS };

static mlxe_status answer_line(void *user, const cli_line *line, mlxe_error *err)
{
    const job *j = user;
    line_key keys[KEYS] = {{"text", NULL},
                           {"pair", NULL},
                           {"add_special_tokens", NULL},
                           {"return_special_tokens_mask", NULL},
                           {"return_char_offsets", NULL}};
    const char *text = NULL, *pair = NULL;
    size_t text_bytes = 0, pair_bytes = 0;
    int add_special = j->add_special;
    extras x = {0};
    mlxe_tokens tokens = {0};
    mlxe_status status = cli_line_keys(line, keys, KEYS, err);
    if (status == MLXE_OK) status = cli_line_text(line, &keys[KEY_TEXT], &text, &text_bytes, err);
    if (status == MLXE_OK) status = cli_line_text(line, &keys[KEY_PAIR], &pair, &pair_bytes, err);
    if (status == MLXE_OK) status = cli_line_flag(line, &keys[KEY_ADD_SPECIAL], &add_special, err);
    if (status == MLXE_OK) status = cli_line_flag(line, &keys[KEY_MASK], &x.mask, err);
    if (status == MLXE_OK) status = cli_line_flag(line, &keys[KEY_CHARACTERS], &x.characters, err);
    if (status == MLXE_OK && !text)
        status =
            cli_error(err, MLXE_E_ARG, NULL, "%s: text: got nothing, want a string", line->where);
    if (status == MLXE_OK)
        status = mlxe_tokenize(j->tokenizer, text, text_bytes, pair, pair_bytes, add_special,
                               &tokens, err);
    x.text[0] = text;
    x.text[1] = pair;
    if (status == MLXE_OK) print_json(&tokens, &x);
    mlxe_tokens_deinit(&tokens);
    return status;
}

static int tokenize_once(const cli_call *call, const job *j, const cli_text *text)
{
    mlxe_tokens tokens = {0};
    mlxe_error err;
    if (mlxe_tokenize(j->tokenizer, text->data, text->bytes, NULL, 0, j->add_special, &tokens,
                      &err))
        return cli_fail(call, &err);
    if (call->json) {
        print_json(&tokens, NULL);
    } else {
        for (size_t i = 0; i < tokens.n; i++)
            out_printf("%s%d", i ? " " : "", tokens.tokens[i].id);
        out_string("\n");
        if (tokens.truncated) note("tokenize: the tokenizer's own truncation cut the text off");
    }
    mlxe_tokens_deinit(&tokens);
    return CLI_EXIT_OK;
}

static int run(cli_call *call)
{
    job j = {.add_special = !call->values[TOKENIZE_NO_SPECIAL].set};
    cli_text text = {0};
    mlxe_error err;
    int code;
    if (call->n_args < 1) return cli_usage(call, "MODEL: is missing");
    if (call->lines && call->n_args > 1)
        return cli_usage(call, "--lines: takes no TEXT, the lines hold it");
    if (!call->lines && call->n_args < 2 && isatty(STDIN_FILENO))
        return cli_usage(call, "TEXT: is missing (a text, @FILE, or - for standard input)");
    mlxe_status status = cli_model_check(call->args[0], &err);
    if (status == MLXE_OK) status = mlxe_tokenizer_open(call->args[0], &j.tokenizer, &err);
    if (status == MLXE_OK && !call->lines)
        status = text_input("TEXT", call->n_args > 1 ? call->args[1] : "-", &text, &err);
    if (status)
        code = cli_fail(call, &err);
    else if (call->lines)
        code = lines_run(call, answer_line, &j);
    else
        code = tokenize_once(call, &j, &text);
    mlxe_tokenizer_close(j.tokenizer);
    cli_text_deinit(&text);
    return code;
}

const struct cli_verb verb_tokenize = {
    .name = "tokenize",
    .usage = "MODEL [TEXT]",
    .summary = "text to token ids",
    .details =
        "Prints the ids of TEXT (a text, @FILE or -; left out: standard input) on one line.\n"
        "MODEL may be a folder with nothing but tokenizer.json.\n"
        "--json prints {\"ids\":[..],\"offsets\":[[b,e],..],\"type_ids\":[..]}; offsets are\n"
        "half-open bytes of the text, widened to whole characters; [0,0] is an added token.\n"
        "--lines reads {\"text\":..,\"pair\":..,\"add_special_tokens\":true} (text alone is\n"
        "enough) and answers each line like --json; \"return_special_tokens_mask\":true and\n"
        "\"return_char_offsets\":true add special_tokens_mask and char_offsets.\n",
    .example = "  mlxengine tokenize pocket-llm \"Hello, world\" --json\n",
    .options = OPTIONS,
    .n_options = TOKENIZE_COUNT,
    .max_args = 2,
    .run = run,
};
