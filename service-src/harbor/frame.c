/* frame.c: writes frames, and cuts them out of a stream; see frame.h.
 *
 * What stands in a header is checked as soon as the header is there: no byte of the other end makes
 * the reader wait for, or ask memory for, more than one frame. */
#include "frame.h"

#include "skynet.h"

#include <string.h>

/* What the length of a frame counts of its header. */
#define LENGTH_BYTES 4u
#define COUNTED_HEADER (HARBOR_FRAME_HEADER - LENGTH_BYTES)

void
harbor_put_number(char *to, uint64_t number, size_t size)
{
	for (size_t i = size; i > 0; i--) {
		to[i - 1] = (char)(number & 0xff);
		number >>= 8;
	}
}

uint64_t
harbor_get_number(const char *from, size_t size)
{
	uint64_t number = 0;
	for (size_t i = 0; i < size; i++)
		number = number << 8 | (unsigned char)from[i];
	return number;
}

/* --- writing --------------------------------------------------------------------------------- */

char *
harbor_frame_write_header(char *to, const struct harbor_frame *frame)
{
	harbor_put_number(to, COUNTED_HEADER + frame->size, 4);
	to[4] = (char)frame->kind;
	to[5] = (char)frame->type;
	harbor_put_number(to + 6, frame->flags, 2);
	harbor_put_number(to + 8, frame->source, 4);
	harbor_put_number(to + 12, frame->destination, 4);
	harbor_put_number(to + 16, (uint32_t)frame->session, 4);
	return to + HARBOR_FRAME_HEADER;
}

char *
harbor_frame_write(char *to, const struct harbor_frame *frame)
{
	to = harbor_frame_write_header(to, frame);
	if (frame->size > 0)
		memcpy(to, frame->payload, frame->size);
	return to + frame->size;
}

char *
harbor_frame_write_count(char *to, enum harbor_frame_kind kind, uint64_t count)
{
	struct harbor_frame frame = {.kind = (uint8_t)kind, .size = HARBOR_FRAME_COUNT_BYTES};
	to = harbor_frame_write_header(to, &frame);
	harbor_put_number(to, count, HARBOR_FRAME_COUNT_BYTES);
	return to + HARBOR_FRAME_COUNT_BYTES;
}

/* --- reading --------------------------------------------------------------------------------- */

uint64_t
harbor_frame_count(const struct harbor_frame *frame)
{
	return harbor_get_number(frame->payload, HARBOR_FRAME_COUNT_BYTES);
}

/* Reads a header; its length is one that can be. */
static void
read_header(const char *bytes, struct harbor_frame *frame)
{
	frame->size = (uint32_t)harbor_get_number(bytes, 4) - COUNTED_HEADER;
	frame->kind = (uint8_t)bytes[4];
	frame->type = (uint8_t)bytes[5];
	frame->flags = (uint16_t)harbor_get_number(bytes + 6, 2);
	frame->source = (uint32_t)harbor_get_number(bytes + 8, 4);
	frame->destination = (uint32_t)harbor_get_number(bytes + 12, 4);
	frame->session = (int32_t)harbor_get_number(bytes + 16, 4);
	frame->payload = NULL;
}

size_t
harbor_frame_read(const char *bytes, struct harbor_frame *frame)
{
	read_header(bytes, frame);
	frame->payload = bytes + HARBOR_FRAME_HEADER;
	return HARBOR_FRAME_HEADER + frame->size;
}

bool
harbor_frame_has_session(const struct harbor_frame *frame)
{
	return frame->session >= 0 ||
	       (frame->type == PTYPE_ERROR && frame->session == SKYNET_SESSION_LOST);
}

/* What is wrong with the header of a message, or of a part; NULL: nothing. */
static const char *
message_problem(const struct harbor_frame *frame)
{
	if (frame->flags > HARBOR_FRAME_HAS_MORE)
		return "a frame has flags that this version does not know";
	if (frame->flags == HARBOR_FRAME_HAS_MORE && frame->size == 0)
		return "a part of a message is empty";
	if (frame->type == PTYPE_SOCKET)
		return "a message has the type of socket events, which never travel";
	if (!harbor_frame_has_session(frame))
		return "a message has a session that none can have";
	return NULL;
}

