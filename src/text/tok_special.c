/* tok_special.c: the tokens that a folder's settings add, as transformers adds them.
 *
 *   added_tokens_decoder, or the older added_tokens.json     by id
 *   tokens with a role; those with a name of their own       "bos_token", then "image_token"
 *   extra_special_tokens; where they are not said, additional_special_tokens or the file's own
 *
 * They are written in this order, a text as often as transformers adds it: the first decides the
 * id, the last all else. A plain text that is listed is not added again, an AddedToken (an object
 * here) only if it equals one that is listed; the two never equal each other.
 *
 * Traps: `null` is a value: it hides what the class or an older file says. A role that the settings
 * name takes what added_tokens_decoder says of its text; a role by the class's own default does
 * not. special_tokens_map.json and added_tokens.json count only without added_tokens_decoder.
 * A map of extra_special_tokens gives names, and is then as good as not said.
 *
 * Source: transformers 5.23, tokenization_utils_base.py (_from_pretrained, __init__),
 * tokenization_utils_tokenizers.py (__init__, _post_init). */
#include "text/tok_files.h"

#include <stdlib.h>

static const char *const ROLE_KEYS[ROLES] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                             "pad_token", "cls_token", "mask_token"};

typedef struct token {
    strv text; /* p NULL: none */
    int is_object, single_word, lstrip, rstrip, special;
    int normalized; /* -1: unless special */
    int32_t before; /* index of the last earlier one of this text; -1: none */
} token;

typedef struct tokens {
    token *v;
    size_t n;
} tokens;

typedef struct number {
    int64_t id;
    size_t at;
} number;

typedef struct adding {
    tok_files *f;
    const tok_class *class;
    mlxe_error *err;
    const json *file; /* the added tokens of tokenizer.json; NULL: none */
    int rebuilt;      /* those are there no more: a class made the tokenizer anew */
    tokens there;     /* the same, read */
    int64_t *there_ids;
    tok_vocab there_by_text;
    tokens numbered; /* of added_tokens_decoder, in the file's order */
    number *order;   /* the same by id */
    tokens named;    /* roles, then names */
    tokens extras;
    tokens list;         /* what is added */
    tok_vocab by_text;   /* numbered's, index */
    tok_vocab names;     /* key -> index of named */
    tok_vocab known;     /* texts that are not added for a role or a list */
    tok_vocab listed;    /* text -> index of list's last */
    tok_vocab all_named; /* texts of named */
    tok_vocab ids;       /* text -> id of an added token */
} adding;

/* ---- settings -------------------------------------------------------------------------------- */

static const json *setting(const tok_files *f, const char *key)
{
    const json *v = json_get(f->special, key);
    return v ? v : json_get(f->config, key);
}

static strv content(const json *v)
{
    return json_is(v, JSON_OBJECT) ? json_str(json_get(v, "content")) : json_str(v);
}

strv tok_files_role_text(const tok_files *f, int role, strv usual)
{
    const json *v = setting(f, ROLE_KEYS[role]);
    if (json_is(v, JSON_NULL)) return STRV("None");
    return v ? content(v) : usual;
}

/* extra_special_tokens after the older name is looked at. */
typedef struct extra_lists {
    int said;             /* be it null */
    const json *lists[2]; /* NULL or arrays */
    const json *maps[2];  /* NULL or objects */
    const json *older;    /* additional_special_tokens, when it still counts */
} extra_lists;

static int is_empty(const json *v)
{
    return !v || json_is(v, JSON_NULL) || (!json_is(v, JSON_STRING) && json_len(v) == 0);
}

