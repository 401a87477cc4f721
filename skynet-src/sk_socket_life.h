/* sk_socket_life.h: what every socket does: read on, flush, fail, close, end.
 *
 * Threads    [locked s->lock] where a function takes a socket, which it may end (stage GONE);
 *            nothing is told of a socket after that.
 */
#ifndef SK_SOCKET_LIFE_H
#define SK_SOCKET_LIFE_H

#include "sk_socket_table.h"

/* One read, at most. */
#define SK_SOCKET_READ_BYTES 65536

/* Bytes are read here first, because nobody knows how many there are. One for each thread. */
extern _Thread_local char sk_socket_scratch[SK_SOCKET_READ_BYTES];

/* Unlocks the slot. Before that it closes the socket if its owner is gone, and gives the slot back
 * if the socket is GONE; then who waited for its descriptor goes on. */
void sk_socket_leave(struct sk_sockets *sockets, struct sk_socket *s);

/* Reads, if that is wanted, possible and allowed (R1). */
void sk_socket_read_on(struct sk_sockets *sockets, struct sk_socket *s);
/* Sends what waits, until the kernel takes no more. */
void sk_socket_flush(struct sk_sockets *sockets, struct sk_socket *s);

/* Has sk_sockets_expired called for the socket after delay_ms, unless it is stopped or set again
 * before, or the socket ends. */
void sk_socket_set_timer(struct sk_sockets *sockets, struct sk_socket *s, unsigned delay_ms);
void sk_socket_stop_timer(struct sk_sockets *sockets, struct sk_socket *s);

/* Has the poller tell again what it has told, later: for a reader that lets others have their turn
 * before it has read all. It may fail. */
void sk_socket_have_told_again(struct sk_sockets *sockets, struct sk_socket *s);

/* Ends it at once. Tells nothing. */
void sk_socket_end(struct sk_sockets *sockets, struct sk_socket *s);
/* Tells ERROR and CLOSE, and ends it at once. */
void sk_socket_fail(struct sk_sockets *sockets, struct sk_socket *s, const char *reason);
/* The same, with the system's text for an error number. */
void sk_socket_fail_system(struct sk_sockets *sockets, struct sk_socket *s, int error);
/* Tells ERROR only, and ends it at once: for a socket that was never connected (C1). */
void sk_socket_fail_birth(struct sk_sockets *sockets, struct sk_socket *s, const char *reason);
/* Tells CLOSE, sends what waits, then ends it. */
void sk_socket_close(struct sk_sockets *sockets, struct sk_socket *s);
/* Ends a socket at once, if it still exists. Tells nothing.  [no lock held] */
void sk_socket_end_by_id(struct sk_sockets *sockets, int id);

#endif
