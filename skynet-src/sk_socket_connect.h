/* sk_socket_connect.h: connections that go out. */
#ifndef SK_SOCKET_CONNECT_H
#define SK_SOCKET_CONNECT_H

#include "sk_socket_table.h"
#include "skynet_socket.h"

/* Returns an id; or a negative sk_error, with one line in error.  [no lock held] */
int sk_socket_connect(struct sk_sockets *sockets, uint32_t owner, const char *host, int port,
		      const struct skynet_socket_options *options, char error[SK_SOCKET_LINE_SIZE]);
/* The poller said something about a socket that is CONNECTING. It may end.  [locked s->lock] */
void sk_socket_connect_event(struct sk_sockets *sockets, struct sk_socket *s, unsigned flags);
/* The resolver's answer; see sk_resolver.h. ud: the sockets.  [no lock held] */
void sk_socket_resolved(void *ud, int id, struct sk_address_list *list, const char *error);

#endif
