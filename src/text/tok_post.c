/* tok_post.c: what happens to ids behind the model: truncation, special tokens, offsets, padding.
 *
 *   text's tokens, pair's tokens -> truncated -> parts (post-processor) -> joined -> padded
 *
 * A post-processor turns a list of parts into another: at first the text and its pair; a template
 * can give more, with special tokens as parts of their own. Sequence runs one after the other.
 *
 * Traps: trimming counts characters, not bytes, and white space is what the token's string shows
 * (U+0120 too), not what the text has. RobertaProcessing makes every type id 0. A max_length below
 * the number of special tokens is no limit at all: the package's subtraction wraps.
 *
 * Source: tokenizers, processors/, utils/truncation.rs, utils/padding.rs (behaviour). */
#include "text/tok_parts.h"

#include <stdlib.h>

enum { PARTS_MAX = 64, PAD_MAX = 1 << 26 };

typedef struct piece {
    int side; /* 0, 1: a text; -1: special */
    int32_t type_id;
    int32_t *ids;
    size_t n;
} piece;

typedef struct post_step {
    const struct post_kind *kind;
    int trim, add_prefix_space;
    int32_t sep, cls;
    piece *single, *pair;
    size_t n_single, n_pair;
} post_step;

struct tok_post {
    post_step *v;
    size_t n, cap;
};

typedef struct parts {
    tok_outs v[PARTS_MAX];
    int n;
} parts;

typedef struct post_kind {
    const char *name;
    mlxe_status (*read)(const tok_reader *r, const json *v, post_step *s);
    /* flags: TOK_ADD_SPECIAL */
    mlxe_status (*run)(const post_step *s, const tok *t, const tok_side *sides, parts *p,
                       unsigned flags, mlxe_error *err);
    size_t (*added)(const post_step *s, int is_pair);
} post_kind;

/* ---- offsets --------------------------------------------------------------------------------- */

/* Places in the text moved by characters. */
static uint32_t forward(strv text, uint32_t at, uint32_t characters, uint32_t end)
{
    while (characters-- > 0 && at < end)
        at += (uint32_t)utf8_width((unsigned char)text.p[at]);
    return at < end ? at : end;
}

/* -> 0 when there are not so many before it */
static int backward(strv text, uint32_t *at, uint32_t characters)
{
    uint32_t i = *at;
    while (characters-- > 0) {
        if (i == 0) return 0;
        do
            i--;
        while (i > 0 && !utf8_is_start(text.p[i]));
    }
    *at = i;
    return 1;
}

static void trim(const tok *t, const tok_side *sides, tok_outs *part, int add_prefix_space)
{
    for (size_t i = 0; i < part->n; i++) {
        tok_out *o = &part->v[i];
        strv text = sides[o->side].text;
        uint32_t lead = o->lead, trail = o->trail;
        const tok_entry *e = o->own ? NULL : tok_vocab_entry(&t->model.vocab, o->id);
        if (e) tok_trim_counts(e->text, &lead, &trail);
        if (lead == 1 && add_prefix_space && (i == 0 || o->b == 0)) lead = 0;
        if (lead) o->b = forward(text, o->b, lead, o->e);
        uint32_t end = o->e;
        if (trail && backward(text, &end, trail)) o->e = end > o->b ? end : o->b;
    }
}

/* ---- parts ----------------------------------------------------------------------------------- */

/* Puts n special tokens before or behind what the part holds. */
static void add_special(tok_outs *part, int32_t id, int32_t type_id, int in_front)
{
    tok_out *o = tok_outs_add(part, 1);
    if (!o) return;
    if (in_front) {
        memmove(part->v + 1, part->v, (part->n - 1) * sizeof *o);
        o = part->v;
    }
    *o = (tok_out){.id = id, .type_id = type_id, .own = 1, .added = 1};
}

static void set_types(tok_outs *part, int32_t type_id)
{
    for (size_t i = 0; i < part->n; i++)
        part->v[i].type_id = type_id;
}

