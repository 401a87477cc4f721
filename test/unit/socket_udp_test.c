/* socket_udp_test.c: datagrams in both directions, addresses, default peers. */
#include "socket_world.h"

static int
udp_send(struct world *w, int id, const char *address, const char *text)
{
	struct socket_sendbuffer buffer = {
		.id = id, .type = SOCKET_BUFFER_RAWPOINTER, .buffer = text, .sz = strlen(text)};
	return skynet_socket_udp_sendbuffer(w->service, address, &buffer);
}

/* The port that a socket of the layer is bound to. */
static int
port_of(struct world *w, int id)
{
	struct sk_address address;
	struct sk_socket *s = sk_socket_enter(w->core.sockets, id);
	assert_non_null(s);
	sk_address_of_descriptor(&address, s->fd);
	sk_socket_leave(w->core.sockets, s);
	return sk_address_port(&address);
}

static int
open_udp(struct world *w, const char *host)
{
	int id = skynet_socket_udp(w->service, host, 0);
	assert_true(id > 0);
	return id;
}

/* Two sockets of the layer: one bound to a port, one that has it as its default peer. */
static void
open_two(struct world *w, const char *host, int *server, int *client)
{
	*server = open_udp(w, host);
	*client = skynet_socket_udp_dial(w->service, host, port_of(w, *server));
	assert_true(*client > 0);
}

static struct sk_socket_message_copy {
	char address[32];
	int size;
} copy_address(const struct told *told)
{
	struct sk_socket_message_copy copy = {0};
	struct skynet_socket_message message = {
		.type = told->type, .id = told->id, .ud = told->ud, .buffer = told->buffer};
	const char *address = skynet_socket_udp_address(&message, &copy.size);
	assert_non_null(address);
	memcpy(copy.address, address, (size_t)copy.size);
	return copy;
}

static void
ask_and_answer(struct world *w, const char *host, int address_size)
{
	int server, client;
	open_two(w, host, &server, &client);
	assert_int_equal(udp_send(w, client, NULL, "question"), 0);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_UDP, server);
	assert_int_equal(told.ud, 8);
	assert_memory_equal(told.buffer, "question", 8);
	struct sk_socket_message_copy from = copy_address(&told);
	assert_int_equal(from.size, address_size);
	world_done(w, &told);
	assert_int_equal(udp_send(w, server, from.address, "answer"), 0);
	told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_UDP, client);
	assert_int_equal(told.ud, 6);
	assert_memory_equal(told.buffer, "answer", 6);
	world_done(w, &told);
	skynet_socket_close(w->service, client);
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CLOSE, client);
	world_expect_nothing(w, w->service);
}

static void
a_question_is_answered_by_address(void **state)
{
	ask_and_answer(*state, "127.0.0.1", 7);
}

static bool
has_ipv6(void)
{
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	bool is_there = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
	if (fd >= 0)
		(void)close(fd);
	return is_there;
}

static void
a_question_is_answered_by_ipv6_address(void **state)
{
	if (!has_ipv6())
		skip();
	ask_and_answer(*state, "::1", 19);
}

static void
datagrams_keep_their_bounds(void **state)
{
	struct world *w = *state;
	int server, client;
	static char big[65507];
	open_two(w, "127.0.0.1", &server, &client);
	memset(big, 'b', sizeof big);
	struct socket_sendbuffer buffer = {
		.id = client, .type = SOCKET_BUFFER_RAWPOINTER, .buffer = big, .sz = sizeof big};
	assert_int_equal(udp_send(w, client, NULL, ""), 0); /* an empty one is one, too */
	assert_int_equal(udp_send(w, client, NULL, "one"), 0);
	assert_int_equal(skynet_socket_udp_sendbuffer(w->service, NULL, &buffer), 0);
	static const int sizes[] = {0, 3, sizeof big};
	for (size_t i = 0; i < 3; i++) {
		struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_UDP, server);
		assert_int_equal(told.ud, sizes[i]);
		assert_int_equal(copy_address(&told).size, 7);
		world_done(w, &told);
	}
	buffer.sz = 65535;
	assert_int_equal(skynet_socket_udp_sendbuffer(w->service, NULL, &buffer), -1);
	assert_non_null(strstr(w->log, strerror(EMSGSIZE)));
	assert_int_equal(sk_sockets_counter(w->core.sockets, SK_SOCKET_DATAGRAM_DROPPED), 1);
	world_expect_nothing(w, w->service);
}

