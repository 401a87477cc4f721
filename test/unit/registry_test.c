/* registry_test.c: the registry against an array, beyond the last number, and under threads. */
#include "sk_registry.h"

#include "unit.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The registry only carries pointers to services, so the tests have their own idea of one. */
struct service {
	uint32_t handle;
	uint32_t mark;
	struct sk_retired retired;
};

static struct skynet_context *
context_of(struct service *service)
{
	return (struct skynet_context *)service;
}

static struct sk_registry *
new_registry(int node_id, uint32_t first_number)
{
	struct sk_quiesce *q = aligned_alloc(SK_CACHE_LINE, sizeof(*q));
	struct sk_registry *r = malloc(sizeof(*r));
	assert_true(q && r);
	assert_int_equal(sk_quiesce_init(q), 0);
	assert_int_equal(sk_registry_init(r, q, node_id, first_number), 0);
	return r;
}

static void
free_registry(struct sk_registry *r)
{
	struct sk_quiesce *q = r->quiesce;
	sk_registry_fini(r);
	sk_quiesce_fini(q);
	free(q);
	free(r);
}

static uint32_t
add(struct sk_registry *r, struct service *service)
{
	assert_int_equal(sk_registry_add(r, context_of(service), &service->handle), 0);
	return service->handle;
}

static int
leaf_count(const struct sk_registry *r)
{
	int count = 0;
	for (int i = 0; i < SK_REGISTRY_LEAVES; i++)
		count += atomic_load(&r->leaves[i]) != NULL;
	return count;
}

static void
test_handles_ascend_from_one(void **state)
{
	(void)state;
	struct sk_registry *r = new_registry(0x2a, 1);
	struct service services[600];
	for (uint32_t i = 0; i < 600; i++)
		assert_int_equal(add(r, &services[i]), 0x2a000001 + i);
	assert_int_equal(sk_registry_count(r), 600);
	for (uint32_t i = 0; i < 600; i++)
		assert_ptr_equal(sk_registry_find(r, 0x2a000001 + i), &services[i]);
	free_registry(r);
}

static void
test_unknown_handles_find_nothing(void **state)
{
	(void)state;
	struct sk_registry *r = new_registry(1, 1);
	struct service service;
	uint32_t handle = add(r, &service);
	assert_null(sk_registry_find(r, 0));
	assert_null(sk_registry_find(r, handle & SK_HANDLE_MASK)); /* of node 0 */
	assert_null(sk_registry_find(r, handle + 0x01000000));
	assert_null(sk_registry_find(r, 0x01000000));
	assert_null(sk_registry_find(r, 0x01ffffff));
	assert_null(sk_registry_find(r, UINT32_MAX));
	assert_null(sk_registry_remove(r, 0));
	assert_null(sk_registry_remove(r, 0x01ffffff));
	assert_null(sk_registry_remove(r, handle & SK_HANDLE_MASK));
	assert_ptr_equal(sk_registry_remove(r, handle), &service);
	assert_null(sk_registry_remove(r, handle));
	assert_null(sk_registry_find(r, handle));
	assert_int_equal(sk_registry_count(r), 0);
	free_registry(r);
}

static void
test_numbers_go_round_and_skip_those_in_use(void **state)
{
	(void)state;
	struct sk_registry *r = new_registry(255, SK_HANDLE_MASK - 1);
	struct service services[5];
	assert_int_equal(add(r, &services[0]), 0xfffffffe);
	assert_int_equal(add(r, &services[1]), 0xffffffff);
	assert_int_equal(add(r, &services[2]), 0xff000001);
	r->last_number = SK_HANDLE_MASK - 2; /* as if the others had come and gone */
	assert_int_equal(add(r, &services[3]), 0xff000002);
	assert_int_equal(sk_registry_next(r, 0), 0xff000001);
	assert_int_equal(sk_registry_next(r, 0xff000002), 0xfffffffe);
	assert_int_equal(sk_registry_next(r, 0xffffffff), 0);
	free_registry(r);
}

static void
test_a_number_rests_until_all_others_were_used(void **state)
{
	(void)state;
	struct sk_registry *r = new_registry(0, 1);
	struct service service;
	for (uint32_t i = 1; i < 2000; i++) {
		assert_int_equal(add(r, &service), i);
		assert_ptr_equal(sk_registry_remove(r, i), &service);
	}
	free_registry(r);
}

static void
test_full_registry_says_so(void **state)
{
	(void)state;
	struct sk_registry *r = new_registry(0, 1);
	struct service service;
	uint32_t handle = 77;
	atomic_store(&r->count, SK_HANDLE_MASK); /* filling it for real takes seconds */
	assert_int_equal(sk_registry_add(r, context_of(&service), &handle), SK_ELIMIT);
	assert_int_equal(handle, 77);
	atomic_store(&r->count, 0);
	assert_int_equal(add(r, &service), 1);
	free_registry(r);
}

