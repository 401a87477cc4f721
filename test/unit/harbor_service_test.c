/* harbor_service_test.c: harbors of several nodes in one process: what is sent arrives, once and in
 * order, or its sender is told. harbor_loss_test.c cuts the connections. */
#include "harbor_world.h"

#include <poll.h>

static struct host a, b;

#define TYPE_ANY 10

static int
start_pair(void **state)
{
	(void)state;
	host_start(&a, 1, NULL);
	host_start(&b, 2, NULL);
	connect_hosts(&a, &b);
	return 0;
}

static int
stop_pair(void **state)
{
	(void)state;
	host_stop(&a);
	host_stop(&b);
	return 0;
}

#define pair_test(f) cmocka_unit_test_setup_teardown(f, start_pair, stop_pair)

/* --- messages -------------------------------------------------------------------------------- */

static void
a_request_is_answered(void **state)
{
	(void)state;
	b.voices[0].echoes = true;
	assert_int_equal(say(&a.voices[0], b.voices[0].handle, 7, "hello"), 7);
	hears(&b.voices[0], PTYPE_TEXT, 7, a.voices[0].handle, "hello");
	hears(&a.voices[0], PTYPE_RESPONSE, 7, b.voices[0].handle, "hello");
}

static void
do_send_many(struct voice *voice, void *argument)
{
	uint32_t to = *(const uint32_t *)argument;
	char text[300];
	memset(text, '.', sizeof text);
	for (int i = 1; i <= 2000; i++) {
		(void)snprintf(text, 16, "%d", i);
		if (skynet_send(voice->ctx, 0, to, TYPE_ANY, i, text, (size_t)(16 + i % 280)) != i)
			abort();
	}
}

static void
messages_arrive_in_order_both_ways(void **state)
{
	(void)state;
	in_turn(&a.voices[0], do_send_many, &b.voices[0].handle);
	in_turn(&b.voices[1], do_send_many, &a.voices[1].handle);
	for (int i = 1; i <= 2000; i++) {
		char text[16];
		(void)snprintf(text, sizeof text, "%d", i);
		hears(&b.voices[0], TYPE_ANY, i, a.voices[0].handle, text);
		hears(&a.voices[1], TYPE_ANY, i, b.voices[1].handle, text);
	}
	assert_int_equal(stat_of(&a, 2, "sent"), 2000);
	assert_int_equal(stat_of(&a, 2, "received"), 2000);
}

static void
empty_messages_and_all_types_arrive(void **state)
{
	(void)state;
	for (int type = 0; type < 256; type++) {
		if (type == PTYPE_SOCKET || type == PTYPE_SYSTEM)
			continue;
		assert_int_equal(say_bytes(&a.voices[0], b.voices[0].handle, type, 5, NULL, 0), 5);
		hears(&b.voices[0], type, 5, a.voices[0].handle, "");
	}
}

/* Their payload is a pointer. */
static void
events_of_sockets_do_not_travel(void **state)
{
	(void)state;
	assert_int_equal(say_bytes(&a.voices[0], b.voices[0].handle, PTYPE_SOCKET, 5, "x", 1), 5);
	hears(&a.voices[0], PTYPE_ERROR, 5, b.voices[0].handle,
	      "service :0200000*: events of sockets cannot go to another node");
	assert_int_equal(b.voices[0].messages, 0);
}

/* They would be taken for results of skynet_send. */
static void
negative_sessions_do_not_travel(void **state)
{
	(void)state;
	for (int session = -5; session < 0; session++) {
		(void)say(&a.voices[0], b.voices[0].handle, session, "x");
		hears(&a.voices[0], PTYPE_ERROR, session, b.voices[0].handle,
		      "harbor (:*): a message with the session -* cannot go to another node");
	}
	assert_int_equal(say(&a.voices[0], b.voices[0].handle, 5, "x"), 5);
	hears(&b.voices[0], PTYPE_TEXT, 5, a.voices[0].handle, "x");
	/* But for the word that a message without one was lost. */
	assert_int_equal(say_bytes(&a.voices[0], b.voices[0].handle, PTYPE_ERROR,
				   SKYNET_SESSION_LOST, "y", 1),
			 SKYNET_SESSION_LOST);
	hears(&b.voices[0], PTYPE_ERROR, SKYNET_SESSION_LOST, a.voices[0].handle, "y");
	assert_int_equal(stat_of(&b, 1, "refused"), 0);
}

