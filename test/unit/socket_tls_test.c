/* socket_tls_test.c: TLS connections, from the service's point of view: what is told, when, and
 * how often, with OpenSSL at the other end; how handshakes go and fail; what leaves, and how it
 * ends. */
#include "tls_world.h"

#include "sk_socket_tls.h"

static struct shelf shelf;
static char server_file[PATH_SIZE];
static SSL_CTX *client_context; /* of peers: trusts the shelf's authority */
static SSL_CTX *server_context; /* of peers: has the certificate for a.test and 127.0.0.1 */

static int
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

static int
clear_shelf(void **state)
{
	(void)state;
	SSL_CTX_free(client_context);
	SSL_CTX_free(server_context);
	shelf_fini(&shelf);
	return 0;
}

/* --- connections --------------------------------------------------------------------------- */

static int
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
static int
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
static int
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

static int
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
static int
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

static void
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

static void
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
static void
cut_off(struct world *w, struct peer *peer, int id)
{
	assert_int_equal(shutdown(peer->fd, SHUT_WR), 0);
	expect_failure(w, id, "cut off", true);
	peer_fini(peer);
}

/* --- handshakes ---------------------------------------------------------------------------- */

static void
both_versions_carry_data_both_ways(void **state)
{
	struct world *w = *state;
	const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	for (int i = 0; i < 2; i++) {
		struct peer peer;
		struct skynet_tls_info info;
		int id = open_pair(w, &peer, versions[i]);
		peer_write(w, &peer, "hello", 5);
		expect_data(w, id, "hello");
		assert_int_equal(world_send(w, id, "and back"), 0);
		peer_expect(w, &peer, "and back");
		assert_int_equal(skynet_socket_tls_info(w->service, id, &info), 0);
		assert_string_equal(info.version, i == 0 ? "TLSv1.2" : "TLSv1.3");
		assert_string_equal(info.cipher, SSL_get_cipher_name(peer.ssl));
		assert_string_equal(info.subject, "");
		assert_string_equal(info.server_name, "");
		assert_int_equal(info.is_verified, 0);
		cut_off(w, &peer, id);
		assert_int_equal(skynet_socket_tls_info(w->service, id, &info), -1);
	}
}

static void
a_client_verifies_the_address_and_tells_connect_after_the_handshake(void **state)
{
	struct world *w = *state;
	struct peer peer;
	struct skynet_tls_info info;
	const struct skynet_tls_options options = {.authorities = shelf.authority_file};
	int id = connect_tls(w, &options, &peer, server_context);
	assert_int_equal(world_send(w, id, "early"), 0); /* waits (L1) */
	world_expect_nothing(w, w->service);
	assert_int_equal(skynet_socket_tls_info(w->service, id, &info), -1);
	assert_true(peer_shake(w, &peer));
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, id);
	assert_string_equal(told.text, "127.0.0.1");
	peer_expect(w, &peer, "early");
	assert_int_equal(skynet_socket_tls_info(w->service, id, &info), 0);
	assert_int_equal(info.is_verified, 1);
	assert_string_equal(info.subject, "CN=server");
	assert_string_equal(info.problem, "");
	skynet_socket_close(w->service, id);
	peer_expect_end(w, &peer);
	peer_fini(&peer);
}

static void
a_name_to_verify_may_be_given_and_is_asked_for(void **state)
{
	struct world *w = *state;
	struct peer peer;
	const struct skynet_tls_options options = {.authorities = shelf.authority_file,
						   .server_name = "a.test"};
	int id = connect_tls(w, &options, &peer, server_context);
	assert_true(peer_shake(w, &peer));
	assert_string_equal(SSL_get_servername(peer.ssl, TLSEXT_NAMETYPE_host_name), "a.test");
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, id);
	cut_off(w, &peer, id);
}

/* Connects to a server with that certificate, expecting to be refused. */
static void
refuse_server(struct world *w, const char *file, const struct skynet_tls_options *options,
	      const char *reason)
{
	struct peer peer;
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_use_certificate_chain_file(context, file), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey_file(context, file, SSL_FILETYPE_PEM), 1);
	int count = sk_sockets_count(w->core.sockets);
	int id = connect_tls(w, options, &peer, context);
	(void)peer_shake(w, &peer);
	expect_failure(w, id, reason, false);
	/* The server was told by an alert. */
	assert_int_equal(ERR_GET_LIB(peer.error), ERR_LIB_SSL);
	assert_int_equal(sk_sockets_count(w->core.sockets), count);
	peer_fini(&peer);
	SSL_CTX_free(context);
}

