/* socket_library_test.c: a client library that never blocks, driven by a service through watched
 * descriptors (sk_socket_ready.c): c-ares asks a name server, which the test plays. The first
 * answer says that the rest has to be asked over TCP, and comes in pieces there; so descriptors
 * come and go, and some of what is ready is only read in part. */
#include "socket_world.h"

#include <ares.h>

#define DESCRIPTORS_MAX 8
#define PACKET_MAX 512
#define HEADER_SIZE 12
#define FLAGS_AT 2
#define ANSWERS_AT 7

/* --- the name server ----------------------------------------------------------------------- */

struct server {
	int udp;
	int listener;
	int tcp; /* the connection; -1: none */
	int port;
	unsigned char question[PACKET_MAX];
	size_t question_size; /* of what has come over TCP, with its length in front */
};

/* Binds both to one port. Returns false if the one that is free for datagrams is not for
 * connections. */
static bool
bind_both(struct server *server)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	server->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(server->udp, (struct sockaddr *)&address, size), 0);
	assert_int_equal(getsockname(server->udp, (struct sockaddr *)&address, &size), 0);
	server->port = ntohs(address.sin_port);
	return bind(server->listener, (struct sockaddr *)&address, size) == 0;
}

static struct server
new_server(void)
{
	struct server server = {.tcp = -1};
	for (int tries = 0; !bind_both(&server); tries++) {
		assert_true(tries < 100);
		(void)close(server.udp);
		(void)close(server.listener);
	}
	assert_int_equal(listen(server.listener, 8), 0);
	return server;
}

static void
free_server(struct server *server)
{
	(void)close(server->udp);
	(void)close(server->listener);
	if (server->tcp >= 0)
		(void)close(server->tcp);
}

/* Makes an answer of a question. Returns its size. */
static size_t
answer(unsigned char *packet, size_t size, bool is_cut)
{
	static const unsigned char record[] = {0xc0, HEADER_SIZE, 0, 1, 0, 1, 0, 0,
					       0,    60,	  0, 4, 1, 2, 3, 4};
	packet[FLAGS_AT] = is_cut ? 0x86 : 0x84; /* an answer; with TC */
	packet[FLAGS_AT + 1] = 0;
	packet[10] = packet[11] = 0; /* no additional records */
	size = HEADER_SIZE + strlen((char *)packet + HEADER_SIZE) + 5;
	if (is_cut)
		return size;
	packet[ANSWERS_AT] = 1;
	memcpy(packet + size, record, sizeof record);
	return size + sizeof record;
}

static void
serve_udp(struct server *server)
{
	unsigned char packet[PACKET_MAX];
	struct sockaddr_in from;
	socklen_t from_size = sizeof from;
	ssize_t size = recvfrom(server->udp, packet, sizeof packet, MSG_DONTWAIT,
				(struct sockaddr *)&from, &from_size);
	if (size > HEADER_SIZE)
		(void)sendto(server->udp, packet, answer(packet, (size_t)size, true), 0,
			     (struct sockaddr *)&from, from_size);
}

/* Sends an answer in pieces of one byte first, then the rest: the library gets up for each. */
static void
send_in_pieces(struct world *w, int fd, const unsigned char *bytes, size_t size)
{
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(send(fd, bytes + i, 1, MSG_NOSIGNAL), 1);
		world_settle(w);
	}
	assert_int_equal(send(fd, bytes + 4, size - 4, MSG_NOSIGNAL), size - 4);
}

static void
serve_tcp(struct world *w, struct server *server)
{
	if (server->tcp < 0)
		server->tcp = accept(server->listener, NULL, NULL);
	if (server->tcp < 0)
		return;
	ssize_t size = recv(server->tcp, server->question + server->question_size,
			    PACKET_MAX - server->question_size, MSG_DONTWAIT);
	server->question_size += size > 0 ? (size_t)size : 0;
	if (server->question_size < 2 || server->question_size < 2 + (size_t)server->question[1])
		return;
	unsigned char packet[PACKET_MAX + 64];
	memcpy(packet, server->question, server->question_size);
	size_t answer_size = answer(packet + 2, server->question_size - 2, false);
	packet[0] = 0;
	packet[1] = (unsigned char)answer_size;
	send_in_pieces(w, server->tcp, packet, 2 + answer_size);
	server->question_size = 0;
}

/* --- the service --------------------------------------------------------------------------- */

struct watched {
	ares_socket_t fd;
	int id;
	int wanted;
};

struct client {
	struct world *w;
	ares_channel channel;
	struct watched watched[DESCRIPTORS_MAX];
	int count;
	int opened; /* so far */
	int status; /* -1: not yet known */
	char ip[INET_ADDRSTRLEN];
};

