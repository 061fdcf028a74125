/* device.c: physical memory and the limits of control groups.
 *
 *   sysconf -> /proc/self/cgroup names a group -> the limit of it and of each group above, in the
 *   files of version 2 ("0::/a/b") and of version 1 ("4:memory:/a/b")
 *
 * Traps: in a container the group's path may be one of the host, where no such folder is: the limit
 * is then that of the root that is seen. Version 1 writes a number near 2^63 for no limit. */
#define _DEFAULT_SOURCE
#include "registry/device.h"

#include "base/buf.h"
#include "base/fs.h"

#include <string.h>
#include <unistd.h>

/* A file that holds one number; 0: none, or "max". */
static uint64_t number_in(const char *path)
{
    buf text = {0};
    uint64_t n = 0;
    if (!fs_read(path, 64, &text, NULL))
        for (const char *p = buf_str(&text); *p >= '0' && *p <= '9' && n < UINT64_MAX / 16; p++)
            n = n * 10 + (uint64_t)(*p - '0');
    buf_deinit(&text);
    return n;
}

static void at_most(uint64_t *memory, uint64_t limit)
{
    if (limit && limit < *memory) *memory = limit;
}

/* Limits of the group that a line of /proc/self/cgroup names, and of those above it. group: "/a/b".
 */
static void limit_by_groups(const char *root, strv group, const char *file, uint64_t *memory)
{
    buf path = {0};
    for (;;) {
        buf_clear(&path);
        buf_add_str(&path, root);
        buf_add_strv(&path, group);
        buf_add_char(&path, '/');
        buf_add_str(&path, file);
        if (!buf_ok(&path)) break;
        at_most(memory, number_in(buf_str(&path)));
        if (!group.n) break;
        while (group.n && group.p[--group.n] != '/') {}
    }
    buf_deinit(&path);
}

static strv line_after(const char *text, const char *head)
{
    const char *at = strstr(text, head);
    if (!at) return (strv){0};
    at += strlen(head);
    return strv_from(at, strcspn(at, "\n"));
}

uint64_t device_memory_bytes(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    uint64_t memory = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
    buf groups = {0};
    if (memory && !fs_read("/proc/self/cgroup", 0, &groups, NULL)) {
        limit_by_groups("/sys/fs/cgroup", line_after(buf_str(&groups), "0::"), "memory.max",
                        &memory);
        limit_by_groups("/sys/fs/cgroup/memory", line_after(buf_str(&groups), ":memory:"),
                        "memory.limit_in_bytes", &memory);
    }
    buf_deinit(&groups);
    return memory;
}
