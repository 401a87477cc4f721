/* gate_lua_test.c: the gate that speaks "lua", on behalf of a gate written in Lua. */
#include "gate_world.h"

#define OWNER 0x50u

static int
make_lua_gate(void **state)
{
	(void)make_world(state);
	if (launch("u16be :10 8888 0 3 dialect=lua owner=:50 source=:50") != 0)
		return 1;
	forget();
	return 0;
}

#define WITH_LUA(test) cmocka_unit_test_setup_teardown(test, make_lua_gate, free_gate)

/* A command as a "lua" message. */
static void
command(int session, const char *words)
{
	char packed[300];
	size_t size = gate_packed_string(packed, words, strlen(words));
	deliver(PTYPE_RESERVED_LUA, session, OWNER, packed, size);
}

static void
watchdog_is_told_in_lua(void **state)
{
	(void)state;
	client_connects(5);
	did("send from 50 to 10 type 10 session 0: socket open 5 1.2.3.4:5\n");
	command(0, "accept 5");
	did("start 5\n");
	client_sends(5, "\0\5hello\0\0", 9);
	did("send from 50 to 10 type 10 session 0: socket data 5 hello\n"
	    "send from 50 to 10 type 10 session 0: socket data 5 \n"); /* empty ones, too */
	command(0, "forward 5 :20 :30");
	client_sends(5, "\0\1x", 3);
	did("send from 30 to 20 type 3 session 5: x\n");
	command(0, "accept 5");
	client_sends(5, "\0\1y", 3);
	did("send from 50 to 10 type 10 session 0: socket data 5 y\n");
	event(SKYNET_SOCKET_TYPE_WARNING, 5, 1024, NULL);
	did("send from 50 to 10 type 10 session 0: socket warning 5 1024\npause 5\n");
	event(SKYNET_SOCKET_TYPE_WARNING, 5, 0, NULL);
	did("send from 50 to 10 type 10 session 0: socket warning 5 0\nstart 5\n");
	event(SKYNET_SOCKET_TYPE_ERROR, 5, 0, "Connection reset by peer");
	did("send from 50 to 10 type 10 session 0: socket error 5 Connection reset by peer\n"
	    "shutdown 5\n"
	    "send from 50 to 10 type 10 session 0: socket close 5\n");
}

static void
numbers_and_texts_of_every_size_are_packed(void **state)
{
	(void)state;
	static const int ids[] = {1, 255, 256, 65535, 65536, INT32_MAX};
	static const size_t sizes[] = {0, 1, 31, 32, 300, 65535};
	char number[2 * GATE_PACKED_NUMBER], *text = skynet_malloc(70000);
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		uint32_t value = 0;
		size_t size = gate_packed_number(number, (uint32_t)ids[i]);
		assert_true(size <= GATE_PACKED_NUMBER);
		memcpy(&value, number + 1, size - 1);
		assert_int_equal(value, ids[i]);
	}
	assert_int_equal(gate_packed_number(number, 0), 1);
	char *packed = skynet_malloc(70000 + GATE_PACKED_STRING_HEAD);
	memset(text, 'x', 70000);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		const char *read;
		size_t read_size, size = gate_packed_string(packed, text, sizes[i]);
		assert_true(size <= sizes[i] + GATE_PACKED_STRING_HEAD);
		assert_true(gate_packed_read_string(packed, size, &read, &read_size));
		assert_int_equal(read_size, sizes[i]);
		for (size_t cut = size > 40 ? size - 40 : 0; cut < size; cut++)
			assert_false(gate_packed_read_string(packed, cut, &read, &read_size));
	}
	/* The example of the reference of the format: a string of 70000 bytes. */
	assert_int_equal(gate_packed_string_head(packed, 70000), 5);
	assert_memory_equal(packed, "\x25\x70\x11\x01\x00", 5);
	skynet_free(packed);
	skynet_free(text);
}

static void
client_that_ends_its_stream_stays_until_it_is_kicked(void **state)
{
	(void)state;
	client_connects(5);
	command(0, "accept 5");
	forget();
	client_ends(5);
	did("timeout 500\nsend from 50 to 10 type 10 session 0: socket close 5\n");
	time_passes(50);
	did("probe 10\ntimeout 500\n"); /* the watchdog lives */
	command(7, "kick 5");
	did("close 5\nsend from 0 to 50 type 1 session 7: \n");
	/* Or until the service that gets its frames is gone. */
	client_connects(6);
	command(0, "forward 6 :20 :50");
	client_ends(6);
	die(AGENT);
	forget();
	time_passes(50);
	did("probe 20\nclose 6\n");
}

