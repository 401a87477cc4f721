/* sk_packet.c: bytes that many messages and sockets share; see sk_packet.h. */
#include "sk_packet.h"

#include "sk_post.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Results of skynet_send that a packet can have. */
enum { SEND_NO_DESTINATION = -1, SEND_FULL = -3 };

static int64_t
weight_of(const struct skynet_packet *packet)
{
	return sk_memory_block_bytes(sizeof *packet + packet->size + 1);
}

struct skynet_packet *
skynet_packet_new(const void *bytes, size_t size)
{
	if (size > SK_MESSAGE_SIZE_MAX)
		return NULL;
	struct skynet_packet *packet = skynet_malloc(sizeof *packet + size + 1);
	atomic_init(&packet->holders, 1);
	packet->size = size;
	if (size > 0)
		memcpy(packet->bytes, bytes, size);
	packet->bytes[size] = '\0';
	if (sk_this_service)
		sk_context_charge(sk_this_service, -weight_of(packet));
	return packet;
}

struct skynet_packet *
sk_packet_hold(struct skynet_packet *packet)
{
	/* Relaxed: who calls this holds the packet already. */
	atomic_fetch_add_explicit(&packet->holders, 1, memory_order_relaxed);
	return packet;
}

void
skynet_packet_release(struct skynet_packet *packet)
{
	if (!packet)
		return;
	/* Release pairs with the acquire of who frees: all reading comes before it. */
	if (atomic_fetch_sub_explicit(&packet->holders, 1, memory_order_acq_rel) != 1)
		return;
	if (sk_this_service)
		sk_context_charge(sk_this_service, weight_of(packet));
	free(packet);
}

void
sk_packet_release_bytes(void *bytes)
{
	skynet_packet_release(SK_CONTAINER_OF(bytes, struct skynet_packet, bytes));
}

int
skynet_packet_send(struct skynet_context *ctx, uint32_t source, uint32_t destination, int type,
		   struct skynet_packet *packet)
{
	struct skynet_context *receiver = sk_registry_find(&ctx->core->registry, destination);
	if (!receiver)
		return SEND_NO_DESTINATION;
	if (sk_bound_is_full(&receiver->bound, &receiver->mailbox, type)) {
		atomic_fetch_add_explicit(&receiver->bound.refused, 1, memory_order_relaxed);
		return SEND_FULL;
	}
	struct sk_message *message =
		sk_message_new(SK_MESSAGE_SHARED, type, source ? source : ctx->handle, 0,
			       sk_packet_hold(packet)->bytes, packet->size);
	sk_context_charge(ctx, -sk_post_weight_of(message));
	sk_post_push(receiver, message);
	return 0;
}
