/* sk_send.c: the sends of skynet.h: from a service to a service.
 *
 * A payload handed over without a copy is freed here on every path on which it is not delivered.
 */
#include "sk_packet.h"
#include "sk_service.h"

#include <stdlib.h>
#include <string.h>

/* Results of the public functions, known to users. */
enum { SEND_NO_DESTINATION = -1, SEND_TOO_LARGE = -2, SEND_FULL = -3, SEND_WAIT = -4 };

static int
give_up(int type, void *msg, int result)
{
	if (type & PTYPE_TAG_DONTCOPY)
		free(msg);
	return result;
}

/* The block to put into the envelope: msg itself, or a copy with a NUL behind it. */
static void *
payload_of(int type, void *msg, size_t sz)
{
	if ((type & PTYPE_TAG_DONTCOPY) || !msg)
		return msg;
	char *copy = skynet_malloc(sz + 1);
	memcpy(copy, msg, sz);
	copy[sz] = '\0';
	return copy;
}

/* Without a link to other nodes a request to one fails at once. As with a local service that ends:
 * a response's session is none of its sender's, and an error gets no answer. */
static int
refuse_remote(struct skynet_context *ctx, uint32_t source, uint32_t destination, int type,
	      int session)
{
	int answered = (type & 0xff) == PTYPE_RESPONSE ? 0 : session;
	if ((type & 0xff) != PTYPE_ERROR)
		sk_post_error(ctx->core, source, destination, answered,
			      "service :%08x: no link to its node, number %u", destination,
			      destination >> SK_HANDLE_NODE_SHIFT);
	return session;
}

/* The receiver's mailbox is full: what becomes of the message is for the receiver to say. A request
 * is never dropped without a word, for somebody waits for its answer. */
static int
refuse_full(struct skynet_context *receiver, int type, int session, void *msg)
{
	uint32_t policy = atomic_load_explicit(&receiver->bound.policy, memory_order_relaxed);
	if (policy == SKYNET_FULL_BLOCK)
		return SEND_WAIT;
	atomic_fetch_add_explicit(&receiver->bound.refused, 1, memory_order_relaxed);
	return give_up(type, msg, policy == SKYNET_FULL_DROP && session == 0 ? 0 : SEND_FULL);
}

int
skynet_send(struct skynet_context *ctx, uint32_t source, uint32_t destination, int type,
	    int session, void *msg, size_t sz)
{
	struct sk_core *core = ctx->core;
	if (SK_UNLIKELY(sz > SK_MESSAGE_SIZE_MAX)) {
		skynet_error(ctx, "error: The message to %x is too large", destination);
		return give_up(type, msg, SEND_TOO_LARGE);
	}
	if (type & PTYPE_TAG_ALLOCSESSION)
		session = sk_service_new_session(ctx);
	if (source == 0)
		source = ctx->handle;
	if (SK_UNLIKELY(destination == 0)) {
		if (!msg)
			return session;
		skynet_error(ctx, "error: Destination address can't be 0");
		return give_up(type, msg, SEND_NO_DESTINATION);
	}
	struct skynet_context *receiver = sk_registry_find(&core->registry, destination);
	if (SK_UNLIKELY(!receiver)) {
		if (!sk_service_is_remote(core, destination))
			return give_up(type, msg, SEND_NO_DESTINATION);
		(void)give_up(type, msg, 0);
		return refuse_remote(ctx, source, destination, type, session);
	}
	if (SK_UNLIKELY(sk_bound_is_full(&receiver->bound, &receiver->mailbox, type)))
		return refuse_full(receiver, type, session, msg);
	struct sk_message *message = sk_message_new(SK_MESSAGE_PLAIN, type, source, session,
						    payload_of(type, msg, sz), sz);
	sk_context_charge(ctx, -sk_post_weight(message->data, sz));
	sk_post_push(receiver, message);
	return session;
}

int
skynet_sendname(struct skynet_context *ctx, uint32_t source, const char *addr, int type,
		int session, void *msg, size_t sz)
{
	uint32_t destination = sk_service_resolve(ctx->core, addr);
	if (destination == 0) {
		if (addr[0] != ':' && addr[0] != '.')
			skynet_error(
				ctx,
				"error: Can't send to %s: no global name is known on this node",
				addr);
		return give_up(type, msg, SEND_NO_DESTINATION);
	}
	return skynet_send(ctx, source, destination, type, session, msg, sz);
}

/* Pushes a message to one receiver; the caller sees to its hold on the packet, and to the charge.
 * Returns 0, or what skynet_packet_send does when there is no such service or no room. */
