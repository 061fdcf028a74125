/* login.c: a token comes in by standard input and by nothing else: an argument would be seen in the
 * list of processes and stay in the shell's history. */
#include "login.h"

#include "args.h"
#include "hub_job.h"
#include "out.h"

#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { TOKEN_BYTES = 1024 };

/* One line of standard input, without its end; a terminal does not show it. -> 0: there is none */
static int token_read(char token[TOKEN_BYTES])
{
    struct termios shown, hidden;
    int terminal = isatty(STDIN_FILENO) && !tcgetattr(STDIN_FILENO, &shown);
    if (terminal) {
        note("Token (not shown):");
        hidden = shown;
        hidden.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    }
    char *line = fgets(token, TOKEN_BYTES, stdin);
    if (terminal) tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
    if (line) token[strcspn(token, "\r\n")] = 0;
    return line && *token;
}

static int print(const cli_call *call, const cli_text *answer, const char *form)
{
    yyjson_doc *doc;
    if (call->json) {
        out_write(answer->data, answer->bytes);
        out_string("\n");
        return CLI_EXIT_OK;
    }
    doc = yyjson_read(answer->data, answer->bytes, 0);
    yyjson_val *root = yyjson_doc_get_root(doc);
    const char *name = yyjson_get_str(yyjson_obj_get(root, "name")),
               *token = yyjson_get_str(yyjson_obj_get(root, "token")),
               *path = yyjson_get_str(yyjson_obj_get(root, "path"));
    note(form, path ? path : "", token ? token : "", name ? name : "");
    yyjson_doc_free(doc);
    return CLI_EXIT_OK;
}

/* token: NULL: that of the environment, which is not looked at. */
static int run(cli_call *call, const char *token,
               mlxe_status (*start)(mlxe_hub *, mlxe_job **, mlxe_error *), const char *form)
{
    mlxe_hub_params params = mlxe_hub_params_new();
    mlxe_error err;
    mlxe_hub *hub = NULL;
    mlxe_job *job;
    cli_text answer = {0};
    params.log = out_log;
    params.token = token;
    mlxe_status status = mlxe_hub_open(&params, &hub, &err);
    if (status == MLXE_OK) status = start(hub, &job, &err);
    if (status == MLXE_OK) status = hub_job_run(call, job, 0, NULL, NULL, &answer, &err);
    int code = status ? cli_fail(call, &err) : print(call, &answer, form);
    cli_text_deinit(&answer);
    mlxe_hub_close(hub);
    return code;
}

int login_run(cli_call *call)
{
    char token[TOKEN_BYTES];
    if (!token_read(token)) return cli_usage(call, "hub login: want a token on standard input");
    return run(call, token, mlxe_hub_login, "%s: the token \"%s\" of %s is used from now on");
}

int logout_run(cli_call *call)
{
    return run(call, "", mlxe_hub_logout, "%s: the token \"%s\" is forgotten%s");
}
