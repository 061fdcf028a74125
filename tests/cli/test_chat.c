/* test_chat.c: the interactive chat on a pseudo-terminal: messages, pasted line ends, UTF-8 in a
 * C-locale container, commands, Ctrl-C, Ctrl-D, history.
 *
 * What the chat understood is read from /save, not from the screen: a screen shows a line editor's
 * redrawing, the saved conversation the exact bytes. */
#include "cli_test.h"

#include <sys/ioctl.h>
#include <termios.h>

#define PROMPT "\033[?2004h> "

typedef struct chat {
    pid_t pid;
    int fd;
    bytes screen; /* everything so far */
    size_t seen;  /* what chat_wait has matched */
    char folder[64], state[100], save[100];
} chat;

/* A folder of its own: history, saved conversations. */
static void chat_folder(chat *c)
{
    *c = (chat){0};
    strcpy(c->folder, "/tmp/mlxengine-chat-XXXXXX");
    assert_non_null(mkdtemp(c->folder));
    snprintf(c->state, sizeof c->state, "%s/state", c->folder);
    snprintf(c->save, sizeof c->save, "%s/chat.json", c->folder);
}

static void chat_spawn(chat *c, const char *const *args, const char *locale)
{
    char state[140], lc[40];
    c->screen = (bytes){0};
    c->seen = 0;
    snprintf(state, sizeof state, "XDG_STATE_HOME=%s", c->state);
    snprintf(lc, sizeof lc, "LC_ALL=%s", locale);
    bytes_add(&c->screen, "", 0);
    c->fd = posix_openpt(O_RDWR | O_NOCTTY);
    if (c->fd < 0) {
        print_message("needs a pseudo-terminal (/dev/ptmx, /dev/pts)\n");
        skip();
    }
    assert_true(grantpt(c->fd) == 0 && unlockpt(c->fd) == 0);
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    c->pid = fork();
    assert_true(c->pid >= 0);
    if (c->pid == 0) {
        setsid();
        int tty = open(ptsname(c->fd), O_RDWR);
        ioctl(tty, TIOCSCTTY, 0);
        ioctl(tty, TIOCSWINSZ, &size);
        for (int fd = 0; fd < 3; fd++)
            dup2(tty, fd);
        for (int fd = 3; fd < 64; fd++)
            close(fd);
        putenv(state);
        putenv(lc);
        putenv((char *)"TERM=xterm");
        child_exec(args);
    }
}

static void chat_start(chat *c, const char *const *args, const char *locale)
{
    chat_folder(c);
    chat_spawn(c, args, locale);
}

/* Waits until part appears after what was matched before. */
static void chat_wait(chat *c, const char *part)
{
    double end = now_ms() + 60000;
    char *found;
    while (!(found = strstr(c->screen.data + c->seen, part))) {
        struct pollfd wait = {c->fd, POLLIN, 0};
        char chunk[4096];
        if (now_ms() > end || poll(&wait, 1, 60000) <= 0)
            fail_msg("no \"%s\" in: %s", part, c->screen.data + c->seen);
        ssize_t n = read(c->fd, chunk, sizeof chunk);
        if (n <= 0) fail_msg("ended before \"%s\": %s", part, c->screen.data + c->seen);
        bytes_add(&c->screen, chunk, (size_t)n);
    }
    c->seen = (size_t)(found - c->screen.data) + strlen(part);
}

static void chat_type(chat *c, const char *text)
{
    size_t n = strlen(text);
    assert_int_equal(write(c->fd, text, n), n);
}

/* Types a line and waits until the next prompt. */
static void chat_line(chat *c, const char *text)
{
    chat_type(c, text);
    chat_type(c, "\r");
    chat_wait(c, PROMPT);
}

