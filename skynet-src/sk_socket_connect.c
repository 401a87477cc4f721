/* sk_socket_connect.c: connections that go out.
 *
 * An address in numbers is tried at once, in the caller's call, without waiting for the outcome. A
 * name is looked up by the resolver; its addresses are then tried one after the other until one
 * takes the connection. The owner is told the outcome: CONNECT, or ERROR with the reason of the
 * last address. What is sent before that waits (W2). */
#include "sk_socket_connect.h"

#include "sk_poller.h"
#include "sk_resolver.h"
#include "sk_socket_life.h"
#include "sk_socket_stream.h"
#include "sk_socket_tell.h"
#include "sk_socket_udp.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- one address --------------------------------------------------------------------------- */

static void
drop_descriptor(struct sk_socket *s)
{
	if (s->fd >= 0)
		(void)close(s->fd); /* the poller forgets it with that */
	s->fd = -1;
	s->is_watched = false;
	s->is_readable = false;
	s->is_hung_up = false;
}

/* Begins to connect to s->address. Returns 0, or SK_ESYSTEM with errno set. */
static int
begin(struct sk_sockets *sockets, struct sk_socket *s)
{
	union sk_address_system system;
	socklen_t size = sk_address_to_system(&s->address, &system);
	drop_descriptor(s);
	s->fd = socket(system.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return SK_ESYSTEM;
	/* May be refused without harm: the one finds dead peers, the other saves time. */
	(void)setsockopt(s->fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
	if (s->wants_nodelay)
		(void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	if (connect(s->fd, &system.any, size) < 0 && errno != EINPROGRESS)
		return SK_ESYSTEM;
	s->stage = SK_SOCKET_CONNECTING;
	return sk_socket_watch(sockets, s); /* tells an outcome that is there already, too */
}

/* Makes the next address s->address. Returns false if there is none. */
static bool
take_next_address(struct sk_socket *s)
{
	struct sk_address_list *list = s->alternatives;
	if (!list || list->next >= list->count)
		return false;
	s->address = list->addresses[list->next++];
	return true;
}

static void
give_up(struct sk_sockets *sockets, struct sk_socket *s, int error)
{
	char reason[SK_SOCKET_TEXT_MAX];
	sk_socket_fail_birth(sockets, s, sk_socket_error_text(error, reason));
}

/* Connects to s->address, and if that fails at once to the next ones. */
static void
begin_first_possible(struct sk_sockets *sockets, struct sk_socket *s)
{
	while (begin(sockets, s) != SK_OK) {
		int error = errno;
		if (!take_next_address(s)) {
			give_up(sockets, s, error);
			return;
		}
	}
}

/* --- the outcome --------------------------------------------------------------------------- */

static void
succeed(struct sk_sockets *sockets, struct sk_socket *s)
{
	char text[SK_ADDRESS_TEXT_SIZE];
	skynet_free(s->alternatives);
	s->alternatives = NULL;
	s->stage = SK_SOCKET_OPEN;
	s->is_writable = true;
	sk_address_print_ip(&s->address, text);
	sk_socket_tell(sockets, s, SKYNET_SOCKET_TYPE_CONNECT, 0, text);
	sk_socket_flush(sockets, s);
	sk_socket_read_on(sockets, s);
}

void
sk_socket_connect_event(struct sk_sockets *sockets, struct sk_socket *s, unsigned flags)
{
	int error = 0;
	socklen_t size = sizeof error;
	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		error = errno;
	if (error == 0 && (flags & SK_POLLER_WRITABLE))
		succeed(sockets, s);
	else if (error != 0 && take_next_address(s))
		begin_first_possible(sockets, s);
	else if (error != 0)
		give_up(sockets, s, error);
}

/* list: taken, or NULL. */
static void
stream_resolved(struct sk_sockets *sockets, struct sk_socket *s, struct sk_address_list *list,
		const char *error)
{
	if (!list) {
		sk_socket_fail_birth(sockets, s, error);
		return;
	}
	s->alternatives = list;
	(void)take_next_address(s); /* there is one */
	begin_first_possible(sockets, s);
}

static void
datagram_resolved(struct sk_sockets *sockets, struct sk_socket *s, struct sk_address_list *list,
		  const char *error)
{
	if (list)
		sk_socket_datagram_resolved(sockets, s, list);
	else
		sk_socket_datagram_unresolved(sockets, s, error);
	skynet_free(list);
}

void
sk_socket_resolved(void *ud, int id, struct sk_address_list *list, const char *error)
{
	struct sk_sockets *sockets = ud;
	struct sk_socket *s = sk_socket_enter(sockets, id);
	if (!s) { /* closed meanwhile */
		skynet_free(list);
		return;
	}
	if (s->ops->kind == SK_SOCKET_DATAGRAM && s->is_resolving)
		datagram_resolved(sockets, s, list, error);
	else if (s->ops->kind == SK_SOCKET_STREAM && s->stage == SK_SOCKET_RESOLVING)
		stream_resolved(sockets, s, list, error);
	else /* a datagram socket has been given another peer */
		skynet_free(list);
	sk_socket_leave(sockets, s);
}

/* --- the request --------------------------------------------------------------------------- */

static void
connect_by_number(struct sk_sockets *sockets, int id)
{
	struct sk_socket *s = sk_socket_enter(sockets, id);
	if (!s)
		return;
	begin_first_possible(sockets, s);
	sk_socket_leave(sockets, s);
}

int
sk_socket_connect(struct sk_sockets *sockets, uint32_t owner, const char *host, int port,
		  const struct skynet_socket_options *options, char error[SK_SOCKET_LINE_SIZE])
{
	(void)options; /* none is about connections that go out yet */
	struct sk_socket_seed seed = {
		.ops = &sk_socket_stream_ops,
		.stage = SK_SOCKET_RESOLVING,
		.owner = owner,
		.fd = -1,
		.is_reading = true,
	};
	if (!host || host[0] == '\0' || port < 1 || port > 65535) {
		(void)snprintf(error, SK_SOCKET_LINE_SIZE,
			       "socket: cannot connect to %s:%d: give a host, and a port from 1 to "
			       "65535",
			       host ? host : "", port);
		return SK_EINVAL;
	}
	bool is_number = sk_address_parse(&seed.address, host, port) == SK_OK;
	int id = sk_socket_add(sockets, &seed);
	if (id < 0)
		return sk_socket_too_many("connect", error);
	if (is_number) {
		connect_by_number(sockets, id);
		return id;
	}
	if (sk_resolver_look_up(sockets->resolver, id, host, port) == SK_OK)
		return id;
	char reason[SK_SOCKET_TEXT_MAX];
	(void)snprintf(error, SK_SOCKET_LINE_SIZE, "socket: cannot look up %s: %s", host,
		       sk_socket_error_text(errno, reason));
	sk_socket_end_by_id(sockets, id);
	return SK_ESYSTEM;
}
