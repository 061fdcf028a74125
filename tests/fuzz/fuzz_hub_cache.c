/* fuzz_hub_cache.c: small files of the cache that another program, or a person, may have written.
 *
 *   first byte  r  refs/main            s  the sidecar of a partial file, which is then adopted
 *               t  stored_tokens        k  the token itself, with its file beside
 *   the rest    the file
 *
 * What is taken of a ref is a commit, whatever stands there; a partial file that is adopted has
 * sensible chunks; no token leaves in a log line. */
#define _XOPEN_SOURCE 700
#include "base/fs.h"
#include "hub/cache.h"
#include "hub/config.h"
#include "hub/partial.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ETAG "0123456789012345678901234567890123456789"
#define NAME ETAG ".01234567.incomplete"

enum { SIZE = 100 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char top[64];

static const char *at(const char *relative)
{
    static char room[4][300];
    static unsigned turn;
    char *out = room[turn++ % 4];
    snprintf(out, sizeof room[0], "%s/%s", top, relative);
    return out;
}

static void make_top(void)
{
    static const char *const FOLDERS[] = {"repo", "repo/refs", "repo/blobs", "repo/.partial"};
    strcpy(top, "/tmp/fuzz-cache-XXXXXX");
    if (!mkdtemp(top)) abort();
    for (size_t i = 0; i < sizeof FOLDERS / sizeof *FOLDERS; i++)
        if (mkdir(at(FOLDERS[i]), 0777)) abort();
}

static void put(const char *relative, const uint8_t *p, size_t n)
{
    int fd = open(at(relative), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (fd < 0 || write(fd, p, n) != (ssize_t)n) abort();
    close(fd);
}

static const char *variable(void *user, const char *name)
{
    (void)user;
    if (!strcmp(name, "HF_HOME")) return top;
    return NULL;
}

static void on_log(void *user, mlxe_log_level level, const char *line)
{
    (void)user;
    (void)level;
    if (strstr(line, "hf_secret")) abort();
}

static void read_ref(void)
{
    char commit[HUB_COMMIT_CHARS + 1];
    if (!cache_ref_read(at("repo"), STRV("main"), commit, NULL) && !hub_is_commit(strv_of(commit)))
        abort();
}

static void adopt_partial(const uint8_t *data, size_t size)
{
    partial *p;
    put("repo/blobs/" NAME, data, size < SIZE ? size : SIZE);
    if (partial_open(at("repo"), STRV(ETAG), SIZE, 30, &p, NULL)) abort();
    if (!p->n_chunks || !p->chunk_bytes || partial_bytes(p) > SIZE) abort();
    partial_close(p, PARTIAL_DROP);
    unlink(at("repo/blobs/" NAME));
    unlink(at("repo/.partial/" NAME ".json"));
    unlink(at("repo/.partial/" NAME ".map"));
}

static void read_tokens(void)
{
    const log_sink log = {on_log, NULL, MLXE_LOG_DEBUG};
    hub_config config;
    if (!config_read(variable, NULL, &log, &config, NULL)) config_deinit(&config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t TOKEN[] = "hf_secret";
    if (!*top) make_top();
    if (size < 1) return 0;
    switch (data[0]) {
    case 'r':
        put("repo/refs/main", data + 1, size - 1);
        read_ref();
        break;
    case 's':
        put("repo/.partial/" NAME ".json", data + 1, size - 1);
        if (size > 9) put("repo/.partial/" NAME ".map", data + size - 8, 8);
        adopt_partial(data + 1, size - 1);
        break;
    case 't':
        put("token", TOKEN, sizeof TOKEN - 1);
        put("stored_tokens", data + 1, size - 1);
        read_tokens();
        break;
    case 'k':
        put("token", data + 1, size - 1);
        read_tokens();
        break;
    default:
        break;
    }
    return 0;
}
