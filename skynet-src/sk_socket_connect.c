/* sk_socket_connect.c: connections that go out.
 *
 * An address in numbers is tried at once, in the caller's call, without waiting for the outcome. A
 * name is looked up by the resolver; its addresses are then tried one after the other, IPv6 and
 * IPv4 in turn, until one takes the connection. An address that does not answer has ATTEMPT_MS
 * before the next is tried, the last as long as the kernel likes. The owner is told the outcome:
 * CONNECT, or ERROR with the reason of the last address. What is sent before that waits (W2). */
#include "sk_socket_connect.h"

#include "sk_poller.h"
#include "sk_resolver.h"
#include "sk_socket_life.h"
#include "sk_socket_stream.h"
#include "sk_socket_tell.h"
#include "sk_socket_tls.h"
#include "sk_socket_udp.h"
#include "sk_socket_unix.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* How long an address may be silent while there are others. The kernel sends the first packet again
 * after a second, and looks at this only then. */
#define ATTEMPT_MS 1000

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

static bool
has_next_address(const struct sk_socket *s)
{
	return s->alternatives && s->alternatives->next < s->alternatives->count;
}

/* Has the kernel give up what is not answered for so long; 0: as long as it likes. May be refused
 * without harm: then it is long. */
static void
limit_attempt(const struct sk_socket *s, unsigned limit_ms)
{
	(void)setsockopt(s->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit_ms, sizeof limit_ms);
}

/* Begins to connect to s->address. Returns 0, or SK_ESYSTEM with errno set. */
static int
begin(struct sk_sockets *sockets, struct sk_socket *s)
{
	union sk_address_system system;
	socklen_t size = s->unix_name ? sk_socket_unix_to_system(s->unix_name, &system)
				      : sk_address_to_system(&s->address, &system);
	drop_descriptor(s);
	s->fd = socket(system.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return SK_ESYSTEM;
	/* May be refused without harm: the one finds dead peers, the other saves time. */
	(void)setsockopt(s->fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
	if (s->wants_nodelay)
		(void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	if (has_next_address(s))
		limit_attempt(s, ATTEMPT_MS);
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
	if (!has_next_address(s))
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
	if (s->alternatives)
		limit_attempt(s, 0); /* that was for connecting */
	skynet_free(s->alternatives);
	s->alternatives = NULL;
	if (s->tls) {
		sk_socket_tls_begin(sockets, s, NULL);
		return;
	}
	s->stage = SK_SOCKET_OPEN;
	s->is_writable = true;
	sk_socket_tell_address(sockets, s, 0);
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

/* Makes IPv6 and IPv4 take turns, so that one that does not work costs one attempt before the other
 * has its first. The first address stays the first. */
static void
interleave(struct sk_address_list *list)
{
	for (int i = 1; i < list->count; i++) {
		int kind = sk_address_kind(&list->addresses[i - 1]);
		int other = i;
		while (other < list->count && sk_address_kind(&list->addresses[other]) == kind)
			other++;
		if (other == list->count)
			return; /* the rest are of one kind */
		struct sk_address moved = list->addresses[other];
		memmove(&list->addresses[i + 1], &list->addresses[i],
			(size_t)(other - i) * sizeof moved);
		list->addresses[i] = moved;
	}
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
	interleave(list);
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

/* The address needs no look-up. */
static void
connect_at_once(struct sk_sockets *sockets, int id)
{
	struct sk_socket *s = sk_socket_enter(sockets, id);
	if (!s)
		return;
	begin_first_possible(sockets, s);
	sk_socket_leave(sockets, s);
}

/* Returns id, or SK_ESYSTEM with one line in error. */
static int
connect_by_name(struct sk_sockets *sockets, int id, const char *host, int port,
		char error[SK_SOCKET_LINE_SIZE])
{
	char reason[SK_SOCKET_TEXT_MAX];
	if (sk_resolver_look_up(sockets->resolver, id, host, port) == SK_OK)
		return id;
	(void)snprintf(error, SK_SOCKET_LINE_SIZE, "socket: cannot look up %s: %s", host,
		       sk_socket_error_text(errno, reason));
	sk_socket_end_by_id(sockets, id);
	return SK_ESYSTEM;
}

static bool
is_destination_valid(const char *host, int port, char error[SK_SOCKET_LINE_SIZE])
{
	if (sk_socket_unix_is_host(host))
		return true;
	if (host && host[0] != '\0' && port >= 1 && port <= SK_ADDRESS_PORT_MAX)
		return true;
	(void)snprintf(error, SK_SOCKET_LINE_SIZE,
		       "socket: cannot connect to %s:%d: give a host, and a port from 1 to 65535",
		       host ? host : "", port);
	return false;
}

static bool
add_tls(struct sk_sockets *sockets, struct sk_socket_seed *seed, const char *host,
	const struct skynet_tls_options *options, char error[SK_SOCKET_LINE_SIZE])
{
	seed->ops = &sk_socket_tls_ops;
	seed->tls = sk_socket_tls_new(sockets, options, SK_TLS_CLIENT,
				      seed->unix_name ? NULL : host, error);
	return seed->tls != NULL;
}

int
sk_socket_connect(struct sk_sockets *sockets, uint32_t owner, const char *host, int port,
		  const struct skynet_socket_options *options, char error[SK_SOCKET_LINE_SIZE])
{
	struct sk_socket_seed seed = {
		.ops = &sk_socket_stream_ops,
		.stage = SK_SOCKET_RESOLVING,
		.owner = owner,
		.fd = -1,
		.is_reading = true,
	};
	if (!is_destination_valid(host, port, error))
		return SK_EINVAL;
	if (sk_socket_unix_is_host(host) && !(seed.unix_name = sk_socket_unix_new(host, error)))
		return SK_EINVAL;
	if (options->tls && !add_tls(sockets, &seed, host, options->tls, error)) {
		sk_socket_unix_free(seed.unix_name);
		return SK_EINVAL;
	}
	bool is_known = seed.unix_name || sk_address_parse(&seed.address, host, port) == SK_OK;
	int id = sk_socket_add(sockets, &seed);
	if (id < 0) {
		sk_socket_unix_free(seed.unix_name);
		sk_socket_tls_free(seed.tls);
		return sk_socket_too_many("connect", error);
	}
	if (!is_known)
		return connect_by_name(sockets, id, host, port, error);
	connect_at_once(sockets, id);
	return id;
}
