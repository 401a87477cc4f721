/* packets.c: see packets.h, also for the invariants N1 and N2. */
#include "packets.h"

#include "skynet.h"

#include <string.h>

#define LEAST_RING 16
#define LEAST_CHAINS 16

/* Of a packet that is not complete. */
struct packet_part {
	struct packet_part *next; /* in its chain */
	int id;
	uint8_t header_have; /* bytes of the length that have come */
	uint32_t size;	     /* the announced length, as far as its bytes have come */
	uint32_t have;	     /* bytes in block */
	uint32_t room;	     /* of block */
	char *block;	     /* or NULL */
};

/* What is left of a chunk. */
struct input {
	const char *bytes;
	size_t size;
};

/* --- the queue of what is complete --------------------------------------------------------- */

static void
grow_ring(struct packets *packets)
{
	size_t size = packets->ring_size ? 2 * packets->ring_size : LEAST_RING;
	struct packet *ring = skynet_malloc(size * sizeof *ring);
	for (size_t i = 0; i < packets->count; i++)
		ring[i] = packets->ring[(packets->first + i) & (packets->ring_size - 1)];
	skynet_free(packets->ring);
	packets->ring = ring;
	packets->ring_size = size;
	packets->first = 0;
}

/* block: taken. */
static void
add_packet(struct packets *packets, int id, char *block, uint32_t size)
{
	if (packets->count == packets->ring_size)
		grow_ring(packets);
	packets->ring[(packets->first + packets->count) & (packets->ring_size - 1)] =
		(struct packet){.id = id, .size = size, .block = block};
	packets->count++;
}

bool
packets_pop(struct packets *packets, struct packet *packet)
{
	if (packets->count == 0)
		return false;
	*packet = packets->ring[packets->first];
	packets->first = (packets->first + 1) & (packets->ring_size - 1);
	packets->count--;
	return true;
}

/* --- the parts ----------------------------------------------------------------------------- */

/* What points to the part of a socket, or to the NULL where it would be. */
static struct packet_part **
find_part(const struct packets *packets, int id)
{
	struct packet_part **link = &packets->parts[(unsigned)id & (packets->part_chains - 1)];
	while (*link && (*link)->id != id)
		link = &(*link)->next;
	return link;
}

static void
grow_chains(struct packets *packets)
{
	struct packets grown = {
		.part_chains = packets->part_chains ? 2 * packets->part_chains : LEAST_CHAINS,
	};
	grown.parts = skynet_calloc(grown.part_chains, sizeof(struct packet_part *));
	for (size_t i = 0; i < packets->part_chains; i++)
		while (packets->parts[i]) {
			struct packet_part *part = packets->parts[i];
			struct packet_part **link = find_part(&grown, part->id);
			packets->parts[i] = part->next;
			part->next = NULL;
			*link = part;
		}
	skynet_free(packets->parts);
	packets->parts = grown.parts;
	packets->part_chains = grown.part_chains;
}

static struct packet_part *
add_part(struct packets *packets, int id)
{
	if (packets->part_count == packets->part_chains)
		grow_chains(packets);
	struct packet_part *part = skynet_calloc(1, sizeof *part);
	part->id = id;
	*find_part(packets, id) = part;
	packets->part_count++;
	return part;
}

static void
remove_part(struct packets *packets, struct packet_part **link)
{
	struct packet_part *part = *link;
	*link = part->next;
	packets->part_count--;
	skynet_free(part->block);
	skynet_free(part);
}

void
packets_forget(struct packets *packets, int id)
{
	if (packets->part_count == 0)
		return;
	struct packet_part **link = find_part(packets, id);
	if (*link)
		remove_part(packets, link);
}

/* --- cutting ------------------------------------------------------------------------------- */

static uint32_t
read_length(const char *bytes)
{
	return (uint32_t)(unsigned char)bytes[0] << 8 | (unsigned char)bytes[1];
}

static char *
copy_block(const char *bytes, size_t size)
{
	char *block = skynet_malloc(size ? size : 1);
	memcpy(block, bytes, size);
	return block;
}

/* Cuts packets that lie whole in the input. */
static void
cut_whole(struct packets *packets, int id, struct input *input)
{
	while (input->size >= PACKET_HEADER_SIZE) {
		uint32_t size = read_length(input->bytes);
		if (input->size - PACKET_HEADER_SIZE < size)
			return;
		add_packet(packets, id, copy_block(input->bytes + PACKET_HEADER_SIZE, size), size);
		input->bytes += PACKET_HEADER_SIZE + size;
		input->size -= PACKET_HEADER_SIZE + size;
	}
}

/* N2 */
static void
make_room(struct packet_part *part, uint32_t size)
{
	if (part->block && part->have + size <= part->room)
		return;
	uint32_t room = 2 * (part->have + size);
	if (room < PACKET_LEAST_ROOM)
		room = PACKET_LEAST_ROOM;
	if (room > part->size)
		room = part->size;
	part->block = skynet_realloc(part->block, room ? room : 1);
	part->room = room;
}

/* Adds what the input has of a part. */
static void
fill_part(struct packet_part *part, struct input *input)
{
	for (; part->header_have < PACKET_HEADER_SIZE && input->size > 0; input->size--) {
		part->size = part->size << 8 | (unsigned char)*input->bytes++;
		part->header_have++;
	}
	if (part->header_have < PACKET_HEADER_SIZE)
		return;
	uint32_t missing = part->size - part->have;
	uint32_t count = input->size < missing ? (uint32_t)input->size : missing;
	if (count > 0 || part->size == 0)
		make_room(part, count);
	if (count > 0)
		memcpy(part->block + part->have, input->bytes, count);
	part->have += count;
	input->bytes += count;
	input->size -= count;
}

static bool
is_complete(const struct packet_part *part)
{
	return part->header_have == PACKET_HEADER_SIZE && part->have == part->size;
}

/* Goes on with the part that a socket has, if it has one. */
static void
finish_part(struct packets *packets, int id, struct input *input)
{
	if (packets->part_count == 0)
		return;
	struct packet_part **link = find_part(packets, id);
	struct packet_part *part = *link;
	if (!part)
		return;
	fill_part(part, input);
	if (!is_complete(part))
		return;
	add_packet(packets, id, part->block, part->size);
	part->block = NULL;
	remove_part(packets, link);
}

void
packets_feed(struct packets *packets, int id, const char *bytes, size_t size)
{
	struct input input = {bytes, size};
	finish_part(packets, id, &input);
	cut_whole(packets, id, &input);
	if (input.size > 0)
		fill_part(add_part(packets, id), &input);
}

void
packets_fini(struct packets *packets)
{
	struct packet packet;
	while (packets_pop(packets, &packet))
		skynet_free(packet.block);
	for (size_t i = 0; i < packets->part_chains; i++)
		while (packets->parts[i])
			remove_part(packets, &packets->parts[i]);
	skynet_free(packets->parts);
	skynet_free(packets->ring);
	*packets = (struct packets){0};
}
