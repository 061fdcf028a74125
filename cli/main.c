/* main.c: the command `mlxengine VERB [ARGS]`: finds the verb, parses, calls it.
 *
 * `--help`, `-h` and `--version` before a verb work as the verbs of those names. */
#include "args.h"
#include "interrupt.h"
#include "out.h"
#include "text.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* ---- memory --------------------------------------------------------------------------------- */

static _Noreturn void out_of_memory(void)
{
    fputs(CLI_NAME ": out of memory\n", stderr);
    exit(mlxe_status_exit(MLXE_E_MEMORY));
}

void *cli_realloc(void *old, size_t bytes)
{
    void *new = bytes == SIZE_MAX ? NULL : realloc(old, bytes ? bytes : 1);
    if (!new) out_of_memory();
    return new;
}

void *cli_alloc(size_t bytes) { return cli_realloc(NULL, bytes); }

char *cli_copy(const char *text, size_t bytes)
{
    char *copy = cli_alloc(bytes + 1);
    memcpy(copy, text, bytes);
    copy[bytes] = 0;
    return copy;
}

void cli_text_add(cli_text *t, const char *data, size_t bytes)
{
    if (bytes >= t->capacity - t->bytes) {
        if (bytes > SIZE_MAX / 4 - t->bytes) out_of_memory();
        t->capacity = (t->bytes + bytes + 32) * 2;
        t->data = cli_realloc(t->data, t->capacity);
    }
    if (bytes > 0) memcpy(t->data + t->bytes, data, bytes);
    t->bytes += bytes;
    t->data[t->bytes] = 0;
}

void cli_text_deinit(cli_text *t)
{
    free(t->data);
    *t = (cli_text){0};
}

/* ---- errors --------------------------------------------------------------------------------- */

mlxe_status cli_error(mlxe_error *err, mlxe_status code, const char *hint, const char *format, ...)
{
    va_list list;
    if (!err) return code;
    err->code = code;
    va_start(list, format);
    int n = vsnprintf(err->message, sizeof err->message, format, list);
    va_end(list);
    if (n >= (int)sizeof err->message)
        err->message[text_utf8_cut(err->message, (size_t)n, sizeof err->message - 1)] = 0;
    snprintf(err->hint, sizeof err->hint, "%s", hint ? hint : "");
    return code;
}

int cli_usage(const cli_call *call, const char *format, ...)
{
    mlxe_error err;
    char text[600], hint[120];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    snprintf(hint, sizeof hint, "%s help %s", CLI_NAME, call->verb->name);
    cli_error(&err, MLXE_E_ARG, hint, "%s: %s", call->verb->name, text);
    return cli_fail(call, &err);
}

mlxe_status cli_model_check(const char *model, mlxe_error *err)
{
    size_t n = strlen(model);
    if (n > 5 && strcasecmp(model + n - 5, ".gguf") == 0)
        return cli_error(err, MLXE_E_UNSUPPORTED,
                         "use a folder with config.json and safetensors files",
                         "MODEL: %s: GGUF files are not supported by this build", model);
    return MLXE_OK;
}

/* ---- verbs ---------------------------------------------------------------------------------- */

const struct cli_verb *cli_verb_find(const char *name)
{
    for (size_t i = 0; cli_verbs_table[i]; i++)
        if (strcmp(cli_verbs_table[i]->name, name) == 0) return cli_verbs_table[i];
    return NULL;
}

static int unknown_verb(const char *name)
{
    const char *best = NULL;
    int least = 3;
    char text[200];
    mlxe_error err;
    cli_call plain = {0};
    for (size_t i = 0; cli_verbs_table[i]; i++) {
        int distance = text_distance(name, cli_verbs_table[i]->name);
        if (distance < least) {
            least = distance;
            best = cli_verbs_table[i]->name;
        }
    }
    snprintf(text, sizeof text, "%.*s: unknown verb", (int)text_utf8_cut(name, strlen(name), 60),
             name);
    cli_error(&err, MLXE_E_ARG, CLI_NAME " help", best ? "%s, did you mean %s?" : "%s", text, best);
    return cli_fail(&plain, &err);
}

/* A standard stream that is closed would be the next file opened: give it one that fails. */
static void keep_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int main(int argc, char **argv)
{
    keep_standard_streams();
    interrupt_init();
    if (argc < 2) {
        cli_help_all(1);
        return mlxe_status_exit(MLXE_E_ARG);
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    else if (strcmp(name, "--version") == 0)
        name = "version";
    cli_call call = {.verb = cli_verb_find(name)};
    if (!call.verb) return out_finish(unknown_verb(name));
    int status = args_parse(&call, argc - 1, argv + 1);
    out_init(call.quiet);
    if (status == ARGS_HELP) {
        cli_help_verb(call.verb);
        status = CLI_EXIT_OK;
    } else if (status == 0) {
        status = call.verb->run(&call);
    }
    args_deinit(&call);
    return out_finish(status);
}
