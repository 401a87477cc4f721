/* sk_send.c: the sends of skynet.h: from a service to a service.
 *
 * A payload handed over without a copy is freed here on every path on which it is not delivered.
 */
#include "sk_packet.h"
#include "sk_remote.h"
#include "sk_service.h"
#include "sk_waiting.h"

#include <stdlib.h>
#include <string.h>

/* Results of the public functions, known to users. */
enum { SEND_NO_DESTINATION = -1, SEND_TOO_LARGE = -2, SEND_FULL = -3, SEND_WAIT = -4 };

#define NO_NAMES "no global name is known on this node"

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

/* The receiver's mailbox is full: what becomes of the message is for the receiver to say. A request
 * is never dropped without a word, for somebody waits for its answer. */
static int
refuse_full(struct skynet_context *receiver, int type, int session, void *msg)
{
	uint32_t policy = atomic_load_explicit(&receiver->bound.policy, memory_order_relaxed);
	if (policy == SKYNET_FULL_BLOCK)
		return SEND_WAIT;
	sk_bound_count_refused(&receiver->bound);
	return give_up(type, msg, policy == SKYNET_FULL_DROP && session == 0 ? 0 : SEND_FULL);
}

/* A message to another node goes to the harbor. The rest of the arguments is checked. Not a part of
 * skynet_send, where it would cost those messages registers that stay on their node. */
static SK_NEVER_INLINE int
send_away(struct skynet_context *ctx, const struct skynet_remote *where, uint32_t source, int type,
	  int session, void *msg, size_t sz)
{
	struct skynet_context *harbor;
	int state = sk_remote_state(ctx->core, where->destination, type, &harbor);
	if (state == SKYNET_NODE_ABSENT) { /* as when the destination ends before it took it */
		sk_post_refusal(ctx->core, source, where->destination, type, session);
		return give_up(type, msg, session);
	}
	if (state == SKYNET_NODE_BLOCKED)
		return SEND_WAIT;
	if (state != SKYNET_NODE_OPEN) {
		sk_bound_count_refused(&harbor->bound);
		return give_up(type, msg, SEND_FULL);
	}
	struct sk_message *message =
		sk_remote_message_new(where, type, source, session, payload_of(type, msg, sz), sz);
	sk_context_charge(ctx, -sk_post_weight_of(message));
	sk_post_push(harbor, message);
	return session;
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
		if (!sk_registry_is_remote(&core->registry, destination))
			return give_up(type, msg, SEND_NO_DESTINATION);
		struct skynet_remote where = {.destination = destination};
		return send_away(ctx, &where, source, type, session, msg, sz);
	}
	if (SK_UNLIKELY(sk_bound_is_full(&receiver->bound, &receiver->mailbox, type)))
		return refuse_full(receiver, type, session, msg);
	struct sk_message *message = sk_message_new(SK_MESSAGE_PLAIN, type, source, session,
						    payload_of(type, msg, sz), sz);
	sk_context_charge(ctx, -sk_post_weight(message->data, sz));
	sk_post_push(receiver, message);
	return session;
}

/* Why no message can wait for the name; NULL: it can. */
static const char *
name_problem(struct sk_core *core, const char *name)
{
	if (!sk_remote_harbor(core))
		return NO_NAMES;
	if (strlen(name) > SK_GLOBAL_NAME_MAX)
		return "a global name has at most 16 bytes";
	if (strchr(name, ' ')) /* GLOBALNAME would take it for more than a name */
		return "a global name has no blank";
	if (name[0] == '\0')
		return "a global name is not empty";
	return NULL;
}

static int
refuse_name(struct skynet_context *ctx, const char *name, const char *reason, int type, void *msg,
	    int result)
{
	skynet_error(ctx, "error: Can't send to %s: %s", name, reason);
	return give_up(type, msg, result);
}

/* It could not wait: frees it, but for the bytes that the caller has handed over. */
static void
take_back(struct sk_message *message, const void *msg)
{
	if (message->data != msg)
		free(message->data);
	free(message);
}

/* To a global name that this node did not know a moment ago. */
static int
send_to_name(struct skynet_context *ctx, uint32_t source, const char *name, int type, int session,
	     void *msg, size_t sz)
{
	struct sk_core *core = ctx->core;
	const char *problem = name_problem(core, name);
	if (problem)
		return refuse_name(ctx, name, problem, type, msg, SEND_NO_DESTINATION);
	if (sz > SK_MESSAGE_SIZE_MAX)
		return refuse_name(ctx, name, "the message is too large", type, msg,
				   SEND_TOO_LARGE);
	if (type & PTYPE_TAG_ALLOCSESSION)
		session = sk_service_new_session(ctx);
	struct sk_message *message =
		sk_message_new(SK_MESSAGE_PLAIN, type, source ? source : ctx->handle, session,
			       payload_of(type, msg, sz), sz);
	int64_t weight = sk_post_weight_of(message);
	int result = sk_waiting_add(core, name, message);
	if (result == SK_OK) {
		sk_context_charge(ctx, -weight);
		return session;
	}
	take_back(message, msg);
	if (result == SK_ENOENT)
		return refuse_name(ctx, name, NO_NAMES, type, msg, SEND_NO_DESTINATION);
	return give_up(type, msg, result == SK_ELIMIT ? SEND_FULL : SEND_NO_DESTINATION);
}

