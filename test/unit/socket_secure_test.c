/* socket_secure_test.c: connections that go on in TLS, and the output of TLS connections, counted:
 * what was sent in the open leaves first, and whoever is told that much waits is told when nothing
 * waits any more. */
#include "tls_world.h"

#include "sk_socket_tls.h"

#include <sys/un.h>

static struct shelf shelf;
static char server_file[PATH_SIZE];
static const struct skynet_tls_options server_options = {.certificate = server_file};
static SSL_CTX *client_context; /* of peers */
static SSL_CTX *server_context;

enum { MUCH = 6 << 20 }; /* more than the kernel takes */

static int
make_shelf(void **state)
{
	(void)state;
	shelf_init(&shelf);
	shelf_good(&shelf, "server", "DNS:a.test", server_file);
	client_context = SSL_CTX_new(TLS_client_method());
	server_context = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_use_certificate_chain_file(server_context, server_file), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey_file(server_context, server_file, SSL_FILETYPE_PEM),
			 1);
	return 0;
}

static int
clear_shelf(void **state)
{
	(void)state;
	SSL_CTX_free(client_context);
	SSL_CTX_free(server_context);
	shelf_fini(&shelf);
	return 0;
}

/* --- helpers ------------------------------------------------------------------------------- */

/* The next message that is no warning. last_kib: what the last warning before it said; -1: none. */
static struct told
skip_warnings(struct world *w, int *last_kib)
{
	*last_kib = -1;
	for (;;) {
		struct told told = world_wait(w, w->service);
		if (told.type != SKYNET_SOCKET_TYPE_WARNING)
			return told;
		*last_kib = told.ud;
	}
}

static void
expect_connect(struct world *w, int id, const char *text)
{
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, id);
	assert_string_equal(told.text, text);
}

static void
expect_pattern(struct world *w, int fd)
{
	char *bytes = malloc(MUCH);
	assert_int_equal(world_receive(w, fd, bytes, MUCH), MUCH);
	for (size_t i = 0; i < MUCH; i += 4093)
		assert_int_equal(bytes[i], world_pattern(i));
	free(bytes);
}

static int64_t
total_steps(const struct world *w)
{
	return atomic_load(&w->core.sockets->waiting_steps);
}

static void
finish(struct world *w, struct peer *peer, int id)
{
	int last_kib;
	skynet_socket_shutdown(w->service, id);
	struct told told = skip_warnings(w, &last_kib);
	assert_int_equal(told.type, SKYNET_SOCKET_TYPE_CLOSE);
	peer_fini(peer);
}

/* --- beginning later ----------------------------------------------------------------------- */

static void
a_server_may_begin_tls_later(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	struct peer peer;
	assert_int_equal(write(pair.fd, "STARTTLS", 8), 8);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_DATA, pair.id);
	world_begin_turn(w);
	assert_int_equal(world_send(w, pair.id, "go ahead"), 0);
	assert_int_equal(skynet_socket_secure(w->service, pair.id, &server_options, 1), 0);
	assert_int_equal(world_send(w, pair.id, "secret"), 0);
	world_end_turn(w);
	world_done(w, &told);
	world_expect_bytes(w, pair.fd, "go ahead");
	peer_init(&peer, client_context, pair.fd, false);
	assert_true(peer_shake(w, &peer));
	expect_connect(w, pair.id, "secure");
	peer_expect(w, &peer, "secret");
	assert_int_equal(skynet_socket_secure(w->service, pair.id, &server_options, 1), -1);
	assert_non_null(strstr(w->log, "no open connection without TLS"));
	finish(w, &peer, pair.id);
}

static void
a_client_may_begin_tls_later(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	struct peer peer;
	const struct skynet_tls_options nobody = {.authorities = shelf.authority_file};
	const struct skynet_tls_options options = {.authorities = shelf.authority_file,
						   .server_name = "a.test"};
	assert_int_equal(skynet_socket_secure(w->service, pair.id, &nobody, 0), -1);
	assert_non_null(strstr(w->log, "server_name"));
	assert_int_equal(skynet_socket_secure(w->service, pair.id, &options, 0), 0);
	peer_init(&peer, server_context, pair.fd, true);
	assert_true(peer_shake(w, &peer));
	expect_connect(w, pair.id, "secure");
	finish(w, &peer, pair.id);
}

/* The kernel is full: what was sent in the open leaves first, all of it, and is told to have left;
 * it counts for the limits as long as it waits. */
