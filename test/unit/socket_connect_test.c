/* socket_connect_test.c: connections that go out, by number and by name. */
#include "socket_world.h"

/* A port of the test's own, on 127.0.0.1. Returns the descriptor that is bound to it. */
static int
bind_port(int *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	*port = ntohs(address.sin_port);
	return fd;
}

/* The same, and listens. */
static int
open_port(int *port, int backlog)
{
	int fd = bind_port(port);
	assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

/* A port on which nobody listens, and nobody will: it is bound as long as the process lives. */
static int
unused_port(void)
{
	static int port, fd = -1;
	if (fd < 0)
		fd = bind_port(&port);
	return port;
}

static void
a_connection_is_told_with_the_peers_ip(void **state)
{
	struct world *w = *state;
	int port;
	int server = open_port(&port, 8);
	int id = skynet_socket_connect(w->service, "127.0.0.1", port);
	assert_true(id > 0);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, id);
	assert_string_equal(told.text, "127.0.0.1");
	assert_int_equal(told.ud, 0);
	int fd = accept(server, NULL, NULL);
	/* It reads without a start. */
	assert_int_equal(write(fd, "hi", 2), 2);
	told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_DATA, id);
	world_done(w, &told);
	assert_int_equal(world_send(w, id, "hello"), 0);
	world_expect_bytes(w, fd, "hello");
	int keep_alive = 0;
	socklen_t size = sizeof keep_alive;
	struct sk_socket *s = sk_socket_enter(w->core.sockets, id);
	assert_int_equal(getsockopt(s->fd, SOL_SOCKET, SO_KEEPALIVE, &keep_alive, &size), 0);
	assert_int_equal(keep_alive, 1);
	sk_socket_leave(w->core.sockets, s);
	(void)close(fd);
	(void)close(server);
}

static void
what_is_sent_before_the_connection_waits_for_it(void **state)
{
	struct world *w = *state;
	int port;
	int server = open_port(&port, 8);
	world_begin_turn(w);
	int id = skynet_socket_connect(w->service, "127.0.0.1", port);
	assert_int_equal(world_send(w, id, "early"), 0);
	world_end_turn(w);
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, id);
	int fd = accept(server, NULL, NULL);
	world_expect_bytes(w, fd, "early");
	(void)close(fd);
	(void)close(server);
}

static void
nodelay_before_the_connection_is_not_lost(void **state)
{
	struct world *w = *state;
	int port;
	int server = open_port(&port, 8);
	int id = skynet_socket_connect(w->service, "localhost", port);
	skynet_socket_nodelay(w->service, id);
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, id);
	int is_set = 0;
	socklen_t size = sizeof is_set;
	struct sk_socket *s = sk_socket_enter(w->core.sockets, id);
	assert_int_equal(getsockopt(s->fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &is_set, &size), 0);
	sk_socket_leave(w->core.sockets, s);
	assert_int_equal(is_set, 1);
	(void)close(server);
}

static void
a_refused_connection_is_an_error(void **state)
{
	struct world *w = *state;
	int id = skynet_socket_connect(w->service, "127.0.0.1", unused_port());
	assert_true(id > 0);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_ERROR, id);
	assert_string_equal(told.text, strerror(ECONNREFUSED));
	world_expect_nothing(w, w->service); /* C1: no CLOSE, it never was open */
	assert_int_equal(sk_sockets_count(w->core.sockets), 0);
}

static void
bad_addresses_are_refused_at_once(void **state)
{
	struct world *w = *state;
	assert_int_equal(skynet_socket_connect(w->service, NULL, 80), -1);
	assert_int_equal(skynet_socket_connect(w->service, "", 80), -1);
	assert_int_equal(skynet_socket_connect(w->service, "127.0.0.1", 0), -1);
	assert_int_equal(skynet_socket_connect(w->service, "127.0.0.1", 65536), -1);
	assert_non_null(strstr(w->log, "127.0.0.1:65536"));
}

static void
close_while_connecting_is_told_as_close(void **state)
{
	struct world *w = *state;
	int port;
	int server = open_port(&port, 8);
	int id = skynet_socket_connect(w->service, "127.0.0.1", port);
	skynet_socket_close(w->service, id);
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CLOSE, id);
	world_expect_nothing(w, w->service);
	(void)close(server);
}

static void
start_while_connecting_moves_the_outcome_to_the_caller(void **state)
{
	struct world *w = *state;
	int port;
	int server = open_port(&port, 8);
	int id = skynet_socket_connect(w->service, "127.0.0.1", port);
	skynet_socket_start(w->other, id);
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_TAKEN, id);
	(void)world_expect(w, w->other, SKYNET_SOCKET_TYPE_CONNECT, id);
	world_expect_nothing(w, w->service);
	(void)close(server);
}

/* --- names --------------------------------------------------------------------------------- */

