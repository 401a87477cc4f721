/* socket_listen_test.c: ports: how connections come in, and how they are refused. */
#include "socket_world.h"

static void
a_listener_tells_address_and_port(void **state)
{
	struct world *w = *state;
	static const char *const any[] = {NULL, ""};
	for (size_t i = 0; i < 2; i++) {
		int id = skynet_socket_listen(w->service, any[i], 0, 1);
		struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, id);
		assert_string_equal(told.text, "0.0.0.0");
		assert_true(told.ud > 0);
	}
	int id = skynet_socket_listen(w->service, "localhost", 0, 1);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, id);
	assert_true(strcmp(told.text, "127.0.0.1") == 0 || strcmp(told.text, "::1") == 0);
}

static void
bad_addresses_are_named(void **state)
{
	struct world *w = *state;
	char text[32];
	int port;
	(void)world_listen(w, &port);
	assert_int_equal(skynet_socket_listen(w->service, "127.0.0.1", port, 1), -1);
	(void)snprintf(text, sizeof text, "127.0.0.1:%d: ", port);
	assert_non_null(strstr(w->log, text));
	assert_non_null(strstr(w->log, strerror(EADDRINUSE)));
	assert_int_equal(skynet_socket_listen(w->service, "127.0.0.1", -5, 1), -1);
	assert_non_null(strstr(w->log, "-5"));
	assert_int_equal(skynet_socket_listen(w->service, "no..name", 0, 1), -1);
	assert_non_null(strstr(w->log, "no..name"));
	/* Nobody is asked on the network: the answer is there at once. */
	assert_int_equal(skynet_socket_listen(w->service, "www.example.com", 0, 1), -1);
	assert_non_null(strstr(w->log, "www.example.com is no local address"));
}

static void
listeners_that_agree_share_a_port(void **state)
{
	struct world *w = *state;
	struct skynet_socket_options shares = {.shares_port = 1};
	int first = skynet_socket_listen_with(w->service, "127.0.0.1", 0, 1, &shares);
	int port = world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, first).ud;
	int second = skynet_socket_listen_with(w->service, "127.0.0.1", port, 1, &shares);
	assert_true(second > 0);
	assert_int_equal(world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, second).ud, port);
	assert_int_equal(skynet_socket_listen(w->service, "127.0.0.1", port, 1), -1);
}

static void
nobody_is_accepted_before_start(void **state)
{
	struct world *w = *state;
	int listener = skynet_socket_listen(w->service, "127.0.0.1", 0, 1);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, listener);
	int fd = world_client(told.ud); /* the kernel has it */
	world_expect_nothing(w, w->service);
	world_start(w, w->service, listener, "start");
	told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_ACCEPT, listener);
	assert_memory_equal(told.text, "127.0.0.1:", 10);
	assert_true(told.ud > listener);
	world_done(w, &told);
	(void)close(fd);
}

static void
a_paused_listener_accepts_nobody(void **state)
{
	struct world *w = *state;
	int port;
	int listener = world_listen(w, &port);
	skynet_socket_pause(w->service, listener);
	int fd = world_client(port);
	world_expect_nothing(w, w->service);
	world_start(w, w->service, listener, "start");
	(void)world_accept(w, listener);
	(void)close(fd);
}

/* R1: 64 at a time, the next when the last of them was consumed. */
static void
a_slow_service_has_so_many_connections_at_a_time(void **state)
{
	struct world *w = *state;
	enum { CLIENTS = 150, BATCH = 64 };
	int port, fds[CLIENTS], count = 0;
	struct told batch[CLIENTS];
	int listener = world_listen(w, &port);
	for (int i = 0; i < CLIENTS; i++)
		fds[i] = world_client(port);
	while (count < CLIENTS) {
		int n = 0;
		world_settle(w);
		while ((batch[n] = world_take(w->service)).type == SKYNET_SOCKET_TYPE_ACCEPT)
			n++;
		assert_int_equal(n, count + BATCH <= CLIENTS ? BATCH : CLIENTS - count);
		for (int i = 0; i < n; i++) {
			world_expect_nothing(w, w->service);
			world_done(w, &batch[i]);
		}
		count += n;
	}
	assert_int_equal(sk_sockets_count(w->core.sockets), CLIENTS + 1);
	skynet_socket_close(w->service, listener);
	for (int i = 0; i < CLIENTS; i++)
		(void)close(fds[i]);
}

