/* frame.h: cuts a stream of bytes into frames, in whichever framing (../framing.h).
 *
 * Model      The bytes come in chunks, cut anywhere. A reader keeps what one connection has sent of
 *            a frame that is not complete yet, and nothing else (I1 and I2 of block.h).
 * Codecs     length.c, delimiter.c, websocket.c, one for each kind of framing; raw needs none.
 * Memory     A frame that lies whole in one chunk is a view into the chunk; one that came in pieces
 *            was put together in a block, which is given to the caller.
 * Threads    [any]; a reader belongs to one caller. No input or output happens here.
 * Use        struct gate_input input = {chunk, size, chunk};
 *            while (gate_frame_next(&framing, &reader, &input, &frame) == GATE_FRAME_READY)
 *                    use(&frame);
 *            skynet_free(input.block);
 */
#ifndef GATE_FRAME_H
#define GATE_FRAME_H

#include "../framing.h"
#include "block.h"

/* What is left of a chunk. The bytes may be changed in place. */
struct gate_input {
	char *data;
	size_t size;
	char *block; /* the chunk, owned: a frame that is all of it may take it. NULL: borrowed */
};

struct gate_frame {
	const char *data;
	uint32_t size;
	char *block; /* NULL: data lies in the chunk. Else data's block, given: skynet_free */
};

enum gate_frame_result {
	GATE_FRAME_MORE,  /* the chunk is used up */
	GATE_FRAME_READY, /* one frame; call again for the next */
	GATE_FRAME_REPLY, /* the frame is for the client, as it stands; call again */
	/* The stream is of no use behind this; the reader may only be freed. */
	GATE_FRAME_ENDED,    /* the client says that it sends no more; size: its code, or 0 */
	GATE_FRAME_TOO_LONG, /* a frame is longer than allowed */
	GATE_FRAME_INVALID,  /* data: why, a text */
};

/* All zero: nothing received yet. */
struct gate_length_reader {
	struct gate_block body; /* the received part of it, while it is not complete */
	uint32_t size;		/* the announced length, as far as its bytes have come */
	uint8_t header_have;	/* bytes of the length that have come */
};

struct gate_websocket;

union gate_reader {
	struct gate_length_reader length;
	struct gate_block delimiter;
	struct gate_websocket *websocket; /* NULL: nothing received yet */
};

/* Cuts the next frame from the input, which moves on. frame: means nothing when
 * GATE_FRAME_MORE or GATE_FRAME_TOO_LONG is returned. */
enum gate_frame_result gate_frame_next(const struct framing *framing, union gate_reader *reader,
				       struct gate_input *input, struct gate_frame *frame);

/* Frees what a reader holds; it is empty afterwards. */
void gate_frame_fini(const struct framing *framing, union gate_reader *reader);

/* The same, of each kind. */
enum gate_frame_result gate_length_next(const struct framing *framing,
					struct gate_length_reader *reader, struct gate_input *input,
					struct gate_frame *frame);
enum gate_frame_result gate_delimiter_next(const struct framing *framing, struct gate_block *reader,
					   struct gate_input *input, struct gate_frame *frame);
enum gate_frame_result gate_websocket_next(const struct framing *framing,
					   struct gate_websocket **reader, struct gate_input *input,
					   struct gate_frame *frame);
void gate_websocket_fini(struct gate_websocket **reader);

/* Cuts `size` bytes off the input, as a view. */
static inline void
gate_frame_view(struct gate_input *input, uint32_t size, struct gate_frame *frame)
{
	*frame = (struct gate_frame){.data = input->data, .size = size};
	input->data += size;
	input->size -= size;
}

#endif
