/* run_queue_test.c: the rings against a plain list, and an owner with its thieves. Rings of four
 * places, so that they wrap around and overflow all the time. */
#define SK_RUN_QUEUE_SLOTS 4
#include "sk_run_queue.c"

#include "unit.h"

#include <sched.h>
#include <string.h>

static void
test_shared_queue_keeps_order_while_it_grows(void **state)
{
	(void)state;
	enum { COUNT = 1000 };
	static struct sk_mailbox boxes[COUNT];
	struct sk_shared_queue shared;
	assert_int_equal(sk_shared_queue_init(&shared), 0);
	assert_null(sk_shared_queue_pop(&shared, NULL, 0));
	uint32_t in = 0, out = 0;
	uint64_t random = 3;
	while (out < COUNT) {
		uint32_t n = unit_random_below(&random, 50);
		struct sk_mailbox *some[50];
		for (uint32_t i = 0; i < n && in + i < COUNT; i++)
			some[i] = &boxes[in + i];
		n = n > COUNT - in ? COUNT - in : n;
		sk_shared_queue_push(&shared, some, n);
		in += n;
		for (n = unit_random_below(&random, 40); n > 0 && out < in; n--)
			assert_ptr_equal(sk_shared_queue_pop(&shared, NULL, 3), &boxes[out++]);
		assert_int_equal(sk_shared_queue_is_empty(&shared), in == out);
	}
	assert_null(sk_shared_queue_pop(&shared, NULL, 0));
	sk_shared_queue_fini(&shared);
}

static void
test_shared_pop_fills_the_ring_no_further_than_it_goes(void **state)
{
	(void)state;
	struct sk_mailbox boxes[10], mine;
	struct sk_mailbox *all[10];
	struct sk_shared_queue shared;
	struct sk_run_queue ring;
	assert_int_equal(sk_shared_queue_init(&shared), 0);
	sk_run_queue_init(&ring);
	for (int i = 0; i < 10; i++)
		all[i] = &boxes[i];
	sk_shared_queue_push(&shared, all, 10);

	assert_ptr_equal(sk_shared_queue_pop(&shared, &ring, 2), &boxes[0]);
	assert_int_equal(sk_run_queue_length(&ring), 2);
	assert_ptr_equal(sk_run_queue_pop(&ring), &boxes[1]);
	assert_ptr_equal(sk_run_queue_pop(&ring), &boxes[2]);

	sk_run_queue_push(&ring, &mine, &shared);
	assert_ptr_equal(sk_shared_queue_pop(&shared, &ring, 100), &boxes[3]);
	assert_int_equal(sk_run_queue_length(&ring), 4);
	assert_ptr_equal(sk_run_queue_pop(&ring), &mine);
	for (int i = 4; i < 7; i++)
		assert_ptr_equal(sk_run_queue_pop(&ring), &boxes[i]);
	assert_ptr_equal(sk_shared_queue_pop(&shared, &ring, 100), &boxes[7]);
	assert_int_equal(sk_run_queue_length(&ring), 2);
	assert_true(sk_shared_queue_is_empty(&shared));
	sk_shared_queue_fini(&shared);
}

static void
test_overflow_moves_the_older_half(void **state)
{
	(void)state;
	struct sk_mailbox boxes[5];
	struct sk_shared_queue shared;
	struct sk_run_queue ring;
	assert_int_equal(sk_shared_queue_init(&shared), 0);
	sk_run_queue_init(&ring);
	for (int i = 0; i < 5; i++)
		sk_run_queue_push(&ring, &boxes[i], &shared);
	assert_int_equal(sk_run_queue_length(&ring), 3);
	for (int i = 0; i < 2; i++)
		assert_ptr_equal(sk_shared_queue_pop(&shared, NULL, 0), &boxes[i]);
	for (int i = 2; i < 5; i++)
		assert_ptr_equal(sk_run_queue_pop(&ring), &boxes[i]);
	assert_null(sk_run_queue_pop(&ring));
	sk_shared_queue_fini(&shared);
}