static void
servers_that_prove_nothing_are_refused(void **state)
{
	struct world *w = *state;
	char file[PATH_SIZE];
	const struct skynet_tls_options options = {.authorities = shelf.authority_file};
	const struct skynet_tls_options other_name = {.authorities = shelf.authority_file,
						      .server_name = "b.test"};
	const struct skynet_tls_options of_system = {0};
	const struct wish expired = {.name = "old",
				     .alternatives = "IP:127.0.0.1",
				     .signer = &shelf.authority,
				     .is_expired = true};
	const struct wish strange = {
		.name = "strange", .alternatives = "IP:127.0.0.1", .signer = &shelf.stranger};
	const struct wish alone = {.name = "alone", .alternatives = "IP:127.0.0.1"};
	shelf_add(&shelf, "old", &expired, file);
	refuse_server(w, file, &options, "certificate has expired");
	shelf_add(&shelf, "strange", &strange, file);
	refuse_server(w, file, &options, "unable to get local issuer certificate");
	shelf_add(&shelf, "alone", &alone, file);
	refuse_server(w, file, &options, "self-signed certificate");
	refuse_server(w, server_file, &other_name, "hostname mismatch");
	refuse_server(w, server_file, &of_system, "refused: ");
	shelf_good(&shelf, "elsewhere", "DNS:a.test,IP:127.0.0.2", file);
	refuse_server(w, file, &options, "IP address mismatch");
}

static void
verification_may_be_left_out_or_only_told(void **state)
{
	struct world *w = *state;
	const int ways[] = {SKYNET_TLS_VERIFY_NONE, SKYNET_TLS_VERIFY_OPTIONAL};
	for (int i = 0; i < 2; i++) {
		struct peer peer;
		struct skynet_tls_info info;
		const struct skynet_tls_options options = {.authorities = shelf.stranger_file,
							   .verify = ways[i]};
		int id = connect_tls(w, &options, &peer, server_context);
		assert_true(peer_shake(w, &peer));
		(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, id);
		assert_int_equal(skynet_socket_tls_info(w->service, id, &info), 0);
		assert_int_equal(info.is_verified, 0);
		assert_string_equal(info.subject, "CN=server");
		assert_true((info.problem[0] != '\0') == (ways[i] == SKYNET_TLS_VERIFY_OPTIONAL));
		cut_off(w, &peer, id);
	}
}

/* Shakes hands as a client with that certificate, or none, at a server that looks at it. Returns
 * the id. */
static int
come_as(struct world *w, const char *file, int verify, struct peer *peer)
{
	int fd;
	const struct skynet_tls_options options = {
		.certificate = server_file, .authorities = shelf.authority_file, .verify = verify};
	int id = accept_tls(w, &options, &fd);
	peer_init(peer, client_context, fd, false);
	if (file) {
		assert_int_equal(SSL_use_certificate_chain_file(peer->ssl, file), 1);
		assert_int_equal(SSL_use_PrivateKey_file(peer->ssl, file, SSL_FILETYPE_PEM), 1);
	}
	(void)peer_shake(w, peer);
	return id;
}

static void
clients_may_have_to_prove_who_they_are(void **state)
{
	struct world *w = *state;
	struct peer peer;
	struct skynet_tls_info info;
	char good[PATH_SIZE], bad[PATH_SIZE];
	const struct wish strange = {.name = "mallory", .signer = &shelf.stranger};
	shelf_good(&shelf, "alice", NULL, good);
	shelf_add(&shelf, "mallory", &strange, bad);
	int id = come_as(w, NULL, 0, &peer); /* authorities are given: required */
	expect_failure(w, id, "did not return a certificate", true);
	peer_fini(&peer);
	id = come_as(w, bad, SKYNET_TLS_VERIFY_REQUIRED, &peer);
	expect_failure(w, id, "the peer's certificate is refused", true);
	peer_fini(&peer);
	id = come_as(w, bad, SKYNET_TLS_VERIFY_OPTIONAL, &peer);
	expect_failure(w, id, "the peer's certificate is refused", true);
	peer_fini(&peer);
	id = come_as(w, good, 0, &peer);
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, id);
	assert_int_equal(skynet_socket_tls_info(w->service, id, &info), 0);
	assert_int_equal(info.is_verified, 1);
	assert_string_equal(info.subject, "CN=alice");
	cut_off(w, &peer, id);
	id = come_as(w, NULL, SKYNET_TLS_VERIFY_OPTIONAL, &peer);
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, id);
	assert_int_equal(skynet_socket_tls_info(w->service, id, &info), 0);
	assert_int_equal(info.is_verified, 0);
	cut_off(w, &peer, id);
}

