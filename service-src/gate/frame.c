/* frame.c: cuts a stream of bytes into frames. See frame.h for the invariants.
 *
 * A reader is in one of two states, told apart by header_have:
 *
 *      the last byte of a length above 0
 *   LENGTH ------------------------------> BODY     (size is known, have of it are in block)
 *      ^                                     |
 *      +---------- the last byte ------------+
 *
 * Both are left within one call when the bytes are there, so a chunk with many frames is cut
 * without a copy. */
#include "frame.h"

#include "skynet.h"

#include <stdbool.h>
#include <string.h>

/* The first block of a frame that comes in pieces: what the smallest allocation costs anyway. */
#define FIRST_BLOCK_BYTES 64

void
gate_frame_fini(struct gate_frame_reader *reader)
{
	skynet_free(reader->block);
	memset(reader, 0, sizeof(*reader));
}

/* Reads bytes of the length. Returns whether all have come. */
static bool
read_length(struct gate_frame_reader *reader, int header_bytes, struct gate_input *input)
{
	while (reader->header_have < header_bytes) {
		if (input->size == 0)
			return false;
		reader->size = reader->size << 8 | (unsigned char)*input->data;
		reader->header_have++;
		input->data++;
		input->size--;
	}
	return true;
}

/* Makes room for need bytes of body. I2: twice what is there, never more than announced. */
static void
reserve(struct gate_frame_reader *reader, uint32_t need)
{
	if (need <= reader->capacity)
		return;
	uint32_t capacity = need < reader->size / 2 ? need * 2 : reader->size;
	if (capacity < FIRST_BLOCK_BYTES)
		capacity = FIRST_BLOCK_BYTES;
	if (capacity > reader->size)
		capacity = reader->size;
	reader->block = skynet_realloc(reader->block, capacity);
	reader->capacity = capacity;
}

/* Puts what the input has of the body behind what came before. Returns whether all has come. */
static bool
read_body(struct gate_frame_reader *reader, struct gate_input *input)
{
	uint32_t missing = reader->size - reader->have;
	uint32_t count = input->size < missing ? (uint32_t)input->size : missing;
	if (count == 0)
		return false;
	reserve(reader, reader->have + count);
	memcpy(reader->block + reader->have, input->data, count);
	reader->have += count;
	input->data += count;
	input->size -= count;
	return count == missing;
}

/* A frame that lies whole in the input: no copy, no block. */
static void
view_body(struct gate_frame_reader *reader, struct gate_input *input, struct gate_frame *frame)
{
	frame->data = input->data;
	frame->size = reader->size;
	frame->block = NULL;
	input->data += reader->size;
	input->size -= reader->size;
	reader->size = 0;
	reader->header_have = 0;
}

enum gate_frame_result
gate_frame_next(struct gate_frame_reader *reader, int header_bytes, struct gate_input *input,
		struct gate_frame *frame)
{
	do {
		if (reader->size == 0 && reader->header_have == header_bytes)
			reader->header_have = 0; /* an empty frame: skipped */
		if (!read_length(reader, header_bytes, input))
			return GATE_FRAME_MORE;
	} while (reader->size == 0);
	if (reader->size >= GATE_FRAME_LIMIT)
		return GATE_FRAME_TOO_LONG;
	if (reader->have == 0 && input->size >= reader->size) {
		view_body(reader, input, frame);
		return GATE_FRAME_READY;
	}
	if (!read_body(reader, input))
		return GATE_FRAME_MORE;
	frame->data = reader->block;
	frame->size = reader->size;
	frame->block = reader->block;
	memset(reader, 0, sizeof(*reader)); /* the block is the caller's now */
	return GATE_FRAME_READY;
}
