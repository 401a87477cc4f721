/* frame_test.c: framing against a model: the same bytes cut at every place, and random streams. */
#include "../../service-src/gate/frame.c"

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a stream says, written down frame by frame. */
struct model {
	char *bytes; /* the stream */
	size_t size;
	char *bodies; /* of all frames that are not empty, one after another */
	size_t body_size;
	size_t frames;
};

/* What a reader made of it. */
struct result {
	char *bodies;
	size_t body_size;
	size_t frames;
};

static void
model_add(struct model *model, int header_bytes, const char *body, uint32_t size)
{
	model->bytes = realloc(model->bytes, model->size + (size_t)header_bytes + size + 1);
	model->bodies = realloc(model->bodies, model->body_size + size + 1);
	for (int i = header_bytes - 1; i >= 0; i--)
		model->bytes[model->size++] = (char)(size >> (8 * i));
	if (size == 0)
		return;
	memcpy(model->bytes + model->size, body, size);
	memcpy(model->bodies + model->body_size, body, size);
	model->size += size;
	model->body_size += size;
	model->frames++;
}

static void
model_free(struct model *model)
{
	free(model->bytes);
	free(model->bodies);
}

static void
check_invariants(const struct gate_frame_reader *reader)
{
	/* I1 */
	assert_int_equal(reader->block != NULL, reader->have > 0);
	/* I2 */
	assert_true(reader->capacity <= reader->size || reader->block == NULL);
	if (reader->block != NULL)
		assert_true(reader->capacity <= FIRST_BLOCK_BYTES ||
			    reader->capacity <= reader->have * 2 + 1);
}

/* Feeds one chunk, which is a block of its own so that a read past its end is found. */
static void
feed(struct gate_frame_reader *reader, int header_bytes, const char *bytes, size_t size,
     struct result *result)
{
	char *chunk = malloc(size + 1);
	assert_non_null(chunk);
	chunk = realloc(chunk, size > 0 ? size : 1);
	if (size > 0)
		memcpy(chunk, bytes, size);
	struct gate_input input = {chunk, size};
	struct gate_frame frame;
	while (gate_frame_next(reader, header_bytes, &input, &frame) == GATE_FRAME_READY) {
		assert_true(frame.size > 0);
		result->bodies = realloc(result->bodies, result->body_size + frame.size);
		memcpy(result->bodies + result->body_size, frame.data, frame.size);
		result->body_size += frame.size;
		result->frames++;
		if (frame.block != NULL)
			assert_ptr_equal(frame.block, frame.data);
		skynet_free(frame.block);
		check_invariants(reader);
	}
	assert_int_equal(input.size, 0);
	check_invariants(reader);
	free(chunk);
}

static void
check_result(const struct model *model, const struct gate_frame_reader *reader,
	     struct result *result)
{
	assert_int_equal(result->frames, model->frames);
	assert_int_equal(result->body_size, model->body_size);
	if (model->body_size > 0)
		assert_memory_equal(result->bodies, model->bodies, model->body_size);
	assert_null(reader->block);
	free(result->bodies);
}

static struct model
sample(int header_bytes)
{
	struct model model = {0};
	char body[300];
	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = (char)(i * 7 + 3);
	static const uint32_t sizes[] = {1, 0, 2, 5, 0, 0, 63, 64, 65, 300, 1, 0};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		model_add(&model, header_bytes, body + i % 7, sizes[i] > 290 ? 290 : sizes[i]);
	return model;
}

static void
cut_at_every_place(void **state)
{
	(void)state;
	for (int header_bytes = 2; header_bytes <= 4; header_bytes += 2) {
		struct model model = sample(header_bytes);
		for (size_t first = 0; first <= model.size; first++) {
			struct gate_frame_reader reader = {0};
			struct result result = {0};
			feed(&reader, header_bytes, model.bytes, first, &result);
			feed(&reader, header_bytes, model.bytes + first, model.size - first,
			     &result);
			check_result(&model, &reader, &result);
		}
		model_free(&model);
	}
}

static void
cut_at_every_two_places(void **state)
{
	(void)state;
	struct model model = {0};
	model_add(&model, 2, "hello", 5);
	model_add(&model, 2, "", 0);
	model_add(&model, 2, "w", 1);
	model_add(&model, 2, "0123456789012345678901234567890123456789", 40);
	for (size_t first = 0; first <= model.size; first++) {
		for (size_t second = first; second <= model.size; second++) {
			struct gate_frame_reader reader = {0};
			struct result result = {0};
			feed(&reader, 2, model.bytes, first, &result);
			feed(&reader, 2, model.bytes + first, second - first, &result);
			feed(&reader, 2, model.bytes + second, model.size - second, &result);
			check_result(&model, &reader, &result);
		}
	}
	model_free(&model);
}

