/* socket_shared_test.c: bytes that several sockets send without a copy each
 * (sk_socket_shared.c). */
#include "sk_socket_shared.h"
#include "socket_world.h"

#define CLIENTS 8

static int
send_shared(struct world *w, int id, struct skynet_socket_shared *shared)
{
	struct socket_sendbuffer buffer = {
		.id = id, .type = SOCKET_BUFFER_OBJECT, .buffer = shared, .sz = 12345};
	return skynet_socket_sendbuffer(w->service, &buffer);
}

static uint32_t
references(struct skynet_socket_shared *shared)
{
	return atomic_load(&shared->references);
}

static void
all_get_the_same_bytes(void **state)
{
	struct world *w = *state;
	struct pair pairs[CLIENTS];
	char text[] = "for all of you";
	struct skynet_socket_shared *shared = skynet_socket_share(text, strlen(text));
	memset(text, 'x', sizeof text - 1); /* it has a copy of its own */
	world_begin_turn(w);
	for (int i = 0; i < CLIENTS; i++) {
		sk_this_worker = NULL;
		pairs[i] = world_pair(w);
		sk_this_worker = &w->worker;
		assert_int_equal(world_send(w, pairs[i].id, "<"), 0);
		assert_int_equal(send_shared(w, pairs[i].id, shared), 0);
		assert_int_equal(world_send(w, pairs[i].id, ">"), 0);
	}
	assert_int_equal(references(shared), 1 + CLIENTS);
	skynet_socket_unshare(shared);
	world_end_turn(w);
	for (int i = 0; i < CLIENTS; i++) {
		world_expect_bytes(w, pairs[i].fd, "<for all of you>");
		(void)close(pairs[i].fd);
	}
}

/* Whoever cannot be sent to holds no reference, and one that is cut off gives its up. */
static void
references_come_back_however_a_socket_ends(void **state)
{
	struct world *w = *state;
	size_t size = 8 << 20; /* more than the kernel takes */
	char *bytes = skynet_calloc(1, size);
	struct skynet_socket_shared *shared = skynet_socket_share(bytes, size);
	struct pair pair = world_pair(w);
	struct pair dead = world_pair(w);
	free(bytes);
	assert_int_equal(send_shared(w, 54321, shared), -1);
	assert_int_equal(references(shared), 1);
	assert_int_equal(send_shared(w, pair.id, shared), 0);
	assert_int_equal(send_shared(w, dead.id, shared), 0);
	assert_int_equal(references(shared), 3);
	skynet_socket_shutdown(w->service, pair.id);
	assert_int_equal(references(shared), 2);
	world_kill(w, &w->service);
	assert_int_equal(references(shared), 2); /* a dead owner's output still goes out */
	world_reset(dead.fd);
	world_settle(w);
	assert_int_equal(references(shared), 1);
	skynet_socket_unshare(shared);
	(void)close(pair.fd);
}

static void
nothing_can_be_shared_too(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	struct skynet_socket_shared *shared = skynet_socket_share(NULL, 0);
	assert_int_equal(send_shared(w, pair.id, shared), 0);
	assert_int_equal(send_shared(w, 54321, shared), -1);
	assert_int_equal(references(shared), 1);
	skynet_socket_unshare(shared);
	skynet_socket_unshare(NULL);
	(void)close(pair.fd);
}

static void
a_datagram_can_be_shared(void **state)
{
	struct world *w = *state;
	int receiver = skynet_socket_udp(w->service, "127.0.0.1", 0);
	struct socket_info *list = skynet_socket_info();
	assert_non_null(list);
	int port = atoi(strrchr(list->name, ':') + 1);
	socket_info_release(list);
	int sender = skynet_socket_udp_dial(w->service, "127.0.0.1", port);
	assert_true(receiver > 0 && sender > 0);
	struct skynet_socket_shared *shared = skynet_socket_share("datagram", 8);
	struct socket_sendbuffer buffer = {
		.id = sender, .type = SOCKET_BUFFER_OBJECT, .buffer = shared};
	assert_int_equal(skynet_socket_udp_sendbuffer(w->service, NULL, &buffer), 0);
	skynet_socket_unshare(shared);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_UDP, receiver);
	assert_int_equal(told.ud, 8);
	assert_memory_equal(told.buffer, "datagram", 8);
	world_done(w, &told);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(all_get_the_same_bytes),
		world_test(references_come_back_however_a_socket_ends),
		world_test(nothing_can_be_shared_too),
		world_test(a_datagram_can_be_shared),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
