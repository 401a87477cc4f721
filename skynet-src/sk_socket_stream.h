/* sk_socket_stream.h: sockets that carry bytes, both ways. */
#ifndef SK_SOCKET_STREAM_H
#define SK_SOCKET_STREAM_H

#include "sk_socket_table.h"

#include <sys/types.h>

/* A TCP connection. */
extern const struct sk_socket_ops sk_socket_stream_ops;
/* A descriptor that somebody else has opened, read and written as it is. */
extern const struct sk_socket_ops sk_socket_foreign_ops;

/* What they share with connections that are not plain.  [locked s->lock] */

/* Whether it is TCP: then a read that brings less than asked, without HANGUP, was the last (R2),
 * and a write that takes less than given has filled the socket (W2). */
bool sk_socket_is_tcp(const struct sk_socket *s);
/* The peer sends no more. The socket stays open for output until it is closed here. */
void sk_socket_end_reading(struct sk_sockets *sockets, struct sk_socket *s);
/* The other end takes no more; what waits is lost. error: as errno says why. */
void sk_socket_end_writing(struct sk_sockets *sockets, struct sk_socket *s, int error);
/* See struct sk_socket_ops. */
void sk_socket_swallow(struct sk_socket *s);
/* Writes once. Returns how many bytes the kernel took, or -1 with errno set. */
ssize_t sk_socket_write_vectors(const struct sk_socket *s, struct iovec *vectors, int count);

#endif
