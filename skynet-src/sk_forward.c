/* sk_forward.c: see sk_forward.h. */
#include "sk_forward.h"

#include "sk_post.h"
#include "sk_remote.h"
#include "sk_service.h"

#include <stdio.h>
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

static bool
drop(struct skynet_context *service, struct sk_message *message, uint32_t destination,
     const char *reason)
{
	skynet_error(service, "Drop message from %x forward to %x (size=%d)", message->source,
		     destination, (int)message->size);
	tell_source(service->core, message, destination, reason);
	sk_post_discard(service->core, message);
	return false;
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

/* What did not get into a mailbox because that is full. */
static bool
refuse_full(struct skynet_context *service, struct skynet_context *receiver,
	    struct sk_message *message, uint32_t destination)
{
	sk_bound_count_refused(&receiver->bound);
	tell_source(service->core, message, destination, "its mailbox is full");
	sk_post_discard(service->core, message);
	return false;
}

static bool
push(struct skynet_context *service, struct skynet_context *receiver, struct sk_message *message)
{
	sk_context_charge(service, -sk_post_weight_of(message));
	sk_post_push(receiver, message);
	return true;
}

/* To another node, as far as there is a way. */
static bool
forward_away(struct skynet_context *service, struct sk_message *message, uint32_t destination)
{
	struct skynet_context *harbor;
	if (message->kind == SK_MESSAGE_SOCKET)
		return drop(service, message, destination,
			    "what a socket brings stays on its node");
	switch (sk_remote_state(service->core, destination, message->type, &harbor)) {
	case SKYNET_NODE_ABSENT: {
		char reason[256];
		(void)snprintf(reason, sizeof reason, "no link to its node, number %u%s",
			       destination >> SK_HANDLE_NODE_SHIFT,
			       sk_remote_reason(service->core, destination));
		return drop(service, message, destination, reason);
	}
	case SKYNET_NODE_OPEN:
		return push(service, harbor,
			    sk_remote_wrap(envelope_to_send(message), destination));
	default:
		return refuse_full(service, harbor, message, destination);
	}
}

bool
sk_forward(struct skynet_context *service, struct sk_message *message)
{
	uint32_t destination = service->forward_to;
	struct skynet_context *receiver = sk_registry_find(&service->core->registry, destination);
	service->forward_to = 0;
	if (!receiver && sk_registry_is_remote(&service->core->registry, destination))
		return forward_away(service, message, destination);
	if (!receiver)
		return drop(service, message, destination, "there is no such service on this node");
	/* Nobody can be made to wait here: the sender has gone on long ago. */
	if (sk_bound_is_full(&receiver->bound, &receiver->mailbox, message->type))
		return refuse_full(service, receiver, message, destination);
	message = envelope_to_send(message);
	if (message->kind ==
	    SK_MESSAGE_REMOTE) /* the harbor passes on what is for here after all */
		message = sk_remote_unwrap(message);
	return push(service, receiver, message);
}
