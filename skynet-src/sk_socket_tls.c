/* sk_socket_tls.c: connections that speak TLS.
 *
 * One differs from a plain stream in three places: the stage SECURING before it is OPEN, opening
 * what was read, and sealing what is sent. All rules of sk_socket_table.h hold for what the service
 * sees: its bytes in the open. Of the sealed ones:
 *
 * L1  Until the handshake is over, is_writable is false: what the service sends waits (W2), and
 *     while a socket is SECURING every edge goes on with the handshake. An edge that comes before,
 *     to an accepted connection that is not started, says nothing that the handshake will not find.
 * L2  When it is OPEN, sealed bytes that the kernel has refused mean that is_writable is false, and
 *     they go before all that is sealed later. So there is no more than a batch of the service's
 *     bytes among them. The rest is what the protocol answers to its peer; when that is as much
 *     again, nothing is read until it has left.
 * L3  A socket that closes in order says so to its peer (close_notify) behind all output. A stream
 *     that ends without it was cut off, by an accident or an attacker: that is an ERROR.
 *
 * Reading and sealing are done with buffers of the thread, so an idle connection has none. */
#include "sk_socket_tls.h"

#include "sk_clock.h"
#include "sk_socket_life.h"
#include "sk_socket_stream.h"
#include "sk_socket_tell.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* What one read brings, and the rest of a record that came before, fit in sk_socket_opened. */
#define READ_BYTES (SK_SOCKET_READ_BYTES - SK_TLS_SEALED_BYTES)
/* Reads in a row that bring nothing for the service, before others have their turn. */
#define SILENT_READS_MAX 16
#define VECTORS_MAX 64
/* L2 */
#define UNSENT_MAX (2 * SK_TLS_BATCH_BYTES)

/* What has been opened on this thread. */
static _Thread_local char opened[SK_SOCKET_READ_BYTES];

static const char cut_off[] = "TLS: the stream was cut off: it ended without a close_notify";

/* --- pushing ------------------------------------------------------------------------------- */

/* Sends what is sealed. Returns whether all of it has left; else an edge will come, or the socket
 * sends no more, or is gone. */
static bool
push(struct sk_sockets *sockets, struct sk_socket *s)
{
	struct sk_tls *session = s->tls->session;
	if (s->is_write_over) {
		sk_tls_drop(session);
		return false;
	}
	enum sk_tls_result result = sk_tls_push(session, s->fd);
	if (result == SK_TLS_DONE)
		return true;
	if (result == SK_TLS_AGAIN) {
		s->is_writable = false; /* L2 */
		return false;
	}
	int error = errno;
	sk_tls_drop(session);
	sk_socket_end_writing(sockets, s, error);
	return false;
}

/* The protocol is broken, by the peer or on the way. It is told by an alert, if that can leave. */
static void
fail(struct sk_sockets *sockets, struct sk_socket *s)
{
	char text[SK_SOCKET_TEXT_MAX];
	if (sk_tls_push(s->tls->session, s->fd) != SK_TLS_DONE)
		sk_tls_drop(s->tls->session);
	sk_socket_swallow(s);
	sk_socket_fail(sockets, s, sk_tls_reason(s->tls->session, text, sizeof text));
}

/* --- the handshake ------------------------------------------------------------------------- */

/* There will be no connection. */
static void
fail_handshake(struct sk_sockets *sockets, struct sk_socket *s, const char *reason)
{
	if (sk_tls_push(s->tls->session, s->fd) != SK_TLS_DONE) /* the alert */
		sk_tls_drop(s->tls->session);
	sk_socket_swallow(s);
	if (s->tls->is_announced)
		sk_socket_fail(sockets, s, reason);
	else
		sk_socket_fail_birth(sockets, s, reason);
}

static void
fail_handshake_system(struct sk_sockets *sockets, struct sk_socket *s, int error)
{
	char text[SK_SOCKET_TEXT_MAX];
	fail_handshake(sockets, s, sk_socket_error_text(error, text));
}

