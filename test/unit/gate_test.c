/* gate_test.c: the gate's launch, and the life of its connections in every order of events. */
#include "gate_world.h"

/* --- launch --------------------------------------------------------------------------------- */

static void
launch_listens_at_once(void **state)
{
	(void)state;
	assert_int_equal(launch("S :10 127.0.0.1:8888 7 3"), 0);
	did("listen 127.0.0.1 8888\nstart 1\n");
	assert_int_equal(gate->type, 7);
	gate_release(gate);
	assert_int_equal(launch("L ! [::1]:0 0 1"), 0);
	did("listen ::1 0\nstart 1\n");
	assert_int_equal(gate->framing.header_bytes, 4);
	assert_int_equal(gate->type, PTYPE_CLIENT);
	gate_release(gate);
	/* Gates of old had a buffer size behind it. */
	assert_int_equal(launch("S :10 8888 0 3 1048576"), 0);
	did("listen anywhere 8888\nstart 1\n");
	gate_release(gate);
}

static void
bad_parms_are_refused(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{NULL, "log Invalid gate parm \n"},
		{"", "log Invalid gate parm \n"},
		{"S :10", "log Invalid gate parm S :10\n"},
		{"S :10 8888 300 3", "log Invalid gate parm S :10 8888 300 3\n"},
		{"S :10 8888 x 3", "log Invalid gate parm S :10 8888 x 3\n"},
		{"S :10 8888", "log Need max connection\n"},
		{"S :10 8888 0", "log Need max connection\n"},
		{"S :10 8888 0 0", "log Need max connection\n"},
		{"S :10 8888 0 -1", "log Need max connection\n"},
		{"X :10 8888 0 3", "log Invalid data header style X\n"},
		{"SL :10 8888 0 3", "log Invalid data header style SL\n"},
		{"S .nobody 8888 0 3", "log Invalid watchdog .nobody\n"},
		{"S :10 88888 0 3", "log Invalid gate address 88888\n"},
		{"S :10 host: 0 3", "log Invalid gate address host:\n"},
		{"S :10 :x 0 3", "log Invalid gate address :x\n"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_not_equal(launch(cases[i][0]), 0);
		did(cases[i][1]);
		gate_release(gate);
	}
	world.can_listen = false;
	assert_int_not_equal(launch("S :10 8888 0 3"), 0);
	gate_release(gate);
}

static void
options_are_read(void **state)
{
	(void)state;
	assert_int_equal(launch("delimiter :10 unix:/tmp/a 0 9 1024 delimiter=%0d%0a max_frame=100 "
				"shares_port=1 nodelay=0 backlog=5 empty=0"),
			 0);
	did("listen unix:/tmp/a 0\nstart 1\n");
	assert_int_equal(gate->framing.delimiter_size, 2);
	assert_int_equal(gate->framing.max_frame, 100);
	assert_true(gate->framing.skips_empty);
	assert_false(gate->has_nodelay);
	assert_int_equal(world.shares_port, 1);
	assert_int_equal(world.backlog, 5);
	gate_release(gate);
	/* In any order. */
	assert_int_equal(launch("u16le :10 8888 254 9 events=200 dialect=lua owner=:50"), 0);
	did("link 50\nlisten anywhere 8888\nstart 1\n");
	assert_int_equal(gate->event_type, 200);
	assert_int_equal(gate->dialect, GATE_LUA);
	gate_release(gate);
}

static void
tls_comes_first(void **state)
{
	(void)state;
	assert_int_equal(launch("S :10 8888 0 3 tls.certificate=/a%20b.pem tls.verify=optional"),
			 0);
	assert_string_equal(world.certificate, "/a b.pem");
	forget();
	client_connects(5);
	did("timeout 500\nstart 5\n"); /* its handshake; nobody is told yet */
	event(SKYNET_SOCKET_TYPE_CONNECT, 5, 0, "start");
	did("send from 0 to 10 type 0 session 0: 5 open 5 1.2.3.4:5:0\npause 5\n");
	text("start 5");
	did("start 5\n");
	event(SKYNET_SOCKET_TYPE_CONNECT, 5, 0, "start");
	client_sends(5, "\0\1x", 3);
	did("send from 0 to 10 type 0 session 5: 5 data x\n");
	client_connects(6); /* and one that does not know how */
	event(SKYNET_SOCKET_TYPE_ERROR, 6, 0, "TLS: wrong version number");
	did("start 6\nlog [gate] No handshake : TLS: wrong version number\nshutdown 6\n");
	client_connects(7); /* and one that says nothing */
	forget();
	time_passes(GATE_HANDSHAKE_CS);
	did("close 7\n");
	assert_int_equal(gate->refused_count, 2);
	gate_release(gate);
	static const char *const wrong[][2] = {
		{"tls.sertificate=x",
		 "log Invalid gate option tls.sertificate: its value x is wrong\n"},
		{"tls.verify=1", "log Invalid gate option tls.verify: its value 1 is wrong\n"},
	};
	for (size_t i = 0; i < 2; i++) {
		char parm[100];
		(void)snprintf(parm, sizeof(parm), "S :10 8888 0 3 %s", wrong[i][0]);
		assert_int_not_equal(launch(parm), 0);
		did(wrong[i][1]);
		gate_release(gate);
	}
}

