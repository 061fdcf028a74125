/* faulty_hub.c: what a Hub answers to a request, before the faults of the transfer.
 *
 * It is right for: resolve (ranges, ETag, X- headers), model info, tree with pages, refs, search,
 * whoami-v2, auth-check, and the CDN of signed links. Everything else is 404. Metadata that a rule
 * changes (etag, commit, ranges, corrupt bytes) is changed here. */
#include "base/json.h"
#include "faulty_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- answers -------------------------------------------------------------------------------- */

void answer_drop(answer *a, const char *name)
{
    for (size_t i = 0; i < a->n_headers; i++) {
        if (strcasecmp(a->headers[i].name, name) != 0) continue;
        free(a->headers[i].name);
        free(a->headers[i].value);
        a->headers[i--] = a->headers[--a->n_headers];
    }
}

void answer_header(answer *a, const char *name, const char *value)
{
    answer_drop(a, name);
    if (a->n_headers < MAX_HEADERS)
        a->headers[a->n_headers++] = (header){strdup(name), strdup(value)};
}

const char *answer_get(const answer *a, const char *name)
{
    for (size_t i = 0; i < a->n_headers; i++)
        if (strcasecmp(a->headers[i].name, name) == 0) return a->headers[i].value;
    return NULL;
}

void answer_deinit(answer *a)
{
    for (size_t i = 0; i < a->n_headers; i++) {
        free(a->headers[i].name);
        free(a->headers[i].value);
    }
    buf_deinit(&a->text);
}

static void header_number(answer *a, const char *name, uint64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    answer_header(a, name, text);
}

static void say_error(answer *a, int status, const char *code, const char *text)
{
    a->status = status;
    if (code) answer_header(a, "X-Error-Code", code);
    answer_header(a, "X-Error-Message", text);
    answer_header(a, "Content-Type", "application/json");
    buf_addf(&a->text, "{\"error\":\"%s\"}", text);
}

/* ---- what a request names ------------------------------------------------------------------- */

static void decode(const char *p, size_t n, char *out, size_t capacity)
{
    size_t used = 0;
    for (size_t i = 0; i < n && used + 1 < capacity; i++) {
        unsigned code;
        if (p[i] == '%' && i + 2 < n + 0 && sscanf(p + i + 1, "%2x", &code) == 1) {
            out[used++] = (char)code;
            i += 2;
        } else {
            out[used++] = p[i];
        }
    }
    out[used] = 0;
}

static hub_repo *find_repo(const faulty *f, const char *type, const char *id)
{
    for (hub_repo *repo = f->repos; repo; repo = repo->next)
        if (strcmp(repo->type, type) == 0 && strcmp(repo->id, id) == 0) return repo;
    return NULL;
}

static hub_file *find_file(const hub_repo *repo, const char *path)
{
    hub_file *file = repo->files;
    while (file && strcmp(file->path, path) != 0)
        file = file->next;
    return file;
}

/* The commit that a revision names, or NULL. */
static const char *find_commit(const hub_repo *repo, const char *revision)
{
    if (strcmp(revision, "main") == 0 || strcmp(revision, repo->commit) == 0) return repo->commit;
    for (const hub_ref *ref = repo->refs; ref; ref = ref->next)
        if (strcmp(ref->name, revision) == 0 || strcmp(ref->commit, revision) == 0)
            return ref->commit;
    return NULL;
}

typedef struct target {
    const char *type;
    char id[300], marker[40], revision[300], path[2048];
    const char *query; /* "" when there is none */
} target;

