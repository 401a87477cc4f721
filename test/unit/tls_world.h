/* tls_world.h: for tests of TLS: peers that are OpenSSL itself.
 *
 * A peer's bytes go through memory, so that a test can hold them back, cut them and break them; its
 * descriptor is the other end of a socket of the world. */
#ifndef TLS_WORLD_H
#define TLS_WORLD_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sched_setaffinity */
#endif

#include "certificates.h"
#include "socket_world.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

/* --- peers --------------------------------------------------------------------------------- */

struct peer {
	SSL *ssl;
	BIO *in;
	BIO *out;
	int fd;
	size_t chunk;	     /* sends at most so much at a time; 0: no limit */
	size_t hold;	     /* so many of the first bytes go out, and then nothing; 0: no limit */
	size_t sent;	     /* through the descriptor, sealed */
	bool is_ended;	     /* the descriptor says so */
	unsigned long error; /* of OpenSSL, from the last read or handshake; 0: none */
};

/* context: borrowed. fd: taken. */
static inline void
peer_init(struct peer *peer, SSL_CTX *context, int fd, bool is_server)
{
	*peer = (struct peer){.ssl = SSL_new(context), .fd = fd};
	peer->in = BIO_new(BIO_s_mem());
	peer->out = BIO_new(BIO_s_mem());
	SSL_set_bio(peer->ssl, peer->in, peer->out);
	if (is_server)
		SSL_set_accept_state(peer->ssl);
	else
		SSL_set_connect_state(peer->ssl);
}

static inline void
peer_fini(struct peer *peer)
{
	SSL_free(peer->ssl);
	if (peer->fd >= 0)
		(void)close(peer->fd);
}

/* Sends what the peer has to say. */
static inline void
peer_push(struct world *w, struct peer *peer)
{
	char *bytes;
	size_t size;
	uint64_t deadline_ms = sk_clock_ms() + WORLD_DEADLINE_MS;
	while ((size = (size_t)BIO_get_mem_data(peer->out, &bytes)) > 0) {
		char part[65536];
		if (peer->hold > 0 && size > peer->hold - peer->sent)
			size = peer->hold - peer->sent;
		if (peer->chunk > 0 && size > peer->chunk)
			size = peer->chunk;
		if (size > sizeof part)
			size = sizeof part;
		if (size == 0)
			return;
		ssize_t sent = send(peer->fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0 && errno != EAGAIN)
			return;
		if (sent > 0) {
			assert_int_equal(BIO_read(peer->out, part, (int)sent), sent);
			peer->sent += (size_t)sent;
		}
		assert_true(sk_clock_ms() < deadline_ms);
		world_settle(w);
	}
}

/* Takes what has come for the peer. Returns whether there was something. */
static inline bool
peer_pull(struct peer *peer)
{
	char bytes[16384];
	ssize_t got = recv(peer->fd, bytes, sizeof bytes, MSG_DONTWAIT);
	if (got > 0)
		assert_int_equal(BIO_write(peer->in, bytes, (int)got), got);
	if (got == 0 || (got < 0 && errno != EAGAIN))
		peer->is_ended = true;
	return got > 0;
}

static inline void
peer_pump(struct world *w, struct peer *peer)
{
	peer_push(w, peer);
	(void)world_poll(w, 0);
	(void)peer_pull(peer);
}

/* The thread's queue is for the world's side. */
static inline void
peer_note_error(struct peer *peer)
{
	peer->error = ERR_peek_error();
	ERR_clear_error();
}

/* Shakes hands. Returns whether that went well. */
static inline bool
peer_shake(struct world *w, struct peer *peer)
{
	uint64_t deadline_ms = sk_clock_ms() + WORLD_DEADLINE_MS;
	ERR_clear_error();
	for (;;) {
		int result = SSL_do_handshake(peer->ssl);
		bool has_failed = SSL_get_error(peer->ssl, result) == SSL_ERROR_SSL;
		peer_note_error(peer);
		peer_push(w, peer);
		if (result == 1)
			return true;
		if (has_failed)
			return false;
		peer_pump(w, peer);
		if (peer->is_ended && BIO_pending(peer->in) == 0)
			return false;
		assert_true(sk_clock_ms() < deadline_ms);
	}
}

static inline void
peer_write(struct world *w, struct peer *peer, const void *bytes, size_t size)
{
	ERR_clear_error();
	assert_int_equal(SSL_write(peer->ssl, bytes, (int)size), size);
	peer_push(w, peer);
}

/* Reads exactly so much, unless the stream ends before. Returns how much. */
static inline size_t
peer_read(struct world *w, struct peer *peer, char *bytes, size_t size)
{
	size_t have = 0;
	uint64_t deadline_ms = sk_clock_ms() + WORLD_DEADLINE_MS;
	ERR_clear_error();
	while (have < size) {
		int got = SSL_read(peer->ssl, bytes + have, (int)(size - have));
		if (got > 0) {
			have += (size_t)got;
			continue;
		}
		if (SSL_get_error(peer->ssl, got) != SSL_ERROR_WANT_READ) {
			peer_note_error(peer);
			break;
		}
		peer_pump(w, peer);
		if (peer->is_ended && BIO_pending(peer->in) == 0)
			break;
		assert_true(sk_clock_ms() < deadline_ms);
	}
	return have;
}

static inline void
peer_expect(struct world *w, struct peer *peer, const char *text)
{
	char bytes[256];
	size_t size = strlen(text);
	assert_int_equal(peer_read(w, peer, bytes, size), size);
	assert_memory_equal(bytes, text, size);
}

/* The stream has ended as it should, with a close_notify. */
static inline void
peer_expect_end(struct world *w, struct peer *peer)
{
	char byte;
	assert_int_equal(peer_read(w, peer, &byte, 1), 0);
	assert_true(SSL_get_shutdown(peer->ssl) & SSL_RECEIVED_SHUTDOWN);
}

#endif