static int
push_packet(struct sk_core *core, uint32_t source, uint32_t destination, int type,
	    struct skynet_packet *packet)
{
	struct skynet_context *receiver = sk_registry_find(&core->registry, destination);
	if (!receiver)
		return SEND_NO_DESTINATION;
	if (sk_bound_is_full(&receiver->bound, &receiver->mailbox, type)) {
		atomic_fetch_add_explicit(&receiver->bound.refused, 1, memory_order_relaxed);
		return SEND_FULL;
	}
	sk_post_push(receiver, sk_message_new(SK_MESSAGE_SHARED, type, source, 0, packet->bytes,
					      packet->size));
	return 0;
}

size_t
skynet_packet_send_all(struct skynet_context *ctx, uint32_t source, const uint32_t *destinations,
		       size_t count, int type, struct skynet_packet *packet)
{
	size_t sent = 0;
	if (source == 0)
		source = ctx->handle;
	/* All holds at once, while the receivers that run already give theirs up: the counter's
	 * cache line moves once for all. Relaxed, as in sk_packet_hold. */
	atomic_fetch_add_explicit(&packet->holders, (uint32_t)count, memory_order_relaxed);
	for (size_t i = 0; i < count; i++)
		sent += push_packet(ctx->core, source, destinations[i], type, packet) == 0;
	/* The caller holds the packet, so this is never the last hold. */
	atomic_fetch_sub_explicit(&packet->holders, (uint32_t)(count - sent), memory_order_relaxed);
	sk_context_charge(ctx, -sk_post_weight(NULL, 0) * (int64_t)sent);
	return sent;
}

int
skynet_packet_send(struct skynet_context *ctx, uint32_t source, uint32_t destination, int type,
		   struct skynet_packet *packet)
{
	(void)sk_packet_hold(packet);
	int result =
		push_packet(ctx->core, source ? source : ctx->handle, destination, type, packet);
	if (result == 0)
		sk_context_charge(ctx, -sk_post_weight(NULL, 0)); /* the bytes belong to nobody */
	else
		skynet_packet_release(packet);
	return result;
}

int
skynet_probe(struct skynet_context *ctx, uint32_t destination)
{
	struct sk_core *core = ctx->core;
	int32_t session = sk_service_new_session(ctx);
	if (sk_service_is_remote(core, destination))
		return refuse_remote(ctx, ctx->handle, destination, 0, session);
	struct sk_message *probe =
		sk_message_new(SK_MESSAGE_PROBE, 0, ctx->handle, session, NULL, 0);
	return sk_post(core, destination, probe) == SK_OK ? session : SEND_NO_DESTINATION;
}

int
skynet_link(struct skynet_context *ctx, uint32_t destination, int session)
{
	struct sk_core *core = ctx->core;
	if (session == 0)
		session = sk_service_new_session(ctx);
	if (sk_service_is_remote(core, destination))
		return refuse_remote(ctx, ctx->handle, destination, 0, session);
	struct sk_message *link = sk_message_new(SK_MESSAGE_LINK, 0, ctx->handle, session, NULL, 0);
	return sk_post(core, destination, link) == SK_OK ? session : SEND_NO_DESTINATION;
}

void
skynet_unlink(struct skynet_context *ctx, uint32_t destination, int session)
{
	/* An error gets no answer when the destination ends before it has taken it. */
	(void)sk_post(
		ctx->core, destination,
		sk_message_new(SK_MESSAGE_UNLINK, PTYPE_ERROR, ctx->handle, session, NULL, 0));
}

void
skynet_callback(struct skynet_context *ctx, void *ud, skynet_cb cb)
{
	ctx->callback = cb;
	ctx->callback_ud = ud;
}

int
skynet_mailbox(struct skynet_context *ctx, int warning, int limit, int policy)
{
	if (warning < 0 || limit < 0 || limit > SK_BOUND_LIMIT_MAX || policy < SKYNET_FULL_ERROR ||
	    policy > SKYNET_FULL_BLOCK)
		return -1;
	sk_overload_set(&ctx->overload, (uint32_t)warning);
	atomic_store_explicit(&ctx->bound.policy, (uint32_t)policy, memory_order_relaxed);
	atomic_store_explicit(&ctx->bound.limit, (uint32_t)limit, memory_order_relaxed);
	return 0;
}

void
skynet_overload(struct skynet_context *ctx, void *ud, skynet_overload_cb tell)
{
	ctx->overload.tell = tell;
	ctx->overload.ud = ud;
}

uint32_t
skynet_queryname(struct skynet_context *ctx, const char *name)
{
	if (name[0] != ':' && name[0] != '.') {
		skynet_error(ctx, "error: Don't support query global name %s", name);
		return 0;
	}
	return sk_service_resolve(ctx->core, name);
}

int
skynet_isremote(struct skynet_context *ctx, uint32_t handle, int *harbor)
{
	if (harbor)
		*harbor = (int)(handle >> SK_HANDLE_NODE_SHIFT);
	return sk_service_is_remote(ctx->core, handle);
}
