/* kv.c: rows of keys and values in plain memory.
 *
 *   row -> layers[] -> kn_kv over one block of memory, of which the first `length` tokens count
 *
 * Head-major, because attention walks one head's keys at a time. Growing copies each head's run to
 * its new place; capacity grows by half, so that appending n tokens copies O(n) in all. Appending
 * is attention's: it writes past `length`, and nn_kv_commit makes it count when the pass has
 * succeeded. Memory that was never written is never touched: the system gives it when it is. */
#include "nn/kv.h"

#include <stdlib.h>
#include <string.h>

struct nn_kv {
    nn_kv_spec spec;
    kn_kv *layers;    /* k is the block of memory */
    int64_t capacity; /* tokens */
    int32_t length;
};

enum { CAPACITY_STEP = 256 }; /* a multiple of KN_KV_BLOCK */
static const char MAGIC[8] = {'M', 'L', 'X', 'E', 'K', 'V', '0', '2'};

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
        free(kv->layers[i].k);
    free(kv->layers);
    free(kv);
}

int32_t nn_kv_length(const nn_kv *kv) { return kv->length; }

static size_t layer_bytes(const nn_kv_spec *spec, int layer, int64_t tokens)
{
    const nn_kv_layer_spec *s = &spec->layers[layer];
    return kn_kv_bytes(spec->type, s->kv_heads, s->d, tokens);
}

static uint64_t row_bytes(const nn_kv_spec *spec, int64_t tokens)
{
    uint64_t bytes = 0;
    for (int i = 0; i < spec->n_layers; i++)
        bytes += layer_bytes(spec, i, tokens);
    return bytes;
}

uint64_t nn_kv_token_bytes(const nn_kv_spec *spec)
{
    return row_bytes(spec, KN_KV_BLOCK) / KN_KV_BLOCK;
}

uint64_t nn_kv_bytes(const nn_kv *kv) { return row_bytes(&kv->spec, kv->capacity); }

/* Layers of another capacity with the same tokens. */
static mlxe_status layers_new(const nn_kv *kv, int64_t capacity, kn_kv **out, mlxe_error *err)
{
    const nn_kv_spec *spec = &kv->spec;
    kn_kv *fresh = calloc((size_t)spec->n_layers + 1, sizeof *fresh);
    *out = NULL;
    if (!fresh) return err_memory(err, "KV row", 0);
    for (int i = 0; i < spec->n_layers; i++) {
        const nn_kv_layer_spec *s = &spec->layers[i];
        void *memory = calloc(1, layer_bytes(spec, i, capacity));
        if (!memory) {
            while (i--)
                free(fresh[i].k);
            free(fresh);
            return err_memory(err, "KV row", (size_t)row_bytes(spec, capacity));
        }
        fresh[i] = kn_kv_over(memory, spec->type, s->kv_heads, s->d, capacity);
    }
    *out = fresh;
    return MLXE_OK;
}

mlxe_status nn_kv_reserve(nn_kv *kv, int32_t length, mlxe_error *err)
{
    int64_t capacity = kv->capacity + kv->capacity / 2;
    kn_kv *fresh;
    mlxe_status rc;
    if (length <= kv->capacity) return MLXE_OK;
    if (capacity < length) capacity = length;
    capacity = (capacity + CAPACITY_STEP - 1) / CAPACITY_STEP * CAPACITY_STEP;
    /* All of the new row beside the old one: a failure half way leaves the old one whole. */
    if ((rc = layers_new(kv, capacity, &fresh, err))) return rc;
    for (int i = 0; i < kv->spec.n_layers; i++) {
        kn_kv_copy(&fresh[i], &kv->layers[i], kv->length);
        free(kv->layers[i].k);
    }
    free(kv->layers);
    kv->layers = fresh;
    kv->capacity = capacity;
    return MLXE_OK;
}

void nn_kv_commit(nn_kv *kv, int32_t length) { kv->length = length; }

mlxe_status nn_kv_truncate(nn_kv *kv, int32_t length, int32_t *kept, mlxe_error *err)
{
    *kept = kv->length;
    if (length < 0) return err_set(err, MLXE_E_ARG, "KV row: truncate to %d tokens", length);
    if (length < kv->length) kv->length = length;
    *kept = kv->length;
    return MLXE_OK;
}

mlxe_status nn_kv_fork(const nn_kv *kv, nn_kv **out, mlxe_error *err)
{
    nn_kv *copy;
    mlxe_status rc;
    *out = NULL;
    if ((rc = nn_kv_open(&kv->spec, &copy, err))) return rc;
    if ((rc = nn_kv_reserve(copy, kv->length, err))) {
        nn_kv_close(copy);
        return rc;
    }
    for (int i = 0; i < kv->spec.n_layers; i++)
        kn_kv_copy(&copy->layers[i], &kv->layers[i], kv->length);
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
        const kn_kv *l = &kv->layers[i];
        int32_t shape[2] = {kv->spec.layers[i].kv_heads, kv->spec.layers[i].d};
        size_t record = kv->length ? kn_kv_token_bytes(l) : 0;
        char *to;
        buf_add(out, shape, sizeof shape);
        for (int h = 0; h < shape[0]; h++)
            for (int32_t t = 0; t < kv->length; t++) {
                if (!(to = buf_reserve(out, record))) break;
                kn_kv_save(l, h, t, to);
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

mlxe_status nn_kv_import(const nn_kv_spec *spec, const void *bytes, size_t n, nn_kv **out,
                         mlxe_error *err)
{
    const char *p = bytes;
    char magic[8];
    int32_t head[3], shape[2];
    nn_kv *kv = NULL;
    mlxe_status rc;
    *out = NULL;
    if (!take(&p, &n, magic, sizeof magic) || memcmp(magic, MAGIC, sizeof magic))
        return import_error(err, "not a KV state");
    if (!take(&p, &n, head, sizeof head) || head[0] != spec->n_layers || head[1] < 0)
        return import_error(err, "made by another model (layers)");
    if (head[2] != (int32_t)spec->type) return import_error(err, "made with another KV type");
    if ((uint64_t)head[1] * nn_kv_token_bytes(spec) > n) return import_error(err, "truncated");
    if ((rc = nn_kv_open(spec, &kv, err))) return rc;
    if ((rc = nn_kv_reserve(kv, head[1], err))) goto out;
    for (int i = 0; i < spec->n_layers; i++) {
        const nn_kv_layer_spec *s = &spec->layers[i];
        size_t record = head[1] ? kn_kv_token_bytes(&kv->layers[i]) : 0;
        if (!take(&p, &n, shape, sizeof shape) || shape[0] != s->kv_heads || shape[1] != s->d) {
            rc = import_error(err, "made by another model (heads)");
            goto out;
        }
        for (int h = 0; h < s->kv_heads; h++)
            for (int32_t t = 0; t < head[1]; t++, p += record, n -= record) {
                if (n < record) {
                    rc = import_error(err, "truncated");
                    goto out;
                }
                kn_kv_restore(&kv->layers[i], h, t, p);
            }
    }
    if (n) rc = import_error(err, "bytes after the end");
    nn_kv_commit(kv, head[1]);
out:
    if (rc)
        nn_kv_close(kv);
    else
        *out = kv;
    return rc;
}

const kn_kv *nn_kv_layer(const nn_kv *kv, int layer) { return &kv->layers[layer]; }
