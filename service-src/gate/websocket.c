/* websocket.c: the frames of RFC 6455 as a server reads them, behind the handshake (upgrade.c).
 *
 * A frame here is a message there: what comes in fragments is put together. Pings are answered,
 * pongs skipped; text and binary are not told apart, and the UTF-8 of text is not checked.
 *
 * A reader is in one of three states, told apart by is_in_payload and opcode:
 *
 *        head, data                   head, control
 *   HEAD ----------> DATA        HEAD -------------> CONTROL
 *      <------------                  <-------------
 *       last byte of it                last byte of it
 *
 * W1  is_in_message: the first fragment of a message has come, and its last one has not.
 * W2  message holds what has come of the message in hand, unmasked; it never grows over max_frame.
 * A message that lies whole in one chunk is unmasked where it stands, and is a view. */
#include "frame.h"

#include "skynet.h"

#define HEAD_MAX 14 /* two bytes, a long length, the mask */
#define CONTROL_MAX 125

#define OPCODE_CONTINUATION 0
#define OPCODE_TEXT 1
#define OPCODE_BINARY 2
#define OPCODE_PING 9
#define OPCODE_PONG 10

struct gate_websocket {
	struct gate_block message; /* W2 */
	uint32_t left;		   /* of the frame's payload: what has not come yet */
	uint8_t mask[4];	   /* turned, so that the next byte's is the first */
	unsigned char head[HEAD_MAX];
	uint8_t head_have;
	uint8_t opcode; /* of the frame */
	uint8_t control_have;
	bool is_last; /* the frame is the last of its message */
	bool is_in_payload;
	bool is_in_message; /* W1 */
	char control[CONTROL_MAX];
};

/* Takes the mask off bytes where they stand. */
static void
unmask(struct gate_websocket *reader, char *bytes, size_t size)
{
	uint64_t mask;
	size_t i = 0;
	memcpy(&mask, reader->mask, 4);
	memcpy((char *)&mask + 4, reader->mask, 4);
	for (; i + sizeof(mask) <= size; i += sizeof(mask)) {
		uint64_t word;
		memcpy(&word, bytes + i, sizeof(word));
		word ^= mask;
		memcpy(bytes + i, &word, sizeof(word));
	}
	for (size_t k = 0; i + k < size; k++)
		bytes[i + k] ^= (char)reader->mask[k & 3];
	uint8_t turned[4];
	for (size_t k = 0; k < 4; k++)
		turned[k] = reader->mask[(size + k) & 3];
	memcpy(reader->mask, turned, 4);
}

static enum gate_frame_result
invalid(struct gate_frame *frame, const char *reason)
{
	*frame = (struct gate_frame){.data = reason, .size = (uint32_t)strlen(reason)};
	return GATE_FRAME_INVALID;
}

/* What is wrong with the first two bytes of a head, or NULL. */
static const char *
find_fault(const struct gate_websocket *reader)
{
	unsigned first = reader->head[0], second = reader->head[1];
	unsigned opcode = first & 15;
	if (first & 0x70)
		return "reserved bits are set";
	if (!(second & 0x80))
		return "a frame is not masked";
	if (opcode & 8) {
		if (opcode > OPCODE_PONG)
			return "a control frame of no kind";
		if (!(first & 0x80) || (second & 0x7f) > CONTROL_MAX)
			return "a control frame in fragments, or too long";
		return NULL;
	}
	if (opcode > OPCODE_BINARY)
		return "a data frame of no kind";
	if ((opcode == OPCODE_CONTINUATION) != reader->is_in_message)
		return reader->is_in_message ? "a new message inside of another"
					     : "a fragment without a beginning";
	return NULL;
}

/* How long the head is, by its second byte. */
static uint8_t
head_size(unsigned second)
{
	switch (second & 0x7f) {
	case 126:
		return 2 + 2 + 4;
	case 127:
		return 2 + 8 + 4;
	default:
		return 2 + 4;
	}
}

/* The length in a head that is complete. */
static uint64_t
payload_size(const struct gate_websocket *reader)
{
	uint64_t size = reader->head[1] & 0x7f;
	if (size < 126)
		return size;
	size = 0;
	for (int i = 2; i < head_size(reader->head[1]) - 4; i++)
		size = size << 8 | reader->head[i];
	return size;
}

/* Takes bytes of the head until there are `need`. Returns whether there are. */
static bool
fill_head(struct gate_websocket *reader, struct gate_input *input, uint8_t need)
{
	size_t missing = reader->head_have < need ? (size_t)need - reader->head_have : 0;
	size_t count = input->size < missing ? input->size : missing;
	memcpy(reader->head + reader->head_have, input->data, count);
	reader->head_have += (uint8_t)count;
	input->data += count;
	input->size -= count;
	return count == missing;
}

/* Begins the payload of a frame whose head is complete. */
static enum gate_frame_result
begin_payload(const struct framing *framing, struct gate_websocket *reader)
{
	uint64_t size = payload_size(reader);
	reader->opcode = reader->head[0] & 15;
	bool is_control = reader->opcode & 8;
	if (!is_control && size > framing->max_frame - reader->message.size)
		return GATE_FRAME_TOO_LONG; /* W2 */
	memcpy(reader->mask, reader->head + reader->head_have - 4, 4);
	reader->left = (uint32_t)size;
	reader->is_in_payload = true;
	reader->head_have = 0;
	if (!is_control)
		reader->is_last = reader->head[0] & 0x80;
	return GATE_FRAME_READY;
}

