/* length.c: frames that are a length, then as many bytes.
 *
 * A reader is in one of two states, told apart by header_have:
 *
 *      the last byte of a length above 0
 *   LENGTH ------------------------------> BODY     (size is known, what came of it is in body)
 *      ^                                     |
 *      +---------- the last byte ------------+
 *
 * Both are left within one call when the bytes are there, so a chunk with many frames is cut
 * without a copy. */
#include "frame.h"

#include "skynet.h"

/* Reads bytes of the length. Returns whether all have come. */
static bool
read_length(const struct framing *framing, struct gate_length_reader *reader,
	    struct gate_input *input)
{
	while (reader->header_have < framing->header_bytes) {
		if (input->size == 0)
			return false;
		uint32_t byte = (unsigned char)*input->data;
		reader->size = framing->is_little_endian
				       ? reader->size | byte << (8 * reader->header_have)
				       : reader->size << 8 | byte;
		reader->header_have++;
		input->data++;
		input->size--;
	}
	return true;
}

/* Puts what the input has of the body behind what came before. Returns whether all has come. */
static bool
read_body(struct gate_length_reader *reader, struct gate_input *input)
{
	uint32_t missing = reader->size - reader->body.size;
	uint32_t count = input->size < missing ? (uint32_t)input->size : missing;
	gate_block_append(&reader->body, input->data, count, reader->size);
	input->data += count;
	input->size -= count;
	return count == missing;
}

enum gate_frame_result
gate_length_next(const struct framing *framing, struct gate_length_reader *reader,
		 struct gate_input *input, struct gate_frame *frame)
{
	if (!read_length(framing, reader, input))
		return GATE_FRAME_MORE;
	while (reader->size == 0 && framing->skips_empty) {
		reader->header_have = 0;
		if (!read_length(framing, reader, input))
			return GATE_FRAME_MORE;
	}
	if (reader->size > framing->max_frame)
		return GATE_FRAME_TOO_LONG;
	if (reader->body.size == 0 && input->size >= reader->size) {
		gate_frame_view(input, reader->size, frame);
	} else {
		if (!read_body(reader, input))
			return GATE_FRAME_MORE;
		frame->size = reader->size;
		frame->block = gate_block_take(&reader->body);
		frame->data = frame->block;
	}
	reader->size = 0;
	reader->header_have = 0;
	return GATE_FRAME_READY;
}
