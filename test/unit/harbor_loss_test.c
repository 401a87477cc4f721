/* harbor_loss_test.c: connections between nodes break at every byte, stand still, and lead nowhere;
 * nodes start anew. Nothing is lost, repeated or reordered without an error to its sender. */
#include "harbor_wire.h"

#define TYPE_ANY 10
#define DEAD_NODE(id) ((uint32_t)(id) << 24)

static struct host a, b, c;
static struct wire to_b, to_a; /* a dials to_b, b dials to_a */

/* Both are up, through the wires. */
static void
start_wired(const char *const *settings)
{
	host_start(&a, 1, settings);
	host_start(&b, 2, settings);
	wire_start(&to_b, b.port);
	wire_start(&to_a, a.port);
	introduce(&a, &b, to_b.port);
	introduce(&b, &a, to_a.port);
	hears(&a.control, PTYPE_TEXT, 0, a.harbor, "up 2");
	hears(&b.control, PTYPE_TEXT, 0, b.harbor, "up 1");
}

static void
stop_wired(void)
{
	wire_stop(&to_b);
	wire_stop(&to_a);
	host_stop(&a);
	host_stop(&b);
}

static int
start_test(void **state)
{
	(void)state;
	start_wired(NULL);
	return 0;
}

static int
start_hasty(void **state)
{
	(void)state;
	start_wired((const char *[]){"harbor_timeout", "1", NULL});
	return 0;
}

static int
start_narrow(void **state)
{
	(void)state;
	start_wired((const char *[]){"harbor_timeout", "60", "harbor_output_limit", "65536", NULL});
	return 0;
}

static int
start_blocking(void **state)
{
	(void)state;
	start_wired((const char *[]){"harbor_timeout", "60", "harbor_output_limit", "65536",
				     "harbor_output_policy", "block", NULL});
	return 0;
}

static int
stop_test(void **state)
{
	(void)state;
	stop_wired();
	return 0;
}

#define wired_test(f, start) cmocka_unit_test_setup_teardown(f, start, stop_test)

/* --- breaks ---------------------------------------------------------------------------------- */

static void
cut_after(struct wire *wire, int64_t bytes)
{
	wire_set(wire, cut_after, bytes);
}

/* Sends three messages, which are 156 bytes with their frames, and expects them. */
static void
pass_three(int *session)
{
	for (int i = 0; i < 3; i++) {
		char text[32];
		(void)snprintf(text, sizeof text, "message number %d", *session + i);
		assert_true(say(&a.voices[0], b.voices[0].handle, *session + i, text) > 0);
	}
	for (int i = 0; i < 3; i++, ++*session) {
		char text[32];
		(void)snprintf(text, sizeof text, "message number %d", *session);
		hears(&b.voices[0], PTYPE_TEXT, *session, a.voices[0].handle, text);
	}
}

static void
a_break_at_every_byte_of_frames_loses_and_repeats_nothing(void **state)
{
	int session = 100;
	(void)state;
	for (int bytes = 1; bytes < 160; bytes++) {
		cut_after(&to_b, bytes);
		pass_three(&session);
	}
	assert_int_equal(count_heard(&a.control, "down *"), 0);
	assert_int_equal(count_heard(&b.control, "down *"), 0);
	assert_int_equal(count_heard(&a.log, "*lost*"), 0);
	assert_true(stat_of(&a, 2, "pipes") > 10);
	assert_int_equal(a.voices[0].messages, 0);
}

/* The pipe of the other direction carries the acknowledgements. */
static void
breaks_of_the_way_back_lose_nothing(void **state)
{
	int session = 100;
	(void)state;
	for (int bytes = 1; bytes < 60; bytes++) {
		cut_after(&to_a, bytes);
		if (bytes % 3 == 0)
			wire_set(&to_b, is_cut, true);
		pass_three(&session);
	}
	assert_int_equal(count_heard(&a.control, "down *"), 0);
}

