/* frame_fuzz.c: a libFuzzer target for the framing. The first byte of the input chooses the
 * header's length and the size of the chunks; the rest is the stream. What comes out in chunks must
 * be what comes out in one piece, and no read may leave the chunk, which the address sanitizer
 * tells. `make fuzz` builds and runs it. */
#include "../../service-src/gate/frame.c"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifndef HAS_CORE /* as a unit test has */
/* The framing needs these three of the core. */
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

void
skynet_free(void *ptr)
{
	free(ptr);
}
#endif

/* A number that differs when frames or their bytes do. */
static uint64_t
digest(uint64_t hash, const struct gate_frame *frame)
{
	hash = (hash ^ frame->size) * UINT64_C(1099511628211);
	for (uint32_t i = 0; i < frame->size; i++)
		hash = (hash ^ (uint8_t)frame->data[i]) * UINT64_C(1099511628211);
	return hash;
}

static uint64_t
cut(const uint8_t *data, size_t size, int header_bytes, size_t chunk_size)
{
	struct gate_frame_reader reader = {0};
	uint64_t hash = UINT64_C(14695981039346656037);
	enum gate_frame_result result = GATE_FRAME_MORE;
	while (size > 0 && result != GATE_FRAME_TOO_LONG) {
		size_t count = size < chunk_size ? size : chunk_size;
		char *chunk = skynet_malloc(count);
		memcpy(chunk, data, count);
		struct gate_input input = {chunk, count};
		struct gate_frame frame;
		while ((result = gate_frame_next(&reader, header_bytes, &input, &frame)) ==
		       GATE_FRAME_READY) {
			hash = digest(hash, &frame);
			skynet_free(frame.block);
		}
		skynet_free(chunk);
		data += count;
		size -= count;
	}
	gate_frame_fini(&reader);
	return hash;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	int header_bytes = data[0] & 1 ? 4 : 2;
	size_t chunk_size = 1 + (size_t)(data[0] >> 1);
	if (cut(data + 1, size - 1, header_bytes, chunk_size) !=
	    cut(data + 1, size - 1, header_bytes, size))
		abort();
	return 0;
}