static extra_lists find_extras(const tok_files *f)
{
    static const char old_key[] = "additional_special_tokens", key[] = "extra_special_tokens";
    const json *old = json_get(f->config, old_key), *new = json_get(f->config, key);
    const json *map_old = json_get(f->special, old_key), *map_new = json_get(f->special, key);
    extra_lists x = {.said = new != NULL, .lists[0] = new, .older = old};
    if (old && is_empty(new)) x = (extra_lists){.said = 1, .lists[0] = old};
    if (json_is(x.lists[0], JSON_OBJECT)) {
        x.maps[0] = x.lists[0];
        x.lists[0] = NULL;
        x.said = 0;
    }
    if (map_new) {
        x.said = !json_is(map_new, JSON_OBJECT);
        if (json_is(map_new, JSON_OBJECT)) x.maps[1] = map_new;
        if (json_is(map_new, JSON_ARRAY))
            x.lists[1] = map_new;
        else
            x.lists[0] = NULL;
    }
    if (map_old) x.older = map_old;
    return x;
}

const json *tok_files_older_list(const tok_files *f) { return find_extras(f).older; }

/* ---- reading --------------------------------------------------------------------------------- */

enum { OF_CONFIG, OF_MAP /* special_tokens_map.json: always special */ };

static mlxe_status read_token(const adding *a, const json *v, int from, token *out)
{
    static const char where[] = "added token";
    mlxe_error *err = a->err;
    *out = (token){.text = json_str(v), .normalized = -1};
    if (json_is(v, JSON_STRING)) return MLXE_OK;
    if (!json_is(v, JSON_OBJECT))
        return err_set(err, MLXE_E_CORRUPT, "%s: a special token is %s, want a string or an object",
                       a->f->folder, json_type_name(json_typeof(v)));
    out->is_object = 1;
    out->special = from == OF_MAP;
    mlxe_status rc = json_get_str(v, where, "content", &out->text, err);
    if (rc == MLXE_OK && from == OF_CONFIG)
        rc = json_get_bool(v, where, "special", &out->special, err);
    if (rc == MLXE_OK) rc = json_get_bool(v, where, "single_word", &out->single_word, err);
    if (rc == MLXE_OK) rc = json_get_bool(v, where, "lstrip", &out->lstrip, err);
    if (rc == MLXE_OK) rc = json_get_bool(v, where, "rstrip", &out->rstrip, err);
    if (rc == MLXE_OK) rc = json_get_bool(v, where, "normalized", &out->normalized, err);
    return rc;
}

/* ---- added_tokens_decoder and added_tokens.json ---------------------------------------------- */

