/* sk_socket_listen.h: ports, and the connections that come in. */
#ifndef SK_SOCKET_LISTEN_H
#define SK_SOCKET_LISTEN_H

#include "sk_socket_table.h"
#include "skynet_socket.h"

/* Returns an id; or a negative sk_error, with one line in error.  [no lock held] */
int sk_socket_listen(struct sk_sockets *sockets, uint32_t owner, const char *host, int port,
		     const struct skynet_socket_options *options, char error[SK_SOCKET_LINE_SIZE]);

#endif
