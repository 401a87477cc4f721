/* sk_run_queue.h: services that have mail and wait for a worker.
 *
 * Model      Each worker has a ring of 256 places: its owner adds at the tail and takes from the
 *            head, thieves take half from the head. What does not fit, and what comes from outside
 *            a worker, goes to one shared queue under a lock.
 *            I1  A mailbox is in at most one queue, once.
 *            I2  Only the owner writes tail; head only grows, by compare-and-swap.
 *            After the local run queues of the Go scheduler (runtime/proc.go), as described in
 *            D. Vyukov, Scalable Go Scheduler Design, 2012.
 * Threads    marked at each function; "owner" is the worker whose ring it is.
 */
#ifndef SK_RUN_QUEUE_H
#define SK_RUN_QUEUE_H

#include "sk_base.h"
#include "sk_mailbox.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#ifndef SK_RUN_QUEUE_SLOTS
#define SK_RUN_QUEUE_SLOTS 256 /* a power of two */
#endif

struct sk_shared_queue {
	pthread_mutex_t lock;
	/* Under lock, a growing ring. */
	struct sk_mailbox **slots;
	uint32_t capacity_slots;
	uint32_t first;
	/* Written under lock, read without: a hint. */
	_Atomic uint32_t count;
};

struct sk_run_queue {
	_Alignas(SK_CACHE_LINE) _Atomic uint32_t head; /* owner and thieves */
	_Alignas(SK_CACHE_LINE) _Atomic uint32_t tail; /* owner */
	_Atomic(struct sk_mailbox *) slots[SK_RUN_QUEUE_SLOTS];
};

SK_MUST_CHECK int sk_shared_queue_init(struct sk_shared_queue *q);
void sk_shared_queue_fini(struct sk_shared_queue *q);
/* Adds at the end.  [any] */
void sk_shared_queue_push(struct sk_shared_queue *q, struct sk_mailbox *const *boxes, uint32_t n);
/* Takes the first, and moves up to n more into own (NULL: none); returns NULL if empty.  [owner] */
struct sk_mailbox *sk_shared_queue_pop(struct sk_shared_queue *q, struct sk_run_queue *own,
				       uint32_t n);
static inline bool
sk_shared_queue_is_empty(struct sk_shared_queue *q)
{
	/* Sequentially consistent: part of the handshake between pushing and parking. */
	return atomic_load(&q->count) == 0;
}

void sk_run_queue_init(struct sk_run_queue *q);
/* Adds at the tail; half of a full ring moves to overflow.  [owner] */
void sk_run_queue_push(struct sk_run_queue *q, struct sk_mailbox *box,
		       struct sk_shared_queue *overflow);
/* Takes from the head, or returns NULL.  [owner] */
struct sk_mailbox *sk_run_queue_pop(struct sk_run_queue *q);
/* Moves half of victim's mailboxes to own and returns one of them, or NULL.  [owner of own] */
struct sk_mailbox *sk_run_queue_steal(struct sk_run_queue *own, struct sk_run_queue *victim);
/* How many wait: exact for the owner, a moment old for others.  [any] */
static inline uint32_t
sk_run_queue_length(struct sk_run_queue *q)
{
	/* Acquire, so that tail is not older than head. */
	uint32_t head = atomic_load_explicit(&q->head, memory_order_acquire);
	uint32_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
	return tail - head > SK_RUN_QUEUE_SLOTS ? 0 : tail - head;
}

#endif
