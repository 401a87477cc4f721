/* sk_socket_udp.h: datagrams, both ways.
 *
 * Threads    [locked s->lock] where a function takes a socket, which it may end; otherwise [no lock
 *            held].
 */
#ifndef SK_SOCKET_UDP_H
#define SK_SOCKET_UDP_H

#include "sk_socket_table.h"

/* The resolver found the peer of a datagram socket. list: borrowed. */
void sk_socket_datagram_resolved(struct sk_sockets *sockets, struct sk_socket *s,
				 const struct sk_address_list *list);
/* The same when there is none. */
void sk_socket_datagram_unresolved(struct sk_sockets *sockets, struct sk_socket *s,
				   const char *reason);
/* host NULL with port 0: not bound. Returns an id; or a negative sk_error, with one line in
 * error. */
int sk_socket_udp_open(struct sk_sockets *sockets, uint32_t owner, const char *host, int port,
		       char error[SK_SOCKET_LINE_SIZE]);
int sk_socket_udp_dial(struct sk_sockets *sockets, uint32_t owner, const char *host, int port,
		       char error[SK_SOCKET_LINE_SIZE]);
/* Sets the default peer. Returns 0; or a negative sk_error, with one line in error. */
int sk_socket_udp_connect(struct sk_sockets *sockets, int id, const char *host, int port,
			  char error[SK_SOCKET_LINE_SIZE]);
/* Sends one datagram. to: kind NONE means the default peer. bytes: borrowed. Returns 0; or a
 * negative sk_error, with one line in error, "" if it is not worth one. */
int sk_socket_udp_send(struct sk_sockets *sockets, int id, const struct sk_address *to,
		       const void *bytes, size_t size, char error[SK_SOCKET_LINE_SIZE]);

#endif
