/* cpus.c: how many CPUs this process may really use.
 *
 * The affinity mask says where it may run; a cgroup quota says for how long: a container that has
 * 64 CPUs and a quota of 2 is stopped most of the time when it runs 64 threads. Both kinds of
 * cgroup files are read, the process's own group and every group above it, the least quota wins.
 *
 *   /proc/self/cgroup   "0::/a/b" (v2)   or   "4:cpu,cpuacct:/a/b" (v1)
 *   v2  <root>/a/b/cpu.max            "max 100000" or "150000 100000" (quota and period in us)
 *   v1  <root>/cpu/a/b/cpu.cfs_quota_us (-1: none) and cpu.cfs_period_us
 *
 * In a container the path of the host may not exist below the mount: then only the groups that do
 * exist count, the root at last. A quota of 1.5 CPUs counts as 2. Source: cgroups(7), kernel
 * Documentation/admin-guide/cgroup-v2.rst, sched-bwc.rst. */
#define _GNU_SOURCE
#include "kernels/internal.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_CAP 4096

/* First line of dir + name, cut at cap. -> 0 when there is none */
static int first_line(const char *dir, const char *name, char *line, int cap)
{
    char path[2 * PATH_CAP];
    FILE *file;
    int ok;
    int n = snprintf(path, sizeof path, "%s/%s", dir, name);
    if (n < 0 || (size_t)n >= sizeof path) return 0;
    file = fopen(path, "re");
    if (!file) return 0;
    ok = fgets(line, cap, file) != NULL;
    fclose(file);
    return ok;
}

static int quota_cpus(long long quota, long long period)
{
    long long cpus;
    if (quota <= 0 || period <= 0) return 0;
    cpus = (quota + period - 1) / period;
    return cpus > 1 << 20 ? 0 : (int)cpus;
}

/* Quota of one group's folder in whole CPUs; 0: none. */
static int group_quota(const char *dir, int v2)
{
    char line[128], *end;
    long long quota, period = 0;
    if (v2) {
        if (!first_line(dir, "cpu.max", line, sizeof line)) return 0;
        quota = strtoll(line, &end, 10); /* "max" reads as 0 */
        if (end != line) period = strtoll(end, NULL, 10);
        return quota_cpus(quota, period);
    }
    if (!first_line(dir, "cpu.cfs_quota_us", line, sizeof line)) return 0;
    quota = strtoll(line, NULL, 10);
    if (!first_line(dir, "cpu.cfs_period_us", line, sizeof line)) return 0;
    return quota_cpus(quota, strtoll(line, NULL, 10));
}

/* The least quota of base + path and of all folders between; 0: none. */
static int least_quota(const char *base, const char *path, int v2)
{
    char dir[PATH_CAP];
    size_t root = strlen(base);
    int least = 0;
    int n = snprintf(dir, sizeof dir, "%s%s", base, path);
    if (n < 0 || (size_t)n >= sizeof dir) return 0;
    for (;;) {
        char *cut;
        int quota = group_quota(dir, v2);
        if (quota && (!least || quota < least)) least = quota;
        cut = strrchr(dir + root, '/');
        if (!cut) return least;
        *cut = 0;
    }
}

/* Whether a comma-separated list has the word "cpu". */
static int lists_cpu(const char *list, size_t n)
{
    const char *end = list + n;
    while (list < end) {
        const char *comma = memchr(list, ',', (size_t)(end - list));
        size_t word = (size_t)((comma ? comma : end) - list);
        if (word == 3 && !memcmp(list, "cpu", 3)) return 1;
        list += word + 1;
    }
    return 0;
}

int kn_cgroup_cpus(const char *proc_cgroup, const char *root)
{
    char line[PATH_CAP], base[PATH_CAP];
    int least = 0;
    FILE *file = fopen(proc_cgroup, "re");
    if (!file) return 0;
    while (fgets(line, sizeof line, file)) {
        int v2, quota, n;
        char *names = strchr(line, ':');
        char *path = names ? strchr(names + 1, ':') : NULL;
        if (!path) continue;
        path[strcspn(path, "\n")] = 0;
        v2 = path == names + 1;
        if (!v2 && !lists_cpu(names + 1, (size_t)(path - names - 1))) continue;
        n = snprintf(base, sizeof base, "%s%s", root, v2 ? "" : "/cpu");
        if (n < 0 || (size_t)n >= sizeof base) continue;
        quota = least_quota(base, path + 1, v2);
        if (quota && (!least || quota < least)) least = quota;
    }
    fclose(file);
    return least;
}

int kn_usable_cpus(void)
{
    int cpus = 0, quota;
#if defined(__linux__)
    cpu_set_t set;
    if (!sched_getaffinity(0, sizeof set, &set)) cpus = CPU_COUNT(&set);
#endif
    if (cpus < 1) cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (cpus < 1) cpus = 1;
    quota = kn_cgroup_cpus("/proc/self/cgroup", "/sys/fs/cgroup");
    if (quota && quota < cpus) cpus = quota;
    return cpus > KN_MAX_THREADS ? KN_MAX_THREADS : cpus;
}
