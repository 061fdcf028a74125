/* kv.c: rows of keys and values in plain memory.
 *
 *   row -> layers[] -> k, v: f32 [K, capacity, D], of which the first `length` tokens count
 *
 * Head-major, because attention walks one head's keys at a time. Growing copies each head's run to
 * its new place; capacity grows by half, so that appending n tokens copies O(n) in all. Appending
 * is attention's: it writes past `length`, and nn_kv_commit makes it count when the pass has
 * succeeded. */
#include "nn/kv.h"

#include <stdlib.h>
#include <string.h>

typedef struct kv_layer {
    float *k, *v;
} kv_layer;

struct nn_kv {
    nn_kv_spec spec;
    kv_layer *layers;
    int64_t capacity; /* tokens */
    int32_t length;
};

enum { CAPACITY_STEP = 256 };
static const char MAGIC[8] = {'M', 'L', 'X', 'E', 'K', 'V', '0', '1'};

static size_t layer_floats(const nn_kv *kv, int layer, int64_t tokens)
{
    const nn_kv_layer_spec *s = &kv->spec.layers[layer];
    return (size_t)s->kv_heads * (size_t)s->d * (size_t)tokens;
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
    for (int i = 0; i < kv->spec.n_layers; i++) {
        free(kv->layers[i].k);
        free(kv->layers[i].v);
    }
    free(kv->layers);
    free(kv);
}

int32_t nn_kv_length(const nn_kv *kv) { return kv->length; }

uint64_t nn_kv_token_bytes(const nn_kv_spec *spec)
{
    uint64_t bytes = 0;
    for (int i = 0; i < spec->n_layers; i++)
        bytes +=
            2 * sizeof(float) * (uint64_t)spec->layers[i].kv_heads * (uint64_t)spec->layers[i].d;
    return bytes;
}

uint64_t nn_kv_bytes(const nn_kv *kv)
{
    return (uint64_t)kv->capacity * nn_kv_token_bytes(&kv->spec);
}

mlxe_status nn_kv_reserve(nn_kv *kv, int32_t length, mlxe_error *err)
{
    int64_t capacity = kv->capacity + kv->capacity / 2;
    kv_layer *fresh;
    mlxe_status rc = MLXE_OK;
    if (length <= kv->capacity) return MLXE_OK;
    if (capacity < length) capacity = length;
    capacity = (capacity + CAPACITY_STEP - 1) / CAPACITY_STEP * CAPACITY_STEP;
    fresh = calloc((size_t)kv->spec.n_layers + 1, sizeof *fresh);
    if (!fresh) return err_memory(err, "KV row", 0);
    /* All of the new row beside the old one: a failure half way leaves the old one whole. */
    for (int i = 0; i < kv->spec.n_layers && !rc; i++) {
        size_t bytes = layer_floats(kv, i, capacity) * sizeof(float);
        fresh[i] = (kv_layer){malloc(bytes), malloc(bytes)};
        if (!fresh[i].k || !fresh[i].v)
            rc = err_memory(err, "KV row",
                            (size_t)((uint64_t)capacity * nn_kv_token_bytes(&kv->spec)));
    }
    for (int i = 0; i < kv->spec.n_layers; i++) {
        const nn_kv_layer_spec *s = &kv->spec.layers[i];
        size_t d = (size_t)s->d, bytes = (size_t)kv->length * d * sizeof(float);
        for (int h = 0; h < s->kv_heads && bytes && !rc; h++) {
            size_t to = (size_t)h * (size_t)capacity * d, at = (size_t)h * (size_t)kv->capacity * d;
            memcpy(fresh[i].k + to, kv->layers[i].k + at, bytes);
            memcpy(fresh[i].v + to, kv->layers[i].v + at, bytes);
        }
        free(rc ? fresh[i].k : kv->layers[i].k);
        free(rc ? fresh[i].v : kv->layers[i].v);
    }
    free(rc ? fresh : kv->layers);
    if (rc) return rc;
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
    buf bytes = {0};
    mlxe_status rc = nn_kv_export(kv, &bytes, err);
    *out = NULL;
    if (!rc) rc = nn_kv_import(&kv->spec, bytes.p, bytes.n, out, err);
    buf_deinit(&bytes);
    return rc;
}

/* ---- a layout without device ----------------------------------------------------------------- */

mlxe_status nn_kv_export(const nn_kv *kv, buf *out, mlxe_error *err)
{
    int32_t head[2] = {kv->spec.n_layers, kv->length};
    buf_add(out, MAGIC, sizeof MAGIC);
    buf_add(out, head, sizeof head);
    for (int i = 0; i < kv->spec.n_layers; i++) {
        const nn_kv_layer_spec *s = &kv->spec.layers[i];
        int32_t shape[2] = {s->kv_heads, s->d};
        size_t run = (size_t)kv->length * (size_t)s->d * sizeof(float);
        buf_add(out, shape, sizeof shape);
        for (int h = 0; h < 2 * s->kv_heads && run; h++) {
            const float *p = h < s->kv_heads ? kv->layers[i].k : kv->layers[i].v;
            buf_add(out, p + (size_t)(h % s->kv_heads) * (size_t)kv->capacity * (size_t)s->d, run);
        }
    }
    return buf_ok(out) ? MLXE_OK : err_memory(err, "KV row export", out->n);
}

static int take(const char **p, size_t *left, void *to, size_t n)
{
    if (*left < n) return 0;
    if (n) memcpy(to, *p, n);
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
    int32_t head[2], shape[2];
    nn_kv *kv = NULL;
    mlxe_status rc;
    *out = NULL;
    if (!take(&p, &n, magic, sizeof magic) || memcmp(magic, MAGIC, sizeof magic))
        return import_error(err, "not a KV state");
    if (!take(&p, &n, head, sizeof head) || head[0] != spec->n_layers || head[1] < 0)
        return import_error(err, "made by another model (layers)");
    if ((uint64_t)head[1] * nn_kv_token_bytes(spec) > n) return import_error(err, "truncated");
    if ((rc = nn_kv_open(spec, &kv, err))) return rc;
    if ((rc = nn_kv_reserve(kv, head[1], err))) goto out;
    for (int i = 0; i < spec->n_layers; i++) {
        const nn_kv_layer_spec *s = &spec->layers[i];
        size_t run = (size_t)head[1] * (size_t)s->d * sizeof(float);
        if (!take(&p, &n, shape, sizeof shape) || shape[0] != s->kv_heads || shape[1] != s->d) {
            rc = import_error(err, "made by another model (heads)");
            goto out;
        }
        for (int h = 0; h < 2 * s->kv_heads && run; h++) {
            float *to = h < s->kv_heads ? kv->layers[i].k : kv->layers[i].v;
            if (!take(&p, &n, to + (size_t)(h % s->kv_heads) * (size_t)kv->capacity * (size_t)s->d,
                      run)) {
                rc = import_error(err, "truncated");
                goto out;
            }
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

void nn_kv_layer(nn_kv *kv, int layer, float **k, float **v, int64_t *capacity)
{
    *k = kv->layers[layer].k;
    *v = kv->layers[layer].v;
    *capacity = kv->capacity;
}
