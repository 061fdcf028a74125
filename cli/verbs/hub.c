/* hub.c: `mlxengine hub serve --root DIR`: a mirror of the Hub on the local network.
 *
 * The server runs on threads of its own; this one waits for SIGTERM, which ends it cleanly with
 * status 0, or for Ctrl-C, which ends it with 130. */
#include "args.h"
#include "interrupt.h"
#include "login.h"
#include "out.h"

#include <mlxengine_mirror.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    ROOT,
    HOST,
    PORT,
    TOKEN_FILE,
    GATED,
    ONLY,
    NAME,
    BASE_URL,
    HASH_FILE,
    ANONYMOUS,
    ASSUME_COMPLETE,
    UPSTREAM,
    UPSTREAM_TOKEN,
    RATE_LIMIT,
    RATE_WINDOW,
    VERBOSE,
    N_OPTIONS
};

static const cli_option OPTIONS[N_OPTIONS] = {
    [ROOT] = {"root", 0, CLI_TEXT, 0, 0, "DIR", "what is served: a Hub cache, or org/name folders"},
    [HOST] = {"host", 0, CLI_TEXT, 0, 0, "ADDRESS", "address to listen on (127.0.0.1)"},
    [PORT] = {"port", 0, CLI_INT, 0, 65535, "N", "port to listen on (8080); 0 picks a free one"},
    [TOKEN_FILE] = {"token-file", 0, CLI_TEXT, 0, 0, "FILE",
                    "tokens that are accepted, one a line"},
    [GATED] = {"gated", 0, CLI_TEXTS, 0, 0, "GLOB",
               "only files of these repositories need a token (repeatable)"},
    [ONLY] = {"only", 0, CLI_TEXTS, 0, 0, "GLOB", "serve only these repositories (repeatable)"},
    [NAME] = {"name", 0, CLI_TEXTS, 0, 0, "HOST",
              "another name that clients call this host by (repeatable)"},
    [BASE_URL] = {"base-url", 0, CLI_TEXT, 0, 0, "URL", "how clients reach this behind a proxy"},
    [HASH_FILE] = {"hash-file", 0, CLI_TEXT, 0, 0, "FILE", "where hashes are remembered"},
    [ANONYMOUS] = {"anonymous", 0, CLI_FLAG, 0, 0, NULL,
                   "listen beyond this machine although no token is asked for"},
    [ASSUME_COMPLETE] = {"assume-complete", 0, CLI_FLAG, 0, 0, NULL,
                         "a snapshot without a stored listing has all its files"},
    [UPSTREAM] = {"upstream", 0, CLI_TEXT, 0, 0, "URL",
                  "a Hub from which what is absent is fetched, verified and kept"},
    [UPSTREAM_TOKEN] = {"upstream-token-file", 0, CLI_TEXT, 0, 0, "FILE",
                        "the token for it; who uses this mirror sees what it opens"},
    [RATE_LIMIT] = {"rate-limit", 0, CLI_INT, 1, 1000000000, "N",
                    "requests of a client in a window (any number)"},
    [RATE_WINDOW] = {"rate-window", 0, CLI_INT, 1, 86400, "SECONDS", "length of a window (300)"},
    [VERBOSE] = {"verbose", 0, CLI_FLAG, 0, 0, NULL, "a line on standard error for each request"},
};

static int ending[2] = {-1, -1};

static void on_end(int number)
{
    (void)number;
    int saved = errno;
    ssize_t written = write(ending[1], "", 1);
    (void)written;
    errno = saved;
}

static int watch_for_end(void)
{
    struct sigaction action = {0};
    if (pipe(ending)) return -1;
    for (int i = 0; i < 2; i++) {
        fcntl(ending[i], F_SETFD, FD_CLOEXEC);
        fcntl(ending[i], F_SETFL, O_NONBLOCK);
    }
    action.sa_handler = on_end;
    sigemptyset(&action.sa_mask);
    return sigaction(SIGTERM, &action, NULL);
}

static void wait_for_end(void)
{
    struct pollfd set[2] = {{.fd = ending[0], .events = POLLIN},
                            {.fd = interrupt_fd(), .events = POLLIN}};
    while (poll(set, 2, -1) < 0 && errno == EINTR)
        ;
}

/* Hashes outlive a run in the user's cache folder, or are computed again when there is none. */
static const char *hash_file(const cli_call *call, char *room, size_t capacity)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (call->values[HASH_FILE].set) return call->values[HASH_FILE].s;
    int n = cache && *cache == '/' ? snprintf(room, capacity, "%s/mlxengine", cache)
            : home && *home == '/' ? snprintf(room, capacity, "%s/.cache/mlxengine", home)
                                   : -1;
    if (n < 0 || (size_t)n + 20 >= capacity) return NULL;
    if (mkdir(room, 0777) && errno != EEXIST) return NULL;
    strcpy(room + n, "/mirror-hashes");
    return room;
}