static int
check_long(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	   const void *msg, size_t sz)
{
	struct voice *voice = ud;
	struct heard heard = {type, session, source, sz, "wrong"};
	(void)ctx;
	if (type == PTYPE_SYSTEM)
		return on_voice(ctx, ud, type, session, source, msg, sz);
	const char *bytes = msg;
	size_t i = 0;
	while (i < sz && bytes[i] == (char)(i % 251))
		i++;
	if (i == sz && bytes[sz] == '\0') /* a NUL behind, as of local messages */
		(void)snprintf(heard.text, sizeof heard.text, "right");
	note(voice, &heard);
	return SKYNET_DONE;
}

static void
do_check_long(struct voice *voice, void *argument)
{
	(void)argument;
	skynet_callback(voice->ctx, voice, check_long);
}

static void
long_messages_arrive_whole(void **state)
{
	const size_t sizes[] = {65535, 65536, 65537, 131072, 262144, 262145, 3000000};
	char *bytes = malloc(3000000);
	(void)state;
	assert_non_null(bytes);
	for (size_t i = 0; i < 3000000; i++)
		bytes[i] = (char)(i % 251);
	in_turn(&b.voices[0], do_check_long, NULL);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		assert_int_equal(
			say_bytes(&a.voices[0], b.voices[0].handle, TYPE_ANY, 9, bytes, sizes[i]),
			9);
		struct heard heard = take_heard(&b.voices[0], "a long message");
		assert_int_equal(heard.size, sizes[i]);
		assert_string_equal(heard.text, "right");
	}
	free(bytes);
}

/* --- what is not delivered ------------------------------------------------------------------- */

static void
senders_to_nobody_are_told(void **state)
{
	(void)state;
	assert_int_equal(say(&a.voices[0], 0x02fffff0, 5, "x"), 5);
	hears(&a.voices[0], PTYPE_ERROR, 5, 0x02fffff0,
	      "service :02fffff0: there is no such service");
	assert_int_equal(say(&a.voices[0], 0x02fffff0, 0, "x"), 0);
	hears(&a.voices[0], PTYPE_ERROR, 0, 0x02fffff0,
	      "service :02fffff0: there is no such service");
	/* A node that nobody has told of. */
	assert_int_equal(say(&a.voices[0], 0x09000001, 5, "x"), 5);
	hears(&a.voices[0], PTYPE_ERROR, 5, 0x09000001, "*no link to its node, number 9*");
}

static void
do_bound(struct voice *voice, void *argument)
{
	(void)skynet_mailbox(voice->ctx, 0, 1, *(int *)argument);
}

static _Atomic bool is_standing, may_go_on;

static void
do_stand_still(struct voice *voice, void *argument)
{
	(void)voice, (void)argument;
	is_standing = true;
	while (!may_go_on)
		(void)poll(NULL, 0, 1);
}

/* Posts a job without waiting for its end. */
static void *
run_stand_still(void *argument)
{
	in_turn(argument, do_stand_still, NULL);
	return NULL;
}

static void
senders_to_a_full_mailbox_are_told(void **state)
{
	int policies[] = {SKYNET_FULL_ERROR, SKYNET_FULL_BLOCK};
	(void)state;
	for (int i = 0; i < 2; i++) {
		pthread_t thread;
		in_turn(&b.voices[0], do_bound, &policies[i]);
		is_standing = may_go_on = false;
		assert_int_equal(pthread_create(&thread, NULL, run_stand_still, &b.voices[0]), 0);
		while (!is_standing)
			(void)poll(NULL, 0, 1);
		for (int j = 1; j <= 2; j++)
			assert_int_equal(say(&a.voices[0], b.voices[0].handle, 50 + j, "x"),
					 50 + j);
		assert_int_equal(say(&a.voices[0], b.voices[0].handle, 0, "x"), 0);
		hears(&a.voices[0], PTYPE_ERROR, 52, b.voices[0].handle,
		      "service :0200000*: its mailbox is full");
		hears(&a.voices[0], PTYPE_ERROR, SKYNET_SESSION_LOST, b.voices[0].handle,
		      "service :0200000*: its mailbox is full");
		may_go_on = true;
		(void)pthread_join(thread, NULL);
	}
}