static mlxe_status run_byte_level(const post_step *s, const tok *t, const tok_side *sides, parts *p,
                                  unsigned flags, mlxe_error *err)
{
    (void)flags, (void)err;
    for (int i = 0; i < p->n && s->trim; i++)
        trim(t, sides, &p->v[i], s->add_prefix_space);
    return MLXE_OK;
}

static mlxe_status run_bert(const post_step *s, const tok *t, const tok_side *sides, parts *p,
                            unsigned flags, mlxe_error *err)
{
    (void)t, (void)sides, (void)err;
    for (int i = 0; i < p->n && (flags & TOK_ADD_SPECIAL); i++) {
        if (i == 0) add_special(&p->v[i], s->cls, 0, 1);
        add_special(&p->v[i], s->sep, i > 0, 0);
    }
    return MLXE_OK;
}

static mlxe_status run_roberta(const post_step *s, const tok *t, const tok_side *sides, parts *p,
                               unsigned flags, mlxe_error *err)
{
    (void)err;
    for (int i = 0; i < p->n; i++) {
        if (s->trim) trim(t, sides, &p->v[i], s->add_prefix_space);
        set_types(&p->v[i], 0);
        if (!(flags & TOK_ADD_SPECIAL)) continue;
        add_special(&p->v[i], i == 0 ? s->cls : s->sep, 0, 1);
        add_special(&p->v[i], s->sep, 0, 0);
    }
    return MLXE_OK;
}

static mlxe_status run_template(const post_step *s, const tok *t, const tok_side *sides, parts *p,
                                unsigned flags, mlxe_error *err)
{
    (void)t, (void)sides;
    if (p->n > 2)
        return err_set(err, MLXE_E_CORRUPT,
                       "post_processor: a template behind a template is not defined");
    tok_outs from[2] = {{0}, {0}}; /* a template before this one may have left no part */
    for (int i = 0; i < p->n; i++)
        from[i] = p->v[i];
    const piece *pieces = p->n == 2 ? s->pair : s->single;
    size_t n = p->n == 2 ? s->n_pair : s->n_single;
    int failed = 0;
    p->n = 0;
    for (size_t i = 0; i < n; i++) {
        const piece *x = &pieces[i];
        if (x->side < 0 && !(flags & TOK_ADD_SPECIAL)) continue;
        tok_outs *part = &p->v[p->n++];
        *part = (tok_outs){0};
        if (x->side < 0) {
            for (size_t k = 0; k < x->n; k++)
                add_special(part, x->ids[k], x->type_id, 0);
        } else {
            tok_out *o = from[x->side].n ? tok_outs_add(part, from[x->side].n) : NULL;
            if (o) memcpy(o, from[x->side].v, from[x->side].n * sizeof *o);
            set_types(part, x->type_id);
        }
        failed |= part->failed;
    }
    tok_outs_deinit(&from[0]);
    tok_outs_deinit(&from[1]);
    return failed ? err_memory(err, "post-processor", 0) : MLXE_OK;
}

/* ---- options --------------------------------------------------------------------------------- */

static mlxe_status read_byte_level(const tok_reader *r, const json *v, post_step *s)
{
    mlxe_status rc = tok_need_bool(r, v, "trim_offsets", &s->trim);
    return rc ? rc : tok_need_bool(r, v, "add_prefix_space", &s->add_prefix_space);
}

/* ["[SEP]", 102] */
static mlxe_status read_special(const tok_reader *r, const json *v, const char *name, int32_t *out)
{
    const json *pair = json_get(v, name), *key, *item[2];
    json_iter it = json_iterate(pair);
    if (!json_is(pair, JSON_ARRAY) || json_len(pair) != 2 || !json_next(&it, &key, &item[0]) ||
        !json_next(&it, &key, &item[1]) || !json_is(item[0], JSON_STRING) ||
        !json_is(item[1], JSON_INT) || json_int(item[1]) < 0 || json_int(item[1]) >= INT32_MAX)
        return err_set(r->err, MLXE_E_CORRUPT, "%s.%s is no [string, id]", r->where, name);
    *out = (int32_t)json_int(item[1]);
    return MLXE_OK;
}