/* Sends its certificate in answer to the request of a server. */
static void
a_client_shows_its_certificate(void **state)
{
	struct world *w = *state;
	struct peer peer;
	char file[PATH_SIZE];
	shelf_good(&shelf, "bob", NULL, file);
	const struct skynet_tls_options options = {.authorities = shelf.authority_file,
						   .certificate = file};
	int id = connect_tls(w, &options, &peer, server_context);
	SSL_set_verify(peer.ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	X509_STORE *store = X509_STORE_new();
	assert_int_equal(X509_STORE_add_cert(store, shelf.authority.certificate), 1);
	assert_int_equal(SSL_set1_verify_cert_store(peer.ssl, store), 1);
	X509_STORE_free(store);
	assert_true(peer_shake(w, &peer));
	assert_int_equal(SSL_get_verify_result(peer.ssl), X509_V_OK);
	assert_non_null(SSL_get0_peer_certificate(peer.ssl));
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, id);
	cut_off(w, &peer, id);
}

static void
expect_certificate(struct world *w, const struct skynet_tls_options *options, const char *name,
		   const char *subject)
{
	struct peer peer;
	int fd;
	char text[64];
	struct skynet_tls_info info;
	int id = accept_tls(w, options, &fd);
	peer_init(&peer, client_context, fd, false);
	if (name)
		assert_int_equal(SSL_set_tlsext_host_name(peer.ssl, name), 1);
	assert_true(peer_shake(w, &peer));
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, id);
	assert_int_equal(skynet_socket_tls_info(w->service, id, &info), 0);
	assert_string_equal(info.server_name, name ? name : "");
	assert_true(X509_NAME_get_text_by_NID(
			    X509_get_subject_name(SSL_get0_peer_certificate(peer.ssl)),
			    NID_commonName, text, sizeof text) > 0);
	assert_string_equal(text, subject);
	cut_off(w, &peer, id);
}

static void
the_name_that_is_asked_for_chooses_the_certificate(void **state)
{
	struct world *w = *state;
	char b[PATH_SIZE], c[PATH_SIZE], all[3 * PATH_SIZE];
	shelf_good(&shelf, "b", "DNS:b.test", b);
	shelf_good(&shelf, "c", "DNS:*.c.test", c);
	(void)snprintf(all, sizeof all, "%s,%s,%s", server_file, b, c);
	const struct skynet_tls_options options = {.certificate = all};
	expect_certificate(w, &options, "b.test", "b");
	expect_certificate(w, &options, "x.c.test", "c");
	expect_certificate(w, &options, "a.test", "server");
	expect_certificate(w, &options, "unknown.test", "server");
	expect_certificate(w, &options, NULL, "server");
}

static void
the_server_chooses_the_protocol(void **state)
{
	struct world *w = *state;
	struct peer peer;
	struct skynet_tls_info info;
	int fd;
	const struct skynet_tls_options options = {.certificate = server_file,
						   .alpn = "h2,http/1.1"};
	int id = accept_tls(w, &options, &fd);
	peer_init(&peer, client_context, fd, false);
	assert_int_equal(
		SSL_set_alpn_protos(peer.ssl, (const unsigned char *)"\x08http/1.1\x02h2", 12), 0);
	assert_true(peer_shake(w, &peer));
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, id);
	assert_int_equal(skynet_socket_tls_info(w->service, id, &info), 0);
	assert_string_equal(info.alpn, "h2");
	cut_off(w, &peer, id);
	id = accept_tls(w, &options, &fd);
	peer_init(&peer, client_context, fd, false);
	assert_int_equal(SSL_set_alpn_protos(peer.ssl, (const unsigned char *)"\x04none", 5), 0);
	assert_false(peer_shake(w, &peer));
	expect_failure(w, id, "no application protocol", true);
	peer_fini(&peer);
}

static void
a_server_may_insist_on_the_newest_version(void **state)
{
	struct world *w = *state;
	struct peer peer;
	int fd;
	const struct skynet_tls_options options = {.certificate = server_file,
						   .minimum_version = "1.3"};
	int id = accept_tls(w, &options, &fd);
	peer_init(&peer, client_context, fd, false);
	assert_int_equal(SSL_set_max_proto_version(peer.ssl, TLS1_2_VERSION), 1);
	assert_false(peer_shake(w, &peer));
	expect_failure(w, id, "unsupported protocol", true);
	peer_fini(&peer);
}

/* --- handshakes in pieces ------------------------------------------------------------------ */

static void
a_handshake_may_come_byte_by_byte(void **state)
{
	struct world *w = *state;
	for (int role = 0; role < 2; role++) {
		struct peer peer;
		int fd, id;
		const struct skynet_tls_options options = {.authorities = shelf.authority_file};
		if (role == 0) {
			id = accept_tls(w, &server_options, &fd);
			peer_init(&peer, client_context, fd, false);
		} else {
			id = connect_tls(w, &options, &peer, server_context);
		}
		peer.chunk = 1;
		assert_true(peer_shake(w, &peer));
		(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, id);
		peer_write(w, &peer, "in pieces", 9);
		expect_data(w, id, "in pieces");
		cut_off(w, &peer, id);
	}
}

