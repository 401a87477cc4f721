/* harbor_twins_test.c: two processes with the same id, of which a node has been told of one. */
#include "harbor_world.h"

#include <poll.h>

static struct host a, b, twin; /* b and its twin have the id 2 */

static int
start_three(void **state)
{
	const char *settings[] = {"harbor_timeout", "60", NULL};
	(void)state;
	host_start(&a, 1, settings);
	host_start(&b, 2, settings);
	host_start(&twin, 2, settings);
	return 0;
}

static int
stop_three(void **state)
{
	(void)state;
	host_stop(&a);
	host_stop(&b);
	host_stop(&twin);
	return 0;
}

static void
expect_answer(struct voice *asker, struct voice *other, int session)
{
	other->echoes = true;
	assert_int_equal(say(asker, other->handle, session, "hello"), session);
	hears(asker, PTYPE_RESPONSE, session, other->handle, "hello");
}

/* The twin goes on dialling, and is refused each time. */
static void
a_twin_does_not_end_the_session_of_the_other(void **state)
{
	(void)state;
	connect_hosts(&a, &b);
	introduce(&twin, &a, a.port);
	logs(&twin, "*Node 1 * refuses this node: another process with the id 2 *");
	logs(&a, "*Refused node 2 *: another process with the id 2 *");
	for (int tries = 2; tries <= 4; tries++)
		while (stat_of(&a, 1, "refused_connections") < tries)
			(void)poll(NULL, 0, 1);
	expect_answer(&a.voices[0], &b.voices[0], 100);
	assert_int_equal(count_heard(&a.control, "down *"), 0);
	assert_int_equal(count_heard(&b.control, "down *"), 0);
	assert_int_equal(count_heard(&a.log, "*Refused node 2 *"), 1);
	assert_int_equal(stat_of(&a, 2, "pipes"), 1);
}

/* Who has come in counts only until the process at the address that was told has answered. */
static void
a_twin_that_came_first_makes_room(void **state)
{
	(void)state;
	introduce(&twin, &a, a.port);
	introduce(&a, &b, b.port);
	introduce(&b, &a, a.port);
	awaits(&a.control, "up 2");
	awaits(&b.control, "up 1");
	logs(&twin, "*Node 1 * refuses this node: another process with the id 2 *");
	expect_answer(&a.voices[0], &b.voices[0], 100);
	assert_int_equal(count_heard(&twin.control, "up *"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_twin_does_not_end_the_session_of_the_other,
						start_three, stop_three),
		cmocka_unit_test_setup_teardown(a_twin_that_came_first_makes_room, start_three,
						stop_three),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
