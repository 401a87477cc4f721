/* sk_socket_udp.c: datagrams, both ways.
 *
 * A datagram is sent at once, in the sender's call: nothing is won by keeping it, and the sender
 * learns of an error. Only when the kernel has no room it waits, with its address in front, for the
 * edge that says there is. A datagram that cannot be sent is dropped and never tried again.
 *
 * Up to UNCONSUMED_MAX datagrams are with the owner at a time (R1), so that a burst costs one
 * system call each; what comes on top of it waits in the kernel's buffer, which drops what it
 * cannot hold.
 *
 * The default peer is only an address to send to: datagrams from others still arrive. A peer given
 * by name is looked up first; what is sent to it until then waits. */
#include "sk_socket_udp.h"

#include "sk_clock.h"
#include "sk_hosts.h"
#include "sk_resolver.h"
#include "sk_socket_life.h"
#include "sk_socket_tell.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define UNCONSUMED_MAX 16
/* A read may find an error instead of a datagram (an ICMP answer to one of ours): so many in a row
 * are skipped. */
#define ERRORS_MAX 16

/* --- reading ------------------------------------------------------------------------------- */

static void
hand_over_datagram(struct sk_sockets *sockets, struct sk_socket *s, size_t size,
		   const struct sk_address *from)
{
	size_t address_size = sk_address_size(from);
	char *buffer = skynet_malloc(size + address_size);
	memcpy(buffer, sk_socket_scratch, size);
	memcpy(buffer + size, from->bytes, address_size);
	s->read_count += size;
	s->read_ticks = sk_clock_ticks();
	(void)sk_socket_hand_over(sockets, s, SKYNET_SOCKET_TYPE_UDP, (int)size, buffer, NULL);
}

/* Whether an error is about a datagram, or about the descriptor. */
static bool
is_passing(int error)
{
	return error == EINTR || error == ECONNREFUSED || error == EHOSTUNREACH ||
	       error == ENETUNREACH || error == ENETDOWN || error == EHOSTDOWN || error == EPROTO ||
	       error == ENOPROTOOPT || error == ECONNRESET;
}

static void
read_datagrams(struct sk_sockets *sockets, struct sk_socket *s)
{
	int errors = 0;
	while (s->unconsumed < UNCONSUMED_MAX && s->owner_state == SK_SOCKET_OWNER_LIVES &&
	       errors < ERRORS_MAX) {
		union sk_address_system system = {0};
		struct sk_address from;
		socklen_t system_size = sizeof system;
		ssize_t size = recvfrom(s->fd, sk_socket_scratch, sizeof sk_socket_scratch, 0,
					&system.any, &system_size);
		if (size >= 0) {
			sk_address_from_system(&from, &system);
			hand_over_datagram(sockets, s, (size_t)size, &from);
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			s->is_readable = false;
			return;
		} else if (!is_passing(errno)) {
			sk_socket_fail_system(sockets, s, errno);
			return;
		} else {
			errors++;
		}
	}
}

/* --- sending ------------------------------------------------------------------------------- */

/* Returns 0 or an errno value. */
static int
send_datagram(struct sk_socket *s, const struct sk_address *to, const void *bytes, size_t size)
{
	union sk_address_system system;
	ssize_t sent;
	socklen_t system_size = sk_address_to_system(to, &system);
	do
		sent = sendto(s->fd, bytes, size, MSG_NOSIGNAL, &system.any, system_size);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return errno == EWOULDBLOCK ? EAGAIN : errno;
	s->write_bytes += size;
	s->write_ticks = sk_clock_ticks();
	return 0;
}

/* A piece of a datagram socket's output is an address and then the datagram's bytes. The address
 * has kind NONE when the default peer's was not known yet. */
static struct sk_output_piece *
new_datagram_piece(const struct sk_address *to, const void *bytes, size_t size)
{
	char *block = skynet_malloc(sizeof *to + size);
	memcpy(block, to, sizeof *to);
	memcpy(block + sizeof *to, bytes, size);
	return sk_output_piece_take(block, sizeof *to + size);
}

static void
flush_datagrams(struct sk_sockets *sockets, struct sk_socket *s)
{
	const struct sk_output_piece *piece;
	if (s->is_resolving)
		return;
	while ((piece = sk_output_first(&s->output))) {
		struct sk_address to;
		const char *bytes = piece->start;
		memcpy(&to, bytes, sizeof to);
		if (sk_address_kind(&to) == SK_ADDRESS_NONE)
			to = s->address;
		int error = send_datagram(s, &to, bytes + sizeof to, piece->size - sizeof to);
		if (error == EAGAIN) {
			s->is_writable = false; /* W2 */
			return;
		}
		if (error != 0)
			sk_socket_count(sockets, SK_SOCKET_DATAGRAM_DROPPED);
		sk_output_drop_first(&s->output);
	}
}

