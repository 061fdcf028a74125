/* faulty_script.c: the statements of faulty.h's script become repositories and rules. */
#include "faulty_inside.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WORDS = 40 };

typedef struct statement {
    char *words[MAX_WORDS];
    size_t bytes[MAX_WORDS]; /* a quoted word may hold NUL */
    size_t n;
    const char *problem;
} statement;

/* ---- words ---------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 32) : NULL;
    return at ? (int)(at - digits) : -1;
}

static const char *unescape(const char *p, buf *out)
{
    static const char names[] = "nrt0", codes[] = "\n\r\t";
    const char *name = *p ? strchr(names, *p) : NULL;
    if (*p == 'x' && hex_digit(p[1]) >= 0 && hex_digit(p[2]) >= 0) {
        buf_add_char(out, (char)(hex_digit(p[1]) * 16 + hex_digit(p[2])));
        return p + 3;
    }
    buf_add_char(out, name ? codes[name - names] : *p);
    return *p ? p + 1 : p;
}

/* key="quoted value" is one word; the quotes go. */
static const char *take_word(const char *p, statement *s)
{
    buf word = {0};
    int quoted = 0;
    while (*p && *p != '\n' && (quoted || (*p != ' ' && *p != '\t' && *p != '\r'))) {
        if (*p == '"') {
            quoted = !quoted;
            p++;
        } else if (quoted && *p == '\\') {
            p = unescape(p + 1, &word);
        } else {
            buf_add_char(&word, *p++);
        }
    }
    if (quoted) s->problem = "a quote is not closed";
    if (s->n == MAX_WORDS) {
        s->problem = "too many words";
        buf_deinit(&word);
        return p;
    }
    s->words[s->n] = buf_take(&word, &s->bytes[s->n]);
    s->n++;
    return p;
}

static const char *take_statement(const char *p, statement *s)
{
    *s = (statement){0};
    while (*p && *p != '\n') {
        if (*p == ' ' || *p == '\t' || *p == '\r')
            p++;
        else if (*p == '#')
            p += strcspn(p, "\n");
        else
            p = take_word(p, s);
    }
    return *p ? p + 1 : p;
}

static void statement_deinit(statement *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->words[i]);
}

static int number(const char *text, int64_t *out)
{
    char *end;
    *out = strtoll(text, &end, 10);
    return *text && !*end;
}

/* ---- repositories --------------------------------------------------------------------------- */

