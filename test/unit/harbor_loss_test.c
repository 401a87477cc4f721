/* harbor_loss_test.c: connections between nodes break at every byte, stand still, and lead nowhere;
 * nodes start anew; and who comes in is not who it says. Nothing is lost, repeated or reordered
 * without an error to its sender. */
#include "../../service-src/harbor/frame.c"
#include "../../service-src/harbor/handshake.c"
#include "harbor_world.h"

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
	assert_int_equal(count_heard(&a.log, "*Node 2 (*) lost: it has started anew*"), 1);
}

static void
who_leaves_is_not_dialled_and_may_come_back(void **state)
{
	(void)state;
	assert_int_equal(say(&a.voices[0], b.voices[0].handle, 5, "x"), 5);
	hears(&b.voices[0], PTYPE_TEXT, 5, a.voices[0].handle, "x");
	command(&a, "gone 2 the master says so");
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
	/* No line for each try. */
	assert_int_equal(count_heard(&a.log, "*Node 2*lost*"), 1);
	host_start(&b, 2, NULL);
	wire_set(&to_b, target, b.port);
	introduce(&b, &a, to_a.port);
	awaits(&a.control, "up 2");
	logs_times(&a, 2, "*Node 2 connected*");
	assert_int_equal(count_heard(&a.log, "*Node 2*"), 3);
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

/* --- who comes in ---------------------------------------------------------------------------- */

/* Everything that the node says until it closes the connection. */
static size_t
read_to_end(int fd, char *bytes, size_t capacity)
{
	size_t size = 0;
	for (;;) {
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
		assert_int_equal(poll(&poll_fd, 1, DEADLINE_S * 1000), 1);
		ssize_t count = read(fd, bytes + size, capacity - size);
		if (count <= 0)
			return size;
		size += (size_t)count;
	}
}

static void
talk_to(struct host *host, const void *bytes, size_t size, const char *expected)
{
	char answer[1024] = "";
	int fd = dial_port(host->port);
	assert_true(fd >= 0);
	assert_int_equal(send(fd, bytes, size, MSG_NOSIGNAL), size);
	size_t count = read_to_end(fd, answer, sizeof answer - 1);
	(void)close(fd);
	assert_true(count > 12);
	assert_memory_equal(answer, "skynet\0\1", 8);
	assert_int_equal(answer[10], 3); /* REFUSED */
	assert_string_equal(answer + 12, expected);
}

static int
start_one(void **state)
{
	(void)state;
	host_start(&a, 1, (const char *[]){"harbor_timeout", "1", "harbor_secret", "abc", NULL});
	return 0;
}

static int
stop_one(void **state)
{
	(void)state;
	host_stop(&a);
	return 0;
}

#define one_test(f) cmocka_unit_test_setup_teardown(f, start_one, stop_one)

static void
garbage_is_refused_and_logged_now_and_then(void **state)
{
	(void)state;
	talk_to(&a, "GET / HTTP/1.1\r\n", 16, "what comes in is not from a node");
	logs(&a, "*Refused 127.0.0.1:*: what comes in is not from a node*");
	for (int i = 0; i < 20; i++)
		talk_to(&a, "\xff\xff\xff\xff", 4, "what comes in is not from a node");
	talk_to(&a, "\x16\3\1", 3, "TLS comes in where none is configured");
	talk_to(&a, "skynet\0\2", 8, "version 2 of the protocol comes in, and version 1 is spoken");
	talk_to(&a, "skynet\0\1\xff\xff\1", 11, "what comes in has no place in a handshake");
	assert_int_equal(stat_of(&a, 1, "refused_connections"), 24);
	assert_int_equal(count_heard(&a.log, "*Refused*"), 5); /* 1, 2, 4, 8, 16 */
}

static void
who_says_nothing_is_closed_in_time(void **state)
{
	char bytes[64];
	int fd = dial_port(a.port);
	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(send(fd, "sky", 3, MSG_NOSIGNAL), 3);
	assert_int_equal(read_to_end(fd, bytes, sizeof bytes), 0);
	(void)close(fd);
	assert_int_equal(stat_of(&a, 1, "shaking"), 0);
}

/* They make room for who comes later. */
static void
those_who_say_nothing_hold_up_nobody(void **state)
{
	static int fds[600];
	char bytes[64];
	(void)state;
	for (int i = 0; i < 600; i++) {
		fds[i] = dial_port(a.port);
		assert_true(fds[i] >= 0);
	}
	host_start(&b, 2, (const char *[]){"harbor_secret", "abc", NULL});
	connect_hosts(&a, &b);
	assert_int_equal(read_to_end(fds[0], bytes, sizeof bytes), 0);
	for (int i = 0; i < 600; i++)
		(void)close(fds[i]);
	host_stop(&b);
}

static void
say_hello(struct harbor_handshake *handshake, struct host *host, uint8_t id, uint8_t wanted,
	  const char *expected)
{
	struct harbor_hello own = {
		.id = id, .wanted = wanted, .has_secret = true, .tie = 99, .message_limit = 1000};
	harbor_handshake_dial(handshake, &own, "abc");
	talk_to(host, handshake->out, handshake->out_size, expected);
}

static void
who_is_not_who_it_should_be_is_refused(void **state)
{
	static struct harbor_handshake handshake;
	(void)state;
	say_hello(&handshake, &a, 1, 1,
		  "two nodes have the id 1: the one that dials, and the one that is dialled");
	logs(&a, "*Refused node 1 (127.0.0.1:*): two nodes have the id 1*");
	say_hello(&handshake, &a, 2, 3, "node 3 was wanted, and node 1 answers");
	logs(&a, "*Refused node 2 (127.0.0.1:*): node 3 was wanted*");
	say_hello(&handshake, &a, 2, 1, "node 1 does not know node 2 yet");
	say_hello(&handshake, &a, 2, 3, "node 3 was wanted, and node 1 answers");
	assert_int_equal(count_heard(&a.log, "*Refused*"), 2);
}

static void
a_wrong_secret_is_logged_at_both_ends_once(void **state)
{
	(void)state;
	host_start(&b, 2, (const char *[]){"harbor_timeout", "1", "harbor_secret", "abd", NULL});
	introduce(&a, &b, b.port);
	introduce(&b, &a, a.port);
	logs(&a, "*Node 2 (127.0.0.1:*) refuses this node: both have a harbor_secret, and *");
	logs(&b, "*Node 1 (127.0.0.1:*) refuses this node: both have a harbor_secret, and *");
	awaits(&a.control, "down 2 both have a harbor_secret, and not the same");
	logs(&a, "*Node 2 (*) not reached: both have a harbor_secret*");
	for (int i = 0; i < 2; i++) {
		int before = (int)stat_of(&a, 1, "refused_connections");
		while (stat_of(&a, 1, "refused_connections") == before) /* it is tried again */
			(void)poll(NULL, 0, 10);
	}
	assert_int_equal(count_heard(&a.log, "*refuses this node*"), 1);
	assert_int_equal(count_heard(&a.log, "*Refused*"), 1);
	host_stop(&b);
}

static void
one_secret_and_none_do_not_go_together(void **state)
{
	(void)state;
	host_start(&b, 2, NULL);
	introduce(&a, &b, b.port);
	introduce(&b, &a, a.port);
	logs(&a, "*Refused node 2 (*): one has a harbor_secret, and the other has none");
	logs(&a, "*Node 2 (*) refuses this node: one has a harbor_secret, and the other has "
		 "none");
	host_stop(&b);
}

/* --- a peer that knows the secret and breaks the rules --------------------------------------- */

/* Plays node 9: dials a, and lets a dial it. Returns the connection on which it writes. */
static int
shake_hands(struct harbor_handshake *handshake, int fd, bool is_dialler, uint64_t tie)
{
	struct harbor_hello own = {
		.id = 9, .wanted = 1, .has_secret = true, .tie = tie, .message_limit = 100000};
	if (is_dialler)
		harbor_handshake_dial(handshake, &own, "abc");
	else
		harbor_handshake_await(handshake, "abc");
	for (;;) {
		char byte;
		if (handshake->out_size > 0)
			assert_int_equal(
				send(fd, handshake->out, handshake->out_size, MSG_NOSIGNAL),
				handshake->out_size);
		handshake->out_size = 0;
		if (handshake->state != HARBOR_HANDSHAKE_GOES_ON)
			return handshake->state;
		if (read(fd, &byte, 1) != 1)
			return HARBOR_HANDSHAKE_DENIED; /* closed */
		(void)harbor_handshake_input(handshake, &byte, 1);
		if (handshake->state == HARBOR_HANDSHAKE_ASKED)
			harbor_handshake_accept(handshake, &own);
	}
}

struct impostor {
	int listener, port;
	int out; /* it writes here */
	int in;	 /* a writes here */
};

/* Both pipes are open. */
static void
impostor_connect(struct impostor *impostor, uint64_t tie)
{
	static struct harbor_handshake handshake;
	impostor->listener = listen_on_any(&impostor->port);
	command(&a, "node 9 127.0.0.1:%d", impostor->port);
	impostor->in = accept(impostor->listener, NULL, NULL);
	assert_true(impostor->in >= 0);
	assert_int_equal(shake_hands(&handshake, impostor->in, false, tie), HARBOR_HANDSHAKE_DONE);
	impostor->out = dial_port(a.port);
	assert_int_equal(shake_hands(&handshake, impostor->out, true, tie), HARBOR_HANDSHAKE_DONE);
	awaits(&a.control, "up 9");
}

static void
impostor_end(struct impostor *impostor)
{
	(void)close(impostor->listener);
	(void)close(impostor->in);
	(void)close(impostor->out);
	command(&a, "gone 9 test");
}

static void
frames_that_break_the_rules_end_the_session(void **state)
{
	const struct harbor_frame message = {.kind = HARBOR_FRAME_MESSAGE,
					     .source = 0x09000001,
					     .destination = a.voices[0].handle};
	struct harbor_frame part = message, first = message;
	char bytes[6][200], *end[6], pattern[100];
	static const char *const reasons[] = {
		"a message before the pipe has begun",
		"a part of a message that has not begun",
		"another message within one that comes in parts",
		"it has received what was not sent",
		"a pipe begins where it cannot",
		"a frame is longer than any may be",
	};
	(void)state;
	part.kind = HARBOR_FRAME_PART;
	first.flags = HARBOR_FRAME_HAS_MORE;
	first.size = 1;
	first.payload = "x";
	end[0] = harbor_frame_write(bytes[0], &message);
	for (int i = 1; i < 6; i++)
		end[i] = harbor_frame_write_count(bytes[i], HARBOR_FRAME_BEGIN, 0);
	end[1] = harbor_frame_write(end[1], &part);
	end[2] = harbor_frame_write(harbor_frame_write(end[2], &first), &message);
	end[3] = harbor_frame_write_count(end[3], HARBOR_FRAME_ACK, 1);
	end[4] = harbor_frame_write_count(end[4], HARBOR_FRAME_BEGIN, 0);
	end[5] = harbor_frame_write(end[5], &message);
	harbor_put_number(end[5] - HARBOR_FRAME_HEADER, UINT32_MAX, 4);
	for (int i = 0; i < 6; i++) {
		struct impostor impostor;
		impostor_connect(&impostor, 100 + (uint64_t)i);
		assert_int_equal(
			send(impostor.out, bytes[i], (size_t)(end[i] - bytes[i]), MSG_NOSIGNAL),
			end[i] - bytes[i]);
		(void)snprintf(pattern, sizeof pattern, "down 9 it breaks the protocol: %s",
			       reasons[i]);
		hears(&a.control, PTYPE_TEXT, 0, a.harbor, pattern);
		command(&a, "gone 9 test");
		(void)close(impostor.listener);
		(void)close(impostor.in);
		(void)close(impostor.out);
	}
	assert_int_equal(a.voices[0].messages, 0);
}

/* Who answers on our own pipe breaks them too. */
static void
nobody_writes_on_the_pipe_of_another(void **state)
{
	struct impostor impostor;
	(void)state;
	impostor_connect(&impostor, 100);
	assert_int_equal(send(impostor.in, "x", 1, MSG_NOSIGNAL), 1);
	hears(&a.control, PTYPE_TEXT, 0, a.harbor,
	      "down 9 it breaks the protocol: it writes where only this node writes");
	impostor_end(&impostor);
}

/* The next message that a sends to the impostor. */
static struct harbor_frame
impostor_hears(struct impostor *impostor)
{
	struct harbor_frame_reader reader = {0};
	struct harbor_frame frame;
	do {
		char byte;
		struct harbor_frame_input input = {&byte, 1};
		assert_int_equal(read(impostor->in, &byte, 1), 1);
		if (harbor_frame_next(&reader, &input, &frame) != HARBOR_FRAME_READY)
			frame.kind = 0;
	} while (frame.kind != HARBOR_FRAME_MESSAGE);
	harbor_frame_reader_fini(&reader);
	return frame;
}

/* Sends one message, the first of a pipe. */
static void
impostor_says(struct impostor *impostor, const struct harbor_frame *frame)
{
	char bytes[100], *end = harbor_frame_write_count(bytes, HARBOR_FRAME_BEGIN, 0);
	end = harbor_frame_write(end, frame);
	assert_int_equal(send(impostor->out, bytes, (size_t)(end - bytes), MSG_NOSIGNAL),
			 end - bytes);
}

static void
frames_for_other_nodes_are_refused(void **state)
{
	struct impostor impostor;
	struct harbor_frame frame = {.kind = HARBOR_FRAME_MESSAGE,
				     .source = 0x09000001,
				     .destination = 0x05000001,
				     .session = 6};
	(void)state;
	impostor_connect(&impostor, 100);
	impostor_says(&impostor, &frame);
	frame = impostor_hears(&impostor);
	assert_int_equal(frame.type, PTYPE_ERROR);
	assert_int_equal(frame.source, 0x05000001);
	assert_int_equal(frame.destination, 0x09000001);
	assert_int_equal(frame.session, 6);
	impostor_end(&impostor);
}

/* The peer may hold our pipe for open, and send requests, while it was closed here. */
static void
answers_wait_for_the_pipe(void **state)
{
	static struct harbor_handshake handshake;
	struct impostor impostor;
	struct harbor_frame frame = {.kind = HARBOR_FRAME_MESSAGE,
				     .type = TYPE_ANY,
				     .source = 0x09000001,
				     .destination = a.voices[0].handle,
				     .session = 6};
	(void)state;
	a.voices[0].echoes = true;
	impostor_connect(&impostor, 100);
	(void)close(impostor.out);
	(void)close(impostor.in);
	/* It has started anew; a learns of it by this pipe, and has no other yet. */
	impostor.out = dial_port(a.port);
	assert_int_equal(shake_hands(&handshake, impostor.out, true, 200), HARBOR_HANDSHAKE_DONE);
	impostor_says(&impostor, &frame);
	hears(&a.voices[0], TYPE_ANY, 6, 0x09000001, "");
	do { /* those of the former session are not answered */
		impostor.in = accept(impostor.listener, NULL, NULL);
		assert_true(impostor.in >= 0);
	} while (shake_hands(&handshake, impostor.in, false, 200) != HARBOR_HANDSHAKE_DONE);
	frame = impostor_hears(&impostor);
	assert_int_equal(frame.type, PTYPE_RESPONSE);
	assert_int_equal(frame.session, 6);
	impostor_end(&impostor);
}

/* T2: a handshake that was begun before the session changed comes too late. */
static void
late_handshakes_change_nothing(void **state)
{
	static struct harbor_handshake late, handshake;
	struct impostor impostor;
	struct harbor_hello own = {
		.id = 9, .wanted = 1, .has_secret = true, .tie = 100, .message_limit = 100000};
	(void)state;
	impostor_connect(&impostor, 100);
	/* Says hello as the old one, and keeps its proof back. */
	int fd = dial_port(a.port);
	harbor_handshake_dial(&late, &own, "abc");
	assert_true(send(fd, late.out, late.out_size, MSG_NOSIGNAL) > 0);
	late.out_size = 0;
	while (!late.is_proof_sent) {
		char byte;
		assert_int_equal(read(fd, &byte, 1), 1);
		(void)harbor_handshake_input(&late, &byte, 1);
	}
	/* The new one comes. */
	int out = dial_port(a.port);
	assert_int_equal(shake_hands(&handshake, out, true, 200), HARBOR_HANDSHAKE_DONE);
	hears(&a.control, PTYPE_TEXT, 0, a.harbor, "down 9 it has started anew*");
	/* The old one's proof is right, and too late. */
	assert_true(send(fd, late.out, late.out_size, MSG_NOSIGNAL) > 0);
	char byte;
	assert_int_equal(read_to_end(fd, &byte, 1), 0);
	(void)close(impostor.in);
	impostor.in = accept(impostor.listener, NULL, NULL);
	assert_int_equal(shake_hands(&handshake, impostor.in, false, 200), HARBOR_HANDSHAKE_DONE);
	hears(&a.control, PTYPE_TEXT, 0, a.harbor, "up 9");
	(void)close(fd);
	(void)close(out);
	impostor_end(&impostor);
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
		wired_test(breaks_within_handshakes_lose_nothing, start_test),
		wired_test(many_breaks_in_a_stream_keep_its_order, start_test),
		wired_test(a_restart_is_told_to_all_who_have_sent_there, start_test),
		wired_test(who_leaves_is_not_dialled_and_may_come_back, start_test),
		wired_test(who_has_moved_goes_on, start_test),
		wired_test(a_silent_peer_is_given_up_and_found_again, start_hasty),
		wired_test(a_peer_that_has_ended_is_lost_with_its_reason, start_hasty),
		cmocka_unit_test(who_cannot_be_reached_at_first_is_told),
		cmocka_unit_test(first_messages_wait_for_the_first_contact),
		wired_test(at_the_limit_senders_get_errors_until_half_is_gone, start_narrow),
		wired_test(at_the_limit_senders_wait_if_the_policy_says_so, start_blocking),
		wired_test(what_always_passes_is_bounded_too, start_narrow),
		one_test(garbage_is_refused_and_logged_now_and_then),
		one_test(who_says_nothing_is_closed_in_time),
		one_test(those_who_say_nothing_hold_up_nobody),
		one_test(who_is_not_who_it_should_be_is_refused),
		one_test(a_wrong_secret_is_logged_at_both_ends_once),
		one_test(one_secret_and_none_do_not_go_together),
		one_test(frames_that_break_the_rules_end_the_session),
		one_test(nobody_writes_on_the_pipe_of_another),
		one_test(frames_for_other_nodes_are_refused),
		one_test(answers_wait_for_the_pipe),
		one_test(late_handshakes_change_nothing),
		cmocka_unit_test(three_nodes_talk_to_each_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
