/* safetensors_write.c: writing a safetensors file, streamed and atomic.
 *
 * Owns: the header of a new file and the count of its bytes. Tensors lie in the order given,
 * without gaps; the header is padded with spaces to a multiple of 8 bytes, so that data begins
 * aligned. A caller who gives wide types first keeps every tensor aligned to its own type.
 *
 * "format": "mlx" is what mlx-lm writes and what transformers looks for. */
#include "files/safetensors.h"

#include <stdio.h>
#include <stdlib.h>

struct st_writer {
    fs_writer *file;
    uint64_t left;  /* bytes of data still to come */
    char path[256]; /* for messages */
};

/* Bytes of one entry, every step checked against what a file offset can hold. */
static mlxe_status entry_bytes(const char *path, const st_entry *e, uint64_t *out, mlxe_error *err)
{
    uint64_t n = 1;
    const char *wrong = NULL;
    if (mf_dtype_bits(e->dtype) == 0)
        wrong = "has no known dtype";
    else if (e->n_dims < 0 || e->n_dims > MF_MAX_DIMS)
        wrong = "has too many dims, want 0..8";
    else if (strcmp(e->name, "__metadata__") == 0)
        wrong = "is no name for a tensor";
    for (int i = 0; !wrong && i < e->n_dims; i++) {
        if (e->shape[i] < 0)
            wrong = "has a negative dim";
        else if (e->shape[i] && n > (uint64_t)INT64_MAX / 64 / (uint64_t)e->shape[i])
            wrong = "is too large";
        else
            n *= (uint64_t)e->shape[i];
    }
    if (wrong) return err_set(err, MLXE_E_ARG, "%s: %.200s %s", path, e->name, wrong);
    *out = n * (uint64_t)mf_dtype_bits(e->dtype) / 8;
    return MLXE_OK;
}

static void write_entry(buf *b, const st_entry *e, uint64_t begin, uint64_t end)
{
    json_write_str(b, strv_of(e->name));
    buf_addf(b, ":{\"dtype\":\"%s\",\"shape\":[", mf_dtype_name(e->dtype));
    for (int i = 0; i < e->n_dims; i++) {
        if (i) buf_add_char(b, ',');
        json_write_int(b, e->shape[i]);
    }
    buf_add_str(b, "],\"data_offsets\":[");
    json_write_uint(b, begin);
    buf_add_char(b, ',');
    json_write_uint(b, end);
    buf_add_str(b, "]}");
}

/* What was written is read as any other file: a repeated name or broken name is found here. */
static mlxe_status check_header(const char *path, const buf *b, uint64_t data_bytes,
                                mlxe_error *err)
{
    arena mem = {0};
    mf_tensor *t;
    size_t n;
    mlxe_status status = st_parse(path, b->p, b->n, (uint64_t)b->n + data_bytes, &mem, &t, &n, err);
    arena_deinit(&mem);
    if (status == MLXE_E_CORRUPT || status == MLXE_E_UNSUPPORTED) {
        status = MLXE_E_ARG;
        if (err) err->code = status;
    }
    return status;
}

mlxe_status st_writer_open(const char *path, const st_entry *entries, size_t n, st_writer **out,
                           mlxe_error *err)
{
    static const char LENGTH[8] = {0};
    mlxe_status status = MLXE_OK;
    uint64_t at = 0, bytes = 0;
    buf head = {0};
    st_writer *w = calloc(1, sizeof *w);
    *out = NULL;
    if (!w) return err_memory(err, path, sizeof *w);
    snprintf(w->path, sizeof w->path, "%s", path);
    buf_add(&head, LENGTH, sizeof LENGTH);
    buf_add_str(&head, "{\"__metadata__\":{\"format\":\"mlx\"}");
    for (size_t i = 0; i < n; i++) {
        status = entry_bytes(path, &entries[i], &bytes, err);
        if (!status && at > (uint64_t)INT64_MAX / 2 - bytes)
            status = err_set(err, MLXE_E_ARG, "%s: is too large", path);
        if (status) goto out;
        buf_add_char(&head, ',');
        write_entry(&head, &entries[i], at, at + bytes);
        at += bytes;
    }
    buf_add_char(&head, '}');
    while (buf_ok(&head) && head.n % 8)
        buf_add_char(&head, ' ');
    if (!buf_ok(&head)) {
        status = err_memory(err, path, head.n);
        goto out;
    }
    for (int i = 0; i < 8; i++)
        head.p[i] = (char)((uint64_t)(head.n - 8) >> (8 * i) & 0xFF);
    status = check_header(path, &head, at, err);
    if (!status) status = fs_writer_open(path, &w->file, err);
    if (!status) status = fs_writer_add(w->file, head.p, head.n, err);
    w->left = at;
out:
    buf_deinit(&head);
    if (status) {
        st_writer_close(w);
        return status;
    }
    *out = w;
    return MLXE_OK;
}

mlxe_status st_writer_add(st_writer *w, const void *p, size_t n, mlxe_error *err)
{
    mlxe_status status;
    if (n > w->left)
        return err_set(err, MLXE_E_STATE, "%s: %zu bytes given, only %llu are left to write",
                       w->path, n, (unsigned long long)w->left);
    status = fs_writer_add(w->file, p, n, err);
    if (!status) w->left -= n;
    return status;
}

mlxe_status st_writer_commit(st_writer *w, mlxe_error *err)
{
    if (w->left)
        return err_set(err, MLXE_E_STATE, "%s: %llu bytes of its tensors were not given", w->path,
                       (unsigned long long)w->left);
    return fs_writer_commit(w->file, err);
}

void st_writer_close(st_writer *w)
{
    if (!w) return;
    fs_writer_close(w->file);
    free(w);
}