/* An acknowledgement that is lost with its pipe is said again. */
static void
nothing_stays_unacknowledged_behind_a_break(void **state)
{
	int session = 100;
	(void)state;
	for (int bytes = 1; bytes < 30; bytes++) {
		pass_three(&session);
		cut_after(&to_a, bytes);
		for (int i = 0; stat_of(&a, 2, "unacknowledged") > 0; i++) {
			assert_true(i < DEADLINE_S * 1000);
			(void)poll(NULL, 0, 1);
		}
	}
	assert_int_equal(count_heard(&a.control, "down *"), 0);
}

static void
breaks_within_handshakes_lose_nothing(void **state)
{
	int session = 100;
	(void)state;
	for (int bytes = 1; bytes < 145; bytes++) {
		wire_set(&to_b, is_cut, true);
		cut_after(&to_b, bytes);
		pass_three(&session);
		wire_set(&to_b, cut_after, -1);
	}
	assert_int_equal(count_heard(&a.control, "down *"), 0);
}

static void
do_send_numbers(struct voice *voice, void *argument)
{
	static char bytes[200000];
	uint32_t to = *(uint32_t *)argument;
	for (int i = 1; i <= 300; i++)
		(void)skynet_send(voice->ctx, 0, to, TYPE_ANY, i, bytes,
				  i % 30 == 0 ? sizeof bytes : (size_t)i);
}

/* Long messages go on where they were. */
static void
many_breaks_in_a_stream_keep_its_order(void **state)
{
	(void)state;
	in_turn(&a.voices[0], do_send_numbers, &b.voices[0].handle);
	for (int i = 0; i < 20; i++) {
		cut_after(&to_b, 10000 + i * 7919);
		await_messages(&b.voices[0], (uint64_t)i * 10);
	}
	for (int i = 1; i <= 300; i++) {
		struct heard heard = take_heard(&b.voices[0], "a number");
		assert_int_equal(heard.session, i);
		assert_int_equal(heard.size, i % 30 == 0 ? 200000 : i);
	}
	assert_int_equal(a.voices[0].messages, 0);
	assert_int_equal(stat_of(&a, 2, "failed"), 0);
}

/* --- restarts -------------------------------------------------------------------------------- */

/* A node that has started anew is another one: all that was sent to the old one is answered. */
static void
a_restart_is_told_to_all_who_have_sent_there(void **state)
{
	uint32_t old_handle = b.voices[0].handle;
	(void)state;
	assert_int_equal(say(&a.voices[1], old_handle, 0, "x"), 0);
	hears(&b.voices[0], PTYPE_TEXT, 0, a.voices[1].handle, "x");
	wire_set(&to_a, is_stopped, true); /* no acknowledgement comes back */
	assert_int_equal(say(&a.voices[0], old_handle, 5, "delivered"), 5);
	hears(&b.voices[0], PTYPE_TEXT, 5, a.voices[0].handle, "delivered");
	wire_set(&to_b, is_stopped, true);
	wire_set(&to_b, is_cut, true);
	assert_int_equal(say(&a.voices[0], old_handle, 6, "not delivered"), 6);
	host_stop(&b);
	host_start(&b, 2, NULL);
	wire_set(&to_b, target, b.port);
	wire_set(&to_b, is_stopped, false);
	wire_set(&to_a, is_cut, true);
	wire_set(&to_a, is_stopped, false);
	introduce(&b, &a, to_a.port);
	hears(&a.voices[0], PTYPE_ERROR, 5, old_handle, "*started anew*");
	hears(&a.voices[0], PTYPE_ERROR, 6, old_handle, "*started anew*");
	hears(&a.voices[0], PTYPE_ERROR, 0, DEAD_NODE(2), "node 2 is gone: it has started anew*");
	awaits(&a.voices[1], "node 2 is gone: it has started anew*");
	hears(&a.control, PTYPE_TEXT, 0, a.harbor, "down 2 *");
	hears(&a.control, PTYPE_TEXT, 0, a.harbor, "up 2");
	hears(&b.control, PTYPE_TEXT, 0, b.harbor, "up 1");
	assert_int_equal(say(&a.voices[0], b.voices[0].handle, 7, "anew"), 7);
	hears(&b.voices[0], PTYPE_TEXT, 7, a.voices[0].handle, "anew");
	assert_int_equal(a.voices[2].messages, 0); /* has sent nothing there */
	logs(&a, "*Node 2 (*) lost: it has started anew*");
	assert_int_equal(count_heard(&a.log, "*lost*"), 1);
}

