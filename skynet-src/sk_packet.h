/* sk_packet.h: bytes that many messages and sockets share. skynet.h has what services call.
 *
 * Model      A packet counts its holders: whoever made it, each message that carries it
 *            (SK_MESSAGE_SHARED, whose data are the packet's bytes), and each piece of a socket's
 *            output. It is freed with the last of them. Nobody writes the bytes when a second
 *            one has come.
 * Memory     A packet is charged to nobody: its maker is credited, and who frees it charged, for
 *            what the allocator has counted there.
 * Threads    [any]
 */
#ifndef SK_PACKET_H
#define SK_PACKET_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct skynet_packet {
	_Atomic uint32_t holders;
	/* Constant. */
	size_t size;
	char bytes[]; /* and a NUL that size does not count */
};

/* One holder more, who calls skynet_packet_release in the end. Returns packet. */
struct skynet_packet *sk_packet_hold(struct skynet_packet *packet);
/* The message that carried these bytes holds their packet no more. */
void sk_packet_release_bytes(void *bytes);

#endif
