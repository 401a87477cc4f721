/* timer_test.c: the wheel against a sorted list, over jumps of every size, and under threads. */
#include "sk_timer.h"

#include "unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static struct sk_timer_entry *
new_entry(int32_t number)
{
	struct sk_timer_entry *entry = calloc(1, sizeof(*entry));
	if (!entry)
		abort();
	entry->message.kind = SK_MESSAGE_TIMER;
	entry->message.session = number;
	return entry;
}

static struct sk_timer_entry *
next_of(const struct sk_timer_entry *entry)
{
	return (struct sk_timer_entry *)entry->message.next; /* its first member */
}

static struct sk_timer_entry *
add(struct sk_timer *timer, int32_t number, uint64_t due_ms)
{
	struct sk_timer_entry *entry = new_entry(number);
	(void)!sk_timer_add(timer, entry, due_ms);
	return entry;
}

/* Expires, checks that exactly these numbers fire, and frees them. Ends with 0. */
static void
expect_fired(struct sk_timer *timer, uint64_t now_ms, const int32_t *numbers)
{
	struct sk_timer_entry *entry = sk_timer_expire(timer, now_ms);
	for (; *numbers != 0; numbers++) {
		assert_non_null(entry);
		assert_int_equal(entry->message.session, *numbers);
		struct sk_timer_entry *next = next_of(entry);
		free(entry);
		entry = next;
	}
	assert_null(entry);
}

#define FIRED(...) ((const int32_t[]){__VA_ARGS__, 0})
#define NONE ((const int32_t[]){0})

static void
test_fires_when_due_and_not_before(void **state)
{
	(void)state;
	static const uint64_t delays_ms[] = {
		1, 2, 255, 256, 257, 65535, 65536, 65537, 1 << 24, 3600000, UINT64_C(1) << 40,
	};
	for (size_t i = 0; i < sizeof(delays_ms) / sizeof(delays_ms[0]); i++) {
		uint64_t start_ms = 1000003 * i;
		struct sk_timer *timer = sk_timer_new(start_ms);
		assert_int_equal(sk_timer_next_due_ms(timer), UINT64_MAX);
		(void)add(timer, 1, start_ms + delays_ms[i]);
		assert_int_equal(sk_timer_count(timer), 1);
		assert_int_equal(sk_timer_next_due_ms(timer), start_ms + delays_ms[i]);
		expect_fired(timer, start_ms + delays_ms[i] - 1, NONE);
		expect_fired(timer, start_ms + delays_ms[i], FIRED(1));
		assert_int_equal(sk_timer_count(timer), 0);
		assert_int_equal(sk_timer_next_due_ms(timer), UINT64_MAX);
		sk_timer_free(timer);
	}
}

static void
test_the_past_counts_as_now(void **state)
{
	(void)state;
	struct sk_timer *timer = sk_timer_new(5000);
	(void)add(timer, 1, 4000);
	(void)add(timer, 2, 5000);
	(void)add(timer, 3, 0);
	assert_int_equal(sk_timer_next_due_ms(timer), 5000);
	expect_fired(timer, 5000, FIRED(1, 2, 3));
	(void)add(timer, 4, 5000); /* late, in a millisecond that has fired */
	assert_int_equal(sk_timer_next_due_ms(timer), 5000);
	expect_fired(timer, 5000, FIRED(4));
	expect_fired(timer, 5000, NONE);
	sk_timer_free(timer);
}

static void
test_time_never_goes_back(void **state)
{
	(void)state;
	struct sk_timer *timer = sk_timer_new(5000);
	(void)add(timer, 1, 6000);
	expect_fired(timer, 5999, NONE);
	expect_fired(timer, 10, NONE);
	(void)add(timer, 2, 5500); /* counts as 5999 */
	expect_fired(timer, 20, FIRED(2));
	expect_fired(timer, 6000, FIRED(1));
	sk_timer_free(timer);
}