static void
launched_to_wait_it_waits(void **state)
{
	(void)state;
	assert_int_equal(launch("S :10 8888 0 3 waits=1"), 0);
	did("listen anywhere 8888\n");
	text("start");
	did("start 1\n");
	text("start");
	did("");
	gate_release(gate);
	assert_int_equal(launch("S :10 8888 0 3 waits=1"), 0);
	forget();
	text("close");
	text("start");
	did("close 1\n");
	gate_release(gate);
}

static void
bad_options_are_named(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{"max_frames=1",
		 "log Invalid gate option max_frames: it is unknown, or not for this "
		 "framing\n"},
		{"delimiter=x", "log Invalid gate option delimiter: it is unknown, or not for this "
				"framing\n"},
		{"shares_port",
		 "log Invalid gate option shares_port: it is unknown, or not for this "
		 "framing\n"},
		{"0 0", "log Invalid gate option 0: it is unknown, or not for this framing\n"},
		{"max_frame=0", "log Invalid gate option max_frame: its value 0 is wrong\n"},
		{"max_frame=%3", "log Invalid gate option max_frame: its value %3 is wrong\n"},
		{"shares_port=yes",
		 "log Invalid gate option shares_port: its value yes is wrong\n"},
		{"nodelay=2", "log Invalid gate option nodelay: its value 2 is wrong\n"},
		{"backlog=0", "log Invalid gate option backlog: its value 0 is wrong\n"},
		{"dialect=perl", "log Invalid gate option dialect: its value perl is wrong\n"},
		{"events=256", "log Invalid gate option events: its value 256 is wrong\n"},
		{"broker=.nobody", "log Invalid gate option broker: its value .nobody is wrong\n"},
		{"owner=x", "log Invalid gate option owner: its value x is wrong\n"},
		{"source=", "log Invalid gate option source: its value  is wrong\n"},
		{"request=", "log Invalid gate option request: its value  is wrong\n"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char parm[100];
		(void)snprintf(parm, sizeof(parm), "S :10 8888 0 3 %s", cases[i][0]);
		assert_int_not_equal(launch(parm), 0);
		did(cases[i][1]);
		gate_release(gate);
	}
	assert_int_not_equal(launch("delimiter :10 8888 0 3"), 0);
	did("log Need a delimiter, such as delimiter=%0d%0a\n");
	gate_release(gate);
	assert_int_not_equal(launch("S :10 unix: 0 3"), 0);
	did("log Invalid gate address unix:\n");
	gate_release(gate);
	die(0x50);
	assert_int_not_equal(launch("S :10 8888 0 3 owner=:50"), 0);
	did("link 50\nlog Invalid gate option owner: :00000050 is gone\n");
	gate_release(gate);
}

/* --- from accept to close ------------------------------------------------------------------- */

static void
client_is_read_after_start(void **state)
{
	(void)state;
	client_connects(5);
	did("send from 0 to 10 type 0 session 0: 5 open 5 1.2.3.4:5:0\n");
	text("start"); /* of old: harmless */
	did("");
	text("start 5");
	did("start 5\n");
	text("start 5");
	did("");
	client_sends(5, "\0\5hello\0\0\0\1x", 12);
	did("send from 0 to 10 type 0 session 5: 5 data hello\n"
	    "send from 0 to 10 type 0 session 5: 5 data x\n");
	client_ends(5);
	did("timeout 500\nsend from 0 to 10 type 0 session 0: 5 close\nprobe 10\n");
	probe_returns(WATCHDOG);
	did("close 5\n");
	assert_int_equal(gate->connections.count, 0);
	client_ends(5); /* told of what we closed ourselves */
	did("");
}

