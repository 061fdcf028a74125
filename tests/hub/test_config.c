/* test_config.c: the environment becomes settings: runs every case of config.case. */
#include "tree_maker.h"

#include "base/fs.h"
#include "hub/config.h"

enum { MAX_NAMES = 16 };

typedef struct runner {
    char *home; /* {h} */
    char title[200];
    buf names[MAX_NAMES], values[MAX_NAMES], log;
    size_t n, cases;
    int line, failed, read;
    hub_config config;
    mlxe_status status;
    mlxe_error err;
} runner;

static const char *variable(void *user, const char *name)
{
    const runner *r = user;
    for (size_t i = 0; i < r->n; i++)
        if (!strcmp(buf_str(&r->names[i]), name)) return buf_str(&r->values[i]);
    return NULL;
}

static void on_log(void *user, mlxe_log_level level, const char *line)
{
    runner *r = user;
    (void)level;
    buf_add_str(&r->log, line);
    buf_add_char(&r->log, '\n');
}

/* Appends text with {h} and \n \r \t put in. */
static void put_in(const runner *r, const char *text, buf *out)
{
    static const char NAMES[] = "nrt", CODES[] = "\n\r\t";
    while (*text) {
        const char *name = text[0] == '\\' && text[1] ? strchr(NAMES, text[1]) : NULL;
        if (!strncmp(text, "{h}", 3)) {
            buf_add_str(out, r->home);
            text += 3;
        } else if (name) {
            buf_add_char(out, CODES[name - NAMES]);
            text += 2;
        } else {
            buf_add_char(out, *text++);
        }
    }
}

static void case_end(runner *r)
{
    if (!r->home) return;
    for (size_t i = 0; i < r->n; i++) {
        buf_deinit(&r->names[i]);
        buf_deinit(&r->values[i]);
    }
    r->n = 0;
    if (r->read && !r->status) config_deinit(&r->config);
    buf_deinit(&r->log);
    remove_all(r->home);
    free(r->home);
    r->home = NULL;
}

static void case_begin(runner *r, const char *title)
{
    case_end(r);
    r->home = make_scratch();
    r->read = 0;
    r->cases++;
    snprintf(r->title, sizeof r->title, "%s", title);
}

/* The settings, read at the first question of a case. */
static void settings(runner *r)
{
    const log_sink log = {on_log, r, MLXE_LOG_WARN};
    if (r->read) return;
    r->read = 1;
    r->status = config_read(variable, r, &log, &r->config, &r->err);
}

static void expect(runner *r, int good, const char *what, const char *got)
{
    if (good) return;
    print_error("config.case:%d: %s: %s is %s\n", r->line, r->title, what, got);
    r->failed++;
}

static void expect_text(runner *r, const char *what, const buf *got, const char *want)
{
    settings(r);
    expect(r, !r->status, "status", r->err.message);
    if (r->status) return;
    int none = !strcmp(want, "none");
    expect(r, none ? !got->n : !strcmp(buf_str(got), want), what, buf_str(got));
}

/* With a provider named, only a token that the caller gives, or none at all, may be used. */
static void expect_no_provider(runner *r)
{
    hub *h = NULL;
    settings(r);
    hub_settings s = config_settings(&r->config);
    expect(r, hub_open(&s, &h, &r->err) == MLXE_E_ARG && strstr(r->err.message, "HF_OIDC_RESOURCE"),
           "opening", r->err.message);
    s.token = "hf_given";
    s.token_from = HUB_TOKEN_GIVEN;
    expect(r, !hub_open(&s, &h, &r->err), "opening with a token", r->err.message);
    hub_close(h);
}

static void run_line(runner *r, const char *key, const char *value)
{
    buf text = {0};
    char two[40];
    put_in(r, value, &text);
    if (!strcmp(key, "env")) {
        const char *equals = strchr(buf_str(&text), '=');
        assert_true(equals && r->n < MAX_NAMES);
        buf_add(&r->names[r->n], text.p, (size_t)(equals - text.p));
        buf_add_str(&r->values[r->n++], equals + 1);
    } else if (!strcmp(key, "file")) {
        size_t n = strcspn(buf_str(&text), " ");
        put_text(in(r->home, "%.*s", (int)n, text.p), text.p + n + 1);
    } else if (!strcmp(key, "cache")) {
        expect_text(r, key, &r->config.cache, buf_str(&text));
    } else if (!strcmp(key, "token")) {
        expect_text(r, key, &r->config.token, buf_str(&text));
    } else if (!strcmp(key, "proxy")) {
        expect_text(r, key, &r->config.http_proxy, value);
    } else if (!strcmp(key, "endpoint")) {
        expect_text(r, key, &r->config.endpoint, buf_str(&text));
    } else if (!strcmp(key, "offline")) {
        settings(r);
        expect(r, r->config.offline == atoi(value), key, r->config.offline ? "1" : "0");
    } else if (!strcmp(key, "timeouts")) {
        settings(r);
        snprintf(two, sizeof two, "%d %d", r->config.etag_timeout_s, r->config.download_timeout_s);
        expect(r, !strcmp(two, value), key, two);
    } else if (!strcmp(key, "error")) {
        settings(r);
        expect(r, r->status == MLXE_E_ARG && strstr(r->err.message, value), key, r->err.message);
    } else if (!strcmp(key, "log")) {
        settings(r);
        expect(r, strstr(buf_str(&r->log), value) != NULL, key, buf_str(&r->log));
        expect(r, !strstr(buf_str(&r->log), "hf_"), "a token in the log", buf_str(&r->log));
    } else if (!strcmp(key, "oidc")) {
        expect_no_provider(r);
    } else {
        expect(r, !strcmp(key, "ours"), "statement", key);
    }
    buf_deinit(&text);
}

static void cases(void **state)
{
    (void)state;
    runner r = {0};
    buf text = {0};
    assert_int_equal(fs_read(MLXE_SOURCE_DIR "/tests/hub/config.case", 0, &text, NULL), MLXE_OK);
    for (char *p = text.p, *next; *p; p = next) {
        next = p + strcspn(p, "\n");
        if (*next) *next++ = 0;
        r.line++;
        char *blank = strchr(p, ' ');
        if (!*p || *p == '#' || !blank) continue;
        *blank = 0;
        if (!strcmp(p, "case"))
            case_begin(&r, blank + 1);
        else
            run_line(&r, p, blank + 1);
    }
    case_end(&r);
    buf_deinit(&text);
    assert_int_equal(r.failed, 0);
    assert_true(r.cases > 25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(cases)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