static void
who_leaves_is_not_dialled_and_may_come_back(void **state)
{
	(void)state;
	assert_int_equal(say(&a.voices[0], b.voices[0].handle, 5, "x"), 5);
	hears(&b.voices[0], PTYPE_TEXT, 5, a.voices[0].handle, "x");
	command(&a, "gone 2 0 the master says so");
	hears(&a.control, PTYPE_TEXT, 0, a.harbor, "down 2 the master says so");
	struct heard heard = take_heard(&a.voices[0], "an end");
	if (heard.session == 5) /* the word that it had come was not there */
		heard = take_heard(&a.voices[0], "an end");
	assert_int_equal(heard.session, 0);
	assert_string_equal(heard.text, "node 2 is gone: the master says so");
	assert_int_equal(say(&a.voices[0], b.voices[0].handle, 6, "x"), 6);
	hears(&a.voices[0], PTYPE_ERROR, 6, b.voices[0].handle, "*the master says so");
	introduce(&a, &b, to_b.port);
	hears(&a.control, PTYPE_TEXT, 0, a.harbor, "up 2");
	hears(&b.control, PTYPE_TEXT, 0, b.harbor, "down 1 it has started anew*");
	hears(&b.control, PTYPE_TEXT, 0, b.harbor, "up 1");
	assert_int_equal(say(&a.voices[0], b.voices[0].handle, 7, "back"), 7);
	hears(&b.voices[0], PTYPE_TEXT, 7, a.voices[0].handle, "back");
}

/* What the harbor has taken leaves with the end of the node. */
/* The word that a process has another one in its place may come when that one is met already. */
static void
a_link_with_the_next_process_outlives_the_end_of_the_last(void **state)
{
	(void)state;
	host_stop(&b);
	host_start(&b, 2, NULL);
	wire_set(&to_b, target, b.port);
	command(&b, "self b2b2b2b2");
	introduce(&b, &a, to_a.port);
	hears(&a.control, PTYPE_TEXT, 0, a.harbor, "down 2 *");
	hears(&a.control, PTYPE_TEXT, 0, a.harbor, "up 2");
	hears(&b.control, PTYPE_TEXT, 0, b.harbor, "up 1");
	long pipes = stat_of(&a, 2, "pipes");
	assert_int_equal(say(&a.voices[0], b.voices[0].handle, 5, "x"), 5);
	hears(&b.voices[0], PTYPE_TEXT, 5, a.voices[0].handle, "x");
	command(&a, "gone 2 b1b1b1b1 it has been started anew");
	introduce(&a, &b, to_b.port);
	hears(&a.control, PTYPE_TEXT, 0, a.harbor, "up 2"); /* for who counts from that word on */
	assert_int_equal(say(&a.voices[0], b.voices[0].handle, 6, "y"), 6);
	hears(&b.voices[0], PTYPE_TEXT, 6, a.voices[0].handle, "y");
	assert_int_equal(stat_of(&a, 2, "pipes"), pipes);
	assert_int_equal(count_heard(&a.log, "*lost*"), 1);
	command(&a, "gone 2 b2b2b2b2 the master says so");
	hears(&a.control, PTYPE_TEXT, 0, a.harbor, "down 2 the master says so");
}

