/* safetensors.c: reading a safetensors header (safetensors_write.c writes one).
 *
 *   head -> length N -> strict JSON -> records -> sorted by place -> no gap, no overlap, no rest
 *
 * Owns: what a valid header is. It accepts what the reference implementation accepts and refuses
 * what it refuses. Files come from the network: a record that leaves here lies inside the file and
 * holds exactly shape x dtype bytes, so that no later code checks a range again.
 *
 * Stricter than the reference, each on purpose:
 *   repeated keys          the reference takes the last one, silently
 *   F4, F6_*, C64, *FNUZ   UNSUPPORTED: no model that we run has them
 *   more than 8 dims       UNSUPPORTED
 *   dims above INT64_MAX   only possible in empty tensors
 *   a tensor as an array   ["F32",[2],[0,8]] is an accident of the reference's parser
 * Wider: -0 is an integer here.
 *
 * Traps: an empty tensor may lie anywhere where a tensor begins or ends. The product of the shape
 * is formed from the left, as in the reference: [0, 2^40, 2^40] is fine, [2^40, 2^40, 0] overflows.
 * Source: safetensors 0.8.0, src/tensor.rs (SafeTensors::read_metadata, Metadata::validate). */
#include "files/safetensors.h"

#include <stdio.h>
#include <stdlib.h>

enum { NAME_SHOWN = 200 };

/* What all steps share. */
typedef struct reader {
    const char *where;
    uint64_t data_start; /* offset of the data in the file */
    uint64_t data_bytes;
    mlxe_error *err;
} reader;

/* ---- dtypes --------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int bits;
} DTYPES[] = {
#define ROW(name, text, bits) [MF_##name] = {text, bits},
    MF_DTYPE_LIST(ROW)
#undef ROW
};

enum { N_DTYPES = sizeof DTYPES / sizeof *DTYPES };

const char *mf_dtype_name(mf_dtype dtype)
{
    return (unsigned)dtype < N_DTYPES ? DTYPES[dtype].name : "?";
}

int mf_dtype_bits(mf_dtype dtype) { return (unsigned)dtype < N_DTYPES ? DTYPES[dtype].bits : 0; }

/* ---- one tensor ----------------------------------------------------------------------------- */

static mlxe_status read_dtype(const reader *r, const char *path, const json *info, mf_tensor *t)
{
    strv name = {NULL, 0};
    mlxe_status status = json_get_str(info, path, "dtype", &name, r->err);
    if (status) return status;
    if (!name.p) return err_set(r->err, MLXE_E_CORRUPT, "%s.dtype is missing", path);
    for (int i = 0; i < N_DTYPES; i++) {
        if (strv_is(name, DTYPES[i].name)) {
            t->dtype = (mf_dtype)i;
            return MLXE_OK;
        }
    }
    return err_set(r->err, MLXE_E_UNSUPPORTED, "%s.dtype is \"%.40s\", which is not supported",
                   path, name.p);
}

/* The integers of an array, each at least 0. */
static mlxe_status read_int(const reader *r, const char *path, const char *key, size_t i,
                            const json *v, int64_t *out)
{
    if (!json_is(v, JSON_INT) && !json_is(v, JSON_BIG))
        return err_set(r->err, MLXE_E_CORRUPT, "%s.%s[%zu] is %s, want an integer", path, key, i,
                       json_type_name(json_typeof(v)));
    *out = json_int(v);
    if (json_is(v, JSON_BIG))
        return err_set(r->err, MLXE_E_CORRUPT, "%s.%s[%zu] is %.24s, want 0..%lld", path, key, i,
                       json_big(v).p, (long long)INT64_MAX);
    if (*out < 0)
        return err_set(r->err, MLXE_E_CORRUPT, "%s.%s[%zu] is %lld, want 0 or more", path, key, i,
                       (long long)*out);
    return MLXE_OK;
}

static mlxe_status read_shape(const reader *r, const char *path, const json *info, mf_tensor *t)
{
    const json *shape = NULL, *key, *v;
    mlxe_status status = json_get_array(info, path, "shape", &shape, r->err);
    json_iter it;
    if (status) return status;
    if (!shape) return err_set(r->err, MLXE_E_CORRUPT, "%s.shape is missing", path);
    if (json_len(shape) > MF_MAX_DIMS)
        return err_set(r->err, MLXE_E_UNSUPPORTED, "%s.shape has %zu dims, want at most %d", path,
                       json_len(shape), MF_MAX_DIMS);
    it = json_iterate(shape);
    for (; !status && json_next(&it, &key, &v); t->n_dims++)
        status = read_int(r, path, "shape", (size_t)t->n_dims, v, &t->shape[t->n_dims]);
    return status;
}

