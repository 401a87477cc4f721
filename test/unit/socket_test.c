/* socket_test.c: what TCP connections receive, from the service's point of view: what is told,
 * when, and how often. Their output is in socket_output_test.c, owners in socket_owner_test.c. */
#include "socket_world.h"

/* --- input --------------------------------------------------------------------------------- */

static void
data_arrives_and_one_read_is_enough(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	assert_int_equal(write(pair.fd, "hello", 5), 5);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_DATA, pair.id);
	assert_int_equal(told.ud, 5);
	assert_memory_equal(told.buffer, "hello", 5);
	/* A short read says that nothing is left (R2). */
	struct sk_socket *s = sk_socket_enter(w->core.sockets, pair.id);
	assert_false(s->is_readable);
	assert_int_equal(s->unconsumed, 1);
	sk_socket_leave(w->core.sockets, s);
	world_done(w, &told);
	world_expect_nothing(w, w->service);
	(void)close(pair.fd);
}

/* R1: the second chunk is read when the first was consumed, not before. */
static void
a_slow_service_has_one_chunk_at_a_time(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	assert_int_equal(write(pair.fd, "one", 3), 3);
	struct told first = world_expect(w, w->service, SKYNET_SOCKET_TYPE_DATA, pair.id);
	assert_int_equal(write(pair.fd, "two", 3), 3);
	world_expect_nothing(w, w->service);
	assert_int_equal(write(pair.fd, "three", 5), 5);
	world_expect_nothing(w, w->service);
	world_done(w, &first);
	struct told second = world_expect(w, w->service, SKYNET_SOCKET_TYPE_DATA, pair.id);
	assert_int_equal(second.ud, 8);
	assert_memory_equal(second.buffer, "twothree", 8);
	world_done(w, &second);
	(void)close(pair.fd);
}

static void
a_peer_that_sends_much_is_stopped_by_the_kernel(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	static char block[65536];
	size_t sent = 0, got = 0;
	memset(block, 'x', sizeof block);
	assert_int_equal(fcntl(pair.fd, F_SETFL, O_NONBLOCK), 0);
	for (;;) { /* until the kernel takes no more */
		ssize_t n = write(pair.fd, block, sizeof block);
		if (n < 0)
			break;
		sent += (size_t)n;
		world_settle(w);
	}
	/* One chunk is all that was read. */
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_DATA, pair.id);
	assert_true(told.ud <= SK_SOCKET_READ_BYTES);
	world_expect_nothing(w, w->service);
	got += (size_t)told.ud;
	world_done(w, &told);
	while (got < sent) {
		told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_DATA, pair.id);
		got += (size_t)told.ud;
		world_done(w, &told);
	}
	assert_int_equal(got, sent);
	(void)close(pair.fd);
}

static void
pause_stops_reading_until_start(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	skynet_socket_pause(w->service, pair.id);
	assert_int_equal(write(pair.fd, "kept", 4), 4);
	world_expect_nothing(w, w->service);
	world_start(w, w->service, pair.id, "start");
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_DATA, pair.id);
	assert_int_equal(told.ud, 4);
	world_done(w, &told);
	(void)close(pair.fd);
}

static void
pause_during_a_chunk_holds_the_next_back(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	assert_int_equal(write(pair.fd, "a", 1), 1);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_DATA, pair.id);
	skynet_socket_pause(w->service, pair.id);
	assert_int_equal(write(pair.fd, "b", 1), 1);
	world_settle(w);
	world_done(w, &told);
	world_expect_nothing(w, w->service);
	world_start(w, w->service, pair.id, "start");
	told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_DATA, pair.id);
	assert_memory_equal(told.buffer, "b", 1);
	world_done(w, &told);
	(void)close(pair.fd);
}

static void
nothing_is_read_before_start(void **state)
{
	struct world *w = *state;
	int port;
	int listener = world_listen(w, &port);
	int fd = world_client(port);
	int id = world_accept(w, listener);
	assert_int_equal(write(fd, "early", 5), 5);
	world_expect_nothing(w, w->service);
	world_start(w, w->service, id, "start");
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_DATA, id);
	assert_int_equal(told.ud, 5);
	world_done(w, &told);
	(void)close(fd);
}

