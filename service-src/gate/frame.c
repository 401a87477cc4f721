/* frame.c: which codec a framing has; and the one that needs none. See frame.h. */
#include "frame.h"

#include "skynet.h"

/* raw: what has arrived together is a frame, or several if it is longer than one may be. All of a
 * chunk is handed on with its block, so its bytes are not copied. */
static enum gate_frame_result
raw_next(const struct framing *framing, struct gate_input *input, struct gate_frame *frame)
{
	if (input->size == 0)
		return GATE_FRAME_MORE;
	bool is_whole = input->data == input->block && input->size <= framing->max_frame;
	gate_frame_view(input,
			input->size < framing->max_frame ? (uint32_t)input->size
							 : framing->max_frame,
			frame);
	if (is_whole) {
		frame->block = input->block;
		input->block = NULL;
	}
	return GATE_FRAME_READY;
}

enum gate_frame_result
gate_frame_next(const struct framing *framing, union gate_reader *reader, struct gate_input *input,
		struct gate_frame *frame)
{
	switch (framing->kind) {
	case FRAMING_LENGTH:
		return gate_length_next(framing, &reader->length, input, frame);
	case FRAMING_DELIMITER:
		return gate_delimiter_next(framing, &reader->delimiter, input, frame);
	case FRAMING_WEBSOCKET:
		return gate_websocket_next(framing, &reader->websocket, input, frame);
	case FRAMING_RAW:
		break;
	}
	return raw_next(framing, input, frame);
}

void
gate_frame_fini(const struct framing *framing, union gate_reader *reader)
{
	switch (framing->kind) {
	case FRAMING_LENGTH:
		gate_block_fini(&reader->length.body);
		reader->length = (struct gate_length_reader){0};
		break;
	case FRAMING_DELIMITER:
		gate_block_fini(&reader->delimiter);
		break;
	case FRAMING_WEBSOCKET:
		gate_websocket_fini(&reader->websocket);
		break;
	case FRAMING_RAW:
		break;
	}
}