/* As .cslave: a node has left; and before the harbor has heard of that, something for it. */
static void
do_dismiss_and_send(struct voice *voice, void *argument)
{
	static char gone[] = "gone 2 0 for a test";
	(void)argument;
	(void)skynet_send(voice->ctx, 0, a.harbor, PTYPE_TEXT, 0, gone, strlen(gone));
	for (int session = 5; session <= 6; session++)
		if (skynet_send(voice->ctx, 0, b.voices[0].handle, TYPE_ANY, session, "x", 1) !=
		    session)
			abort();
}

/* What waits in the harbor's mailbox is refused with the same words as what comes later. */
static void
senders_to_a_node_that_has_gone_are_told_why(void **state)
{
	(void)state;
	host_start(&a, 1, (const char *[]){"thread", "1", NULL}); /* one turn at a time */
	host_start(&b, 2, NULL);
	connect_hosts(&a, &b);
	in_turn(&a.control, do_dismiss_and_send, NULL);
	hears(&a.control, PTYPE_TEXT, 0, a.harbor, "down 2 for a test");
	for (int session = 5; session <= 6; session++)
		hears(&a.control, PTYPE_ERROR, session, b.voices[0].handle,
		      "service :0200000*: no link to its node, number 2: for a test");
	assert_int_equal(say(&a.control, b.voices[0].handle, 7, "x"), 7);
	hears(&a.control, PTYPE_ERROR, 7, b.voices[0].handle,
	      "service :0200000*: no link to its node, number 2: for a test");
	assert_int_equal(b.voices[0].messages, 0);
	(void)stop_pair(state);
}

/* --- limits of both -------------------------------------------------------------------------- */

static void
messages_above_the_smaller_limit_are_refused_at_the_sender(void **state)
{
	static char bytes[3000];
	(void)state;
	host_start(&a, 1, (const char *[]){"harbor_message_limit", "3000", NULL});
	host_start(&b, 2, (const char *[]){"harbor_message_limit", "2000", NULL});
	connect_hosts(&a, &b);
	assert_int_equal(say_bytes(&a.voices[0], b.voices[0].handle, TYPE_ANY, 5, bytes, 2000), 5);
	hears(&b.voices[0], TYPE_ANY, 5, a.voices[0].handle, "");
	assert_int_equal(say_bytes(&a.voices[0], b.voices[0].handle, TYPE_ANY, 6, bytes, 2001), 6);
	hears(&a.voices[0], PTYPE_ERROR, 6, b.voices[0].handle,
	      "service :0200000*: a message of 2001 bytes is longer than harbor_message_limit, "
	      "which is 2000 between nodes 1 and 2");
	assert_int_equal(say_bytes(&a.voices[0], b.voices[0].handle, TYPE_ANY, 0, bytes, 3000), 0);
	hears(&a.voices[0], PTYPE_ERROR, SKYNET_SESSION_LOST, b.voices[0].handle, "*");
	assert_int_equal(say_bytes(&b.voices[0], a.voices[0].handle, TYPE_ANY, 7, bytes, 2001), 7);
	hears(&b.voices[0], PTYPE_ERROR, 7, a.voices[0].handle, "*2000 between nodes 2 and 1");
	/* An answer: who waits for it is told, too. */
	assert_int_equal(
		say_bytes(&b.voices[0], a.voices[0].handle, PTYPE_RESPONSE, 8, bytes, 2001), 8);
	hears(&a.voices[0], PTYPE_ERROR, 8, b.voices[0].handle,
	      "service :0200000*: its answer: a message of 2001 bytes is longer than *");
	hears(&b.voices[0], PTYPE_ERROR, SKYNET_SESSION_LOST, a.voices[0].handle, "*2001*");
	/* An error: whoever waits is told, in fewer words; also if that is all who have asked. */
	for (int session = 9; session >= 0; session -= 9) {
		assert_int_equal(say_bytes(&b.voices[0], a.voices[0].handle, PTYPE_ERROR, session,
					   bytes, 2001),
				 session);
		hears(&a.voices[0], PTYPE_ERROR, session, b.voices[0].handle,
		      "service :0200000*: its answer: a message of 2001 bytes is longer than *");
	}
	(void)stop_pair(state);
}