/* A server that is full says so and closes, without a start. The socket is then not watched until
 * it has to wait for the peer. */
static void
an_accepted_socket_sends_before_start(void **state)
{
	struct world *w = *state;
	int port;
	size_t size = 6 << 20;
	char *bytes = malloc(size);
	int listener = world_listen(w, &port);
	int fd = world_client(port);
	int id = world_accept(w, listener);
	assert_int_equal(world_send(w, id, "full, sorry"), 0);
	world_expect_bytes(w, fd, "full, sorry");
	assert_int_equal(world_send_pattern(w, id, 0, size), 0);
	skynet_socket_close(w->service, id);
	assert_int_equal(world_receive(w, fd, bytes, size), size);
	world_expect_end(w, fd);
	free(bytes);
	(void)close(fd);
}

/* --- timers -------------------------------------------------------------------------------- */

static void
set_timer(struct world *w, int id, unsigned delay_ms)
{
	struct sk_socket *s = sk_socket_enter(w->core.sockets, id);
	sk_socket_set_timer(w->core.sockets, s, delay_ms);
	sk_socket_leave(w->core.sockets, s);
}

static void
a_timer_that_fires_ends_what_waits(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	set_timer(w, pair.id, 1000);
	assert_int_equal(world_expire(w, 500), 0);
	assert_int_equal(world_expire(w, 2000), 1);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_ERROR, pair.id);
	assert_string_equal(told.text, strerror(ETIMEDOUT));
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CLOSE, pair.id);
	(void)close(pair.fd);
}

static void
a_timer_that_is_stopped_replaced_or_orphaned_does_not_fire(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	set_timer(w, pair.id, 1000);
	set_timer(w, pair.id, 5000);
	assert_int_equal(world_expire(w, 2000), 0);
	struct sk_socket *s = sk_socket_enter(w->core.sockets, pair.id);
	sk_socket_stop_timer(w->core.sockets, s);
	sk_socket_stop_timer(w->core.sockets, s);
	sk_socket_leave(w->core.sockets, s);
	assert_int_equal(world_expire(w, 7000), 0);
	set_timer(w, pair.id, 9000);
	skynet_socket_shutdown(w->service, pair.id);
	assert_int_equal(world_expire(w, 20000), 0);
	(void)close(pair.fd);
}

/* D1: between firing and arriving, anything may happen to the socket. */
static void
a_timer_that_is_on_its_way_does_no_harm(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	uint64_t now_ms = sk_scheduler_now_ns(&w->core.scheduler) / SK_NS_PER_MS;
	set_timer(w, pair.id, 1000);
	struct sk_timer_entry *stopped = sk_timer_expire(w->core.scheduler.timer, now_ms + 2000);
	assert_non_null(stopped);
	struct sk_socket *s = sk_socket_enter(w->core.sockets, pair.id);
	sk_socket_stop_timer(w->core.sockets, s);
	sk_socket_leave(w->core.sockets, s);
	sk_sockets_expired(w->core.sockets, stopped);
	world_expect_nothing(w, w->service);
	set_timer(w, pair.id, 3000);
	struct sk_timer_entry *late = sk_timer_expire(w->core.scheduler.timer, now_ms + 10000);
	assert_non_null(late);
	skynet_socket_shutdown(w->service, pair.id);
	sk_sockets_expired(w->core.sockets, late);
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CLOSE, pair.id);
	world_expect_nothing(w, w->service);
	(void)close(pair.fd);
}

/* --- the peer's end ------------------------------------------------------------------------ */

static void
after_the_peers_end_the_socket_still_sends(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	assert_int_equal(write(pair.fd, "bye", 3), 3);
	assert_int_equal(shutdown(pair.fd, SHUT_WR), 0);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_DATA, pair.id);
	assert_int_equal(told.ud, 3);
	world_done(w, &told);
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CLOSE, pair.id);
	assert_int_equal(world_send(w, pair.id, "answer"), 0);
	world_expect_bytes(w, pair.fd, "answer");
	skynet_socket_close(w->service, pair.id);
	world_expect_end(w, pair.fd);
	world_expect_nothing(w, w->service); /* C1 */
	assert_int_equal(world_send(w, pair.id, "too late"), -1);
	(void)close(pair.fd);
}

