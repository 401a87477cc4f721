/* session_map_test.c: the map against a plain list, and how many slots its operations walk. */
#include "../../service-src/snlua/session_map.c"

#include "unit.h"

#include <string.h>

/* The most waiters that a test holds at a time. */
#define MODEL_MAX 4096

/* What should be in the map, in no order. */
struct model {
	struct session_map map;
	uint64_t seed;
	struct waiter waiters[MODEL_MAX];
	uint32_t count;
};

static bool
model_has(const struct model *model, int32_t session)
{
	for (uint32_t i = 0; i < model->count; i++)
		if (model->waiters[i].session == session)
			return true;
	return false;
}

static void
model_add(struct model *model, int32_t session)
{
	struct waiter waiter = {.session = session, .kind = (int32_t)unit_random(&model->seed)};
	waiter.task = (struct task *)(uintptr_t)unit_random(&model->seed);
	assert_true(model->count < MODEL_MAX);
	model->waiters[model->count++] = waiter;
	session_map_add(&model->map, waiter);
}

static void
assert_same(const struct waiter *a, const struct waiter *b)
{
	assert_int_equal(a->session, b->session);
	assert_int_equal(a->kind, b->kind);
	assert_ptr_equal(a->task, b->task);
}

/* Takes the waiter at a place of the list out of both. */
static void
model_remove(struct model *model, uint32_t i)
{
	struct waiter removed = {0};
	struct waiter expected = model->waiters[i];
	model->waiters[i] = model->waiters[--model->count];
	assert_true(session_map_remove(&model->map, expected.session, &removed));
	assert_same(&removed, &expected);
	assert_null(session_map_find(&model->map, expected.session));
	assert_false(session_map_remove(&model->map, expected.session, &removed));
}

/* M1, the sizes, and each waiter. */
static void
check(const struct model *model)
{
	const struct session_map *map = &model->map;
	uint32_t filled = 0;
	for (uint32_t i = 0; i < map->capacity; i++) {
		if (map->slots[i].session == 0)
			continue;
		filled++;
		uint32_t before = (i - 1) & (map->capacity - 1);
		uint32_t most = map->slots[before].session == 0 ? 0 : distance_of(map, before) + 1;
		assert_true(distance_of(map, i) <= most);
	}
	assert_int_equal(filled, model->count);
	assert_int_equal(map->count, model->count);
	assert_int_equal(map->capacity & (map->capacity - 1), 0);
	assert_true(map->count <= map->capacity / 4 * 3);
	assert_true(map->capacity <= CAPACITY_MIN || map->capacity <= 16 * (map->count + 1));
	for (uint32_t i = 0; i < model->count; i++) {
		struct waiter *found = session_map_find(map, model->waiters[i].session);
		assert_non_null(found);
		assert_same(found, &model->waiters[i]);
	}
}

static void
model_clear(struct model *model)
{
	while (model->count > 0)
		model_remove(model, unit_random_below(&model->seed, model->count));
	check(model);
	assert_true(model->map.capacity <= CAPACITY_MIN);
}

static int
setup(void **state)
{
	struct model *model = calloc(1, sizeof *model);
	if (!model)
		return -1;
	model->seed = 20;
	*state = model;
	return 0;
}

static int
teardown(void **state)
{
	struct model *model = *state;
	session_map_free(&model->map);
	free(model);
	return 0;
}

static void
an_empty_map_has_nothing_and_costs_nothing(void **state)
{
	struct model *model = *state;
	struct waiter waiter = {0};
	assert_null(session_map_find(&model->map, 1));
	assert_false(session_map_remove(&model->map, 1, &waiter));
	assert_null(model->map.slots);
	model_add(model, INT32_MAX);
	assert_null(session_map_find(&model->map, 1));
	check(model);
	model_clear(model);
	session_map_free(&model->map);
	assert_null(model->map.slots);
	assert_null(session_map_find(&model->map, INT32_MAX));
	model_add(model, 7); /* a freed map is an empty one */
	check(model);
}

/* Adds and removes so that the number of waiters goes up and down as goal says. */
static void
mix(struct model *model, int rounds, int32_t (*draw)(struct model *))
{
	uint32_t goal = 0;
	for (int i = 0; i < rounds; i++) {
		if (i % 1000 == 0)
			goal = unit_random_below(&model->seed, 1u << (i / 1000 % 11 + 1));
		int32_t session = draw(model);
		if (model_has(model, session))
			assert_non_null(session_map_find(&model->map, session));
		else
			assert_null(session_map_find(&model->map, session));
		bool adds = unit_random_below(&model->seed, 4) > 0;
		if ((model->count < goal) == adds && !model_has(model, session))
			model_add(model, session);
		else if (model->count > 0)
			model_remove(model, unit_random_below(&model->seed, model->count));
		if (i % 257 == 0)
			check(model);
	}
	model_clear(model);
}

