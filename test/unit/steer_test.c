/* steer_test.c: steering on a machine that the test makes up: where threads may run, and what is
 * refused. */
#define _GNU_SOURCE /* cpu_set_t */
#include "unit.h"

#include <errno.h>
#include <pthread.h>

#if defined(__linux__)

#include <sched.h>

/* The machine: where the caller runs, where the sleeper may, and what fails. */
static int current_cpu;
static cpu_set_t mask;
static int get_result;
static int set_result;
static int set_calls;

static int
machine_cpu(void)
{
	return current_cpu;
}

static int
machine_get(pthread_t thread, size_t size, cpu_set_t *allowed)
{
	(void)thread;
	assert_int_equal(size, sizeof mask);
	if (get_result == 0)
		*allowed = mask;
	return get_result;
}

static int
machine_set(pthread_t thread, size_t size, const cpu_set_t *allowed)
{
	(void)thread;
	assert_int_equal(size, sizeof mask);
	set_calls++;
	if (set_result == 0 && CPU_COUNT(allowed) == 0)
		return EINVAL;
	if (set_result == 0)
		mask = *allowed;
	return set_result;
}

#define sched_getcpu machine_cpu
#define pthread_getaffinity_np machine_get
#define pthread_setaffinity_np machine_set
#include "sk_steer.c"

/* Four processors, all of which the sleeper may use; the caller runs on number 2. */
static int
setup(void **state)
{
	(void)state;
	current_cpu = 2;
	get_result = set_result = set_calls = 0;
	CPU_ZERO(&mask);
	for (int i = 0; i < 4; i++)
		CPU_SET(i, &mask);
	return 0;
}

static void
a_sleeper_is_kept_off_the_wakers_processor_until_it_runs(void **state)
{
	struct sk_steer steer = {0};
	(void)state;
	sk_steer_away(&steer, pthread_self());
	assert_true(steer.is_steered);
	assert_int_equal(CPU_COUNT(&mask), 3);
	assert_false(CPU_ISSET(2, &mask));
	sk_steer_back(&steer);
	assert_false(steer.is_steered);
	assert_int_equal(CPU_COUNT(&mask), 4);
	sk_steer_back(&steer);
	assert_int_equal(set_calls, 2);
}

static void
one_that_is_steered_already_keeps_its_way_back(void **state)
{
	struct sk_steer steer = {0};
	(void)state;
	sk_steer_away(&steer, pthread_self());
	current_cpu = 3;
	sk_steer_away(&steer, pthread_self());
	assert_int_equal(set_calls, 1);
	sk_steer_back(&steer);
	assert_int_equal(CPU_COUNT(&mask), 4);
}

/* Nothing changes, and there is nothing to take back. */
static void
expect_untouched(void)
{
	struct sk_steer steer = {0};
	cpu_set_t before = mask;
	sk_steer_away(&steer, pthread_self());
	int calls = set_calls;
	assert_false(steer.is_steered);
	sk_steer_back(&steer);
	assert_int_equal(set_calls, calls);
	assert_true(CPU_EQUAL(&mask, &before));
}

static void
where_it_is_refused_nothing_changes(void **state)
{
	(void)state;
	set_result = EPERM;
	expect_untouched();
	set_result = 0;
	get_result = EPERM; /* as in a sandbox */
	expect_untouched();
	get_result = EINVAL; /* more processors than the mask can name */
	expect_untouched();
	assert_int_equal(set_calls, 1);
}

static void
where_nobody_tells_the_processor_nothing_changes(void **state)
{
	(void)state;
	current_cpu = -1;
	expect_untouched();
	assert_int_equal(set_calls, 0);
}

static void
one_that_may_only_run_here_runs_here(void **state)
{
	(void)state;
	CPU_ZERO(&mask);
	CPU_SET(2, &mask);
	expect_untouched();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_sleeper_is_kept_off_the_wakers_processor_until_it_runs,
				       setup),
		cmocka_unit_test_setup(one_that_is_steered_already_keeps_its_way_back, setup),
		cmocka_unit_test_setup(where_it_is_refused_nothing_changes, setup),
		cmocka_unit_test_setup(where_nobody_tells_the_processor_nothing_changes, setup),
		cmocka_unit_test_setup(one_that_may_only_run_here_runs_here, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

#include "sk_steer.h"

static void
elsewhere_nobody_is_steered(void **state)
{
	struct sk_steer steer = {0};
	(void)state;
	sk_steer_away(&steer, pthread_self());
	assert_false(steer.is_steered);
	sk_steer_back(&steer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(elsewhere_nobody_is_steered)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