static void
frames_go_to_the_agent(void **state)
{
	(void)state;
	open_with_agent(5);
	client_sends(5, "\0\5he", 4);
	did("");
	client_sends(5, "llo\0\1x", 6);
	did("send from 30 to 20 type 3 session 5: hello\n"
	    "send from 30 to 20 type 3 session 5: x\n");
	text("broker .broker");
	client_sends(5, "\0\1y", 3);
	did("send from 0 to 40 type 3 session 5: y\n");
}

static void
without_a_watchdog_nobody_must_start(void **state)
{
	(void)state;
	assert_int_equal(launch("S ! 8888 9 3"), 0);
	forget();
	client_connects(5);
	did("start 5\n");
	client_sends(5, "\0\1y", 3);
	did("");
	text("broker :40");
	client_sends(5, "\0\1z", 3);
	did("send from 0 to 40 type 9 session 5: z\n");
	client_ends(5);
	did("timeout 500\nprobe 40\n");
	probe_returns(BROKER);
	did("close 5\n");
	gate_release(gate);
}

static void
over_max_is_closed_at_once(void **state)
{
	(void)state;
	for (int id = 5; id < 8; id++)
		client_connects(id);
	forget();
	client_connects(8);
	client_connects(9);
	did("close 8\nlog [gate] 3 connections are open, the maximum: more are refused\nclose 9\n");
	text("kick 5");
	/* It was not read yet, and has no client service: nothing to pause or to wait for. */
	did("timeout 500\nclose 5\nsend from 0 to 10 type 0 session 0: 5 close\n");
	client_connects(10);
	assert_int_equal(gate->open_count, 3);
	assert_int_equal(gate->refused_count, 2);
}

static void
kick_lets_the_client_service_finish(void **state)
{
	(void)state;
	open_with_agent(5);
	deliver(PTYPE_TEXT, 77, WATCHDOG, "kick 5", 6);
	did("pause 5\ntimeout 500\nprobe 30\n");
	client_sends(5, "\0\1x", 3); /* was under way */
	did("");
	text("kick 5");
	did("");
	probe_returns(CLIENT);
	did("close 5\n"
	    "send from 0 to 10 type 0 session 0: 5 close\n"
	    "send from 0 to 10 type 1 session 77: \n");
	deliver(PTYPE_TEXT, 78, WATCHDOG, "kick 5", 6);
	did("send from 0 to 10 type 1 session 78: \n");
	client_ends(5);
	time_passes(50);
	did(""); /* nobody lingers: no more ticks */
}

static void
kick_when_the_client_service_is_gone(void **state)
{
	(void)state;
	open_with_agent(5);
	die(CLIENT);
	text("kick 5");
	did("pause 5\ntimeout 500\nprobe 30\nclose 5\n"
	    "send from 0 to 10 type 0 session 0: 5 close\n");
	/* And when it goes while the probe is on its way. */
	world.dead_count = 0;
	open_with_agent(6);
	text("kick 6");
	forget();
	deliver(PTYPE_ERROR, world.last_probe, CLIENT, NULL, 0);
	did("close 6\nsend from 0 to 10 type 0 session 0: 6 close\n");
}

static void
half_closed_client_gets_its_answers(void **state)
{
	(void)state;
	open_with_agent(5);
	client_ends(5);
	did("timeout 500\nsend from 0 to 10 type 0 session 0: 5 close\n");
	time_passes(50);
	did("probe 20\ntimeout 500\n"); /* the agent lives */
	text("kick 5");
	did("probe 30\n");
	probe_returns(CLIENT);
	did("close 5\n");
	assert_int_equal(gate->connections.count, 0);
}

static void
ended_connection_goes_with_its_agent(void **state)
{
	(void)state;
	open_with_agent(5);
	client_ends(5);
	die(AGENT);
	forget();
	time_passes(50);
	/* Its last answers may be with the client service. */
	did("probe 20\nprobe 30\ntimeout 500\n");
	deliver(PTYPE_TEXT, 77, WATCHDOG, "kick 5", 6);
	did(""); /* heard, and answered at the end */
	deliver(PTYPE_TEXT, 78, WATCHDOG, "kick 5", 6);
	did("send from 0 to 10 type 1 session 77: \n");
	probe_returns(CLIENT);
	did("close 5\nsend from 0 to 10 type 1 session 78: \n");
	assert_int_equal(gate->lingering.count, 0);
	/* With both gone there is nothing to wait for. */
	open_with_agent(6);
	client_ends(6);
	die(CLIENT);
	forget();
	time_passes(50);
	did("probe 20\nprobe 30\nclose 6\n");
}