static void
a_half_closed_socket_stays_until_it_is_closed_here(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	int count = sk_sockets_count(w->core.sockets);
	assert_int_equal(shutdown(pair.fd, SHUT_WR), 0);
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CLOSE, pair.id);
	world_expect_nothing(w, w->service);
	assert_int_equal(sk_sockets_count(w->core.sockets), count);
	skynet_socket_start(w->service, pair.id);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_ERROR, pair.id);
	assert_string_equal(told.text, "socket closed");
	skynet_socket_close(w->service, pair.id);
	assert_int_equal(sk_sockets_count(w->core.sockets), count - 1);
	(void)close(pair.fd);
}

static void
the_end_waits_behind_all_data(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	static char block[300000];
	size_t got = 0;
	int told_close = 0;
	memset(block, 'y', sizeof block);
	assert_int_equal(write(pair.fd, block, sizeof block), sizeof block);
	(void)close(pair.fd);
	while (!told_close) {
		struct told told = world_wait(w, w->service);
		told_close = told.type == SKYNET_SOCKET_TYPE_CLOSE;
		if (!told_close)
			assert_int_equal(told.type, SKYNET_SOCKET_TYPE_DATA);
		got += (size_t)told.ud;
		world_done(w, &told);
	}
	assert_int_equal(got, sizeof block);
	skynet_socket_close(w->service, pair.id);
	world_expect_nothing(w, w->service);
}

static void
a_reset_is_an_error_and_then_a_close(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	int count = sk_sockets_count(w->core.sockets);
	world_reset(pair.fd);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_ERROR, pair.id);
	assert_string_equal(told.text, strerror(ECONNRESET));
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CLOSE, pair.id);
	world_expect_nothing(w, w->service);
	/* The descriptor does not wait for a service that forgets to close. */
	assert_int_equal(sk_sockets_count(w->core.sockets), count - 1);
}

static void
a_reset_in_mid_write_is_told_once(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	int errors = 0, closes = 0;
	while (sk_socket_id(&atomic_load(&w->core.sockets->chunks[0])->slots[pair.id]) == pair.id) {
		struct sk_socket *s = sk_socket_enter(w->core.sockets, pair.id);
		bool is_full = s->output.bytes > 0;
		sk_socket_leave(w->core.sockets, s);
		if (is_full)
			break;
		assert_int_equal(world_send_pattern(w, pair.id, 0, 100000), 0);
	}
	world_reset(pair.fd);
	for (;;) {
		struct told told = world_wait(w, w->service);
		errors += told.type == SKYNET_SOCKET_TYPE_ERROR;
		if (told.type == SKYNET_SOCKET_TYPE_CLOSE)
			break;
	}
	closes = 1;
	world_settle(w);
	for (struct told told = world_take(w->service); told.type; told = world_take(w->service))
		closes += told.type == SKYNET_SOCKET_TYPE_CLOSE;
	assert_int_equal(errors, 1);
	assert_int_equal(closes, 1); /* C1 */
	assert_int_equal(world_send(w, pair.id, "x"), -1);
	assert_int_equal(sk_sockets_count(w->core.sockets), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(data_arrives_and_one_read_is_enough),
		world_test(a_slow_service_has_one_chunk_at_a_time),
		world_test(a_peer_that_sends_much_is_stopped_by_the_kernel),
		world_test(pause_stops_reading_until_start),
		world_test(pause_during_a_chunk_holds_the_next_back),
		world_test(nothing_is_read_before_start),
		world_test(an_accepted_socket_sends_before_start),
		world_test(a_timer_that_fires_ends_what_waits),
		world_test(a_timer_that_is_stopped_replaced_or_orphaned_does_not_fire),
		world_test(a_timer_that_is_on_its_way_does_no_harm),
		world_test(after_the_peers_end_the_socket_still_sends),
		world_test(a_half_closed_socket_stays_until_it_is_closed_here),
		world_test(the_end_waits_behind_all_data),
		world_test(a_reset_is_an_error_and_then_a_close),
		world_test(a_reset_in_mid_write_is_told_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