/* [api/TYPES/ | TYPES/]ID[/MARKER[/REVISION[/PATH]]]; 0: not of that form. */
static int split_target(const char *text, int is_api, target *t)
{
    static const char *const MARKERS[] = {"resolve", "revision", "tree", "refs", "auth-check"};
    const char *end = text + strcspn(text, "?"), *at[6], *stop[6];
    size_t n = 0;
    *t = (target){.type = "models", .query = *end ? end + 1 : ""};
    for (const char *p = text; n < 6; n++) {
        at[n] = p;
        stop[n] = n < 5 ? p + strcspn(p, "/?") : end;
        if (stop[n] > end) stop[n] = end;
        if (stop[n] == end) {
            n++;
            break;
        }
        p = stop[n] + 1;
    }
    size_t first = 0;
    char word[40];
    decode(at[0], (size_t)(stop[0] - at[0]), word, sizeof word);
    if (strcmp(word, "datasets") == 0 || strcmp(word, "spaces") == 0) {
        t->type = *word == 'd' ? "datasets" : "spaces";
        first = 1;
    } else if (is_api) {
        if (strcmp(word, "models") != 0) return 0;
        first = 1;
    }
    for (size_t i = first + 1; i < n && i <= first + 2; i++) {
        decode(at[i], (size_t)(stop[i] - at[i]), word, sizeof word);
        for (size_t m = 0; m < sizeof MARKERS / sizeof *MARKERS; m++) {
            if (strcmp(word, MARKERS[m]) != 0) continue;
            strcpy(t->marker, word);
            decode(at[first], (size_t)(stop[i - 1] - at[first]), t->id, sizeof t->id);
            if (i + 1 < n)
                decode(at[i + 1], (size_t)(stop[i + 1] - at[i + 1]), t->revision,
                       sizeof t->revision);
            if (i + 2 < n) decode(at[i + 2], (size_t)(end - at[i + 2]), t->path, sizeof t->path);
            return 1;
        }
    }
    if (n <= first) return 0;
    decode(at[first], (size_t)(end - at[first]), t->id, sizeof t->id);
    return 1;
}

/* ---- access --------------------------------------------------------------------------------- */

static int has_token(const faulty_request *request, const char *token)
{
    char value[600];
    const char *said = faulty_header(request, "Authorization", value, sizeof value);
    return token && said && strncasecmp(said, "Bearer ", 7) == 0 && strcmp(said + 7, token) == 0;
}

static int refused(const faulty_request *request, const hub_repo *repo, int is_content, answer *a)
{
    char value[600];
    int knows = has_token(request, repo->token);
    int anonymous = !faulty_header(request, "Authorization", value, sizeof value);
    if (repo->disabled) {
        say_error(a, 403, NULL, "Access to this resource is disabled.");
    } else if (repo->private && !knows) {
        say_error(a, anonymous ? 401 : 404, "RepoNotFound", "Repository not found");
    } else if (repo->gated && is_content && !knows) {
        say_error(a, anonymous ? 401 : 403, "GatedRepo",
                  "Access to this repository is restricted, ask for it on its page");
    } else {
        return 0;
    }
    return 1;
}

/* ---- content -------------------------------------------------------------------------------- */

/* 1: the request asks for one range that the file has. */
static int wanted_range(const faulty_request *request, const hub_file *file, const char *etag,
                        uint64_t *from, uint64_t *to)
{
    char value[200], guard[200];
    unsigned long long first, last;
    if (!faulty_header(request, "Range", value, sizeof value)) return 0;
    if (faulty_header(request, "If-Range", guard, sizeof guard) &&
        (strlen(guard) < 2 || strncmp(guard + 1, etag, strlen(etag)) != 0))
        return 0;
    int n = sscanf(value, "bytes=%llu-%llu", &first, &last);
    if (n < 1) return 0;
    *from = first;
    *to = n == 2 && last < file->n ? last + 1 : file->n;
    return 1;
}

static void give_bytes(const faulty_request *request, const rule *fault, const hub_file *file,
                       const char *etag, answer *a)
{
    uint64_t from = 0, to = file->n;
    char text[120];
    a->status = 200;
    answer_header(a, "Accept-Ranges", "bytes");
    answer_header(a, "Content-Type", "application/octet-stream");
    if (!(fault && fault->range_ignore) && wanted_range(request, file, etag, &from, &to)) {
        if (fault && fault->range_from >= 0) from = (uint64_t)fault->range_from;
        if (fault && fault->most && to > from + fault->most) to = from + fault->most;
        uint64_t total = fault && fault->total >= 0 ? (uint64_t)fault->total : file->n;
        a->status = from < file->n ? 206 : 416;
        if (a->status == 416)
            snprintf(text, sizeof text, "bytes */%llu", (unsigned long long)total);
        else
            snprintf(text, sizeof text, "bytes %llu-%llu/%llu", (unsigned long long)from,
                     (unsigned long long)to - 1, (unsigned long long)total);
        if (!(fault && fault->range_bare)) answer_header(a, "Content-Range", text);
        if (a->status == 416) return;
    }
    a->data = file->data + from;
    a->n = (size_t)(to - from);
    a->file_from = from;
}

