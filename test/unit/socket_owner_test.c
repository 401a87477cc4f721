/* socket_owner_test.c: whose a socket is, and what becomes of it when its owner changes or dies;
 * descriptors that were opened elsewhere; the list of all sockets. */
#include "socket_world.h"

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
	/* Its last turn is over, but its sockets have not been looked for yet. */
	(void)sk_registry_remove(&w->core.registry, w->service->handle);
	assert_int_equal(write(pair.fd, "anybody there?", 14), 14);
	world_expect_end(w, pair.fd);
	assert_int_equal(sk_sockets_count(w->core.sockets), 0);
	(void)close(pair.fd);
}

/* What a service writes while it ends leaves, whatever comes in meanwhile. */
static void
what_a_dying_owner_writes_leaves_first(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	char bytes[8];
	int port;
	(void)world_listen(w, &port);
	int late = world_client(port);
	world_begin_death(w, w->service);
	assert_int_equal(write(pair.fd, "are you there?", 14), 14);
	world_settle(w);
	assert_int_equal(world_send_pattern(w, pair.id, 0, sizeof bytes), 0);
	world_kill(w, &w->service);
	assert_int_equal(world_receive(w, pair.fd, bytes, sizeof bytes), sizeof bytes);
	world_expect_end(w, pair.fd);
	world_expect_end(w, late);
	assert_int_equal(sk_sockets_count(w->core.sockets), 0);
	(void)close(pair.fd);
	(void)close(late);
}

/* Nor does what has come in unseen: a connection that is closed over unread bytes is reset. */
static void
what_has_come_in_unseen_resets_no_last_words(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	world_begin_death(w, w->service);
	assert_int_equal(write(pair.fd, "an answer", 9), 9); /* nobody polls */
	assert_int_equal(world_send(w, pair.id, "goodbye"), 0);
	world_kill(w, &w->service);
	world_expect_bytes(w, pair.fd, "goodbye");
	world_expect_end(w, pair.fd);
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
		world_test(start_by_another_service_transfers_the_socket),
		world_test(a_dead_owners_socket_can_be_taken_over),
		world_test(a_transferred_socket_goes_on_when_the_old_owner_dies_with_a_chunk),
		world_test(a_dead_owners_sockets_are_closed_after_their_output),
		world_test(data_for_a_dead_owner_closes_the_socket),
		world_test(what_a_dying_owner_writes_leaves_first),
		world_test(what_has_come_in_unseen_resets_no_last_words),
		world_test(an_unread_accept_of_a_dead_service_closes_the_connection),
		world_test(a_pipe_can_be_read_to_its_end),
		world_test(a_pipe_can_be_written_and_its_broken_end_is_told),
		world_test(a_plain_file_is_read_chunk_by_chunk),
		world_test(what_is_no_descriptor_is_not_bound),
		world_test(info_lists_every_socket),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
