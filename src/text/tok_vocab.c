/* tok_vocab.c: strings and ids: one open-addressing table, one index by id.
 *
 *   string --hash--> entry {string, id};  id --> entry
 *
 * Invariants: the table is at most half full; its strings are borrowed (from the JSON document).
 * Of equal strings the last wins, as in a Rust map; of equal ids any.
 * A table of a large vocabulary does not fit a cache, so a look-up waits for memory three times
 * (slot, entry, string): many at once wait together (tok_vocab_ids).
 * Traps: ids need not be dense, and one huge id must not cost memory: then the index is sorted and
 * searched. */
#include "base/pages.h"
#include "text/tok_parts.h"

#include <stdlib.h>

enum { AHEAD = 16 }; /* look-ups that are under way at once */
#if defined(__GNUC__)
#define PREFETCH(p) __builtin_prefetch(p)
#else
#define PREFETCH(p) ((void)(p))
#endif

/* The first 8 bytes; of a shorter string a value that no other of its length has. */
static uint64_t head_of(strv text)
{
    const unsigned char *p = (const unsigned char *)text.p;
    uint64_t x = 0;
    uint32_t first, last;
    if (text.n >= 8) {
        memcpy(&x, p, 8);
    } else if (text.n >= 4) {
        memcpy(&first, p, 4);
        memcpy(&last, p + text.n - 4, 4);
        x = (uint64_t)last << 32 | first;
    } else if (text.n > 0) {
        x = p[0] | (uint64_t)p[text.n / 2] << 8 | (uint64_t)p[text.n - 1] << 16;
    }
    return x;
}

/* 8 bytes at a time; equal strings give equal values on any machine that we run on. */
static uint32_t hash(strv text, uint64_t head)
{
    uint64_t h = (0x9E3779B97F4A7C15u ^ text.n ^ head) * 0xFF51AFD7ED558CCDu, x;
    for (size_t i = 8; i < text.n; i += 8) {
        memcpy(&x, text.p + (i + 8 <= text.n ? i : text.n - 8), 8);
        h = (h ^ h >> 32 ^ x) * 0xFF51AFD7ED558CCDu;
    }
    h = (h ^ h >> 32) * 0xC4CEB9FE1A85EC53u;
    return (uint32_t)(h ^ h >> 29 ^ h >> 47);
}

static int is_text(const tok_entry *e, strv text, uint64_t head)
{
    if (e->head != head || e->text.n != text.n) return 0;
    return text.n <= 8 || memcmp(e->text.p + 8, text.p + 8, text.n - 8) == 0;
}

mlxe_status tok_vocab_init(const tok_reader *r, tok_vocab *v, size_t n)
{
    size_t slots = 16;
    while (slots < n * 2)
        slots *= 2;
    *v = (tok_vocab){.max_id = -1};
    if (n > UINT32_MAX / 4) return tok_corrupt(r, "too many entries");
    v->entries = pages_large(calloc(n ? n : 1, sizeof *v->entries), n * sizeof *v->entries);
    v->slots = pages_large(calloc(slots, sizeof *v->slots), slots * sizeof *v->slots);
    v->mask = (uint32_t)(slots - 1);
    return v->entries && v->slots ? MLXE_OK : tok_no_memory(r);
}

void tok_vocab_deinit(tok_vocab *v)
{
    free(v->entries);
    free(v->slots);
    free(v->by_id);
    *v = (tok_vocab){.max_id = -1};
}

/* The slot of text, or the free one where it belongs. */
static struct tok_slot *slot_of(const tok_vocab *v, strv text, uint64_t head, uint32_t h)
{
    for (uint32_t i = h & v->mask;; i = (i + 1) & v->mask) {
        struct tok_slot *s = &v->slots[i];
        if (s->index == 0) return s;
        if (s->hash == h && is_text(&v->entries[s->index - 1], text, head)) return s;
    }
}

static void add(tok_vocab *v, strv text, int32_t id, uint64_t head, uint32_t h)
{
    struct tok_slot *s = slot_of(v, text, head, h);
    if (s->index) {
        v->entries[s->index - 1].id = id;
        return;
    }
    v->entries[v->n++] = (tok_entry){text, head, id};
    *s = (struct tok_slot){h, (uint32_t)v->n};
}

void tok_vocab_add(tok_vocab *v, strv text, int32_t id)
{
    uint64_t head = head_of(text);
    add(v, text, id, head, hash(text, head));
}

void tok_vocab_fill(tok_vocab *v, size_t n)
{
    uint32_t h[AHEAD];
    for (size_t from = 0; from < n; from += AHEAD) {
        size_t to = n - from < AHEAD ? n - from : AHEAD;
        for (size_t i = 0; i < to; i++) {
            tok_entry *e = &v->entries[from + i];
            e->head = head_of(e->text);
            h[i] = hash(e->text, e->head);
            PREFETCH(&v->slots[h[i] & v->mask]);
        }
        for (size_t i = 0; i < to; i++) {
            const tok_entry *e = &v->entries[from + i];
            *slot_of(v, e->text, e->head, h[i]) = (struct tok_slot){h[i], (uint32_t)(from + i) + 1};
        }
    }
    v->n = n;
}