static void digest_hex(const EVP_MD *kind, const char *head, const void *p, size_t n, char *out)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_bytes = 0;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    if (!md || !EVP_DigestInit_ex(md, kind, NULL) ||
        (head && !EVP_DigestUpdate(md, head, strlen(head) + 1)) || !EVP_DigestUpdate(md, p, n) ||
        !EVP_DigestFinal_ex(md, digest, &digest_bytes))
        abort();
    EVP_MD_CTX_free(md);
    for (unsigned i = 0; i < digest_bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

static void git_sha1(const void *p, size_t n, char *out)
{
    char head[40];
    snprintf(head, sizeof head, "blob %zu", n);
    digest_hex(EVP_sha1(), head, p, n, out);
}

static void file_hash(hub_file *file)
{
    char pointer[200];
    if (!file->lfs) {
        git_sha1(file->data, file->n, file->oid);
        memcpy(file->etag, file->oid, sizeof file->oid);
        return;
    }
    digest_hex(EVP_sha256(), NULL, file->data, file->n, file->etag);
    int n = snprintf(pointer, sizeof pointer,
                     "version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %zu\n",
                     file->etag, file->n);
    git_sha1(pointer, (size_t)n, file->oid);
}

/* Bytes that no compression shrinks and that differ at every offset (splitmix64). */
static void fill(unsigned char *p, size_t n, uint64_t seed)
{
    uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;
    for (size_t i = 0; i < n; i++) {
        if (i % 8 == 0) state += 0x9e3779b97f4a7c15u;
        uint64_t z = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9u;
        p[i] = (unsigned char)((z ^ (z >> 27)) >> (i % 8 * 8));
    }
}

static hub_repo *last_repo(const faulty *f)
{
    hub_repo *repo = f->repos;
    while (repo && repo->next)
        repo = repo->next;
    return repo;
}

static const char *add_repo(faulty *f, const statement *s)
{
    static const char *const TYPES[][2] = {{"dataset:", "datasets"}, {"space:", "spaces"}};
    if (s->n < 3) return "repo ID COMMIT";
    hub_repo *repo = calloc(1, sizeof *repo);
    const char *id = s->words[1];
    repo->type = "models";
    for (size_t i = 0; i < 2; i++)
        if (strncmp(id, TYPES[i][0], strlen(TYPES[i][0])) == 0) {
            repo->type = TYPES[i][1];
            id += strlen(TYPES[i][0]);
        }
    repo->id = strdup(id);
    repo->commit = strdup(s->words[2]);
    repo->last_file = &repo->files;
    for (size_t i = 3; i < s->n; i++) {
        const char *word = s->words[i];
        if (strncmp(word, "gated=", 6) == 0)
            repo->gated = strdup(word + 6);
        else if (strncmp(word, "token=", 6) == 0)
            repo->token = strdup(word + 6);
        else if (strcmp(word, "private") == 0)
            repo->private = 1;
        else if (strcmp(word, "disabled") == 0)
            repo->disabled = 1;
        else if (strcmp(word, "listed=no") == 0)
            repo->unlisted = 1;
    }
    *f->last_repo = repo;
    f->last_repo = &repo->next;
    return NULL;
}

static const char *add_ref(faulty *f, const statement *s)
{
    hub_repo *repo = last_repo(f);
    if (s->n != 3 || !repo) return "ref NAME COMMIT, after a repo";
    hub_ref *ref = calloc(1, sizeof *ref);
    ref->name = strdup(s->words[1]);
    ref->commit = strdup(s->words[2]);
    ref->next = repo->refs;
    repo->refs = ref;
    return NULL;
}

static const char *add_file(faulty *f, const statement *s, int is_text)
{
    hub_repo *repo = last_repo(f);
    int64_t size = 0, seed = 1;
    if (s->n < 3 || !repo || (!is_text && (!number(s->words[2], &size) || size < 0)))
        return "file PATH SIZE [lfs] [seed=N], text PATH \"content\", after a repo";
    hub_file *file = calloc(1, sizeof *file);
    file->path = strdup(s->words[1]);
    file->n = is_text ? s->bytes[2] : (size_t)size;
    file->data = malloc(file->n + 1);
    for (size_t i = 3; i < s->n; i++) {
        if (strcmp(s->words[i], "lfs") == 0) file->lfs = 1;
        if (strncmp(s->words[i], "seed=", 5) == 0) number(s->words[i] + 5, &seed);
    }
    if (is_text)
        memcpy(file->data, s->words[2], file->n);
    else
        fill(file->data, file->n, (uint64_t)seed);
    file_hash(file);
    *repo->last_file = file;
    repo->last_file = &file->next;
    return NULL;
}

/* ---- rules ---------------------------------------------------------------------------------- */

static const char *set_number(rule *r, const char *key, const char *value)
{
    int64_t n;
    const struct {
        const char *key;
        int64_t *wide;
        uint64_t *plain;
        unsigned *count;
        int *flag;
        long *ms;
    } KEYS[] = {{"skip", NULL, NULL, &r->skip, NULL, NULL},
                {"times", NULL, NULL, &r->times, NULL, NULL},
                {"status", NULL, NULL, NULL, &r->status, NULL},
                {"close", NULL, NULL, NULL, &r->close, NULL},
                {"chunked", NULL, NULL, NULL, &r->chunked, NULL},
                {"gzip", NULL, NULL, NULL, &r->gzip, NULL},
                {"bare", NULL, NULL, NULL, &r->bare, NULL},
                {"delay", NULL, NULL, NULL, NULL, &r->delay_ms},
                {"sign", NULL, NULL, NULL, NULL, &r->sign},
                {"length", &r->length, NULL, NULL, NULL, NULL},
                {"cut", &r->cut, NULL, NULL, NULL, NULL},
                {"reset", &r->reset, NULL, NULL, NULL, NULL},
                {"stall", &r->stall, NULL, NULL, NULL, NULL},
                {"corrupt", &r->corrupt, NULL, NULL, NULL, NULL},
                {"range", &r->range_from, NULL, NULL, NULL, NULL},
                {"total", &r->total, NULL, NULL, NULL, NULL},
                {"rate", NULL, &r->rate, NULL, NULL, NULL},
                {"zeros", NULL, &r->zeros, NULL, NULL, NULL},
                {"nested", NULL, &r->nested, NULL, NULL, NULL},
                {"limit", NULL, &r->limit, NULL, NULL, NULL},
                {"most", NULL, &r->most, NULL, NULL, NULL},
                {"own", NULL, NULL, NULL, &r->own, NULL},
                {"headbody", NULL, NULL, NULL, &r->head_body, NULL}};
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++) {
        if (strcmp(KEYS[i].key, key) != 0) continue;
        if (!number(value, &n)) return "a value is not a number";
        if (KEYS[i].wide) *KEYS[i].wide = n;
        if (KEYS[i].plain) *KEYS[i].plain = (uint64_t)n;
        if (KEYS[i].count) *KEYS[i].count = (unsigned)n;
        if (KEYS[i].flag) *KEYS[i].flag = (int)n;
        if (KEYS[i].ms) *KEYS[i].ms = (long)n;
        return NULL;
    }
    return "a rule has no such key";
}

