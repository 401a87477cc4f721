/* socket_test.c: TCP connections and foreign descriptors, from the service's point of view: what is
 * told, when, and how often; what leaves, and what happens when it cannot. */
#include "socket_world.h"

#include <sys/ioctl.h>

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

/* --- output -------------------------------------------------------------------------------- */

static void
what_a_turn_sends_leaves_at_its_end_together(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	int waiting = -1;
	world_begin_turn(w);
	for (int i = 0; i < 100; i++)
		assert_int_equal(world_send(w, pair.id, "x"), 0);
	assert_int_equal(ioctl(pair.fd, FIONREAD, &waiting), 0);
	assert_int_equal(waiting, 0);
	struct sk_socket *s = sk_socket_enter(w->core.sockets, pair.id);
	assert_ptr_equal(s->dirty_worker, &w->worker); /* W1 */
	sk_socket_leave(w->core.sockets, s);
	world_end_turn(w);
	assert_null(w->worker.dirty_sockets);
	char bytes[100];
	assert_int_equal(world_receive(w, pair.fd, bytes, sizeof bytes), sizeof bytes);
	(void)close(pair.fd);
}

static void
much_output_leaves_before_the_end_of_a_turn(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	int waiting = 0;
	world_begin_turn(w);
	assert_int_equal(world_send_pattern(w, pair.id, 0, 100000), 0);
	assert_int_equal(ioctl(pair.fd, FIONREAD, &waiting), 0);
	assert_true(waiting > 0);
	world_end_turn(w);
	(void)close(pair.fd);
}

static void
another_workers_output_is_not_kept_back(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	struct sk_worker second = {.scheduler = &w->core.scheduler};
	world_begin_turn(w); /* a turn that lasts */
	assert_int_equal(world_send(w, pair.id, "first "), 0);
	sk_this_worker = &second;
	assert_int_equal(world_send(w, pair.id, "second"), 0);
	assert_null(second.dirty_sockets);
	sk_this_worker = NULL;
	world_expect_bytes(w, pair.fd, "first second");
	world_end_turn(w);
	(void)close(pair.fd);
}

/* W3: the slot of a closed socket is on the list, and its next socket is none the worse. */
static void
a_slot_may_change_hands_while_it_is_on_the_dirty_list(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	world_begin_turn(w);
	assert_int_equal(world_send(w, pair.id, "lost"), 0);
	skynet_socket_shutdown(w->service, pair.id);
	/* The next id of this slot comes round. */
	atomic_store(&w->core.sockets->last_number, (uint64_t)pair.id + SK_SOCKETS_MAX - 1);
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	int id = skynet_socket_bind(w->service, fds[0]);
	assert_int_equal(id, pair.id + SK_SOCKETS_MAX);
	assert_int_equal(world_send(w, id, "new"), 0);
	assert_int_equal(world_send(w, pair.id, "old"), -1);
	world_end_turn(w);
	world_expect_bytes(w, fds[1], "new");
	world_expect_end(w, pair.fd);
	skynet_socket_close(w->service, id);
	(void)close(fds[0]);
	(void)close(fds[1]);
	(void)close(pair.fd);
}

static void
what_the_kernel_refuses_leaves_later_in_order(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	size_t total = 0, low = 0;
	world_begin_turn(w);
	for (int i = 0; i < 100; i++, total += 99991)
		assert_int_equal(world_send_pattern(w, pair.id, total, 99991), 0);
	world_end_turn(w);
	struct socket_sendbuffer last = {
		.id = pair.id, .type = SOCKET_BUFFER_RAWPOINTER, .buffer = "LOW", .sz = 3};
	assert_int_equal(skynet_socket_sendbuffer_lowpriority(w->service, &last), 0);
	assert_int_equal(world_send_pattern(w, pair.id, total, 7), 0);
	total += 7;
	low = 3;
	char *bytes = malloc(total + low);
	assert_int_equal(world_receive(w, pair.fd, bytes, total + low), total + low);
	for (size_t i = 0; i < total; i++)
		if (bytes[i] != world_pattern(i))
			fail_msg("byte %zu of %zu is wrong", i, total);
	assert_memory_equal(bytes + total, "LOW", 3);
	free(bytes);
	(void)close(pair.fd);
}