/* Every prefix of the peer's bytes, then the end of its stream; and every prefix, then the rest. */
static void
a_handshake_may_stop_and_break_anywhere(void **state)
{
	struct world *w = *state;
	size_t whole = 0;
	int base = world_fd_count(), count = sk_sockets_count(w->core.sockets);
	for (size_t cut = 1; whole == 0 || cut < whole; cut++) {
		struct peer peer;
		int fd;
		int id = accept_tls(w, &server_options, &fd);
		peer_init(&peer, client_context, fd, false);
		peer.hold = cut;
		ERR_clear_error();
		(void)SSL_do_handshake(peer.ssl);
		peer_pump(w, &peer);
		if (peer.sent == cut && cut % 2 == 0) { /* the end, here */
			peer_fini(&peer);
			expect_failure(w, id, "", true);
			continue;
		}
		while (peer.sent < cut && SSL_do_handshake(peer.ssl) != 1)
			peer_pump(w, &peer);
		peer_push(w, &peer);
		peer.hold = 0;
		assert_true(peer_shake(w, &peer));
		if (whole == 0 && cut > 1)
			whole = peer.sent;
		(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, id);
		cut_off(w, &peer, id);
	}
	assert_int_equal(world_fd_count(), base);
	assert_int_equal(sk_sockets_count(w->core.sockets), count);
}

/* Data that comes right behind the handshake, in the same read, is not lost. */
static void
data_may_follow_the_handshake_at_once(void **state)
{
	struct world *w = *state;
	struct peer peer;
	int fd;
	int id = accept_tls(w, &server_options, &fd);
	peer_init(&peer, client_context, fd, false);
	(void)SSL_do_handshake(peer.ssl);
	peer_push(w, &peer);
	while (!peer_pull(&peer))
		world_settle(w);
	assert_int_equal(SSL_do_handshake(peer.ssl), 1);
	assert_int_equal(SSL_write(peer.ssl, "at once", 7), 7);
	peer_push(w, &peer);
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, id);
	expect_data(w, id, "at once");
	cut_off(w, &peer, id);
}

/* --- peers that do not shake hands --------------------------------------------------------- */

static void
nonsense_is_refused_with_a_reason(void **state)
{
	struct world *w = *state;
	static const char *const texts[] = {"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
					    "\x16\x03\x01\x7f\xffnonsense", "SSH-2.0-x\r\n",
					    "\x16\x03\x01\x00\x04\x01\x00\x00\x00"};
	int base = world_fd_count(), count = sk_sockets_count(w->core.sockets);
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		int fd;
		size_t size = i == 3 ? 9 : strlen(texts[i]);
		int id = accept_tls(w, &server_options, &fd);
		assert_int_equal(write(fd, texts[i], size), size);
		expect_failure(w, id, i == 0 ? "TLS: http request" : "TLS: ", true);
		(void)close(fd);
	}
	assert_int_equal(world_fd_count(), base);
	assert_int_equal(sk_sockets_count(w->core.sockets), count);
}

static void
silence_is_given_up_after_the_deadline(void **state)
{
	struct world *w = *state;
	struct peer peer;
	int fd;
	int id = accept_tls(w, &server_options, &fd);
	assert_int_equal(world_expire(w, 9000), 0);
	world_expect_nothing(w, w->service);
	assert_int_equal(world_expire(w, 11000), 1);
	expect_failure(w, id, "no handshake within 10 s", true);
	(void)close(fd);
	id = open_pair(w, &peer, 0);
	assert_int_equal(world_expire(w, 90000), 0); /* it was in time */
	cut_off(w, &peer, id);
}

static void
a_server_that_is_silent_costs_an_error_only(void **state)
{
	struct world *w = *state;
	struct peer peer;
	const struct skynet_tls_options options = {.authorities = shelf.authority_file};
	int id = connect_tls(w, &options, &peer, server_context);
	world_expect_nothing(w, w->service);
	assert_int_equal(world_expire(w, 11000), 1);
	expect_failure(w, id, "no handshake within 10 s", false);
	peer_fini(&peer);
	id = connect_tls(w, &options, &peer, server_context);
	world_expect_nothing(w, w->service);
	peer_fini(&peer);
	expect_failure(w, id, "", false);
}

static void
ten_thousand_failures_leave_nothing_behind(void **state)
{
	struct world *w = *state;
	int port;
	int listener = listen_tls(w, &server_options, &port);
	int base = world_fd_count(), count = sk_sockets_count(w->core.sockets);
	for (int i = 0; i < 10000; i++) {
		int fd = world_client(port);
		int id = world_accept(w, listener);
		skynet_socket_start(w->service, id);
		if (i % 3 == 0)
			assert_int_equal(write(fd, "GET /", 5), 5);
		if (i % 3 == 1)
			assert_int_equal(write(fd, "\x16\x03\x01", 3), 3);
		(void)close(fd);
		(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_ERROR, id);
		(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CLOSE, id);
	}
	assert_int_equal(world_fd_count(), base);
	assert_int_equal(sk_sockets_count(w->core.sockets), count);
	assert_int_equal(sk_timer_count(w->core.scheduler.timer), 0);
}