static int
keep_datagram(struct sk_sockets *sockets, struct sk_socket *s, const struct sk_address *to,
	      const void *bytes, size_t size)
{
	size_t limit = sockets->output_limit_bytes;
	if (limit > 0 && s->output.bytes > 0 && s->output.bytes + size > limit) {
		sk_socket_count(sockets, SK_SOCKET_DATAGRAM_DROPPED);
		return SK_ELIMIT;
	}
	sk_output_add(&s->output, new_datagram_piece(to, bytes, size), false);
	sk_socket_check_output(sockets, s);
	return SK_OK;
}

/* Checks who a datagram is for. Returns 0, or SK_EINVAL with one line in error. */
static int
check_peer(const struct sk_socket *s, const struct sk_address *to, size_t size,
	   char error[SK_SOCKET_LINE_SIZE])
{
	char text[SK_ADDRESS_TEXT_SIZE];
	if (sk_address_kind(to) == s->ip_kind)
		return SK_OK;
	sk_address_print(to, text);
	if (sk_address_kind(to) == SK_ADDRESS_NONE)
		(void)snprintf(
			error, SK_SOCKET_LINE_SIZE,
			"socket: udp %d drops %zu bytes: no address is given, and no default "
			"peer is set",
			sk_socket_id(s), size);
	else
		(void)snprintf(error, SK_SOCKET_LINE_SIZE,
			       "socket: udp %d drops %zu bytes to %s: it sends to IPv%c only",
			       sk_socket_id(s), size, text,
			       s->ip_kind == SK_ADDRESS_IPV4 ? '4' : '6');
	return SK_EINVAL;
}

static int
send_or_keep(struct sk_sockets *sockets, struct sk_socket *s, const struct sk_address *to,
	     const void *bytes, size_t size, char error[SK_SOCKET_LINE_SIZE])
{
	char reason[SK_SOCKET_TEXT_MAX];
	char text[SK_ADDRESS_TEXT_SIZE];
	bool is_to_default = sk_address_kind(to) == SK_ADDRESS_NONE;
	if (s->is_resolving && is_to_default)
		return keep_datagram(sockets, s, to, bytes, size);
	if (is_to_default)
		to = &s->address;
	if (check_peer(s, to, size, error) != SK_OK)
		return SK_EINVAL;
	if (s->output.bytes > 0)
		return keep_datagram(sockets, s, to, bytes, size); /* behind the others */
	int failure = send_datagram(s, to, bytes, size);
	if (failure == 0)
		return SK_OK;
	if (failure == EAGAIN) {
		s->is_writable = false; /* W2 */
		return keep_datagram(sockets, s, to, bytes, size);
	}
	sk_socket_count(sockets, SK_SOCKET_DATAGRAM_DROPPED);
	sk_address_print(to, text);
	(void)snprintf(error, SK_SOCKET_LINE_SIZE, "socket: udp %d drops %zu bytes to %s: %s",
		       sk_socket_id(s), size, text, sk_socket_error_text(failure, reason));
	return SK_ESYSTEM;
}

int
sk_socket_udp_send(struct sk_sockets *sockets, int id, const struct sk_address *to,
		   const void *bytes, size_t size, char error[SK_SOCKET_LINE_SIZE])
{
	int result = SK_ENOENT;
	struct sk_socket *s = sk_socket_enter(sockets, id);
	error[0] = '\0';
	if (!s)
		return SK_ENOENT;
	if (s->ops->kind == SK_SOCKET_DATAGRAM && s->stage < SK_SOCKET_CLOSING)
		result = send_or_keep(sockets, s, to, bytes, size, error);
	sk_socket_leave(sockets, s);
	return result;
}

/* As a stream is written to: to the default peer. */
static int
send_to_default(struct sk_sockets *sockets, struct sk_socket *s, const void *bytes, size_t size,
		char error[SK_SOCKET_LINE_SIZE])
{
	const struct sk_address nobody = {0};
	if (s->stage >= SK_SOCKET_CLOSING)
		return SK_ENOENT;
	return send_or_keep(sockets, s, &nobody, bytes, size, error);
}

/* --- opening ------------------------------------------------------------------------------- */

