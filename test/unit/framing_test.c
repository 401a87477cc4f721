/* framing_test.c: every framing against a model: the same bytes cut at every place, and random
 * streams. */
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

static void
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

static void
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

static void
add_body(struct bytes *bodies, const char *body, uint32_t size)
{
	bytes_add(bodies, &size, sizeof(size));
	bytes_add(bodies, body, size);
}

static void
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

static void
free_model(struct model *model)
{
	free(model->stream.at);
	free(model->bodies.at);
	free(model->replies.at);
}

/* A frame as a client of a websocket sends it. */
static void
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
static void
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
static void
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
static void
check_block(const struct gate_block *block)
{
	assert_true((block->bytes != NULL) == (block->size > 0));
	assert_true(block->capacity <= GATE_BLOCK_FIRST_BYTES ||
		    block->capacity <= block->size * 2);
}

static void
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

static void
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
static void
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

static void
assert_same(const struct bytes *bytes, const struct bytes *expected)
{
	assert_int_equal(bytes->size, expected->size);
	if (expected->size > 0)
		assert_memory_equal(bytes->at, expected->at, expected->size);
}

static void
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
static void
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

/* --- every framing ---------------------------------------------------------------------------- */

static const struct {
	const char *name;
	const char *delimiter;
} framings[] = {
	{"S", NULL},	    {"L", NULL},	 {"u8", NULL},		{"u16be", NULL},
	{"u16le", NULL},    {"u32be", NULL},	 {"u32le", NULL},	{"line", NULL},
	{"nul", NULL},	    {"delimiter", "--"}, {"delimiter", "\r\n"}, {"delimiter", "aab"},
	{"delimiter", ";"}, {"websocket", NULL},
};

#define FOR_EACH_FRAMING(i) for (size_t i = 0; i < sizeof(framings) / sizeof(framings[0]); i++)

/* A body without any of the marks in it, but with beginnings of them. */
static void
fill_body(char *body, size_t size, uint64_t *chance)
{
	static const char letters[] = "a-\rxyz";
	for (size_t i = 0; i < size; i++) {
		body[i] = letters[unit_random_below(chance, 6)];
		if (i > 0 && (body[i - 1] == '-' || body[i - 1] == '\r') && body[i] == body[i - 1])
			body[i] = 'x'; /* no "--" */
	}
	if (size > 0) /* a '-' or CR would belong to the mark behind it */
		body[size - 1] = 'z';
}

static void
add_sample(struct model *model)
{
	char body[300];
	static const uint32_t sizes[] = {1, 0, 2, 5, 0, 0, 63, 64, 65, 255, 1, 0};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		fill_body(body, sizes[i], &model->chance);
		add_frame(model, body, sizes[i]);
	}
}

static void
cut_at_every_place(void **state)
{
	(void)state;
	FOR_EACH_FRAMING(i)
	{
		struct model model;
		make_model(&model, framings[i].name, framings[i].delimiter);
		add_sample(&model);
		for (size_t place = 0; place <= model.stream.size; place++)
			read_cut(&model, &place, 1);
		free_model(&model);
	}
}

static void
cut_at_every_two_places(void **state)
{
	(void)state;
	FOR_EACH_FRAMING(i)
	{
		struct model model;
		make_model(&model, framings[i].name, framings[i].delimiter);
		add_frame(&model, "hello", 5);
		add_frame(&model, "", 0);
		add_frame(&model, "w", 1);
		add_frame(&model, "0123456789012345678901234567890123456789", 40);
		for (size_t first = 0; first <= model.stream.size; first++) {
			for (size_t second = first; second <= model.stream.size; second++)
				read_cut(&model, (size_t[]){first, second}, 2);
		}
		free_model(&model);
	}
}