static void
test_full_leaves_are_jumped_over(void **state)
{
	(void)state;
	struct sk_registry *r = new_registry(0, 1);
	struct service services[1000], one_more;
	for (int i = 0; i < 1000; i++)
		(void)add(r, &services[i]);
	r->last_number = SK_HANDLE_MASK;
	assert_int_equal(add(r, &one_more), 1001);
	assert_ptr_equal(sk_registry_remove(r, 512), &services[511]); /* the first of its leaf */
	r->last_number = SK_HANDLE_MASK;
	assert_int_equal(add(r, &services[511]), 512);
	assert_ptr_equal(sk_registry_remove(r, 300), &services[299]);
	r->last_number = SK_HANDLE_MASK;
	assert_int_equal(add(r, &services[299]), 300);
	free_registry(r);
}

static void
test_empty_leaves_are_given_back(void **state)
{
	(void)state;
	struct sk_registry *r = new_registry(0, 1);
	struct service services[2000];
	for (int i = 0; i < 2000; i++)
		(void)add(r, &services[i]);
	assert_int_equal(leaf_count(r), 8);
	for (int i = 0; i < 2000; i++)
		assert_ptr_equal(sk_registry_remove(r, services[i].handle), &services[i]);
	assert_int_equal(leaf_count(r), 1); /* the one that the next numbers come from */
	assert_true(sk_quiesce_has_retired(r->quiesce));
	sk_quiesce_reclaim(r->quiesce);

	/* A node whose services come and go keeps few leaves, however far the numbers run. */
	for (int i = 0; i < 100000; i++) {
		uint32_t handle = add(r, &services[0]);
		assert_non_null(sk_registry_remove(r, handle));
		sk_quiesce_reclaim(r->quiesce);
	}
	assert_int_equal(leaf_count(r), 1);
	free_registry(r);
}

static void
test_next_from_a_handle_that_is_gone(void **state)
{
	(void)state;
	struct sk_registry *r = new_registry(1, 1);
	struct service services[600];
	for (int i = 0; i < 600; i++)
		(void)add(r, &services[i]);
	for (int i = 0; i < 511; i++)
		assert_non_null(sk_registry_remove(r, services[i].handle));
	assert_int_equal(leaf_count(r), 1);
	assert_int_equal(sk_registry_next(r, 0), 0x01000200);
	assert_int_equal(sk_registry_next(r, 0x01000190), 0x01000200);
	assert_int_equal(sk_registry_next(r, 0x00ffffff), 0x01000200); /* of a lower node */
	assert_int_equal(sk_registry_next(r, 0x01000258), 0);
	assert_int_equal(sk_registry_next(r, 0x02000001), 0); /* of a higher one */
	free_registry(r);
}

/* The model: which service has which number. Sparse, so the size costs nothing. */
struct model {
	struct service **by_number;
	uint32_t last_number;
	uint32_t used[4096]; /* the numbers in use, in no order */
	uint32_t count;
};

static uint32_t
model_add(struct model *m, struct service *service)
{
	do {
		m->last_number = m->last_number == SK_HANDLE_MASK ? 1 : m->last_number + 1;
	} while (m->by_number[m->last_number]);
	m->by_number[m->last_number] = service;
	m->used[m->count++] = m->last_number;
	return m->last_number;
}

static int
by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static void
check_iteration(struct sk_registry *r, struct model *m)
{
	qsort(m->used, m->count, sizeof(m->used[0]), by_value);
	uint32_t handle = 0;
	for (uint32_t i = 0; i < m->count; i++) {
		handle = sk_registry_next(r, handle);
		assert_int_equal(handle, r->node_bits | m->used[i]);
	}
	assert_int_equal(sk_registry_next(r, handle), 0);
}

static void
test_against_an_array(void **state)
{
	(void)state;
	enum { ROUNDS = 300000, SERVICES_MAX = 3000 };
	struct sk_registry *r = new_registry(3, SK_HANDLE_MASK - 20000);
	struct model m = {.last_number = SK_HANDLE_MASK - 20001};
	m.by_number = calloc(SK_HANDLE_MASK + 1, sizeof(m.by_number[0]));
	assert_non_null(m.by_number);
	uint64_t random = 4711;
	uint32_t wanted = 0;
	for (int round = 0; round < ROUNDS; round++) {
		if (round % 5000 == 0) { /* grow, shrink and jump from time to time */
			wanted = unit_random_below(&random, SERVICES_MAX);
			check_iteration(r, &m);
		}
		if (round == ROUNDS / 2)
			r->last_number = m.last_number = SK_HANDLE_MASK - 5000;
		uint32_t chance = unit_random_below(&random, 100);
		if (m.count == 0 || chance < (m.count < wanted ? 70u : 30u)) {
			struct service *service = malloc(sizeof(*service));
			uint32_t number = model_add(&m, service);
			assert_int_equal(add(r, service), 0x03000000 | number);
		} else {
			uint32_t i = unit_random_below(&random, m.count);
			struct service *service = m.by_number[m.used[i]];
			assert_ptr_equal(sk_registry_find(r, service->handle), service);
			assert_ptr_equal(sk_registry_remove(r, service->handle), service);
			assert_null(sk_registry_find(r, service->handle));
			m.by_number[m.used[i]] = NULL;
			m.used[i] = m.used[--m.count];
			free(service);
		}
		assert_int_equal(sk_registry_count(r), m.count);
		sk_quiesce_reclaim(r->quiesce);
	}
	for (uint32_t i = 0; i < m.count; i++)
		free(m.by_number[m.used[i]]);
	free(m.by_number);
	free_registry(r);
}

