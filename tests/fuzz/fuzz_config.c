/* fuzz_config.c: mf_open over a folder whose files come from the input, split at "\n----\n":
 *
 *   config.json ---- model.safetensors.index.json ---- a.safetensors ---- b.safetensors
 *
 * With fewer than three parts there is no index, and the second part is model.safetensors. */
#define _XOPEN_SOURCE 700
#include "files/model_files.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char MARK[] = "\n----\n";
static const char *const INDEXED[] = {"config.json", "model.safetensors.index.json",
                                      "a.safetensors", "b.safetensors"};
static const char *const SINGLE[] = {"config.json", "model.safetensors"};
static char folder[200];

static void in_folder(char *path, size_t cap, const char *name)
{
    snprintf(path, cap, "%s/%s", folder, name);
}

static void put(const char *name, strv content)
{
    char path[300];
    int fd;
    in_folder(path, sizeof path, name);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, content.p, content.n) != (ssize_t)content.n || close(fd)) abort();
}

static void clear(void)
{
    char path[300];
    for (size_t i = 0; i < 4; i++) {
        in_folder(path, sizeof path, INDEXED[i]);
        unlink(path);
    }
    in_folder(path, sizeof path, SINGLE[1]);
    unlink(path);
}

static void remove_folder(void)
{
    clear();
    rmdir(folder);
}

/* Up to 4 parts, the last takes the rest. -> parts */
static size_t split(strv text, strv *parts)
{
    size_t n = 0, from = 0;
    for (size_t i = 0; i + sizeof MARK - 1 <= text.n && n < 3; i++) {
        if (memcmp(text.p + i, MARK, sizeof MARK - 1) != 0) continue;
        parts[n++] = strv_from(text.p + from, i - from);
        from = i + sizeof MARK - 1;
        i = from - 1;
    }
    parts[n++] = strv_from(text.p + from, text.n - from);
    return n;
}

static void use(model_files *f)
{
    uint64_t total = 0;
    for (size_t i = 0; i < mf_count(f); i++) {
        const mf_tensor *t = mf_at(f, i);
        const void *p = NULL;
        unsigned char sum = 0;
        if (mf_data(f, t, &p, NULL)) abort();
        for (uint64_t k = 0; k < t->bytes; k++)
            sum ^= ((const unsigned char *)p)[k];
        total += t->bytes + (sum & 0u);
        if (!memchr(t->name.p, 0, t->name.n) && mf_find(f, t->name.p) != t) abort();
        if (!mf_file_name(f, t->file)) abort();
    }
    if (total != mf_weight_bytes(f)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    strv parts[4];
    size_t n = split(strv_from((const char *)data, size), parts);
    model_files *f;
    mlxe_error err = {MLXE_OK, "", ""};
    mlxe_status status;
    if (!folder[0]) {
        snprintf(folder, sizeof folder, "%s/mlxe-fuzz.XXXXXX", P_tmpdir);
        if (!mkdtemp(folder)) abort();
        atexit(remove_folder);
    }
    clear();
    for (size_t i = 0; i < n; i++)
        put(n < 3 ? SINGLE[i] : INDEXED[i], parts[i]);
    status = mf_open(folder, size % 2 ? FS_MAP : FS_READ, &f, &err);
    if (status) {
        if (f || err.code != status || !err.message[0]) abort();
        return 0;
    }
    use(f);
    mf_close(f);
    return 0;
}