static void resolve(faulty *f, const faulty_request *request, const rule *fault,
                    const hub_repo *repo, const target *t, answer *a)
{
    char quoted[300], link[4096];
    const char *commit = find_commit(repo, t->revision);
    if (!commit) {
        say_error(a, 404, "RevisionNotFound", "Invalid rev id");
        return;
    }
    if (fault && fault->commit) commit = fault->commit;
    answer_header(a, "X-Repo-Commit", commit);
    const hub_file *file = find_file(repo, t->path);
    if (!file) {
        say_error(a, 404, "EntryNotFound", "Entry not found");
        return;
    }
    const char *etag = fault && fault->etag ? fault->etag : file->etag;
    snprintf(quoted, sizeof quoted, "\"%s\"", etag);
    answer_header(a, "ETag", quoted);
    answer_header(a, "X-Linked-Etag", quoted);
    header_number(a, "X-Linked-Size", file->n);
    if (fault && fault->sign > 0 && f->n_signatures < MAX_SIGNATURES) {
        f->signatures[f->n_signatures] = (int)fault->sign;
        snprintf(link, sizeof link, "%s/cdn/%s/%s?Signature=%d",
                 f->urls[fault->own ? FAULTY_SELF : FAULTY_OTHER], repo->id, t->path,
                 f->n_signatures++);
        answer_drop(a, "ETag");
        answer_header(a, "Location", link);
        a->status = 302;
        buf_add_str(&a->text, "Found. Redirecting");
        return;
    }
    give_bytes(request, fault, file, etag, a);
}

/* /cdn/ORG/NAME/PATH?Signature=N: bytes and nothing about the repository. */
static void cdn(faulty *f, const faulty_request *request, const rule *fault, answer *a)
{
    char id[300], path[2048], etag[80];
    const char *text = request->target + 5, *query = strstr(text, "Signature=");
    int signature = query ? atoi(query + 10) : -1;
    const char *slash = strchr(text, '/');
    slash = slash ? strchr(slash + 1, '/') : NULL;
    if (signature < 0 || signature >= f->n_signatures || f->signatures[signature] == 0 || !slash) {
        a->status = 403;
        answer_header(a, "Content-Type", "application/xml");
        buf_add_str(&a->text, "<Error><Code>AccessDenied</Code>"
                              "<Message>Request has expired</Message></Error>");
        return;
    }
    f->signatures[signature]--;
    decode(text, (size_t)(slash - text), id, sizeof id);
    decode(slash + 1, strcspn(slash + 1, "?"), path, sizeof path);
    const hub_repo *repo = find_repo(f, "models", id);
    const hub_file *file = repo ? find_file(repo, path) : NULL;
    if (!file) {
        say_error(a, 404, NULL, "no such key");
        return;
    }
    snprintf(etag, sizeof etag, "\"cdn-%s\"", file->etag);
    answer_header(a, "ETag", etag);
    snprintf(etag, sizeof etag, "cdn-%s", file->etag);
    give_bytes(request, fault, file, etag, a);
}

/* ---- listings ------------------------------------------------------------------------------- */

static void add_file(buf *b, const hub_file *file)
{
    buf_add_str(b, "{\"type\":\"file\",\"path\":");
    json_write_str(b, strv_of(file->path));
    buf_addf(b, ",\"size\":%zu,\"oid\":\"%s\"", file->n, file->oid);
    if (file->lfs)
        buf_addf(b, ",\"lfs\":{\"oid\":\"%s\",\"size\":%zu,\"pointerSize\":134}", file->etag,
                 file->n);
    buf_add_str(b, "}");
}

static size_t query_number(const char *query, const char *key, size_t absent)
{
    const char *at = strstr(query, key);
    return at ? (size_t)strtoull(at + strlen(key), NULL, 10) : absent;
}

