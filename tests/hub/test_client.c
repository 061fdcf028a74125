/* test_client.c: the Hub's client against the scripted server: runs every case of client.case.
 *
 * A case is a few lines: a script for the server, what the client is asked, what must be true then.
 * Each has a cache of its own in a fresh folder. After each, whatever it did: nothing lies outside
 * the cache, refs/ holds only commits, no temporary file is left, and (104) the Python that
 * MLXE_TEST_SCAN names scans the cache without a warning. MLXE_TEST_CASE=TEXT runs the cases whose
 * title holds TEXT. The commands are listed at the head of client.case. */
#define _XOPEN_SOURCE 700
#include "base/fs.h"
#include "base/thread.h"
#include "faulty.h"
#include "hub/hub.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { MAX_WORDS = 24, LINE_BYTES = 4096, MAX_VARIABLES = 4, VARIABLE_BYTES = 60 };

typedef struct runner {
    faulty *server;
    char folder[64]; /* of this case: cache/ and nothing else */
    char title[200];
    const char *scan; /* a Python that has huggingface_hub; NULL: none looks */
    int line, failed;
    int untimed; /* MLXE_TEST_UNTIMED (Valgrind): slowness is no fault */
    hub_settings s;
    char endpoint[300], token[100], ca[100], from[100], local[100];
    char variables[MAX_VARIABLES][VARIABLE_BYTES]; /* of the environment, set by this case */
    int n_variables;
    buf log, lines; /* lines: what a search found */
    uint64_t memory_bytes;
    pthread_mutex_t log_lock;
    double took_ms;
    int results;
    int64_t deadline_ms, cancel_ms;
    atomic_int cancel;
    size_t cases;
} runner;