/* Sent before the two had agreed. */
static void
what_is_too_long_for_the_receiver_is_refused_there(void **state)
{
	static char bytes[300000];
	(void)state;
	host_start(&a, 1, NULL);
	host_start(&b, 2, (const char *[]){"harbor_message_limit", "200000", NULL});
	introduce(&a, &b, b.port);
	assert_int_equal(say_bytes(&a.voices[0], b.voices[0].handle, TYPE_ANY, 5, bytes, 200000),
			 5);
	assert_int_equal(say_bytes(&a.voices[0], b.voices[0].handle, TYPE_ANY, 6, bytes, 200001),
			 6);
	assert_int_equal(say_bytes(&a.voices[0], b.voices[0].handle, TYPE_ANY, 7, bytes, 300000),
			 7);
	assert_int_equal(
		say_bytes(&a.voices[1], b.voices[1].handle, PTYPE_RESPONSE, 8, bytes, 300000), 8);
	assert_int_equal(say_bytes(&a.voices[1], b.voices[1].handle, PTYPE_ERROR, 0, bytes, 300000),
			 0);
	introduce(&b, &a, a.port);
	hears(&b.voices[1], PTYPE_ERROR, 8, a.voices[1].handle,
	      "service :0100000*: its answer: a message of 300000 bytes is longer than "
	      "harbor_message_limit, which is 200000 on node 2");
	hears(&b.voices[1], PTYPE_ERROR, 0, a.voices[1].handle, "*its answer: *300000*");
	hears(&b.voices[0], TYPE_ANY, 5, a.voices[0].handle, "");
	hears(&a.voices[0], PTYPE_ERROR, 6, b.voices[0].handle,
	      "*a message of 200001 bytes is longer than harbor_message_limit, which is 200000 on "
	      "node 2");
	hears(&a.voices[0], PTYPE_ERROR, 7, b.voices[0].handle, "*300000*");
	(void)stop_pair(state);
}

/* --- probes and links ------------------------------------------------------------------------ */

struct asking {
	uint32_t destination;
	int session;
};

static void
do_probe(struct voice *voice, void *argument)
{
	struct asking *asking = argument;
	asking->session = skynet_probe(voice->ctx, asking->destination);
}

static void
do_link(struct voice *voice, void *argument)
{
	struct asking *asking = argument;
	asking->session = skynet_link(voice->ctx, asking->destination, asking->session);
}

static void
do_unlink(struct voice *voice, void *argument)
{
	struct asking *asking = argument;
	skynet_unlink(voice->ctx, asking->destination, asking->session);
}

static void
probes_come_back_behind_what_was_sent(void **state)
{
	struct asking asking = {.destination = b.voices[0].handle};
	(void)state;
	assert_int_equal(say(&a.voices[0], asking.destination, 0, "before"), 0);
	in_turn(&a.voices[0], do_probe, &asking);
	assert_true(asking.session > 0);
	hears(&a.voices[0], PTYPE_RESPONSE, asking.session, asking.destination, "");
	assert_int_equal(count_heard(&b.voices[0], "before"), 1);
	asking.destination = 0x02fffff0;
	in_turn(&a.voices[0], do_probe, &asking);
	hears(&a.voices[0], PTYPE_ERROR, asking.session, 0x02fffff0, "*there is no such service");
	assert_int_equal(stat_of(&b, 2, "links"), 0);
}

static void
links_tell_of_the_end(void **state)
{
	struct asking asking = {.destination = b.voices[0].handle, .session = 77};
	struct asking other = {.destination = b.voices[0].handle, .session = 78};
	(void)state;
	in_turn(&a.voices[0], do_link, &asking);
	in_turn(&a.voices[0], do_link, &other);
	assert_int_equal(asking.session, 77);
	in_turn(&a.voices[0], do_unlink, &other);
	in_turn(&a.voices[0], do_probe, &other); /* all of that is there */
	hears(&a.voices[0], PTYPE_RESPONSE, other.session, other.destination, "");
	assert_int_equal(stat_of(&b, 2, "links"), 1);
	in_turn(&b.voices[0], do_exit, NULL);
	hears(&a.voices[0], PTYPE_ERROR, 77, asking.destination, "*");
	in_turn(&a.voices[0], do_link, &asking);
	hears(&a.voices[0], PTYPE_ERROR, 77, asking.destination, "*there is no such service");
	assert_int_equal(stat_of(&b, 2, "links"), 0);
}

