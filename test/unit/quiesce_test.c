/* quiesce_test.c: nothing is released while somebody may read it, and all of it in the end. */
#include "sk_quiesce.c"

#include "unit.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct thing {
	struct sk_retired retired;
	struct sk_quiesce *quiesce;
	struct thing *and_then; /* retired by the release of this one */
	int *order;		/* receives the number of its release */
};

static int release_count;

static void
release_thing(struct sk_retired *retired)
{
	struct thing *thing = SK_CONTAINER_OF(retired, struct thing, retired);
	if (thing->order)
		*thing->order = ++release_count;
	if (thing->and_then)
		sk_quiesce_retire(thing->quiesce, &thing->and_then->retired, release_thing);
	free(thing);
}

static struct thing *
new_thing(struct sk_quiesce *q, int *order)
{
	struct thing *thing = calloc(1, sizeof(*thing));
	assert_non_null(thing);
	thing->quiesce = q;
	thing->order = order;
	if (order)
		*order = 0;
	return thing;
}

static void
retire_new(struct sk_quiesce *q, int *order)
{
	sk_quiesce_retire(q, &new_thing(q, order)->retired, release_thing);
}

static struct sk_quiesce *
new_quiesce(void)
{
	struct sk_quiesce *q = aligned_alloc(SK_CACHE_LINE, sizeof(*q));
	assert_non_null(q);
	assert_int_equal(sk_quiesce_init(q), 0);
	release_count = 0;
	return q;
}

static void
free_quiesce(struct sk_quiesce *q)
{
	sk_quiesce_fini(q);
	free(q);
}

static void
test_released_at_once_when_nobody_reads(void **state)
{
	(void)state;
	struct sk_quiesce *q = new_quiesce();
	int order;
	assert_false(sk_quiesce_has_retired(q));
	retire_new(q, &order);
	assert_true(sk_quiesce_has_retired(q));
	assert_int_equal(order, 0);
	sk_quiesce_reclaim(q);
	assert_int_equal(order, 1);
	assert_false(sk_quiesce_has_retired(q));
	free_quiesce(q);
}

static void
test_waits_for_every_slot(void **state)
{
	(void)state;
	struct sk_quiesce *q = new_quiesce();
	int a = sk_quiesce_join(q), b = sk_quiesce_join(q);
	assert_true(a >= 0 && b >= 0 && a != b);
	int order;
	retire_new(q, &order);
	sk_quiesce_reclaim(q);
	assert_int_equal(order, 0);
	sk_quiesce_pass(q, a);
	sk_quiesce_reclaim(q);
	assert_int_equal(order, 0);
	sk_quiesce_pass(q, b);
	sk_quiesce_reclaim(q);
	assert_int_equal(order, 1);
	sk_quiesce_leave(q, a);
	sk_quiesce_leave(q, b);
	free_quiesce(q);
}

static void
test_passing_before_does_not_count(void **state)
{
	(void)state;
	struct sk_quiesce *q = new_quiesce();
	int slot = sk_quiesce_join(q);
	int first, second;
	retire_new(q, &first);
	sk_quiesce_pass(q, slot);
	retire_new(q, &second);
	sk_quiesce_reclaim(q);
	assert_int_equal(first, 1);
	assert_int_equal(second, 0);
	sk_quiesce_leave(q, slot);
	sk_quiesce_reclaim(q);
	assert_int_equal(second, 2);
	free_quiesce(q);
}

static void
test_offline_holds_nobody_up_and_online_does_again(void **state)
{
	(void)state;
	struct sk_quiesce *q = new_quiesce();
	int slot = sk_quiesce_join(q);
	int order;
	retire_new(q, &order);
	sk_quiesce_offline(q, slot);
	sk_quiesce_reclaim(q);
	assert_int_equal(order, 1);

	retire_new(q, &order); /* unlinked before the slot is back: it cannot be found */
	sk_quiesce_online(q, slot);
	sk_quiesce_reclaim(q);
	assert_int_equal(order, 2);

	retire_new(q, &order);
	sk_quiesce_reclaim(q);
	assert_int_equal(order, 0);
	sk_quiesce_leave(q, slot);
	sk_quiesce_reclaim(q);
	assert_int_equal(order, 3);
	free_quiesce(q);
}

/* I4 */
static void
test_who_goes_offline_releases_what_waited_for_it_alone(void **state)
{
	(void)state;
	struct sk_quiesce *q = new_quiesce();
	int slot = sk_quiesce_join(q);
	int order;
	retire_new(q, &order);
	sk_quiesce_reclaim(q);
	assert_int_equal(order, 0);
	sk_quiesce_offline(q, slot);
	assert_int_equal(order, 1);

	sk_quiesce_online(q, slot);
	retire_new(q, &order);
	sk_quiesce_leave(q, slot);
	assert_int_equal(order, 2);
	free_quiesce(q);
}