static void tell_next(const faulty *f, const faulty_request *request, size_t next, answer *a)
{
    buf link = {0};
    size_t path = strcspn(request->target, "?");
    buf_addf(&link, "<%s%.*s?", f->urls[request->origin], (int)path, request->target);
    for (const char *p = request->target + path; *p;) {
        p++;
        size_t n = strcspn(p, "&");
        if (n > 0 && strncmp(p, "cursor=", 7) != 0) buf_addf(&link, "%.*s&", (int)n, p);
        p += n;
    }
    buf_addf(&link, "cursor=%zu>; rel=\"next\"", next);
    answer_header(a, "Link", buf_str(&link));
    buf_deinit(&link);
}

static void tree(faulty *f, const faulty_request *request, const hub_repo *repo, const target *t,
                 answer *a)
{
    size_t first = query_number(t->query, "cursor=", 0), i = 0, given = 0;
    const char *commit = find_commit(repo, t->revision);
    if (!commit) {
        say_error(a, 404, "RevisionNotFound", "Invalid rev id");
        return;
    }
    answer_header(a, "X-Repo-Commit", commit);
    buf_add_char(&a->text, '[');
    for (const hub_file *file = repo->files; file; file = file->next, i++) {
        if (i < first) continue;
        if (given == f->page) {
            tell_next(f, request, i, a);
            break;
        }
        if (given++) buf_add_char(&a->text, ',');
        add_file(&a->text, file);
    }
    buf_add_char(&a->text, ']');
}

static void add_info(buf *b, const hub_repo *repo, const char *commit, int with_files)
{
    buf_addf(b, "{\"id\":\"%s\",\"sha\":\"%s\",\"private\":%s,\"gated\":", repo->id, commit,
             repo->private ? "true" : "false");
    if (repo->gated)
        json_write_str(b, strv_of(repo->gated));
    else
        buf_add_str(b, "false");
    buf_add_str(b, ",\"downloads\":0,\"likes\":0,\"tags\":[\"mlx\"],\"pipeline_tag\":"
                   "\"text-generation\",\"library_name\":\"mlx\","
                   "\"lastModified\":\"2026-01-02T03:04:05.000Z\"");
    if (with_files) {
        buf_add_str(b, ",\"siblings\":[");
        for (const hub_file *file = repo->files; file; file = file->next) {
            buf_add_str(b, file == repo->files ? "{\"rfilename\":" : ",{\"rfilename\":");
            json_write_str(b, strv_of(file->path));
            buf_addf(b, ",\"size\":%zu,\"blobId\":\"%s\"", file->n, file->oid);
            if (file->lfs)
                buf_addf(b, ",\"lfs\":{\"sha256\":\"%s\",\"size\":%zu,\"pointerSize\":134}",
                         file->etag, file->n);
            buf_add_char(b, '}');
        }
        buf_add_char(b, ']');
    }
    buf_add_char(b, '}');
}

static void info(const hub_repo *repo, const target *t, answer *a)
{
    const char *commit = find_commit(repo, *t->marker ? t->revision : "main");
    if (!commit)
        say_error(a, 404, "RevisionNotFound", "Invalid rev id");
    else
        add_info(&a->text, repo, commit, 1);
}

static void refs(const hub_repo *repo, answer *a)
{
    buf_addf(&a->text,
             "{\"branches\":[{\"name\":\"main\",\"ref\":\"refs/heads/main\","
             "\"targetCommit\":\"%s\"}],\"converts\":[],\"tags\":[",
             repo->commit);
    for (const hub_ref *ref = repo->refs; ref; ref = ref->next)
        buf_addf(&a->text, "%s{\"name\":\"%s\",\"ref\":\"refs/tags/%s\",\"targetCommit\":\"%s\"}",
                 ref == repo->refs ? "" : ",", ref->name, ref->name, ref->commit);
    buf_add_str(&a->text, "]}");
}