static void
byte_by_byte(void **state)
{
	(void)state;
	FOR_EACH_FRAMING(i)
	{
		struct model model;
		make_model(&model, framings[i].name, framings[i].delimiter);
		add_sample(&model);
		size_t *places = malloc(model.stream.size * sizeof(*places));
		assert_non_null(places);
		for (size_t k = 0; k < model.stream.size; k++)
			places[k] = k + 1;
		read_cut(&model, places, model.stream.size);
		free(places);
		free_model(&model);
	}
}

static void
read_in_random_chunks(struct model *model, uint32_t limit)
{
	union gate_reader reader = {0};
	struct result result = {0};
	for (size_t at = 0; at < model->stream.size;) {
		size_t size = 1 + unit_random_below(&model->chance, limit);
		if (size > model->stream.size - at)
			size = model->stream.size - at;
		feed(&model->framing, &reader, model->stream.at + at, size, &result);
		at += size;
	}
	check_result(model, &reader, &result);
}

static void
random_streams(void **state)
{
	(void)state;
	char *body = malloc(70000);
	assert_non_null(body);
	FOR_EACH_FRAMING(i)
	{
		for (int round = 0; round < 40; round++) {
			struct model model;
			make_model(&model, framings[i].name, framings[i].delimiter);
			model.chance += (uint64_t)round;
			uint32_t most = (uint32_t)framing_longest(&model.framing);
			most = most < 70000 ? most : 70000;
			uint32_t count = 1 + unit_random_below(&model.chance, 20);
			for (uint32_t k = 0; k < count; k++) {
				uint32_t limit = k % 5 == 4 ? most : 100;
				uint32_t size = unit_random_below(&model.chance, limit);
				fill_body(body, size, &model.chance);
				add_frame(&model, body, size);
			}
			read_in_random_chunks(&model, round % 3 == 0 ? 8 : 20000);
			free_model(&model);
		}
	}
	free(body);
}

static void
whole_frames_are_not_copied(void **state)
{
	(void)state;
	FOR_EACH_FRAMING(i)
	{
		struct model model;
		make_model(&model, framings[i].name, framings[i].delimiter);
		model.chance = 1; /* no fragments */
		if (model.framing.kind == FRAMING_WEBSOCKET) {
			add_websocket(&model, 0x81, "ab", 2);
			add_websocket(&model, 0x82, "cd", 2);
		} else {
			add_frame(&model, "ab", 2);
			add_frame(&model, "cd", 2);
		}
		union gate_reader reader = {0};
		struct gate_input input = {model.stream.at, model.stream.size, NULL};
		struct gate_frame frame;
		for (int k = 0; k < 2; k++) {
			assert_int_equal(gate_frame_next(&model.framing, &reader, &input, &frame),
					 GATE_FRAME_READY);
			assert_null(frame.block);
			assert_int_equal(frame.size, 2);
			assert_memory_equal(frame.data, k == 0 ? "ab" : "cd", 2);
			assert_true(frame.data >= model.stream.at &&
				    frame.data + 2 <= model.stream.at + model.stream.size);
		}
		gate_frame_fini(&model.framing, &reader);
		free_model(&model);
	}
}

/* Whether a frame of so many bytes is read, with a limit of 100, cut into chunks of that size. */
static enum gate_frame_result
read_limited(size_t framing, uint32_t size, size_t chunk_size)
{
	struct model model;
	char body[200];
	make_model(&model, framings[framing].name, framings[framing].delimiter);
	assert_int_equal(framing_set(&model.framing, "max_frame", "100", 3), FRAMING_OPTION_SET);
	memset(body, 'x', sizeof(body));
	add_frame(&model, "first", 5);
	add_frame(&model, body, size);
	union gate_reader reader = {0};
	struct result result = {0};
	for (size_t at = 0; at < model.stream.size && result.last <= GATE_FRAME_REPLY;
	     at += chunk_size) {
		size_t left = model.stream.size - at;
		feed(&model.framing, &reader, model.stream.at + at,
		     left < chunk_size ? left : chunk_size, &result);
	}
	/* The one in front of it has come out in any case. */
	assert_true(result.bodies.size >= 9 && memcmp(result.bodies.at + 4, "first", 5) == 0);
	gate_frame_fini(&model.framing, &reader);
	free(result.bodies.at);
	free(result.replies.at);
	free_model(&model);
	return result.last;
}

