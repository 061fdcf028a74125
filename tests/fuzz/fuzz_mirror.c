/* fuzz_mirror.c: requests to the mirror, without sockets: target, headers and body from the input.
 *
 *   line 1: method SP target      line 2: Range    line 3: If-Range    line 4: If-None-Match
 *   line 5: Authorization         line 6: Host     line 7: Content-Type    the rest: body
 *
 * The root is a folder made once: a repository of each layout, a planted link out of it. A reply
 * that holds the word behind that link is a crash. */
#define _XOPEN_SOURCE 700
#include "hub/mirror/mirror.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define COMMIT "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
/* Control characters, which no message repeats: what a request says cannot be taken for it. */
static const char SECRET[] = "\x01\x02 behind the link \x03";

static mirror *served;
static char top[64];

static void put(const char *relative, const char *text)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", top, relative);
    for (char *p = path + strlen(top) + 1; *p; p++) {
        if (*p != '/') continue;
        *p = 0;
        mkdir(path, 0777);
        *p = '/';
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (fd < 0 || write(fd, text, strlen(text)) < 0) abort();
    close(fd);
}

static void link_to(const char *target, const char *relative)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", top, relative);
    if (symlink(target, path)) abort();
}

static void make_root(void)
{
    static const char TREE[] =
        "{\"format_version\":1,\"files\":{\"a/x.txt\":{\"size\":3,\"blob_id\":"
        "\"0123456789012345678901234567890123456789\"}}}";
    char path[100];
    strcpy(top, "/tmp/fuzz-mirror-XXXXXX");
    if (!mkdtemp(top)) abort();
    put("secret", SECRET);
    put("root/org/plain/config.json", "{\"model_type\":\"llama\"}");
    put("root/org/plain/README.md", "---\ntags: [mlx]\nlicense: mit\n---\n");
    put("root/models--org--cached/refs/main", COMMIT);
    put("root/models--org--cached/refs/refs/pr/1", COMMIT);
    put("root/models--org--cached/blobs/0123456789012345678901234567890123456789", "abc");
    put("root/models--org--cached/snapshots/" COMMIT "/a/none", "");
    put("root/models--org--cached/trees/" COMMIT ".json", TREE);
    link_to("../../../blobs/0123456789012345678901234567890123456789",
            "root/models--org--cached/snapshots/" COMMIT "/a/x.txt");
    link_to("../../../../secret", "root/models--org--cached/snapshots/" COMMIT "/secret");
    link_to("../../../secret", "root/org/plain/secret");
    snprintf(path, sizeof path, "%s/root", top);
    const log_sink silent = {0};
    served = calloc(1, sizeof *served);
    if (!served || hashes_open(NULL, &silent, &served->hashes, NULL)) abort();
    served->root = strdup(path);
    served->hash_wait_ms = 1000;
}

/* The next line of the input as text, or NULL when it is empty. */
static char *take_line(const uint8_t **p, size_t *n)
{
    const uint8_t *end = *n ? memchr(*p, '\n', *n) : NULL;
    size_t bytes = end ? (size_t)(end - *p) : *n;
    char *line = bytes ? strv_dup(strv_from((const char *)*p, bytes)) : NULL;
    *p += bytes + (end != NULL);
    *n -= bytes + (end != NULL);
    return line;
}

static int holds_secret(const char *p, size_t n)
{
    for (size_t i = 0; i + sizeof SECRET - 1 <= n; i++)
        if (memcmp(p + i, SECRET, sizeof SECRET - 1) == 0) return 1;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *lines[7], sent[64];
    mirror_reply reply = {.fd = -1};
    if (!served) make_root();
    for (size_t i = 0; i < 7; i++)
        lines[i] = take_line(&data, &n);
    char *space = lines[0] ? strchr(lines[0], ' ') : NULL;
    if (space) *space = 0;
    const mirror_call call = {.method = lines[0] ? lines[0] : "GET",
                              .target = space ? space + 1 : "/",
                              .range = lines[1],
                              .if_range = lines[2],
                              .if_none_match = lines[3],
                              .authorization = lines[4],
                              .host = lines[5],
                              .content_type = lines[6],
                              .body = strv_from((const char *)data, n)};
    mirror_answer(served, &call, &reply);
    if (reply.status < 200 || reply.status > 599) abort();
    if (holds_secret(buf_str(&reply.body), reply.body.n)) abort();
    if (reply.fd >= 0) {
        struct stat info;
        ssize_t got = pread(reply.fd, sent, sizeof sent, 0);
        if (got > 0 && holds_secret(sent, (size_t)got)) abort();
        if (fstat(reply.fd, &info) || reply.from + reply.bytes > (uint64_t)info.st_size) abort();
    }
    reply_deinit(&reply);
    for (size_t i = 0; i < 7; i++)
        free(lines[i]);
    return 0;
}
