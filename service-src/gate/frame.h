/* frame.h: cuts a stream of bytes into frames: a big-endian length, then as many bytes.
 *
 * Model      The bytes come in chunks, cut anywhere. A reader keeps what one connection has sent of
 *            a frame that is not complete yet, and nothing else:
 *              I1  a reader holds memory only while a frame's body is partly there;
 *              I2  that memory is at most twice what was received of the body (or a few bytes), and
 *                  never more than the announced length, so a promise alone costs nothing.
 *            Frames of length 0 are skipped.
 * Memory     A frame that lies whole in one chunk is a view into the chunk; one that came in pieces
 *            was put together in a block, which is given to the caller.
 * Threads    [any]; a reader belongs to one caller. No input or output happens here.
 * Use        struct gate_input input = {chunk, size};
 *            while (gate_frame_next(&reader, 2, &input, &frame) == GATE_FRAME_READY)
 *                    use(&frame);
 */
#ifndef GATE_FRAME_H
#define GATE_FRAME_H

#include <stddef.h>
#include <stdint.h>

/* A frame must be shorter than this many bytes: 16 MiB. What a 2-byte length can say never
 * reaches it; with 4 bytes it keeps one client from filling the memory. */
#define GATE_FRAME_LIMIT ((uint32_t)1 << 24)

/* All zero: nothing received yet. */
struct gate_frame_reader {
	char *block;	     /* the received part of the body, or NULL (I1) */
	uint32_t capacity;   /* of block */
	uint32_t size;	     /* the announced length, as far as its bytes have come */
	uint32_t have;	     /* bytes in block */
	uint8_t header_have; /* bytes of the length that have come */
};

/* What is left of a chunk. */
struct gate_input {
	const char *data;
	size_t size;
};

struct gate_frame {
	const char *data;
	uint32_t size;
	char *block; /* NULL: data lies in the chunk. Else data's block, given: skynet_free */
};

enum gate_frame_result {
	GATE_FRAME_MORE,     /* the chunk is used up */
	GATE_FRAME_READY,    /* one frame; call again for the next */
	GATE_FRAME_TOO_LONG, /* the announced length is not allowed; the stream is of no use now */
};

/* Cuts the next frame from the input, which moves on. header_bytes: 2 or 4, the same for all of a
 * stream. frame: written only when GATE_FRAME_READY is returned. */
enum gate_frame_result gate_frame_next(struct gate_frame_reader *reader, int header_bytes,
				       struct gate_input *input, struct gate_frame *frame);

/* Frees what a reader holds; it is empty afterwards. */
void gate_frame_fini(struct gate_frame_reader *reader);

#endif
