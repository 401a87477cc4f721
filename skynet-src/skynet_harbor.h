/* skynet_harbor.h: what the harbor needs: the one service of a node that carries its messages to
 * other nodes.
 *
 * Model      A handle's highest 8 bits are the id of its node. What a service sends to a handle of
 *            another node comes to the harbor's mailbox as a message like any other: type, session,
 *            source, msg and sz of the callback are those of its sender. skynet_remote tells where
 *            it is to go. Messages of one sender come in the order in which they were sent.
 *            What is sent to a global name that nobody has waits until the command GLOBALNAME gives
 *            it to a service, as long as there is a harbor.
 *            What arrives from another node the harbor sends with skynet_send, whose source may be
 *            any handle. A message that it refuses, or cannot deliver, it answers itself, with a
 *            PTYPE_ERROR of that session from the handle that the message was for.
 *            PTYPE_ERROR with session 0 from N << 24 tells a service that node N is gone, and with
 *            it all services there. The harbor sends it to every service that has sent something
 *            there.
 * Threads    [turn], as in skynet.h.
 */
#ifndef SKYNET_HARBOR_H
#define SKYNET_HARBOR_H

#include "skynet.h"

#ifdef __cplusplus
extern "C" {
#endif

/* From now on the caller gets the messages for other nodes, until it ends; from that moment all
 * nodes are absent, what waits in its mailbox is refused in the name of those that it was for, and
 * what waits for names in its own.
 * Returns 0, or -1: another service does so, or the caller was killed. */
SKYNET_API int skynet_harbor_start(struct skynet_context *ctx);

/* What becomes of messages for a node, from now on. Answers, errors, system messages, probes and
 * links count as messages that always pass: see SKYNET_NODE_FULL. */
#define SKYNET_NODE_ABSENT 0  /* the beginning: refused at once, by an error that says why */
#define SKYNET_NODE_OPEN 1    /* they come to the harbor */
#define SKYNET_NODE_FULL 2    /* skynet_send returns -3, except for what always passes */
#define SKYNET_NODE_BLOCKED 3 /* skynet_send returns -4, except for what always passes */

/* Sets that. reason: of SKYNET_NODE_ABSENT, otherwise NULL; copied, and cut after 160 bytes: what a
 * sender reads behind "no link to its node, number 5: ". Returns 0, or -1: the caller is not the
 * harbor, there is no such state, or node is not 0 to 255 or the own one. */
SKYNET_API int skynet_harbor_node(struct skynet_context *ctx, int node, int state,
				  const char *reason);

/* What is to be done there with the message in hand. */
#define SKYNET_REMOTE_MESSAGE 0 /* it is for the callback of the destination */
#define SKYNET_REMOTE_PROBE 1	/* skynet_probe: source waits for PTYPE_RESPONSE or PTYPE_ERROR */
#define SKYNET_REMOTE_LINK 2	/* skynet_link: source waits for the end of destination */
#define SKYNET_REMOTE_UNLINK 3	/* skynet_unlink; its type is PTYPE_ERROR: it is never answered */

struct skynet_remote {
	uint32_t destination;
	int kind; /* SKYNET_REMOTE_... */
};

/* Where the message in hand is to go; valid until the callback returns. NULL: it is for the caller
 * itself. */
SKYNET_API const struct skynet_remote *skynet_remote(struct skynet_context *ctx);

/* How many global names messages wait for; *bytes: what these messages take; *refused: how many
 * have found no room so far. For reports. */
SKYNET_API int skynet_harbor_names(struct skynet_context *ctx, size_t *bytes, uint64_t *refused);

#ifdef __cplusplus
}
#endif

#endif
