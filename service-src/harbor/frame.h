/* frame.h: how messages between nodes look on a pipe.
 *
 * Model      A pipe is a stream of frames: a header of HARBOR_FRAME_HEADER bytes, numbers in big
 *            endian, then at most HARBOR_FRAME_PAYLOAD_MAX bytes:
 *              0   4  length of what follows
 *              4   1  kind
 *              5   1  type of the message (PTYPE_*), else 0
 *              6   2  flags: HARBOR_FRAME_HAS_MORE, of MESSAGE and PART
 *              8   4  source        of the message; 0 where there is none
 *              12  4  destination   the same
 *              16  4  session       the same; of BEAT and ECHO: the number of the beat
 *            A message that is longer than one frame goes on in PARTs, which repeat the addresses,
 *            so that what serves the pipe itself (ACK, BEAT, ECHO) never waits behind it for long.
 *            PART, MESSAGE, PROBE, LINK and UNLINK are counted: a pipe that breaks goes on behind
 *            the last one that has come.
 * Memory     A frame that lies whole in one chunk is a view into it; one that came in pieces is a
 *            view into the reader's buffer, until the next call. That buffer is never longer than
 *            one frame.
 * Threads    [any]; a reader belongs to one caller. No input or output happens here.
 * Use        while ((result = harbor_frame_next(&reader, &input, &frame)) == HARBOR_FRAME_READY)
 *                    use(&frame);
 */
#ifndef HARBOR_FRAME_H
#define HARBOR_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HARBOR_FRAME_HEADER 20u
#define HARBOR_FRAME_PAYLOAD_MAX 65536u
/* The payload of ACK and BEGIN: a count of frames. */
#define HARBOR_FRAME_COUNT_BYTES 8u

enum harbor_frame_kind {
	HARBOR_FRAME_MESSAGE = 1,
	HARBOR_FRAME_PART = 2,
	HARBOR_FRAME_PROBE = 3,
	HARBOR_FRAME_LINK = 4,
	HARBOR_FRAME_UNLINK = 5,
	HARBOR_FRAME_ACK = 6,	/* so many counted frames have come from the other end */
	HARBOR_FRAME_BEAT = 7,	/* is to be echoed */
	HARBOR_FRAME_ECHO = 8,	/* of a BEAT */
	HARBOR_FRAME_BEGIN = 9, /* first on a pipe: so many counted frames were sent before */
};

#define HARBOR_FRAME_HAS_MORE 1u /* PARTs of the same message follow */

struct harbor_frame {
	uint8_t kind; /* enum harbor_frame_kind */
	uint8_t type;
	uint16_t flags;
	uint32_t source;
	uint32_t destination;
	int32_t session;
	uint32_t size;
	const char *payload;
};

struct harbor_frame_input {
	const char *bytes;
	size_t size;
};

/* All zero: nothing received yet. */
struct harbor_frame_reader {
	char *bytes; /* of a frame that is not complete */
	uint32_t size;
	uint32_t capacity;
};

enum harbor_frame_result {
	HARBOR_FRAME_INCOMPLETE, /* the input is used up */
	HARBOR_FRAME_READY,	 /* one frame; call again for the next */
	HARBOR_FRAME_INVALID,	 /* payload: why, a text; the stream is of no use behind this */
};

/* Cuts the next frame off the input, which moves on. */
enum harbor_frame_result harbor_frame_next(struct harbor_frame_reader *reader,
					   struct harbor_frame_input *input,
					   struct harbor_frame *frame);
/* Frees what the reader holds; it is empty then. */
void harbor_frame_reader_fini(struct harbor_frame_reader *reader);

/* Whether frames of that kind are counted. */
static inline bool
harbor_frame_is_counted(uint8_t kind)
{
	return kind <= HARBOR_FRAME_UNLINK;
}

/* Whether the session of a message can be one: it is not negative, but in the error that tells of a
 * message without a session. */
bool harbor_frame_has_session(const struct harbor_frame *frame);

/* Reads the frame that begins at bytes, which was written by the functions below. Returns its whole
 * size. */
size_t harbor_frame_read(const char *bytes, struct harbor_frame *frame);

/* Writes a header for frame->size bytes of payload. Returns where the payload has to go. */
char *harbor_frame_write_header(char *to, const struct harbor_frame *frame);
/* Writes a frame with its payload. Returns its end. */
char *harbor_frame_write(char *to, const struct harbor_frame *frame);
/* Writes an ACK or a BEGIN, HARBOR_FRAME_HEADER + HARBOR_FRAME_COUNT_BYTES bytes. Returns its
 * end. */
char *harbor_frame_write_count(char *to, enum harbor_frame_kind kind, uint64_t count);
/* Reads the payload of an ACK or a BEGIN. */
uint64_t harbor_frame_count(const struct harbor_frame *frame);

/* Numbers in big endian. */
void harbor_put_number(char *to, uint64_t number, size_t size);
uint64_t harbor_get_number(const char *from, size_t size);

#endif
