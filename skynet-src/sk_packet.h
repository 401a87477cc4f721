/* sk_packet.h: bytes that many messages share. skynet.h has what services call.
 *
 * Model      A packet counts its holders: whoever made it, and each message that carries it
 *            (SK_MESSAGE_SHARED, whose data are the packet's bytes). It is freed with the last of
 *            them. Nobody writes the bytes after the packet was made.
 * Memory     A packet is charged to nobody: its maker is credited, and who frees it charged, for
 *            what the allocator has counted there.
 * Threads    [any]
 */
#ifndef SK_PACKET_H
#define SK_PACKET_H

/* The message that carried these bytes holds their packet no more. */
void sk_packet_release_bytes(void *bytes);

#endif
