/* cli.h: what every verb of the command sees: the verb's row, the parsed call, errors, memory.
 *
 *   main.c      finds the verb, parses its options, calls it
 *   args.c      option tables -> values, from the command line and from JSON lines
 *   text.c      numbers, UTF-8, inputs (@file, -)
 *   out.c       standard output and standard error, JSON answers, errors
 *   lines.c     JSONL in, one answer a line
 *   generate.c  the generation options and the answers of `run`
 *   batch.c     `run --lines`: many jobs at a time, answers in order
 *   chat.c editor.c   the interactive chat
 *   interrupt.c Ctrl-C
 *   verbs/X.c   one verb each; the build lists the folder
 *
 * Of the library, only mlxengine.h is included. LC_NUMERIC is never set, so that strtod and printf
 * keep the C locale's point; only the chat sets LC_CTYPE.
 *
 * An error in the command itself ends the process with its status: a verb returns its exit status
 * and frees what it holds on the way; memory that runs out exits at once (cli_alloc). */
#ifndef CLI_H
#define CLI_H

#include <mlxengine.h>

#include <stddef.h>
#include <stdint.h>

#define CLI_NAME         "mlxengine"
#define CLI_POCKET_MODEL "pocket-llm"

enum { CLI_EXIT_OK = 0, CLI_EXIT_INTERRUPTED = 130 };

typedef struct cli_option cli_option;
typedef struct cli_value cli_value;
typedef struct cli_call cli_call;

/* One verb; verbs/NAME.c defines `const struct cli_verb verb_NAME`. */
struct cli_verb {
    const char *name;
    const char *usage;         /* arguments, after "mlxengine NAME" */
    const char *summary;       /* one line */
    const char *details;       /* paragraphs, each line ends with a newline */
    const char *example;       /* real commands and what they print */
    const cli_option *options; /* its own; --json, --quiet and --help are every verb's */
    size_t n_options;
    size_t max_args;
    int (*run)(cli_call *call); /* -> exit status */
};

/* Every verb, ended by NULL; written by the build. */
extern const struct cli_verb *const cli_verbs_table[];

/* One parsed command line. */
struct cli_call {
    const struct cli_verb *verb;
    cli_value *values; /* one for each of verb->options */
    const char **args;
    size_t n_args;
    int json;
    int quiet;
    int lines; /* --lines: its errors are JSON too */
};

/* Fills err (may be NULL) and returns code. The text is cut to fit, on a character's boundary. */
mlxe_status cli_error(mlxe_error *err, mlxe_status code, const char *hint, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Prints an error as this call prints errors; -> its exit status. */
int cli_fail(const cli_call *call, const mlxe_error *err);
/* The same for wrong usage found by a verb: "run: --ids: is missing" with a hint to the help. */
int cli_usage(const cli_call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* malloc and realloc that end the process when memory runs out. */
void *cli_alloc(size_t bytes);
void *cli_realloc(void *old, size_t bytes);
char *cli_copy(const char *text, size_t bytes);

/* A growing text; always ended by a NUL that is not counted. Zero-initialise. */
typedef struct cli_text {
    char *data;
    size_t bytes, capacity;
} cli_text;
void cli_text_add(cli_text *t, const char *data, size_t bytes);
void cli_text_deinit(cli_text *t);

/* Help texts (verbs/help.c). */
void cli_help_verb(const struct cli_verb *verb);
void cli_help_all(int to_stderr);
const struct cli_verb *cli_verb_find(const char *name);

/* Fails with UNSUPPORTED for a MODEL whose kind is not built (a .gguf file). */
mlxe_status cli_model_check(const char *model, mlxe_error *err);

#endif