static void
limit_is_exact_however_it_is_cut(void **state)
{
	(void)state;
	FOR_EACH_FRAMING(i)
	{
		for (size_t chunk_size = 1; chunk_size < 250; chunk_size += 1 + chunk_size / 8) {
			assert_int_equal(read_limited(i, 100, chunk_size), GATE_FRAME_MORE);
			assert_int_equal(read_limited(i, 101, chunk_size), GATE_FRAME_TOO_LONG);
			assert_int_equal(read_limited(i, 199, chunk_size), GATE_FRAME_TOO_LONG);
		}
	}
}

/* --- one framing ------------------------------------------------------------------------------ */

/* Reads a stream in one piece, and again byte by byte: the same has to come of it. */
static enum gate_frame_result
read_twice(const struct framing *framing, const char *bytes, size_t size, struct result *whole)
{
	for (int round = 0; round < 2; round++) {
		union gate_reader reader = {0};
		struct result result = {0};
		size_t step = round == 0 ? size : 1;
		for (size_t at = 0; at < size && result.last <= GATE_FRAME_REPLY; at += step)
			feed(framing, &reader, bytes + at, step, &result);
		gate_frame_fini(framing, &reader);
		if (round == 0) {
			*whole = result;
			continue;
		}
		assert_int_equal(result.last, whole->last);
		assert_same(&result.bodies, &whole->bodies);
		assert_same(&result.replies, &whole->replies);
		free(result.bodies.at);
		free(result.replies.at);
	}
	return whole->last;
}

static void
raw_hands_the_chunk_on(void **state)
{
	(void)state;
	struct framing framing;
	assert_true(framing_choose(&framing, "raw"));
	union gate_reader reader = {0};
	struct gate_frame frame;
	char *chunk = skynet_malloc(5);
	memcpy(chunk, "hello", 5);
	struct gate_input input = {chunk, 5, chunk};
	assert_int_equal(gate_frame_next(&framing, &reader, &input, &frame), GATE_FRAME_READY);
	assert_ptr_equal(frame.block, chunk); /* with its memory */
	assert_null(input.block);
	assert_int_equal(frame.size, 5);
	assert_int_equal(gate_frame_next(&framing, &reader, &input, &frame), GATE_FRAME_MORE);
	/* Over the limit: in pieces, which are views. */
	assert_int_equal(framing_set(&framing, "max_frame", "2", 1), FRAMING_OPTION_SET);
	input = (struct gate_input){chunk, 5, chunk};
	for (int i = 0; i < 3; i++) {
		assert_int_equal(gate_frame_next(&framing, &reader, &input, &frame),
				 GATE_FRAME_READY);
		assert_int_equal(frame.size, i < 2 ? 2 : 1);
		assert_null(frame.block);
	}
	assert_ptr_equal(input.block, chunk);
	gate_frame_fini(&framing, &reader);
	skynet_free(chunk);
}

static void
promise_costs_nothing(void **state)
{
	(void)state;
	struct framing framing;
	/* 16 MiB - 1 announced; then a few bytes at a time. */
	static const char header[] = {0, (char)0xff, (char)0xff, (char)0xff};
	assert_true(framing_choose(&framing, "L"));
	union gate_reader reader = {0};
	struct result result = {0};
	feed(&framing, &reader, header, sizeof(header), &result);
	assert_null(reader.length.body.bytes); /* I1 */
	char bytes[100] = {0};
	for (int i = 0; i < 50; i++)
		feed(&framing, &reader, bytes, sizeof(bytes), &result); /* I2: check_reader */
	assert_int_equal(result.bodies.size, 0);
	gate_frame_fini(&framing, &reader);
	assert_null(reader.length.body.bytes);
}