static const struct sk_socket_ops datagram_ops = {
	.kind = SK_SOCKET_DATAGRAM,
	.read = read_datagrams,
	.flush = flush_datagrams,
	.send = send_to_default,
};

/* Returns a descriptor, or -1 with errno set. */
static int
open_descriptor(int ip_kind)
{
	return socket(ip_kind == SK_ADDRESS_IPV6 ? AF_INET6 : AF_INET,
		      SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* The same, bound to an address. */
static int
open_bound_descriptor(const struct sk_address *address)
{
	union sk_address_system system;
	socklen_t size = sk_address_to_system(address, &system);
	int fd = open_descriptor(sk_address_kind(address));
	if (fd < 0 || bind(fd, &system.any, size) == 0)
		return fd;
	int error = errno;
	(void)close(fd);
	errno = error;
	return -1;
}

/* fd: taken; negative: opening it has failed, with errno. */
static int
add_open_socket(struct sk_sockets *sockets, uint32_t owner, int fd, int ip_kind,
		const struct sk_address *peer, char error[SK_SOCKET_LINE_SIZE])
{
	char reason[SK_SOCKET_TEXT_MAX];
	struct sk_socket_seed seed = {
		.ops = &datagram_ops,
		.stage = SK_SOCKET_OPEN,
		.owner = owner,
		.fd = fd,
		.is_reading = true,
		.is_writable = true,
		.ip_kind = ip_kind,
		.address = *peer,
	};
	if (fd < 0) {
		(void)snprintf(error, SK_SOCKET_LINE_SIZE, "socket: cannot open udp: %s",
			       sk_socket_error_text(errno, reason));
		return SK_ESYSTEM;
	}
	int id = sk_socket_add(sockets, &seed);
	if (id < 0) {
		(void)close(fd);
		return sk_socket_too_many("open udp", error);
	}
	struct sk_socket *s = sk_socket_enter(sockets, id);
	if (!s)
		return id;
	if (sk_socket_watch(sockets, s) != SK_OK)
		sk_socket_fail_system(sockets, s, errno);
	sk_socket_leave(sockets, s);
	return id;
}

int
sk_socket_udp_open(struct sk_sockets *sockets, uint32_t owner, const char *host, int port,
		   char error[SK_SOCKET_LINE_SIZE])
{
	static const struct sk_address no_peer;
	struct sk_address address;
	if ((!host || host[0] == '\0') && port == 0)
		return add_open_socket(sockets, owner, open_descriptor(SK_ADDRESS_IPV4),
				       SK_ADDRESS_IPV4, &no_peer, error);
	int result = sk_hosts_find_local(&address, host, port, error, SK_SOCKET_LINE_SIZE);
	if (result != SK_OK)
		return result;
	result = add_open_socket(sockets, owner, open_bound_descriptor(&address),
				 sk_address_kind(&address), &no_peer, error);
	if (result == SK_ESYSTEM) {
		char text[SK_ADDRESS_TEXT_SIZE];
		char reason[SK_SOCKET_TEXT_MAX];
		sk_address_print(&address, text);
		(void)snprintf(error, SK_SOCKET_LINE_SIZE, "socket: cannot open udp %s: %s", text,
			       sk_socket_error_text(errno, reason));
	}
	return result;
}

/* --- the default peer ---------------------------------------------------------------------- */

static bool
is_peer_valid(const char *host, int port, char error[SK_SOCKET_LINE_SIZE])
{
	if (host && host[0] != '\0' && port > 0 && port <= SK_ADDRESS_PORT_MAX)
		return true;
	(void)snprintf(
		error, SK_SOCKET_LINE_SIZE,
		"socket: %s:%d is no address of a udp peer: give a host, and a port from 1 to "
		"65535",
		host ? host : "", port);
	return false;
}

static int
look_up_peer(struct sk_sockets *sockets, int id, const char *host, int port,
	     char error[SK_SOCKET_LINE_SIZE])
{
	char reason[SK_SOCKET_TEXT_MAX];
	if (sk_resolver_look_up(sockets->resolver, id, host, port) == SK_OK)
		return SK_OK;
	(void)snprintf(error, SK_SOCKET_LINE_SIZE, "socket: cannot look up %s: %s", host,
		       sk_socket_error_text(errno, reason));
	return SK_ESYSTEM;
}

static int
dial_by_name(struct sk_sockets *sockets, uint32_t owner, const char *host, int port,
	     char error[SK_SOCKET_LINE_SIZE])
{
	struct sk_socket_seed seed = {
		.ops = &datagram_ops,
		.stage = SK_SOCKET_RESOLVING,
		.owner = owner,
		.fd = -1,
		.is_reading = true,
		.is_resolving = true,
	};
	int id = sk_socket_add(sockets, &seed);
	if (id < 0)
		return sk_socket_too_many("open udp", error);
	int result = look_up_peer(sockets, id, host, port, error);
	if (result == SK_OK)
		return id;
	sk_socket_end_by_id(sockets, id);
	return result;
}

int
sk_socket_udp_dial(struct sk_sockets *sockets, uint32_t owner, const char *host, int port,
		   char error[SK_SOCKET_LINE_SIZE])
{
	struct sk_address peer;
	if (!is_peer_valid(host, port, error))
		return SK_EINVAL;
	if (sk_address_parse(&peer, host, port) != SK_OK)
		return dial_by_name(sockets, owner, host, port, error);
	int kind = sk_address_kind(&peer);
	return add_open_socket(sockets, owner, open_descriptor(kind), kind, &peer, error);
}

/* [locked s->lock] */
static int
set_peer(struct sk_sockets *sockets, struct sk_socket *s, const char *host, int port,
	 char error[SK_SOCKET_LINE_SIZE])
{
	struct sk_address peer;
	if (sk_address_parse(&peer, host, port) != SK_OK) {
		int result = look_up_peer(sockets, sk_socket_id(s), host, port, error);
		if (result == SK_OK)
			s->is_resolving = true;
		return result;
	}
	if (sk_address_kind(&peer) != s->ip_kind) {
		(void)snprintf(error, SK_SOCKET_LINE_SIZE,
			       "socket: udp %d cannot send to %s: it is IPv%c", sk_socket_id(s),
			       host, s->ip_kind == SK_ADDRESS_IPV4 ? '4' : '6');
		return SK_EINVAL;
	}
	s->address = peer;
	s->is_resolving = false; /* an answer that comes later is of no use */
	sk_socket_flush(sockets, s);
	return SK_OK;
}

int
sk_socket_udp_connect(struct sk_sockets *sockets, int id, const char *host, int port,
		      char error[SK_SOCKET_LINE_SIZE])
{
	int result = SK_ENOENT;
	if (!is_peer_valid(host, port, error))
		return SK_EINVAL;
	(void)snprintf(error, SK_SOCKET_LINE_SIZE, "socket: %d is no open udp socket", id);
	struct sk_socket *s = sk_socket_enter(sockets, id);
	if (!s)
		return result;
	if (s->ops->kind == SK_SOCKET_DATAGRAM && s->stage == SK_SOCKET_OPEN)
		result = set_peer(sockets, s, host, port, error);
	sk_socket_leave(sockets, s);
	return result;
}

/* The first address that the socket can send to, or NULL. */
static const struct sk_address *
choose_peer(const struct sk_socket *s, const struct sk_address_list *list)
{
	for (int i = 0; i < list->count; i++)
		if (s->fd < 0 || sk_address_kind(&list->addresses[i]) == s->ip_kind)
			return &list->addresses[i];
	return NULL;
}

void
sk_socket_datagram_unresolved(struct sk_sockets *sockets, struct sk_socket *s, const char *reason)
{
	if (s->stage == SK_SOCKET_RESOLVING) {
		sk_socket_fail_birth(sockets, s, reason);
		return;
	}
	s->is_resolving = false;
	sk_output_clear(&s->output); /* nobody knows where to */
	sk_socket_tell(sockets, s, SKYNET_SOCKET_TYPE_ERROR, 0, reason);
}

void
sk_socket_datagram_resolved(struct sk_sockets *sockets, struct sk_socket *s,
			    const struct sk_address_list *list)
{
	const struct sk_address *peer = choose_peer(s, list);
	if (!peer) {
		sk_socket_datagram_unresolved(
			sockets, s, "the peer's name has no address of the socket's kind");
		return;
	}
	if (s->fd < 0) {
		s->ip_kind = (uint8_t)sk_address_kind(peer);
		s->fd = open_descriptor(s->ip_kind);
		if (s->fd < 0 || sk_socket_watch(sockets, s) != SK_OK) {
			sk_socket_fail_system(sockets, s, errno);
			return;
		}
	}
	s->stage = SK_SOCKET_OPEN;
	s->is_resolving = false;
	s->address = *peer;
	s->is_writable = true;
	sk_socket_flush(sockets, s);
}