static void
succeed(struct sk_sockets *sockets, struct sk_socket *s)
{
	sk_socket_stop_timer(sockets, s);
	s->stage = SK_SOCKET_OPEN;
	s->is_writable = sk_tls_unsent_bytes(s->tls->session) == 0; /* L2 */
	if (s->tls->text)
		sk_socket_tell(sockets, s, SKYNET_SOCKET_TYPE_CONNECT, 0, s->tls->text);
	else
		sk_socket_tell_address(sockets, s, 0);
	sk_socket_flush(sockets, s);
	sk_socket_read_on(sockets, s);
}

/* What was sent before TLS leaves first, as it is. Returns whether it has; else an edge will come,
 * or the socket is gone. */
static bool
send_plain(struct sk_sockets *sockets, struct sk_socket *s)
{
	struct iovec vectors[VECTORS_MAX];
	struct sk_output *plain = &s->tls->plain;
	while (plain->bytes > 0) {
		size_t size;
		int count = sk_output_vector(plain, vectors, VECTORS_MAX, &size);
		ssize_t sent = sk_socket_write_vectors(s, vectors, count);
		if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return false;
		if (sent < 0) {
			fail_handshake_system(sockets, s, errno);
			return false;
		}
		sk_output_advance(plain, (size_t)sent);
		s->write_bytes += (uint64_t)sent;
	}
	return true;
}

void
sk_socket_tls_event(struct sk_sockets *sockets, struct sk_socket *s)
{
	char text[SK_SOCKET_TEXT_MAX];
	struct sk_tls *session = s->tls->session;
	bool has_left = send_plain(sockets, s);
	sk_socket_check_output(sockets, s);
	if (!has_left)
		return;
	enum sk_tls_result result = sk_tls_shake(session);
	if (result == SK_TLS_FAILED)
		fail_handshake(sockets, s, sk_tls_reason(session, text, sizeof text));
	else if (sk_tls_push(session, s->fd) == SK_TLS_FAILED)
		fail_handshake_system(sockets, s, errno);
	else if (result == SK_TLS_DONE)
		succeed(sockets, s);
	else
		s->is_readable = false; /* R2: it has read all there was */
}

void
sk_socket_tls_timed_out(struct sk_sockets *sockets, struct sk_socket *s)
{
	char text[SK_SOCKET_TEXT_MAX];
	(void)snprintf(text, sizeof text, "TLS: no handshake within %u s (tls_handshake_timeout)",
		       sockets->handshake_ms / 1000);
	fail_handshake(sockets, s, text);
}

void
sk_socket_tls_begin(struct sk_sockets *sockets, struct sk_socket *s, const char *text)
{
	char reason[SK_SOCKET_TEXT_MAX];
	s->stage = SK_SOCKET_SECURING;
	s->is_writable = false; /* L1 */
	s->tls->text = text;
	if (sk_tls_begin(s->tls->session, s->fd) == SK_TLS_FAILED) {
		fail_handshake(sockets, s, sk_tls_reason(s->tls->session, reason, sizeof reason));
		return;
	}
	if (sockets->handshake_ms > 0)
		sk_socket_set_timer(sockets, s, sockets->handshake_ms);
	sk_socket_tls_event(sockets, s);
}

/* --- the way in ---------------------------------------------------------------------------- */

static ssize_t
read_sealed(const struct sk_socket *s)
{
	ssize_t size;
	do
		size = recv(s->fd, sk_socket_scratch, READ_BYTES, 0);
	while (size < 0 && errno == EINTR);
	return size;
}

static void
hand_over_opened(struct sk_sockets *sockets, struct sk_socket *s, size_t size)
{
	char *buffer = skynet_malloc(size);
	memcpy(buffer, opened, size);
	s->read_count += size;
	s->read_ticks = sk_clock_ticks();
	(void)sk_socket_hand_over(sockets, s, SKYNET_SOCKET_TYPE_DATA, (int)size, buffer, NULL);
}

