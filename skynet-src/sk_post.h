/* sk_post.h: how messages get into mailboxes, and who pays for them on the way.
 *
 * Threads    [any, online] (sk_quiesce.h) unless a comment says otherwise
 */
#ifndef SK_POST_H
#define SK_POST_H

#include "sk_context.h"
#include "sk_memory.h"
#include "sk_message.h"
#include "sk_scheduler.h"

#include <stdint.h>

/* Pushes a message to a handle. Returns SK_ENOENT, and frees it, when there is no such service on
 * this node. One of another node gets it through the harbor, or its source is told that there is
 * no way (sk_remote.h). message: taken.  [any, online] */
int sk_post(struct sk_core *core, uint32_t handle, struct sk_message *message);

/* Posts a message without data to a handle; one that is gone gets none.  [any, online] */
void sk_post_empty(struct sk_core *core, uint32_t to, int type, uint32_t source, int32_t session);

/* Posts a PTYPE_ERROR message with a text to a handle; one that is gone wants none.
 * [any, online] */
void sk_post_error(struct sk_core *core, uint32_t to, uint32_t source, int32_t session,
		   const char *format, ...) SK_PRINTF(5, 6);

/* Tells source that the node of destination is absent, unless nobody is to be told (R3 in
 * sk_remote.h).  [any, online] */
void sk_post_refusal(struct sk_core *core, uint32_t source, uint32_t destination, int type,
		     int32_t session);

/* Frees an envelope and its payload.  [any] */
void sk_post_discard(struct sk_core *core, struct sk_message *message);

/* What an envelope and its payload are charged for. A payload is a block for so many bytes and a
 * NUL, as skynet_send makes them. */
static inline int64_t
sk_post_weight(const void *data, size_t size)
{
	return sk_memory_block_bytes(sizeof(struct sk_message)) +
	       (data ? sk_memory_block_bytes(size + 1) : 0);
}

/* The same for messages that are not plain ones. */
int64_t sk_post_rare_weight(const struct sk_message *message);

/* What is charged to nobody while a message is on its way. */
static inline int64_t
sk_post_weight_of(const struct sk_message *message)
{
	return SK_LIKELY(message->kind == SK_MESSAGE_PLAIN)
		       ? sk_post_weight(message->data, message->size)
		       : sk_post_rare_weight(message);
}

/* Puts a message into the mailbox, and sees to it that the service runs. message: taken.
 * [any, online] */
static inline void
sk_post_push(struct skynet_context *service, struct sk_message *message)
{
	if (sk_mailbox_push(&service->mailbox, message))
		sk_scheduler_ready(&service->core->scheduler, &service->mailbox);
}

#endif