static struct watched *
find_watched(struct client *client, int id, ares_socket_t fd)
{
	for (int i = 0; i < client->count; i++)
		if (client->watched[i].id == id || client->watched[i].fd == fd)
			return &client->watched[i];
	return NULL;
}

/* The library says what it waits for. Neither: it is about to close the descriptor. */
static void
on_state(void *ud, ares_socket_t fd, int readable, int writable)
{
	struct client *client = ud;
	struct watched *watched = find_watched(client, -1, fd);
	int wanted =
		(readable ? SKYNET_SOCKET_READABLE : 0) | (writable ? SKYNET_SOCKET_WRITABLE : 0);
	if (!watched && wanted != 0) {
		assert_true(client->count < DESCRIPTORS_MAX);
		watched = &client->watched[client->count++];
		*watched = (struct watched){.fd = fd,
					    .id = skynet_socket_watch(client->w->service, fd)};
		assert_true(watched->id > 0);
		client->opened++;
	}
	if (!watched)
		return;
	watched->wanted = wanted;
	if (wanted != 0) {
		assert_int_equal(skynet_socket_rearm(client->w->service, watched->id, wanted), 0);
		return;
	}
	skynet_socket_close(client->w->service, watched->id);
	*watched = client->watched[--client->count];
}

static void
on_found(void *ud, int status, int timeouts, struct ares_addrinfo *found)
{
	struct client *client = ud;
	(void)timeouts;
	client->status = status;
	if (status != ARES_SUCCESS)
		return;
	const struct sockaddr_in *address = (const void *)found->nodes->ai_addr;
	assert_non_null(inet_ntop(AF_INET, &address->sin_addr, client->ip, sizeof client->ip));
	ares_freeaddrinfo(found);
}

static void
open_channel(struct client *client, int port)
{
	struct in_addr server = {.s_addr = htonl(INADDR_LOOPBACK)};
	static char lookups[] = "b"; /* the server only */
	struct ares_options options = {
		.servers = &server,
		.nservers = 1,
		.udp_port = (unsigned short)port, /* the library swaps the bytes */
		.tcp_port = (unsigned short)port,
		.lookups = lookups,
		.sock_state_cb = on_state,
		.sock_state_cb_data = client,
		.timeout = WORLD_DEADLINE_MS,
		.tries = 1,
	};
	int mask = ARES_OPT_SERVERS | ARES_OPT_UDP_PORT | ARES_OPT_TCP_PORT | ARES_OPT_LOOKUPS |
		   ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_DOMAINS;
	assert_int_equal(ares_init_options(&client->channel, &options, mask), ARES_SUCCESS);
}

/* What the service's callback does. */
static void
on_message(struct client *client, const struct told *told)
{
	struct watched *watched = find_watched(client, told->id, ARES_SOCKET_BAD);
	if (told->type != SKYNET_SOCKET_TYPE_READY || !watched)
		return; /* or it was closed since */
	ares_socket_t fd = watched->fd;
	bool is_in = told->ud & (SKYNET_SOCKET_READABLE | SKYNET_SOCKET_HANGUP);
	bool is_out = told->ud & SKYNET_SOCKET_WRITABLE;
	ares_process_fd(client->channel, is_in ? fd : ARES_SOCKET_BAD,
			is_out ? fd : ARES_SOCKET_BAD);
	watched = find_watched(client, told->id, ARES_SOCKET_BAD);
	if (watched)
		assert_int_equal(
			skynet_socket_rearm(client->w->service, watched->id, watched->wanted), 0);
}

static void
a_name_is_looked_up_by_a_library(void **state)
{
	struct world *w = *state;
	int descriptors = world_fd_count();
	struct server server = new_server();
	struct client client = {.w = w, .status = -1};
	struct ares_addrinfo_hints hints = {.ai_family = AF_INET};
	uint64_t deadline_ms = sk_clock_ms() + WORLD_DEADLINE_MS;
	open_channel(&client, server.port);
	ares_getaddrinfo(client.channel, "watched.test.", NULL, &hints, on_found, &client);
	while (client.status < 0) {
		assert_true(sk_clock_ms() < deadline_ms);
		serve_udp(&server);
		serve_tcp(w, &server);
		(void)world_poll(w, 1);
		struct told told = world_take(w->service);
		if (told.type != 0)
			on_message(&client, &told);
	}
	assert_int_equal(client.status, ARES_SUCCESS);
	assert_string_equal(client.ip, "1.2.3.4");
	assert_true(client.opened >= 2); /* one for UDP, one for TCP */
	ares_destroy(client.channel);
	assert_int_equal(client.count, 0);
	free_server(&server);
	assert_int_equal(sk_sockets_count(w->core.sockets), 0);
	assert_int_equal(world_fd_count(), descriptors);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(a_name_is_looked_up_by_a_library),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