static void
last_words_arrive(void **state)
{
	(void)state;
	uint32_t source = a.voices[0].handle;
	for (int i = 1; i <= 100; i++)
		assert_int_equal(say(&a.voices[0], b.voices[0].handle, i, "last words"), i);
	(void)stat_of(&a, 2, "sent"); /* it has */
	host_stop(&a);
	for (int i = 1; i <= 100; i++)
		hears(&b.voices[0], PTYPE_TEXT, i, source, "last words");
}

/* The same node at another address. */
static void
who_has_moved_goes_on(void **state)
{
	int session = 100;
	(void)state;
	pass_three(&session);
	wire_set(&to_b, is_stopped, true);
	introduce(&a, &b, b.port);
	pass_three(&session);
	assert_int_equal(count_heard(&a.control, "down *"), 0);
}

/* --- silence --------------------------------------------------------------------------------- */

static void
a_silent_peer_is_given_up_and_found_again(void **state)
{
	(void)state;
	assert_int_equal(say(&a.voices[0], b.voices[0].handle, 5, "x"), 5);
	hears(&b.voices[0], PTYPE_TEXT, 5, a.voices[0].handle, "x");
	wire_set(&to_b, swallows, true);
	assert_int_equal(say(&a.voices[0], b.voices[0].handle, 6, "lost"), 6);
	struct heard heard = take_heard(&a.voices[0], "an error");
	if (heard.session == 5)
		heard = take_heard(&a.voices[0], "an error");
	assert_int_equal(heard.session, 6);
	assert_int_equal(heard.type, PTYPE_ERROR);
	/* Its own beats are not echoed either: which of both gives the other up first? */
	hears(&a.voices[0], PTYPE_ERROR, 0, DEAD_NODE(2), "node 2 is gone: *");
	awaits(&a.control, "down 2 *");
	assert_int_equal(say(&a.voices[0], b.voices[0].handle, 7, "x"), 7);
	hears(&a.voices[0], PTYPE_ERROR, 7, b.voices[0].handle, "*");
	wire_set(&to_b, swallows, false);
	wire_set(&to_b, is_cut, true);
	awaits(&a.control, "up 2");
	logs(&a, "*Node 2 (*) lost: * (messages failed: *)");
	logs(&a, "*Node 2 connected*");
	assert_int_equal(say(&a.voices[0], b.voices[0].handle, 8, "found"), 8);
	struct heard found = take_heard(&b.voices[0], "found");
	while (found.session != 8) /* its own end of the session may have been told before */
		found = take_heard(&b.voices[0], "found");
	assert_true(stat_of(&a, 2, "late") > 0);
}

/* It is silent because nobody is there. */
static void
a_peer_that_has_ended_is_lost_with_its_reason(void **state)
{
	(void)state;
	host_stop(&b);
	awaits(&a.control, "down 2 no sign of life for 1 s: *");
	logs(&a, "*Node 2*lost*");
	/* No line for each try. */
	assert_int_equal(count_heard(&a.log, "*Node 2*lost*"), 1);
	host_start(&b, 2, NULL);
	wire_set(&to_b, target, b.port);
	introduce(&b, &a, to_a.port);
	awaits(&a.control, "up 2");
	logs_times(&a, 2, "*Node 2 connected*");
	assert_int_equal(count_heard(&a.log, "*Node 2*"), 3);
}

/* Nobody waits for the time after which the silent are given up. */
static void
a_peer_at_whose_address_nobody_listens_has_ended(void **state)
{
	static const char *const patient[] = {"harbor_timeout", "3600", NULL};
	(void)state;
	host_start(&a, 1, patient);
	host_start(&b, 2, patient);
	introduce(&a, &b, b.port);
	introduce(&b, &a, a.port);
	awaits(&a.control, "up 2");
	assert_int_equal(say(&a.voices[0], b.voices[0].handle, 5, "x"), 5);
	hears(&b.voices[0], PTYPE_TEXT, 5, a.voices[0].handle, "x");
	host_stop(&b);
	awaits(&a.control, "down 2 it has ended: nobody listens at its address");
	awaits(&a.voices[0], "node 2 is gone: it has ended*");
	host_stop(&a);
}