static int by_number(const void *a, const void *b)
{
    const number *x = a, *y = b;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

int64_t tok_files_number(strv digits)
{
    int64_t v = 0;
    for (size_t i = 0; i < digits.n; i++) {
        if (digits.p[i] < '0' || digits.p[i] > '9' || v > INT32_MAX) return -1;
        v = v * 10 + (digits.p[i] - '0');
    }
    return digits.n ? v : -1;
}

/* The texts that make a token of added_tokens.json special: what the settings themselves say. */
static mlxe_status find_said(const adding *a, const extra_lists *x, tok_vocab *out)
{
    tok_reader r = {&a->f->mem, a->f->folder, a->err};
    const json *key, *value;
    mlxe_status rc = tok_vocab_init(&r, out, ROLES + json_len(x->lists[0]) + json_len(x->lists[1]));
    for (int i = 0; i < ROLES && rc == MLXE_OK; i++) {
        const json *v = json_get(a->f->special, ROLE_KEYS[i]);
        strv text = v ? content(v) : json_str(json_get(a->f->config, ROLE_KEYS[i]));
        if (text.n) tok_vocab_add(out, text, 1);
    }
    for (int i = 0; i < 2 && rc == MLXE_OK; i++) {
        json_iter it = json_iterate(x->lists[i]);
        while (json_next(&it, &key, &value))
            if (i || json_is(value, JSON_STRING)) tok_vocab_add(out, content(value), 1);
    }
    return rc;
}

static mlxe_status read_numbered(adding *a, const extra_lists *x)
{
    const json *list = json_get(a->f->config, "added_tokens_decoder"), *key, *value;
    int texts = !json_is(list, JSON_OBJECT);
    tok_vocab said = {0};
    mlxe_status rc = texts ? find_said(a, x, &said) : MLXE_OK;
    json_iter it = json_iterate(texts ? a->f->added : list);
    while (rc == MLXE_OK && json_next(&it, &key, &value)) {
        strv name = json_str(key);
        token *t = &a->numbered.v[a->numbered.n];
        int64_t id = texts ? json_int(value) : tok_files_number(name);
        if (id < 0 || (texts && !json_is(value, JSON_INT)))
            rc = err_set(a->err, MLXE_E_CORRUPT, "%s: added token \"%.*s\" has no id", a->f->folder,
                         (int)(name.n > 60 ? 60 : name.n), name.p);
        else if (!texts)
            rc = read_token(a, value, OF_CONFIG, t);
        else
            *t = (token){.text = name, .special = tok_vocab_id(&said, name) >= 0};
        t->is_object = 1;
        if (texts) t->normalized = !t->special;
        tok_vocab_add(&a->by_text, t->text, (int32_t)a->numbered.n);
        a->order[a->numbered.n] = (number){id, a->numbered.n};
        a->numbered.n++;
    }
    tok_vocab_deinit(&said);
    for (size_t i = 0; texts && rc == MLXE_OK && i < a->there.n; i++) {
        a->numbered.v[a->numbered.n] = a->there.v[i];
        a->order[a->numbered.n] = (number){a->there_ids[i], a->numbered.n};
        tok_vocab_add(&a->by_text, a->there.v[i].text, (int32_t)a->numbered.n++);
    }
    return rc;
}

/* The added tokens of tokenizer.json. */
static mlxe_status read_there(adding *a)
{
    const json *key, *value;
    mlxe_status rc = MLXE_OK;
    json_iter it = json_iterate(a->file);
    while (rc == MLXE_OK && json_next(&it, &key, &value)) {
        token *t = &a->there.v[a->there.n];
        if (!json_is(value, JSON_OBJECT)) continue; /* refused elsewhere */
        rc = read_token(a, value, OF_CONFIG, t);
        if (!a->rebuilt) {
            tok_vocab_add(&a->there_by_text, t->text, (int32_t)a->there.n);
            tok_vocab_add(&a->known, t->text, 1);
        }
        a->there_ids[a->there.n++] = json_int(json_get(value, "id"));
    }
    return rc;
}

/* ---- tokens with a role or a name ------------------------------------------------------------ */

static mlxe_status read_role(const adding *a, int role, token *out)
{
    const tok_class *c = a->class;
    const json *v = setting(a->f, ROLE_KEYS[role]);
    *out = (token){.normalized = -1};
    if (json_is(v, JSON_NULL)) return MLXE_OK;
    if (!v && c->roles[role]) out->text = strv_of(c->roles[role]);
    if (!v && role == ROLE_PAD && !out->text.p) out->text = a->f->pad;
    if (v) {
        int from = json_get(a->f->special, ROLE_KEYS[role]) ? OF_MAP : OF_CONFIG;
        mlxe_status rc = read_token(a, v, from, out);
        if (rc) return rc;
        int32_t i = tok_vocab_id(&a->by_text, out->text);
        if (i >= 0) *out = a->numbered.v[i];
    }
    if (!out->text.p || out->is_object) return MLXE_OK;
    out->is_object = c->objects;
    if (role != ROLE_MASK || !c->mask) return MLXE_OK;
    out->is_object = 1; /* the class gives it properties, if the settings give its text alone */
    out->lstrip = strchr(c->mask, 'l') != NULL;
    out->special = strchr(c->mask, 's') != NULL;
    if (strpbrk(c->mask, "nr")) out->normalized = strchr(c->mask, 'n') != NULL;
    return MLXE_OK;
}

static void put_name(adding *a, strv key, const token *t)
{
    int32_t i = tok_vocab_id(&a->names, key);
    if (i < 0) {
        i = (int32_t)a->named.n++;
        tok_vocab_add(&a->names, key, i);
    }
    a->named.v[i] = *t;
}

/* Keys like "image_token". */
static int is_name(strv key)
{
    for (int i = 0; i < ROLES; i++)
        if (strv_is(key, ROLE_KEYS[i])) return 0;
    return strv_ends(key, STRV("_token"));
}

/* An object that transformers makes an AddedToken of, wherever it stands. */
static int is_saved(const json *v)
{
    return strv_is(json_str(json_get(v, "__type")), "AddedToken");
}

enum { TEXTS = 1, SAVED = 2, OBJECTS = 4, ALL = 8 /* whatever the key is */ };

/* The tokens of an object whose keys are names. */
static mlxe_status read_names(adding *a, const json *object, int from, int want)
{
    const json *key, *value;
    mlxe_status rc = MLXE_OK;
    json_iter it = json_iterate(object);
    while (rc == MLXE_OK && json_next(&it, &key, &value)) {
        token t;
        strv name = json_str(key);
        int wanted = (want & TEXTS && json_is(value, JSON_STRING)) ||
                     (want & SAVED && is_saved(value)) ||
                     (want & OBJECTS && json_is(value, JSON_OBJECT));
        if (!(want & ALL) && (!wanted || !is_name(name))) continue;
        if (want == SAVED && json_get_strv(a->f->special, name)) continue; /* hidden */
        rc = read_token(a, value, from, &t);
        if (rc == MLXE_OK) put_name(a, name, &t);
    }
    return rc;
}

static mlxe_status read_named(adding *a, const extra_lists *x)
{
    const tok_class *c = a->class;
    mlxe_status rc = MLXE_OK;
    a->named.n = ROLES;
    for (int i = 0; i < ROLES && rc == MLXE_OK; i++)
        rc = read_role(a, i, &a->named.v[i]);
    for (size_t i = 0; i < c->n_names && rc == MLXE_OK; i++) {
        token t = {.normalized = -1};
        const json *v = tok_files_own_name(a->f, c->names_of[i][0]);
        if (!v) t.text = strv_of(c->names_of[i][1]);
        if (v && !json_is(v, JSON_NULL)) rc = read_token(a, v, OF_CONFIG, &t);
        put_name(a, strv_of(c->names_of[i][0]), &t);
    }
    if (rc == MLXE_OK) rc = read_names(a, a->f->config, OF_CONFIG, SAVED);
    if (rc == MLXE_OK) rc = read_names(a, a->f->special, OF_MAP, TEXTS | OBJECTS);
    if (rc == MLXE_OK) rc = read_names(a, a->f->config, OF_CONFIG, TEXTS);
    if (rc == MLXE_OK) rc = read_names(a, x->maps[0], OF_CONFIG, ALL);
    if (rc == MLXE_OK) rc = read_names(a, x->maps[1], OF_CONFIG, ALL);
    for (size_t i = 0; i < a->named.n; i++)
        if (a->named.v[i].text.p) tok_vocab_add(&a->all_named, a->named.v[i].text, 1);
    return rc;
}

const json *tok_files_own_name(const tok_files *f, const char *key)
{
    const json *v = json_get(f->special, key);
    if (v) return v;
    v = json_get(f->config, key);
    return json_is(v, JSON_STRING) ? NULL : v;
}

mlxe_status tok_files_entities(const tok_files *f, const char *first, const char *second,
                               tok_own_token *own, size_t *n, mlxe_error *err)
{
    static const char *const keys[] = {"entity_1_token",    "entity_2_token",    "entity_token_1",
                                       "entity_token_2",    "entity_unk_token",  "entity_pad_token",
                                       "entity_mask_token", "entity_mask2_token"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const json *v = tok_files_own_name(f, keys[i]);
        if (!v && i / 2 == 1) v = json_get(f->config, keys[i]);
        if (v)
            return err_set(err, MLXE_E_UNSUPPORTED,
                           "%s: tokenizer_config.json: %s is not supported for %.*s, want it not "
                           "said, or as a text with its newer name",
                           f->folder, keys[i], (int)f->kind.n, f->kind.p);
    }
    own[0] = (tok_own_token){.text = strv_of(first), .is_object = 1};
    own[1] = (tok_own_token){.text = strv_of(second), .is_object = 1};
    *n = 2;
    return MLXE_OK;
}

/* ---- lists ----------------------------------------------------------------------------------- */

static mlxe_status read_list(adding *a, const json *list, int from)
{
    const json *key, *value;
    mlxe_status rc = MLXE_OK;
    json_iter it = json_iterate(list);
    if (list && !json_is(list, JSON_ARRAY) && !json_is(list, JSON_NULL))
        return err_set(a->err, MLXE_E_CORRUPT, "%s: the list of special tokens is %s", a->f->folder,
                       json_type_name(json_typeof(list)));
    while (rc == MLXE_OK && json_next(&it, &key, &value))
        rc = read_token(a, value, from, &a->extras.v[a->extras.n++]);
    return rc;
}

static mlxe_status read_extras(adding *a, const extra_lists *x, const tok_own_token *own, size_t n)
{
    mlxe_status rc = MLXE_OK;
    int nothing = !json_is(x->lists[0], JSON_ARRAY) && !x->lists[1];
    int listed = x->said && !(nothing && a->class->null_is_none);
    if (listed) rc = read_list(a, x->lists[0], OF_CONFIG);
    if (rc == MLXE_OK && listed) rc = read_list(a, x->lists[1], OF_MAP);
    int behind = a->class->own_list == OWN_LIST_BEHIND;
    if (rc == MLXE_OK && behind) rc = read_list(a, x->older, OF_CONFIG);
    if (rc || (listed && !behind)) return rc;
    if (!a->class->own_list) return read_list(a, x->older, OF_CONFIG);
    if (a->class->own_list == OWN_LIST_OLDER && a->f->beside)
        rc = read_list(a, x->older, OF_CONFIG);
    if (rc) return rc;
    size_t said = a->extras.n;
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < said && !strv_eq(a->extras.v[k].text, own[i].text))
            k++;
        if (behind && k < said) continue;
        a->extras.v[a->extras.n++] = (token){.text = own[i].text,
                                             .is_object = own[i].is_object,
                                             .normalized = own[i].is_object ? 0 : -1,
                                             .special = own[i].special};
    }
    return MLXE_OK;
}

