/* sk_socket_control.c: start, pause, close, and descriptors that somebody else has opened. */
#include "sk_socket_control.h"

#include "sk_socket_life.h"
#include "sk_socket_stream.h"
#include "sk_socket_tell.h"
#include "sk_socket_tls.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>

/* --- start and pause ----------------------------------------------------------------------- */

/* The caller becomes the owner. Another one that had started the socket, or opened it, may wait for
 * what will not be told to it any more. */
static void
take_over(struct sk_sockets *sockets, struct sk_socket *s, uint32_t caller)
{
	if (s->owner != caller && s->stage != SK_SOCKET_WAITING)
		sk_socket_tell(sockets, s, SKYNET_SOCKET_TYPE_TAKEN, 0, NULL);
	s->owner_state = SK_SOCKET_OWNER_LIVES; /* whether the other one does or not */
	sk_socket_set_owner(s, caller);
}

/* Begins or goes on reading. The socket is WAITING or OPEN. */
static void
open_for(struct sk_sockets *sockets, struct sk_socket *s, uint32_t caller)
{
	bool is_transfer = s->stage == SK_SOCKET_OPEN && s->owner != caller;
	bool has_handshake =
		s->stage == SK_SOCKET_WAITING && s->tls && s->ops->kind == SK_SOCKET_STREAM;
	take_over(sockets, s, caller);
	s->stage = SK_SOCKET_OPEN;
	s->is_reading = s->ops->read != NULL;
	if (s->is_reading && sk_socket_watch(sockets, s) != SK_OK) {
		sk_socket_fail_system(sockets, s, errno);
		return;
	}
	if (has_handshake) {
		sk_socket_tls_begin(sockets, s, "start");
		return;
	}
	sk_socket_tell(sockets, s, SKYNET_SOCKET_TYPE_CONNECT, 0,
		       is_transfer ? "transfer" : "start");
	sk_socket_read_on(sockets, s);
}

void
sk_socket_start(struct sk_sockets *sockets, uint32_t caller, int id)
{
	const char *refusal = NULL;
	struct sk_socket *s = sk_socket_enter(sockets, id);
	if (!s) {
		sk_socket_tell_handle(sockets, caller, id, SKYNET_SOCKET_TYPE_ERROR,
				      "invalid socket");
		return;
	}
	switch ((enum sk_socket_stage)s->stage) {
	case SK_SOCKET_RESOLVING:
	case SK_SOCKET_CONNECTING:
	case SK_SOCKET_SECURING:
		/* The outcome goes to the new owner. */
		take_over(sockets, s, caller);
		s->is_reading = true;
		break;
	case SK_SOCKET_WAITING:
	case SK_SOCKET_OPEN:
		if (s->is_close_told)
			refusal = "socket closed";
		else
			open_for(sockets, s, caller);
		break;
	case SK_SOCKET_CLOSING:
	case SK_SOCKET_GONE:
		refusal = "socket closed";
		break;
	}
	if (refusal)
		sk_socket_tell_handle(sockets, caller, id, SKYNET_SOCKET_TYPE_ERROR, refusal);
	sk_socket_leave(sockets, s);
}

void
sk_socket_pause(struct sk_sockets *sockets, int id)
{
	struct sk_socket *s = sk_socket_enter(sockets, id);
	if (!s)
		return;
	s->is_reading = false;
	sk_socket_leave(sockets, s);
}

/* --- close --------------------------------------------------------------------------------- */

void
sk_socket_ask_close(struct sk_sockets *sockets, int id)
{
	struct sk_socket *s = sk_socket_enter(sockets, id);
	if (!s)
		return;
	sk_socket_close(sockets, s);
	sk_socket_leave(sockets, s);
}

void
sk_socket_shutdown(struct sk_sockets *sockets, int id)
{
	struct sk_socket *s = sk_socket_enter(sockets, id);
	if (!s)
		return;
	sk_socket_tell_close(sockets, s);
	sk_socket_end(sockets, s);
	sk_socket_leave(sockets, s);
}

/* --- options ------------------------------------------------------------------------------- */

void
sk_socket_nodelay(struct sk_sockets *sockets, int id)
{
	struct sk_socket *s = sk_socket_enter(sockets, id);
	if (!s)
		return;
	/* May fail on what is no TCP socket, which has no delay either. */
	if (s->fd >= 0 && s->ops->kind == SK_SOCKET_STREAM)
		(void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	s->wants_nodelay = true;
	sk_socket_leave(sockets, s);
}

/* --- bind ---------------------------------------------------------------------------------- */

/* Makes a foreign descriptor ready for use here. */
static void
adopt(struct sk_sockets *sockets, struct sk_socket *s)
{
	int flags = fcntl(s->fd, F_GETFL);
	if (flags < 0 || (!(flags & O_NONBLOCK) && fcntl(s->fd, F_SETFL, flags | O_NONBLOCK) < 0)) {
		sk_socket_fail_system(sockets, s, errno);
		return;
	}
	if (!(flags & O_NONBLOCK))
		s->saved_flags = flags;
	s->is_read_over = (flags & O_ACCMODE) == O_WRONLY;
	if (sk_socket_watch(sockets, s) != SK_OK) {
		sk_socket_fail_system(sockets, s, errno);
		return;
	}
	sk_socket_tell(sockets, s, SKYNET_SOCKET_TYPE_CONNECT, 0, "binding");
	sk_socket_read_on(sockets, s);
}

int
sk_socket_bind(struct sk_sockets *sockets, uint32_t owner, int fd, char error[SK_SOCKET_LINE_SIZE])
{
	struct sk_socket_seed seed = {
		.ops = &sk_socket_foreign_ops,
		.stage = SK_SOCKET_OPEN,
		.owner = owner,
		.fd = fd,
		.is_reading = true,
		.is_writable = true,
	};
	if (fd < 0 || fcntl(fd, F_GETFD) < 0) {
		(void)snprintf(error, SK_SOCKET_LINE_SIZE,
			       "socket: cannot bind %d: it is no open descriptor", fd);
		return SK_EINVAL;
	}
	int id = sk_socket_add(sockets, &seed);
	if (id < 0)
		return sk_socket_too_many("bind", error);
	struct sk_socket *s = sk_socket_enter(sockets, id);
	if (!s)
		return id;
	adopt(sockets, s);
	sk_socket_leave(sockets, s);
	return id;
}