/* Threads: one adds, two compete to remove, two look up. */

#define MARK UINT32_C(0x5e41ce00)
#define WINDOW 2048 /* a power of two */

struct stress {
	struct sk_registry *r;
	_Atomic uint32_t published; /* the last handle that was added */
	_Atomic bool stop;
	_Atomic uint64_t bad;
	_Atomic uint64_t removed;
	_Atomic uint64_t released;
	_Atomic uint32_t seed;
};

static struct stress *the_stress;

static void
release_service(struct sk_retired *retired)
{
	struct service *service = SK_CONTAINER_OF(retired, struct service, retired);
	service->mark = 0;
	free(service);
	atomic_fetch_add(&the_stress->released, 1);
}

static uint32_t
recent_handle(struct stress *s, uint64_t *random)
{
	return (atomic_load_explicit(&s->published, memory_order_relaxed) -
		unit_random_below(random, WINDOW)) &
	       SK_HANDLE_MASK;
}

static void *
remove_some(void *argument)
{
	struct stress *s = argument;
	uint64_t random = 1 + atomic_fetch_add(&s->seed, 1);
	while (!atomic_load_explicit(&s->stop, memory_order_relaxed)) {
		struct skynet_context *context =
			sk_registry_remove(s->r, recent_handle(s, &random));
		if (!context)
			continue;
		struct service *service = (struct service *)context;
		atomic_fetch_add(&s->bad, service->mark != MARK);
		atomic_fetch_add(&s->removed, 1);
		sk_quiesce_retire(s->r->quiesce, &service->retired, release_service);
		sk_quiesce_reclaim(s->r->quiesce);
	}
	return NULL;
}

static void *
find_some(void *argument)
{
	struct stress *s = argument;
	uint64_t random = 1 + atomic_fetch_add(&s->seed, 1);
	int slot = sk_quiesce_join(s->r->quiesce);
	if (slot < 0)
		abort();
	while (!atomic_load_explicit(&s->stop, memory_order_relaxed)) {
		uint32_t handle = recent_handle(s, &random);
		struct service *service = (struct service *)sk_registry_find(s->r, handle);
		if (service)
			atomic_fetch_add(&s->bad,
					 service->mark != MARK || service->handle != handle);
		sk_quiesce_pass(s->r->quiesce, slot);
	}
	sk_quiesce_leave(s->r->quiesce, slot);
	return NULL;
}

static void
test_under_threads(void **state)
{
	(void)state;
	enum { ADDS = 60000, THREADS = 4 };
	struct stress s = {.r = new_registry(0, SK_HANDLE_MASK - ADDS / 2)};
	the_stress = &s;
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, i % 2 == 0 ? remove_some : find_some, &s),
			0);
	int slot = sk_quiesce_join(s.r->quiesce); /* add reads the handle of what may be gone */
	assert_true(slot >= 0);
	for (int i = 0; i < ADDS; i++) {
		struct service *service = malloc(sizeof(*service));
		service->mark = MARK;
		atomic_store_explicit(&s.published, add(s.r, service), memory_order_relaxed);
		sk_quiesce_pass(s.r->quiesce, slot);
	}
	sk_quiesce_leave(s.r->quiesce, slot);
	atomic_store(&s.stop, true);
	for (int i = 0; i < THREADS; i++)
		(void)pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&s.bad), 0);

	/* Every service was taken out once. */
	for (uint32_t handle = sk_registry_next(s.r, 0); handle != 0;
	     handle = sk_registry_next(s.r, handle)) {
		free(sk_registry_remove(s.r, handle));
		atomic_fetch_add(&s.removed, 1);
		atomic_fetch_add(&s.released, 1);
	}
	sk_quiesce_reclaim(s.r->quiesce);
	assert_int_equal(atomic_load(&s.removed), ADDS);
	assert_int_equal(atomic_load(&s.released), ADDS);
	assert_int_equal(sk_registry_count(s.r), 0);
	free_registry(s.r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handles_ascend_from_one),
		cmocka_unit_test(test_unknown_handles_find_nothing),
		cmocka_unit_test(test_numbers_go_round_and_skip_those_in_use),
		cmocka_unit_test(test_a_number_rests_until_all_others_were_used),
		cmocka_unit_test(test_full_registry_says_so),
		cmocka_unit_test(test_full_leaves_are_jumped_over),
		cmocka_unit_test(test_empty_leaves_are_given_back),
		cmocka_unit_test(test_next_from_a_handle_that_is_gone),
		cmocka_unit_test(test_against_an_array),
		cmocka_unit_test(test_under_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