/* ---- adding ---------------------------------------------------------------------------------- */

static int is_normalized(const token *t)
{
    return t->normalized < 0 ? !t->special : t->normalized != 0;
}

static int is_same(const token *a, const token *b)
{
    return !a->single_word == !b->single_word && !a->lstrip == !b->lstrip &&
           !a->rstrip == !b->rstrip && !a->special == !b->special &&
           is_normalized(a) == is_normalized(b);
}

static int is_listed(const adding *a, const token *t)
{
    for (int32_t i = tok_vocab_id(&a->listed, t->text); i >= 0; i = a->list.v[i].before) {
        const token *o = &a->list.v[i];
        if (o->is_object != t->is_object) continue;
        if (!t->is_object || is_same(o, t)) return 1;
    }
    return 0;
}

static void append(adding *a, const token *t)
{
    token *to = &a->list.v[a->list.n];
    *to = *t;
    to->before = tok_vocab_id(&a->listed, t->text);
    tok_vocab_add(&a->listed, t->text, (int32_t)a->list.n++);
}

static void append_new(adding *a, const tokens *from)
{
    for (size_t i = 0; i < from->n; i++) {
        const token *t = &from->v[i];
        if (t->text.p && tok_vocab_id(&a->known, t->text) < 0 && !is_listed(a, t)) append(a, t);
    }
}