/* What the other node has asked for is forgotten when it is gone. */
static void
links_end_with_their_owners_node(void **state)
{
	struct asking asking = {.destination = b.voices[0].handle, .session = 77};
	(void)state;
	in_turn(&a.voices[0], do_link, &asking);
	in_turn(&a.voices[0], do_probe, &asking);
	hears(&a.voices[0], PTYPE_RESPONSE, asking.session, asking.destination, "");
	command(&b, "gone 1 0 for a test");
	hears(&b.control, PTYPE_TEXT, 0, b.harbor, "down 1 for a test");
	assert_int_equal(stat_of(&b, 2, "links"), 0);
	in_turn(&b.voices[0], do_exit, NULL);
}

/* --- commands -------------------------------------------------------------------------------- */

static void
commands_are_checked(void **state)
{
	static const char *const cases[][2] = {
		{"", "*unknown command : it knows self, node, gone, sync and stat"},
		{"nodes", "*unknown command nodes: *"},
		{"node", "* is no id of another node (1 to 255)"},
		{"node 0 h:1", "*0 is no id of another node*"},
		{"node 1 h:1", "*1 is no id of another node*"},
		{"node 256 h:1", "*256 is no id of another node*"},
		{"node 3x h:1", "*3x is no id of another node*"},
		{"node 3", "* is no address HOST:PORT of node 3"},
		{"node 3 host", "*host is no address*"},
		{"node 3 host:0", "*host:0 is no address*"},
		{"node 3 host:65536", "*host:65536 is no address*"},
		{"node 3 :1", "*:1 is no address*"},
		{"gone x", "*x is no id*"},
		{"gone 3", "* is no process (1 to 8 hexadecimal digits)"},
		{"gone 3 x y", "*x is no process*"},
		{"self 123456789", "*123456789 is no process*"},
	};
	char longest[1100];
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(say(&a.control, a.harbor, 5, cases[i][0]), 5);
		hears(&a.control, PTYPE_ERROR, 5, a.harbor, cases[i][1]);
	}
	memset(longest, 'x', sizeof longest);
	assert_int_equal(say_bytes(&a.control, a.harbor, PTYPE_TEXT, 5, longest, sizeof longest),
			 5);
	hears(&a.control, PTYPE_ERROR, 5, a.harbor, "*a command has at most 1023 bytes");
	assert_int_equal(say(&a.voices[0], a.harbor, 5, "node 3 h:1"), 5);
	hears(&a.voices[0], PTYPE_ERROR, 5, a.harbor, "*only .cslave (:0100000*) may say node");
	assert_int_equal(say(&a.control, a.harbor, 5, "gone 9 0 x"), 5);
	hears(&a.control, PTYPE_RESPONSE, 5, a.harbor, "");
	assert_int_equal(say_bytes(&a.voices[0], a.harbor, TYPE_ANY, 5, "x", 1), 5);
	hears(&a.voices[0], PTYPE_ERROR, 5, a.harbor, "*it knows commands in text only");
}