/* I4 */
static void
test_who_tries_to_go_offline_is_told_to_reclaim_first(void **state)
{
	(void)state;
	struct sk_quiesce *q = new_quiesce();
	int slot = sk_quiesce_join(q), other = sk_quiesce_join(q);
	int order;
	assert_true(sk_quiesce_offline_try(q, slot)); /* nothing to reclaim */
	sk_quiesce_online(q, slot);
	retire_new(q, &order);
	assert_false(sk_quiesce_offline_try(q, slot));
	sk_quiesce_reclaim(q); /* the slot has passed by trying, but the other has not */
	assert_int_equal(order, 0);
	assert_true(sk_quiesce_offline_try(q, slot)); /* now it is the other's business */
	assert_int_equal(order, 0);
	assert_false(sk_quiesce_offline_try(q, other));
	sk_quiesce_reclaim(q);
	assert_int_equal(order, 1);
	sk_quiesce_leave(q, slot);
	sk_quiesce_leave(q, other);
	free_quiesce(q);
}

static void
test_what_is_retired_after_the_look_waits(void **state)
{
	(void)state;
	struct sk_quiesce *q = new_quiesce();
	uint64_t due = oldest_seen(q); /* nobody is online */
	int slot = sk_quiesce_join(q); /* may find what is about to be unlinked */
	int order;
	retire_new(q, &order);
	assert_null(take_due(q, due));
	sk_quiesce_leave(q, slot);
	free_quiesce(q);
}

static void
test_releases_oldest_first(void **state)
{
	(void)state;
	enum { COUNT = 100 };
	struct sk_quiesce *q = new_quiesce();
	int order[COUNT];
	for (int i = 0; i < COUNT; i++)
		retire_new(q, &order[i]);
	sk_quiesce_reclaim(q);
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(order[i], i + 1);
	free_quiesce(q);
}

static void
test_release_may_retire(void **state)
{
	(void)state;
	struct sk_quiesce *q = new_quiesce();
	int outer, inner;
	struct thing *thing = new_thing(q, &outer);
	thing->and_then = new_thing(q, &inner);
	sk_quiesce_retire(q, &thing->retired, release_thing);
	sk_quiesce_reclaim(q);
	assert_int_equal(outer, 1);
	assert_int_equal(inner, 0);
	assert_true(sk_quiesce_has_retired(q));
	sk_quiesce_reclaim(q);
	assert_int_equal(inner, 2);
	free_quiesce(q);
}

static void
test_fini_releases_all(void **state)
{
	(void)state;
	struct sk_quiesce *q = new_quiesce();
	int plain, outer, inner;
	retire_new(q, &plain);
	struct thing *thing = new_thing(q, &outer);
	thing->and_then = new_thing(q, &inner);
	sk_quiesce_retire(q, &thing->retired, release_thing);
	free_quiesce(q);
	assert_int_equal(plain, 1);
	assert_int_equal(outer, 2);
	assert_int_equal(inner, 3);
}

static void
test_slots_are_limited_and_reused(void **state)
{
	(void)state;
	struct sk_quiesce *q = new_quiesce();
	for (int i = 0; i < SK_QUIESCE_SLOTS_MAX; i++)
		assert_true(sk_quiesce_join(q) >= 0);
	assert_int_equal(sk_quiesce_join(q), SK_ELIMIT);
	sk_quiesce_leave(q, 7);
	assert_int_equal(sk_quiesce_join(q), 7);
	for (int i = 0; i < SK_QUIESCE_SLOTS_MAX; i++)
		sk_quiesce_leave(q, i);
	free_quiesce(q);
}

/* Readers follow pointers that writers keep replacing. Released nodes are really freed, so the
 * address sanitizer sees a release that came too early, and the thread sanitizer one that was not
 * ordered behind the reading. Without them, the poison in the node tells. */

#define CELLS 8
#define ALIVE UINT64_C(0xa11fea11fea11fe5)

struct node {
	uint64_t mark;
	struct sk_retired retired;
};

struct stress {
	struct sk_quiesce *quiesce;
	_Atomic(struct node *) cells[CELLS];
	_Atomic bool stop;
	_Atomic uint64_t bad;
	_Atomic uint64_t read_count;
	_Atomic uint64_t made;
	_Atomic uint64_t released;
	_Atomic uint32_t seed;
	uint32_t dawdles_in_16; /* how often a reader gives way, online and offline */
	uint32_t naps_in_4;	/* how often a reader goes offline instead of just passing */
};

static struct stress *the_stress;

static void
release_node(struct sk_retired *retired)
{
	struct node *node = SK_CONTAINER_OF(retired, struct node, retired);
	node->mark = ~ALIVE;
	free(node);
	atomic_fetch_add(&the_stress->released, 1);
}