/* What add_tokens makes of the list from `first` on. */
static void settle(adding *a, size_t first)
{
    for (size_t i = first; i < a->list.n; i++) {
        token *t = &a->list.v[i];
        if (!t->is_object || tok_vocab_id(&a->all_named, t->text) >= 0) t->special = 1;
        t->normalized = is_normalized(t);
    }
}

/* Classes that add their special tokens once more. */
static void add_again(adding *a)
{
    const tokens *of[] = {&a->named, &a->extras};
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < of[k]->n; i++) {
            token t = of[k]->v[i];
            if (!t.text.p) continue;
            if (a->class->readds == READDS_TEXTS) t = (token){.text = t.text, .normalized = 0};
            t.special = 1;
            t.normalized = is_normalized(&t);
            append(a, &t);
        }
}

static void write_token(buf *out, const token *t, int32_t id, int first)
{
    static const char *const words[] = {"false", "true"};
    buf_addf(out, "%s{\"id\":%d,\"content\":", first ? "" : ",", id);
    json_write_str(out, t->text);
    buf_addf(out,
             ",\"single_word\":%s,\"lstrip\":%s,\"rstrip\":%s,\"normalized\":%s,\"special\":%s}",
             words[t->single_word != 0], words[t->lstrip != 0], words[t->rstrip != 0],
             words[t->normalized != 0], words[t->special != 0]);
}

