/* fuzz_mirror_weights.c: the safetensors files of a repository that the mirror counts parameters
 * of: the input is one, and beside it lies a good one.
 *
 * What is told is a member of a JSON object whose total is the sum of its parameters. */
#define _XOPEN_SOURCE 700
#include "base/json.h"
#include "hub/mirror/mirror.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char top[64];
static mirror served;
static mirror_repo repo = {.type = HUB_MODEL, .id = "org/w", .is_plain = 1};

static void put(const char *name, const void *p, size_t n)
{
    char path[200];
    snprintf(path, sizeof path, "%s/org/w/%s", top, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (fd < 0 || write(fd, p, n) != (ssize_t)n) abort();
    close(fd);
}

static void make_root(void)
{
    static const char GOOD[] = "\x30\0\0\0\0\0\0\0"
                               "{\"a\":{\"dtype\":\"F16\",\"shape\":[3],\"x\":1}}     ";
    char path[200];
    strcpy(top, "/tmp/fuzz-weights-XXXXXX");
    if (!mkdtemp(top)) abort();
    snprintf(path, sizeof path, "%s/org", top);
    if (mkdir(path, 0777)) abort();
    snprintf(path, sizeof path, "%s/org/w", top);
    if (mkdir(path, 0777)) abort();
    put("good.safetensors", GOOD, sizeof GOOD - 1);
    served.root = top;
    repo.path = strdup(path);
}

static void check(const buf *told)
{
    buf text = {0};
    json_doc *doc = NULL;
    const json *key, *value, *counts;
    int64_t total = 0;
    buf_add_str(&text, "{\"id\":0");
    buf_add_strv(&text, buf_view(told));
    buf_add_char(&text, '}');
    if (json_parse("told", buf_str(&text), text.n, &doc, NULL)) abort();
    counts = json_get(json_root(doc), "safetensors");
    json_iter it = json_iterate(json_get(counts, "parameters"));
    while (json_next(&it, &key, &value))
        total += json_int(value);
    if (total != json_int(json_get(counts, "total")) || total < 3) abort();
    json_close(doc);
    buf_deinit(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    buf told = {0};
    if (!*top) make_root();
    put("fuzzed.safetensors", data, size);
    weights_add(&told, &served, &repo, "");
    if (told.n) check(&told);
    buf_deinit(&told);
    return 0;
}
