/* socket_output_test.c: what TCP connections send, from the service's point of view: when it
 * leaves, what happens when it cannot, and how a connection is closed. */
#include "socket_world.h"

#include <sys/ioctl.h>

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
	world_arrive(w);
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
	world_arrive(w);
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
	struct told told = world_wait(w, w->service);
	while (told.type == SKYNET_SOCKET_TYPE_WARNING)
		told = world_wait(w, w->service);
	assert_int_equal(told.type, SKYNET_SOCKET_TYPE_ERROR);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
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
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