/* R1: 16 at a time, the next when the last of them was consumed. */
static void
a_slow_service_has_so_many_datagrams_at_a_time(void **state)
{
	struct world *w = *state;
	enum { DATAGRAMS = 40, BATCH = 16 };
	int server, client, count = 0;
	struct told batch[BATCH + 1];
	open_two(w, "127.0.0.1", &server, &client);
	for (int i = 0; i < DATAGRAMS; i++)
		assert_int_equal(udp_send(w, client, NULL, "x"), 0);
	while (count < DATAGRAMS) {
		int n = 0;
		world_settle(w);
		while ((batch[n] = world_take(w->service)).type == SKYNET_SOCKET_TYPE_UDP)
			assert_true(++n <= BATCH);
		assert_int_equal(n, count + BATCH <= DATAGRAMS ? BATCH : DATAGRAMS - count);
		for (int i = 0; i < n; i++)
			world_done(w, &batch[i]);
		count += n;
	}
	world_expect_nothing(w, w->service);
}

static void
the_default_peer_can_be_set_later(void **state)
{
	struct world *w = *state;
	int server = open_udp(w, "127.0.0.1");
	int client = skynet_socket_udp(w->service, NULL, 0);
	assert_int_equal(udp_send(w, client, NULL, "nobody"), -1);
	assert_non_null(strstr(w->log, "no default peer"));
	assert_int_equal(
		skynet_socket_udp_connect(w->service, client, "127.0.0.1", port_of(w, server)), 0);
	assert_int_equal(udp_send(w, client, NULL, "peer"), 0);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_UDP, server);
	world_done(w, &told);
}

static void
the_default_peer_gets_what_is_sent_as_to_a_stream(void **state)
{
	struct world *w = *state;
	int server = open_udp(w, "127.0.0.1");
	int client = skynet_socket_udp(w->service, NULL, 0);
	struct socket_sendbuffer words = {client, SOCKET_BUFFER_RAWPOINTER, "words", 5};
	struct socket_sendbuffer nothing = {client, SOCKET_BUFFER_RAWPOINTER, "", 0};
	assert_int_equal(skynet_socket_sendbuffer(w->service, &words), -1);
	assert_non_null(strstr(w->log, "no default peer"));
	assert_int_equal(
		skynet_socket_udp_connect(w->service, client, "127.0.0.1", port_of(w, server)), 0);
	assert_int_equal(skynet_socket_sendbuffer(w->service, &words), 0);
	assert_int_equal(skynet_socket_send(w->service, client, skynet_strdup("block"), 5), 0);
	assert_int_equal(skynet_socket_sendbuffer_lowpriority(w->service, &nothing), 0);
	for (int i = 0; i < 3; i++) {
		struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_UDP, server);
		assert_int_equal(told.ud, i < 2 ? 5 : 0);
		world_done(w, &told);
	}
	skynet_socket_close(w->service, client);
	assert_int_equal(skynet_socket_sendbuffer(w->service, &words), -1);
}

/* The socket waits for an answer about its peer that only the test gives. */
static void
begin_look_up(struct world *w, int id)
{
	struct sk_socket *s = sk_socket_enter(w->core.sockets, id);
	assert_non_null(s);
	s->is_resolving = true;
	sk_socket_leave(w->core.sockets, s);
}

static void
a_peer_may_be_given_by_name(void **state)
{
	struct world *w = *state;
	/* Many systems know localhost as ::1 first; this takes what comes to either. */
	int server = open_udp(w, has_ipv6() ? "::" : "127.0.0.1");
	int port = port_of(w, server);
	int dialled = skynet_socket_udp_dial(w->service, "localhost", port);
	int connected = skynet_socket_udp(w->service, NULL, 0);
	assert_true(dialled > 0 && connected > 0);
	assert_int_equal(skynet_socket_udp_connect(w->service, connected, "localhost", port), 0);
	/* What is sent meanwhile waits. */
	assert_int_equal(udp_send(w, dialled, NULL, "dialled"), 0);
	assert_int_equal(udp_send(w, connected, NULL, "connected"), 0);
	int seen = 0;
	for (int i = 0; i < 2; i++) {
		struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_UDP, server);
		seen |= told.ud == 7 ? 1 : 2;
		world_done(w, &told);
	}
	assert_int_equal(seen, 3);
	int lost = skynet_socket_udp_dial(w->service, "bad..name", port);
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_ERROR, lost);
	assert_int_equal(skynet_socket_udp_connect(w->service, connected, "bad..name", port), 0);
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_ERROR, connected);
	world_expect_nothing(w, w->service);
}