static mlxe_status read_bert(const tok_reader *r, const json *v, post_step *s)
{
    mlxe_status rc = read_special(r, v, "sep", &s->sep);
    return rc ? rc : read_special(r, v, "cls", &s->cls);
}

static mlxe_status read_roberta(const tok_reader *r, const json *v, post_step *s)
{
    mlxe_status rc = read_bert(r, v, s);
    return rc ? rc : read_byte_level(r, v, s);
}

/* The ids of a template's special token. */
static mlxe_status read_ids(const tok_reader *r, const json *specials, strv name, piece *out)
{
    const json *key, *item, *ids = json_get(json_get_strv(specials, name), "ids");
    if (!json_is(ids, JSON_ARRAY))
        return err_set(r->err, MLXE_E_CORRUPT, "%s: special token \"%.*s\" is not declared",
                       r->where, (int)(name.n > 60 ? 60 : name.n), name.p);
    out->ids = arena_array(r->mem, json_len(ids) + 1, sizeof *out->ids);
    if (!out->ids) return tok_no_memory(r);
    json_iter it = json_iterate(ids);
    while (json_next(&it, &key, &item)) {
        if (!json_is(item, JSON_INT) || json_int(item) < 0 || json_int(item) >= INT32_MAX)
            return tok_corrupt(r, "a special token has an id that is none");
        out->ids[out->n++] = (int32_t)json_int(item);
    }
    return MLXE_OK;
}

static mlxe_status read_piece(const tok_reader *r, const json *v, const json *specials, int sides,
                              piece *out)
{
    const json *sequence = json_get(v, "Sequence"), *special = json_get(v, "SpecialToken");
    const json *body = sequence ? sequence : special;
    int64_t type_id = 0;
    strv id;
    if (!json_is(body, JSON_OBJECT) || (sequence && special))
        return tok_corrupt(r, "is neither Sequence nor SpecialToken");
    mlxe_status rc = tok_need_str(r, body, "id", &id);
    if (rc == MLXE_OK) rc = tok_need_int(r, body, "type_id", 0, INT32_MAX, &type_id);
    if (rc) return rc;
    out->type_id = (int32_t)type_id;
    out->side = -1;
    if (special) return read_ids(r, specials, id, out);
    out->side = strv_is(id, "A") ? 0 : strv_is(id, "B") ? 1 : 2;
    return out->side < sides ? MLXE_OK : tok_corrupt(r, "names a sequence that is not there");
}

static mlxe_status read_pieces(const tok_reader *r, const json *v, const char *name, int sides,
                               piece **out, size_t *n)
{
    const json *list = json_get(v, name), *key, *item;
    tok_reader at = tok_reader_at(r, name);
    mlxe_status rc = MLXE_OK;
    if (!json_is(list, JSON_ARRAY)) return tok_corrupt(&at, "is no list");
    if (json_len(list) > PARTS_MAX)
        return err_set(r->err, MLXE_E_UNSUPPORTED, "%s: more than %d pieces", at.where, PARTS_MAX);
    *out = arena_array(r->mem, json_len(list) + 1, sizeof **out);
    if (!*out) return tok_no_memory(r);
    json_iter it = json_iterate(list);
    while (json_next(&it, &key, &item) && rc == MLXE_OK) {
        tok_reader deep = tok_reader_index(&at, *n);
        rc = read_piece(&deep, item, json_get(v, "special_tokens"), sides, *out + *n);
        ++*n;
    }
    return rc;
}

static mlxe_status read_template(const tok_reader *r, const json *v, post_step *s)
{
    mlxe_status rc = read_pieces(r, v, "single", 1, &s->single, &s->n_single);
    return rc ? rc : read_pieces(r, v, "pair", 2, &s->pair, &s->n_pair);
}

