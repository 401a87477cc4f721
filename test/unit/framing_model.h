/* framing_model.h: frames of all kinds with the bytes that they are on the wire, as a model says,
 * and a reader that is fed those bytes in pieces and checked against it. */
#ifndef FRAMING_MODEL_H
#define FRAMING_MODEL_H

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

#include "unit.h"

#include <stdio.h>

/* --- the model ------------------------------------------------------------------------------- */

/* Bytes that grow. */
struct bytes {
	char *at;
	size_t size;
	size_t capacity;
};

static inline void
bytes_add(struct bytes *bytes, const void *from, size_t size)
{
	if (bytes->size + size >= bytes->capacity) {
		bytes->capacity = (bytes->size + size + 1) * 2;
		bytes->at = realloc(bytes->at, bytes->capacity);
		assert_non_null(bytes->at);
	}
	if (size > 0)
		memcpy(bytes->at + bytes->size, from, size);
	bytes->size += size;
}

static inline void
bytes_byte(struct bytes *bytes, unsigned byte)
{
	unsigned char one = (unsigned char)byte;
	bytes_add(bytes, &one, 1);
}

/* What a stream says: the stream, and all that should come out of it, one piece after another. */
struct model {
	struct framing framing;
	struct bytes stream;
	struct bytes bodies;  /* of the frames, a size in front of each */
	struct bytes replies; /* for the client */
	uint64_t chance;
};

/* What a reader made of it. */
struct result {
	struct bytes bodies;
	struct bytes replies;
	enum gate_frame_result last;
};

static inline void
add_body(struct bytes *bodies, const char *body, uint32_t size)
{
	bytes_add(bodies, &size, sizeof(size));
	bytes_add(bodies, body, size);
}

static inline void
make_model(struct model *model, const char *name, const char *delimiter)
{
	*model = (struct model){.chance = 20120917};
	assert_true(framing_choose(&model->framing, name));
	if (delimiter != NULL)
		assert_int_equal(
			framing_set(&model->framing, "delimiter", delimiter, strlen(delimiter)),
			FRAMING_OPTION_SET);
	assert_true(framing_is_complete(&model->framing));
}

static inline void
free_model(struct model *model)
{
	free(model->stream.at);
	free(model->bodies.at);
	free(model->replies.at);
}

/* A frame as a client of a websocket sends it. */
static inline void
add_websocket(struct model *model, unsigned first, const char *body, size_t size)
{
	struct bytes *stream = &model->stream;
	unsigned char mask[4];
	bytes_byte(stream, first);
	if (size < 126) {
		bytes_byte(stream, 0x80 | (unsigned)size);
	} else {
		bool is_short = size <= UINT16_MAX && unit_random_below(&model->chance, 8) != 0;
		bytes_byte(stream, 0x80 | (is_short ? 126 : 127));
		for (int i = is_short ? 1 : 7; i >= 0; i--)
			bytes_byte(stream, (unsigned)((uint64_t)size >> (8 * i)));
	}
	for (int i = 0; i < 4; i++)
		mask[i] = (unsigned char)unit_random(&model->chance);
	bytes_add(stream, mask, 4);
	for (size_t i = 0; i < size; i++)
		bytes_byte(stream, (unsigned char)body[i] ^ mask[i % 4]);
}

/* A message, in fragments by chance, with control frames between them. */
static inline void
add_message(struct model *model, const char *body, size_t size)
{
	unsigned opcode = 1 + unit_random_below(&model->chance, 2);
	while (unit_random_below(&model->chance, 3) == 0) {
		size_t part = unit_random_below(&model->chance, (uint32_t)size + 1);
		add_websocket(model, opcode, body, part);
		body += part;
		size -= part;
		opcode = 0;
		if (unit_random_below(&model->chance, 2) == 0) {
			add_websocket(model, 0x89, "ping", 4);
			bytes_add(&model->replies, "\x8a\4ping", 6);
			add_websocket(model, 0x8a, "pong", 4);
		}
	}
	add_websocket(model, 0x80 | opcode, body, size);
}