static void
test_equal_due_times_fire_in_order_of_adding(void **state)
{
	(void)state;
	struct sk_timer *timer = sk_timer_new(0);
	const uint64_t due_ms = 70000; /* passes through two wheels on its way */
	(void)add(timer, 1, due_ms);
	expect_fired(timer, 65535, NONE);
	(void)add(timer, 2, due_ms);
	expect_fired(timer, 65536, NONE);
	(void)add(timer, 3, due_ms);
	expect_fired(timer, 69887, NONE); /* the last millisecond before the block of due_ms */
	(void)add(timer, 4, due_ms);
	expect_fired(timer, 69888, NONE);
	(void)add(timer, 5, due_ms);
	expect_fired(timer, 69999, NONE);
	(void)add(timer, 6, due_ms);
	expect_fired(timer, 80000, FIRED(1, 2, 3, 4, 5, 6));
	sk_timer_free(timer);
}

static void
test_cancel_gives_back_once(void **state)
{
	(void)state;
	struct sk_timer *timer = sk_timer_new(100);
	struct sk_timer_entry *first = add(timer, 1, 200);
	struct sk_timer_entry *middle = add(timer, 2, 200);
	struct sk_timer_entry *last = add(timer, 3, 200);
	assert_true(sk_timer_cancel(timer, last));
	(void)add(timer, 4, 200);
	assert_true(sk_timer_cancel(timer, middle));
	assert_true(sk_timer_cancel(timer, first));
	assert_false(sk_timer_cancel(timer, first));
	assert_int_equal(sk_timer_count(timer), 1);

	struct sk_timer_entry *fired = sk_timer_expire(timer, 300);
	assert_int_equal(fired->message.session, 4);
	assert_null(fired->message.next);
	assert_false(sk_timer_cancel(timer, fired));
	free(first);
	free(middle);
	free(last);
	free(fired);
	sk_timer_free(timer);
}

static void
test_cancel_of_the_earliest_moves_next_due(void **state)
{
	(void)state;
	struct sk_timer *timer = sk_timer_new(0);
	struct sk_timer_entry *soon = add(timer, 1, 10);
	struct sk_timer_entry *later = add(timer, 2, 1000000);
	assert_int_equal(sk_timer_next_due_ms(timer), 10);
	assert_true(sk_timer_cancel(timer, soon));
	assert_int_equal(sk_timer_next_due_ms(timer), 1000000);
	assert_true(sk_timer_cancel(timer, later));
	assert_int_equal(sk_timer_next_due_ms(timer), UINT64_MAX);
	free(soon);
	free(later);
	sk_timer_free(timer);
}

static void
test_add_tells_when_a_sleeper_would_be_late(void **state)
{
	(void)state;
	struct sk_timer *timer = sk_timer_new(0);
	assert_true(sk_timer_add(timer, new_entry(1), 1000));
	assert_false(sk_timer_add(timer, new_entry(2), 1000));
	assert_false(sk_timer_add(timer, new_entry(3), 1001));
	assert_true(sk_timer_add(timer, new_entry(4), 999));
	assert_true(sk_timer_add(timer, new_entry(5), 0));
	expect_fired(timer, 0, FIRED(5));
	assert_int_equal(sk_timer_next_due_ms(timer), 999);
	sk_timer_free(timer); /* with entries pending */
}

static void
test_the_ends_of_time(void **state)
{
	(void)state;
	struct sk_timer *timer = sk_timer_new(0);
	(void)add(timer, 1, UINT64_MAX);
	(void)add(timer, 2, UINT64_MAX - 1);
	(void)add(timer, 3, UINT64_C(1) << 63);
	expect_fired(timer, (UINT64_C(1) << 63) - 1, NONE);
	expect_fired(timer, UINT64_C(1) << 63, FIRED(3));
	expect_fired(timer, UINT64_MAX, FIRED(2, 1));
	sk_timer_free(timer);
}

static void
test_sleeping_until_next_due_wakes_once_an_entry(void **state)
{
	(void)state;
	enum { COUNT = 1000 };
	struct sk_timer *timer = sk_timer_new(12345);
	uint64_t random = 5;
	uint64_t due_ms = 12345;
	for (int i = 1; i <= COUNT; i++) {
		due_ms += 1 + (unit_random(&random) >> (30 + unit_random_below(&random, 34)));
		(void)add(timer, i, due_ms);
	}
	for (int i = 1; i <= COUNT; i++)
		expect_fired(timer, sk_timer_next_due_ms(timer), FIRED(i));
	assert_int_equal(sk_timer_next_due_ms(timer), UINT64_MAX);
	sk_timer_free(timer);
}

/* The model: pending entries sorted by due time, equal ones in the order they were added. */

#define MODEL_MAX 4096