static void
warnings_come_at_one_mebibyte_at_each_doubling_and_at_the_end(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	size_t sent = 0;
	int last_kib = 0;
	for (; sent < 12 << 20; sent += 65536)
		assert_int_equal(world_send_pattern(w, pair.id, sent, 65536), 0);
	for (;;) {
		struct told told = world_take(w->service);
		if (told.type == 0)
			break;
		assert_int_equal(told.type, SKYNET_SOCKET_TYPE_WARNING);
		assert_true(told.ud >= (last_kib == 0 ? 1024 : 2 * (last_kib / 1024) * 1024));
		assert_true(told.ud < (last_kib == 0 ? 1024 : 2 * (last_kib / 1024) * 1024) + 65);
		last_kib = told.ud;
	}
	assert_true(last_kib >= 4096);
	char *bytes = malloc(sent);
	assert_int_equal(world_receive(w, pair.fd, bytes, sent), sent);
	free(bytes);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_WARNING, pair.id);
	assert_int_equal(told.ud, 0);
	world_expect_nothing(w, w->service);
	(void)close(pair.fd);
}

static int
setup_small_limit(void **state)
{
	static const char *const settings[] = {"socket_output_limit", "1000000", NULL};
	*state = world_new(settings);
	return 0;
}

static void
a_peer_that_does_not_read_is_dropped_at_the_limit(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	int sends = 0;
	while (world_send_pattern(w, pair.id, 0, 50000) == 0)
		assert_true(++sends < 10000);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_ERROR, pair.id);
	assert_non_null(strstr(told.text, "1000000 bytes"));
	assert_non_null(strstr(told.text, "socket_output_limit"));
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CLOSE, pair.id);
	world_expect_nothing(w, w->service);
	assert_int_equal(sk_sockets_counter(w->core.sockets, SK_SOCKET_OUTPUT_LIMIT), 1);
	assert_int_equal(sk_sockets_count(w->core.sockets), 0);
	(void)close(pair.fd);
}

static int
setup_small_total(void **state)
{
	static const char *const settings[] = {"socket_output_total", "8000000", NULL};
	*state = world_new(settings);
	return 0;
}

static void
when_all_sockets_hold_too_much_the_large_ones_are_dropped(void **state)
{
	struct world *w = *state;
	struct pair mute[] = {world_pair(w), world_pair(w), world_pair(w)};
	struct pair reader = world_pair(w);
	int sends = 0;
	while (world_send_pattern(w, mute[sends % 3].id, 0, 500000) == 0)
		assert_true(++sends < 1000);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_WARNING, mute[0].id);
	while (told.type != SKYNET_SOCKET_TYPE_ERROR)
		told = world_wait(w, w->service);
	assert_int_equal(told.id, mute[sends % 3].id);
	assert_non_null(strstr(told.text, "8000000 bytes"));
	assert_non_null(strstr(told.text, "socket_output_total"));
	assert_int_equal(sk_sockets_counter(w->core.sockets, SK_SOCKET_OUTPUT_TOTAL), 1);
	assert_int_equal(world_send(w, reader.id, "who keeps up is not meant"), 0);
	for (int i = 0; i < 3; i++) {
		skynet_socket_shutdown(w->service, mute[i].id);
		(void)close(mute[i].fd);
	}
	assert_int_equal(atomic_load(&w->core.sockets->waiting_steps), 0);
	(void)close(reader.fd);
}

static void
one_buffer_above_the_limit_passes_alone(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	size_t size = 8 << 20;
	char *bytes = malloc(size);
	world_begin_turn(w);
	assert_int_equal(world_send_pattern(w, pair.id, 0, size), 0);
	world_end_turn(w);
	assert_int_equal(world_receive(w, pair.fd, bytes, size), size);
	free(bytes);
	assert_int_equal(world_send(w, pair.id, "and more"), 0);
	world_expect_bytes(w, pair.fd, "and more");
	(void)close(pair.fd);
}