static int32_t find_id(const adding *a, strv text)
{
    int32_t id = tok_vocab_id(&a->ids, text);
    return id >= 0 ? id : tok_vocab_id(&a->f->vocab, text);
}

/* Whether tokenizer.json has this token already, and nothing changed it since. */
static int is_there(const adding *a, const token *t)
{
    int32_t i = tok_vocab_id(&a->there_by_text, t->text);
    return i >= 0 && tok_vocab_id(&a->ids, t->text) < 0 && is_same(&a->there.v[i], t);
}

static void write_list(adding *a, buf *out)
{
    int32_t next = a->f->size;
    int first = 1;
    for (size_t i = 0; i < a->list.n; i++) {
        const token *t = &a->list.v[i];
        if (t->text.n == 0 || is_there(a, t)) continue;
        if (first) buf_add_char(out, '[');
        int32_t id = find_id(a, t->text);
        if (id < 0) id = next++;
        tok_vocab_add(&a->ids, t->text, id);
        write_token(out, t, id, first);
        first = 0;
    }
    if (!first) buf_add_char(out, ']');
}

static mlxe_status room(adding *a, const extra_lists *x, size_t n_own)
{
    tok_files *f = a->f;
    tok_reader r = {&f->mem, buf_str(&f->path), a->err};
    size_t lists = json_len(x->lists[0]) + json_len(x->lists[1]) + json_len(x->older) + n_own;
    size_t there = json_len(a->file);
    size_t numbered =
        json_len(json_get(f->config, "added_tokens_decoder")) + json_len(f->added) + there;
    size_t named = ROLES + a->class->n_names + json_len(f->config) + json_len(f->special) +
                   json_len(x->maps[0]) + json_len(x->maps[1]);
    size_t all = numbered + 2 * (named + lists) + n_own;
    a->numbered.v = arena_array(&f->mem, numbered + 1, sizeof(token));
    a->order = arena_array(&f->mem, numbered + 1, sizeof(number));
    a->named.v = arena_array(&f->mem, named, sizeof(token));
    a->extras.v = arena_array(&f->mem, lists + 1, sizeof(token));
    a->list.v = arena_array(&f->mem, all, sizeof(token));
    a->there.v = arena_array(&f->mem, there + 1, sizeof(token));
    a->there_ids = arena_array(&f->mem, there + 1, sizeof *a->there_ids);
    if (!a->there.v || !a->there_ids || !a->numbered.v || !a->order || !a->named.v ||
        !a->extras.v || !a->list.v)
        return err_memory(a->err, "added tokens", all * sizeof(token));
    mlxe_status rc = tok_vocab_init(&r, &a->by_text, numbered);
    if (rc == MLXE_OK) rc = tok_vocab_init(&r, &a->there_by_text, there);
    if (rc == MLXE_OK) rc = tok_vocab_init(&r, &a->names, named);
    if (rc == MLXE_OK) rc = tok_vocab_init(&r, &a->known, numbered + lists + there);
    if (rc == MLXE_OK) rc = tok_vocab_init(&r, &a->listed, all);
    if (rc == MLXE_OK) rc = tok_vocab_init(&r, &a->all_named, named);
    return rc ? rc : tok_vocab_init(&r, &a->ids, all);
}

