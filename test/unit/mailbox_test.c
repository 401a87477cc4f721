/* mailbox_test.c: order, states and wake-ups of a mailbox, alone and with many senders. */
#include "sk_mailbox.h"

#include "unit.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <time.h>

static struct sk_message *
new_message(uint32_t source, int32_t session)
{
	struct sk_message *message = calloc(1, sizeof(*message));
	if (!message)
		abort();
	message->source = source;
	message->session = session;
	return message;
}

static void
expect_pop(struct sk_mailbox *box, int32_t session)
{
	struct sk_message *message = sk_mailbox_pop(box);
	assert_non_null(message);
	assert_int_equal(message->session, session);
	free(message);
}

static void
test_held_from_birth_until_the_first_rest(void **state)
{
	(void)state;
	struct sk_mailbox box;
	sk_mailbox_init(&box);
	assert_null(sk_mailbox_pop(&box));
	assert_false(sk_mailbox_push(&box, new_message(1, 1)));
	assert_false(sk_mailbox_push(&box, new_message(1, 2)));
	assert_false(sk_mailbox_rest(&box)); /* there is mail */
	expect_pop(&box, 1);
	assert_false(sk_mailbox_rest(&box)); /* there still is */
	expect_pop(&box, 2);
	assert_null(sk_mailbox_pop(&box));
	assert_true(sk_mailbox_rest(&box));
}

static void
test_only_the_push_that_ends_a_rest_tells(void **state)
{
	(void)state;
	struct sk_mailbox box;
	sk_mailbox_init(&box);
	for (int32_t i = 1; i <= 3; i++) {
		assert_true(sk_mailbox_rest(&box));
		assert_true(sk_mailbox_push(&box, new_message(1, i)));
		assert_false(sk_mailbox_push(&box, new_message(1, -i)));
		assert_false(sk_mailbox_rest(&box));
		expect_pop(&box, i);
		assert_false(sk_mailbox_push(&box, new_message(1, 100)));
		expect_pop(&box, -i);
		assert_false(sk_mailbox_rest(&box));
		expect_pop(&box, 100);
		assert_false(sk_mailbox_push(&box, new_message(1, 200))); /* empty but held */
		expect_pop(&box, 200);
	}
	assert_true(sk_mailbox_rest(&box));
}

static void
test_length_counts_new_and_taken(void **state)
{
	(void)state;
	struct sk_mailbox box;
	sk_mailbox_init(&box);
	assert_int_equal(sk_mailbox_length(&box), 0);
	for (int32_t i = 1; i <= 5; i++)
		assert_false(sk_mailbox_push(&box, new_message(1, i)));
	assert_int_equal(sk_mailbox_length(&box), 5);
	expect_pop(&box, 1);
	assert_int_equal(sk_mailbox_length(&box), 4);
	assert_false(sk_mailbox_push(&box, new_message(1, 6)));
	assert_int_equal(sk_mailbox_length(&box), 5);
	for (int32_t i = 2; i <= 6; i++)
		expect_pop(&box, i);
	assert_int_equal(sk_mailbox_length(&box), 0);
	assert_true(sk_mailbox_rest(&box));
	assert_int_equal(sk_mailbox_length(&box), 0);
}

static void
test_more_than_the_word_can_count(void **state)
{
	(void)state;
	enum { COUNT = 70000, COUNTED = 65535 };
	struct sk_mailbox box;
	sk_mailbox_init(&box);
	for (int32_t i = 1; i <= COUNT; i++)
		assert_false(sk_mailbox_push(&box, new_message(1, i)));
	assert_int_equal(sk_mailbox_length(&box), COUNTED);
	expect_pop(&box, 1);
	assert_int_equal(sk_mailbox_length(&box), COUNT - 1); /* taken, so counted one by one */
	for (int32_t i = 2; i <= COUNT; i++)
		expect_pop(&box, i);
	assert_int_equal(sk_mailbox_length(&box), 0);
	assert_true(sk_mailbox_rest(&box));
}

