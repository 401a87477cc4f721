/* byte_queue_test.c: the queue against a plain text, at every split of the same bytes. */
#include "../../service-src/snlua/byte_queue.c"

#include "unit.h"

#define MODEL_MAX 8192

static void
add(struct byte_queue *queue, const char *bytes, size_t size)
{
	char *block = malloc(size ? size : 1);
	memcpy(block, bytes, size);
	byte_queue_add(queue, block, size);
}

static void
assert_holds(const struct byte_queue *queue, const char *bytes, size_t size)
{
	assert_int_equal(queue->size, size);
	assert_memory_equal(byte_queue_front(queue), bytes, size);
	assert_true(queue->begin + queue->size <= queue->capacity);
	assert_true((queue->memory != NULL) == (size > 0)); /* Q1 */
}

static void
first_block_becomes_the_queue(void **state)
{
	(void)state;
	struct byte_queue queue = {0};
	char *block = malloc(3);
	memcpy(block, "abc", 3);
	byte_queue_add(&queue, block, 3);
	assert_ptr_equal(byte_queue_front(&queue), block);
	byte_queue_drop(&queue, 1);
	assert_ptr_equal(byte_queue_front(&queue), block + 1);
	byte_queue_drop(&queue, 2);
	assert_holds(&queue, "", 0);
}

static void
empty_blocks_change_nothing(void **state)
{
	(void)state;
	struct byte_queue queue = {0};
	add(&queue, "", 0);
	assert_holds(&queue, "", 0);
	add(&queue, "x", 1);
	add(&queue, "", 0);
	assert_holds(&queue, "x", 1);
	byte_queue_drop(&queue, 100);
	assert_holds(&queue, "", 0);
	byte_queue_drop(&queue, 100);
	byte_queue_clear(&queue);
	assert_holds(&queue, "", 0);
}

static void
separator_is_found_at_every_split(void **state)
{
	static const char text[] = "ab\r\r\ncd";
	(void)state;
	for (size_t cut = 0; cut < sizeof text; cut++) {
		struct byte_queue queue = {0};
		size_t at = 0;
		add(&queue, text, cut);
		bool is_found = byte_queue_find(&queue, 0, "\r\n", 2, &at);
		assert_int_equal(is_found, cut >= 5);
		assert_true(at <= 3); /* where it begins, or before */
		add(&queue, text + cut, sizeof text - 1 - cut);
		assert_true(byte_queue_find(&queue, at, "\r\n", 2, &at));
		assert_int_equal(at, 3);
		assert_false(byte_queue_find(&queue, at + 1, "\r\n", 2, &at));
		byte_queue_clear(&queue);
	}
}

static void
separator_may_be_all_there_is(void **state)
{
	(void)state;
	struct byte_queue queue = {0};
	size_t at;
	assert_false(byte_queue_find(&queue, 0, "aaa", 3, &at));
	for (int i = 0; i < 2; i++) {
		add(&queue, "a", 1);
		assert_false(byte_queue_find(&queue, 0, "aaa", 3, &at));
		assert_int_equal(at, 0);
	}
	add(&queue, "a", 1);
	assert_true(byte_queue_find(&queue, 0, "aaa", 3, &at));
	assert_int_equal(at, 0);
	byte_queue_clear(&queue);
}

/* Small blocks cost memory and time in proportion to their bytes. */
static void
single_bytes_are_moved_seldom(void **state)
{
	(void)state;
	struct byte_queue queue = {0};
	const char *memory = NULL;
	int moves = 0;
	for (int i = 0; i < 1 << 16; i++) {
		add(&queue, "x", 1);
		moves += queue.memory != memory;
		memory = queue.memory;
		assert_true(queue.capacity <= 64 || queue.capacity <= 2 * queue.size); /* Q2 */
	}
	assert_true(moves <= 20);
	byte_queue_clear(&queue);
}

static void
queue_is_a_text(void **state)
{
	(void)state;
	static char model[MODEL_MAX], piece[600];
	struct byte_queue queue = {0};
	size_t size = 0;
	uint64_t seed = 1;
	for (int step = 0; step < 20000; step++) {
		size_t count = unit_random(&seed) % sizeof piece;
		if (unit_random(&seed) % 2 == 0 && size + count <= MODEL_MAX) {
			for (size_t i = 0; i < count; i++)
				piece[i] = (char)unit_random(&seed);
			add(&queue, piece, count);
			memcpy(model + size, piece, count);
			size += count;
		} else {
			byte_queue_drop(&queue, count);
			count = count < size ? count : size;
			memmove(model, model + count, size - count);
			size -= count;
		}
		assert_holds(&queue, model, size);
	}
	byte_queue_clear(&queue);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_block_becomes_the_queue),
		cmocka_unit_test(empty_blocks_change_nothing),
		cmocka_unit_test(separator_is_found_at_every_split),
		cmocka_unit_test(separator_may_be_all_there_is),
		cmocka_unit_test(single_bytes_are_moved_seldom),
		cmocka_unit_test(queue_is_a_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
