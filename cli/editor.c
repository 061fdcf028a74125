/* editor.c: libedit for the chat.
 *
 * What libedit lacks is done here:
 *   pasted newlines   bracketed paste (ESC [ 200 ~ text ESC [ 201 ~) is asked for, and the text
 *                     goes into the line as it is; libedit shows a newline as a new row. Esc Enter
 *                     puts one in by hand.
 *   UTF-8             libedit converts by LC_CTYPE; a C locale (containers) gets C.UTF-8.
 *                     LC_NUMERIC is left alone.
 *   Ctrl-C            the terminal sends SIGINT; reading waits in poll for a key or that signal.
 * History is one file of the user's (mode 0600) in $XDG_STATE_HOME/mlxengine, written after every
 * message. A signal that ends the process puts the terminal back first. */
#include "editor.h"

#include "interrupt.h"
#include "out.h"
#include "text.h"

#include <errno.h>
#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define PASTE_ON    "\033[?2004h"
#define PASTE_OFF   "\033[?2004l"
#define PASTE_END   "\033[201~"
#define PROMPT_TEXT "> "

enum { HISTORY_LINES = 1000 };

struct editor {
    EditLine *line;
    History *history;
    char *history_path; /* NULL: nowhere to keep it */
    int interrupted, typed, reading_failed;
};

static struct termios original;
static volatile sig_atomic_t resized, continued, plain;

/* ---- the terminal --------------------------------------------------------------------------- */

static void on_end(int number)
{
    tcsetattr(STDIN_FILENO, TCSANOW, &original);
    ssize_t written = plain ? 0 : write(STDOUT_FILENO, PASTE_OFF, sizeof PASTE_OFF - 1);
    (void)written;
    signal(number, SIG_DFL);
    raise(number);
}

static void on_resize(int number)
{
    (void)number;
    resized = 1;
}

static void on_continue(int number)
{
    (void)number;
    continued = 1;
}

static void catch_signal(int number, void (*handler)(int))
{
    struct sigaction action = {0};
    action.sa_handler = handler;
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

static void set_paste(const char *sequence)
{
    if (plain) return;
    fputs(sequence, stdout);
    fflush(stdout);
}

static void use_utf8(void)
{
    static const char *const NAMES[] = {"", "C.UTF-8", "C.utf8", "en_US.UTF-8"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (setlocale(LC_CTYPE, NAMES[i]) && strcmp(nl_langinfo(CODESET), "UTF-8") == 0) return;
}

static void set_echo(int on)
{
    struct termios now;
    if (tcgetattr(STDIN_FILENO, &now)) return;
    if (on)
        now.c_lflag |= ECHO;
    else
        now.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(STDIN_FILENO, TCSANOW, &now);
}

/* The terminal must keep \r and \n apart: a pasted \r\n would be two line breaks. */
static void keep_line_ends(void)
{
    struct termios now = original;
    now.c_iflag &= ~(tcflag_t)(ICRNL | INLCR);
    tcsetattr(STDIN_FILENO, TCSANOW, &now);
}

void editor_echo_off(editor *e)
{
    (void)e;
    set_echo(0);
}

void editor_echo_on(editor *e)
{
    (void)e;
    set_echo(1);
}

/* ---- reading keys --------------------------------------------------------------------------- */

/* One byte of the terminal. -> 1, 0 at the end, -1 for Ctrl-C or an error */
static int read_byte(editor *e, unsigned char *out)
{
    for (;;) {
        struct pollfd fds[2] = {{STDIN_FILENO, POLLIN, 0}, {interrupt_fd(), POLLIN, 0}};
        if (resized) {
            resized = 0;
            el_resize(e->line);
        }
        if (continued) {
            continued = 0;
            el_set(e->line, EL_PREP_TERM, 1);
            el_set(e->line, EL_REFRESH);
        }
        if (poll(fds, 2, -1) < 0 && errno != EINTR) return -1;
        if (interrupt_seen()) {
            const LineInfo *info = el_line(e->line);
            e->interrupted = 1;
            e->typed = info->lastchar > info->buffer;
            return -1;
        }
        if (!fds[0].revents) continue;
        ssize_t n = read(STDIN_FILENO, out, 1);
        if (n >= 0) return (int)n;
        if (errno != EINTR && errno != EAGAIN) return -1;
    }
}

/* libedit's source of characters: UTF-8 decoded; broken bytes are dropped. */
static int read_character(EditLine *line, wchar_t *out)
{
    editor *e;
    unsigned char bytes[4];
    el_get(line, EL_CLIENTDATA, &e);
    for (;;) {
        int got = read_byte(e, bytes);
        if (got <= 0) {
            e->reading_failed = got < 0 && !e->interrupted;
            return got;
        }
        size_t want = bytes[0] < 0x80 ? 1 : bytes[0] >= 0xF0 ? 4 : bytes[0] >= 0xE0 ? 3 : 2;
        if (bytes[0] >= 0x80 && bytes[0] < 0xC2) continue;
        for (size_t i = 1; i < want; i++)
            if ((got = read_byte(e, bytes + i)) <= 0) return got;
        if (text_utf8_bad((char *)bytes, want) < want) continue;
        uint32_t c = want == 1 ? bytes[0] : bytes[0] & (0xFFu >> (want + 1));
        for (size_t i = 1; i < want; i++)
            c = c << 6 | (bytes[i] & 0x3F);
        *out = (wchar_t)c;
        return 1;
    }
}

/* A terminal sends a pasted line break as \r; other control characters have no place in a text. */
static void clean_paste(const cli_text *raw, cli_text *out)
{
    for (size_t i = 0; i < raw->bytes; i++) {
        char c = raw->data[i];
        if (c == '\r') {
            if (i + 1 < raw->bytes && raw->data[i + 1] == '\n') continue;
            c = '\n';
        }
        if ((unsigned char)c >= 0x20 ? c != 0x7F : c == '\n' || c == '\t') cli_text_add(out, &c, 1);
    }
}

static unsigned char on_paste(EditLine *line, int key)
{
    editor *e;
    cli_text raw = {0}, clean = {0}, whole = {0};
    unsigned char byte;
    const size_t end = sizeof PASTE_END - 1;
    (void)key;
    el_get(line, EL_CLIENTDATA, &e);
    while (read_byte(e, &byte) > 0) {
        cli_text_add(&raw, (char *)&byte, 1);
        if (raw.bytes >= end && memcmp(raw.data + raw.bytes - end, PASTE_END, end) == 0) {
            raw.bytes -= end;
            break;
        }
    }
    clean_paste(&raw, &clean);
    text_utf8_repair(&whole, clean.data, clean.bytes);
    int bad = whole.bytes > 0 && el_insertstr(line, whole.data) != 0;
    cli_text_deinit(&raw);
    cli_text_deinit(&clean);
    cli_text_deinit(&whole);
    return bad ? CC_ERROR : CC_REFRESH;
}

static unsigned char on_newline(EditLine *line, int key)
{
    (void)key;
    return el_insertstr(line, "\n") ? CC_ERROR : CC_REFRESH;
}

static char *show_prompt(EditLine *line)
{
    static char text[] = PROMPT_TEXT;
    (void)line;
    return text;
}

/* ---- history -------------------------------------------------------------------------------- */

/* $XDG_STATE_HOME/mlxengine/history, its folders made; NULL when there is no home. */
static char *history_file(void)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    char path[4096];
    int n = -1;
    if (state && state[0] == '/')
        n = snprintf(path, sizeof path, "%s/mlxengine/history", state);
    else if (home && home[0] == '/')
        n = snprintf(path, sizeof path, "%s/.local/state/mlxengine/history", home);
    if (n < 0 || n >= (int)sizeof path) return NULL;
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(path, 0700);
        *slash = '/';
    }
    return cli_copy(path, (size_t)n);
}