static void
test_against_a_counter(void **state)
{
	(void)state;
	enum { ROUNDS = 500000 };
	struct sk_mailbox box;
	sk_mailbox_init(&box);
	int32_t pushed = 0, popped = 0;
	bool is_held = true;
	uint64_t random = 17;
	for (int round = 0; round < ROUNDS; round++) {
		uint32_t chance = unit_random_below(&random, 10);
		if (chance < 4) {
			bool told = sk_mailbox_push(&box, new_message(1, ++pushed));
			assert_int_equal(told, !is_held);
			is_held = true;
		} else if (is_held && chance < 8) {
			if (popped < pushed)
				expect_pop(&box, ++popped);
			else
				assert_null(sk_mailbox_pop(&box));
		} else if (is_held) {
			bool rests = sk_mailbox_rest(&box);
			assert_int_equal(rests, popped == pushed);
			is_held = !rests;
		}
		assert_int_equal(sk_mailbox_length(&box), pushed - popped);
	}
	while (popped < pushed)
		expect_pop(&box, ++popped);
}

/* Senders and two consumers, which are workers as far as the mailbox is concerned: the push that
 * ends a rest posts a ticket, and whoever gets the ticket holds the mailbox until the next rest.
 * What the holder keeps is plain memory: two holders at once are seen by the thread sanitizer, and
 * by the flag. A lost wake-up lets the deadline pass. */

#define SENDERS 3
#define CONSUMERS 2
#define MESSAGES 40000 /* of each sender */
#define DEADLINE_S 60

struct stress {
	struct sk_mailbox box;
	sem_t tickets;
	_Atomic uint32_t wakes;
	_Atomic bool is_held;
	_Atomic bool is_done;
	/* The holder's. */
	int32_t last_session[SENDERS];
	uint32_t handled;
	uint32_t rests;
	uint32_t bad;
};

struct sender {
	struct stress *stress;
	uint32_t source;
};

static void *
send_all(void *argument)
{
	struct sender *sender = argument;
	struct stress *s = sender->stress;
	for (int32_t i = 1; i <= MESSAGES; i++) {
		if (sk_mailbox_push(&s->box, new_message(sender->source, i))) {
			atomic_fetch_add(&s->wakes, 1);
			(void)sem_post(&s->tickets); /* fails only beyond INT_MAX */
		}
		if (i % 32 == 0)
			(void)sched_yield(); /* lets the consumers catch up and rest; cannot fail */
	}
	return NULL;
}

/* One hold, from the ticket to the rest. The flag is relaxed, so that only the mailbox orders what
 * the holders do. */
static void
hold(struct stress *s)
{
	s->bad += atomic_exchange_explicit(&s->is_held, true, memory_order_relaxed);
	do {
		struct sk_message *message;
		while ((message = sk_mailbox_pop(&s->box))) {
			s->bad += message->session != s->last_session[message->source] + 1;
			s->last_session[message->source] = message->session;
			s->handled++;
			free(message);
		}
		s->rests++;
		bool is_last = s->handled == SENDERS * MESSAGES;
		atomic_store_explicit(&s->is_held, false, memory_order_relaxed);
		if (sk_mailbox_rest(&s->box)) {
			if (is_last)
				atomic_store(&s->is_done, true);
			return;
		}
		s->bad += atomic_exchange_explicit(&s->is_held, true, memory_order_relaxed);
		s->rests--;
	} while (true);
}

static void *
consume(void *argument)
{
	struct stress *s = argument;
	struct timespec deadline;
	(void)clock_gettime(CLOCK_REALTIME, &deadline); /* cannot fail for this clock */
	deadline.tv_sec += DEADLINE_S;
	while (sem_timedwait(&s->tickets, &deadline) == 0 && !atomic_load(&s->is_done)) {
		hold(s);
		if (atomic_load(&s->is_done)) {
			for (int i = 0; i < CONSUMERS; i++)
				(void)sem_post(&s->tickets); /* so that all consumers end */
		}
	}
	return NULL;
}