static void
ended_connection_goes_when_its_time_is_over(void **state)
{
	(void)state;
	open_with_agent(5);
	client_ends(5);
	for (int i = 0; i < GATE_LINGER_CS / (GATE_LINGER_TICK_MS / 10) - 1; i++)
		time_passes(50);
	assert_int_equal(gate->lingering.count, 1);
	forget();
	time_passes(50);
	did("close 5\n");
	assert_int_equal(gate->connections.count, 0);
}

static void
few_connections_linger(void **state)
{
	(void)state;
	world.is_quiet = true;
	for (int id = 2; id < 2 + GATE_LINGER_MAX; id++) {
		open_with_agent(id);
		client_ends(id);
	}
	assert_int_equal(gate->lingering.count, GATE_LINGER_MAX);
	open_with_agent(5000);
	world.is_quiet = false;
	client_ends(5000);
	did("close 2\nsend from 0 to 10 type 0 session 0: 5000 close\n");
	assert_int_equal(gate->lingering.count, GATE_LINGER_MAX);
	assert_null(gate_connection_find(gate, 2));
}

static void
reset_ends_it_at_once(void **state)
{
	(void)state;
	open_with_agent(5);
	client_sends(5, "\0\5he", 4); /* a partial frame is freed */
	event(SKYNET_SOCKET_TYPE_ERROR, 5, 0, "Connection reset by peer");
	did("log [gate] Connection 5 : Connection reset by peer\nshutdown 5\n"
	    "send from 0 to 10 type 0 session 0: 5 close\n");
	client_ends(5);
	did("");
	assert_int_equal(gate->connections.count, 0);
}

static void
too_long_ends_it(void **state)
{
	(void)state;
	assert_int_equal(launch("L :10 8888 0 3"), 0);
	open_with_agent(5);
	client_sends(5, "\0\0\0\1a\1\0\0\0bcd", 12);
	did("send from 30 to 20 type 3 session 5: a\n"
	    "log Recv socket message > 16M\n"
	    "pause 5\ntimeout 500\nprobe 30\n");
	client_sends(5, "\0\0\0\1a", 5);
	did("");
	probe_returns(CLIENT);
	did("close 5\nsend from 0 to 10 type 0 session 0: 5 close\n");
	gate_release(gate);
}

static void
listening_ends_with_close(void **state)
{
	(void)state;
	open_with_agent(5);
	text("close");
	did("close 1\n");
	client_connects(6); /* was under way */
	did("close 6\n");
	client_sends(5, "\0\1x", 3);
	did("send from 30 to 20 type 3 session 5: x\n");
	text("close");
	did("");
}

/* --- chance --------------------------------------------------------------------------------- */

/* I1 of connection.c, the counts, and that nothing is lost between the tables. */
static void
check_gate(void)
{
	size_t open = 0, upgrading = 0, ending = 0, probes = 0, listed = 0;
	for (size_t i = 0; i < gate->connections.capacity; i++) {
		if (gate->connections.slots[i] == NULL)
			continue;
		const struct gate_connection *connection = from_id(gate->connections.slots[i]);
		bool is_ending =
			connection->state == GATE_ENDED || connection->state == GATE_DRAINING;
		open += !is_ending;
		ending += is_ending;
		upgrading += connection->state == GATE_UPGRADING;
		probes += connection->probe_session != 0;
	}
	for (struct gate_connection *at = gate->lingering.first; at != NULL;
	     at = gate_waiting_next(at)) {
		assert_int_not_equal(at->state, GATE_OPEN);
		listed++;
	}
	assert_int_equal(open, gate->open_count);
	assert_int_equal(ending, gate->lingering.count);
	assert_int_equal(listed, gate->lingering.count);
	assert_int_equal(upgrading, gate->handshakes.count);
	assert_int_equal(probes, gate->probes.count);
	assert_true(gate->lingering.count + gate->handshakes.count == 0 ||
		    gate->timer_session != 0);
}

