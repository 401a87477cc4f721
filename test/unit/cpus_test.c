/* cpus_test.c: CPU quotas from made-up cgroup trees. The processors of this machine are many enough
 * for one case only: a quota of less than one processor is one. So the trees are compared with what
 * a tree without any limit gives. */
#define _GNU_SOURCE /* sched_setaffinity */
#include "sk_cpus.h"

#include "unit.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/cpus_test-XXXXXX";

static int
enter_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) != NULL && chdir(folder) == 0 ? 0 : -1;
}

static int
remove_folder(void **state)
{
	(void)state;
	char command[sizeof(folder) + 16];
	(void)snprintf(command, sizeof(command), "rm -r '%s'", folder);
	return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

static void
write_file(const char *path, const char *text)
{
	char parent[256];
	for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		(void)snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
		(void)mkdir(parent, 0755); /* may exist */
	}
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static int
without_quota(void)
{
	return sk_cpus_usable("/nonexistent", "/nonexistent");
}

static int
at_most(int quota)
{
	int cpus = without_quota();
	return quota < cpus ? quota : cpus;
}

static void
test_affinity_counts(void **state)
{
	(void)state;
	cpu_set_t all;
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	assert_int_equal(without_quota(), CPU_COUNT(&all));
	cpu_set_t one;
	CPU_ZERO(&one);
	int first = 0;
	while (!CPU_ISSET(first, &all))
		first++;
	CPU_SET(first, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	assert_int_equal(without_quota(), 1);
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
}

static void
test_v2_quota_is_rounded_up(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int cpus;
	} rows[] = {
		{"max 100000\n", 1 << 20},
		{"100000 100000\n", 1},
		{"100001 100000\n", 2},
		{"150000 100000\n", 2},
		{"10000 100000\n", 1},
		{"300000 100000\n", 3},
		{"nonsense\n", 1 << 20},
		{"-1 100000\n", 1 << 20},
		{"100000 0\n", 1 << 20},
		{"100000\n", 1 << 20},
		{"", 1 << 20},
		{"9223372036854775807 1\n", 1 << 20},
	};
	write_file("v2/list", "0::/a/b\n");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		write_file("v2/tree/a/b/cpu.max", rows[i].text);
		assert_int_equal(sk_cpus_usable("v2/list", "v2/tree"), at_most(rows[i].cpus));
	}
}

static void
test_v2_tightest_parent_counts(void **state)
{
	(void)state;
	write_file("parents/list", "0::/a/b/c\n");
	write_file("parents/tree/a/b/c/cpu.max", "max 100000\n");
	write_file("parents/tree/a/cpu.max", "100000 100000\n");
	assert_int_equal(sk_cpus_usable("parents/list", "parents/tree"), 1);
	/* In a container only the root of its tree may be there. */
	write_file("root/list", "0::/../../elsewhere\n");
	write_file("root/tree/cpu.max", "50000 100000\n");
	assert_int_equal(sk_cpus_usable("root/list", "root/tree"), 1);
}

static void
test_v1_quota(void **state)
{
	(void)state;
	write_file("v1/list", "5:memory:/x\n4:cpuset,cpuacct:/x\n3:cpuacct,cpu:/x/y\n0::/\n");
	assert_int_equal(sk_cpus_usable("v1/list", "v1/tree"), without_quota());
	write_file("v1/tree/cpu/x/cpu.cfs_quota_us", "100000\n");
	write_file("v1/tree/cpu/x/cpu.cfs_period_us", "100000\n");
	assert_int_equal(sk_cpus_usable("v1/list", "v1/tree"), 1);
	write_file("v1/tree/cpu/x/cpu.cfs_quota_us", "-1\n");
	assert_int_equal(sk_cpus_usable("v1/list", "v1/tree"), without_quota());
	write_file("v1/tree/cpu/cpu.cfs_quota_us", "20000\n");
	write_file("v1/tree/cpu/cpu.cfs_period_us", "100000\n");
	assert_int_equal(sk_cpus_usable("v1/list", "v1/tree"), 1);
}

static void
test_odd_files_set_no_limit(void **state)
{
	(void)state;
	static const char *const lists[] = {"", "\n", "0\n", "0:\n", "::", "x:cpu", ":::/", "0::"};
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		write_file("odd/list", lists[i]);
		assert_int_equal(sk_cpus_usable("odd/list", "odd/tree"), without_quota());
	}
	assert_int_equal(sk_cpus_usable(".", "odd/tree"), without_quota());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_affinity_counts),
		cmocka_unit_test(test_v2_quota_is_rounded_up),
		cmocka_unit_test(test_v2_tightest_parent_counts),
		cmocka_unit_test(test_v1_quota),
		cmocka_unit_test(test_odd_files_set_no_limit),
	};
	return cmocka_run_group_tests(tests, enter_folder, remove_folder);
}