static void
byte_by_byte(void **state)
{
	(void)state;
	for (int header_bytes = 2; header_bytes <= 4; header_bytes += 2) {
		struct model model = sample(header_bytes);
		struct gate_frame_reader reader = {0};
		struct result result = {0};
		for (size_t i = 0; i < model.size; i++)
			feed(&reader, header_bytes, model.bytes + i, 1, &result);
		check_result(&model, &reader, &result);
		model_free(&model);
	}
}

static void
random_streams(void **state)
{
	(void)state;
	uint64_t seed = 20120917;
	char *body = malloc(70000);
	assert_non_null(body);
	for (size_t i = 0; i < 70000; i++)
		body[i] = (char)unit_random(&seed);
	for (int round = 0; round < 400; round++) {
		int header_bytes = round % 2 == 0 ? 2 : 4;
		struct model model = {0};
		uint32_t count = 1 + unit_random_below(&seed, 20);
		for (uint32_t i = 0; i < count; i++) {
			uint32_t limit = i % 5 == 4 ? (header_bytes == 2 ? 65535 : 70000) : 100;
			model_add(&model, header_bytes, body, unit_random_below(&seed, limit));
		}
		struct gate_frame_reader reader = {0};
		struct result result = {0};
		size_t at = 0;
		while (at < model.size) {
			uint32_t limit = round % 3 == 0 ? 8 : 20000;
			size_t size = 1 + unit_random_below(&seed, limit);
			if (size > model.size - at)
				size = model.size - at;
			feed(&reader, header_bytes, model.bytes + at, size, &result);
			at += size;
		}
		check_result(&model, &reader, &result);
		model_free(&model);
	}
	free(body);
}

static void
whole_frame_is_not_copied(void **state)
{
	(void)state;
	static const char bytes[] = {0, 2, 'a', 'b', 0, 1, 'c'};
	struct gate_frame_reader reader = {0};
	struct gate_input input = {bytes, sizeof(bytes)};
	struct gate_frame frame;
	assert_int_equal(gate_frame_next(&reader, 2, &input, &frame), GATE_FRAME_READY);
	assert_null(frame.block);
	assert_ptr_equal(frame.data, bytes + 2);
	assert_int_equal(gate_frame_next(&reader, 2, &input, &frame), GATE_FRAME_READY);
	assert_null(frame.block);
	assert_ptr_equal(frame.data, bytes + 6);
	assert_int_equal(gate_frame_next(&reader, 2, &input, &frame), GATE_FRAME_MORE);
}

static void
promise_costs_nothing(void **state)
{
	(void)state;
	/* 16 MiB - 1 announced; then a few bytes at a time. */
	static const char header[] = {0, (char)0xff, (char)0xff, (char)0xff};
	struct gate_frame_reader reader = {0};
	struct result result = {0};
	feed(&reader, 4, header, sizeof(header), &result);
	assert_null(reader.block); /* I1 */
	char bytes[100] = {0};
	for (int i = 0; i < 50; i++) {
		feed(&reader, 4, bytes, sizeof(bytes), &result);
		assert_true(reader.capacity <= 2 * reader.have); /* I2 */
	}
	assert_int_equal(result.frames, 0);
	gate_frame_fini(&reader);
	assert_null(reader.block);
}

static void
limit_is_exact(void **state)
{
	(void)state;
	static const char too_long[] = {1, 0, 0, 0, 'x'};
	static const char longest[] = {0, (char)0xff, (char)0xff, (char)0xff, 'x'};
	static const char negative[] = {(char)0xff, (char)0xff, (char)0xff, (char)0xff};
	struct gate_frame frame;
	struct gate_frame_reader reader = {0};
	struct gate_input input = {too_long, sizeof(too_long)};
	assert_int_equal(gate_frame_next(&reader, 4, &input, &frame), GATE_FRAME_TOO_LONG);
	assert_null(reader.block);
	/* It stays so: no byte behind it can be trusted. */
	assert_int_equal(gate_frame_next(&reader, 4, &input, &frame), GATE_FRAME_TOO_LONG);
	gate_frame_fini(&reader);
	input = (struct gate_input){longest, sizeof(longest)};
	assert_int_equal(gate_frame_next(&reader, 4, &input, &frame), GATE_FRAME_MORE);
	gate_frame_fini(&reader);
	input = (struct gate_input){negative, sizeof(negative)};
	assert_int_equal(gate_frame_next(&reader, 4, &input, &frame), GATE_FRAME_TOO_LONG);
	gate_frame_fini(&reader);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cut_at_every_place),
		cmocka_unit_test(cut_at_every_two_places),
		cmocka_unit_test(byte_by_byte),
		cmocka_unit_test(random_streams),
		cmocka_unit_test(whole_frame_is_not_copied),
		cmocka_unit_test(promise_costs_nothing),
		cmocka_unit_test(limit_is_exact),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