static void
lengths_up_to_the_last_bit(void **state)
{
	(void)state;
	struct framing framing;
	struct result result;
	assert_true(framing_choose(&framing, "L"));
	assert_int_equal(read_twice(&framing, "\1\0\0\0x", 5, &result), GATE_FRAME_TOO_LONG);
	assert_int_equal(read_twice(&framing, "\0\xff\xff\xffx", 5, &result), GATE_FRAME_MORE);
	assert_int_equal(read_twice(&framing, "\xff\xff\xff\xff", 4, &result), GATE_FRAME_TOO_LONG);
	assert_true(framing_choose(&framing, "u32le"));
	assert_int_equal(read_twice(&framing, "\0\0\0\1x", 5, &result), GATE_FRAME_TOO_LONG);
	assert_int_equal(read_twice(&framing, "\xff\xff\xff\0x", 5, &result), GATE_FRAME_MORE);
}

static void
no_mark_no_memory(void **state)
{
	(void)state;
	struct framing framing;
	struct result result = {0};
	union gate_reader reader = {0};
	char bytes[1000];
	memset(bytes, 'x', sizeof(bytes));
	assert_true(framing_choose(&framing, "line"));
	assert_int_equal(framing_set(&framing, "max_frame", "5000", 4), FRAMING_OPTION_SET);
	for (int i = 0; i < 5; i++)
		feed(&framing, &reader, bytes, sizeof(bytes), &result);
	assert_int_equal(result.last, GATE_FRAME_MORE);
	feed(&framing, &reader, "xy", 2, &result);
	assert_int_equal(result.last, GATE_FRAME_TOO_LONG);
	gate_frame_fini(&framing, &reader);
}

static void
wrong_websocket_frames_are_found(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t size;
		const char *reason;
	} cases[] = {
		{"\x81\2hi", 4, "a frame is not masked"},
		{"\xc1\x80", 2, "reserved bits are set"},
		{"\x83\x80", 2, "a data frame of no kind"},
		{"\x8b\x80", 2, "a control frame of no kind"},
		{"\x09\x80", 2, "a control frame in fragments, or too long"},
		{"\x89\xfe", 2, "a control frame in fragments, or too long"},
		{"\x80\x80", 2, "a fragment without a beginning"},
		{"\x01\x80\0\0\0\0\x81\x80", 8, "a new message inside of another"},
		{"\x88\x81\0\0\0\0x", 7, "a close frame with a wrong code"},
		{"\x88\x82\0\0\0\0\3\xe7", 8, "a close frame with a wrong code"},
		{"\x88\x82\0\0\0\0\3\xed", 8, "a close frame with a wrong code"},
	};
	struct framing framing;
	assert_true(framing_choose(&framing, "websocket"));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct result result;
		assert_int_equal(read_twice(&framing, cases[i].bytes, cases[i].size, &result),
				 GATE_FRAME_INVALID);
		union gate_reader reader = {0};
		struct gate_frame frame;
		char *copy = skynet_malloc(cases[i].size);
		memcpy(copy, cases[i].bytes, cases[i].size);
		struct gate_input input = {copy, cases[i].size, NULL};
		assert_int_equal(gate_frame_next(&framing, &reader, &input, &frame),
				 GATE_FRAME_INVALID);
		assert_string_equal(frame.data, cases[i].reason);
		assert_int_equal(frame.size, strlen(cases[i].reason));
		gate_frame_fini(&framing, &reader);
		skynet_free(copy);
	}
}

static void
websocket_ends_with_a_code(void **state)
{
	(void)state;
	struct framing framing;
	assert_true(framing_choose(&framing, "websocket"));
	union gate_reader reader = {0};
	struct gate_frame frame;
	char with_code[] = "\x88\x86\0\0\0\0\3\xe9why?";
	struct gate_input input = {with_code, sizeof(with_code) - 1, NULL};
	assert_int_equal(gate_frame_next(&framing, &reader, &input, &frame), GATE_FRAME_ENDED);
	assert_int_equal(frame.size, 1001);
	gate_frame_fini(&framing, &reader);
	char without[] = "\x88\x80\0\0\0\0";
	input = (struct gate_input){without, sizeof(without) - 1, NULL};
	assert_int_equal(gate_frame_next(&framing, &reader, &input, &frame), GATE_FRAME_ENDED);
	assert_int_equal(frame.size, 0);
	gate_frame_fini(&framing, &reader);
}

