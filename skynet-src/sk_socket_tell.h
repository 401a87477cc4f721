/* sk_socket_tell.h: what services are told about sockets.
 *
 * Threads    [locked s->lock] where a function takes a socket, whose owner_state may change:
 *            the telling has found the owner dead.
 */
#ifndef SK_SOCKET_TELL_H
#define SK_SOCKET_TELL_H

#include "sk_socket_table.h"
#include "skynet_socket.h"

/* Tells the owner. text: at most SK_SOCKET_TEXT_MAX bytes of it are told; or NULL. */
void sk_socket_tell(struct sk_sockets *sockets, struct sk_socket *s, int type, int ud,
		    const char *text);
/* Tells CONNECT with the address of the peer, or of a listener: the IP, or the host of a
 * Unix-domain socket. */
void sk_socket_tell_address(struct sk_sockets *sockets, struct sk_socket *s, int ud);
/* Hands the owner a DATA, UDP or ACCEPT message (R1). buffer: taken, or NULL. Returns false when
 * the owner is dead. */
bool sk_socket_hand_over(struct sk_sockets *sockets, struct sk_socket *s, int type, int ud,
			 char *buffer, const char *text);
/* Tells the owner CLOSE, once (C1). */
void sk_socket_tell_close(struct sk_sockets *sockets, struct sk_socket *s);
/* Tells anybody about a socket.  [no lock needed] */
void sk_socket_tell_handle(struct sk_sockets *sockets, uint32_t handle, int id, int type,
			   const char *text);
/* Whether this thread is posting a message of a socket, whose lock it holds. */
bool sk_socket_is_telling(void);
/* Tells WARNING when the output has grown past a mark, or is empty again. */
void sk_socket_check_output(struct sk_sockets *sockets, struct sk_socket *s);

/* The system's text for an error number. Returns text. */
const char *sk_socket_error_text(int error, char text[SK_SOCKET_TEXT_MAX]);

#endif