static void
a_handshake_may_be_closed_shut_down_and_orphaned(void **state)
{
	struct world *w = *state;
	int base = world_fd_count(), count = sk_sockets_count(w->core.sockets);
	for (int way = 0; way < 3; way++) {
		int fd;
		int id = accept_tls(w, &server_options, &fd);
		assert_int_equal(world_send(w, id, "never"), 0);
		if (way == 0)
			skynet_socket_close(w->service, id);
		else if (way == 1)
			skynet_socket_shutdown(w->service, id);
		else
			sk_sockets_release_owner(w->core.sockets, w->service->handle);
		if (way < 2)
			(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CLOSE, id);
		world_expect_nothing(w, w->service);
		world_expect_end(w, fd);
		(void)close(fd);
	}
	assert_int_equal(world_fd_count(), base);
	assert_int_equal(sk_sockets_count(w->core.sockets), count);
	assert_int_equal(sk_timer_count(w->core.scheduler.timer), 0);
}

static void
another_service_may_take_over_during_the_handshake(void **state)
{
	struct world *w = *state;
	struct peer peer;
	int fd;
	int id = accept_tls(w, &server_options, &fd);
	skynet_socket_start(w->other, id);
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_TAKEN, id);
	peer_init(&peer, client_context, fd, false);
	assert_true(peer_shake(w, &peer));
	struct told told = world_expect(w, w->other, SKYNET_SOCKET_TYPE_CONNECT, id);
	assert_string_equal(told.text, "start");
	world_expect_nothing(w, w->service);
	skynet_socket_start(w->service, id);
	(void)world_expect(w, w->other, SKYNET_SOCKET_TYPE_TAKEN, id);
	told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, id);
	assert_string_equal(told.text, "transfer");
	cut_off(w, &peer, id);
}

/* --- data ---------------------------------------------------------------------------------- */

/* R1 holds for bytes in the open. */
static void
a_slow_service_has_one_chunk_at_a_time(void **state)
{
	struct world *w = *state;
	struct peer peer;
	int id = open_pair(w, &peer, 0);
	peer_write(w, &peer, "one", 3);
	struct told first = world_expect(w, w->service, SKYNET_SOCKET_TYPE_DATA, id);
	peer_write(w, &peer, "two", 3);
	peer_write(w, &peer, "three", 5);
	world_expect_nothing(w, w->service);
	world_done(w, &first);
	struct told second = world_expect(w, w->service, SKYNET_SOCKET_TYPE_DATA, id);
	assert_int_equal(second.ud, 8);
	assert_memory_equal(second.buffer, "twothree", 8);
	skynet_socket_pause(w->service, id);
	world_done(w, &second);
	peer_write(w, &peer, "four", 4);
	world_expect_nothing(w, w->service);
	world_start(w, w->service, id, "start");
	expect_data(w, id, "four");
	cut_off(w, &peer, id);
}

static void
a_record_may_come_in_any_pieces(void **state)
{
	struct world *w = *state;
	struct peer peer;
	static char big[40000], got[40000];
	int id = open_pair(w, &peer, 0);
	for (size_t i = 0; i < sizeof big; i++)
		big[i] = world_pattern(i);
	for (size_t cut = 1; cut < 40; cut++) { /* a record of 22 bytes more than its 9 */
		peer.hold = peer.sent + cut;
		peer_write(w, &peer, "any piece", 9);
		peer.hold = 0;
		peer_push(w, &peer);
		expect_data(w, id, "any piece");
	}
	peer.chunk = 1000;
	peer_write(w, &peer, big, sizeof big);
	for (size_t have = 0; have < sizeof big;) {
		struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_DATA, id);
		memcpy(got + have, told.buffer, (size_t)told.ud);
		have += (size_t)told.ud;
		world_done(w, &told);
	}
	assert_memory_equal(got, big, sizeof big);
	cut_off(w, &peer, id);
}

/* What waits in the kernel when it is read fills the buffers to the brim. */
static void
much_at_once_arrives_whole(void **state)
{
	struct world *w = *state;
	struct peer peer;
	const size_t size = (size_t)3 << 20;
	char *bytes = malloc(size);
	int id = open_pair(w, &peer, 0);
	for (size_t i = 0; i < size; i++)
		bytes[i] = world_pattern(i);
	assert_int_equal(SSL_write(peer.ssl, bytes, (int)size), size);
	for (size_t have = 0; have < size;) {
		char *sealed;
		char part[65536];
		long left = BIO_get_mem_data(peer.out, &sealed);
		ssize_t sent = left > 0 ? send(peer.fd, sealed, (size_t)left, MSG_DONTWAIT) : 0;
		while (sent > 0) {
			int step = sent > (ssize_t)sizeof part ? (int)sizeof part : (int)sent;
			sent -= BIO_read(peer.out, part, step);
		}
		struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_DATA, id);
		assert_true(told.ud <= SK_SOCKET_READ_BYTES);
		assert_memory_equal(told.buffer, bytes + have, told.ud);
		have += (size_t)told.ud;
		world_done(w, &told);
	}
	free(bytes);
	cut_off(w, &peer, id);
}

