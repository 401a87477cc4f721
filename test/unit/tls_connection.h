/* tls_connection.h: TLS connections between the world's service and OpenSSL at the other end, and
 * what the service is told of them; for the tests of handshakes and of what follows. */
#ifndef TLS_CONNECTION_H
#define TLS_CONNECTION_H

#include "tls_world.h"

#include "sk_socket_tls.h"

static struct shelf shelf;
static char server_file[PATH_SIZE];
static SSL_CTX *client_context; /* of peers: trusts the shelf's authority */
static SSL_CTX *server_context; /* of peers: has the certificate for a.test and 127.0.0.1 */

static inline int
make_shelf(void **state)
{
	(void)state;
	shelf_init(&shelf);
	shelf_good(&shelf, "server", "DNS:a.test,IP:127.0.0.1", server_file);
	client_context = SSL_CTX_new(TLS_client_method());
	server_context = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_load_verify_file(client_context, shelf.authority_file), 1);
	SSL_CTX_set_verify(client_context, SSL_VERIFY_PEER, NULL);
	assert_int_equal(SSL_CTX_use_certificate_chain_file(server_context, server_file), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey_file(server_context, server_file, SSL_FILETYPE_PEM),
			 1);
	return 0;
}

static inline int
clear_shelf(void **state)
{
	(void)state;
	SSL_CTX_free(client_context);
	SSL_CTX_free(server_context);
	shelf_fini(&shelf);
	return 0;
}

/* --- connections --------------------------------------------------------------------------- */

static inline int
listen_tls(struct world *w, const struct skynet_tls_options *tls, int *port)
{
	const struct skynet_socket_options options = {.tls = tls};
	int id = skynet_socket_listen_with(w->service, "127.0.0.1", 0, 32, &options);
	if (id < 0)
		print_message("%s\n", w->log);
	assert_true(id > 0);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, id);
	*port = told.ud;
	skynet_socket_start(w->service, id);
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, id);
	return id;
}

/* A connection that was accepted and started; its handshake has not begun. */
static inline int
accept_tls(struct world *w, const struct skynet_tls_options *tls, int *fd)
{
	int port;
	int listener = listen_tls(w, tls, &port);
	*fd = world_client(port);
	int id = world_accept(w, listener);
	skynet_socket_start(w->service, id);
	skynet_socket_close(w->service, listener);
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CLOSE, listener);
	return id;
}

static const struct skynet_tls_options server_options = {.certificate = server_file};

/* A connection whose handshake is over. version: 0, or the one that the peer insists on. */
static inline int
open_pair(struct world *w, struct peer *peer, int version)
{
	int fd;
	int id = accept_tls(w, &server_options, &fd);
	peer_init(peer, client_context, fd, false);
	if (version != 0)
		assert_int_equal(SSL_set_max_proto_version(peer->ssl, version), 1);
	world_expect_nothing(w, w->service);
	assert_true(peer_shake(w, peer));
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, id);
	assert_string_equal(told.text, "start");
	return id;
}

static inline int
listen_plain(int *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	*port = ntohs(address.sin_port);
	return fd;
}

/* A connection that goes out; the peer has not begun its handshake. */
static inline int
connect_tls(struct world *w, const struct skynet_tls_options *tls, struct peer *peer,
	    SSL_CTX *context)
{
	int port;
	int listener = listen_plain(&port);
	const struct skynet_socket_options options = {.tls = tls};
	int id = skynet_socket_connect_with(w->service, "127.0.0.1", port, &options);
	if (id < 0)
		print_message("%s\n", w->log);
	assert_true(id > 0);
	int fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	(void)close(listener);
	peer_init(peer, context, fd, true);
	return id;
}

static inline void
expect_data(struct world *w, int id, const char *text)
{
	size_t size = strlen(text), have = 0;
	while (have < size) {
		struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_DATA, id);
		assert_true((size_t)told.ud <= size - have);
		assert_memory_equal(told.buffer, text + have, told.ud);
		have += (size_t)told.ud;
		world_done(w, &told);
	}
}

static inline void
expect_failure(struct world *w, int id, const char *reason, bool is_close_told)
{
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_ERROR, id);
	if (!strstr(told.text, reason))
		print_message("'%s', not '%s'\n", told.text, reason);
	assert_non_null(strstr(told.text, reason));
	if (is_close_told)
		(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CLOSE, id);
	world_expect_nothing(w, w->service);
	assert_int_equal(ERR_peek_error(), 0); /* S3 */
	assert_int_equal(world_send(w, id, "late"), -1);
}

/* The peer ends its stream without saying so (L3). */
static inline void
cut_off(struct world *w, struct peer *peer, int id)
{
	assert_int_equal(shutdown(peer->fd, SHUT_WR), 0);
	expect_failure(w, id, "cut off", true);
	peer_fini(peer);
}

#endif