static size_t added_none(const post_step *s, int is_pair) { return (void)s, (void)is_pair, 0; }
static size_t added_bert(const post_step *s, int is_pair) { return (void)s, is_pair ? 3 : 2; }
static size_t added_roberta(const post_step *s, int is_pair) { return (void)s, is_pair ? 4 : 2; }
static size_t added_template(const post_step *s, int is_pair)
{
    const piece *v = is_pair ? s->pair : s->single;
    size_t sum = 0;
    for (size_t i = 0; i < (is_pair ? s->n_pair : s->n_single); i++)
        sum += v[i].n;
    return sum;
}

static const post_kind KINDS[] = {
    {"ByteLevel", read_byte_level, run_byte_level, added_none},
    {"BertProcessing", read_bert, run_bert, added_bert},
    {"RobertaProcessing", read_roberta, run_roberta, added_roberta},
    {"TemplateProcessing", read_template, run_template, added_template},
};

/* Kinds that old files tell by their options alone. */
static const tok_shape SHAPES[] = {{"single", "TemplateProcessing"},
                                   {"trim_offsets", "RobertaProcessing"},
                                   {"sep", "BertProcessing"},
                                   {NULL, NULL}};

static mlxe_status read_at(const tok_reader *r, const json *v, tok_post *post, int depth)
{
    strv type;
    if (depth > 20) return tok_corrupt(r, "nested too deeply");
    if (!json_is(v, JSON_OBJECT)) return tok_corrupt(r, "is no object");
    mlxe_status rc = tok_need_type(r, v, SHAPES, &type);
    if (rc) return rc;
    if (strv_is(type, "Sequence")) {
        const json *items = json_get(v, "processors"), *key, *item;
        if (!json_is(items, JSON_ARRAY)) return tok_corrupt(r, "a Sequence without processors");
        json_iter it = json_iterate(items);
        for (size_t i = 0; json_next(&it, &key, &item) && rc == MLXE_OK; i++) {
            tok_reader at = tok_reader_index(r, i);
            rc = read_at(&at, item, post, depth + 1);
        }
        return rc;
    }
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        if (!strv_is(type, KINDS[i].name)) continue;
        if (post->n == post->cap) {
            size_t cap = post->cap * 2 + 4;
            post_step *more = arena_array(r->mem, cap, sizeof *more);
            if (!more) return tok_no_memory(r);
            if (post->n) memcpy(more, post->v, post->n * sizeof *more);
            post->v = more;
            post->cap = cap;
        }
        post_step *s = &post->v[post->n++];
        s->kind = &KINDS[i];
        return s->kind->read(r, v, s);
    }
    return err_set(r->err, MLXE_E_UNSUPPORTED, "%s: post-processor %.*s is not supported", r->where,
                   (int)(type.n > 60 ? 60 : type.n), type.p);
}

mlxe_status tok_post_read(const tok_reader *r, const json *v, tok_post **out)
{
    *out = NULL;
    if (!v || json_is(v, JSON_NULL)) return MLXE_OK;
    tok_post *post = arena_alloc(r->mem, sizeof *post);
    if (!post) return tok_no_memory(r);
    *out = post;
    return read_at(r, v, post, 0);
}

/* ---- truncation and padding ------------------------------------------------------------------ */

static mlxe_status read_name(const tok_reader *r, const json *v, const char *key,
                             const char *const names[], int n, int *out)
{
    strv name = {NULL, 0};
    mlxe_status rc = json_get_str(v, r->where, key, &name, r->err);
    if (rc || !name.p) return rc;
    for (int i = 0; i < n; i++)
        if (strv_is(name, names[i])) {
            *out = i;
            return MLXE_OK;
        }
    return err_set(r->err, MLXE_E_CORRUPT, "%s.%s is \"%.*s\"", r->where, key,
                   (int)(name.n > 60 ? 60 : name.n), name.p);
}