static struct node *
new_node(struct stress *s)
{
	struct node *node = malloc(sizeof(*node));
	if (!node)
		abort();
	node->mark = ALIVE;
	atomic_fetch_add(&s->made, 1);
	return node;
}

static void *
read_cells(void *argument)
{
	struct stress *s = argument;
	uint64_t random = 1 + atomic_fetch_add(&s->seed, 1);
	int slot = sk_quiesce_join(s->quiesce);
	if (slot < 0)
		abort();
	uint64_t read_count = 0;
	while (!atomic_load_explicit(&s->stop, memory_order_relaxed)) {
		struct node *nodes[3];
		for (int i = 0; i < 3; i++)
			nodes[i] = atomic_load_explicit(
				&s->cells[unit_random_below(&random, CELLS)], memory_order_acquire);
		if (unit_random_below(&random, 16) < s->dawdles_in_16)
			(void)sched_yield(); /* cannot fail */
		for (int i = 0; i < 3; i++)
			atomic_fetch_add(&s->bad, nodes[i]->mark != ALIVE);
		if (unit_random_below(&random, 4) >= s->naps_in_4) {
			sk_quiesce_pass(s->quiesce, slot);
			sk_quiesce_reclaim(s->quiesce);
		} else {
			sk_quiesce_offline(s->quiesce, slot);
			if (unit_random_below(&random, 16) < s->dawdles_in_16)
				(void)sched_yield();
			sk_quiesce_online(s->quiesce, slot);
		}
		read_count += 3;
	}
	sk_quiesce_leave(s->quiesce, slot);
	atomic_fetch_add(&s->read_count, read_count);
	return NULL;
}

static void *
replace_cells(void *argument)
{
	enum { ROUNDS = 50000 };
	struct stress *s = argument;
	uint64_t random = 1 + atomic_fetch_add(&s->seed, 1);
	for (int i = 0; i < ROUNDS; i++) {
		struct node *old =
			atomic_exchange_explicit(&s->cells[unit_random_below(&random, CELLS)],
						 new_node(s), memory_order_acq_rel);
		sk_quiesce_retire(s->quiesce, &old->retired, release_node);
		sk_quiesce_reclaim(s->quiesce);
	}
	return NULL;
}

static void
run_stress(int reader_count, uint32_t dawdles_in_16, uint32_t naps_in_4)
{
	enum { READERS_MAX = 3, WRITERS = 3 };
	struct stress *s = calloc(1, sizeof(*s));
	assert_non_null(s);
	the_stress = s;
	s->dawdles_in_16 = dawdles_in_16;
	s->naps_in_4 = naps_in_4;
	s->quiesce = new_quiesce();
	for (int i = 0; i < CELLS; i++)
		atomic_store(&s->cells[i], new_node(s));

	pthread_t readers[READERS_MAX], writers[WRITERS];
	for (int i = 0; i < reader_count; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, read_cells, s), 0);
	for (int i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_create(&writers[i], NULL, replace_cells, s), 0);
	for (int i = 0; i < WRITERS; i++)
		(void)pthread_join(writers[i], NULL);
	atomic_store(&s->stop, true);
	for (int i = 0; i < reader_count; i++)
		(void)pthread_join(readers[i], NULL);

	assert_int_equal(atomic_load(&s->bad), 0);
	assert_false(sk_quiesce_has_retired(s->quiesce)); /* I4 */
	for (int i = 0; i < CELLS; i++)
		sk_quiesce_retire(s->quiesce, &atomic_load(&s->cells[i])->retired, release_node);
	sk_quiesce_reclaim(s->quiesce); /* all slots have left: everything is due */
	assert_int_equal(atomic_load(&s->released), atomic_load(&s->made));
	free_quiesce(s->quiesce);
	free(s);
}

static void
test_readers_never_meet_the_dead(void **state)
{
	(void)state;
	run_stress(3, 1, 1);
}

static void
test_a_reader_that_keeps_coming_and_going(void **state)
{
	(void)state;
	run_stress(1, 8, 4); /* alone, so that there are moments in which everybody is offline */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_released_at_once_when_nobody_reads),
		cmocka_unit_test(test_waits_for_every_slot),
		cmocka_unit_test(test_passing_before_does_not_count),
		cmocka_unit_test(test_offline_holds_nobody_up_and_online_does_again),
		cmocka_unit_test(test_who_goes_offline_releases_what_waited_for_it_alone),
		cmocka_unit_test(test_who_tries_to_go_offline_is_told_to_reclaim_first),
		cmocka_unit_test(test_what_is_retired_after_the_look_waits),
		cmocka_unit_test(test_releases_oldest_first),
		cmocka_unit_test(test_release_may_retire),
		cmocka_unit_test(test_fini_releases_all),
		cmocka_unit_test(test_slots_are_limited_and_reused),
		cmocka_unit_test(test_readers_never_meet_the_dead),
		cmocka_unit_test(test_a_reader_that_keeps_coming_and_going),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