static int32_t
draw_any(struct model *model)
{
	return (int32_t)unit_random_below(&model->seed, INT32_MAX) + 1;
}

static int32_t
draw_near(struct model *model)
{
	return (int32_t)unit_random_below(&model->seed, 3000) + 1;
}

/* Sessions with the same low bits. */
static int32_t
draw_alike(struct model *model)
{
	return (int32_t)unit_random_below(&model->seed, 1000) << 18 | 1;
}

static void
random_sessions_agree_with_the_list(void **state)
{
	mix(*state, 40000, draw_any);
}

static void
close_sessions_agree_with_the_list(void **state)
{
	mix(*state, 40000, draw_near);
}

static void
sessions_with_the_same_low_bits_agree_with_the_list(void **state)
{
	mix(*state, 20000, draw_alike);
}

/* As a service uses it: ascending, most end soon and nearly in order, some wait for ever; after the
 * highest session come those from 1 again. */
static void
ascending_sessions_agree_with_the_list_over_the_wrap(void **state)
{
	struct model *model = *state;
	int32_t session = INT32_MAX - 30000;
	uint32_t pinned = 0; /* they stand first in the list */
	for (int i = 0; i < 60000; i++) {
		session = session == INT32_MAX ? 1 : session + 1;
		model_add(model, session);
		if (i % 300 == 0) {
			struct waiter newest = model->waiters[model->count - 1];
			model->waiters[model->count - 1] = model->waiters[pinned];
			model->waiters[pinned++] = newest;
		}
		while (model->count - pinned > 64)
			model_remove(model, pinned + unit_random_below(&model->seed, 32));
		if (i % 509 == 0)
			check(model);
	}
	assert_int_equal(model->count, pinned + 64);
	model_clear(model);
}

/* --- cost ---------------------------------------------------------------------------------- */

/* How many slots an addition, and a removal after it, may have to move. */
static uint32_t
walk_of(const struct session_map *map, int32_t session)
{
	uint32_t mask = map->capacity - 1;
	uint32_t count = 0;
	for (uint32_t i = home_of(map, session); map->slots[i & mask].session != 0; i++)
		count++;
	return count;
}

struct cost {
	uint64_t sum;
	uint32_t count;
	uint32_t highest;
};

/* Sessions come and go while so many old ones stay; all of the table is passed twice. */
static struct cost
pass_by(uint32_t pinned, int32_t step)
{
	struct session_map map = {0};
	struct cost cost = {0};
	struct waiter waiter = {0};
	int32_t session = 0;
	for (uint32_t i = 0; i < pinned; i++)
		session_map_add(&map, (struct waiter){.session = session += step});
	for (uint32_t i = 0; i < 2 * map.capacity; i++) {
		uint32_t walk = walk_of(&map, ++session);
		if (walk > 4096)
			fail_msg("%u old sessions, %d apart: to add %d moves %u slots", pinned,
				 (int)step, (int)session, walk);
		cost.highest = walk > cost.highest ? walk : cost.highest;
		cost.sum += walk;
		cost.count++;
		session_map_add(&map, (struct waiter){.session = session});
		assert_true(session_map_remove(&map, session, &waiter));
	}
	session_map_free(&map);
	return cost;
}

static void
old_sessions_do_not_slow_down_new_ones(void **state)
{
	static const uint32_t counts[] = {10, 100, 1000, 10000, 49000, 98304};
	static const int32_t steps[] = {1, 2, 7, 64, 1000, 1024};
	(void)state;
	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
		for (size_t j = 0; j < sizeof steps / sizeof steps[0]; j++) {
			struct cost cost = pass_by(counts[i], steps[j]);
			if (cost.sum > UINT64_C(256) * cost.count || cost.highest > 2048)
				fail_msg("%u old sessions, %d apart: %u slots at most, %u mean",
					 counts[i], (int)steps[j], cost.highest,
					 (unsigned)(cost.sum / cost.count));
		}
	}
}

int
main(void)
{
#define model_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		model_test(an_empty_map_has_nothing_and_costs_nothing),
		model_test(random_sessions_agree_with_the_list),
		model_test(close_sessions_agree_with_the_list),
		model_test(sessions_with_the_same_low_bits_agree_with_the_list),
		model_test(ascending_sessions_agree_with_the_list_over_the_wrap),
		cmocka_unit_test(old_sessions_do_not_slow_down_new_ones),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