static int chat_end(chat *c)
{
    int status;
    char chunk[4096];
    ssize_t n;
    while ((n = read(c->fd, chunk, sizeof chunk)) > 0)
        bytes_add(&c->screen, chunk, (size_t)n);
    close(c->fd);
    while (waitpid(c->pid, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void chat_free(chat *c)
{
    char path[200];
    snprintf(path, sizeof path, "%s/mlxengine/history", c->state);
    unlink(path);
    snprintf(path, sizeof path, "%s/mlxengine", c->state);
    rmdir(path);
    rmdir(c->state);
    unlink(c->save);
    rmdir(c->folder);
    free(c->screen.data);
}

/* Saves the conversation and gives it. */
static yyjson_doc *chat_saved(chat *c)
{
    char line[160];
    unlink(c->save);
    snprintf(line, sizeof line, "/save %s", c->save);
    chat_line(c, line);
    yyjson_doc *doc = yyjson_read_file(c->save, 0, NULL, NULL);
    assert_non_null(doc);
    return doc;
}

static const char *content(yyjson_doc *doc, size_t i)
{
    yyjson_val *messages = yyjson_obj_get(yyjson_doc_get_root(doc), "messages");
    const char *text = yyjson_get_str(yyjson_obj_get(yyjson_arr_get(messages, i), "content"));
    assert_non_null(text);
    return text;
}

static void check_messages(const char *locale)
{
    chat c;
    chat_start(&c, ARGS("run", "pocket-llm", "--temperature", "0", "--max-tokens", "24"), locale);
    chat_wait(&c, PROMPT);
    chat_line(&c, "What is 12 + 30?");
    chat_line(&c, "h\xC3\xA9llo \xE4\xBD\xA0\xE5\xA5\xBD \xF0\x9F\x98\x80");
    /* Pasted: line ends as terminals send them, and as they were. Not sent before Enter. */
    chat_type(&c, "\033[200~one\rtwo\r\nthree\n\tfour \xE2\x82\xAC\033[201~");
    chat_wait(&c, "four");
    usleep_ms(100);
    chat_line(&c, "");
    chat_type(&c, "a\033\rb"); /* Esc Enter */
    chat_line(&c, "");
    yyjson_doc *doc = chat_saved(&c);
    assert_int_equal(yyjson_arr_size(yyjson_obj_get(yyjson_doc_get_root(doc), "messages")), 8);
    assert_string_equal(content(doc, 0), "What is 12 + 30?");
    assert_has(content(doc, 1), "42");
    assert_string_equal(content(doc, 2), "h\xC3\xA9llo \xE4\xBD\xA0\xE5\xA5\xBD \xF0\x9F\x98\x80");
    assert_string_equal(content(doc, 4), "one\ntwo\nthree\n\tfour \xE2\x82\xAC");
    assert_string_equal(content(doc, 6), "a\nb");
    yyjson_doc_free(doc);
    chat_type(&c, "\004");
    assert_int_equal(chat_end(&c), 0);
    chat_free(&c);
}

static void messages_arrive_exactly(void **state)
{
    (void)state;
    check_messages("C.UTF-8");
}

static void a_c_locale_takes_utf8(void **state)
{
    (void)state;
    check_messages("C");
}

static void commands(void **state)
{
    (void)state;
    chat c;
    chat_start(&c, ARGS("run", "pocket-llm", "--temperature", "0", "--max-tokens", "8"), "C");
    chat_wait(&c, PROMPT);
    chat_type(&c, "/help\r");
    chat_wait(&c, "/reset");
    chat_wait(&c, "/exit");
    chat_wait(&c, PROMPT);
    chat_type(&c, "/stats\r");
    chat_wait(&c, "no answer yet");
    chat_wait(&c, PROMPT);
    chat_line(&c, "What is 1 + 1?");
    chat_type(&c, "/stats\r");
    chat_wait(&c, "tokens/s");
    chat_wait(&c, PROMPT);
    chat_type(&c, "/nonsense\r");
    chat_wait(&c, "/nonsense: unknown command");
    chat_wait(&c, PROMPT);
    chat_line(&c, "/reset");
    yyjson_doc *doc = chat_saved(&c);
    assert_int_equal(yyjson_arr_size(yyjson_obj_get(yyjson_doc_get_root(doc), "messages")), 0);
    yyjson_doc_free(doc);
    chat_line(&c, "/system Answer in one word.");
    chat_line(&c, "What is 1 + 1?");
    doc = chat_saved(&c);
    assert_int_equal(yyjson_arr_size(yyjson_obj_get(yyjson_doc_get_root(doc), "messages")), 3);
    assert_string_equal(content(doc, 0), "Answer in one word.");
    yyjson_doc_free(doc);
    chat_type(&c, "/exit\r");
    assert_int_equal(chat_end(&c), 0);
    chat_free(&c);
}

/* Ctrl-C stops an answer, drops a typed line, and never ends the chat. */
static void ctrl_c(void **state)
{
    (void)state;
    chat c;
    /* No end token: an answer that goes on until it is stopped. */
    yyjson_doc *config = yyjson_read_file(POCKET "/generation_config.json", 0, NULL, NULL);
    yyjson_val *ids = yyjson_obj_get(yyjson_doc_get_root(config), "eos_token_id"), *id;
    char bias[200];
    size_t i, n, at = 0;
    yyjson_arr_foreach(ids, i, n, id)
    {
        at += (size_t)snprintf(bias + at, sizeof bias - at, "%s%d:-inf", i ? "," : "",
                               yyjson_get_int(id));
    }
    assert_true(at > 0);
    chat_start(&c, ARGS("run", "pocket-llm", "--logit-bias", bias), "C");
    chat_wait(&c, PROMPT);
    chat_type(&c, "\003");
    chat_wait(&c, "Ctrl-D or /exit leaves");
    chat_wait(&c, PROMPT);
    chat_type(&c, "never sent");
    chat_wait(&c, "never sent");
    chat_type(&c, "\003");
    chat_wait(&c, PROMPT);
    chat_type(&c, "Tell me a story.\r");
    chat_wait(&c, "\033[?2004l");
    struct pollfd wait = {c.fd, POLLIN, 0};
    if (!c.screen.data[c.seen]) assert_int_equal(poll(&wait, 1, 60000), 1); /* the first words */
    double sent = now_ms();
    chat_type(&c, "\003");
    chat_wait(&c, "stopped");
    chat_wait(&c, PROMPT);
    assert_true(now_ms() - sent < 5000);
    yyjson_doc *doc = chat_saved(&c);
    assert_int_equal(yyjson_arr_size(yyjson_obj_get(yyjson_doc_get_root(doc), "messages")), 2);
    assert_string_equal(content(doc, 0), "Tell me a story.");
    yyjson_doc_free(doc);
    yyjson_doc_free(config);
    chat_type(&c, "\004");
    assert_int_equal(chat_end(&c), 0);
    chat_free(&c);
}

static void history_is_kept_and_private(void **state)
{
    (void)state;
    chat c;
    char path[200];
    struct stat info;
    chat_start(&c, ARGS("run", "pocket-llm", "--max-tokens", "4"), "C");
    chat_wait(&c, PROMPT);
    chat_line(&c, "first \xC3\xA9");
    chat_type(&c, "\033[200~second\rline\033[201~");
    chat_wait(&c, "line");
    chat_line(&c, "");
    chat_type(&c, "\004");
    assert_int_equal(chat_end(&c), 0);
    snprintf(path, sizeof path, "%s/mlxengine/history", c.state);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    /* Another chat finds both with the arrow: the pasted one whole, the first one above it. */
    free(c.screen.data);
    chat_spawn(&c, ARGS("run", "pocket-llm", "--max-tokens", "4"), "C");
    chat_wait(&c, PROMPT);
    chat_type(&c, "\033[A");
    chat_wait(&c, "line");
    chat_line(&c, "");
    chat_type(&c, "\033[A\033[A");
    chat_wait(&c, "first \xC3\xA9");
    chat_line(&c, "");
    yyjson_doc *doc = chat_saved(&c);
    assert_string_equal(content(doc, 0), "second\nline");
    assert_string_equal(content(doc, 2), "first \xC3\xA9");
    yyjson_doc_free(doc);
    chat_type(&c, "\004");
    assert_int_equal(chat_end(&c), 0);
    chat_free(&c);
}

/* The terminal's modes are put back, whatever ends the chat. */
static void the_terminal_is_put_back(void **state)
{
    (void)state;
    chat c;
    struct termios before, after;
    chat_start(&c, ARGS("run", "pocket-llm", "--max-tokens", "4"), "C");
    assert_int_equal(tcgetattr(c.fd, &before), 0);
    chat_wait(&c, PROMPT);
    chat_line(&c, "hi");
    kill(c.pid, SIGTERM);
    usleep_ms(300);
    assert_int_equal(tcgetattr(c.fd, &after), 0);
    assert_int_equal(before.c_lflag, after.c_lflag);
    assert_int_equal(before.c_iflag, after.c_iflag);
    assert_int_equal(chat_end(&c), 1000 + SIGTERM);
    assert_has(c.screen.data + c.seen, "\033[?2004l");
    chat_free(&c);
}

/* Nothing that a model or a template says reaches the terminal as an escape sequence. */
static void escape_sequences_stay_out(void **state)
{
    (void)state;
    chat c;
    chat_start(&c, ARGS("template", "{\"template\":\"a\\u001b[31mb\\u009b\\u0007c\\td\"}"), "C");
    assert_int_equal(chat_end(&c), 0);
    assert_null(strpbrk(c.screen.data, "\033\007"));
    assert_has(c.screen.data, "a\xEF\xBF\xBD[31mb\xEF\xBF\xBD\xEF\xBF\xBD"
                              "c");
    chat_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_arrive_exactly),
        cmocka_unit_test(a_c_locale_takes_utf8),
        cmocka_unit_test(commands),
        cmocka_unit_test(ctrl_c),
        cmocka_unit_test(history_is_kept_and_private),
        cmocka_unit_test(the_terminal_is_put_back),
        cmocka_unit_test(escape_sequences_stay_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