static void
one_random_event(uint64_t *seed, int *last_id)
{
	static const char *const formats[] = {"start %d",	    "kick %d",
					      "forward %d :20 :30", "pause %d",
					      "forward %d :10 :10", "accept %d"};
	char bytes[600];
	int id = 2 + (int)unit_random_below(seed, (uint32_t)*last_id);
	size_t size = 1 + unit_random_below(seed, sizeof(bytes));
	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)(unit_random_below(seed, 8) == 0 ? unit_random(seed) : 0);
	switch (unit_random_below(seed, 13)) {
	case 0:
	case 1:
		client_connects(++*last_id);
		break;
	case 2:
		client_ends(id);
		break;
	case 3:
		event(SKYNET_SOCKET_TYPE_ERROR, id, 0, "broken");
		break;
	case 4:
		event(SKYNET_SOCKET_TYPE_WARNING, id, (int)unit_random_below(seed, 2) * 1024, NULL);
		break;
	case 5:
		deliver(PTYPE_RESPONSE, 1 + (int)unit_random_below(seed, (uint32_t)*last_id * 4),
			unit_random_below(seed, 2) ? AGENT : CLIENT, NULL, 0);
		break;
	case 6:
		time_passes(unit_random_below(seed, 100));
		break;
	case 7:
		deliver((int)unit_random_below(seed, 13) == PTYPE_SOCKET ? PTYPE_TEXT
									 : PTYPE_CLIENT,
			0, AGENT, bytes, size);
		break;
	case 8:
		world.dead_count = 0;
		if (unit_random_below(seed, 3) == 0)
			die(unit_random_below(seed, 2) ? AGENT : CLIENT);
		break;
	case 9:
		client_sends(id, bytes, size);
		break;
	case 11: /* of a new one: TLS is there */
		event(SKYNET_SOCKET_TYPE_CONNECT, id, 0, "start");
		break;
	case 10: /* a websocket; to others, frames like any */
		client_sends(id, HANDSHAKE "\x81\x82\0\0\0\0hi\x89\x80\0\0\0\0",
			     strlen(HANDSHAKE) + 14);
		break;
	default:
		(void)snprintf(bytes, sizeof(bytes), formats[unit_random_below(seed, 6)], id);
		deliver(PTYPE_TEXT, (int)unit_random_below(seed, 2), WATCHDOG, bytes,
			strlen(bytes));
		break;
	}
}

static void
random_events_of(const char *parm)
{
	uint64_t seed = 8888;
	int last_id = 1;
	world.is_quiet = true;
	world.dead_count = 0;
	world.timer = 0;
	assert_int_equal(launch(parm), 0);
	for (int i = 0; i < 50000; i++) {
		one_random_event(&seed, &last_id);
		if (last_id - 1 > 300) /* most are gone by now */
			last_id = 1 + (int)unit_random_below(&seed, 2) * 298;
		while (gate_connection_find(gate, last_id + 1) != NULL)
			last_id++; /* an id is not used twice at a time */
		if (i % 16 == 0)
			check_gate();
	}
	/* All that has ended is gone in the end. */
	for (int id = 2; id < 1000; id++)
		client_ends(id);
	for (int i = 0; i < GATE_LINGER_CS / (GATE_LINGER_TICK_MS / 10) + 1; i++)
		time_passes((GATE_LINGER_TICK_MS / 10));
	assert_int_equal(gate->connections.count, 0);
	assert_int_equal(gate->probes.count, 0);
	gate_release(gate);
}

static void
random_events(void **state)
{
	(void)state;
	random_events_of("S :10 8888 0 40");
	random_events_of("L :10 8888 0 40 dialect=lua owner=:50 source=:50");
	random_events_of("raw :10 8888 0 40 broker=:40");
	random_events_of("nul :10 8888 0 40");
	random_events_of("websocket :10 8888 0 40 request=1");
	random_events_of("websocket :10 8888 0 40 tls.certificate=x");
	random_events_of("line :10 8888 0 40 tls.certificate=x");
	random_events_of("websocket ! 8888 0 40 dialect=lua broker=:40");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(launch_listens_at_once),
		IN_WORLD(bad_parms_are_refused),
		IN_WORLD(options_are_read),
		IN_WORLD(tls_comes_first),
		IN_WORLD(launched_to_wait_it_waits),
		IN_WORLD(bad_options_are_named),
		WITH_GATE(client_is_read_after_start),
		WITH_GATE(frames_go_to_the_agent),
		IN_WORLD(without_a_watchdog_nobody_must_start),
		WITH_GATE(over_max_is_closed_at_once),
		WITH_GATE(kick_lets_the_client_service_finish),
		WITH_GATE(kick_when_the_client_service_is_gone),
		WITH_GATE(half_closed_client_gets_its_answers),
		WITH_GATE(ended_connection_goes_with_its_agent),
		WITH_GATE(ended_connection_goes_when_its_time_is_over),
		WITH_GATE(few_connections_linger),
		WITH_GATE(reset_ends_it_at_once),
		IN_WORLD(too_long_ends_it),
		WITH_GATE(listening_ends_with_close),
		IN_WORLD(random_events),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
