/* sk_socket_stream.c: sockets that carry bytes, both ways.
 *
 * The way in. One read becomes one message to the owner; the next read waits until the owner's
 * callback has returned from it (R1). A slow owner thereby stops reading, the kernel's window
 * closes, and the peer waits: memory stays bounded without any code of the owner's.
 *
 * The poller tells each readiness once, so is_readable remembers it (R2). For a TCP socket a read
 * that brings less than asked says that nothing is left, which saves the read that would say
 * EAGAIN: a small request costs one read. That does not hold when the stream has ended behind the
 * bytes (HANGUP was told), nor for Unix-domain sockets and terminals; there reading goes on until
 * the kernel says so.
 * Not handled: urgent data, at whose mark a read stops too; what follows it is read when more
 * comes.
 *
 * The way out. What waits is sent by as few system calls as possible, until the kernel takes no
 * more; then is_writable is false, and the descriptor is watched for the edge that tells of room
 * (W2). */
#include "sk_socket_stream.h"

#include "sk_clock.h"
#include "sk_socket_life.h"
#include "sk_socket_tell.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* What a closing socket drops at most of what its peer has sent: 1 MiB. */
#define SWALLOW_READS_MAX 16
/* One system call sends so many pieces: 1 KB of stack. */
#define VECTORS_MAX 64

/* --- the way in ---------------------------------------------------------------------------- */

bool
sk_socket_is_tcp(const struct sk_socket *s)
{
	return s->ops->kind == SK_SOCKET_STREAM &&
	       sk_address_kind(&s->address) != SK_ADDRESS_NONE; /* see sk_socket_unix.h */
}

static ssize_t
read_scratch(const struct sk_socket *s)
{
	ssize_t size;
	do
		size = s->ops->kind == SK_SOCKET_STREAM
			       ? recv(s->fd, sk_socket_scratch, sizeof sk_socket_scratch, 0)
			       : read(s->fd, sk_socket_scratch, sizeof sk_socket_scratch);
	while (size < 0 && errno == EINTR);
	return size;
}

void
sk_socket_end_reading(struct sk_sockets *sockets, struct sk_socket *s)
{
	s->is_read_over = true;
	s->is_readable = false;
	sk_socket_tell_close(sockets, s);
	/* With both directions over there is nothing more to come. */
	if (s->is_write_over)
		sk_socket_end(sockets, s);
}

static void
hand_over_chunk(struct sk_sockets *sockets, struct sk_socket *s, size_t size)
{
	char *buffer = skynet_malloc(size);
	memcpy(buffer, sk_socket_scratch, size);
	s->read_count += size;
	s->read_ticks = sk_clock_ticks();
	if (size < sizeof sk_socket_scratch && sk_socket_is_tcp(s) && !s->is_hung_up)
		s->is_readable = false; /* R2 */
	(void)sk_socket_hand_over(sockets, s, SKYNET_SOCKET_TYPE_DATA, (int)size, buffer, NULL);
}

static void
read_chunk(struct sk_sockets *sockets, struct sk_socket *s)
{
	ssize_t size = read_scratch(s);
	if (size > 0)
		hand_over_chunk(sockets, s, (size_t)size);
	else if (size == 0)
		sk_socket_end_reading(sockets, s);
	else if (errno == EAGAIN || errno == EWOULDBLOCK)
		s->is_readable = false; /* R2 */
	else
		sk_socket_fail_system(sockets, s, errno);
}

/* Asks the kernel: the poller may not have told yet of what has come in last. */
static bool
has_unread_bytes(const struct sk_socket *s)
{
	int size = 0;
	return ioctl(s->fd, FIONREAD, &size) == 0 && size > 0;
}

void
sk_socket_swallow(struct sk_socket *s)
{
	if (s->is_read_over || s->fd < 0 || !has_unread_bytes(s))
		return;
	if (shutdown(s->fd, SHUT_WR) < 0)
		return; /* not connected any more: nothing to be careful about */
	for (int i = 0; i < SWALLOW_READS_MAX && read_scratch(s) > 0; i++)
		;
}

/* --- the way out --------------------------------------------------------------------------- */

void
sk_socket_end_writing(struct sk_sockets *sockets, struct sk_socket *s, int error)
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
	if (s->ops->kind != SK_SOCKET_STREAM)
		return writev(s->fd, vectors, count);
	if (count == 1) /* the shortest way into the kernel */
		return send(s->fd, vectors[0].iov_base, vectors[0].iov_len, MSG_NOSIGNAL);
	return sendmsg(s->fd, &message, MSG_NOSIGNAL);
}

ssize_t
sk_socket_write_vectors(const struct sk_socket *s, struct iovec *vectors, int count)
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
	ssize_t sent = sk_socket_write_vectors(s, vectors, count);
	if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
		s->is_writable = false; /* W2 */
		return false;
	}
	if (sent < 0) {
		sk_socket_end_writing(sockets, s, errno);
		return false;
	}
	sk_output_advance(&s->output, (size_t)sent);
	s->write_bytes += (uint64_t)sent;
	s->write_ticks = sk_clock_ticks();
	/* A TCP socket that takes less than it was given is full, and will tell (W2). */
	if ((size_t)sent < size && sk_socket_is_tcp(s))
		s->is_writable = false;
	return s->output.bytes > 0 && s->is_writable;
}

static void
flush(struct sk_sockets *sockets, struct sk_socket *s)
{
	while (send_some(sockets, s))
		;
	/* The edge that W2 hopes for needs the poller: an accepted socket may not be watched
	 * yet. */
	if (!s->is_writable && s->stage != SK_SOCKET_GONE && sk_socket_watch(sockets, s) != SK_OK)
		sk_socket_fail_system(sockets, s, errno);
}

/* --- the kinds ----------------------------------------------------------------------------- */

const struct sk_socket_ops sk_socket_stream_ops = {
	.kind = SK_SOCKET_STREAM,
	.read = read_chunk,
	.flush = flush,
	.swallow = sk_socket_swallow,
};

const struct sk_socket_ops sk_socket_foreign_ops = {
	.kind = SK_SOCKET_FOREIGN,
	.read = read_chunk,
	.flush = flush,
};