static void
bad_buffers_are_refused(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	char *block = skynet_malloc(4);
	assert_int_equal(skynet_socket_send(w->service, pair.id, &block, -1), -1);
	assert_non_null(strstr(w->log, "neither memory nor an object"));
	struct socket_sendbuffer none = {.id = pair.id, .type = SOCKET_BUFFER_OBJECT};
	assert_int_equal(skynet_socket_sendbuffer(w->service, &none), -1);
	assert_non_null(strstr(w->log, "the object is NULL"));
	assert_int_equal(skynet_socket_send(w->service, 12345, block, 4), -1); /* and freed */
	assert_int_equal(skynet_socket_send(w->service, -1, skynet_malloc(1), 1), -1);
	assert_int_equal(skynet_socket_send(w->service, pair.id, skynet_malloc(1), 0), 0);
	assert_int_equal(skynet_socket_send_lowpriority(w->service, 0, NULL, 0), -1);
	(void)close(pair.fd);
}

/* --- close --------------------------------------------------------------------------------- */

static void
close_sends_what_waits_first(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	size_t size = 6 << 20;
	char *bytes = malloc(size);
	assert_int_equal(world_send_pattern(w, pair.id, 0, size), 0);
	skynet_socket_close(w->service, pair.id);
	struct told told = world_wait(w, w->service);
	while (told.type == SKYNET_SOCKET_TYPE_WARNING)
		told = world_wait(w, w->service);
	assert_int_equal(told.type, SKYNET_SOCKET_TYPE_CLOSE);
	assert_int_equal(world_send(w, pair.id, "late"), -1);
	skynet_socket_start(w->service, pair.id);
	told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_ERROR, pair.id);
	assert_string_equal(told.text, "socket closed");
	assert_int_equal(world_receive(w, pair.fd, bytes, size), size);
	for (size_t i = 0; i < size; i++)
		if (bytes[i] != world_pattern(i))
			fail_msg("byte %zu is wrong", i);
	free(bytes);
	world_expect_end(w, pair.fd);
	world_expect_nothing(w, w->service);
	assert_int_equal(sk_sockets_count(w->core.sockets), 0);
	(void)close(pair.fd);
}

static void
close_within_a_turn_sends_what_the_turn_sent(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	world_begin_turn(w);
	assert_int_equal(world_send(w, pair.id, "last words"), 0);
	skynet_socket_close(w->service, pair.id);
	world_end_turn(w);
	world_expect_bytes(w, pair.fd, "last words");
	world_expect_end(w, pair.fd);
	(void)close(pair.fd);
}

static void
close_does_not_reset_a_peer_that_was_still_sending(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	skynet_socket_pause(w->service, pair.id);
	assert_int_equal(write(pair.fd, "nobody reads this", 17), 17);
	world_settle(w);
	assert_int_equal(world_send(w, pair.id, "answer"), 0);
	skynet_socket_close(w->service, pair.id);
	world_expect_bytes(w, pair.fd, "answer");
	world_expect_end(w, pair.fd); /* the end, and no reset */
	(void)close(pair.fd);
}

static void
shutdown_drops_what_waits(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	size_t size = 64 << 20;
	char *bytes = malloc(size);
	assert_int_equal(world_send_pattern(w, pair.id, 0, size), 0);
	skynet_socket_shutdown(w->service, pair.id);
	assert_true(world_receive(w, pair.fd, bytes, size) < size);
	free(bytes);
	struct told told = world_wait(w, w->service);
	while (told.type == SKYNET_SOCKET_TYPE_WARNING)
		told = world_wait(w, w->service);
	assert_int_equal(told.type, SKYNET_SOCKET_TYPE_CLOSE);
	world_expect_nothing(w, w->service);
	(void)close(pair.fd);
}

static void
a_closing_socket_ends_when_its_peer_resets(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	assert_int_equal(world_send_pattern(w, pair.id, 0, 16 << 20), 0);
	skynet_socket_close(w->service, pair.id);
	assert_int_equal(sk_sockets_count(w->core.sockets), 1);
	world_reset(pair.fd);
	uint64_t deadline_ms = sk_clock_ms() + WORLD_DEADLINE_MS;
	while (sk_sockets_count(w->core.sockets) > 0) {
		assert_true(sk_clock_ms() < deadline_ms);
		(void)world_poll(w, 10);
	}
}

