/* harbor_frame_test.c: frames between nodes: written and read again, cut at every byte, and
 * everything that is no frame. */
#include "../../service-src/harbor/frame.c"
#include "unit.h"

#include <stdlib.h>

#define STREAM_MAX 4096

/* A stream with a frame of each kind, and messages of some sizes. Returns its size. */
static size_t
make_stream(char stream[STREAM_MAX])
{
	static const uint32_t sizes[] = {0, 1, 19, 20, 21, 100};
	static const char payload[100] = "the payload";
	char *to = stream;
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct harbor_frame message = {.kind = HARBOR_FRAME_MESSAGE,
					       .type = 10,
					       .flags = i > 3 ? HARBOR_FRAME_HAS_MORE : 0,
					       .source = 0x01000001,
					       .destination = 0x02000002,
					       .session = (int32_t)i,
					       .size = sizes[i],
					       .payload = payload};
		to = harbor_frame_write(to, &message);
		message.kind = HARBOR_FRAME_PART;
		to = harbor_frame_write(to, &message);
	}
	for (uint8_t kind = HARBOR_FRAME_PROBE; kind <= HARBOR_FRAME_UNLINK; kind++) {
		struct harbor_frame frame = {
			.kind = kind, .source = 1, .destination = 2, .session = 3};
		to = harbor_frame_write(to, &frame);
	}
	to = harbor_frame_write_count(to, HARBOR_FRAME_ACK, UINT64_MAX);
	to = harbor_frame_write_count(to, HARBOR_FRAME_BEGIN, UINT64_C(0x0102030405060708));
	struct harbor_frame beat = {.kind = HARBOR_FRAME_BEAT, .session = INT32_MIN};
	to = harbor_frame_write(to, &beat);
	beat.kind = HARBOR_FRAME_ECHO;
	to = harbor_frame_write(to, &beat);
	return (size_t)(to - stream);
}

/* Reads one chunk, in a block of its own so that the address sanitizer sees reads beyond it; writes
 * the frames behind what stands at to. */
static char *
read_chunk(struct harbor_frame_reader *reader, const char *bytes, size_t size, char *to)
{
	char *chunk = malloc(size + 1);
	struct harbor_frame_input input = {chunk, size};
	struct harbor_frame frame;
	enum harbor_frame_result result;
	assert_non_null(chunk);
	memcpy(chunk, bytes, size);
	while ((result = harbor_frame_next(reader, &input, &frame)) == HARBOR_FRAME_READY)
		to = harbor_frame_write(to, &frame);
	assert_int_equal(result, HARBOR_FRAME_INCOMPLETE);
	assert_int_equal(input.size, 0);
	free(chunk);
	return to;
}

static void
what_is_written_is_read_at_every_split(void **state)
{
	char stream[STREAM_MAX], again[STREAM_MAX];
	size_t size = make_stream(stream);
	(void)state;
	for (size_t split = 0; split <= size; split++) {
		struct harbor_frame_reader reader = {0};
		char *to = read_chunk(&reader, stream, split, again);
		to = read_chunk(&reader, stream + split, size - split, to);
		assert_int_equal(to - again, size);
		assert_memory_equal(stream, again, size);
		harbor_frame_reader_fini(&reader);
	}
}

static void
bytes_may_come_one_by_one(void **state)
{
	char stream[STREAM_MAX], again[STREAM_MAX];
	size_t size = make_stream(stream);
	struct harbor_frame_reader reader = {0};
	char *to = again;
	(void)state;
	for (size_t i = 0; i < size; i++)
		to = read_chunk(&reader, stream + i, 1, to);
	assert_int_equal(to - again, size);
	assert_memory_equal(stream, again, size);
	harbor_frame_reader_fini(&reader);
}

static void
fields_are_big_endian(void **state)
{
	char bytes[64];
	struct harbor_frame frame = {.kind = HARBOR_FRAME_MESSAGE,
				     .type = 10,
				     .source = 0x01020304,
				     .destination = 0x05060708,
				     .session = 9,
				     .size = 2,
				     .payload = "hi"};
	(void)state;
	assert_ptr_equal(harbor_frame_write(bytes, &frame), bytes + 22);
	assert_memory_equal(bytes,
			    "\0\0\0\22\1\12\0\0"
			    "\1\2\3\4\5\6\7\10\0\0\0\11hi",
			    22);
	(void)harbor_frame_write_count(bytes, HARBOR_FRAME_ACK, 258);
	assert_int_equal(harbor_frame_read(bytes, &frame), 28);
	assert_int_equal(frame.kind, HARBOR_FRAME_ACK);
	assert_int_equal(harbor_frame_count(&frame), 258);
}

