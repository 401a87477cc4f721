/* env_test.c: the settings of a node: set once, read by anybody. */
#include "sk_env.h"

#include "unit.h"

#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* More than the table begins with, so that it grows several times. */
#define MANY 2000
#define THREADS 4

static void
test_a_key_keeps_its_first_value(void **state)
{
	(void)state;
	struct sk_env *env = sk_env_new();
	assert_null(sk_env_get(env, "start"));
	assert_int_equal(sk_env_set(env, "start", "main"), 0);
	const char *value = sk_env_get(env, "start");
	assert_string_equal(value, "main");
	assert_int_equal(sk_env_set(env, "start", "other"), SK_EEXIST);
	assert_ptr_equal(sk_env_get(env, "start"), value);
	assert_string_equal(value, "main");
	assert_null(sk_env_get(env, "star"));
	assert_null(sk_env_get(env, "starts"));
	sk_env_free(env);
}

static void
test_both_texts_are_copied(void **state)
{
	(void)state;
	struct sk_env *env = sk_env_new();
	char key[] = "key";
	char value[] = "value";
	assert_int_equal(sk_env_set(env, key, value), 0);
	key[0] = value[0] = '?';
	assert_string_equal(sk_env_get(env, "key"), "value");
	assert_int_equal(sk_env_set(env, "", ""), 0);
	assert_string_equal(sk_env_get(env, ""), "");
	sk_env_free(env);
}

static void
test_values_stay_where_they_are_while_it_grows(void **state)
{
	(void)state;
	static const char *values[MANY];
	struct sk_env *env = sk_env_new();
	char key[32];
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(key, sizeof(key), "key%d", i);
		assert_int_equal(sk_env_set(env, key, key + 3), 0);
		values[i] = sk_env_get(env, key);
	}
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(key, sizeof(key), "key%d", i);
		assert_ptr_equal(sk_env_get(env, key), values[i]); /* I1 */
		assert_string_equal(values[i], key + 3);
		assert_int_equal(sk_env_set(env, key, "again"), SK_EEXIST); /* I2 */
	}
	sk_env_free(env);
}

static void
test_numbers(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		long number; /* -7: the fallback */
	} rows[] = {
		{"8", 8},
		{"-3", -3},
		{"4.0", 4},
		{"1e3", 1000},
		{"9223372036854775807", LONG_MAX},
		{"9223372036854775808", -7},
		{"1e30", -7},
		{"2.5", -7},
		{"inf", -7},
		{"nan", -7},
		{"", -7},
		{"8 cores", -7},
		{"true", -7},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sk_env *env = sk_env_new();
		assert_int_equal(sk_env_set(env, "n", rows[i].text), 0);
		assert_int_equal(sk_env_number(env, "n", -7), rows[i].number);
		sk_env_free(env);
	}
	struct sk_env *env = sk_env_new();
	assert_int_equal(sk_env_number(env, "n", -7), -7);
	sk_env_free(env);
}

static void
test_booleans(void **state)
{
	(void)state;
	struct sk_env *env = sk_env_new();
	assert_int_equal(sk_env_set(env, "yes", "true"), 0);
	assert_int_equal(sk_env_set(env, "one", "1"), 0);
	assert_int_equal(sk_env_set(env, "no", "false"), 0);
	assert_int_equal(sk_env_set(env, "odd", "maybe"), 0);
	assert_true(sk_env_boolean(env, "yes", false));
	assert_true(sk_env_boolean(env, "one", false));
	assert_false(sk_env_boolean(env, "no", true));
	assert_false(sk_env_boolean(env, "odd", true));
	assert_true(sk_env_boolean(env, "none", true));
	assert_false(sk_env_boolean(env, "none", false));
	sk_env_free(env);
}

static void
test_a_copy_has_all_but_what_is_left_out(void **state)
{
	(void)state;
	static const char *const without[] = {"b", "missing", NULL};
	struct sk_env *env = sk_env_new();
	assert_int_equal(sk_env_set(env, "a", "1"), 0);
	assert_int_equal(sk_env_set(env, "b", "2"), 0);
	char key[32];
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(key, sizeof(key), "key%d", i);
		assert_int_equal(sk_env_set(env, key, key), 0);
	}
	struct sk_env *copy = sk_env_copy(env, without);
	assert_int_equal(sk_env_set(copy, "b", "3"), 0);
	assert_string_equal(sk_env_get(env, "b"), "2");
	sk_env_free(env);
	assert_string_equal(sk_env_get(copy, "a"), "1");
	assert_string_equal(sk_env_get(copy, "b"), "3");
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(key, sizeof(key), "key%d", i);
		assert_string_equal(sk_env_get(copy, key), key);
	}
	sk_env_free(copy);
}

struct setter {
	struct sk_env *env;
	int id;
	int won;   /* keys that this thread has set first */
	int wrong; /* values that it saw change, or missed */
};

/* Every thread sets the same keys to its own number; exactly one must win each. */
static void *
set_all(void *arg)
{
	struct setter *setter = arg;
	char key[32];
	char value[32];
	(void)snprintf(value, sizeof(value), "%d", setter->id);
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(key, sizeof(key), "key%d", i);
		bool has_won = sk_env_set(setter->env, key, value) == 0;
		const char *first = sk_env_get(setter->env, key);
		setter->won += has_won;
		setter->wrong += first == NULL || (has_won && strcmp(first, value) != 0);
	}
	return NULL;
}

static void
test_threads_set_and_read_at_the_same_time(void **state)
{
	(void)state;
	struct sk_env *env = sk_env_new();
	struct setter setters[THREADS];
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++) {
		setters[i] = (struct setter){.env = env, .id = i};
		assert_int_equal(pthread_create(&threads[i], NULL, set_all, &setters[i]), 0);
	}
	int won = 0;
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(setters[i].wrong, 0);
		won += setters[i].won;
	}
	assert_int_equal(won, MANY);
	sk_env_free(env);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_key_keeps_its_first_value),
		cmocka_unit_test(test_both_texts_are_copied),
		cmocka_unit_test(test_values_stay_where_they_are_while_it_grows),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_booleans),
		cmocka_unit_test(test_a_copy_has_all_but_what_is_left_out),
		cmocka_unit_test(test_threads_set_and_read_at_the_same_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
