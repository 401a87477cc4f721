/* packets.h: cuts the streams of many sockets into packets: a length of 2 bytes, the high one
 * first, then as many bytes.
 *
 * Model      The bytes of a socket come in chunks, cut anywhere. What is complete waits in one
 *            queue for all sockets, in the order in which it became complete; what is not is kept
 *            for its socket.
 *            N1  A socket has a part only while a packet of its is incomplete.
 *            N2  A part's block holds at most twice what was received of the packet, or
 *                PACKET_LEAST_ROOM bytes: a promise alone costs nothing.
 * Memory     Each packet is a malloc-ed block of its own, given: skynet_free.
 * Threads    [any]; a struct packets belongs to one caller.
 */
#ifndef NETPACK_PACKETS_H
#define NETPACK_PACKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACKET_HEADER_SIZE 2
#define PACKET_SIZE_MAX 0xFFFF
#define PACKET_LEAST_ROOM 64

struct packet {
	int id; /* of the socket */
	uint32_t size;
	char *block; /* not NULL, also when size is 0 */
};

struct packet_part;

/* All zero: nothing received yet. */
struct packets {
	/* Complete, not yet taken: a ring. */
	struct packet *ring;
	size_t ring_size; /* a power of two, or 0 */
	size_t first;
	size_t count;
	/* Incomplete: hash chains by id. */
	struct packet_part **parts;
	size_t part_chains; /* a power of two, or 0 */
	size_t part_count;
};

/* Takes what a socket has received. bytes: borrowed. */
void packets_feed(struct packets *packets, int id, const char *bytes, size_t size);
/* Takes the oldest complete packet out. Returns false when there is none. */
bool packets_pop(struct packets *packets, struct packet *packet);
/* Drops the incomplete packet of a socket, if it has one. */
void packets_forget(struct packets *packets, int id);
/* Frees everything; all zero then. */
void packets_fini(struct packets *packets);

#endif