static void
test_many_senders(void **state)
{
	(void)state;
	struct stress *s = calloc(1, sizeof(*s));
	assert_non_null(s);
	sk_mailbox_init(&s->box);
	assert_int_equal(sem_init(&s->tickets, 0, 0), 0);
	assert_true(sk_mailbox_rest(&s->box));

	pthread_t senders[SENDERS], consumers[CONSUMERS];
	struct sender arguments[SENDERS];
	for (int i = 0; i < CONSUMERS; i++)
		assert_int_equal(pthread_create(&consumers[i], NULL, consume, s), 0);
	for (uint32_t i = 0; i < SENDERS; i++) {
		arguments[i] = (struct sender){.stress = s, .source = i};
		assert_int_equal(pthread_create(&senders[i], NULL, send_all, &arguments[i]), 0);
	}
	for (int i = 0; i < SENDERS; i++)
		(void)pthread_join(senders[i], NULL);
	for (int i = 0; i < CONSUMERS; i++)
		(void)pthread_join(consumers[i], NULL);

	assert_true(atomic_load(&s->is_done)); /* else a wake-up was lost */
	assert_int_equal(s->handled, SENDERS * MESSAGES);
	assert_int_equal(s->bad, 0);
	assert_int_equal(s->rests, atomic_load(&s->wakes)); /* one wake-up for each rest */
	assert_int_equal(sk_mailbox_length(&s->box), 0);
	(void)sem_destroy(&s->tickets);
	free(s);
}

/* A sender that pushes the next message the moment it sees the last one handled, which is when the
 * consumer is about to rest: the narrowest place there is. */

#define PACED_MESSAGES 40000

struct paced {
	struct sk_mailbox box;
	_Atomic bool ticket;
	_Atomic int32_t handled;
	_Atomic bool is_late;
	time_t deadline_s;
	uint32_t bad; /* the consumer's */
};

static time_t
monotonic_s(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
	return now.tv_sec;
}

/* Lets others run from time to time. Returns false when the deadline has passed. */
static bool
spin(struct paced *p, uint32_t round)
{
	if (round % 64 != 63)
		return true;
	(void)sched_yield(); /* cannot fail */
	if (monotonic_s() > p->deadline_s)
		atomic_store(&p->is_late, true);
	return !atomic_load(&p->is_late);
}

static void *
send_paced(void *argument)
{
	struct paced *p = argument;
	uint64_t random = 23;
	for (int32_t i = 1; i <= PACED_MESSAGES; i++) {
		struct sk_message *message = new_message(0, i);
		for (uint32_t round = 0; atomic_load(&p->handled) < i - 1; round++) {
			if (!spin(p, round)) {
				free(message);
				return NULL;
			}
		}
		for (_Atomic uint32_t wait = unit_random_below(&random, 16); wait > 0; wait--) {
		}
		if (sk_mailbox_push(&p->box, message))
			atomic_store(&p->ticket, true);
	}
	return NULL;
}

static void
consume_paced(struct paced *p)
{
	for (int32_t handled = 0; handled < PACED_MESSAGES;) {
		for (uint32_t round = 0; !atomic_exchange(&p->ticket, false); round++) {
			if (!spin(p, round))
				return;
		}
		do {
			struct sk_message *message;
			while ((message = sk_mailbox_pop(&p->box))) {
				p->bad += message->session != ++handled;
				free(message);
				atomic_store(&p->handled, handled);
			}
		} while (!sk_mailbox_rest(&p->box));
	}
}

static void
test_a_push_that_meets_a_rest(void **state)
{
	(void)state;
	struct paced p = {.deadline_s = monotonic_s() + DEADLINE_S};
	sk_mailbox_init(&p.box);
	assert_true(sk_mailbox_rest(&p.box));
	pthread_t sender;
	assert_int_equal(pthread_create(&sender, NULL, send_paced, &p), 0);
	consume_paced(&p);
	(void)pthread_join(sender, NULL);
	assert_false(atomic_load(&p.is_late)); /* else a wake-up was lost */
	assert_int_equal(atomic_load(&p.handled), PACED_MESSAGES);
	assert_int_equal(p.bad, 0);
	assert_true(sk_mailbox_push(&p.box, new_message(0, 1))); /* it is at rest */
	expect_pop(&p.box, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_held_from_birth_until_the_first_rest),
		cmocka_unit_test(test_only_the_push_that_ends_a_rest_tells),
		cmocka_unit_test(test_length_counts_new_and_taken),
		cmocka_unit_test(test_more_than_the_word_can_count),
		cmocka_unit_test(test_against_a_counter),
		cmocka_unit_test(test_many_senders),
		cmocka_unit_test(test_a_push_that_meets_a_rest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