static int
setup_short_linger(void **state)
{
	static const char *const settings[] = {"socket_linger", "1", NULL};
	*state = world_new(settings);
	return 0;
}

static void
a_closing_socket_does_not_wait_for_ever_for_its_peer_to_read(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	assert_int_equal(world_send_pattern(w, pair.id, 0, 16 << 20), 0);
	skynet_socket_close(w->service, pair.id);
	uint64_t deadline_ms = sk_clock_ms() + WORLD_DEADLINE_MS;
	while (sk_sockets_count(w->core.sockets) > 0) {
		assert_true(sk_clock_ms() < deadline_ms);
		(void)world_poll(w, 100);
	}
	assert_int_equal(sk_sockets_counter(w->core.sockets, SK_SOCKET_LINGER), 1);
	(void)close(pair.fd);
}

static void
operations_on_what_is_gone_do_nothing(void **state)
{
	struct world *w = *state;
	static const int ids[] = {1, 77, 65536, 65537, 2147483647, 0, -1, -2147483647 - 1};
	for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
		skynet_socket_pause(w->service, ids[i]);
		skynet_socket_close(w->service, ids[i]);
		skynet_socket_shutdown(w->service, ids[i]);
		skynet_socket_nodelay(w->service, ids[i]);
		sk_sockets_consumed(w->core.sockets, ids[i]);
		sk_sockets_event(w->core.sockets, (uint64_t)ids[i], 7);
		assert_int_equal(world_send(w, ids[i], "x"), -1);
		skynet_socket_start(w->service, ids[i]);
		struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_ERROR, ids[i]);
		assert_string_equal(told.text, "invalid socket");
	}
}

/* --- owners -------------------------------------------------------------------------------- */

static void
start_by_another_service_transfers_the_socket(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	world_start(w, w->other, pair.id, "transfer");
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_TAKEN, pair.id);
	assert_int_equal(write(pair.fd, "to other", 8), 8);
	struct told told = world_expect(w, w->other, SKYNET_SOCKET_TYPE_DATA, pair.id);
	world_done(w, &told);
	world_expect_nothing(w, w->service);
	world_kill(w, &w->service);
	assert_int_equal(write(pair.fd, "still", 5), 5);
	told = world_expect(w, w->other, SKYNET_SOCKET_TYPE_DATA, pair.id);
	world_done(w, &told);
	(void)close(pair.fd);
}

/* Nobody is left to be told, and that is no reason to close it. */
static void
a_dead_owners_socket_can_be_taken_over(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	sk_registry_remove(&w->core.registry, w->service->handle);
	world_start(w, w->other, pair.id, "transfer");
	assert_int_equal(write(pair.fd, "to other", 8), 8);
	struct told told = world_expect(w, w->other, SKYNET_SOCKET_TYPE_DATA, pair.id);
	world_done(w, &told);
	world_expect_nothing(w, w->other);
	(void)close(pair.fd);
}

/* The chunk that the old owner never handled must not keep the new one from reading. */
static void
a_transferred_socket_goes_on_when_the_old_owner_dies_with_a_chunk(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	assert_int_equal(write(pair.fd, "unread", 6), 6);
	world_settle(w); /* the chunk lies in the mailbox of the service */
	world_start(w, w->other, pair.id, "transfer");
	assert_int_equal(write(pair.fd, "next", 4), 4);
	world_expect_nothing(w, w->other);
	world_kill(w, &w->service);
	struct told told = world_expect(w, w->other, SKYNET_SOCKET_TYPE_DATA, pair.id);
	assert_memory_equal(told.buffer, "next", 4);
	world_done(w, &told);
	(void)close(pair.fd);
}

