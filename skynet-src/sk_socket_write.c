/* sk_socket_write.c: the way out of a socket.
 *
 * What services send is queued; a socket with something to send is put on the dirty list of the
 * worker that runs the sender's turn, and at the end of the turn all that was queued leaves in one
 * system call. Outside of a turn it leaves at once. What the kernel refuses waits for the edge that
 * says there is room again.
 *
 * Why nothing is forgotten (W1 to W3 in sk_socket_impl.h): every function here that leaves the lock
 * with output waiting has made sure of one of two things. Either is_writable is false: only an
 * EAGAIN (or a short write, which means the same) makes it so, and the kernel then owes an edge. Or
 * dirty_worker is set: it is cleared only under the lock, by the worker that flushes right after. A
 * sender that finds dirty_worker set to another worker does not rely on it: that one may be inside
 * a long callback. It flushes at once, which takes the other's output along in order; the other
 * then finds nothing to do. */
#include "sk_socket_impl.h"

#include "sk_clock.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* One system call sends so many pieces: 1 KB of stack. */
#define VECTORS_MAX 64
/* Within a turn, so much output is not kept back until its end. */
#define EARLY_FLUSH_BYTES 65536
/* Output that waits is worth a warning from here on, and each time it has doubled. */
#define FIRST_WARNING_BYTES ((size_t)1 << 20)
#define KIB 1024

/* --- warnings ------------------------------------------------------------------------------ */

void
sk_socket_check_output(struct sk_sockets *sockets, struct sk_socket *s)
{
	size_t bytes = s->output.bytes;
	if (bytes == 0 && s->warnings > 0) {
		s->warnings = 0;
		sk_socket_tell(sockets, s, SKYNET_SOCKET_TYPE_WARNING, 0, NULL);
	}
	if (SK_LIKELY(bytes < FIRST_WARNING_BYTES << s->warnings))
		return;
	while (bytes >= FIRST_WARNING_BYTES << s->warnings)
		s->warnings++;
	sk_socket_tell(sockets, s, SKYNET_SOCKET_TYPE_WARNING, (int)((bytes + KIB - 1) / KIB),
		       NULL);
}

/* --- sending ------------------------------------------------------------------------------- */

/* The other end takes no more; what waits is lost. */
static void
end_writing(struct sk_sockets *sockets, struct sk_socket *s, int error)
{
	char text[SK_SOCKET_TEXT_MAX];
	sk_output_clear(&s->output);
	s->is_write_over = true;
	if (s->stage == SK_SOCKET_CLOSING && error == ETIMEDOUT)
		sk_socket_count(sockets, SK_SOCKET_LINGER);
	sk_socket_tell(sockets, s, SKYNET_SOCKET_TYPE_ERROR, 0, sk_socket_error_text(error, text));
	/* With both directions over there is nothing more to come. */
	if (s->stage == SK_SOCKET_CLOSING || s->is_read_over) {
		sk_socket_tell_close(sockets, s);
		sk_socket_end(sockets, s);
	}
}

static ssize_t
write_once(const struct sk_socket *s, struct iovec *vectors, int count)
{
	struct msghdr message = {.msg_iov = vectors, .msg_iovlen = (size_t)count};
	if (s->kind != SK_SOCKET_STREAM)
		return writev(s->fd, vectors, count);
	if (count == 1) /* the shortest way into the kernel */
		return send(s->fd, vectors[0].iov_base, vectors[0].iov_len, MSG_NOSIGNAL);
	return sendmsg(s->fd, &message, MSG_NOSIGNAL);
}

static ssize_t
write_vectors(const struct sk_socket *s, struct iovec *vectors, int count)
{
	ssize_t sent;
	do
		sent = write_once(s, vectors, count);
	while (sent < 0 && errno == EINTR);
	return sent;
}

/* Sends once. Returns true if it is worth going on. */
static bool
send_some(struct sk_sockets *sockets, struct sk_socket *s)
{
	struct iovec vectors[VECTORS_MAX];
	size_t size;
	int count = sk_output_vector(&s->output, vectors, VECTORS_MAX, &size);
	ssize_t sent = write_vectors(s, vectors, count);
	if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
		s->is_writable = false; /* W2 */
		return false;
	}
	if (sent < 0) {
		end_writing(sockets, s, errno);
		return false;
	}
	sk_output_advance(&s->output, (size_t)sent);
	s->write_bytes += (uint64_t)sent;
	s->write_ticks = sk_clock_ticks();
	/* A TCP socket that takes less than it was given is full, and will tell (W2). */
	if ((size_t)sent < size && s->kind == SK_SOCKET_STREAM)
		s->is_writable = false;
	return s->output.bytes > 0 && s->is_writable;
}