static void
kick_closes_at_once(void **state)
{
	(void)state;
	client_connects(5);
	command(0, "forward 5 :20 :30");
	command(0, "start 5");
	forget();
	command(0, "kick 5");
	/* What was written is with the socket already. */
	did("pause 5\ntimeout 500\nclose 5\n"
	    "send from 50 to 10 type 10 session 0: socket close 5\n");
	command(7, "kick 5");
	did("send from 0 to 50 type 1 session 7: \n");
	command(7, "forward 5 :20 :30");
	did("send from 0 to 50 type 7 session 7: gate (:00000000): there is no such connection\n");
}

static void
address_is_told_when_it_is_known(void **state)
{
	(void)state;
	command(7, "address");
	did("");
	event(SKYNET_SOCKET_TYPE_CONNECT, LISTENER, 8888, "0.0.0.0");
	did("send from 0 to 50 type 1 session 7: 0.0.0.0 8888\n");
	event(SKYNET_SOCKET_TYPE_CONNECT, LISTENER, 0, "start");
	deliver(PTYPE_TEXT, 8, OWNER, "address", 7);
	did("send from 0 to 50 type 1 session 8: 0.0.0.0 8888\n");
}

static void
port_that_cannot_be_had_is_told(void **state)
{
	(void)state;
	command(7, "address");
	command(8, "address");
	did("send from 0 to 50 type 7 session 7: "
	    "gate (:00000000): another one asks for the address\n");
	event(SKYNET_SOCKET_TYPE_ERROR, LISTENER, 0, "no such host");
	did("log [gate] Cannot accept : no such host\n"
	    "send from 0 to 50 type 7 session 8: gate (:00000000): it cannot listen\n");
}

static void
bad_commands_are_refused(void **state)
{
	(void)state;
	deliver(PTYPE_RESERVED_LUA, 7, OWNER, "\x0a\1", 2);
	did("send from 0 to 50 type 7 session 7: "
	    "gate (:00000000): a \"lua\" message to it is one string, a command\n");
	deliver(PTYPE_RESERVED_LUA, 0, OWNER, "", 0);
	did("");
	command(7, "stop");
	did("log [gate] Unknown command : stop\nsend from 0 to 50 type 7 session 7: "
	    "gate (:00000000): it does not know this command\n");
	command(7, "stat");
	did("send from 0 to 50 type 1 session 7: "
	    "open 0 lingering 0 accepted 0 refused 0 too_long 0 invalid 0 held 0\n");
}

static void
it_ends_with_its_owner(void **state)
{
	(void)state;
	client_connects(5);
	forget();
	deliver(PTYPE_ERROR, world.last_link, AGENT, "x", 1);
	deliver(PTYPE_ERROR, world.last_link + 1, OWNER, "x", 1);
	did("");
	deliver(PTYPE_ERROR, world.last_link, OWNER, "x", 1);
	did("EXIT its owner has ended\n");
}

static void
it_ends_when_it_has_nothing_to_do(void **state)
{
	(void)state;
	client_connects(5);
	forget();
	command(7, "close");
	did("close 1\nsend from 0 to 50 type 1 session 7: \n");
	command(0, "kick 5");
	did("timeout 500\nclose 5\nsend from 50 to 10 type 10 session 0: socket close 5\nEXIT \n");
}

static void
too_long_is_an_error(void **state)
{
	(void)state;
	assert_int_equal(launch("u16be :10 8888 0 3 dialect=lua max_frame=4"), 0);
	client_connects(5);
	command(0, "accept 5");
	forget();
	client_sends(5, "\0\5hello", 7);
	did("send from 0 to 10 type 10 session 0: socket error 5 a frame is too long\n"
	    "pause 5\ntimeout 500\nclose 5\n"
	    "send from 0 to 10 type 10 session 0: socket close 5\n");
	gate_release(gate);
}

static void
gateserver_gets_frames_and_events_of_its_own_type(void **state)
{
	(void)state;
	assert_int_equal(launch("u16be :50 8888 254 3 dialect=lua events=254 broker=:50 owner=:50"),
			 0);
	forget();
	client_connects(5);
	assert_non_null(strstr(world.trace, "send from 0 to 50 type 254 session 0: "));
	command(0, "start 5");
	forget();
	client_sends(5, "\0\1x", 3);
	did("send from 0 to 50 type 254 session 5: x\n");
	gate_release(gate);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_LUA(watchdog_is_told_in_lua),
		cmocka_unit_test(numbers_and_texts_of_every_size_are_packed),
		WITH_LUA(client_that_ends_its_stream_stays_until_it_is_kicked),
		WITH_LUA(kick_closes_at_once),
		WITH_LUA(address_is_told_when_it_is_known),
		WITH_LUA(port_that_cannot_be_had_is_told),
		WITH_LUA(bad_commands_are_refused),
		WITH_LUA(it_ends_with_its_owner),
		WITH_LUA(it_ends_when_it_has_nothing_to_do),
		IN_WORLD(too_long_is_an_error),
		IN_WORLD(gateserver_gets_frames_and_events_of_its_own_type),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
