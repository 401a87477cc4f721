/* sk_run_queue.c: the ring of a worker, and the queue that all workers share.
 *
 * A ring's places from head up to tail hold mailboxes; both count up for ever and wrap around.
 *
 * I1  A mailbox is in at most one queue, once.
 * I2  Only the owner writes tail; head only grows, by compare-and-swap.
 * I3  tail - head never exceeds SK_RUN_QUEUE_SLOTS for the owner. Others read the two at different
 *     moments and may see more; then they look again.
 * I4  Whoever moves head from a to b owns what stood between, and had read it before. A place is
 *     written again only after the owner has seen a head beyond it, so what was read is what stood
 *     there if the compare-and-swap succeeds.
 *
 * Memory orders: each pair is named once, here.
 *   P1  tail: the release in push and steal, with the acquire by thieves: what stands below tail,
 *       and all that was done to the mailbox before, is seen.
 *   P2  head: the compare-and-swap of a taker releases, the owner acquires before it writes to a
 *       place again: the taker's reading of the place is over (I4). */
#include "sk_run_queue.h"

#include "sk_memory.h"
#include "skynet.h"

#include <assert.h>
#include <stdlib.h>

#define SHARED_SLOTS_AT_FIRST 64

_Static_assert((SK_RUN_QUEUE_SLOTS & (SK_RUN_QUEUE_SLOTS - 1)) == 0 && SK_RUN_QUEUE_SLOTS >= 2,
	       "indices wrap around by a mask");

int
sk_shared_queue_init(struct sk_shared_queue *q)
{
	q->slots = malloc(SHARED_SLOTS_AT_FIRST * sizeof(q->slots[0]));
	if (!q->slots)
		return SK_ESYSTEM;
	if (pthread_mutex_init(&q->lock, NULL) != 0)
		goto free_slots;
	q->capacity_slots = SHARED_SLOTS_AT_FIRST;
	q->first = 0;
	atomic_init(&q->count, 0);
	return 0;

free_slots:
	free(q->slots);
	return SK_ESYSTEM;
}

void
sk_shared_queue_fini(struct sk_shared_queue *q)
{
	(void)pthread_mutex_destroy(&q->lock); /* fails only for a locked one */
	free(q->slots);
}

/* The place of the i-th mailbox. Capacities are powers of two. */
static struct sk_mailbox **
shared_slot_locked(struct sk_shared_queue *q, uint32_t i)
{
	return &q->slots[(q->first + i) & (q->capacity_slots - 1)];
}

static void
reserve_locked(struct sk_shared_queue *q, uint32_t count, uint32_t needed_slots)
{
	uint32_t capacity_slots = q->capacity_slots;
	while (capacity_slots < needed_slots)
		capacity_slots *= 2;
	if (capacity_slots == q->capacity_slots)
		return;
	int64_t bytes = sk_memory_thread_bytes();
	struct sk_mailbox **slots = skynet_malloc(capacity_slots * sizeof(slots[0]));
	for (uint32_t i = 0; i < count; i++)
		slots[i] = *shared_slot_locked(q, i);
	skynet_free(q->slots);
	sk_memory_disown_since(bytes);
	q->slots = slots;
	q->capacity_slots = capacity_slots;
	q->first = 0;
}

void
sk_shared_queue_push(struct sk_shared_queue *q, struct sk_mailbox *const *boxes, uint32_t n)
{
	pthread_mutex_lock(&q->lock);
	uint32_t count = atomic_load_explicit(&q->count, memory_order_relaxed);
	reserve_locked(q, count, count + n);
	for (uint32_t i = 0; i < n; i++)
		*shared_slot_locked(q, count + i) = boxes[i];
	/* Sequentially consistent, as the load in is_empty: who adds work here then looks whether
	 * somebody sleeps, and who goes to sleep says so and then looks here; one of the two must
	 * see the other. */
	atomic_store(&q->count, count + n);
	pthread_mutex_unlock(&q->lock);
}

/* How many more places the ring has.  [owner] */
static uint32_t
room(struct sk_run_queue *q)
{
	uint32_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
	uint32_t head = atomic_load_explicit(&q->head, memory_order_acquire); /* P2 */
	return SK_RUN_QUEUE_SLOTS - (tail - head);
}

static void
set_slot(struct sk_run_queue *q, uint32_t place, struct sk_mailbox *box)
{
	/* Relaxed: tail publishes it (P1). */
	atomic_store_explicit(&q->slots[place % SK_RUN_QUEUE_SLOTS], box, memory_order_relaxed);
}

static struct sk_mailbox *
get_slot(struct sk_run_queue *q, uint32_t place)
{
	/* Relaxed: the compare-and-swap of head tells whether it was still there (I4). */
	return atomic_load_explicit(&q->slots[place % SK_RUN_QUEUE_SLOTS], memory_order_relaxed);
}