static void
test_steal_takes_the_older_half(void **state)
{
	(void)state;
	struct sk_mailbox boxes[8];
	struct sk_shared_queue shared;
	struct sk_run_queue victim, thief;
	assert_int_equal(sk_shared_queue_init(&shared), 0);
	sk_run_queue_init(&victim);
	sk_run_queue_init(&thief);
	assert_null(sk_run_queue_steal(&thief, &victim));

	for (int i = 0; i < 4; i++)
		sk_run_queue_push(&victim, &boxes[i], &shared);
	assert_ptr_equal(sk_run_queue_steal(&thief, &victim), &boxes[0]);
	assert_ptr_equal(sk_run_queue_pop(&thief), &boxes[1]);
	assert_null(sk_run_queue_pop(&thief));
	assert_ptr_equal(sk_run_queue_steal(&thief, &victim), &boxes[2]);
	assert_int_equal(sk_run_queue_length(&thief), 0);
	assert_ptr_equal(sk_run_queue_steal(&thief, &victim), &boxes[3]); /* a half of one is one */
	assert_null(sk_run_queue_steal(&thief, &victim));

	/* A full ring of its own has no room for more than the one that is returned. */
	for (int i = 0; i < 4; i++) {
		sk_run_queue_push(&victim, &boxes[i], &shared);
		sk_run_queue_push(&thief, &boxes[4 + i], &shared);
	}
	assert_ptr_equal(sk_run_queue_steal(&thief, &victim), &boxes[0]);
	for (int i = 4; i < 8; i++)
		assert_ptr_equal(sk_run_queue_pop(&thief), &boxes[i]);
	assert_int_equal(sk_run_queue_length(&victim), 3);
	sk_shared_queue_fini(&shared);
}

/* The model: three lists. */

#define MODEL_BOXES 64

struct list {
	struct sk_mailbox *boxes[MODEL_BOXES];
	uint32_t count;
};

static void
list_append(struct list *list, struct sk_mailbox *box)
{
	list->boxes[list->count++] = box;
}

static struct sk_mailbox *
list_take(struct list *list)
{
	if (list->count == 0)
		return NULL;
	struct sk_mailbox *box = list->boxes[0];
	list->count--;
	for (uint32_t i = 0; i < list->count; i++)
		list->boxes[i] = list->boxes[i + 1];
	return box;
}

static void
list_move(struct list *from, struct list *to, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		list_append(to, list_take(from));
}

static uint32_t
smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static void
model_push(struct list *ring, struct list *shared, struct sk_mailbox *box)
{
	if (ring->count == SK_RUN_QUEUE_SLOTS)
		list_move(ring, shared, SK_RUN_QUEUE_SLOTS / 2);
	list_append(ring, box);
}

static struct sk_mailbox *
model_steal(struct list *own, struct list *victim)
{
	uint32_t n =
		smaller(victim->count - victim->count / 2, SK_RUN_QUEUE_SLOTS - own->count + 1);
	struct sk_mailbox *box = list_take(victim);
	if (box)
		list_move(victim, own, n - 1);
	return box;
}

static struct sk_mailbox *
model_shared_pop(struct list *shared, struct list *own, uint32_t n)
{
	struct sk_mailbox *box = list_take(shared);
	list_move(shared, own, smaller(n, smaller(shared->count, SK_RUN_QUEUE_SLOTS - own->count)));
	return box;
}

static void
test_against_plain_lists(void **state)
{
	(void)state;
	enum { ROUNDS = 500000 };
	static struct sk_mailbox boxes[MODEL_BOXES];
	struct sk_shared_queue shared;
	struct sk_run_queue rings[2];
	struct list lists[2] = {{.count = 0}}, shared_list = {.count = 0}, out = {.count = 0};
	assert_int_equal(sk_shared_queue_init(&shared), 0);
	for (int i = 0; i < 2; i++) {
		sk_run_queue_init(&rings[i]);
		/* Just before the 32 bits wrap around. */
		atomic_store(&rings[i].head, UINT32_MAX - 1000);
		atomic_store(&rings[i].tail, UINT32_MAX - 1000);
	}
	for (int i = 0; i < MODEL_BOXES; i++)
		list_append(&out, &boxes[i]);

	uint64_t random = 99;
	for (int round = 0; round < ROUNDS; round++) {
		uint32_t i = unit_random_below(&random, 2), n = unit_random_below(&random, 6);
		struct sk_mailbox *box = NULL, *expected = NULL;
		switch (unit_random_below(&random, 6)) {
		case 0:
			box = sk_run_queue_pop(&rings[i]);
			expected = list_take(&lists[i]);
			break;
		case 1:
			box = sk_run_queue_steal(&rings[i], &rings[1 - i]);
			expected = model_steal(&lists[i], &lists[1 - i]);
			break;
		case 2:
			box = sk_shared_queue_pop(&shared, &rings[i], n);
			expected = model_shared_pop(&shared_list, &lists[i], n);
			break;
		case 3:
			if (out.count == 0)
				break;
			sk_shared_queue_push(&shared, &out.boxes[0], 1);
			list_move(&out, &shared_list, 1);
			break;
		default:
			if (out.count == 0)
				break;
			sk_run_queue_push(&rings[i], out.boxes[0], &shared);
			model_push(&lists[i], &shared_list, list_take(&out));
			break;
		}
		assert_ptr_equal(box, expected);
		if (box)
			list_append(&out, box);
		assert_int_equal(sk_run_queue_length(&rings[i]), lists[i].count);
		assert_int_equal(sk_shared_queue_is_empty(&shared), shared_list.count == 0);
	}
	sk_shared_queue_fini(&shared);
}

