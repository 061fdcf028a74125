/* target.c: the target of a request line: path and query, taken apart and decoded once.
 *
 *   /[datasets/|spaces/]ID/resolve/REV/PATH          /api/TYPES[/ID[/MARKER[/REV[/PATH]]]]
 *
 * The raw path is split on "/" before anything is decoded, and each segment is decoded once: what
 * "%2F" makes stays inside its segment. ID is one or two segments, so the marker word is looked for
 * at both places; where both fit ("/resolve/resolve/main/x") there are two readings.
 *
 * Nothing is checked here but escapes and NUL: ids, revisions and paths are checked by names.h
 * before they meet the disk. */
#include "hub/mirror/mirror.h"

enum { MAX_SEGMENTS = 512, MEMORY_BYTES = 4 << 20 };

typedef struct segments {
    strv parts[MAX_SEGMENTS]; /* raw */
    size_t n;
} segments;

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

typedef enum decode_plus { PLUS_IS_PLUS, PLUS_IS_BLANK } decode_plus;

static mlxe_status decode(arena *memory, strv raw, decode_plus plus, strv *out, mlxe_error *err)
{
    char *text = arena_alloc(memory, raw.n + 1);
    size_t n = 0;
    *out = (strv){0};
    if (!text) return err_memory(err, "target", raw.n);
    for (size_t i = 0; i < raw.n; i++) {
        char c = raw.p[i];
        if (c == '%') {
            int high = i + 2 < raw.n ? hex_value(raw.p[i + 1]) : -1;
            int low = high >= 0 ? hex_value(raw.p[i + 2]) : -1;
            if (low < 0) return err_set(err, MLXE_E_INPUT, "target: a broken percent escape");
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus == PLUS_IS_BLANK) {
            c = ' ';
        }
        if (!c) return err_set(err, MLXE_E_INPUT, "target: a NUL byte");
        text[n++] = c;
    }
    text[n] = 0;
    *out = strv_from(text, n);
    return MLXE_OK;
}

/* Room for one more; the arena keeps the smaller arrays, which together are no larger. */
static mirror_param *new_param(mirror_target *t, mlxe_error *err)
{
    if (t->n_params == MIRROR_MAX_PARAMS) {
        err_set(err, MLXE_E_INPUT, "target: more than %d parameters", MIRROR_MAX_PARAMS);
        return NULL;
    }
    if (t->n_params == t->params_cap) {
        size_t cap = t->params_cap ? t->params_cap * 2 : 16;
        mirror_param *grown = arena_array(&t->memory, cap, sizeof *grown);
        if (!grown) {
            err_memory(err, "target", cap * sizeof *grown);
            return NULL;
        }
        if (t->n_params) memcpy(grown, t->params, t->n_params * sizeof *grown);
        t->params = grown;
        t->params_cap = cap;
    }
    return &t->params[t->n_params];
}

mlxe_status target_params(mirror_target *t, const char *query, size_t bytes, mlxe_error *err)
{
    const char *end = query + bytes;
    while (query < end) {
        const char *stop = memchr(query, '&', (size_t)(end - query));
        if (!stop) stop = end;
        const char *equals = memchr(query, '=', (size_t)(stop - query));
        if (stop > query) {
            mirror_param *p = new_param(t, err);
            if (!p) return MLXE_E_INPUT;
            strv key = strv_from(query, (size_t)((equals ? equals : stop) - query));
            strv value = equals ? strv_from(equals + 1, (size_t)(stop - equals - 1)) : (strv){0};
            mlxe_status rc = decode(&t->memory, key, PLUS_IS_BLANK, &p->key, err);
            if (!rc) rc = decode(&t->memory, value, PLUS_IS_BLANK, &p->value, err);
            if (rc) return rc;
            t->n_params++;
        }
        query = stop < end ? stop + 1 : end;
    }
    return MLXE_OK;
}

strv target_param(const mirror_target *t, const char *key)
{
    for (size_t i = 0; i < t->n_params; i++)
        if (strv_is(t->params[i].key, key)) return t->params[i].value;
    return (strv){0};
}

int target_flag(const mirror_target *t, const char *key)
{
    strv value = target_param(t, key);
    return strv_is(value, "true") || strv_is(value, "True") || strv_is(value, "1");
}

static int type_of(strv word, hub_type *type)
{
    for (int i = HUB_MODEL; i <= HUB_SPACE; i++) {
        if (!strv_is(word, hub_type_plural((hub_type)i))) continue;
        *type = (hub_type)i;
        return 1;
    }
    return 0;
}

/* 1: "datasets" or "spaces", which begin the URLs of those; models have no such word. */
static int url_prefix(strv word, hub_type *type)
{
    return !strv_is(word, hub_type_plural(HUB_MODEL)) && type_of(word, type);
}