static void fail_at(runner *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void fail_at(runner *r, const char *fmt, ...)
{
    va_list list;
    fprintf(stderr, "client.case:%d: %s: ", r->line, r->title);
    va_start(list, fmt);
    vfprintf(stderr, fmt, list);
    va_end(list);
    fprintf(stderr, "\n");
    r->failed++;
}

static void on_log(void *user, mlxe_log_level level, const char *line)
{
    runner *r = user;
    (void)level;
    pthread_mutex_lock(&r->log_lock);
    buf_add_str(&r->log, line);
    buf_add_char(&r->log, '\n');
    pthread_mutex_unlock(&r->log_lock);
}

/* Splits at blanks; "quoted words" are one. {self} {other} {tls} {cache} are put in. -> count */
static int words_of(const runner *r, char *line, char **out, buf *room)
{
    static const char *const NAMES[] = {"{self}", "{other}", "{tls}"};
    int n = 0;
    buf_clear(room);
    for (char *p = line; *p;) {
        const char *put = NULL;
        for (int i = 0; i < FAULTY_ORIGINS; i++)
            if (!strncmp(p, NAMES[i], strlen(NAMES[i]))) {
                put = faulty_url(r->server, (faulty_origin)i);
                p += strlen(NAMES[i]);
            }
        if (put)
            buf_add_str(room, put);
        else
            buf_add_char(room, *p++);
    }
    for (char *p = room->p; p && *p && n < MAX_WORDS;) {
        while (*p == ' ')
            p++;
        if (!*p) break;
        if (*p == '"') {
            out[n++] = ++p;
            p += strcspn(p, "\"");
        } else {
            out[n++] = p;
            p += strcspn(p, " ");
        }
        if (*p) *p++ = 0;
    }
    return n;
}

static mlxe_status status_of(runner *r, const char *name)
{
    if (!strcmp(name, "OK")) return MLXE_OK;
    for (int code = 0; code > -40; code--) {
        const char *known = mlxe_status_name((mlxe_status)code);
        if (!strcmp(known, name) || (!strncmp(known, "MLXE_E_", 7) && !strcmp(known + 7, name)))
            return (mlxe_status)code;
    }
    fail_at(r, "no status %s", name);
    return MLXE_OK;
}

static void check(runner *r, mlxe_status got, const mlxe_error *err, char **w, int n, int at)
{
    mlxe_status want = at < n ? status_of(r, w[at]) : MLXE_OK;
    if (got != want)
        fail_at(r, "got %s (%s), want %s", mlxe_status_name(got), got ? err->message : "",
                mlxe_status_name(want));
    else if (at + 1 < n && !strstr(err->message, w[at + 1]) && !strstr(err->hint, w[at + 1]))
        fail_at(r, "message \"%s\" (%s), want \"%s\" in it", err->message, err->hint, w[at + 1]);
}

static hub_type type_of(char **id)
{
    if (!strncmp(*id, "dataset:", 8)) return *id += 8, HUB_DATASET;
    if (!strncmp(*id, "space:", 6)) return *id += 6, HUB_SPACE;
    return HUB_MODEL;
}

static int on_found(void *user, const char *text, size_t bytes)
{
    runner *r = user;
    buf_add(&r->lines, text, bytes);
    buf_add_char(&r->lines, '\n');
    r->results++;
    return 0;
}

static void *cancel_later(void *arg)
{
    runner *r = arg;
    struct timespec wait = {r->cancel_ms / 1000, r->cancel_ms % 1000 * 1000000};
    nanosleep(&wait, NULL);
    atomic_store(&r->cancel, 1);
    return NULL;
}

/* file|force|pull|repull|info|refs|whoami|search ... */
static void ask(runner *r, char **w, int n)
{
    mlxe_error err = {0};
    hub *h = NULL;
    hub_want want = {0};
    hub_watch watch = {.cancel = &r->cancel};
    hub_got got;
    buf out = {0};
    const char *include[MAX_WORDS], *exclude[MAX_WORDS];
    int at = 3, cancelling = r->cancel_ms > 0;
    pthread_t canceller;
    double from;
    mlxe_status rc = hub_open(&r->s, &h, &err);
    char *id = n > 1 ? w[1] : NULL;
    hub_repo repo = {id ? type_of(&id) : HUB_MODEL, id, n > 2 && *w[2] ? w[2] : NULL};
    if (r->deadline_ms) watch.deadline_ns = clock_ns() + r->deadline_ms * 1000000;
    atomic_store(&r->cancel, 0);
    r->results = 0;
    buf_clear(&r->lines);
    want.globs.include = include;
    want.globs.exclude = exclude;
    for (; at < n && (w[at][0] == '+' || w[at][0] == '-') && w[at][1]; at++) {
        if (w[at][0] == '+')
            include[want.globs.n_include++] = w[at] + 1;
        else
            exclude[want.globs.n_exclude++] = w[at] + 1;
    }
    want.from = *r->from ? r->from : NULL;
    want.local_dir = *r->local ? r->local : NULL;
    want.force = !strcmp(w[0], "force") || !strcmp(w[0], "repull");
    if (cancelling) pthread_create(&canceller, NULL, cancel_later, r);
    from = clock_ms();
    if (rc) {
        at = n; /* what follows decides: an error of opening is told by `open` only */
        fail_at(r, "hub_open: %s", err.message);
    } else if (!strcmp(w[0], "file") || !strcmp(w[0], "force")) {
        rc = hub_file(h, &repo, w[3], &want, &watch, &out, &got, &err);
        at = 4;
    } else if (!strcmp(w[0], "pull") || !strcmp(w[0], "repull")) {
        rc = hub_snapshot(h, &repo, &want, &watch, &out, &got, &err);
    } else if (!strcmp(w[0], "info")) {
        rc = hub_info(h, &repo, &watch, &out, &err);
    } else if (!strcmp(w[0], "refs")) {
        rc = hub_refs(h, &repo, &watch, &out, &err);
    } else if (!strcmp(w[0], "whoami")) {
        rc = hub_whoami(h, &watch, &out, &err);
        at = 1;
    } else {
        hub_query q = {.search = n > 1 ? w[1] : NULL,
                       .limit = (uint32_t)atoi(n > 2 ? w[2] : "0"),
                       .memory_bytes = r->memory_bytes};
        rc = hub_search(h, &q, &watch, on_found, r, &err);
    }
    r->took_ms = clock_ms() - from;
    if (cancelling) pthread_join(canceller, NULL);
    check(r, rc, &err, w, n, at);
    hub_close(h);
    buf_deinit(&out);
}

/* open STATUS [TEXT]: hub_open with the settings. */
static void open_only(runner *r, char **w, int n)
{
    mlxe_error err = {0};
    hub *h = NULL;
    mlxe_status rc = hub_open(&r->s, &h, &err);
    check(r, rc, &err, w, n, 1);
    hub_close(h);
}

static void set(runner *r, char **w, int n)
{
    for (int i = 1; i < n; i++) {
        char *value = strchr(w[i], '=');
        if (!value) {
            fail_at(r, "%s has no value", w[i]);
            continue;
        }
        *value++ = 0;
        if (!strcmp(w[i], "offline"))
            r->s.offline = atoi(value);
        else if (!strcmp(w[i], "timeout"))
            r->s.download_timeout_s = r->s.etag_timeout_s = atoi(value);
        else if (!strcmp(w[i], "unit"))
            r->s.retry_unit_ms = atoi(value);
        else if (!strcmp(w[i], "workers"))
            r->s.workers = atoi(value);
        else if (!strcmp(w[i], "no_links"))
            r->s.no_links = atoi(value);
        else if (!strcmp(w[i], "insecure"))
            r->s.allow_insecure_token = atoi(value);
        else if (!strcmp(w[i], "deadline"))
            r->deadline_ms = atoi(value);
        else if (!strcmp(w[i], "cancel"))
            r->cancel_ms = atoi(value);
        else if (!strcmp(w[i], "endpoint"))
            r->s.endpoint = strcpy(r->endpoint, value);
        else if (!strcmp(w[i], "token")) {
            r->s.token = strcpy(r->token, value);
            r->s.token_from = *value ? HUB_TOKEN_IMPLICIT : HUB_TOKEN_NONE;
        } else if (!strcmp(w[i], "from"))
            snprintf(r->from, sizeof r->from, "%s/cache/%s", r->folder, value);
        else if (!strcmp(w[i], "local"))
            snprintf(r->local, sizeof r->local, "%s/cache-%s", r->folder, value);
        else if (!strcmp(w[i], "memory"))
            r->memory_bytes = (uint64_t)atoll(value);
        else if (!strcmp(w[i], "ca"))
            r->s.ca_file = *value ? r->ca : NULL;
        else
            fail_at(r, "no setting %s", w[i]);
    }
}

static void check_same(runner *r, char **w, int n)
{
    buf path = {0}, text = {0};
    size_t bytes = 0;
    const unsigned char *want = n > 3 ? faulty_file(r->server, w[1], w[3], &bytes) : NULL;
    buf_addf(&path, "%s/cache/models--", r->folder);
    for (const char *p = w[1]; *p; p++)
        buf_add_str(&path, *p == '/' ? "--" : (char[]){*p, 0});
    buf_addf(&path, "/snapshots/%s/%s", w[2], w[3]);
    if (!want)
        fail_at(r, "the server has no such file");
    else if (fs_read(buf_str(&path), 0, &text, NULL))
        fail_at(r, "%s is not there", buf_str(&path));
    else if (text.n != bytes || memcmp(buf_str(&text), want, bytes) != 0)
        fail_at(r, "%s has other bytes", w[3]);
    buf_deinit(&path);
    buf_deinit(&text);
}

static void check_header(runner *r, char **w, int n)
{
    char value[9000] = "";
    const faulty_request *q;
    const char *got;
    if (n < 5) {
        fail_at(r, "header METHOD GLOB NAME VALUE|none");
        return;
    }
    q = faulty_at(r->server, w[1], w[2], faulty_count(r->server, w[1], w[2]) - 1);
    got = q ? faulty_header(q, w[3], value, sizeof value) : NULL;
    if (!q)
        fail_at(r, "no such request");
    else if (!strcmp(w[4], "none") ? got != NULL
                                   : !got || !strv_is(hub_etag_plain(strv_of(got)), w[4]))
        fail_at(r, "%s is %s, want %s", w[3], got ? got : "absent", w[4]);
}

static int shell(runner *r, const char *command)
{
    buf text = {0};
    int rc;
    buf_addf(
        &text,
        "cd '%s' && CACHE='%s/cache' REPO='%s/cache/models--org--name' && export CACHE REPO; %s",
        r->folder, r->folder, r->folder, command);
    rc = system(buf_str(&text));
    buf_deinit(&text);
    return WIFEXITED(rc) ? WEXITSTATUS(rc) : 1;
}

static void run_line(runner *r, char *line)
{
    char *w[MAX_WORDS];
    buf room = {0};
    int n;
    if (!strncmp(line, "shell ", 6)) {
        if (shell(r, line + 6)) fail_at(r, "failed: %s", line + 6);
        return;
    }
    if (!strncmp(line, "logcount ", 9)) {
        const char *text = strchr(line + 9, ' ');
        int n_found = 0;
        for (const char *at = buf_str(&r->log); text && (at = strstr(at, text + 1)); at++)
            n_found++;
        if (n_found != atoi(line + 9)) fail_at(r, "%d times in the log", n_found);
        return;
    }
    if (!strncmp(line, "found ", 6)) {
        if (!strstr(buf_str(&r->lines), line + 6)) fail_at(r, "found: %s", buf_str(&r->lines));
        return;
    }
    n = words_of(r, line, w, &room);
    if (!n || w[0][0] == '#') {
    } else if (!strcmp(w[0], "set"))
        set(r, w, n);
    else if (!strcmp(w[0], "env")) {
        char *value = n > 1 ? strchr(w[1], '=') : NULL;
        if (value) *value++ = 0;
        if (!value || !*value)
            fail_at(r, "env NAME=VALUE");
        else if (!setenv(w[1], value, 1))
            snprintf(r->variables[r->n_variables++ % MAX_VARIABLES], VARIABLE_BYTES, "%s", w[1]);
    } else if (!strcmp(w[0], "open"))
        open_only(r, w, n);
    else if (!strcmp(w[0], "forget"))
        faulty_forget(r->server);
    else if (!strcmp(w[0], "forgetlog")) {
        faulty_forget_log(r->server);
        buf_clear(&r->log);
    } else if (!strcmp(w[0], "count")) {
        size_t got = faulty_count(r->server, w[1], w[2]);
        if (n < 4 || got != (size_t)atoi(w[3])) fail_at(r, "%zu requests, want %s", got, w[3]);
    } else if (!strcmp(w[0], "atmost")) {
        size_t got = faulty_count(r->server, w[1], w[2]);
        if (n < 4 || got > (size_t)atoi(w[3]))
            fail_at(r, "%zu requests, want at most %s", got, w[3]);
    } else if (!strcmp(w[0], "sent")) {
        uint64_t got = faulty_sent(r->server, w[1], w[2]);
        if (n < 4 || (got > (uint64_t)atoll(w[3]) && !r->untimed))
            fail_at(r, "%llu bytes, want at most %s", (unsigned long long)got, w[3]);
    } else if (!strcmp(w[0], "results")) {
        if (n < 2 || r->results != atoi(w[1])) fail_at(r, "%d results, want %s", r->results, w[1]);
    } else if (!strcmp(w[0], "took")) {
        if (n < 3 || r->took_ms < atof(w[1]) || (r->took_ms > atof(w[2]) && !r->untimed))
            fail_at(r, "took %.0f ms, want %s to %s", r->took_ms, w[1], w[2]);
    } else if (!strcmp(w[0], "same"))
        check_same(r, w, n);
    else if (!strcmp(w[0], "header"))
        check_header(r, w, n);
    else if (!strcmp(w[0], "log")) {
        if (!strstr(buf_str(&r->log), w[1])) fail_at(r, "the log lacks %s", w[1]);
    } else if (!strcmp(w[0], "nolog")) {
        if (strstr(buf_str(&r->log), w[1])) fail_at(r, "the log holds %s", w[1]);
    } else
        ask(r, w, n);
    buf_deinit(&room);
}

/* ---- cases ----------------------------------------------------------------------------------- */

static void case_begin(runner *r)
{
    char template[] = "/tmp/mlxe-hub-XXXXXX";
    char cache[100];
    FILE *ca;
    assert_non_null(mkdtemp(template));
    snprintf(r->folder, sizeof r->folder, "%s", template);
    snprintf(cache, sizeof cache, "%s/cache", r->folder);
    snprintf(r->ca, sizeof r->ca, "%s/cache.pem", r->folder);
    ca = fopen(r->ca, "w");
    assert_non_null(ca);
    fputs(faulty_ca(r->server), ca);
    fclose(ca);
    faulty_forget(r->server);
    buf_clear(&r->log);
    r->deadline_ms = r->cancel_ms = 0;
    r->from[0] = r->local[0] = 0;
    r->memory_bytes = 0;
    free((char *)r->s.cache);
    r->s = (hub_settings){.endpoint = faulty_url(r->server, FAULTY_SELF),
                          .cache = strdup(cache),
                          .retry_unit_ms = 10,
                          .etag_timeout_s = 2,
                          .download_timeout_s = 2,
                          .log = {on_log, r, MLXE_LOG_DEBUG}};
    r->cases++;
}

/* Python's own view of the cache: no warning about anything in it. */
static void scan(runner *r)
{
    buf command = {0};
    buf_addf(
        &command,
        "test ! -d cache || '%s' -c 'import sys, huggingface_hub; "
        "w = huggingface_hub.scan_cache_dir(\"cache\").warnings; print(*w); sys.exit(bool(w))'",
        r->scan);
    if (shell(r, buf_str(&command))) fail_at(r, "scan_cache_dir warns");
    buf_deinit(&command);
}

static void case_end(runner *r)
{
    while (r->n_variables > 0)
        unsetenv(r->variables[--r->n_variables % MAX_VARIABLES]);
    if (r->scan) scan(r);
    /* Nothing beside the cache; every ref a commit; no temporary names where others look. */
    if (shell(r, "test -z \"$(ls -A | grep -v '^cache')\""))
        fail_at(r, "something lies outside the cache");
    if (shell(r, "for f in $(find cache -path '*/refs/*' -type f 2>/dev/null); do "
                 "grep -qE '^[0-9a-f]{40}$' $f && test $(wc -c <$f) = 40 || exit 1; done"))
        fail_at(r, "a ref is no commit");
    if (shell(r, "test -z \"$(find cache -path '*/.partial/t-*' 2>/dev/null)\""))
        fail_at(r, "a temporary file is left");
    shell(r, "chmod -R u+w . ; rm -rf cache*");
    rmdir(r->folder);
}

static void run_cases(void **state)
{
    runner r = {0};
    const char *only = getenv("MLXE_TEST_CASE");
    r.scan = getenv("MLXE_TEST_SCAN");
    r.untimed = getenv("MLXE_TEST_UNTIMED") != NULL;
    char path[1000], line[LINE_BYTES], message[300];
    buf script = {0};
    int in_server = 0, in_case = 0;
    FILE *file;
    (void)state;
    assert_int_equal(faulty_open(&r.server), 0);
    pthread_mutex_init(&r.log_lock, NULL);
    snprintf(path, sizeof path, "%s/tests/hub/client.case", MLXE_SOURCE_DIR);
    file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        char *p = line + strspn(line, " ");
        r.line++;
        p[strcspn(p, "\n")] = 0;
        if (in_server) {
            if (!strcmp(p, "end")) {
                in_server = 0;
                if (faulty_script(r.server, buf_str(&script), message, sizeof message))
                    fail_at(&r, "script: %s", message);
            } else {
                buf_add_str(&script, p);
                buf_add_char(&script, '\n');
            }
        } else if (!strncmp(p, "case ", 5)) {
            if (in_case) case_end(&r);
            in_case = !only || strstr(p, only);
            snprintf(r.title, sizeof r.title, "%s", p + 5);
            if (in_case) case_begin(&r);
        } else if (in_case && !strcmp(p, "server")) {
            in_server = 1;
            buf_clear(&script);
        } else if (in_case && *p) {
            run_line(&r, p);
        }
    }
    if (in_case) case_end(&r);
    fclose(file);
    free((char *)r.s.cache);
    buf_deinit(&script);
    buf_deinit(&r.log);
    buf_deinit(&r.lines);
    faulty_close(r.server);
    fprintf(stderr, "%zu cases\n", r.cases);
    assert_true(r.cases > 0);
    assert_int_equal(r.failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(run_cases)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
