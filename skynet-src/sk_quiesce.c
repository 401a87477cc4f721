/* sk_quiesce.c: epochs, and the list of what waits for its epoch to be over.
 *
 * The epoch grows by one with everything that is retired; what is retired gets the new epoch. A
 * slot stores the epoch it has seen when its thread held no protected pointer. What all slots have
 * seen can be released.
 *
 * I1  Things are in the list in the order of their epochs.
 * I2  A slot that is offline has seen everything (OFFLINE is the largest number).
 * I3  A thing is released by whoever takes it off the list, after dropping the lock: release may
 *     retire again, and may take as long as it likes.
 * I4  What is retired is released without anybody's further doing once all readers have passed or
 *     sleep: the last one that a thing waits for reclaims, be it after a pass (that is for its
 *     thread to do) or on its way offline.
 *
 * Why a thread that comes online cannot be overlooked: it first stores what it has seen into its
 * slot, then touches the epoch with a read-modify-write (A). A writer unlinks, then increments the
 * epoch (B); reclaim touches the epoch (C) after that and only then looks at the slots. All three
 * are read-modify-writes of one word, so they have an order, and with acquire and release each
 * sees all that was done before an earlier one. Either A comes before C: then reclaim sees the
 * slot. Or A comes after C, hence after B: then the thread cannot find what was unlinked. This
 * does what two sequentially consistent fences would, and thread sanitizers understand it.
 *
 * Why a thread that goes offline leaves nothing behind (I4): it first stores OFFLINE into its slot,
 * then touches the epoch in the same way (D). Either D comes before C: then that reclaim sees the
 * slot offline. Or after: then D sees the epoch of what that reclaim could not release because of
 * this slot, an epoch which the slot had not seen; so the thread comes back and reclaims itself.
 *
 * sk_quiesce.pml is a model of this file for the spin model checker. */
#include "sk_quiesce.h"

#include <assert.h>
#include <stdlib.h>

#define OFFLINE UINT64_MAX

int
sk_quiesce_init(struct sk_quiesce *q)
{
	q->slots = aligned_alloc(SK_CACHE_LINE, SK_QUIESCE_SLOTS_MAX * sizeof(q->slots[0]));
	if (!q->slots)
		return SK_ESYSTEM;
	if (pthread_mutex_init(&q->lock, NULL) != 0)
		goto free_slots;
	for (int i = 0; i < SK_QUIESCE_SLOTS_MAX; i++) {
		atomic_init(&q->slots[i].seen, OFFLINE);
		atomic_init(&q->slots[i].used, false);
	}
	atomic_init(&q->epoch, 1);
	atomic_init(&q->retired_count, 0);
	atomic_init(&q->slot_end, 0);
	q->first = NULL;
	q->last = &q->first;
	return 0;

free_slots:
	free(q->slots);
	return SK_ESYSTEM;
}

void
sk_quiesce_fini(struct sk_quiesce *q)
{
	for (int i = 0; i < SK_QUIESCE_SLOTS_MAX; i++)
		assert(!atomic_load_explicit(&q->slots[i].used, memory_order_relaxed));
	while (sk_quiesce_has_retired(q)) /* a release may have retired more */
		sk_quiesce_reclaim(q);
	(void)pthread_mutex_destroy(&q->lock); /* fails only for a locked one */
	free(q->slots);
}

/* Raises slot_end to at least end. Relaxed: the touch of the epoch in online publishes it, before
 * the slot matters to anybody. */
static void
raise_slot_end(struct sk_quiesce *q, uint32_t end)
{
	uint32_t old = atomic_load_explicit(&q->slot_end, memory_order_relaxed);
	while (old < end &&
	       !atomic_compare_exchange_weak_explicit(&q->slot_end, &old, end, memory_order_relaxed,
						      memory_order_relaxed)) {
	}
}

int
sk_quiesce_join(struct sk_quiesce *q)
{
	for (int slot = 0; slot < SK_QUIESCE_SLOTS_MAX; slot++) {
		bool used = false;
		/* Acquire pairs with the release in leave: the last owner is done with the slot. */
		if (atomic_compare_exchange_strong_explicit(&q->slots[slot].used, &used, true,
							    memory_order_acquire,
							    memory_order_relaxed)) {
			raise_slot_end(q, (uint32_t)slot + 1);
			sk_quiesce_online(q, slot);
			return slot;
		}
	}
	return SK_ELIMIT;
}

