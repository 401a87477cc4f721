/* sk_socket_tls.h: connections that speak TLS.
 *
 * Threads    [locked s->lock] where a function takes a socket, which it may end.
 */
#ifndef SK_SOCKET_TLS_H
#define SK_SOCKET_TLS_H

#include "sk_socket_table.h"
#include "sk_tls.h"
#include "skynet_socket.h"

/* A TCP connection, s->tls not NULL. */
extern const struct sk_socket_ops sk_socket_tls_ops;

/* What a listener (role server) or a connection to host (client) needs for TLS with these options.
 * Reads files. Returns NULL with one line in error.  [no lock held] */
struct sk_socket_tls *sk_socket_tls_new(struct sk_sockets *sockets,
					const struct skynet_tls_options *options,
					enum sk_tls_role role, const char *host,
					char error[SK_SOCKET_LINE_SIZE]);
/* What a connection gets from its listener. */
struct sk_socket_tls *sk_socket_tls_of_listener(const struct sk_socket_tls *listener);

/* Begins the handshake of a socket that is connected and watched. From then on it is SECURING.
 * text: of the CONNECT that tells the owner of success; constant, or NULL: the peer's IP. */
void sk_socket_tls_begin(struct sk_sockets *sockets, struct sk_socket *s, const char *text);
/* The poller said something about a socket that is SECURING. */
void sk_socket_tls_event(struct sk_sockets *sockets, struct sk_socket *s);
/* The handshake has taken too long. */
void sk_socket_tls_timed_out(struct sk_sockets *sockets, struct sk_socket *s);

/* Goes on in TLS on a plain connection; see skynet_socket_secure. tls: taken. Returns 0, or a
 * negative sk_error with one line in error.  [no lock held] */
int sk_socket_secure(struct sk_sockets *sockets, int id, struct sk_socket_tls *tls,
		     char error[SK_SOCKET_LINE_SIZE]);

/* Returns 0, or SK_ENOENT: no such socket, or its handshake is not over.  [no lock held] */
int sk_socket_tls_describe(struct sk_sockets *sockets, int id, struct skynet_tls_info *info);

#endif