/* Reads a head. READY: a payload begins. */
static enum gate_frame_result
read_head(const struct framing *framing, struct gate_websocket *reader, struct gate_input *input,
	  struct gate_frame *frame)
{
	if (!fill_head(reader, input, 2))
		return GATE_FRAME_MORE;
	const char *fault = find_fault(reader);
	if (fault != NULL)
		return invalid(frame, fault);
	if (!fill_head(reader, input, head_size(reader->head[1])))
		return GATE_FRAME_MORE;
	return begin_payload(framing, reader);
}

/* Reads payload of a data frame. READY: all of it has come, and a message with it if it is the last
 * one. */
static enum gate_frame_result
read_data(struct gate_websocket *reader, struct gate_input *input, struct gate_frame *frame)
{
	uint32_t count = input->size < reader->left ? (uint32_t)input->size : reader->left;
	reader->left -= count;
	if (reader->left == 0 && reader->is_last && reader->message.size == 0) {
		unmask(reader, input->data, count);
		gate_frame_view(input, count, frame);
		return GATE_FRAME_READY;
	}
	uint32_t known = reader->message.size + count + reader->left;
	char *at = gate_block_append(&reader->message, input->data, count, known);
	if (count > 0)
		unmask(reader, at, count);
	input->data += count;
	input->size -= count;
	if (reader->left > 0)
		return GATE_FRAME_MORE;
	if (!reader->is_last)
		return GATE_FRAME_READY;
	frame->size = reader->message.size;
	frame->block = gate_block_take(&reader->message);
	frame->data = frame->block;
	return GATE_FRAME_READY;
}

/* A pong with the ping's bytes. */
static enum gate_frame_result
answer_ping(struct gate_websocket *reader, struct gate_frame *frame)
{
	size_t size = reader->control_have;
	unsigned char *pong = skynet_malloc(FRAMING_HEAD_MAX + size);
	size_t head = framing_put_websocket(pong, OPCODE_PONG, size);
	memcpy(pong + head, reader->control, size);
	frame->block = (char *)pong;
	frame->data = frame->block;
	frame->size = (uint32_t)(head + size);
	return GATE_FRAME_REPLY;
}

/* The codes that a close frame may carry. */
static bool
is_close_code(unsigned code)
{
	return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
	       (code >= 3000 && code <= 4999);
}

static enum gate_frame_result
read_close(const struct gate_websocket *reader, struct gate_frame *frame)
{
	*frame = (struct gate_frame){0};
	if (reader->control_have == 0)
		return GATE_FRAME_ENDED;
	unsigned code = (unsigned)(unsigned char)reader->control[0] << 8 |
			(unsigned char)reader->control[1];
	if (reader->control_have == 1 || !is_close_code(code))
		return invalid(frame, "a close frame with a wrong code");
	frame->size = code;
	return GATE_FRAME_ENDED;
}

/* Reads payload of a control frame. READY: it was one that says nothing. */
static enum gate_frame_result
read_control(struct gate_websocket *reader, struct gate_input *input, struct gate_frame *frame)
{
	uint32_t count = input->size < reader->left ? (uint32_t)input->size : reader->left;
	char *at = reader->control + reader->control_have;
	memcpy(at, input->data, count);
	unmask(reader, at, count);
	reader->control_have += (uint8_t)count;
	reader->left -= count;
	input->data += count;
	input->size -= count;
	if (reader->left > 0)
		return GATE_FRAME_MORE;
	enum gate_frame_result result = GATE_FRAME_READY;
	if (reader->opcode == FRAMING_OPCODE_CLOSE)
		result = read_close(reader, frame);
	else if (reader->opcode == OPCODE_PING)
		result = answer_ping(reader, frame);
	reader->control_have = 0;
	return result;
}

enum gate_frame_result
gate_websocket_next(const struct framing *framing, struct gate_websocket **owner,
		    struct gate_input *input, struct gate_frame *frame)
{
	if (*owner == NULL)
		*owner = skynet_calloc(1, sizeof(**owner));
	struct gate_websocket *reader = *owner;
	for (;;) {
		enum gate_frame_result result = GATE_FRAME_READY;
		if (!reader->is_in_payload)
			result = read_head(framing, reader, input, frame);
		if (result != GATE_FRAME_READY)
			return result;
		bool is_control = reader->opcode & 8;
		result = is_control ? read_control(reader, input, frame)
				    : read_data(reader, input, frame);
		if (result == GATE_FRAME_MORE)
			return result;
		reader->is_in_payload = false;
		if (!is_control)
			reader->is_in_message = !reader->is_last; /* W1 */
		bool is_message = !is_control && reader->is_last;
		if (result != GATE_FRAME_READY ||
		    (is_message && (frame->size > 0 || !framing->skips_empty)))
			return result;
	}
}

void
gate_websocket_fini(struct gate_websocket **owner)
{
	if (*owner == NULL)
		return;
	gate_block_fini(&(*owner)->message);
	skynet_free(*owner);
	*owner = NULL;
}