struct sk_mailbox *
sk_shared_queue_pop(struct sk_shared_queue *q, struct sk_run_queue *own, uint32_t n)
{
	if (sk_shared_queue_is_empty(q))
		return NULL;
	struct sk_mailbox *first = NULL;
	pthread_mutex_lock(&q->lock);
	uint32_t count = atomic_load_explicit(&q->count, memory_order_relaxed);
	if (count == 0)
		goto unlock;
	first = *shared_slot_locked(q, 0);
	uint32_t more = own ? room(own) : 0;
	if (more > n)
		more = n;
	if (more > count - 1)
		more = count - 1;
	if (more != 0) {
		uint32_t tail = atomic_load_explicit(&own->tail, memory_order_relaxed);
		for (uint32_t i = 0; i < more; i++)
			set_slot(own, tail + i, *shared_slot_locked(q, 1 + i));
		atomic_store_explicit(&own->tail, tail + more, memory_order_release); /* P1 */
	}
	q->first = (q->first + 1 + more) & (q->capacity_slots - 1);
	/* After tail: who looks at count first and at tail then finds them in one of the two. */
	atomic_store(&q->count, count - 1 - more);

unlock:
	pthread_mutex_unlock(&q->lock);
	return first;
}

void
sk_run_queue_init(struct sk_run_queue *q)
{
	atomic_init(&q->head, 0);
	atomic_init(&q->tail, 0);
	for (uint32_t i = 0; i < SK_RUN_QUEUE_SLOTS; i++)
		atomic_init(&q->slots[i], NULL);
}

/* Moves the older half of a full ring. Returns false when thieves made room meanwhile.  [owner] */
static bool
overflow_half(struct sk_run_queue *q, uint32_t head, struct sk_shared_queue *overflow)
{
	struct sk_mailbox *half[SK_RUN_QUEUE_SLOTS / 2];
	for (uint32_t i = 0; i < SK_RUN_QUEUE_SLOTS / 2; i++)
		half[i] = get_slot(q, head + i);
	/* Relaxed: only the owner itself writes to these places again. */
	if (!atomic_compare_exchange_strong_explicit(&q->head, &head, head + SK_RUN_QUEUE_SLOTS / 2,
						     memory_order_relaxed, memory_order_relaxed))
		return false;
	sk_shared_queue_push(overflow, half, SK_RUN_QUEUE_SLOTS / 2);
	return true;
}

void
sk_run_queue_push(struct sk_run_queue *q, struct sk_mailbox *box, struct sk_shared_queue *overflow)
{
	uint32_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
	uint32_t head = atomic_load_explicit(&q->head, memory_order_acquire); /* P2 */
	assert(tail - head <= SK_RUN_QUEUE_SLOTS);			      /* I3 */
	if (SK_UNLIKELY(tail - head == SK_RUN_QUEUE_SLOTS) && !overflow_half(q, head, overflow)) {
		head = atomic_load_explicit(&q->head, memory_order_acquire); /* P2 */
		assert(tail - head < SK_RUN_QUEUE_SLOTS);
	}
	set_slot(q, tail, box);
	atomic_store_explicit(&q->tail, tail + 1, memory_order_release); /* P1 */
}

struct sk_mailbox *
sk_run_queue_pop(struct sk_run_queue *q)
{
	uint32_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
	uint32_t head = atomic_load_explicit(&q->head, memory_order_relaxed);
	while (head != tail) {
		struct sk_mailbox *box = get_slot(q, head);
		/* Relaxed: only the owner itself writes to this place again. */
		if (atomic_compare_exchange_weak_explicit(
			    &q->head, &head, head + 1, memory_order_relaxed, memory_order_relaxed))
			return box;
	}
	return NULL;
}

struct sk_mailbox *
sk_run_queue_steal(struct sk_run_queue *own, struct sk_run_queue *victim)
{
	assert(own != victim);
	uint32_t own_tail = atomic_load_explicit(&own->tail, memory_order_relaxed);
	uint32_t most = room(own) + 1; /* one is not put into own, but returned */
	for (;;) {
		uint32_t head = atomic_load_explicit(&victim->head, memory_order_acquire);
		uint32_t tail = atomic_load_explicit(&victim->tail, memory_order_acquire); /* P1 */
		uint32_t length = tail - head;
		if (length == 0)
			return NULL;
		if (length > SK_RUN_QUEUE_SLOTS)
			continue; /* I3: head is an old one */
		uint32_t n = length - length / 2;
		if (n > most)
			n = most;
		struct sk_mailbox *first = get_slot(victim, head);
		for (uint32_t i = 1; i < n; i++)
			set_slot(own, own_tail + i - 1, get_slot(victim, head + i));
		/* Release: P2. */
		if (!atomic_compare_exchange_weak_explicit(&victim->head, &head, head + n,
							   memory_order_release,
							   memory_order_relaxed))
			continue;
		if (n > 1)
			/* P1 */
			atomic_store_explicit(&own->tail, own_tail + n - 1, memory_order_release);
		return first;
	}
}
