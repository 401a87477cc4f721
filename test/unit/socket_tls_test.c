/* socket_tls_test.c: TLS connections behind their handshakes (tls_handshake_test.c), from the
 * service's point of view: what arrives and what leaves, what the protocol says in between, and how
 * it ends. */
#include "tls_connection.h"

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
