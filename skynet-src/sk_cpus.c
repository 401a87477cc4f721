/* sk_cpus.c: processors by affinity, and by the quota of the cgroup and of all its parents.
 *
 * A quota is bandwidth (so many microseconds of processor time a period), not a set of processors,
 * and the tightest one on the way to the root counts. cgroup v2 has one tree with "cpu.max"; v1 has
 * a tree for the controller "cpu" with two files. Inside a container the file of cgroups may name a
 * path that is not mounted there; walking up to the root then still finds the container's own
 * quota.
 *
 * Threads  [any]; no state */
#define _GNU_SOURCE /* sched_getaffinity */
#include "sk_cpus.h"

#include "skynet.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Far over what any kernel is built for. */
#define CPUS_MAX (1 << 20)

/* One line of the file of cgroups: "ID:CONTROLLERS:PATH". All in the caller's buffer. */
struct cgroup {
	const char *controllers; /* "" for v2 */
	char *path;
};

static int
online_cpus(void)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	return online > 0 && online <= CPUS_MAX ? (int)online : 1;
}

#if defined(__linux__)
/* The size of the kernel's mask is not told: try until it fits. */
static int
affinity_cpus(void)
{
	for (int cap_cpus = 1024; cap_cpus <= CPUS_MAX; cap_cpus *= 2) {
		size_t size = CPU_ALLOC_SIZE((size_t)cap_cpus);
		cpu_set_t *set = skynet_malloc(size);
		int failure = sched_getaffinity(0, size, set) == 0 ? 0 : errno;
		int count = failure == 0 ? CPU_COUNT_S(size, set) : 0;
		skynet_free(set);
		if (failure == 0)
			return count;
		if (failure != EINVAL)
			break;
	}
	return online_cpus();
}
#else
static int
affinity_cpus(void)
{
	return online_cpus();
}
#endif

static int
cpus_of_quota(long quota_us, long period_us)
{
	if (quota_us <= 0 || period_us <= 0 || quota_us / period_us >= CPUS_MAX)
		return INT_MAX;
	return (int)(quota_us / period_us + (quota_us % period_us != 0));
}

/* Reads one short line. Returns false when there is no such file, or it is empty. */
static bool
read_line(const char *folder, const char *name, char *line, int size)
{
	char path[PATH_MAX];
	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
		return false;
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return false;
	bool has_line = fgets(line, size, file) != NULL;
	(void)fclose(file); /* only read from */
	return has_line;
}

/* "QUOTA PERIOD", or "max PERIOD" */
static int
quota_v2(const char *folder)
{
	char line[64];
	if (!read_line(folder, "cpu.max", line, sizeof(line)))
		return INT_MAX;
	char *end;
	long quota_us = strtol(line, &end, 10);
	return end != line ? cpus_of_quota(quota_us, strtol(end, NULL, 10)) : INT_MAX;
}

/* A quota of -1 is none. */
static int
quota_v1(const char *folder)
{
	char quota[64];
	char period[64];
	if (!read_line(folder, "cpu.cfs_quota_us", quota, sizeof(quota)) ||
	    !read_line(folder, "cpu.cfs_period_us", period, sizeof(period)))
		return INT_MAX;
	return cpus_of_quota(strtol(quota, NULL, 10), strtol(period, NULL, 10));
}

/* The tightest quota from the folder tree/path up to the tree itself. path: is shortened. */
static int
tightest_quota(const char *tree, char *path, int (*quota)(const char *folder))
{
	int cpus = INT_MAX;
	for (;;) {
		char folder[PATH_MAX];
		int length = snprintf(folder, sizeof(folder), "%s%s", tree, path);
		int here = length < (int)sizeof(folder) ? quota(folder) : INT_MAX;
		if (here < cpus)
			cpus = here;
		char *slash = strrchr(path, '/');
		if (slash == NULL)
			return cpus;
		*slash = '\0';
	}
}

static bool
has_controller(const char *list, const char *name)
{
	size_t length = strlen(name);
	for (;;) {
		size_t item = strcspn(list, ",");
		if (item == length && memcmp(list, name, length) == 0)
			return true;
		if (list[item] == '\0')
			return false;
		list += item + 1;
	}
}

static bool
split_line(char *line, struct cgroup *group)
{
	char *controllers = strchr(line, ':');
	char *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
	if (path == NULL)
		return false;
	*path++ = '\0';
	path[strcspn(path, "\n")] = '\0';
	group->controllers = controllers + 1;
	group->path = path;
	return true;
}

static int
cgroup_quota(const char *root, const struct cgroup *group)
{
	if (group->controllers[0] == '\0')
		return tightest_quota(root, group->path, quota_v2);
	if (!has_controller(group->controllers, "cpu"))
		return INT_MAX;
	/* The tree's folder is called after all its controllers, with a link for each. */
	char tree[PATH_MAX];
	if (snprintf(tree, sizeof(tree), "%s/cpu", root) >= (int)sizeof(tree))
		return INT_MAX;
	return tightest_quota(tree, group->path, quota_v1);
}

static int
quota_cpus(const char *cgroup_file, const char *cgroup_root)
{
	FILE *file = fopen(cgroup_file, "re");
	if (file == NULL)
		return INT_MAX;
	int cpus = INT_MAX;
	char line[PATH_MAX];
	while (fgets(line, sizeof(line), file) != NULL) {
		struct cgroup group;
		int here = split_line(line, &group) ? cgroup_quota(cgroup_root, &group) : INT_MAX;
		if (here < cpus)
			cpus = here;
	}
	(void)fclose(file); /* only read from */
	return cpus;
}

int
sk_cpus_usable(const char *cgroup_file, const char *cgroup_root)
{
	int cpus = affinity_cpus();
	int quota = quota_cpus(cgroup_file, cgroup_root);
	if (quota < cpus)
		cpus = quota;
	return cpus > 1 ? cpus : 1;
}