static void
a_name_is_looked_up(void **state)
{
	struct world *w = *state;
	int port;
	int server = open_port(&port, 8);
	int id = skynet_socket_connect(w->service, "localhost", port);
	assert_int_equal(world_send(w, id, "by name"), 0);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, id);
	assert_string_equal(told.text, "127.0.0.1");
	int fd = accept(server, NULL, NULL);
	world_expect_bytes(w, fd, "by name");
	(void)close(fd);
	(void)close(server);
}

static void
many_look_ups_at_a_time_are_all_answered(void **state)
{
	struct world *w = *state;
	int port, ids[50], answers = 0;
	int server = open_port(&port, 64);
	for (int i = 0; i < 50; i++)
		ids[i] = skynet_socket_connect(w->service, i % 2 ? "localhost" : "bad..name", port);
	for (; answers < 50; answers++) {
		struct told told = world_wait(w, w->service);
		int i = 0;
		while (ids[i] != told.id)
			assert_true(++i < 50);
		assert_int_equal(told.type,
				 i % 2 ? SKYNET_SOCKET_TYPE_CONNECT : SKYNET_SOCKET_TYPE_ERROR);
		ids[i] = 0;
	}
	(void)close(server);
}

static void
a_name_that_cannot_be_resolved_is_an_error(void **state)
{
	struct world *w = *state;
	int id = skynet_socket_connect(w->service, "bad..name", 80);
	assert_true(id > 0);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_ERROR, id);
	assert_memory_equal(told.text, "cannot resolve bad..name: ", 26);
	world_expect_nothing(w, w->service);
	assert_int_equal(sk_sockets_count(w->core.sockets), 0);
}

static void
look_ups_under_way_are_given_up_at_the_end(void **state)
{
	struct world *w = *state;
	for (int i = 0; i < 20; i++) { /* nobody may ever answer these */
		char name[64];
		(void)snprintf(name, sizeof name, "host%d.example.invalid", i);
		assert_true(skynet_socket_connect(w->service, name, 80) > 0);
	}
}

/* The resolver's answer, given by hand. */
static void
answer_with(struct world *w, int id, const char *const *hosts, const int *ports, int count)
{
	struct sk_address_list *list =
		skynet_calloc(1, sizeof *list + (size_t)count * sizeof(struct sk_address));
	list->count = count;
	for (int i = 0; i < count; i++)
		assert_int_equal(sk_address_parse(&list->addresses[i], hosts[i], ports[i]), SK_OK);
	sk_socket_resolved(w->core.sockets, id, list, NULL);
}

/* A socket that waits for an answer that only the test gives. */
static int
resolving_socket(struct world *w)
{
	struct sk_socket_seed seed = {.ops = &sk_socket_stream_ops,
				      .stage = SK_SOCKET_RESOLVING,
				      .owner = w->service->handle,
				      .fd = -1,
				      .is_reading = true};
	int id = sk_socket_add(w->core.sockets, &seed);
	assert_true(id > 0);
	return id;
}

static void
an_answer_for_a_closed_socket_is_dropped(void **state)
{
	struct world *w = *state;
	int id = resolving_socket(w);
	skynet_socket_close(w->service, id);
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CLOSE, id);
	struct sk_address_list *list = skynet_calloc(1, sizeof *list + sizeof(struct sk_address));
	list->count = 1;
	sk_socket_resolved(w->core.sockets, id, list, NULL);
	sk_socket_resolved(w->core.sockets, id, NULL, "reason");
	world_expect_nothing(w, w->service);
}

static void
the_addresses_of_a_name_are_tried_in_turn(void **state)
{
	struct world *w = *state;
	int port;
	int server = open_port(&port, 8);
	const char *const hosts[] = {"127.0.0.1", "::ffff:127.0.0.1", "127.0.0.1", "127.0.0.1"};
	const int ports[] = {unused_port(), unused_port(), port, port};
	int fds = world_fd_count();
	int id = resolving_socket(w);
	answer_with(w, id, hosts, ports, 4);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, id);
	assert_string_equal(told.text, "127.0.0.1");
	world_expect_nothing(w, w->service);
	int fd = accept(server, NULL, NULL);
	assert_int_equal(world_send(w, id, "third"), 0);
	world_expect_bytes(w, fd, "third");
	assert_int_equal(world_fd_count(), fds + 2);
	(void)close(fd);
	(void)close(server);
}

static void
the_last_address_gives_the_reason(void **state)
{
	struct world *w = *state;
	const char *const hosts[] = {"127.0.0.1", "127.0.0.1", "255.255.255.255"};
	const int ports[] = {unused_port(), unused_port(), 80};
	int fds = world_fd_count();
	int id = resolving_socket(w);
	answer_with(w, id, hosts, ports, 2);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_ERROR, id);
	assert_string_equal(told.text, strerror(ECONNREFUSED));
	id = resolving_socket(w);
	answer_with(w, id, hosts, ports, 3); /* that one cannot even be begun */
	told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_ERROR, id);
	assert_true(strlen(told.text) > 0);
	world_expect_nothing(w, w->service);
	assert_int_equal(sk_sockets_count(w->core.sockets), 0);
	assert_int_equal(world_fd_count(), fds);
}