static void say_listening(const cli_call *call, const char *url)
{
    if (call->json) {
        yyjson_mut_doc *doc = json_new();
        yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
        yyjson_mut_obj_add_str(doc, root, "event", "listening");
        json_add_string(doc, root, "url", url);
        json_print(doc);
    } else {
        out_printf("listening %s\n", url);
    }
    out_flush();
}

/* The first line of a file. */
static mlxe_status read_token(const char *file, char *out, size_t capacity, mlxe_error *err)
{
    FILE *f = fopen(file, "r");
    size_t n = f ? fread(out, 1, capacity - 1, f) : 0;
    if (f) fclose(f);
    out[n] = 0;
    out[strcspn(out, " \t\r\n")] = 0;
    if (*out) return MLXE_OK;
    return cli_error(err, f ? MLXE_E_CORRUPT : MLXE_E_NOT_FOUND, NULL, "%s: %s", file,
                     f ? "holds no token" : "cannot be read");
}

static int serve(cli_call *call)
{
    char room[1024], token[1024];
    const cli_value *v = call->values;
    mlxe_mirror_params params = mlxe_mirror_params_new();
    mlxe_mirror *mirror;
    mlxe_error err;
    if (!v[ROOT].set) return cli_usage(call, "--root: is missing");
    params.root = v[ROOT].s;
    if (v[HOST].set) params.host = v[HOST].s;
    params.port = v[PORT].set ? (uint32_t)v[PORT].i : 8080;
    if (v[TOKEN_FILE].set) params.token_file = v[TOKEN_FILE].s;
    params.gated = v[GATED].list;
    params.n_gated = v[GATED].n;
    params.only = v[ONLY].list;
    params.n_only = v[ONLY].n;
    params.names = v[NAME].list;
    params.n_names = v[NAME].n;
    if (v[BASE_URL].set) params.base_url = v[BASE_URL].s;
    params.hash_file = hash_file(call, room, sizeof room);
    params.anonymous = v[ANONYMOUS].set && v[ANONYMOUS].i;
    params.assume_complete = v[ASSUME_COMPLETE].set && v[ASSUME_COMPLETE].i;
    if (v[UPSTREAM].set) params.upstream = v[UPSTREAM].s;
    if (v[UPSTREAM_TOKEN].set) {
        if (read_token(v[UPSTREAM_TOKEN].s, token, sizeof token, &err)) return cli_fail(call, &err);
        params.upstream_token = token;
    }
    if (v[RATE_LIMIT].set) params.rate_limit = (uint32_t)v[RATE_LIMIT].i;
    if (v[RATE_WINDOW].set) params.rate_window_s = (uint32_t)v[RATE_WINDOW].i;
    params.log = out_log;
    params.log_level = v[VERBOSE].set && v[VERBOSE].i ? MLXE_LOG_INFO : MLXE_LOG_WARN;
    interrupt_hold();
    if (watch_for_end()) {
        cli_error(&err, MLXE_E_IO, NULL, "hub: cannot watch for signals");
        return cli_fail(call, &err);
    }
    if (mlxe_mirror_open(&params, &mirror, &err)) return cli_fail(call, &err);
    say_listening(call, mlxe_mirror_url(mirror));
    wait_for_end();
    mlxe_mirror_close(mirror);
    interrupt_release(); /* ends with 130 after Ctrl-C */
    return CLI_EXIT_OK;
}

static int run(cli_call *call)
{
    const char *what = call->n_args ? call->args[0] : "";
    if (!strcmp(what, "serve")) return serve(call);
    if (strcmp(what, "login") != 0 && strcmp(what, "logout") != 0)
        return cli_usage(call, "want: hub serve --root DIR, hub login, or hub logout");
    for (size_t i = 0; i < N_OPTIONS; i++)
        if (call->values[i].set) return cli_usage(call, "the options are for hub serve");
    return what[3] == 'i' ? login_run(call) : logout_run(call);
}

const struct cli_verb verb_hub = {
    .name = "hub",
    .usage = "serve --root DIR | login | logout",
    .summary = "a mirror of the Hub on the local network; logins",
    .details =
        "serve: serves DIR by the Hub's protocol: a folder in the layout of HF_HUB_CACHE, or "
        "org/name\n"
        "folders of plain files. Clients set HF_ENDPOINT to the address that is printed. It\n"
        "listens on this machine only; wider it wants --token-file, or --anonymous.\n"
        "With --upstream, repositories and files that DIR lacks are fetched from that Hub when\n"
        "they are asked for, verified and kept in DIR; a search lists what DIR has and then what\n"
        "only the upstream has, and says which. SIGTERM ends it.\n"
        "login: reads a token from standard input, asks the Hub whose it is, and keeps it where\n"
        "Python's huggingface_hub does ($HF_HOME/token and stored_tokens). logout forgets it.\n",
    .example = "  mlxengine hub serve --root ~/.cache/huggingface/hub --port 8080\n"
               "  listening http://127.0.0.1:8080\n"
               "  mlxengine hub login <token.txt\n",
    .options = OPTIONS,
    .n_options = N_OPTIONS,
    .max_args = 1,
    .run = run,
};