static mirror_route marker_of(strv word, int is_api)
{
    static const struct {
        const char *word;
        mirror_route route;
    } MARKERS[] = {{"revision", ROUTE_INFO},    {"tree", ROUTE_TREE},
                   {"paths-info", ROUTE_PATHS}, {"refs", ROUTE_REFS},
                   {"commits", ROUTE_COMMITS},  {"auth-check", ROUTE_AUTH_CHECK}};
    if (!is_api) return strv_is(word, "resolve") ? ROUTE_RESOLVE : ROUTE_NONE;
    for (size_t i = 0; i < sizeof MARKERS / sizeof *MARKERS; i++)
        if (strv_is(word, MARKERS[i].word)) return MARKERS[i].route;
    return ROUTE_NONE;
}

/* Segments [from, to) decoded and joined by "/". */
static mlxe_status join(mirror_target *t, const segments *s, size_t from, size_t to, strv *out,
                        mlxe_error *err)
{
    size_t n = 0, room = 1;
    *out = (strv){0};
    if (from >= to) return MLXE_OK;
    for (size_t i = from; i < to; i++)
        room += s->parts[i].n + 1;
    char *text = arena_alloc(&t->memory, room);
    if (!text) return err_memory(err, "target", room);
    for (size_t i = from; i < to; i++) {
        strv part;
        mlxe_status rc = decode(&t->memory, s->parts[i], PLUS_IS_PLUS, &part, err);
        if (rc) return rc;
        if (i > from) text[n++] = '/';
        memcpy(text + n, part.p, part.n);
        n += part.n;
    }
    text[n] = 0;
    *out = strv_from(text, n);
    return MLXE_OK;
}

/* What follows the type: ID, or ID/MARKER/REV/PATH. */
static mlxe_status read_repo(mirror_target *t, const segments *s, size_t first, int is_api,
                             int reading, mlxe_error *err)
{
    size_t marks[2], n_marks = 0, left = s->n - first;
    mlxe_status rc;
    for (size_t names = 2; names >= 1; names--)
        if (left > names && marker_of(s->parts[first + names], is_api) != ROUTE_NONE)
            marks[n_marks++] = first + names;
    t->has_other = n_marks == 2;
    if (n_marks == 0) {
        t->route = is_api && (left == 1 || left == 2) ? ROUTE_INFO : ROUTE_NONE;
        return t->route == ROUTE_NONE ? MLXE_OK : join(t, s, first, s->n, &t->id, err);
    }
    size_t mark = marks[reading && n_marks == 2 ? 1 : 0];
    t->route = marker_of(s->parts[mark], is_api);
    if ((rc = join(t, s, first, mark, &t->id, err))) return rc;
    if (mark + 1 < s->n && (rc = join(t, s, mark + 1, mark + 2, &t->revision, err))) return rc;
    if (mark + 2 < s->n) rc = join(t, s, mark + 2, s->n, &t->path, err);
    return rc;
}

static mlxe_status split(const char *path, size_t n, segments *s, mlxe_error *err)
{
    const char *end = path + n;
    s->n = 0;
    for (const char *p = path; p <= end; s->n++) {
        const char *slash = memchr(p, '/', (size_t)(end - p));
        if (!slash) slash = end;
        if (s->n == MAX_SEGMENTS)
            return err_set(err, MLXE_E_INPUT, "target: more than %d segments", MAX_SEGMENTS);
        s->parts[s->n] = strv_from(p, (size_t)(slash - p));
        p = slash + 1;
    }
    return MLXE_OK;
}

mlxe_status target_parse(const char *target, int reading, mirror_target *t, mlxe_error *err)
{
    segments s = {0};
    size_t n = strcspn(target, "?");
    *t = (mirror_target){.memory.limit_bytes = MEMORY_BYTES};
    if (target[0] != '/') return err_set(err, MLXE_E_INPUT, "target: no path");
    mlxe_status rc = split(target + 1, n - 1, &s, err);
    if (!rc && target[n]) rc = target_params(t, target + n + 1, strlen(target + n + 1), err);
    if (rc) return rc;
    if (!strv_is(s.parts[0], "api"))
        return read_repo(t, &s, (size_t)url_prefix(s.parts[0], &t->type), 0, reading, err);
    if (s.n == 2 && strv_is(s.parts[1], "whoami-v2"))
        t->route = ROUTE_WHOAMI;
    else if (s.n >= 2 && type_of(s.parts[1], &t->type)) {
        if (s.n > 2) return read_repo(t, &s, 2, 1, reading, err);
        t->route = ROUTE_SEARCH;
    }
    return MLXE_OK;
}

void target_deinit(mirror_target *t) { arena_deinit(&t->memory); }