static mlxe_status read_range(const reader *r, const char *path, const json *info, mf_tensor *t)
{
    const json *range = NULL, *key, *v;
    mlxe_status status = json_get_array(info, path, "data_offsets", &range, r->err);
    int64_t at[2] = {0, 0};
    json_iter it;
    if (status) return status;
    if (!range) return err_set(r->err, MLXE_E_CORRUPT, "%s.data_offsets is missing", path);
    if (json_len(range) != 2)
        return err_set(r->err, MLXE_E_CORRUPT, "%s.data_offsets has %zu numbers, want 2", path,
                       json_len(range));
    it = json_iterate(range);
    for (size_t i = 0; !status && json_next(&it, &key, &v); i++)
        status = read_int(r, path, "data_offsets", i, v, &at[i]);
    if (status) return status;
    if (at[0] > at[1])
        return err_set(r->err, MLXE_E_CORRUPT, "%s.data_offsets is [%lld,%lld], want begin <= end",
                       path, (long long)at[0], (long long)at[1]);
    if ((uint64_t)at[1] > r->data_bytes) {
        status =
            err_set(r->err, MLXE_E_CORRUPT,
                    "%s.data_offsets is [%lld,%lld], but the file has only %llu bytes of data",
                    path, (long long)at[0], (long long)at[1], (unsigned long long)r->data_bytes);
        err_hint(r->err, "the file was cut short: download it again");
        return status;
    }
    t->offset = (uint64_t)at[0];
    t->bytes = (uint64_t)(at[1] - at[0]);
    return MLXE_OK;
}

/* The range must hold the shape: product x bits, each step checked. */
static mlxe_status check_bytes(const reader *r, const char *path, const mf_tensor *t)
{
    uint64_t bits = (uint64_t)DTYPES[t->dtype].bits, n = 1;
    for (int i = 0; i < t->n_dims; i++) {
        uint64_t dim = (uint64_t)t->shape[i];
        if (dim && n > UINT64_MAX / dim)
            return err_set(r->err, MLXE_E_CORRUPT, "%s.shape is too large, its product overflows",
                           path);
        n *= dim;
    }
    if (n > UINT64_MAX / bits)
        return err_set(r->err, MLXE_E_CORRUPT, "%s.shape is too large, its product overflows",
                       path);
    if (n * bits / 8 != t->bytes)
        return err_set(r->err, MLXE_E_CORRUPT,
                       "%s.data_offsets holds %llu bytes, want %llu (%s x %llu)", path,
                       (unsigned long long)t->bytes, (unsigned long long)(n * bits / 8),
                       DTYPES[t->dtype].name, (unsigned long long)n);
    return MLXE_OK;
}

static mlxe_status read_tensor(const reader *r, strv name, const json *info, arena *mem,
                               mf_tensor *t)
{
    char path[NAME_SHOWN + 300];
    mlxe_status status;
    snprintf(path, sizeof path, "%.250s: %.*s", r->where,
             name.n < NAME_SHOWN ? (int)name.n : NAME_SHOWN, name.p);
    if (!json_is(info, JSON_OBJECT))
        return err_set(r->err, MLXE_E_CORRUPT, "%s is %s, want an object", path,
                       json_type_name(json_typeof(info)));
    t->name = strv_from(arena_copy(mem, name), name.n);
    if (!t->name.p) return err_memory(r->err, r->where, name.n);
    status = read_dtype(r, path, info, t);
    if (!status) status = read_shape(r, path, info, t);
    if (!status) status = read_range(r, path, info, t);
    if (!status) status = check_bytes(r, path, t);
    return status;
}

/* ---- all tensors ---------------------------------------------------------------------------- */

static mlxe_status check_metadata(const reader *r, const json *metadata)
{
    json_iter it = json_iterate(metadata);
    const json *key, *v;
    if (json_is(metadata, JSON_NULL)) return MLXE_OK;
    if (!json_is(metadata, JSON_OBJECT))
        return err_set(r->err, MLXE_E_CORRUPT, "%s: __metadata__ is %s, want an object", r->where,
                       json_type_name(json_typeof(metadata)));
    while (json_next(&it, &key, &v))
        if (!json_is(v, JSON_STRING))
            return err_set(r->err, MLXE_E_CORRUPT, "%s: __metadata__.%.*s is %s, want a string",
                           r->where, NAME_SHOWN, json_str(key).p, json_type_name(json_typeof(v)));
    return MLXE_OK;
}

/* By place in the file; names make the order of empty tensors at one place definite. */
static int compare_places(const void *a, const void *b)
{
    const mf_tensor *x = a, *y = b;
    size_t n = x->name.n < y->name.n ? x->name.n : y->name.n;
    int order;
    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1;
    order = memcmp(x->name.p, y->name.p, n);
    return order ? order : (x->name.n > y->name.n) - (x->name.n < y->name.n);
}