static void
a_dead_owners_sockets_are_closed_after_their_output(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	size_t size = 6 << 20;
	char *bytes = malloc(size);
	int port;
	(void)world_listen(w, &port);
	assert_int_equal(world_send_pattern(w, pair.id, 0, size), 0);
	world_kill(w, &w->service);
	assert_int_equal(sk_sockets_count(w->core.sockets), 1); /* the listener is gone at once */
	assert_int_equal(world_receive(w, pair.fd, bytes, size), size);
	free(bytes);
	world_expect_end(w, pair.fd);
	assert_int_equal(sk_sockets_count(w->core.sockets), 0);
	(void)close(pair.fd);
}

static void
data_for_a_dead_owner_closes_the_socket(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	/* Dead, but its sockets have not been looked for yet. */
	(void)sk_registry_remove(&w->core.registry, w->service->handle);
	assert_int_equal(write(pair.fd, "anybody there?", 14), 14);
	world_expect_end(w, pair.fd);
	assert_int_equal(sk_sockets_count(w->core.sockets), 0);
	(void)close(pair.fd);
}

static void
an_unread_accept_of_a_dead_service_closes_the_connection(void **state)
{
	struct world *w = *state;
	int port;
	(void)world_listen(w, &port);
	int fd = world_client(port);
	world_settle(w);
	assert_int_equal(sk_sockets_count(w->core.sockets), 2);
	world_kill(w, &w->service);
	assert_int_equal(sk_sockets_count(w->core.sockets), 0);
	world_expect_end(w, fd);
	(void)close(fd);
}

/* --- foreign descriptors ------------------------------------------------------------------- */

static void
a_pipe_can_be_read_to_its_end(void **state)
{
	struct world *w = *state;
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	int id = skynet_socket_bind(w->service, fds[0]);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, id);
	assert_string_equal(told.text, "binding");
	assert_int_equal(write(fds[1], "line\n", 5), 5);
	told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_DATA, id);
	assert_int_equal(told.ud, 5);
	world_done(w, &told);
	(void)close(fds[1]);
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CLOSE, id);
	skynet_socket_close(w->service, id);
	world_expect_nothing(w, w->service);
	/* It is not ours to close, and it is as it was. */
	assert_int_equal(fcntl(fds[0], F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(close(fds[0]), 0);
}

static void
a_pipe_can_be_written_and_its_broken_end_is_told(void **state)
{
	struct world *w = *state;
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	int id = skynet_socket_bind(w->service, fds[1]);
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, id);
	assert_int_equal(world_send(w, id, "out"), 0);
	char bytes[3];
	assert_int_equal(read(fds[0], bytes, 3), 3);
	(void)close(fds[0]);
	world_expect_nothing(w, w->service);
	assert_int_equal(world_send(w, id, "lost"), 0);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_ERROR, id);
	assert_string_equal(told.text, strerror(EPIPE));
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CLOSE, id);
	assert_int_equal(close(fds[1]), 0);
}

static void
a_plain_file_is_read_chunk_by_chunk(void **state)
{
	struct world *w = *state;
	char path[] = "/tmp/socket_test_XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	(void)unlink(path);
	char *bytes = malloc(200000);
	for (int i = 0; i < 200000; i++)
		bytes[i] = world_pattern((size_t)i);
	assert_int_equal(write(fd, bytes, 200000), 200000);
	free(bytes);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	int id = skynet_socket_bind(w->service, fd);
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, id);
	size_t got = 0;
	struct told told = world_wait(w, w->service);
	while (told.type == SKYNET_SOCKET_TYPE_DATA) {
		for (int i = 0; i < told.ud; i++)
			assert_int_equal(told.buffer[i], world_pattern(got + (size_t)i));
		got += (size_t)told.ud;
		world_expect_nothing(w, w->service); /* R1 */
		world_done(w, &told);
		told = world_wait(w, w->service);
	}
	assert_int_equal(told.type, SKYNET_SOCKET_TYPE_CLOSE);
	assert_int_equal(got, 200000);
	assert_int_equal(world_send(w, id, "appended"), 0);
	skynet_socket_close(w->service, id);
	assert_int_equal(lseek(fd, 0, SEEK_END), 200008);
	assert_int_equal(close(fd), 0);
}

