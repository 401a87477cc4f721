/* random_test.c: the generator against the published numbers of its algorithms. */
#include "sk_random.c"

#include "unit.h"

#include <string.h>

/* The first numbers of splitmix64 from the state 1234567, and of xoshiro256** from 1, 2, 3, 4, as
 * their authors' programs print them. */
static void
splitmix_is_the_published_one(void **state)
{
	(void)state;
	static const uint64_t expected[] = {
		UINT64_C(6457827717110365317),	UINT64_C(3203168211198807973),
		UINT64_C(9817491932198370423),	UINT64_C(4593380528125082431),
		UINT64_C(16408922859458223821),
	};
	uint64_t mixer = 1234567;
	for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
		assert_true(splitmix(&mixer) == expected[i]);
}

static void
xoshiro_is_the_published_one(void **state)
{
	(void)state;
	static const uint64_t expected[] = {
		UINT64_C(11520),
		UINT64_C(0),
		UINT64_C(1509978240),
		UINT64_C(1215971899390074240),
	};
	struct sk_random random = {{1, 2, 3, 4}};
	for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
		assert_true(sk_random_next(&random) == expected[i]);
}

static void
equal_seeds_draw_equal_numbers_and_others_do_not(void **state)
{
	(void)state;
	struct sk_random a, b, other_seed, other_stream;
	sk_random_init(&a, 7, 0);
	sk_random_init(&b, 7, 0);
	sk_random_init(&other_seed, 8, 0);
	sk_random_init(&other_stream, 7, 1);
	for (int i = 0; i < 1000; i++) {
		uint64_t drawn = sk_random_next(&a);
		assert_true(drawn == sk_random_next(&b));
		assert_true(drawn != sk_random_next(&other_seed));
		assert_true(drawn != sk_random_next(&other_stream));
	}
}

static void
numbers_below_a_limit_are_spread_evenly(void **state)
{
	(void)state;
	struct sk_random random;
	int counts[10] = {0};
	sk_random_init(&random, 0, 0);
	for (int i = 0; i < 100000; i++)
		counts[sk_random_below(&random, 10)]++;
	for (int i = 0; i < 10; i++)
		assert_in_range(counts[i], 9500, 10500);
	for (int i = 0; i < 10; i++)
		assert_int_equal(sk_random_below(&random, 1), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(splitmix_is_the_published_one),
		cmocka_unit_test(xoshiro_is_the_published_one),
		cmocka_unit_test(equal_seeds_draw_equal_numbers_and_others_do_not),
		cmocka_unit_test(numbers_below_a_limit_are_spread_evenly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
