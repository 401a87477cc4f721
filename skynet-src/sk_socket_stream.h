/* sk_socket_stream.h: sockets that carry bytes, both ways. */
#ifndef SK_SOCKET_STREAM_H
#define SK_SOCKET_STREAM_H

#include "sk_socket_table.h"

/* A TCP connection. */
extern const struct sk_socket_ops sk_socket_stream_ops;
/* A descriptor that somebody else has opened, read and written as it is. */
extern const struct sk_socket_ops sk_socket_foreign_ops;

#endif