/* Tokens that are there before the settings' are added. */
static void add_first(adding *a, const extra_lists *x, const tok_own_token *own, size_t n)
{
    const json *key, *value;
    for (size_t i = 0; i < n; i++) {
        token t = {.text = own[i].text, .is_object = 1, .special = own[i].special};
        append(a, &t);
        tok_vocab_add(&a->known, t.text, 1);
    }
    for (int i = 0; i < 2; i++) {
        json_iter it = json_iterate(x->lists[i]);
        while (json_next(&it, &key, &value)) {
            token t = {.text = content(value), .is_object = 1, .special = 1};
            if (!t.text.p || tok_vocab_id(&a->known, t.text) >= 0) continue;
            append(a, &t);
            tok_vocab_add(&a->known, t.text, 1);
        }
    }
}

static mlxe_status add_all(adding *a, const tok_own_token *own, size_t n_own)
{
    extra_lists x = find_extras(a->f);
    mlxe_status rc = room(a, &x, n_own);
    if (rc) return rc;
    rc = read_there(a);
    if (rc == MLXE_OK) rc = read_numbered(a, &x);
    if (rc == MLXE_OK) rc = read_named(a, &x);
    if (rc == MLXE_OK && a->class->own_first) add_first(a, &x, own, n_own);
    if (rc == MLXE_OK) rc = read_extras(a, &x, own, n_own);
    if (rc) return rc;
    size_t first = a->list.n;
    qsort(a->order, a->numbered.n, sizeof *a->order, by_number);
    for (size_t i = 0; i < a->numbered.n; i++) /* of equal ids the last */
        if (i + 1 == a->numbered.n || a->order[i + 1].id != a->order[i].id)
            append(a, &a->numbered.v[a->order[i].at]);
    for (size_t i = first; i < a->list.n; i++)
        tok_vocab_add(&a->known, a->list.v[i].text, 1);
    append_new(a, &a->named);
    append_new(a, &a->extras);
    settle(a, first);
    if (a->class->readds) add_again(a);
    return MLXE_OK;
}

static void close_all(adding *a)
{
    tok_vocab_deinit(&a->there_by_text);
    tok_vocab_deinit(&a->by_text);
    tok_vocab_deinit(&a->names);
    tok_vocab_deinit(&a->known);
    tok_vocab_deinit(&a->listed);
    tok_vocab_deinit(&a->all_named);
    tok_vocab_deinit(&a->ids);
}

mlxe_status tok_files_more(tok_files *f, const tok_class *c, const tok_own_token *own, size_t n_own,
                           const json *file, int rebuilt, buf *out, mlxe_error *err)
{
    adding a = {.f = f, .class = c, .err = err, .file = file, .rebuilt = rebuilt};
    mlxe_status rc = add_all(&a, own, n_own);
    if (rc == MLXE_OK) write_list(&a, out);
    for (int i = 0; i < ROLES && rc == MLXE_OK; i++)
        f->roles[i] = a.named.v[i].text;
    close_all(&a);
    return rc;
}

mlxe_status tok_files_tokens(tok_files *f, const tok_class *c, const tok_own_token *own,
                             size_t n_own, buf *out, mlxe_error *err)
{
    adding a = {.f = f, .class = c, .err = err};
    if (!f->size) f->size = (int32_t)f->vocab.n;
    mlxe_status rc = add_all(&a, own, n_own);
    buf_add_str(out, "\"added_tokens\":");
    size_t before = out->n;
    if (rc == MLXE_OK) write_list(&a, out);
    if (out->n == before) buf_add_str(out, "[]");
    for (int i = 0; i < ROLES && rc == MLXE_OK; i++) {
        f->roles[i] = a.named.v[i].text;
        f->role_ids[i] = f->roles[i].n ? find_id(&a, f->roles[i]) : -1;
    }
    if (rc == MLXE_OK) f->language_id = f->language.n ? find_id(&a, f->language) : -1;
    if (f->language_id < 0) f->language_id = f->role_ids[ROLE_UNK];
    close_all(&a);
    return rc;
}
