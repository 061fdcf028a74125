/* kv.c: rows of keys and values in plain memory.
 *
 *   row -> layers[] -> kn_kv over one block of memory: place p holds token base + p, and tokens up
 *          to `length` count
 *
 * Head-major, because attention walks one head's keys at a time. Growing copies each head's run to
 * its new place; capacity grows by half, so that appending n tokens copies O(n) in all. Appending
 * is attention's: it writes past `length`, and nn_kv_commit makes it count when the pass has
 * succeeded. Memory that was never written is never touched: the system gives it when it is.
 *
 * A layer with a window gives up tokens that no later one sees before it grows: those kept move to
 * the front. They are a window, KEPT_BEHIND and less than a span, the room is as much again by half
 * at most, so a token is moved a few times in all. */
#include "nn/kv.h"

#include <stdlib.h>
#include <string.h>

typedef struct room {
    kn_kv kv;     /* k is the block of memory, NULL: none yet */
    int32_t base; /* a multiple of KN_SPAN */
} room;

struct nn_kv {
    nn_kv_spec spec;
    room *layers;
    int32_t length;
};

enum {
    CAPACITY_STEP = 256, /* a multiple of KN_KV_BLOCK */
    KEPT_BEHIND = 512    /* tokens that can be taken back, however long ago their window was left */
};
static const char MAGIC[8] = {'M', 'L', 'X', 'E', 'K', 'V', '0', '3'};

const char *nn_kv_type_name(kn_kv_type type)
{
    static const char *const NAMES[] = {"f32", "f16", "bf16", "int8"};
    return NAMES[type];
}

mlxe_status nn_kv_open(const nn_kv_spec *spec, nn_kv **out, mlxe_error *err)
{
    nn_kv *kv = calloc(1, sizeof *kv);
    *out = NULL;
    if (kv) kv->layers = calloc((size_t)spec->n_layers + 1, sizeof *kv->layers);
    if (!kv || !kv->layers) {
        free(kv);
        return err_memory(err, "KV row", sizeof *kv);
    }
    kv->spec = *spec;
    *out = kv;
    return MLXE_OK;
}

void nn_kv_close(nn_kv *kv)
{
    if (!kv) return;
    for (int i = 0; i < kv->spec.n_layers; i++)
        free(kv->layers[i].kv.k);
    free(kv->layers);
    free(kv);
}

int32_t nn_kv_length(const nn_kv *kv) { return kv->length; }

static uint64_t layer_bytes(const nn_kv_spec *spec, int layer, int64_t tokens)
{
    const nn_kv_layer_spec *s = &spec->layers[layer];
    return kn_kv_bytes(spec->type, s->kv_heads, s->d, tokens);
}

uint64_t nn_kv_token_bytes(const nn_kv_spec *spec)
{
    uint64_t bytes = 0;
    for (int i = 0; i < spec->n_layers; i++)
        bytes += layer_bytes(spec, i, KN_KV_BLOCK) / KN_KV_BLOCK;
    return bytes;
}

uint64_t nn_kv_bytes(const nn_kv *kv)
{
    uint64_t bytes = 0;
    for (int i = 0; i < kv->spec.n_layers; i++)
        bytes += layer_bytes(&kv->spec, i, kv->layers[i].kv.capacity);
    return bytes;
}

/* From where on a layer's tokens are wanted, as far as it still has them. */
static int32_t wanted_from(const nn_kv *kv, int layer)
{
    int32_t base = kv->layers[layer].base;
    int64_t window = kv->spec.layers[layer].window, from = kv->length - window - KEPT_BEHIND;
    return window && from > base ? (int32_t)(from / KN_SPAN * KN_SPAN) : base;
}

static mlxe_status layer_reserve(nn_kv *kv, int layer, int32_t length, mlxe_error *err)
{
    const nn_kv_layer_spec *s = &kv->spec.layers[layer];
    room *r = &kv->layers[layer];
    int64_t capacity = r->kv.capacity + r->kv.capacity / 2, need;
    int32_t from = wanted_from(kv, layer), held = kv->length - from;
    kn_kv fresh = r->kv;
    if (length - r->base <= r->kv.capacity) return MLXE_OK;
    need = (int64_t)length - from;
    if (need > r->kv.capacity) {
        void *memory;
        if (capacity < need) capacity = need;
        capacity = (capacity + CAPACITY_STEP - 1) / CAPACITY_STEP * CAPACITY_STEP;
        memory = calloc(1, (size_t)layer_bytes(&kv->spec, layer, capacity));
        if (!memory)
            return err_memory(err, "KV row", (size_t)layer_bytes(&kv->spec, layer, capacity));
        fresh = kn_kv_over(memory, kv->spec.type, s->kv_heads, s->d, capacity);
    }
    if (r->kv.k) kn_kv_copy(&fresh, &r->kv, from - r->base, held);
    if (fresh.k != r->kv.k) free(r->kv.k);
    r->kv = fresh;
    r->base = from;
    return MLXE_OK;
}

mlxe_status nn_kv_reserve(nn_kv *kv, int32_t length, mlxe_error *err)
{
    mlxe_status rc =
        MLXE_OK; /* a failure half way leaves layers of different room, all of them whole */
    for (int i = 0; i < kv->spec.n_layers && !rc; i++)
        rc = layer_reserve(kv, i, length, err);
    return rc;
}

void nn_kv_commit(nn_kv *kv, int32_t length) { kv->length = length; }

/* Whether a token at position `length` finds all keys that it sees. */
static int can_go_on(const nn_kv *kv, int32_t length)
{
    for (int i = 0; i < kv->spec.n_layers; i++) {
        int32_t base = kv->layers[i].base;
        if (base && length - kv->spec.layers[i].window + 1 < base) return 0;
    }
    return 1;
}

