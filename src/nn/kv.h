/* kv.h: KV rows: what one conversation has been through, per layer, as opaque state.
 *
 * A row changes only by append-and-attend (nn_attention) during a forward pass, which is evaluated
 * before the row changes again; then nn_kv_commit makes the new tokens count. Until then a failed
 * or cancelled pass has left nothing. Nothing outside src/nn sees its layout.
 *
 *   layer -> kn_kv: k, v [K, capacity, D] in the row's type, of the tokens from `base` on; capacity
 *            grows by half, to a multiple of 256
 *
 * base is 0 but where a window hides a layer's first tokens for good: these are given up when room
 * is wanted, so that memory stops growing. Then a row cannot be cut to any length: nn_kv_truncate
 * says what it kept. */
#ifndef NN_KV_H
#define NN_KV_H

#include "base/buf.h"
#include "kernels/kernels.h"

#include <stdint.h>

typedef struct nn_kv nn_kv;

typedef struct nn_kv_layer_spec {
    int kv_heads, d;
    int window; /* a token sees so many keys at most, its own included; 0: all */
} nn_kv_layer_spec;

typedef struct nn_kv_spec {
    const nn_kv_layer_spec *layers; /* borrowed for the row's life */
    int n_layers;
    kn_kv_type type; /* how keys and values are stored */
} nn_kv_spec;

const char *nn_kv_type_name(kn_kv_type type); /* "f32", "f16", "bf16", "int8" */

mlxe_status nn_kv_open(const nn_kv_spec *spec, nn_kv **out, mlxe_error *err);
void nn_kv_close(nn_kv *kv);

int32_t nn_kv_length(const nn_kv *kv); /* tokens that count */
uint64_t nn_kv_bytes(const nn_kv *kv); /* resident memory */
uint64_t nn_kv_token_bytes(const nn_kv_spec *spec);

/* Room for tokens up to `length`. Fails MEMORY (with the bytes wanted) */
mlxe_status nn_kv_reserve(nn_kv *kv, int32_t length, mlxe_error *err);
/* The tokens of an evaluated pass count now. */
void nn_kv_commit(nn_kv *kv, int32_t length);
/* Forgets all after `length` tokens; *kept: the length that is left, 0 when a layer has given up
 * what the next token would see (the caller prefills the rest). 512 tokens can always be
 * taken back. */
mlxe_status nn_kv_truncate(nn_kv *kv, int32_t length, int32_t *kept, mlxe_error *err);
/* An independent copy. */
mlxe_status nn_kv_fork(const nn_kv *kv, nn_kv **out, mlxe_error *err);

/* A layout without pages or device: header (with the type), then per layer its shape and base, then
 * per head and token from base on the key, the value and the scales of both. Import wants the type
 * that the row was made with. */
mlxe_status nn_kv_export(const nn_kv *kv, buf *out, mlxe_error *err);
mlxe_status nn_kv_import(const nn_kv_spec *spec, const void *p, size_t n, nn_kv **out,
                         mlxe_error *err);

/* For attention, within src/nn: a layer's keys and values, of the tokens from *base on, which is a
 * multiple of KN_SPAN. */
const kn_kv *nn_kv_layer(const nn_kv *kv, int layer, int32_t *base);

#endif