int
skynet_sendname(struct skynet_context *ctx, uint32_t source, const char *addr, int type,
		int session, void *msg, size_t sz)
{
	uint32_t destination = sk_service_resolve(ctx->core, addr);
	if (destination != 0)
		return skynet_send(ctx, source, destination, type, session, msg, sz);
	if (addr[0] != ':' && addr[0] != '.')
		return send_to_name(ctx, source, addr, type, session, msg, sz);
	return give_up(type, msg, SEND_NO_DESTINATION);
}

/* What becomes of a packet that is sent to one receiver, unless it is an error. */
enum { PACKET_COPIED = 0, PACKET_HELD = 1 };

/* Another node gets the bytes in a message of their own. */
static int
push_packet_away(struct skynet_context *ctx, uint32_t source, uint32_t destination, int type,
		 struct skynet_packet *packet)
{
	struct skynet_remote where = {.destination = destination};
	struct skynet_context *harbor;
	int state = sk_remote_state(ctx->core, destination, type, &harbor);
	if (state == SKYNET_NODE_ABSENT)
		return SEND_NO_DESTINATION;
	if (state != SKYNET_NODE_OPEN) {
		sk_bound_count_refused(&harbor->bound);
		return SEND_FULL;
	}
	void *bytes = payload_of(0, packet->bytes, packet->size);
	struct sk_message *message =
		sk_remote_message_new(&where, type, source, 0, bytes, packet->size);
	sk_context_charge(ctx, -sk_post_weight_of(message));
	sk_post_push(harbor, message);
	return PACKET_COPIED;
}

/* Pushes a message to one receiver; the caller sees to its hold on the packet, and to the charge.
 * Returns PACKET_HELD when there is such a message now, PACKET_COPIED when the receiver gets it
 * otherwise, or what skynet_packet_send does when there is no such service or no room. */
static int
push_packet(struct skynet_context *ctx, uint32_t source, uint32_t destination, int type,
	    struct skynet_packet *packet)
{
	struct sk_core *core = ctx->core;
	struct skynet_context *receiver = sk_registry_find(&core->registry, destination);
	if (SK_UNLIKELY(!receiver))
		return sk_registry_is_remote(&core->registry, destination)
			       ? push_packet_away(ctx, source, destination, type, packet)
			       : SEND_NO_DESTINATION;
	if (sk_bound_is_full(&receiver->bound, &receiver->mailbox, type)) {
		sk_bound_count_refused(&receiver->bound);
		return SEND_FULL;
	}
	sk_post_push(receiver, sk_message_new(SK_MESSAGE_SHARED, type, source, 0, packet->bytes,
					      packet->size));
	return PACKET_HELD;
}

size_t
skynet_packet_send_all(struct skynet_context *ctx, uint32_t source, const uint32_t *destinations,
		       size_t count, int type, struct skynet_packet *packet)
{
	size_t sent = 0, held = 0;
	if (source == 0)
		source = ctx->handle;
	/* All holds at once, while the receivers that run already give theirs up: the counter's
	 * cache line moves once for all. Relaxed, as in sk_packet_hold. */
	atomic_fetch_add_explicit(&packet->holders, (uint32_t)count, memory_order_relaxed);
	for (size_t i = 0; i < count; i++) {
		int result = push_packet(ctx, source, destinations[i], type, packet);
		sent += result >= 0;
		held += result == PACKET_HELD;
	}
	/* The caller holds the packet, so this is never the last hold. */
	atomic_fetch_sub_explicit(&packet->holders, (uint32_t)(count - held), memory_order_relaxed);
	sk_context_charge(ctx, -sk_post_weight(NULL, 0) * (int64_t)held);
	return sent;
}

int
skynet_packet_send(struct skynet_context *ctx, uint32_t source, uint32_t destination, int type,
		   struct skynet_packet *packet)
{
	(void)sk_packet_hold(packet);
	int result = push_packet(ctx, source ? source : ctx->handle, destination, type, packet);
	if (result == PACKET_HELD)
		sk_context_charge(ctx, -sk_post_weight(NULL, 0)); /* the bytes belong to nobody */
	else
		skynet_packet_release(packet);
	return result < 0 ? result : 0;
}

int
skynet_probe(struct skynet_context *ctx, uint32_t destination)
{
	struct sk_core *core = ctx->core;
	int32_t session = sk_service_new_session(ctx);
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
	return sk_registry_is_remote(&ctx->core->registry, handle);
}