void
sk_quiesce_leave(struct sk_quiesce *q, int slot)
{
	sk_quiesce_offline(q, slot);
	/* Release pairs with the acquire in join. */
	atomic_store_explicit(&q->slots[slot].used, false, memory_order_release);
}

bool
sk_quiesce_offline_try(struct sk_quiesce *q, int slot)
{
	/* Relaxed: the slot's own thread wrote it. */
	uint64_t seen = atomic_load_explicit(&q->slots[slot].seen, memory_order_relaxed);
	/* Release pairs with the acquire in oldest_seen: reads made before are over. */
	atomic_store_explicit(&q->slots[slot].seen, OFFLINE, memory_order_release);
	/* D of the file comment; pairs with the read-modify-writes of retire and oldest_seen. */
	uint64_t epoch = atomic_fetch_add_explicit(&q->epoch, 0, memory_order_acq_rel);
	if (epoch == seen || seen == OFFLINE || !sk_quiesce_has_retired(q))
		return true;
	sk_quiesce_online(q, slot);
	return false;
}

void
sk_quiesce_offline(struct sk_quiesce *q, int slot)
{
	while (!sk_quiesce_offline_try(q, slot))
		sk_quiesce_reclaim(q);
}

void
sk_quiesce_online(struct sk_quiesce *q, int slot)
{
	/* Acquire pairs with the increment in retire, as in pass. */
	uint64_t epoch = atomic_load_explicit(&q->epoch, memory_order_acquire);
	atomic_store_explicit(&q->slots[slot].seen, epoch, memory_order_relaxed);
	/* A of the file comment; pairs with the read-modify-writes of retire and oldest_seen. */
	(void)atomic_fetch_add_explicit(&q->epoch, 0, memory_order_acq_rel);
}

void
sk_quiesce_retire(struct sk_quiesce *q, struct sk_retired *retired,
		  void (*release)(struct sk_retired *))
{
	retired->next = NULL;
	retired->release = release;
	pthread_mutex_lock(&q->lock);
	/* Relaxed: the epoch publishes it, so who has seen that knows there is something. */
	atomic_fetch_add_explicit(&q->retired_count, 1, memory_order_relaxed);
	/* B of the file comment; release publishes the unlinking. Under the lock for I1. */
	retired->epoch = atomic_fetch_add_explicit(&q->epoch, 1, memory_order_acq_rel) + 1;
	*q->last = retired;
	q->last = &retired->next;
	pthread_mutex_unlock(&q->lock);
}

/* The epoch that all slots have seen. Never more than the epoch at the start of the look, so that
 * what is retired during it, perhaps still held by a slot that was offline, has to wait. */
static uint64_t
oldest_seen(struct sk_quiesce *q)
{
	/* C of the file comment. */
	uint64_t oldest = atomic_fetch_add_explicit(&q->epoch, 0, memory_order_acq_rel);
	uint32_t end = atomic_load_explicit(&q->slot_end, memory_order_relaxed);
	for (uint32_t i = 0; i < end; i++) {
		/* Acquire pairs with the releases in pass and offline. */
		uint64_t seen = atomic_load_explicit(&q->slots[i].seen, memory_order_acquire);
		if (seen < oldest)
			oldest = seen;
	}
	return oldest;
}

/* Takes what has an epoch up to this off the list, in order. */
static struct sk_retired *
take_due(struct sk_quiesce *q, uint64_t epoch)
{
	pthread_mutex_lock(&q->lock);
	struct sk_retired *due = q->first;
	struct sk_retired **end = &q->first;
	uint32_t count = 0;
	while (*end && (*end)->epoch <= epoch) {
		end = &(*end)->next;
		count++;
	}
	if (count != 0) {
		q->first = *end;
		*end = NULL;
		if (!q->first)
			q->last = &q->first;
		atomic_fetch_sub_explicit(&q->retired_count, count, memory_order_relaxed);
	}
	pthread_mutex_unlock(&q->lock);
	return count != 0 ? due : NULL;
}

void
sk_quiesce_reclaim(struct sk_quiesce *q)
{
	if (!sk_quiesce_has_retired(q))
		return;
	struct sk_retired *retired = take_due(q, oldest_seen(q));
	while (retired) {
		struct sk_retired *next = retired->next; /* release frees what it is part of */
		retired->release(retired);
		retired = next;
	}
}
