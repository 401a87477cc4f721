/* sk_packet.c: bytes that many messages and sockets share; see sk_packet.h. */
#include "sk_packet.h"

#include "sk_context.h"
#include "sk_memory.h"
#include "sk_message.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

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
	if (bytes && size > 0)
		memcpy(packet->bytes, bytes, size);
	packet->bytes[size] = '\0';
	sk_memory_disown(weight_of(packet));
	return packet;
}

void *
skynet_packet_bytes(struct skynet_packet *packet)
{
	return packet->bytes;
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
	sk_memory_disown(-weight_of(packet));
	free(packet);
}

void *
skynet_message_own(struct skynet_context *ctx, const void *msg, size_t sz)
{
	if (SK_LIKELY(!ctx->has_packet))
		return (void *)(uintptr_t)msg;
	char *copy = skynet_malloc(sz + 1);
	memcpy(copy, msg, sz);
	copy[sz] = '\0';
	ctx->has_packet = false; /* what is in hand from now on is the copy */
	return copy;
}

void
sk_packet_release_bytes(void *bytes)
{
	skynet_packet_release(SK_CONTAINER_OF(bytes, struct skynet_packet, bytes));
}