static const char *set_key(rule *r, const char *key, const char *value, size_t bytes)
{
    const struct {
        const char *key;
        char **text;
    } TEXTS[] = {{"endless", &r->endless}, {"type", &r->type},         {"etag", &r->etag},
                 {"commit", &r->commit},   {"redirect", &r->redirect}, {"body", &r->body}};
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        if (strcmp(TEXTS[i].key, key) != 0) continue;
        free(*TEXTS[i].text);
        *TEXTS[i].text = malloc(bytes + 1);
        memcpy(*TEXTS[i].text, value, bytes + 1);
        if (TEXTS[i].text == &r->body) {
            r->has_body = 1;
            r->body_bytes = bytes;
        }
        return NULL;
    }
    if (strcmp(key, "header") == 0 || strcmp(key, "drop") == 0) {
        int is_drop = *key == 'd';
        size_t *n = is_drop ? &r->n_drops : &r->n_headers;
        if (*n == 16) return "too many headers";
        (is_drop ? r->drops : r->headers)[(*n)++] = strdup(value);
        return NULL;
    }
    if (strcmp(key, "length") == 0 && strcmp(value, "none") == 0) {
        r->length_none = 1;
        return NULL;
    }
    if (strcmp(key, "range") == 0 && strcmp(value, "ignore") == 0) {
        r->range_ignore = 1;
        return NULL;
    }
    if (strcmp(key, "range") == 0 && strcmp(value, "bare") == 0) {
        r->range_bare = 1;
        return NULL;
    }
    return set_number(r, key, value);
}

static void rule_free(rule *r)
{
    char *texts[] = {r->method, r->glob, r->body,   r->endless,
                     r->type,   r->etag, r->commit, r->redirect};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
    for (size_t i = 0; i < r->n_headers; i++)
        free(r->headers[i]);
    for (size_t i = 0; i < r->n_drops; i++)
        free(r->drops[i]);
    free(r);
}

static const char *add_rule(faulty *f, const statement *s)
{
    if (s->n < 4) return "on METHOD GLOB KEY=VALUE...";
    rule *r = calloc(1, sizeof *r);
    const char *problem = NULL;
    r->method = strdup(s->words[1]);
    r->glob = strdup(s->words[2]);
    r->length = r->cut = r->reset = r->stall = r->corrupt = r->range_from = r->total = -1;
    for (size_t i = 3; i < s->n && !problem; i++) {
        char *equals = strchr(s->words[i], '=');
        if (!equals) {
            problem = "KEY=VALUE";
            break;
        }
        *equals = 0;
        problem =
            set_key(r, s->words[i], equals + 1, s->bytes[i] - (size_t)(equals + 1 - s->words[i]));
    }
    if (problem) {
        rule_free(r);
        return problem;
    }
    *f->last_rule = r;
    f->last_rule = &r->next;
    return NULL;
}

/* ---- scripts -------------------------------------------------------------------------------- */

static const char *set_page(faulty *f, const statement *s)
{
    int64_t n = 0;
    if (s->n != 2 || !number(s->words[1], &n) || n < 1) return "page N";
    f->page = (size_t)n;
    return NULL;
}

static const char *set_user(faulty *f, const statement *s)
{
    if (s->n != 3) return "user NAME TOKEN";
    free(f->user);
    free(f->user_token);
    f->user = strdup(s->words[1]);
    f->user_token = strdup(s->words[2]);
    return NULL;
}

static const char *run(faulty *f, const statement *s)
{
    const char *word = s->words[0];
    if (strcmp(word, "repo") == 0) return add_repo(f, s);
    if (strcmp(word, "ref") == 0) return add_ref(f, s);
    if (strcmp(word, "file") == 0) return add_file(f, s, 0);
    if (strcmp(word, "text") == 0) return add_file(f, s, 1);
    if (strcmp(word, "page") == 0) return set_page(f, s);
    if (strcmp(word, "user") == 0) return set_user(f, s);
    if (strcmp(word, "on") == 0) return add_rule(f, s);
    if (strcmp(word, "alone") == 0) {
        f->alone = 1;
        return NULL;
    }
    return "no such statement";
}

int faulty_script(faulty *f, const char *script, char *message, size_t capacity)
{
    const char *problem = NULL;
    pthread_mutex_lock(&f->mutex);
    for (unsigned line = 1; *script && !problem; line++) {
        statement s;
        script = take_statement(script, &s);
        problem = s.problem;
        if (!problem && s.n > 0) problem = run(f, &s);
        if (problem && message)
            snprintf(message, capacity, "line %u: %s: %s", line, s.n ? s.words[0] : "", problem);
        statement_deinit(&s);
    }
    pthread_mutex_unlock(&f->mutex);
    return problem ? -1 : 0;
}

static void repo_free(hub_repo *repo)
{
    while (repo->files) {
        hub_file *file = repo->files;
        repo->files = file->next;
        free(file->path);
        free(file->data);
        free(file);
    }
    while (repo->refs) {
        hub_ref *ref = repo->refs;
        repo->refs = ref->next;
        free(ref->name);
        free(ref->commit);
        free(ref);
    }
    free(repo->id);
    free(repo->commit);
    free(repo->gated);
    free(repo->token);
    free(repo);
}

void faulty_drop_script(faulty *f)
{
    while (f->repos) {
        hub_repo *repo = f->repos;
        f->repos = repo->next;
        repo_free(repo);
    }
    while (f->rules) {
        rule *r = f->rules;
        f->rules = r->next;
        rule_free(r);
    }
    free(f->user);
    free(f->user_token);
    f->user = f->user_token = NULL;
    f->last_repo = &f->repos;
    f->last_rule = &f->rules;
    f->n_signatures = 0;
    f->page = 1000;
    f->alone = 0;
}