static void
what_is_no_descriptor_is_not_bound(void **state)
{
	struct world *w = *state;
	assert_int_equal(skynet_socket_bind(w->service, -1), -1);
	assert_int_equal(skynet_socket_bind(w->service, 987654), -1);
	assert_non_null(strstr(w->log, "987654"));
}

/* --- the list ------------------------------------------------------------------------------ */

static void
info_lists_every_socket(void **state)
{
	struct world *w = *state;
	int port;
	int listener = world_listen(w, &port);
	int fd = world_client(port);
	int id = world_accept(w, listener);
	char name[64];
	world_start(w, w->service, id, "start");
	assert_int_equal(write(fd, "12345", 5), 5);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_DATA, id);
	world_done(w, &told);
	assert_int_equal(world_send(w, id, "1234567"), 0);
	struct socket_info *list = skynet_socket_info();
	assert_non_null(list);
	assert_int_equal(list->id, listener);
	assert_int_equal(list->type, SOCKET_INFO_LISTEN);
	assert_int_equal(list->read, 1);
	assert_int_equal(list->opaque, w->service->handle);
	(void)snprintf(name, sizeof name, "127.0.0.1:%d", port);
	assert_string_equal(list->name, name);
	struct socket_info *tcp = list->next;
	assert_non_null(tcp);
	assert_null(tcp->next);
	assert_int_equal(tcp->id, id);
	assert_int_equal(tcp->type, SOCKET_INFO_TCP);
	assert_int_equal(tcp->read, 5);
	assert_int_equal(tcp->write, 7);
	assert_int_equal(tcp->wbuffer, 0);
	assert_true(tcp->reading);
	assert_false(tcp->writing);
	assert_true(tcp->rtime > 0 && tcp->wtime >= tcp->rtime);
	assert_memory_equal(tcp->name, "127.0.0.1:", 10);
	socket_info_release(list);
	(void)close(fd);
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
		world_test(what_a_turn_sends_leaves_at_its_end_together),
		world_test(much_output_leaves_before_the_end_of_a_turn),
		world_test(another_workers_output_is_not_kept_back),
		world_test(a_slot_may_change_hands_while_it_is_on_the_dirty_list),
		world_test(what_the_kernel_refuses_leaves_later_in_order),
		world_test(warnings_come_at_one_mebibyte_at_each_doubling_and_at_the_end),
		cmocka_unit_test_setup_teardown(a_peer_that_does_not_read_is_dropped_at_the_limit,
						setup_small_limit, world_teardown),
		cmocka_unit_test_setup_teardown(
			when_all_sockets_hold_too_much_the_large_ones_are_dropped,
			setup_small_total, world_teardown),
		cmocka_unit_test_setup_teardown(one_buffer_above_the_limit_passes_alone,
						setup_small_limit, world_teardown),
		world_test(bad_buffers_are_refused),
		world_test(close_sends_what_waits_first),
		world_test(close_within_a_turn_sends_what_the_turn_sent),
		world_test(close_does_not_reset_a_peer_that_was_still_sending),
		world_test(shutdown_drops_what_waits),
		world_test(a_closing_socket_ends_when_its_peer_resets),
		cmocka_unit_test_setup_teardown(
			a_closing_socket_does_not_wait_for_ever_for_its_peer_to_read,
			setup_short_linger, world_teardown),
		world_test(operations_on_what_is_gone_do_nothing),
		world_test(start_by_another_service_transfers_the_socket),
		world_test(a_dead_owners_socket_can_be_taken_over),
		world_test(a_transferred_socket_goes_on_when_the_old_owner_dies_with_a_chunk),
		world_test(a_dead_owners_sockets_are_closed_after_their_output),
		world_test(data_for_a_dead_owner_closes_the_socket),
		world_test(an_unread_accept_of_a_dead_service_closes_the_connection),
		world_test(a_pipe_can_be_read_to_its_end),
		world_test(a_pipe_can_be_written_and_its_broken_end_is_told),
		world_test(a_plain_file_is_read_chunk_by_chunk),
		world_test(what_is_no_descriptor_is_not_bound),
		world_test(info_lists_every_socket),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
