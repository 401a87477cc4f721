/* sk_cpus.h: how many processors this process may really use.
 *
 * Threads    [any]
 */
#ifndef SK_CPUS_H
#define SK_CPUS_H

/* The processors in the affinity mask, at most the cgroup's CPU quota rounded up; at least 1.
 * cgroup_file lists the cgroups of the process (/proc/self/cgroup), cgroup_root is where their
 * trees are mounted (/sys/fs/cgroup). What cannot be read sets no limit. */
int sk_cpus_usable(const char *cgroup_file, const char *cgroup_root);

#endif
