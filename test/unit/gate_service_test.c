/* gate_service_test.c: the gate and its services: slow ones, gone ones, and what they ask of it. */
#include "gate_world.h"

/* --- services that are slow, or gone -------------------------------------------------------- */

static void
slow_service_holds_the_client(void **state)
{
	(void)state;
	open_with_agent(5);
	client_sends_frames(5, GATE_WINDOW_FRAMES - 1, 1);
	forget();
	client_sends_frames(5, 1, 1);
	assert_non_null(strstr(world.trace, "probe 20\n"));
	client_sends_frames(5, GATE_WINDOW_FRAMES - 1, 1);
	assert_null(strstr(world.trace, "pause"));
	client_sends_frames(5, 10, 1);
	assert_non_null(strstr(world.trace, "pause 5\n"));
	assert_int_equal(gate->held_count, 1);
	forget();
	probe_returns(AGENT); /* it has handled the first window; the second is full */
	assert_int_equal(strncmp(world.trace, "probe 20\nsend from 30", 20), 0);
	assert_non_null(strstr(world.trace, "start 5\n"));
	assert_int_equal(gate_connection_find(gate, 5)->window_frames, 9);
	forget();
	probe_returns(AGENT);
	did("");
}

static void
held_connection_forwards_nothing(void **state)
{
	(void)state;
	open_with_agent(5);
	text("pause 5");
	did("pause 5\n");
	/* Chunks that were under way, cut in the middle of frames. */
	client_sends(5, "\0\2a", 3);
	client_sends(5, "b\0\1c\0\3d", 7);
	did("");
	text("start 5");
	did("send from 30 to 20 type 3 session 5: ab\n"
	    "send from 30 to 20 type 3 session 5: c\n"
	    "start 5\n");
	event(SKYNET_SOCKET_TYPE_WARNING, 5, 1024, NULL);
	client_sends(5, "ef\0\1g", 5);
	did("pause 5\n");
	client_ends(5); /* nothing more will come: what is there goes on */
	did("send from 30 to 20 type 3 session 5: def\n"
	    "send from 30 to 20 type 3 session 5: g\n"
	    "timeout 500\nsend from 0 to 10 type 0 session 0: 5 close\n");
}

static void
held_connection_may_end(void **state)
{
	(void)state;
	/* What was held back goes with it. */
	for (int id = 5; id < 8; id++) {
		open_with_agent(id);
		client_sends_frames(id, 3 * GATE_WINDOW_FRAMES, 1);
		assert_non_null(gate_connection_find(gate, id)->rest);
	}
	text("kick 5");
	event(SKYNET_SOCKET_TYPE_ERROR, 6, 0, "Connection reset by peer");
	die(AGENT);
	forget();
	client_ends(7);
	assert_non_null(strstr(world.trace, "Service :00000020 of connection 7 is gone"));
	probe_returns(CLIENT);
	assert_null(gate_connection_find(gate, 7));
}

static void
rest_is_forwarded_window_by_window(void **state)
{
	(void)state;
	open_with_agent(5);
	client_sends_frames(5, 10 * GATE_WINDOW_FRAMES + 1, 1);
	for (int i = 2; i < 10; i++) {
		assert_int_equal(gate_connection_find(gate, 5)->window_frames, GATE_WINDOW_FRAMES);
		forget();
		probe_returns(AGENT);
		assert_int_equal(strncmp(world.trace, "probe 20\n", 9), 0);
		assert_null(strstr(world.trace, "start"));
	}
	forget();
	probe_returns(AGENT);
	did("probe 20\nsend from 30 to 20 type 3 session 5: \nstart 5\n");
}

static void
large_frames_count_by_their_bytes(void **state)
{
	(void)state;
	open_with_agent(5);
	client_sends_frames(5, 2, 40000);
	assert_non_null(strstr(world.trace, "probe 20\n"));
	client_sends_frames(5, 2, 40000);
	assert_non_null(strstr(world.trace, "pause 5\n"));
	forget();
	/* The agent ends: the error lets it go on, and the next frame finds out. */
	die(AGENT);
	deliver(PTYPE_ERROR, world.last_probe, AGENT, NULL, 0);
	did("probe 20\n"
	    "log [gate] Service :00000020 of connection 5 is gone, the connection is closed\n"
	    "timeout 500\nprobe 30\n");
}

