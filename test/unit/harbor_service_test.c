/* harbor_service_test.c: harbors of several nodes in one process: what is sent arrives, or its sender
 * is told. */
#include "harbor_world.h"

static struct host a, b;

static void
a_request_is_answered(void **state)
{
	(void)state;
	host_start(&a, 1, NULL);
	host_start(&b, 2, NULL);
	connect_hosts(&a, &b);
	b.voices[0].echoes = true;
	assert_int_equal(say(&a.voices[0], b.voices[0].handle, 7, "hello"), 7);
	hears(&b.voices[0], PTYPE_TEXT, 7, a.voices[0].handle, "hello");
	hears(&a.voices[0], PTYPE_RESPONSE, 7, b.voices[0].handle, "hello");
	host_stop(&a);
	host_stop(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_answered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
