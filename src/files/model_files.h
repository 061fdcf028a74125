/* model_files.h: a model folder as config and named tensor records.
 *
 * A record says where a tensor lies, never a pointer: (file, offset, bytes, dtype, shape). The
 * bytes are borrowed from the open folder with mf_data. */
#ifndef FILES_MODEL_FILES_H
#define FILES_MODEL_FILES_H

#include "base/error.h"
#include "base/fs.h"
#include "base/json.h"

#include <stdint.h>

/* name in safetensors, bits an element, name for people */
#define MF_DTYPE_LIST(X)                                                                           \
    X(F64, "F64", 64)                                                                              \
    X(F32, "F32", 32)                                                                              \
    X(F16, "F16", 16)                                                                              \
    X(BF16, "BF16", 16)                                                                            \
    X(I64, "I64", 64)                                                                              \
    X(I32, "I32", 32)                                                                              \
    X(I16, "I16", 16)                                                                              \
    X(I8, "I8", 8)                                                                                 \
    X(U64, "U64", 64)                                                                              \
    X(U32, "U32", 32)                                                                              \
    X(U16, "U16", 16)                                                                              \
    X(U8, "U8", 8)                                                                                 \
    X(BOOL, "BOOL", 8)                                                                             \
    X(F8_E4M3, "F8_E4M3", 8)                                                                       \
    X(F8_E5M2, "F8_E5M2", 8)                                                                       \
    X(F8_E8M0, "F8_E8M0", 8)

typedef enum mf_dtype {
#define MF_DTYPE_ROW(name, text, bits) MF_##name,
    MF_DTYPE_LIST(MF_DTYPE_ROW)
#undef MF_DTYPE_ROW
} mf_dtype;

const char *mf_dtype_name(mf_dtype dtype);
int mf_dtype_bits(mf_dtype dtype);

enum { MF_MAX_DIMS = 8 };

typedef struct mf_tensor {
    strv name;       /* owned by the folder */
    int file;        /* index of the shard */
    uint64_t offset; /* bytes from the start of the file */
    uint64_t bytes;
    mf_dtype dtype;
    int n_dims;
    int64_t shape[MF_MAX_DIMS];
} mf_tensor;

typedef struct model_files model_files;

/* Opens a folder: config.json and every tensor header, all validated before use. No weight is read.
 * mode: FS_AUTO, FS_MAP or FS_READ (how mf_data will get them).
 * Fails  NOT_FOUND, CORRUPT (one named reason a defect: header length, JSON, dtype, shape x size
 *        against range, overlap, gap, duplicate, missing shard), UNSUPPORTED, IO, MEMORY */
mlxe_status mf_open(const char *folder, fs_mode mode, model_files **out, mlxe_error *err);
/* Config only: for `show` of a folder whose weights are not there yet. mf_count is then 0. */
mlxe_status mf_open_config(const char *folder, model_files **out, mlxe_error *err);
void mf_close(model_files *f);

const char *mf_folder(const model_files *f);
const json *mf_config(const model_files *f);            /* config.json's object */
const json *mf_generation_config(const model_files *f); /* NULL: no generation_config.json */

size_t mf_count(const model_files *f);
const mf_tensor *mf_at(const model_files *f, size_t i);
const mf_tensor *mf_find(const model_files *f, const char *name); /* NULL: absent. O(1) */
uint64_t mf_weight_bytes(const model_files *f);                   /* sum over tensors */
const char *mf_file_name(const model_files *f, int file);         /* "model.safetensors" */

/* The bytes of a tensor, borrowed until mf_close, aligned to its element (a tensor that lies
 * otherwise in the file is copied); the file is mapped (or read) at its first use.
 * Thread: one at a time. Fails IO, CORRUPT (the file changed size), MEMORY */
mlxe_status mf_data(model_files *f, const mf_tensor *t, const void **out, mlxe_error *err);

#endif