static void
foreign_answers_do_not_count(void **state)
{
	(void)state;
	open_with_agent(5);
	client_sends_frames(5, GATE_WINDOW_FRAMES, 1);
	client_sends_frames(5, GATE_WINDOW_FRAMES, 1);
	forget();
	deliver(PTYPE_RESPONSE, world.last_probe, BROKER, NULL, 0);
	deliver(PTYPE_RESPONSE, world.last_probe + 1, AGENT, NULL, 0);
	deliver(PTYPE_ERROR, 0, AGENT, NULL, 0);
	did("");
	text("forward 5 :40 :30"); /* another agent: its mailbox is empty */
	did("start 5\n");
	probe_returns(AGENT); /* of the former one */
	did("");
}

static void
services_of_other_nodes_bound_what_is_read_too(void **state)
{
	(void)state;
	const uint32_t far_agent = 0x2000001;
	client_connects(5);
	text("forward 5 :2000001 :30");
	text("start 5");
	client_sends_frames(5, GATE_WINDOW_FRAMES * 3, 1);
	assert_non_null(strstr(world.trace, "probe 2000001\n"));
	assert_non_null(strstr(world.trace, "pause 5\n"));
	forget();
	probe_returns(far_agent);
	assert_non_null(strstr(world.trace, "probe 2000001\n"));
	forget();
	/* A send does not find out that it has ended; its probe does. */
	deliver(PTYPE_ERROR, world.last_probe, far_agent, NULL, 0);
	assert_non_null(strstr(world.trace, "Service :02000001 of connection 5 is gone"));
}

static void
the_end_of_a_node_ends_the_connections_to_it(void **state)
{
	(void)state;
	for (int id = 5; id <= 7; id++) {
		char command[64];
		client_connects(id);
		(void)snprintf(command, sizeof command, "forward %d :%d000001 :30", id,
			       id < 7 ? 2 : 3);
		text(command);
		(void)snprintf(command, sizeof command, "start %d", id);
		text(command);
	}
	for (int id = 6; id <= 7; id++)
		client_sends_frames(id, GATE_WINDOW_FRAMES, 1);
	forget();
	deliver(PTYPE_ERROR, 0, 0x2000001, NULL, 0); /* a service there: no matter */
	did("");
	deliver(PTYPE_ERROR, 0, 0x2000000, NULL, 0);
	assert_non_null(strstr(world.trace, "Service :02000001 of connection 6 is gone"));
	assert_null(strstr(world.trace, "connection 5 is gone")); /* no probe was on its way */
	assert_null(strstr(world.trace, "connection 7 is gone"));
	deliver(PTYPE_ERROR, 0, 0x3000000, NULL, 0);
	assert_non_null(strstr(world.trace, "Service :03000001 of connection 7 is gone"));
	deliver(PTYPE_ERROR, 0, 0x3000000, NULL, 0);
}

static void
gone_agent_ends_the_connection(void **state)
{
	(void)state;
	open_with_agent(5);
	die(AGENT);
	client_sends(5, "\0\1x\0\1y", 6);
	did("send from 30 to 20 type 3 session 5: x\n"
	    "log [gate] Service :00000020 of connection 5 is gone, the connection is closed\n"
	    "pause 5\ntimeout 500\nprobe 30\n");
	probe_returns(CLIENT);
	did("close 5\nsend from 0 to 10 type 0 session 0: 5 close\n");
}

static void
gone_watchdog_ends_new_connections(void **state)
{
	(void)state;
	die(WATCHDOG);
	client_connects(5);
	client_connects(6);
	did("send from 0 to 10 type 0 session 0: 5 open 5 1.2.3.4:5:0\n"
	    "log [gate] Watchdog :00000010 is gone, new connections are closed\n"
	    "close 5\n"
	    "send from 0 to 10 type 0 session 0: 6 open 6 1.2.3.4:5:0\n"
	    "close 6\n");
	assert_int_equal(gate->connections.count, 0);
}

static void
client_that_does_not_read_is_not_read(void **state)
{
	(void)state;
	open_with_agent(5);
	event(SKYNET_SOCKET_TYPE_WARNING, 5, 1024, NULL);
	did("pause 5\n");
	event(SKYNET_SOCKET_TYPE_WARNING, 5, 2048, NULL);
	did("");
	text("start 5"); /* says nothing about this reason */
	did("");
	text("pause 5");
	event(SKYNET_SOCKET_TYPE_WARNING, 5, 0, NULL);
	did("");
	text("start 5");
	did("start 5\n");
}

/* --- commands ------------------------------------------------------------------------------- */

