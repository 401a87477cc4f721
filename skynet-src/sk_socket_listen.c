/* sk_socket_listen.c: ports, and the connections that come in.
 *
 * The backlog is as long as the system allows, and an edge is answered by accepting until nothing
 * is left, so a storm of clients does not lose connections to timeouts. It is the owner who sets
 * the pace: at most UNCONSUMED_MAX accepted connections are with it at a time (R1).
 *
 * Out of descriptors: one descriptor is kept in reserve. It is given up to accept the connection,
 * the connection is closed, and the reserve is opened again. So a client is told at once instead of
 * waiting for a timeout, the queue of the kernel empties, and no edge is needed that would never
 * come. If somebody else takes the descriptor that was given up, the listener is starved: it goes
 * on when a socket of the node ends, or when the next client comes. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4 */
#endif
#include "sk_socket_listen.h"

#include "sk_clock.h"
#include "sk_hosts.h"
#include "sk_poller.h"
#include "sk_socket_life.h"
#include "sk_socket_stream.h"
#include "sk_socket_tell.h"
#include "sk_socket_tls.h"
#include "sk_socket_unix.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#define UNCONSUMED_MAX 64
/* So many connections are refused in a row before others have their turn with the poller. */
#define REFUSED_MAX 64
#define COMPLAINT_INTERVAL_MS 1000

/* --- the spare descriptor ------------------------------------------------------------------ */

static int
open_spare(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Accepts one connection with the help of the spare descriptor, and closes it. Returns 0, EAGAIN
 * when there was none, or the error that stood in the way. */
static int
refuse_one(struct sk_sockets *sockets, struct sk_socket *s)
{
	int error = EMFILE;
	(void)pthread_mutex_lock(&sockets->spare_lock);
	if (sockets->spare_fd < 0)
		sockets->spare_fd = open_spare();
	if (sockets->spare_fd >= 0) {
		(void)close(sockets->spare_fd);
		int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
		error = fd >= 0 ? 0 : errno;
		if (fd >= 0)
			(void)close(fd);
		sockets->spare_fd = open_spare();
	}
	(void)pthread_mutex_unlock(&sockets->spare_lock);
	return error;
}

/* --- accepting ----------------------------------------------------------------------------- */

/* Tells the owner, at most once a second. */
static void
complain(struct sk_sockets *sockets, struct sk_socket *s, const char *text)
{
	uint64_t now_ms = sk_clock_ms();
	if (s->complained_ms != 0 && now_ms - s->complained_ms < COMPLAINT_INTERVAL_MS)
		return;
	s->complained_ms = now_ms;
	sk_socket_tell(sockets, s, SKYNET_SOCKET_TYPE_ERROR, 0, text);
}

static void
complain_system(struct sk_sockets *sockets, struct sk_socket *s, int error)
{
	char text[SK_SOCKET_TEXT_MAX];
	complain(sockets, s, sk_socket_error_text(error, text));
}

/* Makes a socket of an accepted connection and announces it. Returns false if it had to be
 * refused. */
static bool
admit(struct sk_sockets *sockets, struct sk_socket *s, int fd, const union sk_address_system *peer,
      socklen_t peer_size)
{
	char text[SK_SOCKET_TEXT_MAX];
	char reason[SK_SOCKET_LINE_SIZE];
	struct sk_socket_seed seed = {
		.ops = &sk_socket_stream_ops,
		.stage = SK_SOCKET_WAITING,
		.owner = s->owner,
		.fd = fd,
		.is_writable = true,
	};
	if (s->tls) {
		seed.ops = &sk_socket_tls_ops;
		seed.is_writable = false;
		seed.tls = sk_socket_tls_of_listener(s->tls);
	}
	sk_address_from_system(&seed.address, peer);
	int id = sk_socket_add(sockets, &seed);
	if (id < 0) {
		(void)close(fd);
		sk_socket_tls_free(seed.tls);
		(void)sk_socket_too_many("accept", reason);
		complain(sockets, s, reason);
		return false;
	}
	s->read_count++;
	s->read_ticks = sk_clock_ticks();
	if (sk_address_kind(&seed.address) == SK_ADDRESS_NONE)
		sk_socket_unix_print(peer, peer_size, text);
	else
		sk_address_print(&seed.address, text);
	if (!sk_socket_hand_over(sockets, s, SKYNET_SOCKET_TYPE_ACCEPT, id, NULL, text))
		s->lost_id = id; /* ended when this slot is unlocked (T3) */
	return true;
}

/* Out of descriptors. Returns true if it is worth going on. */
static bool
refuse(struct sk_sockets *sockets, struct sk_socket *s, int error)
{
	int result = refuse_one(sockets, s);
	if (result == EAGAIN || result == EWOULDBLOCK) {
		s->is_readable = false;
		return false;
	}
	complain_system(sockets, s, error);
	if (result == EMFILE || result == ENFILE) {
		atomic_store(&sockets->starved_id, sk_socket_id(s));
		return false;
	}
	sk_socket_count(sockets, SK_SOCKET_REFUSED_DESCRIPTORS);
	return true;
}

/* Whether an error is about the connection that was next, which is gone now, so that the one behind
 * it may be accepted. */
static bool
is_about_connection(int error)
{
	switch (error) {
	case EINTR:
	case ECONNABORTED:
	case EPERM: /* a firewall */
	case EPROTO:
	case ENOPROTOOPT:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case EOPNOTSUPP:
	case ETIMEDOUT:
		return true;
	default:
		return false;
	}
}

/* accept has failed. Returns true if it is worth going on. */
static bool
survive(struct sk_sockets *sockets, struct sk_socket *s, int error)
{
	if (error == EAGAIN || error == EWOULDBLOCK) {
		s->is_readable = false;
		return false;
	}
	if (is_about_connection(error))
		return true;
	if (error == EMFILE || error == ENFILE)
		return refuse(sockets, s, error);
	/* No memory, most likely: connections stay queued in the kernel. */
	complain_system(sockets, s, error);
	atomic_store(&sockets->starved_id, sk_socket_id(s));
	return false;
}

static void
accept_all(struct sk_sockets *sockets, struct sk_socket *s)
{
	int refused = 0;
	while (s->unconsumed < UNCONSUMED_MAX && s->owner_state == SK_SOCKET_OWNER_LIVES &&
	       refused < REFUSED_MAX) {
		union sk_address_system peer = {0};
		socklen_t size = sizeof peer;
		int fd = accept4(s->fd, &peer.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0)
			refused += !admit(sockets, s, fd, &peer, size);
		else if (survive(sockets, s, errno))
			refused++;
		else
			return;
	}
	if (refused >= REFUSED_MAX)
		sk_socket_have_told_again(sockets, s);
}

/* --- opening a port ------------------------------------------------------------------------ */

static const struct sk_socket_ops listener_ops = {
	.kind = SK_SOCKET_LISTENER,
	.read = accept_all,
};

/* A long queue costs nothing while it is empty: the kernel cuts it to what it allows. Returns a
 * descriptor that listens, or -1 with errno set. */
static int
open_port(const struct sk_address *address, const struct skynet_socket_options *options)
{
	int shares = options->shares_port != 0;
	union sk_address_system system;
	socklen_t size = sk_address_to_system(address, &system);
	int fd = socket(system.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) == 0 &&
	    (!shares || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &shares, sizeof shares) == 0) &&
	    bind(fd, &system.any, size) == 0 && listen(fd, INT_MAX) == 0)
		return fd;
	int error = errno;
	(void)close(fd);
	errno = error;
	return -1;
}