/* Three workers pass boxes round: each takes one from its ring, the shared queue or another's
 * ring, counts a lap, and puts it into its own ring again. Laps are counted without any care, as a
 * service's turn would: a box that two hold at once is seen by the thread sanitizer, and by the
 * flag; one that is lost keeps the test from ending, one that is doubled breaks the sum. */

#define WORKERS 3
#define BOXES 13 /* some more than three rings hold */
#define LAPS 20000

struct tracked {
	struct sk_mailbox box;
	uint32_t laps;
	_Atomic bool is_held;
};

struct stress {
	struct sk_shared_queue shared;
	struct sk_run_queue rings[WORKERS];
	struct tracked all[BOXES];
	_Atomic uint32_t finished;
	_Atomic uint32_t bad;
};

struct worker {
	struct stress *stress;
	uint32_t index;
	uint64_t laps;
};

static struct sk_mailbox *
take(struct worker *w, uint64_t *random)
{
	struct stress *s = w->stress;
	struct sk_run_queue *own = &s->rings[w->index];
	struct sk_mailbox *box = NULL;
	if (unit_random_below(random, 8) != 0)
		box = sk_run_queue_pop(own);
	if (!box)
		box = sk_shared_queue_pop(&s->shared, own, unit_random_below(random, 4));
	for (uint32_t i = 1; !box && i < WORKERS; i++)
		box = sk_run_queue_steal(own, &s->rings[(w->index + i) % WORKERS]);
	return box;
}

static void *
work(void *argument)
{
	struct worker *w = argument;
	struct stress *s = w->stress;
	uint64_t random = 1 + w->index;
	while (atomic_load(&s->finished) < BOXES) {
		struct sk_mailbox *box = take(w, &random);
		if (!box) {
			(void)sched_yield(); /* cannot fail */
			continue;
		}
		struct tracked *tracked = SK_CONTAINER_OF(box, struct tracked, box);
		/* Relaxed, so that only the queue orders what happens to the laps. */
		if (atomic_exchange_explicit(&tracked->is_held, true, memory_order_relaxed))
			atomic_fetch_add(&s->bad, 1);
		tracked->laps++;
		w->laps++;
		bool is_finished = tracked->laps == LAPS;
		atomic_store_explicit(&tracked->is_held, false, memory_order_relaxed);
		if (is_finished)
			atomic_fetch_add(&s->finished, 1);
		else
			sk_run_queue_push(&s->rings[w->index], box, &s->shared);
	}
	return NULL;
}

static void
test_workers_share_without_loss(void **state)
{
	(void)state;
	struct stress *s = aligned_alloc(SK_CACHE_LINE, sizeof(*s));
	assert_non_null(s);
	memset(s, 0, sizeof(*s));
	assert_int_equal(sk_shared_queue_init(&s->shared), 0);
	for (int i = 0; i < WORKERS; i++)
		sk_run_queue_init(&s->rings[i]);
	for (int i = 0; i < BOXES; i++)
		sk_shared_queue_push(&s->shared, &(struct sk_mailbox *){&s->all[i].box}, 1);

	pthread_t threads[WORKERS];
	struct worker workers[WORKERS];
	for (uint32_t i = 0; i < WORKERS; i++) {
		workers[i] = (struct worker){.stress = s, .index = i};
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	uint64_t laps = 0;
	for (int i = 0; i < WORKERS; i++) {
		(void)pthread_join(threads[i], NULL);
		laps += workers[i].laps;
	}
	assert_int_equal(atomic_load(&s->bad), 0);
	assert_int_equal(laps, BOXES * LAPS);
	for (int i = 0; i < WORKERS; i++)
		assert_null(sk_run_queue_pop(&s->rings[i]));
	assert_true(sk_shared_queue_is_empty(&s->shared));
	sk_shared_queue_fini(&s->shared);
	free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shared_queue_keeps_order_while_it_grows),
		cmocka_unit_test(test_shared_pop_fills_the_ring_no_further_than_it_goes),
		cmocka_unit_test(test_overflow_moves_the_older_half),
		cmocka_unit_test(test_steal_takes_the_older_half),
		cmocka_unit_test(test_against_plain_lists),
		cmocka_unit_test(test_workers_share_without_loss),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