static mlxe_status read_truncation(const tok_reader *r, const json *v, tok_limits *out)
{
    static const char *const sides[] = {"Right", "Left"};
    static const char *const strategies[] = {"LongestFirst", "OnlyFirst", "OnlySecond"};
    out->truncate = 1;
    mlxe_status rc = tok_need_int(r, v, "max_length", 0, INT64_MAX, &out->max_length);
    if (rc == MLXE_OK) rc = tok_need_int(r, v, "stride", 0, INT64_MAX, &out->stride);
    if (rc == MLXE_OK) rc = read_name(r, v, "strategy", strategies, 3, &out->strategy);
    return rc ? rc : read_name(r, v, "direction", sides, 2, &out->left);
}

static mlxe_status read_padding(const tok_reader *r, const json *v, tok_limits *out)
{
    static const char *const sides[] = {"Right", "Left"};
    const json *strategy = json_get(v, "strategy");
    int64_t id = 0, type_id = 0;
    out->pad = 1;
    out->pad_fixed = -1;
    mlxe_status rc = MLXE_OK;
    if (json_is(strategy, JSON_OBJECT))
        rc = tok_need_int(r, strategy, "Fixed", 0, PAD_MAX, &out->pad_fixed);
    else if (!json_is(strategy, JSON_STRING) || !strv_is(json_str(strategy), "BatchLongest"))
        rc = tok_corrupt(r, "has a strategy that does not exist");
    if (rc == MLXE_OK)
        rc =
            json_get_int(v, r->where, "pad_to_multiple_of", 0, PAD_MAX, &out->pad_multiple, r->err);
    if (rc == MLXE_OK) rc = tok_need_int(r, v, "pad_id", 0, INT32_MAX - 1, &id);
    if (rc == MLXE_OK) rc = tok_need_int(r, v, "pad_type_id", 0, INT32_MAX, &type_id);
    if (rc == MLXE_OK) rc = read_name(r, v, "direction", sides, 2, &out->pad_left);
    out->pad_id = (int32_t)id;
    out->pad_type_id = (int32_t)type_id;
    return rc;
}

mlxe_status tok_limits_read(const tok_reader *r, const json *root, tok_limits *out)
{
    const json *truncation = NULL, *padding = NULL;
    mlxe_status rc = json_get_object(root, r->where, "truncation", &truncation, r->err);
    if (rc == MLXE_OK) rc = json_get_object(root, r->where, "padding", &padding, r->err);
    if (rc) return rc;
    tok_reader at = tok_reader_at(r, "truncation");
    if (truncation) rc = read_truncation(&at, truncation, out);
    at = tok_reader_at(r, "padding");
    if (padding && rc == MLXE_OK) rc = read_padding(&at, padding, out);
    return rc;
}

static void cut(tok_outs *o, uint64_t most, int left, int *truncated)
{
    if (most >= o->n) return;
    *truncated = 1;
    if (left) memmove(o->v, o->v + (o->n - most), most * sizeof *o->v);
    o->n = most;
}

static mlxe_status truncate(const tok_limits *l, uint64_t most, tok_side *sides, int n,
                            int *truncated, mlxe_error *err)
{
    tok_outs *a = &sides[0].tokens, *b = n > 1 ? &sides[1].tokens : NULL;
    uint64_t n1 = a->n, n2 = b ? b->n : 0, total = n1 + n2;
    if (most == 0) {
        cut(a, 0, l->left, truncated);
        if (b) cut(b, 0, l->left, truncated);
        return MLXE_OK;
    }
    if (total <= most) return MLXE_OK;
    if (l->strategy == 0 && !b) {
        cut(a, most, l->left, truncated);
        return MLXE_OK;
    }
    if (l->strategy == 0) {
        int swap = n1 > n2;
        uint64_t low = swap ? n2 : n1, high;
        high = low > most ? low : low > most - low ? low : most - low;
        if (low + high > most) {
            low = most / 2;
            high = low + most % 2;
        }
        cut(a, swap ? high : low, l->left, truncated);
        cut(b, swap ? low : high, l->left, truncated);
        return MLXE_OK;
    }
    tok_outs *target = l->strategy == 1 ? a : b;
    if (!target)
        return err_set(err, MLXE_E_INPUT, "truncation: OnlySecond, and there is no second text");
    if (target->n <= total - most)
        return err_set(err, MLXE_E_INPUT,
                       "truncation: the text to cut has %zu tokens, %llu must go", target->n,
                       (unsigned long long)(total - most));
    cut(target, target->n - (total - most), l->left, truncated);
    return MLXE_OK;
}

