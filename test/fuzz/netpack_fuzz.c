/* netpack_fuzz.c: a libFuzzer target for the packets of skynet.netpack. The first byte of the input
 * is the size of the chunks; the rest is the stream, which two sockets send at the same time, and a
 * third in one piece. All must give the same packets, and no read may leave the chunk, which the
 * address sanitizer tells. `make fuzz` builds and runs it. */
#include "../../lualib-src/skynet_netpack/packets.c"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifndef HAS_CORE /* as a unit test has */
void *
skynet_realloc(void *ptr, size_t size)
{
	return realloc(ptr, size);
}

void *
skynet_malloc(size_t size)
{
	return malloc(size);
}

void *
skynet_calloc(size_t count, size_t size)
{
	return calloc(count, size);
}

void
skynet_free(void *ptr)
{
	free(ptr);
}
#endif

enum { FIRST = 1, SECOND = 17, WHOLE = 33, SOCKETS = 3 }; /* ids whose chains meet */

static void
feed(struct packets *packets, int id, const uint8_t *data, size_t size)
{
	char *chunk = malloc(size ? size : 1);
	if (!chunk)
		abort();
	memcpy(chunk, data, size);
	packets_feed(packets, id, chunk, size);
	free(chunk);
}

/* Takes all packets and mixes those of each socket into its number. */
static void
digest(struct packets *packets, uint64_t hashes[SOCKETS])
{
	struct packet packet;
	while (packets_pop(packets, &packet)) {
		uint64_t *hash = &hashes[packet.id / 16];
		*hash = (*hash ^ packet.size) * UINT64_C(1099511628211);
		for (uint32_t i = 0; i < packet.size; i++)
			*hash = (*hash ^ (uint8_t)packet.block[i]) * UINT64_C(1099511628211);
		skynet_free(packet.block);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct packets packets = {0};
	uint64_t hashes[SOCKETS] = {0};
	if (size < 2)
		return 0;
	size_t chunk_size = 1 + (size_t)data[0];
	data++;
	size--;
	for (size_t at = 0; at < size; at += chunk_size) {
		size_t count = chunk_size < size - at ? chunk_size : size - at;
		feed(&packets, FIRST, data + at, count);
		feed(&packets, SECOND, data + at, count);
		if (count & 1) /* sometimes several wait */
			digest(&packets, hashes);
	}
	feed(&packets, WHOLE, data, size);
	digest(&packets, hashes);
	if (hashes[0] != hashes[1] || hashes[0] != hashes[2])
		abort();
	packets_fini(&packets);
	return 0;
}
