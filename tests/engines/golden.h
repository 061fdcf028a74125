/* golden.h: opening what tests/golden holds: model folders, expected tensors, lists. */
#ifndef TESTS_GOLDEN_H
#define TESTS_GOLDEN_H

#include "base/fs.h"
#include "engines/engine.h"
#include "files/safetensors.h"
#include "kernels/kernels.h"
#include "kernels/pool.h"
#include "mx/mx.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GOLDEN_DIR  MLXE_SOURCE_DIR "/tests/golden"
#define PLUGIN_PATH MLXE_BUILD_DIR "/lib/libmlxengine-mlx-cpu.so"

static inline int runtime_start_with(int threads)
{
    mlxe_error err;
    if (kn_init(getenv("MLXE_ISA"), &err) || kn_pool_start(threads, &err) ||
        mx_runtime_start(PLUGIN_PATH, NULL, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    return 0;
}

typedef struct opened {
    model_files *files;
    eng_model *model;
    eng_caps caps;
} opened;

static inline mlxe_status opened_open_with(const char *folder, const eng_options *options,
                                           opened *o, mlxe_error *err)
{
    mlxe_status rc;
    *o = (opened){0};
    if ((rc = mf_open(folder, FS_AUTO, &o->files, err))) return rc;
    if ((rc = engine_mlx.open(o->files, options, NULL, &o->model, err))) {
        mf_close(o->files);
        return rc;
    }
    engine_mlx.capabilities(o->model, &o->caps);
    return MLXE_OK;
}

static inline mlxe_status opened_open(const char *folder, opened *o, mlxe_error *err)
{
    const eng_options precise = {.precision = MLXE_PRECISION_F32}; /* as the goldens were made */
    return opened_open_with(folder, &precise, o, err);
}

static inline void opened_close(opened *o)
{
    engine_mlx.close(o->model);
    mf_close(o->files);
}

/* expected.safetensors of a case. */
typedef struct expected {
    buf file;
    arena mem;
    const int32_t *ids, *greedy;
    const float *logits;
    int32_t n_ids, n_greedy, vocab;
} expected;

static inline void expected_open(const char *folder, expected *e)
{
    mf_tensor *t;
    size_t n;
    buf path = {0};
    mlxe_error err;
    *e = (expected){0};
    assert_int_equal(fs_read(fs_join(&path, folder, "expected.safetensors"), 0, &e->file, &err),
                     MLXE_OK);
    assert_int_equal(st_parse("expected", e->file.p, e->file.n, e->file.n, &e->mem, &t, &n, &err),
                     MLXE_OK);
    for (size_t i = 0; i < n; i++) {
        const void *p = e->file.p + t[i].offset;
        if (strv_is(t[i].name, "ids")) e->ids = p, e->n_ids = (int32_t)t[i].shape[0];
        if (strv_is(t[i].name, "logits")) e->logits = p, e->vocab = (int32_t)t[i].shape[1];
        if (strv_is(t[i].name, "greedy_ids")) e->greedy = p, e->n_greedy = (int32_t)t[i].shape[0];
    }
    assert_non_null(e->ids);
    assert_non_null(e->logits);
    assert_non_null(e->greedy);
    buf_deinit(&path);
}

static inline void expected_close(expected *e)
{
    buf_deinit(&e->file);
    arena_deinit(&e->mem);
}

/* Lines of a text file, NUL-terminated in place; the caller keeps the buffer. */
static inline char *next_line(char **at)
{
    char *line = *at, *end;
    if (!*line) return NULL;
    end = strchr(line, '\n');
    if (end) *end = 0;
    *at = end ? end + 1 : line + strlen(line);
    return line;
}

static inline double relative_rms(const float *got, const float *want, size_t n)
{
    double e = 0, s = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)got[i] - want[i];
        e += d * d;
        s += (double)want[i] * want[i];
    }
    return sqrt(e / s);
}

/* Runs ids through a fresh row in chunks; logits f32 [n,V] into out. */
static inline mlxe_status forward_chunks(opened *o, const int32_t *ids, int32_t n, int32_t chunk,
                                         float *out, mlxe_error *err)
{
    eng_kv *kv;
    mlxe_status rc = engine_mlx.kv_open(o->model, &kv, err);
    for (int32_t at = 0; at < n && !rc; at += chunk) {
        eng_row row = {.kv = kv,
                       .ids = ids + at,
                       .n = n - at < chunk ? n - at : chunk,
                       .total = n,
                       .want = ENG_WANT_ALL};
        rc = engine_mlx.step(o->model, &row, 1, NULL, err);
        if (!rc)
            memcpy(out + (size_t)at * (size_t)o->caps.vocab, row.logits,
                   (size_t)row.n * (size_t)o->caps.vocab * sizeof *out);
    }
    engine_mlx.kv_close(kv);
    return rc;
}

#endif