static void
who_cannot_be_reached_at_first_is_told(void **state)
{
	(void)state;
	host_start(&a, 1, (const char *[]){"harbor_timeout", "1", NULL});
	host_start(&b, 2, (const char *[]){"harbor_timeout", "1", NULL});
	int port;
	int fd = listen_on_any(&port);
	(void)close(fd); /* nobody is there */
	introduce(&a, &b, port);
	assert_int_equal(say(&a.voices[0], b.voices[0].handle, 5, "waits"), 5);
	hears(&a.voices[0], PTYPE_ERROR, 5, b.voices[0].handle, "*Connection refused*");
	hears(&a.voices[0], PTYPE_ERROR, 0, DEAD_NODE(2), "*");
	hears(&a.control, PTYPE_TEXT, 0, a.harbor, "down 2 *Connection refused*");
	/* It reaches us, and is not reached: both give up, one of them first. */
	introduce(&b, &a, a.port);
	hears(&b.control, PTYPE_TEXT, 0, b.harbor, "down 1 *");
	introduce(&a, &b, b.port);
	awaits(&a.control, "up 2");
	awaits(&b.control, "up 1");
	logs(&a, "*not reached*");
	logs(&b, "*not reached*");
	assert_int_equal(count_heard(&a.log, "*not reached*"), 1);
	assert_int_equal(count_heard(&b.log, "*not reached*"), 1);
	host_stop(&a);
	host_stop(&b);
}

/* Messages to a node that was just told of wait for it. */
static void
first_messages_wait_for_the_first_contact(void **state)
{
	(void)state;
	host_start(&a, 1, NULL);
	host_start(&b, 2, NULL);
	introduce(&a, &b, b.port);
	for (int i = 1; i <= 10; i++)
		assert_int_equal(say(&a.voices[0], b.voices[0].handle, i, "early"), i);
	assert_int_equal(stat_of(&a, 2, "unacknowledged"), 10);
	introduce(&b, &a, a.port);
	for (int i = 1; i <= 10; i++)
		hears(&b.voices[0], PTYPE_TEXT, i, a.voices[0].handle, "early");
	host_stop(&a);
	host_stop(&b);
}

/* --- flow ------------------------------------------------------------------------------------ */

/* Fills the output to b, which takes nothing. Returns how many messages were taken; the last result
 * is not one of them. */
static int
fill(int *last_result)
{
	static char bytes[1000];
	int count = 0;
	wire_set(&to_a, is_stopped, true);
	for (;;) {
		*last_result = say_bytes(&a.voices[0], b.voices[0].handle, TYPE_ANY, count + 1,
					 bytes, sizeof bytes);
		if (*last_result < 0)
			return count;
		(void)stat_of(&a, 2, "sent"); /* the harbor has taken it: it counts what waits */
		count++;
		assert_true(count < 1000);
	}
}

static void
expect_all_filled(int count)
{
	wire_set(&to_a, is_stopped, false);
	for (int i = 1; i <= count; i++)
		hears(&b.voices[0], TYPE_ANY, i, a.voices[0].handle, "");
	logs(&a, "*Node 2 has caught up");
	assert_int_equal(say(&a.voices[0], b.voices[0].handle, 9999, "again"), 9999);
	hears(&b.voices[0], PTYPE_TEXT, 9999, a.voices[0].handle, "again");
	assert_int_equal(stat_of(&a, 2, "full"), 1);
	assert_int_equal(a.voices[0].messages, 0);
}

static void
at_the_limit_senders_get_errors_until_half_is_gone(void **state)
{
	int result;
	(void)state;
	int count = fill(&result);
	assert_int_equal(result, -3);
	assert_in_range(count, 60, 150); /* some of the first may be acknowledged */
	logs(&a, "*Node 2 is behind: * bytes wait *senders get errors");
	expect_all_filled(count);
}

