/* signals_test.c: signals that come when nothing runs (e2e/daemon_test.py has the rest). */
#include "sk_clock.h"
#include "sk_signals.h"
#include "unit.h"

#include <unistd.h>

#define DEADLINE_MS 60000

static bool
is_pending(int number)
{
	sigset_t pending;
	assert_int_equal(sigpending(&pending), 0);
	return sigismember(&pending, number) == 1;
}

static void
wait_until_taken(int number)
{
	uint64_t deadline_ms = sk_clock_ms() + DEADLINE_MS;
	while (is_pending(number)) {
		assert_true(sk_clock_ms() < deadline_ms);
		(void)usleep(100);
	}
}

static void
a_stop_before_the_start_is_kept(void **state)
{
	struct sk_signals signals;
	(void)state;
	assert_int_equal(sk_signals_init(&signals, NULL, NULL), SK_OK);
	assert_int_equal(kill(getpid(), SIGTERM), 0);
	wait_until_taken(SIGTERM);
	sk_signals_fini(&signals);
	assert_true(signals.stop_ms != 0);
}

/* Between the node that claims an id and the one that has it, for one. */
static void
a_stop_as_the_thread_ends_is_not_lost(void **state)
{
	struct sk_signals signals;
	(void)state;
	assert_int_equal(sk_signals_init(&signals, NULL, NULL), SK_OK);
	(void)pthread_mutex_lock(&signals.lock);
	assert_int_equal(kill(getpid(), SIGTERM), 0);
	wait_until_taken(SIGTERM);
	signals.is_over = true; /* the begin of fini */
	(void)pthread_mutex_unlock(&signals.lock);
	sk_signals_fini(&signals);
	assert_true(signals.stop_ms != 0);
}

static void
what_comes_behind_the_end_waits_for_the_next_thread(void **state)
{
	struct sk_signals signals;
	(void)state;
	assert_int_equal(sk_signals_init(&signals, NULL, NULL), SK_OK);
	sk_signals_fini(&signals);
	assert_int_equal(signals.stop_ms, 0);
	assert_int_equal(kill(getpid(), SIGINT), 0);
	assert_true(is_pending(SIGINT));
	assert_int_equal(sk_signals_init(&signals, NULL, NULL), SK_OK);
	wait_until_taken(SIGINT);
	sk_signals_fini(&signals);
	assert_true(signals.stop_ms != 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stop_before_the_start_is_kept),
		cmocka_unit_test(a_stop_as_the_thread_ends_is_not_lost),
		cmocka_unit_test(what_comes_behind_the_end_waits_for_the_next_thread),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