/* How many records these sealed bytes are. */
static int
count_records(const unsigned char *bytes, size_t size)
{
	int count = 0;
	for (size_t at = 0; at + 5 <= size; count++)
		at += 5 + (size_t)(bytes[at + 3] << 8 | bytes[at + 4]);
	return count;
}

static void
what_is_sent_in_a_turn_leaves_as_one_record(void **state)
{
	struct world *w = *state;
	struct peer peer;
	unsigned char sealed[4096];
	char text[400];
	int id = open_pair(w, &peer, 0);
	world_settle(w);
	while (peer_pull(&peer)) /* tickets */
		;
	assert_int_equal(peer_read(w, &peer, text, 0), 0);
	world_begin_turn(w);
	for (int i = 0; i < 100; i++)
		assert_int_equal(world_send(w, id, "bits"), 0);
	assert_int_equal(recv(peer.fd, sealed, sizeof sealed, MSG_DONTWAIT), -1);
	world_end_turn(w);
	ssize_t size = recv(peer.fd, sealed, sizeof sealed, 0);
	assert_int_equal(count_records(sealed, (size_t)size), 1);
	assert_int_equal(BIO_write(peer.in, sealed, (int)size), size);
	assert_int_equal(peer_read(w, &peer, text, sizeof text), sizeof text);
	for (size_t i = 0; i < sizeof text; i++)
		assert_int_equal(text[i], "bits"[i % 4]);
	cut_off(w, &peer, id);
}

static void
a_peer_that_reads_late_gets_all_of_it(void **state)
{
	struct world *w = *state;
	struct peer peer;
	const size_t size = (size_t)12 << 20;
	char *bytes = malloc(size);
	int id = open_pair(w, &peer, 0);
	world_begin_turn(w);
	assert_int_equal(world_send_pattern(w, id, 0, size / 2), 0);
	for (size_t at = size / 2; at < size;) { /* pieces of all sizes */
		size_t part = 1 + at % 30011;
		if (part > size - at)
			part = size - at;
		assert_int_equal(world_send_pattern(w, id, at, part), 0);
		at += part;
	}
	world_end_turn(w);
	struct sk_socket *s = sk_socket_enter(w->core.sockets, id);
	assert_false(s->is_writable);
	assert_true(sk_socket_waiting_bytes(s) > 0);
	assert_true(sk_tls_unsent_bytes(s->tls->session) <= SK_TLS_BATCH_BYTES); /* L2 */
	sk_socket_leave(w->core.sockets, s);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_WARNING, id);
	assert_true(told.ud >= 1024);
	assert_int_equal(peer_read(w, &peer, bytes, size), size);
	for (size_t i = 0; i < size; i++)
		if (bytes[i] != world_pattern(i))
			fail_msg("byte %zu", i);
	do
		told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_WARNING, id);
	while (told.ud != 0);
	free(bytes);
	cut_off(w, &peer, id);
}

static void
low_priority_goes_behind_what_is_not_sealed_yet(void **state)
{
	struct world *w = *state;
	struct peer peer;
	int id = open_pair(w, &peer, 0);
	struct socket_sendbuffer low = {
		.id = id, .type = SOCKET_BUFFER_RAWPOINTER, .buffer = "low", .sz = 3};
	world_begin_turn(w);
	assert_int_equal(skynet_socket_sendbuffer_lowpriority(w->service, &low), 0);
	assert_int_equal(world_send(w, id, "high"), 0);
	world_end_turn(w);
	peer_expect(w, &peer, "highlow");
	cut_off(w, &peer, id);
}

