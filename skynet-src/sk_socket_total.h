/* sk_socket_total.h: how much output waits in all sockets of the node together.
 *
 * Model      Many peers that do not read could fill the memory although each stays under the limit
 *            of its own. So what waits is summed up, in steps of SK_SOCKET_TOTAL_STEP a socket:
 *            those that keep up never touch the sum, which all threads share. While the sum is
 *            over the limit, whoever adds to a socket that holds a large part has it closed.
 * Threads    [locked s->lock]
 */
#ifndef SK_SOCKET_TOTAL_H
#define SK_SOCKET_TOTAL_H

#include "sk_socket_table.h"

#include <stdbool.h>

#define SK_SOCKET_TOTAL_STEP ((size_t)64 << 10)

/* The socket's output has changed. */
void sk_socket_total_follow(struct sk_sockets *sockets, struct sk_socket *s);
/* Whether too much waits in the node, and much of it for this peer. */
bool sk_socket_total_is_over(const struct sk_sockets *sockets, const struct sk_socket *s);

#endif