/* Adds a frame to the stream, and to what has to come out. */
static inline void
add_frame(struct model *model, const char *body, uint32_t size)
{
	const struct framing *framing = &model->framing;
	unsigned char head[FRAMING_HEAD_MAX];
	if (size > 0 || !framing->skips_empty)
		add_body(&model->bodies, body, size);
	if (framing->kind == FRAMING_WEBSOCKET) {
		add_message(model, body, size);
		return;
	}
	bytes_add(&model->stream, head, framing_put_head(framing, size, head));
	bytes_add(&model->stream, body, size);
	if (framing->strips_return && unit_random_below(&model->chance, 2) == 0)
		bytes_byte(&model->stream, '\r');
	bytes_add(&model->stream, framing->delimiter, framing->delimiter_size);
}

/* --- reading --------------------------------------------------------------------------------- */

/* I1, I2 */
static inline void
check_block(const struct gate_block *block)
{
	assert_true((block->bytes != NULL) == (block->size > 0));
	assert_true(block->capacity <= GATE_BLOCK_FIRST_BYTES ||
		    block->capacity <= block->size * 2);
}

static inline void
check_reader(const struct framing *framing, const union gate_reader *reader)
{
	if (framing->kind == FRAMING_LENGTH) {
		check_block(&reader->length.body);
		assert_true(reader->length.body.capacity <= reader->length.size);
	} else if (framing->kind == FRAMING_DELIMITER) {
		check_block(&reader->delimiter);
	} else if (framing->kind == FRAMING_WEBSOCKET && reader->websocket != NULL) {
		check_block(&reader->websocket->message);
		assert_true(reader->websocket->message.size <= framing->max_frame); /* W2 */
	}
}

static inline void
take(struct result *result, const struct gate_frame *frame)
{
	if (result->last == GATE_FRAME_READY)
		add_body(&result->bodies, frame->data, frame->size);
	else if (result->last == GATE_FRAME_REPLY)
		bytes_add(&result->replies, frame->data, frame->size);
	else
		return;
	if (frame->block != NULL)
		assert_ptr_equal(frame->block, frame->data);
	skynet_free(frame->block);
}

/* Feeds one chunk, which is a block of its own so that a read past its end is found. */
static inline void
feed(const struct framing *framing, union gate_reader *reader, const char *bytes, size_t size,
     struct result *result)
{
	if (size == 0)
		return;
	char *chunk = skynet_malloc(size);
	memcpy(chunk, bytes, size);
	struct gate_input input = {chunk, size, chunk};
	struct gate_frame frame;
	do {
		result->last = gate_frame_next(framing, reader, &input, &frame);
		take(result, &frame);
		if (result->last <= GATE_FRAME_REPLY)
			check_reader(framing, reader);
	} while (result->last == GATE_FRAME_READY || result->last == GATE_FRAME_REPLY);
	if (result->last == GATE_FRAME_MORE)
		assert_int_equal(input.size, 0);
	skynet_free(input.block);
}

static inline void
assert_same(const struct bytes *bytes, const struct bytes *expected)
{
	assert_int_equal(bytes->size, expected->size);
	if (expected->size > 0)
		assert_memory_equal(bytes->at, expected->at, expected->size);
}

static inline void
check_result(const struct model *model, union gate_reader *reader, struct result *result)
{
	assert_int_equal(result->last, GATE_FRAME_MORE);
	assert_same(&result->bodies, &model->bodies);
	assert_same(&result->replies, &model->replies);
	if (model->framing.kind == FRAMING_LENGTH)
		assert_null(reader->length.body.bytes);
	gate_frame_fini(&model->framing, reader);
	free(result->bodies.at);
	free(result->replies.at);
}

/* Reads the stream cut at the places, ascending. */
static inline void
read_cut(const struct model *model, const size_t *places, size_t count)
{
	union gate_reader reader = {0};
	struct result result = {0};
	size_t at = 0;
	for (size_t i = 0; i <= count; i++) {
		size_t end = i < count ? places[i] : model->stream.size;
		feed(&model->framing, &reader, model->stream.at + at, end - at, &result);
		at = end;
	}
	check_result(model, &reader, &result);
}

#endif
