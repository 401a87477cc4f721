/* gate_table_test.c: the gate's table of connections against an array. */
#include "../../service-src/gate/table.c"

#include "unit.h"

#include <stdbool.h>
#include <string.h>

#define KEYS 3000

struct entry {
	char before;
	int key;
};

static struct entry entries[KEYS];
static bool is_in[KEYS];

/* Every key is found exactly when it should be; and no search runs over a free slot (I1, I2). */
static void
check_all(const struct gate_table *table, size_t count)
{
	assert_int_equal(table->count, count);
	for (int i = 0; i < KEYS; i++) {
		int *found = gate_table_find(table, entries[i].key);
		if (is_in[i])
			assert_ptr_equal(found, &entries[i].key);
		else
			assert_null(found);
	}
	assert_true(table->count <= table->capacity / 4 * 3);
}

static void
against_an_array(int step)
{
	struct gate_table table = {0};
	uint64_t seed = 42;
	size_t count = 0;
	memset(is_in, 0, sizeof(is_in));
	for (int i = 0; i < KEYS; i++)
		entries[i].key = 1 + i * step;
	for (int round = 0; round < 40000; round++) {
		/* Fills for a while, then empties for a while. */
		uint32_t at = unit_random_below(&seed, KEYS);
		bool wants_in = unit_random_below(&seed, 10) < (round / 8000 % 2 == 0 ? 8 : 1);
		if (wants_in && !is_in[at]) {
			gate_table_add(&table, &entries[at].key);
			count++;
		} else if (!wants_in) {
			gate_table_remove(&table, entries[at].key); /* also of one not there */
			count -= is_in[at];
		}
		is_in[at] = wants_in;
		if (round % 400 == 0)
			check_all(&table, count);
	}
	check_all(&table, count);
	gate_table_fini(&table);
}

static void
keys_that_count_up(void **state)
{
	(void)state;
	against_an_array(1);
}

static void
keys_far_apart(void **state)
{
	(void)state;
	against_an_array(65536 * 8 + 4);
}

static void
shrinks_when_empty(void **state)
{
	(void)state;
	struct gate_table table = {0};
	assert_null(gate_table_find(&table, 1));
	gate_table_remove(&table, 1);
	for (int i = 0; i < KEYS; i++) {
		entries[i].key = i + 1;
		gate_table_add(&table, &entries[i].key);
	}
	assert_true(table.capacity >= KEYS);
	for (int i = 0; i < KEYS; i++)
		gate_table_remove(&table, i + 1);
	assert_int_equal(table.count, 0);
	assert_int_equal(table.capacity, FIRST_CAPACITY);
	gate_table_fini(&table);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_that_count_up),
		cmocka_unit_test(keys_far_apart),
		cmocka_unit_test(shrinks_when_empty),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
