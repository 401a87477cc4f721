/* tls_handshake_test.c: handshakes of TLS, from the service's point of view: what is told, when,
 * and how often, with OpenSSL at the other end; who proves what to whom, and how it fails. */
#include "tls_connection.h"

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
	};
	return cmocka_run_group_tests(tests, make_shelf, clear_shelf);
}