static void
both_ends_may_be_ours(void **state)
{
	struct world *w = *state;
	int port;
	const size_t size = (size_t)5 << 20;
	size_t got_there = 0, got_here = 0;
	int listener = listen_tls(w, &server_options, &port);
	const struct skynet_tls_options tls = {.authorities = shelf.authority_file};
	const struct skynet_socket_options options = {.tls = &tls};
	int client = skynet_socket_connect_with(w->other, "127.0.0.1", port, &options);
	int server = world_accept(w, listener);
	skynet_socket_start(w->service, server);
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, server);
	(void)world_expect(w, w->other, SKYNET_SOCKET_TYPE_CONNECT, client);
	assert_int_equal(world_send_pattern(w, server, 0, size), 0);
	assert_int_equal(world_send_pattern(w, client, 0, size), 0);
	uint64_t deadline_ms = sk_clock_ms() + WORLD_DEADLINE_MS;
	while (got_there < size || got_here < size) {
		struct told here = world_take(w->service);
		struct told there = world_take(w->other);
		if (here.type == SKYNET_SOCKET_TYPE_DATA)
			got_here += (size_t)here.ud;
		if (there.type == SKYNET_SOCKET_TYPE_DATA)
			got_there += (size_t)there.ud;
		assert_int_not_equal(here.type, SKYNET_SOCKET_TYPE_ERROR);
		assert_int_not_equal(there.type, SKYNET_SOCKET_TYPE_ERROR);
		world_done(w, &here);
		world_done(w, &there);
		(void)world_poll(w, 0);
		assert_true(sk_clock_ms() < deadline_ms);
	}
	while (world_take(w->service).type != 0 || world_take(w->other).type != 0)
		world_settle(w);
	skynet_socket_close(w->other, client);
	(void)world_expect(w, w->other, SKYNET_SOCKET_TYPE_CLOSE, client);
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CLOSE, server);
}

/* --- what the protocol says in between ----------------------------------------------------- */

static void
key_updates_are_answered(void **state)
{
	struct world *w = *state;
	struct peer peer;
	int id = open_pair(w, &peer, TLS1_3_VERSION);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(SSL_key_update(peer.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
		peer_write(w, &peer, "new key", 7);
		expect_data(w, id, "new key");
		assert_int_equal(world_send(w, id, "me too"), 0);
		peer_expect(w, &peer, "me too");
	}
	cut_off(w, &peer, id);
}

/* L2: one that asks for answers and does not read them is not read either, in the end. */
static void
answers_that_nobody_reads_are_bounded(void **state)
{
	struct world *w = *state;
	struct peer peer;
	int id = open_pair(w, &peer, TLS1_3_VERSION);
	assert_int_equal(world_send_pattern(w, id, 0, (size_t)8 << 20), 0);
	for (int i = 0; i < 20000 && !peer.is_ended; i++) {
		ERR_clear_error();
		(void)SSL_key_update(peer.ssl, SSL_KEY_UPDATE_REQUESTED);
		(void)SSL_do_handshake(peer.ssl);
		char part[4096];
		int size = BIO_read(peer.out, part, sizeof part);
		if (size > 0 && send(peer.fd, part, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
		world_settle(w);
		struct sk_socket *s = sk_socket_enter(w->core.sockets, id);
		assert_non_null(s);
		assert_true(sk_tls_unsent_bytes(s->tls->session) <= 3 * SK_TLS_BATCH_BYTES);
		sk_socket_leave(w->core.sockets, s);
	}
	skynet_socket_shutdown(w->service, id);
	ERR_clear_error();
	peer_fini(&peer);
}

/* It is refused by an alert, and the connection goes on. */
static void
nobody_may_renegotiate(void **state)
{
	struct world *w = *state;
	struct peer peer;
	int id = open_pair(w, &peer, TLS1_2_VERSION);
	assert_int_equal(SSL_renegotiate(peer.ssl), 1);
	(void)SSL_do_handshake(peer.ssl);
	peer_push(w, &peer);
	world_settle(w);
	char byte;
	assert_int_equal(peer_read(w, &peer, &byte, 1), 0);
	peer_fini(&peer);
	struct told told = world_wait(w, w->service);
	assert_int_equal(told.type, SKYNET_SOCKET_TYPE_ERROR);
	assert_int_equal(told.id, id);
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CLOSE, id);
}

static void
a_broken_record_ends_the_connection_behind_what_was_good(void **state)
{
	struct world *w = *state;
	struct peer peer;
	char *sealed;
	int id = open_pair(w, &peer, 0);
	assert_int_equal(SSL_write(peer.ssl, "good", 4), 4);
	assert_int_equal(SSL_write(peer.ssl, "bad", 3), 3);
	long size = BIO_get_mem_data(peer.out, &sealed);
	sealed[size - 1] ^= 1;
	peer_push(w, &peer);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_DATA, id);
	assert_int_equal(told.ud, 4);
	world_done(w, &told);
	expect_failure(w, id, "decryption failed or bad record mac", true);
	peer_fini(&peer);
}

/* OpenSSL's queue belongs to the thread: what another connection, or anybody, has left there is not
 * this one's. */
static void
errors_of_others_do_no_harm(void **state)
{
	struct world *w = *state;
	struct peer peer;
	int id = open_pair(w, &peer, 0);
	assert_int_equal(SSL_write(peer.ssl, "fine", 4), 4);
	ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
	peer_push(w, &peer);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_DATA, id);
	world_done(w, &told);
	ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
	assert_int_equal(world_send(w, id, "still"), 0);
	peer_expect(w, &peer, "still");
	ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
	skynet_socket_close(w->service, id);
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CLOSE, id);
	peer_expect_end(w, &peer);
	peer_fini(&peer);
}

