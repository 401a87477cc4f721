/* harbor_fuzz.c: a libFuzzer target for what one node can say to another. The first byte of the
 * input chooses: frames, or a handshake as the dialler or as the acceptor; the second is the size
 * of the chunks; the rest is the stream. What comes of it in chunks must be what comes of it in one
 * piece, what is read must be what was written, and no read may leave the chunk, which the address
 * sanitizer tells. `make fuzz` builds and runs it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

/* The same bytes of chance in every handshake. */
#define RAND_bytes(bytes, size) (memset((bytes), 7, (size)), 1)
/* clang-format off */
#include "../../service-src/harbor/frame.c"
#include "../../service-src/harbor/handshake.c"
/* clang-format on */

#include "fuzz_memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t
digest(uint64_t hash, const void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ ((const uint8_t *)bytes)[i]) * UINT64_C(1099511628211);
	return hash;
}

/* Writes the frame again: the bytes must be those it was read from. */
static void
check_frame(const struct harbor_frame *frame)
{
	char *bytes = malloc(HARBOR_FRAME_HEADER + frame->size);
	struct harbor_frame again;
	char *end = harbor_frame_write(bytes, frame);
	if (end != bytes + HARBOR_FRAME_HEADER + frame->size ||
	    memcmp(bytes, frame->payload - HARBOR_FRAME_HEADER, (size_t)(end - bytes)) != 0 ||
	    harbor_frame_read(bytes, &again) != (size_t)(end - bytes) || again.kind != frame->kind)
		abort();
	free(bytes);
}

static uint64_t
cut_frames(const uint8_t *data, size_t size, size_t chunk_size)
{
	struct harbor_frame_reader reader = {0};
	struct harbor_frame frame = {0};
	enum harbor_frame_result result = HARBOR_FRAME_INCOMPLETE;
	uint64_t hash = UINT64_C(14695981039346656037);
	while (size > 0 && result == HARBOR_FRAME_INCOMPLETE) {
		size_t count = size < chunk_size ? size : chunk_size;
		char *chunk = malloc(count);
		memcpy(chunk, data, count);
		struct harbor_frame_input input = {chunk, count};
		while ((result = harbor_frame_next(&reader, &input, &frame)) ==
		       HARBOR_FRAME_READY) {
			check_frame(&frame);
			hash = digest(hash, frame.payload - HARBOR_FRAME_HEADER,
				      HARBOR_FRAME_HEADER + frame.size);
		}
		if (result == HARBOR_FRAME_INVALID)
			hash = digest(hash, frame.payload, frame.size);
		free(chunk);
		data += count;
		size -= count;
	}
	harbor_frame_reader_fini(&reader);
	return hash;
}

static uint64_t
shake(const uint8_t *data, size_t size, size_t chunk_size, bool is_dialler)
{
	static struct harbor_handshake handshake;
	const struct harbor_hello own = {.id = 1, .wanted = 2, .tie = 3, .message_limit = 4};
	uint64_t hash = UINT64_C(14695981039346656037);
	if (is_dialler)
		harbor_handshake_dial(&handshake, &own, "");
	else
		harbor_handshake_await(&handshake, "");
	while (size > 0 && handshake.state == HARBOR_HANDSHAKE_GOES_ON) {
		size_t count = size < chunk_size ? size : chunk_size;
		char *chunk = malloc(count);
		memcpy(chunk, data, count);
		size_t used = harbor_handshake_input(&handshake, chunk, count);
		if (used != count && handshake.state == HARBOR_HANDSHAKE_GOES_ON)
			abort();
		free(chunk);
		data += used;
		size -= used;
		if (handshake.state == HARBOR_HANDSHAKE_ASKED)
			harbor_handshake_accept(&handshake, &own);
		hash = digest(hash, handshake.out, handshake.out_size);
		handshake.out_size = 0;
	}
	return digest(hash, handshake.text, strlen(handshake.text)) ^ handshake.state;
}

static uint64_t
run(const uint8_t *data, size_t size, size_t chunk_size)
{
	if (data[0] % 3 == 0)
		return cut_frames(data + 2, size - 2, chunk_size);
	/* What is sent depends on the chunks only in how much of it is sent at a time: the digest
	 * goes on from byte to byte. */
	return shake(data + 2, size - 2, chunk_size, data[0] % 3 == 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 3)
		return 0;
	if (run(data, size, 1 + (size_t)data[1]) != run(data, size, size))
		abort();
	return 0;
}
