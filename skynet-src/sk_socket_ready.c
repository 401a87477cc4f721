/* sk_socket_ready.c: descriptors of others, watched for readiness only.
 *
 * A client library that never blocks (of a database, of a name service) opens descriptors itself,
 * and wants to know when one can be read or written. Nothing is read or written here.
 *
 * The library closes its descriptor when it likes, and the system gives the number to somebody
 * else. So what is watched is a duplicate, which is ours: whatever happens to the number, the
 * duplicate means the same file until the socket is closed, and two watches of one descriptor do
 * not meet. The price: a connection that the library has closed ends when the watch is closed too.
 *
 * Each request is for one answer, given as soon as the descriptor is ready, also if it was so
 * already. So a library may read as little as it likes: the next request is answered at once if
 * something is left.
 *   A1  awaited is what was asked for and not yet answered; the poller is armed with it.
 *   A2  An event that came for an earlier request, or for none, is not told: the poller was armed
 *       again with the newer one, and tells again. */
#include "sk_socket_ready.h"

#include "sk_poller.h"
#include "sk_socket_life.h"
#include "sk_socket_tell.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define ALL_EVENTS (SK_POLLER_READABLE | SK_POLLER_WRITABLE)

/* Neither is ever called: nothing is wanted to be read, and nothing can be sent. */
static const struct sk_socket_ops ready_ops = {.kind = SK_SOCKET_READINESS};

int
sk_socket_ready_open(struct sk_sockets *sockets, uint32_t owner, int fd,
		     char error[SK_SOCKET_LINE_SIZE])
{
	struct sk_socket_seed seed = {
		.ops = &ready_ops,
		.stage = SK_SOCKET_OPEN,
		.owner = owner,
		.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0),
	};
	if (seed.fd < 0) {
		char reason[SK_SOCKET_TEXT_MAX];
		(void)snprintf(error, SK_SOCKET_LINE_SIZE, "socket: cannot watch descriptor %d: %s",
			       fd, sk_socket_error_text(errno, reason));
		return SK_ESYSTEM;
	}
	int id = sk_socket_add(sockets, &seed);
	if (id < 0) {
		(void)close(seed.fd); /* the other one stays */
		return sk_socket_too_many("watch", error);
	}
	return id;
}

void
sk_socket_ready_event(struct sk_sockets *sockets, struct sk_socket *s, unsigned flags)
{
	unsigned told = flags & (s->awaited | SK_POLLER_HANGUP);
	if (s->awaited == 0 || told == 0)
		return; /* A2 */
	s->awaited = 0;
	sk_socket_tell(sockets, s, SKYNET_SOCKET_TYPE_READY, (int)told, NULL);
}

/* Has the poller tell once. Returns 0, or SK_ESYSTEM with errno set.  [locked s->lock] */
static int
arm(struct sk_sockets *sockets, struct sk_socket *s, unsigned what)
{
	struct sk_poller *poller = &sockets->core->scheduler.poller;
	s->awaited = (uint8_t)what; /* A1 */
	if (what == 0) {
		sk_poller_remove(poller, s->fd);
		s->is_watched = false;
		return SK_OK;
	}
	if (sk_poller_arm(poller, s->fd, (uint64_t)sk_socket_id(s), what, !s->is_watched) ==
	    SK_OK) {
		s->is_watched = true;
		return SK_OK;
	}
	s->awaited = 0;
	if (errno != EPERM)
		return SK_ESYSTEM;
	s->awaited = (uint8_t)what; /* a plain file, which is always ready */
	sk_socket_ready_event(sockets, s, what);
	return SK_OK;
}

int
sk_socket_ready_await(struct sk_sockets *sockets, int id, int what, char error[SK_SOCKET_LINE_SIZE])
{
	char reason[SK_SOCKET_TEXT_MAX];
	error[0] = '\0';
	if (what & ~ALL_EVENTS) {
		(void)snprintf(error, SK_SOCKET_LINE_SIZE,
			       "socket: rearm %d: %d is not made of 1 (readable) and 2 (writable)",
			       id, what);
		return SK_EINVAL;
	}
	int result = SK_ENOENT;
	struct sk_socket *s = sk_socket_enter(sockets, id);
	if (!s)
		return result;
	if (s->ops->kind == SK_SOCKET_READINESS)
		result = arm(sockets, s, (unsigned)what);
	if (result == SK_ESYSTEM)
		(void)snprintf(error, SK_SOCKET_LINE_SIZE, "socket: rearm %d: %s", id,
			       sk_socket_error_text(errno, reason));
	sk_socket_leave(sockets, s);
	return result;
}