/* --- the end ------------------------------------------------------------------------------- */

static void
the_peers_end_is_told_and_output_still_leaves(void **state)
{
	struct world *w = *state;
	struct peer peer;
	int id = open_pair(w, &peer, 0);
	assert_int_equal(SSL_write(peer.ssl, "bye", 3), 3);
	assert_int_equal(SSL_shutdown(peer.ssl), 0);
	peer_push(w, &peer);
	expect_data(w, id, "bye");
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CLOSE, id);
	assert_int_equal(world_send(w, id, "answer"), 0);
	peer_expect(w, &peer, "answer");
	skynet_socket_close(w->service, id);
	peer_expect_end(w, &peer);
	world_expect_nothing(w, w->service);
	peer_fini(&peer);
}

static void
a_close_is_said_behind_all_output(void **state)
{
	struct world *w = *state;
	struct peer peer;
	const size_t size = (size_t)6 << 20;
	char *bytes = malloc(size);
	int id = open_pair(w, &peer, 0);
	assert_int_equal(world_send_pattern(w, id, 0, size), 0);
	skynet_socket_close(w->service, id);
	assert_int_equal(peer_read(w, &peer, bytes, size), size);
	for (size_t i = 0; i < size; i += 4093)
		assert_int_equal(bytes[i], world_pattern(i));
	peer_expect_end(w, &peer);
	struct told told;
	do
		told = world_wait(w, w->service);
	while (told.type == SKYNET_SOCKET_TYPE_WARNING);
	assert_int_equal(told.type, SKYNET_SOCKET_TYPE_CLOSE);
	world_expect_nothing(w, w->service);
	free(bytes);
	peer_fini(&peer);
}

static void
a_write_to_a_dead_peer_is_an_error(void **state)
{
	struct world *w = *state;
	struct peer peer;
	int id = open_pair(w, &peer, 0);
	int base = sk_sockets_count(w->core.sockets);
	world_reset(peer.fd);
	peer.fd = -1;
	(void)world_send_pattern(w, id, 0, 100000);
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_ERROR, id);
	struct told told;
	do
		told = world_wait(w, w->service);
	while (told.type == SKYNET_SOCKET_TYPE_ERROR);
	assert_int_equal(told.type, SKYNET_SOCKET_TYPE_CLOSE);
	world_expect_nothing(w, w->service);
	assert_int_equal(sk_sockets_count(w->core.sockets), base - 1);
	peer_fini(&peer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(both_versions_carry_data_both_ways),
		world_test(a_client_verifies_the_address_and_tells_connect_after_the_handshake),
		world_test(a_name_to_verify_may_be_given_and_is_asked_for),
		world_test(servers_that_prove_nothing_are_refused),
		world_test(verification_may_be_left_out_or_only_told),
		world_test(clients_may_have_to_prove_who_they_are),
		world_test(a_client_shows_its_certificate),
		world_test(the_name_that_is_asked_for_chooses_the_certificate),
		world_test(the_server_chooses_the_protocol),
		world_test(a_server_may_insist_on_the_newest_version),
		world_test(a_handshake_may_come_byte_by_byte),
		world_test(a_handshake_may_stop_and_break_anywhere),
		world_test(data_may_follow_the_handshake_at_once),
		world_test(nonsense_is_refused_with_a_reason),
		world_test(silence_is_given_up_after_the_deadline),
		world_test(a_server_that_is_silent_costs_an_error_only),
		world_test(ten_thousand_failures_leave_nothing_behind),
		world_test(a_handshake_may_be_closed_shut_down_and_orphaned),
		world_test(another_service_may_take_over_during_the_handshake),
		world_test(a_slow_service_has_one_chunk_at_a_time),
		world_test(a_record_may_come_in_any_pieces),
		world_test(much_at_once_arrives_whole),
		world_test(what_is_sent_in_a_turn_leaves_as_one_record),
		world_test(a_peer_that_reads_late_gets_all_of_it),
		world_test(low_priority_goes_behind_what_is_not_sealed_yet),
		world_test(both_ends_may_be_ours),
		world_test(key_updates_are_answered),
		world_test(answers_that_nobody_reads_are_bounded),
		world_test(nobody_may_renegotiate),
		world_test(a_broken_record_ends_the_connection_behind_what_was_good),
		world_test(errors_of_others_do_no_harm),
		world_test(the_peers_end_is_told_and_output_still_leaves),
		world_test(a_close_is_said_behind_all_output),
		world_test(a_write_to_a_dead_peer_is_an_error),
	};
	return cmocka_run_group_tests(tests, make_shelf, clear_shelf);
}
