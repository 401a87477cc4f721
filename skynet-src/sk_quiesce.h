/* sk_quiesce.h: frees what others may still be reading, once they cannot any more (QSBR).
 *
 * Model      Readers of the registry take no lock. Each thread that reads has a slot, and says now
 *            and then that it holds no pointer any more: it passes a quiescent point. What is
 *            unlinked is retired with the current epoch, and released when every slot has passed
 *            one since. A thread that sleeps is offline and holds nobody up.
 *            After "quiescent-state-based reclamation" in T. E. Hart, P. E. McKenney, A. D. Brown:
 *            Making Lockless Synchronization Fast, 2006.
 * Threads    join, leave, retire, reclaim: [any]. pass, online, offline: the slot's own thread.
 * Use        int slot = sk_quiesce_join(q);  ... read ...  sk_quiesce_pass(q, slot); ...
 *            writer: unlink(thing); sk_quiesce_retire(q, &thing->retired, free_thing);
 */
#ifndef SK_QUIESCE_H
#define SK_QUIESCE_H

#include "sk_base.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Workers (at most 1024) and the threads that are none: watchdog, signals, tests. */
#define SK_QUIESCE_SLOTS_MAX 1040

/* Embed one in whatever is to be retired. */
struct sk_retired {
	struct sk_retired *next;
	void (*release)(struct sk_retired *);
	uint64_t epoch;
};

struct sk_quiesce_slot {
	_Alignas(SK_CACHE_LINE) _Atomic uint64_t seen; /* an epoch, or OFFLINE */
	_Atomic bool used;
};

struct sk_quiesce {
	_Alignas(SK_CACHE_LINE) _Atomic uint64_t epoch;
	_Atomic uint32_t retired_count;
	_Atomic uint32_t slot_end; /* no slot from here on was ever used */
	struct sk_quiesce_slot *slots;
	pthread_mutex_t lock;
	/* Under lock: oldest first. */
	struct sk_retired *first;
	struct sk_retired **last;
};

SK_MUST_CHECK int sk_quiesce_init(struct sk_quiesce *q);
/* Releases everything still retired. All slots must have left. */
void sk_quiesce_fini(struct sk_quiesce *q);

/* Returns a slot, online, or SK_ELIMIT. */
SK_MUST_CHECK int sk_quiesce_join(struct sk_quiesce *q);
void sk_quiesce_leave(struct sk_quiesce *q, int slot);

/* The calling thread holds no protected pointer now. */
static inline void
sk_quiesce_pass(struct sk_quiesce *q, int slot)
{
	/* Acquire pairs with the increment in retire: whoever sees the epoch sees the unlinking
	 * before it. Release pairs with the acquire in reclaim: reads made before are over. */
	uint64_t epoch = atomic_load_explicit(&q->epoch, memory_order_acquire);
	if (atomic_load_explicit(&q->slots[slot].seen, memory_order_relaxed) != epoch)
		atomic_store_explicit(&q->slots[slot].seen, epoch, memory_order_release);
}

/* Going to sleep, and back. offline reclaims first what was retired since the slot's last pass: it
 * may have waited for this thread alone, and nobody else would look again. */
void sk_quiesce_offline(struct sk_quiesce *q, int slot);
void sk_quiesce_online(struct sk_quiesce *q, int slot);

/* The same for a thread that may not release things now. Returns false, and stays online, when it
 * should pass and reclaim before it tries again. */
SK_MUST_CHECK bool sk_quiesce_offline_try(struct sk_quiesce *q, int slot);

/* Has release(retired) called once no reader can hold it; on whichever thread reclaims it. */
void sk_quiesce_retire(struct sk_quiesce *q, struct sk_retired *retired,
		       void (*release)(struct sk_retired *));

/* Releases what is due. The caller must hold no protected pointer. */
void sk_quiesce_reclaim(struct sk_quiesce *q);

/* Cheap test whether reclaim has anything to look at. */
static inline bool
sk_quiesce_has_retired(struct sk_quiesce *q)
{
	return atomic_load_explicit(&q->retired_count, memory_order_relaxed) != 0;
}

#endif