struct model {
	struct sk_timer *timer;
	struct sk_timer_entry *entries[MODEL_MAX];
	uint32_t count;
	uint64_t now_ms;
	uint64_t random;
};

/* A delay of any size between none and 2^40 ms, small ones as often as large ones. */
static uint64_t
random_delay_ms(struct model *m)
{
	return unit_random(&m->random) >> (24 + unit_random_below(&m->random, 40));
}

static uint64_t
random_due_ms(struct model *m)
{
	uint32_t chance = unit_random_below(&m->random, 10);
	if (chance == 0 && m->count != 0) /* the same as another one */
		return m->entries[unit_random_below(&m->random, m->count)]->due_ms;
	if (chance == 1) /* at the edge of a block */
		return (m->now_ms + random_delay_ms(m)) & ~(uint64_t)0xff;
	if (chance == 2) /* in the past */
		return m->now_ms - random_delay_ms(m) % (m->now_ms + 1);
	return m->now_ms + random_delay_ms(m);
}

static void
model_add(struct model *m, int32_t number)
{
	uint64_t due_ms = random_due_ms(m);
	struct sk_timer_entry *entry = new_entry(number);
	uint64_t next_due_ms = sk_timer_next_due_ms(m->timer);
	bool told = sk_timer_add(m->timer, entry, due_ms);
	uint64_t from_now_ms = due_ms < m->now_ms ? m->now_ms : due_ms;
	assert_int_equal(told, from_now_ms < next_due_ms);
	assert_int_equal(entry->due_ms, from_now_ms);
	uint32_t i = m->count++;
	for (; i > 0 && m->entries[i - 1]->due_ms > entry->due_ms; i--)
		m->entries[i] = m->entries[i - 1];
	m->entries[i] = entry;
}

static void
model_cancel(struct model *m)
{
	uint32_t i = unit_random_below(&m->random, m->count);
	assert_true(sk_timer_cancel(m->timer, m->entries[i]));
	free(m->entries[i]);
	m->count--;
	memmove(&m->entries[i], &m->entries[i + 1], (m->count - i) * sizeof(m->entries[0]));
}

static void
model_expire(struct model *m, uint64_t now_ms)
{
	uint32_t fired = 0;
	struct sk_timer_entry *entry = sk_timer_expire(m->timer, now_ms);
	while (entry) {
		assert_true(fired < m->count);
		assert_ptr_equal(entry, m->entries[fired]);
		assert_true(entry->due_ms <= now_ms);
		struct sk_timer_entry *next = next_of(entry);
		free(entry);
		entry = next;
		fired++;
	}
	m->count -= fired;
	memmove(&m->entries[0], &m->entries[fired], m->count * sizeof(m->entries[0]));
	m->now_ms = now_ms;
	assert_true(m->count == 0 || m->entries[0]->due_ms > now_ms);
}

static void
test_against_a_sorted_list(void **state)
{
	(void)state;
	enum { ROUNDS = 300000 };
	static struct model m;
	m = (struct model){.now_ms = 999, .random = 2024};
	m.timer = sk_timer_new(m.now_ms);
	for (int round = 0; round < ROUNDS; round++) {
		uint32_t chance = unit_random_below(&m.random, 100);
		if (chance < 50 && m.count < 300)
			model_add(&m, round);
		else if (chance < 75 && m.count != 0)
			model_cancel(&m);
		else if (chance < 90)
			model_expire(&m, m.now_ms + random_delay_ms(&m) % 1000);
		else if (chance < 95)
			model_expire(&m, m.now_ms + random_delay_ms(&m));
		else if (sk_timer_next_due_ms(m.timer) != UINT64_MAX)
			model_expire(&m, sk_timer_next_due_ms(m.timer));
		assert_int_equal(sk_timer_count(m.timer), m.count);
		uint64_t next_due_ms = sk_timer_next_due_ms(m.timer);
		if (m.count == 0)
			assert_true(next_due_ms == UINT64_MAX);
		else
			assert_true(next_due_ms <= m.entries[0]->due_ms);
		assert_true(next_due_ms >= m.now_ms);
	}
	sk_timer_free(m.timer);
}

/* Threads add, and cancel or leave to fire; another one lets time pass. Each entry comes out once:
 * whoever gets it writes to it without further care, so the thread sanitizer looks on too. */

