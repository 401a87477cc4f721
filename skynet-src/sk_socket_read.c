/* sk_socket_read.c: the way in.
 *
 * One read becomes one message to the owner; the next read waits until the owner's callback has
 * returned from it (R1). A slow owner thereby stops reading, the kernel's window closes, and the
 * peer waits: memory stays bounded without any code of the owner's.
 *
 * The poller tells each readiness once, so is_readable remembers it (R2). For a TCP socket a read
 * that brings less than asked says that nothing is left, which saves the read that would say
 * EAGAIN: a small request costs one read. That does not hold when the stream has ended behind the
 * bytes (HANGUP was told), nor for terminals; there reading goes on until the kernel says so.
 * Not handled: urgent data, at whose mark a read stops too; what follows it is read when more
 * comes. */
#include "sk_socket_impl.h"

#include "sk_clock.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What a closing socket drops at most of what its peer has sent: 1 MiB. */
#define SWALLOW_READS_MAX 16

static ssize_t
read_scratch(const struct sk_socket *s)
{
	ssize_t size;
	do
		size = s->kind == SK_SOCKET_STREAM
			       ? recv(s->fd, sk_socket_scratch, sizeof sk_socket_scratch, 0)
			       : read(s->fd, sk_socket_scratch, sizeof sk_socket_scratch);
	while (size < 0 && errno == EINTR);
	return size;
}

/* The peer sends no more. The socket stays open for output until it is closed here. */
static void
end_reading(struct sk_sockets *sockets, struct sk_socket *s)
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
	if (size < sizeof sk_socket_scratch && s->kind == SK_SOCKET_STREAM && !s->is_hung_up)
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
		end_reading(sockets, s);
	else if (errno == EAGAIN || errno == EWOULDBLOCK)
		s->is_readable = false; /* R2 */
	else
		sk_socket_fail_system(sockets, s, errno);
}

void
sk_socket_read_on(struct sk_sockets *sockets, struct sk_socket *s)
{
	if (!s->is_reading || !s->is_readable || s->is_read_over || s->is_orphan ||
	    s->unconsumed > 0 || s->stage != SK_SOCKET_OPEN)
		return;
	switch ((enum sk_socket_kind)s->kind) {
	case SK_SOCKET_STREAM:
	case SK_SOCKET_FOREIGN:
		read_chunk(sockets, s);
		break;
	case SK_SOCKET_DATAGRAM:
		sk_socket_read_datagrams(sockets, s);
		break;
	case SK_SOCKET_LISTENER:
		sk_socket_accept(sockets, s);
		break;
	}
}

void
sk_socket_swallow_input(struct sk_socket *s)
{
	if (s->kind != SK_SOCKET_STREAM || !s->is_readable || s->is_read_over || s->fd < 0)
		return;
	if (shutdown(s->fd, SHUT_WR) < 0)
		return; /* not connected any more: nothing to be careful about */
	for (int i = 0; i < SWALLOW_READS_MAX && read_scratch(s) > 0; i++)
		;
}
