/* sk_forward.c: see sk_forward.h. */
#include "sk_forward.h"

#include "sk_post.h"

#include <stdlib.h>

int
skynet_forward(struct skynet_context *ctx, uint32_t destination)
{
	/* During init no message has come yet. */
	if (destination == 0 || ctx->forward_to != 0 || ctx->message_count == 0)
		return -1;
	ctx->forward_to = destination;
	return 0;
}

/* Who has sent a request is told that nobody takes it. */
static void
tell_source(struct sk_core *core, const struct sk_message *message, uint32_t destination,
	    const char *reason)
{
	if (message->source == 0 || message->session == 0 || message->type == PTYPE_RESPONSE ||
	    message->type == PTYPE_ERROR)
		return;
	sk_post_error(core, message->source, destination, message->session,
		      "service :%08x, to which the request was passed on: %s", destination, reason);
}

static void
drop(struct skynet_context *service, struct sk_message *message, uint32_t destination)
{
	skynet_error(service, "Drop message from %x forward to %x (size=%d)", message->source,
		     destination, (int)message->size);
	tell_source(service->core, message, destination, "there is no such service on this node");
	sk_post_discard(service->core, message);
}

/* The envelope of a timer is its owner's, who may want to cancel it; what goes on is another. */
static struct sk_message *
envelope_to_send(struct sk_message *message)
{
	if (message->kind == SK_MESSAGE_TIMER) {
		struct sk_message *copy =
			sk_message_new(SK_MESSAGE_PLAIN, message->type, message->source,
				       message->session, NULL, 0);
		free(message);
		return copy;
	}
	if (message->kind == SK_MESSAGE_JUDGED)
		message->kind = SK_MESSAGE_PLAIN; /* the rules may be for this way too */
	return message;
}

bool
sk_forward(struct skynet_context *service, struct sk_message *message)
{
	uint32_t destination = service->forward_to;
	struct skynet_context *receiver = sk_registry_find(&service->core->registry, destination);
	service->forward_to = 0;
	if (!receiver) {
		drop(service, message, destination);
		return false;
	}
	/* Nobody can be made to wait here: the sender has gone on long ago. */
	if (sk_bound_is_full(&receiver->bound, &receiver->mailbox, message->type)) {
		atomic_fetch_add_explicit(&receiver->bound.refused, 1, memory_order_relaxed);
		tell_source(service->core, message, destination, "its mailbox is full");
		sk_post_discard(service->core, message);
		return false;
	}
	message = envelope_to_send(message);
	sk_context_charge(service, -sk_post_weight_of(message));
	sk_post_push(receiver, message);
	return true;
}
