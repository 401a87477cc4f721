/* gate_websocket_test.c: the gate with websockets: from the handshake to the last frame. */
#include "gate_world.h"

static int
make_websocket_gate(void **state)
{
	(void)make_world(state);
	if (launch("websocket :10 8888 0 3 request=1") != 0)
		return 1;
	forget();
	return 0;
}

#define WITH_WEBSOCKETS(test) cmocka_unit_test_setup_teardown(test, make_websocket_gate, free_gate)

static void
client_says(int id, const char *text)
{
	client_sends(id, text, strlen(text));
}

/* A websocket that is read and has an agent. */
static void
open_websocket_with_agent(int id)
{
	char command[64];
	client_connects(id);
	client_says(id, HANDSHAKE);
	(void)snprintf(command, sizeof(command), "forward %d :20 :30", id);
	text(command);
	(void)snprintf(command, sizeof(command), "start %d", id);
	text(command);
	forget();
}

static void
watchdog_hears_of_it_after_the_handshake(void **state)
{
	(void)state;
	client_connects(5);
	did("timeout 500\nstart 5\n"); /* it is read at once */
	client_says(5, "GET /x HTTP/1.1\r\nHost: x\r\n");
	did("");
	client_says(5, &HANDSHAKE[strlen("GET /x HTTP/1.1\r\nHost: x\r\n")]);
	did("write 5: " HANDSHAKE_ANSWER "\n"
	    "send from 0 to 10 type 0 session 0: 5 request GET /x HTTP/1.1\r\nHost: x\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: ...\n"
	    "send from 0 to 10 type 0 session 0: 5 open 5 1.2.3.4:5:0\n"
	    "pause 5\n");
	client_sends(5, "\x81\x82\0\0\0\0hi", 8); /* was under way */
	did("");
	text("start 5");
	did("send from 0 to 10 type 0 session 5: 5 data hi\nstart 5\n");
	time_passes(50);
	did(""); /* nobody waits any more */
}

static void
frames_behind_the_handshake_are_kept(void **state)
{
	(void)state;
	client_connects(5);
	client_sends(5, HANDSHAKE "\x81\x82\0\0\0\0hi\x81", strlen(HANDSHAKE) + 9);
	forget();
	text("forward 5 :20 :30");
	text("start 5");
	did("send from 30 to 20 type 3 session 5: hi\nstart 5\n");
	client_sends(5, "\x81\0\0\0\0x", 6);
	did("send from 30 to 20 type 3 session 5: x\n");
}

static void
refused_clients_are_told_why(void **state)
{
	(void)state;
	client_connects(5);
	forget();
	client_says(5, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_non_null(strstr(world.trace, "write 5: HTTP/1.1 426 Upgrade Required\r\n"));
	assert_non_null(strstr(world.trace, "\nclose 5\n"));
	assert_null(strstr(world.trace, "send")); /* nobody is told */
	assert_int_equal(gate->refused_count, 1);
	assert_int_equal(gate->connections.count, 0);
	client_ends(5);
	/* One that leaves, and one that breaks. */
	client_connects(6);
	client_connects(7);
	client_says(6, "GET");
	forget();
	client_ends(6);
	did("close 6\n");
	event(SKYNET_SOCKET_TYPE_ERROR, 7, 0, "Connection reset by peer");
	did("log [gate] No handshake : Connection reset by peer\nshutdown 7\n");
	assert_int_equal(gate->open_count, 0);
}

static void
silent_clients_have_a_deadline(void **state)
{
	(void)state;
	client_connects(5);
	time_passes(500);
	client_connects(6);
	client_connects(7);
	client_connects(8); /* over max: they count */
	forget();
	time_passes(499);
	did("timeout 500\n");
	client_says(5, "GET / HTTP/1.1\r\n"); /* being slow does not help */
	time_passes(1);
	did("close 5\ntimeout 500\n");
	client_says(6, HANDSHAKE);
	forget();
	time_passes(500);
	did("close 7\n");
	assert_non_null(gate_connection_find(gate, 6));
	assert_int_equal(gate->connections.count, 1);
	assert_int_equal(gate->refused_count, 3);
}

static void
commands_do_not_see_a_handshake(void **state)
{
	(void)state;
	client_connects(5);
	forget();
	text("start 5");
	text("kick 5");
	text("forward 5 :20 :30");
	did("");
	deliver(PTYPE_CLIENT, 0, AGENT, "x\5\0\0\0", 5);
	did("log Invalid client id 5 from 20\n");
}

static void
pings_are_answered(void **state)
{
	(void)state;
	open_websocket_with_agent(5);
	client_sends(5, "\x89\x83\0\0\0\0abc\x8a\x80\0\0\0\0\x82\x81\0\0\0\0x", 22);
	did("write 5: <8a><03>abc\nsend from 30 to 20 type 3 session 5: x\n");
}

static void
close_is_answered_when_the_agent_is_done(void **state)
{
	(void)state;
	open_websocket_with_agent(5);
	client_sends(5, "\x88\x82\0\0\0\0\x0f\xa1\x81\x80",
		     10); /* 4001; nothing behind it counts */
	did("send from 0 to 10 type 0 session 0: 5 close\n");
	client_ends(5);
	did("");
	text("kick 5");
	did("probe 30\n");
	probe_returns(CLIENT);
	did("write 5: <88><02><0f><a1>\nclose 5\n");
	/* Without a code: without one. */
	open_websocket_with_agent(6);
	client_sends(6, "\x88\x80\0\0\0\0", 6);
	text("kick 6");
	forget();
	probe_returns(CLIENT);
	did("write 6: <88><00>\nclose 6\n");
}

static void
a_kick_says_good_bye(void **state)
{
	(void)state;
	open_websocket_with_agent(5);
	text("kick 5");
	did("pause 5\nprobe 30\n");
	probe_returns(CLIENT);
	did("write 5: <88><02><03><e8>\nclose 5\nsend from 0 to 10 type 0 session 0: 5 close\n");
}

static void
bad_frames_end_it_with_their_code(void **state)
{
	(void)state;
	open_websocket_with_agent(5);
	client_sends(5, "\x81\2hi", 4);
	did("log [gate] Connection 5 : a frame is not masked\npause 5\nprobe 30\n");
	probe_returns(CLIENT);
	did("write 5: <88><02><03><ea>\nclose 5\nsend from 0 to 10 type 0 session 0: 5 close\n");
	assert_int_equal(gate->invalid_count, 1);
	open_websocket_with_agent(6);
	client_sends(6, "\x82\xff\0\0\0\1\0\0\0\0\0\0\0\0", 14);
	did("log Recv socket message > 16M\npause 6\nprobe 30\n");
	probe_returns(CLIENT);
	did("write 6: <88><02><03><f1>\nclose 6\nsend from 0 to 10 type 0 session 0: 6 close\n");
	assert_int_equal(gate->too_long_count, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_WEBSOCKETS(watchdog_hears_of_it_after_the_handshake),
		WITH_WEBSOCKETS(frames_behind_the_handshake_are_kept),
		WITH_WEBSOCKETS(refused_clients_are_told_why),
		WITH_WEBSOCKETS(silent_clients_have_a_deadline),
		WITH_WEBSOCKETS(commands_do_not_see_a_handshake),
		WITH_WEBSOCKETS(pings_are_answered),
		WITH_WEBSOCKETS(close_is_answered_when_the_agent_is_done),
		WITH_WEBSOCKETS(a_kick_says_good_bye),
		WITH_WEBSOCKETS(bad_frames_end_it_with_their_code),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