static void
flush_stream(struct sk_sockets *sockets, struct sk_socket *s)
{
	while (send_some(sockets, s))
		;
	/* The edge that W2 hopes for needs the poller: an accepted socket may not be watched
	 * yet. */
	if (!s->is_writable && s->stage != SK_SOCKET_GONE && sk_socket_watch(sockets, s) != SK_OK)
		sk_socket_fail_system(sockets, s, errno);
}

void
sk_socket_flush(struct sk_sockets *sockets, struct sk_socket *s)
{
	if (s->output.bytes == 0 || !s->is_writable)
		return;
	if (s->kind == SK_SOCKET_DATAGRAM)
		sk_socket_flush_datagrams(sockets, s);
	else
		flush_stream(sockets, s);
	if (s->stage == SK_SOCKET_CLOSING && s->output.bytes == 0) {
		sk_socket_swallow_input(s);
		sk_socket_end(sockets, s);
	}
	sk_socket_check_output(sockets, s);
}

/* --- the dirty list ------------------------------------------------------------------------ */

/* Output was added: sees to W1. */
static void
see_to_flush(struct sk_sockets *sockets, struct sk_socket *s)
{
	struct sk_worker *worker = sk_this_worker;
	if (!s->is_writable) {
		sk_socket_check_output(sockets, s); /* W2 holds already */
		return;
	}
	if (worker && !s->dirty_worker) {
		s->dirty_worker = worker;
		s->next_dirty = worker->dirty_sockets;
		worker->dirty_sockets = s;
	}
	if (s->dirty_worker != worker || !worker || s->output.bytes >= EARLY_FLUSH_BYTES)
		sk_socket_flush(sockets, s);
}

void
sk_sockets_flush(struct sk_sockets *sockets, struct sk_worker *worker)
{
	struct sk_socket *s = worker->dirty_sockets;
	worker->dirty_sockets = NULL;
	while (s) {
		(void)pthread_mutex_lock(&s->lock);
		struct sk_socket *next = s->next_dirty;
		s->dirty_worker = NULL; /* W3 */
		/* Acquire pairs with the release in sk_socket_add: the slot may have changed hands,
		 * or be on the way from one to the next (T2). */
		if (SK_LIKELY(atomic_load_explicit(&s->id, memory_order_acquire) > 0)) {
			sk_socket_flush(sockets, s);
			sk_socket_leave(sockets, s);
		} else {
			(void)pthread_mutex_unlock(&s->lock);
		}
		s = next;
	}
}

/* --- queueing ------------------------------------------------------------------------------ */

static bool
can_send(const struct sk_socket *s)
{
	return (s->kind == SK_SOCKET_STREAM || s->kind == SK_SOCKET_FOREIGN) &&
	       s->stage < SK_SOCKET_CLOSING && !s->is_write_over;
}

/* Whether a piece would be too much. One that is alone never is: its bytes are there anyway, and
 * nothing is won by refusing them. */
static bool
is_over_limit(const struct sk_sockets *sockets, const struct sk_socket *s, size_t size)
{
	size_t limit = sockets->output_limit_bytes;
	return limit > 0 && s->output.bytes > 0 &&
	       (s->output.bytes >= limit || size > limit - s->output.bytes);
}

static void
fail_over_limit(struct sk_sockets *sockets, struct sk_socket *s)
{
	char text[SK_SOCKET_TEXT_MAX];
	(void)snprintf(text, sizeof text,
		       "more than %zu bytes wait to be sent (socket_output_limit): "
		       "the peer does not read",
		       sockets->output_limit_bytes);
	sk_socket_count(sockets, SK_SOCKET_OUTPUT_LIMIT);
	sk_socket_fail(sockets, s, text);
}

/* piece: taken when 0 is returned. */
static int
queue(struct sk_sockets *sockets, struct sk_socket *s, struct sk_output_piece *piece, bool is_low)
{
	if (!can_send(s))
		return SK_ENOENT;
	if (SK_UNLIKELY(is_over_limit(sockets, s, piece->size)))
		sk_socket_flush(sockets, s); /* perhaps the kernel has room for what waits */
	if (!can_send(s))
		return SK_ENOENT;
	if (SK_UNLIKELY(is_over_limit(sockets, s, piece->size))) {
		fail_over_limit(sockets, s);
		return SK_ELIMIT;
	}
	sk_output_add(&s->output, piece, is_low);
	see_to_flush(sockets, s);
	return SK_OK;
}

int
sk_socket_send(struct sk_sockets *sockets, int id, struct sk_output_piece *piece, bool is_low)
{
	int result = SK_ENOENT;
	struct sk_socket *s = sk_socket_enter(sockets, id);
	if (s) {
		result = queue(sockets, s, piece, is_low);
		sk_socket_leave(sockets, s);
	}
	if (result != SK_OK)
		sk_output_piece_free(piece);
	return result;
}
