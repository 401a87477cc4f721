/* socket_packet_test.c: packets that several sockets send without a copy each. */
#include "socket_world.h"

#include "sk_packet.h"

#define CLIENTS 8

static int
send_packet(struct world *w, int id, struct skynet_packet *packet)
{
	struct socket_sendbuffer buffer = {
		.id = id, .type = SOCKET_BUFFER_OBJECT, .buffer = packet, .sz = 12345};
	return skynet_socket_sendbuffer(w->service, &buffer);
}

static uint32_t
holders(struct skynet_packet *packet)
{
	return atomic_load(&packet->holders);
}

static void
all_get_the_same_bytes(void **state)
{
	struct world *w = *state;
	struct pair pairs[CLIENTS];
	char text[] = "for all of you";
	struct skynet_packet *packet = skynet_packet_new(text, strlen(text));
	memset(text, 'x', sizeof text - 1); /* it has a copy of its own */
	world_begin_turn(w);
	for (int i = 0; i < CLIENTS; i++) {
		sk_this_worker = NULL;
		pairs[i] = world_pair(w);
		sk_this_worker = &w->worker;
		assert_int_equal(world_send(w, pairs[i].id, "<"), 0);
		assert_int_equal(send_packet(w, pairs[i].id, packet), 0);
		assert_int_equal(world_send(w, pairs[i].id, ">"), 0);
	}
	assert_int_equal(holders(packet), 1 + CLIENTS);
	skynet_packet_release(packet);
	world_end_turn(w);
	for (int i = 0; i < CLIENTS; i++) {
		world_expect_bytes(w, pairs[i].fd, "<for all of you>");
		(void)close(pairs[i].fd);
	}
}

/* Whoever cannot be sent to does not hold it, and one that is cut off releases it. */
static void
packets_come_back_however_a_socket_ends(void **state)
{
	struct world *w = *state;
	size_t size = 8 << 20; /* more than the kernel takes */
	char *bytes = skynet_calloc(1, size);
	struct skynet_packet *packet = skynet_packet_new(bytes, size);
	struct pair pair = world_pair(w);
	struct pair dead = world_pair(w);
	free(bytes);
	assert_int_equal(send_packet(w, 54321, packet), -1);
	assert_int_equal(holders(packet), 1);
	assert_int_equal(send_packet(w, pair.id, packet), 0);
	assert_int_equal(send_packet(w, dead.id, packet), 0);
	assert_int_equal(holders(packet), 3);
	skynet_socket_shutdown(w->service, pair.id);
	assert_int_equal(holders(packet), 2);
	world_kill(w, &w->service);
	assert_int_equal(holders(packet), 2); /* a dead owner's output still goes out */
	world_reset(dead.fd);
	world_settle(w);
	assert_int_equal(holders(packet), 1);
	skynet_packet_release(packet);
	(void)close(pair.fd);
}

static void
nothing_can_be_shared_too(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	struct skynet_packet *packet = skynet_packet_new(NULL, 0);
	assert_int_equal(send_packet(w, pair.id, packet), 0);
	assert_int_equal(send_packet(w, 54321, packet), -1);
	assert_int_equal(holders(packet), 1);
	skynet_packet_release(packet);
	skynet_packet_release(NULL);
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
	struct skynet_packet *packet = skynet_packet_new("datagram", 8);
	struct socket_sendbuffer buffer = {
		.id = sender, .type = SOCKET_BUFFER_OBJECT, .buffer = packet};
	assert_int_equal(skynet_socket_udp_sendbuffer(w->service, NULL, &buffer), 0);
	skynet_packet_release(packet);
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
		world_test(packets_come_back_however_a_socket_ends),
		world_test(nothing_can_be_shared_too),
		world_test(a_datagram_can_be_shared),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