static void
websocket_lengths_are_bounded(void **state)
{
	(void)state;
	struct framing framing;
	struct result result;
	assert_true(framing_choose(&framing, "websocket"));
	assert_int_equal(read_twice(&framing, "\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0",
				    14, &result),
			 GATE_FRAME_TOO_LONG);
	assert_int_equal(read_twice(&framing, "\x82\xff\0\0\0\1\0\0\0\0\0\0\0\0", 14, &result),
			 GATE_FRAME_TOO_LONG);
	/* Fragments count together. */
	assert_int_equal(framing_set(&framing, "max_frame", "3", 1), FRAMING_OPTION_SET);
	assert_int_equal(read_twice(&framing, "\2\x82\0\0\0\0ab\0\x81\0\0\0\0c\x80\x81\0\0\0\0", 21,
				    &result),
			 GATE_FRAME_TOO_LONG);
}

/* --- names and options ------------------------------------------------------------------------ */

static void
options_are_checked(void **state)
{
	(void)state;
	struct framing framing;
	assert_false(framing_choose(&framing, "u64be"));
	assert_false(framing_choose(&framing, ""));
	assert_true(framing_choose(&framing, "delimiter"));
	assert_false(framing_is_complete(&framing));
	assert_int_equal(framing_set(&framing, "delimiter", "", 0), FRAMING_OPTION_WRONG);
	assert_int_equal(framing_set(&framing, "delimiter", "12345678901234567", 17),
			 FRAMING_OPTION_WRONG);
	assert_int_equal(framing_set(&framing, "text", "1", 1), FRAMING_OPTION_UNKNOWN);
	static const char *const wrong[] = {"0", "-1", "x", "", "12x", "2147483648", "1e3"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(framing_set(&framing, "max_frame", wrong[i], strlen(wrong[i])),
				 FRAMING_OPTION_WRONG);
	assert_int_equal(framing_set(&framing, "empty", "2", 1), FRAMING_OPTION_WRONG);
	assert_int_equal(framing_set(&framing, "empty", "0", 1), FRAMING_OPTION_SET);
	assert_true(framing.skips_empty);
	assert_true(framing_choose(&framing, "line"));
	assert_int_equal(framing_set(&framing, "delimiter", ";", 1), FRAMING_OPTION_UNKNOWN);
}

static void
values_are_decoded(void **state)
{
	(void)state;
	char text[] = "a%0d%0Ab%00c%25";
	assert_int_equal(framing_decode(text), 7);
	assert_memory_equal(text, "a\r\nb\0c%", 8);
	char *wrong[] = {(char[]){"%"}, (char[]){"%1"}, (char[]){"%g0"}, (char[]){"x%0"}};
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(framing_decode(wrong[i]), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cut_at_every_place),
		cmocka_unit_test(cut_at_every_two_places),
		cmocka_unit_test(byte_by_byte),
		cmocka_unit_test(random_streams),
		cmocka_unit_test(whole_frames_are_not_copied),
		cmocka_unit_test(limit_is_exact_however_it_is_cut),
		cmocka_unit_test(raw_hands_the_chunk_on),
		cmocka_unit_test(promise_costs_nothing),
		cmocka_unit_test(lengths_up_to_the_last_bit),
		cmocka_unit_test(no_mark_no_memory),
		cmocka_unit_test(wrong_websocket_frames_are_found),
		cmocka_unit_test(websocket_ends_with_a_code),
		cmocka_unit_test(websocket_lengths_are_bounded),
		cmocka_unit_test(options_are_checked),
		cmocka_unit_test(values_are_decoded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