static void search(faulty *f, const faulty_request *request, const char *type, answer *a)
{
    const char *query = strchr(request->target, '?');
    char term[200] = "";
    query = query ? query + 1 : "";
    const char *said = strstr(query, "search=");
    if (said) decode(said + 7, strcspn(said + 7, "&"), term, sizeof term);
    size_t limit = query_number(query, "limit=", f->page), i = 0, given = 0;
    size_t first = query_number(query, "cursor=", 0);
    if (limit > f->page) limit = f->page;
    buf_add_char(&a->text, '[');
    for (const hub_repo *repo = f->repos; repo; repo = repo->next) {
        if (strcmp(repo->type, type) != 0 || repo->private || repo->unlisted) continue;
        if (!strstr(repo->id, term) || i++ < first) continue;
        if (given == limit) {
            tell_next(f, request, i - 1, a);
            break;
        }
        if (given++) buf_add_char(&a->text, ',');
        add_info(&a->text, repo, repo->commit, 0);
    }
    buf_add_char(&a->text, ']');
}

static void whoami(const faulty *f, const faulty_request *request, answer *a)
{
    if (!has_token(request, f->user_token))
        say_error(a, 401, NULL, "Invalid credentials in Authorization header");
    else
        buf_addf(&a->text,
                 "{\"type\":\"user\",\"id\":\"1\",\"name\":\"%s\",\"fullname\":\"%s\","
                 "\"orgs\":[],\"auth\":{\"type\":\"access_token\",\"accessToken\":"
                 "{\"displayName\":\"t\",\"role\":\"read\"}}}",
                 f->user, f->user);
}

/* ---- requests ------------------------------------------------------------------------------- */

static void api(faulty *f, const faulty_request *request, answer *a)
{
    const char *path = request->target + 5;
    size_t n = strcspn(path, "?");
    target t;
    a->status = 200;
    answer_header(a, "Content-Type", "application/json; charset=utf-8");
    if (n == 9 && strncmp(path, "whoami-v2", n) == 0) {
        whoami(f, request, a);
        return;
    }
    if (n == 6 && strncmp(path, "models", n) == 0) {
        search(f, request, "models", a);
        return;
    }
    if (n == 8 && strncmp(path, "datasets", n) == 0) {
        search(f, request, "datasets", a);
        return;
    }
    hub_repo *repo = split_target(path, 1, &t) ? find_repo(f, t.type, t.id) : NULL;
    if (!repo)
        say_error(a, 404, "RepoNotFound", "Repository not found");
    else if (refused(request, repo, strcmp(t.marker, "auth-check") == 0, a))
        return;
    else if (strcmp(t.marker, "tree") == 0)
        tree(f, request, repo, &t, a);
    else if (strcmp(t.marker, "refs") == 0)
        refs(repo, a);
    else if (strcmp(t.marker, "auth-check") == 0)
        buf_add_str(&a->text, "{}");
    else
        info(repo, &t, a);
}

void faulty_answer(faulty *f, const faulty_request *request, const rule *fault, answer *a)
{
    target t;
    *a = (answer){.status = 404};
    int reads = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
    if (!reads) {
        say_error(a, 405, NULL, "Method not allowed");
        answer_header(a, "Allow", "GET, HEAD");
    } else if (strncmp(request->target, "/api/", 5) == 0) {
        api(f, request, a);
    } else if (strncmp(request->target, "/cdn/", 5) == 0) {
        cdn(f, request, fault, a);
    } else if (split_target(request->target + 1, 0, &t) && strcmp(t.marker, "resolve") == 0) {
        hub_repo *repo = find_repo(f, t.type, t.id);
        if (!repo)
            say_error(a, 404, "RepoNotFound", "Repository not found");
        else if (!refused(request, repo, 1, a))
            resolve(f, request, fault, repo, &t, a);
    } else {
        say_error(a, 404, NULL, "Not found");
    }
    if (!a->data) a->n = a->text.n;
}

const unsigned char *faulty_file(faulty *f, const char *id, const char *path, size_t *bytes)
{
    pthread_mutex_lock(&f->mutex);
    const hub_repo *repo = find_repo(f, "models", id);
    const hub_file *file = repo ? find_file(repo, path) : NULL;
    if (file && bytes) *bytes = file->n;
    pthread_mutex_unlock(&f->mutex);
    return file ? file->data : NULL;
}

const char *faulty_etag(faulty *f, const char *id, const char *path)
{
    pthread_mutex_lock(&f->mutex);
    const hub_repo *repo = find_repo(f, "models", id);
    const hub_file *file = repo ? find_file(repo, path) : NULL;
    pthread_mutex_unlock(&f->mutex);
    return file ? file->etag : NULL;
}