mlxe_status nn_kv_truncate(nn_kv *kv, int32_t length, int32_t *kept, mlxe_error *err)
{
    *kept = kv->length;
    if (length < 0) return err_set(err, MLXE_E_ARG, "KV row: truncate to %d tokens", length);
    if (length < kv->length) kv->length = can_go_on(kv, length) ? length : 0;
    for (int i = 0; i < kv->spec.n_layers && !kv->length; i++)
        kv->layers[i].base = 0;
    *kept = kv->length;
    return MLXE_OK;
}

mlxe_status nn_kv_fork(const nn_kv *kv, nn_kv **out, mlxe_error *err)
{
    nn_kv *copy;
    mlxe_status rc;
    *out = NULL;
    if ((rc = nn_kv_open(&kv->spec, &copy, err))) return rc;
    for (int i = 0; i < kv->spec.n_layers; i++)
        copy->layers[i].base = kv->layers[i].base;
    if ((rc = nn_kv_reserve(copy, kv->length, err))) {
        nn_kv_close(copy);
        return rc;
    }
    for (int i = 0; i < kv->spec.n_layers; i++)
        kn_kv_copy(&copy->layers[i].kv, &kv->layers[i].kv, 0, kv->length - kv->layers[i].base);
    nn_kv_commit(copy, kv->length);
    *out = copy;
    return MLXE_OK;
}

/* ---- a layout without device ----------------------------------------------------------------- */

mlxe_status nn_kv_export(const nn_kv *kv, buf *out, mlxe_error *err)
{
    int32_t head[3] = {kv->spec.n_layers, kv->length, (int32_t)kv->spec.type};
    buf_add(out, MAGIC, sizeof MAGIC);
    buf_add(out, head, sizeof head);
    for (int i = 0; i < kv->spec.n_layers; i++) {
        const room *r = &kv->layers[i];
        int32_t shape[3] = {kv->spec.layers[i].kv_heads, kv->spec.layers[i].d, r->base};
        size_t record = kv->length ? kn_kv_token_bytes(&r->kv) : 0;
        char *to;
        buf_add(out, shape, sizeof shape);
        for (int h = 0; h < shape[0]; h++)
            for (int32_t t = 0; t < kv->length - r->base; t++) {
                if (!(to = buf_reserve(out, record))) break;
                kn_kv_save(&r->kv, h, t, to);
                out->n += record;
            }
    }
    return buf_ok(out) ? MLXE_OK : err_memory(err, "KV row export", out->n);
}

static int take(const char **p, size_t *left, void *to, size_t n)
{
    if (*left < n) return 0;
    memcpy(to, *p, n);
    *p += n;
    *left -= n;
    return 1;
}

static mlxe_status import_error(mlxe_error *err, const char *what)
{
    return err_set(err, MLXE_E_CORRUPT, "KV state: %s", what);
}

/* One layer of a row of `length` tokens; p and left move on. */
static mlxe_status import_layer(nn_kv *kv, int layer, int32_t length, const char **p, size_t *left,
                                mlxe_error *err)
{
    const nn_kv_layer_spec *s = &kv->spec.layers[layer];
    room *r = &kv->layers[layer];
    int32_t shape[3];
    size_t record;
    mlxe_status rc;
    if (!take(p, left, shape, sizeof shape) || shape[0] != s->kv_heads || shape[1] != s->d)
        return import_error(err, "made by another model (heads)");
    if (shape[2] && (shape[2] < 0 || shape[2] % KN_SPAN || !s->window ||
                     shape[2] > (int64_t)length - s->window + 1))
        return import_error(err, "tokens that the model needs are missing");
    if ((uint64_t)(length - shape[2]) * (layer_bytes(&kv->spec, layer, KN_KV_BLOCK) / KN_KV_BLOCK) >
        *left)
        return import_error(err, "truncated");
    r->base = shape[2];
    if ((rc = layer_reserve(kv, layer, length, err))) return rc;
    record = length ? kn_kv_token_bytes(&r->kv) : 0;
    for (int h = 0; h < s->kv_heads; h++)
        for (int32_t t = 0; t < length - r->base; t++, *p += record, *left -= record)
            kn_kv_restore(&r->kv, h, t, *p);
    return MLXE_OK;
}

mlxe_status nn_kv_import(const nn_kv_spec *spec, const void *bytes, size_t n, nn_kv **out,
                         mlxe_error *err)
{
    const char *p = bytes;
    char magic[8];
    int32_t head[3];
    nn_kv *kv = NULL;
    mlxe_status rc;
    *out = NULL;
    if (!take(&p, &n, magic, sizeof magic) || memcmp(magic, MAGIC, sizeof magic))
        return import_error(err, "not a KV state");
    if (!take(&p, &n, head, sizeof head) || head[0] != spec->n_layers || head[1] < 0)
        return import_error(err, "made by another model (layers)");
    if (head[2] != (int32_t)spec->type) return import_error(err, "made with another KV type");
    if ((rc = nn_kv_open(spec, &kv, err))) return rc;
    for (int i = 0; i < spec->n_layers && !rc; i++)
        rc = import_layer(kv, i, head[1], &p, &n, err);
    if (!rc && n) rc = import_error(err, "bytes after the end");
    nn_kv_commit(kv, head[1]);
    if (rc)
        nn_kv_close(kv);
    else
        *out = kv;
    return rc;
}

const kn_kv *nn_kv_layer(const nn_kv *kv, int layer, int32_t *base)
{
    *base = kv->layers[layer].base;
    return &kv->layers[layer].kv;
}