static void pad(const tok_limits *l, tok_outs *out)
{
    size_t want = l->pad_fixed >= 0 ? (size_t)l->pad_fixed : out->n, n = out->n;
    size_t multiple = (size_t)l->pad_multiple;
    if (multiple > 0 && want % multiple) want += multiple - want % multiple;
    if (n >= want) return;
    tok_out *o = tok_outs_add(out, want - n);
    if (!o) return;
    if (l->pad_left) {
        memmove(out->v + (want - n), out->v, n * sizeof *o);
        o = out->v;
    }
    for (size_t i = 0; i < want - n; i++)
        o[i] = (tok_out){.id = l->pad_id, .type_id = l->pad_type_id, .own = 1, .added = 1};
}

/* ---- all of it ------------------------------------------------------------------------------- */

static mlxe_status truncate_for(const tok *t, tok_side *sides, int n, unsigned flags,
                                int *truncated, mlxe_error *err)
{
    uint64_t most = (uint64_t)t->limits.max_length, added = 0;
    if (!t->limits.truncate || (flags & TOK_NO_TRUNCATION)) return MLXE_OK;
    for (size_t i = 0; t->post && i < t->post->n && (flags & TOK_ADD_SPECIAL); i++)
        added += t->post->v[i].kind->added(&t->post->v[i], n > 1);
    if (added > most) return MLXE_OK; /* the package's subtraction wraps: no limit is left */
    return truncate(&t->limits, most - added, sides, n, truncated, err);
}

mlxe_status tok_post_run(const tok *t, tok_side *sides, int n, unsigned flags, tok_outs *out,
                         int *truncated, mlxe_error *err)
{
    parts p = {.n = n};
    mlxe_status rc = truncate_for(t, sides, n, flags, truncated, err);
    if (rc) return rc;
    for (int i = 0; i < n; i++) {
        p.v[i] = sides[i].tokens;
        sides[i].tokens = (tok_outs){0};
        set_types(&p.v[i], i);
        for (size_t k = 0; k < p.v[i].n; k++)
            p.v[i].v[k].side = (uint8_t)i;
    }
    for (size_t i = 0; t->post && i < t->post->n && rc == MLXE_OK; i++)
        rc = t->post->v[i].kind->run(&t->post->v[i], t, sides, &p, flags, err);
    int failed = 0;
    if (p.n > 0 && rc == MLXE_OK) { /* the first part takes the others */
        *out = p.v[0];
        p.v[0] = (tok_outs){0};
    }
    for (int i = 1; i < p.n && rc == MLXE_OK; i++) {
        tok_out *o = p.v[i].n ? tok_outs_add(out, p.v[i].n) : NULL;
        if (o) memcpy(o, p.v[i].v, p.v[i].n * sizeof *o);
        failed |= p.v[i].failed;
    }
    for (int i = 0; i < p.n; i++)
        tok_outs_deinit(&p.v[i]);
    if (rc) return rc;
    if (t->limits.pad && !(flags & TOK_NO_TRUNCATION)) pad(&t->limits, out);
    return failed || out->failed ? err_memory(err, "tokens", out->n * sizeof *out->v) : MLXE_OK;
}