/* In file order each tensor begins where the one before it ended, and the last ends the file. */
static mlxe_status check_places(const reader *r, const mf_tensor *t, size_t n)
{
    uint64_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (t[i].offset < at)
            return err_set(r->err, MLXE_E_CORRUPT,
                           "%s: %.*s overlaps %.*s: it begins at %llu, want %llu", r->where,
                           NAME_SHOWN, t[i].name.p, NAME_SHOWN, t[i - 1].name.p,
                           (unsigned long long)t[i].offset, (unsigned long long)at);
        if (t[i].offset > at)
            return err_set(r->err, MLXE_E_CORRUPT,
                           "%s: a gap of %llu bytes before %.*s: it begins at %llu, want %llu",
                           r->where, (unsigned long long)(t[i].offset - at), NAME_SHOWN,
                           t[i].name.p, (unsigned long long)t[i].offset, (unsigned long long)at);
        at += t[i].bytes;
    }
    if (at != r->data_bytes)
        return err_set(r->err, MLXE_E_CORRUPT,
                       "%s: has %llu bytes of data that belong to no tensor, want 0", r->where,
                       (unsigned long long)(r->data_bytes - at));
    return MLXE_OK;
}

static mlxe_status read_tensors(const reader *r, const json *root, arena *mem, mf_tensor **out,
                                size_t *n)
{
    mlxe_status status = MLXE_OK;
    json_iter it = json_iterate(root);
    const json *key, *v;
    mf_tensor *t;
    size_t count = 0;
    if (!json_is(root, JSON_OBJECT))
        return err_set(r->err, MLXE_E_CORRUPT, "%s: header is %s, want an object", r->where,
                       json_type_name(json_typeof(root)));
    t = arena_array(mem, json_len(root) + 1, sizeof *t);
    if (!t) return err_memory(r->err, r->where, json_len(root) * sizeof *t);
    while (!status && json_next(&it, &key, &v)) {
        if (strv_is(json_str(key), "__metadata__"))
            status = check_metadata(r, v);
        else
            status = read_tensor(r, json_str(key), v, mem, &t[count++]);
    }
    if (status) return status;
    qsort(t, count, sizeof *t, compare_places);
    status = check_places(r, t, count);
    if (status) return status;
    for (size_t i = 0; i < count; i++)
        t[i].offset += r->data_start;
    *out = t;
    *n = count;
    return MLXE_OK;
}

mlxe_status st_parse(const char *where, const void *head, size_t head_bytes, uint64_t file_bytes,
                     arena *mem, mf_tensor **tensors, size_t *n, mlxe_error *err)
{
    reader r = {.where = where, .err = err};
    const unsigned char *p = head;
    char json_where[300];
    mlxe_status status;
    json_doc *doc = NULL;
    uint64_t length = 0;
    *tensors = NULL;
    *n = 0;
    if (file_bytes < 8)
        return err_set(err, MLXE_E_CORRUPT, "%s: has %llu bytes, want 8 and a header", where,
                       (unsigned long long)file_bytes);
    if (head_bytes < 8) return err_set(err, MLXE_E_ARG, "%s: the header was not read", where);
    if (memcmp(p, "version ", 8) == 0) { /* 2e18 as a length: no file has that */
        status = err_set(err, MLXE_E_CORRUPT, "%s: is a git-lfs pointer, want the weights", where);
        err_hint(err, "run git lfs pull in the folder");
        return status;
    }
    for (int i = 7; i >= 0; i--)
        length = length << 8 | p[i];
    if (length > ST_HEADER_LIMIT_BYTES)
        return err_set(err, MLXE_E_CORRUPT, "%s: header length is %llu, want at most %d", where,
                       (unsigned long long)length, ST_HEADER_LIMIT_BYTES);
    if (length > file_bytes - 8)
        return err_set(err, MLXE_E_CORRUPT,
                       "%s: header length is %llu, but the file has %llu bytes", where,
                       (unsigned long long)length, (unsigned long long)file_bytes);
    if (head_bytes - 8 < length)
        return err_set(err, MLXE_E_ARG, "%s: the header was not read", where);
    r.data_start = 8 + length;
    r.data_bytes = file_bytes - r.data_start;
    snprintf(json_where, sizeof json_where, "%.250s: header", where);
    status = json_parse_unique(json_where, (const char *)p + 8, (size_t)length, &doc, err);
    if (status == MLXE_E_INPUT) {
        status = MLXE_E_CORRUPT;
        if (err) err->code = status;
    }
    if (!status) status = read_tensors(&r, json_root(doc), mem, tensors, n);
    json_close(doc);
    return status;
}