/* The header is refused with this reason as soon as it has come, in one piece and in two. */
static void
expect_refusal(const struct harbor_frame *frame, uint32_t length, const char *reason)
{
	char bytes[HARBOR_FRAME_HEADER];
	(void)harbor_frame_write_header(bytes, frame);
	if (length != UINT32_MAX)
		harbor_put_number(bytes, length, 4);
	for (size_t split = 0; split < sizeof bytes; split++) {
		struct harbor_frame_reader reader = {0};
		struct harbor_frame read;
		struct harbor_frame_input input = {bytes, split};
		assert_int_equal(harbor_frame_next(&reader, &input, &read),
				 HARBOR_FRAME_INCOMPLETE);
		input = (struct harbor_frame_input){bytes + split, sizeof bytes - split};
		assert_int_equal(harbor_frame_next(&reader, &input, &read), HARBOR_FRAME_INVALID);
		assert_string_equal(read.payload, reason);
		assert_in_range(reader.capacity, 0, HARBOR_FRAME_HEADER);
		harbor_frame_reader_fini(&reader);
	}
}

static void
what_is_no_frame_is_refused_at_its_header(void **state)
{
	const struct harbor_frame good = {
		.kind = HARBOR_FRAME_MESSAGE, .type = 10, .source = 1, .destination = 2};
	struct harbor_frame frame = good;
	(void)state;
	expect_refusal(&good, 0, "a frame is shorter than its header");
	expect_refusal(&good, 15, "a frame is shorter than its header");
	expect_refusal(&good, UINT32_MAX - 1, "a frame is longer than any may be");
	expect_refusal(&good, 16 + HARBOR_FRAME_PAYLOAD_MAX + 1,
		       "a frame is longer than any may be");
	frame.kind = 0;
	expect_refusal(&frame, UINT32_MAX, "a frame is of a kind that this version does not know");
	frame = (struct harbor_frame){.kind = 10};
	expect_refusal(&frame, UINT32_MAX, "a frame is of a kind that this version does not know");
	frame = good;
	frame.source = 0;
	expect_refusal(&frame, UINT32_MAX, "a frame has no source or no destination");
	frame = good;
	frame.destination = 0;
	expect_refusal(&frame, UINT32_MAX, "a frame has no source or no destination");
	frame = good;
	frame.flags = 2;
	expect_refusal(&frame, UINT32_MAX, "a frame has flags that this version does not know");
	frame.flags = HARBOR_FRAME_HAS_MORE;
	expect_refusal(&frame, UINT32_MAX, "a part of a message is empty");
	frame = good;
	frame.type = PTYPE_SOCKET;
	expect_refusal(&frame, UINT32_MAX,
		       "a message has the type of socket events, which never travel");
	for (int32_t session = -5; session < 0; session++) {
		frame = good;
		frame.session = session;
		expect_refusal(&frame, UINT32_MAX, "a message has a session that none can have");
	}
	frame.type = PTYPE_ERROR;
	frame.session = SKYNET_SESSION_LOST - 1;
	expect_refusal(&frame, UINT32_MAX, "a message has a session that none can have");
	frame = (struct harbor_frame){.kind = HARBOR_FRAME_ACK};
	expect_refusal(&frame, UINT32_MAX, "a frame has a length that its kind cannot have");
	frame = (struct harbor_frame){.kind = HARBOR_FRAME_BEAT, .source = 1};
	expect_refusal(&frame, UINT32_MAX, "a frame has an address that its kind cannot have");
	frame = (struct harbor_frame){.kind = HARBOR_FRAME_BEAT, .type = 1};
	expect_refusal(&frame, UINT32_MAX, "a frame has a type or flags that its kind cannot have");
	frame = (struct harbor_frame){.kind = HARBOR_FRAME_LINK, .source = 1, .destination = 2};
	expect_refusal(&frame, 17, "a frame has a length that its kind cannot have");
}

static void
the_longest_frame_comes_in_any_pieces(void **state)
{
	size_t size = HARBOR_FRAME_HEADER + HARBOR_FRAME_PAYLOAD_MAX;
	char *payload = calloc(1, HARBOR_FRAME_PAYLOAD_MAX), *bytes = malloc(size);
	struct harbor_frame frame = {.kind = HARBOR_FRAME_MESSAGE,
				     .source = 1,
				     .destination = 2,
				     .size = HARBOR_FRAME_PAYLOAD_MAX,
				     .payload = payload};
	struct harbor_frame_reader reader = {0};
	struct harbor_frame read = {0};
	(void)state;
	assert_non_null(payload);
	assert_non_null(bytes);
	payload[HARBOR_FRAME_PAYLOAD_MAX - 1] = 'x';
	(void)harbor_frame_write(bytes, &frame);
	for (size_t at = 0; at < size; at += 1000) {
		size_t count = size - at < 1000 ? size - at : 1000;
		struct harbor_frame_input input = {bytes + at, count};
		bool is_last = at + count == size;
		assert_int_equal(harbor_frame_next(&reader, &input, &read),
				 is_last ? HARBOR_FRAME_READY : HARBOR_FRAME_INCOMPLETE);
	}
	assert_memory_equal(read.payload, payload, HARBOR_FRAME_PAYLOAD_MAX);
	harbor_frame_reader_fini(&reader);
	free(payload);
	free(bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read_at_every_split),
		cmocka_unit_test(bytes_may_come_one_by_one),
		cmocka_unit_test(fields_are_big_endian),
		cmocka_unit_test(what_is_no_frame_is_refused_at_its_header),
		cmocka_unit_test(the_longest_frame_comes_in_any_pieces),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