#define ADDERS 2
#define ADDS 30000
#define RING 64 /* how many entries an adder remembers */

struct stress {
	struct sk_timer *timer;
	_Atomic uint64_t now_ms;
	_Atomic bool stop;
	_Atomic uint64_t cancelled;
	_Atomic uint64_t fired;
	_Atomic uint64_t bad;
};

/* An entry that fired stays alive until the end of the test: cancel demands it. */
struct tracked {
	struct sk_timer_entry entry;
	uint32_t outcomes;
};

struct adder {
	struct stress *stress;
	uint64_t random;
	struct tracked *all; /* ADDS of them */
};

static void *
add_and_cancel(void *argument)
{
	struct adder *a = argument;
	struct stress *s = a->stress;
	for (uint32_t i = 0; i < ADDS; i++) {
		uint64_t now_ms = atomic_load_explicit(&s->now_ms, memory_order_relaxed);
		(void)!sk_timer_add(s->timer, &a->all[i].entry,
				    now_ms + unit_random_below(&a->random, 2000));
		uint32_t back = unit_random_below(&a->random, RING);
		struct tracked *other = &a->all[i >= back ? i - back : 0];
		if (sk_timer_cancel(s->timer, &other->entry)) {
			other->outcomes++;
			atomic_fetch_add(&s->cancelled, 1);
		}
	}
	return NULL;
}

static void *
let_time_pass(void *argument)
{
	struct stress *s = argument;
	while (!atomic_load(&s->stop)) {
		uint64_t now_ms = atomic_fetch_add(&s->now_ms, 7) + 7;
		struct sk_timer_entry *entry = sk_timer_expire(s->timer, now_ms);
		while (entry) {
			struct tracked *tracked = SK_CONTAINER_OF(entry, struct tracked, entry);
			tracked->outcomes++;
			atomic_fetch_add(&s->bad, entry->due_ms > now_ms);
			atomic_fetch_add(&s->fired, 1);
			entry = next_of(entry);
		}
	}
	return NULL;
}

static void
test_under_threads(void **state)
{
	(void)state;
	struct stress s = {.timer = sk_timer_new(0)};
	struct adder adders[ADDERS];
	pthread_t threads[ADDERS], clock;
	assert_int_equal(pthread_create(&clock, NULL, let_time_pass, &s), 0);
	for (int i = 0; i < ADDERS; i++) {
		adders[i] = (struct adder){.stress = &s, .random = 1 + (uint64_t)i};
		adders[i].all = calloc(ADDS, sizeof(struct tracked));
		assert_non_null(adders[i].all);
		assert_int_equal(pthread_create(&threads[i], NULL, add_and_cancel, &adders[i]), 0);
	}
	for (int i = 0; i < ADDERS; i++)
		(void)pthread_join(threads[i], NULL);
	atomic_store(&s.stop, true);
	(void)pthread_join(clock, NULL);

	uint64_t left = 0;
	for (struct sk_timer_entry *entry = sk_timer_expire(s.timer, UINT64_MAX); entry;
	     entry = next_of(entry)) {
		SK_CONTAINER_OF(entry, struct tracked, entry)->outcomes++;
		left++;
	}
	assert_int_equal(sk_timer_count(s.timer), 0);
	assert_int_equal(atomic_load(&s.bad), 0);
	assert_int_equal(atomic_load(&s.cancelled) + atomic_load(&s.fired) + left, ADDERS * ADDS);
	for (int i = 0; i < ADDERS; i++) {
		for (int j = 0; j < ADDS; j++)
			assert_int_equal(adders[i].all[j].outcomes, 1);
		free(adders[i].all);
	}
	sk_timer_free(s.timer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fires_when_due_and_not_before),
		cmocka_unit_test(test_the_past_counts_as_now),
		cmocka_unit_test(test_time_never_goes_back),
		cmocka_unit_test(test_equal_due_times_fire_in_order_of_adding),
		cmocka_unit_test(test_cancel_gives_back_once),
		cmocka_unit_test(test_cancel_of_the_earliest_moves_next_due),
		cmocka_unit_test(test_add_tells_when_a_sleeper_would_be_late),
		cmocka_unit_test(test_the_ends_of_time),
		cmocka_unit_test(test_sleeping_until_next_due_wakes_once_an_entry),
		cmocka_unit_test(test_against_a_sorted_list),
		cmocka_unit_test(test_under_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