static void
ids_count_up_and_skip_what_is_in_use(void **state)
{
	struct world *w = *state;
	int first = skynet_socket_listen(w->service, "127.0.0.1", 0, 1);
	int second = skynet_socket_listen(w->service, "127.0.0.1", 0, 1);
	assert_int_equal(first, 1);
	assert_int_equal(second, 2);
	skynet_socket_close(w->service, first);
	assert_int_equal(skynet_socket_listen(w->service, "127.0.0.1", 0, 1), 3);
	/* Once around the table, the slots of 2 and 3 are still in use. */
	atomic_store(&w->core.sockets->last_number, SK_SOCKETS_MAX + 1);
	assert_int_equal(skynet_socket_listen(w->service, "127.0.0.1", 0, 1), SK_SOCKETS_MAX + 4);
	/* And at the end of the numbers. */
	atomic_store(&w->core.sockets->last_number, INT32_MAX - 1);
	assert_int_equal(skynet_socket_listen(w->service, "127.0.0.1", 0, 1), INT32_MAX);
	assert_int_equal(skynet_socket_listen(w->service, "127.0.0.1", 0, 1), 1);
	world_discard_all(w, w->service);
}

static void
a_full_table_refuses_and_the_listener_lives_on(void **state)
{
	struct world *w = *state;
	int port;
	int listener = world_listen(w, &port);
	atomic_fetch_add(&w->core.sockets->count, SK_SOCKETS_MAX - 1);
	int fd = world_client(port);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_ERROR, listener);
	assert_non_null(strstr(told.text, "65536 sockets"));
	world_expect_end(w, fd);
	(void)close(fd);
	fd = world_client(port);
	world_expect_end(w, fd);
	world_expect_nothing(w, w->service); /* once a second is enough */
	(void)close(fd);
	assert_int_equal(skynet_socket_connect(w->service, "127.0.0.1", port), -1);
	assert_non_null(strstr(w->log, "65536 sockets"));
	assert_int_equal(skynet_socket_udp(w->service, NULL, 0), -1);
	assert_int_equal(skynet_socket_udp_dial(w->service, "127.0.0.1", port), -1);
	assert_int_equal(skynet_socket_udp_dial(w->service, "localhost", port), -1);
	assert_int_equal(skynet_socket_bind(w->service, 0), -1);
	assert_int_equal(skynet_socket_listen(w->service, NULL, 0, 1), -1);
	assert_int_equal(sk_sockets_counter(w->core.sockets, SK_SOCKET_REFUSED_TABLE), 8);
	atomic_fetch_sub(&w->core.sockets->count, SK_SOCKETS_MAX - 1);
	fd = world_client(port);
	(void)world_accept(w, listener);
	(void)close(fd);
}

/* --- out of descriptors -------------------------------------------------------------------- */

static struct rlimit old_limit;

/* From here on no descriptor can be opened, except in the place of one that is closed. */
static void
use_up_descriptors(void)
{
	int fd = open("/dev/null", O_RDONLY);
	struct rlimit limit;
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old_limit), 0);
	limit = old_limit;
	limit.rlim_cur = (rlim_t)fd; /* the lowest that is free */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(open("/dev/null", O_RDONLY), -1);
}

static void
restore_descriptors(void)
{
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old_limit), 0);
}

static int
connect_later(int fd, int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons((uint16_t)port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	return connect(fd, (struct sockaddr *)&address, sizeof address);
}

static void
out_of_descriptors_clients_are_refused_and_the_listener_lives_on(void **state)
{
	struct world *w = *state;
	enum { CLIENTS = 100 };
	int port, fds[CLIENTS];
	int listener = world_listen(w, &port);
	for (int i = 0; i < CLIENTS; i++)
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	use_up_descriptors();
	for (int i = 0; i < CLIENTS; i++)
		assert_int_equal(connect_later(fds[i], port), 0);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_ERROR, listener);
	assert_string_equal(told.text, strerror(EMFILE));
	for (int i = 0; i < CLIENTS; i++)
		world_expect_end(w, fds[i]);
	world_expect_nothing(w, w->service);
	assert_int_equal(world_poll(w, 0), 0); /* nothing spins */
	assert_int_equal(sk_sockets_counter(w->core.sockets, SK_SOCKET_REFUSED_DESCRIPTORS),
			 CLIENTS);
	assert_int_equal(sk_sockets_count(w->core.sockets), 1);
	restore_descriptors();
	for (int i = 0; i < CLIENTS; i++)
		(void)close(fds[i]);
	int fd = world_client(port);
	(void)world_accept(w, listener);
	(void)close(fd);
}

