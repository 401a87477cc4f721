/* frame_fuzz.c: a libFuzzer target for the framings. The first byte of the input chooses one, the
 * second the size of the chunks; the rest is the stream. What comes out in chunks must be what
 * comes out in one piece, and no read may leave the chunk, which the address sanitizer tells.
 * `make fuzz` builds and runs it. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
/* clang-format off */
#include "../../service-src/gate/block.c"
#include "../../service-src/gate/length.c"
#include "../../service-src/gate/delimiter.c"
#include "../../service-src/gate/websocket.c"
#include "../../service-src/gate/frame.c"
/* clang-format on */

#include "fuzz_memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A number that differs when frames or their bytes do. */
static uint64_t
digest(uint64_t hash, enum gate_frame_result result, const struct gate_frame *frame)
{
	hash = (hash ^ result) * UINT64_C(1099511628211);
	if (result == GATE_FRAME_TOO_LONG)
		return hash; /* there is no frame */
	hash = (hash ^ frame->size) * UINT64_C(1099511628211);
	for (uint32_t i = 0; i < frame->size && result != GATE_FRAME_ENDED; i++)
		hash = (hash ^ (uint8_t)frame->data[i]) * UINT64_C(1099511628211);
	return hash;
}

static bool
goes_on(enum gate_frame_result result)
{
	return result == GATE_FRAME_READY || result == GATE_FRAME_REPLY;
}

static uint64_t
cut_stream(const uint8_t *data, size_t size, const struct framing *framing, size_t chunk_size)
{
	union gate_reader reader = {0};
	uint64_t hash = UINT64_C(14695981039346656037);
	enum gate_frame_result result = GATE_FRAME_MORE;
	while (size > 0 && result == GATE_FRAME_MORE) {
		size_t count = size < chunk_size ? size : chunk_size;
		char *chunk = skynet_malloc(count);
		memcpy(chunk, data, count);
		struct gate_input input = {chunk, count, chunk};
		struct gate_frame frame = {0};
		while (goes_on(result = gate_frame_next(framing, &reader, &input, &frame))) {
			hash = digest(hash, result, &frame);
			skynet_free(frame.block);
			frame = (struct gate_frame){0};
		}
		hash = result != GATE_FRAME_MORE ? digest(hash, result, &frame) : hash;
		skynet_free(input.block);
		data += count;
		size -= count;
	}
	gate_frame_fini(framing, &reader);
	return hash;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"S",     "L",	  "u8",	      "u16be",
					    "u16le", "u32be",	  "u32le",    "line",
					    "nul",   "delimiter", "websocket"};
	struct framing framing;
	if (size < 3)
		return 0;
	(void)framing_choose(&framing, names[data[0] % (sizeof(names) / sizeof(names[0]))]);
	if (framing.takes_delimiter)
		(void)framing_set(&framing, "delimiter", "aab", 3);
	if (data[0] & 0x80) /* of frames that are too long, too */
		framing.max_frame = 20;
	if (cut_stream(data + 2, size - 2, &framing, 1 + (size_t)data[1]) !=
	    cut_stream(data + 2, size - 2, &framing, size))
		abort();
	return 0;
}