static void
unknown_commands_are_logged(void **state)
{
	(void)state;
	open_with_agent(5);
	text("k 5");
	did("log [gate] Unknown command : k 5\n");
	text("");
	did("log [gate] Unknown command : \n");
	text("kick");
	did("log [gate] Invalid kick command : kick\n");
	text("kick five");
	did("log [gate] Invalid kick command : kick five\n");
	text("kick 99999999999");
	did("log [gate] Invalid kick command : kick 99999999999\n");
	text("forward 5 :20");
	did("log [gate] Invalid forward command : forward 5 :20\n");
	text("broker .nobody");
	did("log [gate] Invalid broker command : broker .nobody\n");
	char long_text[1000];
	memset(long_text, 'x', sizeof(long_text));
	deliver(PTYPE_TEXT, 0, WATCHDOG, long_text, sizeof(long_text));
	assert_int_equal(strncmp(world.trace, "log [gate] Unknown command : xxx", 32), 0);
	forget();
	/* About a connection that is gone there is nothing to say. */
	text("forward 9 :20 :30");
	text("start 9");
	text("kick 9");
	did("");
}

static void
requests_are_answered(void **state)
{
	(void)state;
	open_with_agent(5);
	deliver(PTYPE_TEXT, 7, WATCHDOG, "nonsense", 8);
	did("log [gate] Unknown command : nonsense\nsend from 0 to 10 type 7 session 7: "
	    "gate (:00000000): it does not know this command\n");
	deliver(PTYPE_TEXT, 7, WATCHDOG, "start 9", 7);
	did("send from 0 to 10 type 7 session 7: gate (:00000000): there is no such connection\n");
	deliver(11, 7, WATCHDOG, "", 0);
	did("send from 0 to 10 type 7 session 7: "
	    "gate (:00000000): it knows commands in text, and frames, only\n");
	deliver(PTYPE_TEXT, 7, WATCHDOG, "pause 5", 7);
	did("pause 5\nsend from 0 to 10 type 1 session 7: \n");
	deliver(PTYPE_TEXT, 7, WATCHDOG, "stat\n", 5);
	did("send from 0 to 10 type 1 session 7: "
	    "open 1 lingering 0 accepted 1 refused 0 too_long 0 invalid 0 held 0\n");
}

static void
raw_bytes_go_out(void **state)
{
	(void)state;
	open_with_agent(5);
	deliver(PTYPE_CLIENT, 0, AGENT, "hello\5\0\0\0", 9);
	did("write 5: hello\n");
	deliver(PTYPE_CLIENT, 0, AGENT, "\5\0\0\0", 4);
	did("log Invalid client message from 20\n");
	deliver(PTYPE_CLIENT, 0, AGENT, "x\6\0\0\0", 5);
	did("log Invalid client id 6 from 20\n");
	deliver(PTYPE_CLIENT, 0, AGENT, "x\xff\xff\xff\xff", 5);
	did("log Invalid client id -1 from 20\n");
}

static void
log_lines_are_bounded(void **state)
{
	(void)state;
	for (int id = 5; id < 105; id++) {
		open_with_agent(id);
		event(SKYNET_SOCKET_TYPE_ERROR, id, 0, "Connection reset by peer");
		if (id == 5 + GATE_LOG_LINES_PER_SECOND - 1)
			assert_non_null(strstr(world.trace, "log"));
		if (id >= 5 + GATE_LOG_LINES_PER_SECOND)
			assert_null(strstr(world.trace, "log"));
	}
	world.now_cs += 100;
	open_with_agent(200);
	event(SKYNET_SOCKET_TYPE_ERROR, 200, 0, "Connection reset by peer");
	assert_non_null(strstr(world.trace, "log [gate] 90 more log lines were left out\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_GATE(slow_service_holds_the_client),
		WITH_GATE(held_connection_forwards_nothing),
		WITH_GATE(held_connection_may_end),
		WITH_GATE(rest_is_forwarded_window_by_window),
		WITH_GATE(large_frames_count_by_their_bytes),
		WITH_GATE(foreign_answers_do_not_count),
		WITH_GATE(services_of_other_nodes_bound_what_is_read_too),
		WITH_GATE(the_end_of_a_node_ends_the_connections_to_it),
		WITH_GATE(gone_agent_ends_the_connection),
		WITH_GATE(gone_watchdog_ends_new_connections),
		WITH_GATE(client_that_does_not_read_is_not_read),
		WITH_GATE(unknown_commands_are_logged),
		WITH_GATE(requests_are_answered),
		WITH_GATE(raw_bytes_go_out),
		WITH_GATE(log_lines_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