static void
a_starved_listener_goes_on_when_a_socket_ends(void **state)
{
	struct world *w = *state;
	int port, other_port;
	int other = world_listen(w, &other_port);
	int listener = world_listen(w, &port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* The spare has been lost to somebody, too. */
	(void)close(w->core.sockets->spare_fd);
	w->core.sockets->spare_fd = -1;
	int taken = open("/dev/null", O_RDONLY);
	use_up_descriptors();
	assert_int_equal(connect_later(fd, port), 0);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_ERROR, listener);
	assert_string_equal(told.text, strerror(EMFILE));
	world_expect_nothing(w, w->service);
	assert_int_equal(world_poll(w, 0), 0); /* nothing spins */
	skynet_socket_close(w->service, other);
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CLOSE, other);
	(void)world_accept(w, listener);
	restore_descriptors();
	(void)close(taken);
	(void)close(fd);
}

static void
out_of_descriptors_connect_and_udp_say_so(void **state)
{
	struct world *w = *state;
	use_up_descriptors();
	int id = skynet_socket_connect(w->service, "127.0.0.1", 9);
	int udp = skynet_socket_udp(w->service, NULL, 0);
	int bound = skynet_socket_udp(w->service, "127.0.0.1", 0);
	int listener = skynet_socket_listen(w->service, NULL, 0, 1);
	int named = skynet_socket_connect(w->service, "localhost", 9);
	restore_descriptors();
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_ERROR, id);
	assert_string_equal(told.text, strerror(EMFILE));
	assert_int_equal(udp, -1);
	assert_int_equal(bound, -1);
	assert_int_equal(listener, -1);
	assert_int_equal(named, -1); /* the resolver could not begin */
	assert_non_null(strstr(w->log, strerror(EMFILE)));
	assert_int_equal(sk_sockets_count(w->core.sockets), 0);
}

static void
a_thousand_connections_leave_nothing_behind(void **state)
{
	struct world *w = *state;
	enum { CLIENTS = 1000 };
	static int fds[CLIENTS], ids[CLIENTS];
	int port;
	int listener = world_listen(w, &port);
	int before = world_fd_count();
	struct rlimit limit; /* both ends of the connections are here */
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < CLIENTS; i++) {
			fds[i] = world_client(port);
			ids[i] = world_accept(w, listener);
			world_start(w, w->service, ids[i], "start");
		}
		for (int i = 0; i < CLIENTS; i++)
			assert_int_equal(write(fds[i], "ping", 4), 4);
		for (int i = 0; i < CLIENTS; i++) {
			struct told told = world_wait(w, w->service);
			assert_int_equal(told.type, SKYNET_SOCKET_TYPE_DATA);
			assert_int_equal(told.ud, 4);
			assert_int_equal(world_send(w, told.id, "pong"), 0);
			world_done(w, &told);
		}
		for (int i = 0; i < CLIENTS; i++) {
			world_expect_bytes(w, fds[i], "pong");
			(void)close(fds[i]);
		}
		for (int i = 0; i < CLIENTS; i++) {
			struct told told = world_wait(w, w->service);
			assert_int_equal(told.type, SKYNET_SOCKET_TYPE_CLOSE);
			skynet_socket_close(w->service, told.id);
		}
		assert_int_equal(sk_sockets_count(w->core.sockets), 1);
		assert_int_equal(world_fd_count(), before);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(a_listener_tells_address_and_port),
		world_test(bad_addresses_are_named),
		world_test(listeners_that_agree_share_a_port),
		world_test(nobody_is_accepted_before_start),
		world_test(a_paused_listener_accepts_nobody),
		world_test(a_slow_service_has_so_many_connections_at_a_time),
		world_test(ids_count_up_and_skip_what_is_in_use),
		world_test(a_full_table_refuses_and_the_listener_lives_on),
		world_test(out_of_descriptors_clients_are_refused_and_the_listener_lives_on),
		world_test(a_starved_listener_goes_on_when_a_socket_ends),
		world_test(out_of_descriptors_connect_and_udp_say_so),
		world_test(a_thousand_connections_leave_nothing_behind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
