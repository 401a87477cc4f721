/* sk_remote.h: messages for other nodes on their way to the harbor. skynet_harbor.h has what the
 * harbor calls.
 *
 * Model      The envelope of such a message has a longer form that tells where it goes; it is what
 *            waits in the harbor's mailbox, and nothing is allocated beside it. A table says of
 *            each node whether messages for it come to the harbor at all: senders read it without a
 *            lock, and are refused at once where they would wait for nothing.
 *            R1  At most one service is the harbor. While there is none all nodes are absent.
 *            R2  What always passes (sk_bound.h), probes and links come to the harbor unless the
 *                node is absent.
 *            R3  Whatever is refused goes back as PTYPE_ERROR from the handle it was for; errors,
 *                and what no service has sent, vanish.
 * Threads    [any, online] (sk_quiesce.h) unless a comment says otherwise
 */
#ifndef SK_REMOTE_H
#define SK_REMOTE_H

#include "sk_message.h"
#include "skynet_harbor.h"

#include <stdbool.h>
#include <stdint.h>

struct sk_core;
struct sk_quiesce;
struct sk_remotes;

#define SK_REMOTE_NODES 256 /* ids */

/* The envelope of kind SK_MESSAGE_REMOTE. */
struct sk_remote_message {
	struct sk_message message; /* first */
	struct skynet_remote where;
};

/* The table of a node.  [boot] */
struct sk_remotes *sk_remotes_new(struct sk_quiesce *quiesce);
/* NULL does nothing. */
void sk_remotes_free(struct sk_remotes *remotes);

/* Makes a service the harbor, unless there is another one (R1). Returns whether it is. */
bool sk_remote_adopt(struct sk_core *core, uint32_t handle);
/* A service is unfindable from now on: if it was the harbor, there is none any more (R1). Returns
 * whether it was. */
bool sk_remote_end(struct sk_core *core, uint32_t handle);
/* Sets what becomes of messages for a node: state and reason as skynet_harbor_node has them.
 * Returns false, and does nothing, when harbor is not the harbor. */
bool sk_remote_set(struct sk_core *core, uint32_t harbor, int node, int state, const char *reason);

/* The harbor, or NULL. */
struct skynet_context *sk_remote_harbor(struct sk_core *core);

/* Tells whether a message of that type may go to destination: one of SKYNET_NODE_..., with the
 * bound of the harbor's own mailbox reckoned in. Stores the harbor unless it is
 * SKYNET_NODE_ABSENT. */
int sk_remote_state(struct sk_core *core, uint32_t destination, int type,
		    struct skynet_context **harbor);

/* A new envelope. data: taken; where: copied.  [any] */
struct sk_message *sk_remote_message_new(const struct skynet_remote *where, int type,
					 uint32_t source, int32_t session, void *data, size_t size);

/* The same message in an envelope for another node; a packet is copied. It must not be a socket's.
 * message: taken. */
struct sk_message *sk_remote_wrap(struct sk_message *message, uint32_t destination);
/* The other way: for a service of this node. message: taken. */
struct sk_message *sk_remote_unwrap(struct sk_message *message);

/* Why the node of the handle is absent, as ": TEXT", or "". */
const char *sk_remote_reason(struct sk_core *core, uint32_t destination);

/* Who does not take a message that a service refuses: it, or the one of another node that the
 * message was for. */
uint32_t sk_remote_refuser(const struct skynet_context *service, const struct sk_message *message);

#endif
