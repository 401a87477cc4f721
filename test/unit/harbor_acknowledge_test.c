/* harbor_acknowledge_test.c: windows and limits: the word that messages have come arrives, however
 * full the way back is, and whatever breaks. */
#include "harbor_wire.h"

#define TYPE_ANY 10
#define FLOOD 2000
/* Looks at a counter that is sure to change soon. */
#define LOOKS 100000

static struct host a, b;
static struct wire to_b;

static void
start_hosts(const char *const *settings)
{
	host_start(&a, 1, settings);
	host_start(&b, 2, settings);
}

static void
stop_hosts(void)
{
	host_stop(&a);
	host_stop(&b);
}

static void
do_flood(struct voice *voice, void *argument)
{
	static char bytes[500];
	uint32_t to = *(uint32_t *)argument;
	for (int i = 1; i <= FLOOD; i++)
		(void)skynet_send(voice->ctx, 0, to, TYPE_ANY, i, bytes, sizeof bytes);
}

/* Each has more to send than its socket may hold, and waits for the other's acknowledgements, which
 * must not wait behind all that, though there is an answer that they could go with. */
static void
floods_in_both_directions_do_not_hold_up_each_other(void **state)
{
	(void)state;
	start_hosts((const char *[]){"socket_output_limit", "131072", "harbor_timeout", "60",
				     "harbor_output_limit", "268435456", NULL});
	a.voices[0].is_deaf = b.voices[0].is_deaf = true;
	a.voices[0].echoes = b.voices[0].echoes = true;
	connect_hosts(&a, &b);
	in_turn(&a.voices[0], do_flood, &b.voices[0].handle);
	in_turn(&b.voices[0], do_flood, &a.voices[0].handle);
	await_messages(&a.voices[0], 2 * FLOOD);
	await_messages(&b.voices[0], 2 * FLOOD);
	stop_hosts();
}

static void
await_swallowed(struct wire *wire, int64_t bytes)
{
	struct timespec deadline = deadline_from_now();
	(void)pthread_mutex_lock(&lock);
	while (wire->swallowed < bytes)
		wait_news(&deadline, "bytes on the wire");
	(void)pthread_mutex_unlock(&lock);
}

static void
await_stat(struct host *host, int node, const char *key, long value)
{
	for (int i = 0; i < LOOKS; i++) {
		if (stat_of(host, node, key) == value)
			return;
	}
	fail_msg("%s is never %ld", key, value);
}

/* The pipe on which it came stays; the one on which this was told breaks. */
static void
what_was_acknowledged_on_a_pipe_that_broke_is_told_again(void **state)
{
	(void)state;
	start_hosts((const char *[]){"harbor_timeout", "60", NULL});
	wire_start(&to_b, b.port);
	introduce(&a, &b, to_b.port);
	introduce(&b, &a, a.port);
	hears(&a.control, PTYPE_TEXT, 0, a.harbor, "up 2");
	hears(&b.control, PTYPE_TEXT, 0, b.harbor, "up 1");
	wire_set(&to_b, swallows, true);
	assert_int_equal(say(&b.voices[0], a.voices[0].handle, 0, "x"), 0);
	hears(&a.voices[0], PTYPE_TEXT, 0, b.voices[0].handle, "x");
	await_swallowed(&to_b, 28); /* an ACK */
	assert_int_equal(stat_of(&b, 1, "unacknowledged"), 1);
	wire_set(&to_b, swallows, false);
	wire_set(&to_b, is_cut, true);
	await_stat(&a, 2, "pipes", 2);
	await_stat(&b, 1, "unacknowledged", 0);
	wire_stop(&to_b);
	stop_hosts();
}

/* Sends until it is refused, and returns how many were taken. */
static void
do_burst(struct voice *voice, void *argument)
{
	static char bytes[5000];
	struct letter *letter = argument;
	int result;
	while ((result = skynet_send(voice->ctx, 0, letter->to, TYPE_ANY, 0, bytes,
				     sizeof bytes)) == 0)
		letter->session++;
	letter->result = result;
}

/* What is in the harbor's mailbox when the limit is reached was taken, and is sent. */
static void
a_burst_above_the_limit_is_no_reason_to_give_up(void **state)
{
	struct letter letter = {0};
	(void)state;
	start_hosts((const char *[]){"harbor_timeout", "60", "harbor_output_limit", "65536", NULL});
	b.voices[0].is_deaf = true;
	connect_hosts(&a, &b);
	letter.to = b.voices[0].handle;
	for (int i = 0; i < 10; i++)
		in_turn(&a.voices[0], do_burst, &letter);
	assert_int_equal(letter.result, -3);
	await_messages(&b.voices[0], (uint64_t)letter.session);
	assert_int_equal(count_heard(&a.log, "*lost*"), 0);
	stop_hosts();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(floods_in_both_directions_do_not_hold_up_each_other),
		cmocka_unit_test(a_burst_above_the_limit_is_no_reason_to_give_up),
		cmocka_unit_test(what_was_acknowledged_on_a_pipe_that_broke_is_told_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
