/* framing_rules_test.c: what one framing has and others have not: limits, wrong frames, options.
 * What all have in common is in framing_test.c. */
#include "framing_model.h"

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