/* Opens what was read. Returns whether the service has got nothing of it, and may yet. */
static bool
open_sealed(struct sk_sockets *sockets, struct sk_socket *s, size_t sealed_size)
{
	size_t size;
	enum sk_tls_result result = sk_tls_open(s->tls->session, sk_socket_scratch, sealed_size,
						opened, sizeof opened, &size);
	if (result != SK_TLS_FAILED)
		(void)push(sockets, s); /* an answer, perhaps; it may end the socket */
	sk_socket_check_output(sockets, s);
	if (s->stage == SK_SOCKET_GONE)
		return false;
	if (size > 0)
		hand_over_opened(sockets, s, size);
	if (result == SK_TLS_ENDED)
		sk_socket_end_reading(sockets, s);
	else if (result == SK_TLS_FAILED)
		fail(sockets, s);
	return size == 0 && result == SK_TLS_DONE;
}

/* Reads once. Returns whether it is worth going on. */
static bool
read_some(struct sk_sockets *sockets, struct sk_socket *s)
{
	ssize_t size = read_sealed(s);
	if (size > 0) {
		if (size < READ_BYTES && sk_socket_is_tcp(s) && !s->is_hung_up)
			s->is_readable = false; /* R2, as for plain connections */
		return open_sealed(sockets, s, (size_t)size) && s->is_readable;
	}
	if (size == 0)
		sk_socket_fail(sockets, s, cut_off); /* L3 */
	else if (errno == EAGAIN || errno == EWOULDBLOCK)
		s->is_readable = false; /* R2 */
	else
		sk_socket_fail_system(sockets, s, errno);
	return false;
}

/* Reads until there is something for the service. */
static void
read_chunk(struct sk_sockets *sockets, struct sk_socket *s)
{
	for (int i = 0; i < SILENT_READS_MAX; i++) {
		if (sk_tls_unsent_bytes(s->tls->session) > UNSENT_MAX)
			return; /* L2; the edge that frees it reads on, too */
		if (!read_some(sockets, s))
			return;
	}
	sk_socket_have_told_again(sockets, s);
}

/* --- the way out --------------------------------------------------------------------------- */

/* Moves up to a record of what waits to scratch. Returns how much. */
static size_t
gather(struct sk_socket *s)
{
	size_t have = 0;
	while (have < SK_TLS_RECORD_BYTES && s->output.bytes > 0) {
		struct iovec vectors[VECTORS_MAX];
		size_t size;
		size_t before = have;
		int count = sk_output_vector(&s->output, vectors, VECTORS_MAX, &size);
		for (int i = 0; i < count && have < SK_TLS_RECORD_BYTES; i++) {
			size_t part = vectors[i].iov_len;
			if (part > SK_TLS_RECORD_BYTES - have)
				part = SK_TLS_RECORD_BYTES - have;
			memcpy(sk_socket_scratch + have, vectors[i].iov_base, part);
			have += part;
		}
		sk_output_advance(&s->output, have - before);
	}
	return have;
}

/* Seals what waits, in full records, as far as one batch goes. Returns false when that failed; the
 * socket is gone then. */
static bool
seal_batch(struct sk_sockets *sockets, struct sk_socket *s)
{
	while (s->output.bytes > 0 && sk_tls_has_room()) {
		size_t size = gather(s);
		if (sk_tls_seal(s->tls->session, sk_socket_scratch, size) == SK_TLS_FAILED) {
			fail(sockets, s);
			return false;
		}
		s->write_bytes += size;
	}
	s->write_ticks = sk_clock_ticks();
	return true;
}

static void
flush(struct sk_sockets *sockets, struct sk_socket *s)
{
	if (!sk_tls_is_ready(s->tls->session)) {
		s->is_writable = false; /* L1 */
		return;
	}
	while (push(sockets, s) && s->output.bytes > 0)
		if (!seal_batch(sockets, s))
			return;
	if (s->stage == SK_SOCKET_CLOSING && s->output.bytes == 0) { /* L3 */
		sk_tls_finish(s->tls->session);
		(void)push(sockets, s);
	}
}