static void
much_may_wait_in_the_open_before_tls(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	struct peer peer;
	int last_kib;
	assert_int_equal(world_send_pattern(w, pair.id, 0, MUCH), 0);
	assert_int_equal(skynet_socket_secure(w->service, pair.id, &server_options, 1), 0);
	assert_true(total_steps(w) > 0);
	expect_pattern(w, pair.fd);
	peer_init(&peer, client_context, pair.fd, false);
	assert_true(peer_shake(w, &peer));
	struct told told = skip_warnings(w, &last_kib);
	assert_int_equal(told.type, SKYNET_SOCKET_TYPE_CONNECT);
	assert_int_equal(last_kib, 0);
	assert_int_equal(total_steps(w), 0);
	finish(w, &peer, pair.id);
}

static void
what_waits_in_the_open_counts_for_the_limit(void **state)
{
	static const char *const settings[] = {"socket_output_limit", "8388608", NULL};
	(void)state;
	struct world *w = world_new(settings);
	struct pair pair = world_pair(w);
	int last_kib;
	assert_int_equal(world_send_pattern(w, pair.id, 0, 2 * (size_t)MUCH), 0);
	assert_int_equal(skynet_socket_secure(w->service, pair.id, &server_options, 1), 0);
	assert_int_equal(world_send_pattern(w, pair.id, 0, MUCH), -1);
	struct told told = skip_warnings(w, &last_kib);
	assert_int_equal(told.type, SKYNET_SOCKET_TYPE_ERROR);
	assert_non_null(strstr(told.text, "socket_output_limit"));
	assert_int_equal(total_steps(w), 0);
	(void)close(pair.fd);
	world_free(w);
}

static void
an_accepted_connection_may_get_tls_before_its_start(void **state)
{
	struct world *w = *state;
	struct peer peer;
	int port;
	int listener = world_listen(w, &port);
	int fd = world_client(port);
	int id = world_accept(w, listener);
	assert_int_equal(skynet_socket_secure(w->service, id, &server_options, 1), 0);
	skynet_socket_start(w->service, id);
	peer_init(&peer, client_context, fd, false);
	assert_true(peer_shake(w, &peer));
	expect_connect(w, id, "start");
	/* What is no connection, or none any more, cannot. */
	assert_int_equal(skynet_socket_secure(w->service, listener, &server_options, 1), -1);
	assert_int_equal(skynet_socket_secure(w->service, 99999, &server_options, 1), -1);
	finish(w, &peer, id);
}

/* Before its start, the socket is watched for room. That room is not for TLS. */
static void
room_before_the_start_begins_no_tls(void **state)
{
	struct world *w = *state;
	struct peer peer;
	int port;
	int last_kib;
	int listener = world_listen(w, &port);
	int fd = world_client(port);
	int id = world_accept(w, listener);
	char *bytes = malloc(MUCH);
	assert_int_equal(world_send_pattern(w, id, 0, MUCH), 0);
	assert_int_equal(skynet_socket_secure(w->service, id, &server_options, 1), 0);
	assert_int_equal(world_send(w, id, "secret"), 0);
	size_t early = 0;
	for (ssize_t n; (n = recv(fd, bytes + early, MUCH - early, MSG_DONTWAIT)) > 0;) {
		early += (size_t)n;
		world_settle(w);
	}
	assert_int_equal(world_send(w, id, " words"), 0);
	skynet_socket_start(w->service, id);
	assert_int_equal(world_receive(w, fd, bytes + early, MUCH - early), MUCH - early);
	for (size_t i = 0; i < MUCH; i += 4093)
		assert_int_equal(bytes[i], world_pattern(i));
	free(bytes);
	peer_init(&peer, client_context, fd, false);
	assert_true(peer_shake(w, &peer));
	struct told told = skip_warnings(w, &last_kib);
	assert_int_equal(told.type, SKYNET_SOCKET_TYPE_CONNECT);
	peer_expect(w, &peer, "secret words");
	finish(w, &peer, id);
}

/* --- output that leaves while something is read --------------------------------------------- */

/* A connection whose handshake is over. */
static int
open_pair(struct world *w, struct peer *peer)
{
	struct pair pair = world_pair(w);
	assert_int_equal(skynet_socket_secure(w->service, pair.id, &server_options, 1), 0);
	peer_init(peer, client_context, pair.fd, false);
	assert_true(peer_shake(w, peer));
	expect_connect(w, pair.id, "secure");
	return pair.id;
}

static void
set_kernel_room(struct world *w, int id, int bytes)
{
	struct sk_socket *s = sk_socket_enter(w->core.sockets, id);
	assert_non_null(s);
	assert_int_equal(setsockopt(s->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes), 0);
	sk_socket_leave(w->core.sockets, s);
}

