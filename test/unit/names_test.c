/* names_test.c: names against a plain list, and readers beside a writer. */
#include "sk_names.h"

#include "unit.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* All names the tests use; some begin with others, some have bytes above 127. */
#define NAMES 128
#define NAME_SIZE 8

static char all_names[NAMES][NAME_SIZE];

static int
make_all_names(void **state)
{
	(void)state;
	static const char *const stems[] = {"", "a", "ab", "abc", "b", "\xff", "\xfe", "Z"};
	for (int i = 0; i < NAMES; i++) {
		const char *stem = stems[i % 8];
		(void)snprintf(all_names[i], NAME_SIZE, i < 8 ? "%s" : "%s%d", stem, i / 8);
	}
	return 0;
}

static struct sk_quiesce *
new_quiesce(void)
{
	struct sk_quiesce *q = aligned_alloc(SK_CACHE_LINE, sizeof(*q));
	assert_non_null(q);
	assert_int_equal(sk_quiesce_init(q), 0);
	return q;
}

static void
free_all(struct sk_names *names)
{
	struct sk_quiesce *q = names->quiesce;
	sk_names_fini(names);
	sk_quiesce_fini(q);
	free(q);
}

static void
test_find_compares_length_and_bytes(void **state)
{
	(void)state;
	struct sk_names names;
	assert_int_equal(sk_names_init(&names, new_quiesce()), 0);
	assert_int_equal(sk_names_find(&names, "db", 2), 0);
	assert_string_equal(sk_names_add(&names, "db", 0x01000010), "db");
	assert_string_equal(sk_names_add(&names, "dbase", 0x01000011), "dbase");
	assert_int_equal(sk_names_find(&names, "db", 2), 0x01000010);
	assert_int_equal(sk_names_find(&names, "dbase", 5), 0x01000011);
	assert_int_equal(sk_names_find(&names, "dbase", 2), 0x01000010);
	assert_int_equal(sk_names_find(&names, "dbase", 3), 0);
	assert_int_equal(sk_names_find(&names, "d", 1), 0);
	assert_int_equal(sk_names_find(&names, "db\0x", 4), 0);
	assert_int_equal(sk_names_find(&names, "", 0), 0);
	free_all(&names);
}

static void
test_a_taken_name_stays_with_its_owner(void **state)
{
	(void)state;
	struct sk_names names;
	assert_int_equal(sk_names_init(&names, new_quiesce()), 0);
	const char *stored = sk_names_add(&names, "console", 1);
	assert_non_null(stored);
	assert_null(sk_names_add(&names, "console", 2));
	assert_null(sk_names_add(&names, "console", 1));
	assert_int_equal(sk_names_find(&names, "console", 7), 1);
	sk_names_remove(&names, 2);
	assert_int_equal(sk_names_find(&names, "console", 7), 1);
	sk_names_remove(&names, 1);
	assert_int_equal(sk_names_find(&names, "console", 7), 0);
	assert_non_null(sk_names_add(&names, "console", 2));
	free_all(&names);
}

static void
test_stored_text_stays_while_others_come_and_go(void **state)
{
	(void)state;
	struct sk_names names;
	assert_int_equal(sk_names_init(&names, new_quiesce()), 0);
	const char *stored = sk_names_add(&names, "stays", 1);
	for (int i = 0; i < NAMES; i++) {
		assert_non_null(sk_names_add(&names, all_names[i], 2));
		sk_quiesce_reclaim(names.quiesce);
	}
	sk_names_remove(&names, 2);
	sk_quiesce_reclaim(names.quiesce);
	assert_false(sk_quiesce_has_retired(names.quiesce));
	assert_string_equal(stored, "stays");
	free_all(&names);
}

static void
test_against_a_plain_list(void **state)
{
	(void)state;
	enum { ROUNDS = 60000, HANDLES = 20 };
	struct sk_names names;
	assert_int_equal(sk_names_init(&names, new_quiesce()), 0);
	uint32_t model[NAMES] = {0};
	uint64_t random = 42;
	for (int round = 0; round < ROUNDS; round++) {
		uint32_t i = unit_random_below(&random, NAMES);
		uint32_t handle = 1 + unit_random_below(&random, HANDLES);
		if (unit_random_below(&random, 8) == 0) {
			sk_names_remove(&names, handle);
			for (int j = 0; j < NAMES; j++)
				model[j] = model[j] == handle ? 0 : model[j];
		} else {
			const char *stored = sk_names_add(&names, all_names[i], handle);
			if (model[i] != 0)
				assert_null(stored);
			else
				assert_string_equal(stored, all_names[i]);
			model[i] = model[i] != 0 ? model[i] : handle;
		}
		i = unit_random_below(&random, NAMES);
		assert_int_equal(sk_names_find(&names, all_names[i], strlen(all_names[i])),
				 model[i]);
		sk_quiesce_reclaim(names.quiesce);
	}
	free_all(&names);
}

struct stress {
	struct sk_names names;
	_Atomic bool stop;
	_Atomic uint64_t bad;
	_Atomic uint64_t found;
};

/* Name i belongs to handle 1 + i % 16, when it is there. */
static void *
look_up(void *argument)
{
	struct stress *s = argument;
	uint64_t random = 7, bad = 0, found = 0;
	int slot = sk_quiesce_join(s->names.quiesce);
	if (slot < 0)
		abort();
	while (!atomic_load_explicit(&s->stop, memory_order_relaxed)) {
		uint32_t i = unit_random_below(&random, NAMES);
		uint32_t handle = sk_names_find(&s->names, all_names[i], strlen(all_names[i]));
		bad += handle != 0 && handle != 1 + i % 16;
		found += handle != 0;
		sk_quiesce_pass(s->names.quiesce, slot);
	}
	sk_quiesce_leave(s->names.quiesce, slot);
	atomic_fetch_add(&s->bad, bad);
	atomic_fetch_add(&s->found, found);
	return NULL;
}

static void
test_readers_beside_a_writer(void **state)
{
	(void)state;
	enum { ROUNDS = 20000, READERS = 2 };
	struct stress s = {.stop = false};
	assert_int_equal(sk_names_init(&s.names, new_quiesce()), 0);
	pthread_t readers[READERS];
	for (int i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, look_up, &s), 0);
	uint64_t random = 9;
	for (int round = 0; round < ROUNDS; round++) {
		uint32_t i = unit_random_below(&random, NAMES);
		if (unit_random_below(&random, 16) == 0)
			sk_names_remove(&s.names, 1 + i % 16);
		else
			(void)sk_names_add(&s.names, all_names[i], 1 + i % 16);
		sk_quiesce_reclaim(s.names.quiesce);
	}
	atomic_store(&s.stop, true);
	for (int i = 0; i < READERS; i++)
		(void)pthread_join(readers[i], NULL);
	assert_int_equal(atomic_load(&s.bad), 0);
	free_all(&s.names);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find_compares_length_and_bytes),
		cmocka_unit_test(test_a_taken_name_stays_with_its_owner),
		cmocka_unit_test(test_stored_text_stays_while_others_come_and_go),
		cmocka_unit_test(test_against_a_plain_list),
		cmocka_unit_test(test_readers_beside_a_writer),
	};
	return cmocka_run_group_tests(tests, make_all_names, NULL);
}