static void
at_the_limit_senders_wait_if_the_policy_says_so(void **state)
{
	int result;
	(void)state;
	int count = fill(&result);
	assert_int_equal(result, -4);
	logs(&a, "*Node 2 is behind: * bytes wait *senders wait");
	expect_all_filled(count);
}

/* Answers always pass, up to twice the limit; then the peer is as good as gone. */
static void
what_always_passes_is_bounded_too(void **state)
{
	static char bytes[1000];
	int result;
	(void)state;
	int count = fill(&result);
	for (int i = 0; i < 200; i++)
		(void)say_bytes(&a.voices[1], b.voices[0].handle, PTYPE_RESPONSE, 5, bytes,
				sizeof bytes);
	awaits(&a.control, "down 2 it does not take what is sent to it*");
	hears(&a.voices[0], PTYPE_ERROR, 1, b.voices[0].handle, "*does not take*");
	(void)count;
	wire_set(&to_a, is_stopped, false);
	awaits(&a.control, "up 2");
}

/* --- three ----------------------------------------------------------------------------------- */

static void
three_nodes_talk_to_each_other(void **state)
{
	struct host *hosts[] = {&a, &b, &c};
	(void)state;
	for (int i = 0; i < 3; i++)
		host_start(hosts[i], i + 1, NULL);
	for (int i = 0; i < 3; i++) {
		hosts[i]->voices[0].echoes = true;
		for (int j = 0; j < 3; j++) {
			if (i != j)
				introduce(hosts[i], hosts[j], hosts[j]->port);
		}
	}
	for (int i = 0; i < 3; i++) {
		for (int j = 0; j < 3; j++) {
			if (i == j)
				continue;
			assert_int_equal(
				say(&hosts[i]->voices[1], hosts[j]->voices[0].handle, 5, "hi"), 5);
			hears(&hosts[i]->voices[1], PTYPE_RESPONSE, 5, hosts[j]->voices[0].handle,
			      "hi");
		}
	}
	host_stop(&c);
	assert_int_equal(say(&a.voices[1], b.voices[0].handle, 6, "hi"), 6);
	hears(&a.voices[1], PTYPE_RESPONSE, 6, b.voices[0].handle, "hi");
	host_stop(&a);
	host_stop(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		wired_test(a_break_at_every_byte_of_frames_loses_and_repeats_nothing, start_test),
		wired_test(breaks_of_the_way_back_lose_nothing, start_test),
		wired_test(nothing_stays_unacknowledged_behind_a_break, start_test),
		wired_test(breaks_within_handshakes_lose_nothing, start_test),
		wired_test(many_breaks_in_a_stream_keep_its_order, start_test),
		wired_test(a_restart_is_told_to_all_who_have_sent_there, start_test),
		wired_test(who_leaves_is_not_dialled_and_may_come_back, start_test),
		wired_test(a_link_with_the_next_process_outlives_the_end_of_the_last, start_test),
		wired_test(last_words_arrive, start_test),
		wired_test(who_has_moved_goes_on, start_test),
		wired_test(a_silent_peer_is_given_up_and_found_again, start_hasty),
		cmocka_unit_test(a_peer_at_whose_address_nobody_listens_has_ended),
		wired_test(a_peer_that_has_ended_is_lost_with_its_reason, start_hasty),
		cmocka_unit_test(who_cannot_be_reached_at_first_is_told),
		cmocka_unit_test(first_messages_wait_for_the_first_contact),
		wired_test(at_the_limit_senders_get_errors_until_half_is_gone, start_narrow),
		wired_test(at_the_limit_senders_wait_if_the_policy_says_so, start_blocking),
		wired_test(what_always_passes_is_bounded_too, start_narrow),
		cmocka_unit_test(three_nodes_talk_to_each_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
