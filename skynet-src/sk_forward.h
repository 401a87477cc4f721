/* sk_forward.h: a message that its receiver passes on: skynet_forward. skynet.h has what services
 * call.
 *
 * Model      skynet_forward only notes where to, for the callback still reads the message. When
 *            that has returned, the envelope itself goes on, with its payload: nothing is copied,
 *            nothing allocated. What a socket brought takes its reckoning along: the socket is read
 *            on when the last receiver has handled it.
 * Threads    [turn]
 */
#ifndef SK_FORWARD_H
#define SK_FORWARD_H

#include <stdbool.h>

struct skynet_context;
struct sk_message;

/* Passes the message on to where the service's callback wants it. Returns false when it has been
 * freed instead. message: taken. */
bool sk_forward(struct skynet_context *service, struct sk_message *message);

#endif