/* The same of frames whose payload is of a known size. */
static const char *
other_problem(const struct harbor_frame *frame, uint32_t size)
{
	if (frame->size != size)
		return "a frame has a length that its kind cannot have";
	if (frame->type != 0 || frame->flags != 0)
		return "a frame has a type or flags that its kind cannot have";
	return NULL;
}

static const char *
kind_problem(const struct harbor_frame *frame)
{
	switch ((enum harbor_frame_kind)frame->kind) {
	case HARBOR_FRAME_MESSAGE:
	case HARBOR_FRAME_PART:
		return message_problem(frame);
	case HARBOR_FRAME_PROBE:
	case HARBOR_FRAME_LINK:
	case HARBOR_FRAME_UNLINK:
	case HARBOR_FRAME_BEAT:
	case HARBOR_FRAME_ECHO:
		return other_problem(frame, 0);
	case HARBOR_FRAME_ACK:
	case HARBOR_FRAME_BEGIN:
		return other_problem(frame, HARBOR_FRAME_COUNT_BYTES);
	}
	return "a frame is of a kind that this version does not know";
}

/* Reads a header from outside. Returns what is wrong with it; NULL: nothing. */
static const char *
check_header(const char *bytes, struct harbor_frame *frame)
{
	uint32_t length = (uint32_t)harbor_get_number(bytes, 4);
	if (length < COUNTED_HEADER)
		return "a frame is shorter than its header";
	if (length > COUNTED_HEADER + HARBOR_FRAME_PAYLOAD_MAX)
		return "a frame is longer than any may be";
	read_header(bytes, frame);
	if (harbor_frame_is_counted(frame->kind)) {
		if (frame->source == 0 || frame->destination == 0)
			return "a frame has no source or no destination";
	} else if (frame->source != 0 || frame->destination != 0) {
		return "a frame has an address that its kind cannot have";
	}
	return kind_problem(frame);
}

static enum harbor_frame_result
refuse(struct harbor_frame *frame, const char *problem)
{
	*frame = (struct harbor_frame){.payload = problem, .size = (uint32_t)strlen(problem)};
	return HARBOR_FRAME_INVALID;
}

/* Moves bytes of the input behind what the buffer has, until that is `size` long. Returns whether
 * it is. */
static bool
collect(struct harbor_frame_reader *reader, struct harbor_frame_input *input, uint32_t size)
{
	uint32_t missing = size - reader->size;
	uint32_t count = input->size < missing ? (uint32_t)input->size : missing;
	if (reader->capacity < size) {
		reader->bytes = skynet_realloc(reader->bytes, size);
		reader->capacity = size;
	}
	if (count > 0)
		memcpy(reader->bytes + reader->size, input->bytes, count);
	reader->size += count;
	input->bytes += count;
	input->size -= count;
	return count == missing;
}

/* Goes on with a frame that came in pieces. */
static enum harbor_frame_result
next_collected(struct harbor_frame_reader *reader, struct harbor_frame_input *input,
	       struct harbor_frame *frame)
{
	if (reader->size < HARBOR_FRAME_HEADER && !collect(reader, input, HARBOR_FRAME_HEADER))
		return HARBOR_FRAME_INCOMPLETE;
	const char *problem = check_header(reader->bytes, frame);
	if (problem != NULL)
		return refuse(frame, problem);
	if (!collect(reader, input, HARBOR_FRAME_HEADER + frame->size))
		return HARBOR_FRAME_INCOMPLETE;
	frame->payload = reader->bytes + HARBOR_FRAME_HEADER;
	reader->size = 0;
	return HARBOR_FRAME_READY;
}

enum harbor_frame_result
harbor_frame_next(struct harbor_frame_reader *reader, struct harbor_frame_input *input,
		  struct harbor_frame *frame)
{
	if (reader->size > 0 || input->size < HARBOR_FRAME_HEADER)
		return next_collected(reader, input, frame);
	const char *problem = check_header(input->bytes, frame);
	if (problem != NULL)
		return refuse(frame, problem);
	size_t size = HARBOR_FRAME_HEADER + frame->size;
	if (input->size < size)
		return next_collected(reader, input, frame);
	frame->payload = input->bytes + HARBOR_FRAME_HEADER;
	input->bytes += size;
	input->size -= size;
	return HARBOR_FRAME_READY;
}

void
harbor_frame_reader_fini(struct harbor_frame_reader *reader)
{
	skynet_free(reader->bytes);
	*reader = (struct harbor_frame_reader){0};
}
