/* sk_socket_control.h: start, pause, close, and descriptors that somebody else has opened.
 *
 * Threads    [no lock held]. A socket that does not exist: nothing is done, but start tells ERROR.
 */
#ifndef SK_SOCKET_CONTROL_H
#define SK_SOCKET_CONTROL_H

#include "sk_socket_table.h"

/* Returns an id; or a negative sk_error, with one line in error. */
int sk_socket_bind(struct sk_sockets *sockets, uint32_t owner, int fd,
		   char error[SK_SOCKET_LINE_SIZE]);
void sk_socket_start(struct sk_sockets *sockets, uint32_t caller, int id);
void sk_socket_pause(struct sk_sockets *sockets, int id);
void sk_socket_ask_close(struct sk_sockets *sockets, int id);
void sk_socket_shutdown(struct sk_sockets *sockets, int id);
void sk_socket_nodelay(struct sk_sockets *sockets, int id);

#endif