/* An address that drops what is sent to it: the queue of this listener is full. */
struct silent {
	int server;
	int clients[4];
	int port;
};

static struct silent
new_silent(void)
{
	struct silent silent;
	silent.server = open_port(&silent.port, 0);
	for (size_t i = 0; i < sizeof silent.clients / sizeof silent.clients[0]; i++) {
		struct sockaddr_in address = {
			.sin_family = AF_INET,
			.sin_port = htons((uint16_t)silent.port),
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		};
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		assert_true(fd >= 0);
		(void)connect(fd, (struct sockaddr *)&address, sizeof address);
		silent.clients[i] = fd;
	}
	return silent;
}

static void
free_silent(struct silent *silent)
{
	for (size_t i = 0; i < sizeof silent->clients / sizeof silent->clients[0]; i++)
		(void)close(silent->clients[i]);
	(void)close(silent->server);
}

static unsigned
user_timeout_ms(struct world *w, int id)
{
	unsigned timeout_ms = 1;
	socklen_t size = sizeof timeout_ms;
	struct sk_socket *s = sk_socket_enter(w->core.sockets, id);
	assert_non_null(s);
	assert_int_equal(
		getsockopt(s->fd, IPPROTO_TCP, 18 /* TCP_USER_TIMEOUT */, &timeout_ms, &size), 0);
	sk_socket_leave(w->core.sockets, s);
	return timeout_ms;
}

/* The kernel would wait for two minutes. */
static void
a_silent_address_does_not_keep_the_next_waiting(void **state)
{
	struct world *w = *state;
	struct silent silent = new_silent();
	int port;
	int server = open_port(&port, 8);
	const char *const hosts[] = {"127.0.0.1", "127.0.0.1"};
	const int ports[] = {silent.port, port};
	int id = resolving_socket(w);
	answer_with(w, id, hosts, ports, 2);
	assert_true(user_timeout_ms(w, id) > 0);
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, id);
	assert_int_equal(user_timeout_ms(w, id), 0); /* that was for connecting only */
	int fd = accept(server, NULL, NULL);
	assert_int_equal(world_send(w, id, "soon"), 0);
	world_expect_bytes(w, fd, "soon");
	(void)close(fd);
	(void)close(server);
	free_silent(&silent);
}

static void
a_limit_for_connecting_does_not_outlive_it(void **state)
{
	struct world *w = *state;
	int port;
	int server = open_port(&port, 8);
	const char *const hosts[] = {"127.0.0.1", "127.0.0.1"};
	const int ports[] = {port, port};
	int id = resolving_socket(w);
	answer_with(w, id, hosts, ports, 2);
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, id);
	assert_int_equal(user_timeout_ms(w, id), 0);
	(void)close(server);
}

static void
families_take_turns(void **state)
{
	struct world *w = *state;
	struct silent silent = new_silent(); /* so that nothing happens to the first */
	const char *const hosts[] = {"127.0.0.1", "127.0.0.2", "127.0.0.3",
				     "::5",	  "::6",       "127.0.0.4"};
	static const char *const order[] = {"127.0.0.1", "::5",	      "127.0.0.2",
					    "::6",	 "127.0.0.3", "127.0.0.4"};
	const int ports[] = {silent.port, 1, 1, 1, 1, 1};
	int id = resolving_socket(w);
	answer_with(w, id, hosts, ports, 6);
	struct sk_socket *s = sk_socket_enter(w->core.sockets, id);
	assert_non_null(s);
	for (int i = 0; i < 6; i++) {
		char text[SK_ADDRESS_TEXT_SIZE];
		sk_address_print_ip(&s->alternatives->addresses[i], text);
		assert_string_equal(text, order[i]);
	}
	sk_socket_leave(w->core.sockets, s);
	free_silent(&silent);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(a_connection_is_told_with_the_peers_ip),
		world_test(what_is_sent_before_the_connection_waits_for_it),
		world_test(nodelay_before_the_connection_is_not_lost),
		world_test(a_refused_connection_is_an_error),
		world_test(bad_addresses_are_refused_at_once),
		world_test(close_while_connecting_is_told_as_close),
		world_test(start_while_connecting_moves_the_outcome_to_the_caller),
		world_test(a_name_is_looked_up),
		world_test(many_look_ups_at_a_time_are_all_answered),
		world_test(a_name_that_cannot_be_resolved_is_an_error),
		world_test(look_ups_under_way_are_given_up_at_the_end),
		world_test(an_answer_for_a_closed_socket_is_dropped),
		world_test(the_addresses_of_a_name_are_tried_in_turn),
		world_test(the_last_address_gives_the_reason),
		world_test(a_silent_address_does_not_keep_the_next_waiting),
		world_test(a_limit_for_connecting_does_not_outlive_it),
		world_test(families_take_turns),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