void tok_vocab_ids(const tok_vocab *v, const strv *texts, size_t n, int32_t *ids)
{
    uint32_t h[AHEAD];
    uint64_t head[AHEAD];
    for (size_t from = 0; from < n; from += AHEAD) {
        size_t to = n - from < AHEAD ? n - from : AHEAD;
        for (size_t i = 0; i < to; i++) {
            head[i] = head_of(texts[from + i]);
            h[i] = hash(texts[from + i], head[i]);
            PREFETCH(&v->slots[h[i] & v->mask]);
        }
        for (size_t i = 0; i < to; i++) {
            uint32_t index = v->slots[h[i] & v->mask].index;
            PREFETCH(&v->entries[index ? index - 1 : 0]);
        }
        for (size_t i = 0; i < to; i++) {
            uint32_t index = v->slots[h[i] & v->mask].index;
            if (texts[from + i].n > 8) PREFETCH(v->entries[index ? index - 1 : 0].text.p);
        }
        for (size_t i = 0; i < to; i++) {
            const struct tok_slot *s = slot_of(v, texts[from + i], head[i], h[i]);
            ids[from + i] = s->index ? v->entries[s->index - 1].id : -1;
        }
    }
}

typedef struct id_key {
    int32_t id;
    uint32_t index;
} id_key;

static int by_id(const void *a, const void *b)
{
    const id_key *x = a, *y = b;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

mlxe_status tok_vocab_finish(const tok_reader *r, tok_vocab *v)
{
    v->max_id = -1;
    for (size_t i = 0; i < v->n; i++)
        if (v->entries[i].id > v->max_id) v->max_id = v->entries[i].id;
    v->dense = (size_t)(v->max_id + 1) <= v->n * 8 + 65536;
    v->n_ids = v->dense ? (size_t)(v->max_id + 1) : v->n;
    v->by_id = calloc(v->n_ids ? v->n_ids : 1, sizeof *v->by_id);
    if (!v->by_id) return tok_no_memory(r);
    if (v->dense) {
        for (size_t i = 0; i < v->n; i++)
            v->by_id[v->entries[i].id] = (uint32_t)i + 1;
        return MLXE_OK;
    }
    id_key *keys = malloc((v->n ? v->n : 1) * sizeof *keys);
    if (!keys) return tok_no_memory(r);
    for (size_t i = 0; i < v->n; i++)
        keys[i] = (id_key){v->entries[i].id, (uint32_t)i + 1};
    qsort(keys, v->n, sizeof *keys, by_id);
    for (size_t i = 0; i < v->n; i++)
        v->by_id[i] = keys[i].index;
    free(keys);
    return MLXE_OK;
}

int32_t tok_vocab_id(const tok_vocab *v, strv text)
{
    if (!v->slots) return -1;
    uint64_t head = head_of(text);
    const struct tok_slot *s = slot_of(v, text, head, hash(text, head));
    return s->index ? v->entries[s->index - 1].id : -1;
}

const tok_entry *tok_vocab_entry(const tok_vocab *v, int32_t id)
{
    if (id < 0 || id > v->max_id) return NULL;
    if (v->dense) {
        uint32_t index = v->by_id[id];
        return index ? &v->entries[index - 1] : NULL;
    }
    size_t low = 0, high = v->n_ids;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (v->entries[v->by_id[mid] - 1].id < id)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == v->n_ids || v->entries[v->by_id[low] - 1].id != id) return NULL;
    return &v->entries[v->by_id[low] - 1];
}

mlxe_status tok_vocab_read(const tok_reader *r, const json *v, tok_vocab *out)
{
    const json *key, *value;
    strv texts[AHEAD];
    int32_t ids[AHEAD];
    uint32_t h[AHEAD];
    uint64_t head[AHEAD];
    size_t n = 0;
    if (out->slots && json_len(v) == 0) return MLXE_OK; /* tok_open_made */
    mlxe_status rc = tok_vocab_init(r, out, json_len(v));
    if (rc) return rc;
    json_iter it = json_iterate(v);
    for (int more = 1; more;) {
        more = json_next(&it, &key, &value);
        if (more) {
            int64_t id = json_int(value);
            strv text = json_str(key);
            if (!json_is(value, JSON_INT) || id < 0 || id > INT32_MAX - 1)
                return err_set(r->err, MLXE_E_CORRUPT, "%s: the id of \"%.*s\" is no id", r->where,
                               (int)(text.n > 60 ? 60 : text.n), text.p);
            texts[n] = text;
            ids[n] = (int32_t)id;
            head[n] = head_of(text);
            h[n] = hash(text, head[n]);
            PREFETCH(&out->slots[h[n] & out->mask]);
            n++;
        }
        for (size_t i = 0; i < n && (n == AHEAD || !more); i++)
            add(out, texts[i], ids[i], head[i], h[i]);
        if (n == AHEAD) n = 0;
    }
    return tok_vocab_finish(r, out);
}
