/* sk_socket_ready.h: descriptors of others, watched for readiness only. */
#ifndef SK_SOCKET_READY_H
#define SK_SOCKET_READY_H

#include "sk_socket_table.h"

/* Returns an id; or a negative sk_error, with one line in error.  [no lock held] */
int sk_socket_ready_open(struct sk_sockets *sockets, uint32_t owner, int fd,
			 char error[SK_SOCKET_LINE_SIZE]);
/* Asks for one READY; what: of enum sk_poller_flag, 0: none any more. Returns 0; or a negative
 * sk_error, with one line in error.  [no lock held] */
int sk_socket_ready_await(struct sk_sockets *sockets, int id, int what,
			  char error[SK_SOCKET_LINE_SIZE]);
/* The poller said something about such a socket.  [locked s->lock] */
void sk_socket_ready_event(struct sk_sockets *sockets, struct sk_socket *s, unsigned flags);

#endif
