/* sk_socket_write.h: what services send, until the end of the turn. */
#ifndef SK_SOCKET_WRITE_H
#define SK_SOCKET_WRITE_H

#include "sk_socket_table.h"

/* Queues a piece, and sees to it that it leaves: at the end of the turn if one runs. A datagram
 * goes to the default peer. piece: taken. Returns 0, SK_ENOENT (no such socket, or it does not send
 * any more) or SK_ELIMIT (it had too much waiting and is closed now); another negative sk_error for
 * a datagram. error: then one line, or "".  [any, no lock held] */
int sk_socket_send(struct sk_sockets *sockets, int id, struct sk_output_piece *piece, bool is_low,
		   char error[SK_SOCKET_LINE_SIZE]);
/* The same for no bytes: nothing, or an empty datagram. */
int sk_socket_send_nothing(struct sk_sockets *sockets, int id, char error[SK_SOCKET_LINE_SIZE]);

#endif