static void
a_config_that_cannot_be_used_is_named(void **state)
{
	static const char *const cases[][3] = {
		{"address", "nowhere", "*The config's address is nowhere, and must be HOST:PORT"},
		{"address", "127.0.0.1:", "*The config's address is 127.0.0.1:, *"},
		{"harbor_timeout", "0", "*harbor_timeout is 0, and must be from 1 to 3600"},
		{"harbor_output_limit", "1", "*harbor_output_limit is 1, and must be from 65536 *"},
		{"harbor_message_limit", "x",
		 "*harbor_message_limit is x, and must be from 1024 *"},
		{"harbor_output_policy", "drop", "*is drop, and must be error or block"},
		{"harbor_key", "x", "*needs both harbor_certificate and harbor_authorities*"},
		{"address", "192.0.2.1:1", "*Cannot listen on 192.0.2.1:1 (config key address): *"},
	};
	char parm[64];
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		host_start_bare(&a, 1, (const char *[]){cases[i][0], cases[i][1], NULL});
		(void)snprintf(parm, sizeof parm, "harbor 1 %u", (unsigned)a.control.handle);
		assert_int_equal(launch(&a.control, parm), 0);
		logs(&a, cases[i][2]);
		host_stop(&a);
	}
	host_start_bare(&a, 1, NULL);
	assert_int_equal(launch(&a.control, "harbor 2 16777218"), 0);
	logs(&a, "*Invalid parm 2 16777218*");
	assert_int_equal(launch(&a.control, "harbor 1"), 0);
	(void)snprintf(parm, sizeof parm, "harbor 1 %u", (unsigned)a.control.handle);
	assert_int_not_equal(launch(&a.control, parm), 0);
	assert_int_equal(launch(&a.control, parm), 0);
	logs(&a, "*This node has a harbor already");
	host_stop(&a);
}

/* Services that come and go do not fill what is kept to tell them of the node's end. */
static void
senders_that_have_ended_are_forgotten(void **state)
{
	static struct voice guests[1500];
	(void)state;
	for (int i = 0; i < 1500; i++) {
		char parm[64];
		guests[i] = voice_of(&a);
		(void)snprintf(parm, sizeof parm, "scripted %" PRIxPTR, (uintptr_t)&guests[i]);
		assert_int_not_equal(launch(&a.control, parm), 0);
		assert_int_equal(say(&guests[i], b.voices[0].handle, 0, "x"), 0);
		in_turn(&guests[i], do_exit, NULL);
	}
	await_messages(&b.voices[0], 1500);
	assert_in_range(stat_of(&a, 2, "senders"), 1, 1024);
}

/* --- the end of the harbor ------------------------------------------------------------------- */

static void
the_end_of_the_harbor_is_the_end_of_the_nodes(void **state)
{
	char address[16];
	(void)state;
	assert_int_equal(say(&a.voices[0], b.voices[0].handle, 5, "x"), 5);
	hears(&b.voices[0], PTYPE_TEXT, 5, a.voices[0].handle, "x");
	(void)snprintf(address, sizeof address, ":%x", a.harbor);
	in_turn(&a.control, do_kill, address);
	/* Sent and not acknowledged, or acknowledged: the death of the node in any case. */
	struct heard heard = take_heard(&a.voices[0], "an end");
	if (heard.session == 5)
		heard = take_heard(&a.voices[0], "an end");
	assert_int_equal(heard.type, PTYPE_ERROR);
	assert_int_equal(heard.session, 0);
	assert_int_equal(heard.source, 2u << 24);
	assert_string_equal(heard.text, "node 2 is gone: the harbor of this node has ended");
	assert_int_equal(say(&a.voices[0], b.voices[0].handle, 6, "x"), 6);
	hears(&a.voices[0], PTYPE_ERROR, 6, b.voices[0].handle, "*no link to its node, number 2*");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		pair_test(a_request_is_answered),
		pair_test(messages_arrive_in_order_both_ways),
		pair_test(empty_messages_and_all_types_arrive),
		pair_test(events_of_sockets_do_not_travel),
		pair_test(negative_sessions_do_not_travel),
		pair_test(long_messages_arrive_whole),
		pair_test(senders_to_nobody_are_told),
		pair_test(senders_to_a_full_mailbox_are_told),
		cmocka_unit_test(senders_to_a_node_that_has_gone_are_told_why),
		cmocka_unit_test(messages_above_the_smaller_limit_are_refused_at_the_sender),
		cmocka_unit_test(what_is_too_long_for_the_receiver_is_refused_there),
		pair_test(probes_come_back_behind_what_was_sent),
		pair_test(links_tell_of_the_end),
		pair_test(links_end_with_their_owners_node),
		pair_test(commands_are_checked),
		cmocka_unit_test(a_config_that_cannot_be_used_is_named),
		pair_test(senders_that_have_ended_are_forgotten),
		pair_test(the_end_of_the_harbor_is_the_end_of_the_nodes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