static void
tell_listening(struct sk_sockets *sockets, int id)
{
	struct sk_socket *s = sk_socket_enter(sockets, id);
	if (!s)
		return;
	sk_socket_tell_address(sockets, s, sk_address_port(&s->address));
	sk_socket_leave(sockets, s);
}

/* Makes a socket of a descriptor that listens. seed: its fd and unix_name are taken, tls if
 * there is room for the socket. */
static int
add_listener(struct sk_sockets *sockets, const struct sk_socket_seed *seed,
	     char error[SK_SOCKET_LINE_SIZE])
{
	int id = sk_socket_add(sockets, seed);
	if (id < 0) {
		sk_socket_unix_free(seed->unix_name);
		(void)close(seed->fd);
		return sk_socket_too_many("listen", error);
	}
	tell_listening(sockets, id);
	return id;
}

static int
listen_unix(struct sk_sockets *sockets, struct sk_socket_seed *seed, const char *host,
	    const struct skynet_socket_options *options, char error[SK_SOCKET_LINE_SIZE])
{
	char reason[SK_SOCKET_TEXT_MAX];
	if (options->shares_port) {
		(void)snprintf(error, SK_SOCKET_LINE_SIZE,
			       "socket: cannot listen on %.200s: a Unix-domain socket cannot be "
			       "shared (shares_port)",
			       host);
		return SK_EINVAL;
	}
	seed->unix_name = sk_socket_unix_new(host, error);
	if (!seed->unix_name)
		return SK_EINVAL;
	seed->fd = sk_socket_unix_listen(seed->unix_name);
	if (seed->fd >= 0)
		return add_listener(sockets, seed, error);
	(void)snprintf(error, SK_SOCKET_LINE_SIZE, "socket: cannot listen on %s: %s", host,
		       sk_socket_error_text(errno, reason));
	sk_socket_unix_free(seed->unix_name);
	return SK_ESYSTEM;
}

static int
listen_ip(struct sk_sockets *sockets, struct sk_socket_seed *seed, const char *host, int port,
	  const struct skynet_socket_options *options, char error[SK_SOCKET_LINE_SIZE])
{
	int result = sk_hosts_find_local(&seed->address, host, port, error, SK_SOCKET_LINE_SIZE);
	if (result != SK_OK)
		return result;
	seed->fd = open_port(&seed->address, options);
	if (seed->fd < 0) {
		char text[SK_ADDRESS_TEXT_SIZE];
		char reason[SK_SOCKET_TEXT_MAX];
		sk_address_print(&seed->address, text);
		(void)snprintf(error, SK_SOCKET_LINE_SIZE, "socket: cannot listen on %s: %s", text,
			       sk_socket_error_text(errno, reason));
		return SK_ESYSTEM;
	}
	sk_address_of_descriptor(&seed->address, seed->fd);
	return add_listener(sockets, seed, error);
}

int
sk_socket_listen(struct sk_sockets *sockets, uint32_t owner, const char *host, int port,
		 const struct skynet_socket_options *options, char error[SK_SOCKET_LINE_SIZE])
{
	struct sk_socket_seed seed = {
		.ops = &listener_ops,
		.stage = SK_SOCKET_WAITING,
		.owner = owner,
	};
	if (options->tls) {
		seed.tls = sk_socket_tls_new(sockets, options->tls, SK_TLS_SERVER, NULL, error);
		if (!seed.tls)
			return SK_EINVAL;
	}
	int id = sk_socket_unix_is_host(host)
			 ? listen_unix(sockets, &seed, host, options, error)
			 : listen_ip(sockets, &seed, host, port, options, error);
	if (id < 0)
		sk_socket_tls_free(seed.tls);
	return id;
}
