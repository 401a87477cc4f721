/* harbor_dial_test.c: when another node is dialled, tick by tick; no clock, no sockets. */
#include "../../service-src/harbor/dial.c"

#include "unit.h"

/* Lets the pause pass. Returns how many ticks it had. */
static int
wait_pause(struct harbor_dial *dial)
{
	int ticks = 1;
	while (!harbor_dial_tick(dial)) {
		ticks++;
		assert_in_range(ticks, 1, HARBOR_PAUSE_TICKS_MAX);
	}
	return ticks;
}

/* A dial that nobody takes. */
static void
fail_dial(struct harbor_dial *dial, bool is_refusal)
{
	harbor_dial_begin(dial);
	assert_false(harbor_dial_lose(dial, false, is_refusal));
}

/* A dial that is taken. */
static void
open_dial(struct harbor_dial *dial)
{
	harbor_dial_begin(dial);
	harbor_dial_open(dial);
}

static void
the_pause_grows_from_try_to_try(void **state)
{
	static const int pauses[] = {1, 2, 4, 8, 10, 10, 10};
	struct harbor_dial dial = {0};
	(void)state;
	assert_true(harbor_dial_tick(&dial));
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < sizeof pauses / sizeof pauses[0]; i++) {
			fail_dial(&dial, false);
			assert_int_equal(wait_pause(&dial), pauses[i]);
		}
		/* It has come about once, or was told of again: from the beginning. */
		if (round == 0)
			open_dial(&dial);
		else
			harbor_dial_introduce(&dial, false);
	}
}

static void
a_pipe_that_has_worked_is_dialled_again_at_once(void **state)
{
	struct harbor_dial dial = {0};
	(void)state;
	for (int i = 0; i < 100; i++) {
		open_dial(&dial);
		harbor_dial_work(&dial);
		assert_true(harbor_dial_lose(&dial, true, false));
	}
	fail_dial(&dial, false);
	assert_int_equal(wait_pause(&dial), 1);
}

/* D1 */
static void
a_pipe_that_has_brought_nothing_is_not(void **state)
{
	struct harbor_dial dial = {0};
	(void)state;
	open_dial(&dial);
	harbor_dial_work(&dial); /* that was the one before */
	assert_true(harbor_dial_lose(&dial, true, false));
	for (int i = 0; i < 100; i++) {
		open_dial(&dial);
		assert_false(harbor_dial_lose(&dial, true, false));
		assert_false(harbor_dial_answers(&dial));
		assert_int_equal(wait_pause(&dial), 1);
	}
	open_dial(&dial);
	assert_true(harbor_dial_answers(&dial));
	harbor_dial_work(&dial);
	assert_true(harbor_dial_lose(&dial, true, false));
}

/* D2 */
static void
who_breaks_the_rules_waits_for_the_longest_pause(void **state)
{
	struct harbor_dial dial = {0};
	(void)state;
	for (int i = 0; i < 100; i++) {
		open_dial(&dial);
		harbor_dial_work(&dial);
		harbor_dial_end(&dial);
		harbor_dial_break(&dial);
		for (int tick = 1; tick < HARBOR_PAUSE_TICKS_MAX; tick++) {
			assert_false(harbor_dial_answers(&dial)); /* however often it comes in */
			assert_false(harbor_dial_tick(&dial));
		}
		assert_true(harbor_dial_tick(&dial));
	}
}

static void
who_comes_in_is_dialled_at_once(void **state)
{
	struct harbor_dial dial = {0};
	(void)state;
	assert_true(harbor_dial_answers(&dial));
	for (int i = 0; i < 5; i++)
		fail_dial(&dial, true);
	assert_true(harbor_dial_answers(&dial)); /* in the middle of a long pause */
	open_dial(&dial);
	harbor_dial_end(&dial); /* it was silent, or has left: it may be there again */
	assert_true(harbor_dial_answers(&dial));
	assert_int_equal(wait_pause(&dial), 1);
}

static void
a_process_has_ended_after_some_refusals_in_a_row(void **state)
{
	struct harbor_dial dial = {0};
	(void)state;
	for (int round = 0; round < 4; round++) {
		for (int i = 1; i <= HARBOR_REFUSED_DIALS; i++) {
			assert_false(harbor_dial_is_hopeless(&dial));
			fail_dial(&dial, true);
		}
		assert_true(harbor_dial_is_hopeless(&dial));
		switch (round) {
		case 0: /* it does not answer: the network, or a machine that is busy */
			fail_dial(&dial, false);
			break;
		case 1:
			open_dial(&dial);
			break;
		default: /* somewhere else there may be one who listens */
			harbor_dial_introduce(&dial, false);
			assert_true(harbor_dial_is_hopeless(&dial));
			harbor_dial_introduce(&dial, true);
			break;
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_pause_grows_from_try_to_try),
		cmocka_unit_test(a_pipe_that_has_worked_is_dialled_again_at_once),
		cmocka_unit_test(a_pipe_that_has_brought_nothing_is_not),
		cmocka_unit_test(who_breaks_the_rules_waits_for_the_longest_pause),
		cmocka_unit_test(who_comes_in_is_dialled_at_once),
		cmocka_unit_test(a_process_has_ended_after_some_refusals_in_a_row),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