static void
what_was_for_an_unknown_peer_is_dropped(void **state)
{
	struct world *w = *state;
	int server, client;
	open_two(w, "127.0.0.1", &server, &client);
	begin_look_up(w, client);
	assert_int_equal(udp_send(w, client, NULL, "dropped"), 0);
	world_expect_nothing(w, w->service);
	sk_socket_resolved(w->core.sockets, client, NULL, "reason");
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_ERROR, client);
	assert_int_equal(udp_send(w, client, NULL, "to the old peer"), 0);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_UDP, server);
	assert_int_equal(told.ud, 15);
	world_done(w, &told);
	world_expect_nothing(w, w->service);
}

static void
a_peer_by_number_overtakes_one_by_name(void **state)
{
	struct world *w = *state;
	int server = open_udp(w, "127.0.0.1");
	int client = skynet_socket_udp(w->service, NULL, 0);
	begin_look_up(w, client);
	assert_int_equal(udp_send(w, client, NULL, "waits"), 0);
	assert_int_equal(
		skynet_socket_udp_connect(w->service, client, "127.0.0.1", port_of(w, server)), 0);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_UDP, server);
	world_done(w, &told);
	begin_look_up(w, client);
	assert_int_equal(udp_send(w, client, NULL, "never leaves"), 0);
	skynet_socket_close(w->service, client); /* does not wait for the answer */
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CLOSE, client);
	assert_int_equal(sk_sockets_count(w->core.sockets), 1);
}

static void
an_address_of_the_other_kind_is_dropped_with_a_line(void **state)
{
	struct world *w = *state;
	int id = open_udp(w, "127.0.0.1");
	struct sk_address other;
	assert_int_equal(sk_address_parse(&other, "::1", 7), SK_OK);
	assert_int_equal(udp_send(w, id, (const char *)other.bytes, "x"), -1);
	assert_non_null(strstr(w->log, "IPv4 only"));
	assert_int_equal(udp_send(w, id, "\x09 what is this", "x"), -1);
	assert_non_null(strstr(w->log, "not 9"));
	assert_int_equal(skynet_socket_udp_connect(w->service, id, "::1", 7), -1);
}

static void
nobody_there_is_no_end_of_the_socket(void **state)
{
	struct world *w = *state;
	int server, client;
	open_two(w, "127.0.0.1", &server, &client);
	int port = port_of(w, server);
	skynet_socket_close(w->service, server);
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CLOSE, server);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(udp_send(w, client, NULL, "lost"), 0);
		world_expect_nothing(w, w->service);
	}
	server = skynet_socket_udp_listen(w->service, "127.0.0.1", port);
	assert_true(server > 0);
	assert_int_equal(udp_send(w, client, NULL, "found"), 0);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_UDP, server);
	world_done(w, &told);
}

static void
bad_requests_are_refused(void **state)
{
	struct world *w = *state;
	int id = open_udp(w, "127.0.0.1");
	assert_int_equal(skynet_socket_udp_listen(w->service, "127.0.0.1", 0), -1);
	assert_int_equal(skynet_socket_udp(w->service, "127.0.0.1", port_of(w, id)), -1);
	assert_non_null(strstr(w->log, strerror(EADDRINUSE)));
	assert_int_equal(skynet_socket_udp(w->service, "127.0.0.1", 70000), -1);
	assert_int_equal(skynet_socket_udp_dial(w->service, NULL, 5), -1);
	assert_int_equal(skynet_socket_udp_dial(w->service, "127.0.0.1", 0), -1);
	assert_int_equal(skynet_socket_udp_connect(w->service, 999, "127.0.0.1", 5), -1);
	assert_int_equal(skynet_socket_udp_send(w->service, id, NULL, skynet_malloc(3), 3), -1);
	assert_int_equal(skynet_socket_udp_send(w->service, 999, NULL, skynet_malloc(3), 3), -1);
	assert_int_equal(skynet_socket_udp_send(w->service, id, NULL, w, -1), -1);
	int size = 5;
	struct skynet_socket_message message = {.type = SKYNET_SOCKET_TYPE_DATA, .buffer = w->log};
	assert_null(skynet_socket_udp_address(&message, &size));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(a_question_is_answered_by_address),
		world_test(a_question_is_answered_by_ipv6_address),
		world_test(datagrams_keep_their_bounds),
		world_test(a_slow_service_has_so_many_datagrams_at_a_time),
		world_test(the_default_peer_can_be_set_later),
		world_test(the_default_peer_gets_what_is_sent_as_to_a_stream),
		world_test(a_peer_may_be_given_by_name),
		world_test(what_was_for_an_unknown_peer_is_dropped),
		world_test(a_peer_by_number_overtakes_one_by_name),
		world_test(an_address_of_the_other_kind_is_dropped_with_a_line),
		world_test(nobody_there_is_no_end_of_the_socket),
		world_test(bad_requests_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
