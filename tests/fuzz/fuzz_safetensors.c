/* fuzz_safetensors.c: st_parse on a whole file: what it accepts lies inside the file, without gap
 * or overlap, and has the bytes of its shape. */
#include "files/safetensors.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const mf_tensor *t, uint64_t *at)
{
    uint64_t bits = (uint64_t)mf_dtype_bits(t->dtype);
    if (t->offset != *at || t->n_dims < 0 || t->n_dims > MF_MAX_DIMS || t->file != 0) abort();
    for (int i = 0; i < t->n_dims; i++) {
        if (t->shape[i] < 0) abort();
        bits *= (uint64_t)t->shape[i];
    }
    if (bits / 8 != t->bytes || t->name.p[t->name.n] != 0) abort();
    *at += t->bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    arena mem = {0};
    mf_tensor *t;
    size_t n;
    mlxe_error err = {MLXE_OK, "", ""};
    mlxe_status status = st_parse("f", data, size, size, &mem, &t, &n, &err);
    if (status) {
        if (t || n || err.code != status || !err.message[0]) abort();
        if (status != MLXE_E_CORRUPT && status != MLXE_E_UNSUPPORTED) abort();
    } else {
        uint64_t at = 8 + ((uint64_t)data[0] | (uint64_t)data[1] << 8 | (uint64_t)data[2] << 16 |
                           (uint64_t)data[3] << 24);
        for (size_t i = 0; i < n; i++)
            check(&t[i], &at);
        if (at != size) abort();
    }
    arena_deinit(&mem);
    return 0;
}