/* What waits unsealed, and sealed. */
static size_t
waiting(struct world *w, int id, size_t *sealed)
{
	struct sk_socket *s = sk_socket_enter(w->core.sockets, id);
	assert_non_null(s);
	size_t bytes = s->output.bytes;
	*sealed = sk_tls_unsent_bytes(s->tls->session);
	sk_socket_leave(w->core.sockets, s);
	return bytes;
}

static void
drain(int fd)
{
	static char bytes[1 << 16];
	while (recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
		;
}

/* The last sealed bytes leave behind an answer that reading sends, not by the edge: that nothing
 * waits is told all the same. */
static void
what_leaves_while_reading_is_told_too(void **state)
{
	struct world *w = *state;
	struct peer peer;
	size_t sealed;
	int last_kib;
	int id = open_pair(w, &peer);
	peer_write(w, &peer, "one", 3);
	struct told one = world_expect(w, w->service, SKYNET_SOCKET_TYPE_DATA, id);
	peer_write(w, &peer, "two", 3);
	world_settle(w); /* it is not read before the first was consumed */
	set_kernel_room(w, id, 4096);
	assert_int_equal(world_send_pattern(w, id, 0, MUCH), 0);
	while (waiting(w, id, &sealed) > 0) {
		drain(peer.fd);
		(void)world_poll(w, 10);
	}
	assert_true(sealed > 0);
	set_kernel_room(w, id, 1 << 17);
	drain(peer.fd);
	world_done(w, &one); /* reads */
	assert_int_equal(waiting(w, id, &sealed), 0);
	assert_int_equal(sealed, 0);
	struct told two = skip_warnings(w, &last_kib);
	assert_int_equal(two.type, SKYNET_SOCKET_TYPE_DATA);
	world_done(w, &two);
	world_settle(w);
	if (last_kib != 0)
		last_kib = world_expect(w, w->service, SKYNET_SOCKET_TYPE_WARNING, id).ud;
	assert_int_equal(last_kib, 0);
	assert_int_equal(total_steps(w), 0);
	finish(w, &peer, id);
}

/* Sends bytes with a descriptor, which the receiver does not want. */
static void
send_with_descriptor(int fd, char *bytes, size_t size)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof fd)];
	} control = {.head = {.cmsg_len = CMSG_LEN(sizeof fd),
			      .cmsg_level = SOL_SOCKET,
			      .cmsg_type = SCM_RIGHTS}};
	struct iovec vector = {.iov_base = bytes, .iov_len = size};
	struct msghdr message = {.msg_iov = &vector,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof control};
	memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
	assert_int_equal(sendmsg(fd, &message, 0), size);
}

/* A read of a Unix-domain socket stops behind bytes that came with a descriptor, though there are
 * more: those are read too. */
static void
a_short_read_of_a_unix_socket_is_not_the_last(void **state)
{
	struct world *w = *state;
	struct peer peer;
	char path[PATH_SIZE];
	char sealed[1024];
	const struct skynet_socket_options options = {.tls = &server_options};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	(void)snprintf(path, sizeof path, "unix:%s/short", shelf.folder);
	int listener = skynet_socket_listen_with(w->service, path, 0, 0, &options);
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, listener);
	world_start(w, w->service, listener, "start");
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s/short", shelf.folder);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	int id = world_accept(w, listener);
	skynet_socket_start(w->service, id);
	peer_init(&peer, client_context, fd, false);
	assert_true(peer_shake(w, &peer));
	expect_connect(w, id, "start");
	world_settle(w);
	assert_int_equal(SSL_write(peer.ssl, "in two pieces", 13), 13);
	int size = BIO_read(peer.out, sealed, sizeof sealed);
	assert_true(size > 10);
	send_with_descriptor(fd, sealed, 10);
	assert_int_equal(send(fd, sealed + 10, (size_t)size - 10, 0), size - 10);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_DATA, id);
	assert_int_equal(told.ud, 13);
	world_done(w, &told);
	finish(w, &peer, id);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(a_server_may_begin_tls_later),
		world_test(a_client_may_begin_tls_later),
		world_test(much_may_wait_in_the_open_before_tls),
		cmocka_unit_test(what_waits_in_the_open_counts_for_the_limit),
		world_test(an_accepted_connection_may_get_tls_before_its_start),
		world_test(room_before_the_start_begins_no_tls),
		world_test(what_leaves_while_reading_is_told_too),
		world_test(a_short_read_of_a_unix_socket_is_not_the_last),
	};
	return cmocka_run_group_tests(tests, make_shelf, clear_shelf);
}