static void history_keep(editor *e, const char *text)
{
    HistEvent event;
    if (history(e->history, &event, H_ENTER, text) < 0 || !e->history_path) return;
    mode_t old = umask(077);
    history(e->history, &event, H_SAVE, e->history_path);
    umask(old);
}

/* ---- the editor ----------------------------------------------------------------------------- */

editor *editor_open(void)
{
    HistEvent event;
    if (tcgetattr(STDIN_FILENO, &original)) return NULL;
    keep_line_ends();
    use_utf8();
    plain = out_plain_terminal();
    editor *e = cli_alloc(sizeof *e);
    *e = (editor){0};
    e->line = el_init(CLI_NAME, stdin, stdout, stderr);
    e->history = history_init();
    if (!e->line || !e->history) {
        editor_close(e);
        return NULL;
    }
    history(e->history, &event, H_SETSIZE, HISTORY_LINES);
    history(e->history, &event, H_SETUNIQUE, 1);
    e->history_path = history_file();
    if (e->history_path) history(e->history, &event, H_LOAD, e->history_path);
    el_set(e->line, EL_CLIENTDATA, e);
    el_set(e->line, EL_EDITOR, "emacs");
    el_set(e->line, EL_SIGNAL, 0);
    el_set(e->line, EL_PROMPT, show_prompt);
    el_set(e->line, EL_HIST, history, e->history);
    el_set(e->line, EL_GETCFN, read_character);
    /* The narrow EL_ADDFN leaks its copies of the names. */
    el_wset(e->line, EL_ADDFN, L"chat-paste", L"insert pasted text", on_paste);
    el_wset(e->line, EL_ADDFN, L"chat-newline", L"insert a line break", on_newline);
    el_source(e->line, NULL);
    /* While editing, and while an answer runs: what is pasted then is read afterwards. */
    el_set(e->line, EL_SETTY, "-d", "-icrnl", "-inlcr", NULL);
    el_set(e->line, EL_SETTY, "-x", "-icrnl", "-inlcr", NULL);
    el_set(e->line, EL_BIND, "\\e[200~", "chat-paste", NULL);
    el_set(e->line, EL_BIND, "\\e^M", "chat-newline", NULL);
    el_set(e->line, EL_BIND, "\\e^J", "chat-newline", NULL);
    catch_signal(SIGTERM, on_end);
    catch_signal(SIGHUP, on_end);
    catch_signal(SIGWINCH, on_resize);
    catch_signal(SIGCONT, on_continue);
    return e;
}

void editor_close(editor *e)
{
    if (!e) return;
    if (e->line) el_end(e->line);
    if (e->history) history_end(e->history);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &original);
    free(e->history_path);
    free(e);
}

editor_result editor_read(editor *e, cli_text *out, int *typed)
{
    int n = 0;
    out->bytes = 0;
    e->interrupted = e->typed = 0;
    interrupt_clear();
    /* Before the prompt shows: el_gets does it after, and what is typed between would be cooked. */
    el_set(e->line, EL_PREP_TERM, 1);
    set_paste(PASTE_ON);
    const char *text = el_gets(e->line, &n);
    set_paste(PASTE_OFF);
    *typed = e->typed;
    if (e->interrupted) {
        interrupt_clear();
        return EDITOR_INTERRUPTED;
    }
    if (!text || n <= 0) return EDITOR_END;
    size_t bytes = (size_t)n;
    if (text[bytes - 1] == '\n') bytes--;
    cli_text_add(out, text, bytes);
    if (strspn(out->data, " \t\n") < out->bytes) history_keep(e, out->data);
    return EDITOR_LINE;
}