/* L3, when no output waits that flush would have to send before. */
static void
finish(struct sk_socket *s)
{
	if (s->output.bytes == 0 && !s->is_write_over)
		sk_tls_finish(s->tls->session);
}

const struct sk_socket_ops sk_socket_tls_ops = {
	.kind = SK_SOCKET_STREAM,
	.read = read_chunk,
	.flush = flush,
	.swallow = sk_socket_swallow,
	.finish = finish,
};

/* --- requests ------------------------------------------------------------------------------ */

static struct sk_socket_tls *
new_tls(struct sk_tls *session)
{
	struct sk_socket_tls *tls = skynet_calloc(1, sizeof *tls);
	tls->session = session;
	return tls;
}

struct sk_socket_tls *
sk_socket_tls_new(struct sk_sockets *sockets, const struct skynet_tls_options *options,
		  enum sk_tls_role role, const char *host, char error[SK_SOCKET_LINE_SIZE])
{
	const char *name = options->server_name ? options->server_name : host;
	if (role == SK_TLS_CLIENT && !name &&
	    sk_tls_verify(options, role) != SKYNET_TLS_VERIFY_NONE) {
		(void)snprintf(error, SK_SOCKET_LINE_SIZE,
			       "tls: server_name is needed to verify who the peer is");
		return NULL;
	}
	struct sk_tls_config *config =
		sk_tls_config_get(sockets->tls_store, options, role, error, SK_SOCKET_LINE_SIZE);
	if (!config)
		return NULL;
	return new_tls(sk_tls_new(config, role == SK_TLS_CLIENT ? name : NULL));
}

struct sk_socket_tls *
sk_socket_tls_of_listener(const struct sk_socket_tls *listener)
{
	struct sk_socket_tls *tls = new_tls(sk_tls_of_listener(listener->session));
	tls->is_announced = true;
	return tls;
}

/* Whether TLS can begin on the connection. */
static bool
can_secure(const struct sk_socket *s)
{
	return s->ops->kind == SK_SOCKET_STREAM && !s->tls &&
	       (s->stage == SK_SOCKET_WAITING || s->stage == SK_SOCKET_OPEN) && !s->is_read_over &&
	       !s->is_write_over && s->owner_state == SK_SOCKET_OWNER_LIVES;
}

/* tls: taken. */
static void
secure(struct sk_sockets *sockets, struct sk_socket *s, struct sk_socket_tls *tls)
{
	tls->is_announced = true;
	tls->plain = s->output;
	sk_output_init(&s->output);
	s->tls = tls;
	s->ops = &sk_socket_tls_ops;
	s->is_writable = false; /* L1 */
	if (s->stage == SK_SOCKET_OPEN)
		sk_socket_tls_begin(sockets, s, "secure");
}

int
sk_socket_secure(struct sk_sockets *sockets, int id, struct sk_socket_tls *tls,
		 char error[SK_SOCKET_LINE_SIZE])
{
	struct sk_socket *s = sk_socket_enter(sockets, id);
	bool is_possible = s && can_secure(s);
	if (is_possible) {
		secure(sockets, s, tls);
	} else {
		sk_socket_tls_free(tls);
		(void)snprintf(error, SK_SOCKET_LINE_SIZE,
			       "tls: %d is no open connection without TLS", id);
	}
	if (s)
		sk_socket_leave(sockets, s);
	return is_possible ? SK_OK : SK_EINVAL;
}

int
sk_socket_tls_describe(struct sk_sockets *sockets, int id, struct skynet_tls_info *info)
{
	struct sk_socket *s = sk_socket_enter(sockets, id);
	if (!s)
		return SK_ENOENT;
	bool is_ready = s->tls && sk_tls_is_ready(s->tls->session);
	if (is_ready)
		sk_tls_describe(s->tls->session, info);
	sk_socket_leave(sockets, s);
	return is_ready ? SK_OK : SK_ENOENT;
}
